//! Steps of a large layer through a chunk of time, with x's part of the chunk to come in between.
//!
//! One stream waits for h's weights, which come from the L2 cache in each step; x's part of the sums waits for nothing
//! and keeps the units busy. So a column of x goes, for two rows, beside two columns of h:
//!
//! ```text
//! accumulators  h: 2 chains of 4 lines                   x: 1 chain of 4 lines for 2 rows
//! a round       8 lines from the L2 cache, multiplied    4 lines from the L1 cache, multiplied with two inputs each
//! ```
//!
//! A *piece* of x's part is one chain of a group's block of 64 columns, 8 KiB, for two rows; it goes beside a block of
//! h's columns. The same columns come again for the next rows, until all rows of the chunk have them: so they stay in
//! the L1 cache, through which h's weights pass. Then comes the other chain; the first one's sums wait in memory, eight
//! lines of them, where pieces of both chains for half of the columns had 16. (In the first block they wait where the
//! sums will be: that is memory less to go through the cache, 0.2 to 1 % faster.) The order within each sum is what it
//! always is.
//!
//! The columns of a chain lie side by side, in a copy of x's weights: as every second column they would have half of
//! the cache's sets, and h's weights would push them out (Zen 4, (128, 128): a fifth slower).
//!
//! (A block of at most 32 columns is so short that a piece is both of its chains, whose sums then wait in registers.)
//!
//! Blocks of 100 columns are 64 and 36, beside which whole pieces leave gaps. Where that costs more than an eighth of
//! what could go there, a piece is *cut* where a block of h ends and goes on beside the next one ([`Plan`]). What still
//! finds no place, and x's part of a last group of 5 to 7 lines, is made as without overlapping, in
//! [`product`](super::product). An odd number of inputs gets one more, of zero.
//!
//! On Zen 4, ns a step of `Lstm`, without overlapping, with pieces of both chains for 16 pairs of columns, and so: (16,
//! 64) 614, 585, 571; (64, 64) 823, 802, 698; (96, 96) 1,948, 1,951, 1,823; (128, 128) 3,624, 3,141, 2,870; (192, 192)
//! 8,278, 7,107, 6,680; (256, 256) 15,229, 13,416, 12,583; (384, 384) 36,021, 31,582, 29,900. Without, and so, where
//! h's weights come from the L3 cache: (512, 512) 65,500, 55,300; (640, 640) 104,800, 91,100; (768, 768) 162,700,
//! 148,600. Without, and so, where hidden is no multiple of 16, inputs are odd, or there are more of them than units:
//! (63, 64) 821, 703; (100, 100) 2,145, 1,947; (129, 128) 3,616, 3,071; (150, 150) 5,170, 4,553; (200, 200) 9,186,
//! 8,058; (300, 300) 21,900, 20,000; and (with whole pieces, the rest alone, or cut, the rest in `product`) (112, 112)
//! 2,609, 2,317; (257, 128) 4,932, 4,388.
//!
//! On Zen 5, with pieces of both chains (not measured since): (64, 64) 426 to 370, (96, 96) 1,024 to 955, (128, 128)
//! 1,930 to 1,655, (192, 192) 4,010 to 3,460, (256, 256) 8,400 to 7,900, (384, 384) 22,200 to 20,300. Bare loops tell
//! less: they gain 18 % at (128, 128), where the L2 cache gives a line every 1.33 cycles (see [`kernel`](super)), 3 %
//! at (192, 192) and nothing at (256, 256), as loads from the L1 cache take turns with what fills it.
//!
//! On Emerald Rapids it loses, so it is left out on Intel's CPUs. With and without, least of 12 runs: (16, 64) 551,
//! 525; (64, 64) 688, 661; (96, 96) 1,720, 1,606; (128, 128) 3,006, 2,962; (160, 160) 5,020, 4,726; (192, 192) 6,773,
//! 6,908; (256, 256) 12,530, 12,748; (384, 384) 49,754, 46,703; (512, 512) the same. x's part takes nearly as long
//! beside h's as alone: (128, 128) 2,855 ns, without x's multiply-adds 2,166, without gates 2,719, with h's weights
//! always of the same group 2,179; with x's weights, inputs or sums always in the same place 1 to 6 % less. Bare loops
//! gain 12 %: a line of h from the L2 cache and what of x goes beside it 1.73 cycles (both from the L1 cache: 1.17),
//! the line alone 1.40, x's part alone 0.57. Lost there, too: h's lines asked for 2 to 8 rounds ahead (5 to 12 %
//! slower), the gates of a group in three parts between the columns of the next (the same).
//!
//! **What is left**, on Zen 4 at (128, 128): h's part with the gates takes 2,360 of the 2,870 ns, x's first chunk 80.
//! With z always in the same rows it would be 3 % less, with inputs too 5 %, with x's weights too 7 % (64 to 256
//! units: at 64 nothing, at 256 11 %); without gates 3.5 %.
//!
//! **Tried and lost**, on Zen 4. Two queues of pieces, long ones for whole blocks of h and short ones for the last:
//! both kinds' weights, inputs and sums are more than the L1 cache holds, (112, 112) 9 and (100, 100) 5 % slower than
//! not to overlap. To decide at run time whether pieces are cut: (128, 128) and (256, 256) 3 to 4 % slower. No pieces
//! beside the last group: (200, 200) 10 % slower.
//!
//! (64, 64), (128, 128) and (256, 256) beside this:
//! - The gates of a group between quarters of a piece beside the next one ([`woven`](super::woven)): 13, 6 and 8 %
//!   slower.
//! - One line of both chains for four rows, from a copy line by line: no sums wait. 3 % faster, 1 % slower, the same;
//!   but a fifth more loads, which Zen 5 may lack.
//! - Two lines of one chain for four rows: the same, 2 % slower, the same. Two lines of both chains for two rows: 2 and
//!   3 % slower, the same. Four lines of a chain for four rows: 11 to 20 % slower, as the columns come again too late;
//!   for half of the columns 3, 4 and 2 % slower.
//! - Two rows of a chain for half of the columns: 13 % slower. Chunks of 24 or 48 steps: the same.
//! - The group's sums in memory while a block is summed, as 24 accumulators would want it: 3, 2 and 2 % slower.
//! - bf16: (64, 64) and (256, 256) the same as without overlapping, (128, 128), (192, 192) and (384, 384) 13 % slower,
//!   for to widen the lines takes the units' time. (With pieces of both chains.)
//!
//! With AVX2, whose 16 registers hold a chain of four lines for h and one line for two rows of x: bare loops take as
//! long beside each other as one after the other ((64, 64) 720 ns, (128, 128) 3,950), for 16 multiply-adds take 17
//! loads.
//!
//! And on Zen 5 at (128, 128), with pieces of both chains, 1,655 ns:
//! - x's part between the groups rather than between the columns: a bare loop 1,733 for 1,740.
//! - Chunks of 8, 16, 20, 40 steps for 32: 2 to 7 % slower.
//! - The sums of two groups before the gates of both: 3 % slower. Prefetching h's lines a round ahead: 20 %.
//! - Inputs broadcast from a register: the same.
//! - All of x's multiply-adds of a round before h's, as the compiler has it when it builds for the CPU (`-C
//!   target-cpu=native`): 1,750. With fences between the columns 1,650 in either.
//! - Not to overlap but to keep two copies of h's weights, read in turn (more is read before it is read again, see
//!   [`kernel`](super)): (128, 128) 12 % faster, (64, 64) 22 % and (160, 160) 6 % slower.

