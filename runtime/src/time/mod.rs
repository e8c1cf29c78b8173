//! Time, for goroutines: sleep, timers, tickers.

#[cfg(feature = "hyper")]
mod alarm;
mod timer;

#[cfg(feature = "hyper")]
pub(crate) use alarm::Alarm;
pub use timer::{Ticker, Timer, after_func};

use raddle_scheduler::clock;
use raddle_scheduler::{Reason, Wait};
use std::time::{Duration, Instant};

/// Waits for `duration`, to a resolution well below a millisecond: sleeps of
/// less than one are exact, longer ones may last longer by 1/64 of them, at
/// most about half a millisecond, so that many that end about the same time
/// wake their thread once. Timers, tickers and time limits are exact.
///
/// The longest sleep, and time limit, is some 584 years: what is longer lasts
/// so long. However far the end, who waits for it is not asleep for ever, as
/// far as the deadlock report goes.
///
/// # Blocking
/// Parks the goroutine; on a plain OS thread, blocks the thread. For a
/// duration of zero it returns at once, or yields when the caller's time slice
/// is over.
///
/// # Examples
/// ```
/// use std::time::{Duration, Instant};
///
/// raddle::run(|| {
///     let begin = Instant::now();
///     raddle::time::sleep(Duration::from_micros(200));
///     assert!(begin.elapsed() >= Duration::from_micros(200));
/// });
/// ```
///
/// # Go
/// `time.Sleep`.
pub fn sleep(duration: Duration) {
    if duration.is_zero() {
        return raddle_scheduler::checkpoint();
    }
    let now = clock::now();
    raddle_scheduler::checkpoint();
    let _outcome = Wait::new().sleep(now, clock::since(now, duration));
}

/// Waits until `deadline`, as precisely as [`sleep`].
///
/// # Blocking
/// As [`sleep`]; for a `deadline` that is past as for a duration of zero.
///
/// # Go
/// `time.Sleep(time.Until(t))`.
pub fn sleep_until(deadline: Instant) {
    raddle_scheduler::checkpoint();
    let _outcome = Wait::new().park(Reason::Sleep, Some(clock::at(deadline)));
}
