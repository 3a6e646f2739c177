//! The model that `train.py` trained: an LSTM cell and a linear head, read from its file when this is compiled.

use std::error::Error;

use lstm_kernels::{LstmWeights, lstm_cell};
use safetensors::{Dtype, SafeTensors};

lstm_cell!(pub struct SunspotCell, in=1, hidden=16, out=1,
    weights="examples/sunspots/sunspots.safetensors", prefix="lstm", head="head");

/// Ready when the program starts: its weights lie in the program file.
pub static MODEL: SunspotCell = SunspotCell::baked();

/// This month's number goes in, the forecast of the next month's comes out: persistence plus what the head says.
pub fn forecast(sunspots: f32, state: &mut SunspotCellState) -> f32 {
    let x = normalise(sunspots);
    let [correction] = MODEL.step_out(&[x], state);
    denormalise(x + correction)
}

/// From sunspots to what the cell sees: the square root evens out the noise.
pub fn normalise(sunspots: f32) -> f32 {
    (sunspots.sqrt() - 6.0) / 4.0
}

fn denormalise(x: f32) -> f32 {
    (4.0 * x + 6.0).max(0.0).powi(2)
}

/// PyTorch's tensors of the cell, for what the model is compared with.
pub struct Tensors {
    pub weight_ih: Vec<f32>,
    pub weight_hh: Vec<f32>,
    pub bias_ih: Vec<f32>,
    pub bias_hh: Vec<f32>,
}

impl Tensors {
    pub fn read(file: &[u8]) -> Result<Self, Box<dyn Error>> {
        let file = SafeTensors::deserialize(file)?;
        Ok(Self {
            weight_ih: floats(&file, "lstm.weight_ih_l0")?,
            weight_hh: floats(&file, "lstm.weight_hh_l0")?,
            bias_ih: floats(&file, "lstm.bias_ih_l0")?,
            bias_hh: floats(&file, "lstm.bias_hh_l0")?,
        })
    }

    pub fn view(&self) -> LstmWeights<'_> {
        LstmWeights::torch(&self.weight_ih, &self.weight_hh, Some((&self.bias_ih, &self.bias_hh)))
    }
}

fn floats(file: &SafeTensors<'_>, name: &str) -> Result<Vec<f32>, Box<dyn Error>> {
    let tensor = file.tensor(name)?;
    if tensor.dtype() != Dtype::F32 {
        return Err(format!("{name} is {:?}, expected F32", tensor.dtype()).into());
    }
    Ok(tensor.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
}
