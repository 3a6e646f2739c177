//! Weights stored in half precision. That cells of f16 and bf16 are as exact as those of f32, once their weights are
//! rounded, and have the same bits everywhere, the properties of the whole grid show. Here: what the rounding itself
//! costs, what does not fit, and arithmetic in f16.

use lstm_kernels::lstm::Input;
use lstm_kernels::{Dtype, Error, Isa, Lstm, LstmConfig, LstmWeights, WeightsError, lstm_cell};
use support::{AnyCell, GRID, MOST_H, Model, Oracle, Random, assert_same_bits, isas, steps};

lstm_cell!(struct F16, in=2, hidden=3, dtype=f16);
lstm_cell!(struct Bf16, in=2, hidden=3, dtype=bf16);

/// The largest distance of a cell's h and c from the oracle's over a sequence, both from the same state.
fn error(cell: &dyn AnyCell, mut oracle: Oracle, seq: &[f32], input: usize) -> f64 {
    let mut states = cell.states(1);
    let mut worst = 0.0;
    for x in seq.chunks_exact(input) {
        oracle.step(x);
        cell.step(x, &mut *states, 0);
        worst = distance(states.h(0), &oracle.h).max(distance(states.c(0), &oracle.c)).max(worst);
    }
    worst
}

fn distance<A: Copy + Into<f64>>(a: &[A], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(&a, b)| (a.into() - b).abs()).fold(0.0, f64::max)
}

/// What rounding the weights does to the oracle.
fn rounding(exact: &Model, rounded: &Model, seq: &[f32]) -> f64 {
    let zero = vec![0.0; exact.hidden];
    let (mut a, mut b) = (exact.oracle(&zero, &zero), rounded.oracle(&zero, &zero));
    let mut worst = 0.0;
    for x in seq.chunks_exact(exact.input) {
        a.step(x);
        b.step(x);
        worst = distance(&a.h, &b.h).max(distance(&a.c, &b.c)).max(worst);
    }
    worst
}

#[test]
fn storing_a_weight_costs_no_more_than_rounding_it() {
    for (n, shape) in GRID.iter().filter(|shape| shape.dtype != Dtype::F32).enumerate() {
        let mut random = Random::new(n as u64);
        let exact = Model::exact(shape, &mut random, 1.0);
        let seq = random.normals(steps(512) * shape.input);
        let zero = vec![0.0; shape.hidden];
        let alone = rounding(&exact, &exact.rounded(shape), &seq);
        assert!(alone > 1e-6, "{shape}: rounding must show");
        for isa in isas() {
            let found = error(&*shape.cell(&exact.weights(), isa), exact.oracle(&zero, &zero), &seq, shape.input);
            assert!(found <= 1.5 * alone, "{shape} on {isa}: {found:e} off, rounding alone makes {alone:e}");
        }
    }
}

#[test]
fn a_weight_beyond_the_type_is_named_and_a_bias_is_not_stored_in_it() {
    let (mut ih, hh, mut bias) = ([0.1; 24], [0.1; 36], [0.0; 12]);
    bias[3] = 1e30;
    assert!(F16::new(&LstmWeights::torch(&ih, &hh, Some((&bias, &bias)))).is_ok());
    ih[7] = -65504.0;
    assert!(F16::new(&LstmWeights::torch(&ih, &hh, Some((&bias, &bias)))).is_ok());
    ih[7] = -65520.0;
    let weights = LstmWeights::torch(&ih, &hh, Some((&bias, &bias)));
    let expected =
        Error::Weights(WeightsError::BeyondRange { tensor: "weight_ih", index: 7, value: -65520.0, dtype: "f16" });
    assert_eq!(F16::new(&weights).err(), Some(expected));
    assert_eq!(F16::new_boxed(&weights).err(), Some(expected));
    assert_eq!(expected.to_string(), "`weight_ih[7]` is -65520, expected a number within the range of f16");
    assert!(Bf16::new(&weights).is_ok());
    ih[7] = f32::MAX;
    let error = Bf16::new(&LstmWeights::torch(&ih, &hh, Some((&bias, &bias)))).err();
    let expected = WeightsError::BeyondRange { tensor: "weight_ih", index: 7, value: f32::MAX, dtype: "bf16" };
    assert_eq!(error, Some(expected.into()));
}

#[test]
fn what_is_not_f16_has_the_same_bits_where_f16_could_be_added() {
    if !Isa::V4F16.is_available() {
        return;
    }
    for (n, shape) in GRID.iter().filter(|shape| shape.dtype != Dtype::F16 && shape.hidden <= 65).enumerate() {
        let model = Model::random(shape, &mut Random::new(n as u64), 1.0);
        let (v4, f16) = (shape.cell(&model.weights(), Isa::V4), shape.cell(&model.weights(), Isa::V4F16));
        let x = Random::new(n as u64).normals(shape.input);
        let (mut a, mut b) = (v4.states(1), f16.states(1));
        assert_same_bits(f16.step(&x, &mut *b, 0), v4.step(&x, &mut *a, 0), format_args!("{shape}"));
    }
}

