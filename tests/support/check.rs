//! Comparisons that say what differs and where.

use std::fmt::Display;

use crate::LstmResult;

/// The largest |h|: one quotient of products may round to an ULP above 1.
pub const MOST_H: f32 = 1.0 + f32::EPSILON;

/// [`assert_same_bits`] for each part of what an `Lstm` gives.
#[track_caller]
pub fn assert_same(found: &LstmResult, expected: &LstmResult, what: &str) {
    for (n, name) in ["output", "h_n", "c_n"].iter().enumerate() {
        assert_same_bits(&found[n], &expected[n], format_args!("{what}: {name}"));
    }
}

/// Asserts that two slices hold the same bits. Any NaN equals any NaN: payloads are unspecified.
#[track_caller]
pub fn assert_same_bits(found: &[f32], expected: &[f32], what: impl Display) {
    assert_eq!(found.len(), expected.len(), "{what}: lengths");
    for (n, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        assert!(
            equal(found, expected),
            "{what}: element {n} is {found:e} (bits {:08x}), expected {expected:e} (bits {:08x})",
            found.to_bits(),
            expected.to_bits()
        );
    }
}

fn equal(a: f32, b: f32) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

/// How far apart two numbers may be.
#[derive(Clone, Copy, Debug)]
pub enum Close {
    /// `|found - expected| <= .0`
    Absolute(f64),
    /// `|found - expected| <= .0 * max(1, |expected|)`
    Mixed(f64),
}

/// Asserts that each number is close to the expected one, and NaN exactly where NaN is expected.
#[track_caller]
pub fn assert_within<A, B>(found: &[A], expected: &[B], close: Close, what: impl Display)
where
    A: Copy + Into<f64>,
    B: Copy + Into<f64>,
{
    assert_eq!(found.len(), expected.len(), "{what}: lengths");
    for (n, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        let (found, expected): (f64, f64) = (found.into(), expected.into());
        let limit = match close {
            Close::Absolute(limit) => limit,
            Close::Mixed(limit) => limit * expected.abs().max(1.0),
        };
        let fits = match expected.is_nan() {
            true => found.is_nan(),
            // The first comparison is for infinities.
            false => found == expected || (found - expected).abs() <= limit,
        };
        assert!(fits, "{what}: element {n} is {found:e}, expected {expected:e}, off by {:e}", found - expected);
    }
}

/// Asserts that an error says each of these words.
#[track_caller]
pub fn text_has(error: impl Display, words: &[&str]) {
    let text = error.to_string();
    for word in words {
        assert!(text.contains(word), "`{text}` does not say `{word}`");
    }
}
