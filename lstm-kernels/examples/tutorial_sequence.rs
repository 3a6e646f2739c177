//! The example on PyTorch's page of `torch.nn.LSTM`, with one compile-time cell for each of its two layers.
//!
//! `cargo run --release --example tutorial_sequence`

use lstm_kernels::lstm::Input;
use lstm_kernels::{Layer, LstmConfig, LstmWeights, lstm_cell, reference};

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
    let weights = [
        LstmWeights::torch(&weight_ih_l0, &weight_hh, Some((&bias, &bias))),
        LstmWeights::torch(&weight_ih_l1, &weight_hh, Some((&bias, &bias))),
    ];
    let rnn = (Layer0::new(&weights[0])?, Layer1::new(&weights[1])?);

    // input = torch.randn(5, 3, 10)  # here three sequences of five inputs
    let input: Vec<[[f32; 10]; 5]> = numbers(3 * 5 * 10).as_chunks::<10>().0.as_chunks::<5>().0.to_vec();

    // h0 = torch.randn(2, 3, 20), c0 = torch.randn(2, 3, 20)
    let (h_0, c_0) = ([0.1; 20], [-0.1; 20]);

    // output, (hn, cn) = rnn(input, (h0, c0))
    let oracle = reference::Lstm::new(LstmConfig::new(10, 20).num_layers(2), &weights)?;
    let mut largest = 0f64;
    for (number, sequence) in input.iter().enumerate() {
        let mut state = (Layer0State::new(&h_0, &c_0), Layer1State::new(&h_0, &c_0));
        let mut output = [[0.0; 20]; 5];
        rnn.run(sequence, &mut state, &mut output)?;
        println!("sequence {number}: output [5, 20], h_n of the last layer begins with {:.4?}", &state.1.h()[..4]);

        // The same in f64.
        let input = Input::new(sequence.as_flattened(), &[5, 10]);
        let expected = oracle.forward(input, Some(([h_0; 2].as_flattened(), [c_0; 2].as_flattened())))?.output;
        let difference = |(ours, exact): (&f32, f64)| (f64::from(*ours) - exact).abs();
        largest = output.as_flattened().iter().zip(expected).map(difference).fold(largest, f64::max);
    }
    println!("largest difference from an f64 LSTM: {largest:.1e}");
    assert!(largest < 1e-6);
    Ok(())
}
