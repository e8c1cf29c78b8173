//! A lock.

use crate::{Case, joined, warmed};
use raddle::spawn;
use raddle::sync::Mutex;
use raddle_peers::work::CONTENDERS;
use raddle_peers::{Outcome, Region, Workload};
use std::sync::Arc;

pub const WORKLOADS: &[Workload<crate::Own>] =
    &[Workload::new("mutex_contended", 500_000, mutex_contended)];

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
