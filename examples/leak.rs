//! Goroutines that wait for ever, and how to find them.
//!
//! ```sh
//! cargo run --example leak
//! ```
//!
//! In Go: ask three servers at once, take the first answer and return. The
//! other two block on their sends for as long as the process lives, and
//! nothing says so, for main goes on: no deadlock, a leak. A dump of all
//! goroutines shows them: `chan send` for the reason, and the lines.

use raddle::chan::{Chan, bounded};
use raddle::observe::dump;
use raddle::{Builder, JoinHandle};
use std::time::Duration;

const SERVERS: [&str; 3] = ["ask north", "ask south", "ask west"];

#[track_caller]
fn named<T: Send + 'static>(name: &str, f: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    let builder = Builder::new().name(name.into());
    builder.spawn(f).expect("it needs no thread of its own")
}

/// As one would in Go. A `Chan` is both ends: each of the askers keeps it
/// open for the others.
fn first_answer() -> &'static str {
    let answers = Chan::new(0);
    for server in SERVERS {
        let answers = answers.clone();
        named(server, move || answers.send(server));
    }
    answers.recv().expect("one comes first")
}

/// With two ends. Who asks keeps the only receiver, and when it goes, those
/// who still wait to send get an error. In Go: room in the channel for all.
fn first_answer_mended() -> (&'static str, Vec<JoinHandle<bool>>) {
    let (sender, answers) = bounded(0);
    let ask = |server: &'static str| {
        let sender = sender.clone();
        named(server, move || sender.send(server).is_ok())
    };
    let askers = SERVERS.map(ask).into();
    (answers.recv().expect("one comes first"), askers)
}

/// How many goroutines wait to send.
fn senders_waiting() -> usize {
    dump().to_string().matches("[chan send").count()
}

#[raddle::main]
fn main() {
    let (_answer, askers) = first_answer_mended();
    let taken = askers
        .into_iter()
        .map(|asker| asker.join().expect("it does not panic"))
        .filter(|taken| *taken)
        .count();
    raddle::println!("mended: {taken} answer taken, all have left");
    raddle::println!("waiting to send: {}", senders_waiting());

    let _answer = first_answer();
    while senders_waiting() < 2 {
        raddle::time::sleep(Duration::from_millis(1));
    }
    raddle::println!("leaky: the answer is there, and so are they");
    raddle::println!("{}", dump());
}
