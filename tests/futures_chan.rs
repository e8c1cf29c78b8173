//! Sends and receives that are polled, beside goroutines, threads and
//! selections: nothing is lost, doubled or overtaken, whenever a future is
//! dropped.

mod common;
#[path = "common/places.rs"]
mod places;
#[path = "common/wakers.rs"]
mod wakers;

use common::{Random, limit, on_each_runtime, rounds, seed, waiting, with_deadline};
use places::{Ledger, Value, alone_everywhere, at_each_place};
use places::{until_a_receiver_waits, until_a_sender_waits};
use raddle::block_on;
use raddle::chan::{
    self, Receiver, RecvError, Select, SendError, TryRecvError, TrySendError, bounded, select,
    unbounded,
};
use raddle::time::{Ticker, Timer};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use wakers::{Calls, Turn, pending, poll_once, poll_with};

const A_BIT: Duration = Duration::from_millis(2);
const LONG: Duration = Duration::from_secs(1000);

fn is_ready<T: PartialEq + std::fmt::Debug>(polled: Poll<T>, expected: T) {
    assert_eq!(polled, Poll::Ready(expected));
}

#[test]
fn a_message_that_is_there_is_received_at_once() {
    alone_everywhere(limit(30), || {
        let (tx, rx) = bounded(1);
        tx.send(1).unwrap();
        is_ready(poll_once(&mut rx.recv_async()), Ok(1));
        is_ready(poll_once(&mut tx.send_async(2)), Ok(()));
        let mut second = pending(tx.send_async(3));
        assert_eq!(rx.recv(), Ok(2));
        is_ready(poll_once(&mut second), Ok(()));
        assert_eq!(rx.recv(), Ok(3));
    });
}

#[test]
fn partners_of_every_kind_are_met() {
    for capacity in [Some(0), Some(1), None] {
        at_each_place(limit(30), |place| {
            let (tx, rx) = places::channel(capacity);
            let sends = place.spawn(move || tx.send(1));
            assert_eq!(block_on(rx.recv_async()), Ok(1));
            sends.end().unwrap();

            let (tx, rx) = places::channel(capacity);
            let receives = place.spawn(move || rx.recv());
            assert_eq!(block_on(tx.send_async(2)), Ok(()));
            assert_eq!(receives.end(), Ok(2));

            let (tx, rx) = places::channel(capacity);
            let receives = place.spawn(move || block_on(rx.recv_async()));
            assert_eq!(block_on(tx.send_async(3)), Ok(()));
            assert_eq!(receives.end(), Ok(3));
        });
    }
}

/// Futures and others stand in one line.
#[test]
fn who_came_first_is_served_first() {
    at_each_place(limit(30), |place| {
        let (tx, rx) = bounded(0);
        let mut first = pending(rx.recv_async());
        let other = rx.clone();
        let second = place.spawn(move || other.recv());
        raddle::yield_now();
        let sent = place.spawn(move || {
            tx.send(1).unwrap();
            tx.send(2).unwrap();
        });
        assert_eq!(second.end(), Ok(2));
        is_ready(poll_once(&mut first), Ok(1));
        sent.end();

        let (tx, rx) = bounded(0);
        let mut first = pending(tx.send_async(1));
        let other = tx.clone();
        let second = place.spawn(move || other.send(2));
        assert_eq!(rx.recv(), Ok(1));
        until_a_sender_waits(&rx);
        let mut third = pending(tx.send_async(3));
        assert_eq!(rx.recv(), Ok(2));
        assert_eq!(rx.recv(), Ok(3));
        is_ready(poll_once(&mut first), Ok(()));
        is_ready(poll_once(&mut third), Ok(()));
        second.end().unwrap();
    });
}

/// In whatever order they go: what they were given comes back in its order.
#[test]
fn receives_that_are_dropped_leave_their_messages_in_order() {
    for capacity in [Some(0), Some(2), None] {
        for reversed in [false, true] {
            alone_everywhere(limit(30), || {
                let (tx, rx) = places::channel(capacity);
                let first = pending(rx.recv_async());
                let second = pending(rx.recv_async());
                let mut third = pending(rx.recv_async());
                for n in 1..=3 {
                    assert_eq!(tx.try_send(n), Ok(()), "a future waits for it");
                }
                assert_eq!(rx.try_recv(), Err(TryRecvError::Empty), "all are given");
                if reversed {
                    drop(second);
                    drop(first);
                } else {
                    drop(first);
                    drop(second);
                }
                assert_eq!(rx.try_recv(), Ok(1));
                assert_eq!(rx.try_recv(), Ok(2));
                assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
                is_ready(poll_once(&mut third), Ok(3));

                // Behind those that came back, and before those that wait.
                let first = pending(rx.recv_async());
                let second = pending(rx.recv_async());
                (4..=5).for_each(|n| assert_eq!(tx.try_send(n), Ok(())));
                drop(second);
                let mut later = tx.send_async(6);
                let _either = poll_once(&mut later);
                assert_eq!(rx.try_recv(), Ok(5));
                drop(first);
                assert_eq!(rx.recv(), Ok(4));
                assert_eq!(rx.recv(), Ok(6));
            });
        }
    }
}

