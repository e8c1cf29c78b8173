//! The loop of a machine: find, run, put away; and where a goroutine goes
//! that is runnable again.

use crate::clock;
use crate::find_work;
use crate::goroutine::{self, HOME_FOR_LIFE, Header, Runnable};
use crate::handoff;
use crate::idle::{Bed, Census};
use crate::machine::{self, Here, Machine, bump};
use crate::pace;
use crate::park::{Due, Parker};
use crate::processor::GiveWay;
use crate::roll;
use crate::scheduler::Scheduler;
use crate::shim::{Relaxed, Release, SeqCst, fence};
use crate::state::Woken;
use crate::switch::{Coroutine, Left};
use crate::trace;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};
use std::thread;
use std::time::Duration;

/// As `run`. Nothing may unwind out of it: the machine has a permit, and
/// goroutines at home.
pub(crate) fn run_or_die(here: Here) -> Ending {
    match catch_unwind(AssertUnwindSafe(|| run(here))) {
        Ok(ending) => ending,
        Err(_) => crate::fatal::fatal!("a panic left the scheduler on machine {}", here.number),
    }
}

/// Why a machine's thread ends.
pub(crate) enum Ending {
    /// The scheduler stops.
    Stopped,
    /// It was idle for long. The machine may get another.
    Retired,
}

/// Runs goroutines until the scheduler stops, or the machine has been idle
/// for long.
fn run(here: Here) -> Ending {
    let scheduler = here.scheduler();
    wake_to_work(here);
    loop {
        if here.seat.has_permit() || get_permit(here) {
            match find_work::find(here) {
                Some(runnable) => {
                    execute(here, runnable);
                    continue;
                }
                None => rest(here),
            }
        }
        if scheduler.is_stopping() || here.own().has_retired.get() {
            break;
        }
    }
    here.own().stacks.borrow_mut().drain();
    here.own().blocks.borrow_mut().drain();
    if here.own().has_retired.take() {
        Ending::Retired
    } else {
        Ending::Stopped
    }
}

/// Resumes a goroutine and puts it away when it comes back.
fn execute(here: Here, runnable: Runnable) {
    let own = here.own();
    if own.is_searching.get() {
        end_search(here, true);
    }
    if here.is_slice_over.load(Relaxed) {
        own.upkeep_in.set(0);
        // ORDER: Relaxed, both: a hint of the monitor's, for the last slice;
        // or of shutdown's, for all that come.
        here.is_slice_over.store(here.scheduler().is_doomed(), Relaxed);
    }
    let ptr = runnable.into_header();
    // SAFETY: the scheduler's reference keeps it until `end`.
    let header = unsafe { ptr.as_ref() };
    let mut woken = header.state.run();
    // SAFETY: 1. ours, since we took it from a queue.
    if unsafe { header.coroutine() }.is_none() && !begin(here, ptr) {
        return;
    }
    // SAFETY: 1. as above.
    let Some(coroutine) = (unsafe { header.coroutine() }) else {
        crate::fatal::fatal!("goroutine {} has no stack to run on", header.id())
    };
    trace::run(header, here.number);
    own.current.set(ptr.as_ptr());
    // ORDER: Relaxed, these four: the monitor watches over milliseconds.
    let tick = here.tick.load(Relaxed);
    here.running.store(header.id().get(), Relaxed);
    here.tick.store(tick + 1, Relaxed);
    let left = loop {
        match coroutine.resume(woken) {
            Left::Parks(hold) if !header.state.park(hold) => woken = Woken::Due,
            left => break left,
        }
    };
    // Parked, it may run elsewhere by now, or be gone.
    own.current.set(ptr::null());
    here.tick.store(tick + 2, Relaxed);
    if here.is_in_blocking_call() {
        // It parked inside: the machine is free.
        // ORDER: Release: pairs with the monitor's look.
        here.is_in_blocking_call.store(false, Release);
        machine::open_stall(here);
    }
    match left {
        Left::Parks(_) => {}
        Left::Yields => {
            header.state.yield_now();
            // SAFETY: 1. it is off its stack and in no queue: ours.
            put_last(here, unsafe { machine::runnable(ptr) });
        }
        Left::Ended => end(here, ptr),
    }
}

