//! The options of `torch.nn.LSTM`.

use crate::weights::Sizes;

/// What weights are stored as. Biases and states are f32, and so are sums but for [`F16`](Self::F16) on
/// [`Isa::V4F16`](crate::Isa::V4F16).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dtype {
    /// As they are given.
    #[default]
    F32,
    /// Rounded to IEEE 754 binary16. On `V4F16` products and sums are made in it too.
    F16,
    /// Rounded to bfloat16.
    Bf16,
}

/// The options of a [`torch.nn.LSTM`](https://docs.pytorch.org/docs/stable/generated/torch.nn.LSTM.html), with its
/// names and defaults, and what to store the weights as.
///
/// ```
/// use lstm_kernels::LstmConfig;
/// let config = LstmConfig::new(10, 20).num_layers(2).bidirectional(true);
/// assert_eq!((config.directions(), config.output_size()), (2, 40));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct LstmConfig {
    /// The number of inputs at each time step, 1 to 1,048,576.
    pub input_size: usize,
    /// The number of hidden units of each layer and direction, 1 to 1,048,576.
    pub hidden_size: usize,
    /// The number of layers, each of which reads the output of the one before, 1 to 1,048,576. Default: 1.
    pub num_layers: usize,
    /// Whether there are `bias_ih` and `bias_hh`. Default: true.
    pub bias: bool,
    /// Whether input and output are \[batch, steps, size\] instead of \[steps, batch, size\]. Default: false.
    pub batch_first: bool,
    /// The probability of dropout between layers, for the record: dropout is the identity at inference, which is
    /// all that this crate does. Default: 0.
    pub dropout: f64,
    /// Whether each layer has a second direction, which reads the sequence backwards. Default: false.
    pub bidirectional: bool,
    /// The size that h is projected to, less than `hidden_size`; 0 for no projection. Default: 0.
    pub proj_size: usize,
    /// What the weights are stored as here. Default: f32.
    pub dtype: Dtype,
}

impl LstmConfig {
    /// One layer in one direction, with bias.
    pub const fn new(input_size: usize, hidden_size: usize) -> Self {
        Self {
            input_size,
            hidden_size,
            num_layers: 1,
            bias: true,
            batch_first: false,
            dropout: 0.0,
            bidirectional: false,
            proj_size: 0,
            dtype: Dtype::F32,
        }
    }

    /// Sets [`num_layers`](Self::num_layers).
    #[must_use]
    pub const fn num_layers(self, num_layers: usize) -> Self {
        Self { num_layers, ..self }
    }

    /// Sets [`bias`](Self::bias).
    #[must_use]
    pub const fn bias(self, bias: bool) -> Self {
        Self { bias, ..self }
    }

    /// Sets [`batch_first`](Self::batch_first).
    #[must_use]
    pub const fn batch_first(self, batch_first: bool) -> Self {
        Self { batch_first, ..self }
    }

    /// Sets [`dropout`](Self::dropout).
    #[must_use]
    pub const fn dropout(self, dropout: f64) -> Self {
        Self { dropout, ..self }
    }

    /// Sets [`bidirectional`](Self::bidirectional).
    #[must_use]
    pub const fn bidirectional(self, bidirectional: bool) -> Self {
        Self { bidirectional, ..self }
    }

    /// Sets [`proj_size`](Self::proj_size).
    #[must_use]
    pub const fn proj_size(self, proj_size: usize) -> Self {
        Self { proj_size, ..self }
    }

    /// Sets [`dtype`](Self::dtype).
    #[must_use]
    pub const fn dtype(self, dtype: Dtype) -> Self {
        Self { dtype, ..self }
    }

    /// Directions: 2 if bidirectional, else 1.
    pub const fn directions(&self) -> usize {
        if self.bidirectional { 2 } else { 1 }
    }

    /// The length of h of one direction: `proj_size`, or `hidden_size` without a projection.
    pub const fn h_size(&self) -> usize {
        if self.proj_size == 0 { self.hidden_size } else { self.proj_size }
    }

    /// The length of an output row: both directions' h, one after the other.
    pub const fn output_size(&self) -> usize {
        self.directions().saturating_mul(self.h_size())
    }

    /// The number of weights to give: layers times directions.
    pub const fn cells(&self) -> usize {
        self.num_layers.saturating_mul(self.directions())
    }

    /// The sizes of a layer, the same for its directions.
    pub(crate) fn sizes(&self, layer: usize) -> Sizes {
        Sizes {
            input: if layer == 0 { self.input_size } else { self.output_size() },
            hidden: self.hidden_size,
            proj: (self.proj_size > 0).then_some(self.proj_size),
        }
    }
}
