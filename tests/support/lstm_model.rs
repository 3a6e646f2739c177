//! The weights of a whole LSTM as a PyTorch `state_dict` holds them.

use lstm_kernels::{Isa, Lstm, LstmConfig, LstmWeights, reference};

use crate::random::{Random, rounded};

/// Options and weights of an LSTM.
#[derive(Clone, Debug)]
pub struct LstmModel {
    /// The options.
    pub config: LstmConfig,
    /// The tensors, one after the other in the order of a `state_dict`.
    flat: Vec<f32>,
}

impl LstmModel {
    /// From the tensors of a `state_dict`, one after the other.
    ///
    /// # Panics
    /// If these are not as many numbers as the options ask for.
    pub fn new(config: LstmConfig, flat: Vec<f32>) -> Self {
        let expected: usize = (0..config.cells()).flat_map(|cell| lens(&config, cell)).sum();
        assert_eq!(flat.len(), expected, "weights of {config:?}");
        Self { config, flat }
    }

    /// U(-1/sqrt(H), 1/sqrt(H)), PyTorch's own initialisation, times `scale`; all rounded to what the LSTM stores,
    /// though it stores biases as they are.
    pub fn random(config: LstmConfig, random: &mut Random, scale: f64) -> Self {
        let len = (0..config.cells()).flat_map(|cell| lens(&config, cell)).sum();
        let flat = random.uniforms(len, scale / (config.hidden_size as f64).sqrt());
        Self::new(config, rounded(config.dtype, &flat))
    }

    /// What an LSTM is made from, layer by layer, the forward direction first.
    pub fn weights(&self) -> Vec<LstmWeights<'_>> {
        let mut rest = &self.flat[..];
        let mut take = |len| {
            let (tensor, behind) = rest.split_at(len);
            rest = behind;
            tensor
        };
        let view = |cell| {
            let [ih, hh, b_ih, b_hh, hr] = lens(&self.config, cell).map(&mut take);
            let weights = LstmWeights::torch(ih, hh, self.config.bias.then_some((b_ih, b_hh)));
            if self.config.proj_size > 0 { weights.with_projection(hr) } else { weights }
        };
        (0..self.config.cells()).map(view).collect()
    }

    /// The driver on an instruction set.
    pub fn lstm(&self, isa: Isa) -> Lstm {
        let lstm =
            Lstm::with_isa(self.config, &self.weights(), isa).unwrap_or_else(|e| panic!("{:?}: {e}", self.config));
        assert_eq!(lstm.isa(), isa, "`isa` must say what `with_isa` was given");
        lstm
    }

    /// The f64 oracle.
    pub fn oracle(&self) -> reference::Lstm {
        reference::Lstm::new(self.config, &self.weights()).unwrap_or_else(|e| panic!("{:?}: {e}", self.config))
    }
}

/// The lengths of `weight_ih`, `weight_hh`, `bias_ih`, `bias_hh`, `weight_hr` of a layer and direction.
fn lens(config: &LstmConfig, cell: usize) -> [usize; 5] {
    let rows = 4 * config.hidden_size;
    let input = if cell < config.directions() { config.input_size } else { config.output_size() };
    let bias = if config.bias { rows } else { 0 };
    [rows * input, rows * config.h_size(), bias, bias, config.proj_size * config.hidden_size]
}
