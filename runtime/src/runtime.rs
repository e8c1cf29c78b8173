//! Runtimes: the default one's numbers, and runtimes of one's own.
//!
//! The default runtime needs no set-up. The environment tunes it, read once
//! when it starts; a bad value is an error that names the variable, the value
//! and what is accepted:
//!
//! | variable | accepted | default |
//! |---|---|---|
//! | `RADDLE_MAXPROCS` | a positive integer up to 1024 | as many as CPUs |
//! | `RADDLE_STACK_SIZE` | `64k`, `1m`, bytes; 32k to 1024m | 256k reserved |
//! | `RADDLE_PANIC` | `isolate`, `abort` | `isolate` |
//! | `RADDLE_DEBUG` | `key=value,...`: `stuck=20ms`, `schedtrace=1000`, `lockcheck=1` (see [`Builder::lock_check`]) | |
//! | `RADDLE_TRACE` | a file to write | |

use crate::go::{JoinHandle, spawn_on};
use crate::start::{run_on, started_default, with_scheduler};
use crate::sync::look_for_lock_cycles;
use raddle_scheduler::config::{Config, ConfigError};
use raddle_scheduler::{self as scheduler, Scheduler, with_callers_scheduler};
use std::fmt;
use std::io;
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::time::Duration;

pub use raddle_scheduler::Report;
pub use raddle_scheduler::config::{OnDeadlock, PanicPolicy, num_cpus};

/// How many goroutines run at the same time at most: the processors of the
/// calling goroutine's runtime, else of the default one.
///
/// # Blocking
/// Never.
///
/// # Go
/// `runtime.GOMAXPROCS(0)`.
#[must_use]
pub fn max_procs() -> usize {
    with_scheduler(Scheduler::max_procs)
}

/// Changes the number of processors while goroutines run, and returns what
/// it was. Nobody is stopped for it: machines beyond the new number give up
/// at their next turn.
///
/// # Blocking
/// Never.
///
/// # Panics
/// When `n` is 0 or above 1024.
///
/// # Examples
/// ```
/// raddle::run(|| {
///     let before = raddle::runtime::set_max_procs(4);
///     assert_eq!(raddle::runtime::set_max_procs(before), 4);
/// });
/// ```
///
/// # Go
/// `runtime.GOMAXPROCS(n)`, which stops the world.
pub fn set_max_procs(n: usize) -> usize {
    let config = Config {
        max_procs: Some(n),
        ..Config::default()
    };
    if let Err(error) = config.check() {
        panic!("set_max_procs: {error}");
    }
    with_scheduler(|scheduler| scheduler.set_max_procs(n))
}

/// How many goroutines are alive in the calling goroutine's runtime, else in
/// the default one: main included, the runtime's own helpers not.
///
/// # Blocking
/// Never for long; it may yield when it is called in a loop that keeps others
/// of its thread waiting for 100 ms.
///
/// # Go
/// `runtime.NumGoroutine`.
#[must_use]
pub fn num_goroutines() -> usize {
    scheduler::look_point();
    with_callers_scheduler(|callers| {
        let scheduler = callers.or(started_default());
        scheduler.map_or(0, Scheduler::num_goroutines)
    })
}

/// What a runtime is to be. Starts from the environment; what is set here
/// wins.
///
/// # Blocking
/// Never; what is set takes effect with [`build`](Builder::build).
///
/// # Examples
/// ```
/// let runtime = raddle::runtime::Builder::new().max_procs(2).build()?;
/// assert_eq!(runtime.run(raddle::runtime::max_procs), 2);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Go
/// None: there is one runtime a process.
#[derive(Clone, Debug)]
#[must_use = "a builder starts nothing by itself"]
pub struct Builder {
    config: Result<Config, ConfigError>,
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

impl Builder {
    /// What the environment says, and defaults.
    pub fn new() -> Self {
        Self::of_config(Config::from_env())
    }

    pub(crate) fn of_config(config: Result<Config, ConfigError>) -> Self {
        Self { config }
    }

    fn set(mut self, set: impl FnOnce(&mut Config)) -> Self {
        if let Ok(config) = &mut self.config {
            set(config);
        }
        self
    }

    /// The number of processors, 1 to 1024.
    pub fn max_procs(self, n: usize) -> Self {
        self.set(|config| config.max_procs = Some(n))
    }

    /// The stack size in bytes of goroutines that do not ask for another:
    /// whole KiB, from 32 KiB to 1 GiB.
    pub fn stack_size(self, bytes: usize) -> Self {
        self.set(|config| config.stack_size = Some(bytes))
    }

    /// What a panic that leaves a goroutine does.
    pub fn panic_policy(self, policy: PanicPolicy) -> Self {
        self.set(|config| config.panic = policy)
    }

    /// What happens when all goroutines of the process are asleep for ever
    /// and this runtime has some of them. `Exit(2)` if not set, as in the
    /// default runtime: the proof covers the whole process, so no part of the
    /// program could go on.
    ///
    /// # Examples
    /// ```
    /// use raddle::runtime::{Builder, OnDeadlock::*, Report};
    ///
    /// fn tell(report: &Report) {
    ///     eprint!("{report}");
    /// }
    ///
    /// let runtime = Builder::new().on_deadlock(Hook(tell)).build()?;
    /// # drop(runtime);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn on_deadlock(self, policy: OnDeadlock) -> Self {
        self.set(|config| config.deadlock = policy)
    }

