//! What goes in and what comes out: slices with shapes, as PyTorch has them.

use alloc::vec::Vec;

use super::{LstmConfig, Tensor};
use crate::error::Error;
use crate::tensor::check_elements;

/// A batch of sequences, row-major: `[steps, batch, input_size]`, `[batch, steps, input_size]` with `batch_first`,
/// or `[steps, input_size]`, unbatched. There is at least one time step (but in a piece of a stream); a batch may be
/// empty.
///
/// ```
/// use lstm_kernels::lstm::Input;
/// let x = [0.0; 5 * 3 * 10];
/// let same_length = Input::new(&x, &[5, 3, 10]);
/// // As `pack_padded_sequence(x, lengths, enforce_sorted=False)`: what lies behind a sequence's end is not read.
/// let of_lengths = Input::new(&x, &[5, 3, 10]).lengths(&[2, 5, 1]);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    pub(crate) data: &'a [f32],
    shape: &'a [usize],
    pub(crate) lengths: Option<&'a [usize]>,
}

impl<'a> Input<'a> {
    /// Sequences of one length.
    pub const fn new(data: &'a [f32], shape: &'a [usize]) -> Self {
        Self { data, shape, lengths: None }
    }

    /// Gives each sequence a length of its own, in time steps, from 1 to `steps`; in any order.
    #[must_use]
    pub const fn lengths(self, lengths: &'a [usize]) -> Self {
        Self { lengths: Some(lengths), ..self }
    }

    /// Whether it is one time step of one sequence, and nothing is wrong with it.
    #[inline]
    pub(super) fn is_one_step(&self, size: usize) -> bool {
        self.data.len() == size
            && self.lengths.is_none()
            && matches!(*self.shape, [1, 1, last] | [1, last] if last == size)
    }
}

/// What [`Lstm::forward`](super::Lstm::forward) returns, each tensor in PyTorch's shape.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Output {
    /// The last layer's h at every time step: the input's shape with `directions * h_size` as its last dimension.
    /// Zero behind a sequence's end.
    pub output: Tensor,
    /// Every layer's and direction's last h: `[directions * num_layers, batch, h_size]`, without `batch` if the input
    /// had none.
    pub h_n: Tensor,
    /// Every layer's and direction's last c: `[directions * num_layers, batch, hidden_size]`, likewise.
    pub c_n: Tensor,
}

/// The sizes of an input, and where its rows lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    pub(crate) steps: usize,
    pub(crate) batch: usize,
    pub(crate) batched: bool,
    batch_first: bool,
}

impl Extent {
    /// Reads and checks an input's shape, of `least` time steps.
    pub(crate) fn of_shape(config: &LstmConfig, shape: &[usize], least: usize) -> Result<Self, Error> {
        let batch_first = config.batch_first;
        let (steps, batch, batched, size) = match *shape {
            [steps, size] => (steps, 1, false, size),
            [batch, steps, size] if batch_first => (steps, batch, true, size),
            [steps, batch, size] => (steps, batch, true, size),
            _ => return Err(wrong_input(config, shape, least)),
        };
        if size != config.input_size || steps < least {
            return Err(wrong_input(config, shape, least));
        }
        Ok(Self { steps, batch, batched, batch_first })
    }

    /// Reads and checks an input's shape, of `least` time steps, its length and lengths.
    pub(crate) fn new(config: &LstmConfig, input: &Input<'_>, least: usize) -> Result<Self, Error> {
        let extent = Self::of_shape(config, input.shape, least)?;
        let (steps, batch) = (extent.steps, extent.batch);
        check_elements("input", input.data.len(), extent.dimensions(config.input_size))?;
        if let Some(lengths) = input.lengths {
            if lengths.len() != batch {
                return Err(Error::WrongLengths { expected: batch, found: lengths.len() });
            }
            let wrong = |length: &usize| *length == 0 || *length > steps;
            if let Some(sequence) = lengths.iter().position(wrong) {
                return Err(Error::WrongSequenceLength { sequence, steps, found: lengths[sequence] });
            }
        }
        Ok(extent)
    }

    /// Whether the rows of a time step lie side by side, and one time step after the other.
    pub(super) const fn is_time_major(&self) -> bool {
        !self.batch_first || self.batch == 1
    }

    /// The place of a row: `row * size` is its first element.
    pub(super) const fn row(&self, time: usize, stream: usize) -> usize {
        if self.batch_first { stream * self.steps + time } else { time * self.batch + stream }
    }

    /// The input's shape with another last dimension, in three dimensions.
    pub(super) const fn dimensions(&self, size: usize) -> [usize; 3] {
        if self.batch_first && self.batched {
            [self.batch, self.steps, size]
        } else if self.batched {
            [self.steps, self.batch, size]
        } else {
            [1, self.steps, size]
        }
    }

    /// The input's shape with another last dimension.
    pub(super) fn shape(&self, size: usize) -> Vec<usize> {
        self.dimensions(size)[usize::from(!self.batched)..].to_vec()
    }
}

fn wrong_input(config: &LstmConfig, shape: &[usize], least: usize) -> Error {
    let expected = match (config.batch_first, least) {
        (true, 0) => "[batch, steps, input_size] or [steps, input_size]",
        (false, 0) => "[steps, batch, input_size] or [steps, input_size]",
        (true, _) => "[batch, steps, input_size] or [steps, input_size], steps not zero,",
        (false, _) => "[steps, batch, input_size] or [steps, input_size], steps not zero,",
    };
    wrong_shape("input", expected, config.input_size, shape)
}

pub(super) fn wrong_shape(tensor: &'static str, expected: &'static str, size: usize, shape: &[usize]) -> Error {
    let mut found = [0; 4];
    for (found, size) in found.iter_mut().zip(shape) {
        *found = *size;
    }
    Error::WrongShape { tensor, expected, size, found, dimensions: shape.len() }
}
