//! A machine's run queue and next slot; with `injector.rs` the only door to
//! crossbeam-deque.
//!
//! Goroutines that have begun stand in one deque, first in, first out. Fresh
//! ones, which have no stack yet, stand in another: the one spawned last
//! begins first, for it is the likeliest to be waited for, and what a tree of
//! goroutines needs at once is then its depth in stacks, not its breadth. So
//! many fresh ones as no tree has at a time go by age instead, in a third
//! deque. Thieves take the oldest of each.

use crate::goroutine::{Header, Runnable};
use crate::next_slot::NextSlot;
use crossbeam_deque::{Steal, Stealer, Worker};
use std::cell::Cell;

/// So many fresh goroutines are taken for a tree's.
const TREE_MOST: usize = 64;

/// The owner's end.
pub(crate) struct RunQueue {
    started: Worker<Runnable>,
    /// Fresh ones whose turn comes by age.
    aged: Worker<Runnable>,
    fresh: Worker<Runnable>,
    oldest: Stealer<Runnable>,
    /// Whether the oldest is to be an aged one next.
    turn: Cell<bool>,
}

/// The thieves' end, and the slot beside the queue.
pub(crate) struct Offered {
    started: Stealer<Runnable>,
    aged: Stealer<Runnable>,
    fresh: Stealer<Runnable>,
    pub(crate) next: NextSlot<Header>,
}

impl RunQueue {
    pub(crate) fn new() -> (Self, Offered) {
        let (started, aged) = (Worker::new_fifo(), Worker::new_fifo());
        let fresh = Worker::new_lifo();
        let offered = Offered {
            started: started.stealer(),
            aged: aged.stealer(),
            fresh: fresh.stealer(),
            next: NextSlot::new(),
        };
        let oldest = fresh.stealer();
        let queue = Self {
            started,
            aged,
            fresh,
            oldest,
            turn: Cell::new(false),
        };
        (queue, offered)
    }

    /// One that has begun, behind all others.
    #[inline]
    pub(crate) fn push(&self, runnable: Runnable) {
        self.started.push(runnable);
    }

    /// One that has not begun.
    #[inline]
    pub(crate) fn push_fresh(&self, runnable: Runnable) {
        if self.fresh.len() < TREE_MOST {
            self.fresh.push(runnable);
        } else {
            self.aged.push(runnable);
        }
    }

    /// One that has begun.
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
        self.fresh.pop().or_else(|| self.aged.pop())
    }

    /// The oldest that has not begun, of either deque in turn.
    pub(crate) fn pop_oldest(&self) -> Option<Runnable> {
        let of_fresh = || one_of(&self.oldest);
        if self.turn.replace(!self.turn.get()) {
            self.aged.pop().or_else(of_fresh)
        } else {
            of_fresh().or_else(|| self.aged.pop())
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.started.is_empty() && self.fresh.is_empty() && self.aged.is_empty()
    }

    /// Some that have begun, from the injector.
    pub(crate) fn take_started(
        &self,
        steal: impl Fn(&Worker<Runnable>) -> Steal<Runnable>,
    ) -> Option<Runnable> {
        take(|| steal(&self.started))
    }

    /// Some fresh ones, from the injector.
    pub(crate) fn take_aged(
        &self,
        steal: impl Fn(&Worker<Runnable>) -> Steal<Runnable>,
    ) -> Option<Runnable> {
        take(|| steal(&self.aged))
    }
}

impl Offered {
    /// Takes about half of those that have begun to `to`, and one of them to
    /// run.
    pub(crate) fn steal_started(&self, to: &RunQueue) -> Option<Runnable> {
        half_of(&self.started, &to.started)
    }

    /// Takes about half of a long line of fresh ones to `to`, and one of them
    /// to run; of a tree's one, the greatest.
    pub(crate) fn steal_fresh(&self, to: &RunQueue) -> Option<Runnable> {
        half_of(&self.aged, &to.aged).or_else(|| one_of(&self.fresh))
    }

    /// As `steal_started`, one alone.
    pub(crate) fn steal_one_started(&self) -> Option<Runnable> {
        one_of(&self.started)
    }

    /// As `steal_fresh`, one alone.
    pub(crate) fn steal_one_fresh(&self) -> Option<Runnable> {
        one_of(&self.aged).or_else(|| one_of(&self.fresh))
    }

    /// One of any, for whoever empties the queue of a stuck machine.
    pub(crate) fn steal_any(&self) -> Option<Runnable> {
        self.steal_one_started().or_else(|| self.steal_one_fresh())
    }

    /// How many have begun, roughly.
    pub(crate) fn started(&self) -> usize {
        self.started.len()
    }

    /// How many are fresh, roughly.
    pub(crate) fn fresh(&self) -> usize {
        self.fresh.len() + self.aged.len()
    }
}

// Even a theft that finds nothing costs the deque a fence: so both look first.

fn half_of(from: &Stealer<Runnable>, to: &Worker<Runnable>) -> Option<Runnable> {
    if from.is_empty() {
        return None;
    }
    take(|| from.steal_batch_and_pop(to))
}

fn one_of(from: &Stealer<Runnable>) -> Option<Runnable> {
    if from.is_empty() {
        return None;
    }
    take(|| from.steal())
}

pub(crate) fn take(mut steal: impl FnMut() -> Steal<Runnable>) -> Option<Runnable> {
    loop {
        match steal() {
            Steal::Success(runnable) => return Some(runnable),
            Steal::Empty => return None,
            Steal::Retry => std::hint::spin_loop(),
        }
    }
}
