//! The oracle: the textbook LSTM in f64, scalar, without any cleverness. [`Cell`] is one step, [`Lstm`] all options of
//! `torch.nn.LSTM`.
//!
//! ```text
//! i = sigmoid(W_ii x + b_ii + W_hi h + b_hi)       c' = f * c + i * g
//! f = sigmoid(W_if x + b_if + W_hf h + b_hf)       h' = o * tanh(c')
//! g =    tanh(W_ig x + b_ig + W_hg h + b_hg)
//! o = sigmoid(W_io x + b_io + W_ho h + b_ho)
//! ```
//!
//! Source: the documentation of `torch.nn.LSTMCell`. Slow on purpose; use it to check, not to run.

#[cfg(feature = "lstm")]
mod lstm;

use alloc::vec::Vec;

#[cfg(feature = "lstm")]
pub use lstm::{Lstm, Output};

use crate::error::Error;
use crate::weights::{LstmWeights, Sizes, check_size};

/// An LSTM cell in f64, with an optional projection (`proj_size`): then h = W_hr (o tanh(c')).
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
    sizes: Sizes,
    /// \[4H, I + h\], rows i, f, g, o.
    weights: Vec<f64>,
    bias: Vec<f64>,
    weight_hr: Vec<f64>,
}

impl Cell {
    /// A cell of `input` inputs and `hidden` units, with or without bias as the weights have it.
    ///
    /// # Errors
    /// A size of 0 or above 1,048,576, a tensor of the wrong length, a NaN or infinite weight, a projection or a head,
    /// which it has not.
    pub fn new(weights: &LstmWeights<'_>, input: usize, hidden: usize) -> Result<Self, Error> {
        Self::of_sizes(weights, Sizes { input, hidden, proj: None })
    }

    /// [`new`](Self::new) with a projection of h to `proj` outputs.
    ///
    /// # Errors
    /// As [`new`](Self::new); a missing `weight_hr`.
    pub fn with_projection(weights: &LstmWeights<'_>, input: usize, hidden: usize, proj: usize) -> Result<Self, Error> {
        Self::of_sizes(weights, Sizes { input, hidden, proj: Some(proj) })
    }

    fn of_sizes(weights: &LstmWeights<'_>, sizes: Sizes) -> Result<Self, Error> {
        let options = [("input", sizes.input), ("hidden", sizes.hidden), ("proj", sizes.output())];
        options.into_iter().try_for_each(|(option, size)| check_size(option, size))?;
        weights.check::<f32>(sizes, weights.has_bias())?;
        Ok(Self::of_checked(weights, sizes))
    }

    fn of_checked(weights: &LstmWeights<'_>, sizes: Sizes) -> Self {
        let rows = (0..4).flat_map(|gate| (0..sizes.hidden).map(move |unit| (gate, unit)));
        let row =
            |(gate, unit)| (0..sizes.columns()).map(move |column| f64::from(weights.weight(sizes, gate, unit, column)));
        let bias =
            |(gate, unit)| weights.bias(sizes.hidden, gate, unit).map_or(0.0, |[ih, hh]| f64::from(ih) + f64::from(hh));
        Self {
            sizes,
            weights: rows.clone().flat_map(row).collect(),
            bias: rows.map(bias).collect(),
            weight_hr: weights.weight_hr().iter().copied().map(f64::from).collect(),
        }
    }

    /// One time step, in place. Shapes: x \[input\], h \[hidden\] (\[proj\] with a projection), c \[hidden\]; what is
    /// longer is ignored, what is missing of x and h counts as zero, units whose c is missing give zero.
    pub fn step(&self, x: &[f64], h: &mut [f64], c: &mut [f64]) {
        let Sizes { input, hidden, .. } = self.sizes;
        let z: Vec<f64> = self
            .weights
            .chunks_exact(self.sizes.columns())
            .zip(&self.bias)
            .map(|(row, bias)| bias + dot(&row[..input], x) + dot(&row[input..], h))
            .collect();
        let mut output = alloc::vec![0.0; hidden];
        for (unit, (h, c)) in output.iter_mut().zip(c).enumerate() {
            let gate = |gate: usize| z[gate * hidden + unit];
            let (i, f, g, o) = (sigmoid(gate(0)), sigmoid(gate(1)), tanh(gate(2)), sigmoid(gate(3)));
            *c = f * *c + i * g;
            *h = o * tanh(*c);
        }
        if self.sizes.proj.is_some() {
            output = self.weight_hr.chunks_exact(hidden).map(|row| dot(row, &output)).collect();
        }
        for (h, output) in h.iter_mut().zip(output) {
            *h = output;
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