use alloc::vec::Vec;
use core::hint::black_box;

use super::gates::{Lanes, activate, copy};
use super::sums::{BLOCK, Part, advance, column, join};
use crate::element::Element;
use crate::layout::Line;
use crate::simd::{Op, Simd, Vector};

/// Time steps in a chunk: so many rows a group has in `z`, where the groups lie one behind the other. (Row by row, the
/// rows of a group took each other's place in the cache: up to 1 % slower.)
pub(crate) const STEPS: usize = 32;

/// Whether the registers hold it all, and an element is what it is written for.
pub(crate) const fn serves<S: Simd, E: Element>() -> bool {
    S::MANY_REGISTERS && E::IS_F32
}

/// How much of x's part goes beside h's.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    /// The groups of 4 lines whose x's part does, from the first one on.
    pub(crate) groups: usize,
    /// Whether pieces are cut where a block of h ends, and go on beside the next: that fills each block, but takes
    /// time.
    pub(crate) cut: bool,
}

impl Plan {
    /// For a layer of `all` groups, of which `groups` have 4 lines.
    pub(crate) fn new(all: usize, groups: usize, input: usize, hidden: usize) -> Self {
        let cut = usize::min(groups, all * hidden / input);
        // Whole pieces: how many blocks of h, and how long a last one, are in a step of a group, and how many steps of
        // a group take all pieces of another.
        let (blocks, room) = (hidden / BLOCK, hidden % BLOCK / 2);
        let pairs = input.div_ceil(2);
        let long = match pairs / (BLOCK / 2) {
            0 => 0.0,
            long => long as f64 / blocks as f64,
        };
        let (rounds, times) = match pairs % (BLOCK / 2) {
            0 => (0, 0.0),
            short if both(short) => (2 * short, 0.5),
            short => (short, 1.0),
        };
        let steps = long + times / (blocks + usize::from(rounds <= room)) as f64;
        let whole = usize::min(groups, (all as f64 / steps) as usize);
        // (Zen 4: with 4 groups whole for 5, (100, 100) 2,072 and 1,971 ns; 7 for 8, (150, 150) 4,635 and 4,667; 10 for
        // 11, (200, 200) 7,994 and 8,292.)
        if 8 * whole < 7 * cut { Self { groups: cut, cut: true } } else { Self { groups: whole, cut: false } }
    }
}

