//! Streams through a small layer whose sizes are known at run time: one group of lines.
//!
//! A step takes some 50 ns: calls for its parts, and sums that go through memory between them, would double that. So
//! there is a function for each number of lines, which does all steps ([`Steps`]), of one stream or of some in turn,
//! and another for four streams side by side ([`streams`]). The figures in this file are those of a Zen 5 CPU: ns a
//! step of one stream alone, of each in turn, of each of four
//!
//! ```text
//! (1, 8)    AVX-512  26  12.6   9.5   AVX2  29  18.5  18.4
//! (1, 16)            33  20.4  18.7         43  41
//! (10, 20)           40  36    33.5         72  72
//! (1, 32)            58  53                113 112
//! ```
//!
//! A step's h goes from its register to the state and to the output: to read again what was just stored holds up all
//! loads behind it. (So it was at first: on Zen 4 with AVX-512 (10, 20) 75.3 ns, (1, 32) 129.6, now 70.8 and 112. Read
//! in the next step, before it is overwritten, it is up to 2 % faster or slower, by size; but (1, 16) in halves, see
//! [`early`], where no place for it is left, takes 55 ns and so 46, with AVX2 13 units 58 and 47.)
//!
//! With AVX2 layers of 37 to 48 units go through [`tiles`], as cells do: on Zen 4 (1, 40) 210 to 202, (10, 40) 274 to
//! 253, (1, 44) 255 to 251, (1, 48) 315 to 293, (40, 40) 354 to 333; those of 29 to 32, (32, 32) 2 % faster, (1, 30) 3
//! % slower, do not.
//!
//! A branch in a step in place of a function for each number of x's chains: the library is built in a tenth less time;
//! with AVX-512 the same, with AVX2 1 to 4 % slower, if only the tiles have functions of their own 0 to 3 %.
//!
//! To let groups of four streams take turns gains nothing more. Two loops, over time steps and in each over streams,
//! made single steps of one stream 2 to 8 ns slower: there is one over both.

use core::hint::black_box;

use super::early::{self, OneGroup};
use super::gates::{Lanes, activate, activate_four, activate_small, waits};
use super::narrow;
use super::run::INPUTS;
use super::sums::{self, BLOCK, Part, block, one_tile, room, step_tile, turns_round};
use super::woven::tiles::{self, Layer};
use crate::layout::{self, Line};
use crate::simd::{Op, Section, Simd, Vector};

/// The steps of [`Recurrence`] of `T` streams, with `N` lines, `X` chains of x's columns and `C` of h's. (`X` = 0: the
/// bias has x's part, and is of each step.)
pub(crate) struct Steps<'a, const T: usize, const N: usize, const X: usize, const C: usize>(pub(crate) Recurrence<'a>);

/// How many streams of a small layer go together: as many as in `step_batch` up to 5 lines (beyond, four gain little:
/// they are not worth the functions), and none where small layers go the way of all others.
pub(crate) const fn streams<S: Simd>(lines: usize) -> usize {
    match lines {
        _ if S::PORTABLE => 0,
        0..=5 => super::batch::streams::<S, f32>(lines, 0),
        _ => 1,
    }
}

/// The most streams that take turns: their states stay in the L1 cache, beside the weights.
pub(crate) const MOST_IN_TURN: usize = 64;

/// How many streams of a small layer take turns at most. None where one alone keeps the units busy.
pub(crate) const fn most_in_turn<S: Simd>(lines: usize) -> usize {
    if !S::MANY_REGISTERS && lines > 4 { 1 } else { MOST_IN_TURN }
}

/// The fewest and the most inputs of a layer of one group with so many chains of x's columns.
const fn inputs(chains: usize) -> [usize; 2] {
    match chains {
        0 => [0, 0],
        1 => [0, 3],
        _ => [4, BLOCK],
    }
}

/// The most columns of x and h that a layer with so many lines, and chains of x's columns, has.
pub(crate) const fn most_columns(lines: usize, x_chains: usize) -> usize {
    let [_, most] = inputs(x_chains);
    most + 4 * lines
}

