//! NEON, through the safe intrinsics of `pulp`'s token.

use core::arch::aarch64::{float32x4_t, uint32x4_t, vcvt_f32_f16, vreinterpret_f16_u16};

use pulp::aarch64::Neon;
use pulp::cast;

use super::{Call, Op, Outline, Pair, Section, Simd, TINY, Vector};

impl Simd for Neon {
    type Row = Pair<Pair<float32x4_t>>;
    type Half = Pair<float32x4_t>;
    type Quarter = float32x4_t;

    /// 32 registers: 4 x 4 accumulators, the rest for weights and broadcasts; where these can do with less, 4 x 6.
    const ACCUMULATORS: usize = 4;
    const SIX_LINES: bool = true;

    #[inline(always)]
    fn widen_f16(self, lanes: &[u16; 16]) -> Self::Row {
        let [a, b, c, d]: [[u16; 4]; 4] = cast(*lanes);
        Pair([Pair([widen(self, a), widen(self, b)]), Pair([widen(self, c), widen(self, d)])])
    }

    #[inline(always)]
    fn widen_bf16(self, lanes: &[u32; 16], upper: bool) -> Self::Row {
        let [a, b, c, d]: [uint32x4_t; 4] = cast(*lanes);
        let half = |bits| {
            let neon = self.neon;
            let mask = neon.vdupq_n_u32(0xffff_0000);
            neon.vreinterpretq_f32_u32(if upper { neon.vandq_u32(bits, mask) } else { neon.vshlq_n_u32::<16>(bits) })
        };
        Pair([Pair([half(a), half(b)]), Pair([half(c), half(d)])])
    }

    #[inline(always)]
    fn enter<O: Op>(self, op: O) -> O::Output {
        self.vectorize(Call(self, op))
    }

    #[inline(always)]
    fn outline<F: Section<Self>>(self, section: F) {
        self.vectorize(Outline(self, section));
    }
}

/// `fcvtl`.
#[inline(always)]
fn widen(_: Neon, bits: [u16; 4]) -> float32x4_t {
    // SAFETY: the token proves NEON, which is all that these two need.
    unsafe { vcvt_f32_f16(vreinterpret_f16_u16(cast(bits))) }
}

impl Vector<Neon, 4> for float32x4_t {
    #[inline(always)]
    fn splat(simd: Neon, value: f32) -> Self {
        simd.neon.vdupq_n_f32(value)
    }
    #[inline(always)]
    fn load(_: Neon, lanes: &[f32; 4]) -> Self {
        cast(*lanes)
    }
    #[inline(always)]
    fn store(self, _: Neon, lanes: &mut [f32; 4]) {
        *lanes = cast(self);
    }
    #[inline(always)]
    fn store_most(self, simd: Neon, lanes: &mut [f32]) {
        super::most_of_4(simd, self, lanes);
    }
    #[inline(always)]
    fn add(self, simd: Neon, other: Self) -> Self {
        simd.neon.vaddq_f32(self, other)
    }
    #[inline(always)]
    fn mul(self, simd: Neon, other: Self) -> Self {
        simd.neon.vmulq_f32(self, other)
    }
    #[inline(always)]
    fn div(self, simd: Neon, other: Self) -> Self {
        simd.neon.vdivq_f32(self, other)
    }
    #[inline(always)]
    fn mul_add(self, simd: Neon, factor: Self, addend: Self) -> Self {
        simd.neon.vfmaq_f32(addend, self, factor)
    }
    /// `fmax` and `fmin` of AArch64 return NaN for NaN.
    #[inline(always)]
    fn clamp(self, simd: Neon, limit: f32) -> Self {
        let above = simd.neon.vmaxq_f32(self, simd.neon.vdupq_n_f32(-limit));
        simd.neon.vminq_f32(above, simd.neon.vdupq_n_f32(limit))
    }
    #[inline(always)]
    fn at_most(self, simd: Neon, most: f32) -> Self {
        simd.neon.vminq_f32(self, simd.neon.vdupq_n_f32(most))
    }
    #[inline(always)]
    fn zero_where_tiny(self, simd: Neon, reference: Self) -> Self {
        let tiny = simd.neon.vcaltq_f32(reference, simd.neon.vdupq_n_f32(TINY));
        let bits = simd.neon.vreinterpretq_u32_f32(self);
        simd.neon.vreinterpretq_f32_u32(simd.neon.vbicq_u32(bits, tiny))
    }
}
