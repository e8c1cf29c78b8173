//! A send, and nobody to receive: all goroutines are asleep.
//!
//! ```sh
//! cargo run --example deadlock; echo "status $?"
//! ```
//!
//! In Go: `make(chan string)`, a send and a receive, one after the other, in
//! main. The send waits for a receiver, and the receive is never reached.
//! Nothing else runs that could help, so the runtime ends the process with
//! status 2 and says why each goroutine waits, `[chan send]`, and where.

use raddle::chan::bounded;

#[raddle::main]
fn main() {
    let (messages, inbox) = bounded(0);
    raddle::println!("sending");
    messages.send("hello").expect("`inbox` is still there");
    raddle::println!("{:?}", inbox.recv()); // never reached
}
