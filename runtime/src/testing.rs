//! What `#[raddle::test]` expands to: the body as a goroutine, with a
//! deadline, at chosen processors.

use crate::go::spawn_with;
use crate::runtime::{Builder, Runtime};
use crate::start::main_options;
use raddle_scheduler::Scheduler;
use std::panic::{Location, catch_unwind, resume_unwind};
use std::process::Termination;
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
    /// Whether the function was asked to run in migrate mode.
    pub migrate: bool,
}

/// Goroutines that a failed test leaves behind get so long to end.
const GRACE: Duration = Duration::from_millis(200);

/// `#[raddle::test]`.
#[track_caller]
pub fn test<T: Termination + Send + 'static>(options: TestOptions, body: fn() -> T) -> T {
    run_all(options, Location::caller(), body, |builder| builder)
}

/// `#[raddle::test(unsafe(migrate))]`.
///
/// # Safety
/// 1. The contract of [`Builder::migrate`].
#[track_caller]
#[allow(unsafe_code, reason = "passes the caller's promise on")]
pub unsafe fn test_migrate<T: Termination + Send + 'static>(
    options: TestOptions,
    body: fn() -> T,
) -> T {
    run_all(options, Location::caller(), body, |builder| {
        // SAFETY: 1. and 2. are the caller's promise.
        unsafe { builder.migrate() }
    })
}

fn run_all<T: Termination + Send + 'static>(
    options: TestOptions,
    site: &'static Location<'static>,
    body: fn() -> T,
    mode: impl Fn(Builder) -> Builder,
) -> T {
    let builders: Vec<Builder> = match options.procs {
        [] => vec![Builder::new()],
        procs => procs.iter().map(|n| Builder::new().max_procs(*n)).collect(),
    };
    let mut last = None;
    for builder in builders {
        let runtime = match mode(builder).build() {
            Ok(runtime) => runtime,
            Err(error) => panic!("{}: no runtime to run on: {error}", options.name),
        };
        last = Some(run_once(options, site, body, runtime));
    }
    last.expect("at least one run")
}

/// One run on `runtime`. A body that misses its deadline is left behind with
/// its runtime: it may hold anything.
fn run_once<T: Termination + Send + 'static>(
    options: TestOptions,
    site: &'static Location<'static>,
    body: fn() -> T,
    runtime: Runtime,
) -> T {
    let (done, outcome) = channel();
    let procs = runtime.scheduler().max_procs();
    let scheduler = runtime.scheduler();
    let spawned = spawn_with(scheduler, site, main_options(scheduler), move || {
        let _nobody_waits = done.send(catch_unwind(body));
    });
    let goroutine = match spawned {
        Ok(goroutine) => goroutine,
        Err(error) => panic!("{}: no goroutine to run in: {error}", options.name),
    };
    match outcome.recv_timeout(Duration::from_millis(options.deadline_ms)) {
        Ok(Ok(value)) => {
            let _ended = goroutine.join();
            drop(runtime);
            value
        }
        Ok(Err(payload)) => {
            let _left = runtime.shutdown_timeout(GRACE);
            resume_unwind(payload)
        }
        Err(RecvTimeoutError::Timeout) => {
            report_hang(options, procs, runtime.scheduler());
            let _left = runtime.shutdown_timeout(GRACE);
            panic!(
                "{} did not end within {} ms (at {procs} processors)",
                options.name, options.deadline_ms
            );
        }
        Err(RecvTimeoutError::Disconnected) => {
            panic!("{}: the body was dropped unrun", options.name)
        }
    }
}

fn report_hang(options: TestOptions, procs: usize, scheduler: &Scheduler) {
    eprint!(
        "{} hangs after {} ms at {procs} processors; {} goroutines are alive:\n\n{}",
        options.name,
        options.deadline_ms,
        scheduler.num_goroutines(),
        crate::observe::dump(),
    );
}
