//! The state `(h, c)` of one stream: a plain value that the caller owns.

use core::fmt;

/// The state `(h, c)` of one stream through a cell of `H` units; `HP` is `H` rounded up to a multiple of 4.
///
/// One cell serves any number of states. A state can be cloned, and read and set at any time.
/// `lstm_cell!` emits an alias for each cell, `LSTMCellState` for `LSTMCell`.
///
/// ```
/// lstm_kernels::lstm_cell!(in=10, hidden=20);
/// let mut state = LSTMCellState::new(&[0.5; 20], &[-1.0; 20]);
/// let saved = state.clone();
/// state.set_h(&[0.0; 20]);
/// assert_eq!(saved.h(), &[0.5; 20]);
/// assert_eq!(state.c(), &[-1.0; 20]);
/// ```
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub struct State<const H: usize, const HP: usize> {
    h: [f32; HP],
    c: [f32; HP],
    /// Whether the next step goes over the weights of a large layer backwards, group by group: those that the step
    /// before read last still lie in the cache.
    backwards: bool,
}

impl<const H: usize, const HP: usize> State<H, HP> {
    /// The state at the start of a sequence, as PyTorch has it by default: h = c = 0.
    pub const fn zero() -> Self {
        const { assert!(HP == crate::layout::padded(H), "HP is H rounded up to a multiple of 4") };
        Self { h: [0.0; HP], c: [0.0; HP], backwards: false }
    }

    /// A given state, of shape \[H\] each.
    pub fn new(h: &[f32; H], c: &[f32; H]) -> Self {
        let mut state = Self::zero();
        state.set_h(h);
        state.set_c(c);
        state
    }

    /// The hidden state, which is the cell's output.
    #[inline]
    pub const fn h(&self) -> &[f32; H] {
        head(&self.h)
    }

    /// The cell state.
    #[inline]
    pub const fn c(&self) -> &[f32; H] {
        head(&self.c)
    }

    /// Sets the hidden state.
    #[inline]
    pub fn set_h(&mut self, h: &[f32; H]) {
        self.h[..H].copy_from_slice(h);
    }

    /// Sets the cell state.
    #[inline]
    pub fn set_c(&mut self, c: &[f32; H]) {
        self.c[..H].copy_from_slice(c);
    }

    /// Which way to go over the weights of a large layer, for these states together: each call turns round.
    #[inline(always)]
    pub(crate) fn turn_round(states: &mut [Self]) -> bool {
        let even = has_even_place(states);
        let Some(first) = states.first_mut() else { return false };
        first.backwards = !first.backwards;
        first.backwards == even
    }

    /// All lanes of h and c, the padding included.
    #[inline(always)]
    pub(crate) fn lanes_mut(&mut self) -> (&mut [f32], &mut [f32]) {
        (&mut self.h, &mut self.c)
    }
}

/// Whether this is every second one of such values that lie side by side: it goes the other way over the weights, so
/// that streams that take turns turn round, too. (On Zen 4, seven streams, each: (1, 48) 336 to 264 ns, (64, 64) 1,153
/// to 1,067. An even number does not turn round from the last one to the first, so two gain nothing.)
#[inline(always)]
pub(crate) fn has_even_place<T>(values: &[T]) -> bool {
    let place = values.as_ptr().addr().checked_div(size_of_val(values));
    place.is_some_and(|place| place.is_multiple_of(2))
}

/// The real lanes. `HP >= H` holds for every state that was made, so the other branch is never compiled in.
#[inline(always)]
const fn head<const H: usize, const HP: usize>(lanes: &[f32; HP]) -> &[f32; H] {
    match lanes.first_chunk() {
        Some(head) => head,
        None => unreachable!(),
    }
}

impl<const H: usize, const HP: usize> Default for State<H, HP> {
    fn default() -> Self {
        Self::zero()
    }
}

impl<const H: usize, const HP: usize> PartialEq for State<H, HP> {
    fn eq(&self, other: &Self) -> bool {
        self.h() == other.h() && self.c() == other.c()
    }
}

impl<const H: usize, const HP: usize> fmt::Debug for State<H, HP> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("h", self.h()).field("c", self.c()).finish()
    }
}
