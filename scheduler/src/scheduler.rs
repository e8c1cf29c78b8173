//! What the machines of one runtime share, its start and its end.

use crate::clock;
use crate::config::{Config, Debug, MOST_PROCS, OnDeadlock, PanicPolicy};
use crate::deadlock;
use crate::handoff;
use crate::idle::Census;
use crate::goroutine::Runnable;
use crate::injector::Injector;
use crate::machine::{self, Machine, MachineRef, bump};
use crate::monitor::Monitor;
use crate::netpoll::Netpoll;
use crate::park::Due;
use crate::processor::{Call, Processors, Summons};
use crate::roll;
use crate::schedule::{self, Ending};
use crate::spawn::{self, Options};
use crate::starting::Starts;
use crate::shim::fixed::{AtomicBool, AtomicU64, AtomicUsize};
use crate::shim::{AcqRel, Acquire, Mutex, Relaxed, Release};
use crate::table::Table;
use crate::trace;
use std::collections::VecDeque;
use std::io;
use std::panic::{self, Location};
use std::ptr::NonNull;
use std::sync::{Arc, Once, Weak};
use std::thread;
use std::time::Duration;

/// One runtime's scheduler. Freed when its handle is dropped and its last
/// thread has ended; never before its last goroutine.
pub struct Scheduler {
    config: Config,
    stack_size: usize,
    pub(crate) processors: Processors<MachineRef>,
    pub(crate) injector: Injector,
    /// Unstarted goroutines held back while busy machines are over their
    /// number (`admit`).
    pub(crate) held: Mutex<VecDeque<Runnable>>,
    pub(crate) held_len: AtomicUsize,
    /// Machines that run a goroutine without a permit, busy.
    pub(crate) excess: AtomicUsize,
    /// How many unstarted goroutines may begin all the same.
    pub(crate) company: AtomicUsize,
    /// Calls of `blocking` under way in place.
    pub(crate) away: AtomicUsize,
    /// So many of them, at least, have been away for long.
    pub(crate) away_long: AtomicUsize,
    netpoll: Netpoll,
    pub(crate) machines: Table<Arc<Machine>>,
    /// Machines for which no thread was to be had, or whose thread has ended
    /// for want of work: they keep their numbers, and are the first to be
    /// tried again.
    without_thread: Mutex<Vec<Arc<Machine>>>,
    threads: Mutex<Vec<thread::JoinHandle<()>>>,
    /// Nanoseconds, as of the monitor's last tick.
    pub(crate) coarse: AtomicU64,
    /// No machine is called for fresh work before this coarse time.
    pub(crate) next_call: AtomicU64,
    pub(crate) call_gap: AtomicU64,
    spawned_outside: AtomicU64,
    /// Threads of others at work here.
    pub(crate) visitors: AtomicUsize,
    /// Goroutines of timers that are about to be spawned.
    pub(crate) starts: Starts,
    doomed: AtomicBool,
    /// When, by the clock.
    doomed_at: AtomicU64,
    stopping: AtomicBool,
    pub(crate) monitor: Monitor,
}

/// The owner's handle to a scheduler.
pub struct Runtime {
    /// Gone once shut down.
    scheduler: Option<Arc<Scheduler>>,
}

impl Scheduler {
    fn new(config: Config) -> io::Result<Arc<Self>> {
        let processors = config.effective_max_procs();
        let stack_size = config.effective_stack_size();
        crate::overflow::install();
        roll::describe_overflows();
        wrap_panic_hook();
        Ok(Arc::new(Self {
            config,
            stack_size,
            processors: Processors::new(processors),
            injector: Injector::new(),
            held: Mutex::new(VecDeque::new()),
            held_len: AtomicUsize::new(0),
            excess: AtomicUsize::new(0),
            company: AtomicUsize::new(0),
            away: AtomicUsize::new(0),
            away_long: AtomicUsize::new(0),
            netpoll: Netpoll::new()?,
            machines: Table::new(),
            without_thread: Mutex::new(Vec::new()),
            threads: Mutex::new(Vec::new()),
            coarse: AtomicU64::new(clock::now()),
            next_call: AtomicU64::new(0),
            call_gap: AtomicU64::new(0),
            spawned_outside: AtomicU64::new(0),
            visitors: AtomicUsize::new(0),
            starts: Starts::new(),
            doomed: AtomicBool::new(false),
            doomed_at: AtomicU64::new(u64::MAX),
            stopping: AtomicBool::new(false),
            monitor: Monitor::new(),
        }))
    }

