//! Park and unpark: the core that everything which waits stands on.
//!
//! A wait goes like this, for goroutines and plain OS threads alike:
//! 1. make a [`Wait`] (or take the [`Parker`] alone),
//! 2. show it to those who may end it,
//! 3. `park`,
//! 4. take it away from those who were not the ones.
//!
//! Who ends it *settles* it first: of wakers, deadline and shutdown one wins
//! ([`Wait::settle`]), and only the winner unparks, once. The waiter does not
//! return before that unpark, so the winner may touch it until then, and no
//! wake is left over for the next wait. `docs/parking.md` has the proof.

use crate::ahead::{self, Partner};
use crate::bell::Bell;
use crate::clock;
use crate::deadlock;
use crate::goroutine::{Goroutine, GoroutineId, Header, Shutdown};
use crate::later::Later;
use crate::locals::quietly;
use crate::machine::{self, Machine};
use crate::reason::Reason;
use crate::schedule;
use crate::shim::{AcqRel, Acquire, AtomicU32};
use crate::state::{Hold, Woken};
use crate::switch::Left;
use crate::threads::Known;
use crate::timers::{Key, Target};
use crate::token::Token;
use crate::trace;
use std::cell::{Cell, OnceCell};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::task::Waker;
use std::thread;
use std::time::Duration;

/// Whom to wake: a goroutine, an OS thread, or a future's waker, as one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parker(usize);

const THREAD: usize = 1;
/// Beside the address of a box. `THREAD` is a part of it, so that it is no
/// goroutine's; and a join word can tell it from its own marks.
const WAKER: usize = 5;

impl Parker {
    /// The calling goroutine or thread.
    #[must_use]
    pub fn current() -> Self {
        machine::with_current_goroutine(|header| match header {
            Some(header) => Self(std::ptr::from_ref(header) as usize),
            None => with_thread(|identity| Self(Arc::as_ptr(identity) as usize | THREAD)),
        })
    }

    /// A future that is to be woken: its waker, which the word owns until
    /// `unpark` or `into_waker`.
    pub(crate) fn of_waker(waker: Box<Waker>) -> Self {
        Self(Box::into_raw(waker) as usize | WAKER)
    }

    /// The waker of an `of_waker`.
    ///
    /// # Safety
    /// 1. `of_waker` made it, and no copy of it is used after this.
    pub(crate) unsafe fn into_waker(self) -> Box<Waker> {
        // SAFETY: 1.
        unsafe { Box::from_raw((self.0 & !WAKER) as *mut Waker) }
    }

    /// The goroutine whose header this is.
    #[inline]
    pub(crate) fn of_header(header: *const Header) -> Self {
        Self(header as usize)
    }

    /// Never less than a page: small numbers are free for others.
    pub(crate) fn to_bits(self) -> usize {
        self.0
    }

    pub(crate) fn from_bits(bits: usize) -> Self {
        Self(bits)
    }

    fn header(self) -> Option<NonNull<Header>> {
        if self.0 & THREAD == 0 {
            NonNull::new(self.0 as *mut Header)
        } else {
            None
        }
    }

    /// Ends the wait. Called once for a wait, by who settled it; the waiter
    /// may be gone when this returns.
    pub(crate) fn unpark(self) {
        match self.header() {
            Some(header) => unpark_goroutine(header),
            None if self.0 & WAKER == WAKER => {
                // SAFETY: 1. called once.
                let waker = unsafe { self.into_waker() };
                quietly(|| waker.wake());
            }
            None => {
                let identity = (self.0 & !THREAD) as *const ThreadIdentity;
                // SAFETY: the thread waits for this call, so its identity is
                // alive up to the ring.
                let known = unsafe { &*identity }.known.clone();
                known.wait.ring();
                known.thread.unpark();
            }
        }
    }
}

/// It waits for this call.
#[inline]
fn unpark_goroutine(header: NonNull<Header>) {
    // SAFETY: it waits for this call, so it is alive up to the swap in
    // `unpark`.
    let state = unsafe { &header.as_ref().state };
    if state.unpark() {
        // SAFETY: 1. `unpark` gave it to us.
        schedule::ready(unsafe { machine::runnable(header) });
    }
}

