//! tanh and sigmoid, as quotients that are divided late.
//!
//! tanh(x) = x p(x^2) / q(x^2) with p and q of degree 4 (9/8 in x, by Estrin's scheme), x clamped to where the quotient
//! is 1. Against 2^y and a division this has the shorter chain, needs no integer operation, is odd to the bit and
//! relatively accurate near zero. And sigmoid(z) = (1 + tanh(z/2)) / 2 = (q + x p) / 2q with x = z/2, so a weight is
//! only halved when it is packed, which is exact. (2^y from a table of 8 and a cubic has as many operations: on Zen 5 a
//! step took up to 8 % longer with AVX-512, and 1 to 6 % less with AVX2.)
//!
//! q's last coefficient is 1, so one of eight multiply-adds is an addition, which AMD's CPUs do beside two of these: on
//! Zen 4 steps of up to 40 units take 1 to 3 % less, `step_batch` of (1, 16) 3 %. **Tried**, each with a search of its
//! own: p of degree 3, steps 4 to 6 % faster than before, but tanh errs by 4.1e-7; that p and q as products of factors
//! such as t (t + b) + c (all zeros are real), 5 to 7 % and 4.3e-7; both of degree 4 and as (t (t + b) + c) t (t + d)
//! plus a constant, 3 to 5 % and 3.2e-7.
//!
//! Every operation is a correctly rounded add, mul, fma or div, so the results are the same bits everywhere.
//!
//! | | largest absolute error | largest error |
//! |---|---|---|
//! | [`tanh`] | 2.8e-7 | 4.7 ULP |
//! | [`sigmoid`] | 1.8e-7 | |
//!
//! measured over all f32 from 2^-40 to 100 and their negatives (`LSTM_KERNELS_EXHAUSTIVE=1 cargo test --release
//! activation`), where |tanh| <= 1 and 0 <= sigmoid <= 1 hold for every one. What is left is the rounding of p and q.
//! PyTorch's own f32 functions err by about 1 ULP.
//!
//! Source of the coefficients: a minimax fit in f64 (error 6e-9), rounded to f32 and improved by a search over the f32
//! arithmetic itself, with the constraint x p <= q, by `lstm-kernels/src/activation_minimax.py`; the set in use came
//! out of four minutes of that search written in C. q lies in 1.1e6 to 3.1e8: its products with those of two more gates
//! and a cell of up to 2e12 do not overflow. (A cell that begins at 0 stays within 2^24, where to add 1 changes
//! nothing.)

use crate::simd::{Scalar, Simd, Split, Vector};

/// The documented bounds, which the tests assert.
#[cfg(test)]
const TANH_ERROR: f64 = 2.8e-7;
#[cfg(test)]
const TANH_ULP: f64 = 4.7;
#[cfg(test)]
const SIGMOID_ERROR: f64 = 1.8e-7;

/// From here on the quotient is 1: here x p rounds to q and q + x p to 2q, and nowhere below is x p above q, so a
/// saturated forget gate does not let a cell grow or fade. (The products that it is part of are rounded: over a million
/// steps that moved some cells, by less than 1e-6 of their size.)
const LIMIT: f32 = f32::from_bits(0x4100_b476); // 8.044058

/// p, from the constant term on.
pub(crate) const P: [f32; 5] = [
    f32::from_bits(0x4990_ab39), // 1.185127125e+06
    f32::from_bits(0x481b_851b), // 1.592524219e+05
    f32::from_bits(0x4583_f75a), // 4.222918945e+03
    f32::from_bits(0x41ce_3921), // 2.577789497e+01
    f32::from_bits(0x3c91_c2a3), // 1.779300533e-02
];

/// p / 2, exactly.
pub(crate) const P_HALF: [f32; 5] = [0.5 * P[0], 0.5 * P[1], 0.5 * P[2], 0.5 * P[3], 0.5 * P[4]];

