//! Weights as PyTorch stores them, and the f64 oracle with a state.

use lstm_kernels::{LstmWeights, reference};

use crate::{Random, Shape, random::rounded};

/// The four tensors of a cell.
#[derive(Clone, Debug)]
pub struct Model {
    /// Inputs.
    pub input: usize,
    /// Hidden units.
    pub hidden: usize,
    /// \[4H, I\]
    pub weight_ih: Vec<f32>,
    /// \[4H, H\]
    pub weight_hh: Vec<f32>,
    /// \[4H\] each.
    pub bias: Option<(Vec<f32>, Vec<f32>)>,
}

impl Model {
    /// U(-1/sqrt(H), 1/sqrt(H)), PyTorch's own initialisation, times `scale`; rounded to what the cell stores.
    pub fn random(shape: &Shape, random: &mut Random, scale: f64) -> Self {
        Self::exact(shape, random, scale).rounded(shape)
    }

    /// [`random`](Self::random), not rounded.
    pub fn exact(shape: &Shape, random: &mut Random, scale: f64) -> Self {
        let Shape { input, hidden, bias, .. } = *shape;
        let limit = scale / (hidden as f64).sqrt();
        Self {
            input,
            hidden,
            weight_ih: random.uniforms(4 * hidden * input, limit),
            weight_hh: random.uniforms(4 * hidden * hidden, limit),
            bias: bias.then(|| (random.uniforms(4 * hidden, limit), random.uniforms(4 * hidden, limit))),
        }
    }

    /// The same with the weights rounded to what the cell stores.
    pub fn rounded(&self, shape: &Shape) -> Self {
        let [weight_ih, weight_hh] = [&self.weight_ih, &self.weight_hh].map(|weights| rounded(shape.dtype, weights));
        Self { weight_ih, weight_hh, ..self.clone() }
    }

    /// All weights zero.
    pub fn zero(shape: &Shape) -> Self {
        Self::random(shape, &mut Random::new(0), 0.0)
    }

    /// What a cell is made from.
    pub fn weights(&self) -> LstmWeights<'_> {
        let bias = self.bias.as_ref().map(|(ih, hh)| (ih.as_slice(), hh.as_slice()));
        LstmWeights::torch(&self.weight_ih, &self.weight_hh, bias)
    }

    /// The oracle with the same weights and a given state.
    pub fn oracle(&self, h: &[f32], c: &[f32]) -> Oracle {
        let cell = reference::Cell::new(&self.weights(), self.input, self.hidden).expect("weights of this shape");
        Oracle { cell, h: wide(h), c: wide(c) }
    }
}

/// One stream through the f64 reference.
#[derive(Clone, Debug)]
pub struct Oracle {
    cell: reference::Cell,
    /// h after the last step.
    pub h: Vec<f64>,
    /// c after the last step.
    pub c: Vec<f64>,
}

impl Oracle {
    /// One time step.
    pub fn step(&mut self, x: &[f32]) {
        self.cell.step(&wide(x), &mut self.h, &mut self.c);
    }
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().copied().map(f64::from).collect()
}
