//! Channels between partners who wait for each other: who may be ahead of
//! whom, in what order messages come, and what the last end leaves behind.

mod common;
#[path = "common/places.rs"]
mod places;

use common::{Random, limit, rounds, seed};
use places::{CAPACITIES, Ledger, at_each_place, channel, dally};
use places::{until_a_receiver_waits, until_a_sender_waits};
use raddle::chan::{self, Receiver, RecvError, RecvTimeoutError, SendError, Sender};
use raddle::chan::{SendTimeoutError, TryRecvError, select};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use std::time::Duration;

// ORDER: Relaxed where a channel should have ordered the word, which is what
// is tested; SeqCst where partners compare how far they are.

const LONG: Duration = Duration::from_secs(1000);

/// What a send wrote before, who received it sees; with a rendezvous, or a
/// full buffer, so the other way round.
#[test]
fn a_message_brings_along_what_was_written_before() {
    at_each_place(limit(20), |place| {
        for capacity in CAPACITIES {
            let (tx, rx) = channel(capacity);
            let word = Arc::new(AtomicUsize::new(0));
            let writer = {
                let word = word.clone();
                let turns = rounds(100) as usize;
                place.spawn(move || {
                    for n in 1..=turns {
                        word.store(n, Relaxed);
                        tx.send(n).unwrap();
                    }
                })
            };
            for n in rx {
                assert!(word.load(Relaxed) >= n, "{}", place.name);
            }
            writer.end();
        }
    });
}

/// With room for `n`, a sender is never more than `n` ahead of those who have
/// come to receive; a rendezvous returns when somebody is there.
#[test]
fn a_sender_is_ahead_by_the_capacity_at_most() {
    at_each_place(limit(20), |place| {
        for capacity in [0, 1, 2, 8] {
            let (tx, rx) = chan::bounded(capacity);
            let came = Arc::new(AtomicUsize::new(0));
            let turns = rounds(100) as usize;
            let receiver = {
                let came = came.clone();
                place.spawn(move || {
                    for n in 0..turns {
                        came.fetch_add(1, SeqCst);
                        assert_eq!(rx.recv(), Ok(n));
                    }
                })
            };
            for n in 0..turns {
                tx.send(n).unwrap();
                let ahead = (n + 1).saturating_sub(came.load(SeqCst));
                assert!(ahead <= capacity, "{ahead}, {capacity}, {}", place.name);
            }
            receiver.end();
        }
    });
}

/// Each sender's messages come in its order, whoever else sends.
#[test]
fn messages_of_one_sender_stay_in_order() {
    let begin = seed();
    at_each_place(limit(30), move |place| {
        for capacity in CAPACITIES {
            let (tx, rx) = channel(capacity);
            let turns = rounds(50);
            let senders: Vec<_> = (0..5_u64)
                .map(|sender| {
                    let tx = tx.clone();
                    place.spawn(move || {
                        let mut random = Random::new(begin + sender);
                        for n in 0..turns {
                            match random.below(0..4) {
                                0 => tx.send_timeout((sender, n), LONG).unwrap(),
                                1 => select! {
                                    send(tx, (sender, n)) -> res => res.unwrap(),
                                },
                                2 => {
                                    let mut back = (sender, n);
                                    while let Err(it) = tx.try_send(back) {
                                        back = it.into_inner();
                                        raddle::yield_now();
                                    }
                                }
                                _ => tx.send((sender, n)).unwrap(),
                            }
                        }
                    })
                })
                .collect();
            drop(tx);
            let mut next = [0; 5];
            for (sender, n) in rx {
                let next = &mut next[sender as usize];
                assert_eq!(n, *next, "{sender}, {capacity:?}, {}", place.name);
                *next += 1;
            }
            assert_eq!(next, [turns; 5], "{capacity:?}, {}", place.name);
            senders.into_iter().for_each(|sender| sender.end());
        }
    });
}

/// Many receivers: each sees a part of the stream, in order.
#[test]
fn each_receiver_sees_its_part_in_order() {
    at_each_place(limit(30), |place| {
        for capacity in CAPACITIES {
            let (tx, rx) = channel(capacity);
            let turns = rounds(200) as usize;
            let receivers: Vec<_> = (0..4)
                .map(|n| {
                    let rx = rx.clone();
                    place.spawn(move || match n {
                        0 => rx.iter().collect::<Vec<_>>(),
                        1 => std::iter::from_fn(|| rx.recv_timeout(LONG).ok()).collect(),
                        2 => std::iter::from_fn(|| select! { recv(rx) -> it => it.ok() }).collect(),
                        _ => rx.into_iter().collect(),
                    })
                })
                .collect();
            drop(rx);
            (0..turns).for_each(|n| tx.send(n).unwrap());
            drop(tx);
            let mut all = Vec::new();
            for (n, receiver) in receivers.into_iter().enumerate() {
                let part = receiver.end();
                assert!(
                    part.is_sorted(),
                    "{n}, {capacity:?}, {}: {part:?}",
                    place.name
                );
                all.extend(part);
            }
            all.sort_unstable();
            assert!(all.into_iter().eq(0..turns), "{capacity:?}, {}", place.name);
        }
    });
}

