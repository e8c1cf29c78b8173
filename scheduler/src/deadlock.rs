//! All goroutines are asleep: the proof, and what follows from it.
//!
//! The question is asked of the process, not of a runtime. Nothing can happen
//! any more when, at one moment, every thread of the process sleeps and
//! nothing is to wake one: a thread that sleeps is woken by one that does
//! not, by a timer, or by the kernel for something it waits for. Hence:
//!
//! - **machines** are all idle (the book of each runtime says so, under its
//!   lock), with no work anywhere and no timer set;
//! - **monitors** sleep until called, **helpers** of `blocking` wait for a
//!   job, and there is none;
//! - the **program's own threads** are all parked in raddle, without a
//!   deadline. A thread that is anywhere else counts as awake, also when it
//!   sleeps in the kernel: it may send afterwards;
//! - nobody **expects** a descriptor or a signal.
//!
//! *One moment.* No lock holds all of this still, so it is looked at twice.
//! Each sleeper has a number that moves with each of its sleeps. One that
//! sleeps in both looks, with the same number, has slept from the end of the
//! first to the begin of the second. If that holds for all, they all slept at
//! every moment in between; what only an awake thread changes stood still,
//! and is read there once: timers, queues, expectations, and the kernel's
//! count of threads. If that is as many as sleep, there is no other thread.
//!
//! *Who asks.* The monitor of a runtime, when it has been idle for 10 ms and
//! before it sleeps: the last to do so finds all asleep. If another thread is
//! awake then, the answer changes when that thread parks in raddle, which
//! calls a monitor, or ends, which calls nobody: so the question is asked
//! again after pauses that grow tenfold, which is some ten times in all the
//! life of an idle process.
//!
//! After main's goexit the process is over when its last goroutine has ended,
//! whatever its threads are at: nobody is left for them to wake.
//!
//! Whatever is in doubt means no: `docs/deadlock.md` says what is not seen.
//!
//! A few that wait for each other's locks are found by themselves
//! (`locks.rs`), while others go on; monitors report them from here, by the
//! same rules.

use crate::capture::Names;
use crate::clock;
use crate::config::OnDeadlock;
use crate::goroutine::Goroutine;
use crate::handoff;
use crate::locals;
use crate::locks::{self, Found};
use crate::machine::Machine;
use crate::report::{Doing, Dump, GoroutineDump, Report, ThreadDump};
use crate::roll;
use crate::scheduler::Scheduler;
use crate::shim::fixed::{AtomicBool, AtomicUsize, fence};
use crate::shim::{Mutex, Relaxed, SeqCst};
use crate::threads::{self, Others, ThreadId};
use crate::trace;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process;
use std::ptr;
use std::sync::{Arc, Weak};
use std::thread;

/// Every runtime from its start to its end; leaked ones for ever.
static RUNTIMES: Mutex<Vec<Weak<Scheduler>>> = Mutex::new(Vec::new());
/// The last answer was "not yet, for a thread is awake": who sleeps next
/// calls a monitor.
static IS_WATCHED: AtomicBool = AtomicBool::new(false);
static EXPECTING: AtomicUsize = AtomicUsize::new(0);
static MAIN_CALLED_GOEXIT: AtomicBool = AtomicBool::new(false);
/// One asks at a time. Inside: for what state of the runtimes hooks have been
/// called.
static ASKING: Mutex<Vec<Roused>> = Mutex::new(Vec::new());

/// A runtime, by address, and how often its machines were roused.
type Roused = (usize, u64);

/// The runtime is part of the question from here on.
pub(crate) fn register(scheduler: &Arc<Scheduler>) {
    let mut all = RUNTIMES.lock();
    all.retain(|other| other.strong_count() > 0);
    all.push(Arc::downgrade(scheduler));
}

/// No goroutine of it is left, and its threads are about to end: until then
/// they count as awake.
pub(crate) fn unregister(scheduler: &Scheduler) {
    RUNTIMES
        .lock()
        .retain(|other| !ptr::eq(other.as_ptr(), scheduler));
    // Others may have counted on it to ask.
    call_a_monitor();
}

fn runtimes() -> Vec<Arc<Scheduler>> {
    let all = RUNTIMES.lock();
    all.iter().filter_map(Weak::upgrade).collect()
}

