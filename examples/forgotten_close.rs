//! A loop over a channel that nobody closes.
//!
//! ```sh
//! cargo run --example forgotten_close; echo "status $?"
//! ```
//!
//! In Go: producers send and return, main ranges over the channel, and
//! nobody calls `close`. The loop waits for ever after the last message. Here
//! a channel is closed when its last sender is dropped, so what is forgotten
//! is not forgotten: the first loop ends. To get Go's hang one has to keep a
//! sender. The second loop does, and the report says `[chan receive]`.

use raddle::chan::{Sender, bounded};
use raddle::go;

fn produce(numbers: Sender<u32>) {
    for n in 1..=3 {
        numbers.send(n).expect("main receives");
    }
}

#[raddle::main]
fn main() {
    let (sender, numbers) = bounded(0);
    go!(produce(sender.clone()));
    go!(produce(sender));
    let sum: u32 = numbers.iter().sum();
    raddle::println!("the senders are gone, the loop is over: {sum}");

    let (sender, numbers) = bounded(0);
    go!(produce(sender.clone()));
    for n in &numbers {
        raddle::println!("{n}");
    }
    // Still here, so there could be more to come. `drop(sender)` above the
    // loop is what is missing.
    drop(sender);
    raddle::println!("never printed");
}
