//! One time step whose products are made and summed in f16, for instruction sets that can ([`F16Simd`]).
//!
//! Storage in f16 halves the bytes, but a line must be widened before it is used: on AVX-512 that takes the two units
//! that multiply, 1.5 cycles a line with the product, while a line of f32 comes from the L2 cache in 1.3. Arithmetic
//! in f16 has twice the lanes and needs no widening: half a cycle a line.
//!
//! **The order of a sum.** x and h are rounded to f16 once a step. z begins as the bias, in f32. x's columns and then
//! h's are taken [`CHAIN`] at a time; each such chain is a product and fused multiply-adds in f16, which is widened and
//! added to z in f32:
//!
//! ```text
//! z += f32(w[7] v[7] + (... + (w[1] v[1] + (w[0] v[0]))))          (inside: f16, each + fused)
//! ```
//!
//! Chains of 4 columns halve the error of a chain, at 1.1 times the time of 8; 16 gain nothing more. The gates are
//! those of every other kernel, in f32.
//!
//! **Range.** x beyond 65,504 counts as 65,504. Products that sum up to more than that in one chain are infinite, as
//! they are in any arithmetic in f16.

use super::gates::{Lanes, activate};
use super::group_columns;
use crate::element::F16Line;
use crate::layout::{F16, Line};
use crate::simd::{F16Simd, Vector};
use crate::state::State;

/// Columns whose products are summed in f16.
const CHAIN: usize = 8;

/// The high half of a pair of lines that has no second one.
const NONE: F16Line = F16Line([0; 16]);

/// Lines in each group but the last.
const G: usize = F16.group;

/// One step of `T` streams, as [`step`](super::step).
#[inline(always)]
pub(super) fn step<S, const I: usize, const H: usize, const HP: usize, const LAST: usize, const T: usize>(
    simd: S,
    bias: &[Line],
    columns: &[F16Line],
    x: [&[f32; I]; T],
    states: &mut [State<H, HP>; T],
) where
    S: F16Simd,
{
    let (mut xs, mut hs) = ([[0; I]; T], [[0; H]; T]);
    for t in 0..T {
        twice(simd, x[t], &mut xs[t]);
        twice(simd, states[t].h(), &mut hs[t]);
    }
    macro_rules! group {
        ($lines:ident, $n:expr) => {
            let (w_ih, w_hh) = group_columns(columns, [I, H], bias.len(), $n * G, $lines);
            let z = sums::<S, I, H, $lines, T>(simd, &bias[$n * G..][..$lines], w_ih, w_hh, &xs, &hs);
            for t in 0..T {
                let ((h, c), first) = (states[t].lanes_mut(), $n * G * 4);
                activate::<S, $lines, false>(simd, &z[t], Lanes::new(&mut h[first..], &mut c[first..]));
            }
        };
    }
    let count = (bias.len() - LAST) / G;
    let backwards = State::turn_round(states);
    for n in 0..=count {
        let n = if backwards { count - n } else { n };
        if n < count {
            group!(G, n);
        } else {
            group!(LAST, count);
        }
    }
}

/// The inputs in f16, each twice in 32 bits: what a broadcast takes straight from memory.
#[inline(always)]
pub(crate) fn twice<S: F16Simd>(simd: S, inputs: &[f32], pairs: &mut [u32]) {
    let ((inputs, input_rest), (pairs, pair_rest)) = (inputs.as_chunks(), pairs.as_chunks_mut());
    for (inputs, pairs) in inputs.iter().zip(pairs) {
        *pairs = simd.twice(inputs);
    }
    if !input_rest.is_empty() {
        let mut lanes = [0.0; 16];
        lanes[..input_rest.len()].copy_from_slice(input_rest);
        pair_rest.copy_from_slice(&simd.twice(&lanes)[..input_rest.len()]);
    }
}

/// The pre-activations of one group of `R` lines, for `T` streams.
#[inline(always)]
fn sums<S: F16Simd, const I: usize, const H: usize, const R: usize, const T: usize>(
    simd: S,
    bias: &[Line],
    w_ih: &[F16Line],
    w_hh: &[F16Line],
    x: &[[u32; I]; T],
    h: &[[u32; H]; T],
) -> [[S::Row; R]; T] {
    let (mut xs, mut hs) = ([&[][..]; T], [&[][..]; T]);
    each_of_4!(t < T => { (xs[t], hs[t]) = (&x[t], &h[t]); });
    let mut out = [[<S::Row as Vector<S, 16>>::splat(simd, 0.0); R]; T];
    macro_rules! tile {
        ($lines:expr, $first:expr) => {{
            let first = $first;
            let x = Part { columns: w_ih, stride: R, first, inputs: xs };
            let h = Part { columns: w_hh, stride: R, first, inputs: hs };
            tile::<S, R, { $lines }, T>(simd, &mut out, bias, x, h);
        }};
    }
    // One stream: all lines together, up to 12 sums and 6 chains in registers. Four streams: 4 lines, 16 and 8.
    if const { T == 1 } {
        tile!(R, 0);
        return out;
    }
    if const { R >= 4 } {
        tile!(4, 0);
    }
    if const { R >= 8 } {
        tile!(4, 4);
    }
    if const { R >= 12 } {
        tile!(4, 8);
    }
    match const { R % 4 } {
        1 => tile!(1, R / 4 * 4),
        2 => tile!(2, R / 4 * 4),
        3 => tile!(3, R / 4 * 4),
        _ => {}
    }
    out
}

