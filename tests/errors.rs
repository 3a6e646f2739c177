//! What a caller can get wrong, and what is said about it. And the two environment variables.

use std::{
    env,
    ffi::OsStr,
    process::{Command, Output},
};

use lstm_kernels::{Error, ISA_VARIABLE, Isa, LstmWeights, WeightsError, lstm_cell};
use support::{REQUIRE_VARIABLE, isas, text_has};

lstm_cell!(struct Biased, in=3, hidden=5);
lstm_cell!(struct Plain, in=3, hidden=5, bias=false);

const IH: usize = 4 * 5 * 3;
const HH: usize = 4 * 5 * 5;
const B: usize = 4 * 5;

/// An instruction set that no CPU of this architecture has.
const FOREIGN: Isa = if cfg!(target_arch = "aarch64") { Isa::V4 } else { Isa::Neon };

#[test]
fn a_tensor_of_the_wrong_length_is_named_with_both_lengths() {
    let names = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"];
    let right = [IH, HH, B, B];
    for (which, &tensor) in names.iter().enumerate() {
        for found in [0, right[which] - 1, right[which] + 1] {
            let mut lens = right;
            lens[which] = found;
            let [ih, hh, b_ih, b_hh] = lens.map(|len| vec![0.5; len]);
            let weights = LstmWeights::torch(&ih, &hh, Some((&b_ih, &b_hh)));
            let error = Error::Weights(WeightsError::WrongLength { tensor, expected: right[which], found });
            for isa in isas() {
                assert_eq!(Biased::with_isa(&weights, isa).unwrap_err(), error);
            }
            assert_eq!(Biased::with_isa_boxed(&weights, Isa::Scalar).unwrap_err(), error);
            text_has(error, &[tensor, &right[which].to_string(), &found.to_string()]);
        }
    }
}

#[test]
fn a_weight_that_is_not_finite_is_named_with_its_index() {
    let names = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"];
    let lens = [IH, HH, B, B];
    for (which, &tensor) in names.iter().enumerate() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for at in [0, 7, lens[which] - 1] {
                let mut tensors = lens.map(|len| vec![0.5; len]);
                tensors[which][at] = bad;
                let [ih, hh, b_ih, b_hh] = &tensors;
                let error = Biased::with_isa(&LstmWeights::torch(ih, hh, Some((b_ih, b_hh))), Isa::Scalar).unwrap_err();
                // Not `assert_eq`: NaN does not equal itself.
                let Error::Weights(WeightsError::NonFinite { tensor: found, index, value }) = error else {
                    panic!("{error:?}")
                };
                assert_eq!((found, index), (tensor, at));
                assert!(value == bad || (value.is_nan() && bad.is_nan()));
                text_has(error, &[&format!("{tensor}[{at}]"), &bad.to_string(), "expected a finite number"]);
            }
        }
    }
}

#[test]
fn a_bias_is_given_exactly_when_the_cell_has_one() {
    let (ih, hh, b) = ([0.5; IH], [0.5; HH], [0.5; B]);
    let (with, without) = (LstmWeights::torch(&ih, &hh, Some((&b, &b))), LstmWeights::torch(&ih, &hh, None));
    for isa in isas() {
        assert_eq!(Biased::with_isa(&without, isa).unwrap_err(), WeightsError::MissingBias.into());
        assert_eq!(Plain::with_isa(&with, isa).unwrap_err(), WeightsError::UnexpectedBias.into());
        assert!(Biased::with_isa(&with, isa).is_ok() && Plain::with_isa(&without, isa).is_ok());
    }
    text_has(
        WeightsError::MissingBias,
        &["no bias was given", "expected one", "`bias = false`", "`LstmConfig::bias(false)`"],
    );
    text_has(WeightsError::UnexpectedBias, &["was given", "expected none"]);
}

#[test]
fn two_finite_biases_that_sum_up_to_infinity_are_named() {
    let (ih, hh, mut b) = ([0.5; IH], [0.5; HH], [1e38; B]);
    assert!(Biased::new(&LstmWeights::torch(&ih, &hh, Some((&b, &b)))).is_ok());
    b[7] = 2e38;
    let expected = |tensors| WeightsError::BiasSum { tensors, index: 7, values: [2e38, 2e38] }.into();
    let error = Biased::new(&LstmWeights::torch(&ih, &hh, Some((&b, &b)))).unwrap_err();
    assert_eq!(error, expected(["bias_ih", "bias_hh"]));
    text_has(error, &["`bias_ih[7]` + `bias_hh[7]` is 2e38 + 2e38", "within the range of f32"]);
    // ONNX has both in one tensor, gates i, o, f, c; element 7 is a unit's o there.
    let error = Biased::new(&LstmWeights::onnx(&ih, &hh, Some(&[b, b].concat()), None).unwrap()).unwrap_err();
    assert_eq!(error, expected(["Wb", "Rb"]));
}

