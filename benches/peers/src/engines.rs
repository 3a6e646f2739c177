//! One file per library; all take the same tensors and are asked the same two things.

#[cfg(feature = "burn")]
mod burn;
#[cfg(feature = "candle")]
mod candle;
#[cfg(feature = "nam")]
mod nam;
#[cfg(feature = "nexus")]
mod nexus;
mod ours;
#[cfg(feature = "rten")]
mod rten;
#[cfg(feature = "tract")]
mod tract;

use std::hint::black_box;

use bench_support::{INPUTS, Tensors};

/// What a peer's constructor may fail with.
pub type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// A library that runs LSTMs.
pub trait Engine {
    /// As it stands in the tables.
    fn name(&self) -> String;

    /// What a reader of the tables should know of how it is used.
    fn note(&self) -> &'static str;

    /// One time step: a new input, the state carried from the step before.
    fn step(&mut self, x: &[f32]);

    /// h after the last step or sequence, or what this engine shows of it: then the exact h is mapped by
    /// [`Engine::show`] before they are compared.
    fn shown(&self) -> Vec<f32>;

    /// What [`Engine::shown`] should be if h is this.
    fn show(&self, h: &[f64]) -> Vec<f64> {
        h.to_vec()
    }

    /// Back to h = c = 0.
    fn reset(&mut self);

    /// A whole sequence from h = c = 0 in one call, or false if this engine has no such call.
    fn sequence(&mut self, _xs: &[f32]) -> bool {
        false
    }

    /// Steps through the inputs, from row `first` on. It is part of the trait so that an engine can put all of them
    /// where it runs best.
    fn steps(&mut self, xs: &[f32], first: usize, count: usize) {
        cycle(self, xs, first, count);
    }
}

/// Steps through the inputs again and again; generic, so that the call of `step` is a direct one.
fn cycle<E: Engine + ?Sized>(engine: &mut E, xs: &[f32], first: usize, count: usize) {
    let input = xs.len() / INPUTS;
    for row in (first..first + count).map(|row| row % INPUTS) {
        engine.step(black_box(&xs[row * input..][..input]));
    }
}

/// Every engine that can run a cell of these sizes; a peer that refuses says why.
pub fn all(tensors: &Tensors, input: usize, hidden: usize) -> Vec<Fallible<Box<dyn Engine>>> {
    let mut engines: Vec<_> = ours::all(tensors, input, hidden).into_iter().map(Ok).collect();
    #[cfg(feature = "nexus")]
    engines.push(nexus::Nexus::boxed(tensors, input, hidden));
    #[cfg(feature = "nam")]
    if input == 1 {
        engines.push(nam::Nam::boxed(tensors, hidden));
    }
    #[cfg(feature = "rten")]
    engines.push(rten::Rten::boxed(tensors, input, hidden));
    #[cfg(feature = "tract")]
    engines.push(tract::Tract::boxed(tensors, input, hidden));
    #[cfg(feature = "candle")]
    engines.push(candle::Candle::boxed(tensors, input, hidden));
    #[cfg(feature = "burn")]
    engines.push(burn::Burn::boxed(tensors, input, hidden));
    engines
}
