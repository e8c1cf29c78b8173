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

/// The last moment there is, in some 584 years. `u64::MAX` is none: who waits
/// until then has no time limit, and nothing will wake it.
const LAST: u64 = u64::MAX - 1;

/// The moment `timeout` from now; the last one when that is too far.
#[must_use]
pub fn after(timeout: Duration) -> u64 {
    since(now(), timeout)
}

/// The moment `timeout` from `begin`; the last one when that is too far.
#[must_use]
pub fn since(begin: u64, timeout: Duration) -> u64 {
    begin.saturating_add(nanos(timeout)).min(LAST)
}

/// The moment `instant`; now, if that is past, and the last one when it is
/// too far.
#[must_use]
pub fn at(instant: Instant) -> u64 {
    nanos(instant.saturating_duration_since(start())).min(LAST)
}

/// Sleeps shorter than this end when they should; in nanoseconds.
const EXACT: u64 = 1_000_000;
/// Longer ones may last longer by this part of them,
const LATE_PART: u64 = 64;
/// but by no more than this, in nanoseconds: a power of two.
const LATE_MOST: u64 = 1 << 19;

/// When a sleep from `now` to `deadline` ends: at one moment with others that
/// last about as long and end about then. For a machine that sleeps between
/// two of them pays 20 µs for it.
pub(crate) fn rounded_up(deadline: u64, now: u64) -> u64 {
    let lasts = deadline.saturating_sub(now);
    if lasts < EXACT {
        return deadline;
    }
    // A power of two, so that the moments of shorter sleeps are those of
    // longer ones too.
    let step = (1 << (lasts / LATE_PART).ilog2()).min(LATE_MOST);
    deadline.checked_next_multiple_of(step).unwrap_or(deadline)
}

/// The instant at which [`now`] says `ns`.
#[must_use]
pub fn instant(ns: u64) -> Instant {
    start() + Duration::from_nanos(ns)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{EXACT, LAST, LATE_MOST, LATE_PART, after, rounded_up};
    use proptest::prelude::*;
    use std::time::Duration;

    proptest! {
        #[test]
        fn a_sleep_is_late_by_a_small_part_at_most(
            now in 0..u64::MAX / 2,
            lasts in prop_oneof![0..3 * EXACT, 0..u64::MAX / 2],
        ) {
            let late = rounded_up(now + lasts, now) - (now + lasts);
            prop_assert!(late <= (lasts / LATE_PART).min(LATE_MOST));
            prop_assert!(late == 0 || lasts >= EXACT);
        }
    }

    #[test]
    fn sleeps_end_together() {
        let ends = (0..1000).map(|n| rounded_up(50_000_000 + n * 1000, n * 1000));
        let mut ends: Vec<u64> = ends.collect();
        ends.dedup();
        assert!(ends.len() <= 3, "{ends:?}");
    }

    #[test]
    fn the_last_moment_is_one() {
        assert_eq!(after(Duration::MAX), LAST);
        assert_eq!(rounded_up(LAST, 7), LAST);
    }
}
