//! Around a call that blocks the machine: `blocking`, `pin`, and stacks for
//! deep calls.

use crate::goroutine::{GoroutineId, HOME_BY_PANIC, HOME_FOR_LIFE, Header};
use crate::locals;
use crate::machine::{self, Here, take_flag};
use crate::park::{WOKEN, Wait};
use crate::reason::Reason;
use crate::roll;
use crate::schedule;
use crate::scheduler::{Scheduler, with_current_scheduler};
use crate::shim::{Relaxed, Release};
use crate::switch;
use crate::threads::Known;
use std::collections::VecDeque;
use std::io;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::cell::Cell;
use std::ptr::{self, NonNull};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// Runs `f`, which may block its OS thread, without holding up other
/// goroutines.
///
/// Where goroutines have a home, `f` runs on a helper thread and the caller
/// parks; where they migrate, `f` runs in place and the processor goes on to
/// another machine as soon as work waits. On a plain OS thread it is just
/// called. Thread-locals that `f` sees may be another thread's.
///
/// On a helper thread `f` is outside of goroutines, as on any plain OS thread.
/// Values of `goroutine_local!` are not its caller's: they are made anew and
/// dropped before `blocking` returns. What it needs of them, and of
/// [`current`](crate::current), is read before and moved in. Its own `current`
/// and [`park`](crate::park) are those of the helper, which makes others'
/// calls after this one; [`goexit`](crate::goexit) panics. What it spawns
/// belongs to the caller's runtime, its timers to the default one. Where
/// goroutines migrate, and where it is just called, it has its caller's values
/// and identity, so it should rely on neither.
///
/// # Blocking
/// Until `f` returns; the goroutine only.
///
/// # Panics
/// As `f` does.
///
/// # Go
/// Every system call there; here it says in advance what the monitor would
/// find out.
pub fn blocking<F, T>(f: F) -> T
where
    F: FnOnce() -> T + Send,
    T: Send,
{
    schedule::checkpoint();
    let in_place = machine::with_current_goroutine(|header| {
        header.map(|header| header.home().is_none())
    });
    match in_place {
        None => f(),
        Some(true) => in_place_of_machine(f),
        Some(false) => on_helper(f),
    }
}

/// `f` on this very stack; the machine counts as blocked meanwhile.
fn in_place_of_machine<T>(f: impl FnOnce() -> T) -> T {
    struct Back;
    impl Drop for Back {
        fn drop(&mut self) {
            come_back();
        }
    }
    go_away();
    let _back = Back;
    f()
}

#[inline(never)]
fn go_away() {
    let Some(here) = machine::here() else { return };
    // ORDER: Release: the monitor may take the permit from here on.
    here.is_in_blocking_call.store(true, Release);
    let scheduler = here.scheduler();
    let has_work = scheduler.has_work_for_any();
    if has_work || scheduler.processors.is_wanted() {
        if let Some(next) = scheduler.processors.release(&here.machine()) {
            next.call();
        }
        scheduler.call_for_work();
    }
    // ORDER: Relaxed, as below: a hint.
    scheduler.away.fetch_add(1, Relaxed);
    if has_work && scheduler.many_are_away() {
        // Many block one after the other: so may the next, and starting a
        // thread for each takes longer than the call before it.
        let most = scheduler.max_procs() + 2;
        scheduler.answer(scheduler.processors.lend_up_to(most));
    }
    if !here.takes_all_work() {
        // What the call wakes or spawns goes to the injector.
        machine::close_stall(here);
    }
}

#[inline(never)]
fn come_back() {
    let Some(here) = machine::here() else { return };
    machine::open_stall(here);
    // ORDER: Release: pairs with the monitor's look.
    here.is_in_blocking_call.store(false, Release);
    // ORDER: Relaxed: a hint.
    here.scheduler().away.fetch_sub(1, Relaxed);
    if here.seat.has_permit() || here.scheduler().processors.try_acquire(&here.machine()) {
        here.scheduler().monitor.call_if_asleep();
        no_longer_excess(here);
        return;
    }
    // Others have all permits: back into the queue like anybody.
    if !thread::panicking() {
        let _turn = machine::leave(machine::current_header(), switch::Left::Yields);
    }
}

