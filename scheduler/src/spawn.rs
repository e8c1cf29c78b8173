//! A new goroutine: identity, allocation, first queue.

use crate::goroutine::{self, Birth, GoroutineId, HOME_BY_PANIC, Join, Traits};
use crate::locks::Local;
use crate::machine::{self, Here};
use crate::schedule;
use crate::scheduler::Scheduler;
use crate::shim::Relaxed;
use crate::shim::fixed::AtomicU64;
use crate::trace;
use std::io;
use std::panic::Location;

/// What a `Builder` sets.
#[derive(Debug, Default)]
pub struct Options {
    name: Option<String>,
    stack_size: Option<usize>,
    own_thread: bool,
}

impl Options {
    /// Its name in lists, reports and events.
    pub fn name(&mut self, name: String) {
        self.name = Some(name);
    }

    /// Its stack, in bytes.
    pub fn stack_size(&mut self, bytes: usize) {
        self.stack_size = Some(bytes);
    }

    /// A machine for it alone.
    pub fn own_thread(&mut self, own: bool) {
        self.own_thread = own;
    }

    fn into_traits(self) -> Box<Traits> {
        Box::new(Traits {
            name: self.name,
            stack_size: self.stack_size.unwrap_or(0),
        })
    }
}

/// Where a goroutine may run at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Anywhere,
    /// At home on this machine.
    Local,
}

/// Spawns `f`; `after` follows it (see [`Join`]).
///
/// # Safety
/// 1. `f`, its result and `after` may move to another thread.
/// 2. What they borrow lives until `after` has run; what the result borrows,
///    until the `Join` is used, dropped or forgotten.
/// 3. `scheduler` is alive until the goroutine has ended.
#[inline]
pub unsafe fn spawn<F, T, D>(
    scheduler: &Scheduler,
    site: &'static Location<'static>,
    f: F,
    after: D,
) -> Join<T>
where
    F: FnOnce() -> T,
    D: FnOnce(bool),
{
    // SAFETY: 1. to 3.
    unsafe { spawn_with(scheduler, site, None, Place::Anywhere, f, after) }
}

/// As [`spawn`], with options.
///
/// # Errors
/// `own_thread` asks for a thread that the system, or `max_threads`, refuses;
/// a stack size that is no stack's.
///
/// # Safety
/// As [`spawn`].
pub unsafe fn spawn_opt<F, T, D>(
    scheduler: &Scheduler,
    site: &'static Location<'static>,
    options: Options,
    f: F,
    after: D,
) -> io::Result<Join<T>>
where
    F: FnOnce() -> T,
    D: FnOnce(bool),
{
    if let Some(bytes) = options.stack_size {
        crate::config::check_stack_size(bytes)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    }
    let own_thread = options.own_thread;
    let traits = options.into_traits();
    if !own_thread {
        // SAFETY: 1. to 3.
        let join = unsafe { spawn_with(scheduler, site, Some(traits), Place::Anywhere, f, after) };
        return Ok(join);
    }
    let machine = scheduler.machine_of_its_own()?;
    let birth = Birth {
        scheduler: scheduler.ptr(),
        id: next_id(None),
        site,
        traits: Some(traits),
        home: Some(machine.ptr()),
    };
    scheduler.count_spawned();
    // SAFETY: 1. to 3.
    let (runnable, join) = unsafe { goroutine::create(machine::here(), birth, f, after) };
    trace::spawn(runnable.header());
    schedule::ready(runnable);
    Ok(join)
}

