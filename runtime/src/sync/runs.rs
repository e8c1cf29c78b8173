//! Long runs of one machine at a lock, instead of turns of two.
//!
//! Where sections are short and two machines want the lock all the time, each
//! section costs them more for fetching the lock's word from one another than
//! for what is done in it. So a machine that meets another there again soon
//! after it got in past one leaves the lock alone for a while, without a look,
//! and then has the other's place.

#[cfg(not(raddle_model))]
pub(crate) use timed::{got_in, leave_alone, was_met_again};
#[cfg(raddle_model)]
pub(crate) use unseen::{got_in, leave_alone, was_met_again};

#[cfg(not(raddle_model))]
mod timed {
    use super::super::spin::can_run;
    use crate::shim::clock;
    use std::cell::Cell;

    /// Two microseconds, or some hundred sections of another machine.
    const PAUSES: u32 = 64;
    /// Who meets another so soon again will go on to, in nanoseconds. With
    /// 200 pinned machines fall back to turns of 30 ns, with 1,000 those that
    /// spend 200 ns in a lock and 200 outside lose a quarter.
    const SOON: u64 = 350;

    thread_local! {
        /// When the thread last got into a lock past a holder.
        static GOT_IN: Cell<u64> = const { Cell::new(0) };
    }

    /// The caller had to wait for one who was running, and has the lock.
    #[inline(never)]
    pub(crate) fn got_in() {
        GOT_IN.set(clock::now());
    }

    /// The caller is kept out by one who may be running, and it is not the
    /// first time of late: it has left the lock alone.
    #[inline(never)]
    pub(crate) fn was_met_again() -> bool {
        let is_soon = can_run(1) && clock::now() < GOT_IN.get().saturating_add(SOON);
        if is_soon {
            leave_alone();
        }
        is_soon
    }

    /// Another machine has the lock's word, for a while.
    #[cold]
    #[inline(never)]
    pub(crate) fn leave_alone() {
        for _ in 0..PAUSES {
            std::hint::spin_loop();
        }
    }
}

/// In a model others have run as long as they were to.
#[cfg(raddle_model)]
mod unseen {
    pub(crate) fn got_in() {}

    pub(crate) fn was_met_again() -> bool {
        true
    }

    pub(crate) fn leave_alone() {}
}
