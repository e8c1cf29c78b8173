//! The workloads by may.
#![allow(unsafe_code, reason = "may's spawn is unsafe")]

mod bounded;
mod channels;
mod patterns;
mod servers;

use may::coroutine::{self, Builder, JoinHandle};
use may::sync::{SyncFlag, mpmc};
use raddle_peers::measure::overshoot_ns;
use raddle_peers::process::{Memory, ThreadWatch};
use raddle_peers::ticker::Ticker;
use raddle_peers::work::{CUTOFF, Hog, fib, fork_join_tasks, sleeps};
use raddle_peers::{NoOptions, Outcome, Region, Workload};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::thread;
use std::time::{Duration, Instant};

type Case = raddle_peers::Case<NoOptions>;

const WORKLOADS: &[Workload<NoOptions>] = &[
    Workload::new("spawn_join_b10k", 1_000_000, spawn_join_b10k),
    Workload::new("spawn_join_b10k_local", 1_000_000, spawn_join_b10k_local),
    Workload::new(
        "spawn_join_b10k_smallpool",
        100_000,
        spawn_join_b10k_smallpool,
    ),
    Workload::new("yield", 2_000_000, yield_now),
    Workload::new("sleep_many", 20_000, sleep_many),
    Workload::new("sleep_precision", 2000, sleep_precision),
    Workload::new("parked_memory", 30_000, parked_memory),
    Workload::new("fork_join", 27, fork_join),
    Workload::new("blocking", 256, blocking),
    Workload::new("hog_latency", 2000, hog_latency),
    Workload::new("hog_many", 1000, hog_many),
];

fn main() -> ExitCode {
    let workloads = [
        WORKLOADS,
        channels::WORKLOADS,
        patterns::WORKLOADS,
        servers::WORKLOADS,
    ];
    raddle_peers::program::main(&workloads, |_| "may")
}

/// may's own pool of stacks.
const DEFAULT_POOL: usize = 1000;

/// Runs `body` in a coroutine, with a pool of so many stacks. may pins its
/// workers to CPUs: left so.
fn on_may<T: Send + 'static>(
    case: &Case,
    pool: usize,
    body: impl FnOnce() -> T + Send + 'static,
) -> T {
    may::config()
        .set_workers(case.procs)
        .set_pool_capacity(pool);
    spawn(body).join().expect("the body does not panic")
}

/// Runs `pass` in a coroutine at a tenth of the size, then in full; that
/// counts.
fn warmed(case: &Case, pass: impl FnMut(u64) -> Outcome + Send + 'static) -> Outcome {
    let case_of_body = case.clone();
    on_may(case, DEFAULT_POOL, move || case_of_body.warmed(pass))
}

fn spawn<T: Send + 'static>(task: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    // SAFETY: no task here touches a thread-local across a wait, nor comes
    // near the end of its stack.
    unsafe { coroutine::spawn(task) }
}

fn joined<T>(task: JoinHandle<T>) -> T {
    task.join().expect("coroutines do not panic")
}

/// Waits for so many coroutines.
struct Countdown {
    left: AtomicU64,
    last: SyncFlag,
}

impl Countdown {
    fn from(n: u64) -> Arc<Self> {
        Arc::new(Self {
            left: AtomicU64::new(n),
            last: SyncFlag::new(),
        })
    }

    fn done(&self) {
        if self.left.fetch_sub(1, AcqRel) == 1 {
            self.last.fire();
        }
    }

    fn wait(&self) {
        self.last.wait();
        assert_eq!(self.left.load(Acquire), 0);
    }
}

/// Has `n` coroutines alive at once: their stacks stay in the pool.
fn fill_pool(n: usize) {
    let gate = Arc::new(SyncFlag::new());
    let tasks: Vec<_> = (0..n)
        .map(|_| {
            let gate = gate.clone();
            spawn(move || gate.wait())
        })
        .collect();
    gate.fire();
    tasks.into_iter().for_each(joined);
}

// 1b: spawn_join_b10k

fn rounds(case: &Case, pool: usize, spawn: fn(Arc<Countdown>)) -> Outcome {
    const ROUND: u64 = 10_000;
    let case_of_body = case.clone();
    on_may(case, pool, move || {
        case_of_body.warmed(|n| {
            let rounds = (n / ROUND).max(1);
            let region = Region::begin();
            for _ in 0..rounds {
                let tasks = Countdown::from(ROUND);
                for _ in 0..ROUND {
                    spawn(tasks.clone());
                }
                tasks.wait();
            }
            region.end(rounds * ROUND)
        })
    })
}

fn spawn_join_b10k(case: &Case) -> Outcome {
    rounds(case, 12_000, |tasks| drop(spawn(move || tasks.done())))
}

/// A stack more than the pool holds is mapped, and unmapped again.
fn spawn_join_b10k_smallpool(case: &Case) -> Outcome {
    rounds(case, DEFAULT_POOL, |tasks| {
        drop(spawn(move || tasks.done()))
    })
}

/// The coroutine runs on the spot.
fn spawn_join_b10k_local(case: &Case) -> Outcome {
    rounds(case, 12_000, |tasks| {
        // SAFETY: as in `spawn`.
        let task = unsafe { Builder::new().spawn_local(move || tasks.done()) };
        drop(task.expect("a coroutine starts"));
    })
}

