//! The sequence driver for random options, on every instruction set: close to the f64 oracle, and the same bits
//! however the work is cut up. First sizes on both sides of where the kernels change their way, then random picks.

use lstm_kernels::lstm::{Input, Workspace};
use lstm_kernels::{Dtype, Isa, Lstm, LstmCellDyn, LstmConfig};
use proptest::prelude::*;
use support::{
    Close, GRID, LstmCase, LstmResult, Model, Random, assert_same, assert_same_bits, assert_within, isas, random_cases,
    steps,
};

/// The promise: this close to the oracle.
const PROMISE: Close = Close::Absolute(1e-6);

/// Below, at and above four streams, which are a tile, and 32.
const BATCHES: [usize; 10] = [1, 2, 3, 4, 5, 6, 7, 8, 17, 33];

/// Inputs on both sides of 4 (more chains), 15 (chunks that overlap) and 64 (one block of columns); units on both sides
/// of multiples of 16, of 48 (more than one group of lines), and of 60 and 76 (one more).
const SIZES: [(usize, usize); 24] = [
    (3, 15),
    (4, 16),
    (13, 17),
    (15, 60),
    (16, 61),
    (4, 76),
    (15, 77),
    (16, 80),
    (17, 64),
    (63, 31),
    (64, 32),
    (65, 33),
    (1, 47),
    (2, 48),
    (3, 49),
    (5, 63),
    (12, 64),
    (65, 65),
    (11, 79),
    (13, 80),
    (64, 81),
    (1, 1),
    (2, 4),
    (128, 128),
];

const DTYPES: [Dtype; 3] = [Dtype::F32, Dtype::F16, Dtype::Bf16];

/// Options, time steps, batch, whether there are lengths and states, seed.
fn any_case() -> impl Strategy<Value = LstmCase> {
    // Some of several groups of lines.
    let hidden = prop_oneof![3 => 1..=40usize, 1 => 49..=100usize];
    let sizes = (1..=20usize, hidden, prop_oneof![Just(0), 1..=39usize]);
    let options = (1..=3usize, any::<bool>(), any::<bool>(), any::<bool>(), proptest::sample::select(&DTYPES[..]));
    let calls = (1..=9usize, 1..=9usize, any::<bool>(), any::<bool>(), any::<u64>());
    (sizes, options, calls).prop_map(|((input, hidden, proj), (layers, two, bias, batch_first, dtype), call)| {
        let config = LstmConfig::new(input, hidden)
            .proj_size(proj % hidden)
            .num_layers(layers)
            .bidirectional(two)
            .bias(bias)
            .batch_first(batch_first)
            .dtype(dtype);
        let (steps, batch, lengths, states, seed) = call;
        LstmCase::random(config, [steps, batch], lengths, states, seed)
    })
}

/// Close to the oracle on the portable kernels; the same bits on every instruction set, and as single sequences.
fn check(case: &LstmCase) {
    let what = format!("{:?}, steps {}, batch {}", case.model.config, case.steps, case.batch);
    let expected = case.forward(Isa::Scalar);
    let oracle = case.model.oracle().forward(case.input(), case.initial()).unwrap();
    for (found, expected) in expected.iter().zip([oracle.output, oracle.h_n, oracle.c_n]) {
        assert_within(found, &expected, PROMISE, &what);
    }
    for isa in isas() {
        assert_same(&case.forward(isa), &expected, &format!("{what} on {isa}"));
        let singles: Vec<_> = (0..case.batch).map(|stream| case.single(stream).forward(isa)).collect();
        assert_same(&case.gather(&singles), &expected, &format!("{what} on {isa}, sequence by sequence"));
    }
}

#[test]
fn sizes_on_both_sides_of_every_boundary_agree_with_the_oracle() {
    for (n, &(input, hidden)) in SIZES.iter().enumerate() {
        for (m, dtype) in DTYPES.into_iter().enumerate() {
            let config = LstmConfig::new(input, hidden).bias(n % 3 > 0).dtype(dtype);
            check(&LstmCase::random(config, [5, BATCHES[(n + m) % 4]], false, n % 2 == 0, n as u64));
        }
    }
}

