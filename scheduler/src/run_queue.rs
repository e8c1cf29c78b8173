//! A machine's run queue and next slot; with `injector.rs` the only door to
//! crossbeam-deque.
//!
//! Goroutines that have begun stand in one deque, first in, first out. Fresh
//! ones, which have no stack yet, stand in another: the one spawned last
//! begins first, for it is the likeliest to be waited for, and what a tree of
//! goroutines needs at once is then its depth in stacks, not its breadth. A
//! long line of fresh ones is no tree, and goes by age; thieves always take
//! the oldest.

use crate::goroutine::{Header, Runnable};
use crate::next_slot::NextSlot;
use crossbeam_deque::{Steal, Stealer, Worker};

/// More fresh goroutines than this are begun by age.
const TREE_MOST: usize = 64;
/// So many of a long line are taken at once.
const BATCH: usize = 32;

/// The owner's end.
pub(crate) struct RunQueue {
    started: Worker<Runnable>,
    fresh: Worker<Runnable>,
    oldest: Stealer<Runnable>,
}

/// The thieves' end, and the slot beside the queue.
pub(crate) struct Offered {
    started: Stealer<Runnable>,
    fresh: Stealer<Runnable>,
    pub(crate) next: NextSlot<Header>,
}

impl RunQueue {
    pub(crate) fn new() -> (Self, Offered) {
        let (started, fresh) = (Worker::new_fifo(), Worker::new_lifo());
        let offered = Offered {
            started: started.stealer(),
            fresh: fresh.stealer(),
            next: NextSlot::new(),
        };
        let oldest = fresh.stealer();
        let queue = Self {
            started,
            fresh,
            oldest,
        };
        (queue, offered)
    }

    /// Behind all others.
    #[inline]
    pub(crate) fn push(&self, runnable: Runnable) {
        self.started.push(runnable);
    }

    /// One that has not begun.
    #[inline]
    pub(crate) fn push_fresh(&self, runnable: Runnable) {
        self.fresh.push(runnable);
    }

    /// One that has begun, or was taken to begin in its turn.
    #[inline]
    pub(crate) fn pop_started(&self) -> Option<Runnable> {
        self.started.pop()
    }

    /// Those that have begun, then fresh ones.
    #[inline]
    pub(crate) fn pop(&self) -> Option<Runnable> {
        self.pop_started().or_else(|| self.pop_fresh())
    }

    /// One that has not begun.
    #[inline]
    pub(crate) fn pop_fresh(&self) -> Option<Runnable> {
        if self.fresh.len() > TREE_MOST {
            return take(|| {
                self.oldest
                    .steal_batch_with_limit_and_pop(&self.started, BATCH)
            });
        }
        self.fresh.pop()
    }

    /// The oldest that has not begun.
    pub(crate) fn pop_oldest(&self) -> Option<Runnable> {
        take(|| self.oldest.steal())
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.started.is_empty() && self.fresh.is_empty()
    }

    /// Where the injector puts a share.
    pub(crate) fn deque(&self) -> &Worker<Runnable> {
        &self.started
    }
}

impl Offered {
    /// Takes about half of those that have begun to `to`, and one of them to
    /// run.
    pub(crate) fn steal_started(&self, to: &RunQueue) -> Option<Runnable> {
        take(|| self.started.steal_batch_and_pop(&to.started))
    }

    /// Takes about half of the fresh ones to `to`, and one of them to run.
    pub(crate) fn steal_fresh(&self, to: &RunQueue) -> Option<Runnable> {
        take(|| self.fresh.steal_batch_and_pop(&to.fresh))
    }

    /// How many have begun, roughly.
    pub(crate) fn started(&self) -> usize {
        self.started.len()
    }

    /// How many are fresh, roughly.
    pub(crate) fn fresh(&self) -> usize {
        self.fresh.len()
    }
}

fn take(mut steal: impl FnMut() -> Steal<Runnable>) -> Option<Runnable> {
    loop {
        match steal() {
            Steal::Success(runnable) => return Some(runnable),
            Steal::Empty => return None,
            Steal::Retry => std::hint::spin_loop(),
        }
    }
}
