//! A dense layer, y = W v: the projection of an LSTM (`proj_size`). Columns of `ceil(outputs / 16)` lines, with
//! outputs where [`layout`](crate::layout) has gates.

use alloc::vec::Vec;

use crate::element::Element;
use crate::kernel::product::{self, Columns, Rows, Sums};
use crate::layout::{Line, packed};
use crate::simd::Simd;

/// Packed weights.
#[derive(Clone)]
pub(crate) struct Dense<E: Element> {
    outputs: usize,
    columns: Vec<E::Line>,
}

impl<E: Element> Dense<E> {
    /// From checked weights \[outputs, inputs\], row-major, without bias.
    pub(crate) fn new(weights: &[f32], inputs: usize, outputs: usize) -> Self {
        let (lines, share) = (outputs.div_ceil(16), E::FORM.share);
        let mut columns = alloc::vec![E::ZERO; lines * packed(E::FORM, inputs)];
        for (output, row) in weights.chunks_exact(inputs).enumerate() {
            for (column, &weight) in row.iter().enumerate() {
                let line = &mut columns[column / share * lines + output / 16];
                E::put(line, column % share, output % 16, weight);
            }
        }
        Self { outputs, columns }
    }

    /// Lines of one row of sums.
    pub(crate) const fn lines(&self) -> usize {
        self.outputs.div_ceil(16)
    }

    /// The first `count` rows of y, `stride` apart, with `sums` to work in.
    #[inline(always)]
    pub(crate) fn apply<S: Simd>(
        &self,
        simd: S,
        v: Rows<'_>,
        y: &mut [f32],
        stride: usize,
        sums: &mut [Line],
        count: usize,
    ) {
        let lines = self.lines();
        sums[..count * lines].fill(Line::ZERO);
        let mut rows = Sums { data: sums, stride: lines };
        let columns = Columns { data: &self.columns, lines, soon: &[] };
        product::add::<S, E>(simd, columns, v, None, &mut rows, count);
        for (y, sums) in y.chunks_exact_mut(stride).zip(rows.data.chunks_exact(lines)).take(count) {
            for (y, line) in y[..self.outputs].chunks_mut(16).zip(sums) {
                y.copy_from_slice(&line.0[..y.len()]);
            }
        }
    }
}
