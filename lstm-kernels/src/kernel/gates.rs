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
//! |n| <= q by construction and rounding is monotone, so the quotients keep |tanh| <= 1 and sigma in [0, 1]. (h', one
//! quotient of their products, may round to 1 + 2^-23.)
//!
//! **Folded lines** (see [`layout`](crate::layout)) are taken apart behind the quotients, which do not care what a lane
//! is. Those of four streams are put together before: two lines each of two streams, or one each of all four, are the
//! gates of 16 units, and take hardly longer than those of one stream alone (32 streams on Zen 5: (1, 8) 9.6 to 7.7 ns
//! each, (1, 20) 28.6 to 24.5).
//!
//! **Intel's CPUs** divide 16 lanes in 18 cycles and 8 in 12, two divisions wait for each other, and the multiply-adds
//! of the next step may begin with the first 8 units' h. So where one stream waits for the gates of 13 to 16 units,
//! these go in two halves behind the quotients: on Emerald Rapids (1, 16) 54 to 51 ns, (16, 16) 59 to 54. It takes a
//! third more operations, so that units with other work lose: (1, 32) 5 %, (1, 40) 9 %, (10, 20) 6 %, (128, 128) 1 %,
//! two streams of (1, 16) in turn 7 %. (Only the divisions in halves: (1, 16) 6 % slower, (1, 32) 5 %.)
//!
//! **How fast.** In a batch on Zen 4 with AVX-512 the gates of 16 units took 80 cycles, a tenth of a step of (64, 64),
//! when the units that multiply needed 68 of them (they need 63 now): 63 operations (58), a compare, and two divisions,
//! each of which takes two of their places; clamps and sums go elsewhere. **Tried and lost** there: the quotients of
//! the next 16 units begun before the update of these, 73 cycles, 32 streams of (64, 64) and (256, 256) half a percent
//! faster, not worth a second form of `updated`; the same with the operations of both in turn, 4 % slower.

use pulp::bytemuck::cast_mut;

use crate::activation::{P, P_HALF, Quotient, Ratio, ratio};
use crate::layout::Line;
use crate::simd::{Op, Section, Simd, Split, Vector, as_on_intel};

/// A stream's h and c, from some unit on.
pub(crate) type Lanes<'a> = (&'a mut [f32], &'a mut [f32]);

/// Applies the gates of one group to its units' h and c, which start at the slices' beginning. `FAST`: see
/// [`ratio`].
#[inline(always)]
pub(crate) fn activate<S: Simd, const R: usize, const FAST: bool>(
    simd: S,
    z: &[S::Row; R],
    h: &mut [f32],
    c: &mut [f32],
) {
    if const { !S::PORTABLE || R <= 4 } {
        return simd.section(Gates::<S, R, FAST> { z, h, c });
    }
    // Where one operation after the other is computed, functions for up to 4 lines do.
    macro_rules! gates {
        ($lines:literal, $first:expr) => {
            if let Some(z) = z[$first..].first_chunk() {
                let (h, c) = (&mut h[4 * $first..], &mut c[4 * $first..]);
                simd.section(Gates::<S, $lines, FAST> { z, h, c });
            }
        };
    }
    each_tile!(R, 4, gates);
}

/// Whether `streams` streams wait for the gates of so many lines: one alone, in a small layer. A larger one, and several
/// streams, have other work.
pub(crate) const fn waits(lines: usize, streams: usize) -> bool {
    streams == 1 && lines <= 5
}

/// [`activate`] for each of `T` streams, who may [wait](waits).
#[inline(always)]
pub(crate) fn activate_small<S: Simd, const R: usize, const T: usize>(
    simd: S,
    z: &[S::Row; R],
    h: &mut [f32],
    c: &mut [f32],
) {
    if const { waits(R, T) } {
        activate::<S, R, true>(simd, z, h, c);
    } else {
        activate::<S, R, false>(simd, z, h, c);
    }
}

