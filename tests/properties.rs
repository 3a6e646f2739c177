//! Every shape of the grid on every instruction set: close to the f64 oracle, and the same bits however the work is
//! cut up. First each shape once, then random picks.

use lstm_kernels::{Dtype, layout};
use proptest::prelude::*;
use support::{
    AnyCell, Close, GRID, MOST_H, Model, Random, Shape, assert_same_bits, assert_within, isas, random_cases, steps,
};

/// The promise: this close to the oracle. With many inputs to few units, weights U(-1/sqrt(H), 1/sqrt(H)) make sums so
/// large that the last bit of an f32 counts: of 200 random cells of (70, 3), 2 were off by more than 1e-6.
fn promise(shape: &Shape) -> Close {
    Close::Absolute(if shape.input > 8 * shape.hidden { 2e-6 } else { 1e-6 })
}

/// The promise: for this long.
const STEPS: usize = 512;

#[test]
fn the_grid_covers_every_last_group_and_if_whole_every_residue_and_both_sides_of_every_boundary() {
    for last in 1..=12 {
        let covered = GRID.iter().any(|shape| layout::last_group(layout::F32, shape.hidden) == last);
        assert!(covered, "no cell has {last} lines in its last group");
    }
    for (input, hidden) in [(1, 1), (70, 70), (10, 20), (128, 128), (256, 256)] {
        assert!(Shape::find(input, hidden, true).is_some(), "({input}, {hidden}) is missing");
    }
    // Pairs of groups and a last one of 5 lines.
    assert!(Shape::find(1, 180, true).is_some(), "(1, 180) is missing");
    assert!(GRID.iter().any(|shape| !shape.bias), "no cell without bias");
    let (within, halves) = if cfg!(all_cells) { (40, 9) } else { (20, 4) };
    for dtype in [Dtype::F16, Dtype::Bf16] {
        let count = GRID.iter().filter(|shape| shape.dtype == dtype).count();
        assert!(count >= halves, "fewer than {halves} cells of {dtype:?}");
    }
    let small = GRID.iter().filter(|shape| shape.input <= 70 && shape.hidden <= 70);
    assert!(small.count() >= within, "the grid has fewer than {within} cells within (70, 70)");
    if !cfg!(all_cells) {
        return;
    }
    let has = |hidden: usize| GRID.iter().any(|shape| shape.hidden == hidden);
    for residue in 0..16 {
        assert!(GRID.iter().any(|shape| shape.hidden % 16 == residue), "no H = {residue} mod 16");
    }
    // A line of the packed tensor holds four units; 12 lines make the largest group, 4 a full one.
    for line in (1..=12).chain([13, 14, 15, 16, 17, 20]) {
        assert!(has(4 * line) && has(4 * line + 1), "one of H = {}, {} is missing", 4 * line, 4 * line + 1);
    }
}

#[test]
fn every_shape_is_within_a_millionth_of_the_oracle() {
    for (n, shape) in GRID.iter().enumerate() {
        accuracy(shape, n as u64, steps(48));
    }
}

#[test]
fn every_shape_gives_the_same_bits_on_every_instruction_set_and_however_the_work_is_cut() {
    for (n, shape) in GRID.iter().enumerate() {
        let mut random = Random::new(1000 + n as u64);
        let (seq_len, streams) = if shape.hidden > 100 { (5, 3) } else { (13, 9) };
        let chunks = vec![0, 1, 4, 2];
        same_bits(shape, &mut random, if n % 2 == 0 { 1.0 } else { 4.0 }, seq_len, streams, &chunks);
    }
}

proptest! {
    #![proptest_config(random_cases(32))]

    #[test]
    fn any_cell_stays_within_a_millionth_of_the_oracle_for_512_steps(
        shape in 0..GRID.len(),
        seed in any::<u64>(),
    ) {
        accuracy(&GRID[shape], seed, steps(STEPS));
    }
}

proptest! {
    #![proptest_config(random_cases(128))]

    #[test]
    fn step_and_step_batch_and_run_give_the_same_bits_on_every_instruction_set(
        shape in 0..GRID.len(),
        seed in any::<u64>(),
        scale in prop_oneof![Just(1.0), Just(4.0)],
        seq_len in 1..=33usize,
        streams in 0..=19usize,
        chunks in proptest::collection::vec(0..=9usize, 1..=5),
    ) {
        let shape = &GRID[shape];
        let (seq_len, streams) = if shape.hidden > 100 { (seq_len.min(8), streams.min(5)) } else { (seq_len, streams) };
        same_bits(shape, &mut Random::new(seed), scale, seq_len, streams, &chunks);
    }
}

