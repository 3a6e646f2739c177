//! AVX2 + FMA (`V3`) and AVX-512 (`V4`), through the safe intrinsics of `pulp`'s tokens; AVX512-FP16 (`V4F16`), which
//! `pulp` lacks.

use core::arch::asm;
use core::arch::x86_64::*;

use pulp::cast;
pub(crate) use pulp::x86::V4;

use super::{Call, F16Simd, Op, Outline, Pair, Section, Simd, Split, TINY, Vector, most_of_4, most_of_two};
use crate::cpu::as_up_to_zen_4;

pulp::simd_type! {
    /// x86-64-v3 as the psABI has it: `pulp`'s token of that name lacks F16C.
    #[allow(missing_docs)]
    pub(crate) struct V3 {
        sse: "sse",
        sse2: "sse2",
        sse3: "sse3",
        ssse3: "ssse3",
        sse4_1: "sse4.1",
        sse4_2: "sse4.2",
        popcnt: "popcnt",
        avx: "avx",
        avx2: "avx2",
        bmi1: "bmi1",
        bmi2: "bmi2",
        f16c: "f16c",
        fma: "fma",
        lzcnt: "lzcnt",
    }
}

/// The proof that this CPU has x86-64-v3 (AVX2, FMA, F16C), if it does, and that the system keeps its registers.
pub(crate) fn v3() -> Option<V3> {
    V3::try_new().filter(|_| keeps(0b0000_0110))
}

/// The same for AVX-512. Its feature `avx512f` implies F16C for the compiler. `std` asks for that before it reports
/// `avx512f`; without it `pulp` has asked for the features of `V4` alone. (A baked cell asks at each step.)
pub(crate) fn v4() -> Option<V4> {
    V4::try_new().filter(|_| (cfg!(feature = "std") || v3().is_some()) && keeps(0b1110_0110))
}

/// Whether the system has switched these registers on (in XCR0) and keeps them when it changes tasks: `std` asks for
/// that.
#[cfg(feature = "std")]
fn keeps(_: u32) -> bool {
    true
}

/// Without `std`, `pulp` asks the CPU alone, and in a kernel or a firmware an instruction that the CPU has may still
/// trap.
#[cfg(not(feature = "std"))]
fn keeps(registers: u32) -> bool {
    use core::sync::atomic::{AtomicU32, Ordering};

    const KNOWN: u32 = 1 << 31;
    static XCR0: AtomicU32 = AtomicU32::new(0);

    let mut known = XCR0.load(Ordering::Relaxed);
    if known == 0 {
        // Leaf 1, ECX, bit 27: OSXSAVE.
        let readable = __cpuid(1).ecx >> 27 & 1 == 1;
        // SAFETY: OSXSAVE, just read, is set only on a CPU with XSAVE, which is the feature that `xcr0` enables, and
        // only when the system has set CR4.OSXSAVE, which XGETBV asks for.
        known = KNOWN | if readable { unsafe { xcr0() } } else { 0 };
        XCR0.store(known, Ordering::Relaxed);
    }
    known & registers == registers
}

/// # Safety
/// OSXSAVE (CPUID.1:ECX, bit 27) is set.
#[cfg(not(feature = "std"))]
#[target_feature(enable = "xsave")]
unsafe fn xcr0() -> u32 {
    // SAFETY: XGETBV faults neither, which OSXSAVE means, nor for register 0, which exists wherever it does.
    unsafe { _xgetbv(0) as u32 }
}

/// See [`prefetch_near`](super::prefetch_near).
#[inline(always)]
pub(crate) fn prefetch_near<T>(data: &T) {
    // SAFETY: SSE, which every x86-64 CPU has. The instruction faults at no address, and this one is of `data`.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(core::ptr::from_ref(data).cast()) }
}

/// See [`prefetch`](super::prefetch).
#[cfg(feature = "lstm")]
#[inline(always)]
pub(crate) fn prefetch(data: &[f32]) {
    for line in data.chunks(16) {
        // SAFETY: SSE, which every x86-64 CPU has. The instruction faults at no address, and this one is inside `data`.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(line.as_ptr().cast()) }
    }
}

/// A vector of which the compiler does not know where it is from. If it did, it would broadcast parts of it from there.
#[target_feature(enable = "avx")]
#[inline]
fn in_register(mut vector: __m256) -> __m256 {
    if cfg!(not(miri)) {
        // SAFETY: no instruction, and so none of what the options deny.
        unsafe { asm!("/* {0} */", inout(ymm_reg) vector, options(pure, nomem, nostack, preserves_flags)) };
    }
    vector
}

