//! A shard: some streams of a batch, the memory of its pass through all layers, and the pass.

use alloc::vec::Vec;
use core::ops::Range;

use super::Lstm;
use super::input::Extent;
use super::layer::{Pass, Room};
use super::threads::join;
use crate::kernel::one_step::OneStep;
use crate::layout::{self, Line};

/// Streams that go through all layers on their own: nothing here is shared with another shard.
#[derive(Clone, Default)]
pub(super) struct Shard {
    /// The layer's input \[steps, streams, size\], then its output; the streams sorted by length, longest first.
    x: Vec<f32>,
    y: Vec<f32>,
    /// \[cells, streams, padded(`h_size`)\]
    h: Vec<f32>,
    /// \[cells, streams, padded(hidden)\]
    c: Vec<f32>,
    /// For each direction at a time [`Pass::next`].
    next: Vec<f32>,
    /// Each direction's that runs at the same time, one after the other.
    z: Vec<Line>,
    /// The streams by length: which ones of the batch they are.
    order: Vec<usize>,
    /// How many streams run at each time step.
    active: Vec<usize>,
    /// Which way the next time step goes, see [`Pass::backwards`].
    backwards: bool,
}

impl Shard {
    /// The number of its streams.
    pub(super) const fn streams(&self) -> usize {
        self.order.len()
    }

