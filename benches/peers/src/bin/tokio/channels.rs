//! Channels and a lock.
//!
//! tokio has no channel without a buffer: one of capacity 1 stands in, where
//! a send may run one ahead. `flume` has, and works on any runtime.

use crate::{Case, Countdown, joined, warmed};
use raddle_peers::work::{CAPACITY, CONTENDERS, CROWD, RING, sum_below};
use raddle_peers::{Outcome, Region, Workload};
use std::sync::Arc;
use tokio::select;
use tokio::sync::{Mutex, mpsc, oneshot};

pub const WORKLOADS: &[Workload<crate::Own>] = &[
    Workload::new("pingpong_unbuf", 1_000_000, pingpong_unbuf),
    Workload::new("ring", 1_000_000, ring),
    Workload::new("chan_spsc_buf", 5_000_000, chan_spsc_buf),
    Workload::new("chan_mpmc_buf", 4_000_000, chan_mpmc_buf),
    Workload::new("chan_mpmc_buf_flume", 4_000_000, chan_mpmc_buf_flume),
    Workload::new("chan_spsc_unbuf", 2_000_000, chan_spsc_unbuf),
    Workload::new("chan_spsc_unbuf_flume0", 2_000_000, chan_spsc_unbuf_flume0),
    Workload::new("select_fanin", 1_000_000, select_fanin),
    Workload::new("mutex_contended", 500_000, mutex_contended),
];

// 2: pingpong_unbuf

fn pingpong_unbuf(case: &Case) -> Outcome {
    async fn pass(n: u64) -> Outcome {
        let region = Region::begin();
        let (ping, mut pinged) = mpsc::channel(1);
        let (pong, mut ponged) = mpsc::channel(1);
        let other = tokio::spawn(async move {
            while let Some(ball) = pinged.recv().await {
                pong.send(ball).await.expect("the player waits");
            }
        });
        for ball in 0..n {
            ping.send(ball).await.expect("the other plays");
            assert_eq!(ponged.recv().await, Some(ball));
        }
        drop(ping);
        joined(other).await;
        region.end(n)
    }
    warmed(case, pass)
}

// 3: ring

fn ring(case: &Case) -> Outcome {
    /// Passes the token on, until it has made its hops.
    async fn pass_on(
        mut from: mpsc::Receiver<u64>,
        to: mpsc::Sender<u64>,
        arrived: Arc<Countdown>,
    ) {
        while let Some(hops_left) = from.recv().await {
            if hops_left == 0 {
                return arrived.done();
            }
            to.send(hops_left - 1).await.expect("the next one waits");
        }
    }
    async fn pass(n: u64) -> Outcome {
        let arrived = Countdown::from(1);
        let (first, mut from) = mpsc::channel(1);
        let mut tasks = Vec::with_capacity(RING as usize);
        for _ in 1..RING {
            let (to, next) = mpsc::channel(1);
            tasks.push(tokio::spawn(pass_on(from, to, arrived.clone())));
            from = next;
        }
        tasks.push(tokio::spawn(pass_on(from, first.clone(), arrived.clone())));

        let region = Region::begin();
        first.send(n).await.expect("the first one waits");
        arrived.wait().await;
        let outcome = region.end(n);

        // The last one has left: so does the next, and so on.
        drop(first);
        for task in tasks {
            joined(task).await;
        }
        outcome
    }
    warmed(case, pass)
}

// 4, 5, 6: chan_*

async fn one_to_one(n: u64, capacity: usize) -> Outcome {
    let region = Region::begin();
    let (sender, mut receiver) = mpsc::channel(capacity);
    let producer = tokio::spawn(async move {
        for message in 0..n {
            sender.send(message).await.expect("the consumer listens");
        }
    });
    let consumer = tokio::spawn(async move {
        let mut sum = 0;
        while let Some(message) = receiver.recv().await {
            sum += message;
        }
        sum
    });
    joined(producer).await;
    let sum = joined(consumer).await;
    let outcome = region.end(n);
    assert_eq!(sum, sum_below(n));
    outcome
}

fn chan_spsc_buf(case: &Case) -> Outcome {
    warmed(case, |n| one_to_one(n, CAPACITY))
}

fn chan_spsc_unbuf(case: &Case) -> Outcome {
    warmed(case, |n| one_to_one(n, 1))
}

