//! Every goroutine that has a stack: for lists, shutdown and reports.
//!
//! A stack's slot names the goroutine on it from its first run to its end.
//! A scan reads all slots; the names stay good while it counts references,
//! because a goroutine that ends during a scan waits for it:
//!
//! - the scan says that it scans, then reads the slots;
//! - an ending goroutine clears its slot, then asks whether anyone scans.
//!
//! Of these two store-then-load pairs one store comes first, so either the
//! scan finds the slot empty or the end waits. The end is on every
//! goroutine's way, the scan is rare: so the scan pays for both fences with
//! `membarrier`, where the system has it.

use crate::capture::{Captured, Names};
use crate::clock;
use crate::goroutine::{Described, Goroutine, Header};
use crate::report::{Doing, GoroutineDump};
use crate::scheduler::Scheduler;
use crate::schedule;
use crate::shim::fixed::{AtomicBool, AtomicPtr, compiler_fence, fence};
use crate::shim::{Acquire, Relaxed, Release, SeqCst};
use crate::stack;
use std::fmt::{self, Write};
use std::ptr::{self, NonNull};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::time::Duration;

static SCANNING: AtomicBool = AtomicBool::new(false);
static SCAN: Mutex<()> = Mutex::new(());
/// No membarrier here: ending goroutines fence for themselves.
static FENCE_YOURSELF: AtomicBool = AtomicBool::new(false);

/// The goroutine's stack bears its name from here on.
pub(crate) fn enter(slot: &AtomicPtr<()>, header: NonNull<Header>) {
    // ORDER: Release: who reads the name may read the goroutine.
    slot.store(header.as_ptr().cast(), Release);
}

/// Takes the name away. When this returns, no scan knows the goroutine
/// without counting it.
#[inline]
pub(crate) fn leave(slot: &AtomicPtr<()>) {
    // ORDER: Release, with the barrier below: "clears its slot, then asks".
    slot.store(ptr::null_mut(), Release);
    // ORDER: Relaxed: set once, before the first scan.
    if FENCE_YOURSELF.load(Relaxed) {
        fence(SeqCst); // ORDER: the pair of the scan's own fence.
    } else {
        compiler_fence(SeqCst); // ORDER: the scan's membarrier does the rest.
    }
    // ORDER: Acquire pairs with the scan's start.
    if SCANNING.load(Acquire) {
        drop(lock());
    }
}

fn lock() -> MutexGuard<'static, ()> {
    SCAN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The goroutines of `scheduler` that have begun and not ended.
pub(crate) fn all_of(scheduler: &Scheduler) -> Vec<Goroutine> {
    let mut all = Vec::new();
    let scan = lock();
    // ORDER: Release; the barrier below orders it before the slots.
    SCANNING.store(true, Release);
    heavy_barrier();
    stack::for_each_owner(|owner| {
        if let Some(header) = NonNull::new(owner.cast::<Header>()) {
            // SAFETY: its end waits for the scan (head of this file).
            let header = unsafe { header.as_ref() };
            if header.belongs_to(scheduler) {
                all.push(Goroutine::of_header(header));
            }
        }
    });
    // One in a deep call has two stacks.
    all.sort_by_key(Goroutine::id);
    all.dedup_by_key(|goroutine| goroutine.id());
    // ORDER: Release: the counts come before ends that no longer wait.
    SCANNING.store(false, Release);
    drop(scan);
    all
}

#[cfg(target_os = "linux")]
fn heavy_barrier() {
    static REGISTER: Once = Once::new();
    const PRIVATE_EXPEDITED: libc::c_int = 1 << 3;
    const REGISTER_PRIVATE_EXPEDITED: libc::c_int = 1 << 4;
    let call = |command: libc::c_int| {
        // SAFETY: membarrier takes numbers and touches no memory of ours.
        unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
    };
    REGISTER.call_once(|| {
        if !call(REGISTER_PRIVATE_EXPEDITED) {
            // ORDER: SeqCst, rare.
            FENCE_YOURSELF.store(true, SeqCst);
            // An end that read the old value is over by then: a goroutine's
            // end takes less than a microsecond.
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    if !call(PRIVATE_EXPEDITED) {
        fence(SeqCst); // ORDER: the other one is in `leave`.
    }
}

#[cfg(not(target_os = "linux"))]
fn heavy_barrier() {
    static REGISTER: Once = Once::new();
    REGISTER.call_once(|| {
        // ORDER: SeqCst, rare.
        FENCE_YOURSELF.store(true, SeqCst);
        std::thread::sleep(Duration::from_millis(20));
    });
    fence(SeqCst); // ORDER: the other one is in `leave`.
}

/// Wakes every parked goroutine of a doomed runtime that shutdown may wake.
pub(crate) fn doom_all(scheduler: &Scheduler) {
    for goroutine in all_of(scheduler) {
        let Some(header) = goroutine.header() else {
            continue;
        };
        if header.state.doom() {
            // SAFETY: 1. `doom` gave it to us.
            schedule::ready(unsafe { crate::machine::runnable(NonNull::from(header)) });
        }
    }
}

/// The goroutines of `scheduler` that have begun and not ended, as values.
pub(crate) fn dump(scheduler: &Scheduler, names: &mut Names) -> Vec<GoroutineDump> {
    let all = all_of(scheduler);
    let headers = all.iter().filter_map(Goroutine::header);
    let alive = headers.filter(|header| !header.state.is_done());
    alive.map(|header| dump_one(header, names)).collect()
}

pub(crate) fn dump_one(header: &Header, names: &mut Names) -> GoroutineDump {
    let (stack, state) = match Captured::begin(header) {
        Some(captured) => (captured.walk(), doing(header)),
        None => (Vec::new(), doing(header)),
    };
    GoroutineDump {
        id: header.id().get(),
        name: header.name().map(str::to_owned),
        state,
        site: header.site(),
        stack: names.of_stack(&stack),
    }
}

fn doing(header: &Header) -> Doing {
    if header.state.is_parked() {
        let (reason, since_ms) = header.wait();
        let now_ms = clock::now() / 1_000_000;
        let seconds = now_ms.saturating_sub(u64::from(since_ms)) / 1000;
        Doing::Parked { reason, seconds }
    } else if header.state.is_running() {
        Doing::Runs
    } else {
        Doing::WaitsForItsTurn
    }
}

/// `goroutine 7 "name" [sleep, 3 s]: spawned at src/main.rs:3:5`
pub(crate) fn line(goroutine: &Goroutine) -> String {
    let mut line = format!("goroutine {}", goroutine.id());
    let Some(header) = goroutine.header() else {
        return line;
    };
    if let Some(name) = header.name() {
        let _ = write!(line, " {name:?}");
    }
    let _ = write!(line, " [{}]", doing(header));
    let _ = write!(line, ": spawned at {}", header.site());
    line
}

/// Tells the overflow report who ran over.
pub(crate) fn describe_overflows() {
    crate::overflow::set_describe(|owner, out| {
        if let Some(header) = NonNull::new(owner.cast::<Header>()) {
            // SAFETY: it overflowed its stack just now, so it is alive.
            let header = unsafe { header.as_ref() };
            let _ = describe(header, out);
        }
    });
}

fn describe(header: &Header, out: &mut dyn Write) -> fmt::Result {
    write!(out, "{}", Described(header))
}
