//! One time step, and how it is made fast. Read this file from top to bottom to follow x to the store of h.
//!
//! **The sums.** Pre-activation z of each gate and unit is two chains of fused multiply-adds, one over the even
//! columns and one over the odd ones, that are added at the end:
//!
//! ```text
//! even = b + w[x0] x0 + w[x2] x2 + ... + w[h0] h0 + w[h2] h2 + ...      (in this order, each + fused)
//! odd  = 0 + w[x1] x1 + w[x3] x3 + ... + w[h1] h1 + w[h3] h3 + ...
//! z    = even + odd
//! ```
//!
//! In a layer with more than 64 inputs or units each chain is folded into a sum of its own after every 64 columns of
//! such a part: that keeps the rounding errors of (256, 256) below half of what one long chain makes.
//!
//! The order is part of the definition: every instruction set, `step`, `step_batch` and `run` follow it, so all
//! give the same bits. One chain alone would be bound by the latency of the FMA (4 cycles) in small layers. x
//! comes before h, so a processor that looks ahead does x's part of the next step while it waits for h.
//!
//! **Registers.** Input k is broadcast once and multiplied with the lines of column k, straight from memory, into
//! accumulators that stay in registers over all columns: no sum across lanes, no store in between. With AVX-512
//! both chains of up to 12 lines live together (24 of 32 registers). AVX2 has 16 registers, so it works on 4 lines
//! at a time, NEON likewise, and does the even columns first, the odd ones after them: each line is still read
//! just once. A block of 32 units or more of a large layer makes a group of 8 lines, see [`layout`](crate::layout).
//!
//! **Streams.** With T states at once each line is loaded once and used T times. It also gives the processor
//! T independent chains, which fill the time that one stream alone would spend on waiting.
//!
//! **The gates.** tanh is a quotient of polynomials n/q ([`activation`](crate::activation)), sigmoid(z) is
//! (q + n)/2q of z/2. The quotients are not computed one by one but merged into the update of the cell, which
//! leaves two divisions for five activations:
//!
//! ```text
//! c' = c sigma(f) + sigma(i) tanh(g) = (c Nf qi qg + Ni ng qf) / 2 qf qi qg     N = q + n
//! h' = sigma(o) tanh(c')             = No nc / 2 qo qc
//! ```
//!
//! |n| <= q by construction and rounding is monotone, so the quotients keep |tanh| <= 1 and sigma in [0, 1].
//!
//! **Padding.** Up to 3 units of the last line have weight zero. Their lanes compute something (NaN, if x holds an
//! infinity) that no other lane ever reads.

use crate::activation::{Quotient, quotient};
use crate::layout::{GROUP_LINES, Line};
use crate::simd::{Op, Section, Simd, Split, Vector};
use crate::state::State;

/// The packed weights of a cell, and its sizes: `I` inputs, `H` units, `LAST` lines in the last group.
#[derive(Clone, Copy)]
pub(crate) struct Weights<'a, const I: usize, const H: usize, const LAST: usize>(pub(crate) &'a [Line]);

/// One step of `T` streams.
#[inline(always)]
pub(crate) fn step<S: Simd, const I: usize, const H: usize, const HP: usize, const LAST: usize, const T: usize>(
    simd: S,
    weights: Weights<'_, I, H, LAST>,
    x: [&[f32; I]; T],
    states: &mut [State<H, HP>; T],
) {
    let columns = 1 + I + H;
    let last_units = LAST * 4;
    let (full, last) = weights.0.split_at(weights.0.len() - columns * LAST);
    if HP == last_units {
        // One group: nothing reads h after its sums, so the new h may overwrite it at once.
        let z = group_sums::<S, I, H, LAST, T>(simd, last, x, states.each_ref().map(State::h));
        for (z, state) in z.iter().zip(states) {
            let (h, c) = state.lanes_mut();
            activate(simd, z, h, c);
        }
    } else {
        let mut next = [[0.0; HP]; T];
        let mut first = 0;
        for group in full.chunks_exact(columns * GROUP_LINES) {
            let z = group_sums::<S, I, H, GROUP_LINES, T>(simd, group, x, states.each_ref().map(State::h));
            for (t, z) in z.iter().enumerate() {
                activate(simd, z, &mut next[t][first..], &mut states[t].lanes_mut().1[first..]);
            }
            first += GROUP_LINES * 4;
        }
        let z = group_sums::<S, I, H, LAST, T>(simd, last, x, states.each_ref().map(State::h));
        for (t, z) in z.iter().enumerate() {
            activate(simd, z, &mut next[t][first..], &mut states[t].lanes_mut().1[first..]);
            *states[t].lanes_mut().0 = next[t];
        }
    }
}

