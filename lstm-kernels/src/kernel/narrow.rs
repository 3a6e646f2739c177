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
//! (1, 8)    34.1  31.7             (1, 20)       87.6   63.5             (64, 64)     1,186    822
//! (1, 12)   41.2  39.1             (1, 32)        177    137             (128, 128)   4,660  3,081
//! (1, 16)   50.4  45.2             (1, 40)        270    190             (256, 256)  18,270 14,400
//! (16, 8)   36.3  32.5             (10, 20)       115     80             (512, 512)  72,700 74,100
//! ```
//!
//! (One step after the other. With a fence behind each, which keeps the next from beginning: (1, 8) 42.8 to 41, (1,
//! 16), whose halves are there for the next step, 63 to 66.)
//!
//! Zen 4's L1 cache has 32 KiB. Of a layer of 17 to 28 or 33 to 48 units with more weights, whose lines are one tile in
//! whole vectors, all came from the L2 cache in each step, and AVX2 was up to a fourth faster. So they go on halves,
//! too, in the tiles that AVX2 has, which turn round ([`tiles`](super::woven::tiles); those of 9 lines
//! [`sums::turns_round`](super::sums::turns_round)):
//!
//! ```text
//! (100, 20)  328   292      (40, 36)   393   343      (48, 48)     616   583
//! (70, 24)   295   258      (14, 40)   268   226
//! (80, 24)   348   292      (20, 40)   352   253     LstmCellDyn  (20, 40)   367   291      Lstm  (1, 48)    360   276
//! (64, 28)   371   292      (8, 44)    343   252                  (8, 44)    367   289            (16, 48)   423   337
//! (80, 28)   434   362      (1, 48)    346   254                  (1, 48)    363   278            (48, 48)   528   436
//! (26, 36)   291   268      (16, 48)   457   352
//! ```
//!
//! Their tiles are inlined ([`Simd::INLINES_TILES`](crate::simd::Simd::INLINES_TILES)): as functions of their own,
//! which they are to the compiler where a program also has a `run` or `step_batch` of the cell, (64, 28) takes 330,
//! (20, 40) 293, (1, 48) 285, in f16 (64, 64) 860 for 820. (AVX2's do not mind, and nobody knows why these do: it is
//! neither `vzeroupper` nor loads of what was stored in two pieces.)
//!
//! **Tried and lost.** Other layers of f32: (1, 20) the same, (1, 24) 4 %, (1, 32) 11 % slower; (12, 40), whose weights
//! are 33 KiB, 5 %; (48, 28) 3 %. Small ones with more inputs, which keep the units busy: (16, 16) 9 %, (40, 8) 11 %
//! slower. Tiles that turn round, but are not woven: (20, 40) 289, (1, 48) 293, (48, 48) 635. Of 5 lines, in tiles of 4
//! and one, some layers lose: (90, 20) and (120, 20) 2 to 3 %; of 9 lines, those of more than 64 KiB: (80, 36) 4 %.

use crate::element::Element;
use crate::layout::Line;
#[cfg(doc)]
use crate::simd::Op;

/// Bytes of weights of which an L1 cache of 32 KiB holds so few from one step to the next that this is worth it.
const FAR: usize = 67 << 9;

/// Whether one stream of a layer of so many lines, in one group, gains, if it has so many lines of x.
pub(crate) const fn serves(lines: usize, x_lines: usize) -> bool {
    lines <= 4 && x_lines <= 32
}

/// Whether one stream of a larger layer does, in [`tiles`](super::woven::tiles), with so many columns of x and h.
pub(crate) const fn serves_in_tiles<E: Element>(lines: usize, columns: usize) -> bool {
    E::IS_F32 && matches!(lines, 5..=7 | 9..=12) && size_of::<Line>() * lines * columns > FAR
}
