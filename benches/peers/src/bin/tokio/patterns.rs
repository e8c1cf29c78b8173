//! Programs made of tasks and channels.

use crate::{Boxed, Case, joined, warmed};
use raddle_peers::work::{CAPACITY, CHILDREN, SMALL_TREE, WORKERS, nth_prime, sum_below};
use raddle_peers::{Outcome, Region, Workload};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use tokio::sync::mpsc;
use tokio::{pin, select};
use tokio_util::sync::CancellationToken;

pub const WORKLOADS: &[Workload<crate::Own>] = &[
    Workload::new("skynet", 1_000_000, |case| skynet::<1>(case, None)),
    Workload::new("skynet_cap10", 1_000_000, |case| skynet::<10>(case, None)),
    Workload::new("skynet_10k", 100_000, |case| {
        skynet::<1>(case, Some(SMALL_TREE))
    }),
    Workload::new("sieve", 2000, sieve),
    Workload::new("select_done_1", 1_000_000, select_done::<1>),
    Workload::new("select_done_4", 1_000_000, select_done::<4>),
    Workload::new("select_done_16", 1_000_000, select_done::<16>),
    Workload::new("select_done_64", 1_000_000, select_done::<64>),
    Workload::new("worker_pool", 1_000_000, worker_pool),
];

// 12: skynet, its channels of capacity `CAP`

/// The sum of `size` leaves. Boxed, as it calls itself; a leaf needs no box.
fn node<const CAP: usize>(first: u64, size: u64) -> Boxed<u64> {
    Box::pin(async move {
        let (sender, mut receiver) = mpsc::channel(CAP);
        let each = size / CHILDREN;
        for child in 0..CHILDREN {
            let (sender, first) = (sender.clone(), first + child * each);
            if each == 1 {
                tokio::spawn(async move { sender.send(first).await });
            } else {
                let child = node::<CAP>(first, each);
                tokio::spawn(async move { sender.send(child.await).await });
            }
        }
        let mut sum = 0;
        for _ in 0..CHILDREN {
            sum += receiver.recv().await.expect("children answer");
        }
        sum
    })
}

/// Trees of `leaves` each: one of all, if none is said.
fn skynet<const CAP: usize>(case: &Case, leaves: Option<u64>) -> Outcome {
    warmed(case, move |n| async move {
        let leaves = leaves.unwrap_or(n);
        let trees = n / leaves;
        let region = Region::begin();
        for _ in 0..trees {
            let sum = joined(tokio::spawn(node::<CAP>(0, leaves))).await;
            assert_eq!(sum, sum_below(leaves));
        }
        region.end(n).with_mean_ms("total_ms", trees)
    })
}

// 15: sieve

fn sieve(case: &Case) -> Outcome {
    async fn generate(to: mpsc::Sender<u64>, stop: Arc<AtomicBool>) {
        for number in 2.. {
            if stop.load(Relaxed) {
                return;
            }
            to.send(number).await.expect("the first filter listens");
        }
    }
    async fn filter(prime: u64, mut from: mpsc::Receiver<u64>, to: mpsc::Sender<u64>) {
        while let Some(number) = from.recv().await {
            if number % prime != 0 {
                to.send(number).await.expect("the next filter listens");
            }
        }
    }
    warmed(case, |n| async move {
        let wanted = nth_prime(n);
        let region = Region::begin();
        let stop = Arc::new(AtomicBool::new(false));
        let (sender, mut last) = mpsc::channel(1);
        let mut tasks = vec![tokio::spawn(generate(sender, stop.clone()))];
        let mut prime = 0;
        for _ in 0..n {
            prime = last.recv().await.expect("the generator goes on");
            let (sender, receiver) = mpsc::channel(1);
            tasks.push(tokio::spawn(filter(prime, last, sender)));
            last = receiver;
        }
        stop.store(true, Relaxed);
        while last.recv().await.is_some() {}
        for task in tasks {
            joined(task).await;
        }
        let outcome = region.end(n);
        assert_eq!(prime, wanted);
        outcome
    })
}

// 15b: select_done

fn select_done<const RECEIVERS: u64>(case: &Case) -> Outcome {
    warmed(case, |n| async move {
        let each = n / RECEIVERS;
        let region = Region::begin();
        let done = CancellationToken::new();
        let mut producers = Vec::new();
        let mut consumers = Vec::new();
        for _ in 0..RECEIVERS {
            let (sender, mut receiver) = mpsc::channel(1);
            let done = done.clone();
            producers.push(tokio::spawn(async move {
                for message in 0..each {
                    sender.send(message).await.expect("its receiver listens");
                }
            }));
            consumers.push(tokio::spawn(async move {
                let mut sum = 0;
                let done = done.cancelled();
                pin!(done);
                loop {
                    select! {
                        message = receiver.recv() => match message {
                            Some(message) => sum += message,
                            None => return sum,
                        },
                        () = &mut done => unreachable!("nobody says so"),
                    }
                }
            }));
        }
        for producer in producers {
            joined(producer).await;
        }
        let mut sum = 0;
        for consumer in consumers {
            sum += joined(consumer).await;
        }
        let outcome = region.end(RECEIVERS * each);
        assert_eq!(sum, RECEIVERS * sum_below(each));
        outcome
    })
}

// 16: worker_pool

fn worker_pool(case: &Case) -> Outcome {
    warmed(case, |n| async move {
        let (job, jobs) = async_channel::bounded(CAPACITY);
        let (result, mut results) = mpsc::channel(CAPACITY);
        let mut workers = Vec::new();
        for _ in 0..WORKERS {
            let (jobs, result) = (jobs.clone(), result.clone());
            workers.push(tokio::spawn(async move {
                while let Ok(job) = jobs.recv().await {
                    result.send(2 * job).await.expect("somebody collects");
                }
            }));
        }
        drop((jobs, result));

        let region = Region::begin();
        let producer = tokio::spawn(async move {
            for number in 0..n {
                job.send(number).await.expect("workers listen");
            }
        });
        let mut sum = 0;
        let mut count = 0;
        while let Some(result) = results.recv().await {
            sum += result;
            count += 1;
        }
        let outcome = region.end(n);
        joined(producer).await;
        for worker in workers {
            joined(worker).await;
        }
        assert_eq!((count, sum), (n, 2 * sum_below(n)));
        outcome
    })
}
