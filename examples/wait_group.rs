//! A dog, a cat and a fish run together, and main waits for all three.
//!
//! ```sh
//! cargo run --example wait_group
//! ```
//!
//! The three share the processors, so their lines mix, and not the same way
//! each time. The last line is always the last.

use raddle::sync::WaitGroup;

fn speak(animal: &str, sound: &str) {
    for turn in 1..=3 {
        raddle::println!("{animal}: {sound} {turn}");
        raddle::yield_now();
    }
}

#[raddle::main]
fn main() {
    let group = WaitGroup::new();
    for (animal, sound) in [("dog", "woof"), ("cat", "meow"), ("fish", "blub")] {
        // Counted now, done when it ends, also by a panic.
        group.go(move || speak(animal, sound));
    }
    group.wait();
    raddle::println!("all three are done");
}