#[test]
fn arithmetic_in_f16_gives_the_same_bits_however_the_work_is_cut() {
    if !Isa::V4F16.is_available() {
        return;
    }
    const STEPS: usize = 6;
    for (n, shape) in GRID.iter().filter(|shape| shape.dtype == Dtype::F16).enumerate() {
        let mut random = Random::new(n as u64);
        let model = Model::random(shape, &mut random, 1.0);
        let cell = shape.cell(&model.weights(), Isa::V4F16);
        assert_eq!(cell.isa(), Isa::V4F16);
        let seqs: Vec<Vec<f32>> = (0..7).map(|_| random.normals(STEPS * shape.input)).collect();
        let (mut stepped, mut ran, mut batch) = (cell.states(7), cell.states(7), cell.states(7));
        for t in 0..STEPS {
            let mut xs = Vec::new();
            for (stream, seq) in seqs.iter().enumerate() {
                let x = &seq[t * shape.input..][..shape.input];
                cell.step(x, &mut *stepped, stream);
                xs.extend_from_slice(x);
            }
            cell.step_batch(&xs, &mut *batch).expect("as many inputs as states");
        }
        let lstm = Lstm::with_isa(
            LstmConfig::new(shape.input, shape.hidden).bias(shape.bias).dtype(Dtype::F16),
            &[model.weights()],
            Isa::V4F16,
        )
        .expect("good weights");
        for batch in [1, 4, 7] {
            let x: Vec<f32> = (0..STEPS)
                .flat_map(|t| seqs[..batch].iter().flat_map(move |seq| &seq[t * shape.input..][..shape.input]))
                .copied()
                .collect();
            let found = lstm.forward(Input::new(&x, &[STEPS, batch, shape.input]), None).expect("the right shape");
            for stream in 0..batch {
                let what = format!("{shape}, stream {stream} of {batch} by Lstm");
                assert_same_bits(&found.c_n.data[stream * shape.hidden..][..shape.hidden], stepped.c(stream), what);
            }
        }
        let mut out = vec![0.0; STEPS * shape.hidden];
        for (stream, seq) in seqs.iter().enumerate() {
            cell.run(seq, &mut *ran, stream, &mut out).expect("as many inputs as outputs");
            for (other, what) in [(&ran, "run"), (&batch, "step_batch")] {
                assert_same_bits(other.h(stream), stepped.h(stream), format_args!("{shape} by {what}: h"));
                assert_same_bits(other.c(stream), stepped.c(stream), format_args!("{shape} by {what}: c"));
            }
        }
    }
}

#[test]
fn an_lstm_names_the_weight_that_its_type_cannot_hold() {
    let (mut ih, hh, bias, hr) = ([0.1; 24], [0.1; 24], [1e30; 12], [0.2; 6]);
    let config = LstmConfig::new(2, 3).proj_size(2).dtype(Dtype::F16);
    let made = |ih: &[f32], hr: &[f32]| {
        Lstm::new(config, &[LstmWeights::torch(ih, &hh, Some((&bias, &bias))).with_projection(hr)]).map(|_| ())
    };
    assert_eq!(made(&ih, &hr), Ok(()));
    let expected = |tensor, index, value| {
        let error = WeightsError::BeyondRange { tensor, index, value, dtype: "f16" };
        Err(Error::LayerWeights { layer: 0, reverse: false, error })
    };
    assert_eq!(made(&ih, &[0.0, 0.0, 0.0, 1e5, 0.0, 0.0]), expected("weight_hr", 3, 1e5));
    ih[23] = -1e6;
    assert_eq!(made(&ih, &hr), expected("weight_ih", 23, -1e6));
}

/// The promise in the documentation of `lstm_cell!`.
#[test]
fn arithmetic_in_f16_stays_near_what_rounding_the_weights_costs() {
    if !Isa::V4F16.is_available() {
        return;
    }
    for (n, shape) in GRID.iter().filter(|shape| shape.dtype == Dtype::F16).enumerate() {
        let exact = Model::exact(shape, &mut Random::new(n as u64), 1.0);
        let seq = Random::new(n as u64).normals(steps(512) * shape.input);
        let zero = vec![0.0; shape.hidden];
        let alone = rounding(&exact, &exact.rounded(shape), &seq);
        let found = error(&*shape.cell(&exact.weights(), Isa::V4F16), exact.oracle(&zero, &zero), &seq, shape.input);
        assert!(found <= 2e-3 && found <= 6.0 * alone, "{shape}: {found:e} off, rounding alone {alone:e}");
        // The same as storage alone would be no arithmetic in f16.
        assert!(found != error(&*shape.cell(&exact.weights(), Isa::V4), exact.oracle(&zero, &zero), &seq, shape.input));
    }
}

#[test]
fn inputs_beyond_f16_saturate_and_nan_reaches_h() {
    if !Isa::V4F16.is_available() {
        return;
    }
    let (ih, hh) = ([0.1; 24], [0.1; 36]);
    lstm_cell!(struct Cell, in=2, hidden=3, dtype=f16, bias=false);
    let cell = Cell::with_isa(&LstmWeights::torch(&ih, &hh, None), Isa::V4F16).expect("it is there");
    let mut state = Cell::zero_state();
    for x in [1e9, f32::MAX, f32::INFINITY, -f32::MAX] {
        assert!(cell.step(&[x, 0.0], &mut state).iter().all(|h| h.abs() <= MOST_H), "{x}: {:?}", state.h());
    }
    assert!(cell.step(&[f32::NAN, 0.0], &mut state).iter().all(|h| h.is_nan()));
}

#[test]
fn a_recurrent_weight_beyond_the_type_is_named() {
    lstm_cell!(struct Half, in=2, hidden=3, dtype=f16, bias=false);
    let (ih, mut hh) = ([0.1; 24], [0.1; 36]);
    hh[35] = 1e5;
    let expected = WeightsError::BeyondRange { tensor: "weight_hh", index: 35, value: 1e5, dtype: "f16" };
    let weights = LstmWeights::torch(&ih, &hh, None);
    assert_eq!(Half::new(&weights).err(), Some(expected.into()));
    let config = LstmConfig::new(2, 3).bias(false).dtype(Dtype::F16);
    let expected = Error::LayerWeights { layer: 0, reverse: false, error: expected };
    assert_eq!(Lstm::new(config, &[weights]).err(), Some(expected));
}