    pub(crate) fn ptr(&self) -> NonNull<Self> {
        NonNull::from(self)
    }

    /// The stack size of goroutines that did not ask for another, in bytes.
    pub fn stack_size(&self) -> usize {
        self.stack_size
    }

    /// Whether goroutines move between machines.
    pub fn is_migrating(&self) -> bool {
        self.config.migrate
    }

    pub(crate) fn aborts_on_panic(&self) -> bool {
        self.config.panic == PanicPolicy::Abort
    }

    pub(crate) fn debug(&self) -> &Debug {
        &self.config.debug
    }

    pub(crate) fn on_deadlock(&self) -> OnDeadlock {
        self.config.deadlock
    }

    /// Whether its goroutines note the locks they take (`locks.rs`).
    pub fn checks_locks(&self) -> bool {
        self.config.checks_locks()
    }

    pub(crate) fn max_threads(&self) -> usize {
        self.config.max_threads
    }

    pub(crate) fn is_doomed(&self) -> bool {
        // ORDER: Acquire pairs with `doom`.
        self.doomed.load(Acquire)
    }

    pub(crate) fn has_been_doomed_long(&self) -> bool {
        // ORDER: Relaxed: a time to compare.
        clock::now().saturating_sub(self.doomed_at.load(Relaxed)) > DOOMED_LONG
    }

    pub(crate) fn is_stopping(&self) -> bool {
        // ORDER: Acquire pairs with `stop`.
        self.stopping.load(Acquire)
    }

    pub(crate) fn coarse_ms(&self) -> u32 {
        // ORDER: Relaxed: a time to show.
        u32::try_from(self.coarse.load(Relaxed) / 1_000_000).unwrap_or(u32::MAX)
    }

    /// How many processors there are.
    pub fn max_procs(&self) -> usize {
        self.processors.total()
    }

    /// Changes how many processors there are, at least 1; returns the old
    /// number.
    pub fn set_max_procs(&self, n: usize) -> usize {
        let n = n.clamp(1, MOST_PROCS);
        let (was, wake) = self.processors.set_total(n);
        for machine in wake {
            machine.call();
        }
        for _ in was..n {
            self.call_for_work();
        }
        was
    }

    /// A line for each goroutine that has begun and not ended: id, name, what
    /// it waits for, where it was spawned.
    #[must_use]
    pub fn describe_goroutines(&self) -> Vec<String> {
        roll::all_of(self).iter().map(roll::line).collect()
    }

    /// How many goroutines are alive, the runtime's own helpers apart: from
    /// the spawn until the result is there.
    pub fn num_goroutines(&self) -> usize {
        self.spawned_less(|machine| &machine.ended)
    }

    /// As `num_goroutines`, until nothing of them is left to do.
    pub(crate) fn not_gone(&self) -> usize {
        self.spawned_less(|machine| &machine.gone)
    }

    fn spawned_less(&self, counter: impl Fn(&Machine) -> &AtomicU64) -> usize {
        let machines = &self.machines;
        // Ended ones first: the difference may be too great for a moment,
        // never too small.
        // ORDER: Acquire pairs with `bump`, and so do those below.
        let ended: u64 = machines.iter().map(|m| counter(m).load(Acquire)).sum();
        // ORDER: as above.
        let inside: u64 = machines.iter().map(|m| m.spawned.load(Acquire)).sum();
        // ORDER: as above.
        let spawned = inside + self.spawned_outside.load(Acquire);
        usize::try_from(spawned.saturating_sub(ended)).unwrap_or(usize::MAX)
    }

