//! What crates above need to model their own protocols: the model checker's
//! atomics and locks, and a stand-in of `park.rs` that blocks its threads.
//!
//! Under `--cfg raddle_model` this is the surface of the crate, and a crate's
//! own `shim.rs` takes its names from here. What the stand-in keeps to, so
//! that a protocol proved on it holds on the real one:
//!
//! - A [`Wait`] ends as in `park.rs`: of its rivals one settles it, and the
//!   waiter does not return before the unpark of that one.
//! - Whoever uses a wait after its waiter has left it, or may have left it,
//!   fails the model, as a data race would.
//! - A park that nobody ends is a deadlock, which the checker reports.
//! - A deadline may pass at any moment of the park, whatever the clock says:
//!   the waiter claims its own wait as soon as it parks. Where it loses, the
//!   wake came first; where it wins, the timer did; and the checker tries
//!   every moment for it. A timer's thread of its own would add orders of
//!   the same outcomes, and there are only five threads to a model. The end
//!   of time ([`u64::MAX`]) never comes.
//! - The clock stands still until a test moves it (`clock::set`).
//! - There is no shutdown. To the queue that a waiter leaves it is a deadline.

pub use crate::reason::Reason;
pub use crate::shim::{Mutex, MutexGuard};
pub use loom;
pub use loom::sync::Arc;
pub use loom::sync::atomic::{
    AtomicBool, AtomicIsize, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, fence,
};
pub use loom::thread::spawn;
pub use std::sync::atomic::Ordering;

use crate::shim::{AcqRel, Acquire};
use loom::cell::UnsafeCell;

/// Runs `f` under the model checker, in every order of its threads with up
/// to three preemptions (or as many as `LOOM_MAX_PREEMPTIONS` says).
pub fn model(f: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    if builder.preemption_bound.is_none() {
        builder.preemption_bound = Some(3);
    }
    builder.check(move || {
        clock::set(clock::BEGIN);
        f();
    });
}

/// The end of a slice does not come.
pub fn checkpoint() {}

/// As `checkpoint`, and says who calls.
#[must_use]
pub fn checkpoint_as() -> Option<Parker> {
    Some(Parker::current())
}

/// A clock that stands still until a test moves it.
pub mod clock {
    use std::cell::Cell;
    use std::time::Duration;

    /// The time at which each run of a model begins.
    pub const BEGIN: u64 = 1_000_000_000;

    std::thread_local! {
        // Of the OS thread, on which all threads of a model run: what it
        // shows is no part of the orders that are tried.
        static NOW: Cell<u64> = const { Cell::new(BEGIN) };
    }

    /// Nanoseconds now.
    #[must_use]
    pub fn now() -> u64 {
        NOW.get()
    }

    /// The moment `timeout` from now; the last one when that is too far.
    #[must_use]
    pub fn after(timeout: Duration) -> u64 {
        let nanos = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
        now().saturating_add(nanos).min(u64::MAX - 1)
    }

    /// Moves the clock, for all threads of the model.
    pub fn set(nanos: u64) {
        NOW.set(nanos);
    }
}

/// Whom to wake: a thread of the model, as one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parker(usize);

impl Parker {
    /// The calling thread.
    #[must_use]
    pub fn current() -> Self {
        IDENTITY.with(|identity| Self(std::sync::Arc::as_ptr(identity) as usize))
    }

    fn identity(&self) -> std::sync::Arc<Identity> {
        let identity = self.0 as *const Identity;
        // SAFETY: it waits for this call, or makes it, so it is alive.
        unsafe { std::sync::Arc::increment_strong_count(identity) };
        // SAFETY: the count just added.
        unsafe { std::sync::Arc::from_raw(identity) }
    }
}

/// Blocks by a condition, not by the checker's park: an unpark there also
/// frees a thread that waits for a lock.
#[derive(Debug)]
struct Identity {
    is_called: loom::sync::Mutex<bool>,
    call: loom::sync::Condvar,
}