fn chan_spsc_unbuf_flume0(case: &Case) -> Outcome {
    async fn pass(n: u64) -> Outcome {
        let region = Region::begin();
        let (sender, receiver) = flume::bounded(0);
        let producer = tokio::spawn(async move {
            for message in 0..n {
                let sent = sender.send_async(message).await;
                sent.expect("the consumer listens");
            }
        });
        let consumer = tokio::spawn(async move {
            let mut sum = 0;
            while let Ok(message) = receiver.recv_async().await {
                sum += message;
            }
            sum
        });
        joined(producer).await;
        let sum = joined(consumer).await;
        let outcome = region.end(n);
        assert_eq!(sum, sum_below(n));
        outcome
    }
    warmed(case, pass)
}

fn chan_mpmc_buf(case: &Case) -> Outcome {
    async fn pass(n: u64) -> Outcome {
        let each = n / CROWD;
        let region = Region::begin();
        let (sender, receiver) = async_channel::bounded(CAPACITY);
        let mut producers = Vec::new();
        let mut consumers = Vec::new();
        for _ in 0..CROWD {
            let (sender, receiver) = (sender.clone(), receiver.clone());
            producers.push(tokio::spawn(async move {
                for message in 0..each {
                    sender.send(message).await.expect("consumers listen");
                }
            }));
            consumers.push(tokio::spawn(async move {
                let mut sum = 0;
                while let Ok(message) = receiver.recv().await {
                    sum += message;
                }
                sum
            }));
        }
        drop((sender, receiver));
        for producer in producers {
            joined(producer).await;
        }
        let mut sum = 0;
        for consumer in consumers {
            sum += joined(consumer).await;
        }
        let outcome = region.end(CROWD * each);
        assert_eq!(sum, CROWD * sum_below(each));
        outcome
    }
    warmed(case, pass)
}

fn chan_mpmc_buf_flume(case: &Case) -> Outcome {
    async fn pass(n: u64) -> Outcome {
        let each = n / CROWD;
        let region = Region::begin();
        let (sender, receiver) = flume::bounded(CAPACITY);
        let mut producers = Vec::new();
        let mut consumers = Vec::new();
        for _ in 0..CROWD {
            let (sender, receiver) = (sender.clone(), receiver.clone());
            producers.push(tokio::spawn(async move {
                for message in 0..each {
                    let sent = sender.send_async(message).await;
                    sent.expect("consumers listen");
                }
            }));
            consumers.push(tokio::spawn(async move {
                let mut sum = 0;
                while let Ok(message) = receiver.recv_async().await {
                    sum += message;
                }
                sum
            }));
        }
        drop((sender, receiver));
        for producer in producers {
            joined(producer).await;
        }
        let mut sum = 0;
        for consumer in consumers {
            sum += joined(consumer).await;
        }
        let outcome = region.end(CROWD * each);
        assert_eq!(sum, CROWD * sum_below(each));
        outcome
    }
    warmed(case, pass)
}

// 7: select_fanin

fn select_fanin(case: &Case) -> Outcome {
    async fn pass(n: u64) -> Outcome {
        let each = n / CROWD;
        let region = Region::begin();
        let (_never, mut done) = oneshot::channel::<()>();
        let mut producers = Vec::new();
        let mut producer = || {
            let (sender, receiver) = mpsc::channel(1);
            producers.push(tokio::spawn(async move {
                for message in 0..each {
                    sender.send(message).await.expect("the consumer listens");
                }
            }));
            receiver
        };
        let (mut a, mut b, mut c, mut d) = (producer(), producer(), producer(), producer());
        let consumer = tokio::spawn(async move {
            let mut sum = 0;
            for _ in 0..CROWD * each {
                // Of a producer that has ended the arm does not match.
                sum += select! {
                    Some(message) = a.recv() => message,
                    Some(message) = b.recv() => message,
                    Some(message) = c.recv() => message,
                    Some(message) = d.recv() => message,
                    _ = &mut done => unreachable!("nobody says so"),
                };
            }
            sum
        });
        let sum = joined(consumer).await;
        for producer in producers {
            joined(producer).await;
        }
        let outcome = region.end(CROWD * each);
        assert_eq!(sum, CROWD * sum_below(each));
        outcome
    }
    warmed(case, pass)
}

// 8: mutex_contended

fn mutex_contended(case: &Case) -> Outcome {
    async fn pass(n: u64) -> Outcome {
        let region = Region::begin();
        let count = Arc::new(Mutex::new(0));
        let tasks: Vec<_> = (0..CONTENDERS)
            .map(|_| {
                let count = count.clone();
                tokio::spawn(async move {
                    for _ in 0..n {
                        *count.lock().await += 1;
                    }
                })
            })
            .collect();
        for task in tasks {
            joined(task).await;
        }
        let outcome = region.end(CONTENDERS * n);
        assert_eq!(*count.lock().await, CONTENDERS * n);
        outcome
    }
    warmed(case, pass)
}
