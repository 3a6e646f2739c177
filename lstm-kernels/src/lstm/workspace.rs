//! The memory of a pass through all layers, and the pass.

use alloc::vec::Vec;
use core::fmt;

use super::Lstm;
use super::input::{Extent, Input};
use super::shard::{Shard, grow};
use super::threads::{TOGETHER, each};
use crate::error::Error;
use crate::kernel::one_step::OneStep;
use crate::layout;
use crate::tensor::check_elements;

/// Rows (time steps times streams) of each shard that go through all layers of a unidirectional LSTM together: enough
/// to compute x's part ahead, few enough for the layers' outputs to stay in a cache.
const BLOCK_ROWS: usize = 1024;

/// With threads small layers take more rows, up to so many elements, as shards wait for each other after each block.
const BLOCK_FLOATS: usize = 128 << 10;

/// Memory that a pass works in. It can be used again for any input and any [`Lstm`]; it grows when it must, and
/// never shrinks. [`Lstm::workspace`] makes one that need not grow.
///
/// ```
/// use lstm_kernels::lstm::Input;
/// use lstm_kernels::{Lstm, LstmConfig, LstmWeights};
/// # let (w_ih, w_hh) = ([0.1; 8 * 3], [0.2; 8 * 2]);
/// let lstm = Lstm::new(LstmConfig::new(3, 2).bias(false), &[LstmWeights::torch(&w_ih, &w_hh, None)])?;
///
/// let mut workspace = lstm.workspace(5, 1); // up to five time steps of one sequence
/// let (mut h, mut c, mut output) = ([0.0; 2], [0.0; 2], [0.0; 5 * 2]);
/// for x in [[0.5; 5 * 3], [-0.5; 5 * 3]] {
///     // No allocation; the second call goes on from the state that the first has left.
///     lstm.forward_into(Input::new(&x, &[5, 1, 3]), (&mut h, &mut c), &mut output, &mut workspace)?;
///     assert_eq!(output[8..], h);
/// }
/// # Ok::<(), lstm_kernels::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Workspace {
    /// The streams, cut into the first `used` of these.
    shards: Vec<Shard>,
    used: usize,
    /// The streams by length.
    order: Vec<usize>,
    /// Which way the next one of single steps goes, see [`Pass::backwards`](super::layer::Pass::backwards).
    backwards: bool,
    /// What single steps of one stream work in: [`OneStep::room`].
    room: Vec<f32>,
}

impl Workspace {
    /// An empty one.
    pub const fn new() -> Self {
        Self { shards: Vec::new(), used: 0, order: Vec::new(), backwards: false, room: Vec::new() }
    }

    /// Makes room for an input, and sets all states to zero.
    pub(super) fn prepare(&mut self, lstm: &Lstm, steps: usize, batch: usize) {
        self.used = lstm.shards(batch);
        if self.shards.len() < self.used {
            self.shards.resize_with(self.used, Shard::default);
        }
        self.order.clear();
        self.order.extend(0..batch);
        self.deal();
        self.make_room(lstm);
        self.reserve(lstm, steps);
        self.clear(lstm);
    }

    /// Sets all states to zero.
    pub(super) fn clear(&mut self, lstm: &Lstm) {
        self.shards[..self.used].iter_mut().for_each(|shard| shard.clear(lstm));
    }

    /// Makes room for an input of the same batch.
    pub(super) fn reserve(&mut self, lstm: &Lstm, steps: usize) {
        let most = rows(lstm);
        self.shards[..self.used].iter_mut().for_each(|shard| shard.reserve(lstm, steps, most));
    }

    /// Deals the streams to the shards, so that each has long ones and short ones.
    fn deal(&mut self) {
        for (n, shard) in self.shards[..self.used].iter_mut().enumerate() {
            shard.take(self.order.chunks(TOGETHER).skip(n).step_by(self.used).flatten());
        }
    }

    /// Sorts the streams by length, and counts those that run at each time step.
    pub(super) fn sort(&mut self, steps: usize, lengths: Option<&[usize]>) {
        if let Some(lengths) = lengths {
            self.order.sort_unstable_by_key(|&stream| (usize::MAX - lengths[stream], stream));
            self.deal();
        }
        self.shards[..self.used].iter_mut().for_each(|shard| shard.count(steps, lengths));
    }

    /// Copies PyTorch's `[cells, batch, size]` states in.
    pub(super) fn set_states(&mut self, lstm: &Lstm, h: &[f32], c: &[f32]) {
        self.shards[..self.used].iter_mut().for_each(|shard| shard.set_states(lstm, self.order.len(), h, c));
    }

    /// Copies the states out.
    pub(super) fn states(&self, lstm: &Lstm, h: &mut [f32], c: &mut [f32]) {
        self.shards[..self.used].iter().for_each(|shard| shard.states(lstm, self.order.len(), h, c));
    }

    /// One time step of one stream, from the states that are here; `turned`: the other way than [`turn_round`] has it.
    ///
    /// [`turn_round`]: Self::turn_round
    #[inline]
    pub(super) fn advance_one(&mut self, lstm: &Lstm, x: &[f32], output: &mut [f32], turned: bool) {
        let backwards = self.turn_round() ^ turned;
        self.shards[0].advance_one(lstm, backwards, x, output, &mut self.room);
    }

