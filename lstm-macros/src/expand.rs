//! The struct around `lstm_kernels::cell::Cell`: shapes, storage, calls and their docs.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

use crate::validate::Cell;

/// `baked` is the library's cell as a constant expression, if the cell has weights.
pub(crate) fn expand(cell: &Cell, baked: Option<TokenStream>) -> TokenStream {
    let Cell { library, attributes, visibility, name, input, hidden, out, dtype, bias, weights: source } = cell;
    let state = format_ident!("{name}State");
    let head = match out {
        Some(out) => quote!(#library::cell::Linear<#hidden, #out, { #library::layout::head_lines(#hidden, #out) }>),
        None => quote!(()),
    };
    let element = format_ident!("{}", dtype.name());
    let form = format_ident!("{}", dtype.name().to_uppercase());
    let inner = quote! {
        #library::cell::Cell<
            #library::__private::#element,
            #input,
            #hidden,
            { #library::layout::padded(#hidden) },
            { #library::layout::last_group_of_cell(#library::layout::#form, #input, #hidden) },
            { #library::layout::lines(#hidden) },
            { #library::layout::tensor_lines(#library::layout::#form, #input, #hidden) },
            #bias,
            #head,
        >
    };
    let state_type = quote!(#library::State<#hidden, { #library::layout::padded(#hidden) }>);
    let (weights, isa, error) = (quote!(#library::LstmWeights<'_>), quote!(#library::Isa), quote!(#library::Error));

    // A user's type may have the short name.
    let (float, size) = (quote!(::core::primitive::f32), quote!(::core::primitive::usize));
    // What keeps the struct keeps the rest of it.
    let cfg: Vec<_> = attributes.iter().filter(|attribute| attribute.path().is_ident("cfg")).collect();
    let about = format!(
        " An LSTM cell of {input} inputs and {hidden} hidden units, with packed weights inside, stored as {}.",
        dtype.name()
    );
    let about_state = format!(" The state `(h, c)` of one stream through a [`{name}`].");
    let about_step = format!(
        " One time step: takes x (\\[{input}\\]) and `(h, c)`, leaves the new `(h, c)` in `state`, returns the new h (\\[{hidden}\\])."
    );
    let baked_boxed = source.iter().map(|_| baked_boxed_method(library, &isa, &error));
    let baked = source.iter().zip(baked).map(|(source, cell)| baked_methods(&source.file.value(), &cell, &isa, &error));
    let outputs = out.iter().map(|out| output_methods(*input, *out, &state, &error));
    let layer_out = out.iter().map(|out| {
        quote! {
            #(#cfg)*
            #[automatically_derived]
            #[allow(deprecated)]
            impl #library::LayerOut for #name {
                type Out = [#float; #out];

                #[inline]
                fn step_out(&self, x: &[#float; #input], state: &mut #state) -> [#float; #out] {
                    self.inner.step_out(x, state)
                }
                #[inline]
                fn run_out(
                    &self,
                    seq: &[[#float; #input]],
                    state: &mut #state,
                    out: &mut [[#float; #out]],
                ) -> ::core::result::Result<(), #error> {
                    self.inner.run_out(seq, state, out)
                }
                #[inline]
                fn step_batch_out(
                    &self,
                    xs: &[[#float; #input]],
                    states: &mut [#state],
                    out: &mut [[#float; #out]],
                ) -> ::core::result::Result<(), #error> {
                    self.inner.step_batch_out(xs, states, out)
                }
            }
        }
    });
    quote! {
        #(#attributes)*
        #[doc = #about]
        #[allow(dead_code)]
        #visibility struct #name {
            inner: #inner,
        }

        #(#cfg)*
        #[doc = #about_state]
        #[allow(dead_code)]
        #visibility type #state = #state_type;

        #(#cfg)*
        #[automatically_derived]
        #[allow(dead_code, deprecated, clippy::self_named_constructors)] // `baked` of a struct `Baked`
        impl #name {
            /// The number of inputs.
            pub const INPUT: #size = #input;
            /// The number of hidden units.
            pub const HIDDEN: #size = #hidden;

            /// A cell on the fastest instruction set that this CPU has, or the one that `LSTM_KERNELS_ISA` names.
            ///
            /// # Errors
            /// A tensor of the wrong length, a NaN or infinite weight or one beyond the stored type, a missing or
            /// unexpected bias or head, an instruction set that this CPU lacks.
            pub fn new(weights: &#weights) -> ::core::result::Result<Self, #error> {
                ::core::result::Result::Ok(Self { inner: <#inner>::new(weights)? })
            }

            /// A cell on a given instruction set.
            ///
            /// # Errors
            /// As `new`.
            pub fn with_isa(weights: &#weights, isa: #isa) -> ::core::result::Result<Self, #error> {
                ::core::result::Result::Ok(Self { inner: <#inner>::with_isa(weights, isa)? })
            }

            #(#baked)*

            /// The instruction set that the cell runs on.
            pub fn isa(&self) -> #isa {
                self.inner.isa()
            }

            /// The state at the start of a sequence: h = c = 0.
            pub const fn zero_state() -> #state {
                #state::zero()
            }

            #[doc = #about_step]
            ///
            /// No allocation, no lock, no system call, no panic. NaN in x reaches h.
            #[inline]
            pub fn step<'s>(&self, x: &[#float; #input], state: &'s mut #state) -> &'s [#float; #hidden] {
                self.inner.step(x, state)
            }

            /// One time step of each of `xs.len()` independent streams: the same bits as that many `step`s, in less
            /// time or the same. No allocation, no lock, no system call, no panic; more than 256 KiB of weights take
            /// some 60 KiB of stack (without optimisation up to 0.8 MiB).
            ///
            /// # Errors
            /// `LengthMismatch` if there are not as many inputs as states; no state has changed then.
            #[inline]
            pub fn step_batch(
                &self,
                xs: &[[#float; #input]],
                states: &mut [#state],
            ) -> ::core::result::Result<(), #error> {
                self.inner.step_batch(xs, states)
            }

            /// A whole sequence of one stream: the same bits as a `step` for each x, whose h goes to `out`. No
            /// allocation, no lock, no system call, no panic; where x's weights are read once for some steps, 70 KiB of
            /// stack (without optimisation up to 0.8 MiB).
            ///
            /// # Errors
            /// `LengthMismatch` if there are not as many inputs as outputs; the state has not changed then.
            #[inline]
            pub fn run(
                &self,
                seq: &[[#float; #input]],
                state: &mut #state,
                out: &mut [[#float; #hidden]],
            ) -> ::core::result::Result<(), #error> {
                self.inner.run(seq, state, out)
            }

            #(#outputs)*
        }

        // Not by `derive`, which would put the struct off until after the alias: of a name that is given twice, the
        // compiler would first report the alias, which nobody wrote.
        #(#cfg)*
        #[automatically_derived]
        #[allow(deprecated)]
        impl ::core::clone::Clone for #name {
            #[inline]
            fn clone(&self) -> Self {
                Self { inner: ::core::clone::Clone::clone(&self.inner) }
            }
        }

        #(#cfg)*
        #[automatically_derived]
        #[allow(deprecated)]
        impl ::core::fmt::Debug for #name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                self.inner.describe(::core::stringify!(#name), f)
            }
        }

        #(#cfg)*
        #[automatically_derived]
        #[allow(deprecated)]
        impl #library::cell::Wraps for #name {
            type Cell = #inner;
        }

        #library::__if_alloc! {
            #(#cfg)*
            #[automatically_derived]
            #[allow(dead_code, deprecated)]
            impl #name {
                /// `new` on the heap: for cells too large for a thread's stack, which this never touches.
                ///
                /// # Errors
                /// As `new`.
                pub fn new_boxed(
                    weights: &#weights,
                ) -> ::core::result::Result<#library::Boxed<Self>, #error> {
                    <#inner>::new_boxed(weights)
                }

                /// `with_isa` on the heap, see `new_boxed`.
                ///
                /// # Errors
                /// As `new`.
                pub fn with_isa_boxed(
                    weights: &#weights,
                    isa: #isa,
                ) -> ::core::result::Result<#library::Boxed<Self>, #error> {
                    <#inner>::with_isa_boxed(weights, isa)
                }

                #(#baked_boxed)*
            }
        }

        #(#cfg)*
        #[automatically_derived]
        #[allow(deprecated)]
        impl #library::Layer for #name {
            type Input = [#float; #input];
            type Output = [#float; #hidden];
            type State = #state;

            fn zero_state() -> #state {
                #state::zero()
            }
            #[inline]
            fn output(state: &#state) -> &[#float; #hidden] {
                state.h()
            }
            #[inline]
            fn step<'s>(&self, x: &[#float; #input], state: &'s mut #state) -> &'s [#float; #hidden] {
                self.inner.step(x, state)
            }
            #[inline]
            fn run(
                &self,
                seq: &[[#float; #input]],
                state: &mut #state,
                out: &mut [[#float; #hidden]],
            ) -> ::core::result::Result<(), #error> {
                self.inner.run(seq, state, out)
            }
            #[inline]
            fn step_batch(
                &self,
                xs: &[[#float; #input]],
                states: &mut [#state],
            ) -> ::core::result::Result<(), #error> {
                self.inner.step_batch(xs, states)
            }
        }

        #(#layer_out)*
    }
}

/// `baked` and `baked_with_isa` of a cell with the weights of `file`.
fn baked_methods(file: &str, cell: &TokenStream, isa: &TokenStream, error: &TokenStream) -> TokenStream {
    let about = format!(" The cell with the weights of `{file}`, packed when this was compiled.");
    quote! {
        #[doc = #about]
        ///
        /// In a `static` it takes no work at start-up and no copy. It runs on the fastest instruction set that the
        /// CPU has, looked up at each call (a cached load for each set asked for), whatever `LSTM_KERNELS_ISA` says.
        pub const fn baked() -> Self {
            const { Self { inner: #cell } }
        }

        /// A copy of `baked` on a given instruction set; `baked_with_isa(Isa::detect()?)` heeds `LSTM_KERNELS_ISA`.
        ///
        /// # Errors
        /// An instruction set that this CPU lacks.
        pub fn baked_with_isa(isa: #isa) -> ::core::result::Result<Self, #error> {
            ::core::result::Result::Ok(Self { inner: Self::baked().inner.on(isa)? })
        }
    }
}

/// `baked_with_isa_boxed`, where there is a heap.
fn baked_boxed_method(library: &TokenStream, isa: &TokenStream, error: &TokenStream) -> TokenStream {
    quote! {
        /// `baked_with_isa` on the heap: for cells too large for a thread's stack, which this never touches.
        ///
        /// # Errors
        /// As `baked_with_isa`.
        pub fn baked_with_isa_boxed(isa: #isa) -> ::core::result::Result<#library::Boxed<Self>, #error> {
            const { &Self::baked().inner }.boxed_on(isa)
        }
    }
}

/// What a cell with a linear head to `out` outputs has besides.
fn output_methods(input: usize, out: usize, state: &Ident, error: &TokenStream) -> TokenStream {
    let (float, size) = (quote!(::core::primitive::f32), quote!(::core::primitive::usize));
    let about_step = format!(" `step`, then the outputs y = W h + b of the new h (\\[{out}\\]).");
    quote! {
        /// The number of outputs.
        pub const OUT: #size = #out;

        #[doc = #about_step]
        ///
        /// No allocation, no lock, no system call, no panic. NaN in x reaches y.
        #[inline]
        pub fn step_out(&self, x: &[#float; #input], state: &mut #state) -> [#float; #out] {
            self.inner.step_out(x, state)
        }

        /// `step_batch`, and the outputs of each stream: the same bits as that many `step_out`s. No allocation, no
        /// lock, no system call, no panic.
        ///
        /// # Errors
        /// `LengthMismatch` if there are not as many inputs as states and as outputs; no state has changed then.
        #[inline]
        pub fn step_batch_out(
            &self,
            xs: &[[#float; #input]],
            states: &mut [#state],
            out: &mut [[#float; #out]],
        ) -> ::core::result::Result<(), #error> {
            self.inner.step_batch_out(xs, states, out)
        }

        /// A whole sequence of one stream: the same bits as a `step_out` for each x, whose outputs go to `out`. No
        /// allocation, no lock, no system call, no panic.
        ///
        /// # Errors
        /// `LengthMismatch` if there are not as many inputs as outputs; the state has not changed then.
        #[inline]
        pub fn run_out(
            &self,
            seq: &[[#float; #input]],
            state: &mut #state,
            out: &mut [[#float; #out]],
        ) -> ::core::result::Result<(), #error> {
            self.inner.run_out(seq, state, out)
        }
    }
}