loom::thread_local! {
    static IDENTITY: std::sync::Arc<Identity> = std::sync::Arc::new(Identity {
        is_called: loom::sync::Mutex::new(false),
        call: loom::sync::Condvar::new(),
    });
}

impl Identity {
    fn wake(&self) {
        let mut is_called = self.is_called.lock().unwrap();
        *is_called = true;
        self.call.notify_one();
    }

    fn wait(&self) {
        let mut is_called = self.is_called.lock().unwrap();
        while !std::mem::take(&mut *is_called) {
            is_called = self.call.wait(is_called).unwrap();
        }
    }
}

/// The outcome of a wait that its deadline ended.
pub const TIMED_OUT: u32 = 1;
/// The first outcome that is the waker's to choose.
pub const WOKEN: u32 = 3;

/// One wait of one thread of the model, ended by one of its rivals.
#[derive(Debug)]
pub struct Wait {
    settled: AtomicU32,
    parker: Parker,
    /// Read by every use, written by the end: a use that is not ordered
    /// before the end is a data race.
    life: UnsafeCell<()>,
}

impl Wait {
    /// A wait of the calling thread, which alone may park on it.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it belongs to who calls")]
    pub fn new() -> Self {
        Self {
            settled: AtomicU32::new(0),
            parker: Parker::current(),
            life: UnsafeCell::new(()),
        }
    }

    /// Claims the end of the wait for `outcome`, not 0. On `true` the caller
    /// owes [`Wait::unpark`].
    #[must_use]
    pub fn settle(&self, outcome: u32) -> bool {
        self.is_used();
        // ORDER: AcqRel: the winner's writes are seen with the outcome.
        self.settled
            .compare_exchange(0, outcome, AcqRel, Acquire)
            .is_ok()
    }

    /// Pays what a won `settle` owes.
    ///
    /// # Safety
    /// 1. The caller won `settle`, and calls this once. The wait may be gone
    ///    when this returns.
    pub unsafe fn unpark(this: *const Self) {
        // SAFETY: 1. it waits for this call.
        let this = unsafe { &*this };
        this.is_used();
        this.parker.identity().wake();
    }

    /// Whether somebody has settled it.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.is_used();
        // ORDER: Acquire pairs with `settle`.
        self.settled.load(Acquire) != 0
    }

    /// Waits until it is settled, or until `deadline` passes, which may be at
    /// once, and returns the outcome.
    pub fn park(&self, _reason: Reason, deadline: Option<u64>) -> u32 {
        assert_eq!(self.parker, Parker::current(), "a wait of another's");
        let may_pass = deadline.is_some_and(|deadline| deadline != u64::MAX);
        if may_pass && self.settle(TIMED_OUT) {
            return TIMED_OUT;
        }
        self.parker.identity().wait();
        // ORDER: Acquire pairs with `settle`.
        let outcome = self.settled.load(Acquire);
        assert_ne!(outcome, 0, "a wake of another wait ended this one");
        outcome
    }

    /// As `park` without a deadline.
    ///
    /// # Safety
    /// 1. The thread that made the wait calls.
    pub unsafe fn park_own(&self, reason: Reason) -> u32 {
        self.park(reason, None)
    }

    /// As `park`, for whoever must not leave before its wakers.
    pub fn park_firmly(&self, reason: Reason) -> u32 {
        self.park(reason, None)
    }

    fn is_used(&self) {
        self.life.with(|_| ());
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.life.with_mut(|_| ());
        }
    }
}

/// One wait of one thread of the model in one queue, which ends when somebody
/// takes it out.
#[derive(Clone, Copy, Debug)]
pub struct Bare(Parker);

impl Bare {
    /// A wait of `me`.
    #[must_use]
    pub fn of(me: Parker) -> Option<Self> {
        Some(Self(me))
    }

