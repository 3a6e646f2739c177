//! Steps of a large layer through a chunk of time, with x's part of the chunk to come in between.
//!
//! One stream waits for h's weights, which come from the L2 cache in each step; x's part of the sums waits for nothing
//! and keeps the units busy. So two columns of x go, for two rows, beside four columns of h:
//!
//! ```text
//! accumulators  h: 2 chains of 4 lines                    x: 2 chains of 2 rows of 4 lines
//! a round       16 lines from the L2 cache, multiplied    8 lines from the L1 cache, multiplied with two inputs each
//! ```
//!
//! 24 registers of sums, 4 of lines, the rest broadcasts: AVX-512 has just enough. A *piece* of x's part is 16 pairs of
//! columns of a group, 8 KiB, for two rows; it goes beside a block of h's columns. The same columns come again for the
//! next rows, until all rows of the chunk have them: so they stay in the L1 cache, through which h's weights pass, and
//! the sums of a half-done block of 64 columns wait in memory. The order within each sum is what it always is.
//!
//! On Zen 5, ns a step: (64, 64) 426 to 370, (96, 96) 1,024 to 955, (128, 128) 1,930 to 1,655, (192, 192) 4,010 to
//! 3,460, (256, 256) 8,400 to 7,900, (384, 384) 22,200 to 20,300; (512, 512), whose weights come from the L3 cache, the
//! same. Bare loops tell less: they gain 18 % at (128, 128), where the L2 cache gives a line every 1.33 cycles (see
//! [`kernel`](super)), 3 % at (192, 192) and nothing at (256, 256), as loads from the L1 cache take turns with what
//! fills it.
//!
//! On Zen 4, whose L2 cache gives a line every other cycle: (64, 64) 9 %, (128, 128) 12 %, (256, 256) 16 % faster, (96,
//! 96) the same. Not measured on Sapphire Rapids, where a bare loop over both parts of (256, 256) took 12.4 us, and
//! 12.6 one after the other.
//!
//! **Tried and lost**, on Zen 5 at (128, 128) where nothing else is said:
//! - Pieces of one chain and four rows, which read every second column, hence half of the cache's sets: 2,170 ns. On
//!   Zen 4, from a copy of x's weights in which each chain's columns lie side by side: (64, 64) 6 %, (128, 128) 3 %
//!   faster, (192, 192) and (256, 256) the same. So for bf16 too: (64, 64) and (256, 256) the same as without
//!   overlapping, (128, 128), (192, 192) and (384, 384) 13 % slower, for to widen them takes the units' time.
//! - Pieces of 32 pairs: a bare loop 1,600 for 1,396. Of 8: 1,870, as the sums go through memory twice as often; on Zen
//!   4 5 to 10 % slower.
//! - x's part between the groups rather than between the columns: a bare loop 1,733 for 1,740.
//! - Chunks of 8, 16, 20, 40 steps for 32: 2 to 7 % slower. On Zen 4 16 up to 3 %, 64 16 % slower, but (64, 64) 2 %
//!   faster.
//! - The sums of two groups before the gates of both: 3 % slower. Prefetching h's lines a round ahead: 20 %.
//! - Inputs broadcast from a register: the same.
//! - Each of h's multiply-adds beside one of x's: 1,710. All of x's before all of h's, as the compiler has it when it
//!   builds for the CPU (`-C target-cpu=native`): 1,750. With fences between the columns 1,650 in either.
//! - Not to overlap but to keep two copies of h's weights, read in turn (more is read before it is read again, see
//!   [`kernel`](super)): (128, 128) 12 % faster, (64, 64) 22 % and (160, 160) 6 % slower.

use core::hint::black_box;

use super::gates::activate;
use super::sums::{BLOCK, Part, advance, column, join};
use crate::element::Element;
use crate::layout::Line;
use crate::simd::{Op, Simd, Vector};

/// Pairs of columns in a piece.
const PAIRS: usize = 16;

/// Whether the registers hold it all, and an element is what it is written for.
pub(crate) const fn serves<S: Simd, E: Element>() -> bool {
    S::ACCUMULATORS >= 24 && size_of::<E>() == 4
}

