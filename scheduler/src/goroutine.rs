//! A goroutine: identity, home, closure, result, end.
//!
//! One allocation holds all of it: the [`Header`], which does not depend on
//! the closure's type, and behind it the closure, later its result. The
//! stack comes with the first run and goes with the end.

use crate::ahead::{self, Partner};
use crate::blocks::{self, Class};
use crate::inbox::Linked;
use crate::join_word::{JoinWord, Then};
use crate::locals::{self, Locals, quietly};
use crate::machine::{self, Here, Machine};
use crate::park::{self, Parker, ThreadIdentity};
use crate::reason::Reason;
use crate::scheduler::Scheduler;
use crate::shim::{
    Acquire, AtomicPtr, AtomicU8, AtomicU32, Relaxed, Release, fence,
};
use crate::state::State;
use crate::switch::{Coroutine, Yielder};
use crate::token::Token;
use crate::trace;
use std::alloc::Layout;
use std::any::Any;
use std::cell::{Cell, UnsafeCell};
use std::fmt;
use std::io::{self, Write};
use std::marker::PhantomData;
use std::mem::{self, MaybeUninit, offset_of};
use std::num::NonZeroU64;
use std::panic::{AssertUnwindSafe, Location, RefUnwindSafe, UnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::thread;

/// What a goroutine left behind by a panic, `goexit` or shutdown.
pub type Payload = Box<dyn Any + Send + 'static>;

/// The payload of a goroutine that ended by `goexit`: `join` gives it as
/// `Err`.
///
/// # Blocking
/// Never.
///
/// # Go
/// None: nobody is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Goexit;

/// The payload of a goroutine ended by the shutdown of its runtime, or
/// dropped unstarted: `join` gives it as `Err`.
///
/// # Blocking
/// Never.
///
/// # Go
/// None: there goroutines end with the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shutdown;

/// A goroutine's number, unique in the process and never used again.
///
/// # Blocking
/// Never.
///
/// # Go
/// None: only traces show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GoroutineId(NonZeroU64);

impl GoroutineId {
    pub(crate) fn new(number: u64) -> Self {
        Self(NonZeroU64::new(number).unwrap_or(NonZeroU64::MIN))
    }

    /// The number itself.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for GoroutineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Its home is no guard's to take away.
pub(crate) const HOME_FOR_LIFE: u8 = 1;
/// At home only until its panic is caught.
pub(crate) const HOME_BY_PANIC: u8 = 2;
/// It has raised a panic, and has not been seen without one since.
pub(crate) const RAISED: u8 = 4;

/// It left its stack last while its thread was panicking.
pub(crate) const LEFT_PANICKING: u8 = 8;
/// When it was woken last, what it needs was not near (`ahead.rs`).
const FAR: u8 = 16;

/// What is set for one goroutine before it is spawned.
#[derive(Debug, Default)]
pub(crate) struct Traits {
    pub(crate) name: Option<String>,
    /// Bytes; 0 stands for the runtime's default.
    pub(crate) stack_size: usize,
}

/// The part of a goroutine that does not depend on its closure.
///
/// Invariants
/// 1. Cells are touched by the goroutine while it runs, and on the system
///    stack by the machine that resumed it or is about to, or by who woke it
///    and has not queued it yet; the word and the queues it passes through
///    order one owner after another.
/// 2. `refs` counts the scheduler (until the end) and each handle.
/// 3. `scheduler` outlives the goroutine: it is freed only when none is
///    left.
// In this order what a wait, its wake and the run that follows touch lies side
// by side, in as few lines of the cache as can be.
#[repr(C)]
pub(crate) struct Header {
    pub(crate) state: State,
    reason: AtomicU8,
    pub(crate) token: Token,
    flags: Cell<u8>,
    /// In milliseconds of the scheduler's coarse clock.
    since: AtomicU32,
    home: AtomicPtr<Machine>,
    scheduler: NonNull<Scheduler>,
    yielder: Cell<*const Yielder>,
    coroutine: UnsafeCell<Option<Coroutine>>,
    /// Whom it woke last.
    partner: Cell<Partner>,
    /// The machine's turn in which it was woken last.
    woken_in: Cell<u32>,
    pins: Cell<u32>,
    id: GoroutineId,
    link: AtomicPtr<Header>,
    join: JoinWord,
    parts: &'static Parts,
    refs: AtomicU32,
    site: &'static Location<'static>,
    traits: Option<Box<Traits>>,
    locals: UnsafeCell<Option<Box<Locals>>>,
}

/// What of it is used at each wait.
const HOT: usize = offset_of!(Header, link);
const _: () = assert!(HOT <= 112 || cfg!(raddle_tsan));

// SAFETY: of its fields only cells are not Sync, and those have one owner at
// a time (invariant 1). What the closure and the result may do is decided by
// the bounds at the spawn.
unsafe impl Send for Header {}
// SAFETY: as above.
unsafe impl Sync for Header {}

// SAFETY: 1. a field of its own, used for inboxes only.
unsafe impl Linked for Header {
    fn link(&self) -> &AtomicPtr<Self> {
        &self.link
    }
}

/// The functions that know the closure's type.
struct Parts {
    run: unsafe fn(NonNull<Header>),
    /// Ends it unstarted, with this payload.
    abandon: unsafe fn(NonNull<Header>, Payload),
    /// Moves the result to where the pointer says.
    take_result: unsafe fn(NonNull<Header>, *mut ()),
    drop_result: unsafe fn(NonNull<Header>),
    free: unsafe fn(NonNull<Header>),
}

impl Header {
    /// The home machine, if it has one.
    #[inline]
    pub(crate) fn home(&self) -> Option<NonNull<Machine>> {
        // ORDER: Relaxed: written before the park whose end the reader owns.
        NonNull::new(self.home.load(Relaxed))
    }

    /// Gives it a home, or none. By its owner, while it does not stand in a
    /// queue.
    pub(crate) fn set_home(&self, machine: Option<NonNull<Machine>>) {
        let machine = machine.map_or(ptr::null_mut(), NonNull::as_ptr);
        // ORDER: Relaxed: the next park publishes it.
        self.home.store(machine, Relaxed);
    }

    pub(crate) fn scheduler(&self) -> &Scheduler {
        // SAFETY: invariant 3, for as long as the goroutine is alive; ended
        // ones are asked for nothing that needs it.
        unsafe { self.scheduler.as_ref() }
    }

    pub(crate) fn belongs_to(&self, scheduler: &Scheduler) -> bool {
        ptr::eq(self.scheduler.as_ptr(), scheduler)
    }

    pub(crate) fn id(&self) -> GoroutineId {
        self.id
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.traits.as_ref().and_then(|traits| traits.name.as_deref())
    }

    pub(crate) fn site(&self) -> &'static Location<'static> {
        self.site
    }

    pub(crate) fn stack_size(&self) -> usize {
        match self.traits.as_ref().map_or(0, |traits| traits.stack_size) {
            0 => self.scheduler().stack_size(),
            size => size,
        }
    }

    pub(crate) fn pins(&self) -> &Cell<u32> {
        &self.pins
    }

    pub(crate) fn has(&self, flag: u8) -> bool {
        self.flags.get() & flag != 0
    }

    pub(crate) fn set(&self, flag: u8) {
        self.flags.set(self.flags.get() | flag);
    }

    pub(crate) fn clear(&self, flag: u8) {
        self.flags.set(self.flags.get() & !flag);
    }

    /// By its owner, of one that will run soon on this machine, whose turn is
    /// number `turn`: asks for what it will most likely need, if that is far.
    #[inline]
    pub(crate) fn foresee_turn(&self, turn: u32) {
        let ago = turn.wrapping_sub(self.woken_in.replace(turn));
        if ago > ahead::NEAR_TURNS {
            self.set(FAR);
            ahead::fetch(self.yielder.get().addr());
            self.partner.get().foresee();
        } else if self.has(FAR) {
            self.clear(FAR);
        }
    }

    /// The caller, which this is, wakes `partner`.
    #[inline]
    pub(crate) fn wakes(&self, partner: Partner) {
        // The same as last time was asked for when this was woken.
        if self.has(FAR) && self.partner.get() != partner {
            self.partner.set(partner);
            partner.foresee();
        }
    }

    pub(crate) fn has_started(&self) -> bool {
        !self.yielder.get().is_null()
    }

    /// Why it waits, and since which coarse millisecond.
    pub(crate) fn wait(&self) -> (Reason, u32) {
        // ORDER: Relaxed: shown, not acted on.
        let reason = Reason::from_number(self.reason.load(Relaxed));
        // ORDER: as above.
        (reason, self.since.load(Relaxed))
    }

    pub(crate) fn set_wait(&self, reason: Reason, since_ms: u32) {
        // ORDER: Relaxed: shown, not acted on.
        self.reason.store(reason as u8, Relaxed);
        // ORDER: as above.
        self.since.store(since_ms, Relaxed);
    }

    /// What it leaves its stack by.
    ///
    /// # Safety
    /// 1. The caller runs on this goroutine's stack.
    pub(crate) unsafe fn yielder(&self) -> &Yielder {
        // SAFETY: set before the closure began (1.), and it lives at the
        // bottom of the stack the caller is on.
        unsafe { &*self.yielder.get() }
    }

    /// The coroutine, for the machine that runs or takes it apart.
    ///
    /// # Safety
    /// 1. The caller owns the goroutine, on the system stack, and has no
    ///    other reference from here.
    #[expect(clippy::mut_from_ref, reason = "one owner at a time (invariant 1)")]
    pub(crate) unsafe fn coroutine(&self) -> &mut Option<Coroutine> {
        // SAFETY: 1. nobody else holds it.
        unsafe { &mut *self.coroutine.get() }
    }

    /// The goroutine's own values.
    ///
    /// # Safety
    /// 1. The caller runs on this goroutine's stack, and drops the reference
    ///    before it asks again.
    #[expect(clippy::mut_from_ref, reason = "one owner at a time (invariant 1)")]
    pub(crate) unsafe fn locals(&self) -> &mut Option<Box<Locals>> {
        // SAFETY: 1. nobody else holds it.
        unsafe { &mut *self.locals.get() }
    }

    /// `parker` waits for the end. `false`: it has ended already.
    pub(crate) fn begin_join(&self, parker: Parker) -> bool {
        self.join.begin(parker.to_bits())
    }

    /// The joiner goes away. `false`: the end is about to wake it.
    pub(crate) fn give_up_join(&self, parker: Parker) -> bool {
        self.join.give_up(parker.to_bits())
    }

    fn add_ref(&self) {
        // ORDER: Relaxed: made from a reference that is there.
        self.refs.fetch_add(1, Relaxed);
    }

    /// # Safety
    /// 1. The caller owns one count, and gives it up.
    pub(crate) unsafe fn drop_ref(header: NonNull<Self>) {
        // SAFETY: 1. alive by the caller's count.
        let this = unsafe { header.as_ref() };
        // ORDER: Acquire pairs with the other holders' decrements: a last
        // holder need not write.
        if this.refs.load(Acquire) != 1 {
            // ORDER: Release: our use comes before the last one's free.
            if this.refs.fetch_sub(1, Release) != 1 {
                return;
            }
            // ORDER: and theirs before ours. The thread sanitizer knows no
            // fences.
            if cfg!(raddle_tsan) {
                this.refs.load(Acquire);
            } else {
                fence(Acquire);
            }
        }
        // SAFETY: 1. the last count is gone, nobody else knows it.
        unsafe { (this.parts.free)(header) }
    }
}

/// The scheduler's claim on one goroutine: the right to queue it or run it.
/// There is one at most, and none while the goroutine runs or is parked.
pub(crate) struct Runnable(NonNull<Header>);

// SAFETY: a Header may be sent; of what the closure holds the spawn's bounds
// answer, and one that may not move is queued at its home only.
unsafe impl Send for Runnable {}

impl Runnable {
    /// # Safety
    /// 1. The caller owns the goroutine (see `state.rs`) and gives that up.
    pub(crate) unsafe fn from_header(header: NonNull<Header>) -> Self {
        Self(header)
    }

    pub(crate) fn into_header(self) -> NonNull<Header> {
        self.0
    }

    pub(crate) fn header(&self) -> &Header {
        // SAFETY: the scheduler's own reference keeps it alive until the end.
        unsafe { self.0.as_ref() }
    }
}

enum Stage<F, T> {
    Start(F),
    Ended(thread::Result<T>),
    Taken,
}

#[repr(C)]
struct Whole<F, T, D> {
    header: Header,
    stage: UnsafeCell<Stage<F, T>>,
    after: UnsafeCell<Option<D>>,
}

impl<F, T, D> Whole<F, T, D> {
    /// Whose block it has; none: it has a box.
    const CLASS: Option<Class> = Class::of(Layout::new::<Self>());

    /// Where one may lie; nothing is there yet. `here` is the calling
    /// thread's machine.
    fn place(here: Option<Here>) -> NonNull<Self> {
        match (Self::CLASS, here) {
            (Some(class), Some(here)) => here.own().blocks.borrow_mut().take(class).cast(),
            (Some(class), None) => blocks::take_outside(class).cast(),
            (None, _) => NonNull::from(Box::leak(Box::<Self>::new_uninit())).cast(),
        }
    }

    /// Gives the place back.
    ///
    /// # Safety
    /// 1. `place` gave it, and nobody else has it. What lies there is
    ///    forgotten.
    unsafe fn give_back(this: NonNull<Self>) {
        match (Self::CLASS, machine::here()) {
            (Some(class), Some(here)) => {
                // SAFETY: 1. of this class, by `place`.
                unsafe { here.own().blocks.borrow_mut().put(class, this.cast()) }
            }
            // SAFETY: 1. as above.
            (Some(class), None) => unsafe { blocks::put_outside(class, this.cast()) },
            (None, _) => {
                // SAFETY: 1. a box of `place`.
                drop(unsafe { Box::from_raw(this.cast::<MaybeUninit<Self>>().as_ptr()) });
            }
        }
    }
}

/// Everything needed for a new goroutine besides its closure.
pub(crate) struct Birth {
    pub(crate) scheduler: NonNull<Scheduler>,
    pub(crate) id: GoroutineId,
    pub(crate) site: &'static Location<'static>,
    pub(crate) traits: Option<Box<Traits>>,
    pub(crate) home: Option<NonNull<Machine>>,
}

/// Makes a goroutine that will run `f` and then `after` (told whether `f`
/// panicked), both on its own stack. `after` runs once the result lies where
/// a joiner finds it, or is dropped. `here` is the calling thread's machine,
/// of any scheduler.
///
/// # Safety
/// 1. `birth.scheduler` outlives the goroutine.
/// 2. What `f` and `after` borrow lives until `after` has run; the result
///    until the `Join` is used, dropped or forgotten.
/// 3. `f`, its result and `after` may be used on every machine the goroutine
///    can run on.
pub(crate) unsafe fn create<F, T, D>(
    here: Option<Here>,
    birth: Birth,
    f: F,
    after: D,
) -> (Runnable, Join<T>)
where
    F: FnOnce() -> T,
    D: FnOnce(bool),
{
    let place = Whole::place(here);
    let whole = Whole {
        header: Header {
            state: State::queued(),
            reason: AtomicU8::new(Reason::None as u8),
            token: Token::new(),
            refs: AtomicU32::new(2),
            since: AtomicU32::new(0),
            pins: Cell::new(0),
            flags: Cell::new(birth.home.map_or(0, |_| HOME_FOR_LIFE)),
            link: AtomicPtr::new(ptr::null_mut()),
            home: AtomicPtr::new(birth.home.map_or(ptr::null_mut(), NonNull::as_ptr)),
            join: JoinWord::new(),
            scheduler: birth.scheduler,
            parts: &Parts {
                run: run::<F, T, D>,
                abandon: abandon::<F, T, D>,
                take_result: take_result::<F, T, D>,
                drop_result: drop_result::<F, T, D>,
                free: free::<F, T, D>,
            },
            coroutine: UnsafeCell::new(None),
            partner: Cell::new(Partner::NONE),
            woken_in: Cell::new(0),
            yielder: Cell::new(ptr::null()),
            id: birth.id,
            site: birth.site,
            traits: birth.traits,
            locals: UnsafeCell::new(None),
        },
        stage: UnsafeCell::new(Stage::<F, T>::Start(f)),
        after: UnsafeCell::new(Some(after)),
    };
    // SAFETY: it is free, and there is room.
    unsafe { place.write(whole) };
    // repr(C): the header's address is the whole's.
    let header = place.cast::<Header>();
    let join = Join {
        goroutine: Goroutine(Kind::Header(header)),
        waker: None,
        result: PhantomData,
    };
    (Runnable(header), join)
}

/// A goroutine's whole run, on its stack.
///
/// # Safety
/// 1. Called once, as the body of its coroutine.
pub(crate) unsafe fn body(header: NonNull<Header>, yielder: &Yielder) {
    // SAFETY: 1. it is alive until it has ended.
    let this = unsafe { header.as_ref() };
    this.yielder.set(yielder);
    // SAFETY: 1. once.
    unsafe { (this.parts.run)(header) }
}

/// # Safety
/// 1. Called once, on the goroutine's stack, with a header made by `create`
///    for the same types.
unsafe fn run<F, T, D>(header: NonNull<Header>)
where
    F: FnOnce() -> T,
    D: FnOnce(bool),
{
    // SAFETY: 1. it is a `Whole`, alive until it has ended.
    let whole = unsafe { header.cast::<Whole<F, T, D>>().as_ref() };
    let header = &whole.header;
    // SAFETY: 1. until the join word says Ended the stage is ours.
    let Stage::Start(f) = (unsafe { ptr::replace(whole.stage.get(), Stage::Taken) }) else {
        crate::fatal::fatal!("goroutine {} was run twice", header.id)
    };
    let outcome = if header.scheduler().is_doomed() {
        // Its runtime went down before it began.
        quietly(|| drop(f));
        Err(Box::new(Shutdown) as Payload)
    } else {
        catch_unwind(AssertUnwindSafe(f))
    };
    // SAFETY: 1. on its stack.
    unsafe { drop_locals(header) };
    // SAFETY: 1. as ours.
    unsafe { end(whole, outcome) };
    // A destructor of the last step may have made some again.
    // SAFETY: 1. on its stack.
    unsafe { drop_locals(header) };
}

/// # Safety
/// 1. Called once, by the owner of a goroutine made by `create` for the same
///    types that has not run and will not.
unsafe fn abandon<F, T, D>(header: NonNull<Header>, payload: Payload)
where
    D: FnOnce(bool),
{
    // SAFETY: 1. it is a `Whole`, alive until it has ended.
    let whole = unsafe { header.cast::<Whole<F, T, D>>().as_ref() };
    // SAFETY: 1. ours.
    let start = unsafe { ptr::replace(whole.stage.get(), Stage::Taken) };
    quietly(|| drop(start));
    // SAFETY: 1. as ours.
    unsafe { end(whole, Err(payload)) };
}

/// # Safety
/// 1. Called once, by the goroutine or its owner.
unsafe fn end<F, T, D: FnOnce(bool)>(whole: &Whole<F, T, D>, outcome: thread::Result<T>) {
    let header = &whole.header;
    let panicked = match &outcome {
        Ok(_) => false,
        Err(payload) => is_panic(payload.as_ref()),
    };
    if panicked && header.scheduler().aborts_on_panic() {
        report_panic(header, "and the panic policy is abort");
        std::process::abort();
    }
    // SAFETY: 1. until the join word says Ended the stage is ours, and
    // nothing of value is overwritten.
    unsafe { *whole.stage.get() = Stage::Ended(outcome) };
    // SAFETY: 1. `after` is ours alone.
    let after = unsafe { &mut *whole.after.get() }.take();
    header.scheduler().count_ended();
    trace::finish(header);
    let (at_end, then) = header.join.end();
    if let Some(at_end) = at_end {
        at_end();
    }
    match then {
        Then::Nothing => {}
        Then::Drop => {
            if panicked {
                report_panic(header, "and nobody joins it");
            }
            // SAFETY: detached: the result is ours to drop.
            quietly(|| unsafe { *whole.stage.get() = Stage::Taken });
        }
        Then::Wake(joiner) => Parker::from_bits(joiner).unpark(),
    }
    if let Some(after) = after {
        after(panicked);
    }
}

/// Whether a payload is a panic of the program's, not an end by `goexit` or
/// shutdown.
#[must_use]
pub fn is_panic(payload: &(dyn Any + Send)) -> bool {
    !payload.is::<Goexit>() && !payload.is::<Shutdown>()
}

#[cold]
fn report_panic(header: &Header, what: &str) {
    // Not `eprintln!`, which panics where stderr is closed.
    let _ = writeln!(io::stderr(), "{} panicked, {what}", Described(header));
}

/// Says on stderr that the caller panicked, who that is, and what becomes of
/// it: by who has caught a panic that is to go on elsewhere.
#[cold]
#[inline(never)]
pub fn report_caught_panic(what: &str) {
    machine::with_current_goroutine(|header| {
        if let Some(header) = header {
            return report_panic(header, what);
        }
        let thread = thread::current();
        let name = thread.name().unwrap_or("<unnamed>");
        let _ = writeln!(io::stderr(), "thread {name} panicked, {what}");
    });
}

/// `goroutine 7 "name", spawned at src/main.rs:3:5`
pub(crate) struct Described<'a>(pub(crate) &'a Header);

impl fmt::Display for Described<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "goroutine {}", self.0.id)?;
        if let Some(name) = self.0.name() {
            write!(f, " {name:?}")?;
        }
        write!(f, ", spawned at {}", self.0.site)
    }
}

