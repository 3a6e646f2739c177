//! The dense layer that most models end in, y = W h + b, computed where h still is in registers or the nearest cache.
//!
//! There are few outputs (one sample, one probability) and many units, so lanes run over the *units*: each output has
//! `ceil(H / 16)` lines of weights, which one chain of fused multiply-adds takes in order:
//!
//! ```text
//! sum[lane] = 0 + w[lane] h[lane] + w[16 + lane] h[16 + lane] + ...          (each + fused)
//! y = (s[0] + s[2]) + (s[1] + s[3]) + b,  s[n] = (sum[n] + sum[8 + n]) + (sum[4 + n] + sum[12 + n])
//! ```
//!
//! The order is fixed, so the bits are the same on every instruction set. Columns broadcast over lanes of outputs, as
//! the gates have it, would leave 15 of 16 lanes idle where there is one output.

use crate::cell::{Cell, read_lines, same_length};
use crate::element::Element;
use crate::error::Error;
use crate::kernel::{Alone, Step, StepBatch, Weights};
use crate::layout::{self, Line};
use crate::simd::{Op, Section, Simd, Split, Vector, dispatch};
use crate::state::State;
use crate::weights::LstmWeights;

/// What stands behind the LSTM of a cell: nothing, `()`, or a [`Linear`].
///
/// # Safety
/// Bytes of zero are [`ZERO`](Self::ZERO).
pub unsafe trait Head: Sized {
    /// All weights zero.
    const ZERO: Self;

    /// Whether the weights have what the head asks for.
    fn check(weights: &LstmWeights<'_>) -> Result<(), Error>;

    /// Writes checked weights to their places, which were zero.
    fn pack(&mut self, weights: &LstmWeights<'_>);
}

// SAFETY: it has no bytes.
unsafe impl Head for () {
    const ZERO: Self = ();

    fn check(weights: &LstmWeights<'_>) -> Result<(), Error> {
        weights.check_head(None)
    }

    fn pack(&mut self, _: &LstmWeights<'_>) {}
}

/// A `torch.nn.Linear` from `H` units to `OUT` outputs, packed in `LEN` lines.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub struct Linear<const H: usize, const OUT: usize, const LEN: usize> {
    lines: [Line; LEN],
}

// SAFETY: it is an array of f32, whose zero has bytes of zero.
unsafe impl<const H: usize, const OUT: usize, const LEN: usize> Head for Linear<H, OUT, LEN> {
    const ZERO: Self = {
        assert!(H > 0 && OUT > 0 && LEN == layout::head_lines(H, OUT), "let `lstm_cell!` compute these sizes");
        Self { lines: [Line::ZERO; LEN] }
    };

    fn check(weights: &LstmWeights<'_>) -> Result<(), Error> {
        weights.check_head(Some((H, OUT)))
    }

    fn pack(&mut self, weights: &LstmWeights<'_>) {
        weights.pack_head(H, OUT, &mut self.lines);
    }
}

impl<const H: usize, const OUT: usize, const LEN: usize> Linear<H, OUT, LEN> {
    /// From the bytes of the lines, see `Cell::baked`.
    #[doc(hidden)]
    pub const fn baked<const BYTES: usize>(bytes: &[u8; BYTES]) -> Self {
        let Self { .. } = Self::ZERO;
        Self { lines: read_lines::<f32, LEN, BYTES>(bytes) }
    }

    #[inline(always)]
    fn apply<S: Simd>(&self, simd: S, h: &[f32; H], y: &mut [f32; OUT]) {
        simd.section(Apply { head: self, h, y });
    }
}

struct Apply<'a, const H: usize, const OUT: usize, const LEN: usize> {
    head: &'a Linear<H, OUT, LEN>,
    h: &'a [f32; H],
    y: &'a mut [f32; OUT],
}

impl<S: Simd, const H: usize, const OUT: usize, const LEN: usize> Section<S> for Apply<'_, H, OUT, LEN> {
    #[inline(always)]
    fn run(self, simd: S) {
        let (rows, bias) = self.head.lines.split_at(LEN - OUT.div_ceil(16));
        let (full, rest) = self.h.as_chunks::<16>();
        // The last units, with zeros where the state has padding, which may be NaN.
        let mut tail = [0.0; 16];
        tail[..rest.len()].copy_from_slice(rest);
        let tail = S::Row::load(simd, &tail);
        let bias = bias.iter().flat_map(|line| &line.0);
        for ((y, row), bias) in self.y.iter_mut().zip(rows.chunks_exact(H.div_ceil(16))).zip(bias) {
            let mut sum = S::Row::splat(simd, 0.0);
            for (line, h) in row.iter().zip(full) {
                sum = S::Row::load(simd, &line.0).mul_add(simd, S::Row::load(simd, h), sum);
            }
            if let (false, Some(line)) = (rest.is_empty(), row.last()) {
                sum = S::Row::load(simd, &line.0).mul_add(simd, tail, sum);
            }
            let [low, high] = sum.split();
            let [low, high] = low.add(simd, high).split();
            let mut sums = [0.0; 4];
            low.add(simd, high).store(simd, &mut sums);
            *y = (sums[0] + sums[2]) + (sums[1] + sums[3]) + bias;
        }
    }
}

