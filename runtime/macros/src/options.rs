//! What stands between the parentheses of `#[raddle::main(..)]` and
//! `#[raddle::test(..)]`.

use proc_macro2::{Ident, Span, TokenStream};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Error, Expr, Lit, LitInt, Result, Token, parenthesized};

const DEFAULT_DEADLINE_MS: u64 = 60_000;

/// Which attribute is being read: they share `unsafe(migrate)`.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Attribute {
    Main,
    Test,
}

impl Attribute {
    pub(crate) fn path(self) -> &'static str {
        match self {
            Attribute::Main => "raddle::main",
            Attribute::Test => "raddle::test",
        }
    }

    fn accepts(self) -> &'static str {
        match self {
            Attribute::Main => "accepts only unsafe(migrate)",
            Attribute::Test => {
                "accepts deadline = \"30s\", procs = [1, 4], leaks = true and unsafe(migrate)"
            }
        }
    }
}

pub(crate) struct Options {
    /// The user's own `unsafe`, if migrate mode was asked for. It is spent on
    /// the block that needs it, so that their `forbid(unsafe_code)` sees it.
    pub(crate) migrate: Option<Token![unsafe]>,
    pub(crate) deadline_ms: u64,
    /// Numbers of processors to run with; empty: the test driver's choice.
    pub(crate) procs: Vec<usize>,
    /// Whether goroutines may outlive the body.
    pub(crate) leaks: bool,
}

/// One option, before anybody asked whether it makes sense.
enum Item {
    Unsafe(Token![unsafe], Ident),
    Plain(Ident, Option<Expr>),
}

impl Parse for Item {
    fn parse(input: ParseStream) -> Result<Item> {
        if input.peek(Token![unsafe]) {
            let unsafety = input.parse()?;
            let inner;
            parenthesized!(inner in input);
            let name = inner.call(Ident::parse_any)?;
            if !inner.is_empty() {
                return Err(inner.error("expected `unsafe(migrate)`"));
            }
            return Ok(Item::Unsafe(unsafety, name));
        }
        let name = input.call(Ident::parse_any)?;
        let value = match input.parse::<Option<Token![=]>>()? {
            Some(_) => Some(input.parse()?),
            None => None,
        };
        Ok(Item::Plain(name, value))
    }
}

impl Options {
    pub(crate) fn parse(attribute: Attribute, tokens: TokenStream) -> Result<Options> {
        let items = Punctuated::<Item, Token![,]>::parse_terminated.parse2(tokens)?;
        let (mut migrate, mut deadline_ms, mut procs, mut leaks) = (None, None, None, None);
        for item in items {
            let (name, twice) = match item {
                Item::Unsafe(unsafety, name) => {
                    migrate_only(attribute, &name)?;
                    (name, migrate.replace(unsafety).is_some())
                }
                Item::Plain(name, _) if name == "migrate" => {
                    return Err(Error::new(name.span(), needs_unsafe(attribute)));
                }
                Item::Plain(name, value) if attribute == Attribute::Test && name == "deadline" => {
                    let ms = deadline(name.span(), value)?;
                    (name, deadline_ms.replace(ms).is_some())
                }
                Item::Plain(name, value) if attribute == Attribute::Test && name == "procs" => {
                    let list = processors(name.span(), value)?;
                    (name, procs.replace(list).is_some())
                }
                Item::Plain(name, value) if attribute == Attribute::Test && name == "leaks" => {
                    let allowed = truth(name.span(), value)?;
                    (name, leaks.replace(allowed).is_some())
                }
                Item::Plain(name, _) => return Err(unknown(attribute, &name)),
            };
            if twice {
                return Err(Error::new(
                    name.span(),
                    format!("option `{name}` is given twice"),
                ));
            }
        }
        Ok(Options {
            migrate,
            deadline_ms: deadline_ms.unwrap_or(DEFAULT_DEADLINE_MS),
            procs: procs.unwrap_or_default(),
            leaks: leaks.unwrap_or(false),
        })
    }
}

fn needs_unsafe(attribute: Attribute) -> String {
    format!(
        "migrate needs unsafe: write #[{}(unsafe(migrate))], and read docs/soundness.md first",
        attribute.path()
    )
}

fn unknown(attribute: Attribute, name: &Ident) -> Error {
    let (path, accepts) = (attribute.path(), attribute.accepts());
    Error::new(
        name.span(),
        format!("unknown option `{name}`: #[{path}] {accepts}"),
    )
}

