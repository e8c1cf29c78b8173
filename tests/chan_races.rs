//! Every value is moved exactly once, whoever races: sends and receives of
//! every kind, selects, timeouts, and handles that go.

mod common;
#[path = "common/places.rs"]
mod places;
#[path = "common/storm.rs"]
mod storm;

use common::{Random, limit, rounds, seed};
use places::{CAPACITIES, Ledger, Value, at_each_place, channel, dally};
use raddle::chan::{self, Select, select};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use storm::{End, storm};

// ORDER: Relaxed; flags to stop by, and counts read after joins.

const LONG: Duration = Duration::from_secs(1000);

#[test]
fn all_that_was_sent_is_received_when_senders_have_sent_enough() {
    let begin = seed();
    at_each_place(limit(60), move |place| {
        for capacity in CAPACITIES {
            for round in 0..rounds(2) {
                storm(place, capacity, End::Enough, 150, begin + round, |_, _| ());
            }
        }
    });
}

#[test]
fn nothing_is_lost_but_the_buffer_when_receivers_have_had_enough() {
    let begin = seed();
    at_each_place(limit(60), move |place| {
        for capacity in CAPACITIES {
            for round in 0..rounds(2) {
                storm(place, capacity, End::Leave, 100, begin + round, |_, _| ());
            }
        }
    });
}

/// Both may run out at once: it was sent if and only if it was received.
#[test]
fn timeouts_on_both_sides_agree() {
    let begin = seed();
    at_each_place(limit(30), move |place| {
        for capacity in [0, 1] {
            let ledger = Ledger::new();
            let (tx, rx) = chan::bounded(capacity);
            let turns = rounds(150);
            let sender = {
                let ledger = ledger.clone();
                place.spawn(move || {
                    let mut random = Random::new(begin);
                    let mut sent = 0_u64;
                    for n in 0..turns {
                        let wait = random.micros(0..60);
                        match n % 2 {
                            0 => sent += u64::from(tx.send_timeout(ledger.value(n), wait).is_ok()),
                            _ => select! {
                                send(tx, ledger.value(n)) -> res => sent += u64::from(res.is_ok()),
                                default(wait) => {}
                            },
                        }
                    }
                    sent
                })
            };
            let mut random = Random::new(begin + 1);
            let (mut received, mut n, mut last) = (0_u64, 0_u64, None);
            loop {
                n += 1;
                let wait = random.micros(0..60);
                let it = match n % 2 {
                    0 => rx.recv_timeout(wait),
                    _ => select! {
                        recv(rx) -> it => it.map_err(Into::into),
                        default(wait) => Err(chan::RecvTimeoutError::Timeout),
                    },
                };
                match it {
                    Ok(it) => {
                        assert!(last < Some(it.number), "order");
                        last = Some(it.number);
                        received += 1;
                    }
                    Err(it) if it.is_timeout() => {}
                    Err(_) => break,
                }
            }
            assert_eq!(
                sender.end(),
                received,
                "{capacity}, {begin}, {}",
                place.name
            );
            ledger.settled(&place.name);
        }
    });
}

/// A select over many channels whose senders all come at once takes one value
/// a time, from one of them.
#[test]
fn a_select_takes_from_one_of_those_who_come_at_once() {
    at_each_place(limit(30), |place| {
        for capacity in [0, 1] {
            let ledger = Ledger::new();
            let turns = rounds(50);
            let (txs, rxs): (Vec<_>, Vec<_>) = (0..4).map(|_| chan::bounded(capacity)).unzip();
            let (gate_tx, gate) = chan::bounded::<u64>(0);
            let senders: Vec<_> = txs
                .into_iter()
                .map(|tx| {
                    let (gate, ledger) = (gate.clone(), ledger.clone());
                    place.spawn(move || {
                        for turn in gate {
                            tx.send(ledger.value(turn)).ok().unwrap();
                        }
                    })
                })
                .collect();
            drop(gate);
            for turn in 0..turns {
                (0..4).for_each(|n| gate_tx.send(turn * 4 + n).unwrap());
                let before = ledger.dropped();
                for n in 1..=4 {
                    let it: Result<Value, _> = select! {
                        recv(rxs[0]) -> it => it,
                        recv(rxs[1]) -> it => it,
                        recv(rxs[2]) -> it => it,
                        recv(rxs[3]) -> it => it,
                    };
                    assert_eq!(it.ok().unwrap().number / 4, turn, "{}", place.name);
                    assert_eq!(ledger.dropped(), before + n);
                }
            }
            drop(gate_tx);
            senders.into_iter().for_each(|it| it.end());
            ledger.settled(&place.name);
        }
    });
}