/// Gives a new goroutine its home and its stack. `false`: there is none to
/// be had, and it has ended.
fn begin(here: Here, ptr: NonNull<Header>) -> bool {
    // SAFETY: ours, and alive.
    let header = unsafe { ptr.as_ref() };
    if header.home().is_none() && !here.scheduler().is_migrating() {
        machine::move_in(here, header);
        header.set(HOME_FOR_LIFE);
    }
    let taken = here.own().stacks.borrow_mut().take(header.stack_size());
    let stack = match taken {
        Ok(stack) => stack,
        Err(error) => {
            let message = format!("{} got no stack: {error}", goroutine::Described(header));
            let _ = writeln!(io::stderr(), "raddle: {message}");
            // SAFETY: 1. ours, never begun.
            unsafe { goroutine::give_up(ptr, Box::new(message)) };
            put_away(here, ptr);
            return false;
        }
    };
    roll::enter(stack.owner(), ptr);
    // SAFETY: 1. the scheduler's reference is kept until the end.
    let new = unsafe { Coroutine::new(stack, ptr, goroutine::body) };
    // SAFETY: 1. ours.
    *unsafe { header.coroutine() } = Some(new);
    true
}

fn end(here: Here, ptr: NonNull<Header>) {
    // SAFETY: the scheduler's reference is dropped by `put_away`.
    let header = unsafe { ptr.as_ref() };
    // SAFETY: 1. ours: it has ended here.
    if let Some(coroutine) = unsafe { header.coroutine() }.take() {
        let stack = coroutine.into_stack();
        roll::leave(stack.owner());
        here.own().stacks.borrow_mut().put(stack);
    }
    put_away(here, ptr);
}

/// The last that a machine does for a goroutine.
fn put_away(here: Here, ptr: NonNull<Header>) {
    // SAFETY: the scheduler's reference is dropped below.
    let header = unsafe { ptr.as_ref() };
    header.state.finish();
    if header.home() == Some(here.ptr()) {
        machine::leave_home(here);
    }
    // SAFETY: 1. the scheduler's own count.
    unsafe { Header::drop_ref(ptr) };
    // Shutdown waits for this, and not for `count_ended`: the destructors of
    // a result come in between.
    bump(&here.gone);
}

/// To the end of the queue it belongs to.
fn put_last(here: Here, runnable: Runnable) {
    match runnable.header().home() {
        None => {
            debug_assert!(machine::is_open(here), "pushed where nobody looks");
            here.own().queue.push(runnable);
        }
        Some(home) if home == here.ptr() => {
            // SAFETY: 1. ours, and alive until it has run.
            unsafe { here.own().at_home.push(runnable.into_header()) };
        }
        Some(home) => send_home(home, runnable),
    }
}

/// A goroutine is runnable again: where it will be found. From any thread.
pub(crate) fn ready(runnable: Runnable) {
    let header = runnable.header();
    trace::unpark(header);
    let Some(here) = machine::here().filter(|here| header.belongs_to(here.scheduler())) else {
        // Once it is queued the goroutine may run and end, and its runtime
        // with it, were it not for the visit.
        let visit = Visit::begin(header.scheduler());
        match header.home() {
            Some(home) => send_home(home, runnable),
            None => inject(visit.scheduler(), runnable),
        }
        return;
    };
    match header.home() {
        Some(home) if home == here.ptr() => {
            header.foresee_turn(here.own().turn.get());
            // SAFETY: 1. ours, and alive until it has run.
            unsafe { here.own().at_home.put_next(runnable.into_header()) };
        }
        Some(home) => send_home(home, runnable),
        None if here.takes_all_work() => {
            debug_assert!(machine::is_open(here), "pushed where nobody looks");
            header.foresee_turn(here.own().turn.get());
            if let Some(earlier) = here.offered.next.put(runnable.into_header()) {
                // SAFETY: 1. out of the slot, so ours.
                here.own().queue.push(unsafe { machine::runnable(earlier) });
            }
            if !here.own().is_telling.get() {
                here.scheduler().hint_work();
            }
        }
        None => inject(here.scheduler(), runnable),
    }
}

/// A thread that is none of a scheduler's own works on it: it is not freed
/// before that ends.
pub(crate) struct Visit(NonNull<Scheduler>);

impl Visit {
    /// `scheduler` is alive now, by a goroutine of its that cannot end yet.
    pub(crate) fn begin(scheduler: &Scheduler) -> Self {
        // ORDER: Relaxed: ordered before the end of the visit by program
        // order, and that before the free by Release and Acquire.
        scheduler.visitors.fetch_add(1, Relaxed);
        Self(scheduler.ptr())
    }

