//! One stream through a large layer: x's part of each chunk of time steps is computed in between the steps of the chunk
//! before ([`kernel::overlap`](crate::kernel::overlap) has the idea and the figures).

use core::ops::RangeInclusive;

use super::{On, Packed, Pass, Place};
use crate::element::Element;
use crate::isa::{Isa, Token};
use crate::kernel::overlap::{Ahead, Rest, STEPS, Steps, by_chain, serves};
use crate::simd::{Op, Simd};

/// Chunks from which on it is done: the first one's x has nothing to go beside.
const CHUNKS: usize = 3;

/// Bytes of h's weights: more than the L1 cache holds, and not so much that they keep the memory busy ((896, 896) is 7 %
/// faster, (1024, 1024) 1 %), for x's weights are there twice.
const H_BYTES: RangeInclusive<usize> = 56 << 10..=12 << 20;

/// Some time steps, and where their sums begin in a pass's `z`.
#[derive(Clone, Copy)]
struct Chunk {
    first: usize,
    len: usize,
    z: usize,
}

impl Chunk {
    /// The sums from some row on.
    const fn place(self, row: usize) -> Place {
        Place { first: self.z + 4 * row, row: 4, line: STEPS }
    }
}

impl<E: Element> Packed<E> {
    /// With what it takes, if a layer gains from it and is what the kernel is written for.
    pub(super) fn ready_to_overlap(mut self, token: Token) -> Self {
        let groups_of_4 = self.sizes.hidden.is_multiple_of(16) && self.projection.is_none();
        let input = self.sizes.input >= 16 && self.sizes.input.is_multiple_of(2);
        let (w_ih, w_hh) = self.tensors();
        let served = matches!(token.isa(), Isa::V4 | Isa::V4F16) && E::IS_F32;
        if served && groups_of_4 && input && H_BYTES.contains(&size_of_val(w_hh)) {
            self.x_by_chain = by_chain::<E>(w_ih, self.sizes.input);
        }
        self
    }

    /// Lines of `z` that it needs, if the layer is ready: the sums of two chunks, and those that wait.
    pub(super) fn overlap_lines(&self) -> usize {
        if self.x_by_chain.is_empty() { 0 } else { 2 * STEPS * self.bias.len() + 4 * STEPS }
    }
}

impl<E: Element> On<'_, E> {
    /// All steps, if that is faster so.
    #[inline(always)]
    pub(super) fn overlapped<S: Simd>(&mut self, simd: S) -> bool {
        let (steps, chunk_lines) = (self.pass.active.len(), STEPS * self.layer.bias.len());
        let one = self.pass.batch == 1 && steps >= CHUNKS * STEPS && self.pass.active[steps - 1] == 1;
        if const { !serves::<S, E>() } || !one || self.layer.x_by_chain.is_empty() {
            return false;
        }
        let room = self.pass.z.len() >= self.layer.overlap_lines();
        debug_assert!(room, "`scratch_lines` counts them");
        if !room {
            return false;
        }
        let chunk = |pass: &Pass<'_>, done, z| {
            let (first, len) = pass.chunk(done, STEPS);
            Chunk { first, len, z }
        };
        let mut here = chunk(&self.pass, 0, 0);
        self.input_part(simd, here.first, here.len, here.place(0));
        let mut done = here.len;
        while here.len > 0 {
            let next = chunk(&self.pass, done, chunk_lines - here.z);
            self.both(simd, here, next);
            if !next.len.is_multiple_of(2) {
                let last = next.len - 1;
                self.input_part(simd, next.first + last, 1, next.place(last));
            }
            here = next;
            done += next.len;
        }
        true
    }

    /// The steps of a chunk, and x's part of the next one but for an odd last row.
    #[inline(always)]
    fn both<S: Simd>(&mut self, simd: S, here: Chunk, next: Chunk) {
        let start = if self.pass.reverse { here.first + here.len - 1 } else { here.first };
        let backwards = self.pass.backwards(start);
        let (layer, pass) = (self.layer, &mut self.pass);
        let (input, hidden, chunk_lines) = (layer.sizes.input, layer.sizes.hidden, STEPS * layer.bias.len());
        let (_, w_hh) = layer.tensors();
        let (z, waiting) = pass.z.split_at_mut(2 * chunk_lines);
        let (low, high) = z.split_at_mut(chunk_lines);
        let (z, next_z) = if here.z < next.z { (low, high) } else { (high, low) };
        let x = &pass.x[next.first * input..][..next.len * input];
        let mut ahead = Ahead::<E>::new(&layer.x_by_chain, &layer.bias, (x, input), next_z, waiting);
        let steps = Steps {
            w_hh,
            z: z.as_chunks().0,
            h: &mut pass.h[..hidden],
            c: &mut pass.c[..hidden],
            next: &mut pass.next[..hidden],
            out: &mut pass.out[here.first * pass.out_stride + pass.out_first..],
            out_stride: pass.out_stride,
            steps: here.len,
            reverse: pass.reverse,
            backwards,
            ahead: &mut ahead,
        };
        apart(simd, steps);
        apart(simd, Rest(&mut ahead));
    }
}

/// Enters a kernel as a function of its own: inlined into the only place that calls it, it lacked registers (20 %
/// slower).
#[inline(never)]
fn apart<S: Simd>(simd: S, op: impl Op) {
    simd.enter(op);
}
