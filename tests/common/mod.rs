//! What the integration tests share: deadlines, runtimes of every kind,
//! random numbers by seed, and child processes.

#![allow(dead_code, reason = "each test file uses a part")]

use raddle::runtime::{Builder, Runtime};
use std::io::Write;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Both scheduling modes, pinned first.
pub const MODES: [Mode; 2] = [Mode::Pinned, Mode::Migrate];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Pinned,
    Migrate,
}

/// Builds a runtime of `procs` processors. The only unsafe of the tests, but
/// for `main_migrating`.
#[allow(unsafe_code, reason = "migrate mode has to be asked for so")]
pub fn builder(mode: Mode, procs: usize) -> Builder {
    quiet_on_purpose();
    let builder = Builder::new().max_procs(procs);
    match mode {
        Mode::Pinned => builder,
        // SAFETY: 1. the tests' goroutines keep nothing that is not Send
        // across a park unless they are pinned. 2. where one touches a
        // thread-local twice it does so by a function that is not inlined,
        // or tells what happens otherwise.
        Mode::Migrate => unsafe { builder.migrate() },
    }
}

static BODY: std::sync::OnceLock<fn()> = std::sync::OnceLock::new();

#[allow(unsafe_code, reason = "as `builder`")]
mod program {
    #[raddle::main(unsafe(migrate))]
    pub fn main() {
        super::BODY.get().expect("set before")();
    }
}

/// Becomes a program whose `#[raddle::main]` is `body`, in migrate mode.
pub fn main_migrating(body: fn()) {
    BODY.set(body).expect("once a process");
    program::main();
}

pub fn runtime(mode: Mode, procs: usize) -> Runtime {
    builder(mode, procs).build().expect("a runtime")
}

/// Runs `body` on a runtime of each kind: P = 1, 2, 4, 8 in both modes, each
/// with its own deadline.
pub fn on_each_runtime(limit: Duration, body: impl Fn(&Runtime, &str) + Send + Sync + Clone) {
    on_runtimes(&[1, 2, 4, 8], &MODES, limit, body);
}

pub fn on_runtimes(
    procs: &[usize],
    modes: &[Mode],
    limit: Duration,
    body: impl Fn(&Runtime, &str) + Send + Sync + Clone,
) {
    for &mode in modes {
        for &procs in procs {
            let what = format!("{mode:?}, P = {procs}");
            with_deadline(limit, &what, || {
                let runtime = runtime(mode, procs);
                body(&runtime, &what);
            });
        }
    }
}

/// Runs `body` in a goroutine of runtimes of each kind, and on a plain thread
/// whose goroutines are the default runtime's.
pub fn everywhere(limit: Duration, body: impl Fn() + Send + Sync + Clone) {
    on_runtimes(&[1, 2, 4], &MODES, limit, |runtime, _| runtime.run(&body));
    with_deadline(limit, "a plain thread", body);
}

/// Runs `body` on a thread of its own. When it takes longer than `limit` the
/// process ends, for what hangs cannot be cleaned up: `what` names the seed
/// and the configuration.
pub fn with_deadline<T: Send>(limit: Duration, what: &str, body: impl FnOnce() -> T + Send) -> T {
    quiet_on_purpose();
    let test = thread::current().name().unwrap_or("?").to_owned();
    let limit = if std::env::var_os("RADDLE_TEST_NO_DEADLINE").is_some() {
        Duration::from_secs(100_000)
    } else {
        limit
    };
    let (done, outcome) = channel();
    let result = thread::scope(|scope| {
        let name = format!("body of {test}");
        let body = thread::Builder::new()
            .name(name)
            .spawn_scoped(scope, move || {
                let result = catch_unwind(AssertUnwindSafe(body));
                let _nobody_waits = done.send(());
                result
            })
            .expect("a thread");
        if outcome.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
            // Not `eprintln!`: the harness keeps that, and abort loses it.
            let hangs = format!("{test} ({what}) hangs: it did not end within {limit:?}\n");
            let _closed = std::io::stderr().write_all(hangs.as_bytes());
            if std::env::var_os("RADDLE_TEST_STOP_ON_HANG").is_some() {
                eprintln!("process {} waits for a debugger", std::process::id());
                thread::sleep(Duration::from_secs(100_000));
            }
            std::process::abort();
        }
        body.join().expect("caught")
    });
    result.unwrap_or_else(|payload| {
        eprintln!("{test} failed with {what}");
        resume_unwind(payload)
    })
}

/// So many seconds for a short round, and as many times more for a long one.
pub fn limit(seconds: u64) -> Duration {
    Duration::from_secs(seconds * factor())
}

/// `short` rounds, or as many times more as `RADDLE_STRESS_ROUNDS` says.
pub fn rounds(short: u64) -> u64 {
    short * factor()
}

pub fn factor() -> u64 {
    std::env::var("RADDLE_STRESS_ROUNDS").map_or(1, |text| {
        text.parse().expect("RADDLE_STRESS_ROUNDS is a number")
    })
}

