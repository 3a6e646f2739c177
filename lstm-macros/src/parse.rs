//! The grammar: `$crate; [attributes] [visibility struct Name,] key = value, ...`.

use proc_macro2::{Span, TokenStream};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Attribute, Ident, Lit, Token, Visibility};

/// What was written, not yet checked.
pub(crate) struct Input {
    /// The path of `lstm_kernels` as the user's crate sees it.
    pub(crate) library: TokenStream,
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) name: Option<Ident>,
    pub(crate) options: Vec<Setting>,
    /// Where to report what is missing.
    pub(crate) end: Span,
}

/// `key = value`.
pub(crate) struct Setting {
    pub(crate) key: Ident,
    pub(crate) value: Value,
}

/// A literal (`20`, `true`, `"file"`) or a name (`f32`).
pub(crate) enum Value {
    Lit(Lit),
    Name(Ident),
}

impl Value {
    pub(crate) fn span(&self) -> Span {
        match self {
            Self::Lit(lit) => lit.span(),
            Self::Name(name) => name.span(),
        }
    }
}

impl Parse for Input {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut library = TokenStream::new();
        while !input.peek(Token![;]) {
            library.extend([input.parse::<proc_macro2::TokenTree>()?]);
        }
        input.parse::<Token![;]>()?;

        let attributes = input.call(Attribute::parse_outer)?;
        let visibility: Visibility = input.parse()?;
        let mut name = None;
        let has_head = !attributes.is_empty() || !matches!(visibility, Visibility::Inherited);
        if has_head || input.peek(Token![struct]) {
            input.parse::<Token![struct]>()?;
            name = Some(input.parse()?);
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        let options = Punctuated::<Setting, Token![,]>::parse_terminated(input)?.into_iter().collect();
        Ok(Self { library, attributes, visibility, name, options, end: Span::call_site() })
    }
}

impl Parse for Setting {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let key = input.call(Ident::parse_any)?;
        input.parse::<Token![=]>()?;
        let value = if input.peek(Lit) { Value::Lit(input.parse()?) } else { Value::Name(input.parse()?) };
        Ok(Self { key, value })
    }
}
