//! What one core can do, and the lower bound of each case that follows from it.
//!
//! `taskset -c 1 cargo run --release -p lstm-kernels-benches --bin limits`

use bench_support::SIZES;
use bench_support::limits::{Bound, Limits};
use bench_support::machine::Width;

fn main() {
    let all: Vec<_> = Width::available().map(Limits::measure).collect();

    println!("| | {} |", all.iter().map(|limits| limits.isa).collect::<Vec<_>>().join(" | "));
    println!("|---|{}", "---|".repeat(all.len()));
    row("clock, GHz", &all, |limits| limits.clock);
    row("multiply-adds, G/s", &all, |limits| limits.fma_per_ns);
    row("multiply-adds a cycle", &all, |limits| limits.fma_per_ns / limits.clock);
    row("latency of a multiply-add, cycles", &all, |limits| limits.fma_latency * limits.clock);
    row("latency of a division, cycles", &all, |limits| limits.div_latency * limits.clock);
    row("register to memory to broadcast, cycles", &all, |limits| limits.forward_latency * limits.clock);
    for (level, name) in ["L1", "L2", "L3"].iter().enumerate() {
        row(&format!("{name} read, GB/s"), &all, |limits| limits.bytes_per_ns[level]);
    }

    for limits in &all {
        table(limits, "step", Limits::step);
        table(limits, "sequence, one step", |limits, input, hidden| limits.sequence(input, hidden, 1));
        table(limits, "sequence, batch of 32, one step of all", |limits, input, hidden| {
            limits.sequence(input, hidden, 32)
        });
    }
}

fn row(name: &str, all: &[Limits], value: impl Fn(&Limits) -> f64) {
    let values: Vec<_> = all.iter().map(|limits| format!("{:.1}", value(limits))).collect();
    println!("| {name} | {} |", values.join(" | "));
}

fn table(limits: &Limits, name: &str, bound: impl Fn(&Limits, usize, usize) -> Bound) {
    println!(
        "\n{name}, {}: least ns\n\n| size | FMA | bandwidth | latency | bound |\n|---|---|---|---|---|",
        limits.isa
    );
    for (input, hidden) in SIZES {
        let bound = bound(limits, input, hidden);
        let (ns, cause) = (bound.ns(), bound.cause());
        println!(
            "| {input},{hidden} | {:.1} | {:.1} | {:.1} | {ns:.1} ({cause}) |",
            bound.fma, bound.bandwidth, bound.latency
        );
    }
}
