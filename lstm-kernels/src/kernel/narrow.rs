//! What gains from AVX-512 with vectors of 256 bits, on CPUs whose units have no more ([`Op::NARROW`]): Zen 4.
//!
//! Zen 4 takes a vector of 512 bits as two halves. Where a step waits for its own results, that saves nothing and costs
//! what it takes to divide 16 lanes and to take vectors apart. So one stream of a small layer goes on halves, which
//! still have 32 registers and the clamp in one operation that AVX2 lacks. Lines of f16, too, are widened faster by
//! halves (to widen 16 lanes and multiply takes 1.96 cycles of the units, in two halves 1.27), so one stream and two
//! do, whatever the layer; more of them share what is widened.
//!
//! On Zen 4, ns a step:
//!
//! ```text
//! (1, 4)    29.0  27.3        f16  (1, 16)       57.5   50.2        f16  (48, 48)       679    468
//! (1, 8)    34.1  31.7             (1, 20)       87.6   63.5             (64, 64)     1,186    860
//! (1, 12)   41.2  39.1             (1, 32)        177    137             (128, 128)   4,660  3,180
//! (1, 16)   50.4  45.2             (1, 40)        270    190             (256, 256)  18,270 14,400
//! (16, 8)   36.3  32.5             (10, 20)       115     80             (512, 512)  72,700 74,100
//! ```
//!
//! (One step after the other. With a fence behind each, which keeps the next from beginning: (1, 8) 42.8 to 41, (1,
//! 16), whose halves are there for the next step, 63 to 66.)
//!
//! **Tried and lost.** Larger layers of f32: (1, 20) the same, (1, 24) 4 %, (1, 32) 11 % slower. Small ones with more
//! inputs, which keep the units busy: (16, 16) 9 %, (40, 8) 11 % slower.

#[cfg(doc)]
use crate::simd::Op;

/// Whether one stream of a layer of so many lines, in one group, gains, if it has so many lines of x.
pub(crate) const fn serves(lines: usize, x_lines: usize) -> bool {
    lines <= 4 && x_lines <= 32
}
