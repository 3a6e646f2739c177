//! Stacked cells of compile-time sizes: no dynamic shape, no heap, `no_std`.
//!
//! A cell made by [`lstm_cell!`](crate::lstm_cell) is a [`Layer`], and a pair of layers is a layer, if the second takes
//! what the first gives: the compiler checks it. Pairs nest, so `((a, b), c)` has three layers.
//!
//! ```
//! use lstm_kernels::{Layer, LstmWeights, lstm_cell};
//!
//! // torch: rnn = nn.LSTM(10, 20, 2)  # (input_size, hidden_size, num_layers)
//! lstm_cell!(struct Layer0, in=10, hidden=20);
//! lstm_cell!(struct Layer1, in=20, hidden=20);
//! type Rnn = (Layer0, Layer1);
//!
//! let (w_ih_l0, w_ih_l1, w_hh, b) = ([0.1; 80 * 10], [0.1; 80 * 20], [0.1; 80 * 20], [0.0; 80]);
//! let rnn: Rnn = (
//!     Layer0::new(&LstmWeights::torch(&w_ih_l0, &w_hh, Some((&b, &b))))?,
//!     Layer1::new(&LstmWeights::torch(&w_ih_l1, &w_hh, Some((&b, &b))))?,
//! );
//!
//! // torch: output, (hn, cn) = rnn(input, (h0, c0)), for one of the three sequences
//! let (input, mut output) = ([[0.5; 10]; 5], [[0.0; 20]; 5]);
//! let mut state = (Layer0State::new(&[0.1; 20], &[-0.1; 20]), Layer1State::new(&[0.1; 20], &[-0.1; 20]));
//! rnn.run(&input, &mut state, &mut output)?;
//! assert_eq!(&output[4], state.1.h());
//!
//! // One more step.
//! let h: &[f32; 20] = rnn.step(&[0.5; 10], &mut state);
//! # assert!(h[0].abs() < 1.0);
//! # Ok::<(), lstm_kernels::Error>(())
//! ```
//!
//! # A model chosen at run time
//! A plug-in loads what its users trained, of a few sizes. Each size is a struct of its own; a layer and its state in a
//! closure are what all have in common:
//! ```
//! use lstm_kernels::{Error, LayerOut, LstmWeights, lstm_cell};
//!
//! lstm_cell!(struct Amp8, in=1, hidden=8, out=1);
//! lstm_cell!(struct Amp16, in=1, hidden=16, out=1);
//! lstm_cell!(struct Amp40, in=1, hidden=40, out=1);
//!
//! /// Takes a block of samples, gives one.
//! type Amp = Box<dyn FnMut(&[[f32; 1]], &mut [[f32; 1]]) -> Result<(), Error> + Send>;
//!
//! fn amp<L>(layer: L) -> Amp
//! where
//!     L: LayerOut<Input = [f32; 1], Out = [f32; 1], State: Send> + Send + 'static,
//! {
//!     let mut state = L::zero_state();
//!     Box::new(move |input, output| layer.run_out(input, &mut state, output))
//! }
//!
//! /// None: no cell has this size. (`Lstm` has them all.)
//! fn load(weights: &LstmWeights<'_>, hidden: usize) -> Result<Option<Amp>, Error> {
//!     Ok(Some(match hidden {
//!         8 => amp(Amp8::new(weights)?),
//!         16 => amp(Amp16::new(weights)?),
//!         40 => amp(Amp40::new(weights)?),
//!         _ => return Ok(None),
//!     }))
//! }
//!
//! # let (w_ih, w_hh, b, head) = ([0.1; 64], [0.1; 64 * 16], [0.0; 64], [0.1; 16]);
//! // With feature `safetensors`: `file.cell("lstm")?`, its `view()` and `hidden_size()`, and `file.linear("head")?`.
//! let weights = LstmWeights::torch(&w_ih, &w_hh, Some((&b, &b))).with_head(&head, None);
//! let mut amp = load(&weights, 16)?.expect("a cell of this size");
//! let (input, mut output) = ([0.5; 64], [0.0; 64]);
//! amp(input.as_chunks().0, output.as_chunks_mut().0)?;
//! # assert!(output[63] > output[0]);
//! # Ok::<(), Error>(())
//! ```

