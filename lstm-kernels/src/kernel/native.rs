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
//! Chains of 4 columns halve the error of a chain, at 1.1 times the time of 8; 16 gain nothing more. The gates are those
//! of every other kernel, in f32.
//!
//! **Range.** x beyond 65,504 counts as 65,504. Products that sum up to more than that in one chain are infinite, as
//! they are in any arithmetic in f16.

use crate::element::F16Line;
use crate::kernel::activate;
use crate::layout::{F16, Line, group_lines};
use crate::simd::{F16Simd, Vector};
use crate::state::State;

/// Columns whose products are summed in f16.
const CHAIN: usize = 8;

/// The high half of a pair of lines that has no second one.
const NONE: F16Line = F16Line([0; 16]);

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
    if const { group_lines(F16, H) == 4 } {
        groups::<S, I, H, HP, LAST, 4, T>(simd, bias, columns, x, states);
    } else {
        groups::<S, I, H, HP, LAST, 8, T>(simd, bias, columns, x, states);
    }
}

/// One step of a layer of groups of `G` lines, and a last one of `LAST`.
#[inline(always)]
fn groups<S, const I: usize, const H: usize, const HP: usize, const LAST: usize, const G: usize, const T: usize>(
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
    let (bias, last_bias) = bias.split_at(bias.len() - LAST);
    let (full, last) = columns.split_at(columns.len() - (I + H) * LAST);
    let count = bias.len() / G;
    let backwards = states[0].turn();
    for n in 0..=count {
        let n = if backwards { count - n } else { n };
        let first = n * G * 4;
        if n < count {
            let (bias, group) = (&bias[n * G..][..G], &full[n * (I + H) * G..][..(I + H) * G]);
            let z = sums::<S, I, H, G, T>(simd, bias, group, &xs, &hs);
            for t in 0..T {
                let (h, c) = states[t].lanes_mut();
                activate::<S, G, false>(simd, &z[t], &mut h[first..], &mut c[first..]);
            }
        } else {
            let z = sums::<S, I, H, LAST, T>(simd, last_bias, last, &xs, &hs);
            for t in 0..T {
                let (h, c) = states[t].lanes_mut();
                activate::<S, LAST, false>(simd, &z[t], &mut h[first..], &mut c[first..]);
            }
        }
    }
}

/// The inputs in f16, each twice in 32 bits: what a broadcast takes straight from memory.
#[inline(always)]
fn twice<S: F16Simd, const N: usize>(simd: S, inputs: &[f32; N], pairs: &mut [u32; N]) {
    let ((inputs, input_rest), (pairs, pair_rest)) = (inputs.as_chunks(), pairs.as_chunks_mut());
    for (inputs, pairs) in inputs.iter().zip(pairs) {
        *pairs = simd.twice(inputs);
    }
    if const { N % 16 > 0 } {
        let mut lanes = [0.0; 16];
        lanes[..N % 16].copy_from_slice(input_rest);
        pair_rest.copy_from_slice(&simd.twice(&lanes)[..N % 16]);
    }
}

/// The pre-activations of one group of `R` lines, for `T` streams.
#[inline(always)]
fn sums<S: F16Simd, const I: usize, const H: usize, const R: usize, const T: usize>(
    simd: S,
    bias: &[Line],
    columns: &[F16Line],
    x: &[[u32; I]; T],
    h: &[[u32; H]; T],
) -> [[S::Row; R]; T] {
    let mut z = [[<S::Row as Vector<S, 16>>::splat(simd, 0.0); R]; T];
    each_of_4!(t < T => { each!(n < R => { z[t][n] = S::Row::load(simd, &bias[n].0); }); });
    let (w_ih, w_hh) = columns.split_at(I * R);
    let (mut xs, mut hs) = ([&[][..]; T], [&[][..]; T]);
    each_of_4!(t < T => { (xs[t], hs[t]) = (&x[t], &h[t]); });
    // One stream: up to 6 pairs of lines, 12 sums and 6 chains, in registers. Four streams: 2 pairs.
    macro_rules! tiles {
        ($($first:literal)*) => { $(
            if const { T > 1 && $first < R } {
                if const { R >= $first + 3 } {
                    add::<S, R, 2, T>(simd, &mut z, w_ih, xs, $first);
                    add::<S, R, 2, T>(simd, &mut z, w_hh, hs, $first);
                } else {
                    add::<S, R, 1, T>(simd, &mut z, w_ih, xs, $first);
                    add::<S, R, 1, T>(simd, &mut z, w_hh, hs, $first);
                }
            }
        )* };
        (@ $($pairs:literal)*) => { $(
            if const { T == 1 && R.div_ceil(2) == $pairs } {
                add::<S, R, $pairs, T>(simd, &mut z, w_ih, xs, 0);
                add::<S, R, $pairs, T>(simd, &mut z, w_hh, hs, 0);
            }
        )* };
    }
    tiles!(0 4 8);
    tiles!(@ 1 2 3 4 5 6);
    z
}

/// z += columns * inputs, for `N` pairs of the `R` lines of `T` streams, from line `first` on.
#[inline(always)]
fn add<S: F16Simd, const R: usize, const N: usize, const T: usize>(
    simd: S,
    z: &mut [[S::Row; R]; T],
    columns: &[F16Line],
    inputs: [&[u32]; T],
    first: usize,
) {
    let (mut blocks, mut rests) = ([&[][..]; T], [&[][..]; T]);
    each_of_4!(t < T => { (blocks[t], rests[t]) = inputs[t].as_chunks::<CHAIN>(); });
    let mut rounds = columns.chunks_exact(CHAIN * R);
    for (k, round) in rounds.by_ref().take(blocks[0].len()).enumerate() {
        let mut inputs = [&[][..]; T];
        each_of_4!(t < T => { inputs[t] = &blocks[t][k]; });
        chain::<S, R, N, T>(simd, z, round, inputs, first);
    }
    if !rests[0].is_empty() {
        chain::<S, R, N, T>(simd, z, rounds.remainder(), rests, first);
    }
}

/// At most [`CHAIN`] columns, and at least one.
#[inline(always)]
fn chain<S: F16Simd, const R: usize, const N: usize, const T: usize>(
    simd: S,
    z: &mut [[S::Row; R]; T],
    columns: &[F16Line],
    inputs: [&[u32]; T],
    first: usize,
) {
    let mut chains = [[simd.splat(0); N]; T];
    for (k, column) in columns.chunks_exact(R).enumerate() {
        let mut v = [simd.splat(0); T];
        each_of_4!(t < T => { v[t] = simd.splat(inputs[t][k]); });
        each!(n < N => {
            let low = first + 2 * n;
            let lanes = simd.join(&column[low].0, if low + 1 < R { &column[low + 1].0 } else { &NONE.0 });
            each_of_4!(t < T => {
                chains[t][n] = if k == 0 { simd.mul(lanes, v[t]) } else { simd.mul_add(lanes, v[t], chains[t][n]) };
            });
        });
    }
    each_of_4!(t < T => { each!(n < N => {
        let (low, [even, odd]) = (first + 2 * n, simd.widen(chains[t][n]));
        z[t][low] = z[t][low].add(simd, even);
        if low + 1 < R {
            z[t][low + 1] = z[t][low + 1].add(simd, odd);
        }
    }); });
}
