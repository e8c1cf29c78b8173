//! What `#[raddle::test]` expands to: the body as a goroutine, with a
//! deadline, at chosen processors and in chosen modes, and nobody left behind.

use crate::go::spawn_with;
use crate::observe::left_behind;
use crate::runtime::{Builder, OnDeadlock, Report, Runtime};
use crate::start::main_options;
use std::fmt;
use std::panic::{Location, catch_unwind, resume_unwind};
use std::process::{ExitCode, Termination};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// What stands in the parentheses of the attribute.
#[derive(Clone, Copy, Debug)]
pub struct TestOptions {
    /// Module and name of the function.
    pub name: &'static str,
    /// A run that takes longer has failed.
    pub deadline_ms: u64,
    /// How many processors, run by run; once as the environment says if empty.
    pub procs: &'static [usize],
    /// Whether goroutines may outlive the body.
    pub leaks: bool,
}

/// Goroutines that are left behind get so long to be ended.
const GRACE: Duration = Duration::from_millis(200);

/// `#[raddle::test]`.
#[track_caller]
pub fn test<T: Termination + 'static>(options: TestOptions, body: fn() -> T) -> ExitCode {
    run_all(options, Location::caller(), body, &[("pinned", |b| b)])
}

/// `#[raddle::test(unsafe(migrate))]`: in both modes.
///
/// # Safety
/// 1. The contract of [`Builder::migrate`].
#[track_caller]
#[allow(unsafe_code, reason = "passes the caller's promise on")]
pub unsafe fn test_migrate<T: Termination + 'static>(
    options: TestOptions,
    body: fn() -> T,
) -> ExitCode {
    let migrate: Mode = |builder| {
        // SAFETY: 1. and 2. are the caller's promise.
        unsafe { builder.migrate() }
    };
    let modes = [("pinned", (|b| b) as Mode), ("migrate mode", migrate)];
    run_all(options, Location::caller(), body, &modes)
}

type Mode = fn(Builder) -> Builder;

fn run_all<T: Termination + 'static>(
    options: TestOptions,
    site: &'static Location<'static>,
    body: fn() -> T,
    modes: &[(&'static str, Mode)],
) -> ExitCode {
    let mut last: Option<(ExitCode, Run)> = None;
    for &(mode, set_mode) in modes {
        let as_chosen = options.procs.iter().map(|n| Some(*n));
        let as_the_environment_says = options.procs.is_empty().then_some(None);
        for procs in as_chosen.chain(as_the_environment_says) {
            if let Some((status, run)) = last.take() {
                run.expect_success(status);
            }
            let builder = match procs {
                Some(n) => Builder::new().max_procs(n),
                None => Builder::new(),
            };
            // The test fails by its deadline, and others of the process go on.
            let builder = set_mode(builder).on_deadlock(OnDeadlock::Hook(tell));
            let runtime = match builder.build() {
                Ok(runtime) => runtime,
                Err(error) => panic!("{}: no runtime to run on: {error}", options.name),
            };
            let run = Run {
                options,
                procs: runtime.scheduler().max_procs(),
                mode,
                is_one_of_many: options.procs.len() > 1 || modes.len() > 1,
            };
            last = Some((run.go(site, body, runtime), run));
        }
    }
    // The runner judges the last one.
    last.expect("at least one run").0
}

/// Of goroutines that wait for each other's locks.
fn tell(report: &Report) {
    eprint!("{report}");
}

/// One run of the body.
#[derive(Clone, Copy)]
struct Run {
    options: TestOptions,
    procs: usize,
    mode: &'static str,
    is_one_of_many: bool,
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.procs {
            1 => write!(f, "at 1 processor, {}", self.mode),
            n => write!(f, "at {n} processors, {}", self.mode),
        }
    }
}

impl Run {
    /// On `runtime`. A body that misses its deadline is left behind with its
    /// runtime: it may hold anything.
    fn go<T: Termination + 'static>(
        self,
        site: &'static Location<'static>,
        body: fn() -> T,
        runtime: Runtime,
    ) -> ExitCode {
        let name = self.options.name;
        let (done, outcome) = channel();
        let scheduler = runtime.scheduler();
        let spawned = spawn_with(scheduler, site, main_options(scheduler), move || {
            // What it returns need not be `Send`, so it is reported here. That
            // prints the error that it may be.
            let _nobody_waits = done.send(catch_unwind(|| body().report()));
        });
        let goroutine = match spawned {
            Ok(goroutine) => goroutine,
            Err(error) => panic!("{name}: no goroutine to run in: {error}"),
        };
        let limit = Duration::from_millis(self.options.deadline_ms);
        match outcome.recv_timeout(limit) {
            Ok(Ok(status)) => {
                let _ended = goroutine.join();
                self.judge(status, runtime)
            }
            Ok(Err(payload)) => {
                self.say_which();
                let _left = runtime.shutdown_timeout(GRACE);
                resume_unwind(payload)
            }
            Err(RecvTimeoutError::Timeout) => {
                self.report_hang(&runtime);
                let _left = runtime.shutdown_timeout(GRACE);
                panic!("{name} did not end within {} ms ({self})", limit.as_millis());
            }
            Err(RecvTimeoutError::Disconnected) => panic!("{name}: the body was dropped unrun"),
        }
    }

    /// The body returned, with `status`.
    fn judge(self, status: ExitCode, runtime: Runtime) -> ExitCode {
        if self.options.leaks {
            drop(runtime);
            return status;
        }
        match left_behind(runtime.scheduler()) {
            Ok(()) => {
                drop(runtime);
                status
            }
            Err(leaks) => {
                let _left = runtime.shutdown_timeout(GRACE);
                panic!(
                    "{} left goroutines behind ({self}): {leaks}\n\
                     End and join them before the test does, or allow it by \
                     #[raddle::test(leaks = true)].",
                    self.options.name
                );
            }
        }
    }

    /// Another run follows.
    fn expect_success(self, status: ExitCode) {
        if status != ExitCode::SUCCESS {
            panic!("{} returned a failure ({self})", self.options.name);
        }
    }

    fn say_which(self) {
        if self.is_one_of_many {
            eprintln!("{} failed {self}", self.options.name);
        }
    }

    fn report_hang(self, runtime: &Runtime) {
        eprint!(
            "{} hangs after {} ms ({self}); {} goroutines are alive:\n\n{}",
            self.options.name,
            self.options.deadline_ms,
            runtime.scheduler().num_goroutines(),
            crate::observe::dump(),
        );
    }
}
