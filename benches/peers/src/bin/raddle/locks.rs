//! Locks and their kin.

use crate::{Case, joined, warmed};
use raddle::spawn;
use raddle::sync::{Mutex, Once, RwLock, Semaphore, WaitGroup};
use raddle_peers::work::{CONTENDERS, Inside, PERMITS};
use raddle_peers::{Outcome, Region, Workload};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

pub const WORKLOADS: &[Workload<crate::Own>] = &[
    Workload::new("mutex_contended", 500_000, mutex_contended),
    Workload::new("rwlock", 1_000_000, rwlock),
    Workload::new("semaphore", 500_000, semaphore),
    Workload::new("semaphore_held", 100_000, semaphore_held),
    Workload::new("wait_group", 1_000_000, wait_group),
    Workload::new("wait_group_shared", 1_000_000, wait_group_shared),
    Workload::new("once", 10_000_000, once),
];

/// So many goroutines do `work`, `n` operations each.
fn contend<W: FnOnce() + Send + 'static>(n: u64, work: impl Fn() -> W) -> Outcome {
    let region = Region::begin();
    let goroutines: Vec<_> = (0..CONTENDERS).map(|_| spawn(work())).collect();
    goroutines.into_iter().for_each(joined);
    region.end(CONTENDERS * n)
}

// 8: mutex_contended

fn mutex_contended(case: &Case) -> Outcome {
    warmed(case, |n| {
        let region = Region::begin();
        let count = Arc::new(Mutex::new(0));
        let contender = |_| {
            let count = count.clone();
            spawn(move || {
                for _ in 0..n {
                    *count.lock() += 1;
                }
            })
        };
        let goroutines: Vec<_> = (0..CONTENDERS).map(contender).collect();
        goroutines.into_iter().for_each(joined);
        let outcome = region.end(CONTENDERS * n);
        assert_eq!(*count.lock(), CONTENDERS * n);
        outcome
    })
}

// rwlock

fn rwlock(case: &Case) -> Outcome {
    warmed(case, |n| {
        let region = Region::begin();
        let counts = Arc::new(RwLock::new((0, 0)));
        let reader = |_| {
            let counts = counts.clone();
            spawn(move || {
                for _ in 0..n {
                    let counts = counts.read();
                    assert_eq!(counts.0, counts.1);
                }
            })
        };
        let readers: Vec<_> = (0..CONTENDERS).map(reader).collect();
        let written = counts.clone();
        let writer = spawn(move || {
            for _ in 0..n {
                let mut counts = written.write();
                counts.0 += 1;
                counts.1 += 1;
            }
        });
        readers.into_iter().for_each(joined);
        joined(writer);
        let outcome = region.end((CONTENDERS + 1) * n);
        assert_eq!(*counts.read(), (n, n));
        outcome
    })
}

// semaphore

fn semaphore(case: &Case) -> Outcome {
    warmed(case, |n| {
        let semaphore = Semaphore::new(PERMITS);
        let outcome = contend(n, || {
            let semaphore = semaphore.clone();
            move || (0..n).for_each(|_| drop(semaphore.acquire(1)))
        });
        assert!(semaphore.try_acquire(PERMITS).is_some());
        outcome
    })
}

/// Others come while the permits are taken.
fn semaphore_held(case: &Case) -> Outcome {
    warmed(case, |n| {
        let semaphore = Semaphore::new(PERMITS);
        let inside = Arc::new(Inside::new());
        let outcome = contend(n, || {
            let (semaphore, inside) = (semaphore.clone(), inside.clone());
            move || {
                for _ in 0..n {
                    let _permit = semaphore.acquire(1);
                    inside.enter();
                    raddle::yield_now();
                    inside.leave();
                }
            }
        });
        assert!(semaphore.try_acquire(PERMITS).is_some());
        outcome
    })
}

// wait_group

/// Each has a group of its own.
fn wait_group(case: &Case) -> Outcome {
    warmed(case, |n| {
        contend(n, || {
            move || {
                let group = WaitGroup::new();
                for _ in 0..n {
                    group.add(1);
                    group.done();
                    group.wait();
                }
            }
        })
    })
}

/// All are members of one group.
fn wait_group_shared(case: &Case) -> Outcome {
    warmed(case, |n| {
        let group = WaitGroup::new();
        group.add(1);
        contend(n, || {
            let group = group.clone();
            move || {
                for _ in 0..n {
                    group.add(1);
                    group.done();
                }
            }
        })
    })
}

// once

fn once(case: &Case) -> Outcome {
    warmed(case, |n| {
        let first = Arc::new((Once::new(), AtomicU64::new(0)));
        let outcome = contend(n, || {
            let first = first.clone();
            move || {
                for _ in 0..n {
                    first.0.call_once(|| {
                        first.1.fetch_add(1, Relaxed);
                    });
                }
            }
        });
        assert_eq!(first.1.load(Relaxed), 1);
        outcome
    })
}
