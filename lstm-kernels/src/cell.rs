//! What a struct made by `lstm_cell!` holds and calls: packed weights and the token of a kernel.
//!
//! Public because that struct names it. Use the macro: what is here may change in any release.

mod outputs;

use core::fmt;

use crate::element::{Element, read_lines};
use crate::error::Error;
use crate::head::Head;
use crate::isa::{Choice, Isa, Token};
use crate::kernel::{Alone, Hidden, Run, Step, StepBatch, Weights};
use crate::layout::{self, Line};
use crate::state::State;
use crate::weights::{LstmWeights, Sizes};

pub use crate::head::Linear;

/// An LSTM cell of compile-time size. [`lstm_cell!`](crate::lstm_cell) emits a struct around it with the numbers
/// filled in; use that.
///
/// `E` what a weight is stored as; `I` inputs; `H` units, `HP` of them with padding; `LAST` lines in the last group,
/// `LINES` in a column, `LEN` in all columns; `BIAS`
/// whether the weights must have a bias; `D` what stands behind the LSTM, `()` or a [`Linear`].
#[derive(Clone)]
#[repr(C, align(64))]
pub struct Cell<
    E: Element,
    const I: usize,
    const H: usize,
    const HP: usize,
    const LAST: usize,
    const LINES: usize,
    const LEN: usize,
    const BIAS: bool,
    D = (),
> {
    bias: [Line; LINES],
    columns: [E::Line; LEN],
    head: D,
    choice: Choice,
}

/// A struct made by `lstm_cell!`, around a [`Cell`].
pub trait Wraps {
    /// That cell.
    type Cell;
}

