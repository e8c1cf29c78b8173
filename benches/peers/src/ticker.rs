//! A task that should wake every millisecond, and how late it was.

use crate::measure::{Outcome, Sorted};
use std::time::{Duration, Instant};

const PERIOD: Duration = Duration::from_millis(1);

/// For this long a runtime may look on before it helps.
const GRACE: Duration = Duration::from_millis(20);

/// What hogs leave to others: the ticker's diary.
///
/// The ticker's task sleeps from now to [`Ticker::next`], writes it down by
/// [`Ticker::woke`], and again. A tick missed is skipped, as with a Go ticker.
pub struct Ticker {
    origin: Instant,
    ticks: Vec<Tick>,
}

struct Tick {
    due: Instant,
    at: Instant,
}

impl Ticker {
    /// Nothing written yet.
    pub fn new() -> Self {
        // Room for more than any workload's ticks: no allocation later.
        Self {
            origin: Instant::now(),
            ticks: Vec::with_capacity(200_000),
        }
    }

    /// The next tick, and how long to sleep until it.
    pub fn next(&self) -> (Instant, Duration) {
        let now = Instant::now();
        let passed = (now - self.origin).as_nanos() / PERIOD.as_nanos();
        let due = self.origin + PERIOD * (passed as u32 + 1);
        (due, due - now)
    }

    /// Writes down that the sleep until `due` has ended.
    pub fn woke(&mut self, due: Instant) {
        self.ticks.push(Tick {
            due,
            at: Instant::now(),
        });
    }

    /// Adds to `outcome`, as of hogs that ran from `start` to `end`:
    /// `ticks_nominal`, `ticks`, `ticks_share`; their lateness `p50_us`,
    /// `p99_us`, `max_us`;
    /// `p99_after_20ms_us` of those due later than that; `longest_gap_ms`
    /// without a tick.
    #[must_use]
    pub fn report(self, start: Instant, end: Instant, outcome: Outcome) -> Outcome {
        let during = |tick: &&Tick| tick.due >= start && tick.at <= end;
        let ticks: Vec<&Tick> = self.ticks.iter().filter(during).collect();
        let settled = ticks.iter().filter(|tick| tick.due >= start + GRACE);
        let settled = Sorted::of(settled.map(|tick| tick.late_ns()).collect());

        let moments = ticks.iter().map(|tick| tick.at).chain([end]);
        let gaps = moments.scan(start, |last, at| Some(at - std::mem::replace(last, at)));
        let longest = gaps.max().unwrap_or_default();

        // The hogs' time, not that of joining them.
        let wall = end - start;
        let nominal = (wall.as_nanos() / PERIOD.as_nanos()) as u64;
        Outcome { wall, ..outcome }
            .with("ticks_nominal", nominal)
            .with("ticks", ticks.len())
            .with("ticks_share", ticks.len() as f64 / nominal as f64)
            .with_percentiles(ticks.iter().map(|tick| tick.late_ns()).collect())
            .with("p99_after_20ms_us", settled.us(0.99))
            .with("longest_gap_ms", longest.as_nanos() as f64 / 1e6)
    }
}

impl Default for Ticker {
    fn default() -> Self {
        Self::new()
    }
}

impl Tick {
    fn late_ns(&self) -> u64 {
        (self.at - self.due).as_nanos() as u64
    }
}
