use lstm_kernels::lstm_cell;

lstm_cell!(10, 20);
lstm_cell!(struct Amp, 10, 20);
lstm_cell!("amp.safetensors");

fn main() {}
