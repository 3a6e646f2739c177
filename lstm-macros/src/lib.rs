//! The proc-macro behind `lstm_kernels::lstm_cell!`. Use it from there: it needs the path of that crate, which a
//! `macro_rules` wrapper gives it as `$crate`.
//!
//! `parse` reads the tokens, `validate` makes a specification of them, `expand` writes the struct. Sizes and
//! calls are all that is emitted; the algorithms live in `lstm-kernels`.

mod expand;
mod parse;
mod validate;

use proc_macro::TokenStream;

/// See `lstm_kernels::lstm_cell!`.
#[proc_macro]
pub fn lstm_cell_impl(tokens: TokenStream) -> TokenStream {
    let cell = match syn::parse::<parse::Input>(tokens) {
        Ok(input) => validate::validate(input),
        Err(error) => Err(error),
    };
    match cell {
        Ok(cell) => expand::expand(&cell).into(),
        Err(error) => error.into_compile_error().into(),
    }
}
