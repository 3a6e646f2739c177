//! Files that somebody damaged, or made to do harm: an error or, if the damage is none, an LSTM; no panic, and never
//! more memory than in proportion to the file.

use lstm_kernels::{Lstm, LstmCellDyn, StateDict, StateDictError};
use proptest::prelude::*;
use safetensors::tensor::Dtype;
use support::{cases, peak};

use crate::file::{Part, Parts, bytes, lstm, raw};

/// Bytes of memory for each byte of a file. The most expensive byte stands in a header: a JSON number of one digit,
/// in an array, takes 32 bytes as a value and three times that while the array grows: 48 bytes for each of its two.
const FACTOR: usize = 64;

/// What any file may take: the tables of an empty one, an error's text.
const FIXED: usize = 4096;

/// Reads a file in every way and returns what the simplest says.
fn read(bytes: &[u8]) -> Result<Lstm, StateDictError> {
    let (result, memory) = peak(|| {
        for prefix in ["rnn", "head", ""] {
            drop(LstmCellDyn::from_state_dict(bytes, prefix));
            drop(StateDict::read(bytes).and_then(|file| file.linear(prefix)));
            drop(Lstm::from_state_dict(bytes, prefix).map_err(|error| format!("{error} {error:?}")));
        }
        Lstm::from_state_dict(bytes, "rnn")
    });
    let limit = FIXED + FACTOR * bytes.len();
    assert!(memory <= limit, "{memory} bytes of memory for a file of {}, expected at most {limit}", bytes.len());
    result
}

#[track_caller]
fn refused(bytes: &[u8]) -> StateDictError {
    read(bytes).expect_err("a file that is none")
}

/// A file with one tensor, described by this text.
fn one(info: &str, data: &[u8]) -> Vec<u8> {
    raw(format!("{{\"rnn.weight_ih_l0\":{info}}}").as_bytes(), data)
}

#[test]
fn a_file_cut_off_anywhere_is_refused() {
    let whole = bytes(&lstm("rnn.", 2, true));
    assert!(read(&whole).is_ok());
    for end in 0..whole.len() {
        let error = refused(&whole[..end]);
        assert!(matches!(error, StateDictError::Format { .. }), "{end}: {error:?}");
    }
    let error = refused(&[&whole[..], &[0]].concat());
    assert!(matches!(error, StateDictError::Format { .. }), "one byte more: {error:?}");
}

#[test]
fn any_header_length_is_refused_without_memory() {
    let whole = bytes(&lstm("rnn.", 1, false));
    let length = u64::from_le_bytes(whole[..8].try_into().expect("eight bytes"));
    for shift in 0..64 {
        for other in [1 << shift, (1 << shift) - 1, u64::MAX - shift, length ^ (1 << shift)] {
            if other != length {
                let file = [&other.to_le_bytes(), &whole[8..]].concat();
                assert!(matches!(refused(&file), StateDictError::Format { .. }), "{other}");
                assert!(matches!(refused(&file[..8]), StateDictError::Format { .. }), "{other}, nothing else");
            }
        }
    }
}

#[test]
fn offsets_that_overlap_leave_gaps_run_backwards_or_outside_are_refused() {
    let info = |offsets: &str| format!("{{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":{offsets}}}");
    let wild = ["[0,9]", "[1,9]", "[8,0]", "[8,16]", "[0,18446744073709551615]", "[18446744073709551608,0]", "[-8,0]"];
    for offsets in wild {
        let file = one(&info(offsets), &[0; 8]);
        assert!(matches!(refused(&file), StateDictError::Format { .. }), "{offsets}");
    }
    for (a, b, data) in
        [("[0,8]", "[4,12]", 12), ("[0,8]", "[0,8]", 8), ("[0,8]", "[9,17]", 17), ("[4,12]", "[0,8]", 12)]
    {
        let header = format!("{{\"rnn.weight_ih_l0\":{},\"rnn.weight_hh_l0\":{}}}", info(a), info(b));
        let error = refused(&raw(header.as_bytes(), &vec![0; data]));
        assert!(matches!(error, StateDictError::Format { .. }), "{a} {b}");
    }
}