impl<
    E: Element,
    const I: usize,
    const H: usize,
    const HP: usize,
    const LAST: usize,
    const LINES: usize,
    const LEN: usize,
    const BIAS: bool,
    const OUT: usize,
    const HEAD: usize,
> Cell<E, I, H, HP, LAST, LINES, LEN, BIAS, Linear<H, OUT, HEAD>>
{
    /// The number of outputs.
    pub const OUT: usize = OUT;

    /// [`step`](Self::step), and the outputs y = W h + b of the new h.
    ///
    /// No allocation, no lock, no system call, no panic. NaN in x reaches y.
    #[inline]
    pub fn step_out(&self, x: &[f32; I], state: &mut State<H, HP>) -> [f32; OUT] {
        let mut y = [0.0; OUT];
        let (weights, seq, out) = (self.weights(), core::slice::from_ref(x), core::slice::from_mut(&mut y));
        dispatch(self.token(), RunOut { weights, head: self.head(), seq, state, out });
        y
    }

    /// [`step_batch`](Self::step_batch), and the outputs of each stream: the same bits as that many
    /// [`step_out`](Self::step_out)s.
    ///
    /// # Errors
    /// [`Error::LengthMismatch`] if there are not as many inputs as states and as outputs; no state has changed then.
    #[inline]
    pub fn step_batch_out(
        &self,
        xs: &[[f32; I]],
        states: &mut [State<H, HP>],
        out: &mut [[f32; OUT]],
    ) -> Result<(), Error> {
        same_length(("xs", xs.len()), ("states", states.len()))?;
        same_length(("xs", xs.len()), ("out", out.len()))?;
        dispatch(self.token(), StepBatchOut { weights: self.weights(), head: self.head(), xs, states, out });
        Ok(())
    }

    /// A whole sequence of one stream: the same bits as a [`step_out`](Self::step_out) for each x, whose outputs go to
    /// `out`.
    ///
    /// # Errors
    /// [`Error::LengthMismatch`] if there are not as many inputs as outputs; the state has not changed then.
    #[inline]
    pub fn run_out(&self, seq: &[[f32; I]], state: &mut State<H, HP>, out: &mut [[f32; OUT]]) -> Result<(), Error> {
        same_length(("seq", seq.len()), ("out", out.len()))?;
        dispatch(self.token(), RunOut { weights: self.weights(), head: self.head(), seq, state, out });
        Ok(())
    }
}

/// Steps of one stream, each followed by the head.
struct RunOut<
    'a,
    E: Element,
    const I: usize,
    const H: usize,
    const HP: usize,
    const LAST: usize,
    const OUT: usize,
    const HEAD: usize,
> {
    weights: Weights<'a, E, I, H, LAST>,
    head: &'a Linear<H, OUT, HEAD>,
    seq: &'a [[f32; I]],
    state: &'a mut State<H, HP>,
    out: &'a mut [[f32; OUT]],
}

impl<
    E: Element,
    const I: usize,
    const H: usize,
    const HP: usize,
    const LAST: usize,
    const OUT: usize,
    const HEAD: usize,
> Op for RunOut<'_, E, I, H, HP, LAST, OUT, HEAD>
{
    const F16: bool = E::F16;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { weights, head, seq, state, out } = self;
        for (x, y) in seq.iter().zip(out) {
            simd.enter(Alone(Step { weights, x: [x], states: core::array::from_mut(state) }));
            head.apply(simd, state.h(), y);
        }
    }
}

/// One step of many streams, followed by the head of each.
struct StepBatchOut<
    'a,
    E: Element,
    const I: usize,
    const H: usize,
    const HP: usize,
    const LAST: usize,
    const OUT: usize,
    const HEAD: usize,
> {
    weights: Weights<'a, E, I, H, LAST>,
    head: &'a Linear<H, OUT, HEAD>,
    xs: &'a [[f32; I]],
    states: &'a mut [State<H, HP>],
    out: &'a mut [[f32; OUT]],
}

impl<
    E: Element,
    const I: usize,
    const H: usize,
    const HP: usize,
    const LAST: usize,
    const OUT: usize,
    const HEAD: usize,
> Op for StepBatchOut<'_, E, I, H, HP, LAST, OUT, HEAD>
{
    const F16: bool = E::F16;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { weights, head, xs, states, out } = self;
        simd.enter(StepBatch { weights, xs, states: &mut *states });
        for (state, y) in states.iter().zip(out) {
            head.apply(simd, state.h(), y);
        }
    }
}
