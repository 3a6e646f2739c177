// The file is a text.
lstm_kernels::lstm_cell!(in=1, hidden=2, weights = "bake/text.safetensors");

fn main() {}
