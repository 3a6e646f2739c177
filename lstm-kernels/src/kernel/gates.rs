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

use crate::activation::{P, P_HALF, Quotient, Ratio, ratio};
use crate::cpu::as_on_intel;
use crate::layout::Line;
use crate::simd::{Op, Section, Simd, Split, Vector};

/// A stream's h and c, from some unit on.
#[derive(Default)]
pub(crate) struct Lanes<'a> {
    pub(crate) h: &'a mut [f32],
    pub(crate) c: &'a mut [f32],
    /// Where h goes, too: as many units as there are without padding, or none. (To read h again as soon as it is stored
    /// holds up all loads behind it.)
    pub(crate) out: &'a mut [f32],
}

impl<'a> Lanes<'a> {
    /// Those of h and c alone.
    #[inline(always)]
    pub(crate) fn new(h: &'a mut [f32], c: &'a mut [f32]) -> Self {
        Self { h, c, out: &mut [] }
    }

    /// The first `N` units, and the others.
    #[inline(always)]
    fn first<const N: usize>(self) -> Option<(Units<'a, N>, Self)> {
        let (h, h_rest) = self.h.split_first_chunk_mut()?;
        let (c, c_rest) = self.c.split_first_chunk_mut()?;
        let (out, out_rest) = self.out.split_at_mut(usize::min(N, self.out.len()));
        Some((Units { h, c, out }, Self { h: h_rest, c: c_rest, out: out_rest }))
    }

    /// Those from some unit on.
    #[inline(always)]
    fn from(&mut self, units: usize) -> Lanes<'_> {
        let first = usize::min(units, self.out.len());
        Lanes { h: &mut self.h[units..], c: &mut self.c[units..], out: &mut self.out[first..] }
    }

    /// The first units, and the others.
    #[inline(always)]
    pub(crate) fn split_at(self, units: usize) -> (Self, Self) {
        let (h, h_rest) = self.h.split_at_mut(units);
        let (c, c_rest) = self.c.split_at_mut(units);
        let (out, out_rest) = self.out.split_at_mut(usize::min(units, self.out.len()));
        (Self { h, c, out }, Self { h: h_rest, c: c_rest, out: out_rest })
    }
}

/// [`Lanes`] of `N` units. The last of a layer may have less output than that.
struct Units<'a, const N: usize> {
    h: &'a mut [f32; N],
    c: &'a mut [f32; N],
    out: &'a mut [f32],
}

impl<const N: usize> Units<'_, N> {
    /// Stores what [`updated`] has made.
    #[inline(always)]
    fn store<S: Simd, V: Vector<S, N>>(self, simd: S, [h, c]: [V; 2]) {
        c.store(simd, self.c);
        h.store(simd, self.h);
        match self.out.first_chunk_mut() {
            Some(out) => h.store(simd, out),
            None => h.store_most(simd, self.out), // There is padding, or no output.
        }
    }
}

/// Applies the gates of one group to its units, which start at the lanes' beginning. `FAST`: see [`ratio`].
#[inline(always)]
pub(crate) fn activate<S: Simd, const R: usize, const FAST: bool>(simd: S, z: &[S::Row; R], lanes: Lanes<'_>) {
    if const { !S::PORTABLE || R <= 4 } {
        return simd.section(Gates::<S, R, FAST> { z, lanes });
    }
    // Where one operation after the other is computed, functions for up to 4 lines do.
    let mut lanes = lanes;
    macro_rules! gates {
        ($lines:literal, $first:expr) => {
            if let Some(z) = z[$first..].first_chunk() {
                simd.section(Gates::<S, $lines, FAST> { z, lanes: lanes.from(4 * $first) });
            }
        };
    }
    each_tile!(R, 4, gates);
}

/// Whether `streams` streams wait for the gates of so many lines: one alone, in a small layer. A larger one, and
/// several streams, have other work.
pub(crate) const fn waits(lines: usize, streams: usize) -> bool {
    streams == 1 && lines <= 5
}

