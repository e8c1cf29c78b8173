//! Timers and tickers, which can be stopped and set anew.

use crate::chan::{Receiver, never};
use crate::go::spawn_on;
use crate::start::with_timer_scheduler;
use crate::sync::Mutex;
use raddle_chan::__private::Timer as Channel;
use raddle_scheduler::{Later, clock};
use std::fmt;
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One event in the future: a message in its channel, or a call.
///
/// Nothing stale is left after [`stop`](Timer::stop) or
/// [`reset`](Timer::reset): once they return, no receive gives a message of
/// the time before. A timer that is dropped goes on: receivers that were
/// cloned out of it get their message, and its function is called.
///
/// # Blocking
/// Receiving from [`chan`](Timer::chan) parks; all else never blocks. A timer
/// with a function that is made, or set, on a plain OS thread, when no
/// goroutine has run yet, waits for the first thread of the runtime.
///
/// # Examples
/// ```
/// use raddle::{select, time::Timer};
/// use std::time::Duration;
///
/// raddle::run(|| {
///     let timer = Timer::new(Duration::from_secs(3600));
///     assert!(timer.reset(Duration::from_millis(1)), "it was to come");
///     select! {
///         recv(timer.chan()) -> when => assert!(when.is_ok()),
///     }
///     assert!(!timer.stop(), "it has come");
/// });
/// ```
///
/// # Go
/// `time.Timer`, as of Go 1.23; `chan()` is its field `C`, nil with
/// `AfterFunc`.
pub struct Timer {
    kind: Kind,
}

enum Kind {
    Channel(Channel),
    Call(Arc<Later>),
}

static NOTHING: Receiver<Instant> = never();

// Locks are held for a few instructions of ours, which do not panic.
impl UnwindSafe for Timer {}
impl RefUnwindSafe for Timer {}
impl UnwindSafe for Ticker {}
impl RefUnwindSafe for Ticker {}

impl Timer {
    /// One whose channel gives a message, the time, after `duration`.
    ///
    /// # Blocking
    /// Never.
    ///
    /// # Go
    /// `time.NewTimer`.
    #[must_use]
    pub fn new(duration: Duration) -> Self {
        let kind = Kind::Channel(Channel::new(clock::after(duration), None));
        Self { kind }
    }

    /// One that calls `f` after `duration`, in a goroutine of its own, which
    /// does not exist before. Each [`reset`](Timer::reset) makes for one more
    /// call; two calls do not overlap, the later waits.
    ///
    /// The goroutines are of the runtime in which it was made. When that has
    /// ended, `f` is not called any more, and `stop` and `reset` do nothing and
    /// give false.
    ///
    /// # Blocking
    /// Never, but see [`Timer`].
    ///
    /// # Examples
    /// ```
    /// use raddle::{chan::bounded, time::Timer};
    /// use std::time::Duration;
    ///
    /// raddle::run(|| {
    ///     let (sender, calls) = bounded(1);
    ///     let call = move || sender.send("called").unwrap();
    ///     let _timer = Timer::after_func(Duration::from_millis(1), call);
    ///     assert_eq!(calls.recv(), Ok("called"));
    /// });
    /// ```
    ///
    /// # Go
    /// `time.AfterFunc`; calls may overlap there.
    #[track_caller]
    pub fn after_func<F>(duration: Duration, f: F) -> Self
    where
        F: FnMut() + Send + 'static,
    {
        let site = Location::caller();
        let f = Mutex::new(f);
        let later = with_timer_scheduler(|scheduler| {
            let f = Arc::new(f);
            Later::new(scheduler, move |scheduler, later| {
                let f = f.clone();
                spawn_on(scheduler, site, move || {
                    // Goes with the goroutine, and what it owns with it.
                    let _later = later;
                    let mut f = f.lock();
                    (*f)();
                });
            })
        });
        later.set(clock::after(duration));
        Self {
            kind: Kind::Call(later),
        }
    }

    /// Keeps it from firing. Whether it was to, or had fired and its message
    /// was not received: so, for a timer with a channel, whether there would
    /// have been a message.
    ///
    /// # Blocking
    /// Never; a call of its function that has begun is not waited for.
    ///
    /// # Go
    /// `Timer.Stop`.
    pub fn stop(&self) -> bool {
        match &self.kind {
            Kind::Channel(channel) => channel.stop(),
            Kind::Call(later) => later.cancel(),
        }
    }