/// The outcome of a wait that its deadline ended.
pub const TIMED_OUT: u32 = 1;
const DOOMED: u32 = 2;
/// The first outcome that is the waker's to choose.
pub const WOKEN: u32 = 3;

/// One wait of one goroutine or thread, ended by one of its rivals.
///
/// Invariants
/// 1. `settled` leaves 0 once. Who changed it owes the unpark, except the
///    waiter itself.
/// 2. A rival that did not win touches the wait no more; to reach it at all
///    it needs a reason to know that it is still there (the lock of the
///    queue it stands in).
#[derive(Debug)]
pub struct Wait {
    settled: AtomicU32,
    parker: Parker,
}

impl Wait {
    /// A wait of the calling goroutine or thread, which alone may park on it.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it belongs to who calls")]
    pub fn new() -> Self {
        Self {
            settled: AtomicU32::new(0),
            parker: Parker::current(),
        }
    }

    /// Claims the end of the wait for `outcome`, not 0. On `true` the caller
    /// owes [`Wait::unpark`].
    #[must_use]
    pub fn settle(&self, outcome: u32) -> bool {
        // ORDER: AcqRel: the winner's writes are seen with the outcome.
        self.settled
            .compare_exchange(0, outcome, AcqRel, Acquire)
            .is_ok()
    }

    /// Pays what a won `settle` owes.
    ///
    /// # Safety
    /// 1. The caller won `settle`, and calls this once. The wait may be gone
    ///    when this returns.
    pub unsafe fn unpark(this: *const Self) {
        // SAFETY: 1. it waits for this call. No reference to it is held
        // longer than this read.
        let parker = unsafe { (*this).parker };
        parker.unpark();
    }

    /// Whether somebody has settled it.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        // ORDER: Acquire pairs with `settle`.
        self.settled.load(Acquire) != 0
    }

    /// Waits until it is settled, at the latest at `deadline` (nanoseconds of
    /// [`clock::now`]), and returns the outcome.
    ///
    /// When the runtime shuts down this settles the wait and unwinds, so the
    /// caller needs a guard that takes it out of the queues it stands in. A
    /// goroutine that is unwinding already waits on for its waker.
    pub fn park(&self, reason: Reason, deadline: Option<u64>) -> u32 {
        self.park_with(reason, deadline, Hold::Loose)
    }

    /// As `park` without a deadline, inlined for waits that are short and
    /// many: `docs/decisions/returns.md`. It does not ask again who calls,
    /// which `park` does.
    ///
    /// # Safety
    /// 1. The goroutine or thread that made the wait calls.
    #[inline(always)]
    pub unsafe fn park_own(&self, reason: Reason) -> u32 {
        let Some(header) = self.parker.header() else {
            return self.park(reason, None);
        };
        // SAFETY: 1. it is the caller, alive as long as it runs.
        let header = unsafe { header.as_ref() };
        if park_as(header, reason, Hold::Loose) == Woken::Doomed {
            return self.park_doomed(reason, None, None);
        }
        // ORDER: Acquire pairs with `settle`.
        self.settled.load(Acquire)
    }

    /// As `park`, for whoever must not leave before its wakers: shutdown
    /// does not end it.
    pub fn park_firmly(&self, reason: Reason) -> u32 {
        self.park_with(reason, None, Hold::Firm)
    }

    fn park_with(&self, reason: Reason, deadline: Option<u64>, hold: Hold) -> u32 {
        let timer = match deadline {
            Some(deadline) if self.parker.header().is_some() => {
                let now = clock::now();
                if now >= deadline && self.settle(TIMED_OUT) {
                    return TIMED_OUT;
                }
                Some(self.set_timer(reason, now, deadline))
            }
            _ => None,
        };
        self.park_on_timer(timer, reason, deadline, hold)
    }

    /// As `park` for a sleep that began at `now`, which it does not ask the
    /// clock again.
    pub fn sleep(&self, now: u64, deadline: u64) -> u32 {
        let is_goroutine = self.parker.header().is_some();
        let timer = is_goroutine.then(|| self.set_timer(Reason::Sleep, now, deadline));
        self.park_on_timer(timer, Reason::Sleep, Some(deadline), Hold::Loose)
    }

    fn set_timer(&self, reason: Reason, now: u64, deadline: u64) -> (NonNull<Machine>, Key) {
        let alarm = Alarm::of_wait(self);
        // What is to happen by then should not come later.
        if reason == Reason::Sleep {
            let common = clock::rounded_up(deadline, now);
            if common != deadline {
                return machine::add_timer_together(common, alarm);
            }
        }
        machine::add_timer(deadline, alarm)
    }

    fn park_on_timer(
        &self,
        timer: Timer,
        reason: Reason,
        deadline: Option<u64>,
        hold: Hold,
    ) -> u32 {
        if self.park_once(reason, deadline, hold) == Woken::Doomed {
            return self.park_doomed(reason, deadline, timer);
        }
        self.outcome(timer)
    }

    fn outcome(&self, timer: Timer) -> u32 {
        // ORDER: Acquire pairs with `settle`.
        let outcome = self.settled.load(Acquire);
        debug_assert_ne!(outcome, 0, "a wake of another wait ended this one");
        if outcome != TIMED_OUT {
            cancel_timer(timer);
        }
        outcome
    }

    /// Shutdown woke a loose wait: unwinds if it may and comes first.
    #[cold]
    #[inline(never)]
    fn park_doomed(&self, reason: Reason, deadline: Option<u64>, timer: Timer) -> u32 {
        let mut hold = Hold::Loose;
        loop {
            if machine::may_raise() {
                if self.settle(DOOMED) {
                    cancel_timer(timer);
                    raise();
                }
                // Its wake is on the way.
                hold = Hold::Firm;
            }
            if self.park_once(reason, deadline, hold) == Woken::Due {
                return self.outcome(timer);
            }
        }
    }

    /// The header of the caller, whose wait this must be.
    #[inline(always)]
    fn own_header(&self) -> &Header {
        let header = machine::current_header();
        if ptr::from_ref(header) as usize != self.parker.0 {
            not_its_wait();
        }
        header
    }

    fn park_once(&self, reason: Reason, deadline: Option<u64>, hold: Hold) -> Woken {
        if self.parker.header().is_some() {
            return park_as(self.own_header(), reason, hold);
        }
        with_thread(|identity| {
            let in_time = identity.wait(reason, deadline);
            if !in_time && !self.settle(TIMED_OUT) {
                identity.wait(reason, None);
            }
        });
        Woken::Due
    }
}

