//! Views of a model's tensors as PyTorch, Keras or ONNX has them, the checks on them, and packing.

use crate::element::Element;
use crate::error::{Error, OptionValue, WeightsError};
use crate::layout::{GATES, Line, place, place_in_head, place_of_bias, place_of_head_bias, scale};

/// The weights of one LSTM cell, or of one layer and direction of an LSTM: a view, checked when a cell is made
/// from it.
///
/// All tensors are row-major f32. [`torch`](Self::torch) takes PyTorch's, rows in the gate order i, f, g, o:
///
/// | tensor | shape | name in a `torch.nn.LSTMCell` | in a `torch.nn.LSTM` |
/// |---|---|---|---|
/// | `weight_ih` | \[4H, I\] | `weight_ih` | `weight_ih_l0` |
/// | `weight_hh` | \[4H, H\] | `weight_hh` | `weight_hh_l0` |
/// | `bias_ih` | \[4H\] | `bias_ih` | `bias_ih_l0` |
/// | `bias_hh` | \[4H\] | `bias_hh` | `bias_hh_l0` |
///
/// With a projection to P outputs (`proj_size`, see [`with_projection`](Self::with_projection)) `weight_hh` is
/// \[4H, P\]. [`keras`](Self::keras) and [`onnx`](Self::onnx) take the tensors of those, gates and layout included.
///
/// ```
/// use lstm_kernels::LstmWeights;
/// lstm_kernels::lstm_cell!(in=1, hidden=2);
/// let (weight_ih, weight_hh, bias) = ([0.1; 8], [0.2; 16], [0.0; 8]);
/// let weights = LstmWeights::torch(&weight_ih, &weight_hh, Some((&bias, &bias)));
/// let cell = LSTMCell::new(&weights)?;
/// # Ok::<(), lstm_kernels::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct LstmWeights<'a> {
    source: Source,
    weight_ih: &'a [f32],
    weight_hh: &'a [f32],
    bias: Option<(&'a [f32], &'a [f32])>,
    weight_hr: Option<&'a [f32]>,
    /// Weight and bias of a linear layer behind the cell.
    head: Option<(&'a [f32], Option<&'a [f32]>)>,
}

/// Who stored the tensors: that decides names, gate order and layout.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Source {
    Torch,
    Keras,
    Onnx,
}

/// The sizes of one layer and direction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) input: usize,
    pub(crate) hidden: usize,
    /// Outputs of the projection, if there is one.
    pub(crate) proj: Option<usize>,
}

impl Sizes {
    /// The length of h: what the layer gives and what it reads back.
    pub(crate) const fn output(&self) -> usize {
        match self.proj {
            Some(proj) => proj,
            None => self.hidden,
        }
    }

    /// Columns of the packed tensor: x, then h.
    pub(crate) const fn columns(&self) -> usize {
        self.input + self.output()
    }
}

/// Whether a size is one that is supported: above 2^20 the weights would not fit in memory, and far above it their
/// number not into a `usize`.
#[cfg_attr(not(feature = "std"), allow(dead_code))]
pub(crate) fn check_size(option: &'static str, size: usize) -> Result<(), Error> {
    let (good, found) = ((1..=1 << 20).contains(&size), OptionValue::Size(size));
    if good { Ok(()) } else { Err(Error::InvalidOption { option, expected: "1 to 1048576", found }) }
}

impl<'a> LstmWeights<'a> {
    /// The tensors of a PyTorch `state_dict`: `weight_ih`, `weight_hh` and, unless the module was made with
    /// `bias=False`, `(bias_ih, bias_hh)`.
    pub const fn torch(weight_ih: &'a [f32], weight_hh: &'a [f32], bias: Option<(&'a [f32], &'a [f32])>) -> Self {
        Self { source: Source::Torch, weight_ih, weight_hh, bias, weight_hr: None, head: None }
    }

