//! Waiting for what another does under the same lock.

use super::held::{Kind, Lent, Mode, Site};
#[cfg(not(raddle_model))]
use super::mutex::MutexGuard;
use super::raw_mutex::RawMutex;
use super::wait_queue::{Entry, Until, WaitQueue, Waiters, wait_after};
use crate::shim::{Mutex, Reason, WOKEN, checkpoint};
#[cfg(not(raddle_model))]
use raddle_scheduler::clock;
use std::fmt;
use std::panic::Location;
use std::ptr;
#[cfg(not(raddle_model))]
use std::time::{Duration, Instant};

/// Waits, with a [`Mutex`](super::Mutex) given up meanwhile, until another
/// notifies. The methods are parking_lot's.
///
/// Who came first is notified first, and nobody comes back without a
/// notification: `wait` has no spurious wake-ups. What was waited for may
/// still be gone again, since others may take the lock first; `wait_while`
/// looks again.
///
/// # Blocking
/// `wait` and its kin park, first for the notification, then for the lock; on
/// a plain OS thread they block the thread. Notifying never blocks.
///
/// # Panics
/// `wait` and its kin, while others wait with another mutex. Once nobody
/// waits it may be used with another.
///
/// # Examples
/// ```
/// use raddle::go;
/// use raddle::sync::{Condvar, Mutex};
/// use std::sync::Arc;
///
/// raddle::run(|| {
///     let shared = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
///     let other = shared.clone();
///     go!(move || {
///         let (words, came) = &*other;
///         words.lock().push("weft");
///         came.notify_one();
///     });
///     let (words, came) = &*shared;
///     let mut words = words.lock();
///     came.wait_while(&mut words, |words| words.is_empty());
///     assert_eq!(*words, ["weft"]);
/// });
/// ```
///
/// # Go
/// `sync.Cond`: `Signal` is `notify_one`, `Broadcast` is `notify_all`. The
/// lock is not kept in it, but given to each `wait`.
pub struct Condvar {
    waiters: Mutex<Line>,
}

/// Who waits, and with which lock.
///
/// Invariants
/// 1. All in the queue have given up the lock at the address `of`.
struct Line {
    queue: WaitQueue,
    of: usize,
}

impl Line {
    const fn new() -> Self {
        Self {
            queue: WaitQueue::new(),
            of: 0,
        }
    }

    /// Somebody comes with `mutex`. `false`: others wait with another.
    fn is_for(&mut self, mutex: &RawMutex) -> bool {
        let of = ptr::from_ref(mutex) as usize;
        if self.queue.is_empty() {
            self.of = of;
        }
        self.of == of
    }
}

impl Waiters for Line {
    fn queue(&mut self) -> &mut WaitQueue {
        &mut self.queue
    }
}

/// Whether a wait ended by its deadline.
///
/// # Blocking
/// Never.
///
/// # Go
/// None: `Cond.Wait` has no deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// Whether nobody notified in time.
    ///
    /// # Blocking
    /// Never.
    #[must_use]
    pub fn timed_out(self) -> bool {
        self.0
    }
}

impl Condvar {
    /// Of which nobody waits.
    #[cfg(not(raddle_model))]
    #[must_use]
    pub const fn new() -> Self {
        Self {
            waiters: Mutex::new(Line::new()),
        }
    }

    /// Of which nobody waits.
    #[cfg(raddle_model)]
    pub fn new() -> Self {
        Self {
            waiters: Mutex::new(Line::new()),
        }
    }

    /// Notifies who has waited longest. Whether anybody did.
    ///
    /// # Blocking
    /// Never.
    ///
    /// # Go
    /// `Cond.Signal`.
    pub fn notify_one(&self) -> bool {
        let woken = self.waiters.lock().queue.take_first(WOKEN);
        let is_anybody = !woken.is_nobody();
        woken.wake();
        is_anybody
    }

