//! The oracle itself: against numbers computed by hand, and against PyTorch in float64. Everything else is tested
//! against the oracle.

use lstm_kernels::lstm::Input;
use lstm_kernels::{Error, LstmConfig, LstmWeights, WeightsError, reference};
use support::{Close, Goldens, assert_within};

/// Twelve digits, absolute.
const EXACT: Close = Close::Absolute(1e-12);

#[test]
fn one_unit_with_round_pre_activations_gives_the_tabulated_sigmoid_and_tanh() {
    // x = 1 and h = 0.5: z_i = 1, z_f = 2, z_g = 0.5, z_o = -1, each split over w_ih, w_hh, b_ih, b_hh.
    let weights = LstmWeights::torch(
        &[0.25, 1.0, 0.5, -2.0],
        &[0.5, 1.0, -1.0, 1.0],
        Some((&[0.25, 0.25, 0.25, 0.25], &[0.25, 0.25, 0.25, 0.25])),
    );
    let (mut h, mut c) = ([0.5], [0.5]);
    reference::Cell::new(&weights, 1, 1).unwrap().step(&[1.0], &mut h, &mut c);

    const SIGMOID_1: f64 = 0.731_058_578_630_005;
    const SIGMOID_2: f64 = 0.880_797_077_977_882;
    const SIGMOID_MINUS_1: f64 = 0.268_941_421_369_995;
    const TANH_HALF: f64 = 0.462_117_157_260_010;
    let expected_c = SIGMOID_2 * 0.5 + SIGMOID_1 * TANH_HALF;
    assert_within(&c, &[expected_c], EXACT, "c");
    assert_within(&c, &[0.778_233_251_135_982_4], EXACT, "c, to 16 digits");
    // sigmoid(-1) tanh(0.778...), to 16 digits.
    assert_within(&h, &[0.175_266_829_817_846_65], EXACT, "h");
    assert!((h[0] / SIGMOID_MINUS_1 - expected_c.tanh()).abs() < 1e-12);
}

#[test]
fn weights_of_zero_halve_the_cell() {
    let cell = reference::Cell::new(&LstmWeights::torch(&[0.0; 4], &[0.0; 4], None), 1, 1).unwrap();
    let (mut h, mut c) = ([0.25], [1.0]);
    for expected in [0.5, 0.25, 0.125] {
        cell.step(&[3.0], &mut h, &mut c);
        assert_eq!(c, [expected]);
        assert_eq!(h, [0.5 * expected.tanh()]);
    }
}

#[test]
fn two_units_and_three_inputs_follow_pytorchs_row_order() {
    // Rows are i0 i1 f0 f1 g0 g1 o0 o1. The expectation was computed with 40 digits (mpmath) from the equations;
    // a transposed tensor or two exchanged gates give other numbers.
    let weight_ih: Vec<f32> = (0..24).map(|k| ((k % 7) as f32 - 3.0) / 8.0).collect();
    let weight_hh: Vec<f32> = (0..16).map(|k| ((k % 5) as f32 - 2.0) / 4.0).collect();
    let bias_ih: Vec<f32> = (0..8).map(|row| ((row % 3) as f32 - 1.0) / 2.0).collect();
    let bias_hh: Vec<f32> = (0..8).map(|row| (row % 4) as f32 / 16.0).collect();
    let weights = LstmWeights::torch(&weight_ih, &weight_hh, Some((&bias_ih, &bias_hh)));
    let cell = reference::Cell::new(&weights, 3, 2).unwrap();
    let (mut h, mut c) = ([0.5, -0.25], [-0.75, 1.0]);

    cell.step(&[1.0, -0.5, 2.0], &mut h, &mut c);
    assert_within(&c, &[-0.696_752_297_470_287_9, 0.535_124_794_545_641_3], EXACT, "c after one step");
    assert_within(&h, &[-0.347_826_777_938_724_25, 0.252_287_027_002_434], EXACT, "h after one step");

    cell.step(&[-1.5, 0.25, 0.0], &mut h, &mut c);
    assert_within(&c, &[-0.416_483_289_182_889, 0.676_887_973_677_986_4], EXACT, "c after two steps");
    assert_within(&h, &[-0.154_620_159_992_607_97, 0.351_141_260_676_303_2], EXACT, "h after two steps");
}

#[test]
fn pytorch_in_float64_agrees_to_twelve_digits() {
    let goldens = Goldens::read();
    for case in goldens.cases() {
        let oracle = reference::Cell::new(&case.model.weights(), case.model.input, case.model.hidden).unwrap();
        let hidden = case.model.hidden;
        for stream in 0..case.streams {
            let wide = |values: &[f32]| values.iter().copied().map(f64::from).collect::<Vec<_>>();
            let (mut h, mut c) = (wide(case.h0(stream)), wide(case.c0(stream)));
            for t in 0..case.steps {
                oracle.step(&wide(case.x(t, stream)), &mut h, &mut c);
                let at = (t * case.streams + stream) * hidden;
                let what = format!("{}, step {t}, stream {stream}", case.name);
                assert_within(&h, &case.h64[at..][..hidden], EXACT, format_args!("{what}: h"));
                assert_within(&c, &case.c64[at..][..hidden], EXACT, format_args!("{what}: c"));
            }
        }
    }
}

#[test]
fn the_oracle_refuses_what_a_cell_refuses() {
    let weights = LstmWeights::torch(&[0.0; 4], &[0.0; 3], None);
    let error = WeightsError::WrongLength { tensor: "weight_hh", expected: 4, found: 3 }.into();
    assert_eq!(reference::Cell::new(&weights, 1, 1).unwrap_err(), error);
}

