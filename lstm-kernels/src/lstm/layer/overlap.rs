//! One stream through a large layer: x's part of each chunk of time steps is computed in between the steps of the chunk
//! before ([`kernel::overlap`](crate::kernel::overlap) has the idea and the figures).

use alloc::vec::Vec;

use super::{LayerPass, Packed, Pass, Place};
use crate::cpu::intel;
use crate::element::Element;
use crate::isa::{Isa, Token};
use crate::kernel::overlap::{Ahead, Plan, Rest, STEPS, Steps, WAITING, by_chain, serves};
use crate::layout;
use crate::simd::{Op, Simd};
use crate::weights::Sizes;

/// Chunks from which on it is done: the first one's x has nothing to go beside.
const CHUNKS: usize = 3;

/// The most bytes of h's weights: more keep the memory busy ((896, 896) is 7 % faster, (1024, 1024) 1 %), for x's
/// weights are there twice. (A layer of several groups has no fewer than it takes.)
const MOST: usize = 12 << 20;

/// The fewest inputs that are worth it.
const INPUTS: usize = 15;

/// What it takes besides the packed weights.
#[derive(Clone)]
pub(super) struct Overlap<E: Element> {
    plan: Plan,
    /// x's columns once more.
    x_by_chain: Vec<E::Line>,
}

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
        Place::ByGroup { first: self.z, row }
    }
}

impl<E: Element> Packed<E> {
    /// With what it takes, if a layer gains from it and is what the kernel is written for.
    pub(super) fn ready_to_overlap(mut self, token: Token) -> Self {
        let Sizes { input, hidden, .. } = self.sizes;
        let (w_ih, w_hh) = self.tensors();
        let served = matches!(token.isa(), Isa::V4 | Isa::V4F16) && E::IS_F32 && self.projection.is_none();
        // (With debug assertions on every CPU, for the tests.)
        let pays = served && (cfg!(debug_assertions) || !intel());
        if pays && input >= INPUTS && self.groups > 1 && size_of_val(w_hh) <= MOST {
            let groups = self.groups - usize::from(self.last_lines() > 0);
            let plan = Plan::new(self.groups, groups, input, hidden);
            let x_by_chain = by_chain::<E>(&w_ih[..E::FORM.group * input * plan.groups], input);
            self.overlap = (plan.groups > 0).then_some(Overlap { plan, x_by_chain });
        }
        self
    }

    /// The lines of the last group, or 0 if they are 4 as those of all.
    fn last_lines(&self) -> usize {
        match self.bias.len() - E::FORM.group * (self.groups - 1) {
            4 => 0,
            lines => lines,
        }
    }

    /// Lines of `z` that it needs, if the layer is ready: the sums of two chunks, and those that wait.
    pub(super) fn overlap_lines(&self) -> usize {
        if self.overlap.is_none() { 0 } else { 2 * STEPS * self.bias.len() + WAITING }
    }

    /// Floats that it needs in [`Pass::next`] behind the new h: a chunk's rows of an odd number of inputs, made even.
    pub(super) fn overlap_floats(&self, steps: usize) -> usize {
        let input = self.sizes.input;
        let needed = self.overlap.is_some() && steps >= CHUNKS * STEPS && !input.is_multiple_of(2);
        if needed { STEPS * (input + 1) } else { 0 }
    }
}

