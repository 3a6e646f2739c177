//! The example on PyTorch's page of `torch.nn.LSTMCell`, line by line (with 5 time steps).
//!
//! `cargo run --release --example tutorial_cell`

use lstm_kernels::{LstmWeights, lstm_cell};

// rnn = nn.LSTMCell(10, 20)  # (input_size, hidden_size)
lstm_cell!(in=10, hidden=20);

/// Numbers in place of `torch.randn`, the same at every run.
fn numbers(len: usize) -> Vec<f32> {
    (0..len).map(|n| (n as f32 * 12.9898).sin() * 0.2).collect()
}

fn main() -> Result<(), lstm_kernels::Error> {
    let (weight_ih, weight_hh, bias) = (numbers(80 * 10), numbers(80 * 20), numbers(80));
    let rnn = LSTMCell::new(&LstmWeights::torch(&weight_ih, &weight_hh, Some((&bias, &bias))))?;

    // input = torch.randn(5, 3, 10)  # (time_steps, batch, input_size)
    let input: Vec<[[f32; 10]; 3]> = numbers(5 * 3 * 10).as_chunks::<10>().0.as_chunks::<3>().0.to_vec();

    // hx = torch.randn(3, 20)  # (batch, hidden_size)
    // cx = torch.randn(3, 20)
    let mut states = [LSTMCellState::new(&[0.1; 20], &[-0.1; 20]); 3];

    // output = []
    // for i in range(input.size()[0]):
    //     hx, cx = rnn(input[i], (hx, cx))
    //     output.append(hx)
    // output = torch.stack(output, dim=0)
    let mut output: Vec<[[f32; 20]; 3]> = Vec::new();
    for x in &input {
        rnn.step_batch(x, &mut states)?;
        output.push(states.each_ref().map(|state| *state.h()));
    }

    println!("output: [{}, {}, {}] on `{}`", output.len(), output[0].len(), output[0][0].len(), rnn.isa());
    println!("the last h of the first sequence begins with {:.4?}", &output[4][0][..4]);
    Ok(())
}
