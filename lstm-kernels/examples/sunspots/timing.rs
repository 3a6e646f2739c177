//! How long a step takes, beside the loop that one would write by hand.

use std::hint::black_box;
use std::time::Instant;

use crate::model::{MODEL, SunspotCell, Tensors};

/// Steps per measurement: a clock reading costs about as much as a step, so single steps cannot be timed.
const STEPS: usize = 64;
const ROUNDS: usize = 200;

pub fn report(tensors: &Tensors, inputs: &[[f32; 1]]) {
    let mut state = SunspotCell::zero_state();
    let mut plain = PlainLoop::new(tensors);
    let (mut kernel_times, mut plain_times) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        for chunk in inputs.chunks_exact(STEPS) {
            kernel_times.push(nanoseconds(|| chunk.iter().for_each(|x| _ = black_box(MODEL.step(x, &mut state)))));
            plain_times.push(nanoseconds(|| chunk.iter().for_each(|x| plain.step(black_box(x[0])))));
        }
    }
    println!("ns per step, over {} groups of {STEPS} steps:", kernel_times.len());
    for (name, times) in [("this library", &mut kernel_times), ("plain scalar loop", &mut plain_times)] {
        times.sort_by(f64::total_cmp);
        let at = |quantile: f64| times[((times.len() - 1) as f64 * quantile) as usize];
        let (p50, p99, p999, max) = (at(0.5), at(0.99), at(0.999), at(1.0));
        println!("  {name:<18} p50 {p50:>7.1}   p99 {p99:>7.1}   p99.9 {p999:>7.1}   max {max:>7.1}");
    }
}

fn nanoseconds(steps: impl FnOnce()) -> f64 {
    let start = Instant::now();
    steps();
    start.elapsed().as_nanos() as f64 / STEPS as f64
}

/// PyTorch's tensors as they are, a dot product a row, std's `exp` and `tanh`.
struct PlainLoop<'a> {
    tensors: &'a Tensors,
    h: [f32; 16],
    c: [f32; 16],
}

impl<'a> PlainLoop<'a> {
    fn new(tensors: &'a Tensors) -> Self {
        Self { tensors, h: [0.0; 16], c: [0.0; 16] }
    }

    fn step(&mut self, x: f32) {
        let z: [f32; 64] = std::array::from_fn(|row| {
            let recurrent = self.tensors.weight_hh[row * 16..][..16].iter().zip(&self.h).map(|(w, h)| w * h);
            self.tensors.bias_ih[row]
                + self.tensors.bias_hh[row]
                + self.tensors.weight_ih[row] * x
                + recurrent.sum::<f32>()
        });
        let sigmoid = |z: f32| 1.0 / (1.0 + (-z).exp());
        for unit in 0..16 {
            let [i, f, g, o] = [0, 1, 2, 3].map(|gate| z[gate * 16 + unit]);
            self.c[unit] = sigmoid(f) * self.c[unit] + sigmoid(i) * g.tanh();
            self.h[unit] = sigmoid(o) * self.c[unit].tanh();
        }
    }
}
