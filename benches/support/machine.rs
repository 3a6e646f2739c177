//! Loops that reach one limit of a core each, written once for every vector width.
//!
//! `pulp` hands out vectors only to those who hold the proof that the CPU has them, so nothing here is unsafe.

use std::hint::black_box;
use std::time::Duration;

use pulp::{Simd, WithSimd};

use crate::timing::time;

/// How long one limit is measured.
const BUDGET: Duration = Duration::from_millis(60);

/// A width of vectors that this CPU may have.
#[derive(Clone, Copy, Debug)]
pub enum Width {
    /// 256 bits: AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    V3(pulp::x86::V3),
    /// 512 bits: AVX-512.
    #[cfg(target_arch = "x86_64")]
    V4(pulp::x86::V4),
    /// 128 bits: AArch64's Advanced SIMD.
    #[cfg(target_arch = "aarch64")]
    Neon(pulp::aarch64::Neon),
}

impl Width {
    /// The widths of this CPU, narrowest first.
    pub fn available() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let all = [pulp::x86::V3::try_new().map(Self::V3), pulp::x86::V4::try_new().map(Self::V4)];
        #[cfg(target_arch = "aarch64")]
        let all = [pulp::aarch64::Neon::try_new().map(Self::Neon)];
        all.into_iter().flatten()
    }

    /// The name of the instruction set, as `lstm_kernels::Isa` has it.
    pub fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::V3(_) => "v3",
            #[cfg(target_arch = "x86_64")]
            Self::V4(_) => "v4",
            #[cfg(target_arch = "aarch64")]
            Self::Neon(_) => "neon",
        }
    }

    /// f32 in a vector.
    pub fn lanes(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::V3(_) => 8,
            #[cfg(target_arch = "x86_64")]
            Self::V4(_) => 16,
            #[cfg(target_arch = "aarch64")]
            Self::Neon(_) => 4,
        }
    }

    fn run<O: WithSimd>(self, op: O) -> O::Output {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::V3(token) => Simd::vectorize(token, op),
            #[cfg(target_arch = "x86_64")]
            Self::V4(token) => Simd::vectorize(token, op),
            #[cfg(target_arch = "aarch64")]
            Self::Neon(token) => Simd::vectorize(token, op),
        }
    }

    /// Fused multiply-adds of f32 in a nanosecond: single ones, not vectors.
    pub fn fma_per_ns(self) -> f64 {
        let ns = time(BUDGET, || _ = black_box(self.run(FmaThroughput))).low;
        (ROUNDS * CHAINS * self.lanes()) as f64 / ns
    }

    /// The latency of one fused multiply-add, in nanoseconds.
    pub fn fma_latency(self) -> f64 {
        time(BUDGET, || _ = black_box(self.run(FmaLatency))).low / ROUNDS as f64
    }

    /// The latency of one division, in nanoseconds.
    pub fn div_latency(self) -> f64 {
        time(BUDGET, || _ = black_box(self.run(DivLatency))).low / ROUNDS as f64
    }

    /// From a vector in a register through memory to one of its lanes in all lanes of another, in nanoseconds: what h
    /// takes from one step into the next.
    pub fn forward_latency(self) -> f64 {
        let mut memory = [0.0; 64];
        let both = time(BUDGET, || _ = black_box(self.run(Forward(black_box(&mut memory))))).low / ROUNDS as f64;
        both - self.fma_latency()
    }

    /// Bytes in a nanosecond that one core reads, again and again from the same `bytes`.
    pub fn bytes_per_ns(self, bytes: usize) -> f64 {
        let len = bytes / size_of::<f32>();
        let buffer = vec![1.0; len + 16];
        // A vector that straddles two cache lines costs two reads.
        let start = buffer.as_ptr().align_offset(64);
        let aligned = &buffer[start..start + len];
        let ns = time(BUDGET, || _ = black_box(self.run(Read(black_box(aligned))))).low;
        bytes as f64 / ns
    }
}

/// Cycles in a nanosecond, from a chain of one multiplication (3 cycles) and one exclusive or (1) on integers: the same
/// on every x86-64 and AArch64 core of the last ten years.
pub fn clock() -> f64 {
    let ns = time(BUDGET, || {
        let factor = black_box(3_u64);
        let mut x = black_box(1_u64);
        for _ in 0..ROUNDS {
            x = x.wrapping_mul(factor) ^ factor;
        }
        black_box(x);
    })
    .low;
    (4 * ROUNDS) as f64 / ns
}

/// The length of a chain of dependent operations.
const ROUNDS: usize = 1000;
/// Independent chains: latency 4 times 2 a cycle is 8; more than that, few enough for 16 registers.
const CHAINS: usize = 12;
/// Sums that a reader keeps, so that no addition waits for the one before.
const SUMS: usize = 8;

struct FmaThroughput;

impl WithSimd for FmaThroughput {
    type Output = Option<f32>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Option<f32> {
        let factor = simd.splat_f32s(black_box(0.5));
        let mut sums = [simd.splat_f32s(black_box(1.0)); CHAINS];
        for _ in 0..ROUNDS {
            for sum in &mut sums {
                *sum = simd.mul_add_e_f32s(*sum, factor, factor);
            }
        }
        let total = sums.into_iter().reduce(|a, b| simd.add_f32s(a, b));
        total.map(|sum| simd.reduce_sum_f32s(sum))
    }
}

struct FmaLatency;

impl WithSimd for FmaLatency {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        let factor = simd.splat_f32s(black_box(0.5));
        let mut x = factor;
        for _ in 0..ROUNDS {
            x = simd.mul_add_e_f32s(x, factor, factor);
        }
        simd.reduce_sum_f32s(x)
    }
}

struct DivLatency;

impl WithSimd for DivLatency {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        let dividend = simd.splat_f32s(black_box(1.7));
        let mut x = simd.splat_f32s(black_box(1.3));
        for _ in 0..ROUNDS {
            x = simd.div_f32s(dividend, x);
        }
        simd.reduce_sum_f32s(x)
    }
}

struct Forward<'a>(&'a mut [f32; 64]);

impl WithSimd for Forward<'_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        let factor = simd.splat_f32s(black_box(0.5));
        let mut x = factor;
        for _ in 0..ROUNDS {
            let memory = black_box(&mut *self.0);
            S::as_mut_simd_f32s(memory).0[0] = simd.mul_add_e_f32s(x, factor, factor);
            x = simd.splat_f32s(black_box(&*memory)[1]);
        }
        simd.reduce_sum_f32s(x)
    }
}

struct Read<'a>(&'a [f32]);

impl WithSimd for Read<'_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        let mut sums = [simd.splat_f32s(0.0); SUMS];
        for vectors in S::as_simd_f32s(self.0).0.chunks_exact(SUMS) {
            // Unrolled, Zen 5 would read from the L2 cache at half its rate.
            black_box(());
            for (sum, &vector) in sums.iter_mut().zip(vectors) {
                *sum = simd.add_f32s(*sum, vector);
            }
        }
        let total = sums.into_iter().reduce(|a, b| simd.add_f32s(a, b));
        total.map_or(0.0, |sum| simd.reduce_sum_f32s(sum))
    }
}