/// [`activate`] for 8 units, a half line each.
#[inline(always)]
pub(crate) fn activate_8<S: Simd>(simd: S, z: [S::Half; 4], h: &mut [f32], c: &mut [f32]) {
    let (Some(h8), Some(c8)) = (h.first_chunk_mut(), c.first_chunk_mut()) else { return };
    update::<S, S::Half, 8, true>(simd, gates_of::<S, S::Half, 8, true>(simd, z), h8, c8);
}

struct Gates<'a, S: Simd, const R: usize, const FAST: bool> {
    z: &'a [S::Row; R],
    h: &'a mut [f32],
    c: &'a mut [f32],
}

impl<S: Simd, const R: usize, const FAST: bool> Section<S> for Gates<'_, S, R, FAST> {
    #[inline(always)]
    fn run(self, simd: S) {
        let Self { z, h, c } = self;
        let mut lanes = (h, c);
        // All quotients first: they do not wait for each other, the updates after them have two divisions in a row.
        let mut gates = [ratio::<S, S::Row, 16, FAST>(simd, z[0], &P); R];
        each!(n < R => { gates[n] = ratio::<S, S::Row, 16, FAST>(simd, z[n], &P); });
        each_of_4!(n < R / 4 => {
            let block = [gates[4 * n], gates[4 * n + 1], gates[4 * n + 2], gates[4 * n + 3]];
            lanes = units_16::<S, FAST>(simd, each_gate(simd, block), lanes);
        });
        if const { R % 4 >= 2 } {
            lanes = units_8::<S, FAST>(simd, [gates[R / 4 * 4], gates[R / 4 * 4 + 1]], lanes);
        }
        if const { R % 2 == 1 } {
            units_4::<S, FAST>(simd, gates[R - 1], lanes);
        }
    }
}

/// [`activate`] for four streams, whose last lines are folded.
#[inline(always)]
pub(crate) fn activate_four<S: Simd, const R: usize>(simd: S, z: [&[S::Row; R]; 4], lanes: [Lanes<'_>; 4]) {
    simd.section(FourGates::<S, R> { z, lanes });
}

struct FourGates<'a, S: Simd, const R: usize> {
    z: [&'a [S::Row; R]; 4],
    lanes: [Lanes<'a>; 4],
}

impl<S: Simd, const R: usize> Section<S> for FourGates<'_, S, R> {
    #[inline(always)]
    fn run(self, simd: S) {
        let Self { z: [a, b, c, d], lanes: [of_a, of_b, of_c, of_d] } = self;
        let (mut of_a, mut of_b) = (blocks(simd, a, of_a), blocks(simd, b, of_b));
        let (mut of_c, mut of_d) = (blocks(simd, c, of_c), blocks(simd, d, of_d));
        if const { R % 4 >= 2 } {
            let (n, m) = const { (R / 4 * 4, R / 4 * 4 + 1) };
            [of_a, of_b] = units_8_of_2(simd, [[a[n], a[m]], [b[n], b[m]]], [of_a, of_b]);
            [of_c, of_d] = units_8_of_2(simd, [[c[n], c[m]], [d[n], d[m]]], [of_c, of_d]);
        }
        if const { R % 2 == 1 } {
            units_4_of_4(simd, [a[R - 1], b[R - 1], c[R - 1], d[R - 1]], [of_a, of_b, of_c, of_d]);
        }
    }
}

/// The gates of those lines of a stream that are not folded; the rest of the lanes, as below.
#[inline(always)]
fn blocks<'a, S: Simd, const R: usize>(simd: S, z: &[S::Row; R], mut lanes: Lanes<'a>) -> Lanes<'a> {
    each_of_4!(n < R / 4 => {
        let gates = gates_of::<S, _, 16, false>(simd, [z[4 * n], z[4 * n + 1], z[4 * n + 2], z[4 * n + 3]]);
        lanes = units_16::<S, false>(simd, gates, lanes);
    });
    lanes
}

/// Applies the gates of a stream's units, whose number of lines is known at run time, to their h and c.
pub(crate) struct Activate<'a> {
    pub(crate) z: &'a [Line],
    pub(crate) h: &'a mut [f32],
    pub(crate) c: &'a mut [f32],
}

