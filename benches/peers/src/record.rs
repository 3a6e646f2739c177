//! What is kept of a run: the JSON that later runs are compared with.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

use bench_support::limits::Limits;
use serde::{Deserialize, Serialize};

use crate::engines::Fallible;
use crate::{plot, table};

/// One run.
#[derive(Debug, Deserialize, Serialize)]
pub struct Record {
    pub machine: Machine,
    pub limits: Speeds,
    #[serde(flatten)]
    pub results: Results,
}

/// Where, when and with what.
#[derive(Debug, Deserialize, Serialize)]
pub struct Machine {
    pub cpu: String,
    pub clock_ghz: f64,
    pub date: String,
    pub load_average: String,
    pub rustc: String,
    pub rustflags: String,
    pub commit: String,
}

/// What was measured; `python/peers.py` writes this alone.
#[derive(Debug, Deserialize, Serialize)]
pub struct Results {
    /// Of the peers, by library.
    pub versions: BTreeMap<String, String>,
    /// How each engine is used.
    pub notes: BTreeMap<String, String>,
    /// What could not be measured, and why.
    pub left_out: BTreeSet<String>,
    pub figures: Vec<Figure>,
}

/// What one core can do; see `bench_support::limits`.
#[derive(Debug, Deserialize, Serialize)]
pub struct Speeds {
    pub isa: String,
    pub lanes: usize,
    pub fma_per_ns: f64,
    pub fma_latency_ns: f64,
    pub div_latency_ns: f64,
    pub forward_latency_ns: f64,
    pub l1_l2_l3_gb_per_s: [f64; 3],
    pub l1_l2_bytes: [usize; 2],
}

/// What was asked of an engine.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Case {
    Step,
    Sequence,
}

/// One measurement: nanoseconds of a time step.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Figure {
    pub engine: String,
    pub case: Case,
    pub input: usize,
    pub hidden: usize,
    /// The median over the rounds.
    pub ns: f64,
    /// The fastest round.
    pub low: f64,
    /// The largest difference from the f64 oracle.
    pub error: f64,
}

impl From<&Limits> for Speeds {
    fn from(limits: &Limits) -> Self {
        Self {
            isa: limits.isa.to_owned(),
            lanes: limits.lanes,
            fma_per_ns: limits.fma_per_ns,
            fma_latency_ns: limits.fma_latency,
            div_latency_ns: limits.div_latency,
            forward_latency_ns: limits.forward_latency,
            l1_l2_l3_gb_per_s: limits.bytes_per_ns,
            l1_l2_bytes: limits.caches,
        }
    }
}

impl Speeds {
    /// As they were measured.
    pub fn limits(&self) -> Limits {
        Limits {
            isa: "",
            clock: 1.0,
            lanes: self.lanes,
            fma_per_ns: self.fma_per_ns,
            fma_latency: self.fma_latency_ns,
            div_latency: self.div_latency_ns,
            forward_latency: self.forward_latency_ns,
            bytes_per_ns: self.l1_l2_l3_gb_per_s,
            caches: self.l1_l2_bytes,
        }
    }
}

impl Machine {
    /// This machine, now.
    pub fn this(clock_ghz: f64) -> Self {
        let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let field = |name| {
            let line = cpu.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix(": "));
            line.unwrap_or("?").to_owned()
        };
        Self {
            cpu: format!("{}, family {}, model {}", field("model name"), field("cpu family"), field("model")),
            clock_ghz,
            date: output("date", &["-u", "+%F %H:%M UTC"]),
            load_average: fs::read_to_string("/proc/loadavg").unwrap_or_default().trim().to_owned(),
            rustc: output("rustc", &["--version"]),
            // Those of the build, which need not be set when it runs.
            rustflags: option_env!("RUSTFLAGS").unwrap_or_default().to_owned(),
            commit: output("git", &["-C", env!("CARGO_MANIFEST_DIR"), "rev-parse", "--short", "HEAD"]),
        }
    }
}

impl Results {
    /// Nothing yet, of the peers that this program was built with.
    pub fn new() -> Self {
        let (notes, left_out, figures) = Default::default();
        Self { versions: versions(), notes, left_out, figures }
    }

    /// Tells and keeps why something is not measured.
    pub fn leave_out(&mut self, reason: String) {
        eprintln!("{reason}");
        self.left_out.insert(reason);
    }

    /// The engines in the order in which they came.
    pub fn engines(&self) -> Vec<&str> {
        let mut engines: Vec<&str> = vec![];
        for figure in &self.figures {
            if !engines.contains(&figure.engine.as_str()) {
                engines.push(&figure.engine);
            }
        }
        engines
    }
}

impl Record {
    /// As it was saved.
    pub fn load(name: &str) -> Fallible<Self> {
        Ok(serde_json::from_str(&fs::read_to_string(file(name, "json"))?)?)
    }

    /// With the results in this file too; they replace what is known of the same engines.
    pub fn with(mut self, path: &str) -> Fallible<Self> {
        let other: Results = serde_json::from_str(&fs::read_to_string(path)?)?;
        let results = &mut self.results;
        results.versions.extend(other.versions);
        results.notes.extend(other.notes);
        results.left_out.extend(other.left_out);
        results.figures.retain(|known| other.figures.iter().all(|figure| figure.engine != known.engine));
        results.figures.extend(other.figures);
        Ok(self)
    }

    /// Writes the JSON, the table and the plot.
    pub fn save(&self, name: &str) -> Fallible<()> {
        fs::write(file(name, "json"), serde_json::to_string_pretty(self)? + "\n")?;
        fs::write(file(name, "md"), table::markdown(self))?;
        plot::draw(self, &file(name, "svg"))
    }
}

/// A file of this record.
fn file(name: &str, extension: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../results").join(name).with_extension(extension)
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

/// The peers' versions, from the lock file.
fn versions() -> BTreeMap<String, String> {
    const PEERS: [&str; 6] = ["burn", "candle-nn", "nam-rs", "nexus-inference", "rten", "tract-onnx"];
    let packages = include_str!("../Cargo.lock").split("[[package]]\n").filter_map(|package| {
        let mut values = package.lines().filter_map(|line| line.split('"').nth(1));
        Some((values.next()?.to_owned(), values.next()?.to_owned()))
    });
    packages.filter(|(name, _)| PEERS.contains(&name.as_str())).collect()
}
