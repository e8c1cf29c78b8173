//! Who creates a channel, sends, closes, receives: the types say so.
//!
//! ```sh
//! cargo run --example ownership
//! ```
//!
//! In Go: a function makes a channel, starts the one goroutine that writes to
//! it and closes it, and returns `<-chan int`, which callers can only read.
//! The same here, and a `Sender` belongs to who sends: to forget the close,
//! close twice or send after it takes an effort. What Go cannot do: the
//! reader goes away, and the writer is told.

use raddle::chan::{Receiver, bounded};
use raddle::{JoinHandle, go};

/// Creates the channel and keeps the sending end in its goroutine, which
/// closes it by returning. The caller gets the other end.
fn numbers_to(last: u64) -> Receiver<u64> {
    let (sender, numbers) = bounded(0);
    go!(move || (1..=last).try_for_each(|n| sender.send(n)));
    numbers
}

/// Receives from one channel, owns another.
fn squares_of(numbers: Receiver<u64>) -> Receiver<u64> {
    let (sender, squares) = bounded(0);
    go!(move || numbers.iter().try_for_each(|n| sender.send(n * n)));
    squares
}

/// Never ends by itself. Gives the number that nobody wanted.
fn all_numbers() -> (Receiver<u64>, JoinHandle<u64>) {
    let (sender, numbers) = bounded(0);
    let writer = go!(move || (1..).find(|n| sender.send(*n).is_err()).unwrap_or(0));
    (numbers, writer)
}

#[raddle::main]
fn main() {
    for square in squares_of(numbers_to(5)) {
        raddle::println!("{square}");
    }
    raddle::println!("the writers are done, so the loop is");

    let (numbers, writer) = all_numbers();
    let first: Vec<_> = numbers.iter().take(3).collect();
    raddle::println!("enough after {first:?}");
    // In Go the writer would wait at its next send for ever.
    drop(numbers);
    let unwanted = writer.join().expect("it does not panic");
    raddle::println!("the writer left: nobody takes {unwanted}");
}
