//! Packed columns times rows of inputs, added to rows of sums, with sizes known at run time: what a layer of
//! [`Lstm`](crate::lstm::Lstm) does for x, for h and for its projection, and a large cell for many steps or streams.
//!
//! The sums are those of [`sums`], in the same order, so they have the same bits. They are made panel
//! by panel: 64 columns of 4 lines, 16 KiB, which the nearest cache holds, and these for all rows before the next panel
//! is read. So weights that lie in the L2 cache or beyond it are read once for a whole batch, or for a chunk of time
//! steps. (With a call for each tile of 4 rows, batches of 32 took 4 to 8 % longer on Zen 4; where the 4 lines are not
//! a tile, with AVX2, and were panels each, up to 7 %.)
//!
//! A tile has as many lines as a step's:
//!
//! ```text
//! AVX-512, f32   4 lines of 3 rows, both chains in registers; of 2 rows, where 3 would leave one over
//! else           4 lines (AVX2, NEON: 1) of 4 rows, one chain after the other; 4 (2) of 2 rows; up to 8 (4) of one row
//! ```
//!
//! Chains of 4 rows are too many for the registers, so the first is put aside, and stores take two cycles each on Zen
//! 4: threes and twos made 32 streams of (64, 64) 1 %, (128, 128) 2 %, (256, 256) 2.5 % and (512, 512) 8 % faster
//! there. A row left over would read the panel once more, alone; taken in twos, two streams of (128, 128) are 20 %
//! faster, with AVX2 16 %, three 19 and 6 %, six 9 and 2 %, two in f16 17 %.
//!
//! On Intel's CPUs, whose L1 cache has room for two panels, tiles ask for the lines of the next one, one in each round
//! (`asking`): on Emerald Rapids 32 streams of (512, 512), whose weights come from the L3 cache, 12 to 22 % faster (15
//! runs in turn: lower quartiles, least values), of (256, 256) 2 % by either, smaller ones the same. (A part of them at
//! the beginning of each tile: up to (128, 128) 3 to 4 % slower, (512, 512) 5 % faster.) And between two tiles there is
//! little to do: as elsewhere, with lengths that are checked for each tile, it was 280 instructions, and meanwhile the
//! units ran out of multiply-adds, which that CPU keeps in one queue with all else: some 35 cycles of 460. Without,
//! (64, 64), (128, 128), (256, 256) and (512, 512) are 2 to 3 % faster, (80, 80), (100, 100) and (240, 240) 5 to 6 %,
//! for the lengths need not be those of whole blocks. (Bare loops: 100 instructions more between two tiles cost half a
//! percent, 200 cost 4.) Not measured elsewhere; on Zen 4 a tile loses 8 cycles in all. **Tried and lost** there: tiles
//! of six rows, chain after chain (1 to 4 % slower; bare loops the same, and 10 % faster while somebody else reads the
//! same core's cache), two and four rounds in one, chunks of 1 or 2 time steps.
//!
//! **Tried and lost**, on Zen 5, where a batch of 32 of (256, 256) was at 87 % of the FMA peak: tiles of 3 rows, and
//! singles for the rest (10 % slower with 8 streams, the same with 32), rows of sums a cache line apart from a multiple
//! of 4 KiB, the first chain's sums through memory: each the same time. Prefetching the next panel, a part in each
//! tile: 2 to 6 % slower; with all weights in the L1 cache (and wrong results) it would be 3 % faster. On Zen 4 that
//! prefetch made 32 streams of (512, 512) in two runs 10 % faster and 2 % slower, with AVX2 20 % faster and the same,
//! of (256, 256) the same: it helps while others use the L3 cache. Also there, with AVX2: tiles of 6 rows the same, and
//! with functions for whole panels, whose lengths the compiler knows, 2 % faster. 16 units at a time through the gates
//! in place of 32: with AVX-512 the same, with AVX2 up to 3 % slower. With AVX-512, at 32 streams: x's and h's part of
//! a step after each other, group by group, and the gates of each group at once: 1 to 4 % slower. Four columns of a
//! chain in a round, and tiles whose strides the compiler knows (42 instructions a round for 53, no checks): the same.
//! On Zen 4 a panel for 32 rows takes 2.5 to 3 % longer than its multiply-adds, 8 cycles for each tile of 768 and some
//! 150 for the panel. With AVX2 it is 12 %, for 8 accumulators just hide the latency of the multiply-adds, and 4 % more
//! from the L2 cache; six rows have 12 of them, and the copies of two chains: 1 to 3 % faster, not worth its functions.

