//! Stacked cells: the same bits as the cells called by hand, and as the driver with dynamic shapes.
#![forbid(unsafe_code)]
#![deny(warnings)]

use std::fmt::Debug;

use lstm_kernels::lstm::Input;
use lstm_kernels::{Error, Layer, LayerOut, Lstm, LstmConfig, LstmWeights, lstm_cell};
use support::{Close, LstmModel, Random, assert_same_bits, assert_within, isas};

lstm_cell!(struct First, in=10, hidden=20);
lstm_cell!(struct Second, in=20, hidden=20);

const STEPS: usize = 21;

fn model() -> LstmModel {
    LstmModel::random(LstmConfig::new(10, 20).num_layers(2), &mut Random::new(1), 1.0)
}

fn inputs() -> Vec<[f32; 10]> {
    Random::new(2).normals(STEPS * 10).as_chunks().0.to_vec()
}

/// Two layers by `step`, by `run` in two pieces and by the dynamic driver, against the cells called by hand.
macro_rules! two_layers {
    ($model:expr, $seq:expr, $First:ident, $Second:ident, $hidden:literal) => {{
        let (model, seq): (LstmModel, &[_]) = ($model, $seq);
        let [first, second] = model.weights()[..] else { panic!("two layers") };
        for isa in isas() {
            let stack = ($First::with_isa(&first, isa).unwrap(), $Second::with_isa(&second, isa).unwrap());
            let mut by_hand = ($First::zero_state(), $Second::zero_state());
            let mut expected = Vec::new();
            for x in seq {
                let h = *stack.0.step(x, &mut by_hand.0);
                expected.extend_from_slice(stack.1.step(&h, &mut by_hand.1));
            }

            let mut state = <($First, $Second)>::zero_state();
            let found: Vec<f32> = seq.iter().flat_map(|x| *stack.step(x, &mut state)).collect();
            assert_same_bits(&found, &expected, format_args!("step on {isa}"));
            assert_eq!(state, by_hand);
            assert_eq!(<($First, $Second)>::output(&state), by_hand.1.h());

            // Below, at and above the number of steps that `run` takes at a time.
            for cut in [0, 1, 7, 8, 9, 16, STEPS] {
                let (mut state, mut out) = (<($First, $Second)>::zero_state(), [[f32::NAN; $hidden]; STEPS]);
                stack.run(&seq[..cut], &mut state, &mut out[..cut]).unwrap();
                stack.run(&seq[cut..], &mut state, &mut out[cut..]).unwrap();
                assert_same_bits(out.as_flattened(), &expected, format_args!("run on {isa}, cut at {cut}"));
                assert_eq!(state, by_hand);
            }

            let lstm: Lstm = model.lstm(isa);
            let dynamic = lstm.forward(Input::new(seq.as_flattened(), &[STEPS, seq[0].len()]), None).unwrap();
            assert_same_bits(&dynamic.output.data, &expected, format_args!("Lstm on {isa}"));
        }
    }};
}

#[test]
fn two_layers_give_the_bits_of_the_cells_called_by_hand_and_of_the_dynamic_driver() {
    let (model, seq) = (model(), inputs());
    two_layers!(model, &seq, First, Second, 20);
}

#[test]
fn two_layers_so_small_that_they_take_turns_give_them_too() {
    lstm_cell!(struct Small, in=2, hidden=9);
    lstm_cell!(struct Last, in=9, hidden=9);
    let model = LstmModel::random(LstmConfig::new(2, 9).num_layers(2), &mut Random::new(1), 1.0);
    let seq = Random::new(2).normals(STEPS * 2).as_chunks().0.to_vec();
    two_layers!(model, &seq, Small, Last, 9);
}

#[test]
fn two_layers_stay_within_a_millionth_of_the_oracle() {
    let (model, seq) = (model(), inputs());
    let [first, second] = model.weights()[..] else { panic!("two layers") };
    let expected = model.oracle().forward(Input::new(seq.as_flattened(), &[STEPS, 10]), None).unwrap();
    for isa in isas() {
        let stack = (First::with_isa(&first, isa).unwrap(), Second::with_isa(&second, isa).unwrap());
        assert_within(run(&stack, &seq).as_flattened(), &expected.output, Close::Absolute(1e-6), isa);
    }
}

#[test]
fn pairs_nest_and_may_hold_boxed_cells() {
    let (model, seq) = (model(), inputs());
    let [first, second] = model.weights()[..] else { panic!("two layers") };
    for isa in isas() {
        let [a, b, c] = [first, second, second];
        let left = (
            (First::with_isa(&a, isa).unwrap(), Second::with_isa(&b, isa).unwrap()),
            Second::with_isa(&c, isa).unwrap(),
        );
        let right = (
            First::with_isa(&a, isa).unwrap(),
            (Second::with_isa_boxed(&b, isa).unwrap(), Second::with_isa(&c, isa).unwrap()),
        );
        let outs = [run(&left, &seq), run(&right, &seq)];
        assert_same_bits(outs[0].as_flattened(), outs[1].as_flattened(), format_args!("on {isa}"));
        // A third layer is not nothing.
        assert_ne!(outs[0], run(&left.0, &seq));
    }
}