/// As when a set of receives is dropped: what the first gives back goes to
/// the next, and comes back again.
#[test]
fn a_message_that_comes_back_twice_is_still_the_first() {
    for capacity in [Some(0), Some(2), None] {
        alone_everywhere(limit(30), || {
            let (tx, rx) = places::channel(capacity);
            let receives: Vec<_> = (0..4).map(|_| pending(rx.recv_async())).collect();
            (1..=2).for_each(|n| tx.send(n).unwrap());
            drop(receives);
            assert_eq!((rx.try_recv(), rx.try_recv()), (Ok(1), Ok(2)));
        });
    }
}

#[test]
fn what_a_selection_gave_comes_back_in_its_turn() {
    alone_everywhere(limit(30), || {
        let (tx, rx) = bounded(0);
        let first = pending(rx.recv_async());
        let mut second = pending(rx.recv_async());
        tx.send(1).unwrap();
        let mut list = Select::new();
        list.send(&tx);
        let operation = list.select();
        assert!(poll_once(&mut second).is_pending());
        operation.send(&tx, 2).unwrap();
        drop(first);
        drop(second);
        assert_eq!((rx.try_recv(), rx.try_recv()), (Ok(1), Ok(2)));
    });
}

#[test]
fn what_was_given_goes_on_to_who_waits() {
    at_each_place(limit(30), |place| {
        for capacity in [0, 1] {
            let (tx, rx) = bounded(capacity);
            let first = pending(rx.recv_async());
            let other = rx.clone();
            let second = place.spawn(move || other.recv());
            raddle::yield_now();
            tx.send(5).unwrap();
            drop(first);
            assert_eq!(second.end(), Ok(5));
        }
    });
}

#[test]
fn a_send_that_is_dropped_takes_its_message_along() {
    alone_everywhere(limit(30), || {
        let ledger = Ledger::new();
        for capacity in [0, 1] {
            let (tx, rx) = bounded(capacity);
            for n in 0..capacity {
                tx.send(ledger.value(n as u64)).unwrap();
            }
            // Never polled; in line; in line behind it; received.
            drop(tx.send_async(ledger.value(10)));
            let gone = pending_value(tx.send_async(ledger.value(11)));
            let mut stays = pending_value(tx.send_async(ledger.value(12)));
            let taken = pending_value(tx.send_async(ledger.value(13)));
            drop(gone);
            for n in (0..capacity as u64).chain([12, 13]) {
                assert_eq!(rx.recv().unwrap().number, n);
            }
            drop(taken);
            assert!(poll_once(&mut stays).is_ready());
            assert!(rx.try_recv().is_err());
        }
        ledger.settled("sends");
    });
}

fn pending_value<F: Future + Unpin>(mut future: F) -> F {
    assert!(poll_once(&mut future).is_pending());
    future
}

/// A future that is forgotten waits for ever, and harms nobody.
#[test]
fn forgotten_futures_harm_nobody() {
    alone_everywhere(limit(30), || {
        for capacity in [0, 1] {
            let (tx, rx) = bounded(capacity);
            std::mem::forget(pending(rx.recv_async()));
            // It gets a message, as it waits.
            assert_eq!(tx.try_send(String::from("lost")), Ok(()));
            (0..capacity).for_each(|_| tx.send(String::from("kept")).unwrap());
            std::mem::forget(pending(tx.send_async(String::from("sent"))));
            std::mem::forget(pending(tx.send_async(String::from("never"))));
            let mut got: Vec<String> = (0..capacity).map(|_| rx.recv().unwrap()).collect();
            got.push(rx.recv().unwrap());
            assert_eq!(got.len(), capacity + 1);
            drop(rx);
            assert!(tx.send(String::new()).is_err());
        }
    });
}