/// What the instruction sets with vectors of 256 bits have in common.
macro_rules! rows_of_two_vectors {
    () => {
        type Row = Pair<__m256>;
        type Half = __m256;
        type Quarter = __m128;

        const SHUFFLES: bool = true;

        #[inline(always)]
        fn widen_f16(self, lanes: &[u16; 16]) -> Self::Row {
            let [low, high] = cast(*lanes);
            // SAFETY: all that the instruction needs is F16C, for which `V3` has a field, and for which `v4` has
            // looked.
            Pair(unsafe { [_mm256_cvtph_ps(low), _mm256_cvtph_ps(high)] })
        }

        #[inline(always)]
        fn widen_bf16(self, lanes: &[u32; 16], upper: bool) -> Self::Row {
            let mask = self.avx._mm256_set1_epi32(0xffff_0000_u32.cast_signed());
            let [mut low, mut high]: [__m256i; 2] = cast(*lanes);
            if upper {
                (low, high) = (self.avx2._mm256_and_si256(low, mask), self.avx2._mm256_and_si256(high, mask));
            } else {
                (low, high) = (self.avx2._mm256_slli_epi32::<16>(low), self.avx2._mm256_slli_epi32::<16>(high));
            }
            Pair([cast(low), cast(high)])
        }

        /// One load, and the rest out of a register.
        #[inline(always)]
        fn splat_each(self, inputs: &[f32; 4]) -> [Self::Row; 4] {
            let avx = self.avx;
            // SAFETY: `avx` proves AVX, all that the function needs.
            let four = unsafe { in_register(avx._mm256_broadcast_ps(&cast(*inputs))) };
            [
                Pair([avx._mm256_permute_ps::<0b00_00_00_00>(four); 2]),
                Pair([avx._mm256_permute_ps::<0b01_01_01_01>(four); 2]),
                Pair([avx._mm256_permute_ps::<0b10_10_10_10>(four); 2]),
                Pair([avx._mm256_permute_ps::<0b11_11_11_11>(four); 2]),
            ]
        }

        #[inline(always)]
        fn enter<O: Op>(self, op: O) -> O::Output {
            self.vectorize(Call(self, op))
        }

        #[inline(always)]
        fn outline<F: Section<Self>>(self, section: F) {
            self.vectorize(Outline(self, section));
        }
    };
}

impl Simd for V3 {
    rows_of_two_vectors!();

    /// 16 registers: 2 x 4 accumulators, the rest for weights and broadcasts; where these can do with less, 2 x 6.
    const ACCUMULATORS: usize = 4;
    const SIX_LINES: bool = true;
}

impl Simd for V4 {
    type Row = __m512;
    type Half = __m256;
    type Quarter = __m128;

    /// 32 registers.
    const ACCUMULATORS: usize = 24;
    const RANGE: bool = true;

    #[inline(always)]
    fn widen_f16(self, lanes: &[u16; 16]) -> Self::Row {
        self.avx512f._mm512_cvtph_ps(cast(*lanes))
    }

    #[inline(always)]
    fn widen_bf16(self, lanes: &[u32; 16], upper: bool) -> Self::Row {
        let avx = self.avx512f;
        let mask = avx._mm512_set1_epi32(0xffff_0000_u32.cast_signed());
        let lanes = cast(*lanes);
        cast(if upper { avx._mm512_and_si512(lanes, mask) } else { avx._mm512_slli_epi32::<16>(lanes) })
    }

    #[inline(always)]
    fn enter<O: Op>(self, op: O) -> O::Output {
        if const { O::NARROW } && self.narrows(&op) {
            return Narrow { v4: self }.enter(op);
        }
        self.vectorize(Call(self, op))
    }

    #[inline(always)]
    fn narrows<O: Op>(self, op: &O) -> bool {
        O::NARROW && op.is_narrow() && as_up_to_zen_4()
    }

    #[inline(always)]
    fn outline<F: Section<Self>>(self, section: F) {
        self.vectorize(Outline(self, section));
    }
}

/// [`V4`] with vectors of 256 bits: twice as many registers as `V3`, a clamp in one operation, and halves that need not
/// be taken apart. Zen 4 computes 512 bits in two halves, each as long as one of these; so what waits for a result, and
/// has it in two places, gains.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Narrow {
    v4: V4,
}

