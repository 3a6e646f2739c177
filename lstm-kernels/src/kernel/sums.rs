//! The pre-activations z of a group of lines.
//!
//! The pre-activation z of each gate and unit is summed in two parts, x's columns and then h's, each in
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
//! accumulators that stay in registers over all columns: no sum across lanes, no store in between. With AVX-512 both
//! chains of up to 12 lines live together (24 of 32 registers). AVX2 has 16 registers, so it works on 4 to 6 lines at
//! a time, NEON likewise, and does one chain after the other: each line is still read just once. Large layers are cut
//! into groups of lines, see [`layout`](crate::layout). Where the compiler runs out of registers it keeps a sum in the
//! stack, and each round of a loop waits for it: `benches/stack.py` finds these. (Tiles that are functions of their own
//! under all circumstances have none, but with AVX2 (1, 20) is 12 % slower then, (10, 20) 6 %, f16 2 to 4 %.
//! `#[inline(never)]` is not enough for that: of a function with `target_feature`, rustc 1.95 heeds it only in calls
//! from another one.)

use core::hint::black_box;

use crate::element::Element;
use crate::layout::{Line, packed};
use crate::simd::{Section, Simd, Vector};

/// The pre-activations of one group of `R` lines, for `T` streams.
#[inline(always)]
pub(super) fn sums<S: Simd, E: Element, const I: usize, const H: usize, const R: usize, const T: usize>(
    simd: S,
    bias: &[Line],
    w_ih: &[E::Line],
    w_hh: &[E::Line],
    x: [&[f32; I]; T],
    h: [&[f32; H]; T],
    backwards: bool,
) -> [[S::Row; R]; T] {
    let mut out = room::<S, R, T>(simd, bias);
    if const { one_tile::<S>(chains(H, R), R, T) && !turns_round::<S, E>(R, I + H, T) } {
        Tile::<S, E, I, H, R, R, T> { first: 0, bias, w_ih, w_hh, x, h, backwards, out: &mut out }.run(simd);
        return out;
    }
    // In memory: of a tile that is done, nothing may stay in the registers, or accumulators of the next one would go
    // through the stack in each round of its loop (with AVX2 181 or 214 ns at (1, 32), depending on the program around
    // it).
    let out = if const { T == 1 } { black_box(&mut out) } else { &mut out };
    // Several tiles are functions of their own: inlined, they would take the compiler half a minute.
    macro_rules! tile {
        ($n:literal, $first:expr) => {
            simd.tile(Tile::<S, E, I, H, R, $n, T> { first: $first, bias, w_ih, w_hh, x, h, backwards, out: &mut *out })
        };
    }
    if const { turns_round::<S, E>(R, I + H, T) } {
        each_tile!(R, step_tile::<S>(R, T), backwards, tile);
    } else {
        each_tile!(R, step_tile::<S>(R, T), tile);
    }
    *out
}

/// Room for sums. Of one stream with more than 8 lines it holds those that are at hand: to clear more than 16 vectors
/// the compiler calls `memset` ((1, 36) 252 or 202 ns with AVX2 on Emerald Rapids, likely because that one uses
/// registers of 512 bits, and while it does the CPU has half as many units for AVX2). To load fewer is slower than to
/// clear them (5 and 8 lines 1 % with AVX2 on Zen 4), and for several streams the call is faster (1 to 2 %).
#[inline(always)]
pub(super) fn room<S: Simd, const N: usize, const T: usize>(simd: S, lines: &[Line]) -> [[S::Row; N]; T] {
    let mut room = [[S::Row::splat(simd, 0.0); N]; T];
    if const { T == 1 && N > 8 } {
        let lines = &lines[..N];
        each!(n < N => { room[0][n] = S::Row::load(simd, &lines[n].0); });
    }
    room
}

/// Bytes of weights of which an L1 cache of 32 KiB does not keep all beside the rest.
pub(crate) const TURNS_FROM: usize = 28 << 10;

