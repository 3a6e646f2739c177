//! AVX2 + FMA (`V3`) and AVX-512 (`V4`), through the safe intrinsics of `pulp`'s tokens.

use core::arch::x86_64::{__m128, __m256, __m512, _CMP_LT_OQ, _CMP_NLT_UQ};

use pulp::cast;
use pulp::x86::{V3, V4};

use super::{Call, Op, Outline, Pair, Section, Simd, Split, TINY, Vector};

impl Simd for V3 {
    type Row = Pair<__m256>;
    type Half = __m256;
    type Quarter = __m128;

    /// 16 registers: 2 x 4 accumulators, the rest for weights and broadcasts.
    const ACCUMULATORS: usize = 4;
    const INTERLEAVE: bool = true;

    #[inline(always)]
    fn enter<O: Op>(self, op: O) {
        self.vectorize(Call(self, op));
    }

    #[inline(always)]
    fn outline<F: Section<Self>>(self, section: F) {
        self.vectorize(Outline(self, section));
    }
}

impl Simd for V4 {
    type Row = __m512;
    type Half = __m256;
    type Quarter = __m128;

    /// 32 registers.
    const ACCUMULATORS: usize = 24;
    const INTERLEAVE: bool = true;

    #[inline(always)]
    fn enter<O: Op>(self, op: O) {
        self.vectorize(Call(self, op));
    }

    #[inline(always)]
    fn outline<F: Section<Self>>(self, section: F) {
        self.vectorize(Outline(self, section));
    }
}

impl Split<__m256> for __m512 {
    #[inline(always)]
    fn split(self) -> [__m256; 2] {
        cast(self)
    }
}

impl Split<__m128> for __m256 {
    #[inline(always)]
    fn split(self) -> [__m128; 2] {
        cast(self)
    }
}

macro_rules! vector {
    ($token:ty, $vector:ty, $lanes:literal, $base:ident, $fma:ident, $splat:ident, $add:ident, $mul:ident, $div:ident, $mul_add:ident,
     $min:ident, $max:ident, |$simd:ident, $value:ident, $reference:ident| $zero:expr) => {
        impl Vector<$token, $lanes> for $vector {
            #[inline(always)]
            fn splat(simd: $token, value: f32) -> Self {
                simd.$base.$splat(value)
            }
            #[inline(always)]
            fn load(_: $token, lanes: &[f32; $lanes]) -> Self {
                cast(*lanes)
            }
            #[inline(always)]
            fn store(self, _: $token, lanes: &mut [f32; $lanes]) {
                *lanes = cast(self);
            }
            #[inline(always)]
            fn add(self, simd: $token, other: Self) -> Self {
                simd.$base.$add(self, other)
            }
            #[inline(always)]
            fn mul(self, simd: $token, other: Self) -> Self {
                simd.$base.$mul(self, other)
            }
            #[inline(always)]
            fn div(self, simd: $token, other: Self) -> Self {
                simd.$base.$div(self, other)
            }
            #[inline(always)]
            fn mul_add(self, simd: $token, factor: Self, addend: Self) -> Self {
                simd.$fma.$mul_add(self, factor, addend)
            }
            /// `min` and `max` return their second operand if either is NaN: the data stands second.
            #[inline(always)]
            fn clamp(self, simd: $token, limit: f32) -> Self {
                let least = <Self as Vector<$token, $lanes>>::splat(simd, -limit);
                let most = <Self as Vector<$token, $lanes>>::splat(simd, limit);
                simd.$base.$min(most, simd.$base.$max(least, self))
            }
            #[inline(always)]
            fn clamped_square(self, simd: $token, limit: f32, bias: f32) -> (Self, Self) {
                let most = <Self as Vector<$token, $lanes>>::splat(simd, super::square(limit, bias));
                let bias = <Self as Vector<$token, $lanes>>::splat(simd, bias);
                let square = simd.$base.$min(most, simd.$fma.$mul_add(self, self, bias));
                (<Self as Vector<$token, $lanes>>::clamp(self, simd, limit), square)
            }
            #[inline(always)]
            fn zero_where_tiny(self, $simd: $token, $reference: Self) -> Self {
                let $value = self;
                $zero
            }
        }
    };
}

vector!(
    V4,
    __m512,
    16,
    avx512f,
    avx512f,
    _mm512_set1_ps,
    _mm512_add_ps,
    _mm512_mul_ps,
    _mm512_div_ps,
    _mm512_fmadd_ps,
    _mm512_min_ps,
    _mm512_max_ps,
    |simd, value, reference| {
        let size = simd.avx512f._mm512_abs_ps(reference);
        let keep = simd.avx512f._mm512_cmp_ps_mask::<_CMP_NLT_UQ>(size, simd.avx512f._mm512_set1_ps(TINY));
        simd.avx512f._mm512_maskz_mov_ps(keep, value)
    }
);

macro_rules! avx {
    ($($token:ty),*) => { $(
        vector!($token, __m256, 8, avx, fma, _mm256_set1_ps, _mm256_add_ps, _mm256_mul_ps, _mm256_div_ps, _mm256_fmadd_ps,
            _mm256_min_ps, _mm256_max_ps, |simd, value, reference| {
                let size = simd.avx._mm256_andnot_ps(simd.avx._mm256_set1_ps(-0.0), reference);
                let tiny = simd.avx._mm256_cmp_ps::<_CMP_LT_OQ>(size, simd.avx._mm256_set1_ps(TINY));
                simd.avx._mm256_andnot_ps(tiny, value)
            });
        vector!($token, __m128, 4, sse, fma, _mm_set1_ps, _mm_add_ps, _mm_mul_ps, _mm_div_ps, _mm_fmadd_ps,
            _mm_min_ps, _mm_max_ps, |simd, value, reference| {
                let size = simd.sse._mm_andnot_ps(simd.sse._mm_set1_ps(-0.0), reference);
                let tiny = simd.sse._mm_cmplt_ps(size, simd.sse._mm_set1_ps(TINY));
                simd.sse._mm_andnot_ps(tiny, value)
            });
    )* };
}
avx!(V3, V4);
