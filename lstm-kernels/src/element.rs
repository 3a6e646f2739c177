//! What a weight is stored as. Sums and state are f32 for every element.

use crate::layout::Line;
use crate::simd::{Simd, Vector};

/// A type that weights are stored in.
pub trait Element: 'static {
    /// 16 lanes of one column.
    type Line: Copy + core::fmt::Debug + Send + Sync + 'static;

    /// A line of zeros.
    const ZERO: Self::Line;

    /// Stores a weight in a lane, rounded to nearest even.
    fn put(line: &mut Self::Line, lane: usize, weight: f32);

    /// Widens a line to f32, exactly.
    fn load<S: Simd>(simd: S, line: &Self::Line) -> S::Row;
}

impl Element for f32 {
    type Line = Line;

    const ZERO: Line = Line::ZERO;

    fn put(line: &mut Line, lane: usize, weight: f32) {
        line.0[lane] = weight;
    }

    #[inline(always)]
    fn load<S: Simd>(simd: S, line: &Line) -> S::Row {
        S::Row::load(simd, &line.0)
    }
}
