//! A step of a small layer with AVX2, or [`narrow`](crate::kernel::narrow) vectors, for one stream: the gates of a tile
//! of 4 lines between the columns of the next.
//!
//! All tiles and then all gates keep the units that multiply idle while the last gates are waited for, which are those
//! of all units; so only those of the last tile are. On Zen 4, ns a step, without and so:
//!
//! ```text
//! (1, 32) 130.7 125.8   (32, 32) 245 230   (1, 40) 194.7 192.7   (10, 40) 241 227   (1, 44) 234 229   (1, 48) 287 257
//! (10, 32) 155 154      (40, 40) 425 391   (10, 44) 317 283
//! ```
//!
//! and streams that take turns 2 to 11 % less. A step that the processor may not begin before the last one's end takes
//! as long, (1, 32) 2 % longer. With an output behind it (10, 32) takes 4 and (1, 32) 2 % longer, so these go the other
//! way then; (1, 40) 1 %, larger ones less time. Of sizes known at run time: see [`small`](crate::kernel::small) and
//! [`one_step`](crate::kernel::one_step).
//!
//! Layers of 5 to 7 lines go through tiles only where the L1 cache does not hold their weights, for these turn round:
//! on Zen 4 (100, 20) 359 288, (70, 24) 295 268, (80, 24) 371 302, (64, 28) 394 322 (not woven 352), (80, 28) 474 370.
//!
//! **Tried and lost**, on Zen 4:
//! - Near tiles of 4 lines and one, (1, 20) 4, (10, 20) 7 % slower, and two, (1, 24) 2 %, and three, (1, 28) 3 %; (1,
//!   36), of 5 and 4 lines now, 2 %.
//! - Half types, whose widening takes the units' time and registers: up to a fifth.
//! - The parts elsewhere, in the midst of chains, or the columns of the first 16 h first: the same to 2 %.
//! - The rest always last, not turned round: (10, 40) 2, (10, 44) 6 %.
//! - One function for tiles behind gates and without: 6 to 17 %. (In one body all take the compiler twice as long.)

use super::{Before, Lines, chain_by_chain};
use crate::element::Element;
use crate::kernel::Weights;
use crate::kernel::gates::{Lanes, activate, copy};
use crate::kernel::sums::{Parts, turns_round};
use crate::simd::{Section, Simd, Vector};

/// Whether all steps of layers of one group of so many lines gain, with so many columns of x and h.
pub(in crate::kernel) const fn serves<S: Simd, E: Element>(lines: usize, columns: usize) -> bool {
    measured::<S, E>()
        && match lines {
            5..=7 => turns_round::<S, E>(lines, columns, 1),
            _ => matches!(lines, 10..=12),
        }
}

/// Whether only those do that nothing stands behind but the stream's next step.
pub(in crate::kernel) const fn serves_alone<S: Simd, E: Element>(lines: usize) -> bool {
    measured::<S, E>() && lines == 8
}

/// With AVX2, or halves of AVX-512's vectors: where it has been measured.
const fn measured<S: Simd, E: Element>() -> bool {
    E::IS_F32 && S::SHUFFLES && !S::MANY_REGISTERS
}

/// A layer of one group, and an input.
pub(in crate::kernel) trait Layer: Copy {
    type Element: Element;

    /// The number of lines.
    fn lines(self) -> usize;

    /// What the sums are made of, if h has the length for it.
    fn parts<'a>(self, h: &'a [f32]) -> Option<Parts<'a, Self::Element>>
    where
        Self: 'a;
}

/// Of a cell: the compiler knows all lengths.
#[derive(Clone, Copy)]
pub(in crate::kernel) struct OfCell<'w, E: Element, const I: usize, const H: usize, const LAST: usize> {
    pub(in crate::kernel) weights: Weights<'w, E, I, H, LAST>,
    pub(in crate::kernel) x: &'w [f32; I],
}

