//! What a caller of the sequence driver can get wrong, and what is said about it; and inputs that want to do harm.

use lstm_kernels::lstm::{Input, Workspace};
use lstm_kernels::{Dtype, Error, Isa, Lstm, LstmCellDyn, LstmConfig, LstmWeights, OptionValue, WeightsError};
use support::{LstmCase, LstmModel, Random, assert_same_bits, isas, text_has};

const HUGE: usize = usize::MAX / 2 + 1;

fn refused(config: LstmConfig, weights: &[LstmWeights<'_>]) -> Error {
    let error = Lstm::with_isa(config, weights, Isa::Scalar).map(|_| ()).unwrap_err();
    for isa in isas() {
        let other = Lstm::with_isa(config, weights, isa).map(|_| ()).unwrap_err();
        // As texts, for NaN is not equal to NaN.
        assert_eq!(format!("{other:?}"), format!("{error:?}"), "{isa}");
    }
    error
}

/// What is said of the first layer's weights.
fn first(error: WeightsError) -> Error {
    Error::LayerWeights { layer: 0, reverse: false, error }
}

/// Two layers, three inputs, five units; a call of four time steps and two sequences.
fn case() -> LstmCase {
    LstmCase::random(LstmConfig::new(3, 5).num_layers(2), [4, 2], false, true, 1)
}

#[test]
fn every_option_out_of_range_is_named() {
    let good = LstmConfig::new(3, 5);
    for size in [0, (1 << 20) + 1, HUGE, usize::MAX] {
        for (config, option) in [
            (LstmConfig::new(size, 5), "input_size"),
            (LstmConfig::new(3, size), "hidden_size"),
            (good.num_layers(size), "num_layers"),
        ] {
            let error = refused(config, &[]);
            assert!(
                matches!(error, Error::InvalidOption { option: found, .. } if found == option),
                "{config:?}: {error:?}"
            );
            text_has(error, &[option, &format!("is {size},"), "expected 1 to 1048576"]);
        }
    }
    for proj_size in [5, 6, usize::MAX] {
        let error = refused(good.proj_size(proj_size), &[]);
        assert_eq!(error, Error::WrongProjSize { hidden_size: 5, found: proj_size });
        text_has(error, &["proj_size", &format!("is {proj_size}"), "less than `hidden_size`, 5"]);
    }
    for dropout in [-0.1, 1.000_001, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let error = refused(good.dropout(dropout), &[]);
        assert!(matches!(error, Error::InvalidOption { option: "dropout", .. }), "{dropout}: {error:?}");
        text_has(error, &["dropout", &format!("is {dropout}"), "from 0 to 1"]);
    }
    let huge = good.num_layers(usize::MAX).bidirectional(true).proj_size(usize::MAX);
    assert_eq!((huge.cells(), huge.output_size()), (usize::MAX, usize::MAX));
    for dropout in [0.0, 0.5, 1.0] {
        let model = LstmModel::random(good.dropout(dropout), &mut Random::new(1), 1.0);
        assert_eq!(model.lstm(Isa::Scalar).config().dropout, dropout);
    }
}

#[test]
fn another_number_of_weights_than_layers_times_directions_is_refused() {
    for (config, expected) in [
        (LstmConfig::new(3, 5), 1),
        (LstmConfig::new(3, 5).bidirectional(true), 2),
        (LstmConfig::new(3, 5).num_layers(3).bidirectional(true), 6),
    ] {
        let model = LstmModel::random(config, &mut Random::new(1), 1.0);
        let weights = [model.weights(), model.weights()].concat();
        for found in [0, expected - 1, expected + 1].into_iter().filter(|&found| found != expected) {
            let error = refused(config, &weights[..found]);
            assert_eq!(error, Error::WrongLayers { expected, found });
            text_has(error, &[&format!("`weights` has {found}"), &format!("expected {expected}")]);
        }
    }
    // The largest options ask for more weights than there are: no attempt is made to hold them.
    let largest = LstmConfig::new(1 << 20, 1 << 20).num_layers(1 << 20).bidirectional(true);
    assert_eq!(refused(largest, &[]), Error::WrongLayers { expected: 1 << 21, found: 0 });
    let vast = LstmConfig::new(1 << 20, 1 << 20).bias(false);
    let error = refused(vast, &[LstmWeights::torch(&[0.0], &[0.0], None)]);
    assert_eq!(error, first(WeightsError::WrongLength { tensor: "weight_ih", expected: 1 << 42, found: 1 }));
}

#[test]
fn every_tensor_of_every_layer_is_checked_for_its_length_and_for_numbers() {
    let config = LstmConfig::new(3, 5).proj_size(2).num_layers(2).bidirectional(true);
    let rows = 4 * 5;
    for cell in 0..4 {
        // A second layer reads both directions' projected h.
        let input = if cell < 2 { 3 } else { 4 };
        let of_cell = |error| Error::LayerWeights { layer: cell / 2, reverse: cell % 2 == 1, error };
        let place = ["layer 0: ", "layer 0, reverse direction: ", "layer 1: ", "layer 1, reverse direction: "][cell];
        let names = ["weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr"];
        for (which, tensor) in names.into_iter().enumerate() {
            let good = |cell: usize| {
                [rows * if cell < 2 { 3 } else { 4 }, rows * 2, rows, rows, 2 * 5].map(|len| vec![0.5; len])
            };
            let build = |tensors: &[[Vec<f32>; 5]]| {
                let weights: Vec<_> = tensors
                    .iter()
                    .map(|[ih, hh, b_ih, b_hh, hr]| LstmWeights::torch(ih, hh, Some((b_ih, b_hh))).with_projection(hr))
                    .collect();
                Lstm::with_isa(config, &weights, Isa::Scalar).map(|_| ())
            };
            let mut tensors: Vec<_> = (0..4).map(good).collect();
            assert_eq!(build(&tensors), Ok(()));
            let expected = tensors[cell][which].len();
            assert_eq!(expected, [rows * input, rows * 2, rows, rows, 10][which]);

            tensors[cell][which][expected - 1] = f32::INFINITY;
            let error = build(&tensors).unwrap_err();
            assert_eq!(error, of_cell(WeightsError::NonFinite { tensor, index: expected - 1, value: f32::INFINITY }));
            text_has(error, &[place, tensor, "inf", "expected a finite number"]);

            tensors[cell][which].pop();
            let error = build(&tensors).unwrap_err();
            assert_eq!(error, of_cell(WeightsError::WrongLength { tensor, expected, found: expected - 1 }));
            text_has(error, &[place, tensor, &expected.to_string(), &(expected - 1).to_string()]);
        }
    }
}

#[test]
fn bias_and_projection_are_given_exactly_when_the_options_say_so() {
    let (ih, hh, b, hr) = ([0.5; 60], [0.5; 100], [0.5; 20], [0.5; 10]);
    let plain = LstmWeights::torch(&ih, &hh, None);
    let biased = LstmWeights::torch(&ih, &hh, Some((&b, &b)));
    let config = LstmConfig::new(3, 5);
    assert_eq!(refused(config, &[plain]), first(WeightsError::MissingBias));
    assert_eq!(refused(config.bias(false), &[biased]), first(WeightsError::UnexpectedBias));
    assert_eq!(refused(config.proj_size(2), &[biased]), first(WeightsError::MissingProjection));
    assert_eq!(refused(config, &[biased.with_projection(&hr)]), first(WeightsError::UnexpectedProjection));
    text_has(WeightsError::MissingProjection, &["no `weight_hr`", "expected one"]);
    text_has(WeightsError::UnexpectedProjection, &["a `weight_hr`", "expected none"]);
    assert_eq!(LstmWeights::onnx(&ih, &hh, None, Some(&b)).map(|_| ()), Err(Error::Peephole));
    text_has(Error::Peephole, &["peepholes (`P`)", "expected an LSTM without"]);
    let missing = Isa::ALL.iter().copied().find(|isa| !isa.is_available()).expect("no CPU has both AVX and NEON");
    let error = Lstm::with_isa(config, &[biased], missing).map(|_| ()).unwrap_err();
    assert_eq!(error, Error::IsaUnavailable { isa: missing });
}

#[test]
fn an_input_of_another_shape_is_refused_with_what_is_expected() {
    let case = case();
    for (batch_first, letters) in [(false, "[steps, batch, input_size]"), (true, "[batch, steps, input_size]")] {
        let model = LstmModel::random(LstmConfig::new(3, 5).batch_first(batch_first), &mut Random::new(1), 1.0);
        let (lstm, oracle) = (model.lstm(Isa::Scalar), model.oracle());
        let no_steps: &[usize] = if batch_first { &[2, 0, 3] } else { &[0, 2, 3] };
        let shapes: [&[usize]; 10] = [
            &[],
            &[3],
            &[4, 2, 4],
            &[4, 2, 0],
            no_steps,
            &[0, 3],
            &[4, 2],
            &[1, 4, 2, 3],
            &[1, 1, 4, 2, 3],
            &[HUGE, HUGE, 2],
        ];
        for shape in shapes {
            let error = lstm.forward(Input::new(&case.x, shape), None).unwrap_err();
            let Error::WrongShape { tensor: "input", size: 3, found, dimensions, .. } = error else {
                panic!("{shape:?}: {error:?}")
            };
            assert_eq!(dimensions, shape.len());
            assert_eq!(&found[..dimensions.min(4)], &shape[..dimensions.min(4)]);
            let more = if dimensions > 4 { " and more" } else { "" };
            let shown = format!("has the shape {:?}{more}, expected", &shape[..dimensions.min(4)]);
            text_has(error, &["input", &shown, letters, "last dimension of 3"]);
            assert_eq!(oracle.forward(Input::new(&case.x, shape), None).unwrap_err(), error, "the oracle");
        }
    }
}

#[test]
fn a_batch_of_no_sequences_gives_an_output_of_none_as_pytorch_does() {
    for batch_first in [false, true] {
        let config = LstmConfig::new(3, 5).num_layers(2).bidirectional(true).batch_first(batch_first);
        let model = LstmModel::random(config, &mut Random::new(1), 1.0);
        let shape = if batch_first { [0, 4, 3] } else { [4, 0, 3] };
        for (lengths, states) in [(false, None), (true, Some((&[][..], &[][..])))] {
            let input = Input::new(&[], &shape);
            let input = if lengths { input.lengths(&[]) } else { input };
            for lstm in isas().into_iter().map(|isa| model.lstm(isa)) {
                let result = lstm.forward(input, states).unwrap();
                assert_eq!(result.output.shape, if batch_first { [0, 4, 10] } else { [4, 0, 10] });
                assert_eq!((&result.h_n.shape[..], &result.c_n.shape[..]), (&[4, 0, 5][..], &[4, 0, 5][..]));
                assert!([result.output, result.h_n, result.c_n].iter().all(|tensor| tensor.data.is_empty()));
            }
            assert!(model.oracle().forward(input, states).unwrap().output.is_empty());
        }
        let error = model.lstm(Isa::Scalar).forward(Input::new(&[], &shape), Some((&[0.0], &[]))).unwrap_err();
        assert_eq!(error, Error::WrongElements { tensor: "h_0", expected: [4, 0, 5], found: 1 });
    }
    let model = LstmModel::random(LstmConfig::new(3, 5), &mut Random::new(1), 1.0);
    let cell = LstmCellDyn::with_isa(3, 5, &model.weights()[0], Isa::Scalar).unwrap();
    cell.step(&[], &mut [], &mut [], &mut Workspace::new()).unwrap();
}

#[test]
fn an_input_of_another_length_than_its_shape_is_refused_also_where_the_product_overflows() {
    let case = case();
    let lstm = case.model.lstm(Isa::Scalar);
    let shapes =
        [[4, 3, 3], [5, 2, 3], [1, 1, 3], [HUGE, 2, 3], [HUGE, HUGE, 3], [usize::MAX, usize::MAX, 3], [1 << 62, 4, 3]];
    for shape in shapes {
        let error = lstm.forward(Input::new(&case.x, &shape), None).unwrap_err();
        assert_eq!(error, Error::WrongElements { tensor: "input", expected: shape, found: 24 });
        text_has(error, &["input", "24", &format!("{shape:?}")]);
    }
    let error = lstm.forward(Input::new(&case.x, &[HUGE, 3]), None).unwrap_err();
    assert_eq!(error, Error::WrongElements { tensor: "input", expected: [1, HUGE, 3], found: 24 });
    // The product wraps round to the number of elements.
    let error = lstm.forward(Input::new(&[], &[1 << 63, 2, 3]), None).unwrap_err();
    assert_eq!(error, Error::WrongElements { tensor: "input", expected: [1 << 63, 2, 3], found: 0 });
    assert!(error.to_string().ends_with("expected [9223372036854775808, 2, 3]"), "no product that is not one: {error}");
}

#[test]
fn lengths_that_do_not_fit_are_refused() {
    let case = case();
    let lstm = case.model.lstm(Isa::Scalar);
    let error = |lengths: &[usize]| lstm.forward(case.input().lengths(lengths), None).unwrap_err();
    for lengths in [&[][..], &[4], &[4, 4, 4]] {
        let expected = Error::WrongLengths { expected: 2, found: lengths.len() };
        assert_eq!(error(lengths), expected);
        text_has(expected, &["lengths", &lengths.len().to_string(), "expected 2"]);
    }
    for (lengths, sequence, found) in [([0, 4], 0, 0), ([4, 0], 1, 0), ([1, 5], 1, 5), ([usize::MAX, 1], 0, usize::MAX)]
    {
        let expected = Error::WrongSequenceLength { sequence, steps: 4, found };
        assert_eq!(error(&lengths), expected);
        text_has(expected, &[&format!("sequence {sequence}"), &found.to_string(), "expected 1 to 4"]);
    }
}

#[test]
fn an_output_of_another_length_is_told_the_shape_of_its_input() {
    let case = LstmCase::random(LstmConfig::new(1, 2).batch_first(true), [3, 5], false, false, 1);
    let (lstm, mut workspace) = (case.model.lstm(Isa::Scalar), Workspace::new());
    for (shape, expected) in [(&[5, 3, 1][..], [5, 3, 2]), (&[3, 1], [1, 3, 2])] {
        let (elements, cells) = (shape.iter().product(), 2 * if shape.len() == 3 { 5 } else { 1 });
        let (x, mut h, mut c) = (vec![0.5; elements], vec![0.0; cells], vec![0.0; cells]);
        let error = lstm.forward_into(Input::new(&x, shape), (&mut h, &mut c), &mut [0.0; 7], &mut workspace);
        assert_eq!(error, Err(Error::WrongElements { tensor: "output", expected, found: 7 }));
    }
}

#[test]
fn states_and_outputs_of_another_length_are_refused_and_nothing_changes() {
    let case = LstmCase::random(LstmConfig::new(3, 5).num_layers(2).proj_size(4), [4, 2], false, true, 1);
    let lstm = case.model.lstm(Isa::Scalar);
    let right = [("h", [2, 2, 4]), ("c", [2, 2, 5]), ("output", [4, 2, 4])];
    let mut workspace = lstm.workspace(4, 2);
    for (which, &(tensor, expected)) in right.iter().enumerate() {
        let len: usize = expected.iter().product();
        for found in [0, len - 1, len + 1] {
            let mut all = right.map(|(_, shape)| vec![0.5; shape.iter().product()]);
            all[which].resize(found, 0.5);
            let before = all.clone();
            let [h, c, output] = &mut all;
            let error = lstm.forward_into(case.input(), (h, c), output, &mut workspace).unwrap_err();
            assert_eq!(error, Error::WrongElements { tensor, expected, found });
            text_has(error, &[tensor, &found.to_string(), &format!("{expected:?} = {len}")]);
            assert_eq!(all, before);

            if which < 2 {
                let [h, c, _] = &before;
                let tensor = ["h_0", "c_0"][which];
                let error = Error::WrongElements { tensor, expected, found };
                assert_eq!(lstm.forward(case.input(), Some((h, c))).unwrap_err(), error);
                assert_eq!(lstm.stream(2, Some((h, c))).map(|_| ()).unwrap_err(), error);
                assert_eq!(case.model.oracle().forward(case.input(), Some((h, c))).unwrap_err(), error);
            }
        }
    }
    // A refused input leaves the states alone, too.
    let mut all = right.map(|(_, shape)| vec![0.5; shape.iter().product()]);
    let before = all.clone();
    let [h, c, output] = &mut all;
    let input = case.input().lengths(&[1, 9]);
    assert!(lstm.forward_into(input, (h, c), output, &mut workspace).is_err());
    assert_eq!(all, before);
}

#[test]
fn a_stream_refuses_what_does_not_belong_to_it_and_does_not_change() {
    let case = case();
    let lstm = case.model.lstm(Isa::Scalar);
    let two = LstmModel::random(LstmConfig::new(3, 5).bidirectional(true), &mut Random::new(1), 1.0);
    assert_eq!(two.lstm(Isa::Scalar).stream(2, None).map(|_| ()), Err(Error::BidirectionalStream));
    text_has(Error::BidirectionalStream, &["bidirectional", "cannot stream"]);
    for batch in [0, (1 << 20) + 1, HUGE, usize::MAX] {
        let error = lstm.stream(batch, None).map(|_| ()).unwrap_err();
        assert!(matches!(error, Error::InvalidOption { option: "batch", .. }), "{error:?}");
        text_has(error, &["batch", "1 to 1048576"]);
    }

    let mut stream = lstm.stream(2, case.initial()).unwrap();
    assert_eq!(stream.batch(), 2);
    let mut output = [9.0; 4 * 2 * 5];
    let other = LstmModel::random(LstmConfig::new(3, 5).num_layers(3), &mut Random::new(1), 1.0).lstm(Isa::Scalar);
    let [expected, found] = [3, 2].map(OptionValue::Size);
    let foreign = Error::ForeignStream { option: "num_layers", expected, found };
    assert_eq!(other.advance(&mut stream, case.input(), &mut output), Err(foreign));
    assert_eq!(other.stream_states(&stream), Err(foreign));
    assert_eq!(other.stream_states_into(&stream, (&mut [], &mut [])), Err(foreign));
    assert_eq!(other.stream_reserve(&mut stream, 4), Err(foreign));
    assert_eq!(other.stream_reset(&mut stream, None), Err(foreign));
    text_has(foreign, &["stream", "whose `num_layers` is 2, expected 3"]);

    let mut refused = |input: Input<'_>, len: usize| lstm.advance(&mut stream, input, &mut output[..len]).unwrap_err();
    let error = refused(Input::new(&case.x, &[2, 4, 3]), 40);
    assert_eq!(error, Error::WrongBatch { expected: 2, found: 4 });
    text_has(error, &["the input has a batch of 4", "stream", "2"]);
    assert_eq!(refused(case.input().lengths(&[4, 4]), 40), Error::UnexpectedLengths);
    text_has(Error::UnexpectedLengths, &["`lengths`", "expected none"]);
    let expected = Error::WrongElements { tensor: "output", expected: [0, 2, 5], found: 1 };
    assert_eq!(refused(Input::new(&[], &[0, 2, 3]), 1), expected);
    assert!(matches!(refused(Input::new(&case.x, &[4, 2, 2]), 40), Error::WrongShape { .. }));
    assert!(matches!(refused(Input::new(&case.x[1..], &case.shape), 40), Error::WrongElements { tensor: "input", .. }));
    let expected = Error::WrongElements { tensor: "output", expected: [4, 2, 5], found: 39 };
    assert_eq!(refused(case.input(), 39), expected);

    // A piece without time steps is one.
    assert_eq!(lstm.advance(&mut stream, Input::new(&[], &[0, 2, 3]), &mut []), Ok(()));

    let expected = |tensor, found| Error::WrongElements { tensor, expected: [2, 2, 5], found };
    let states = |h, c| lstm.stream_states_into(&stream, (&mut [9.0; 30][..h], &mut [9.0; 30][..c]));
    assert_eq!((states(19, 20), states(20, 21)), (Err(expected("h", 19)), Err(expected("c", 21))));
    let mut reset = |h, c| lstm.stream_reset(&mut stream, Some((&[9.0; 30][..h], &[9.0; 30][..c])));
    assert_eq!((reset(19, 20), reset(20, 21)), (Err(expected("h_0", 19)), Err(expected("c_0", 21))));

    // After all that, the stream is still at its start.
    assert_eq!(output, [9.0; 40]);
    let (h, c) = lstm.stream_states(&stream).unwrap();
    assert_eq!((&h[..], &c[..]), case.initial().unwrap());
    lstm.advance(&mut stream, case.input(), &mut output).unwrap();
    assert_same_bits(&output, &case.forward(Isa::Scalar)[0], "a stream after refused calls");

    // And again, from the same states and from none.
    lstm.stream_reset(&mut stream, case.initial()).unwrap();
    lstm.advance(&mut stream, case.input(), &mut output).unwrap();
    assert_same_bits(&output, &case.forward(Isa::Scalar)[0], "a stream that begins anew");
    lstm.stream_reset(&mut stream, None).unwrap();
    assert_eq!(lstm.stream_states(&stream).unwrap(), (vec![0.0; 20], vec![0.0; 20]));
    lstm.advance(&mut stream, case.input(), &mut output).unwrap();
    let from_zero = lstm.forward(case.input(), None).unwrap().output.data;
    assert_same_bits(&output, &from_zero, "a stream that begins anew from zero");
}

#[test]
fn a_dynamic_cell_refuses_slices_that_do_not_belong_together_and_changes_nothing() {
    // A small cell, whose states need padding or not, takes one stream another way.
    for (hidden, isa) in [5, 8, 64].into_iter().flat_map(|hidden| Isa::available().map(move |isa| (hidden, isa))) {
        refuse_slices_that_do_not_belong_together(hidden, isa);
    }
}

fn refuse_slices_that_do_not_belong_together(hidden: usize, isa: Isa) {
    let model = LstmModel::random(LstmConfig::new(3, hidden), &mut Random::new(1), 1.0);
    let cell = LstmCellDyn::with_isa(3, hidden, &model.weights()[0], isa).unwrap();
    let (one, two) = (hidden, 2 * hidden);
    // x, h, c; the batch is that of h.
    for (x, h, c, tensor) in [
        (5, two, two, "x"),
        (7, two, two, "x"),
        (0, two, two, "x"),
        (6, two + 1, two, "h"),
        (6, two - 1, two, "h"),
        (6, two, two - 1, "c"),
        (2, one, one, "x"),
        (4, one, one, "x"),
        (3, one, one - 1, "c"),
        (3, one, one + 1, "c"),
        (3, 0, one, "h"),
        (3, one - 1, one, "h"),
        (3, one, 0, "c"),
        (0, 0, one, "x"),
        (0, one, 0, "x"),
        (3, 0, 0, "h"),
    ] {
        let (x, mut h, mut c) = (vec![0.5; x], vec![0.25; h], vec![-0.25; c]);
        let before = (h.clone(), c.clone());
        let error = cell.step(&x, &mut h, &mut c, &mut Workspace::new()).unwrap_err();
        assert!(matches!(error, Error::WrongElements { tensor: found, .. } if found == tensor), "{error:?}");
        text_has(error, &[tensor, "expected"]);
        assert_eq!((h, c), before);
    }
    assert!(LstmCellDyn::with_isa(0, hidden, &model.weights()[0], isa).is_err());
    let error = LstmCellDyn::with_isa(3, hidden + 1, &model.weights()[0], isa).map(|_| ()).unwrap_err();
    let (expected, found) = (12 * (hidden + 1), 12 * hidden);
    assert_eq!(error, WeightsError::WrongLength { tensor: "weight_ih", expected, found }.into());
}

#[test]
fn nan_and_infinity_in_the_input_reach_the_outputs_that_depend_on_it_and_no_other() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN_POSITIVE / 2.0] {
        for config in [LstmConfig::new(3, 5), LstmConfig::new(13, 20).num_layers(2).proj_size(7)] {
            let mut case = LstmCase::random(config, [4, 5], false, false, 1);
            let clean = case.forward(Isa::Scalar);
            let (t, stream, width) = (2, 3, config.output_size());
            let place = case.row(t, stream) * config.input_size;
            case.x[place + 1] = bad;
            let expected = case.forward(Isa::Scalar);
            for isa in isas() {
                let found = case.forward(isa);
                for n in 0..3 {
                    assert_same_bits(&found[n], &expected[n], format_args!("{bad} through {config:?} on {isa}"));
                }
                let row = |result: &[f32], t, stream| result[case.row(t, stream) * width..][..width].to_vec();
                for (t, other) in (0..4).flat_map(|t| (0..5).map(move |stream| (t, stream))) {
                    if other != stream || t < 2 {
                        assert_same_bits(&row(&found[0], t, other), &row(&clean[0], t, other), "an unconcerned row");
                    }
                }
                let hit = row(&found[0], t, stream);
                assert_eq!(bad.is_nan(), hit.iter().all(|h| h.is_nan()), "{bad} through {config:?} on {isa}: {hit:?}");
                if bad.is_nan() {
                    assert!(row(&found[0], 3, stream).iter().all(|h| h.is_nan()), "a state of NaN stays NaN");
                }
            }
        }
    }
}

