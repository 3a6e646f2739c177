//! Weights from a file: a PyTorch `state_dict` saved with [safetensors](https://huggingface.co/docs/safetensors)
//! (feature `safetensors`).
//!
//! ```python
//! safetensors.torch.save_file(model.state_dict(), "model.safetensors")  # self.lstm = nn.LSTM(10, 20, 2)
//! ```
//! ```no_run
//! let lstm = lstm_kernels::Lstm::from_state_dict_file("model.safetensors", "lstm")?;
//! # Ok::<(), lstm_kernels::StateDictError>(())
//! ```
//!
//! **Modules.** `torch.nn.LSTM`, `torch.nn.LSTMCell`, and the `torch.nn.Linear` that most models end in:
//! [`StateDict::lstm`], [`StateDict::cell`], [`StateDict::linear`].
//!
//! **Prefix.** The name that the module has in the model: `lstm` for keys such as `lstm.weight_ih_l0`. Its last dot may
//! be given or left out; an empty prefix is for the state_dict of the LSTM itself.
//!
//! **What is read.** F32, F16, BF16 and F64 tensors; F64 is rounded to the nearest f32, the others are exact. Number of
//! layers, directions, bias and projection follow from the keys, sizes from the shapes.
//!
//! **What is refused.** Any other key of the module, a missing one, another shape or type, NaN, infinity, an F64 beyond
//! f32, a damaged file: each with a [`StateDictError`] that names the key. No file can make it panic, or allocate more
//! than in proportion to the file's length. Tensors of modules inside the module (`lstm.norm.weight` beside
//! `lstm.weight_ih_l0`) are left alone.
//!
//! **The rest of a model**: [`StateDict::keys`] and [`StateDict::tensor`].

mod error;
mod key;
mod linear;
mod tensors;
mod values;

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use safetensors::SafeTensors;
use safetensors::tensor::TensorView;

pub use error::StateDictError;
pub use linear::LinearTensors;
pub use tensors::{LstmModel, LstmTensors};

pub use crate::tensor::Tensor;

use key::{Key, Kind};
use tensors::Shapes;
use values::floats;

/// A safetensors file in memory, of which modules can be taken.
///
/// One line makes a cell of compile-time size:
/// ```
/// use lstm_kernels::{StateDict, lstm_cell};
/// # let bytes = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/model.safetensors"));
/// lstm_cell!(in=10, hidden=20);
///
/// let file = StateDict::read(bytes)?;
/// let cell = LSTMCell::new(&file.cell("cell")?.view())?; // self.cell = nn.LSTMCell(10, 20)
/// # Ok::<(), lstm_kernels::StateDictError>(())
/// ```
pub struct StateDict<'a> {
    file: SafeTensors<'a>,
}

impl fmt::Debug for StateDict<'_> {
    /// The keys, not the bytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.file.names()).finish()
    }
}

impl<'a> StateDict<'a> {
    /// Reads the file's header. The tensors stay where they are.
    ///
    /// # Errors
    /// [`StateDictError::Format`] if it is not a safetensors file, or not a whole one.
    pub fn read(bytes: &'a [u8]) -> Result<Self, StateDictError> {
        let file = SafeTensors::deserialize(bytes)
            .map_err(|error| StateDictError::Format { reason: key::refusal(bytes, error) });
        Ok(Self { file: file? })
    }

    /// The options and tensors of a `torch.nn.LSTM`. The file does not tell `batch_first` and `dropout`; set them in
    /// [`LstmModel::config`].
    ///
    /// # Errors
    /// All that [`StateDictError`] lists but [`Format`](StateDictError::Format) and `Io`.
    pub fn lstm(&self, prefix: &str) -> Result<LstmModel, StateDictError> {
        let prefix = dotted(prefix);
        let keys = self.lstm_keys(&prefix, error::LSTM)?;
        if let Some(key) = keys.iter().find(|key| key.layer.is_none()) {
            return Err(error::unexpected(key.name(&prefix), error::LSTM));
        }
        self.module(&prefix, &keys)
    }

    /// The tensors of a `torch.nn.LSTMCell`, or of a `torch.nn.LSTM` with one layer in one direction: keys without or
    /// with `_l0`.
    ///
    /// # Errors
    /// As [`lstm`](Self::lstm).
    pub fn cell(&self, prefix: &str) -> Result<LstmTensors, StateDictError> {
        let prefix = dotted(prefix);
        let keys = self.lstm_keys(&prefix, error::CELL)?;
        let first = keys.first().and_then(|key| key.layer);
        let other = |key: &&Key| key.layer != first || key.layer > Some(0) || key.reverse;
        let projection = |key: &&Key| key.kind == Kind::WeightHr;
        if let Some(key) = keys.iter().find(other).or_else(|| keys.iter().find(projection)) {
            return Err(error::unexpected(key.name(&prefix), error::CELL));
        }
        let mut model = self.module(&prefix, &keys)?;
        Ok(model.layers.swap_remove(0))
    }

