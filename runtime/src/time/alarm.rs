//! Calls the waker of a future when its time has come.

use crate::start::with_timer_scheduler;
use raddle_scheduler::{Later, Mutex, clock};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Waker;

const NEVER: u64 = u64::MAX;

/// One future's alarm. A time that is put off costs no timer: the one that is
/// set goes off at the old time, sees that it is too early, and is set anew.
/// The timer is of the runtime that polls the future.
///
/// Invariants
/// 1. While a waker is in `set`, a timer is set for `timer_at`, which is no
///    later than `at`, or is about to run and will see both.
/// 2. Timers are set under the lock, so the last that is set is the one that
///    `timer_at` tells of.
pub(crate) struct Alarm(Option<Timer>);

struct Timer {
    later: Arc<Later>,
    set: Arc<Mutex<Set>>,
}

struct Set {
    /// When the future wants to be polled again.
    at: u64,
    /// `NEVER`: none is set.
    timer_at: u64,
    waker: Option<Waker>,
}

impl Alarm {
    pub(crate) fn new() -> Self {
        Self(None)
    }

    /// Whether it is `at` already, in nanoseconds of `clock::now`. If not,
    /// `waker` is called then, instead of what was to be called before.
    pub(crate) fn is_past(&mut self, at: u64, waker: &Waker) -> bool {
        if at <= clock::now() {
            return true;
        }
        // Polled by another runtime than before: that one may end.
        let is_others = |timer: &mut Timer| with_timer_scheduler(|here| !timer.later.is_of(here));
        drop(self.0.take_if(is_others));
        let timer = self.0.get_or_insert_with(Timer::new);
        let mut waker = Some(waker.clone());
        let mut set = timer.set.lock();
        set.at = at;
        std::mem::swap(&mut set.waker, &mut waker);
        if at < set.timer_at {
            set.timer_at = at;
            timer.later.set(at);
        }
        drop(set);
        // The old one, not under the lock: it may be any code.
        drop(waker);
        false
    }
}

impl Timer {
    fn new() -> Self {
        let set = Arc::new(Mutex::new(Set {
            at: NEVER,
            timer_at: NEVER,
            waker: None,
        }));
        let later = with_timer_scheduler(|scheduler| {
            let set = set.clone();
            Later::new(scheduler, move |_, later| go_off(&set, &later))
        });
        Self { later, set }
    }
}

/// The timer's time has come. Runs where timers do: the waker is to be quick,
/// as wakers are.
fn go_off(shared: &Mutex<Set>, later: &Arc<Later>) {
    let mut set = shared.lock();
    if set.waker.is_some() && set.at > clock::now() {
        set.timer_at = set.at;
        later.set(set.at);
        return;
    }
    set.timer_at = NEVER;
    let waker = set.waker.take();
    drop(set);
    if let Some(waker) = waker {
        // Nothing unwinds through the scheduler.
        let _panicked = catch_unwind(AssertUnwindSafe(|| waker.wake()));
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.later.cancel();
        // Not under the lock, as above.
        let waker = self.set.lock().waker.take();
        drop(waker);
    }
}
