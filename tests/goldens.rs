//! The kernels against what PyTorch computed, in float32 and in float64.

use support::{AnyCell, AnyStates, Close, Golden, Goldens, Shape, assert_within, isas};

const TOLERANCE: Close = Close::Absolute(1e-6);

/// The shape of the grid that fits a case. None is skipped.
fn shape_of(case: &Golden) -> &'static Shape {
    let (input, hidden, bias) = (case.model.input, case.model.hidden, case.model.bias.is_some());
    Shape::find(input, hidden, bias).unwrap_or_else(|| {
        panic!("{}: no cell of ({input}, {hidden}, bias = {bias}); add one to the grid in support/grid.rs", case.name)
    })
}

fn start(case: &Golden, cell: &dyn AnyCell) -> Box<dyn AnyStates> {
    let mut states = cell.states(case.streams);
    for stream in 0..case.streams {
        states.set(stream, case.h0(stream), case.c0(stream));
    }
    states
}

fn check_h(case: &Golden, t: usize, stream: usize, h: &[f32], what: &str) {
    let hidden = case.model.hidden;
    let at = (t * case.streams + stream) * hidden;
    let what = format!("{}, {what}, step {t}, stream {stream}", case.name);
    assert_within(h, &case.h[at..][..hidden], TOLERANCE, format_args!("{what}: h against float32"));
    assert_within(h, &case.h64[at..][..hidden], TOLERANCE, format_args!("{what}: h against float64"));
}

fn check_c(case: &Golden, t: usize, stream: usize, c: &[f32], what: &str) {
    let hidden = case.model.hidden;
    let at = (t * case.streams + stream) * hidden;
    let what = format!("{}, {what}, step {t}, stream {stream}", case.name);
    assert_within(c, &case.c[at..][..hidden], TOLERANCE, format_args!("{what}: c against float32"));
    assert_within(c, &case.c64[at..][..hidden], TOLERANCE, format_args!("{what}: c against float64"));
}

fn for_each_cell(test: impl Fn(&Golden, &dyn AnyCell, &str)) {
    for case in Goldens::read().cases() {
        for isa in isas() {
            test(case, &*shape_of(case).cell(&case.model.weights(), isa), isa.name());
        }
    }
}

#[test]
fn the_tutorials_shape_is_among_the_cases_with_and_without_bias_batched_and_unbatched() {
    let goldens = Goldens::read();
    let any = |fits: &dyn Fn(&Golden) -> bool| goldens.cases().iter().any(fits);
    assert!(any(&|case| (case.steps, case.streams, case.model.input, case.model.hidden) == (5, 3, 10, 20)));
    assert!(any(&|case| case.model.bias.is_some()) && any(&|case| case.model.bias.is_none()));
    assert!(any(&|case| case.streams == 1) && any(&|case| case.streams > 1));
}

#[test]
fn step_agrees_with_pytorch() {
    for_each_cell(|case, cell, isa| {
        let mut states = start(case, cell);
        for t in 0..case.steps {
            for stream in 0..case.streams {
                check_h(case, t, stream, cell.step(case.x(t, stream), &mut *states, stream), isa);
                check_c(case, t, stream, states.c(stream), isa);
            }
        }
    });
}

#[test]
fn step_batch_agrees_with_pytorch() {
    for_each_cell(|case, cell, isa| {
        let mut states = start(case, cell);
        for t in 0..case.steps {
            cell.step_batch(case.xs(t), &mut *states).expect("equal lengths");
            for stream in 0..case.streams {
                check_h(case, t, stream, states.h(stream), isa);
                check_c(case, t, stream, states.c(stream), isa);
            }
        }
    });
}

#[test]
fn run_agrees_with_pytorch() {
    for_each_cell(|case, cell, isa| {
        let hidden = case.model.hidden;
        let mut states = start(case, cell);
        for stream in 0..case.streams {
            let seq: Vec<f32> = (0..case.steps).flat_map(|t| case.x(t, stream)).copied().collect();
            let mut out = vec![f32::NAN; case.steps * hidden];
            cell.run(&seq, &mut *states, stream, &mut out).expect("equal lengths");
            for (t, h) in out.chunks_exact(hidden).enumerate() {
                check_h(case, t, stream, h, isa);
            }
            check_c(case, case.steps - 1, stream, states.c(stream), isa);
        }
    });
}