/// Small layers of 5 to 12 lines that are larger than the nearest caches, some that are just not, and some of every
/// number of lines with more inputs than one block.
#[test]
fn small_layers_that_do_x_ahead_agree_with_the_oracle() {
    let large = [(64, 20), (63, 23), (64, 27), (64, 32), (36, 36), (33, 39), (30, 44), (48, 48), (9, 45), (7, 48)];
    let wide = [(65, 2), (70, 4), (80, 8), (129, 11), (66, 16), (67, 18), (96, 24), (75, 26), (80, 32), (130, 47)];
    let sizes = [large, wide].concat();
    for (n, (input, hidden)) in sizes.into_iter().enumerate() {
        for (m, dtype) in DTYPES.into_iter().enumerate() {
            let config = LstmConfig::new(input, hidden).bidirectional(n % 2 == 0).dtype(dtype);
            // More steps than x's part is ahead.
            check(&LstmCase::random(config, [steps(67), 1 + (n + m) % 3], n % 3 == 0, true, n as u64));
        }
    }
}

#[test]
fn a_unit_with_thousands_of_inputs_stays_within_its_promise_for_512_steps() {
    for seed in 0..4 {
        let case = LstmCase::random(LstmConfig::new(4000, 1), [steps(512), 1], false, false, seed);
        let oracle = case.model.oracle().forward(case.input(), case.initial()).unwrap();
        for isa in isas() {
            for (found, expected) in case.forward(isa).iter().zip([&oracle.output, &oracle.h_n, &oracle.c_n]) {
                assert_within(found, expected, Close::Absolute(8e-6), format_args!("seed {seed} on {isa}"));
            }
        }
    }
}

#[test]
fn batches_on_both_sides_of_every_boundary_agree_with_the_oracle() {
    for (n, &batch) in BATCHES.iter().enumerate() {
        for config in [LstmConfig::new(5, 9), LstmConfig::new(13, 20).num_layers(2).bidirectional(true).proj_size(5)] {
            check(&LstmCase::random(config, [3, batch], n % 2 == 0, true, n as u64));
        }
    }
}

#[test]
fn small_layers_of_every_number_of_lines_agree_alone_side_by_side_and_in_turn() {
    for (input, units) in (2..=26).step_by(4).flat_map(|units| [(3 + units % 3, units), (1, units - 1)]) {
        for (batch, lengths) in [(3, false), (4, false), (7, true), (9, true), (66, true)] {
            let config = LstmConfig::new(input, units).bidirectional(true);
            check(&LstmCase::random(config, [6, batch], lengths, true, units as u64));
            check(&LstmCase::random(config, [1, batch], false, true, units as u64));
        }
    }
}

#[test]
fn a_long_sequence_crosses_blocks_and_chunks_and_stays_within_a_millionth() {
    // 2,600 rows are more than one block of time steps, and their x parts more than one chunk.
    for (config, batch) in [(LstmConfig::new(16, 20).num_layers(2), 5), (LstmConfig::new(3, 8).bidirectional(true), 5)]
    {
        let case = LstmCase::random(config, [support::steps(520), batch], true, true, 7);
        let expected = case.forward(Isa::Scalar);
        let oracle = case.model.oracle().forward(case.input(), case.initial()).unwrap();
        assert_within(&expected[0], &oracle.output, PROMISE, format_args!("{config:?}"));
        assert_within(&expected[2], &oracle.c_n, PROMISE, format_args!("{config:?}"));
        for isa in isas() {
            assert_same(&case.forward(isa), &expected, &format!("{config:?} on {isa}"));
        }
    }
}

#[test]
fn a_long_stream_of_a_large_layer_agrees_though_its_chunks_overlap() {
    // Blocks of 64 columns of x and of h that are full or not, with pieces of one chain and of both and of all widths,
    // which are whole or cut; a last group of 4 to 7 lines with both; the last chunk has 0 to 32 rows.
    for (n, (input, hidden, steps)) in [
        (64, 64, 96),
        (16, 64, 97),
        (66, 80, 98),
        (98, 96, 103),
        (30, 112, 127),
        (128, 128, 128),
        (200, 128, 129),
        (300, 144, 160),
        (32, 160, 99),
        (96, 64, 101),
        (80, 80, 126),
        (24, 528, 97),
        (17, 64, 97),
        (15, 49, 100),
        (50, 50, 127),
        (65, 57, 96),
        (33, 60, 102),
        (63, 63, 98),
        (257, 128, 97),
        (100, 52, 99),
        (100, 100, 111),
        (129, 110, 104),
        (75, 150, 97),
        (70, 70, 98),
        (91, 90, 98),
        (200, 200, 99),
        (32, 151, 100),
    ]
    .into_iter()
    .enumerate()
    {
        let config = LstmConfig::new(input, hidden).bidirectional(n % 2 == 1).bias(n % 4 != 2);
        check(&LstmCase::random(config, [steps, 1], false, n % 3 > 0, n as u64));
    }
    check(&LstmCase::random(LstmConfig::new(20, 64).num_layers(2), [110, 3], true, false, 9));
    check(&LstmCase::random(LstmConfig::new(16, 256), [97, 1], false, true, 10));
}