impl Op for Activate<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { z, h, c } = self;
        activate_lines(simd, z, (h, c));
    }
}

/// The same for each of some streams, whose h is copied to the output while the nearest cache has it.
#[cfg(feature = "lstm")]
pub(crate) struct ActivateAll<'a> {
    /// Rows of `lines` lines.
    pub(crate) z: &'a [Line],
    pub(crate) lines: usize,
    /// Rows of 4 units for each line; as many as there are streams.
    pub(crate) h: &'a mut [f32],
    pub(crate) c: &'a mut [f32],
    /// Rows, `out_stride` apart, that begin with h, `hidden` units; or nothing.
    pub(crate) out: &'a mut [f32],
    pub(crate) out_stride: usize,
    pub(crate) hidden: usize,
}

#[cfg(feature = "lstm")]
impl Op for ActivateAll<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { z, lines, h, c, out, out_stride, hidden } = self;
        let rows = h.chunks_exact_mut(4 * lines).zip(c.chunks_exact_mut(4 * lines));
        let mut out = out.chunks_mut(out_stride);
        for ((h, c), z) in rows.zip(z.chunks_exact(lines)) {
            activate_lines(simd, z, (&mut *h, c));
            if let Some(out) = out.next() {
                copy(simd, &h[..hidden], &mut out[..hidden]);
            }
        }
    }
}

/// A short `copy_from_slice`, in place of a call.
#[cfg(feature = "lstm")]
#[inline(always)]
pub(super) fn copy<S: Simd>(simd: S, from: &[f32], to: &mut [f32]) {
    let ((rows, from), (to_rows, to)) = (from.as_chunks::<16>(), to.as_chunks_mut::<16>());
    for (from, to) in rows.iter().zip(to_rows) {
        S::Row::load(simd, from).store(simd, to);
    }
    let ((from, from_rest), (to, to_rest)) = (from.as_chunks::<4>(), to.as_chunks_mut::<4>());
    for (from, to) in from.iter().zip(to) {
        *to = *from;
    }
    for (from, to) in from_rest.iter().zip(to_rest) {
        *to = *from;
    }
}

/// See [`Activate`].
#[inline(always)]
fn activate_lines<S: Simd>(simd: S, z: &[Line], mut lanes: Lanes<'_>) {
    // Two blocks at a time, which do not wait for each other.
    for z in z.chunks(8) {
        macro_rules! gates {
            ($($r:literal)*) => { match z.len() {
                $( $r => if let Some(z) = z.first_chunk() {
                    lanes = gates::<S, $r>(simd, z, lanes);
                }, )*
                _ => {}
            } };
        }
        gates!(1 2 3 4 5 6 7 8);
    }
}

/// [`activate`] for sums in memory; the rest of the lanes.
#[inline(always)]
fn gates<'a, S: Simd, const R: usize>(simd: S, z: &[Line; R], (h, c): Lanes<'a>) -> Lanes<'a> {
    let mut rows = [S::Row::splat(simd, 0.0); R];
    each!(n < R => { rows[n] = S::Row::load(simd, &z[n].0); });
    let (h, h_rest) = h.split_at_mut(4 * R);
    let (c, c_rest) = c.split_at_mut(4 * R);
    activate::<S, R, false>(simd, &rows, h, c);
    (h_rest, c_rest)
}

