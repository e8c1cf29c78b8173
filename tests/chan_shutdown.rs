//! The end of a runtime whose goroutines wait at channels: each is unwound,
//! each destructor and each value is done with once, before `drop` returns.

mod common;
#[path = "common/places.rs"]
mod places;

use common::{MODES, OnDrop, Random, limit, rounds, runtime, seed, with_deadline};
use places::{Ledger, channel};
use raddle::chan::{self, Chan, Receiver, Select, Sender, TryRecvError, select};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

// ORDER: SeqCst for counts that are read after the drop of a runtime: what is
// tested is that drop orders them.

const LONG: Duration = Duration::from_secs(1000);

type Ends = (Sender<places::Value>, Receiver<places::Value>);
type Wait = fn(&Ends, &Ledger);

/// Ways to wait, at a channel that is full and at one that is empty.
const SENDS: [(&str, Wait); 4] = [
    ("send", |(tx, _), ledger| _ = tx.send(ledger.value(1))),
    ("send_timeout", |(tx, _), ledger| {
        _ = tx.send_timeout(ledger.value(2), LONG);
    }),
    ("select to send", |(tx, _), ledger| {
        let value = ledger.value(3);
        select! {
            send(tx, value) -> res => drop(res),
            recv(chan::never::<u8>()) -> _ => {}
        }
    }),
    ("select in a list", |(tx, _), ledger| {
        let value = ledger.value(4);
        let mut list = Select::new();
        list.send(tx);
        list.send(tx);
        drop(list.select().send(tx, value));
    }),
];

const RECVS: [(&str, Wait); 6] = [
    ("recv", |(_, rx), _| drop(rx.recv())),
    ("recv_timeout", |(_, rx), _| drop(rx.recv_timeout(LONG))),
    ("iter", |(_, rx), _| rx.iter().for_each(drop)),
    ("select", |(_, rx), _| {
        select! {
            recv(rx) -> it => drop(it),
            recv(chan::after(LONG)) -> _ => {}
        }
    }),
    ("select, default", |(_, rx), _| {
        select! {
            recv(rx) -> it => drop(it),
            default(LONG) => {}
        }
    }),
    ("ready", |(_, rx), _| {
        let mut list = Select::new();
        list.recv(rx);
        list.ready();
    }),
];

#[test]
fn who_waits_at_a_channel_is_unwound_and_its_values_are_dropped() {
    for mode in MODES {
        for procs in [1, 2, 4] {
            with_deadline(limit(30), &format!("{mode:?}, P = {procs}"), || {
                for capacity in [Some(0), Some(2), None] {
                    let ledger = Ledger::new();
                    let after = Arc::new(AtomicUsize::new(0));
                    let runtime = runtime(mode, procs);
                    let (begun_tx, begun) = chan::unbounded();
                    let mut count = 0;
                    let mut add = |ends: Ends, wait: Wait| {
                        let own = ledger.value(100 + count);
                        count += 1;
                        let (after, begun_tx) = (after.clone(), begun_tx.clone());
                        let ledger = ledger.clone();
                        drop(runtime.spawn(move || {
                            let _own = own;
                            begun_tx.send(()).unwrap();
                            wait(&ends, &ledger);
                            after.fetch_add(1, SeqCst);
                        }));
                    };
                    let empty: Ends = channel(capacity);
                    let full: Ends = channel(capacity);
                    while full.0.len() < 2 && full.0.try_send(ledger.value(9)).is_ok() {}
                    for (_, wait) in RECVS {
                        add(empty.clone(), wait);
                    }
                    if capacity.is_some() {
                        for (_, wait) in SENDS {
                            add(full.clone(), wait);
                        }
                    }
                    for _ in 0..count {
                        begun.recv().unwrap();
                    }
                    drop(runtime);
                    assert_eq!(after.load(SeqCst), 0, "some came back");
                    // Nobody waits there any more: the channels are as before.
                    assert_eq!(empty.1.try_recv().err(), Some(TryRecvError::Empty));
                    let held = full.1.try_iter().count();
                    assert_eq!(held, capacity.map_or(2, |it| it.min(2)));
                    if capacity.is_some() {
                        assert!(empty.0.is_full() || empty.0.try_send(ledger.value(5)).is_ok());
                    }
                    drop((empty, full));
                    ledger.settled("");
                }
            });
        }
    }
}

