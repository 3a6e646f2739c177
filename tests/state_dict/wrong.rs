//! Files that are whole but hold something else than an LSTM: the error names the key, what was expected and found.

use lstm_kernels::{Error, Lstm, LstmCellDyn, StateDict, StateDictError};
use safetensors::tensor::Dtype;

use crate::file::{Part, Parts, bytes, lstm};

/// What a message says of the keys that `lstm` reads.
const LSTM: &str = "`lstm` reads `weight_ih_l0`, `weight_hh_l0`, `bias_ih_l0`, `bias_hh_l0`, `weight_hr_l0`, those of \
    further layers, and each with `_reverse` (`cell` is for a `torch.nn.LSTMCell`)";

fn error(parts: &Parts, prefix: &str) -> StateDictError {
    Lstm::from_state_dict(&bytes(parts), prefix).expect_err("something is wrong")
}

/// A valid file in which one tensor is replaced.
fn replaced(key: &str, part: Part) -> StateDictError {
    let mut parts = lstm("rnn.", 2, true);
    assert!(parts.insert(key.into(), part).is_some(), "{key} is there");
    error(&parts, "rnn")
}

/// The key that a module cannot have.
fn unexpected(error: StateDictError) -> String {
    match error {
        StateDictError::Unexpected { key, .. } => key,
        other => panic!("another error: {other}"),
    }
}

/// A valid f32 tensor in another type, whose elements are given as bits.
fn typed<const N: usize>(dtype: Dtype, elements: &[[u8; N]]) -> Part {
    Part { dtype, shape: vec![elements.len()], data: elements.as_flattened().to_vec() }
}

#[test]
fn the_file_that_the_tests_change_is_valid() {
    for (layers, bidirectional) in [(1, false), (2, true), (3, false)] {
        let bytes = bytes(&lstm("rnn.", layers, bidirectional));
        let lstm = Lstm::from_state_dict(&bytes, "rnn").expect("a valid file");
        assert_eq!((lstm.config().num_layers, lstm.config().bidirectional), (layers, bidirectional));
        assert_eq!((lstm.config().input_size, lstm.config().hidden_size, lstm.config().proj_size), (3, 4, 2));
    }
    assert!(Lstm::from_state_dict(&bytes(&lstm("", 2, true)), "").is_ok());
}

#[test]
fn every_missing_key_is_named() {
    let whole = lstm("rnn.", 2, true);
    for key in whole.keys() {
        let mut parts = whole.clone();
        parts.remove(key);
        match error(&parts, "rnn") {
            StateDictError::Missing { key: missing, found } => {
                assert_eq!(missing, *key);
                assert!(found.len() == 12 && found.iter().all(|found| parts.contains_key(found)), "{found:?}");
            }
            other => panic!("{key} is missing, found {other:?}"),
        }
    }
}

#[test]
fn a_wrong_prefix_tells_what_there_is() {
    let parts = lstm("rnn.", 1, false);
    for prefix in ["lstm", "rn", "rnn.rnn", "weight_ih_l0", "rnn..", " "] {
        let dot = if prefix.ends_with('.') { "" } else { "." };
        let message = error(&parts, prefix).to_string();
        let expected = format!("expected `{prefix}{dot}weight_ih_l0`, found no such module; the file has `rnn`");
        assert_eq!(message, expected);
    }
    // Modules inside others, and a tensor that is in none.
    let mut parts = lstm("net.rnn.", 1, false);
    parts.insert("net.lin.weight".into(), Part::floats(&[1], &[0.0]));
    parts.insert("gain".into(), Part::floats(&[1], &[0.0]));
    let message = error(&parts, "net").to_string();
    assert_eq!(message, "expected `net.weight_ih_l0`, found no such module; the file has `gain`, `net.lin`, `net.rnn`");
    assert_eq!(error(&parts, "").to_string(), "found `gain`, but ".to_owned() + LSTM);
    parts.remove("gain");
    let message = error(&parts, "").to_string();
    assert_eq!(message, "expected `weight_ih_l0`, found no such module; the file has `net.lin`, `net.rnn`");
    parts.remove("net.rnn.weight_hh_l0");
    let message = error(&parts, "net.rnn").to_string();
    let expected = "expected `net.rnn.weight_hh_l0`, found `net.rnn.bias_hh_l0`, `net.rnn.bias_ih_l0`, \
        `net.rnn.weight_hr_l0`, `net.rnn.weight_ih_l0`";
    assert_eq!(message, expected);
    assert_eq!(error(&Parts::new(), "rnn").to_string(), "expected `rnn.weight_ih_l0`, found no tensor");
}