    /// Notifies all who wait. How many there were.
    ///
    /// # Blocking
    /// Never.
    ///
    /// # Go
    /// `Cond.Broadcast`.
    pub fn notify_all(&self) -> usize {
        let woken = self.waiters.lock().queue.take_all();
        let count = woken.count() as usize;
        woken.wake();
        count
    }

    /// Gives up `mutex`, which the caller holds, waits, and takes it again,
    /// also when the wait unwinds. Whether it was notified.
    #[track_caller]
    fn wait_with(&self, mutex: &RawMutex, until: Until) -> bool {
        /// Takes the lock again, however the wait ends: the guard lives on.
        struct Again<'a>(&'a RawMutex, Site, Lent<'a>);

        impl Drop for Again<'_> {
            fn drop(&mut self) {
                let Self(mutex, site, _lent) = self;
                mutex.acquire_firmly(Kind::Mutex, site);
            }
        }

        let site = Location::caller();
        checkpoint();
        // First in line, then out of the lock: who changes something under
        // the lock and notifies finds the waiter.
        let mut waiters = self.waiters.lock();
        if !waiters.is_for(mutex) {
            drop(waiters);
            panic_of_another();
        }
        let mut again = None;
        let entry = Entry::last(Reason::CondWait, until);
        wait_after(&self.waiters, waiters, entry, || {
            let lent = Lent::begin(mutex.tag(), Mode::Alone);
            mutex.release();
            again = Some(Again(mutex, site, lent));
        })
        .is_some()
    }
}

#[cold]
#[track_caller]
fn panic_of_another() -> ! {
    panic!("a Condvar was waited at with one Mutex while others wait there with another");
}

#[cfg(not(raddle_model))]
impl Condvar {
    /// Waits for a notification, with the lock given up until then.
    ///
    /// # Blocking
    /// Parks; on a plain OS thread it blocks the thread.
    ///
    /// # Go
    /// `Cond.Wait`.
    #[track_caller]
    pub fn wait<T: ?Sized>(&self, guard: &mut MutexGuard<'_, T>) {
        let _notified = self.wait_with(raw(guard), Until::Woken);
    }

    /// Waits as long as `condition` is true: looks, under the lock, before
    /// each wait.
    ///
    /// # Blocking
    /// As [`wait`](Condvar::wait).
    #[track_caller]
    pub fn wait_while<T, F>(&self, guard: &mut MutexGuard<'_, T>, mut condition: F)
    where
        T: ?Sized,
        F: FnMut(&mut T) -> bool,
    {
        while condition(guard) {
            self.wait(guard);
        }
    }

    /// As [`wait`](Condvar::wait), for `timeout` at most, and then for the
    /// lock.
    ///
    /// # Blocking
    /// As [`wait`](Condvar::wait).
    #[track_caller]
    pub fn wait_for<T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        timeout: Duration,
    ) -> WaitTimeoutResult {
        self.wait_by(guard, clock::after(timeout))
    }

    /// As [`wait`](Condvar::wait), until `deadline` at the latest, and then
    /// for the lock.
    ///
    /// # Blocking
    /// As [`wait`](Condvar::wait).
    #[track_caller]
    pub fn wait_until<T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        deadline: Instant,
    ) -> WaitTimeoutResult {
        self.wait_by(guard, clock::at(deadline))
    }

    /// As [`wait_while`](Condvar::wait_while), for `timeout` in all at most.
    /// It has timed out if `condition` is still true.
    ///
    /// # Blocking
    /// As [`wait`](Condvar::wait).
    #[track_caller]
    pub fn wait_while_for<T, F>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        mut condition: F,
        timeout: Duration,
    ) -> WaitTimeoutResult
    where
        T: ?Sized,
        F: FnMut(&mut T) -> bool,
    {
        let deadline = clock::after(timeout);
        while condition(guard) {
            if self.wait_by(guard, deadline).timed_out() {
                return WaitTimeoutResult(condition(guard));
            }
        }
        WaitTimeoutResult(false)
    }

    #[track_caller]
    fn wait_by<T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        deadline: u64,
    ) -> WaitTimeoutResult {
        WaitTimeoutResult(!self.wait_with(raw(guard), Until::Deadline(deadline)))
    }
}

