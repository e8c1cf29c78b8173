//! A channel's lock, and what can be seen of the channel without it, as one
//! word.
//!
//! ```text
//!  63                       3          2           1         0
//! ┌──────────────────────────┬──────────┬───────────┬────────┐
//! │ times it was unlocked    │ can send │ can recv  │ locked │
//! └──────────────────────────┴──────────┴───────────┴────────┘
//! ```

use crate::shim::{AtomicU64, Relaxed, Release, SeqCst};
#[cfg(not(raddle_model))]
use crate::shim::{sleep_thread, spin_loop, yield_thread};

const LOCKED: u64 = 1;
/// A receive would not wait. Of a selection's own partners it may say so in
/// vain; "not ready" is always true.
pub(crate) const CAN_RECV: u64 = 2;
/// A send would not wait; see [`CAN_RECV`].
pub(crate) const CAN_SEND: u64 = 4;
const READY: u64 = CAN_RECV | CAN_SEND;
const ONCE: u64 = 8;

/// Invariants
/// 1. Who set `LOCKED` alone changes the word, until it clears it.
/// 2. While the word is not locked its ready bits tell the state of the
///    channel: whoever changes that writes them as it unlocks. So one load
///    of an unlocked word is a look at the whole channel at one moment.
/// 3. The count grows with every unlock: two looks that find the same word,
///    unlocked, saw the same state, and so did everyone in between.
#[derive(Debug)]
pub(crate) struct Word(AtomicU64, #[cfg(raddle_model)] crate::shim::Turn);

/// An unlocked word as it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look(u64);

impl Look {
    pub(crate) fn can(self, bit: u64) -> bool {
        self.0 & bit != 0
    }

    /// How often it had been unlocked.
    pub(crate) fn count(self) -> u64 {
        self.0 / ONCE
    }
}

/// The right to unlock, and to what count.
#[derive(Debug)]
#[must_use]
pub(crate) struct Key(u64);

impl Key {
    /// For a lock that somebody else gives back.
    pub(crate) fn none() -> Self {
        Self(0)
    }
}

impl Word {
    #[cfg(not(raddle_model))]
    pub(crate) const fn new(ready: u64) -> Self {
        Self(AtomicU64::new(ready))
    }

    #[cfg(raddle_model)]
    pub(crate) fn new(ready: u64) -> Self {
        Self(AtomicU64::new(ready), crate::shim::Turn::default())
    }

    /// One look without the lock; none while somebody holds it.
    #[inline]
    pub(crate) fn look(&self) -> Option<Look> {
        // ORDER: SeqCst, as the or in `lock`: who sends on one channel and then
        // finds another empty must not be missed by who does it the other way
        // round. On x86-64 it costs nothing.
        let seen = self.0.load(SeqCst);
        (seen & LOCKED == 0).then_some(Look(seen))
    }

    #[inline]
    pub(crate) fn lock(&self) -> Key {
        // The checker cannot see through a loop that waits.
        #[cfg(raddle_model)]
        self.1.take();
        // ORDER: SeqCst: Acquire pairs with `unlock`, the rest with `look`.
        // An or, not an exchange: it needs no look before it, which would
        // fetch the line twice.
        if self.0.fetch_or(LOCKED, SeqCst) & LOCKED != 0 {
            self.lock_contended();
        }
        // ORDER: Relaxed: ours alone now (invariant 1).
        Key(self.0.load(Relaxed) & !(LOCKED | READY))
    }

    /// Gives the lock back; `ready` are the ready bits as they are now.
    #[inline]
    pub(crate) fn unlock(&self, key: &Key, ready: u64) {
        // ORDER: Release publishes the state to the next `lock` or `look`.
        self.0.store(key.0.wrapping_add(ONCE) | ready, Release);
        #[cfg(raddle_model)]
        self.1.give();
    }

    #[cfg(raddle_model)]
    fn lock_contended(&self) {
        unreachable!("a model waits for its turn");
    }

    /// The holder needs some nanoseconds, unless its thread was interrupted.
    /// So: spin, then let other threads run, then sleep.
    #[cfg(not(raddle_model))]
    #[cold]
    #[inline(never)]
    fn lock_contended(&self) {
        let mut round = 0;
        loop {
            match round {
                0..6 => (0..1 << round).for_each(|_| spin_loop()),
                6..40 => yield_thread(),
                _ => sleep_thread(),
            }
            round += 1;
            // ORDER: Relaxed: a look that leaves the line where it is; the or
            // decides.
            if self.0.load(Relaxed) & LOCKED == 0
                // ORDER: SeqCst: as in `lock`.
                && self.0.fetch_or(LOCKED, SeqCst) & LOCKED == 0
            {
                return;
            }
        }
    }
}
