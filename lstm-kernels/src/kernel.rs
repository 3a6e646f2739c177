//! One time step, and how it is made fast. To follow x to the store of h: `Cell::step` enters [`Alone`], at the end of this file,
//! and that [`Step`]; from there [`step`], [`sums`], [`Tile`], [`add`], [`block`], [`pass`] and [`column`], which has the
//! multiply-adds, then [`activate`] to the store. Large layers go through [`groups`], which keeps the new h aside until all sums
//! are made; some small ones through [`early`], which has the same parts in another order.
//!
//! **The sums.** The pre-activation z of each gate and unit is summed in two parts, x's columns and then h's, each in
//! C chains of fused multiply-adds that are added at the end. With two chains:
//!
//! ```text
//! first  = z + w[0] v[0] + w[2] v[2] + ...      (in this order, each + fused; z begins as the bias)
//! second = 0 + w[1] v[1] + w[3] v[3] + ...
//! z      = first + second                       (four chains: (first + second) + (third + fourth))
//! ```
//!
//! A part of more than 64 columns is cut into blocks of 64, each of which is summed from zero and then added to z: that
//! keeps the rounding errors of (256, 256) below half of what one long chain makes, and lets a batch go over a block
//! of weights while it lies in the nearest cache. C is 1 below 4 columns, 4 in groups of up to 3 lines, else 2
//! ([`chains`]): one chain would be bound by the latency of the FMA (4 cycles), and from 4 lines on two chains of
//! each keep both units busy (four: 66 against 64 ns at (10, 20)).
//!
//! The order is part of the definition: every instruction set, `step`, `step_batch` and `run` follow it, so all
//! give the same bits. x comes before h, so a processor that looks ahead does x's part of the next step while it
//! waits for h.
//!
//! **Registers.** Input k is broadcast once and multiplied with the lines of column k, straight from memory, into
//! accumulators that stay in registers over all columns: no sum across lanes, no store in between. With AVX-512
//! both chains of up to 12 lines live together (24 of 32 registers). AVX2 has 16 registers, so it works on 4 lines
//! at a time, NEON likewise, and does one chain after the other: each line is still read just once. Large
//! layers are cut into groups of lines, see [`layout`](crate::layout).
//!
//! **Streams.** With T states at once each line is loaded once and used T times. It also gives the processor
//! T independent chains, which fill the time that one stream alone would spend on waiting.
//!
//! **The gates** turn z into h and c: [`gates`].
//!
//! **Turning round.** A layer that a cache does not hold whole is read group by group, forwards in one step and backwards
//! in the next: what was read last is still there. The groups do not depend on each other, so the bits stay.
//!
//! **Pairs.** The gates of a group of 4 lines are one long chain, behind which the processor's window holds only a part of
//! the next group's loads. So two groups of sums come before the gates of both: (128, 128) 2,400 to 2,150 ns on Zen 5, (1, 128)
//! 1,500 to 1,300; three or four the same, with AVX2 no difference. ([`recurrence`] has a function for each group instead;
//! there pairs lose.)
//!
//! **What a small step waits for** (AVX-512, (10, 20)): h through memory into broadcasts 15 cycles, its FMAs 50 (two a
//! cycle), their sum 4, the quotients and c' 53 with a division of 17, tanh and h' 42 with another. Hence what
//! shortens this chain pays: Estrin's scheme and a square that does not wait for the clamp (89 to 80 ns), loops written
//! out so that no sum goes through the stack (80 to 66). The units are busy, too, so operations count: a clamp in one
//! (`vrangeps`) makes (1, 32) 4 % faster.
//!
//! The figures in these files are those of a Sapphire Rapids Xeon, unless they, or their file, say Zen 5. There the units are
//! what a small step waits for: from (1, 20) on two streams, stepped in turn, take as long as one after the other. Some 70 vector
//! operations may wait there; what follows them is not looked at (see [`early`]). A broadcast takes one of two loads a cycle, which
//! the multiply-adds need. The L2 cache gives a line every 1.33 cycles where 56 to 400 KiB are read again and again, every 1.02
//! from there to 700 KiB (whatever the loop, the pages and the entries of the TLB; some 20 us after the amount has changed), and
//! every 1.7 to 2 where pieces of 64 KiB or less have gaps of a page or more. At 1 MiB, which is all of it, it is 1.3 to 1.5, by
//! which pages one was given.
//!
//! **Tried and lost.**
//! - Saturation by a compare and a mask instead of min and max: 2 ns slower.
//! - Software prefetch of the lines to come: (64, 64) 1,150 against 1,100 ns, the loads compete with the FMAs'; on Zen 5 4 %
//!   slower, (128, 128) 11 % faster.
//! - Loops over the columns that the compiler unrolls as a whole: 78 against 65 ns at (10, 20), see `pass`.
//! - Inputs broadcast from a register: no gain.
//! - The weights of the next group asked for before the gates of this one, in `Lstm`: the same to 8 % slower.
//! - Groups of 8 lines above (128, 128), on Zen 5: with AVX-512 2 to 14 % faster without pairs, with them the same or 4 % slower;
//!   with AVX2, which passes over each half of a group apart, 10 to 25 % slower up to (256, 256).
//! - With AVX2 the gates of 8 units at a time, for want of registers: (1, 32) 7 % faster, (1, 20) 9 % slower.
//! - With AVX2 two lines of both chains in place of four of one, on Zen 4: (128, 128) 2 % faster, (1, 32), (10, 20), (64, 64) and
//!   (256, 256) 5 to 9 % slower, (32, 32) 46 %.
//! - Tiles of 6 rows and 4 lines for a batch, and twice as many columns in a block: each the same time.
//!
//! **Padding.** Up to 3 units of the last line have weight zero. Their lanes compute something (NaN, if x holds an
//! infinity) that no other lane ever reads.

