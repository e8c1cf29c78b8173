//! The queue everyone shares: what no machine has claimed.

use crate::goroutine::Runnable;
use crate::run_queue::{RunQueue, take};
use crossbeam_deque::Injector as Raw;

/// Those that have begun, and fresh ones.
pub(crate) struct Injector {
    started: Raw<Runnable>,
    fresh: Raw<Runnable>,
}

impl Injector {
    pub(crate) fn new() -> Self {
        Self {
            started: Raw::new(),
            fresh: Raw::new(),
        }
    }

    pub(crate) fn push(&self, runnable: Runnable) {
        if runnable.header().has_started() {
            self.started.push(runnable);
        } else {
            self.fresh.push(runnable);
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.started.is_empty() && self.fresh.is_empty()
    }

    /// How many are there, for lists.
    pub(crate) fn len(&self) -> usize {
        self.started.len() + self.fresh.len()
    }

    /// Whether any is there that has begun.
    pub(crate) fn has_started(&self) -> bool {
        !self.started.is_empty()
    }

    /// The oldest, of those that have begun if there are any.
    pub(crate) fn take(&self) -> Option<Runnable> {
        let started = (!self.started.is_empty())
            .then(|| take(|| self.started.steal()))
            .flatten();
        started.or_else(|| take(|| self.fresh.steal()))
    }

    /// One to run, and a fair share of the rest to `queue`: at most
    /// `1 / sharers` of what is there.
    pub(crate) fn take_share(&self, queue: &RunQueue, sharers: usize) -> Option<Runnable> {
        if self.is_empty() {
            return None;
        }
        let share = |raw: &Raw<Runnable>| (raw.len() / sharers.max(1) + 1).min(32);
        queue
            .take_started(|to| {
                self.started
                    .steal_batch_with_limit_and_pop(to, share(&self.started))
            })
            .or_else(|| {
                queue.take_aged(|to| {
                    self.fresh
                        .steal_batch_with_limit_and_pop(to, share(&self.fresh))
                })
            })
    }
}