#[test]
fn one_long_stream_that_ends_early_agrees() {
    for config in [LstmConfig::new(16, 64), LstmConfig::new(20, 80).bidirectional(true)] {
        for len in [1, 50, 97, 129] {
            let mut case = LstmCase::random(config, [130, 1], false, true, len as u64);
            case.lengths = Some(vec![len]);
            case.x[len * config.input_size..].fill(f32::NAN);
            check(&case);
        }
    }
}

#[test]
fn one_sequence_that_ends_early_crosses_blocks_and_the_rest_is_zero() {
    // A block has 1,024 time steps. What stands in the output before does not matter.
    for config in [
        LstmConfig::new(1, 5).num_layers(2),
        LstmConfig::new(2, 6).proj_size(3).batch_first(true),
        LstmConfig::new(16, 64),
        LstmConfig::new(66, 8),
    ] {
        for len in [1000, 1024, 1025, 1100] {
            let mut case = LstmCase::random(config, [1200, 1], false, true, len as u64);
            case.lengths = Some(vec![len]);
            case.x[len * config.input_size..].fill(f32::NAN);
            let expected = case.gather(&[case.single(0).forward(Isa::Scalar)]);
            for isa in isas() {
                let (mut h, mut c) = case.initial.clone().unwrap();
                let mut output = vec![f32::NAN; expected[0].len()];
                let lstm = case.model.lstm(isa);
                lstm.forward_into(case.input(), (&mut h, &mut c), &mut output, &mut Workspace::new()).unwrap();
                assert_same(&[output, h, c], &expected, &format!("{config:?}, {len} steps on {isa}"));
            }
        }
    }
}

#[test]
fn more_streams_than_a_block_has_rows_agree() {
    for config in [LstmConfig::new(2, 3).num_layers(2), LstmConfig::new(3, 5).bidirectional(true)] {
        check(&LstmCase::random(config, [3, 1030], true, true, 1));
    }
}

#[test]
fn few_streams_of_more_units_than_a_chunk_has_room_for_agree() {
    // Four rows of 4,100 units are more than the 256 KiB that a chunk of so few weights has.
    for batch in 1..=5 {
        check(&LstmCase::random(LstmConfig::new(1, 4100).proj_size(1), [9, batch], false, true, batch as u64));
    }
}

#[test]
fn projections_to_fewer_and_to_more_than_four_outputs_agree() {
    // Below four columns a sum is one chain.
    for (n, proj) in [1, 2, 3, 4, 5].into_iter().enumerate() {
        for hidden in [9, 20, 53, 64] {
            check(&LstmCase::random(LstmConfig::new(6, hidden).proj_size(proj), [7, 1 + n % 2], false, true, n as u64));
        }
    }
}

#[test]
fn room_for_longer_pieces_leaves_the_states_alone() {
    for config in [LstmConfig::new(3, 5).num_layers(2), LstmConfig::new(16, 64)] {
        let case = LstmCase::random(config, [8, 2], false, true, 1);
        for isa in isas() {
            let (lstm, expected) = (case.model.lstm(isa), case.forward(isa));
            let mut stream = lstm.stream(2, case.initial()).unwrap();
            let mut output = vec![f32::NAN; expected[0].len()];
            let (x, out) =
                (case.x.split_at(2 * 2 * config.input_size), output.split_at_mut(2 * 2 * config.hidden_size));
            lstm.stream_reserve(&mut stream, 5).unwrap();
            lstm.advance(&mut stream, Input::new(x.0, &[2, 2, config.input_size]), out.0).unwrap();
            lstm.stream_reserve(&mut stream, 100).unwrap();
            lstm.stream_reserve(&mut stream, 0).unwrap();
            lstm.advance(&mut stream, Input::new(x.1, &[6, 2, config.input_size]), out.1).unwrap();
            let (h_n, c_n) = lstm.stream_states(&stream).unwrap();
            assert_same(&[output, h_n, c_n], &expected, &format!("{config:?} on {isa}"));
        }
    }
}

