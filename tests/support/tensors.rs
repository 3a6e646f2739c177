//! Tensors of the files in `data`, widened.

use std::path::Path;

use safetensors::{Dtype, SafeTensors};

/// A safetensors file of `data`.
#[derive(Debug)]
pub struct TensorFile(Vec<u8>);

impl TensorFile {
    /// Reads `data/{name}`.
    ///
    /// # Panics
    /// If that fails.
    pub fn read(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data").join(name);
        Self(std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    }

    /// A tensor's elements, exactly; none if the file lacks the tensor.
    pub fn f64s(&self, name: &str) -> Vec<f64> {
        let file = SafeTensors::deserialize(&self.0).expect("a safetensors file");
        let Ok(tensor) = file.tensor(name) else { return Vec::new() };
        let (data, dtype) = (tensor.data(), tensor.dtype());
        let halves = || data.as_chunks().0.iter().map(|&bytes| u16::from_le_bytes(bytes));
        match dtype {
            Dtype::F64 => data.as_chunks().0.iter().map(|&bytes| f64::from_le_bytes(bytes)).collect(),
            Dtype::F32 => data.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes).into()).collect(),
            Dtype::BF16 => halves().map(|bits| f32::from_bits(u32::from(bits) << 16).into()).collect(),
            Dtype::F16 => halves().map(f16).collect(),
            other => panic!("{name} is {other:?}"),
        }
    }

    /// [`f64s`](Self::f64s), rounded.
    pub fn f32s(&self, name: &str) -> Vec<f32> {
        self.f64s(name).into_iter().map(|value| value as f32).collect()
    }
}

/// A finite f16, by its definition.
fn f16(bits: u16) -> f64 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 1023) / 1024.0);
    let size = if exponent == 0 { fraction * 2f64.powi(-14) } else { (1.0 + fraction) * 2f64.powi(exponent - 15) };
    if bits >> 15 == 1 { -size } else { size }
}
