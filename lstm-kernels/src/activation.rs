//! placeholder docs
#![allow(clippy::excessive_precision)]

use crate::simd::{Scalar, Simd, Vector};

const LIMIT: f32 = 9.0;
const P: [f32; 7] = [4.89352455891786e-03, 6.37261928875436e-04, 1.48572235717979e-05, 5.12229709037114e-08, -8.60467152213735e-11, 2.00018790482477e-13, -2.76076847742355e-16];
const Q: [f32; 4] = [4.89352518554385e-03, 2.26843463243900e-03, 1.18534705686654e-04, 1.19825839466702e-06];

/// Keeps x^2 and its powers away from the subnormals; far below what rounding does to 1 - x^2/3.
const BIAS: f32 = f32::from_bits((127 - 30) << 23); // 2^-30

/// The quotient behind tanh(x): x p / q.
#[derive(Clone, Copy)]
pub(crate) struct Ratio<V> {
    x: V,
    p: V,
    q: V,
}

/// A quotient that is not yet divided: `above / below`, of sigmoid `above / 2 below`.
#[derive(Clone, Copy)]
pub(crate) struct Quotient<V> {
    pub(crate) above: V,
    pub(crate) below: V,
}

#[inline(always)]
pub(crate) fn quotient<S: Simd, V: Vector<S, N>, const N: usize>(simd: S, x: V) -> Ratio<V> {
    let x = x.clamp(simd, LIMIT);
    let square = x.mul_add(simd, x, V::splat(simd, BIAS));
    Ratio { x, p: horner(simd, &P, square), q: horner(simd, &Q, square) }
}

#[inline(always)]
fn horner<S: Simd, V: Vector<S, N>, const N: usize, const TERMS: usize>(simd: S, coefficients: &[f32; TERMS], u: V) -> V {
    let mut sum = V::splat(simd, coefficients[TERMS - 1]);
    for n in (0..TERMS - 1).rev() {
        sum = sum.mul_add(simd, u, V::splat(simd, coefficients[n]));
    }
    sum
}

impl<V> Ratio<V> {
    #[inline(always)]
    pub(crate) fn tanh<S: Simd, const N: usize>(self, simd: S) -> Quotient<V> where V: Vector<S, N> {
        Quotient { above: self.x.mul(simd, self.p), below: self.q }
    }

    #[inline(always)]
    pub(crate) fn sigmoid<S: Simd, const N: usize>(self, simd: S) -> Quotient<V> where V: Vector<S, N> {
        Quotient { above: self.x.mul_add(simd, self.p, self.q), below: self.q }
    }
}

/// tanh
pub fn tanh(x: f32) -> f32 {
    let Quotient { above, below } = quotient(Scalar, [x; 4]).tanh(Scalar);
    above.div(Scalar, below)[0]
}

/// sigmoid
pub fn sigmoid(z: f32) -> f32 {
    let Quotient { above, below } = quotient(Scalar, [0.5 * z; 4]).sigmoid(Scalar);
    above.div(Scalar, below.add(Scalar, below))[0]
}

impl<H, V: crate::simd::Split<H>> crate::simd::Split<Quotient<H>> for Quotient<V> {
    #[inline(always)]
    fn split(self) -> [Quotient<H>; 2] {
        let ([above_0, above_1], [below_0, below_1]) = (self.above.split(), self.below.split());
        [Quotient { above: above_0, below: below_0 }, Quotient { above: above_1, below: below_1 }]
    }
}
