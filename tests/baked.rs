//! Weights that the macro has read at compile time: the same bits as those read at run time, PyTorch's values, and
//! nothing to do at start-up.
#![forbid(unsafe_code)]
#![deny(warnings, missing_docs)]

use lstm_kernels::lstm::Input;
use lstm_kernels::{Error, Isa, Layer, Lstm, LstmWeights, StateDict, lstm_cell};
use support::{Close, TensorFile, assert_same_bits, assert_within, isas};

/// Against PyTorch in float64.
const PROMISE: Close = Close::Absolute(1e-6);

/// The same for weights in half precision.
const ROUNDED: Close = Close::Absolute(2e-2);

const MODELS: &str = "bake/models.safetensors";

macro_rules! cases {
    ($($name:ident: $input:tt $hidden:tt $out:tt $bias:tt $prefix:tt $head:tt $dtype:ident $promise:ident,)*) => { $(
        mod $name {
            use super::*;

            lstm_cell!(pub struct Cell, in=$input, hidden=$hidden, out=$out, bias=$bias, dtype=$dtype,
                weights="data/bake/models.safetensors", prefix=$prefix, head=$head);

            static BAKED: Cell = Cell::baked();

            fn loaded(isa: Isa) -> Cell {
                let file = StateDict::read(include_bytes!("data/bake/models.safetensors")).expect("a file");
                let (lstm, head) = (file.cell($prefix).expect("an LSTM"), file.linear($head).expect("a linear layer"));
                assert_eq!((head.in_features, head.out_features, head.bias.is_some()), ($hidden, $out, $bias));
                Cell::with_isa(&lstm.view().with_head(&head.weight, head.bias.as_deref()), isa).expect("good weights")
            }

            #[test]
            fn has_the_bits_of_the_loaded_cell_and_the_values_of_torch() {
                let file = TensorFile::read(MODELS);
                let golden = |name: &str| format!("{}.golden.{name}", $prefix.trim_end_matches(".rec"));
                let (xs, hs, ys) = (file.f32s(&golden("x")), file.f64s(&golden("h")), file.f64s(&golden("y")));
                let xs = xs.as_chunks::<$input>().0;
                assert!(xs.len() == 24 && hs.len() == 24 * $hidden && ys.len() == 24 * $out);
                let file = StateDict::read(include_bytes!("data/bake/models.safetensors")).expect("a file");
                let head = file.linear($head).expect("a linear layer");
                for isa in isas() {
                    let (on_isa, loaded) = (Cell::baked_with_isa(isa).expect("it is there"), loaded(isa));
                    assert_eq!((on_isa.isa(), loaded.isa()), (isa, isa));
                    let [mut a, mut b, mut c] = [Cell::zero_state(); 3];
                    for (t, x) in xs.iter().enumerate() {
                        let y = loaded.step_out(x, &mut a);
                        let mut applied = [f32::NAN; $out];
                        head.apply(a.h(), &mut applied).expect("one row");
                        assert_same_bits(&applied, &y, format_args!("{isa}: y by the tensors after step {t}"));
                        for (cell, state) in [(&BAKED, &mut b), (&on_isa, &mut c)] {
                            assert_same_bits(&cell.step_out(x, state), &y, format_args!("{isa}: y after step {t}"));
                            assert_same_bits(state.h(), a.h(), format_args!("{isa}: h after step {t}"));
                            assert_same_bits(state.c(), a.c(), format_args!("{isa}: c after step {t}"));
                        }
                        assert_within(a.h(), &hs[t * $hidden..][..$hidden], $promise, format_args!("h after step {t}"));
                        assert_within(&y, &ys[t * $out..][..$out], $promise, format_args!("y after step {t}"));
                    }
                }
            }
        }
    )* };
}

cases! {
    tutorial: 10 20 2 true "tutorial.rec" "tutorial.lin" f32 PROMISE,
    plain: 3 5 1 false "plain.rec" "plain.lin" f32 PROMISE,
    f16: 2 9 1 true "f16.rec" "f16.lin" f32 PROMISE,
    bf16: 2 9 1 true "bf16.rec" "bf16.lin" f32 PROMISE,
    f64: 2 9 1 true "f64.rec" "f64.lin" f32 PROMISE,
    half_odd: 7 39 17 true "odd.rec" "odd.lin" f16 ROUNDED,
    pairs_groups: 2 53 1 true "groups.rec" "groups.lin" bf16 ROUNDED,
}

// The same code for more sizes.
#[cfg(all_cells)]
cases! {
    amp: 1 16 1 true "amp.rec" "amp.lin" f32 PROMISE,
    odd: 7 39 17 true "odd.rec" "odd.lin" f32 PROMISE,
    groups: 2 53 1 true "groups.rec" "groups.lin" f32 PROMISE,
    half_amp: 1 16 1 true "amp.rec" "amp.lin" f16 ROUNDED,
    half_groups: 2 53 1 true "groups.rec" "groups.lin" f16 ROUNDED,
    pairs_plain: 3 5 1 false "plain.rec" "plain.lin" bf16 ROUNDED,
    pairs_odd: 7 39 17 true "odd.rec" "odd.lin" bf16 ROUNDED,
}

