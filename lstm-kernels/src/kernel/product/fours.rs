//! Columns of four lines of f32 in two chains, for two rows or more: nearly all of a large layer.
//!
//! ```text
//! AVX-512      tiles of 4 lines and 3 rows, both chains in registers; of 2 rows, where 3 would leave one over
//! AVX2         1 line and 6 rows, one chain after the other; what is left: 1 and 4, 2 and 2, 4 and 1
//! NEON         the same without the sixes, for four rows have 16 accumulators there
//! ```
//!
//! All panels are one call, and what is the same for all tiles of a panel is looked up before the first one. The same
//! tiles by way of `Tiles`, with slices that are checked for each, on Zen 4: two to five streams 3 to 6 % slower, 32
//! streams 0.5 to 1.3 %. On Emerald Rapids, where it was 280 instructions between two tiles, for which its one queue
//! runs out of multiply-adds, 32 streams were 2 to 3 % slower, (80, 80), (100, 100) and (240, 240) 5 to 6 %. (Bare
//! loops there: 100 instructions more between two tiles cost half a percent, 200 cost 4.) A stride of columns that the
//! compiler does not know costs 1 to 2 %, so those of more lines go by way of `Tiles`.
//!
//! With AVX2 8 accumulators, of tiles of 4 rows, just hide the latency of the multiply-adds; the 12 of six rows make 32
//! streams of (64, 64) to (256, 256) 3 to 4 % faster and (512, 512) 6 % on Zen 4. (2 lines and 3 rows would ask for
//! fewer loads, but the compiler then wants 17 registers: 60 % slower. So it does where the number of the line in the
//! loop below is not a constant: 77 %. With NEON it puts one sum of six rows in the stack.)
//!
//! **Asking ahead.** Each pair of columns asks for one line of the next panel, once in each tile. 32 streams of (512,
//! 512), whose weights come from the L3 cache: on Emerald Rapids 12 to 22 % faster (15 runs in turn: lower quartiles,
//! least values), on Zen 4 2 to 4 %, with AVX2 4 %; of (256, 256) 2, 1 and 1 %; smaller ones the same within half a
//! percent. Not measured on Zen 5. (All lines of a tile at its beginning: up to (128, 128) 3 to 4 % slower on Emerald
//! Rapids, (512, 512) 5 % faster; on Zen 5 2 to 6 % slower, where with all weights in the L1 cache, and wrong results,
//! it would be 3 % faster.)
//!
//! **Tried and lost**: two and four rounds in one, the same on Zen 5 and Emerald Rapids. On the latter tiles of six
//! rows, chain after chain (1 to 4 % slower; bare loops the same, and 10 % faster while somebody else reads the same
//! core's cache), and chunks of 1 or 2 time steps. On Zen 4 broadcasts beside the multiply-adds that want them: 0.5 to
//! 1 % slower.

use core::hint::black_box;
use core::ops::Range;
use core::slice::ChunksExact;

use super::{Piece, Sums, load, store, threes};
use crate::element::Element;
use crate::kernel::sums::{BLOCK, column, join};
use crate::simd::{Op, Simd, Vector, prefetch_near};

/// Lines of a piece.
pub(super) const LINES: usize = 4;

/// Whether there are such tiles.
pub(super) const fn exists<S: Simd, E: Element>() -> bool {
    !S::PORTABLE && E::IS_F32
}

/// A piece that is whole columns.
pub(super) struct Fours<'a, 'b, E: Element> {
    pub(super) piece: &'a Piece<'a, E>,
    pub(super) sums: &'a mut Sums<'b>,
    pub(super) count: usize,
}

impl<E: Element> Op for Fours<'_, '_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { piece, sums, count } = self;
        for n in 0.. {
            let Some(panel) = piece.panel(n) else { break };
            let columns = panel.columns.as_chunks().0;
            let soon = panel.soon.chunks_exact(usize::max(columns.len() / 2, 1));
            let mut panel = Panel::<E> { panel, columns, soon };
            if const { S::MANY_REGISTERS } {
                let threes = threes(count);
                panel.tiles::<S, 4, 3, 2>(simd, sums, 0..threes);
                panel.tiles::<S, 4, 2, 2>(simd, sums, threes..count);
            } else {
                let sixes = if cfg!(target_arch = "x86_64") { count / 6 * 6 } else { 0 };
                let fours = sixes + (count - sixes) / 4 * 4;
                let twos = fours + (count - fours) / 2 * 2;
                panel.tiles::<S, 1, 6, 1>(simd, sums, 0..sixes);
                panel.tiles::<S, 1, 4, 1>(simd, sums, sixes..fours);
                panel.tiles::<S, 2, 2, 1>(simd, sums, fours..twos);
                panel.tiles::<S, 4, 1, 1>(simd, sums, twos..count);
            }
        }
    }
}

