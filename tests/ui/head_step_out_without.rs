// Without `out` there is no `step_out`.
lstm_kernels::lstm_cell!(in=1, hidden=2);

fn outputs(cell: &LSTMCell) {
    cell.step_out(&[0.0], &mut LSTMCell::zero_state());
}

fn main() {}
