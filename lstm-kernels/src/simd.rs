//! The little that a gate kernel asks of a SIMD instruction set.
//!
//! A kernel works on [`Row`](Simd::Row)s of 16 lanes, and on their halves and quarters where the tail of a layer is
//! folded (see [`layout`](crate::layout)). An instruction set implements [`Vector`] for the widths that it has; wider
//! ones are [`Pair`]s. Every operation is correctly rounded (IEEE 754, to nearest even), so that the same sequence of
//! operations gives the same bits everywhere.

#[cfg(target_arch = "aarch64")]
mod neon;
mod scalar;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(crate) use scalar::Scalar;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{V3, V4, V4F16, v3, v4};

/// Cell states whose magnitude is below this are flushed to zero: small enough that no user hears or sees it, large
/// enough that their products with weights and gates do not become subnormal.
pub(crate) const TINY: f32 = f32::from_bits((127 - 60) << 23); // 2^-60

/// Asks for data to be brought to the L2 cache, where there is a stable instruction for it.
#[cfg(feature = "lstm")]
#[inline(always)]
pub(crate) fn prefetch(data: &[f32]) {
    #[cfg(target_arch = "x86_64")]
    x86::prefetch(data);
    #[cfg(not(target_arch = "x86_64"))]
    let _ = data;
}

/// Asks for the cache line in which `data` begins to be brought to the nearest cache, where there is a stable
/// instruction for it.
#[inline(always)]
pub(crate) fn prefetch_near<T>(data: &T) {
    #[cfg(target_arch = "x86_64")]
    x86::prefetch_near(data);
    #[cfg(not(target_arch = "x86_64"))]
    let _ = data;
}

/// One instruction set, given as the token that proves it.
pub trait Simd: Copy {
    /// 16 lanes.
    type Row: Vector<Self, 16> + Split<Self::Half>;
    /// 8 lanes.
    type Half: Vector<Self, 8> + Split<Self::Quarter>;
    /// 4 lanes.
    type Quarter: Vector<Self, 4>;

    /// How many [`Row`](Simd::Row) accumulators the registers hold beside what else a loop needs.
    const ACCUMULATORS: usize;

    /// Whether they hold one chain of 6 lines, or both, where they do not hold those of all lines.
    const SIX_LINES: bool = false;

    /// Whether the tiles of a kernel are inlined into it. As functions of their own they are compiled faster, and with
    /// AVX2 take as long. See [`narrow`](crate::kernel::narrow).
    const INLINES_TILES: bool = false;

    /// Whether [`splat_each`](Simd::splat_each) asks for fewer loads than there are inputs.
    const SHUFFLES: bool = false;

    /// Whether [`Vector::range`] is a single operation.
    const RANGE: bool = false;

    /// Whether it is an [`F16Simd`].
    const F16: bool = false;

    /// Whether it is the portable one, where one operation follows the other: nothing gains from going side by side.
    const PORTABLE: bool = false;

    /// Whether the registers hold all chains of a group of lines.
    const MANY_REGISTERS: bool = Self::ACCUMULATORS >= 24;

    /// Whether they hold both chains of 4 lines.
    const BOTH_CHAINS: bool = Self::ACCUMULATORS >= 8;

    /// Widens 16 lanes of f16, given as bits, exactly.
    fn widen_f16(self, lanes: &[u16; 16]) -> Self::Row;

    /// Widens 16 lanes of bf16, which is exact: those in the upper halves of the given bits, or in the lower ones.
    fn widen_bf16(self, lanes: &[u32; 16], upper: bool) -> Self::Row;

    /// Four inputs, each in all lanes.
    #[inline(always)]
    fn splat_each(self, [a, b, c, d]: &[f32; 4]) -> [Self::Row; 4] {
        [Self::Row::splat(self, *a), Self::Row::splat(self, *b), Self::Row::splat(self, *c), Self::Row::splat(self, *d)]
    }

    /// Runs `op` with the instruction set enabled for all that is inlined into it.
    fn enter<O: Op>(self, op: O) -> O::Output;

    /// Whether [`enter`](Self::enter) runs `op` on narrower vectors: see [`Op::NARROW`].
    #[inline(always)]
    fn narrows<O: Op>(self, _op: &O) -> bool {
        false
    }

    /// Runs a part of a kernel as a function of its own.
    fn outline<F: Section<Self>>(self, section: F);

    /// Runs one of several tiles of a kernel: as a function of its own, but where
    /// [`INLINES_TILES`](Self::INLINES_TILES).
    #[inline(always)]
    fn tile<F: Section<Self>>(self, tile: F) {
        if const { Self::INLINES_TILES && !cfg!(debug_assertions) } {
            tile.run(self);
        } else {
            self.outline(tile);
        }
    }

