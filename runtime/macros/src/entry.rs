//! `#[raddle::main]` and `#[raddle::test]`: an ordinary function becomes a
//! goroutine's body, and a function of the same name starts it.

use proc_macro2::{Delimiter, Group, Literal, Span, TokenStream, TokenTree};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{Error, Result, ReturnType, Safety, Signature, Token, Type, Visibility};

use crate::options::{Attribute, Options};

/// A function whose body nobody needs to understand: a mistake in it is for
/// the compiler to explain.
struct Function {
    attrs: Vec<syn::Attribute>,
    vis: Visibility,
    sig: Signature,
    body: TokenTree,
}

impl Parse for Function {
    fn parse(input: ParseStream) -> Result<Function> {
        let attrs = input.call(syn::Attribute::parse_outer)?;
        let vis = input.parse()?;
        let sig = input.parse()?;
        match input.parse()? {
            TokenTree::Group(body) if body.delimiter() == Delimiter::Brace => Ok(Function {
                attrs,
                vis,
                sig,
                body: body.into(),
            }),
            other => Err(Error::new(other.span(), "expected a function with a body")),
        }
    }
}

impl Function {
    fn parse_for(attribute: Attribute, item: TokenStream) -> Result<Function> {
        syn::parse2(item).map_err(|error| {
            let path = attribute.path();
            Error::new(
                error.span(),
                format!("#[{path}] goes on a function with a body"),
            )
        })
    }

    /// Complains about everything at once.
    fn check(&self, attribute: Attribute) -> Result<()> {
        let sig = &self.sig;
        let mut errors: Option<Error> = None;
        let mut wrong = |span: Span, what: &str| {
            let error = Error::new(span, format!("#[{}] {what}", attribute.path()));
            match &mut errors {
                Some(errors) => errors.combine(error),
                None => errors = Some(error),
            }
        };
        if let Some(token) = &sig.constness {
            wrong(token.span(), "cannot go on a const fn");
        }
        if let Some(token) = &sig.asyncness {
            wrong(
                token.span(),
                "takes an ordinary fn: goroutines block without async; remove `async` (and use \
                 raddle::block_on for a future)",
            );
        }
        if let Safety::Unsafe(token) = &sig.safety {
            wrong(
                token.span(),
                "cannot go on an unsafe fn: nobody could vouch for its contract",
            );
        }
        if let Some(abi) = &sig.abi {
            wrong(abi.span(), "cannot go on an extern fn");
        }
        if !sig.generics.params.is_empty() {
            wrong(sig.generics.params.span(), "cannot go on a generic fn");
        }
        if let Some(clause) = &sig.generics.where_clause {
            wrong(clause.span(), "cannot go on a generic fn");
        }
        if !sig.inputs.is_empty() {
            wrong(sig.inputs.span(), "takes a fn without arguments");
        }
        if let Some(variadic) = &sig.variadic {
            wrong(variadic.span(), "takes a fn without arguments");
        }
        if attribute == Attribute::Test {
            for attr in &self.attrs {
                if attr.path().is_ident("test") {
                    wrong(attr.span(), "makes the test by itself: remove `#[test]`");
                }
            }
        }
        errors.map_or(Ok(()), Err)
    }