    pub(crate) fn count_spawned(&self) {
        match machine::here() {
            Some(here) if here.scheduler == self.ptr() => bump(&here.spawned),
            // ORDER: Release pairs with `num_goroutines`.
            _ => drop(self.spawned_outside.fetch_add(1, Release)),
        }
    }

    pub(crate) fn count_ended(&self) {
        match machine::here() {
            Some(here) if here.scheduler == self.ptr() => bump(&here.ended),
            _ => crate::fatal::fatal!("a goroutine ended off its machines"),
        }
    }

    /// Machines that are in the table and have no thread.
    pub(crate) fn without_thread_count(&self) -> usize {
        self.without_thread.lock().len()
    }

    pub(crate) fn netpoll(&self) -> &Netpoll {
        &self.netpoll
    }

    /// There is new work for whoever is free; the caller has put it where a
    /// search finds it. In vain where `max_threads` machines are all stuck.
    pub(crate) fn call_for_work(&self) {
        self.call_for(Summons::Waiting);
    }

    fn call_for(&self, summons: Summons) {
        while self.processors.census.claim_call() {
            match self.processors.call_for_work(summons) {
                Call::Nobody => {
                    // Whoever pushed while we had the claim left it to us.
                    Census::before_second_look();
                    if !self.has_work_for_any() {
                        return;
                    }
                }
                call => return self.answer(call),
            }
        }
    }

    /// Whether goroutines block one after the other, so that the next may as
    /// well: permits are lent ahead, and who takes work takes no more than it
    /// runs, for it would stand behind a call that blocks.
    pub(crate) fn many_are_away(&self) -> bool {
        // ORDER: Relaxed, both: hints.
        self.away.load(Relaxed) > FEW_AWAY + self.away_long.load(Relaxed)
    }

    /// Does what a call for a machine asks for.
    pub(crate) fn answer(&self, call: Call<MachineRef>) {
        match call {
            Call::Nobody => {}
            Call::Wake(machine) => machine.call(),
            Call::Start(summons) => self.start_called(summons),
        }
    }

    /// The clock, for those who do not ask it.
    pub(crate) fn show_time(&self, now: u64) {
        // ORDER: Relaxed, both: a coarse time.
        if now.saturating_sub(self.coarse.load(Relaxed)) >= MIN_GAP {
            self.coarse.store(now, Relaxed);
        }
    }

    /// As `call_for_work`, after a push to the caller's own queue, where it
    /// will come to it by itself: not more often than pays.
    #[inline]
    pub(crate) fn hint_work(&self) {
        if self.processors.census.looks_callable() {
            self.hint_work_slowly();
        }
    }

    #[cold]
    #[inline(never)]
    fn hint_work_slowly(&self) {
        // ORDER: Relaxed: a limit of rate; two callers at once do no harm.
        let now = self.coarse.load(Relaxed);
        // ORDER: as above.
        if now < self.next_call.load(Relaxed) {
            return;
        }
        // ORDER: as above.
        let gap = self.call_gap.load(Relaxed).max(MIN_GAP);
        // ORDER: as above.
        self.next_call.store(now + gap, Relaxed);
        self.call_for(Summons::New);
    }

    /// A machine that was called says whether there was work for it.
    pub(crate) fn was_worth_the_call(&self, found: bool) {
        // ORDER: Relaxed: a limit of rate.
        let gap = self.call_gap.load(Relaxed).max(MIN_GAP);
        let gap = if found { MIN_GAP } else { (gap * 2).min(MAX_GAP) };
        // ORDER: as above.
        self.call_gap.store(gap, Relaxed);
    }

