//! Loops that ask locks, clocks and handles again and again: they let happen
//! what they ask for, also when it is to happen at home on the same thread.
//! Those at channels are in `chan_polling.rs`.

mod common;
#[path = "common/places.rs"]
mod places;

use common::{MODES, limit, on_runtimes};
use places::runnable;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

// ORDER: Relaxed everywhere here: flags that stand for nothing else.

/// What a partner may take: many times what the design promises, for there
/// are other processes.
const SOON: Duration = Duration::from_secs(15);

/// `make` gives what to ask again and again, and what makes the answer a yes,
/// which waits at home on the only thread.
fn comes_true<A, M>(name: &str, make: impl Fn() -> (A, M) + Send + Sync + Clone)
where
    A: FnMut() -> bool,
    M: FnOnce() + Send + 'static,
{
    on_runtimes(&[1], &MODES, limit(60), |runtime, what| {
        let begin = Instant::now();
        runtime.run(|| {
            let (mut ask, come_true) = make();
            let partner = runnable(come_true);
            while !ask() {
                assert!(begin.elapsed() < SOON, "{name}, {what}");
            }
            partner.join().unwrap();
        });
    });
}

#[test]
fn a_loop_of_sleeps_of_no_time_lets_others_run() {
    comes_true("sleep", || {
        let flag = Arc::new(AtomicBool::new(false));
        let set = flag.clone();
        let ask = move || {
            raddle::time::sleep(Duration::ZERO);
            flag.load(Relaxed)
        };
        (ask, move || set.store(true, Relaxed))
    });
}
