//! The calls of a goroutine that runs, or blocks its thread: a signal
//! interrupts the thread, and the handler walks the stack below it.
//!
//! For who asked for it by `RADDLE_DEBUG=stuck=..` alone: a call of foreign
//! code may end early when a signal comes, as any may by POSIX, and not all
//! code expects it. So a thread that sleeps in the kernel is interrupted only
//! in calls that go on by themselves afterwards (`stuck.rs`).
//!
//! The handler runs on the thread's alternate stack. It takes no lock and
//! allocates nothing; the unwinder of gcc's library finds its tables by
//! `_dl_find_object`, made for signal handlers, and where the system has not
//! got that nobody is interrupted.
//!
//! No table describes the stack in the middle of a switch, and to walk it there
//! faults. So the handler looks first whether the machine's tick is the one that
//! was seen: then the goroutine has not come by the scheduler since. Nor may it
//! be on the way to or from a stack for a deep call.

#[cfg(all(
    feature = "backtrace",
    target_os = "linux",
    target_env = "gnu",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
pub(crate) use known::calls_of;

/// None can be had here.
#[cfg(not(all(
    feature = "backtrace",
    target_os = "linux",
    target_env = "gnu",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
pub(crate) fn calls_of(
    _: &std::sync::Arc<crate::machine::Machine>,
    _: crate::threads::ThreadId,
    _tick: u64,
) -> Vec<Call> {
    Vec::new()
}

/// One call on a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    /// Where it goes on.
    pub(crate) address: usize,
    /// Where its frame lies.
    pub(crate) frame: usize,
}

#[cfg(all(
    feature = "backtrace",
    target_os = "linux",
    target_env = "gnu",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
