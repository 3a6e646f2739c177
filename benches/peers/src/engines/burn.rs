//! `burn`: `nn::Lstm` on Flex, its CPU backend in Rust (burn-ndarray is deprecated since 0.22).

use bench_support::Tensors;
use burn::module::Param;
use burn::nn::{GateController, Linear, Lstm, LstmConfig, LstmState};
use burn::tensor::{Device, Tensor, TensorData};

use super::{Engine, Fallible};

pub struct Burn {
    lstm: Lstm,
    state: Option<LstmState<2>>,
    device: Device,
    input: usize,
    hidden: usize,
}

impl Burn {
    pub fn boxed(tensors: &Tensors, input: usize, hidden: usize) -> Fallible<Box<dyn Engine>> {
        let device = Device::flex();
        let mut lstm: Lstm = LstmConfig::new(input, hidden, true).init(&device);
        let forget = lstm.forget_gate.as_mut().ok_or("no forget gate")?;
        for (gate, into) in
            [&mut lstm.input_gate, forget, &mut lstm.cell_gate, &mut lstm.output_gate].into_iter().enumerate()
        {
            set(into, tensors, gate, input, hidden, &device);
        }
        Ok(Box::new(Self { lstm, state: None, device, input, hidden }))
    }
}

/// PyTorch's rows of one gate, transposed.
fn set(into: &mut GateController, tensors: &Tensors, gate: usize, input: usize, hidden: usize, device: &Device) {
    let linear = |linear: &mut Linear, weight: &[f32], bias: &[f32], columns: usize| {
        let rows = &weight[gate * hidden * columns..][..hidden * columns];
        let transposed = (0..columns).flat_map(|column| (0..hidden).map(move |row| rows[row * columns + column]));
        let weight = TensorData::new(transposed.collect::<Vec<_>>(), [columns, hidden]);
        linear.weight = Param::from_tensor(Tensor::from_data(weight, device));
        let bias = TensorData::new(bias[gate * hidden..][..hidden].to_vec(), [hidden]);
        linear.bias = Some(Param::from_tensor(Tensor::from_data(bias, device)));
    };
    linear(&mut into.input_transform, &tensors.weight_ih, &tensors.bias_ih, input);
    linear(&mut into.hidden_transform, &tensors.weight_hh, &tensors.bias_hh, hidden);
}

impl Engine for Burn {
    fn name(&self) -> String {
        "burn (flex)".into()
    }

    fn note(&self) -> &'static str {
        "`nn::Lstm::forward` on Flex, with its features `simd` and `x86-v4`"
    }

    fn step(&mut self, x: &[f32]) {
        let steps = x.len() / self.input;
        let x = Tensor::<3>::from_data(TensorData::new(x.to_vec(), [1, steps, self.input]), &self.device);
        self.state = Some(self.lstm.forward(x, self.state.take()).1);
    }

    fn shown(&self) -> Vec<f32> {
        let h = self.state.as_ref().map(|state| state.hidden.to_data().try_to_vec().expect("f32"));
        h.unwrap_or_else(|| vec![0.0; self.hidden])
    }

    fn reset(&mut self) {
        self.state = None;
    }

    fn sequence(&mut self, xs: &[f32]) -> bool {
        self.reset();
        self.step(xs);
        true
    }
}