    fn scheduler(&self) -> &Scheduler {
        // SAFETY: it waits for the visit's end.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        // ORDER: Release pairs with `Scheduler::stop`.
        self.scheduler().visitors.fetch_sub(1, Release);
    }
}

/// To the queue everyone shares.
pub(crate) fn inject(scheduler: &Scheduler, runnable: Runnable) {
    scheduler.injector.push(runnable);
    scheduler.call_for_work();
}

/// Into its home's inbox.
pub(crate) fn send_home(home: NonNull<Machine>, runnable: Runnable) {
    // SAFETY: a machine outlives the goroutines at home there.
    let home = unsafe { home.as_ref() };
    let reference = machine::MachineRef::of(home);
    // SAFETY: 1. ours; alive until it has run.
    unsafe { home.inbox.push(runnable.into_header()) };
    if home.sleep.needs_call() && home.scheduler().processors.call_home(&reference) {
        home.call();
    }
}

/// The end of a search for work; `found` some. The last searcher to find
/// some calls the next one if there is more.
pub(crate) fn end_search(here: Here, found: bool) {
    let own = here.own();
    let scheduler = here.scheduler();
    own.is_searching.set(false);
    if own.called_for.take().is_some() {
        scheduler.was_worth_the_call(found);
    }
    let was_last = scheduler.processors.census.stop_searching();
    if found && was_last {
        // Whoever pushed before this left it to us, who searched.
        Census::before_second_look();
        if find_work::sees_work(here) {
            scheduler.call_for_work();
        }
    }
}

/// Without a permit: what is stealable is left to others, what is not waits
/// for a permit. Whether the machine has one now.
#[cold]
fn get_permit(here: Here) -> bool {
    let scheduler = here.scheduler();
    let own = here.own();
    if own.is_searching.get() {
        end_search(here, false);
    }
    handoff::no_longer_excess(here);
    find_work::run_timers(here, clock::now());
    find_work::empty_inbox(here);
    let me = here.machine();
    if !own.at_home.is_empty() {
        if scheduler.processors.acquire_or_line_up(&me) {
            scheduler.monitor.call_if_asleep();
            return true;
        }
        sleep_in_line(here);
        return here.seat.has_permit();
    }
    if scheduler.processors.census.looks_free()
        && find_work::sees_work(here)
        && scheduler.processors.try_acquire(&me)
    {
        scheduler.monitor.call_if_asleep();
        return true;
    }
    // Others look into the injector now and then, but not here.
    while let Some(runnable) = find_work::take_offered(here) {
        inject(scheduler, runnable);
    }
    rest(here);
    here.seat.has_permit()
}

/// Sleeps until a permit is granted; due timers run meanwhile.
fn sleep_in_line(here: Here) {
    if here.own().is_searching.get() {
        end_search(here, false);
    }
    let me = here.machine();
    // Into the line again, if the monitor, late, took the permit just granted.
    while !here.scheduler().is_stopping()
        && !here.scheduler().processors.acquire_or_line_up(&me)
    {
        if here.sleep.announce(Bed::Word) {
            Census::before_second_look();
            if !here.seat.has_permit() && !here.scheduler().is_stopping() {
                sleep(here, Bed::Word);
            }
        }
        here.sleep.wake_up();
        find_work::run_timers(here, clock::now());
    }
    wake_to_work(here);
}

/// Nothing to do: gives the permit up and sleeps until called, or until the
/// first of its timers.
fn rest(here: Here) {
    let scheduler = here.scheduler();
    let own = here.own();
    if own.is_searching.get() {
        end_search(here, false);
    }
    if scheduler.is_stopping() {
        // Perhaps out of the line, in which the book still has us.
        return;
    }
    let me = here.machine();
    let bed = if scheduler.netpoll().try_take_role() {
        Bed::Poll
    } else {
        Bed::Word
    };
    if here.sleep.announce(bed) {
        if let Some(next) = scheduler.processors.go_idle(&me) {
            next.call();
        }
        // The permit may have been taken a moment before we gave it up.
        handoff::no_longer_excess(here);
        // Stuck without a permit it may have outlasted the monitor, which
        // asks whether all are asleep.
        scheduler.monitor.call_if_asleep();
        Census::before_second_look();
        let stay = here.inbox.is_empty()
            && !scheduler.is_stopping()
            && !(scheduler.processors.census.looks_free()
                && !here.seat.is_own()
                && find_work::sees_work(here));
        if stay {
            machine::close_stall(here);
            sleep(here, bed);
        }
        here.sleep.wake_up();
        if own.has_retired.get() {
            return;
        }
        let _has_permit = scheduler.processors.leave_idle(&me);
    } else {
        here.sleep.wake_up();
    }
    if bed == Bed::Poll {
        scheduler.netpoll().leave_role();
        // ORDER: before `wake_to_work` asks whether the monitor sleeps: the
        // monitor says that it does and then asks for the role.
        fence(SeqCst);
        if let Some(ready) = own.ready.take() {
            // With a permit, if there was one: so they come to this machine.
            machine::open_stall(here);
            find_work::tell(here, ready);
        }
    }
    wake_to_work(here);
}

