//! Locks and their kin.

use crate::{Case, joined, warmed, yield_by_waking_itself};
use raddle_peers::work::{CONTENDERS, Inside, PERMITS};
use raddle_peers::{Outcome, Region, Workload};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use tokio::sync::{OnceCell, RwLock, Semaphore};
use tokio_util::task::TaskTracker;

pub const WORKLOADS: &[Workload<crate::Own>] = &[
    Workload::new("rwlock", 1_000_000, rwlock),
    Workload::new("semaphore", 500_000, semaphore),
    Workload::new("semaphore_held", 100_000, semaphore_held),
    Workload::new("wait_group", 1_000_000, wait_group),
    Workload::new("wait_group_shared", 1_000_000, wait_group_shared),
    Workload::new("once", 10_000_000, once),
];

/// So many tasks do `work`, `n` operations each.
async fn contend<F>(n: u64, work: impl Fn() -> F) -> Outcome
where
    F: Future<Output = ()> + Send + 'static,
{
    let region = Region::begin();
    let tasks: Vec<_> = (0..CONTENDERS).map(|_| tokio::spawn(work())).collect();
    for task in tasks {
        joined(task).await;
    }
    region.end(CONTENDERS * n)
}

fn rwlock(case: &Case) -> Outcome {
    async fn pass(n: u64) -> Outcome {
        let region = Region::begin();
        let counts = Arc::new(RwLock::new((0, 0)));
        let readers: Vec<_> = (0..CONTENDERS)
            .map(|_| {
                let counts = counts.clone();
                tokio::spawn(async move {
                    for _ in 0..n {
                        let counts = counts.read().await;
                        assert_eq!(counts.0, counts.1);
                    }
                })
            })
            .collect();
        let written = counts.clone();
        let writer = tokio::spawn(async move {
            for _ in 0..n {
                let mut counts = written.write().await;
                counts.0 += 1;
                counts.1 += 1;
            }
        });
        for reader in readers {
            joined(reader).await;
        }
        joined(writer).await;
        let outcome = region.end((CONTENDERS + 1) * n);
        assert_eq!(*counts.read().await, (n, n));
        outcome
    }
    warmed(case, pass)
}

fn semaphore(case: &Case) -> Outcome {
    async fn pass(n: u64) -> Outcome {
        let semaphore = Arc::new(Semaphore::new(PERMITS));
        let outcome = contend(n, || {
            let semaphore = semaphore.clone();
            async move {
                for _ in 0..n {
                    drop(semaphore.acquire().await.expect("nobody closes it"));
                }
            }
        })
        .await;
        assert_eq!(semaphore.available_permits(), PERMITS);
        outcome
    }
    warmed(case, pass)
}

/// Others come while the permits are taken.
fn semaphore_held(case: &Case) -> Outcome {
    async fn pass(n: u64) -> Outcome {
        let semaphore = Arc::new(Semaphore::new(PERMITS));
        let inside = Arc::new(Inside::new());
        let outcome = contend(n, || {
            let (semaphore, inside) = (semaphore.clone(), inside.clone());
            async move {
                for _ in 0..n {
                    let _permit = semaphore.acquire().await.expect("nobody closes it");
                    inside.enter();
                    yield_by_waking_itself().await;
                    inside.leave();
                }
            }
        })
        .await;
        assert_eq!(semaphore.available_permits(), PERMITS);
        outcome
    }
    warmed(case, pass)
}

/// Each has a group of its own: its nearest is a `TaskTracker`'s token.
fn wait_group(case: &Case) -> Outcome {
    warmed(case, |n| {
        contend(n, move || async move {
            let group = TaskTracker::new();
            group.close();
            for _ in 0..n {
                drop(group.token());
                group.wait().await;
            }
        })
    })
}

/// All are members of one group.
fn wait_group_shared(case: &Case) -> Outcome {
    async fn pass(n: u64) -> Outcome {
        let group = TaskTracker::new();
        let _open = group.token();
        contend(n, || {
            let group = group.clone();
            async move {
                for _ in 0..n {
                    drop(group.token());
                }
            }
        })
        .await
    }
    warmed(case, pass)
}

fn once(case: &Case) -> Outcome {
    async fn pass(n: u64) -> Outcome {
        let first = Arc::new((OnceCell::new(), AtomicU64::new(0)));
        let outcome = contend(n, || {
            let first = first.clone();
            async move {
                for _ in 0..n {
                    let made = first.0.get_or_init(|| async {
                        first.1.fetch_add(1, Relaxed);
                    });
                    made.await;
                }
            }
        })
        .await;
        assert_eq!(first.1.load(Relaxed), 1);
        outcome
    }
    warmed(case, pass)
}
