//! Three workers share five jobs, and main collects the results.
//!
//! ```sh
//! cargo run --example worker_pool
//! ```
//!
//! In Go: `jobs` and `results`, three goroutines that range over `jobs`, a
//! `close(jobs)` once all are sent, and exactly five receives. Each job goes
//! to one worker, whoever is free. Here main need not count: `results` ends
//! when the last worker has.

use raddle::chan::{Receiver, Sender, bounded};
use raddle::go;
use std::time::Duration;

fn worker(jobs: Receiver<u32>, results: Sender<u32>) {
    for job in jobs {
        raddle::time::sleep(Duration::from_millis(100)); // hard work
        results.send(job * 2).expect("main collects them all");
    }
}

#[raddle::main]
fn main() {
    let (jobs, to_do) = bounded(5);
    let (done, results) = bounded(5);
    for _ in 0..3 {
        go!(worker(to_do.clone(), done.clone()));
    }
    // The workers have one each, and the ends of these are theirs to close.
    drop(done);

    for job in 1..=5 {
        jobs.send(job).expect("there are workers");
    }
    drop(jobs); // no more to come

    for result in results {
        raddle::println!("result: {result}");
    }
}
