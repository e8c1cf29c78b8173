//! `default`: if nothing is ready, do not wait.
//!
//! ```sh
//! cargo run --example select_default
//! ```
//!
//! In Go: a `select` with a `default` case, which makes a receive or a send
//! that does not block. A channel without a buffer takes a message this way
//! only while somebody waits to receive it.

use raddle::chan::{Receiver, Sender, bounded};
use raddle::{go, select};

fn look_into(mailbox: &Receiver<&str>) {
    select! {
        recv(mailbox) -> letter => raddle::println!("a letter: {letter:?}"),
        default => raddle::println!("no letter"),
    }
}

fn offer(mailbox: &Sender<&'static str>, letter: &'static str) {
    select! {
        send(mailbox, letter) -> _ => raddle::println!("left {letter:?}"),
        default => raddle::println!("{letter:?} does not fit"),
    }
}

#[raddle::main]
fn main() {
    let (post, mailbox) = bounded(1);
    look_into(&mailbox);
    offer(&post, "dear comb");
    offer(&post, "dear loom");
    look_into(&mailbox);
    drop(post);
    // Closed is an answer too: the case is ready, with an error.
    look_into(&mailbox);

    // Work that looks up now and then.
    let (sender, answer) = bounded(1);
    go!(move || sender.send(6 * 7));
    let mut rounds = 0_u64;
    let answer = loop {
        select! {
            recv(answer) -> n => break n.expect("it is sent"),
            default => rounds += 1,
        }
        // What one does meanwhile.
        raddle::yield_now();
    };
    raddle::println!("the answer is {answer}");
    raddle::eprintln!("(after {rounds} rounds of other work)");
}
