//! Who sleeps, who searches, whom to call: known nowhere else.
//!
//! Two races of the kind store-then-load decide here, one a word:
//!
//! **Work against the last look round** ([`Census`]). A producer pushes work
//! and then asks whether anybody must be called; a machine that found nothing
//! gives up its processor, which the census shows, and then looks at every
//! queue once more. Both put a `SeqCst` fence between store and load. Of two
//! such fences one is first: if the producer's, the machine's second look
//! sees the work; if the machine's, the producer sees a free processor and
//! nobody searching, and calls. Either is enough, both may happen.
//!
//! **A letter against its owner's sleep** ([`Sleep`]). Who puts a goroutine
//! into a machine's inbox then asks whether that machine sleeps; the machine
//! writes that it sleeps and then looks into its inbox. Fences as above.
//!
//! A machine that searches promises to look at all queues after it stops
//! searching and before it sleeps, so a producer may leave new work to it.
//! What it leaves to the producer all the same, as it is not worth a thief's
//! while, the monitor looks at again (`find_work::sees_work`).
//! The last searcher that finds work asks whether there is more and calls
//! the next: so a burst wakes machines one by one, each wake paid for by
//! work that was really there.

use crate::shim::{AcqRel, Acquire, AtomicU32, Relaxed, SeqCst, fence};

const SEARCHING: u32 = 1;
const FREE: u32 = 1 << 16;

/// How many processors are free and how many machines search, in one word.
#[derive(Debug)]
pub(crate) struct Census(AtomicU32);

impl Census {
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// Whether new work should call a machine, as a hint: one load, no
    /// fence. The monitor mends what the hint misses.
    #[inline]
    pub(crate) fn looks_callable(&self) -> bool {
        // ORDER: Relaxed: a hint.
        callable(self.0.load(Relaxed))
    }

    /// Whether some processor is free, as a hint.
    #[inline]
    pub(crate) fn looks_free(&self) -> bool {
        // ORDER: Relaxed: a hint.
        self.0.load(Relaxed) >= FREE
    }

    /// After a push: claims the right to call a machine. On `true` the
    /// caller must call one, which counts as searching from here on, or take
    /// the claim back by `stop_searching`.
    #[must_use]
    pub(crate) fn claim_call(&self) -> bool {
        // ORDER: the fence of "work against the last look round": the push
        // comes before the load.
        fence(SeqCst);
        // ORDER: Relaxed: ordered by the fence.
        let mut now = self.0.load(Relaxed);
        while callable(now) {
            // ORDER: AcqRel: the called machine goes on from here.
            match self
                .0
                .compare_exchange_weak(now, now + SEARCHING, AcqRel, Relaxed)
            {
                Ok(_) => return true,
                Err(other) => now = other,
            }
        }
        false
    }

    /// A machine with a processor starts to search, unless half as many
    /// search already as are busy.
    #[must_use]
    pub(crate) fn start_searching(&self, processors: usize) -> bool {
        // ORDER: Relaxed: a limit, not a promise.
        let mut now = self.0.load(Relaxed);
        loop {
            let busy = processors.saturating_sub((now >> 16) as usize);
            if 2 * (now & 0xffff) as usize >= busy.max(1) {
                return false;
            }
            // ORDER: AcqRel: work pushed by who counts on us is seen.
            match self
                .0
                .compare_exchange_weak(now, now + SEARCHING, AcqRel, Relaxed)
            {
                Ok(_) => return true,
                Err(other) => now = other,
            }
        }
    }

    /// A machine that is being called counts as searching, whatever the
    /// limit.
    pub(crate) fn count_searching(&self) {
        // ORDER: AcqRel: as `start_searching`.
        self.0.fetch_add(SEARCHING, AcqRel);
    }

    /// How many processors are free, as a hint.
    pub(crate) fn free_now(&self) -> usize {
        // ORDER: Relaxed: a hint.
        (self.0.load(Relaxed) >> 16) as usize
    }

    #[cfg(all(test, raddle_model))]
    pub(crate) fn searching_now(&self) -> u32 {
        // ORDER: Relaxed: asked when all is quiet.
        self.0.load(Relaxed) & 0xffff
    }

    /// Ends a search. `true`: it was the last one.
    pub(crate) fn stop_searching(&self) -> bool {
        // ORDER: AcqRel: as the start; the caller's fence follows where it
        // goes on to sleep or to call.
        let was = self.0.fetch_sub(SEARCHING, AcqRel);
        debug_assert!(was & 0xffff != 0, "stopped a search that never began");
        was & 0xffff == 1
    }

    /// The number of free processors changed; under the lock of the book.
    pub(crate) fn set_free(&self, was: usize, is: usize) {
        let (was, is) = (field(was), field(is));
        // ORDER: AcqRel; who gives a processor up has a fence of its own
        // before the second look (`before_second_look`).
        if is > was {
            self.0.fetch_add((is - was) * FREE, AcqRel);
        } else if was > is {
            // ORDER: as above.
            self.0.fetch_sub((was - is) * FREE, AcqRel);
        }
    }

    /// Stands between giving a processor up and the second look.
    pub(crate) fn before_second_look() {
        // ORDER: the other fence of both races in the head of this file.
        fence(SeqCst);
    }
}

fn callable(census: u32) -> bool {
    census >= FREE && census & 0xffff == 0
}

