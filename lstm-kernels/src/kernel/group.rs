//! A group of units of a large layer whose sizes are known at run time, for one stream.
//!
//! There is a function for each number of lines in a group, which does h's part of its sums, or all of them, and its
//! gates. So the units are busy with the gates of one group while the weights of the next are on their way: all sums
//! before all gates take longer ((64, 64) 507 against 416 ns a step of a sequence, (128, 128) 2,300 against 2,100).
//!
//! With AVX2 the registers hold 4 to 6 lines. Each tile of a larger group is a function of its own, for inlined one
//! after the other they had accumulators in the stack ((1, 32) 170 against 119 ns).

use core::hint::black_box;

use super::gates::{Lanes, activate};
use super::sums::{Part, Parts, add, one_tile, step_tile};
use crate::element::Element;
use crate::layout::{Line, packed};
use crate::simd::{Op, Section, Simd, Vector};

/// [`OfGroup`], of `N` lines and two chains.
pub(crate) struct Group<'a, E: Element, const N: usize>(pub(crate) OfGroup<'a, E>);

/// One time step of a group's units.
pub(crate) struct OfGroup<'a, E: Element> {
    /// What the sums begin as: the bias, or x's part too.
    pub(crate) start: &'a [Line],
    /// x and its columns; empty, if its part is in the start.
    pub(crate) w_ih: &'a [E::Line],
    pub(crate) x: &'a [f32],
    /// h, of the whole layer, and its columns.
    pub(crate) w_hh: &'a [E::Line],
    pub(crate) h: &'a [f32],
    /// The units' cells.
    pub(crate) c: &'a mut [f32],
    /// The units' new h, before a projection.
    pub(crate) next: &'a mut [f32],
}

impl<E: Element, const N: usize> Op for Group<'_, E, N> {
    type Output = ();

    const NARROW: bool = E::F16;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let OfGroup { start, w_ih, x, w_hh, h, c, next } = self.0;
        let z = sums::<S, E, N>(simd, Parts { start, w_ih, x, w_hh, h });
        activate::<S, N, false>(simd, &z, Lanes::new(next, c));
    }
}

/// One time step of some groups of as many lines as all have but the last, from the first one on or `backwards`: of all
/// their units, what [`OfGroup`] has of one group's.
pub(crate) struct Groups<'a, E: Element> {
    pub(crate) all: OfGroup<'a, E>,
    pub(crate) count: usize,
    pub(crate) backwards: bool,
}

impl<E: Element> Op for Groups<'_, E> {
    type Output = ();

    const NARROW: bool = E::F16;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        match const { E::FORM.group } {
            4 => groups::<S, E, 4>(simd, self),
            _ => groups::<S, E, 8>(simd, self),
        }
    }
}

/// [`Groups`] of `G` lines. With AVX-512 the sums of two groups come before the gates of either, which are one long
/// chain: the processor's window does not hold all of the next group's loads behind it ((128, 128) 2,400 to 2,150 ns on
/// Zen 5, (1, 128) 1,500 to 1,300; three or four groups the same). Not with AVX2: there it made no difference on Zen 5,
/// and from 64 units on 1 to 3 % more on Emerald Rapids. (A cell's are [`woven`](super::woven), which loses here.)
#[inline(always)]
fn groups<S: Simd, E: Element, const G: usize>(simd: S, groups: Groups<'_, E>) {
    let Groups { all: OfGroup { start, w_ih, x, w_hh, h, c, next }, count, backwards } = groups;
    let [x_lines, h_lines] = [x.len(), h.len()].map(|columns| G * packed(E::FORM, columns));
    macro_rules! sums {
        ($n:expr) => {{
            let (w_ih, w_hh) = (&w_ih[$n * x_lines..][..x_lines], &w_hh[$n * h_lines..][..h_lines]);
            sums::<S, E, G>(simd, Parts { start: &start[$n * G..][..G], w_ih, x, w_hh, h })
        }};
    }
    macro_rules! gates {
        ($n:expr, $z:expr) => {
            let (next, c) = (&mut next[$n * 4 * G..][..4 * G], &mut c[$n * 4 * G..][..4 * G]);
            activate::<S, G, false>(simd, &$z, Lanes::new(next, c));
        };
    }
    let pairs = if const { G == 4 && S::MANY_REGISTERS } { count / 2 } else { 0 };
    let rounds = count - pairs;
    for n in 0..rounds {
        let n = if backwards { rounds - 1 - n } else { n };
        if n < pairs {
            let (a, b) = if backwards { (2 * n + 1, 2 * n) } else { (2 * n, 2 * n + 1) };
            let (z_a, z_b) = (sums!(a), sums!(b));
            gates!(a, z_a);
            gates!(b, z_b);
        } else {
            let z = sums!(pairs + n);
            gates!(pairs + n, z);
        }
    }
}

/// [`Group`] of a number of lines that is known at run time.
#[inline(always)]
pub(crate) fn group<S: Simd, E: Element>(simd: S, lines: usize, group: OfGroup<'_, E>) {
    macro_rules! enter {
        ($($lines:literal)*) => { match lines {
            $( $lines => simd.enter(Group::<E, $lines>(group)), )*
            _ => debug_assert!(false, "no function for a group of {lines} lines"),
        } };
    }
    enter!(4 5 6 7 8 9 10 11 12);
}

/// All lines of z, together or as many at a time as the registers hold.
#[inline(always)]
fn sums<S: Simd, E: Element, const N: usize>(simd: S, parts: Parts<'_, E>) -> [S::Row; N] {
    let mut out = [S::Row::splat(simd, 0.0); N];
    if const { one_tile::<S>(2, N, 1) } {
        Tile::<S, E, N, N> { first: 0, parts, out: &mut out }.run(simd);
        return out;
    }
    // In memory, as in `kernel::sums`.
    let out = black_box(&mut out);
    macro_rules! tile {
        ($n:literal, $first:expr) => {
            simd.tile(Tile::<S, E, N, $n> { first: $first, parts, out: &mut *out })
        };
    }
    each_tile!(N, step_tile::<S>(N, 1), tile);
    *out
}

/// `M` of the `N` lines, from line `first` on.
struct Tile<'a, S: Simd, E: Element, const N: usize, const M: usize> {
    first: usize,
    parts: Parts<'a, E>,
    out: &'a mut [S::Row; N],
}

impl<S: Simd, E: Element, const N: usize, const M: usize> Section<S> for Tile<'_, S, E, N, M> {
    #[inline(always)]
    fn run(self, simd: S) {
        let Self { first, parts, out } = self;
        let mut z = parts.begin(simd, N, first);
        let h = Part { columns: parts.w_hh, stride: N, first, inputs: [parts.h] };
        add::<S, E, M, 1, 2>(simd, &mut z, h);
        each!(n < M => { out[first + n] = z[0][n]; });
    }
}
