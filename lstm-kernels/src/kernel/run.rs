//! A whole sequence of one stream of a cell.
//!
//! A small cell steps as it would without a sequence. Where no near cache holds the weights, x's part of the sums is
//! made ahead for some time steps at once, as [`Lstm`](crate::lstm::Lstm) does ([`product`]), so that x's weights are
//! read once for all of them; a step then adds h's part. It is a step of a cell without inputs, whose bias is that row
//! of sums: one kernel for both, and one order of sums.
//!
//! On Zen 4, 512 steps, with AVX-512 and AVX2, in percent faster than step by step: (40, 40) 37 and 23, (48, 48) in
//! bf16 32 and 7, in f16 20 and 0; (16, 64) 13 and 11, (64, 64) 26 and 21, (128, 128) 28 and 28, (256, 256) 30 and 31,
//! (512, 512) 28 and 22; two steps of (128, 128) 21; (64, 64) in bf16 1 and 12, (128, 128) in f16 22 and 5. With one
//! input it would be up to 10 % slower.

use core::array::from_mut;

use super::product::{self, Columns, Rows, Sums};
use super::{Alone, Step, Weights, narrow};
use crate::element::{Element, adds_in_f16};
use crate::head::Linear;
use crate::layout::{Line, packed};
use crate::simd::{Op, Section, Simd, Vector};
use crate::state::State;

/// The lines of sums that are ahead: 64 KiB of the stack, or for a short sequence as little as has to be set to zero.
const LINES: usize = 1024;
const FEW_LINES: usize = 256;

/// The most time steps whose x is done ahead.
pub(crate) const AHEAD: usize = 32;

/// What each step of a sequence leaves behind.
pub(crate) trait Output<const H: usize>: Copy {
    type Out;

    /// Makes it of h. `#[inline(always)]`.
    fn write<S: Simd>(self, simd: S, h: &[f32; H], out: &mut Self::Out);

    /// Where a step may store h itself, and nothing is left to [`write`](Self::write).
    #[inline(always)]
    fn as_h(_: &mut Self::Out) -> &mut [f32] {
        &mut []
    }
}

/// h itself.
#[derive(Clone, Copy)]
pub(crate) struct Hidden;

impl<const H: usize> Output<H> for Hidden {
    type Out = [f32; H];

    #[inline(always)]
    fn write<S: Simd>(self, simd: S, h: &[f32; H], out: &mut [f32; H]) {
        if const { H <= 8 } {
            *out = *h;
            return;
        }
        // By loads of what one store has written, as the gates' are, for parts of two would wait for both; and from the
        // end on. (As a plain copy (10, 20) takes 83, forwards 79, so 71 ns on Zen 4; (1, 8) 1 ns less as a plain one.)
        let ((rows, h), (out_rows, out)) = (h.as_chunks::<16>(), out.as_chunks_mut::<16>());
        let ((halves, h), (out_halves, out)) = (h.as_chunks::<8>(), out.as_chunks_mut::<8>());
        let ((quarters, h), (out_quarters, out)) = (h.as_chunks::<4>(), out.as_chunks_mut::<4>());
        out.copy_from_slice(h);
        for (h, out) in quarters.iter().zip(out_quarters) {
            S::Quarter::load(simd, h).store(simd, out);
        }
        for (h, out) in halves.iter().zip(out_halves) {
            S::Half::load(simd, h).store(simd, out);
        }
        for (h, out) in rows.iter().zip(out_rows).rev() {
            S::Row::load(simd, h).store(simd, out);
        }
    }

    #[inline(always)]
    fn as_h(out: &mut [f32; H]) -> &mut [f32] {
        out
    }
}

impl<const H: usize, const OUT: usize, const LEN: usize> Output<H> for &Linear<H, OUT, LEN> {
    type Out = [f32; OUT];

    #[inline(always)]
    fn write<S: Simd>(self, simd: S, h: &[f32; H], out: &mut [f32; OUT]) {
        self.apply(simd, h, out);
    }
}

/// The steps of one stream, and what they leave behind.
pub(crate) struct Run<'a, E, const I: usize, const H: usize, const HP: usize, const LAST: usize, O>
where
    E: Element,
    O: Output<H>,
{
    pub(crate) weights: Weights<'a, E, I, H, LAST>,
    pub(crate) seq: &'a [[f32; I]],
    pub(crate) state: &'a mut State<H, HP>,
    pub(crate) output: O,
    pub(crate) out: &'a mut [O::Out],
}

