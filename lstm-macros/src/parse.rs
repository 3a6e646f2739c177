//! The grammar: `$crate; [attributes] [visibility struct Name,] key = value, ...`.

use proc_macro2::{Delimiter, Span, TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Error, Ident, Token, Visibility};

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
    /// The `=`; without, `value` is what stands in its place.
    pub(crate) equals: Option<Token![=]>,
    /// All up to the next comma: what is no value of this key is wrong as a whole.
    pub(crate) value: TokenStream,
}

impl Parse for Input {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut library = TokenStream::new();
        while !input.peek(Token![;]) {
            library.extend([input.parse::<TokenTree>()?]);
        }
        input.parse::<Token![;]>()?;

        let attributes = input.call(Attribute::parse_outer)?;
        let visibility: Visibility = input.parse()?;
        let mut name = None;
        let has_head = !attributes.is_empty() || !matches!(visibility, Visibility::Inherited);
        if has_head || input.peek(Token![struct]) {
            if input.parse::<Option<Token![struct]>>()?.is_none() {
                let late = if input.peek(Token![#]) { " (attributes come before `pub`)" } else { "" };
                return Err(expected(input, &format!("`struct`{late}")));
            }
            if !input.peek(Ident) {
                return Err(expected(input, "the cell's name after `struct`"));
            }
            name = Some(input.parse()?);
            comma(input, "after the cell's name (which takes no path, generics, bounds or body)")?;
        }
        let mut options = Vec::new();
        while !input.is_empty() {
            options.push(input.parse()?);
            comma(input, "before the next key")?;
        }
        Ok(Self { library, attributes, visibility, name, options, end: Span::call_site() })
    }
}

impl Parse for Setting {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if !input.peek(Ident::peek_any) {
            return Err(expected(input, "a key such as `in = 1`"));
        }
        let key = input.call(Ident::parse_any)?;
        let equals = if input.peek(Token![==]) || input.peek(Token![=>]) { None } else { input.parse()? };
        let mut value = TokenStream::new();
        while !(input.is_empty() || input.peek(Token![,]) || input.peek(Token![;])) {
            match input.parse()? {
                // A fragment of the user's `macro_rules`: its tokens have the spans to report.
                TokenTree::Group(group) if group.delimiter() == Delimiter::None => value.extend(group.stream()),
                token => value.extend([token]),
            }
            // The comma before the next key was forgotten.
            if input.peek(Ident::peek_any) && input.peek2(Token![=]) {
                break;
            }
        }
        Ok(Self { key, equals, value })
    }
}

/// A comma, or the end.
fn comma(input: ParseStream<'_>, place: &str) -> syn::Result<()> {
    if input.is_empty() || input.parse::<Option<Token![,]>>()?.is_some() {
        return Ok(());
    }
    Err(expected(input, &format!("`,` {place}")))
}

/// An error at the next token.
fn expected(input: ParseStream<'_>, what: &str) -> Error {
    match input.cursor().token_tree() {
        Some((found, _)) => Error::new(found.span(), format!("expected {what}, found `{found}`")),
        None => input.error(format!("expected {what}")),
    }
}
