//! Many time steps of one stream through a layer of one group of lines, whose sizes are known at run time.
//!
//! A step of a small layer takes some 50 ns: calls for its parts, and sums that go through memory between them, would
//! double that. So there is a function for each number of lines, which does all steps.

use super::{Part, activate_one, block};
use crate::element::Element;
use crate::layout::Line;
use crate::simd::{Op, Simd, Vector};

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
        let Some(bias) = bias.first_chunk::<N>() else { return };
        for n in 0..steps {
            let n = if reverse { steps - 1 - n } else { n };
            let mut z = [S::Row::splat(simd, 0.0); N];
            each!(line < N => { z[line] = S::Row::load(simd, &bias[line].0); });
            z = add_inputs::<S, E, N, X>(simd, z, w_ih, &x[n * x_stride..][..input]);
            z = add_inputs::<S, E, N, C>(simd, z, w_hh, &h[..hidden]);
            activate_one(simd, &z, h, c);
            copy(&h[..hidden], &mut out[n * out_stride..][..hidden]);
        }
    }
}

/// z and the part of x or h of the sums: all lines together, or as many as the registers hold.
#[inline(always)]
fn add_inputs<S: Simd, E: Element, const N: usize, const C: usize>(
    simd: S,
    mut z: [S::Row; N],
    columns: &[E::Line],
    inputs: &[f32],
) -> [S::Row; N] {
    if const { N <= 4 || C * N <= S::ACCUMULATORS } {
        let [z] = block::<S, E, N, 1, C>(simd, [z], Part { columns, stride: N, first: 0, inputs: [inputs] });
        return z;
    }
    macro_rules! tiles {
        ($($first:literal)*) => { $(
            match const { N.saturating_sub($first) } {
                0 => {}
                1 => tile::<S, E, N, 1, C>(simd, &mut z, columns, $first, inputs),
                2 => tile::<S, E, N, 2, C>(simd, &mut z, columns, $first, inputs),
                3 => tile::<S, E, N, 3, C>(simd, &mut z, columns, $first, inputs),
                _ => tile::<S, E, N, 4, C>(simd, &mut z, columns, $first, inputs),
            }
        )* };
    }
    tiles!(0 4 8);
    z
}

/// `M` of the `N` lines.
#[inline(always)]
fn tile<S: Simd, E: Element, const N: usize, const M: usize, const C: usize>(
    simd: S,
    z: &mut [S::Row; N],
    columns: &[E::Line],
    first: usize,
    inputs: &[f32],
) {
    let mut some = [z[0]; M];
    each!(n < M => { some[n] = z[first + n]; });
    let [some] = block::<S, E, M, 1, C>(simd, [some], Part { columns, stride: N, first, inputs: [inputs] });
    each!(n < M => { z[first + n] = some[n]; });
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