/// After a sleep: counts as searching if the caller said so, and looks at
/// its timers first.
fn wake_to_work(here: Here) {
    let own = here.own();
    machine::open_stall(here);
    own.upkeep_in.set(0);
    own.saw_next_move.set(false);
    pace::begin(here, clock::now());
    own.wanted_since.set(0);
    handoff::no_longer_excess(here);
    if let Some(summons) = here.seat.take_summons() {
        if own.is_searching.replace(true) {
            // Counted twice.
            here.scheduler().processors.census.stop_searching();
        }
        own.called_for.set(Some(summons));
    }
    here.scheduler().monitor.call_if_asleep();
}

fn first_timer(here: Here) -> u64 {
    here.timers.settled_earliest()
}

/// A machine that sleeps so long gives memory back, in nanoseconds.
const TRIM_AFTER: u64 = 200_000_000;

/// So many looks in one turn are a loop of them.
const LOOKS_OF_A_LOOP: u32 = 64;

/// A machine that sleeps so long ends its thread, if there are more than
/// processors and nobody is at home there; in nanoseconds.
const KEEP: u64 = 10_000_000_000;

/// Whether the machine, idle for long, retires: nobody calls it any more.
#[cold]
fn retire(here: Here) -> bool {
    let own = here.own();
    let is_empty = own.at_home.is_empty()
        && here.inbox.is_empty()
        && !here.offers_work()
        && here.timers.settled_earliest() == u64::MAX;
    // A home of nobody's stays so while it is idle, but for who makes it his
    // own, under the lock of the book.
    let retires = is_empty
        && is_nobodys_home(here)
        && here
            .scheduler()
            .processors
            .retire(&here.machine(), || here.give_up_thread());
    own.has_retired.set(retires);
    retires
}

pub(crate) fn is_nobodys_home(here: Here) -> bool {
    // ORDER: Relaxed: the machine alone writes it while it is awake.
    here.homes.load(Relaxed) == 0
}

/// Sleeps until called, or until a timer is due. A machine that sleeps long
/// gives memory of its stacks back, once; and its thread, if nobody needs it.
fn sleep(here: Here, bed: Bed) {
    let stacks = &here.own().stacks;
    let scheduler = here.scheduler();
    let may_retire = bed == Bed::Word
        && scheduler.machines.len() > scheduler.max_procs()
        && is_nobodys_home(here)
        && !here.keeps_thread();
    let mut retire_at = if may_retire {
        clock::now() + KEEP
    } else {
        u64::MAX
    };
    let mut trim_at = if stacks.borrow().is_used() {
        clock::now() + TRIM_AFTER
    } else {
        u64::MAX
    };
    while !here.sleep.is_called() {
        let timer = first_timer(here);
        let until = timer.min(trim_at).min(retire_at);
        if sleep_once(here, bed, until) {
            // To be told before anything else: a second look would hide it.
            return;
        }
        let now = if until == u64::MAX { 0 } else { clock::now() };
        if timer <= now {
            return;
        }
        if retire_at <= now {
            // Once: who falls asleep later asks for itself.
            retire_at = u64::MAX;
            if retire(here) {
                return;
            }
        }
        if trim_at <= now {
            let _bytes = stacks.borrow_mut().trim();
            here.own().blocks.borrow_mut().drain();
            trim_at = u64::MAX;
        } else if bed == Bed::Poll {
            return;
        }
    }
}