#[test]
fn a_close_ends_futures_on_both_sides() {
    at_each_place(limit(30), |place| {
        for by_call in [true, false] {
            let (tx, rx) = bounded::<u8>(0);
            let mut receive = pending(rx.recv_async());
            let (calls, waker) = Calls::new();
            assert!(poll_with(&mut receive, &waker).is_pending());
            let closes = place.spawn(move || {
                if by_call {
                    assert!(tx.close());
                }
                drop(tx);
            });
            closes.end();
            assert_eq!(calls.count(), 1);
            is_ready(poll_once(&mut receive), Err(RecvError));
        }
        let (tx, rx) = bounded(0);
        let mut send = pending(tx.send_async("back"));
        place.spawn(move || drop(rx)).end();
        is_ready(poll_once(&mut send), Err(SendError("back")));
        is_ready(
            poll_once(&mut tx.send_async("too late")),
            Err(SendError("too late")),
        );

        // What is there is received before the end.
        let (tx, rx) = bounded(2);
        let promised = pending(rx.recv_async());
        tx.send(1).unwrap();
        tx.send(2).unwrap();
        tx.close();
        drop(promised);
        is_ready(poll_once(&mut rx.recv_async()), Ok(1));
        is_ready(poll_once(&mut rx.recv_async()), Ok(2));
        is_ready(poll_once(&mut rx.recv_async()), Err(RecvError));
    });
}

/// What does not wait meets a future that does.
#[test]
fn tries_meet_futures() {
    alone_everywhere(limit(30), || {
        let (tx, rx) = bounded(0);
        assert_eq!(tx.try_send(0), Err(TrySendError::Full(0)));
        let mut receive = pending(rx.recv_async());
        assert_eq!(tx.try_send(1), Ok(()));
        assert_eq!(tx.try_send(2), Err(TrySendError::Full(2)));
        is_ready(poll_once(&mut receive), Ok(1));
        let mut send = pending(tx.send_async(3));
        assert_eq!(rx.try_recv(), Ok(3));
        is_ready(poll_once(&mut send), Ok(()));
        let got = select! { recv(rx) -> got => Some(got), default => None };
        assert_eq!(got, None);
    });
}

#[test]
fn selections_meet_futures() {
    at_each_place(limit(30), |place| {
        // One that waits.
        let (tx, rx) = bounded(0);
        let selects = place.spawn(move || select! { send(tx, 1) -> sent => sent.is_ok() });
        until_a_sender_waits(&rx);
        assert_eq!(block_on(rx.recv_async()), Ok(1));
        assert!(selects.end());
        let (tx, rx) = bounded(0);
        let selects = place.spawn(move || select! { recv(rx) -> got => got });
        until_a_receiver_waits(&tx);
        assert_eq!(block_on(tx.send_async(2)), Ok(()));
        assert_eq!(selects.end(), Ok(2));
    });
    alone_everywhere(limit(30), || {
        // One that finds a future waiting.
        let (tx, rx) = bounded(0);
        let mut receive = pending(rx.recv_async());
        select! { send(tx, 3) -> sent => sent.unwrap() }
        is_ready(poll_once(&mut receive), Ok(3));
        let mut send = pending(tx.send_async(4));
        assert_eq!(select! { recv(rx) -> got => got }, Ok(4));
        is_ready(poll_once(&mut send), Ok(()));
    });
}

/// Chooses, and ends before the operation is completed.
fn draw_back(mut list: Select<'_>) {
    let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        let _operation = list.select();
        std::panic::panic_any(common::ON_PURPOSE);
    }));
    assert!(dropped.is_err());
}

