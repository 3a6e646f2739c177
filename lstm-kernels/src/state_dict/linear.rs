//! The layer behind an LSTM.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::vec::Vec;

use super::{StateDict, StateDictError, dotted, error};
use crate::error::Error;
use crate::head::Rows;
use crate::isa::Token;
use crate::tensor::{check_elements, nearest_rows};
use crate::weights::check_size;

/// The f32 tensors of a `torch.nn.Linear`, y = W x + b: what [`LstmWeights::with_head`](crate::LstmWeights::with_head)
/// takes, and what stands behind an [`Lstm`](crate::Lstm).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LinearTensors {
    /// The number of inputs: the `h_size` of the LSTM before it, twice that behind both directions.
    pub in_features: usize,
    /// The number of outputs.
    pub out_features: usize,
    /// \[`out_features`, `in_features`\]
    pub weight: Vec<f32>,
    /// \[`out_features`\]
    pub bias: Option<Vec<f32>>,
}

impl LinearTensors {
    /// The outputs y = W x + b of rows of inputs: x \[rows, `in_features`\], y \[rows, `out_features`\]. For a head
    /// behind an [`Lstm`](crate::Lstm), whose output is such rows. The bits are those of a cell with `out`; made for
    /// few outputs. On the fastest instruction set of the CPU, whatever `LSTM_KERNELS_ISA` says. No allocation.
    ///
    /// ```
    /// use lstm_kernels::{Lstm, StateDict, lstm::Input};
    /// # let bytes = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/model.safetensors"));
    /// let (lstm, head) = (Lstm::from_state_dict(bytes, "lstm")?, StateDict::read(bytes)?.linear("head")?);
    /// let result = lstm.forward(Input::new(&[0.5; 5 * 10], &[5, 10]), None)?; // output [5, 20]
    /// let mut y = [0.0; 5 * 1];
    /// head.apply(&result.output.data, &mut y)?;
    /// # assert!(y.iter().all(|y| y.is_finite() && *y != 0.0));
    /// # Ok::<(), lstm_kernels::StateDictError>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::WrongElements`] if x and y are not as many rows, or if the tensors' fields were changed and do not fit
    /// together; [`Error::InvalidOption`] if a size was set to zero. Nothing is written then.
    pub fn apply(&self, x: &[f32], y: &mut [f32]) -> Result<(), Error> {
        let Self { in_features: units, out_features: outputs, .. } = *self;
        check_size("in_features", units)?;
        check_size("out_features", outputs)?;
        check_elements("weight", self.weight.len(), [1, outputs, units])?;
        let bias = self.bias.as_deref();
        check_elements("bias", bias.map_or(outputs, <[f32]>::len), [1, 1, outputs])?;
        let rows = nearest_rows(x.len(), units);
        check_elements("x", x.len(), [1, rows, units])?;
        check_elements("y", y.len(), [1, rows, outputs])?;
        Token::fastest().run(Rows { weight: &self.weight, bias, h: x, units, y, outputs });
        Ok(())
    }
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
    /// As [`lstm`](Self::lstm): keys of the module other than `weight` and `bias` are refused.
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
