//! A selection that has begun and is not completed: dropped, forgotten,
//! completed late or with the wrong handle, or lost to a panic. Its partner
//! waits on and loses nothing.

mod common;
#[path = "common/places.rs"]
mod places;

use common::with_deadline;
use common::{MODES, ON_PURPOSE, Random, is_on_purpose, limit, rounds, runtime, seed};
use places::{Ledger, Value, alone_everywhere, at_each_place, dally};
use places::{until_a_receiver_waits, until_a_sender_waits};
use raddle::chan::{self, Receiver, Select, SelectedOperation, Sender, TryRecvError, select};
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

// ORDER: Relaxed; flags to stop by, and counts read after joins.

fn panics<T>(f: impl FnOnce() -> T) -> bool {
    catch_unwind(AssertUnwindSafe(f)).is_err()
}

/// A value whose making panics.
fn no_value(ledger: &Ledger) -> Value {
    if ledger.made() < u64::MAX {
        panic_any(ON_PURPOSE);
    }
    ledger.value(0)
}

/// Selects to receive; begun, and not completed.
fn begins_to_receive<'a>(list: &'a mut Select<'_>) -> SelectedOperation<'a> {
    list.try_select().expect("a partner waits")
}

#[test]
fn a_selection_dropped_unfinished_panics_and_takes_nothing() {
    alone_everywhere(limit(10), || {
        let ledger = Ledger::new();
        let (tx, rx) = chan::bounded(2);
        assert!(tx.send(ledger.value(1)).is_ok());
        assert!(tx.send(ledger.value(2)).is_ok());
        let mut list = Select::new();
        list.recv(&rx);
        for _ in 0..3 {
            assert!(panics(|| drop(list.select())));
            assert_eq!((rx.len(), ledger.dropped()), (2, 0));
        }
        assert_eq!(rx.recv().ok().map(|it| it.number), Some(1));
        let mut sends = Select::new();
        sends.send(&tx);
        for _ in 0..3 {
            assert!(panics(|| drop(sends.select())));
            assert_eq!(rx.len(), 1);
        }
        // Room and message are there as before.
        assert!(tx.try_send(ledger.value(3)).is_ok());
        let left: Vec<_> = rx.try_iter().map(|it| it.number).collect();
        assert_eq!(left, [2, 3]);
        ledger.settled("");
    });
}

#[test]
fn a_selection_completed_with_a_handle_it_was_not_made_of_panics() {
    alone_everywhere(limit(10), || {
        let (tx, rx) = chan::bounded::<u8>(2);
        let (other_tx, other_rx) = chan::bounded::<u8>(2);
        tx.send(1).unwrap();
        let mut receives = Select::new();
        receives.recv(&rx);
        assert!(panics(|| receives.select().recv(&other_rx)));
        let mut sends = Select::new();
        sends.send(&tx);
        assert!(panics(|| sends.select().send(&other_tx, 2)));
        assert!(other_rx.is_empty());
        assert_eq!(rx.try_iter().collect::<Vec<_>>(), [1]);
        tx.try_send(1).unwrap();
        tx.try_send(2).unwrap();
    });
}

/// A sender parked at a rendezvous, paired with a selection that is dropped,
/// comes to the front again and is received next.
#[test]
fn a_sender_whose_partner_gave_up_is_first_again() {
    at_each_place(limit(20), |place| {
        let (mut kept, all) = (0, rounds(8));
        for _ in 0..all {
            let ledger = Ledger::new();
            let (tx, rx) = chan::bounded(0);
            let begin = |n| {
                let (tx, value) = (tx.clone(), ledger.value(n));
                place.spawn(move || tx.send(value).is_ok())
            };
            let first = begin(1);
            let mut list = Select::new();
            list.recv(&rx);
            for _ in 0..3 {
                until_a_sender_waits(&rx);
                assert!(panics(|| drop(begins_to_receive(&mut list))));
                assert_eq!(ledger.dropped(), 0);
            }
            // The second comes while the first is paired.
            until_a_sender_waits(&rx);
            let operation = begins_to_receive(&mut list);
            let second = begin(2);
            until_a_sender_waits(&rx);
            assert!(panics(move || drop(operation)));
            // It needs a moment to be back.
            raddle::time::sleep(Duration::from_millis(1));
            let order = [rx.recv(), rx.recv()].map(|it| it.ok().unwrap().number);
            kept += u64::from(order == [1, 2]);
            assert_eq!(order.iter().sum::<u64>(), 3, "{}", place.name);
            assert!(first.end() && second.end());
            drop((tx, rx));
            ledger.settled(&place.name);
        }
        assert!(kept * 4 >= all * 3, "{kept} of {all}, {}", place.name);
    });
}