    /// Runs a part of a kernel that may be a function of its own: inlined, unless that makes it slow to compile. With
    /// debug assertions it is one: the library is built in less than half of the time then, and without optimisation
    /// `step_batch` of (64, 64) in bf16 takes 0.3 MiB of stack, not 2.1. At `opt-level = 1` most steps take as long,
    /// small ones up to a third longer.
    #[inline(always)]
    fn section<F: Section<Self>>(self, section: F) {
        #[cfg(not(debug_assertions))]
        section.run(self);
        #[cfg(debug_assertions)]
        self.outline(section);
    }
}

/// A [`Simd`] that can do arithmetic in f16, for kernels that say so: it has other bits.
pub trait F16Simd: Simd {
    /// 32 lanes of f16.
    type Lanes: Copy;

    /// Rounds 16 numbers to f16, the finite ones to finite ones, and writes each twice into 32 bits.
    fn twice(self, lanes: &[f32; 16]) -> [u32; 16];
    /// 16 copies of a pair of f16.
    fn splat(self, pair: u32) -> Self::Lanes;
    /// Two lines of 16 lanes each.
    fn join(self, low: &[u16; 16], high: &[u16; 16]) -> Self::Lanes;
    fn mul(self, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes;
    /// `a * b + c`, rounded once.
    fn mul_add(self, a: Self::Lanes, b: Self::Lanes, c: Self::Lanes) -> Self::Lanes;
    /// The lower and the upper 16 lanes as f32.
    fn widen(self, lanes: Self::Lanes) -> [Self::Row; 2];
}

/// A computation, generic over the instruction set. `run` must be `#[inline(always)]`, else it is compiled
/// without the instruction set and becomes tens of times slower.
pub trait Op: Sized {
    /// What `run` returns.
    type Output;

    /// Whether an instruction set with arithmetic in f16 makes a difference.
    const F16: bool = false;

    /// Whether there may be a gain from AVX-512 with vectors of 256 bits, where the units have no more.
    const NARROW: bool = false;

    fn run<S: Simd>(self, simd: S) -> Self::Output;

    /// Whether there is, with these arguments.
    #[inline(always)]
    fn is_narrow(&self) -> bool {
        true
    }

    #[inline(always)]
    fn run_f16<S: F16Simd>(self, simd: S) -> Self::Output {
        self.run(simd)
    }
}

/// A part of a kernel, see [`Simd::section`]. `run` must be `#[inline(always)]` too.
pub trait Section<S> {
    fn run(self, simd: S);
}

/// Lets `pulp` run an [`Op`].
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
struct Call<S, O>(S, O);

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
impl<S: Simd, O: Op> pulp::NullaryFnOnce for Call<S, O> {
    type Output = O::Output;

    #[inline(always)]
    fn call(self) -> O::Output {
        self.1.run(self.0)
    }
}

/// Lets `pulp` run a [`Section`].
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
struct Outline<S, F>(S, F);

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
impl<S, F: Section<S>> pulp::NullaryFnOnce for Outline<S, F> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        self.1.run(self.0);
    }
}

/// `N` lanes of f32.
pub trait Vector<S, const N: usize>: Copy {
    fn splat(simd: S, value: f32) -> Self;
    fn load(simd: S, lanes: &[f32; N]) -> Self;
    fn store(self, simd: S, lanes: &mut [f32; N]);
    /// Stores as many of the first lanes as there are: all but 1 to 3, or none.
    fn store_most(self, simd: S, lanes: &mut [f32]);
    fn add(self, simd: S, other: Self) -> Self;
    fn mul(self, simd: S, other: Self) -> Self;
    fn div(self, simd: S, other: Self) -> Self;
    /// `self * factor + addend`, rounded once.
    fn mul_add(self, simd: S, factor: Self, addend: Self) -> Self;
    /// The polynomial of degree 4 in `self`, whose square is given, by Estrin's scheme; coefficients from the constant
    /// term on.
    #[inline(always)]
    fn polynomial(self, simd: S, square: Self, &[a, b, c, d, e]: &[f32; 5]) -> Self
    where
        S: Copy,
    {
        let low = Self::splat(simd, b).mul_add(simd, self, Self::splat(simd, a));
        let high = Self::splat(simd, d).mul_add(simd, self, Self::splat(simd, c));
        // Constants: no branch. Times 1 is exact, so an addition has the same bits.
        let high = if e == 1.0 { high.add(simd, square) } else { Self::splat(simd, e).mul_add(simd, square, high) };
        high.mul_add(simd, square, low)
    }
    /// x clamped to `-limit..=limit`; NaN stays NaN.
    fn clamp(self, simd: S, limit: f32) -> Self;
    /// [`clamp`](Self::clamp), where that is a single operation ([`Simd::RANGE`]) if NaN may become a number.
    #[inline(always)]
    fn range(self, simd: S, limit: f32) -> Self {
        self.clamp(simd, limit)
    }
    /// The smaller of x and `most`; NaN stays NaN.
    fn at_most(self, simd: S, most: f32) -> Self;
    /// Lanes in which `|reference| < TINY` become +0; the others stay. A NaN reference counts as large.
    fn zero_where_tiny(self, simd: S, reference: Self) -> Self;
}

