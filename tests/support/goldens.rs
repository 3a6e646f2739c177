//! What PyTorch computed: `data/lstm_cell.safetensors`, see the script beside it.

use std::collections::BTreeSet;

use safetensors::{Dtype, SafeTensors};

use crate::Model;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/lstm_cell.safetensors");

/// All cases of the file.
#[derive(Debug)]
pub struct Goldens(Vec<Golden>);

/// One `torch.nn.LSTMCell`, run over a batch of sequences.
#[derive(Debug)]
pub struct Golden {
    /// The case's name in the file.
    pub name: String,
    /// Sizes and weights.
    pub model: Model,
    /// Time steps.
    pub steps: usize,
    /// Batch size.
    pub streams: usize,
    x: Vec<f32>,
    h0: Vec<f32>,
    c0: Vec<f32>,
    /// \[T, N, H\], computed in float32.
    pub h: Vec<f32>,
    /// \[T, N, H\], computed in float32.
    pub c: Vec<f32>,
    /// \[T, N, H\], computed in float64.
    pub h64: Vec<f64>,
    /// \[T, N, H\], computed in float64.
    pub c64: Vec<f64>,
}

impl Goldens {
    /// Reads the file.
    ///
    /// # Panics
    /// If it is missing, holds no case, or a tensor that does not belong in it.
    pub fn read() -> Self {
        let bytes = std::fs::read(PATH).unwrap_or_else(|error| panic!("{PATH}: {error}"));
        let file = SafeTensors::deserialize(&bytes).unwrap_or_else(|error| panic!("{PATH}: {error}"));
        let names: BTreeSet<String> = file
            .names()
            .into_iter()
            .map(|name| name.rsplit_once('/').unwrap_or_else(|| panic!("{name}: not `case/tensor`")).0.to_owned())
            .collect();
        assert!(!names.is_empty(), "{PATH} holds no case");
        Self(names.into_iter().map(|name| Golden::read(&file, name)).collect())
    }

    /// The cases, by name.
    pub fn cases(&self) -> &[Golden] {
        &self.0
    }
}

impl Golden {
    fn read(file: &SafeTensors<'_>, name: String) -> Self {
        let shape = |tensor: &str| {
            let view = file.tensor(&format!("{name}/{tensor}")).unwrap_or_else(|e| panic!("{name}/{tensor}: {e}"));
            view.shape().to_vec()
        };
        let optional =
            |tensor: &str| file.tensor(&format!("{name}/{tensor}")).is_ok().then(|| f32s(file, &name, tensor));
        let [steps, streams, input] = shape("x")[..] else { panic!("{name}/x: expected [T, N, I]") };
        let [_, hidden] = shape("weight_hh")[..] else { panic!("{name}/weight_hh: expected [4H, H]") };
        assert_eq!(shape("weight_ih"), [4 * hidden, input], "{name}");
        for tensor in ["h", "c", "h64", "c64"] {
            assert_eq!(shape(tensor), [steps, streams, hidden], "{name}/{tensor}");
        }
        for tensor in ["h0", "c0"] {
            assert_eq!(shape(tensor), [streams, hidden], "{name}/{tensor}");
        }
        let model = Model {
            input,
            hidden,
            weight_ih: f32s(file, &name, "weight_ih"),
            weight_hh: f32s(file, &name, "weight_hh"),
            bias: optional("bias_ih").zip(optional("bias_hh")),
        };
        Self {
            model,
            steps,
            streams,
            x: f32s(file, &name, "x"),
            h0: f32s(file, &name, "h0"),
            c0: f32s(file, &name, "c0"),
            h: f32s(file, &name, "h"),
            c: f32s(file, &name, "c"),
            h64: f64s(file, &name, "h64"),
            c64: f64s(file, &name, "c64"),
            name,
        }
    }

    /// The inputs of all streams at time `t`.
    pub fn xs(&self, t: usize) -> &[f32] {
        &self.x[t * self.streams * self.model.input..][..self.streams * self.model.input]
    }

    /// The input of one stream at time `t`.
    pub fn x(&self, t: usize, stream: usize) -> &[f32] {
        &self.xs(t)[stream * self.model.input..][..self.model.input]
    }

    /// A stream's first h.
    pub fn h0(&self, stream: usize) -> &[f32] {
        &self.h0[stream * self.model.hidden..][..self.model.hidden]
    }

    /// A stream's first c.
    pub fn c0(&self, stream: usize) -> &[f32] {
        &self.c0[stream * self.model.hidden..][..self.model.hidden]
    }
}

pub(crate) fn f32s(file: &SafeTensors<'_>, case: &str, tensor: &str) -> Vec<f32> {
    let (chunks, _) = bytes(file, case, tensor, Dtype::F32).as_chunks();
    chunks.iter().copied().map(f32::from_le_bytes).collect()
}

pub(crate) fn f64s(file: &SafeTensors<'_>, case: &str, tensor: &str) -> Vec<f64> {
    let (chunks, _) = bytes(file, case, tensor, Dtype::F64).as_chunks();
    chunks.iter().copied().map(f64::from_le_bytes).collect()
}

fn bytes<'a>(file: &SafeTensors<'a>, case: &str, tensor: &str, dtype: Dtype) -> &'a [u8] {
    let view = file.tensor(&format!("{case}/{tensor}")).unwrap_or_else(|error| panic!("{case}/{tensor}: {error}"));
    assert_eq!(view.dtype(), dtype, "{case}/{tensor}");
    view.data()
}
