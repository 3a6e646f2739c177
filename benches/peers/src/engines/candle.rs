//! `candle-nn`: `LSTM::step` and `LSTM::seq` on the CPU device.

use std::collections::HashMap;

use bench_support::Tensors;
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_nn::rnn::{LSTM, LSTMConfig, LSTMState, RNN, lstm};

use super::{Engine, Fallible};

pub struct Candle {
    lstm: LSTM,
    state: LSTMState,
    input: usize,
}

impl Candle {
    pub fn boxed(tensors: &Tensors, input: usize, hidden: usize) -> Fallible<Box<dyn Engine>> {
        let named = [
            ("weight_ih_l0", Tensor::from_slice(&tensors.weight_ih, (4 * hidden, input), &Device::Cpu)?),
            ("weight_hh_l0", Tensor::from_slice(&tensors.weight_hh, (4 * hidden, hidden), &Device::Cpu)?),
            ("bias_ih_l0", Tensor::from_slice(&tensors.bias_ih, 4 * hidden, &Device::Cpu)?),
            ("bias_hh_l0", Tensor::from_slice(&tensors.bias_hh, 4 * hidden, &Device::Cpu)?),
        ];
        let named = HashMap::from(named.map(|(name, tensor)| (name.to_owned(), tensor)));
        let builder = VarBuilder::from_tensors(named, DType::F32, &Device::Cpu);
        let lstm = lstm(input, hidden, LSTMConfig::default(), builder)?;
        Ok(Box::new(Self { state: lstm.zero_state(1)?, lstm, input }))
    }
}

impl Engine for Candle {
    fn name(&self) -> String {
        "candle-nn".into()
    }

    fn note(&self) -> &'static str {
        "`rnn::LSTM::step` and `seq` on the CPU; `RAYON_NUM_THREADS` is set, without which it reads /proc/cpuinfo \
         before each of the two products, 40 us a step; Burn's `x86-v4` turns AVX-512 on in `gemm`, which both use"
    }

    fn step(&mut self, x: &[f32]) {
        let x = Tensor::from_slice(x, (1, self.input), &Device::Cpu).expect("one row");
        self.state = self.lstm.step(&x, &self.state).expect("the cell's shapes");
    }

    fn shown(&self) -> Vec<f32> {
        self.state.h().flatten_all().and_then(|h| h.to_vec1()).expect("f32")
    }

    fn reset(&mut self) {
        self.state = self.lstm.zero_state(1).expect("a batch of one");
    }

    fn sequence(&mut self, xs: &[f32]) -> bool {
        let xs = Tensor::from_slice(xs, (1, xs.len() / self.input, self.input), &Device::Cpu).expect("one sequence");
        let mut states = self.lstm.seq(&xs).expect("the cell's shapes");
        self.state = states.pop().expect("a state for every step");
        true
    }
}