use core::array::from_mut;
use core::hint::black_box;

use crate::element::Element;
use crate::layout::{Line, packed};
#[cfg(target_arch = "x86_64")]
use crate::simd::F16Simd;
use crate::simd::{Op, Section, Simd, Vector};
use crate::state::State;

/// Writes a loop over `0..$count`, a constant of at most 12 (`each_of_4`: of at most 4), out: the arrays that it indexes
/// can then live in registers, which a loop would leave to the compiler's luck. (Nor closures, as in `array::map`: a
/// closure's body is not certain to be inlined, and outside of the kernel it would be compiled without the
/// instruction set.)
macro_rules! each {
    ($n:ident < $count:expr => $body:block) => { each!(@ $n $count => $body, 0 1 2 3 4 5 6 7 8 9 10 11) };
    (@ $n:ident $count:expr => $body:block, $($index:literal)*) => {
        const { assert!($count <= [$($index),*].len(), "more rounds than are written out") };
        $( if const { $index < $count } { let $n: usize = $index; $body } )*
    };
}
macro_rules! each_of_4 {
    ($n:ident < $count:expr => $body:block) => { each!(@ $n $count => $body, 0 1 2 3) };
}

/// Cuts `$lines` lines into tiles of `$most` and a rest, and does `$tile!(lines of the tile, its first line)` for each.
macro_rules! each_tile {
    ($lines:expr, $most:expr, $tile:ident) => {
        for first in (0..$lines - $lines % $most).step_by($most) {
            each_tile!(@ $most, first, $tile, 1 2 3 4);
        }
        each_tile!(@ $lines % $most, $lines - $lines % $most, $tile, 1 2 3);
    };
    (@ $count:expr, $first:expr, $tile:ident, $($n:literal)*) => { $( if const { $count == $n } { $tile!($n, $first); } )* };
}

mod batch;
mod early;
mod gates;
#[cfg(target_arch = "x86_64")]
pub(crate) mod native;

#[cfg(feature = "alloc")]
pub(crate) mod overlap;
#[cfg(feature = "alloc")]
pub(crate) mod recurrence;

pub(crate) use batch::StepBatch;
pub(crate) use gates::Activate;
use gates::{activate, activate_four, activate_small};

/// The packed weights of a cell, and its sizes: `I` inputs, `H` units, `LAST` lines in the last group.
pub(crate) struct Weights<'a, E: Element, const I: usize, const H: usize, const LAST: usize> {
    /// A column of lines.
    pub(crate) bias: &'a [Line],
    /// x's columns, group by group, and then h's: see [`group`].
    pub(crate) columns: &'a [E::Line],
}

impl<E: Element, const I: usize, const H: usize, const LAST: usize> Copy for Weights<'_, E, I, H, LAST> {}

impl<E: Element, const I: usize, const H: usize, const LAST: usize> Clone for Weights<'_, E, I, H, LAST> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

