//! What can be wrong with a state_dict, each with its key, what was expected and what was found.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use safetensors::tensor::TensorView;

use crate::error::Error;

/// How many keys an error lists.
const LISTED: usize = 6;

/// How much of a key a message shows: a file may hold keys of any length.
const SHOWN: usize = 100;

/// Everything that can be refused in a state_dict.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum StateDictError {
    /// The file cannot be read.
    #[cfg(feature = "std")]
    Io {
        /// Its path.
        path: std::path::PathBuf,
        /// The kind of error.
        kind: std::io::ErrorKind,
    },
    /// The bytes are not a safetensors file, or not a whole one.
    Format {
        /// What is wrong, in the words of the crate `safetensors`.
        reason: String,
    },
    /// A key is not there.
    Missing {
        /// The key that was expected.
        key: String,
        /// Some of the keys that are there: under the prefix if there are any, else in the file.
        found: Vec<String>,
    },
    /// A key is there that the module cannot have, as far as the other keys tell.
    Unexpected {
        /// The key.
        key: String,
        /// The keys that the module can have, in words.
        expected: &'static str,
    },
    /// A tensor holds no floating point numbers, or some of an uncommon format.
    WrongType {
        /// The tensor's key.
        key: String,
        /// Its type, in safetensors' words; F32, F16, BF16 and F64 are expected.
        found: String,
    },
    /// A tensor has another shape than the others ask for.
    WrongShape {
        /// The tensor's key.
        key: String,
        /// The shape that it must have: numbers, or names where nothing tells the number.
        expected: String,
        /// The shape that it has.
        found: Vec<usize>,
    },
    /// A weight is NaN, infinite, or an F64 that no f32 comes near.
    NonFinite {
        /// The tensor's key.
        key: String,
        /// The element's index in the row-major tensor.
        index: usize,
        /// The element.
        value: f64,
    },
    /// The tensors are all there, but no LSTM can be made from them (on this CPU).
    Lstm(Error),
}

impl fmt::Display for StateDictError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            #[cfg(feature = "std")]
            Self::Io { path, kind } => write!(f, "cannot read `{}`: {kind}", path.display()),
            Self::Format { reason } => write!(f, "expected a whole safetensors file: {reason}"),
            Self::Missing { key, found } if found.is_empty() => write!(f, "expected {}, found no tensor", Name(key)),
            Self::Missing { key, found } => {
                write!(f, "expected {}, found", Name(key))?;
                found
                    .iter()
                    .enumerate()
                    .try_for_each(|(n, found)| write!(f, "{} {}", if n == 0 { "" } else { "," }, Name(found)))
            }
            Self::Unexpected { key, expected } => {
                write!(f, "found {}, expected nothing but the {expected}: is it the right prefix and call?", Name(key))
            }
            Self::WrongType { key, found } => write!(f, "{} is {found}, expected F32, F16, BF16 or F64", Name(key)),
            Self::WrongShape { key, expected, found } => {
                write!(f, "{} has the shape {found:?}, expected {expected}", Name(key))
            }
            Self::NonFinite { key, index, value } => {
                write!(f, "element {index} of {} is {value:e}, expected a finite f32", Name(key))
            }
            Self::Lstm(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for StateDictError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            // `Display` has told the error itself.
            Self::Lstm(error) => error.source(),
            _ => None,
        }
    }
}

impl From<Error> for StateDictError {
    fn from(error: Error) -> Self {
        Self::Lstm(error)
    }
}

/// A key for people: control characters escaped, not too long.
struct Name<'a>(&'a str);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.0.char_indices().nth(SHOWN).map_or(self.0.len(), |(end, _)| end);
        let more = if end < self.0.len() { "..." } else { "" };
        write!(f, "`{}{more}`", self.0[..end].escape_debug())
    }
}

/// What may be under the prefix of an LSTM, or of one cell.
pub(super) const LSTM: &str = "`weight_ih`, `weight_hh`, `bias_ih`, `bias_hh` and `weight_hr` of one module, with `_l0` and \
    so on for `lstm`, without or of one layer and direction for `cell`";

/// What may be under the prefix of a linear layer.
pub(super) const LINEAR: &str = "`weight` and `bias` of one `torch.nn.Linear`";

pub(super) fn unexpected(key: String, expected: &'static str) -> StateDictError {
    StateDictError::Unexpected { key, expected }
}

pub(super) fn wrong_shape(key: String, expected: String, tensor: &TensorView<'_>) -> StateDictError {
    StateDictError::WrongShape { key, expected, found: tensor.shape().to_vec() }
}

pub(super) fn missing(key: String, mut names: Vec<&str>, prefix: &str) -> StateDictError {
    if names.iter().any(|name| name.starts_with(prefix)) {
        names.retain(|name| name.starts_with(prefix));
    }
    names.sort_unstable();
    StateDictError::Missing { key, found: names.into_iter().take(LISTED).map(str::to_owned).collect() }
}
