//! One layer and direction of an [`Lstm`](super::Lstm): its packed weights, and its pass over a sequence.
//!
//! The kernel is that of a cell ([`kernel`](crate::kernel)), with sizes known at run time. What a whole sequence adds:
//!
//! **x first.** The input part of the sums does not wait for h. It is computed ahead for a chunk of time steps, many
//! rows (a time step of a stream each) for each weight that is read, into the scratch `z`. The recurrence adds h's part
//! to it. The order of every sum is that of a step, and so are the bits. The chunk is short enough for `z` to stay in
//! the L2 cache. This product has tiles of its own ([`product`]), as a matrix library's order
//! of sums is another one on each instruction set; `matrixmultiply` takes 1.24 to 1.5 times as long with AVX-512 at 64
//! rows, on Zen 5 1.7 to 1.8, with AVX2 1.0 to 1.3 (`projection.md` in the folders of `benches/results`).
//!
//! The two parts take turns, except for one stream of most large layers: [`overlap`].
//!
//! **One stream** has functions of its own ([`group`]), which go from a group's sums straight to its gates.
//! Small layers skip all of the above, as far as the L1 cache holds them ([`small`]).
//!
//! **Streams.** A batch steps many streams for each weight that is read. Its sequences are sorted by length, longest
//! first, so those that are still running are always the first `active[t]` rows.

use alloc::vec::Vec;
use core::ops::{Range, RangeInclusive};

use half::{bf16, f16};

use self::dense::Dense;
use self::one_step::{Large, Step};
use self::overlap::Overlap;
use self::small::OneStream;
use super::{Dtype, LstmConfig};
use crate::element::{Element, adds_in_f16};
use crate::error::WeightsError;
use crate::isa::Token;
use crate::kernel::group::{self, OfGroup};
use crate::kernel::one_step::OneStep;
use crate::kernel::overlap::STEPS;
use crate::kernel::product::{self, Columns, Rows, Sums};
use crate::kernel::{ActivateAll, group_columns};
use crate::layout::{self, Line};
use crate::simd::{Op, Simd, prefetch};
use crate::weights::{LstmWeights, Sizes};

/// Bytes of `z` that a chunk of time steps may fill: a quarter of what the weights fill, within these. Small layers
/// leave their weights in the L2 cache, beside which `z` must fit; those of larger ones come from the L3 cache, the
/// less often the longer a chunk is.
const CHUNK_BYTES: RangeInclusive<usize> = 256 << 10..=512 << 10;

/// The most time steps in a chunk: more gain nothing, and less of `z` may stay in the L1 cache.
const CHUNK_STEPS: usize = 64;

/// The most floats of the next chunk's x that are prefetched, without which a batch would wait for its rows again and
/// again, as they are read in pieces: 128 KiB, half of a small L2 cache. (Batch 32 of (256, 256) 2 % faster on Zen 5,
/// others the same. A single stream gains nothing.)
const SOON: usize = (128 << 10) / size_of::<f32>();

/// One layer and direction, by what its weights are stored as.
#[derive(Clone)]
pub(crate) enum PackedLayer {
    F32(Packed<f32>),
    F16(Packed<f16>),
    Bf16(Packed<bf16>),
}

/// Packed weights.
#[derive(Clone)]
pub(crate) struct Packed<E: Element> {
    sizes: Sizes,
    bias: Vec<Line>,
    /// x's columns and then h's.
    columns: Vec<E::Line>,
    /// What [`overlap`] needs, if that is faster.
    overlap: Option<Overlap<E>>,
    /// Where h's begin, and the groups of either. (Kept: to count them takes as long as some steps.)
    x_lines: usize,
    groups: usize,
    projection: Option<Dense<E>>,
    /// See [`small`].
    small: bool,
    /// Of a small layer of f32, if x is one block of columns.
    one_stream: Option<OneStream>,
    /// See [`one_step`].
    one_step: Option<Step<E>>,
}

mod dense;
mod one_step;
mod overlap;
mod small;

// Each element's kernels are reached from a module of its own: the compiler cuts a crate by modules, so it builds them,
// and those of small layers, at the same time.

mod of_f32 {
    use super::{InputPart, Large, LayerPass, OneStep, Packed, Pass, Token};

    #[inline(never)]
    pub(super) fn run(token: Token, layer: &Packed<f32>, pass: Pass<'_>) {
        token.run(LayerPass { layer, pass });
    }

