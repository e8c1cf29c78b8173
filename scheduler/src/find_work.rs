//! The order of the search for something to run.
//!
//! 1. what only this machine may run: the one woken last, then the rest,
//!    with letters from the inbox;
//! 2. the next slot, the own queue;
//! 3. the injector, goroutines held back, due timers;
//! 4. other machines' queues, their next slots last.
//!
//! Every few turns (61 at most, fewer when turns are long) the clock, the
//! timers, the injector and those who want the permit are looked at first,
//! so that endless local work starves nobody.

use crate::clock;
use crate::goroutine::Runnable;
use crate::machine::{self, Here, Machine};
use crate::netpoll::Ready;
use crate::pace::{self, Watches};
use crate::processor::Summons;
use crate::schedule;
use crate::trace;
use std::hint::spin_loop;
use std::sync::Arc;
use std::thread;

/// Turns between two looks at the clock: Go's 61, less for long turns.
const UPKEEP_MOST: u32 = 61;
/// A look about this often is enough, in nanoseconds.
const UPKEEP_EVERY: u64 = 100_000;
/// So often in a row may the goroutine woken last go before the queue.
const NEXT_IN_ROW: u32 = 64;
/// In so many turns those who come after others in the order get one.
const OTHERS_EVERY: u32 = 8;
/// So often it is the one that has waited longest, in nanoseconds. Each that
/// begins out of turn in a tree of goroutines may cost the tree's depth in
/// stacks: with one in 64 turns fib(27) had 9,000 at once instead of 30.
const OLDEST_EVERY: u64 = 1_000_000;
/// An unstarted goroutine that waited so long may be taken by another
/// machine, though its spawner might have wanted it near; in nanoseconds.
const HOMING_WAIT: u64 = 50_000;
/// From so many on, unstarted goroutines are taken at once.
const HOMING_BACKLOG: usize = 16;
/// How long a machine looks round before it sleeps, in nanoseconds.
const SPIN: u64 = 20_000;
/// Where sockets are served it is time enough to find what another machine
/// fetches from the netpoller just now, and less than a sleep costs.
const SPIN_SERVING: u64 = 3_000;
/// After so many searches in a row that found nothing a machine looks round
/// once and no longer,
const VAIN_MOST: u32 = 8;
/// but for one search in so many.
const VAIN_TRY: u32 = 16;
/// A machine keeps its permit so long while others wait for one, and lets
/// long turns go first no longer, in nanoseconds.
const SLICE: u64 = 10_000_000;
/// A thief leaves the next slot to its owner for this long, in nanoseconds.
const NEXT_SLOT_GRACE: u64 = 3_000;

/// Something to run, or none. The machine has a permit.
#[inline]
pub(crate) fn find(here: Here) -> Option<Runnable> {
    let own = here.own();
    let turn = own.turn.get().wrapping_add(1);
    own.turn.set(turn);
    let upkeep_in = own.upkeep_in.get();
    if upkeep_in > 1 {
        own.upkeep_in.set(upkeep_in - 1);
        // Most turns are this.
        if !turn.is_multiple_of(OTHERS_EVERY)
            && here.inbox.is_empty()
            && let Some(runnable) = first_begun(here)
        {
            return Some(runnable);
        }
    } else if let Some(runnable) = upkeep(here) {
        return Some(runnable);
    }
    find_further(here)
}

fn find_further(here: Here) -> Option<Runnable> {
    if let Some(runnable) = local(here) {
        return Some(runnable);
    }
    if here.seat.is_own() {
        run_timers(here, clock::now());
        return local(here);
    }
    let scheduler = here.scheduler();
    loop {
        match take_share(here).map(|runnable| scheduler.admit(runnable)) {
            Some(Some(runnable)) => return Some(runnable),
            // Its share of others may be here: they are held too, or begin.
            Some(None) => {
                if let Some(runnable) = pop(here) {
                    return Some(runnable);
                }
            }
            None => break,
        }
    }
    if here.timers.earliest() != u64::MAX
        && run_timers(here, clock::now())
        && let Some(runnable) = local(here)
    {
        return Some(runnable);
    }
    if !scheduler.is_full()
        && let Some(runnable) = scheduler.take_held()
    {
        return Some(runnable);
    }
    // Held ones last while others run beside their number.
    search(here).or_else(|| scheduler.take_held())
}

