#![doc = include_str!("page.md")]
//!
//! # Three lines
//! The README's example, run as a test:
//! ```
//! # std::env::set_current_dir("../tests/data")?;
//! # let x = [0.5; 5 * 3 * 10];
#![doc = include_str!("three_lines.rs")]
//! assert_eq!(result.output.shape, [5, 3, 20]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