/// One step of `T` streams.
#[inline(always)]
fn step<S, E, const I: usize, const H: usize, const HP: usize, const LAST: usize, const T: usize>(
    simd: S,
    weights: Weights<'_, E, I, H, LAST>,
    x: [&[f32; I]; T],
    states: &mut [State<H, HP>; T],
) where
    S: Simd,
    E: Element,
{
    if const { HP > LAST * 4 && E::FORM.group == 4 } {
        return groups::<S, E, I, H, HP, LAST, 4, T>(simd, weights, x, states);
    }
    if const { HP > LAST * 4 } {
        return groups::<S, E, I, H, HP, LAST, 8, T>(simd, weights, x, states);
    }
    // One group: nothing reads h after its sums, so the new h may overwrite it at once.
    let h = states.each_ref().map(State::h);
    let (w_ih, w_hh) = weights.columns.split_at(const { packed(E::FORM, I) * LAST });
    let z = sums::<S, E, I, H, LAST, T>(simd, weights.bias, w_ih, w_hh, x, h);
    // What four streams fold is put together. (Through the same function, 32 streams of (1, 16), which fold nothing, were 5 % faster
    // here and 4 % slower in `Lstm`.)
    if let (true, [z_0, z_1, z_2, z_3], [a, b, c, d]) = (const { !LAST.is_multiple_of(4) }, &z[..], &mut states[..]) {
        let lanes = [a.lanes_mut(), b.lanes_mut(), c.lanes_mut(), d.lanes_mut()];
        return activate_four(simd, [z_0, z_1, z_2, z_3], lanes);
    }
    // (One stream's h and c in an array of pairs, as above, made (1, 32) 7 % slower.)
    for t in 0..T {
        let (h, c) = states[t].lanes_mut();
        activate_small::<S, LAST, T>(simd, &z[t], h, c);
    }
}

/// One step of a layer of several groups, of `G` lines but the last.
#[inline(always)]
fn groups<S, E, const I: usize, const H: usize, const HP: usize, const LAST: usize, const G: usize, const T: usize>(
    simd: S,
    weights: Weights<'_, E, I, H, LAST>,
    x: [&[f32; I]; T],
    states: &mut [State<H, HP>; T],
) where
    S: Simd,
    E: Element,
{
    let Weights { bias, columns } = weights;
    let packed = const { [packed(E::FORM, I), packed(E::FORM, H)] };
    let mut next = [[0.0; HP]; T];
    macro_rules! sums {
        ($lines:ident, $n:expr) => {{
            let (w_ih, w_hh) = group(columns, packed, bias.len(), $n * G, $lines);
            let h = states.each_ref().map(State::h);
            sums::<S, E, I, H, $lines, T>(simd, &bias[$n * G..][..$lines], w_ih, w_hh, x, h)
        }};
    }
    macro_rules! gates {
        ($lines:ident, $n:expr, $z:expr) => {
            for t in 0..T {
                let (c, first) = (states[t].lanes_mut().1, $n * G * 4);
                activate::<S, $lines, false>(simd, &$z[t], &mut next[t][first..], &mut c[first..]);
            }
        };
    }
    // Pairs of groups, single ones, the last one.
    let count = (bias.len() - LAST) / G;
    let pairs = if const { T == 1 && G == 4 } { count / 2 } else { 0 };
    let rounds = count - pairs + 1;
    let backwards = states[0].turn();
    for n in 0..rounds {
        let n = if backwards { rounds - 1 - n } else { n };
        if n < pairs {
            let (a, b) = if backwards { (2 * n + 1, 2 * n) } else { (2 * n, 2 * n + 1) };
            let (z_a, z_b) = (sums!(G, a), sums!(G, b));
            gates!(G, a, z_a);
            gates!(G, b, z_b);
        } else if n + 1 < rounds {
            let z = sums!(G, pairs + n);
            gates!(G, pairs + n, z);
        } else {
            let z = sums!(LAST, count);
            gates!(LAST, count, z);
        }
    }
    for t in 0..T {
        states[t].lanes_mut().0.copy_from_slice(&next[t]);
    }
}

