//! The methods of a cell with outputs, `lstm_cell!(..., out = N)`: a [`Linear`] behind each step, or behind one of each
//! stream.

use core::array::from_mut;

use super::Cell;
use crate::element::Element;
use crate::error::Error;
use crate::head::Linear;
use crate::kernel::{Alone, Run, Step, StepBatch, Weights};
use crate::simd::{Op, Simd};
use crate::state::State;

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
> Cell<E, I, H, HP, LAST, LINES, LEN, BIAS, Linear<H, OUT, HEAD>>
{
    /// The number of outputs.
    pub const OUT: usize = OUT;

    /// [`step`](Self::step), and the outputs y = W h + b of the new h.
    ///
    /// No allocation, no lock, no system call, no panic. NaN in x reaches y.
    ///
    /// Samples that come in blocks take less time in one [`run_out`](Self::run_out), or the same: with one output on
    /// Zen 4 (10, 20) 72 against 74 ns with AVX-512, (32, 32) 223 against 242 with AVX2.
    #[inline]
    pub fn step_out(&self, x: &[f32; I], state: &mut State<H, HP>) -> [f32; OUT] {
        self.token().run(StepOut { weights: self.weights(), head: &self.head, x, state })
    }

    /// [`step_batch`](Self::step_batch), and the outputs of each stream: the same bits as that many
    /// [`step_out`](Self::step_out)s. Of two or three small streams those may be faster, see
    /// [`lstm_cell!`](crate::lstm_cell).
    ///
    /// # Errors
    /// [`Error::LengthMismatch`] if there are not as many inputs as states and as outputs; no state has changed then.
    #[inline]
    pub fn step_batch_out(
        &self,
        xs: &[[f32; I]],
        states: &mut [State<H, HP>],
        out: &mut [[f32; OUT]],
    ) -> Result<(), Error> {
        Error::unless_same_length(("xs", xs.len()), ("states", states.len()))?;
        Error::unless_same_length(("xs", xs.len()), ("out", out.len()))?;
        self.token().run(StepBatchOut { weights: self.weights(), head: &self.head, xs, states, out });
        Ok(())
    }

    /// A [`run`](Self::run) whose outputs, not h, go to `out`: the same bits as a [`step_out`](Self::step_out) for each
    /// x.
    ///
    /// # Errors
    /// [`Error::LengthMismatch`] if there are not as many inputs as outputs; the state has not changed then.
    #[inline]
    pub fn run_out(&self, seq: &[[f32; I]], state: &mut State<H, HP>, out: &mut [[f32; OUT]]) -> Result<(), Error> {
        Error::unless_same_length(("seq", seq.len()), ("out", out.len()))?;
        self.token().run(Run { weights: self.weights(), seq, state, output: &self.head, out });
        Ok(())
    }
}

/// One step of one stream, followed by the head. Seven words, which `pulp` passes in registers.
///
/// The outputs are returned, one or two of them in a register. Left in memory, they would be read when they are hardly
/// stored, and that holds up all loads behind it, so the next step would begin late: on Zen 4 with AVX-512 (1, 16) took
/// 59 for 54 ns, (1, 20) 75 for 66, (1, 32) 133 for 122, (10, 20) 92 for 82.
struct StepOut<
    'a,
    E: Element,
    const I: usize,
    const H: usize,
    const HP: usize,
    const LAST: usize,
    const OUT: usize,
    const HEAD: usize,
> {
    weights: Weights<'a, E, I, H, LAST>,
    head: &'a Linear<H, OUT, HEAD>,
    x: &'a [f32; I],
    state: &'a mut State<H, HP>,
}

impl<
    E: Element,
    const I: usize,
    const H: usize,
    const HP: usize,
    const LAST: usize,
    const OUT: usize,
    const HEAD: usize,
> Op for StepOut<'_, E, I, H, HP, LAST, OUT, HEAD>
{
    type Output = [f32; OUT];

    const F16: bool = E::F16;
    // h is read as it was stored: narrow where the step is.
    const NARROW: bool = Alone::<Step<'_, E, I, H, HP, LAST, 1>>::NARROW;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> [f32; OUT] {
        let Self { weights, head, x, state } = self;
        let step = Step { weights, x: [x], states: from_mut(state) };
        // Halves that are ready one after the other keep the head, which wants both at once, waiting for longer: on Zen
        // 4 (1, 16) 52.4 to 49.2 ns. So do woven tiles, of which one stands before the last gates: with AVX2 (1, 32)
        // 135.2 to 132.8, (10, 32) 164 to 157.
        if const {
            LAST == 4 && S::BOTH_CHAINS && Alone::<Step<'_, E, I, H, HP, LAST, 1>>::early::<S>()
                || Alone::<Step<'_, E, I, H, HP, LAST, 1>>::woven::<S>()
        } {
            simd.enter(step);
        } else if const { Alone::<Step<'_, E, I, H, HP, LAST, 1>>::inlined::<S>() } {
            Alone(step).one_group(simd, &mut []);
        } else {
            simd.enter(Alone(step));
        }
        let mut y = [0.0; OUT];
        head.apply(simd, state.h(), &mut y);
        y
    }
}

/// One step of many streams, followed by the head of each.
struct StepBatchOut<
    'a,
    E: Element,
    const I: usize,
    const H: usize,
    const HP: usize,
    const LAST: usize,
    const OUT: usize,
    const HEAD: usize,
> {
    weights: Weights<'a, E, I, H, LAST>,
    head: &'a Linear<H, OUT, HEAD>,
    xs: &'a [[f32; I]],
    states: &'a mut [State<H, HP>],
    out: &'a mut [[f32; OUT]],
}

impl<
    E: Element,
    const I: usize,
    const H: usize,
    const HP: usize,
    const LAST: usize,
    const OUT: usize,
    const HEAD: usize,
> Op for StepBatchOut<'_, E, I, H, HP, LAST, OUT, HEAD>
{
    type Output = ();

    const F16: bool = E::F16;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { weights, head, xs, states, out } = self;
        simd.enter(StepBatch { weights, xs, states: &mut *states });
        for (state, y) in states.iter().zip(out) {
            head.apply(simd, state.h(), y);
        }
    }
}
