//! Who keeps a machine from the scheduler, and at what: the lines that
//! `RADDLE_DEBUG=stuck=20ms` prints, and the `stuck` event.
//!
//! The monitor sees it and tells a thread that begins with the first such
//! note: to look through all goroutines takes long, to find the names of
//! calls longer, and the monitor has others to rescue. What is said is what
//! was seen: the thread's clock, the system call it sleeps in, its calls if it
//! answers a signal, and who is parked at home there.

use crate::capture::{Captured, Names};
use crate::goroutine::{Goroutine, Header};
use crate::interrupt;
use crate::machine::{Machine, MachineRef};
use crate::roll;
use crate::scheduler::Scheduler;
use crate::stack;
use crate::threads::{Known, ThreadId};
use crate::trace;
use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::ptr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Of those parked at home there so many are listed.
const MOST_LISTED: usize = 10;

/// What the monitor tells.
pub(crate) enum Note {
    Stuck(Sighting),
    /// A machine of which a line was printed has come by again.
    Over { machine: usize, after: Duration },
}

/// A machine that has not come by for long.
pub(crate) struct Sighting {
    pub(crate) machine: Arc<Machine>,
    pub(crate) tick: u64,
    /// The number of the goroutine on it.
    pub(crate) running: u64,
    pub(crate) stuck: Duration,
    /// What its thread used of the CPU meanwhile, if that was asked.
    pub(crate) used: Option<Duration>,
    /// Print a line; else tell subscribers.
    pub(crate) print: bool,
    /// How many were not printed since the last, for there were too many.
    pub(crate) hidden: u64,
}

/// The thread that looks closer.
pub(crate) struct Reporter {
    notes: Option<Sender<Note>>,
    thread: Option<JoinHandle<()>>,
}

impl Reporter {
    pub(crate) fn start(scheduler: Weak<Scheduler>) -> io::Result<Self> {
        let (notes, inbox) = channel();
        let thread = thread::Builder::new()
            .name("raddle-stuck".into())
            .spawn(move || serve(&scheduler, &inbox))?;
        Ok(Self {
            notes: Some(notes),
            thread: Some(thread),
        })
    }

