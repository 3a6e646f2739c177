//! `torch.nn.LSTMCell` with sizes known at run time.

use super::{Dtype, Lstm, LstmConfig, Workspace};
use crate::error::Error;
use crate::isa::Isa;
use crate::tensor::nearest_rows;
use crate::weights::LstmWeights;

/// One time step with sizes known at run time, with the semantics of
/// [`torch.nn.LSTMCell`](https://docs.pytorch.org/docs/stable/generated/torch.nn.LSTMCell.html). Where the sizes are
/// known when you compile, [`lstm_cell!`](crate::lstm_cell) needs no heap and no workspace, and is faster with AVX2 or
/// from 49 units on (by 60 ns and more); with AVX-512 a step of one stream of a smaller cell takes as long (README), if
/// `hidden_size` is a multiple of 4: other states are copied, which takes up to 1.4 times as long (a
/// [`Stream`](crate::lstm::Stream) keeps its states where they need no copy).
///
/// ```
/// use lstm_kernels::{LstmCellDyn, LstmWeights};
///
/// let (w_ih, w_hh, b) = ([0.1; 80 * 10], [0.1; 80 * 20], [0.0; 80]);
/// let cell = LstmCellDyn::new(10, 20, &LstmWeights::torch(&w_ih, &w_hh, Some((&b, &b))))?;
///
/// // torch: h, c = cell(x, (h, c)), for a batch of three
/// let (mut h, mut c, mut workspace) = ([0.0; 3 * 20], [0.0; 3 * 20], cell.workspace(3));
/// for x in [[0.5; 3 * 10], [-0.5; 3 * 10]] {
///     cell.step(&x, &mut h, &mut c, &mut workspace)?;
/// }
/// # Ok::<(), lstm_kernels::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct LstmCellDyn(Lstm);

impl LstmCellDyn {
    /// A cell on the fastest instruction set that [`Isa::detect`] finds, with or without bias as the weights have it.
    ///
    /// # Errors
    /// As [`Lstm::new`].
    pub fn new(input_size: usize, hidden_size: usize, weights: &LstmWeights<'_>) -> Result<Self, Error> {
        Self::with_isa(input_size, hidden_size, weights, Isa::detect()?)
    }

    /// A cell on a given instruction set.
    ///
    /// # Errors
    /// As [`Lstm::with_isa`].
    pub fn with_isa(input_size: usize, hidden_size: usize, weights: &LstmWeights<'_>, isa: Isa) -> Result<Self, Error> {
        Self::with_dtype(input_size, hidden_size, weights, Dtype::F32, isa)
    }

    /// A cell that stores its weights in half precision, which is faster from some 64 units on (README).
    ///
    /// ```
    /// use lstm_kernels::{Dtype, Isa, LstmCellDyn, LstmWeights};
    /// # let (w_ih, w_hh) = ([0.1; 4 * 64 * 64], [0.1; 4 * 64 * 64]);
    /// let weights = LstmWeights::torch(&w_ih, &w_hh, None); // [4 * 64, 64] each
    /// let cell = LstmCellDyn::with_dtype(64, 64, &weights, Dtype::Bf16, Isa::detect()?)?;
    /// # assert_eq!(cell.hidden_size(), 64);
    /// # Ok::<(), lstm_kernels::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Lstm::with_isa`].
    pub fn with_dtype(
        input_size: usize,
        hidden_size: usize,
        weights: &LstmWeights<'_>,
        dtype: Dtype,
        isa: Isa,
    ) -> Result<Self, Error> {
        let config = LstmConfig::new(input_size, hidden_size).bias(weights.has_bias()).dtype(dtype);
        let lstm = Lstm::with_isa(config, core::slice::from_ref(weights), isa);
        // A cell has no layers to be named.
        lstm.map(Self).map_err(|error| if let Error::LayerWeights { error, .. } = error { error.into() } else { error })
    }

    /// The number of inputs.
    pub const fn input_size(&self) -> usize {
        self.0.config().input_size
    }

    /// The number of hidden units.
    pub const fn hidden_size(&self) -> usize {
        self.0.config().hidden_size
    }

    /// Memory for steps of up to `batch` streams.
    ///
    /// # Panics
    /// As a `Vec` does, if that is more memory than there can be.
    pub fn workspace(&self, batch: usize) -> Workspace {
        self.0.workspace(1, batch)
    }

    /// The instruction set that it runs on.
    pub const fn isa(&self) -> Isa {
        self.0.isa()
    }

    /// One time step of a batch, whose size is that of `h`: x `[batch, input_size]`, h and c `[batch, hidden_size]`;
    /// for one stream without `batch`. No allocation, if `workspace` comes from [`workspace`](Self::workspace) or has
    /// seen a batch of this size.
    ///
    /// # Errors
    /// Slices whose lengths do not belong together; nothing has changed then.
    #[inline]
    pub fn step(&self, x: &[f32], h: &mut [f32], c: &mut [f32], workspace: &mut Workspace) -> Result<(), Error> {
        let LstmConfig { input_size, hidden_size, .. } = self.0.config;
        let one = x.len() == input_size && h.len() == hidden_size && c.len() == hidden_size;
        if one && self.0.one_step {
            workspace.one_step(&self.0, x, (h, c));
            return Ok(());
        }
        self.step_of_many(x, h, c, workspace)
    }

    /// [`step`](Self::step) of a batch, or where there is no function for one stream.
    #[inline(never)]
    fn step_of_many(&self, x: &[f32], h: &mut [f32], c: &mut [f32], workspace: &mut Workspace) -> Result<(), Error> {
        if x.is_empty() && h.is_empty() && c.is_empty() {
            return Ok(()); // of a batch of none
        }
        let batch = usize::max(nearest_rows(h.len(), self.hidden_size()), 1);
        workspace.step(&self.0, batch, x, (h, c))
    }
}
