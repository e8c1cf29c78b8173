//! A lock for many readers or one writer, with parking_lot's methods.

use super::held::Mode;
use super::raw_rwlock::{Minds, RawRwLock};
use super::wait_queue::{Until, take_again};
use lock_api::GuardNoSend;
use crate::shim::or_look;
use raddle_scheduler::{clock, look_point};
use std::panic::Location;
use std::time::{Duration, Instant};

/// A lock around a value that many may read at once, or one may write, for
/// goroutines and plain OS threads alike.
///
/// Its methods are parking_lot's: `read`, `write`, `upgradable_read`, each
/// with `try_`, `_for` and `_until`; `read_recursive`; and `const fn new`, so
/// that it can be a static. A panic while it is held does not poison it.
///
/// Writers go first: a reader that comes while one waits, waits too, and
/// `try_read` fails. But when a writer leaves, all readers that wait go in
/// before the next writer, so neither side starves. Among writers it goes as
/// with [`Mutex`](super::Mutex): fair after a millisecond.
///
/// To read twice at once in one goroutine may be to wait for oneself, if a
/// writer comes in between: that is what `read_recursive` is for.
///
/// # Blocking
/// `read`, `write`, `upgradable_read` and `upgrade` park, those with a time
/// limit too; on a plain OS thread they block the thread. `try_read` and its
/// kin, `is_locked`, the downgrades, and dropping a guard never block; a try
/// that fails, and `is_locked`, may yield in a loop that keeps others of its
/// thread waiting for 100 ms.
///
/// # Examples
/// ```
/// use raddle::sync::{RwLock, RwLockWriteGuard};
///
/// let words = RwLock::new(vec!["warp"]);
/// {
///     let (one, two) = (words.read(), words.read());
///     assert_eq!(one.len() + two.len(), 2);
///     assert!(words.try_write().is_none());
/// }
/// let mut writer = words.write();
/// writer.push("weft");
/// let reader = RwLockWriteGuard::downgrade(writer);
/// assert_eq!(reader.len(), 2);
/// ```
///
/// # Go
/// `sync.RWMutex`. Go lets any goroutine unlock it; here a guard stays with
/// its goroutine, and `unsafe force_unlock_read` and `force_unlock_write` do
/// what Go does.
pub type RwLock<T> = lock_api::RwLock<RawRwLock, T>;

/// Reads an [`RwLock`]'s value while it lives.
///
/// # Blocking
/// `bump`, `unlocked` and `unlocked_fair` park, for the lock; dropping it
/// never blocks.
///
/// # Go
/// None: `RUnlock` is a call there, often deferred.
pub type RwLockReadGuard<'a, T> = lock_api::RwLockReadGuard<'a, RawRwLock, T>;

/// Writes an [`RwLock`]'s value while it lives.
///
/// # Blocking
/// `bump`, `unlocked` and `unlocked_fair` park, for the lock; dropping it
/// never blocks.
///
/// # Go
/// None: `Unlock` is a call there, often deferred.
pub type RwLockWriteGuard<'a, T> = lock_api::RwLockWriteGuard<'a, RawRwLock, T>;

/// Reads an [`RwLock`]'s value while it lives, and may become its writer:
/// there is one of these at a time, beside readers.
///
/// # Blocking
/// `upgrade` and `with_upgraded` park until the readers have left, `bump`,
/// `unlocked` and `unlocked_fair` for the lock; dropping it never blocks.
///
/// # Go
/// None.
pub type RwLockUpgradableReadGuard<'a, T> =
    lock_api::RwLockUpgradableReadGuard<'a, RawRwLock, T>;

/// A guard of a part of the value: what [`RwLockReadGuard`]'s `map` gives.
///
/// # Blocking
/// Never; dropping it does not either.
///
/// # Go
/// None.
pub type MappedRwLockReadGuard<'a, T> = lock_api::MappedRwLockReadGuard<'a, RawRwLock, T>;

/// A guard of a part of the value: what [`RwLockWriteGuard`]'s `map` gives.
///
/// # Blocking
/// Never; dropping it does not either.
///
/// # Go
/// None.
pub type MappedRwLockWriteGuard<'a, T> = lock_api::MappedRwLockWriteGuard<'a, RawRwLock, T>;

fn after(timeout: Duration) -> Until {
    Until::Deadline(clock::after(timeout))
}

fn at(deadline: Instant) -> Until {
    Until::Deadline(clock::at(deadline))
}

