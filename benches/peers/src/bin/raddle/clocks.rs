//! Contexts, and timers that are stopped or set anew.

use crate::{Case, warmed};
use raddle::context::Context;
use raddle::time::Timer;
use raddle_peers::work::{HOUR, RESETS};
use raddle_peers::{Outcome, Region, Workload};

pub const WORKLOADS: &[Workload<crate::Own>] = &[
    Workload::new("context", 100_000, context),
    Workload::new("context_each", 1_000_000, context_each),
    Workload::new("timers_stop", 1_000_000, timers_stop),
    Workload::new("timers_func", 1_000_000, timers_func),
    Workload::new("timers_reset", 100_000, timers_reset),
    Workload::new("timers_func_reset", 100_000, timers_func_reset),
];

/// The children of one root, and its end.
fn context(case: &Case) -> Outcome {
    warmed(case, |n| {
        let mut children = Vec::with_capacity(n as usize);
        let region = Region::begin();
        let (root, cancel) = Context::background().with_cancel();
        children.extend((0..n).map(|_| root.with_cancel().0));
        let creating = region.start().elapsed();
        cancel.cancel();
        let outcome = region.end(n).in_two("create_ms", creating, "cancel_ms");
        assert!(children.iter().all(|child| child.err().is_some()));
        outcome
    })
}

/// One child after the other, each ended by itself.
fn context_each(case: &Case) -> Outcome {
    warmed(case, |n| {
        let (root, _cancel) = Context::background().with_cancel();
        let region = Region::begin();
        for _ in 0..n {
            let (child, cancel) = root.with_cancel();
            cancel.cancel();
            assert!(child.err().is_some());
        }
        region.end(n)
    })
}

/// All are pending at once, and then no more.
fn stopped(n: u64, start: fn() -> Timer) -> Outcome {
    let mut timers = Vec::with_capacity(n as usize);
    let region = Region::begin();
    timers.extend((0..n).map(|_| start()));
    for timer in timers {
        assert!(timer.stop());
    }
    region.end(n)
}

fn new_timer() -> Timer {
    Timer::new(HOUR)
}

fn new_func() -> Timer {
    Timer::after_func(HOUR, || panic!("it fired"))
}

fn timers_stop(case: &Case) -> Outcome {
    warmed(case, |n| stopped(n, new_timer))
}

fn timers_func(case: &Case) -> Outcome {
    warmed(case, |n| stopped(n, new_func))
}

/// All are pending, and set anew one after the other.
fn reset(n: u64, start: fn() -> Timer) -> Outcome {
    let timers: Vec<_> = (0..n).map(|_| start()).collect();
    let region = Region::begin();
    for _ in 0..RESETS {
        assert!(timers.iter().all(|timer| timer.reset(HOUR)));
    }
    let outcome = region.end(n * RESETS);
    assert!(timers.iter().all(Timer::stop));
    outcome
}

fn timers_reset(case: &Case) -> Outcome {
    warmed(case, |n| reset(n, new_timer))
}

fn timers_func_reset(case: &Case) -> Outcome {
    warmed(case, |n| reset(n, new_func))
}
