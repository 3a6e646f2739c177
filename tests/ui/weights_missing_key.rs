// The module has no `weight_hh`.
lstm_kernels::lstm_cell!(in=1, hidden=2, weights = "bake/bad.safetensors", prefix = "missing");

fn main() {}