    /// Starts a machine for the permit in the caller's hand, if one is to be
    /// had.
    fn start_called(&self, summons: Summons) {
        let Ok(machine) = self.add_machine() else {
            // As many threads as max_threads allows.
            return self.wake(self.processors.hand_back());
        };
        let reference = MachineRef::of(&machine);
        self.processors.seat_started(&reference, summons);
        if let Err(_out_of_threads) = self.start_thread(&machine) {
            self.wake(self.processors.unseat_started(&reference));
            self.without_thread.lock().push(machine);
        }
    }

    fn wake(&self, machine: Option<MachineRef>) {
        if let Some(machine) = machine {
            machine.call();
        }
    }

    fn start_thread(&self, machine: &Arc<Machine>) -> io::Result<()> {
        let machine = machine.clone();
        trace::start_machine(machine.number);
        // SAFETY: `self` lies in the Arc made by `new`, which a caller in
        // this runtime keeps.
        let scheduler = unsafe { self.to_arc() };
        let thread = thread::Builder::new()
            .name(format!("raddle-{}", machine.number))
            .spawn(move || {
                crate::overflow::on_this_thread();
                let here = machine::become_machine(&machine);
                let ending = schedule::run_or_die(here);
                machine::cease_to_be_machine();
                if let Ending::Retired = ending {
                    scheduler.thread_ended(machine);
                }
                drop(scheduler);
            })?;
        self.threads.lock().push(thread);
        Ok(())
    }

    /// The calling thread was `machine`, which the next that is started
    /// becomes.
    fn thread_ended(&self, machine: Arc<Machine>) {
        trace::end_machine(machine.number);
        self.without_thread.lock().push(machine);
        self.threads.lock().retain(|thread| !thread.is_finished());
        // Who asked meanwhile whether all are asleep left it to us.
        self.monitor.call_if_asleep();
    }

    /// A machine for one goroutine: an idle one that nobody has a home on,
    /// or a new one.
    pub(crate) fn machine_of_its_own(&self) -> io::Result<MachineRef> {
        // ORDER: Relaxed: an idle machine's count stands still.
        let nobody = |machine: &MachineRef| machine.homes.load(Relaxed) == 0;
        if !self.has_another_for_all() {
            return Err(io::Error::other(
                "a thread of its own would be the last that max_threads allows",
            ));
        }
        let machine = match self.processors.claim_own(nobody) {
            Some(machine) => machine,
            None => {
                let machine = self.add_machine()?;
                machine.seat.set_own(true);
                if let Err(error) = self.start_thread(&machine) {
                    machine.seat.set_own(false);
                    self.without_thread.lock().push(machine);
                    return Err(error);
                }
                MachineRef::of(&machine)
            }
        };
        // ORDER: Relaxed: nobody else writes it before the goroutine comes.
        machine.homes.store(1, Relaxed);
        Ok(machine)
    }

    /// Whether somebody is left, or may be started, for all other goroutines
    /// when one more machine is somebody's own.
    fn has_another_for_all(&self) -> bool {
        let own = self.machines.iter().filter(|machine| machine.seat.is_own()).count();
        own + 1 < self.max_threads()
    }

    fn add_machine(&self) -> io::Result<Arc<Machine>> {
        if let Some(machine) = self.without_thread.lock().pop() {
            return Ok(machine);
        }
        let new = |number| Machine::new(number, self.ptr());
        let Some(machine) = self.machines.add(self.max_threads(), new) else {
            return Err(io::Error::other(format!(
                "raddle has {} threads, as many as max_threads allows",
                self.machines.len()
            )));
        };
        Ok(machine.clone())
    }

    /// To reach it as long as it is there.
    pub(crate) fn downgrade(&self) -> Weak<Self> {
        // SAFETY: 1. all lie in the Arc made by `new`; who borrows one is a
        // part of it, or owns one of its handles.
        let this = unsafe { self.to_arc() };
        Arc::downgrade(&this)
    }

