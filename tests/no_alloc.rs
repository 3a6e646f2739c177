//! Nothing is allocated while a cell runs. One call of malloc in a thousand that takes a lock or a page is what a
//! listener hears as a click.

use std::hint::black_box;

use lstm_kernels::lstm::{Input, Workspace};
use lstm_kernels::{Dtype, ISA_VARIABLE, Isa, Layer, LstmCellDyn, LstmConfig, LstmWeights, lstm_cell};
use support::{Allocator, GRID, LstmCase, LstmModel, Model, Random, calls, isas};

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

lstm_cell!(in=10, hidden=20);

#[test]
fn the_counter_counts() {
    assert_eq!(calls(|| drop(black_box(Box::new(1)))), 2);
    assert!(calls(|| black_box(vec![0; 1000]).push(1)) >= 3);
    assert_eq!(calls(|| 1), 0);
}

#[test]
fn step_and_step_batch_and_run_allocate_nothing_for_any_shape_on_any_instruction_set() {
    for shape in GRID {
        let mut random = Random::new(1);
        let model = Model::random(shape, &mut random, 1.0);
        let (seq, mut out) = (random.normals(3 * shape.input), vec![0.0; 3 * shape.hidden]);
        for isa in isas() {
            let cell = shape.cell(&model.weights(), isa);
            let mut states = cell.states(3);
            let x = &seq[..shape.input];
            assert_eq!(calls(|| cell.step(x, &mut *states, 0).len()), 0, "{shape} on {isa}: step");
            assert_eq!(calls(|| cell.step_batch(&seq, &mut *states)), 0, "{shape} on {isa}: step_batch");
            assert_eq!(calls(|| cell.run(&seq, &mut *states, 1, &mut out)), 0, "{shape} on {isa}: run");
            // A refused call does not build its error on the heap either.
            assert_eq!(
                calls(|| cell.step_batch(x, &mut *states).is_err()),
                0,
                "{shape} on {isa}: a refused step_batch"
            );
        }
    }
}

#[test]
fn a_baked_cell_and_a_head_allocate_nothing() {
    lstm_cell!(struct Baked, in=1, hidden=16, out=1,
        weights="data/bake/models.safetensors", prefix="amp.rec", head="amp.lin");
    static CELL: Baked = Baked::baked();
    let (mut states, seq, mut out) = ([Baked::zero_state(); 3], [[0.5]; 3], [[0.0]; 3]);
    assert_eq!(calls(|| CELL.step_out(&seq[0], &mut states[0])), 0, "step_out");
    assert_eq!(calls(|| CELL.run_out(&seq, &mut states[0], &mut out)), 0, "run_out");
    assert_eq!(calls(|| CELL.step_batch_out(&seq, &mut states, &mut out)), 0, "step_batch_out");
    assert_eq!(calls(|| CELL.run_out(&seq[..1], &mut states[0], &mut out).is_err()), 0, "a refused run_out");
    assert_eq!(calls(|| CELL.isa()), 0, "isa");
    assert!(out.as_flattened().iter().all(|y| y.is_finite() && *y != 0.0));
}

#[test]
fn making_a_cell_and_its_states_allocates_nothing() {
    let (ih, hh, b) = ([0.1; 800], [0.1; 1600], [0.1; 80]);
    let weights = LstmWeights::torch(&ih, &hh, Some((&b, &b)));
    for isa in isas() {
        assert_eq!(calls(|| LSTMCell::with_isa(&weights, isa).expect("good weights")), 0, "{isa}");
    }
    if std::env::var_os(ISA_VARIABLE).is_none() {
        assert_eq!(calls(|| LSTMCell::new(&weights).expect("good weights")), 0, "new");
        assert_eq!(calls(Isa::detect), 0, "detect");
    } else {
        // The variable's text is the one thing that needs the heap.
        assert!(calls(|| LSTMCell::new(&weights).expect("good weights")) <= 2, "new with {ISA_VARIABLE}");
    }
    assert_eq!(calls(|| Isa::available().count()), 0, "available");
}

