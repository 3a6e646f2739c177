//! A model's state_dict as PyTorch saved it (`data/generate_model.py`), and what PyTorch computes with it.

use lstm_kernels::lstm::{Input, Workspace};
use lstm_kernels::{Error, Lstm, LstmCellDyn, LstmConfig, StateDict, lstm_cell};
use safetensors::SafeTensors;
use support::{Close, assert_within};

const FILE: &[u8] = include_bytes!("../data/model.safetensors");
const OUTPUTS: &[u8] = include_bytes!("../data/model_outputs.safetensors");

lstm_cell!(in=10, hidden=20);
lstm_cell!(struct Upper, in=20, hidden=20);

/// A tensor of what PyTorch computed.
fn output(key: &str) -> (Vec<usize>, Vec<f32>) {
    let file = SafeTensors::deserialize(OUTPUTS).expect("a safetensors file");
    let tensor = file.tensor(key).unwrap_or_else(|error| panic!("{key}: {error}"));
    let values = tensor.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    (tensor.shape().to_vec(), values)
}

fn values(key: &str) -> Vec<f32> {
    output(key).1
}

#[test]
fn every_module_gives_what_pytorch_computes() {
    let expected = [
        ("lstm", LstmConfig::new(10, 20).num_layers(2)),
        ("deep", LstmConfig::new(5, 6).num_layers(3).bidirectional(true).proj_size(4)),
        ("plain", LstmConfig::new(3, 7).bias(false)),
        ("half", LstmConfig::new(4, 5).bidirectional(true)),
        ("brain", LstmConfig::new(4, 5)),
        ("double", LstmConfig::new(4, 5).num_layers(2)),
    ];
    for (name, config) in expected {
        let lstm = Lstm::from_state_dict(FILE, name).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(*lstm.config(), config, "{name}");

        let (shape, x) = output(&format!("{name}.x"));
        let initial = (values(&format!("{name}.h_0")), values(&format!("{name}.c_0")));
        let found = lstm.forward(Input::new(&x, &shape), Some((&initial.0, &initial.1))).expect("fitting shapes");
        for (tensor, found) in [("output", found.output), ("h_n", found.h_n), ("c_n", found.c_n)] {
            let (shape, values) = output(&format!("{name}.{tensor}"));
            assert_eq!(found.shape, shape, "{name}.{tensor}");
            assert_within(&found.data, &values, Close::Absolute(2e-6), format!("{name}.{tensor}"));
        }
    }
}

#[test]
fn a_cell_gives_what_pytorch_computes() {
    let (dynamic, fixed) = (
        LstmCellDyn::from_state_dict(FILE, "cell").expect("a cell"),
        LSTMCell::new(&StateDict::read(FILE).expect("a file").cell("cell").expect("a cell").view()).expect("its sizes"),
    );
    let (x, mut h, mut c) = (values("cell.x"), values("cell.h_0"), values("cell.c_0"));
    let mut states: Vec<_> =
        h.as_chunks().0.iter().zip(c.as_chunks().0).map(|(h, c)| LSTMCellState::new(h, c)).collect();
    let (mut workspace, mut output, mut output_fixed) = (Workspace::new(), Vec::new(), Vec::new());
    for x in x.chunks_exact(3 * 10) {
        dynamic.step(x, &mut h, &mut c, &mut workspace).expect("a batch of three");
        output.extend_from_slice(&h);
        fixed.step_batch(x.as_chunks().0, &mut states).expect("three states");
        output_fixed.extend(states.iter().flat_map(|state| *state.h()));
    }
    assert_eq!(output, output_fixed, "the same bits");
    assert_within(&output, &values("cell.output"), Close::Absolute(2e-6), "output");
    assert_within(&c, &values("cell.c_n"), Close::Absolute(2e-6), "c_n");
}

#[test]
fn a_stack_of_cells_is_made_from_the_layers_of_an_lstm() {
    let model = StateDict::read(FILE).expect("a file").lstm("lstm").expect("an LSTM");
    let [l0, l1] = &model.layers[..] else { panic!("two layers") };
    assert_eq!((l0.input_size(), l0.hidden_size(), l1.input_size()), (10, 20, 20));
    let (lower, upper) = (LSTMCell::new(&l0.view()).expect("sizes"), Upper::new(&l1.view()).expect("sizes"));
    let (x, whole) = (values("lstm.x"), Lstm::from_state_dict(FILE, "lstm").expect("an LSTM"));
    // The first sequence of the batch, from zero.
    let x: Vec<[f32; 10]> = x.as_chunks().0.iter().step_by(3).copied().collect();
    let (mut between, mut output) = ([[0.0; 20]; 5], [[0.0; 20]; 5]);
    lower.run(&x, &mut LSTMCell::zero_state(), &mut between).expect("five steps");
    upper.run(&between, &mut Upper::zero_state(), &mut output).expect("five steps");
    let result = whole.forward(Input::new(x.as_flattened(), &[5, 10]), None).expect("five steps");
    assert_eq!(result.output.data, output.as_flattened());
}