use crate::cell::Cell;
use crate::element::Element;
use crate::error::Error;
use crate::head::{Head, Linear};
use crate::state::State;

/// Time steps that go through the first layer of a pair before the second takes them.
const CHUNK: usize = 8;

/// Bytes of a first layer's rows up to which the layers take turns at each time step: the processor has room for the
/// second layer's step beside the first one's next (Zen 5: (1, 8) and (8, 8) 47 to 35 ns, with AVX2 57 to 48; (1, 16)
/// and (16, 16) 62 to 58, with AVX2 the same; more is slower with AVX2).
const SMALL: usize = 4 * 18;

/// What takes a row at each time step, keeps its state with the caller, and gives a row: a cell, or layers of cells.
///
/// `step` and `run` never allocate, lock, call the system or panic, and give the same bits as the cells called one
/// after the other. An example: [`stack`](self). A cell with `out` gives h here, and its outputs as a [`LayerOut`].
///
/// A reference to a layer and a `Box` of one are layers (of a `dyn Layer` they are not: it has no
/// [`zero_state`](Self::zero_state)), and one can be chosen at run time:
/// ```
/// use lstm_kernels::{Layer, LstmWeights, State, lstm_cell};
/// lstm_cell!(struct Precise, in=1, hidden=16, bias=false);
/// lstm_cell!(struct Compact, in=1, hidden=16, bias=false, dtype=f16);
///
/// type Model = dyn Layer<Input = [f32; 1], Output = [f32; 16], State = State<16, 16>>;
/// # let little_memory = true;
/// let (w_ih, w_hh) = ([0.1; 64], [0.1; 64 * 16]);
/// let weights = LstmWeights::torch(&w_ih, &w_hh, None);
/// let model: Box<Model> =
///     if little_memory { Box::new(Compact::new(&weights)?) } else { Box::new(Precise::new(&weights)?) };
/// let h = model.step(&[0.5], &mut State::zero())[0];
/// # assert!(h > 0.0);
/// # Ok::<(), lstm_kernels::Error>(())
/// ```
pub trait Layer {
    /// One time step's input: `[f32; I]`.
    type Input;
    /// One time step's output: `[f32; H]`.
    type Output: Copy;
    /// The state of one stream: [`State`], or a pair of states.
    type State: Clone + Send + 'static;

    /// The state at the start of a sequence: all h and c are 0.
    fn zero_state() -> Self::State
    where
        Self: Sized;

    /// The last output: the last layer's h.
    fn output(state: &Self::State) -> &Self::Output
    where
        Self: Sized;

    /// One time step: takes x and the state, leaves the new state and returns the output.
    fn step<'s>(&self, x: &Self::Input, state: &'s mut Self::State) -> &'s Self::Output;

    /// A whole sequence, a time step for each element of `seq`, whose output goes to `out`.
    ///
    /// # Errors
    /// [`Error::LengthMismatch`] if there are not as many inputs as outputs; the state has not changed then.
    fn run(&self, seq: &[Self::Input], state: &mut Self::State, out: &mut [Self::Output]) -> Result<(), Error>;

    /// One time step of each of `xs.len()` independent streams: the same bits as that many [`step`](Self::step)s. Those
    /// of a cell go together, which takes less time; through a pair of layers they go one after the other.
    ///
    /// # Errors
    /// [`Error::LengthMismatch`] if there are not as many inputs as states; no state has changed then.
    fn step_batch(&self, xs: &[Self::Input], states: &mut [Self::State]) -> Result<(), Error> {
        Error::unless_same_length(("xs", xs.len()), ("states", states.len()))?;
        for (x, state) in xs.iter().zip(states) {
            self.step(x, state);
        }
        Ok(())
    }
}

/// A [`Layer`] with outputs: a cell with `out`, or layers of which the last is one.
///
/// The promises of [`Layer`] hold. A reference to one is one, and so is a `Box` of one. One can be chosen at run
/// time: the example of [`stack`](self#a-model-chosen-at-run-time).
///
/// ```
/// use lstm_kernels::{Layer, LayerOut, LstmWeights, lstm_cell};
/// lstm_cell!(struct Lower, in=1, hidden=16, bias=false);
/// lstm_cell!(struct Upper, in=16, hidden=16, bias=false, out=1);
///
/// let (w_ih_l0, w, head) = ([0.1; 64], [0.1; 64 * 16], [0.1; 16]);
/// let model = (
///     Lower::new(&LstmWeights::torch(&w_ih_l0, &w, None))?,
///     Upper::new(&LstmWeights::torch(&w, &w, None).with_head(&head, None))?,
/// );
/// let mut state = <(Lower, Upper)>::zero_state();
/// let [y] = model.step_out(&[0.5], &mut state);
/// # assert!(y > 0.0);
/// # Ok::<(), lstm_kernels::Error>(())
/// ```
pub trait LayerOut: Layer {
    /// One time step's outputs: `[f32; OUT]`.
    type Out;