/// Whether the tiles of a group go backwards in every second step, so that what the L1 cache held of a larger group is
/// still there. With few registers there are tiles anyway, or those of [`woven::tiles`](super::woven::tiles). (Those of
/// 8 lines are in one half of its sets each: no gain.) With AVX-512 all lines are one tile, unless no L1 cache holds
/// them: to cut it costs a fifth. (Where it has 32 KiB, on Zen 4, other vectors are taken: [`narrow`](super::narrow).)
///
/// On Zen 4, whose L1 cache has 32 KiB, ns: with AVX2, whose tiles had 4 lines then, (1, 44) 278 to 256, (1, 48) 413 to
/// 308, (10, 40) 291 to 247, (36, 36) 430 to 353, (40, 40) 534 to 438, (48, 48) 731 to 649; with AVX-512 (40, 40) 473
/// to 421, (48, 48) 674 to 636. Layers of 5 to 7 lines, in [`woven::tiles`](super::woven::tiles): (46, 28) 232 to 223,
/// (48, 28) 268 to 229, but (84, 20) 220 to 229.
pub(super) const fn turns_round<S: Simd, E: Element>(lines: usize, columns: usize, streams: usize) -> bool {
    let bytes = size_of::<E::Line>() * lines * columns / E::FORM.share;
    streams == 1
        && match lines {
            5..=7 => E::IS_F32 && !S::MANY_REGISTERS && bytes > 32 << 10,
            9.. => bytes > if S::MANY_REGISTERS { 48 << 10 } else { TURNS_FROM },
            _ => false,
        }
}

/// Whether all lines are one tile.
pub(super) const fn one_tile<S: Simd>(chains: usize, lines: usize, streams: usize) -> bool {
    chains * lines * streams <= S::ACCUMULATORS || lines <= step_tile::<S>(lines, streams)
}

/// Lines in a tile of a step of a group of `lines` lines.
///
/// One stream goes over one chain after the other where registers are few, of which one chain of 6 lines leaves enough.
/// So there are 5 or 6 in a tile where that makes one tile less: an input is broadcast once less, and no tile has but a
/// line or two, which would wait for their few chains. On Zen 4 with AVX2, ns: (1, 20) 68.5 to 65.9, (10, 20) 83.2 to
/// 80.9, (1, 24) 83.3 to 82.7, (1, 36) 176 to 165, (1, 44) in bf16 249 to 237; in f16 on halves of AVX-512's vectors
/// (1, 36) 165 to 160, (36, 36) 278 to 262. (7 lines in a tile: the same to 1 % slower. Two tiles of a group of 10 or
/// 12 share the L1 cache worse than three: (1, 40) 1 % faster, (10, 40) 3 %, (1, 48) 14 % slower.)
pub(super) const fn step_tile<S: Simd>(lines: usize, streams: usize) -> usize {
    match lines {
        5 | 6 | 9 | 11 if streams == 1 && S::SIX_LINES => lines.div_ceil(lines.div_ceil(6)),
        _ => tile_lines(S::ACCUMULATORS, streams),
    }
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
    backwards: bool,
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
        let Self { first, bias, w_ih, w_hh, x, h, backwards, out } = self;
        if const { T == 1 && reverses(I, H) } && backwards {
            let parts = Parts::<E> { start: bias, w_ih, x: x[0], w_hh, h: h[0] };
            let [z] = parts.backwards::<S, N>(simd, R, first);
            each!(n < N => { out[0][first + n] = z[n]; });
            return;
        }
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

/// What the sums of a group are made of, for one stream, in a layer of several or tile by tile: the lines that they
/// begin as, x's columns and x, h's and h.
#[derive(Clone, Copy)]
pub(super) struct Parts<'a, E: Element> {
    pub(super) start: &'a [Line],
    pub(super) w_ih: &'a [E::Line],
    pub(super) x: &'a [f32],
    pub(super) w_hh: &'a [E::Line],
    pub(super) h: &'a [f32],
}

