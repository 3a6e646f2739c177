//! The record as Markdown.

use std::fmt::Write;

use bench_support::SIZES;

use crate::record::{Case, Figure, Record, Results};

/// One table of each case, with what it means in bounds and against the fastest peer.
pub fn markdown(record: &Record) -> String {
    let (machine, results, limits) = (&record.machine, &record.results, record.limits.limits());
    let versions: Vec<_> = results.versions.iter().map(|(library, version)| format!("{library} {version}")).collect();
    let mut text = format!(
        "# lstm-kernels beside its peers\n{}, {:.1} GHz, one core; {}; load average {}; {}, RUSTFLAGS=\"{}\"; \
         lstm-kernels at {}; {}.\n\nMedians of interleaved rounds, Python's engines in a run of their own; every engine was compared \
         with an f64 LSTM over 512 steps (column error).\n",
        machine.cpu,
        machine.clock_ghz,
        machine.date,
        machine.load_average,
        machine.rustc,
        machine.rustflags,
        machine.commit,
        versions.join(", "),
    );
    for (case, title) in [(Case::Step, "One step, ns"), (Case::Sequence, "A sequence of 512 steps, ns a step")] {
        let sizes: Vec<_> = SIZES.iter().map(|(input, hidden)| format!("{input},{hidden}")).collect();
        let _ = write!(text, "\n## {title}\n\n| engine | {} | error |\n|---|", sizes.join(" | "));
        text += &"---|".repeat(sizes.len() + 1);
        text.push('\n');
        for engine in results.engines() {
            let own = |figure: &&Figure| figure.case == case && figure.engine == engine;
            let error = results.figures.iter().filter(own).map(|figure| figure.error).reduce(f64::max);
            let Some(error) = error else { continue };
            let time = |size| ns(results, case, size, |name| name == engine);
            row(&mut text, engine, time, number, &format!("{error:.0e}"));
        }
        let bound = |(input, hidden)| match case {
            Case::Step => limits.step(input, hidden).ns(),
            Case::Sequence => limits.sequence(input, hidden, 1).ns(),
        };
        let ours = |size| ns(results, case, size, is_ours);
        row(&mut text, "lower bound", |size| ours(size).map(|_| bound(size)), number, "");
        row(&mut text, "lstm-kernels / bound", |size| Some(ours(size)? / bound(size)), ratio, "");
        let ahead = |size| Some(ns(results, case, size, |name| !is_ours(name))? / ours(size)?);
        row(&mut text, "fastest peer / lstm-kernels", ahead, ratio, "");
    }
    text.push('\n');
    for (engine, note) in &results.notes {
        let _ = writeln!(text, "- {engine}: {note}.");
    }
    for reason in &results.left_out {
        let _ = writeln!(text, "- Left out: {reason}.");
    }
    text
}

/// Whether an engine is a form of this library.
pub fn is_ours(engine: &str) -> bool {
    engine.starts_with("lstm-kernels")
}

/// The fastest time among these engines.
fn ns(results: &Results, case: Case, size: (usize, usize), among: impl Fn(&str) -> bool) -> Option<f64> {
    let matches =
        |figure: &&Figure| figure.case == case && (figure.input, figure.hidden) == size && among(&figure.engine);
    results.figures.iter().filter(matches).map(|figure| figure.ns).reduce(f64::min)
}

fn row(
    text: &mut String,
    name: &str,
    value: impl Fn((usize, usize)) -> Option<f64>,
    format: fn(f64) -> String,
    error: &str,
) {
    let cells: Vec<_> = SIZES.iter().map(|&size| value(size).map(format).unwrap_or_default()).collect();
    let _ = writeln!(text, "| {name} | {} | {error} |", cells.join(" | "));
}

fn ratio(value: f64) -> String {
    format!("{value:.2}")
}

/// Three digits or more, thousands apart; a whole number as such.
pub fn number(value: f64) -> String {
    if value < 99.95 && value.fract() != 0.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(|group| String::from_utf8_lossy(group)).collect();
    groups.join(",")
}
