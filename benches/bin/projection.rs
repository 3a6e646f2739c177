//! The input part of all gates, for many rows (time steps times streams) at once: the library's own product beside
//! `matrixmultiply::sgemm`, one core, interleaved. Both begin with a copy of the bias to every row.
//!
//! `chrt -f 50 taskset -c 1 projection` and, for AVX2, `LSTM_KERNELS_ISA=v3` with a build of `--no-default-features`.

use std::hint::black_box;
use std::time::Duration;

use bench_support::timing::{percentile, time};
use bench_support::{Random, Tensors};
use lstm_kernels::lstm::Projection;
use lstm_kernels::{Isa, Lstm, LstmConfig};

const SIZES: [(usize, usize); 6] = [(1, 16), (10, 20), (64, 64), (128, 128), (256, 256), (512, 512)];

/// Turns that the two take, and how long each turn is.
const TURNS: usize = 15;
const TURN: Duration = Duration::from_millis(15);

fn main() {
    let isa = Isa::detect().expect("the instruction set that LSTM_KERNELS_ISA names");
    let theirs = if cfg!(feature = "avx512") { "its best" } else { "AVX2 at most" };
    println!("`Lstm`: {isa}; `matrixmultiply` 0.3.11: {theirs}\n");
    println!("| (in, hidden) | rows | own, us | GFLOP/s | `matrixmultiply`, us | GFLOP/s | theirs / own |");
    println!("|---|---|---|---|---|---|---|");
    for (input, hidden) in SIZES {
        for rows in [64, 512] {
            row(input, hidden, rows, isa);
        }
    }
}

fn row(input: usize, hidden: usize, rows: usize, isa: Isa) {
    let tensors = Tensors::random(input, hidden);
    let lstm = Lstm::with_isa(LstmConfig::new(input, hidden), &[tensors.view()], isa).expect("good weights");
    let mut random = Random(7);
    let x: Vec<f32> = (0..rows * input).map(|_| random.normal()).collect();
    let bias: Vec<f32> = tensors.bias_ih.iter().zip(&tensors.bias_hh).map(|(a, b)| a + b).collect();
    let mut own = Projection::new(&lstm, rows);
    let mut sums = vec![0.0; rows * 4 * hidden];

    own.compute(&x);
    sgemm(&x, &tensors.weight_ih, &bias, &mut sums, input);
    for (n, &theirs) in sums.iter().enumerate() {
        let (row, gate, unit) = (n / (4 * hidden), n / hidden % 4, n % hidden);
        let ours = own.sum(row, gate, unit);
        assert!((ours - theirs).abs() <= 1e-5, "({input}, {hidden}), {row}, {gate}, {unit}: {ours} and {theirs}");
    }

    let mut times = [vec![], vec![]];
    for _ in 0..TURNS {
        times[0].push(time(TURN, || own.compute(black_box(&x))).median);
        let theirs = time(TURN, || {
            sgemm(black_box(&x), &tensors.weight_ih, &bias, &mut sums, input);
            black_box(&sums);
        });
        times[1].push(theirs.median);
    }
    let [ours, theirs] = times.map(|mut times| percentile(&mut times, 0.5));
    let rate = |ns: f64| (2 * rows * input * 4 * hidden) as f64 / ns;
    println!(
        "| ({input}, {hidden}) | {rows} | {:.2} | {:.1} | {:.2} | {:.1} | {:.2} |",
        ours / 1e3,
        rate(ours),
        theirs / 1e3,
        rate(theirs),
        theirs / ours
    );
}

/// sums = bias + x `weight`^T, with `weight` as PyTorch has it.
fn sgemm(x: &[f32], weight: &[f32], bias: &[f32], sums: &mut [f32], input: usize) {
    let (rows, gates) = (x.len() / input, bias.len());
    assert!(x.len() == rows * input && weight.len() == gates * input && sums.len() == rows * gates);
    for row in sums.chunks_exact_mut(gates) {
        row.copy_from_slice(bias);
    }
    let (m, k, n) = (rows, input, gates);
    let (k_stride, n_stride) = (k as isize, n as isize);
    // SAFETY: x is m times k, `weight` n times k (read as its transpose), sums m times n, all row after row without
    // gaps, as asserted; nothing else refers to `sums`.
    unsafe {
        let (x, weight, sums) = (x.as_ptr(), weight.as_ptr(), sums.as_mut_ptr());
        matrixmultiply::sgemm(m, k, n, 1.0, x, k_stride, 1, weight, 1, k_stride, 1.0, sums, n_stride, 1);
    }
}
