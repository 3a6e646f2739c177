// `bias_hh` is too short.
lstm_kernels::lstm_cell!(in=1, hidden=2, weights = "bake/bad.safetensors", prefix = "shape");

fn main() {}