/// x's columns and h's of a group: of `columns`, `packed` of either and `all` lines each, the `lines` lines from `first` on.
#[inline(always)]
pub(crate) fn group<L>(columns: &[L], packed: [usize; 2], all: usize, first: usize, lines: usize) -> (&[L], &[L]) {
    let (w_ih, w_hh) = columns.split_at(packed[0] * all);
    (&w_ih[packed[0] * first..][..packed[0] * lines], &w_hh[packed[1] * first..][..packed[1] * lines])
}

/// The pre-activations of one group of `R` lines, for `T` streams.
#[inline(always)]
fn sums<S: Simd, E: Element, const I: usize, const H: usize, const R: usize, const T: usize>(
    simd: S,
    bias: &[Line],
    w_ih: &[E::Line],
    w_hh: &[E::Line],
    x: [&[f32; I]; T],
    h: [&[f32; H]; T],
) -> [[S::Row; R]; T] {
    let mut out = [[S::Row::splat(simd, 0.0); R]; T];
    if const { one_tile(S::ACCUMULATORS, chains(H, R), R, T) } {
        Tile::<S, E, I, H, R, R, T> { first: 0, bias, w_ih, w_hh, x, h, out: &mut out }.run(simd);
        return out;
    }
    // In memory: of a tile that is done, nothing may stay in the registers, or accumulators of the next one would go through
    // the stack in each round of its loop (with AVX2 181 or 214 ns at (1, 32), depending on the program around it).
    let out = if const { T == 1 } { black_box(&mut out) } else { &mut out };
    // Several tiles are functions of their own: inlined, they would take the compiler half a minute.
    macro_rules! tile {
        ($n:literal, $first:expr) => {
            simd.outline(Tile::<S, E, I, H, R, $n, T> { first: $first, bias, w_ih, w_hh, x, h, out: &mut *out })
        };
    }
    each_tile!(R, tile_lines(S::ACCUMULATORS, T), tile);
    *out
}

/// Whether all lines are one tile.
pub(crate) const fn one_tile(accumulators: usize, chains: usize, lines: usize, streams: usize) -> bool {
    chains * lines * streams <= accumulators || lines <= tile_lines(accumulators, streams)
}

/// Lines in a tile for `streams` streams.
pub(crate) const fn tile_lines(accumulators: usize, streams: usize) -> usize {
    match accumulators / streams {
        0 => 1,
        fit @ 1..4 => fit,
        _ => 4,
    }
}

