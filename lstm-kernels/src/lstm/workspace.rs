//! The memory of a pass through all layers, and the pass.

use alloc::vec::Vec;
use core::ops::Range;

use super::Lstm;
use super::input::{Extent, Input};
use super::layer::Pass;
use crate::error::Error;
use crate::layout::{self, Line};

/// Rows (time steps times streams) that go through all layers of a unidirectional LSTM together: enough to compute
/// x's part ahead, few enough for the layers' outputs to stay in a cache.
const BLOCK_ROWS: usize = 1024;

/// Memory that a pass works in. It can be used again for any input and any [`Lstm`]; it grows when it must, and
/// never shrinks. [`Lstm::workspace`] makes one that need not grow.
#[derive(Clone, Debug, Default)]
pub struct Workspace {
    /// The layer's input \[steps, batch, size\], then its output; the batch sorted by length, longest first.
    x: Vec<f32>,
    y: Vec<f32>,
    /// \[cells, batch, padded(`h_size`)\]
    h: Vec<f32>,
    /// \[cells, batch, padded(hidden)\]
    c: Vec<f32>,
    /// \[batch, padded(hidden)\] if there is a projection
    next: Vec<f32>,
    z: Vec<Line>,
    /// The streams by length.
    order: Vec<usize>,
    /// How many streams run at each time step.
    active: Vec<usize>,
}

impl Workspace {
    /// An empty one.
    pub const fn new() -> Self {
        Self {
            x: Vec::new(),
            y: Vec::new(),
            h: Vec::new(),
            c: Vec::new(),
            next: Vec::new(),
            z: Vec::new(),
            order: Vec::new(),
            active: Vec::new(),
        }
    }

    /// Makes room for an input, and sets all states to zero.
    pub(super) fn prepare(&mut self, lstm: &Lstm, steps: usize, batch: usize) {
        self.reserve(lstm, steps, batch);
        let config = &lstm.config;
        for (state, size) in [(&mut self.h, config.h_size()), (&mut self.c, config.hidden_size)] {
            state.clear();
            state.resize(config.cells() * batch * layout::padded(size), 0.0);
        }
        self.order.clear();
        self.order.extend(0..batch);
    }

    /// Makes room for an input.
    pub(super) fn reserve(&mut self, lstm: &Lstm, steps: usize, batch: usize) {
        let config = &lstm.config;
        let block = block(lstm, steps, batch);
        let width = usize::max(config.input_size, config.output_size());
        grow(&mut self.x, block * batch * width, 0.0);
        grow(&mut self.y, block * batch * width, 0.0);
        if config.proj_size > 0 {
            grow(&mut self.next, batch * layout::padded(config.hidden_size), 0.0);
        }
        let scratch = lstm.layers.iter().map(|layer| layer.scratch_lines(block, batch)).max().unwrap_or(0);
        grow(&mut self.z, scratch, Line::ZERO);
        grow(&mut self.active, steps, 0);
    }

    /// Sorts the streams by length, and counts those that run at each time step.
    pub(super) fn sort(&mut self, steps: usize, lengths: Option<&[usize]>) {
        let Some(lengths) = lengths else {
            self.active[..steps].fill(self.order.len());
            return;
        };
        self.order.sort_unstable_by_key(|&stream| (usize::MAX - lengths[stream], stream));
        for (time, active) in self.active[..steps].iter_mut().enumerate() {
            *active = self.order.partition_point(|&stream| lengths[stream] > time);
        }
    }

    /// Copies PyTorch's `[cells, batch, size]` states in.
    pub(super) fn set_states(&mut self, lstm: &Lstm, h: &[f32], c: &[f32]) {
        for n in 0..lstm.config.cells() * self.order.len() {
            let [(h_here, h_there), (c_here, c_there)] = self.places(lstm, n);
            self.h[h_here].copy_from_slice(&h[h_there]);
            self.c[c_here].copy_from_slice(&c[c_there]);
        }
    }

    /// Copies the states out.
    pub(super) fn states(&self, lstm: &Lstm, h: &mut [f32], c: &mut [f32]) {
        for n in 0..lstm.config.cells() * self.order.len() {
            let [(h_here, h_there), (c_here, c_there)] = self.places(lstm, n);
            h[h_there].copy_from_slice(&self.h[h_here]);
            c[c_there].copy_from_slice(&self.c[c_here]);
        }
    }

