//! Views of PyTorch's tensors, the checks on them, and packing.

use crate::error::Error;
use crate::layout::{GATES, Line, place, scale};

/// The weights of one LSTM cell as PyTorch stores them: a view, checked when a cell is made from it.
///
/// All tensors are row-major f32, their rows in PyTorch's gate order i, f, g, o.
///
/// | tensor | shape | name in a `torch.nn.LSTMCell` | in a `torch.nn.LSTM` |
/// |---|---|---|---|
/// | `weight_ih` | \[4H, I\] | `weight_ih` | `weight_ih_l0` |
/// | `weight_hh` | \[4H, H\] | `weight_hh` | `weight_hh_l0` |
/// | `bias_ih` | \[4H\] | `bias_ih` | `bias_ih_l0` |
/// | `bias_hh` | \[4H\] | `bias_hh` | `bias_hh_l0` |
///
/// ```
/// use lstm_kernels::LstmWeights;
/// lstm_kernels::lstm_cell!(in=1, hidden=2);
/// let (weight_ih, weight_hh, bias) = ([0.1; 8], [0.2; 16], [0.0; 8]);
/// let weights = LstmWeights::torch(&weight_ih, &weight_hh, Some((&bias, &bias)));
/// let cell = LSTMCell::new(&weights)?;
/// # Ok::<(), lstm_kernels::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct LstmWeights<'a> {
    weight_ih: &'a [f32],
    weight_hh: &'a [f32],
    bias: Option<(&'a [f32], &'a [f32])>,
}

impl<'a> LstmWeights<'a> {
    /// The tensors of a PyTorch `state_dict`: `weight_ih`, `weight_hh` and, unless the module was made with
    /// `bias=False`, `(bias_ih, bias_hh)`.
    pub const fn torch(weight_ih: &'a [f32], weight_hh: &'a [f32], bias: Option<(&'a [f32], &'a [f32])>) -> Self {
        Self { weight_ih, weight_hh, bias }
    }

    /// `weight_ih`, \[4H, I\].
    pub const fn weight_ih(&self) -> &'a [f32] {
        self.weight_ih
    }

    /// `weight_hh`, \[4H, H\].
    pub const fn weight_hh(&self) -> &'a [f32] {
        self.weight_hh
    }

    /// `(bias_ih, bias_hh)`, \[4H\] each.
    pub const fn bias(&self) -> Option<(&'a [f32], &'a [f32])> {
        self.bias
    }

    /// Checks every length, then every value.
    pub(crate) fn check(&self, input: usize, hidden: usize, has_bias: bool) -> Result<(), Error> {
        let (bias_ih, bias_hh) = match (has_bias, self.bias) {
            (true, None) => return Err(Error::MissingBias),
            (false, Some(_)) => return Err(Error::UnexpectedBias),
            (_, bias) => bias.unwrap_or_default(),
        };
        let bias_len = if has_bias { GATES * hidden } else { 0 };
        let tensors = [
            ("weight_ih", self.weight_ih, GATES * hidden * input),
            ("weight_hh", self.weight_hh, GATES * hidden * hidden),
            ("bias_ih", bias_ih, bias_len),
            ("bias_hh", bias_hh, bias_len),
        ];
        for (tensor, values, expected) in tensors {
            if values.len() != expected {
                return Err(Error::WrongLength { tensor, expected, found: values.len() });
            }
        }
        for (tensor, values, _) in tensors {
            if let Some(index) = values.iter().position(|value| !value.is_finite()) {
                return Err(Error::NonFinite { tensor, index, value: values[index] });
            }
        }
        Ok(())
    }

    /// Writes checked weights to their places in `lines`, which must be all zero where no weight goes.
    pub(crate) fn pack(&self, input: usize, hidden: usize, lines: &mut [Line]) {
        let mut put = |column, row: usize, value: f32| {
            let (gate, unit) = (row / hidden, row % hidden);
            let (line, lane) = place(input, hidden, column, gate, unit);
            lines[line][lane] = scale(gate) * value;
        };
        for row in 0..GATES * hidden {
            if let Some((bias_ih, bias_hh)) = self.bias {
                put(0, row, bias_ih[row] + bias_hh[row]);
            }
            for k in 0..input {
                put(1 + k, row, self.weight_ih[row * input + k]);
            }
            for k in 0..hidden {
                put(1 + input + k, row, self.weight_hh[row * hidden + k]);
            }
        }
    }
}
