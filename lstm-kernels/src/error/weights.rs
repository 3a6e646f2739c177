//! What can be wrong with weights.

use core::fmt;

/// Everything that is refused in the weights of a cell, or of a layer and direction.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum WeightsError {
    /// A tensor has another number of elements than the cell's sizes ask for.
    WrongLength {
        /// The tensor's name where it comes from: `weight_ih`, `weight_hh`, `bias_ih`, `bias_hh`, `weight_hr` in
        /// PyTorch, `kernel`, `recurrent_kernel`, `bias` in Keras, `W`, `R`, `B` in ONNX;
        /// `linear.weight`, `linear.bias` of a head.
        tensor: &'static str,
        /// The number of elements that the cell's sizes ask for.
        expected: usize,
        /// The number of elements given.
        found: usize,
    },
    /// A weight or bias is NaN or infinite.
    NonFinite {
        /// The tensor's name, as in [`WrongLength`](Self::WrongLength).
        tensor: &'static str,
        /// The element's index in the row-major tensor.
        index: usize,
        /// The element.
        value: f32,
    },
    /// A weight is finite, but not when it is rounded to the type that the cell stores it as.
    BeyondRange {
        /// The tensor's name, as in [`WrongLength`](Self::WrongLength).
        tensor: &'static str,
        /// The element's index in the row-major tensor.
        index: usize,
        /// The element.
        value: f32,
        /// The type: `f16` or `bf16`.
        dtype: &'static str,
    },
    /// The two biases of a gate and unit are finite, but not their sum, which is what is stored.
    BiasSum {
        /// Their names: `bias_ih` and `bias_hh` in PyTorch, `Wb` and `Rb` (the halves of `B`) in ONNX.
        tensors: [&'static str; 2],
        /// The index in either.
        index: usize,
        /// The two.
        values: [f32; 2],
    },
    /// The cell has a bias, the weights given have none.
    MissingBias,
    /// The cell was declared with `bias = false`, the weights given have a bias.
    UnexpectedBias,
    /// The layer has a `proj_size`, the weights given have no `weight_hr`.
    MissingProjection,
    /// The weights given have a `weight_hr`, the cell or layer has no `proj_size`.
    UnexpectedProjection,
    /// The cell has outputs (`out`), the weights given have no head.
    MissingHead,
    /// The weights given have a head, the cell or layer has no outputs.
    UnexpectedHead,
}

impl fmt::Display for WeightsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::WrongLength { tensor, expected, found } => {
                write!(f, "`{tensor}` has {found} elements, expected {expected}")
            }
            Self::NonFinite { tensor, index, value } => {
                write!(f, "`{tensor}[{index}]` is {value}, expected a finite number")
            }
            Self::BeyondRange { tensor, index, value, dtype } => {
                write!(f, "`{tensor}[{index}]` is {value}, expected a number within the range of {dtype}")
            }
            Self::BiasSum { tensors: [a, b], index, values: [x, y] } => {
                write!(f, "`{a}[{index}]` + `{b}[{index}]` is {x:e} + {y:e}, expected a sum within the range of f32")
            }
            Self::MissingBias => f.write_str(
                "no bias was given, expected one (to go without: `bias = false` in `lstm_cell!`, `LstmConfig::bias(false)`)",
            ),
            Self::UnexpectedBias => {
                f.write_str("a bias was given, expected none: the cell or layer has `bias = false`")
            }
            Self::MissingProjection => f.write_str("no `weight_hr` was given, expected one: there is a `proj_size`"),
            Self::UnexpectedProjection => {
                f.write_str("a `weight_hr` was given, expected none: there is no `proj_size`")
            }
            Self::MissingHead => {
                f.write_str("no linear head was given, expected one (`LstmWeights::with_head`): the cell has an `out`")
            }
            Self::UnexpectedHead => f.write_str(
                "a linear head was given, expected none: the cell has no `out`, an `Lstm` takes no head",
            ),
        }
    }
}

impl core::error::Error for WeightsError {}