#[test]
fn every_other_key_is_refused_and_named() {
    for other in ["weight", "weight_ih_l00", "weight_ih", "weight_ih_l18446744073709551616"] {
        let mut parts = lstm("rnn.", 2, true);
        parts.insert(format!("rnn.{other}"), Part::floats(&[1], &[0.0]));
        assert_eq!(unexpected(error(&parts, "rnn")), format!("rnn.{other}"));
    }
    let mut parts = lstm("", 1, false);
    parts.insert("weight".into(), Part::floats(&[1], &[0.0]));
    let refused = error(&parts, "");
    assert_eq!(refused.to_string(), "found `weight`, but ".to_owned() + LSTM);
    assert_eq!(unexpected(refused), "weight");
    // Outside of the module anything may stand, also in a module inside it.
    let mut parts = lstm("", 1, false);
    parts.insert("head.weight".into(), Part::floats(&[1], &[0.0]));
    assert!(Lstm::from_state_dict(&bytes(&parts), "").is_ok());
    let mut parts = lstm("rnn.", 1, false);
    parts.insert("rnn2.weight".into(), Part::floats(&[1], &[0.0]));
    parts.insert("rnn.norm.weight".into(), Part::floats(&[1], &[0.0]));
    assert!(Lstm::from_state_dict(&bytes(&parts), "rnn").is_ok());
}

#[test]
fn a_stack_is_no_cell_and_a_cell_is_no_stack() {
    let refused = |parts: &Parts| LstmCellDyn::from_state_dict(&bytes(parts), "rnn").map(drop);
    let wrong = |parts: &Parts| unexpected(refused(parts).expect_err("no cell"));
    assert_eq!(wrong(&lstm("rnn.", 2, false)), "rnn.weight_ih_l1");
    assert_eq!(wrong(&lstm("rnn.", 1, true)), "rnn.weight_ih_l0_reverse");
    let message = "found `rnn.weight_ih_l1`, but `cell` reads `weight_ih`, `weight_hh`, `bias_ih` and `bias_hh`, all \
        without or all with `_l0` (`lstm` is for more layers or directions)";
    assert_eq!(refused(&lstm("rnn.", 2, false)).map_err(|error| error.to_string()), Err(message.to_owned()));
    // A cell has no projection.
    assert_eq!(wrong(&lstm("rnn.", 1, false)), "rnn.weight_hr_l0");

    let cell = |suffix: &str| {
        let tensors = [("weight_ih", vec![8, 3]), ("weight_hh", vec![8, 2])];
        Parts::from(tensors.map(|(name, shape)| (format!("rnn.{name}{suffix}"), Part::zeros(Dtype::F32, &shape))))
    };
    assert_eq!((refused(&cell("")), refused(&cell("_l0"))), (Ok(()), Ok(())));
    assert_eq!(unexpected(error(&cell(""), "rnn")), "rnn.weight_ih");
    let both = cell("").into_iter().chain(cell("_l0")).collect();
    assert_eq!(wrong(&both), "rnn.weight_ih_l0");
}

#[test]
fn every_wrong_shape_is_named() {
    let whole = lstm("rnn.", 2, true);
    for (key, part) in &whole {
        let mut others = vec![vec![], vec![0], vec![1, 1, 1], vec![4, 0], vec![0, 4]];
        // One more and one fewer in each dimension, and the dimensions exchanged.
        for n in 0..part.shape.len() {
            for size in [part.shape[n] + 1, part.shape[n] - 1] {
                let mut shape = part.shape.clone();
                shape[n] = size;
                others.push(shape);
            }
        }
        others.push(part.shape.iter().rev().copied().collect());
        // In the first layer these are what the sizes are taken from: other sizes are as good.
        let free = ["rnn.weight_ih_l0", "rnn.weight_hh_l0", "rnn.weight_hr_l0"].contains(&key.as_str());
        for shape in others.into_iter().filter(|shape| *shape != part.shape) {
            match replaced(key, Part::zeros(Dtype::F32, &shape)) {
                StateDictError::WrongShape { key: named, expected, found } => {
                    assert!(named == *key && found == shape || free, "{key} {shape:?}: {named} {found:?}");
                    assert!(expected.starts_with('['), "{expected}");
                }
                other => assert!(free && matches!(other, StateDictError::Lstm(_)), "{key} {shape:?}: {other}"),
            }
        }
    }
    let message = replaced("rnn.bias_hh_l1", Part::floats(&[3], &[0.0; 3])).to_string();
    assert_eq!(message, "`rnn.bias_hh_l1` has the shape [3], expected [16]");
    let message = replaced("rnn.weight_ih_l0", Part::floats(&[3], &[0.0; 3])).to_string();
    assert_eq!(message, "`rnn.weight_ih_l0` has the shape [3], expected [4 * hidden_size, input_size], nothing zero");
}