    pub(super) fn step(token: Token, layer: &Packed<f32>, step: &mut OneStep<'_>) {
        token.run(Large { layer, step });
    }

    #[inline(never)]
    pub(super) fn input_part(token: Token, layer: &Packed<f32>, pass: Pass<'_>) {
        token.run(InputPart(LayerPass { layer, pass }));
    }
}

mod of_f16 {
    use super::{Large, LayerPass, OneStep, Packed, Pass, Token, f16};

    #[inline(never)]
    pub(super) fn run(token: Token, layer: &Packed<f16>, pass: Pass<'_>) {
        token.run(LayerPass { layer, pass });
    }

    pub(super) fn step(token: Token, layer: &Packed<f16>, step: &mut OneStep<'_>) {
        token.run(Large { layer, step });
    }
}

mod of_bf16 {
    use super::{Large, LayerPass, OneStep, Packed, Pass, Token, bf16};

    #[inline(never)]
    pub(super) fn run(token: Token, layer: &Packed<bf16>, pass: Pass<'_>) {
        token.run(LayerPass { layer, pass });
    }

    pub(super) fn step(token: Token, layer: &Packed<bf16>, step: &mut OneStep<'_>) {
        token.run(Large { layer, step });
    }
}

impl PackedLayer {
    /// Checks and packs weights.
    pub(crate) fn new(
        weights: &LstmWeights<'_>,
        sizes: Sizes,
        LstmConfig { bias, dtype, .. }: LstmConfig,
        token: Token,
    ) -> Result<Self, WeightsError> {
        Ok(match dtype {
            Dtype::F32 => {
                let layer = Packed::new(weights, sizes, bias, token)?;
                Self::F32(layer.ready_for_one_stream(token).ready_for_one_step(token, of_f32::step))
            }
            Dtype::F16 => Packed::new(weights, sizes, bias, token)?.widened_if_small(token, of_f16::step, Self::F16),
            Dtype::Bf16 => Packed::new(weights, sizes, bias, token)?.widened_if_small(token, of_bf16::step, Self::Bf16),
        })
    }

    /// The memory that a pass over `steps` time steps needs, of this batch and every smaller one.
    pub(crate) fn room(&self, steps: usize, batch: usize) -> Room {
        match self {
            Self::F32(layer) => layer.room(steps, batch),
            Self::F16(layer) => layer.room(steps, batch),
            Self::Bf16(layer) => layer.room(steps, batch),
        }
    }

    /// Makes a pass.
    pub(crate) fn run(&self, token: Token, pass: Pass<'_>) {
        match self {
            Self::F32(layer) if layer.serves(pass.batch, pass.active.len()) => small::run(token, layer, pass),
            Self::F32(layer) => of_f32::run(token, layer, pass),
            Self::F16(layer) => of_f16::run(token, layer, pass),
            Self::Bf16(layer) => of_bf16::run(token, layer, pass),
        }
    }

    /// The bias and x's part of the sums of all time steps at once, of f32: what a benchmark compares.
    pub(crate) fn input_part(&self, token: Token, pass: Pass<'_>) {
        if let Self::F32(layer) = self {
            of_f32::input_part(token, layer, pass);
        }
    }
}

impl<E: Element> Packed<E> {
    fn new(weights: &LstmWeights<'_>, sizes: Sizes, has_bias: bool, token: Token) -> Result<Self, WeightsError> {
        weights.check::<E>(sizes, has_bias)?;
        let lines = layout::lines(sizes.hidden);
        let mut bias = alloc::vec![Line::ZERO; lines];
        let [x_lines, h_lines] = packed_columns::<E>(sizes).map(|columns| columns * lines);
        let mut columns = alloc::vec![E::ZERO; x_lines + h_lines];
        let last = layout::last_group(E::FORM, sizes.hidden);
        weights.pack::<E>(sizes, last, &mut bias, &mut columns);
        let projection = sizes.proj.map(|proj| Dense::new(weights.weight_hr(), sizes.hidden, proj));
        let groups = (lines - last) / E::FORM.group + 1;
        let small = groups == 1 && projection.is_none() && !matches!(token, Token::Scalar(_));
        let (overlap, one_stream, one_step) = (None, None, None);
        let packed = Self { sizes, bias, columns, overlap, x_lines, groups, projection, small, one_stream, one_step };
        Ok(packed.ready_to_overlap(token))
    }

