//! How long machines' turns take, and from whom a thief takes.
//!
//! Goroutines that take turns of less than a few hundred nanoseconds talk to
//! one another: on two machines each turn costs more, as the lines of channels
//! and stacks go to and fro, than the second processor brings. So a thief
//! leaves a short line of short turns alone.
//!
//! Each machine shows the pace it has had. Where that is short, or not known,
//! a thief watches whether it is so still, for the turn that runs may be a
//! long one; and shows what it saw, for other thieves.

use crate::machine::{Here, Machine};

/// A thief watches another machine's turns for this long, in nanoseconds,
const WATCHED: u64 = 2_000;
/// and so many machines at once.
const WATCHED_MOST: usize = 8;
/// A machine's own pace is that of so many turns, or of what took so long.
const TURNS: u32 = 8;
const LONG: u64 = 100_000;
/// Begun goroutines are taken from a machine whose turns take so long,
const TURN_WORTH_IT: u64 = 400;
/// or where the last in line waits so long for its turn.
const LINE_WORTH_IT: u64 = 10_000;

/// The machine shows the pace it has had since the last time, if that says
/// enough.
pub(crate) fn show(here: Here, now: u64) {
    let own = here.own();
    let turns = own.turn.get().wrapping_sub(own.paced_turn.get());
    let took = now.saturating_sub(own.paced_at.get());
    if turns >= TURNS || (turns > 0 && took > LONG) {
        here.show_pace(took / u64::from(turns));
        begin(here, now);
    }
}

/// What was before is no turn of a goroutine's.
pub(crate) fn begin(here: Here, now: u64) {
    let own = here.own();
    own.paced_at.set(now);
    own.paced_turn.set(own.turn.get());
}

/// Whether the line of `machine` lasts so long, in nanoseconds; so does one
/// of which nothing is known.
pub(crate) fn lasts(machine: &Machine, time: u64) -> bool {
    let pace = machine.shown_pace();
    pace == 0 || pace * machine.offered.started() as u64 >= time
}

/// Whether the turns of `machine` are known to be shorter than that, in
/// nanoseconds.
pub(crate) fn are_known_short(machine: &Machine, time: u64) -> bool {
    (1..time).contains(&machine.shown_pace())
}

/// Whether `machine` has begun goroutines that are worth taking, by its own
/// word.
pub(crate) fn is_known_worth_it(machine: &Machine) -> bool {
    machine.offered.started() > 0 && is_line_worth_it(machine, machine.shown_pace())
}

fn is_line_worth_it(machine: &Machine, pace: u64) -> bool {
    pace >= TURN_WORTH_IT || pace * machine.offered.started() as u64 >= LINE_WORTH_IT
}

/// The machines that one search watches.
pub(crate) struct Watches {
    each: [Option<Watch>; WATCHED_MOST],
}

/// A machine's tick at a time.
#[derive(Clone, Copy)]
struct Watch {
    machine: usize,
    tick: u64,
    at: u64,
}

impl Watches {
    pub(crate) fn new() -> Self {
        Self {
            each: [None; WATCHED_MOST],
        }
    }

    /// Whether it is worth its while to take begun goroutines from `victim`.
    pub(crate) fn is_worth_it(&mut self, victim: &Machine, now: u64) -> bool {
        if is_known_worth_it(victim) {
            return true;
        }
        let tick = victim.tick();
        let is_its = |one: &&mut Option<Watch>| one.is_none_or(|it| it.machine == victim.number);
        let Some(place) = self.each.iter_mut().find(is_its) else {
            return false;
        };
        let first = place.get_or_insert(Watch {
            machine: victim.number,
            tick,
            at: now,
        });
        let took = now - first.at;
        if took < WATCHED {
            return false;
        }
        // A tick as it begins and one as it ends.
        let turns = tick.wrapping_sub(first.tick) / 2;
        let pace = took.checked_div(turns).unwrap_or(took);
        if turns == 0 || is_line_worth_it(victim, pace) {
            victim.show_pace(pace.max(TURN_WORTH_IT));
            return true;
        }
        false
    }

    /// Whether one of them has not been watched for long enough.
    pub(crate) fn go_on(&self, now: u64) -> bool {
        let mut each = self.each.iter().flatten();
        each.any(|it| now - it.at < WATCHED)
    }
}