/// So that the macros find the intrinsics.
impl core::ops::Deref for Narrow {
    type Target = V4;

    #[inline(always)]
    fn deref(&self) -> &V4 {
        &self.v4
    }
}

impl Simd for Narrow {
    rows_of_two_vectors!();

    /// 32 registers, two of which are a row.
    const ACCUMULATORS: usize = 12;
    const SIX_LINES: bool = true;
    const RANGE: bool = true;
    const INLINES_TILES: bool = true;
}

/// AVX512-FP16 on top of [`V4`]: arithmetic in f16. `pulp` has no token for it.
///
/// **Invariant**: one exists only if CPUID has AVX512-FP16 and [`v4`] gave a token. The field is private to this file,
/// where [`V4F16::try_new`] is the only expression that makes one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct V4F16 {
    v4: V4,
}

impl V4F16 {
    /// The proof that this CPU has it, if it does. What the system must do for it, it does for `V4`.
    pub(crate) fn try_new() -> Option<Self> {
        let v4 = v4()?;
        // Leaf 7 exists where AVX-512 does. EDX, bit 23: AVX512-FP16.
        (__cpuid_count(7, 0).edx >> 23 & 1 == 1).then_some(Self { v4 })
    }
}

/// So that the macros find the intrinsics.
impl core::ops::Deref for V4F16 {
    type Target = V4;

