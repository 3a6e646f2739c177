//! What can be wrong with a caller's input, each with what was expected and what was found.

use core::fmt;

use crate::isa::{ISA_VARIABLE, Isa};

/// Everything that this crate can refuse.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Error {
    /// A tensor has another number of elements than the cell's sizes ask for.
    WrongLength {
        /// PyTorch's name of the tensor: `weight_ih`, `weight_hh`, `bias_ih` or `bias_hh`.
        tensor: &'static str,
        /// The number of elements that the cell's sizes ask for.
        expected: usize,
        /// The number of elements given.
        found: usize,
    },
    /// A weight or bias is NaN or infinite.
    NonFinite {
        /// PyTorch's name of the tensor.
        tensor: &'static str,
        /// The element's index in the row-major tensor.
        index: usize,
        /// The element.
        value: f32,
    },
    /// The cell has a bias, the weights given have none.
    MissingBias,
    /// The cell was declared with `bias = false`, the weights given have a bias.
    UnexpectedBias,
    /// This CPU, or this target, lacks the instruction set asked for.
    IsaUnavailable {
        /// What was asked for.
        isa: Isa,
    },
    /// A text that names no [`Isa`].
    UnknownIsa,
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

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::WrongLength { tensor, expected, found } => {
                write!(f, "`{tensor}` has {found} elements, expected {expected}")
            }
            Self::NonFinite { tensor, index, value } => {
                write!(f, "`{tensor}[{index}]` is {value}, expected a finite number")
            }
            Self::MissingBias => f.write_str(
                "no bias was given, expected `bias_ih` and `bias_hh` (declare the cell with `bias = false` to go without)",
            ),
            Self::UnexpectedBias => {
                f.write_str("`bias_ih` and `bias_hh` were given, expected none: the cell has `bias = false`")
            }
            Self::IsaUnavailable { isa } => {
                write!(f, "this CPU does not offer the instruction set `{isa}`; it offers: ")?;
                list(f, Isa::available())
            }
            Self::UnknownIsa => {
                write!(f, "unknown instruction set (in the environment variable {ISA_VARIABLE}?), expected one of: ")?;
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
