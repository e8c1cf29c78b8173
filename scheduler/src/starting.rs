//! Goroutines that may still come by themselves, while a scheduler ends.
//!
//! Whoever is about to spawn one says so, and then asks whether the scheduler
//! is doomed; shutdown dooms it, and then asks who is about to spawn.

use crate::shim::{Acquire, AtomicUsize, Relaxed, Release, SeqCst, fence};

/// How many are about to spawn.
pub(crate) struct Starts(AtomicUsize);

/// One of them, until it is dropped.
pub(crate) struct Starting<'a>(&'a Starts);

impl Starts {
    pub(crate) fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    /// Says so. The look at the doom follows.
    pub(crate) fn begin(&self) -> Starting<'_> {
        // ORDER: Relaxed: by the fence, which pairs with that of `may_come`:
        // either shutdown sees the count, or we see the doom.
        self.0.fetch_add(1, Relaxed);
        fence(SeqCst);
        Starting(self)
    }

    /// Whether somebody may spawn who has not seen the doom. On `false`, what
    /// others spawned has been counted.
    pub(crate) fn may_come(&self) -> bool {
        // ORDER: between the doom and the look.
        fence(SeqCst);
        // ORDER: Acquire pairs with the end of a `Starting`.
        self.0.load(Acquire) > 0
    }
}

impl Drop for Starting<'_> {
    fn drop(&mut self) {
        // ORDER: Release: who sees it sees what was spawned.
        self.0.0.fetch_sub(1, Release);
    }
}

#[cfg(all(test, raddle_model))]
mod models {
    use super::Starts;
    use crate::shim::{Acquire, AtomicBool, AtomicUsize, Relaxed, Release, model};
    use loom::sync::Arc;
    use loom::thread::spawn;

    /// Two spawn unless it is too late: shutdown counts those who do.
    #[test]
    fn nobody_comes_after_the_last_was_counted() {
        model(|| {
            let shared = Arc::new((Starts::new(), AtomicBool::new(false), AtomicUsize::new(0)));
            let spawners = [(); 2].map(|()| {
                let shared = shared.clone();
                spawn(move || {
                    let (starts, doomed, spawned) = &*shared;
                    let _starting = starts.begin();
                    if !doomed.load(Acquire) {
                        spawned.fetch_add(1, Relaxed);
                    }
                })
            });
            let (starts, doomed, spawned) = &*shared;
            doomed.store(true, Release);
            let counted = (!starts.may_come()).then(|| spawned.load(Relaxed));
            for spawner in spawners {
                spawner.join().unwrap();
            }
            if let Some(counted) = counted {
                assert_eq!(counted, spawned.load(Relaxed));
            }
        });
    }
}