/// The steps of one stream through a layer whose groups all have 4 lines.
pub(crate) struct Steps<'a, 'b, E: Element> {
    pub(crate) w_hh: &'a [E::Line],
    /// What the sums begin as: the bias and x's part, rows of groups.
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
    /// Pairs of columns of 4 lines, group by group.
    w_ih: &'a [[E::Line; 8]],
    bias: &'a [[Line; 4]],
    /// Rows of `pairs`.
    x: &'a [[f32; 2]],
    pairs: usize,
    /// Two rows count as one.
    rows: usize,
    /// Rows of groups.
    z: &'a mut [[Line; 4]],
    /// Both chains of two rows each, of the group and block that are half done.
    partial: &'a mut [[Line; 16]],
    /// What is next: two rows, the first pair of columns, a group.
    row: usize,
    pair: usize,
    group: usize,
}

/// Pairs of columns, and for each pair of two rows' inputs.
struct Piece<'a, E: Element> {
    columns: &'a [[E::Line; 8]],
    x: [&'a [[f32; 2]]; 2],
}

/// Two chains of two rows.
type Sums<S> = [[[<S as Simd>::Row; 4]; 2]; 2];

impl<'a, E: Element> Ahead<'a, E> {
    /// Of `x`, rows of an even number of inputs, an odd last row is left out. `partial` has 8 lines for each row.
    pub(crate) fn new(
        w_ih: &'a [E::Line],
        bias: &'a [Line],
        (x, input): (&'a [f32], usize),
        z: &'a mut [Line],
        partial: &'a mut [Line],
    ) -> Self {
        let (bias, rows) = (bias.as_chunks().0, x.len() / input / 2);
        Self {
            w_ih: w_ih.as_chunks().0,
            bias,
            x: x.as_chunks().0,
            pairs: input / 2,
            rows,
            z: z.as_chunks_mut().0,
            partial: partial.as_chunks_mut().0,
            row: 0,
            pair: 0,
            group: if rows == 0 { bias.len() } else { 0 },
        }
    }

    /// How many pairs of columns the next piece has, if there is one.
    #[inline(always)]
    fn count(&self) -> Option<usize> {
        (self.group < self.bias.len()).then(|| usize::min(PAIRS, self.pairs - self.pair))
    }

    /// The next piece.
    #[inline(always)]
    fn piece(&self, count: usize) -> Piece<'a, E> {
        let columns = &self.w_ih[self.group * self.pairs + self.pair..][..count];
        let x = &self.x[2 * self.row * self.pairs + self.pair..][..self.pairs + count];
        Piece { columns, x: [&x[..count], &x[self.pairs..]] }
    }

    /// What its sums begin as: see [`kernel`](super).
    #[inline(always)]
    fn begin<S: Simd>(&self, simd: S) -> Sums<S> {
        let mut sums = [[[S::Row::splat(simd, 0.0); 4]; 2]; 2];
        if !self.pair.is_multiple_of(BLOCK / 2) {
            let partial = &self.partial[self.row];
            for t in 0..2 {
                each_of_4!(n < 4 => {
                    sums[0][t][n] = S::Row::load(simd, &partial[4 * t + n].0);
                    sums[1][t][n] = S::Row::load(simd, &partial[8 + 4 * t + n].0);
                });
            }
        } else if self.pairs <= BLOCK / 2 {
            let bias = &self.bias[self.group];
            for row in &mut sums[0] {
                each_of_4!(n < 4 => { row[n] = S::Row::load(simd, &bias[n].0); });
            }
        }
        sums
    }

    /// Puts its sums where they belong, and goes on to the next piece.
    #[inline(always)]
    fn end<S: Simd>(&mut self, simd: S, sums: Sums<S>, pairs: usize) {
        let next = self.pair + pairs;
        if !next.is_multiple_of(BLOCK / 2) && next < self.pairs {
            let partial = &mut self.partial[self.row];
            for t in 0..2 {
                each_of_4!(n < 4 => {
                    sums[0][t][n].store(simd, &mut partial[4 * t + n].0);
                    sums[1][t][n].store(simd, &mut partial[8 + 4 * t + n].0);
                });
            }
        } else {
            let [first, second] = sums;
            for (t, mut sums) in join(simd, first, second).into_iter().enumerate() {
                let z = &mut self.z[(2 * self.row + t) * self.bias.len() + self.group];
                if self.pairs > BLOCK / 2 {
                    let start = if self.pair < BLOCK / 2 { &self.bias[self.group] } else { &*z };
                    each_of_4!(n < 4 => { sums[n] = S::Row::load(simd, &start[n].0).add(simd, sums[n]); });
                }
                each_of_4!(n < 4 => { sums[n].store(simd, &mut z[n].0); });
            }
        }
        self.row += 1;
        if self.row >= self.rows {
            (self.row, self.pair) = (0, next);
            if next >= self.pairs {
                (self.pair, self.group) = (0, self.group + 1);
            }
        }
    }
}