type Await = fn(Receiver<usize>) -> bool;

/// Ways to wait for a message that never comes; whether it ended so.
const RECEIVERS: [Await; 5] = [
    |rx| rx.recv() == Err(RecvError),
    |rx| rx.recv_timeout(LONG) == Err(RecvTimeoutError::Disconnected),
    |rx| rx.into_iter().next().is_none(),
    |rx| select! { recv(rx) -> it => it.is_err() },
    |rx| {
        select! {
            recv(rx) -> it => it.is_err(),
            recv(chan::never::<u8>()) -> _ => false,
            default(LONG) => false,
        }
    },
];

#[test]
fn receivers_wake_when_the_last_sender_goes() {
    let begin = seed();
    at_each_place(limit(20), move |place| {
        let mut random = Random::new(begin);
        for capacity in CAPACITIES {
            for _ in 0..rounds(5) {
                let (tx, rx) = channel(capacity);
                let members: Vec<_> = (0..10)
                    .map(|n| {
                        let rx = rx.clone();
                        place.spawn(move || RECEIVERS[n % 5](rx))
                    })
                    .collect();
                let tx2 = tx.clone();
                drop(tx);
                dally(&mut random);
                if capacity == Some(0) {
                    until_a_receiver_waits(&tx2);
                }
                drop(tx2);
                for member in members {
                    assert!(member.end(), "{capacity:?}, {}", place.name);
                }
            }
        }
    });
}

type Offer = fn(Sender<usize>, usize) -> usize;

/// Ways to offer a value that nobody takes; what came back.
const SENDERS: [Offer; 4] = [
    |tx, n| {
        let SendError(back) = tx.send(n).unwrap_err();
        back
    },
    |tx, n| match tx.send_timeout(n, LONG) {
        Err(SendTimeoutError::Disconnected(back)) => back,
        other => panic!("{other:?}"),
    },
    |tx, n| select! { send(tx, n) -> res => res.unwrap_err().0 },
    |tx, n| {
        select! {
            recv(chan::never::<u8>()) -> _ => 0,
            send(tx, n) -> res => res.unwrap_err().into_inner(),
            default(Duration::MAX) => 0,
        }
    },
];

#[test]
fn senders_wake_with_their_value_when_the_last_receiver_goes() {
    let begin = seed();
    at_each_place(limit(20), move |place| {
        let mut random = Random::new(begin);
        for capacity in [0, 1, 2, 8] {
            for _ in 0..rounds(5) {
                let (tx, rx) = chan::bounded(capacity);
                (0..capacity).for_each(|n| tx.send(n).unwrap());
                let members: Vec<_> = (0..8)
                    .map(|n| {
                        let tx = tx.clone();
                        place.spawn(move || SENDERS[n % 4](tx, 100 + n))
                    })
                    .collect();
                let rx2 = rx.clone();
                drop(rx);
                dally(&mut random);
                if capacity == 0 {
                    until_a_sender_waits(&rx2);
                }
                drop(rx2);
                for (n, member) in members.into_iter().enumerate() {
                    assert_eq!(member.end(), 100 + n, "{capacity}, {}", place.name);
                }
            }
        }
    });
}

/// Senders who wait at a full buffer whose receivers drain it and then go:
/// what the buffer took has arrived, the rest has come back.
#[test]
fn every_value_arrives_or_comes_back_when_receivers_leave() {
    let begin = seed();
    at_each_place(limit(20), move |place| {
        let mut random = Random::new(begin);
        for capacity in [0, 1, 2, 8] {
            for _ in 0..rounds(10) {
                let ledger = Ledger::new();
                let (tx, rx) = chan::bounded(capacity);
                let members: Vec<_> = (0..12)
                    .map(|n| {
                        let (tx, value) = (tx.clone(), ledger.value(n));
                        place.spawn(move || tx.send(value).err().map(|it| it.0.number))
                    })
                    .collect();
                let mut seen: Vec<_> = (0..random.below(0..12))
                    .map(|_| rx.recv().unwrap().number)
                    .collect();
                let taken = seen.len();
                drop(rx);
                let back: Vec<_> = members.into_iter().filter_map(|it| it.end()).collect();
                let lost = 12 - taken - back.len();
                assert!(lost <= capacity, "{lost}, {capacity}, {}", place.name);
                seen.extend(back);
                seen.sort_unstable();
                seen.dedup();
                assert_eq!(seen.len(), 12 - lost);
                drop(tx);
                ledger.settled(&place.name);
            }
        }
    });
}

