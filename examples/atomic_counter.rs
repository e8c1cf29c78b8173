//! Fifty goroutines count together, without a lock.
//!
//! ```sh
//! cargo run --example atomic_counter
//! ```
//!
//! In Go: `atomic.Uint64`, fifty goroutines that add to it a thousand times,
//! and a `WaitGroup` to wait for them. With `count++` in place of the atomic
//! some would be lost. Rust's atomics are std's; a scope lets the goroutines
//! borrow it, and waits for them.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

#[raddle::main]
fn main() {
    let count = AtomicU64::new(0);
    raddle::scope(|s| {
        for _ in 0..50 {
            s.go(|| {
                for _ in 0..1_000 {
                    // ORDER: Relaxed: nothing else is told by the count.
                    count.fetch_add(1, Relaxed);
                }
            });
        }
    });
    // All have ended: there is one owner again, and no need to load.
    raddle::println!("count: {}", count.into_inner());
}