    /// The keys of all tensors, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        let mut keys = self.file.names();
        keys.sort_unstable();
        keys.into_iter()
    }

    /// A tensor of any module, as f32: what a model has beside its LSTM.
    ///
    /// ```
    /// # let bytes = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/model.safetensors"));
    /// let file = lstm_kernels::StateDict::read(bytes)?;
    /// let tensor = file.tensor("head.weight")?;
    /// assert_eq!((tensor.shape, tensor.data.len()), (vec![1, 20], 20));
    /// # Ok::<(), lstm_kernels::StateDictError>(())
    /// ```
    ///
    /// # Errors
    /// A missing key, elements of another type than F32, F16, BF16 and F64, one that is not finite as an f32.
    pub fn tensor(&self, key: &str) -> Result<Tensor, StateDictError> {
        let prefix = key.rfind('.').map_or("", |dot| &key[..=dot]);
        let tensor = self.view(key, prefix)?;
        Ok(Tensor { data: floats(key, &tensor)?, shape: tensor.shape().to_vec() })
    }

    /// The keys of a module, which can have those of `expected`, sorted: those without a layer first, layer by layer
    /// then.
    fn lstm_keys(&self, prefix: &str, expected: &'static str) -> Result<Vec<Key>, StateDictError> {
        let parse = |name: &&str| {
            Key::parse(&name[prefix.len()..]).ok_or_else(|| error::unexpected((*name).to_owned(), expected))
        };
        let mut keys = self.names(prefix).iter().map(parse).collect::<Result<Vec<Key>, _>>()?;
        keys.sort_unstable();
        Ok(keys)
    }

    /// The names of a module's own tensors, sorted: the file's order is that of a hash map, and an error should name
    /// the same key every time.
    fn names(&self, prefix: &str) -> Vec<&str> {
        self.keys().filter(|key| key.strip_prefix(prefix).is_some_and(|name| !name.contains('.'))).collect()
    }

    /// The tensor of a name, which begins with `prefix`.
    fn view(&self, name: &str, prefix: &str) -> Result<TensorView<'a>, StateDictError> {
        self.file.tensor(name).map_err(|_| error::missing(name, &self.names(prefix), self.keys()))
    }

    /// The shape of a matrix of which nothing is zero, and whose rows are a multiple of `unit`; `expected` is that in
    /// words.
    fn matrix(&self, name: &str, prefix: &str, unit: usize, expected: &str) -> Result<[usize; 2], StateDictError> {
        let tensor = self.view(name, prefix)?;
        match *tensor.shape() {
            [rows, columns] if rows > 0 && columns > 0 && rows.is_multiple_of(unit) => Ok([rows, columns]),
            _ => Err(error::wrong_shape(name.to_owned(), expected.to_owned(), &tensor)),
        }
    }

    /// The elements of a tensor that must have this shape.
    fn values(&self, name: &str, prefix: &str, shape: &[usize]) -> Result<Vec<f32>, StateDictError> {
        let tensor = self.view(name, prefix)?;
        if tensor.shape() == shape {
            floats(name, &tensor)
        } else {
            Err(error::wrong_shape(name.to_owned(), format!("{shape:?}"), &tensor))
        }
    }

    /// The module of these keys, which are either all with or all without a layer.
    fn module(&self, prefix: &str, keys: &[Key]) -> Result<LstmModel, StateDictError> {
        let has = |kinds: &[Kind]| keys.iter().any(|key| kinds.contains(&key.kind));
        let (bias, projection) = (has(&[Kind::BiasIh, Kind::BiasHh]), has(&[Kind::WeightHr]));
        let bidirectional = keys.iter().any(|key| key.reverse);
        // A model without any key is missing the first key of a one-layer LSTM.
        let last = keys.last().map_or(Some(0), |key| key.layer);

        let shapes = Shapes::read(self, prefix, last.map(|_| 0), projection)?;
        let num_layers = last.unwrap_or(0).saturating_add(1);
        let config = shapes.config().num_layers(num_layers).bias(bias).bidirectional(bidirectional);

        // A missing layer ends this at once: the file decides how far it goes, not the number in a key.
        let directions: &[bool] = if bidirectional { &[false, true] } else { &[false] };
        let mut layers = Vec::new();
        for layer in 0..num_layers {
            for &reverse in directions {
                let key = |kind| Key { layer: last.map(|_| layer), reverse, kind };
                layers.push(LstmTensors::read(self, prefix, key, config.sizes(layer), bias)?);
            }
        }
        Ok(LstmModel { config, layers })
    }
}

/// The prefix with its dot, if there is one.
fn dotted(prefix: &str) -> String {
    let dot = if prefix.is_empty() || prefix.ends_with('.') { "" } else { "." };
    format!("{prefix}{dot}")
}
