//! An OS thread's wait for one ring, and how others see that it sleeps.
//!
//! ```text
//!          lie_down              ring
//!    Up ─────────────▶ Asleep ─────────▶ Rung
//!    ▲ ╲──────────────── ring ─────────▶  │
//!    └────────────────── take ────────────┘
//! ```

use crate::shim::{AcqRel, Acquire, AtomicU32, Relaxed, Release};

const UP: u32 = 0;
const RUNG: u32 = 1;
const ASLEEP: u32 = 2;

/// Invariants
/// 1. Only its thread takes a ring and lies down.
/// 2. `Asleep` is written last before the thread sleeps for no deadline, and
///    ended by the ring itself: a thread that was rung and has not come to
///    run yet does not count as asleep.
/// 3. `nights` moves before each `Asleep`. Who reads the same number twice,
///    with `Asleep` in between, knows that the thread slept all the time
///    from the end of the first look to the begin of the second.
#[derive(Debug)]
pub(crate) struct Bell {
    word: AtomicU32,
    nights: AtomicU32,
}

impl Bell {
    pub(crate) fn new() -> Self {
        Self {
            word: AtomicU32::new(UP),
            nights: AtomicU32::new(0),
        }
    }

    /// Wakes the thread, or keeps it from its next sleep. Rings that come
    /// before it takes one merge. The caller then wakes the thread itself.
    pub(crate) fn ring(&self) {
        // ORDER: AcqRel: a swap, so that of rings that merge each is seen by
        // who takes them; Release pairs with `take`.
        self.word.swap(RUNG, AcqRel);
    }

    /// Takes a ring, by the thread.
    #[must_use]
    pub(crate) fn take(&self) -> bool {
        // ORDER: Acquire pairs with `ring`. A failure decides nothing. An
        // exchange and no store: a ring that merges in between is seen.
        self.word
            .compare_exchange(RUNG, UP, Acquire, Relaxed)
            .is_ok()
    }

    /// The thread sleeps for a ring from here on. `false`: it was rung.
    #[must_use]
    pub(crate) fn lie_down(&self) -> bool {
        // ORDER: Relaxed: the thread alone writes it, and the exchange below
        // publishes it.
        let nights = self.nights.load(Relaxed);
        // ORDER: as above.
        self.nights.store(nights.wrapping_add(1), Relaxed);
        // ORDER: Release: who sees it asleep sees what it did before, its
        // rings to others among them. A failure is looked at by `take`.
        self.word
            .compare_exchange(UP, ASLEEP, Release, Relaxed)
            .is_ok()
    }

    /// Which night the thread sleeps through, if it does.
    pub(crate) fn night(&self) -> Option<u32> {
        // ORDER: Acquire pairs with `lie_down`, here and below: the number
        // is not older than the word before it, nor newer than that after.
        let before = self.nights.load(Acquire);
        // ORDER: as above.
        let is_asleep = self.word.load(Acquire) == ASLEEP;
        // ORDER: as above.
        (is_asleep && self.nights.load(Acquire) == before).then_some(before)
    }
}

#[cfg(all(test, raddle_model))]
mod models {
    use super::Bell;
    use crate::shim::model;
    use loom::sync::Arc;
    use loom::thread::{spawn, yield_now};

    /// As a thread waits: however early the ring, it is taken once.
    fn wait(bell: &Bell) {
        while !bell.take() {
            if bell.lie_down() {
                while !bell.take() {
                    yield_now();
                }
                return;
            }
        }
    }

    #[test]
    fn an_early_ring_is_not_slept_over() {
        model(|| {
            let bell = Arc::new(Bell::new());
            let ringer = spawn({
                let bell = bell.clone();
                move || bell.ring()
            });
            wait(&bell);
            ringer.join().unwrap();
            assert_eq!(bell.night(), None);
        });
    }

    /// One rings the other and lies down for good. Whoever looks at both
    /// twice never finds both asleep all the time: at no moment they were.
    #[test]
    fn two_looks_that_agree_do_not_miss_a_wake() {
        model(|| {
            let bells = Arc::new([Bell::new(), Bell::new()]);
            let sleeper = spawn({
                let bells = bells.clone();
                move || wait(&bells[0])
            });
            let ringer = spawn({
                let bells = bells.clone();
                move || {
                    bells[0].ring();
                    assert!(bells[1].lie_down());
                }
            });
            let look = || bells.each_ref().map(Bell::night);
            let first = look();
            if !first.contains(&None) {
                assert_ne!(first, look());
            }
            sleeper.join().unwrap();
            ringer.join().unwrap();
        });
    }
}
