//! A lock that its holder may lock again.

use super::raw_mutex::RawMutex;
use raddle_scheduler::current;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

/// A lock that its holder may lock again and again; it gives shared access to
/// the value. The methods are those of parking_lot's, by goroutine: who holds
/// it holds it across parks, on whatever thread it goes on. A plain OS thread
/// counts by itself.
///
/// # Blocking
/// `lock`, `try_lock_for` and `try_lock_until` park while another holds it;
/// on a plain OS thread they block the thread. `try_lock`, and dropping a
/// guard, never block.
///
/// # Examples
/// ```
/// use raddle::sync::ReentrantMutex;
/// use std::cell::Cell;
///
/// let count = ReentrantMutex::new(Cell::new(0));
/// let outer = count.lock();
/// let inner = count.lock();
/// inner.set(inner.get() + 1);
/// assert_eq!(outer.get(), 1);
/// ```
///
/// # Go
/// None.
pub type ReentrantMutex<T> = lock_api::ReentrantMutex<RawReentrantMutex, GoroutineIdentity, T>;

/// Holds a [`ReentrantMutex`] while it lives, once.
///
/// # Blocking
/// Never; dropping it does not either.
///
/// # Go
/// None.
pub type ReentrantMutexGuard<'a, T> =
    lock_api::ReentrantMutexGuard<'a, RawReentrantMutex, GoroutineIdentity, T>;

/// The lock beneath [`ReentrantMutex`]: a [`RawMutex`] whose `bump` shutdown
/// does not end, since the count of its locks is away meanwhile.
///
/// # Blocking
/// As [`ReentrantMutex`].
///
/// # Go
/// None, as for [`ReentrantMutex`].
#[derive(Debug)]
pub struct RawReentrantMutex(RawMutex);

// SAFETY: as for the mutex within.
unsafe impl lock_api::RawMutex for RawReentrantMutex {
    const INIT: Self = Self(RawMutex::INIT);

    type GuardMarker = <RawMutex as lock_api::RawMutex>::GuardMarker;

    // Firmly: lock_api's `unlocked` takes it again by this, and has the count
    // away meanwhile.
    #[inline]
    fn lock(&self) {
        self.0.acquire_firmly();
    }

    #[inline]
    fn try_lock(&self) -> bool {
        self.0.try_acquire()
    }

    #[inline]
    unsafe fn unlock(&self) {
        self.0.release();
    }

    #[inline]
    fn is_locked(&self) -> bool {
        self.0.is_held()
    }
}

// SAFETY: as for the mutex within.
unsafe impl lock_api::RawMutexFair for RawReentrantMutex {
    #[inline]
    unsafe fn unlock_fair(&self) {
        self.0.release_fairly();
    }

    unsafe fn bump(&self) {
        self.0.bump_firmly();
    }
}

// SAFETY: as for the mutex within.
unsafe impl lock_api::RawMutexTimed for RawReentrantMutex {
    type Duration = Duration;
    type Instant = Instant;

    #[inline]
    fn try_lock_for(&self, timeout: Duration) -> bool {
        lock_api::RawMutexTimed::try_lock_for(&self.0, timeout)
    }

    #[inline]
    fn try_lock_until(&self, deadline: Instant) -> bool {
        lock_api::RawMutexTimed::try_lock_until(&self.0, deadline)
    }
}

/// Tells [`ReentrantMutex`] who calls, goroutine or thread.
///
/// # Blocking
/// Never.
///
/// # Go
/// None, by decision: goroutines have no identity there.
#[derive(Clone, Copy, Debug, Default)]
pub struct GoroutineIdentity;

// SAFETY: numbers are unique in the process, and never used again; one that
// does not fit is not given.
unsafe impl lock_api::GetThreadId for GoroutineIdentity {
    const INIT: Self = Self;

    fn nonzero_thread_id(&self) -> NonZeroUsize {
        let number = current().id().get();
        usize::try_from(number)
            .ok()
            .and_then(NonZeroUsize::new)
            .expect("more goroutines than there are numbers")
    }
}