// 9: yield

fn yield_now(case: &Case) -> Outcome {
    let case_of_body = case.clone();
    on_may(case, DEFAULT_POOL, move || {
        case_of_body.warmed(|n| {
            let yields = move || (0..n).for_each(|_| coroutine::yield_now());
            let region = Region::begin();
            [spawn(yields), spawn(yields)].into_iter().for_each(joined);
            region.end(2 * n)
        })
    })
}

// 10, 11: sleep

fn sleep_many(case: &Case) -> Outcome {
    const POOL: usize = 24_000;
    let case_of_body = case.clone();
    on_may(case, POOL, move || {
        fill_pool(POOL);
        case_of_body.warmed(|n| {
            let late: Arc<[AtomicU64]> = (0..n).map(|_| AtomicU64::new(u64::MAX)).collect();
            let region = Region::begin();
            let tasks = Countdown::from(n);
            for (i, asked) in (0..n as usize).zip(sleeps()) {
                let (late, tasks) = (late.clone(), tasks.clone());
                spawn(move || {
                    let start = Instant::now();
                    coroutine::sleep(asked);
                    late[i].store(overshoot_ns(asked, start.elapsed()), Relaxed);
                    tasks.done();
                });
            }
            tasks.wait();
            let outcome = region.end(n);
            outcome.with_percentiles(late.iter().map(|late| late.load(Relaxed)).collect())
        })
    })
}

fn sleep_precision(case: &Case) -> Outcome {
    const ASKED: Duration = Duration::from_micros(100);
    let case_of_body = case.clone();
    on_may(case, DEFAULT_POOL, move || {
        case_of_body.warmed(|n| {
            let mut late = Vec::with_capacity(n as usize);
            let region = Region::begin();
            for _ in 0..n {
                let start = Instant::now();
                coroutine::sleep(ASKED);
                late.push(overshoot_ns(ASKED, start.elapsed()));
            }
            region.end(n).with_percentiles(late)
        })
    })
}

// 13: parked_memory

fn parked_memory(case: &Case) -> Outcome {
    let n = case.n;
    on_may(case, DEFAULT_POOL, move || {
        let (sender, receiver) = mpmc::channel::<()>();
        let (started, ended) = (Countdown::from(n), Countdown::from(n));
        let before = Memory::now();

        let spawning = Region::begin();
        for _ in 0..n {
            let receiver = receiver.clone();
            let (started, ended) = (started.clone(), ended.clone());
            spawn(move || {
                started.done();
                assert!(receiver.recv().is_err());
                ended.done();
            });
        }
        started.wait();
        let spawn = spawning.end(n);

        coroutine::sleep(Duration::from_millis(50));
        let parked = Memory::now();

        let releasing = Region::begin();
        drop(sender);
        ended.wait();
        let release = releasing.end(n);
        parked.per_task(before, n, spawn.then_release(release))
    })
}

// 14: fork_join

fn forked(n: u64) -> u64 {
    if n <= CUTOFF {
        return fib(n);
    }
    let other = spawn(move || forked(n - 1));
    let own = forked(n - 2);
    own + joined(other)
}

fn fork_join(case: &Case) -> Outcome {
    const POOL: usize = 30_000;
    let n = case.n;
    on_may(case, POOL, move || {
        fill_pool(POOL);
        forked(n.min(23));
        let region = Region::begin();
        let result = forked(n);
        let outcome = region.end(fork_join_tasks(n));
        assert_eq!(result, fib(n));
        outcome.with_rate("tasks_per_s")
    })
}

// 17: blocking

/// may has nothing for it: the call holds a worker.
fn blocking(case: &Case) -> Outcome {
    const BLOCKED: Duration = Duration::from_millis(10);
    let n = case.n;
    on_may(case, DEFAULT_POOL, move || {
        let region = Region::begin();
        let tasks: Vec<_> = (0..n).map(|_| spawn(|| thread::sleep(BLOCKED))).collect();
        tasks.into_iter().for_each(joined);
        region.end(n)
    })
}

// 18: hog_latency, hog_many

fn hogs(case: &Case, n: u64, hog: Hog) -> Outcome {
    on_may(case, DEFAULT_POOL, move || {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let ticker = spawn(move || {
            let mut ticker = Ticker::new();
            while !stopped.load(Acquire) {
                let (due, rest) = ticker.next();
                coroutine::sleep(rest);
                ticker.woke(due);
            }
            ticker
        });
        coroutine::sleep(Duration::from_millis(10));

        let watch = ThreadWatch::every(Duration::from_millis(5));
        let region = Region::begin();
        let start = region.start();
        let tasks: Vec<_> = (0..n).map(|_| spawn(move || hog.run())).collect();
        let end = tasks.into_iter().map(joined).fold(start, Instant::max);
        let outcome = region.end(n);
        stop.store(true, Release);
        let outcome = joined(ticker).report(start, end, outcome);
        outcome.with("threads_peak", watch.peak())
    })
}

fn hog_latency(case: &Case) -> Outcome {
    hogs(
        case,
        case.procs as u64,
        Hog::of(Duration::from_millis(case.n)),
    )
}

fn hog_many(case: &Case) -> Outcome {
    hogs(case, case.n, Hog::of(Duration::from_millis(50)))
}