/// `N` of the `R` lines of each stream's z, from line `first` on: what is computed in registers at a time.
struct Tile<'a, S: Simd, E: Element, const I: usize, const H: usize, const R: usize, const N: usize, const T: usize> {
    first: usize,
    bias: &'a [Line],
    w_ih: &'a [E::Line],
    w_hh: &'a [E::Line],
    x: [&'a [f32; I]; T],
    h: [&'a [f32; H]; T],
    out: &'a mut [[S::Row; R]; T],
}

impl<S, E, const I: usize, const H: usize, const R: usize, const N: usize, const T: usize> Section<S>
    for Tile<'_, S, E, I, H, R, N, T>
where
    S: Simd,
    E: Element,
{
    #[inline(always)]
    fn run(self, simd: S) {
        let Self { first, bias, w_ih, w_hh, x, h, out } = self;
        let (mut xs, mut hs) = ([&[][..]; T], [&[][..]; T]);
        let mut z = [[S::Row::splat(simd, 0.0); N]; T];
        each_of_4!(t < T => {
            (xs[t], hs[t]) = (x[t], h[t]);
            each!(n < N => { z[t][n] = S::Row::load(simd, &bias[first + n].0); });
        });
        let x = Part::<E, T> { columns: w_ih, stride: R, first, inputs: xs };
        let h = Part::<E, T> { columns: w_hh, stride: R, first, inputs: hs };
        match const { chains(I, R) } {
            1 => add::<S, E, N, T, 1>(simd, &mut z, x),
            2 => add::<S, E, N, T, 2>(simd, &mut z, x),
            _ => add::<S, E, N, T, 4>(simd, &mut z, x),
        }
        match const { chains(H, R) } {
            1 => add::<S, E, N, T, 1>(simd, &mut z, h),
            2 => add::<S, E, N, T, 2>(simd, &mut z, h),
            _ => add::<S, E, N, T, 4>(simd, &mut z, h),
        }
        each_of_4!(t < T => { each!(n < N => { out[t][first + n] = z[t][n]; }); });
    }
}

/// Columns of x or h whose sum is begun anew from zero, if there are more of them than this.
pub(crate) const BLOCK: usize = 64;

/// The number of chains that each sum over a part of `columns` columns consists of, in a group of `lines` lines.
pub(crate) const fn chains(columns: usize, lines: usize) -> usize {
    if columns < 4 {
        1
    } else if lines <= 3 {
        4
    } else {
        2
    }
}

/// Columns of a group, `stride` lines each, and for each of `T` streams the inputs that they are multiplied by. What
/// is wanted are the lines of each column from `first` on.
pub(crate) struct Part<'a, E: Element, const T: usize> {
    pub(crate) columns: &'a [E::Line],
    pub(crate) stride: usize,
    pub(crate) first: usize,
    pub(crate) inputs: [&'a [f32]; T],
}

/// z += columns * inputs, for `N` lines of `T` streams, in `C` chains, in the order that the top of the file gives.
#[inline(always)]
fn add<S: Simd, E: Element, const N: usize, const T: usize, const C: usize>(
    simd: S,
    z: &mut [[S::Row; N]; T],
    part: Part<'_, E, T>,
) {
    let Part { columns, stride, .. } = part;
    if part.inputs[0].len() <= BLOCK {
        *z = block::<S, E, N, T, C>(simd, *z, part);
        return;
    }
    // In memory while a block is summed: there is no room for z in the registers beside its accumulators.
    let z = aside::<_, T>(z);
    for (columns, start) in columns.chunks(BLOCK / E::FORM.share * stride).zip((0..).step_by(BLOCK)) {
        let mut inputs = part.inputs;
        each_of_4!(t < T => {
            let end = usize::min(start + BLOCK, part.inputs[t].len());
            let Some(block) = part.inputs[t].get(start..end) else { return };
            inputs[t] = block;
        });
        let zero = [[S::Row::splat(simd, 0.0); N]; T];
        let sum = block::<S, E, N, T, C>(simd, zero, Part { columns, inputs, ..part });
        *z = join(simd, *z, sum);
    }
}

/// The sum over at most [`BLOCK`] columns, with the first chain begun at `start`.
#[inline(always)]
pub(crate) fn block<S: Simd, E: Element, const N: usize, const T: usize, const C: usize>(
    simd: S,
    start: [[S::Row; N]; T],
    part: Part<'_, E, T>,
) -> [[S::Row; N]; T] {
    let mut sum = start;
    simd.section(Block::<S, E, N, T, C> { sum: &mut sum, part });
    sum
}

/// See [`block`].
struct Block<'a, S: Simd, E: Element, const N: usize, const T: usize, const C: usize> {
    sum: &'a mut [[S::Row; N]; T],
    part: Part<'a, E, T>,
}

impl<S: Simd, E: Element, const N: usize, const T: usize, const C: usize> Section<S> for Block<'_, S, E, N, T, C> {
    #[inline(always)]
    fn run(self, simd: S) {
        *self.sum = chained::<S, E, N, T, C>(simd, *self.sum, self.part);
    }
}

/// As many of the `C` chains together as the registers hold.
#[inline(always)]
fn chained<S: Simd, E: Element, const N: usize, const T: usize, const C: usize>(
    simd: S,
    start: [[S::Row; N]; T],
    part: Part<'_, E, T>,
) -> [[S::Row; N]; T] {
    let zero = [[S::Row::splat(simd, 0.0); N]; T];
    let together = S::ACCUMULATORS / (N * T);
    if C == 1 {
        pass::<S, E, N, T, 1, C>(simd, 0, start, &part)
    } else if C == 2 && together >= 2 {
        pass::<S, E, N, T, 2, C>(simd, 0, start, &part)
    } else if C == 2 {
        let mut first = pass::<S, E, N, T, 1, C>(simd, 0, start, &part);
        let first = aside::<_, T>(&mut first);
        let second = pass::<S, E, N, T, 1, C>(simd, 1, zero, &part);
        join(simd, *first, second)
    } else if together >= 4 {
        pass::<S, E, N, T, 4, C>(simd, 0, start, &part)
    } else if together >= 2 {
        let mut first = pass::<S, E, N, T, 2, C>(simd, 0, start, &part);
        let first = aside::<_, T>(&mut first);
        let second = pass::<S, E, N, T, 2, C>(simd, 2, zero, &part);
        join(simd, *first, second)
    } else {
        let mut first = pass::<S, E, N, T, 1, C>(simd, 0, start, &part);
        let first = aside::<_, T>(&mut first);
        let second = pass::<S, E, N, T, 1, C>(simd, 1, zero, &part);
        *first = join(simd, *first, second);
        let first = aside::<_, T>(first);
        let mut third = pass::<S, E, N, T, 1, C>(simd, 2, zero, &part);
        let third = aside::<_, T>(&mut third);
        let fourth = pass::<S, E, N, T, 1, C>(simd, 3, zero, &part);
        join(simd, *first, join(simd, *third, fourth))
    }
}