/// The machine has a permit again, or gives its goroutine up: it runs beside
/// its number no more.
pub(crate) fn no_longer_excess(here: Here) {
    if take_flag(&here.is_excess) {
        here.scheduler().one_less_excess();
    }
}

/// `f` on a helper thread; the goroutine parks, whatever shutdown says: `f`
/// may borrow from its stack.
fn on_helper<F, T>(f: F) -> T
where
    F: FnOnce() -> T + Send,
    T: Send,
{
    let mut frame = Frame {
        wait: Wait::new(),
        f: Some(f),
        result: None,
    };
    let caller = machine::here();
    let job = Job {
        frame: NonNull::from(&mut frame).cast(),
        run: run_frame::<F, T>,
        caller: caller.map_or(ptr::null(), |here| here.scheduler.as_ptr()),
        most: caller.map_or(MOST, |here| here.scheduler().max_threads()),
    };
    if let Err(error) = HELPERS.submit(job) {
        panic!("raddle::blocking found no thread to run on: {error}");
    }
    let _outcome = frame.wait.park_firmly(Reason::Blocking);
    match frame.result {
        Some(Ok(value)) => value,
        Some(Err(payload)) => machine::resume(payload),
        None => crate::fatal::fatal!("a helper left no result"),
    }
}

struct Frame<F, T> {
    wait: Wait,
    f: Option<F>,
    result: Option<thread::Result<T>>,
}

/// # Safety
/// 1. `frame` is a `Frame<F, T>` whose owner waits on it, and this is called
///    once.
unsafe fn run_frame<F: FnOnce() -> T, T>(frame: NonNull<()>) {
    let frame = frame.cast::<Frame<F, T>>().as_ptr();
    // SAFETY: 1. nobody else touches it before the unpark.
    let this = unsafe { &mut *frame };
    if let Some(f) = this.f.take() {
        this.result = Some(catch_unwind(AssertUnwindSafe(f)));
        drop_values_of_helper();
    }
    if this.wait.settle(WOKEN) {
        // SAFETY: 1. settled here, once; the frame is not used after.
        unsafe { Wait::unpark(&raw const this.wait) };
    }
}

/// The next call is another goroutine's. Not where there was no thread, and a
/// goroutine makes others' calls on its own.
#[inline(never)]
fn drop_values_of_helper() {
    if !HELPING.get().is_null() {
        locals::drop_those_of_thread();
    }
}

struct Job {
    frame: NonNull<()>,
    run: unsafe fn(NonNull<()>),
    /// Whose goroutine waits.
    caller: *const Scheduler,
    /// So many helpers at most are for those of that scheduler.
    most: usize,
}

thread_local! {
    static HELPING: Cell<*const Scheduler> = const { Cell::new(ptr::null()) };
}

/// Whether a goroutine of `scheduler` waits for what this thread is at.
pub(crate) fn is_helping(scheduler: &Scheduler) -> bool {
    ptr::eq(HELPING.get(), scheduler)
}

/// As `with_current_scheduler`, but on a helper with that of the goroutine
/// that waits for what this thread is at.
#[inline]
pub fn with_callers_scheduler<R>(f: impl FnOnce(Option<&Scheduler>) -> R) -> R {
    with_current_scheduler(|current| match current {
        // SAFETY: set while a call is made, whose goroutine waits for it,
        // whatever shutdown says: so its scheduler lives.
        None => f(unsafe { helping().as_ref() }),
        current => f(current),
    })
}

#[inline(never)]
fn helping() -> *const Scheduler {
    HELPING.get()
}

// SAFETY: made by `on_helper`, whose bounds let `f` and its result move.
unsafe impl Send for Job {}

/// Threads for calls that block, kept a while after their last one.
struct Helpers {
    state: Mutex<HelperState>,
    call: Condvar,
}

struct HelperState {
    /// For the next helpers.
    jobs: VecDeque<Job>,
    idle: usize,
    threads: usize,
    /// One for each scheduler that has calls under way.
    shares: Vec<Share>,
}