    /// As an address, which is a multiple of 4.
    #[must_use]
    pub fn to_address(self) -> *mut () {
        self.0.0 as *mut ()
    }

    /// # Safety
    /// 1. `to_address` gave it.
    #[must_use]
    pub unsafe fn from_address(address: *mut ()) -> Self {
        Self(Parker(address as usize))
    }

    /// Nothing is far away in a model.
    pub fn foresee(self, _me: Option<Parker>, _near: *const (), _channel: *const ()) {}

    /// Pays what taking it out owes.
    ///
    /// # Safety
    /// 1. The caller took it out of its queue, under the lock, for this wait,
    ///    and calls this once.
    pub unsafe fn unpark(self) {
        self.0.identity().wake();
    }

    /// Waits until somebody calls `unpark`. Nobody is asked to `leave`: a test
    /// that wants it does so before it parks, which the checker tries at
    /// every moment.
    ///
    /// # Safety
    /// 1. The thread whose wait it is calls.
    pub unsafe fn park(self, _reason: Reason, _leave: &dyn Fn() -> bool) {
        assert_eq!(self.0, Parker::current(), "a wait of another's");
        self.0.identity().wait();
    }
}

#[cfg(test)]
mod models {
    use super::{Mutex, Reason, TIMED_OUT, WOKEN, Wait, clock, model, spawn};
    // Not the checker's: that one aborts where a failing model is torn down.
    use std::sync::Arc;
    use std::time::Duration;

    /// A place where one waiter can be reached, under a lock.
    #[derive(Default)]
    struct Place(Mutex<Option<Reached>>);

    #[derive(Clone, Copy)]
    struct Reached(*const Wait);

    // SAFETY: an address, used while the wait is there.
    unsafe impl Send for Reached {}

    impl Place {
        /// Wakes who waits here, if anybody does. `then` runs in between.
        fn wake(&self, then: impl FnOnce()) -> bool {
            let Some(Reached(wait)) = self.0.lock().take() else {
                return false;
            };
            // SAFETY: the checker is what proves it.
            let wait = unsafe { &*wait };
            if !wait.settle(WOKEN) {
                return false;
            }
            then();
            // SAFETY: 1. just settled, and woken once.
            unsafe { Wait::unpark(wait) };
            true
        }

        fn wait(&self, deadline: Option<u64>) -> u32 {
            let wait = Wait::new();
            *self.0.lock() = Some(Reached(&raw const wait));
            let outcome = wait.park(Reason::Park, deadline);
            *self.0.lock() = None;
            outcome
        }
    }

    #[test]
    fn a_wait_ends_by_its_waker() {
        model(|| {
            let place = Arc::new(Place::default());
            let waker = spawn({
                let place = place.clone();
                move || {
                    while !place.wake(|| ()) {
                        loom::thread::yield_now();
                    }
                }
            });
            assert_eq!(place.wait(None), WOKEN);
            assert_eq!(place.wait(Some(clock::now())), TIMED_OUT, "nobody is left");
            waker.join().unwrap();
        });
    }

    /// A waker that uses the wait outside the lock, before it has claimed it,
    /// meets one that has timed out and gone.
    #[test]
    #[should_panic]
    fn a_wait_used_after_its_end_is_found() {
        model(|| {
            let place = Arc::new(Place::default());
            let waker = spawn({
                let place = place.clone();
                move || place.wake(|| ())
            });
            let _either = place.wait(Some(clock::after(Duration::from_secs(1))));
            waker.join().unwrap();
        });
    }

    #[test]
    #[should_panic(expected = "deadlock")]
    fn a_lost_wake_is_found() {
        model(|| {
            let place = Arc::new(Place::default());
            let waker = spawn({
                let place = place.clone();
                move || place.wake(|| ())
            });
            assert_eq!(place.wait(Some(u64::MAX)), WOKEN);
            waker.join().unwrap();
        });
    }
}