/// The last two ends go at the same time, with and without messages.
#[test]
fn both_ends_may_go_at_once() {
    let begin = seed();
    at_each_place(limit(30), move |place| {
        let mut random = Random::new(begin);
        for round in 0..rounds(20) {
            for capacity in CAPACITIES {
                let ledger = Ledger::new();
                let (tx, rx) = channel(capacity);
                let filled = random.below(0..3);
                (0..filled).for_each(|n| drop(tx.try_send(ledger.value(n))));
                let (late_tx, late_rx) = (tx.clone(), rx.clone());
                let last = ledger.value(100);
                let members = [
                    place.spawn(move || drop(tx)),
                    place.spawn(move || drop(rx)),
                    place.spawn(move || drop(late_tx.try_send(last))),
                    place.spawn(move || drop(late_rx.try_recv())),
                ];
                members.into_iter().for_each(|it| it.end());
                ledger.settled(&format!("{round}, {capacity:?}, {}", place.name));
            }
        }
    });
}

/// Whoever sends while the last receiver goes gets his value back, or the
/// channel drops it.
#[test]
fn the_last_receiver_may_go_while_many_send() {
    let begin = seed();
    at_each_place(limit(30), move |place| {
        let mut random = Random::new(begin);
        for round in 0..rounds(10) {
            for capacity in CAPACITIES {
                let ledger = Ledger::new();
                let (tx, rx) = channel(capacity);
                let members: Vec<_> = (0..4)
                    .map(|n| {
                        let (tx, ledger) = (tx.clone(), ledger.clone());
                        place.spawn(move || {
                            for turn in 0_u64.. {
                                let value = ledger.value(turn * 4 + n);
                                let refused = match turn % 3 {
                                    0 => tx.send(value).err().map(|it| it.0),
                                    1 => select! {
                                        send(tx, value) -> res => res.err().map(|it| it.0),
                                    },
                                    _ => {
                                        let res = tx.send_timeout(value, LONG);
                                        res.err().map(chan::SendTimeoutError::into_inner)
                                    }
                                };
                                if let Some(it) = refused {
                                    assert_eq!(it.number, turn * 4 + n);
                                    break;
                                }
                            }
                        })
                    })
                    .collect();
                for _ in 0..random.below(0..10) {
                    drop(rx.recv().ok().unwrap());
                }
                dally(&mut random);
                drop(rx);
                members.into_iter().for_each(|it| it.end());
                drop(tx);
                ledger.settled(&format!("{round}, {capacity:?}, {}", place.name));
            }
        }
    });
}

/// Values wander over three channels by every kind of select, and none is
/// lost or doubled on the way.
#[test]
fn tokens_wander_and_their_number_stays() {
    const TOKENS: u64 = 12;
    let begin = seed();
    at_each_place(limit(30), move |place| {
        for capacities in [[1, 2, 8], [0, 1, 12], [0, 4, 12]] {
            let channels = capacities.map(chan::bounded::<u64>);
            let (home_tx, home) = chan::unbounded();
            let stop = Arc::new(AtomicBool::new(false));
            let moves = Arc::new(AtomicU64::new(0));
            let members: Vec<_> = (0..5)
                .map(|member| {
                    let (channels, home_tx) = (channels.clone(), home_tx.clone());
                    let (stop, moves) = (stop.clone(), moves.clone());
                    place.spawn(move || {
                        let mut random = Random::new(begin + member);
                        let [(tx1, rx1), (tx2, rx2), (tx3, rx3)] = &channels;
                        while !stop.load(Relaxed) {
                            let token = select! {
                                recv(rx1) -> it => it.unwrap(),
                                recv(rx2) -> it => it.unwrap(),
                                recv(rx3) -> it => it.unwrap(),
                                default(random.micros(0..500)) => continue,
                            };
                            moves.fetch_add(1, Relaxed);
                            let mut select = Select::new();
                            let mut targets = [tx1, tx2, tx3];
                            targets.rotate_left(random.below(0..3) as usize);
                            targets.iter().for_each(|tx| _ = select.send(tx));
                            match select.select_timeout(random.micros(0..500)) {
                                Ok(it) => {
                                    let index = it.index();
                                    it.send(targets[index], token).unwrap();
                                }
                                Err(_) => home_tx.send(token).unwrap(),
                            }
                        }
                    })
                })
                .collect();
            drop(home_tx);
            let mut away = TOKENS;
            (0..TOKENS).for_each(|token| channels[2].0.send_timeout(token, LONG).unwrap());
            while moves.load(Relaxed) < rounds(500) {
                // What came home starts again.
                select! {
                    recv(home) -> it => {
                        let token = it.unwrap();
                        if channels[1].0.send_timeout(token, LONG / 1000).is_err() {
                            away -= 1;
                        }
                    }
                    default(Duration::from_millis(1)) => {}
                }
            }
            stop.store(true, Relaxed);
            members.into_iter().for_each(|it| it.end());
            let inside: Vec<_> = channels
                .iter()
                .map(|(_, rx)| rx.try_iter().count())
                .collect();
            let count = inside.iter().sum::<usize>() + home.iter().count();
            assert_eq!(count as u64, away, "{inside:?}, {begin}, {}", place.name);
        }
    });
}