/// One of those in the injector, and a share of the others into the queue.
fn take_share(here: Here) -> Option<Runnable> {
    let scheduler = here.scheduler();
    let sharers = if scheduler.many_are_away() {
        usize::MAX
    } else {
        scheduler.max_procs()
    };
    scheduler.injector.take_share(&here.own().queue, sharers)
}

/// What is due now and then, whatever else there is.
#[cold]
#[inline(never)]
fn upkeep(here: Here) -> Option<Runnable> {
    let own = here.own();
    let scheduler = here.scheduler();
    let now = clock::now();
    let took = now.saturating_sub(own.upkeep_at.replace(now));
    pace::show(here, now);
    scheduler.show_time(now);
    let every = own.upkeep_every.get();
    let every = if took > UPKEEP_EVERY {
        every / 2
    } else {
        every * 2
    };
    let every = every.clamp(1, UPKEEP_MOST);
    own.upkeep_every.set(every);
    own.upkeep_in.set(every);
    // As many long turns as may go first in a row would take many slices.
    if every == 1 && now - own.row_ended_at.get() >= SLICE {
        own.row_ended_at.set(now);
        own.next_in_row.set(NEXT_IN_ROW);
    }

    let woke = run_timers(here, now);
    tell(here, scheduler.netpoll().look(now));
    if scheduler.processors.is_wanted() {
        give_way_in_time(here, now);
    } else {
        own.wanted_since.set(0);
    }
    call_for_backlog(here, now);
    // With long turns there is an upkeep before each: every other one leaves
    // the turn to what is here.
    // So does one in which somebody's time has come, if the last one did not.
    let woke = woke && !own.woke_last.get();
    own.woke_last.set(woke);
    if woke || here.seat.is_own() || !own.upkeep_takes.replace(!own.upkeep_takes.get()) {
        return None;
    }
    if now - own.oldest_at.get() >= OLDEST_EVERY {
        own.oldest_at.set(now);
        if let Some(oldest) = own.queue.pop_oldest()
            && let Some(oldest) = scheduler.admit(oldest)
        {
            return Some(oldest);
        }
    }
    // Begun ones come in crowds, from the netpoller by way of the monitor. One
    // by one they would wait for as long as there is anything to do here.
    let oldest = if scheduler.injector.has_started() {
        take_share(here)
    } else {
        scheduler.injector.take()
    };
    if let Some(oldest) = oldest
        && let Some(oldest) = scheduler.admit(oldest)
    {
        return Some(oldest);
    }
    scheduler.take_held().or_else(|| share_long_line(here))
}

/// Where goroutines have homes, whoever begins on a machine stays: a long
/// line of fresh ones must be shared while it stands, also with machines that
/// have enough to do at home and never search.
fn share_long_line(here: Here) -> Option<Runnable> {
    if here.scheduler().is_migrating() || here.offered.fresh() >= HOMING_BACKLOG {
        return None;
    }
    let victim = others(&here).next()?;
    if victim.offered.fresh() < HOMING_BACKLOG {
        return None;
    }
    steal_fresh(here, victim)
}

/// Wakes those who wait for what is `ready`. As a rule their turns are short,
/// and this machine is through with all of them before another one that is
/// called has come: so nobody is called but for long turns, or once the line
/// has stood for a while (`call_for_backlog`).
pub(crate) fn tell(here: Here, ready: Ready) {
    if ready.is_empty() {
        // What stands here already is `call_for_backlog`'s.
        return;
    }
    let own = here.own();
    own.is_telling.set(true);
    ready.tell();
    own.is_telling.set(false);
    if here.offered.started() > 0 && !pace::are_known_short(&here, HOMING_WAIT) {
        here.scheduler().hint_work();
    }
}

/// Others wait for a permit: after a slice they get this machine's, whether
/// one goroutine used the slice up or many did.
fn give_way_in_time(here: Here, now: u64) {
    let since = &here.own().wanted_since;
    let is_over = machine::take_flag(&here.is_slice_over);
    if since.get() == 0 {
        since.set(now);
    }
    if is_over || now - since.get() >= SLICE {
        since.set(0);
        schedule::give_way(here);
    }
}

/// Work that has waited here while processors are free calls for a machine.
fn call_for_backlog(here: Here, now: u64) {
    let own = here.own();
    if !offers_for_long(here) || !here.scheduler().processors.census.looks_callable() {
        own.backlog_since.set(0);
        return;
    }
    match own.backlog_since.get() {
        0 => own.backlog_since.set(now),
        since if now - since >= HOMING_WAIT => {
            own.backlog_since.set(0);
            here.scheduler().call_for_work();
        }
        _ => {}
    }
}

