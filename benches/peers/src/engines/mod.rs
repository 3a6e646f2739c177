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

use bench_support::{INPUTS, Tensors};

/// What a peer's constructor may fail with.
pub type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// A library that runs LSTMs.
pub trait Engine {
    /// As it stands in the tables.
    fn name(&self) -> String;

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

    /// Steps through the inputs in a cycle. It is part of the trait so that the call of `step` inside is a direct one.
    fn steps(&mut self, xs: &[f32], count: usize, next: &mut usize) {
        let input = xs.len() / INPUTS;
        for _ in 0..count {
            *next = (*next + 1) % INPUTS;
            self.step(std::hint::black_box(&xs[*next * input..][..input]));
        }
    }
}

/// Every engine that can run a cell of these sizes; a peer that refuses says why on stderr.
pub fn all(tensors: &Tensors, input: usize, hidden: usize) -> Vec<Box<dyn Engine>> {
    let mut engines = ours::all(tensors, input, hidden);
    let mut add = |name: &str, engine: Fallible<Box<dyn Engine>>| match engine {
        Ok(engine) => engines.push(engine),
        Err(error) => eprintln!("{name} does not run ({input}, {hidden}): {error}"),
    };
    #[cfg(feature = "nexus")]
    add("nexus-inference", nexus::Nexus::boxed(tensors, input, hidden));
    #[cfg(feature = "nam")]
    if input == 1 {
        add("nam-rs", nam::Nam::boxed(tensors, hidden));
    }
    #[cfg(feature = "rten")]
    add("rten", rten::Rten::boxed(tensors, input, hidden));
    #[cfg(feature = "tract")]
    add("tract-onnx", tract::Tract::boxed(tensors, input, hidden));
    #[cfg(feature = "candle")]
    add("candle-nn", candle::Candle::boxed(tensors, input, hidden));
    #[cfg(feature = "burn")]
    add("burn", burn::Burn::boxed(tensors, input, hidden));
    engines
}
