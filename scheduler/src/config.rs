//! What the user may set, by builder or by environment: one truth.
//!
//! A builder starts from [`Config::from_env`] and writes over it, so its
//! settings win; a bad variable is an error all the same. [`Config::check`]
//! holds builders to the limits that variables have.

use crate::report::Report;
use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

/// More processors than any scheduler gains by; a larger number is a typo.
pub const MOST_PROCS: usize = 1024;
/// The smallest stack: a panic with its hook used 23 KiB.
pub const SMALLEST_STACK: usize = 32 * KIB;
/// The largest stack.
pub const LARGEST_STACK: usize = 1024 * 1024 * KIB;
/// What a goroutine gets who did not ask: address space, not memory.
pub const DEFAULT_STACK: usize = 256 * KIB;
/// Machines that a scheduler starts at most, blocked ones included.
pub const DEFAULT_THREADS: usize = 10_000;

const KIB: usize = 1024;

const MAXPROCS: &str = "RADDLE_MAXPROCS";
const STACK_SIZE: &str = "RADDLE_STACK_SIZE";
const PANIC: &str = "RADDLE_PANIC";
const DEBUG: &str = "RADDLE_DEBUG";
const TRACE: &str = "RADDLE_TRACE";

const PROCS_ACCEPTED: &str = "a positive integer, such as 4 (0 < n <= 1024)";
const STACK_ACCEPTED: &str =
    "a size such as 64k, 1m or 65536: whole KiB, at least 32k, at most 1024m";
const PANIC_ACCEPTED: &str = "isolate or abort";
const DEBUG_ACCEPTED: &str = "key=value,... with the keys schedtrace (milliseconds, such as 1000), \
     stuck (a duration, such as 20ms), lockcheck (0 or 1), each at most once";
const TRACE_ACCEPTED: &str = "the path of a file to write";
const THREADS_ACCEPTED: &str = "at least 1";

/// What a panic that leaves a goroutine does.
///
/// # Blocking
/// Never.
///
/// # Go
/// `Abort`, with another status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PanicPolicy {
    /// It ends that goroutine alone.
    #[default]
    Isolate,
    /// It aborts the process.
    Abort,
}

/// What happens when all goroutines of the process are asleep for ever, to
/// the runtime that has some of them.
///
/// # Blocking
/// Never.
///
/// # Go
/// `Exit(2)`.
#[derive(Clone, Copy, Debug)]
pub enum OnDeadlock {
    /// Prints the report, and ends the process with this status.
    Exit(i32),
    /// Calls this with the report, once until a goroutine has run again, on a
    /// thread of its own. If it panics the report is printed and the process
    /// ends, as by `Exit(2)`.
    Hook(fn(&Report)),
    /// Nothing.
    Ignore,
}

impl Default for OnDeadlock {
    /// `Exit(2)`, as in Go.
    fn default() -> Self {
        Self::Exit(2)
    }
}

impl PartialEq for OnDeadlock {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exit(status), Self::Exit(other)) => status == other,
            (Self::Hook(hook), Self::Hook(other)) => std::ptr::fn_addr_eq(*hook, *other),
            (Self::Ignore, Self::Ignore) => true,
            _ => false,
        }
    }
}

impl Eq for OnDeadlock {}

/// What `RADDLE_DEBUG` asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Debug {
    /// Print a line about the scheduler this often.
    pub schedtrace: Option<Duration>,
    /// Report a machine stuck for longer than this.
    pub stuck: Option<Duration>,
    /// Whether to look for goroutines that wait for each other's locks; in
    /// debug builds, if not said.
    pub lockcheck: Option<bool>,
}

/// The settings of a scheduler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// How many processors; as many as CPUs if none is given.
    pub max_procs: Option<usize>,
    /// Bytes of a stack whose goroutine did not say; 256 KiB if none is given.
    pub stack_size: Option<usize>,
    /// What a panic does.
    pub panic: PanicPolicy,
    /// What happens when all are asleep.
    pub deadlock: OnDeadlock,
    /// How many machines at most.
    pub max_threads: usize,
    /// Whether goroutines move between machines after their first run. No
    /// variable sets it: the program promises what it needs, not its user.
    pub migrate: bool,
    /// What is printed and checked besides.
    pub debug: Debug,
    /// Where to write a trace.
    pub trace: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_procs: None,
            stack_size: None,
            panic: PanicPolicy::default(),
            deadlock: OnDeadlock::default(),
            max_threads: DEFAULT_THREADS,
            migrate: false,
            debug: Debug::default(),
            trace: None,
        }
    }
}