use core::hint::black_box;
use core::ops::Range;

#[cfg(target_arch = "x86_64")]
use super::in_f16;
use crate::element::{Element, adds_in_f16};
use crate::kernel::sums::{self, BLOCK, Part, block, chains, column, join};
use crate::layout::Line;
#[cfg(target_arch = "x86_64")]
use crate::simd::F16Simd;
use crate::simd::{Op, Simd, Vector, as_on_intel, prefetch_near};

/// Rows of f32, `stride` apart, of which the first `len` elements count.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) stride: usize,
    pub(crate) len: usize,
}

/// Packed columns of `lines` lines each, and those that will be wanted after them, or none.
pub(crate) struct Columns<'a, E: Element> {
    pub(crate) data: &'a [E::Line],
    pub(crate) lines: usize,
    pub(crate) soon: &'a [E::Line],
}

/// Rows of lines, `stride` apart; what is wanted starts at line `first` of each.
pub(crate) struct Sums<'a> {
    pub(crate) data: &'a mut [Line],
    pub(crate) stride: usize,
    pub(crate) first: usize,
}

/// Adds `columns` times the inputs to the first `count` rows of `sums`; or to `start`, the same lines for each row,
/// which is then what `sums` are set to.
#[inline(always)]
pub(crate) fn add<S: Simd, E: Element>(
    simd: S,
    columns: Columns<'_, E>,
    inputs: Rows<'_>,
    start: Option<&[Line]>,
    sums: &mut Sums<'_>,
    count: usize,
) {
    let Columns { data: all, lines, soon } = columns;
    let asks = asks_ahead::<S, E>();
    let several = !S::PORTABLE && count >= 4;
    let most = if several { 4 } else { const { tile_lines::<S>(1) } };
    // Arithmetic in f16 has chains of its own.
    let chains = if const { adds_in_f16::<S, E>() } { 1 } else { chains(inputs.len, lines) };
    // (Not an iterator of panels: (1, 8) in half precision 68 to 84 ns a step.)
    macro_rules! each_panel {
        ($panel:ident => $work:block) => {
            let each = BLOCK / E::FORM.share * lines;
            for (n, columns) in all.chunks(each).enumerate() {
                let (column, next) = (n * BLOCK, all.chunks(each).nth(n + 1).unwrap_or(soon));
                let soon = asks.then_some(next);
                for line in (0..lines).step_by(most) {
                    let start = start.filter(|_| column == 0).map(|start| &start[line..]);
                    let (first, some) = (line, usize::min(most, lines - line));
                    #[rustfmt::skip]
                    let $panel = Panel::<E> { columns, stride: lines, first, lines: some, line, inputs, column, start, soon };
                    $work
                }
            }
        };
    }
    if const { !E::IS_F32 && !adds_in_f16::<S, E>() } && several {
        // Lines of a half type are widened once for all rows.
        let mut wide = [Line::ZERO; 4 * BLOCK];
        each_panel!(panel => {
            simd.enter(Widen(&panel, &mut wide));
            panel.widened(&wide).add_apart(simd, chains, sums, count);
        });
    } else if const { E::IS_F32 } {
        each_panel!(panel => { panel.add_apart(simd, chains, sums, count); });
    } else {
        each_panel!(panel => { panel.add(simd, chains, sums, count); });
    }
}

/// Whether rows go in threes: if the registers hold both chains of such a tile.
const fn in_threes<S: Simd, E: Element>() -> bool {
    2 * 3 * tile_lines::<S>(3) <= S::ACCUMULATORS && E::IS_F32
}

