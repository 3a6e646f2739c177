//! Whole sequences, with the semantics of
//! [`torch.nn.LSTM`](https://docs.pytorch.org/docs/stable/generated/torch.nn.LSTM.html) and sizes known at run time.
//!
//! [`Lstm`] holds the packed weights of all layers and directions. From the simplest call to the fastest:
//! - [`Lstm::forward`] takes a slice with its shape and returns output, `h_n` and `c_n`;
//! - [`Lstm::forward_into`] writes into your slices and works in a [`Workspace`]: no allocation;
//! - [`Lstm::stream`] and [`Lstm::advance`] take the sequences in pieces;
//! - [`LstmCellDyn`] is `torch.nn.LSTMCell`: one time step.
//!
//! With the feature `rayon`, `Lstm::threads` lets a call use more than one thread.
//!
//! All give the same bits as `step` of a cell made by [`lstm_cell!`](crate::lstm_cell) with the same weights (layer
//! after layer), on every instruction set (but [`Isa::V4F16`], whose bits are its own), for every batch, number of
//! threads and way to cut a sequence into pieces.
//!
//! Layers of (256, 256) and more are a little faster if their weights lie in huge pages: on Zen 5 (256, 256) by 3 %
//! with one stream and 1 % with 32, (512, 512) by 0 and 3 %, smaller ones not at all. That is for the program's
//! allocator to do, which must align large blocks to 2 MiB and ask Linux for them (`MADV_HUGEPAGE`).

#[cfg(feature = "ndarray")]
mod array;
mod cell_dyn;
#[cfg(feature = "safetensors")]
mod from_state_dict;
pub(crate) mod input;
mod layer;
mod options;
mod projection;
mod shard;
mod stream;
mod threads;
mod workspace;

use alloc::vec::Vec;
use core::fmt;

#[cfg(feature = "ndarray")]
pub use array::Arrays;
pub use cell_dyn::LstmCellDyn;
pub use input::{Input, Output};
#[doc(hidden)]
pub use projection::Projection;
pub use stream::Stream;
pub use workspace::Workspace;

pub use crate::config::{Dtype, LstmConfig};
pub use crate::tensor::Tensor;

use crate::error::Error;
use crate::isa::{Isa, Token};
use crate::tensor::check_elements;
use crate::weights::LstmWeights;
use input::Extent;
use layer::PackedLayer;

/// An LSTM with the options and semantics of `torch.nn.LSTM`, for inference.
///
/// It owns its packed weights: what they take as f32 (or [`Dtype`]), padded by at most 3 units. With AVX-512 a layer of
/// f32 of 49 to 885 units, with 15 inputs or more and without a projection, holds its input weights twice, in a second
/// order that long sequences of one stream gain from (of far more inputs than units only some, or none). A layer of
/// half precision is held as f32, with the same bits, where that takes up to 32 KiB.
///
/// ```
/// use lstm_kernels::lstm::Input;
/// use lstm_kernels::{Lstm, LstmConfig, LstmWeights};
///
/// // torch: rnn = torch.nn.LSTM(10, 20, 2)
/// let (w_ih_l0, w_ih_l1, w_hh, b) = ([0.1; 80 * 10], [0.1; 80 * 20], [0.1; 80 * 20], [0.0; 80]);
/// let weights = [
///     LstmWeights::torch(&w_ih_l0, &w_hh, Some((&b, &b))),
///     LstmWeights::torch(&w_ih_l1, &w_hh, Some((&b, &b))),
/// ];
/// let rnn = Lstm::new(LstmConfig::new(10, 20).num_layers(2), &weights)?;
///
/// // torch: output, (h_n, c_n) = rnn(torch.ones(5, 3, 10), (h_0, c_0))
/// let (x, h_0, c_0) = ([1.0; 5 * 3 * 10], [0.0; 2 * 3 * 20], [0.0; 2 * 3 * 20]);
/// let result = rnn.forward(Input::new(&x, &[5, 3, 10]), Some((&h_0, &c_0)))?;
/// assert_eq!(result.output.shape, [5, 3, 20]);
/// assert_eq!(result.h_n.shape, [2, 3, 20]);
/// # Ok::<(), lstm_kernels::Error>(())
/// ```
#[derive(Clone)]
pub struct Lstm {
    config: LstmConfig,
    token: Token,
    /// Layer by layer, the forward direction first.
    layers: Vec<PackedLayer>,
    /// Whether all of them can take a time step of one stream by [`PackedLayer::step`].
    one_step: bool,
    /// Whether a step of a single one takes room: if that is not small, or `hidden_size` asks for padding.
    needs_room: bool,
    /// Whether there is a layer whose steps turn round.
    turns_round: bool,
    /// The most threads that a call may use.
    threads: usize,
}

