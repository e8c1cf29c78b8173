//! What is to be done once, whoever comes first.

use super::wait_queue::{Entry, Until, WaitQueue, wait};
use crate::shim::{Acquire, AtomicU32, Mutex, Reason, Relaxed, Release, checkpoint, or_look};
use std::fmt;

const NEW: u32 = 0;
/// Its closure unwound.
const POISONED: u32 = 1;
const RUNNING: u32 = 2;
const DONE: u32 = 3;

/// Runs one closure of all that are given to it, once.
///
/// # Blocking
/// Who comes while the closure runs parks until it has ended; on a plain OS
/// thread it blocks the thread. To come from within the closure is to wait
/// for oneself.
///
/// # Panics
/// When a closure has panicked, it is poisoned: `call_once` and `wait` panic
/// from then on, until `call_once_force` mends it. A closure that its
/// goroutine's end cuts short counts as one that panicked.
///
/// # Examples
/// ```
/// use raddle::sync::Once;
/// use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
///
/// static WARPED: Once = Once::new();
/// static COUNT: AtomicU32 = AtomicU32::new(0);
///
/// raddle::scope(|s| {
///     for _ in 0..10 {
///         s.go(|| WARPED.call_once(|| { COUNT.fetch_add(1, Relaxed); }));
///     }
/// });
/// assert_eq!(COUNT.load(Relaxed), 1);
/// ```
///
/// # Go
/// `sync.Once`, where a closure that panics has done its part.
pub struct Once {
    state: AtomicU32,
    /// The state changes under this lock, so who lines up under it has seen
    /// the state it waits to end. Whoever ends a run wakes all.
    waiters: Mutex<WaitQueue>,
}

/// What [`Once::call_once_force`] tells its closure.
///
/// # Blocking
/// Never.
///
/// # Go
/// None.
#[derive(Debug)]
pub struct OnceState {
    is_poisoned: bool,
}

impl OnceState {
    /// Whether an earlier closure panicked.
    ///
    /// # Blocking
    /// Never.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.is_poisoned
    }
}

impl Once {
    /// Of which nothing has run.
    #[cfg(not(raddle_model))]
    #[must_use]
    pub const fn new() -> Self {
        Self {
            state: AtomicU32::new(NEW),
            waiters: Mutex::new(WaitQueue::new()),
        }
    }

    /// Of which nothing has run.
    #[cfg(raddle_model)]
    pub fn new() -> Self {
        Self {
            state: AtomicU32::new(NEW),
            waiters: Mutex::new(WaitQueue::new()),
        }
    }

    /// Whether a closure has run to its end.
    ///
    /// # Blocking
    /// Never; an answer of no may yield when it is asked for in a loop that
    /// keeps others of its thread waiting for 100 ms.
    #[inline]
    #[must_use]
    pub fn is_completed(&self) -> bool {
        or_look(self.is_done())
    }

    #[inline]
    fn is_done(&self) -> bool {
        // ORDER: Acquire pairs with `Ends`: what the closure did is seen.
        self.state.load(Acquire) == DONE
    }

    /// Runs `f` if nothing has run here; else waits for what runs.
    ///
    /// # Blocking
    /// Parks while another's closure runs.
    ///
    /// # Panics
    /// When it is poisoned, and as `f` does.
    ///
    /// # Go
    /// `Once.Do`.
    #[inline]
    #[track_caller]
    pub fn call_once(&self, f: impl FnOnce()) {
        if !self.is_done() {
            self.call(Poison::Panics, |_state| f());
        }
    }

    /// As [`call_once`](Once::call_once), also when it is poisoned; which it
    /// is no more if `f` returns.
    ///
    /// # Blocking
    /// As [`call_once`](Once::call_once).
    ///
    /// # Panics
    /// As `f` does.
    #[inline]
    #[track_caller]
    pub fn call_once_force(&self, f: impl FnOnce(&OnceState)) {
        if !self.is_done() {
            self.call(Poison::Passes, f);
        }
    }

    /// Waits until a closure has run.
    ///
    /// # Blocking
    /// Parks; on a plain OS thread it blocks the thread.
    ///
    /// # Panics
    /// When it is poisoned, now or meanwhile.
    #[track_caller]
    pub fn wait(&self) {
        if !self.wait_for_end(Poison::Panics) {
            panic_poisoned();
        }
    }

