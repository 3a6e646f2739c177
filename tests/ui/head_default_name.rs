// The head is called `linear` unless `head` says otherwise.
lstm_kernels::lstm_cell!(in=1, hidden=2, out=1, weights = "bake/bad.safetensors", prefix = "good");

fn main() {}
