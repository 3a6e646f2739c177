//! Random numbers that are the same in every run and on every machine.

use std::f64::consts::TAU;

use half::{bf16, f16};
use lstm_kernels::Dtype;

/// Weights as a cell or an LSTM stores them.
pub fn rounded(dtype: Dtype, weights: &[f32]) -> Vec<f32> {
    let round = |&weight: &f32| match dtype {
        Dtype::F16 => f16::from_f32(weight).to_f32(),
        Dtype::Bf16 => bf16::from_f32(weight).to_f32(),
        _ => weight,
    };
    weights.iter().map(round).collect()
}

/// splitmix64, with the two distributions that LSTM weights and inputs have.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A sequence that `seed` determines.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// One of `0..end`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.unit() * end as f64) as usize
    }

    /// U(-limit, limit).
    pub fn uniform(&mut self, limit: f64) -> f32 {
        ((2.0 * self.unit() - 1.0) * limit) as f32
    }

    /// N(0, 1), by Box and Muller.
    pub fn normal(&mut self) -> f32 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        (radius * (TAU * self.unit()).cos()) as f32
    }

    /// `len` numbers U(-limit, limit).
    pub fn uniforms(&mut self, len: usize, limit: f64) -> Vec<f32> {
        (0..len).map(|_| self.uniform(limit)).collect()
    }

    /// `len` numbers N(0, 1).
    pub fn normals(&mut self, len: usize) -> Vec<f32> {
        (0..len).map(|_| self.normal()).collect()
    }

    /// U[0, 1).
    fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }
}
