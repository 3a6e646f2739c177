//! Threads, for those who ask for them: [`Lstm::threads`] (feature `rayon`). Without it all goes one after the other.
//!
//! **Cuts.** The two directions of a layer do not know of each other, nor do the streams of a batch. So the streams are
//! dealt into shards, each of which goes through all layers with memory of its own, and in a shard the directions run
//! at the same time. No sum is cut: the bits are those of one thread.

use super::Lstm;
use crate::layout::GATES;

/// Streams that a kernel steps together, as they share each weight that is read: they are not cut apart. (Fewer gain
/// from one thread that looks ahead in all of them: two of (128, 128) as two shards took 1.2 times as long on one
/// thread, and three quarters on two.)
pub(super) const TOGETHER: usize = 4;

/// Multiply-adds below which a call, or a block of its time steps, is not worth a thread: 50 to 110 us of one
/// thread's work on Zen 5, up to 300 on Emerald Rapids. A thread that sleeps took 10 to 100 us to wake.
const LEAST_WORK: usize = 6 << 20;

impl Lstm {
    /// Lets each call of [`forward`](Self::forward), [`forward_into`](Self::forward_into) and
    /// [`advance`](Self::advance) use up to `threads` threads (feature `rayon`): the caller's own and those of a pool
    /// of [rayon](https://docs.rs/rayon), the one that the call is made in, or else the global one. Without this there
    /// is one thread, even if another crate of your program has switched the feature on.
    ///
    /// The two directions of a layer run at the same time, and so do parts of the batch, of a multiple of four streams.
    /// A batch of four in one direction has nothing to divide. The bits are those of one thread. Calls of less than 6
    /// Mi multiply-adds (0.05 to 0.3 ms) stay on one.
    ///
    /// With more than one thread the promises for real time do not hold: rayon locks, waits and may allocate. Make a
    /// workspace after this call, else its first use allocates; a stream keeps the division of the LSTM that made it.
    ///
    /// ```
    /// use lstm_kernels::lstm::Input;
    /// use lstm_kernels::{Lstm, LstmConfig, LstmWeights};
    /// # let (w_ih, w_hh) = ([0.1; 80 * 10], [0.1; 80 * 20]);
    /// # let weights = [LstmWeights::torch(&w_ih, &w_hh, None)];
    /// let lstm = Lstm::new(LstmConfig::new(10, 20).bias(false), &weights)?;
    /// let threaded = lstm.clone().threads(4);
    ///
    /// let (x, shape) = (vec![0.5; 100 * 64 * 10], [100, 64, 10]);
    /// let input = Input::new(&x, &shape);
    /// assert_eq!(threaded.forward(input, None)?, lstm.forward(input, None)?);
    /// # Ok::<(), lstm_kernels::Error>(())
    /// ```
    #[cfg(feature = "rayon")]
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// Directions that may run at the same time.
    pub(super) const fn directions_at_once(&self) -> usize {
        if self.threads > 1 { self.config.directions() } else { 1 }
    }

    /// The number of shards that a batch is cut into.
    pub(super) fn shards(&self, batch: usize) -> usize {
        let threads = self.threads / self.directions_at_once();
        usize::clamp(threads, 1, batch.div_ceil(TOGETHER))
    }

    /// Whether these many rows, time steps times streams, are worth more than one thread.
    pub(super) fn pays(&self, rows: usize) -> bool {
        let work = |layer| {
            let sizes = self.config.sizes(layer);
            GATES * sizes.hidden * sizes.columns() * self.config.directions()
        };
        let all: usize = (0..self.config.num_layers).map(work).sum();
        // Two directions wait for each other after every layer.
        let work = if self.directions_at_once() == 2 { all / self.config.num_layers } else { all };
        self.threads > 1 && rows.saturating_mul(work) >= LEAST_WORK
    }
}

/// Does something with each item, at the same time if `parallel`.
pub(super) fn each<T: Send>(items: &mut [T], parallel: bool, act: &(impl Fn(&mut T) + Sync)) {
    match items {
        [] => {}
        [item] => act(item),
        _ => {
            let (left, right) = items.split_at_mut(items.len() / 2);
            join(parallel, || each(left, parallel, act), || each(right, parallel, act));
        }
    }
}

/// Does both, at the same time if `parallel`: the first on the caller's thread, which saves waking another.
pub(super) fn join(parallel: bool, here: impl FnOnce() + Send, there: impl FnOnce() + Send) {
    #[cfg(feature = "rayon")]
    if parallel {
        rayon::in_place_scope(|scope| {
            scope.spawn(|_| there());
            here();
        });
        return;
    }
    let _ = parallel;
    here();
    there();
}
