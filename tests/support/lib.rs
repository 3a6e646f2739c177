//! What all tests share: a [`GRID`] of cells that the same test body runs through, the [`isas`] to run it on, and
//! weights and inputs that a seed determines.
//!
//! Environment variables:
//! - `LSTM_KERNELS_REQUIRE_ISA=v4,v3,scalar`: a test fails if this machine lacks one of these. Without it a run
//!   says which ones were missing.
//! - `LSTM_KERNELS_TEST_CASES=8` (or `PROPTEST_CASES`): fewer random cases and shorter sequences, for emulators.
//!   Every shape and every instruction set still runs.
//! - `LSTM_KERNELS_CELLS=few` or `all`, as the tests are built: fewer shapes, for builds that take long, or those of a
//!   release build in every build.

mod allocator;
mod check;
mod effort;
mod erased;
mod goldens;
mod grid;
mod isas;
mod lstm_case;
mod lstm_goldens;
mod lstm_model;
mod model;
mod random;
mod tensors;

pub use allocator::{Allocator, calls, peak};
pub use check::{Close, MOST_H, assert_same, assert_same_bits, assert_within, text_has};
pub use effort::{cases, random_cases, steps};
pub use erased::{AnyCell, AnyStates};
pub use goldens::{Golden, Goldens};
pub use grid::{CORE, GRID, Shape};
pub use isas::{REQUIRE_VARIABLE, isas};
pub use lstm_case::{LstmCase, LstmResult};
pub use lstm_goldens::{Expected, LstmGolden};
pub use lstm_model::LstmModel;
pub use model::{Model, Oracle};
pub use random::Random;
pub use tensors::TensorFile;
