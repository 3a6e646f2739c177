#!/usr/bin/env python3
"""PyTorch, ONNX Runtime and LiteRT beside lstm-kernels: the same weights, inputs and cases as the Rust program.

    pip install -r benches/peers/python/requirements.txt
    taskset -c 1 python3 benches/peers/python/peers.py [--quick] [--out FILE]

Writes benches/results/python.json, in the format of the Rust program's record, whose --merge adds it to the table. An
engine whose wheel is not installed is skipped with a message. All run on one thread and, like every user of the wheels,
are called from Python: of a step's time a microsecond or two is the call's.
"""

import argparse
import json
import pathlib
import platform
import subprocess
import sys
import time

import numpy as np

SIZES = [(1, 8), (1, 16), (1, 20), (1, 32), (1, 40), (10, 20), (32, 32), (64, 64), (128, 128), (256, 256), (512, 512)]
INPUTS, STEPS, TOLERANCE = 1024, 512, 1e-5
RESULTS = pathlib.Path(__file__).resolve().parents[2] / "results"


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
        """The last h of a sequence in f64."""
        sigmoid = lambda z: 1 / (1 + np.exp(-z))
        w_ih, w_hh = self.weight_ih.astype(np.float64), self.weight_hh.astype(np.float64)
        bias = self.bias_ih.astype(np.float64) + self.bias_hh
        h = c = np.zeros(self.hidden)
        for x in sequence.astype(np.float64):
            i, f, g, o = np.split(w_ih @ x + w_hh @ h + bias, 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        return h


class Torch:
    """nn.LSTMCell and nn.LSTM under inference_mode."""

    def __init__(self, tensors):
        import torch

        torch.set_num_threads(1)
        self.torch, self.name, self.version = torch, "PyTorch", f"torch {torch.__version__}"
        self.cell = torch.nn.LSTMCell(tensors.inputs, tensors.hidden).eval()
        self.lstm = torch.nn.LSTM(tensors.inputs, tensors.hidden).eval()
        for name in ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]:
            value = torch.from_numpy(getattr(tensors, name).copy())
            getattr(self.cell, name).data = value
            getattr(self.lstm, name + "_l0").data = value.clone()
        self.mode = torch.inference_mode()
        self.mode.__enter__()
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
    """One LSTM node, sequential execution on one thread."""

    def __init__(self, tensors):
        import onnx
        import onnxruntime
        from onnx import TensorProto, helper, numpy_helper

        self.name, self.version = "ONNX Runtime", f"onnxruntime {onnxruntime.__version__}"

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
        self.reset()

    def prepare(self, xs):
        return list(xs[:, None, None, :]), xs[:STEPS, None, :]

    def reset(self):
        self.state = [self.zero, self.zero]

    def step(self, x):
        self.state = self.one.run(["h_n", "c_n"], {"x": x, "h_0": self.state[0], "c_0": self.state[1]})

    def sequence(self, xs):
        self.state = self.many.run(["h_n", "c_n"], {"x": xs, "h_0": self.zero, "c_0": self.zero})

    def h(self):
        return self.state[0].ravel()


class LiteRt:
    """A stateful Keras LSTM as TensorFlow converts it: LiteRT's fused operator, which keeps its state itself."""

    def __init__(self, tensors):
        import ai_edge_litert
        import tensorflow as tf
        from ai_edge_litert.interpreter import Interpreter

        self.name, self.version = "LiteRT", f"ai-edge-litert {ai_edge_litert.__version__}"

        def interpreter(steps):
            layer = tf.keras.layers.LSTM(tensors.hidden)
            model = tf.keras.Sequential([tf.keras.Input([steps, tensors.inputs], batch_size=1), layer])
            bias = tensors.bias_ih + tensors.bias_hh
            layer.set_weights([tensors.weight_ih.T, tensors.weight_hh.T, bias])
            call = tf.function(lambda x: model(x, training=False))
            concrete = call.get_concrete_function(tf.TensorSpec([1, steps, tensors.inputs], tf.float32))
            flat = tf.lite.TFLiteConverter.from_concrete_functions([concrete], model).convert()
            made = Interpreter(model_content=flat, num_threads=1)
            made.allocate_tensors()
            return made

        self.one, self.many = interpreter(1), interpreter(STEPS)
        self.last = self.one

    def prepare(self, xs):
        return list(xs[:, None, None, :]), xs[None, :STEPS, :]

    def reset(self):
        self.one.reset_all_variables()

    def run(self, interpreter, x):
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
        interpreter.invoke()
        self.last = interpreter

    def step(self, x):
        self.run(self.one, x)

    def sequence(self, xs):
        self.many.reset_all_variables()
        self.run(self.many, xs)

    def h(self):
        return self.last.get_tensor(self.last.get_output_details()[0]["index"]).ravel()


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
    for engine in engines:
        rows, sequence = engine.prepare(xs)
        engine.reset()
        for x in rows[:STEPS]:
            engine.step(x)
        errors = {"step": float(np.abs(engine.h() - exact).max())}
        engine.sequence(sequence)
        errors["sequence"] = float(np.abs(engine.h() - exact).max())
        engine.reset()
        for case in ["step", "sequence"]:
            if errors[case] > TOLERANCE:
                print(f"{engine.name}: {case} is wrong by {errors[case]:.1e} and not measured", file=sys.stderr)
                continue
            turns.append((engine, case, rows, sequence, errors[case], []))
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


def machine(versions):
    """Where, when and with what; the Rust program measures the clock."""
    output = lambda *command: subprocess.run(command, stdout=subprocess.PIPE, text=True).stdout.strip()
    return {
        "cpu": platform.processor(),
        "clock_ghz": 0.0,
        "date": output("date", "-u", "+%F %H:%M UTC"),
        "load_average": pathlib.Path("/proc/loadavg").read_text().strip(),
        "rustc": "",
        "rustflags": "",
        "commit": output("git", "rev-parse", "--short", "HEAD"),
        "versions": versions,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", type=pathlib.Path, default=RESULTS / "python.json")
    arguments = parser.parse_args()
    rounds, budget = (3, 0.01) if arguments.quick else (9, 0.03)

    figures, versions, absent = [], {}, set()
    for inputs, hidden in SIZES:
        print(f"({inputs}, {hidden})", file=sys.stderr)
        tensors, engines = Tensors(inputs, hidden), []
        for kind in [Torch, OnnxRuntime, LiteRt]:
            if kind in absent:
                continue
            try:
                engines.append(kind(tensors))
            except ImportError as error:
                absent.add(kind)
                print(f"{kind.__name__} is skipped: {error} (pip install -r requirements.txt)", file=sys.stderr)
        versions.update({engine.name: engine.version for engine in engines})
        figures += measure(tensors, engines, rounds, budget)
    limits = {
        "isa": "",
        "fma_per_ns": 0,
        "fma_latency_ns": 0,
        "div_latency_ns": 0,
        "forward_latency_ns": 0,
        "l1_l2_l3_gb_per_s": [0, 0, 0],
        "l1_l2_bytes": [0, 0],
    }
    arguments.out.parent.mkdir(exist_ok=True)
    record = {"machine": machine(list(versions.values())), "limits": limits, "figures": figures}
    arguments.out.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
