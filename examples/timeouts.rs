//! A tree of contexts: what ends one ends all below it, and nothing above.
//!
//! ```sh
//! cargo run --example timeouts
//! ```
//!
//! In Go: `context.WithTimeout` and its kin. A request has a deadline; each of
//! its steps has a shorter one of its own, and none can outlast the request.
//! No goroutine waits for any of these deadlines.

use raddle::chan::{bounded, never};
use raddle::context::{Context, ContextError};
use raddle::go;
use std::time::Duration;

/// Who asks: handed down with the context, not from call to call.
struct User(&'static str);

const SHORT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(60);

/// A step that is quick or takes for ever, as its backend does.
fn step(
    ctx: &Context,
    limit: Duration,
    name: &str,
    is_quick: bool,
) -> Result<String, ContextError> {
    let (ctx, cancel) = ctx.with_timeout(limit);
    // However this function ends: nobody works for it afterwards.
    let _cancel = cancel.guard();
    let User(user) = *ctx.value::<User>().expect("every request has one");
    let answer = format!("{name} for {user}");
    let answers = if is_quick {
        let (sender, answers) = bounded(1);
        go!(move || sender.send(answer));
        answers
    } else {
        never()
    };
    answers
        .recv_ctx(&ctx)
        .map_err(|error| error.context_error().expect("it sends"))
}

#[raddle::main]
fn main() {
    let (request, cancel) = Context::background()
        .with_value(User("gopher"))
        .with_timeout(LONG);

    raddle::println!("{:?}", step(&request, LONG, "a page", true));
    // The step's own deadline: the request goes on.
    match step(&request, SHORT, "a map", false) {
        Ok(map) => raddle::println!("{map}"),
        Err(error) => raddle::println!("no map: {error}"),
    }
    raddle::println!("the request: {:?}", request.err());

    // The end of the request ends all that descend from it.
    let (child, _cancel_child) = request.with_timeout(LONG / 2);
    let (grandchild, _cancel_grandchild) = child.with_cancel();
    let aside = grandchild.without_cancel();
    let (sender, told) = bounded(1);
    let _after = grandchild.after_func(move || sender.send("clean up").expect("main waits"));
    cancel.cancel();
    raddle::println!("{}", told.recv().expect("it is called"));
    for (name, ctx) in [
        ("child", &child),
        ("grandchild", &grandchild),
        ("aside", &aside),
    ] {
        match ctx.err() {
            Some(error) => raddle::println!("{name}: {error}"),
            None => raddle::println!("{name}: goes on"),
        }
    }
    raddle::println!("a step now: {:?}", step(&request, LONG, "a word", true));
}
