//! One step, of one stream or of some together.

use core::array::from_mut;

use super::gates::{Lanes, activate, activate_four, activate_small};
#[cfg(target_arch = "x86_64")]
use super::in_f16;
use super::sums::{chains, sums, turns_round};
use super::woven;
use super::woven::tiles::{self, OfCell};
use super::{Weights, early, group_columns, narrow};
use crate::element::{Element, adds_in_f16};
use crate::layout::packed;
#[cfg(target_arch = "x86_64")]
use crate::simd::F16Simd;
use crate::simd::{Op, Simd};
use crate::state::State;

/// A step that the same stream's next one follows, so that it may gain from [`early`].
pub(crate) struct Alone<T>(pub(crate) T);

impl<E: Element, const I: usize, const H: usize, const HP: usize, const LAST: usize>
    Alone<Step<'_, E, I, H, HP, LAST, 1>>
{
    /// Whether it goes through [`early`].
    pub(crate) const fn early<S: Simd>() -> bool {
        HP == LAST * 4 && early::serves::<S, E>(LAST, chains(I, LAST))
    }

    /// Whether it goes through [`tiles`], and no other [`Step`] of the layer.
    pub(crate) const fn woven<S: Simd>() -> bool {
        HP == LAST * 4 && tiles::serves_alone::<S, E>(LAST)
    }

    /// Whether what calls it has [`one_group`](Self::one_group) in its own code, in place of a call of the function
    /// that `step` has. With AVX-512 calls take up to 13 % longer on Zen 4: in a `run` (10, 20) 81 for 71 ns, in a
    /// `step_out` (1, 40) 183 for 173, (10, 20) 79 for 74. With AVX2, too, up to 4 lines: (1, 8) 34 to 32 in a `run`,
    /// (1, 16) 51.6 to 50.5 in a `step_out`; of more it would be up to 10 % slower, and `step` beside it.
    pub(crate) const fn inlined<S: Simd>() -> bool {
        (S::BOTH_CHAINS || LAST <= 4) && !adds_in_f16::<S, E>() && HP == LAST * 4
    }

    /// The step of a layer of one group, whose h goes to `out`, too, if that has its length.
    #[inline(always)]
    pub(crate) fn one_group<S: Simd>(self, simd: S, out: &mut [f32]) {
        let Step { weights, x: [x], states: [state] } = self.0;
        let (bias, w_ih, w_hh) = weights.one_group();
        if const { Self::early::<S>() } && early::pays::<S>(LAST) {
            let step = early::OneGroup { bias, w_ih, x, w_hh, hidden: H, lanes: lanes(state, out) };
            return match const { chains(I, LAST) } {
                1 => early::step::<S, E, LAST, 1>(simd, step),
                _ => early::step::<S, E, LAST, 2>(simd, step),
            };
        }
        let backwards = const { turns_round::<S, E>(LAST, I + H, 1) } && State::turn_round(from_mut(state));
        let z = sums::<S, E, I, H, LAST, 1>(simd, bias, w_ih, w_hh, [x], [state.h()], backwards);
        activate_small::<S, LAST, 1>(simd, &z[0], lanes(state, out));
    }
}

