//! What can be wrong with a state_dict, each with its key, what was expected and what was found.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use safetensors::tensor::TensorView;

use crate::error::Error;

/// How many keys or modules an error lists.
const LISTED: usize = 12;

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
        /// What is wrong, in the words of the crate `safetensors`, or that `torch.save` has written it.
        reason: String,
    },
    /// A key is not there.
    Missing {
        /// The key that was expected.
        key: String,
        /// The other keys of its module, some of them if there are many.
        found: Vec<String>,
    },
    /// No tensor is in the module.
    MissingModule {
        /// The first key that was expected.
        key: String,
        /// The modules that the file has (and keys of tensors that are in none), some of them if there are many.
        found: Vec<String>,
    },
    /// A key is there that the module cannot have, as far as the other keys tell.
    Unexpected {
        /// The key.
        key: String,
        /// The keys that the call reads, in words.
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
            Self::Missing { key, found } => write!(f, "expected {}, found{}", Name(key), Names(found)),
            Self::MissingModule { key, found } if found.is_empty() => {
                write!(f, "expected {}, found no tensor", Name(key))
            }
            Self::MissingModule { key, found } => {
                write!(f, "expected {}, found no such module; the file has{}", Name(key), Names(found))
            }
            Self::Unexpected { key, expected } => write!(f, "found {}, but {expected}", Name(key)),
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

/// Names for people, each after a blank.
struct Names<'a>(&'a [String]);

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names = self.0.iter().enumerate();
        names.try_for_each(|(n, name)| write!(f, "{} {}", if n == 0 { "" } else { "," }, Name(name)))
    }
}

/// What the calls read.
pub(super) const LSTM: &str = "`lstm` reads `weight_ih_l0`, `weight_hh_l0`, `bias_ih_l0`, `bias_hh_l0`, `weight_hr_l0`, \
    those of further layers, and each with `_reverse` (`cell` is for a `torch.nn.LSTMCell`)";
pub(super) const CELL: &str = "`cell` reads `weight_ih`, `weight_hh`, `bias_ih` and `bias_hh`, all without or all with \
    `_l0` (`lstm` is for more layers or directions)";
pub(super) const LINEAR: &str = "`linear` reads the `weight` and `bias` of one `torch.nn.Linear`";

pub(super) fn unexpected(key: String, expected: &'static str) -> StateDictError {
    StateDictError::Unexpected { key, expected }
}

pub(super) fn wrong_shape(key: String, expected: String, tensor: &TensorView<'_>) -> StateDictError {
    StateDictError::WrongShape { key, expected, found: tensor.shape().to_vec() }
}

/// Of the module that should have the key, and of all the file.
pub(super) fn missing<'a>(key: &str, module: &[&str], file: impl Iterator<Item = &'a str>) -> StateDictError {
    let (key, owned) = (key.to_owned(), |name: &&str| (*name).to_owned());
    if !module.is_empty() {
        return StateDictError::Missing { key, found: module.iter().take(LISTED).map(owned).collect() };
    }
    let mut modules: Vec<&str> = file.map(|key| key.rsplit_once('.').map_or(key, |(module, _)| module)).collect();
    modules.sort_unstable();
    modules.dedup();
    StateDictError::MissingModule { key, found: modules.iter().take(LISTED).map(owned).collect() }
}
