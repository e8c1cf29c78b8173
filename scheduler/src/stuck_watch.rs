//! Of which stuck machines is told, and when: once a time to who set
//! `RADDLE_DEBUG=stuck=..`, again and again to subscribers. The monitor sees,
//! `stuck.rs` looks closer.

use crate::config::Debug;
use crate::machine::Machine;
use crate::scheduler::Scheduler;
use crate::shim::Relaxed;
use crate::stuck::{Note, Reporter, Sighting};
use crate::trace;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

/// Subscribers are told of a machine stuck so long, and at each doubling.
const REPORT_AFTER: u64 = 100_000_000;
/// So many lines a second are printed.
const PRINTED_MOST: u32 = 10;
const SECOND: u64 = 1_000_000_000;

pub(crate) struct StuckWatch {
    /// A machine stuck for longer is printed; `u64::MAX`: none is.
    limit: u64,
    /// By the machines' numbers.
    told: Vec<Told>,
    /// Since the first that is told of.
    reporter: Option<Reporter>,
    /// In the second that began then so many were printed.
    printed: (u64, u32),
    /// So many since the last were not.
    hidden: u64,
}

/// What has been said of a machine since it came by last.
#[derive(Clone, Copy, Default)]
struct Told {
    since: u64,
    /// Its thread's clock then, if lines are printed.
    cpu: Option<u64>,
    /// At what length of time subscribers were told.
    reported: u64,
    printed: Printed,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Printed {
    #[default]
    No,
    Yes,
    /// There were too many.
    Hidden,
}

impl StuckWatch {
    pub(crate) fn new(debug: &Debug) -> Self {
        Self {
            limit: debug.stuck.map_or(u64::MAX, |limit| {
                u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX)
            }),
            told: Vec::new(),
            reporter: None,
            printed: (0, 0),
            hidden: 0,
        }
    }

    /// Whether lines are printed: then machines are watched whether or not
    /// anybody waits.
    pub(crate) fn prints(&self) -> bool {
        self.limit != u64::MAX
    }

    /// The longest pause between two looks, in nanoseconds.
    pub(crate) fn longest_pause(&self) -> u64 {
        self.limit / 4
    }

    fn told(&mut self, number: usize) -> &mut Told {
        if self.told.len() <= number {
            self.told.resize(number + 1, Told::default());
        }
        &mut self.told[number]
    }

    /// A machine has come by; `cpu` is its thread's clock.
    pub(crate) fn saw_move(
        &mut self,
        scheduler: &Scheduler,
        machine: &Machine,
        now: u64,
        cpu: Option<u64>,
    ) {
        let told = self.told(machine.number);
        let before = mem::take(told);
        told.since = now;
        told.cpu = cpu;
        if before.printed == Printed::Yes {
            self.tell_end(scheduler, machine.number, now - before.since);
        }
    }

    /// A machine has not come by for so long.
    pub(crate) fn saw_stuck(
        &mut self,
        scheduler: &Scheduler,
        machine: &Arc<Machine>,
        tick: u64,
        stuck: u64,
        cpu: Option<u64>,
    ) {
        let limit = self.limit;
        let told = self.told(machine.number);
        let is_first = stuck >= limit && told.printed == Printed::No;
        let is_due = stuck >= REPORT_AFTER && stuck >= 2 * told.reported;
        // A call of `blocking` says what it is.
        if !(is_first || is_due) || machine.is_in_blocking_call() {
            return;
        }
        let now = told.since + stuck;
        let used = cpu.zip(told.cpu);
        let used = used.map(|(cpu, since)| Duration::from_nanos(cpu.saturating_sub(since)));
        if is_due {
            told.reported = stuck;
        }
        if is_first {
            if self.may_print(now) {
                let hidden = mem::take(&mut self.hidden);
                self.told(machine.number).printed = Printed::Yes;
                self.look_closer(scheduler, machine, tick, stuck, used, Some(hidden));
            } else {
                self.hidden += 1;
                self.told(machine.number).printed = Printed::Hidden;
            }
        }
        if is_due && trace::is_stuck_wanted() {
            self.look_closer(scheduler, machine, tick, stuck, None, None);
        }
    }

    /// All machines end.
    pub(crate) fn end(&mut self, scheduler: &Scheduler, now: u64) {
        for number in 0..self.told.len() {
            let told = mem::take(self.told(number));
            if told.printed == Printed::Yes {
                self.tell_end(scheduler, number, now - told.since);
            }
        }
    }

    /// Whether one more line fits into this second.
    fn may_print(&mut self, now: u64) -> bool {
        let (begin, lines) = &mut self.printed;
        if now - *begin >= SECOND {
            (*begin, *lines) = (now, 0);
        }
        *lines += 1;
        *lines <= PRINTED_MOST
    }

    /// To be printed, with how many were not, or for subscribers.
    #[cold]
    fn look_closer(
        &mut self,
        scheduler: &Scheduler,
        machine: &Arc<Machine>,
        tick: u64,
        stuck: u64,
        used: Option<Duration>,
        printed: Option<u64>,
    ) {
        // ORDER: Relaxed: the tick says whether it runs still, or this is
        // another's.
        let running = machine.running.load(Relaxed);
        if machine.tick() != tick {
            return;
        }
        self.tell(
            scheduler,
            Note::Stuck(Sighting {
                machine: machine.clone(),
                tick,
                running,
                stuck: Duration::from_nanos(stuck),
                used,
                print: printed.is_some(),
                hidden: printed.unwrap_or(0),
            }),
        );
    }

    #[cold]
    fn tell_end(&mut self, scheduler: &Scheduler, machine: usize, after: u64) {
        let after = Duration::from_nanos(after);
        self.tell(scheduler, Note::Over { machine, after });
    }

    fn tell(&mut self, scheduler: &Scheduler, note: Note) {
        if self.reporter.is_none() {
            // No thread, no line: the next one may be luckier.
            self.reporter = Reporter::start(scheduler.downgrade()).ok();
        }
        if let Some(reporter) = &self.reporter {
            reporter.tell(note);
        }
    }
}
