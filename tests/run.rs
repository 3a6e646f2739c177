//! A cell whose weights no near cache holds does x's part of some time steps of `run` ahead: sequences of any length
//! have the bits of a `step` each, and their outputs those of `step_out`.

use lstm_kernels::{LstmWeights, lstm_cell};
use support::{Random, assert_same_bits, isas};

/// Around what may be ahead: up to 32 steps, or fewer as the lines of a step are more.
const LENGTHS: [usize; 15] = [0, 1, 2, 3, 4, 7, 8, 15, 16, 19, 20, 31, 33, 64, 71];
const LONGEST: usize = LENGTHS[LENGTHS.len() - 1];

macro_rules! same_bits {
    ($test:ident, $input:literal, $hidden:literal, $dtype:ident) => {
        #[test]
        fn $test() {
            lstm_cell!(struct Cell, in=$input, hidden=$hidden, out=2, dtype=$dtype);
            let mut random = Random::new($hidden);
            let bound = 1.0 / f64::from($hidden as u32).sqrt();
            let [weight_ih, weight_hh, bias, weight, head_bias] =
                [$input * 4 * $hidden, $hidden * 4 * $hidden, 4 * $hidden, 2 * $hidden, 2]
                    .map(|len| random.uniforms(len, bound));
            let weights = LstmWeights::torch(&weight_ih, &weight_hh, Some((&bias, &bias)));
            let weights = weights.with_head(&weight, Some(&head_bias));
            let seq: [[f32; $input]; LONGEST] =
                std::array::from_fn(|_| std::array::from_fn(|_| random.normals(1)[0]));
            let mut lanes = || std::array::from_fn(|_| random.uniforms(1, 1.0)[0]);
            let start = CellState::new(&lanes(), &lanes());
            for isa in isas() {
                let cell = Cell::with_isa_boxed(&weights, isa).expect("finite weights");
                let mut state = start;
                let expected: Vec<_> = seq
                    .iter()
                    .map(|x| {
                        let y = cell.step_out(x, &mut state);
                        (y, state)
                    })
                    .collect();
                for len in LENGTHS {
                    let what = format!("({}, {}) on {isa}, {len} steps", $input, $hidden);
                    let last = if len > 0 { expected[len - 1].1 } else { start };
                    let (mut state, mut out) = (start, vec![[f32::NAN; $hidden]; len]);
                    cell.run(&seq[..len], &mut state, &mut out).expect("as many inputs as outputs");
                    for (h, (_, expected)) in out.iter().zip(&expected) {
                        assert_same_bits(h, expected.h(), format_args!("{what}: h"));
                    }
                    assert_same_bits(state.h(), last.h(), format_args!("{what}: h of the state"));
                    assert_same_bits(state.c(), last.c(), format_args!("{what}: c of the state"));

                    let (mut state, mut out) = (start, vec![[f32::NAN; 2]; len]);
                    cell.run_out(&seq[..len], &mut state, &mut out).expect("as many inputs as outputs");
                    for (y, (expected, _)) in out.iter().zip(&expected) {
                        assert_same_bits(y, expected, format_args!("{what}: y"));
                    }
                    assert_same_bits(state.c(), last.c(), format_args!("{what}: c of the state, with outputs"));
                }
            }
        }
    };
}

same_bits!(one_group, 10, 20, f32);
same_bits!(blocks_of_inputs, 130, 64, f32);
same_bits!(many_steps_ahead_of_f16, 40, 72, f16);

// The same code for more sizes, each of which takes a debug build ten seconds.
#[cfg(all_cells)]
mod more {
    use super::*;

    same_bits!(large_group, 40, 40, f32);
    same_bits!(large_group_of_bf16, 47, 47, bf16);
    same_bits!(large_group_of_f16, 41, 41, f16);
    same_bits!(few_inputs, 7, 52, f32);
    same_bits!(few_steps_ahead, 70, 260, f32);
    same_bits!(many_steps_ahead, 8, 49, f32);
    same_bits!(many_steps_ahead_of_bf16, 9, 100, bf16);
}
