//! A single time step of one stream through a layer whose sizes are known at run time, as samples come.
//!
//! While the gates are waited for, the processor does what comes next as far as its window reaches (Zen 4: 320
//! operations): the caller's work, checks, calls, and x's part of the next step, if there is room left. Each of 400
//! instructions that stood there for a step of (1, 8) took a place. So the function is chosen once, nothing is checked
//! twice, and arguments come by reference. None may be stored in two parts and loaded as one: such a load waits until
//! all that was stored before is in the cache, h included. ([`Lstm::advance`](crate::Lstm::advance) is inlined for
//! that: the fields of its input were copied by twos.)
//!
//! On Zen 4, ns a step of [`LstmCellDyn`](crate::LstmCellDyn), by the way of sequences and so, with AVX-512 and AVX2:
//!
//! ```text
//! (1, 8)      56    33      55    34        (1, 50)     474   365     555   405
//! (1, 16)     76    48      89    52        (1, 64)     600   558     664   604
//! (10, 20)   114    71     122    94        (64, 64)  1,223 1,131   1,322 1,185
//! (32, 32)   268   202     305   259        (128, 128) 4,916 4,764   5,104 4,915
//! ```
//!
//! Small ones take as long as a cell's, large ones some 60 ns more. Theirs is one function for all groups but the last
//! ([`Groups`]), in pairs, and one for that; nothing between them looks at a whole pass. **Tried and lost**, with
//! AVX-512: a function for the last group, too, of each number of lines: 1 to 3 % slower. Sums in functions of their
//! own: 5 to 8 %. A loop over pairs outside of their function: all is inlined into one, 2 to 6 %. Loops over the
//! columns that check no bounds (by `chunks_exact`; with AVX2 an eighth fewer instructions): the same to 3 % slower. h
//! to the output by the gates, as small layers have it, here and in [`overlap`](super::overlap): the same to 5 %
//! slower.
//!
//! With AVX2 layers of 29 to 32 and 37 to 48 units go through [`tiles`], as cells do: (10, 32) 170 to 165, (32, 32) 248
//! to 241, (1, 40) 225 to 221, (10, 40) 263 to 254, (1, 48) 328 to 303, (40, 40) 452 to 435, (1, 32) the same, and
//! `advance` 2 to 7 % less, but (1, 40), in some programs 5 % less and in others 3 % more; (1, 30) 157 to 160.
//!
//! States without padding (`hidden_size` no multiple of 4) are copied, h and c each way: (1, 18) takes 82 ns for (1,
//! 20)'s 62. Copied by the kernel, in pieces as it stores them: (1, 18) 79, but small layers that need no copies 2 to 8
//! ns slower. (A stream keeps its states with padding: `advance` of (1, 18) takes 66.)

use super::early::{self, OneGroup};
use super::gates::{Lanes, activate_small, copy};
use super::group::{Groups, OfGroup, group};
use super::small;
use super::woven::tiles;
use crate::element::Element;
use crate::layout::Line;
use crate::simd::Simd;

/// One step of one stream.
pub(crate) struct OneStep<'a> {
    pub(crate) x: &'a [f32],
    /// \[padded(hidden)\] each.
    pub(crate) h: &'a mut [f32],
    pub(crate) c: &'a mut [f32],
    /// Where h goes, too: \[hidden\], or nothing.
    pub(crate) out: &'a mut [f32],
    /// \[padded(hidden)\] at least, where the layer is not small.
    pub(crate) room: &'a mut [f32],
    /// Which way to go over the tiles or groups.
    pub(crate) backwards: bool,
}

/// The packed weights of a layer: x's columns, h's, and the bias.
pub(crate) struct OfLayer<'a, E: Element> {
    pub(crate) w_ih: &'a [E::Line],
    pub(crate) w_hh: &'a [E::Line],
    pub(crate) bias: &'a [Line],
    pub(crate) hidden: usize,
}

/// A step of a small layer, with `N` lines, `X` chains of x's columns and `C` of h's.
#[inline(always)]
pub(crate) fn of_small<S: Simd, const N: usize, const X: usize, const C: usize>(
    simd: S,
    OfLayer { w_ih, w_hh, bias, hidden }: OfLayer<'_, f32>,
    step: &mut OneStep<'_>,
) {
    if const { small::streams::<S>(N) == 0 } {
        return debug_assert!(false, "no function for a step");
    }
    let OneStep { x, h, c, out, backwards, .. } = step;
    let columns = (w_ih.len() + w_hh.len()) / N;
    let woven = const { tiles::serves::<S, f32>(N, small::most_columns(N, X)) } && tiles::serves::<S, f32>(N, columns);
    if woven || const { tiles::serves_alone::<S, f32>(N) } {
        let step = OneGroup { bias, w_ih, x, w_hh, hidden, lanes: Lanes { h, c, out } };
        small::woven_step::<S, N, X, true>(simd, step, *backwards);
    } else if const { early::serves::<S, f32>(N, X) } && early::pays::<S>(N) {
        early::step::<S, f32, N, X>(simd, OneGroup { bias, w_ih, x, w_hh, hidden, lanes: Lanes { h, c, out } });
    } else {
        let parts = small::Parts { start: bias, w_ih, x: [x], w_hh, h: [&h[..hidden]] };
        let z = small::sums::<S, 1, N, X, C, true>(simd, &parts, *backwards);
        activate_small::<S, N, 1>(simd, &z[0], Lanes { h, c, out });
    }
}

/// A step of another layer, of at least 4 lines; `last`: those of the last group.
#[inline(always)]
pub(crate) fn of_large<S: Simd, E: Element>(
    simd: S,
    OfLayer { w_ih, w_hh, bias, hidden }: OfLayer<'_, E>,
    last: usize,
    step: &mut OneStep<'_>,
) {
    let OneStep { x, h, c, out, room, backwards } = step;
    let (lines, before) = (bias.len(), bias.len() - last);
    let next = &mut room[..4 * lines];
    {
        let (x, h) = (*x, &h[..hidden]);
        let (w_ih, w_ih_last) = w_ih.split_at(w_ih.len() / lines * before);
        let (w_hh, w_hh_last) = w_hh.split_at(w_hh.len() / lines * before);
        let (start, start_last) = bias.split_at(before);
        let ((c, c_last), (next, next_last)) = (c.split_at_mut(4 * before), next.split_at_mut(4 * before));
        let all = OfGroup { start, w_ih, x, w_hh, h, c, next };
        let groups = Groups::<E> { all, count: before / E::FORM.group, backwards: *backwards };
        let of_last = OfGroup { start: start_last, w_ih: w_ih_last, x, w_hh: w_hh_last, h, c: c_last, next: next_last };
        if *backwards {
            group::<S, E>(simd, last, of_last);
            simd.enter(groups);
        } else {
            simd.enter(groups);
            group::<S, E>(simd, last, of_last);
        }
    }
    copy(simd, &next[..hidden], &mut h[..hidden]);
    if !out.is_empty() {
        copy(simd, &next[..hidden], &mut out[..hidden]);
    }
}
