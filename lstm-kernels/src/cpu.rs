//! Which CPU this is, for choices that its instruction sets ([`isa`](crate::isa)) do not decide: of two ways with the
//! same bits, the faster one.

#[cfg(target_arch = "x86_64")]
use core::arch::x86_64::__cpuid;
#[cfg(target_arch = "x86_64")]
use core::sync::atomic::{AtomicU8, Ordering};

/// Those that make a difference.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Cpu {
    Intel = 1,
    /// AMD's up to Zen 4.
    UpToZen4 = 2,
    Other = 3,
}

/// Whether Intel made the CPU.
#[inline]
pub(crate) fn intel() -> bool {
    cpu() == Cpu::Intel
}

/// Whether to do what pays on Intel's CPUs: there, but with debug assertions on all others, so that the tests of both
/// builds go both ways on every CPU.
#[inline]
pub(crate) fn as_on_intel() -> bool {
    intel() != cfg!(debug_assertions)
}

/// Whether to do what pays on AMD's CPUs up to Zen 4, whose units have 256 bits; in the tests as above.
#[inline]
pub(crate) fn as_up_to_zen_4() -> bool {
    (cpu() == Cpu::UpToZen4) != cfg!(debug_assertions)
}

/// The kind of this CPU, which is asked once.
#[cfg(target_arch = "x86_64")]
#[inline]
fn cpu() -> Cpu {
    static KNOWN: AtomicU8 = AtomicU8::new(0);

    match KNOWN.load(Ordering::Relaxed) {
        0 => {
            let cpu = ask();
            KNOWN.store(cpu as u8, Ordering::Relaxed);
            cpu
        }
        1 => Cpu::Intel,
        2 => Cpu::UpToZen4,
        _ => Cpu::Other,
    }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn cpu() -> Cpu {
    Cpu::Other
}

#[cfg(target_arch = "x86_64")]
#[cold]
fn ask() -> Cpu {
    let vendor = __cpuid(0);
    match [vendor.ebx, vendor.edx, vendor.ecx].map(u32::to_le_bytes).as_flattened() {
        b"GenuineIntel" => Cpu::Intel,
        // The base family, which is 15, and the extended one: 25 is Zen 3 and Zen 4.
        b"AuthenticAMD" if 15 + (__cpuid(1).eax >> 20 & 0xff) <= 25 => Cpu::UpToZen4,
        _ => Cpu::Other,
    }
}
