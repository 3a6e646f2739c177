//! One stream through a layer whose sizes are known at run time.
//!
//! **Small layers**, of one group of lines. A step takes some 50 ns: calls for its parts, and sums that go through memory
//! between them, would double that. So there is a function for each number of lines, which does all steps ([`Sized`]).
//!
//! **Large layers** have a function for each number of lines in a group, which does h's part of its sums and its gates
//! ([`Group`]). So the units are busy with the gates of one group while the weights of the next are on their way: all
//! sums before all gates take longer ((64, 64) 507 against 416 ns a step of a sequence, (128, 128) 2,300 against 2,100, Zen 5).
//!
//! With AVX2 the registers hold 4 lines. Each 4 of a larger group are a function of their own, for inlined one after the
//! other they had accumulators in the stack ((1, 32) 170 against 119 ns).

use core::hint::black_box;

use super::{Part, activate, activate_one, add, block};
use crate::element::Element;
use crate::layout::Line;
use crate::simd::{Op, Section, Simd, Vector};

/// The steps of [`Recurrence`], with `N` lines, `X` chains of x's columns and `C` of h's.
pub(crate) struct Sized<'a, E: Element, const N: usize, const X: usize, const C: usize>(pub(crate) Recurrence<'a, E>);

/// A layer without projection and one stream.
pub(crate) struct Recurrence<'a, E: Element> {
    /// x's columns and then h's, `N` lines each.
    pub(crate) w_ih: &'a [E::Line],
    pub(crate) w_hh: &'a [E::Line],
    /// `N` lines.
    pub(crate) bias: &'a [Line],
    /// Rows of `input`, `x_stride` apart: one for each time step.
    pub(crate) x: &'a [f32],
    pub(crate) x_stride: usize,
    pub(crate) input: usize,
    /// \[padded(hidden)\] each.
    pub(crate) h: &'a mut [f32],
    pub(crate) c: &'a mut [f32],
    /// Rows that begin with h, `out_stride` apart.
    pub(crate) out: &'a mut [f32],
    pub(crate) out_stride: usize,
    pub(crate) steps: usize,
    pub(crate) hidden: usize,
    pub(crate) reverse: bool,
}

impl<E: Element, const N: usize, const X: usize, const C: usize> Op for Sized<'_, E, N, X, C> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Recurrence { w_ih, w_hh, bias, x, x_stride, input, h, c, out, out_stride, steps, hidden, reverse } = self.0;
        for n in 0..steps {
            let n = if reverse { steps - 1 - n } else { n };
            let x = &x[n * x_stride..][..input];
            let z = sums::<S, E, N, X, C>(simd, Parts { start: bias, w_ih, x, w_hh, h: &h[..hidden] });
            activate_one(simd, &z, h, c);
            copy(&h[..hidden], &mut out[n * out_stride..][..hidden]);
        }
    }
}

/// [`OfGroup`], of `N` lines and two chains.
pub(crate) struct Group<'a, E: Element, const N: usize>(pub(crate) OfGroup<'a, E>);

/// One time step of a group's units.
pub(crate) struct OfGroup<'a, E: Element> {
    /// h's columns.
    pub(crate) columns: &'a [E::Line],
    /// The sums without h's part.
    pub(crate) z: &'a [Line],
    /// Of the whole layer.
    pub(crate) h: &'a [f32],
    /// The units' cells.
    pub(crate) c: &'a mut [f32],
    /// The units' new h, before a projection.
    pub(crate) next: &'a mut [f32],
}

impl<E: Element, const N: usize> Op for Group<'_, E, N> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let OfGroup { columns, z, h, c, next } = self.0;
        let z = sums::<S, E, N, 0, 2>(simd, Parts { start: z, w_ih: &[], x: &[], w_hh: columns, h });
        activate::<S, N, false>(simd, &z, next, c);
    }
}

/// What z is the sum of.
#[derive(Clone, Copy)]
struct Parts<'a, E: Element> {
    start: &'a [Line],
    w_ih: &'a [E::Line],
    x: &'a [f32],
    w_hh: &'a [E::Line],
    h: &'a [f32],
}

/// All lines of z, together or as many at a time as the registers hold.
#[inline(always)]
fn sums<S: Simd, E: Element, const N: usize, const X: usize, const C: usize>(
    simd: S,
    parts: Parts<'_, E>,
) -> [S::Row; N] {
    let mut out = [S::Row::splat(simd, 0.0); N];
    if const { N <= 4 || C * N <= S::ACCUMULATORS } {
        Tile::<S, E, N, N, X, C> { first: 0, parts, out: &mut out }.run(simd);
        return out;
    }
    // In memory, as in `kernel::sums`.
    let out = black_box(&mut out);
    macro_rules! tiles {
        ($($first:literal)*) => { $(
            match const { N.saturating_sub($first) } {
                0 => {}
                1 => simd.outline(Tile::<S, E, N, 1, X, C> { first: $first, parts, out: &mut *out }),
                2 => simd.outline(Tile::<S, E, N, 2, X, C> { first: $first, parts, out: &mut *out }),
                3 => simd.outline(Tile::<S, E, N, 3, X, C> { first: $first, parts, out: &mut *out }),
                _ => simd.outline(Tile::<S, E, N, 4, X, C> { first: $first, parts, out: &mut *out }),
            }
        )* };
    }
    tiles!(0 4 8);
    *out
}

/// `M` of the `N` lines, from line `first` on. With no chains of x (`X` = 0) x's part is in the start, and h may be longer
/// than a block.
struct Tile<'a, S: Simd, E: Element, const N: usize, const M: usize, const X: usize, const C: usize> {
    first: usize,
    parts: Parts<'a, E>,
    out: &'a mut [S::Row; N],
}

impl<S, E, const N: usize, const M: usize, const X: usize, const C: usize> Section<S> for Tile<'_, S, E, N, M, X, C>
where
    S: Simd,
    E: Element,
{
    #[inline(always)]
    fn run(self, simd: S) {
        let Self { first, parts: Parts { start, w_ih, x, w_hh, h }, out } = self;
        let start = &start[first..][..M];
        let mut z = [[S::Row::splat(simd, 0.0); M]];
        each!(n < M => { z[0][n] = S::Row::load(simd, &start[n].0); });
        let h = Part { columns: w_hh, stride: N, first, inputs: [h] };
        if const { X == 0 } {
            add::<S, E, M, 1, C>(simd, &mut z, h);
        } else {
            z = block::<S, E, M, 1, X>(simd, z, Part { columns: w_ih, stride: N, first, inputs: [x] });
            z = block::<S, E, M, 1, C>(simd, z, h);
        }
        each!(n < M => { out[first + n] = z[0][n]; });
    }
}

/// A short `copy_from_slice`, in place of a call.
#[inline(always)]
fn copy(from: &[f32], to: &mut [f32]) {
    let ((from, from_rest), (to, to_rest)) = (from.as_chunks::<4>(), to.as_chunks_mut::<4>());
    for (from, to) in from.iter().zip(to) {
        *to = *from;
    }
    for (from, to) in from_rest.iter().zip(to_rest) {
        *to = *from;
    }
}