/// A selection that has chosen a future takes its time; the future stays, or
/// goes.
#[test]
fn a_future_and_a_selection_that_takes_its_time() {
    alone_everywhere(limit(30), || {
        let (tx, rx) = bounded(0);
        let (calls, waker) = Calls::new();
        let mut receive = pending(rx.recv_async());
        assert!(poll_with(&mut receive, &waker).is_pending());
        let mut list = Select::new();
        list.send(&tx);
        let operation = list.select();
        assert!(poll_with(&mut receive, &waker).is_pending(), "nothing yet");
        operation.send(&tx, 1).unwrap();
        assert!(calls.count() >= 1);
        is_ready(poll_once(&mut receive), Ok(1));

        // It goes after the message was given.
        let receive = pending(rx.recv_async());
        list.select().send(&tx, 2).unwrap();
        drop(receive);
        assert_eq!(rx.try_recv(), Ok(2));

        // A receive that takes its time: the send is done.
        let mut send = pending(tx.send_async(3));
        let mut list = Select::new();
        list.recv(&rx);
        let operation = list.select();
        is_ready(poll_once(&mut send), Ok(()));
        assert_eq!(operation.recv(&rx), Ok(3));
        let send = pending(tx.send_async(4));
        let operation = list.select();
        drop(send);
        assert_eq!(operation.recv(&rx), Ok(4));
    });
    at_each_place(limit(30), |place| {
        // It goes before the selection has sent: that is served by another.
        let (tx, rx) = bounded(0);
        let receive = pending(rx.recv_async());
        let mut list = Select::new();
        list.send(&tx);
        let operation = list.select();
        drop(receive);
        let other = rx.clone();
        let receives = place.spawn(move || other.recv());
        operation.send(&tx, 5).unwrap();
        assert_eq!(receives.end(), Ok(5));

        // The selection draws back: the future waits on, before all others.
        let mut receive = pending(rx.recv_async());
        let mut list = Select::new();
        list.send(&tx);
        draw_back(list);
        assert!(poll_once(&mut receive).is_pending());
        let sender = tx.clone();
        let sends = place.spawn(move || sender.send(6));
        assert_eq!(block_on(receive), Ok(6));
        sends.end().unwrap();

        // A receive that draws back leaves the message.
        let mut send = pending(tx.send_async(7));
        let mut list = Select::new();
        list.recv(&rx);
        draw_back(list);
        is_ready(poll_once(&mut send), Ok(()));
        assert_eq!(rx.recv(), Ok(7));
    });
}

/// The message that a selection left at a rendezvous lies in its buffer: a
/// plain sender that came later overtook it there.
#[test]
fn what_a_selection_leaves_at_a_rendezvous_stays_the_first() {
    on_each_runtime(limit(30), |runtime, _| {
        runtime.run(|| {
            let (tx, rx) = bounded(0);
            let mut send = pending(tx.send_async(1));
            let mut list = Select::new();
            list.recv(&rx);
            draw_back(list);
            is_ready(poll_once(&mut send), Ok(()));
            let sender = tx.clone();
            let sends = waiting("chan send", move || sender.send(2));
            assert_eq!((rx.recv(), rx.try_recv()), (Ok(1), Ok(2)));
            sends.join().unwrap().unwrap();
            assert!(rx.try_recv().is_err());
        });
    });
}

#[test]
fn the_last_waker_is_woken_and_no_other() {
    alone_everywhere(limit(30), || {
        let (tx, rx) = bounded(0);
        let mut receive = rx.recv_async();
        let wakers: Vec<_> = (0..3).map(|_| Calls::new()).collect();
        for (_, waker) in &wakers {
            assert!(poll_with(&mut receive, waker).is_pending());
            assert!(poll_with(&mut receive, waker).is_pending());
        }
        tx.send(1).unwrap();
        let counts: Vec<_> = wakers.iter().map(|(calls, _)| calls.count()).collect();
        assert_eq!(counts, [0, 0, 1]);
        is_ready(poll_once(&mut receive), Ok(1));
        drop(receive);
        for (calls, waker) in wakers {
            drop(waker);
            assert_eq!(Arc::strong_count(&calls), 1, "no waker is left behind");
        }
    });
}

/// The drop of a waker that is replaced may use the very channel.
#[test]
fn a_waker_may_use_the_channel() {
    struct Uses(Mutex<Option<chan::Sender<u8>>>);
    impl std::task::Wake for Uses {
        fn wake(self: Arc<Self>) {}
    }
    impl Drop for Uses {
        fn drop(&mut self) {
            let sender = self.0.lock().unwrap().take().unwrap();
            let _full = sender.try_send(9);
            assert!(sender.len() <= 1);
        }
    }
    alone_everywhere(limit(30), || {
        let (tx, rx) = bounded(0);
        let uses = || Arc::new(Uses(Mutex::new(Some(tx.clone())))).into();
        let mut receive = rx.recv_async();
        for _ in 0..3 {
            // The first drop sends to it.
            if poll_with(&mut receive, &uses()).is_ready() {
                break;
            }
        }
        drop(receive);
        let mut send = tx.send_async(1);
        for _ in 0..3 {
            let _either = poll_with(&mut send, &uses());
        }
        drop(send);
    });
}