/// Whether another machine, called now, would come before all is done here.
fn offers_for_long(here: Here) -> bool {
    here.offered.fresh() > 0 || (here.offers_started_work() && pace::lasts(&here, HOMING_WAIT))
}

/// What is here: at home, next, queued.
fn local(here: Here) -> Option<Runnable> {
    let own = here.own();
    if !here.inbox.is_empty() {
        empty_inbox(here);
    }
    if own.turn.get().is_multiple_of(OTHERS_EVERY)
        && let Some(runnable) = one_of_the_others(here)
    {
        return Some(runnable);
    }
    first_begun(here).or_else(|| pop(here))
}

/// What is here and has begun, or is at home here. Inlined, as most turns are
/// taken from here.
#[inline(always)]
fn first_begun(here: Here) -> Option<Runnable> {
    let own = here.own();
    if let Some(next) = own.at_home.take_next() {
        if may_go_first(here) {
            // SAFETY: 1. out of the queue, so ours.
            return Some(unsafe { machine::runnable(next) });
        }
        // SAFETY: 1. as above.
        unsafe { own.at_home.push(next) };
    }
    if let Some(first) = own.at_home.pop() {
        own.next_in_row.set(0);
        // SAFETY: 1. out of the queue, so ours.
        return Some(unsafe { machine::runnable(first) });
    }
    if let Some(runnable) = take_next(here) {
        if may_go_first(here) {
            return Some(runnable);
        }
        own.queue.push(runnable);
    }
    own.next_in_row.set(0);
    own.queue.pop_started()
}

/// Of those who would not get a turn while others here never rest, one kind
/// after another.
fn one_of_the_others(here: Here) -> Option<Runnable> {
    let begun = || here.own().queue.pop_started();
    match here.own().turn.get() / OTHERS_EVERY % 3 {
        0 => begun().or_else(|| begin_one(here)),
        1 => begin_one(here).or_else(begun),
        _ => take_next(here),
    }
}

fn take_next(here: Here) -> Option<Runnable> {
    let next = here.offered.next.take()?;
    // SAFETY: 1. out of the slot, so ours.
    Some(unsafe { machine::runnable(next) })
}

fn may_go_first(here: Here) -> bool {
    let in_row = &here.own().next_in_row;
    if in_row.get() < NEXT_IN_ROW {
        in_row.set(in_row.get() + 1);
        return true;
    }
    in_row.set(0);
    false
}

/// The first of the own queue that may run.
fn pop(here: Here) -> Option<Runnable> {
    pop_by(here, || here.own().queue.pop())
}

/// One that has not begun.
fn begin_one(here: Here) -> Option<Runnable> {
    pop_by(here, || here.own().queue.pop_fresh())
}

fn pop_by(here: Here, pop: impl Fn() -> Option<Runnable>) -> Option<Runnable> {
    while let Some(runnable) = pop() {
        if let Some(runnable) = here.scheduler().admit(runnable) {
            return Some(runnable);
        }
    }
    None
}

/// What others could take as well, taken back.
pub(crate) fn take_offered(here: Here) -> Option<Runnable> {
    take_next(here).or_else(|| here.own().queue.pop())
}

/// Whether the goroutine that runs may go on after a yield: nobody else waits
/// on this machine, and it is not time to look further.
pub(crate) fn may_stay(here: Here) -> bool {
    let own = here.own();
    let left = own.upkeep_in.get();
    let stays = left > 1 && is_alone(here);
    if stays {
        own.upkeep_in.set(left - 1);
    }
    stays
}

fn is_alone(here: Here) -> bool {
    let own = here.own();
    own.at_home.is_empty()
        && own.queue.is_empty()
        && here.inbox.is_empty()
        && here.offered.next.peek().is_null()
        && here.seat.has_permit()
}

/// Letters become runnable, oldest first.
pub(crate) fn empty_inbox(here: Here) {
    let at_home = &here.own().at_home;
    if let Some(next) = at_home.take_next() {
        // SAFETY: 1. out of the queue, so ours.
        unsafe { at_home.push(next) };
    }
    here.inbox.take(|header| {
        // SAFETY: 1. out of the inbox, so ours.
        unsafe { at_home.push(header) };
    });
}

/// Wakes whose timer is due on this machine; whether there were any.
pub(crate) fn run_timers(here: Here, now: u64) -> bool {
    run_timers_of(&here.machine(), now)
}

