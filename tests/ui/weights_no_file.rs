// The file does not exist. The struct still does: using it is no second error.
lstm_kernels::lstm_cell!(in=1, hidden=2, weights = "bake/lost.safetensors");

fn main() {
    static CELL: LSTMCell = LSTMCell::baked();
    CELL.step(&[0.0], &mut LSTMCell::zero_state());
}