/// [`activate`] for each of `T` streams, who may [wait](waits).
#[inline(always)]
pub(crate) fn activate_small<S: Simd, const R: usize, const T: usize>(simd: S, z: &[S::Row; R], lanes: Lanes<'_>) {
    if const { waits(R, T) } {
        activate::<S, R, true>(simd, z, lanes);
    } else {
        activate::<S, R, false>(simd, z, lanes);
    }
}

/// [`activate`] for 8 units, a half line each.
#[inline(always)]
pub(crate) fn activate_8<S: Simd>(simd: S, z: [S::Half; 4], lanes: Lanes<'_>) {
    update::<S, S::Half, 8, true>(simd, gates_of::<S, S::Half, 8, true>(simd, z), lanes);
}

struct Gates<'a, S: Simd, const R: usize, const FAST: bool> {
    z: &'a [S::Row; R],
    lanes: Lanes<'a>,
}

impl<S: Simd, const R: usize, const FAST: bool> Section<S> for Gates<'_, S, R, FAST> {
    #[inline(always)]
    fn run(self, simd: S) {
        let Self { z, mut lanes } = self;
        // All quotients first: they do not wait for each other, the updates after them have two divisions in a row.
        let mut gates = [ratio::<S, S::Row, 16, FAST>(simd, z[0], &P); R];
        each!(n < R => { gates[n] = ratio::<S, S::Row, 16, FAST>(simd, z[n], &P); });
        each_of_4!(n < R / 4 => {
            let block = [gates[4 * n], gates[4 * n + 1], gates[4 * n + 2], gates[4 * n + 3]];
            lanes = units_16::<S, FAST>(simd, each_gate(simd, block), lanes, R == 4);
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
        lanes = units_16::<S, false>(simd, gates, lanes, false);
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
        activate_lines(simd, z, Lanes::new(h, c));
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
    /// Rows, `out_stride` apart, that begin with h, `hidden` units; or nothing, with a stride of 0.
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
        let mut out = out.chunks_mut(usize::max(out_stride, 1));
        for ((h, c), z) in rows.zip(z.chunks_exact(lines)) {
            let out = out.next().map_or(&mut [][..], |out| &mut out[..hidden]);
            activate_lines(simd, z, Lanes { h, c, out });
        }
    }
}

/// A short `copy_from_slice`, in place of a call.
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
fn gates<'a, S: Simd, const R: usize>(simd: S, z: &[Line; R], lanes: Lanes<'a>) -> Lanes<'a> {
    let mut rows = [S::Row::splat(simd, 0.0); R];
    each!(n < R => { rows[n] = S::Row::load(simd, &z[n].0); });
    let (lanes, rest) = lanes.split_at(4 * R);
    activate::<S, R, false>(simd, &rows, lanes);
    rest
}

/// The gates of 16 units, a line each. Who waits for them, `alone`, on an Intel CPU gets those of 8 and of 8 more
/// behind their quotients: see the top of the file.
#[inline(always)]
fn units_16<'a, S: Simd, const FAST: bool>(
    simd: S,
    gates: [Quotient<S::Row>; 4],
    lanes: Lanes<'a>,
    alone: bool,
) -> Lanes<'a> {
    if const { FAST && S::MANY_REGISTERS } && alone && as_on_intel() {
        let [i, f, g, o] = gates;
        let ([i_a, i_b], [f_a, f_b], [g_a, g_b], [o_a, o_b]) = (i.split(), f.split(), g.split(), o.split());
        let lanes = update::<S, S::Half, 8, FAST>(simd, [i_a, f_a, g_a, o_a], lanes);
        update::<S, S::Half, 8, FAST>(simd, [i_b, f_b, g_b, o_b], lanes)
    } else {
        update::<S, S::Row, 16, FAST>(simd, gates, lanes)
    }
}