/// One wait of one goroutine in one queue, without a word that is settled: to
/// stand in the queue is not to be settled. Who takes it out, under the
/// queue's lock, has won the end of the wait and owes [`Bare::unpark`].
///
/// It costs less than a [`Wait`], by an exchange and the line the word lies
/// in, but no timer can end it. `docs/parking.md` has the proof.
#[derive(Clone, Copy, Debug)]
pub struct Bare(NonNull<Header>);

impl Bare {
    /// A wait of `me`, if that is a goroutine.
    #[must_use]
    #[inline]
    pub fn of(me: Parker) -> Option<Self> {
        me.header().map(Self)
    }

    /// As an address, which is a multiple of 4.
    #[must_use]
    #[inline]
    pub fn to_address(self) -> *mut () {
        self.0.as_ptr().cast()
    }

    /// # Safety
    /// 1. `to_address` gave it.
    #[must_use]
    #[inline]
    pub unsafe fn from_address(address: *mut ()) -> Self {
        // SAFETY: 1. it was not null.
        Self(unsafe { NonNull::new_unchecked(address.cast()) })
    }

    /// `me`, the caller, is about to unpark it, which waits at `channel` with a
    /// node at `near`: asks for the memory that takes, now, and the next time
    /// before `me` comes to it (`ahead.rs`).
    #[inline]
    pub fn foresee(self, me: Option<Parker>, near: *const (), channel: *const ()) {
        if let Some(me) = me.and_then(Parker::header) {
            // SAFETY: it is the caller, alive as long as it runs.
            unsafe { me.as_ref() }.wakes(Partner {
                header: self.0.addr().get(),
                near: near.addr(),
                channel: channel.addr(),
            });
        }
    }

