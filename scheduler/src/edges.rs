//! Who waits for a descriptor in one direction, and the count of its edges.
//!
//! An operation is tried first; only when it would block does its caller
//! wait, for the next *edge*: a moment at which the system says that the
//! descriptor has become ready. Edges are counted before anybody is woken, and
//! a waiter stands in the list only while the count is still the one that it
//! read before it tried. So no edge falls between a try and its wait.

#[cfg(not(raddle_model))]
use crate::clock;
#[cfg(raddle_model)]
use crate::model::{WOKEN, Wait, clock};
#[cfg(not(raddle_model))]
use crate::park::{WOKEN, Wait};
use crate::reason::Reason;
use crate::shim::{Acquire, AtomicU64, Mutex, Relaxed, Release};

/// The end of time.
pub(crate) const NEVER: u64 = u64::MAX;

/// Look again: the deadline has changed.
const CHANGED: u32 = WOKEN + 1;

/// Invariants
/// 1. `count` grows before the waiters are woken for it.
/// 2. A wait in `waiters` is alive: its owner takes it out, under the lock,
///    before it leaves; who takes it out settles it under the lock and owes
///    the unpark.
/// 3. `deadline` changes before the waiters are woken for it.
#[derive(Debug)]
pub(crate) struct Edges {
    count: AtomicU64,
    /// There was nothing more at this count.
    drained_at: AtomicU64,
    /// Of all calls, nanoseconds of `clock::now`.
    deadline: AtomicU64,
    waiters: Mutex<Vec<Waiting>>,
}

#[derive(Debug)]
struct Waiting(*const Wait);

// SAFETY: an address, used under the lock (invariant 2).
unsafe impl Send for Waiting {}

impl Edges {
    pub(crate) fn new() -> Self {
        Self {
            count: AtomicU64::new(0),
            drained_at: AtomicU64::new(NEVER),
            deadline: AtomicU64::new(NEVER),
            waiters: Mutex::new(Vec::new()),
        }
    }

    /// For another descriptor. The count goes on: edges of the last one that
    /// come late do no harm.
    pub(crate) fn reset(&self) {
        // ORDER: Relaxed, both: nobody else has it.
        self.drained_at.store(NEVER, Relaxed);
        self.deadline.store(NEVER, Relaxed);
    }

    /// The system says that it is ready.
    pub(crate) fn tell(&self) {
        // ORDER: Release pairs with `count`, read by who tries.
        self.count.fetch_add(1, Release);
        self.wake_all(WOKEN);
    }

    pub(crate) fn count(&self) -> u64 {
        // ORDER: Acquire pairs with `tell`.
        self.count.load(Acquire)
    }

    /// Nothing was left when the count was `seen`.
    pub(crate) fn drained(&self, seen: u64) {
        // ORDER: Relaxed: a stale value costs a try, and no value keeps
        // anybody from trying once the count has grown.
        self.drained_at.store(seen, Relaxed);
    }

    pub(crate) fn is_drained(&self, seen: u64) -> bool {
        // ORDER: Relaxed: as `drained`.
        self.drained_at.load(Relaxed) == seen
    }

    /// Calls fail after `deadline`, those too that wait already.
    pub(crate) fn set_deadline(&self, deadline: u64) {
        // ORDER: Release pairs with `deadline`.
        self.deadline.store(deadline, Release);
        self.wake_all(CHANGED);
    }

    pub(crate) fn deadline(&self) -> u64 {
        // ORDER: Acquire pairs with `set_deadline`.
        self.deadline.load(Acquire)
    }

    pub(crate) fn is_late(&self) -> bool {
        let deadline = self.deadline();
        deadline != NEVER && deadline <= clock::now()
    }

    /// Wakes all who wait now. Those who come meanwhile have seen the change.
    fn wake_all(&self, outcome: u32) {
        let mut waiters = self.waiters.lock();
        if waiters.len() <= 1 {
            // Nobody, or one: no list of who is to be unparked.
            let Some(Waiting(wait)) = waiters.pop() else {
                return;
            };
            // SAFETY: invariant 2.
            let is_ours = unsafe { &*wait }.settle(outcome);
            drop(waiters);
            if is_ours {
                // SAFETY: 1. settled just now.
                unsafe { Wait::unpark(wait) };
            }
            return;
        }
        let mut ours = std::mem::take(&mut *waiters);
        // SAFETY: invariant 2.
        ours.retain(|Waiting(wait)| unsafe { &**wait }.settle(outcome));
        drop(waiters);
        for Waiting(wait) in ours {
            // SAFETY: 1. settled just now.
            unsafe { Wait::unpark(wait) };
        }
    }

