//! What can be wrong with a caller's input, each with what was expected and what was found.

use core::fmt;

use crate::isa::{ISA_VARIABLE, Isa};

mod weights;

pub use weights::WeightsError;

/// Everything that this crate can refuse.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Error {
    /// A cell's weights are not what its sizes and options ask for.
    Weights(WeightsError),
    /// The same of one layer and direction of an LSTM.
    LayerWeights {
        /// The layer, from 0 on, as in PyTorch's `weight_ih_l0`.
        layer: usize,
        /// Whether it is the reverse direction of a bidirectional LSTM.
        reverse: bool,
        /// What is wrong with them.
        error: WeightsError,
    },
    /// An ONNX model with the input `P`.
    Peephole,
    /// An option of the LSTM that has no meaning, or a size or a stream's batch that is not within 1 to 1,048,576.
    InvalidOption {
        /// The option's name.
        option: &'static str,
        /// What it must be.
        expected: &'static str,
        /// What it is.
        found: OptionValue,
    },
    /// A `proj_size` that is not less than `hidden_size`.
    WrongProjSize {
        /// `hidden_size`.
        hidden_size: usize,
        /// `proj_size`.
        found: usize,
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
    /// The number of `lengths` is not that of the sequences in the batch.
    WrongLengths {
        /// The batch.
        expected: usize,
        /// The number of lengths given.
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
    ForeignStream {
        /// The first of [`LstmConfig`](crate::LstmConfig)'s options in which the two differ.
        option: &'static str,
        /// What it is in this LSTM.
        expected: OptionValue,
        /// What it is in the one that the stream was made for.
        found: OptionValue,
    },
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
    /// The environment variable [`ISA_VARIABLE`] holds a text that is no instruction set's name.
    WrongIsaVariable {
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

impl From<WeightsError> for Error {
    fn from(error: WeightsError) -> Self {
        Self::Weights(error)
    }
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
            Self::Weights(error) => write!(f, "{error}"),
            Self::LayerWeights { layer, reverse, error } => {
                write!(f, "layer {layer}{}: {error}", if reverse { ", reverse direction" } else { "" })
            }
            Self::Peephole => f.write_str("the model has peepholes (`P`), expected an LSTM without"),
            Self::InvalidOption { option, expected, found } => {
                write!(f, "`{option}` is {found}, expected {expected}")
            }
            Self::WrongProjSize { hidden_size, found } => {
                write!(
                    f,
                    "`proj_size` is {found}, expected less than `hidden_size`, {hidden_size} (0 for no projection)"
                )
            }
            Self::WrongLayers { expected, found } => {
                write!(f, "`weights` has {found} elements, expected {expected}: `num_layers` times the directions")
            }
            Self::WrongShape { tensor, expected, size, found, dimensions } => {
                let shown = &found[..dimensions.min(found.len())];
                let more = if dimensions > found.len() { " and more" } else { "" };
                write!(
                    f,
                    "`{tensor}` has the shape {shown:?}{more}, expected {expected} with a last dimension of {size}"
                )
            }
            Self::WrongElements { tensor, expected, found } => {
                write!(f, "`{tensor}` has {found} elements, expected {expected:?}")?;
                let product = expected.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
                product.map_or(Ok(()), |product| write!(f, " = {product}"))
            }
            Self::WrongLengths { expected, found } => {
                write!(f, "{found} `lengths` were given, expected {expected}, one for each sequence")
            }
            Self::WrongSequenceLength { sequence, steps, found } => {
                write!(f, "sequence {sequence} has length {found}, expected 1 to {steps}")
            }
            Self::BidirectionalStream => {
                f.write_str("a bidirectional LSTM cannot stream: its reverse direction starts at the sequence's end")
            }
            Self::ForeignStream { option, expected, found } => {
                write!(f, "the stream was made for an LSTM whose `{option}` is {found}, expected {expected}")
            }
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
                write!(f, "unknown instruction set `{found}`, expected one of: ")?;
                list(f, Isa::ALL.iter().copied())
            }
            Self::WrongIsaVariable { found } => {
                write!(f, "the environment variable {ISA_VARIABLE} is `{found}`, expected one of: ")?;
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

/// The value of an option, as an error shows it.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum OptionValue {
    /// A number of inputs, units, layers, streams.
    Size(usize),
    /// Another number.
    Number(f64),
    /// Whether something is so.
    Flag(bool),
    /// One of some names.
    Name(&'static str),
}

impl fmt::Display for OptionValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Size(size) => write!(f, "{size}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// The first 16 bytes of a text, at most, without a heap; then `...`, if there were more.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Excerpt {
    bytes: [u8; 16],
    len: usize,
    more: bool,
}

impl Excerpt {
    pub(crate) fn new(text: &str) -> Self {
        let (mut bytes, len) = ([0; 16], text.floor_char_boundary(16));
        bytes[..len].copy_from_slice(&text.as_bytes()[..len]);
        Self { bytes, len, more: len < text.len() }
    }

    /// The bytes kept.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.as_str(), if self.more { "..." } else { "" })
    }
}

impl fmt::Debug for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}{}", self.as_str(), if self.more { "..." } else { "" })
    }
}
