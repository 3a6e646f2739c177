//! Threads, for those who ask for them: [`Lstm::threads`] (feature `rayon`). Without it all goes one after the other.
//!
//! **Cuts.** The two directions of a layer do not know of each other, nor do the streams of a batch. So the streams are
//! dealt into parts, each of which goes through all layers with memory of its own, and in a part the directions run at
//! the same time. No sum is cut: the bits are those of one thread.

use super::Lstm;
use super::part::Part;
use crate::layout::GATES;

/// Streams that a kernel steps together: they share each weight that is read.
pub(super) const TOGETHER: usize = 4;

/// Streams of a batch that are not cut apart.
pub(super) const fn together(batch: usize) -> usize {
    if batch < TOGETHER { 1 } else { TOGETHER }
}

/// Multiply-adds below which a call is not worth a thread.
const LEAST_WORK: usize = 1 << 20;

impl Lstm {
    /// Lets calls use up to `threads` threads of rayon (feature `rayon`), at the same bits. Without this call there is
    /// one, whoever else has switched the feature on.
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

    /// The number of parts that a batch is cut into.
    pub(super) fn parts(&self, batch: usize) -> usize {
        let threads = self.threads / self.directions_at_once();
        usize::clamp(threads, 1, batch.div_ceil(together(batch)))
    }

    /// Whether these many rows, time steps times streams, are worth more than one thread.
    pub(super) fn pays(&self, rows: usize) -> bool {
        let row = |layer| {
            let sizes = self.config.sizes(layer);
            self.config.directions() * GATES * sizes.hidden * sizes.columns()
        };
        self.threads > 1 && rows.saturating_mul((0..self.config.num_layers).map(row).sum()) >= LEAST_WORK
    }
}

/// Does something with each part, at the same time if `parallel`.
pub(super) fn each(parts: &mut [Part], parallel: bool, act: &(impl Fn(&mut Part) + Sync)) {
    match parts {
        [] => {}
        [part] => act(part),
        _ => {
            let (left, right) = parts.split_at_mut(parts.len() / 2);
            join(parallel, || each(left, parallel, act), || each(right, parallel, act));
        }
    }
}

/// Does both, at the same time if `parallel`.
pub(super) fn join(parallel: bool, left: impl FnOnce() + Send, right: impl FnOnce() + Send) {
    #[cfg(feature = "rayon")]
    if parallel {
        rayon::join(left, right);
        return;
    }
    let _ = parallel;
    left();
    right();
}

/// Does something on a thread of rayon's if `parallel`: going there once is cheaper than at every [`join`].
pub(super) fn enter(parallel: bool, act: impl FnOnce() + Send) {
    #[cfg(feature = "rayon")]
    if parallel {
        rayon::scope(|_| act());
        return;
    }
    let _ = parallel;
    act();
}