impl Config {
    /// The defaults, and over them what the environment says.
    ///
    /// # Errors
    /// The first variable whose value is not accepted.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_lookup(|name| std::env::var_os(name))
    }

    fn from_lookup(look: impl Fn(&str) -> Option<OsString>) -> Result<Self, ConfigError> {
        Ok(Self {
            max_procs: max_procs(look(MAXPROCS).as_deref())?,
            stack_size: stack_size(look(STACK_SIZE).as_deref())?,
            panic: panic_policy(look(PANIC).as_deref())?.unwrap_or_default(),
            debug: debug(look(DEBUG).as_deref())?.unwrap_or_default(),
            trace: trace(look(TRACE).as_deref())?,
            ..Self::default()
        })
    }

    /// Whether a builder kept to the limits.
    ///
    /// # Errors
    /// The first setting that is out of its limits.
    pub fn check(&self) -> Result<(), ConfigError> {
        if let Some(n) = self.max_procs {
            check_max_procs(n)?;
        }
        if let Some(n) = self.stack_size {
            check_stack_size(n)?;
        }
        if self.max_threads == 0 {
            return Err(ConfigError::of_builder("max_threads", 0, THREADS_ACCEPTED));
        }
        Ok(())
    }

    /// How many processors to start with.
    #[must_use]
    pub fn effective_max_procs(&self) -> usize {
        self.max_procs.unwrap_or_else(|| num_cpus().min(MOST_PROCS))
    }

    /// Whether goroutines that wait for each other's locks are looked for.
    #[must_use]
    pub fn checks_locks(&self) -> bool {
        self.debug.lockcheck.unwrap_or(cfg!(debug_assertions))
    }

    /// The bytes of a stack whose goroutine did not say.
    #[must_use]
    pub fn effective_stack_size(&self) -> usize {
        self.stack_size.unwrap_or(DEFAULT_STACK)
    }
}

/// How many CPUs this process may use.
///
/// # Blocking
/// Never.
///
/// # Go
/// `runtime.NumCPU`.
#[must_use]
pub fn num_cpus() -> usize {
    thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Whether `n` may be a number of processors.
///
/// # Errors
/// It is 0 or above [`MOST_PROCS`].
pub fn check_max_procs(n: usize) -> Result<(), ConfigError> {
    if is_procs(n) {
        return Ok(());
    }
    Err(ConfigError::of_builder("max_procs", n, PROCS_ACCEPTED))
}

/// Whether `bytes` may be the size of a stack.
///
/// # Errors
/// It is no whole number of KiB, or not between [`SMALLEST_STACK`] and
/// [`LARGEST_STACK`].
pub fn check_stack_size(bytes: usize) -> Result<(), ConfigError> {
    if is_stack_size(bytes) {
        return Ok(());
    }
    Err(ConfigError::of_builder("stack_size", bytes, STACK_ACCEPTED))
}

fn is_procs(n: usize) -> bool {
    (1..=MOST_PROCS).contains(&n)
}

fn is_stack_size(bytes: usize) -> bool {
    (SMALLEST_STACK..=LARGEST_STACK).contains(&bytes) && bytes.is_multiple_of(KIB)
}

/// A setting with a value that is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The setting and its value, as the user wrote them.
    given: String,
    /// What is wrong, where "expected" alone does not say.
    problem: String,
    accepted: &'static str,
}

impl ConfigError {
    fn of_variable(name: &str, value: &OsStr, accepted: &'static str) -> Self {
        Self {
            // Debug of an OsStr escapes what is not Unicode and loses nothing.
            given: format!("{name}={value:?}"),
            problem: String::new(),
            accepted,
        }
    }

    fn of_builder(name: &str, value: usize, accepted: &'static str) -> Self {
        Self {
            given: format!("{name}({value})"),
            problem: String::new(),
            accepted,
        }
    }

