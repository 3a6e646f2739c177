//! `weights = "file.safetensors"`: a PyTorch state_dict, read, checked and packed while the user's crate compiles.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{env, fs};

use half::{bf16, f16};
use proc_macro2::{Literal, TokenStream};
use quote::quote;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use syn::Error;

use crate::key::{Key, Kind, refusal};
use crate::layout::{
    self, Form, GATES, head_lines, last_group_of_cell, lines, place, place_in_head, place_of_bias, place_of_head_bias,
    scale, tensor_lines,
};
use crate::validate::{Cell, Element, Weights};

/// How many keys or modules an error lists.
const LISTED: usize = 32;

/// What is wrong with the file.
type Result<T> = std::result::Result<T, String>;

/// The library's cell as a constant expression. If the file is no good, the expression is a compile error: the types
/// around it still exist, so that one mistake gives one message.
pub(crate) fn bake(cell: &Cell, weights: &Weights) -> TokenStream {
    let (library, file) = (&cell.library, weights.file.value());
    let path = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default().join(&file);
    match pack(cell, weights, &path) {
        Ok((bias, columns, head)) => {
            let (bias, columns, watched) = (literal(&bias), Literal::byte_string(&columns), path.to_string_lossy());
            let head = head.map_or_else(
                || quote!(()),
                |head| {
                    let head = literal(&head);
                    quote!(#library::cell::Linear::baked(#head))
                },
            );
            quote! {{
                // Never used, so not in the binary: it has the compiler look at the file when it decides to rebuild.
                const _: &[u8] = ::core::include_bytes!(#watched);
                #library::cell::Cell::baked(#bias, #columns, #head)
            }}
        }
        Err(message) => Error::new(weights.file.span(), format!("{file}: {message}")).into_compile_error(),
    }
}

/// As one literal: a token for each number would take the compiler seconds.
fn literal(lines: &[[f32; 16]]) -> Literal {
    let bytes: Vec<u8> = lines.iter().flatten().flat_map(|value| value.to_le_bytes()).collect();
    Literal::byte_string(&bytes)
}

type Lines = Vec<[f32; 16]>;

/// The lines of the bias, the bytes of the columns, and the lines of the head if there is one.
type Packed = (Lines, Vec<u8>, Option<Lines>);

fn pack(cell: &Cell, weights: &Weights, path: &Path) -> Result<Packed> {
    let bytes = fs::read(path).map_err(|error| format!("cannot read this file of the crate's root folder: {error}"))?;
    let file = SafeTensors::deserialize(&bytes)
        .map_err(|error| format!("not a whole safetensors file: {}", refusal(&bytes, error)))?;
    let lstm = Module { file: &file, path: &weights.prefix, named: "`prefix` names the LSTM's module" };
    let (bias, columns) = pack_lstm(cell, weights.layer, &lstm)?;
    let head = Module {
        file: &file,
        path: &weights.head,
        named: "`head = \"...\"` names the linear layer's module, by default `linear`",
    };
    let head = cell.out.map(|out| pack_head(cell.hidden, out, &head)).transpose()?;
    Ok((bias, columns, head))
}

/// What `LstmWeights::pack` of the library would write.
fn pack_lstm(cell: &Cell, layer: Option<usize>, module: &Module<'_, '_>) -> Result<(Lines, Vec<u8>)> {
    let model = Lstm::read(cell, layer, module)?;
    let (input, hidden, form) = (cell.input, cell.hidden, form(cell.dtype));
    let last = last_group_of_cell(form, input, hidden);
    let mut bias = vec![[0f32; 16]; lines(hidden)];
    // A tensor for each of the columns that share a line.
    let mut columns = vec![vec![[0f32; 16]; tensor_lines(form, input, hidden)]; form.share];
    for gate in 0..GATES {
        for unit in 0..hidden {
            let row = gate * hidden + unit;
            if let Some([ih, hh]) = &model.bias {
                let (line, lane) = place_of_bias(hidden, gate, unit);
                let sum = ih[row] + hh[row];
                if !sum.is_finite() {
                    let [ih, hh] = ["bias_ih", "bias_hh"].map(|name| module.key(name));
                    return Err(format!("`{ih}[{row}]` and `{hh}[{row}]` sum up to {sum}, expected a finite number"));
                }
                bias[line][lane] = scale(gate) * sum;
            }
            let x = &model.weight_ih[row * input..][..input];
            let h = &model.weight_hh[row * hidden..][..hidden];
            for (column, weight) in x.iter().chain(h).enumerate() {
                let (line, part, lane) = place(form, [input, hidden], (hidden, last), column, gate, unit);
                columns[part][line][lane] = scale(gate) * weight;
            }
        }
    }
    Ok((bias, stored(cell.dtype, &columns)))
}

const fn form(element: Element) -> Form {
    match element {
        Element::F32 => layout::F32,
        Element::F16 => layout::F16,
        Element::Bf16 => layout::BF16,
    }
}

/// The bytes of the columns, little-endian, as `Element::put` of the library would write them.
fn stored(element: Element, columns: &[Lines]) -> Vec<u8> {
    let lanes = |part: usize| columns[part].iter().flatten().copied();
    match element {
        Element::F32 => lanes(0).flat_map(f32::to_le_bytes).collect(),
        Element::F16 => lanes(0).flat_map(|lane| f16::from_f32(lane).to_le_bytes()).collect(),
        Element::Bf16 => {
            let pairs = lanes(0).zip(lanes(1));
            pairs.flat_map(|(low, high)| [low, high]).flat_map(|lane| bf16::from_f32(lane).to_le_bytes()).collect()
        }
    }
}

/// What `LstmWeights::pack_head` of the library would write, from a `torch.nn.Linear`.
fn pack_head(hidden: usize, outputs: usize, module: &Module<'_, '_>) -> Result<Lines> {
    let names = ["weight".to_owned(), "bias".to_owned()];
    let has_bias = module.has("bias");
    module.expect(if has_bias { &names } else { &names[..1] }, |_| false, "a head is one `torch.nn.Linear`")?;
    let mut lines = vec![[0f32; 16]; head_lines(hidden, outputs)];
    for (index, weight) in module.tensor("weight", &[outputs, hidden])?.into_iter().enumerate() {
        let (line, lane) = place_in_head(hidden, index / hidden, index % hidden);
        lines[line][lane] = weight;
    }
    let bias = if has_bias { module.tensor("bias", &[outputs])? } else { Vec::new() };
    for (output, bias) in bias.into_iter().enumerate() {
        let (line, lane) = place_of_head_bias(hidden, outputs, output);
        lines[line][lane] = bias;
    }
    Ok(lines)
}

/// The tensors of a `torch.nn.LSTMCell`, or of a layer of a `torch.nn.LSTM`.
struct Lstm {
    weight_ih: Vec<f32>,
    weight_hh: Vec<f32>,
    bias: Option<[Vec<f32>; 2]>,
}

impl Lstm {
    fn read(cell: &Cell, layer: Option<usize>, module: &Module<'_, '_>) -> Result<Self> {
        // `weight_ih` in an LSTMCell, `weight_ih_l0` in an LSTM.
        let named = layer.or_else(|| module.has("weight_ih_l0").then_some(0));
        let names = [Kind::WeightIh, Kind::WeightHh, Kind::BiasIh, Kind::BiasHh]
            .map(|kind| Key { layer: named, reverse: false, kind }.name(""));
        let [weight_ih, weight_hh, bias_ih, bias_hh] = names.each_ref().map(String::as_str);
        let has_bias = module.has(bias_ih) || module.has(bias_hh);
        let biases = [bias_ih, bias_hh].map(|name| module.key(name)).join("` and `");
        if has_bias && !cell.bias {
            return Err(format!("`{biases}` were found, expected none: the cell has `bias = false`"));
        }
        if !has_bias && cell.bias && module.has(weight_ih) {
            let hint = "declare the cell with `bias = false` to go without";
            return Err(format!("no bias was found, expected `{biases}` ({hint})"));
        }
        let expected = if cell.bias { &names[..] } else { &names[..2] };
        let plain = |key: Key| key.layer.is_some() && !key.reverse && key.kind != Kind::WeightHr;
        let other_layer = |name: &str| layer.is_some() && Key::parse(name).is_some_and(plain);
        let rule = "a cell is one layer (name it by `layer = <number>` if there are more), one way, without projection";
        module.expect(expected, other_layer, rule)?;

        let (rows, input, hidden) = (GATES * cell.hidden, cell.input, cell.hidden);
        let (ih, hh) = (module.view(weight_ih)?, module.view(weight_hh)?);
        if let (&[ih_rows, found_input], &[hh_rows, found_hidden]) = (ih.shape(), hh.shape())
            && ih_rows == hh_rows
            && found_hidden.checked_mul(GATES) == Some(ih_rows)
            && (found_input, found_hidden) != (input, hidden)
        {
            let found = format!("in={found_input}, hidden={found_hidden}");
            return Err(format!("holds a cell of {found}, expected in={input}, hidden={hidden}"));
        }
        let (shape_ih, shape_hh, shape_bias) = ([rows, input], [rows, hidden], [rows]);
        Ok(Self {
            weight_ih: module.weights(weight_ih, &shape_ih, cell.dtype)?,
            weight_hh: module.weights(weight_hh, &shape_hh, cell.dtype)?,
            bias: match cell.bias {
                true => Some([module.tensor(bias_ih, &shape_bias)?, module.tensor(bias_hh, &shape_bias)?]),
                false => None,
            },
        })
    }
}

/// A module of a state_dict: the tensors `path.name`, without those of modules inside it.
struct Module<'a, 'f> {
    file: &'a SafeTensors<'f>,
    path: &'a str,
    /// Which key of the macro holds `path`, for people.
    named: &'static str,
}

impl Module<'_, '_> {
    fn key(&self, name: &str) -> String {
        let dot = if self.path.is_empty() || self.path.ends_with('.') { "" } else { "." };
        format!("{}{dot}{name}", self.path)
    }

    fn has(&self, name: &str) -> bool {
        self.file.tensor(&self.key(name)).is_ok()
    }

    /// Checks that the module has these tensors and no other but those that `may` be there.
    fn expect(&self, names: &[String], may: impl Fn(&str) -> bool, rule: &str) -> Result<()> {
        names.iter().try_for_each(|name| self.view(name).map(drop))?;
        let prefix = self.key("");
        let own = self.own().into_iter().filter_map(|key| key.strip_prefix(&prefix));
        match own.into_iter().find(|name| !may(name) && !names.iter().any(|expected| expected == name)) {
            Some(other) => {
                let keys: Vec<String> = names.iter().map(|name| self.key(name)).collect();
                let (other, keys) = (self.key(other), keys.join("`, `"));
                Err(format!("the tensor `{other}` was not expected beside `{keys}`: {rule}"))
            }
            None => Ok(()),
        }
    }

    /// Names of the tensors in the module itself.
    fn own(&self) -> Vec<&str> {
        let prefix = self.key("");
        let mut names = self.file.names();
        names.retain(|key| key.strip_prefix(&prefix).is_some_and(|name| !name.contains('.')));
        names.sort_unstable();
        names
    }

    /// What there is instead of a missing tensor.
    fn listing(&self) -> String {
        let own = self.own();
        if !own.is_empty() {
            return format!("the module has {}", listed(&own));
        }
        // A tensor at the root stands for itself.
        let modules = self.file.names().into_iter().map(|key| key.rsplit_once('.').map_or(key, |(module, _)| module));
        let found = listed(&Vec::from_iter(BTreeSet::from_iter(modules)));
        let none = if self.path.is_empty() { "no tensor is at the file's root" } else { "there is no such module" };
        format!("{none} ({}), the file has {found}", self.named)
    }

    fn view(&self, name: &str) -> Result<TensorView<'_>> {
        let key = self.key(name);
        self.file.tensor(&key).map_err(|_| format!("the tensor `{key}` is missing; {}", self.listing()))
    }

    /// The elements of a tensor, rounded to f32, none of which is infinite as an element of the cell.
    fn weights(&self, name: &str, shape: &[usize], element: Element) -> Result<Vec<f32>> {
        let weights = self.tensor(name, shape)?;
        let holds = |weight| match element {
            Element::F32 => true,
            Element::F16 => f16::from_f32(weight).is_finite(),
            Element::Bf16 => bf16::from_f32(weight).is_finite(),
        };
        match weights.iter().position(|&weight| !holds(weight)) {
            None => Ok(weights),
            Some(index) => {
                let (key, weight, dtype) = (self.key(name), weights[index], element.name());
                Err(format!("`{key}[{index}]` is {weight:e}, beyond the range of {dtype}"))
            }
        }
    }

    /// The elements of a tensor, rounded to f32.
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let (key, tensor) = (self.key(name), self.view(name)?);
        if tensor.shape() != shape {
            return Err(format!("`{key}` has the shape {:?}, expected {shape:?}", tensor.shape()));
        }
        let data = tensor.data();
        let values: Vec<f64> = match tensor.dtype() {
            Dtype::F16 => elements(data, |bytes| f16::from_le_bytes(bytes).to_f64()),
            Dtype::BF16 => elements(data, |bytes| bf16::from_le_bytes(bytes).to_f64()),
            Dtype::F32 => elements(data, |bytes| f32::from_le_bytes(bytes).into()),
            Dtype::F64 => elements(data, f64::from_le_bytes),
            other => return Err(format!("`{key}` is {other:?}, expected F32, F16, BF16 or F64")),
        };
        let element = |(index, &value): (usize, &f64)| {
            let rounded = value as f32;
            if rounded.is_finite() {
                Ok(rounded)
            } else if value.is_finite() {
                Err(format!("`{key}[{index}]` is {value:e}, beyond the range of f32"))
            } else {
                Err(format!("`{key}[{index}]` is {value}, expected a finite number"))
            }
        };
        values.iter().enumerate().map(element).collect()
    }
}