impl<E: Element, const I: usize, const H: usize, const LAST: usize> Layer for OfCell<'_, E, I, H, LAST> {
    type Element = E;

    #[inline(always)]
    fn lines(self) -> usize {
        LAST
    }

    #[inline(always)]
    fn parts<'a>(self, h: &'a [f32]) -> Option<Parts<'a, E>>
    where
        Self: 'a,
    {
        let (start, w_ih, w_hh) = self.weights.one_group();
        Some(Parts { start, w_ih, x: self.x, w_hh, h: h.first_chunk::<H>()? })
    }
}

/// A step of a layer of one group of `N` lines, in tiles of 4 and a rest, from the first one on or `backwards`.
#[inline(always)]
pub(in crate::kernel) fn step<S: Simd, L: Layer, const N: usize>(
    simd: S,
    layer: L,
    Lanes { h, c, out }: Lanes<'_>,
    backwards: bool,
) {
    let mut next = [[0.0; 4]; N];
    let next = next.as_flattened_mut();
    let tile = |n: usize| 4 * if backwards { N / 4 - 1 - n } else { n };
    let last = tile(N / 4 - 1);
    let mut z = [S::Row::splat(simd, 0.0); 4];
    // Of lines from `$first` on; if gates wait, those of the lines from `$before` on.
    macro_rules! sums {
        ($waits:literal, $before:expr, $lines:literal, $first:expr, $sums:expr) => {
            let (first, unit) = ($first, 4 * $before);
            let before = Before { z, c: &mut c[unit..], next: &mut next[unit..] };
            let sums = $sums;
            simd.tile(Tile::<S, L, $lines, $waits> { layer, h, first, before, sums });
        };
    }
    // What is done goes to h before the last gates, so that the next step need not wait for these.
    macro_rules! last_gates {
        ($lines:literal, $first:expr, $z:ident) => {
            h.copy_from_slice(next);
            copy(simd, &next[..out.len()], out);
            let (_, lanes) = Lanes { h, c, out }.split_at(4 * $first);
            activate::<S, $lines, false>(simd, &$z, lanes);
        };
    }
    macro_rules! rest_first {
        ($lines:literal, $first:expr) => {
            let mut rest = [S::Row::splat(simd, 0.0); $lines];
            sums!(false, 0, $lines, $first, &mut rest);
            activate::<S, $lines, false>(simd, &rest, Lanes::new(&mut next[4 * $first..], &mut c[4 * $first..]));
        };
    }
    if backwards {
        each_tile!(@ N % 4, N / 4 * 4, rest_first, 1 2 3);
    }
    sums!(false, 0, 4, tile(0), &mut z);
    for n in 1..N / 4 {
        sums!(true, tile(n - 1), 4, tile(n), &mut z);
    }
    macro_rules! rest_last {
        ($lines:literal, $first:expr) => {
            let mut rest = [S::Row::splat(simd, 0.0); $lines];
            sums!(true, last, $lines, $first, &mut rest);
            last_gates!($lines, $first, rest);
            return;
        };
    }
    if !backwards {
        each_tile!(@ N % 4, N / 4 * 4, rest_last, 1 2 3);
    }
    last_gates!(4, last, z);
}

/// The sums of `N` lines of a group, from line `first` on.
struct Tile<'a, S: Simd, L: Layer, const N: usize, const WAITS: bool> {
    layer: L,
    h: &'a [f32],
    first: usize,
    before: Before<'a, S>,
    sums: &'a mut [S::Row; N],
}

impl<S: Simd, L: Layer, const N: usize, const WAITS: bool> Section<S> for Tile<'_, S, L, N, WAITS> {
    #[inline(always)]
    fn run(self, simd: S) {
        let Self { layer, h, first, before, sums } = self;
        let Some(parts) = layer.parts(h) else { return debug_assert!(false, "h and x have the lengths of the layer") };
        let lines = Lines { parts, stride: layer.lines(), first };
        *sums = chain_by_chain::<S, L::Element, N>(simd, lines, WAITS, before, false);
    }
}
