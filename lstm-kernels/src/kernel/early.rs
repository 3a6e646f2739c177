//! A small step of one stream whose first units are ready early.
//!
//! All columns, then all gates: while the last gates are computed, the multiply-adds of the next step wait for h, and
//! while these are done, no gates fill the gaps. So here the layer is cut in two. The first units' h comes some time
//! before the others', and what the next step has to do with it, for all units, it does first:
//!
//! ```text
//! columns of the first units' h    of the others' h                  gates
//! for the others, for the first    for the first, for the others     of the first, of the others   `halves`
//! for all                          for the first, for the others     of the first, of the others   `blocks` of 5 lines
//! for all                          for the first                     of the first                  `blocks` of more
//!                                  for the others                    of the others
//! ```
//! (In the order of execution: from left to right, then down.)
//!
//! The order within each sum is what it always is, and so are the bits. The order of the whole matters because a
//! processor looks less far ahead than one might think: behind some 70 vector operations that wait, Zen 5 begins none,
//! though its window holds 448 (measured: independent products behind n that wait for a chain of divisions are done
//! meanwhile up to n = 60). The gates of 16 units are 80, so what stands behind them begins late.
//!
//! On Zen 5, ns: [`blocks`], with AVX-512, (1, 32) 56.5 to 52.3, (1, 24) 42.4 to 41.2, (10, 20) 37.6 to 36.9, (1, 40)
//! 76.8 to 74.8; [`halves`], 8 units of 16 where registers are few, with AVX2 (1, 16) 45.9 to 40.9. Where streams take
//! turns nobody waits, and blocks lose ((1, 32) 49 to 52).
//!
//! **Tried and lost.** All of the first units' columns and gates before any column of the others: (1, 32) 60, with AVX2
//! (1, 16) 46. For (1, 32) the order of 5 lines: 54.6; the others' columns between the quotients and the updates of the
//! first: 55. Two halves' quotients before the updates of both: (1, 16) 43. With AVX2 8 units at a time in larger
//! layers, where there is a broadcast for 4 multiply-adds and not for 8: (1, 20) 57 to 60, (1, 32) 106 to 116.
//!
//! On Zen 4 halves gain what they do on Zen 5 where 32 registers hold both ([`narrow`](super::narrow)): (1, 16) 48.7 to
//! 45.2. With AVX2, where sums wait in memory, they lose: 50.0 to 53.3, so they are left out there ([`pays`]). **Tried
//! and lost** with these 32 registers: 8, 8 and 4 units of (1, 20), 61 to 65; [`blocks`] of (10, 20), 72 to 76. With
//! AVX2 [`blocks`] in tiles of 4 lines, whose chains wait in memory: (1, 20) 68 to 80, (1, 32) 134 to 149, (32, 32) 255
//! to 267; all columns of 16 units and their gates before those of the others: (1, 32) 130 to 139, (32, 32) 241 to 256;
//! the gates of more than 16 units in halves: the same to 2 % slower. With AVX-512 the gates of the first 16
//! units of [`blocks`] in parts between the others' columns, as in [`woven`](super::woven): (1, 32) 2 %, its `run` 3 %
//! faster, with 4 inputs and more the same to 3 % slower; not worth a form of its own.

use core::hint::black_box;

use super::gates::{Lanes, activate, activate_8};
use super::sums::{Part, add, advance, join};
use crate::cpu::as_up_to_zen_4;
use crate::element::Element;
use crate::layout::Line;
use crate::simd::{Simd, Split, Vector};

/// A step, from x to the store of h, of one group of lines.
pub(super) struct OneGroup<'a, E: Element> {
    pub(super) bias: &'a [Line],
    pub(super) w_ih: &'a [E::Line],
    pub(super) x: &'a [f32],
    pub(super) w_hh: &'a [E::Line],
    pub(super) hidden: usize,
    pub(super) lanes: Lanes<'a>,
}

