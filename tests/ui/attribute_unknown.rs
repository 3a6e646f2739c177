use lstm_kernels::lstm_cell;

lstm_cell!(
    #[no_such_attribute]
    struct Amp, in=10, hidden=20
);

fn main() {}
