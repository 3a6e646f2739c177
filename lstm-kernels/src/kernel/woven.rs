//! A step of a large layer, for one stream: the gates of each group between the columns of the next.
//!
//! What a large layer waits for are its weights. But the gates of a group, some 150 operations most of which wait for
//! another, fill the processor's window, and while they do, it asks for nothing that stands behind them. So they come
//! in four parts, each of which is ready, or nearly, when the columns before it are:
//!
//! ```text
//! 32 registers                     16 registers, one chain after the other
//!                                  i, f and g as quotients
//! x's columns, 12 of h's           x's columns
//! i, f and g as quotients          c'
//! 12 columns of h                  h's first chain, of a block
//! c'                               h' as a quotient
//! 12 columns of h                  its second chain
//! h' as a quotient                 h'
//! 12 columns of h
//! h'
//! the others                       the other blocks
//! ```
//!
//! The order within each sum is what it always is.
//!
//! On Zen 4, ns a step: without (with AVX-512 the sums of two groups and then the gates of both, see
//! [`group`](super::group), with AVX2 group by group), and so:
//!
//! ```text
//! AVX-512  (64, 64) 1,073 1,061   (1, 64) 505 489   (10, 80)   998 957   (1, 128) 2,301 2,270   (128, 128) 4,842 4,765
//! AVX2              1,150 1,093           555 542            1,048 998            2,459 2,391              see below
//! ```
//!
//! (in a program with other cells, `steps`, the same at (64, 64) and (128, 128) with AVX-512, 1,135 to 1,103 with
//! AVX2), and a step of a `run` 2 to 5 % less, in bf16 2 %; layers whose last group has 5 to 7 lines up to 3 %, with
//! AVX2 5 %. Five parts, in place of pairs, on Emerald Rapids with AVX-512: (1, 128) 3 and (128, 128) 2 % faster, (64,
//! 64) the same, (256, 256) 1 and (1, 64) 2 % slower. Not measured on Zen 5.
//!
//! **Tried and lost**, on Zen 4:
//! - 6 and 16 columns between the parts, for 12: the same, (128, 128) 2 to 3 % slower.
//! - With AVX2 from 65 inputs on, which are in several blocks: (128, 128) 1 to 2 %, (256, 256) 1 % slower. So there it
//!   is group by group. Two parts at a time, behind x's columns and between h's chains: (64, 64) 3 % slower.
//! - Where the sizes are known at run time ([`group`](super::group)): (1, 64) 7, (64, 64) 3 and (128, 128) 2 % slower
//!   than pairs, with pieces of a length that the compiler knows 3, 3 and 1 %; sequences with AVX2 the same.
//! - Beside x's columns of the next time steps ([`overlap`](super::overlap)), where the units are busy: 6 to 13 %
//!   slower.
//!
//! Of (64, 64) bare loops over the weights take 1,026 ns, as here forwards and backwards in turn. (Half of the last
//! group is still in the L1 cache: 1,130 from the L2 cache alone. Lines asked for by `prefetchnta` push others out as
//! all do.) Of (128, 128) they take 4,530 to 4,690.

use core::hint::black_box;

use super::Weights;
use super::gates::{InParts, Lanes, activate};
use super::sums::{BLOCK, Part, Parts, add, advance, block, chains, join};
use crate::element::Element;
use crate::layout::packed;
use crate::simd::{Simd, Vector};

/// Columns of h before each part of the gates. (Layers of several groups have 49 units and more.)
const APART: usize = 12;

/// Whether it is for layers of so many inputs.
pub(super) const fn serves<S: Simd, E: Element>(inputs: usize) -> bool {
    E::FORM.group == 4 && (S::BOTH_CHAINS || !S::PORTABLE && inputs <= BLOCK)
}