    /// The user's function as it stands, without attributes: it goes inside
    /// the one that replaces it.
    fn inner(&self) -> TokenStream {
        let (sig, body) = (&self.sig, &self.body);
        quote!(#sig #body)
    }

    /// A hollow function of the same name, so that a mistake in the attribute
    /// is not followed by "no main function".
    fn hollow(&self) -> TokenStream {
        let (vis, ident) = (&self.vis, &self.sig.ident);
        quote!(#[allow(dead_code)] #vis fn #ident() {})
    }

    /// Whether it says that it returns nothing, or says nothing.
    fn returns_unit(&self) -> bool {
        match &self.sig.output {
            ReturnType::Default => true,
            ReturnType::Type(_, output) => {
                matches!(&**output, Type::Tuple(tuple) if tuple.elems.is_empty())
            }
        }
    }

    /// Where an error about the returned type belongs.
    fn output_span(&self) -> Span {
        match &self.sig.output {
            ReturnType::Default => Span::mixed_site(),
            ReturnType::Type(_, output) => Span::mixed_site().located_at(output.span()),
        }
    }
}

pub(crate) fn expand(attribute: Attribute, options: TokenStream, item: TokenStream) -> TokenStream {
    let function = match Function::parse_for(attribute, item.clone()) {
        Ok(function) => function,
        Err(error) => {
            let error = error.into_compile_error();
            return quote!(#error #item);
        }
    };
    let options = function
        .check(attribute)
        .and_then(|()| Options::parse(attribute, options));
    match (options, attribute) {
        (Ok(options), Attribute::Main) => main(&function, &options),
        (Ok(options), Attribute::Test) => test(&function, &options),
        (Err(error), _) => {
            let (error, hollow) = (error.into_compile_error(), function.hollow());
            quote!(#error #hollow)
        }
    }
}

fn main(function: &Function, options: &Options) -> TokenStream {
    let Function {
        attrs, vis, sig, ..
    } = function;
    let (ident, inner) = (&sig.ident, function.inner());
    let at = function.output_span();
    let start = match &options.migrate {
        None => quote_spanned!(at=> ::raddle::__private::main(#ident);),
        Some(unsafety) => {
            let call = quote_spanned!(at=> ::raddle::__private::main_migrate(#ident));
            let (excuse, block) = unsafe_block(unsafety, call);
            quote!(#excuse #block;)
        }
    };
    quote! {
        #(#attrs)*
        #vis fn #ident() {
            #inner
            #start
        }
    }
}

fn test(function: &Function, options: &Options) -> TokenStream {
    let Function {
        attrs, vis, sig, ..
    } = function;
    let (ident, inner) = (&sig.ident, function.inner());
    let name = ident.unraw().to_string();
    let leaks = options.leaks;
    let deadline_ms = Literal::u64_unsuffixed(options.deadline_ms);
    let procs = options.procs.iter().copied().map(Literal::usize_unsuffixed);
    let options_value = quote! {
        ::raddle::__private::TestOptions {
            name: ::core::concat!(::core::module_path!(), "::", #name),
            deadline_ms: #deadline_ms,
            procs: &[#(#procs),*],
            leaks: #leaks,
        }
    };
    let at = function.output_span();
    let start = match &options.migrate {
        None => quote_spanned!(at=> ::raddle::__private::test(#options_value, #ident)),
        Some(unsafety) => {
            let call =
                quote_spanned!(at=> ::raddle::__private::test_migrate(#options_value, #ident));
            let (excuse, block) = unsafe_block(unsafety, call);
            quote_spanned!(Span::mixed_site()=> #excuse let status = #block; status)
        }
    };
    // What the body returns is reported where it runs; a status comes out.
    // `#[should_panic]` is for tests that return nothing.
    let (output, end) = if function.returns_unit() {
        (None, Some(quote!(;)))
    } else {
        (Some(quote!(-> ::raddle::__private::ExitCode)), None)
    };
    quote! {
        #[::core::prelude::v1::test]
        #(#attrs)*
        #vis fn #ident() #output {
            #inner
            #start #end
        }
    }
}

/// The block that spends the user's `unsafe`, and an attribute for the
/// statement it stands in.
fn unsafe_block(unsafety: &Token![unsafe], call: TokenStream) -> (TokenStream, TokenStream) {
    // The braces borrow the place of the user's `unsafe`: a block partly from
    // a macro counts as the macro's, and `forbid(unsafe_code)` lets it pass.
    let mut block = Group::new(Delimiter::Brace, call);
    block.set_span(unsafety.span());
    // For the same reason clippy asks the user for a SAFETY comment, and looks
    // for it where nobody can write one.
    let excuse = quote!(#[allow(clippy::undocumented_unsafe_blocks)]);
    (excuse, quote!(#unsafety #block))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(attribute: Attribute, options: &str, item: &str) -> String {
        expand(
            attribute,
            options.parse().expect("tokens"),
            item.parse().expect("tokens"),
        )
        .to_string()
    }

    fn tokens(source: &str) -> String {
        source.parse::<TokenStream>().expect("tokens").to_string()
    }

    #[test]
    fn main_hands_its_body_over() {
        assert_eq!(
            expanded(Attribute::Main, "", "#[cold] pub fn main() -> R { body() }"),
            tokens(
                "#[cold] pub fn main() { \
                     fn main() -> R { body() } \
                     ::raddle::__private::main(main); \
                 }"
            )
        );
    }

    #[test]
    fn migrate_spends_an_unsafe() {
        assert_eq!(
            expanded(Attribute::Main, "unsafe(migrate)", "fn start() {}"),
            tokens(
                "fn start() { \
                     fn start() {} \
                     #[allow(clippy::undocumented_unsafe_blocks)] \
                     unsafe { ::raddle::__private::main_migrate(start) }; \
                 }"
            )
        );
    }

    #[test]
    fn test_passes_its_options_on() {
        let item = "#[ignore] fn r#try() -> Result<(), E> { body() }";
        let call = "(::raddle::__private::TestOptions {
                         name: ::core::concat!(::core::module_path!(), \"::\", \"try\"),
                         deadline_ms: 2000,
                         procs: &[1, 4],
                         leaks: LEAKS,
                     }, r#try)";
        let whole = |call: &str| {
            tokens(&format!(
                "#[::core::prelude::v1::test] #[ignore] \
                 fn r#try() -> ::raddle::__private::ExitCode {{ \
                     fn r#try() -> Result<(), E> {{ body() }} {call} }}"
            ))
        };
        assert_eq!(
            expanded(Attribute::Test, "deadline = \"2s\", procs = [1, 4]", item),
            whole(&format!(
                "::raddle::__private::test {}",
                call.replace("LEAKS", "false")
            ))
        );
        assert_eq!(
            expanded(
                Attribute::Test,
                "deadline = \"2s\", procs = [1, 4], leaks = true, unsafe(migrate)",
                item
            ),
            whole(&format!(
                "#[allow(clippy::undocumented_unsafe_blocks)] \
                 let status = unsafe {{ ::raddle::__private::test_migrate {} }}; status",
                call.replace("LEAKS", "true")
            ))
        );
    }

    /// A body we cannot read is still handed to the compiler.
    #[test]
    fn a_broken_body_is_not_ours_to_judge() {
        let text = expanded(Attribute::Main, "", "fn main() { let = ; }");
        assert!(!text.contains("compile_error"), "{text}");
    }

    #[test]
    fn every_mistake_is_named_and_a_function_stays() {
        use Attribute::{Main, Test};
        for (attribute, options, item, parts) in [
            (
                Main,
                "",
                "async fn main() {}",
                &["#[raddle::main]", "async"][..],
            ),
            (
                Test,
                "",
                "async fn main() {}",
                &["#[raddle::test]", "async"],
            ),
            (Main, "", "const fn main() {}", &["const fn"]),
            (Main, "", "unsafe fn main() {}", &["unsafe fn"]),
            (Main, "", "extern \"C\" fn main() {}", &["extern fn"]),
            (Main, "", "fn main<T>() {}", &["generic"]),
            (Main, "", "fn main() where u8: Copy {}", &["generic"]),
            (Main, "", "fn main(n: u8) {}", &["without arguments"]),
            (Main, "", "fn main(&self) {}", &["without arguments"]),
            (
                Main,
                "",
                "async fn main(n: u8) {}",
                &["async", "without arguments"],
            ),
            (Test, "", "#[test] fn main() {}", &["remove `#[test]`"]),
            (Main, "migrate", "fn main() {}", &["needs unsafe"]),
        ] {
            let text = expanded(attribute, options, item);
            for part in parts
                .iter()
                .copied()
                .chain(["compile_error", "fn main () { }"])
            {
                assert!(text.contains(part), "{item}: {part} not in: {text}");
            }
        }
        for item in ["struct Main;", "fn main();", "fn main() {} fn more() {}"] {
            let text = expanded(Main, "", item);
            assert!(
                text.contains("goes on a function with a body"),
                "{item}: {text}"
            );
        }
    }
}