impl Lstm {
    /// An LSTM on the fastest instruction set that [`Isa::detect`] finds. `weights`: layer by layer, and of each
    /// layer the forward direction, then the reverse one if there is one.
    ///
    /// # Errors
    /// What [`with_isa`](Self::with_isa) and [`Isa::detect`] refuse.
    pub fn new(config: LstmConfig, weights: &[LstmWeights<'_>]) -> Result<Self, Error> {
        Self::with_isa(config, weights, Isa::detect()?)
    }

    /// An LSTM on a given instruction set.
    ///
    /// # Errors
    /// An option that `torch.nn.LSTM` refuses; another number of weights than layers times directions; a tensor of the
    /// wrong length, a NaN or infinite weight or one beyond the `dtype`, a missing or unexpected bias or projection; an
    /// instruction set that this CPU lacks.
    ///
    /// # Panics
    /// As a `Vec` does, if the packed weights need more memory than there can be.
    pub fn with_isa(config: LstmConfig, weights: &[LstmWeights<'_>], isa: Isa) -> Result<Self, Error> {
        config.check()?;
        let token = Token::new(isa)?;
        let layers = config.each_cell(weights, |weights, sizes| PackedLayer::new(weights, sizes, config, token))?;
        let one_step = layers.iter().all(PackedLayer::steps_alone);
        let needs_room = !config.hidden_size.is_multiple_of(4) || !layers.iter().all(PackedLayer::is_small);
        let turns_round = layers.iter().any(PackedLayer::turns_round);
        Ok(Self { config, token, layers, one_step, needs_room, turns_round, threads: 1 })
    }

    /// Sets whether input and output are \[batch, steps, size\] instead of \[steps, batch, size\]: the one option that
    /// no weight depends on.
    #[must_use]
    pub fn batch_first(mut self, batch_first: bool) -> Self {
        self.config.batch_first = batch_first;
        self
    }

    /// The options.
    pub const fn config(&self) -> &LstmConfig {
        &self.config
    }

    /// The instruction set that it runs on.
    pub const fn isa(&self) -> Isa {
        self.token.isa()
    }

    /// Runs a batch of sequences from the states `(h_0, c_0)`, `[directions * num_layers, batch, h_size]` and
    /// `[directions * num_layers, batch, hidden_size]` (without `batch` if the input has none), or from zero.
    ///
    /// # Errors
    /// An input of the wrong shape or lengths, states of another number of elements.
    ///
    /// # Panics
    /// As a `Vec` does, if the results need more memory than there can be.
    pub fn forward(&self, input: Input<'_>, initial: Option<(&[f32], &[f32])>) -> Result<Output, Error> {
        let extent = Extent::new(&self.config, &input, 1)?;
        let (h_size, c_size) = (self.config.h_size(), self.config.hidden_size);
        let tensor = |shape: Vec<usize>| {
            let len = shape.iter().fold(1, |len: usize, &size| len.saturating_mul(size));
            Tensor { data: alloc::vec![0.0; len], shape }
        };
        let state = |size| {
            let cells = self.config.cells();
            tensor(if extent.batched { alloc::vec![cells, extent.batch, size] } else { alloc::vec![cells, size] })
        };
        let mut result =
            Output { output: tensor(extent.shape(self.config.output_size())), h_n: state(h_size), c_n: state(c_size) };
        if let Some((h_0, c_0)) = initial {
            self.check_states(("h_0", h_0.len()), ("c_0", c_0.len()), extent.batch)?;
            result.h_n.data.copy_from_slice(h_0);
            result.c_n.data.copy_from_slice(c_0);
        }
        let states = (&mut result.h_n.data[..], &mut result.c_n.data[..]);
        self.forward_into(input, states, &mut result.output.data, &mut Workspace::new())?;
        Ok(result)
    }

    /// [`forward`](Self::forward) into given memory: `(h, c)` hold `(h_0, c_0)` before and `(h_n, c_n)` after. `output`
    /// is \[steps, batch, directions * h_size\], or with the first two exchanged, as the input. No allocation, if
    /// `workspace` comes from [`workspace`](Self::workspace) or has seen such an input before.
    ///
    /// ```
    /// use lstm_kernels::lstm::Input;
    /// use lstm_kernels::{Lstm, LstmConfig, LstmWeights};
    /// # let (w_ih, w_hh) = ([0.1; 80 * 10], [0.1; 80 * 20]);
    /// # let weights = [LstmWeights::torch(&w_ih, &w_hh, None)];
    /// let lstm = Lstm::new(LstmConfig::new(10, 20).bias(false), &weights)?;
    /// let mut workspace = lstm.workspace(5, 3);
    /// let (mut h, mut c, mut output) = ([0.0; 3 * 20], [0.0; 3 * 20], [0.0; 5 * 3 * 20]);
    /// lstm.forward_into(Input::new(&[0.5; 5 * 3 * 10], &[5, 3, 10]), (&mut h, &mut c), &mut output, &mut workspace)?;
    /// assert_eq!(output[4 * 3 * 20..], h);
    /// # Ok::<(), lstm_kernels::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`forward`](Self::forward), and an `output` of another number of elements; nothing has changed then.
    pub fn forward_into(
        &self,
        input: Input<'_>,
        (h, c): (&mut [f32], &mut [f32]),
        output: &mut [f32],
        workspace: &mut Workspace,
    ) -> Result<(), Error> {
        let extent = Extent::new(&self.config, &input, 1)?;
        self.check_states(("h", h.len()), ("c", c.len()), extent.batch)?;
        check_elements("output", output.len(), extent.dimensions(self.config.output_size()))?;
        if extent.batch == 0 {
            return Ok(());
        }
        workspace.prepare(self, extent.steps, extent.batch);
        workspace.sort(extent.steps, input.lengths);
        workspace.set_states(self, h, c);
        workspace.run(self, extent, &input, output);
        workspace.states(self, h, c);
        Ok(())
    }

    /// Memory for inputs of up to `steps` time steps and `batch` sequences.
    ///
    /// # Panics
    /// As a `Vec` does, if that is more memory than there can be.
    pub fn workspace(&self, steps: usize, batch: usize) -> Workspace {
        let mut workspace = Workspace::new();
        workspace.prepare(self, steps.max(1), batch.max(1));
        workspace
    }

    fn check_states(&self, h: (&'static str, usize), c: (&'static str, usize), batch: usize) -> Result<(), Error> {
        let cells = self.config.cells();
        check_elements(h.0, h.1, [cells, batch, self.config.h_size()])?;
        check_elements(c.0, c.1, [cells, batch, self.config.hidden_size])
    }
}

/// The options, not the weights.
impl fmt::Debug for Lstm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { config, threads, .. } = self;
        f.debug_struct("Lstm")
            .field("config", config)
            .field("isa", &self.isa())
            .field("threads", threads)
            .finish_non_exhaustive()
    }
}