#[test]
fn a_handle_cloned_and_dropped_wakes_nobody() {
    let begin = seed();
    at_each_place(limit(20), move |place| {
        let mut random = Random::new(begin);
        for capacity in CAPACITIES {
            let (tx, rx) = channel(capacity);
            let members: Vec<_> = (0..3)
                .map(|_| {
                    let rx = rx.clone();
                    place.spawn(move || rx.recv())
                })
                .collect();
            for _ in 0..20 {
                drop((tx.clone(), rx.clone()));
                dally(&mut random);
            }
            (0..3).for_each(|n| tx.send(n).unwrap());
            let mut seen: Vec<_> = members.into_iter().map(|it| it.end().unwrap()).collect();
            seen.sort_unstable();
            assert_eq!(seen, [0, 1, 2], "{capacity:?}, {}", place.name);
        }
    });
}

/// Two words, two channels, strict turns.
#[test]
fn partners_take_turns() {
    at_each_place(limit(20), |place| {
        for capacity in CAPACITIES {
            let ((ping, pinged), (pong, ponged)) = (channel(capacity), channel(capacity));
            let turns = rounds(200);
            let partner = place.spawn(move || {
                for n in &pinged {
                    pong.send(n + 1).unwrap();
                }
            });
            for n in 0..turns {
                ping.send(n).unwrap();
                assert_eq!(ponged.recv(), Ok(n + 1), "{}", place.name);
                assert_eq!(ponged.try_recv(), Err(TryRecvError::Empty));
            }
            drop(ping);
            partner.end();
            assert_eq!(ponged.recv(), Err(RecvError));
        }
    });
}

/// Each filter passes on what its number does not divide.
#[test]
fn a_chain_of_filters_leaves_the_primes() {
    at_each_place(limit(30), |place| {
        for capacity in [Some(0), Some(3), None] {
            let (tx, mut rx) = channel::<u32>(capacity);
            let mut members = vec![place.spawn(move || {
                for n in 2.. {
                    if tx.send(n).is_err() {
                        break;
                    }
                }
            })];
            let mut primes = Vec::new();
            for _ in 0..15 {
                let prime = rx.recv().unwrap();
                primes.push(prime);
                let (tx, next) = channel(capacity);
                let numbers = std::mem::replace(&mut rx, next);
                members.push(place.spawn(move || {
                    for n in numbers.iter().filter(|n| !n.is_multiple_of(prime)) {
                        if tx.send(n).is_err() {
                            break;
                        }
                    }
                }));
                if capacity.is_none() {
                    break;
                }
            }
            // The chain ends from its far end.
            drop(rx);
            members.into_iter().for_each(|it| it.end());
            assert!([2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47].starts_with(&primes));
        }
    });
}

/// A question carries the way back with it.
#[test]
fn answers_come_on_channels_that_were_sent_along() {
    at_each_place(limit(20), |place| {
        for capacity in CAPACITIES {
            let (ask, asked) = channel::<(u64, Sender<u64>)>(capacity);
            let server = place.spawn(move || {
                for (n, answer) in asked {
                    // Whoever asked may have left.
                    let _gone = answer.send(n * n);
                }
            });
            let members: Vec<_> = (0..5)
                .map(|n| {
                    let ask = ask.clone();
                    place.spawn(move || {
                        for turn in 0..rounds(10) {
                            let (answer, answered) = chan::bounded(n);
                            ask.send((turn, answer)).unwrap();
                            if turn % 3 == 2 {
                                continue;
                            }
                            assert_eq!(answered.recv(), Ok(turn * turn));
                            assert_eq!(answered.recv(), Err(RecvError));
                        }
                    })
                })
                .collect();
            drop(ask);
            members.into_iter().for_each(|it| it.end());
            server.end();
        }
    });
}

/// `Duration::MAX` is for ever, and ends when the partner comes.
#[test]
fn the_longest_timeout_ends_when_a_partner_comes() {
    at_each_place(limit(20), |place| {
        for capacity in CAPACITIES {
            let (tx, rx) = channel(capacity);
            let (back, backed) = channel(capacity);
            let partner = place.spawn(move || {
                for n in 0..20 {
                    assert_eq!(rx.recv_timeout(Duration::MAX), Ok(n));
                    select! {
                        send(back, n) -> res => res.unwrap(),
                        default(Duration::MAX) => panic!("for ever"),
                    }
                }
            });
            for n in 0..20 {
                tx.send_timeout(n, Duration::MAX).unwrap();
                select! {
                    recv(backed) -> it => assert_eq!(it, Ok(n)),
                    default(Duration::MAX) => panic!("for ever"),
                }
            }
            partner.end();
        }
    });
}
