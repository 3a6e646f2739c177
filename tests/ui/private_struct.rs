mod cells {
    lstm_kernels::lstm_cell!(struct Amp, in=1, hidden=16);
}

fn main() {
    let _ = cells::Amp::zero_state();
}
