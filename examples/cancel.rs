//! A goroutine leaves when it is told to, or when its work is done.
//!
//! ```sh
//! cargo run --example cancel
//! ```
//!
//! In Go: a loop over `select` with two cases, `<-ctx.Done()` and `job, ok :=
//! <-jobs`. Nobody can end a goroutine from outside: it listens, and goes. One
//! context tells any number of listeners at once, and why.

use raddle::chan::{Receiver, bounded};
use raddle::context::Context;
use raddle::{go, select};

/// Adds up jobs until told to stop.
fn add_up(ctx: Context, jobs: Receiver<u32>) -> u32 {
    let mut sum = 0;
    loop {
        select! {
            recv(ctx.done()) -> _ => {
                let why = ctx.err().expect("it is done");
                raddle::println!("cancelled: {why}");
                return sum;
            }
            recv(jobs) -> job => match job {
                Ok(job) => sum += job,
                Err(_) => {
                    raddle::println!("no more jobs");
                    return sum;
                }
            },
        }
    }
}

#[raddle::main]
fn main() {
    let (ctx, cancel) = Context::background().with_cancel();

    // The first has jobs to come, and is cancelled. So is another, which has
    // none at all.
    let (sender, jobs) = bounded(0);
    let (_idle, none) = bounded(0);
    let busy = go!(add_up(ctx.clone(), jobs));
    let idle = go!(add_up(ctx, none));
    for job in [1, 2, 3] {
        sender.send(job).expect("it takes jobs");
    }
    cancel.cancel();
    raddle::println!("busy: {}", busy.join().expect("it does not panic"));
    raddle::println!("idle: {}", idle.join().expect("it does not panic"));
    // Nobody is there any more, and the send says so.
    raddle::println!("one job more: {:?}", sender.send(4));

    // This one is not cancelled: its jobs end. With the guard's end its
    // context would, too.
    let (ctx, cancel) = Context::background().with_cancel();
    let _cancel = cancel.guard();
    let (sender, jobs) = bounded(0);
    let last = go!(add_up(ctx, jobs));
    for job in [10, 20, 30] {
        sender.send(job).expect("it takes jobs");
    }
    drop(sender);
    raddle::println!("last: {}", last.join().expect("it does not panic"));
}