/// Whether the next panel is asked for while one is in use: on Intel's CPUs, whose L1 cache has room for both.
#[inline(always)]
fn asks_ahead<S: Simd, E: Element>() -> bool {
    in_threes::<S, E>() && as_on_intel()
}

/// Whether there are tiles of so many lines, rows and chains.
const fn exists<S: Simd, E: Element>(lines: usize, rows: usize, chains: usize) -> bool {
    let most = tile_lines::<S>(rows);
    match (rows, chains) {
        (_, 2 | 4) if adds_in_f16::<S, E>() => false,
        (3, 2) => in_threes::<S, E>() && lines == most,
        (2, 2) => !S::PORTABLE && lines == most,
        (3 | 2, _) => false,
        (4, 2) if in_threes::<S, E>() => lines < most,
        (_, 4) => lines <= most && lines <= 3,
        _ => lines <= most,
    }
}

/// Lines of a tile of `rows` rows: those of a step, but all 8 of a group where the registers hold its chains, so that
/// the group is read from end to end.
const fn tile_lines<S: Simd>(rows: usize) -> usize {
    if S::ACCUMULATORS / rows >= 16 { 8 } else { sums::tile_lines(S::ACCUMULATORS, rows) }
}

/// `lines` lines, from `first` on, of at most [`BLOCK`] columns of `stride` lines, the first of which is `column`.
#[derive(Clone, Copy)]
struct Panel<'a, E: Element> {
    columns: &'a [E::Line],
    stride: usize,
    first: usize,
    lines: usize,
    /// Where the lines stand in a row of sums.
    line: usize,
    inputs: Rows<'a>,
    column: usize,
    /// The sums to add to, if they are not what is there.
    start: Option<&'a [Line]>,
    /// The lines to ask for meanwhile, on a CPU that gains from it.
    soon: Option<&'a [E::Line]>,
}

impl<'a, E: Element> Panel<'a, E> {
    /// The same, of lines that [`Widen`] has written.
    #[inline(always)]
    fn widened<'b>(self, columns: &'b [Line]) -> Panel<'b, f32>
    where
        'a: 'b,
    {
        let Self { lines, line, inputs, column, start, .. } = self;
        Panel { columns, stride: lines, first: 0, lines, line, inputs, column, start, soon: None }
    }

    /// [`add`](Self::add) as a function of its own, which the layers of all elements share.
    #[inline(never)]
    fn add_apart<S: Simd>(self, simd: S, chains: usize, sums: &mut Sums<'_>, count: usize) {
        self.add(simd, chains, sums, count);
    }

    /// Adds the products to the first `count` rows of sums.
    #[inline(always)]
    fn add<S: Simd>(self, simd: S, chains: usize, sums: &mut Sums<'_>, count: usize) {
        // Threes if possible, else fours; of what is left, twos.
        let even = chains == 2 && self.lines.is_multiple_of(const { tile_lines::<S>(2) });
        let in_threes = const { in_threes::<S, E>() } && even;
        let threes = match count % 3 {
            _ if !in_threes => 0,
            1 => count.saturating_sub(4),
            _ => count / 3 * 3,
        };
        let fours = if const { !S::PORTABLE } && !in_threes { count / 4 * 4 } else { 0 };
        let twos = if const { !S::PORTABLE } && even { (count - threes - fours) / 2 * 2 } else { 0 };
        self.tiles::<S, 3>(simd, chains, sums, 0..threes);
        self.tiles::<S, 4>(simd, chains, sums, threes..threes + fours);
        self.tiles::<S, 2>(simd, chains, sums, threes + fours..threes + fours + twos);
        self.tiles::<S, 1>(simd, chains, sums, threes + fours + twos..count);
    }

    /// [`add`](Self::add) for some rows, `T` at a time.
    #[inline(always)]
    fn tiles<S: Simd, const T: usize>(self, simd: S, chains: usize, sums: &mut Sums<'_>, rows: Range<usize>) {
        if rows.is_empty() {
            return;
        }
        let most = const { tile_lines::<S>(T) };
        let lines = if self.lines.is_multiple_of(most) {
            most
        } else if self.lines < most {
            self.lines
        } else {
            1
        };
        let (stride, sums) = (sums.stride, &mut sums.data[sums.first + self.line..]);
        macro_rules! enter {
            ($($n:literal)*) => { match (lines, chains) {
                $( ($n, 1) => enter!(@ $n 1), ($n, 2) => enter!(@ $n 2), ($n, _) => enter!(@ $n 4), )*
                _ => debug_assert!(false, "no tile of {lines} lines and {chains} chains"),
            } };
            (@ $n:literal $c:literal) => {
                if const { exists::<S, E>($n, T, $c) } {
                    simd.enter(Tiles::<E, $n, T, $c> { panel: self, sums, stride, rows });
                } else {
                    debug_assert!(false, "no tile of {lines} lines, {T} rows and {chains} chains");
                }
            };
        }
        enter!(1 2 3 4 5 6 7 8);
    }

    /// The number of columns.
    fn columns(&self) -> usize {
        usize::min(BLOCK, self.inputs.len - self.column)
    }

    /// The inputs of the columns in each of `T` rows, from row `first` on.
    #[inline(always)]
    fn rows<const T: usize>(&self, first: usize) -> [&'a [f32]; T] {
        let mut rows = [&[][..]; T];
        for (t, row) in rows.iter_mut().enumerate() {
            *row = &self.inputs.data[(first + t) * self.inputs.stride + self.column..][..self.columns()];
        }
        rows
    }
}