/// Until `deadline` at most; may end early. `true`: descriptors are ready.
fn sleep_once(here: Here, bed: Bed, deadline: u64) -> bool {
    match bed {
        Bed::Poll => {
            let ready = here.scheduler().netpoll().wait(deadline);
            if !ready.is_empty() {
                here.own().ready.set(Some(ready));
                return true;
            }
        }
        Bed::Word if deadline == u64::MAX => thread::park(),
        Bed::Word => {
            if let Some(left @ 1..) = deadline.checked_sub(clock::now()) {
                thread::park_timeout(Duration::from_nanos(left));
            }
        }
    }
    false
}

/// At a slice's end, while others want a permit: behind them in line.
pub(crate) fn give_way(here: Here) {
    let me = here.machine();
    if let GiveWay::Sleep(next) = here.scheduler().processors.give_way(&me) {
        if let Some(next) = next {
            next.call();
        }
        sleep_in_line(here);
    }
}

/// Wakes and starts those whose timers were due.
pub(crate) fn see_to(due: &mut Vec<Due>) {
    for due in due.drain(..) {
        match due {
            Due::Unpark(parker) => parker.unpark(),
            Due::Start(later) => later.start(),
        }
    }
}

/// Lets others run.
///
/// # Blocking
/// Goes to the end of its machine's queue; returns at once when nobody waits
/// there. On an OS thread it is `std::thread::yield_now`.
///
/// # Go
/// `runtime.Gosched`.
// Inlined for the sake of the processor's return stack:
// `docs/decisions/returns.md`.
#[inline(always)]
pub fn yield_now() {
    let Some(here) = machine::here() else {
        return thread::yield_now();
    };
    // SAFETY: the current goroutine is alive as long as it runs.
    let Some(header) = (unsafe { here.goroutine().as_ref() }) else {
        return thread::yield_now();
    };
    if !find_work::may_stay(here) {
        leave_turn(header);
    }
}

/// The calling goroutine goes to the end of its queue.
#[inline(always)]
fn leave_turn(header: &Header) {
    let _turn = machine::leave(header, Left::Yields);
    if header.scheduler().is_doomed() {
        end_if_doomed();
    }
}

#[cold]
#[inline(never)]
fn end_if_doomed() {
    if machine::may_raise() {
        machine::raise(goroutine::Shutdown);
    }
}

/// At the start of every call that may park: yields if the slice is over.
#[inline]
pub fn checkpoint() {
    let _me = checkpoint_as();
}

/// As [`checkpoint`], and says who calls: none if no goroutine does. One
/// look-up instead of two for what parks often.
#[inline]
pub fn checkpoint_as() -> Option<Parker> {
    let here = machine::here()?;
    let me = here.goroutine();
    if me.is_null() {
        return None;
    }
    // ORDER: Relaxed: a hint of the monitor's.
    if here.is_slice_over.load(Relaxed) {
        end_slice();
    }
    Some(Parker::of_header(me))
}

/// Not inlined: it would make everybody save registers who comes by.
#[cold]
#[inline(never)]
fn end_slice() {
    if let Some(here) = machine::here() {
        // Whoever waits for the processor is looked at next.
        here.own().upkeep_in.set(0);
    }
    leave_turn(machine::current_header());
}

/// At a poll that found nothing, and where an unbounded producer would run
/// on: yields if the monitor has seen that others at home here, perhaps those
/// who are polled for, have waited long behind such a loop.
///
/// A goroutine may hold a lock of std's in such calls, so they do not yield
/// otherwise.
#[inline]
pub fn poll_point() {
    if is_urgent() {
        yield_urgently();
    }
}

/// As `poll_point`, in looks that are made everywhere, also to print a value
/// while a lock of std's is held: it needs a loop of them in one turn.
#[inline]
pub fn look_point() {
    if is_urgent() {
        look_urgently();
    }
}

fn is_urgent() -> bool {
    machine::here().is_some_and(|here| {
        // ORDER: Relaxed: a hint of the monitor's.
        here.is_urgent.load(Relaxed) && !here.goroutine().is_null()
    })
}

#[cold]
#[inline(never)]
fn look_urgently() {
    let Some(here) = machine::here() else { return };
    let turn = here.tick();
    let (of, before) = here.own().looks.get();
    let looks = if of == turn { before + 1 } else { 1 };
    here.own().looks.set((turn, looks));
    if looks >= LOOKS_OF_A_LOOP {
        yield_urgently();
    }
}

#[cold]
#[inline(never)]
fn yield_urgently() {
    // In the middle of a panic its destructors should not be kept.
    let header = machine::current_header();
    if !machine::is_unwinding(header) {
        leave_turn(header);
    }
}
