//! Loops that never wait: whoever polls, or sends without end, must not keep
//! its partner from running, nor fill the memory meanwhile, at P = 1 either.

mod common;
#[path = "common/places.rs"]
mod places;

use common::{MODES, limit, on_runtimes, with_deadline};
use places::{channel, runnable};
use raddle::chan::{self, Receiver, Select, Sender, TryRecvError, select, select_biased};
use raddle::runtime::Runtime;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

// ORDER: Relaxed; counts that are read after joins.

/// What a partner may take: many times what the design promises, for there
/// are other processes.
const SOON: Duration = Duration::from_secs(15);

/// Runs two loops that need each other, the first of which polls. The second
/// begins before it, or has waited already, or is still to be started.
fn beside<A, B>(first: impl Fn() -> (A, B) + Send + Sync + Clone)
where
    A: FnOnce() + Send + 'static,
    B: FnOnce() + Send + 'static,
{
    let run = |runtime: Option<&Runtime>, what: &str| {
        let begin = Instant::now();
        let (polls, partner) = first();
        match runtime {
            None => {
                let partner = thread::spawn(partner);
                polls();
                partner.join().unwrap();
            }
            Some(runtime) => runtime.run(|| {
                let polls = raddle::spawn(polls);
                raddle::yield_now();
                partner();
                polls.join().unwrap();
            }),
        }
        let took = begin.elapsed();
        assert!(took < SOON, "{what}: {took:?}");
        // And the other way round: the partner is the younger one.
        if let Some(runtime) = runtime {
            let (polls, partner) = first();
            let begin = Instant::now();
            runtime.run(|| {
                let partner = raddle::spawn(partner);
                polls();
                partner.join().unwrap();
            });
            let took = begin.elapsed();
            assert!(took < SOON, "{what}, younger: {took:?}");
        }
    };
    let run = &run;
    with_deadline(limit(60), "threads", move || run(None, "threads"));
    on_runtimes(&[1], &MODES, limit(60), |runtime, what| {
        run(Some(runtime), what)
    });
}

/// Sends until nobody receives; how far it was ahead at most.
fn produces(tx: &Sender<u64>) -> usize {
    let (mut n, mut most) = (0, 0);
    while tx.send(n).is_ok() {
        n += 1;
        if n % 1024 == 0 {
            most = most.max(tx.len());
        }
    }
    most
}

#[test]
fn a_producer_without_end_lets_its_consumer_end_it() {
    let most = Arc::new(AtomicUsize::new(0));
    let inner = most.clone();
    beside(move || {
        let ((tx, rx), most) = (chan::unbounded(), inner.clone());
        (
            move || _ = most.fetch_max(produces(&tx), Relaxed),
            move || {
                for n in 0..1000 {
                    assert_eq!(rx.recv(), Ok(n));
                }
            },
        )
    });
    // Eight bytes each: some hundred megabytes are not sane.
    let most = most.load(Relaxed);
    assert!(most < 30_000_000, "{most} messages ahead");
}

/// A consumer that leaves again and again: each time it comes back soon.
#[test]
fn a_producer_without_end_lets_its_consumer_come_back() {
    beside(|| {
        let (tx, rx) = chan::unbounded();
        (
            move || assert!(produces(&tx) < 60_000_000),
            move || {
                for _ in 0..5 {
                    rx.recv().unwrap();
                    raddle::yield_now();
                    // It keeps up: all there is, a turn.
                    let there = rx.len();
                    assert_eq!(rx.try_iter().take(there).count(), there);
                }
            },
        )
    });
}

#[test]
fn two_producers_without_end_do_not_keep_out_a_third() {
    beside(|| {
        let (tx, rx) = chan::unbounded();
        let tx2 = tx.clone();
        (
            move || {
                let other = raddle::spawn(move || _ = produces(&tx2));
                produces(&tx);
                other.join().unwrap();
            },
            move || {
                assert_eq!(rx.iter().take(100).count(), 100);
            },
        )
    });
}

type Poll = fn(&Receiver<u64>) -> Option<u64>;

