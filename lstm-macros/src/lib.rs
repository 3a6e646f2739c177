//! The proc-macro behind `lstm_kernels::lstm_cell!`. Use it from there: it needs the path of that crate, which a
//! `macro_rules` wrapper gives it as `$crate`.
//!
//! `parse` reads the tokens, `validate` makes a specification of them, `bake` reads the file that `weights` names,
//! `expand` writes the struct. Sizes, calls and packed weights are all that is emitted; the algorithms live in
//! `lstm-kernels`.

#[cfg(feature = "bake")]
extern crate alloc;

#[cfg(feature = "bake")]
mod bake;
mod expand;
// Links to `lstm-kernels/src/state_dict/key.rs` and `lstm-kernels/src/layout.rs` (`cargo package` copies what they
// point to), so that the names and the layout are written once. What only the library asks of the layout is unused
// here.
#[cfg(feature = "bake")]
mod key;
#[cfg(feature = "bake")]
#[allow(dead_code)]
mod layout;
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
        Ok(cell) => {
            #[cfg(feature = "bake")]
            let baked = cell.weights.as_ref().map(|weights| bake::bake(&cell, weights));
            #[cfg(not(feature = "bake"))]
            let baked = None; // `validate` has refused `weights`
            expand::expand(&cell, baked).into()
        }
        Err(error) => error.into_compile_error().into(),
    }
}