/// The pre-activations of one group of `R` lines, for `T` streams.
#[inline(always)]
fn group_sums<S: Simd, const I: usize, const H: usize, const R: usize, const T: usize>(
    simd: S,
    group: &[Line],
    x: [&[f32; I]; T],
    h: [&[f32; H]; T],
) -> [[S::Row; R]; T] {
    let (columns, _) = group.as_chunks::<R>();
    let ([bias, columns @ ..], (mut xs, mut hs)) = (columns, ([&[][..]; T], [&[][..]; T])) else {
        return [[S::Row::splat(simd, 0.0); R]; T];
    };
    for t in 0..T {
        (xs[t], hs[t]) = (x[t], h[t]);
    }
    let (w_ih, w_hh) = columns.split_at(I);
    let start = Start { even: [bias; T], odd: [&[Line::ZERO; R]; T], folded: false };
    join(simd, sums(simd, start, [Part { columns: w_ih, inputs: xs }, Part { columns: w_hh, inputs: hs }]))
}

/// Columns of a group of `R` lines, and for each of `T` streams the inputs that they are multiplied by.
#[derive(Clone, Copy)]
pub(crate) struct Part<'a, const R: usize, const T: usize> {
    pub(crate) columns: &'a [[Line; R]],
    pub(crate) inputs: [&'a [f32]; T],
}

impl<const R: usize, const T: usize> Part<'_, R, T> {
    /// No columns.
    pub(crate) const NONE: Self = Self { columns: &[], inputs: [&[]; T] };
}