impl<E: Element, const I: usize, const H: usize, const HP: usize, const LAST: usize> Op
    for Alone<Step<'_, E, I, H, HP, LAST, 1>>
{
    type Output = ();

    const F16: bool = E::F16;
    const NARROW: bool = Step::<'_, E, I, H, HP, LAST, 1>::NARROW || HP == LAST * 4 && narrow::serves(LAST, LAST * I);

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        if const { Self::early::<S>() } {
            self.one_group(simd, &mut []);
        } else if const { Self::woven::<S>() } {
            self.0.woven(simd);
        } else {
            // (By `one_group` the compiler orders the gates so that h is read later: (10, 20) with an output and AVX2
            // 90 to 92 ns on Zen 4.)
            self.0.run(simd);
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn run_f16<S: F16Simd>(self, simd: S) {
        self.0.run_f16(simd);
    }
}

/// One step of `T` streams.
pub(crate) struct Step<'a, E, const I: usize, const H: usize, const HP: usize, const LAST: usize, const T: usize>
where
    E: Element,
{
    pub(crate) weights: Weights<'a, E, I, H, LAST>,
    pub(crate) x: [&'a [f32; I]; T],
    pub(crate) states: &'a mut [State<H, HP>; T],
}

impl<E: Element, const I: usize, const H: usize, const HP: usize, const LAST: usize, const T: usize>
    Step<'_, E, I, H, HP, LAST, T>
{
    /// The step of the first stream, of a layer of one group, by [`tiles`].
    #[inline(always)]
    fn woven<S: Simd>(self, simd: S) {
        let (x, state) = (self.x[0], &mut self.states[0]);
        let backwards = const { turns_round::<S, E>(LAST, I + H, 1) } && State::turn_round(from_mut(state));
        tiles::step::<S, _, LAST>(simd, OfCell { weights: self.weights, x }, lanes(state, &mut []), backwards);
    }
}

impl<E: Element, const I: usize, const H: usize, const HP: usize, const LAST: usize, const T: usize> Op
    for Step<'_, E, I, H, HP, LAST, T>
{
    type Output = ();

    const F16: bool = E::F16;
    const NARROW: bool = E::F16 && T <= 2 || T == 1 && HP == LAST * 4 && narrow::serves_in_tiles::<E>(LAST, I + H);

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        if const { T == 1 && HP == LAST * 4 && tiles::serves::<S, E>(LAST, I + H) } {
            return self.woven(simd);
        }
        let Self { weights, x, states } = self;
        if const { HP > LAST * 4 && E::FORM.group == 4 } {
            return groups::<S, E, I, H, HP, LAST, 4, T>(simd, weights, x, states);
        }
        if const { HP > LAST * 4 } {
            return groups::<S, E, I, H, HP, LAST, 8, T>(simd, weights, x, states);
        }
        // One group: nothing reads h after its sums, so the new h may overwrite it at once.
        let backwards = const { turns_round::<S, E>(LAST, I + H, T) } && State::turn_round(states);
        let h = states.each_ref().map(State::h);
        let (bias, w_ih, w_hh) = weights.one_group();
        let z = sums::<S, E, I, H, LAST, T>(simd, bias, w_ih, w_hh, x, h, backwards);
        // What four streams fold is put together. (Through the same function, 32 streams of (1, 16), which fold
        // nothing, were 5 % faster here and 4 % slower in `Lstm`.)
        if const { T == 4 && !LAST.is_multiple_of(4) } {
            let ([z_0, z_1, z_2, z_3], [a, b, c, d]) = (&z[..], &mut states[..]) else { return };
            let lanes = [lanes(a, &mut []), lanes(b, &mut []), lanes(c, &mut []), lanes(d, &mut [])];
            return activate_four(simd, [z_0, z_1, z_2, z_3], lanes);
        }
        // (One stream's h and c in an array of pairs, as above, made (1, 32) 7 % slower.)
        for t in 0..T {
            activate_small::<S, LAST, T>(simd, &z[t], lanes(&mut states[t], &mut []));
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn run_f16<S: F16Simd>(self, simd: S) {
        let Weights { bias, columns } = self.weights;
        in_f16::step::<S, I, H, HP, LAST, T>(simd, bias, E::halves(columns), self.x, self.states);
    }
}

/// All lanes of a state, the padding included.
#[inline(always)]
fn lanes<'a, const H: usize, const HP: usize>(state: &'a mut State<H, HP>, out: &'a mut [f32]) -> Lanes<'a> {
    let (h, c) = state.lanes_mut();
    Lanes { h, c, out }
}

/// One step of a layer of several groups, of `G` lines but the last: of one stream [`woven`], else one after the other.
#[inline(always)]
fn groups<S, E, const I: usize, const H: usize, const HP: usize, const LAST: usize, const G: usize, const T: usize>(
    simd: S,
    weights: Weights<'_, E, I, H, LAST>,
    x: [&[f32; I]; T],
    states: &mut [State<H, HP>; T],
) where
    S: Simd,
    E: Element,
{
    let Weights { bias, columns } = weights;
    let packed = const { [packed(E::FORM, I), packed(E::FORM, H)] };
    let mut next = [[0.0; HP]; T];
    let backwards = State::turn_round(states);
    macro_rules! sums {
        ($lines:ident, $n:expr) => {{
            let (w_ih, w_hh) = group_columns(columns, packed, bias.len(), $n * G, $lines);
            let h = states.each_ref().map(State::h);
            sums::<S, E, I, H, $lines, T>(simd, &bias[$n * G..][..$lines], w_ih, w_hh, x, h, backwards)
        }};
    }
    macro_rules! gates {
        ($lines:ident, $n:expr, $z:expr) => {
            for t in 0..T {
                let (c, first) = (states[t].lanes_mut().1, $n * G * 4);
                activate::<S, $lines, false>(simd, &$z[t], Lanes::new(&mut next[t][first..], &mut c[first..]));
            }
        };
    }
    let count = weights.last();
    macro_rules! last {
        () => {
            let z = sums!(LAST, count);
            gates!(LAST, count, z);
        };
    }
    if const { T == 1 && woven::serves::<S, E>(I, H) } {
        if LAST != G && backwards {
            last!();
        }
        let (h, c) = states[0].lanes_mut();
        let Some(h) = h.first_chunk() else { return };
        woven::groups(simd, weights, (x[0], h), c, &mut next[0], backwards);
        if LAST != G && !backwards {
            last!();
        }
    } else {
        for n in 0..=count {
            let n = if backwards { count - n } else { n };
            if n < count {
                let z = sums!(G, n);
                gates!(G, n, z);
            } else {
                last!();
            }
        }
    }
    for t in 0..T {
        states[t].lanes_mut().0.copy_from_slice(&next[t]);
    }
}