/// # Safety
/// 1. On the goroutine's stack.
unsafe fn drop_locals(header: &Header) {
    // SAFETY: 1. and the reference ends with the call.
    locals::drop_all(|| unsafe { header.locals() }.take());
}

/// # Safety
/// 1. The goroutine has ended and the result is the caller's; `to` has room
///    for a `thread::Result<T>`.
unsafe fn take_result<F, T, D>(header: NonNull<Header>, to: *mut ()) {
    // SAFETY: 1. alive by the caller's reference.
    let whole = unsafe { header.cast::<Whole<F, T, D>>().as_ref() };
    // SAFETY: 1. ours.
    if let Stage::Ended(result) = unsafe { ptr::replace(whole.stage.get(), Stage::Taken) } {
        // SAFETY: 1. there is room.
        unsafe { to.cast::<Option<thread::Result<T>>>().write(Some(result)) };
    }
}

/// # Safety
/// 1. The goroutine has ended and the result is the caller's.
unsafe fn drop_result<F, T, D>(header: NonNull<Header>) {
    // SAFETY: 1. alive by the caller's reference.
    let whole = unsafe { header.cast::<Whole<F, T, D>>().as_ref() };
    // SAFETY: 1. ours.
    let was = unsafe { ptr::replace(whole.stage.get(), Stage::Taken) };
    if let Stage::Ended(Err(payload)) = &was
        && is_panic(payload.as_ref())
    {
        report_panic(&whole.header, "and nobody joins it");
    }
    drop(was);
}

