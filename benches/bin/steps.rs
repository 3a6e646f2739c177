//! One line per size, made to be interleaved with other programs that print the same: `input,hidden`, the tenth
//! percentile and the median of a step in nanoseconds, the largest error against the f64 oracle over 512 steps.
//!
//! `taskset -c 1 steps [milliseconds] [input,hidden]...`; `LSTM_KERNELS_ISA` chooses the instruction set.

use std::hint::black_box;
use std::time::Duration;

use bench_support::timing::time;
use bench_support::{INPUTS, Tensors, inputs, largest_error, with_sizes};

macro_rules! sizes {
    ($budget:ident, $wanted:ident: $(($input:literal, $hidden:literal)),*) => { $({
        let size = concat!($input, ",", $hidden);
        if $wanted.is_empty() || $wanted.iter().any(|wanted| wanted == size) {
            lstm_kernels::lstm_cell!(struct Cell, in=$input, hidden=$hidden);
            let tensors = Tensors::random($input, $hidden);
            let xs = inputs::<$input>(INPUTS);
            let cell = Cell::new_boxed(&tensors.view()).expect("finite weights");
            let mut state = Cell::zero_state();
            let error = largest_error(&tensors, &xs[..512], |x| *cell.step(x, &mut state));
            let mut next = 0;
            let timing = time($budget, || {
                next = (next + 1) % INPUTS;
                black_box(cell.step(black_box(&xs[next]), &mut state));
            });
            println!("{size} {:.2} {:.2} {error:.1e}", timing.low, timing.median);
        }
    })* };
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let budget = arguments.next().map_or(300, |text| text.parse().expect("milliseconds"));
    let (budget, wanted) = (Duration::from_millis(budget), arguments.collect::<Vec<_>>());
    with_sizes!(sizes! budget, wanted:);
}