/// As `run_timers`, for `machine`; from any thread.
pub(crate) fn run_timers_of(machine: &Machine, now: u64) -> bool {
    if machine.timers.earliest() > now {
        return false;
    }
    while machine.timers.earliest() <= now {
        let mut due = Vec::new();
        machine.timers.take_due(now, 256, |alarm| {
            // SAFETY: 1. under the lock of its timers. 2. taken out.
            due.extend(unsafe { alarm.settle() });
        });
        trace::fire(machine.number, due.len());
        schedule::see_to(&mut due);
    }
    true
}

/// One of any that `machine` has to offer; from any thread.
pub(crate) fn steal_any(machine: &Machine) -> Option<Runnable> {
    let next = machine.offered.next.steal(machine.offered.next.peek());
    // SAFETY: 1. out of the slot, so ours.
    next.map(|next| unsafe { machine::runnable(next) })
        .or_else(|| machine.offered.steal_any())
}

/// Whether other machines, or what all share, have anything to run that is
/// worth a search: no line of short turns elsewhere, and nothing in a next
/// slot if the last search saw such a one move. Should the turn that has begun
/// since be a long one, the monitor calls a machine within a millisecond.
pub(crate) fn sees_work(here: Here) -> bool {
    let scheduler = here.scheduler();
    if !scheduler.injector.is_empty() || scheduler.has_held() || here.offers_work() {
        return true;
    }
    let skips_next = here.own().saw_next_move.get();
    others(&here).any(|other| {
        other.offered.fresh() > 0
            || pace::is_known_worth_it(other)
            || (!skips_next && !other.offered.next.peek().is_null())
    })
}

/// The other machines that may have something to take, each once, from
/// anywhere on.
fn others(here: &Here) -> impl Iterator<Item = &Machine> {
    let machines = &here.scheduler().machines;
    machines
        .open_from(here.own().random(machines.len()))
        .map(Arc::as_ref)
        .filter(|machine| machine.number != here.number)
}

/// Looks at other machines for a while.
#[inline(never)]
fn search(here: Here) -> Option<Runnable> {
    let own = here.own();
    let scheduler = here.scheduler();
    if scheduler.machines.len() < 2 {
        return None;
    }
    own.saw_next_move.set(false);
    let begin = clock::now();
    pace::show(here, begin);
    let patience = patience(here, begin);
    if !own.is_searching.get() {
        if !scheduler.processors.census.start_searching(scheduler.max_procs()) {
            return wait_for_letters(here, begin, patience);
        }
        own.is_searching.set(true);
    }
    let mut suspicion = None;
    let mut watches = Watches::new();
    let mut now = begin;
    loop {
        let is_last = now - begin >= patience;
        let found = one_round(here, now, is_last, &mut suspicion, &mut watches);
        let has_come = || !here.inbox.is_empty() || !scheduler.injector.is_empty();
        if now > begin && (found.is_some() || has_come()) {
            // Worth while: it was not there at first.
            own.vain_searches.set(0);
        }
        if found.is_some() {
            pace::begin(here, clock::now());
            return found;
        }
        if has_come() {
            pace::begin(here, now);
            return local(here).or_else(|| scheduler.admit(scheduler.injector.take()?));
        }
        let waits = (watches.go_on(now) && now - begin < 2 * SPIN)
            || (suspicion.is_some() && now - begin < SPIN + 2 * HOMING_WAIT);
        if (is_last && !waits) || !here.seat.has_permit() || scheduler.is_stopping() {
            own.vain_searches.set(own.vain_searches.get().wrapping_add(1));
            return None;
        }
        if suspicion.is_some() && own.called_for.get() == Some(Summons::New) {
            // A thread that was woken may have taken the CPU from the one
            // that woke it, whose goroutines these are.
            thread::yield_now();
        } else {
            look_away(here);
        }
        now = clock::now();
    }
}

/// Enough machines search: who has goroutines at home looks for those alone.
/// Partners that have two homes wake one another in turn, and a machine that
/// slept between two turns would make each of them a hundred times as long.
fn wait_for_letters(here: Here, begin: u64, patience: u64) -> Option<Runnable> {
    if schedule::is_nobodys_home(here) {
        return None;
    }
    let scheduler = here.scheduler();
    while here.seat.has_permit() && !scheduler.is_stopping() && scheduler.injector.is_empty() {
        if !here.inbox.is_empty() {
            pace::begin(here, clock::now());
            return local(here);
        }
        let now = clock::now();
        let is_over = now - begin >= patience
            || scheduler.processors.is_wanted()
            || here.timers.earliest() <= now;
        if is_over {
            break;
        }
        look_away(here);
    }
    None
}

