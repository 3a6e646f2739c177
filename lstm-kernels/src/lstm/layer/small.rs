//! Small layers: of one group of lines, without projection, not on the scalar kernels.
//!
//! One function does all steps of a stream, or of four side by side where one does not keep the units busy; others take
//! turns, each time step of all before the next, so that none waits for its own h ([`kernel::small`](small) has the
//! figures).
//!
//! So every step of every stream reads all weights. Where the nearest cache does not hold them, or x is more than one
//! block of columns, one stream does x's part of some time steps at once, and several go the way of large layers, which
//! read h's weights, too, once for all ([`Packed::serves`]). On Zen 4, whose cache has 32 KiB, with AVX-512 and AVX2:
//! one stream of (40, 40) takes 0.70 and 0.80 of the time that it took before, of (64, 32) 0.59 and 0.65, 32 of (40,
//! 40) 0.66 and 0.62. Where the cache holds all it would be up to 1.3 times as long ((1, 16), 8 streams). Two or three
//! are faster one after the other, as one is: together (10, 40) would take 1.15 and 1.1, with AVX2 1.04 and 1.08 times
//! as long, (64, 28) 1.15 and 1.12, 1.08 and 1.08; but of 12 lines up to 8 % less.
//!
//! Weights of half precision are widened as they are packed, not at each step, if that cache holds them so: (10, 20)
//! takes 0.71 of the time with bf16, 0.60 with f16 (Zen 4, AVX-512), as long as with f32. The bits are those of a cell,
//! which widens (but where arithmetic in f16 is asked for).

use alloc::vec::Vec;
use core::ops::Range;

use super::one_step::{self, Step};
use super::{LayerPass, Packed, PackedLayer, Pass, of_f32};
use crate::element::Element;
use crate::isa::{Isa, Token};
use crate::kernel::one_step::OneStep;
use crate::kernel::product::{self, Columns, Rows, Sums};
use crate::kernel::run::{AHEAD, pays};
use crate::kernel::small::{self, MOST_IN_TURN, Recurrence};
use crate::kernel::sums::{BLOCK, chains};
use crate::layout::{self, Line, MAX_LINES};
use crate::simd::{Op, Scalar, Simd, Vector};
use crate::weights::Sizes;

/// Bytes that the smallest L1 caches hold.
const NEAR: usize = 32 << 10;

/// Streams that each go on their own where that cache does not hold the weights.
const FEW: usize = 3;

/// The function for a layer's sizes, chosen as it is packed: steps of one stream, or of some in turn.
#[derive(Clone, Copy)]
pub(super) struct OneStream {
    token: Token,
    steps: fn(Token, Recurrence<'_>),
}

impl OneStream {
    /// For so many lines, and chains of x's columns and of h's; and the function of a single step.
    fn new(token: Token, lines: usize, x: usize, h: usize) -> Option<(Self, Step<f32>)> {
        macro_rules! choose {
            ($($lines:literal $x:literal $h:literal,)*) => { match (lines, x, h) {
                $( ($lines, $x, $h) => Some((
                    Self { token, steps: |token, steps| token.run(small::Steps::<1, $lines, $x, $h>(steps)) },
                    |token, layer, step| token.run(one_step::Small::<$lines, $x, $h> { layer, step }),
                )), )*
                _ => None,
            } };
        }
        choose!(1 1 1, 1 4 1, 1 1 4, 1 4 4, 2 1 4, 2 4 4, 3 1 4, 3 4 4, 4 1 2, 4 2 2, 5 1 2, 5 2 2, 6 1 2, 6 2 2,
            7 1 2, 7 2 2, 8 1 2, 8 2 2, 9 1 2, 9 2 2, 10 1 2, 10 2 2, 11 1 2, 11 2 2, 12 1 2, 12 2 2,)
    }
}

/// A pass through a small layer.
#[inline(never)]
pub(super) fn run(token: Token, layer: &Packed<f32>, pass: Pass<'_>) {
    token.run(Small(LayerPass { layer, pass }));
}

/// See [`run`].
struct Small<'a>(LayerPass<'a, f32>);

