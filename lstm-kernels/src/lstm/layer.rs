//! One layer and direction of an [`Lstm`](super::Lstm): its packed weights, and its pass over a sequence.
//!
//! The kernel is that of a cell ([`kernel`](crate::kernel)), with sizes known at run time. What a whole sequence adds:
//!
//! **x first.** The input part of the sums does not wait for h. It is computed ahead for a chunk of time steps, many
//! rows (a time step of a stream each) for each weight that is read, into the scratch `z`. The recurrence adds h's
//! part to it. The order of every sum is that of a step, and so are the bits. The chunk is short enough for `z` to
//! stay in the L2 cache.
//!
//! **Streams.** A batch steps many streams for each weight that is read. Its sequences are sorted by length, longest
//! first, so those that are still running are always the first `active[t]` rows.

use alloc::vec::Vec;

use crate::dense::Dense;
use crate::kernel::Activate;
use crate::layout::{self, Line};
use crate::product::{Rows, Sums, add};
use crate::simd::{Op, Simd};
use crate::weights::{LstmWeights, Sizes};

/// Bytes of `z` that a chunk of time steps may fill: a part of a small L2 cache.
const CHUNK_BYTES: usize = 256 << 10;

/// The most time steps in a chunk: more gain nothing, and less of `z` may stay in the L1 cache.
const CHUNK_STEPS: usize = 64;

/// Packed weights.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    sizes: Sizes,
    bias: Vec<Line>,
    columns: Vec<Line>,
    projection: Option<Dense>,
}

impl Layer {
    /// From checked weights.
    pub(crate) fn new(weights: &LstmWeights<'_>, sizes: Sizes) -> Self {
        let lines = layout::lines(sizes.hidden);
        let mut bias = alloc::vec![Line::ZERO; lines];
        let mut columns = alloc::vec![Line::ZERO; sizes.columns() * lines];
        weights.pack::<f32>(sizes, &mut bias, &mut columns);
        let projection = sizes.proj.map(|proj| Dense::new(weights.weight_hr(), sizes.hidden, proj));
        Self { sizes, bias, columns, projection }
    }

    /// Time steps in a chunk.
    fn chunk(&self, batch: usize) -> usize {
        let step_bytes = self.bias.len() * size_of::<Line>() * batch;
        usize::clamp(CHUNK_BYTES / step_bytes, usize::max(4 / batch, 1), CHUNK_STEPS)
    }

    /// Lines of scratch that a pass over `steps` time steps needs.
    pub(crate) fn scratch_lines(&self, steps: usize, batch: usize) -> usize {
        let projection = self.projection.as_ref().map_or(0, Dense::lines) * batch;
        usize::min(self.chunk(batch), steps) * batch * self.bias.len() + projection
    }

    /// The number of groups of the packed tensor.
    const fn groups(&self) -> usize {
        (self.bias.len() - layout::last_group(layout::F32, self.sizes.hidden))
            / layout::group_lines(layout::F32, self.sizes.hidden)
            + 1
    }

    /// A group: the number of lines, the first line in a row, x's columns and h's columns.
    fn group(&self, n: usize) -> (usize, usize, &[Line], &[Line]) {
        let group_lines = layout::group_lines(layout::F32, self.sizes.hidden);
        let first = n * group_lines;
        let lines = if n + 1 < self.groups() { group_lines } else { self.bias.len() - first };
        let group = &self.columns[self.sizes.columns() * first..][..self.sizes.columns() * lines];
        let (w_ih, w_hh) = group.split_at(self.sizes.input * lines);
        (lines, first, w_ih, w_hh)
    }
}