/// Steps through a layer without projection: each of `T` streams that lie beside each other. If there are states of
/// more, they take turns, `T` at a time; then `x_skip` and `out_skip` are what lies between a turn of the last one and
/// the next of the first.
pub(crate) struct Recurrence<'a> {
    /// x's columns and then h's, `N` lines each.
    pub(crate) w_ih: &'a [Line],
    pub(crate) w_hh: &'a [Line],
    /// `N` lines, or so many for each step.
    pub(crate) bias: &'a [Line],
    /// Rows of `input`: those of a step, `x_stride` from those of the one before.
    pub(crate) x: &'a [f32],
    pub(crate) x_stride: usize,
    pub(crate) x_skip: usize,
    pub(crate) input: usize,
    /// \[streams, padded(hidden)\] each.
    pub(crate) h: &'a mut [f32],
    pub(crate) c: &'a mut [f32],
    pub(crate) hidden: usize,
    /// Rows of `out_row` that begin with h: those of a step, `out_stride` from those of the one before; or nothing,
    /// both 0.
    pub(crate) out: &'a mut [f32],
    pub(crate) out_row: usize,
    pub(crate) out_stride: usize,
    pub(crate) out_skip: usize,
    pub(crate) steps: usize,
    /// From the last step, and the last stream, on.
    pub(crate) reverse: bool,
    /// Which way to go over the tiles first: see [`turns_round`].
    pub(crate) backwards: bool,
}

impl<const T: usize, const N: usize, const X: usize, const C: usize> Steps<'_, T, N, X, C> {
    /// Whether [`narrow::serves_in_tiles`] may be true. Where the weights are so many, the part of more inputs is done
    /// ahead.
    const MAY_BE_IN_TILES: bool = {
        let [_, most] = inputs(X);
        narrow::serves_in_tiles::<f32>(N, 4 * N + if most < INPUTS { most } else { INPUTS - 1 })
    };
}