    /// Room for single steps of one stream.
    #[inline]
    fn make_room(&mut self, lstm: &Lstm) {
        grow(&mut self.room, 3 * layout::padded(lstm.config.hidden_size), 0.0);
    }

    /// Which way a single step goes: each the other one than that before.
    #[inline]
    pub(super) const fn turn_round(&mut self) -> bool {
        self.backwards = !self.backwards;
        self.backwards
    }

    /// One time step of one stream through a single layer.
    #[inline]
    pub(super) fn one_step(&mut self, lstm: &Lstm, x: &[f32], (h, c): (&mut [f32], &mut [f32])) {
        let backwards = self.turn_round();
        if lstm.needs_room {
            return self.one_step_in_room(lstm, x, (h, c), backwards);
        }
        lstm.layers[0].step(lstm.token, OneStep { x, h, c, out: &mut [], room: &mut [], backwards });
    }

    /// The same, of a layer that is not small, or on copies of states that have no padding.
    #[inline(never)]
    fn one_step_in_room(&mut self, lstm: &Lstm, x: &[f32], (h, c): (&mut [f32], &mut [f32]), backwards: bool) {
        self.make_room(lstm);
        let (layer, hidden) = (&lstm.layers[0], lstm.config.hidden_size);
        if hidden.is_multiple_of(4) {
            return layer.step(lstm.token, OneStep { x, h, c, out: &mut [], room: &mut self.room, backwards });
        }
        let (h_copy, rest) = self.room.split_at_mut(layout::padded(hidden));
        let (c_copy, room) = rest.split_at_mut(layout::padded(hidden));
        h_copy[..hidden].copy_from_slice(h);
        c_copy[..hidden].copy_from_slice(c);
        layer.step(lstm.token, OneStep { x, h: h_copy, c: c_copy, out: h, room, backwards });
        c.copy_from_slice(&c_copy[..hidden]);
    }

    fn first(&mut self) -> &mut Shard {
        if self.shards.is_empty() {
            self.shards.push(Shard::default());
        }
        &mut self.shards[0]
    }

    /// One time step of a single layer; h is the output.
    pub(super) fn step(
        &mut self,
        lstm: &Lstm,
        batch: usize,
        x: &[f32],
        (h, c): (&mut [f32], &mut [f32]),
    ) -> Result<(), Error> {
        check_elements("x", x.len(), [1, batch, lstm.config.input_size])?;
        lstm.check_states(("h", h.len()), ("c", c.len()), batch)?;
        if lstm.config.hidden_size.is_multiple_of(4) {
            let backwards = self.turn_round();
            self.first().step(lstm, batch, backwards, x, (h, c));
            return Ok(());
        }
        let shape = [1, batch, lstm.config.input_size];
        let extent = Extent::new(&lstm.config, &Input::new(x, &shape), 1)?;
        self.prepare(lstm, 1, batch);
        self.sort(1, None);
        self.set_states(lstm, h, c);
        each(&mut self.shards[..self.used], false, &|shard| {
            shard.gather(lstm, 0..1, extent, x);
            shard.layers(lstm, 0..1, false);
        });
        self.states(lstm, h, c);
        Ok(())
    }

    /// All time steps of `input` through all layers, from the states that are here.
    pub(super) fn run(&mut self, lstm: &Lstm, extent: Extent, input: &Input<'_>, output: &mut [f32]) {
        let block = self.block(lstm, extent.steps);
        let parallel = lstm.pays(usize::min(block, extent.steps) * extent.batch);
        let shards = &mut self.shards[..self.used];
        let in_order = extent.is_time_major() && input.lengths.is_none() && lstm.directions_at_once() == 1;
        for first in (0..extent.steps).step_by(block) {
            let times = first..usize::min(first + block, extent.steps);
            if let ([shard], true) = (&mut *shards, in_order) {
                // The rows lie as the shard would lay them out.
                let rows = |size: usize| times.start * extent.batch * size..times.end * extent.batch * size;
                let (x, y) = (rows(lstm.config.input_size), rows(lstm.config.output_size()));
                shard.layers_between(lstm, times, Some((&input.data[x], &mut output[y])));
                continue;
            }
            each(shards, parallel, &|shard| {
                shard.gather(lstm, times.clone(), extent, input.data);
                shard.layers(lstm, times.clone(), parallel);
            });
            shards.iter().for_each(|shard| shard.scatter(lstm, times.clone(), extent, output));
        }
    }

    /// Time steps that go through all layers together: all of them if a direction starts at the end.
    fn block(&self, lstm: &Lstm, steps: usize) -> usize {
        let streams = self.shards[..self.used].iter().map(Shard::streams).max().unwrap_or(0);
        if lstm.config.bidirectional { steps } else { usize::clamp(rows(lstm) / streams.max(1), 1, steps) }
    }
}

impl fmt::Debug for Workspace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workspace").finish_non_exhaustive()
    }
}

/// The most rows of a block of more than one time step, unless a direction starts at the end.
fn rows(lstm: &Lstm) -> usize {
    let width = usize::max(lstm.config.input_size, lstm.config.output_size());
    let most = if lstm.threads > 1 { 8 * BLOCK_ROWS } else { BLOCK_ROWS };
    if lstm.config.bidirectional { usize::MAX } else { usize::clamp(BLOCK_FLOATS / width, BLOCK_ROWS, most) }
}
