//! The default runtime, `run`, `main`, and runtimes of one's own.

use crate::runtime::{Builder, Runtime};
use raddle_scheduler::config::{Config, ConfigError};
use raddle_scheduler::{self as scheduler, Goexit, Options, Scheduler};
use raddle_scheduler::{with_callers_scheduler, with_current_scheduler};
use std::io;
use std::panic::Location;
use std::process::{ExitCode, Termination, exit};
use std::sync::{Mutex, OnceLock, PoisonError};

/// What main and `run` have, unless goroutines are to have more.
const MAIN_STACK: usize = 8 << 20;
/// What `on_big_stack` has.
pub(crate) const BIG_STACK: usize = 64 << 20;

static DEFAULT: OnceLock<Runtime> = OnceLock::new();

/// Whoever starts it first decides; it is never dropped.
fn default_runtime() -> &'static Runtime {
    match started(Config::from_env) {
        Ok(runtime) => runtime,
        Err(error) => panic!("raddle cannot start: {error}"),
    }
}

/// The default runtime, started with this configuration if it has not yet.
fn started(config: impl FnOnce() -> Result<Config, ConfigError>) -> io::Result<&'static Runtime> {
    static STARTING: Mutex<()> = Mutex::new(());
    if let Some(runtime) = DEFAULT.get() {
        return Ok(runtime);
    }
    // Whoever failed to start it has left nothing half done.
    let _one = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(runtime) = DEFAULT.get() {
        return Ok(runtime);
    }
    let runtime = Builder::of_config(config()).build()?;
    Ok(DEFAULT.get_or_init(|| runtime))
}

/// The default runtime's scheduler, which starts if it has not yet.
pub(crate) fn default_scheduler() -> &'static Scheduler {
    default_runtime().scheduler()
}

/// As `default_scheduler`, for calls that can say why it does not start.
pub(crate) fn try_default_scheduler() -> io::Result<&'static Scheduler> {
    started(Config::from_env).map(Runtime::scheduler)
}

/// The default runtime's scheduler, if it has started.
pub(crate) fn started_default() -> Option<&'static Scheduler> {
    DEFAULT.get().map(Runtime::scheduler)
}

/// Runs `f` with the scheduler that a spawn here goes to. `f` must not park.
#[inline]
pub(crate) fn with_scheduler<R>(f: impl FnOnce(&Scheduler) -> R) -> R {
    with_callers_scheduler(|callers| match callers {
        Some(scheduler) => f(scheduler),
        None => f(default_scheduler()),
    })
}

/// As `with_scheduler`, for timers: on a helper those of the default one. Its
/// caller's may be ending, and waits for the helper, which may wait for the
/// timer.
pub(crate) fn with_timer_scheduler<R>(f: impl FnOnce(&Scheduler) -> R) -> R {
    with_current_scheduler(|current| match current {
        Some(scheduler) => f(scheduler),
        None => f(default_scheduler()),
    })
}

/// Runs `f` as a goroutine of the default runtime and gives what it returns.
/// The default runtime starts with the first call and stays.
///
/// # Blocking
/// Until `f` returns: on a plain OS thread the thread blocks, in a goroutine
/// it parks.
///
/// # Panics
/// As `f` does, with the same payload; the runtime stays usable. Also when
/// `f` calls [`goexit`](crate::goexit), for then there is nothing to return,
/// and when the default runtime cannot start (see [`spawn`](crate::spawn)).
///
/// # Examples
/// ```
/// let mut count = 0;
/// raddle::run(|| count += 1);
/// assert_eq!(count, 1);
/// ```
///
/// # Go
/// `func main`, for a part of a program.
#[track_caller]
pub fn run<F, T>(f: F) -> T
where
    F: FnOnce() -> T + Send,
    T: Send,
{
    run_on(default_runtime().scheduler(), Location::caller(), f)
}

pub(crate) fn run_on<F, T>(scheduler: &Scheduler, site: &'static Location<'static>, f: F) -> T
where
    F: FnOnce() -> T + Send,
    T: Send,
{
    // SAFETY: 1. by the bounds. 2. `join_firmly` below does not return, and
    // does not unwind, before the end. 3. the caller borrows it.
    let spawned = unsafe {
        scheduler::spawn_opt(scheduler, site, main_options(scheduler), f, |_panicked| {})
    };
    let join = match spawned {
        Ok(join) => join,
        Err(error) => panic!("raddle::run: {error}"),
    };
    match join.join_firmly() {
        Ok(value) => value,
        Err(payload) if payload.is::<Goexit>() => {
            panic!("the closure of raddle::run called goexit, so it returned nothing")
        }
        Err(payload) => scheduler::resume(payload),
    }
}

pub(crate) fn main_options(scheduler: &Scheduler) -> Options {
    let mut options = Options::default();
    options.name("main".into());
    options.stack_size(scheduler.stack_size().max(MAIN_STACK));
    options
}

/// `#[raddle::main]`.
#[track_caller]
pub fn main<F, T>(f: F) -> !
where
    F: FnOnce() -> T + Send + 'static,
    T: Termination,
{
    start_main(Config::from_env(), f)
}

/// `#[raddle::main(unsafe(migrate))]`.
///
/// # Safety
/// 1. The contract of [`Builder::migrate`].
#[track_caller]
pub unsafe fn main_migrate<F, T>(f: F) -> !
where
    F: FnOnce() -> T + Send + 'static,
    T: Termination,
{
    let config = Config::from_env().map(|config| Config {
        migrate: true,
        ..config
    });
    start_main(config, f)
}

#[track_caller]
fn start_main<F, T>(config: Result<Config, ConfigError>, f: F) -> !
where
    F: FnOnce() -> T + Send + 'static,
    T: Termination,
{
    let site = Location::caller();
    let migrate = config.as_ref().is_ok_and(|config| config.migrate);
    let runtime = match started(|| config) {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("raddle cannot start: {error}");
            exit(1);
        }
    };
    let scheduler = runtime.scheduler();
    if scheduler.is_migrating() != migrate {
        eprintln!(
            "raddle cannot start main: the default runtime was started before it, in another mode"
        );
        exit(1);
    }
    let body = move || exit(number_of(f().report()));
    runtime
        .inner()
        .run_here(site, main_options(scheduler), body, |panicked| {
            if panicked {
                exit(101);
            }
            // Main called goexit: the others go on, until they sleep for
            // ever or there are none left.
            scheduler::note_main_goexit();
        })
}

/// The status in a code: std tells it nobody, but compares.
fn number_of(code: ExitCode) -> i32 {
    (0..=u8::MAX)
        .find(|number| ExitCode::from(*number) == code)
        .map_or(1, i32::from)
}