/// x's columns in the order in which [`Ahead`] reads them: of each group of 4 lines and each block the columns of one
/// chain, then those of the other. After an odd number of them there is one of zeros.
pub(crate) fn by_chain<E: Element>(w_ih: &[E::Line], input: usize) -> Vec<E::Line> {
    let mut lines = Vec::with_capacity(w_ih.len() / input * input.next_multiple_of(2));
    let zeros = [E::ZERO; 4];
    for group in w_ih.chunks(4 * input) {
        for block in group.chunks(4 * BLOCK) {
            let (pairs, last) = block.as_chunks::<4>().0.as_chunks::<2>();
            lines.extend(pairs.iter().map(|pair| &pair[0]).chain(last).flatten().copied());
            let zeros = last.iter().map(|_| &zeros);
            lines.extend(pairs.iter().map(|pair| &pair[1]).chain(zeros).flatten().copied());
        }
    }
    lines
}

/// The steps of one stream through a layer of groups of 4 lines, and a last one of `LAST`, if that is not 0; with or
/// without pieces that are cut.
pub(crate) struct Steps<'a, 'b, E: Element, const LAST: usize, const CUT: bool> {
    pub(crate) w_hh: &'a [E::Line],
    /// What the sums begin as, the bias and x's part: [`STEPS`] rows of each group.
    pub(crate) z: &'a [Line],
    /// \[padded(hidden)\] each: h, c, and memory for the new h.
    pub(crate) h: &'a mut [f32],
    pub(crate) c: &'a mut [f32],
    pub(crate) next: &'a mut [f32],
    pub(crate) hidden: usize,
    /// Rows, `out_stride` apart, that begin with h.
    pub(crate) out: &'a mut [f32],
    pub(crate) out_stride: usize,
    pub(crate) steps: usize,
    /// From the last row on.
    pub(crate) reverse: bool,
    /// From the last group on in the first step; in the next one the other way.
    pub(crate) backwards: bool,
    pub(crate) ahead: &'a mut Ahead<'b, E>,
}