/// What the two chains of each stream start from: the bias and zero, or what x's part left if that was computed
/// for many steps at once.
#[derive(Clone, Copy)]
pub(crate) struct Start<'a, const R: usize, const T: usize> {
    pub(crate) even: [&'a [Line; R]; T],
    pub(crate) odd: [&'a [Line; R]; T],
    /// Whether they were folded into a sum already.
    pub(crate) folded: bool,
}

/// The even and the odd chain of `T` streams.
pub(crate) type Chains<V, const R: usize, const T: usize> = [[[V; R]; T]; 2];

/// For each of `T` streams both chains over both parts' columns times their inputs, in the order that the top of
/// the file gives.
#[inline(always)]
pub(crate) fn sums<S: Simd, const R: usize, const T: usize>(
    simd: S,
    start: Start<'_, R, T>,
    parts: [Part<'_, R, T>; 2],
) -> Chains<S::Row, R, T> {
    let mut out = [[[S::Row::splat(simd, 0.0); R]; T]; 2];
    // A loop would leave it to the compiler to see that `out` can live in registers.
    macro_rules! tiles {
        ($($first:literal)*) => { $( tiles!(@ $first 1); tiles!(@ $first 2); tiles!(@ $first 3); tiles!(@ $first 4); )* };
        (@ $first:literal $lines:literal) => {
            if const { tile_lines(S::ACCUMULATORS, R, T, $first) == $lines } {
                simd.section(Tile::<S, R, $lines, T> { first: $first, start, parts, out: &mut out });
            }
        };
    }
    if const { 2 * R * T <= S::ACCUMULATORS } {
        simd.section(Tile::<S, R, R, T> { first: 0, start, parts, out: &mut out });
    } else {
        tiles!(0 1 2 3 4 5 6 7 8 9 10 11);
    }
    out
}

/// z = even + odd.
#[inline(always)]
pub(crate) fn join<S: Simd, const R: usize, const T: usize>(
    simd: S,
    [mut even, odd]: Chains<S::Row, R, T>,
) -> [[S::Row; R]; T] {
    for t in 0..T {
        for n in 0..R {
            even[t][n] = even[t][n].add(simd, odd[t][n]);
        }
    }
    even
}

/// Lines of the tile that starts at line `first` of `lines`; 0 if none does.
const fn tile_lines(accumulators: usize, lines: usize, streams: usize, first: usize) -> usize {
    let most = match accumulators / streams {
        0 => 1,
        fit @ 1..4 => fit,
        _ => 4,
    };
    if first >= lines || first % most != 0 {
        0
    } else if lines - first < most {
        lines - first
    } else {
        most
    }
}

/// `N` of the `R` lines of each stream's z, from line `first` on: what is computed in registers at a time.
struct Tile<'a, S: Simd, const R: usize, const N: usize, const T: usize> {
    first: usize,
    start: Start<'a, R, T>,
    parts: [Part<'a, R, T>; 2],
    out: &'a mut Chains<S::Row, R, T>,
}

impl<S: Simd, const R: usize, const N: usize, const T: usize> Section<S> for Tile<'_, S, R, N, T> {
    #[inline(always)]
    fn run(self, simd: S) {
        let Self { first, start, parts, out } = self;
        let zero = [[[S::Row::splat(simd, 0.0); N]; T]; 2];
        let (mut chains, mut sums) = (zero, zero);
        for t in 0..T {
            for n in 0..N {
                chains[0][t][n] = S::Row::load(simd, &start.even[t][first + n].0);
                chains[1][t][n] = S::Row::load(simd, &start.odd[t][first + n].0);
            }
        }
        if start.folded {
            (chains, sums) = (sums, chains);
        }
        let [x, h] = parts;
        if 2 * N * T <= S::ACCUMULATORS {
            both_chains(simd, &mut chains, &mut sums, first, x);
            both_chains(simd, &mut chains, &mut sums, first, h);
        } else {
            one_chain(simd, &mut chains[0], &mut sums[0], 0, first, x);
            one_chain(simd, &mut chains[0], &mut sums[0], 0, first, h);
            one_chain(simd, &mut chains[1], &mut sums[1], 1, first, x);
            one_chain(simd, &mut chains[1], &mut sums[1], 1, first, h);
        }
        if start.folded || x.columns.len() > BLOCK || h.columns.len() > BLOCK {
            fold(simd, &mut chains[0], &mut sums[0]);
            fold(simd, &mut chains[1], &mut sums[1]);
            chains = sums;
        }
        for t in 0..T {
            for n in 0..N {
                out[0][t][first + n] = chains[0][t][n];
                out[1][t][first + n] = chains[1][t][n];
            }
        }
    }
}

/// Columns of x or h after which a chain is folded into its sum, if there are more of them.
pub(crate) const BLOCK: usize = 64;

/// sum += chain, chain = 0.
#[inline(always)]
fn fold<S: Simd, const N: usize, const T: usize>(simd: S, chain: &mut [[S::Row; N]; T], sum: &mut [[S::Row; N]; T]) {
    for t in 0..T {
        for n in 0..N {
            sum[t][n] = sum[t][n].add(simd, chain[t][n]);
            chain[t][n] = S::Row::splat(simd, 0.0);
        }
    }
}

/// Adds all columns to both chains. The loop over pairs of columns must stay a loop: unrolled as a whole, the
/// compiler sorts it into one long chain after another, and the processor's window fills with one of them.
#[inline(always)]
fn both_chains<S: Simd, const R: usize, const N: usize, const T: usize>(
    simd: S,
    chains: &mut [[[S::Row; N]; T]; 2],
    sums: &mut [[[S::Row; N]; T]; 2],
    first: usize,
    part: Part<'_, R, T>,
) {
    for (columns, start) in part.columns.chunks(BLOCK).zip((0..).step_by(BLOCK)) {
        let (columns, last) = columns.as_chunks::<2>();
        let Some((inputs, last_inputs)) = pairs(part.inputs, start, columns.len(), last.len()) else { return };
        for (k, [even, odd]) in columns.iter().enumerate() {
            let mut x = [[0.0; T]; 2];
            for t in 0..T {
                [x[0][t], x[1][t]] = inputs[t][k];
            }
            column(simd, &mut chains[0], first, even, x[0]);
            column(simd, &mut chains[1], first, odd, x[1]);
        }
        if let [even] = last {
            column(simd, &mut chains[0], first, even, last_inputs);
        }
        if part.columns.len() > BLOCK {
            fold(simd, &mut chains[0], &mut sums[0]);
            fold(simd, &mut chains[1], &mut sums[1]);
        }
    }
}

/// Adds the columns of one parity to their chain.
#[inline(always)]
fn one_chain<S: Simd, const R: usize, const N: usize, const T: usize>(
    simd: S,
    chain: &mut [[S::Row; N]; T],
    sum: &mut [[S::Row; N]; T],
    parity: usize,
    first: usize,
    part: Part<'_, R, T>,
) {
    for (columns, start) in part.columns.chunks(BLOCK).zip((0..).step_by(BLOCK)) {
        let (columns, last) = columns.as_chunks::<2>();
        let Some((inputs, last_inputs)) = pairs(part.inputs, start, columns.len(), last.len()) else { return };
        for (k, pair) in columns.iter().enumerate() {
            let mut x = [0.0; T];
            for t in 0..T {
                x[t] = inputs[t][k][parity];
            }
            column(simd, chain, first, &pair[parity], x);
        }
        if let ([even], 0) = (last, parity) {
            column(simd, chain, first, even, last_inputs);
        }
        if part.columns.len() > BLOCK {
            fold(simd, chain, sum);
        }
    }
}

/// Each stream's inputs from `start` on: `count` pairs, and the one after them if `odd` is 1.
#[inline(always)]
fn pairs<const T: usize>(
    inputs: [&[f32]; T],
    start: usize,
    count: usize,
    odd: usize,
) -> Option<([&[[f32; 2]]; T], [f32; T])> {
    let (mut pairs, mut last) = ([&[][..]; T], [0.0; T]);
    for t in 0..T {
        let (all, rest) = inputs[t].get(start..start + 2 * count + odd)?.as_chunks::<2>();
        pairs[t] = all.get(..count)?;
        if let [x] = rest {
            last[t] = *x;
        }
    }
    Some((pairs, last))
}

/// chain += column * x, for each stream's x. (Loops instead of `array::map`: a closure's body is not certain to be
/// inlined, and outside of the kernel it would be compiled without the instruction set.)
#[inline(always)]
fn column<S: Simd, const R: usize, const N: usize, const T: usize>(
    simd: S,
    chain: &mut [[S::Row; N]; T],
    first: usize,
    column: &[Line; R],
    x: [f32; T],
) {
    let mut broadcast = [S::Row::splat(simd, 0.0); T];
    for t in 0..T {
        broadcast[t] = S::Row::splat(simd, x[t]);
    }
    for n in 0..N {
        let line = S::Row::load(simd, &column[first + n].0);
        for t in 0..T {
            chain[t][n] = line.mul_add(simd, broadcast[t], chain[t][n]);
        }
    }
}

/// Applies the gates of one group to its units' h and c, which start at the slices' beginning.
#[inline(always)]
pub(crate) fn activate<S: Simd, const R: usize>(simd: S, z: &[S::Row; R], h: &mut [f32], c: &mut [f32]) {
    simd.section(Gates { z, h, c });
}

struct Gates<'a, S: Simd, const R: usize> {
    z: &'a [S::Row; R],
    h: &'a mut [f32],
    c: &'a mut [f32],
}

