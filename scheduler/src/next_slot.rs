//! One place before a machine's queue, for what was made runnable last.
//!
//! A goroutine that has just been sent something runs best at once, where the
//! message is still in the cache: it goes here, and whoever was here goes to
//! the queue's end. Go calls the same slot `runnext`.

use crate::shim::{AcqRel, Acquire, AtomicPtr, Relaxed, Release};
use std::ptr::{self, NonNull};

/// Invariants
/// 1. Who puts a thing in owned it; who takes it out owns it. Whatever takes
///    one out exchanges the whole word, so a thing leaves once.
/// 2. Only the owner puts in; thieves take out by comparing with what they
///    saw. The same thing may come back in between (ABA): it is takeable
///    then as well, so that is no error.
#[derive(Debug)]
pub(crate) struct NextSlot<T>(AtomicPtr<T>);

impl<T> NextSlot<T> {
    pub(crate) fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// Puts `thing` in; gives back what was there.
    #[inline]
    pub(crate) fn put(&self, thing: NonNull<T>) -> Option<NonNull<T>> {
        // ORDER: Relaxed: the owner's own, or a thief's null.
        if self.0.load(Relaxed).is_null() {
            // Nobody else puts one in (invariant 2), so nothing is written
            // over.
            // ORDER: Release shows the thing to a thief.
            self.0.store(thing.as_ptr(), Release);
            return None;
        }
        // ORDER: Release shows the thing to a thief, Acquire is for a thing
        // that comes back; the owner's own need nothing.
        NonNull::new(self.0.swap(thing.as_ptr(), AcqRel))
    }

    /// The owner takes what is there.
    #[inline]
    pub(crate) fn take(&self) -> Option<NonNull<T>> {
        // ORDER: Relaxed: mostly empty; the swap decides.
        if self.0.load(Relaxed).is_null() {
            return None;
        }
        // ORDER: Acquire: as `steal`.
        NonNull::new(self.0.swap(ptr::null_mut(), Acquire))
    }

    /// What a thief sees; a name to compare by, not to be used.
    pub(crate) fn peek(&self) -> *mut T {
        // ORDER: Relaxed: `steal` decides.
        self.0.load(Relaxed)
    }

    /// A thief takes what it saw, if it is there still.
    pub(crate) fn steal(&self, seen: *mut T) -> Option<NonNull<T>> {
        let thing = NonNull::new(seen)?;
        // ORDER: Acquire pairs with `put`.
        self.0
            .compare_exchange(seen, ptr::null_mut(), Acquire, Relaxed)
            .ok()
            .map(|_| thing)
    }
}

#[cfg(all(test, raddle_model))]
mod models {
    use super::NextSlot;
    use crate::shim::model;
    use loom::sync::Arc;
    use loom::thread::spawn;
    use std::ptr::NonNull;

    fn thing(number: usize) -> NonNull<usize> {
        NonNull::from(Box::leak(Box::new(number)))
    }

    fn number(thing: NonNull<usize>) -> usize {
        // SAFETY: leaked by `thing`, owned by who took it.
        *unsafe { Box::from_raw(thing.as_ptr()) }
    }

    /// The owner puts two in and takes what it can while two thieves steal:
    /// each thing comes out exactly once.
    #[test]
    fn each_thing_leaves_once() {
        model(|| {
            let slot = Arc::new(NextSlot::new());
            let thieves = [(); 2].map(|()| {
                let slot = slot.clone();
                spawn(move || slot.steal(slot.peek()).map(number))
            });
            let mut seen = Vec::new();
            seen.extend(slot.put(thing(1)).map(number));
            seen.extend(slot.put(thing(2)).map(number));
            seen.extend(slot.take().map(number));
            for thief in thieves {
                seen.extend(thief.join().unwrap());
            }
            seen.extend(slot.take().map(number));
            seen.sort_unstable();
            assert_eq!(seen, [1, 2]);
        });
    }
}
