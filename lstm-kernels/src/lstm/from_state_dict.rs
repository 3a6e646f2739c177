//! An LSTM from a PyTorch state_dict, in one line.

use super::{Lstm, LstmCellDyn};
use crate::state_dict::{StateDict, StateDictError};

impl Lstm {
    /// Loads the `torch.nn.LSTM` of the name `prefix` from the bytes of a safetensors file, on the fastest instruction
    /// set that [`Isa::detect`](crate::Isa::detect) finds. `prefix` may end with a dot; it is empty if the file holds
    /// the LSTM alone. All options follow from keys and shapes, except [`batch_first`](Self::batch_first), which
    /// describes the input. To choose the type of the weights or the instruction set, use
    /// [`LstmModel`](crate::state_dict::LstmModel).
    ///
    /// ```
    /// use lstm_kernels::Lstm;
    /// # let bytes = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/model.safetensors"));
    /// let lstm = Lstm::from_state_dict(bytes, "lstm")?.batch_first(true);
    /// assert_eq!((lstm.config().input_size, lstm.config().hidden_size), (10, 20));
    /// # Ok::<(), lstm_kernels::StateDictError>(())
    /// ```
    ///
    /// # Errors
    /// All that [`StateDictError`] lists but `Io`.
    pub fn from_state_dict(bytes: &[u8], prefix: &str) -> Result<Self, StateDictError> {
        let model = StateDict::read(bytes)?.lstm(prefix)?;
        Ok(Self::new(model.config, &model.weights())?)
    }

    /// [`from_state_dict`](Self::from_state_dict) from a file.
    ///
    /// # Errors
    /// All that [`StateDictError`] lists.
    #[cfg(feature = "std")]
    pub fn from_state_dict_file(path: impl AsRef<std::path::Path>, prefix: &str) -> Result<Self, StateDictError> {
        Self::from_state_dict(&read(path.as_ref())?, prefix)
    }
}

impl LstmCellDyn {
    /// The `torch.nn.LSTMCell` of the name `prefix` in the bytes of a safetensors file; or a `torch.nn.LSTM` with one
    /// layer in one direction. As [`Lstm::from_state_dict`] otherwise.
    ///
    /// ```
    /// # let bytes = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/model.safetensors"));
    /// let cell = lstm_kernels::LstmCellDyn::from_state_dict(bytes, "cell")?;
    /// # Ok::<(), lstm_kernels::StateDictError>(())
    /// ```
    ///
    /// # Errors
    /// All that [`StateDictError`] lists but `Io`.
    pub fn from_state_dict(bytes: &[u8], prefix: &str) -> Result<Self, StateDictError> {
        let tensors = StateDict::read(bytes)?.cell(prefix)?;
        Ok(Self::new(tensors.input_size(), tensors.hidden_size(), &tensors.view())?)
    }

    /// [`from_state_dict`](Self::from_state_dict) from a file.
    ///
    /// # Errors
    /// All that [`StateDictError`] lists.
    #[cfg(feature = "std")]
    pub fn from_state_dict_file(path: impl AsRef<std::path::Path>, prefix: &str) -> Result<Self, StateDictError> {
        Self::from_state_dict(&read(path.as_ref())?, prefix)
    }
}

#[cfg(feature = "std")]
fn read(path: &std::path::Path) -> Result<alloc::vec::Vec<u8>, StateDictError> {
    std::fs::read(path).map_err(|error| StateDictError::Io { path: path.into(), kind: error.kind() })
}
