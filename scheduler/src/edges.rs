//! Who waits for a descriptor in one direction, and the count of its edges.
//!
//! An operation is tried first; only when it would block does its caller
//! wait, for the next *edge*: a moment at which the system says that the
//! descriptor has become ready. Edges are counted before anybody is woken, and
//! a waiter stands in the list only while the count is still the one that it
//! read before it tried. So no edge falls between a try and its wait.
//!
//! A waiter is a call that parks, or a future that has returned: then its
//! waker stands there, to be called once.

#[cfg(not(raddle_model))]
use crate::clock;
#[cfg(raddle_model)]
use crate::model::{WOKEN, Wait, clock};
#[cfg(not(raddle_model))]
use crate::park::{WOKEN, Wait};
use crate::reason::Reason;
use crate::shim::{Acquire, AtomicU64, Mutex, Relaxed, Release};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

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
/// 4. A future stands in `waiters` once at most, under its key, and owns
///    nothing there but its waker: who takes it out calls that, or drops it,
///    without the lock, as it may be any code.
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
enum Waiting {
    Call(*const Wait),
    Future(u64, Waker),
}

// SAFETY: an address, used under the lock (invariant 2); wakers are `Send`.
unsafe impl Send for Waiting {}

impl Waiting {
    /// Claims its end. On `true` the caller owes `wake`, without the lock.
    ///
    /// # Safety
    /// 1. It has just been taken out, under the lock that is held still.
    unsafe fn settle(&self, outcome: u32) -> bool {
        match self {
            Self::Call(wait) => {
                // SAFETY: 1. by invariant 2 it is alive.
                unsafe { &**wait }.settle(outcome)
            }
            Self::Future(..) => true,
        }
    }

    /// Pays what `settle` owes.
    ///
    /// # Safety
    /// 1. `settle` said so.
    unsafe fn wake(self) {
        match self {
            Self::Call(wait) => {
                // SAFETY: 1. settled by the caller, who has taken it out.
                unsafe { Wait::unpark(wait) };
            }
            Self::Future(_, waker) => {
                // Nothing unwinds through the scheduler.
                let _panicked = catch_unwind(AssertUnwindSafe(|| waker.wake()));
            }
        }
    }

    fn is_future(&self, key: u64) -> bool {
        matches!(self, Self::Future(of, _) if *of == key)
    }
}

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
            // Nobody, or one: no list of who is to be woken.
            let Some(waiting) = waiters.pop() else {
                return;
            };
            // SAFETY: 1. just taken out.
            let is_ours = unsafe { waiting.settle(outcome) };
            drop(waiters);
            if is_ours {
                // SAFETY: 1. settled just now.
                unsafe { waiting.wake() };
            }
            return;
        }
        let mut ours = mem::take(&mut *waiters);
        // SAFETY: 1. all have just been taken out.
        ours.retain(|waiting| unsafe { waiting.settle(outcome) });
        drop(waiters);
        for waiting in ours {
            // SAFETY: 1. settled just now.
            unsafe { waiting.wake() };
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
            waiters.push(Waiting::Call(&raw const wait));
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

/// Futures, which wait by returning.
impl Edges {
    /// Lets `waker` be called at the first edge after the `seen`-th, and when
    /// the deadline changes; it takes the place of the one before of this
    /// `key`. `false`: there is an edge, or another deadline than `until`, and
    /// the caller is to look again.
    pub(crate) fn watch(&self, seen: u64, until: u64, key: u64, waker: &Waker) -> bool {
        let mut waker = waker.clone();
        let mut waiters = self.waiters.lock();
        // Under the lock, as in `wait`.
        let is_changed = self.count() != seen || self.deadline() != until;
        let mut standing = waiters.iter_mut().filter(|one| one.is_future(key));
        if is_changed {
            // One that stands there still is soon taken out for it.
        } else if let Some(Waiting::Future(_, old)) = standing.next() {
            mem::swap(old, &mut waker);
        } else {
            waiters.push(Waiting::Future(key, waker));
            return true;
        }
        drop(waiters);
        drop(waker);
        !is_changed
    }

    /// The future of this `key` waits no more.
    pub(crate) fn forget(&self, key: u64) {
        let mut waiters = self.waiters.lock();
        let place = waiters.iter().position(|one| one.is_future(key));
        let gone = place.map(|place| waiters.swap_remove(place));
        drop(waiters);
        drop(gone);
    }
}

/// Takes a wait out of the list, however it ends.
struct Leave<'a>(&'a Edges, &'a Wait);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        let mut waiters = self.0.waiters.lock();
        waiters.retain(|one| !matches!(one, Waiting::Call(wait) if std::ptr::eq(*wait, self.1)));
    }
}

