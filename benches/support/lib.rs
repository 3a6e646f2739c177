//! What the benchmarks share: random weights and inputs, the loop that a user would write by hand, and the machine's
//! peak.

pub mod limits;
pub mod machine;
pub mod timing;

/// How many different inputs a benchmark cycles through.
pub const INPUTS: usize = 1024;

/// Invokes a macro with some tokens and the cases of the record behind them: input and hidden size, as literals.
#[macro_export]
macro_rules! with_sizes {
    ($of:ident! $($first:tt)*) => {
        $of! {
            $($first)*
            (1, 8), (1, 16), (1, 20), (1, 32), (1, 40), (10, 20), (32, 32), (64, 64), (128, 128), (256, 256), (512, 512)
        }
    };
}

macro_rules! array {
    ($($size:tt),*) => { [$($size),*] };
}

/// The cases of the record: input and hidden size.
pub const SIZES: [(usize, usize); 11] = with_sizes!(array!);

/// A small deterministic source of random numbers (a 64-bit linear congruential generator).
#[derive(Debug)]
pub struct Random(pub u64);

impl Random {
    /// U(0, 1).
    pub fn uniform(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1 << 24) as f32
    }

    /// N(0, 1), as the sum of twelve uniforms.
    pub fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.uniform()).sum::<f32>() - 6.0
    }
}

/// PyTorch's tensors of one cell, drawn as PyTorch initialises them: U(-1/sqrt(H), 1/sqrt(H)).
#[derive(Debug)]
pub struct Tensors {
    /// \[4H, I\]
    pub weight_ih: Vec<f32>,
    /// \[4H, H\]
    pub weight_hh: Vec<f32>,
    /// \[4H\]
    pub bias_ih: Vec<f32>,
    /// \[4H\]
    pub bias_hh: Vec<f32>,
}

impl Tensors {
    /// Random tensors of a cell of these sizes.
    pub fn random(input: usize, hidden: usize) -> Self {
        let (mut random, bound) = (Random(1), 1.0 / (hidden as f32).sqrt());
        let mut draw = |len| (0..len).map(|_| (2.0 * random.uniform() - 1.0) * bound).collect();
        Self {
            weight_ih: draw(4 * hidden * input),
            weight_hh: draw(4 * hidden * hidden),
            bias_ih: draw(4 * hidden),
            bias_hh: draw(4 * hidden),
        }
    }

    /// A view of them.
    pub fn view(&self) -> lstm_kernels::LstmWeights<'_> {
        let bias = (self.bias_ih.as_slice(), self.bias_hh.as_slice());
        lstm_kernels::LstmWeights::torch(&self.weight_ih, &self.weight_hh, Some(bias))
    }
}

/// `rows` inputs N(0, 1).
pub fn inputs<const I: usize>(rows: usize) -> Vec<[f32; I]> {
    let mut random = Random(7);
    (0..rows).map(|_| std::array::from_fn(|_| random.normal())).collect()
}

/// The largest difference between an engine and the f64 oracle over these inputs, from h = c = 0 on.
pub fn largest_error<const I: usize, const H: usize>(
    tensors: &Tensors,
    xs: &[[f32; I]],
    mut step: impl FnMut(&[f32; I]) -> [f32; H],
) -> f64 {
    let oracle = lstm_kernels::reference::Cell::new(&tensors.view(), I, H).expect("finite weights");
    let (mut h, mut c) = ([0.0; H], [0.0; H]);
    let mut largest = 0.0;
    for x in xs {
        oracle.step(&x.map(f64::from), &mut h, &mut c);
        for (ours, exact) in step(x).iter().zip(&h) {
            largest = f64::max(largest, (f64::from(*ours) - exact).abs());
        }
    }
    largest
}

/// The cell as one writes it by hand: PyTorch's tensors as they are, column by column so that the compiler can
/// vectorise it, std's `exp` and `tanh`.
#[derive(Debug)]
pub struct PlainLoop<const I: usize, const H: usize> {
    columns: Vec<f32>,
    bias: Vec<f32>,
    z: Vec<f32>,
    /// The hidden state.
    pub h: [f32; H],
    /// The cell state.
    pub c: [f32; H],
}

impl<const I: usize, const H: usize> PlainLoop<I, H> {
    /// A cell with h = c = 0.
    pub fn new(tensors: &Tensors) -> Self {
        let mut columns = vec![0.0; (I + H) * 4 * H];
        for row in 0..4 * H {
            for k in 0..I {
                columns[k * 4 * H + row] = tensors.weight_ih[row * I + k];
            }
            for k in 0..H {
                columns[(I + k) * 4 * H + row] = tensors.weight_hh[row * H + k];
            }
        }
        let bias = tensors.bias_ih.iter().zip(&tensors.bias_hh).map(|(a, b)| a + b).collect();
        Self { columns, bias, z: vec![0.0; 4 * H], h: [0.0; H], c: [0.0; H] }
    }

    /// One time step.
    pub fn step(&mut self, x: &[f32; I]) {
        self.z.copy_from_slice(&self.bias);
        for (column, &input) in self.columns.chunks_exact(4 * H).zip(x.iter().chain(&self.h)) {
            for (z, weight) in self.z.iter_mut().zip(column) {
                *z += weight * input;
            }
        }
        let sigmoid = |z: f32| 1.0 / (1.0 + (-z).exp());
        for unit in 0..H {
            let [i, f, g, o] = [0, 1, 2, 3].map(|gate| self.z[gate * H + unit]);
            self.c[unit] = sigmoid(f) * self.c[unit] + sigmoid(i) * g.tanh();
            self.h[unit] = sigmoid(o) * self.c[unit].tanh();
        }
    }
}
