use lstm_kernels::{Lstm, lstm::Input};

let lstm = Lstm::from_state_dict_file("model.safetensors", "lstm")?; // self.lstm = nn.LSTM(10, 20, 2)
let result = lstm.forward(Input::new(&x, &[5, 3, 10]), None)?;       // output, (h_n, c_n) = self.lstm(x)
