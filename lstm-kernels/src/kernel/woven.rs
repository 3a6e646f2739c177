//! A step of a large layer, for one stream: the gates of each group between the columns of the next. With AVX2 so are
//! those of the [`tiles`] of some small layers.
//!
//! What a large layer waits for are its weights. But the gates of a group, some 150 operations most of which wait for
//! another, fill the processor's window, and while they do, it asks for nothing that stands behind them. So they come
//! in four parts, each of which is ready, or nearly, when the columns before it are:
//!
//! ```text
//! 32 registers                     16 registers, one chain after the other
//!                                  i, f and g as quotients
//! x's columns, 12 of h's           x's columns, h's first chain, of a block
//! i, f and g as quotients          c'
//! 12 columns of h                  h' as a quotient
//! c'                               h's second chain
//! 12 columns of h                  h'
//! h' as a quotient
//! 12 columns of h
//! h'
//! the others                       the other blocks
//! ```
//!
//! The order within each sum is what it always is. (A group that [`reverses`] begins with h's other block, and has x's
//! columns behind h's.)
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

pub(super) mod tiles;

use core::hint::black_box;

use super::Weights;
use super::gates::{InParts, Lanes, activate};
use super::sums::{BLOCK, Part, Parts, advance, block, join, reverses};
use crate::element::Element;
use crate::layout::packed;
use crate::simd::{Simd, Vector};

/// Columns of h before each part of the gates.
const APART: usize = 12;

/// Whether it is for layers of so many inputs and units.
pub(super) const fn serves<S: Simd, E: Element>(inputs: usize, hidden: usize) -> bool {
    E::FORM.group == 4 && if S::BOTH_CHAINS { hidden >= 4 * APART } else { !S::PORTABLE && inputs <= BLOCK }
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
        let before = Before { z, c: &mut c[unit..], next: &mut next[unit..] };
        let lines = Lines { parts, stride: 4, first: 0 };
        z = if const { S::BOTH_CHAINS } {
            both_chains(simd, lines, round > 0, before, backwards)
        } else {
            chain_by_chain::<S, E, 4>(simd, lines, round > 0, before, backwards)
        };
        unit = 4 * first;
    }
    activate::<S, 4, false>(simd, &z, Lanes::new(&mut next[unit..], &mut c[unit..]));
}

/// The gates of the 4 lines before, if there are any, whose units' c and new h the slices begin with.
struct Before<'a, S: Simd> {
    z: [S::Row; 4],
    c: &'a mut [f32],
    next: &'a mut [f32],
}

/// What is to be summed: some lines of a group of `stride` lines, from line `first` on.
struct Lines<'a, E: Element> {
    parts: Parts<'a, E>,
    stride: usize,
    first: usize,
}

impl<E: Element> Lines<'_, E> {
    /// Of h's columns the first block, and the later ones.
    #[inline(always)]
    fn blocks(&self) -> [Part<'_, E, 1>; 2] {
        self.parts.blocks_of_h(self.stride, self.first)
    }

    /// What is summed before h's first block: the bias and x's part; or, if the layer [`reverses`] and goes backwards,
    /// h's other block. And which of the two it is.
    #[inline(always)]
    fn before_block<S: Simd, const N: usize>(&self, simd: S, backwards: bool) -> (bool, [[S::Row; N]; 1]) {
        let &Self { parts: Parts { x, h, .. }, stride, first } = self;
        if backwards && reverses(x.len(), h.len()) {
            let [_, other] = self.blocks();
            return (true, block::<S, E, N, 1, 2>(simd, [[S::Row::splat(simd, 0.0); N]], other));
        }
        (false, self.parts.begin(simd, stride, first))
    }

    /// All of the sum, of which [`before_block`](Self::before_block) gave `before`, and h's first block is `sum`, with
    /// the bias and x's part in it, if there is no other.
    #[inline(always)]
    fn behind_block<S: Simd, const N: usize>(
        &self,
        simd: S,
        reversed: bool,
        before: [[S::Row; N]; 1],
        sum: [[S::Row; N]; 1],
    ) -> [S::Row; N] {
        let &Self { ref parts, stride, first } = self;
        if reversed {
            let z = parts.begin_backwards(simd, stride, first);
            return join(simd, join(simd, z, sum), before)[0];
        }
        let [_, Part { columns, inputs: [inputs], .. }] = self.blocks();
        if inputs.is_empty() {
            return sum[0];
        }
        let (mut z, zero) = (join(simd, before, sum), [[S::Row::splat(simd, 0.0); N]]);
        for (columns, inputs) in columns.chunks(stride * packed(E::FORM, BLOCK)).zip(inputs.chunks(BLOCK)) {
            let part = Part { columns, stride, first, inputs: [inputs] };
            z = join(simd, z, block::<S, E, N, 1, 2>(simd, zero, part));
        }
        z[0]
    }
}