#[test]
fn states_that_are_not_finite_or_huge_do_not_panic_and_give_the_same_bits_everywhere() {
    let config = LstmConfig::new(3, 5).num_layers(2);
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, 1e-45] {
        let mut case = LstmCase::random(config, [4, 5], true, true, 1);
        let (h, c) = case.initial.as_mut().unwrap();
        (h[7], c[18]) = (bad, bad);
        let expected = case.forward(Isa::Scalar);
        for isa in isas() {
            for (found, expected) in case.forward(isa).iter().zip(&expected) {
                assert_same_bits(found, expected, format_args!("{bad} on {isa}"));
            }
        }
    }
}

#[test]
fn options_are_checked_before_the_instruction_set() {
    let missing = Isa::ALL.iter().copied().find(|isa| !isa.is_available()).expect("no CPU has both AVX and NEON");
    let error = Lstm::with_isa(LstmConfig::new(3, 0), &[], missing).map(|_| ()).unwrap_err();
    assert!(matches!(error, Error::InvalidOption { option: "hidden_size", .. }), "{error:?}");
}

#[test]
fn a_stream_is_foreign_to_every_lstm_with_another_option() {
    let config = LstmConfig::new(3, 5).num_layers(2);
    // (Of one sequence and of two: one step of one goes another way through small layers.)
    for (batch, isa) in [1, 2].into_iter().flat_map(|batch| Isa::available().map(move |isa| (batch, isa))) {
        is_foreign(config, batch, isa);
    }
}

