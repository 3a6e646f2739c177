//! The example on PyTorch's page of `torch.nn.LSTM`, with one compile-time cell for each of its two layers.
//!
//! `cargo run --release --example tutorial_sequence`

use lstm_kernels::{LstmWeights, lstm_cell, reference};

// rnn = nn.LSTM(10, 20, 2)  # (input_size, hidden_size, num_layers)
lstm_cell!(struct Layer0, in=10, hidden=20);
lstm_cell!(struct Layer1, in=20, hidden=20);

/// Numbers in place of `torch.randn`, the same at every run.
fn numbers(len: usize) -> Vec<f32> {
    (0..len).map(|n| (n as f32 * 12.9898).sin() * 0.2).collect()
}

fn main() -> Result<(), lstm_kernels::Error> {
    let (weight_ih_l0, weight_ih_l1, weight_hh, bias) =
        (numbers(80 * 10), numbers(80 * 20), numbers(80 * 20), numbers(80));
    let weights_l0 = LstmWeights::torch(&weight_ih_l0, &weight_hh, Some((&bias, &bias)));
    let weights_l1 = LstmWeights::torch(&weight_ih_l1, &weight_hh, Some((&bias, &bias)));
    let (layer_0, layer_1) = (Layer0::new(&weights_l0)?, Layer1::new(&weights_l1)?);

    // input = torch.randn(5, 3, 10)  # here three sequences of five inputs
    let input: Vec<[[f32; 10]; 5]> = numbers(3 * 5 * 10).as_chunks::<10>().0.as_chunks::<5>().0.to_vec();

    // h0 = torch.randn(2, 3, 20), c0 = torch.randn(2, 3, 20)
    let (h_0, c_0) = ([0.1; 20], [-0.1; 20]);

    // output, (hn, cn) = rnn(input, (h0, c0))
    let mut largest = 0f64;
    for (number, sequence) in input.iter().enumerate() {
        let (mut state_0, mut state_1) = (Layer0State::new(&h_0, &c_0), Layer1State::new(&h_0, &c_0));
        let (mut between, mut output) = ([[0.0; 20]; 5], [[0.0; 20]; 5]);
        layer_0.run(sequence, &mut state_0, &mut between)?;
        layer_1.run(&between, &mut state_1, &mut output)?;
        println!("sequence {number}: output [5, 20], h_n of the last layer begins with {:.4?}", &state_1.h()[..4]);

        // The same in f64.
        let (oracle_0, oracle_1) =
            (reference::Cell::new(&weights_l0, 10, 20)?, reference::Cell::new(&weights_l1, 20, 20)?);
        let [mut h0, mut c0, mut h1, mut c1] = [h_0, c_0, h_0, c_0].map(|v| v.map(f64::from));
        for (x, ours) in sequence.iter().zip(&output) {
            oracle_0.step(&x.map(f64::from), &mut h0, &mut c0);
            oracle_1.step(&h0, &mut h1, &mut c1);
            largest = ours.iter().zip(h1).map(|(a, b)| (f64::from(*a) - b).abs()).fold(largest, f64::max);
        }
    }
    println!("largest difference from an f64 LSTM: {largest:.1e}");
    assert!(largest < 1e-6);
    Ok(())
}
