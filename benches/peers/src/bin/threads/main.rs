//! The workloads by OS threads.
//!
//! Sizes are smaller where each operation is the kernel's work.

mod channels;
mod locks;
mod patterns;
mod servers;

use crossbeam_channel::bounded;
use raddle_peers::measure::overshoot_ns;
use raddle_peers::process::{Memory, ThreadWatch, confine_to_one_cpu, expect_timers_on_time};
use raddle_peers::ticker::Ticker;
use raddle_peers::work::{CUTOFF, Hog, fib, fork_join_tasks, sleeps};
use raddle_peers::{NoOptions, Outcome, Region, Workload};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

type Case = raddle_peers::Case<NoOptions>;

const WORKLOADS: &[Workload<NoOptions>] = &[
    Workload::new("spawn_join_b10k", 5000, spawn_join_b10k),
    Workload::new("yield", 200_000, yield_now),
    Workload::new("sleep_many", 10_000, sleep_many),
    Workload::new("sleep_precision_slack1", 2000, sleep_precision_slack1),
    Workload::new("sleep_precision", 2000, sleep_precision),
    Workload::new("parked_memory", 10_000, parked_memory),
    Workload::new("fork_join", 17, fork_join),
    Workload::new("blocking", 256, blocking),
    Workload::new("hog_latency", 2000, hog_latency),
    Workload::new("hog_many", 1000, hog_many),
];

fn main() -> ExitCode {
    let workloads = [
        WORKLOADS,
        channels::WORKLOADS,
        locks::WORKLOADS,
        patterns::WORKLOADS,
        servers::WORKLOADS,
    ];
    raddle_peers::program::main(&workloads, |_| "threads")
}

fn confine(case: &Case) {
    if case.procs == 1 {
        confine_to_one_cpu();
    }
}

/// A thread with a small stack: no task here needs more.
fn spawn<T: Send + 'static>(task: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    const STACK: usize = 32 * 1024;
    thread::Builder::new()
        .stack_size(STACK)
        .spawn(task)
        .expect("a thread starts")
}

fn joined<T>(thread: JoinHandle<T>) -> T {
    thread.join().expect("threads do not panic")
}

// 1b: spawn_join_b10k, in rounds of 100

fn spawn_join_b10k(case: &Case) -> Outcome {
    const ROUND: u64 = 100;
    confine(case);
    case.warmed(|n| {
        let rounds = (n / ROUND).max(1);
        let region = Region::begin();
        for _ in 0..rounds {
            let threads: Vec<_> = (0..ROUND).map(|_| spawn(|| ())).collect();
            threads.into_iter().for_each(joined);
        }
        region.end(rounds * ROUND)
    })
}

// 9: yield

fn yield_now(case: &Case) -> Outcome {
    confine(case);
    case.warmed(|n| {
        let yields = move || (0..n).for_each(|_| thread::yield_now());
        let region = Region::begin();
        [spawn(yields), spawn(yields)].into_iter().for_each(joined);
        region.end(2 * n)
    })
}

// 10, 11: sleep

fn sleep_many(case: &Case) -> Outcome {
    confine(case);
    case.warmed(|n| {
        let region = Region::begin();
        let sleep = |asked| {
            spawn(move || {
                let start = Instant::now();
                thread::sleep(asked);
                overshoot_ns(asked, start.elapsed())
            })
        };
        let threads: Vec<_> = sleeps().take(n as usize).map(sleep).collect();
        let late = threads.into_iter().map(joined).collect();
        region.end(n).with_percentiles(late)
    })
}

fn sleep_precision(case: &Case) -> Outcome {
    const ASKED: Duration = Duration::from_micros(100);
    confine(case);
    case.warmed(|n| {
        let mut late = Vec::with_capacity(n as usize);
        let region = Region::begin();
        for _ in 0..n {
            let start = Instant::now();
            thread::sleep(ASKED);
            late.push(overshoot_ns(ASKED, start.elapsed()));
        }
        region.end(n).with_percentiles(late)
    })
}

/// As exact as the kernel can: raddle's machines ask for it as well.
fn sleep_precision_slack1(case: &Case) -> Outcome {
    expect_timers_on_time();
    sleep_precision(case)
}

// 13: parked_memory

fn parked_memory(case: &Case) -> Outcome {
    confine(case);
    let n = case.n;
    let (sender, receiver) = bounded::<()>(0);
    let (started, all_started) = bounded(n as usize);
    let mut threads = Vec::with_capacity(n as usize);
    let before = Memory::now();

    let spawning = Region::begin();
    for _ in 0..n {
        let (receiver, started) = (receiver.clone(), started.clone());
        threads.push(spawn(move || {
            started.send(()).expect("the spawner listens");
            assert!(receiver.recv().is_err());
        }));
    }
    assert_eq!(all_started.iter().take(n as usize).count() as u64, n);
    let spawn = spawning.end(n);

    thread::sleep(Duration::from_millis(50));
    let parked = Memory::now();

    let releasing = Region::begin();
    drop(sender);
    threads.into_iter().for_each(joined);
    let release = releasing.end(n);
    parked.per_task(before, n, spawn.then_release(release))
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
    confine(case);
    let n = case.n;
    forked(n.min(13));
    let region = Region::begin();
    let result = forked(n);
    let outcome = region.end(fork_join_tasks(n));
    assert_eq!(result, fib(n));
    outcome.with_rate("tasks_per_s")
}

// 17: blocking

fn blocking(case: &Case) -> Outcome {
    const BLOCKED: Duration = Duration::from_millis(10);
    confine(case);
    let region = Region::begin();
    let threads: Vec<_> = (0..case.n)
        .map(|_| spawn(|| thread::sleep(BLOCKED)))
        .collect();
    threads.into_iter().for_each(joined);
    region.end(case.n)
}

// 18: hog_latency, hog_many

fn hogs(n: u64, hog: Hog) -> Outcome {
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let ticker = spawn(move || {
        let mut ticker = Ticker::new();
        while !stopped.load(Acquire) {
            let (due, rest) = ticker.next();
            thread::sleep(rest);
            ticker.woke(due);
        }
        ticker
    });
    thread::sleep(Duration::from_millis(10));

    let watch = ThreadWatch::every(Duration::from_millis(5));
    let region = Region::begin();
    let start = region.start();
    let threads: Vec<_> = (0..n).map(|_| spawn(move || hog.run())).collect();
    let end = threads.into_iter().map(joined).fold(start, Instant::max);
    let outcome = region.end(n);
    stop.store(true, Release);
    let outcome = joined(ticker).report(start, end, outcome);
    outcome.with("threads_peak", watch.peak())
}

fn hog_latency(case: &Case) -> Outcome {
    confine(case);
    hogs(case.procs as u64, Hog::of(Duration::from_millis(case.n)))
}

fn hog_many(case: &Case) -> Outcome {
    confine(case);
    hogs(case.n, Hog::of(Duration::from_millis(50)))
}
