//! One layer and direction of an [`Lstm`](super::Lstm): its packed weights, and its pass over a sequence.
//!
//! The kernel is that of a cell ([`kernel`](crate::kernel)), with sizes known at run time. What a whole sequence adds:
//!
//! **x first.** The input part of the sums does not wait for h. It is computed ahead for a chunk of time steps, a
//! *tile* of four (step, stream) rows at a time, so that each packed line is loaded once for four rows and the
//! multiply units never wait. Both chains of each row go to the scratch `z` and the recurrence starts from them: the
//! order of every sum stays that of a step, and so do the bits. The chunk is short enough for `z` to stay in the L2
//! cache. Narrow inputs are not worth the detour through memory: they are part of the step.
//!
//! **Streams.** A batch steps four streams per loaded line. Its sequences are sorted by length, longest first, so
//! those that are still running are always the first `active[t]` rows.

use alloc::vec::Vec;

use crate::dense::Dense;
use crate::kernel::{BLOCK, Part, Start, activate, join, streams, sums};
use crate::layout::{self, GROUP_LINES, Line};
use crate::simd::{Op, Simd, Vector};
use crate::weights::{LstmWeights, Sizes};

/// Inputs from which on x's part is computed ahead (measured; below, the detour costs more than it saves).
const AHEAD: usize = 12;

/// Bytes of `z` that a chunk of time steps may fill: half of a small L2 cache.
const CHUNK_BYTES: usize = 256 << 10;

/// Packed weights.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    sizes: Sizes,
    lines: Vec<Line>,
    projection: Option<Dense>,
}

impl Layer {
    /// From checked weights.
    pub(crate) fn new(weights: &LstmWeights<'_>, sizes: Sizes) -> Self {
        let mut lines = alloc::vec![Line::ZERO; sizes.columns() * layout::lines(sizes.hidden)];
        weights.pack(sizes, &mut lines);
        let projection = sizes.proj.map(|proj| Dense::new(weights.weight_hr(), sizes.hidden, proj));
        Self { sizes, lines, projection }
    }

    pub(crate) const fn sizes(&self) -> Sizes {
        self.sizes
    }

    const fn ahead(&self) -> bool {
        self.sizes.input >= AHEAD
    }

    /// Lines of `z` that one row of a chunk takes: both chains.
    const fn row_lines(&self) -> usize {
        2 * layout::lines(self.sizes.hidden)
    }

    /// Time steps in a chunk.
    fn chunk(&self, batch: usize) -> usize {
        usize::max(CHUNK_BYTES / (self.row_lines() * size_of::<Line>() * batch), usize::max(4 / batch, 1))
    }

    /// Lines of scratch that a pass over `steps` time steps needs.
    pub(crate) fn scratch_lines(&self, steps: usize, batch: usize) -> usize {
        if self.ahead() { usize::min(self.chunk(batch), steps) * batch * self.row_lines() } else { 0 }
    }

