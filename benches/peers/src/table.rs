//! The record as Markdown.

use std::fmt::Write;

use bench_support::SIZES;

use crate::record::{Case, Figure, Record};

/// This library's figures begin with this.
pub const OURS: &str = "lstm-kernels";

/// One table of each case, with what it means in bounds and against the fastest peer.
pub fn markdown(record: &Record) -> String {
    let machine = &record.machine;
    let mut text = format!(
        "{}; {:.1} GHz; {}; load average {}; {}; RUSTFLAGS=\"{}\"; lstm-kernels at {}; {}\n",
        machine.cpu,
        machine.clock_ghz,
        machine.date,
        machine.load_average,
        machine.rustc,
        machine.rustflags,
        machine.commit,
        machine.versions.join(", "),
    );
    for (case, title) in [(Case::Step, "Step, ns"), (Case::Sequence, "Sequence of 512 steps, ns of a step")] {
        let sizes: Vec<_> = SIZES.iter().map(|(input, hidden)| format!("{input},{hidden}")).collect();
        let _ = write!(text, "\n### {title}\n\n| engine | {} | error |\n|---|", sizes.join(" | "));
        text += &"---|".repeat(sizes.len() + 1);
        text.push('\n');
        for engine in record.engines() {
            let own = |figure: &&Figure| figure.case == case && figure.engine == engine;
            let error = record.figures.iter().filter(own).map(|figure| figure.error).reduce(f64::max);
            let Some(error) = error else { continue };
            let value = |size| find(record, case, size, |name| name == engine).map(|figure| figure.ns);
            row(&mut text, engine, value, number, &format!("{error:.0e}"));
        }
        let ours = |size| find(record, case, size, is_ours);
        row(&mut text, "lower bound", |size| ours(size).map(|figure| figure.bound), number, "");
        let to_bound = |size| ours(size).map(|figure| figure.ns / figure.bound);
        row(&mut text, "lstm-kernels / bound", to_bound, ratio, "");
        let ahead = |size| Some(find(record, case, size, |name| !is_ours(name))?.ns / ours(size)?.ns);
        row(&mut text, "fastest peer / lstm-kernels", ahead, ratio, "");
    }
    text
}

/// Whether an engine is a form of this library.
pub fn is_ours(engine: &str) -> bool {
    engine.starts_with(OURS)
}

/// The fastest figure among these engines.
fn find(record: &Record, case: Case, size: (usize, usize), among: impl Fn(&str) -> bool) -> Option<&Figure> {
    let matches =
        |figure: &&Figure| figure.case == case && (figure.input, figure.hidden) == size && among(&figure.engine);
    record.figures.iter().filter(matches).min_by(|a, b| a.ns.total_cmp(&b.ns))
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

/// Three digits or more, thousands apart.
fn number(value: f64) -> String {
    if value < 99.95 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(|group| String::from_utf8_lossy(group)).collect();
    groups.join(",")
}