    /// Where the n-th state of all layers, directions and streams lies here and in PyTorch's tensors: h, then c.
    fn places(&self, lstm: &Lstm, n: usize) -> [(Range<usize>, Range<usize>); 2] {
        let batch = self.order.len();
        let place = n / batch * batch + self.order[n % batch];
        let range = |n: usize, stride: usize, len: usize| n * stride..n * stride + len;
        let (h, c) = (lstm.config.h_size(), lstm.config.hidden_size);
        [h, c].map(|size| (range(n, layout::padded(size), size), range(place, size, size)))
    }

    /// One time step of a single layer; h is the output.
    pub(super) fn step(
        &mut self,
        lstm: &Lstm,
        input: Input<'_>,
        (h, c): (&mut [f32], &mut [f32]),
    ) -> Result<(), Error> {
        let extent = Extent::new(&lstm.config, &input)?;
        lstm.check_states(("h", h.len()), ("c", c.len()), extent.batch)?;
        self.prepare(lstm, 1, extent.batch);
        self.sort(1, None);
        self.set_states(lstm, h, c);
        self.x[..input.data.len()].copy_from_slice(input.data);
        self.layers(lstm, 0, 1, extent.batch);
        self.states(lstm, h, c);
        Ok(())
    }

    /// All time steps of `input` through all layers, from the states that are here.
    pub(super) fn run(&mut self, lstm: &Lstm, extent: Extent, input: &Input<'_>, output: &mut [f32]) {
        let (config, batch) = (&lstm.config, extent.batch);
        let (input_size, output_size) = (config.input_size, config.output_size());
        let block = block(lstm, extent.steps, batch);
        for first in (0..extent.steps).step_by(block) {
            let steps = usize::min(block, extent.steps - first);
            for time in 0..steps {
                for (n, &stream) in self.order.iter().enumerate() {
                    let (to, from) = ((time * batch + n) * input_size, extent.row(first + time, stream) * input_size);
                    self.x[to..][..input_size].copy_from_slice(&input.data[from..][..input_size]);
                }
            }
            self.layers(lstm, first, steps, batch);
            for time in 0..steps {
                for (n, &stream) in self.order.iter().enumerate() {
                    let (from, to) = ((time * batch + n) * output_size, extent.row(first + time, stream) * output_size);
                    let to = &mut output[to..][..output_size];
                    if n < self.active[first + time] {
                        to.copy_from_slice(&self.x[from..][..output_size]);
                    } else {
                        to.fill(0.0);
                    }
                }
            }
        }
    }

    /// A block of time steps, whose input lies in `x`, through all layers; leaves the output in `x`.
    fn layers(&mut self, lstm: &Lstm, first: usize, steps: usize, batch: usize) {
        let config = &lstm.config;
        let [h_size, c_size] = [config.h_size(), config.hidden_size].map(|size| batch * layout::padded(size));
        for (cell, layer) in lstm.layers.iter().enumerate() {
            let direction = cell % config.directions();
            let pass = Pass {
                batch,
                active: &self.active[first..][..steps],
                reverse: direction == 1,
                x: &self.x,
                h: &mut self.h[cell * h_size..][..h_size],
                c: &mut self.c[cell * c_size..][..c_size],
                next: &mut self.next,
                z: &mut self.z,
                out: &mut self.y,
                out_stride: config.output_size(),
                out_first: direction * config.h_size(),
            };
            layer.run(lstm.token, pass);
            if direction + 1 == config.directions() {
                core::mem::swap(&mut self.x, &mut self.y);
            }
        }
    }
}

/// Time steps that go through all layers together: all of them if a direction starts at the end.
fn block(lstm: &Lstm, steps: usize, batch: usize) -> usize {
    if lstm.config.bidirectional { steps } else { usize::min(steps, usize::max(BLOCK_ROWS / batch, 1)) }
}

fn grow<T: Clone>(memory: &mut Vec<T>, len: usize, value: T) {
    if memory.len() < len {
        memory.resize(len, value);
    }
}