/// At most [`BLOCK`] columns.
struct Panel<'a, E: Element> {
    panel: Piece<'a, E>,
    columns: &'a [[E::Line; LINES]],
    /// For each tile the lines that it asks for.
    soon: ChunksExact<'a, E::Line>,
}

impl<E: Element> Panel<'_, E> {
    /// Some rows, in tiles of `N` lines and `T` rows, with `G` of the chains at a time.
    #[inline(always)]
    fn tiles<S: Simd, const N: usize, const T: usize, const G: usize>(
        &mut self,
        simd: S,
        sums: &mut Sums<'_>,
        rows: Range<usize>,
    ) {
        if rows.is_empty() {
            return;
        }
        let Piece { inputs, column, start, .. } = self.panel;
        let (width, adds, zero) = (self.columns.len(), inputs.len > BLOCK, [[S::Row::splat(simd, 0.0); N]; T]);
        let (pairs, last) = self.columns.as_chunks();
        let (rounds, stride) = (width / 2, inputs.stride);
        let pairs = &pairs[..rounds];
        let mut inputs = inputs.data[rows.start * stride + column..].chunks(T * stride);
        let mut rows_of_sums = sums.data[rows.start * sums.stride..].chunks_mut(T * sums.stride);
        // (To zip them begins with two divisions.)
        for _ in 0..rows.len() / T {
            let (Some(inputs), Some(lines)) = (inputs.next(), rows_of_sums.next()) else {
                debug_assert!(false, "fewer rows than there are tiles for");
                return;
            };
            let (mut x, mut last_x) = ([&[][..]; T], [0.0; T]);
            each!(t < T => {
                let inputs = &inputs[t * stride..][..width];
                x[t] = &inputs.as_chunks().0[..rounds];
                last_x[t] = inputs[width - 1];
            });
            let soon = &self.soon.next().unwrap_or(self.columns.as_flattened())[..rounds];
            let tile = Tile::<E, T> { pairs, last, x, last_x, soon };
            each_of_4!(n < LINES / N => {
                let line = n * N;
                let start = start.map(|start| &start[line..]);
                let mut sums = Sums { data: &mut lines[line..], stride: sums.stride };
                let begin = if adds { zero } else { load(simd, start, &sums) };
                let mut z = if const { G == 2 } {
                    let [even, odd] = tile.chains::<S, N, 2>(simd, line, 0, [begin, zero]);
                    join(simd, even, odd)
                } else {
                    let [even] = tile.chains::<S, N, 1>(simd, line, 0, [begin]);
                    // In memory, for there is no room for it in the registers beside the other one.
                    let mut even = even;
                    let even = black_box(&mut even);
                    let [odd] = tile.chains::<S, N, 1>(simd, line, 1, [zero]);
                    join(simd, *even, odd)
                };
                if adds {
                    // Loaded behind the block for the same reason.
                    z = join(simd, load(simd, start, &sums), z);
                }
                store(simd, &z, &mut sums);
            });
        }
    }
}

/// What a tile of `T` rows reads: columns in pairs and the last one, if it has no other; the inputs likewise.
struct Tile<'a, E: Element, const T: usize> {
    pairs: &'a [[[E::Line; LINES]; 2]],
    last: &'a [[E::Line; LINES]],
    x: [&'a [[f32; 2]]; T],
    last_x: [f32; T],
    soon: &'a [E::Line],
}

impl<E: Element, const T: usize> Tile<'_, E, T> {
    /// `G` of the two chains of `N` lines, from `line` on, from chain `chain` on.
    #[inline(always)]
    fn chains<S: Simd, const N: usize, const G: usize>(
        &self,
        simd: S,
        line: usize,
        chain: usize,
        mut chains: [[[S::Row; N]; T]; G],
    ) -> [[[S::Row; N]; T]; G] {
        let &Self { pairs, last, x, last_x, soon } = self;
        for k in 0..pairs.len() {
            black_box(()); // It stays a loop.
            if (line, chain) == (0, 0) {
                prefetch_near(&soon[k]);
            }
            for g in 0..G {
                let mut v = [0.0; T];
                each!(t < T => { v[t] = x[t][k][chain + g]; });
                column::<S, E, N, T>(simd, &mut chains[g], &pairs[k][chain + g][line..], 0, v);
            }
        }
        if let ([lines], 0) = (last, chain) {
            column::<S, E, N, T>(simd, &mut chains[0], &lines[line..], 0, last_x);
        }
        chains
    }
}
