//! Random programs of channel operations: one after the other beside a model
//! made of a `VecDeque`, and at once beside what must hold of any order.

mod common;
#[path = "common/places.rs"]
mod places;

use common::{Random, factor, limit, rounds, seed};
use places::{CAPACITIES, Ledger, Place, Value, alone_everywhere, at_each_place, channel};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestError, TestRunner};
use raddle::chan::{Receiver, Select, Sender, select, select_biased};
use raddle::chan::{RecvTimeoutError, SendTimeoutError, TryRecvError, TrySendError};
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

#[derive(Clone, Copy, Debug)]
enum Op {
    Send(Way),
    Recv(Way),
    /// Both directions in one select; which one is the implementation's.
    Both,
    /// Sends and is asked whether it could, without doing so.
    Ready,
    TakeAll,
    CloneSender,
    CloneReceiver,
    DropSender,
    DropReceiver,
    Close,
}

#[derive(Clone, Copy, Debug)]
enum Way {
    Try,
    Timeout,
    SelectDefault,
    Biased,
    List,
}

fn ops() -> impl Strategy<Value = Op> {
    let way = prop_oneof![
        Just(Way::Try),
        Just(Way::Timeout),
        Just(Way::SelectDefault),
        Just(Way::Biased),
        Just(Way::List),
    ];
    prop_oneof![
        30 => way.clone().prop_map(Op::Send),
        25 => way.prop_map(Op::Recv),
        5 => Just(Op::Both),
        3 => Just(Op::Ready),
        2 => Just(Op::TakeAll),
        3 => Just(Op::CloneSender),
        3 => Just(Op::CloneReceiver),
        3 => Just(Op::DropSender),
        3 => Just(Op::DropReceiver),
        1 => Just(Op::Close),
    ]
}

/// What an operation that does not wait can come to.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    Done,
    Would,
    Ended,
}
use Outcome::{Done, Ended, Would};

fn send(tx: &Sender<Value>, value: Value, way: Way) -> (Outcome, Option<Value>) {
    let split = |res: Result<(), TrySendError<Value>>| match res {
        Ok(()) => (Done, None),
        Err(TrySendError::Full(it)) => (Would, Some(it)),
        Err(TrySendError::Disconnected(it)) => (Ended, Some(it)),
    };
    match way {
        Way::Try => split(tx.try_send(value)),
        Way::Timeout => match tx.send_timeout(value, Duration::ZERO) {
            Ok(()) => (Done, None),
            Err(SendTimeoutError::Timeout(it)) => (Would, Some(it)),
            Err(SendTimeoutError::Disconnected(it)) => (Ended, Some(it)),
        },
        Way::SelectDefault => select! {
            send(tx, value) -> res => split(res.map_err(Into::into)),
            default => (Would, Some(value)),
        },
        Way::Biased => select_biased! {
            send(tx, value) -> res => split(res.map_err(Into::into)),
            send(tx, no_value()) -> _ => unreachable!(),
            default(Duration::ZERO) => (Would, Some(value)),
        },
        Way::List => {
            let mut list = Select::new();
            list.send(tx);
            match list.try_select() {
                Ok(it) => split(it.send(tx, value).map_err(Into::into)),
                Err(_) => (Would, Some(value)),
            }
        }
    }
}

/// The value of an arm that comes second.
fn no_value() -> Value {
    unreachable!("the first arm is as ready")
}

fn recv(rx: &Receiver<Value>, way: Way) -> Result<Value, Outcome> {
    match way {
        Way::Try => rx.try_recv().map_err(|it| match it {
            TryRecvError::Empty => Would,
            TryRecvError::Disconnected => Ended,
        }),
        Way::Timeout => rx.recv_timeout(Duration::ZERO).map_err(|it| match it {
            RecvTimeoutError::Timeout => Would,
            RecvTimeoutError::Disconnected => Ended,
        }),
        Way::SelectDefault => select! {
            recv(rx) -> it => it.map_err(|_| Ended),
            default => Err(Would),
        },
        Way::Biased => select_biased! {
            recv(rx) -> it => it.map_err(|_| Ended),
            recv(rx) -> _ => unreachable!(),
            default(Duration::ZERO) => Err(Would),
        },
        Way::List => {
            let mut list = Select::new();
            list.recv(rx);
            match list.try_select() {
                Ok(it) => it.recv(rx).map_err(|_| Ended),
                Err(_) => Err(Would),
            }
        }
    }
}

/// The channel and what it should be.
struct Beside {
    capacity: Option<usize>,
    txs: Vec<Sender<Value>>,
    rxs: Vec<Receiver<Value>>,
    queue: VecDeque<u64>,
    closed: bool,
    next: u64,
    ledger: Ledger,
}

impl Beside {
    fn new(capacity: Option<usize>) -> Self {
        let (tx, rx) = channel(capacity);
        Self {
            capacity,
            txs: vec![tx],
            rxs: vec![rx],
            queue: VecDeque::new(),
            closed: false,
            next: 0,
            ledger: Ledger::new(),
        }
    }