#[test]
fn the_two_biases_of_every_row_are_added_up() {
    let (ih, hh) = ([0.5; IH], [0.5; HH]);
    for index in 0..B {
        let mut b = [0.0; B];
        b[index] = 2e38;
        let expected = WeightsError::BiasSum { tensors: ["bias_ih", "bias_hh"], index, values: [2e38; 2] };
        assert_eq!(Biased::new(&LstmWeights::torch(&ih, &hh, Some((&b, &b)))).unwrap_err(), expected.into());
    }
}

#[test]
fn slices_of_different_lengths_are_refused_and_no_state_changes() {
    let (ih, hh) = ([0.5; IH], [0.5; HH]);
    for isa in isas() {
        let cell = Plain::with_isa(&LstmWeights::torch(&ih, &hh, None), isa).unwrap();
        let start = PlainState::new(&[0.5; 5], &[-0.5; 5]);

        let mut states = vec![start; 2];
        let error = Error::LengthMismatch { what: ("xs", "states"), left: 3, right: 2 };
        assert_eq!(cell.step_batch(&[[1.0; 3]; 3], &mut states), Err(error));
        assert_eq!(states, vec![start; 2]);
        let fewer = Error::LengthMismatch { what: ("xs", "states"), left: 1, right: 2 };
        assert_eq!(cell.step_batch(&[[1.0; 3]; 1], &mut states), Err(fewer));
        assert_eq!(states, vec![start; 2]);
        text_has(error, &["xs", "states", "3", "2", "expected"]);

        let (mut state, mut out) = (start, [[9.0; 5]; 4]);
        let error = Error::LengthMismatch { what: ("seq", "out"), left: 1, right: 4 };
        assert_eq!(cell.run(&[[1.0; 3]; 1], &mut state, &mut out), Err(error));
        assert_eq!((state, out), (start, [[9.0; 5]; 4]));
        text_has(error, &["seq", "out", "1", "4", "expected"]);
    }
}

#[test]
fn an_instruction_set_that_this_cpu_lacks_is_refused() {
    assert!(!FOREIGN.is_available());
    assert!(Isa::available().all(|isa| isa != FOREIGN));
    let (ih, hh) = ([0.5; IH], [0.5; HH]);
    let weights = LstmWeights::torch(&ih, &hh, None);
    for isa in Isa::ALL.iter().copied() {
        match Plain::with_isa(&weights, isa) {
            Ok(cell) => assert!(isa.is_available() && cell.isa() == isa),
            Err(error) => {
                assert!(!isa.is_available());
                assert_eq!(error, Error::IsaUnavailable { isa });
                text_has(error, &[isa.name(), "it offers", "scalar"]);
            }
        }
    }
    assert_eq!(Plain::with_isa_boxed(&weights, FOREIGN).unwrap_err(), Error::IsaUnavailable { isa: FOREIGN });
}

#[test]
fn what_this_cpu_offers_is_listed_and_nothing_else() {
    let names: Vec<_> = Isa::available().map(Isa::name).collect();
    let text = Error::IsaUnavailable { isa: FOREIGN }.to_string();
    assert!(text.ends_with(&format!("`{FOREIGN}`; it offers: {}", names.join(", "))), "{text}");
}

#[test]
fn the_name_of_an_instruction_set_reads_back_and_another_text_does_not() {
    for &isa in Isa::ALL {
        assert_eq!(isa.name().parse(), Ok(isa));
        assert_eq!(isa.to_string(), isa.name());
        assert_eq!(isa.name().to_uppercase().parse(), Ok(isa));
    }
    for text in ["", "v5", "avx2", "scalar ", "v3,v4"] {
        let error = text.parse::<Isa>().unwrap_err();
        assert!(matches!(error, Error::UnknownIsa { .. }), "`{text}`");
        text_has(error, &[&format!("`{text}`"), "expected one of", "scalar", "v3", "v4", "neon"]);
    }
    // Cut between two characters: ä is the 16th byte and the 17th.
    text_has("fifteen letters\u{e4}".parse::<Isa>().unwrap_err(), &["`fifteen letters...`"]);
    text_has("sixteen letters!".parse::<Isa>().unwrap_err(), &["`sixteen letters!`"]);
    match "seventeen letters".parse::<Isa>() {
        Err(Error::UnknownIsa { found }) => assert_eq!(found.as_str(), "seventeen letter"),
        other => panic!("{other:?}"),
    }
}

