//! A machine: an OS thread that runs goroutines. Its queues, its inbox, its
//! tick, and the thread-local that says which machine this thread is.

use crate::blocks;
use crate::capture;
use crate::goroutine::{HOME_BY_PANIC, Header, LEFT_PANICKING, Payload, RAISED, Runnable};
use crate::home_queue::HomeQueue;
use crate::idle::{Bed, Sleep};
use crate::inbox::Inbox;
use crate::netpoll::Ready;
use crate::park::{Alarm, Due};
use crate::processor::{Member, Seat, Summons};
use crate::run_queue::{Offered, RunQueue};
use crate::scheduler::Scheduler;
use crate::shim::fixed::{AtomicBool, AtomicU32, AtomicU64, compiler_fence};
use crate::shim::{Acquire, Mutex, Relaxed, Release, SeqCst};
use crate::stack::Pool;
use crate::state::Woken;
use crate::switch::{self, Left};
use crate::timers::{Key, Timers};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::ops::Deref;
use std::panic::resume_unwind;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::thread::{self, Thread};

/// What others may touch of a machine, and what its thread alone may.
pub(crate) struct Machine {
    pub(crate) number: usize,
    pub(crate) scheduler: NonNull<Scheduler>,
    pub(crate) seat: Seat,
    pub(crate) sleep: Sleep,
    pub(crate) offered: Offered,
    pub(crate) inbox: Inbox<Header>,
    pub(crate) timers: Timers<Alarm>,
    /// Odd while a goroutine runs; one more at each change. The monitor sees
    /// by it whether the machine comes round.
    pub(crate) tick: AtomicU64,
    /// How long its turns have taken lately, in nanoseconds; 0: not known.
    pace: AtomicU32,
    /// Its goroutine is on the way from one stack of its to another, where
    /// nobody can tell what lies on them.
    pub(crate) is_between_stacks: AtomicBool,
    /// The slice is over: the next call that may park yields.
    pub(crate) is_slice_over: AtomicBool,
    /// Somebody here has polled for long while others waited: failing polls
    /// yield until the monitor sees better times.
    pub(crate) is_urgent: AtomicBool,
    /// Lost its permit while busy: counted as company.
    pub(crate) is_excess: AtomicBool,
    /// In a call that said it would block.
    pub(crate) is_in_blocking_call: AtomicBool,
    /// How many goroutines are at home here.
    pub(crate) homes: AtomicU64,
    pub(crate) spawned: AtomicU64,
    pub(crate) ended: AtomicU64,
    /// Ended, and nothing of them left to do here.
    pub(crate) gone: AtomicU64,
    /// The goroutine on its processor, for lists.
    pub(crate) running: AtomicU64,
    /// The thread it is, for others: none before it starts, and after it has
    /// ended until the next one starts.
    thread: Mutex<Option<(Thread, OsThread)>>,
    /// Its thread never ends while the runtime lives: it is the program's
    /// first, or others set timers here. Under the lock of `thread`.
    stays: AtomicBool,
    own: Own,
}

/// How the monitor asks about the thread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OsThread {
    pub(crate) clock: libc::clockid_t,
    pub(crate) id: libc::pid_t,
}

// SAFETY: `own` is reached through `Here` alone, which exists on the
// machine's own thread; all else is Sync or atomic. Goroutines in its queues
// may be sent as `Runnable` says.
unsafe impl Sync for Machine {}
// SAFETY: as above.
unsafe impl Send for Machine {}