/// Whoever waits at the same channels and is not of that runtime goes on as
/// if the others had never come.
#[test]
fn partners_of_another_runtime_and_threads_are_not_disturbed() {
    for mode in MODES {
        with_deadline(limit(30), &format!("{mode:?}"), || {
            let other = runtime(mode, 2);
            for _ in 0..rounds(3) {
                let ledger = Ledger::new();
                let (tx, rx) = chan::bounded(0);
                let begin = |runtime: &raddle::runtime::Runtime| {
                    let rx = rx.clone();
                    runtime.spawn(move || rx.recv().ok().map(|it: places::Value| it.number))
                };
                let dying = runtime(mode, 2);
                let mut lost = Vec::new();
                let mut kept = Vec::new();
                let threads: Vec<_> = (0..4)
                    .map(|_| {
                        lost.push(begin(&dying));
                        kept.push(begin(&other));
                        let rx = rx.clone();
                        thread::spawn(move || rx.recv().ok().map(|it| it.number))
                    })
                    .collect();
                places::until_a_receiver_waits(&tx);
                drop(dying);
                (0..8).for_each(|n| assert!(tx.send(ledger.value(n)).is_ok()));
                let mut seen: Vec<_> = kept.into_iter().map(|it| it.join().unwrap()).collect();
                seen.extend(threads.into_iter().map(|it| it.join().unwrap()));
                seen.sort_unstable();
                assert!(seen.into_iter().eq((0..8).map(Some)));
                assert!(lost.into_iter().all(|it| it.join().is_err()));
                ledger.settled("");
            }
        });
    }
}

/// The runtime ends in the midst of traffic; values are with somebody, or
/// dropped, and none twice.
#[test]
fn a_runtime_may_end_in_the_midst_of_traffic() {
    let begin = seed();
    for mode in MODES {
        for procs in [1, 2, 4] {
            with_deadline(
                limit(60),
                &format!("{mode:?}, P = {procs}, {begin}"),
                || {
                    for round in 0..rounds(8) {
                        let mut random = Random::new(begin + round);
                        let ledger = Ledger::new();
                        let runtime = runtime(mode, procs);
                        let capacity = places::CAPACITIES[random.below(0..5) as usize];
                        let ((tx, rx), (tx2, rx2)) = (channel(capacity), channel(Some(1)));
                        for n in 0..6_u64 {
                            let (tx, rx, tx2, rx2) =
                                (tx.clone(), rx.clone(), tx2.clone(), rx2.clone());
                            let ledger = ledger.clone();
                            drop(runtime.spawn(move || {
                                for turn in 0.. {
                                    let value = ledger.value(turn * 6 + n);
                                    match n % 3 {
                                        0 => drop(tx.send(value)),
                                        1 => drop(rx.recv()),
                                        _ => select! {
                                            send(tx2, value) -> res => drop(res),
                                            recv(rx) -> it => drop(it),
                                            recv(rx2) -> it => drop(it),
                                        },
                                    }
                                    raddle::yield_now();
                                }
                            }));
                        }
                        // Threads that must come to no harm.
                        let thread = {
                            let (tx, ledger) = (tx.clone(), ledger.clone());
                            thread::spawn(move || {
                                for n in 0..20 {
                                    let wait = Duration::from_micros(50);
                                    drop(tx.send_timeout(ledger.value(n), wait));
                                }
                            })
                        };
                        thread::sleep(random.micros(0..2000));
                        drop(runtime);
                        thread.join().unwrap();
                        drop((tx, rx, tx2, rx2));
                        ledger.settled(&format!("round {round}"));
                    }
                },
            );
        }
    }
}

/// A destructor that runs because of the shutdown may use channels that need
/// nobody, and must not wait for ever at one that does.
#[test]
fn destructors_may_use_channels_while_their_runtime_ends() {
    for mode in MODES {
        with_deadline(limit(30), &format!("{mode:?}"), || {
            let runtime = runtime(mode, 2);
            let (tx, rx) = chan::unbounded();
            let (begun_tx, begun) = chan::unbounded();
            let all = 20;
            for n in 0..all {
                let (tx, begun_tx) = (tx.clone(), begun_tx.clone());
                drop(runtime.spawn(move || {
                    let own = Chan::<u64>::new(1);
                    let _sends = OnDrop(|| {
                        own.send(n);
                        assert_eq!(own.recv(), Some(n));
                        select! { send(tx, n) -> res => res.unwrap() }
                        tx.send(n).unwrap();
                    });
                    begun_tx.send(()).unwrap();
                    chan::never::<u8>().recv().unwrap();
                }));
            }
            (0..all).for_each(|_| begun.recv().unwrap());
            drop(runtime);
            assert_eq!(rx.len() as u64, 2 * all);
            drop(tx);
            assert_eq!(rx.iter().sum::<u64>(), all * (all - 1));
        });
    }
}
