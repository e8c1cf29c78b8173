//! Rescues what waits behind stuck machines.
//!
//! One thread a runtime. It looks at every machine's tick now and then: a
//! tick that has not moved while a goroutine runs means that the goroutine
//! has not come by the scheduler since, be it in a system call, on a lock of
//! std's, in foreign code or in a loop. If work waits that the machine's
//! permit could run, the permit goes on to another machine:
//!
//! - of a *blocked* machine (its thread's CPU clock stands still, and the
//!   kernel does not call it runnable) at once, and when many block one after
//!   the other, to twice as many machines each time;
//! - of a *busy* one after a slice of 10 ms. For a goroutine that has begun
//!   this is all it waits, unless many machines run on without a permit
//!   already. For one that has not, each such machine makes it wait 10 ms
//!   longer, and others stay out meanwhile, so a thousand busy goroutines do
//!   not become a thousand threads.
//!
//! It sleeps while no processor is in use.

use crate::blocks;
use crate::clock;
use crate::deadlock;
use crate::find_work;
use crate::machine::{Machine, MachineRef, OsThread, take_flag};
use crate::schedtrace::SchedTrace;
use crate::scheduler::Scheduler;
use crate::stack;
use crate::netpoll::{Caller, Ready};
use crate::shim::fixed::{AtomicU32, fence};
use crate::shim::{AcqRel, Mutex, Relaxed, Release, SeqCst};
use crate::stuck_watch::StuckWatch;
use crate::threads::Known;
use crate::trace;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

/// A goroutine may run so long before its next call yields, in nanoseconds.
/// Go's figure.
const SLICE: u64 = 10_000_000;
/// The shortest and longest pause between two looks.
const PAUSE_LEAST: u64 = 20_000;
const PAUSE_MOST: u64 = 1_000_000;
/// The longest while somebody waits behind a machine that stands still.
const PAUSE_SUSPECT: u64 = 250_000;
/// One that nothing was done about for so long, for want of a thread at the
/// cap mostly, does not shorten the pause any more.
const SUSPECT_FOR: u64 = 4 * SLICE;
/// A thread that waits for a CPU is not asked about for so long: the system
/// lets others have it for some milliseconds.
const ASK_EVERY: u64 = 1_000_000;
/// How long all must have been idle before the monitor sleeps.
const LINGER: u64 = 10_000_000;
/// Looks without a rescue before the pause grows.
const QUIET_LOOKS: u32 = 50;
/// With fewer machines than this beside their number, goroutines that have
/// begun wait a slice and no longer.
const FEW_EXCESS: u64 = 8;
/// The most machines lent a permit in one burst.
const BURST_MOST: usize = 64;
/// A call of `blocking` that takes so long is a long one, and twice that
/// certainly.
const AWAY_LONG: u64 = 100_000_000;
/// After so long on end a goroutine that polls yields at each poll, and all
/// others of its machine do, for so long.
const URGENT_AFTER: u64 = 100_000_000;
const URGENT_FOR: u64 = 1_000_000_000;

/// Stacks that nobody asked for during so long give their memory back.
const TRIM_EVERY: u64 = 1_000_000_000;
/// Stacks of an idle process do after this.
const TRIM_AFTER: u64 = 300_000_000;

const AWAKE: u32 = 0;
const ASLEEP: u32 = 1;
/// In the netpoller.
const AT_POLL: u32 = 2;

pub(crate) struct Monitor {
    /// Whether it sleeps until called.
    state: AtomicU32,
    thread: OnceLock<Thread>,
    poll: OnceLock<Caller>,
    handle: Mutex<Option<JoinHandle<()>>>,
}

impl Monitor {
    pub(crate) fn new() -> Self {
        Self {
            state: AtomicU32::new(AWAKE),
            thread: OnceLock::new(),
            poll: OnceLock::new(),
            handle: Mutex::new(None),
        }
    }