    fn is_full(&self) -> bool {
        self.capacity.is_some_and(|it| self.queue.len() >= it)
    }

    fn sending(&self) -> Outcome {
        match () {
            () if self.closed || self.rxs.is_empty() => Ended,
            () if self.is_full() => Would,
            () => Done,
        }
    }

    fn receiving(&self) -> Outcome {
        match () {
            () if !self.queue.is_empty() => Done,
            () if self.closed || self.txs.is_empty() => Ended,
            () => Would,
        }
    }

    fn value(&mut self) -> Value {
        self.next += 1;
        self.ledger.value(self.next)
    }

    fn received(&mut self, it: Result<Value, Outcome>) {
        match it {
            Ok(it) => assert_eq!(Some(it.number), self.queue.pop_front()),
            Err(outcome) => assert_eq!(outcome, self.receiving()),
        }
    }

    fn step(&mut self, op: Op, which: usize) {
        let tx = self.txs.get(which % self.txs.len().max(1)).cloned();
        let rx = self.rxs.get(which % self.rxs.len().max(1)).cloned();
        // Those clones must not keep an end alive that the model has dropped.
        match (op, tx, rx) {
            (Op::Send(way), Some(tx), rx) => {
                drop(rx);
                let value = self.value();
                let (outcome, back) = send(&tx, value, way);
                assert_eq!(outcome, self.sending());
                match back {
                    None => self.queue.push_back(self.next),
                    Some(it) => assert_eq!(it.number, self.next),
                }
            }
            (Op::Recv(way), tx, Some(rx)) => {
                drop(tx);
                let it = recv(&rx, way);
                self.received(it);
            }
            (Op::Both, Some(tx), Some(rx)) => {
                let value = self.value();
                select! {
                    send(tx, value) -> res => match res {
                        Ok(()) => {
                            assert_eq!(self.sending(), Done);
                            self.queue.push_back(self.next);
                        }
                        Err(it) => {
                            assert_eq!(it.0.number, self.next);
                            assert_eq!(self.sending(), Ended);
                        }
                    },
                    recv(rx) -> it => self.received(it.map_err(|_| Ended)),
                    default => {
                        assert_eq!((self.sending(), self.receiving()), (Would, Would));
                    }
                }
            }
            (Op::Ready, tx, rx) => {
                if let Some(tx) = &tx {
                    let mut list = Select::new();
                    list.send(tx);
                    assert_eq!(list.try_ready().is_err(), self.sending() == Would);
                }
                if let Some(rx) = &rx {
                    let mut list = Select::new_biased();
                    list.recv(rx);
                    assert_eq!(list.try_ready().is_err(), self.receiving() == Would);
                }
            }
            (Op::TakeAll, tx, Some(rx)) => {
                drop(tx);
                let all: Vec<_> = rx.try_iter().map(|it| it.number).collect();
                assert!(self.queue.drain(..).eq(all));
            }
            (Op::CloneSender, Some(tx), _) => self.txs.push(tx),
            (Op::CloneReceiver, _, Some(rx)) => self.rxs.push(rx),
            (Op::DropSender, Some(_), _) => drop(self.txs.swap_remove(which % self.txs.len())),
            (Op::DropReceiver, _, Some(_)) => drop(self.rxs.swap_remove(which % self.rxs.len())),
            (Op::Close, Some(tx), _) => {
                let ended = self.closed || self.rxs.is_empty();
                assert_eq!(tx.is_closed(), ended);
                assert_eq!(tx.close(), !self.closed);
                assert!(tx.is_closed());
                self.closed = true;
            }
            _ => {}
        }
    }

    fn check(&self) {
        if self.rxs.is_empty() {
            return;
        }
        let (len, full) = (self.queue.len(), self.is_full());
        for tx in &self.txs {
            assert_eq!(
                (tx.len(), tx.is_empty(), tx.is_full()),
                (len, len == 0, full)
            );
            assert_eq!(tx.capacity(), self.capacity);
            assert!(tx.same_channel(&self.txs[0]));
        }
        for rx in &self.rxs {
            assert_eq!(
                (rx.len(), rx.is_empty(), rx.is_full()),
                (len, len == 0, full)
            );
            assert_eq!(rx.capacity(), self.capacity);
            assert!(rx.same_channel(&self.rxs[0]));
        }
        // What is neither received nor given back is in the channel.
        let alive = self.ledger.made() - self.ledger.dropped();
        assert_eq!(alive, len as u64);
    }
}

