//! Programs made of goroutines and channels.

use crate::{Case, joined, warmed};
use raddle::chan::{Receiver, Sender, bounded};
use raddle::{go, select, spawn};
use raddle_peers::work::{CAPACITY, CHILDREN, SMALL_TREE, WORKERS, nth_prime, sum_below};
use raddle_peers::{Outcome, Region, Workload};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

pub const WORKLOADS: &[Workload<crate::Own>] = &[
    Workload::new("skynet", 1_000_000, |case| trees(case, u64::MAX, 0)),
    Workload::new("skynet_cap10", 1_000_000, |case| trees(case, u64::MAX, 10)),
    Workload::new("skynet_10k", 100_000, |case| trees(case, SMALL_TREE, 0)),
    Workload::new("sieve", 2000, sieve),
    Workload::new("select_done_1", 1_000_000, select_done::<1>),
    Workload::new("select_done_4", 1_000_000, select_done::<4>),
    Workload::new("select_done_16", 1_000_000, select_done::<16>),
    Workload::new("select_done_64", 1_000_000, select_done::<64>),
    Workload::new("worker_pool", 1_000_000, worker_pool),
];

// 12: skynet

/// Sends up the sum of `size` leaves.
fn node(up: Sender<u64>, first: u64, size: u64, capacity: usize) {
    if size == 1 {
        return up.send(first).expect("the parent waits");
    }
    let (sender, receiver) = bounded(capacity);
    let each = size / CHILDREN;
    for child in 0..CHILDREN {
        go!(node(sender.clone(), first + child * each, each, capacity));
    }
    let sum = receiver.iter().take(CHILDREN as usize).sum();
    up.send(sum).expect("the parent waits");
}

/// Trees of at most `leaves` each, of channels of this capacity.
fn trees(case: &Case, leaves: u64, capacity: usize) -> Outcome {
    warmed(case, |n| {
        let leaves = leaves.min(n);
        let trees = n / leaves;
        let region = Region::begin();
        for _ in 0..trees {
            let (sender, receiver) = bounded(capacity);
            go!(node(sender, 0, leaves, capacity));
            assert_eq!(receiver.recv(), Ok(sum_below(leaves)));
        }
        region.end(n).with_mean_ms("total_ms", trees)
    })
}

// 15: sieve

fn generate(to: Sender<u64>, stop: Arc<AtomicBool>) {
    for number in 2.. {
        if stop.load(Relaxed) {
            return;
        }
        to.send(number).expect("the first filter listens");
    }
}

fn filter(prime: u64, from: Receiver<u64>, to: Sender<u64>) {
    for number in from {
        if number % prime != 0 {
            to.send(number).expect("the next filter listens");
        }
    }
}

fn sieve(case: &Case) -> Outcome {
    warmed(case, |n| {
        let wanted = nth_prime(n);
        let region = Region::begin();
        let stop = Arc::new(AtomicBool::new(false));
        let (sender, mut last) = bounded(0);
        let mut goroutines = vec![go!(generate(sender, stop.clone()))];
        let mut prime = 0;
        for _ in 0..n {
            prime = last.recv().expect("the generator goes on");
            let (sender, receiver) = bounded(0);
            goroutines.push(go!(filter(prime, last, sender)));
            last = receiver;
        }
        stop.store(true, Relaxed);
        last.into_iter().for_each(drop);
        goroutines.into_iter().for_each(joined);
        let outcome = region.end(n);
        assert_eq!(prime, wanted);
        outcome
    })
}

// 15b: select_done

fn consume_until(done: &Receiver<()>, from: &Receiver<u64>) -> u64 {
    let mut sum = 0;
    loop {
        select! {
            recv(from) -> message => match message {
                Ok(message) => sum += message,
                Err(_) => return sum,
            },
            recv(done) -> _ => unreachable!("nobody says so"),
        }
    }
}

fn select_done<const RECEIVERS: u64>(case: &Case) -> Outcome {
    warmed(case, |n| {
        let each = n / RECEIVERS;
        let region = Region::begin();
        let (_never, done) = bounded::<()>(0);
        let mut producers = Vec::new();
        let mut consumers = Vec::new();
        for _ in 0..RECEIVERS {
            let (sender, receiver) = bounded(0);
            let done = done.clone();
            producers.push(spawn(move || {
                for message in 0..each {
                    sender.send(message).expect("its receiver listens");
                }
            }));
            consumers.push(spawn(move || consume_until(&done, &receiver)));
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
        let (job, jobs) = bounded(CAPACITY);
        let (result, results) = bounded(CAPACITY);
        let worker = |_| {
            let (jobs, result) = (jobs.clone(), result.clone());
            spawn(move || {
                for job in jobs {
                    result.send(2 * job).expect("somebody collects");
                }
            })
        };
        let workers: Vec<_> = (0..WORKERS).map(worker).collect();
        drop((jobs, result));

        let region = Region::begin();
        let producer = spawn(move || {
            for number in 0..n {
                job.send(number).expect("workers listen");
            }
        });
        let (mut count, mut sum) = (0, 0);
        for result in results {
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
