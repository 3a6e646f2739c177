//! Threads (feature `rayon`): the same bits as one thread, however the batch is cut.

use lstm_kernels::lstm::{Input, Workspace};
use lstm_kernels::{Lstm, LstmConfig};
use proptest::prelude::*;
use support::{LstmCase, LstmResult, assert_same, isas, random_cases};

/// More than the pieces of any batch here, one for each direction of each four streams, a few, and two.
const THREADS: [usize; 4] = [2, 3, 5, 64];

fn forward(lstm: &Lstm, case: &LstmCase, workspace: &mut Workspace) -> LstmResult {
    let (config, rows) = (lstm.config(), lstm.config().cells() * case.batch);
    let zero = || (vec![0.0; rows * config.h_size()], vec![0.0; rows * config.hidden_size]);
    let (mut h, mut c) = case.initial.clone().unwrap_or_else(zero);
    let mut output = vec![f32::NAN; case.steps * case.batch * config.output_size()];
    lstm.forward_into(case.input(), (&mut h, &mut c), &mut output, workspace)
        .unwrap_or_else(|e| panic!("{case:?}: {e}"));
    [output, h, c]
}

/// One thread and many, on one workspace that all share.
fn check(case: &LstmCase) {
    let mut workspace = Workspace::new();
    for isa in isas() {
        let lstm = case.model.lstm(isa);
        let expected = forward(&lstm, case, &mut workspace);
        for threads in THREADS {
            let what = format!("{:?}, batch {}, {threads} threads on {isa}", case.model.config, case.batch);
            assert_same(&forward(&lstm.clone().threads(threads), case, &mut workspace), &expected, &what);
        }
    }
}

/// Options of LSTMs whose calls of 90 steps are worth a thread, in two directions even for one stream.
fn configs() -> Vec<LstmConfig> {
    let one = LstmConfig::new(40, 80);
    let two = one.num_layers(2);
    vec![one, two, one.bidirectional(true), two.bidirectional(true), two.bidirectional(true).proj_size(33)]
}

#[test]
fn every_option_and_batch_gives_the_bits_of_one_thread() {
    for (n, config) in configs().into_iter().enumerate() {
        for batch in [1, 2, 3, 4, 5, 8, 17] {
            check(&LstmCase::random(config.batch_first(n % 2 == 1), [90, batch], batch % 2 == 1, true, n as u64));
        }
    }
}

#[test]
fn a_long_sequence_crosses_blocks() {
    for batch in [5, 8] {
        check(&LstmCase::random(LstmConfig::new(16, 48).num_layers(2), [520, batch], batch == 8, true, 7));
    }
}

#[test]
fn each_stream_of_a_batch_is_the_one_that_it_was() {
    // Streams that differ in one number alone: only the right one gives its own output.
    let (steps, batch, config) = (64, 17, LstmConfig::new(1, 128));
    let mut case = LstmCase::random(config, [steps, batch], false, false, 3);
    case.x = (0..steps * batch).map(|row| (row % batch) as f32 / batch as f32).collect();
    case.lengths = Some((0..batch).map(|stream| 1 + stream * 7 % steps).collect());
    for isa in isas() {
        let found = forward(&case.model.lstm(isa).threads(2), &case, &mut Workspace::new());
        let singles: Vec<_> = (0..batch).map(|stream| case.single(stream).forward(isa)).collect();
        assert_same(&case.gather(&singles), &found, &format!("sequence by sequence on {isa}"));
    }
}

#[test]
fn streams_give_the_bits_of_one_thread_whoever_takes_the_next_piece() {
    for config in [LstmConfig::new(40, 80).num_layers(2), LstmConfig::new(40, 80).proj_size(21)] {
        for (n, batch) in [1, 3, 17].into_iter().enumerate() {
            let case = LstmCase::random(config, [60, batch], false, true, n as u64);
            for isa in isas() {
                let one = case.model.lstm(isa);
                let expected = forward(&one, &case, &mut Workspace::new());
                let two = one.clone().threads(2);
                let (x_row, out_row) = (batch * config.input_size, batch * config.h_size());
                let mut stream = two.stream(batch, case.initial()).expect("a batch");
                let (mut output, mut first) = (vec![f32::NAN; 60 * out_row], 0);
                for (steps, lstm) in [(1, &two), (33, &two), (5, &one), (1, &one), (20, &two)] {
                    let shape = [steps, batch, config.input_size];
                    let x = Input::new(&case.x[first * x_row..][..steps * x_row], &shape);
                    lstm.advance(&mut stream, x, &mut output[first * out_row..][..steps * out_row]).expect("shapes");
                    first += steps;
                }
                let (h, c) = two.stream_states(&stream).expect("its own stream");
                assert_same(&[output, h, c], &expected, &format!("{config:?}, batch {batch} on {isa}"));
            }
        }
    }
}

#[test]
fn calls_from_inside_a_pool_and_from_many_threads_give_the_bits_of_one_thread() {
    let case = LstmCase::random(LstmConfig::new(40, 80).bidirectional(true), [40, 9], true, true, 5);
    for isa in isas() {
        let lstm = case.model.lstm(isa).threads(4);
        let expected = case.forward(isa);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| assert_same(&forward(&lstm, &case, &mut Workspace::new()), &expected, "many threads"));
            }
        });
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().expect("threads");
        let found = pool.install(|| forward(&lstm, &case, &mut Workspace::new()));
        assert_same(&found, &expected, "inside a pool");
    }
}

#[test]
fn a_workspace_made_for_a_batch_serves_a_smaller_one() {
    let config = LstmConfig::new(40, 80);
    for (n, batch) in [17, 3, 4, 2, 1, 5, 16].into_iter().enumerate() {
        let case = LstmCase::random(config, [40, batch], n % 2 == 0, true, n as u64);
        for isa in isas() {
            let lstm = case.model.lstm(isa).threads(3);
            let mut workspace = lstm.workspace(40, 17);
            assert_same(&forward(&lstm, &case, &mut workspace), &case.forward(isa), &format!("batch {batch} on {isa}"));
        }
    }
}

proptest! {
    #![proptest_config(random_cases(32))]

    #[test]
    fn any_options_give_the_bits_of_one_thread(
        (input, hidden, proj) in (1..=40usize, 30..=70usize, prop_oneof![Just(0), 1..=29usize]),
        (layers, two, bias, batch_first) in (1..=3usize, any::<bool>(), any::<bool>(), any::<bool>()),
        (steps, batch, lengths, states, seed) in (1..=60usize, 1..=19usize, any::<bool>(), any::<bool>(), any::<u64>()),
    ) {
        let config = LstmConfig::new(input, hidden)
            .proj_size(proj)
            .num_layers(layers)
            .bidirectional(two)
            .bias(bias)
            .batch_first(batch_first);
        check(&LstmCase::random(config, [steps, batch], lengths, states, seed));
    }
}