    /// Pays what taking it out owes.
    ///
    /// # Safety
    /// 1. The caller took it out of its queue, under the lock, for this wait,
    ///    and calls this once. The waiter may be gone when this returns.
    #[inline]
    pub unsafe fn unpark(self) {
        unpark_goroutine(self.0);
    }

    /// Waits until somebody has taken it out and calls `unpark`.
    ///
    /// When the runtime shuts down `leave` is asked to take it out, and to say
    /// whether it was in: then this unwinds. A goroutine that is unwinding
    /// already waits on for its waker.
    ///
    /// Inlined as waits like this are short and many:
    /// `docs/decisions/returns.md`.
    ///
    /// # Safety
    /// 1. The goroutine whose wait it is calls, and has shown it in one queue.
    /// 2. `leave` takes it out of that under the queue's lock, and says truly
    ///    whether it was in.
    #[inline(always)]
    pub unsafe fn park(self, reason: Reason, leave: &dyn Fn() -> bool) {
        // SAFETY: 1. it is the caller, alive as long as it runs.
        let header = unsafe { self.0.as_ref() };
        if park_as(header, reason, Hold::Loose) == Woken::Doomed {
            park_on_doomed(header, reason, leave);
        }
    }
}

/// Shutdown woke a bare wait: unwinds if it may and comes first.
#[cold]
#[inline(never)]
fn park_on_doomed(header: &Header, reason: Reason, leave: &dyn Fn() -> bool) {
    let mut hold = Hold::Loose;
    loop {
        if machine::may_raise() {
            if leave() {
                raise();
            }
            // Its wake is on the way.
            hold = Hold::Firm;
        }
        if park_as(header, reason, hold) == Woken::Due {
            return;
        }
    }
}

const _: () = assert!(align_of::<Header>() >= 4);

#[cold]
fn not_its_wait() -> ! {
    crate::fatal::fatal!("parked on a wait of another's")
}

/// What a timer ends, a `Wait` or the wait for a token; or what it starts.
#[derive(Clone, Copy)]
pub(crate) struct Alarm(usize);

// SAFETY: an address; `settle` says when it may be used.
unsafe impl Send for Alarm {}

const OF_TOKEN: usize = 1;
const OF_LATER: usize = 2;
const KINDS: usize = 3;

/// What is to be done for a timer whose time has come, after its lock.
pub(crate) enum Due {
    Unpark(Parker),
    Start(Arc<Later>),
}

/// A goroutine in a sleep has saved its registers so far below its wait, and
/// ends so far above it, in bytes.
const FRAMES_BELOW: usize = 320;
const FRAMES_ABOVE: usize = 448;

impl Target for Alarm {
    #[inline]
    fn foresee(self) {
        ahead::fetch(self.0);
    }
}

impl Alarm {
    fn of_wait(wait: &Wait) -> Self {
        Self(std::ptr::from_ref(wait) as usize)
    }

    fn of_token(header: &Header) -> Self {
        Self(std::ptr::from_ref(header) as usize | OF_TOKEN)
    }

    /// Owns the count.
    pub(crate) fn of_later(later: Arc<Later>) -> Self {
        Self(Arc::into_raw(later) as usize | OF_LATER)
    }

    /// The time has come: what to do, if the timer came first.
    ///
    /// # Safety
    /// 1. Under the lock of the timers it stands in: who waits takes it out
    ///    before it leaves.
    /// 2. It is taken out by this.
    pub(crate) unsafe fn settle(self) -> Option<Due> {
        let address = self.0 & !KINDS;
        match self.0 & KINDS {
            OF_LATER => {
                // SAFETY: 2. the count it owns.
                Some(Due::Start(unsafe { Arc::from_raw(address as *const Later) }))
            }
            OF_TOKEN => {
                let header = address as *const Header;
                // SAFETY: 1. it is still there.
                let stopped = unsafe { &*header }.token.stop_waiting();
                stopped.then_some(Due::Unpark(Parker(address)))
            }
            _ => {
                // SAFETY: 1. it is still there.
                let wait = unsafe { &*(address as *const Wait) };
                // Read first: once settled it may be gone.
                let parker = wait.parker;
                // It runs soon.
                ahead::fetch_around(parker.0, 0, size_of::<Header>());
                ahead::fetch_around(address, FRAMES_BELOW, FRAMES_ABOVE);
                wait.settle(TIMED_OUT).then_some(Due::Unpark(parker))
            }
        }
    }
}