/// [`Vector::store_most`] of 4 lanes, one by one: straight from the register.
#[inline(always)]
fn most_of_4<S>(_: S, value: impl pulp::bytemuck::NoUninit, lanes: &mut [f32]) {
    let value: [f32; 4] = pulp::cast(value);
    match lanes {
        [a] => *a = value[0],
        [a, b] => [*a, *b] = [value[0], value[1]],
        [a, b, c] => [*a, *b, *c] = [value[0], value[1], value[2]],
        _ => {}
    }
}

/// A vector that can be taken apart into its lower and upper half, and put together.
pub trait Split<Half> {
    fn split(self) -> [Half; 2];
    fn join(halves: [Half; 2]) -> Self;
}

/// [`Vector::store_most`] in two halves.
#[inline(always)]
fn most_of_two<S: Copy, V, H, const HALF: usize>(simd: S, value: V, lanes: &mut [f32])
where
    V: Split<H>,
    H: Vector<S, HALF>,
{
    let ([a, b], Some((low, high))) = (value.split(), lanes.split_first_chunk_mut()) else { return };
    a.store(simd, low);
    b.store_most(simd, high);
}

/// Two vectors that act as one of twice the width.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Pair<V>([V; 2]);

impl<V> Split<V> for Pair<V> {
    #[inline(always)]
    fn split(self) -> [V; 2] {
        self.0
    }

    #[inline(always)]
    fn join(halves: [V; 2]) -> Self {
        Self(halves)
    }
}

macro_rules! pair {
    ($half:literal, $full:literal) => {
        impl<S: Copy, V: Vector<S, $half>> Vector<S, $full> for Pair<V> {
            #[inline(always)]
            fn splat(simd: S, value: f32) -> Self {
                Self([V::splat(simd, value); 2])
            }
            #[inline(always)]
            fn load(simd: S, lanes: &[f32; $full]) -> Self {
                let [a, b] = pulp::bytemuck::cast_ref::<_, [[f32; $half]; 2]>(lanes);
                Self([V::load(simd, a), V::load(simd, b)])
            }
            #[inline(always)]
            fn store(self, simd: S, lanes: &mut [f32; $full]) {
                let [a, b] = pulp::bytemuck::cast_mut::<_, [[f32; $half]; 2]>(lanes);
                self.0[0].store(simd, a);
                self.0[1].store(simd, b);
            }
            #[inline(always)]
            fn store_most(self, simd: S, lanes: &mut [f32]) {
                most_of_two::<_, _, V, $half>(simd, self, lanes);
            }
            #[inline(always)]
            fn add(self, simd: S, other: Self) -> Self {
                Self([self.0[0].add(simd, other.0[0]), self.0[1].add(simd, other.0[1])])
            }
            #[inline(always)]
            fn mul(self, simd: S, other: Self) -> Self {
                Self([self.0[0].mul(simd, other.0[0]), self.0[1].mul(simd, other.0[1])])
            }
            #[inline(always)]
            fn div(self, simd: S, other: Self) -> Self {
                Self([self.0[0].div(simd, other.0[0]), self.0[1].div(simd, other.0[1])])
            }
            #[inline(always)]
            fn mul_add(self, simd: S, factor: Self, addend: Self) -> Self {
                Self([
                    self.0[0].mul_add(simd, factor.0[0], addend.0[0]),
                    self.0[1].mul_add(simd, factor.0[1], addend.0[1]),
                ])
            }
            #[inline(always)]
            fn polynomial(self, simd: S, square: Self, coefficients: &[f32; 5]) -> Self {
                Self([
                    self.0[0].polynomial(simd, square.0[0], coefficients),
                    self.0[1].polynomial(simd, square.0[1], coefficients),
                ])
            }
            #[inline(always)]
            fn clamp(self, simd: S, limit: f32) -> Self {
                Self([self.0[0].clamp(simd, limit), self.0[1].clamp(simd, limit)])
            }
            #[inline(always)]
            fn range(self, simd: S, limit: f32) -> Self {
                Self([self.0[0].range(simd, limit), self.0[1].range(simd, limit)])
            }
            #[inline(always)]
            fn at_most(self, simd: S, most: f32) -> Self {
                Self([self.0[0].at_most(simd, most), self.0[1].at_most(simd, most)])
            }
            #[inline(always)]
            fn zero_where_tiny(self, simd: S, reference: Self) -> Self {
                Self([self.0[0].zero_where_tiny(simd, reference.0[0]), self.0[1].zero_where_tiny(simd, reference.0[1])])
            }
        }
    };
}
pair!(4, 8);
pair!(8, 16);