    /// Waits for an edge after the `seen`-th. `false`: too late.
    pub(crate) fn wait(&self, seen: u64, deadline: u64) -> bool {
        loop {
            let until = deadline.min(self.deadline());
            let wait = Wait::new();
            let mut waiters = self.waiters.lock();
            // Under the lock, both: who changes them takes it afterwards and
            // finds us in the list.
            if self.count() != seen {
                return true;
            }
            if deadline.min(self.deadline()) != until {
                continue;
            }
            waiters.push(Waiting(&raw const wait));
            drop(waiters);
            let leave = Leave(self, &wait);
            let outcome = wait.park(Reason::IoWait, (until != NEVER).then_some(until));
            drop(leave);
            match outcome {
                WOKEN => return true,
                CHANGED => {}
                _ => return false,
            }
        }
    }
}

/// Takes a wait out of the list, however it ends.
struct Leave<'a>(&'a Edges, &'a Wait);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        let mut waiters = self.0.waiters.lock();
        waiters.retain(|Waiting(wait)| !std::ptr::eq(*wait, self.1));
    }
}

#[cfg(all(test, raddle_model))]
mod models {
    use super::{Edges, NEVER};
    use crate::model::{clock, model, spawn};
    use crate::shim::{AtomicU64, Relaxed};
    // Not the checker's: that one aborts where a failing model is torn down.
    use std::sync::Arc;

    /// A pipe: what is in it, and its edges.
    struct Pipe {
        bytes: AtomicU64,
        edges: Edges,
    }

    impl Pipe {
        fn new() -> Arc<Self> {
            Arc::new(Self {
                bytes: AtomicU64::new(0),
                edges: Edges::new(),
            })
        }

        fn write(&self) {
            self.bytes.fetch_add(1, Relaxed);
            self.edges.tell();
        }

        /// Reads what is there, as `Descriptor::run` does; 0: too late.
        fn read(&self, deadline: u64) -> u64 {
            loop {
                let seen = self.edges.count();
                if !self.edges.is_drained(seen) {
                    let bytes = self.bytes.swap(0, Relaxed);
                    if bytes > 0 {
                        self.edges.drained(seen);
                        return bytes;
                    }
                }
                if !self.edges.wait(seen, deadline) {
                    return 0;
                }
            }
        }
    }

    /// Each write may come between the reader's look and its wait, also
    /// between a read that left nothing and the note of it.
    #[test]
    fn no_edge_is_lost() {
        model(|| {
            let pipe = Pipe::new();
            let writer = spawn({
                let pipe = pipe.clone();
                move || {
                    pipe.write();
                    pipe.write();
                }
            });
            let mut read = 0;
            while read < 2 {
                read += pipe.read(NEVER);
            }
            writer.join().unwrap();
        });
    }

    #[test]
    fn an_edge_wakes_all_who_wait() {
        model(|| {
            let edges = Arc::new(Edges::new());
            let waiters = [(); 2].map(|()| {
                let edges = edges.clone();
                spawn(move || assert!(edges.wait(0, NEVER)))
            });
            edges.tell();
            for waiter in waiters {
                waiter.join().unwrap();
            }
        });
    }

    /// A wait whose time is over leaves the list before anybody else finds
    /// it there.
    #[test]
    fn a_wait_that_is_too_late_is_not_touched() {
        model(|| {
            let edges = Arc::new(Edges::new());
            let waiters = [clock::now() + 1, NEVER].map(|deadline| {
                let edges = edges.clone();
                spawn(move || edges.wait(0, deadline))
            });
            edges.tell();
            let [_either, woken] = waiters.map(|waiter| waiter.join().unwrap());
            assert!(woken);
        });
    }

    #[test]
    fn a_new_deadline_reaches_who_waits() {
        model(|| {
            let edges = Arc::new(Edges::new());
            let setter = spawn({
                let edges = edges.clone();
                move || edges.set_deadline(clock::now())
            });
            assert!(!edges.wait(0, NEVER));
            setter.join().unwrap();
        });
    }
}
