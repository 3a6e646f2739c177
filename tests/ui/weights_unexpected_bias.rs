// The cell has no bias, the file has one.
lstm_kernels::lstm_cell!(in=1, hidden=2, bias=false, weights = "bake/bad.safetensors", prefix = "good");

fn main() {}