/// The part that only the machine's thread touches.
pub(crate) struct Own {
    pub(crate) current: Cell<*const Header>,
    pub(crate) queue: RunQueue,
    pub(crate) at_home: HomeQueue<Header>,
    pub(crate) stacks: RefCell<Pool>,
    pub(crate) blocks: RefCell<blocks::Pool>,
    pub(crate) turn: Cell<u32>,
    /// Turns between looks at the clock, timers, and shared queues.
    pub(crate) upkeep_every: Cell<u32>,
    pub(crate) upkeep_in: Cell<u32>,
    pub(crate) upkeep_at: Cell<u64>,
    /// Since when its pace is measured, and the turn that was then.
    pub(crate) paced_at: Cell<u64>,
    pub(crate) paced_turn: Cell<u32>,
    /// When the oldest fresh goroutine was begun out of turn.
    pub(crate) oldest_at: Cell<u64>,
    /// Whether the next upkeep takes something that all may run.
    pub(crate) upkeep_takes: Cell<bool>,
    /// Whether the last one left its turn to whose time had come.
    pub(crate) woke_last: Cell<bool>,
    /// How often in a row the next slot went first.
    pub(crate) next_in_row: Cell<u32>,
    /// When that was last ended by the clock.
    pub(crate) row_ended_at: Cell<u64>,
    /// A turn, and how many looks were made in it while that was urgent.
    pub(crate) looks: Cell<(u64, u32)>,
    pub(crate) is_searching: Cell<bool>,
    /// Why somebody called for the search that goes on.
    pub(crate) called_for: Cell<Option<Summons>>,
    /// Searches in a row that have found nothing, however long they looked.
    pub(crate) vain_searches: Cell<u32>,
    /// The last search left what stood in a next slot, as it was about to run.
    pub(crate) saw_next_move: Cell<bool>,
    pub(crate) backlog_since: Cell<u64>,
    /// Its thread has been idle for long, and is about to end.
    pub(crate) has_retired: Cell<bool>,
    /// Whether its stall is open (`table.rs`).
    is_open: Cell<bool>,
    /// Goroutines parked here in the middle of a panic of their own.
    pub(crate) panics_parked: Cell<u32>,
    /// Above 0 while code that must not leave the stack runs on it, a panic
    /// hook or a subscriber: it waits as the OS thread.
    pub(crate) as_thread: Cell<u32>,
    /// Until when it may begin goroutines although it is full.
    pub(crate) leave_until: Cell<u64>,
    /// Since when somebody has wanted the permit.
    pub(crate) wanted_since: Cell<u64>,
    /// What the netpoller gave, until it is told.
    pub(crate) ready: Cell<Option<Ready>>,
    /// It tells them now: at the end it is asked whether anybody is called.
    pub(crate) is_telling: Cell<bool>,
    pub(crate) random: Cell<u64>,
    pub(crate) ids: Cell<(u64, u64)>,
}