fn is_foreign(config: LstmConfig, batch: usize, isa: Isa) {
    let lstm = |config| LstmModel::random(config, &mut Random::new(1), 1.0).lstm(isa);
    let mut stream = lstm(config).stream(batch, None).unwrap();
    for (other, text) in [
        (LstmConfig::new(3, 4).num_layers(2), "`hidden_size` is 5, expected 4"),
        (LstmConfig::new(4, 5).num_layers(2), "`input_size` is 3, expected 4"),
        (config.num_layers(1), "`num_layers` is 2, expected 1"),
        (config.bias(false), "`bias` is true, expected false"),
        (config.batch_first(true), "`batch_first` is false, expected true"),
        (config.dropout(0.5), "`dropout` is 0, expected 0.5"),
        (config.bidirectional(true), "`bidirectional` is false, expected true"),
        (config.proj_size(4), "`proj_size` is 0, expected 4"),
        (config.dtype(Dtype::F16), "`dtype` is f32, expected f16"),
        (config.dtype(Dtype::Bf16), "`dtype` is f32, expected bf16"),
    ] {
        let (x, mut out) = (vec![0.5; batch * other.input_size], vec![0.0; batch * other.output_size()]);
        let shape = if other.batch_first { [batch, 1, other.input_size] } else { [1, batch, other.input_size] };
        let (lstm, input) = (lstm(other), Input::new(&x, &shape));
        let error = lstm.advance(&mut stream, input, &mut out).unwrap_err();
        text_has(error, &["the stream was made for an LSTM", text]);
        assert_eq!(lstm.stream_states(&stream), Err(error));
    }
}

