//! The report of a goroutine that used up its stack.
//!
//! The guard below a stack turns the overflow into a signal. The handler runs
//! on the thread's alternate stack, in a process that may be broken anywhere:
//! it allocates nothing, takes no lock, and writes straight to descriptor 2.
//! Faults that are none of ours go to the handler that was there before us:
//! std's, which knows the guards of threads, or the program's own.

use crate::shim::fixed::{AtomicBool, AtomicPtr};
use crate::shim::{AcqRel, Acquire, Mutex, Release};
use crate::stack;
use std::cell::OnceCell;
use std::fmt::{self, Write};
use std::mem::{self, MaybeUninit};
use std::ptr;
use std::sync::{Once, OnceLock};

type Describe = fn(*mut (), &mut dyn Write);

/// A `Describe`, or null.
static DESCRIBE: AtomicPtr<()> = AtomicPtr::new(ptr::null_mut());
static REPORTING: AtomicBool = AtomicBool::new(false);

const SIGNALS: [libc::c_int; 2] = [libc::SIGSEGV, libc::SIGBUS];
/// What was installed before us, in the order of `SIGNALS`.
static PREVIOUS: [OnceLock<libc::sigaction>; 2] = [const { OnceLock::new() }; 2];

/// The report names a goroutine by `describe`, which gets what the slot's
/// owner word held. It must neither allocate nor lock.
pub(crate) fn set_describe(describe: Describe) {
    // ORDER: Release pairs with the Acquire in `report`.
    DESCRIBE.store(describe as *mut (), Release);
}

/// From here on an overflow of a goroutine's stack is reported.
pub(crate) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for (signal, previous) in SIGNALS.into_iter().zip(&PREVIOUS) {
            let mut old = MaybeUninit::<libc::sigaction>::zeroed();
            // SAFETY: asks only, and fills `old`.
            let asked = unsafe { libc::sigaction(signal, ptr::null(), old.as_mut_ptr()) };
            if asked != 0 {
                continue;
            }
            // SAFETY: filled above; zeroes would be valid too.
            let old = unsafe { old.assume_init() };
            // Kept before ours can run.
            let _ = previous.set(old);
            // SAFETY: a sigaction is numbers and an optional address.
            let mut new: libc::sigaction = unsafe { mem::zeroed() };
            let handler: extern "C" fn(_, _, _) = on_fault;
            new.sa_sigaction = handler as usize;
            new.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            // SAFETY: `on_fault` keeps to what a signal handler may do.
            unsafe { libc::sigaction(signal, &raw const new, ptr::null_mut()) };
        }
    });
}

extern "C" fn on_fault(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    if let Some(located) = hit_guard(info, context) {
        report(&located);
    }
    pass_on(signal, info, context);
}

/// The stack that the fault ran over, if it did.
fn hit_guard(info: *mut libc::siginfo_t, context: *mut libc::c_void) -> Option<stack::Located> {
    // SAFETY: the system passes a valid siginfo.
    let info = unsafe { &*info };
    if info.si_code <= 0 {
        return None; // Sent by somebody: there is no address.
    }
    // SAFETY: a fault's siginfo has an address.
    let addr = unsafe { info.si_addr() } as usize;
    let located = stack::locate(addr).filter(|located| located.in_guard)?;
    // A stray pointer into the guard of somebody else's stack is no overflow.
    // A big frame without probes may have moved the stack pointer well past
    // what it touched.
    const FRAME: usize = 1 << 20;
    match stack_pointer(context) {
        Some(pointer) if pointer >= addr.saturating_add(located.size + stack::GUARD) => None,
        Some(pointer) if pointer.saturating_add(FRAME) < addr => None,
        _ => Some(located),
    }
}

/// Where the stack pointer stood at the fault.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn stack_pointer(context: *mut libc::c_void) -> Option<usize> {
    let context: *const libc::ucontext_t = context.cast();
    // SAFETY: the system passes a valid context.
    let pointer = unsafe { (*context).uc_mcontext.gregs[libc::REG_RSP as usize] };
    Some(pointer as usize)
}