/// Not a test of its own: what the tests below run in a child process, whose environment they choose.
#[test]
#[ignore = "other tests run this one in a child process"]
fn child_prints_what_new_gives() {
    let (ih, hh) = ([0.5; IH], [0.5; HH]);
    let found = Plain::new(&LstmWeights::torch(&ih, &hh, None)).map(|cell| cell.isa());
    assert_eq!(found, Isa::detect(), "`new` and `detect` disagree");
    println!("new gave {found:?}");
    if let Err(error) = found {
        println!("which says {error}");
    }
}

/// Runs one test of this program in a child process with one environment variable set.
fn child(test: &str, variable: &str, value: impl AsRef<OsStr>) -> Output {
    let program = env::current_exe().expect("the path of this program");
    // Under an emulator the program cannot be started directly.
    let runner = env::var("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER").ok();
    let runner = runner.filter(|_| cfg!(all(target_arch = "aarch64", target_os = "linux")));
    let mut command =
        match runner.as_deref().map(str::split_whitespace).and_then(|mut words| Some((words.next()?, words))) {
            Some((emulator, arguments)) => {
                let mut command = Command::new(emulator);
                command.args(arguments).arg(program);
                command
            }
            None => Command::new(program),
        };
    command.args(["--exact", test, "--include-ignored", "--nocapture"]);
    command.env_remove(ISA_VARIABLE).env_remove(REQUIRE_VARIABLE).env(variable, value);
    command.output().expect("the child process runs")
}

fn new_with_variable(value: impl AsRef<OsStr>) -> String {
    let output = child("child_prints_what_new_gives", ISA_VARIABLE, value);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && text.contains("new gave"),
        "{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

#[test]
fn the_environment_variable_chooses_the_instruction_set() {
    for isa in isas() {
        let text = new_with_variable(isa.name());
        assert!(text.contains(&format!("new gave {:?}", Ok::<_, Error>(isa))), "{isa}: {text}");
    }
}

#[test]
fn arithmetic_in_f16_is_never_chosen_unasked() {
    let output = child("child_prints_what_new_gives", REQUIRE_VARIABLE, "scalar");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("new gave Ok(") && !text.contains("V4F16"), "{text}");
}

#[test]
fn the_environment_variable_never_falls_back_silently() {
    let text = new_with_variable(FOREIGN.name());
    assert!(text.contains(&format!("{:?}", Error::IsaUnavailable { isa: FOREIGN })), "{text}");
    for unknown in ["sse9", "", "v3 v4"] {
        let text = new_with_variable(unknown);
        assert!(text.contains(&format!("WrongIsaVariable {{ found: {unknown:?} }}")), "`{unknown}`: {text}");
    }
}

#[test]
fn a_wrong_variable_is_named_with_all_that_it_could_hold() {
    let names: Vec<_> = Isa::ALL.iter().map(|isa| isa.name()).collect();
    let text = new_with_variable("sse9");
    let said = format!("the environment variable {ISA_VARIABLE} is `sse9`, expected one of: {}", names.join(", "));
    assert!(text.contains(&format!("which says {said}\n")), "{text}");
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_no_text_is_refused() {
    use std::os::unix::ffi::OsStrExt;
    let text = new_with_variable(OsStr::from_bytes(b"v3\xff"));
    assert!(text.contains("new gave Err(WrongIsaVariable"), "{text}");
}

/// The other child: fails if a required instruction set is missing.
#[test]
#[ignore = "other tests run this one in a child process"]
fn child_asks_for_the_required_instruction_sets() {
    assert!(!isas().is_empty());
}

#[test]
fn a_run_without_a_required_instruction_set_fails_and_any_run_says_what_it_ran() {
    let test = "child_asks_for_the_required_instruction_sets";
    let good = child(test, REQUIRE_VARIABLE, "scalar");
    assert!(good.status.success());
    let text = String::from_utf8_lossy(&good.stderr);
    assert!(text.contains("ran: scalar") && text.contains("; missing: "), "{text}");
    for bad in [&format!("scalar,{FOREIGN}"), "scalar,nonsense"] {
        assert!(!child(test, REQUIRE_VARIABLE, bad).status.success(), "{bad}");
    }
}
