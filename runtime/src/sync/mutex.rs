//! A lock for goroutines and threads, with parking_lot's methods.

use super::raw_mutex::RawMutex;
use lock_api::GuardNoSend;
use crate::shim::or_look;
use raddle_scheduler::{clock, look_point};
use std::panic::Location;
use std::time::{Duration, Instant};

/// A lock around a value, for goroutines and plain OS threads alike.
///
/// Its methods are parking_lot's: `lock`, `try_lock`, `try_lock_for`,
/// `try_lock_until`, `get_mut`, `into_inner`, and `const fn new`, so that it
/// can be a static. A panic while the lock is held does not poison it. A
/// goroutine may park while it holds the lock; others then wait for it
/// without holding up their threads.
///
/// Whoever runs may take the lock past those who wait, which is fast. A
/// waiter that has been passed over for a millisecond gets it handed to it
/// directly, and so do those behind it, until one comes that has waited
/// less. `MutexGuard::unlock_fair` hands it over in any case.
///
/// It is not reentrant: to lock it twice is to wait for oneself.
///
/// # Blocking
/// `lock`, `try_lock_for` and `try_lock_until` park; on a plain OS thread
/// they block the thread. `try_lock`, `is_locked`, and dropping a guard never
/// block; a `try_lock` that fails, and `is_locked`, may yield in a loop that
/// keeps others of its thread waiting for 100 ms.
///
/// # Examples
/// ```
/// use raddle::sync::{Mutex, WaitGroup};
/// use std::sync::Arc;
///
/// raddle::run(|| {
///     let scores = Arc::new(Mutex::new(Vec::new()));
///     let group = WaitGroup::new();
///     for n in 0..4 {
///         let scores = scores.clone();
///         group.go(move || scores.lock().push(n));
///     }
///     group.wait();
///     assert_eq!(scores.lock().iter().sum::<i32>(), 6);
/// });
/// ```
///
/// # Go
/// `sync.Mutex`. Go lets any goroutine unlock it; here a guard stays with
/// its goroutine, and `unsafe force_unlock` does what Go does.
pub type Mutex<T> = lock_api::Mutex<RawMutex, T>;

/// Holds a [`Mutex`] while it lives, and derefs to its value.
///
/// # Blocking
/// `bump`, `unlocked` and `unlocked_fair` park, for the lock; dropping it
/// never blocks.
///
/// # Go
/// None: `Unlock` is a call there, often deferred.
pub type MutexGuard<'a, T> = lock_api::MutexGuard<'a, RawMutex, T>;

/// A guard of a part of the value: what [`MutexGuard`]'s `map` gives.
///
/// # Blocking
/// Never; dropping it does not either.
///
/// # Go
/// None.
pub type MappedMutexGuard<'a, T> = lock_api::MappedMutexGuard<'a, RawMutex, T>;

// SAFETY: `acquire` returns, and `try_acquire` gives true, for one caller
// until its `release`: invariant 1 of `RawMutex`, and its models. A guard whose
// `lock` unwound releases nothing: `lost.rs`.
unsafe impl lock_api::RawMutex for RawMutex {
    const INIT: Self = Self::new();

    type GuardMarker = GuardNoSend;

    #[inline]
    #[track_caller]
    fn lock(&self) {
        let noted = self.noted();
        let taking = noted.taking();
        self.acquire();
        noted.taken(taking, Location::caller());
    }

    #[inline]
    #[track_caller]
    fn try_lock(&self) -> bool {
        let taken = or_look(self.try_acquire());
        self.noted().if_taken(taken, Location::caller())
    }

    #[inline]
    unsafe fn unlock(&self) {
        if self.noted().may_give_back() {
            self.release();
        }
    }

    #[inline]
    fn is_locked(&self) -> bool {
        look_point();
        self.is_held()
    }
}

// SAFETY: as above; `release_fairly` releases, or leaves the lock taken for
// another, whose `acquire` returns.
unsafe impl lock_api::RawMutexFair for RawMutex {
    #[inline]
    unsafe fn unlock_fair(&self) {
        if self.noted().may_give_back() {
            self.release_fairly();
        }
    }

    // Not by `lock`, which may unwind without it: the guard lives on.
    #[inline]
    #[track_caller]
    unsafe fn bump(&self) {
        let _lent = self.noted().lend();
        self.bump();
    }
}

// SAFETY: as above; at the deadline it has not been acquired.
unsafe impl lock_api::RawMutexTimed for RawMutex {
    type Duration = Duration;
    type Instant = Instant;

    #[inline]
    #[track_caller]
    fn try_lock_for(&self, timeout: Duration) -> bool {
        let taken = self.acquire_until(|| clock::after(timeout));
        self.noted().if_taken(taken, Location::caller())
    }

    #[inline]
    #[track_caller]
    fn try_lock_until(&self, deadline: Instant) -> bool {
        let taken = self.acquire_until(|| clock::at(deadline));
        self.noted().if_taken(taken, Location::caller())
    }
}
