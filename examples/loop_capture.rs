//! Goroutines started in a loop, each with its own copy of the variable.
//!
//! ```sh
//! cargo run --example loop_capture
//! ```
//!
//! In Go before 1.22 the loop had one variable, and every goroutine saw what
//! was in it by the time it ran: mostly the last. The old mend was to pass it
//! as an argument. In Rust each round has its own, a closure that outlives
//! the round must own what it takes (`move`), and sharing one has to be said.

use raddle::chan::{Never, bounded};
use raddle::{JoinHandle, go};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

fn show(how: &str, seen: Vec<JoinHandle<usize>>) {
    let seen: Vec<_> = seen
        .into_iter()
        .map(|handle| handle.join().expect("nobody panics here"))
        .collect();
    raddle::println!("{how}: {seen:?}");
}

#[raddle::main]
fn main() {
    // Without `move` this does not compile: "closure may outlive the current
    // function, but it borrows `n`".
    show("captured", (0..3).map(|n| go!(move || n)).collect());

    // The arguments of a call are evaluated now, as in Go's `go` statement.
    fn same(n: usize) -> usize {
        n
    }
    show("as argument", (0..3).map(|n| go!(same(n))).collect());

    // Go's old trap, built on purpose: one variable for all, read after the
    // loop.
    let (open, over) = bounded::<Never>(0);
    let shared = Arc::new(AtomicUsize::new(0));
    let mut seen = Vec::new();
    for n in 0..3 {
        // ORDER: Relaxed: told by the close of `over`.
        shared.store(n, Relaxed);
        let (shared, over) = (shared.clone(), over.clone());
        seen.push(go! {
            over.recv().expect_err("it has no messages");
            // ORDER: Relaxed: after the close.
            shared.load(Relaxed)
        });
    }
    drop(open);
    show("shared, on purpose", seen);
}