mod known {
    use super::Call;
    use crate::machine::Machine;
    use crate::shim::fixed::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize};
    use crate::shim::{AcqRel, Acquire, Mutex, Relaxed, Release};
    use crate::threads::ThreadId;
    use std::mem::{self, MaybeUninit};
    use std::process;
    use std::ptr;
    use std::sync::{Arc, OnceLock};
    use std::thread;
    use std::time::{Duration, Instant};

    /// The innermost so many calls are shown.
    const MOST_CALLS: usize = 128;
    /// A thread that has not answered by then does not want to, or cannot.
    const PATIENCE: Duration = Duration::from_millis(500);
    /// One that began to answer and has not ended by then never will.
    const DESPAIR: Duration = Duration::from_secs(5);

    /// Nobody is asked.
    const FREE: u32 = 0;
    /// The thread `OF` is to answer.
    const WANTED: u32 = 1;
    /// It does.
    const ANSWERS: u32 = 2;
    const ANSWERED: u32 = 3;

    static STATE: AtomicU32 = AtomicU32::new(FREE);
    static OF: AtomicUsize = AtomicUsize::new(0);
    /// Its machine, and what the tick was.
    static MACHINE: AtomicPtr<Machine> = AtomicPtr::new(ptr::null_mut());
    static SEEN: AtomicU64 = AtomicU64::new(0);
    static LEN: AtomicUsize = AtomicUsize::new(0);
    static ADDRESSES: [AtomicUsize; MOST_CALLS] = [const { AtomicUsize::new(0) }; MOST_CALLS];
    static FRAMES: [AtomicUsize; MOST_CALLS] = [const { AtomicUsize::new(0) }; MOST_CALLS];

    /// The calls of `machine`'s thread, innermost first; none if it does not
    /// answer, or the machine's tick is not the one that was seen any more.
    pub(crate) fn calls_of(machine: &Arc<Machine>, thread: ThreadId, tick: u64) -> Vec<Call> {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let (Some(signal), Ok(id)) = (signal(), usize::try_from(thread)) else {
            return Vec::new();
        };
        let _one = ONE_AT_A_TIME.lock();
        // ORDER: Relaxed, all five: published by WANTED below. The state is
        // not FREE if an earlier thread never ended its answer.
        if STATE.load(Relaxed) != FREE || handler_of(signal) != Some(OURS as usize) {
            return Vec::new();
        }
        OF.store(id, Relaxed);
        MACHINE.store(Arc::as_ptr(machine).cast_mut(), Relaxed);
        SEEN.store(tick, Relaxed);
        LEN.store(0, Relaxed);
        // ORDER: Release pairs with the handler.
        STATE.store(WANTED, Release);
        let process = process::id();
        // SAFETY: numbers alone; a thread that is gone is an error.
        let sent = unsafe { libc::syscall(libc::SYS_tgkill, process, thread, signal) };
        if sent != 0 {
            // ORDER: Relaxed: nobody was asked.
            STATE.store(FREE, Relaxed);
            return Vec::new();
        }
        if !wait_for_answer() {
            // ORDER: Relaxed: FREE is our own.
            if STATE.load(Relaxed) != FREE {
                // It began to answer, and may look at it at any time.
                mem::forget(machine.clone());
            }
            return Vec::new();
        }
        let calls = (0..LEN.load(Relaxed).min(MOST_CALLS)).map(|n| Call {
            // ORDER: Relaxed, all three: read after ANSWERED.
            address: ADDRESSES[n].load(Relaxed),
            frame: FRAMES[n].load(Relaxed),
        });
        let calls = calls.collect();
        // ORDER: Relaxed: the next who asks has the lock.
        STATE.store(FREE, Relaxed);
        calls
    }

    fn wait_for_answer() -> bool {
        let begin = Instant::now();
        // ORDER: Acquire pairs with the handler's end.
        while STATE.load(Acquire) != ANSWERED {
            if begin.elapsed() > DESPAIR {
                return false;
            }
            let is_late = begin.elapsed() > PATIENCE;
            // ORDER: Relaxed, both: the handler sees that it comes too late.
            if is_late && STATE.compare_exchange(WANTED, FREE, Relaxed, Relaxed).is_ok() {
                return false;
            }
            thread::sleep(Duration::from_micros(50));
        }
        true
    }

    /// The signal that asks: of those for programs the last that nobody uses.
    /// None if the unwinder is not made for handlers.
    fn signal() -> Option<libc::c_int> {
        static SIGNAL: OnceLock<Option<libc::c_int>> = OnceLock::new();
        *SIGNAL.get_or_init(|| {
            // SAFETY: a C string, and nothing but a look-up.
            let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"_dl_find_object".as_ptr()) };
            if found.is_null() {
                return None;
            }
            // Whatever it does the first time, it does here.
            backtrace::trace(|_| true);
            (libc::SIGRTMIN()..=libc::SIGRTMAX()).rev().find(|signal| install(*signal))
        })
    }

    const OURS: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) = on_signal;

    /// Whose `signal` is: the program may have taken it since it was ours.
    fn handler_of(signal: libc::c_int) -> Option<usize> {
        let mut now = MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: asks only, and fills `now`.
        let asked = unsafe { libc::sigaction(signal, ptr::null(), now.as_mut_ptr()) };
        // SAFETY: filled above; zeroes would be valid too.
        let now = unsafe { now.assume_init() };
        (asked == 0).then_some(now.sa_sigaction)
    }

    /// Whether `signal` was nobody's, and is ours now.
    fn install(signal: libc::c_int) -> bool {
        if handler_of(signal) != Some(libc::SIG_DFL) {
            return false;
        }
        // SAFETY: a sigaction is numbers and an optional address.
        let mut new: libc::sigaction = unsafe { mem::zeroed() };
        new.sa_sigaction = OURS as usize;
        new.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
        // SAFETY: `on_signal` keeps to what a signal handler may do.
        unsafe { libc::sigaction(signal, &raw const new, ptr::null_mut()) == 0 }
    }

    extern "C" fn on_signal(
        _: libc::c_int,
        _: *mut libc::siginfo_t,
        context: *mut libc::c_void,
    ) {
        // SAFETY: no arguments.
        let me = unsafe { libc::gettid() };
        // ORDER: Relaxed: another's number is as good as an old one of ours.
        if usize::try_from(me) != Ok(OF.load(Relaxed)) {
            return;
        }
        // ORDER: Acquire pairs with WANTED; a failure: too late.
        if STATE.compare_exchange(WANTED, ANSWERS, AcqRel, Relaxed).is_err() {
            return;
        }
        // SAFETY: no arguments.
        let errno = unsafe { libc::__errno_location() };
        // SAFETY: the thread's own word.
        let kept = unsafe { errno.read() };
        if can_be_walked() {
            walk(program_counter(context));
        }
        // SAFETY: as above: who was interrupted may be about to read it.
        unsafe { errno.write(kept) };
        // ORDER: Release: the calls come before it.
        STATE.store(ANSWERED, Release);
    }

    /// Whether the goroutine that was seen is at it still: then it is not in
    /// the middle of a switch, but for one that leaves in this very moment.
    fn can_be_walked() -> bool {
        // ORDER: Relaxed: stored before WANTED.
        let machine = MACHINE.load(Relaxed);
        // SAFETY: who asked keeps the machine until we have answered, or for
        // ever.
        let machine = unsafe { &*machine };
        // ORDER: Relaxed, both: this thread writes them itself.
        let tick = machine.tick.load(Relaxed);
        let is_between = machine.is_between_stacks.load(Relaxed);
        // ORDER: Relaxed: stored before WANTED.
        tick == SEEN.load(Relaxed) && !is_between
    }

    /// Keeps the calls from the one that was interrupted on.
    fn walk(interrupted_at: usize) {
        let mut len = 0;
        let keep = |frame: &backtrace::Frame| {
            let address = frame.ip() as usize;
            if len > 0 || address.abs_diff(interrupted_at) <= 1 {
                // ORDER: Relaxed, all three: published by ANSWERED.
                ADDRESSES[len].store(address, Relaxed);
                FRAMES[len].store(frame.sp() as usize, Relaxed);
                len += 1;
                LEN.store(len, Relaxed);
            }
            len < MOST_CALLS
        };
        // SAFETY: its lock guards the names of calls, which nobody looks up
        // here; and who was interrupted may hold that lock.
        unsafe { backtrace::trace_unsynchronized(keep) };
    }

    #[cfg(target_arch = "x86_64")]
    fn program_counter(context: *mut libc::c_void) -> usize {
        let context: *const libc::ucontext_t = context.cast();
        // SAFETY: the system passes a valid context.
        let counter = unsafe { (*context).uc_mcontext.gregs[libc::REG_RIP as usize] };
        counter as usize
    }

    #[cfg(target_arch = "aarch64")]
    fn program_counter(context: *mut libc::c_void) -> usize {
        let context: *const libc::ucontext_t = context.cast();
        // SAFETY: the system passes a valid context.
        let counter = unsafe { (*context).uc_mcontext.pc };
        counter as usize
    }
}