/// # Safety
/// 1. No reference is left.
unsafe fn free<F, T, D>(header: NonNull<Header>) {
    let mut place = header.cast::<Whole<F, T, D>>();
    // SAFETY: 1. made by `create`, and nobody else has it.
    let whole = unsafe { place.as_mut() };
    drop(whole.header.traits.take());
    drop(mem::replace(&mut whole.header.join, JoinWord::new()));
    drop(whole.after.get_mut().take());
    // A result that is still here belongs to a forgotten handle: what it
    // borrows may be gone, so it is forgotten too. And values made after the
    // last look have nobody to run their destructors.
    // SAFETY: 1. as above.
    unsafe { Whole::give_back(place) };
}

/// A goroutine, or an OS thread that uses raddle, seen from outside: who it
/// is, and a way to end its `park`.
///
/// # Blocking
/// Never.
///
/// # Go
/// Go keeps goroutines nameless by decision; this is `std::thread::Thread`'s
/// twin.
pub struct Goroutine(Kind);

enum Kind {
    Header(NonNull<Header>),
    Thread(Arc<ThreadIdentity>),
}

// SAFETY: a counted reference to a Header, which is Sync; the result behind
// it is touched by `Join` and the goroutine alone.
unsafe impl Send for Goroutine {}
// SAFETY: as above.
unsafe impl Sync for Goroutine {}