impl<E: Element> Op for Steps<'_, '_, E> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { w_hh, z: starts, mut h, c, mut next, out, out_stride, steps, reverse, mut backwards, ahead } = self;
        // A copy that the compiler need not keep in memory.
        let mut here = Ahead { z: &mut *ahead.z, partial: &mut *ahead.partial, ..*ahead };
        let (size, groups) = (h.len(), h.len() / 16);
        let zero = [[S::Row::splat(simd, 0.0); 4]];
        for n in 0..steps {
            let row = if reverse { steps - 1 - n } else { n };
            for g in 0..groups {
                let g = in_turn(if backwards { groups - 1 - g } else { g }, groups);
                let start = &starts[row * groups + g];
                let mut z = zero;
                each_of_4!(n < 4 => { z[0][n] = S::Row::load(simd, &start[n].0); });
                // In memory: the registers are full.
                let z = black_box(&mut z);
                let w_hh = &w_hh[4 * g * size..][..4 * size];
                for (columns, h) in w_hh.chunks(4 * BLOCK).zip(h.chunks(BLOCK)) {
                    let mut chains = [if size <= BLOCK { *z } else { zero }, zero];
                    let mut done = 0;
                    if let Some(count) = here.count().filter(|&count| 4 * count <= h.len()) {
                        let mut sums = here.begin(simd);
                        rounds(simd, &mut chains, (columns, h), &mut sums, here.piece(count));
                        here.end(simd, sums, count);
                        done = 4 * count;
                    }
                    if done < h.len() {
                        let part = Part { columns: &columns[4 * done..], stride: 4, first: 0, inputs: [&h[done..]] };
                        chains = advance::<S, E, 4, 1, 2, 2>(simd, 0, chains, &part);
                    }
                    let [first, second] = chains;
                    let sum = join(simd, first, second);
                    *z = if size <= BLOCK { sum } else { join(simd, *z, sum) };
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
        (ahead.row, ahead.pair, ahead.group) = (here.row, here.pair, here.group);
    }
}

/// The `n`-th group on the way there; the way back begins with the last one. Neither ends with the units whose h the
/// next step needs first.
#[inline(always)]
fn in_turn(n: usize, groups: usize) -> usize {
    match n {
        0 => groups / 2,
        n if n <= groups / 2 => n - 1,
        n => n,
    }
}

/// Four columns of h for each pair of x's columns of a piece.
#[inline(always)]
fn rounds<S: Simd, E: Element>(
    simd: S,
    chains: &mut [[[S::Row; 4]; 1]; 2],
    (columns, h): (&[E::Line], &[f32]),
    sums: &mut Sums<S>,
    Piece { columns: pairs, x }: Piece<'_, E>,
) {
    let count = pairs.len();
    let (columns, h) = (&columns.as_chunks::<16>().0[..count], &h.as_chunks::<4>().0[..count]);
    let x = [&x[0][..count], &x[1][..count]];
    for k in 0..count {
        black_box(());
        each_of_4!(j < 4 => {
            column::<S, E, 4, 1>(simd, &mut chains[j % 2], &columns[k][4 * j..], 0, [h[k][j]]);
            let (chain, t) = (j / 2, j % 2);
            let mut sum = [sums[chain][t]];
            column::<S, E, 4, 1>(simd, &mut sum, &pairs[k][4 * chain..], 0, [x[t][k][chain]]);
            [sums[chain][t]] = sum;
        });
    }
}

/// What is left of x's part, alone.
pub(crate) struct Rest<'a, 'b, E: Element>(pub(crate) &'a mut Ahead<'b, E>);

impl<E: Element> Op for Rest<'_, '_, E> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self(ahead) = self;
        while let Some(count) = ahead.count() {
            let mut sums = ahead.begin(simd);
            let Piece { columns, x: [x, x_next] } = ahead.piece(count);
            for ((pair, x), x_next) in columns.iter().zip(x).zip(x_next) {
                black_box(());
                for chain in 0..2 {
                    column::<S, E, 4, 2>(simd, &mut sums[chain], &pair[4 * chain..], 0, [x[chain], x_next[chain]]);
                }
            }
            ahead.end(simd, sums, count);
        }
    }
}