    pub(crate) fn start(&self, scheduler: &Arc<Scheduler>) -> io::Result<()> {
        let _first = self.poll.set(scheduler.netpoll().caller());
        let watched = scheduler.clone();
        let handle = thread::Builder::new()
            .name("raddle-monitor".into())
            .spawn(move || {
                let known = Known::introduce();
                let watch = AssertUnwindSafe(|| Watch::new(&watched, &known).run());
                if catch_unwind(watch).is_err() {
                    crate::fatal::fatal!("a panic ended the monitor");
                }
                known.forget();
            })?;
        let _first = self.thread.set(handle.thread().clone());
        *self.handle.lock() = Some(handle);
        Ok(())
    }

    /// Whether it sleeps and has not been called.
    pub(crate) fn is_asleep(&self) -> bool {
        // ORDER: SeqCst, rare.
        self.state.load(SeqCst) != AWAKE
    }

    /// A machine has a permit that it took or was given just now: the monitor
    /// must not sleep. On every such way, or stuck machines stay unseen.
    #[inline]
    pub(crate) fn call_if_asleep(&self) {
        // ORDER: Relaxed: the lock of the book orders this after the
        // machine's permit; see `sleep_while_idle`.
        if self.state.load(Relaxed) != AWAKE {
            self.call();
        }
    }

    #[cold]
    pub(crate) fn call(&self) {
        // ORDER: SeqCst, rare.
        let was = self.state.swap(AWAKE, SeqCst);
        if was == AT_POLL
            && let Some(poll) = self.poll.get()
        {
            poll.call();
        }
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    pub(crate) fn join(&self) {
        let handle = self.handle.lock().take();
        if let Some(handle) = handle {
            let _ended = handle.join();
        }
    }
}

/// What was seen of one machine.
#[derive(Clone, Copy, Default)]
struct Seen {
    tick: u64,
    since: u64,
    /// What its thread had used of the CPU by then, if that was asked.
    cpu: Option<u64>,
    at: u64,
    /// Until when polls on it yield.
    urgent_until: u64,
    /// Until when its thread counts as waiting for a CPU, since it was found
    /// to.
    runnable_until: u64,
}

struct Watch<'a> {
    scheduler: &'a Scheduler,
    known: &'a Known,
    /// By the machines' numbers.
    seen: Vec<Seen>,
    pause: u64,
    quiet: u32,
    idle_since: Option<u64>,
    /// No company of an unstarted goroutine before this.
    next_company: u64,
    /// None of one that has begun before this.
    next_started: u64,
    /// How many machines the next blocked one is worth.
    burst: usize,
    last_blocked: u64,
    /// The fewest that were in calls of `blocking` since then.
    away_least: usize,
    away_since: u64,
    trimmed_at: u64,
    trace: SchedTrace,
    stuck: StuckWatch,
}

impl<'a> Watch<'a> {
    fn new(scheduler: &'a Scheduler, known: &'a Known) -> Self {
        let debug = scheduler.debug();
        Self {
            scheduler,
            known,
            seen: Vec::new(),
            pause: PAUSE_LEAST,
            quiet: 0,
            idle_since: None,
            next_company: 0,
            next_started: 0,
            burst: 0,
            last_blocked: 0,
            away_least: 0,
            away_since: 0,
            trimmed_at: clock::now(),
            trace: SchedTrace::new(debug.schedtrace),
            stuck: StuckWatch::new(debug),
        }
    }

    fn run(&mut self) {
        set_timer_slack();
        while !self.scheduler.is_stopping() {
            thread::park_timeout(Duration::from_nanos(self.pause));
            let now = clock::now();
            // ORDER: Relaxed: a coarse time.
            self.scheduler.coarse.store(now, Relaxed);
            if now - self.trimmed_at >= TRIM_EVERY {
                self.trimmed_at = now;
                let _bytes = stack::trim_unused() + blocks::sweep_unused();
            }
            self.trace.print_if_due(self.scheduler, now);
            // Also while all are idle: none of them need sleep there.
            self.scheduler.netpoll().look_for_machines(now).tell();
            deadlock::report_lock_cycles();
            if self.is_idle() {
                self.sleep_while_idle(now);
                continue;
            }
            self.idle_since = None;
            self.look(now);
        }
        self.stuck.end(self.scheduler, clock::now());
    }