/// The gates of 16 units, a line each. Who waits for them on an Intel CPU gets those of 8 and of 8 more behind their
/// quotients: see the top of the file.
#[inline(always)]
fn units_16<'a, S: Simd, const FAST: bool>(simd: S, gates: [Quotient<S::Row>; 4], (h, c): Lanes<'a>) -> Lanes<'a> {
    let (Some((h16, h)), Some((c16, c))) = (h.split_first_chunk_mut(), c.split_first_chunk_mut()) else {
        return Default::default();
    };
    if const { FAST && S::MANY_REGISTERS } && as_on_intel() {
        let ([h_a, h_b], [c_a, c_b]): (&mut [_; 2], &mut [_; 2]) = (cast_mut(h16), cast_mut(c16));
        let [i, f, g, o] = gates;
        let ([i_a, i_b], [f_a, f_b], [g_a, g_b], [o_a, o_b]) = (i.split(), f.split(), g.split(), o.split());
        update::<S, S::Half, 8, FAST>(simd, [i_a, f_a, g_a, o_a], h_a, c_a);
        update::<S, S::Half, 8, FAST>(simd, [i_b, f_b, g_b, o_b], h_b, c_b);
    } else {
        update::<S, S::Row, 16, FAST>(simd, gates, h16, c16);
    }
    (h, c)
}

/// The gates of 8 units: two lines, i and f, g and o.
#[inline(always)]
fn units_8<'a, S: Simd, const FAST: bool>(simd: S, [i_f, g_o]: [Ratio<S::Row>; 2], (h, c): Lanes<'a>) -> Lanes<'a> {
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
fn units_4<S: Simd, const FAST: bool>(simd: S, all: Ratio<S::Row>, (h, c): Lanes<'_>) {
    let (Some(h4), Some(c4)) = (h.first_chunk_mut(), c.first_chunk_mut()) else { return };
    let (sigmoid, tanh) = (all.sigmoid(simd).split(), all.tanh(simd).split());
    let ([i, f], [_, o]) = (sigmoid[0].split(), sigmoid[1].split());
    let [g, _] = tanh[1].split();
    update::<S, S::Quarter, 4, FAST>(simd, [i, f, g, o], h4, c4);
}

/// The gates of 8 units of each of two streams.
#[inline(always)]
fn units_8_of_2<'a, S: Simd>(simd: S, [a, b]: [[S::Row; 2]; 2], lanes: [Lanes<'a>; 2]) -> [Lanes<'a>; 2] {
    let [(h_a, c_a), (h_b, c_b)] = lanes;
    let (Some((h8_a, h_a)), Some((c8_a, c_a))) = (h_a.split_first_chunk_mut(), c_a.split_first_chunk_mut()) else {
        return Default::default();
    };
    let (Some((h8_b, h_b)), Some((c8_b, c_b))) = (h_b.split_first_chunk_mut(), c_b.split_first_chunk_mut()) else {
        return Default::default();
    };
    let ([i_a, f_a], [g_a, o_a]) = (a[0].split(), a[1].split());
    let ([i_b, f_b], [g_b, o_b]) = (b[0].split(), b[1].split());
    let both = S::Row::join;
    let gates =
        gates_of::<S, _, 16, false>(simd, [both([i_a, i_b]), both([f_a, f_b]), both([g_a, g_b]), both([o_a, o_b])]);
    let c = both([S::Half::load(simd, c8_a), S::Half::load(simd, c8_b)]);
    let [h, c] = updated::<S, S::Row, 16, false>(simd, gates, c);
    let (h, c) = (h.split(), c.split());
    h[0].store(simd, h8_a);
    h[1].store(simd, h8_b);
    c[0].store(simd, c8_a);
    c[1].store(simd, c8_b);
    [(h_a, c_a), (h_b, c_b)]
}