#[test]
fn a_linear_layer_takes_rows_and_refuses_what_are_none() {
    let head = StateDict::read(FILE).expect("a file").linear("head").expect("a linear layer of 20 inputs, 1 output");
    let x: Vec<f32> = (0..60).map(|n| (n as f32 / 7.0).sin()).collect();
    let mut y = [f32::NAN; 3];
    head.apply(&x, &mut y).expect("three rows");
    for (x, y) in x.chunks_exact(20).zip(y) {
        let sum: f64 = head.weight.iter().zip(x).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum();
        let expected = sum + f64::from(head.bias.as_ref().expect("a bias")[0]);
        assert!((f64::from(y) - expected).abs() < 1e-6, "{y}, expected {expected}");
    }
    assert_eq!(head.apply(&[], &mut []), Ok(()));

    let mut y = [9.0; 3];
    let wrong = |tensor, expected, found| Err(Error::WrongElements { tensor, expected, found });
    assert_eq!(head.apply(&x[1..], &mut y), wrong("x", [1, 3, 20], 59));
    assert_eq!(head.apply(&x, &mut y[1..]), wrong("y", [1, 3, 1], 2));
    assert_eq!(head.apply(&x[20..], &mut y), wrong("y", [1, 2, 1], 3));
    // Its fields are for everyone to write.
    let mut short = head.clone();
    short.weight.pop();
    assert_eq!(short.apply(&x, &mut y), wrong("weight", [1, 1, 20], 19));
    let mut long = head.clone();
    long.bias = Some(vec![0.0; 2]);
    assert_eq!(long.apply(&x, &mut y), wrong("bias", [1, 1, 1], 2));
    let mut two = head.clone();
    (two.out_features, two.weight, two.bias) = (2, vec![0.0; 40], None);
    assert_eq!(two.apply(&x, &mut y), wrong("y", [1, 3, 2], 3));
    for (option, sizes) in [("out_features", (20, 0)), ("in_features", (0, 1))] {
        let mut none = head.clone();
        ((none.in_features, none.out_features), none.weight, none.bias) = (sizes, vec![], None);
        let error = none.apply(&[], &mut y).expect_err("a size of zero");
        assert!(matches!(error, Error::InvalidOption { option: found, .. } if found == option), "{error}");
    }
    assert_eq!(y, [9.0; 3], "nothing is written");
}

#[test]
fn a_one_layer_lstm_is_a_cell_and_dots_do_not_matter() {
    let file = StateDict::read(FILE).expect("a file");
    for (prefix, dotted) in [("brain", "brain."), ("cell", "cell.")] {
        let cell = file.cell(prefix).unwrap_or_else(|error| panic!("{prefix}: {error}"));
        assert_eq!(file.cell(dotted), Ok(cell));
    }
    assert_eq!(file.lstm("brain.").expect("an LSTM").layers, [file.cell("brain").expect("a cell")]);
}

#[test]
fn batch_first_is_set_afterwards() {
    let lstm = Lstm::from_state_dict(FILE, "lstm").expect("an LSTM").batch_first(true);
    assert!(lstm.config().batch_first);
    let x = [0.5; 3 * 5 * 10];
    assert_eq!(lstm.forward(Input::new(&x, &[3, 5, 10]), None).expect("shapes").h_n.shape, [2, 3, 20]);
}

#[test]
fn a_file_is_read_from_its_path() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/data/model.safetensors");
    assert_eq!(Lstm::from_state_dict_file(path, "deep").expect("an LSTM").config().num_layers, 3);
    assert!(LstmCellDyn::from_state_dict_file(path, "cell").is_ok());
    let error = Lstm::from_state_dict_file("no/such.safetensors", "").expect_err("no file");
    assert_eq!(error.to_string(), "cannot read `no/such.safetensors`: entity not found");
}