/// What a scheduler has of the helpers.
struct Share {
    of: *const Scheduler,
    /// Calls that a helper makes, or that stand in `jobs`.
    under_way: usize,
    /// Calls beyond the most.
    waiting: VecDeque<Job>,
}

// SAFETY: the address is compared only; jobs are Send.
unsafe impl Send for Share {}

impl HelperState {
    /// Queues a job, or lets it wait until another of its scheduler has ended.
    /// Whether it is queued.
    fn admit(&mut self, job: Job) -> bool {
        let at = self.shares.iter().position(|share| ptr::eq(share.of, job.caller));
        let at = at.unwrap_or_else(|| {
            self.shares.push(Share {
                of: job.caller,
                under_way: 0,
                waiting: VecDeque::new(),
            });
            self.shares.len() - 1
        });
        let share = &mut self.shares[at];
        if share.under_way >= job.most {
            share.waiting.push_back(job);
            return false;
        }
        share.under_way += 1;
        self.jobs.push_back(job);
        true
    }

    /// A job of `of` has ended, or comes to nothing: the next that waited is
    /// queued in its place.
    fn ended(&mut self, of: *const Scheduler) {
        let Some(at) = self.shares.iter().position(|share| ptr::eq(share.of, of)) else {
            return;
        };
        let share = &mut self.shares[at];
        if let Some(next) = share.waiting.pop_front() {
            return self.jobs.push_back(next);
        }
        share.under_way -= 1;
        if share.under_way == 0 {
            self.shares.swap_remove(at);
        }
    }
}

static HELPERS: Helpers = Helpers {
    state: Mutex::new(HelperState {
        jobs: VecDeque::new(),
        idle: 0,
        threads: 0,
        shares: Vec::new(),
    }),
    call: Condvar::new(),
};

/// Whether a call waits for a helper.
pub(crate) fn has_jobs() -> bool {
    !HELPERS.lock().jobs.is_empty()
}

/// An idle helper ends after this.
const KEEP: Duration = Duration::from_secs(10);
/// As many helpers at most, for all runtimes together; further calls wait for
/// one, and so do those beyond the `max_threads` of their runtime.
const MOST: usize = 10_000;

impl Helpers {
    fn lock(&self) -> MutexGuard<'_, HelperState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn submit(&'static self, job: Job) -> io::Result<()> {
        let frame = job.frame;
        let mut state = self.lock();
        if !state.admit(job) {
            return Ok(());
        }
        if state.idle >= state.jobs.len() {
            drop(state);
            self.call.notify_one();
            return Ok(());
        }
        if state.threads >= MOST {
            return Ok(());
        }
        state.threads += 1;
        drop(state);
        let started = thread::Builder::new()
            .name("raddle-blocking".into())
            .spawn(|| self.serve());
        let Err(error) = started else {
            return Ok(());
        };
        let mut state = self.lock();
        state.threads -= 1;
        if state.threads > 0 {
            // One of these comes to it; who ends looks at the jobs first.
            return Ok(());
        }
        // It goes back to its caller, unless one that has ended since took
        // it. Others may have been left by callers who counted on us.
        let own = state.jobs.iter().position(|job| job.frame == frame);
        let taken = own.and_then(|at| state.jobs.remove(at));
        if let Some(job) = &taken {
            state.ended(job.caller);
        }
        while let Some(job) = state.jobs.pop_front() {
            drop(state);
            let of = job.caller;
            // SAFETY: 1. its owner waits, and it was taken once.
            unsafe { (job.run)(job.frame) };
            state = self.lock();
            state.ended(of);
        }
        match taken {
            Some(_) => Err(error),
            None => Ok(()),
        }
    }

    fn serve(&self) {
        let known = Known::introduce();
        let mut state = self.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                drop(state);
                let of = job.caller;
                HELPING.set(of);
                // SAFETY: 1. its owner waits, and it was taken once.
                unsafe { (job.run)(job.frame) };
                HELPING.set(ptr::null());
                state = self.lock();
                state.ended(of);
                continue;
            }
            state.idle += 1;
            // A job it is called for is seen by `has_jobs`.
            known.lie_down();
            let (after, timeout) = self
                .call
                .wait_timeout(state, KEEP)
                .unwrap_or_else(PoisonError::into_inner);
            known.get_up();
            state = after;
            state.idle -= 1;
            if timeout.timed_out() && state.jobs.is_empty() {
                state.threads -= 1;
                known.forget();
                return;
            }
        }
    }
}

