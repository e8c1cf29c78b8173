//! Ten may be inside at a time: a channel with ten slots sees to it.
//!
//! ```sh
//! cargo run --example semaphore
//! ```
//!
//! In Go: `make(chan struct{}, 10)`. Who goes in puts a token into it and
//! waits while it is full; who leaves takes one out. `Chan` is Go's channel,
//! both ends in one value. At the end main puts in ten of its own: once they
//! fit, everybody else is out.

use raddle::chan::Chan;
use raddle::go;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

const SLOTS: usize = 10;
const GUESTS: usize = 40;

/// Gives its slot back, also when its goroutine panics.
struct Slot(Chan<()>);

impl Slot {
    fn take(slots: &Chan<()>) -> Self {
        slots.send(()); // waits while all are taken
        Self(slots.clone())
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.recv();
    }
}

#[derive(Default)]
struct Room {
    inside: AtomicUsize,
    most: AtomicUsize,
}

impl Room {
    // ORDER: Relaxed, all: they are counts, and nothing else is told by them.
    fn visit(&self) {
        let inside = self.inside.fetch_add(1, Relaxed) + 1;
        self.most.fetch_max(inside, Relaxed);
        raddle::time::sleep(Duration::from_millis(20));
        self.inside.fetch_sub(1, Relaxed);
    }
}

#[raddle::main]
fn main() {
    let slots = Chan::new(SLOTS);
    let room = Arc::new(Room::default());
    for _ in 0..GUESTS {
        // Before the goroutine: so no more than ten are ever started.
        let slot = Slot::take(&slots);
        let room = room.clone();
        go! {
            let _slot = slot;
            room.visit();
        };
    }

    for _ in 0..SLOTS {
        slots.send(());
    }
    raddle::println!("all {GUESTS} have been in and out");
    // ORDER: Relaxed: ordered by the slots.
    raddle::println!("at most {} at a time", room.most.load(Relaxed));
    for _ in 0..SLOTS {
        slots.recv();
    }
    raddle::println!("slots in use: {} of {}", slots.len(), slots.cap());
}