/// As [`spawn`], at home on this machine from the start: nothing of it ever
/// moves to another thread.
///
/// # Errors
/// Gives `f` back on a thread that is no machine, and where goroutines
/// migrate and the caller holds no pin.
///
/// # Safety
/// 1. As [`spawn`] 2 and 3.
pub unsafe fn spawn_local<F, T>(site: &'static Location<'static>, f: F) -> Result<Join<T>, F>
where
    F: FnOnce() -> T,
{
    let Some(here) = machine::here() else {
        return Err(f);
    };
    let stays = machine::with_current_goroutine(|header| {
        header.is_some_and(|header| {
            header.home().is_some() && (header.pins().get() > 0 || !header.has(HOME_BY_PANIC))
        })
    });
    if !stays {
        return Err(f);
    }
    let mut local = here.scheduler().checks_locks().then(Local::begin);
    let f = move || {
        if let Some(local) = &mut local {
            local.has_begun();
        }
        f()
    };
    // SAFETY: 1. it never leaves this thread; 2. and 3. as ours.
    Ok(unsafe { spawn_with(here.scheduler(), site, None, Place::Local, f, |_| {}) })
}

/// The first goroutine of a machine that is about to run: where goroutines
/// have a home, at home there.
///
/// # Safety
/// As [`spawn`], for the scheduler of `here`.
pub(crate) unsafe fn spawn_here<F, D>(
    here: Here,
    site: &'static Location<'static>,
    options: Options,
    f: F,
    after: D,
) -> Join<()>
where
    F: FnOnce(),
    D: FnOnce(bool),
{
    let scheduler = here.scheduler();
    let place = if scheduler.is_migrating() {
        Place::Anywhere
    } else {
        Place::Local
    };
    let traits = Some(options.into_traits());
    // SAFETY: 1. to 3.
    unsafe { spawn_with(scheduler, site, traits, place, f, after) }
}

/// # Safety
/// As [`spawn`]; 1. not for `Place::Local`.
#[inline]
unsafe fn spawn_with<F, T, D>(
    scheduler: &Scheduler,
    site: &'static Location<'static>,
    traits: Option<Box<Traits>>,
    place: Place,
    f: F,
    after: D,
) -> Join<T>
where
    F: FnOnce() -> T,
    D: FnOnce(bool),
{
    let thread = machine::here();
    let here = thread.filter(|here| here.scheduler == scheduler.ptr());
    let birth = Birth {
        scheduler: scheduler.ptr(),
        id: next_id(here),
        site,
        traits,
        home: match (place, here) {
            (Place::Local, Some(here)) => Some(here.ptr()),
            _ => None,
        },
    };
    // SAFETY: 1. to 3.
    let (runnable, join) = unsafe { goroutine::create(thread, birth, f, after) };
    trace::spawn(runnable.header());
    match here {
        Some(here) => {
            machine::bump(&here.spawned);
            if place == Place::Local {
                machine::bump(&here.homes);
                // SAFETY: 1. ours, and alive until it has run.
                unsafe { here.own().at_home.push(runnable.into_header()) };
            } else if !here.takes_all_work() {
                schedule::inject(scheduler, runnable);
            } else {
                debug_assert!(machine::is_open(here), "pushed where nobody looks");
                here.own().queue.push_fresh(runnable);
                scheduler.hint_work();
            }
        }
        None => {
            scheduler.count_spawned();
            let _visit = schedule::Visit::begin(scheduler);
            schedule::inject(scheduler, runnable);
        }
    }
    join
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// How many numbers a machine takes at once.
const ID_BLOCK: u64 = 64;

fn next_id(here: Option<Here>) -> GoroutineId {
    let Some(here) = here else {
        return next_id_outside();
    };
    let ids = &here.own().ids;
    let (mut next, mut end) = ids.get();
    if next == end {
        // ORDER: Relaxed: only to be unique.
        next = NEXT_ID.fetch_add(ID_BLOCK, Relaxed);
        end = next + ID_BLOCK;
    }
    ids.set((next + 1, end));
    GoroutineId::new(next)
}

/// A number for what is spawned outside, and for OS threads.
pub(crate) fn next_id_outside() -> GoroutineId {
    // ORDER: Relaxed: only to be unique.
    GoroutineId::new(NEXT_ID.fetch_add(1, Relaxed))
}