#[test]
fn a_stream_gives_all_and_ends() {
    at_each_place(limit(30), |place| {
        for capacity in [Some(0), Some(2), None] {
            let (tx, rx) = places::channel(capacity);
            let sends = place.spawn(move || (0..100).for_each(|n| tx.send(n).unwrap()));
            let got = block_on(collect(rx.stream()));
            assert_eq!(got, (0..100).collect::<Vec<_>>());
            sends.end();
        }
        let (tx, rx) = unbounded();
        let sends = place.spawn(move || (0..100).for_each(|n| tx.send(n).unwrap()));
        assert_eq!(block_on(collect(rx.into_stream())).len(), 100);
        sends.end();
    });
}

async fn collect<T>(stream: impl futures_core::Stream<Item = T>) -> Vec<T> {
    let mut stream = pin!(stream);
    let mut got = Vec::new();
    while let Some(message) = poll_fn(|context| stream.as_mut().poll_next(context)).await {
        got.push(message);
    }
    got
}

#[test]
fn a_stream_dropped_between_messages_takes_none() {
    alone_everywhere(limit(30), || {
        let (tx, rx) = bounded(2);
        let mut stream = rx.stream();
        let mut next = |waker| {
            let stream = Pin::new(&mut stream);
            futures_core::Stream::poll_next(stream, &mut Context::from_waker(waker))
        };
        let (_, waker) = Calls::new();
        assert!(next(&waker).is_pending());
        tx.send(1).unwrap();
        is_ready(next(&waker), Some(1));
        assert!(next(&waker).is_pending());
        tx.send(2).unwrap();
        tx.send(3).unwrap();
        drop(stream);
        assert_eq!(rx.try_iter().collect::<Vec<_>>(), [2, 3]);
    });
}

#[test]
fn times_are_awaited() {
    alone_everywhere(limit(60), || {
        let begin = Instant::now();
        let after = chan::after(A_BIT);
        let fired = block_on(after.recv_async()).unwrap();
        assert!(fired >= begin + A_BIT && Instant::now() >= fired);
        // It has one message: the next never comes.
        let _never = pending(after.recv_async());
        let ticks = chan::tick(A_BIT);
        (0..3).for_each(|_| assert!(block_on(ticks.recv_async()).is_ok()));
        assert!(begin.elapsed() >= A_BIT * 4);

        let timer = Timer::new(A_BIT);
        block_on(timer.chan().recv_async()).unwrap();
        let ticker = Ticker::new(A_BIT);
        let mut stream = ticker.chan().stream();
        for _ in 0..3 {
            let next =
                poll_fn(|context| futures_core::Stream::poll_next(Pin::new(&mut stream), context));
            assert!(block_on(next).is_some());
        }
        let (nothing, nowhere) = (chan::never::<u8>(), chan::never_sender());
        let _silent = pending(nothing.recv_async());
        let _silent = pending(nowhere.send_async(1));
    });
}

/// A timer that is set while a future waits for it.
#[test]
fn a_setting_reaches_who_awaits_a_timer() {
    at_each_place(limit(60), |place| {
        let timer = Arc::new(Timer::new(LONG));
        let waits = timer.clone();
        let receives = place.spawn(move || block_on(waits.chan().recv_async()).is_ok());
        raddle::yield_now();
        assert!(timer.reset(A_BIT));
        assert!(receives.end());
        // Stopped, and set again; one future is dropped.
        let stopped = Timer::new(LONG);
        drop(pending(stopped.chan().recv_async()));
        let mut receive = pending(stopped.chan().recv_async());
        stopped.stop();
        assert!(poll_once(&mut receive).is_pending());
        stopped.reset(A_BIT);
        assert!(block_on(receive).is_ok());
    });
}

/// Of two futures whichever comes first; the other is dropped.
async fn either<A: Future + Unpin, B: Future + Unpin>(mut a: A, mut b: B) -> Option<A::Output> {
    poll_fn(|context| {
        if let Poll::Ready(first) = Pin::new(&mut a).poll(context) {
            return Poll::Ready(Some(first));
        }
        Pin::new(&mut b).poll(context).map(|_| None)
    })
    .await
}

/// Everybody at one channel: plain, selecting and polled. Each message arrives
/// once, and those of one sender in order at each receiver.
#[test]
fn a_crowd_of_all_kinds_keeps_order() {
    crowd(false);
}

/// Some of them give up all the time: each message arrives once, or not at
/// all if its sender gave up.
#[test]
fn a_crowd_that_gives_up_loses_nothing() {
    crowd(true);
}