impl Op for Small<'_> {
    type Output = ();

    /// All steps of all streams: of four side by side where that is faster, of the others in turn.
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self(mut on) = self;
        let (batch, lines) = (on.pass.batch, on.layer.bias.len());
        let (inputs, bytes) = (on.layer.sizes.input, size_of_val(&on.layer.columns[..]));
        let fours = if small::streams::<S>(lines) == 4 { batch / 4 } else { 0 };
        let apart = batch <= FEW && !on.layer.are_near(batch);
        let most = if apart { 1 } else { small::most_in_turn::<S>(lines) };
        if on.pass.active == [batch] && (fours > 0 || most == 1) && on.layer.one_stream.is_some() {
            return on.one_step(simd, fours);
        }
        if batch <= FEW && (inputs > BLOCK || pays::<S, f32>(lines, bytes, inputs)) {
            for stream in 0..batch {
                on.x_ahead(simd, stream);
            }
            return;
        }
        for first in (0..4 * fours).step_by(4) {
            on.side_by_side(simd, first..first + 4);
        }
        for first in (4 * fours..batch).step_by(most) {
            on.in_turn(simd, first..usize::min(first + most, batch), 0);
        }
    }
}

impl LayerPass<'_, f32> {
    /// All steps of one stream, x's part of some of them at once.
    #[inline(always)]
    fn x_ahead<S: Simd>(&mut self, simd: S, stream: usize) {
        // The streams that come after it have no more.
        let (all, mut done) = (self.steps(stream), 0);
        self.pass.active = &self.pass.active[..all];
        while done < all {
            let (first, len) = self.pass.chunk(done, AHEAD);
            let (layer, pass) = (self.layer, &mut self.pass);
            let (batch, Sizes { input, hidden, .. }, lines) = (pass.batch, layer.sizes, layer.bias.len());
            let row = first * batch + stream;
            let (w_ih, w_hh) = layer.tensors();
            let columns = Columns { data: w_ih, lines, soon: &[] };
            let x = Rows { data: &pass.x[row * input..], stride: batch * input, len: input };
            let mut z = Sums { data: &mut *pass.z, stride: lines };
            product::add::<S, f32>(simd, columns, x, Some(&layer.bias), &mut z, len);
            let state = stream * 4 * lines..(stream + 1) * 4 * lines;
            let backwards = pass.backwards(done);
            let steps = Recurrence {
                w_ih: &[],
                w_hh,
                bias: pass.z,
                x: &[],
                x_stride: 0,
                x_skip: 0,
                input: 0,
                h: &mut pass.h[state.clone()],
                c: &mut pass.c[state],
                hidden,
                out: &mut pass.out[row * pass.out_stride + pass.out_first..],
                out_row: pass.out_stride,
                out_stride: batch * pass.out_stride,
                out_skip: 0,
                steps: len,
                reverse: pass.reverse,
                backwards,
            };
            macro_rules! enter {
                ($($lines:literal $h:literal,)*) => { match (lines, chains(hidden, lines)) {
                    $( ($lines, $h) => simd.enter(small::Steps::<1, $lines, 0, $h>(steps)), )*
                    _ => debug_assert!(false, "no function for a small layer of these sizes"),
                } };
            }
            enter!(1 1, 1 4, 2 4, 3 4, 4 2, 5 2, 6 2, 7 2, 8 2, 9 2, 10 2, 11 2, 12 2,);
            done += len;
        }
    }

    /// The only step of all streams. By a call for each, as below, that would take more than a tenth longer: 32 streams
    /// of (1, 16) with AVX-512 46 for 39 ns each on Zen 4, of (10, 20) with AVX2 122 for 95.
    #[inline(always)]
    fn one_step<S: Simd>(&mut self, simd: S, fours: usize) {
        if fours > 0 {
            self.streams(simd, 0..4 * fours, 4, 0..1);
        }
        let (layer, pass) = (self.layer, &mut self.pass);
        let Some(OneStream { token, .. }) = layer.one_stream else {
            return debug_assert!(false, "no function for a small layer of these sizes");
        };
        let (Sizes { input, hidden, .. }, padded) = (layer.sizes, layout::padded(layer.sizes.hidden));
        let states = pass.h.chunks_exact_mut(padded).zip(pass.c.chunks_exact_mut(padded)).enumerate();
        for (n, (h, c)) in states.take(pass.batch).skip(4 * fours) {
            let x = &pass.x[n * input..][..input];
            let out = pass.out[n * pass.out_stride + pass.out_first..].get_mut(..hidden).unwrap_or_default();
            layer.step(token, &mut OneStep { x, h, c, out, room: &mut [], backwards: pass.backwards });
        }
    }

    /// All steps of four streams.
    #[inline(always)]
    fn side_by_side<S: Simd>(&mut self, simd: S, four: Range<usize>) {
        // Streams that are longer do the rest in turn: after the others, or before them if reversed. (Two places that
        // call for four: one alone would be inlined, (1, 8) and (10, 20) 7 % slower.)
        let (together, reverse) = (self.steps(four.end - 1), self.pass.reverse);
        if !reverse {
            self.streams(simd, four.clone(), 4, 0..together);
        }
        self.in_turn(simd, four.clone(), together);
        if reverse {
            self.streams(simd, four, 4, 0..together);
        }
    }

    /// All steps of some streams from a time on, each time step of all of them before the next.
    #[inline(always)]
    fn in_turn<S: Simd>(&mut self, simd: S, streams: Range<usize>, from: usize) {
        let (mut times, reverse) = (from..self.steps(streams.start), self.pass.reverse);
        while !times.is_empty() {
            // For as long as they are the same streams.
            let end = usize::min(streams.end, self.pass.active[if reverse { times.end - 1 } else { times.start }]);
            let some = if !reverse {
                times.start..self.steps(end - 1)
            } else if end < streams.end {
                usize::max(times.start, self.steps(end))..times.end
            } else {
                times.clone()
            };
            times = if reverse { times.start..some.start } else { some.end..times.end };
            self.streams(simd, streams.start..end, 1, some);
        }
    }

    /// How many steps a stream has.
    fn steps(&self, stream: usize) -> usize {
        self.pass.active.partition_point(|&active| active > stream)
    }

    /// Some steps of some streams, in turn if there are more than go `together`: one or four.
    #[inline(always)]
    fn streams<S: Simd>(&mut self, simd: S, streams: Range<usize>, together: usize, times: Range<usize>) {
        if times.is_empty() {
            return;
        }
        let (layer, pass) = (self.layer, &mut self.pass);
        let (sizes, padded) = (layer.sizes, layout::padded(layer.sizes.hidden));
        let (w_ih, w_hh) = layer.tensors();
        let turns = streams.len() / together;
        let (rows, skip) = if turns > 1 { (together, pass.batch - streams.len()) } else { (pass.batch, 0) };
        let row = times.start * pass.batch + streams.start;
        let states = streams.start * padded..streams.end * padded;
        let steps = Recurrence {
            w_ih,
            w_hh,
            bias: &layer.bias,
            x: &pass.x[row * sizes.input..],
            x_stride: rows * sizes.input,
            x_skip: skip * sizes.input,
            input: sizes.input,
            h: &mut pass.h[states.clone()],
            c: &mut pass.c[states],
            hidden: sizes.hidden,
            out: &mut pass.out[row * pass.out_stride + pass.out_first..],
            out_row: pass.out_stride,
            out_stride: rows * pass.out_stride,
            out_skip: skip * pass.out_stride,
            steps: times.len() * turns,
            reverse: pass.reverse,
            backwards: pass.backwards,
        };
        layer.enter(simd, together, steps);
    }
}

