// The sizes come from the user's own macro.
macro_rules! cell {
    ($name:ident, $input:literal, $hidden:expr) => {
        lstm_kernels::lstm_cell!(struct $name, in=$input, hidden=$hidden);
    };
}

cell!(Good, 10, 20);
cell!(Large, 4097, 20);
cell!(Product, 10, 4 * 5);

fn main() {}
