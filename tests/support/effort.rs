//! How much a run tries: less on an emulator.

use std::env;

use proptest::prelude::ProptestConfig;
use proptest::test_runner::FileFailurePersistence;

/// The number of random cases: `default`, or fewer if the environment asks for it.
pub fn cases(default: u32) -> u32 {
    wanted().map_or(default, |wanted| wanted.clamp(1, default))
}

/// A run of [`cases`] of proptest's.
pub fn random_cases(default: u32) -> ProptestConfig {
    ProptestConfig {
        cases: cases(default),
        // A failing case is printed, with its seed: that is enough, and leaves no file behind.
        failure_persistence: Some(Box::new(FileFailurePersistence::Off)),
        ..ProptestConfig::default()
    }
}

/// The number of time steps: `default`, or a quarter if the environment asks for few cases.
pub fn steps(default: usize) -> usize {
    if wanted().is_some_and(|wanted| wanted <= 8) { default.div_ceil(4) } else { default }
}

fn wanted() -> Option<u32> {
    ["LSTM_KERNELS_TEST_CASES", "PROPTEST_CASES"].into_iter().find_map(|name| {
        let text = env::var(name).ok()?;
        Some(text.parse().unwrap_or_else(|_| panic!("{name}={text}: expected a number")))
    })
}