    /// # Safety
    /// 1. `self` lies in an Arc that is alive.
    unsafe fn to_arc(&self) -> Arc<Self> {
        // SAFETY: 1.
        unsafe { Arc::increment_strong_count(self) };
        // SAFETY: 1. with the count just added.
        unsafe { Arc::from_raw(self) }
    }

    /// Whether anything is runnable that any machine could take.
    pub(crate) fn has_work_for_any(&self) -> bool {
        !self.injector.is_empty()
            || self.has_held()
            || self.machines.open_from(0).any(|machine| machine.offers_work())
    }

    /// Whether any of that has begun already.
    pub(crate) fn has_started_work(&self) -> bool {
        let offers = |machine: &Arc<Machine>| machine.offers_started_work();
        self.injector.has_started() || self.machines.open_from(0).any(offers)
    }

    /// Whether held goroutines may begin now.
    pub(crate) fn has_held(&self) -> bool {
        // ORDER: Relaxed: the lock decides; before sleep a fence stands
        // between (idle.rs).
        self.held_len.load(Relaxed) > 0 && {
            let free = self.processors.census.free_now();
            // ORDER: Relaxed, both: limits, adjusted every few milliseconds.
            self.excess.load(Relaxed) < free.max(1) || self.company.load(Relaxed) > 0
        }
    }

    /// A machine does not run beside the number any more.
    pub(crate) fn one_less_excess(&self) {
        // ORDER: AcqRel: the last of it lets held goroutines go. One that is
        // held in this very moment waits for the next `take_held`, or for the
        // monitor.
        if self.excess.fetch_sub(1, AcqRel) == 1 {
            self.release_held();
        } else if self.has_held() {
            self.call_for_work();
        }
    }

    /// Whether as many machines are busy as there are processors, counting
    /// those that run without a permit; asked by one that has one.
    pub(crate) fn is_full(&self) -> bool {
        // ORDER: Relaxed: a limit, adjusted every few milliseconds.
        self.excess.load(Relaxed) > self.processors.census.free_now() && !self.is_doomed()
    }

    /// Whether `runnable` may begin: started ones always; while machines run
    /// without a permit, others only as the monitor gives leave, so that a
    /// thousand busy goroutines do not become a thousand threads.
    #[inline]
    pub(crate) fn admit(&self, runnable: Runnable) -> Option<Runnable> {
        // ORDER: Relaxed: a limit, adjusted every few milliseconds.
        if self.excess.load(Relaxed) == 0 {
            return Some(runnable);
        }
        self.admit_slowly(runnable)
    }

    #[cold]
    #[inline(never)]
    fn admit_slowly(&self, runnable: Runnable) -> Option<Runnable> {
        if runnable.header().has_started() || !self.is_full() || self.take_company() {
            return Some(runnable);
        }
        let mut held = self.held.lock();
        held.push_back(runnable);
        // ORDER: Release: counted under the lock.
        self.held_len.store(held.len(), Release);
        None
    }

    /// Whether the calling machine may begin one although it is full. A leave
    /// is good for a slice, and for another if the machine asks again right
    /// after it: so that short ones need not wait for one each, and one that is
    /// longer uses it up by itself.
    fn take_company(&self) -> bool {
        let Some(here) = machine::here() else {
            return false;
        };
        let until = &here.own().leave_until;
        let now = clock::now();
        if now < until.get() {
            return true;
        }
        if now - until.get() < LEAVE_GOES_ON {
            until.set(now + LEAVE);
            return true;
        }
        // ORDER: AcqRel, Relaxed: a count of leaves, nothing hangs on it.
        let leave = |n: usize| n.checked_sub(1);
        let has_leave = self.company.try_update(AcqRel, Relaxed, leave).is_ok();
        if has_leave {
            until.set(now + LEAVE);
        }
        has_leave
    }

