// A weight that no float16 can hold.
lstm_kernels::lstm_cell!(in=1, hidden=2, dtype=f16, weights = "bake/bad.safetensors", prefix = "beyond");

fn main() {}
