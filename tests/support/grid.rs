//! The grid of cells, each made by `lstm_cell!`.

use lstm_kernels::{Boxed, Dtype, Error, Isa, LstmWeights};

use crate::erased::{AnyCell, erase};

type Make = fn(&LstmWeights<'_>, Isa) -> Result<Box<dyn AnyCell>, Error>;

/// A cell type of the grid.
#[derive(Debug)]
pub struct Shape {
    /// Inputs.
    pub input: usize,
    /// Hidden units.
    pub hidden: usize,
    /// Whether the cell has a bias.
    pub bias: bool,
    /// What the weights are stored as.
    pub dtype: Dtype,
    make: Make,
}

impl Shape {
    /// The shape of the grid with these sizes and weights of f32, if there is one.
    pub fn find(input: usize, hidden: usize, bias: bool) -> Option<&'static Self> {
        GRID.iter()
            .find(|shape| shape.dtype == Dtype::F32 && (shape.input, shape.hidden, shape.bias) == (input, hidden, bias))
    }

    /// A cell of this shape, by `with_isa` (`with_isa_boxed` where it is large).
    pub fn cell(&self, weights: &LstmWeights<'_>, isa: Isa) -> Box<dyn AnyCell> {
        let cell = (self.make)(weights, isa).unwrap_or_else(|error| panic!("{self}: {error}"));
        assert_eq!(cell.isa(), isa, "{self}: `isa` must say what `with_isa` was given");
        cell
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "({}, {}, {:?}{})", self.input, self.hidden, self.dtype, if self.bias { "" } else { ", no bias" })
    }
}

macro_rules! dtype {
    (f32) => {
        Dtype::F32
    };
    (f16) => {
        Dtype::F16
    };
    (bf16) => {
        Dtype::Bf16
    };
}

macro_rules! grid {
    ($($name:ident: $input:tt $hidden:tt $bias:tt $dtype:ident,)*
        ; large: $($large:ident: $large_input:tt $large_hidden:tt,)*
        ; release: $($more:ident: $more_input:tt $more_hidden:tt $more_bias:tt $more_dtype:ident,)*) => {
        $( grid!(@ $name $input $hidden $bias $dtype); )*
        $(
            mod $large {
                lstm_kernels::lstm_cell!(pub struct Cell, in=$large_input, hidden=$large_hidden);
                pub type Inner = <Cell as lstm_kernels::cell::Wraps>::Cell;
                super::erase!(Inner, $large_input, $large_hidden);
            }
        )*
        $(
            #[cfg(all_cells)]
            grid!(@ $more $more_input $more_hidden $more_bias $more_dtype);
        )*

        /// How many shapes the [`GRID`] has without `all_cells`: the first ones.
        pub const CORE: usize = [$(stringify!($name),)* $(stringify!($large),)*].len();

        /// With `all_cells`: every H mod 16, H on both sides of every multiple of 4 up to 70 (where a line of the
        /// packed tensor begins; above 48 there is more than one group of them) and of 80, even and odd numbers of
        /// inputs, and the shapes of PyTorch's goldens. Without: each number of lines in a last group, one block of
        /// inputs and more, and the goldens'.
        pub static GRID: &[Shape] = &[
            $( grid!(@ $name $bias $dtype), )*
            $(Shape {
                input: $large::Cell::INPUT,
                hidden: $large::Cell::HIDDEN,
                bias: true,
                dtype: Dtype::F32,
                // In two steps: a 2 MiB cell never passes through a test thread's stack of 2 MiB.
                make: |weights, isa| {
                    let cell: Boxed<$large::Cell> = $large::Cell::with_isa_boxed(weights, isa)?;
                    Ok(cell)
                },
            },)*
            $( #[cfg(all_cells)] grid!(@ $more $more_bias $more_dtype), )*
        ];
    };
    (@ $name:ident $input:tt $hidden:tt $bias:tt $dtype:ident) => {
        mod $name {
            lstm_kernels::lstm_cell!(pub struct Cell, in=$input, hidden=$hidden, bias=$bias, dtype=$dtype);
            super::erase!(Cell, $input, $hidden);
        }
    };
    (@ $name:ident $bias:tt $dtype:ident) => {
        Shape {
            input: $name::Cell::INPUT,
            hidden: $name::Cell::HIDDEN,
            bias: $bias,
            dtype: dtype!($dtype),
            make: |weights, isa| Ok(Box::new($name::Cell::with_isa(weights, isa)?)),
        }
    };
}

grid! {
    c1_1: 1 1 true f32, c3_5: 3 5 false f32, c1_8: 1 8 true f32, c17_12: 17 12 true f32, c7_13: 7 13 true f32,
    c1_16: 1 16 true f32, c10_20: 10 20 true f32, c10_20_no_bias: 10 20 false f32, c3_24: 3 24 true f32,
    c2_28: 2 28 true f32, c52_27: 52 27 true f32, c45_30: 45 30 true f32, c32_32: 32 32 true f32, c8_36: 8 36 true f32,
    c1_40: 1 40 true f32, c10_41: 10 41 true f32, c3_45: 3 45 true f32, c2_49: 2 49 true f32, c64_64: 64 64 true f32,
    c70_70: 70 70 true f32,
    h3_5: 3 5 false f16, h10_20: 10 20 true f16, h70_61: 70 61 false f16, h5_84: 5 84 true f16,
    b10_20: 10 20 true bf16, b130_32: 130 32 true bf16, b17_33: 17 33 false bf16, b70_61: 70 61 true bf16,
    b64_65: 64 65 true bf16,
    ;
    large: c128_128: 128 128, c1_180: 1 180, c256_256: 256 256,
    ;
    release:
    c2_1: 2 1 false f32, c3_2: 3 2 true f32, c70_3: 70 3 true f32, c1_4: 1 4 true f32, c7_6: 7 6 true f32,
    c10_7: 10 7 false f32, c8_9: 8 9 true f32, c3_10: 3 10 true f32, c16_11: 16 11 true f32, c3_13: 3 13 true f32,
    c2_14: 2 14 true f32, c33_15: 33 15 true f32, c32_17: 32 17 true f32, c7_21: 7 21 true f32, c2_23: 2 23 true f32,
    c90_19: 90 19 true f32, c72_23: 72 23 true f32, c30_35: 30 35 true f32,
    c64_25: 64 25 true f32, c3_29: 3 29 true f32, c5_29: 5 29 true f32, c1_32: 1 32 true f32, c17_33: 17 33 false f32,
    c1_37: 1 37 true f32, c40_40: 40 40 true f32, c3_44: 3 44 true f32, c21_45: 21 45 true f32, c7_48: 7 48 true f32,
    c33_52: 33 52 true f32, c1_53: 1 53 true f32, c8_56: 8 56 true f32, c3_57: 3 57 true f32, c31_60: 31 60 true f32,
    c70_61: 70 61 false f32, c1_65: 1 65 true f32, c2_68: 2 68 true f32, c10_69: 10 69 true f32, c2_80: 2 80 true f32,
    c1_81: 1 81 true f32,
    h1_1: 1 1 true f16, h1_16: 1 16 true f16, h7_28: 7 28 true f16, h2_49: 2 49 true f16, h3_57: 3 57 true f16,
    h64_64: 64 64 true f16,
    b1_1: 1 1 true bf16, b3_5: 3 5 false bf16, b2_7: 2 7 true bf16, b1_16: 1 16 true bf16, b1_53: 1 53 true bf16,
}
