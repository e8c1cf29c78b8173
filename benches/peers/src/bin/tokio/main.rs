//! The workloads by tokio.

mod channels;
mod clocks;
mod locks;
mod patterns;
mod servers;

use clap::{Args, ValueEnum};
use raddle_peers::measure::overshoot_ns;
use raddle_peers::process::{Memory, ThreadWatch};
use raddle_peers::ticker::Ticker;
use raddle_peers::work::{CUTOFF, Hog, fib, fork_join_tasks, sleeps};
use raddle_peers::{Outcome, Region, Workload};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};
use tokio::runtime;
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;
use tokio_util::task::TaskTracker;

type Case = raddle_peers::Case<Own>;

/// tokio's own options.
#[derive(Args, Clone, Copy)]
struct Own {
    /// Many threads, or the current one alone.
    #[arg(long, value_enum, default_value_t = Flavor::Mt)]
    flavor: Flavor,
}

#[derive(Clone, Copy, ValueEnum)]
enum Flavor {
    Mt,
    Ct,
}

const WORKLOADS: &[Workload<Own>] = &[
    Workload::new("spawn_join", 1_000_000, spawn_join),
    Workload::new("spawn_join_joinset", 1_000_000, spawn_join_joinset),
    Workload::new("spawn_join_tracker", 1_000_000, spawn_join_tracker),
    Workload::new("spawn_join_b10k", 1_000_000, spawn_join_b10k),
    Workload::new("yield", 2_000_000, yield_now),
    Workload::new("yield_selfwake", 2_000_000, yield_selfwake),
    Workload::new("sleep_many", 100_000, sleep_many),
    Workload::new("sleep_precision", 2000, sleep_precision),
    Workload::new("parked_memory", 1_000_000, parked_memory),
    Workload::new("fork_join", 27, fork_join),
    Workload::new("blocking", 256, blocking),
    Workload::new("blocking_naive", 256, blocking_naive),
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
    raddle_peers::program::main(&workloads, |own| match own.flavor {
        Flavor::Mt => "tokio",
        Flavor::Ct => "tokio-ct",
    })
}

/// Runs `body` as a task: never on the thread that blocks on it.
fn on_tokio(case: &Case, body: impl Future<Output = Outcome> + Send + 'static) -> Outcome {
    run(builder(case), body)
}

fn builder(case: &Case) -> runtime::Builder {
    let mut builder = match case.own.flavor {
        Flavor::Mt => runtime::Builder::new_multi_thread(),
        Flavor::Ct => runtime::Builder::new_current_thread(),
    };
    builder.worker_threads(case.procs).enable_time();
    builder
}

fn run<T: Send + 'static>(
    mut builder: runtime::Builder,
    body: impl Future<Output = T> + Send + 'static,
) -> T {
    let runtime = builder.build().expect("tokio starts");
    runtime.block_on(async { tokio::spawn(body).await.expect("the body does not panic") })
}