impl<E: Element> Parts<'_, E> {
    /// What `N` sums of a group of `stride` lines, at least 4, are without h: from line `first` on.
    #[inline(always)]
    pub(super) fn begin<S: Simd, const N: usize>(&self, simd: S, stride: usize, first: usize) -> [[S::Row; N]; 1] {
        let &Self { start, w_ih, x, .. } = self;
        let (start, mut z) = (&start[first..][..N], [[S::Row::splat(simd, 0.0); N]]);
        each!(n < N => { z[0][n] = S::Row::load(simd, &start[n].0); });
        let part = Part::<E, 1> { columns: w_ih, stride, first, inputs: [x] };
        match chains(x.len(), stride) {
            1 => add::<S, E, N, 1, 1>(simd, &mut z, part),
            _ => add::<S, E, N, 1, 2>(simd, &mut z, part),
        }
        z
    }
}

/// Whether a step of a cell that goes over its groups backwards goes backwards over the blocks of each one's columns,
/// too: what was read last is read first then. The sum over a block is begun anew, so it waits for no other; all are
/// put together in the order that they always have.
///
/// On Zen 4, whose L1 cache holds two blocks of 4 lines, ns a step with AVX-512 and AVX2: (72, 72) 1,507 to 1,433 and
/// 1,585 to 1,494, (10, 80) 978 to 936 and 1,003 to 993, (80, 80) 1,876 to 1,762 and 1,942 to 1,883, (96, 96) 2,720 to
/// 2,560 and 2,796 to 2,720, (128, 128) 4,846 to 4,628 and 4,930 to 4,880, (64, 128) 3,571 to 3,443 and 3,630 to 3,602.
/// (1, 128) and steps of a `run`, whose groups are as large as that cache, the same to 1 % slower. Of sizes known at
/// run time ([`group`](super::group)), with AVX-512 the same, with AVX2 up to 2 % faster, but (64, 64) 2 and 4 %
/// slower.
pub(super) const fn reverses(inputs: usize, hidden: usize) -> bool {
    inputs >= 8 && BLOCK < hidden && hidden <= 2 * BLOCK
}

impl<'a, E: Element> Parts<'a, E> {
    /// Of x's or h's columns the first block, and the later ones.
    #[inline(always)]
    fn blocks(columns: &'a [E::Line], inputs: &'a [f32], stride: usize, first: usize) -> [Part<'a, E, 1>; 2] {
        let (block, others) = inputs.split_at(usize::min(BLOCK, inputs.len()));
        let (columns, other_columns) = columns.split_at(stride * packed(E::FORM, block.len()));
        let part = |columns, inputs| Part { columns, stride, first, inputs: [inputs] };
        [part(columns, block), part(other_columns, others)]
    }

    /// The blocks of h.
    #[inline(always)]
    pub(super) fn blocks_of_h(&self, stride: usize, first: usize) -> [Part<'a, E, 1>; 2] {
        Self::blocks(self.w_hh, self.h, stride, first)
    }

    /// What `N` sums begin as, and x's part, the last block first: as [`begin`](Self::begin), for up to two.
    #[inline(always)]
    pub(super) fn begin_backwards<S: Simd, const N: usize>(
        &self,
        simd: S,
        stride: usize,
        first: usize,
    ) -> [[S::Row; N]; 1] {
        let &Self { start, w_ih, x, .. } = self;
        if x.len() <= BLOCK || x.len() > 2 * BLOCK {
            return self.begin(simd, stride, first);
        }
        let [one, two] = Self::blocks(w_ih, x, stride, first);
        let mut z = [[S::Row::splat(simd, 0.0); N]];
        let two = block::<S, E, N, 1, 2>(simd, z, two);
        let one = block::<S, E, N, 1, 2>(simd, z, one);
        let start = &start[first..][..N];
        each!(n < N => { z[0][n] = S::Row::load(simd, &start[n].0); });
        join(simd, join(simd, z, one), two)
    }

