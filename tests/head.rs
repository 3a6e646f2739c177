//! The linear head behind a cell: close to f64, the same bits however it is called and on every instruction set, and
//! typed errors.

use lstm_kernels::{Error, Isa, Lstm, LstmConfig, LstmWeights, WeightsError, lstm_cell, reference};
use support::{Random, assert_same_bits, cases, isas};

/// Weights and biases of a cell and its head, as PyTorch initialises them.
struct Model {
    lstm: [Vec<f32>; 4],
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl Model {
    fn random(input: usize, hidden: usize, out: usize, random: &mut Random) -> Self {
        let limit = 1.0 / (hidden as f64).sqrt();
        let lens = [4 * hidden * input, 4 * hidden * hidden, 4 * hidden, 4 * hidden];
        Self {
            lstm: lens.map(|len| random.uniforms(len, limit)),
            weight: random.uniforms(out * hidden, limit),
            bias: random.uniforms(out, limit),
        }
    }

    fn lstm(&self) -> LstmWeights<'_> {
        let [ih, hh, bias_ih, bias_hh] = &self.lstm;
        LstmWeights::torch(ih, hh, Some((bias_ih, bias_hh)))
    }

    fn weights(&self) -> LstmWeights<'_> {
        self.lstm().with_head(&self.weight, Some(&self.bias))
    }

    /// Each output of h in f64, and how far an f32 head may be from it: half an ULP of the sum of magnitudes for each
    /// rounding on the way, and what an error of `h_error` in each h does.
    fn outputs<H: Copy + Into<f64>>(&self, h: &[H], h_error: f64) -> Vec<(f64, f64)> {
        let roundings = (h.len().div_ceil(16) + 6) as f64;
        let rows = self.weight.chunks_exact(h.len()).zip(&self.bias);
        let output = |(row, &bias): (&[f32], &f32)| {
            let terms = || row.iter().zip(h).map(|(&w, &h)| f64::from(w) * h.into());
            let magnitude = terms().map(f64::abs).sum::<f64>() + f64::from(bias.abs());
            let spread: f64 = row.iter().map(|&w| f64::from(w.abs()) * h_error).sum();
            (terms().sum::<f64>() + f64::from(bias), roundings * 2f64.powi(-24) * magnitude + spread)
        };
        rows.map(output).collect()
    }
}

fn assert_outputs(found: &[f32], expected: &[(f64, f64)], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (n, (&y, (exact, limit))) in found.iter().zip(expected).enumerate() {
        let error = (f64::from(y) - exact).abs();
        assert!(error <= *limit, "{what}: output {n} is {y:e}, expected {exact:e}, off by {error:e} > {limit:e}");
    }
}