    /// One that was held back and may begin now.
    pub(crate) fn take_held(&self) -> Option<Runnable> {
        // ORDER: Relaxed: mostly none.
        if self.held_len.load(Relaxed) == 0 {
            return None;
        }
        if !self.is_full() {
            // All of them, so that the next is found like anybody.
            self.release_held();
            return self.injector.take();
        }
        if !self.take_company() {
            return None;
        }
        let mut held = self.held.lock();
        let oldest = held.pop_front();
        // ORDER: Release: counted under the lock.
        self.held_len.store(held.len(), Release);
        oldest
    }
}

/// The panic hook of the program runs as the OS thread: in the middle of it
/// std lets no other panic begin on the thread, so nobody else may run there.
/// Once a process; a hook set later is not wrapped.
fn wrap_panic_hook() {
    static ONCE: Once = Once::new();
    if thread::panicking() {
        return;
    }
    ONCE.call_once(|| {
        let hook = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            machine::note_panic();
            let _as_thread = machine::AsThread::begin();
            hook(info);
        }));
    });
}

/// After this a goroutine is ended even where a panic under way may be its
/// own; in nanoseconds.
const DOOMED_LONG: u64 = 500_000_000;
/// How long a machine may begin goroutines on one leave, in nanoseconds.
const LEAVE: u64 = 10_000_000;
/// Who asks again so soon after its end has begun none that was long.
const LEAVE_GOES_ON: u64 = 1_000_000;
/// More machines than this in calls that block are many, those apart that
/// have been in one for long.
const FEW_AWAY: usize = 4;
/// The least and the most time between two calls for fresh work.
const MIN_GAP: u64 = 200_000;
const MAX_GAP: u64 = 10_000_000;

impl Runtime {
    /// Builds a scheduler; machines start as work comes.
    ///
    /// # Errors
    /// What the operating system says when it refuses a thread or a
    /// descriptor.
    pub fn new(config: Config) -> io::Result<Self> {
        let scheduler = Scheduler::new(config)?;
        deadlock::register(&scheduler);
        scheduler.monitor.start(&scheduler)?;
        Ok(Self {
            scheduler: Some(scheduler),
        })
    }

    /// The scheduler itself.
    #[must_use]
    pub fn scheduler(&self) -> &Arc<Scheduler> {
        match &self.scheduler {
            Some(scheduler) => scheduler,
            None => crate::fatal::fatal!("a runtime was used after its shutdown"),
        }
    }

    /// The calling thread becomes a machine, whose first goroutine runs `f`
    /// and then `after` (told whether `f` panicked), and runs goroutines
    /// until the process ends.
    pub fn run_here<F, D>(
        &self,
        site: &'static Location<'static>,
        options: Options,
        f: F,
        after: D,
    ) -> !
    where
        F: FnOnce() + Send + 'static,
        D: FnOnce(bool) + Send + 'static,
    {
        let scheduler = self.scheduler();
        match scheduler.add_machine() {
            Ok(machine) => {
                crate::overflow::on_this_thread();
                let here = machine::become_machine(&machine);
                let _has_one = machine.keep_thread();
                // SAFETY: 1. and 2. by the bounds; 3. it is never dropped
                // while we run.
                let first = unsafe { spawn::spawn_here(here, site, options, f, after) };
                drop(first);
                let _stopped = schedule::run_or_die(here);
            }
            Err(error) => crate::fatal::fatal!("no first machine: {error}"),
        }
        crate::fatal::fatal!("the default runtime was stopped")
    }

    /// Dooms every goroutine and waits for their end, for `grace` at most
    /// (for ever if none; then a line is printed after a second). Returns how
    /// many are left: they are leaked, with their threads.
    pub fn shut_down(mut self, grace: Option<Duration>) -> usize {
        self.scheduler
            .take()
            .map_or(0, |scheduler| shut_down(scheduler, grace))
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        if let Some(scheduler) = self.scheduler.take() {
            let _left = shut_down(scheduler, None);
        }
    }
}

