//! A buffer lets the sender go ahead, as far as it reaches.
//!
//! ```sh
//! cargo run --example buffered
//! ```
//!
//! In Go: `make(chan string, 2)`, and main sends twice and receives twice, all
//! by itself. A third send would wait for room, and with nobody to receive
//! that is a deadlock. Here a goroutine sends the third, and `try_send` shows
//! how to ask first.

use raddle::chan::bounded;
use raddle::go;

#[raddle::main]
fn main() {
    let (words, heard) = bounded(2);
    words.send("hello").expect("there is room");
    words.send("world").expect("there is room");
    raddle::println!("sent two, and nobody has received");

    // The buffer is full: to ask is to be told, and to get the word back.
    let refused = words.try_send("again").expect_err("it is full");
    raddle::println!("{refused}: {:?} comes back", refused.into_inner());

    // To send is to wait.
    let third = go!(move || words.send("again"));
    raddle::yield_now();
    raddle::println!("the third waits: {}", !third.is_finished());

    raddle::println!("{}", heard.recv().expect("it was sent"));
    // That made room.
    let sent = third.join().expect("it does not panic");
    raddle::println!("the third is sent: {}", sent.is_ok());
    for word in heard {
        raddle::println!("{word}");
    }
}
