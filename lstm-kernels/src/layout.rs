//! Where each weight lies in the packed tensor. Public because the struct that `lstm_cell!` emits names these
//! functions: they may change in any release.
//!
//! A kernel never sums across lanes: for each column k (of x, then of h; the bias is packed separately, as one more
//! column) it broadcasts one input and multiplies it by a *column* of all gates of all units, 16 lanes (one `Line`) at
//! a time. So the packed tensor holds columns, cut into lines, in the order in which the kernel reads them.
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
//! Hence a column of `hidden` units takes [`lines`]`(hidden)` lines. Up to 12 lines, all accumulators of a layer stay
//! in registers together, and the tensor is just column after column. Larger layers are cut into *groups* of 256 bytes,
//! 4 lines (16 units) or of f16 8, each stored whole before the next one; the last group has the rest, up to 12 lines.
//! (So is a cell of 8 lines with many inputs: [`last_group_of_cell`].) x's columns of all groups come before h's. A
//! sequence reads the two at different times, and h's then lie without gaps ((128, 128) 8 % and (256, 256) 6 % faster
//! on Zen 5). A cell, which reads a group of either in turn, does not lose: with AVX-512 the same within 4 %, with AVX2
//! up to 10 % faster.
//!
//! Small groups leave more of the weights in the L1 cache from one step to the next, where these are a few times its
//! size (4 against 8 lines of f32: 980 against 1,110 ns at (64, 64)), and with AVX2, whose registers hold 4 lines, no
//! part of a group is passed over (on Zen 5 (192, 192) 8.1 against 10 us).
//!
//! One layout serves every instruction set (a line is one zmm, two ymm or four q registers), so weights can be
//! packed before it is known where they will run.
//!
//! Lines of f32 are 64 bytes, those of f16 32. Of bf16 two columns, 2k and 2k + 1 of x or of h, *share* a line of 64
//! bytes: lane by lane the lower and the upper half of 32 bits, which one shift or one mask widens.
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
pub(crate) const MAX_LINES: usize = 12;

/// What a type of weight makes of the layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// Lines in each group but the last: 256 bytes.
    pub(crate) group: usize,
    /// Columns that share a line.
    pub(crate) share: usize,
}

/// The form of f32.
pub const F32: Form = Form { group: 4, share: 1 };
/// The form of f16.
pub const F16: Form = Form { group: 8, share: 1 };
/// The form of bf16.
pub const BF16: Form = Form { group: 4, share: 2 };

/// `hidden` rounded up to what fills whole lines.
pub const fn padded(hidden: usize) -> usize {
    hidden.next_multiple_of(4)
}

/// Lines in one column.
pub const fn lines(hidden: usize) -> usize {
    padded(hidden) / 4
}

/// Lines of the last group (the only one, if there are at most 12) of a layer of an `Lstm`.
pub const fn last_group(form: Form, hidden: usize) -> usize {
    let mut last = lines(hidden);
    if last > MAX_LINES {
        while last >= 2 * form.group || last > MAX_LINES {
            last -= form.group;
        }
    }
    last
}

/// Lines of the last group of a cell. What would be one group of 8 lines is two where they are more than an L1 cache of
/// 32 KiB holds, so that steps can turn round: lines that lie in one half of the cache's sets each, as two tiles of one
/// group do, gain nothing by that. On Zen 4, ns a step with AVX-512 and AVX2: (40, 32) 317 to 254 and 286 to 289, (48,
/// 32) 359 to 291 and 396 to 320, (64, 32) 433 to 350 and 491 to 383, (80, 32) 504 to 409 and 566 to 442, (128, 32),
/// whose halves are larger than the cache, 721 to 724 and 791 to 768. (Less would gain there, too: (36, 32) 233 to 201
/// and 251 to 246, (32, 32) 191 to 187 and 235 to 225. But with AVX-512 two groups ask for more broadcasts than one,
/// and the L1 caches of other CPUs hold 48 KiB. A sequence through an `Lstm` loses: (40, 32) 206 to 220 and 244 to
/// 258.)
pub const fn last_group_of_cell(form: Form, input: usize, hidden: usize) -> usize {
    let bytes = size_of::<Line>() * tensor_lines(form, input, hidden);
    let halves = form.group == 4 && lines(hidden) == 8 && bytes >= 36 << 10;
    if halves { form.group } else { last_group(form, hidden) }
}

