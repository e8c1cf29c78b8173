//! A timed region, what came of it, percentiles.

use crate::process;
use serde_json::{Map, Value, json};
use std::time::{Duration, Instant};

/// A timed region, from [`Region::begin`] to [`Region::end`].
pub struct Region {
    cpu: Duration,
    start: Instant,
}

impl Region {
    /// Starts the clocks.
    pub fn begin() -> Self {
        let cpu = process::cpu_time();
        let start = Instant::now();
        Self { cpu, start }
    }

    /// When it began.
    pub fn start(&self) -> Instant {
        self.start
    }

    /// Stops the clocks: `ops` operations were done.
    pub fn end(self, ops: u64) -> Outcome {
        let wall = self.start.elapsed();
        let cpu = process::cpu_time().saturating_sub(self.cpu);
        Outcome {
            ops,
            wall,
            cpu,
            extras: Map::new(),
        }
    }
}

/// What a workload measured.
pub struct Outcome {
    /// How many operations.
    pub ops: u64,
    /// What they took.
    pub wall: Duration,
    /// User and system time of all threads.
    pub cpu: Duration,
    /// Fields that only some workloads have.
    pub extras: Map<String, Value>,
}

impl Outcome {
    /// Adds a field.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.extras.insert(name.into(), value.into());
        self
    }

    /// Adds how many operations a second as field `name`.
    #[must_use]
    pub fn with_rate(self, name: &str) -> Self {
        let rate = self.ops as f64 / self.wall.as_secs_f64();
        self.with(name, rate)
    }

    /// Adds what each of `times` took as field `name`, in milliseconds.
    #[must_use]
    pub fn with_mean_ms(self, name: &str, times: u64) -> Self {
        let mean = self.wall.as_nanos() as f64 / 1e6 / times as f64;
        self.with(name, mean)
    }

    /// Adds of two parts what they took: the first took so long.
    #[must_use]
    pub fn in_two(self, first: &str, took: Duration, second: &str) -> Self {
        let ms = |part: Duration| part.as_nanos() as f64 / 1e6;
        let rest = ms(self.wall.saturating_sub(took));
        self.with(first, ms(took)).with(second, rest)
    }

    /// The spawning of parked tasks (`self`) and their `release` as one:
    /// `spawn_ms`, `release_ms`, and both as the region's time.
    #[must_use]
    pub fn then_release(self, release: Self) -> Self {
        let ms = |part: &Self| part.wall.as_nanos() as f64 / 1e6;
        let (spawn_ms, release_ms) = (ms(&self), ms(&release));
        let whole = Self {
            wall: self.wall + release.wall,
            cpu: self.cpu + release.cpu,
            ..self
        };
        whole
            .with("spawn_ms", spawn_ms)
            .with("release_ms", release_ms)
    }

    /// Adds `p50_us`, `p99_us` and `max_us` of `ns`: null if there are none.
    #[must_use]
    pub fn with_percentiles(self, ns: Vec<u64>) -> Self {
        let sorted = Sorted::of(ns);
        self.with("p50_us", sorted.us(0.50))
            .with("p99_us", sorted.us(0.99))
            .with("max_us", sorted.us(1.0))
    }
}

/// Nanoseconds in order.
pub struct Sorted(Vec<u64>);

impl Sorted {
    /// Sorts them.
    pub fn of(mut ns: Vec<u64>) -> Self {
        ns.sort_unstable();
        Self(ns)
    }

    /// The smallest that at least `share` of them do not exceed, in
    /// microseconds: null if there are none.
    pub fn us(&self, share: f64) -> Value {
        let rank = (self.0.len() as f64 * share).ceil() as usize;
        match self.0.get(rank.saturating_sub(1)) {
            Some(&ns) => json!(ns as f64 / 1e3),
            None => Value::Null,
        }
    }
}

/// Nanoseconds by which a sleep was longer than `asked`.
pub fn overshoot_ns(asked: Duration, slept: Duration) -> u64 {
    slept.saturating_sub(asked).as_nanos() as u64
}