/// Whether a layer of so many lines, whose columns of x are in so many chains, gains from it.
pub(super) const fn serves<S: Simd, E: Element>(lines: usize, x_chains: usize) -> bool {
    // With more columns of x the units are busy: (24, 24) 5 %, (16, 32) 4 %, with AVX2 (16, 16) 3 % slower.
    E::IS_F32
        && match (lines, x_chains) {
            (4, 1) => !S::PORTABLE && !S::MANY_REGISTERS,
            (5, _) | (6 | 8 | 10 | 12, 1) => S::MANY_REGISTERS,
            _ => false,
        }
}

/// Whether one that it [`serves`] is faster, on this CPU.
#[inline(always)]
pub(super) fn pays<S: Simd>(lines: usize) -> bool {
    lines != 4 || S::BOTH_CHAINS || !as_up_to_zen_4()
}

/// The step, of `R` lines, with `X` chains of x's columns. Two of h's.
#[inline(always)]
pub(super) fn step<S: Simd, E: Element, const R: usize, const X: usize>(simd: S, step: OneGroup<'_, E>) {
    let OneGroup { bias, w_ih, x, w_hh, hidden, lanes } = step;
    let bias = &bias[..R];
    let mut z = [[S::Row::splat(simd, 0.0); R]];
    each!(n < R => { z[0][n] = S::Row::load(simd, &bias[n].0); });
    add::<S, E, R, 1, X>(simd, &mut z, Part { columns: w_ih, stride: R, first: 0, inputs: [x] });
    let [z] = z;
    if const { R == 4 } {
        let Some(z) = z.first_chunk() else { return };
        if hidden == 16 {
            // Lengths that the compiler knows: of sizes known at run time, (1, 16) 64 to 57 ns on Zen 4.
            return halves::<S, E>(simd, *z, &w_hh[..16 * 4], 16, lanes.split_at(16).0);
        }
        return halves::<S, E>(simd, *z, w_hh, hidden, lanes);
    }
    macro_rules! blocks {
        ($($first:literal + $others:literal)*) => { $( if const { R == $first + $others } {
            return blocks::<S, E, R, $first, $others>(simd, z, w_hh, hidden, lanes);
        } )* };
    }
    blocks!(4 + 1 4 + 2 4 + 4 8 + 2 8 + 4);
    debug_assert!(false, "`serves` has no {R} lines");
}

/// h's columns and the gates of `R` lines: of the first `A`, that are not folded, and the other `B`.
#[inline(always)]
fn blocks<S: Simd, E: Element, const R: usize, const A: usize, const B: usize>(
    simd: S,
    z: [S::Row; R],
    w_hh: &[E::Line],
    hidden: usize,
    lanes: Lanes<'_>,
) {
    let (of_a, of_b) = lanes.split_at(4 * A);
    let (low, high) = w_hh.split_at(4 * A * R);
    let zero = S::Row::splat(simd, 0.0);
    let part = Part { columns: low, stride: R, first: 0, inputs: [&*of_a.h] };
    let [[even], [odd]] = advance::<S, E, R, 1, 2, 2>(simd, 0, [[z], [[zero; R]]], &part);
    let (mut a, mut b) = ([[[zero; A]]; 2], [[[zero; B]]; 2]);
    each!(n < A => { (a[0][0][n], a[1][0][n]) = (even[n], odd[n]); });
    each!(n < B => { (b[0][0][n], b[1][0][n]) = (even[A + n], odd[A + n]); });

    let inputs = [&of_b.h[..hidden - 4 * A]];
    let [a, a_odd] = advance::<S, E, A, 1, 2, 2>(simd, 0, a, &Part { columns: high, stride: R, first: 0, inputs });
    let [a] = join(simd, a, a_odd);
    macro_rules! others {
        () => {{
            let part = Part { columns: high, stride: R, first: A, inputs };
            let [b, b_odd] = advance::<S, E, B, 1, 2, 2>(simd, 0, b, &part);
            let [b] = join(simd, b, b_odd);
            b
        }};
    }
    let b = if const { R > 5 } {
        activate::<S, A, false>(simd, &a, of_a);
        others!()
    } else {
        let b = others!();
        activate::<S, A, false>(simd, &a, of_a);
        b
    };
    activate::<S, B, false>(simd, &b, of_b);
}

