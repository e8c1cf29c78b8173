//! The queue everyone shares: what no machine has claimed.

use crate::goroutine::Runnable;
use crate::run_queue::RunQueue;
use crossbeam_deque::{Injector as Raw, Steal};

pub(crate) struct Injector(Raw<Runnable>);

impl Injector {
    pub(crate) fn new() -> Self {
        Self(Raw::new())
    }

    pub(crate) fn push(&self, runnable: Runnable) {
        self.0.push(runnable);
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The oldest.
    pub(crate) fn take(&self) -> Option<Runnable> {
        loop {
            match self.0.steal() {
                Steal::Success(runnable) => return Some(runnable),
                Steal::Empty => return None,
                Steal::Retry => std::hint::spin_loop(),
            }
        }
    }

    /// One to run, and a fair share of the rest to `queue`: at most
    /// `1 / sharers` of what is there.
    pub(crate) fn take_share(&self, queue: &RunQueue, sharers: usize) -> Option<Runnable> {
        let share = self.0.len() / sharers.max(1) + 1;
        loop {
            match self
                .0
                .steal_batch_with_limit_and_pop(queue.deque(), share.min(32))
            {
                Steal::Success(runnable) => return Some(runnable),
                Steal::Empty => return None,
                Steal::Retry => std::hint::spin_loop(),
            }
        }
    }
}
