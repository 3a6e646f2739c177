//! `tract-onnx`: an ONNX model with its length fixed, so that tract can specialise it.

use std::io::Cursor;

use bench_support::Tensors;
use tract_onnx::prelude::*;

use super::{Engine, Fallible};
use crate::onnx::onnx_lstm;

pub struct Tract {
    step: TypedSimpleState,
    sequence: TypedSimpleState,
    input: usize,
    hidden: usize,
    h: TValue,
    c: TValue,
}

impl Tract {
    pub fn boxed(tensors: &Tensors, input: usize, hidden: usize) -> Fallible<Box<dyn Engine>> {
        let load = |steps| {
            let onnx = onnx_lstm(tensors, input, hidden, steps);
            // The runnable model's own `run` would make such a state for every call.
            tract_onnx::onnx().model_for_read(&mut Cursor::new(onnx))?.into_optimized()?.into_runnable()?.spawn()
        };
        let (step, sequence) = (load(1)?, load(crate::STEPS)?);
        Ok(Box::new(Self { step, sequence, input, hidden, h: zeros(hidden), c: zeros(hidden) }))
    }

    fn run(&mut self, xs: &[f32], steps: usize) {
        let model = if steps == 1 { &mut self.step } else { &mut self.sequence };
        let x = Tensor::from_shape(&[steps, 1, self.input], xs).expect("one sequence");
        let inputs = tvec![x.into_tvalue(), self.h.clone(), self.c.clone()];
        let mut outputs = model.run(inputs).expect("the model's shapes");
        self.c = outputs.remove(2);
        self.h = outputs.remove(1);
    }
}

fn zeros(hidden: usize) -> TValue {
    Tensor::from_shape(&[1, 1, hidden], &vec![0_f32; hidden]).expect("a row").into_tvalue()
}

impl Engine for Tract {
    fn name(&self) -> String {
        "tract-onnx".into()
    }

    fn note(&self) -> &'static str {
        "an ONNX model optimised for its length, run by a plan that is kept"
    }

    fn step(&mut self, x: &[f32]) {
        self.run(x, 1);
    }

    fn shown(&self) -> Vec<f32> {
        self.h.to_plain_array_view::<f32>().expect("f32").iter().copied().collect()
    }

    fn reset(&mut self) {
        (self.h, self.c) = (zeros(self.hidden), zeros(self.hidden));
    }

    fn sequence(&mut self, xs: &[f32]) -> bool {
        self.reset();
        self.run(xs, crate::STEPS);
        true
    }
}
