//! LSTM inference on the CPU, one time step or many, at the speed of the machine and with the same bits on every
//! machine.
//!
//! ```
//! use lstm_kernels::{LstmWeights, lstm_cell};
//!
//! lstm_cell!(in=10, hidden=20); // struct LSTMCell: sizes, layout and kernels known at compile time
//!
//! # fn main() -> Result<(), lstm_kernels::Error> {
//! // A PyTorch state_dict: [4H, I], [4H, H], [4H], [4H], rows in the gate order i, f, g, o.
//! let (w_ih, w_hh, b_ih, b_hh) = ([0.1; 80 * 10], [0.1; 80 * 20], [0.0; 80], [0.0; 80]);
//! let cell = LSTMCell::new(&LstmWeights::torch(&w_ih, &w_hh, Some((&b_ih, &b_hh))))?;
//!
//! let mut state = LSTMCell::zero_state();
//! for x in [[0.5; 10], [-0.5; 10]] {
//!     let h: &[f32; 20] = cell.step(&x, &mut state); // torch: h, c = cell(x, (h, c))
//!     assert!(h[0].abs() < 1.0);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # What to use
//! - [`lstm_cell!`] makes a struct for one size. Its `step` advances one stream by one sample, `step_batch` many
//!   streams through the same weights, `run` one stream by a whole sequence. It can have a linear layer behind it, and
//!   its weights baked in: `lstm_cell!(in=1, hidden=16, out=1, weights="amp.safetensors", prefix="lstm")`.
//! - [`Layer`] stacks cells: a pair of them is a layer too. [`LayerOut`] is one with outputs; [`stack`] shows how a
//!   plug-in chooses among sizes when it loads a model.
//! - [`LstmWeights`] views the tensors of PyTorch, Keras or ONNX.
//! - `Lstm` (feature `lstm`, on by default) is `torch.nn.LSTM` with sizes known at run time: layers, directions,
//!   projection, batches, lengths, streams; `LstmCellDyn` is its `torch.nn.LSTMCell`.
//! - Weights can be stored in f16 or bf16: `dtype=f16` in the macro, `LstmConfig::dtype` for `Lstm`.
//! - [`State`] is `(h, c)`: a value that you own, clone, read and set.
//! - [`Isa`] says which instruction set a cell runs on; [`Isa::detect`] picks it once, at construction.
//! - `reference` (feature `std`) is the f64 oracle that everything is tested against.
//!
//! # What you can rely on
//! - **The same bits** on every instruction set but [`Isa::V4F16`], for every batch size, for `step`, `step_batch`,
//!   `run` and `Lstm`, on every architecture (tested on x86-64, and on NEON under emulation): the order of operations
//!   is part of the design, and every operation is correctly rounded. (NaN is NaN everywhere; its payload is
//!   unspecified.)
//! - **Accuracy**: h within 1e-6 of an f64 LSTM over 512 steps, on weights U(-1/sqrt(H), 1/sqrt(H)) and inputs N(0, 1);
//!   2e-6 with 8 and 2e-5 with 300 or more times as many inputs as units, whose sums are large. (That is what random
//!   cells reach, not a bound: a recurrence can enlarge an error. Of 44,604 cells of one unit the worst was off by
//!   4e-6.) [`activation`] gives the errors of sigmoid and tanh.
//! - **Real time**: `step`, `step_batch` and `run` of a cell never allocate, lock, call the system or panic, and take
//!   the same time for silence as for noise: |c| below 2^-60 is flushed to zero, as part of the definition. A state or
//!   input that holds infinity or NaN spreads as IEEE 754 has it, without a panic (but sigmoid(-inf) is 8e-10, not 0:
//!   an infinite c stays behind a closed forget gate); a c beyond 2e12 may overflow. (`Lstm` and `LstmCellDyn` do not
//!   allocate either, once their workspace or stream has room.)
//! - **The CPU's modes** are left alone. Rounding must be to nearest. With flush-to-zero and denormals-are-zero on, as
//!   many audio hosts have them, numbers below 2^-126 (1e-38) count as zero: inputs that have faded so far, or their
//!   products with weights. Beside larger ones that can turn a tie, and so a last bit; where all inputs fade together
//!   the bits are the same. (Weights of 1e30, which make much of such a number, show more.)
//! - `cell` is `Send + Sync`; share one between threads, give each stream its state.
//!
//! # A debug build
//! The kernels are compiled in *your* crate, for your sizes. Without optimisation each SIMD instruction becomes a call,
//! and a step takes 100 to 370 times as long: an audio plug-in drops out. It takes more stack, too, up to
//! 0.8 MiB (`step_batch` of (40, 40)). `[profile.dev] opt-level = 1` in your `Cargo.toml` is enough to avoid both (94
//! KiB at most).
//!
//! # Features
//! `std` (default) reads the environment variable `LSTM_KERNELS_ISA` (`scalar`, `v3`, `v4`, `v4f16` or `neon`), which
//! sets what detection chooses; `alloc` (in `std`) gives boxed cells. `lstm` (default) gives `Lstm`, whose kernels take
//! the compiler a minute: for cells alone use `default-features = false, features = ["std"]`, which is built in 2
//! seconds. Without features the crate is `no_std` and needs no heap (but for `x86_64-unknown-none` and `-uefi` the
//! compiler fails on `pulp`). Off by default: `bake` reads weights at compile time, in the macro alone; `safetensors`
//! reads weights from a PyTorch `state_dict` (see the modules `from_pytorch` and `state_dict`), and brings a JSON
//! parser and serde; `ndarray` gives `Lstm` a method for arrays, `forward_array`; `rayon` gives `Lstm` the method
//! `threads`: nothing changes until it is called.

