// The head has a tensor that no Linear has.
lstm_kernels::lstm_cell!(in=1, hidden=2, out=1, weights = "bake/bad.safetensors", prefix = "good", head = "lin_extra");

fn main() {}
