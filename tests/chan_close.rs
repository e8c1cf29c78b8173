//! `close`: once, by anyone, whoever waits; what was sent before is received,
//! what comes after goes back.

mod common;
#[path = "common/places.rs"]
mod places;
#[path = "common/storm.rs"]
mod storm;

use common::{Random, limit, rounds, seed};
use places::{CAPACITIES, Ledger, alone_everywhere, at_each_place, channel, dally};
use places::{until_a_receiver_waits, until_a_sender_waits};
use raddle::chan::{self, Receiver, RecvError, RecvTimeoutError, Select, SendError, Sender};
use raddle::chan::{SendTimeoutError, TryRecvError, TrySendError, select};
use std::time::Duration;
use storm::{End, storm};

const LONG: Duration = Duration::from_secs(1000);

#[test]
fn the_call_that_closes_says_true_and_no_other() {
    alone_everywhere(limit(10), || {
        for capacity in CAPACITIES {
            let (tx, rx) = channel::<u8>(capacity);
            let (tx2, rx2) = (tx.clone(), rx.clone());
            assert!(!tx.is_closed() && !rx.is_closed());
            assert!(tx2.close());
            for _ in 0..3 {
                assert!(tx.is_closed() && tx2.is_closed());
                assert!(rx.is_closed() && rx2.is_closed());
                assert!(!tx.close() && !tx2.close());
            }
            assert!(tx.same_channel(&tx2));
            assert_eq!(tx.capacity(), capacity);
        }
    });
}

#[test]
fn later_sends_get_their_value_back() {
    alone_everywhere(limit(10), || {
        for capacity in CAPACITIES {
            let ledger = Ledger::new();
            let (tx, rx) = channel(capacity);
            tx.close();
            for _ in 0..2 {
                let back = tx.send(ledger.value(1)).unwrap_err();
                assert_eq!(back.0.number, 1);
                match tx.try_send(ledger.value(2)) {
                    Err(TrySendError::Disconnected(back)) => assert_eq!(back.number, 2),
                    _ => panic!("closed"),
                }
                for timeout in [Duration::ZERO, Duration::MAX] {
                    match tx.send_timeout(ledger.value(3), timeout) {
                        Err(SendTimeoutError::Disconnected(back)) => assert_eq!(back.number, 3),
                        _ => panic!("closed"),
                    }
                }
                select! {
                    send(tx, ledger.value(4)) -> res => assert!(res.is_err()),
                    default => panic!("closed is ready"),
                }
                select! {
                    recv(chan::never::<u8>()) -> _ => {}
                    send(tx, ledger.value(4)) -> res => assert!(res.is_err()),
                    default(LONG) => panic!("closed is ready"),
                }
                let mut list = Select::new();
                list.send(&tx);
                assert_eq!(list.try_ready(), Ok(0));
                assert!(list.select().send(&tx, ledger.value(5)).is_err());
            }
            drop((tx, rx));
            ledger.settled("");
        }
    });
}

#[test]
fn receivers_drain_what_is_there_and_then_end() {
    alone_everywhere(limit(10), || {
        for capacity in [Some(1), Some(2), Some(8), None] {
            let (tx, rx) = channel(capacity);
            let held = capacity.unwrap_or(9);
            (0..held).for_each(|n| tx.try_send(n).unwrap());
            assert!(tx.close());
            assert_eq!((rx.len(), tx.len()), (held, held));
            assert_eq!(tx.is_full(), capacity.is_some());
            // Full and closed is closed.
            assert_eq!(tx.try_send(99), Err(TrySendError::Disconnected(99)));
            for n in 0..held {
                let it = match n % 4 {
                    0 => rx.recv().ok(),
                    1 => rx.try_recv().ok(),
                    2 => rx.recv_timeout(Duration::ZERO).ok(),
                    _ => select! { recv(rx) -> it => it.ok(), default => None },
                };
                assert_eq!(it, Some(n));
            }
            assert!(rx.is_empty());
            assert_eq!(rx.recv(), Err(RecvError));
            assert_eq!(rx.try_recv(), Err(TryRecvError::Disconnected));
            assert_eq!(rx.recv_timeout(LONG), Err(RecvTimeoutError::Disconnected));
            assert_eq!((rx.iter().next(), rx.try_iter().next()), (None, None));
            select! {
                recv(rx) -> it => assert_eq!(it, Err(RecvError)),
                default => panic!("closed is ready"),
            }
            // The sender is there still; that changes nothing.
            drop(tx);
        }
    });
}