#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

pub mod activation;
pub mod cell;
#[cfg(any(feature = "lstm", feature = "safetensors"))]
mod config;
mod cpu;
mod element;
mod error;
#[cfg(all(feature = "lstm", feature = "safetensors"))]
pub mod from_pytorch;
mod head;
mod isa;
mod kernel;
pub mod layout;
#[cfg(feature = "lstm")]
pub mod lstm;
#[cfg(feature = "std")]
pub mod reference;
mod simd;
pub mod stack;
mod state;
#[cfg(feature = "safetensors")]
pub mod state_dict;
#[cfg(any(feature = "lstm", feature = "safetensors"))]
mod tensor;
mod weights;

#[cfg(feature = "alloc")]
pub use cell::Boxed;
#[cfg(any(feature = "lstm", feature = "safetensors"))]
pub use config::{Dtype, LstmConfig};
pub use error::{Error, Excerpt, OptionValue, WeightsError};
pub use isa::{ISA_VARIABLE, Isa};
#[cfg(feature = "lstm")]
pub use lstm::{Lstm, LstmCellDyn};
pub use stack::{Layer, LayerOut};
pub use state::State;
#[cfg(feature = "safetensors")]
pub use state_dict::{StateDict, StateDictError};
pub use weights::LstmWeights;

#[doc = include_str!("lstm_cell.md")]
#[macro_export]
macro_rules! lstm_cell {
    ($($spec:tt)*) => { $crate::__private::lstm_cell_impl! { $crate; $($spec)* } };
}

/// What the code that [`lstm_cell!`] emits needs. Not for users, may change at any time.
#[doc(hidden)]
pub mod __private {
    pub use core::primitive::f32;
    pub use half::{bf16, f16};
    pub use lstm_macros::lstm_cell_impl;

    /// Keeps the tokens if the library has the feature `alloc`.
    #[cfg(feature = "alloc")]
    #[doc(hidden)]
    #[macro_export]
    macro_rules! __if_alloc { ($($tokens:tt)*) => { $($tokens)* }; }
    /// Drops the tokens: the library has no feature `alloc`.
    #[cfg(not(feature = "alloc"))]
    #[doc(hidden)]
    #[macro_export]
    macro_rules! __if_alloc {
        ($($tokens:tt)*) => {};
    }
}
