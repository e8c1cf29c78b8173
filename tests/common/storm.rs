//! Storms at one channel: senders and receivers of every kind, and an end in
//! the midst of it. Every value is received, given back, or dropped by the
//! channel, and once.

#![allow(dead_code, reason = "each test file uses a part")]

use crate::common::Random;
use crate::places::{Ledger, Member, Place, Value, channel};
use raddle::chan::{Receiver, Select, Sender, never, select};
use raddle::chan::{RecvTimeoutError, SendTimeoutError, TryRecvError, TrySendError};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(1000);

/// What a member has to show at the end.
#[derive(Default)]
pub struct Share {
    /// Values that were sent, or received.
    pub count: u64,
    pub sum: u64,
    /// The member saw the channel's end, and not its own.
    pub ended: bool,
}

/// How a storm ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum End {
    /// The senders have sent enough.
    Enough,
    /// The receivers have had enough: what is in the buffer is lost.
    Leave,
    /// The caller of `storm` ends it by its own means.
    Cut,
}

/// Sends `value` in a way drawn by lot; what comes back has not been sent.
fn send(tx: &Sender<Value>, value: Value, random: &mut Random) -> Result<(), (Value, bool)> {
    let wait = random.micros(0..100);
    match random.below(0..7) {
        0 => tx.try_send(value).map_err(|it| match it {
            TrySendError::Full(it) => (it, false),
            TrySendError::Disconnected(it) => (it, true),
        }),
        1 => tx.send_timeout(value, wait).map_err(|it| match it {
            SendTimeoutError::Timeout(it) => (it, false),
            SendTimeoutError::Disconnected(it) => (it, true),
        }),
        2 => select! {
            send(tx, value) -> res => res.map_err(|it| (it.0, true)),
            default(wait) => Err((value, false)),
        },
        3 => select! {
            recv(never::<u8>()) -> _ => unreachable!(),
            send(tx, value) -> res => res.map_err(|it| (it.0, true)),
            default => Err((value, false)),
        },
        4 => {
            let mut select = Select::new();
            select.send(tx);
            select.send(tx);
            match select.select_timeout(wait) {
                Ok(it) => it.send(tx, value).map_err(|it| (it.0, true)),
                Err(_) => Err((value, false)),
            }
        }
        5 => tx
            .send_timeout(value, LONG)
            .map_err(|it| (it.into_inner(), true)),
        _ => tx.send(value).map_err(|it| (it.0, true)),
    }
}

/// Receives in a way drawn by lot; an error says whether the channel ended.
fn recv(rx: &Receiver<Value>, random: &mut Random) -> Result<Value, bool> {
    let wait = random.micros(0..100);
    match random.below(0..8) {
        0 => rx.try_recv().map_err(|it| it == TryRecvError::Disconnected),
        1 => {
            let it = rx.recv_timeout(wait);
            it.map_err(|it| it == RecvTimeoutError::Disconnected)
        }
        2 => select! {
            recv(rx) -> it => it.map_err(|_| true),
            default(wait) => Err(false),
        },
        3 => select! {
            recv(rx) -> it => it.map_err(|_| true),
            recv(never::<u8>()) -> _ => unreachable!(),
            default => Err(false),
        },
        4 => {
            let mut select = Select::new();
            select.recv(rx);
            select.recv(rx);
            match select.select_timeout(wait) {
                Ok(it) => it.recv(rx).map_err(|_| true),
                Err(_) => Err(false),
            }
        }
        5 => rx.recv_timeout(LONG).map_err(|_| true),
        6 => rx.try_iter().next().ok_or(false),
        _ => rx.recv().map_err(|_| true),
    }
}

fn begin(
    place: &Place,
    tx: Option<&Sender<Value>>,
    rx: Option<&Receiver<Value>>,
    turns: u64,
    seed: u64,
    ledger: &Ledger,
) -> Member<Share> {
    let (tx, rx, ledger) = (tx.cloned(), rx.cloned(), ledger.clone());
    place.spawn(move || {
        let mut random = Random::new(seed);
        let mut share = Share::default();
        let mut turn = 0;
        while turn < turns {
            if random.below(0..50) == 0 {
                raddle::yield_now();
            }
            if let Some(tx) = &tx {
                let value = ledger.value(seed.wrapping_mul(1009).wrapping_add(turn));
                let number = value.number;
                match send(tx, value, &mut random) {
                    Ok(()) => {
                        share.count += 1;
                        share.sum = share.sum.wrapping_add(number);
                    }
                    Err((back, ended)) => {
                        assert_eq!(back.number, number);
                        share.ended |= ended;
                    }
                }
                turn += 1;
            }
            if let Some(rx) = &rx {
                match recv(rx, &mut random) {
                    Ok(it) => {
                        share.count += 1;
                        share.sum = share.sum.wrapping_add(it.number);
                        turn += 1;
                    }
                    Err(ended) => share.ended |= ended,
                }
            }
            if share.ended {
                break;
            }
        }
        share
    })
}

fn total(shares: &[Share]) -> (u64, u64) {
    shares.iter().fold((0, 0), |(count, sum), it| {
        (count + it.count, sum.wrapping_add(it.sum))
    })
}

/// Senders and receivers at a channel of `capacity`. When it ends by `Cut`,
/// `cut` gets both ends and must end the channel.
pub fn storm(
    place: &Place,
    capacity: Option<usize>,
    end: End,
    turns: u64,
    seed: u64,
    cut: impl FnOnce(Sender<Value>, Receiver<Value>),
) {
    let what = format!("{}, {capacity:?}, {end:?}, seed {seed}", place.name);
    let mut random = Random::new(seed);
    let (ledger, (tx, rx)) = (Ledger::new(), channel(capacity));
    let (senders, receivers) = (random.below(1..5), random.below(1..5));
    let (sends, receives) = match end {
        End::Enough => (turns, u64::MAX),
        End::Leave => (u64::MAX, turns),
        End::Cut => (u64::MAX, u64::MAX),
    };
    let mut seeds = (0..).map(|n| seed.wrapping_add(n * 7919));
    let mut seed = || seeds.next().expect("no end");
    let receivers: Vec<_> = (0..receivers)
        .map(|_| begin(place, None, Some(&rx), receives, seed(), &ledger))
        .collect();
    let senders: Vec<_> = (0..senders)
        .map(|_| begin(place, Some(&tx), None, sends, seed(), &ledger))
        .collect();
    if end == End::Cut {
        cut(tx, rx);
    } else {
        drop((tx, rx));
    }
    let sent: Vec<_> = senders.into_iter().map(Member::end).collect();
    let received: Vec<_> = receivers.into_iter().map(Member::end).collect();
    let (sent_count, sent_sum) = total(&sent);
    let (received_count, received_sum) = total(&received);
    match end {
        End::Enough => {
            assert!(received.iter().all(|it| it.ended), "{what}");
            assert_eq!(
                (received_count, received_sum),
                (sent_count, sent_sum),
                "{what}"
            );
        }
        End::Leave => {
            assert!(sent.iter().all(|it| it.ended), "{what}");
            let lost = sent_count - received_count;
            assert!(
                lost <= capacity.unwrap_or(usize::MAX) as u64,
                "{lost}: {what}"
            );
        }
        End::Cut => {
            let all = sent.iter().chain(&received);
            assert!(all.clone().all(|it| it.ended), "{what}");
            // A closed channel is drained.
            assert_eq!(
                (received_count, received_sum),
                (sent_count, sent_sum),
                "{what}"
            );
        }
    }
    ledger.settled(&what);
}
