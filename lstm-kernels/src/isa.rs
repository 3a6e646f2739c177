//! Which instruction set a kernel may use: the only place that chooses.
//!
//! A [`Token`] holds a `pulp` token, and a `pulp` token is the proof that this CPU has the features: it cannot be made
//! without them. (Without `std`, [`simd::v3`] and [`simd::v4`] look whether the system has switched them on.) So a cell
//! that holds a [`Token`] may run its kernel without asking again, and no `unsafe` is needed to call it.

use core::{fmt, str::FromStr};

use crate::error::{Error, Excerpt};
#[cfg(target_arch = "x86_64")]
use crate::simd::{self, V3, V4, V4F16};
use crate::simd::{Op, Scalar, Simd};

/// The name of the environment variable that sets what [`Isa::detect`] chooses (feature `std`).
pub const ISA_VARIABLE: &str = "LSTM_KERNELS_ISA";

/// An instruction set that a kernel may use.
///
/// It names what *may* be used, not how wide each operation is; the results are the same bits on all of them, with one
/// exception, which is never chosen for you: [`V4F16`](Self::V4F16).
///
/// ```
/// use lstm_kernels::Isa;
/// assert!(Isa::Scalar.is_available());
/// assert_eq!("v3".parse(), Ok(Isa::V3));
/// assert!(Isa::available().any(|isa| isa == Isa::Scalar));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Isa {
    /// Portable Rust without intrinsics. With `std`, AArch64 and x86-64 programs compiled with `+fma` use the fused
    /// multiply-add that the CPU has; elsewhere one is computed in f64 with the same result, several times slower
    /// than a multiplication and an addition (and slower still where f64 has no hardware).
    Scalar,
    /// x86-64-v3: AVX2, FMA and F16C.
    V3,
    /// x86-64-v4: AVX-512 F, BW, CD, DQ and VL.
    V4,
    /// [`V4`](Self::V4) with AVX512-FP16, by name only. Cells of `dtype = f16` multiply and add in f16 on it: about
    /// twice as fast from (64, 64) on, but *with other bits* and a larger error, see [`lstm_cell!`](crate::lstm_cell).
    /// All others do as on `V4`.
    V4F16,
    /// AArch64's Advanced SIMD.
    Neon,
}

impl Isa {
    /// All that this version knows: for each architecture from the least to the most that it asks of a CPU.
    pub const ALL: &'static [Self] = &[Self::Scalar, Self::V3, Self::V4, Self::V4F16, Self::Neon];

    /// The name that `Display` prints and that `FromStr` and `LSTM_KERNELS_ISA` read, in upper or lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::V3 => "v3",
            Self::V4 => "v4",
            Self::V4F16 => "v4f16",
            Self::Neon => "neon",
        }
    }

    /// Whether this CPU has it. Cached: a call costs one relaxed load, except for [`V4F16`](Self::V4F16), for which the
    /// CPU is asked each time.
    pub fn is_available(self) -> bool {
        Token::new(self).is_ok()
    }

    /// What this CPU has, in the order of [`ALL`](Self::ALL).
    pub fn available() -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied().filter(|isa| isa.is_available())
    }

    /// The fastest of those with the same bits that this CPU has, or the one that the environment variable
    /// `LSTM_KERNELS_ISA` names (`scalar`, `v3`, `v4`, `v4f16` or `neon`; read with feature `std` only, at each call).
    ///
    /// # Errors
    /// [`Error::WrongIsaVariable`] if the variable holds another text, [`Error::IsaUnavailable`] if it names one that
    /// this CPU lacks: it never falls back silently. (An empty variable is another text.)
    pub fn detect() -> Result<Self, Error> {
        #[cfg(feature = "std")]
        if let Some(name) = std::env::var_os(ISA_VARIABLE) {
            let name = name.to_string_lossy();
            let isa = name.parse().map_err(|_| Error::WrongIsaVariable { found: Excerpt::new(&name) })?;
            return Token::new(isa).map(|_| isa);
        }
        Ok(Token::fastest().isa())
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Isa {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Self::ALL
            .iter()
            .copied()
            .find(|isa| isa.name().eq_ignore_ascii_case(name))
            .ok_or(Error::UnknownIsa { found: Excerpt::new(name) })
    }
}