#[test]
fn one_long_stream_of_a_layer_that_cannot_overlap_agrees() {
    for config in [
        LstmConfig::new(16, 64).proj_size(16),
        LstmConfig::new(16, 64).proj_size(63).bidirectional(true),
        LstmConfig::new(14, 64),
        LstmConfig::new(65, 48),
        LstmConfig::new(16, 64).dtype(Dtype::F16),
        LstmConfig::new(16, 96).dtype(Dtype::Bf16),
    ] {
        check(&LstmCase::random(config, [130, 1], false, true, 1));
    }
}

#[test]
fn a_workspace_forgets_the_order_of_the_call_before() {
    for (config, batch) in [
        (LstmConfig::new(3, 5), 7),
        (LstmConfig::new(3, 5).num_layers(2).bidirectional(true), 5),
        (LstmConfig::new(13, 20), 2),
    ] {
        let mut sorted = LstmCase::random(config, [6, batch], false, true, 1);
        sorted.lengths = Some((1..=batch).map(|n| n.min(6)).collect());
        let plain = LstmCase { lengths: None, ..sorted.clone() };
        for isa in isas() {
            let (lstm, mut workspace) = (plain.model.lstm(isa), Workspace::new());
            for case in [&sorted, &plain] {
                let (mut h, mut c) = case.initial.clone().unwrap();
                let mut output = vec![f32::NAN; 6 * batch * config.output_size()];
                lstm.forward_into(case.input(), (&mut h, &mut c), &mut output, &mut workspace).unwrap();
                assert_same(&[output, h, c], &case.forward(isa), &format!("{config:?} on {isa}"));
            }
        }
    }
}

#[test]
fn one_call_gives_the_bits_of_the_steps_of_a_compile_time_cell() {
    let small = GRID.iter().filter(|shape| shape.hidden <= 100);
    for (n, shape) in small.enumerate() {
        let mut random = Random::new(n as u64);
        let model = Model::random(shape, &mut random, 1.0);
        let (steps, batch) = (3, 1 + n % 5);
        let seq = random.normals(steps * batch * shape.input);
        let config = LstmConfig::new(shape.input, shape.hidden).bias(shape.bias).dtype(shape.dtype);
        for isa in isas() {
            let cell = shape.cell(&model.weights(), isa);
            let mut states = cell.states(batch);
            let mut expected = LstmResult::default();
            for xs in seq.chunks_exact(batch * shape.input) {
                for (stream, x) in xs.chunks_exact(shape.input).enumerate() {
                    expected[0].extend_from_slice(cell.step(x, &mut *states, stream));
                }
            }
            expected[1] = (0..batch).flat_map(|stream| states.h(stream)).copied().collect();
            expected[2] = (0..batch).flat_map(|stream| states.c(stream)).copied().collect();
            let lstm = Lstm::with_isa(config, &[model.weights()], isa).unwrap();
            let found = lstm.forward(Input::new(&seq, &[steps, batch, shape.input]), None).unwrap();
            let found = [found.output.data, found.h_n.data, found.c_n.data];
            assert_same(&found, &expected, &format!("{shape}, batch {batch} on {isa}"));
        }
    }
}

/// That the cell of a single layer gives, step by step, the bits of one call.
fn check_cell(case: &LstmCase, expected: &LstmResult, isa: Isa, workspace: &mut Workspace) {
    let config = case.model.config;
    let LstmConfig { input_size, hidden_size, dtype, .. } = config;
    let cell = LstmCellDyn::with_dtype(input_size, hidden_size, &case.model.weights()[0], dtype, isa).unwrap();
    assert_eq!(cell.isa(), isa);
    let zero = vec![0.0; case.batch * hidden_size];
    let (mut h, mut c) = case.initial.clone().unwrap_or((zero.clone(), zero));
    let mut output = Vec::new();
    for x in case.x.chunks_exact(case.batch * input_size) {
        cell.step(x, &mut h, &mut c, workspace).unwrap();
        output.extend_from_slice(&h);
    }
    assert_same(&[output, h, c], expected, &format!("the cell of {config:?}, batch {} on {isa}", case.batch));
}