    pub(crate) fn tell(&self, note: Note) {
        if let Some(notes) = &self.notes {
            let _ended = notes.send(note);
        }
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        self.notes = None;
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

fn serve(scheduler: &Weak<Scheduler>, inbox: &Receiver<Note>) {
    let known = Known::introduce();
    let mut printed = HashMap::new();
    loop {
        // It wakes no goroutine, whatever it gets.
        known.lie_down();
        let note = inbox.recv();
        known.get_up();
        let (Ok(note), Some(scheduler)) = (note, scheduler.upgrade()) else {
            break;
        };
        match note {
            Note::Stuck(sighting) => {
                Look::at(&scheduler, &sighting).tell(&sighting, &mut printed);
            }
            Note::Over { machine, after } => {
                if let Some(who) = printed.remove(&machine) {
                    print(&format!(
                        "raddle: stuck no more after {}: {who}\n",
                        Shown(after)
                    ));
                }
            }
        }
    }
    known.forget();
}

fn print(text: &str) {
    let _closed = io::stderr().write_all(text.as_bytes());
}

/// What a closer look shows.
struct Look {
    /// None: it has ended since.
    culprit: Option<Goroutine>,
    /// None: the machine has moved on since.
    thread: Option<ThreadId>,
    at: At,
    /// Runnable goroutines at home there.
    waiting: usize,
    /// Parked ones at home there.
    parked: Vec<Goroutine>,
}

impl Look {
    fn at(scheduler: &Scheduler, sighting: &Sighting) -> Self {
        let machine = &*sighting.machine;
        let home = MachineRef::of(machine).ptr();
        let mut culprit = None;
        let mut waiting = 0;
        let mut parked = Vec::new();
        for goroutine in roll::all_of(scheduler) {
            let Some(header) = goroutine.header() else {
                continue;
            };
            if header.id().get() == sighting.running {
                culprit = Some(goroutine);
            } else if header.home() != Some(home) || header.state.is_done() {
            } else if header.state.is_parked() {
                parked.push(goroutine);
            } else {
                waiting += 1;
            }
        }
        let thread = machine.os_thread().map(|thread| thread.id);
        let at = thread.map_or(At::Unknown, At::of);
        let thread = thread.filter(|_| machine.tick() == sighting.tick);
        Self {
            culprit,
            thread,
            at: if thread.is_some() { at } else { At::Unknown },
            waiting,
            parked,
        }
    }

    fn tell(&self, sighting: &Sighting, printed: &mut HashMap<usize, String>) {
        if sighting.print {
            let who = self.print(sighting);
            printed.insert(sighting.machine.number, who);
        } else if self.waiting > 0 || !self.suspects().is_empty() {
            self.tell_subscribers(sighting);
        }
    }

    /// Those parked that could hold what it waits for.
    fn suspects(&self) -> &[Goroutine] {
        match self.at {
            At::Call(call) if call.is_futex() => &self.parked,
            _ => &[],
        }
    }

    fn tell_subscribers(&self, sighting: &Sighting) {
        let (Some(culprit), Some(thread)) = (&self.culprit, self.thread) else {
            return;
        };
        let (name, address) = match self.at {
            At::Call(call) => (call.to_string(), call.futex()),
            _ => (String::new(), None),
        };
        let suspects = self.suspects().len();
        let cause = match suspects {
            0 => "",
            _ => "a lock of std's held across a park, perhaps",
        };
        trace::stuck(&trace::Stuck {
            goroutine: &roll::line(culprit),
            machine: sighting.machine.number,
            thread,
            stuck: sighting.stuck,
            waiting: self.waiting,
            is_blocked: !matches!(self.at, At::Cpu),
            call: &name,
            address: &address.map_or_else(String::new, |address| format!("{address:#x}")),
            parked: self.parked.len(),
            cause,
        });
    }

    /// The line at once; what takes longer to find out behind it. Returns
    /// who it is, in short.
    fn print(&self, sighting: &Sighting) -> String {
        let mut text = String::new();
        if sighting.hidden > 0 {
            let hidden = sighting.hidden;
            let _fits = writeln!(text, "raddle: stuck: {hidden} more are not shown");
        }
        let machine = sighting.machine.number;
        let mut who = format!("goroutine {}", sighting.running);
        let header = self.culprit.as_ref().and_then(Goroutine::header);
        if let Some(name) = header.and_then(Header::name) {
            let _fits = write!(who, " {name:?}");
        }
        let line = match &self.culprit {
            Some(culprit) => roll::line(culprit),
            None => format!("{who}, which has ended since"),
        };
        let _fits = write!(text, "raddle: stuck for {}: {line}; ", Shown(sighting.stuck));
        let _fits = match self.thread {
            Some(thread) => writeln!(
                text,
                "machine {machine}, thread {thread}: {}, {} of its home wait",
                self.doing(sighting),
                self.waiting,
            ),
            None => writeln!(text, "machine {machine}, which has gone on since"),
        };
        print(&text);
        text.clear();
        if self.thread.is_some() {
            // First, for the names take long.
            let calls = self.calls(sighting);
            let mut names = Names::new();
            for frame in names.of_stack(&calls) {
                let _fits = write!(text, "{frame}");
            }
            self.explain(&mut text, names.std_wait(&calls));
            print(&text);
        }
        let _fits = write!(who, ", machine {machine}");
        who
    }

    fn doing(&self, sighting: &Sighting) -> String {
        let share = sighting.used.map(|used| {
            let stuck = sighting.stuck.as_nanos().max(1);
            (used.as_nanos() * 100 / stuck).min(100)
        });
        let mut text = match self.at {
            At::Cpu => "busy".to_owned(),
            At::Call(call) => format!("blocked in {call}"),
            At::Unknown => match share {
                Some(share) if share >= 50 => "busy".to_owned(),
                Some(_) => "blocked".to_owned(),
                None => "busy or blocked".to_owned(),
            },
        };
        if let Some(share) = share {
            let _fits = write!(text, " ({share} % of a CPU)");
        }
        text
    }

    /// Addresses of the culprit's calls, if they are to be had.
    fn calls(&self, sighting: &Sighting) -> Vec<usize> {
        let may_interrupt = match self.at {
            At::Cpu => true,
            At::Call(call) => call.goes_on_after_a_signal(),
            At::Unknown => false,
        };
        let still = || sighting.machine.tick() == sighting.tick;
        let (Some(thread), Some(culprit)) = (self.thread, &self.culprit) else {
            return Vec::new();
        };
        if !may_interrupt || !still() {
            return Vec::new();
        }
        let calls = interrupt::calls_of(&sighting.machine, thread, sighting.tick);
        let Some(header) = culprit.header().filter(|_| still()) else {
            return Vec::new();
        };
        let is_its = |call: &interrupt::Call| {
            let owner = stack::locate(call.frame).map(|located| located.owner);
            owner.is_some_and(|owner| ptr::eq(owner.cast::<Header>(), header))
        };
        let calls = calls.iter().filter(|call| is_its(call));
        calls.map(|call| call.address).collect()
    }

    /// Says what else is known of why it waits: `wait` is what its calls show.
    fn explain(&self, text: &mut String, wait: Option<StdWait>) {
        let At::Call(call) = self.at else { return };
        let Some(address) = call.futex() else { return };
        let lock = match wait {
            Some(StdWait::Lock(name)) => format!("waits in {name}, which blocks its thread"),
            Some(StdWait::Other(name)) => {
                let _fits = writeln!(
                    text,
                    "    it waits in {name}, which blocks its thread and all at home there"
                );
                return;
            }
            None => format!("waits in a futex ({address:#x}), perhaps for a lock of std's"),
        };
        let (first, how_many) = match self.parked.len() {
            0 => return,
            1 => ("if it holds", "1 goroutine at home there is".to_owned()),
            n => ("if one of them holds", format!("{n} goroutines at home there are")),
        };
        let _fits = writeln!(
            text,
            "    it {lock}; {how_many} parked: {first} the lock across its park, neither goes on \
             (raddle::sync has locks that park)"
        );
        for goroutine in self.parked.iter().take(MOST_LISTED) {
            let mentions = if mentions(goroutine, address) {
                "; its stack holds the address of the lock, or of its Arc"
            } else {
                ""
            };
            let _fits = writeln!(text, "      {}{mentions}", roll::line(goroutine));
        }
        if let Some(more @ 1..) = self.parked.len().checked_sub(MOST_LISTED) {
            let _fits = writeln!(text, "      and {more} more");
        }
    }
}

/// Whether a parked goroutine's stack holds the address of a lock, or that of
/// an `Arc` with it alone, which is all that an optimized program may keep.
fn mentions(goroutine: &Goroutine, lock: usize) -> bool {
    const COUNTS: usize = 2 * size_of::<usize>();
    let captured = goroutine.header().and_then(Captured::begin);
    captured.is_some_and(|captured| captured.mentions([lock, lock.wrapping_sub(COUNTS)]))
}

/// What the calls on a stack show about a wait in std's own locks.
#[cfg_attr(not(feature = "backtrace"), allow(dead_code, reason = "no calls, no names"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StdWait {
    /// For a lock that somebody holds.
    Lock(&'static str),
    /// For something that somebody is to do.
    Other(&'static str),
}

/// By the name of a function.
#[cfg_attr(not(feature = "backtrace"), allow(dead_code, reason = "no calls, no names"))]
pub(crate) fn std_wait(function: &str) -> Option<StdWait> {
    use StdWait::{Lock, Other};
    const NAMES: [(&str, &str, StdWait); 8] = [
        ("sync::mutex::", "lock_contended", Lock("std::sync::Mutex::lock")),
        ("sync::rwlock::", "read_contended", Lock("std::sync::RwLock::read")),
        ("sync::rwlock::", "write_contended", Lock("std::sync::RwLock::write")),
        ("parking_lot::raw_mutex", "lock_slow", Lock("parking_lot::Mutex::lock")),
        ("parking_lot::raw_rwlock", "_slow", Lock("a lock of parking_lot's RwLock")),
        ("sync::condvar::", "wait", Other("std::sync::Condvar::wait")),
        ("sync::once::", "call", Other("std::sync::Once")),
        ("std::thread::", "park", Other("std::thread::park")),
    ];
    let is_it = |room: &str, name: &str| function.contains(room) && function.contains(name);
    let found = NAMES.into_iter().find(|(room, name, _)| is_it(room, name));
    found.map(|(_, _, wait)| wait)
}

/// What a thread is at, as the kernel says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// It runs, or would if there were a CPU for it.
    Cpu,
    Call(SystemCall),
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SystemCall {
    number: i64,
    /// The first four.
    arguments: [usize; 4],
}

impl At {
    #[cfg(target_os = "linux")]
    fn of(thread: ThreadId) -> Self {
        let text = std::fs::read_to_string(format!("/proc/self/task/{thread}/syscall"));
        text.map_or(Self::Unknown, |text| Self::parse(&text))
    }

    #[cfg(not(target_os = "linux"))]
    fn of(_thread: ThreadId) -> Self {
        Self::Unknown
    }

    /// `202 0x7f0a.. 0x80 ..`, `running`, or `-1 ..` in no call.
    fn parse(text: &str) -> Self {
        let mut words = text.split_whitespace();
        let number = words.next();
        if number == Some("running") {
            return Self::Cpu;
        }
        let number = number.and_then(|number| number.parse().ok());
        let mut argument = || {
            let digits = words.next()?.strip_prefix("0x")?;
            usize::from_str_radix(digits, 16).ok()
        };
        let mut arguments = [0; 4];
        for place in &mut arguments {
            let Some(argument) = argument() else {
                return Self::Unknown;
            };
            *place = argument;
        }
        match number {
            Some(number @ 0..) => Self::Call(SystemCall { number, arguments }),
            _ => Self::Unknown,
        }
    }
}

macro_rules! calls {
    ($($goes_on:literal $($call:ident $name:literal)*;)*) => {
        /// Name, and whether it goes on by itself after a signal.
        #[cfg(target_os = "linux")]
        fn known_call(number: i64) -> Option<(&'static str, bool)> {
            match number {
                $($(libc::$call => Some(($name, $goes_on)),)*)*
                _ => None,
            }
        }
    };
}

calls! {
    true SYS_futex "futex" SYS_read "read" SYS_write "write" SYS_openat "openat"
        SYS_flock "flock" SYS_fsync "fsync" SYS_fdatasync "fdatasync" SYS_wait4 "wait4"
        SYS_waitid "waitid" SYS_clock_nanosleep "clock_nanosleep" SYS_pread64 "pread64"
        SYS_pwrite64 "pwrite64";
    false SYS_nanosleep "nanosleep" SYS_recvfrom "recvfrom" SYS_sendto "sendto"
        SYS_recvmsg "recvmsg" SYS_accept4 "accept4" SYS_accept "accept" SYS_connect "connect"
        SYS_ppoll "ppoll" SYS_pselect6 "pselect6"
        SYS_epoll_pwait "epoll_pwait" SYS_rt_sigtimedwait "rt_sigtimedwait";
}

#[cfg(not(target_os = "linux"))]
fn known_call(_number: i64) -> Option<(&'static str, bool)> {
    None
}

/// A futex's wait goes by the calendar: `FUTEX_CLOCK_REALTIME`.
const CALENDAR: usize = 256;
/// `CLOCK_MONOTONIC`.
const MONOTONIC: usize = 1;

impl SystemCall {
    fn is_futex(self) -> bool {
        matches!(known_call(self.number), Some(("futex", _)))
    }

    /// The address of the word it waits on.
    fn futex(self) -> Option<usize> {
        self.is_futex().then_some(self.arguments[0])
    }

    /// A wait for some time ends early, whatever the handler asks for: it goes
    /// on if its caller sees to that. std and who else goes by the monotonic
    /// clock does; C's `sleep`, `usleep` and `sem_timedwait`, which go by the
    /// calendar, do not.
    fn goes_on_after_a_signal(self) -> bool {
        let [first, second, third, fourth] = self.arguments;
        match known_call(self.number) {
            Some(("futex", _)) => fourth == 0 || second & CALENDAR == 0,
            // What is left is written where the time stood.
            Some(("clock_nanosleep", _)) => first == MONOTONIC && third == fourth,
            known => matches!(known, Some((_, true))),
        }
    }
}

impl fmt::Display for SystemCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match known_call(self.number) {
            Some((name, _)) => f.write_str(name),
            None => write!(f, "system call {}", self.number),
        }
    }
}

/// In the unit that suits.
struct Shown(Duration);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_micros() {
            micros @ 0..10_000 => write!(f, "{micros} us"),
            micros => write!(f, "{} ms", micros / 1000),
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::{At, StdWait, SystemCall, std_wait};

