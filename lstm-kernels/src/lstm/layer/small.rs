//! Small layers: of f32, of one group of lines, without projection, of up to 64 inputs, not on the scalar kernels. (Those of
//! other elements gain nothing from being so: they are not worth the functions.)
//!
//! One function does all steps of a stream, or of four side by side where one does not keep the units busy
//! ([`Sized`](recurrence::Sized)). A single step of one stream goes straight to it ([`Layer::step`]): what a pass prepares for
//! more takes longer than the step ([`LstmCellDyn`](crate::LstmCellDyn) of (1, 16) 75 to 53 ns on Zen 5).

use core::ops::Range;

use super::{Layer, On, Packed};
use crate::element::Element;
use crate::isa::Token;
use crate::kernel::chains;
use crate::kernel::recurrence::{self, Recurrence};
use crate::layout;
use crate::simd::{Op, Simd, dispatch};
use crate::weights::Sizes;

impl Layer {
    /// Whether [`step`](Self::step) can be used.
    pub(crate) fn is_small(&self) -> bool {
        with!(self, layer => layer.small)
    }

    /// One time step of one stream through a small layer: x \[input\], `out` \[hidden\], and the states with padding.
    pub(crate) fn step(&self, token: Token, x: &[f32], h: &mut [f32], c: &mut [f32], out: &mut [f32]) {
        with!(self, layer => dispatch(token, OneStep { layer, x, h, c, out }));
    }
}

/// See [`Layer::step`].
struct OneStep<'a, E: Element> {
    layer: &'a Packed<E>,
    x: &'a [f32],
    h: &'a mut [f32],
    c: &'a mut [f32],
    out: &'a mut [f32],
}

impl<E: Element> Op for OneStep<'_, E> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { layer, x, h, c, out } = self;
        let Packed { sizes: Sizes { input, hidden, .. }, ref bias, .. } = *layer;
        let (w_ih, w_hh) = layer.tensors();
        let (x_stride, out_row, out_stride, times, reverse) = (input, hidden, hidden, 0..1, false);
        let step =
            Recurrence { w_ih, w_hh, bias, x, x_stride, input, h, c, hidden, out, out_row, out_stride, times, reverse };
        layer.enter(simd, 1, step);
    }
}

impl<E: Element> On<'_, E> {
    /// All steps of one stream after another, or of four where that is faster, if the layer is small.
    #[inline(always)]
    pub(super) fn small<S: Simd>(&mut self, simd: S) -> bool {
        let most = recurrence::streams::<S, E>(self.layer.bias.len());
        if most == 0 || !self.layer.small {
            return false;
        }
        let (mut first, batch) = (0, self.pass.batch);
        while first < batch {
            let count = if batch - first < most { 1 } else { most };
            self.side_by_side(simd, first, count);
            first += count;
        }
        true
    }

    /// All steps of streams through a small layer.
    #[inline(always)]
    fn side_by_side<S: Simd>(&mut self, simd: S, first: usize, count: usize) {
        // Where some are longer, they go on alone; backwards they have begun alone.
        let (together, reverse) = (self.steps(first + count - 1), self.pass.reverse);
        if !reverse {
            self.streams(simd, first, count, 0..together);
        }
        for stream in first..first + count {
            self.streams(simd, stream, 1, together..self.steps(stream));
        }
        if reverse {
            self.streams(simd, first, count, 0..together);
        }
    }

    /// How many steps a stream has.
    fn steps(&self, stream: usize) -> usize {
        self.pass.active.partition_point(|&active| active > stream)
    }

    /// Some steps of one stream or of four.
    #[inline(always)]
    fn streams<S: Simd>(&mut self, simd: S, first: usize, count: usize, times: Range<usize>) {
        if times.is_empty() {
            return;
        }
        let (layer, pass) = (self.layer, &mut self.pass);
        let (sizes, padded) = (layer.sizes, layout::padded(layer.sizes.hidden));
        let (w_ih, w_hh) = layer.tensors();
        let steps = Recurrence::<E> {
            w_ih,
            w_hh,
            bias: &layer.bias,
            x: &pass.x[first * sizes.input..],
            x_stride: pass.batch * sizes.input,
            input: sizes.input,
            h: &mut pass.h[first * padded..][..count * padded],
            c: &mut pass.c[first * padded..][..count * padded],
            hidden: sizes.hidden,
            out: &mut pass.out[first * pass.out_stride + pass.out_first..],
            out_row: pass.out_stride,
            out_stride: pass.batch * pass.out_stride,
            times,
            reverse: pass.reverse,
        };
        layer.enter(simd, count, steps);
    }
}

impl<E: Element> Packed<E> {
    /// Some steps of one stream through a small layer, or of four.
    #[inline(always)]
    fn enter<S: Simd>(&self, simd: S, streams: usize, steps: Recurrence<'_, E>) {
        let lines = self.bias.len();
        macro_rules! enter {
            ($($count:literal: $lines:literal $x:literal $h:literal,)*) => {
                match (streams, lines, chains(self.sizes.input, lines), chains(self.sizes.hidden, lines)) {
                    $( ($count, $lines, $x, $h) => {
                        if const { $count <= recurrence::streams::<S, E>($lines) } {
                            simd.enter(recurrence::Sized::<E, $count, $lines, $x, $h>(steps));
                        }
                    } )*
                    _ => debug_assert!(false, "no function for a small layer of these sizes"),
                }
            };
        }
        enter!(1: 1 1 1, 1: 1 4 1, 1: 1 1 4, 1: 1 4 4, 1: 2 1 4, 1: 2 4 4, 1: 3 1 4, 1: 3 4 4, 1: 4 1 2, 1: 4 2 2,
            1: 5 1 2, 1: 5 2 2, 1: 6 1 2, 1: 6 2 2, 1: 7 1 2, 1: 7 2 2, 1: 8 1 2, 1: 8 2 2, 1: 9 1 2, 1: 9 2 2,
            1: 10 1 2, 1: 10 2 2, 1: 11 1 2, 1: 11 2 2, 1: 12 1 2, 1: 12 2 2, 4: 1 1 1, 4: 1 4 1, 4: 1 1 4, 4: 1 4 4,
            4: 2 1 4, 4: 2 4 4, 4: 3 1 4, 4: 3 4 4, 4: 4 1 2, 4: 4 2 2, 4: 5 1 2, 4: 5 2 2,);
    }
}
