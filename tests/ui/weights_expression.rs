// The file's name is put together at compile time, but not before the macro runs.
lstm_kernels::lstm_cell!(in=1, hidden=2, weights = concat!(env!("OUT_DIR"), "/a.safetensors"));

fn main() {}
