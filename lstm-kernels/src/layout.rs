//! Where each weight lies in the packed tensor.
//!
//! A kernel never sums across lanes: for each column k (of x, then of h; the bias is a column of its own, apart) it broadcasts one input and
//! multiplies it by a *column* of all gates of all units, 16 lanes (one `Line`) at a time. So the packed
//! tensor holds columns, cut into lines, in the order in which the kernel reads them.
//!
//! The units of a layer are cut into blocks of 16, and the rest into one of 8 and one of 4, so that at most
//! 3 units are padding. A block of 16 has a line for each gate. The smaller ones are *folded*: their gates
//! share lines.
//!
//! ```text
//!            lane 0                 8                15
//! 16 units   i i i i i i i i i i i i i i i i    4 lines
//!            f f f f f f f f f f f f f f f f
//!            g g g g g g g g g g g g g g g g
//!            o o o o o o o o o o o o o o o o
//!  8 units   i i i i i i i i f f f f f f f f    2 lines
//!            g g g g g g g g o o o o o o o o
//!  4 units   i i i i f f f f g g g g o o o o    1 line
//! ```
//!
//! Hence a column of `hidden` units takes [`lines`]`(hidden)` lines. Up to 12 lines, all accumulators of a layer
//! stay in registers together, and the tensor is just column after column. Larger layers are cut into *groups*
//! of 4 lines (16 units), in layers of more than 128 units of 8, each stored whole before the next one; the last group
//! has the rest, less than twice as many.
//!
//! One layout serves every instruction set (a line is one zmm, two ymm or four q registers), so weights can be
//! packed before it is known where they will run.
//!
//! The lines of the gates i, f and o hold half of each weight, exact in binary: sigmoid(z) is computed from
//! tanh(z / 2), see [`activation`](crate::activation).

/// 16 lanes of one column: the unit of storage, and a cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Line(pub(crate) [f32; 16]);

impl Line {
    pub(crate) const ZERO: Self = Self([0.0; 16]);
}

/// Gates of a unit, in PyTorch's order: i, f, g, o.
pub(crate) const GATES: usize = 4;

/// The gate whose activation is tanh: g.
const TANH_GATE: usize = 2;

/// The most lines in one group.
const MAX_LINES: usize = 12;

/// Lines in each group but the last, in a layer of more than one group. Where the weights are a few times the L1 cache,
/// small groups leave more of them there from one step to the next (4 against 8: 980 against 1,110 ns at (64, 64));
/// larger layers gain from long reads (26 against 27 us at (256, 256)).
pub(crate) const fn group_lines(hidden: usize) -> usize {
    if lines(hidden) <= 32 { 4 } else { 8 }
}

/// `hidden` rounded up to what fills whole lines.
pub const fn padded(hidden: usize) -> usize {
    hidden.next_multiple_of(4)
}

/// Lines in one column.
pub const fn lines(hidden: usize) -> usize {
    padded(hidden) / 4
}

/// Lines of the last group (the only one, if there are at most 12).
pub const fn last_group(hidden: usize) -> usize {
    let (mut last, group) = (lines(hidden), group_lines(hidden));
    if last > MAX_LINES {
        while last >= 2 * group {
            last -= group;
        }
    }
    last
}

/// Lines of the whole packed tensor: `input` columns of x and `hidden` columns of h.
pub const fn tensor_lines(input: usize, hidden: usize) -> usize {
    (input + hidden) * lines(hidden)
}

/// The place of one weight: `(line, lane)`; `columns` of x and h in all. The bias is packed as a tensor of one column.
pub(crate) fn place(columns: usize, hidden: usize, column: usize, gate: usize, unit: usize) -> (usize, usize) {
    let last_units = last_group(hidden) * 4;
    let full_units = padded(hidden) - last_units;
    let full_lines = group_lines(hidden);
    let group = if unit < full_units { unit / (full_lines * 4) } else { full_units / (full_lines * 4) };
    let lines = if unit < full_units { full_lines } else { last_units / 4 };
    let (line, lane) = place_in_column(lines, gate, unit - group * full_lines * 4);
    (group * full_lines * columns + column * lines + line, lane)
}