/// One pass over a sequence: an [`Op`].
pub(crate) struct Pass<'a> {
    pub(crate) layer: &'a Layer,
    pub(crate) batch: usize,
    /// The number of streams that run at each time step: never more than at the step before.
    pub(crate) active: &'a [usize],
    pub(crate) reverse: bool,
    /// \[steps, batch, input\]
    pub(crate) x: &'a [f32],
    /// \[batch, padded(output)\]
    pub(crate) h: &'a mut [f32],
    /// \[batch, padded(hidden)\]
    pub(crate) c: &'a mut [f32],
    /// \[batch, padded(hidden)\]: o tanh(c'), before the projection makes h of it.
    pub(crate) next: &'a mut [f32],
    /// [`Layer::scratch_lines`]: rows of sums, then the projection's.
    pub(crate) z: &'a mut [Line],
    /// \[steps, batch, `out_stride`\], of which this direction writes the columns from `out_first` on.
    pub(crate) out: &'a mut [f32],
    pub(crate) out_stride: usize,
    pub(crate) out_first: usize,
}

impl Op for Pass<'_> {
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let (steps, chunk) = (self.active.len(), self.layer.chunk(self.batch));
        let mut done = 0;
        while done < steps {
            let len = usize::min(chunk, steps - done);
            let first = if self.reverse { steps - done - len } else { done };
            self.input_part(simd, first, len);
            for n in 0..len {
                self.step(simd, first, if self.reverse { len - 1 - n } else { n });
            }
            done += len;
        }
    }
}

impl Pass<'_> {
    /// The bias and x's part of the sums for `len` time steps, into `z`.
    #[inline(always)]
    fn input_part<S: Simd>(&mut self, simd: S, first: usize, len: usize) {
        let (layer, batch) = (self.layer, self.batch);
        let (input, lines) = (layer.sizes.input, layer.bias.len());
        for row in self.z[..len * batch * lines].chunks_exact_mut(lines) {
            row.copy_from_slice(&layer.bias);
        }
        // Rows of streams that have ended are skipped; if there are none, tiles may span time steps.
        let all = self.active[first + len - 1] == batch;
        for group in 0..layer.groups() {
            let (group_lines, line, w_ih, _) = layer.group(group);
            for n in 0..if all { 1 } else { len } {
                let x = Rows { data: &self.x[(first + n) * batch * input..], stride: input, len: input };
                let mut z = Sums { data: &mut self.z[n * batch * lines..], stride: lines, first: line };
                let count = if all { len * batch } else { self.active[first + n] };
                add::<S, f32>(simd, w_ih, group_lines, x, &mut z, count);
            }
        }
    }

    /// Step `n` of the chunk that begins at time `first`, for all running streams.
    #[inline(always)]
    fn step<S: Simd>(&mut self, simd: S, first: usize, n: usize) {
        let (layer, batch, time) = (self.layer, self.batch, first + n);
        let (hidden, output, lines) = (layer.sizes.hidden, layer.sizes.output(), layer.bias.len());
        let (padded, h_stride, active) = (layout::padded(hidden), layout::padded(output), self.active[time]);
        let z = n * batch * lines;
        for group in 0..layer.groups() {
            // Forwards and backwards in turn: what the step before read last is still in the cache.
            let group = if time % 2 == 0 { group } else { layer.groups() - 1 - group };
            let (group_lines, line, _, w_hh) = layer.group(group);
            let h = Rows { data: self.h, stride: h_stride, len: output };
            let mut z = Sums { data: &mut self.z[z..], stride: lines, first: line };
            add::<S, f32>(simd, w_hh, group_lines, h, &mut z, active);
        }
        // All sums are made, so h may be overwritten.
        let activated = if layer.projection.is_some() { &mut *self.next } else { &mut *self.h };
        let rows = activated.chunks_exact_mut(padded).zip(self.c.chunks_exact_mut(padded));
        for ((h, c), z) in rows.zip(self.z[z..].chunks_exact(lines)).take(active) {
            simd.enter(Activate { z, h, c });
        }
        if let Some(dense) = &layer.projection {
            let next = Rows { data: self.next, stride: padded, len: hidden };
            let scratch = self.z.len() - batch * dense.lines();
            dense.apply(simd, next, self.h, h_stride, &mut self.z[scratch..], active);
        }
        let rows = self.out[time * batch * self.out_stride..].chunks_exact_mut(self.out_stride);
        for (out, h) in rows.zip(self.h.chunks_exact(h_stride)).take(active) {
            out[self.out_first..][..output].copy_from_slice(&h[..output]);
        }
    }
}