/// `N` of the `R` lines of z.
#[inline(always)]
fn tile<S: F16Simd, const R: usize, const N: usize, const T: usize>(
    simd: S,
    out: &mut [[S::Row; R]; T],
    bias: &[Line],
    x: Part<'_, T>,
    h: Part<'_, T>,
) {
    let (first, mut z) = (x.first, [[<S::Row as Vector<S, 16>>::splat(simd, 0.0); N]; T]);
    each_of_4!(t < T => { each!(n < N => { z[t][n] = S::Row::load(simd, &bias[first + n].0); }); });
    add(simd, &mut z, x);
    add(simd, &mut z, h);
    each_of_4!(t < T => { each!(n < N => { out[t][first + n] = z[t][n]; }); });
}

/// Columns of `stride` lines each, of which those from `first` on are wanted, and what they are multiplied by: pairs of
/// equal f16.
pub(crate) struct Part<'a, const T: usize> {
    pub(crate) columns: &'a [F16Line],
    pub(crate) stride: usize,
    pub(crate) first: usize,
    pub(crate) inputs: [&'a [u32]; T],
}

/// z += columns * inputs, for `N` lines of `T` streams.
#[inline(always)]
pub(crate) fn add<S: F16Simd, const N: usize, const T: usize>(
    simd: S,
    z: &mut [[S::Row; N]; T],
    Part { columns, stride, first, inputs }: Part<'_, T>,
) {
    let (mut blocks, mut rests) = ([&[][..]; T], [&[][..]; T]);
    each_of_4!(t < T => { (blocks[t], rests[t]) = inputs[t].as_chunks::<CHAIN>(); });
    let mut rounds = columns.chunks_exact(CHAIN * stride);
    for (k, columns) in rounds.by_ref().take(blocks[0].len()).enumerate() {
        let mut inputs = [&[][..]; T];
        each_of_4!(t < T => { inputs[t] = &blocks[t][k]; });
        chain(simd, z, Part { columns, stride, first, inputs });
    }
    if !rests[0].is_empty() {
        chain(simd, z, Part { columns: rounds.remainder(), stride, first, inputs: rests });
    }
}

/// At most [`CHAIN`] columns, and at least one. Two lines make one operand.
#[inline(always)]
fn chain<S: F16Simd, const N: usize, const T: usize>(
    simd: S,
    z: &mut [[S::Row; N]; T],
    Part { columns, stride, first, inputs }: Part<'_, T>,
) {
    let mut chains = [[simd.splat(0); N]; T];
    for (k, column) in columns.chunks_exact(stride).enumerate() {
        let mut v = [simd.splat(0); T];
        each_of_4!(t < T => { v[t] = simd.splat(inputs[t][k]); });
        let column = &column[first..][..N];
        each!(n < N => {
            if n.is_multiple_of(2) {
                let lanes = simd.join(&column[n].0, if n + 1 < N { &column[n + 1].0 } else { &NONE.0 });
                each_of_4!(t < T => {
                    chains[t][n] = if k == 0 { simd.mul(lanes, v[t]) } else { simd.mul_add(lanes, v[t], chains[t][n]) };
                });
            }
        });
    }
    each_of_4!(t < T => { each!(n < N => {
        if n.is_multiple_of(2) {
            let [low, high] = simd.widen(chains[t][n]);
            z[t][n] = z[t][n].add(simd, low);
            if n + 1 < N {
                z[t][n + 1] = z[t][n + 1].add(simd, high);
            }
        }
    }); });
}

/// On a CPU without arithmetic in f16 too: in software, beside the oracle.
#[cfg(all(test, feature = "alloc"))]
mod tests {
    use alloc::vec::Vec;

    use half::f16;

    use super::*;
    use crate::element::Element;
    use crate::layout::{last_group, lines, padded, tensor_lines};
    use crate::reference::Cell;
    use crate::simd::{Scalar, Simd};
    use crate::weights::{LstmWeights, Sizes};

