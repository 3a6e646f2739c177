//! What is kept of a run: the JSON that later runs are compared with. `python/peers.py` writes the same.

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
    pub figures: Vec<Figure>,
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
    /// Every engine with its version.
    pub versions: Vec<String>,
}

/// What one core can do; see `bench_support::limits`.
#[derive(Debug, Deserialize, Serialize)]
pub struct Speeds {
    pub isa: String,
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
    /// The least that this core could need.
    #[serde(default)]
    pub bound: f64,
}

impl From<&Limits> for Speeds {
    fn from(limits: &Limits) -> Self {
        Self {
            isa: limits.isa.to_owned(),
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
            let line = cpu.lines().find(|line| line.starts_with(name)).unwrap_or_default();
            line.split(": ").nth(1).unwrap_or("?").to_owned()
        };
        Self {
            cpu: format!("{}, family {}, model {}\t", field("model name"), field("cpu family"), field("model\t"))
                .trim()
                .to_owned(),
            clock_ghz,
            date: output("date", &["-u", "+%F %H:%M UTC"]),
            load_average: fs::read_to_string("/proc/loadavg").unwrap_or_default().trim().to_owned(),
            rustc: output("rustc", &["--version"]),
            rustflags: env::var("RUSTFLAGS").unwrap_or_default(),
            commit: output("git", &["rev-parse", "--short", "HEAD"]),
            versions: versions(),
        }
    }
}

impl Record {
    /// Adds the figures of another run, with the bounds of this one.
    pub fn merge(&mut self, path: &str) -> Fallible<()> {
        let other: Self = serde_json::from_str(&fs::read_to_string(path)?)?;
        self.machine.versions.extend(other.machine.versions);
        for mut figure in other.figures {
            let same =
                |known: &&Figure| (known.case, known.input, known.hidden) == (figure.case, figure.input, figure.hidden);
            figure.bound = self.figures.iter().find(same).map_or(0.0, |known| known.bound);
            self.figures.push(figure);
        }
        Ok(())
    }

    /// Writes the JSON, the table and the plot under `benches/results/`.
    pub fn save(&self, name: &str) -> Fallible<()> {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../results");
        fs::create_dir_all(&folder)?;
        let path = |extension| folder.join(format!("{name}.{extension}"));
        fs::write(path("json"), serde_json::to_string_pretty(self)? + "\n")?;
        fs::write(path("md"), table::markdown(self))?;
        plot::draw(self, &path("svg"))
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

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

/// The peers' versions, from the lock file.
fn versions() -> Vec<String> {
    const PEERS: [&str; 6] = ["burn", "candle-nn", "nam-rs", "nexus-inference", "rten", "tract-onnx"];
    let mut lines = include_str!("../Cargo.lock").lines();
    let mut versions = vec![];
    while let Some(line) = lines.next() {
        let name = line.strip_prefix("name = \"").and_then(|rest| rest.strip_suffix('"'));
        if let Some(name) = name.filter(|name| PEERS.contains(name)) {
            let version = lines.next().and_then(|line| line.split('"').nth(1)).unwrap_or("?");
            versions.push(format!("{name} {version}"));
        }
    }
    versions
}