    /// The tensors of a `keras.layers.LSTM`, as its `get_weights()` gives them: `kernel` \[I, 4H\],
    /// `recurrent_kernel` \[H, 4H\] and, unless it was made with `use_bias=False`, `bias` \[4H\]; gates i, f, c, o
    /// (Keras' c is PyTorch's g). Of the layer's options only the defaults are this network: `activation="tanh"`,
    /// `recurrent_activation="sigmoid"` (not the `hard_sigmoid` of old versions) and `go_backwards=False`.
    ///
    /// ```
    /// # use lstm_kernels::LstmWeights;
    /// lstm_kernels::lstm_cell!(in=1, hidden=2);
    /// // One row for the input and one for each unit: columns i i f f c c o o.
    /// let kernel = [0.1, 0.1, 0.2, 0.2, 0.3, 0.3, 0.4, 0.4];
    /// let recurrent_kernel = [[0.1; 8], [0.2; 8]];
    /// let bias = [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]; // unit_forget_bias
    /// let cell = LSTMCell::new(&LstmWeights::keras(&kernel, recurrent_kernel.as_flattened(), Some(&bias)))?;
    /// # Ok::<(), lstm_kernels::Error>(())
    /// ```
    pub const fn keras(kernel: &'a [f32], recurrent_kernel: &'a [f32], bias: Option<&'a [f32]>) -> Self {
        let bias = match bias {
            Some(bias) => Some((bias, &[] as &[f32])),
            None => None,
        };
        Self {
            source: Source::Keras,
            weight_ih: kernel,
            weight_hh: recurrent_kernel,
            bias,
            weight_hr: None,
            head: None,
        }
    }

    /// One direction of an ONNX `LSTM` operator's tensors: `W` \[4H, I\], `R` \[4H, H\], `B` \[8H\] (Wb, then Rb),
    /// gates i, o, f, c (ONNX' c is PyTorch's g). Direction d of `W`, `R` and `B` is their d-th equal part.
    ///
    /// Of the node's attributes only the defaults are this network: sigmoid, tanh and tanh as `activations`, no `clip`,
    /// `input_forget=0`. `layout=1` is `LstmConfig::batch_first`; with `direction="reverse"`
    /// the sequence is yours to reverse.
    ///
    /// # Errors
    /// [`Error::Peephole`] if there is an input `P`: peepholes are another network, which PyTorch does not have.
    ///
    /// ```
    /// # use lstm_kernels::LstmWeights;
    /// lstm_kernels::lstm_cell!(in=1, hidden=2);
    /// // One row for each unit of each gate: i i o o f f c c.
    /// let (w, r, b) = ([0.1; 8], [0.2; 16], [0.0; 16]);
    /// let cell = LSTMCell::new(&LstmWeights::onnx(&w, &r, Some(&b), None)?)?;
    /// # Ok::<(), lstm_kernels::Error>(())
    /// ```
    pub const fn onnx(w: &'a [f32], r: &'a [f32], b: Option<&'a [f32]>, p: Option<&'a [f32]>) -> Result<Self, Error> {
        if p.is_some() {
            return Err(Error::Peephole);
        }
        let bias = match b {
            Some(b) => Some((b, &[] as &[f32])),
            None => None,
        };
        Ok(Self { source: Source::Onnx, weight_ih: w, weight_hh: r, bias, weight_hr: None, head: None })
    }

    /// The same with `weight_hr` \[P, H\] of a `torch.nn.LSTM` with `proj_size` P: the output is h = W_hr (o tanh(c)).
    ///
    /// ```
    /// use lstm_kernels::{Lstm, LstmConfig, LstmWeights};
    /// // nn.LSTM(1, 4, proj_size=2, bias=False): weight_hh is [16, 2].
    /// let (weight_ih, weight_hh, weight_hr) = ([0.1; 16], [0.2; 16 * 2], [0.3; 2 * 4]);
    /// let weights = LstmWeights::torch(&weight_ih, &weight_hh, None).with_projection(&weight_hr);
    /// let lstm = Lstm::new(LstmConfig::new(1, 4).proj_size(2).bias(false), &[weights])?;
    /// # Ok::<(), lstm_kernels::Error>(())
    /// ```
    #[must_use]
    pub const fn with_projection(self, weight_hr: &'a [f32]) -> Self {
        Self { weight_hr: Some(weight_hr), ..self }
    }