/// Where the stack pointer stood at the fault.
#[cfg(all(target_os = "linux", target_arch = "aarch64"))]
fn stack_pointer(context: *mut libc::c_void) -> Option<usize> {
    let context: *const libc::ucontext_t = context.cast();
    // SAFETY: the system passes a valid context.
    let pointer = unsafe { (*context).uc_mcontext.sp };
    Some(pointer as usize)
}

/// Not known here.
#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
fn stack_pointer(_: *mut libc::c_void) -> Option<usize> {
    None
}

fn report(located: &stack::Located) -> ! {
    // ORDER: AcqRel: one report at a time; nothing else hangs on it.
    if REPORTING.swap(true, AcqRel) {
        // Another thread ran over as well, and its report ends the process.
        // (On this thread it cannot have: the signal is blocked.)
        loop {
            // SAFETY: waits for a signal, touches nothing.
            unsafe { libc::pause() };
        }
    }
    let mut out = Stderr::new();
    let _ = write_report(located, &mut out);
    out.flush();
    // SAFETY: may be called from a signal handler.
    unsafe { libc::abort() }
}

fn write_report(located: &stack::Located, out: &mut Stderr) -> fmt::Result {
    out.write_str("\nfatal error: stack overflow in ")?;
    // ORDER: Acquire pairs with the Release in `set_describe`.
    let describe = DESCRIBE.load(Acquire);
    if located.owner.is_null() {
        out.write_str("a deep call")?;
    } else if describe.is_null() {
        out.write_str("a goroutine")?;
    } else {
        // SAFETY: not null, so `set_describe` stored it: a `Describe`.
        let describe = unsafe { mem::transmute::<*mut (), Describe>(describe) };
        describe(located.owner, out);
    }
    match located.size / 1024 {
        kib if kib % 1024 == 0 => write!(out, ": its stack of {} MiB is used up; ", kib / 1024)?,
        kib => write!(out, ": its stack of {kib} KiB is used up; ")?,
    }
    out.write_str(if located.owner.is_null() {
        "ask for a bigger one\n"
    } else {
        "spawn it with Builder::stack_size, set RADDLE_STACK_SIZE, or run the deep part in \
         raddle::on_big_stack\n"
    })
}

/// Descriptor 2, by whole pieces so that lines of others seldom come between.
struct Stderr {
    piece: [u8; 512],
    len: usize,
}

impl Stderr {
    fn new() -> Self {
        Self {
            piece: [0; 512],
            len: 0,
        }
    }

    fn flush(&mut self) {
        let mut rest = &self.piece[..self.len];
        while !rest.is_empty() {
            // SAFETY: `rest` is ours and this long.
            let written = unsafe { libc::write(2, rest.as_ptr().cast(), rest.len()) };
            match usize::try_from(written) {
                Ok(written @ 1..) => rest = &rest[written..],
                _ if errno() == libc::EINTR => {}
                _ => break, // Nobody can be told.
            }
        }
        self.len = 0;
    }
}

impl Write for Stderr {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for &byte in text.as_bytes() {
            if self.len == self.piece.len() {
                self.flush();
            }
            self.piece[self.len] = byte;
            self.len += 1;
        }
        Ok(())
    }
}

