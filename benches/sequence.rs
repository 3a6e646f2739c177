//! Whole sequences through the driver `Lstm`, f32, one core: T = 512, batches of 1, 8 and 32, one and two layers, one
//! and both directions.
//!
//! `taskset -c 1 cargo bench -p lstm-kernels-benches --bench sequence`
//!
//! Each case is checked against the f64 oracle first. criterion's figure is the time of a call, its throughput the
//! time steps of all streams. The table at the end, from the same measurements, has the nanoseconds of one step of one
//! stream, GFLOP/s (two FLOP for each multiply-add of the matrix products, nothing for the activations) and their
//! share of the peak, which is measured before and after all cases: if the two differ, another program was using the
//! machine.
//!
//! With `--features rayon`, and without `taskset`, each case that has something to divide is timed on all cores too.

use std::hint::black_box;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use bench_support::machine::Width;
use bench_support::{Random, Tensors};
use criterion::{BenchmarkId, Criterion, Throughput};
use lstm_kernels::lstm::Input;
use lstm_kernels::{Isa, Lstm, LstmConfig, LstmWeights, reference};

const STEPS: usize = 512;

/// Time steps that the oracle, which takes its time, checks.
const CHECKED: usize = 64;

/// One case and its best time of a call.
struct Figure {
    config: LstmConfig,
    batch: usize,
    threads: usize,
    best: Duration,
}

fn main() {
    let isa = Isa::detect().expect("the instruction set that LSTM_KERNELS_ISA names");
    let criterion = Criterion::default().configure_from_args();
    let mut criterion =
        criterion.sample_size(10).warm_up_time(Duration::from_millis(100)).measurement_time(Duration::from_millis(800));
    let before = fma_peak();
    let mut figures = Vec::new();
    for (input, hidden) in [(1, 16), (10, 20), (40, 40), (64, 64), (100, 100), (128, 128), (256, 256), (512, 512)] {
        let one = LstmConfig::new(input, hidden);
        let mut configs = vec![one];
        // More layers and directions are the same kernels again: two sizes show what the driver adds.
        if [20, 128].contains(&hidden) {
            configs.extend([one.num_layers(2), one.bidirectional(true), one.num_layers(2).bidirectional(true)]);
        }
        for config in configs {
            for batch in [1, 8, 32] {
                figures.extend(measure(&mut criterion, config, batch, 1, isa));
                let cores = available_parallelism().map_or(1, usize::from);
                if cfg!(feature = "rayon") && cores > 1 && (batch > 4 || config.bidirectional) {
                    figures.extend(measure(&mut criterion, config, batch, cores, isa));
                }
            }
        }
    }
    criterion.final_summary();
    print(&figures, isa, [before, fma_peak()]);
}

fn name(config: &LstmConfig, threads: usize) -> String {
    let direction = if config.bidirectional { ", bidirectional" } else { "" };
    let threads = if threads > 1 { format!(", {threads} threads") } else { String::new() };
    format!("({}, {}) x {}{direction}{threads}", config.input_size, config.hidden_size, config.num_layers)
}

/// Times one case, unless the command line filters it out.
fn measure(criterion: &mut Criterion, config: LstmConfig, batch: usize, threads: usize, isa: Isa) -> Option<Figure> {
    let sizes = (0..config.cells())
        .map(|cell| if cell < config.directions() { config.input_size } else { config.output_size() });
    let tensors: Vec<_> = sizes.map(|input| Tensors::random(input, config.hidden_size)).collect();
    let weights: Vec<_> = tensors.iter().map(Tensors::view).collect();
    let lstm = Lstm::with_isa(config, &weights, isa).expect("good weights");
    #[cfg(feature = "rayon")]
    let lstm = lstm.threads(threads);
    let mut random = Random(7);
    let x: Vec<f32> = (0..STEPS * batch * config.input_size).map(|_| random.normal()).collect();
    let shape = [STEPS, batch, config.input_size];
    let input = Input::new(&x, &shape);

    let states = config.cells() * batch * config.hidden_size;
    let (mut h, mut c) = (vec![0.0; states], vec![0.0; states]);
    let mut output = vec![0.0; STEPS * batch * config.output_size()];
    let mut workspace = lstm.workspace(STEPS, batch);
    let (mut best, mut checked) = (Duration::MAX, false);
    let mut group = criterion.benchmark_group("sequence");
    group.throughput(Throughput::Elements((STEPS * batch) as u64));
    group.bench_function(BenchmarkId::new(name(&config, threads), batch), |bencher| {
        if !std::mem::replace(&mut checked, true) {
            check(&lstm, &weights, batch);
        }
        bencher.iter_custom(|calls| {
            let start = Instant::now();
            for _ in 0..calls {
                lstm.forward_into(black_box(input), (&mut h, &mut c), &mut output, &mut workspace)
                    .expect("right shapes");
                black_box(&output);
            }
            let time = start.elapsed();
            best = best.min(time / calls.max(1) as u32);
            time
        });
    });
    group.finish();
    checked.then_some(Figure { config, batch, threads, best })
}

/// The same weights on a short sequence, against the f64 oracle.
fn check(lstm: &Lstm, weights: &[LstmWeights<'_>], batch: usize) {
    let (config, batch) = (*lstm.config(), batch.min(4));
    // The largest cells take the oracle too long.
    let steps = CHECKED * 128 / config.hidden_size.max(128);
    let mut random = Random(11);
    let x: Vec<f32> = (0..steps * batch * config.input_size).map(|_| random.normal()).collect();
    let shape = [steps, batch, config.input_size];
    let input = Input::new(&x, &shape);
    let found = lstm.forward(input, None).expect("right shapes").output.data;
    let expected =
        reference::Lstm::new(config, weights).and_then(|lstm| lstm.forward(input, None)).expect("right shapes");
    for (found, expected) in found.iter().zip(&expected.output) {
        assert!((f64::from(*found) - expected).abs() <= 1e-6, "{}: {found} instead of {expected}", name(&config, 1));
    }
}

/// GFLOP/s of one core with its widest vectors, two FLOP for each multiply-add.
fn fma_peak() -> Option<f64> {
    Width::available().last().map(|width| 2.0 * width.fma_per_ns())
}

fn print(figures: &[Figure], isa: Isa, peaks: [Option<f64>; 2]) {
    let [before, after] = peaks.map(|peak| peak.map_or("unknown".into(), |peak| format!("{peak:.1} GFLOP/s")));
    println!("\n{isa}; peak of one core, f32 multiply-adds: {before} before, {after} after");
    println!("{:<43} {:>5} {:>18} {:>10} {:>8}", "LSTM", "batch", "ns/(step, stream)", "GFLOP/s", "of peak");
    let peak = peaks[0].zip(peaks[1]).map(|(before, after)| before.max(after));
    for Figure { config, batch, threads, best } in figures {
        let ns = best.as_nanos() as f64 / (STEPS * batch) as f64;
        let macs = |cell: usize| {
            let input = if cell < config.directions() { config.input_size } else { config.output_size() };
            4 * config.hidden_size * (input + config.hidden_size)
        };
        let flops = 2 * (0..config.cells()).map(macs).sum::<usize>();
        let rate = flops as f64 / ns;
        let share = peak.map_or(String::new(), |peak| format!("{:.1} %", 100.0 * rate / peak));
        println!("{:<43} {batch:>5} {ns:>18.1} {rate:>10.1} {share:>8}", name(config, *threads));
    }
}
