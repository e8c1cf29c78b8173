//! Channels and a lock.
//!
//! may's channels are unbounded. Where one message at most is under way
//! anyway they are used as they are.

use crate::bounded::{self, rendezvous};
use crate::{Case, joined, spawn, warmed};
use may::cqueue;
use may::sync::{Mutex, SyncFlag, spsc};
use raddle_peers::work::{CAPACITY, CONTENDERS, CROWD, RING, sum_below};
use raddle_peers::{NoOptions, Outcome, Region, Workload};
use std::sync::Arc;

pub const WORKLOADS: &[Workload<NoOptions>] = &[
    Workload::new("pingpong_unbuf", 1_000_000, pingpong_unbuf),
    Workload::new("ring", 1_000_000, ring),
    Workload::new("chan_spsc_buf", 5_000_000, chan_spsc_buf),
    Workload::new("chan_mpmc_buf", 4_000_000, chan_mpmc_buf),
    Workload::new("chan_spsc_unbuf", 2_000_000, chan_spsc_unbuf),
    Workload::new("select_fanin", 1_000_000, select_fanin),
    Workload::new("mutex_contended", 500_000, mutex_contended),
];

// 2: pingpong_unbuf

fn pingpong_unbuf(case: &Case) -> Outcome {
    warmed(case, |n| {
        let region = Region::begin();
        let (ping, pinged) = spsc::channel();
        let (pong, ponged) = spsc::channel();
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
fn pass_on(from: spsc::Receiver<u64>, to: spsc::Sender<u64>, arrived: Arc<SyncFlag>) {
    for hops_left in from {
        if hops_left == 0 {
            return arrived.fire();
        }
        to.send(hops_left - 1).expect("the next one waits");
    }
}

fn ring(case: &Case) -> Outcome {
    warmed(case, |n| {
        let arrived = Arc::new(SyncFlag::new());
        let (first, mut from) = spsc::channel();
        let mut tasks = Vec::with_capacity(RING as usize);
        for _ in 1..RING {
            let (to, next) = spsc::channel();
            let arrived = arrived.clone();
            tasks.push(spawn(move || pass_on(from, to, arrived)));
            from = next;
        }

        // Its sender cannot be cloned: the last one gets it with the token.
        let region = Region::begin();
        first.send(n).expect("the first one waits");
        let flag = arrived.clone();
        tasks.push(spawn(move || pass_on(from, first, flag)));
        arrived.wait();
        let outcome = region.end(n);

        // The last one has left: so does the next, and so on.
        tasks.into_iter().for_each(joined);
        outcome
    })
}

// 4, 5, 6: chan_*

fn chan_spsc_buf(case: &Case) -> Outcome {
    warmed(case, |n| {
        let region = Region::begin();
        let (sender, receiver) = bounded::spsc(CAPACITY);
        let producer = spawn(move || (0..n).for_each(|message| sender.send(message)));
        let consumer = spawn(move || {
            let mut sum = 0;
            while let Some(message) = receiver.recv() {
                sum += message;
            }
            sum
        });
        joined(producer);
        let sum = joined(consumer);
        let outcome = region.end(n);
        assert_eq!(sum, sum_below(n));
        outcome
    })
}

fn chan_spsc_unbuf(case: &Case) -> Outcome {
    warmed(case, |n| {
        let region = Region::begin();
        let (sender, receiver) = rendezvous();
        let producer = spawn(move || (0..n).for_each(|message| sender.send(message)));
        let consumer = spawn(move || {
            let mut sum = 0;
            while let Some(message) = receiver.recv() {
                sum += message;
            }
            sum
        });
        joined(producer);
        let sum = joined(consumer);
        let outcome = region.end(n);
        assert_eq!(sum, sum_below(n));
        outcome
    })
}

fn chan_mpmc_buf(case: &Case) -> Outcome {
    warmed(case, |n| {
        let each = n / CROWD;
        let region = Region::begin();
        let (sender, receiver) = bounded::mpmc(CAPACITY);
        let producer = |_| {
            let sender = sender.clone();
            spawn(move || (0..each).for_each(|message| sender.send(message)))
        };
        let consumer = |_| {
            let receiver = receiver.clone();
            spawn(move || {
                let mut sum = 0;
                while let Some(message) = receiver.recv() {
                    sum += message;
                }
                sum
            })
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

/// What `cqueue` calls the arm that never fires.
const DONE: usize = usize::MAX;

fn select_fanin(case: &Case) -> Outcome {
    warmed(case, |n| {
        let each = n / CROWD;
        let region = Region::begin();
        let mut producers = Vec::new();
        let mut receivers = Vec::new();
        for _ in 0..CROWD {
            let (sender, receiver) = rendezvous();
            receivers.push(receiver);
            producers.push(spawn(move || {
                (0..each).for_each(|message| sender.send(message));
            }));
        }
        let consumer = spawn(move || {
            let done = SyncFlag::new();
            cqueue::scope(|queue| {
                for (arm, receiver) in receivers.iter().enumerate() {
                    queue.add(arm, |events| {
                        // Taken once the event has come out of the queue.
                        while let Some(message) = receiver.peek() {
                            events.send(message as usize);
                            receiver.take();
                        }
                    });
                }
                queue.add(DONE, |events| {
                    done.wait();
                    events.send(0);
                });
                let mut sum = 0;
                for _ in 0..CROWD * each {
                    let event = queue.poll(None).expect("arms go on");
                    assert_ne!(event.token, DONE, "nobody says so");
                    sum += event.extra as u64;
                }
                sum
            })
        });
        let sum = joined(consumer);
        producers.into_iter().for_each(joined);
        let outcome = region.end(CROWD * each);
        assert_eq!(sum, CROWD * sum_below(each));
        outcome
    })
}

// 8: mutex_contended

fn mutex_contended(case: &Case) -> Outcome {
    warmed(case, |n| {
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
        let tasks: Vec<_> = (0..CONTENDERS).map(contender).collect();
        tasks.into_iter().for_each(joined);
        let outcome = region.end(CONTENDERS * n);
        assert_eq!(*count.lock().expect("nobody panics"), CONTENDERS * n);
        outcome
    })
}
