//! Sequences that arrive in pieces.

use alloc::vec::Vec;
use core::slice::from_ref;

use super::input::{Extent, Input};
use super::workspace::Workspace;
use super::{Lstm, LstmConfig};
use crate::error::Error;
use crate::state::has_even_place;
use crate::tensor::check_elements;
use crate::weights::check_size;

/// The state of all layers for a batch of sequences that arrive in pieces, and the memory to work in. Made by
/// [`Lstm::stream`].
///
/// The memory is a [`Workspace`], which grows with the longest piece: half a MiB for two layers of (80, 128) and pieces
/// of 256 time steps, where the states have 2 KiB. Thousands of sequences need not have one each: keep the `(h, c)` of
/// each, and give those of a batch to [`Lstm::forward_into`], with one workspace for all.
#[derive(Clone, Debug)]
pub struct Stream {
    config: LstmConfig,
    batch: usize,
    workspace: Workspace,
}

impl Stream {
    /// The number of sequences.
    pub const fn batch(&self) -> usize {
        self.batch
    }
}

impl Lstm {
    /// The start of a batch of sequences, from the states `(h_0, c_0)`, `[num_layers, batch, h_size]` and
    /// `[num_layers, batch, hidden_size]`, or from zero.
    ///
    /// ```
    /// use lstm_kernels::lstm::Input;
    /// use lstm_kernels::{Lstm, LstmConfig, LstmWeights};
    /// # let (w_ih, w_hh) = ([0.1; 8 * 3], [0.2; 8 * 2]);
    /// let config = LstmConfig::new(3, 2).bias(false);
    /// let lstm = Lstm::new(config, &[LstmWeights::torch(&w_ih, &w_hh, None)])?;
    ///
    /// let mut stream = lstm.stream(1, None)?;
    /// let mut out = [0.0; 4 * 2];
    /// let x = [0.5; 4 * 3];
    /// lstm.advance(&mut stream, Input::new(&x[..3], &[1, 1, 3]), &mut out[..2])?; // one step
    /// lstm.advance(&mut stream, Input::new(&x[3..], &[3, 1, 3]), &mut out[2..])?; // three
    /// // The same bits as all at once.
    /// assert_eq!(lstm.forward(Input::new(&x, &[4, 1, 3]), None)?.output.data, out);
    /// # Ok::<(), lstm_kernels::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::BidirectionalStream`]; a batch of 0 or more than 1,048,576; states of another number of elements.
    ///
    /// # Panics
    /// As a `Vec` does, if `batch` streams need more memory than there can be.
    pub fn stream(&self, batch: usize, initial: Option<(&[f32], &[f32])>) -> Result<Stream, Error> {
        if self.config.bidirectional {
            return Err(Error::BidirectionalStream);
        }
        check_size("batch", batch)?;
        self.check_initial(initial, batch)?;
        let mut workspace = Workspace::new();
        workspace.prepare(self, 1, batch);
        if let Some((h, c)) = initial {
            workspace.set_states(self, h, c);
        }
        Ok(Stream { config: self.config, batch, workspace })
    }

    /// Makes room for pieces of up to `steps` time steps, so that [`advance`](Self::advance) need not. The states stay.
    ///
    /// ```
    /// # use lstm_kernels::{Lstm, LstmConfig, LstmWeights, lstm::Input};
    /// # let (w_ih, w_hh) = ([0.1; 8 * 3], [0.2; 8 * 2]);
    /// # let lstm = Lstm::new(LstmConfig::new(3, 2).bias(false), &[LstmWeights::torch(&w_ih, &w_hh, None)])?;
    /// // As a plug-in is prepared for the longest block that its host will ask for.
    /// let mut stream = lstm.stream(1, None)?;
    /// lstm.stream_reserve(&mut stream, 64)?;
    ///
    /// // From here on nothing is allocated.
    /// let mut out = [0.0; 64 * 2];
    /// lstm.advance(&mut stream, Input::new(&[0.5; 64 * 3], &[64, 1, 3]), &mut out)?;
    /// lstm.stream_reset(&mut stream, None)?; // the transport has stopped
    /// lstm.advance(&mut stream, Input::new(&[0.5; 3], &[1, 1, 3]), &mut out[..2])?;
    /// # Ok::<(), lstm_kernels::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::ForeignStream`]: a stream made for an LSTM with other options.
    ///
    /// # Panics
    /// As a `Vec` does, if that is more memory than there can be.
    pub fn stream_reserve(&self, stream: &mut Stream, steps: usize) -> Result<(), Error> {
        self.config.check_stream(&stream.config)?;
        stream.workspace.reserve(self, steps);
        Ok(())
    }