/// Writes the lines of a panel as f32, column after column.
struct Widen<'a, 'b, E: Element>(&'a Panel<'b, E>, &'a mut [Line]);

impl<E: Element> Op for Widen<'_, '_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self(panel, wide) = self;
        for (k, wide) in wide.chunks_exact_mut(panel.lines).take(panel.columns()).enumerate() {
            let lines = &panel.columns[k / E::FORM.share * panel.stride + panel.first..];
            for (wide, line) in wide.iter_mut().zip(lines) {
                E::load(simd, line, k % E::FORM.share).store(simd, &mut wide.0);
            }
        }
    }
}

/// The tiles of a panel, `N` lines and `T` rows each, summed in `C` chains.
struct Tiles<'a, E: Element, const N: usize, const T: usize, const C: usize> {
    panel: Panel<'a, E>,
    sums: &'a mut [Line],
    stride: usize,
    rows: Range<usize>,
}

impl<E: Element, const N: usize, const T: usize, const C: usize> Op for Tiles<'_, E, N, T, C> {
    type Output = ();

    const F16: bool = E::F16;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { panel, sums, stride, rows } = self;
        if const { in_threes::<S, E>() && T > 1 && C == 2 }
            && panel.stride == N
            && panel.lines == N
            && let Some(soon) = panel.soon
        {
            return asking::<S, E, N, T>(simd, panel, soon, (sums, stride), rows);
        }
        for row in rows.step_by(T) {
            let inputs = panel.rows(row);
            for line in (0..panel.lines).step_by(N) {
                let Panel { columns, stride: lines, first, start, .. } = panel;
                let part = Part::<E, T> { columns, stride: lines, first: first + line, inputs };
                let (start, sums) = (start.map(|start| &start[line..]), &mut sums[row * stride + line..]);
                let z = if panel.inputs.len > BLOCK {
                    // Loaded behind the block: beside its accumulators there is no room for z in the registers.
                    let sum = block::<S, E, N, T, C>(simd, [[S::Row::splat(simd, 0.0); N]; T], part);
                    join(simd, load(simd, start, sums, stride), sum)
                } else {
                    block::<S, E, N, T, C>(simd, load(simd, start, sums, stride), part)
                };
                store(simd, &z, sums, stride);
            }
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn run_f16<S: F16Simd>(self, simd: S) {
        let Self { panel, sums, stride, rows } = self;
        for row in rows.step_by(T) {
            let (mut pairs, mut inputs) = ([[0; BLOCK]; T], [&[][..]; T]);
            for ((pairs, row), inputs) in pairs.iter_mut().zip::<[&[f32]; T]>(panel.rows(row)).zip(&mut inputs) {
                let pairs = &mut pairs[..row.len()];
                in_f16::twice(simd, row, pairs);
                *inputs = pairs;
            }
            for line in (0..panel.lines).step_by(N) {
                let Panel { columns, stride: lines, first, start, .. } = panel;
                let part = in_f16::Part { columns: E::halves(columns), stride: lines, first: first + line, inputs };
                let (start, sums) = (start.map(|start| &start[line..]), &mut sums[row * stride + line..]);
                let mut z: [[S::Row; N]; T] = load(simd, start, sums, stride);
                in_f16::add(simd, &mut z, part);
                store(simd, &z, sums, stride);
            }
        }
    }
}

