//! Weights in the layouts of Keras and ONNX: the bits of the same weights in PyTorch's.

use lstm_kernels::{LstmWeights, lstm_cell};
use support::{Random, assert_same_bits, text_has};

#[test]
fn keras_and_onnx_give_the_bits_of_the_same_weights_of_torch() {
    const I: usize = 3;
    const H: usize = 5;
    lstm_cell!(struct Cell, in=3, hidden=5);
    let mut random = Random::new(1);
    let [ih, hh, b_ih, b_hh] = [4 * H * I, 4 * H * H, 4 * H, 4 * H].map(|len| random.uniforms(len, 0.5));
    let transposed = |tensor: &[f32], columns: usize| -> Vec<f32> {
        (0..columns).flat_map(|column| tensor.iter().skip(column).step_by(columns).copied()).collect()
    };
    // ONNX: i, o, f, c of torch's i, f, g, o.
    let onnx = |tensor: &[f32]| -> Vec<f32> {
        let gate = tensor.len() / 4;
        [0, 3, 1, 2].into_iter().flat_map(|n| tensor[n * gate..][..gate].to_vec()).collect()
    };
    let (kernel, recurrent) = (transposed(&ih, I), transposed(&hh, H));
    let (w, r, b) = (onnx(&ih), onnx(&hh), [onnx(&b_ih), onnx(&b_hh)].concat());
    let zero = [0.0; 4 * H];
    let cases = [
        ("Keras", LstmWeights::keras(&kernel, &recurrent, Some(&b_ih)), Some((&b_ih[..], &zero[..]))),
        ("ONNX", LstmWeights::onnx(&w, &r, Some(&b), None).unwrap(), Some((&b_ih[..], &b_hh[..]))),
    ];
    for (name, weights, bias) in cases {
        let [mut found, mut expected] = [Cell::zero_state(); 2];
        let (cell, torch) = (Cell::new(&weights).unwrap(), Cell::new(&LstmWeights::torch(&ih, &hh, bias)).unwrap());
        for x in random.normals(6 * I).as_chunks().0 {
            assert_same_bits(cell.step(x, &mut found), torch.step(x, &mut expected), name);
        }
    }
    for (name, weights) in [
        ("kernel", LstmWeights::keras(&kernel[1..], &recurrent, Some(&b_ih))),
        ("recurrent_kernel", LstmWeights::keras(&kernel, &recurrent[1..], Some(&b_ih))),
        ("bias", LstmWeights::keras(&kernel, &recurrent, Some(&b_ih[1..]))),
        ("W", LstmWeights::onnx(&w[1..], &r, Some(&b), None).unwrap()),
        ("R", LstmWeights::onnx(&w, &r[1..], Some(&b), None).unwrap()),
        ("B", LstmWeights::onnx(&w, &r, Some(&b_ih), None).unwrap()),
    ] {
        text_has(Cell::new(&weights).unwrap_err(), &[&format!("`{name}` has ")]);
    }
}