// A name and a wake, which a panic leaves whole.
impl UnwindSafe for Goroutine {}
impl RefUnwindSafe for Goroutine {}

impl Goroutine {
    pub(crate) fn of_header(header: &Header) -> Self {
        header.add_ref();
        Self(Kind::Header(NonNull::from(header)))
    }

    pub(crate) fn of_thread(identity: Arc<ThreadIdentity>) -> Self {
        Self(Kind::Thread(identity))
    }

    pub(crate) fn header(&self) -> Option<&Header> {
        match &self.0 {
            // SAFETY: alive by our count.
            Kind::Header(header) => Some(unsafe { header.as_ref() }),
            Kind::Thread(_) => None,
        }
    }

    /// Its number. The main goroutine's is 1 under `#[raddle::main]`.
    #[must_use]
    pub fn id(&self) -> GoroutineId {
        match &self.0 {
            Kind::Header(_) => self.header().expect("just matched").id,
            Kind::Thread(identity) => identity.id(),
        }
    }

    /// The name given by the `Builder`; for an OS thread the thread's.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match &self.0 {
            Kind::Header(_) => self.header().expect("just matched").name(),
            Kind::Thread(identity) => identity.name(),
        }
    }

    /// Where it was spawned; none for an OS thread.
    #[must_use]
    pub fn spawn_site(&self) -> Option<&'static Location<'static>> {
        self.header().map(Header::site)
    }

    /// Ends its `park`, or lets its next one return at once. Calls that come
    /// before the park merge into one.
    ///
    /// # Blocking
    /// Never.
    pub fn unpark(&self) {
        match &self.0 {
            Kind::Header(_) => park::unpark_by_token(self.header().expect("just matched")),
            Kind::Thread(identity) => identity.unpark_by_token(),
        }
    }
}