    /// As [`wait`](Once::wait), and past closures that panic.
    ///
    /// # Blocking
    /// As [`wait`](Once::wait).
    pub fn wait_force(&self) {
        let _done = self.wait_for_end(Poison::Passes);
    }

    #[cold]
    #[inline(never)]
    #[track_caller]
    fn call(&self, poison: Poison, f: impl FnOnce(&OnceState)) {
        checkpoint();
        loop {
            let waiters = self.waiters.lock();
            // ORDER: Acquire: as in `is_done`.
            match self.state.load(Acquire) {
                DONE => return,
                RUNNING => {
                    let entry = Entry::last(Reason::OnceDo, Until::Woken);
                    let _woken = wait(&self.waiters, waiters, entry);
                }
                POISONED if poison == Poison::Panics => {
                    drop(waiters);
                    panic_poisoned();
                }
                state => {
                    // ORDER: Relaxed: under the lock.
                    self.state.store(RUNNING, Relaxed);
                    drop(waiters);
                    let mut ends = Ends(self, POISONED);
                    f(&OnceState {
                        is_poisoned: state == POISONED,
                    });
                    ends.1 = DONE;
                    return;
                }
            }
        }
    }

    /// Whether a closure has run; `false`: it is poisoned.
    fn wait_for_end(&self, poison: Poison) -> bool {
        checkpoint();
        loop {
            let waiters = self.waiters.lock();
            // ORDER: Acquire: as in `is_done`.
            match self.state.load(Acquire) {
                DONE => return true,
                POISONED if poison == Poison::Panics => return false,
                _ => {
                    let entry = Entry::last(Reason::OnceDo, Until::Woken);
                    let _woken = wait(&self.waiters, waiters, entry);
                }
            }
        }
    }
}

/// What to do where a closure has panicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Poison {
    Panics,
    Passes,
}

#[cold]
#[inline(never)]
#[track_caller]
fn panic_poisoned() -> ! {
    panic!("this Once is poisoned: its closure panicked");
}

/// Ends the run of a closure, by its panic too.
struct Ends<'a>(&'a Once, u32);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        let mut waiters = self.0.waiters.lock();
        // ORDER: Release pairs with `is_done`.
        self.0.state.store(self.1, Release);
        let woken = waiters.take_all();
        drop(waiters);
        woken.wake();
    }
}

impl Default for Once {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Once")
            .field("is_completed", &self.is_done())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, raddle_model))]
#[allow(unsafe_code, reason = "what the closure writes")]
mod models {
    use super::{Ends, Once, POISONED, RUNNING};
    use crate::shim::{Relaxed, model};
    use raddle_scheduler::model::loom::cell::UnsafeCell;
    use raddle_scheduler::model::{Arc, spawn};

    struct Shared {
        once: Once,
        value: UnsafeCell<u32>,
    }

    impl Shared {
        fn new() -> Arc<Self> {
            Arc::new(Self {
                once: Once::new(),
                value: UnsafeCell::new(0),
            })
        }

        fn call(&self) {
            self.once.call_once_force(|_state| {
                self.value.with_mut(|value| {
                    // SAFETY: the checker is what proves it.
                    unsafe { *value += 1 }
                });
            });
            self.look();
        }

        fn look(&self) {
            let value = self.value.with(|value| {
                // SAFETY: the checker is what proves it.
                unsafe { *value }
            });
            assert_eq!(value, 1);
        }
    }

    #[test]
    fn it_runs_once_and_all_see_it() {
        model(|| {
            let shared = Shared::new();
            let others = [Shared::call, |it: &Shared| {
                it.once.wait();
                it.look();
            }]
            .map(|other| {
                let shared = shared.clone();
                spawn(move || other(&shared))
            });
            shared.call();
            assert!(shared.once.is_completed());
            for other in others {
                other.join().unwrap();
            }
        });
    }

    /// One closure panics: one who waits runs the next.
    #[test]
    fn a_poisoned_one_is_mended() {
        model(|| {
            let shared = Shared::new();
            // ORDER: Relaxed: nobody else is there yet.
            shared.once.state.store(RUNNING, Relaxed);
            let others = [(); 2].map(|()| {
                let shared = shared.clone();
                spawn(move || shared.call())
            });
            drop(Ends(&shared.once, POISONED));
            for other in others {
                other.join().unwrap();
            }
        });
    }
}