fn shut_down(scheduler: Arc<Scheduler>, grace: Option<Duration>) -> usize {
    let is_own = |here: machine::Here| {
        here.scheduler == scheduler.ptr() && !here.own().current.get().is_null()
    };
    let inside = machine::here().is_some_and(is_own) || handoff::is_helping(&scheduler);
    assert!(
        !inside,
        "a Runtime was dropped by one of its own goroutines, which it would wait for"
    );
    // ORDER: Relaxed: a time to compare.
    scheduler.doomed_at.store(clock::now(), Relaxed);
    // ORDER: Release: who sees the doom sees what came before it.
    scheduler.doomed.store(true, Release);
    let begin = clock::now();
    let mut warned = false;
    loop {
        // Again and again: a goroutine that parks behind our back is found
        // by the next round.
        roll::doom_all(&scheduler);
        // And those who are never found parked, as they wake one another.
        for machine in scheduler.machines.iter() {
            // ORDER: Relaxed: a hint.
            machine.is_slice_over.store(true, Relaxed);
        }
        scheduler.release_held();
        // First, for who starts no more has been counted.
        let may_start = scheduler.starts.may_come();
        let left = scheduler.not_gone();
        if left == 0 && !may_start {
            break;
        }
        let waited = Duration::from_nanos(clock::now() - begin);
        if grace.is_some_and(|grace| waited >= grace) {
            // Their stacks, their threads and all of this stay.
            std::mem::forget(scheduler);
            return left;
        }
        if grace.is_none() && !warned && waited > Duration::from_secs(1) {
            warned = true;
            eprintln!("raddle: dropping a Runtime waits for {left} goroutines that do not end:");
            for goroutine in roll::all_of(&scheduler) {
                eprintln!("  {}", roll::line(&goroutine));
            }
        }
        thread::sleep(Duration::from_micros(if waited < Duration::from_millis(5) {
            50
        } else {
            1000
        }));
    }
    scheduler.stop();
    0
}

impl Scheduler {
    /// Nobody runs beside the number any more, or all are to end: nobody is
    /// held back.
    pub(crate) fn release_held(&self) {
        // ORDER: Relaxed: mostly none; one that is held a moment later is
        // found by `take_held`.
        if self.held_len.load(Relaxed) == 0 {
            return;
        }
        let held: Vec<_> = {
            let mut held = self.held.lock();
            // ORDER: Release: counted under the lock.
            self.held_len.store(0, Release);
            held.drain(..).collect()
        };
        for runnable in held {
            self.injector.push(runnable);
        }
        self.call_for_work();
    }

    /// Ends every thread. No goroutine is left. What was to start later is
    /// left to its heir.
    fn stop(&self) {
        deadlock::unregister(self);
        // ORDER: Release pairs with `is_stopping`.
        self.stopping.store(true, Release);
        self.monitor.call();
        let threads = std::mem::take(&mut *self.threads.lock());
        for machine in self.machines.iter() {
            machine.call();
        }
        for thread in threads {
            let _ended = thread.join();
        }
        self.monitor.join();
        // ORDER: Acquire pairs with the end of a visit.
        while self.visitors.load(Acquire) != 0 {
            thread::yield_now();
        }
        for machine in self.machines.iter() {
            for due in machine.take_laters() {
                if let Due::Start(later) = due {
                    later.outlive();
                }
            }
        }
    }
}

/// Runs `f` with the scheduler of the calling goroutine, if one calls. `f`
/// must not park.
#[inline]
pub fn with_current_scheduler<R>(f: impl FnOnce(Option<&Scheduler>) -> R) -> R {
    let here = machine::here().filter(|here| !here.own().current.get().is_null());
    f(here.as_ref().map(|here| here.scheduler()))
}
