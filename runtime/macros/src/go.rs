//! `go!`: which form the user wrote, and the `spawn` it becomes.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Error, Expr, ExprCall, ExprMethodCall, Result, Token};

const EMPTY: &str = "go! has nothing to run: write a call `go!(f(a))` or \
     `go!(value.method(a))`, a closure `go!(move || ..)`, or statements `go! { .. }`";

/// What the whole input is.
pub(crate) enum Form {
    /// `path(args)`: arguments now, the call in the goroutine.
    Call(ExprCall),
    /// `place.method(args)`: place and arguments now, the call in the goroutine.
    Method(ExprMethodCall),
    /// A closure literal: spawned as it stands.
    Closure(TokenStream),
    /// Anything else: all of it, braces included, runs in the goroutine.
    Body(TokenStream),
}

impl Form {
    pub(crate) fn of(input: TokenStream) -> Result<Form> {
        if input.is_empty() {
            return Err(Error::new(Span::call_site(), EMPTY));
        }
        match syn::parse2::<Expr>(input.clone()) {
            Ok(expr) => Ok(Form::of_expr(expr, input)),
            Err(_) => match call_with_bad_arguments(&input) {
                Some(error) => Err(error),
                // Statements, or a mistake that the compiler explains better.
                None => Ok(Form::body(input)),
            },
        }
    }

    fn of_expr(expr: Expr, input: TokenStream) -> Form {
        match expr {
            // Invisible parentheses round a `$e:expr` of the user's own macro.
            Expr::Group(group) if group.attrs.is_empty() => Form::of_expr(*group.expr, input),
            Expr::Closure(_) => Form::Closure(input),
            Expr::Call(call) if call.attrs.is_empty() && is_path(&call.func) => Form::Call(call),
            Expr::MethodCall(call) if call.attrs.is_empty() && root(&call.receiver).is_some() => {
                Form::Method(call)
            }
            // Its own braces are enough, and a second pair earns a warning.
            Expr::Block(block) if block.attrs.is_empty() && block.label.is_none() => {
                Form::Body(input)
            }
            _ => Form::body(input),
        }
    }