    /// Time steps in a chunk.
    fn chunk(&self, batch: usize) -> usize {
        let step_lines = self.bias.len() * batch;
        usize::clamp(self.chunk_lines() / step_lines, usize::max(4 / batch, 1), CHUNK_STEPS)
    }

    /// Lines of `z` in a chunk.
    fn chunk_lines(&self) -> usize {
        let bytes = size_of_val(&self.columns[..]) / 4;
        bytes.clamp(*CHUNK_BYTES.start(), *CHUNK_BYTES.end()) / size_of::<Line>()
    }

    /// As much as [`chunk`](Self::chunk) asks for, or the overlap.
    fn room(&self, steps: usize, batch: usize) -> Room {
        let projection = self.projection.as_ref().map_or(0, Dense::lines) * batch;
        let most = usize::max(self.chunk_lines(), usize::max(batch, 4) * self.bias.len());
        let most = usize::max(most, self.overlap_lines());
        let padded = layout::padded(self.sizes.hidden);
        Room {
            next: usize::max(batch.saturating_mul(padded), padded + self.overlap_floats(steps)),
            // Where a usize has 32 bits, a long sequence's product may not fit.
            z: usize::min(most, steps.saturating_mul(batch).saturating_mul(self.bias.len())) + projection,
        }
    }

    /// The `n`-th group on the way, which may lead backwards.
    fn nth_group(&self, n: usize, backwards: bool) -> usize {
        if backwards { self.groups - 1 - n } else { n }
    }

    /// x's columns and h's columns.
    fn tensors(&self) -> (&[E::Line], &[E::Line]) {
        self.columns.split_at(self.x_lines)
    }

    /// A group: the number of lines, the first line in a row, x's columns and h's columns.
    fn group(&self, n: usize) -> (usize, usize, &[E::Line], &[E::Line]) {
        if self.groups == 1 {
            // Small layers would feel the rest.
            let (w_ih, w_hh) = self.tensors();
            return (self.bias.len(), 0, w_ih, w_hh);
        }
        let first = n * E::FORM.group;
        let lines = if n + 1 < self.groups { E::FORM.group } else { self.bias.len() - first };
        let packed = packed_columns::<E>(self.sizes);
        let (w_ih, w_hh) = group_columns(&self.columns, packed, self.bias.len(), first, lines);
        (lines, first, w_ih, w_hh)
    }
}

/// The part of what will be read `soon`, after the last of some groups, that is asked for before the `n`-th one on the
/// way: shares of it before those of the last quarter, so that it is not pushed out by what comes first.
fn share(soon: &[f32], n: usize, groups: usize) -> &[f32] {
    let asking = groups.div_ceil(4);
    let Some(n) = (n + asking).checked_sub(groups).filter(|_| !soon.is_empty()) else { return &[] };
    soon.chunks(soon.len().div_ceil(asking)).nth(n).unwrap_or_default()
}

/// Packed columns of x and of h.
const fn packed_columns<E: Element>(sizes: Sizes) -> [usize; 2] {
    [layout::packed(E::FORM, sizes.input), layout::packed(E::FORM, sizes.output())]
}

/// The lengths of a pass's memory: of [`Pass::next`] and of [`Pass::z`].
#[derive(Clone, Copy, Default)]
pub(crate) struct Room {
    pub(crate) next: usize,
    pub(crate) z: usize,
}

/// One pass over a sequence.
pub(crate) struct Pass<'a> {
    pub(crate) batch: usize,
    /// The number of streams that run at each time step: never more than at the step before.
    pub(crate) active: &'a [usize],
    pub(crate) reverse: bool,
    /// Whether its first step goes over the groups from the last one on: each step turns round.
    pub(crate) backwards: bool,
    /// \[steps, batch, input\]
    pub(crate) x: &'a [f32],
    /// \[batch, padded(output)\]
    pub(crate) h: &'a mut [f32],
    /// \[batch, padded(hidden)\]
    pub(crate) c: &'a mut [f32],
    /// [`Room::next`]: \[batch, padded(hidden)\], o tanh(c') before it becomes h; and what [`overlap`] needs.
    pub(crate) next: &'a mut [f32],
    /// [`Room::z`]: rows of sums, then the projection's.
    pub(crate) z: &'a mut [Line],
    /// \[steps, batch, `out_stride`\], of which this direction writes the columns from `out_first` on; or nothing, both
    /// 0.
    pub(crate) out: &'a mut [f32],
    pub(crate) out_stride: usize,
    pub(crate) out_first: usize,
}

