//! A lock that its holder may lock again.

use super::held::{self, Kind};
use super::raw_mutex::RawMutex;
use crate::shim::or_look;
use raddle_scheduler::{clock, current, look_point};
use std::fmt;
use std::num::NonZeroUsize;
use std::ops::{Deref, DerefMut};
use std::panic::Location;
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
#[derive(Default)]
pub struct ReentrantMutex<T: ?Sized>(Inner<T>);

type Inner<T> = lock_api::ReentrantMutex<RawReentrantMutex, GoroutineIdentity, T>;

// lock_api's own but for `lock` and its kin, which there do not pass on where
// they were called; so they say it beforehand.
impl<T> ReentrantMutex<T> {
    /// A lock around `value`, held by nobody.
    ///
    /// # Blocking
    /// Never.
    pub const fn new(value: T) -> Self {
        Self(Inner::new(value))
    }

    /// The value; nobody else can hold it.
    ///
    /// # Blocking
    /// Never.
    pub fn into_inner(self) -> T {
        self.0.into_inner()
    }
}

impl<T: ?Sized> ReentrantMutex<T> {
    /// Takes the lock, once more if the caller has it.
    ///
    /// # Blocking
    /// Parks while another holds it; on a plain OS thread it blocks the
    /// thread.
    #[inline]
    #[track_caller]
    pub fn lock(&self) -> ReentrantMutexGuard<'_, T> {
        held::saying_where(Location::caller(), || self.0.lock())
    }

    /// Takes the lock if no other holds it.
    ///
    /// # Blocking
    /// Never; a call that fails may yield when it is made in a loop that
    /// keeps others of its thread waiting for 100 ms.
    #[inline]
    #[track_caller]
    pub fn try_lock(&self) -> Option<ReentrantMutexGuard<'_, T>> {
        held::saying_where(Location::caller(), || self.0.try_lock())
    }

    /// As [`lock`](Self::lock), for `timeout` at most.
    ///
    /// # Blocking
    /// As [`lock`](Self::lock).
    #[inline]
    #[track_caller]
    pub fn try_lock_for(&self, timeout: Duration) -> Option<ReentrantMutexGuard<'_, T>> {
        held::saying_where(Location::caller(), || self.0.try_lock_for(timeout))
    }

    /// As [`lock`](Self::lock), until `deadline` at the latest.
    ///
    /// # Blocking
    /// As [`lock`](Self::lock).
    #[inline]
    #[track_caller]
    pub fn try_lock_until(&self, deadline: Instant) -> Option<ReentrantMutexGuard<'_, T>> {
        held::saying_where(Location::caller(), || self.0.try_lock_until(deadline))
    }
}

impl<T: ?Sized> Deref for ReentrantMutex<T> {
    type Target = Inner<T>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<T: ?Sized> DerefMut for ReentrantMutex<T> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl<T> From<T> for ReentrantMutex<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for ReentrantMutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Holds a [`ReentrantMutex`] while it lives, once.
///
/// # Blocking
/// `bump`, `unlocked` and `unlocked_fair` park, for the lock; dropping it
/// never blocks.
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
    #[track_caller]
    fn lock(&self) {
        let site = held::said_where(Location::caller());
        self.0.acquire_firmly(Kind::ReentrantMutex, site);
        self.0.noted().if_taken(true, site);
    }

    #[inline]
    #[track_caller]
    fn try_lock(&self) -> bool {
        let site = held::said_where(Location::caller());
        let taken = or_look(self.0.try_acquire());
        self.0.noted().if_taken(taken, site)
    }

    #[inline]
    unsafe fn unlock(&self) {
        if self.0.noted().may_give_back() {
            self.0.release();
        }
    }

    #[inline]
    fn is_locked(&self) -> bool {
        look_point();
        self.0.is_held()
    }
}

// SAFETY: as for the mutex within.
unsafe impl lock_api::RawMutexFair for RawReentrantMutex {
    #[inline]
    unsafe fn unlock_fair(&self) {
        if self.0.noted().may_give_back() {
            self.0.release_fairly();
        }
    }

    #[track_caller]
    unsafe fn bump(&self) {
        let _lent = self.0.noted().lend();
        self.0.bump_firmly(Kind::ReentrantMutex, Location::caller());
    }
}

// SAFETY: as for the mutex within.
unsafe impl lock_api::RawMutexTimed for RawReentrantMutex {
    type Duration = Duration;
    type Instant = Instant;

    #[inline]
    #[track_caller]
    fn try_lock_for(&self, timeout: Duration) -> bool {
        let site = held::said_where(Location::caller());
        let taken = self.0.acquire_until(|| clock::after(timeout));
        self.0.noted().if_taken(taken, site)
    }

    #[inline]
    #[track_caller]
    fn try_lock_until(&self, deadline: Instant) -> bool {
        let site = held::said_where(Location::caller());
        let taken = self.0.acquire_until(|| clock::at(deadline));
        self.0.noted().if_taken(taken, site)
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
