//! What channels have of Go's: `Chan<T>`, arms that may be switched off, the
//! sender of no channel, a select of nothing, and buffers as big as you like.

mod common;
#[path = "common/places.rs"]
mod places;

use common::{MODES, Random, limit, on_runtimes, rounds, runtime, seed, with_deadline};
use places::{CAPACITIES, Ledger, alone_everywhere, at_each_place, channel, dally};
use raddle::chan::{self, Chan, Receiver, Select, SendTimeoutError, Sender};
use raddle::chan::{TryRecvError, TrySendError, never_sender, select, select_biased};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

// ORDER: SeqCst for a count that partners follow step by step.

const SHORT: Duration = Duration::from_millis(5);
const LONG: Duration = Duration::from_secs(1000);

fn message<T>(f: impl FnOnce() -> T) -> String {
    let payload = catch_unwind(AssertUnwindSafe(f)).err().expect("a panic");
    payload
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).into()))
        .expect("a message")
}

#[test]
fn a_chan_is_both_ends() {
    alone_everywhere(limit(10), || {
        for capacity in [1, 2, 5] {
            let chan = Chan::new(capacity);
            let copy = chan.clone();
            for n in 0..capacity {
                assert_eq!((chan.len(), copy.cap()), (n, capacity));
                if n % 2 == 0 {
                    chan.send(n)
                } else {
                    copy.try_send(n).unwrap()
                }
            }
            assert_eq!(chan.try_send(9), Err(TrySendError::Full(9)));
            assert_eq!(copy.recv(), Some(0));
            assert!((1..capacity).all(|n| chan.try_recv() == Ok(n)));
            assert_eq!(chan.try_recv(), Err(TryRecvError::Empty));
            chan.send(7);
            copy.close();
            assert_eq!(chan.len(), 1);
            assert_eq!(chan.try_send(8), Err(TrySendError::Disconnected(8)));
            assert_eq!(
                (chan.recv(), chan.recv(), copy.recv()),
                (Some(7), None, None)
            );
            assert_eq!(chan.try_recv(), Err(TryRecvError::Disconnected));
            assert!(chan.sender().is_closed() && chan.receiver().is_closed());
        }
        assert_eq!(Chan::<u8>::new(0).cap(), 0);
    });
}

#[test]
fn a_chan_panics_as_gos_does() {
    alone_everywhere(limit(10), || {
        let chan = Chan::new(1);
        chan.close();
        let text = message(|| chan.send(1));
        assert!(text.contains("send on closed channel"), "{text}");
        let text = message(|| chan.close());
        assert!(text.contains("close of closed channel"), "{text}");
        let chan = Chan::<u8>::new(0);
        assert!(chan.sender().close());
        assert!(message(|| chan.close()).contains("close of closed channel"));
    });
}

/// Go: who waits to send when the channel is closed panics too, and whoever
/// ranges over it comes to its end.
#[test]
fn closing_a_chan_wakes_who_sends_and_who_receives() {
    let begin = seed();
    at_each_place(limit(20), move |place| {
        let mut random = Random::new(begin);
        for _ in 0..rounds(3) {
            let ledger = Ledger::new();
            let chan = Chan::new(0);
            let value = ledger.value(1);
            let inner = chan.clone();
            let sender = place.spawn(move || message(|| inner.send(value)));
            dally(&mut random);
            chan.close();
            assert!(
                sender.end().contains("send on closed channel"),
                "{}",
                place.name
            );
            ledger.settled(&place.name);
            let chan = Chan::new(2);
            let members: Vec<_> = (0..3)
                .map(|_| {
                    let chan = chan.clone();
                    place.spawn(move || chan.iter().sum::<u64>())
                })
                .collect();
            (1..=50).for_each(|n| chan.send(n));
            chan.close();
            assert_eq!(members.into_iter().map(|it| it.end()).sum::<u64>(), 1275);
        }
    });
}

#[test]
fn a_chan_lives_as_long_as_any_of_its_clones() {
    alone_everywhere(limit(10), || {
        let ledger = Ledger::new();
        let chan = Chan::new(3);
        chan.send(ledger.value(1));
        let copy = chan.clone();
        drop(chan);
        copy.send(ledger.value(2));
        assert_eq!(copy.recv().map(|it| it.number), Some(1));
        let (tx, rx) = (copy.sender().clone(), copy.receiver().clone());
        drop(copy);
        assert!(tx.send(ledger.value(3)).is_ok());
        assert_eq!(
            rx.iter().take(2).map(|it| it.number).collect::<Vec<_>>(),
            [2, 3]
        );
        assert!(tx.send(ledger.value(4)).is_ok());
        drop((tx, rx));
        ledger.settled("");
        fn shared<T: Send + Sync + Clone + 'static>() {}
        shared::<Chan<std::cell::Cell<u8>>>();
    });
}