/// h's columns and the gates of 4 lines.
#[inline(always)]
fn halves<S: Simd, E: Element>(simd: S, z: [S::Row; 4], w_hh: &[E::Line], hidden: usize, lanes: Lanes<'_>) {
    let (of_a, of_b) = lanes.split_at(8);
    let (low, high) = w_hh.split_at(8 * 4);
    let (mut a, mut b) = ([S::Half::splat(simd, 0.0); 4], [S::Half::splat(simd, 0.0); 4]);
    each_of_4!(n < 4 => { [a[n], b[n]] = z[n].split(); });
    let zero = [S::Half::splat(simd, 0.0); 4];
    // In memory: 16 registers do not hold both halves, and which accumulators the compiler puts on the stack instead,
    // in each round of a loop, depends on the program around ((1, 16) 41 or 46 ns).
    let aside = !S::BOTH_CHAINS;
    let mut b = columns::<S, E, 1>(simd, [b, zero], low, of_a.h);
    let b = if aside { black_box(&mut b) } else { &mut b };
    let a = columns::<S, E, 0>(simd, [a, zero], low, of_a.h);
    let rest = &of_b.h[..hidden - 8];
    let [mut a, a_odd] = columns::<S, E, 0>(simd, a, high, rest);
    each_of_4!(n < 4 => { a[n] = a[n].add(simd, a_odd[n]); });
    let a = if aside { black_box(&mut a) } else { &mut a };
    let [mut b, b_odd] = columns::<S, E, 1>(simd, *b, high, rest);
    each_of_4!(n < 4 => { b[n] = b[n].add(simd, b_odd[n]); });
    activate_8(simd, *a, of_a);
    activate_8(simd, b, of_b);
}

/// Half `HALF` of some columns of 4 lines, in two chains. See [`advance`], which does it for whole lines. (Four inputs
/// in a round, out of a register, on Zen 4 with 32 registers: (1, 16) 45.2 to 44.3, (3, 16) 47.5 to 46.1, (1, 13) 42.9
/// to 41.9, but a `run` of (1, 16) 45.0 to 45.9.)
#[inline(always)]
fn columns<S: Simd, E: Element, const HALF: usize>(
    simd: S,
    [mut even, mut odd]: [[S::Half; 4]; 2],
    columns: &[E::Line],
    inputs: &[f32],
) -> [[S::Half; 4]; 2] {
    let ((rounds, rest), (fours, last)) = (columns.as_chunks::<16>(), inputs.as_chunks::<4>());
    for (lines, four) in rounds.iter().zip(fours).take(black_box(usize::MAX)) {
        black_box(());
        let x = simd.splat_each(four);
        column::<S, E, HALF>(simd, &mut even, &lines[..4], x[0]);
        column::<S, E, HALF>(simd, &mut odd, &lines[4..8], x[1]);
        column::<S, E, HALF>(simd, &mut even, &lines[8..12], x[2]);
        column::<S, E, HALF>(simd, &mut odd, &lines[12..], x[3]);
    }
    for (n, (lines, x)) in rest.as_chunks::<4>().0.iter().zip(last).enumerate() {
        column::<S, E, HALF>(simd, if n % 2 == 0 { &mut even } else { &mut odd }, lines, S::Row::splat(simd, *x));
    }
    [even, odd]
}

/// sum += half of a column * x.
#[inline(always)]
fn column<S: Simd, E: Element, const HALF: usize>(simd: S, sum: &mut [S::Half; 4], column: &[E::Line], x: S::Row) {
    let (x, column) = (x.split()[HALF], &column[..4]);
    each_of_4!(n < 4 => { sum[n] = E::load(simd, &column[n], 0).split()[HALF].mul_add(simd, x, sum[n]); });
}