/// q, from the constant term on.
const Q: [f32; 5] = [
    f32::from_bits(0x4990_ab39), // 1.185127125e+06
    f32::from_bits(0x4907_536c), // 5.542947500e+05
    f32::from_bits(0x46f1_f5f9), // 3.097098633e+04
    f32::from_bits(0x43c9_5188), // 4.026369629e+02
    1.0,
];

/// Keeps x^2 and its powers away from the subnormals; far below what rounding does to 1 - x^2/3.
const BIAS: f32 = f32::from_bits((127 - 30) << 23); // 2^-30

/// The largest square, `LIMIT^2 + BIAS` rounded once: the f64 sum is exact.
const SQUARE: f32 = (LIMIT as f64 * LIMIT as f64 + BIAS as f64) as f32;

/// The quotient behind tanh(x): x p / q.
#[derive(Clone, Copy)]
pub(crate) struct Ratio<V> {
    pub(crate) x: V,
    pub(crate) p: V,
    pub(crate) q: V,
}

/// A quotient that is not yet divided: `above / below`, of sigmoid `above / 2 below`.
#[derive(Clone, Copy)]
pub(crate) struct Quotient<V> {
    pub(crate) above: V,
    pub(crate) below: V,
}

/// x p / q of x, and p may be given halved. `FAST` is for who waits for the result: a square that does not wait for the
/// clamp, an operation more where [`Simd::RANGE`] is false; the bits are the same.
#[inline(always)]
pub(crate) fn ratio<S: Simd, V: Vector<S, N>, const N: usize, const FAST: bool>(
    simd: S,
    x: V,
    p: &[f32; 5],
) -> Ratio<V> {
    let (x, square) = if const { FAST || S::RANGE } {
        // The square does not wait for the clamp, which would have two latencies. It is what keeps NaN.
        (x.range(simd, LIMIT), x.mul_add(simd, x, V::splat(simd, BIAS)).at_most(simd, SQUARE))
    } else {
        let x = x.clamp(simd, LIMIT);
        (x, x.mul_add(simd, x, V::splat(simd, BIAS)))
    };
    let fourth = square.mul(simd, square);
    Ratio { x, p: square.polynomial(simd, fourth, p), q: square.polynomial(simd, fourth, &Q) }
}

impl<V> Ratio<V> {
    #[inline(always)]
    pub(crate) fn tanh<S: Simd, const N: usize>(self, simd: S) -> Quotient<V>
    where
        V: Vector<S, N>,
    {
        Quotient { above: self.x.mul(simd, self.p), below: self.q }
    }

    #[inline(always)]
    pub(crate) fn sigmoid<S: Simd, const N: usize>(self, simd: S) -> Quotient<V>
    where
        V: Vector<S, N>,
    {
        Quotient { above: self.x.mul_add(simd, self.p, self.q), below: self.q }
    }
}

impl<V> Quotient<V> {
    #[inline(always)]
    pub(crate) fn split<H>(self) -> [Quotient<H>; 2]
    where
        V: Split<H>,
    {
        let ([above_0, above_1], [below_0, below_1]) = (self.above.split(), self.below.split());
        [Quotient { above: above_0, below: below_0 }, Quotient { above: above_1, below: below_1 }]
    }
}

/// tanh(x), bit for bit as the kernels compute it for the gate g; errors at the top of this page.
///
/// ```
/// use lstm_kernels::activation::tanh;
/// assert_eq!(tanh(0.0), 0.0);
/// assert_eq!(tanh(f32::INFINITY), 1.0);
/// assert!((tanh(0.5) - 0.5f32.tanh()).abs() < 1.3e-7);
/// ```
pub fn tanh(x: f32) -> f32 {
    let Quotient { above, below } = ratio::<_, _, 4, false>(Scalar, [x; 4], &P).tanh(Scalar);
    above.div(Scalar, below)[0]
}