#[test]
fn a_chan_stands_in_a_select() {
    at_each_place(limit(20), |place| {
        let (numbers, done) = (Chan::new(0), Chan::<()>::new(0));
        let member = {
            let (numbers, done) = (numbers.clone(), done.clone());
            place.spawn(move || {
                let mut n = 0;
                loop {
                    select! {
                        send(numbers.sender(), n) -> res => { res.unwrap(); n += 1 }
                        recv(done.receiver()) -> _ => break n,
                    }
                }
            })
        };
        for n in 0..20 {
            let it = select! { recv(numbers.receiver()) -> it => it };
            assert_eq!(it, Ok(n), "{}", place.name);
        }
        done.close();
        assert_eq!(member.end(), 20);
    });
}

#[test]
fn the_sender_of_no_channel_never_sends() {
    static NOWHERE: Sender<u8> = never_sender();
    const CONSTANT: Sender<String> = never_sender();
    alone_everywhere(limit(10), || {
        let tx = CONSTANT;
        assert_eq!(tx.try_send("a".into()), Err(TrySendError::Full("a".into())));
        for timeout in [Duration::ZERO, SHORT] {
            let begin = Instant::now();
            let res = tx.send_timeout("b".into(), timeout);
            assert_eq!(res, Err(SendTimeoutError::Timeout("b".into())));
            assert!(begin.elapsed() >= timeout);
        }
        let res = tx.send_deadline("c".into(), Instant::now() + SHORT);
        assert_eq!(res, Err(SendTimeoutError::Timeout("c".into())));
        assert!(!tx.close() && !tx.is_closed());
        assert!(tx.is_full() && tx.is_empty());
        assert_eq!((tx.len(), tx.capacity()), (0, Some(0)));
        assert!(!NOWHERE.clone().close());
        assert_eq!(NOWHERE.try_send(1), Err(TrySendError::Full(1)));
        assert!(!NOWHERE.same_channel(&chan::bounded(0).0));
        assert_eq!(format!("{tx:?}"), "Sender { .. }");
        select! {
            send(tx, "d".into()) -> _ => panic!("nowhere"),
            send(NOWHERE, 1) -> _ => panic!("nowhere"),
            default(SHORT) => {}
        }
        let mut list = Select::new();
        list.send(&tx);
        assert!(list.try_select().is_err() && list.try_ready().is_err());
        assert!(list.select_timeout(SHORT).is_err());
    });
}

#[test]
#[allow(
    unreachable_code,
    clippy::diverging_sub_expression,
    reason = "a value that panics is not evaluated"
)]
fn an_option_of_a_handle_is_an_arm_that_may_be_off() {
    struct State {
        rx: Option<Receiver<u8>>,
        tx: Option<Sender<u8>>,
    }
    alone_everywhere(limit(10), || {
        let (tx, rx) = chan::bounded(1);
        let mut state = State { rx: None, tx: None };
        for _ in 0..50 {
            // Both off, in every place they may stand.
            select! {
                recv(state.rx) -> _ => panic!("off"),
                send(state.tx, 1) -> _ => panic!("off"),
                default => {}
            }
            select! {
                recv(state.rx.as_ref()) -> _ => panic!("off"),
                send(state.tx.as_ref(), 1) -> _ => panic!("off"),
                recv(None::<Receiver<u8>>) -> _ => panic!("off"),
                recv(None::<&Receiver<u8>>) -> _ => panic!("off"),
                send(None::<Sender<u8>>, 2) -> _ => panic!("off"),
                send(None::<&Sender<Rc<u8>>>, panic!("not made")) -> _ => {}
                default(Duration::from_micros(10)) => {}
            }
            // One on.
            state.tx = Some(tx.clone());
            select! {
                recv(state.rx) -> _ => panic!("off"),
                send(state.tx, 5) -> res => res.unwrap(),
            }
            state.tx = None;
            state.rx = Some(rx.clone());
            select! {
                recv(state.rx) -> it => assert_eq!(it, Ok(5)),
                send(state.tx, 1) -> _ => panic!("off"),
            }
            state.rx = None;
            // Expressions, references, and conditions.
            let is_on = true;
            select! { send(is_on.then_some(&tx), 6) -> res => res.unwrap(), default => panic!() }
            select! { recv((!is_on).then_some(&rx)) -> _ => panic!("off"), default => {} }
            select_biased! {
                recv((!is_on).then_some(&rx)) -> _ => panic!("off"),
                recv(is_on.then(|| rx.clone())) -> it => assert_eq!(it, Ok(6)),
            }
            select! { send(Some(tx.clone()), 7) -> res => res.unwrap() }
            select! { recv(&Some(&rx)) -> it => assert_eq!(it, Ok(7)) }
        }
    });
}

