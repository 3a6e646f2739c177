//! What a weight is stored as. Sums and state are f32 for every element.

use half::{bf16, f16};

use crate::layout::{self, Form, Line};
use crate::simd::{Simd, Vector};

/// A type that weights are stored in: f32, and the f16 and bf16 of the crate `half`.
///
/// # Safety
/// Any `size_of::<Self::Line>()` initialised bytes are a valid [`Self::Line`] ([`read_lines`] makes lines of a
/// file's), and bytes of zero are [`ZERO`](Self::ZERO) (`Cell::with_isa_boxed` zeroes memory).
pub unsafe trait Element: Copy + 'static {
    /// 16 lanes of one column, or of those that share a line.
    type Line: Copy + core::fmt::Debug + Send + Sync + 'static;

    /// A line of zeros.
    const ZERO: Self::Line;

    /// Its layout.
    const FORM: Form;

    /// The type's name in Rust.
    const NAME: &'static str;

    /// Whether it is f32.
    const IS_F32: bool = false;

    /// Whether arithmetic in f16 suits the weights.
    const F16: bool = false;

    /// Whether a finite weight is finite when it is stored.
    fn holds(weight: f32) -> bool;

    /// Stores a weight in a lane of column `part` of those that share the line, rounded to nearest even. It was zero.
    fn put(line: &mut Self::Line, part: usize, lane: usize, weight: f32);

    /// Widens column `part` of a line to f32, exactly.
    fn load<S: Simd>(simd: S, line: &Self::Line, part: usize) -> S::Row;

    /// The lines, if they are of f16; else none.
    #[inline(always)]
    fn halves(_: &[Self::Line]) -> &[F16Line] {
        &[]
    }
}

// SAFETY: a line is 16 f32, and any 32 bits are one; those of `ZERO`, +0.0, are zero.
unsafe impl Element for f32 {
    type Line = Line;

    const ZERO: Line = Line::ZERO;
    const FORM: Form = layout::F32;
    const NAME: &'static str = "f32";
    const IS_F32: bool = true;

    fn holds(_: f32) -> bool {
        true
    }

    fn put(line: &mut Line, _: usize, lane: usize, weight: f32) {
        line.0[lane] = weight;
    }

    #[inline(always)]
    fn load<S: Simd>(simd: S, line: &Line, _: usize) -> S::Row {
        S::Row::load(simd, &line.0)
    }
}

/// Whether products and sums of the weights are made in f16.
pub(crate) const fn adds_in_f16<S: Simd, E: Element>() -> bool {
    S::F16 && E::F16
}

/// 16 lanes of f16, as bits.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(32))]
pub struct F16Line(pub(crate) [u16; 16]);

// SAFETY: a line is 16 u16, and any 16 bits are one; those of `ZERO` are zero.
unsafe impl Element for f16 {
    type Line = F16Line;

    const ZERO: F16Line = F16Line([0; 16]);
    const FORM: Form = layout::F16;
    const NAME: &'static str = "f16";
    const F16: bool = true;

    fn holds(weight: f32) -> bool {
        f16::from_f32(weight).is_finite()
    }

    fn put(line: &mut F16Line, _: usize, lane: usize, weight: f32) {
        line.0[lane] = f16::from_f32(weight).to_bits();
    }

    #[inline(always)]
    fn load<S: Simd>(simd: S, line: &F16Line, _: usize) -> S::Row {
        simd.widen_f16(&line.0)
    }

    #[inline(always)]
    fn halves(lines: &[F16Line]) -> &[F16Line] {
        lines
    }
}

/// 16 lanes of two columns of bf16, as bits: the first column's in the lower halves.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Bf16Line([u32; 16]);

/// A conversion instruction for each line would cost more than its bytes do. Two columns in one line take a load, a
/// shift and a mask.
// SAFETY: a line is 16 u32, and any 32 bits are one; those of `ZERO` are zero.
unsafe impl Element for bf16 {
    type Line = Bf16Line;

    const ZERO: Bf16Line = Bf16Line([0; 16]);
    const FORM: Form = layout::BF16;
    const NAME: &'static str = "bf16";

    fn holds(weight: f32) -> bool {
        bf16::from_f32(weight).is_finite()
    }

    fn put(line: &mut Bf16Line, part: usize, lane: usize, weight: f32) {
        line.0[lane] |= u32::from(bf16::from_f32(weight).to_bits()) << (16 * part);
    }

    #[inline(always)]
    fn load<S: Simd>(simd: S, line: &Bf16Line, part: usize) -> S::Row {
        simd.widen_bf16(&line.0, part == 1)
    }
}

