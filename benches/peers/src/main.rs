//! This library beside its Rust peers, in one run: same weights, same inputs, interleaved, each checked first.
//!
//! ```text
//! taskset -c 1 cargo run --release --manifest-path benches/peers/Cargo.toml -- [--quick] [--name NAME] [--merge JSON]...
//! ```
//!
//! `RUSTFLAGS="-C target-cpu=native"` gives the peers that choose their SIMD when they are compiled their best; without
//! it the run shows what a plain `cargo build --release` makes of them. `--merge` adds the figures of
//! `python/peers.py`. Written are `NAME.md`, `NAME.json` and `NAME.svg` under `benches/results/`.
//!
//! `--quick` leaves out the sizes above 128 and takes fewer rounds.
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
use bench_support::timing::{percentile, time_batches};
use bench_support::{INPUTS, Random, SIZES, Tensors};
use engines::{Engine, Fallible};
use record::{Case, Figure, Machine, Record};

/// The length of the sequences.
pub const STEPS: usize = 512;
/// More than this apart from the f64 oracle, and an engine is not measured.
const TOLERANCE: f64 = 1e-5;

fn main() -> Fallible<()> {
    let (mut quick, mut name, mut merge) = (false, "peers".to_owned(), vec![]);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--quick" => quick = true,
            "--name" => name = value()?,
            "--merge" => merge.push(value()?),
            _ => return Err(format!("unknown argument {argument}").into()),
        }
    }
    if std::thread::available_parallelism()?.get() != 1 {
        return Err("one core, please, so that every engine has one thread: taskset -c 1".into());
    }

    let limits = Width::available().last().map(Limits::measure).ok_or("no vector unit that this program knows")?;
    let (rounds, slice) = if quick { (3, Duration::from_millis(4)) } else { (9, Duration::from_millis(15)) };
    let mut record = Record { machine: Machine::this(limits.clock), limits: (&limits).into(), figures: vec![] };
    for (input, hidden) in SIZES.into_iter().filter(|(_, hidden)| !quick || *hidden <= 128) {
        eprintln!("({input}, {hidden})");
        measure(&mut record.figures, &limits, (input, hidden), rounds, slice);
    }
    for path in merge {
        record.merge(&path)?;
    }
    record.save(&name)?;
    println!("{}", table::markdown(&record));
    Ok(())
}

/// All engines at one size, taking turns.
fn measure(
    figures: &mut Vec<Figure>,
    limits: &Limits,
    (input, hidden): (usize, usize),
    rounds: usize,
    slice: Duration,
) {
    let tensors = Tensors::random(input, hidden);
    let mut random = Random(7);
    let xs: Vec<f32> = (0..INPUTS * input).map(|_| random.normal()).collect();
    let sequence = &xs[..STEPS * input];
    let exact = exact_h(&tensors, sequence, input, hidden);

    let mut turns = vec![];
    for mut engine in engines::all(&tensors, input, hidden) {
        engine.reset();
        sequence.chunks_exact(input).for_each(|x| engine.step(x));
        let error = error(&*engine, &exact);
        if error > TOLERANCE {
            eprintln!("{} is wrong by {error:.1e} at ({input}, {hidden}) and not measured", engine.name());
            continue;
        }
        let has_sequence = engine.sequence(sequence) && self::error(&*engine, &exact) <= TOLERANCE;
        turns.push(Turn { engine, error, has_sequence, step: vec![], sequence: vec![] });
    }
    let mut next = 0;
    for _ in 0..rounds {
        for turn in &mut turns {
            let engine = &mut turn.engine;
            turn.step.push(time_batches(slice, |calls| engine.steps(&xs, calls, &mut next)).median);
        }
        for turn in turns.iter_mut().filter(|turn| turn.has_sequence) {
            let engine = &mut turn.engine;
            let time = time_batches(slice, |calls| {
                for _ in 0..calls {
                    engine.sequence(sequence);
                }
            });
            turn.sequence.push(time.median / STEPS as f64);
        }
    }
    for Turn { engine, error, mut step, sequence: mut whole, .. } in turns {
        let mut add = |case, times: &mut Vec<f64>, bound: f64| {
            if !times.is_empty() {
                let (ns, low) = (percentile(times, 0.5), percentile(times, 0.0));
                figures.push(Figure { engine: engine.name(), case, input, hidden, ns, low, error, bound });
            }
        };
        add(Case::Step, &mut step, limits.step(input, hidden).ns());
        add(Case::Sequence, &mut whole, limits.sequence(input, hidden, 1).ns());
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

/// The last h of the sequence in f64.
fn exact_h(tensors: &Tensors, sequence: &[f32], input: usize, hidden: usize) -> Vec<f64> {
    let oracle = lstm_kernels::reference::Cell::new(&tensors.view(), input, hidden).expect("finite weights");
    let (mut h, mut c) = (vec![0.0; hidden], vec![0.0; hidden]);
    for x in sequence.chunks_exact(input) {
        let x: Vec<_> = x.iter().copied().map(f64::from).collect();
        oracle.step(&x, &mut h, &mut c);
    }
    h
}

fn error(engine: &dyn Engine, exact: &[f64]) -> f64 {
    let (shown, exact) = (engine.shown(), engine.show(exact));
    shown.iter().zip(exact).map(|(shown, exact)| (f64::from(*shown) - exact).abs()).fold(0.0, f64::max)
}