#[test]
fn forward_into_allocates_nothing_in_a_prepared_workspace() {
    let plain = LstmConfig::new(3, 9);
    for config in [
        plain,
        plain.num_layers(2).bidirectional(true).proj_size(4),
        LstmConfig::new(16, 33).batch_first(true),
        LstmConfig::new(64, 64),
        LstmConfig::new(16, 64).dtype(Dtype::Bf16),
    ] {
        for lengths in [false, true] {
            let case = LstmCase::random(config, [40, 5], lengths, true, 1);
            for isa in isas() {
                let lstm = case.model.lstm(isa);
                let (mut h, mut c) = case.initial.clone().expect("given states");
                let mut output = vec![0.0; 40 * 5 * config.output_size()];
                let mut workspace = lstm.workspace(40, 5);
                for call in 0..2 {
                    let made = calls(|| lstm.forward_into(case.input(), (&mut h, &mut c), &mut output, &mut workspace));
                    assert_eq!(made, 0, "{config:?} on {isa}, call {call}");
                }
                // Smaller inputs need no more, a refused call does not build its error on the heap.
                let single = case.single(0);
                let (mut h, mut c) = single.initial.clone().expect("given states");
                let output = &mut output[..single.steps * config.output_size()];
                let made = calls(|| lstm.forward_into(single.input(), (&mut h, &mut c), output, &mut workspace));
                assert_eq!(made, 0, "{config:?} on {isa}, one sequence");
                let mut refused = || lstm.forward_into(single.input(), (&mut [], &mut []), &mut [], &mut workspace);
                assert_eq!(calls(|| refused().expect_err("no states")), 0, "{config:?} on {isa}, refused");
            }
        }
    }
}

#[test]
fn a_workspace_serves_every_smaller_batch() {
    // Of 600 streams one time step fills a block, of 512 two do, of 100 ten.
    let config = LstmConfig::new(3, 9).num_layers(2).proj_size(4);
    let case = LstmCase::random(config, [12, 600], false, false, 1);
    let lstm = case.model.lstm(Isa::detect().expect("a good variable"));
    let mut workspace = lstm.workspace(12, 600);
    for batch in [600, 512, 100, 7, 1] {
        let (mut h, mut c) = (vec![0.0; 2 * batch * 4], vec![0.0; 2 * batch * 9]);
        let mut output = vec![0.0; 12 * batch * 4];
        let (x, shape) = (&case.x[..12 * batch * 3], [12, batch, 3]);
        let mut forward = || lstm.forward_into(Input::new(x, &shape), (&mut h, &mut c), &mut output, &mut workspace);
        assert_eq!(calls(|| forward().expect("right shapes")), 0, "batch {batch}");
    }
}

#[test]
fn advance_allocates_nothing_unless_a_piece_is_longer_than_all_before() {
    let config = LstmConfig::new(16, 9).num_layers(2);
    let case = LstmCase::random(config, [7, 5], false, false, 1);
    let (x_row, out_row) = (5 * 16, 5 * 9);
    for isa in isas() {
        let lstm = case.model.lstm(isa);
        let mut stream = lstm.stream(5, None).expect("a batch");
        let mut output = vec![0.0; 7 * out_row];
        let mut advance = |steps: usize| {
            let (x, output) = (&case.x[..steps * x_row], &mut output[..steps * out_row]);
            calls(|| lstm.advance(&mut stream, Input::new(x, &[steps, 5, 16]), output).expect("right shapes"))
        };
        assert_eq!([advance(1), advance(1)], [0, 0], "one step at a time on {isa}");
        assert!(advance(7) > 0, "a longer piece must make room");
        assert_eq!([7, 1, 3, 7].map(advance), [0; 4], "in pieces on {isa}");
    }
}

#[test]
fn a_stream_with_room_allocates_nothing_from_its_first_piece_on() {
    for (hidden, batch) in [(9, 5), (9, 1), (64, 1)] {
        let case = LstmCase::random(LstmConfig::new(16, hidden).num_layers(2), [7, batch], false, true, 1);
        let (mut output, mut h, mut c) = (vec![0.0; 7 * batch * hidden], vec![0.0; 2 * batch * hidden], vec![]);
        c.resize(h.len(), 0.0);
        for isa in isas() {
            let lstm = case.model.lstm(isa);
            let mut stream = lstm.stream(batch, None).expect("a batch");
            lstm.stream_reserve(&mut stream, 7).expect("its own stream");
            let threads = lstm.clone().threads(4);
            let mut advance = |steps: usize| {
                let (x, output) = (&case.x[..steps * batch * 16], &mut output[..steps * batch * hidden]);
                lstm.advance(&mut stream, Input::new(x, &[steps, batch, 16]), output).expect("right shapes");
                lstm.stream_states_into(&stream, (&mut h, &mut c)).expect("right lengths");
                let initial = (steps == 3).then(|| case.initial().expect("states"));
                lstm.stream_reset(&mut stream, initial).expect("its own states");
                threads.stream_reset(&mut stream, initial).expect("the same options");
            };
            assert_eq!([7, 1, 3, 7].map(|steps| calls(|| advance(steps))), [0; 4], "({hidden}, {batch}) on {isa}");
        }
    }
}