/// The bias and x's part of the sums of time steps to come, and how far they are.
pub(crate) struct Ahead<'a, E: Element> {
    /// [`by_chain`].
    w_ih: &'a [[E::Line; 4]],
    bias: &'a [[Line; 4]],
    /// Rows of `pairs`.
    x: &'a [[f32; 2]],
    pairs: usize,
    /// Two rows count as one.
    rows: usize,
    groups: usize,
    /// Two rows each, half of [`STEPS`] for each group.
    z: &'a mut [[[Line; 4]; 2]],
    /// For each two rows the first chain's sums of a block that is not the first; and those of a piece that is cut.
    waiting: &'a mut [[[Line; 4]; 2]],
    /// What is next: two rows, a chain, a block's first pair of columns, a group.
    row: usize,
    chain: usize,
    pair: usize,
    group: usize,
    /// How many columns of it are done.
    done: usize,
}

/// Columns of a chain, and the inputs that two rows have for both chains.
struct Columns<'a, E: Element> {
    lines: &'a [[E::Line; 4]],
    x: [&'a [[f32; 2]]; 2],
    chain: usize,
}

/// A chain of two rows.
type Sums<S> = [[<S as Simd>::Row; 4]; 2];

/// Lines that wait, at most.
pub(crate) const WAITING: usize = 4 * STEPS + 8;

impl<'a, E: Element> Ahead<'a, E> {
    /// Of `x`, rows of an even number of inputs, an odd last row is left out. `waiting` has [`WAITING`] lines.
    pub(crate) fn new(
        w_ih: &'a [E::Line],
        bias: &'a [Line],
        (x, input): (&'a [f32], usize),
        z: &'a mut [Line],
        waiting: &'a mut [Line],
    ) -> Self {
        let rows = x.len() / input / 2;
        Self {
            w_ih: w_ih.as_chunks().0,
            bias: bias.as_chunks().0,
            x: x.as_chunks().0,
            pairs: input / 2,
            rows,
            groups: if rows == 0 { 0 } else { w_ih.len() / 4 / input },
            z: z.as_chunks_mut().0.as_chunks_mut().0,
            waiting: waiting.as_chunks_mut().0.as_chunks_mut().0,
            row: 0,
            chain: 0,
            pair: 0,
            group: 0,
            done: 0,
        }
    }

    /// How many columns of a chain the next block has, if there is one.
    #[inline(always)]
    fn count(&self) -> Option<usize> {
        (self.group < self.groups).then(|| usize::min(BLOCK / 2, self.pairs - self.pair))
    }

    /// Columns of a chain, for the next two rows: `count` of them from the `done`-th one of the block on, which has
    /// `all`.
    #[inline(always)]
    fn columns(&self, chain: usize, all: usize, done: usize, count: usize) -> Columns<'a, E> {
        let &Self { w_ih, x, pairs, row, pair, group, .. } = self;
        let lines = &w_ih[2 * (group * pairs + pair) + chain * all + done..][..count];
        let x = &x[2 * row * pairs + pair + done..][..pairs + count];
        Columns { lines, x: [&x[..count], &x[pairs..]], chain }
    }

    /// What the sums of a chain begin as: see [`kernel`](super).
    #[inline(always)]
    fn begin<S: Simd>(&self, simd: S, chain: usize) -> Sums<S> {
        let mut sums = [[S::Row::splat(simd, 0.0); 4]; 2];
        if chain == 0 && self.pairs <= BLOCK / 2 {
            let bias = &self.bias[self.group];
            for row in &mut sums {
                each_of_4!(n < 4 => { row[n] = S::Row::load(simd, &bias[n].0); });
            }
        }
        sums
    }