/// Asks again, a little later. A monitor that is awake does so anyway.
#[cold]
pub(crate) fn call_a_monitor() {
    let all = runtimes();
    if let Some(asleep) = all.iter().find(|runtime| runtime.monitor.is_asleep()) {
        asleep.monitor.call();
    }
}

/// The calling thread sleeps in raddle from here on.
#[inline]
pub(crate) fn a_thread_lay_down() {
    // ORDER: between "it sleeps" and the load; who asks says so and then
    // looks who sleeps.
    fence(SeqCst);
    // ORDER: Relaxed: by the fence.
    if IS_WATCHED.load(Relaxed) && IS_WATCHED.swap(false, SeqCst) {
        call_a_monitor();
    }
}

/// While it lives, the process waits for something outside it that will make
/// a goroutine runnable: all goroutines may be asleep, and it is no deadlock.
#[derive(Debug)]
#[must_use = "the expectation ends with the guard"]
pub struct Expecting(());

impl Expecting {
    /// Begins one; by whoever is awake.
    pub fn begin() -> Self {
        // ORDER: Relaxed: the sleep of who began it publishes it.
        EXPECTING.fetch_add(1, Relaxed);
        Self(())
    }
}

impl Drop for Expecting {
    fn drop(&mut self) {
        // ORDER: SeqCst: before the look at who asks, as in
        // `a_thread_lay_down`.
        EXPECTING.fetch_sub(1, SeqCst);
        a_thread_lay_down();
    }
}

/// Main has ended by goexit: with the last other goroutine all is over.
pub fn note_main_goexit() {
    // ORDER: Relaxed: main's machine sleeps after it.
    MAIN_CALLED_GOEXIT.store(true, Relaxed);
}

/// A monitor's attempts at the proof, while it sleeps.
pub(crate) struct Proof {
    due_at: u64,
    pause: u64,
}

/// The first pause before another attempt, in nanoseconds, and how many times
/// longer each is than the last.
const FIRST_PAUSE: u64 = 50_000_000;
const GROWTH: u64 = 10;

impl Proof {
    pub(crate) fn new() -> Self {
        Self {
            due_at: 0,
            pause: FIRST_PAUSE,
        }
    }

    /// When the next attempt is due; `u64::MAX`: when somebody calls.
    pub(crate) fn due_at(&self) -> u64 {
        self.due_at.min(locks::due_at())
    }

    /// Asks, by a monitor that counts as asleep. May not return.
    pub(crate) fn attempt(&mut self) {
        report_lock_cycles();
        if self.due_at > clock::now() {
            return;
        }
        self.due_at = match ask() {
            Answer::OthersWillAsk => u64::MAX,
            Answer::NotYet => {
                let pause = self.pause;
                self.pause = pause.saturating_mul(GROWTH);
                clock::now().saturating_add(pause)
            }
        };
    }
}

enum Answer {
    /// Somebody is awake, or will be woken, and asks when that sleeps again.
    OthersWillAsk,
    /// A thread is awake of which that cannot be said.
    NotYet,
}

fn ask() -> Answer {
    let mut reported = ASKING.lock();
    // ORDER: SeqCst and the fence: who lies down from here on calls us, and
    // who lay down before is seen.
    IS_WATCHED.store(true, SeqCst);
    fence(SeqCst);
    let runtimes = runtimes();
    let answer = match Finding::of(&runtimes) {
        Finding::Deadlock(report, roused) => {
            if *reported != roused {
                *reported = roused;
                answer(&runtimes, report);
            }
            Answer::OthersWillAsk
        }
        Finding::OthersWillAsk => Answer::OthersWillAsk,
        Finding::Expected => return Answer::OthersWillAsk,
        Finding::NotYet => return Answer::NotYet,
    };
    // ORDER: SeqCst, rare; under the lock of who asks.
    IS_WATCHED.store(false, SeqCst);
    answer
}

enum Finding {
    /// A runtime is busy, or will be.
    OthersWillAsk,
    /// Something outside the process may come: who gives that up calls.
    Expected,
    /// A thread is awake.
    NotYet,
    Deadlock(Box<Report>, Vec<Roused>),
}

