//! From what was written to what it means, with each mistake reported at its token.

use std::ops::RangeInclusive;

use proc_macro2::TokenStream;
use syn::parse::Parse;
use syn::{Attribute, Error, Ident, Lit, LitBool, LitInt, LitStr, Result, Visibility};

use crate::parse::{Input, Setting};

/// Inputs, units, outputs: 4 * 4096 * 8192 weights are half a GiB, more than any struct should hold.
const SIZES: RangeInclusive<usize> = 1..=4096;

/// Layers of a `torch.nn.LSTM`.
const LAYERS: RangeInclusive<usize> = 0..=4095;

const KEYS: &str = "`in`, `hidden`, `out`, `dtype`, `bias`, `weights`, `prefix`, `layer`, `head`";

/// A cell to be emitted.
pub(crate) struct Cell {
    pub(crate) library: TokenStream,
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) name: Ident,
    pub(crate) input: usize,
    pub(crate) hidden: usize,
    /// Outputs of a linear head, if there is one.
    pub(crate) out: Option<usize>,
    pub(crate) dtype: Element,
    pub(crate) bias: bool,
    pub(crate) weights: Option<Weights>,
}

/// What a weight is stored as.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Element {
    F32,
    F16,
    Bf16,
}

impl Element {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        }
    }
}

/// Where the weights of a baked cell come from.
#[cfg_attr(not(feature = "bake"), allow(dead_code))]
pub(crate) struct Weights {
    /// The file, from the root of the user's crate.
    pub(crate) file: LitStr,
    /// The LSTM's module in the state_dict, empty for its root.
    pub(crate) prefix: String,
    /// Which layer of the module; without, its only one.
    pub(crate) layer: Option<usize>,
    /// The linear head's module in the state_dict.
    pub(crate) head: String,
}

pub(crate) fn validate(written: Input) -> Result<Cell> {
    let (mut input, mut hidden, mut bias, mut dtype) = (None, None, None, None);
    let (mut out, mut file, mut prefix, mut layer, mut head) = (None, None, None, None, None);
    for setting in &written.options {
        let key = &setting.key;
        match key.to_string().as_str() {
            "in" => once(&mut input, key, whole(setting, SIZES)?)?,
            "hidden" => once(&mut hidden, key, whole(setting, SIZES)?)?,
            "out" => once(&mut out, key, whole(setting, SIZES)?)?,
            "bias" => once(&mut bias, key, literal::<LitBool>(setting, "`true` or `false`")?.value)?,
            "dtype" => once(&mut dtype, key, element(setting)?)?,
            "weights" if cfg!(feature = "bake") => once(&mut file, key, file_name(setting)?)?,
            "weights" => {
                let message = "`weights` needs the feature `bake` of lstm-kernels: \
                    write `lstm-kernels = { version = \"...\", features = [\"bake\"] }` in Cargo.toml";
                return Err(Error::new(key.span(), message));
            }
            "prefix" => once(&mut prefix, key, (key.span(), literal::<LitStr>(setting, "a string")?.value()))?,
            "layer" => once(&mut layer, key, (key.span(), whole(setting, LAYERS)?))?,
            "head" => once(&mut head, key, (key.span(), literal::<LitStr>(setting, "a string")?.value()))?,
            other => {
                let is_name = written.name.is_none() && setting.equals.is_none();
                return Err(Error::new(key.span(), unknown_key(other, is_name)));
            }
        }
    }
    if let (Some((span, _)), None) = (&head, out) {
        return Err(Error::new(*span, "`head` names a linear layer: it needs `out = <number of outputs>`"));
    }
    let of_a_file = [
        ("prefix", prefix.as_ref().map(|(span, _)| *span)),
        ("layer", layer.as_ref().map(|(span, _)| *span)),
        ("head", head.as_ref().map(|(span, _)| *span)),
    ];
    if let (None, Some((key, Some(span)))) = (&file, of_a_file.into_iter().find(|(_, span)| span.is_some())) {
        let message = format!("`{key}` names tensors of a file: it needs `weights = \"file.safetensors\"`");
        return Err(Error::new(span, message));
    }
    let weights = file.map(|file| Weights {
        file,
        prefix: prefix.map(|(_, path)| path).unwrap_or_default(),
        layer: layer.map(|(_, layer)| layer),
        head: head.map_or_else(|| "linear".to_owned(), |(_, path)| path),
    });
    let missing = |key: &str| Error::new(written.end, format!("missing key `{key}`: write `{key} = <number>`"));
    Ok(Cell {
        library: written.library,
        attributes: written.attributes,
        visibility: written.visibility,
        name: written.name.unwrap_or_else(|| Ident::new("LSTMCell", written.end)),
        input: input.ok_or_else(|| missing("in"))?,
        hidden: hidden.ok_or_else(|| missing("hidden"))?,
        out,
        dtype: dtype.unwrap_or(Element::F32),
        bias: bias.unwrap_or(true),
        weights,
    })
}