fn errno() -> libc::c_int {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// Lets the handler before us have the fault.
fn pass_on(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let previous = SIGNALS
        .into_iter()
        .zip(&PREVIOUS)
        .find(|(of, _)| *of == signal)
        .and_then(|(_, previous)| previous.get());
    let Some(previous) = previous else {
        return;
    };
    match previous.sa_sigaction {
        libc::SIG_DFL | libc::SIG_IGN => {
            // As if we had never been here: the instruction faults again.
            // SAFETY: a disposition that the system gave us.
            unsafe { libc::sigaction(signal, previous, ptr::null_mut()) };
            // SAFETY: the system passes a valid siginfo.
            if unsafe { (*info).si_code } <= 0 {
                // Sent, so nothing faults again: send it again. It waits
                // until this handler returns.
                // SAFETY: may be called from a signal handler.
                unsafe { libc::raise(signal) };
            }
        }
        handler if previous.sa_flags & libc::SA_SIGINFO != 0 => {
            type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
            // SAFETY: SA_SIGINFO says that it takes these three.
            let handler = unsafe { mem::transmute::<usize, Handler>(handler) };
            handler(signal, info, context);
        }
        handler => {
            // SAFETY: without SA_SIGINFO it takes the number alone.
            let handler = unsafe { mem::transmute::<usize, extern "C" fn(libc::c_int)>(handler) };
            handler(signal);
        }
    }
}

/// Less than this and a report may itself run over: the saved registers alone
/// are 3 KiB and more, and unoptimized formatting is deep. std's alternate
/// stacks are 8 KiB.
const ALTERNATE: usize = 64 * 1024;

/// How many are mapped at once: threads may start by the hundred, and all
/// mappings of a process are changed under one lock of the system's.
const BATCH: usize = 8;

/// Alternate stacks that no thread has, by their lowest address.
static SPARE: Mutex<Vec<usize>> = Mutex::new(Vec::new());

/// A thread's alternate stack of ours, taken off when the thread ends. Below
/// it is a guard.
struct Alternate {
    lowest: usize,
}

impl Alternate {
    /// Gives the calling thread one; `None` if the system has no memory.
    fn new() -> Option<Self> {
        let spare = SPARE.lock().pop();
        let alternate = Self {
            lowest: spare.or_else(map_some)?,
        };
        let new = libc::stack_t {
            ss_sp: ptr::with_exposed_provenance_mut(alternate.lowest),
            ss_flags: 0,
            ss_size: ALTERNATE,
        };
        // SAFETY: memory of this size that stays, and is ours until the drop.
        let done = unsafe { libc::sigaltstack(&raw const new, ptr::null_mut()) } == 0;
        done.then_some(alternate)
    }
}

impl Drop for Alternate {
    fn drop(&mut self) {
        let in_force = current_alternate();
        if in_force.ss_sp.addr() == self.lowest {
            let off = libc::stack_t {
                ss_sp: ptr::null_mut(),
                ss_flags: libc::SS_DISABLE,
                ss_size: ALTERNATE,
            };
            // SAFETY: takes off what `new` put on.
            unsafe { libc::sigaltstack(&raw const off, ptr::null_mut()) };
        }
        SPARE.lock().push(self.lowest);
    }
}

/// Maps a batch; one is the caller's, the others are spare.
fn map_some() -> Option<usize> {
    let page = stack::page_size();
    let each = page + ALTERNATE;
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANON | libc::MAP_NORESERVE;
    // SAFETY: a new mapping, where the system likes.
    let memory = unsafe { libc::mmap(ptr::null_mut(), BATCH * each, access, flags, -1, 0) };
    if memory == libc::MAP_FAILED {
        return None;
    }
    for n in 0..BATCH {
        let guard = memory.wrapping_byte_add(n * each);
        // SAFETY: a page of the mapping, which nobody uses yet.
        let done = unsafe { libc::madvise(guard, page, GUARD_INSTALL) } == 0;
        if !done {
            // SAFETY: as above.
            unsafe { libc::mprotect(guard, page, libc::PROT_NONE) };
        }
    }
    let memory = memory.expose_provenance();
    let mut spare = (0..BATCH).map(|n| memory + n * each + page);
    let first = spare.next();
    SPARE.lock().extend(spare);
    first
}

/// `MADV_GUARD_INSTALL`, which libc does not have for every system; where it
/// is unknown it is refused.
const GUARD_INSTALL: libc::c_int = 102;

fn current_alternate() -> libc::stack_t {
    // SAFETY: a stack_t is numbers and an address.
    let mut current: libc::stack_t = unsafe { mem::zeroed() };
    // SAFETY: asks only, and fills `current`.
    unsafe { libc::sigaltstack(ptr::null(), &raw mut current) };
    current
}

/// Gives the calling thread an alternate signal stack that is big enough for
/// a report, unless it has one. For threads that will run goroutines; not
/// from a goroutine.
pub(crate) fn on_this_thread() {
    thread_local! {
        static OWN: OnceCell<Option<Alternate>> = const { OnceCell::new() };
    }
    let current = current_alternate();
    let has_one = current.ss_flags & libc::SS_DISABLE == 0 && current.ss_size >= ALTERNATE;
    if !has_one {
        // On a thread that is ending there is nothing left to protect.
        let _ = OWN.try_with(|own| own.get_or_init(Alternate::new).is_some());
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests;