/// Where random tests begin: another place each time, or where
/// `RADDLE_STRESS_SEED` says.
pub fn seed() -> u64 {
    if let Ok(text) = std::env::var("RADDLE_STRESS_SEED") {
        return text.parse().expect("RADDLE_STRESS_SEED is a number");
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.expect("after 1970").as_nanos() as u64 | 1
}

/// Marsaglia's xorshift64*.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, range: Range<u64>) -> u64 {
        range.start + (self.next() >> 11) % (range.end - range.start)
    }

    pub fn micros(&mut self, range: Range<u64>) -> Duration {
        Duration::from_micros(self.below(range))
    }
}

/// Uses the CPU for so long, without a call to raddle.
pub fn burn(duration: Duration) {
    let end = Instant::now() + duration;
    while Instant::now() < end {
        std::hint::spin_loop();
    }
}

/// Runs its closure when it is dropped.
pub struct OnDrop<F: FnMut()>(pub F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// What tests panic with on purpose, when they do it often.
pub const ON_PURPOSE: &str = "on purpose";

/// Keeps `ON_PURPOSE` out of the output; all other panics are shown as ever.
/// Before the process has a runtime, so that raddle wraps this hook.
fn quiet_on_purpose() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if info.payload().downcast_ref::<&str>() != Some(&ON_PURPOSE) {
                hook(info);
            }
        }));
    });
}

/// Whether a payload is `ON_PURPOSE`.
pub fn is_on_purpose(payload: &(dyn std::any::Any + Send)) -> bool {
    payload.downcast_ref::<&str>() == Some(&ON_PURPOSE)
}

/// How many threads this process has.
pub fn threads() -> usize {
    std::fs::read_dir("/proc/self/task")
        .expect("procfs")
        .count()
}

/// The kernel's count of times that threads of this process, other than the
/// caller's, were switched to; with their names.
pub fn switches() -> Vec<(String, u64)> {
    let me = std::fs::read_link("/proc/thread-self").unwrap();
    let me = me.file_name().unwrap().to_owned();
    let mut counts: Vec<_> = std::fs::read_dir("/proc/self/task")
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_name() != me)
        .map(|entry| {
            let status = std::fs::read_to_string(entry.path().join("status")).unwrap_or_default();
            let count = status
                .lines()
                .filter(|line| line.contains("ctxt_switches"))
                .map(|line| line.rsplit(char::is_whitespace).next().unwrap())
                .map(|number| number.parse::<u64>().unwrap())
                .sum();
            let name = status.lines().next().unwrap_or_default();
            (format!("{} {name}", entry.file_name().display()), count)
        })
        .collect();
    counts.sort();
    counts
}

/// How many descriptors this process has open.
pub fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("procfs").count()
}

/// Waits on a plain thread until `is_so`; whether it was in time.
pub fn comes_true(limit: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let begin = Instant::now();
    while !is_so() {
        if begin.elapsed() > limit {
            return false;
        }
        thread::sleep(Duration::from_millis(1));
    }
    true
}

/// The least of what some attempts give, as soon as one is below `limit`: a
/// test machine has other work.
pub fn best(limit: Duration, mut attempt: impl FnMut() -> Duration) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..10 {
        best = best.min(attempt());
        if best < limit {
            break;
        }
    }
    best
}

/// `f` in a goroutine that now waits for `reason`.
pub fn waiting<T: Send + 'static>(
    reason: &str,
    f: impl FnOnce() -> T + Send + 'static,
) -> raddle::JoinHandle<T> {
    let handle = raddle::spawn(f);
    let line = format!("goroutine {} [{reason}", handle.goroutine().id());
    while !raddle::observe::dump().to_string().contains(&line) {
        raddle::yield_now();
    }
    // A dump may take longer than a slice, and cost the caller its processor:
    // at P = 1 it would go on beside others.
    raddle::yield_now();
    handle
}

/// The variable that tells a child process which role it plays.
const ROLE: &str = "RADDLE_TEST_ROLE";

/// Whether this process is the child of the calling test.
pub fn is_child() -> bool {
    std::env::var_os(ROLE).is_some()
}

/// Runs the test `name` of this binary in a child process, where
/// `is_child()` is true.
pub fn child(name: &str, variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(std::env::current_exe().expect("this test"));
    command
        .args([
            "--exact",
            name,
            "--include-ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(ROLE, name)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    for variable in [
        "RADDLE_MAXPROCS",
        "RADDLE_STACK_SIZE",
        "RADDLE_PANIC",
        "RADDLE_DEBUG",
        "RADDLE_TRACE",
        "RUST_BACKTRACE",
    ] {
        command.env_remove(variable);
    }
    command.envs(variables.iter().copied());
    let child = command.spawn().expect("a child process");
    let id = child.id();
    let (done, outcome) = channel();
    let waiter = thread::spawn(move || {
        let output = child.wait_with_output();
        let _nobody_waits = done.send(());
        output
    });
    if outcome.recv_timeout(Duration::from_secs(60)).is_err() {
        eprintln!("the child process {id} of {name} ({variables:?}) hangs");
        std::process::abort();
    }
    waiter
        .join()
        .expect("the waiter")
        .expect("the child's output")
}

/// What a child wrote to its standard error.
pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What a child wrote to its standard output.
pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}
