//! The layer behind an LSTM.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::vec::Vec;

use super::{StateDict, StateDictError, dotted, error};

/// The f32 tensors of a `torch.nn.Linear`, y = W x + b: what [`LstmWeights::with_head`](crate::LstmWeights::with_head)
/// takes.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LinearTensors {
    /// The number of inputs: the `hidden_size` of the LSTM before it, twice that behind both directions.
    pub in_features: usize,
    /// The number of outputs.
    pub out_features: usize,
    /// \[`out_features`, `in_features`\]
    pub weight: Vec<f32>,
    /// \[`out_features`\]
    pub bias: Option<Vec<f32>>,
}

impl StateDict<'_> {
    /// The tensors of a `torch.nn.Linear`, for instance the head of a cell:
    /// ```
    /// use lstm_kernels::{StateDict, lstm_cell};
    /// # let bytes = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/model.safetensors"));
    /// lstm_cell!(struct Model, in=10, hidden=20, out=1);
    ///
    /// let file = StateDict::read(bytes)?;
    /// let (lstm, head) = (file.cell("cell")?, file.linear("head")?); // nn.LSTMCell(10, 20), nn.Linear(20, 1)
    /// let model = Model::new(&lstm.view().with_head(&head.weight, head.bias.as_deref()))?;
    /// let [y] = model.step_out(&[0.5; 10], &mut Model::zero_state());
    /// # assert!(y.is_finite());
    /// # Ok::<(), lstm_kernels::StateDictError>(())
    /// ```
    ///
    /// # Errors
    /// As [`lstm`](Self::lstm): keys other than `weight` and `bias` are refused.
    pub fn linear(&self, prefix: &str) -> Result<LinearTensors, StateDictError> {
        let prefix = dotted(prefix);
        let [weight, bias] = ["weight", "bias"].map(|name| format!("{prefix}{name}"));
        let keys = self.names(&prefix);
        if let Some(&key) = keys.iter().find(|&&key| key != weight && key != bias) {
            return Err(error::unexpected(key.to_owned(), error::LINEAR));
        }
        let expected = "[out_features, in_features], nothing zero";
        let [out_features, in_features] = self.matrix(&weight, &prefix, 1, expected)?;
        let bias = keys.contains(&bias.as_str()).then(|| self.values(&bias, &prefix, &[out_features])).transpose()?;
        let weight = self.values(&weight, &prefix, &[out_features, in_features])?;
        Ok(LinearTensors { in_features, out_features, weight, bias })
    }
}