    /// The same with a `torch.nn.Linear` behind the cell: `weight` \[OUT, H\] and, unless it was made with
    /// `bias=False`, `bias` \[OUT\]. For a cell with `out = OUT`, see [`lstm_cell!`](crate::lstm_cell).
    ///
    /// ```
    /// use lstm_kernels::LstmWeights;
    /// lstm_kernels::lstm_cell!(in=1, hidden=2, out=1);
    /// let (weight_ih, weight_hh, bias) = ([0.1; 8], [0.2; 16], [0.0; 8]);
    /// let lstm = LstmWeights::torch(&weight_ih, &weight_hh, Some((&bias, &bias)));
    /// let cell = LSTMCell::new(&lstm.with_head(&[1.0, -1.0], Some(&[0.5])))?;
    /// assert_eq!(cell.step_out(&[3.0], &mut LSTMCell::zero_state()), [0.5]);
    /// # Ok::<(), lstm_kernels::Error>(())
    /// ```
    #[must_use]
    pub const fn with_head(self, weight: &'a [f32], bias: Option<&'a [f32]>) -> Self {
        Self { head: Some((weight, bias)), ..self }
    }

    /// The same without what [`with_head`](Self::with_head) added.
    pub(crate) const fn without_head(self) -> Self {
        Self { head: None, ..self }
    }

    /// Whether there is a bias.
    pub const fn has_bias(&self) -> bool {
        self.bias.is_some()
    }

    /// Checks every length, then every value, to be stored as `E`. There must be no head.
    pub(crate) fn check<E: Element>(&self, sizes: Sizes, has_bias: bool) -> Result<(), WeightsError> {
        self.check_head(None)?;
        match (has_bias, self.bias) {
            (true, None) => return Err(WeightsError::MissingBias),
            (false, Some(_)) => return Err(WeightsError::UnexpectedBias),
            _ => {}
        }
        match (sizes.proj, self.weight_hr) {
            (Some(_), None) => return Err(WeightsError::MissingProjection),
            (None, Some(_)) => return Err(WeightsError::UnexpectedProjection),
            _ => {}
        }
        let (names, rows) = (self.source.names(), GATES * sizes.hidden);
        let bias_lens = match self.source {
            Source::Torch => [rows, rows],
            Source::Keras => [rows, 0],
            Source::Onnx => [2 * rows, 0],
        };
        let (bias, [bias_ih, bias_hh]) =
            self.bias.map_or((<(&[f32], &[f32])>::default(), [0, 0]), |bias| (bias, bias_lens));
        // Where a usize has 32 bits a product may not fit: no tensor has so many elements, either.
        let hr = sizes.proj.map_or(0, |proj| proj.saturating_mul(sizes.hidden));
        let tensors = [
            (names[0], self.weight_ih, rows.saturating_mul(sizes.input)),
            (names[1], self.weight_hh, rows.saturating_mul(sizes.output())),
            (names[2], bias.0, bias_ih),
            (names[3], bias.1, bias_hh),
            ("weight_hr", self.weight_hr.unwrap_or_default(), hr),
        ];
        check_tensors(&tensors)?;
        // Two finite biases may sum up to infinity.
        for row in 0..rows {
            let (gate, unit) = (row / sizes.hidden, row % sizes.hidden);
            let Some([bias_ih, bias_hh]) = self.bias(sizes.hidden, gate, unit) else { break };
            if !(bias_ih + bias_hh).is_finite() {
                let tensors = if self.source == Source::Onnx { ["Wb", "Rb"] } else { ["bias_ih", "bias_hh"] };
                let index = self.source.gate(gate) * sizes.hidden + unit;
                return Err(WeightsError::BiasSum { tensors, index, values: [bias_ih, bias_hh] });
            }
        }
        // The bias is f32 for every element.
        let stored = [tensors[0], tensors[1], tensors[4]];
        for (tensor, values, _) in stored {
            if let Some(index) = values.iter().position(|&value| !E::holds(value)) {
                return Err(WeightsError::BeyondRange { tensor, index, value: values[index], dtype: E::NAME });
            }
        }
        Ok(())
    }

    /// Checks the head alone: for `(hidden, outputs)`, or that there is none.
    pub(crate) fn check_head(&self, sizes: Option<(usize, usize)>) -> Result<(), WeightsError> {
        match (sizes, self.head) {
            (None, None) => Ok(()),
            (None, Some(_)) => Err(WeightsError::UnexpectedHead),
            (Some(_), None) => Err(WeightsError::MissingHead),
            (Some((hidden, outputs)), Some((weight, bias))) => check_tensors(&[
                ("linear.weight", weight, outputs * hidden),
                ("linear.bias", bias.unwrap_or_default(), if bias.is_some() { outputs } else { 0 }),
            ]),
        }
    }

