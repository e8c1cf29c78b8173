//! `RADDLE_DEBUG=schedtrace=1000`: a line about the scheduler now and then.

use crate::clock;
use crate::machine::Machine;
use crate::scheduler::Scheduler;
use crate::shim::Relaxed;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

/// When the next line is due.
pub(crate) struct SchedTrace {
    every: u64,
    begin: u64,
    due_at: u64,
}

impl SchedTrace {
    pub(crate) fn new(every: Option<Duration>) -> Self {
        let begin = clock::now();
        let every = every.map_or(u64::MAX, |every| {
            u64::try_from(every.as_nanos()).unwrap_or(u64::MAX)
        });
        Self {
            every,
            begin,
            due_at: begin.saturating_add(every),
        }
    }

    /// `u64::MAX`: never.
    pub(crate) fn due_at(&self) -> u64 {
        self.due_at
    }

    /// Prints a line if one is due.
    pub(crate) fn print_if_due(&mut self, scheduler: &Scheduler, now: u64) {
        if now < self.due_at {
            return;
        }
        // One line for each period, and none twice for those missed.
        self.due_at = now.saturating_add(self.every);
        let mut line = line(scheduler, (now - self.begin) / 1_000_000);
        line.push('\n');
        let _closed = io::stderr().write_all(line.as_bytes());
    }
}

/// As of about now: others go on meanwhile.
fn line(scheduler: &Scheduler, ms: u64) -> String {
    let machines = || {
        let all = scheduler.machines.iter();
        all.filter(|machine| machine.has_thread())
    };
    let queued = |machine: &Arc<Machine>| {
        let next = usize::from(!machine.offered.next.peek().is_null());
        machine.offered.started() + machine.offered.fresh() + next
    };
    let stuck = |machine: &&Arc<Machine>| machine.tick() % 2 == 1 && !machine.seat.has_permit();
    let mut line = format!(
        "raddle: sched {ms} ms: processors={} free={} machines={} idle={} without_permit={} \
         goroutines={} shared={} held={} queues=[",
        scheduler.max_procs(),
        scheduler.processors.census.free_now(),
        machines().count(),
        scheduler.processors.idle_now(),
        machines().filter(stuck).count(),
        scheduler.num_goroutines(),
        scheduler.injector.len(),
        // ORDER: Relaxed: a number to show.
        scheduler.held_len.load(Relaxed),
    );
    for (n, machine) in machines().enumerate() {
        let space = if n == 0 { "" } else { " " };
        let _fits = write!(line, "{space}{}", queued(machine));
    }
    line.push(']');
    line
}
