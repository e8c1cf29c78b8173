//! Cancellation, and timers that are stopped or set anew.
//!
//! A context is a `CancellationToken`. A timer is a `Sleep`, which is in the
//! runtime's wheel from its first poll on; dropping it stops it.

use crate::{Case, warmed};
use raddle_peers::work::{HOUR, RESETS};
use raddle_peers::{Outcome, Region, Workload};
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::sync::CancellationToken;

pub const WORKLOADS: &[Workload<crate::Own>] = &[
    Workload::new("context", 100_000, context),
    Workload::new("context_each", 1_000_000, context_each),
    Workload::new("timers_stop", 1_000_000, timers_stop),
    Workload::new("timers_reset", 100_000, timers_reset),
];

/// The children of one root, and its end.
fn context(case: &Case) -> Outcome {
    async fn pass(n: u64) -> Outcome {
        let mut children = Vec::with_capacity(n as usize);
        let region = Region::begin();
        let root = CancellationToken::new();
        children.extend((0..n).map(|_| root.child_token()));
        let creating = region.start().elapsed();
        root.cancel();
        let outcome = region.end(n).in_two("create_ms", creating, "cancel_ms");
        assert!(children.iter().all(CancellationToken::is_cancelled));
        outcome
    }
    warmed(case, pass)
}

/// One child after the other, each ended by itself.
fn context_each(case: &Case) -> Outcome {
    async fn pass(n: u64) -> Outcome {
        let root = CancellationToken::new();
        let region = Region::begin();
        for _ in 0..n {
            let child = root.child_token();
            child.cancel();
            assert!(child.is_cancelled());
        }
        region.end(n)
    }
    warmed(case, pass)
}

async fn started(n: u64) -> Vec<Pin<Box<Sleep>>> {
    let mut timers = Vec::with_capacity(n as usize);
    poll_fn(|context| {
        timers.extend((0..n).map(|_| {
            let mut timer = Box::pin(sleep(HOUR));
            assert!(timer.as_mut().poll(context).is_pending());
            timer
        }));
        Poll::Ready(())
    })
    .await;
    timers
}

/// All are pending at once, and then no more.
fn timers_stop(case: &Case) -> Outcome {
    async fn pass(n: u64) -> Outcome {
        let region = Region::begin();
        drop(started(n).await);
        region.end(n)
    }
    warmed(case, pass)
}

/// All are pending, and set anew one after the other.
fn timers_reset(case: &Case) -> Outcome {
    async fn pass(n: u64) -> Outcome {
        let mut timers = started(n).await;
        let region = Region::begin();
        for _ in 0..RESETS {
            for timer in &mut timers {
                timer.as_mut().reset(Instant::now() + HOUR);
            }
        }
        region.end(n * RESETS)
    }
    warmed(case, pass)
}
