//! One time step, and how it is made fast.
//!
//! From x to the stored h:
//!
//! ```text
//! LSTMCell::step     emitted by lstm-macros/src/expand.rs
//! Cell::step         cell.rs
//! Token::run         isa.rs      one branch: which instruction set
//! Simd::enter        simd/*.rs   it is switched on for all that is inlined from here
//! Alone::run         step.rs     some small layers: early::step, tiles::step, the same work in another order
//! Step::run          step.rs     one group of lines; or `groups`, which writes h only when all sums are made
//!   sums, Tile       sums.rs     as many lines at a time as the registers hold: x's columns, then h's
//!   add, block       sums.rs     64 columns at a time
//!   chained, pass    sums.rs     as many chains at a time as the registers hold
//!   advance, column  sums.rs     the loop over the columns, and its multiply-adds
//!   activate, Gates  gates.rs    tanh and sigmoid as ratios (activation.rs), of 16, 8 and 4 units
//!   update           gates.rs    c' and h', stored
//! ```
//!
//! Large layers, of several groups, and with AVX2 some of one: [`woven`]. Many streams: [`batch`]. Whole sequences:
//! [`mod@run`], of run-time sizes [`small`], [`group`], [`overlap`] and [`product`]; single steps of run-time sizes:
//! [`one_step`]; on Zen 4's narrower units: [`narrow`].
//!
//! **Streams.** With T states at once each line is loaded once and used T times. It also gives the processor
//! T independent chains, which fill the time that one stream alone would spend on waiting.
//!
//! **Turning round.** A layer that a cache does not hold whole is read group by group, forwards in one step and
//! backwards in the next: what was read last is still there. The groups do not depend on each other, so the bits stay.
//! The same with the tiles of one group, see [`sums::turns_round`], and with the blocks of a group's columns, see
//! [`sums::reverses`]. Streams that take turns do as one stream does: see [`has_even_place`](crate::state).
//!
//! **Woven.** The gates of a group of 4 lines are one long dependency chain, and the processor's window is too small to
//! hold all of the next group's loads behind it. So the gates of one group stand between the columns of the next, with
//! AVX2 those of a tile, too: see [`woven`]. (Where the sizes are known at run time, the sums of two groups come before
//! the gates of either: see [`group`].)
//!
//! **What a small step waits for** (AVX-512, (10, 20)): h through memory into broadcasts 15 cycles, its FMAs 50 (two a
//! cycle), their sum 4, the quotients and c' 53 with a division of 17, tanh and h' 42 with another. So whatever
//! shortens this chain pays: Estrin's scheme and a square that does not wait for the clamp (89 to 80 ns), loops written
//! out so that no sum goes through the stack (80 to 66). The units are busy, too, so operations count: a clamp in one
//! (`vrangeps`) makes (1, 32) 4 % faster.
//!
//! **Machines.** Unless a figure or its file names another CPU, it is from an Emerald Rapids Xeon. On Zen 5 the
//! execution units limit a small step: from (1, 20) on, two streams stepped in turn take as long as one after the
//! other. Some 70 vector operations may wait there; what follows them is not looked at (see [`early`]). A broadcast
//! takes one of the two loads of a cycle, which the multiply-adds need. Zen 5's L2 cache delivers a line every
//! - 1.33 cycles while 56 to 400 KiB are read again and again (whatever the loop, the pages and the entries of the
//!   TLB);
//! - 1.02 cycles from there to 700 KiB (some 20 us after the amount has changed);
//! - 1.3 to 1.5 cycles at 1 MiB, which is all of it, by which pages one was given;
//! - 1.7 to 2 cycles where pieces of at most 64 KiB lie a page or more apart.
//!
//! **Tried and lost.**
//! - Saturation by a compare and a mask instead of min and max: 2 ns slower.
//! - Software prefetch of the lines to come: (64, 64) 1,150 against 1,100 ns, the loads compete with the FMAs'; on Zen
//!   5 4 % slower, (128, 128) 11 % faster. In `Lstm` on Zen 4, 2 KiB ahead: with AVX2 from (192, 192) on 3 % faster,
//!   (64, 64) 3 % slower, with AVX-512 (512, 512) 15 % slower.
//! - Loops over the columns that the compiler unrolls as a whole: 78 against 65 ns at (10, 20), see `sums::advance`.
//! - With AVX-512, inputs broadcast from a register: no gain. (With AVX2 there is some: `sums::by_fours`.)
//! - The weights of the next group asked for before the gates of this one, in `Lstm`: the same to 8 % slower. In a cell
//!   on Zen 4, 24 lines: with AVX2 (64, 64) 2 % slower, (128, 128) 4 % faster, (256, 256) the same, with AVX-512 4 %
//!   slower, the same, the same; 64 lines: 5 % slower, 1 % faster, the same.
//! - The sums of all groups before all gates, on Zen 4: with AVX-512 2 % faster at (64, 64), 2 % slower at (128, 128),
//!   with AVX2 18 and 6 % slower.
//! - Groups of 8 lines above (128, 128), on Zen 5: with AVX-512 2 to 14 % faster without pairs, with them the same or 4
//!   % slower; with AVX2, which passes over each half of a group apart, 10 to 25 % slower up to (256, 256).
//! - With AVX2 the gates of 8 units at a time, for want of registers: (1, 32) 7 % faster, (1, 20) 9 % slower.
//! - With AVX2 two lines of both chains in place of four of one, on Zen 4: (128, 128) 2 % faster, (1, 32), (10, 20),
//!   (64, 64) and (256, 256) 5 to 9 % slower, (32, 32) 46 %. Three lines of both chains, on Emerald Rapids: (32, 32) 10
//!   % faster, (10, 20), (1, 32) and (1, 36) 3 %, (1, 28) 2 % slower, other small cells the same; on Zen 4 (1, 20) and
//!   (10, 20) 1 % faster, (1, 32), (1, 40), (32, 32) 2, 4 and 6 % slower.
//! - With AVX2 both chains in turn, 8 columns of each, so that large layers are read as they lie: bare loops over
//!   weights in the L3 cache take a tenth less on Zen 4, steps the same. All lines of the next block asked for: 15 %
//!   slower.
//! - Tiles of 6 rows and 4 lines for a batch, and twice as many columns in a block: each the same time.
//!
//! **Padding.** Up to 3 units of the last line have weight zero. Their lanes compute something (NaN, if x holds an
//! infinity) that no other lane ever reads.

