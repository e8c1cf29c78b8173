//! A machine's inbox: goroutines at home there, made runnable elsewhere.

use crate::shim::{Acquire, AtomicPtr, Relaxed, Release};
use std::ptr::{self, NonNull};

/// A thing that can be in one inbox at a time, linked through itself.
///
/// # Safety
/// 1. `link` gives the same place every time, inside the thing, and nobody
///    else uses it while the thing is in an inbox.
pub(crate) unsafe trait Linked: Sized {
    fn link(&self) -> &AtomicPtr<Self>;
}

/// Many push, one takes all.
///
/// Invariants
/// 1. Who pushes a thing owns it and gives it away; who takes the list owns
///    everything on it. There is no pop of one, so no ABA.
/// 2. A push that found the inbox empty, or not, is followed by the check of
///    `idle.rs` whether the owner sleeps; the owner looks here after it said
///    that it would sleep.
#[derive(Debug)]
pub(crate) struct Inbox<T> {
    head: AtomicPtr<T>,
}

impl<T: Linked> Inbox<T> {
    pub(crate) fn new() -> Self {
        Self {
            head: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// Whether there is nothing in it, as seen by its owner just now.
    pub(crate) fn is_empty(&self) -> bool {
        // ORDER: Relaxed: `take` synchronizes; before sleep a fence stands
        // between (idle.rs).
        self.head.load(Relaxed).is_null()
    }

    /// Puts `thing` in.
    ///
    /// # Safety
    /// 1. The caller owns `thing`, which stays alive until it is taken.
    pub(crate) unsafe fn push(&self, thing: NonNull<T>) {
        // ORDER: Relaxed: only compared below.
        let mut head = self.head.load(Relaxed);
        loop {
            // SAFETY: 1. it is alive, and ours until the exchange.
            let link = unsafe { thing.as_ref() }.link();
            // ORDER: Relaxed: published by the exchange.
            link.store(head, Relaxed);
            // ORDER: Release shows the thing and its link to `take`.
            match self
                .head
                .compare_exchange_weak(head, thing.as_ptr(), Release, Relaxed)
            {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }

    /// Takes all, oldest first. Owner only, for the order's sake.
    pub(crate) fn take(&self, mut each: impl FnMut(NonNull<T>)) {
        // ORDER: Acquire pairs with every `push` on the list: each was a
        // read-modify-write of the head, so the releases chain.
        let mut newest = self.head.swap(ptr::null_mut(), Acquire);
        let mut oldest = ptr::null_mut();
        while let Some(thing) = NonNull::new(newest) {
            // SAFETY: pushed, so alive and now ours (invariant 1).
            let link = unsafe { thing.as_ref() }.link();
            // ORDER: Relaxed: ours since the swap.
            newest = link.load(Relaxed);
            // ORDER: as above.
            link.store(oldest, Relaxed);
            oldest = thing.as_ptr();
        }
        while let Some(thing) = NonNull::new(oldest) {
            // SAFETY: as above; read before `each` gives the thing away.
            let link = unsafe { thing.as_ref() }.link();
            // ORDER: as above.
            oldest = link.load(Relaxed);
            each(thing);
        }
    }
}

#[cfg(all(test, raddle_model))]
mod models {
    use super::{Inbox, Linked};
    use crate::shim::{AtomicPtr, model};
    use loom::sync::Arc;
    use loom::thread::spawn;
    use std::ptr::{self, NonNull};

    struct Thing {
        number: usize,
        link: AtomicPtr<Thing>,
    }

    // SAFETY: 1. a field, used by nobody else.
    unsafe impl Linked for Thing {
        fn link(&self) -> &AtomicPtr<Self> {
            &self.link
        }
    }

    fn thing(number: usize) -> NonNull<Thing> {
        NonNull::from(Box::leak(Box::new(Thing {
            number,
            link: AtomicPtr::new(ptr::null_mut()),
        })))
    }

    fn take(inbox: &Inbox<Thing>) -> Vec<usize> {
        let mut seen = Vec::new();
        inbox.take(|thing| {
            // SAFETY: leaked by `thing`, and taken once.
            let thing = unsafe { Box::from_raw(thing.as_ptr()) };
            seen.push(thing.number);
        });
        seen
    }

    /// Two pushers of two against a taker: nothing lost, nothing twice, each
    /// pusher's order kept.
    #[test]
    fn everything_arrives_once_and_in_order() {
        model(|| {
            let inbox = Arc::new(Inbox::new());
            let pushers = [10, 20].map(|base| {
                let inbox = inbox.clone();
                spawn(move || {
                    for number in [base, base + 1] {
                        // SAFETY: 1. made here and given away.
                        unsafe { inbox.push(thing(number)) };
                    }
                })
            });
            let mut seen = take(&inbox);
            for pusher in pushers {
                pusher.join().unwrap();
            }
            seen.extend(take(&inbox));
            assert!(inbox.is_empty());
            for base in [10, 20] {
                let mine: Vec<_> = seen.iter().filter(|n| **n / 10 * 10 == base).collect();
                assert_eq!(mine, [&base, &(base + 1)]);
            }
            assert_eq!(seen.len(), 4);
        });
    }
}
