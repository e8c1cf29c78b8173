//! A data race does not compile.
//!
//! ```sh
//! cargo run --example race
//! ```
//!
//! In Go: two goroutines do `count++` a thousand times each. It compiles, and
//! prints 2000 on most days; `go run -race` finds the race if it happens
//! while somebody looks. Here the compiler finds it, always: this program
//! prints tests/ui/race_fail.rs and what rustc says of it, then what to write
//! instead. For code with `unsafe` in it there are Miri and loom.
//!
//! ```compile_fail
//! let mut count = 0;
//! raddle::scope(|s| {
//!     s.go(|| count += 1);
//!     s.go(|| count += 1); // both at the same time
//! });
//! ```
//!
//! What stays possible is a race without a data race: to look, and to act on
//! what one saw when it is no longer so. The last part shows one.

use raddle::chan::unbounded;
use raddle::go;
use raddle::sync::WaitGroup;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

const EACH: u32 = 1_000;

#[raddle::main]
fn main() {
    raddle::println!("This does not compile:\n");
    raddle::println!("{}", include_str!("../tests/ui/race_fail.rs"));
    raddle::println!("rustc says:\n");
    raddle::println!("{}", include_str!("../tests/ui/race_fail.stderr"));

    raddle::println!("These do:");
    raddle::println!("  each its own count, and join: {}", by_join());
    raddle::println!("  an atomic count: {}", by_atomic());
    raddle::println!("  one owner, told by messages: {}", by_messages());

    raddle::println!("This does too, and sells more than there is:");
    raddle::println!("  1 ticket, {} sold", look_then_sell());
    raddle::println!("Look and act in one step:");
    raddle::println!("  1 ticket, {} sold", sell_in_one_step());
}

fn by_join() -> u32 {
    let count = || (0..EACH).map(|_| 1).sum::<u32>();
    let other = go!(count());
    count() + other.join().expect("it does not panic")
}

fn by_atomic() -> u32 {
    let count = AtomicU32::new(0);
    raddle::scope(|s| {
        for _ in 0..2 {
            // ORDER: Relaxed: the scope's end orders the rest.
            s.go(|| (0..EACH).for_each(|_| _ = count.fetch_add(1, Relaxed)));
        }
    });
    count.into_inner()
}

fn by_messages() -> u32 {
    let (sender, counts) = unbounded();
    for _ in 0..2 {
        let sender = sender.clone();
        go!(move || (0..EACH).try_for_each(|_| sender.send(1)));
    }
    drop(sender);
    counts.iter().sum()
}

/// Both look before either sells: no data race, and wrong.
fn look_then_sell() -> u32 {
    let tickets = AtomicU32::new(1);
    let sold = AtomicU32::new(0);
    let looking = WaitGroup::new();
    looking.add(2);
    raddle::scope(|s| {
        for _ in 0..2 {
            s.go(|| {
                // ORDER: Relaxed: no order would help.
                let seen = tickets.load(Relaxed);
                // So that it happens here each time; elsewhere it would once
                // in a million, and not while somebody looks.
                looking.done();
                looking.wait();
                if seen > 0 {
                    // ORDER: Relaxed: as above.
                    tickets.store(seen - 1, Relaxed);
                    sold.fetch_add(1, Relaxed);
                }
            });
        }
    });
    sold.into_inner()
}

fn sell_in_one_step() -> u32 {
    let tickets = AtomicU32::new(1);
    let sold = AtomicU32::new(0);
    raddle::scope(|s| {
        for _ in 0..2 {
            s.go(|| {
                // ORDER: Relaxed: one step, so only one of them takes it.
                let sale = tickets.try_update(Relaxed, Relaxed, |left| left.checked_sub(1));
                // ORDER: Relaxed: read after the scope.
                sold.fetch_add(u32::from(sale.is_ok()), Relaxed);
            });
        }
    });
    sold.into_inner()
}