/// [`Tiles`] of all lines of a group, with a line asked for in each round: at once for a tile they would take each
/// other's time. What is the same for all tiles is looked up before them: see the top of the file.
#[inline(always)]
fn asking<S: Simd, E: Element, const N: usize, const T: usize>(
    simd: S,
    panel: Panel<'_, E>,
    soon: &[E::Line],
    (sums, stride): (&mut [Line], usize),
    rows: Range<usize>,
) {
    let Panel { columns: lines, inputs: Rows { data, stride: x_stride, len }, column: first, start, .. } = panel;
    let (count, adds, zero) = (panel.columns(), len > BLOCK, [[S::Row::splat(simd, 0.0); N]; T]);
    let rounds = count / 2;
    let (columns, last) = lines.as_chunks::<N>().0[..count].as_chunks::<2>();
    let columns = &columns[..rounds];
    let mut inputs = data[rows.start * x_stride + first..].chunks(T * x_stride);
    let mut sums = sums[rows.start * stride..].chunks_mut(T * stride);
    let mut soon = soon.chunks_exact(usize::max(rounds, 1));
    // (To zip them begins with two divisions.)
    for _ in 0..rows.len() / T {
        let (Some(inputs), Some(sums)) = (inputs.next(), sums.next()) else {
            debug_assert!(false, "fewer rows than there are tiles for");
            return;
        };
        let (mut x, mut last_x) = ([&[][..]; T], [0.0; T]);
        each_of_4!(t < T => {
            let inputs = &inputs[t * x_stride..][..count];
            x[t] = &inputs.as_chunks::<2>().0[..rounds];
            last_x[t] = inputs[count - 1];
        });
        let soon = &soon.next().unwrap_or(lines)[..rounds];
        let mut chains = [if adds { zero } else { load(simd, start, sums, stride) }, zero];
        for k in 0..rounds {
            black_box(()); // It stays a loop.
            prefetch_near(&soon[k]);
            for g in 0..2 {
                let mut v = [0.0; T];
                each_of_4!(t < T => { v[t] = x[t][k][g]; });
                column::<S, E, N, T>(simd, &mut chains[g], &columns[k][g], 0, v);
            }
        }
        if let [last] = last {
            column::<S, E, N, T>(simd, &mut chains[0], last, 0, last_x);
        }
        let [mut z, second] = chains;
        z = join(simd, z, second);
        if adds {
            // Loaded behind the block, as above.
            z = join(simd, load(simd, start, sums, stride), z);
        }
        store(simd, &z, sums, stride);
    }
}

/// `N` lines of `T` rows of sums, or of `start` for each row.
#[inline(always)]
fn load<S: Simd, const N: usize, const T: usize>(
    simd: S,
    start: Option<&[Line]>,
    sums: &[Line],
    stride: usize,
) -> [[S::Row; N]; T] {
    let (sums, stride) = start.map_or((sums, stride), |start| (start, 0));
    let mut z = [[S::Row::splat(simd, 0.0); N]; T];
    for t in 0..T {
        let sums = &sums[t * stride..][..N];
        for n in 0..N {
            z[t][n] = S::Row::load(simd, &sums[n].0);
        }
    }
    z
}

/// The way back.
#[inline(always)]
fn store<S: Simd, const N: usize, const T: usize>(simd: S, z: &[[S::Row; N]; T], sums: &mut [Line], stride: usize) {
    for t in 0..T {
        let sums = &mut sums[t * stride..][..N];
        for n in 0..N {
            z[t][n].store(simd, &mut sums[n].0);
        }
    }
}