    /// `(bias_ih, bias_hh)` of a gate and unit of checked tensors.
    pub(crate) fn bias(&self, hidden: usize, gate: usize, unit: usize) -> Option<[f32; 2]> {
        let (first, second) = self.bias?;
        let row = self.source.gate(gate) * hidden + unit;
        Some(match self.source {
            Source::Torch => [first[row], second[row]],
            Source::Keras => [first[row], 0.0],
            Source::Onnx => [first[row], first[GATES * hidden + row]],
        })
    }

    /// The weight of checked tensors from x, or from h behind it, to a gate and unit.
    pub(crate) fn weight(&self, sizes: Sizes, gate: usize, unit: usize, column: usize) -> f32 {
        let rows = GATES * sizes.hidden;
        let row = self.source.gate(gate) * sizes.hidden + unit;
        let (tensor, columns, column) = if column < sizes.input {
            (self.weight_ih, sizes.input, column)
        } else {
            (self.weight_hh, sizes.output(), column - sizes.input)
        };
        if self.source == Source::Keras { tensor[column * rows + row] } else { tensor[row * columns + column] }
    }

    /// `weight_hr`, empty without a projection.
    #[cfg_attr(not(feature = "std"), allow(dead_code))]
    pub(crate) fn weight_hr(&self) -> &'a [f32] {
        self.weight_hr.unwrap_or_default()
    }

    /// Writes checked weights to their places in `bias` and `columns`, which must be all zero; `last`: the lines of the
    /// last group.
    pub(crate) fn pack<E: Element>(&self, sizes: Sizes, last: usize, bias: &mut [Line], columns: &mut [E::Line]) {
        for gate in 0..GATES {
            for unit in 0..sizes.hidden {
                if let Some([bias_ih, bias_hh]) = self.bias(sizes.hidden, gate, unit) {
                    let (line, lane) = place_of_bias(sizes.hidden, gate, unit);
                    bias[line].0[lane] = scale(gate) * (bias_ih + bias_hh);
                }
                for column in 0..sizes.columns() {
                    let weight = self.weight(sizes, gate, unit, column);
                    let parts = [sizes.input, sizes.output()];
                    let (line, part, lane) = place(E::FORM, parts, (sizes.hidden, last), column, gate, unit);
                    E::put(&mut columns[line], part, lane, scale(gate) * weight);
                }
            }
        }
    }

    /// Writes a checked head to its places in `lines`, which must be all zero.
    pub(crate) fn pack_head(&self, hidden: usize, outputs: usize, lines: &mut [Line]) {
        let Some((weight, bias)) = self.head else { return };
        for (index, &weight) in weight.iter().enumerate() {
            let (line, lane) = place_in_head(hidden, index / hidden, index % hidden);
            lines[line].0[lane] = weight;
        }
        for (output, &bias) in bias.unwrap_or_default().iter().enumerate() {
            let (line, lane) = place_of_head_bias(hidden, outputs, output);
            lines[line].0[lane] = bias;
        }
    }
}

/// Checks every length, then every value.
fn check_tensors(tensors: &[(&'static str, &[f32], usize)]) -> Result<(), WeightsError> {
    for &(tensor, values, expected) in tensors {
        if values.len() != expected {
            return Err(WeightsError::WrongLength { tensor, expected, found: values.len() });
        }
    }
    for &(tensor, values, _) in tensors {
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            return Err(WeightsError::NonFinite { tensor, index, value: values[index] });
        }
    }
    Ok(())
}

impl Source {
    /// Which gate of the source is gate 0..4 of i, f, g, o.
    const fn gate(self, gate: usize) -> usize {
        match self {
            Self::Torch | Self::Keras => gate,
            Self::Onnx => [0, 2, 3, 1][gate],
        }
    }

    /// Input weights, recurrent weights, two biases.
    const fn names(self) -> [&'static str; 4] {
        match self {
            Self::Torch => ["weight_ih", "weight_hh", "bias_ih", "bias_hh"],
            Self::Keras => ["kernel", "recurrent_kernel", "bias", "bias"],
            Self::Onnx => ["W", "R", "B", "B"],
        }
    }
}
