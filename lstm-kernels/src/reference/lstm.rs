//! The oracle of whole sequences: one stream after the other, layer by layer, direction by direction.

use alloc::vec::Vec;

use super::Cell;
use crate::config::LstmConfig;
use crate::error::Error;
use crate::lstm::input::{Extent, Input};
use crate::tensor::check_elements;
use crate::weights::LstmWeights;

/// `torch.nn.LSTM` in f64 with all its options, to check [`lstm::Lstm`](crate::lstm::Lstm) with.
///
/// ```
/// use lstm_kernels::lstm::Input;
/// use lstm_kernels::{LstmConfig, LstmWeights, reference};
/// // Two layers of one unit, all weights zero: every sigmoid is 1/2, g is 0, so c halves at each step.
/// let weights = [LstmWeights::torch(&[0.0; 4], &[0.0; 4], None); 2];
/// let lstm = reference::Lstm::new(LstmConfig::new(1, 1).num_layers(2).bias(false), &weights)?;
/// let result = lstm.forward(Input::new(&[3.0, 3.0], &[2, 1, 1]), Some((&[0.0; 2], &[1.0, 8.0])))?;
/// assert_eq!(result.output, [0.5 * 4f64.tanh(), 0.5 * 2f64.tanh()]);
/// assert_eq!(result.c_n, [0.25, 2.0]);
/// # Ok::<(), lstm_kernels::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Lstm {
    config: LstmConfig,
    /// Layer by layer, the forward direction first.
    cells: Vec<Cell>,
}

/// What [`Lstm::forward`] returns: the elements of the tensors of [`lstm::Output`](crate::lstm::Output), in f64.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// `[steps, batch, directions * h_size]`, or as `batch_first` has it; zero behind a sequence's end.
    pub output: Vec<f64>,
    /// `[directions * num_layers, batch, h_size]`
    pub h_n: Vec<f64>,
    /// `[directions * num_layers, batch, hidden_size]`
    pub c_n: Vec<f64>,
}

impl Lstm {
    /// An LSTM of the same weights as [`lstm::Lstm::new`](crate::lstm::Lstm::new): layer by layer, and of each layer
    /// the forward direction first.
    ///
    /// # Errors
    /// What [`lstm::Lstm::new`](crate::lstm::Lstm::new) refuses, instruction sets aside.
    pub fn new(config: LstmConfig, weights: &[LstmWeights<'_>]) -> Result<Self, Error> {
        config.check()?;
        let cells = config.each_cell(weights, |weights, sizes| {
            weights.check::<f32>(sizes, config.bias)?;
            Ok(Cell::of_checked(weights, sizes))
        })?;
        Ok(Self { config, cells })
    }

    /// Runs a batch of sequences from `(h_0, c_0)`, or from zero: input and states as
    /// [`lstm::Lstm::forward`](crate::lstm::Lstm::forward) takes them.
    ///
    /// # Errors
    /// An input of the wrong shape or lengths, states of another number of elements.
    pub fn forward(&self, input: Input<'_>, initial: Option<(&[f32], &[f32])>) -> Result<Output, Error> {
        let Extent { steps, batch, .. } = Extent::new(&self.config, &input, 1)?;
        let LstmConfig { input_size, hidden_size, .. } = self.config;
        let (h_size, output_size) = (self.config.h_size(), self.config.output_size());
        let states = self.config.cells() * batch;
        let (mut h_n, mut c_n) = (alloc::vec![0.0; states * h_size], alloc::vec![0.0; states * hidden_size]);
        if let Some((h_0, c_0)) = initial {
            check_elements("h_0", h_0.len(), [self.config.cells(), batch, h_size])?;
            check_elements("c_0", c_0.len(), [self.config.cells(), batch, hidden_size])?;
            (h_n, c_n) = (wide(h_0), wide(c_0));
        }
        let mut output = alloc::vec![0.0; steps * batch * output_size];

        for stream in 0..batch {
            let row = |t: usize| if self.config.batch_first { stream * steps + t } else { t * batch + stream };
            let len = input.lengths.map_or(steps, |lengths| lengths[stream]);
            // What goes into the layer, time step by time step; then what comes out.
            let mut rows: Vec<_> = (0..len).map(|t| wide(&input.data[row(t) * input_size..][..input_size])).collect();
            for layer in 0..self.config.num_layers {
                let mut outputs = alloc::vec![Vec::new(); len];
                for direction in 0..self.config.directions() {
                    let cell = layer * self.config.directions() + direction;
                    let state = cell * batch + stream;
                    let h = &mut h_n[state * h_size..][..h_size];
                    let c = &mut c_n[state * hidden_size..][..hidden_size];
                    for n in 0..len {
                        let t = if direction == 0 { n } else { len - 1 - n };
                        self.cells[cell].step(&rows[t], h, c);
                        outputs[t].extend_from_slice(h);
                    }
                }
                rows = outputs;
            }
            for (t, values) in rows.iter().enumerate() {
                output[row(t) * output_size..][..output_size].copy_from_slice(values);
            }
        }
        Ok(Output { output, h_n, c_n })
    }
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().copied().map(f64::from).collect()
}
