// Without `weights` there is nothing to bake.
lstm_kernels::lstm_cell!(in=1, hidden=2);

fn main() {
    LSTMCell::baked();
}