/// Sums of several streams that are done, in memory: left in registers, they would drive an accumulator of the next ones into
/// the stack in each round (32 streams of (1, 16) 23 or 18.4 ns each). One stream has the room, and no time for it.
#[inline(always)]
fn aside<Z, const T: usize>(sums: &mut Z) -> &mut Z {
    if const { T > 1 } { black_box(sums) } else { sums }
}

/// a + b.
#[inline(always)]
pub(crate) fn join<S: Simd, const N: usize, const T: usize>(
    simd: S,
    mut a: [[S::Row; N]; T],
    b: [[S::Row; N]; T],
) -> [[S::Row; N]; T] {
    each_of_4!(t < T => { each!(n < N => { a[t][n] = a[t][n].add(simd, b[t][n]); }); });
    a
}

/// `G` of the `C` chains, from chain `chain` on, joined.
#[inline(always)]
fn pass<S: Simd, E: Element, const N: usize, const T: usize, const G: usize, const C: usize>(
    simd: S,
    chain: usize,
    start: [[S::Row; N]; T],
    part: &Part<'_, E, T>,
) -> [[S::Row; N]; T] {
    let mut chains = [[[S::Row::splat(simd, 0.0); N]; T]; G];
    chains[0] = start;
    let chains = advance::<S, E, N, T, G, C>(simd, chain, chains, part);
    if G == 4 {
        let (first, second) = (join(simd, chains[0], chains[1]), join(simd, chains[2], chains[3]));
        join(simd, first, second)
    } else if G == 2 {
        join(simd, chains[0], chains[1])
    } else {
        chains[0]
    }
}

/// `G` of the `C` chains, from chain `chain` on, over some columns. The loop over the columns must stay a loop: unrolled as a
/// whole, the compiler sorts it into one long chain after another, and the processor's window fills with one of them.
#[inline(always)]
fn advance<S: Simd, E: Element, const N: usize, const T: usize, const G: usize, const C: usize>(
    simd: S,
    chain: usize,
    mut chains: [[[S::Row; N]; T]; G],
    part: &Part<'_, E, T>,
) -> [[[S::Row; N]; T]; G] {
    let &Part { columns, stride, first, inputs } = part;
    if const { C == 1 } {
        // Fewer than 4 columns.
        for k in 0..inputs[0].len() {
            let mut x = [0.0; T];
            each_of_4!(t < T => { x[t] = inputs[t][k]; });
            let lines = &columns[k / E::FORM.share * stride + first..];
            column::<S, E, N, T>(simd, &mut chains[0], lines, k % E::FORM.share, x);
        }
        return chains;
    }
    let (mut blocks, mut rests) = ([&[][..]; T], [&[][..]; T]);
    each_of_4!(t < T => { (blocks[t], rests[t]) = inputs[t].as_chunks::<C>(); });
    let mut rest = columns;
    // A count that the compiler does not know keeps the loop. Of one chain alone there is nothing to sort, but all its
    // weights may be loaded first, into the stack: with AVX2 103 or 252 ns at (10, 20), depending on the code around it.
    let most = if const { T == 1 } { black_box(usize::MAX) } else { usize::MAX };
    // (No `chunks_exact`, which begins with a division.)
    #[expect(clippy::needless_range_loop, reason = "k is the round of all of them, not one of `blocks`")]
    for k in 0..usize::min(blocks[0].len(), most) {
        // Nor may it be unrolled in part, as it is for a CPU that is given to the compiler: Zen 5 reads from the L2 cache
        // at half its rate for 32 instructions that each load every 2 KiB ((64, 64) 830 against 630 ns).
        black_box(());
        let Some((round, others)) = rest.split_at_checked(stride * (C / E::FORM.share)) else { break };
        rest = others;
        each_of_4!(g < G => {
            let mut x = [0.0; T];
            each_of_4!(t < T => { x[t] = blocks[t][k][chain + g]; });
            let lines = &round[(chain + g) / E::FORM.share * stride + first..];
            column::<S, E, N, T>(simd, &mut chains[g], lines, (chain + g) % E::FORM.share, x);
        });
    }
    each_of_4!(g < G => {
        if rests[0].len() > chain + g {
            let mut x = [0.0; T];
            each_of_4!(t < T => { x[t] = rests[t][chain + g]; });
            let lines = &rest[(chain + g) / E::FORM.share * stride + first..];
            column::<S, E, N, T>(simd, &mut chains[g], lines, (chain + g) % E::FORM.share, x);
        }
    });
    chains
}

