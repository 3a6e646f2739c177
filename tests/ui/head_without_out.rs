// `head` without outputs.
lstm_kernels::lstm_cell!(in=1, hidden=2, weights = "bake/bad.safetensors", prefix = "good", head = "lin");

fn main() {}
