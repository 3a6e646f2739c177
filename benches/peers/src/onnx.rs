//! An ONNX file with one LSTM, written by hand: `x` \[T, 1, I\], `h_0`, `c_0` \[1, 1, H\] to `y`, `h_n`, `c_n`.
//!
//! The numbers are the field numbers of `onnx.proto3`.

use bench_support::Tensors;

/// A protocol buffer message under construction.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn int(mut self, field: u64, value: usize) -> Self {
        self.varint(field << 3);
        self.varint(value as u64);
        self
    }

    fn bytes(mut self, field: u64, bytes: &[u8]) -> Self {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend(bytes);
        self
    }

    fn text(self, field: u64, text: &str) -> Self {
        self.bytes(field, text.as_bytes())
    }

    fn message(self, field: u64, message: Self) -> Self {
        self.bytes(field, &message.0)
    }
}

const FLOAT: usize = 1;

/// TensorProto.
fn tensor(name: &str, shape: &[usize], data: &[f32]) -> Message {
    let bytes: Vec<_> = data.iter().flat_map(|value| value.to_le_bytes()).collect();
    let message = shape.iter().fold(Message::default(), |message, &size| message.int(1, size));
    message.int(2, FLOAT).text(8, name).bytes(9, &bytes)
}

/// ValueInfoProto.
fn value(name: &str, shape: &[usize]) -> Message {
    let dimension = |size| Message::default().int(1, size);
    let shape = shape.iter().fold(Message::default(), |message, &size| message.message(1, dimension(size)));
    let tensor_type = Message::default().int(1, FLOAT).message(2, shape);
    Message::default().text(1, name).message(2, Message::default().message(1, tensor_type))
}

/// PyTorch's rows i, f, g, o as ONNX wants them: i, o, f, g.
fn reorder(rows: &[f32]) -> Vec<f32> {
    let gate = |index| &rows[index * rows.len() / 4..][..rows.len() / 4];
    [gate(0), gate(3), gate(1), gate(2)].concat()
}

/// The model for sequences of `steps`.
pub fn onnx_lstm(tensors: &Tensors, input: usize, hidden: usize, steps: usize) -> Vec<u8> {
    let attribute = Message::default().text(1, "hidden_size").int(3, hidden).int(20, 2);
    let node = ["x", "w", "r", "b", "", "h_0", "c_0"].iter().fold(Message::default(), |node, name| node.text(1, name));
    let node = ["y", "h_n", "c_n"].iter().fold(node, |node, name| node.text(2, name));
    let node = node.text(3, "lstm").text(4, "LSTM").message(5, attribute);

    let bias = [reorder(&tensors.bias_ih), reorder(&tensors.bias_hh)].concat();
    let state = [1, 1, hidden];
    let graph = Message::default()
        .message(1, node)
        .text(2, "lstm")
        .message(5, tensor("w", &[1, 4 * hidden, input], &reorder(&tensors.weight_ih)))
        .message(5, tensor("r", &[1, 4 * hidden, hidden], &reorder(&tensors.weight_hh)))
        .message(5, tensor("b", &[1, 8 * hidden], &bias))
        .message(11, value("x", &[steps, 1, input]))
        .message(11, value("h_0", &state))
        .message(11, value("c_0", &state))
        .message(12, value("y", &[steps, 1, 1, hidden]))
        .message(12, value("h_n", &state))
        .message(12, value("c_n", &state));
    let opset = Message::default().text(1, "").int(2, 14);
    Message::default().int(1, 8).message(7, graph).message(8, opset).0
}
