//! What `instructions.py` runs under callgrind: `instructions INPUT,HIDDEN STEPS` takes that many steps and ends.

use std::hint::black_box;

use bench_support::{INPUTS, Tensors, inputs, with_sizes};

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
    with_sizes!(sizes! wanted, steps:);
    panic!("no cell of ({wanted})");
}
