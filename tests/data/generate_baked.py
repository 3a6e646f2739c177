"""Makes bake/*.safetensors: models for `lstm_cell!(weights = ...)` to bake in, and files for it to refuse.

    pip install torch numpy safetensors
    python3 generate_baked.py

models.safetensors: for each case `{case}.rec.*`, the state_dict of an LSTM (or LSTMCell), `{case}.lin.*`, that of a
Linear behind it, and what PyTorch computes with them in float64 from h = c = 0: `{case}.golden.x` [T, I], `h` [T, H],
`y` [T, OUT]. A case named after a type is stored in that type; float64 computed with what was stored.
amp.safetensors: the first of them, as `lstm` and `linear`: what the README bakes in.
root.safetensors: a state_dict without prefix, with the names of an LSTMCell and a Linear called `linear`.
bad.safetensors: modules that are each wrong in one way, for a cell of 1 input and 2 units and a Linear to 1 output.
huge.safetensors: shapes without an element, of a cell with 2^62 units.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import save, save_file

FOLDER = Path(__file__).with_name("bake")
STEPS = 24

# input, hidden, outputs, bias, stored as. Tails of each kind: none, one line, two, three, more than one group.
CASES = {
    "amp": (1, 16, 1, True, torch.float32),
    "tutorial": (10, 20, 2, True, torch.float32),
    "plain": (3, 5, 1, False, torch.float32),
    "odd": (7, 39, 17, True, torch.float32),
    "groups": (2, 53, 1, True, torch.float32),
    "f16": (2, 9, 1, True, torch.float16),
    "bf16": (2, 9, 1, True, torch.bfloat16),
    "f64": (2, 9, 1, True, torch.float64),
}


@torch.no_grad()
def golden(cell, linear, input_size, hidden_size):
    cell, linear = cell.double(), linear.double()
    x = torch.randn(STEPS, input_size)
    h, c = torch.zeros(2, hidden_size, dtype=torch.float64)
    hs = []
    for x_t in x.double():
        h, c = cell(x_t, (h, c))
        hs.append(h)
    h = torch.stack(hs)
    return {"x": x, "h": h, "y": linear(h)}


def case(name, input_size, hidden_size, outputs, bias, dtype):
    cell = torch.nn.LSTMCell(input_size, hidden_size, bias=bias).to(dtype)
    linear = torch.nn.Linear(hidden_size, outputs, bias=bias).to(dtype)
    # The float32 that a cell computes with cannot hold all of a float64.
    if dtype == torch.float64:
        cell, linear = cell.float(), linear.float()
    tensors = {f"{name}.rec.{key}_l0": tensor.to(dtype) for key, tensor in cell.state_dict().items()}
    tensors |= {f"{name}.lin.{key}": tensor.to(dtype) for key, tensor in linear.state_dict().items()}
    for key, tensor in golden(cell, linear, input_size, hidden_size).items():
        tensors[f"{name}.golden.{key}"] = tensor
    return {key: tensor.clone().contiguous() for key, tensor in tensors.items()}


def bad():
    good = {name: tensor.clone() for name, tensor in torch.nn.LSTMCell(1, 2).state_dict().items()}
    linear = {name: tensor.clone() for name, tensor in torch.nn.Linear(2, 1).state_dict().items()}

    def changed(name, change):
        tensors = {key: tensor.clone() for key, tensor in good.items()}
        tensors[name] = change(tensors[name])
        return tensors

    def with_value(index, value):
        return lambda tensor: tensor.flatten().index_fill(0, torch.tensor(index), value).reshape(tensor.shape)

    without_hh = {name: tensor.clone() for name, tensor in good.items() if name != "weight_hh"}
    without_bias = {name: tensor.clone() for name, tensor in good.items() if "bias" not in name}
    modules = {
        "good": good,
        "missing": without_hh,
        "without_bias": without_bias,
        "extra": good | {"weight_hr": torch.zeros(1, 2)},
        "shape": changed("bias_hh", lambda bias: bias[:7].clone()),
        "dtype": changed("weight_ih", lambda weight: weight.int()),
        "nan": changed("weight_hh", with_value(5, float("nan"))),
        "inf": changed("bias_ih", with_value(7, float("-inf"))),
        "range": changed("weight_ih", lambda weight: with_value(3, 1e300)(weight.double())),
        "beyond": changed("weight_ih", with_value(3, 1e5)),
        "lin": linear,
        "lin_missing": {"bias": torch.zeros(1)},
        "lin_extra": linear | {"scale": torch.zeros(1)},
        "lin_shape": {"weight": torch.zeros(1, 3), "bias": torch.zeros(1)},
        "lin_nan": {"weight": torch.tensor([[0.0, float("nan")]]), "bias": torch.zeros(1)},
    }
    return {f"{module}.{name}": tensor.clone() for module, tensors in modules.items() for name, tensor in tensors.items()}


def renamed(tensors, names):
    split = ((*key.rsplit(".", 1), tensor) for key, tensor in tensors.items())
    return {f"{names[module]}.{name}": tensor for module, name, tensor in split if module in names}


def main():
    torch.manual_seed(2026)
    torch.set_num_threads(1)
    FOLDER.mkdir(exist_ok=True)
    metadata = {"torch": torch.__version__}

    models = {}
    for name, sizes in CASES.items():
        models |= case(name, *sizes)
    save_file(models, FOLDER / "models.safetensors", metadata)
    names = {"amp.rec": "lstm", "amp.lin": "linear"}
    save_file(renamed(models, names), FOLDER / "amp.safetensors", metadata)

    cell, linear = torch.nn.LSTMCell(4, 6), torch.nn.Linear(6, 2, bias=False)
    root = cell.state_dict() | {f"linear.{name}": tensor for name, tensor in linear.state_dict().items()}
    save_file(root, FOLDER / "root.safetensors", metadata)

    save_file(bad(), FOLDER / "bad.safetensors", metadata)
    (FOLDER / "truncated.safetensors").write_bytes(save(root)[:-8])
    shapes = {"weight_ih": [0, 1], "weight_hh": [0, 1 << 62]}
    header = json.dumps({name: {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]} for name, shape in shapes.items()})
    (FOLDER / "huge.safetensors").write_bytes(len(header).to_bytes(8, "little") + header.encode())
    (FOLDER / "text.safetensors").write_text("This is not a file of tensors.\n")
    (FOLDER / "model.pt").write_bytes(b"PK\x03\x04\0\0\x08\x08\0\0model/data.pkl")  # as `torch.save` begins


if __name__ == "__main__":
    main()
