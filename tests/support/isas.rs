//! Which instruction sets a test runs on, and a word about those that it cannot.

use std::{env, io, io::Write, sync::Once};

use lstm_kernels::Isa;

/// The environment variable that lists the instruction sets without which a run fails.
pub const REQUIRE_VARIABLE: &str = "LSTM_KERNELS_REQUIRE_ISA";

/// All instruction sets that this machine has and that promise the same bits, the portable one first. The one that
/// does not has tests of its own, in `half.rs`.
///
/// # Panics
/// If `LSTM_KERNELS_REQUIRE_ISA` names one that this machine lacks, or is not a list of names.
pub fn isas() -> Vec<Isa> {
    let ran: Vec<Isa> = Isa::available().filter(|&isa| isa != Isa::V4F16).collect();
    assert!(ran.contains(&Isa::Scalar), "the portable kernels must always be there");
    report();
    if let Ok(required) = env::var(REQUIRE_VARIABLE) {
        for name in required.split(',') {
            let isa: Isa = name.trim().parse().unwrap_or_else(|error| panic!("{REQUIRE_VARIABLE}={required}: {error}"));
            assert!(isa.is_available(), "{REQUIRE_VARIABLE}={required}, but this machine lacks {isa}");
        }
    }
    ran
}

/// What a machine of this architecture could have.
fn possible() -> &'static [Isa] {
    if cfg!(target_arch = "x86_64") {
        &[Isa::Scalar, Isa::V3, Isa::V4, Isa::V4F16]
    } else if cfg!(target_arch = "aarch64") {
        &[Isa::Scalar, Isa::Neon]
    } else {
        &[Isa::Scalar]
    }
}

/// Once a test program, past libtest's capture (which takes `eprint!` and not the handle): a missing instruction
/// set is news even when all tests pass.
fn report() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let list = |mut names: Vec<&str>, separator: &str| {
            if names.is_empty() {
                names.push("none");
            }
            names.join(separator)
        };
        let (ran, missing): (Vec<Isa>, Vec<Isa>) = possible().iter().partition(|isa| isa.is_available());
        let line = format!(
            "ran: {}; missing: {}\n",
            list(ran.iter().map(|isa| isa.name()).collect(), " "),
            list(missing.iter().map(|isa| isa.name()).collect(), " ")
        );
        // A closed stderr is no reason to fail a test.
        let _ = io::stderr().write_all(line.as_bytes());
    });
}