impl Clone for Goroutine {
    fn clone(&self) -> Self {
        match &self.0 {
            Kind::Header(_) => Self::of_header(self.header().expect("just matched")),
            Kind::Thread(identity) => Self(Kind::Thread(identity.clone())),
        }
    }
}

impl Drop for Goroutine {
    fn drop(&mut self) {
        if let Kind::Header(header) = &self.0 {
            // SAFETY: 1. our own count.
            unsafe { Header::drop_ref(*header) }
        }
    }
}

impl fmt::Debug for Goroutine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Goroutine")
            .field("id", &self.id().get())
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}

/// Ends a goroutine that cannot begin.
///
/// # Safety
/// 1. As `Parts::abandon`.
pub(crate) unsafe fn give_up(header: NonNull<Header>, payload: Payload) {
    // SAFETY: alive until it has ended.
    let parts = unsafe { header.as_ref() }.parts;
    // SAFETY: 1.
    unsafe { (parts.abandon)(header, payload) }
}

/// The right to a goroutine's result.
///
/// Invariants
/// 1. `waker` is what has begun to join: a future's waker. It is the end's
///    until the joiner has given up.
pub struct Join<T> {
    goroutine: Goroutine,
    waker: Option<Parker>,
    result: PhantomData<T>,
}

// SAFETY: the result of type T moves to the thread that joins.
unsafe impl<T: Send> Send for Join<T> {}
// SAFETY: nothing of T is reached by reference.
unsafe impl<T> Sync for Join<T> {}