impl Finding {
    fn of(runtimes: &[Arc<Scheduler>]) -> Self {
        let Some(first) = Look::at(runtimes) else {
            return Self::OthersWillAsk;
        };
        if runtimes.iter().any(|runtime| runtime.will_go_on()) {
            return Self::OthersWillAsk;
        }
        // ORDER: Relaxed: read between the two looks, in which all sleep.
        if EXPECTING.load(Relaxed) > 0 {
            return Self::Expected;
        }
        let is_asleep = |id| first.threads.binary_search_by_key(&id, |one| one.0).is_ok();
        // ORDER: Relaxed: as above.
        let main_called_goexit = MAIN_CALLED_GOEXIT.load(Relaxed);
        let is_alone = || threads::others(is_asleep, first.threads.len()) == Others::None;
        if handoff::has_jobs() || !(main_called_goexit && none_is_left(runtimes) || is_alone()) {
            return Self::NotYet;
        }
        let Some(dump) = dump_of_sleepers(runtimes) else {
            return Self::NotYet;
        };
        let waiting = threads::dump();
        if Look::at(runtimes).as_ref() != Some(&first) {
            // Somebody was awake meanwhile; perhaps a thread.
            return Self::NotYet;
        }
        let report = Report {
            all_are_asleep: true,
            main_called_goexit,
            cycles: locks::take_all(),
            threads: waiting,
            dump,
        };
        Self::Deadlock(Box::new(report), first.roused)
    }
}

/// Who sleeps, and since which sleep of theirs.
#[derive(PartialEq, Eq)]
struct Look {
    /// Sorted, each once.
    threads: Vec<(ThreadId, u64)>,
    roused: Vec<Roused>,
}

impl Look {
    /// None: a machine or a monitor is awake.
    fn at(runtimes: &[Arc<Scheduler>]) -> Option<Self> {
        let mut threads = Vec::new();
        let mut all_roused = Vec::new();
        for runtime in runtimes {
            if !runtime.monitor.is_asleep() {
                return None;
            }
            // Without those that got no thread.
            // One may come, and not start, between the two.
            let all = runtime.machines.len();
            let machines = all.checked_sub(runtime.without_thread_count())?;
            let roused = runtime.processors.all_idle(machines)?;
            let before = threads.len();
            let started = runtime.machines.iter().filter_map(|one| one.os_thread());
            threads.extend(started.map(|thread| (thread.id, roused)));
            if threads.len() - before != machines {
                return None;
            }
            all_roused.push((Arc::as_ptr(runtime) as usize, roused));
        }
        threads.extend(threads::asleep());
        threads.sort_unstable();
        threads.dedup_by_key(|one| one.0);
        Some(Self {
            threads,
            roused: all_roused,
        })
    }
}

impl Scheduler {
    /// Whether a machine will wake by itself, or work lies about.
    fn will_go_on(&self) -> bool {
        // ORDER: Relaxed, both: read while all sleep, or in vain.
        let is_held = self.held_len.load(Relaxed) > 0 || self.excess.load(Relaxed) > 0;
        let machine_will = |machine: &Arc<Machine>| {
            machine.timers.settled_earliest() != u64::MAX || !machine.inbox.is_empty()
        };
        is_held || self.has_work_for_any() || self.machines.iter().any(machine_will)
    }
}

/// Once main has left by goexit this is the end, whatever threads are at.
fn none_is_left(runtimes: &[Arc<Scheduler>]) -> bool {
    runtimes.iter().all(|runtime| runtime.not_gone() == 0)
}

/// None if one of them does not sleep, or is not to be found.
fn dump_of_sleepers(runtimes: &[Arc<Scheduler>]) -> Option<Dump> {
    let alive: usize = runtimes.iter().map(|runtime| runtime.not_gone()).sum();
    let dump = dump_of(runtimes);
    let is_parked = |one: &GoroutineDump| matches!(one.state, Doing::Parked { .. });
    let all_parked = dump.goroutines.iter().all(is_parked);
    (all_parked && dump.goroutines.len() >= alive).then_some(dump)
}

/// Every goroutine of the process. On a stack of its own, for to find names
/// takes more than a goroutine may have.
#[must_use]
pub fn dump() -> Dump {
    on_a_stack_to_dump(runtimes())
}

/// How many goroutines are alive in the process.
#[must_use]
pub fn num_goroutines_of_all() -> usize {
    let all = runtimes();
    all.iter().map(|runtime| runtime.num_goroutines()).sum()
}