impl<E: Element> Packed<E> {
    /// The layer of these weights, which are widened if that suits it. `step`: as in
    /// [`ready_for_one_step`](Self::ready_for_one_step).
    pub(super) fn widened_if_small(
        self,
        token: Token,
        step: Step<E>,
        layer: impl FnOnce(Self) -> PackedLayer,
    ) -> PackedLayer {
        let in_f16 = E::F16 && token.isa() == Isa::V4F16;
        let near = self.sizes.columns() * size_of_val(&self.bias[..]) <= NEAR;
        if self.small && near && !in_f16 {
            let layer = self.widened().ready_for_one_stream(token);
            PackedLayer::F32(layer.ready_for_one_step(token, of_f32::step))
        } else {
            layer(self.ready_for_one_step(token, step))
        }
    }

    fn widened(self) -> Packed<f32> {
        let (share, lines) = (E::FORM.share, self.bias.len());
        let (w_ih, w_hh) = self.tensors();
        let mut columns = Vec::with_capacity(self.sizes.columns() * lines);
        for (count, packed) in [(self.sizes.input, w_ih), (self.sizes.output(), w_hh)] {
            for k in 0..count {
                for line in &packed[k / share * lines..][..lines] {
                    let mut wide = Line::ZERO;
                    E::load(Scalar, line, k % share).store(Scalar, &mut wide.0);
                    columns.push(wide);
                }
            }
        }
        let Self { sizes, bias, groups, small, .. } = self;
        let x_lines = sizes.input * lines;
        let (overlap, projection, one_stream, one_step) = (None, None, None, None);
        Packed { sizes, bias, columns, overlap, x_lines, groups, projection, small, one_stream, one_step }
    }
}