    /// The sums of a piece of one chain that has been cut.
    #[inline(always)]
    fn resume<S: Simd>(&self, simd: S) -> Sums<S> {
        load(simd, &self.waiting[STEPS / 2])
    }

    /// Cuts it behind `count` columns more.
    #[inline(always)]
    fn pause<S: Simd>(&mut self, simd: S, sums: Sums<S>, count: usize) {
        store(simd, sums, &mut self.waiting[STEPS / 2]);
        self.done += count;
    }

    /// Puts the sums of a piece of one chain where they belong, and goes on to the next one.
    #[inline(always)]
    fn end<S: Simd>(&mut self, simd: S, sums: Sums<S>, all: usize) {
        self.done = 0;
        let z = &mut self.z[self.group * (STEPS / 2) + self.row];
        let waiting = if self.pair == 0 { z } else { &mut self.waiting[self.row] };
        if self.chain == 0 {
            store(simd, sums, waiting);
            self.go_on(all);
        } else {
            let first = load(simd, waiting);
            self.finish(simd, first, sums, all);
        }
    }

    /// Puts the sums of both chains where they belong.
    #[inline(always)]
    fn finish<S: Simd>(&mut self, simd: S, first: Sums<S>, second: Sums<S>, all: usize) {
        let z = &mut self.z[self.group * (STEPS / 2) + self.row];
        for (mut sums, z) in join(simd, first, second).into_iter().zip(z) {
            if self.pairs > BLOCK / 2 {
                let start = if self.pair == 0 { &self.bias[self.group] } else { &*z };
                each_of_4!(n < 4 => { sums[n] = S::Row::load(simd, &start[n].0).add(simd, sums[n]); });
            }
            each_of_4!(n < 4 => { sums[n].store(simd, &mut z[n].0); });
        }
        self.go_on(all);
    }

    /// The next two rows of a block of `count` columns of a chain, its other chain, or the next block.
    #[inline(always)]
    fn go_on(&mut self, count: usize) {
        self.row += 1;
        if self.row < self.rows {
            return;
        }
        self.row = 0;
        self.chain += 1;
        if self.chain < 2 && !both(count) {
            return;
        }
        (self.chain, self.pair) = (0, self.pair + count);
        if self.pair >= self.pairs {
            (self.pair, self.group) = (0, self.group + 1);
        }
    }
}

/// Whether a piece is both chains of a block, of so many columns each: if it is short.
#[inline(always)]
const fn both(count: usize) -> bool {
    count <= BLOCK / 4
}

#[inline(always)]
fn load<S: Simd>(simd: S, lines: &[[Line; 4]; 2]) -> Sums<S> {
    let mut sums = [[S::Row::splat(simd, 0.0); 4]; 2];
    for t in 0..2 {
        each_of_4!(n < 4 => { sums[t][n] = S::Row::load(simd, &lines[t][n].0); });
    }
    sums
}

#[inline(always)]
fn store<S: Simd>(simd: S, sums: Sums<S>, lines: &mut [[Line; 4]; 2]) {
    for t in 0..2 {
        each_of_4!(n < 4 => { sums[t][n].store(simd, &mut lines[t][n].0); });
    }
}

