#!/usr/bin/env python3
"""PyTorch, ONNX Runtime and LiteRT beside lstm-kernels: the same weights, inputs and cases as the Rust program.

    pip install -r benches/peers/python/requirements.txt
    taskset -c 1 python3 benches/peers/python/peers.py [--quick] FILE.json

Writes what the Rust program's --add adds to its record. An engine whose wheel is not installed, or cannot run the
model, is skipped with a message. All run on one thread and, like every user of the wheels, are called from Python: of a
step's time a microsecond or more is the call's.
"""

import argparse
import json
import pathlib
import sys
import time

import numpy as np

SIZES = [(1, 8), (1, 16), (1, 20), (1, 32), (1, 40), (10, 20), (32, 32), (64, 64), (128, 128), (256, 256), (512, 512)]
INPUTS, STEPS, TOLERANCE = 1024, 512, 1e-5


class Random:
    """The generator of benches/support/lib.rs, so that the numbers are the same."""

    def __init__(self, state):
        self.state = state

    def uniform(self, count):
        states = []
        for _ in range(count):
            self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
            states.append(self.state >> 40)
        return np.array(states, np.float32) / np.float32(1 << 24)

    def normal(self, count):
        total = np.zeros(count, np.float32)
        for twelfth in self.uniform(12 * count).reshape(count, 12).T:
            total += twelfth
        return total - np.float32(6)


class Tensors:
    """PyTorch's tensors of one cell: U(-1/sqrt(H), 1/sqrt(H))."""

    def __init__(self, inputs, hidden):
        random, bound = Random(1), np.float32(1) / np.sqrt(np.float32(hidden))

        def draw(*shape):
            return ((np.float32(2) * random.uniform(int(np.prod(shape))) - np.float32(1)) * bound).reshape(shape)

        self.weight_ih, self.weight_hh = draw(4 * hidden, inputs), draw(4 * hidden, hidden)
        self.bias_ih, self.bias_hh = draw(4 * hidden), draw(4 * hidden)
        self.inputs, self.hidden = inputs, hidden

    def exact(self, sequence):
        """h after every step of a sequence, in f64."""
        sigmoid = lambda z: 1 / (1 + np.exp(-z))
        w_ih, w_hh = self.weight_ih.astype(np.float64), self.weight_hh.astype(np.float64)
        bias = self.bias_ih.astype(np.float64) + self.bias_hh
        h, c, hs = np.zeros(self.hidden), np.zeros(self.hidden), []
        for x in sequence.astype(np.float64):
            i, f, g, o = np.split(w_ih @ x + w_hh @ h + bias, 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
            hs.append(h)
        return hs


class Torch:
    name, note = "PyTorch", "from Python, `nn.LSTMCell` and `nn.LSTM` under `inference_mode`"

    def __init__(self, tensors):
        import torch

        torch.set_num_threads(1)
        # For good, and once: an object that ends its mode as it is collected would end that of the next one too.
        if not torch.is_inference_mode_enabled():
            Torch.mode = torch.inference_mode()
            Torch.mode.__enter__()
        self.torch, self.version = torch, {"torch": torch.__version__}
        self.cell = torch.nn.LSTMCell(tensors.inputs, tensors.hidden).eval()
        self.lstm = torch.nn.LSTM(tensors.inputs, tensors.hidden).eval()
        for name in ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]:
            value = torch.from_numpy(getattr(tensors, name).copy())
            getattr(self.cell, name).data = value
            getattr(self.lstm, name + "_l0").data = value.clone()
        self.zero = torch.zeros(1, tensors.hidden)
        self.reset()

    def prepare(self, xs):
        """The inputs as this engine wants them, each one ready."""
        return list(self.torch.from_numpy(xs).unsqueeze(1)), self.torch.from_numpy(xs[:STEPS]).unsqueeze(1)

    def reset(self):
        self.state = (self.zero, self.zero)

    def step(self, x):
        self.state = self.cell(x, self.state)

    def sequence(self, xs):
        _, (h, c) = self.lstm(xs)
        self.state = (h[0], c[0])

    def h(self):
        return self.state[0].numpy().ravel()


