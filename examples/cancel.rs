//! A goroutine leaves when it is told to, or when its work is done.
//!
//! ```sh
//! cargo run --example cancel
//! ```
//!
//! In Go: a loop over `select` with two cases, `<-done` and `job, ok :=
//! <-jobs`. Nobody can end a goroutine from outside: it listens, and goes.
//! Closing a channel tells any number of listeners at once, so `done` carries
//! no messages, and its type, `Never`, says that there are none.

use raddle::chan::{Never, Receiver, bounded};
use raddle::{go, select};

/// Adds up jobs until told to stop.
fn add_up(jobs: Receiver<u32>, done: Receiver<Never>) -> String {
    let mut sum = 0;
    loop {
        select! {
            recv(done) -> _ => return format!("cancelled at {sum}"),
            recv(jobs) -> job => match job {
                Ok(job) => sum += job,
                Err(_) => return format!("no more jobs, {sum} in all"),
            },
        }
    }
}

#[raddle::main]
fn main() {
    let (cancel, done) = bounded::<Never>(0);

    // The first has jobs to come, and is cancelled. So is another, which has
    // none at all.
    let (sender, jobs) = bounded(0);
    let (_idle, none) = bounded(0);
    let busy = go!(add_up(jobs, done.clone()));
    let idle = go!(add_up(none, done));
    for job in [1, 2, 3] {
        sender.send(job).expect("it takes jobs");
    }
    drop(cancel);
    raddle::println!("busy: {}", busy.join().expect("it does not panic"));
    raddle::println!("idle: {}", idle.join().expect("it does not panic"));
    // Nobody is there any more, and the send says so.
    raddle::println!("one job more: {:?}", sender.send(4));

    // This one is not cancelled: its jobs end.
    let (_cancel, done) = bounded::<Never>(0);
    let (sender, jobs) = bounded(0);
    let last = go!(add_up(jobs, done));
    for job in [10, 20, 30] {
        sender.send(job).expect("it takes jobs");
    }
    drop(sender);
    raddle::println!("last: {}", last.join().expect("it does not panic"));
}