/// A loop over two inputs, each of which is switched off at its end: Go's
/// `case` on a nil channel.
#[test]
fn arms_are_switched_off_one_by_one() {
    at_each_place(limit(20), |place| {
        for capacity in CAPACITIES {
            let ((tx1, rx1), (tx2, rx2)) = (channel(capacity), channel(capacity));
            let members = [
                place.spawn(move || (0..30).for_each(|n| tx1.send(n).unwrap())),
                place.spawn(move || (100..110).for_each(|n| tx2.send(n).unwrap())),
            ];
            let (mut rx1, mut rx2) = (Some(rx1), Some(rx2));
            let (mut sum, mut late) = (0_u64, None);
            while rx1.is_some() || rx2.is_some() {
                select! {
                    recv(rx1) -> it => match it {
                        Ok(it) => sum += it,
                        Err(_) => rx1 = None,
                    },
                    recv(rx2) -> it => match it {
                        Ok(it) => sum += it,
                        Err(_) => { rx2 = None; late = Some(chan::after(LONG)) }
                    },
                    recv(late) -> _ => panic!("late"),
                }
            }
            assert_eq!(sum, 435 + 1045, "{}", place.name);
            members.into_iter().for_each(|it| it.end());
        }
    });
}

/// Nothing to wait for is to wait for ever: until the runtime ends.
#[test]
fn a_select_of_nothing_waits_for_ever() {
    for mode in MODES {
        with_deadline(limit(20), &format!("{mode:?}"), || {
            let runtime = runtime(mode, 2);
            let (begun_tx, begun) = chan::unbounded();
            let after = Arc::new(AtomicUsize::new(0));
            let ledger = Ledger::new();
            let waits: [fn(); 6] = [
                || select! {},
                || select_biased! {},
                || select! { recv(None::<Receiver<u8>>) -> _ => {} },
                || select! { recv(chan::never::<u8>()) -> _ => {} },
                || {
                    select! {
                        recv(None::<&Receiver<u8>>) -> _ => {}
                        send(None::<Sender<u8>>, 1) -> _ => {}
                        send(never_sender(), 1) -> _ => {}
                    }
                },
                || _ = never_sender().send(1),
            ];
            for wait in waits {
                let (begun_tx, after, value) = (begun_tx.clone(), after.clone(), ledger.value(1));
                drop(runtime.spawn(move || {
                    let _value = value;
                    begun_tx.send(()).unwrap();
                    wait();
                    after.fetch_add(1, SeqCst);
                }));
            }
            (0..6).for_each(|_| begun.recv().unwrap());
            raddle::time::sleep(SHORT * 4);
            assert_eq!(after.load(SeqCst), 0);
            drop(runtime);
            assert_eq!(after.load(SeqCst), 0);
            ledger.settled("");
        });
    }
}

/// `select! {}` never returns, so it may stand where any value is wanted.
#[test]
fn a_select_of_nothing_has_any_type() {
    fn never(wait: bool) -> u8 {
        if wait {
            select! {}
        } else {
            5
        }
    }
    assert_eq!(never(false), 5);
}

#[test]
fn a_huge_capacity_takes_no_memory_beforehand() {
    alone_everywhere(limit(10), || {
        let before = resident();
        let mut all = Vec::new();
        for capacity in [1 << 32, 1 << 40, 1 << 48, usize::MAX / 2, usize::MAX] {
            let (tx, rx) = chan::bounded::<[u64; 16]>(capacity);
            assert_eq!((tx.capacity(), rx.len()), (Some(capacity), 0));
            (0..100).for_each(|n| tx.try_send([n; 16]).unwrap());
            assert!(!tx.is_full());
            assert!((0..100).all(|n| rx.recv() == Ok([n; 16])));
            let (tx2, rx2) = chan::bounded::<()>(capacity);
            tx2.send(()).unwrap();
            assert_eq!((tx2.len(), rx2.recv()), (1, Ok(())));
            all.push((tx, rx, Chan::<u64>::new(capacity)));
        }
        let more = resident().saturating_sub(before);
        assert!(more < 64 << 20, "{more} bytes");
    });
}

/// Bytes of memory that are really there.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("procfs");
    let pages = statm.split(' ').nth(1).expect("a second number");
    pages.parse::<usize>().expect("a number") * 4096
}

/// Goroutines that stay on their thread may share what is not `Send`.
#[test]
fn local_goroutines_exchange_what_is_not_send() {
    on_runtimes(&[1, 2, 4], &MODES, limit(20), |runtime, what| {
        runtime.run(|| {
            let _pin = raddle::pin();
            let shared = Rc::new(std::cell::Cell::new(0));
            for capacity in CAPACITIES {
                let (tx, rx) = channel::<Rc<std::cell::Cell<u64>>>(capacity);
                let adds = raddle::spawn_local(move || {
                    let mut turns = 0;
                    for it in rx {
                        it.set(it.get() + 1);
                        turns += 1;
                    }
                    turns
                });
                for n in 0..rounds(50) {
                    if n % 2 == 0 {
                        tx.send(shared.clone()).unwrap();
                    } else {
                        select! { send(tx, shared.clone()) -> res => res.unwrap() }
                    }
                }
                drop(tx);
                assert_eq!(adds.join().unwrap(), rounds(50), "{what}");
            }
            assert_eq!(shared.get(), 5 * rounds(50), "{what}");
            assert_eq!(Rc::strong_count(&shared), 1);
        });
    });
}