impl Packed<f32> {
    /// Whether a pass of so many streams and steps goes this way: if they [`are_near`](Self::are_near), or are few
    /// streams of more than a few steps.
    pub(super) fn serves(&self, batch: usize, steps: usize) -> bool {
        let few = batch <= FEW && steps >= 2 * batch && self.bias.len() < MAX_LINES;
        self.small && (batch == 1 || few || self.are_near(batch))
    }

    /// Whether the nearest cache holds all that a step of so many streams touches, and x is one block.
    fn are_near(&self, batch: usize) -> bool {
        let Sizes { input, hidden, .. } = self.sizes;
        let stream = (2 * layout::padded(hidden) + input + hidden) * size_of::<f32>();
        let all = size_of_val(&self.columns[..]) + usize::min(batch, MOST_IN_TURN) * stream;
        all <= NEAR && input <= BLOCK
    }

    /// Ready for what is small: if it is, and x is one block of columns.
    pub(super) fn ready_for_one_stream(mut self, token: Token) -> Self {
        let (Sizes { input, hidden, .. }, lines) = (self.sizes, self.bias.len());
        if self.small && input <= BLOCK {
            let functions = OneStream::new(token, lines, chains(input, lines), chains(hidden, lines));
            (self.one_stream, self.one_step) = functions.unzip();
        }
        self
    }

    /// Some steps of streams through a small layer, one or four of them `together`.
    #[inline(always)]
    fn enter<S: Simd>(&self, simd: S, together: usize, steps: Recurrence<'_>) {
        if together == 1 {
            let Some(one) = self.one_stream else {
                return debug_assert!(false, "no function for a small layer of these sizes");
            };
            return (one.steps)(one.token, steps);
        }
        let lines = self.bias.len();
        macro_rules! enter {
            ($($lines:literal $x:literal $h:literal,)*) => {
                match (lines, chains(self.sizes.input, lines), chains(self.sizes.hidden, lines)) {
                    $( ($lines, $x, $h) => simd.enter(small::Steps::<4, $lines, $x, $h>(steps)), )*
                    _ => debug_assert!(false, "no function for a small layer of these sizes"),
                }
            };
        }
        enter!(1 1 1, 1 4 1, 1 1 4, 1 4 4, 2 1 4, 2 4 4, 3 1 4, 3 4 4, 4 1 2, 4 2 2, 5 1 2, 5 2 2,);
    }
}