#[cfg(all(test, raddle_model))]
mod models {
    use super::{Edges, NEVER};
    use crate::model::{clock, model, spawn};
    use crate::shim::{AtomicU64, Relaxed};
    // Not the checker's: that one aborts where a failing model is torn down.
    use std::sync::Arc;
    use std::task::{Wake, Waker};

    /// Counts the calls of a waker, and wakes who waits for one.
    struct Calls(Edges);

    impl Calls {
        fn waker() -> (Arc<Self>, Waker) {
            let calls = Arc::new(Self(Edges::new()));
            (calls.clone(), Waker::from(calls))
        }

        /// Waits for one more than `seen`.
        fn wait(&self, seen: u64) {
            assert!(self.0.wait(seen, NEVER));
        }
    }

    impl Wake for Calls {
        fn wake(self: Arc<Self>) {
            self.0.tell();
        }
    }

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

    impl Pipe {
        /// As `read`, by a future, as `Descriptor::poll` does; none: its
        /// waker is to be called.
        fn poll(&self, waker: &Waker) -> Option<u64> {
            loop {
                let until = self.edges.deadline();
                let seen = self.edges.count();
                if !self.edges.is_drained(seen) {
                    let bytes = self.bytes.swap(0, Relaxed);
                    if bytes > 0 {
                        self.edges.drained(seen);
                        return Some(bytes);
                    }
                }
                if self.edges.watch(seen, until, 7, waker) {
                    return None;
                }
            }
        }
    }

    #[test]
    fn no_edge_is_lost_to_a_future() {
        model(|| {
            let pipe = Pipe::new();
            let writer = spawn({
                let pipe = pipe.clone();
                move || {
                    pipe.write();
                    pipe.write();
                }
            });
            let (calls, waker) = Calls::waker();
            let mut read = 0;
            while read < 2 {
                let seen = calls.0.count();
                match pipe.poll(&waker) {
                    Some(bytes) => read += bytes,
                    None => calls.wait(seen),
                }
            }
            writer.join().unwrap();
        });
    }

    /// A future that is polled by another, with a waker of its own: the last
    /// waker is called, and the edge also wakes the call beside it.
    #[test]
    fn an_edge_wakes_the_last_waker_and_a_call() {
        model(|| {
            let edges = Arc::new(Edges::new());
            let (_old, old) = Calls::waker();
            let (calls, waker) = Calls::waker();
            assert!(edges.watch(0, NEVER, 7, &old));
            let call = spawn({
                let edges = edges.clone();
                move || assert!(edges.wait(0, NEVER))
            });
            let teller = spawn({
                let edges = edges.clone();
                move || edges.tell()
            });
            if edges.watch(0, NEVER, 7, &waker) {
                calls.wait(0);
            }
            teller.join().unwrap();
            call.join().unwrap();
        });
    }

    /// Once it has left, a future holds nothing back: its waker is gone.
    #[test]
    fn a_future_that_leaves_is_called_once_at_most() {
        model(|| {
            let edges = Arc::new(Edges::new());
            let (calls, waker) = Calls::waker();
            assert!(edges.watch(0, NEVER, 7, &waker));
            let teller = spawn({
                let edges = edges.clone();
                move || edges.tell()
            });
            edges.forget(7);
            teller.join().unwrap();
            assert!(calls.0.count() <= 1);
            assert!(edges.waiters.lock().is_empty());
            drop(waker);
            assert_eq!(Arc::strong_count(&calls), 1, "a waker is left");
        });
    }

    #[test]
    fn a_new_deadline_reaches_a_future() {
        model(|| {
            let edges = Arc::new(Edges::new());
            let (calls, waker) = Calls::waker();
            let setter = spawn({
                let edges = edges.clone();
                move || edges.set_deadline(clock::now())
            });
            let until = edges.deadline();
            if edges.watch(0, until, 7, &waker) && until == NEVER {
                calls.wait(0);
            }
            assert!(edges.is_late() || until == NEVER);
            setter.join().unwrap();
            assert!(edges.is_late());
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
