// Of all that the compiler says the first line counts: it names the struct.
use lstm_kernels::lstm_cell;

lstm_cell!(struct Amp, in=1, hidden=16);
lstm_cell!(struct Amp, in=1, hidden=16);

fn main() {}