#[test]
fn a_file_that_torch_save_has_written_is_told_from_a_broken_one() {
    for file in [&b"PK\x03\x04\0\0\x08\x08\0\0model/data.pkl"[..], b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."] {
        let message = refused(file).to_string();
        assert_eq!(
            message,
            "expected a whole safetensors file: found what `torch.save` writes \
             (`safetensors.torch.save_file(model.state_dict(), ...)` writes one)"
        );
    }
    assert!(!refused(b"PK is how this text begins").to_string().contains("torch.save"));
}

#[test]
fn headers_that_are_no_such_json_are_refused() {
    let deep = |open: &str, close: &str| format!("{{\"rnn.x\":{}{}}}", open.repeat(50_000), close.repeat(50_000));
    let texts = [
        String::new(),
        "null".into(),
        "[]".into(),
        "{".into(),
        "{\"rnn.weight_ih_l0\":1}".into(),
        "{\"rnn.weight_ih_l0\":{\"dtype\":\"F32\"}}".into(),
        "{\"rnn.weight_ih_l0\":{\"dtype\":\"F33\",\"shape\":[0],\"data_offsets\":[0,0]}}".into(),
        "{\"__metadata__\":{\"a\":1}}".into(),
        deep("[", "]"),
        deep("{\"a\":", "}"),
    ];
    for text in texts {
        let error = refused(&raw(text.as_bytes(), &[]));
        assert!(matches!(error, StateDictError::Format { .. }), "{}: {error:?}", &text[..text.len().min(80)]);
    }
    for bad_utf8 in [&b"{\"rnn.\xff\":{}}"[..], b"\xc3\x28", b"{\"\xed\xa0\x80\":{}}", b"\xfe\xff\0{\0}"] {
        assert!(matches!(refused(&raw(bad_utf8, &[])), StateDictError::Format { .. }), "{bad_utf8:?}");
    }
}

#[test]
fn a_key_given_twice_does_not_hide_anything() {
    let info = |shape: &str, range: &str| format!("{{\"dtype\":\"F32\",\"shape\":{shape},\"data_offsets\":{range}}}");
    for (first, second) in [("[0,8]", "[8,16]"), ("[8,16]", "[0,8]"), ("[0,8]", "[0,8]")] {
        let (a, b) = (info("[2]", first), info("[1,2]", second));
        let header = format!("{{\"rnn.weight_ih_l0\":{a},\"rnn.weight_ih_l0\":{b}}}");
        refused(&raw(header.as_bytes(), &[0; 16]));
    }
}

#[test]
fn sizes_of_zero_and_sizes_beyond_all_memory_are_refused() {
    // The most that a usize holds, and shapes whose product comes round to nothing.
    let (most, half) = (usize::MAX.to_string(), (1u64 << 63).to_string());
    let shapes = [
        format!("[{most}]"),
        format!("[{most},{most}]"),
        format!("[{half},2]"),
        "[4294967296,4294967296]".into(),
        format!("[{half},2,0]"),
        "[18446744073709551616]".into(),
        "[-1]".into(),
        "[1e3]".into(),
        format!("[{}1]", "1,".repeat(1 << 14)),
    ];
    for shape in &shapes {
        refused(&one(&format!("{{\"dtype\":\"F32\",\"shape\":{shape},\"data_offsets\":[0,0]}}"), &[]));
    }
    // Shapes without elements need no data: all tensors of an LSTM as large as anyone says, in a file of 500 bytes.
    let sizes = ["0", "1", "4", "1048577", &most, &half];
    for rows in sizes {
        for columns in sizes {
            if rows != "0" && columns != "0" {
                continue;
            }
            let tensor = |name| {
                format!("\"rnn.{name}_l0\":{{\"dtype\":\"F32\",\"shape\":[{rows},{columns}],\"data_offsets\":[0,0]}}")
            };
            let header = format!("{{{},{},{}}}", tensor("weight_ih"), tensor("weight_hh"), tensor("weight_hr"));
            let error = refused(&raw(header.as_bytes(), &[]));
            assert!(matches!(error, StateDictError::WrongShape { .. }), "[{rows}, {columns}]: {error}");
        }
    }
}

