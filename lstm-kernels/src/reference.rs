//! The oracle: the textbook LSTM cell in f64, scalar, without any cleverness.
//!
//! ```text
//! i = sigmoid(W_ii x + b_ii + W_hi h + b_hi)       c' = f * c + i * g
//! f = sigmoid(W_if x + b_if + W_hf h + b_hf)       h' = o * tanh(c')
//! g =    tanh(W_ig x + b_ig + W_hg h + b_hg)
//! o = sigmoid(W_io x + b_io + W_ho h + b_ho)
//! ```
//!
//! Source: the documentation of `torch.nn.LSTMCell`. Slow on purpose; use it to check, not to run.

use alloc::vec::Vec;

use crate::error::Error;
use crate::weights::LstmWeights;

/// An LSTM cell in f64.
///
/// ```
/// use lstm_kernels::{LstmWeights, reference};
/// // One input, one unit, all weights zero: every sigmoid is 1/2, g is 0, so c halves.
/// let cell = reference::Cell::new(&LstmWeights::torch(&[0.0; 4], &[0.0; 4], None), 1, 1)?;
/// let (mut h, mut c) = ([0.0], [1.0]);
/// cell.step(&[3.0], &mut h, &mut c);
/// assert_eq!(c, [0.5]);
/// assert_eq!(h, [0.5 * 0.5f64.tanh()]);
/// # Ok::<(), lstm_kernels::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Cell {
    input: usize,
    hidden: usize,
    weight_ih: Vec<f64>,
    weight_hh: Vec<f64>,
    bias: Vec<f64>,
}

impl Cell {
    /// A cell of `input` inputs and `hidden` units, with or without bias as the weights have it.
    ///
    /// # Errors
    /// A tensor of the wrong length, a NaN or infinite weight.
    pub fn new(weights: &LstmWeights<'_>, input: usize, hidden: usize) -> Result<Self, Error> {
        weights.check(input, hidden, weights.bias().is_some())?;
        let wide = |tensor: &[f32]| tensor.iter().copied().map(f64::from).collect();
        let bias = match weights.bias() {
            Some((ih, hh)) => ih.iter().zip(hh).map(|(&a, &b)| f64::from(a) + f64::from(b)).collect(),
            None => alloc::vec![0.0; 4 * hidden],
        };
        Ok(Self { input, hidden, weight_ih: wide(weights.weight_ih()), weight_hh: wide(weights.weight_hh()), bias })
    }

    /// One time step, in place. Shapes: x \[input\], h and c \[hidden\]; what is longer is ignored, what is
    /// missing counts as zero.
    pub fn step(&self, x: &[f64], h: &mut [f64], c: &mut [f64]) {
        let z: Vec<f64> = (0..4 * self.hidden)
            .map(|row| {
                let w_ih = &self.weight_ih[row * self.input..][..self.input];
                let w_hh = &self.weight_hh[row * self.hidden..][..self.hidden];
                self.bias[row] + dot(w_ih, x) + dot(w_hh, h)
            })
            .collect();
        for (unit, (h, c)) in h.iter_mut().zip(c).take(self.hidden).enumerate() {
            let gate = |gate: usize| z[gate * self.hidden + unit];
            let (i, f, g, o) = (sigmoid(gate(0)), sigmoid(gate(1)), tanh(gate(2)), sigmoid(gate(3)));
            *c = f * *c + i * g;
            *h = o * tanh(*c);
        }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn sigmoid(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

fn tanh(z: f64) -> f64 {
    z.tanh()
}