impl<S: Simd, const R: usize> Section<S> for Gates<'_, S, R> {
    #[inline(always)]
    fn run(self, simd: S) {
        let Self { z, mut h, mut c } = self;
        let (blocks, folded) = z.as_chunks::<4>();
        for block in blocks {
            let &[i, f, g, o] = block;
            let (i, f) = (quotient(simd, i).sigmoid(simd), quotient(simd, f).sigmoid(simd));
            let (g, o) = (quotient(simd, g).tanh(simd), quotient(simd, o).sigmoid(simd));
            let (Some((h16, h_rest)), Some((c16, c_rest))) = (h.split_first_chunk_mut(), c.split_first_chunk_mut())
            else {
                return;
            };
            update::<S, S::Row, 16>(simd, [i, f, g, o], h16, c16);
            (h, c) = (h_rest, c_rest);
        }
        let folded = if let [z_if, z_go, rest @ ..] = folded {
            let (i_f, g_o) = (quotient(simd, *z_if), quotient(simd, *z_go));
            let [i, f] = i_f.sigmoid(simd).split();
            let ([g, _], [_, o]) = (g_o.tanh(simd).split(), g_o.sigmoid(simd).split());
            let (Some((h8, h_rest)), Some((c8, c_rest))) = (h.split_first_chunk_mut(), c.split_first_chunk_mut())
            else {
                return;
            };
            update::<S, S::Half, 8>(simd, [i, f, g, o], h8, c8);
            (h, c) = (h_rest, c_rest);
            rest
        } else {
            folded
        };
        if let [z] = folded {
            let all = quotient(simd, *z);
            let (sigmoid, tanh) = (all.sigmoid(simd).split(), all.tanh(simd).split());
            let ([i, f], [_, o]) = (sigmoid[0].split(), sigmoid[1].split());
            let [g, _] = tanh[1].split();
            let (Some(h4), Some(c4)) = (h.first_chunk_mut(), c.first_chunk_mut()) else { return };
            update::<S, S::Quarter, 4>(simd, [i, f, g, o], h4, c4);
        }
    }
}

