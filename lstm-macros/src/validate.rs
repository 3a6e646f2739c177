//! From what was written to what it means, with each mistake reported at its token.

use proc_macro2::TokenStream;
use syn::{Attribute, Error, Ident, Lit, Result, Visibility};

use crate::parse::{Input, Setting, Value};

/// The most inputs or units: 4 * 4096 * 8192 weights are half a GiB, more than any struct should hold.
const MAX_SIZE: usize = 4096;

const KEYS: &str = "`in`, `hidden`, `dtype`, `bias`, `weights`, `prefix`";

/// A cell to be emitted.
pub(crate) struct Cell {
    pub(crate) library: TokenStream,
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) name: Ident,
    pub(crate) input: usize,
    pub(crate) hidden: usize,
    pub(crate) bias: bool,
}

pub(crate) fn validate(written: Input) -> Result<Cell> {
    let (mut input, mut hidden, mut bias, mut dtype) = (None, None, None, None);
    for setting in &written.options {
        let Setting { key, value } = setting;
        match key.to_string().as_str() {
            "in" => once(&mut input, key, size(key, value)?)?,
            "hidden" => once(&mut hidden, key, size(key, value)?)?,
            "bias" => once(&mut bias, key, boolean(value)?)?,
            "dtype" => once(&mut dtype, key, element(value)?)?,
            "weights" | "prefix" => {
                let message =
                    "compile-time weights (`weights`, `prefix`) are not supported yet: build the cell with `new`";
                return Err(Error::new(key.span(), message));
            }
            other => return Err(Error::new(key.span(), unknown_key(other))),
        }
    }
    let missing = |key: &str| Error::new(written.end, format!("missing key `{key}`: write `{key} = <number>`"));
    Ok(Cell {
        library: written.library,
        attributes: written.attributes,
        visibility: written.visibility,
        name: written.name.unwrap_or_else(|| Ident::new("LSTMCell", written.end)),
        input: input.ok_or_else(|| missing("in"))?,
        hidden: hidden.ok_or_else(|| missing("hidden"))?,
        bias: bias.unwrap_or(true),
    })
}

fn once<T>(place: &mut Option<T>, key: &Ident, value: T) -> Result<()> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(Error::new(key.span(), format!("duplicate key `{key}`"))),
    }
}

fn size(key: &Ident, value: &Value) -> Result<usize> {
    let Value::Lit(Lit::Int(number)) = value else {
        return Err(Error::new(value.span(), format!("expected a whole number from 1 to {MAX_SIZE} for `{key}`")));
    };
    match number.base10_parse::<usize>() {
        Ok(size @ 1..=MAX_SIZE) if number.suffix().is_empty() => Ok(size),
        _ => {
            let message = format!("`{key}` is {number}, expected a whole number from 1 to {MAX_SIZE}");
            Err(Error::new(number.span(), message))
        }
    }
}

fn boolean(value: &Value) -> Result<bool> {
    match value {
        Value::Lit(Lit::Bool(bias)) => Ok(bias.value),
        _ => Err(Error::new(value.span(), "expected `true` or `false` for `bias`")),
    }
}

fn element(value: &Value) -> Result<()> {
    match value {
        Value::Name(name) if name == "f32" => Ok(()),
        Value::Name(name) if name == "f16" || name == "bf16" => {
            Err(Error::new(name.span(), format!("dtype `{name}` is not supported yet: only `f32` is")))
        }
        _ => Err(Error::new(value.span(), "expected `f32` for `dtype`")),
    }
}

fn unknown_key(key: &str) -> String {
    let meant = match key {
        "input" | "input_size" | "inputs" => Some("in"),
        "hidden_size" | "out" | "units" => Some("hidden"),
        _ => None,
    };
    match meant {
        Some(meant) => format!("unknown key `{key}`, did you mean `{meant}`? The keys are {KEYS}"),
        None => format!("unknown key `{key}`, the keys are {KEYS}"),
    }
}