    /// Begins anew, from other states or from zero, as [`stream`](Self::stream) does. No allocation.
    ///
    /// # Errors
    /// [`Error::ForeignStream`]; states of another number of elements. The stream has not changed then.
    pub fn stream_reset(&self, stream: &mut Stream, initial: Option<(&[f32], &[f32])>) -> Result<(), Error> {
        self.config.check_stream(&stream.config)?;
        self.check_initial(initial, stream.batch)?;
        match initial {
            Some((h, c)) => stream.workspace.set_states(self, h, c),
            None => stream.workspace.clear(self),
        }
        Ok(())
    }

    /// Takes the next time steps of all sequences of a stream, any number of them, and writes the output, of the
    /// input's shape with `h_size` as its last dimension. The bits of all pieces together are those of
    /// [`forward`](Self::forward) on the whole, wherever it is cut.
    ///
    /// No allocation, unless a piece is longer than every one before it and than what
    /// [`stream_reserve`](Self::stream_reserve) has made room for.
    ///
    /// # Errors
    /// An input or output of the wrong shape, or with [`lengths`](Input::lengths); a stream made for an LSTM with
    /// other options. The stream has not changed then.
    // (In its caller the fields of the input stay in registers: from memory, where they are stored one by one, those of
    // a call are copied by twos, and such a load waits until all that was stored before is in the cache, h too.)
    #[inline(always)]
    pub fn advance(&self, stream: &mut Stream, input: Input<'_>, output: &mut [f32]) -> Result<(), Error> {
        if stream.batch == 1 && input.is_one_step(self.config.input_size) {
            self.advance_one(stream, input.data, output)
        } else {
            self.advance_any(stream, input, output)
        }
    }

    /// [`advance`](Self::advance) of one time step of one sequence.
    #[inline(never)]
    fn advance_one(&self, stream: &mut Stream, x: &[f32], output: &mut [f32]) -> Result<(), Error> {
        if !self.one_step || output.len() != self.config.hidden_size {
            return self.advance_any(stream, Input::new(x, &[1, 1, x.len()]), output);
        }
        self.config.check_stream(&stream.config)?;
        let turned = self.turns_round && has_even_place(from_ref(stream));
        stream.workspace.advance_one(self, x, output, turned);
        Ok(())
    }

    /// [`advance`](Self::advance) of any number of them.
    #[inline(never)]
    fn advance_any(&self, stream: &mut Stream, input: Input<'_>, output: &mut [f32]) -> Result<(), Error> {
        self.config.check_stream(&stream.config)?;
        let extent = Extent::new(&self.config, &input, 0)?;
        if input.lengths.is_some() {
            return Err(Error::UnexpectedLengths);
        }
        if extent.batch != stream.batch {
            return Err(Error::WrongBatch { expected: stream.batch, found: extent.batch });
        }
        check_elements("output", output.len(), extent.dimensions(self.config.output_size()))?;
        if extent.steps == 0 {
            return Ok(());
        }
        stream.workspace.reserve(self, extent.steps);
        stream.workspace.sort(extent.steps, None);
        stream.workspace.run(self, extent, &input, output);
        Ok(())
    }

    /// The states of a stream now: `h_n` and `c_n`, in PyTorch's shapes `[num_layers, batch, h_size]` and
    /// `[num_layers, batch, hidden_size]`.
    ///
    /// # Errors
    /// [`Error::ForeignStream`]: a stream made for an LSTM with other options.
    pub fn stream_states(&self, stream: &Stream) -> Result<(Vec<f32>, Vec<f32>), Error> {
        self.config.check_stream(&stream.config)?;
        let rows = self.config.cells() * stream.batch;
        let state = |size| alloc::vec![0.0; rows * size]; // the stream holds as many
        let mut states = (state(self.config.h_size()), state(self.config.hidden_size));
        self.stream_states_into(stream, (&mut states.0, &mut states.1))?;
        Ok(states)
    }

    /// [`stream_states`](Self::stream_states) into given memory. No allocation.
    ///
    /// # Errors
    /// [`Error::ForeignStream`]; slices of another number of elements. Nothing is written then.
    pub fn stream_states_into(&self, stream: &Stream, (h, c): (&mut [f32], &mut [f32])) -> Result<(), Error> {
        self.config.check_stream(&stream.config)?;
        self.check_states(("h", h.len()), ("c", c.len()), stream.batch)?;
        stream.workspace.states(self, h, c);
        Ok(())
    }

    fn check_initial(&self, initial: Option<(&[f32], &[f32])>, batch: usize) -> Result<(), Error> {
        initial.map_or(Ok(()), |(h, c)| self.check_states(("h_0", h.len()), ("c_0", c.len()), batch))
    }
}