impl<E: Element, const I: usize, const H: usize, const HP: usize, const LAST: usize, O: Output<H>> Op
    for Run<'_, E, I, H, HP, LAST, O>
{
    type Output = ();

    const F16: bool = E::F16;
    const NARROW: bool = HP == LAST * 4 && narrow::serves(LAST, LAST * I);

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        if const { x_ahead::<S, E>(HP / 4, HP / 4 - LAST, I, H) } && self.seq.len() > 1 {
            return if self.seq.len() * (HP / 4) <= FEW_LINES {
                with_room::<S, _, FEW_LINES>(simd, self);
            } else {
                with_room::<S, _, LINES>(simd, self);
            };
        }
        let Self { weights, seq, state, output, out } = self;
        for (x, out) in seq.iter().zip(out) {
            let step = Alone(Step { weights, x: [x], states: from_mut(state) });
            if const { Alone::<Step<'_, E, I, H, HP, LAST, 1>>::inlined::<S>() } && !simd.narrows(&step) {
                let h = O::as_h(out);
                let written = !h.is_empty();
                step.one_group(simd, h);
                if written {
                    continue;
                }
            } else if const { Alone::<Step<'_, E, I, H, HP, LAST, 1>>::woven::<S>() } {
                simd.enter(step.0); // as in `StepOut`
            } else {
                simd.enter(step);
            }
            output.write(simd, state.h(), out);
        }
    }
}

/// Whether x's part is done ahead: in a layer of several groups, or of one if that [`pays`].
const fn x_ahead<S: Simd, E: Element>(lines: usize, before_last: usize, inputs: usize, hidden: usize) -> bool {
    let bytes = size_of::<E::Line>() * lines * (packed(E::FORM, inputs) + packed(E::FORM, hidden));
    let pays = if before_last > 0 { inputs >= INPUTS } else { pays::<S, E>(lines, bytes, inputs) };
    !S::PORTABLE && !adds_in_f16::<S, E>() && pays && lines <= LINES / 2
}

/// The fewest inputs that are worth it.
pub(super) const INPUTS: usize = 8;

/// Whether a layer of one group gains from x's part being done ahead: if an L1 cache does not hold its weights whole,
/// and in half precision sooner. With AVX2 a layer of 8 lines does from 28 KiB on: its tiles do not turn round. On Zen
/// 4 there (28, 32) takes 0.95 of the time, (20, 32) would take 1.07, (16, 36) 1.06, (8, 40) 1.09, (10, 40) 1.07; with
/// AVX-512 (28, 32) 1.07, (10, 40) 1.08.
pub(crate) const fn pays<S: Simd, E: Element>(lines: usize, bytes: usize, inputs: usize) -> bool {
    let kib = match E::IS_F32 {
        true if S::MANY_REGISTERS || lines > 8 => 32,
        true => 28,
        false => 24,
    };
    inputs >= INPUTS && bytes > kib << 10
}

/// [`XAhead`] with `N` lines, which only this function has on the stack.
#[inline(never)]
fn with_room<S: Simd, R, const N: usize>(simd: S, run: R)
where
    for<'a> XAhead<'a, R>: Section<S>,
{
    let mut z = [Line::ZERO; N];
    simd.outline(XAhead { run, z: &mut z });
}

/// The steps of a [`Run`], with room for the sums that are ahead.
struct XAhead<'a, R> {
    run: R,
    z: &'a mut [Line],
}

impl<S, E, const I: usize, const H: usize, const HP: usize, const LAST: usize, O> Section<S>
    for XAhead<'_, Run<'_, E, I, H, HP, LAST, O>>
where
    S: Simd,
    E: Element,
    O: Output<H>,
{
    #[inline(always)]
    fn run(self, simd: S) {
        let Self { run: Run { weights, seq, state, output, out }, z } = self;
        let (bias, lines, last) = (weights.bias, weights.bias.len(), weights.last());
        let (_, w_hh) = weights.columns.split_at(const { packed(E::FORM, I) } * lines);
        let steps = usize::min(z.len() / lines, AHEAD);
        for (seq, out) in seq.chunks(steps).zip(out.chunks_mut(steps)) {
            let x = Rows { data: seq.as_flattened(), stride: I, len: I };
            for n in 0..=last {
                let (some, first, data, _) = weights.group(n);
                let soon = if n < last { weights.group(n + 1).2 } else { &[] };
                let mut sums = Sums { data: &mut z[first..], stride: lines };
                let columns = Columns { data, lines: some, soon };
                product::add::<S, E>(simd, columns, x, Some(&bias[first..]), &mut sums, seq.len());
            }
            for (z, out) in z.chunks_exact(lines).zip(out) {
                let weights = Weights { bias: z, columns: w_hh };
                simd.enter(Step::<E, 0, H, HP, LAST, 1> { weights, x: [&[]], states: from_mut(state) });
                output.write(simd, state.h(), out);
            }
        }
    }
}
