// A float64 weight that no float32 can hold.
lstm_kernels::lstm_cell!(in=1, hidden=2, weights = "bake/bad.safetensors", prefix = "range");

fn main() {}