/// The lock of a guard that is borrowed for the whole wait.
#[cfg(not(raddle_model))]
fn raw<'a, T: ?Sized>(guard: &mut MutexGuard<'a, T>) -> &'a RawMutex {
    // SAFETY: it is given up only while the guard is out of its owner's
    // reach, and taken again before the guard is there again.
    unsafe { MutexGuard::mutex(guard).raw() }
}

impl Default for Condvar {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condvar").finish_non_exhaustive()
    }
}

#[cfg(all(test, raddle_model))]
mod models {
    use super::{Condvar, RawMutex, Until};
    use crate::shim::{AtomicU32, Relaxed, clock, model};
    use raddle_scheduler::model::{Arc, spawn};

    /// A number behind a lock. ORDER: Relaxed, all: the lock orders them.
    struct Shared {
        mutex: RawMutex,
        condvar: Condvar,
        number: AtomicU32,
    }

    impl Shared {
        fn new() -> Arc<Self> {
            Arc::new(Self {
                mutex: RawMutex::new(),
                condvar: Condvar::new(),
                number: AtomicU32::new(0),
            })
        }

        /// Takes one away, once there is one.
        fn take(&self) {
            self.mutex.acquire();
            while self.number.load(Relaxed) == 0 {
                assert!(self.condvar.wait_with(&self.mutex, Until::Woken));
            }
            self.number.fetch_sub(1, Relaxed);
            self.mutex.release();
        }

        fn put(&self, number: u32) {
            self.mutex.acquire();
            self.number.fetch_add(number, Relaxed);
            self.mutex.release();
        }

        fn is_as_new(&self) {
            assert_eq!(self.number.load(Relaxed), 0);
            assert!(!self.mutex.is_held());
            assert!(self.condvar.waiters.lock().queue.is_empty());
        }
    }

    /// One who looked, found nothing and is about to wait is not missed.
    #[test]
    fn a_notification_is_not_missed() {
        model(|| {
            let shared = Shared::new();
            let taker = spawn({
                let shared = shared.clone();
                move || shared.take()
            });
            shared.put(1);
            shared.condvar.notify_one();
            taker.join().unwrap();
            shared.is_as_new();
        });
    }

    #[test]
    fn all_are_notified() {
        model(|| {
            let shared = Shared::new();
            let takers = [(); 2].map(|()| {
                let shared = shared.clone();
                spawn(move || shared.take())
            });
            shared.put(2);
            assert!(shared.condvar.notify_all() <= 2);
            for taker in takers {
                taker.join().unwrap();
            }
            shared.is_as_new();
        });
    }

    /// A deadline and a notification meet: the notification goes to one who
    /// says that it had it, or to the other.
    #[test]
    fn a_deadline_swallows_no_notification() {
        model(|| {
            let shared = Shared::new();
            let waits = |until: fn() -> Until| {
                let shared = shared.clone();
                spawn(move || {
                    shared.mutex.acquire();
                    let notified = shared.condvar.wait_with(&shared.mutex, until());
                    assert!(shared.mutex.is_held());
                    shared.mutex.release();
                    u32::from(notified)
                })
            };
            let hasty = waits(|| Until::Deadline(clock::now() + 1));
            let patient = waits(|| Until::Woken);
            let mut told = u32::from(shared.condvar.notify_one());
            let notified = hasty.join().unwrap();
            if told == notified {
                // The other waits, or will.
                while !shared.condvar.notify_one() {
                    raddle_scheduler::model::loom::thread::yield_now();
                }
                told += 1;
            }
            assert_eq!(notified + patient.join().unwrap(), told);
            shared.is_as_new();
        });
    }
}
