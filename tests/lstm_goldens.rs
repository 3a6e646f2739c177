//! The sequence driver and its oracle against what `torch.nn.LSTM` computed, over a grid of all its options.

use support::{Close, LstmGolden, assert_within, isas};

const FLOAT32: Close = Close::Absolute(2e-6);
const FLOAT64: Close = Close::Absolute(1e-6);
/// Twelve digits: the oracle and PyTorch's float64 differ in the order of their sums only.
const EXACT: Close = Close::Absolute(1e-12);

#[test]
fn the_cases_cover_every_value_of_every_option_beside_every_other_ones() {
    let cases = LstmGolden::read();
    // Options with their values numbered; a case has one value of each.
    let values = |case: &LstmGolden| {
        let config = &case.model.config;
        [
            ("layers", config.num_layers, 1..=3),
            ("bidirectional", config.bidirectional.into(), 0..=1),
            ("projection", usize::from(config.proj_size > 0), 0..=1),
            ("bias", config.bias.into(), 0..=1),
            ("batch_first", config.batch_first.into(), 0..=1),
            ("batch", [0, 1, 3, 17].iter().position(|&batch| batch == case.batch).expect("a known batch"), 0..=3),
            ("lengths", case.lengths.is_some().into(), 0..=1),
            ("states", case.initial.is_some().into(), 0..=1),
        ]
    };
    let options = values(&cases[0]);
    for (a, (name_a, _, range_a)) in options.iter().enumerate() {
        for (b, (name_b, _, range_b)) in options.iter().enumerate().skip(a + 1) {
            for pair in range_a.clone().flat_map(|a| range_b.clone().map(move |b| (a, b))) {
                let unbatched_lengths = (*name_a, *name_b, pair) == ("batch", "lengths", (0, 1));
                let covered = cases.iter().map(values).any(|case| (case[a].1, case[b].1) == pair);
                assert!(covered || unbatched_lengths, "no case with {name_a} and {name_b} = {pair:?}");
            }
        }
    }
    let unsorted =
        |case: &LstmGolden| case.lengths.as_ref().is_some_and(|lengths| !lengths.is_sorted_by(|a, b| a >= b));
    assert!(cases.iter().any(unsorted), "all lengths are sorted");
}

#[test]
fn the_oracle_agrees_with_pytorch_in_float64_to_twelve_digits() {
    for case in LstmGolden::read() {
        let found = case.model.oracle().forward(case.input(), case.initial()).unwrap();
        for (found, expected) in [found.output, found.h_n, found.c_n].iter().zip(&case.results) {
            assert_within(found, &expected.double, EXACT, format_args!("{}: {}", case.name, expected.name));
        }
    }
}

#[test]
fn forward_agrees_with_pytorch_in_numbers_and_shapes_on_every_instruction_set() {
    for case in LstmGolden::read() {
        for isa in isas() {
            let found = case.model.lstm(isa).forward(case.input(), case.initial()).unwrap();
            for (found, expected) in [found.output, found.h_n, found.c_n].iter().zip(&case.results) {
                let what = format!("{} on {isa}, {:?}: {}", case.name, case.model.config, expected.name);
                assert_eq!(found.shape, expected.shape, "{what}");
                assert_within(&found.data, &expected.single, FLOAT32, format_args!("{what} against float32"));
                assert_within(&found.data, &expected.double, FLOAT64, format_args!("{what} against float64"));
            }
        }
    }
}
