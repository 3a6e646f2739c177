//! Cells and states with their sizes erased, so that a test body is compiled once and runs for every shape.

use std::any::Any;

use lstm_kernels::{Error, Isa, State};

/// A cell of any shape. Inputs and outputs are flat: time or stream first, then the element.
pub trait AnyCell: Send + Sync {
    /// What the cell's `isa` says.
    fn isa(&self) -> Isa;
    /// `streams` states, each as `zero_state` makes it.
    fn states(&self, streams: usize) -> Box<dyn AnyStates>;
    /// `step` of one of the streams.
    fn step<'s>(&self, x: &[f32], states: &'s mut dyn AnyStates, stream: usize) -> &'s [f32];
    /// `step_batch` of all streams.
    fn step_batch(&self, xs: &[f32], states: &mut dyn AnyStates) -> Result<(), Error>;
    /// `run` of one of the streams.
    fn run(&self, seq: &[f32], states: &mut dyn AnyStates, stream: usize, out: &mut [f32]) -> Result<(), Error>;
}

/// The states of some streams, side by side as `step_batch` takes them.
pub trait AnyStates: Any {
    /// A stream's h.
    fn h(&self, stream: usize) -> &[f32];
    /// A stream's c.
    fn c(&self, stream: usize) -> &[f32];
    /// Sets h and c of a stream through the setters, which leave the padding alone.
    fn set(&mut self, stream: usize, h: &[f32], c: &[f32]);
    /// A clone of every state.
    fn cloned(&self) -> Box<dyn AnyStates>;
}

impl<const H: usize, const HP: usize> AnyStates for Vec<State<H, HP>> {
    fn h(&self, stream: usize) -> &[f32] {
        self[stream].h()
    }
    fn c(&self, stream: usize) -> &[f32] {
        self[stream].c()
    }
    fn set(&mut self, stream: usize, h: &[f32], c: &[f32]) {
        self[stream].set_h(h.try_into().expect("H values"));
        self[stream].set_c(c.try_into().expect("H values"));
    }
    fn cloned(&self) -> Box<dyn AnyStates> {
        Box::new(self.clone())
    }
}

/// The states' true type again.
pub(crate) fn typed<const H: usize, const HP: usize>(states: &mut dyn AnyStates) -> &mut Vec<State<H, HP>> {
    let states: &mut dyn Any = states;
    states.downcast_mut().expect("states of this cell's shape")
}

/// Cuts flat data into rows; a remainder would be a mistake of the test.
pub(crate) fn rows<const N: usize>(flat: &[f32]) -> &[[f32; N]] {
    let (rows, rest) = flat.as_chunks();
    assert!(rest.is_empty(), "{} values are no rows of {N}", flat.len());
    rows
}

/// [`rows`] to write to.
pub(crate) fn rows_mut<const N: usize>(flat: &mut [f32]) -> &mut [[f32; N]] {
    let (rows, rest) = flat.as_chunks_mut();
    assert!(rest.is_empty(), "not rows of {N}");
    rows
}

/// Implements [`AnyCell`] for a cell type of `$input` inputs and `$hidden` units.
macro_rules! erase {
    ($cell:ty, $input:tt, $hidden:tt) => {
        impl $crate::erased::AnyCell for $cell {
            fn isa(&self) -> ::lstm_kernels::Isa {
                <$cell>::isa(self)
            }
            fn states(&self, streams: usize) -> Box<dyn $crate::erased::AnyStates> {
                Box::new(vec![<$cell>::zero_state(); streams])
            }
            fn step<'s>(&self, x: &[f32], states: &'s mut dyn $crate::erased::AnyStates, stream: usize) -> &'s [f32] {
                let x: &[f32; $input] = x.try_into().expect("one input");
                let h: &[f32; $hidden] = <$cell>::step(self, x, &mut $crate::erased::typed(states)[stream]);
                h
            }
            fn step_batch(
                &self,
                xs: &[f32],
                states: &mut dyn $crate::erased::AnyStates,
            ) -> Result<(), ::lstm_kernels::Error> {
                <$cell>::step_batch(self, $crate::erased::rows::<$input>(xs), $crate::erased::typed(states))
            }
            fn run(
                &self,
                seq: &[f32],
                states: &mut dyn $crate::erased::AnyStates,
                stream: usize,
                out: &mut [f32],
            ) -> Result<(), ::lstm_kernels::Error> {
                let (seq, out) = ($crate::erased::rows::<$input>(seq), $crate::erased::rows_mut::<$hidden>(out));
                <$cell>::run(self, seq, &mut $crate::erased::typed(states)[stream], out)
            }
        }
    };
}
pub(crate) use erase;
