//! A count of goroutines, and those who wait for it to be zero.

use super::wait_queue::{Entry, WaitQueue, wait};
#[cfg(not(raddle_model))]
use crate::go::JoinHandle;
use crate::shim::{
    AcqRel, Acquire, AtomicIsize, Mutex, MutexGuard, Reason, Relaxed, checkpoint, clock,
};
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
/// 1. The count leaves 0 by an exchange, from a word without [`WAITED`]. So
///    where the count is 0 and `WAITED` is set it stays so, until somebody
///    with the lock clears `WAITED` and takes all out who wait, in the same
///    hold of the lock. So they waited for this very zero.
/// 2. A waiter enters under the lock, by an exchange that finds a count above
///    0 and sets `WAITED`. So who brings the count to 0 sees `WAITED`, and
///    comes for the waiters.
/// 3. The count is below 0 only while a call that is to panic has not taken
///    back what it subtracted: it does so under the lock, and then does for
///    the waiters what 2 says.
struct Inner {
    /// Twice the count, and `WAITED`.
    word: AtomicIsize,
    waiters: Mutex<WaitQueue>,
}

/// Somebody may wait.
const WAITED: isize = 1;
const ONE: isize = 2;

fn count(word: isize) -> isize {
    word >> 1
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            word: AtomicIsize::new(0),
            waiters: Mutex::new(WaitQueue::new()),
        }
    }
}

impl Inner {
    #[inline]
    fn add(&self, delta: isize) {
        if delta < 0 {
            self.subtract(delta);
        } else {
            self.add_more(delta);
        }
    }

    #[inline]
    fn add_more(&self, delta: isize) {
        // ORDER: Relaxed: the exchange decides.
        let mut word = self.word.load(Relaxed);
        loop {
            if word == WAITED || word < 0 {
                word = self.settle();
                continue;
            }
            let more = delta.checked_mul(ONE);
            let Some(next) = more.and_then(|more| word.checked_add(more)) else {
                panic_out_of_range(delta, word);
            };
            // ORDER: Relaxed: a read-modify-write, so it does not break the
            // chain of releases that `is_zero` acquires.
            match self
                .word
                .compare_exchange_weak(word, next, Relaxed, Relaxed)
            {
                Ok(_) => return,
                Err(other) => word = other,
            }
        }
    }

    /// `delta` is below 0. One access to the word: where many are done at
    /// once, a look before it would fetch the line twice.
    #[inline]
    fn subtract(&self, delta: isize) {
        let Some(less) = delta.checked_mul(ONE) else {
            // ORDER: Relaxed: shown.
            panic_out_of_range(delta, self.word.load(Relaxed));
        };
        // ORDER: AcqRel: what every member did before its `done` is seen by
        // who brings the count to zero, and through it by `wait`.
        let was = self.word.fetch_add(less, AcqRel);
        if count(was) + delta <= 0 {
            self.is_over(was, delta);
        }
    }

    /// The count was brought to zero, or below.
    #[inline]
    fn is_over(&self, was: isize, delta: isize) {
        if count(was) + delta < 0 {
            self.take_back(delta);
            panic_out_of_range(delta, was);
        }
        if was & WAITED != 0 {
            self.settle();
        }
    }

    #[cold]
    #[inline(never)]
    fn take_back(&self, delta: isize) {
        let waiters = self.waiters.lock();
        // ORDER: Relaxed: the caller's mistake, which shows nobody anything.
        self.word.fetch_sub(delta * ONE, Relaxed);
        self.let_go(waiters);
    }

    /// Wakes those who waited for the zero that is there; the word then.
    #[cold]
    #[inline(never)]
    fn settle(&self) -> isize {
        self.let_go(self.waiters.lock());
        // ORDER: Relaxed: a hint.
        self.word.load(Relaxed)
    }

    fn let_go(&self, mut waiters: MutexGuard<'_, WaitQueue>) {
        // ORDER: Acquire pairs with every `done`, for those who are woken.
        let is_zero = self.word.compare_exchange(WAITED, 0, Acquire, Relaxed);
        if is_zero.is_ok() {
            let woken = waiters.take_all();
            drop(waiters);
            woken.wake();
        }
    }

    fn is_zero(&self) -> bool {
        // ORDER: Acquire pairs with every `done`: each was a read-modify-write
        // of the word, so the releases chain.
        count(self.word.load(Acquire)) <= 0
    }

    fn wait(&self, deadline: Option<u64>) -> bool {
        checkpoint();
        if self.is_zero() {
            return true;
        }
        let waiters = self.waiters.lock();
        // ORDER: Acquire: as in `is_zero`.
        let mut word = self.word.load(Acquire);
        loop {
            if count(word) <= 0 {
                return true;
            }
            // ORDER: Relaxed: nothing is shown; Acquire: as in `is_zero`.
            match self
                .word
                .compare_exchange_weak(word, word | WAITED, Relaxed, Acquire)
            {
                Ok(_) => break,
                Err(other) => word = other,
            }
        }
        let entry = Entry::last(Reason::WaitGroupWait, deadline);
        wait(&self.waiters, waiters, entry).is_some()
    }
}

#[cold]
#[inline(never)]
fn panic_out_of_range(delta: isize, word: isize) -> ! {
    let now = count(word);
    if delta > 0 {
        panic!(
            "WaitGroup counter overflow: {delta} was added to {now}, and it goes up to {}",
            isize::MAX / ONE
        );
    }
    panic!(
        "negative WaitGroup counter: {delta} was added to {now}; done is to be called once for \
         each one added"
    );
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
    /// When the count would be negative, or above half of `isize::MAX`; it
    /// stays as it was. Another's `done` at the moment of a negative one may
    /// panic with it.
    ///
    /// # Go
    /// `WaitGroup.Add`.
    #[inline]
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
    #[inline]
    pub fn done(&self) {
        self.inner.subtract(-1);
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
            .field("count", &count(self.inner.word.load(Relaxed)))
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, raddle_model))]
#[allow(unsafe_code, reason = "what members leave for who waits")]
mod models {
    use super::WaitGroup;
    use crate::shim::{AcqRel, Acquire, Relaxed, model};
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

    /// One is done too often while somebody waits: who waits goes on when the
    /// others are done, not before, and the count is as it was.
    #[test]
    fn a_done_too_many_is_taken_back() {
        model(|| {
            let group = WaitGroup::new();
            group.add(1);
            let work = Work::new();
            let [member, waiter] = [
                (|work, group| {
                    Work::finish(work);
                    WaitGroup::done(group);
                }) as fn(&Work, &WaitGroup),
                |work, group| {
                    group.wait();
                    assert!(work.is_finished());
                },
            ]
            .map(|call| {
                let (group, work) = (group.clone(), work.clone());
                spawn(move || call(&work, &group))
            });
            // As `done` does, but for its panic, if the count is 0 by now.
            let inner = &group.inner;
            // ORDER: Acquire: for the look at the work.
            if inner.word.load(Acquire) >> 1 == 0 {
                // ORDER: AcqRel: as in `subtract`.
                inner.word.fetch_sub(super::ONE, AcqRel);
                inner.take_back(-1);
                assert!(work.is_finished());
            }
            member.join().unwrap();
            waiter.join().unwrap();
            // ORDER: Relaxed: all have been joined.
            assert_eq!(inner.word.load(Relaxed) >> 1, 0);
        });
    }
}
