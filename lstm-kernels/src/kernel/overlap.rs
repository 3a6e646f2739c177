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
//! On Zen 4, ns a step of `Lstm`, without overlapping, with pieces of both chains for 16 pairs of columns, and so: (16,
//! 64) 614, 585, 571; (64, 64) 823, 802, 698; (96, 96) 1,948, 1,951, 1,823; (128, 128) 3,624, 3,141, 2,870; (192, 192)
//! 8,278, 7,107, 6,680; (256, 256) 15,229, 13,416, 12,583; (384, 384) 36,021, 31,582, 29,900. Without, and so, where
//! h's weights come from the L3 cache: (512, 512) 65,500, 55,300; (640, 640) 104,800, 91,100; (768, 768) 162,700,
//! 148,600.
//!
//! On Zen 5, with pieces of both chains (not measured since): (64, 64) 426 to 370, (96, 96) 1,024 to 955, (128, 128)
//! 1,930 to 1,655, (192, 192) 4,010 to 3,460, (256, 256) 8,400 to 7,900, (384, 384) 22,200 to 20,300. Bare loops tell
//! less: they gain 18 % at (128, 128), where the L2 cache gives a line every 1.33 cycles (see [`kernel`](super)), 3 %
//! at (192, 192) and nothing at (256, 256), as loads from the L1 cache take turns with what fills it. Not measured on
//! Sapphire Rapids.
//!
//! **What is left**, on Zen 4 at (128, 128): h's part with the gates takes 2,360 of the 2,870 ns, x's first chunk 80.
//! With z always in the same rows it would be 3 % less, with inputs too 5 %, with x's weights too 7 % (64 to 256
//! units: at 64 nothing, at 256 11 %); without gates 3.5 %.
//!
//! **Tried and lost**, on Zen 4, (64, 64), (128, 128) and (256, 256) beside this:
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

use super::gates::activate;
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

/// x's columns in the order in which [`Ahead`] reads them: of each group of 4 lines and each block the columns of one
/// chain, then those of the other.
pub(crate) fn by_chain<E: Element>(w_ih: &[E::Line], input: usize) -> Vec<E::Line> {
    let blocks = w_ih.chunks(4 * input).flat_map(|group| group.chunks(4 * BLOCK));
    let chains = blocks.flat_map(|block| [0, 1].map(|chain| block.chunks(4).skip(chain).step_by(2)));
    chains.flatten().flatten().copied().collect()
}

/// The steps of one stream through a layer whose groups all have 4 lines.
pub(crate) struct Steps<'a, 'b, E: Element> {
    pub(crate) w_hh: &'a [E::Line],
    /// What the sums begin as, the bias and x's part: [`STEPS`] rows of each group.
    pub(crate) z: &'a [[Line; 4]],
    pub(crate) h: &'a mut [f32],
    pub(crate) c: &'a mut [f32],
    /// Memory for the new h.
    pub(crate) next: &'a mut [f32],
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
    /// Two rows each, half of [`STEPS`] for each group.
    z: &'a mut [[[Line; 4]; 2]],
    /// For each two rows the first chain's sums of a block that is not the first.
    waiting: &'a mut [[[Line; 4]; 2]],
    /// What is next: two rows, a chain, a block's first pair of columns, a group.
    row: usize,
    chain: usize,
    pair: usize,
    group: usize,
}

/// Columns of a chain, and the inputs that two rows have for both chains.
struct Columns<'a, E: Element> {
    lines: &'a [[E::Line; 4]],
    x: [&'a [[f32; 2]]; 2],
    chain: usize,
}

/// A chain of two rows.
type Sums<S> = [[<S as Simd>::Row; 4]; 2];

