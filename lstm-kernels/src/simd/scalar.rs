//! Portable Rust: four lanes as an array. The compiler may vectorise it with what the target always has.

use half::f16;

use super::{Op, Pair, Section, Simd, TINY, Vector};

/// The portable "instruction set", which needs no proof.
#[derive(Clone, Copy, Debug)]
pub struct Scalar;

impl Simd for Scalar {
    type Row = Pair<Pair<[f32; 4]>>;
    type Half = Pair<[f32; 4]>;
    type Quarter = [f32; 4];

    const ACCUMULATORS: usize = 1;
    const PORTABLE: bool = true;

    #[inline(always)]
    fn widen_f16(self, lanes: &[u16; 16]) -> Self::Row {
        widen(lanes, f16_from_bits)
    }

    #[inline(always)]
    fn widen_bf16(self, lanes: &[u32; 16], upper: bool) -> Self::Row {
        widen(lanes, |bits| f32::from_bits(if upper { bits & 0xffff_0000 } else { bits << 16 }))
    }

    #[inline]
    fn enter<O: Op>(self, op: O) -> O::Output {
        op.run(self)
    }

    #[inline(never)]
    fn outline<F: Section<Self>>(self, section: F) {
        section.run(self);
    }

    /// A function of its own: an emulated fma is ten instructions for each lane, and inlined into every cell's
    /// kernels they would take seconds to compile.
    #[inline(never)]
    fn section<F: Section<Self>>(self, section: F) {
        section.run(self);
    }
}

impl Vector<Scalar, 4> for [f32; 4] {
    #[inline(always)]
    fn splat(_: Scalar, value: f32) -> Self {
        [value; 4]
    }
    #[inline(always)]
    fn load(_: Scalar, lanes: &[f32; 4]) -> Self {
        *lanes
    }
    #[inline(always)]
    fn store(self, _: Scalar, lanes: &mut [f32; 4]) {
        *lanes = self;
    }
    #[inline(always)]
    fn store_most(self, simd: Scalar, lanes: &mut [f32]) {
        super::most_of_4(simd, self, lanes);
    }
    #[inline(always)]
    fn add(self, _: Scalar, other: Self) -> Self {
        [self[0] + other[0], self[1] + other[1], self[2] + other[2], self[3] + other[3]]
    }
    #[inline(always)]
    fn mul(self, _: Scalar, other: Self) -> Self {
        [self[0] * other[0], self[1] * other[1], self[2] * other[2], self[3] * other[3]]
    }
    #[inline(always)]
    fn div(self, _: Scalar, other: Self) -> Self {
        [self[0] / other[0], self[1] / other[1], self[2] / other[2], self[3] / other[3]]
    }
    #[inline(always)]
    fn mul_add(self, _: Scalar, factor: Self, addend: Self) -> Self {
        [
            fma(self[0], factor[0], addend[0]),
            fma(self[1], factor[1], addend[1]),
            fma(self[2], factor[2], addend[2]),
            fma(self[3], factor[3], addend[3]),
        ]
    }
    /// Not inlined: where the fma is emulated, a kernel would be slow to compile.
    #[inline(never)]
    fn polynomial(self, simd: Scalar, square: Self, &[a, b, c, d, e]: &[f32; 5]) -> Self {
        let (mut low, mut high) = ([a; 4], [c; 4]);
        for (sum, factor) in [(&mut low, b), (&mut high, d)] {
            *sum = [factor; 4].mul_add(simd, self, *sum);
        }
        let high = [e; 4].mul_add(simd, square, high);
        high.mul_add(simd, square, low)
    }
    #[inline(always)]
    fn clamp(self, _: Scalar, limit: f32) -> Self {
        [clamp(self[0], limit), clamp(self[1], limit), clamp(self[2], limit), clamp(self[3], limit)]
    }
    #[inline(always)]
    fn at_most(self, _: Scalar, most: f32) -> Self {
        [at_most(self[0], most), at_most(self[1], most), at_most(self[2], most), at_most(self[3], most)]
    }
    #[inline(always)]
    fn zero_where_tiny(self, _: Scalar, reference: Self) -> Self {
        [
            flush(self[0], reference[0]),
            flush(self[1], reference[1]),
            flush(self[2], reference[2]),
            flush(self[3], reference[3]),
        ]
    }
}

/// A function of its own, for the sake of the compile time.
#[inline(never)]
fn f16_from_bits(bits: u16) -> f32 {
    f16::from_bits(bits).to_f32_const()
}

