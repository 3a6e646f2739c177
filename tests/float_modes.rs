//! Flush-to-zero and denormals-are-zero, which most audio hosts switch on around a plug-in: the same bits with them
//! where all inputs fade together. (Where some are loud, a last bit may differ.)
#![cfg(target_arch = "x86_64")]

use std::arch::asm;

use lstm_kernels::lstm::Input;
use lstm_kernels::{Isa, LstmConfig, LstmWeights, lstm_cell};
use support::{LstmModel, Random, assert_same_bits, isas};

/// Both bits of MXCSR.
const FLUSH: u32 = 1 << 15 | 1 << 6;

fn set_modes(mxcsr: u32) {
    // SAFETY: it reads four bytes that are there. Its bits are those that it had, but for the two modes; what is
    // computed until they are restored runs in functions that the compiler cannot see through from here.
    unsafe { asm!("ldmxcsr [{}]", in(reg) &mxcsr, options(nostack, readonly)) }
}

fn modes() -> u32 {
    let mut mxcsr = 0u32;
    // SAFETY: it writes four bytes that are there.
    unsafe { asm!("stmxcsr [{}]", in(reg) &mut mxcsr, options(nostack)) }
    mxcsr
}

/// Does the work with subnormals flushed.
#[inline(never)]
fn flushed<T>(work: &dyn Fn() -> T) -> T {
    let before = modes();
    set_modes(before | FLUSH);
    let result = work();
    assert_eq!(modes() & FLUSH, FLUSH, "the library leaves the modes alone");
    set_modes(before);
    result
}

/// A signal that fades through all that f32 holds, into silence.
fn fading<const I: usize>(random: &mut Random) -> Vec<[f32; I]> {
    let level = |t: usize| if t < 600 { 0.7f32.powi(t as i32) } else { 0.0 };
    (0..3000).map(|t| std::array::from_fn(|_| level(t) * random.normal())).collect()
}

#[test]
fn the_modes_matter_to_what_is_not_ours() {
    let small = std::hint::black_box(1e-39f32);
    assert!(small * std::hint::black_box(0.5) != 0.0);
    assert!(flushed(&|| std::hint::black_box(1e-39f32) * std::hint::black_box(0.5)) == 0.0);
    assert_eq!(modes() & FLUSH, 0);
}

macro_rules! cells {
    ($($test:ident: $input:literal $hidden:literal $bias:literal $dtype:ident,)*) => { $(
        #[test]
        fn $test() {
            lstm_cell!(struct Cell, in=$input, hidden=$hidden, out=2, bias=$bias, dtype=$dtype);
            let mut random = Random::new($hidden);
            let model = LstmModel::random(LstmConfig::new($input, $hidden).bias($bias), &mut random, 1.0);
            let head: Vec<f32> = random.normals(2 * $hidden);
            let weights: LstmWeights<'_> = model.weights()[0].with_head(&head, None);
            let seq = fading::<$input>(&mut random);
            for isa in isas() {
                let cell = Cell::with_isa(&weights, isa).expect("good weights");
                let run = || {
                    let mut state = Cell::zero_state();
                    let mut out: Vec<f32> = Vec::new();
                    for x in &seq {
                        let y = cell.step_out(x, &mut state);
                        out.extend(y.iter().chain(state.h()).chain(state.c()));
                    }
                    out
                };
                assert_same_bits(&flushed(&run), &run(), format_args!("{isa}"));
            }
        }
    )* };
}

cells! {
    a_cell_without_bias: 1 16 false f32,
    a_cell_with_bias: 3 20 true f32,
    a_cell_of_several_groups: 2 70 false f32,
    a_cell_of_bf16: 1 16 false bf16,
}

#[test]
fn sequences() {
    let config = LstmConfig::new(16, 64).num_layers(2).bias(false);
    let mut random = Random::new(1);
    let model = LstmModel::random(config, &mut random, 1.0);
    let seq = fading::<16>(&mut random);
    for isa in isas().into_iter().filter(|&isa| isa != Isa::Scalar) {
        let lstm = model.lstm(isa);
        for batch in [1, 6] {
            let shape = [seq.len() / batch, batch, 16];
            let run = || lstm.forward(Input::new(seq.as_flattened(), &shape), None).expect("right shapes");
            let (found, expected) = (flushed(&run), run());
            assert_same_bits(&found.output.data, &expected.output.data, format_args!("{batch} on {isa}"));
            assert_same_bits(&found.c_n.data, &expected.c_n.data, format_args!("{batch} on {isa}: c_n"));
        }
    }
}