/// Ways to ask for a message again and again; each is a loop of its own.
const POLLS: [(&str, Poll); 9] = [
    ("try_recv", |rx| {
        loop {
            match rx.try_recv() {
                Ok(it) => return Some(it),
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => return None,
            }
        }
    }),
    ("try_iter", |rx| {
        loop {
            if let Some(it) = rx.try_iter().next() {
                return Some(it);
            }
        }
    }),
    ("default", |rx| {
        loop {
            select! {
                recv(rx) -> it => return it.ok(),
                default => {}
            }
        }
    }),
    ("default of two", |rx| {
        loop {
            select! {
                recv(rx) -> it => return it.ok(),
                recv(chan::never::<u64>()) -> _ => unreachable!(),
                default => {}
            }
        }
    }),
    ("biased default", |rx| {
        loop {
            select_biased! {
                recv(rx) -> it => return it.ok(),
                default => {}
            }
        }
    }),
    ("default of no time", |rx| {
        loop {
            select! {
                recv(rx) -> it => return it.ok(),
                default(Duration::ZERO) => {}
            }
        }
    }),
    ("timeout of no time", |rx| {
        loop {
            match rx.recv_timeout(Duration::ZERO) {
                Ok(it) => return Some(it),
                Err(it) if it.is_timeout() => {}
                Err(_) => return None,
            }
        }
    }),
    ("try_select", |rx| {
        loop {
            let mut list = Select::new();
            list.recv(rx);
            if let Ok(it) = list.try_select() {
                return it.recv(rx).ok();
            }
        }
    }),
    ("try_ready", |rx| {
        loop {
            let mut list = Select::new();
            list.recv(rx);
            if list.try_ready().is_ok() {
                return rx.try_recv().ok();
            }
        }
    }),
];

#[test]
fn who_polls_for_a_message_lets_it_be_sent() {
    for (name, poll) in POLLS {
        eprintln!("{name}");
        beside(move || {
            let (tx, rx) = chan::bounded(1);
            (
                move || (0..5).for_each(|n| assert_eq!(poll(&rx), Some(n), "{name}")),
                move || {
                    for n in 0..5 {
                        tx.send(n).unwrap();
                        raddle::yield_now();
                    }
                },
            )
        });
    }
}

#[test]
fn who_polls_a_rendezvous_finds_who_waits_there() {
    for (name, poll) in POLLS {
        if name == "try_ready" {
            // It takes nothing: its `try_recv` may come too late.
            continue;
        }
        beside(move || {
            let (tx, rx) = chan::bounded(0);
            (
                move || (0..5).for_each(|n| assert_eq!(poll(&rx), Some(n), "{name}")),
                move || (0..5).for_each(|n| tx.send(n).unwrap()),
            )
        });
    }
}

#[test]
fn who_polls_for_room_lets_it_be_made() {
    type Push = fn(&Sender<u64>, u64) -> bool;
    const PUSHES: [(&str, Push); 4] = [
        ("try_send", |tx, n| tx.try_send(n).is_ok()),
        ("timeout", |tx, n| {
            tx.send_timeout(n, Duration::ZERO).is_ok()
        }),
        ("default", |tx, n| {
            select! {
                send(tx, n) -> res => res.is_ok(),
                default => false,
            }
        }),
        ("default of no time", |tx, n| {
            select_biased! {
                send(tx, n) -> res => res.is_ok(),
                default(Duration::ZERO) => false,
            }
        }),
    ];
    for (name, push) in PUSHES {
        for capacity in [0, 1] {
            beside(move || {
                let (tx, rx) = chan::bounded(capacity);
                (
                    move || (0..5).for_each(|n| while !push(&tx, n) {}),
                    move || {
                        for n in 0..5 {
                            assert_eq!(rx.recv(), Ok(n), "{name}, {capacity}");
                            raddle::yield_now();
                        }
                    },
                )
            });
        }
    }
}

/// Asking for what another is to make so, in a loop.
#[allow(clippy::len_zero, reason = "len is what is asked")]
#[test]
fn who_asks_in_a_loop_lets_it_come_true() {
    type Ask = fn(&Sender<u64>, &Receiver<u64>) -> bool;
    type Make = fn(&Sender<u64>, &Receiver<u64>);
    fn send(tx: &Sender<u64>, _: &Receiver<u64>) {
        tx.send(1).unwrap();
    }
    fn close(tx: &Sender<u64>, _: &Receiver<u64>) {
        tx.close();
    }
    const ASKS: [(&str, Ask, Make); 8] = [
        ("Receiver::is_empty", |_, rx| !rx.is_empty(), send),
        ("Receiver::len", |_, rx| rx.len() > 0, send),
        ("Receiver::is_full", |_, rx| rx.is_full(), send),
        ("Receiver::is_closed", |_, rx| rx.is_closed(), close),
        ("Sender::is_empty", |tx, _| !tx.is_empty(), send),
        ("Sender::len", |tx, _| tx.len() > 0, send),
        ("Sender::is_full", |tx, _| tx.is_full(), send),
        ("Sender::is_closed", |tx, _| tx.is_closed(), close),
    ];
    on_runtimes(&[1], &MODES, limit(60), |runtime, what| {
        for (name, ask, make) in ASKS {
            let begin = Instant::now();
            runtime.run(|| {
                let (tx, rx) = chan::bounded(1);
                let (tx2, rx2) = (tx.clone(), rx.clone());
                let partner = runnable(move || make(&tx2, &rx2));
                while !ask(&tx, &rx) {}
                partner.join().unwrap();
            });
            let took = begin.elapsed();
            assert!(took < SOON, "{what}, {name}: {took:?}");
        }
    });
}

