"""Makes lstm.safetensors: what torch.nn.LSTM computes, in float32 and float64, for the tests to compare with.

    pip install torch numpy safetensors
    python3 generate_lstm_goldens.py

The metadata has an entry for each case, its options as `name=value` words; `batch=0` is an unbatched call, `lengths`
(missing if all sequences have the same) went through pack_padded_sequence(enforce_sorted=False). Keys:
`{case}/weights`, the module's state_dict one tensor after the other, flat; `x`, in which NaN fills what lies behind a
sequence's end; `h_0`, `c_0` (missing if none were given); `output`, `h_n`, `c_n` of the float32 module, and `output64`,
`h_n64`, `c_n64` of the float64 module with the same weights; all in PyTorch's shapes.
"""

from itertools import product
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

# input_size, hidden_size, proj_size (for the cases with a projection), steps.
SIZES = [(3, 5, 2, 6), (1, 4, 3, 7), (7, 6, 5, 3), (13, 9, 4, 5), (2, 11, 1, 4), (5, 3, 2, 9), (12, 8, 7, 2),
         (4, 17, 6, 3)]
BATCHES = [0, 1, 3, 17]


def grid():
    """All layers, directions, projection, bias, batch: the other options take turns, so that each meets each."""
    options = product([1, 2, 3], [False, True], [False, True], [True, False], BATCHES)
    for n, (layers, bidirectional, projection, bias, batch) in enumerate(options):
        input_size, hidden_size, proj_size, steps = SIZES[(n + n // 8) % len(SIZES)]
        steps = min(steps, 4) if batch == 17 else steps
        turn = n + n // 4
        yield {
            "input_size": input_size,
            "hidden_size": hidden_size,
            "num_layers": layers,
            "bias": bias,
            "batch_first": turn % 2 == 1,
            "bidirectional": bidirectional,
            "proj_size": proj_size if projection else 0,
        }, batch, steps, turn // 2 % 2 == 1, batch > 0 and turn // 3 % 2 == 1
    # PyTorch's tutorial; inputs and units beyond one block of the kernels.
    yield {"input_size": 10, "hidden_size": 20, "num_layers": 2, "bias": True, "batch_first": False,
           "bidirectional": False, "proj_size": 0}, 3, 5, True, False
    yield {"input_size": 33, "hidden_size": 50, "num_layers": 1, "bias": True, "batch_first": True,
           "bidirectional": True, "proj_size": 19}, 3, 9, True, True


def run(lstm, x, states, lengths):
    if lengths is None:
        output, (h_n, c_n) = lstm(x, states)
    else:
        packed = pack_padded_sequence(x, lengths, batch_first=lstm.batch_first, enforce_sorted=False)
        output, (h_n, c_n) = lstm(packed, states)
        steps = x.shape[1 if lstm.batch_first else 0]
        output, _ = pad_packed_sequence(output, batch_first=lstm.batch_first, total_length=steps)
    return {"output": output, "h_n": h_n, "c_n": c_n}


@torch.no_grad()
def case(options, batch, steps, given, packed):
    lstm = torch.nn.LSTM(**options)
    streams = [batch] if batch else []
    shape = [batch, steps] if batch and lstm.batch_first else [steps, *streams]
    x = torch.randn(*shape, lstm.input_size)
    cells = lstm.num_layers * (2 if lstm.bidirectional else 1)
    states, lengths = None, None
    if given:
        h_size = lstm.proj_size or lstm.hidden_size
        states = torch.randn(cells, *streams, h_size), torch.randn(cells, *streams, lstm.hidden_size)
    if packed:
        lengths = torch.randint(1, steps + 1, [batch])
        for stream, length in enumerate(lengths):
            (x[stream] if lstm.batch_first else x[:, stream])[length:] = float("nan")

    weights = torch.cat([tensor.flatten() for tensor in lstm.state_dict().values()])
    tensors = {"weights": weights, "x": x} | ({"h_0": states[0], "c_0": states[1]} if given else {})
    tensors |= run(lstm, x, states, lengths)
    wide = run(lstm.double(), x.double(), states and tuple(state.double() for state in states), lengths)
    tensors |= {f"{name}64": tensor for name, tensor in wide.items()}
    words = {name: int(value) for name, value in options.items()} | {"batch": batch, "steps": steps}
    if packed:
        words["lengths"] = ",".join(str(int(length)) for length in lengths)
    return tensors, " ".join(f"{name}={value}" for name, value in words.items())


def main():
    torch.manual_seed(2026)
    torch.set_num_threads(1)
    tensors, metadata = {}, {}
    for n, arguments in enumerate(grid()):
        name = f"{n:03}"
        found, metadata[name] = case(*arguments)
        tensors |= {f"{name}/{key}": tensor.contiguous() for key, tensor in found.items()}
    save_file(tensors, Path(__file__).with_name("lstm.safetensors"), metadata | {"torch": torch.__version__})


if __name__ == "__main__":
    main()