class OnnxRuntime:
    name, note = "ONNX Runtime", "from Python, a model of one LSTM node"

    def __init__(self, tensors):
        import onnx
        import onnxruntime
        from onnx import TensorProto, helper, numpy_helper

        self.version = {"onnxruntime": onnxruntime.__version__}

        def reorder(rows):
            i, f, g, o = np.split(rows, 4)
            return np.concatenate([i, o, f, g])

        def session(steps):
            bias = np.concatenate([reorder(tensors.bias_ih), reorder(tensors.bias_hh)])
            weights = {"w": reorder(tensors.weight_ih), "r": reorder(tensors.weight_hh), "b": bias}
            state, hidden = [1, 1, tensors.hidden], tensors.hidden
            value = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            node = helper.make_node(
                "LSTM", ["x", "w", "r", "b", "", "h_0", "c_0"], ["y", "h_n", "c_n"], hidden_size=hidden
            )
            graph = helper.make_graph(
                [node],
                "lstm",
                [value("x", [steps, 1, tensors.inputs]), value("h_0", state), value("c_0", state)],
                [value("y", [steps, 1, 1, hidden]), value("h_n", state), value("c_n", state)],
                [numpy_helper.from_array(array[None], name) for name, array in weights.items()],
            )
            model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = options.inter_op_num_threads = 1
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
            return onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])

        self.one, self.many = session(1), session(STEPS)
        self.zero = np.zeros([1, 1, tensors.hidden], np.float32)
        fixed = onnxruntime.OrtValue.ortvalue_from_numpy
        self.x = fixed(np.zeros([1, 1, tensors.inputs], np.float32))
        # Two states, each the input of the step that writes the other: nothing is allocated or copied but x.
        self.states = [[fixed(self.zero.copy()) for _ in "hc"] for _ in range(2)]
        self.bindings = [self.bind(*self.states), self.bind(*self.states[::-1])]
        self.reset()

    def bind(self, before, after):
        binding = self.one.io_binding()
        for name, value in zip(["x", "h_0", "c_0"], [self.x, *before]):
            binding.bind_ortvalue_input(name, value)
        for name, value in zip(["h_n", "c_n"], after):
            binding.bind_ortvalue_output(name, value)
        return binding

    def prepare(self, xs):
        return list(xs[:, None, None, :]), xs[:STEPS, None, :]

    def reset(self):
        self.now = 0
        for value in self.states[0]:
            value.update_inplace(self.zero)

    def step(self, x):
        self.x.update_inplace(x)
        self.one.run_with_iobinding(self.bindings[self.now])
        self.now = 1 - self.now
        self.last = self.states[self.now][0].numpy

    def sequence(self, xs):
        h, _ = self.many.run(["h_n", "c_n"], {"x": xs, "h_0": self.zero, "c_0": self.zero})
        self.last = lambda: h

    def h(self):
        return self.last().ravel()


class LiteRt:
    name = "LiteRT"
    note = "from Python, Keras's LSTMCell and LSTM as TensorFlow converts them, h and c as inputs and outputs"

    def __init__(self, tensors):
        import ai_edge_litert
        import tensorflow as tf
        from ai_edge_litert.interpreter import Interpreter

        self.version = {"ai-edge-litert": ai_edge_litert.__version__}
        layers, hidden = tf.keras.layers, tensors.hidden

        def interpreter(layer, x_shape, states):
            shapes = {"x": x_shape, "h": [hidden], "c": [hidden]}
            x, h, c = (tf.keras.Input(shape, batch_size=1, name=name) for name, shape in shapes.items())
            model = tf.keras.Model([x, h, c], states(layer, x, [h, c]))
            layer.set_weights([tensors.weight_ih.T, tensors.weight_hh.T, tensors.bias_ih + tensors.bias_hh])
            flat = tf.lite.TFLiteConverter.from_keras_model(model).convert()
            made = Interpreter(model_content=flat, num_threads=1)
            made.allocate_tensors()
            inputs = {detail["name"]: detail["index"] for detail in made.get_input_details()}
            outputs = {detail["name"]: detail["index"] for detail in made.get_output_details()}
            return (
                made,
                [inputs[f"serving_default_{name}:0"] for name in "xhc"],
                [index for _, index in sorted(outputs.items())],
            )

        self.one = interpreter(layers.LSTMCell(hidden), [tensors.inputs], lambda cell, x, state: cell(x, state)[1])
        self.many = interpreter(
            layers.LSTM(hidden, return_state=True),
            [STEPS, tensors.inputs],
            lambda lstm, x, state: lstm(x, initial_state=state)[1:],
        )
        self.zero = np.zeros([1, hidden], np.float32)
        self.reset()

    def prepare(self, xs):
        return list(xs[:, None, :]), xs[None, :STEPS, :]

    def reset(self):
        self.state = self.zero, self.zero

    def run(self, loaded, x):
        interpreter, inputs, outputs = loaded
        for index, value in zip(inputs, (x, *self.state)):
            interpreter.set_tensor(index, value)
        interpreter.invoke()
        self.state = [interpreter.get_tensor(index) for index in outputs]

    def step(self, x):
        self.run(self.one, x)

    def sequence(self, xs):
        self.reset()
        self.run(self.many, xs)

    def h(self):
        return self.state[0].ravel()


