//! A case that is switched off: Go's nil channel is Rust's `None`.
//!
//! ```sh
//! cargo run --example nil_channel
//! ```
//!
//! In Go: two producers, one `select` in a loop, and when one channel is
//! closed its variable is set to `nil`, for a closed channel is always ready
//! and a nil one never. The loop ends when both are nil. Here the variables
//! are `Option`s, and the type tells which channel may be missing.

use raddle::chan::{Receiver, bounded, never};
use raddle::{go, select};
use std::fmt::Debug;

fn send_all<T, const N: usize>(values: [T; N]) -> Receiver<T>
where
    T: Send + 'static,
{
    let (sender, receiver) = bounded(0);
    go!(move || values.into_iter().try_for_each(|value| sender.send(value)));
    receiver
}

/// Takes from both until both have ended.
fn drain<A: Debug, B: Debug>(a: Receiver<A>, b: Receiver<B>) {
    let (mut a, mut b) = (Some(a), Some(b));
    while a.is_some() || b.is_some() {
        select! {
            recv(a) -> value => match value {
                Ok(value) => raddle::println!("from a: {value:?}"),
                Err(_) => a = None,
            },
            recv(b) -> value => match value {
                Ok(value) => raddle::println!("from b: {value:?}"),
                Err(_) => b = None,
            },
        }
    }
    raddle::println!("both have ended");
}

#[raddle::main]
fn main() {
    // `never` is a channel that is nil from the start.
    select! {
        recv(never::<u32>()) -> _ => unreachable!("a nil channel has nothing"),
        default => raddle::println!("a nil channel is never ready"),
    }
    drain(send_all([1, 2, 3]), send_all(["warp", "weft"]));
}
