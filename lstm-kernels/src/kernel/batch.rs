//! One step of each of many streams of a cell.
//!
//! Streams of a small cell are stepped four at a time, or one after the other where one keeps the units busy. Two that
//! are left share the weights of a cell of several groups, which one would wait for: two of (64, 64) 42 % faster with
//! AVX-512 and 33 % with AVX2 on Zen 4, (1, 64) 32 and 29 %, (64, 64) in bf16 15 and 20 %. Streams of a large cell go
//! over its weights together, up to 32, panel by panel as in a batch of [`Lstm`](crate::lstm::Lstm) ([`product`]): read
//! anew for every four, weights come from the L2 cache or from beyond it each time. On Zen 4, 32 streams with AVX-512
//! and AVX2, against four at a time: (128, 128) 10 and 8 % faster, (256, 256) 13 and 33 %, (512, 512) 19 and 29 %; in
//! bf16 9 and 2 %, 9 and 12 %; three of (256, 256), which were alone before, 32 and 41 %. Cells of less than 256 KiB
//! lose what the sums cost that go through memory: (64, 64) 2 % with AVX-512, though with AVX2 it is 5 % faster, (1,
//! 64) 7 %.

use core::array::from_mut;

use super::product::{self, Columns, Rows, Sums};
use super::{Activate, Alone, Step, Weights};
use crate::element::{Element, adds_in_f16};
use crate::layout::{Line, MAX_LINES, packed};
use crate::simd::{Op, Simd};
use crate::state::State;

/// One step of each of many streams.
pub(crate) struct StepBatch<'a, E: Element, const I: usize, const H: usize, const HP: usize, const LAST: usize> {
    pub(crate) weights: Weights<'a, E, I, H, LAST>,
    pub(crate) xs: &'a [[f32; I]],
    pub(crate) states: &'a mut [State<H, HP>],
}

impl<E: Element, const I: usize, const H: usize, const HP: usize, const LAST: usize> StepBatch<'_, E, I, H, HP, LAST> {
    /// See [`together_from`].
    const fn together_from<S: Simd>() -> usize {
        together_from::<S, E>(HP / 4, packed(E::FORM, I) + packed(E::FORM, H))
    }
}

impl<E: Element, const I: usize, const H: usize, const HP: usize, const LAST: usize> Op
    for StepBatch<'_, E, I, H, HP, LAST>
{
    type Output = ();

    const F16: bool = E::F16;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let (weights, mut states, mut xs) = (self.weights, self.states, self.xs);
        // (Four are a tile: there is nothing to share.)
        if const { Self::together_from::<S>() < usize::MAX } && xs.len() >= Self::together_from::<S>() && xs.len() != 4
        {
            // At most 32 KiB of h on the stack, and no more than are needed, for all is set to zero.
            return match const { HP.div_ceil(256) } {
                1 if xs.len() > 8 => together::<S, E, I, H, HP, LAST, 32>(simd, weights, xs, states),
                2 if xs.len() > 8 => together::<S, E, I, H, HP, LAST, 16>(simd, weights, xs, states),
                _ => together::<S, E, I, H, HP, LAST, 8>(simd, weights, xs, states),
            };
        }
        macro_rules! tiles_of {
            ($n:literal) => {
                let (tiles, rest) = states.as_chunks_mut::<$n>();
                let (x_tiles, x_rest) = xs.as_chunks::<$n>();
                for (states, xs) in tiles.iter_mut().zip(x_tiles) {
                    simd.enter(Step { weights, x: xs.each_ref(), states });
                }
                (states, xs) = (rest, x_rest);
            };
        }
        if const { streams::<S, E>(HP / 4, I + H) == 4 } {
            tiles_of!(4);
        }
        // Of a cell of several groups, two that are left.
        if const { !S::PORTABLE && HP > LAST * 4 && Self::together_from::<S>() > 2 } {
            tiles_of!(2);
        }
        for (state, x) in states.iter_mut().zip(xs) {
            let step = Alone(Step { weights, x: [x], states: from_mut(state) });
            // Not through `early` or, of small f32, `narrow`, where streams in turn lose; else by the function that
            // `step` and `run` enter, so that there is only one.
            if const { Alone::<Step<'_, E, I, H, HP, LAST, 1>>::early::<S>() } || E::IS_F32 && simd.narrows(&step) {
                simd.enter(step.0);
            } else {
                simd.enter(step);
            }
        }
    }
}

