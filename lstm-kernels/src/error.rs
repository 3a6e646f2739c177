//! What can be wrong with a caller's input, each with what was expected and what was found.

use core::fmt;

use crate::isa::{ISA_VARIABLE, Isa};

/// Everything that this crate can refuse.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Error {
    /// A tensor has another number of elements than the cell's sizes ask for.
    WrongLength {
        /// The tensor's name where it comes from: `weight_ih`, `weight_hh`, `bias_ih`, `bias_hh`, `weight_hr` in
        /// PyTorch, `kernel`, `recurrent_kernel`, `bias` in Keras, `W`, `R`, `B` in ONNX;
        /// `linear.weight`, `linear.bias` of a head; `lengths` of an input, one for each sequence.
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
        /// The type: `f16` or `bf16`; `f32` for the sum of the two biases of a unit.
        dtype: &'static str,
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
    /// An ONNX model with the input `P`.
    Peephole,
    /// An option of the LSTM that has no meaning, or a size or a stream's batch that is not within 1 to 1,048,576.
    InvalidOption {
        /// The option's name.
        option: &'static str,
        /// What it must be.
        expected: &'static str,
        /// What it is.
        found: f64,
    },
    /// The number of weights given for the layers and directions of an LSTM is not `num_layers` times the number
    /// of directions.
    WrongLayers {
        /// `num_layers` times the number of directions.
        expected: usize,
        /// The number of weights given.
        found: usize,
    },
    /// A shape has another number of dimensions, or other sizes, than the LSTM asks for.
    WrongShape {
        /// The tensor.
        tensor: &'static str,
        /// What is expected, in PyTorch's letters.
        expected: &'static str,
        /// The size that the last dimension must have.
        size: usize,
        /// The shape given (its first four dimensions).
        found: [usize; 4],
        /// How many dimensions were given.
        dimensions: usize,
    },
    /// A tensor has another number of elements than its shape asks for.
    WrongElements {
        /// The tensor.
        tensor: &'static str,
        /// The shape that it must have. Without a batch one dimension is 1: the first one of an input and output, the
        /// second one of states, `[num_layers, 1, h_size]`.
        expected: [usize; 3],
        /// The number of elements given.
        found: usize,
    },
    /// A sequence's length is zero, or more than the input's time steps.
    WrongSequenceLength {
        /// The sequence's place in the batch.
        sequence: usize,
        /// The number of time steps of the input.
        steps: usize,
        /// The length given.
        found: usize,
    },
    /// A bidirectional LSTM was asked to stream: its reverse direction starts at the end.
    BidirectionalStream,
    /// A stream was made for an LSTM with other options.
    ForeignStream,
    /// A piece of a stream has `lengths`.
    UnexpectedLengths,
    /// A piece of a stream has another batch than the stream.
    WrongBatch {
        /// The stream's.
        expected: usize,
        /// The piece's.
        found: usize,
    },
    /// This CPU, or this target, lacks the instruction set asked for.
    IsaUnavailable {
        /// What was asked for.
        isa: Isa,
    },
    /// A text that names no [`Isa`].
    UnknownIsa {
        /// How it begins.
        found: Excerpt,
    },
    /// Two slices that belong together, element by element, differ in length.
    LengthMismatch {
        /// The names of the two arguments.
        what: (&'static str, &'static str),
        /// The length of the first.
        left: usize,
        /// The length of the second.
        right: usize,
    },
}

impl Error {
    /// [`LengthMismatch`](Self::LengthMismatch), unless the two lengths are the same.
    pub(crate) fn unless_same_length(a: (&'static str, usize), b: (&'static str, usize)) -> Result<(), Self> {
        if a.1 == b.1 { Ok(()) } else { Err(Self::LengthMismatch { what: (a.0, b.0), left: a.1, right: b.1 }) }
    }
}

impl fmt::Display for Error {
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
            Self::UnexpectedHead => f.write_str("a linear head was given, expected none: there is no `out`"),
            Self::Peephole => f.write_str("the model has peepholes (`P`), expected an LSTM without"),
            Self::InvalidOption { option, expected, found } => {
                write!(f, "`{option}` is {found}, expected {expected}")
            }
            Self::WrongLayers { expected, found } => {
                write!(f, "weights of {found} layers and directions were given, expected {expected}")
            }
            Self::WrongShape { tensor, expected, size, found, dimensions } => {
                let shown = &found[..dimensions.min(found.len())];
                let more = if dimensions > found.len() { " and more" } else { "" };
                write!(f, "`{tensor}` has the shape {shown:?}{more}, expected {expected} with a last dimension of {size}")
            }
            Self::WrongElements { tensor, expected, found } => {
                write!(f, "`{tensor}` has {found} elements, expected {expected:?}")?;
                let product = expected.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
                product.map_or(Ok(()), |product| write!(f, " = {product}"))
            }
            Self::WrongSequenceLength { sequence, steps, found } => {
                write!(f, "sequence {sequence} has length {found}, expected 1 to {steps}")
            }
            Self::BidirectionalStream => {
                f.write_str("a bidirectional LSTM cannot stream: its reverse direction starts at the sequence's end")
            }
            Self::ForeignStream => f.write_str("the stream was made for an LSTM with other options"),
            Self::UnexpectedLengths => {
                f.write_str("the input has `lengths`, expected none: all sequences of a stream advance together")
            }
            Self::WrongBatch { expected, found } => {
                write!(f, "the input has a batch of {found}, expected that of the stream, {expected}")
            }
            Self::IsaUnavailable { isa } => {
                write!(f, "this CPU does not offer the instruction set `{isa}`; it offers: ")?;
                list(f, Isa::available())
            }
            Self::UnknownIsa { found } => {
                write!(f, "unknown instruction set `{found}` (in the environment variable {ISA_VARIABLE}?), ")?;
                f.write_str("expected one of: ")?;
                list(f, Isa::ALL.iter().copied())
            }
            Self::LengthMismatch { what: (a, b), left, right } => {
                write!(f, "`{a}` has {left} elements and `{b}` has {right}, expected the same number")
            }
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, isas: impl Iterator<Item = Isa>) -> fmt::Result {
    for (n, isa) in isas.enumerate() {
        write!(f, "{}{isa}", if n == 0 { "" } else { ", " })?;
    }
    Ok(())
}

impl core::error::Error for Error {}

/// The first 16 bytes of a text, at most, without a heap.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Excerpt {
    bytes: [u8; 16],
    len: usize,
}

impl Excerpt {
    pub(crate) fn new(text: &str) -> Self {
        let (mut bytes, len) = ([0; 16], text.floor_char_boundary(16));
        bytes[..len].copy_from_slice(&text.as_bytes()[..len]);
        Self { bytes, len }
    }

    fn text(&self) -> &str {
        str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.text())
    }
}

impl fmt::Debug for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.text(), f)
    }
}