    fn is_idle(&self) -> bool {
        // ORDER: Relaxed: looked at again.
        self.scheduler.excess.load(Relaxed) == 0
            && self.scheduler.processors.are_all_free()
            && !self.scheduler.has_work_for_any()
            && !(self.stuck.prints() && self.scheduler.machines.iter().any(|m| m.tick() % 2 == 1))
    }

    /// The first timer of a machine that is stuck without a permit: while all
    /// else is idle nobody but us would run it.
    fn first_stuck_timer(&self) -> u64 {
        self.scheduler
            .machines
            .iter()
            .filter(|machine| machine.tick() % 2 == 1 && !machine.seat.has_permit())
            .map(|machine| machine.timers.earliest())
            .min()
            .unwrap_or(u64::MAX)
    }

    /// Sleeps once all has been idle for a while. A machine that gets a
    /// permit does so under the lock of the book and then looks at our
    /// state; we write the state and then look into the book.
    fn sleep_while_idle(&mut self, now: u64) {
        let since = *self.idle_since.get_or_insert(now);
        self.pause = PAUSE_MOST;
        if now - since < LINGER {
            return;
        }
        let state = &self.scheduler.monitor.state;
        // ORDER: SeqCst, rare; the lock in `is_idle` comes after.
        state.store(ASLEEP, SeqCst);
        // Whatever it does meanwhile wakes nobody, but for stuck timers, of
        // which there are none while all machines are idle.
        self.known.lie_down();
        let mut trim_at = clock::now() + TRIM_AFTER;
        let mut proof = deadlock::Proof::new();
        let mut ready = Ready::none();
        // ORDER: SeqCst, rare.
        while state.load(SeqCst) == ASLEEP && !self.scheduler.is_stopping() && self.is_idle() {
            if proof.due_at() <= clock::now() {
                proof.attempt();
            }
            let timer = self.first_stuck_timer();
            let deadline = timer.min(trim_at).min(proof.due_at());
            ready = self.sleep_until(deadline.min(self.trace.due_at()));
            if !ready.is_empty() {
                break;
            }
            let now = clock::now();
            self.trace.print_if_due(self.scheduler, now);
            if timer <= now {
                for machine in self.scheduler.machines.iter() {
                    if machine.tick() % 2 == 1 {
                        let _any = find_work::run_timers_of(machine, now);
                    }
                }
                break;
            }
            if trim_at <= now {
                let _bytes = stack::trim_shared() + blocks::sweep();
                trim_at = u64::MAX;
            }
        }
        self.known.get_up();
        // ORDER: as above.
        state.store(AWAKE, SeqCst);
        ready.tell();
        self.idle_since = None;
        self.pause = PAUSE_LEAST;
        self.quiet = 0;
        // ORDER: Relaxed: a coarse time.
        self.scheduler.coarse.store(clock::now(), Relaxed);
    }

    /// Until called or `deadline`, or in the netpoller, if it is in use and no
    /// machine sleeps there, until something is ready.
    fn sleep_until(&self, deadline: u64) -> Ready {
        // ORDER: the state that says so was stored: before the looks below.
        fence(SeqCst);
        let netpoll = self.scheduler.netpoll();
        if netpoll.is_used() && netpoll.try_take_role() {
            let state = &self.scheduler.monitor.state;
            // ORDER: SeqCst, both, rare. A failure: called, so no sleep.
            let may_sleep = state.compare_exchange(ASLEEP, AT_POLL, SeqCst, SeqCst);
            let ready = match may_sleep {
                Ok(_) => netpoll.wait(deadline),
                Err(_called) => Ready::none(),
            };
            // ORDER: as above; a failure: called.
            let _stays = state.compare_exchange(AT_POLL, ASLEEP, SeqCst, SeqCst);
            netpoll.leave_role();
            return ready;
        }
        if deadline == u64::MAX {
            thread::park();
        } else {
            let left = deadline.saturating_sub(clock::now());
            thread::park_timeout(Duration::from_nanos(left));
        }
        Ready::none()
    }

