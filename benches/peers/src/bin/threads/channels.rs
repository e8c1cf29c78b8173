//! Channels and a lock: crossbeam's and std's.

use crate::{Case, confine, joined, spawn};
use crossbeam_channel::{Receiver, Sender, bounded, select};
use raddle_peers::work::{CAPACITY, CONTENDERS, CROWD, RING, sum_below};
use raddle_peers::{NoOptions, Outcome, Region, Workload};
use std::sync::{Arc, Mutex};

pub const WORKLOADS: &[Workload<NoOptions>] = &[
    Workload::new("pingpong_unbuf", 100_000, pingpong_unbuf),
    Workload::new("ring", 100_000, ring),
    Workload::new("chan_spsc_buf", 5_000_000, chan_spsc_buf),
    Workload::new("chan_mpmc_buf", 4_000_000, chan_mpmc_buf),
    Workload::new("chan_spsc_unbuf", 200_000, chan_spsc_unbuf),
    Workload::new("select_fanin", 200_000, select_fanin),
    Workload::new("mutex_contended", 500_000, mutex_contended),
];

// 2: pingpong_unbuf

fn pingpong_unbuf(case: &Case) -> Outcome {
    confine(case);
    case.warmed(|n| {
        let region = Region::begin();
        let (ping, pinged) = bounded(0);
        let (pong, ponged) = bounded(0);
        let other = spawn(move || {
            for ball in pinged {
                pong.send(ball).expect("the player waits");
            }
        });
        for ball in 0..n {
            ping.send(ball).expect("the other plays");
            assert_eq!(ponged.recv(), Ok(ball));
        }
        drop(ping);
        joined(other);
        region.end(n)
    })
}

// 3: ring

/// Passes the token on, until it has made its hops.
fn pass_on(from: Receiver<u64>, to: Sender<u64>, arrived: Sender<()>) {
    for hops_left in from {
        if hops_left == 0 {
            return arrived.send(()).expect("somebody waits for it");
        }
        to.send(hops_left - 1).expect("the next one waits");
    }
}

fn ring(case: &Case) -> Outcome {
    confine(case);
    case.warmed(|n| {
        let (arrived, arrival) = bounded(0);
        let (first, mut from) = bounded(0);
        let mut threads = Vec::with_capacity(RING as usize);
        for _ in 1..RING {
            let (to, next) = bounded(0);
            let arrived = arrived.clone();
            threads.push(spawn(move || pass_on(from, to, arrived)));
            from = next;
        }
        let to = first.clone();
        threads.push(spawn(move || pass_on(from, to, arrived)));

        let region = Region::begin();
        first.send(n).expect("the first one waits");
        arrival.recv().expect("the token arrives");
        let outcome = region.end(n);

        // The last one has left: so does the next, and so on.
        drop(first);
        threads.into_iter().for_each(joined);
        outcome
    })
}

// 4, 5, 6: chan_*

fn one_to_one(case: &Case, capacity: usize) -> Outcome {
    confine(case);
    case.warmed(|n| {
        let region = Region::begin();
        let (sender, receiver) = bounded(capacity);
        let producer = spawn(move || {
            for message in 0..n {
                sender.send(message).expect("the consumer listens");
            }
        });
        let consumer = spawn(move || receiver.into_iter().sum::<u64>());
        joined(producer);
        let sum = joined(consumer);
        let outcome = region.end(n);
        assert_eq!(sum, sum_below(n));
        outcome
    })
}

fn chan_spsc_buf(case: &Case) -> Outcome {
    one_to_one(case, CAPACITY)
}

fn chan_spsc_unbuf(case: &Case) -> Outcome {
    one_to_one(case, 0)
}

fn chan_mpmc_buf(case: &Case) -> Outcome {
    confine(case);
    case.warmed(|n| {
        let each = n / CROWD;
        let region = Region::begin();
        let (sender, receiver) = bounded(CAPACITY);
        let producer = |_| {
            let sender = sender.clone();
            spawn(move || {
                for message in 0..each {
                    sender.send(message).expect("consumers listen");
                }
            })
        };
        let consumer = |_| {
            let receiver = receiver.clone();
            spawn(move || receiver.into_iter().sum::<u64>())
        };
        let producers: Vec<_> = (0..CROWD).map(producer).collect();
        let consumers: Vec<_> = (0..CROWD).map(consumer).collect();
        drop((sender, receiver));
        producers.into_iter().for_each(joined);
        let sum: u64 = consumers.into_iter().map(joined).sum();
        let outcome = region.end(CROWD * each);
        assert_eq!(sum, CROWD * sum_below(each));
        outcome
    })
}

// 7: select_fanin

fn select_fanin(case: &Case) -> Outcome {
    confine(case);
    case.warmed(|n| {
        let each = n / CROWD;
        let region = Region::begin();
        let (_never, done) = bounded::<()>(0);
        // One end of each stays here: who has ended does not disconnect.
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..CROWD).map(|_| bounded(0)).unzip();
        let producer = |sender: &Sender<u64>| {
            let sender = sender.clone();
            spawn(move || {
                for message in 0..each {
                    sender.send(message).expect("the consumer listens");
                }
            })
        };
        let producers: Vec<_> = senders.iter().map(producer).collect();
        let consumer = spawn(move || {
            let mut sum = 0;
            for _ in 0..CROWD * each {
                let message = select! {
                    recv(receivers[0]) -> message => message,
                    recv(receivers[1]) -> message => message,
                    recv(receivers[2]) -> message => message,
                    recv(receivers[3]) -> message => message,
                    recv(done) -> _ => unreachable!("nobody says so"),
                };
                sum += message.expect("there are senders");
            }
            sum
        });
        let sum: u64 = joined(consumer);
        producers.into_iter().for_each(joined);
        let outcome = region.end(CROWD * each);
        assert_eq!(sum, CROWD * sum_below(each));
        outcome
    })
}

// 8: mutex_contended

fn mutex_contended(case: &Case) -> Outcome {
    confine(case);
    case.warmed(|n| {
        let region = Region::begin();
        let count = Arc::new(Mutex::new(0));
        let contender = |_| {
            let count = count.clone();
            spawn(move || {
                for _ in 0..n {
                    *count.lock().expect("nobody panics") += 1;
                }
            })
        };
        let threads: Vec<_> = (0..CONTENDERS).map(contender).collect();
        threads.into_iter().for_each(joined);
        let outcome = region.end(CONTENDERS * n);
        assert_eq!(*count.lock().expect("nobody panics"), CONTENDERS * n);
        outcome
    })
}
