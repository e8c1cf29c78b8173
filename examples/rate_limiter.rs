//! So many requests at once, and then so many a second.
//!
//! ```sh
//! cargo run --example rate_limiter
//! ```
//!
//! In Go: a channel with a buffer holds the tokens, a ticker puts one in as
//! long as there is room, and a request takes one out. A burst finds the
//! buffer full; what comes after it waits for the ticker.

use raddle::chan::{Receiver, bounded};
use raddle::context::Context;
use raddle::time::Ticker;
use raddle::{go, select};
use std::time::{Duration, Instant};

const BURST: usize = 3;
const PERIOD: Duration = Duration::from_millis(20);

/// Tokens, `BURST` of them at once and one each `PERIOD`, until `ctx` ends.
fn limiter(ctx: Context) -> Receiver<()> {
    let (tokens, taken) = bounded(BURST);
    for _ in 0..BURST {
        tokens.send(()).expect("there is room");
    }
    go!(move || {
        let ticker = Ticker::new(PERIOD);
        loop {
            select! {
                // Full: this tick's token is lost.
                recv(ticker.chan()) -> _ => drop(tokens.try_send(())),
                recv(ctx.done()) -> _ => return,
            }
        }
    });
    taken
}

#[raddle::main]
fn main() {
    let (ctx, cancel) = Context::background().with_cancel();
    let begin = Instant::now();
    let tokens = limiter(ctx);
    for request in 1..=6_u32 {
        tokens.recv().expect("the limiter goes on");
        // Those after the burst have waited for a tick each.
        let least = PERIOD * request.saturating_sub(BURST as u32);
        let is_early = begin.elapsed() < least;
        let how = if is_early { "too early" } else { "in time" };
        raddle::println!("request {request}: {how}");
    }
    cancel.cancel();
    while tokens.recv().is_ok() {}
    raddle::println!("the limiter has left");
}
