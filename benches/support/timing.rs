//! The clock of the side-by-side programs: many short batches, of which the median counts.
//!
//! On a shared machine a batch is either clean or disturbed; with batches of about 30 microseconds most are clean,
//! so the median and the tenth percentile agree, and where they do not, the run is not to be trusted.

use std::time::{Duration, Instant};

/// How long one batch should take, in nanoseconds: long against the clock's 25 ns, short against a time slice.
const BATCH: f64 = 30_000.0;

/// The time of one call, in nanoseconds, over the batches of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timing {
    /// The tenth percentile.
    pub low: f64,
    /// The median.
    pub median: f64,
}

/// Calls `step` for about `budget` and tells the time of one call.
pub fn time(budget: Duration, mut step: impl FnMut()) -> Timing {
    time_batches(budget, |calls| (0..calls).for_each(|_| step()))
}

/// As [`time`], for something that repeats a call itself as often as it is told.
pub fn time_batches(budget: Duration, mut repeat: impl FnMut(usize)) -> Timing {
    let mut batch = |calls: usize| {
        let start = Instant::now();
        repeat(calls);
        start.elapsed().as_nanos() as f64 / calls as f64
    };
    // A slow call shows in the first two; a fast one drowns in the clock until it is repeated.
    let first = batch(1).min(batch(1));
    let probe = if first < BATCH { batch(64).min(batch(64)) } else { first };
    let calls = ((BATCH / probe) as usize).max(1);
    let end = Instant::now() + budget;
    let mut times = vec![];
    while times.len() < 3 || Instant::now() < end {
        times.push(batch(calls));
    }
    Timing { low: percentile(&mut times, 0.1), median: percentile(&mut times, 0.5) }
}

/// The value below which this fraction of `values` lies; sorts them.
pub fn percentile(values: &mut [f64], fraction: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * fraction).round() as usize]
}
