//! Channels between plain threads alone: small, so that an interpreter that
//! knows neither stacks nor the netpoller can run it (`.ci/sanitizers miri`).

#![cfg(not(raddle_model))]

use raddle_chan::{Receiver, Sender, bounded, select, unbounded};
use std::thread;
use std::time::Duration;

const MESSAGES: u32 = 12;
/// Longer than any test lasts.
const LONG: Duration = Duration::from_secs(1000);

fn channel(capacity: Option<usize>) -> (Sender<Box<u32>>, Receiver<Box<u32>>) {
    capacity.map_or_else(unbounded, bounded)
}

#[test]
fn messages_are_handed_over_in_order() {
    for capacity in [Some(0), Some(1), Some(3), None] {
        let (tx, rx) = channel(capacity);
        let sender = thread::spawn(move || {
            for n in 0..MESSAGES {
                match n % 3 {
                    0 => tx.send_timeout(Box::new(n), LONG).unwrap(),
                    _ => tx.send(Box::new(n)).unwrap(),
                }
            }
        });
        for n in 0..MESSAGES {
            let message = match n % 4 {
                0 => rx.recv_timeout(LONG).unwrap(),
                _ => rx.recv().unwrap(),
            };
            assert_eq!(*message, n, "{capacity:?}");
        }
        assert!(rx.recv().is_err());
        sender.join().unwrap();
    }
}

#[test]
fn all_is_received_once_by_many() {
    for capacity in [Some(0), Some(2), None] {
        let (tx, rx) = channel(capacity);
        let senders: Vec<_> = (0..2)
            .map(|_| {
                let tx = tx.clone();
                thread::spawn(move || (0..MESSAGES).for_each(|n| tx.send(Box::new(n)).unwrap()))
            })
            .collect();
        drop(tx);
        let receivers: Vec<_> = (0..2)
            .map(|_| {
                let rx = rx.clone();
                thread::spawn(move || rx.iter().map(|it| *it).sum::<u32>())
            })
            .collect();
        senders.into_iter().for_each(|it| it.join().unwrap());
        let sum: u32 = receivers.into_iter().map(|it| it.join().unwrap()).sum();
        assert_eq!(sum, MESSAGES * (MESSAGES - 1), "{capacity:?}");
    }
}

#[test]
fn selections_meet_selections() {
    for capacity in [0, 1] {
        let (to, from_other) = bounded(capacity);
        let (to_other, from) = bounded(capacity);
        let other = thread::spawn(move || both_ways(&to, &from));
        both_ways(&to_other, &from_other);
        other.join().unwrap();
    }
}

/// Sends all, and receives until the other has sent all.
fn both_ways(to: &Sender<Box<u32>>, from: &Receiver<Box<u32>>) {
    let (mut sent, mut received) = (0, 0);
    while sent < MESSAGES || received < MESSAGES {
        let open = (sent < MESSAGES).then_some(to);
        select! {
            send(open, Box::new(sent)) -> result => {
                result.unwrap();
                sent += 1;
            }
            recv(from) -> message => {
                assert_eq!(*message.unwrap(), received);
                received += 1;
            }
        }
    }
}

#[test]
fn who_waits_in_vain_leaves_nothing() {
    let (tx, rx) = bounded::<Box<u32>>(0);
    let short = Duration::from_millis(1);
    assert!(rx.recv_timeout(short).is_err());
    assert!(tx.send_timeout(Box::new(1), short).is_err());
    let waits = thread::spawn(move || rx.recv());
    tx.close();
    assert!(waits.join().unwrap().is_err());
    assert!(tx.send(Box::new(2)).is_err());
}