fn field(processors: usize) -> u32 {
    u32::try_from(processors.min(0x7fff)).unwrap_or(0x7fff)
}

const AWAKE: u32 = 0;
const ASLEEP: u32 = 1;
const POLLING: u32 = 2;
const CALLED: u32 = 3;

/// How a machine that sleeps is woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bed {
    /// On its own word.
    Word,
    /// In the netpoller.
    Poll,
}

/// One machine's sleep.
///
/// Invariants
/// 1. Only the owner writes `Awake`, `Asleep`, `Polling`; others write
///    `Called`.
/// 2. Who changes `Asleep` or `Polling` to `Called` wakes the thread, once.
/// 3. A call before the sleep is kept: the owner finds `Called` and does not
///    sleep.
#[derive(Debug)]
pub(crate) struct Sleep(AtomicU32);

impl Sleep {
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(AWAKE))
    }

    /// The owner says that it will sleep. On `false` it was called already.
    /// The second look follows, then the sleep itself.
    #[must_use]
    pub(crate) fn announce(&self, bed: Bed) -> bool {
        let to = match bed {
            Bed::Word => ASLEEP,
            Bed::Poll => POLLING,
        };
        // ORDER: Acquire on failure pairs with `call`. The fence of the
        // second look follows.
        self.0.compare_exchange(AWAKE, to, Relaxed, Acquire).is_ok()
    }

    /// Whether a call came; for the loop around a sleep that may end early.
    pub(crate) fn is_called(&self) -> bool {
        // ORDER: Acquire pairs with `call`.
        self.0.load(Acquire) == CALLED
    }

    /// The owner is up again, however it came. `true`: it was called.
    pub(crate) fn wake_up(&self) -> bool {
        // ORDER: AcqRel: what the caller wrote before its call is seen.
        self.0.swap(AWAKE, AcqRel) == CALLED
    }

    /// Whether the owner sleeps or is about to, after something was put
    /// where it will look.
    pub(crate) fn needs_call(&self) -> bool {
        // ORDER: the fence of "a letter against its owner's sleep".
        fence(SeqCst);
        // ORDER: Relaxed: ordered by the fence.
        matches!(self.0.load(Relaxed), ASLEEP | POLLING)
    }

    /// Ends the sleep, or the next one. On `Some` the caller must wake the
    /// thread, which lies there.
    #[must_use]
    pub(crate) fn call(&self) -> Option<Bed> {
        // ORDER: AcqRel: shows the caller's writes to the owner.
        match self.0.swap(CALLED, AcqRel) {
            ASLEEP => Some(Bed::Word),
            POLLING => Some(Bed::Poll),
            _ => None,
        }
    }
}

#[cfg(all(test, raddle_model))]
mod models {
    use super::{Bed, Census, Sleep};
    use crate::shim::{AtomicUsize, Relaxed, model};
    use loom::sync::Arc;
    use loom::thread::spawn;

    /// One free processor appears while work is pushed: the work is seen by
    /// the second look, or its producer calls; never neither.
    #[test]
    fn work_is_not_slept_over() {
        model(|| {
            let census = Arc::new(Census::new());
            let queue = Arc::new(AtomicUsize::new(0));
            let producer = spawn({
                let (census, queue) = (census.clone(), queue.clone());
                move || {
                    queue.store(1, Relaxed);
                    census.claim_call()
                }
            });
            census.set_free(0, 1);
            Census::before_second_look();
            let seen = queue.load(Relaxed) == 1;
            let called = producer.join().unwrap();
            assert!(seen || called);
        });
    }

    /// The only searcher gives up while two producers push: one of the
    /// three finds the work or is told of it.
    #[test]
    fn a_searcher_that_gives_up_looks_again() {
        model(|| {
            let census = Arc::new(Census::new());
            census.set_free(0, 1);
            assert!(census.start_searching(2));
            let queue = Arc::new(AtomicUsize::new(0));
            let producers = [(); 2].map(|()| {
                let (census, queue) = (census.clone(), queue.clone());
                spawn(move || {
                    queue.fetch_add(1, Relaxed);
                    census.claim_call()
                })
            });
            census.stop_searching();
            Census::before_second_look();
            let seen = queue.load(Relaxed) > 0;
            let called = producers.map(|p| p.join().unwrap());
            assert!(seen || called.contains(&true));
            assert_ne!(called, [true, true], "one call, the other is served by it");
        });
    }

    /// A letter is put into the box while its owner goes to sleep: it is
    /// read before the sleep, or the owner is woken, once.
    #[test]
    fn a_letter_is_not_slept_over() {
        model(|| {
            let sleep = Arc::new(Sleep::new());
            let letters = Arc::new(AtomicUsize::new(0));
            let senders = [(); 2].map(|()| {
                let (sleep, letters) = (sleep.clone(), letters.clone());
                spawn(move || {
                    letters.fetch_add(1, Relaxed);
                    sleep.needs_call() && sleep.call().is_some()
                })
            });
            let lies_down = sleep.announce(Bed::Word);
            Census::before_second_look();
            let read = letters.load(Relaxed);
            let woke = senders.map(|s| s.join().unwrap());
            assert_ne!(woke, [true, true]);
            assert!(lies_down || sleep.is_called());
            if lies_down && read < 2 {
                assert!(sleep.is_called(), "a letter lies unread beside a sleeper");
            }
        });
    }
}