#[test]
fn every_other_type_is_refused_and_named() {
    let dtypes = [Dtype::BOOL, Dtype::U8, Dtype::I16, Dtype::I32, Dtype::I64, Dtype::C64, Dtype::F8_E4M3, Dtype::F4];
    for dtype in dtypes {
        let found = replaced("rnn.bias_ih_l1", Part::zeros(dtype, &[16]));
        assert_eq!(found, StateDictError::WrongType { key: "rnn.bias_ih_l1".into(), found: dtype.to_string() });
        let message = format!("`rnn.bias_ih_l1` is {dtype}, expected F32, F16, BF16 or F64");
        assert_eq!(found.to_string(), message);
    }
}

#[test]
fn every_value_that_is_not_finite_is_named_in_every_type() {
    let f32s = |value: f32| typed(Dtype::F32, &[[0; 4], value.to_le_bytes()].repeat(8));
    let f64s = |value: f64| typed(Dtype::F64, &[[0; 8], value.to_le_bytes()].repeat(8));
    let f16s = |bits: u16| typed(Dtype::F16, &[[0; 2], bits.to_le_bytes()].repeat(8));
    let bf16s = |bits: u16| typed(Dtype::BF16, &[[0; 2], bits.to_le_bytes()].repeat(8));
    // The first f64 that rounds to infinity as an f32.
    let beyond = f64::from(f32::MAX) + f64::from(f32::MAX) / 33_554_430.0;
    let cases = [
        (f32s(f32::NAN), f64::NAN),
        (f32s(f32::NEG_INFINITY), f64::NEG_INFINITY),
        (f64s(f64::INFINITY), f64::INFINITY),
        (f64s(1e300), 1e300),
        (f64s(beyond), beyond),
        (f16s(0x7c00), f64::INFINITY),
        (f16s(0x7e01), f64::NAN),
        (bf16s(0xff80), f64::NEG_INFINITY),
        (bf16s(0x7fc1), f64::NAN),
    ];
    for (part, value) in cases {
        match replaced("rnn.bias_ih_l1", part) {
            StateDictError::NonFinite { key, index: 1, value: found } if key == "rnn.bias_ih_l1" => {
                assert!(found == value || found.is_nan() && value.is_nan(), "{found}, expected {value}");
            }
            other => panic!("{value}: {other:?}"),
        }
    }
    let message = replaced("rnn.bias_ih_l1", f64s(1e300)).to_string();
    assert_eq!(message, "element 1 of `rnn.bias_ih_l1` is 1e300, expected a finite f32");
}

#[test]
fn options_that_pytorch_refuses_are_refused() {
    // proj_size must be less than hidden_size: 4 -> 4.
    let mut parts = Parts::new();
    for (name, shape) in [("weight_ih_l0", [16, 3]), ("weight_hh_l0", [16, 4]), ("weight_hr_l0", [4, 4])] {
        parts.insert(name.into(), Part::zeros(Dtype::F32, &shape));
    }
    match error(&parts, "") {
        StateDictError::Lstm(Error::WrongProjSize { hidden_size: 4, found: 4 }) => {}
        other => panic!("{other:?}"),
    }
}

/// What is wrong with a `torch.nn.Linear` of 3 inputs and 2 outputs in which this has been changed.
fn linear(change: impl FnOnce(&mut Parts)) -> StateDictError {
    let mut parts = lstm("rnn.", 1, false);
    parts.insert("head.weight".into(), Part::zeros(Dtype::F32, &[2, 3]));
    parts.insert("head.bias".into(), Part::zeros(Dtype::F32, &[2]));
    assert!(StateDict::read(&bytes(&parts)).and_then(|file| file.linear("head")).is_ok());
    change(&mut parts);
    StateDict::read(&bytes(&parts)).and_then(|file| file.linear("head")).expect_err("something is wrong")
}