impl<'a, E: Element> Ahead<'a, E> {
    /// Of `x`, rows of an even number of inputs, an odd last row is left out. `waiting` has 4 lines for each row.
    pub(crate) fn new(
        w_ih: &'a [E::Line],
        bias: &'a [Line],
        (x, input): (&'a [f32], usize),
        z: &'a mut [Line],
        waiting: &'a mut [Line],
    ) -> Self {
        let (bias, rows) = (bias.as_chunks().0, x.len() / input / 2);
        Self {
            w_ih: w_ih.as_chunks().0,
            bias,
            x: x.as_chunks().0,
            pairs: input / 2,
            rows,
            z: z.as_chunks_mut().0.as_chunks_mut().0,
            waiting: waiting.as_chunks_mut().0.as_chunks_mut().0,
            row: 0,
            chain: 0,
            pair: 0,
            group: if rows == 0 { bias.len() } else { 0 },
        }
    }

    /// How many columns of a chain the next piece has, if there is one.
    #[inline(always)]
    fn count(&self) -> Option<usize> {
        (self.group < self.bias.len()).then(|| usize::min(BLOCK / 2, self.pairs - self.pair))
    }

    /// Whether a piece is both chains of a block: if it is short, and no short last block of h has room for just one.
    #[inline(always)]
    fn both(&self, count: usize) -> bool {
        let last = 16 * self.bias.len() % BLOCK;
        count <= BLOCK / 4 && !(2 * count..4 * count).contains(&last)
    }

    /// The columns of a chain, for the next two rows.
    #[inline(always)]
    fn columns(&self, chain: usize, count: usize) -> Columns<'a, E> {
        let &Self { w_ih, x, pairs, row, pair, group, .. } = self;
        let lines = &w_ih[2 * (group * pairs + pair) + chain * count..][..count];
        let x = &x[2 * row * pairs + pair..][..pairs + count];
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

    /// Puts the sums of a piece of one chain where they belong, and goes on to the next piece.
    #[inline(always)]
    fn end<S: Simd>(&mut self, simd: S, sums: Sums<S>, count: usize) {
        let z = &mut self.z[self.group * (STEPS / 2) + self.row];
        let waiting = if self.pair == 0 { z } else { &mut self.waiting[self.row] };
        if self.chain == 0 {
            for t in 0..2 {
                each_of_4!(n < 4 => { sums[t][n].store(simd, &mut waiting[t][n].0); });
            }
            self.go_on(count);
        } else {
            let mut first = sums;
            for t in 0..2 {
                each_of_4!(n < 4 => { first[t][n] = S::Row::load(simd, &waiting[t][n].0); });
            }
            self.finish(simd, first, sums, count);
        }
    }

    /// The same with the sums of both chains.
    #[inline(always)]
    fn finish<S: Simd>(&mut self, simd: S, first: Sums<S>, second: Sums<S>, count: usize) {
        let z = &mut self.z[self.group * (STEPS / 2) + self.row];
        for (mut sums, z) in join(simd, first, second).into_iter().zip(z) {
            if self.pairs > BLOCK / 2 {
                let start = if self.pair == 0 { &self.bias[self.group] } else { &*z };
                each_of_4!(n < 4 => { sums[n] = S::Row::load(simd, &start[n].0).add(simd, sums[n]); });
            }
            each_of_4!(n < 4 => { sums[n].store(simd, &mut z[n].0); });
        }
        self.go_on(count);
    }

    #[inline(always)]
    fn go_on(&mut self, count: usize) {
        self.row += 1;
        if self.row < self.rows {
            return;
        }
        self.row = 0;
        self.chain += 1;
        if self.chain < 2 && !self.both(count) {
            return;
        }
        (self.chain, self.pair) = (0, self.pair + count);
        if self.pair >= self.pairs {
            (self.pair, self.group) = (0, self.group + 1);
        }
    }
}

impl<E: Element> Op for Steps<'_, '_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { w_hh, z: starts, mut h, c, mut next, out, out_stride, steps, reverse, mut backwards, ahead } = self;
        // A copy that the compiler need not keep in memory.
        let mut here = Ahead { z: &mut *ahead.z, waiting: &mut *ahead.waiting, ..*ahead };
        let (size, groups) = (h.len(), h.len() / 16);
        let zero = [[S::Row::splat(simd, 0.0); 4]];
        for n in 0..steps {
            let row = if reverse { steps - 1 - n } else { n };
            for g in 0..groups {
                let g = nth_group(if backwards { groups - 1 - g } else { g }, groups);
                let start = &starts[g * STEPS + row];
                let mut z = zero;
                each_of_4!(n < 4 => { z[0][n] = S::Row::load(simd, &start[n].0); });
                let w_hh = &w_hh[4 * g * size..][..4 * size];
                for (columns, h) in w_hh.chunks(4 * BLOCK).zip(h.chunks(BLOCK)) {
                    let mut chains = [if size <= BLOCK { z } else { zero }, zero];
                    let mut done = 0;
                    if let Some(count) = here.count().filter(|&count| 2 * count <= h.len()) {
                        if !here.both(count) {
                            let sums = here.begin(simd, here.chain);
                            let x = here.columns(here.chain, count);
                            let sums = rounds(simd, &mut chains, (columns, h), sums, x);
                            here.end(simd, sums, count);
                            done = 2 * count;
                        } else if 4 * count <= h.len() {
                            let (sums, x) = (here.begin(simd, 0), here.columns(0, count));
                            let first = rounds(simd, &mut chains, (columns, h), sums, x);
                            let (sums, x) = (here.begin(simd, 1), here.columns(1, count));
                            let rest = (&columns[8 * count..], &h[2 * count..]);
                            let second = rounds(simd, &mut chains, rest, sums, x);
                            here.finish(simd, first, second, count);
                            done = 4 * count;
                        }
                    }
                    if done < h.len() {
                        let part = Part { columns: &columns[4 * done..], stride: 4, first: 0, inputs: [&h[done..]] };
                        chains = advance::<S, E, 4, 1, 2, 2>(simd, 0, chains, &part);
                    }
                    let [first, second] = chains;
                    let sum = join(simd, first, second);
                    z = if size <= BLOCK { sum } else { join(simd, z, sum) };
                }
                activate::<S, 4, false>(simd, &z[0], &mut next[16 * g..], &mut c[16 * g..]);
            }
            core::mem::swap(&mut h, &mut next);
            let out = out[row * out_stride..].as_chunks_mut::<16>().0;
            for (out, h) in out.iter_mut().zip(h.as_chunks().0) {
                *out = *h;
            }
            backwards = !backwards;
        }
        if !steps.is_multiple_of(2) {
            next.copy_from_slice(h);
        }
        (ahead.row, ahead.chain, ahead.pair, ahead.group) = (here.row, here.chain, here.pair, here.group);
    }
}