use crate::element::Element;
use crate::layout::{self, Line};

/// Writes a loop over `0..$count`, a constant of at most 12 (`each_of_4`: of at most 4), out: the arrays that it
/// indexes can then live in registers, which a loop would leave to the compiler's luck. (Closures, as in
/// `array::map`, do not do: a body that is not inlined would be compiled without the instruction set.)
macro_rules! each {
    ($n:ident < $count:expr => $body:block) => { each!(@ $n $count => $body, 0 1 2 3 4 5 6 7 8 9 10 11) };
    (@ $n:ident $count:expr => $body:block, $($index:literal)*) => {
        const { assert!($count <= [$($index),*].len(), "more rounds than are written out") };
        $( if const { $index < $count } { let $n: usize = $index; $body } )*
    };
}
macro_rules! each_of_4 {
    ($n:ident < $count:expr => $body:block) => { each!(@ $n $count => $body, 0 1 2 3) };
}

/// Cuts `$lines` lines into tiles of `$most` and a rest, and does `$tile!(lines of the tile, its first line)` for each;
/// or from the last one on, if it is to go `$backwards`.
macro_rules! each_tile {
    ($lines:expr, $most:expr, $backwards:expr, $tile:ident) => {
        for n in 0..$lines.div_ceil($most) {
            let n = if $backwards { $lines.div_ceil($most) - 1 - n } else { n };
            if n < $lines / $most {
                each_tile!(@ $most, n * $most, $tile, 1 2 3 4 5 6);
            } else {
                each_tile!(@ $lines % $most, n * $most, $tile, 1 2 3 4 5);
            }
        }
    };
    ($lines:expr, $most:expr, $tile:ident) => {
        for first in (0..$lines - $lines % $most).step_by($most) {
            each_tile!(@ $most, first, $tile, 1 2 3 4 5 6);
        }
        each_tile!(@ $lines % $most, $lines - $lines % $most, $tile, 1 2 3 4 5);
    };
    (@ $count:expr, $first:expr, $tile:ident, $($n:literal)*) => { $( if const { $count == $n } { $tile!($n, $first); } )* };
}

