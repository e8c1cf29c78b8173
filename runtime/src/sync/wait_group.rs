//! A count of goroutines, and those who wait for it to be zero.

use super::wait_queue::{Entry, WaitQueue, wait};
#[cfg(not(raddle_model))]
use crate::go::JoinHandle;
use crate::shim::{AcqRel, Acquire, AtomicIsize, Mutex, Reason, Relaxed, checkpoint, clock};
#[cfg(not(raddle_model))]
use crate::start::with_scheduler;
use std::fmt;
#[cfg(not(raddle_model))]
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

/// Waits for a group of goroutines to finish.
///
/// Add before the goroutine is spawned, call `done` in it when it ends, or
/// let [`go`](WaitGroup::go) do both. Clones share one count; a clone itself
/// is not counted.
///
/// # Blocking
/// `wait` parks. `add`, `done` and `go` never block.
///
/// # Panics
/// `add` and `done` panic when they would bring the count below zero.
///
/// # Examples
/// ```
/// use raddle::{go, sync::WaitGroup};
///
/// raddle::run(|| {
///     let group = WaitGroup::new();
///     group.add(1);
///     let member = group.clone();
///     go!(move || member.done());
///     group.wait();
/// });
/// ```
///
/// # Go
/// `sync.WaitGroup`; clones share one count.
#[derive(Clone, Default)]
pub struct WaitGroup {
    inner: Arc<Inner>,
}

/// Invariants
/// 1. The count goes from 1 to 0 under the lock only, and in the same hold of
///    it all who wait are taken out. So they waited for this very zero.
/// 2. A waiter enters under the lock, and only when the count is not 0. So
///    with 1. nobody waits while the count is 0.
struct Inner {
    count: AtomicIsize,
    waiters: Mutex<WaitQueue>,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            count: AtomicIsize::new(0),
            waiters: Mutex::new(WaitQueue::new()),
        }
    }
}

impl Inner {
    fn add(&self, delta: isize) {
        // ORDER: Relaxed: the exchange decides.
        let mut now = self.count.load(Relaxed);
        loop {
            let Some(next) = now.checked_add(delta).filter(|next| *next >= 0) else {
                panic!(
                    "negative WaitGroup counter: {delta} was added to {now}; done is to be \
                     called once for each one added"
                );
            };
            if next == 0 && now != 0 {
                return self.add_last(delta);
            }
            // ORDER: AcqRel: what every member did before its `done` is seen
            // by who brings the count to zero, and through it by `wait`.
            match self.count.compare_exchange_weak(now, next, AcqRel, Relaxed) {
                Ok(_) => return,
                Err(other) => now = other,
            }
        }
    }

    /// Perhaps the last: with the lock, for invariant 1.
    #[cold]
    fn add_last(&self, delta: isize) {
        let mut waiters = self.waiters.lock();
        // ORDER: AcqRel: as above.
        let was = self.count.fetch_add(delta, AcqRel);
        if was + delta < 0 {
            // ORDER: Relaxed: taken back; the caller's mistake.
            self.count.fetch_sub(delta, Relaxed);
            drop(waiters);
            panic!("negative WaitGroup counter: {delta} was added to {was}");
        }
        if was + delta == 0 {
            let woken = waiters.take_all();
            drop(waiters);
            woken.wake();
        }
    }

    fn is_zero(&self) -> bool {
        // ORDER: Acquire pairs with every `done`: each was a read-modify-write
        // of the count, so the releases chain.
        self.count.load(Acquire) == 0
    }

    fn wait(&self, deadline: Option<u64>) -> bool {
        checkpoint();
        if self.is_zero() {
            return true;
        }
        let waiters = self.waiters.lock();
        if self.is_zero() {
            return true;
        }
        let entry = Entry::last(Reason::WaitGroupWait, deadline);
        wait(&self.waiters, waiters, entry).is_some()
    }
}

impl WaitGroup {
    /// A group of none.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `delta`, which may be negative, to the count. At zero, everybody
    /// who waits goes on. It is legal while others wait, as long as the group
    /// has a member.
    ///
    /// # Blocking
    /// Never.
    ///
    /// # Panics
    /// When the count would be negative; it stays as it was.
    ///
    /// # Go
    /// `WaitGroup.Add`.
    pub fn add(&self, delta: isize) {
        self.inner.add(delta);
    }

    /// One member is done: `add(-1)`.
    ///
    /// # Blocking
    /// Never.
    ///
    /// # Panics
    /// When called more often than `add` counted.
    ///
    /// # Go
    /// `WaitGroup.Done`.
    pub fn done(&self) {
        self.inner.add(-1);
    }

    /// Waits until the count is zero.
    ///
    /// # Blocking
    /// Parks; on a plain OS thread it blocks the thread.
    ///
    /// # Go
    /// `WaitGroup.Wait`.
    pub fn wait(&self) {
        let _zero = self.inner.wait(None);
    }

