//! From the pre-activations z of a group of lines to its units' h and c.
//!
//! **The gates.** tanh is a quotient of polynomials n/q ([`activation`](crate::activation)), sigmoid(z) is
//! (q + n)/2q of z/2. The quotients are not computed one by one but merged into the update of the cell, which
//! leaves two divisions for five activations:
//!
//! ```text
//! c' = c sigma(f) + sigma(i) tanh(g) = (c Nf qi qg + Ni ng qf) / 2 qf qi qg     N = q + n
//! h' = sigma(o) tanh(c')             = No (nc / 2) / qo qc
//! ```
//!
//! |n| <= q by construction and rounding is monotone, so the quotients keep |tanh| <= 1 and sigma in [0, 1].

use crate::activation::{P, P_HALF, Quotient, Ratio, quotient};
#[cfg(feature = "alloc")]
use crate::layout::Line;
#[cfg(feature = "alloc")]
use crate::simd::Op;
use crate::simd::{Section, Simd, Split, Vector};

/// Applies the gates of one group to its units' h and c, which start at the slices' beginning.
#[inline(always)]
pub(crate) fn activate<S: Simd, const R: usize, const FAST: bool>(
    simd: S,
    z: &[S::Row; R],
    h: &mut [f32],
    c: &mut [f32],
) {
    simd.section(Gates::<S, R, FAST> { z, h, c });
}

/// [`activate`] for each of `T` streams: one alone waits for the result in a small layer; a larger one, and several streams,
/// have other work.
#[inline(always)]
pub(crate) fn activate_small<S: Simd, const R: usize, const T: usize>(
    simd: S,
    z: &[S::Row; R],
    h: &mut [f32],
    c: &mut [f32],
) {
    if const { T == 1 && R <= 5 } {
        activate::<S, R, true>(simd, z, h, c);
    } else {
        activate::<S, R, false>(simd, z, h, c);
    }
}

struct Gates<'a, S: Simd, const R: usize, const FAST: bool> {
    z: &'a [S::Row; R],
    h: &'a mut [f32],
    c: &'a mut [f32],
}

impl<S: Simd, const R: usize, const FAST: bool> Section<S> for Gates<'_, S, R, FAST> {
    #[inline(always)]
    fn run(self, simd: S) {
        let Self { z, mut h, mut c } = self;
        // All quotients first: they do not wait for each other, the updates after them have two divisions in a row.
        let mut gates = [quotient::<S, S::Row, 16, FAST>(simd, z[0], &P); R];
        each!(n < R => { gates[n] = quotient::<S, S::Row, 16, FAST>(simd, z[n], &P); });
        if const { R >= 4 } {
            (h, c) = units_16::<S, FAST>(simd, [gates[0], gates[1], gates[2], gates[3]], h, c);
        }
        if const { R >= 8 } {
            (h, c) = units_16::<S, FAST>(simd, [gates[4], gates[5], gates[6], gates[7]], h, c);
        }
        if const { R >= 12 } {
            (h, c) = units_16::<S, FAST>(simd, [gates[8], gates[9], gates[10], gates[11]], h, c);
        }
        if const { R % 4 >= 2 } {
            (h, c) = units_8::<S, FAST>(simd, [gates[R / 4 * 4], gates[R / 4 * 4 + 1]], h, c);
        }
        if const { R % 2 == 1 } {
            units_4::<S, FAST>(simd, gates[R - 1], h, c);
        }
    }
}

/// Applies the gates of a whole layer, whose number of lines is known at run time, to its units' h and c.
#[cfg(feature = "alloc")]
pub(crate) struct Activate<'a> {
    pub(crate) z: &'a [Line],
    pub(crate) h: &'a mut [f32],
    pub(crate) c: &'a mut [f32],
}

#[cfg(feature = "alloc")]
impl Op for Activate<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { z, mut h, mut c } = self;
        // Two blocks at a time, which do not wait for each other.
        for z in z.chunks(8) {
            macro_rules! gates {
                ($($r:literal)*) => { match z.len() {
                    $( $r => if let Some(z) = z.first_chunk() {
                        (h, c) = gates::<S, $r>(simd, z, h, c);
                    }, )*
                    _ => {}
                } };
            }
            gates!(1 2 3 4 5 6 7 8);
        }
    }
}