impl<const T: usize, const N: usize, const X: usize, const C: usize> Op for Steps<'_, T, N, X, C> {
    type Output = ();

    const NARROW: bool = T == 1 && (X > 0 && narrow::serves(N, 0) || Self::MAY_BE_IN_TILES);

    #[inline(always)]
    fn is_narrow(&self) -> bool {
        let Recurrence { w_ih, w_hh, h, hidden, .. } = &self.0;
        let serves = narrow::serves(N, w_ih.len()) || narrow::serves_in_tiles::<f32>(N, (w_ih.len() + w_hh.len()) / N);
        serves && h.len() == layout::padded(*hidden)
    }

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        if const { T > streams::<S>(N) } {
            debug_assert!(false, "no function for {T} streams together");
            return;
        }
        let Recurrence { w_ih, w_hh, bias, x, x_stride, input, h, c, hidden, out, out_row, out_stride, .. } = self.0;
        let Recurrence { steps, reverse, mut backwards, x_skip, out_skip, .. } = self.0;
        let (padded, states) = (layout::padded(hidden), h.len());
        let in_turn = const { T > 1 || most_in_turn::<S>(N) > 1 };
        debug_assert!(in_turn || states == T * padded, "only some kernels have streams in turn");
        // (Streams in turn lose: (1, 16) with AVX2 59 to 64 ns each on Zen 4.)
        let at_once =
            const { T == 1 && N == 4 && early::serves::<S, f32>(N, X) } && states == padded && early::pays::<S>(N);
        let mut next = 0;
        // How often all had their turn; backwards, how often they will.
        let mut rounds = if in_turn && reverse { steps / (states / (T * padded)) - 1 } else { 0 };
        for n in 0..steps {
            let time = if reverse { steps - 1 - n } else { n };
            let (mut state, round) = (0, rounds);
            if in_turn {
                state = if reverse { states - T * padded - next } else { next };
                next += T * padded;
                if next >= states {
                    (next, rounds) = (0, if reverse { rounds.wrapping_sub(1) } else { rounds + 1 });
                }
            }
            let (x, out) = (&x[time * x_stride + round * x_skip..], &mut out[time * out_stride + round * out_skip..]);
            let (h, c) = (&mut h[state..][..T * padded], &mut c[state..][..T * padded]);
            let start = if const { X == 0 } { &bias[time * N..] } else { bias };
            // (With blocks, see there, one stream of (1, 20) is 4 % faster, several in turn 7 to 10 % slower.)
            if at_once {
                let x = &x[..input];
                let out = first(out, hidden);
                let lanes = Lanes { h, c, out };
                early::step::<S, f32, N, X>(simd, OneGroup { bias, w_ih, x, w_hh, hidden, lanes });
                continue;
            }
            if const { T == 1 && tiles::serves::<S, f32>(N, 0) } {
                let x = &x[..input];
                let lanes = Lanes { h, c, out: first(out, hidden) };
                let step = OneGroup { bias: start, w_ih, x, w_hh, hidden, lanes };
                woven_step::<S, N, X, false>(simd, step, backwards);
                backwards = !backwards;
                continue;
            }
            let (mut xs, mut hs) = ([&[][..]; T], [&[][..]; T]);
            each_of_4!(t < T => { (xs[t], hs[t]) = (&x[t * input..][..input], &h[t * padded..][..hidden]); });
            let z = sums::<S, T, N, X, C, false>(simd, &Parts { start, w_ih, x: xs, w_hh, h: hs }, backwards);
            backwards = !backwards;
            let (mut h, mut c, mut out) = (h, c, out);
            let mut lanes = || {
                let row = usize::min(out_row, out.len());
                let (h, c) = (h.split_off_mut(..padded), c.split_off_mut(..padded));
                let out = first(out.split_off_mut(..row).unwrap_or_default(), hidden);
                Lanes { h: h.unwrap_or_default(), c: c.unwrap_or_default(), out }
            };
            if const { T == 4 && !N.is_multiple_of(4) } {
                let [z_0, z_1, z_2, z_3] = &z[..] else { return };
                activate_four(simd, [z_0, z_1, z_2, z_3], [lanes(), lanes(), lanes(), lanes()]);
            } else {
                each_of_4!(t < T => {
                    if const { waits(N, T) && S::MANY_REGISTERS } && states > padded {
                        activate::<S, N, false>(simd, &z[t], lanes()); // Another stream's step comes next.
                    } else {
                        activate_small::<S, N, T>(simd, &z[t], lanes());
                    }
                });
            }
        }
    }
}

/// A step of one stream, of `N` lines with `X` chains of x's columns, by [`tiles`]. With the same tiles for single
/// steps, `ONE`, as for many, the compiler would call them, as in [`sums`](fn@sums): (1, 40) 202 to 242 ns a step of a
/// sequence, 220 to 242 alone.
#[inline(always)]
pub(super) fn woven_step<S: Simd, const N: usize, const X: usize, const ONE: bool>(
    simd: S,
    step: OneGroup<'_, f32>,
    backwards: bool,
) {
    let OneGroup { bias, w_ih, x, w_hh, hidden, lanes } = step;
    let backwards = backwards && turns_round::<S, f32>(N, (w_ih.len() + w_hh.len()) / N, 1);
    let all = sums::Parts { start: bias, w_ih, x, w_hh, h: &[] };
    tiles::step::<S, _, N>(simd, &SmallLayer::<N, X, ONE> { all, hidden }, lanes, backwards);
}

/// What [`tiles`] are of: all but h, of which there are `hidden`. The number of lines, `N`, and of the chains of x's
/// columns, `X`, are known to the compiler, and that x and h are a block each: without that it keeps so much at hand
/// for others that a step of (1, 32) takes 50 ns more.
#[derive(Clone, Copy)]
struct SmallLayer<'w, const N: usize, const X: usize, const ONE: bool> {
    all: sums::Parts<'w, f32>,
    hidden: usize,
}