type Timer = Option<(NonNull<Machine>, Key)>;

fn cancel_timer(timer: Timer) {
    if let Some((machine, key)) = timer {
        machine::remove_timer(machine, key);
    }
}

/// Ends the calling goroutine for the shutdown of its runtime.
fn raise() -> ! {
    machine::raise(Shutdown)
}

/// Parks the calling goroutine; its wake has been arranged for.
///
/// Inlined with all that stands between the switch and the program's own
/// code, where that is often: `docs/decisions/returns.md`.
#[inline(always)]
fn park_goroutine(reason: Reason, hold: Hold) -> Woken {
    park_as(machine::current_header(), reason, hold)
}

/// As `park_goroutine`, by a caller who knows that `header` is its own.
#[inline(always)]
fn park_as(header: &Header, reason: Reason, hold: Hold) -> Woken {
    if header.state.take_early_wake() {
        return Woken::Due;
    }
    header.set_wait(reason, header.scheduler().coarse_ms());
    trace::park(header, reason);
    machine::leave(header, Left::Parks(hold))
}

/// Waits for the end of `header`'s goroutine.
#[inline(always)]
pub(crate) fn wait_for_end(header: &Header) {
    wait_for_end_as(header, Hold::Loose);
}

/// As `wait_for_end`, whatever shutdown says.
pub(crate) fn wait_for_end_firmly(header: &Header) {
    wait_for_end_as(header, Hold::Firm);
}

#[inline(always)]
fn wait_for_end_as(header: &Header, hold: Hold) {
    if hold == Hold::Loose {
        // It may unwind, which a firm wait must not.
        schedule::checkpoint();
    }
    let me = Parker::current();
    if !header.begin_join(me) {
        return;
    }
    if me.header().is_none() {
        with_thread(|identity| identity.wait(Reason::Join, None));
        return;
    }
    let mut hold = hold;
    while park_goroutine(Reason::Join, hold) == Woken::Doomed {
        if !machine::may_raise() {
            continue;
        }
        if header.give_up_join(me) {
            raise();
        }
        hold = Hold::Firm;
    }
}

/// Waits for the token that [`Goroutine::unpark`] leaves, and takes it.
///
/// # Blocking
/// Parks the goroutine; on an OS thread it is `std::thread::park`. Unlike
/// std's it never returns without a token.
///
/// # Go
/// Not public there (`gopark`); `std::thread::park`'s twin.
#[inline(always)]
pub fn park() {
    let _token = park_until(None);
}

/// As [`park`], for `timeout` at most.
///
/// # Blocking
/// As [`park`]. Returns early only by a token.
///
/// # Go
/// None, as for [`park`].
pub fn park_timeout(timeout: Duration) {
    let _token = park_until(Some(clock::after(timeout)));
}

#[inline(always)]
fn park_until(deadline: Option<u64>) -> bool {
    let me = Parker::current();
    let Some(header) = me.header() else {
        return with_thread(|identity| identity.wait_for_token(deadline));
    };
    // SAFETY: it is the caller, alive as long as it runs.
    let header = unsafe { header.as_ref() };
    schedule::checkpoint();
    if header.token.take_or_wait() {
        return true;
    }
    let timer = deadline.map(|deadline| machine::add_timer(deadline, Alarm::of_token(header)));
    let mut hold = Hold::Loose;
    while park_goroutine(Reason::Park, hold) == Woken::Doomed {
        if !machine::may_raise() {
            continue;
        }
        if header.token.stop_waiting() {
            cancel_timer(timer);
            raise();
        }
        hold = Hold::Firm;
    }
    cancel_timer(timer);
    header.token.clear();
    true
}