#[test]
fn a_dynamic_cell_allocates_nothing_once_the_workspace_has_seen_its_batch() {
    let model = LstmModel::random(LstmConfig::new(13, 20), &mut Random::new(1), 1.0);
    let (x, mut h, mut c) = ([0.5; 6 * 13], [0.0; 6 * 20], [0.0; 6 * 20]);
    for isa in isas() {
        let cell = LstmCellDyn::with_isa(13, 20, &model.weights()[0], isa).expect("good weights");
        let mut workspace = Workspace::new();
        let mut step = |batch: usize| {
            let (x, h, c) = (&x[..batch * 13], &mut h[..batch * 20], &mut c[..batch * 20]);
            calls(|| cell.step(x, h, c, &mut workspace).expect("right shapes"))
        };
        assert!(step(6) > 0, "an empty workspace must make room");
        assert_eq!([6, 1, 5, 6].map(step), [0; 4], "{isa}");
    }
}

#[test]
fn a_dynamic_cell_allocates_nothing_in_a_workspace_of_its_own() {
    for hidden in [20, 21, 64, 70] {
        let model = LstmModel::random(LstmConfig::new(13, hidden), &mut Random::new(1), 1.0);
        let (x, mut h, mut c) = ([0.5; 6 * 13], vec![0.0; 6 * hidden], vec![0.0; 6 * hidden]);
        for isa in isas() {
            let cell = LstmCellDyn::with_isa(13, hidden, &model.weights()[0], isa).expect("good weights");
            assert_eq!((cell.input_size(), cell.hidden_size()), (13, hidden));
            let mut workspace = cell.workspace(6);
            let mut step = |batch: usize| {
                let (x, h, c) = (&x[..batch * 13], &mut h[..batch * hidden], &mut c[..batch * hidden]);
                calls(|| cell.step(x, h, c, &mut workspace).expect("right shapes"))
            };
            assert_eq!([6, 1, 5, 2, 6].map(&mut step), [0; 5], "{hidden} units on {isa}");
        }
    }
}

#[test]
fn stacked_cells_allocate_nothing() {
    lstm_cell!(struct Second, in=20, hidden=20);
    let model = LstmModel::random(LstmConfig::new(10, 20).num_layers(2), &mut Random::new(1), 1.0);
    let weights = model.weights();
    for isa in isas() {
        let first = LSTMCell::with_isa(&weights[0], isa).expect("good weights");
        let stack = (first, Second::with_isa(&weights[1], isa).expect("good weights"));
        let (mut state, mut out) = (<(LSTMCell, Second)>::zero_state(), [[0.0; 20]; 21]);
        assert_eq!(calls(|| stack.step(&[0.5; 10], &mut state)[0]), 0, "step on {isa}");
        assert_eq!(
            calls(|| stack.run(&[[0.5; 10]; 21], &mut state, &mut out).expect("equal lengths")),
            0,
            "run on {isa}"
        );
    }
}

#[test]
fn states_live_where_they_are_put_and_never_on_the_heap() {
    let (h, c) = ([0.5; 20], [-0.5; 20]);
    assert_eq!(calls(LSTMCell::zero_state), 0);
    let mut state = LSTMCellState::new(&h, &c);
    assert_eq!(calls(|| LSTMCellState::new(&h, &c)), 0);
    assert_eq!(calls(|| state.set_h(&c)), 0);
    assert_eq!(calls(|| state.set_c(&h)), 0);
    assert_eq!(calls(|| (state.h()[0], state.c()[0])), 0);
    assert_eq!(calls(|| LSTMCellState::clone(&state) == state), 0);
    assert_eq!((state.h(), state.c()), (&c, &h));
}
