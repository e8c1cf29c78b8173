//! Goroutines that are alive and should have ended.

use raddle_scheduler::{
    Dump, Scheduler, clock, current, dump, num_goroutines_of_all, with_current_scheduler,
};
use std::error::Error;
use std::fmt;
use std::time::Duration;

/// What is about to end gets so long.
const GRACE: Duration = Duration::from_millis(500);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(1);

/// Goroutines that are alive and should not be: `Display` names each, with
/// what it waits for, where it was spawned and its stack.
///
/// # Blocking
/// Never, nor do its methods.
///
/// # Go
/// None in the standard library.
#[derive(Clone, Debug)]
pub struct LeakReport {
    dump: Dump,
}

impl LeakReport {
    /// The goroutines.
    ///
    /// # Blocking
    /// Never.
    #[must_use]
    pub fn dump(&self) -> &Dump {
        &self.dump
    }
}

impl fmt::Display for LeakReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.dump.len() {
            1 => writeln!(f, "1 goroutine is alive that should have ended:\n")?,
            n => writeln!(f, "{n} goroutines are alive that should have ended:\n")?,
        }
        self.dump.fmt(f)
    }
}

impl Error for LeakReport {}

/// Whether the caller is the last goroutine: looks for half a second, until
/// all others have ended.
///
/// A goroutine asks about its own runtime, other runtimes of the process
/// being none of its business; a plain OS thread asks about all of them. The
/// main goroutine counts, and so does whoever waits for the caller. A timer
/// that is to start a goroutine does not count before it has.
///
/// Nobody is ended by it.
///
/// # Blocking
/// Parks for half a second at most; on a plain OS thread it blocks the
/// thread.
///
/// # Errors
/// Others are alive after that: the report names each.
///
/// # Examples
/// ```
/// use raddle::{chan, go, observe};
///
/// raddle::run(|| {
///     let (open, inbox) = chan::bounded::<()>(0);
///     let waits = go!(move || inbox.recv().is_err());
///
///     let report = observe::verify_no_leaks().unwrap_err().to_string();
///     assert!(report.starts_with("1 goroutine is alive that should have ended"));
///     assert!(report.contains("[chan receive"), "{report}");
///
///     drop(open);
///     waits.join().unwrap();
///     observe::verify_no_leaks()?;
///     Ok::<(), observe::LeakReport>(())
/// })?;
/// # Ok::<(), observe::LeakReport>(())
/// ```
///
/// # Go
/// None in the standard library; goleak's `VerifyNone` is known.
pub fn verify_no_leaks() -> Result<(), LeakReport> {
    let me = current().id();
    let is_goroutine = with_current_scheduler(|current| current.is_some());
    let count = || with_current_scheduler(|current| current.map(Scheduler::num_goroutines));
    let list = || with_current_scheduler(|current| current.map(Scheduler::dump));
    judge(
        || count().unwrap_or_else(num_goroutines_of_all) <= usize::from(is_goroutine),
        || crate::time::sleep(PAUSE),
        || list().unwrap_or_else(dump).without(me),
    )
}

/// As [`verify_no_leaks`], about `scheduler`, by a plain OS thread.
pub(crate) fn left_behind(scheduler: &Scheduler) -> Result<(), LeakReport> {
    judge(
        || scheduler.num_goroutines() == 0,
        || std::thread::sleep(PAUSE),
        || scheduler.dump(),
    )
}

fn judge(
    is_alone: impl Fn() -> bool,
    pause: impl Fn(),
    others: impl Fn() -> Dump,
) -> Result<(), LeakReport> {
    let end = clock::after(GRACE);
    loop {
        if is_alone() {
            return Ok(());
        }
        // Those that have ended by the count may be listed a moment longer.
        if clock::now() >= end {
            let dump = others();
            if !is_alone() && !dump.is_empty() {
                return Err(LeakReport { dump });
            }
        }
        pause();
    }
}