impl RawRwLock {
    /// The caller, who reads upgradably, has tried to become the writer.
    fn upgraded(&self, is_in: bool) -> bool {
        if is_in {
            self.noted(Mode::Upgradable).becomes(Mode::Alone);
        }
        is_in
    }
}

// SAFETY: invariants 1 and 2 of `RawRwLock`, and its models: a writer is in
// alone.
unsafe impl lock_api::RawRwLock for RawRwLock {
    const INIT: Self = Self::new();

    type GuardMarker = GuardNoSend;

    #[inline]
    #[track_caller]
    fn lock_shared(&self) {
        let noted = self.noted(Mode::Read);
        let taking = noted.taking();
        self.read(Minds::Waiting, Until::Woken);
        noted.taken(taking, Location::caller());
    }

    #[inline]
    #[track_caller]
    fn try_lock_shared(&self) -> bool {
        let taken = or_look(self.try_read(Minds::Waiting));
        self.noted(Mode::Read).if_taken(taken, Location::caller())
    }

    #[inline]
    unsafe fn unlock_shared(&self) {
        if self.noted(Mode::Read).may_give_back() {
            self.end_read();
        }
    }

    #[inline]
    #[track_caller]
    fn lock_exclusive(&self) {
        let noted = self.noted(Mode::Alone);
        let taking = noted.taking();
        self.write(Until::Woken);
        noted.taken(taking, Location::caller());
    }

    #[inline]
    #[track_caller]
    fn try_lock_exclusive(&self) -> bool {
        let taken = or_look(self.try_write());
        self.noted(Mode::Alone).if_taken(taken, Location::caller())
    }

    #[inline]
    unsafe fn unlock_exclusive(&self) {
        if self.noted(Mode::Alone).may_give_back() {
            self.end_write();
        }
    }

    #[inline]
    fn is_locked(&self) -> bool {
        look_point();
        self.is_held()
    }

    #[inline]
    fn is_locked_exclusive(&self) -> bool {
        look_point();
        self.is_written()
    }
}

// SAFETY: as above. The bumps have it again also if they unwind, for the guard
// lives on.
unsafe impl lock_api::RawRwLockFair for RawRwLock {
    unsafe fn unlock_shared_fair(&self) {
        if self.noted(Mode::Read).may_give_back() {
            self.end_read();
        }
    }

    unsafe fn unlock_exclusive_fair(&self) {
        if self.noted(Mode::Alone).may_give_back() {
            self.end_write_fairly();
        }
    }

    #[track_caller]
    unsafe fn bump_shared(&self) {
        let site = Location::caller();
        let _lent = self.noted(Mode::Read).lend();
        self.end_read();
        take_again(|until| {
            self.read_at(Minds::Waiting, until, site);
        });
    }

    #[track_caller]
    unsafe fn bump_exclusive(&self) {
        let site = Location::caller();
        let _lent = self.noted(Mode::Alone).lend();
        self.end_write_fairly();
        take_again(|until| {
            self.write_at(until, site);
        });
    }
}

// SAFETY: as above; it is counted as a reader by the write that ends it as a
// writer.
unsafe impl lock_api::RawRwLockDowngrade for RawRwLock {
    unsafe fn downgrade(&self) {
        self.noted(Mode::Alone).becomes(Mode::Read);
        self.downgrade();
    }
}

// SAFETY: as above; at the deadline it is not in.
unsafe impl lock_api::RawRwLockTimed for RawRwLock {
    type Duration = Duration;
    type Instant = Instant;

    #[track_caller]
    fn try_lock_shared_for(&self, timeout: Duration) -> bool {
        let taken = self.read(Minds::Waiting, after(timeout));
        self.noted(Mode::Read).if_taken(taken, Location::caller())
    }

    #[track_caller]
    fn try_lock_shared_until(&self, deadline: Instant) -> bool {
        let taken = self.read(Minds::Waiting, at(deadline));
        self.noted(Mode::Read).if_taken(taken, Location::caller())
    }

    #[track_caller]
    fn try_lock_exclusive_for(&self, timeout: Duration) -> bool {
        let taken = self.write(after(timeout));
        self.noted(Mode::Alone).if_taken(taken, Location::caller())
    }

    #[track_caller]
    fn try_lock_exclusive_until(&self, deadline: Instant) -> bool {
        let taken = self.write(at(deadline));
        self.noted(Mode::Alone).if_taken(taken, Location::caller())
    }
}

