//! A goroutine panics, and the program goes on.
//!
//! ```sh
//! cargo run --example panic_recover
//! ```
//!
//! In Go: a `defer` with `recover`, in each goroutine that may panic, for one
//! that is not recovered ends the process. Here it ends its goroutine, and
//! whoever joins decides. `RADDLE_PANIC=abort` gives Go's way.
//!
//! The messages on stderr are those of std's panic hook. Append
//! `2>/dev/null` to see what the program itself says.

use raddle::sync::WaitGroup;
use raddle::{Goexit, go};
use std::any::Any;
use std::panic::catch_unwind;

fn divide(a: u32, b: u32) -> u32 {
    assert!(b != 0, "division of {a} by zero");
    a / b
}

/// What `panic!` was given, if that was text.
fn text_of(payload: &(dyn Any + Send)) -> &str {
    match payload.downcast_ref::<String>() {
        Some(text) => text,
        None => payload.downcast_ref::<&str>().copied().unwrap_or("no text"),
    }
}

#[raddle::main]
fn main() {
    // A panic ends its goroutine alone. `join` gives what it left behind.
    for divisor in [2, 0, 5] {
        match go!(divide(10, divisor)).join() {
            Ok(quotient) => raddle::println!("10 / {divisor} = {quotient}"),
            Err(payload) => raddle::println!("10 / {divisor}: {}", text_of(&*payload)),
        }
    }

    // Inside a goroutine it is caught as anywhere in Rust.
    let caught = go!(move || catch_unwind(|| divide(1, 0)).is_err());
    raddle::println!("caught inside: {}", caught.join().expect("it was caught"));

    // A member of a group that panics is done all the same.
    let group = WaitGroup::new();
    drop(group.go(|| divide(2, 0)));
    group.wait();
    raddle::println!("the group is done");

    // A scope panics when one of its goroutines did and nobody joined it.
    let scoped = catch_unwind(|| raddle::scope(|s| s.go(|| _ = divide(3, 0))));
    raddle::println!("the scope panicked: {}", scoped.is_err());

    // `goexit` leaves from any depth. Destructors run, and no hook speaks.
    let left = go!(|| -> () { raddle::goexit() }).join();
    let payload = left.expect_err("goexit gives no value");
    raddle::println!("left by goexit: {}", payload.is::<Goexit>());
}
