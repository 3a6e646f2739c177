//! One call of an LSTM: options, weights, sequences, states.

use lstm_kernels::lstm::Input;
use lstm_kernels::{Isa, LstmConfig};

use crate::{LstmModel, Random};

/// What goes into one call.
#[derive(Clone, Debug)]
pub struct LstmCase {
    /// Options and weights.
    pub model: LstmModel,
    /// Time steps.
    pub steps: usize,
    /// Sequences.
    pub batch: usize,
    /// The sequences, in the order that `shape` says; NaN behind a sequence's end.
    pub x: Vec<f32>,
    /// The shape of `x`.
    pub shape: [usize; 3],
    /// Each sequence's length, if they differ.
    pub lengths: Option<Vec<usize>>,
    /// `h_0` and `c_0`, if they are given.
    pub initial: Option<(Vec<f32>, Vec<f32>)>,
}

/// What came out: output, `h_n`, `c_n`.
pub type LstmResult = [Vec<f32>; 3];

impl LstmCase {
    /// Weights, inputs and, if wanted, lengths and states that a seed determines.
    pub fn random(config: LstmConfig, [steps, batch]: [usize; 2], lengths: bool, states: bool, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let model = LstmModel::random(config, &mut random, 1.0);
        let x = random.normals(steps * batch * config.input_size);
        let rows = config.cells() * batch;
        let initial =
            states.then(|| (random.uniforms(rows * config.h_size(), 1.0), random.normals(rows * config.hidden_size)));
        let lengths = lengths.then(|| (0..batch).map(|_| 1 + random.below(steps)).collect::<Vec<_>>());
        let [first, second] = if config.batch_first { [batch, steps] } else { [steps, batch] };
        let mut case = Self { model, steps, batch, x, shape: [first, second, config.input_size], lengths, initial };
        for stream in 0..batch {
            for t in case.len(stream)..steps {
                let row = case.row(t, stream);
                case.x[row * config.input_size..][..config.input_size].fill(f32::NAN);
            }
        }
        case
    }

    /// The place of a row in input and output.
    pub fn row(&self, t: usize, stream: usize) -> usize {
        if self.model.config.batch_first { stream * self.steps + t } else { t * self.batch + stream }
    }

    /// A sequence's length.
    pub fn len(&self, stream: usize) -> usize {
        self.lengths.as_ref().map_or(self.steps, |lengths| lengths[stream])
    }

    /// What goes in.
    pub fn input(&self) -> Input<'_> {
        let input = Input::new(&self.x, &self.shape);
        self.lengths.as_ref().map_or(input, |lengths| input.lengths(lengths))
    }

    /// `(h_0, c_0)`, if they are given.
    pub fn initial(&self) -> Option<(&[f32], &[f32])> {
        self.initial.as_ref().map(|(h, c)| (h.as_slice(), c.as_slice()))
    }

    /// What `forward` gives.
    pub fn forward(&self, isa: Isa) -> LstmResult {
        let found =
            self.model.lstm(isa).forward(self.input(), self.initial()).unwrap_or_else(|e| panic!("{self:?}: {e}"));
        [found.output.data, found.h_n.data, found.c_n.data]
    }

    /// The same weights for one of the sequences alone, cut at its end.
    pub fn single(&self, stream: usize) -> Self {
        let config = self.model.config;
        let (steps, size) = (self.len(stream), config.input_size);
        let x = (0..steps).flat_map(|t| &self.x[self.row(t, stream) * size..][..size]).copied().collect();
        let of = |states: &[f32], size: usize| -> Vec<f32> {
            (0..config.cells())
                .flat_map(|cell| &states[(cell * self.batch + stream) * size..][..size])
                .copied()
                .collect()
        };
        let initial = self.initial().map(|(h, c)| (of(h, config.h_size()), of(c, config.hidden_size)));
        let shape = if config.batch_first { [1, steps, size] } else { [steps, 1, size] };
        Self { model: self.model.clone(), steps, batch: 1, x, shape, lengths: None, initial }
    }

    /// The results of all [`single`](Self::single) sequences, put together as the batch's.
    pub fn gather(&self, singles: &[LstmResult]) -> LstmResult {
        let config = self.model.config;
        let (output, h, c) = (config.output_size(), config.h_size(), config.hidden_size);
        let rows = config.cells() * self.batch;
        let mut all = [vec![0.0; self.steps * self.batch * output], vec![0.0; rows * h], vec![0.0; rows * c]];
        for (stream, single) in singles.iter().enumerate() {
            for (t, row) in single[0].chunks_exact(output).enumerate() {
                all[0][self.row(t, stream) * output..][..output].copy_from_slice(row);
            }
            for (n, size) in [(1, h), (2, c)] {
                for (cell, row) in single[n].chunks_exact(size).enumerate() {
                    all[n][(cell * self.batch + stream) * size..][..size].copy_from_slice(row);
                }
            }
        }
        all
    }
}