#[test]
fn one_step_of_a_small_stream_that_is_wrong_is_refused_and_changes_nothing() {
    let case = LstmCase::random(LstmConfig::new(3, 5), [1, 1], false, true, 1);
    for isa in Isa::available() {
        let lstm = case.model.lstm(isa);
        let (mut stream, mut output) = (lstm.stream(1, case.initial()).unwrap(), [9.0; 6]);
        let lengths = [1];
        for (input, len, text) in [
            (Input::new(&case.x, &[1, 1, 3]), 4, "`output`"),
            (Input::new(&case.x, &[1, 3]), 6, "`output`"),
            (Input::new(&case.x[..2], &[1, 1, 3]), 5, "`input`"),
            (Input::new(&case.x[..2], &[1, 2]), 5, "input_size"),
            (Input::new(&case.x, &[3]), 5, "input_size"),
            (Input::new(&case.x, &[1, 1, 1, 3]), 5, "input_size"),
            (Input::new(&case.x, &[1, 1, 3]).lengths(&lengths), 5, "`lengths`"),
        ] {
            let error = lstm.advance(&mut stream, input, &mut output[..len]).unwrap_err();
            text_has(error, &[text]);
        }
        assert_eq!(output, [9.0; 6]);
        let (h, c) = lstm.stream_states(&stream).unwrap();
        assert_eq!((&h[..], &c[..]), case.initial().unwrap());
    }
}