#[cfg(all(
    test,
    not(raddle_model),
    feature = "backtrace",
    target_os = "linux",
    target_env = "gnu",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
mod tests {
    use super::calls_of;
    use crate::machine::Machine;
    use crate::shim::Relaxed;
    use std::ptr::NonNull;
    use std::sync::mpsc::channel;

    /// Between two goroutines no table describes the stack.
    #[test]
    fn a_thread_that_has_gone_on_is_not_walked() {
        let machine = Machine::new(0, NonNull::dangling());
        let (tell, told) = channel();
        let other = std::thread::spawn({
            let machine = machine.clone();
            move || {
                // SAFETY: no arguments.
                tell.send(unsafe { libc::gettid() }).unwrap();
                while machine.tick.load(Relaxed) != u64::MAX {
                    std::hint::spin_loop();
                }
            }
        });
        let thread = told.recv().unwrap();
        assert!(!calls_of(&machine, thread, 0).is_empty());
        assert!(calls_of(&machine, thread, 1).is_empty());
        machine.is_between_stacks.store(true, Relaxed);
        assert!(calls_of(&machine, thread, 0).is_empty());
        machine.is_between_stacks.store(false, Relaxed);
        assert!(!calls_of(&machine, thread, 0).is_empty());
        machine.tick.store(u64::MAX, Relaxed);
        other.join().unwrap();
    }
}