/// sigmoid(z) = 1 / (1 + exp(-z)), bit for bit as the kernels compute it for the gates i, f and o; errors at the top
/// of this page.
///
/// ```
/// use lstm_kernels::activation::sigmoid;
/// assert_eq!(sigmoid(0.0), 0.5);
/// assert_eq!(sigmoid(f32::INFINITY), 1.0);
/// assert!(sigmoid(f32::NEG_INFINITY) < 8e-10);
/// ```
pub fn sigmoid(z: f32) -> f32 {
    let Quotient { above, below } = ratio::<_, _, 4, false>(Scalar, [0.5 * z; 4], &P).sigmoid(Scalar);
    above.div(Scalar, below.add(Scalar, below))[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every `stride`-th f32 from 2^-40 to 100. With `LSTM_KERNELS_EXHAUSTIVE=1` every single one.
    fn sweep() -> impl Iterator<Item = f32> {
        let exhaustive = std::env::var_os("LSTM_KERNELS_EXHAUSTIVE").is_some_and(|value| value == "1");
        let stride = if exhaustive { 1 } else { 199 };
        (2f32.powi(-40).to_bits()..=100f32.to_bits()).step_by(stride).map(f32::from_bits)
    }

    /// The distance of two f32 next to `exact`.
    fn ulp(exact: f64) -> f64 {
        let below = (exact.abs() as f32).to_bits();
        f64::from(f32::from_bits(below + 1)) - f64::from(f32::from_bits(below))
    }

    #[test]
    fn tanh_is_odd_bounded_and_as_accurate_as_its_documentation_says() {
        let (mut absolute, mut ulps) = (0f64, 0f64);
        for x in sweep() {
            let (y, exact) = (tanh(x), f64::from(x).tanh());
            let error = (f64::from(y) - exact).abs();
            absolute = absolute.max(error);
            ulps = ulps.max(error / ulp(exact));
            assert!((0.0..=1.0).contains(&y), "tanh({x:e}) = {y:e}");
            assert_eq!(tanh(-x).to_bits(), (-y).to_bits(), "tanh(-{x:e})");
        }
        std::println!("tanh: absolute error {absolute:.3e}, {ulps:.2} ULP");
        assert!(absolute <= TANH_ERROR && ulps <= TANH_ULP, "{absolute:e}, {ulps} ULP");
    }

    #[test]
    fn sigmoid_is_bounded_and_as_accurate_as_its_documentation_says() {
        let mut absolute = 0f64;
        for z in sweep().flat_map(|z| [z, -z]) {
            let y = sigmoid(z);
            absolute = absolute.max((f64::from(y) - 1.0 / (1.0 + (-f64::from(z)).exp())).abs());
            assert!((0.0..=1.0).contains(&y), "sigmoid({z:e}) = {y:e}");
        }
        std::println!("sigmoid: absolute error {absolute:.3e}");
        assert!(absolute <= SIGMOID_ERROR, "{absolute:e}");
    }

    #[test]
    fn infinities_saturate_and_nan_stays_nan() {
        assert_eq!([f32::INFINITY, f32::NEG_INFINITY, 1e38, -1e38].map(tanh), [1.0, -1.0, 1.0, -1.0]);
        assert_eq!([f32::INFINITY, 1e38].map(sigmoid), [1.0; 2]);
        assert!([f32::NEG_INFINITY, -1e38].map(sigmoid).iter().all(|y| (0.0..8e-10).contains(y)));
        assert!(tanh(f32::NAN).is_nan() && sigmoid(f32::NAN).is_nan());
    }

    #[test]
    fn zero_and_subnormals_pass_through_tanh_with_their_sign() {
        for x in [0.0, -0.0, f32::from_bits(1), -f32::from_bits(1), f32::MIN_POSITIVE] {
            assert_eq!(tanh(x).is_sign_negative(), x.is_sign_negative());
            // x p is subnormal here, and q is 2^-8: what its last bit is worth.
            assert!((tanh(x) - x).abs() <= f32::from_bits(1 << 8), "{x:e}: {:e}", tanh(x));
        }
    }
}