/// Runs `steps` steps of a random cell on every instruction set beside the oracle.
fn accuracy(shape: &Shape, seed: u64, steps: usize) {
    let mut random = Random::new(seed);
    let model = Model::random(shape, &mut random, 1.0);
    let (h, c) = (random.uniforms(shape.hidden, 1.0), random.uniforms(shape.hidden, 1.0));
    let seq = random.normals(steps * shape.input);

    let mut oracle = model.oracle(&h, &c);
    let expected: Vec<_> = seq
        .chunks_exact(shape.input)
        .map(|x| {
            oracle.step(x);
            (oracle.h.clone(), oracle.c.clone())
        })
        .collect();

    for isa in isas() {
        let cell = shape.cell(&model.weights(), isa);
        let mut states = cell.states(1);
        states.set(0, &h, &c);
        for (t, (x, (h, c))) in seq.chunks_exact(shape.input).zip(&expected).enumerate() {
            let found = cell.step(x, &mut *states, 0);
            assert!(found.iter().all(|h| h.abs() <= MOST_H), "{shape} on {isa}, step {t}: |h| > 1 in {found:?}");
            assert_within(found, h, promise(shape), format_args!("{shape} on {isa}, seed {seed}: h after step {t}"));
            assert_within(
                states.c(0),
                c,
                promise(shape),
                format_args!("{shape} on {isa}, seed {seed}: c after step {t}"),
            );
        }
    }
}

/// `streams` sequences of `seq_len` steps: by `step` on the portable kernels, which is the expectation, then by
/// `step`, `step_batch`, `run` and `run` in chunks (whose lengths are `chunks`, repeated) on every instruction set.
fn same_bits(shape: &Shape, random: &mut Random, scale: f64, seq_len: usize, streams: usize, chunks: &[usize]) {
    let model = Model::random(shape, random, scale);
    let data: Vec<Stream> = (0..streams).map(|_| Stream::random(shape, random, seq_len)).collect();
    let expected: Vec<Outcome> = {
        let cell = shape.cell(&model.weights(), lstm_kernels::Isa::Scalar);
        data.iter().map(|stream| by_step(&*cell, shape, stream)).collect()
    };
    for isa in isas() {
        let cell = shape.cell(&model.weights(), isa);
        for (stream, expected) in data.iter().zip(&expected) {
            by_step(&*cell, shape, stream).check(expected, format!("{shape} by step on {isa}"));
            by_run(&*cell, shape, stream, &[seq_len]).check(expected, format!("{shape} by run on {isa}"));
            let chunked = by_run(&*cell, shape, stream, chunks);
            chunked.check(expected, format!("{shape} by run in chunks of {chunks:?} on {isa}"));
        }
        let found = by_step_batch(&*cell, shape, &data, seq_len);
        for (n, (found, expected)) in found.iter().zip(&expected).enumerate() {
            found.check(expected, format!("{shape}, stream {n} of {streams} by step_batch on {isa}"));
        }
    }
}

/// What one stream starts from and takes in.
struct Stream {
    h: Vec<f32>,
    c: Vec<f32>,
    seq: Vec<f32>,
}

impl Stream {
    fn random(shape: &Shape, random: &mut Random, seq_len: usize) -> Self {
        Self {
            h: random.uniforms(shape.hidden, 1.0),
            c: random.normals(shape.hidden),
            seq: random.normals(seq_len * shape.input),
        }
    }
}

/// Each h of a sequence, and the c at its end.
struct Outcome {
    h: Vec<f32>,
    c: Vec<f32>,
}

impl Outcome {
    #[track_caller]
    fn check(&self, expected: &Self, what: String) {
        assert_same_bits(&self.h, &expected.h, format_args!("{what}: h"));
        assert_same_bits(&self.c, &expected.c, format_args!("{what}: c"));
    }
}

fn by_step(cell: &dyn AnyCell, shape: &Shape, stream: &Stream) -> Outcome {
    let mut states = cell.states(1);
    states.set(0, &stream.h, &stream.c);
    let mut h = Vec::new();
    for x in stream.seq.chunks_exact(shape.input) {
        h.extend_from_slice(cell.step(x, &mut *states, 0));
        assert_same_bits(&h[h.len() - shape.hidden..], states.h(0), "what step returns is the state's h");
    }
    Outcome { h, c: states.c(0).to_vec() }
}

fn by_step_batch(cell: &dyn AnyCell, shape: &Shape, data: &[Stream], seq_len: usize) -> Vec<Outcome> {
    let mut states = cell.states(data.len());
    for (n, stream) in data.iter().enumerate() {
        states.set(n, &stream.h, &stream.c);
    }
    let mut h = vec![Vec::new(); data.len()];
    for t in 0..seq_len {
        let xs: Vec<f32> =
            data.iter().flat_map(|stream| &stream.seq[t * shape.input..][..shape.input]).copied().collect();
        cell.step_batch(&xs, &mut *states).expect("as many inputs as states");
        for (n, h) in h.iter_mut().enumerate() {
            h.extend_from_slice(states.h(n));
        }
    }
    h.into_iter().enumerate().map(|(n, h)| Outcome { h, c: states.c(n).to_vec() }).collect()
}

fn by_run(cell: &dyn AnyCell, shape: &Shape, stream: &Stream, chunks: &[usize]) -> Outcome {
    let seq_len = stream.seq.len() / shape.input;
    let mut states = cell.states(1);
    states.set(0, &stream.h, &stream.c);
    let mut h = vec![f32::NAN; seq_len * shape.hidden];
    let (mut done, mut wanted) = (0, chunks.iter().copied().chain([1]).cycle());
    while done < seq_len {
        let len = wanted.next().unwrap_or(1).min(seq_len - done);
        let seq = &stream.seq[done * shape.input..][..len * shape.input];
        cell.run(seq, &mut *states, 0, &mut h[done * shape.hidden..][..len * shape.hidden]).expect("equal lengths");
        done += len;
    }
    Outcome { h, c: states.c(0).to_vec() }
}
