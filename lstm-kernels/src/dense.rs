//! A dense layer, y = W v + b: the projection of an LSTM (`proj_size`).
//!
//! The same columns times inputs as in [`kernel`](crate::kernel), with lines of 16 outputs instead of gates. A
//! column has `ceil(outputs / 16)` lines, cut into groups of [`GROUP`] that are stored whole, one after the other.

use alloc::vec::Vec;

use crate::kernel::{Part, Start, join, sums};
use crate::layout::Line;
use crate::simd::{Simd, Vector};

/// Lines in each group but the last, which has 1 to 4.
const GROUP: usize = 4;

/// Packed weights.
#[derive(Clone, Debug)]
pub(crate) struct Dense {
    inputs: usize,
    outputs: usize,
    lines: Vec<Line>,
}

impl Dense {
    /// From checked weights \[outputs, inputs\], row-major, without bias.
    pub(crate) fn new(weights: &[f32], inputs: usize, outputs: usize) -> Self {
        let all = outputs.div_ceil(16);
        let mut lines = alloc::vec![Line::ZERO; all * inputs];
        for (output, row) in weights.chunks_exact(inputs).enumerate() {
            let (group, line) = (output / 16 / GROUP, output / 16 % GROUP);
            let group_lines = usize::min(GROUP, all - group * GROUP);
            for (column, &weight) in row.iter().enumerate() {
                lines[group * GROUP * inputs + column * group_lines + line].0[output % 16] = weight;
            }
        }
        Self { inputs, outputs, lines }
    }

    /// y of `T` streams; each y has `outputs` elements.
    #[inline(always)]
    pub(crate) fn apply<S: Simd, const T: usize>(&self, simd: S, inputs: [&[f32]; T], mut outputs: [&mut [f32]; T]) {
        let mut first = 0;
        for group in self.lines.chunks(GROUP * self.inputs) {
            match group.len() / self.inputs {
                1 => apply_group::<S, 1, T>(simd, group, inputs, &mut outputs, first),
                2 => apply_group::<S, 2, T>(simd, group, inputs, &mut outputs, first),
                3 => apply_group::<S, 3, T>(simd, group, inputs, &mut outputs, first),
                _ => apply_group::<S, 4, T>(simd, group, inputs, &mut outputs, first),
            }
            first += GROUP * 16;
        }
    }

    pub(crate) const fn outputs(&self) -> usize {
        self.outputs
    }
}

#[inline(always)]
fn apply_group<S: Simd, const R: usize, const T: usize>(
    simd: S,
    group: &[Line],
    inputs: [&[f32]; T],
    outputs: &mut [&mut [f32]; T],
    first: usize,
) {
    let zero = [&[Line::ZERO; R]; T];
    let start = Start { even: zero, odd: zero, folded: false };
    let part = Part { columns: group.as_chunks::<R>().0, inputs };
    let y = join(simd, sums(simd, start, [part, Part::NONE]));
    for (y, output) in y.iter().zip(outputs) {
        for (line, output) in y.iter().zip(output[first..].chunks_mut(16)) {
            let mut lanes = Line::ZERO;
            line.store(simd, &mut lanes.0);
            output.copy_from_slice(&lanes.0[..output.len()]);
        }
    }
}