#[inline(always)]
fn widen<T: Copy>(lanes: &[T; 16], lane: impl Fn(T) -> f32) -> Pair<Pair<[f32; 4]>> {
    let quarter = |n: usize| [lane(lanes[n]), lane(lanes[n + 1]), lane(lanes[n + 2]), lane(lanes[n + 3])];
    Pair([Pair([quarter(0), quarter(4)]), Pair([quarter(8), quarter(12)])])
}

#[inline(always)]
fn clamp(value: f32, limit: f32) -> f32 {
    if value > limit {
        limit
    } else if value < -limit {
        -limit
    } else {
        value
    }
}

#[inline(always)]
fn at_most(value: f32, most: f32) -> f32 {
    if value > most { most } else { value }
}

#[inline(always)]
fn flush(value: f32, reference: f32) -> f32 {
    if reference.abs() < TINY { 0.0 } else { value }
}

/// `a * b + c`, rounded once, to nearest even.
///
/// Where the target has the instruction, that is used. Elsewhere libm's `fmaf` is a call of some 50 ns; this is
/// exact as well, and inlines. The product of two f32 is exact in f64; the sum is rounded *to odd* (its last bit
/// is set if anything was cut off), which makes the second rounding, to f32, the only one that counts
/// (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums: proved algorithms using rounding to odd",
/// IEEE Transactions on Computers 57(4), 2008).
#[inline(always)]
pub(crate) fn fma(a: f32, b: f32, c: f32) -> f32 {
    #[cfg(all(feature = "std", any(target_feature = "fma", target_arch = "aarch64")))]
    return a.mul_add(b, c);
    #[cfg(not(all(feature = "std", any(target_feature = "fma", target_arch = "aarch64"))))]
    fma_to_odd(a, b, c)
}

#[allow(dead_code)]
#[inline(always)]
fn fma_to_odd(a: f32, b: f32, c: f32) -> f32 {
    let (product, addend) = (f64::from(a) * f64::from(b), f64::from(c));
    let sum = product + addend;
    // Knuth's TwoSum: product + addend = sum + error, exactly.
    let shadow = sum - product;
    let error = (product - (sum - shadow)) + (addend - shadow);
    let bits = sum.to_bits();
    // An even significand next to a cut-off remainder moves one step towards the remainder. Not so for NaN and
    // infinity, where the error is NaN. Without a branch: which way it goes is as good as random.
    let step = u64::from(error.abs() > 0.0) & !bits & 1;
    let inward = ((error.to_bits() ^ bits) as i64 >> 63) as u64;
    let rounded = bits.wrapping_add((step ^ inward).wrapping_sub(inward));
    f64::from_bits(rounded) as f32
}

#[cfg(test)]
mod tests {
    use super::fma_to_odd;

    /// Pseudo-random bits (splitmix64): every exponent, subnormals, infinities and NaN among them.
    fn random(state: &mut u64) -> u64 {
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    #[cfg(feature = "std")]
    #[test]
    fn the_emulated_fma_is_the_correctly_rounded_one() {
        let mut state = 1;
        for n in 0..1_000_000u32 {
            let (r, s) = (random(&mut state), random(&mut state));
            let (a, b) = (f32::from_bits(r as u32), f32::from_bits((r >> 32) as u32));
            // Every second addend is close to the product, where cancellation and ties happen.
            let c =
                if n % 2 == 0 { f32::from_bits(s as u32) } else { -(a * b) * (1.0 + (s % 64) as f32 * f32::EPSILON) };
            let (ours, exact) = (fma_to_odd(a, b, c), a.mul_add(b, c));
            assert!(
                ours.to_bits() == exact.to_bits() || (ours.is_nan() && exact.is_nan()),
                "{a:e} * {b:e} + {c:e}: {ours:e}, expected {exact:e}"
            );
        }
    }

    #[test]
    fn a_tie_that_double_rounding_would_get_wrong() {
        // 1 + 2^-24 + 2^-60: just above the midpoint between 1 and 1 + 2^-23; f64 alone would drop the 2^-60.
        let tiny = 2f32.powi(-30);
        assert_eq!(fma_to_odd(tiny, tiny, 1.0 + f32::EPSILON), 1.0 + f32::EPSILON);
        assert_eq!(fma_to_odd(1.0 + f32::EPSILON, 0.5f32.powi(24), 1.0), 1.0 + f32::EPSILON);
        assert_eq!(fma_to_odd(1.0, 0.5f32.powi(24), 1.0), 1.0);
    }
}
