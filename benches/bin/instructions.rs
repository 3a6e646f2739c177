//! What `instructions.py` runs under callgrind: `instructions INPUT,HIDDEN STEPS` takes that many steps and ends.

use std::hint::black_box;

use bench_support::{INPUTS, Tensors, inputs};

macro_rules! sizes {
    ($wanted:ident, $steps:ident: $(($input:literal, $hidden:literal)),*) => { $(
        if $wanted == concat!($input, ",", $hidden) {
            lstm_kernels::lstm_cell!(struct Cell, in=$input, hidden=$hidden);
            let cell = Cell::new_boxed(&Tensors::random($input, $hidden).view()).expect("finite weights");
            let (xs, mut state) = (inputs::<$input>(INPUTS), Cell::zero_state());
            for step in 0..$steps {
                black_box(cell.step(black_box(&xs[step % INPUTS]), &mut state));
            }
            return;
        }
    )* };
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let wanted = arguments.next().expect("INPUT,HIDDEN");
    let steps: usize = arguments.next().and_then(|text| text.parse().ok()).expect("a number of steps");
    sizes!(wanted, steps: (1, 8), (1, 16), (1, 20), (1, 32), (1, 40), (10, 20), (32, 32), (64, 64), (128, 128),
        (256, 256), (512, 512));
    panic!("no cell of ({wanted})");
}
