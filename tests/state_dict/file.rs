//! Files to read: a valid one, in parts that a test can change before they are put together.

use std::collections::BTreeMap;

use safetensors::tensor::{Dtype, TensorView, serialize};
use support::Random;

/// One tensor of a file.
#[derive(Clone, Debug)]
pub struct Part {
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    pub data: Vec<u8>,
}

impl Part {
    pub fn floats(shape: &[usize], values: &[f32]) -> Self {
        let data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self { dtype: Dtype::F32, shape: shape.to_vec(), data }
    }

    pub fn zeros(dtype: Dtype, shape: &[usize]) -> Self {
        let bytes = shape.iter().product::<usize>() * dtype.bitsize() / 8;
        Self { dtype, shape: shape.to_vec(), data: vec![0; bytes] }
    }

    fn view(&self) -> TensorView<'_> {
        TensorView::new(self.dtype, self.shape.clone(), &self.data).expect("data that fits the shape")
    }
}

/// The tensors of a file, by key.
pub type Parts = BTreeMap<String, Part>;

/// The state_dict of a `torch.nn.LSTM(3, 4, layers, bidirectional=.., proj_size=2)` of random weights.
pub fn lstm(prefix: &str, layers: usize, bidirectional: bool) -> Parts {
    const INPUT: usize = 3;
    const HIDDEN: usize = 4;
    const PROJ: usize = 2;
    let mut random = Random::new(7);
    let suffixes: &[&str] = if bidirectional { &["", "_reverse"] } else { &[""] };
    let mut parts = Parts::new();
    for layer in 0..layers {
        let input = if layer == 0 { INPUT } else { suffixes.len() * PROJ };
        for suffix in suffixes {
            let tensors: [(&str, &[usize]); 5] = [
                ("weight_ih", &[4 * HIDDEN, input]),
                ("weight_hh", &[4 * HIDDEN, PROJ]),
                ("bias_ih", &[4 * HIDDEN]),
                ("bias_hh", &[4 * HIDDEN]),
                ("weight_hr", &[PROJ, HIDDEN]),
            ];
            for (name, shape) in tensors {
                let values = random.normals(shape.iter().product());
                parts.insert(format!("{prefix}{name}_l{layer}{suffix}"), Part::floats(shape, &values));
            }
        }
    }
    parts
}

/// The file that holds these tensors.
pub fn bytes(parts: &Parts) -> Vec<u8> {
    serialize(parts.iter().map(|(key, part)| (key, part.view())), None).expect("a valid file")
}

/// A file with any text as its header and any data.
pub fn raw(header: &[u8], data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header, data].concat()
}
