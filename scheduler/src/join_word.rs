//! Who waits for a goroutine's end, as one atomic word.
//!
//! ```text
//!             begin               end
//! Nobody ◀──────────▶ Joined ───────────▶ Ended
//!   │ │     give_up                         ▲
//!   │ └─ detach ─▶ Detached ────────────────┤
//!   │ watch                                 │
//!   └──────▶ Watched, and again one of the ─┘
//!            three, written into the watcher
//! ```

use crate::shim::{AcqRel, Acquire, AtomicUsize, Relaxed, Release};
use std::cell::Cell;
use std::fmt;

const NOBODY: usize = 0;
const ENDED: usize = 2;
const DETACHED: usize = 4;

/// What stands beside a watcher's address, which is a multiple of 8. In a
/// joiner's word, which is a `Parker`'s, these bits are 0, 1 or 5.
const KIND: usize = 7;
const WATCHED: usize = 2;
/// The watcher says who waits.
const TOLD: usize = 6;
const WATCHED_TO_THE_END: usize = 4;
/// No address is below.
const LEAST_ADDRESS: usize = 4096;

/// Called at the end.
pub(crate) type AtEnd = Box<dyn FnOnce() + Send>;

/// Invariants
/// 1. The handle's owner alone begins, gives up, detaches and watches; its
///    only rival is the end, which comes once.
/// 2. What the end finds it owns: `at_end`, and the duty to wake a joiner. A
///    joiner may be a waker, which is then the end's, and by giving up the
///    owner's again.
/// 3. A watcher is freed with the word, not at the end: the owner may be
///    about to write into it.
pub(crate) struct JoinWord(AtomicUsize);

#[repr(align(8))]
struct Watcher {
    at_end: Cell<Option<AtEnd>>,
    /// `NOBODY`, `DETACHED` or a joiner.
    then: AtomicUsize,
}

/// What the end has to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// The handle is still there.
    Nothing,
    /// Nobody will ask for the result: drop it.
    Drop,
    /// Wake the joiner with these bits.
    Wake(usize),
}

impl JoinWord {
    pub(crate) fn new() -> Self {
        Self(AtomicUsize::new(NOBODY))
    }

    pub(crate) fn has_ended(&self) -> bool {
        // ORDER: Acquire pairs with `end`.
        let word = self.0.load(Acquire);
        word == ENDED || word >= LEAST_ADDRESS && word & KIND == WATCHED_TO_THE_END
    }

    /// The caller, a `Parker`'s bits, waits; `false`: the end has come.
    #[inline]
    pub(crate) fn begin(&self, joiner: usize) -> bool {
        self.tell(NOBODY, joiner)
    }

    /// The joiner goes away. `false`: the end is about to wake it.
    pub(crate) fn give_up(&self, joiner: usize) -> bool {
        self.tell(joiner, NOBODY)
    }

    /// Nobody will join. `false`: the end has come, and the result is the
    /// caller's.
    #[inline]
    pub(crate) fn detach(&self) -> bool {
        self.tell(NOBODY, DETACHED)
    }

    #[inline]
    fn tell(&self, was: usize, is: usize) -> bool {
        // ORDER: Release: our use comes before the end; Acquire pairs with it.
        match self.0.compare_exchange(was, is, Release, Acquire) {
            Ok(_) => true,
            Err(ENDED) => false,
            Err(word) => self.tell_watcher(word, is),
        }
    }

    #[cold]
    fn tell_watcher(&self, word: usize, is: usize) -> bool {
        if word & KIND == WATCHED_TO_THE_END {
            return false;
        }
        let address = word & !KIND;
        // SAFETY: made by `watch`, freed with `self`.
        let watcher = unsafe { &*(address as *const Watcher) };
        if is != NOBODY {
            // ORDER: Relaxed: shown by the exchange.
            watcher.then.store(is, Relaxed);
        }
        let next = address | if is == NOBODY { WATCHED } else { TOLD };
        // ORDER: Release shows `then`; Acquire pairs with the end.
        self.0
            .compare_exchange(word, next, Release, Acquire)
            .is_ok()
    }

    /// Calls `at_end` when the goroutine ends, on its stack; it comes back if
    /// that has happened. Once, and before `detach`; `joiner` is who has
    /// begun, or 0, and waits on.
    pub(crate) fn watch(&self, at_end: AtEnd, joiner: usize) -> Result<(), AtEnd> {
        let watcher = Box::new(Watcher {
            at_end: Cell::new(Some(at_end)),
            then: AtomicUsize::new(joiner),
        });
        let watcher = Box::into_raw(watcher);
        let kind = if joiner == NOBODY { WATCHED } else { TOLD };
        // ORDER: Release shows the watcher to the end; Acquire pairs with it.
        let watched = self
            .0
            .compare_exchange(joiner, watcher as usize | kind, Release, Acquire);
        if watched.is_ok() {
            return Ok(());
        }
        // SAFETY: nobody else has seen it.
        let watcher = unsafe { Box::from_raw(watcher) };
        watcher.at_end.take().map_or(Ok(()), Err)
    }

