//! The dense layer that most models end in, y = W h + b, computed after the step from the h in the state.
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

use core::fmt;

use crate::element::read_lines;
use crate::error::WeightsError;
use crate::layout::{self, Line};
#[cfg(feature = "safetensors")]
use crate::simd::Op;
use crate::simd::{Section, Simd, Split, Vector};
use crate::weights::LstmWeights;

/// What stands behind the LSTM of a cell: nothing, `()`, or a [`Linear`].
///
/// # Safety
/// `size_of::<Self>()` bytes of zero are a valid value, and equal to [`ZERO`](Self::ZERO).
pub unsafe trait Head: Copy {
    /// All weights zero.
    const ZERO: Self;

    /// Whether the weights have what the head asks for.
    fn check(weights: &LstmWeights<'_>) -> Result<(), WeightsError>;

    /// Writes checked weights to their places, which were zero.
    fn pack(&mut self, weights: &LstmWeights<'_>);
}

// SAFETY: its size is 0, and no bytes are its only value.
unsafe impl Head for () {
    const ZERO: Self = ();

    fn check(weights: &LstmWeights<'_>) -> Result<(), WeightsError> {
        weights.check_head(None)
    }

    fn pack(&mut self, _: &LstmWeights<'_>) {}
}

/// A `torch.nn.Linear` from `H` units to `OUT` outputs, packed in `LEN` lines.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub struct Linear<const H: usize, const OUT: usize, const LEN: usize> {
    lines: [Line; LEN],
}

// SAFETY: its only field is an array of lines of f32; `ZERO` sets each to +0.0, whose bytes are zero.
unsafe impl<const H: usize, const OUT: usize, const LEN: usize> Head for Linear<H, OUT, LEN> {
    const ZERO: Self = {
        assert!(H > 0 && OUT > 0 && LEN == layout::head_lines(H, OUT), "let `lstm_cell!` compute these sizes");
        Self { lines: [Line::ZERO; LEN] }
    };

    fn check(weights: &LstmWeights<'_>) -> Result<(), WeightsError> {
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

    /// The outputs of an h.
    #[inline(always)]
    pub(crate) fn apply<S: Simd>(&self, simd: S, h: &[f32; H], y: &mut [f32; OUT]) {
        simd.section(Apply { head: self, h, y });
    }
}

impl<const H: usize, const OUT: usize, const LEN: usize> fmt::Debug for Linear<H, OUT, LEN> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Linear").field("in_features", &H).field("out_features", &OUT).finish_non_exhaustive()
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
        // The last units, with zeros where the state has padding, which may be NaN. (Not put together in memory, which
        // a load of all lanes would wait for.)
        let [a, b, c, d] =
            [quarter(simd, rest, 0), quarter(simd, rest, 1), quarter(simd, rest, 2), quarter(simd, rest, 3)];
        let tail = S::Row::join([S::Half::join([a, b]), S::Half::join([c, d])]);
        for (n, y) in self.y.iter_mut().enumerate() {
            let row = &rows[n * H.div_ceil(16)..][..H.div_ceil(16)];
            let mut sum = S::Row::splat(simd, 0.0);
            for k in 0..H / 16 {
                sum = S::Row::load(simd, &row[k].0).mul_add(simd, S::Row::load(simd, &full[k]), sum);
            }
            if const { !H.is_multiple_of(16) } {
                sum = S::Row::load(simd, &row[H / 16].0).mul_add(simd, tail, sum);
            }
            *y = total(simd, sum) + bias[n / 16].0[n % 16];
        }
    }
}

/// Lanes `4 n` to `4 n + 3`, zero beyond the end.
#[inline(always)]
fn quarter<S: Simd>(simd: S, lanes: &[f32], n: usize) -> S::Quarter {
    let lanes = lanes.get(4 * n..).unwrap_or_default();
    if let Some(lanes) = lanes.first_chunk() {
        return S::Quarter::load(simd, lanes);
    }
    if lanes.is_empty() {
        return S::Quarter::splat(simd, 0.0);
    }
    let mut some = [0.0; 4];
    some[..lanes.len()].copy_from_slice(lanes);
    S::Quarter::load(simd, &some)
}

/// The sum of all lanes.
#[inline(always)]
fn total<S: Simd>(simd: S, sum: S::Row) -> f32 {
    let [low, high] = sum.split();
    let [low, high] = low.add(simd, high).split();
    let mut sums = [0.0; 4];
    low.add(simd, high).store(simd, &mut sums);
    (sums[0] + sums[2]) + (sums[1] + sums[3])
}

/// The same of rows of h with sizes known at run time and weights \[outputs, units\] as they are: the same bits.
#[cfg(feature = "safetensors")]
pub(crate) struct Rows<'a> {
    pub(crate) weight: &'a [f32],
    /// None, or one for each output.
    pub(crate) bias: Option<&'a [f32]>,
    /// \[rows, units\]
    pub(crate) h: &'a [f32],
    pub(crate) units: usize,
    /// \[rows, outputs\]
    pub(crate) y: &'a mut [f32],
    pub(crate) outputs: usize,
}

#[cfg(feature = "safetensors")]
impl Op for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for (h, y) in self.h.chunks_exact(self.units).zip(self.y.chunks_exact_mut(self.outputs)) {
            for (n, (y, weights)) in y.iter_mut().zip(self.weight.chunks_exact(self.units)).enumerate() {
                let mut sum = S::Row::splat(simd, 0.0);
                for (weights, h) in weights.chunks(16).zip(h.chunks(16)) {
                    let (mut lanes, mut inputs) = ([0.0; 16], [0.0; 16]);
                    lanes[..weights.len()].copy_from_slice(weights);
                    inputs[..h.len()].copy_from_slice(h);
                    sum = S::Row::load(simd, &lanes).mul_add(simd, S::Row::load(simd, &inputs), sum);
                }
                *y = total(simd, sum) + self.bias.map_or(0.0, |bias| bias[n]);
            }
        }
    }
}