    /// Takes other streams, sorted by length.
    pub(super) fn take<'a>(&mut self, streams: impl Iterator<Item = &'a usize>) {
        self.order.clear();
        self.order.extend(streams);
    }

    /// Sets all states to zero.
    pub(super) fn clear(&mut self, lstm: &Lstm) {
        // (Saturated, for a `Vec` to refuse.)
        let rows = lstm.config.cells().saturating_mul(self.streams());
        for (state, size) in [(&mut self.h, lstm.config.h_size()), (&mut self.c, lstm.config.hidden_size)] {
            state.clear();
            state.resize(rows.saturating_mul(layout::padded(size)), 0.0);
        }
    }

    /// Makes room for an input of which blocks of one time step, or of up to `most` rows, go through the layers
    /// together; and for every smaller one.
    pub(super) fn reserve(&mut self, lstm: &Lstm, steps: usize, most: usize) {
        let (config, streams) = (&lstm.config, self.streams());
        let rows = usize::min(steps.saturating_mul(streams), usize::max(most, streams));
        let floats = rows.saturating_mul(usize::max(config.input_size, config.output_size()));
        grow(&mut self.x, floats, 0.0);
        grow(&mut self.y, floats, 0.0);
        let at_once = lstm.directions_at_once();
        let room = room(lstm, steps, streams);
        grow(&mut self.next, at_once * room.next, 0.0);
        grow(&mut self.z, at_once * room.z, Line::ZERO);
        grow(&mut self.active, steps, 0);
    }

    /// Counts the streams that run at each time step.
    pub(super) fn count(&mut self, steps: usize, lengths: Option<&[usize]>) {
        for (time, active) in self.active[..steps].iter_mut().enumerate() {
            *active = lengths
                .map_or(self.order.len(), |lengths| self.order.partition_point(|&stream| lengths[stream] > time));
        }
    }

    /// Copies PyTorch's `[cells, batch, size]` states in.
    pub(super) fn set_states(&mut self, lstm: &Lstm, batch: usize, h: &[f32], c: &[f32]) {
        for n in 0..lstm.config.cells() * self.streams() {
            let [(h_here, h_there), (c_here, c_there)] = self.places(lstm, batch, n);
            self.h[h_here].copy_from_slice(&h[h_there]);
            self.c[c_here].copy_from_slice(&c[c_there]);
        }
    }

    /// Copies the states out.
    pub(super) fn states(&self, lstm: &Lstm, batch: usize, h: &mut [f32], c: &mut [f32]) {
        for n in 0..lstm.config.cells() * self.streams() {
            let [(h_here, h_there), (c_here, c_there)] = self.places(lstm, batch, n);
            h[h_there].copy_from_slice(&self.h[h_here]);
            c[c_there].copy_from_slice(&self.c[c_here]);
        }
    }

    /// Where the n-th state of all layers, directions and streams lies here and in PyTorch's tensors: h, then c.
    fn places(&self, lstm: &Lstm, batch: usize, n: usize) -> [(Range<usize>, Range<usize>); 2] {
        let streams = self.streams();
        let place = n / streams * batch + self.order[n % streams];
        let range = |n: usize, stride: usize, len: usize| n * stride..n * stride + len;
        let (h, c) = (lstm.config.h_size(), lstm.config.hidden_size);
        [h, c].map(|size| (range(n, layout::padded(size), size), range(place, size, size)))
    }

    /// Copies the streams' inputs of a block of time steps into `x`.
    pub(super) fn gather(&mut self, lstm: &Lstm, times: Range<usize>, extent: Extent, input: &[f32]) {
        let (size, streams) = (lstm.config.input_size, self.streams());
        if extent.batch == 1 {
            self.x[..times.len() * size].copy_from_slice(&input[times.start * size..][..times.len() * size]);
            return;
        }
        for (n, time) in times.enumerate() {
            for (to, &stream) in self.x[n * streams * size..].chunks_exact_mut(size).zip(&self.order) {
                to.copy_from_slice(&input[extent.row(time, stream) * size..][..size]);
            }
        }
    }

    /// Copies the streams' outputs of a block of time steps out of `x`.
    pub(super) fn scatter(&self, lstm: &Lstm, times: Range<usize>, extent: Extent, output: &mut [f32]) {
        let (size, streams) = (lstm.config.output_size(), self.streams());
        if extent.batch == 1 {
            let running = times.clone().take_while(|&time| self.active[time] > 0).count();
            let (out, rest) = output[times.start * size..][..times.len() * size].split_at_mut(running * size);
            out.copy_from_slice(&self.x[..running * size]);
            rest.fill(0.0);
            return;
        }
        for (n, time) in times.enumerate() {
            let rows = self.x[n * streams * size..].chunks_exact(size).zip(&self.order);
            for (place, (from, &stream)) in rows.enumerate() {
                let to = &mut output[extent.row(time, stream) * size..][..size];
                if place < self.active[time] {
                    to.copy_from_slice(from);
                } else {
                    to.fill(0.0);
                }
            }
        }
    }

    /// A block of time steps, whose input lies in `x`, through all layers; leaves the output in `x`. With `parallel`
    /// the two directions of a layer may run at the same time.
    pub(super) fn layers(&mut self, lstm: &Lstm, times: Range<usize>, parallel: bool) {
        if parallel && lstm.directions_at_once() == 2 {
            return self.layers_of_two(lstm, times);
        }
        self.layers_between(lstm, times, None);
    }

    /// [`layers`](Self::layers), one direction after the other. The rows may come from the given input and go to the
    /// given output, if they lie there as in `x`.
    pub(super) fn layers_between(&mut self, lstm: &Lstm, times: Range<usize>, ends: Option<(&[f32], &mut [f32])>) {
        let (config, streams) = (&lstm.config, self.streams());
        let [h_size, c_size] = [config.h_size(), config.hidden_size].map(|size| streams * layout::padded(size));
        let (input, mut output) = ends.unzip();
        for (cell, layer) in lstm.layers.iter().enumerate() {
            let (place, direction) = (cell / config.directions(), cell % config.directions());
            let pass = Pass {
                batch: streams,
                active: &self.active[times.clone()],
                reverse: direction == 1,
                backwards: self.backwards,
                x: input.filter(|_| place == 0).unwrap_or(&self.x),
                h: &mut self.h[cell * h_size..][..h_size],
                c: &mut self.c[cell * c_size..][..c_size],
                next: &mut self.next,
                z: &mut self.z,
                out: output.as_deref_mut().filter(|_| place + 1 == config.num_layers).unwrap_or(&mut self.y),
                out_stride: config.output_size(),
                out_first: direction * config.h_size(),
            };
            layer.run(lstm.token, pass);
            if direction + 1 == config.directions() {
                core::mem::swap(&mut self.x, &mut self.y);
            }
        }
        self.backwards ^= !times.len().is_multiple_of(2);
    }

    /// One time step of one stream through all layers, on the states that are here.
    #[inline]
    pub(super) fn advance_one(
        &mut self,
        lstm: &Lstm,
        backwards: bool,
        x: &[f32],
        output: &mut [f32],
        room: &mut [f32],
    ) {
        let (hidden, padded) = (lstm.config.hidden_size, layout::padded(lstm.config.hidden_size));
        for (n, layer) in lstm.layers.iter().enumerate() {
            let (before, here) = self.h.split_at_mut(n * padded);
            let x = if n == 0 { x } else { &before[(n - 1) * padded..][..hidden] };
            let (h, c) = (&mut here[..padded], &mut self.c[n * padded..][..padded]);
            let out = if n + 1 == lstm.layers.len() { &mut *output } else { &mut [] };
            layer.step(lstm.token, OneStep { x, h, c, out, room, backwards });
        }
    }

    /// One time step of a single layer on the states where they are: they need no padding.
    pub(super) fn step(
        &mut self,
        lstm: &Lstm,
        batch: usize,
        backwards: bool,
        x: &[f32],
        (h, c): (&mut [f32], &mut [f32]),
    ) {
        let room = room(lstm, 1, batch);
        grow(&mut self.next, room.next, 0.0);
        grow(&mut self.z, room.z, Line::ZERO);
        let pass = Pass {
            batch,
            active: &[batch],
            reverse: false,
            backwards,
            x,
            h,
            c,
            next: &mut self.next,
            z: &mut self.z,
            out: &mut [],
            out_stride: 0,
            out_first: 0,
        };
        lstm.layers[0].run(lstm.token, pass);
    }

    /// [`layers`](Self::layers), both directions of a layer at the same time. Each writes rows of its own, which are
    /// put together when both are done.
    fn layers_of_two(&mut self, lstm: &Lstm, times: Range<usize>) {
        let (config, streams, steps) = (&lstm.config, self.streams(), times.len());
        let size = config.h_size();
        let [h_size, c_size] = [size, config.hidden_size].map(|size| streams * layout::padded(size));
        let room = room(lstm, steps, streams);
        for (layer, pair) in lstm.layers.chunks_exact(2).enumerate() {
            let (h, h_back) = self.h[2 * layer * h_size..][..2 * h_size].split_at_mut(h_size);
            let (c, c_back) = self.c[2 * layer * c_size..][..2 * c_size].split_at_mut(c_size);
            let (next, next_back) = self.next.split_at_mut(room.next);
            let (z, z_back) = self.z.split_at_mut(room.z);
            let (out, out_back) = self.y.split_at_mut(steps * streams * size);
            let (x, active) = (&self.x[..], &self.active[times.clone()]);
            let pass = |reverse, h, c, next, z, out| {
                let (batch, backwards, out_stride, out_first) = (streams, false, size, 0);
                Pass { batch, active, reverse, backwards, x, h, c, next, z, out, out_stride, out_first }
            };
            let there = pass(false, h, c, next, z, out);
            let back = pass(true, h_back, c_back, next_back, z_back, out_back);
            join(true, || pair[0].run(lstm.token, there), || pair[1].run(lstm.token, back));

            let (out, out_back) = self.y.split_at(steps * streams * size);
            let rows = out.chunks_exact(size).zip(out_back.chunks_exact(size));
            for (to, (there, back)) in self.x.chunks_exact_mut(2 * size).zip(rows) {
                to[..size].copy_from_slice(there);
                to[size..].copy_from_slice(back);
            }
        }
    }
}

/// The memory for a pass through any of the layers.
fn room(lstm: &Lstm, steps: usize, streams: usize) -> Room {
    let rooms = lstm.layers.iter().map(|layer| layer.room(steps, streams));
    rooms.fold(Room::default(), |most, room| Room { next: most.next.max(room.next), z: most.z.max(room.z) })
}

#[inline]
pub(super) fn grow<T: Clone>(memory: &mut Vec<T>, len: usize, value: T) {
    if memory.len() < len {
        resize(memory, len, value);
    }
}

/// (Apart, for single steps ask.)
#[cold]
fn resize<T: Clone>(memory: &mut Vec<T>, len: usize, value: T) {
    memory.resize(len, value);
}
