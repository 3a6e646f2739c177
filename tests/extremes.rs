//! Inputs and weights at the ends of what f32 holds: saturated gates, subnormals, NaN, infinities, and silence.

use lstm_kernels::lstm::Input;
use lstm_kernels::{Dtype, Lstm, LstmConfig, LstmWeights, lstm_cell};
use support::{AnyCell, Close, GRID, MOST_H, Model, Random, Shape, assert_same_bits, assert_within, isas, steps};

/// Small enough to try every position of x, and every kind of tail.
fn small_shapes() -> impl Iterator<Item = &'static Shape> {
    GRID.iter().filter(|shape| shape.input <= 17 && shape.hidden <= 53)
}

/// Steps through `seq` on every instruction set beside the oracle, and compares h and c after each step.
fn follow_the_oracle(shape: &Shape, model: &Model, seq: &[Vec<f32>], what: &str) {
    let zeros = vec![0.0; shape.hidden];
    for isa in isas() {
        let cell = shape.cell(&model.weights(), isa);
        let mut states = cell.states(1);
        let mut oracle = model.oracle(&zeros, &zeros);
        for (t, x) in seq.iter().enumerate() {
            oracle.step(x);
            let h = cell.step(x, &mut *states, 0);
            assert!(
                h.iter().all(|h| h.is_nan() || h.abs() <= MOST_H),
                "{shape}, {what}, {isa}, step {t}: |h| > 1: {h:?}"
            );
            assert_within(
                h,
                &oracle.h,
                Close::Absolute(1e-6),
                format_args!("{shape}, {what}, {isa}: h after step {t}"),
            );
            let c = states.c(0);
            assert_within(c, &oracle.c, Close::Mixed(1e-6), format_args!("{shape}, {what}, {isa}: c after step {t}"));
        }
    }
}

/// All 16 combinations of signs over the four gates, one after the other over the units.
fn sign(row: usize, hidden: usize) -> f32 {
    let (gate, unit) = (row / hidden, row % hidden);
    if unit >> gate & 1 == 1 { -1.0 } else { 1.0 }
}

/// A weight about as large as the cell can store.
fn largest(shape: &Shape) -> f32 {
    if shape.dtype == Dtype::F16 { 6e4 } else { 1e38 }
}

#[test]
fn gates_saturated_by_their_weights_are_exactly_open_or_shut() {
    for shape in small_shapes() {
        for size in [1e4, largest(shape)] {
            let mut model = Model::zero(shape);
            for row in 0..4 * shape.hidden {
                model.weight_ih[row * shape.input] = sign(row, shape.hidden) * size;
            }
            let model = model.rounded(shape);
            let seq: Vec<Vec<f32>> = [1.0, -1.0, 1.0, 0.0, 0.5, -0.5, 1e-4, 1.0]
                .map(|x| {
                    let mut xs = vec![0.0; shape.input];
                    xs[0] = x;
                    xs
                })
                .into();
            follow_the_oracle(shape, &model, &seq, &format!("weights of {size:e}"));
        }
    }
}

#[test]
fn gates_saturated_by_their_bias_are_exactly_open_or_shut() {
    for shape in small_shapes().filter(|shape| shape.bias) {
        for size in [1e4, 1e38] {
            let mut random = Random::new(7);
            let mut model = Model::random(shape, &mut random, 1.0);
            let bias = (0..4 * shape.hidden).map(|row| sign(row, shape.hidden) * size).collect();
            model.bias = Some((bias, vec![0.0; 4 * shape.hidden]));
            let seq: Vec<_> = (0..12).map(|_| random.normals(shape.input)).collect();
            follow_the_oracle(shape, &model, &seq, &format!("bias of {size:e}"));
        }
    }
}

#[test]
fn an_open_forget_gate_and_a_shut_input_gate_keep_the_cell_for_ever() {
    for shape in GRID.iter().filter(|shape| shape.bias && shape.hidden <= 70) {
        let hidden = shape.hidden;
        let mut model = Model::zero(shape);
        let bias = (0..4 * hidden).map(|row| if row < hidden { -1e38 } else { 1e38 }).collect();
        model.bias = Some((bias, vec![0.0; 4 * hidden]));
        let c: Vec<f32> = (0..hidden).map(|unit| unit as f32 / 8.0 - 1.0).collect();
        for isa in isas() {
            let cell = shape.cell(&model.weights(), isa);
            let mut states = cell.states(1);
            states.set(0, &vec![0.0; hidden], &c);
            for _ in 0..10 {
                cell.step(&vec![1.0; shape.input], &mut *states, 0);
            }
            assert_within(states.c(0), &c, Close::Mixed(1e-6), format_args!("{shape} on {isa}"));
        }
    }
}