/// Runs `pass` as a task at a tenth of the size, then in full; that counts.
fn warmed<F>(case: &Case, pass: impl Fn(u64) -> F + Send + 'static) -> Outcome
where
    F: Future<Output = Outcome> + Send + 'static,
{
    let [warm_up, n] = case.passes();
    on_tokio(case, async move {
        pass(warm_up).await;
        pass(n).await
    })
}

/// Waits for so many tasks: what is fastest in tokio.
struct Countdown {
    left: AtomicU64,
    last: Notify,
}

impl Countdown {
    fn from(n: u64) -> Arc<Self> {
        Arc::new(Self {
            left: AtomicU64::new(n),
            last: Notify::new(),
        })
    }

    fn done(&self) {
        if self.left.fetch_sub(1, AcqRel) == 1 {
            self.last.notify_one();
        }
    }

    async fn wait(&self) {
        // A permit stays if the last one was faster.
        self.last.notified().await;
        assert_eq!(self.left.load(Acquire), 0);
    }
}

/// Goes to the end of the queue at once: `yield_now` asks the driver first.
async fn yield_by_waking_itself() {
    let mut left = false;
    poll_fn(|context| {
        if std::mem::replace(&mut left, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

async fn joined<T>(task: JoinHandle<T>) -> T {
    task.await.expect("tasks do not panic")
}

// 1: spawn_join

async fn spawn_and_wait(n: u64) {
    let tasks = Countdown::from(n);
    for _ in 0..n {
        let tasks = tasks.clone();
        tokio::spawn(async move { tasks.done() });
    }
    tasks.wait().await;
}

fn spawn_join(case: &Case) -> Outcome {
    let [warm_up, n] = case.passes();
    on_tokio(case, async move {
        spawn_and_wait(warm_up).await;
        let region = Region::begin();
        spawn_and_wait(n).await;
        region.end(n)
    })
}

fn spawn_join_b10k(case: &Case) -> Outcome {
    const ROUND: u64 = 10_000;
    let [warm_up, rounds] = case.passes().map(|n| (n / ROUND).max(1));
    on_tokio(case, async move {
        for _ in 0..warm_up {
            spawn_and_wait(ROUND).await;
        }
        let region = Region::begin();
        for _ in 0..rounds {
            spawn_and_wait(ROUND).await;
        }
        region.end(rounds * ROUND)
    })
}

fn spawn_join_joinset(case: &Case) -> Outcome {
    async fn spawn_and_wait(n: u64) {
        let mut tasks = JoinSet::new();
        for _ in 0..n {
            tasks.spawn(async {});
        }
        let mut ended = 0;
        while let Some(task) = tasks.join_next().await {
            task.expect("tasks do not panic");
            ended += 1;
        }
        assert_eq!(ended, n);
    }
    let [warm_up, n] = case.passes();
    on_tokio(case, async move {
        spawn_and_wait(warm_up).await;
        let region = Region::begin();
        spawn_and_wait(n).await;
        region.end(n)
    })
}

fn spawn_join_tracker(case: &Case) -> Outcome {
    async fn spawn_and_wait(n: u64) {
        let tasks = TaskTracker::new();
        for _ in 0..n {
            tasks.spawn(async {});
        }
        tasks.close();
        tasks.wait().await;
        assert!(tasks.is_empty());
    }
    let [warm_up, n] = case.passes();
    on_tokio(case, async move {
        spawn_and_wait(warm_up).await;
        let region = Region::begin();
        spawn_and_wait(n).await;
        region.end(n)
    })
}

// 9: yield

async fn two<F: Future<Output = ()> + Send + 'static>(task: impl Fn() -> F) {
    let tasks = [task(), task()].map(tokio::spawn);
    for task in tasks {
        joined(task).await;
    }
}

fn yield_now(case: &Case) -> Outcome {
    async fn yields(n: u64) {
        for _ in 0..n {
            tokio::task::yield_now().await;
        }
    }
    let [warm_up, n] = case.passes();
    on_tokio(case, async move {
        two(|| yields(warm_up)).await;
        let region = Region::begin();
        two(|| yields(n)).await;
        region.end(2 * n)
    })
}

/// Wakes itself and leaves once: straight back to the run queue, where
/// tokio's own waits until the driver has been asked.
fn yield_selfwake(case: &Case) -> Outcome {
    async fn yields(n: u64) {
        for _ in 0..n {
            yield_by_waking_itself().await;
        }
    }
    let [warm_up, n] = case.passes();
    on_tokio(case, async move {
        two(|| yields(warm_up)).await;
        let region = Region::begin();
        two(|| yields(n)).await;
        region.end(2 * n)
    })
}

// 10, 11: sleep

fn sleep_many(case: &Case) -> Outcome {
    async fn pass(n: u64) -> Outcome {
        let late: Arc<[AtomicU64]> = (0..n).map(|_| AtomicU64::new(u64::MAX)).collect();
        let region = Region::begin();
        let tasks = Countdown::from(n);
        for (i, asked) in (0..n as usize).zip(sleeps()) {
            let (late, tasks) = (late.clone(), tasks.clone());
            tokio::spawn(async move {
                let start = Instant::now();
                sleep(asked).await;
                late[i].store(overshoot_ns(asked, start.elapsed()), Relaxed);
                tasks.done();
            });
        }
        tasks.wait().await;
        let outcome = region.end(n);
        outcome.with_percentiles(late.iter().map(|late| late.load(Relaxed)).collect())
    }
    let [warm_up, n] = case.passes();
    on_tokio(case, async move {
        pass(warm_up).await;
        pass(n).await
    })
}

fn sleep_precision(case: &Case) -> Outcome {
    async fn pass(n: u64) -> Outcome {
        const ASKED: Duration = Duration::from_micros(100);
        let mut late = Vec::with_capacity(n as usize);
        let region = Region::begin();
        for _ in 0..n {
            let start = Instant::now();
            sleep(ASKED).await;
            late.push(overshoot_ns(ASKED, start.elapsed()));
        }
        region.end(n).with_percentiles(late)
    }
    let [warm_up, n] = case.passes();
    on_tokio(case, async move {
        pass(warm_up).await;
        pass(n).await
    })
}

// 13: parked_memory

fn parked_memory(case: &Case) -> Outcome {
    let n = case.n;
    on_tokio(case, async move {
        let (sender, receiver) = async_channel::bounded::<()>(1);
        let (started, ended) = (Countdown::from(n), Countdown::from(n));
        let before = Memory::now();

        let spawning = Region::begin();
        for _ in 0..n {
            let receiver = receiver.clone();
            let (started, ended) = (started.clone(), ended.clone());
            tokio::spawn(async move {
                started.done();
                assert!(receiver.recv().await.is_err());
                ended.done();
            });
        }
        started.wait().await;
        let spawn = spawning.end(n);

        sleep(Duration::from_millis(50)).await;
        let parked = Memory::now();

        let releasing = Region::begin();
        drop(sender);
        ended.wait().await;
        let release = releasing.end(n);
        parked.per_task(before, n, spawn.then_release(release))
    })
}

// 14: fork_join

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Boxed, as it calls itself; what needs no task needs no box.
fn forked(n: u64) -> Boxed<u64> {
    Box::pin(async move {
        if n <= CUTOFF {
            return fib(n);
        }
        let other = tokio::spawn(forked(n - 1));
        let own = if n - 2 <= CUTOFF {
            fib(n - 2)
        } else {
            forked(n - 2).await
        };
        own + joined(other).await
    })
}

fn fork_join(case: &Case) -> Outcome {
    let n = case.n;
    on_tokio(case, async move {
        forked(n.min(23)).await;
        let region = Region::begin();
        let result = forked(n).await;
        let outcome = region.end(fork_join_tasks(n));
        assert_eq!(result, fib(n));
        outcome.with_rate("tasks_per_s")
    })
}

// 17: blocking

const BLOCKED: Duration = Duration::from_millis(10);

fn blocking(case: &Case) -> Outcome {
    let n = case.n;
    on_tokio(case, async move {
        let region = Region::begin();
        let tasks: Vec<_> = (0..n)
            .map(|_| tokio::task::spawn_blocking(|| thread::sleep(BLOCKED)))
            .collect();
        for task in tasks {
            joined(task).await;
        }
        region.end(n)
    })
}

/// What happens to who does not know better.
fn blocking_naive(case: &Case) -> Outcome {
    let n = case.n;
    on_tokio(case, async move {
        let region = Region::begin();
        let tasks: Vec<_> = (0..n)
            .map(|_| tokio::spawn(async { thread::sleep(BLOCKED) }))
            .collect();
        for task in tasks {
            joined(task).await;
        }
        region.end(n)
    })
}

// 18: hog_latency, hog_many

async fn ticks(stop: Arc<AtomicBool>) -> Ticker {
    let mut ticker = Ticker::new();
    while !stop.load(Acquire) {
        let (due, rest) = ticker.next();
        sleep(rest).await;
        ticker.woke(due);
    }
    ticker
}

async fn hogs(n: u64, hog: Hog) -> Outcome {
    let stop = Arc::new(AtomicBool::new(false));
    let ticker = tokio::spawn(ticks(stop.clone()));
    sleep(Duration::from_millis(10)).await;

    let watch = ThreadWatch::every(Duration::from_millis(5));
    let region = Region::begin();
    let start = region.start();
    let tasks: Vec<_> = (0..n)
        .map(|_| tokio::spawn(async move { hog.run() }))
        .collect();
    let mut end = start;
    for task in tasks {
        end = end.max(joined(task).await);
    }
    let outcome = region.end(n);
    stop.store(true, Release);
    let outcome = joined(ticker).await.report(start, end, outcome);
    outcome.with("threads_peak", watch.peak())
}

fn hog_latency(case: &Case) -> Outcome {
    let (n, hog) = (case.procs as u64, Hog::of(Duration::from_millis(case.n)));
    on_tokio(case, hogs(n, hog))
}

fn hog_many(case: &Case) -> Outcome {
    let (n, hog) = (case.n, Hog::of(Duration::from_millis(50)));
    on_tokio(case, hogs(n, hog))
}
