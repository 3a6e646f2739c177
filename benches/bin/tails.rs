//! How late a single step can be: percentiles of ten million steps, each timed alone, beside a loop that times nothing.
//!
//! `taskset -c 1 cargo run --release -p lstm-kernels-benches --bin tails [steps]`
//!
//! The clock is part of each time (the row `nothing`), and what interrupts the one interrupts the other: a percentile
//! says something about the library where it differs from that of `nothing`. `silent` is zero input, in which a cell
//! decays towards zero: a library that lets it reach the subnormals slows down there. `after idle` is the first step
//! after a millisecond of sleep, when the core has lowered its clock and the caches may have been used by others.

use std::hint::black_box;
use std::time::{Duration, Instant};

use bench_support::{INPUTS, Tensors, inputs};

/// Nanoseconds up to which each one is counted apart; the longest is kept besides.
const COUNTED: usize = 100_000;

/// Times by their whole nanoseconds: no memory is written that would disturb the caches of what is measured.
struct Histogram {
    counts: Vec<u32>,
    longest: u128,
}

impl Histogram {
    fn of(steps: usize, mut timed: impl FnMut() -> u128) -> Self {
        let mut histogram = Self { counts: vec![0; COUNTED], longest: 0 };
        for _ in 0..steps {
            let ns = timed();
            histogram.counts[ns.min(COUNTED as u128 - 1) as usize] += 1;
            histogram.longest = histogram.longest.max(ns);
        }
        histogram
    }

    fn percentile(&self, fraction: f64) -> usize {
        let total: u64 = self.counts.iter().map(|&count| u64::from(count)).sum();
        let mut left = (total as f64 * fraction) as u64;
        let beyond = |&count: &u32| {
            let beyond = left < u64::from(count);
            left = left.saturating_sub(u64::from(count));
            beyond
        };
        self.counts.iter().position(beyond).unwrap_or(COUNTED)
    }

    fn print(&self, name: &str) {
        let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|fraction| self.percentile(fraction));
        let ratio = p999 as f64 / p50.max(1) as f64;
        println!("| {name} | {p50} | {p99} | {p999} | {} | {ratio:.2} |", self.longest);
    }
}

/// The nanoseconds of one call.
fn timed(call: impl FnOnce()) -> u128 {
    let start = Instant::now();
    call();
    start.elapsed().as_nanos()
}

macro_rules! sizes {
    ($steps:ident: $(($input:literal, $hidden:literal)),*) => { $({
        lstm_kernels::lstm_cell!(struct Cell, in=$input, hidden=$hidden);
        let tensors = Tensors::random($input, $hidden);
        let cell = Cell::new_boxed(&tensors.view()).expect("finite weights");
        let (loud, silent) = (inputs::<$input>(INPUTS), vec![[0.0; $input]; INPUTS]);
        for (name, xs) in [("loud", &loud), ("silent", &silent)] {
            let (mut state, mut next) = (Cell::zero_state(), 0);
            // Something to decay.
            loud.iter().for_each(|x| _ = cell.step(x, &mut state));
            let mut step = || {
                next = (next + 1) % INPUTS;
                let x = black_box(&xs[next]);
                timed(|| _ = black_box(cell.step(x, &mut state)))
            };
            Histogram::of($steps, &mut step).print(&format!("({}, {}) {name}", $input, $hidden));
            let mut after_idle = || {
                std::thread::sleep(Duration::from_millis(1));
                step()
            };
            Histogram::of(1000, &mut after_idle).print(&format!("({}, {}) {name}, after idle", $input, $hidden));
        }
    })* };
}

fn main() {
    let steps = std::env::args().nth(1).map_or(10_000_000, |text| text.parse().expect("a number of steps"));
    println!("| {steps} steps, ns | p50 | p99 | p99.9 | max | p99.9 / p50 |\n|---|---|---|---|---|---|");
    Histogram::of(steps, || timed(|| ())).print("nothing");
    let idle = || {
        std::thread::sleep(Duration::from_millis(1));
        timed(|| ())
    };
    Histogram::of(1000, idle).print("nothing, after idle");
    sizes!(steps: (1, 16), (10, 20), (64, 64));
}