macro_rules! heads {
    ($($name:ident: $input:tt $hidden:tt $out:tt,)*) => { $(
        mod $name {
            use super::*;

            lstm_cell!(pub struct Cell, in=$input, hidden=$hidden, out=$out);

            fn sequence(random: &mut Random, steps: usize) -> Vec<[f32; $input]> {
                random.normals(steps * $input).as_chunks().0.to_vec()
            }

            #[test]
            fn is_close_to_f64() {
                assert_eq!(Cell::OUT, $out);
                for seed in 0..cases(8) {
                    let mut random = Random::new(seed.into());
                    let model = Model::random($input, $hidden, $out, &mut random);
                    let seq = sequence(&mut random, 64);
                    let oracle = reference::Cell::new(&model.lstm(), $input, $hidden).expect("good weights");
                    let (mut h, mut c) = ([0.0; $hidden], [0.0; $hidden]);
                    let cells: Vec<_> = isas().iter().map(|&isa| Cell::with_isa(&model.weights(), isa).unwrap()).collect();
                    let mut states = vec![Cell::zero_state(); cells.len()];
                    for (t, x) in seq.iter().enumerate() {
                        oracle.step(&x.map(f64::from), &mut h, &mut c);
                        for (cell, state) in cells.iter().zip(&mut states) {
                            let y = cell.step_out(x, state);
                            let what = format!("seed {seed}, step {t} on {}", cell.isa());
                            assert_outputs(&y, &model.outputs(state.h(), 0.0), &format!("{what}, from its own h"));
                            assert_outputs(&y, &model.outputs(&h, 1e-6), &what);
                        }
                    }
                }
            }

            #[test]
            fn has_the_same_bits_on_every_instruction_set_and_by_every_method() {
                for seed in 0..cases(8) {
                    let mut random = Random::new(100 + u64::from(seed));
                    let model = Model::random($input, $hidden, $out, &mut random);
                    let seqs: Vec<_> = (0..7).map(|_| sequence(&mut random, 9)).collect();
                    let portable = Cell::with_isa(&model.weights(), Isa::Scalar).unwrap();
                    let plain = |seq: &Vec<[f32; $input]>| {
                        let mut state = Cell::zero_state();
                        (seq.iter().map(|x| portable.step_out(x, &mut state)).collect::<Vec<_>>(), state)
                    };
                    let expected: Vec<_> = seqs.iter().map(plain).collect();
                    for isa in isas() {
                        let cell = Cell::with_isa(&model.weights(), isa).unwrap();
                        let boxed = Cell::with_isa_boxed(&model.weights(), isa).unwrap();
                        let mut states = [Cell::zero_state(); 7];
                        for t in 0..9 {
                            let xs: Vec<_> = seqs.iter().map(|seq| seq[t]).collect();
                            let mut out = [[f32::NAN; $out]; 7];
                            cell.step_batch_out(&xs, &mut states, &mut out).unwrap();
                            for (n, (y, (expected, _))) in out.iter().zip(&expected).enumerate() {
                                assert_same_bits(y, &expected[t], format_args!("{isa}: stream {n}, step {t}"));
                            }
                        }
                        for (seq, (expected, end)) in seqs.iter().zip(&expected) {
                            let [mut a, mut b, mut c] = [Cell::zero_state(); 3];
                            let mut out = vec![[f32::NAN; $out]; 9];
                            cell.run_out(&seq[..5], &mut a, &mut out[..5]).unwrap();
                            cell.run_out(&seq[5..], &mut a, &mut out[5..]).unwrap();
                            assert_same_bits(out.as_flattened(), expected.as_flattened(), format_args!("{isa}: run_out"));
                            assert_same_bits(a.c(), end.c(), format_args!("{isa}: c after run_out"));
                            for (t, x) in seq.iter().enumerate() {
                                let y = cell.step_out(x, &mut b);
                                assert_same_bits(&y, &expected[t], format_args!("{isa}: step {t}"));
                                assert_same_bits(&boxed.step_out(x, &mut c), &y, format_args!("{isa}: boxed, {t}"));
                                let state = (b.h(), b.c());
                                assert_eq!(state, (c.h(), c.c()));
                            }
                            // A step without its outputs is the same step.
                            let mut d = Cell::zero_state();
                            seq.iter().for_each(|x| _ = cell.step(x, &mut d));
                            assert_same_bits(d.h(), b.h(), format_args!("{isa}: h by step"));
                        }
                        for ((_, expected), found) in expected.iter().zip(&states) {
                            assert_same_bits(found.h(), expected.h(), format_args!("{isa}: h after step_batch_out"));
                        }
                    }
                }
            }
        }
    )* };
}

heads! {
    one: 1 1 1,
    tutorial: 10 20 3,
    wide: 2 33 17,
    large: 4 64 1,
}

// The same code for more sizes.
#[cfg(all_cells)]
heads! {
    small: 3 5 2,
    amp: 1 16 1,
    mid: 1 40 1,
}