    /// The end: what is to be called, and whom it concerns.
    #[inline]
    pub(crate) fn end(&self) -> (Option<AtEnd>, Then) {
        // ORDER: Release publishes the result; Acquire pairs with the owner's
        // exchanges.
        match self.0.swap(ENDED, AcqRel) {
            NOBODY => (None, Then::Nothing),
            DETACHED => (None, Then::Drop),
            word if word & WATCHED == 0 => (None, Then::Wake(word)),
            word => self.end_watched(word),
        }
    }

    #[cold]
    fn end_watched(&self, word: usize) -> (Option<AtEnd>, Then) {
        let address = word & !KIND;
        // ORDER: Release, as the swap: the owner may read this one instead.
        self.0.store(address | WATCHED_TO_THE_END, Release);
        // SAFETY: made by `watch`, freed with `self`.
        let watcher = unsafe { &*(address as *const Watcher) };
        let then = if word & KIND == TOLD {
            // ORDER: Relaxed: the swap acquired it.
            watcher.then.load(Relaxed)
        } else {
            NOBODY
        };
        let then = match then {
            NOBODY => Then::Nothing,
            DETACHED => Then::Drop,
            joiner => Then::Wake(joiner),
        };
        (watcher.at_end.take(), then)
    }
}

impl Drop for JoinWord {
    fn drop(&mut self) {
        // ORDER: Relaxed: who drops it has it alone.
        let word = self.0.load(Relaxed);
        if word >= LEAST_ADDRESS && matches!(word & KIND, WATCHED | TOLD | WATCHED_TO_THE_END) {
            // SAFETY: made by `watch`, and nobody else is left.
            drop(unsafe { Box::from_raw((word & !KIND) as *mut Watcher) });
        }
    }
}

impl fmt::Debug for JoinWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinWord").finish_non_exhaustive()
    }
}

#[cfg(all(test, raddle_model))]
mod models {
    use super::{JoinWord, Then};
    use crate::shim::{AtomicUsize, Relaxed, model};
    use loom::sync::Arc;
    use loom::thread::{JoinHandle, spawn};

    const JOINER: usize = 0x1_0000;

    /// The owner watches, begins, perhaps gives up or detaches, against the
    /// end: `at_end` runs once, and exactly one of the two sees to the rest.
    #[test]
    fn the_end_and_the_owner_agree() {
        for then in 0..3 {
            model(move || {
                let (shared, end) = against_the_end();
                watch(&shared, 0);
                let is_first = match then {
                    0 => shared.0.begin(JOINER),
                    1 => shared.0.detach(),
                    _ => shared.0.begin(JOINER) && shared.0.give_up(JOINER),
                };
                let ended = end.join().unwrap();
                assert_eq!(shared.1.load(Relaxed), 1, "at_end runs once");
                match then {
                    0 => assert_eq!(ended == Then::Wake(JOINER), is_first),
                    1 => assert_eq!(ended == Then::Drop, is_first),
                    // Given up in time: nobody wakes it.
                    _ => assert!(!is_first || ended == Then::Nothing),
                }
                assert!(shared.0.has_ended());
            });
        }
    }

    /// A future: polled with one waker, then with another, watched in
    /// between or not at all, and perhaps dropped. The end wakes the last
    /// waker, and no other; of each waker one of the two is the owner.
    #[test]
    fn the_end_and_a_future_agree() {
        const WAKERS: [usize; 2] = [0x1_0005, 0x2_0005];
        for (is_watched, is_dropped) in [(true, true), (true, false), (false, true), (false, false)]
        {
            model(move || {
                let (shared, end) = against_the_end();
                let mut owned = None;
                let mut is_over = false;
                let mut has_watched = false;
                for waker in WAKERS {
                    is_over = owned.take().is_some_and(|old| !shared.0.give_up(old))
                        || !shared.0.begin(waker);
                    if is_over {
                        break;
                    }
                    owned = Some(waker);
                    if is_watched && waker == WAKERS[0] {
                        watch(&shared, waker);
                        has_watched = true;
                    }
                }
                let mut is_detached = false;
                if is_dropped && !is_over {
                    is_over = !shared.0.give_up(WAKERS[1]);
                    is_detached = !is_over && shared.0.detach();
                    owned = None;
                }
                let ended = end.join().unwrap();
                if is_detached {
                    assert_eq!(ended, Then::Drop);
                } else if let Some(waker) = owned {
                    assert_eq!(ended, Then::Wake(waker));
                } else {
                    assert!(is_over || is_dropped);
                    assert_ne!(ended, Then::Drop);
                }
                let calls = usize::from(has_watched);
                assert_eq!(shared.1.load(Relaxed), calls, "at_end runs once");
                assert!(shared.0.has_ended());
            });
        }
    }

    type Shared = Arc<(JoinWord, AtomicUsize)>;

    /// A word, how often `at_end` ran, and the end beside them.
    fn against_the_end() -> (Shared, JoinHandle<Then>) {
        let shared = Arc::new((JoinWord::new(), AtomicUsize::new(0)));
        let end = spawn({
            let shared = shared.clone();
            move || {
                let (at_end, then) = shared.0.end();
                if let Some(at_end) = at_end {
                    at_end();
                }
                then
            }
        });
        (shared, end)
    }

    fn watch(shared: &Shared, joiner: usize) {
        let calls = shared.clone();
        let at_end = Box::new(move || {
            calls.1.fetch_add(1, Relaxed);
        });
        if let Err(at_end) = shared.0.watch(at_end, joiner) {
            at_end();
        }
    }
}