fn crowd(gives_up: bool) {
    const EACH: u64 = 4;
    let kinds = if gives_up { 4 } else { 3 };
    for capacity in [Some(0), Some(1), Some(3), None] {
        at_each_place(limit(120), |place| {
            let seed = seed();
            let ledger = Ledger::new();
            let messages = rounds(60);
            let (tx, rx) = places::channel::<Value>(capacity);
            let unsent = Arc::new(AtomicU64::new(0));
            let senders: Vec<_> = (0..EACH)
                .map(|sender| {
                    let (tx, ledger, unsent) = (tx.clone(), ledger.clone(), unsent.clone());
                    place.spawn(move || {
                        let mut random = Random::new(seed + sender);
                        for n in 0..messages {
                            let message = ledger.value(sender * messages + n);
                            match random.below(0..kinds) {
                                0 => assert!(tx.send(message).is_ok()),
                                1 => select! { send(tx, message) -> sent => assert!(sent.is_ok()) },
                                2 => assert!(block_on(tx.send_async(message)).is_ok()),
                                // Gives up soon; nobody knows whether it went.
                                _ => {
                                    let turns = Box::pin(give_way(random.below(0..3)));
                                    let sent = block_on(either(tx.send_async(message), turns));
                                    if sent.is_none() {
                                        // ORDER: Relaxed: read after the join.
                                        unsent.fetch_add(1, Relaxed);
                                    }
                                }
                            }
                        }
                    })
                })
                .collect();
            drop(tx);
            let receivers: Vec<_> = (0..EACH)
                .map(|receiver| {
                    let rx = rx.clone();
                    let seed = seed + 100 + receiver;
                    place.spawn(move || receive_all(&rx, messages, gives_up, seed))
                })
                .collect();
            senders.into_iter().for_each(|sender| sender.end());
            let received: u64 = receivers.into_iter().map(|receiver| receiver.end()).sum();
            drop(rx);
            // ORDER: Relaxed: all who wrote it have been joined.
            let unsure = unsent.load(Relaxed);
            let all = EACH * messages;
            assert!(received <= all && received + unsure >= all, "seed {seed}");
            ledger.settled(&format!("seed {seed}"));
        });
    }
}

async fn give_way(turns: u64) {
    for _ in 0..turns {
        Turn::default().await;
    }
}

/// How many. A message that a future was given, and gave back, may come after
/// later ones that others took meanwhile.
fn receive_all(rx: &Receiver<Value>, messages: u64, gives_up: bool, seed: u64) -> u64 {
    let kinds = if gives_up { 5 } else { 4 };
    let mut random = Random::new(seed);
    let mut last = [None; 8];
    let mut count = 0;
    loop {
        let got = match random.below(0..kinds) {
            0 => rx.recv(),
            1 => select! { recv(rx) -> got => got },
            2 => block_on(rx.recv_async()),
            3 => block_on(async {
                let mut stream = rx.stream();
                let next = |context: &mut Context<'_>| {
                    futures_core::Stream::poll_next(Pin::new(&mut stream), context)
                };
                poll_fn(next).await.ok_or(RecvError)
            }),
            _ => {
                let turns = Box::pin(give_way(random.below(0..3)));
                match block_on(either(rx.recv_async(), turns)) {
                    Some(got) => got,
                    None => continue,
                }
            }
        };
        let Ok(value) = got else { return count };
        count += 1;
        let (sender, number) = (value.number / messages, value.number);
        let before = last[sender as usize].replace(number);
        let in_order = before.is_none_or(|before| before < number);
        assert!(gives_up || in_order, "seed {seed}");
    }
}

/// Futures in a line and their channel go at once.
#[test]
fn the_end_of_a_channel_races_with_its_futures() {
    with_deadline(limit(60), "", || {
        let ledger = Ledger::new();
        let mut random = Random::new(seed());
        for _ in 0..rounds(300) {
            let (tx, rx) = bounded(random.below(0..2) as usize);
            let number = random.next();
            let values: Vec<_> = (0..3).map(|n| ledger.value(n)).collect();
            let sends = raddle::spawn(move || {
                for value in values {
                    let turns = Box::pin(give_way(number % 3));
                    block_on(either(tx.send_async(value), turns));
                }
            });
            let other = rx.clone();
            let receives = raddle::spawn(move || {
                let turns = Box::pin(give_way(number % 4));
                block_on(either(other.recv_async(), turns)).is_some()
            });
            (0..random.below(0..3)).for_each(|_| std::thread::yield_now());
            drop(rx);
            receives.join().unwrap();
            sends.join().unwrap();
        }
        ledger.settled("the end");
    });
}