#[test]
fn a_cell_of_two_trillion_does_not_overflow_whatever_the_gates() {
    // What lib.rs promises: c is multiplied by three denominators before it is divided.
    for shape in small_shapes().filter(|shape| shape.bias) {
        let hidden = shape.hidden;
        for size in [0.0, 1.0, 1e38] {
            let mut model = Model::random(shape, &mut Random::new(59), 0.1);
            let bias = (0..4 * hidden).map(|row| sign(row, hidden) * size).collect();
            model.bias = Some((bias, vec![0.0; 4 * hidden]));
            let (h, x) = (vec![0.0; hidden], vec![0.5; shape.input]);
            let c: Vec<f32> = (0..hidden).map(|unit| if unit % 3 == 1 { -2e12 } else { 2e12 }).collect();
            let mut oracle = model.oracle(&h, &c);
            oracle.step(&x);
            for isa in isas() {
                let cell = shape.cell(&model.weights(), isa);
                let mut states = cell.states(1);
                states.set(0, &h, &c);
                let found = cell.step(&x, &mut *states, 0).to_vec();
                let what = format!("{shape} on {isa}, bias of {size:e}");
                assert!(found.iter().chain(states.c(0)).all(|value| value.is_finite()), "{what}");
                // (A gate that is shut lets 8e-10 of such a cell through.)
                if size <= 1.0 {
                    assert_within(&found, &oracle.h, Close::Absolute(1e-6), format_args!("{what}: h"));
                    assert_within(states.c(0), &oracle.c, Close::Mixed(2e-6), format_args!("{what}: c"));
                }
            }
        }
    }
}

#[test]
fn zero_and_subnormal_and_huge_inputs_are_numbers_like_any_other() {
    let values = [0.0, -0.0, f32::from_bits(1), -f32::from_bits(1), f32::MIN_POSITIVE / 2.0, f32::MIN_POSITIVE, 1e30];
    for shape in small_shapes() {
        let mut random = Random::new(11);
        let model = Model::random(shape, &mut random, 1.0);
        for value in values {
            let seq = vec![random.normals(shape.input), vec![value; shape.input], random.normals(shape.input)];
            follow_the_oracle(shape, &model, &seq, &format!("x = {value:e}"));
        }
    }
}

#[test]
fn nan_at_any_position_of_x_reaches_every_unit_of_h() {
    for shape in GRID {
        let mut random = Random::new(13);
        let model = Model::random(shape, &mut random, 1.0);
        let positions = if shape.hidden <= 70 { shape.input } else { shape.input.min(2) };
        for isa in isas() {
            let cell = shape.cell(&model.weights(), isa);
            for position in 0..positions {
                let mut states = cell.states(1);
                let mut x = random.normals(shape.input);
                assert!(cell.step(&x, &mut *states, 0).iter().all(|h| h.is_finite()));
                x[position] = f32::NAN;
                let h = cell.step(&x, &mut *states, 0).to_vec();
                assert!(h.iter().all(|h| h.is_nan()), "{shape} on {isa}, x[{position}] = NaN gave h = {h:?}");
                assert!(states.c(0).iter().all(|c| c.is_nan()), "{shape} on {isa}: c = {:?}", states.c(0));
            }
        }
    }
}

