//! The workloads by raddle.
#![allow(unsafe_code, reason = "migrating is a promise about thread-locals")]

mod channels;
mod clocks;
mod locks;
mod patterns;
mod servers;

use clap::{Args, ValueEnum};
use raddle::chan::bounded;
use raddle::runtime;
use raddle::sync::WaitGroup;
use raddle::{Goroutine, JoinHandle, spawn};
use raddle_peers::measure::overshoot_ns;
use raddle_peers::process::{Memory, ThreadWatch};
use raddle_peers::ticker::Ticker;
use raddle_peers::work::{CUTOFF, Hog, fib, fork_join_tasks, sleeps};
use raddle_peers::{Outcome, Region, Workload};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::thread;
use std::time::{Duration, Instant};

type Case = raddle_peers::Case<Own>;

/// raddle's own options.
#[derive(Args, Clone, Copy)]
struct Own {
    /// Whether goroutines move between machines after their first run.
    #[arg(long, value_enum, default_value_t = Mode::Migrate)]
    mode: Mode,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Mode {
    Pinned,
    Migrate,
}

const WORKLOADS: &[Workload<Own>] = &[
    Workload::new("spawn_join", 1_000_000, spawn_join),
    Workload::new("spawn_join_b10k", 1_000_000, spawn_join_b10k),
    Workload::new("yield", 2_000_000, yield_now),
    Workload::new("sleep_many", 100_000, sleep_many),
    Workload::new("sleep_precision", 2000, sleep_precision),
    Workload::new("parked_memory", 1_000_000, parked_memory),
    Workload::new("parked_memory_park", 1_000_000, parked_memory_park),
    Workload::new("unstarted_memory", 1_000_000, unstarted_memory),
    Workload::new("fork_join", 27, fork_join),
    Workload::new("blocking", 256, blocking),
    Workload::new("blocking_annotated", 256, blocking_annotated),
    Workload::new("hog_latency", 2000, hog_latency),
    Workload::new("hog_many", 1000, hog_many),
];

fn main() -> ExitCode {
    let workloads = [
        WORKLOADS,
        channels::WORKLOADS,
        locks::WORKLOADS,
        clocks::WORKLOADS,
        patterns::WORKLOADS,
        servers::WORKLOADS,
    ];
    raddle_peers::program::main(&workloads, |own| match own.mode {
        Mode::Pinned => "raddle-pinned",
        Mode::Migrate => "raddle-migrate",
    })
}

/// Runs `body` as the first goroutine.
fn on_raddle<T: Send>(case: &Case, body: impl FnOnce() -> T + Send) -> T {
    let mut builder = runtime::Builder::new().max_procs(case.procs);
    if case.own.mode == Mode::Migrate {
        // SAFETY: no goroutine here keeps a borrow of a thread-local, nor
        // anything else of its thread's, across a wait.
        builder = unsafe { builder.migrate() };
    }
    builder.build().expect("raddle starts").run(body)
}

/// Runs `pass` in the first goroutine at a tenth of the size, then in full;
/// that counts.
fn warmed(case: &Case, pass: impl FnMut(u64) -> Outcome + Send) -> Outcome {
    on_raddle(case, || case.warmed(pass))
}

fn joined<T>(goroutine: JoinHandle<T>) -> T {
    goroutine.join().expect("goroutines do not panic")
}

// 1: spawn_join

fn spawn_and_wait(n: u64) {
    let group = WaitGroup::new();
    group.add(n as isize);
    for _ in 0..n {
        let member = group.clone();
        spawn(move || member.done());
    }
    group.wait();
}

fn spawn_join(case: &Case) -> Outcome {
    on_raddle(case, || {
        case.warmed(|n| {
            let region = Region::begin();
            spawn_and_wait(n);
            region.end(n)
        })
    })
}

fn spawn_join_b10k(case: &Case) -> Outcome {
    const ROUND: u64 = 10_000;
    on_raddle(case, || {
        case.warmed(|n| {
            let rounds = (n / ROUND).max(1);
            let region = Region::begin();
            (0..rounds).for_each(|_| spawn_and_wait(ROUND));
            region.end(rounds * ROUND)
        })
    })
}

// 9: yield

fn yield_now(case: &Case) -> Outcome {
    on_raddle(case, || {
        case.warmed(|n| {
            let yields = move || (0..n).for_each(|_| raddle::yield_now());
            let region = Region::begin();
            [spawn(yields), spawn(yields)].into_iter().for_each(joined);
            region.end(2 * n)
        })
    })
}

// 10, 11: sleep

fn sleep_many(case: &Case) -> Outcome {
    on_raddle(case, || {
        case.warmed(|n| {
            let late: Arc<[AtomicU64]> = (0..n).map(|_| AtomicU64::new(u64::MAX)).collect();
            let region = Region::begin();
            let group = WaitGroup::new();
            group.add(n as isize);
            for (i, asked) in (0..n as usize).zip(sleeps()) {
                let (late, member) = (late.clone(), group.clone());
                spawn(move || {
                    let start = Instant::now();
                    raddle::time::sleep(asked);
                    late[i].store(overshoot_ns(asked, start.elapsed()), Relaxed);
                    member.done();
                });
            }
            group.wait();
            let outcome = region.end(n);
            outcome.with_percentiles(late.iter().map(|late| late.load(Relaxed)).collect())
        })
    })
}

fn sleep_precision(case: &Case) -> Outcome {
    const ASKED: Duration = Duration::from_micros(100);
    on_raddle(case, || {
        case.warmed(|n| {
            let mut late = Vec::with_capacity(n as usize);
            let region = Region::begin();
            for _ in 0..n {
                let start = Instant::now();
                raddle::time::sleep(ASKED);
                late.push(overshoot_ns(ASKED, start.elapsed()));
            }
            region.end(n).with_percentiles(late)
        })
    })
}

// 13: parked_memory, unstarted_memory

fn parked_memory(case: &Case) -> Outcome {
    let n = case.n;
    on_raddle(case, || {
        let (sender, receiver) = bounded::<()>(0);
        let (started, ended) = (WaitGroup::new(), WaitGroup::new());
        started.add(n as isize);
        ended.add(n as isize);
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

        raddle::time::sleep(Duration::from_millis(50));
        let after = Memory::now();

        let releasing = Region::begin();
        drop(sender);
        ended.wait();
        let release = releasing.end(n);
        after.per_task(before, n, spawn.then_release(release))
    })
}

/// Parked without a channel, and woken one by one.
fn parked_memory_park(case: &Case) -> Outcome {
    let n = case.n;
    on_raddle(case, || {
        let released = Arc::new(AtomicBool::new(false));
        let (started, ended) = (WaitGroup::new(), WaitGroup::new());
        started.add(n as isize);
        ended.add(n as isize);
        let before = Memory::now();

        // The list is memory of the goroutines: nothing else knows them.
        let spawning = Region::begin();
        let mut parked = Vec::<Goroutine>::with_capacity(n as usize);
        for _ in 0..n {
            let released = released.clone();
            let (started, ended) = (started.clone(), ended.clone());
            let goroutine = spawn(move || {
                started.done();
                while !released.load(Acquire) {
                    raddle::park();
                }
                ended.done();
            });
            parked.push(goroutine.goroutine().clone());
        }
        started.wait();
        let spawn = spawning.end(n);

        raddle::time::sleep(Duration::from_millis(50));
        let after = Memory::now();

        let releasing = Region::begin();
        released.store(true, Release);
        for goroutine in parked {
            goroutine.unpark();
        }
        ended.wait();
        let release = releasing.end(n);
        after.per_task(before, n, spawn.then_release(release))
    })
}

/// So many that have not run, at one time. The spawner's slices end, and then
/// others run: they end, and another is spawned for each. What they leave
/// behind counts for those that have not run.
fn unstarted_memory(case: &Case) -> Outcome {
    let n = case.n;
    on_raddle(case, || {
        let ran = Arc::new(AtomicU64::new(0));
        let mut spawned = 0;
        let before = Memory::now();
        let region = Region::begin();
        let after = loop {
            while spawned - ran.load(Relaxed) < n {
                let ran = ran.clone();
                spawn(move || ran.fetch_add(1, Relaxed));
                spawned += 1;
            }
            let after = Memory::now();
            if spawned - ran.load(Relaxed) == n {
                break after;
            }
        };
        let outcome = region.end(n).with("ran_early", spawned - n);
        while ran.load(Relaxed) < spawned {
            raddle::time::sleep(Duration::from_millis(1));
        }
        after.per_task(before, n, outcome)
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
    let n = case.n;
    on_raddle(case, || {
        forked(n.min(23));
        let region = Region::begin();
        let result = forked(n);
        let outcome = region.end(fork_join_tasks(n));
        assert_eq!(result, fib(n));
        outcome.with_rate("tasks_per_s")
    })
}

// 17: blocking

const BLOCKED: Duration = Duration::from_millis(10);

fn blocked(case: &Case, call: fn()) -> Outcome {
    on_raddle(case, || {
        let region = Region::begin();
        let goroutines: Vec<_> = (0..case.n).map(|_| spawn(call)).collect();
        goroutines.into_iter().for_each(joined);
        region.end(case.n)
    })
}

/// Nobody told raddle: the monitor finds out.
fn blocking(case: &Case) -> Outcome {
    blocked(case, || thread::sleep(BLOCKED))
}

fn blocking_annotated(case: &Case) -> Outcome {
    blocked(case, || raddle::blocking(|| thread::sleep(BLOCKED)))
}

// 18: hog_latency, hog_many

fn hogs(case: &Case, n: u64, hog: Hog) -> Outcome {
    on_raddle(case, || {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let ticker = spawn(move || {
            let mut ticker = Ticker::new();
            while !stopped.load(Acquire) {
                let (due, rest) = ticker.next();
                raddle::time::sleep(rest);
                ticker.woke(due);
            }
            ticker
        });
        raddle::time::sleep(Duration::from_millis(10));

        let watch = ThreadWatch::every(Duration::from_millis(5));
        let region = Region::begin();
        let start = region.start();
        let goroutines: Vec<_> = (0..n).map(|_| spawn(move || hog.run())).collect();
        let end = goroutines.into_iter().map(joined).fold(start, Instant::max);
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