#[test]
fn what_is_wrong_with_a_linear_layer_is_named() {
    let put = |name: &'static str, part| linear(move |parts| drop(parts.insert(format!("head.{name}"), part)));
    assert_eq!(
        put("scale", Part::zeros(Dtype::F32, &[1])).to_string(),
        "found `head.scale`, but `linear` reads the `weight` and `bias` of one `torch.nn.Linear`"
    );
    for other in ["weight_scale", "weight_ih_l0", "biases"] {
        assert_eq!(unexpected(put(other, Part::zeros(Dtype::F32, &[1]))), format!("head.{other}"));
    }
    let missing = linear(|parts| drop(parts.remove("head.weight")));
    assert_eq!(missing.to_string(), "expected `head.weight`, found `head.bias`");

    for shape in [&[][..], &[6], &[0, 3], &[2, 0], &[2, 3, 1]] {
        let expected = "[out_features, in_features], nothing zero".to_owned();
        let error = StateDictError::WrongShape { key: "head.weight".into(), expected, found: shape.to_vec() };
        assert_eq!(put("weight", Part::zeros(Dtype::F32, shape)), error);
    }
    for shape in [&[][..], &[0], &[1], &[3], &[2, 1]] {
        let error =
            StateDictError::WrongShape { key: "head.bias".into(), expected: "[2]".into(), found: shape.to_vec() };
        assert_eq!(put("bias", Part::zeros(Dtype::F32, shape)), error);
    }
    let wrong_type = put("bias", Part::zeros(Dtype::I32, &[2]));
    assert_eq!(wrong_type, StateDictError::WrongType { key: "head.bias".into(), found: "I32".into() });
    for (name, shape) in [("weight", &[2, 3][..]), ("bias", &[2])] {
        let mut values = vec![0.0; shape.iter().product()];
        values[1] = f32::INFINITY;
        let found = put(name, Part::floats(shape, &values));
        let key = format!("head.{name}");
        assert_eq!(found, StateDictError::NonFinite { key, index: 1, value: f64::INFINITY });
    }
}

#[test]
fn the_rest_of_a_model_can_be_read() {
    let mut parts = lstm("rnn.", 1, false);
    parts.insert("gain".into(), Part::floats(&[2, 1], &[0.5, -2.0]));
    parts.insert("count".into(), Part::zeros(Dtype::I64, &[1]));
    parts.insert("bad".into(), Part::floats(&[1], &[f32::NAN]));
    let bytes = bytes(&parts);
    let file = StateDict::read(&bytes).expect("a file");
    assert!(file.keys().eq(parts.keys()), "sorted, as those of a map are");
    let gain = file.tensor("gain").expect("two floats");
    assert_eq!((gain.shape, gain.data), (vec![2, 1], vec![0.5, -2.0]));
    assert_eq!(file.tensor("rnn.weight_ih_l0").expect("floats").shape, [16, 3]);
    let count = StateDictError::WrongType { key: "count".into(), found: "I64".into() };
    assert_eq!(file.tensor("count").map(|_| ()), Err(count));
    assert!(matches!(file.tensor("bad"), Err(StateDictError::NonFinite { index: 0, .. })));
    let message = file.tensor("rnn.gain").map(|_| ()).expect_err("no such tensor").to_string();
    assert!(message.starts_with("expected `rnn.gain`, found `rnn.bias_hh_l0`"), "{message}");
    let message = file.tensor("lin.weight").map(|_| ()).expect_err("no such tensor").to_string();
    assert_eq!(message, "expected `lin.weight`, found no such module; the file has `bad`, `count`, `gain`, `rnn`");
}

#[test]
fn one_kind_of_bias_asks_for_the_other() {
    for kind in ["bias_ih", "bias_hh"] {
        let mut parts = lstm("rnn.", 2, true);
        parts.retain(|key, _| !key.contains(kind));
        let missing = format!("rnn.{kind}_l0");
        assert!(matches!(error(&parts, "rnn"), StateDictError::Missing { key, .. } if key == missing), "{kind}");
    }
}

#[test]
fn what_a_higher_layer_has_every_layer_must_have() {
    // Of a model of two layers and directions, in the first layer: no reverse direction, bias, projection.
    for (without, missing) in
        [("_l0_reverse", "weight_ih_l0_reverse"), ("bias_", "bias_ih_l0"), ("weight_hr", "weight_hr_l0")]
    {
        let mut parts = lstm("rnn.", 2, true);
        parts.retain(|key, _| !(key.contains("_l0") && key.contains(without)));
        match error(&parts, "rnn") {
            StateDictError::Missing { key, .. } => assert_eq!(key, format!("rnn.{missing}")),
            other => panic!("{without}: {other:?}"),
        }
    }
}

#[test]
fn a_higher_layer_alone_is_no_cell() {
    let mut parts = lstm("rnn.", 2, false);
    parts.retain(|key, _| key.ends_with("_l1"));
    let refused = LstmCellDyn::from_state_dict(&bytes(&parts), "rnn").map(drop);
    assert_eq!(unexpected(refused.expect_err("no cell")), "rnn.weight_ih_l1");
}

#[test]
fn of_many_modules_some_are_listed() {
    let module = |n: usize| (format!("m{n:02}.weight"), Part::zeros(Dtype::F32, &[1]));
    let listed: Vec<_> = (0..12).map(|n| format!("m{n:02}")).collect();
    match error(&(0..30).map(module).collect(), "rnn") {
        StateDictError::MissingModule { found, .. } => assert_eq!(found, listed),
        other => panic!("{other:?}"),
    }
}
