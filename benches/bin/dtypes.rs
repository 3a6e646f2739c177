//! What half precision gains: each size with weights of f32, f16 and bf16, and of f16 with arithmetic in f16 where the
//! CPU has it, in one run and in turn.
//!
//! `taskset -c 1 cargo run --release -p lstm-kernels-benches --bin dtypes [input,hidden]...`
//!
//! `step` is one step of a cell, `sequence` one step of `Lstm` over 512, one stream each; both as times and as how many
//! times faster than f32. GB/s: the bytes of the weights over the time of a step. The error is that of h over 512 steps
//! against the f64 oracle with the weights as given, so it includes their rounding.

use std::hint::black_box;
use std::time::Duration;

use bench_support::timing::{percentile, time, time_batches};
use bench_support::{INPUTS, Tensors, inputs, largest_error, with_sizes};
use lstm_kernels::lstm::Input;
use lstm_kernels::{Dtype, Isa, Lstm, LstmConfig};

/// How often each engine has its turn, and for how long.
const ROUNDS: usize = 9;
const TURN: Duration = Duration::from_millis(25);

const STEPS: usize = 512;

struct Engine {
    name: &'static str,
    bytes: usize,
    error: f64,
    step: Box<dyn FnMut() -> f64>,
    sequence: Box<dyn FnMut() -> f64>,
    times: [Vec<f64>; 2],
}

macro_rules! engine {
    ($input:literal, $hidden:literal, $dtype:ident, $config:expr, $isa:expr, $name:literal) => {{
        lstm_kernels::lstm_cell!(struct Cell, in=$input, hidden=$hidden, dtype=$dtype);
        let tensors = Tensors::random($input, $hidden);
        let xs = inputs::<$input>(INPUTS);
        let cell = Cell::with_isa_boxed(&tensors.view(), $isa).expect("good weights, an instruction set that is there");
        let mut state = Cell::zero_state();
        let error = largest_error(&tensors, &xs[..STEPS], |x| *cell.step(x, &mut state));
        let (mut next, inputs) = (0, xs.clone());
        let step = move || {
            time(TURN, || {
                next = (next + 1) % INPUTS;
                black_box(cell.step(black_box(&inputs[next]), &mut state));
            })
            .median
        };
        let config = LstmConfig::new($input, $hidden).dtype($config);
        let lstm = Lstm::with_isa(config, &[tensors.view()], $isa).expect("good weights");
        let (mut h, mut c) = (vec![0.0; $hidden], vec![0.0; $hidden]);
        let (mut output, mut workspace) = (vec![0.0; STEPS * $hidden], lstm.workspace(STEPS, 1));
        let sequence = move || {
            let shape = [STEPS, 1, $input];
            let input = Input::new(xs[..STEPS].as_flattened(), &shape);
            let call = time_batches(TURN, |calls| {
                for _ in 0..calls {
                    lstm.forward_into(black_box(input), (&mut h, &mut c), &mut output, &mut workspace).expect("shapes");
                    black_box(&output);
                }
            });
            call.median / STEPS as f64
        };
        let element = if matches!($config, Dtype::F32) { 4 } else { 2 };
        let bytes = 4 * $hidden * ($input + $hidden) * element;
        Engine { name: $name, bytes, error, step: Box::new(step), sequence: Box::new(sequence), times: Default::default() }
    }};
}

macro_rules! sizes {
    ($isa:ident, $wanted:ident: $(($input:literal, $hidden:literal)),*) => { $({
        let size = concat!($input, ",", $hidden);
        if $wanted.is_empty() || $wanted.iter().any(|wanted| wanted == size) {
        let mut engines = vec![
            engine!($input, $hidden, f32, Dtype::F32, $isa, "f32"),
            engine!($input, $hidden, f16, Dtype::F16, $isa, "f16"),
            engine!($input, $hidden, bf16, Dtype::Bf16, $isa, "bf16"),
        ];
        if Isa::V4F16.is_available() && $isa == Isa::V4 {
            engines.push(engine!($input, $hidden, f16, Dtype::F16, Isa::V4F16, "f16, added in f16"));
        }
        compare(size, &mut engines);
        }
    })* };
}

fn main() {
    let isa = Isa::detect().expect("the instruction set that LSTM_KERNELS_ISA names");
    let wanted: Vec<_> = std::env::args().skip(1).collect();
    println!("Weights in half precision on {isa}; times in ns\n");
    println!("| size | weights | KiB | step | against f32 | GB/s | sequence | against f32 | error |");
    println!("|---|---|---|---|---|---|---|---|---|");
    with_sizes!(sizes! isa, wanted:);
}

fn compare(size: &str, engines: &mut [Engine]) {
    for _ in 0..ROUNDS {
        for engine in engines.iter_mut() {
            engine.times[0].push((engine.step)());
            engine.times[1].push((engine.sequence)());
        }
    }
    let mut first = None;
    for engine in engines {
        let [step, sequence] = engine.times.each_mut().map(|times| percentile(times, 0.5));
        let [f32_step, f32_sequence] = *first.get_or_insert([step, sequence]);
        println!(
            "| {size} | {} | {:.1} | {step:.0} | {:.2} | {:.0} | {sequence:.0} | {:.2} | {:.1e} |",
            engine.name,
            engine.bytes as f64 / 1024.0,
            f32_step / step,
            engine.bytes as f64 / step,
            f32_sequence / sequence,
            engine.error,
        );
    }
}