// SAFETY: as above; beside readers no writer is in.
unsafe impl lock_api::RawRwLockRecursive for RawRwLock {
    #[track_caller]
    fn lock_shared_recursive(&self) {
        let noted = self.noted(Mode::Read);
        let taking = noted.taking();
        self.read(Minds::Writing, Until::Woken);
        noted.taken(taking, Location::caller());
    }

    #[track_caller]
    fn try_lock_shared_recursive(&self) -> bool {
        let taken = or_look(self.try_read(Minds::Writing));
        self.noted(Mode::Read).if_taken(taken, Location::caller())
    }
}

// SAFETY: as above.
unsafe impl lock_api::RawRwLockRecursiveTimed for RawRwLock {
    #[track_caller]
    fn try_lock_shared_recursive_for(&self, timeout: Duration) -> bool {
        let taken = self.read(Minds::Writing, after(timeout));
        self.noted(Mode::Read).if_taken(taken, Location::caller())
    }

    #[track_caller]
    fn try_lock_shared_recursive_until(&self, deadline: Instant) -> bool {
        let taken = self.read(Minds::Writing, at(deadline));
        self.noted(Mode::Read).if_taken(taken, Location::caller())
    }
}

// SAFETY: as above; who holds the mutex keeps writers out, and others who
// would be upgradable. An upgrade that fails or unwinds leaves it held.
unsafe impl lock_api::RawRwLockUpgrade for RawRwLock {
    #[track_caller]
    fn lock_upgradable(&self) {
        let noted = self.noted(Mode::Upgradable);
        let taking = noted.taking();
        self.upgradable(Until::Woken);
        noted.taken(taking, Location::caller());
    }

    #[track_caller]
    fn try_lock_upgradable(&self) -> bool {
        let taken = or_look(self.try_upgradable());
        self.noted(Mode::Upgradable).if_taken(taken, Location::caller())
    }

    unsafe fn unlock_upgradable(&self) {
        if self.noted(Mode::Upgradable).may_give_back() {
            self.end_upgradable();
        }
    }

    #[track_caller]
    unsafe fn upgrade(&self) {
        let _written = self.enter(Until::Woken);
        self.noted(Mode::Upgradable).becomes(Mode::Alone);
    }

    unsafe fn try_upgrade(&self) -> bool {
        self.upgraded(or_look(self.try_enter()))
    }
}

// SAFETY: as above. The bump has it again also if it unwinds.
unsafe impl lock_api::RawRwLockUpgradeFair for RawRwLock {
    unsafe fn unlock_upgradable_fair(&self) {
        if self.noted(Mode::Upgradable).may_give_back() {
            self.end_upgradable_fairly();
        }
    }

    #[track_caller]
    unsafe fn bump_upgradable(&self) {
        let site = Location::caller();
        let _lent = self.noted(Mode::Upgradable).lend();
        self.end_upgradable_fairly();
        take_again(|until| {
            self.upgradable_at(until, site);
        });
    }
}

// SAFETY: as above; each goes on in its new role before it ends the old one.
unsafe impl lock_api::RawRwLockUpgradeDowngrade for RawRwLock {
    unsafe fn downgrade_upgradable(&self) {
        self.noted(Mode::Upgradable).becomes(Mode::Read);
        self.downgrade_upgradable();
    }

    unsafe fn downgrade_to_upgradable(&self) {
        self.noted(Mode::Alone).becomes(Mode::Upgradable);
        self.downgrade_to_upgradable();
    }
}

// SAFETY: as above; at the deadline it is as before.
unsafe impl lock_api::RawRwLockUpgradeTimed for RawRwLock {
    #[track_caller]
    fn try_lock_upgradable_for(&self, timeout: Duration) -> bool {
        let taken = self.upgradable(after(timeout));
        self.noted(Mode::Upgradable).if_taken(taken, Location::caller())
    }

    #[track_caller]
    fn try_lock_upgradable_until(&self, deadline: Instant) -> bool {
        let taken = self.upgradable(at(deadline));
        self.noted(Mode::Upgradable).if_taken(taken, Location::caller())
    }

    #[track_caller]
    unsafe fn try_upgrade_for(&self, timeout: Duration) -> bool {
        self.upgraded(self.enter(after(timeout)))
    }

    #[track_caller]
    unsafe fn try_upgrade_until(&self, deadline: Instant) -> bool {
        self.upgraded(self.enter(at(deadline)))
    }
}