/// The groups of 4 lines, from the first one on or `backwards`: their units' c, and in `next` their new h.
#[inline(always)]
pub(super) fn groups<S: Simd, E: Element, const I: usize, const H: usize, const LAST: usize>(
    simd: S,
    weights: Weights<'_, E, I, H, LAST>,
    (x, h): (&[f32; I], &[f32; H]),
    c: &mut [f32],
    next: &mut [f32],
    backwards: bool,
) {
    let count = weights.last() + usize::from(LAST == 4);
    let (mut z, mut unit) = ([S::Row::splat(simd, 0.0); 4], 0);
    for round in 0..count {
        let n = if backwards { count - 1 - round } else { round };
        let (_, first, w_ih, w_hh) = weights.group(n);
        let parts = Parts::<E> { start: &weights.bias[first..], w_ih, x, w_hh, h };
        let before = Before { waits: round > 0, z, c: &mut c[unit..], next: &mut next[unit..] };
        z = sums(simd, parts, before);
        unit = 4 * first;
    }
    if count > 0 {
        activate::<S, 4, false>(simd, &z, Lanes::new(&mut next[unit..], &mut c[unit..]));
    }
}

/// The gates of the group before, if there is one, whose units' c and new h the slices begin with.
struct Before<'a, S: Simd> {
    waits: bool,
    z: [S::Row; 4],
    c: &'a mut [f32],
    next: &'a mut [f32],
}

/// A group's sums, and the gates of the one before.
#[inline(always)]
fn sums<S: Simd, E: Element>(simd: S, parts: Parts<'_, E>, before: Before<'_, S>) -> [S::Row; 4] {
    let (Parts { start, w_ih, x, w_hh, h }, Before { waits, z, c, next }) = (parts, before);
    let (Some(c), Some(next)) = (c.first_chunk_mut(), next.first_chunk_mut()) else { return z };
    let (start, mut gates) = (&start[..4], InParts::<S>::new(z));
    macro_rules! gates {
        ($part:ident $(, $lanes:expr)?) => {
            if waits {
                gates.$part(simd $(, $lanes)?);
            }
        };
    }

    let zero = [[S::Row::splat(simd, 0.0); 4]];
    let mut z = zero;
    each_of_4!(n < 4 => { z[0][n] = S::Row::load(simd, &start[n].0); });
    if const { !S::BOTH_CHAINS } {
        gates!(quotients);
    }
    let part = Part::<E, 1> { columns: w_ih, stride: 4, first: 0, inputs: [x] };
    match chains(x.len(), 4) {
        1 => add::<S, E, 4, 1, 1>(simd, &mut z, part),
        _ => add::<S, E, 4, 1, 2>(simd, &mut z, part),
    }

    let (h, others) = h.split_at(usize::min(BLOCK, h.len()));
    let (w_hh, w_others) = w_hh.split_at(4 * packed(E::FORM, h.len()));
    let begin = if others.is_empty() { z } else { zero };
    let sum = if const { S::BOTH_CHAINS } {
        let mut both = [begin, zero];
        macro_rules! columns {
            ($from:expr, $to:expr) => {
                let (columns, inputs) = (&w_hh[4 * packed(E::FORM, $from)..], [&h[$from..$to]]);
                both = advance::<S, E, 4, 1, 2, 2>(simd, 0, both, &Part { columns, stride: 4, first: 0, inputs });
            };
        }
        columns!(0, APART);
        gates!(quotients);
        columns!(APART, 2 * APART);
        gates!(cell, c);
        columns!(2 * APART, 3 * APART);
        gates!(output);
        columns!(3 * APART, 4 * APART);
        gates!(hidden, next);
        columns!(4 * APART, h.len());
        join(simd, both[0], both[1])
    } else {
        let part = Part { columns: w_hh, stride: 4, first: 0, inputs: [h] };
        gates!(cell, c);
        let [mut first] = advance::<S, E, 4, 1, 1, 2>(simd, 0, [begin], &part);
        let first = black_box(&mut first); // as in `sums::chained`
        gates!(output);
        let [second] = advance::<S, E, 4, 1, 1, 2>(simd, 1, [zero], &part);
        let sum = join(simd, *first, second);
        gates!(hidden, next);
        sum
    };
    if others.is_empty() {
        return sum[0];
    }
    z = join(simd, z, sum);
    for (columns, others) in w_others.chunks(4 * packed(E::FORM, BLOCK)).zip(others.chunks(BLOCK)) {
        let part = Part { columns, stride: 4, first: 0, inputs: [others] };
        z = join(simd, z, block::<S, E, 4, 1, 2>(simd, zero, part));
    }
    z[0]
}
