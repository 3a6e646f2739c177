//! What one core can do at best, and the least time of a step that follows from it.
//!
//! Three things bound a step from below, each alone:
//! - **arithmetic**: 4H (I + H) multiply-adds, and 58 operations of the same units for the gates of each of the H units
//!   of the layer, at the core's peak, nothing wasted on padding;
//! - **bandwidth**: every weight is read once a step, from the cache that holds them. Weights that outgrow the L2 come
//!   from there as far as they fit and from the L3 for the rest. (The L1 is not split in this way, so a cell that turns
//!   round over its weights can be a little faster where they are a few times the L1.) In a sequence the input
//!   part of all steps is one matrix product, and only the recurrent weights are read at every step;
//! - **latency**: the chain of operations from one h to the next, each waiting for the one before. A vector of units
//!   gets its h at once, so the columns of these units, for their own gates, are a part of the chain, at the core's
//!   peak.

use std::fs;

use crate::machine::{Width, clock};

/// Multiplications and multiply-adds of a unit's gates: 9 for each of five quotients (the square, its square, 4 and 3
/// for the polynomials), 4 to make the gates of four of them, 6 to join three with c, 3 for h.
const GATE_OPERATIONS: usize = 58;

/// The chain from h to the next h in multiply-adds (or operations of the same latency): 1 for the last column, 1 to
/// join partial sums; the quotients of the gates: 1 to square, 1 to clamp, 1 for the fourth power, 2 of Estrin's
/// scheme, 1 for q + x p, 3 to join three of them with c; tanh of c: the same 5, and 1 to join with the output gate.
const CHAIN_FMAS: f64 = 17.0;
/// Divisions in that chain: c and h.
const CHAIN_DIVISIONS: f64 = 2.0;

/// What one core can do, with vectors of one width.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The instruction set that was used.
    pub isa: &'static str,
    /// Cycles in a nanosecond.
    pub clock: f64,
    /// f32 in a vector.
    pub lanes: usize,
    /// Multiply-adds of f32 in a nanosecond.
    pub fma_per_ns: f64,
    /// Nanoseconds of one multiply-add in a chain.
    pub fma_latency: f64,
    /// Nanoseconds of one division in a chain.
    pub div_latency: f64,
    /// Nanoseconds from a vector through memory to the broadcast of a lane.
    pub forward_latency: f64,
    /// Bytes in a nanosecond from L1, L2 and L3.
    pub bytes_per_ns: [f64; 3],
    /// Bytes of L1 and L2.
    pub caches: [usize; 2],
}

/// The least nanoseconds of a step, by cause.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// Arithmetic.
    pub fma: f64,
    /// Weights read.
    pub bandwidth: f64,
    /// The chain from h to h.
    pub latency: f64,
}

impl Bound {
    /// The largest of the three.
    pub fn ns(&self) -> f64 {
        self.fma.max(self.bandwidth).max(self.latency)
    }

    /// Which one that is.
    pub fn cause(&self) -> &'static str {
        [(self.fma, "FMA"), (self.bandwidth, "bandwidth"), (self.latency, "latency")]
            .into_iter()
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .map_or("", |(_, name)| name)
    }
}

impl Limits {
    /// Measures this core; takes about half a second.
    pub fn measure(width: Width) -> Self {
        let caches = [cache_bytes(1).unwrap_or(32 << 10), cache_bytes(2).unwrap_or(1 << 20)];
        Self {
            isa: width.name(),
            clock: clock(),
            lanes: width.lanes(),
            fma_per_ns: width.fma_per_ns(),
            fma_latency: width.fma_latency(),
            div_latency: width.div_latency(),
            forward_latency: width.forward_latency(),
            bytes_per_ns: [caches[0] / 2, caches[1] / 2, 8 * caches[1]].map(|bytes| width.bytes_per_ns(bytes)),
            caches,
        }
    }

    /// One step of a cell.
    pub fn step(&self, input: usize, hidden: usize) -> Bound {
        self.bound(hidden, operations(input, hidden), 16 * hidden * (input + hidden))
    }

    /// One step of `streams` sequences that advance together, when the input part of all steps is done at once.
    pub fn sequence(&self, input: usize, hidden: usize, streams: usize) -> Bound {
        self.bound(hidden, operations(input, hidden) * streams, 16 * hidden * hidden)
    }

    fn bound(&self, hidden: usize, operations: usize, bytes: usize) -> Bound {
        let [l1, l2, l3] = self.bytes_per_ns;
        let bandwidth = if bytes <= self.caches[0] {
            bytes as f64 / l1
        } else {
            let inside = bytes.min(self.caches[1]);
            inside as f64 / l2 + (bytes - inside) as f64 / l3
        };
        let units = hidden.min(self.lanes);
        let chain = CHAIN_FMAS * self.fma_latency + CHAIN_DIVISIONS * self.div_latency + self.forward_latency;
        Bound {
            fma: operations as f64 / self.fma_per_ns,
            bandwidth,
            latency: chain + (4 * units * units) as f64 / self.fma_per_ns,
        }
    }
}

/// What the units do in a step.
fn operations(input: usize, hidden: usize) -> usize {
    hidden * (4 * (input + hidden) + GATE_OPERATIONS)
}

/// The bytes of this machine's data cache of that level, as Linux tells them.
fn cache_bytes(level: u32) -> Option<usize> {
    (0..8).find_map(|index| {
        let read = |name| fs::read_to_string(format!("/sys/devices/system/cpu/cpu0/cache/index{index}/{name}")).ok();
        let holds_data = read("type")?.trim() != "Instruction";
        let size = read("size")?.trim().strip_suffix('K')?.parse::<usize>().ok()?;
        (holds_data && read("level")?.trim() == level.to_string()).then_some(size << 10)
    })
}