    fn because(mut self, problem: fmt::Arguments<'_>) -> Self {
        self.problem = format!("{problem}; ");
        self
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            given,
            problem,
            accepted,
        } = self;
        write!(f, "{given}: {problem}expected {accepted}")
    }
}

impl Error for ConfigError {}

fn max_procs(value: Option<&OsStr>) -> Result<Option<usize>, ConfigError> {
    read(MAXPROCS, value, PROCS_ACCEPTED, |text| {
        number(text).filter(|n| is_procs(*n))
    })
}

fn stack_size(value: Option<&OsStr>) -> Result<Option<usize>, ConfigError> {
    read(STACK_SIZE, value, STACK_ACCEPTED, |text| {
        let (digits, unit) = match text.as_bytes().last()? {
            b'k' | b'K' => (&text[..text.len() - 1], KIB),
            b'm' | b'M' => (&text[..text.len() - 1], KIB * KIB),
            _ => (text, 1),
        };
        number::<usize>(digits)?
            .checked_mul(unit)
            .filter(|bytes| is_stack_size(*bytes))
    })
}

fn panic_policy(value: Option<&OsStr>) -> Result<Option<PanicPolicy>, ConfigError> {
    read(PANIC, value, PANIC_ACCEPTED, |text| match text {
        "isolate" => Some(PanicPolicy::Isolate),
        "abort" => Some(PanicPolicy::Abort),
        _ => None,
    })
}

fn trace(value: Option<&OsStr>) -> Result<Option<PathBuf>, ConfigError> {
    match value {
        Some(path) if path.is_empty() => Err(ConfigError::of_variable(TRACE, path, TRACE_ACCEPTED)),
        path => Ok(path.map(PathBuf::from)),
    }
}

fn debug(value: Option<&OsStr>) -> Result<Option<Debug>, ConfigError> {
    let Some(value) = value else {
        return Ok(None);
    };
    let refused = || ConfigError::of_variable(DEBUG, value, DEBUG_ACCEPTED);
    let mut debug = Debug::default();
    let mut seen = Vec::new();
    for pair in value.to_str().ok_or_else(refused)?.split(',') {
        let (key, text) = pair
            .split_once('=')
            .ok_or_else(|| refused().because(format_args!("{pair:?} is no key=value")))?;
        if seen.contains(&key) {
            return Err(refused().because(format_args!("{key} is given twice")));
        }
        seen.push(key);
        let is_read = match key {
            "schedtrace" => {
                debug.schedtrace = milliseconds(text);
                debug.schedtrace.is_some()
            }
            "stuck" => {
                debug.stuck = duration(text);
                debug.stuck.is_some()
            }
            "lockcheck" => {
                debug.lockcheck = match text {
                    "0" => Some(false),
                    "1" => Some(true),
                    _ => None,
                };
                debug.lockcheck.is_some()
            }
            _ => return Err(refused().because(format_args!("the key {key:?} is unknown"))),
        };
        if !is_read {
            return Err(refused().because(format_args!("{key} cannot be {text:?}")));
        }
    }
    Ok(Some(debug))
}

/// Reads a variable by `parse`, which says `None` to what it does not accept.
fn read<T>(
    name: &str,
    value: Option<&OsStr>,
    accepted: &'static str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, ConfigError> {
    let Some(value) = value else {
        return Ok(None);
    };
    match value.to_str().and_then(parse) {
        None => Err(ConfigError::of_variable(name, value, accepted)),
        known => Ok(known),
    }
}

/// Digits alone: no sign, no space, none missing.
fn number<N: std::str::FromStr>(text: &str) -> Option<N> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().ok()
    } else {
        None
    }
}

fn milliseconds(text: &str) -> Option<Duration> {
    not_zero(Duration::from_millis(number(text)?))
}

fn duration(text: &str) -> Option<Duration> {
    let unit = text.find(|c: char| !c.is_ascii_digit())?;
    let n = number(&text[..unit])?;
    not_zero(match &text[unit..] {
        "us" => Duration::from_micros(n),
        "ms" => Duration::from_millis(n),
        "s" => Duration::from_secs(n),
        _ => return None,
    })
}

