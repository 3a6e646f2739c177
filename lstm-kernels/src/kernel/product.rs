//! Packed columns times rows of inputs, added to rows of sums, with sizes known at run time: what a layer of
//! [`Lstm`](crate::lstm::Lstm) does for x, for h and for its projection, and a large cell for many steps or streams.
//!
//! The sums are those of [`sums`], in the same order, so they have the same bits. They are made panel
//! by panel: 64 columns of 4 lines, 16 KiB, which the nearest cache holds, and these for all rows before the next panel
//! is read. So weights that lie in the L2 cache or beyond it are read once for a whole batch, or for a chunk of time
//! steps. (With a call for each tile of 4 rows, batches of 32 took 4 to 8 % longer on Zen 4; where the 4 lines are not
//! a tile, with AVX2, and were panels each, up to 7 %.)
//!
//! Nearly all of a large layer is groups of four lines, for which [`fours`] has tiles and a loop of its own. The others
//! have these:
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
//! **Half types** are widened in each tile, or once for many rows (`widens`), which takes a pass and its room in the L1
//! cache: on Zen 4 it would make 4 streams of (128, 128) in bf16 45 % slower, with AVX2 43 %, 8 streams 25 and 23 %, 32
//! 6 and 6 %; in f16 4 streams 29 and 30 %, 8 streams 14 %, 16 4 %, 32 1 % faster. For bf16 a shift or a mask is all
//! there is to it, for which Zen 4 has other units than for multiply-adds. On Intel they are the same, and would lose
//! a fifth of their time to it: by its tables, not measured.
//!
//! **Tried and lost**, on Zen 5, where a batch of 32 of (256, 256) was at 87 % of the FMA peak: tiles of 3 rows, and
//! singles for the rest (10 % slower with 8 streams, the same with 32), rows of sums a cache line apart from a multiple
//! of 4 KiB, the first chain's sums through memory: each the same time. On Zen 4, with AVX-512, at 32 streams: x's and
//! h's part of a step after each other, group by group, and the gates of each group at once: 1 to 4 % slower. 16 units
//! at a time through the gates in place of 32: with AVX-512 the same, with AVX2 up to 3 % slower. Only fours with 3
//! rows: three streams of (48, 48), whose columns have 12 lines, 8 % slower, 32 1 %.

mod fours;

use core::ops::Range;

use self::fours::{Fours, LINES};
#[cfg(target_arch = "x86_64")]
use super::in_f16;
use crate::cpu::as_on_intel;
use crate::element::{Element, adds_in_f16};
use crate::kernel::sums::{self, BLOCK, Part, block, chains, join};
use crate::layout::{F16, Line};
#[cfg(target_arch = "x86_64")]
use crate::simd::F16Simd;
use crate::simd::{Op, Simd, Vector};

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

/// Rows of lines, `stride` apart.
pub(crate) struct Sums<'a> {
    pub(crate) data: &'a mut [Line],
    pub(crate) stride: usize,
}

impl Sums<'_> {
    /// Those from a row and a line on.
    #[inline(always)]
    fn from(&mut self, row: usize, line: usize) -> Sums<'_> {
        Sums { data: &mut self.data[row * self.stride + line..], stride: self.stride }
    }
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
    let Columns { data: columns, lines: stride, soon } = columns;
    // Arithmetic in f16 has chains of its own, and tiles of four rows or of one.
    let chains = if const { adds_in_f16::<S, E>() } { 1 } else { chains(inputs.len, stride) };
    let several = !S::PORTABLE && count >= if const { adds_in_f16::<S, E>() } { 4 } else { 2 };
    let most = if several { LINES } else { const { tile_lines::<S>(1) } };
    macro_rules! each_piece {
        (($piece:ident, $sums:ident) => $work:block) => {
            for first in (0..stride).step_by(most) {
                let (lines, start) = (usize::min(most, stride - first), start.map(|start| &start[first..]));
                let $piece = Piece::<E> { columns, stride, first, lines, soon, inputs, column: 0, start };
                let mut $sums = sums.from(0, first);
                $work
            }
        };
    }
    if const { !E::IS_F32 && !adds_in_f16::<S, E>() } && several && widens::<E>(count) {
        let mut wide = [Line::ZERO; LINES * BLOCK];
        each_piece!((piece, sums) => {
            for n in 0.. {
                let Some(panel) = piece.panel(n) else { break };
                simd.enter(Widen(&panel, &mut wide));
                panel.widened(&wide).add(simd, chains, &mut sums, count);
            }
        });
    } else {
        each_piece!((piece, sums) => { piece.add(simd, chains, &mut sums, count); });
    }
}

/// Whether lines of a half type are widened once for all rows, not in each tile.
#[inline(always)]
fn widens<E: Element>(rows: usize) -> bool {
    rows >= 16 && (E::FORM == F16 || !cfg!(target_arch = "x86_64") || as_on_intel())
}

