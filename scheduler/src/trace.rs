//! Scheduler events; the only door to tracing.
//!
//! Targets, levels and fields are part of the public surface: `docs/events.md`
//! lists them. With no subscriber each call here is one relaxed load. What a
//! subscriber waits for blocks its thread: it runs in the middle of things.

use crate::fatal::fatal;
use crate::goroutine::Header;
use crate::descriptor::Direction;
use crate::machine::{AsThread, with_current_goroutine};
use crate::reason::{Part, Reason};
use crate::threads::ThreadId;
use std::os::fd::RawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;
use tracing::Level;
use tracing::level_filters::LevelFilter;

const SCHED: &str = "raddle::sched";
const CHAN: &str = "raddle::chan";
const SYNC: &str = "raddle::sync";
const TIME: &str = "raddle::time";
const NET: &str = "raddle::net";

#[inline]
fn is_on(level: Level) -> bool {
    LevelFilter::current() >= level
}

macro_rules! event {
    ($(#[$doc:meta])* $name:ident($($arg:ident: $type:ty),*), $level:ident, $($fields:tt)*) => {
        $(#[$doc])*
        #[inline]
        pub(crate) fn $name($($arg: $type),*) {
            #[cold]
            #[inline(never)]
            fn emit($($arg: $type),*) {
                tell(|| tracing::event!(target: SCHED, Level::$level, $($fields)*));
            }
            if is_on(Level::$level) {
                emit($($arg),*);
            }
        }
    };
}

/// Nothing may leave its stack here, nor unwind out of the middle of a wait,
/// or of the scheduler.
fn tell(event: impl FnOnce()) {
    let _as_thread = AsThread::begin();
    if catch_unwind(AssertUnwindSafe(event)).is_err() {
        fatal!("a tracing subscriber panicked at a scheduler event");
    }
}

event! {
    /// A goroutine was made and queued.
    spawn(header: &Header), TRACE,
    event = "spawn",
    goroutine = header.id().get(),
    name = header.name().unwrap_or(""),
    file = header.site().file(),
    line = header.site().line()
}
event! {
    /// A machine resumes a goroutine.
    run(header: &Header, machine: usize), TRACE,
    event = "run",
    goroutine = header.id().get(),
    machine
}
/// A goroutine is about to leave its machine and wait.
#[inline]
pub(crate) fn park(header: &Header, reason: Reason) {
    if is_on(Level::TRACE) {
        tell_of_park(header, reason);
    }
}

#[cold]
#[inline(never)]
fn tell_of_park(header: &Header, reason: Reason) {
    let goroutine = header.id().get();
    let part = reason.part();
    let reason = reason.as_str();
    macro_rules! event {
        ($target:ident, $name:literal) => {
            tracing::event!(target: $target, Level::TRACE, event = $name, goroutine, reason)
        };
    }
    tell(|| {
        match part {
            Part::Chan => event!(CHAN, "wait"),
            Part::Sync => event!(SYNC, "wait"),
            Part::Time => event!(TIME, "wait"),
            // Net's own has more to tell.
            Part::Net | Part::Scheduler => {}
        }
        event!(SCHED, "park");
    });
}

/// What becomes of a wait for a descriptor.
#[derive(Clone, Copy)]
pub(crate) enum Io {
    /// It begins.
    Wait,
    /// The descriptor is ready, or others have been told so.
    Ready,
    /// A timeout or a deadline has come first.
    Late,
}

/// A goroutine or a thread waits for a descriptor, or waits no more.
#[inline]
pub(crate) fn io(what: Io, fd: RawFd, direction: Direction) {
    if is_on(Level::TRACE) {
        tell_of_io(what, fd, direction);
    }
}

#[cold]
#[inline(never)]
fn tell_of_io(what: Io, fd: RawFd, direction: Direction) {
    let id = |header: Option<&Header>| header.map_or(0, |header| header.id().get());
    let goroutine = with_current_goroutine(id);
    let direction = match direction {
        Direction::Read => "read",
        Direction::Write => "write",
    };
    let event = match what {
        Io::Wait => "wait",
        Io::Ready => "ready",
        Io::Late => "late",
    };
    tell(|| tracing::event!(target: NET, Level::TRACE, event, goroutine, fd, direction));
}

/// So many of a machine's timers were due, and had not been stopped.
#[inline]
pub(crate) fn fire(machine: usize, timers: usize) {
    if is_on(Level::TRACE) {
        tell_of_timers(machine, timers);
    }
}

#[cold]
#[inline(never)]
fn tell_of_timers(machine: usize, timers: usize) {
    tell(|| tracing::event!(target: TIME, Level::TRACE, event = "fire", machine, timers));
}

event! {
    /// A goroutine is runnable again.
    unpark(header: &Header), TRACE,
    event = "unpark",
    goroutine = header.id().get()
}
event! {
    /// A machine took goroutines from another's queue.
    steal(thief: usize, victim: usize), TRACE,
    event = "steal",
    machine = thief,
    victim
}
event! {
    /// A stuck machine lost its processor.
    retake(machine: usize, is_blocked: bool, stuck: Duration), DEBUG,
    event = "retake",
    machine,
    blocked = is_blocked,
    stuck_us = u64::try_from(stuck.as_micros()).unwrap_or(u64::MAX)
}
/// What is told of a stuck machine.
pub(crate) struct Stuck<'a> {
    pub(crate) goroutine: &'a str,
    pub(crate) machine: usize,
    pub(crate) thread: ThreadId,
    pub(crate) stuck: Duration,
    pub(crate) waiting: usize,
    pub(crate) is_blocked: bool,
    pub(crate) call: &'a str,
    pub(crate) address: &'a str,
    pub(crate) parked: usize,
    pub(crate) cause: &'a str,
}

/// Whether anybody would see that a machine is stuck.
pub(crate) fn is_stuck_wanted() -> bool {
    is_on(Level::WARN)
}

event! {
    /// A goroutine holds up others that only its machine may run.
    stuck(seen: &Stuck<'_>), WARN,
    event = "stuck",
    goroutine = seen.goroutine,
    machine = seen.machine,
    thread = seen.thread,
    stuck_us = u64::try_from(seen.stuck.as_micros()).unwrap_or(u64::MAX),
    waiting = seen.waiting,
    blocked = seen.is_blocked,
    call = seen.call,
    address = seen.address,
    parked = seen.parked,
    cause = seen.cause
}
event! {
    /// Goroutines wait for each other's locks.
    lock_cycle(report: &str), WARN,
    event = "lock_cycle",
    report
}
event! {
    /// A machine's thread was started.
    start_machine(machine: usize), DEBUG,
    event = "start_machine",
    machine
}
event! {
    /// A machine's thread ends, idle for long.
    end_machine(machine: usize), DEBUG,
    event = "end_machine",
    machine
}
event! {
    /// A goroutine ended.
    finish(header: &Header), TRACE,
    event = "finish",
    goroutine = header.id().get()
}