impl<E: Element, const LAST: usize, const CUT: bool> Op for Steps<'_, '_, E, LAST, CUT> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { w_hh, z, mut h, c, mut next, hidden, out, out_stride, steps, reverse, mut backwards, ahead } = self;
        // A copy that the compiler need not keep in memory.
        let mut here = Ahead { z: &mut *ahead.z, waiting: &mut *ahead.waiting, ..*ahead };
        let groups = (h.len() / 4 - LAST) / 4;
        let all = groups + usize::from(LAST > 0);
        for n in 0..steps {
            let row = if reverse { steps - 1 - n } else { n };
            for g in 0..all {
                let g = if backwards { all - 1 - g } else { g };
                if LAST > 0 && g == groups {
                    let start = &z[4 * STEPS * g + LAST * row..][..LAST];
                    let z = group::<S, E, LAST, CUT>(simd, &mut here, start, &w_hh[4 * g * hidden..], &h[..hidden]);
                    activate::<S, LAST, false>(simd, &z, Lanes::new(&mut next[16 * g..], &mut c[16 * g..]));
                    continue;
                }
                let g = nth_group(g, groups);
                let (start, w_hh) = (&z[4 * (STEPS * g + row)..][..4], &w_hh[4 * g * hidden..][..4 * hidden]);
                let z = group::<S, E, 4, CUT>(simd, &mut here, start, w_hh, &h[..hidden]);
                activate::<S, 4, false>(simd, &z, Lanes::new(&mut next[16 * g..], &mut c[16 * g..]));
            }
            core::mem::swap(&mut h, &mut next);
            copy(simd, &h[..hidden], &mut out[row * out_stride..][..hidden]);
            backwards = !backwards;
        }
        if !steps.is_multiple_of(2) {
            next.copy_from_slice(h);
        }
        (ahead.row, ahead.chain, ahead.pair, ahead.group, ahead.done) =
            (here.row, here.chain, here.pair, here.group, here.done);
    }
}

/// The sums of a group of `N` lines, and pieces of x's part beside its blocks.
#[inline(always)]
fn group<S: Simd, E: Element, const N: usize, const CUT: bool>(
    simd: S,
    ahead: &mut Ahead<'_, E>,
    start: &[Line],
    w_hh: &[E::Line],
    h: &[f32],
) -> [S::Row; N] {
    let (zero, one_block) = ([[S::Row::splat(simd, 0.0); N]], h.len() <= BLOCK);
    let mut z = zero;
    each!(n < N => { z[0][n] = S::Row::load(simd, &start[n].0); });
    for (columns, h) in w_hh.chunks(N * BLOCK).zip(h.chunks(BLOCK)) {
        let mut chains = [if one_block { z } else { zero }, zero];
        let mut done = 0;
        loop {
            let more = beside::<S, E, N, CUT>(simd, ahead, &mut chains, &columns[N * done..], &h[done..]);
            done += more;
            if !CUT || more == 0 {
                break;
            }
        }
        if done < h.len() {
            let part = Part { columns: &columns[N * done..], stride: N, first: 0, inputs: [&h[done..]] };
            chains = advance::<S, E, N, 1, 2, 2>(simd, 0, chains, &part);
        }
        let [first, second] = chains;
        let sum = join(simd, first, second);
        z = if one_block { sum } else { join(simd, z, sum) };
    }
    z[0]
}

/// A piece of x's part, or with `CUT` as much of one as there is room for, beside columns of h: how many of these are
/// done.
#[inline(always)]
fn beside<S: Simd, E: Element, const N: usize, const CUT: bool>(
    simd: S,
    ahead: &mut Ahead<'_, E>,
    chains: &mut [[[S::Row; N]; 1]; 2],
    columns: &[E::Line],
    h: &[f32],
) -> usize {
    let Some(all) = ahead.count() else { return 0 };
    if both(all) {
        if 4 * all > h.len() {
            return 0;
        }
        let (first, x) = (ahead.begin(simd, 0), ahead.columns(0, all, 0, all));
        let first = rounds(simd, chains, (columns, h), first, x);
        let (rest, second) = ((&columns[2 * N * all..], &h[2 * all..]), ahead.begin(simd, 1));
        let second = rounds(simd, chains, rest, second, ahead.columns(1, all, 0, all));
        ahead.finish(simd, first, second, all);
        return 4 * all;
    }
    let (from, room) = (if CUT { ahead.done } else { 0 }, h.len() / 2);
    let count = if CUT { usize::min(all - from, room) } else { all };
    if count == 0 || count > room {
        return 0;
    }
    let sums = if from == 0 { ahead.begin(simd, ahead.chain) } else { ahead.resume(simd) };
    let sums = rounds(simd, chains, (columns, h), sums, ahead.columns(ahead.chain, all, from, count));
    if from + count == all {
        ahead.end(simd, sums, all);
    } else {
        ahead.pause(simd, sums, count);
    }
    2 * count
}