/// Streams that a kernel steps together: four, but where one alone keeps the units busy (Zen 5: (1, 40) 79 against 86
/// ns, (10, 40) 90 against 104). That is from 6 to 12 lines of f32 that an L1 cache holds beside the states (beyond it,
/// (48, 48) 420 against 195), and with few registers from 3 to 5 lines. With these one line for four streams also asks
/// for fewer loads than four lines for one: on Zen 4 (1, 36) 156 against 174 ns, (32, 32) 217 against 264, (1, 32) the
/// same.
pub(super) const fn streams<S: Simd, E: Element>(lines: usize, columns: usize) -> usize {
    let few = !S::MANY_REGISTERS;
    let one = S::PORTABLE
        || match lines {
            3..=5 => few,
            6..=12 => E::IS_F32 && size_of::<Line>() * lines * columns <= if few { 20 << 10 } else { 32 << 10 },
            _ => false,
        };
    if one { 1 } else { 4 }
}

/// How many streams at least go over a cell's weights [`together`], which small cells' never do. Of half types, and
/// with few registers, two or three are faster as a tile ((128, 128) in bf16 7 to 10 % on Zen 4, (64, 64) with AVX2 two
/// 15 %). Weights of any type count as f32.
const fn together_from<S: Simd, E: Element>(lines: usize, columns: usize) -> usize {
    let bytes = size_of::<Line>() * lines * columns;
    if S::PORTABLE || adds_in_f16::<S, E>() || lines <= MAX_LINES || lines > 256 {
        return usize::MAX;
    }
    match bytes >> 10 {
        256.. if E::IS_F32 => 2,
        256.. => 5,
        128.. if !S::MANY_REGISTERS => 5,
        _ => usize::MAX,
    }
}

/// One step of each of many streams of a layer of several groups, `N` streams at a time.
#[inline(always)]
fn together<S, E, const I: usize, const H: usize, const HP: usize, const LAST: usize, const N: usize>(
    simd: S,
    weights: Weights<'_, E, I, H, LAST>,
    xs: &[[f32; I]],
    states: &mut [State<H, HP>],
) where
    S: Simd,
    E: Element,
{
    let (bias, last) = (weights.bias, weights.last());
    let mut hs = [[0.0; HP]; N];
    let mut z = [[Line::ZERO; MAX_LINES]; N];
    for (xs, states) in xs.chunks(N).zip(states.chunks_mut(N)) {
        for (h, state) in hs.iter_mut().zip(&*states) {
            h[..H].copy_from_slice(state.h());
        }
        let x = Rows { data: xs.as_flattened(), stride: I, len: I };
        let h = Rows { data: hs.as_flattened(), stride: HP, len: H };
        let backwards = State::turn_round(states);
        let group = |n: usize| weights.group(if backwards { last - n } else { n });
        for n in 0..=last {
            let (lines, first, w_ih, w_hh) = group(n);
            let next = if n < last { group(n + 1).2 } else { &[] };
            for (data, soon, inputs, start) in [(w_ih, w_hh, x, Some(&bias[first..][..lines])), (w_hh, next, h, None)] {
                let mut sums = Sums { data: z.as_flattened_mut(), stride: MAX_LINES };
                product::add::<S, E>(simd, Columns { data, lines, soon }, inputs, start, &mut sums, xs.len());
            }
            for (z, state) in z.iter().zip(&mut *states) {
                let ((h, c), units) = (state.lanes_mut(), 4 * first..4 * (first + lines));
                simd.enter(Activate { z: &z[..lines], h: &mut h[units.clone()], c: &mut c[units] });
            }
        }
    }
}
