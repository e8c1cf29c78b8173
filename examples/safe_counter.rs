//! A map that many goroutines write to, behind a mutex.
//!
//! ```sh
//! cargo run --example safe_counter
//! ```
//!
//! In Go: a struct of a `sync.Mutex` and the map it protects, by convention.
//! Here the map is inside the mutex, so there is no way to it but `lock`, and
//! the guard's end unlocks. A goroutine that waits for the lock parks; its
//! thread runs others.

use raddle::sync::Mutex;
use std::collections::BTreeMap;

#[derive(Default)]
struct SafeCounter {
    counts: Mutex<BTreeMap<&'static str, u32>>,
}

impl SafeCounter {
    fn increment(&self, key: &'static str) {
        *self.counts.lock().entry(key).or_default() += 1;
    }

    fn value(&self, key: &str) -> u32 {
        self.counts.lock().get(key).copied().unwrap_or_default()
    }
}

#[raddle::main]
fn main() {
    let counter = SafeCounter::default();
    raddle::scope(|s| {
        for n in 0..1_000 {
            let key = if n % 4 == 0 { "weft" } else { "warp" };
            let counter = &counter;
            s.go(move || counter.increment(key));
        }
    });
    raddle::println!("warp: {}", counter.value("warp"));
    raddle::println!("weft: {}", counter.value("weft"));
}
