"""Makes lstm_cell.safetensors: what torch.nn.LSTMCell computes, in float32 and float64, for the tests to compare with.

    pip install torch numpy safetensors
    python3 generate_cell_goldens.py

Keys: `{case}/weight_ih`, `weight_hh`, `bias_ih`, `bias_hh` (absent without bias), `x` [T, N, I], `h0`, `c0` [N, H],
and `h`, `c` [T, N, H] of the float32 module, `h64`, `c64` of the float64 module with the same weights. An unbatched
case went through the unbatched call and is stored with N = 1.
"""

from pathlib import Path

import torch
from safetensors.torch import save_file

# input, hidden, steps, batch (0: unbatched), bias. The first is the shape of PyTorch's tutorial.
CASES = [
    (10, 20, 5, 3, True),
    (10, 20, 32, 0, True),
    (10, 20, 16, 2, False),
    (1, 8, 64, 0, True),
    (1, 16, 64, 2, True),
    (3, 5, 48, 0, False),
    (7, 13, 32, 3, True),
    (1, 40, 32, 0, True),
    (32, 32, 24, 2, True),
    (64, 64, 12, 0, True),
]


def run(cell, x, h, c):
    """Steps through x [T, N, I] (or [T, I], unbatched) and returns every h and c."""
    hs, cs = [], []
    for x_t in x:
        h, c = cell(x_t, (h, c))
        hs.append(h)
        cs.append(c)
    return torch.stack(hs), torch.stack(cs)


@torch.no_grad()
def case(input_size, hidden_size, steps, batch, bias):
    cell = torch.nn.LSTMCell(input_size, hidden_size, bias=bias)
    streams = [batch] if batch else []
    x = torch.randn(steps, *streams, input_size)
    h0, c0 = torch.randn(*streams, hidden_size), torch.randn(*streams, hidden_size)
    weights = {name: tensor.clone() for name, tensor in cell.state_dict().items()}
    h, c = run(cell, x, h0, c0)
    h64, c64 = run(cell.double(), x.double(), h0.double(), c0.double())

    n = max(batch, 1)
    tensors = weights | {"x": x.reshape(steps, n, -1), "h0": h0.reshape(n, -1), "c0": c0.reshape(n, -1)}
    for name, tensor in {"h": h, "c": c, "h64": h64, "c64": c64}.items():
        tensors[name] = tensor.reshape(steps, n, -1)
    return tensors


def main():
    torch.manual_seed(2026)
    torch.set_num_threads(1)
    tensors = {}
    for input_size, hidden_size, steps, batch, bias in CASES:
        streams = f"batch{batch}" if batch else "unbatched"
        name = f"in{input_size}_hidden{hidden_size}_{streams}_{'bias' if bias else 'nobias'}"
        for key, tensor in case(input_size, hidden_size, steps, batch, bias).items():
            tensors[f"{name}/{key}"] = tensor.contiguous()
    save_file(tensors, Path(__file__).with_name("lstm_cell.safetensors"), {"torch": torch.__version__})


if __name__ == "__main__":
    main()