/// So with a receiver, when the value to send is never made.
#[test]
fn a_receiver_whose_partner_panics_waits_on() {
    at_each_place(limit(20), |place| {
        for round in 0..rounds(5) {
            let ledger = Ledger::new();
            let (tx, rx) = chan::bounded::<Value>(0);
            let receiver = place.spawn(move || match round % 2 {
                0 => rx.recv().ok().map(|it| it.number),
                _ => select! { recv(rx) -> it => it.ok().map(|it| it.number) },
            });
            until_a_receiver_waits(&tx);
            for _ in 0..3 {
                let panicked = catch_unwind(AssertUnwindSafe(|| {
                    select! {
                        send(tx, no_value(&ledger)) -> _ => {}
                        recv(chan::never::<u8>()) -> _ => {}
                    }
                }));
                assert!(is_on_purpose(panicked.unwrap_err().as_ref()));
                let mut list = Select::new();
                list.send(&tx);
                assert!(panics(|| drop(list.select())));
            }
            assert!(tx.send(ledger.value(7)).is_ok());
            assert_eq!(receiver.end(), Some(7), "{}", place.name);
            ledger.settled(&place.name);
        }
    });
}

/// A value that waits in a selection's channel while the value to send is
/// made, however long that takes: the partner parks, others go on.
#[test]
fn a_value_may_be_made_by_waiting_for_others() {
    at_each_place(limit(20), |place| {
        let (tx, rx) = chan::bounded(0);
        let receiver = place.spawn(move || rx.iter().sum::<u64>());
        let mut sum = 0;
        for n in 0..rounds(20) {
            let (part_tx, part) = chan::bounded(0);
            let member = place.spawn(move || part_tx.send(n).is_ok());
            select! {
                send(tx, {
                    raddle::yield_now();
                    part.recv().unwrap()
                }) -> res => res.unwrap(),
            }
            sum += n;
            assert!(member.end(), "{}", place.name);
        }
        drop(tx);
        assert_eq!(receiver.end(), sum, "{}", place.name);
    });
}

/// One who received sees what was sent later after what was sent before, also
/// while a selection has begun to receive and takes its time.
#[test]
fn messages_stay_in_order_beside_a_selection_that_is_late() {
    let begin = seed();
    at_each_place(limit(20), move |place| {
        let mut random = Random::new(begin);
        for round in 0..rounds(10) {
            for capacity in [Some(4), None] {
                let (tx, rx) = places::channel(capacity);
                tx.send(10).unwrap();
                let mut list = Select::new();
                list.recv(&rx);
                let operation = begins_to_receive(&mut list);
                let inner = rx.clone();
                let receiver = place.spawn(move || [inner.recv().unwrap(), inner.recv().unwrap()]);
                // Time to park there.
                dally(&mut random);
                raddle::time::sleep(random.micros(0..200));
                tx.send(11).unwrap();
                tx.send(12).unwrap();
                let [first, second] = receiver.end();
                assert!(first < second, "{first}, {second}, {}", place.name);
                let own = operation.recv(&rx).unwrap();
                let mut all = [first, second, own];
                all.sort_unstable();
                assert_eq!(all, [10, 11, 12], "{round}, {capacity:?}, {}", place.name);
            }
        }
    });
}

/// A selection may be completed when the other end has gone meanwhile.
#[test]
fn the_other_end_may_go_before_a_selection_is_completed() {
    at_each_place(limit(20), |place| {
        for closes in [false, true] {
            let ledger = Ledger::new();
            let (tx, rx) = chan::bounded(0);
            let (value, tx2) = (ledger.value(1), tx.clone());
            let sender = place.spawn(move || tx2.send(value).is_ok());
            until_a_sender_waits(&rx);
            let mut list = Select::new();
            list.recv(&rx);
            let operation = begins_to_receive(&mut list);
            if closes {
                tx.close();
            }
            drop(tx);
            // It has begun: the partner's value is this one's.
            let it = operation.recv(&rx);
            assert_eq!(it.ok().map(|it| it.number), Some(1), "{}", place.name);
            assert!(sender.end());
            ledger.settled(&place.name);
        }
    });
}

/// Neither undefined behaviour nor a value doubled: at most something leaks.
#[test]
fn a_forgotten_selection_doubles_nothing() {
    alone_everywhere(limit(10), || {
        let ledger = Ledger::new();
        let (tx, rx) = chan::bounded(3);
        (0..3).for_each(|n| assert!(tx.send(ledger.value(n)).is_ok()));
        let mut list = Select::new();
        list.recv(&rx);
        std::mem::forget(list.select());
        let seen: Vec<_> = rx.try_iter().map(|it| it.number).collect();
        assert_eq!(seen.len(), 2, "{seen:?}");
        let mut sends = Select::new();
        sends.send(&tx);
        std::mem::forget(sends.select());
        let mut sent = 0;
        while tx.try_send(ledger.value(10 + sent)).is_ok() {
            sent += 1;
        }
        assert!(sent <= 3, "{sent}");
        let rest: Vec<_> = rx.try_iter().map(|it| it.number).collect();
        let all: Vec<_> = seen.into_iter().chain(rest).collect();
        assert!(all.windows(2).all(|it| it[0] < it[1]), "{all:?}");
        drop((list, sends));
        drop((tx, rx));
        assert!(ledger.made() - ledger.dropped() <= 1);
    });
}

