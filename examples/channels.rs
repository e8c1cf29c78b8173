//! One goroutine counts, another listens; a channel is all they share.
//!
//! ```sh
//! cargo run --example channels
//! ```
//!
//! In Go: `make(chan int)`, a goroutine that sends 1 to 5 and closes, and a
//! main that ranges over the channel. Nothing is stored in between, so each
//! send waits until its number is taken. Here the channel is closed by the
//! end of `count`, where the last sender is dropped.

use raddle::chan::{Sender, bounded};
use raddle::go;

fn count(numbers: Sender<u32>) {
    for n in 1..=5 {
        numbers.send(n).expect("main listens to the end");
    }
    // Nobody can send any more: that ends the loop of who receives.
    // `numbers.close()` would say it with other senders still around.
}

#[raddle::main]
fn main() {
    let (sender, numbers) = bounded(0);
    go!(count(sender));
    for n in &numbers {
        raddle::println!("{n}");
    }
    // Go's `n, ok := <-numbers` gives 0, false. There is no 0 here to mistake
    // for a number.
    raddle::println!("closed: {:?}", numbers.recv());
}
