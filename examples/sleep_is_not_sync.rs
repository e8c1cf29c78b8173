//! To sleep and hope is not to wait.
//!
//! ```sh
//! cargo run --example sleep_is_not_sync
//! ```
//!
//! In Go: main starts goroutines, then `time.Sleep`, then reads what they
//! should have done by now. It works on the author's machine. No time is long
//! enough on a slow day, and every time is too long on a good one. `join`, a
//! `WaitGroup`, a scope or a channel wait for the thing itself.

use raddle::sync::WaitGroup;
use raddle::time::sleep;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

const GOROUTINES: u32 = 20;

/// Starts goroutines that need 5, 10, 15 .. ms, and counts those that are
/// done.
fn start(group: &WaitGroup) -> Arc<AtomicU32> {
    let done = Arc::new(AtomicU32::new(0));
    for n in 1..=GOROUTINES {
        let done = done.clone();
        group.go(move || {
            sleep(Duration::from_millis(5) * n); // work, of its own length
            // ORDER: Relaxed: told by the group's end, if one waits for it.
            done.fetch_add(1, Relaxed);
        });
    }
    done
}

#[raddle::main]
fn main() {
    for guess in [10, 50] {
        let group = WaitGroup::new();
        let done = start(&group);
        sleep(Duration::from_millis(guess));
        // ORDER: Relaxed: a guess in every way.
        let done = done.load(Relaxed);
        raddle::println!("slept {guess} ms: {done} of {GOROUTINES} were done");
    }

    let begin = Instant::now();
    let group = WaitGroup::new();
    let done = start(&group);
    group.wait();
    // ORDER: Relaxed: after all that the group counted.
    let done = done.load(Relaxed);
    raddle::println!("waited: {done} of {GOROUTINES} were done");
    raddle::eprintln!("(after {:.0?}, and no longer)", begin.elapsed());
}