/// Names for people: not too many.
fn listed(names: &[&str]) -> String {
    let shown = &names[..usize::min(names.len(), LISTED)];
    let more = names.len() - shown.len();
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("`{}`{rest}", shown.join("`, `"))
}

fn elements<const N: usize>(data: &[u8], element: impl Fn([u8; N]) -> f64) -> Vec<f64> {
    data.as_chunks().0.iter().map(|bytes| element(*bytes)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validate::validate;

    /// What is said of the weights, biases last, of a cell of one input and two units.
    fn said(options: &str, change: impl FnOnce(&mut [Vec<f32>; 4])) -> Option<String> {
        let mut tensors = [8, 16, 8, 8].map(|len| vec![0.5f32; len]);
        change(&mut tensors);
        let bytes = tensors.map(|tensor| tensor.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>());
        let shapes = [("weight_ih", vec![8, 1]), ("weight_hh", vec![8, 2]), ("bias_ih", vec![8]), ("bias_hh", vec![8])];
        let views = shapes
            .into_iter()
            .zip(&bytes)
            .map(|((name, shape), bytes)| (name, TensorView::new(Dtype::F32, shape, bytes).expect("bytes that fit")));
        let bytes = safetensors::serialize(views, None).expect("a file");
        let file = SafeTensors::deserialize(&bytes).expect("a file");
        let written = syn::parse_str(&format!("krate; in=1, hidden=2, weights=\"file\", {options}"));
        let cell = validate(written.expect("the grammar")).unwrap_or_else(|error| panic!("{error}"));
        pack_lstm(&cell, None, &Module { file: &file, path: "", named: "" }).err()
    }

    /// What is said of a file with the tensors of a `torch.nn.LSTM(1, 2)` and one more.
    fn said_beside(other: &str, layer: Option<usize>) -> Option<String> {
        let (bytes, shapes) = ([0; 64], [("weight_ih_l0", vec![8, 1]), ("weight_hh_l0", vec![8, 2])]);
        let biases = ["bias_ih_l0", "bias_hh_l0"].map(|name| (name, vec![8]));
        let views = shapes.into_iter().chain(biases).chain([(other, vec![1])]).map(|(name, shape)| {
            let len = 4 * shape.iter().product::<usize>();
            (name, TensorView::new(Dtype::F32, shape, &bytes[..len]).expect("bytes that fit"))
        });
        let bytes = safetensors::serialize(views, None).expect("a file");
        let file = SafeTensors::deserialize(&bytes).expect("a file");
        let written = syn::parse_str("krate; in=1, hidden=2, weights=\"file\"").expect("the grammar");
        let cell = validate(written).unwrap_or_else(|error| panic!("{error}"));
        pack_lstm(&cell, layer, &Module { file: &file, path: "", named: "" }).err()
    }

    #[test]
    fn beside_a_named_layer_only_other_layers_may_stand() {
        assert_eq!(said_beside("weight_ih_l1", Some(0)), None);
        for (other, layer) in [
            ("weight_ih_l1", None),
            ("weight_ih", Some(0)),
            ("weight_hr_l0", Some(0)),
            ("weight_hr_l1", Some(0)),
            ("weight_ih_l1_reverse", Some(0)),
            ("weight_ih_l01", Some(0)),
        ] {
            let said = said_beside(other, layer).unwrap_or_else(|| panic!("{other}: accepted"));
            assert!(said.starts_with(&format!("the tensor `{other}` was not expected beside")), "{said}");
        }
    }

    #[test]
    fn long_lists_are_cut() {
        assert_eq!(listed(&["a", "b"]), "`a`, `b`");
        assert!(listed(&[""; LISTED]).ends_with(", ``"));
        assert!(listed(&[""; LISTED + 3]).ends_with(", `` and 3 more"));
    }

    #[test]
    fn weights_that_the_cell_cannot_hold_are_named() {
        assert_eq!(said("dtype=f16", |_| {}), None);
        for (dtype, value, which, expected) in [
            ("f16", 1e5, 0, "`weight_ih[7]` is 1e5, beyond the range of f16"),
            ("f16", 1e5, 1, "`weight_hh[15]` is 1e5, beyond the range of f16"),
            ("bf16", 3.4e38, 0, "`weight_ih[7]` is 3.4e38, beyond the range of bf16"),
            ("bf16", 3.4e38, 1, "`weight_hh[15]` is 3.4e38, beyond the range of bf16"),
        ] {
            let change = |tensors: &mut [Vec<f32>; 4]| *tensors[which].last_mut().expect("elements") = value;
            assert_eq!(said(&format!("dtype={dtype}"), change).as_deref(), Some(expected));
        }
        let sum = said("dtype=f32", |tensors| (tensors[2][6], tensors[3][6]) = (2e38, 2e38));
        assert_eq!(sum.as_deref(), Some("`bias_ih[6]` and `bias_hh[6]` sum up to inf, expected a finite number"));
    }
}