    // Never inlined, or the kernels, full of conversions, take long to build.
    impl F16Simd for Scalar {
        type Lanes = [f16; 32];

        #[inline(never)]
        fn twice(self, lanes: &[f32; 16]) -> [u32; 16] {
            lanes.map(|lane| u32::from(f16::from_f32(lane).to_bits()) * 0x1_0001)
        }

        #[inline(never)]
        fn splat(self, pair: u32) -> [f16; 32] {
            core::array::from_fn(|n| f16::from_bits((pair >> (n % 2 * 16)) as u16))
        }

        #[inline(never)]
        fn join(self, low: &[u16; 16], high: &[u16; 16]) -> [f16; 32] {
            core::array::from_fn(|n| f16::from_bits(if n < 16 { low[n] } else { high[n - 16] }))
        }

        #[inline(never)]
        fn mul(self, a: [f16; 32], b: [f16; 32]) -> [f16; 32] {
            core::array::from_fn(|n| f16::from_f32(a[n].to_f32() * b[n].to_f32()))
        }

        #[inline(never)]
        fn mul_add(self, a: [f16; 32], b: [f16; 32], c: [f16; 32]) -> [f16; 32] {
            core::array::from_fn(|n| f16::from_f64(a[n].to_f64() * b[n].to_f64() + c[n].to_f64()))
        }

        #[inline(never)]
        fn widen(self, lanes: [f16; 32]) -> [<Self as Simd>::Row; 2] {
            let bits = lanes.map(f16::to_bits);
            let (halves, _) = bits.as_chunks();
            [self.widen_f16(&halves[0]), self.widen_f16(&halves[1])]
        }
    }

    /// `count` numbers of f16 within a bound, other ones for each seed.
    fn numbers(seed: u32, count: usize, bound: f32) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f16::from_f32(((state >> 8) as f32 / (1 << 23) as f32 - 1.0) * bound).to_f32()
        };
        (0..count).map(|_| next()).collect()
    }

    /// Steps of `T` streams beside the oracle's.
    fn compare<const I: usize, const H: usize, const HP: usize, const LAST: usize, const T: usize>() {
        let bound = 1.0 / (H as f32).sqrt();
        let (weight_ih, weight_hh) = (numbers(1, 4 * H * I, bound), numbers(2, 4 * H * H, bound));
        let (bias_ih, bias_hh) = (numbers(3, 4 * H, bound), numbers(4, 4 * H, bound));
        let weights = LstmWeights::torch(&weight_ih, &weight_hh, Some((&bias_ih, &bias_hh)));
        let mut bias = alloc::vec![Line::ZERO; lines(H)];
        let mut columns = alloc::vec![<f16 as Element>::ZERO; tensor_lines(F16, I, H)];
        weights.pack::<f16>(Sizes { input: I, hidden: H, proj: None }, LAST, &mut bias, &mut columns);
        let oracle = Cell::new(&weights, I, H).expect("good weights");
        let (mut states, mut exact) = ([State::<H, HP>::zero(); T], [([0.0; H], [0.0; H]); T]);
        for time in 0..6 {
            let xs: [[f32; I]; T] = core::array::from_fn(|t| {
                let x = numbers((7 * time + t) as u32, I, 1.0);
                core::array::from_fn(|n| x[n])
            });
            step::<Scalar, I, H, HP, LAST, T>(Scalar, &bias, &columns, xs.each_ref(), &mut states);
            for ((state, x), (exact, c)) in states.iter().zip(xs).zip(&mut exact) {
                oracle.step(&x.map(f64::from), exact, c);
                for (&h, exact) in state.h().iter().zip(exact) {
                    let error = (f64::from(h) - *exact).abs();
                    assert!(error < 2e-3, "({I}, {H}), {T} streams, step {time}: {h} and {exact}");
                }
            }
        }
        assert!(states[0].h().iter().any(|h| h.abs() > 0.02), "({I}, {H}): nothing to compare");
    }

    #[test]
    fn arithmetic_in_f16_follows_the_oracle() {
        macro_rules! compare {
            ($($streams:literal: $($input:literal $hidden:literal,)*;)*) => { $( $(
                compare::<$input, $hidden, { padded($hidden) }, { last_group(F16, $hidden) }, $streams>();
            )* )* };
        }
        // One group, whose last line is full or not; two, three and more, with last ones of 5 to 12 lines. Of several
        // streams tiles of four lines, with one, two or three more.
        compare! {
            1: 1 3, 10 20, 9 33, 3 48, 5 64, 1 79, 4 100,;
            2: 9 33, 2 44,;
            4: 7 21, 2 52, 1 79,;
        }
    }
}