/// Whether rows go in threes: if the registers hold both chains of such a tile.
const fn in_threes<S: Simd, E: Element>() -> bool {
    2 * 3 * tile_lines::<S>(3) <= S::ACCUMULATORS && E::IS_F32
}

/// How many of some rows go in threes, so that twos are left, or none.
const fn threes(count: usize) -> usize {
    if count % 3 == 1 { count.saturating_sub(4) } else { count / 3 * 3 }
}

/// Whether there are [`Tiles`] of so many lines, rows and chains.
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

/// Lines of a tile of `rows` rows: up to 4, but all 8 of a group where the registers hold its chains, so that the group
/// is read from end to end.
const fn tile_lines<S: Simd>(rows: usize) -> usize {
    if S::ACCUMULATORS / rows >= 16 { 8 } else { sums::tile_lines(S::ACCUMULATORS, rows) }
}

/// `lines` lines, from `first` on, of columns of `stride` lines, the first of which is `column`.
#[derive(Clone, Copy)]
struct Piece<'a, E: Element> {
    columns: &'a [E::Line],
    stride: usize,
    first: usize,
    lines: usize,
    /// The lines to ask for meanwhile.
    soon: &'a [E::Line],
    inputs: Rows<'a>,
    column: usize,
    /// The sums to add to, if they are not what is there.
    start: Option<&'a [Line]>,
}

impl<'a, E: Element> Piece<'a, E> {
    /// Adds the products to the first `count` rows of sums.
    #[inline(always)]
    fn add<S: Simd>(&self, simd: S, chains: usize, sums: &mut Sums<'_>, count: usize) {
        if const { fours::exists::<S, E>() } && [self.lines, self.stride, chains] == [LINES, LINES, 2] && count > 1 {
            simd.enter(Fours { piece: self, sums, count });
        } else if const { E::IS_F32 } {
            self.add_others_apart(simd, chains, sums, count);
        } else {
            self.add_others(simd, chains, sums, count);
        }
    }

    /// [`add_others`](Self::add_others) as a function of its own, which the layers of all elements share.
    #[inline(never)]
    fn add_others_apart<S: Simd>(&self, simd: S, chains: usize, sums: &mut Sums<'_>, count: usize) {
        self.add_others(simd, chains, sums, count);
    }

    /// [`add`](Self::add) for all that is not in `fours`: in threes if possible, else in fours; what is left in twos.
    #[inline(always)]
    fn add_others<S: Simd>(&self, simd: S, chains: usize, sums: &mut Sums<'_>, count: usize) {
        let even = chains == 2 && self.lines.is_multiple_of(const { tile_lines::<S>(2) });
        let in_threes = const { in_threes::<S, E>() } && even;
        let threes = if in_threes { threes(count) } else { 0 };
        let fours = if const { !S::PORTABLE } && !in_threes { count / 4 * 4 } else { 0 };
        let twos = if const { !S::PORTABLE } && even { (count - threes - fours) / 2 * 2 } else { 0 };
        self.tiles::<S, 3>(simd, chains, sums, 0..threes);
        self.tiles::<S, 4>(simd, chains, sums, threes..threes + fours);
        self.tiles::<S, 2>(simd, chains, sums, threes + fours..threes + fours + twos);
        self.tiles::<S, 1>(simd, chains, sums, threes + fours + twos..count);
    }

    /// [`add`](Self::add) for some rows, `T` at a time.
    #[inline(always)]
    fn tiles<S: Simd, const T: usize>(&self, simd: S, chains: usize, sums: &mut Sums<'_>, rows: Range<usize>) {
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
        macro_rules! enter {
            ($($n:literal)*) => { match (lines, chains) {
                $( ($n, 1) => enter!(@ $n 1), ($n, 2) => enter!(@ $n 2), ($n, _) => enter!(@ $n 4), )*
                _ => debug_assert!(false, "no tile of {lines} lines and {chains} chains"),
            } };
            (@ $n:literal $c:literal) => {
                if const { exists::<S, E>($n, T, $c) } {
                    simd.enter(Tiles::<E, $n, T, $c> { piece: self, sums, rows });
                } else {
                    debug_assert!(false, "no tile of {lines} lines, {T} rows and {chains} chains");
                }
            };
        }
        enter!(1 2 3 4 5 6 7 8);
    }

    /// The `n`-th panel: at most [`BLOCK`] of the columns.
    #[inline(always)]
    fn panel(&self, n: usize) -> Option<Self> {
        let each = BLOCK / E::FORM.share * self.stride;
        let (_, from) = self.columns.split_at_checked(n * each)?;
        let (columns, rest) = from.split_at(usize::min(each, from.len()));
        let soon = if rest.is_empty() { self.soon } else { &rest[..usize::min(each, rest.len())] };
        let (column, start) = (self.column + n * BLOCK, self.start.filter(|_| n == 0));
        (!columns.is_empty()).then_some(Self { columns, soon, column, start, ..*self })
    }