lstm_cell!(struct Root, in=4, hidden=6, out=2, weights="data/bake/root.safetensors");
lstm_cell!(struct RootCell, in=4, hidden=6, weights="data/bake/root.safetensors");
// A dot may end a path, as in the library's `from_state_dict`.
lstm_cell!(struct Dotted, in=4, hidden=6, out=2, weights="data/bake/root.safetensors", prefix="", head="linear.");

#[test]
fn without_prefix_and_head_the_tensors_stand_at_the_root_and_in_linear() {
    let file = TensorFile::read("bake/root.safetensors");
    let [ih, hh, bias_ih, bias_hh, weight] =
        ["weight_ih", "weight_hh", "bias_ih", "bias_hh", "linear.weight"].map(|name| file.f32s(name));
    let lstm = LstmWeights::torch(&ih, &hh, Some((&bias_ih, &bias_hh)));
    // This Linear was made with bias=False.
    let loaded = Root::new(&lstm.with_head(&weight, None)).expect("good weights");
    let [mut a, mut b, mut c, mut d, mut e] = [Root::zero_state(); 5];
    for x in [[1.0, -2.0, 3.0, -4.0], [0.5; 4]] {
        assert_same_bits(&Root::baked().step_out(&x, &mut a), &loaded.step_out(&x, &mut b), "y");
        assert_same_bits(RootCell::baked().step(&x, &mut c), a.h(), "h of the cell without a head");
        assert_same_bits(&Dotted::baked().step_out(&x, &mut d), &loaded.step_out(&x, &mut e), "y by a dotted path");
    }
}

lstm_cell!(struct Lower, in=10, hidden=20, weights="data/model.safetensors", prefix="lstm", layer=0);
lstm_cell!(struct Upper, in=20, hidden=20, weights="data/model.safetensors", prefix="lstm", layer=1);

#[test]
fn the_layers_of_an_lstm_are_baked_one_by_one() {
    static STACK: (Lower, Upper) = (Lower::baked(), Upper::baked());
    let lstm = Lstm::from_state_dict(include_bytes!("data/model.safetensors"), "lstm").expect("an LSTM of two layers");
    let x: [[f32; 10]; 7] = core::array::from_fn(|t| core::array::from_fn(|n| (t * n) as f32 / 10.0 - 1.0));
    let (mut state, mut out) = (<(Lower, Upper)>::zero_state(), [[0.0; 20]; 7]);
    STACK.run(&x, &mut state, &mut out).expect("equal lengths");
    let expected = lstm.forward(Input::new(x.as_flattened(), &[7, 10]), None).expect("right shapes");
    assert_same_bits(out.as_flattened(), &expected.output.data, "both layers");
    assert_same_bits(&[*state.0.h(), *state.1.h()].concat(), &expected.h_n.data, "h_n");
}

#[test]
fn a_baked_cell_says_what_it_runs_on() {
    static CELL: Root = Root::baked();
    assert_eq!(Some(CELL.isa()), isas().last().copied());
    assert_eq!(CELL.clone().isa(), CELL.isa());
    for &isa in Isa::ALL {
        match (Root::baked_with_isa(isa), Root::baked_with_isa_boxed(isa)) {
            (Ok(cell), Ok(boxed)) => {
                assert!(isa.is_available() && cell.isa() == isa && boxed.isa() == isa);
                let [mut a, mut b] = [Root::zero_state(); 2];
                assert_same_bits(&cell.step_out(&[0.5; 4], &mut a), &boxed.step_out(&[0.5; 4], &mut b), isa);
            }
            (Err(error), Err(same)) => {
                assert!(!isa.is_available() && error == Error::IsaUnavailable { isa } && same == error);
            }
            (on_stack, boxed) => panic!("{isa}: {on_stack:?} and {boxed:?}"),
        }
    }
}

/// A static that code initialises, or that holds an address, lies in memory that is written to at some time.
#[cfg(target_os = "linux")]
#[test]
fn a_baked_cell_lies_in_the_read_only_part_of_the_program_file() {
    static CELL: Root = Root::baked();
    let address = &raw const CELL as usize;
    let maps = std::fs::read_to_string("/proc/self/maps").expect("Linux has it");
    let holds = |line: &&str| {
        let (start, end) = line.split_once(' ')?.0.split_once('-')?;
        let (start, end) = (usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?);
        (start..end).contains(&address).then_some(())
    };
    let line = maps.lines().find(|line| holds(line).is_some()).expect("a mapping for each address");
    // A static program has its constants beside its code, in a mapping that may be executed: not written to, all the
    // same.
    assert!((line.contains(" r--p ") || line.contains(" r-xp ")) && line.contains('/'), "{line}");
    assert!(size_of::<Root>() >= 4 * 6 * (1 + 4 + 6) * 4, "the weights are inside");
}