    fn body(statements: TokenStream) -> Form {
        Form::Body(quote_spanned!(Span::mixed_site()=> { #statements }))
    }
}

/// A call whose arguments we cannot read must not fall to the body form: its
/// arguments would quietly be evaluated later than the user asked.
fn call_with_bad_arguments(input: &TokenStream) -> Option<Error> {
    let mut head: Vec<TokenTree> = input.clone().into_iter().collect();
    let Some(TokenTree::Group(last)) = head.pop() else {
        return None;
    };
    if last.delimiter() != Delimiter::Parenthesis {
        return None;
    }
    head.push(Group::new(Delimiter::Parenthesis, TokenStream::new()).into());
    let call = syn::parse2::<Expr>(head.into_iter().collect()).ok()?;
    match Form::of_expr(call, TokenStream::new()) {
        Form::Call(_) | Form::Method(_) => {}
        Form::Closure(_) | Form::Body(_) => return None,
    }
    Punctuated::<Expr, Token![,]>::parse_terminated
        .parse2(last.stream())
        .err()
}

fn is_path(expr: &Expr) -> bool {
    match expr {
        Expr::Group(group) => is_path(&group.expr),
        Expr::Path(path) => path.attrs.is_empty(),
        _ => false,
    }
}

/// The identifier a place starts from; `None` if `expr` is more than
/// identifiers, `self` and fields.
fn root(expr: &Expr) -> Option<&Ident> {
    match expr {
        Expr::Group(group) => root(&group.expr),
        Expr::Field(field) if field.attrs.is_empty() => root(&field.base),
        Expr::Path(path) if path.attrs.is_empty() && path.qself.is_none() => path.path.get_ident(),
        _ => None,
    }
}

/// Is `name` spelled as statics and constants are? These cannot be moved, and
/// need not be: the goroutine reaches them by itself.
fn is_static_name(name: &Ident) -> bool {
    let name = name.to_string();
    name.contains(char::is_uppercase) && !name.contains(char::is_lowercase)
}

pub(crate) fn expand(input: TokenStream) -> TokenStream {
    match Form::of(input) {
        Ok(Form::Call(call)) => expand_call(call),
        Ok(Form::Method(call)) => expand_method(call),
        Ok(Form::Closure(closure)) => spawn(&closure),
        Ok(Form::Body(body)) => spawn(&quote_spanned!(Span::mixed_site()=> move || #body)),
        Err(error) => error.into_compile_error(),
    }
}

fn expand_call(mut call: ExprCall) -> TokenStream {
    let lets = bind_arguments(&mut call.args);
    after(
        &lets,
        &spawn(&quote_spanned!(Span::mixed_site()=> move || #call)),
    )
}

fn expand_method(mut call: ExprMethodCall) -> TokenStream {
    let mut lets = TokenStream::new();
    if root(&call.receiver).is_some_and(|name| !is_static_name(name)) {
        let receiver = local("receiver", call.receiver.span());
        let place = std::mem::replace(&mut *call.receiver, expr_of(&receiver));
        // `mut`: the goroutine owns the receiver, so a `&mut self` method is
        // as good as any other.
        lets.extend(quote_spanned!(Span::mixed_site()=>
            #[allow(unused_mut)]
            let mut #receiver = #place;
        ));
    }
    lets.extend(bind_arguments(&mut call.args));
    after(
        &lets,
        &spawn(&quote_spanned!(Span::mixed_site()=> move || #call)),
    )
}

/// Puts a name in the place of each argument; gives the `let`s that fill them.
fn bind_arguments(args: &mut Punctuated<Expr, Token![,]>) -> TokenStream {
    let mut lets = TokenStream::new();
    for (index, arg) in args.iter_mut().enumerate() {
        let name = local(&format!("argument_{index}"), arg.span());
        let value = std::mem::replace(arg, expr_of(&name));
        lets.extend(quote_spanned!(Span::mixed_site()=> let #name = #value;));
    }
    lets
}

/// A variable of ours, unseen by the user's code. Errors about it point `at`
/// the user's tokens it stands for.
fn local(name: &str, at: Span) -> Ident {
    Ident::new(name, Span::mixed_site().located_at(at))
}

fn expr_of(name: &Ident) -> Expr {
    syn::parse_quote!(#name)
}

/// The call carries the span of the whole `go!`, so that the spawn site that
/// `spawn` records is the user's line.
fn spawn(closure: &TokenStream) -> TokenStream {
    let open = quote_spanned!(Span::call_site()=> ::raddle::spawn);
    let mut arguments = Group::new(Delimiter::Parenthesis, closure.clone());
    arguments.set_span(Span::call_site());
    quote!(#open #arguments)
}

fn after(lets: &TokenStream, spawn: &TokenStream) -> TokenStream {
    if lets.is_empty() {
        return spawn.to_token_stream();
    }
    quote_spanned!(Span::mixed_site()=> { #lets #spawn })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(source: &str) -> &'static str {
        match Form::of(source.parse().expect("tokens")) {
            Ok(Form::Call(_)) => "call",
            Ok(Form::Method(_)) => "method",
            Ok(Form::Closure(_)) => "closure",
            Ok(Form::Body(_)) => "body",
            Err(_) => "error",
        }
    }

    /// The whole table of forms, as the documentation of `go!` promises it.
    #[test]
    fn every_input_has_its_form() {
        let table = [
            ("call", "f()"),
            ("call", "f(a, b)"),
            ("call", "f(a, b,)"),
            ("call", "f::<u8>(a)"),
            ("call", "a::b::f(x)"),
            ("call", "crate::f(x)"),
            ("call", "::std::mem::drop(x)"),
            ("call", "Self::f(x)"),
            ("call", "Some(x)"),
            ("call", "Vec::<u8>::with_capacity(1)"),
            ("call", "<T as Trait>::f(x)"),
            ("call", "<[u8]>::len(x)"),
            ("call", "f(x?, || 1, { y }, a + b)"),
            ("method", "x.run()"),
            ("method", "x.run::<u8>(a)"),
            ("method", "self.run(a)"),
            ("method", "self.inner.run(a)"),
            ("method", "a.b.c.run()"),
            ("method", "pair.0.run()"),
            ("method", "pair.0.1.run()"),
            ("method", "COUNTER.add(1)"),
            ("method", "x.run(f()?)"),
            ("closure", "|| f()"),
            ("closure", "move || f()"),
            ("closure", "move || -> u8 { 1 }"),
            ("closure", "|| { f(); g() }"),
            ("closure", "#[inline] || f()"),
            ("body", "x.clone().run()"),
            ("body", "f().run()"),
            ("body", "f(a)(b)"),
            ("body", "(f)(a)"),
            ("body", "(x).run()"),
            ("body", "(self.callback)(a)"),
            ("body", "list[0].run()"),
            ("body", "list[0](a)"),
            ("body", "(*x).run()"),
            ("body", "m::STATIC.run()"),
            ("body", "\"text\".len()"),
            ("body", "f(a)?"),
            ("body", "x.run()?"),
            ("body", "f(a).await"),
            ("body", "f(a);"),
            ("body", "f(a); g(b)"),
            ("body", "let x = 1; f(x)"),
            ("body", "{ f(a) }"),
            ("body", "'out: { f(a) }"),
            ("body", "unsafe { f(a) }"),
            ("body", "println!(\"{}\", a)"),
            ("body", "vec![f(a)]"),
            ("body", "a + f(b)"),
            ("body", "!f(a)"),
            ("body", "-x.run()"),
            ("body", "&f(a)"),
            ("body", "f(a) as u8"),
            ("body", "if a { f(b) }"),
            ("body", "match a { _ => f(b) }"),
            ("body", "loop { f(a) }"),
            ("body", "for x in y { f(x) }"),
            ("body", "x = f(a)"),
            ("body", "return f(a)"),
            ("body", "a..f(b)"),
            ("body", "(f(a), f(b))"),
            ("body", "[f(a)]"),
            ("body", "Point { x: f(a) }"),
            ("body", "x.field"),
            ("body", "f"),
            ("body", "1"),
            ("body", "#[allow(unused)] f(a)"),
            ("body", "(|| 1)()"),
            ("body", "|| 1; f(a)"),
            ("body", "fn f() {} f()"),
            ("error", ""),
            ("error", "f(a b)"),
            ("error", "x.run(1 2, c)"),
        ];
        for (expected, source) in table {
            assert_eq!(form(source), expected, "go!({source})");
        }
    }

    /// Blanks go: `?;` and `? ;` are the same tokens.
    fn text(tokens: TokenStream) -> String {
        tokens.to_string().replace(' ', "")
    }

    fn expanded(source: &str) -> String {
        text(expand(source.parse().expect("tokens")))
    }

    fn tokens(source: &str) -> String {
        text(source.parse().expect("tokens"))
    }

    #[test]
    fn a_call_evaluates_its_arguments_first() {
        assert_eq!(
            expanded("f::<u8>(g(), h?)"),
            tokens(
                "{ let argument_0 = g(); let argument_1 = h?; \
                 ::raddle::spawn(move || f::<u8>(argument_0, argument_1)) }"
            )
        );
    }

    #[test]
    fn a_call_without_arguments_is_a_plain_spawn() {
        assert_eq!(
            expanded("a::f()"),
            tokens("::raddle::spawn(move || a::f())")
        );
    }

    #[test]
    fn a_method_evaluates_its_receiver_first() {
        assert_eq!(
            expanded("self.inner.run(g())"),
            tokens(
                "{ #[allow(unused_mut)] let mut receiver = self.inner; let argument_0 = g(); \
                 ::raddle::spawn(move || receiver.run(argument_0)) }"
            )
        );
    }

    #[test]
    fn a_static_receiver_stays_in_place() {
        assert_eq!(
            expanded("HITS.add(g())"),
            tokens("{ let argument_0 = g(); ::raddle::spawn(move || HITS.add(argument_0)) }")
        );
        assert!(is_static_name(&quote::format_ident!("MAX_2")));
        assert!(!is_static_name(&quote::format_ident!("Max")));
        assert!(!is_static_name(&quote::format_ident!("_1")));
    }

    #[test]
    fn closures_and_blocks_stay_as_written() {
        assert_eq!(expanded("|| f(a)"), tokens("::raddle::spawn(|| f(a))"));
        assert_eq!(
            expanded("{ f(a) }"),
            tokens("::raddle::spawn(move || { f(a) })")
        );
        assert_eq!(
            expanded("f(a);"),
            tokens("::raddle::spawn(move || { f(a); })")
        );
    }

    /// A user's own macro hands its `$e:expr` over in invisible parentheses.
    #[test]
    fn a_fragment_is_seen_through() {
        let group = |source: &str| {
            let inner = source.parse().expect("tokens");
            TokenStream::from(TokenTree::from(Group::new(Delimiter::None, inner)))
        };
        assert!(matches!(Form::of(group("f(a)")), Ok(Form::Call(_))));
        assert!(matches!(Form::of(group("|| f(a)")), Ok(Form::Closure(_))));
        assert!(matches!(Form::of(group("a + b")), Ok(Form::Body(_))));
        let (place, function) = (group("self.x"), group("m::f"));
        assert!(matches!(
            Form::of(quote!(#place.run())),
            Ok(Form::Method(_))
        ));
        assert!(matches!(Form::of(quote!(#function(a))), Ok(Form::Call(_))));
    }

    #[test]
    fn empty_input_is_told_the_forms() {
        let error = expand(TokenStream::new()).to_string();
        for part in ["compile_error", "go!(f(a))", "move || ..", "go! { .. }"] {
            assert!(error.contains(part), "{part} not in {error}");
        }
    }
}