#[test]
fn padding_of_the_state_never_reaches_an_output() {
    lstm_cell!(struct Padded, in=1, hidden=5, out=1);
    let model = Model::random(1, 5, 1, &mut Random::new(1));
    for isa in isas() {
        let cell = Padded::with_isa(&model.weights(), isa).unwrap();
        let mut state = Padded::zero_state();
        // An infinite x saturates every gate; in the padding, of weight zero, it makes NaN.
        let y = cell.step_out(&[f32::INFINITY], &mut state);
        assert!(state.h().iter().all(|h| h.is_finite()), "{isa}: {state:?}");
        assert!(y[0].is_finite(), "{isa}: {y:?}");
        assert_outputs(&y, &model.outputs(state.h(), 0.0), isa.name());
        // And a NaN of x does reach it.
        assert!(cell.step_out(&[f32::NAN], &mut state)[0].is_nan(), "{isa}");
    }
}

#[test]
fn what_is_wrong_with_a_head_is_named() {
    lstm_cell!(struct With, in=1, hidden=4, out=2);
    lstm_cell!(struct Without, in=1, hidden=4);
    let model = Model::random(1, 4, 2, &mut Random::new(1));
    let (lstm, weight, bias) = (model.lstm(), &model.weight[..], &model.bias[..]);
    let with = |weights: LstmWeights<'_>| match With::with_isa(&weights, Isa::Scalar).unwrap_err() {
        Error::Weights(error) => error,
        other => panic!("{other:?}"),
    };

    assert_eq!(with(lstm), WeightsError::MissingHead);
    assert_eq!(Without::new(&model.weights()).unwrap_err(), WeightsError::UnexpectedHead.into());
    let error = Error::LayerWeights { layer: 0, reverse: false, error: WeightsError::UnexpectedHead };
    assert_eq!(Lstm::new(LstmConfig::new(1, 4), &[model.weights()]).unwrap_err(), error);
    for len in [0, 7] {
        let error = WeightsError::WrongLength { tensor: "linear.weight", expected: 8, found: len };
        assert_eq!(with(lstm.with_head(&weight[..len], Some(bias))), error);
    }
    let error = WeightsError::WrongLength { tensor: "linear.bias", expected: 2, found: 1 };
    assert_eq!(with(lstm.with_head(weight, Some(&bias[..1]))), error);
    let mut infinite = weight.to_vec();
    infinite[5] = f32::INFINITY;
    let error = WeightsError::NonFinite { tensor: "linear.weight", index: 5, value: f32::INFINITY };
    assert_eq!(with(lstm.with_head(&infinite, Some(bias))), error);
    assert!(matches!(with(lstm.with_head(weight, Some(&[0.0, f32::NAN]))), WeightsError::NonFinite { index: 1, .. }));
    // The cell's own weights are still checked.
    assert_eq!(
        with(LstmWeights::torch(&[0.0; 16], &[0.0; 64], None).with_head(weight, None)),
        WeightsError::MissingBias
    );
    for (error, words) in [(WeightsError::MissingHead, "expected one"), (WeightsError::UnexpectedHead, "expected none")]
    {
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn slices_of_different_lengths_are_refused_and_nothing_changes() {
    lstm_cell!(struct Cell, in=1, hidden=4, out=2);
    let model = Model::random(1, 4, 2, &mut Random::new(1));
    let cell = Cell::new(&model.weights()).unwrap();
    let start = CellState::new(&[0.5; 4], &[-0.5; 4]);
    let (mut states, mut out) = ([start; 3], [[9.0; 2]; 3]);
    let error = |what, left, right| Err(Error::LengthMismatch { what, left, right });
    assert_eq!(cell.step_batch_out(&[[1.0]; 2], &mut states, &mut out), error(("xs", "states"), 2, 3));
    assert_eq!(cell.step_batch_out(&[[1.0]; 3], &mut states, &mut out[..2]), error(("xs", "out"), 3, 2));
    assert_eq!(cell.step_batch_out(&[[1.0]; 2], &mut states[..2], &mut out), error(("xs", "out"), 2, 3));
    assert_eq!(cell.run_out(&[[1.0]; 2], &mut states[0], &mut out), error(("seq", "out"), 2, 3));
    assert_eq!((states, out), ([start; 3], [[9.0; 2]; 3]));
}