/// Packed columns of a part of `columns` columns.
pub(crate) const fn packed(form: Form, columns: usize) -> usize {
    columns.div_ceil(form.share)
}

/// Lines of the whole packed tensor: `input` columns of x and `hidden` columns of h.
pub const fn tensor_lines(form: Form, input: usize, hidden: usize) -> usize {
    (packed(form, input) + packed(form, hidden)) * lines(hidden)
}

/// The place of the weight from a column, `input` of x and then `output` of h, to a unit's gate, where the last group
/// has `last` lines: the line, which of the columns that share it, and the lane.
pub(crate) fn place(
    form: Form,
    [input, output]: [usize; 2],
    (hidden, last): (usize, usize),
    column: usize,
    gate: usize,
    unit: usize,
) -> (usize, usize, usize) {
    let (x, h) = (packed(form, input), packed(form, output));
    let (start, columns, column) = if column < input { (0, x, column) } else { (x * lines(hidden), h, column - input) };
    let group = form.group;
    let full_units = padded(hidden) - 4 * last;
    let (before, lines) =
        if unit < full_units { (unit / (4 * group), group) } else { (full_units / (4 * group), last) };
    let (line, lane) = place_in_column(lines, gate, unit - before * 4 * group);
    (start + before * group * columns + column / form.share * lines + line, column % form.share, lane)
}

/// The place of a bias, packed as a tensor of one column, which is the same however it is cut: `(line, lane)`.
pub(crate) fn place_of_bias(hidden: usize, gate: usize, unit: usize) -> (usize, usize) {
    place_in_column(lines(hidden), gate, unit)
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
            for (input, form) in [1, 2, 7, 120].into_iter().flat_map(|input| [F32, F16, BF16].map(|form| (input, form)))
            {
                for last in HashSet::from([last_group(form, hidden), last_group_of_cell(form, input, hidden)]) {
                    let mut taken = HashSet::new();
                    for column in 0..input + hidden {
                        for gate in 0..GATES {
                            for unit in 0..hidden {
                                let (line, part, lane) =
                                    place(form, [input, hidden], (hidden, last), column, gate, unit);
                                let inside = line < tensor_lines(form, input, hidden) && part < form.share && lane < 16;
                                assert!(inside, "{form:?} ({input}, {hidden})");
                                let new = taken.insert((line, part, lane));
                                assert!(new, "{form:?} ({input}, {hidden}): two weights in {line}, {part}, {lane}");
                            }
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
        let place = |form, column, gate, unit| place(form, [10, 20], (20, 5), column, gate, unit);
        assert_eq!(place(F32, 0, 0, 0), (0, 0, 0));
        assert_eq!(place(F32, 0, 3, 15), (3, 0, 15));
        assert_eq!(place(F32, 0, 1, 17), (4, 0, 5));
        assert_eq!(place(F32, 29, 3, 19), (29 * 5 + 4, 0, 15));
        assert_eq!(place(BF16, 28, 3, 19), (14 * 5 + 4, 0, 15));
        assert_eq!(place(BF16, 29, 3, 19), (14 * 5 + 4, 1, 15));
    }

    #[test]
    fn large_layers_are_cut_into_groups() {
        let cut = |form, hidden| (lines(hidden), last_group(form, hidden));
        assert_eq!(cut(F32, 48), (12, 12));
        assert_eq!(cut(F32, 49), (13, 5));
        assert_eq!(cut(BF16, 64), (16, 4));
        assert_eq!(cut(F16, 64), (16, 8));
        assert_eq!(cut(F32, 84), (21, 5));
        assert_eq!(cut(F32, 128), (32, 4));
        assert_eq!(cut(F16, 129), (33, 9));
        assert_eq!(cut(F16, 180), (45, 5));
        assert_eq!(cut(F32, 256), (64, 4));
        let of_cell = |form, input| last_group_of_cell(form, input, 32);
        assert_eq!([39, 40, 64].map(|input| of_cell(F32, input)), [8, 4, 4]);
        assert_eq!([110, 111].map(|input| of_cell(BF16, input)), [8, 4]);
        assert_eq!(of_cell(F16, 64), 8);
        assert_eq!(last_group_of_cell(F32, 64, 33), 9);
        for hidden in 1..=4096 {
            for form in [F32, F16, BF16] {
                let (lines, last) = cut(form, hidden);
                assert!((1..=MAX_LINES).contains(&last) && (lines - last) % form.group == 0, "{form:?}, H = {hidden}");
            }
        }
    }
}