/// A cell on the heap, as `new_boxed` of a struct made by [`lstm_cell!`](crate::lstm_cell) returns it: the [`Cell`]
/// that the struct wraps, with the same methods. (It is not a `Box<C>`: a trait that you implement for `C` is not
/// there.) To copy a large one call [`clone_boxed`](Cell::clone_boxed): `clone` takes the copy over the stack.
///
/// ```
/// use lstm_kernels::{Boxed, LstmWeights, lstm_cell};
/// lstm_cell!(pub struct Large, in=64, hidden=64, bias=false);
///
/// struct Plugin {
///     model: Boxed<Large>,
///     state: LargeState,
/// }
///
/// let (w_ih, w_hh) = ([0.01; 256 * 64], [0.01; 256 * 64]);
/// let model = Large::new_boxed(&LstmWeights::torch(&w_ih, &w_hh, None))?;
/// let mut plugin = Plugin { model, state: Large::zero_state() };
/// plugin.model.step(&[0.5; 64], &mut plugin.state);
/// # Ok::<(), lstm_kernels::Error>(())
/// ```
#[cfg(feature = "alloc")]
pub type Boxed<C> = alloc::boxed::Box<<C as Wraps>::Cell>;

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
> Cell<E, I, H, HP, LAST, LINES, LEN, BIAS, D>
{
    /// The number of inputs.
    pub const INPUT: usize = I;
    /// The number of hidden units.
    pub const HIDDEN: usize = H;

    const SIZES: Sizes = Sizes { input: I, hidden: H, proj: None };

    const CONSISTENT: () = {
        assert!(
            I > 0
                && H > 0
                && HP == layout::padded(H)
                && LAST == layout::last_group_of_cell(E::FORM, I, H)
                && LINES == layout::lines(H)
                && LEN == layout::tensor_lines(E::FORM, I, H),
            "these sizes do not belong together: let `lstm_cell!` compute them"
        );
        let _head = D::ZERO; // which asserts the same of its own
    };

    /// A cell on the fastest instruction set that [`Isa::detect`] finds.
    ///
    /// # Errors
    /// What [`with_isa`](Self::with_isa) and [`Isa::detect`] refuse.
    pub fn new(weights: &LstmWeights<'_>) -> Result<Self, Error> {
        Self::with_isa(weights, Isa::detect()?)
    }

    /// A cell on a given instruction set.
    ///
    /// # Errors
    /// A tensor of the wrong length, a NaN or infinite weight, one beyond the range of a half type, a missing or
    /// unexpected bias or head, an instruction set that this CPU lacks.
    pub fn with_isa(weights: &LstmWeights<'_>, isa: Isa) -> Result<Self, Error> {
        let () = Self::CONSISTENT;
        let token = Token::new(isa)?;
        Self::check(weights)?;
        // Made where it is returned: each move is a copy on the stack.
        let choice = Choice::Token(token);
        let mut cell = Ok(Self { bias: [Line::ZERO; LINES], columns: [E::ZERO; LEN], head: D::ZERO, choice });
        if let Ok(cell) = &mut cell {
            weights.pack::<E>(Self::SIZES, LAST, &mut cell.bias, &mut cell.columns);
            cell.head.pack(weights);
        }
        cell
    }

    /// [`new`](Self::new) on the heap. [`new`](Self::new) takes three times the cell's size of stack, without
    /// optimisation up to ten times: 1.6 and 5 MiB at (128, 128), where a thread's stack may have 2. This takes none
    /// for the cell.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    #[cfg(feature = "alloc")]
    pub fn new_boxed(weights: &LstmWeights<'_>) -> Result<alloc::boxed::Box<Self>, Error> {
        Self::with_isa_boxed(weights, Isa::detect()?)
    }

    /// [`with_isa`](Self::with_isa) on the heap, see [`new_boxed`](Self::new_boxed).
    ///
    /// # Errors
    /// As [`with_isa`](Self::with_isa).
    #[cfg(feature = "alloc")]
    pub fn with_isa_boxed(weights: &LstmWeights<'_>, isa: Isa) -> Result<alloc::boxed::Box<Self>, Error> {
        let () = Self::CONSISTENT;
        let token = Token::new(isa)?;
        Self::check(weights)?;
        let mut cell = alloc::boxed::Box::<Self>::new_uninit();
        let fields = cell.as_mut_ptr();
        // No other field is there to be forgotten.
        let _ = |Self { bias: _, columns: _, head: _, choice: _ }: Self| ();
        // SAFETY: `fields` points to the box's memory, which is valid for writes and aligned for `Self`; `&raw mut`
        // makes no reference to what is not yet written. All fields are written before `assume_init`: `choice`, and
        // with bytes of zero `bias` (lines of f32), `columns` (lines, by the promise of `Element`) and `head` (by that
        // of `Head`).
        let mut cell = unsafe {
            (&raw mut (*fields).bias).write_bytes(0, 1);
            (&raw mut (*fields).columns).write_bytes(0, 1);
            (&raw mut (*fields).head).write_bytes(0, 1);
            (&raw mut (*fields).choice).write(Choice::Token(token));
            cell.assume_init()
        };
        weights.pack::<E>(Self::SIZES, LAST, &mut cell.bias, &mut cell.columns);
        cell.head.pack(weights);
        Ok(cell)
    }

    /// A copy on the heap. `clone` may take twice the cell's size of stack, also that of a [`Boxed`] cell; this takes
    /// none. (A cell never changes, so an `Arc` can share it.)
    #[cfg(feature = "alloc")]
    pub fn clone_boxed(&self) -> alloc::boxed::Box<Self> {
        let mut cell = alloc::boxed::Box::<Self>::new_uninit();
        // All fields are `Copy`, though the cell is not, for its size.
        let _ = |Self { bias, columns, head, choice }: &Self| (*bias, *columns, *head, *choice);
        // SAFETY: `self` is valid for reads, the box's memory, which is another, for writes, both aligned for `Self`.
        // The bytes of a value whose fields are all `Copy` are one more value.
        unsafe {
            cell.as_mut_ptr().copy_from_nonoverlapping(self, 1);
            cell.assume_init()
        }
    }

    /// [`on`](Self::on) on the heap.
    ///
    /// # Errors
    /// As [`on`](Self::on).
    #[doc(hidden)]
    #[cfg(feature = "alloc")]
    pub fn boxed_on(&self, isa: Isa) -> Result<alloc::boxed::Box<Self>, Error> {
        let choice = Choice::Token(Token::new(isa)?);
        let mut cell = self.clone_boxed();
        cell.choice = choice;
        Ok(cell)
    }

    /// The same cell on a given instruction set.
    ///
    /// # Errors
    /// [`Error::IsaUnavailable`] if this CPU lacks it.
    #[doc(hidden)]
    pub fn on(self, isa: Isa) -> Result<Self, Error> {
        Ok(Self { choice: Choice::Token(Token::new(isa)?), ..self })
    }

    /// The instruction set that the cell runs on.
    pub fn isa(&self) -> Isa {
        self.token().isa()
    }

    /// The state at the start of a sequence: h = c = 0.
    pub const fn zero_state() -> State<H, HP> {
        State::zero()
    }

    /// One time step: takes x and `(h, c)`, leaves the new `(h, c)` in `state` and returns the new h.
    ///
    /// No allocation, no lock, no system call, no panic. NaN in x reaches h.
    #[inline]
    pub fn step<'s>(&self, x: &[f32; I], state: &'s mut State<H, HP>) -> &'s [f32; H] {
        self.token().run(Alone(Step { weights: self.weights(), x: [x], states: core::array::from_mut(state) }));
        state.h()
    }

    /// One time step of each of `xs.len()` independent streams: the same bits as that many [`step`](Self::step)s, in
    /// less time or the same. No allocation, no lock, no system call, no panic. A cell of 49 to 1,024 units, if it has
    /// as many weights as (90, 90), with AVX2 and NEON as (64, 64), goes over them once for up to 32 streams, which
    /// takes some 60 KiB of stack (more [without optimisation](crate#a-debug-build)).
    ///
    /// The states lie side by side. Where only some streams have an input, keep theirs in front (`states.swap(a, b)`;
    /// a [`State`] is `Copy`) and give the slice of them.
    ///
    /// # Errors
    /// [`Error::LengthMismatch`] if there are not as many inputs as states; no state has changed then.
    #[inline]
    pub fn step_batch(&self, xs: &[[f32; I]], states: &mut [State<H, HP>]) -> Result<(), Error> {
        Error::unless_same_length(("xs", xs.len()), ("states", states.len()))?;
        self.token().run(StepBatch { weights: self.weights(), xs, states });
        Ok(())
    }

    /// A whole sequence of one stream: the same bits as a [`step`](Self::step) for each x, whose h goes to `out`. No
    /// allocation, no lock, no system call, no panic. A cell of more than 24 KiB of weights (or 32), at least 8 inputs
    /// and up to 2,048 units reads x's weights once for up to 32 steps, which takes less time and some 70 KiB of stack
    /// (more [without optimisation](crate#a-debug-build)). Long sequences of 64 to 512 units take 0.8 to 0.86 of the
    /// time in an `Lstm`, which has a copy of x's weights for that (f32, AVX-512 on AMD's CPUs; Zen 4).
    ///
    /// # Errors
    /// [`Error::LengthMismatch`] if there are not as many inputs as outputs; the state has not changed then.
    #[inline]
    pub fn run(&self, seq: &[[f32; I]], state: &mut State<H, HP>, out: &mut [[f32; H]]) -> Result<(), Error> {
        Error::unless_same_length(("seq", seq.len()), ("out", out.len()))?;
        self.token().run(Run { weights: self.weights(), seq, state, output: Hidden, out });
        Ok(())
    }

    /// What `Debug` says: sizes, not weights.
    #[doc(hidden)]
    pub fn describe(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dtype = format_args!("{}", E::NAME);
        let mut cell = f.debug_struct(name);
        cell.field("input", &I).field("hidden", &H).field("dtype", &dtype).field("isa", &self.isa());
        cell.finish_non_exhaustive()
    }

    fn check(weights: &LstmWeights<'_>) -> Result<(), Error> {
        weights.without_head().check::<E>(Self::SIZES, BIAS)?;
        Ok(D::check(weights)?)
    }

    #[inline(always)]
    fn token(&self) -> Token {
        self.choice.token()
    }

    #[inline(always)]
    fn weights(&self) -> Weights<'_, E, I, H, LAST> {
        Weights { bias: &self.bias, columns: &self.columns }
    }

    /// A cell from the bytes of its lines, little-endian, which `lstm_cell!(weights = ...)` has packed. In a constant:
    /// no code runs at start-up.
    #[doc(hidden)]
    pub const fn baked<const A: usize, const B: usize>(bias: &[u8; A], columns: &[u8; B], head: D) -> Self {
        let () = Self::CONSISTENT;
        let (bias, columns) = (read_lines::<f32, LINES, A>(bias), read_lines::<E, LEN, B>(columns));
        Self { bias, columns, head, choice: Choice::Fastest }
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
> fmt::Debug for Cell<E, I, H, HP, LAST, LINES, LEN, BIAS, D>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.describe("Cell", f)
    }
}
