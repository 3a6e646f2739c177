//! Owned tensors, and whether a slice has as many elements as a shape says.

use alloc::vec::Vec;

use crate::error::Error;

/// An owned tensor, row-major.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tensor {
    /// The elements.
    pub data: Vec<f32>,
    /// The sizes of the dimensions.
    pub shape: Vec<usize>,
}

/// The number of rows that is nearest to so many elements: where one is missing, the check of these elements says so,
/// not that of another slice.
pub(crate) const fn nearest_rows(elements: usize, size: usize) -> usize {
    (elements + size / 2) / size
}

/// Whether a tensor of a shape has `found` elements.
pub(crate) fn check_elements(tensor: &'static str, found: usize, expected: [usize; 3]) -> Result<(), Error> {
    let product = expected.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
    if product == Some(found) { Ok(()) } else { Err(Error::WrongElements { tensor, expected, found }) }
}