    /// [`step`](Layer::step), and the outputs of the new h.
    fn step_out(&self, x: &Self::Input, state: &mut Self::State) -> Self::Out;

    /// A whole sequence, a time step for each element of `seq`, whose outputs go to `out`.
    ///
    /// # Errors
    /// [`Error::LengthMismatch`] if there are not as many inputs as outputs; the state has not changed then.
    fn run_out(&self, seq: &[Self::Input], state: &mut Self::State, out: &mut [Self::Out]) -> Result<(), Error>;

    /// [`step_batch`](Layer::step_batch), and the outputs of each stream.
    ///
    /// # Errors
    /// [`Error::LengthMismatch`] if there are not as many inputs as states and as outputs; no state has changed then.
    fn step_batch_out(
        &self,
        xs: &[Self::Input],
        states: &mut [Self::State],
        out: &mut [Self::Out],
    ) -> Result<(), Error> {
        Error::unless_same_length(("xs", xs.len()), ("states", states.len()))?;
        Error::unless_same_length(("xs", xs.len()), ("out", out.len()))?;
        for ((x, state), out) in xs.iter().zip(states).zip(out) {
            *out = self.step_out(x, state);
        }
        Ok(())
    }
}

impl<
    E: Element,
    const I: usize,
    const H: usize,
    const HP: usize,
    const LAST: usize,
    const LINES: usize,
    const LEN: usize,
    const BIAS: bool,
    D: Head,
> Layer for Cell<E, I, H, HP, LAST, LINES, LEN, BIAS, D>
{
    type Input = [f32; I];
    type Output = [f32; H];
    type State = State<H, HP>;

    fn zero_state() -> Self::State {
        State::zero()
    }

    #[inline]
    fn output(state: &Self::State) -> &Self::Output {
        state.h()
    }

    #[inline]
    fn step<'s>(&self, x: &Self::Input, state: &'s mut Self::State) -> &'s Self::Output {
        Self::step(self, x, state)
    }

    #[inline]
    fn run(&self, seq: &[Self::Input], state: &mut Self::State, out: &mut [Self::Output]) -> Result<(), Error> {
        Self::run(self, seq, state, out)
    }

    #[inline]
    fn step_batch(&self, xs: &[Self::Input], states: &mut [Self::State]) -> Result<(), Error> {
        Self::step_batch(self, xs, states)
    }
}

impl<
    E: Element,
    const I: usize,
    const H: usize,
    const HP: usize,
    const LAST: usize,
    const LINES: usize,
    const LEN: usize,
    const BIAS: bool,
    const OUT: usize,
    const HEAD: usize,
> LayerOut for Cell<E, I, H, HP, LAST, LINES, LEN, BIAS, Linear<H, OUT, HEAD>>
{
    type Out = [f32; OUT];

    #[inline]
    fn step_out(&self, x: &Self::Input, state: &mut Self::State) -> Self::Out {
        Self::step_out(self, x, state)
    }

    #[inline]
    fn run_out(&self, seq: &[Self::Input], state: &mut Self::State, out: &mut [Self::Out]) -> Result<(), Error> {
        Self::run_out(self, seq, state, out)
    }

    #[inline]
    fn step_batch_out(
        &self,
        xs: &[Self::Input],
        states: &mut [Self::State],
        out: &mut [Self::Out],
    ) -> Result<(), Error> {
        Self::step_batch_out(self, xs, states, out)
    }
}

impl<A: Layer, B: Layer<Input = A::Output>> Layer for (A, B) {
    type Input = A::Input;
    type Output = B::Output;
    type State = (A::State, B::State);

    fn zero_state() -> Self::State {
        (A::zero_state(), B::zero_state())
    }