/// c' = c sigma(f) + sigma(i) tanh(g), h' = sigma(o) tanh(c'), from the gates' quotients; see the top of the file.
#[inline(always)]
fn update<S: Simd, V: Vector<S, N>, const N: usize>(
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

    let tanh = quotient(simd, cell).tanh(simd);
    let below = o.below.add(simd, o.below).mul(simd, tanh.below);
    let output = o.above.mul(simd, tanh.above).div(simd, below);

    cell.zero_where_tiny(simd, cell).store(simd, c);
    output.zero_where_tiny(simd, cell).store(simd, h);
}

/// One step of one stream.
pub(crate) struct Step<'a, const I: usize, const H: usize, const HP: usize, const LAST: usize> {
    pub(crate) weights: Weights<'a, I, H, LAST>,
    pub(crate) x: &'a [f32; I],
    pub(crate) state: &'a mut State<H, HP>,
}

impl<const I: usize, const H: usize, const HP: usize, const LAST: usize> Op for Step<'_, I, H, HP, LAST> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        step::<S, I, H, HP, LAST, 1>(simd, self.weights, [self.x], core::array::from_mut(self.state));
    }
}

/// One step of each of many streams: four at a time, then one by one.
pub(crate) struct StepBatch<'a, const I: usize, const H: usize, const HP: usize, const LAST: usize> {
    pub(crate) weights: Weights<'a, I, H, LAST>,
    pub(crate) xs: &'a [[f32; I]],
    pub(crate) states: &'a mut [State<H, HP>],
}

/// Streams that a kernel steps together. With the 32 registers of AVX-512 four gain at every size. With fewer
/// they do not in the middle, from (1, 12) to (10, 20): there one stream alone keeps the units busy (measured).
pub(crate) const fn streams(accumulators: usize, lines: usize) -> usize {
    if accumulators < 24 && 3 <= lines && lines <= 5 { 1 } else { 4 }
}

impl<const I: usize, const H: usize, const HP: usize, const LAST: usize> Op for StepBatch<'_, I, H, HP, LAST> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let (mut states, mut xs) = (self.states, self.xs);
        if const { S::INTERLEAVE && streams(S::ACCUMULATORS, HP / 4) == 4 } {
            let (tiles, rest) = states.as_chunks_mut::<4>();
            let (x_tiles, x_rest) = xs.as_chunks::<4>();
            for (states, xs) in tiles.iter_mut().zip(x_tiles) {
                step::<S, I, H, HP, LAST, 4>(simd, self.weights, xs.each_ref(), states);
            }
            (states, xs) = (rest, x_rest);
        }
        for (state, x) in states.iter_mut().zip(xs) {
            step::<S, I, H, HP, LAST, 1>(simd, self.weights, [x], core::array::from_mut(state));
        }
    }
}

/// A whole sequence of one stream.
pub(crate) struct Run<'a, const I: usize, const H: usize, const HP: usize, const LAST: usize> {
    pub(crate) weights: Weights<'a, I, H, LAST>,
    pub(crate) seq: &'a [[f32; I]],
    pub(crate) state: &'a mut State<H, HP>,
    pub(crate) out: &'a mut [[f32; H]],
}

impl<const I: usize, const H: usize, const HP: usize, const LAST: usize> Op for Run<'_, I, H, HP, LAST> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for (x, out) in self.seq.iter().zip(self.out) {
            step::<S, I, H, HP, LAST, 1>(simd, self.weights, [x], core::array::from_mut(&mut *self.state));
            *out = *self.state.h();
        }
    }
}