impl<'a> Pass<'a> {
    /// Which way step `n` goes over the groups: what the step before it read last is still in the cache.
    fn backwards(&self, n: usize) -> bool {
        self.backwards ^ !n.is_multiple_of(2)
    }

    /// The time steps that follow the `done` ones, `most` or what is left: the first of them in time, and how many.
    fn chunk(&self, done: usize, most: usize) -> (usize, usize) {
        let left = self.active.len() - done;
        let len = usize::min(most, left);
        (if self.reverse { left - len } else { done }, len)
    }

    /// x of some time steps, as far as it is worth to ask for it.
    fn rows(&self, (first, len): (usize, usize), input: usize) -> &'a [f32] {
        let x = &self.x[first * self.batch * input..][..len * self.batch * input];
        &x[..usize::min(x.len(), SOON)]
    }
}

/// Where the lines of rows of sums lie in `z`.
#[derive(Clone, Copy)]
enum Place {
    /// Row by row, from its first line on.
    ByRow,
    /// Group by group, [`STEPS`] rows of each: from this line, and in each group from this row on.
    ByGroup { first: usize, row: usize },
}

/// A pass through a layer.
struct LayerPass<'a, E: Element> {
    layer: &'a Packed<E>,
    pass: Pass<'a>,
}

impl<E: Element> Op for LayerPass<'_, E> {
    type Output = ();

    const F16: bool = E::F16;

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        if self.overlapped(simd) {
            return;
        }
        let most = self.layer.chunk(self.pass.batch);
        let (mut first, mut len) = self.pass.chunk(0, most);
        let mut done = len;
        while len > 0 {
            // Of a single row x's part would gain nothing from being ahead.
            let ahead = len * self.pass.batch > 1;
            if ahead {
                self.input_part(simd, first, len, 0..self.layer.groups, Place::ByRow);
            }
            let next = self.pass.chunk(done, most);
            for n in 0..len {
                let soon = if n + 1 == len { self.pass.rows(next, self.layer.sizes.input) } else { &[] };
                self.step(simd, first, if self.pass.reverse { len - 1 - n } else { n }, ahead, soon);
            }
            (first, len) = next;
            done += len;
        }
    }
}

/// The first part of a pass alone, for all time steps at once.
struct InputPart<'a, E: Element>(LayerPass<'a, E>);

impl<E: Element> Op for InputPart<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let steps = self.0.pass.active.len();
        self.0.input_part(simd, 0, steps, 0..self.0.layer.groups, Place::ByRow);
    }
}