    /// The number of columns of a panel.
    #[inline(always)]
    fn width(&self) -> usize {
        usize::min(BLOCK, self.inputs.len - self.column)
    }

    /// The inputs of the columns of a panel in each of `T` rows, from row `first` on.
    #[inline(always)]
    fn rows<const T: usize>(&self, first: usize) -> [&'a [f32]; T] {
        let mut rows = [&[][..]; T];
        for (t, row) in rows.iter_mut().enumerate() {
            *row = &self.inputs.data[(first + t) * self.inputs.stride + self.column..][..self.width()];
        }
        rows
    }

    /// The same panel, of lines that [`Widen`] has written.
    #[inline(always)]
    fn widened<'b>(&self, wide: &'b [Line]) -> Piece<'b, f32>
    where
        'a: 'b,
    {
        let Self { lines, inputs, column, start, .. } = *self;
        Piece {
            columns: &wide[..lines * self.width()],
            stride: lines,
            first: 0,
            lines,
            soon: &[],
            inputs,
            column,
            start,
        }
    }
}

/// Writes the lines of a panel as f32, column after column.
struct Widen<'a, 'b, E: Element>(&'a Piece<'b, E>, &'a mut [Line]);

impl<E: Element> Op for Widen<'_, '_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self(panel, wide) = self;
        for (k, wide) in wide.chunks_exact_mut(panel.lines).take(panel.width()).enumerate() {
            let lines = &panel.columns[k / E::FORM.share * panel.stride + panel.first..];
            for (wide, line) in wide.iter_mut().zip(lines) {
                E::load(simd, line, k % E::FORM.share).store(simd, &mut wide.0);
            }
        }
    }
}

/// The tiles of a piece, `N` lines and `T` rows each, summed in `C` chains.
struct Tiles<'a, 'b, E: Element, const N: usize, const T: usize, const C: usize> {
    piece: &'a Piece<'a, E>,
    sums: &'a mut Sums<'b>,
    rows: Range<usize>,
}

impl<E: Element, const N: usize, const T: usize, const C: usize> Op for Tiles<'_, '_, E, N, T, C> {
    type Output = ();

    const F16: bool = E::F16;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { piece, sums, rows } = self;
        for n in 0.. {
            let Some(panel) = piece.panel(n) else { break };
            for row in rows.clone().step_by(T) {
                let inputs = panel.rows(row);
                for line in (0..panel.lines).step_by(N) {
                    let Piece { columns, stride, first, start, .. } = panel;
                    let part = Part::<E, T> { columns, stride, first: first + line, inputs };
                    let (start, mut sums) = (start.map(|start| &start[line..]), sums.from(row, line));
                    let z = if panel.inputs.len > BLOCK {
                        // Loaded behind the block: beside its accumulators there is no room for z in the registers.
                        let sum = block::<S, E, N, T, C>(simd, [[S::Row::splat(simd, 0.0); N]; T], part);
                        join(simd, load(simd, start, &sums), sum)
                    } else {
                        block::<S, E, N, T, C>(simd, load(simd, start, &sums), part)
                    };
                    store(simd, &z, &mut sums);
                }
            }
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn run_f16<S: F16Simd>(self, simd: S) {
        let Self { piece, sums, rows } = self;
        for n in 0.. {
            let Some(panel) = piece.panel(n) else { break };
            for row in rows.clone().step_by(T) {
                let (mut pairs, mut inputs) = ([[0; BLOCK]; T], [&[][..]; T]);
                for ((pairs, row), inputs) in pairs.iter_mut().zip::<[&[f32]; T]>(panel.rows(row)).zip(&mut inputs) {
                    let pairs = &mut pairs[..row.len()];
                    in_f16::twice(simd, row, pairs);
                    *inputs = pairs;
                }
                for line in (0..panel.lines).step_by(N) {
                    let Piece { columns, stride, first, start, .. } = panel;
                    let part = in_f16::Part { columns: E::halves(columns), stride, first: first + line, inputs };
                    let (start, mut sums) = (start.map(|start| &start[line..]), sums.from(row, line));
                    let mut z: [[S::Row; N]; T] = load(simd, start, &sums);
                    in_f16::add(simd, &mut z, part);
                    store(simd, &z, &mut sums);
                }
            }
        }
    }
}

/// `N` lines of `T` rows of sums, or of `start` for each row.
#[inline(always)]
fn load<S: Simd, const N: usize, const T: usize>(simd: S, start: Option<&[Line]>, sums: &Sums<'_>) -> [[S::Row; N]; T] {
    let (sums, stride) = start.map_or((&*sums.data, sums.stride), |start| (start, 0));
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
fn store<S: Simd, const N: usize, const T: usize>(simd: S, z: &[[S::Row; N]; T], sums: &mut Sums<'_>) {
    for (t, z) in z.iter().enumerate() {
        let sums = &mut sums.data[t * sums.stride..][..N];
        for (z, line) in z.iter().zip(sums) {
            z.store(simd, &mut line.0);
        }
    }
}
