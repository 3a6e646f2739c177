//! `rten`: an ONNX model, weights packed when it is loaded, one thread.

use bench_support::Tensors;
use rten::{Model, ModelOptions, NodeId, Value, ValueOrView};
use rten_tensor::prelude::*;
use rten_tensor::{NdTensor, NdTensorView};

use super::{Engine, Fallible, cycle};
use crate::onnx::onnx_lstm;

pub struct Rten {
    step: Loaded,
    sequence: Loaded,
    input: usize,
    h: NdTensor<f32, 3>,
    c: NdTensor<f32, 3>,
}

/// A model and the nodes of x, h and c before and of h and c after.
struct Loaded {
    model: Model,
    inputs: [NodeId; 3],
    outputs: [NodeId; 2],
}

impl Loaded {
    fn new(onnx: Vec<u8>) -> Fallible<Self> {
        let mut options = ModelOptions::with_all_ops();
        options.prepack_weights(true);
        let model = options.load(onnx)?;
        let node = |name| model.node_id(name);
        let inputs = [node("x")?, node("h_0")?, node("c_0")?];
        let outputs = [node("h_n")?, node("c_n")?];
        Ok(Self { model, inputs, outputs })
    }
}

impl Rten {
    pub fn boxed(tensors: &Tensors, input: usize, hidden: usize) -> Fallible<Box<dyn Engine>> {
        let load = |steps| Loaded::new(onnx_lstm(tensors, input, hidden, steps));
        Ok(Box::new(Self {
            step: load(1)?,
            sequence: load(crate::STEPS)?,
            input,
            h: NdTensor::zeros([1, 1, hidden]),
            c: NdTensor::zeros([1, 1, hidden]),
        }))
    }

    fn run(&mut self, xs: &[f32], steps: usize) {
        let loaded = if steps == 1 { &self.step } else { &self.sequence };
        let x = NdTensorView::from_data([steps, 1, self.input], xs);
        let inputs: [ValueOrView<'_>; 3] = [x.into(), self.h.view().into(), self.c.view().into()];
        let inputs = loaded.inputs.into_iter().zip(inputs).collect();
        let outputs: [Value; 2] = loaded.model.run_n(inputs, loaded.outputs, None).expect("the model's shapes");
        let [h, c] = outputs.map(|value| value.try_into().expect("f32 of three dimensions"));
        (self.h, self.c) = (h, c);
    }
}

impl Engine for Rten {
    fn name(&self) -> String {
        "rten".into()
    }

    fn note(&self) -> &'static str {
        "an ONNX model, run from inside the thread pool, which has one thread"
    }

    fn step(&mut self, x: &[f32]) {
        self.run(x, 1);
    }

    fn shown(&self) -> Vec<f32> {
        self.h.to_vec()
    }

    fn reset(&mut self) {
        self.h.fill(0.0);
        self.c.fill(0.0);
    }

    fn sequence(&mut self, xs: &[f32]) -> bool {
        self.reset();
        self.run(xs, crate::STEPS);
        true
    }
    fn steps(&mut self, xs: &[f32], first: usize, count: usize) {
        // Models run on a thread of the pool: from there no step has to be handed over.
        rten::thread_pool().run(|| cycle(self, xs, first, count));
    }
}