impl<E: Element> LayerPass<'_, E> {
    /// The bias and x's part of some groups' sums for `len` time steps.
    #[inline(always)]
    fn input_part<S: Simd>(&mut self, simd: S, first: usize, len: usize, groups: Range<usize>, place: Place) {
        let (layer, batch, input) = (self.layer, self.pass.batch, self.layer.sizes.input);
        // Rows of streams that have ended are skipped; if there are none, tiles may span time steps.
        let all = self.pass.active[first + len - 1] == batch;
        for group in groups.clone() {
            let (group_lines, line, w_ih, _) = layer.group(group);
            let soon = if group + 1 < groups.end { layer.group(group + 1).2 } else { &[] };
            let (first_line, stride) = match place {
                Place::ByRow => (line, layer.bias.len()),
                Place::ByGroup { first, row } => (first + STEPS * line + row * group_lines, group_lines),
            };
            for n in 0..if all { 1 } else { len } {
                let x = Rows { data: &self.pass.x[(first + n) * batch * input..], stride: input, len: input };
                let mut z = Sums { data: &mut self.pass.z[first_line + n * batch * stride..], stride };
                let count = if all { len * batch } else { self.pass.active[first + n] };
                let columns = Columns { data: w_ih, lines: group_lines, soon };
                product::add::<S, E>(simd, columns, x, Some(&layer.bias[line..]), &mut z, count);
            }
        }
    }

    /// Step `n` of the chunk that begins at time `first`, for all running streams; x's part may have been done `ahead`.
    /// What will be read `soon` is asked for.
    #[inline(always)]
    fn step<S: Simd>(&mut self, simd: S, first: usize, n: usize, ahead: bool, soon: &[f32]) {
        let (layer, batch, time) = (self.layer, self.pass.batch, first + n);
        let (hidden, output, lines) = (layer.sizes.hidden, layer.sizes.output(), layer.bias.len());
        let (padded, h_stride, active) = (layout::padded(hidden), layout::padded(output), self.pass.active[time]);
        let (z, out_stride) = (n * batch * lines, self.pass.out_stride);
        let out_first = time * batch * out_stride + self.pass.out_first;
        let backwards = self.pass.backwards(time);
        let x = (!ahead).then_some(time);
        let alone = active == 1 && self.step_alone(simd, x, z, backwards);
        if !alone {
            if !ahead {
                self.input_part(simd, first, 1, 0..layer.groups, Place::ByRow);
            }
            for n in 0..layer.groups {
                prefetch(share(soon, n, layer.groups));
                let (group_lines, line, _, w_hh) = layer.group(layer.nth_group(n, backwards));
                let next = if n + 1 < layer.groups { layer.group(layer.nth_group(n + 1, backwards)).3 } else { &[] };
                let h = Rows { data: self.pass.h, stride: h_stride, len: output };
                let mut z = Sums { data: &mut self.pass.z[z + line..], stride: lines };
                let columns = Columns { data: w_hh, lines: group_lines, soon: next };
                product::add::<S, E>(simd, columns, h, None, &mut z, active);
            }
            // All sums are made, so h may be overwritten. Without a projection it is the output.
            let projected = layer.projection.is_some();
            let activated = if projected { &mut *self.pass.next } else { &mut *self.pass.h };
            let out = if projected { &mut [] } else { &mut self.pass.out[out_first..] };
            let (h, c) = (&mut activated[..active * padded], &mut self.pass.c[..active * padded]);
            simd.enter(ActivateAll { z: &self.pass.z[z..], lines, h, c, out, out_stride, hidden });
        }
        if let Some(dense) = &layer.projection {
            let next = Rows { data: self.pass.next, stride: padded, len: hidden };
            let scratch = self.pass.z.len() - batch * dense.lines();
            dense.apply(simd, next, self.pass.h, h_stride, &mut self.pass.z[scratch..], active);
            let rows = self.pass.out[out_first..].chunks_mut(out_stride).zip(self.pass.h.chunks_exact(h_stride));
            for (out, h) in rows.take(active) {
                out[..output].copy_from_slice(&h[..output]);
            }
        } else if alone {
            self.pass.h[..padded].copy_from_slice(&self.pass.next[..padded]);
            if let Some(out) = self.pass.out[out_first..].get_mut(..hidden) {
                out.copy_from_slice(&self.pass.next[..hidden]);
            }
        }
    }

    /// The sums, from x on or from what begins at line `z`, and the gates of the first stream, group by group; or none
    /// of them, if a group is too small. What becomes of h is in `next` then.
    #[inline(always)]
    fn step_alone<S: Simd>(&mut self, simd: S, x: Option<usize>, z: usize, backwards: bool) -> bool {
        let (layer, pass) = (self.layer, &mut self.pass);
        let (input, output) = (layer.sizes.input, layer.sizes.output());
        if const { S::PORTABLE || adds_in_f16::<S, E>() } {
            return false;
        }
        if output < 4 || layer.bias.len() < 4 {
            return false;
        }
        for n in 0..layer.groups {
            let (lines, first, w_ih, w_hh) = layer.group(layer.nth_group(n, backwards));
            let (start, w_ih, x) = match x {
                Some(time) => (&layer.bias[first..], w_ih, &pass.x[time * pass.batch * input..][..input]),
                None => (&pass.z[z + first..], &[][..], &[][..]),
            };
            let units = 4 * first..4 * (first + lines);
            let (c, next) = (&mut pass.c[units.clone()], &mut pass.next[units]);
            group::group(simd, lines, OfGroup::<E> { start, w_ih, x, w_hh, h: &pass.h[..output], c, next });
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn the_shares_are_all_that_will_be_read() {
        let soon = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        for groups in 1..40 {
            for len in 0..=soon.len() {
                let shares: alloc::vec::Vec<f32> =
                    (0..groups).flat_map(|n| share(&soon[..len], n, groups)).copied().collect();
                assert_eq!(shares, soon[..len], "{groups} groups");
            }
            assert!(groups < 4 || share(&soon, groups / 2, groups).is_empty(), "{groups} groups: too soon");
        }
    }
}