#[test]
fn single_steps_of_one_stream_give_the_bits_of_one_call() {
    // Small layers of every number of lines; last groups of every size, with pairs and single ones before them; many
    // inputs.
    let small = (1..=49).step_by(3).map(|units| (1 + units % 5, units));
    let large = (50..=82).step_by(2).map(|units| (1 + units % 7, units));
    let sizes = small.chain(large).chain([(70, 8), (70, 14), (80, 47), (65, 100)]);
    let dtypes = [Dtype::F32, Dtype::Bf16, Dtype::F16];
    for (n, ((input, hidden), dtype)) in sizes.flat_map(|sizes| dtypes.map(|dtype| (sizes, dtype))).enumerate() {
        let config = LstmConfig::new(input, hidden).num_layers(1 + n / 3 % 3).dtype(dtype);
        let case = LstmCase::random(config, [6, 1], false, true, n as u64);
        for isa in isas() {
            let (expected, lstm) = (case.forward(isa), case.model.lstm(isa));
            let (mut stream, mut out) = (lstm.stream(1, case.initial()).unwrap(), vec![f32::NAN; 6 * hidden]);
            // The fourth and fifth step together: what a single step leaves behind, more steps go on from.
            for (first, len) in [(0, 1), (1, 1), (2, 1), (3, 2), (5, 1)] {
                let (x, out) = (&case.x[first * input..][..len * input], &mut out[first * hidden..][..len * hidden]);
                lstm.advance(&mut stream, Input::new(x, &[len, input]), out).unwrap();
            }
            let (h_n, c_n) = lstm.stream_states(&stream).unwrap();
            assert_same(&[out, h_n, c_n], &expected, &format!("{config:?} on {isa}"));

            if config.num_layers == 1 {
                check_cell(&case, &expected, isa, &mut Workspace::new());
            }
        }
    }
}