    #[inline(always)]
    fn deref(&self) -> &V4 {
        &self.v4
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx512fp16,avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
fn enter<O: Op>(simd: V4F16, op: O) -> O::Output {
    if const { O::F16 } { op.run_f16(simd) } else { op.run(simd) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx512fp16,avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
fn outline<F: Section<V4F16>>(simd: V4F16, section: F) {
    section.run(simd);
}

impl Simd for V4F16 {
    type Row = __m512;
    type Half = __m256;
    type Quarter = __m128;

    const ACCUMULATORS: usize = V4::ACCUMULATORS;
    const RANGE: bool = true;
    const F16: bool = true;

    #[inline(always)]
    fn widen_f16(self, lanes: &[u16; 16]) -> Self::Row {
        self.v4.widen_f16(lanes)
    }

    #[inline(always)]
    fn widen_bf16(self, lanes: &[u32; 16], upper: bool) -> Self::Row {
        self.v4.widen_bf16(lanes, upper)
    }

    #[inline(always)]
    fn enter<O: Op>(self, op: O) -> O::Output {
        // SAFETY: `V4` of pulp, in the token, has a field for each feature of `enter` but AVX512-FP16, which the
        // invariant of `V4F16` has; what `avx512f` implies beside them, `v4` has looked for.
        unsafe { enter(self, op) }
    }

    #[inline(always)]
    fn outline<F: Section<Self>>(self, section: F) {
        // SAFETY: as in `enter`, of the same features.
        unsafe { outline(self, section) }
    }
}

impl F16Simd for V4F16 {
    type Lanes = __m512h;

    #[inline(always)]
    fn twice(self, lanes: &[f32; 16]) -> [u32; 16] {
        const MOST: f32 = 65504.0;
        let avx = self.avx512f;
        let lanes = <__m512 as Vector<Self, 16>>::clamp(cast(*lanes), self, MOST);
        let halves = avx._mm512_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(lanes);
        let low = avx._mm512_cvtepu16_epi32(halves);
        cast(avx._mm512_or_si512(low, avx._mm512_slli_epi32::<16>(low)))
    }

    #[inline(always)]
    fn splat(self, pair: u32) -> __m512h {
        // SAFETY: the invariant of `V4F16`.
        unsafe { _mm512_castsi512_ph(self.avx512f._mm512_set1_epi32(pair.cast_signed())) }
    }

    #[inline(always)]
    fn join(self, low: &[u16; 16], high: &[u16; 16]) -> __m512h {
        // SAFETY: the invariant of `V4F16`.
        unsafe { _mm512_castsi512_ph(cast([*low, *high])) }
    }

    #[inline(always)]
    fn mul(self, a: __m512h, b: __m512h) -> __m512h {
        // SAFETY: the invariant of `V4F16`.
        unsafe { _mm512_mul_ph(a, b) }
    }

    #[inline(always)]
    fn mul_add(self, a: __m512h, b: __m512h, c: __m512h) -> __m512h {
        // SAFETY: the invariant of `V4F16`.
        unsafe { _mm512_fmadd_ph(a, b, c) }
    }

    #[inline(always)]
    fn widen(self, lanes: __m512h) -> [__m512; 2] {
        // SAFETY: the invariant of `V4F16`.
        let [low, high] = cast::<__m512i, [__m256i; 2]>(unsafe { _mm512_castph_si512(lanes) });
        // SAFETY: as above.
        unsafe { [_mm512_cvtxph_ps(_mm256_castsi256_ph(low)), _mm512_cvtxph_ps(_mm256_castsi256_ph(high))] }
    }
}

impl Split<__m256> for __m512 {
    #[inline(always)]
    fn split(self) -> [__m256; 2] {
        cast(self)
    }

    #[inline(always)]
    fn join(halves: [__m256; 2]) -> Self {
        cast(halves)
    }
}

impl Split<__m128> for __m256 {
    #[inline(always)]
    fn split(self) -> [__m128; 2] {
        cast(self)
    }

    #[inline(always)]
    fn join(halves: [__m128; 2]) -> Self {
        cast(halves)
    }
}

macro_rules! vector {
    ($token:ty, $vector:ty, $lanes:literal, $base:ident, $fma:ident, $splat:ident, $add:ident, $mul:ident, $div:ident, $mul_add:ident,
     $min:ident, $max:ident, $most:ident, $(range: $range:ident,)?
     |$simd:ident, $value:ident, $reference:ident| $zero:expr) => {
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
            fn store_most(self, simd: $token, lanes: &mut [f32]) {
                $most(simd, self, lanes);
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
            $(
                /// Takes the smaller magnitude, and the sign of the first operand. Of NaN and a number it takes the
                /// number.
                #[inline(always)]
                fn range(self, simd: $token, limit: f32) -> Self {
                    simd.avx512dq.$range::<0b00_10>(self, <Self as Vector<$token, $lanes>>::splat(simd, limit))
                }
            )?
            #[inline(always)]
            fn at_most(self, simd: $token, most: f32) -> Self {
                simd.$base.$min(<Self as Vector<$token, $lanes>>::splat(simd, most), self)
            }
            #[inline(always)]
            fn zero_where_tiny(self, $simd: $token, $reference: Self) -> Self {
                let $value = self;
                $zero
            }
        }
    };
}

macro_rules! avx512 {
    ($($token:ty),*) => { $(vector!(
    $token,
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
    most_of_two,
    range: _mm512_range_ps,
    |simd, value, reference| {
        let size = simd.avx512f._mm512_abs_ps(reference);
        let keep = simd.avx512f._mm512_cmp_ps_mask::<_CMP_NLT_UQ>(size, simd.avx512f._mm512_set1_ps(TINY));
        simd.avx512f._mm512_maskz_mov_ps(keep, value)
    }
);)* };
}
avx512!(V4, V4F16);

macro_rules! avx {
    ($token:ty $(, $range_8:ident, $range_4:ident)?) => {
        vector!($token, __m256, 8, avx, fma, _mm256_set1_ps, _mm256_add_ps, _mm256_mul_ps, _mm256_div_ps, _mm256_fmadd_ps,
            _mm256_min_ps, _mm256_max_ps, most_of_two, $(range: $range_8,)? |simd, value, reference| {
                let size = simd.avx._mm256_andnot_ps(simd.avx._mm256_set1_ps(-0.0), reference);
                let tiny = simd.avx._mm256_cmp_ps::<_CMP_LT_OQ>(size, simd.avx._mm256_set1_ps(TINY));
                simd.avx._mm256_andnot_ps(tiny, value)
            });
        vector!($token, __m128, 4, sse, fma, _mm_set1_ps, _mm_add_ps, _mm_mul_ps, _mm_div_ps, _mm_fmadd_ps,
            _mm_min_ps, _mm_max_ps, most_of_4, $(range: $range_4,)? |simd, value, reference| {
                let size = simd.sse._mm_andnot_ps(simd.sse._mm_set1_ps(-0.0), reference);
                let tiny = simd.sse._mm_cmplt_ps(size, simd.sse._mm_set1_ps(TINY));
                simd.sse._mm_andnot_ps(tiny, value)
            });
    };
}
avx!(V3);
avx!(V4, _mm256_range_ps, _mm_range_ps);
avx!(Narrow, _mm256_range_ps, _mm_range_ps);
avx!(V4F16, _mm256_range_ps, _mm_range_ps);
