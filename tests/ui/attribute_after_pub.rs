use lstm_kernels::lstm_cell;

lstm_cell!(
    pub #[derive(PartialEq)]
    struct Amp, in=10, hidden=20
);

fn main() {}
