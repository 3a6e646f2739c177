//! What PyTorch computed for whole sequences: `data/lstm.safetensors`, see the script beside it.

use std::collections::HashMap;

use lstm_kernels::LstmConfig;
use lstm_kernels::lstm::Input;
use safetensors::SafeTensors;

use crate::LstmModel;
use crate::goldens::{f32s, f64s};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/lstm.safetensors");

/// One call of a `torch.nn.LSTM`.
#[derive(Debug)]
pub struct LstmGolden {
    /// The case's name in the file.
    pub name: String,
    /// Options and weights.
    pub model: LstmModel,
    /// 0 for an unbatched call.
    pub batch: usize,
    x: Vec<f32>,
    x_shape: Vec<usize>,
    /// Each sequence's length, if they differ.
    pub lengths: Option<Vec<usize>>,
    /// `h_0` and `c_0`, if they were given.
    pub initial: Option<(Vec<f32>, Vec<f32>)>,
    /// What came out: output, `h_n`, `c_n`.
    pub results: [Expected; 3],
}

/// A tensor that came out.
#[derive(Debug)]
pub struct Expected {
    /// Its name.
    pub name: &'static str,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Computed in float32.
    pub single: Vec<f32>,
    /// Computed in float64.
    pub double: Vec<f64>,
}

impl LstmGolden {
    /// Reads all cases.
    ///
    /// # Panics
    /// If the file is missing, holds no case, or something that does not belong in it.
    pub fn read() -> Vec<Self> {
        let bytes = std::fs::read(PATH).unwrap_or_else(|error| panic!("{PATH}: {error}"));
        let file = SafeTensors::deserialize(&bytes).unwrap_or_else(|error| panic!("{PATH}: {error}"));
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap_or_else(|error| panic!("{PATH}: {error}"));
        let mut words = header.metadata().clone().unwrap_or_default();
        words.remove("torch");
        assert!(!words.is_empty(), "{PATH} holds no case");
        let mut cases: Vec<_> = words.iter().map(|(name, words)| Self::of(&file, name, words)).collect();
        cases.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        cases
    }

    fn of(file: &SafeTensors<'_>, name: &str, words: &str) -> Self {
        let words: HashMap<_, _> = words.split(' ').filter_map(|word| word.split_once('=')).collect();
        let number =
            |text: &str| text.parse::<usize>().unwrap_or_else(|error| panic!("case {name}, `{text}`: {error}"));
        let option = |option: &str| number(words.get(option).unwrap_or_else(|| panic!("case {name}: no `{option}`")));
        let config = LstmConfig::new(option("input_size"), option("hidden_size"))
            .num_layers(option("num_layers"))
            .bias(option("bias") == 1)
            .batch_first(option("batch_first") == 1)
            .bidirectional(option("bidirectional") == 1)
            .proj_size(option("proj_size"));
        let shape = |tensor: &str| file.tensor(&format!("{name}/{tensor}")).map(|tensor| tensor.shape().to_vec());
        let result = |tensor| Expected {
            name: tensor,
            shape: shape(tensor).unwrap_or_else(|error| panic!("{name}/{tensor}: {error}")),
            single: f32s(file, name, tensor),
            double: f64s(file, name, &format!("{tensor}64")),
        };
        Self {
            name: format!("case {name}"),
            model: LstmModel::new(config, f32s(file, name, "weights")),
            batch: option("batch"),
            x: f32s(file, name, "x"),
            x_shape: shape("x").unwrap_or_else(|error| panic!("{name}/x: {error}")),
            lengths: words.get("lengths").map(|lengths| lengths.split(',').map(number).collect()),
            initial: shape("h_0").is_ok().then(|| (f32s(file, name, "h_0"), f32s(file, name, "c_0"))),
            results: ["output", "h_n", "c_n"].map(result),
        }
    }

    /// What goes in.
    pub fn input(&self) -> Input<'_> {
        let input = Input::new(&self.x, &self.x_shape);
        self.lengths.as_ref().map_or(input, |lengths| input.lengths(lengths))
    }

    /// `(h_0, c_0)`, if they were given.
    pub fn initial(&self) -> Option<(&[f32], &[f32])> {
        self.initial.as_ref().map(|(h, c)| (h.as_slice(), c.as_slice()))
    }
}