/// Room made by a receiver after the end is no room to send.
#[test]
fn a_closed_channel_takes_nothing_into_the_room_it_has() {
    alone_everywhere(limit(10), || {
        let (tx, rx) = chan::bounded(2);
        tx.send(1).unwrap();
        tx.send(2).unwrap();
        tx.close();
        assert_eq!(rx.recv(), Ok(1));
        assert_eq!(tx.send(3), Err(SendError(3)));
        assert_eq!(rx.into_iter().collect::<Vec<_>>(), [2]);
    });
}

#[test]
fn what_is_left_in_a_closed_channel_goes_with_it() {
    alone_everywhere(limit(10), || {
        for capacity in [Some(3), None] {
            let ledger = Ledger::new();
            let (tx, rx) = channel(capacity);
            (0..3).for_each(|n| assert!(tx.send(ledger.value(n)).is_ok()));
            tx.close();
            drop(tx);
            assert_eq!(ledger.dropped(), 0);
            drop(rx.recv());
            drop(rx);
            ledger.settled("");
        }
    });
}

type Await = fn(Receiver<usize>) -> bool;

const RECEIVERS: [(&str, Await); 6] = [
    ("recv", |rx| rx.recv() == Err(RecvError)),
    ("recv_timeout", |rx| {
        rx.recv_timeout(LONG) == Err(RecvTimeoutError::Disconnected)
    }),
    ("iter", |rx| rx.into_iter().next().is_none()),
    ("select", |rx| {
        select! {
            recv(rx) -> it => it.is_err(),
            recv(chan::never::<u8>()) -> _ => false,
        }
    }),
    ("select, default", |rx| {
        select! {
            recv(rx) -> it => it.is_err(),
            recv(rx) -> it => it.is_err(),
            default(LONG) => false,
        }
    }),
    ("ready", |rx| {
        let mut list = Select::new();
        list.recv(&rx);
        list.ready() == 0 && rx.try_recv() == Err(TryRecvError::Disconnected)
    }),
];

#[test]
fn close_wakes_all_who_wait_to_receive() {
    let begin = seed();
    at_each_place(limit(20), move |place| {
        let mut random = Random::new(begin);
        for capacity in CAPACITIES {
            for (name, wait) in RECEIVERS {
                for _ in 0..rounds(2) {
                    let (tx, rx) = channel(capacity);
                    let members: Vec<_> = (0..3)
                        .map(|_| {
                            let rx = rx.clone();
                            place.spawn(move || wait(rx))
                        })
                        .collect();
                    dally(&mut random);
                    if capacity == Some(0) && name != "ready" {
                        until_a_receiver_waits(&tx);
                    }
                    assert!(tx.close());
                    for member in members {
                        assert!(member.end(), "{name}, {capacity:?}, {}", place.name);
                    }
                    assert!(tx.is_closed());
                }
            }
        }
    });
}

type Offer = fn(Sender<usize>, usize) -> usize;

const SENDERS: [(&str, Offer); 4] = [
    ("send", |tx, n| tx.send(n).unwrap_err().0),
    ("send_timeout", |tx, n| match tx.send_timeout(n, LONG) {
        Err(SendTimeoutError::Disconnected(back)) => back,
        other => panic!("{other:?}"),
    }),
    ("select", |tx, n| {
        select! {
            send(tx, n) -> res => res.unwrap_err().0,
            recv(chan::never::<u8>()) -> _ => 0,
        }
    }),
    ("select, default", |tx, n| {
        select! {
            send(tx, n) -> res => res.unwrap_err().0,
            default(LONG) => 0,
        }
    }),
];

