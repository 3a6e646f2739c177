// What `torch.save` writes: a zip archive.
lstm_kernels::lstm_cell!(in=1, hidden=2, weights = "bake/model.pt");

fn main() {}