#[test]
fn lengths_of_one_sequence_without_batch_are_checked_too() {
    let lstm = LstmModel::random(LstmConfig::new(3, 5), &mut Random::new(1), 1.0).lstm(Isa::Scalar);
    let (x, shape) = ([0.5; 12], [4, 3]);
    let error = |lengths: &[usize]| lstm.forward(Input::new(&x, &shape).lengths(lengths), None).map(drop).unwrap_err();
    assert_eq!(error(&[]), Error::WrongLengths { expected: 1, found: 0 });
    assert_eq!(error(&[2, 2]), Error::WrongLengths { expected: 1, found: 2 });
    for found in [0, 5] {
        assert_eq!(error(&[found]), Error::WrongSequenceLength { sequence: 0, steps: 4, found });
    }
}

#[test]
fn a_workspace_for_nothing_can_be_made_and_grows() {
    let case = LstmCase::random(LstmConfig::new(3, 5), [4, 2], false, false, 1);
    let lstm = case.model.lstm(Isa::Scalar);
    for (steps, batch) in [(0, 0), (0, 2), (4, 0)] {
        let [mut output, mut h, mut c] = [vec![9.0; 40], vec![0.0; 10], vec![0.0; 10]];
        lstm.forward_into(case.input(), (&mut h, &mut c), &mut output, &mut lstm.workspace(steps, batch)).unwrap();
        assert_same_bits(&output, &case.forward(Isa::Scalar)[0], format_args!("({steps}, {batch})"));
    }
}