fn not_zero(duration: Duration) -> Option<Duration> {
    Some(duration).filter(|duration| !duration.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads `text` by `parse`; the message where it is refused.
    fn of<T>(
        parse: impl Fn(Option<&OsStr>) -> Result<Option<T>, ConfigError>,
        text: &str,
    ) -> Result<T, String> {
        parse(Some(OsStr::new(text)))
            .map(|value| value.expect("a variable that is set has a value"))
            .map_err(|error| error.to_string())
    }

    const NOT_A_NUMBER: [&str; 14] = [
        "",
        " ",
        "0",
        "00",
        "-3",
        "+3",
        "2.5",
        "many",
        "4 ",
        " 4",
        "4x",
        "0x4",
        "1_0",
        "99999999999999999999999",
    ];

    #[test]
    fn max_procs_is_a_positive_integer() {
        for (text, n) in [("1", 1), ("4", 4), ("007", 7), ("1024", 1024)] {
            assert_eq!(of(max_procs, text), Ok(n), "{text:?}");
        }
        for text in NOT_A_NUMBER.into_iter().chain(["1025"]) {
            assert_eq!(
                of(max_procs, text),
                Err(format!(
                    "RADDLE_MAXPROCS={text:?}: expected a positive integer, such as 4 \
                     (0 < n <= 1024)"
                )),
            );
        }
    }

    #[test]
    fn stack_size_is_whole_kib_within_limits() {
        for (text, bytes) in [
            ("32k", 32 << 10),
            ("64K", 64 << 10),
            ("33k", 33 << 10),
            ("1m", 1 << 20),
            ("8M", 8 << 20),
            ("1024m", 1 << 30),
            ("65536", 65_536),
        ] {
            assert_eq!(of(stack_size, text), Ok(bytes), "{text:?}");
        }
        for text in NOT_A_NUMBER.into_iter().chain([
            "k",
            "m",
            "31k",
            "1025m",
            "32769",
            "64 k",
            "64kb",
            "64kk",
            "1g",
            "1.5m",
            "-64k",
            "64ķ",
            "18446744073709551615m",
        ]) {
            assert_eq!(
                of(stack_size, text),
                Err(format!(
                    "RADDLE_STACK_SIZE={text:?}: expected a size such as 64k, 1m or 65536: \
                     whole KiB, at least 32k, at most 1024m"
                )),
            );
        }
    }

    #[test]
    fn panic_policy_is_one_of_two_words() {
        assert_eq!(of(panic_policy, "isolate"), Ok(PanicPolicy::Isolate));
        assert_eq!(of(panic_policy, "abort"), Ok(PanicPolicy::Abort));
        for text in ["", " ", "Abort", "abort ", "unwind", "0"] {
            assert_eq!(
                of(panic_policy, text),
                Err(format!("RADDLE_PANIC={text:?}: expected isolate or abort")),
            );
        }
    }

    #[test]
    fn debug_is_a_list_of_known_keys() {
        let ms = |n| Some(Duration::from_millis(n));
        for (text, schedtrace, stuck, lockcheck) in [
            ("schedtrace=1000", ms(1000), None, None),
            ("stuck=20ms", None, ms(20), None),
            ("stuck=2s", None, ms(2000), None),
            ("stuck=5000us", None, ms(5), None),
            ("lockcheck=1", None, None, Some(true)),
            ("lockcheck=0", None, None, Some(false)),
            ("lockcheck=1,stuck=1s,schedtrace=1", ms(1), ms(1000), Some(true)),
        ] {
            assert_eq!(
                of(debug, text),
                Ok(Debug {
                    schedtrace,
                    stuck,
                    lockcheck,
                }),
                "{text:?}"
            );
        }
        for (text, problem) in [
            ("", r#""" is no key=value"#),
            (" ", r#"" " is no key=value"#),
            ("stuck", r#""stuck" is no key=value"#),
            ("stuck=1s,", r#""" is no key=value"#),
            ("gctrace=1", r#"the key "gctrace" is unknown"#),
            (" stuck=1s", r#"the key " stuck" is unknown"#),
            ("=1", r#"the key "" is unknown"#),
            ("stuck=1s,stuck=2s", "stuck is given twice"),
            ("stuck=20", r#"stuck cannot be "20""#),
            ("stuck=ms", r#"stuck cannot be "ms""#),
            ("stuck=20min", r#"stuck cannot be "20min""#),
            ("stuck=0ms", r#"stuck cannot be "0ms""#),
            ("stuck=-1ms", r#"stuck cannot be "-1ms""#),
            ("stuck=", r#"stuck cannot be """#),
            ("schedtrace=0", r#"schedtrace cannot be "0""#),
            ("schedtrace=1s", r#"schedtrace cannot be "1s""#),
            ("schedtrace=", r#"schedtrace cannot be """#),
            ("lockcheck=yes", r#"lockcheck cannot be "yes""#),
            ("lockcheck=", r#"lockcheck cannot be """#),
        ] {
            assert_eq!(
                of(debug, text),
                Err(format!(
                    "RADDLE_DEBUG={text:?}: {problem}; expected key=value,... with the keys \
                     schedtrace (milliseconds, such as 1000), stuck (a duration, such as 20ms), \
                     lockcheck (0 or 1), each at most once"
                )),
            );
        }
    }

    #[test]
    fn trace_is_a_path() {
        assert_eq!(of(trace, "a file.json"), Ok(PathBuf::from("a file.json")));
        assert_eq!(
            of(trace, ""),
            Err(r#"RADDLE_TRACE="": expected the path of a file to write"#.to_owned()),
        );
    }

    #[cfg(unix)]
    #[test]
    fn what_is_not_unicode_is_shown_or_kept_whole() {
        use std::os::unix::ffi::OsStrExt;
        let odd = OsStr::from_bytes(b"4\xff");
        for refused in [
            max_procs(Some(odd)).map(drop),
            stack_size(Some(odd)).map(drop),
            panic_policy(Some(odd)).map(drop),
            debug(Some(odd)).map(drop),
        ] {
            let message = refused.expect_err("not a number").to_string();
            assert!(message.contains(r#"="4\xFF": expected "#), "{message}");
        }
        assert_eq!(trace(Some(odd)), Ok(Some(PathBuf::from(odd))));
    }

    #[test]
    fn nothing_set_is_the_default() {
        let config = Config::from_lookup(|_| None);
        assert_eq!(config, Ok(Config::default()));
        let config = Config::default();
        assert!(config.effective_max_procs() >= 1);
        assert_eq!(config.effective_stack_size(), 256 * 1024);
        assert_eq!(config.max_threads, 10_000);
        assert_eq!(config.check(), Ok(()));
    }

    #[test]
    fn each_variable_reaches_its_setting() {
        let config = Config::from_lookup(|name| {
            let value = match name {
                "RADDLE_MAXPROCS" => "3",
                "RADDLE_STACK_SIZE" => "64k",
                "RADDLE_PANIC" => "abort",
                "RADDLE_DEBUG" => "lockcheck=1",
                "RADDLE_TRACE" => "out.json",
                other => panic!("{other} is no variable of raddle's"),
            };
            Some(value.into())
        })
        .unwrap();
        assert_eq!(config.effective_max_procs(), 3);
        assert_eq!(config.effective_stack_size(), 65_536);
        assert_eq!(config.panic, PanicPolicy::Abort);
        assert_eq!(config.debug.lockcheck, Some(true));
        assert_eq!(config.trace, Some(PathBuf::from("out.json")));
    }

    #[test]
    fn builders_are_held_to_the_same_limits() {
        let refused = |change: fn(&mut Config)| {
            let mut config = Config::default();
            change(&mut config);
            config.check().expect_err("out of limits").to_string()
        };
        assert_eq!(
            refused(|config| config.max_procs = Some(0)),
            "max_procs(0): expected a positive integer, such as 4 (0 < n <= 1024)",
        );
        assert_eq!(
            refused(|config| config.stack_size = Some(1000)),
            "stack_size(1000): expected a size such as 64k, 1m or 65536: whole KiB, at least \
             32k, at most 1024m",
        );
        assert_eq!(
            refused(|config| config.max_threads = 0),
            "max_threads(0): expected at least 1",
        );
    }
}
