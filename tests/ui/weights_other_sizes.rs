// The file holds a cell of other sizes.
lstm_kernels::lstm_cell!(in=10, hidden=20, weights = "bake/bad.safetensors", prefix = "good");

fn main() {}
