use lstm_kernels::lstm_cell;

lstm_cell!(
    #![doc = "inside"]
    struct Amp, in=10, hidden=20
);

fn main() {}