/// The gates of 8 units: two lines, i and f, g and o.
#[inline(always)]
fn units_8<'a, S: Simd, const FAST: bool>(simd: S, [i_f, g_o]: [Ratio<S::Row>; 2], lanes: Lanes<'a>) -> Lanes<'a> {
    let [i, f] = i_f.sigmoid(simd).split();
    let ([g, _], [_, o]) = (g_o.tanh(simd).split(), g_o.sigmoid(simd).split());
    update::<S, S::Half, 8, FAST>(simd, [i, f, g, o], lanes)
}

/// The gates of 4 units: one line.
#[inline(always)]
fn units_4<S: Simd, const FAST: bool>(simd: S, all: Ratio<S::Row>, lanes: Lanes<'_>) {
    let (sigmoid, tanh) = (all.sigmoid(simd).split(), all.tanh(simd).split());
    let ([i, f], [_, o]) = (sigmoid[0].split(), sigmoid[1].split());
    let [g, _] = tanh[1].split();
    update::<S, S::Quarter, 4, FAST>(simd, [i, f, g, o], lanes);
}

/// The gates of 8 units of each of two streams.
#[inline(always)]
fn units_8_of_2<'a, S: Simd>(simd: S, [a, b]: [[S::Row; 2]; 2], [of_a, of_b]: [Lanes<'a>; 2]) -> [Lanes<'a>; 2] {
    let ([i_a, f_a], [g_a, o_a]) = (a[0].split(), a[1].split());
    let ([i_b, f_b], [g_b, o_b]) = (b[0].split(), b[1].split());
    let both = S::Row::join;
    let gates =
        gates_of::<S, _, 16, false>(simd, [both([i_a, i_b]), both([f_a, f_b]), both([g_a, g_b]), both([o_a, o_b])]);
    let (Some((a, of_a)), Some((b, of_b))) = (of_a.first(), of_b.first()) else { return Default::default() };
    let c = both([S::Half::load(simd, a.c), S::Half::load(simd, b.c)]);
    let [h, c] = updated::<S, S::Row, 16, false>(simd, gates, c);
    let (h, c) = (h.split(), c.split());
    a.store(simd, [h[0], c[0]]);
    b.store(simd, [h[1], c[1]]);
    [of_a, of_b]
}

/// The gates of 4 units of each of four streams.
#[inline(always)]
fn units_4_of_4<S: Simd>(simd: S, lines: [S::Row; 4], [of_a, of_b, of_c, of_d]: [Lanes<'_>; 4]) {
    let [a, b, c, d] =
        [quarters::<S>(lines[0]), quarters::<S>(lines[1]), quarters::<S>(lines[2]), quarters::<S>(lines[3])];
    let [i, f] = [row::<S>([a[0], b[0], c[0], d[0]]), row::<S>([a[1], b[1], c[1], d[1]])];
    let [g, o] = [row::<S>([a[2], b[2], c[2], d[2]]), row::<S>([a[3], b[3], c[3], d[3]])];
    let gates = gates_of::<S, _, 16, false>(simd, [i, f, g, o]);
    let (Some((a, _)), Some((b, _)), Some((c, _)), Some((d, _))) =
        (of_a.first(), of_b.first(), of_c.first(), of_d.first())
    else {
        return;
    };
    let load = S::Quarter::load;
    let cells = row::<S>([load(simd, a.c), load(simd, b.c), load(simd, c.c), load(simd, d.c)]);
    let [new_h, new_c] = updated::<S, S::Row, 16, false>(simd, gates, cells);
    let (new_h, new_c) = (quarters::<S>(new_h), quarters::<S>(new_c));
    a.store(simd, [new_h[0], new_c[0]]);
    b.store(simd, [new_h[1], new_c[1]]);
    c.store(simd, [new_h[2], new_c[2]]);
    d.store(simd, [new_h[3], new_c[3]]);
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

/// [`updated`] in memory; the rest of the lanes.
#[inline(always)]
fn update<'a, S: Simd, V: Vector<S, N>, const N: usize, const FAST: bool>(
    simd: S,
    gates: [Quotient<V>; 4],
    lanes: Lanes<'a>,
) -> Lanes<'a> {
    let Some((units, rest)) = lanes.first() else { return Lanes::default() };
    let c = V::load(simd, units.c);
    units.store(simd, updated::<S, V, N, FAST>(simd, gates, c));
    rest
}

