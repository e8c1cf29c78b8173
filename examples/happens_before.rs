//! What was written before a channel is closed is seen after.
//!
//! ```sh
//! cargo run --example happens_before
//! ```
//!
//! In Go: a goroutine sets `x = 42` and closes `done`; main receives from
//! `done`, then reads `x`. The close comes before the receive that it ends, in
//! the memory model of both languages, so main reads 42 each time.
//!
//! Rust does not let two goroutines have a plain `x`. The atomic here orders
//! nothing by itself (`Relaxed`): the channel does.

use raddle::chan::{Never, bounded};
use raddle::go;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

const ROUNDS: u32 = 1_000;

fn read_after_close() -> u32 {
    let x = Arc::new(AtomicU32::new(0));
    let (open, done) = bounded::<Never>(0);
    let writer = x.clone();
    go!(move || {
        // ORDER: Relaxed: published by the close that follows.
        writer.store(42, Relaxed);
        drop(open);
    });
    done.recv().expect_err("it has no messages, it only closes");
    // ORDER: Relaxed: after the close, so after the store.
    x.load(Relaxed)
}

/// What one would write: the value itself goes through the channel, and there
/// is nothing left to order.
fn receive_it() -> u32 {
    let (sender, x) = bounded(0);
    go!(move || sender.send(42));
    x.recv().expect("it is sent")
}

#[raddle::main]
fn main() {
    let right = (0..ROUNDS).filter(|_| read_after_close() == 42).count();
    raddle::println!("x was 42 in {right} of {ROUNDS} rounds");
    raddle::println!("received: {}", receive_it());
}
