//! What an [`Lstm`](super::Lstm) asks of its options.

use alloc::vec::Vec;

use half::{bf16, f16};

use super::{Dtype, LstmConfig};
use crate::element::Element;
use crate::error::{Error, OptionValue, WeightsError};
use crate::weights::{LstmWeights, Sizes, check_size};

impl Dtype {
    const fn name(self) -> &'static str {
        match self {
            Self::F32 => f32::NAME,
            Self::F16 => f16::NAME,
            Self::Bf16 => bf16::NAME,
        }
    }
}

impl LstmConfig {
    pub(crate) fn check(&self) -> Result<(), Error> {
        let sizes =
            [("input_size", self.input_size), ("hidden_size", self.hidden_size), ("num_layers", self.num_layers)];
        sizes.into_iter().try_for_each(|(option, size)| check_size(option, size))?;
        if self.proj_size >= self.hidden_size {
            return Err(Error::WrongProjSize { hidden_size: self.hidden_size, found: self.proj_size });
        }
        if !(0.0..=1.0).contains(&self.dropout) {
            let (expected, found) = ("a probability, from 0 to 1", OptionValue::Number(self.dropout));
            return Err(Error::InvalidOption { option: "dropout", expected, found });
        }
        Ok(())
    }

    /// Whether a stream that was made for an LSTM with the options `found` belongs to one with these.
    #[inline]
    pub(crate) fn check_stream(&self, found: &Self) -> Result<(), Error> {
        // Each sample of a stream asks.
        if self == found { Ok(()) } else { self.foreign_stream(found) }
    }

    /// The error that names the first option in which the two differ.
    #[cold]
    fn foreign_stream(&self, found: &Self) -> Result<(), Error> {
        let mut options = self.options().into_iter().zip(found.options());
        match options.find(|(expected, found)| expected != found) {
            Some(((option, expected), (_, found))) => Err(Error::ForeignStream { option, expected, found }),
            None => Ok(()),
        }
    }

    /// All of them, with their names.
    fn options(&self) -> [(&'static str, OptionValue); 9] {
        let &Self { input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size, dtype } =
            self;
        [
            ("input_size", OptionValue::Size(input_size)),
            ("hidden_size", OptionValue::Size(hidden_size)),
            ("num_layers", OptionValue::Size(num_layers)),
            ("bias", OptionValue::Flag(bias)),
            ("batch_first", OptionValue::Flag(batch_first)),
            ("dropout", OptionValue::Number(dropout)),
            ("bidirectional", OptionValue::Flag(bidirectional)),
            ("proj_size", OptionValue::Size(proj_size)),
            ("dtype", OptionValue::Name(dtype.name())),
        ]
    }

    /// Makes something of each layer and direction's weights, and says where that failed.
    pub(crate) fn each_cell<T>(
        &self,
        weights: &[LstmWeights<'_>],
        make: impl Fn(&LstmWeights<'_>, Sizes) -> Result<T, WeightsError>,
    ) -> Result<Vec<T>, Error> {
        if weights.len() != self.cells() {
            return Err(Error::WrongLayers { expected: self.cells(), found: weights.len() });
        }
        let of_cell = |(cell, weights)| {
            let (layer, reverse) = (cell / self.directions(), cell % self.directions() == 1);
            make(weights, self.sizes(layer)).map_err(|error| Error::LayerWeights { layer, reverse, error })
        };
        weights.iter().enumerate().map(of_cell).collect()
    }
}