/// \[h', c'\], from the gates' quotients.
#[inline(always)]
fn updated<S: Simd, V: Vector<S, N>, const N: usize, const FAST: bool>(
    simd: S,
    [i, f, g, o]: [Quotient<V>; 4],
    c: V,
) -> [V; 2] {
    let cell = cell(simd, [i, f, g], c);
    let output = output::<S, V, N, FAST>(simd, o, cell);
    [output.above.div(simd, output.below).zero_where_tiny(simd, cell), cell.zero_where_tiny(simd, cell)]
}

/// c' = c sigma(f) + sigma(i) tanh(g); see the top of the file.
#[inline(always)]
fn cell<S: Simd, V: Vector<S, N>, const N: usize>(simd: S, [i, f, g]: [Quotient<V>; 3], c: V) -> V {
    let i_g = i.below.mul(simd, g.below);
    let below = f.below.mul(simd, i_g);
    let kept = c.mul(simd, f.above);
    let added = i.above.mul(simd, g.above).mul(simd, f.below);
    kept.mul_add(simd, i_g, added).div(simd, below.add(simd, below))
}

/// h' = sigma(o) tanh(c'), not yet divided.
#[inline(always)]
fn output<S: Simd, V: Vector<S, N>, const N: usize, const FAST: bool>(simd: S, o: Quotient<V>, cell: V) -> Quotient<V> {
    // tanh(c') / 2: the 2 of the sigmoid's denominator. What waits for p is one product.
    let half = ratio::<S, V, N, FAST>(simd, cell, &P_HALF);
    Quotient { above: o.above.mul(simd, half.x).mul(simd, half.p), below: o.below.mul(simd, half.q) }
}

/// The gates of 16 units in four parts, between which other work may stand: [`Self::quotients`], [`Self::cell`],
/// [`Self::output`], [`Self::hidden`].
pub(super) struct InParts<S: Simd> {
    /// i, f, g, o.
    z: [S::Row; 4],
    gates: [Quotient<S::Row>; 3],
    cell: S::Row,
    output: Quotient<S::Row>,
}

impl<S: Simd> InParts<S> {
    #[inline(always)]
    pub(super) fn new(z: [S::Row; 4]) -> Self {
        let none = Quotient { above: z[0], below: z[0] };
        Self { z, gates: [none; 3], cell: z[0], output: none }
    }

    /// Of i, f and g.
    #[inline(always)]
    pub(super) fn quotients(&mut self, simd: S) {
        let [i, f, g, _] = self.z;
        let [i, f] = [ratio::<S, _, 16, false>(simd, i, &P), ratio::<S, _, 16, false>(simd, f, &P)];
        let g = ratio::<S, _, 16, false>(simd, g, &P);
        self.gates = [i.sigmoid(simd), f.sigmoid(simd), g.tanh(simd)];
    }

    /// c'.
    #[inline(always)]
    pub(super) fn cell(&mut self, simd: S, c: &mut [f32; 16]) {
        self.cell = cell(simd, self.gates, S::Row::load(simd, c));
        self.cell.zero_where_tiny(simd, self.cell).store(simd, c);
    }

    /// The quotient of h'.
    #[inline(always)]
    pub(super) fn output(&mut self, simd: S) {
        let o = ratio::<S, _, 16, false>(simd, self.z[3], &P).sigmoid(simd);
        self.output = output::<S, _, 16, false>(simd, o, self.cell);
    }

    /// h'.
    #[inline(always)]
    pub(super) fn hidden(&mut self, simd: S, h: &mut [f32; 16]) {
        self.output.above.div(simd, self.output.below).zero_where_tiny(simd, self.cell).store(simd, h);
    }
}