mod batch;
mod early;
mod gates;
#[cfg(feature = "lstm")]
pub(crate) mod group;
#[cfg(target_arch = "x86_64")]
mod in_f16;
pub(crate) mod narrow;
#[cfg(feature = "lstm")]
pub(crate) mod one_step;
#[cfg(feature = "lstm")]
pub(crate) mod overlap;
pub(crate) mod product;
pub(crate) mod run;
#[cfg(feature = "lstm")]
pub(crate) mod small;
mod step;
pub(crate) mod sums;
mod woven;

pub(crate) use batch::StepBatch;
pub(crate) use gates::Activate;
#[cfg(feature = "lstm")]
pub(crate) use gates::ActivateAll;
pub(crate) use run::{Hidden, Run};
pub(crate) use step::{Alone, Step};

/// The packed weights of a cell, and its sizes: `I` inputs, `H` units, `LAST` lines in the last group.
#[derive(Clone, Copy)]
pub(crate) struct Weights<'a, E: Element, const I: usize, const H: usize, const LAST: usize> {
    /// A column of lines.
    pub(crate) bias: &'a [Line],
    /// x's columns, group by group, and then h's: see [`group_columns`].
    pub(crate) columns: &'a [E::Line],
}

impl<'a, E: Element, const I: usize, const H: usize, const LAST: usize> Weights<'a, E, I, H, LAST> {
    /// How many groups there are before the last one.
    pub(crate) const fn last(&self) -> usize {
        (self.bias.len() - LAST) / E::FORM.group
    }

    /// The bias, x's columns and h's of a cell of one group, with lengths that the compiler knows. Those of its caller
    /// it knows only in a program where no other function calls the kernel; then it writes loops of few rounds out
    /// (with AVX2 on Zen 4 a step of (1, 16) 56 to 52 ns, of (32, 32) 259 to 250, beside a `run` in the same program).
    #[inline(always)]
    pub(crate) fn one_group(&self) -> (&'a [Line], &'a [E::Line], &'a [E::Line]) {
        let [x, h] = const { [layout::packed(E::FORM, I) * LAST, layout::packed(E::FORM, H) * LAST] };
        let (w_ih, w_hh) = self.columns.split_at(x);
        (&self.bias[..LAST], w_ih, &w_hh[..h])
    }

    /// A group's number of lines, the first of them, and its columns of x and of h.
    #[inline(always)]
    pub(crate) fn group(&self, n: usize) -> (usize, usize, &'a [E::Line], &'a [E::Line]) {
        let packed = const { [layout::packed(E::FORM, I), layout::packed(E::FORM, H)] };
        let (first, lines) = (n * E::FORM.group, if n < self.last() { E::FORM.group } else { LAST });
        let (w_ih, w_hh) = group_columns(self.columns, packed, self.bias.len(), first, lines);
        (lines, first, w_ih, w_hh)
    }
}

/// x's columns and h's of a group: of `columns`, `packed` of either and `all` lines each, the `lines` lines from
/// `first` on.
#[inline(always)]
pub(crate) fn group_columns<L>(
    columns: &[L],
    packed: [usize; 2],
    all: usize,
    first: usize,
    lines: usize,
) -> (&[L], &[L]) {
    let (w_ih, w_hh) = columns.split_at(packed[0] * all);
    (&w_ih[packed[0] * first..][..packed[0] * lines], &w_hh[packed[1] * first..][..packed[1] * lines])
}