impl Scheduler {
    /// Every goroutine here.
    #[must_use]
    pub fn dump(&self) -> Dump {
        on_a_stack_to_dump(self.downgrade().upgrade().into_iter().collect())
    }
}

fn on_a_stack_to_dump(runtimes: Vec<Arc<Scheduler>>) -> Dump {
    let here = || dump_of(&runtimes);
    handoff::on_stack_of(DUMP_STACK, here).unwrap_or_else(|(here, _no_stack)| here())
}

/// Names are read from the program's debug information, frame by frame.
const DUMP_STACK: usize = 1 << 20;

fn dump_of(runtimes: &[Arc<Scheduler>]) -> Dump {
    let mut dump = Dump::default();
    let mut names = Names::new();
    for runtime in runtimes {
        let alive = runtime.num_goroutines();
        let begun = roll::dump(runtime, &mut names);
        dump.unstarted += alive.saturating_sub(begun.len());
        dump.goroutines.extend(begun);
    }
    dump.goroutines.sort_by_key(|one| one.id);
    dump
}

/// Reports goroutines that have waited for each other's locks for a while, by
/// a monitor.
pub(crate) fn report_lock_cycles() {
    if locks::due_at() > clock::now() {
        return;
    }
    for Found { cycle, goroutines } in locks::take_due() {
        let mut names = Names::new();
        let headers = || goroutines.iter().filter_map(Goroutine::header);
        let dump = Dump {
            goroutines: headers()
                .map(|header| roll::dump_one(header, &mut names))
                .collect(),
            unstarted: 0,
        };
        let threads = cycle.threads();
        let report = Report {
            all_are_asleep: false,
            main_called_goexit: false,
            threads: threads
                .map(|(name, reason)| ThreadDump { name, reason })
                .collect(),
            cycles: vec![cycle],
            dump,
        };
        trace::lock_cycle(&report.to_string());
        let mut concerned: Vec<_> = headers()
            .filter_map(|header| header.scheduler().downgrade().upgrade())
            .collect();
        if concerned.is_empty() {
            // Threads alone.
            concerned = runtimes();
        }
        concerned.sort_by_key(Arc::as_ptr);
        concerned.dedup_by_key(|runtime| Arc::as_ptr(runtime));
        do_as_told(concerned.iter(), Box::new(report));
    }
}

/// Does what the runtimes say that are concerned: those with goroutines, or
/// all if none has any.
fn answer(runtimes: &[Arc<Scheduler>], report: Box<Report>) {
    let all = report.main_called_goexit || none_is_left(runtimes);
    let concerned = runtimes
        .iter()
        .filter(|runtime| all || runtime.not_gone() > 0);
    do_as_told(concerned, report);
}

/// Of a program whose hook panicked: as if none had been set.
const STATUS_WITHOUT_HOOK: i32 = 2;

fn do_as_told<'a>(concerned: impl Iterator<Item = &'a Arc<Scheduler>>, report: Box<Report>) {
    let mut hooks: Vec<fn(&Report)> = Vec::new();
    let mut status = None;
    for runtime in concerned {
        match runtime.on_deadlock() {
            OnDeadlock::Exit(its) => status = status.or(Some(its)),
            OnDeadlock::Hook(hook) => hooks.push(hook),
            OnDeadlock::Ignore => {}
        }
    }
    let has_hooks = !hooks.is_empty();
    let end = move || {
        let mut status = status;
        for hook in &hooks {
            let ended = catch_unwind(AssertUnwindSafe(|| hook(&report)));
            if let Err(payload) = ended {
                // It has been shown. What it would have done is left undone,
                // and nobody else does it.
                locals::quietly(|| drop(payload));
                status = status.or(Some(STATUS_WITHOUT_HOOK));
            }
        }
        if let Some(status) = status {
            // Not `eprintln!`: a test harness keeps that, and loses it.
            let _closed = io::stderr().write_all(report.to_string().as_bytes());
            process::exit(status);
        }
    };
    if has_hooks {
        // They may wait in raddle, which a monitor must not.
        let started = thread::Builder::new()
            .name("raddle-deadlock".into())
            .spawn(end);
        if let Err(error) = started {
            let _closed = writeln!(
                io::stderr(),
                "raddle: no thread for a deadlock's hook: {error}"
            );
        }
    } else {
        end();
    }
}