fn migrate_only(attribute: Attribute, name: &Ident) -> Result<()> {
    if name == "migrate" {
        return Ok(());
    }
    let plain = ["deadline", "procs", "leaks"];
    if attribute == Attribute::Test && plain.iter().any(|plain| name == plain) {
        return Err(Error::new(
            name.span(),
            format!("option `{name}` needs no unsafe"),
        ));
    }
    Err(unknown(attribute, name))
}

/// `deadline = "1m30s"`, in milliseconds.
fn deadline(at: Span, value: Option<Expr>) -> Result<u64> {
    const HOW: &str = "write deadline = \"30s\": whole numbers with a unit, ms, s, m or h";
    match value {
        Some(Expr::Lit(lit)) => match &lit.lit {
            Lit::Str(text) => parse_duration_ms(&text.value())
                .map_err(|why| Error::new(text.span(), format!("{why}: {HOW}"))),
            other => Err(Error::new(
                other.span(),
                format!("deadline is a string: {HOW}"),
            )),
        },
        Some(other) => Err(Error::new(
            other.span(),
            format!("deadline is a string: {HOW}"),
        )),
        None => Err(Error::new(at, format!("deadline has no value: {HOW}"))),
    }
}

fn parse_duration_ms(text: &str) -> std::result::Result<u64, String> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err("the deadline is empty".into());
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (number, tail) = split_at(rest, |c| !c.is_ascii_digit());
        if number.is_empty() {
            return Err(format!("`{text}` is no deadline"));
        }
        let tail = tail.trim_start();
        let (unit, tail) = split_at(tail, |c| !c.is_alphabetic());
        let unit_ms: u64 = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "" => return Err(format!("`{text}` has no unit")),
            _ => return Err(format!("`{unit}` is no unit")),
        };
        total = number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(unit_ms))
            .and_then(|part| total.checked_add(part))
            .ok_or_else(|| format!("`{text}` is too long"))?;
        rest = tail.trim_start();
    }
    if total == 0 {
        return Err("a deadline of zero passes at once".into());
    }
    Ok(total)
}

fn split_at(text: &str, end: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(end).unwrap_or(text.len()))
}

/// `procs = [1, 4]`.
fn processors(at: Span, value: Option<Expr>) -> Result<Vec<usize>> {
    const HOW: &str = "write procs = [1, 4]: the numbers of processors to run the test with";
    let list = match value {
        Some(Expr::Array(list)) if !list.elems.is_empty() => list,
        Some(other) => return Err(Error::new(other.span(), HOW)),
        None => return Err(Error::new(at, HOW)),
    };
    list.elems
        .iter()
        .map(|item| processor_count(item, HOW))
        .collect()
}

fn processor_count(item: &Expr, how: &str) -> Result<usize> {
    let number: &LitInt = match item {
        Expr::Lit(lit) => match &lit.lit {
            Lit::Int(number) => number,
            other => return Err(Error::new(other.span(), how)),
        },
        other => return Err(Error::new(other.span(), how)),
    };
    match number.base10_parse::<usize>()? {
        0 => Err(Error::new(
            number.span(),
            "a test needs at least one processor",
        )),
        count => Ok(count),
    }
}