impl Machine {
    pub(crate) fn new(number: usize, scheduler: NonNull<Scheduler>) -> Arc<Self> {
        let (queue, offered) = RunQueue::new();
        Arc::new(Self {
            number,
            scheduler,
            seat: Seat::new(),
            sleep: Sleep::new(),
            offered,
            inbox: Inbox::new(),
            timers: Timers::new(),
            tick: AtomicU64::new(0),
            pace: AtomicU32::new(0),
            is_between_stacks: AtomicBool::new(false),
            is_slice_over: AtomicBool::new(false),
            is_urgent: AtomicBool::new(false),
            is_excess: AtomicBool::new(false),
            is_in_blocking_call: AtomicBool::new(false),
            homes: AtomicU64::new(0),
            spawned: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            gone: AtomicU64::new(0),
            running: AtomicU64::new(0),
            thread: Mutex::new(None),
            stays: AtomicBool::new(false),
            own: Own {
                current: Cell::new(ptr::null()),
                queue,
                at_home: HomeQueue::new(),
                stacks: RefCell::new(Pool::new()),
                blocks: RefCell::new(blocks::Pool::new()),
                turn: Cell::new(0),
                upkeep_every: Cell::new(61),
                upkeep_in: Cell::new(61),
                upkeep_at: Cell::new(0),
                paced_at: Cell::new(0),
                paced_turn: Cell::new(0),
                oldest_at: Cell::new(0),
                upkeep_takes: Cell::new(true),
                woke_last: Cell::new(false),
                next_in_row: Cell::new(0),
                row_ended_at: Cell::new(0),
                looks: Cell::new((0, 0)),
                is_searching: Cell::new(false),
                called_for: Cell::new(None),
                vain_searches: Cell::new(0),
                saw_next_move: Cell::new(false),
                backlog_since: Cell::new(0),
                has_retired: Cell::new(false),
                is_open: Cell::new(false),
                panics_parked: Cell::new(0),
                as_thread: Cell::new(0),
                leave_until: Cell::new(0),
                wanted_since: Cell::new(0),
                ready: Cell::new(None),
                is_telling: Cell::new(false),
                random: Cell::new((number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
                ids: Cell::new((0, 0)),
            },
        })
    }

    pub(crate) fn scheduler(&self) -> &Scheduler {
        // SAFETY: a scheduler owns its machines and outlives them.
        unsafe { self.scheduler.as_ref() }
    }

    /// Wakes its thread, if it sleeps.
    pub(crate) fn call(&self) {
        match self.sleep.call() {
            None => {}
            Some(Bed::Poll) => self.scheduler().netpoll().call(),
            Some(Bed::Word) => {
                if let Some((thread, _)) = &*self.thread.lock() {
                    thread.unpark();
                }
            }
        }
    }

    /// Whether its thread has started.
    pub(crate) fn has_thread(&self) -> bool {
        self.thread.lock().is_some()
    }

    /// Its thread, if it has one, stays from here on. Whether it has.
    pub(crate) fn keep_thread(&self) -> bool {
        let thread = self.thread.lock();
        if thread.is_some() {
            // ORDER: Relaxed: the lock orders it before `give_up_thread`.
            self.stays.store(true, Relaxed);
        }
        thread.is_some()
    }

    /// Whether its thread stays, as a hint.
    pub(crate) fn keeps_thread(&self) -> bool {
        // ORDER: Relaxed: a hint.
        self.stays.load(Relaxed)
    }

    /// By its thread, which is about to end: from here on it has none, unless
    /// it is to stay. Under the lock of the book.
    #[must_use]
    pub(crate) fn give_up_thread(&self) -> bool {
        let mut thread = self.thread.lock();
        // ORDER: Relaxed: under the lock.
        let may_end = !self.stays.load(Relaxed);
        if may_end {
            *thread = None;
        }
        may_end
    }

    /// How to ask about its thread, if it has one.
    pub(crate) fn os_thread(&self) -> Option<OsThread> {
        self.thread.lock().as_ref().map(|(_, os_thread)| *os_thread)
    }

    /// Whether it runs a goroutine now, and its tick.
    pub(crate) fn tick(&self) -> u64 {
        // ORDER: Relaxed: watched over time by the monitor.
        self.tick.load(Relaxed)
    }

    /// How long its turns take, in nanoseconds: by its thread, or by a thief
    /// that has watched it.
    pub(crate) fn show_pace(&self, pace: u64) {
        // ORDER: Relaxed, here and below: a hint.
        self.pace.store(u32::try_from(pace).unwrap_or(u32::MAX), Relaxed);
    }

    /// What it has shown last.
    pub(crate) fn shown_pace(&self) -> u64 {
        // ORDER: as above.
        u64::from(self.pace.load(Relaxed))
    }

    pub(crate) fn is_in_blocking_call(&self) -> bool {
        // ORDER: Acquire pairs with its begin and end.
        self.is_in_blocking_call.load(Acquire)
    }

    /// Whether it may take work from the shared queues.
    pub(crate) fn takes_all_work(&self) -> bool {
        self.seat.has_permit() && !self.seat.is_own()
    }

    /// Whether it has anything that others could take.
    pub(crate) fn offers_work(&self) -> bool {
        self.offers_started_work() || self.offered.fresh() > 0
    }

    /// Whether that has begun already.
    pub(crate) fn offers_started_work(&self) -> bool {
        self.offered.started() > 0 || !self.offered.next.peek().is_null()
    }
}

impl Machine {
    /// Takes out what was to start at some time. No goroutine is left that
    /// waits.
    pub(crate) fn take_laters(&self) -> Vec<Due> {
        let mut left = Vec::new();
        self.timers.take_due(u64::MAX, usize::MAX, |alarm| {
            // SAFETY: 1. and 2. nobody waits; it has been taken out.
            left.extend(unsafe { alarm.settle() });
        });
        left
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        drop(self.take_laters());
    }
}

/// A machine, by address; schedulers keep theirs until they are freed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct MachineRef(NonNull<Machine>);

// SAFETY: a shared reference to a Machine, which is Sync.
unsafe impl Send for MachineRef {}

impl MachineRef {
    pub(crate) fn of(machine: &Machine) -> Self {
        Self(NonNull::from(machine))
    }

    pub(crate) fn ptr(self) -> NonNull<Machine> {
        self.0
    }
}

impl Deref for MachineRef {
    type Target = Machine;

    fn deref(&self) -> &Machine {
        // SAFETY: who holds one is part of its scheduler.
        unsafe { self.0.as_ref() }
    }
}

impl Member for MachineRef {
    fn seat(&self) -> &Seat {
        // SAFETY: as in `deref`.
        unsafe { &(*self.0.as_ptr()).seat }
    }
}

/// The machine of the calling thread. Not to be kept across a park: the
/// goroutine may wake on another.
#[derive(Clone, Copy)]
pub(crate) struct Here(MachineRef, PhantomData<*const ()>);

impl Here {
    pub(crate) fn own(&self) -> &Own {
        self.0.own_field()
    }

    pub(crate) fn machine(self) -> MachineRef {
        self.0
    }

    pub(crate) fn ptr(self) -> NonNull<Machine> {
        self.0.0
    }

    /// The goroutine that runs here and may leave its stack; null if none.
    #[inline]
    pub(crate) fn goroutine(self) -> *const Header {
        let own = self.0.own_field();
        if own.as_thread.get() == 0 {
            own.current.get()
        } else {
            ptr::null()
        }
    }
}

impl MachineRef {
    fn own_field(&self) -> &Own {
        &self.own
    }
}

impl Deref for Here {
    type Target = Machine;

    fn deref(&self) -> &Machine {
        &self.0
    }
}

thread_local! {
    static CURRENT: Cell<*const Machine> = const { Cell::new(ptr::null()) };
}

/// The machine this thread is. Never inlined: a function that parks in
/// between must not reuse the address of the thread-local it read before.
#[inline(never)]
pub(crate) fn here() -> Option<Here> {
    NonNull::new(CURRENT.get().cast_mut())
        .map(|machine| Here(MachineRef(machine), PhantomData))
}

/// This thread becomes `machine`.
pub(crate) fn become_machine(machine: &Arc<Machine>) -> Here {
    *machine.thread.lock() = Some((thread::current(), this_os_thread()));
    set_timer_slack();
    CURRENT.set(Arc::as_ptr(machine));
    Here(MachineRef::of(machine), PhantomData)
}

/// This thread is no machine any more.
pub(crate) fn cease_to_be_machine() {
    CURRENT.set(ptr::null());
}

#[cfg(target_os = "linux")]
fn this_os_thread() -> OsThread {
    let mut clock = 0;
    // SAFETY: no arguments.
    let thread = unsafe { libc::pthread_self() };
    // SAFETY: asks about the calling thread; `clock` is a local.
    let failed = unsafe { libc::pthread_getcpuclockid(thread, &raw mut clock) };
    // SAFETY: no arguments.
    let id = unsafe { libc::gettid() };
    OsThread {
        clock: if failed == 0 { clock } else { -1 },
        id,
    }
}

#[cfg(not(target_os = "linux"))]
fn this_os_thread() -> OsThread {
    OsThread { clock: 0, id: 0 }
}

/// Sleeps of this thread end when they should, not up to 50 us later.
#[cfg(target_os = "linux")]
pub(crate) fn set_timer_slack() {
    // SAFETY: a number for the calling thread; failure changes nothing.
    let _ = unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1 as libc::c_ulong) };
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn set_timer_slack() {}

/// Runs `f` with the goroutine that calls and may leave its stack here, if
/// one does. `f` must not park.
#[inline]
pub(crate) fn with_current_goroutine<R>(f: impl FnOnce(Option<&Header>) -> R) -> R {
    let header = here().map_or(ptr::null(), Here::goroutine);
    // SAFETY: the current goroutine is alive as long as it runs.
    f(unsafe { header.as_ref() })
}

/// While it lives, whatever waits on this thread blocks the thread: for panic
/// hooks and subscribers, in the middle of which nobody else may run here.
pub(crate) struct AsThread(Option<MachineRef>);

impl AsThread {
    pub(crate) fn begin() -> Self {
        let machine = here().map(Here::machine);
        if let Some(machine) = machine {
            let depth = &machine.own_field().as_thread;
            depth.set(depth.get() + 1);
        }
        Self(machine)
    }
}

impl Drop for AsThread {
    fn drop(&mut self) {
        if let Some(machine) = self.0 {
            // The same machine: nothing left the stack meanwhile.
            let depth = &machine.own_field().as_thread;
            depth.set(depth.get() - 1);
        }
    }
}

/// Before a panic hook: the calling goroutine is about to unwind.
pub(crate) fn note_panic() {
    with_current_goroutine(|header| {
        if let Some(header) = header {
            header.set(RAISED);
        }
    });
}

/// Unwinds the calling goroutine with a payload of ours.
pub(crate) fn raise(payload: impl Any + Send) -> ! {
    resume(Box::new(payload))
}

/// As `std::panic::resume_unwind`, with the goroutine marked as unwinding.
pub fn resume(payload: Payload) -> ! {
    note_panic();
    resume_unwind(payload)
}

/// Whether the calling goroutine can be unwound: not while it unwinds
/// already, where a second panic would abort.
///
/// `panicking()` speaks of the thread. If another goroutine is parked here in
/// the middle of its panic, and this one has raised none, it is most likely
/// the other's: unless the program resumed a panic, or has set a hook of its
/// own that does not tell us. So such a goroutine is ended only when shutdown
/// has waited for it in vain.
pub(crate) fn may_raise() -> bool {
    if !thread::panicking() {
        return true;
    }
    let header = current_header();
    !header.has(LEFT_PANICKING)
        || here().is_some_and(|here| !may_be_unwinding(here, header))
            && header.scheduler().has_been_doomed_long()
}

/// Whether the calling goroutine may be in the middle of a panic of its own:
/// the thread's count may be another's.
pub(crate) fn is_unwinding(header: &Header) -> bool {
    thread::panicking() && here().is_some_and(|here| may_be_unwinding(here, header))
}

fn may_be_unwinding(here: Here, header: &Header) -> bool {
    header.has(RAISED) || here.own().panics_parked.get() == 0
}

/// Others may find something here from now on (`table.rs`): before the first
/// push after it was closed.
pub(crate) fn open_stall(here: Here) {
    if !here.own().is_open.replace(true) {
        here.scheduler().machines.open(here.number);
    }
}

/// Nobody looks here any more, if there is nothing to find.
pub(crate) fn close_stall(here: Here) {
    if !here.offers_work() && here.own().is_open.replace(false) {
        here.scheduler().machines.close(here.number);
    }
}

/// Whether what is pushed here is found.
pub(crate) fn is_open(here: Here) -> bool {
    here.own().is_open.get()
}

/// `header` is at home here from now on.
pub(crate) fn move_in(here: Here, header: &Header) {
    header.set_home(Some(here.ptr()));
    bump(&here.homes);
}

/// `header`, at home here, is not any more.
pub(crate) fn move_out(here: Here, header: &Header) {
    header.set_home(None);
    leave_home(here);
}

/// One goroutine fewer is at home here; a machine that was its own is like
/// any other again when the last has gone.
pub(crate) fn leave_home(here: Here) {
    // ORDER: Relaxed: the machine alone writes it.
    let left = here.homes.load(Relaxed).saturating_sub(1);
    // ORDER: Relaxed: read under the lock of the book while we sleep.
    here.homes.store(left, Relaxed);
    if left == 0 && here.seat.is_own() {
        here.seat.set_own(false);
    }
}

/// # Safety
/// 1. As `Runnable::from_header`.
pub(crate) unsafe fn runnable(header: NonNull<Header>) -> Runnable {
    // SAFETY: 1.
    unsafe { Runnable::from_header(header) }
}

/// Sets a timer of this machine's; who set it removes it by the pair.
pub(crate) fn add_timer(deadline: u64, alarm: Alarm) -> (NonNull<Machine>, Key) {
    let here = here_for_timer();
    let (key, _is_earliest) = here.timers.add(deadline, alarm);
    (here.ptr(), key)
}

/// As `add_timer`, for a deadline that others have too.
pub(crate) fn add_timer_together(deadline: u64, alarm: Alarm) -> (NonNull<Machine>, Key) {
    let here = here_for_timer();
    let (key, _is_earliest) = here.timers.add_together(deadline, alarm);
    (here.ptr(), key)
}

fn here_for_timer() -> Here {
    let Some(here) = here() else {
        crate::fatal::fatal!("a timer was set on a thread that is no machine")
    };
    here
}

/// Removes a timer, on whatever machine; none if it is gone.
pub(crate) fn remove_timer(machine: NonNull<Machine>, key: Key) {
    // SAFETY: the caller's scheduler keeps its machines.
    let machine = unsafe { machine.as_ref() };
    let _was_there = machine.timers.remove(key);
}

/// The calling goroutine, whose header this is, leaves its stack; returns
/// when it is resumed.
#[inline(always)]
pub(crate) fn leave(header: &Header, left: Left) -> Woken {
    if thread::panicking() {
        return leave_while_panicking(header, left);
    }
    if header.has(HOME_BY_PANIC | RAISED | LEFT_PANICKING) {
        panic_is_over(header);
    }
    suspend(header, left)
}

/// The switch itself; a capture in between is no return.
#[inline(always)]
fn suspend(header: &Header, left: Left) -> Woken {
    switch::about_to_leave();
    // SAFETY: 1. the caller of `leave` runs on its stack.
    let woken = unsafe { header.yielder() }.suspend(left);
    if woken == Woken::Captured {
        return capture::on_its_stack(header, left);
    }
    woken
}

/// The count of panics belongs to the thread: until this one is caught, the
/// goroutine must come back to the thread that raised it.
#[cold]
#[inline(never)]
fn leave_while_panicking(header: &Header, left: Left) -> Woken {
    let machine = here().map(Here::machine);
    let Some(machine) = machine else {
        crate::fatal::fatal!("left a stack on a thread that is no machine")
    };
    let here = Here(machine, PhantomData);
    header.set(LEFT_PANICKING);
    if header.home().is_none() {
        move_in(here, header);
        header.set(HOME_BY_PANIC);
    }
    if !may_be_unwinding(here, header) {
        return suspend(header, left);
    }
    header.set(RAISED);
    let parked = &machine.own_field().panics_parked;
    parked.set(parked.get() + 1);
    let woken = suspend(header, left);
    // At home: the same machine.
    parked.set(parked.get() - 1);
    woken
}

#[cold]
#[inline(never)]
fn panic_is_over(header: &Header) {
    if header.has(HOME_BY_PANIC)
        && header.pins().get() == 0
        && let Some(here) = here()
    {
        move_out(here, header);
    }
    header.clear(HOME_BY_PANIC | RAISED | LEFT_PANICKING);
}

/// The header of the goroutine that calls; it lives as long as that runs.
pub(crate) fn current_header<'a>() -> &'a Header {
    let header = here().map_or(ptr::null(), Here::goroutine);
    // SAFETY: the current goroutine is alive as long as it runs.
    match unsafe { header.as_ref() } {
        Some(header) => header,
        None => crate::fatal::fatal!("left a stack outside any goroutine"),
    }
}

/// The calling goroutine is about to change stacks, or has done so.
#[inline(never)]
pub(crate) fn set_between_stacks(is_between: bool) {
    if let Some(here) = here() {
        // ORDER: Relaxed: for who interrupts this thread. The fences keep it
        // before the change, and after it.
        compiler_fence(SeqCst);
        here.is_between_stacks.store(is_between, Relaxed);
        compiler_fence(SeqCst);
    }
}

/// A number below `bound`, for choices that are to be fair; by xorshift.
#[must_use]
pub fn random(bound: usize) -> usize {
    thread_local! {
        static OUTSIDE: Cell<u64> = const { Cell::new(0x9e37_79b9_7f4a_7c15) };
    }
    #[inline(never)]
    fn outside(bound: usize) -> usize {
        OUTSIDE.with(|state| draw(state, bound))
    }
    match here() {
        Some(here) => here.own().random(bound),
        None => outside(bound),
    }
}

/// The next number of `state`, scaled by the high half of a product: a
/// division would take longer than all else.
fn draw(state: &Cell<u64>, bound: usize) -> usize {
    let mut x = state.get();
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    state.set(x);
    let scaled = (u128::from(x) * bound.max(1) as u128) >> 64;
    usize::try_from(scaled).unwrap_or(0)
}

impl Own {
    /// A number below `bound`, by xorshift.
    pub(crate) fn random(&self, bound: usize) -> usize {
        draw(&self.random, bound)
    }
}

/// Adds one to a counter that the calling machine alone writes.
pub(crate) fn bump(counter: &AtomicU64) {
    // ORDER: Relaxed: the only writer reads its own.
    let was = counter.load(Relaxed);
    // ORDER: Release pairs with who adds the counters up after a join.
    counter.store(was + 1, Release);
}

/// Reads a flag that another raises, and lowers it.
pub(crate) fn take_flag(flag: &AtomicBool) -> bool {
    // ORDER: Acquire pairs with who raised it.
    flag.load(Relaxed) && flag.swap(false, Acquire)
}
