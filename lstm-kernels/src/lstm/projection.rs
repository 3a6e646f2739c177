//! The input part of the first layer alone, for the record `projection`.

use alloc::vec::Vec;

use super::Lstm;
use super::layer::Pass;
use crate::layout::{self, Line};

/// The bias and x's part of the sums of an LSTM's first layer, for many rows. Not for users, may change at any time.
#[derive(Clone, Debug)]
pub struct Projection<'a> {
    lstm: &'a Lstm,
    z: Vec<Line>,
}

impl<'a> Projection<'a> {
    /// Memory for these many rows.
    pub fn new(lstm: &'a Lstm, rows: usize) -> Self {
        Self { lstm, z: alloc::vec![Line::ZERO; rows * layout::lines(lstm.config.hidden_size)] }
    }

    /// What a pass does before its recurrence, for all rows at once.
    pub fn compute(&mut self, x: &[f32]) {
        let rows = x.len() / self.lstm.config.input_size;
        let pass = Pass {
            batch: rows,
            active: &[rows],
            reverse: false,
            backwards: false,
            x,
            h: &mut [],
            c: &mut [],
            next: &mut [],
            z: &mut self.z,
            out: &mut [],
            out_stride: 0,
            out_first: 0,
        };
        self.lstm.layers[0].input_part(self.lstm.token, pass);
    }

    /// The sum of a row's gate and unit.
    pub fn sum(&self, row: usize, gate: usize, unit: usize) -> f32 {
        let hidden = self.lstm.config.hidden_size;
        let (line, lane) = layout::place_of_bias(hidden, gate, unit);
        self.z[row * layout::lines(hidden) + line].0[lane] / layout::scale(gate)
    }
}
