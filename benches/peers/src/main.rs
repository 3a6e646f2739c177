//! This library beside its Rust peers, in one run: same weights, same inputs, interleaved, each checked first.
//!
//! ```text
//! taskset -c 1 cargo run --release --manifest-path benches/peers/Cargo.toml -- [--quick] [--name NAME]
//! cargo run --release --manifest-path benches/peers/Cargo.toml -- --add FILE.json [--name NAME]
//! ```
//!
//! The first measures and writes `NAME.md`, `NAME.json` and `NAME.svg` under `benches/results/`; `--quick` leaves out
//! the sizes above 128 and takes fewer rounds. The second adds to that record what `python/peers.py` has measured.
//!
//! `RUSTFLAGS="-C target-cpu=native"` gives the peers that choose their SIMD when they are compiled their best; without
//! it the run shows what a plain `cargo build --release` makes of them.
//!
//! Each engine is fed as its documentation advises, on one thread. A step is one call with a new input, its state
//! carried; a sequence is one call with 512 time steps, for those engines that have such a call.

mod engines;
mod onnx;
mod plot;
mod record;
mod table;

use std::time::Duration;

use bench_support::limits::Limits;
use bench_support::machine::Width;
use bench_support::timing::{percentile, time, time_batches};
use bench_support::{INPUTS, Random, SIZES, Tensors};
use engines::{Engine, Fallible};
use record::{Case, Figure, Machine, Record, Results};

/// The length of the sequences.
pub const STEPS: usize = 512;
/// Further than this from the f64 oracle, and an engine is not measured.
const TOLERANCE: f64 = 1e-5;

fn main() -> Fallible<()> {
    let (mut quick, mut name, mut addition) = (false, "peers".to_owned(), None);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--quick" => quick = true,
            "--name" => name = value()?,
            "--add" => addition = Some(value()?),
            _ => return Err(format!("unknown argument {argument}").into()),
        }
    }
    let record = match addition {
        Some(path) => Record::load(&name)?.with(&path)?,
        None => measure(quick)?,
    };
    record.save(&name)?;
    println!("{}", table::markdown(&record));
    Ok(())
}

/// All engines at all sizes.
fn measure(quick: bool) -> Fallible<Record> {
    if std::thread::available_parallelism()?.get() != 1 {
        return Err("one core, please, so that every engine has one thread: taskset -c 1".into());
    }
    for threads in ["RAYON_NUM_THREADS", "RTEN_NUM_THREADS"] {
        // SAFETY: no other thread runs yet. Without these candle and rten count all of the machine's cores.
        unsafe { std::env::set_var(threads, "1") };
    }
    let limits = Width::available().last().map(Limits::measure).ok_or("no vector unit that this program knows")?;
    let (rounds, slice) = if quick { (3, Duration::from_millis(4)) } else { (9, Duration::from_millis(15)) };
    let mut results = Results::new();
    for (input, hidden) in SIZES.into_iter().filter(|(_, hidden)| !quick || *hidden <= 128) {
        eprintln!("({input}, {hidden})");
        measure_size(&mut results, input, hidden, rounds, slice);
    }
    Ok(Record { machine: Machine::this(limits.clock), limits: (&limits).into(), results })
}

/// All engines at one size, taking turns.
fn measure_size(results: &mut Results, input: usize, hidden: usize, rounds: usize, slice: Duration) {
    let tensors = Tensors::random(input, hidden);
    let mut random = Random(7);
    let xs: Vec<f32> = (0..INPUTS * input).map(|_| random.normal()).collect();
    let sequence = &xs[..STEPS * input];
    let exact = exact(&tensors, sequence, input, hidden);

    let mut turns = vec![];
    for engine in engines::all(&tensors, input, hidden) {
        match engine.and_then(|engine| Turn::new(engine, sequence, input, &exact)) {
            Ok(turn) => turns.push(turn),
            Err(reason) => results.leave_out(format!("({input}, {hidden}): {reason}")),
        }
    }
    let mut first = 0;
    for _ in 0..rounds {
        for Turn { engine, step, .. } in &mut turns {
            let steps = |calls| {
                engine.steps(&xs, first, calls);
                first = (first + calls) % INPUTS;
            };
            step.push(time_batches(slice, steps).median);
        }
        for Turn { engine, sequence: times, .. } in turns.iter_mut().filter(|turn| turn.has_sequence) {
            times.push(time(slice, || _ = engine.sequence(sequence)).median / STEPS as f64);
        }
    }
    for Turn { engine, error, step, sequence, .. } in turns {
        results.notes.insert(engine.name(), engine.note().to_owned());
        for (case, mut times) in [(Case::Step, step), (Case::Sequence, sequence)] {
            if !times.is_empty() {
                let (ns, low) = (percentile(&mut times, 0.5), percentile(&mut times, 0.0));
                results.figures.push(Figure { engine: engine.name(), case, input, hidden, ns, low, error });
            }
        }
    }
}

/// An engine and what was measured of it.
struct Turn {
    engine: Box<dyn Engine>,
    error: f64,
    has_sequence: bool,
    step: Vec<f64>,
    sequence: Vec<f64>,
}

impl Turn {
    /// If the engine is right: after every step of the sequence, and after all of it in one call.
    fn new(mut engine: Box<dyn Engine>, sequence: &[f32], input: usize, exact: &[Vec<f64>]) -> Fallible<Self> {
        engine.reset();
        let mut error = 0.0;
        for (x, exact) in sequence.chunks_exact(input).zip(exact) {
            engine.step(x);
            error = f64::max(error, distance(&*engine, exact));
        }
        let has_sequence = engine.sequence(sequence);
        if let (true, Some(exact)) = (has_sequence, exact.last()) {
            error = error.max(distance(&*engine, exact));
        }
        if error > TOLERANCE {
            return Err(format!("{} is wrong by {error:.1e} and not measured", engine.name()).into());
        }
        Ok(Self { engine, error, has_sequence, step: vec![], sequence: vec![] })
    }
}

/// h after every step of the sequence, in f64.
fn exact(tensors: &Tensors, sequence: &[f32], input: usize, hidden: usize) -> Vec<Vec<f64>> {
    let oracle = lstm_kernels::reference::Cell::new(&tensors.view(), input, hidden).expect("finite weights");
    let (mut h, mut c) = (vec![0.0; hidden], vec![0.0; hidden]);
    let mut step = |x: &[f32]| {
        let x: Vec<_> = x.iter().copied().map(f64::from).collect();
        oracle.step(&x, &mut h, &mut c);
        h.clone()
    };
    sequence.chunks_exact(input).map(&mut step).collect()
}

/// How far an engine's h is from the exact one.
fn distance(engine: &dyn Engine, exact: &[f64]) -> f64 {
    let (shown, exact) = (engine.shown(), engine.show(exact));
    shown.iter().zip(exact).map(|(shown, exact)| (f64::from(*shown) - exact).abs()).fold(0.0, f64::max)
}
