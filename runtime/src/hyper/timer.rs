//! hyper's timeouts.

use crate::time::Alarm;
use raddle_scheduler::clock;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// raddle's clock, for hyper's timeouts: hyper-util's `TokioTimer`.
///
/// # Blocking
/// Never.
///
/// # Examples
/// ```
/// use hyper::rt::Timer as _;
/// use raddle::block_on;
/// use raddle::hyper::Timer;
/// use std::time::{Duration, Instant};
///
/// let begin = Instant::now();
/// block_on(Timer.sleep(Duration::from_millis(2)));
/// assert!(begin.elapsed() >= Duration::from_millis(2));
/// ```
///
/// # Go
/// None: `http.Server` has timeouts of its own.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timer;

/// A future of [`Timer`]'s, which ends when its time has come.
///
/// # Blocking
/// Never: a poll that has to wait says so.
///
/// # Go
/// None.
pub struct Sleep {
    until: u64,
    alarm: Alarm,
}

impl Sleep {
    fn new(until: u64) -> Pin<Box<Self>> {
        Box::pin(Self {
            until,
            alarm: Alarm::new(),
        })
    }
}

impl ::hyper::rt::Timer for Timer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn ::hyper::rt::Sleep>> {
        Sleep::new(clock::after(duration))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn ::hyper::rt::Sleep>> {
        Sleep::new(clock::at(deadline))
    }

    /// Puts it off, or makes it earlier; it is polled afterwards.
    fn reset(&self, sleep: &mut Pin<Box<dyn ::hyper::rt::Sleep>>, new_deadline: Instant) {
        match sleep.as_mut().downcast_mut_pin::<Sleep>() {
            Some(mut sleep) => sleep.until = clock::at(new_deadline),
            None => *sleep = self.sleep_until(new_deadline),
        }
    }
}

impl ::hyper::rt::Sleep for Sleep {}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let until = self.until;
        if self.alarm.is_past(until, context.waker()) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep").finish_non_exhaustive()
    }
}