impl<E: Element> LayerPass<'_, E> {
    /// All steps, if that is faster so.
    #[inline(always)]
    pub(super) fn overlapped<S: Simd>(&mut self, simd: S) -> bool {
        if const { !serves::<S, E>() } {
            return false; // and nothing of what follows is built
        }
        let (steps, chunk_lines) = (self.pass.active.len(), STEPS * self.layer.bias.len());
        let one = self.pass.batch == 1 && steps >= CHUNKS * STEPS && self.pass.active[steps - 1] == 1;
        let Some(overlap) = self.layer.overlap.as_ref().filter(|_| one) else { return false };
        let next_len = layout::padded(self.layer.sizes.hidden) + self.layer.overlap_floats(steps);
        let room = self.pass.z.len() >= self.layer.overlap_lines() && self.pass.next.len() >= next_len;
        debug_assert!(room, "`room` counts them");
        if !room {
            return false;
        }
        let chunk = |pass: &Pass<'_>, done, z| {
            let (first, len) = pass.chunk(done, STEPS);
            Chunk { first, len, z }
        };
        let (ahead, groups) = (overlap.plan.groups, self.layer.groups);
        let mut here = chunk(&self.pass, 0, 0);
        self.input_part(simd, here.first, here.len, 0..groups, here.place(0));
        let mut done = here.len;
        while here.len > 0 {
            let next = chunk(&self.pass, done, chunk_lines - here.z);
            if next.len > 0 {
                self.input_part(simd, next.first, next.len, ahead..groups, next.place(0));
            }
            self.chunk_beside_next(simd, overlap, here, next);
            if !next.len.is_multiple_of(2) {
                let last = next.len - 1;
                self.input_part(simd, next.first + last, 1, 0..ahead, next.place(last));
            }
            here = next;
            done += next.len;
        }
        true
    }

    /// The steps of a chunk, and x's part of the next one but for an odd last row.
    #[inline(always)]
    fn chunk_beside_next<S: Simd>(&mut self, simd: S, overlap: &Overlap<E>, here: Chunk, next: Chunk) {
        let start = if self.pass.reverse { here.first + here.len - 1 } else { here.first };
        let backwards = self.pass.backwards(start);
        let (layer, pass) = (self.layer, &mut self.pass);
        let (input, hidden, chunk_lines) = (layer.sizes.input, layer.sizes.hidden, STEPS * layer.bias.len());
        let padded = layout::padded(hidden);
        let (_, w_hh) = layer.tensors();
        let (z, waiting) = pass.z.split_at_mut(2 * chunk_lines);
        let (low, high) = z.split_at_mut(chunk_lines);
        let (z, next_z) = if here.z < next.z { (&*low, high) } else { (&*high, low) };
        let (next_h, rows) = pass.next.split_at_mut(padded);
        let x = even(&pass.x[next.first * input..][..next.len * input], input, rows);
        let inputs = input.next_multiple_of(2);
        let ahead = &mut Ahead::<E>::new(&overlap.x_by_chain, &layer.bias, (x, inputs), next_z, waiting);
        let (h, c, next) = (&mut pass.h[..padded], &mut pass.c[..padded], next_h);
        let out = &mut pass.out[here.first * pass.out_stride + pass.out_first..];
        let (steps, reverse, out_stride) = (here.len, pass.reverse, pass.out_stride);
        macro_rules! steps {
            ($($last:literal $cut:literal),*) => { match (layer.last_lines(), overlap.plan.cut) {
                $( ($last, $cut) => apart(simd, Steps::<E, $last, $cut> {
                    w_hh, z, h, c, next, hidden, out, out_stride, steps, reverse, backwards, ahead: &mut *ahead,
                }), )*
                (lines, _) => debug_assert!(false, "no function for a last group of {lines} lines"),
            } };
        }
        steps!(0 false, 0 true, 5 false, 5 true, 6 false, 6 true, 7 false, 7 true);
        apart(simd, Rest(ahead));
    }
}

/// Rows of an even number of inputs: an odd number is copied, and gets one whose product with a weight of zero, the
/// kernel's last one then, changes nothing: not even the sign of a zero, being negative.
fn even<'a>(x: &'a [f32], input: usize, copy: &'a mut [f32]) -> &'a [f32] {
    if input.is_multiple_of(2) {
        return x;
    }
    for (row, copy) in x.chunks_exact(input).zip(copy.chunks_exact_mut(input + 1)) {
        copy[..input].copy_from_slice(row);
        copy[input] = -0.0;
    }
    &copy[..x.len() / input * (input + 1)]
}

/// Enters a kernel as a function of its own: inlined into the only place that calls it, it lacked registers (20 %
/// slower).
#[inline(never)]
fn apart<S: Simd>(simd: S, op: impl Op) {
    simd.enter(op);
}