/// The place of a unit's gate in one column of a group of `lines` lines.
fn place_in_column(lines: usize, gate: usize, unit: usize) -> (usize, usize) {
    let (blocks, folded) = (lines / 4, lines % 4);
    if unit < blocks * 16 {
        return (unit / 16 * 4 + gate, unit % 16);
    }
    let unit = unit - blocks * 16;
    let (width, line, unit) = match folded {
        2 | 3 if unit < 8 => (8, blocks * 4, unit),
        3 => (4, lines - 1, unit - 8),
        _ => (4, lines - 1, unit),
    };
    let lane = gate * width + unit;
    (line + lane / 16, lane % 16)
}

/// Lines of a packed linear head: for each output those of its weights, 16 units in a line, then the biases.
pub const fn head_lines(hidden: usize, outputs: usize) -> usize {
    outputs * hidden.div_ceil(16) + outputs.div_ceil(16)
}

/// The place in a packed head of the weight from a unit to an output.
pub(crate) const fn place_in_head(hidden: usize, output: usize, unit: usize) -> (usize, usize) {
    (output * hidden.div_ceil(16) + unit / 16, unit % 16)
}

/// The place in a packed head of an output's bias.
pub(crate) const fn place_of_head_bias(hidden: usize, outputs: usize, output: usize) -> (usize, usize) {
    (outputs * hidden.div_ceil(16) + output / 16, output % 16)
}

/// What a gate's weights are multiplied by when they are packed.
pub(crate) const fn scale(gate: usize) -> f32 {
    if gate == TANH_GATE { 1.0 } else { 0.5 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_weight_has_a_place_of_its_own_inside_the_tensor() {
        for hidden in (1..=100).chain([128, 256]) {
            for input in [1, 2, 7] {
                let mut taken = HashSet::new();
                for column in 0..input + hidden {
                    for gate in 0..GATES {
                        for unit in 0..hidden {
                            let (line, lane) = place(input + hidden, hidden, column, gate, unit);
                            assert!(line < tensor_lines(input, hidden) && lane < 16, "({input}, {hidden})");
                            assert!(taken.insert((line, lane)), "({input}, {hidden}): two weights in {line}, {lane}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn every_weight_of_a_head_has_a_place_of_its_own() {
        for (hidden, outputs) in [(1, 1), (16, 1), (17, 3), (5, 16), (32, 17), (53, 40)] {
            let weights = (0..outputs).flat_map(|y| (0..hidden).map(move |unit| place_in_head(hidden, y, unit)));
            let biases = (0..outputs).map(|y| place_of_head_bias(hidden, outputs, y));
            let mut taken = HashSet::new();
            for (line, lane) in weights.chain(biases) {
                assert!(line < head_lines(hidden, outputs) && lane < 16, "({hidden}, {outputs})");
                assert!(taken.insert((line, lane)), "({hidden}, {outputs}): two weights in {line}, {lane}");
            }
        }
    }

    #[test]
    fn a_tail_of_four_units_shares_one_line() {
        // (10, 20): a block of 16 and a folded quarter: 5 lines a column, not 8.
        assert_eq!(lines(20), 5);
        assert_eq!(place(30, 20, 0, 0, 0), (0, 0));
        assert_eq!(place(30, 20, 0, 3, 15), (3, 15));
        assert_eq!(place(30, 20, 0, 1, 17), (4, 5));
        assert_eq!(place(30, 20, 29, 3, 19), (29 * 5 + 4, 15));
    }

    #[test]
    fn large_layers_are_cut_into_groups() {
        assert_eq!((lines(48), last_group(48)), (12, 12));
        assert_eq!((lines(49), last_group(49)), (13, 5));
        assert_eq!((lines(64), last_group(64)), (16, 4));
        assert_eq!((lines(84), last_group(84)), (21, 5));
        assert_eq!((lines(128), last_group(128)), (32, 4));
        assert_eq!((lines(129), last_group(129)), (33, 9));
        assert_eq!((lines(256), last_group(256)), (64, 8));
    }
}