/// chain += column * x, for each stream's x: column `part` of those that share lines.
#[inline(always)]
fn column<S: Simd, E: Element, const N: usize, const T: usize>(
    simd: S,
    chain: &mut [[S::Row; N]; T],
    column: &[E::Line],
    part: usize,
    x: [f32; T],
) {
    let mut broadcast = [S::Row::splat(simd, 0.0); T];
    each_of_4!(t < T => { broadcast[t] = S::Row::splat(simd, x[t]); });
    let column = &column[..N];
    each!(n < N => {
        let line = E::load(simd, &column[n], part);
        each_of_4!(t < T => { chain[t][n] = line.mul_add(simd, broadcast[t], chain[t][n]); });
    });
}

/// One step of `T` streams.
pub(crate) struct Step<'a, E, const I: usize, const H: usize, const HP: usize, const LAST: usize, const T: usize>
where
    E: Element,
{
    pub(crate) weights: Weights<'a, E, I, H, LAST>,
    pub(crate) x: [&'a [f32; I]; T],
    pub(crate) states: &'a mut [State<H, HP>; T],
}

impl<E: Element, const I: usize, const H: usize, const HP: usize, const LAST: usize, const T: usize> Op
    for Step<'_, E, I, H, HP, LAST, T>
{
    const F16: bool = E::F16;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        step::<S, E, I, H, HP, LAST, T>(simd, self.weights, self.x, self.states);
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn run_f16<S: F16Simd>(self, simd: S) {
        let Weights { bias, columns } = self.weights;
        native::step::<S, I, H, HP, LAST, T>(simd, bias, E::halves(columns), self.x, self.states);
    }
}

/// A step that the same stream's next one follows, so that it may gain from [`early`].
pub(crate) struct Alone<Step>(pub(crate) Step);

impl<E: Element, const I: usize, const H: usize, const HP: usize, const LAST: usize> Op
    for Alone<Step<'_, E, I, H, HP, LAST, 1>>
{
    const F16: bool = E::F16;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        if const { HP > LAST * 4 || !early::serves::<S, E>(LAST, chains(I, LAST)) } {
            return self.0.run(simd);
        }
        let Step { weights: Weights { bias, columns }, x: [x], states: [state] } = self.0;
        let (w_ih, w_hh) = columns.split_at(const { packed(E::FORM, I) * LAST });
        let step = early::OneGroup { bias, w_ih, x, w_hh, hidden: H, lanes: state.lanes_mut() };
        match const { chains(I, LAST) } {
            1 => early::step::<S, E, LAST, 1>(simd, step),
            _ => early::step::<S, E, LAST, 2>(simd, step),
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn run_f16<S: F16Simd>(self, simd: S) {
        self.0.run_f16(simd);
    }
}

/// A whole sequence of one stream.
pub(crate) struct Run<'a, E: Element, const I: usize, const H: usize, const HP: usize, const LAST: usize> {
    pub(crate) weights: Weights<'a, E, I, H, LAST>,
    pub(crate) seq: &'a [[f32; I]],
    pub(crate) state: &'a mut State<H, HP>,
    pub(crate) out: &'a mut [[f32; H]],
}

impl<E: Element, const I: usize, const H: usize, const HP: usize, const LAST: usize> Op for Run<'_, E, I, H, HP, LAST> {
    const F16: bool = E::F16;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { weights, seq, state, out } = self;
        for (x, out) in seq.iter().zip(out) {
            simd.enter(Alone(Step { weights, x: [x], states: from_mut(state) }));
            *out = *state.h();
        }
    }
}
