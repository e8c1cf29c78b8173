//! One monotonic clock, in nanoseconds since the process first asked.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

static START: OnceLock<Instant> = OnceLock::new();

fn start() -> Instant {
    *START.get_or_init(Instant::now)
}

/// Nanoseconds now. About 30 ns a call: not for every turn.
#[must_use]
pub fn now() -> u64 {
    nanos(start().elapsed())
}

/// The moment `timeout` from now; the end of time when that is too far.
#[must_use]
pub fn after(timeout: Duration) -> u64 {
    now().saturating_add(nanos(timeout))
}

/// The moment `instant`; now, if that is past.
#[must_use]
pub fn at(instant: Instant) -> u64 {
    nanos(instant.saturating_duration_since(start()))
}

/// The instant at which [`now`] says `ns`.
#[must_use]
pub fn instant(ns: u64) -> Instant {
    start() + Duration::from_nanos(ns)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