fn once<T>(place: &mut Option<T>, key: &Ident, value: T) -> Result<()> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(Error::new(key.span(), format!("duplicate key `{key}`"))),
    }
}

fn whole(setting: &Setting, range: RangeInclusive<usize>) -> Result<usize> {
    let expected = format!("a whole number from {} to {}", range.start(), range.end());
    let number: LitInt = literal(setting, &expected)?;
    let without = match number.suffix() {
        "" => String::new(),
        suffix => format!(" without the suffix `{suffix}`"),
    };
    match number.base10_parse() {
        Ok(value) if range.contains(&value) && without.is_empty() => Ok(value),
        _ => {
            let message = format!("`{}` is {number}, expected {expected}{without}", setting.key);
            Err(Error::new_spanned(&setting.value, message))
        }
    }
}

fn file_name(setting: &Setting) -> Result<LitStr> {
    let name: LitStr = literal(setting, "a string")?;
    match name.value().is_empty() {
        false => Ok(name),
        true => Err(Error::new(name.span(), "`weights` is empty, expected the path of a file")),
    }
}

fn element(setting: &Setting) -> Result<Element> {
    let name: Option<Ident> = read(setting);
    let known = [Element::F32, Element::F16, Element::Bf16];
    let found = known.into_iter().find(|dtype| name.as_ref().is_some_and(|name| name == dtype.name()));
    found.ok_or_else(|| wrong(setting, "`f32`, `f16` or `bf16`", ""))
}

fn literal<T: Parse>(setting: &Setting, expected: &str) -> Result<T> {
    read(setting).ok_or_else(|| {
        let hint = match read::<Lit>(setting) {
            Some(_) => "",
            None => " (write a literal: a macro cannot see the value of a name or an expression)",
        };
        wrong(setting, expected, hint)
    })
}

/// What follows the `=`, if it is a `T` and nothing else.
fn read<T: Parse>(setting: &Setting) -> Option<T> {
    setting.equals.and_then(|_| syn::parse2(setting.value.clone()).ok())
}

/// A setting without `=`, without a value, or with one that the key does not take.
fn wrong(Setting { key, equals, value }: &Setting, expected: &str, hint: &str) -> Error {
    if value.is_empty() {
        return Error::new(key.span(), format!("`{key}` has no value, expected `{key} =` and {expected}"));
    }
    let message = match equals {
        None => format!("expected `=` and {expected} after `{key}`, found `{value}`"),
        Some(_) => format!("expected {expected} for `{key}`, found `{value}`{hint}"),
    };
    Error::new_spanned(value, message)
}