    #[inline]
    fn output(state: &Self::State) -> &Self::Output {
        B::output(&state.1)
    }

    #[inline]
    fn step<'s>(&self, x: &Self::Input, state: &'s mut Self::State) -> &'s Self::Output {
        self.1.step(self.0.step(x, &mut state.0), &mut state.1)
    }

    fn run(&self, seq: &[Self::Input], state: &mut Self::State, out: &mut [Self::Output]) -> Result<(), Error> {
        run_pair(self, seq, state, out, |pair, x, state| *pair.step(x, state), B::run)
    }
}

impl<A: Layer, B: LayerOut<Input = A::Output>> LayerOut for (A, B) {
    type Out = B::Out;

    #[inline]
    fn step_out(&self, x: &Self::Input, state: &mut Self::State) -> Self::Out {
        self.1.step_out(self.0.step(x, &mut state.0), &mut state.1)
    }

    fn run_out(&self, seq: &[Self::Input], state: &mut Self::State, out: &mut [Self::Out]) -> Result<(), Error> {
        run_pair(self, seq, state, out, Self::step_out, B::run_out)
    }
}

/// A whole sequence through a pair, whose outputs are those of its `step`, or of what `run` makes of the first layer's
/// h.
fn run_pair<A: Layer, B: Layer<Input = A::Output>, O>(
    pair: &(A, B),
    seq: &[A::Input],
    state: &mut (A::State, B::State),
    out: &mut [O],
    step: impl Fn(&(A, B), &A::Input, &mut (A::State, B::State)) -> O,
    run: impl Fn(&B, &[A::Output], &mut B::State, &mut [O]) -> Result<(), Error>,
) -> Result<(), Error> {
    Error::unless_same_length(("seq", seq.len()), ("out", out.len()))?;
    if const { size_of::<A::Input>() + size_of::<A::Output>() <= SMALL } {
        for (x, out) in seq.iter().zip(out) {
            *out = step(pair, x, state);
        }
        return Ok(());
    }
    // What it holds does not matter.
    let mut between = [*A::output(&state.0); CHUNK];
    for (seq, out) in seq.chunks(CHUNK).zip(out.chunks_mut(CHUNK)) {
        let between = &mut between[..seq.len()];
        pair.0.run(seq, &mut state.0, between)?;
        run(&pair.1, between, &mut state.1, out)?;
    }
    Ok(())
}

/// What holds a layer is one.
macro_rules! pointers {
    ($($(#[$cfg:meta])* $pointer:ty),*) => { $(
        $(#[$cfg])*
        impl<L: Layer> Layer for $pointer {
            type Input = L::Input;
            type Output = L::Output;
            type State = L::State;

            fn zero_state() -> Self::State {
                L::zero_state()
            }

            #[inline]
            fn output(state: &Self::State) -> &Self::Output {
                L::output(state)
            }

            #[inline]
            fn step<'s>(&self, x: &Self::Input, state: &'s mut Self::State) -> &'s Self::Output {
                L::step(self, x, state)
            }

            #[inline]
            fn run(&self, seq: &[Self::Input], state: &mut Self::State, out: &mut [Self::Output]) -> Result<(), Error> {
                L::run(self, seq, state, out)
            }

            #[inline]
            fn step_batch(&self, xs: &[Self::Input], states: &mut [Self::State]) -> Result<(), Error> {
                L::step_batch(self, xs, states)
            }
        }

        $(#[$cfg])*
        impl<L: LayerOut> LayerOut for $pointer {
            type Out = L::Out;

            #[inline]
            fn step_out(&self, x: &Self::Input, state: &mut Self::State) -> Self::Out {
                L::step_out(self, x, state)
            }

            #[inline]
            fn run_out(&self, seq: &[Self::Input], state: &mut Self::State, out: &mut [Self::Out]) -> Result<(), Error> {
                L::run_out(self, seq, state, out)
            }

            #[inline]
            fn step_batch_out(
                &self,
                xs: &[Self::Input],
                states: &mut [Self::State],
                out: &mut [Self::Out],
            ) -> Result<(), Error> {
                L::step_batch_out(self, xs, states, out)
            }
        }
    )* };
}

pointers!(
    &L,
    #[cfg(feature = "alloc")]
    alloc::boxed::Box<L>
);
