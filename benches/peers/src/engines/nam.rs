//! `nam-rs`: guitar amplifiers, so one input and one output, a linear layer of h. Its weights here are 1/H: what it
//! shows is the mean of h.

use std::hint::black_box;

use bench_support::Tensors;
use nam_rs::{Lstm, NamModel};

use super::{Engine, Fallible};

pub struct Nam {
    lstm: Lstm,
    output: f32,
    block: Vec<f32>,
}

impl Nam {
    pub fn boxed(tensors: &Tensors, hidden: usize) -> Fallible<Box<dyn Engine>> {
        let mut weights = vec![];
        for (row, input) in tensors.weight_hh.chunks(hidden).zip(&tensors.weight_ih) {
            weights.push(*input);
            weights.extend(row);
        }
        weights.extend(tensors.bias_ih.iter().zip(&tensors.bias_hh).map(|(a, b)| a + b));
        // h_0, c_0, the linear layer's weights, its bias.
        weights.extend(vec![0.0; 2 * hidden]);
        weights.extend(vec![1.0 / hidden as f32; hidden]);
        weights.push(0.0);
        let model = serde_json::json!({
            "version": "0.5.4",
            "architecture": "LSTM",
            "config": { "input_size": 1, "hidden_size": hidden, "num_layers": 1 },
            "weights": weights,
        });
        let lstm = Lstm::new(&NamModel::from_json_str(&model.to_string())?)?;
        Ok(Box::new(Self { lstm, output: 0.0, block: vec![] }))
    }
}

impl Engine for Nam {
    fn name(&self) -> String {
        "nam-rs".into()
    }

    fn note(&self) -> &'static str {
        "has one input and a linear layer of one output, so is only measured with one input; the mean of h is compared"
    }

    fn step(&mut self, x: &[f32]) {
        self.output = black_box(self.lstm.process_sample(x[0]));
    }

    fn shown(&self) -> Vec<f32> {
        vec![self.output]
    }

    fn show(&self, h: &[f64]) -> Vec<f64> {
        vec![h.iter().sum::<f64>() / h.len() as f64]
    }

    fn reset(&mut self) {
        self.lstm.reset();
    }

    fn sequence(&mut self, xs: &[f32]) -> bool {
        self.reset();
        self.block.clear();
        self.block.extend(xs);
        self.lstm.process_buffer(&mut self.block);
        self.output = self.block.last().copied().unwrap_or_default();
        true
    }
}