#[test]
fn single_steps_of_some_streams_give_the_bits_of_one_call() {
    // Small layers of every number of lines, a large one, two; streams side by side, and those that are left.
    for (n, hidden) in (1..=49).step_by(3).chain([16, 20, 64]).enumerate() {
        for batch in [2, 4, 9, 66] {
            let config = LstmConfig::new(1 + hidden % 5, hidden).num_layers(1 + n % 2);
            let case = LstmCase::random(config, [3, batch], false, true, n as u64);
            let steps = case.x.chunks_exact(batch * config.input_size);
            for isa in isas() {
                let (expected, lstm) = (case.forward(isa), case.model.lstm(isa));
                let (mut stream, mut out) =
                    (lstm.stream(batch, case.initial()).unwrap(), vec![f32::NAN; 3 * batch * hidden]);
                for (x, out) in steps.clone().zip(out.chunks_exact_mut(batch * hidden)) {
                    lstm.advance(&mut stream, Input::new(x, &[1, batch, config.input_size]), out).unwrap();
                }
                let (h_n, c_n) = lstm.stream_states(&stream).unwrap();
                assert_same(&[out, h_n, c_n], &expected, &format!("{config:?}, batch {batch} on {isa}"));

                if config.num_layers == 1 {
                    check_cell(&case, &expected, isa, &mut Workspace::new());
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(random_cases(64))]

    #[test]
    fn any_options_agree_with_the_oracle_and_the_batch_with_its_sequences(case in any_case()) {
        check(&case);
    }

    #[test]
    fn forward_into_gives_the_bits_of_forward_whatever_the_workspace_served_before(
        all in proptest::collection::vec(any_case(), 2..=4),
    ) {
        for isa in isas() {
            let mut workspace = Workspace::new();
            for case in &all {
                let lstm = case.model.lstm(isa);
                let expected = case.forward(isa);
                let [mut output, mut h, mut c] = expected.each_ref().map(|tensor| vec![f32::NAN; tensor.len()]);
                match case.initial() {
                    Some((h_0, c_0)) => {
                        h.copy_from_slice(h_0);
                        c.copy_from_slice(c_0);
                    }
                    None => {
                        h.fill(0.0);
                        c.fill(0.0);
                    }
                }
                lstm.forward_into(case.input(), (&mut h, &mut c), &mut output, &mut workspace).unwrap();
                assert_same(&[output, h, c], &expected, &format!("{:?} on {isa}", case.model.config));
            }
        }
    }

    #[test]
    fn the_reverse_direction_is_the_forward_one_on_reversed_sequences(case in any_case()) {
        let config = case.model.config.num_layers(1).bidirectional(true).batch_first(false);
        let case = LstmCase::random(config, [case.steps, case.batch], case.lengths.is_some(), false, 3);
        let h = config.h_size();
        for isa in isas() {
            let both = case.forward(isa);
            let reverse = Lstm::with_isa(config.bidirectional(false), &case.model.weights()[1..], isa).unwrap();
            for stream in 0..case.batch {
                let single = case.single(stream);
                let x: Vec<f32> = single.x.chunks_exact(config.input_size).rev().flatten().copied().collect();
                let found = reverse.forward(Input::new(&x, &single.shape), None).unwrap();
                for (t, found) in found.output.data.chunks_exact(h).rev().enumerate() {
                    let expected = &both[0][case.row(t, stream) * 2 * h..][h..2 * h];
                    assert_same_bits(found, expected, format_args!("{config:?} on {isa}, stream {stream}, step {t}"));
                }
                let expected = &both[2][(case.batch + stream) * config.hidden_size..][..config.hidden_size];
                assert_same_bits(&found.c_n.data, expected, format_args!("{config:?} on {isa}, stream {stream}: c_n"));
            }
        }
    }

    #[test]
    fn layers_give_the_bits_of_one_call_for_each(case in any_case()) {
        let config = case.model.config;
        let case = LstmCase::random(config, [case.steps, case.batch], case.lengths.is_some(), false, 4);
        for isa in isas() {
            let (mut x, mut size) = (case.x.clone(), config.input_size);
            for weights in case.model.weights().chunks_exact(config.directions()) {
                let mut layer = config.num_layers(1);
                layer.input_size = size;
                let layer = Lstm::with_isa(layer, weights, isa).unwrap();
                let shape = [case.shape[0], case.shape[1], size];
                let input = Input::new(&x, &shape);
                let input = case.lengths.as_ref().map_or(input, |lengths| input.lengths(lengths));
                x = layer.forward(input, None).unwrap().output.data;
                size = config.output_size();
            }
            assert_same_bits(&x, &case.forward(isa)[0], format_args!("{config:?} on {isa}"));
        }
    }

    #[test]
    fn a_stream_gives_the_bits_of_one_call_wherever_it_is_cut(
        case in any_case(),
        cuts in proptest::collection::vec(1..=5usize, 1..=4),
    ) {
        let config = case.model.config.bidirectional(false).batch_first(false);
        let case = LstmCase::random(config, [case.steps, case.batch], false, case.initial.is_some(), 5);
        let (x_row, out_row) = (case.batch * config.input_size, case.batch * config.output_size());
        for isa in isas() {
            let expected = case.forward(isa);
            let lstm = case.model.lstm(isa);
            let mut stream = lstm.stream(case.batch, case.initial()).unwrap();
            let (mut out, mut done) = (vec![f32::NAN; case.steps * out_row], 0);
            for cut in cuts.iter().cycle() {
                let len = usize::min(*cut, case.steps - done);
                if len == 0 {
                    break;
                }
                let (x, out) = (&case.x[done * x_row..][..len * x_row], &mut out[done * out_row..][..len * out_row]);
                let shape = [len, case.batch, config.input_size];
                lstm.advance(&mut stream, Input::new(x, &shape), out).unwrap();
                done += len;
            }
            let (h_n, c_n) = lstm.stream_states(&stream).unwrap();
            assert_same(&[out, h_n, c_n], &expected, &format!("{config:?} on {isa}, cuts {cuts:?}"));
        }
    }

    #[test]
    fn the_dynamic_cell_gives_the_bits_of_one_call(case in any_case()) {
        let config = LstmConfig::new(case.model.config.input_size, case.model.config.hidden_size)
            .bias(case.model.config.bias)
            .dtype(case.model.config.dtype);
        let case = LstmCase::random(config, [case.steps, case.batch], false, case.initial.is_some(), 9);
        let mut workspace = Workspace::new();
        for isa in isas() {
            check_cell(&case, &case.forward(isa), isa, &mut workspace);
        }
    }

    #[test]
    fn batch_first_and_dropout_and_the_unbatched_shape_change_no_bit(case in any_case()) {
        let single = case.single(0);
        let config = single.model.config;
        for isa in isas() {
            let expected = single.forward(isa);
            for other in [config.batch_first(!config.batch_first), config.dropout(0.5)] {
                let lstm = Lstm::with_isa(other, &single.model.weights(), isa).unwrap();
                let (steps, size) = (single.steps, config.input_size);
                let shape = if other.batch_first { [1, steps, size] } else { [steps, 1, size] };
                for (shape, state) in [(&shape[..], 1), (&[steps, size][..], 0)] {
                    let found = lstm.forward(Input::new(&single.x, shape), single.initial()).unwrap();
                    assert_eq!(found.output.shape.len(), 2 + state);
                    assert_eq!(found.c_n.shape.len(), 2 + state);
                    let found = [found.output.data, found.h_n.data, found.c_n.data];
                    assert_same(&found, &expected, &format!("{other:?} on {isa}, {shape:?}"));
                }
            }
        }
    }
}