    fn look(&mut self, now: u64) {
        let scheduler = self.scheduler;
        let mut rescued = 0;
        let mut suspects = 0;
        let work = scheduler.has_work_for_any();
        let is_callable = work && scheduler.processors.census.looks_callable();
        if is_callable {
            // That nobody had come for it is no sign that machines block, so
            // the next look need not be sooner.
            scheduler.call_for_work();
        }
        for machine in scheduler.machines.iter() {
            match self.look_at(machine, now) {
                Finding::Moves => {}
                Finding::Suspect => suspects += 1,
                Finding::Rescued => rescued += 1,
            }
        }
        self.give_company(now);
        self.count_long_away(now);
        if now - self.last_blocked > SLICE {
            self.burst = 0;
        }
        self.adjust_pause(rescued > 0, suspects > 0);
    }

    fn adjust_pause(&mut self, rescued: bool, suspects: bool) {
        if rescued {
            self.quiet = 0;
            self.pause = PAUSE_LEAST;
            return;
        }
        self.quiet += 1;
        if self.quiet > QUIET_LOOKS {
            let most = if suspects {
                PAUSE_SUSPECT
            } else {
                PAUSE_MOST
            };
            let most = most.min(self.stuck.longest_pause().max(PAUSE_LEAST));
            self.pause = (self.pause * 2).min(most);
        }
    }

    fn look_at(&mut self, machine: &Arc<Machine>, now: u64) -> Finding {
        let tick = machine.tick();
        let is_asked = self.stuck.prints() || matters_whether_busy(machine);
        let cpu = if tick % 2 == 1 && is_asked {
            cpu_time(machine)
        } else {
            None
        };
        if self.seen.len() <= machine.number {
            self.seen.resize(machine.number + 1, Seen::default());
        }
        let seen = &mut self.seen[machine.number];
        let before = *seen;
        seen.at = now;
        seen.cpu = cpu;
        if seen.urgent_until != 0 && seen.urgent_until <= now {
            seen.urgent_until = 0;
            // ORDER: Relaxed: a hint.
            machine.is_urgent.store(false, Relaxed);
        }
        if seen.tick != tick || tick.is_multiple_of(2) {
            *seen = Seen {
                tick,
                since: now,
                runnable_until: 0,
                ..*seen
            };
            self.stuck.saw_move(self.scheduler, machine, now, cpu);
            return Finding::Moves;
        }
        let stuck = now - before.since;
        if stuck >= SLICE {
            // ORDER: Relaxed: a hint.
            machine.is_slice_over.store(true, Relaxed);
        }
        if stuck >= URGENT_AFTER && seen.urgent_until == 0 {
            seen.urgent_until = now + URGENT_FOR;
            // ORDER: Relaxed: a hint.
            machine.is_urgent.store(true, Relaxed);
        }
        if machine.timers.earliest() <= now {
            find_work::run_timers_of(machine, now);
        }
        let scheduler = self.scheduler;
        self.stuck.saw_stuck(scheduler, machine, tick, stuck, cpu);
        let looked = now - before.at;
        let stands_still = cpu
            .zip(before.cpu)
            .is_some_and(|(cpu, before)| cpu.saturating_sub(before) * 8 < looked);
        if !machine.seat.has_permit() {
            let is_blocked = || stands_still && !is_runnable(machine);
            return self.take_its_work(machine, is_blocked);
        }
        let is_wanted = scheduler.processors.is_wanted() || scheduler.has_work_for_any();
        let suspect = Finding::suspect(stuck);
        if !is_wanted || scheduler.processors.census.looks_free() {
            return suspect;
        }
        if machine.is_in_blocking_call() {
            return self.retake_blocked(machine, tick, now, stuck);
        }
        if stands_still {
            // Where others want the CPUs too this is asked at many looks.
            if now >= before.runnable_until {
                if !is_runnable(machine) {
                    return self.retake_blocked(machine, tick, now, stuck);
                }
                self.seen[machine.number].runnable_until = now + ASK_EVERY;
            }
            if stuck < SLICE {
                return Finding::Moves;
            }
        }
        // At the look before this one it was told, and has not heard: a
        // goroutine whose calls hear of it yields, and needs nobody beside it.
        if before.at.saturating_sub(before.since) < SLICE {
            return suspect;
        }
        if now >= self.next_started
            && (scheduler.processors.is_wanted() || scheduler.has_started_work())
        {
            return self.retake_busy(machine, tick, now, stuck, For::Started);
        }
        if now >= self.next_company {
            return self.retake_busy(machine, tick, now, stuck, For::Unstarted);
        }
        suspect
    }