    /// The groups of the packed tensor: their lines, and the first unit of each.
    fn groups(&self) -> impl Iterator<Item = (&[Line], usize)> {
        let last = self.lines.len() - self.sizes.columns() * layout::last_group(self.sizes.hidden);
        let (full, last) = self.lines.split_at(last);
        let groups = full.chunks_exact(self.sizes.columns() * GROUP_LINES).chain([last]);
        groups.zip((0..).step_by(GROUP_LINES * 4))
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
    /// \[batch, output\]
    pub(crate) h: &'a mut [f32],
    /// \[batch, padded(hidden)\]
    pub(crate) c: &'a mut [f32],
    /// \[batch, padded(hidden)\]: o tanh(c') of all groups, before it becomes h.
    pub(crate) next: &'a mut [f32],
    /// [`Layer::scratch_lines`] for x's part.
    pub(crate) z: &'a mut [Line],
    /// \[steps, batch, `out_stride`\], of which this direction writes the columns from `out_first` on.
    pub(crate) out: &'a mut [f32],
    pub(crate) out_stride: usize,
    pub(crate) out_first: usize,
}

/// Calls a function for the number of lines of a group.
macro_rules! by_lines {
    ($lines:expr, $self:ident.$function:ident($($argument:expr),*)) => {
        match $lines {
            1 => $self.$function::<S, 1>($($argument),*),
            2 => $self.$function::<S, 2>($($argument),*),
            3 => $self.$function::<S, 3>($($argument),*),
            4 => $self.$function::<S, 4>($($argument),*),
            5 => $self.$function::<S, 5>($($argument),*),
            6 => $self.$function::<S, 6>($($argument),*),
            7 => $self.$function::<S, 7>($($argument),*),
            8 => $self.$function::<S, 8>($($argument),*),
            9 => $self.$function::<S, 9>($($argument),*),
            10 => $self.$function::<S, 10>($($argument),*),
            11 => $self.$function::<S, 11>($($argument),*),
            _ => $self.$function::<S, 12>($($argument),*),
        }
    };
}

impl Op for Pass<'_> {
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let (steps, chunk) = (self.active.len(), self.layer.chunk(self.batch));
        let mut done = 0;
        while done < steps {
            let len = usize::min(chunk, steps - done);
            let first = if self.reverse { steps - done - len } else { done };
            if self.layer.ahead() {
                self.input_part(simd, first, len);
            }
            for n in 0..len {
                self.step(simd, first, if self.reverse { len - 1 - n } else { n });
            }
            done += len;
        }
    }
}