/// The `n`-th group on the way forwards, of which the way backwards is the reverse. One in the middle comes first, so
/// neither way ends with the units whose h the next step needs first.
#[inline(always)]
fn nth_group(n: usize, groups: usize) -> usize {
    match n {
        0 => groups / 2,
        n if n <= groups / 2 => n - 1,
        n => n,
    }
}

/// Two columns of h for each of x's.
#[inline(always)]
fn rounds<S: Simd, E: Element, const N: usize>(
    simd: S,
    chains: &mut [[[S::Row; N]; 1]; 2],
    (w_hh, h): (&[E::Line], &[f32]),
    mut sums: Sums<S>,
    Columns { lines, x, chain }: Columns<'_, E>,
) -> Sums<S> {
    let count = lines.len();
    let (w_hh, h) = (&w_hh.as_chunks::<N>().0[..2 * count], &h.as_chunks::<2>().0[..count]);
    let (w_hh, x) = (&w_hh.as_chunks::<2>().0[..count], [&x[0][..count], &x[1][..count]]);
    for k in 0..count {
        black_box(());
        column::<S, E, N, 1>(simd, &mut chains[0], &w_hh[k][0], 0, [h[k][0]]);
        column::<S, E, 4, 2>(simd, &mut sums, &lines[k], 0, [x[0][k][chain], x[1][k][chain]]);
        column::<S, E, N, 1>(simd, &mut chains[1], &w_hh[k][1], 0, [h[k][1]]);
    }
    sums
}

/// What is left of x's part, alone.
pub(crate) struct Rest<'a, 'b, E: Element>(pub(crate) &'a mut Ahead<'b, E>);

impl<E: Element> Op for Rest<'_, '_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self(ahead) = self;
        while let Some(all) = ahead.count() {
            if both(all) {
                let first = alone(simd, ahead.begin(simd, 0), ahead.columns(0, all, 0, all));
                let second = alone(simd, ahead.begin(simd, 1), ahead.columns(1, all, 0, all));
                ahead.finish(simd, first, second, all);
            } else {
                let count = all - ahead.done;
                let sums = if ahead.done == 0 { ahead.begin(simd, ahead.chain) } else { ahead.resume(simd) };
                let sums = alone(simd, sums, ahead.columns(ahead.chain, all, ahead.done, count));
                ahead.end(simd, sums, all);
            }
        }
    }
}

/// x's columns without h's.
#[inline(always)]
fn alone<S: Simd, E: Element>(
    simd: S,
    mut sums: Sums<S>,
    Columns { lines, x: [x, x_next], chain }: Columns<'_, E>,
) -> Sums<S> {
    for ((lines, x), x_next) in lines.iter().zip(x).zip(x_next) {
        black_box(());
        column::<S, E, 4, 2>(simd, &mut sums, lines, 0, [x[chain], x_next[chain]]);
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_much_of_x_goes_beside_h_as_there_is_room_for() {
        let plan = |groups, last, input, hidden| {
            let Plan { groups, cut } = Plan::new(groups + usize::from(last), groups, input, hidden);
            (groups, cut)
        };
        assert_eq!(plan(4, false, 64, 64), (4, false));
        assert_eq!(plan(8, false, 257, 128), (3, false)); // twice as many inputs, and one
        assert_eq!(plan(11, true, 200, 200), (10, false)); // a short last piece
        assert_eq!(plan(5, true, 100, 100), (5, true)); // whole ones: 4
        assert_eq!(plan(2, true, 64, 50), (2, true)); // a piece of 32 pairs beside 25
        assert_eq!(plan(2, true, 400, 50), (0, false));
    }
}
