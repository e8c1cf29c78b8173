//! Programs made of coroutines and channels.

use crate::bounded::{self, Giver, Taker, rendezvous};
use crate::{Case, fill_pool, joined, on_may, spawn, warmed};
use may::coroutine::Builder;
use may::cqueue;
use may::sync::{SyncFlag, mpsc};
use raddle_peers::work::{CAPACITY, CHILDREN, SMALL_TREE, WORKERS, nth_prime, sum_below};
use raddle_peers::{NoOptions, Outcome, Region, Workload};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

pub const WORKLOADS: &[Workload<NoOptions>] = &[
    Workload::new("skynet_local", 1_000_000, skynet_local),
    Workload::new("skynet_10k", 100_000, skynet_10k),
    Workload::new("sieve", 2000, sieve),
    Workload::new("select_done_1", 1_000_000, select_done::<1>),
    Workload::new("select_done_4", 1_000_000, select_done::<4>),
    Workload::new("select_done_16", 1_000_000, select_done::<16>),
    Workload::new("select_done_64", 1_000_000, select_done::<64>),
    Workload::new("worker_pool", 1_000_000, worker_pool),
];

// 12: skynet

/// The sum of `size` leaves, sent up.
fn node<const LOCAL: bool>(first: u64, size: u64, up: &mpsc::Sender<u64>) {
    if size == 1 {
        return up.send(first).expect("the parent waits");
    }
    let (sender, receiver) = mpsc::channel();
    let each = size / CHILDREN;
    for child in 0..CHILDREN {
        let sender = sender.clone();
        let child = move || node::<LOCAL>(first + child * each, each, &sender);
        if LOCAL {
            // SAFETY: as in `spawn`.
            let spawned = unsafe { Builder::new().spawn_local(child) };
            drop(spawned.expect("a coroutine starts"));
        } else {
            spawn(child);
        }
    }
    let sum = receiver.iter().take(CHILDREN as usize).sum();
    up.send(sum).expect("the parent waits");
}

/// Trees of at most `leaves` each.
fn skynet<const LOCAL: bool>(case: &Case, leaves: u64) -> Outcome {
    const POOL: usize = 30_000;
    let case_of_body = case.clone();
    on_may(case, POOL, move || {
        fill_pool(POOL);
        case_of_body.warmed(|n| {
            let leaves = leaves.min(n);
            let trees = n / leaves;
            let region = Region::begin();
            for _ in 0..trees {
                let (sender, receiver) = mpsc::channel();
                spawn(move || node::<LOCAL>(0, leaves, &sender));
                assert_eq!(receiver.recv(), Ok(sum_below(leaves)));
            }
            region.end(n).with_mean_ms("total_ms", trees)
        })
    })
}

/// A million at once are more stacks than the kernel maps: each runs on the
/// spot.
fn skynet_local(case: &Case) -> Outcome {
    skynet::<true>(case, u64::MAX)
}

fn skynet_10k(case: &Case) -> Outcome {
    skynet::<false>(case, SMALL_TREE)
}

// 15: sieve

fn generate(to: Giver<u64>, stop: Arc<AtomicBool>) {
    for number in 2.. {
        if stop.load(Relaxed) {
            return;
        }
        to.send(number);
    }
}

fn filter(prime: u64, from: Taker<u64>, to: Giver<u64>) {
    while let Some(number) = from.recv() {
        if number % prime != 0 {
            to.send(number);
        }
    }
}

fn sieve(case: &Case) -> Outcome {
    /// More than there are filters.
    const POOL: usize = 3000;
    let case_of_body = case.clone();
    on_may(case, POOL, move || {
        fill_pool(POOL);
        case_of_body.warmed(|n| {
            let wanted = nth_prime(n);
            let region = Region::begin();
            let stop = Arc::new(AtomicBool::new(false));
            let (sender, mut last) = rendezvous();
            let stopped = stop.clone();
            let mut tasks = vec![spawn(move || generate(sender, stopped))];
            let mut prime = 0;
            for _ in 0..n {
                prime = last.recv().expect("the generator goes on");
                let (sender, receiver) = rendezvous();
                tasks.push(spawn(move || filter(prime, last, sender)));
                last = receiver;
            }
            stop.store(true, Relaxed);
            while last.recv().is_some() {}
            tasks.into_iter().for_each(joined);
            let outcome = region.end(n);
            assert_eq!(prime, wanted);
            outcome
        })
    })
}

// 15b: select_done

/// The arms of a receiver's select.
const MESSAGE: usize = 0;
const DONE: usize = 1;

fn consume_until(done: &SyncFlag, from: &Taker<u64>, n: u64) -> u64 {
    cqueue::scope(|queue| {
        queue.add(MESSAGE, |events| {
            while let Some(message) = from.peek() {
                events.send(message as usize);
                from.take();
            }
        });
        queue.add(DONE, |events| {
            done.wait();
            events.send(0);
        });
        let mut sum = 0;
        for _ in 0..n {
            let event = queue.poll(None).expect("arms go on");
            assert_eq!(event.token, MESSAGE, "nobody says it is done");
            sum += event.extra as u64;
        }
        sum
    })
}

fn select_done<const RECEIVERS: u64>(case: &Case) -> Outcome {
    warmed(case, |n| {
        let each = n / RECEIVERS;
        let region = Region::begin();
        let done = Arc::new(SyncFlag::new());
        let mut producers = Vec::new();
        let mut consumers = Vec::new();
        for _ in 0..RECEIVERS {
            let (sender, receiver) = rendezvous();
            let done = done.clone();
            producers.push(spawn(move || {
                (0..each).for_each(|message| sender.send(message));
            }));
            consumers.push(spawn(move || consume_until(&done, &receiver, each)));
        }
        producers.into_iter().for_each(joined);
        let sum: u64 = consumers.into_iter().map(joined).sum();
        let outcome = region.end(RECEIVERS * each);
        assert_eq!(sum, RECEIVERS * sum_below(each));
        outcome
    })
}

// 16: worker_pool

fn worker_pool(case: &Case) -> Outcome {
    warmed(case, |n| {
        let (job, jobs) = bounded::mpmc(CAPACITY);
        let (result, results) = bounded::mpsc(CAPACITY);
        let worker = |_| {
            let (jobs, result) = (jobs.clone(), result.clone());
            spawn(move || {
                while let Some(job) = jobs.recv() {
                    result.send(2 * job);
                }
            })
        };
        let workers: Vec<_> = (0..WORKERS).map(worker).collect();
        drop((jobs, result));

        let region = Region::begin();
        let producer = spawn(move || (0..n).for_each(|number| job.send(number)));
        let (mut count, mut sum) = (0, 0);
        while let Some(result) = results.recv() {
            count += 1;
            sum += result;
        }
        let outcome = region.end(n);
        joined(producer);
        workers.into_iter().for_each(joined);
        assert_eq!((count, sum), (n, 2 * sum_below(n)));
        outcome
    })
}