/// While it lives, the goroutine that made it stays on its OS thread.
///
/// Dropping the last one lets the goroutine move again, if its runtime
/// migrates.
///
/// # Blocking
/// Never; dropping it does not either.
///
/// # Go
/// Between `runtime.LockOSThread` and `runtime.UnlockOSThread`.
#[derive(Debug)]
#[must_use = "the goroutine is free to move again when the guard is dropped"]
pub struct PinGuard {
    /// The guard belongs to its goroutine.
    not_send: PhantomData<*const ()>,
    /// Compared, and never followed: the guard may be left behind on the
    /// thread by a goroutine that has ended.
    of: Option<(NonNull<Header>, GoroutineId)>,
}

/// Keeps the calling goroutine on the OS thread it runs on, until the guard
/// is dropped. Where goroutines have a home anyway, and on OS threads, it
/// changes nothing.
///
/// # Blocking
/// Never.
///
/// # Go
/// `runtime.LockOSThread`, except that other goroutines may run there too:
/// for a thread of one's own see `Builder::own_thread`.
pub fn pin() -> PinGuard {
    let here = machine::here();
    let of = machine::with_current_goroutine(|header| {
        let (header, here) = (header?, here?);
        header.pins().set(header.pins().get() + 1);
        if header.home().is_none() {
            machine::move_in(here, header);
        }
        Some((NonNull::from(header), header.id()))
    });
    PinGuard {
        not_send: PhantomData,
        of,
    }
}

impl Drop for PinGuard {
    fn drop(&mut self) {
        let Some((of, id)) = self.of else { return };
        let here = machine::here();
        machine::with_current_goroutine(|header| {
            // A guard that another drops, on the same thread, leaves its
            // goroutine pinned: `!Send` keeps guards on a thread, no more.
            let (Some(header), Some(here)) = (header, here) else {
                return;
            };
            if NonNull::from(header) != of || header.id() != id {
                return;
            }
            let left = header.pins().get() - 1;
            header.pins().set(left);
            if left == 0 && !header.has(HOME_FOR_LIFE | HOME_BY_PANIC) {
                machine::move_out(here, header);
            }
        });
    }
}

/// Runs `f` on a stack of `bytes` (rounded up), for deep recursion and
/// foreign code, and returns what it returns. It is the same goroutine, and
/// may park there.
///
/// # Errors
/// No such stack can be had; `f` comes back.
///
/// # Panics
/// As `f` does.
pub fn on_stack_of<F, T>(bytes: usize, f: F) -> Result<T, (F, io::Error)>
where
    F: FnOnce() -> T,
{
    let taken = match machine::here() {
        Some(here) => here.own().stacks.borrow_mut().take(bytes),
        None => crate::stack::Pool::new().take(bytes),
    };
    let stack = match taken {
        Ok(stack) => stack,
        Err(error) => return Err((f, io::Error::new(io::ErrorKind::OutOfMemory, error.to_string()))),
    };
    // For the report, should it run over.
    machine::with_current_goroutine(|header| {
        if let Some(header) = header {
            roll::enter(stack.owner(), NonNull::from(header));
        }
    });
    machine::set_between_stacks(true);
    let (result, stack) = switch::on(stack, || {
        machine::set_between_stacks(false);
        let result = catch_unwind(AssertUnwindSafe(f));
        // Perhaps on another machine.
        machine::set_between_stacks(true);
        result
    });
    machine::set_between_stacks(false);
    roll::leave(stack.owner());
    match machine::here() {
        Some(here) => here.own().stacks.borrow_mut().put(stack),
        None => {
            let mut pool = crate::stack::Pool::new();
            pool.put(stack);
            pool.drain();
        }
    }
    match result {
        Ok(value) => Ok(value),
        Err(payload) => machine::resume(payload),
    }
}