def seconds_of(batch, budget):
    """The median time of one call, over batches of about 100 microseconds."""
    start = time.perf_counter()
    batch(1)
    calls = max(1, int(1e-4 / (time.perf_counter() - start)))
    times, end = [], time.perf_counter() + budget
    while len(times) < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        batch(calls)
        times.append((time.perf_counter() - start) / calls)
    return float(np.median(times))


def measure(tensors, engines, rounds, budget):
    """The figures of one size, the engines taking turns."""
    xs = Random(7).normal(INPUTS * tensors.inputs).reshape(INPUTS, tensors.inputs)
    exact, turns = tensors.exact(xs[:STEPS]), []
    distance = lambda engine, h: float(np.abs(engine.h() - h).max())
    for engine in engines:
        rows, sequence = engine.prepare(xs)
        engine.reset()
        error = 0.0
        for x, h in zip(rows, exact):
            engine.step(x)
            error = max(error, distance(engine, h))
        engine.sequence(sequence)
        error = max(error, distance(engine, exact[-1]))
        if error > TOLERANCE:
            raise ValueError(f"{engine.name} is wrong by {error:.1e}")
        turns += [(engine, case, rows, sequence, error, []) for case in ["step", "sequence"]]
    for _ in range(rounds):
        for engine, case, rows, sequence, _, times in turns:

            def steps(calls):
                for call in range(calls):
                    engine.step(rows[call % INPUTS])

            def sequences(calls):
                for _ in range(calls):
                    engine.sequence(sequence)

            if case == "step":
                times.append(seconds_of(steps, budget) * 1e9)
            else:
                times.append(seconds_of(sequences, budget) * 1e9 / STEPS)
    sizes = {"input": tensors.inputs, "hidden": tensors.hidden}
    return [
        {"engine": engine.name, "case": case, **sizes, "ns": float(np.median(times)), "low": min(times), "error": error}
        for engine, case, _, _, error, times in turns
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("out", type=pathlib.Path)
    arguments = parser.parse_args()
    rounds, budget = (3, 0.01) if arguments.quick else (9, 0.03)

    kinds, results = [Torch, OnnxRuntime, LiteRt], {"versions": {}, "notes": {}, "left_out": [], "figures": []}
    for inputs, hidden in SIZES:
        print(f"({inputs}, {hidden})", file=sys.stderr)
        tensors, engines = Tensors(inputs, hidden), []
        for kind in list(kinds):
            try:
                engines.append(kind(tensors))
            # Whatever a wheel throws, the others are measured.
            except Exception as error:
                kinds.remove(kind)
                results["left_out"].append(f"{kind.name}: {error}")
                print(f"{kind.name} is skipped: {error} (pip install -r requirements.txt)", file=sys.stderr)
        for engine in engines:
            results["versions"].update(engine.version)
            results["notes"][engine.name] = engine.note
        results["figures"] += measure(tensors, engines, rounds, budget)
    arguments.out.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
