//! The README shows what is run: its "three lines" are a file that the library's documentation runs as a test, its
//! first two examples are run here.

use lstm_kernels::{LstmWeights, lstm_cell};

const README: &str = include_str!("../README.md");

#[test]
fn the_three_lines_of_the_readme_are_those_that_are_run() {
    let lines = include_str!("../lstm-kernels/src/from_pytorch/three_lines.rs");
    assert!(README.contains(&format!("```rust\n{lines}```\n")), "expected in README.md:\n{lines}");
}

lstm_cell!(in=10, hidden=20); // struct LSTMCell

#[test]
fn the_first_example_of_the_readme_does_what_its_comments_say() -> Result<(), lstm_kernels::Error> {
    let (w_ih, w_hh, b_ih, b_hh) = ([0.1; 80 * 10], [0.1; 80 * 20], [0.0; 80], [0.0; 80]);
    let (x, xs, seq) = ([0.5; 10], [[0.5; 10]; 3], [[0.5; 10]; 4]);
    let (mut states, mut out) = ([LSTMCell::zero_state(); 3], [[0.0; 20]; 4]);

    let weights = LstmWeights::torch(&w_ih, &w_hh, Some((&b_ih, &b_hh))); // [4H,I], [4H,H], [4H], [4H]; gates i,f,g,o
    let cell = LSTMCell::new(&weights)?; // typed error: wrong length, non-finite value
    let mut state = LSTMCell::zero_state(); // h() and c(): &[f32; 20]
    let h: &[f32; 20] = cell.step(&x, &mut state); // one time step, x: &[f32; 10]
    let first = *h;
    cell.step_batch(&xs, &mut states)?; // many streams through the same weights
    cell.run(&seq, &mut state, &mut out)?; // a whole sequence

    assert!(states.iter().all(|state| *state.h() == first), "all streams were given the same");
    assert!(out[3] == *state.h() && out[0] != first, "the sequence goes on from the state");
    Ok(())
}

// A PyTorch state_dict, checked as you compile: self.lstm = nn.LSTM(1, 16), self.linear = nn.Linear(16, 1)
lstm_cell!(struct Amp, in=1, hidden=16, out=1, weights="data/bake/amp.safetensors", prefix="lstm");
static AMP: Amp = Amp::baked(); // no work at start-up, no heap, no parser in the program

#[test]
fn the_second_example_of_the_readme_is_a_model() -> Result<(), lstm_kernels::Error> {
    let (x, mut state) = ([0.5], Amp::zero_state());
    let (block, mut ys) = ([[0.5]; 2], [[0.0]; 2]);

    let [y] = AMP.step_out(&x, &mut state); // one sample
    assert!(y.is_finite() && state.h() != &[0.0; 16]);
    AMP.run_out(&block, &mut state, &mut ys)?; // a block of them, &[[f32; 1]]
    // A host's buffers need no copy: buffer.as_chunks::<1>().0 and output.as_chunks_mut::<1>().0
    assert!(ys[0] != [y] && ys[0] != ys[1], "the block goes on from the state");
    Ok(())
}

#[test]
fn the_first_examples_of_the_readme_are_those_above() {
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let here: Vec<String> = include_str!("readme.rs").replace("data/bake/", "").lines().map(words).collect();
    for (n, least) in [(1, 8), (2, 5)] {
        let example = README.split("```rust\n").nth(n).and_then(|rest| rest.split("```").next()).expect("an example");
        let lines: Vec<String> = example.lines().map(words).filter(|line| !line.is_empty()).collect();
        assert!(lines.len() >= least, "the example is gone");
        for line in lines {
            assert!(here.contains(&line), "not run here: {line}");
        }
    }
}
