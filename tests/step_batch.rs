//! A cell of several groups takes streams over its weights together, two, four, or if it is large up to 32: any number
//! of them, with the bits of a `step` each.

use lstm_kernels::{LstmWeights, lstm_cell};
use support::{Random, assert_same_bits, isas};

/// Around what may be taken together: tiles of 4, and 8, 16 or 32 streams.
const STREAMS: [usize; 17] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 16, 17, 19, 32, 33, 36];

macro_rules! same_bits {
    ($test:ident, $input:literal, $hidden:literal, $dtype:ident, $kib:expr) => {
        #[test]
        fn $test() {
            lstm_cell!(struct Cell, in=$input, hidden=$hidden, dtype=$dtype);
            assert!($kib.contains(&(size_of::<Cell>() >> 10)), "{} KiB", size_of::<Cell>() >> 10);
            let mut random = Random::new($hidden);
            let bound = 1.0 / f64::from($hidden as u32).sqrt();
            let [weight_ih, weight_hh, bias] =
                [$input * 4 * $hidden, $hidden * 4 * $hidden, 4 * $hidden].map(|len| random.uniforms(len, bound));
            let weights = LstmWeights::torch(&weight_ih, &weight_hh, Some((&bias, &bias)));
            let (most, steps) = (STREAMS[STREAMS.len() - 1], 2);
            let xs: Vec<[[f32; $input]; STREAMS[STREAMS.len() - 1]]> = (0..steps)
                .map(|_| std::array::from_fn(|_| std::array::from_fn(|_| random.normals(1)[0])))
                .collect();
            let start: Vec<CellState> = (0..most)
                .map(|_| {
                    let mut lanes = || std::array::from_fn(|_| random.uniforms(1, 1.0)[0]);
                    CellState::new(&lanes(), &lanes())
                })
                .collect();
            for isa in isas() {
                let cell = Cell::with_isa_boxed(&weights, isa).expect("finite weights");
                let mut expected = start.clone();
                for xs in &xs {
                    for (x, state) in xs.iter().zip(&mut expected) {
                        cell.step(x, state);
                    }
                }
                for streams in STREAMS {
                    let mut states = start[..streams].to_vec();
                    for xs in &xs {
                        cell.step_batch(&xs[..streams], &mut states).expect("as many inputs as states");
                    }
                    for (n, (found, expected)) in states.iter().zip(&expected).enumerate() {
                        let what = format!("({}, {}) on {isa}, stream {n} of {streams}", $input, $hidden);
                        assert_same_bits(found.h(), expected.h(), format_args!("{what}: h"));
                        assert_same_bits(found.c(), expected.c(), format_args!("{what}: c"));
                    }
                }
            }
        }
    };
}

same_bits!(two_and_four_together_of_bf16, 5, 100, bf16, 32..256);
same_bits!(up_to_16_together, 70, 260, f32, 256..);
same_bits!(from_five_on_together_of_bf16, 40, 196, bf16, 256..);

// The same code for more sizes.
#[cfg(all_cells)]
mod more {
    use super::*;

    same_bits!(two_and_four_together, 31, 60, f32, 32..256);
    same_bits!(up_to_32_together, 3, 129, f32, 256..);
    same_bits!(up_to_8_together, 2, 513, f32, 256..);
    same_bits!(from_five_on_together_of_f16, 20, 130, f16, 128..256);
}