/// An [`Isa`] that this CPU has been seen to have.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Token {
    Scalar(Scalar),
    #[cfg(target_arch = "x86_64")]
    V3(V3),
    #[cfg(target_arch = "x86_64")]
    V4(V4),
    #[cfg(target_arch = "x86_64")]
    V4F16(V4F16),
    #[cfg(target_arch = "aarch64")]
    Neon(pulp::aarch64::Neon),
}

impl Token {
    pub(crate) fn new(isa: Isa) -> Result<Self, Error> {
        let token = match isa {
            Isa::Scalar => Some(Self::Scalar(Scalar)),
            #[cfg(target_arch = "x86_64")]
            Isa::V3 => simd::v3().map(Self::V3),
            #[cfg(target_arch = "x86_64")]
            Isa::V4 => simd::v4().map(Self::V4),
            #[cfg(target_arch = "x86_64")]
            Isa::V4F16 => V4F16::try_new().map(Self::V4F16),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => pulp::aarch64::Neon::try_new().map(Self::Neon),
            #[allow(unreachable_patterns)]
            _ => None,
        };
        token.ok_or(Error::IsaUnavailable { isa })
    }

    /// The fastest of those with the same bits that this CPU has, by [`Isa::ALL`]'s order. Cached: a call costs one
    /// relaxed load and a predictable branch for each instruction set that is asked for.
    #[inline]
    pub(crate) fn fastest() -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(simd) = simd::v4() {
            return Self::V4(simd);
        } else if let Some(simd) = simd::v3() {
            return Self::V3(simd);
        }
        #[cfg(target_arch = "aarch64")]
        if let Some(simd) = pulp::aarch64::Neon::try_new() {
            return Self::Neon(simd);
        }
        Self::Scalar(Scalar)
    }

    /// Runs `op` on it: one predictable branch.
    #[inline(always)]
    pub(crate) fn run<O: Op>(self, op: O) -> O::Output {
        match self {
            Self::Scalar(simd) => simd.enter(op),
            #[cfg(target_arch = "x86_64")]
            Self::V3(simd) => simd.enter(op),
            #[cfg(target_arch = "x86_64")]
            Self::V4(simd) => simd.enter(op),
            #[cfg(target_arch = "x86_64")]
            Self::V4F16(simd) => enter_v4_f16(simd, op),
            #[cfg(target_arch = "aarch64")]
            Self::Neon(simd) => simd.enter(op),
        }
    }

    pub(crate) const fn isa(self) -> Isa {
        match self {
            Self::Scalar(_) => Isa::Scalar,
            #[cfg(target_arch = "x86_64")]
            Self::V3(_) => Isa::V3,
            #[cfg(target_arch = "x86_64")]
            Self::V4(_) => Isa::V4,
            #[cfg(target_arch = "x86_64")]
            Self::V4F16(_) => Isa::V4F16,
            #[cfg(target_arch = "aarch64")]
            Self::Neon(_) => Isa::Neon,
        }
    }
}

/// What gains nothing from arithmetic in f16 runs as on [`V4`]: the same code, the same bits.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn enter_v4_f16<O: Op>(simd: V4F16, op: O) -> O::Output {
    if const { O::F16 } { simd.enter(op) } else { (*simd).enter(op) }
}

/// What a cell holds: a token, or the word to take the fastest at each call. A constant can hold no more than the
/// word, as it is made before anyone knows the CPU.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Choice {
    Token(Token),
    Fastest,
}

impl Choice {
    #[inline(always)]
    pub(crate) fn token(self) -> Token {
        match self {
            Self::Token(token) => token,
            Self::Fastest => Token::fastest(),
        }
    }
}
