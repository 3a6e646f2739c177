#![doc = include_str!("from_pytorch/page.md")]
//!
//! # Three lines
//! The README's example, run as a test:
//! ```
//! # std::env::set_current_dir("../tests/data")?;
//! # let x = [0.5; 5 * 3 * 10];
#![doc = include_str!("from_pytorch/three_lines.rs")]
//! assert_eq!(result.output.shape, [5, 3, 20]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Lstm::batch_first`]: crate::Lstm::batch_first
//! [`Lstm::forward_into`]: crate::Lstm::forward_into
//! [`Workspace`]: crate::lstm::Workspace
//! [`Lstm::stream`]: crate::Lstm::stream
//! [`Lstm::advance`]: crate::Lstm::advance
//! [`Lstm::stream_reset`]: crate::Lstm::stream_reset
//! [`LinearTensors::apply`]: crate::state_dict::LinearTensors::apply
//! [`Stream`]: crate::lstm::Stream
//! [`LstmWeights::keras`]: crate::LstmWeights::keras
//! [`LstmWeights::onnx`]: crate::LstmWeights::onnx