#[test]
fn infinity_at_any_position_of_x_does_what_it_does_in_the_oracle() {
    for shape in small_shapes() {
        let mut random = Random::new(17);
        let mut model = Model::random(shape, &mut random, 1.0);
        // Some weights are zero, and zero times infinity is NaN: in the first units, and in the last one, which
        // lies beside the padding.
        for (k, weight) in model.weight_ih.iter_mut().enumerate() {
            if k / shape.input % shape.hidden == shape.hidden - 1 && k % shape.input % 3 == 2 {
                *weight = 0.0;
            }
        }
        // NaN spreads through the recurrence. With every second one of its columns left out there is more to see.
        for (k, weight) in model.weight_hh.iter_mut().enumerate() {
            if k % shape.hidden % 2 == 1 {
                *weight = 0.0;
            }
        }
        for infinity in [f32::INFINITY, f32::NEG_INFINITY] {
            for position in 0..shape.input {
                let mut seq: Vec<_> = (0..4).map(|_| random.normals(shape.input)).collect();
                seq[1][position] = infinity;
                follow_the_oracle(shape, &model, &seq, &format!("x[{position}] = {infinity}"));
            }
            let seq = [vec![infinity; shape.input], vec![0.0; shape.input]];
            follow_the_oracle(shape, &model, &seq, &format!("every x = {infinity}"));
        }
    }
}

#[test]
fn a_stream_of_nan_leaves_the_other_streams_of_its_batch_alone() {
    const STREAMS: usize = 19;
    for shape in small_shapes() {
        let mut random = Random::new(19);
        let model = Model::random(shape, &mut random, 1.0);
        for isa in isas() {
            let cell = shape.cell(&model.weights(), isa);
            for poisoned in [vec![0], vec![7], vec![8, 9], vec![18], vec![0, 3, 16]] {
                let (mut clean, mut dirty) = (cell.states(STREAMS), cell.states(STREAMS));
                for _ in 0..3 {
                    let mut xs = random.normals(STREAMS * shape.input);
                    cell.step_batch(&xs, &mut *clean).expect("equal lengths");
                    for &stream in &poisoned {
                        xs[stream * shape.input..][..shape.input].fill(f32::NAN);
                    }
                    cell.step_batch(&xs, &mut *dirty).expect("equal lengths");
                }
                for stream in 0..STREAMS {
                    let what = format!("{shape} on {isa}, stream {stream} beside NaN in {poisoned:?}");
                    if poisoned.contains(&stream) {
                        assert!(dirty.h(stream).iter().all(|h| h.is_nan()), "{what}: NaN is lost");
                    } else {
                        assert_same_bits(dirty.h(stream), clean.h(stream), format_args!("{what}: h"));
                        assert_same_bits(dirty.c(stream), clean.c(stream), format_args!("{what}: c"));
                    }
                }
            }
        }
    }
}

#[test]
fn what_a_step_leaves_in_the_padding_lanes_never_comes_back() {
    for shape in GRID.iter().filter(|shape| !shape.hidden.is_multiple_of(4)) {
        let mut random = Random::new(23);
        let model = Model::random(shape, &mut random, 1.0);
        let (h, c) = (random.uniforms(shape.hidden, 1.0), random.normals(shape.hidden));
        let seq = random.normals(4 * shape.input);
        for isa in isas() {
            let cell = shape.cell(&model.weights(), isa);
            let (mut fresh, mut used) = (cell.states(3), cell.states(3));
            // Weight zero times infinity leaves NaN in the padding, before the real lanes are set anew.
            for value in [f32::INFINITY, f32::NAN, f32::NEG_INFINITY] {
                let xs = vec![value; 3 * shape.input];
                cell.step_batch(&xs, &mut *used).expect("equal lengths");
            }
            for stream in 0..3 {
                used.set(stream, &h, &c);
                fresh.set(stream, &h, &c);
            }
            for x in seq.chunks_exact(shape.input) {
                for states in [&mut fresh, &mut used] {
                    cell.step(x, &mut **states, 0);
                    cell.step_batch(&x.repeat(3), &mut **states).expect("equal lengths");
                    cell.run(x, &mut **states, 2, &mut vec![0.0; shape.hidden]).expect("equal lengths");
                }
            }
            for stream in 0..3 {
                let what = format!("{shape} on {isa}, stream {stream}");
                assert_same_bits(used.h(stream), fresh.h(stream), format_args!("{what}: h"));
                assert_same_bits(used.c(stream), fresh.c(stream), format_args!("{what}: c"));
            }
        }
    }
}