    /// Waits until the count is zero, for `timeout` at most. Whether it was.
    ///
    /// # Blocking
    /// As [`wait`](WaitGroup::wait).
    #[must_use = "says whether the group is done"]
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.inner.wait(Some(clock::after(timeout)))
    }

    /// Spawns `f` as a member: counted now, done when it ends, also by a
    /// panic.
    ///
    /// # Blocking
    /// Never.
    ///
    /// # Examples
    /// ```
    /// use raddle::sync::WaitGroup;
    /// use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
    ///
    /// static SUM: AtomicU32 = AtomicU32::new(0);
    /// raddle::run(|| {
    ///     let group = WaitGroup::new();
    ///     for n in 1..=4 {
    ///         group.go(move || {
    ///             SUM.fetch_add(n, Relaxed);
    ///         });
    ///     }
    ///     group.wait();
    /// });
    /// assert_eq!(SUM.load(Relaxed), 10);
    /// ```
    ///
    /// # Go
    /// `WaitGroup.Go`, where a panic must not happen.
    #[cfg(not(raddle_model))]
    #[track_caller]
    pub fn go<F, T>(&self, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let site = Location::caller();
        let member = Member::new(self.clone());
        with_scheduler(|scheduler| {
            crate::go::spawn_on(scheduler, site, move || {
                let _member = member;
                f()
            })
        })
    }
}

/// Counted while it lives.
#[cfg(not(raddle_model))]
struct Member(WaitGroup);

#[cfg(not(raddle_model))]
impl Member {
    fn new(group: WaitGroup) -> Self {
        group.add(1);
        Self(group)
    }
}

#[cfg(not(raddle_model))]
impl Drop for Member {
    fn drop(&mut self) {
        self.0.done();
    }
}

impl fmt::Debug for WaitGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitGroup")
            // ORDER: Relaxed: shown.
            .field("count", &self.inner.count.load(Relaxed))
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, raddle_model))]
#[allow(unsafe_code, reason = "what members leave for who waits")]
mod models {
    use super::WaitGroup;
    use crate::shim::model;
    use raddle_scheduler::model::loom::cell::UnsafeCell;
    use raddle_scheduler::model::{Arc, spawn};
    use std::time::Duration;

    /// What a member writes before it is done.
    struct Work(UnsafeCell<bool>);

    // SAFETY: the checker is what proves it.
    unsafe impl Sync for Work {}

    impl Work {
        fn new() -> Arc<Self> {
            Arc::new(Self(UnsafeCell::new(false)))
        }

        fn finish(&self) {
            self.0.with_mut(|it| {
                // SAFETY: the checker is what proves it.
                unsafe { *it = true }
            });
        }

        fn is_finished(&self) -> bool {
            self.0.with(|it| {
                // SAFETY: the checker is what proves it.
                unsafe { *it }
            })
        }
    }

    /// Two are done, in whatever order, while somebody waits, who then sees
    /// what both did.
    #[test]
    fn the_last_done_is_not_missed() {
        model(|| {
            let group = WaitGroup::new();
            group.add(2);
            let works = [(); 2].map(|()| Work::new());
            let members = works.clone().map(|work| {
                let group = group.clone();
                spawn(move || {
                    work.finish();
                    group.done();
                })
            });
            group.wait();
            assert!(works.iter().all(|work| work.is_finished()));
            for member in members {
                member.join().unwrap();
            }
        });
    }

    /// A member adds another before it is done: the count is not zero before
    /// that one is done too.
    #[test]
    fn an_add_meets_a_wait() {
        model(|| {
            let group = WaitGroup::new();
            group.add(1);
            let work = Work::new();
            let member = spawn({
                let (group, work) = (group.clone(), work.clone());
                move || {
                    group.add(1);
                    let second = spawn({
                        let group = group.clone();
                        move || {
                            work.finish();
                            group.done();
                        }
                    });
                    group.done();
                    second
                }
            });
            group.wait();
            assert!(work.is_finished());
            member.join().unwrap().join().unwrap();
        });
    }

    /// Who waited for an earlier zero goes on, though the next generation
    /// has begun.
    #[test]
    fn a_group_is_used_again() {
        model(|| {
            let group = WaitGroup::new();
            group.add(1);
            let [waiter, member] = [WaitGroup::wait, WaitGroup::done].map(|call| {
                let group = group.clone();
                spawn(move || call(&group))
            });
            group.wait();
            group.add(1);
            // The other may have come late, and waits for this one.
            group.done();
            group.wait();
            member.join().unwrap();
            waiter.join().unwrap();
        });
    }

    /// A deadline and the last `done` meet: whoever comes second leaves the
    /// wait alone.
    #[test]
    fn a_deadline_meets_the_last_done() {
        model(|| {
            let group = WaitGroup::new();
            group.add(1);
            let work = Work::new();
            let member = spawn({
                let (group, work) = (group.clone(), work.clone());
                move || {
                    work.finish();
                    group.done();
                }
            });
            if group.wait_timeout(Duration::from_secs(1)) {
                assert!(work.is_finished());
            }
            group.wait();
            assert!(work.is_finished());
            member.join().unwrap();
        });
    }
}