    /// `N` sums, the last block first, of a layer that [`reverses`].
    #[inline(always)]
    fn backwards<S: Simd, const N: usize>(&self, simd: S, stride: usize, first: usize) -> [[S::Row; N]; 1] {
        let [one, two] = self.blocks_of_h(stride, first);
        let zero = [[S::Row::splat(simd, 0.0); N]];
        let two = block::<S, E, N, 1, 2>(simd, zero, two);
        let one = block::<S, E, N, 1, 2>(simd, zero, one);
        let z = self.begin_backwards(simd, stride, first);
        join(simd, join(simd, z, one), two)
    }
}

/// z += columns * inputs, for `N` lines of `T` streams, in `C` chains, in the order that the top of the file gives.
#[inline(always)]
pub(super) fn add<S: Simd, E: Element, const N: usize, const T: usize, const C: usize>(
    simd: S,
    z: &mut [[S::Row; N]; T],
    part: Part<'_, E, T>,
) {
    let Part { columns, stride, .. } = part;
    if part.inputs[0].len() <= BLOCK {
        *z = block::<S, E, N, T, C>(simd, *z, part);
        return;
    }
    // In memory while a block is summed: there is no room for z in the registers beside its accumulators. (Of one
    // stream, with AVX2 on Zen 4, (70, 70) and (128, 128) would be 3 to 5 % faster, (256, 256) up to 2 %, (70, 61) in
    // bf16 6 % slower, and (128, 128) has 21 % more instructions then.)
    let z = aside(z, T > 1);
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

/// How many accumulators the registers hold. Of a half type a widened line for several streams takes one, too, beside
/// a broadcast for each of them.
const fn accumulators<S: Simd, E: Element>(streams: usize) -> usize {
    let widened = S::MANY_REGISTERS && !E::IS_F32 && streams > 1;
    if widened { S::ACCUMULATORS - streams } else { S::ACCUMULATORS }
}

/// As many of the `C` chains together as the registers hold. (In the body of `Block::run`, a step of (256, 256) with
/// AVX2 has 18 % more instructions.)
#[inline(always)]
fn chained<S: Simd, E: Element, const N: usize, const T: usize, const C: usize>(
    simd: S,
    start: [[S::Row; N]; T],
    part: Part<'_, E, T>,
) -> [[S::Row; N]; T] {
    let zero = [[S::Row::splat(simd, 0.0); N]; T];
    if const { C == 1 } {
        pass::<S, E, N, T, 1, C>(simd, 0, start, &part)
    } else if const { C == 2 && accumulators::<S, E>(T) >= 2 * N * T } {
        pass::<S, E, N, T, 2, C>(simd, 0, start, &part)
    } else if const { C == 2 } {
        let mut first = pass::<S, E, N, T, 1, C>(simd, 0, start, &part);
        let first = aside(&mut first, T > 1 || crowded::<S, N>(part.stride));
        let second = pass::<S, E, N, T, 1, C>(simd, 1, zero, &part);
        join(simd, *first, second)
    } else if const { accumulators::<S, E>(T) >= 4 * N * T } {
        pass::<S, E, N, T, 4, C>(simd, 0, start, &part)
    } else if const { accumulators::<S, E>(T) >= 2 * N * T } {
        let mut first = pass::<S, E, N, T, 2, C>(simd, 0, start, &part);
        let first = aside(&mut first, T > 1);
        let second = pass::<S, E, N, T, 2, C>(simd, 2, zero, &part);
        join(simd, *first, second)
    } else {
        let mut first = pass::<S, E, N, T, 1, C>(simd, 0, start, &part);
        let first = aside(&mut first, T > 1);
        let second = pass::<S, E, N, T, 1, C>(simd, 1, zero, &part);
        *first = join(simd, *first, second);
        let first = aside(first, T > 1);
        let mut third = pass::<S, E, N, T, 1, C>(simd, 2, zero, &part);
        let third = aside(&mut third, T > 1);
        let fourth = pass::<S, E, N, T, 1, C>(simd, 3, zero, &part);
        join(simd, *first, join(simd, *third, fourth))
    }
}

/// Sums that are done, with `put` in memory: in registers they may drive a sum of the next pass into the stack, which
/// its loop then stores and loads in each round (32 streams of (1, 16) 23 or 18.4 ns each). One stream has the
/// registers, and no time for memory, with AVX-512. With AVX2 its 4 to 6 lines have not: whether the compiler finds a
/// way depends on the program around them ((2, 80) 1,360 or 1,020 ns on Zen 4, (7, 13) 63 or 53). As a function of its
/// own a tile is safe, and faster without ((10, 20) 86 or 89 ns).
#[inline(always)]
fn aside<Z>(sums: &mut Z, put: bool) -> &mut Z {
    if put { black_box(sums) } else { sums }
}

/// Whether a tile of one stream leaves no register for sums that are done: where these are few, if it is all of a
/// group, which stands amid other code.
#[inline(always)]
fn crowded<S: Simd, const N: usize>(stride: usize) -> bool {
    stride == N && const { !S::MANY_REGISTERS && !S::PORTABLE && N >= 4 }
}

/// a + b.
#[inline(always)]
pub(crate) fn join<S: Simd, const N: usize, const T: usize>(
    simd: S,
    mut a: [[S::Row; N]; T],
    b: [[S::Row; N]; T],
) -> [[S::Row; N]; T] {
    each!(t < T => { each!(n < N => { a[t][n] = a[t][n].add(simd, b[t][n]); }); });
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
    if const { G == 4 } {
        let (first, second) = (join(simd, chains[0], chains[1]), join(simd, chains[2], chains[3]));
        join(simd, first, second)
    } else if const { G == 2 } {
        join(simd, chains[0], chains[1])
    } else {
        chains[0]
    }
}

/// `G` of the `C` chains, from chain `chain` on, over some columns. The loop over the columns must stay a loop:
/// unrolled as a whole, the compiler sorts it into one long chain after another, and the processor's window fills with
/// one of them.
#[inline(always)]
pub(super) fn advance<S: Simd, E: Element, const N: usize, const T: usize, const G: usize, const C: usize>(
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
    let (mut rest, mut inputs) = (columns, inputs);
    // A count that the compiler does not know keeps the loop. Of one chain alone there is nothing to sort, but all its
    // weights may be loaded first, into the stack: with AVX2 103 or 252 ns at (10, 20), depending on the code around
    // it.
    let most = if const { T == 1 } { black_box(usize::MAX) } else { usize::MAX };
    if const { by_fours::<S, E>(T, G, C) } {
        let (fours, others) = inputs[0].as_chunks();
        inputs[0] = others;
        for four in &fours[..usize::min(fours.len(), most)] {
            black_box(());
            let Some((round, others)) = rest.split_at_checked(stride * 4) else { break };
            rest = others;
            let x = simd.splat_each(four);
            each_of_4!(n < 2 => {
                let n = chain + 2 * n;
                add_column::<S, E, N, T>(simd, &mut chains[0], &round[n * stride + first..], 0, [x[n]; T]);
            });
        }
    }
    let (mut blocks, mut rests) = ([&[][..]; T], [&[][..]; T]);
    each_of_4!(t < T => { (blocks[t], rests[t]) = inputs[t].as_chunks::<C>(); });
    // (No `chunks_exact`, which begins with a division.)
    #[expect(clippy::needless_range_loop, reason = "k is the round of all of them, not one of `blocks`")]
    for k in 0..usize::min(blocks[0].len(), most) {
        // Nor may it be unrolled in part, as it is for a CPU that is given to the compiler: Zen 5 reads from the L2
        // cache at half its rate for 32 instructions that each load every 2 KiB ((64, 64) 830 against 630 ns).
        black_box(());
        let Some((round, others)) = rest.split_at_checked(stride * (C / E::FORM.share)) else { break };
        rest = others;
        if const { E::FORM.share == 2 && G == 2 && T == 1 && N > 8 } {
            let (even, odd) = chains.split_at_mut(1);
            let x = [blocks[0][k][chain], blocks[0][k][chain + 1]];
            two_columns::<S, E, N>(simd, [&mut even[0][0], &mut odd[0][0]], &round[first..], x);
            continue;
        }
        each_of_4!(g < G => {
            let lines = &round[(chain + g) / E::FORM.share * stride + first..][..N];
            // (Behind the checks of the lines: before them, the compiler broadcasts from a register, not from memory,
            // for which the units of the multiply-adds are needed. Tiles of one line took 25 % longer.)
            let mut x = [0.0; T];
            each_of_4!(t < T => { x[t] = blocks[t][k][chain + g]; });
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
pub(super) fn column<S: Simd, E: Element, const N: usize, const T: usize>(
    simd: S,
    chain: &mut [[S::Row; N]; T],
    column: &[E::Line],
    part: usize,
    x: [f32; T],
) {
    let mut broadcast = [S::Row::splat(simd, 0.0); T];
    each!(t < T => { broadcast[t] = S::Row::splat(simd, x[t]); });
    add_column::<S, E, N, T>(simd, chain, column, part, broadcast);
}

/// [`column`](fn@column), with each x in all lanes.
#[inline(always)]
fn add_column<S: Simd, E: Element, const N: usize, const T: usize>(
    simd: S,
    chain: &mut [[S::Row; N]; T],
    column: &[E::Line],
    part: usize,
    x: [S::Row; T],
) {
    let column = &column[..N];
    each!(n < N => {
        let line = E::load(simd, &column[n], part);
        each!(t < T => { chain[t][n] = line.mul_add(simd, x[t], chain[t][n]); });
    });
}

/// Whether one of two chains of one stream goes on by four inputs in a round, of which two are its own: a register is
/// filled with four by one load, out of which they are shuffled, where two broadcasts are two. Loads are what columns
/// wait for: 8 multiply-adds and a broadcast take 4.7 cycles on Zen 4, so 4.5, 10 and one 5.9 and 5.5 (bare loops; no
/// broadcast at all 4.3 and 5.3). A step with AVX2, ns: (1, 32) 133.7 to 130, (10, 20) 81.1 to 79.6, (1, 40) 193 to
/// 190, (32, 32) 253 to 243. **Tried and lost**: one to three lines, (1, 8) and (1, 12) 1 % slower. With AVX-512 on Zen
/// 4 (1, 40) and (32, 32) would be 2 and 3 % faster, others the same; but on Intel's CPUs the unit that shuffles 512
/// bits is one of the two that multiply them. Half types, whose lines take units and registers to be widened, (10, 20)
/// 11 to 17 %, (64, 64) a third slower.
const fn by_fours<S: Simd, E: Element>(streams: usize, together: usize, chains: usize) -> bool {
    streams == 1 && together == 1 && chains == 2 && E::IS_F32 && S::SHUFFLES
}

/// `column` for two columns that share their lines. One column after the other, the compiler would keep all lines for
/// the second, and for want of registers some sums in the stack ((1, 48) in bf16 with AVX-512 340 to 232 ns on Zen 4,
/// up to 8 lines 2 % slower).
#[inline(always)]
fn two_columns<S: Simd, E: Element, const N: usize>(
    simd: S,
    [even, odd]: [&mut [S::Row; N]; 2],
    columns: &[E::Line],
    x: [f32; 2],
) {
    let (x, columns) = ([S::Row::splat(simd, x[0]), S::Row::splat(simd, x[1])], &columns[..N]);
    each!(n < N => {
        even[n] = E::load(simd, &columns[n], 0).mul_add(simd, x[0], even[n]);
        odd[n] = E::load(simd, &columns[n], 1).mul_add(simd, x[1], odd[n]);
    });
}