/// Between two looks round; a letter ends it.
fn look_away(here: Here) {
    for _ in 0..32 {
        if !here.inbox.is_empty() {
            break;
        }
        spin_loop();
    }
}

/// How long a search is worth, in nanoseconds.
///
/// Machines that serve sockets go to sleep some thousand times a second, and
/// what wakes them comes from outside: there the search only burns a
/// processor.
fn patience(here: Here, now: u64) -> u64 {
    let scheduler = here.scheduler();
    let vain = here.own().vain_searches.get();
    // Out of a call that blocked come others like it: they bring their work
    // with them, and need the processor.
    let is_hopeless = scheduler.many_are_away()
        // Nobody else runs, and might make work.
        || scheduler.max_procs() == 1
        || (vain >= VAIN_MOST && !vain.is_multiple_of(VAIN_TRY));
    if is_hopeless {
        0
    } else if scheduler.netpoll().serves(now) {
        SPIN_SERVING
    } else {
        SPIN
    }
}

/// A machine that has unstarted goroutines, and since when we know.
type Suspicion = Option<(usize, u64)>;

fn one_round(
    here: Here,
    now: u64,
    is_last: bool,
    suspicion: &mut Suspicion,
    watches: &mut Watches,
) -> Option<Runnable> {
    let mut suspect = None;
    for victim in others(&here) {
        if victim.offered.started() > 0
            && watches.is_worth_it(victim, now)
            && let Some(runnable) = steal_started(here, victim)
        {
            return Some(runnable);
        }
        let len = victim.offered.fresh();
        if len > 0 {
            let since = match *suspicion {
                Some((number, since)) if number == victim.number => since,
                _ => now,
            };
            if may_take(here, len, now - since) {
                if let Some(runnable) = steal_fresh(here, victim) {
                    return Some(runnable);
                }
            } else if suspect.is_none_or(|(_, other)| since < other) {
                // The one known for longest: of several, each would begin
                // anew, as they are met in any order.
                suspect = Some((victim.number, since));
            }
        }
    }
    *suspicion = suspect;
    if is_last {
        return others(&here).find_map(|victim| steal_next(here, victim));
    }
    None
}

/// Pinned, an unstarted goroutine gets its home where it first runs, so a
/// thief leaves it to its spawner unless it has waited.
fn may_take(here: Here, len: usize, waited: u64) -> bool {
    here.scheduler().is_migrating()
        || here.own().called_for.get() == Some(Summons::Waiting)
        || len >= HOMING_BACKLOG
        || waited >= HOMING_WAIT
}

fn steal_started(here: Here, victim: &Machine) -> Option<Runnable> {
    let runnable = if here.scheduler().many_are_away() {
        victim.offered.steal_one_started()
    } else {
        victim.offered.steal_started(&here.own().queue)
    };
    let runnable = runnable?;
    // What it took is of that kind.
    here.show_pace(victim.shown_pace());
    stolen(here, victim, runnable)
}

fn steal_fresh(here: Here, victim: &Machine) -> Option<Runnable> {
    let runnable = if here.scheduler().many_are_away() {
        victim.offered.steal_one_fresh()
    } else {
        victim.offered.steal_fresh(&here.own().queue)
    };
    stolen(here, victim, runnable?)
}

fn stolen(here: Here, victim: &Machine, runnable: Runnable) -> Option<Runnable> {
    trace::steal(here.number, victim.number);
    match here.scheduler().admit(runnable) {
        Some(runnable) => Some(runnable),
        None => pop(here),
    }
}

/// The victim's next slot, after a delay: what stands there is mostly about
/// to run.
fn steal_next(here: Here, victim: &Machine) -> Option<Runnable> {
    let seen = victim.offered.next.peek();
    if seen.is_null() {
        return None;
    }
    let tick = victim.tick();
    let until = clock::now() + NEXT_SLOT_GRACE;
    while clock::now() < until {
        if victim.offered.next.peek() != seen || victim.tick() != tick {
            here.own().saw_next_move.set(true);
            return None;
        }
        spin_loop();
    }
    let Some(next) = victim.offered.next.steal(seen) else {
        here.own().saw_next_move.set(true);
        return None;
    };
    trace::steal(here.number, victim.number);
    // SAFETY: 1. out of the slot, so ours.
    Some(unsafe { machine::runnable(next) })
}

