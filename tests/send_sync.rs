//! A cell may be shared between threads, a state moved between them.

use std::{error::Error as StdError, sync::Arc, thread};

use lstm_kernels::lstm::{Output, Stream, Workspace};
use lstm_kernels::{Dtype, Error, Isa, Lstm, LstmCellDyn, LstmConfig, State, lstm_cell};
use support::{GRID, LstmCase, Model, Random, Shape, assert_same_bits, isas};

lstm_cell!(in=10, hidden=20);

#[test]
fn cells_and_states_and_errors_are_send_and_sync_and_own_their_data() {
    fn send_sync<T: Send + Sync + 'static>() {}
    send_sync::<LSTMCell>();
    send_sync::<LSTMCellState>();
    send_sync::<State<1, 4>>();
    send_sync::<Lstm>();
    send_sync::<LstmCellDyn>();
    send_sync::<Stream>();
    send_sync::<Workspace>();
    send_sync::<Output>();
    send_sync::<Isa>();
    send_sync::<Error>();
    fn error<T: StdError>() {}
    error::<Error>();
}

#[test]
fn threads_that_share_a_cell_all_get_the_bits_of_one_thread() {
    const THREADS: usize = 8;
    const STEPS: usize = 200;
    let picked = |shape: &&Shape| {
        shape.dtype == Dtype::F32 && [(10, 20), (64, 64), (7, 13)].contains(&(shape.input, shape.hidden))
    };
    let shapes: Vec<&Shape> = GRID.iter().filter(picked).collect();
    assert_eq!(shapes.len(), 4, "three sizes, one of them also without bias: {shapes:?}");
    for isa in isas() {
        for &shape in &shapes {
            let model = Model::random(shape, &mut Random::new(1), 1.0);
            let cell = Arc::from(shape.cell(&model.weights(), isa));
            let run = |cell: &dyn support::AnyCell, stream: usize| {
                let seq = Random::new(stream as u64).normals(STEPS * shape.input);
                let mut out = vec![f32::NAN; STEPS * shape.hidden];
                cell.run(&seq, &mut *cell.states(1), 0, &mut out).expect("equal lengths");
                out
            };
            let alone: Vec<_> = (0..THREADS).map(|stream| run(&*cell, stream)).collect();
            let together: Vec<_> = (0..THREADS)
                .map(|stream| {
                    let cell = Arc::clone(&cell);
                    thread::spawn(move || run(&*cell, stream))
                })
                .collect();
            for (stream, (together, alone)) in together.into_iter().zip(alone).enumerate() {
                let together = together.join().expect("no panic in the thread");
                assert_same_bits(&together, &alone, format_args!("{shape} on {isa}, thread {stream}"));
            }
        }
    }
}

#[test]
fn threads_that_share_an_lstm_all_get_the_bits_of_one_thread() {
    let config = LstmConfig::new(13, 20).num_layers(2).bidirectional(true);
    for isa in isas() {
        let case = LstmCase::random(config, [20, 5], true, true, 1);
        let lstm = case.model.lstm(isa);
        let alone = case.forward(isa);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10 {
                        let found = lstm.forward(case.input(), case.initial()).expect("right shapes");
                        assert_same_bits(&found.output.data, &alone[0], format_args!("on {isa}"));
                    }
                });
            }
        });
    }
}