/// `is_name`: it stands where the name of the struct could.
fn unknown_key(key: &str, is_name: bool) -> String {
    let hint = match key.to_lowercase().as_str() {
        "input" | "input_size" | "inputs" => "did you mean `in`?",
        "hidden_size" | "units" => "did you mean `hidden`?",
        "out_features" | "output" | "outputs" => "did you mean `out`?",
        "file" | "weight" => "did you mean `weights`?",
        "linear" => "did you mean `head`?",
        "layers" | "num_layers" => "a cell is one layer: stack cells with `Layer`.",
        "bidirectional" | "proj" | "proj_size" | "batch_first" | "dropout" => "a cell has no such option: `Lstm` has.",
        "isa" => "an instruction set is chosen by `with_isa` or `baked_with_isa`.",
        "enum" | "name" | "pub" | "struct" => "the cell's name comes first: `struct Amp, in = 1, hidden = 16`.",
        known if KEYS.contains(&format!("`{known}`")) => &format!("did you mean `{known}`?"),
        _ if is_name => &format!("write `struct {key}` to name the cell."),
        _ => return format!("unknown key `{key}`, the keys are {KEYS}"),
    };
    format!("unknown key `{key}`, {hint} The keys are {KEYS}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(tokens: &str) -> Result<Cell> {
        validate(syn::parse_str(&format!("krate; {tokens}"))?)
    }

    #[test]
    fn the_grammar_of_the_documentation_is_accepted() {
        let plain = cell("in=10, hidden=20").unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(
            (plain.name.to_string().as_str(), plain.input, plain.hidden, plain.bias),
            ("LSTMCell", 10, 20, true)
        );
        let named = cell("#[doc = \"x\"] pub(crate) struct Amp, hidden = 1_6, in = 1, dtype = f32, bias = false,");
        let named = named.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((named.name.to_string().as_str(), named.input, named.hidden, named.bias), ("Amp", 1, 16, false));
        assert_eq!((named.attributes.len(), named.dtype), (1, Element::F32));
        let half = cell("in=1, hidden=2, dtype=bf16").unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(half.dtype, Element::Bf16);
    }

    #[test]
    fn the_largest_sizes_are_accepted() {
        let largest = cell("in=4096, hidden=4096, out=4096").unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((largest.input, largest.hidden, largest.out), (4096, 4096, Some(4096)));
    }

    #[cfg(feature = "bake")]
    #[test]
    fn every_key_is_given_once() {
        let all = [
            "in=1",
            "hidden=2",
            "out=3",
            "bias=true",
            "dtype=f32",
            "weights=\"a\"",
            "prefix=\"b\"",
            "layer=0",
            "head=\"c\"",
        ];
        for twice in all {
            let key = twice.split('=').next().unwrap_or_default();
            let message = cell(&format!("{}, {twice}", all.join(", "))).err().map(|error| error.to_string());
            assert_eq!(message, Some(format!("duplicate key `{key}`")));
        }
    }

    #[test]
    fn every_mistake_is_named() {
        for (tokens, expected) in [
            ("hidden=20", "missing key `in`"),
            ("in=10", "missing key `hidden`"),
            ("in=0, hidden=20", "`in` is 0, expected a whole number from 1 to 4096"),
            ("in=10, hidden=4097", "`hidden` is 4097"),
            ("in=10, hidden=20u8", "`hidden` is 20u8, expected a whole number from 1 to 4096 without the suffix `u8`"),
            ("in=10, hidden=99999999999999999999999", "`hidden` is 9999"),
            ("in=10, hidden=2.5", "expected a whole number"),
            ("in=10, hidden=20, in=10", "duplicate key `in`"),
            ("in=10, hidden_size=20", "did you mean `hidden`?"),
            ("in=10, hidden=20, cells=3", "unknown key `cells`"),
            (
                "in=10, hidden=20, proj_size=3",
                "unknown key `proj_size`, a cell has no such option: `Lstm` has. The keys",
            ),
            ("in=10, hidden=20, bias=1", "expected `true` or `false`"),
            ("in=10, hidden=20, dtype=f64", "expected `f32`, `f16` or `bf16` for `dtype`"),
            ("in=10, hidden=20, dtype=\"f16\"", "expected `f32`, `f16` or `bf16` for `dtype`"),
            ("in=10, hidden=20, out=0", "`out` is 0, expected a whole number"),
            ("in=10, hidden=20, outputs=1", "did you mean `out`?"),
            ("in=10, hidden=20, prefix=\"rec\"", "`prefix` names tensors of a file: it needs `weights ="),
            ("in=10, hidden=20, layer=1", "`layer` names tensors of a file: it needs `weights ="),
            ("in=10, hidden=20, layer=4096", "`layer` is 4096, expected a whole number from 0 to 4095"),
            (
                "in=10, hidden=20, layer=l1",
                "expected a whole number from 0 to 4095 for `layer`, found `l1` (write a literal",
            ),
            ("in=10, hidden=20, out=1, head=\"lin\"", "`head` names tensors of a file: it needs `weights ="),
            ("in=10, hidden=20, head=\"lin\"", "it needs `out ="),
            ("in=10, hidden=20, prefix=rec", "expected a string for `prefix`"),
            #[cfg(feature = "bake")]
            ("in=10, hidden=20, weights=amp", "expected a string for `weights`, found `amp` (write a literal"),
            #[cfg(feature = "bake")]
            ("in=10, hidden=20, weights=\"\"", "`weights` is empty"),
            #[cfg(not(feature = "bake"))]
            ("in=10, hidden=20, weights=\"amp.safetensors\"", "`weights` needs the feature `bake` of lstm-kernels"),
            ("in 10", "expected `=` and a whole number from 1 to 4096 after `in`, found `10`"),
            ("in=10, hidden==20", "expected `=` and a whole number from 1 to 4096 after `hidden`, found `=="),
            ("in=10, hidden=max(4, 5)", "expected a whole number from 1 to 4096 for `hidden`, found `max"),
            ("in=10, hidden=20, bias", "`bias` has no value, expected `bias =` and `true` or `false`"),
            ("in=10 hidden=20", "expected `,` before the next key, found `hidden`"),
            ("in=10; hidden=20", "expected `,` before the next key, found `;`"),
            ("in=10, 20", "expected a key such as `in = 1`, found `20`"),
            ("in=10, Hidden=20", "did you mean `hidden`?"),
            ("in=hidden=20", "expected a whole number from 1 to 4096 for `in`, found `hidden = 20`"),
            ("Amp, in=10, hidden=20", "write `struct Amp`"),
            ("Amp in=10, hidden=20", "write `struct Amp`"),
            ("struct Amp, bar, in=10, hidden=20", "unknown key `bar`, the keys are"),
            ("pub Amp, in=10, hidden=20", "expected `struct`, found `Amp`"),
            ("pub #[doc(hidden)] struct Amp, in=10, hidden=20", "attributes come before `pub`"),
            ("struct, in=10, hidden=20", "expected the cell's name after `struct`, found `,`"),
            ("struct Amp<T>, in=10, hidden=20", "expected `,` after the cell's name"),
        ] {
            let message = cell(tokens).err().unwrap_or_else(|| panic!("{tokens}: accepted")).to_string();
            assert!(message.contains(expected), "{tokens}: {message}");
        }
    }
}