/// The gates of 4 units of each of four streams.
#[inline(always)]
fn units_4_of_4<S: Simd>(simd: S, lines: [S::Row; 4], [a, b, c, d]: [Lanes<'_>; 4]) {
    let (Some(h_a), Some(h_b), Some(h_c), Some(h_d)) =
        (a.0.first_chunk_mut(), b.0.first_chunk_mut(), c.0.first_chunk_mut(), d.0.first_chunk_mut())
    else {
        return;
    };
    let (Some(c_a), Some(c_b), Some(c_c), Some(c_d)) =
        (a.1.first_chunk_mut(), b.1.first_chunk_mut(), c.1.first_chunk_mut(), d.1.first_chunk_mut())
    else {
        return;
    };
    let [a, b, c, d] =
        [quarters::<S>(lines[0]), quarters::<S>(lines[1]), quarters::<S>(lines[2]), quarters::<S>(lines[3])];
    let [i, f] = [row::<S>([a[0], b[0], c[0], d[0]]), row::<S>([a[1], b[1], c[1], d[1]])];
    let [g, o] = [row::<S>([a[2], b[2], c[2], d[2]]), row::<S>([a[3], b[3], c[3], d[3]])];
    let gates = gates_of::<S, _, 16, false>(simd, [i, f, g, o]);
    let load = S::Quarter::load;
    let cells = row::<S>([load(simd, c_a), load(simd, c_b), load(simd, c_c), load(simd, c_d)]);
    let [h, c] = updated::<S, S::Row, 16, false>(simd, gates, cells);
    let (h, c) = (quarters::<S>(h), quarters::<S>(c));
    h[0].store(simd, h_a);
    h[1].store(simd, h_b);
    h[2].store(simd, h_c);
    h[3].store(simd, h_d);
    c[0].store(simd, c_a);
    c[1].store(simd, c_b);
    c[2].store(simd, c_c);
    c[3].store(simd, c_d);
}

#[inline(always)]
fn quarters<S: Simd>(row: S::Row) -> [S::Quarter; 4] {
    let [low, high] = row.split();
    let ([a, b], [c, d]) = (low.split(), high.split());
    [a, b, c, d]
}

#[inline(always)]
fn row<S: Simd>([a, b, c, d]: [S::Quarter; 4]) -> S::Row {
    S::Row::join([S::Half::join([a, b]), S::Half::join([c, d])])
}

/// [`each_gate`] from the lines.
#[inline(always)]
fn gates_of<S: Simd, V: Vector<S, N>, const N: usize, const FAST: bool>(simd: S, lines: [V; 4]) -> [Quotient<V>; 4] {
    let mut gates = [ratio::<S, V, N, FAST>(simd, lines[0], &P); 4];
    each_of_4!(n < 4 => { gates[n] = ratio::<S, V, N, FAST>(simd, lines[n], &P); });
    each_gate(simd, gates)
}

/// The gates of some units, from the quotients of their lines.
#[inline(always)]
fn each_gate<S: Simd, V: Vector<S, N>, const N: usize>(simd: S, [i, f, g, o]: [Ratio<V>; 4]) -> [Quotient<V>; 4] {
    [i.sigmoid(simd), f.sigmoid(simd), g.tanh(simd), o.sigmoid(simd)]
}

/// [`updated`] in memory.
#[inline(always)]
fn update<S: Simd, V: Vector<S, N>, const N: usize, const FAST: bool>(
    simd: S,
    gates: [Quotient<V>; 4],
    h: &mut [f32; N],
    c: &mut [f32; N],
) {
    let [new_h, new_c] = updated::<S, V, N, FAST>(simd, gates, V::load(simd, c));
    new_c.store(simd, c);
    new_h.store(simd, h);
}

/// \[h', c'\]: c' = c sigma(f) + sigma(i) tanh(g), h' = sigma(o) tanh(c'), from the gates' quotients; see the top of
/// the file.
#[inline(always)]
fn updated<S: Simd, V: Vector<S, N>, const N: usize, const FAST: bool>(
    simd: S,
    [i, f, g, o]: [Quotient<V>; 4],
    c: V,
) -> [V; 2] {
    let i_g = i.below.mul(simd, g.below);
    let below = f.below.mul(simd, i_g);
    let kept = c.mul(simd, f.above);
    let added = i.above.mul(simd, g.above).mul(simd, f.below);
    let cell = kept.mul_add(simd, i_g, added).div(simd, below.add(simd, below));

    // tanh(c') / 2: the 2 of the sigmoid's denominator. What waits for p is one product.
    let half = ratio::<S, V, N, FAST>(simd, cell, &P_HALF);
    let output = o.above.mul(simd, half.x).mul(simd, half.p).div(simd, o.below.mul(simd, half.q));

    [output.zero_where_tiny(simd, cell), cell.zero_where_tiny(simd, cell)]
}