/// [`activate`] for sums in memory; the rest of h and c.
#[cfg(feature = "alloc")]
#[inline(always)]
fn gates<'a, S: Simd, const R: usize>(simd: S, z: &[Line; R], h: &'a mut [f32], c: &'a mut [f32]) -> Rest<'a> {
    let mut rows = [S::Row::splat(simd, 0.0); R];
    each!(n < R => { rows[n] = S::Row::load(simd, &z[n].0); });
    let (h, h_rest) = h.split_at_mut(4 * R);
    let (c, c_rest) = c.split_at_mut(4 * R);
    activate_small::<S, R, 1>(simd, &rows, h, c);
    (h_rest, c_rest)
}

/// The rest of h and c.
type Rest<'a> = (&'a mut [f32], &'a mut [f32]);

/// The gates of 16 units, a line each.
#[inline(always)]
fn units_16<'a, S: Simd, const FAST: bool>(
    simd: S,
    [i, f, g, o]: [Ratio<S::Row>; 4],
    h: &'a mut [f32],
    c: &'a mut [f32],
) -> Rest<'a> {
    let (Some((h16, h)), Some((c16, c))) = (h.split_first_chunk_mut(), c.split_first_chunk_mut()) else {
        return Default::default();
    };
    let gates = [i.sigmoid(simd), f.sigmoid(simd), g.tanh(simd), o.sigmoid(simd)];
    update::<S, S::Row, 16, FAST>(simd, gates, h16, c16);
    (h, c)
}

/// The gates of 8 units: two lines, i and f, g and o.
#[inline(always)]
fn units_8<'a, S: Simd, const FAST: bool>(
    simd: S,
    [i_f, g_o]: [Ratio<S::Row>; 2],
    h: &'a mut [f32],
    c: &'a mut [f32],
) -> Rest<'a> {
    let (Some((h8, h)), Some((c8, c))) = (h.split_first_chunk_mut(), c.split_first_chunk_mut()) else {
        return Default::default();
    };
    let [i, f] = i_f.sigmoid(simd).split();
    let ([g, _], [_, o]) = (g_o.tanh(simd).split(), g_o.sigmoid(simd).split());
    update::<S, S::Half, 8, FAST>(simd, [i, f, g, o], h8, c8);
    (h, c)
}

/// The gates of 4 units: one line.
#[inline(always)]
fn units_4<S: Simd, const FAST: bool>(simd: S, all: Ratio<S::Row>, h: &mut [f32], c: &mut [f32]) {
    let (Some(h4), Some(c4)) = (h.first_chunk_mut(), c.first_chunk_mut()) else { return };
    let (sigmoid, tanh) = (all.sigmoid(simd).split(), all.tanh(simd).split());
    let ([i, f], [_, o]) = (sigmoid[0].split(), sigmoid[1].split());
    let [g, _] = tanh[1].split();
    update::<S, S::Quarter, 4, FAST>(simd, [i, f, g, o], h4, c4);
}

/// c' = c sigma(f) + sigma(i) tanh(g), h' = sigma(o) tanh(c'), from the gates' quotients; see the top of the file.
#[inline(always)]
fn update<S: Simd, V: Vector<S, N>, const N: usize, const FAST: bool>(
    simd: S,
    [i, f, g, o]: [Quotient<V>; 4],
    h: &mut [f32; N],
    c: &mut [f32; N],
) {
    let i_g = i.below.mul(simd, g.below);
    let below = f.below.mul(simd, i_g);
    let kept = V::load(simd, c).mul(simd, f.above);
    let added = i.above.mul(simd, g.above).mul(simd, f.below);
    let cell = kept.mul_add(simd, i_g, added).div(simd, below.add(simd, below));

    // tanh(c') / 2: the 2 of the sigmoid's denominator. What waits for p is one product.
    let half = quotient::<S, V, N, FAST>(simd, cell, &P_HALF);
    let output = o.above.mul(simd, half.x).mul(simd, half.p).div(simd, o.below.mul(simd, half.q));

    cell.zero_where_tiny(simd, cell).store(simd, c);
    output.zero_where_tiny(simd, cell).store(simd, h);
}
