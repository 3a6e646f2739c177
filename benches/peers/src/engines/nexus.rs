//! `nexus-inference`: `TinyLstm`, an LSTM with a linear layer behind it, here of one output. It picks its SIMD when it
//! is compiled, so what `RUSTFLAGS` say counts.

use std::hint::black_box;

use bench_support::Tensors;
use nexus_inference::TinyLstm;

use super::{Engine, Fallible};

pub struct Nexus(TinyLstm);

impl Nexus {
    pub fn boxed(tensors: &Tensors, input: usize, hidden: usize) -> Fallible<Box<dyn Engine>> {
        let Tensors { weight_ih, weight_hh, bias_ih, bias_hh } = tensors;
        let head = vec![0.0; hidden];
        let lstm = TinyLstm::from_parts(input, hidden, 1, weight_ih, weight_hh, bias_ih, bias_hh, &head, &[0.0]);
        Ok(Box::new(Self(lstm.map_err(|error| format!("{error:?}"))?)))
    }
}

impl Engine for Nexus {
    fn name(&self) -> String {
        "nexus-inference".into()
    }

    fn note(&self) -> &'static str {
        "`TinyLstm::predict`, with a linear layer of one output, which it cannot do without; no call for sequences; \
         its SIMD is chosen as it is compiled"
    }

    fn step(&mut self, x: &[f32]) {
        black_box(self.0.predict(x));
    }

    fn shown(&self) -> Vec<f32> {
        self.0.hidden_state().to_vec()
    }

    fn reset(&mut self) {
        self.0.reset();
    }
}