    /// Whether to look for goroutines that wait for each other's locks, each
    /// for one that the next holds. Such a cycle is found when it forms; when
    /// it has stood for half a second it is reported, with the place where
    /// each lock was taken and is waited for, and then
    /// [`on_deadlock`](Builder::on_deadlock) says what happens, while other
    /// goroutines may still go on. The locks are those of
    /// [`sync`](crate::sync): `Mutex`, `RwLock`, `ReentrantMutex`.
    ///
    /// On in debug builds if nothing is said, by `RADDLE_DEBUG=lockcheck=1`
    /// in others, and off by `lockcheck=0`. It makes goroutines here, and
    /// threads, note each lock they take. `docs/lock-cycles.md` has the
    /// details.
    pub fn lock_check(self, is_on: bool) -> Self {
        self.set(|config| config.debug.lockcheck = Some(is_on))
    }

    /// How many OS threads run goroutines at most, stuck ones included; and as
    /// many more make calls of [`blocking`](crate::blocking) for goroutines
    /// that have a home. What is beyond that waits for one of them. 10,000 if
    /// nothing is said.
    ///
    /// Threads are used again. One that has been idle for ten seconds ends, if
    /// there are more than [`max_procs`](Self::max_procs) and no goroutine is
    /// at home there.
    pub fn max_threads(self, n: usize) -> Self {
        self.set(|config| config.max_threads = n)
    }

    /// Go's scheduling: a goroutine may wake on another OS thread than it
    /// slept on, and a stuck thread holds up nobody.
    ///
    /// # Safety
    /// 1. No code run by a goroutine of this runtime keeps, across a call
    ///    that can park, a value that is not `Send` or a reference into a
    ///    thread-local.
    /// 2. No function body, after inlining, touches the same thread-local
    ///    before and after such a call: the compiler reuses its address.
    ///
    /// Code that cannot promise this runs under [`pin`](crate::pin), or for
    /// 2. behind `#[inline(never)]`. The promise covers everything linked
    /// into the program that goroutines call, so it is for the program to
    /// make and not for a library.
    #[allow(unsafe_code, reason = "a promise to ask for, nothing done")]
    pub unsafe fn migrate(self) -> Self {
        self.set(|config| config.migrate = true)
    }

    /// Starts the runtime.
    ///
    /// # Blocking
    /// Never; it starts a thread.
    ///
    /// # Errors
    /// A setting, or a `RADDLE_` variable, that is not accepted
    /// (`InvalidInput`); a thread or descriptor that the system refuses.
    pub fn build(self) -> io::Result<Runtime> {
        let invalid = |error| io::Error::new(io::ErrorKind::InvalidInput, error);
        let config = self.config.map_err(invalid)?;
        config.check().map_err(invalid)?;
        if config.checks_locks() {
            look_for_lock_cycles();
        }
        scheduler::Runtime::new(config).map(|inner| Runtime { inner })
    }
}

/// A runtime of one's own: machines and goroutines apart from the default
/// runtime's.
///
/// Dropping it ends its goroutines: those that wait are woken and unwound, so
/// their destructors run; the drop waits for them, and after a second says
/// on stderr whom it waits for. A goroutine in a loop or a blocking call
/// cannot be ended: see [`Runtime::shutdown_timeout`].
///
/// # Blocking
/// Dropping it parks, as said above; on a plain OS thread it blocks the thread.
///
/// # Panics
/// When dropped by one of its own goroutines, which it would wait for.
///
/// # Go
/// None: there is one runtime a process, and it ends with `main`.
pub struct Runtime {
    inner: scheduler::Runtime,
}

// A panic ends its goroutine alone.
impl UnwindSafe for Runtime {}
impl RefUnwindSafe for Runtime {}

impl Runtime {
    /// A runtime as the environment says.
    ///
    /// # Blocking
    /// As [`Builder::build`].
    ///
    /// # Errors
    /// As [`Builder::build`].
    pub fn new() -> io::Result<Self> {
        Builder::new().build()
    }

    pub(crate) fn inner(&self) -> &scheduler::Runtime {
        &self.inner
    }

    pub(crate) fn scheduler(&self) -> &Scheduler {
        self.inner.scheduler()
    }

    /// Runs `f` as a goroutine here and gives what it returns.
    ///
    /// # Blocking
    /// Until `f` returns.
    ///
    /// # Panics
    /// As [`run`](crate::run).
    #[track_caller]
    pub fn run<F, T>(&self, f: F) -> T
    where
        F: FnOnce() -> T + Send,
        T: Send,
    {
        run_on(self.scheduler(), Location::caller(), f)
    }

    /// Runs `f` in a new goroutine here.
    ///
    /// # Blocking
    /// Never.
    #[track_caller]
    pub fn spawn<F, T>(&self, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        spawn_on(self.scheduler(), Location::caller(), f)
    }

    /// As dropping it, but waits no longer than `grace`, and returns how many
    /// goroutines are left. Those are leaked with their threads.
    ///
    /// # Blocking
    /// For `grace` at most.
    ///
    /// # Panics
    /// When called by one of its own goroutines.
    pub fn shutdown_timeout(self, grace: Duration) -> usize {
        self.inner.shut_down(Some(grace))
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("max_procs", &self.scheduler().max_procs())
            .field("goroutines", &self.scheduler().num_goroutines())
            .finish_non_exhaustive()
    }
}