/// The `n`-th group on the way there; the way back begins with the last one. Neither ends with the units whose h the
/// next step needs first.
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
fn rounds<S: Simd, E: Element>(
    simd: S,
    chains: &mut [[[S::Row; 4]; 1]; 2],
    (w_hh, h): (&[E::Line], &[f32]),
    mut sums: Sums<S>,
    Columns { lines, x, chain }: Columns<'_, E>,
) -> Sums<S> {
    let count = lines.len();
    let (w_hh, h) = (&w_hh.as_chunks::<8>().0[..count], &h.as_chunks::<2>().0[..count]);
    let x = [&x[0][..count], &x[1][..count]];
    for k in 0..count {
        black_box(());
        column::<S, E, 4, 1>(simd, &mut chains[0], &w_hh[k], 0, [h[k][0]]);
        column::<S, E, 4, 2>(simd, &mut sums, &lines[k], 0, [x[0][k][chain], x[1][k][chain]]);
        column::<S, E, 4, 1>(simd, &mut chains[1], &w_hh[k][4..], 0, [h[k][1]]);
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
        while let Some(count) = ahead.count() {
            if ahead.both(count) {
                let first = alone(simd, ahead.begin(simd, 0), ahead.columns(0, count));
                let second = alone(simd, ahead.begin(simd, 1), ahead.columns(1, count));
                ahead.finish(simd, first, second, count);
            } else {
                let sums = alone(simd, ahead.begin(simd, ahead.chain), ahead.columns(ahead.chain, count));
                ahead.end(simd, sums, count);
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
