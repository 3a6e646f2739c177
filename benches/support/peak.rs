//! The machine's peak in fused multiply-adds of f32: what every figure in GFLOP/s is compared with.

use std::hint::black_box;
use std::time::Instant;

/// Independent sums: more than latency (4) times units (2), few enough for the registers.
const SUMS: usize = 12;

/// Rounds of each attempt, about a millisecond.
const ROUNDS: usize = 200_000;

/// GFLOP/s of one core with the widest vectors that this CPU has, two FLOP for each multiply-add: the best of some
/// attempts, since another program on the machine can only slow it down. `None` without a vector loop for this CPU.
pub fn fma_peak() -> Option<f64> {
    let (lanes, work) = fma_loop()?;
    let attempt = || {
        let start = Instant::now();
        work(black_box(ROUNDS));
        start.elapsed().as_secs_f64()
    };
    let seconds = (0..50).map(|_| attempt()).fold(f64::INFINITY, f64::min);
    Some((2 * lanes * SUMS * ROUNDS) as f64 / seconds / 1e9)
}

#[cfg(target_arch = "x86_64")]
fn fma_loop() -> Option<(usize, fn(usize))> {
    if is_x86_feature_detected!("avx512f") {
        // SAFETY: the CPU has AVX-512 F, seen on the line above.
        Some((16, |rounds| unsafe { x86::avx512(rounds) }))
    } else if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // SAFETY: the CPU has AVX2 and FMA, seen on the line above.
        Some((8, |rounds| unsafe { x86::avx2(rounds) }))
    } else {
        None
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn fma_loop() -> Option<(usize, fn(usize))> {
    None
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use core::arch::x86_64::{_mm256_fmadd_ps, _mm256_set1_ps, _mm512_fmadd_ps, _mm512_set1_ps};
    use std::hint::black_box;

    use super::SUMS;

    #[target_feature(enable = "avx512f")]
    pub(super) fn avx512(rounds: usize) {
        let factor = black_box(_mm512_set1_ps(0.999));
        let mut sums = black_box([_mm512_set1_ps(1.0); SUMS]);
        for _ in 0..rounds {
            for sum in &mut sums {
                *sum = _mm512_fmadd_ps(*sum, factor, factor);
            }
        }
        black_box(sums);
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn avx2(rounds: usize) {
        let factor = black_box(_mm256_set1_ps(0.999));
        let mut sums = black_box([_mm256_set1_ps(1.0); SUMS]);
        for _ in 0..rounds {
            for sum in &mut sums {
                *sum = _mm256_fmadd_ps(*sum, factor, factor);
            }
        }
        black_box(sums);
    }
}
