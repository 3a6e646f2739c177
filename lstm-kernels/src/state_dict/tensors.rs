//! What a state_dict holds, owned: the tensors of one layer and direction, and those of a whole LSTM.

use alloc::vec::Vec;

use super::key::{Key, Kind};
use super::{StateDict, StateDictError};
use crate::config::LstmConfig;
use crate::layout::GATES;
use crate::weights::{LstmWeights, Sizes};

/// The f32 tensors of one LSTM cell, or of one layer and direction of an LSTM, with their sizes. [`view`](Self::view)
/// gives them as [`LstmWeights`], where their shapes stand.
#[derive(Clone, Debug, PartialEq)]
pub struct LstmTensors {
    sizes: (usize, usize),
    weight_ih: Vec<f32>,
    weight_hh: Vec<f32>,
    bias: Option<(Vec<f32>, Vec<f32>)>,
    weight_hr: Option<Vec<f32>>,
}

/// The options and tensors of a `torch.nn.LSTM`.
///
/// ```
/// use lstm_kernels::{Isa, Lstm, StateDict};
/// # let bytes = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/model.safetensors"));
/// let model = StateDict::read(bytes)?.lstm("lstm")?;
/// // What the file does not tell, and a kernel of one's choice.
/// let lstm = Lstm::with_isa(model.config.batch_first(true), &model.weights(), Isa::Scalar)?;
/// # Ok::<(), lstm_kernels::StateDictError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LstmModel {
    /// The options, `batch_first` and `dropout` at their defaults.
    pub config: LstmConfig,
    /// Layer by layer, and of each layer the forward direction first.
    pub layers: Vec<LstmTensors>,
}

impl LstmModel {
    /// Views of all tensors, as [`Lstm::new`](crate::Lstm::new) takes them.
    pub fn weights(&self) -> Vec<LstmWeights<'_>> {
        self.layers.iter().map(LstmTensors::view).collect()
    }
}

impl LstmTensors {
    /// The number of inputs.
    pub const fn input_size(&self) -> usize {
        self.sizes.0
    }

    /// The number of hidden units.
    pub const fn hidden_size(&self) -> usize {
        self.sizes.1
    }

    /// A view, to make a cell from.
    pub fn view(&self) -> LstmWeights<'_> {
        let bias = self.bias.as_ref().map(|(ih, hh)| (&ih[..], &hh[..]));
        let weights = LstmWeights::torch(&self.weight_ih, &self.weight_hh, bias);
        self.weight_hr.as_ref().map_or(weights, |weight_hr| weights.with_projection(weight_hr))
    }

    /// Reads the tensors of the keys that `key` makes, whose shapes must be those of `sizes`.
    pub(super) fn read(
        file: &StateDict<'_>,
        prefix: &str,
        key: impl Fn(Kind) -> Key,
        sizes: Sizes,
        bias: bool,
    ) -> Result<Self, StateDictError> {
        let read = |kind, shape: &[usize]| file.values(&key(kind).name(prefix), prefix, shape);
        let rows = GATES * sizes.hidden;
        let vectors = || Ok::<_, StateDictError>((read(Kind::BiasIh, &[rows])?, read(Kind::BiasHh, &[rows])?));
        Ok(Self {
            sizes: (sizes.input, sizes.hidden),
            weight_ih: read(Kind::WeightIh, &[rows, sizes.input])?,
            weight_hh: read(Kind::WeightHh, &[rows, sizes.output()])?,
            bias: bias.then(vectors).transpose()?,
            weight_hr: sizes.proj.map(|proj| read(Kind::WeightHr, &[proj, sizes.hidden])).transpose()?,
        })
    }
}

/// The sizes that the first layer's shapes tell.
pub(super) struct Shapes {
    input: usize,
    hidden: usize,
    proj: usize,
}

impl Shapes {
    pub(super) fn read(
        file: &StateDict<'_>,
        prefix: &str,
        layer: Option<usize>,
        projection: bool,
    ) -> Result<Self, StateDictError> {
        let shape = |kind, expected: &str| {
            let unit = if kind == Kind::WeightHr { 1 } else { GATES };
            file.matrix(&Key { layer, reverse: false, kind }.name(prefix), prefix, unit, expected)
        };
        // Whether they fit together is checked when all tensors are read.
        let [_, input] = shape(Kind::WeightIh, "[4 * hidden_size, input_size], nothing zero")?;
        let [rows, _] = shape(Kind::WeightHh, "[4 * hidden_size, h_size], nothing zero")?;
        let proj = if projection {
            let [proj, _] = shape(Kind::WeightHr, "[proj_size, hidden_size], nothing zero")?;
            proj
        } else {
            0
        };
        Ok(Self { input, hidden: rows / GATES, proj })
    }

    pub(super) const fn config(&self) -> LstmConfig {
        LstmConfig::new(self.input, self.hidden).proj_size(self.proj)
    }
}