#[test]
fn a_state_fades_to_exactly_zero_and_is_never_subnormal() {
    for shape in GRID.iter().filter(|shape| shape.hidden <= 20 && shape.input <= 17) {
        let mut random = Random::new(29);
        let mut model = Model::random(shape, &mut random, 1.0);
        if let Some((bias_ih, bias_hh)) = &mut model.bias {
            bias_ih.fill(0.0);
            bias_hh.fill(0.0);
        }
        fade(shape, &model, &mut random, "no bias");
        // Slowly: a forget gate of sigmoid(4) = 0.982, and little recurrence that would keep the state alive.
        if let Some((bias_ih, _)) = &mut model.bias {
            bias_ih[shape.hidden..2 * shape.hidden].fill(4.0);
            model.weight_hh.iter_mut().for_each(|weight| *weight *= 0.01);
            fade(shape, &model, &mut random, "a forget gate of 0.982");
        }
    }
}

/// A loud burst, then 20,000 steps of silence.
fn fade(shape: &Shape, model: &Model, random: &mut Random, what: &str) {
    for isa in isas() {
        let cell = shape.cell(&model.weights(), isa);
        let mut states = cell.states(1);
        for _ in 0..50 {
            let x: Vec<f32> = random.normals(shape.input).iter().map(|x| 10.0 * x).collect();
            cell.step(&x, &mut *states, 0);
        }
        assert!(states.c(0).iter().all(|&c| c != 0.0), "{shape} on {isa}, {what}: the burst left no trace");
        let silence = vec![0.0; shape.input];
        for t in 0..20_000 {
            cell.step(&silence, &mut *states, 0);
            let (h, c) = (states.h(0), states.c(0));
            let subnormal = h.iter().chain(c).any(|value| value.is_subnormal());
            assert!(!subnormal, "{shape} on {isa}, {what}: subnormal after {t} steps of silence: h = {h:?}, c = {c:?}");
        }
        let zeros = vec![0.0; shape.hidden];
        assert_eq!(states.h(0), zeros, "{shape} on {isa}, {what}: h does not end at zero");
        assert_eq!(states.c(0), zeros, "{shape} on {isa}, {what}: c does not end at zero");
    }
}

#[test]
fn h_never_exceeds_one_by_more_than_rounding_however_large_the_weights() {
    for shape in GRID.iter().filter(|shape| shape.hidden <= 70) {
        for (seed, scale) in [(31, 10.0), (37, 1e3), (41, f64::from(largest(shape)).min(1e30))] {
            let mut random = Random::new(seed);
            let model = Model::random(shape, &mut random, scale);
            let seq = random.normals(steps(24) * shape.input);
            let mut scalar = Vec::new();
            for isa in isas() {
                let cell = shape.cell(&model.weights(), isa);
                let mut h = vec![f32::NAN; steps(24) * shape.hidden];
                cell.run(&seq, &mut *cell.states(1), 0, &mut h).expect("equal lengths");
                assert!(h.iter().all(|h| h.abs() <= MOST_H), "{shape} on {isa}, weights times {scale:e}: {h:?}");
                if scalar.is_empty() {
                    scalar = h;
                } else {
                    assert_same_bits(&h, &scalar, format_args!("{shape} on {isa}, weights times {scale:e}"));
                }
            }
        }
    }
}

#[test]
fn a_state_gives_back_what_was_set_and_a_clone_goes_its_own_way() {
    for shape in GRID {
        let mut random = Random::new(43);
        let cell = shape.cell(&Model::random(shape, &mut random, 1.0).weights(), lstm_kernels::Isa::Scalar);
        let mut states = cell.states(2);
        assert!(
            states.h(1).iter().chain(states.c(1)).all(|value| value.to_bits() == 0),
            "{shape}: zero_state is not 0"
        );

        let special = [f32::NAN, -0.0, f32::from_bits(1), f32::INFINITY, f32::MIN];
        let values = |shift: usize| (0..shape.hidden).map(|unit| special[(unit + shift) % special.len()]).collect();
        let (h, c): (Vec<f32>, Vec<f32>) = (values(0), values(2));
        states.set(0, &h, &c);
        assert_same_bits(states.h(0), &h, format_args!("{shape}: h"));
        assert_same_bits(states.c(0), &c, format_args!("{shape}: c"));
        assert!(states.h(1).iter().chain(states.c(1)).all(|&value| value == 0.0), "{shape}: set the wrong stream");

        states.set(0, &random.uniforms(shape.hidden, 1.0), &random.normals(shape.hidden));
        let mut clone = states.cloned();
        let x = random.normals(shape.input);
        let before = states.c(0).to_vec();
        cell.step(&x, &mut *clone, 0);
        assert_same_bits(states.c(0), &before, format_args!("{shape}: a step of the clone changed the original"));
        cell.step(&x, &mut *states, 0);
        assert_same_bits(states.h(0), clone.h(0), format_args!("{shape}: the clone's h"));
        assert_same_bits(states.c(0), clone.c(0), format_args!("{shape}: the clone's c"));
    }
}