impl<T> Join<T> {
    /// The goroutine itself.
    #[must_use]
    pub fn goroutine(&self) -> &Goroutine {
        &self.goroutine
    }

    /// Whether the result is there.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.header().join.has_ended()
    }

    /// Calls `at_end` when the goroutine ends, before a joiner is woken; now,
    /// if it has ended. Once for a goroutine, by the handle's owner.
    ///
    /// # Blocking
    /// Never.
    pub fn watch(&self, at_end: Box<dyn FnOnce() + Send>) {
        let joiner = self.waker.map_or(0, Parker::to_bits);
        if let Err(at_end) = self.header().join.watch(at_end, joiner) {
            at_end();
        }
    }

    /// Waits for the end.
    ///
    /// # Blocking
    /// Parks.
    ///
    /// # Errors
    /// The payload of its panic; [`Goexit`], [`Shutdown`].
    #[inline(always)]
    pub fn join(mut self) -> thread::Result<T> {
        if self.waker.is_some() {
            self.give_up_waker();
        }
        park::wait_for_end(self.header());
        self.take()
    }

    /// The result, if it is there; else `waker` is woken when it is.
    ///
    /// # Blocking
    /// Never.
    ///
    /// # Panics
    /// When it has given the result before.
    pub fn poll(&mut self, waker: &Waker) -> Poll<thread::Result<T>> {
        if self.is_finished() {
            return Poll::Ready(self.take_polled());
        }
        let boxed = match self.give_up_waker() {
            Some(mut boxed) => {
                (*boxed).clone_from(waker);
                boxed
            }
            None => Box::new(waker.clone()),
        };
        let parker = Parker::of_waker(boxed);
        if self.header().begin_join(parker) {
            self.waker = Some(parker);
            return Poll::Pending;
        }
        // SAFETY: 1. made above, and refused.
        drop(unsafe { parker.into_waker() });
        Poll::Ready(self.take_polled())
    }

    /// Whoever was polled last is not woken any more. Its waker, unless the
    /// end has it.
    #[cold]
    fn give_up_waker(&mut self) -> Option<Box<Waker>> {
        let parker = self.waker.take()?;
        let is_ours = self.header().give_up_join(parker);
        // SAFETY: 1. made by `poll`, given up by the word, and named by
        // `waker` alone, which is empty now.
        is_ours.then(|| unsafe { parker.into_waker() })
    }

    fn take_polled(&mut self) -> thread::Result<T> {
        // The end woke it, or will.
        self.give_up_waker();
        match self.take_once() {
            Some(result) => result,
            None => panic!("a join handle was polled after it was ready"),
        }
    }

    /// As `join`, for whoever must not leave before the end, shutdown or not:
    /// what the goroutine borrows is theirs.
    pub fn join_firmly(mut self) -> thread::Result<T> {
        self.give_up_waker();
        park::wait_for_end_firmly(self.header());
        self.take()
    }

    fn header(&self) -> &Header {
        self.goroutine.header().expect("a join has a goroutine")
    }

    fn take(mut self) -> thread::Result<T> {
        match self.take_once() {
            Some(result) => result,
            None => panic!("a join handle was polled until it was ready, and then joined"),
        }
    }

    /// After the end: the result, unless it was taken before.
    #[inline]
    fn take_once(&mut self) -> Option<thread::Result<T>> {
        let mut result: Option<thread::Result<T>> = None;
        let take_result = self.header().parts.take_result;
        let header = NonNull::from(self.header());
        // SAFETY: it has ended, nobody else joins, and `result` is the room.
        unsafe { take_result(header, (&raw mut result).cast()) };
        result
    }
}

