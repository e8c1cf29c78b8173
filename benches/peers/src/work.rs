//! What tasks compute.

use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// `fork_join` spawns for arguments above this.
pub const CUTOFF: u64 = 5;

/// Fibonacci's numbers, by the book.
pub fn fib(n: u64) -> u64 {
    if n < 2 { n } else { fib(n - 1) + fib(n - 2) }
}

/// How many tasks `fork_join` spawns for `n`.
pub fn fork_join_tasks(n: u64) -> u64 {
    if n <= CUTOFF {
        0
    } else {
        1 + fork_join_tasks(n - 1) + fork_join_tasks(n - 2)
    }
}

/// How long task after task of `sleep_many` sleeps: 1 to 100 ms.
pub fn sleeps() -> impl Iterator<Item = Duration> {
    let mut x = 42_u64;
    std::iter::repeat_with(move || {
        x = x
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        Duration::from_millis(1 + (x >> 33) % 100)
    })
}

/// Arithmetic for about a given time: no clock, call or yield inside.
#[derive(Clone, Copy)]
pub struct Hog {
    times: u64,
}

impl Hog {
    /// How many rounds of arithmetic take `wanted`: tried beforehand.
    pub fn of(wanted: Duration) -> Self {
        const TRIED: u64 = 10_000_000;
        let trials = (0..15).map(|_| {
            let start = Instant::now();
            Self { times: TRIED }.run();
            start.elapsed()
        });
        let best = trials.min().unwrap_or_default();
        Self {
            times: (TRIED as f64 * wanted.as_secs_f64() / best.as_secs_f64()) as u64,
        }
    }

    /// Computes; when it was done.
    pub fn run(self) -> Instant {
        black_box(xorshift(black_box(88_172_645_463_325_252), self.times));
        Instant::now()
    }
}

#[inline(never)]
fn xorshift(mut x: u64, times: u64) -> u64 {
    for _ in 0..times {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    }
    x
}

/// What buffered channels hold.
pub const CAPACITY: usize = 128;

/// How many producers, and how many consumers, share one channel in
/// `chan_mpmc_buf`; how many producers `select_fanin` has.
pub const CROWD: u64 = 4;

/// How many tasks want the one lock of `mutex_contended`.
pub const CONTENDERS: u64 = 8;

/// How many permits the `semaphore` has.
pub const PERMITS: usize = 2;

/// Who holds permits: never more than there are.
#[derive(Default)]
pub struct Inside(AtomicUsize);

impl Inside {
    /// Nobody.
    pub fn new() -> Self {
        Self::default()
    }

    /// One more.
    pub fn enter(&self) {
        assert!(self.0.fetch_add(1, Relaxed) < PERMITS, "too many");
    }

    /// One less.
    pub fn leave(&self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// How far off the timers are that never fire.
pub const HOUR: Duration = Duration::from_secs(3600);

/// How often each timer of `timers_reset` is set anew.
pub const RESETS: u64 = 10;

/// How many tasks stand in the `ring`.
pub const RING: u64 = 1000;

/// How many workers `worker_pool` has.
pub const WORKERS: u64 = 64;

/// How many children a node of `skynet` has.
pub const CHILDREN: u64 = 10;

/// How many leaves each tree of `skynet_10k` has.
pub const SMALL_TREE: u64 = 10_000;

/// 0 + 1 + ... up to `n`, without it: what all messages together should be.
pub fn sum_below(n: u64) -> u64 {
    n * n.saturating_sub(1) / 2
}

/// The `n`th prime: 2 is the first.
pub fn nth_prime(n: u64) -> u64 {
    let mut primes: Vec<u64> = Vec::with_capacity(n as usize);
    let mut candidates = 2..;
    while (primes.len() as u64) < n {
        let candidate = candidates.next().expect("there is always another");
        let mut small = primes
            .iter()
            .take_while(|prime| *prime * *prime <= candidate);
        if small.all(|prime| candidate % prime != 0) {
            primes.push(candidate);
        }
    }
    primes.last().copied().expect("n is at least 1")
}