#[test]
fn a_layer_number_does_not_decide_how_much_is_done() {
    for layer in ["2", "1048575", "1048576", "4294967296", "18446744073709551615", "18446744073709551616"] {
        let mut parts = lstm("rnn.", 1, false);
        let part = parts["rnn.bias_ih_l0"].clone();
        parts.insert(format!("rnn.bias_ih_l{layer}"), part);
        match refused(&bytes(&parts)) {
            StateDictError::Missing { key, .. } => assert_eq!(key, "rnn.weight_ih_l1"),
            StateDictError::Unexpected { key, .. } => assert_eq!(key, "rnn.bias_ih_l18446744073709551616"),
            other => panic!("{layer}: {other:?}"),
        }
    }
}

#[test]
fn many_layers_are_an_lstm_and_many_keys_or_long_ones_are_an_error() {
    let file = bytes(&lstm("rnn.", 200, true));
    assert_eq!(read(&file).expect("200 layers").config().num_layers, 200);

    let empty = "{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}";
    let many: Vec<String> = (0..20_000).map(|n| format!("\"rnn.weight_ih_l{n}\":{empty}")).collect();
    assert!(matches!(
        refused(&raw(format!("{{{}}}", many.join(",")).as_bytes(), &[])),
        StateDictError::WrongShape { .. }
    ));

    let long = format!("{{\"rnn.{}\":{empty}}}", "\\u0007é".repeat(100_000));
    let error = refused(&raw(long.as_bytes(), &[]));
    let message = error.to_string();
    assert!(message.len() < 1000 && message.contains("...") && !message.contains('\u{7}'), "{message}");
}

#[test]
fn the_memory_that_a_file_takes_is_in_proportion_to_it() {
    // What costs the most for each byte: one unit (four of sixteen lanes used), in half precision.
    for (dtype, inputs) in [(Dtype::F16, 100_000), (Dtype::F64, 100_000), (Dtype::F32, 1)] {
        let mut parts = Parts::new();
        parts.insert("weight_ih".into(), Part::zeros(dtype, &[4, inputs]));
        parts.insert("weight_hh".into(), Part::zeros(dtype, &[4, 1]));
        let file = bytes(&parts);
        let (cell, memory) = peak(|| LstmCellDyn::from_state_dict(&file, ""));
        assert!(cell.is_ok() && memory <= FIXED + 12 * file.len(), "{dtype}: {memory} bytes for {}", file.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(2000)))]

    #[test]
    fn any_damage_is_an_error_or_harmless(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        in_header in any::<bool>(),
    ) {
        let mut parts = lstm("rnn.", 2, true);
        parts.insert("head.weight".into(), Part::zeros(Dtype::F64, &[2, 3]));
        parts.insert("head.bias".into(), Part::zeros(Dtype::F16, &[2]));
        let mut file = bytes(&parts);
        let header = 8 + u64::from_le_bytes(file[..8].try_into().expect("eight bytes")) as usize;
        let len = if in_header { header } else { file.len() };
        for (index, byte) in damage {
            file[index.index(len)] = byte;
        }
        if let Ok(lstm) = read(&file) {
            prop_assert_eq!(lstm.config().hidden_size, 4);
        }
    }

    #[test]
    fn any_bytes_are_refused(header in prop::collection::vec(any::<u8>(), 0..200), honest in any::<bool>()) {
        let file = if honest { raw(&header, &[]) } else { header };
        prop_assert!(read(&file).is_err());
    }

    #[test]
    fn any_text_as_prefix_is_safe(prefix in ".{0,12}") {
        let file = bytes(&lstm("rnn.", 1, false));
        let found = StateDict::read(&file).expect("a file").lstm(&prefix);
        prop_assert_eq!(found.is_ok(), prefix == "rnn" || prefix == "rnn.");
    }
}
