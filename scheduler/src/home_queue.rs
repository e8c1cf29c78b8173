//! Runnable goroutines at home on this machine, which alone may run them: the
//! one woken last, and a line linked through themselves.

use crate::inbox::Linked;
use crate::shim::Relaxed;
use std::cell::Cell;
use std::ptr::{self, NonNull};

/// Invariants
/// 1. The machine's thread alone uses it.
/// 2. Who puts a thing in owned it; who takes it out owns it. Things in it
///    stay alive.
#[derive(Debug)]
pub(crate) struct HomeQueue<T> {
    next: Cell<*mut T>,
    first: Cell<*mut T>,
    last: Cell<*mut T>,
}

impl<T: Linked> HomeQueue<T> {
    pub(crate) fn new() -> Self {
        Self {
            next: Cell::new(ptr::null_mut()),
            first: Cell::new(ptr::null_mut()),
            last: Cell::new(ptr::null_mut()),
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.next.get().is_null() && self.first.get().is_null()
    }

    /// To the end of the line.
    ///
    /// # Safety
    /// 1. The caller owns `thing`, which stays alive until it is taken.
    #[inline]
    pub(crate) unsafe fn push(&self, thing: NonNull<T>) {
        // SAFETY: 1.
        let link = unsafe { thing.as_ref() }.link();
        // ORDER: Relaxed: one thread; the inbox, which uses the link too,
        // orders by itself.
        link.store(ptr::null_mut(), Relaxed);
        // SAFETY: invariant 2.
        match unsafe { self.last.replace(thing.as_ptr()).as_ref() } {
            // ORDER: as above.
            Some(last) => last.link().store(thing.as_ptr(), Relaxed),
            None => self.first.set(thing.as_ptr()),
        }
    }

    /// Before the line; who stood there goes to its end.
    ///
    /// # Safety
    /// 1. As `push`.
    #[inline]
    pub(crate) unsafe fn put_next(&self, thing: NonNull<T>) {
        if let Some(earlier) = NonNull::new(self.next.replace(thing.as_ptr())) {
            // SAFETY: 1. invariant 2.
            unsafe { self.push(earlier) };
        }
    }

    /// The one woken last.
    #[inline]
    pub(crate) fn take_next(&self) -> Option<NonNull<T>> {
        NonNull::new(self.next.replace(ptr::null_mut()))
    }

    /// The first in line.
    #[inline]
    pub(crate) fn pop(&self) -> Option<NonNull<T>> {
        let first = NonNull::new(self.first.get())?;
        // SAFETY: invariant 2.
        let link = unsafe { first.as_ref() }.link();
        // ORDER: as in `push`.
        let second = link.load(Relaxed);
        self.first.set(second);
        if second.is_null() {
            self.last.set(ptr::null_mut());
        }
        Some(first)
    }
}

#[cfg(all(test, not(raddle_model)))]
mod tests {
    use super::HomeQueue;
    use crate::inbox::Linked;
    use crate::shim::AtomicPtr;
    use std::ptr::{self, NonNull};

    struct Thing(u32, AtomicPtr<Thing>);

    // SAFETY: 1. a field, used by nobody else.
    unsafe impl Linked for Thing {
        fn link(&self) -> &AtomicPtr<Self> {
            &self.1
        }
    }

    #[test]
    fn keeps_order_with_the_last_woken_first() {
        let things = [1, 2, 3, 4].map(|n| Thing(n, AtomicPtr::new(ptr::null_mut())));
        let [a, b, c, d] = [0, 1, 2, 3].map(|at| NonNull::from(&things[at]));
        // SAFETY: they are taken from things that live.
        let number = |thing: NonNull<Thing>| unsafe { thing.as_ref() }.0;
        let queue = HomeQueue::new();
        assert!(queue.is_empty() && queue.pop().is_none());
        for thing in [a, b] {
            // SAFETY: 1. it lives, and is in no queue.
            unsafe { queue.push(thing) };
        }
        for thing in [c, d] {
            // SAFETY: 1. it lives, and is in no queue.
            unsafe { queue.put_next(thing) };
        }
        assert!(!queue.is_empty());
        assert_eq!(queue.take_next().map(number), Some(4));
        assert_eq!(queue.take_next(), None);
        for expected in [1, 2, 3] {
            assert_eq!(queue.pop().map(number), Some(expected));
        }
        assert!(queue.is_empty());
        // SAFETY: 1. it lives, and is in no queue.
        unsafe { queue.push(a) };
        assert_eq!(queue.pop().map(number), Some(1));
    }
}
