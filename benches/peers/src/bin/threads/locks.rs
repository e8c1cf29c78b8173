//! Locks and their kin: parking_lot's.

use crate::{Case, confine, joined, spawn};
use parking_lot::{Once, RwLock};
use raddle_peers::work::CONTENDERS;
use raddle_peers::{NoOptions, Outcome, Region, Workload};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

pub const WORKLOADS: &[Workload<NoOptions>] = &[
    Workload::new("rwlock", 1_000_000, rwlock),
    Workload::new("once", 10_000_000, once),
];

fn rwlock(case: &Case) -> Outcome {
    confine(case);
    case.warmed(|n| {
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

fn once(case: &Case) -> Outcome {
    confine(case);
    case.warmed(|n| {
        let region = Region::begin();
        let first = Arc::new((Once::new(), AtomicU64::new(0)));
        let caller = |_| {
            let first = first.clone();
            spawn(move || {
                for _ in 0..n {
                    first.0.call_once(|| {
                        first.1.fetch_add(1, Relaxed);
                    });
                }
            })
        };
        let callers: Vec<_> = (0..CONTENDERS).map(caller).collect();
        callers.into_iter().for_each(joined);
        let outcome = region.end(CONTENDERS * n);
        assert_eq!(first.1.load(Relaxed), 1);
        outcome
    })
}