impl<T> Drop for Join<T> {
    fn drop(&mut self) {
        if self.waker.is_some() {
            let waker = self.give_up_waker();
            quietly(|| drop(waker));
        }
        let header = self.header();
        if !header.join.detach() {
            let ptr = NonNull::from(header);
            // SAFETY: it has ended, and we are the only ones to ask for the
            // result; after `take` there is none.
            let drop = || unsafe { (header.parts.drop_result)(ptr) };
            if !thread::panicking() {
                drop();
            } else if let Err(payload) = catch_unwind(AssertUnwindSafe(drop)) {
                std::mem::forget(payload);
            }
        }
    }
}

impl<T> fmt::Debug for Join<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Join")
            .field("goroutine", &self.goroutine)
            .finish_non_exhaustive()
    }
}

/// Ends the calling goroutine: its stack is unwound, destructors run, and
/// `join` gives [`Goexit`] as `Err`.
///
/// # Blocking
/// As the destructors do. It does not return.
///
/// # Panics
/// Outside a goroutine, where there is nothing to end.
///
/// # Go
/// `runtime.Goexit`.
pub fn goexit() -> ! {
    assert!(
        machine::with_current_goroutine(|current| current.is_some()),
        "goexit called outside a goroutine"
    );
    machine::raise(Goexit)
}

/// An unstarted goroutine is to cost 250 bytes, with its closure.
const _: () = assert!(size_of::<Header>() <= 192 || cfg!(raddle_tsan));