/// Waits for a token of the caller's own that is not its goroutine's.
#[inline(always)]
pub(crate) fn wait_for_call(token: &Token, caller: Parker, reason: Reason) {
    let me = Parker::current();
    if me != caller {
        not_its_wait();
    }
    if me.header().is_none() {
        if !token.take_or_wait() {
            with_thread(|identity| identity.wait(reason, None));
            token.clear();
        }
        return;
    }
    schedule::checkpoint();
    if token.take_or_wait() {
        return schedule::yield_now();
    }
    let mut hold = Hold::Loose;
    while park_goroutine(reason, hold) == Woken::Doomed {
        if !machine::may_raise() {
            continue;
        }
        if token.stop_waiting() {
            raise();
        }
        hold = Hold::Firm;
    }
    token.clear();
}

/// `Goroutine::unpark` for a goroutine.
pub(crate) fn unpark_by_token(header: &Header) {
    if header.token.leave() {
        Parker(std::ptr::from_ref(header) as usize).unpark();
    }
}

/// The calling goroutine, or the calling OS thread as raddle knows it.
///
/// # Blocking
/// Never.
///
/// # Go
/// None, by decision: goroutines have no identity there.
#[must_use]
pub fn current() -> Goroutine {
    let goroutine = machine::with_current_goroutine(|header| header.map(Goroutine::of_header));
    goroutine.unwrap_or_else(|| with_thread(|identity| Goroutine::of_thread(identity.clone())))
}

/// An OS thread that uses raddle without being one of its goroutines.
#[derive(Debug)]
pub(crate) struct ThreadIdentity {
    id: GoroutineId,
    known: Arc<Known>,
}

impl ThreadIdentity {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            id: crate::spawn::next_id_outside(),
            known: Known::introduce(),
        })
    }

    pub(crate) fn id(&self) -> GoroutineId {
        self.id
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.known.thread.name()
    }

    /// Blocks the thread until its wake; `false`: the deadline came first.
    fn wait(&self, reason: Reason, deadline: Option<u64>) -> bool {
        self.known.set_reason(reason);
        wait_for(&self.known.wait, deadline)
    }

    fn wait_for_token(&self, deadline: Option<u64>) -> bool {
        self.known.set_reason(Reason::Park);
        wait_for(&self.known.token, deadline)
    }

    pub(crate) fn unpark_by_token(&self) {
        self.known.token.ring();
        self.known.thread.unpark();
    }
}

/// A thread with a deadline never counts as asleep.
fn wait_for(bell: &Bell, deadline: Option<u64>) -> bool {
    let mut is_lying = false;
    loop {
        if bell.take() {
            return true;
        }
        match deadline {
            None if is_lying => thread::park(),
            None => {
                is_lying = bell.lie_down();
                deadlock::a_thread_lay_down();
            }
            Some(deadline) => match deadline.checked_sub(clock::now()) {
                None | Some(0) => return false,
                Some(left) => thread::park_timeout(Duration::from_nanos(left)),
            },
        }
    }
}

thread_local! {
    /// Never dropped itself, so thread-local destructors can wait too.
    static IDENTITY: Cell<*const ThreadIdentity> = const { Cell::new(ptr::null()) };
    static KEPT: OnceCell<Keeper> = const { OnceCell::new() };
}

/// Frees the identity when the thread's values go.
struct Keeper(Arc<ThreadIdentity>);

impl Drop for Keeper {
    fn drop(&mut self) {
        IDENTITY.set(ptr::null());
        self.0.known.forget();
    }
}

/// Runs `f` with the calling thread's identity. Never inlined, as
/// `machine::here`: its callers are, into code that may go on elsewhere.
#[inline(never)]
fn with_thread<R>(f: impl FnOnce(&Arc<ThreadIdentity>) -> R) -> R {
    let mut identity = IDENTITY.get();
    if identity.is_null() {
        let new = ThreadIdentity::new();
        identity = Arc::as_ptr(&new);
        IDENTITY.set(identity);
        if let Err(_gone) = KEPT.try_with(|kept| {
            let _first = kept.set(Keeper(new.clone()));
        }) {
            // In a destructor after the keeper's: this one stays for ever.
            std::mem::forget(new);
        }
    }
    // SAFETY: made by an Arc that the keeper holds, or nobody drops.
    unsafe { Arc::increment_strong_count(identity) };
    // SAFETY: the count just added.
    f(&unsafe { Arc::from_raw(identity) })
}
