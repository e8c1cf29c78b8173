//! Goroutines that start at some time, and do not exist before.
//!
//! A timer of a machine's holds a count of the [`Later`]; whoever runs the
//! timer starts the goroutine, on the scheduler to which the machine belongs.

use crate::machine::{self, MachineRef};
use crate::park::Alarm;
use crate::schedule::Visit;
use crate::scheduler::Scheduler;
use crate::shim::fixed::fence;
use crate::shim::{Mutex, SeqCst};
use crate::spawn;
use crate::timers::Key;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::ptr;
use std::sync::{Arc, Weak};

/// What starts goroutines, on the scheduler that is named. Called on the
/// stack of whoever runs timers: it spawns, and does nothing else.
type Start = Box<dyn Fn(&Scheduler, Arc<Later>) + Send + Sync>;

/// A scheduler that never ends, if there is one to be had. Called on any
/// thread; it may start one.
pub type Heir = fn() -> Option<&'static Scheduler>;

/// A goroutine to be started at some time, perhaps again and again.
///
/// Invariants
/// 1. Each timer that is set and has not ended owns a count of this: who
///    takes the timer out, or runs it, owns the count from then on.
/// 2. `timer` is the last that was set; its key removes nothing when it has
///    ended.
pub struct Later {
    scheduler: Weak<Scheduler>,
    timer: Mutex<Option<(MachineRef, Key)>>,
    start: Start,
    heir: Option<Heir>,
}

impl Later {
    /// Nothing is set yet. `scheduler` is that of the goroutines to come.
    ///
    /// `start` spawns, on the scheduler it is given, and neither waits nor
    /// panics. It gets a count to be dropped in the goroutine: so what it
    /// owns is not dropped where nobody may wait.
    #[must_use]
    pub fn new<F>(scheduler: &Scheduler, start: F) -> Arc<Self>
    where
        F: Fn(&Scheduler, Arc<Later>) + Send + Sync + 'static,
    {
        Self::with(scheduler, None, start)
    }

    /// As `new`, of one that outlives `scheduler`. When that ends, `start` is
    /// called with the heir, though the time may not have come: the goroutine
    /// it spawns is to look.
    #[must_use]
    pub fn with_heir<F>(scheduler: &Scheduler, heir: Heir, start: F) -> Arc<Self>
    where
        F: Fn(&Scheduler, Arc<Later>) + Send + Sync + 'static,
    {
        Self::with(scheduler, Some(heir), start)
    }

    fn with<F>(scheduler: &Scheduler, heir: Option<Heir>, start: F) -> Arc<Self>
    where
        F: Fn(&Scheduler, Arc<Later>) + Send + Sync + 'static,
    {
        Arc::new(Self {
            scheduler: scheduler.downgrade(),
            timer: Mutex::new(None),
            start: Box::new(start),
            heir,
        })
    }

    /// Whether it starts goroutines of this scheduler.
    #[must_use]
    pub fn is_of(&self, scheduler: &Scheduler) -> bool {
        ptr::eq(self.scheduler.as_ptr(), scheduler)
    }

    /// Starts it at `deadline`, and not when it was to start before. Whether
    /// it was to. Does nothing when the scheduler has ended.
    pub fn set(self: &Arc<Self>, deadline: u64) -> bool {
        let Some(scheduler) = self.scheduler.upgrade() else {
            return false;
        };
        // Before the lock: this may wait.
        let Some(machine) = some_machine(&scheduler) else {
            return self.cancel();
        };
        let mut timer = self.timer.lock();
        let here = timer.filter(|(at, _)| *at == machine);
        let anew = here.and_then(|(_, key)| machine.timers.set_anew(key, deadline));
        let was_set;
        let (key, is_earliest) = if let Some(anew) = anew {
            was_set = true;
            anew
        } else {
            was_set = timer.take().is_some_and(|timer| self.remove(timer));
            let alarm = Alarm::of_later(self.clone());
            machine.timers.add(deadline, alarm)
        };
        *timer = Some((machine, key));
        drop(timer);
        if is_earliest && machine::here().is_none_or(|here| here.machine() != machine) {
            // ORDER: between the timer and the look at who sleeps; a machine
            // says that it will sleep and then looks at its timers.
            fence(SeqCst);
            machine.call();
            // If the machine is stuck, the monitor runs its timers.
            scheduler.monitor.call_if_asleep();
        }
        was_set
    }

    /// Starts it no more. Whether it was to.
    pub fn cancel(self: &Arc<Self>) -> bool {
        let Some(_scheduler) = self.scheduler.upgrade() else {
            return false;
        };
        let timer = self.timer.lock().take();
        timer.is_some_and(|timer| self.remove(timer))
    }

    /// Takes out a timer of ours; the scheduler is alive.
    fn remove(self: &Arc<Self>, (machine, key): (MachineRef, Key)) -> bool {
        let was_there = machine.timers.remove(key);
        if was_there {
            // SAFETY: invariant 1: the timer's count, now ours.
            unsafe { Arc::decrement_strong_count(Arc::as_ptr(self)) };
        }
        was_there
    }

    /// Starts it now, beside what is set.
    pub fn start_now(self: &Arc<Self>) {
        self.clone().start();
    }

    /// Starts it; on the heir, if its scheduler is ending.
    pub(crate) fn start(self: Arc<Self>) {
        if !self.start_at_home() {
            self.start_on_heir();
        }
        // Mostly not the last count.
        let _panicked = catch_unwind(AssertUnwindSafe(|| drop(self)));
    }

    /// Its scheduler ends, and has no goroutine left; this was set and has
    /// been taken out.
    pub(crate) fn outlive(self: Arc<Self>) {
        self.start_on_heir();
        let _panicked = catch_unwind(AssertUnwindSafe(|| drop(self)));
    }

    /// Whether its scheduler is not ending.
    fn start_at_home(self: &Arc<Self>) -> bool {
        let Some(scheduler) = self.scheduler.upgrade() else {
            return false;
        };
        let _visit = Visit::begin(&scheduler);
        let starting = scheduler.starts.begin();
        let is_ending = scheduler.is_doomed();
        if !is_ending {
            (self.start)(&scheduler, self.clone());
        }
        drop(starting);
        !is_ending
    }

    fn start_on_heir(self: &Arc<Self>) {
        if let Some(scheduler) = self.heir.and_then(|heir| heir()) {
            (self.start)(scheduler, self.clone());
        }
    }
}

/// The caller's machine or, from outside, one that has a thread: the first
/// goroutine of all starts one. Its thread stays, for it has timers that it
/// did not set itself. None: the scheduler is ending.
fn some_machine(scheduler: &Scheduler) -> Option<MachineRef> {
    if let Some(here) = machine::here()
        && here.scheduler == scheduler.ptr()
    {
        return Some(here.machine());
    }
    while !scheduler.is_doomed() {
        let mut machines = scheduler.machines.iter();
        if let Some(machine) = machines.find(|machine| machine.keep_thread()) {
            return Some(MachineRef::of(machine));
        }
        let site = Location::caller();
        // SAFETY: 1. and 2. nothing is borrowed. 3. the caller keeps it.
        let join = unsafe { spawn::spawn(scheduler, site, || {}, |_| {}) };
        let _started = join.join();
    }
    None
}