#[test]
fn both_directions_start_at_their_own_end_of_each_sequence() {
    // All weights zero: c halves at each step of its direction, h = tanh(c) / 2.
    let weights = [LstmWeights::torch(&[0.0; 4], &[0.0; 4], None); 2];
    let lstm = reference::Lstm::new(LstmConfig::new(1, 1).bias(false).bidirectional(true), &weights).unwrap();
    let h = |c: f64| 0.5 * c.tanh();
    // Two sequences of lengths 2 and 1; c_0 is 1 forward and 8, 4 in reverse.
    let input = Input::new(&[1.0, 1.0, 1.0, f32::NAN], &[2, 2, 1]).lengths(&[2, 1]);
    let result = lstm.forward(input, Some((&[0.0; 4], &[1.0, 1.0, 8.0, 4.0]))).unwrap();
    assert_eq!(result.output, [h(0.5), h(2.0), h(0.5), h(2.0), h(0.25), h(4.0), 0.0, 0.0]);
    assert_eq!(result.h_n, [h(0.25), h(0.5), h(2.0), h(2.0)]);
    assert_eq!(result.c_n, [0.25, 0.5, 2.0, 2.0]);
}

#[test]
fn a_projection_mixes_the_units_and_is_what_the_next_step_and_layer_read() {
    // z_g of both layers is what they read, all other pre-activations are 0: c' = (c + tanh(h + x)) / 2.
    let (ih, hh) = ([0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
    let weights = [LstmWeights::torch(&ih, &hh, None).with_projection(&[3.0, 5.0]); 2];
    let config = LstmConfig::new(1, 2).num_layers(2).bias(false).proj_size(1);
    let lstm = reference::Lstm::new(config, &weights).unwrap();
    let result = lstm.forward(Input::new(&[0.5, -1.0], &[2, 1]), Some((&[0.25, 0.0], &[0.0, 1.0, 0.0, 0.0]))).unwrap();

    let step = |x: f64, h: f64, c: [f64; 2]| {
        let c = c.map(|c| 0.5 * c + 0.5 * (x + h).tanh());
        (3.0 * (0.5 * c[0].tanh()) + 5.0 * (0.5 * c[1].tanh()), c)
    };
    let (h0, c0) = step(0.5, 0.25, [0.0, 1.0]);
    let (h1, c1) = step(h0, 0.0, [0.0, 0.0]);
    let (h2, c2) = step(-1.0, h0, c0);
    let (h3, c3) = step(h2, h1, c1);
    assert_within(&result.output, &[h1, h3], EXACT, "output");
    assert_within(&result.h_n, &[h2, h3], EXACT, "h_n");
    assert_within(&result.c_n, &[c2, c3].concat(), EXACT, "c_n");
}

#[test]
fn batch_first_only_says_where_the_rows_lie() {
    let weights = [LstmWeights::torch(&[0.5, 1.0, -1.0, 2.0], &[1.0; 4], None)];
    let config = LstmConfig::new(1, 1).bias(false);
    let run = |config, x: &[f32], shape: &[usize]| {
        reference::Lstm::new(config, &weights).unwrap().forward(Input::new(x, shape), None).unwrap()
    };
    let time_first = run(config, &[1.0, 4.0, 2.0, 5.0, 3.0, 6.0], &[3, 2, 1]);
    let batch_first = run(config.batch_first(true), &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[2, 3, 1]);
    let [a, b, c, d, e, f] = time_first.output[..] else { panic!("{time_first:?}") };
    assert_eq!(batch_first.output, [a, c, e, b, d, f]);
    assert_eq!((time_first.h_n, time_first.c_n), (batch_first.h_n, batch_first.c_n));
}

#[test]
fn the_oracle_of_a_cell_refuses_sizes_that_there_are_not() {
    let (some, none) = (LstmWeights::torch(&[0.0; 4], &[0.0; 4], None), LstmWeights::torch(&[], &[], None));
    for (weights, input, hidden) in
        [(none, 0, 0), (none, 1, 0), (none, 0, 1), (some, usize::MAX, 4), (some, 4, usize::MAX)]
    {
        let error = reference::Cell::new(&weights, input, hidden).map(|_| ()).unwrap_err();
        assert!(matches!(error, Error::InvalidOption { option: "input" | "hidden", .. }), "{error}");
    }
    let error = reference::Cell::with_projection(&some, 1, 1, 0).map(|_| ()).unwrap_err();
    assert!(matches!(error, Error::InvalidOption { option: "proj", .. }), "{error}");
}

#[test]
fn the_oracle_of_sequences_refuses_what_the_driver_refuses() {
    let weights = LstmWeights::torch(&[0.0; 4], &[0.0; 4], None);
    let config = LstmConfig::new(1, 1).bias(false);
    let of = |config, weights: &[LstmWeights<'_>]| reference::Lstm::new(config, weights).map(|_| ()).unwrap_err();
    assert_eq!(of(config, &[]), Error::WrongLayers { expected: 1, found: 0 });
    let missing = Error::LayerWeights { layer: 0, reverse: false, error: WeightsError::MissingBias };
    assert_eq!(of(config.bias(true), &[weights]), missing);
    assert!(matches!(of(config.num_layers(0), &[weights]), Error::InvalidOption { option: "num_layers", .. }));
    let lstm = reference::Lstm::new(config, &[weights]).unwrap();
    let error = lstm.forward(Input::new(&[0.0; 2], &[2, 1]), Some((&[0.0; 2], &[0.0]))).unwrap_err();
    assert_eq!(error, Error::WrongElements { tensor: "h_0", expected: [1, 1, 1], found: 2 });
}
