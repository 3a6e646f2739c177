// The module has a tensor that no cell has.
lstm_kernels::lstm_cell!(in=1, hidden=2, weights = "bake/bad.safetensors", prefix = "extra");

fn main() {}
