//! Programs made of threads and crossbeam's channels.

use crate::{Case, confine, joined, spawn};
use crossbeam_channel::{Receiver, Sender, bounded, select};
use raddle_peers::work::{CAPACITY, CHILDREN, SMALL_TREE, WORKERS, nth_prime, sum_below};
use raddle_peers::{NoOptions, Outcome, Region, Workload};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

pub const WORKLOADS: &[Workload<NoOptions>] = &[
    Workload::new("skynet_10k", 10_000, skynet_10k),
    Workload::new("sieve", 200, sieve),
    Workload::new("select_done_1", 200_000, select_done::<1>),
    Workload::new("select_done_4", 200_000, select_done::<4>),
    Workload::new("select_done_16", 200_000, select_done::<16>),
    Workload::new("select_done_64", 200_000, select_done::<64>),
    Workload::new("worker_pool", 200_000, worker_pool),
];

// 12: skynet

/// The sum of `size` leaves, sent up.
fn node(first: u64, size: u64, up: &Sender<u64>) {
    if size == 1 {
        return up.send(first).expect("the parent waits");
    }
    let (sender, receiver) = bounded(0);
    let each = size / CHILDREN;
    let threads: Vec<_> = (0..CHILDREN)
        .map(|child| {
            let sender = sender.clone();
            spawn(move || node(first + child * each, each, &sender))
        })
        .collect();
    let sum = receiver.iter().take(CHILDREN as usize).sum();
    threads.into_iter().for_each(joined);
    up.send(sum).expect("the parent waits");
}

/// More than this many leaves are more threads than the kernel allows.
fn skynet_10k(case: &Case) -> Outcome {
    confine(case);
    case.warmed(|n| {
        let leaves = n.min(SMALL_TREE);
        let trees = n / leaves;
        let region = Region::begin();
        for _ in 0..trees {
            let (sender, receiver) = bounded(0);
            let root = spawn(move || node(0, leaves, &sender));
            assert_eq!(receiver.recv(), Ok(sum_below(leaves)));
            joined(root);
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
    confine(case);
    case.warmed(|n| {
        let wanted = nth_prime(n);
        let region = Region::begin();
        let stop = Arc::new(AtomicBool::new(false));
        let (sender, mut last) = bounded(0);
        let stopped = stop.clone();
        let mut threads = vec![spawn(move || generate(sender, stopped))];
        let mut prime = 0;
        for _ in 0..n {
            prime = last.recv().expect("the generator goes on");
            let (sender, receiver) = bounded(0);
            threads.push(spawn(move || filter(prime, last, sender)));
            last = receiver;
        }
        stop.store(true, Relaxed);
        last.into_iter().for_each(drop);
        threads.into_iter().for_each(joined);
        let outcome = region.end(n);
        assert_eq!(prime, wanted);
        outcome
    })
}

// 15b: select_done

fn select_done<const RECEIVERS: u64>(case: &Case) -> Outcome {
    confine(case);
    case.warmed(|n| {
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
            consumers.push(spawn(move || {
                let mut sum = 0;
                loop {
                    select! {
                        recv(receiver) -> message => match message {
                            Ok(message) => sum += message,
                            Err(_) => return sum,
                        },
                        recv(done) -> _ => unreachable!("nobody says so"),
                    }
                }
            }));
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
    confine(case);
    case.warmed(|n| {
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