/// Lines from their bytes, little-endian.
pub(crate) const fn read_lines<E: Element, const LEN: usize, const BYTES: usize>(
    bytes: &[u8; BYTES],
) -> [E::Line; LEN] {
    const { assert!(BYTES == size_of::<[E::Line; LEN]>(), "as many bytes as the lines have") };
    #[cfg(target_endian = "big")]
    let bytes = &swap_bytes(*bytes, size_of::<E::Line>() / 16);
    // SAFETY: `bytes` borrows as many initialised bytes as the lines have, as asserted above; the read needs no
    // alignment; any bytes are a line by the promise of `Element`, and `LEN` times as many an array of them.
    unsafe { bytes.as_ptr().cast::<[E::Line; LEN]>().read_unaligned() }
}

/// Turns each word round: a lane, or two that share one.
#[cfg(target_endian = "big")]
const fn swap_bytes<const BYTES: usize>(bytes: [u8; BYTES], word: usize) -> [u8; BYTES] {
    let (mut swapped, mut n) = (bytes, 0);
    while n < BYTES {
        swapped[n] = bytes[n / word * word + word - 1 - n % word];
        n += 1;
    }
    swapped
}

#[cfg(test)]
mod tests {
    use half::{bf16, f16};

    use super::Element;
    use crate::isa::{Isa, Token};
    use crate::simd::{Op, Scalar, Simd, Vector};

    /// Widens one line.
    struct Widen<'a, E: Element>(&'a E::Line, usize, &'a mut [f32; 16]);

    impl<E: Element> Op for Widen<'_, E> {
        type Output = ();

        #[inline(always)]
        fn run<S: Simd>(self, simd: S) {
            E::load(simd, self.0, self.1).store(simd, self.2);
        }
    }

    fn widened<E: Element>(isa: Isa, line: &E::Line, part: usize) -> [f32; 16] {
        let mut lanes = [0.0; 16];
        let token = Token::new(isa).unwrap_or(Token::Scalar(Scalar));
        token.run(Widen::<E>(line, part, &mut lanes));
        lanes
    }

    /// All bits of f16 and of bf16: those that a weight can have, and those that it cannot.
    #[test]
    fn every_half_widens_to_the_same_number_everywhere() {
        for isa in Isa::available() {
            for first in (0..=u16::MAX).step_by(16) {
                let halves: [u16; 16] = core::array::from_fn(|n| first + n as u16);
                for (n, wide) in widened::<f16>(isa, &super::F16Line(halves), 0).into_iter().enumerate() {
                    let exact = f16::from_bits(halves[n]).to_f32_const();
                    let same = wide.to_bits() == exact.to_bits() || (wide.is_nan() && exact.is_nan());
                    assert!(same, "{isa}: {:04x} is {exact:e}, not {wide:e}", halves[n]);
                }
                let pairs = halves.map(|half| u32::from(half) << 16 | u32::from(half.swap_bytes()));
                for (part, pairs_half) in [(0, halves.map(u16::swap_bytes)), (1, halves)] {
                    for (n, wide) in widened::<bf16>(isa, &super::Bf16Line(pairs), part).into_iter().enumerate() {
                        assert_eq!(wide.to_bits(), u32::from(pairs_half[n]) << 16, "{isa}: {:04x}", pairs_half[n]);
                    }
                }
            }
        }
    }

    #[test]
    fn a_weight_is_rounded_to_nearest_even_when_it_is_stored() {
        let stored = |weight: f32| {
            let (mut half, mut pair) = (<f16 as Element>::ZERO, <bf16 as Element>::ZERO);
            f16::put(&mut half, 0, 3, weight);
            bf16::put(&mut pair, 1, 3, weight);
            (widened::<f16>(Isa::Scalar, &half, 0)[3], widened::<bf16>(Isa::Scalar, &pair, 1)[3])
        };
        // Ties, the smallest subnormal of f16 and half of it, the largest f16.
        assert_eq!(stored(1.0 + 0.5f32.powi(11)), (1.0, 1.0));
        assert_eq!(stored(1.0 + 3.0 * 0.5f32.powi(11)).0, 1.0 + 0.5f32.powi(9));
        assert_eq!(stored(1.0 + 3.0 * 0.5f32.powi(8)).1, 1.0 + 0.5f32.powi(6));
        assert_eq!((stored(0.5f32.powi(24)).0, stored(0.5f32.powi(25)).0), (0.5f32.powi(24), 0.0));
        assert_eq!(stored(-65504.0).0, -65504.0);
        assert!(f16::holds(65519.99) && !f16::holds(65520.0) && !f16::holds(-1e9));
        assert!(bf16::holds(3.38e38) && !bf16::holds(f32::MAX));
    }
}