    /// What a stuck machine without a permit has to offer goes to all: those
    /// who have permits may never come to search. And one that has blocked
    /// since does not run beside the number any more.
    fn take_its_work(&self, machine: &Machine, is_blocked: impl Fn() -> bool) -> Finding {
        let scheduler = self.scheduler;
        // ORDER: Relaxed: `take_flag` decides.
        if machine.is_excess.load(Relaxed) && is_blocked() && take_flag(&machine.is_excess) {
            scheduler.one_less_excess();
        }
        if !scheduler.machines.is_open(machine.number) || !machine.offers_work() {
            return Finding::Moves;
        }
        while let Some(runnable) = find_work::steal_any(machine) {
            scheduler.injector.push(runnable);
        }
        scheduler.call_for_work();
        Finding::Rescued
    }

    fn retake_blocked(
        &mut self,
        machine: &Arc<Machine>,
        tick: u64,
        now: u64,
        stuck: u64,
    ) -> Finding {
        let scheduler = self.scheduler;
        let still = || machine.tick() == tick;
        if !scheduler.processors.retake(&MachineRef::of(machine), still) {
            return Finding::Moves;
        }
        trace::retake(machine.number, true, Duration::from_nanos(stuck));
        self.last_blocked = now;
        self.place();
        // Many block one after the other: the next permits are lent ahead.
        for _ in 0..self.burst {
            if !scheduler.has_work_for_any() {
                break;
            }
            scheduler.answer(scheduler.processors.lend());
        }
        self.burst = (self.burst * 2).clamp(1, BURST_MOST);
        Finding::Rescued
    }

    fn retake_busy(
        &mut self,
        machine: &Arc<Machine>,
        tick: u64,
        now: u64,
        stuck: u64,
        whom: For,
    ) -> Finding {
        let scheduler = self.scheduler;
        // Counted before it can come back and uncount itself.
        // ORDER: AcqRel: see `admit`.
        let excess = scheduler.excess.fetch_add(1, AcqRel) + 1;
        // ORDER: Release pairs with `take_flag`.
        machine.is_excess.store(true, Release);
        let still = || machine.tick() == tick;
        if !scheduler.processors.retake(&MachineRef::of(machine), still) {
            if take_flag(&machine.is_excess) {
                scheduler.one_less_excess();
            }
            return Finding::Moves;
        }
        trace::retake(machine.number, false, Duration::from_nanos(stuck));
        match whom {
            For::Started => self.next_started = now + SLICE * (excess as u64 / FEW_EXCESS),
            For::Unstarted => {
                self.next_company = now + SLICE * (1 + excess as u64);
                // The first to run beside the number ends what all machines
                // were free to do: each may begin one more.
                let leaves = if excess == 1 { scheduler.max_procs() } else { 1 };
                // ORDER: Release: so many unstarted goroutines may begin.
                scheduler.company.store(leaves, Release);
            }
        }
        self.place();
        Finding::Rescued
    }

