//! Guards that live on without their lock.
//!
//! lock_api's `unlocked` gives a guard's lock up, runs a closure, and takes
//! the lock again: by `lock`, which shutdown may end by an unwind. The guard
//! then gives back what it does not hold, and perhaps another does. Whether it
//! was such a `lock` or a plain one cannot be told when it unwinds; but of a
//! plain one no guard is left. So each `lock` that unwinds is noted with its
//! goroutine, what that goroutine takes of the same lock afterwards is
//! counted, and the one unlock too many is passed over.

use super::notes;
use crate::goroutine_local::LocalKey;
use std::cell::RefCell;

/// Of the calling goroutine.
static LOST: LocalKey<RefCell<Vec<Lost>>> = LocalKey::__new(|| RefCell::new(Vec::new()));

/// One `lock` that unwound.
struct Lost {
    lock: Key,
    /// How often the goroutine has taken it since and not given it back.
    taken: usize,
}

/// Which lock.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key(usize);

impl Key {
    #[inline]
    pub(crate) fn of<L>(lock: &L) -> Self {
        Self(std::ptr::from_ref(lock) as usize)
    }
}

/// A `lock` of the caller's unwound.
pub(crate) fn note_unwound(lock: Key) {
    let lost = Lost { lock, taken: 0 };
    let _gone = LOST.try_with(|all| all.borrow_mut().push(lost));
}

/// The caller's goroutine has taken it.
pub(crate) fn note_taken(lock: Key) {
    if notes::are_for(notes::LOST) {
        count(lock, |lost| {
            lost.taken += 1;
            false
        });
    }
}

/// Before it is given back: whether the caller's guard has lost it, and is
/// not to give it back.
pub(crate) fn is_lost(lock: Key) -> bool {
    notes::are_for(notes::LOST)
        && count(lock, |lost| {
            let is_lost = lost.taken == 0;
            lost.taken = lost.taken.saturating_sub(1);
            is_lost
        })
}

/// Runs `f` on the last note of `lock`, which goes if `f` says so.
fn count(lock: Key, f: impl FnOnce(&mut Lost) -> bool) -> bool {
    let ends = LOST.try_with(|all| {
        let mut all = all.borrow_mut();
        let Some(at) = all.iter().rposition(|lost| lost.lock == lock) else {
            return false;
        };
        let ends = f(&mut all[at]);
        if ends {
            all.remove(at);
        }
        ends
    });
    ends.unwrap_or(false)
}
