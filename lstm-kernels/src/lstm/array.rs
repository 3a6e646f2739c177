//! `ndarray` in and out.

use ndarray::{Array, ArrayView, Dimension};

use super::input::{Extent, Input, wrong_shape};
use super::{Lstm, Workspace};
use crate::error::Error;

/// What [`Lstm::forward_array`] returns, each array in PyTorch's shape and in standard layout.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Arrays<D: Dimension> {
    /// As [`Output::output`](super::Output::output).
    pub output: Array<f32, D>,
    /// As [`Output::h_n`](super::Output::h_n).
    pub h_n: Array<f32, D>,
    /// As [`Output::c_n`](super::Output::c_n).
    pub c_n: Array<f32, D>,
}

impl Lstm {
    /// [`forward`](Self::forward) on arrays (feature `ndarray`): x of three dimensions, or of two if unbatched, and
    /// `(h_0, c_0)` of as many; `lengths` as in [`Input::lengths`].
    ///
    /// Any strides will do: a view that is not in standard layout (transposed, a slice of columns) is copied first.
    ///
    /// ```
    /// use lstm_kernels::{Lstm, LstmConfig, LstmWeights};
    /// use ndarray::{Array2, Array3};
    /// # let (w_ih, w_hh) = ([0.1; 80 * 10], [0.1; 80 * 20]);
    /// # let weights = [LstmWeights::torch(&w_ih, &w_hh, None)];
    /// let lstm = Lstm::new(LstmConfig::new(10, 20).bias(false), &weights)?;
    ///
    /// let x = Array3::from_elem((5, 3, 10), 0.5); // [steps, batch, input_size]
    /// let result = lstm.forward_array(x.view(), None, None)?;
    /// assert_eq!(result.output.dim(), (5, 3, 20));
    ///
    /// let one = Array2::from_elem((5, 10), 0.5); // one sequence
    /// assert_eq!(lstm.forward_array(one.view(), None, None)?.h_n.dim(), (1, 20));
    /// # Ok::<(), lstm_kernels::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`forward`](Self::forward), and states of another shape, if with the right number of elements.
    ///
    /// # Panics
    /// If the axes of a result that are not zero multiply to more than `isize::MAX`, the limit of `ndarray`: only for
    /// an empty batch of that many time steps. As a `Vec` does, if a result, or the copy of a view that repeats its
    /// elements (`broadcast`), needs more memory than there can be.
    pub fn forward_array<D: Dimension>(
        &self,
        x: ArrayView<'_, f32, D>,
        lengths: Option<&[usize]>,
        initial: Option<(ArrayView<'_, f32, D>, ArrayView<'_, f32, D>)>,
    ) -> Result<Arrays<D>, Error> {
        // Before a copy is made of what will be refused.
        Extent::of_shape(self.config(), x.shape(), 1)?;
        let standard = x.as_standard_layout();
        let input = Input::new(standard.as_slice().unwrap_or_default(), x.shape());
        let input = lengths.map_or(input, |lengths| input.lengths(lengths));
        let extent = Extent::new(self.config(), &input, 1)?;

        let shaped = |leading: &[usize], size| {
            let mut shape = x.raw_dim();
            for (to, from) in shape.slice_mut().iter_mut().zip(leading.iter().chain([&size])) {
                *to = *from;
            }
            Array::<f32, D>::zeros(shape)
        };
        let dimensions = x.ndim() - 1;
        let states = &[self.config().cells(), extent.batch][..dimensions];
        let mut output = shaped(&x.shape()[..dimensions], self.config().output_size());
        let mut h_n = shaped(states, self.config().h_size());
        let mut c_n = shaped(states, self.config().hidden_size);
        if let Some((h_0, c_0)) = initial {
            for (name, expected, to, from) in [("h_0", H_0, &mut h_n, h_0), ("c_0", C_0, &mut c_n, c_0)] {
                if to.shape() != from.shape() {
                    return Err(wrong_shape(name, expected, to.shape()[dimensions], from.shape()));
                }
                to.assign(&from);
            }
        }
        // All three are new, hence in standard layout.
        let [output_slice, h, c] = [&mut output, &mut h_n, &mut c_n].map(|a| a.as_slice_mut().unwrap_or_default());
        self.forward_into(input, (h, c), output_slice, &mut Workspace::new())?;
        Ok(Arrays { output, h_n, c_n })
    }
}

const H_0: &str = "[directions * num_layers, batch, h_size] ([directions * num_layers, h_size] for one sequence)";
const C_0: &str =
    "[directions * num_layers, batch, hidden_size] ([directions * num_layers, hidden_size] for one sequence)";
