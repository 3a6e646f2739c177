// There is nothing at the root.
lstm_kernels::lstm_cell!(in=1, hidden=2, out=1, weights = "bake/bad.safetensors", prefix = "good", head = "");

fn main() {}
