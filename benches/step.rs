//! Latency of one step, f32: every instruction set that this CPU has, beside the loop that one writes by hand; loud and
//! silent input; many streams at once; `run`; with an output of which the next sample could be made (`step_out`); and
//! with sizes known at run time, [`LstmCellDyn`] (`cell_dyn`; `cell_dyn_batch`: of 32 streams) and a stream of single
//! samples through [`Lstm`] (`advance`).
//!
//! `taskset -c 1 cargo bench -p lstm-kernels-benches --bench step`
//!
//! Inputs are new at every step and the state is carried. Each kernel is checked against the f64 oracle first.

use std::hint::black_box;
use std::time::Duration;

use bench_support::{INPUTS, PlainLoop, Tensors, inputs, with_sizes};
use criterion::{BenchmarkId, Criterion, Throughput};
use lstm_kernels::lstm::Input;
use lstm_kernels::{Isa, Lstm, LstmCellDyn, LstmConfig, reference};

/// Steps of a `run`.
const RUN: usize = 128;

/// Streams of a batch with sizes known at run time.
const STREAMS: usize = 32;

macro_rules! sizes {
    ($criterion:ident: $(($input:literal, $hidden:literal)),*) => { $({
        lstm_kernels::lstm_cell!(struct Cell, in=$input, hidden=$hidden);
        lstm_kernels::lstm_cell!(struct Model, in=$input, hidden=$hidden, out=1);
        let tensors = Tensors::random($input, $hidden);
        let loud = inputs::<$input>(INPUTS);
        let silent = vec![[0.0; $input]; INPUTS];
        let size = concat!($input, ",", $hidden);

        let mut group = $criterion.benchmark_group("step");
        let mut plain = PlainLoop::<$input, $hidden>::new(&tensors);
        let mut next = 0;
        group.bench_function(BenchmarkId::new("plain-loop", size), |bencher| bencher.iter(|| {
            next = (next + 1) % INPUTS;
            plain.step(black_box(&loud[next]));
        }));
        for isa in Isa::available() {
            let cell = Cell::with_isa_boxed(&tensors.view(), isa).expect("an instruction set that is available");
            let mut state = Cell::zero_state();

            let oracle = reference::Cell::new(&tensors.view(), $input, $hidden).expect("finite weights");
            let (mut h, mut c) = ([0.0; $hidden], [0.0; $hidden]);
            for x in &loud[..64] {
                oracle.step(&x.map(f64::from), &mut h, &mut c);
                for (ours, exact) in cell.step(x, &mut state).iter().zip(&h) {
                    assert!((f64::from(*ours) - exact).abs() < 1e-6, "({size}) on {isa} is wrong");
                }
            }

            for (name, xs) in [("loud", &loud), ("silent", &silent)] {
                group.bench_function(BenchmarkId::new(format!("{isa}-{name}"), size), |bencher| bencher.iter(|| {
                    next = (next + 1) % INPUTS;
                    cell.step(black_box(&xs[next]), &mut state)[0]
                }));
            }
        }
        group.finish();

        let mut group = $criterion.benchmark_group("step_batch");
        for isa in Isa::available().filter(|&isa| isa != Isa::Scalar) {
            let cell = Cell::with_isa_boxed(&tensors.view(), isa).expect("an instruction set that is available");
            for streams in [2, 8, 32] {
                let mut states = vec![Cell::zero_state(); streams];
                group.throughput(Throughput::Elements(streams as u64));
                group.bench_function(BenchmarkId::new(format!("{isa}-{streams}"), size), |bencher| bencher.iter(|| {
                    next = (next + streams) % (INPUTS - streams);
                    cell.step_batch(black_box(&loud[next..next + streams]), &mut states)
                }));
            }
        }
        group.finish();

        let mut group = $criterion.benchmark_group("run");
        for isa in Isa::available().filter(|&isa| isa != Isa::Scalar) {
            let cell = Cell::with_isa_boxed(&tensors.view(), isa).expect("an instruction set that is available");
            let (mut state, mut out) = (Cell::zero_state(), vec![[0.0; $hidden]; RUN]);
            group.throughput(Throughput::Elements(RUN as u64));
            group.bench_function(BenchmarkId::new(isa.to_string(), size), |bencher| bencher.iter(|| {
                next = (next + 1) % (INPUTS - RUN);
                cell.run(black_box(&loud[next..next + RUN]), &mut state, &mut out)
            }));
        }
        group.finish();

        let mut group = $criterion.benchmark_group("step_out");
        let (head, offset) = (&tensors.weight_hh[..$hidden], &tensors.bias_hh[..1]);
        let weights = tensors.view().with_head(head, Some(offset));
        for isa in Isa::available().filter(|&isa| isa != Isa::Scalar) {
            let model = Model::with_isa_boxed(&weights, isa).expect("an instruction set that is available");
            let mut state = Model::zero_state();
            for x in &loud[..64] {
                let [y] = model.step_out(x, &mut state);
                let terms = head.iter().zip(state.h()).map(|(w, h)| f64::from(*w) * f64::from(*h));
                let exact = terms.sum::<f64>() + f64::from(offset[0]);
                assert!((f64::from(y) - exact).abs() < 1e-6, "({size}) on {isa} is wrong");
            }
            group.bench_function(BenchmarkId::new(isa.to_string(), size), |bencher| bencher.iter(|| {
                next = (next + 1) % INPUTS;
                model.step_out(black_box(&loud[next]), &mut state)
            }));
        }
        group.finish();

        for isa in Isa::available().filter(|&isa| isa != Isa::Scalar) {
            let name = isa.to_string();
            let weights = tensors.view();
            let dynamic = LstmCellDyn::with_isa($input, $hidden, &weights, isa).expect("an available instruction set");
            let (mut workspace, mut c) = (dynamic.workspace(1), [0.0; $hidden]);
            let step = |x: &[f32; $input], h: &mut [f32; $hidden]| {
                dynamic.step(x, h, &mut c, &mut workspace).expect("right lengths");
            };
            let cell = Cell::with_isa_boxed(&tensors.view(), isa).expect("an instruction set that is available");
            let mut state = Cell::zero_state();
            let exact = |x: &_| *cell.step(x, &mut state);
            steps_of_run_time(&mut $criterion, ["cell_dyn", &name, size], &loud, step, exact);

            let zero = || vec![[0.0; $hidden]; STREAMS];
            let (mut h, mut c, mut workspace) = (zero(), zero(), dynamic.workspace(STREAMS));
            let mut step = |xs: &[[f32; $input]], h: &mut [[f32; $hidden]]| {
                let (h, c) = (h.as_flattened_mut(), c.as_flattened_mut());
                dynamic.step(xs.as_flattened(), h, c, &mut workspace).expect("right lengths");
            };
            let mut states = vec![Cell::zero_state(); STREAMS];
            for xs in loud[..64].chunks_exact(STREAMS) {
                step(xs, &mut h);
                cell.step_batch(xs, &mut states).expect("as many states");
                assert!(states.iter().map(|state| state.h()).eq(&h), "streams of ({size}) on {isa} are not the cell's");
            }
            let mut group = $criterion.benchmark_group("cell_dyn_batch");
            group.throughput(Throughput::Elements(STREAMS as u64));
            group.bench_function(BenchmarkId::new(&name, size), |bencher| bencher.iter(|| {
                next = (next + STREAMS) % (INPUTS - STREAMS);
                step(black_box(&loud[next..next + STREAMS]), &mut h);
                black_box(&h);
            }));
            group.finish();

            let config = LstmConfig::new($input, $hidden);
            let lstm = Lstm::with_isa(config, &[weights], isa).expect("an available instruction set");
            let mut stream = lstm.stream(1, None).expect("one direction");
            let advance = |x: &[f32; $input], out: &mut [f32; $hidden]| {
                lstm.advance(&mut stream, Input::new(x, &[1, 1, $input]), out).expect("right shapes");
            };
            let mut state = Cell::zero_state();
            let exact = |x: &_| *cell.step(x, &mut state);
            steps_of_run_time(&mut $criterion, ["advance", &name, size], &loud, advance, exact);
        }
    })* };
}

/// Steps with sizes known at run time, whose h goes to memory, once they have been seen to have a cell's bits.
fn steps_of_run_time<const I: usize, const H: usize>(
    criterion: &mut Criterion,
    [group, isa, size]: [&str; 3],
    xs: &[[f32; I]],
    mut step: impl FnMut(&[f32; I], &mut [f32; H]),
    mut cell: impl FnMut(&[f32; I]) -> [f32; H],
) {
    let (mut h, mut next) = ([0.0; H], 0);
    for x in &xs[..64] {
        step(x, &mut h);
        assert_eq!(h, cell(x), "{group} of ({size}) on {isa} is not the cell's");
    }
    let mut group = criterion.benchmark_group(group);
    group.bench_function(BenchmarkId::new(isa, size), |bencher| {
        bencher.iter(|| {
            next = (next + 1) % INPUTS;
            step(black_box(&xs[next]), &mut h);
            black_box(&h);
        });
    });
    group.finish();
}

fn main() {
    let criterion = Criterion::default().configure_from_args();
    let mut criterion =
        criterion.sample_size(20).warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_millis(600));
    with_sizes!(sizes! criterion:);
    criterion.final_summary();
}