/// `leaks = true`.
fn truth(at: Span, value: Option<Expr>) -> Result<bool> {
    const HOW: &str = "write leaks = true: goroutines may outlive the test's body";
    match value {
        Some(Expr::Lit(lit)) => match &lit.lit {
            Lit::Bool(allowed) => Ok(allowed.value),
            other => Err(Error::new(other.span(), HOW)),
        },
        Some(other) => Err(Error::new(other.span(), HOW)),
        None => Err(Error::new(at, HOW)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(attribute: Attribute, source: &str) -> std::result::Result<Options, String> {
        Options::parse(attribute, source.parse().expect("tokens")).map_err(|e| e.to_string())
    }

    fn error(attribute: Attribute, source: &str) -> String {
        parse(attribute, source).err().expect("an error")
    }

    #[test]
    fn nothing_means_the_defaults() {
        for attribute in [Attribute::Main, Attribute::Test] {
            let options = parse(attribute, "").expect("accepted");
            assert!(options.migrate.is_none());
            assert_eq!(options.deadline_ms, 60_000);
            assert!(options.procs.is_empty());
            assert!(!options.leaks);
        }
    }

    #[test]
    fn options_come_in_any_order() {
        for source in [
            "deadline = \"2s\", procs = [1, 4], leaks = true, unsafe(migrate)",
            "unsafe(migrate), leaks = true, procs = [1, 4], deadline = \"2s\",",
        ] {
            let options = parse(Attribute::Test, source).expect("accepted");
            assert!(options.migrate.is_some());
            assert_eq!(options.deadline_ms, 2_000);
            assert_eq!(options.procs, [1, 4]);
            assert!(options.leaks);
        }
        assert!(
            parse(Attribute::Main, "unsafe(migrate)")
                .expect("accepted")
                .migrate
                .is_some()
        );
    }

    #[test]
    fn deadlines_read_as_people_write_them() {
        for (text, ms) in [
            ("30s", 30_000),
            ("500ms", 500),
            ("2m", 120_000),
            ("2min", 120_000),
            ("1h", 3_600_000),
            ("1m30s", 90_000),
            (" 1 m 30 s ", 90_000),
            ("1s500ms", 1_500),
        ] {
            assert_eq!(parse_duration_ms(text), Ok(ms), "{text}");
        }
        for (text, why) in [
            ("", "empty"),
            ("30", "no unit"),
            ("s", "no deadline"),
            ("-3s", "no deadline"),
            ("1.5s", "no unit"),
            ("3 days", "`days` is no unit"),
            ("0s", "zero"),
            ("99999999999999999999s", "too long"),
            ("18446744073709551615h", "too long"),
        ] {
            let error = parse_duration_ms(text).expect_err(text);
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        use Attribute::{Main, Test};
        for (attribute, source, parts) in [
            (
                Main,
                "migrate",
                &["#[raddle::main(unsafe(migrate))]", "docs/soundness.md"][..],
            ),
            (Test, "migrate", &["#[raddle::test(unsafe(migrate))]"]),
            (Test, "migrate = true", &["needs unsafe"]),
            (
                Main,
                "threads = 4",
                &["`threads`", "accepts only unsafe(migrate)"],
            ),
            (Main, "deadline = \"1s\"", &["`deadline`", "accepts only"]),
            (Main, "unsafe(speed)", &["`speed`", "accepts only"]),
            (
                Test,
                "timeout = \"1s\"",
                &["`timeout`", "deadline = \"30s\"", "procs = [1, 4]"],
            ),
            (Test, "unsafe(procs)", &["`procs` needs no unsafe"]),
            (
                Test,
                "unsafe(migrate, procs)",
                &["expected `unsafe(migrate)`"],
            ),
            (
                Main,
                "unsafe(migrate), unsafe(migrate)",
                &["`migrate` is given twice"],
            ),
            (
                Test,
                "deadline = \"1s\", deadline = \"2s\"",
                &["`deadline` is given twice"],
            ),
            (
                Test,
                "procs = [1], procs = [2]",
                &["`procs` is given twice"],
            ),
            (Test, "deadline", &["no value", "deadline = \"30s\""]),
            (
                Test,
                "deadline = 30",
                &["is a string", "deadline = \"30s\""],
            ),
            (Test, "deadline = soon()", &["is a string"]),
            (Test, "deadline = \"soon\"", &["`soon`", "ms, s, m or h"]),
            (Test, "procs", &["procs = [1, 4]"]),
            (Test, "procs = 4", &["procs = [1, 4]"]),
            (Test, "procs = []", &["procs = [1, 4]"]),
            (Test, "procs = [n]", &["procs = [1, 4]"]),
            (Test, "procs = [1.5]", &["procs = [1, 4]"]),
            (Test, "procs = [0]", &["at least one processor"]),
            (Main, "leaks = true", &["`leaks`", "accepts only"]),
            (Test, "unsafe(leaks)", &["`leaks` needs no unsafe"]),
            (Test, "leaks", &["leaks = true"]),
            (Test, "leaks = 1", &["leaks = true"]),
            (Test, "leaks = maybe()", &["leaks = true"]),
            (
                Test,
                "leaks = true, leaks = false",
                &["`leaks` is given twice"],
            ),
        ] {
            let error = error(attribute, source);
            for part in parts {
                assert!(error.contains(part), "{source}: {part} not in: {error}");
            }
        }
    }
}