#[test]
fn who_asks_whether_a_goroutine_is_finished_lets_it_finish() {
    on_runtimes(&[1], &MODES, limit(60), |runtime, what| {
        let begin = Instant::now();
        runtime.run(|| {
            let (begun_tx, begun) = chan::bounded(0);
            let handle = raddle::spawn(move || {
                begun_tx.send(()).unwrap();
                raddle::yield_now();
            });
            // It is at home here now.
            begun.recv().unwrap();
            while !handle.is_finished() {}
            handle.join().unwrap();
        });
        let took = begin.elapsed();
        assert!(took < SOON, "{what}: {took:?}");
    });
}

#[test]
fn who_asks_whether_a_scoped_goroutine_is_finished_lets_it_finish() {
    on_runtimes(&[1], &MODES, limit(60), |runtime, what| {
        let begin = Instant::now();
        runtime.run(|| {
            let (begun_tx, begun) = chan::bounded(0);
            raddle::scope(|s| {
                let handle = s.spawn(move || {
                    begun_tx.send(()).unwrap();
                    raddle::yield_now();
                });
                // It is at home here now.
                begun.recv().unwrap();
                while !handle.is_finished() {}
            });
        });
        let took = begin.elapsed();
        assert!(took < SOON, "{what}: {took:?}");
    });
}

/// Neither with sends that may fail: into a channel without a limit they fail
/// only when nobody receives any more.
#[test]
fn a_producer_that_only_tries_lets_its_consumer_end_it() {
    type Push = fn(&Sender<u64>, u64) -> bool;
    const PUSHES: [(&str, Push); 3] = [
        ("try_send", |tx, n| tx.try_send(n).is_ok()),
        ("default", |tx, n| {
            select! {
                send(tx, n) -> res => res.is_ok(),
                default => unreachable!("there is always room"),
            }
        }),
        ("try_select", |tx, n| {
            let mut list = Select::new();
            list.send(tx);
            list.try_select().unwrap().send(tx, n).is_ok()
        }),
    ];
    for (name, push) in PUSHES {
        let most = Arc::new(AtomicUsize::new(0));
        let inner = most.clone();
        beside(move || {
            let ((tx, rx), most) = (chan::unbounded(), inner.clone());
            (
                move || {
                    let mut n = 0;
                    while push(&tx, n) {
                        n += 1;
                    }
                    most.fetch_max(n as usize, Relaxed);
                },
                move || {
                    for n in 0..1000 {
                        assert_eq!(rx.recv(), Ok(n));
                    }
                },
            )
        });
        let most = most.load(Relaxed);
        assert!(most < 60_000_000, "{name}: {most} messages ahead");
    }
}

/// Both poll: each exchange needs a turn of either.
#[test]
fn pollers_on_both_sides_come_on() {
    beside(|| {
        let ((tx, rx), (back, backed)) = (channel(Some(1)), channel(None));
        (
            move || {
                for n in 0..5 {
                    let it = loop {
                        if let Ok(it) = rx.try_recv() {
                            break it;
                        }
                    };
                    assert_eq!(it, n);
                    back.send(n).unwrap();
                }
            },
            move || {
                for n in 0..5 {
                    while tx.try_send(n).is_err() {}
                    while select! { recv(backed) -> it => it != Ok(n), default => true } {}
                }
            },
        )
    });
}

/// The loop of many a program: work, and a look at `done` in between.
#[test]
fn who_looks_at_done_between_its_work_lets_it_be_closed() {
    beside(|| {
        let (done_tx, done) = chan::bounded::<()>(0);
        (
            move || {
                let mut turns = 0_u64;
                loop {
                    select! {
                        recv(done) -> _ => break,
                        default => turns += 1,
                    }
                }
                assert!(turns < u64::MAX);
            },
            move || {
                raddle::yield_now();
                drop(done_tx);
            },
        )
    });
}

/// Hundreds of pollers beside one that works: slower, but it comes on.
#[test]
fn a_crowd_of_pollers_lets_one_work() {
    beside(|| {
        let (tx, rx) = chan::unbounded::<u64>();
        (
            move || {
                let members: Vec<_> = (0..20)
                    .map(|_| {
                        let rx = rx.clone();
                        raddle::spawn(move || {
                            while !matches!(rx.try_recv(), Err(TryRecvError::Disconnected)) {}
                        })
                    })
                    .collect();
                members.into_iter().for_each(|it| it.join().unwrap());
            },
            move || (0..20).for_each(|n| tx.send(n).unwrap()),
        )
    });
}