    #[test]
    fn what_the_kernel_says_is_read() {
        let futex = libc::SYS_futex;
        let call = |number, arguments| At::Call(SystemCall { number, arguments });
        assert_eq!(At::parse("running\n"), At::Cpu);
        assert_eq!(
            At::parse(&format!("{futex} 0x7f01 0x80 0x2 0x0 0x0 0x0 0x7ffe 0x7f02\n")),
            call(futex, [0x7f01, 0x80, 2, 0])
        );
        assert_eq!(At::parse("-1 0x7ffe 0x7f02\n"), At::Unknown);
        assert_eq!(At::parse(""), At::Unknown);
        assert_eq!(At::parse("99999 0x1"), At::Unknown);
        let arguments = [0; 4];
        assert_eq!(At::parse("99999 0x0 0x0 0x0 0x0"), call(99999, arguments));
        let shown = |number| SystemCall { number, arguments }.to_string();
        assert_eq!(shown(futex), "futex");
        assert_eq!(shown(99_999), "system call 99999");
    }

    #[test]
    fn waits_that_a_signal_would_cut_short_are_left_alone() {
        let goes_on = |number, arguments| {
            let call = SystemCall { number, arguments };
            call.goes_on_after_a_signal()
        };
        let futex = |operation, time| goes_on(libc::SYS_futex, [0x7f01, operation, 2, time]);
        assert!(futex(0x80, 0));
        assert!(futex(0x89, 0x7f02));
        assert!(futex(0x189, 0));
        assert!(!futex(0x189, 0x7f02));
        let nap = |clock, rest| goes_on(libc::SYS_clock_nanosleep, [clock, 0, 0x7f02, rest]);
        assert!(nap(1, 0x7f02));
        assert!(!nap(1, 0));
        assert!(!nap(0, 0x7f02));
        assert!(!goes_on(libc::SYS_recvfrom, [3, 0, 0, 0]));
        assert!(!goes_on(99_999, [0; 4]));
    }

    #[test]
    fn names_of_std_say_what_is_waited_for() {
        let lock = |name| Some(StdWait::Lock(name));
        assert_eq!(
            std_wait("std::sys::sync::mutex::futex::Mutex::lock_contended"),
            lock("std::sync::Mutex::lock")
        );
        assert_eq!(
            std_wait("std::sys::sync::rwlock::futex::RwLock::write_contended"),
            lock("std::sync::RwLock::write")
        );
        assert_eq!(
            std_wait("std::sys::sync::condvar::futex::Condvar::wait_optional_timeout"),
            Some(StdWait::Other("std::sync::Condvar::wait"))
        );
        assert_eq!(std_wait("app::sync::mutex::work"), None);
        assert_eq!(std_wait("raddle::sync::mutex::Mutex<T>::lock"), None);
    }
}