/// The outputs of two layers, the second with a head: by `step_out` and by `run_out` in two pieces, whatever holds the
/// layers, against the cells called by hand.
macro_rules! two_layers_with_outputs {
    ($model:expr, $seq:expr, $First:ident, $Second:ident, $out:literal) => {{
        let (model, seq): (LstmModel, &[_]) = ($model, $seq);
        let [first, second] = model.weights()[..] else { panic!("two layers") };
        let head = Random::new(3).uniforms($Second::OUT * $Second::HIDDEN, 1.0);
        for isa in isas() {
            let second = $Second::with_isa(&second.with_head(&head, None), isa).unwrap();
            let stack = ($First::with_isa(&first, isa).unwrap(), second);
            let mut by_hand = ($First::zero_state(), $Second::zero_state());
            let mut expected = Vec::new();
            for x in seq {
                expected.push(stack.1.step_out(stack.0.step(x, &mut by_hand.0), &mut by_hand.1));
            }

            let mut state = <($First, $Second)>::zero_state();
            let found: Vec<[f32; $out]> = seq.iter().map(|x| stack.step_out(x, &mut state)).collect();
            assert_same_bits(found.as_flattened(), expected.as_flattened(), format_args!("step_out on {isa}"));
            assert_eq!(state, by_hand);

            type Any<'a> = dyn LayerOut<
                    Input = [f32; $First::INPUT],
                    Output = [f32; $Second::HIDDEN],
                    Out = [f32; $out],
                    State = <($First, $Second) as Layer>::State,
                > + 'a;
            let (borrowed, boxed) = ((&stack.0, &stack.1), (Box::new(stack.0.clone()), Box::new(stack.1.clone())));
            let holders: [(&str, &Any<'_>); 3] = [("in a pair", &stack), ("borrowed", &borrowed), ("boxed", &boxed)];
            for (how, layers) in holders {
                for cut in [0, 1, 7, 8, 9, 16, STEPS] {
                    let (mut state, mut out) = (<($First, $Second)>::zero_state(), [[f32::NAN; $out]; STEPS]);
                    layers.run_out(&seq[..cut], &mut state, &mut out[..cut]).unwrap();
                    layers.run_out(&seq[cut..], &mut state, &mut out[cut..]).unwrap();
                    let what = format_args!("run_out {how} on {isa}, cut at {cut}");
                    assert_same_bits(out.as_flattened(), expected.as_flattened(), what);
                    assert_eq!(state, by_hand);
                }
                let (mut state, mut out) = (by_hand, [[9.0; $out]; 3]);
                let error = Error::LengthMismatch { what: ("seq", "out"), left: 2, right: 3 };
                assert_eq!(layers.run_out(&seq[..2], &mut state, &mut out), Err(error), "{how}");
                assert_eq!((state, out), (by_hand, [[9.0; $out]; 3]), "{how}");
            }
        }
    }};
}

#[test]
fn outputs_of_two_layers_are_those_of_the_cells_called_by_hand() {
    lstm_cell!(struct Last, in=20, hidden=20, out=3);
    two_layers_with_outputs!(model(), &inputs(), First, Last, 3);
}

#[test]
fn outputs_of_two_layers_so_small_that_they_take_turns_are_too() {
    lstm_cell!(struct Small, in=2, hidden=9);
    lstm_cell!(struct Last, in=9, hidden=9, out=1);
    let model = LstmModel::random(LstmConfig::new(2, 9).num_layers(2), &mut Random::new(1), 1.0);
    let seq = Random::new(2).normals(STEPS * 2).as_chunks().0.to_vec();
    two_layers_with_outputs!(model, &seq, Small, Last, 1);
}

#[test]
fn a_wrong_number_of_outputs_is_refused_and_no_state_changes() {
    let model = model();
    let [first, second] = model.weights()[..] else { panic!("two layers") };
    let stack = (First::new(&first).unwrap(), Second::new(&second).unwrap());
    let start = (FirstState::new(&[0.5; 20], &[-1.0; 20]), SecondState::new(&[0.25; 20], &[2.0; 20]));
    let (mut state, mut out) = (start, [[9.0; 20]; 3]);
    let error = Error::LengthMismatch { what: ("seq", "out"), left: 2, right: 3 };
    assert_eq!(stack.run(&[[1.0; 10]; 2], &mut state, &mut out), Err(error));
    assert_eq!((state, out), (start, [[9.0; 20]; 3]));
    assert_eq!(error.to_string(), "`seq` has 2 elements and `out` has 3, expected the same number");
}

#[test]
fn layers_that_take_turns_refuse_a_wrong_number_of_outputs_too() {
    lstm_cell!(struct Small, in=2, hidden=9, bias=false);
    lstm_cell!(struct Last, in=9, hidden=9, bias=false);
    let (ih, hh) = ([0.1; 36 * 2], [0.1; 36 * 9]);
    let stack = (
        Small::new(&LstmWeights::torch(&ih, &hh, None)).unwrap(),
        Last::new(&LstmWeights::torch(&hh, &hh, None)).unwrap(),
    );
    let start = (SmallState::new(&[0.5; 9], &[-1.0; 9]), LastState::new(&[0.25; 9], &[2.0; 9]));
    for (inputs, outputs) in [(2, 3), (3, 2), (0, 1)] {
        let (mut state, mut out) = (start, vec![[9.0; 9]; outputs]);
        let error = Error::LengthMismatch { what: ("seq", "out"), left: inputs, right: outputs };
        assert_eq!(stack.run(&vec![[1.0; 2]; inputs], &mut state, &mut out), Err(error));
        assert_eq!((state, out), (start, vec![[9.0; 9]; outputs]));
    }
}

fn run<L: Layer<Input = [f32; 10], Output = [f32; 20]>>(layer: &L, seq: &[[f32; 10]]) -> Vec<[f32; 20]> {
    let mut out = vec![[f32::NAN; 20]; seq.len()];
    layer.run(seq, &mut L::zero_state(), &mut out).unwrap();
    out
}

/// Code for any layer with outputs: two steps of each of `n` streams, the second with outputs.
fn all_of<L>(layer: &L, x: L::Input, n: usize) -> (Vec<L::State>, Vec<L::Out>)
where
    L: LayerOut<Input: Copy, State: PartialEq + Debug, Out: Copy + Default + PartialEq + Debug>,
{
    let (mut states, mut out) = (vec![L::zero_state(); n], vec![L::Out::default(); n]);
    layer.step_batch(&vec![x; n], &mut states).unwrap();
    layer.step_batch_out(&vec![x; n], &mut states, &mut out).unwrap();

    let before = (states.clone(), out.clone());
    for len in [n - 1, n + 1] {
        let error = Error::LengthMismatch { what: ("xs", "states"), left: len, right: n };
        assert_eq!(layer.step_batch(&vec![x; len], &mut states), Err(error));
        assert_eq!(layer.step_batch_out(&vec![x; len], &mut states, &mut out), Err(error));
        let error = Error::LengthMismatch { what: ("xs", "out"), left: n, right: len };
        assert_eq!(layer.step_batch_out(&vec![x; n], &mut states, &mut vec![L::Out::default(); len]), Err(error));
    }
    assert_eq!((&states, &out), (&before.0, &before.1), "a refused call changes nothing");
    (states, out)
}

#[test]
fn streams_go_together_through_any_layer_whatever_holds_it() {
    lstm_cell!(struct Last, in=20, hidden=20, out=3);
    let (model, x) = (model(), inputs()[0]);
    let [first, second] = model.weights()[..] else { panic!("two layers") };
    let head = Random::new(3).uniforms(Last::OUT * Last::HIDDEN, 1.0);
    for isa in isas() {
        let first = First::with_isa(&first, isa).unwrap();
        let weights = second.with_head(&head, None);
        let (last, boxed) = (Last::with_isa(&weights, isa).unwrap(), Last::with_isa_boxed(&weights, isa).unwrap());
        let mut state = <(First, Last)>::zero_state();
        let pair = (&first, last);
        pair.step(&x, &mut state);
        let y = pair.step_out(&x, &mut state);
        for (n, (states, out)) in [(5, all_of(&pair, x, 5)), (2, all_of(&(&first, &boxed), x, 2))] {
            assert_eq!((states, out), (vec![state; n], vec![y; n]), "pairs on {isa}");
        }
        let h: [f32; 20] = *state.0.h();
        let mut state = Last::zero_state();
        pair.1.step(&h, &mut state);
        let y = pair.1.step_out(&h, &mut state);
        let expected = (vec![state; 7], vec![y; 7]);
        assert_eq!(all_of(&pair.1, h, 7), expected, "a cell on {isa}");
        assert_eq!(all_of(&&pair.1, h, 7), expected, "a reference on {isa}");
        assert_eq!(all_of(&boxed, h, 7), expected, "a box on {isa}");
        assert_eq!(all_of(&*boxed, h, 7), expected, "what is in it on {isa}");
    }
}