    /// Makes it fire after `duration` from now, and not before. What
    /// [`stop`](Timer::stop) would have returned.
    ///
    /// # Blocking
    /// As `stop`.
    ///
    /// # Go
    /// `Timer.Reset`.
    pub fn reset(&self, duration: Duration) -> bool {
        let next = clock::after(duration);
        match &self.kind {
            Kind::Channel(channel) => channel.set(next, None),
            Kind::Call(later) => later.set(next),
        }
    }

    /// Where its message comes out: the time at which it fired. It holds
    /// none, so its length and capacity are 0. A timer with a function never
    /// sends.
    ///
    /// # Blocking
    /// Never; receiving from it does.
    ///
    /// # Go
    /// The field `C`.
    #[must_use]
    pub fn chan(&self) -> &Receiver<Instant> {
        match &self.kind {
            Kind::Channel(channel) => channel.receiver(),
            Kind::Call(_) => &NOTHING,
        }
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Timer { .. }")
    }
}

/// Calls `f` after `duration`: [`Timer::after_func`].
///
/// # Blocking
/// As there.
///
/// # Go
/// `time.AfterFunc`.
#[track_caller]
pub fn after_func<F>(duration: Duration, f: F) -> Timer
where
    F: FnMut() + Send + 'static,
{
    Timer::after_func(duration, f)
}

/// A message, the time, again and again.
///
/// It keeps step: the n-th moment is n periods after the begin, however late
/// receivers are. Moments that a receiver is too late for are left out, all
/// but the first.
///
/// # Blocking
/// Receiving from [`chan`](Ticker::chan) parks; all else never blocks.
///
/// # Examples
/// ```
/// use raddle::time::Ticker;
/// use std::time::{Duration, Instant};
///
/// raddle::run(|| {
///     let begin = Instant::now();
///     let ticker = Ticker::new(Duration::from_millis(1));
///     for _ in 0..3 {
///         ticker.chan().recv().unwrap();
///     }
///     assert!(begin.elapsed() >= Duration::from_millis(3));
///     ticker.stop();
///     assert!(ticker.chan().try_recv().is_err());
/// });
/// ```
///
/// # Go
/// `time.Ticker`, as of Go 1.23; `chan()` is its field `C`.
pub struct Ticker {
    channel: Channel,
}

impl Ticker {
    /// One that ticks each `period`, first in `period` from now.
    ///
    /// # Blocking
    /// Never.
    ///
    /// # Panics
    /// "non-positive interval", for a period of zero.
    ///
    /// # Go
    /// `time.NewTicker`.
    #[must_use]
    #[track_caller]
    pub fn new(period: Duration) -> Self {
        Self {
            channel: Channel::new(clock::after(period), Some(nanos(period))),
        }
    }

    /// No tick comes any more, also none that was due. It does not close the
    /// channel, so a receiver does not take it for a tick.
    ///
    /// # Blocking
    /// Never.
    ///
    /// # Go
    /// `Ticker.Stop`.
    pub fn stop(&self) {
        self.channel.stop();
    }

    /// Begins anew with `period`, also after a stop.
    ///
    /// # Blocking
    /// Never.
    ///
    /// # Panics
    /// "non-positive interval", for a period of zero.
    ///
    /// # Go
    /// `Ticker.Reset`.
    #[track_caller]
    pub fn reset(&self, period: Duration) {
        self.channel.set(clock::after(period), Some(nanos(period)));
    }

    /// Where the ticks come out: the times at which they were due. It holds
    /// none, so its length and capacity are 0.
    ///
    /// # Blocking
    /// Never; receiving from it does.
    ///
    /// # Go
    /// The field `C`.
    #[must_use]
    pub fn chan(&self) -> &Receiver<Instant> {
        self.channel.receiver()
    }
}

#[track_caller]
fn nanos(period: Duration) -> u64 {
    assert!(!period.is_zero(), "non-positive interval");
    u64::try_from(period.as_nanos()).unwrap_or(u64::MAX)
}

impl fmt::Debug for Ticker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Ticker { .. }")
    }
}
