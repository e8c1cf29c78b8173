//! A machine's run queue and next slot; with `injector.rs` the only door to
//! crossbeam-deque.

use crate::goroutine::{Header, Runnable};
use crate::next_slot::NextSlot;
use crossbeam_deque::{Steal, Stealer, Worker};

/// The owner's end: first in, first out.
pub(crate) struct RunQueue(Worker<Runnable>);

/// The thieves' end, and the slot beside the queue.
pub(crate) struct Offered {
    stealer: Stealer<Runnable>,
    pub(crate) next: NextSlot<Header>,
}

impl RunQueue {
    pub(crate) fn new() -> (Self, Offered) {
        let queue = Worker::new_fifo();
        let offered = Offered {
            stealer: queue.stealer(),
            next: NextSlot::new(),
        };
        (Self(queue), offered)
    }

    #[inline]
    pub(crate) fn push(&self, runnable: Runnable) {
        self.0.push(runnable);
    }

    #[inline]
    pub(crate) fn pop(&self) -> Option<Runnable> {
        self.0.pop()
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The deque itself, for the injector to fill.
    pub(crate) fn deque(&self) -> &Worker<Runnable> {
        &self.0
    }
}

impl Offered {
    /// Takes about half of what is there to `to`, and one of it to run.
    pub(crate) fn steal_half(&self, to: &RunQueue) -> Option<Runnable> {
        loop {
            match self.stealer.steal_batch_and_pop(&to.0) {
                Steal::Success(runnable) => return Some(runnable),
                Steal::Empty => return None,
                Steal::Retry => std::hint::spin_loop(),
            }
        }
    }

    /// How many stand in the queue, roughly.
    pub(crate) fn len(&self) -> usize {
        self.stealer.len()
    }
}