#[test]
fn an_empty_batch_and_an_empty_sequence_do_nothing() {
    for shape in GRID {
        let model = Model::random(shape, &mut Random::new(47), 1.0);
        for isa in isas() {
            let cell: Box<dyn AnyCell> = shape.cell(&model.weights(), isa);
            assert_eq!(cell.step_batch(&[], &mut *cell.states(0)), Ok(()));
            let mut states = cell.states(1);
            states.set(0, &vec![0.5; shape.hidden], &vec![-0.5; shape.hidden]);
            assert_eq!(cell.run(&[], &mut *states, 0, &mut []), Ok(()));
            assert_eq!((states.h(0), states.c(0)), (&*vec![0.5; shape.hidden], &*vec![-0.5; shape.hidden]));
        }
    }
}

#[test]
fn cells_fade_to_zero_below_two_to_the_minus_sixty_and_not_above() {
    const H: usize = 5;
    lstm_cell!(struct Cell, in=1, hidden=5);
    // i shut, f and o open, g nothing.
    let bias: Vec<f32> = (0..4 * H).map(|row| [-1e38, 1e38, 0.0, 1e38][row / H]).collect();
    let (ih, hh, zero) = ([0.0; 4 * H], [0.0; 4 * H * H], [0.0; 4 * H]);
    let weights = LstmWeights::torch(&ih, &hh, Some((&bias, &zero)));
    let c = [2f32.powi(-59), -2f32.powi(-59), 2f32.powi(-61), -2f32.powi(-61), 2f32.powi(-126)];
    for isa in isas() {
        let mut state = CellState::new(&[0.0; H], &c);
        Cell::with_isa(&weights, isa).unwrap().step(&[1.0], &mut state);
        let lstm = Lstm::with_isa(LstmConfig::new(1, H), &[weights], isa).unwrap();
        let found = lstm.forward(Input::new(&[1.0], &[1, 1]), Some((&[0.0; H], &c))).unwrap();
        for (h, c_n) in [(&state.h()[..], &state.c()[..]), (&found.h_n.data, &found.c_n.data)] {
            for tensor in [h, c_n] {
                assert!(
                    tensor[..2].iter().zip(&c).all(|(found, c)| (found / c - 1.0).abs() < 1e-5),
                    "{isa}: {tensor:?}"
                );
                assert_eq!(tensor[2..], [0.0; 3], "{isa}");
            }
        }
    }
}

#[test]
fn a_cell_of_two_to_the_minus_sixty_is_kept_and_a_smaller_one_is_not() {
    // All of 16, of 8 and of 4 units that lie together.
    const H: usize = 28;
    lstm_cell!(struct Cell, in=1, hidden=28, bias=false);
    let (ih, hh) = ([0.0; 4 * H], [0.0; 4 * H * H]);
    let weights = LstmWeights::torch(&ih, &hh, None);
    // Weights of zero halve c, exactly if it is a power of two.
    let limit = 2f32.powi(-60);
    let c: [f32; H] = std::array::from_fn(|unit| match unit % 4 {
        0 => 2.0 * limit,
        1 => 1.9999 * limit,
        2 => -2.0 * limit,
        _ => -1.9999 * limit,
    });
    for isa in isas() {
        let mut state = CellState::new(&[0.0; H], &c);
        Cell::with_isa(&weights, isa).unwrap().step(&[0.0], &mut state);
        for (unit, (h, found)) in state.h().iter().zip(state.c()).enumerate() {
            let expected = [limit, 0.0, -limit, 0.0][unit % 4];
            assert_eq!(*found, expected, "unit {unit} on {isa}");
            assert_eq!(*h != 0.0, expected != 0.0, "unit {unit} on {isa}: h is {h:e}");
        }
    }
}