/// The partner of a forgotten selection may wait for ever; all the others,
/// and the end of the runtime, do not care.
#[test]
fn the_partner_of_a_forgotten_selection_holds_up_nobody_else() {
    for mode in MODES {
        with_deadline(limit(30), &format!("{mode:?}"), || {
            let runtime = runtime(mode, 2);
            let ledger = Ledger::new();
            let (tx, rx) = chan::bounded::<Value>(0);
            let (value, tx2) = (ledger.value(1), tx.clone());
            let done = Arc::new(AtomicBool::new(false));
            let sent = done.clone();
            drop(runtime.spawn(move || {
                let is_sent = tx2.send(value).is_ok();
                sent.store(is_sent, Relaxed);
            }));
            until_a_sender_waits(&rx);
            let mut list = Select::new();
            list.recv(&rx);
            std::mem::forget(list.select());
            drop(list);
            // The channel works for others.
            let (tx2, value) = (tx.clone(), ledger.value(2));
            let second = runtime.spawn(move || tx2.send(value).is_ok());
            let it = rx.recv().ok().unwrap().number;
            if it == 1 {
                // Forgetting gave it back.
                assert_eq!(rx.recv().ok().unwrap().number, 2);
            } else {
                assert!(!done.load(Relaxed));
            }
            assert!(second.join().unwrap());
            drop((tx, rx));
            let left = runtime.shutdown_timeout(Duration::from_millis(500));
            assert!(left <= 1);
            let leaked = ledger.made() - ledger.dropped();
            assert!(leaked <= left as u64, "{leaked} values, {left} goroutines");
        });
    }
}

/// Who asks whether somebody is there, without waiting, sees a rendezvous in
/// flight as a whole: the value arrives or stays, and never both or neither.
#[test]
fn asking_does_not_disturb_a_rendezvous_in_flight() {
    let begin = seed();
    at_each_place(limit(30), move |place| {
        let ledger = Ledger::new();
        let (tx, rx) = chan::bounded(0);
        let stop = Arc::new(AtomicBool::new(false));
        let taken = Arc::new(AtomicU64::new(0));
        let turns = rounds(100);
        let askers: Vec<_> = (0..3)
            .map(|n| {
                let (tx, rx): (Sender<Value>, Receiver<Value>) = (tx.clone(), rx.clone());
                let (stop, taken, ledger) = (stop.clone(), taken.clone(), ledger.clone());
                place.spawn(move || {
                    let mut random = Random::new(begin + n);
                    let mut sent = 0_u64;
                    while !stop.load(Relaxed) {
                        let got = match random.below(0..5) {
                            0 => rx.try_recv().is_ok(),
                            1 => select! {
                                recv(rx) -> it => { drop(it.ok().unwrap()); true }
                                default => false,
                            },
                            2 => {
                                let mut list = Select::new();
                                list.recv(&rx);
                                match list.try_select() {
                                    Ok(it) => {
                                        // In flight for a while.
                                        dally(&mut random);
                                        drop(it.recv(&rx).ok().unwrap());
                                        true
                                    }
                                    Err(_) => false,
                                }
                            }
                            3 => {
                                sent += u64::from(tx.try_send(ledger.value(n)).is_ok());
                                false
                            }
                            _ => {
                                let mut list = Select::new();
                                list.send(&tx);
                                if let Ok(it) = list.try_select() {
                                    dally(&mut random);
                                    assert!(it.send(&tx, ledger.value(n)).is_ok());
                                    sent += 1;
                                }
                                false
                            }
                        };
                        taken.fetch_add(u64::from(got), Relaxed);
                        raddle::yield_now();
                    }
                    sent
                })
            })
            .collect();
        let sender = {
            let (tx, ledger, stop) = (tx.clone(), ledger.clone(), stop.clone());
            let rx = rx.clone();
            place.spawn(move || {
                let mut received = 0_u64;
                for n in 0..turns {
                    assert!(tx.send(ledger.value(n)).is_ok());
                    received += u64::from(rx.recv_timeout(Duration::from_micros(50)).is_ok());
                }
                stop.store(true, Relaxed);
                received
            })
        };
        let received = sender.end();
        let sent: u64 = askers.into_iter().map(|it| it.end()).sum();
        let all = (turns + sent, taken.load(Relaxed) + received);
        assert_eq!(all.0, all.1, "seed {begin}, {}", place.name);
        assert_eq!(rx.try_recv().err(), Some(TryRecvError::Empty));
        ledger.settled(&place.name);
    });
}