impl<const N: usize, const X: usize, const ONE: bool> Layer for &SmallLayer<'_, N, X, ONE> {
    type Element = f32;

    #[inline(always)]
    fn lines(self) -> usize {
        N
    }

    #[inline(always)]
    fn parts<'a>(self, h: &'a [f32]) -> Option<sums::Parts<'a, f32>>
    where
        Self: 'a,
    {
        let &SmallLayer { all, hidden } = self;
        let [fewest, most] = inputs(X);
        let x = all.x.get(..usize::min(all.x.len(), most)).filter(|x| x.len() >= fewest)?;
        Some(sums::Parts { x, h: h.get(..usize::min(hidden, BLOCK))?, ..all })
    }
}

/// As many of a row as are wanted, if there is one.
#[inline(always)]
fn first(row: &mut [f32], count: usize) -> &mut [f32] {
    let count = usize::min(count, row.len());
    &mut row[..count]
}

/// What z is the sum of.
pub(super) struct Parts<'a, const T: usize> {
    pub(super) start: &'a [Line],
    pub(super) w_ih: &'a [Line],
    pub(super) x: [&'a [f32]; T],
    pub(super) w_hh: &'a [Line],
    pub(super) h: [&'a [f32]; T],
}

/// All lines of z, together or as many at a time as the registers hold. (With the same tiles for single steps, `ONE`,
/// as for many, the compiler would call them: a sequence of (1, 20) with AVX2 72 to 80 ns a step on Zen 4.)
#[inline(always)]
pub(super) fn sums<S: Simd, const T: usize, const N: usize, const X: usize, const C: usize, const ONE: bool>(
    simd: S,
    parts: &Parts<'_, T>,
    backwards: bool,
) -> [[S::Row; N]; T] {
    let mut out = room::<S, N, T>(simd, parts.start);
    // (Of fewer lines those that turn round are woven.)
    let round = N > 8 && turns_round::<S, f32>(N, (parts.w_ih.len() + parts.w_hh.len()) / N, T);
    if const { one_tile::<S>(C, N, T) } && !round {
        Tile::<S, T, N, N, X, C, ONE> { first: 0, parts, out: &mut out }.run(simd);
        return out;
    }
    // In memory, as in `kernel::sums`.
    let out = if const { T == 1 } { black_box(&mut out) } else { &mut out };
    macro_rules! tile {
        ($n:literal, $first:expr) => {
            simd.tile(Tile::<S, T, N, $n, X, C, ONE> { first: $first, parts, out: &mut *out })
        };
    }
    if const { T == 1 && N > 8 } {
        each_tile!(N, step_tile::<S>(N, T), round && backwards, tile);
    } else {
        each_tile!(N, step_tile::<S>(N, T), tile);
    }
    *out
}

/// `M` of the `N` lines, from line `first` on.
struct Tile<
    'a,
    S: Simd,
    const T: usize,
    const N: usize,
    const M: usize,
    const X: usize,
    const C: usize,
    const ONE: bool,
> {
    first: usize,
    parts: &'a Parts<'a, T>,
    out: &'a mut [[S::Row; N]; T],
}

impl<S: Simd, const T: usize, const N: usize, const M: usize, const X: usize, const C: usize, const ONE: bool>
    Section<S> for Tile<'_, S, T, N, M, X, C, ONE>
{
    #[inline(always)]
    fn run(self, simd: S) {
        let Self { first, parts: &Parts { start, w_ih, x, w_hh, h }, out } = self;
        let start = &start[first..][..M];
        let mut z = [[S::Row::splat(simd, 0.0); M]; T];
        each_of_4!(t < T => { each!(n < M => { z[t][n] = S::Row::load(simd, &start[n].0); }); });
        if const { X > 0 } {
            z = block::<S, f32, M, T, X>(simd, z, Part { columns: w_ih, stride: N, first, inputs: x });
        }
        z = block::<S, f32, M, T, C>(simd, z, Part { columns: w_hh, stride: N, first, inputs: h });
        each_of_4!(t < T => { each!(n < M => { out[t][first + n] = z[t][n]; }); });
    }
}
