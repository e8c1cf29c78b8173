//! A channel's lock, and what can be seen of the channel without it, as one
//! word.
//!
//! ```text
//!  63                   5       4        3         2          1         0
//! ┌──────────────────────┬────────┬────────┬──────────┬──────────┬────────┐
//! │ times it was unlocked│ waited │ calm   │ can send │ can recv │ locked │
//! └──────────────────────┴────────┴────────┴──────────┴──────────┴────────┘
//! ```

use crate::shim::{AtomicU64, Relaxed, Release, SeqCst};
#[cfg(not(raddle_model))]
use crate::shim::{clock, sleep_thread, spin_loop, yield_thread};

const LOCKED: u64 = 1;
/// A receive would not wait. Of a selection's own partners it may say so in
/// vain; "not ready" is always true.
pub(crate) const CAN_RECV: u64 = 2;
/// A send would not wait; see [`CAN_RECV`].
pub(crate) const CAN_SEND: u64 = 4;
/// Nobody watches, nothing is kept or has come back, and nobody has closed it:
/// what can be done needs no look at anything but the buffer and who waits; of
/// a rendezvous, in whose buffer nothing lies then, but who waits.
pub(crate) const CALM: u64 = 8;
/// Somebody stands in a queue to send or to receive.
pub(crate) const WAITED: u64 = 16;
const ONCE: u64 = 32;
const BITS: u64 = ONCE - 1;

/// Invariants
/// 1. Who set `LOCKED` alone changes the word, until it clears it.
/// 2. While the word is not locked its other bits tell the state of the
///    channel: whoever changes that writes them as it unlocks. So one load
///    of an unlocked word is a look at the whole channel at one moment.
/// 3. The count grows with every unlock: two looks that find the same word,
///    unlocked, saw the same state, and so did everyone in between.
#[derive(Debug)]
pub(crate) struct Word(
    AtomicU64,
    #[cfg(not(raddle_model))] Waited,
    #[cfg(raddle_model)] crate::shim::Turn,
);

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

/// The right to unlock: the word as it was found.
#[derive(Debug)]
#[must_use]
pub(crate) struct Key(u64);

impl Key {
    /// Whether of these bits exactly those were set.
    #[inline]
    pub(crate) fn found(&self, of: u64, set: u64) -> bool {
        self.0 & of == set
    }

    /// For a lock that somebody else gives back.
    pub(crate) fn none() -> Self {
        Self(0)
    }
}

impl Word {
    #[cfg(not(raddle_model))]
    pub(crate) const fn new(ready: u64) -> Self {
        let waited = Waited {
            count: AtomicU64::new(0),
            time: AtomicU64::new(0),
        };
        Self(AtomicU64::new(ready), waited)
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
        Key(self.0.load(Relaxed))
    }

    /// Gives the lock back; `bits` tell the state as it is now.
    #[inline]
    pub(crate) fn unlock(&self, key: &Key, bits: u64) {
        let count = (key.0 & !BITS).wrapping_add(ONCE);
        // ORDER: Release publishes the state to the next `lock` or `look`.
        self.0.store(count | bits, Release);
        #[cfg(raddle_model)]
        self.1.give();
    }

    #[cfg(raddle_model)]
    fn lock_contended(&self) {
        unreachable!("a model waits for its turn");
    }

    /// The holder needs some nanoseconds, unless its thread was interrupted.
    /// So: spin, then let other threads run, then sleep.
    ///
    /// Where threads do little else than use this channel, the lines that
    /// hold it go to and fro at each operation, which takes ten times as long
    /// as the operation. Then it pays to stay away for so long that the other
    /// gets a hundred done: 73 -> 25 ns a message, four to four on two
    /// processors. Where they do more, the same pause costs a tenth at most
    /// (150 ns of work between two operations: 169 -> 185 ns a message).
    #[cfg(not(raddle_model))]
    #[cold]
    #[inline(never)]
    fn lock_contended(&self) {
        let mut pauses = if self.is_saturated() {
            PAUSES_SATURATED
        } else {
            PAUSES_LEAST
        };
        let mut round = 0;
        loop {
            match round {
                0..7 => (0..pauses).for_each(|_| spin_loop()),
                7..40 => yield_thread(),
                _ => sleep_thread(),
            }
            pauses = (pauses * 2).min(PAUSES_MOST);
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

    /// Whether it has been unlocked so often, since somebody last had to wait
    /// for it, that its users can have done little else.
    #[cfg(not(raddle_model))]
    fn is_saturated(&self) -> bool {
        // ORDER: Relaxed, these four: an estimate; who comes at once spoils it.
        let count = self.0.load(Relaxed) / ONCE;
        let now = clock::now();
        let last_count = self.1.count.swap(count, Relaxed);
        let took = now.saturating_sub(self.1.time.swap(now, Relaxed));
        took < 1_000_000 && count.saturating_sub(last_count) * SATURATED_NS > took
    }
}

/// When somebody had to wait for a lock last, and its count then.
#[cfg(not(raddle_model))]
#[derive(Debug)]
struct Waited {
    count: AtomicU64,
    time: AtomicU64,
}

/// An operation each so many nanoseconds saturates the lock.
#[cfg(not(raddle_model))]
const SATURATED_NS: u64 = 250;
/// In pauses of the processor, 10 to 40 ns each.
#[cfg(not(raddle_model))]
const PAUSES_LEAST: u32 = 2;
#[cfg(not(raddle_model))]
const PAUSES_SATURATED: u32 = 64;
#[cfg(not(raddle_model))]
const PAUSES_MOST: u32 = 256;