/// Try operations, lengths, clones, drops and closes, exactly as the model.
#[test]
fn one_after_the_other_it_is_a_queue() {
    alone_everywhere(limit(60), || {
        let config = Config {
            cases: 60 * factor() as u32,
            failure_persistence: None,
            ..Config::default()
        };
        let mut runner = TestRunner::new(config);
        let capacity = proptest::sample::select(&CAPACITIES[..]);
        let program = (capacity, vec((ops(), 0..8_usize), 1..120));
        let outcome = runner.run(&program, |(capacity, program)| {
            let mut beside = Beside::new(capacity);
            for (op, which) in program {
                beside.step(op, which);
                beside.check();
            }
            let ledger = beside.ledger.clone();
            drop(beside);
            ledger.settled("the end");
            Ok(())
        });
        if let Err(TestError::Fail(why, program)) = outcome {
            panic!("{why}: {program:#?}");
        }
    });
}

/// What one member did: numbers sent to and received from each channel.
#[derive(Default)]
struct Log {
    sent: Vec<(usize, u64)>,
    received: Vec<(usize, u64)>,
}

type Channels = Vec<(Sender<Value>, Receiver<Value>)>;

/// Random operations, none of which waits for ever.
fn member(channels: &Channels, ledger: &Ledger, who: u64, turns: u64, seed: u64) -> Log {
    let mut random = Random::new(seed + who);
    let mut log = Log::default();
    for turn in 0..turns {
        let (a, b) = (random.below(0..64) as usize, random.below(0..64) as usize);
        let (a, b) = (a % channels.len(), b % channels.len());
        let ((tx, rx), (tx2, rx2)) = (&channels[a], &channels[b]);
        let number = who * 1_000_000 + turn + 1;
        let value = ledger.value(number);
        let wait = random.micros(0..150);
        match random.below(0..10) {
            0 => log
                .sent
                .extend(tx.try_send(value).is_ok().then_some((a, number))),
            1 | 2 => {
                let res = tx.send_timeout(value, wait);
                log.sent.extend(res.is_ok().then_some((a, number)));
            }
            3 => log.received.extend(rx.try_recv().map(|it| (a, it.number))),
            4 | 5 => log
                .received
                .extend(rx.recv_timeout(wait).map(|it| (a, it.number))),
            6 => select! {
                send(tx, value) -> res => {
                    res.ok().unwrap();
                    log.sent.push((a, number));
                }
                recv(rx2) -> it => log.received.push((b, it.ok().unwrap().number)),
                default(wait) => {}
            },
            7 => select! {
                recv(rx) -> it => log.received.push((a, it.ok().unwrap().number)),
                recv(rx2) -> it => log.received.push((b, it.ok().unwrap().number)),
                default => {}
            },
            8 => select_biased! {
                send(tx, value) -> res => {
                    res.ok().unwrap();
                    log.sent.push((a, number));
                }
                send(tx2, value) -> res => {
                    res.ok().unwrap();
                    log.sent.push((b, number));
                }
                default(wait) => {}
            },
            _ => {
                let mut list = Select::new();
                channels.iter().for_each(|(_, rx)| _ = list.recv(rx));
                if let Ok(it) = list.select_timeout(wait) {
                    let index = it.index();
                    let it = it.recv(&channels[index].1).ok().unwrap();
                    log.received.push((index, it.number));
                }
            }
        }
        if random.below(0..10) == 0 {
            raddle::yield_now();
        }
    }
    log
}

fn program(place: &Place, seed: u64) {
    let what = format!("seed {seed}, {}", place.name);
    let mut random = Random::new(seed);
    let ledger = Ledger::new();
    let channels: Channels = (0..random.below(1..5))
        .map(|_| channel(CAPACITIES[random.below(0..5) as usize]))
        .collect();
    let members: Vec<_> = (1..=random.below(2..9))
        .map(|who| {
            let (channels, ledger) = (channels.clone(), ledger.clone());
            place.spawn(move || member(&channels, &ledger, who, 100, seed))
        })
        .collect();
    let logs: Vec<_> = members.into_iter().map(|it| it.end()).collect();
    for (n, (tx, rx)) in channels.iter().enumerate() {
        let mut sent: Vec<_> = logs.iter().flat_map(|log| &log.sent).collect();
        sent.retain(|it| it.0 == n);
        let mut received: Vec<_> = logs.iter().flat_map(|log| log.received.clone()).collect();
        received.retain(|it| it.0 == n);
        assert_eq!(tx.len(), sent.len() - received.len(), "{what}");
        received.extend(rx.try_iter().map(|it| (n, it.number)));
        sent.sort_unstable();
        received.sort_unstable();
        assert!(sent.into_iter().eq(&received), "{what}");
    }
    // In each member's part of a channel, each sender's numbers rise.
    for log in &logs {
        let mut last = HashMap::new();
        for &(channel, number) in &log.received {
            let before = last.insert((channel, number / 1_000_000), number);
            assert!(before < Some(number), "{channel}, {number}: {what}");
        }
    }
    drop((channels, logs));
    ledger.settled(&what);
}

#[test]
fn at_once_nothing_is_lost_doubled_or_overtaken() {
    let begin = seed();
    at_each_place(limit(60), move |place| {
        for round in 0..rounds(15) {
            program(place, (begin + round) % 1_000_000_007);
        }
    });
}