#[test]
fn close_wakes_all_who_wait_to_send_and_gives_their_values_back() {
    let begin = seed();
    at_each_place(limit(20), move |place| {
        let mut random = Random::new(begin);
        for capacity in [0, 1, 2] {
            for (name, offer) in SENDERS {
                for _ in 0..rounds(2) {
                    let (tx, rx) = chan::bounded(capacity);
                    (0..capacity).for_each(|n| tx.send(n).unwrap());
                    let members: Vec<_> = (100..103)
                        .map(|n| {
                            let tx = tx.clone();
                            place.spawn(move || offer(tx, n))
                        })
                        .collect();
                    dally(&mut random);
                    if capacity == 0 {
                        until_a_sender_waits(&rx);
                    }
                    assert!(tx.close());
                    for (n, member) in members.into_iter().enumerate() {
                        assert_eq!(member.end(), 100 + n, "{name}, {capacity}, {}", place.name);
                    }
                    // Theirs did not get in.
                    assert!(rx.iter().eq(0..capacity));
                }
            }
        }
    });
}

#[test]
fn one_of_many_who_close_at_once_has_closed() {
    at_each_place(limit(20), |place| {
        for capacity in CAPACITIES {
            for _ in 0..rounds(10) {
                let (tx, rx) = channel::<u8>(capacity);
                let members: Vec<_> = (0..4)
                    .map(|_| {
                        let tx = tx.clone();
                        place.spawn(move || tx.close())
                    })
                    .collect();
                let closed = members.into_iter().map(|it| it.end());
                assert_eq!(closed.filter(|&it| it).count(), 1, "{}", place.name);
                assert_eq!(rx.recv(), Err(RecvError));
            }
        }
    });
}

/// Whoever was told that his value was sent can be sure that it is received.
#[test]
fn close_races_with_everything_and_each_value_is_moved_once() {
    let begin = seed();
    at_each_place(limit(60), move |place| {
        for capacity in CAPACITIES {
            for round in 0..rounds(5) {
                let seed = begin + round;
                storm(place, capacity, End::Cut, 0, seed, |tx, rx| {
                    let mut random = Random::new(seed);
                    for _ in 0..random.below(1..20) {
                        dally(&mut random);
                    }
                    assert!(tx.close());
                    assert!(rx.is_closed());
                });
            }
        }
    });
}

/// A close and the last drop of either end, at once.
#[test]
fn close_may_race_with_the_end_of_either_side() {
    at_each_place(limit(30), |place| {
        for capacity in CAPACITIES {
            for round in 0..rounds(20) {
                let ledger = Ledger::new();
                let (tx, rx) = channel(capacity);
                drop(tx.try_send(ledger.value(round)));
                let (tx2, rx2) = (tx.clone(), rx.clone());
                let last = ledger.value(1000);
                let members = [
                    place.spawn(move || _ = tx.close()),
                    place.spawn(move || drop(rx)),
                    place.spawn(move || _ = tx2.send(last)),
                    place.spawn(move || rx2.iter().for_each(drop)),
                ];
                members.into_iter().for_each(|it| it.end());
                ledger.settled(&format!("{round}, {capacity:?}, {}", place.name));
            }
        }
    });
}

/// No end is the same as a closed channel: neither side has closed it.
#[test]
fn receivers_of_time_and_of_nothing_are_not_closed() {
    assert!(!chan::never::<u8>().is_closed());
    assert!(!chan::after(Duration::ZERO).is_closed());
    assert!(!chan::at(std::time::Instant::now()).is_closed());
    assert!(!chan::tick(LONG).is_closed());
}
