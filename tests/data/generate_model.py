"""Makes model.safetensors, a state_dict as people save it, and model_outputs.safetensors, what its modules compute.

    pip install torch numpy safetensors
    python3 generate_model.py

Outputs, for each module: `{module}.x` [5, 3, input], `{module}.h_0`, `{module}.c_0`, and `{module}.output`,
`{module}.h_n`, `{module}.c_n`, all float32; modules of other types were converted to float32 first. `cell` is an
LSTMCell, stepped over x.
"""

from copy import deepcopy
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(10, 20, 2)
        self.deep = nn.LSTM(5, 6, 3, bidirectional=True, proj_size=4)
        self.plain = nn.LSTM(3, 7, bias=False)
        self.half = nn.LSTM(4, 5, bidirectional=True).half()
        self.brain = nn.LSTM(4, 5).bfloat16()
        self.double = nn.LSTM(4, 5, 2).double()
        self.cell = nn.LSTMCell(10, 20)
        self.head = nn.Linear(20, 1)


@torch.no_grad()
def outputs(name, module):
    module = deepcopy(module).float()
    x = torch.randn(5, 3, module.input_size)
    if isinstance(module, nn.LSTMCell):
        h_0, c_0 = torch.randn(3, module.hidden_size), torch.randn(3, module.hidden_size)
        h_n, c_n, output = h_0, c_0, []
        for x_t in x:
            h_n, c_n = module(x_t, (h_n, c_n))
            output.append(h_n)
        output = torch.stack(output)
    else:
        cells = module.num_layers * (2 if module.bidirectional else 1)
        h_0 = torch.randn(cells, 3, module.proj_size or module.hidden_size)
        c_0 = torch.randn(cells, 3, module.hidden_size)
        output, (h_n, c_n) = module(x, (h_0, c_0))
    tensors = {"x": x, "h_0": h_0, "c_0": c_0, "output": output, "h_n": h_n, "c_n": c_n}
    return {f"{name}.{key}": tensor.contiguous() for key, tensor in tensors.items()}


def main():
    torch.manual_seed(2026)
    torch.set_num_threads(1)
    model = Model()
    tensors = {}
    for name, module in model.named_children():
        if name != "head":
            tensors |= outputs(name, module)
    here = Path(__file__).parent
    save_file(model.state_dict(), here / "model.safetensors", {"torch": torch.__version__})
    save_file(tensors, here / "model_outputs.safetensors", {"torch": torch.__version__})


if __name__ == "__main__":
    main()
