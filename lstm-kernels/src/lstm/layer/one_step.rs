//! A single time step of one stream ([`kernel::one_step`](one_step) has the idea and the figures).

use super::{Packed, PackedLayer};
use crate::element::{Element, adds_in_f16};
use crate::isa::{Isa, Token};
use crate::kernel::narrow;
use crate::kernel::one_step::{self, OfLayer, OneStep};
use crate::kernel::small::most_columns;
use crate::kernel::sums::TURNS_FROM;
use crate::simd::{Op, Simd};

/// The function for a layer's sizes, chosen as it is packed. It runs [`Small`] or [`Large`].
pub(super) type Step<E> = fn(Token, &Packed<E>, &mut OneStep<'_>);

// (Two pointers, for arguments of an [`Op`] go through memory.)

/// See [`one_step::of_small`].
pub(super) struct Small<'a, 'b, const N: usize, const X: usize, const C: usize> {
    pub(super) layer: &'a Packed<f32>,
    pub(super) step: &'a mut OneStep<'b>,
}

impl<const N: usize, const X: usize, const C: usize> Op for Small<'_, '_, N, X, C> {
    type Output = ();

    const NARROW: bool = narrow::serves(N, 0) || narrow::serves_in_tiles::<f32>(N, most_columns(N, X));

    #[inline(always)]
    fn is_narrow(&self) -> bool {
        narrow::serves(N, self.layer.x_lines) || narrow::serves_in_tiles::<f32>(N, self.layer.columns.len() / N)
    }

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        one_step::of_small::<S, N, X, C>(simd, self.layer.weights(), self.step);
    }
}

/// See [`one_step::of_large`].
pub(super) struct Large<'a, 'b, E: Element> {
    pub(super) layer: &'a Packed<E>,
    pub(super) step: &'a mut OneStep<'b>,
}

impl<E: Element> Op for Large<'_, '_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        if const { S::PORTABLE || adds_in_f16::<S, E>() } {
            return debug_assert!(false, "no function for a step");
        }
        let Self { layer, step } = self;
        let last = layer.bias.len() - (layer.groups - 1) * E::FORM.group;
        one_step::of_large::<S, E>(simd, layer.weights(), last, step);
    }
}

impl<E: Element> Packed<E> {
    /// Ready for single steps, if there is a function: that for its sizes, or `step`, which runs [`Large`].
    pub(super) fn ready_for_one_step(mut self, token: Token, step: Step<E>) -> Self {
        let in_f16 = E::F16 && token.isa() == Isa::V4F16;
        let served = self.projection.is_none() && self.bias.len() >= 4 && !in_f16 && !matches!(token, Token::Scalar(_));
        if served && self.one_step.is_none() {
            self.one_step = Some(step);
        }
        self
    }

    fn weights(&self) -> OfLayer<'_, E> {
        let (w_ih, w_hh) = self.tensors();
        OfLayer { w_ih, w_hh, bias: &self.bias, hidden: self.sizes.hidden }
    }

    /// One time step of one stream, on states with padding.
    #[inline]
    pub(super) fn step(&self, token: Token, step: &mut OneStep<'_>) {
        if let Some(run) = self.one_step {
            run(token, self, step);
        }
    }
}

impl PackedLayer {
    /// Whether [`step`](Self::step) can be used.
    pub(crate) const fn steps_alone(&self) -> bool {
        match self {
            Self::F32(layer) => layer.one_step.is_some(),
            Self::F16(layer) => layer.one_step.is_some(),
            Self::Bf16(layer) => layer.one_step.is_some(),
        }
    }

    /// Whether that needs no room.
    pub(crate) const fn is_small(&self) -> bool {
        matches!(self, Self::F32(Packed { one_stream: Some(_), .. }))
    }

    /// Whether an L1 cache may not hold its weights, so that steps turn round.
    pub(crate) fn turns_round(&self) -> bool {
        let bytes = match self {
            Self::F32(layer) => size_of_val(&layer.columns[..]),
            Self::F16(layer) => size_of_val(&layer.columns[..]),
            Self::Bf16(layer) => size_of_val(&layer.columns[..]),
        };
        bytes > TURNS_FROM
    }

    /// One time step of one stream.
    #[inline]
    pub(crate) fn step(&self, token: Token, mut step: OneStep<'_>) {
        match self {
            Self::F32(layer) => layer.step(token, &mut step),
            Self::F16(layer) => layer.step(token, &mut step),
            Self::Bf16(layer) => layer.step(token, &mut step),
        }
    }
}