impl Pass<'_> {
    /// x's part of the sums for `len` time steps, into `z`.
    #[inline(always)]
    fn input_part<S: Simd>(&mut self, simd: S, first: usize, len: usize) {
        let layer = self.layer;
        // Rows of streams that have ended are skipped; if there are none, tiles may span time steps.
        let all = self.active[first + len - 1] == self.batch;
        for (group, unit) in layer.groups() {
            let lines = group.len() / layer.sizes.columns();
            for n in 0..if all { 1 } else { len } {
                let (x_row, z_row) = ((first + n) * self.batch, n * self.batch);
                let count = if all { len * self.batch } else { self.active[first + n] };
                by_lines!(lines, self.input_rows(simd, group, unit, x_row, z_row, count));
            }
        }
    }

    /// One group of `count` rows, from row `x_row` of x into row `z_row` of z.
    #[inline(always)]
    fn input_rows<S: Simd, const R: usize>(
        &mut self,
        simd: S,
        group: &[Line],
        unit: usize,
        x_row: usize,
        z_row: usize,
        count: usize,
    ) {
        let mut n = 0;
        while n + 4 <= count {
            self.input_tile::<S, R, 4>(simd, group, unit, x_row + n, z_row + n);
            n += 4;
        }
        while n < count {
            self.input_tile::<S, R, 1>(simd, group, unit, x_row + n, z_row + n);
            n += 1;
        }
    }

    #[inline(always)]
    fn input_tile<S: Simd, const R: usize, const T: usize>(
        &mut self,
        simd: S,
        group: &[Line],
        unit: usize,
        x_row: usize,
        z_row: usize,
    ) {
        let input = self.layer.sizes.input;
        let [bias, columns @ ..] = group.as_chunks::<R>().0 else { return };
        let mut inputs = [&[][..]; T];
        for t in 0..T {
            inputs[t] = &self.x[(x_row + t) * input..][..input];
        }
        let start = Start { even: [bias; T], odd: [&[Line::ZERO; R]; T], folded: false };
        let chains = sums(simd, start, [Part { columns: &columns[..input], inputs }, Part::NONE]);
        for t in 0..T {
            let place = (z_row + t) * self.layer.row_lines() + unit / 2;
            let z = &mut self.z[place..][..2 * R];
            for n in 0..R {
                chains[0][t][n].store(simd, &mut z[n].0);
                chains[1][t][n].store(simd, &mut z[R + n].0);
            }
        }
    }

    /// Step `n` of the chunk that begins at time `first`, for all running streams.
    #[inline(always)]
    fn step<S: Simd>(&mut self, simd: S, first: usize, n: usize) {
        let (layer, time) = (self.layer, first + n);
        let active = self.active[time];
        for (group, unit) in layer.groups() {
            let lines = group.len() / layer.sizes.columns();
            by_lines!(lines, self.step_rows(simd, group, unit, time, n * self.batch, active));
        }
        match &layer.projection {
            Some(dense) => self.project(simd, dense, active),
            None => {
                let (hidden, padded) = (layer.sizes.hidden, layout::padded(layer.sizes.hidden));
                for (h, next) in self.h.chunks_exact_mut(hidden).zip(self.next.chunks_exact(padded)).take(active) {
                    h.copy_from_slice(&next[..hidden]);
                }
            }
        }
        let output = layer.sizes.output();
        let rows = self.out[time * self.batch * self.out_stride..].chunks_exact_mut(self.out_stride);
        for (out, h) in rows.zip(self.h.chunks_exact(output)).take(active) {
            out[self.out_first..][..output].copy_from_slice(h);
        }
    }

    /// One group of one step, for the first `active` streams.
    #[inline(always)]
    fn step_rows<S: Simd, const R: usize>(
        &mut self,
        simd: S,
        group: &[Line],
        unit: usize,
        time: usize,
        z_row: usize,
        active: usize,
    ) {
        let mut n = 0;
        if streams(S::ACCUMULATORS, layout::lines(self.layer.sizes.hidden)) == 4 {
            while n + 4 <= active {
                self.step_tile::<S, R, 4>(simd, group, unit, time, z_row, n);
                n += 4;
            }
        }
        while n < active {
            self.step_tile::<S, R, 1>(simd, group, unit, time, z_row, n);
            n += 1;
        }
    }

    #[inline(always)]
    fn step_tile<S: Simd, const R: usize, const T: usize>(
        &mut self,
        simd: S,
        group: &[Line],
        unit: usize,
        time: usize,
        z_row: usize,
        stream: usize,
    ) {
        let (input, output) = (self.layer.sizes.input, self.layer.sizes.output());
        let [bias, columns @ ..] = group.as_chunks::<R>().0 else { return };
        let (w_ih, w_hh) = columns.split_at(input);
        let mut start = Start { even: [bias; T], odd: [&[Line::ZERO; R]; T], folded: false };
        let mut x = Part { columns: w_ih, inputs: [&[][..]; T] };
        let mut h = Part { columns: w_hh, inputs: [&[][..]; T] };
        for t in 0..T {
            h.inputs[t] = &self.h[(stream + t) * output..][..output];
            x.inputs[t] = &self.x[(time * self.batch + stream + t) * input..][..input];
        }
        if self.layer.ahead() {
            x = Part::NONE;
            start.folded = input > BLOCK;
            for t in 0..T {
                let place = (z_row + stream + t) * self.layer.row_lines() + unit / 2;
                let [even, odd, ..] = self.z[place..].as_chunks::<R>().0 else { return };
                (start.even[t], start.odd[t]) = (even, odd);
            }
        }
        let z = join(simd, sums(simd, start, [x, h]));
        let padded = layout::padded(self.layer.sizes.hidden);
        for (t, z) in z.iter().enumerate() {
            let row = (stream + t) * padded + unit;
            activate(simd, z, &mut self.next[row..], &mut self.c[row..]);
        }
    }

    /// h = W_hr next.
    #[inline(always)]
    fn project<S: Simd>(&mut self, simd: S, dense: &Dense, active: usize) {
        let hidden = self.layer.sizes.hidden;
        let next = self.next.chunks_exact(layout::padded(hidden)).take(active);
        for (next, h) in next.zip(self.h.chunks_exact_mut(dense.outputs())) {
            dense.apply(simd, [&next[..hidden]], [h]);
        }
    }
}