    /// While machines run on without a permit, one more unstarted goroutine
    /// may begin from time to time.
    fn give_company(&mut self, now: u64) {
        let scheduler = self.scheduler;
        // ORDER: Relaxed, all three: limits, adjusted every few milliseconds.
        let excess = scheduler.excess.load(Relaxed);
        if excess == 0 || now < self.next_company {
            return;
        }
        if scheduler.held_len.load(Relaxed) > 0 {
            // A machine that has a permit comes to it at its next upkeep.
            self.next_company = now + SLICE * (1 + excess as u64);
            scheduler.company.store(1, Relaxed);
            scheduler.call_for_work();
        }
    }

    /// Calls that block for long say nothing about the next one.
    fn count_long_away(&mut self, now: u64) {
        // ORDER: Relaxed, both: hints.
        let away = self.scheduler.away.load(Relaxed);
        self.away_least = self.away_least.min(away);
        if now - self.away_since >= AWAY_LONG {
            self.scheduler.away_long.store(self.away_least, Relaxed);
            self.away_least = away;
            self.away_since = now;
        }
    }

    /// Passes the permit in our hand on.
    fn place(&self) {
        let scheduler = self.scheduler;
        let work = scheduler.has_work_for_any();
        scheduler.answer(scheduler.processors.place_retaken(work));
    }
}

/// Whom a busy machine's permit is taken for.
#[derive(Clone, Copy)]
enum For {
    Started,
    Unstarted,
}

enum Finding {
    /// Not stuck, or nothing to do about it.
    Moves,
    /// Stuck, if it goes on like this.
    Suspect,
    Rescued,
}

impl Finding {
    /// Of a machine that does not move, and has not for so long.
    fn suspect(stuck: u64) -> Self {
        if stuck < SUSPECT_FOR {
            Self::Suspect
        } else {
            Self::Moves
        }
    }
}

/// Whether something hangs on whether it is busy or blocked. To ask costs a
/// system call, and hundreds may be blocked.
fn matters_whether_busy(machine: &Machine) -> bool {
    // ORDER: Relaxed: `take_flag` decides.
    let counts = machine.seat.has_permit() || machine.is_excess.load(Relaxed);
    counts && !machine.is_in_blocking_call()
}

/// What the machine's thread has used of the CPU, in nanoseconds.
fn cpu_time(machine: &Machine) -> Option<u64> {
    let OsThread { clock, .. } = machine.os_thread()?;
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a local; a clock that is gone gives an error.
    if unsafe { libc::clock_gettime(clock, &raw mut time) } != 0 {
        return None;
    }
    let seconds = u64::try_from(time.tv_sec).ok()?;
    Some(seconds * 1_000_000_000 + u64::try_from(time.tv_nsec).ok()?)
}

/// Whether the kernel would run the thread if it had a CPU for it: its clock
/// stands still then too, but it is busy.
fn is_runnable(machine: &Machine) -> bool {
    let Some(OsThread { id, .. }) = machine.os_thread() else {
        return true;
    };
    let Ok(stat) = std::fs::read_to_string(format!("/proc/self/task/{id}/stat")) else {
        return false;
    };
    // The name before it is in parentheses and may hold anything.
    stat.rsplit(')')
        .next()
        .is_some_and(|rest| rest.trim_start().starts_with('R'))
}

#[cfg(target_os = "linux")]
fn set_timer_slack() {
    crate::machine::set_timer_slack();
}

#[cfg(not(target_os = "linux"))]
fn set_timer_slack() {}
