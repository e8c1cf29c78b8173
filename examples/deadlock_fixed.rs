//! The deadlock mended: somebody receives.
//!
//! ```sh
//! cargo run --example deadlock_fixed
//! ```
//!
//! In Go: the send moves into a goroutine of its own, so that main is free to
//! receive. Without a buffer the two have to be there at the same time; see
//! `deadlock` for one alone.

use raddle::chan::bounded;
use raddle::go;

#[raddle::main]
fn main() {
    let (messages, inbox) = bounded(0);
    go!(move || messages.send("hello"));
    raddle::println!("{}", inbox.recv().expect("it is sent"));
}
