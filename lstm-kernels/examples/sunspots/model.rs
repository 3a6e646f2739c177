//! The model that `train.py` trained: an LSTM cell and a linear head, from a PyTorch `state_dict`.

use std::error::Error;

use lstm_kernels::{LstmWeights, lstm_cell};
use safetensors::{Dtype, SafeTensors};

lstm_cell!(pub struct SunspotCell, in=1, hidden=16);

/// From sunspots to what the cell sees: the square root evens out the noise.
pub fn normalise(sunspots: f32) -> f32 {
    (sunspots.sqrt() - 6.0) / 4.0
}

fn denormalise(x: f32) -> f32 {
    (4.0 * x + 6.0).max(0.0).powi(2)
}

/// PyTorch's tensors of the cell.
pub struct Tensors {
    pub weight_ih: Vec<f32>,
    pub weight_hh: Vec<f32>,
    pub bias: Vec<f32>,
    zeros: Vec<f32>,
}

impl Tensors {
    pub fn view(&self) -> LstmWeights<'_> {
        LstmWeights::torch(&self.weight_ih, &self.weight_hh, Some((&self.bias, &self.zeros)))
    }
}

pub struct Forecaster {
    pub cell: SunspotCell,
    pub tensors: Tensors,
    head_weight: Vec<f32>,
    head_bias: f32,
}

impl Forecaster {
    pub fn load(file: &[u8]) -> Result<Self, Box<dyn Error>> {
        let file = SafeTensors::deserialize(file)?;
        let bias_ih = floats(&file, "lstm.bias_ih_l0")?;
        let bias_hh = floats(&file, "lstm.bias_hh_l0")?;
        let tensors = Tensors {
            weight_ih: floats(&file, "lstm.weight_ih_l0")?,
            weight_hh: floats(&file, "lstm.weight_hh_l0")?,
            zeros: vec![0.0; bias_ih.len()],
            bias: bias_ih.iter().zip(&bias_hh).map(|(a, b)| a + b).collect(),
        };
        Ok(Self {
            cell: SunspotCell::new(&tensors.view())?,
            tensors,
            head_weight: floats(&file, "head.weight")?,
            head_bias: floats(&file, "head.bias")?[0],
        })
    }

    /// This month's number goes in, the forecast of the next month's comes out: persistence plus what the head says.
    pub fn next(&self, sunspots: f32, state: &mut SunspotCellState) -> f32 {
        let x = normalise(sunspots);
        let h = self.cell.step(&[x], state);
        let correction: f32 = self.head_weight.iter().zip(h).map(|(w, h)| w * h).sum();
        denormalise(x + correction + self.head_bias)
    }
}

fn floats(file: &SafeTensors<'_>, name: &str) -> Result<Vec<f32>, Box<dyn Error>> {
    let tensor = file.tensor(name)?;
    if tensor.dtype() != Dtype::F32 {
        return Err(format!("{name} is {:?}, expected F32", tensor.dtype()).into());
    }
    Ok(tensor.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
}