/// A part of the gates, if there are any. (As methods of [`Before`] AVX-512 lost 1 to 2 %.)
macro_rules! part {
    ($waits:ident, $part:expr) => {
        if $waits {
            $part;
        }
    };
}

/// The sums of lines of which the registers hold both chains, and the gates of those before.
#[inline(always)]
fn both_chains<S: Simd, E: Element>(
    simd: S,
    lines: Lines<'_, E>,
    waits: bool,
    before: Before<'_, S>,
    backwards: bool,
) -> [S::Row; 4] {
    let Before { z, c, next } = before;
    let mut gates = InParts::<S>::new(z);
    let ([block, others], zero) = (lines.blocks(), [[S::Row::splat(simd, 0.0); 4]]);
    let (Some(c), Some(next)) = (c.first_chunk_mut(), next.first_chunk_mut()) else { return zero[0] };
    let (reversed, z) = lines.before_block(simd, backwards);
    let mut both = if others.inputs[0].is_empty() { [z, zero] } else { [zero; 2] };
    macro_rules! columns {
        ($from:expr, $to:expr) => {
            let (columns, inputs) = (&block.columns[4 * packed(E::FORM, $from)..], [&block.inputs[0][$from..$to]]);
            both = advance::<S, E, 4, 1, 2, 2>(simd, 0, both, &Part { columns, inputs, ..block });
        };
    }
    columns!(0, APART);
    part!(waits, gates.quotients(simd));
    columns!(APART, 2 * APART);
    part!(waits, gates.cell(simd, c));
    columns!(2 * APART, 3 * APART);
    part!(waits, gates.output(simd));
    columns!(3 * APART, 4 * APART);
    part!(waits, gates.hidden(simd, next));
    columns!(4 * APART, block.inputs[0].len());
    let sum = join(simd, both[0], both[1]);
    lines.behind_block(simd, reversed, z, sum)
}

/// The sums of lines of which the registers hold one chain, or of up to 2 both, and the gates of those before.
#[inline(always)]
fn chain_by_chain<S: Simd, E: Element, const N: usize>(
    simd: S,
    lines: Lines<'_, E>,
    waits: bool,
    before: Before<'_, S>,
    backwards: bool,
) -> [S::Row; N] {
    let Before { z, c, next } = before;
    let mut gates = InParts::<S>::new(z);
    let ([block, others], zero) = (lines.blocks(), [[S::Row::splat(simd, 0.0); N]]);
    let (Some(c), Some(next)) = (c.first_chunk_mut(), next.first_chunk_mut()) else { return zero[0] };
    part!(waits, gates.quotients(simd));
    let (reversed, z) = lines.before_block(simd, backwards);
    let begin = if others.inputs[0].is_empty() { z } else { zero };
    let sum = if const { N <= 2 } {
        part!(waits, gates.cell(simd, c));
        part!(waits, gates.output(simd));
        let [first, second] = advance::<S, E, N, 1, 2, 2>(simd, 0, [begin, zero], &block);
        join(simd, first, second)
    } else {
        let [mut first] = advance::<S, E, N, 1, 1, 2>(simd, 0, [begin], &block);
        let first = black_box(&mut first); // as in `sums::chained`
        part!(waits, gates.cell(simd, c));
        part!(waits, gates.output(simd));
        let [second] = advance::<S, E, N, 1, 1, 2>(simd, 1, [zero], &block);
        join(simd, *first, second)
    };
    part!(waits, gates.hidden(simd, next));
    lines.behind_block(simd, reversed, z, sum)
}
