//! Channels in one hand: what each operation gives on a channel of each kind,
//! empty, full and disconnected.

mod common;
#[path = "common/places.rs"]
mod places;

use common::limit;
use places::{CAPACITIES, Ledger, alone_everywhere, channel};
use raddle::chan::{self, Receiver, Sender};
use raddle::chan::{RecvError, RecvTimeoutError, SendError, SendTimeoutError};
use raddle::chan::{TryRecvError, TrySendError};
use std::collections::HashSet;
use std::rc::Rc;
use std::time::{Duration, Instant};

const SHORT: Duration = Duration::from_millis(10);

/// A moment that was.
fn past() -> Instant {
    let now = Instant::now();
    now.checked_sub(Duration::from_secs(1)).unwrap_or(now)
}

fn sees<T>(tx: &Sender<T>, rx: &Receiver<T>, len: usize, full: bool) {
    assert_eq!((tx.len(), rx.len()), (len, len));
    assert_eq!((tx.is_empty(), rx.is_empty()), (len == 0, len == 0));
    assert_eq!((tx.is_full(), rx.is_full()), (full, full));
}

#[test]
fn a_bounded_channel_holds_its_capacity_and_no_more() {
    alone_everywhere(limit(10), || {
        for capacity in [1, 2, 3, 4, 7, 8, 100] {
            let (tx, rx) = chan::bounded(capacity);
            // Beyond where its buffer turns round, from each place in it.
            for round in 0..capacity + 3 {
                for n in 0..capacity {
                    sees(&tx, &rx, n, false);
                    tx.try_send((round, n)).unwrap();
                }
                sees(&tx, &rx, capacity, true);
                let refused = (round, capacity);
                assert_eq!(tx.try_send(refused), Err(TrySendError::Full(refused)));
                let timeout = Err(SendTimeoutError::Timeout(refused));
                assert_eq!(tx.send_timeout(refused, Duration::ZERO), timeout);
                for n in 0..capacity {
                    assert_eq!(rx.try_recv(), Ok((round, n)));
                }
                sees(&tx, &rx, 0, false);
                assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
                // A step on.
                tx.send((round, 0)).unwrap();
                assert_eq!(rx.recv(), Ok((round, 0)));
            }
        }
    });
}

#[test]
fn an_unbounded_channel_is_never_full() {
    alone_everywhere(limit(10), || {
        let (tx, rx) = chan::unbounded();
        for round in 0..3 {
            for n in 0..1000 {
                sees(&tx, &rx, n, false);
                match n % 3 {
                    0 => tx.send(n).unwrap(),
                    1 => tx.try_send(n).unwrap(),
                    _ => tx.send_timeout(n, Duration::ZERO).unwrap(),
                }
            }
            for n in 0..1000 {
                assert_eq!(rx.recv(), Ok(n), "round {round}");
            }
            assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
        }
    });
}

#[test]
fn a_rendezvous_holds_nothing() {
    alone_everywhere(limit(10), || {
        let (tx, rx) = chan::bounded(0);
        sees(&tx, &rx, 0, true);
        assert_eq!(tx.try_send(1), Err(TrySendError::Full(1)));
        let timeout = Err(SendTimeoutError::Timeout(2));
        assert_eq!(tx.send_timeout(2, Duration::ZERO), timeout);
        assert_eq!(tx.send_timeout(2, SHORT), timeout);
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(rx.recv_timeout(SHORT), Err(RecvTimeoutError::Timeout));
        assert_eq!(rx.try_iter().count(), 0);
        sees(&tx, &rx, 0, true);
    });
}

#[test]
fn both_ends_know_the_capacity() {
    for capacity in CAPACITIES {
        let (tx, rx) = channel::<String>(capacity);
        assert_eq!((tx.capacity(), rx.capacity()), (capacity, capacity));
        drop(rx);
        assert_eq!(tx.clone().capacity(), capacity);
    }
}

#[test]
fn handles_of_one_channel_know_each_other() {
    for capacity in CAPACITIES {
        let (tx, rx) = channel::<u8>(capacity);
        let (other_tx, other_rx) = channel::<u8>(capacity);
        assert!(tx.same_channel(&tx) && rx.same_channel(&rx));
        assert!(tx.same_channel(&tx.clone()) && rx.clone().same_channel(&rx));
        assert!(!tx.same_channel(&other_tx) && !other_rx.same_channel(&rx));
        for different in CAPACITIES.into_iter().filter(|&it| it != capacity) {
            let (tx2, rx2) = channel::<u8>(different);
            assert!(!tx.same_channel(&tx2) && !rx.same_channel(&rx2));
        }
    }
}

#[test]
fn receivers_drain_what_the_last_sender_left() {
    alone_everywhere(limit(10), || {
        for capacity in CAPACITIES {
            let (tx, rx) = channel(capacity);
            let held = capacity.unwrap_or(5);
            for n in 0..held {
                tx.send(n).unwrap();
            }
            let (tx2, rx2) = (tx.clone(), rx.clone());
            drop(tx);
            if held > 0 {
                assert_eq!(rx2.try_recv(), Ok(0));
            } else {
                assert_eq!(rx2.try_recv(), Err(TryRecvError::Empty));
            }
            drop(tx2);
            assert_eq!(rx.len(), held.saturating_sub(1));
            for n in 1..held {
                match n % 4 {
                    0 => assert_eq!(rx.recv(), Ok(n)),
                    1 => assert_eq!(rx2.try_recv(), Ok(n)),
                    2 => assert_eq!(rx.recv_timeout(Duration::ZERO), Ok(n)),
                    _ => assert_eq!(rx.recv_deadline(past()), Ok(n)),
                }
            }
            for rx in [&rx, &rx2] {
                assert!(rx.is_empty());
                assert_eq!(rx.recv(), Err(RecvError));
                assert_eq!(rx.try_recv(), Err(TryRecvError::Disconnected));
                for timeout in [Duration::ZERO, SHORT, Duration::MAX] {
                    let outcome = rx.recv_timeout(timeout);
                    assert_eq!(outcome, Err(RecvTimeoutError::Disconnected));
                }
                let outcome = rx.recv_deadline(past());
                assert_eq!(outcome, Err(RecvTimeoutError::Disconnected));
                assert_eq!(rx.iter().next(), None);
                assert_eq!(rx.try_iter().next(), None);
            }
        }
    });
}

#[test]
fn senders_get_their_value_back_when_no_receiver_is_left() {
    alone_everywhere(limit(10), || {
        for capacity in CAPACITIES {
            let (tx, rx) = channel(capacity);
            let rx2 = rx.clone();
            drop(rx);
            if capacity != Some(0) {
                tx.send("kept").unwrap();
                assert_eq!(rx2.recv(), Ok("kept"));
                // A full channel is disconnected all the same.
                while tx.len() < 9 && tx.try_send("in").is_ok() {}
            }
            drop(rx2);
            for tx in [tx.clone(), tx] {
                assert_eq!(tx.send("a"), Err(SendError("a")));
                assert_eq!(tx.try_send("b"), Err(TrySendError::Disconnected("b")));
                for timeout in [Duration::ZERO, SHORT, Duration::MAX] {
                    let outcome = tx.send_timeout("c", timeout);
                    assert_eq!(outcome, Err(SendTimeoutError::Disconnected("c")));
                }
                let outcome = tx.send_deadline("d", past());
                assert_eq!(outcome, Err(SendTimeoutError::Disconnected("d")));
            }
        }
    });
}

/// "If the channel is not full and the timeout has already elapsed", the
/// message is sent all the same; so with receiving.
#[test]
fn what_needs_no_wait_succeeds_whatever_the_timeout() {
    alone_everywhere(limit(10), || {
        for capacity in [Some(1), Some(2), None] {
            let (tx, rx) = channel(capacity);
            for n in 0..10 {
                if n % 2 == 0 {
                    tx.send_timeout(n, Duration::ZERO).unwrap();
                    assert_eq!(rx.recv_deadline(past()), Ok(n));
                } else {
                    tx.send_deadline(n, past()).unwrap();
                    assert_eq!(rx.recv_timeout(Duration::ZERO), Ok(n));
                }
                tx.send_timeout(n, Duration::MAX).unwrap();
                assert_eq!(rx.recv_timeout(Duration::MAX), Ok(n));
            }
        }
    });
}

#[test]
fn a_timeout_takes_its_time_and_gives_the_value_back() {
    alone_everywhere(limit(10), || {
        for capacity in CAPACITIES {
            let (tx, rx) = channel(capacity);
            let begin = Instant::now();
            assert_eq!(rx.recv_timeout(SHORT), Err(RecvTimeoutError::Timeout));
            assert!(begin.elapsed() >= SHORT);
            let deadline = Instant::now() + SHORT;
            let outcome = rx.recv_deadline(deadline);
            assert_eq!(outcome, Err(RecvTimeoutError::Timeout));
            assert!(Instant::now() >= deadline);
            for zero in [rx.recv_timeout(Duration::ZERO), rx.recv_deadline(past())] {
                assert_eq!(zero, Err(RecvTimeoutError::Timeout));
            }
            if capacity.is_none() {
                continue;
            }
            while tx.try_send(0).is_ok() {}
            let begin = Instant::now();
            let outcome = tx.send_timeout(7, SHORT);
            assert_eq!(outcome, Err(SendTimeoutError::Timeout(7)));
            assert!(begin.elapsed() >= SHORT);
            let deadline = Instant::now() + SHORT;
            let outcome = tx.send_deadline(8, deadline);
            assert_eq!(outcome, Err(SendTimeoutError::Timeout(8)));
            assert!(Instant::now() >= deadline);
            let outcome = tx.send_deadline(9, past());
            assert_eq!(outcome, Err(SendTimeoutError::Timeout(9)));
            assert_eq!(tx.len(), capacity.unwrap());
        }
    });
}

#[test]
fn iterators_end_with_the_channel_and_stay_ended() {
    fn fused<I: std::iter::FusedIterator>(iterator: I) -> I {
        iterator
    }
    alone_everywhere(limit(10), || {
        for capacity in [Some(10), None] {
            let filled = || {
                let (tx, rx) = channel(capacity);
                (0..10).for_each(|n| tx.send(n).unwrap());
                rx
            };
            let wanted: Vec<_> = (0..10).collect();
            let rx = filled();
            let mut iter = fused(rx.iter());
            assert_eq!(iter.by_ref().collect::<Vec<_>>(), wanted);
            assert_eq!((iter.next(), iter.next()), (None, None));
            assert_eq!(rx.iter().next(), None);

            let mut seen = Vec::new();
            let rx = filled();
            for n in &rx {
                seen.push(n);
                if n == 4 {
                    break;
                }
            }
            assert_eq!(rx.len(), 5);
            for n in rx {
                seen.push(n);
            }
            assert_eq!(seen, wanted);

            let mut iter = fused(filled().into_iter());
            assert_eq!(iter.by_ref().collect::<Vec<_>>(), wanted);
            assert_eq!((iter.next(), iter.next()), (None, None));
        }
    });
}

#[test]
fn try_iter_takes_what_is_there_and_more_when_more_is_there() {
    alone_everywhere(limit(10), || {
        let (tx, rx) = chan::bounded(3);
        let mut iter = rx.try_iter();
        for round in 0..4 {
            assert_eq!(iter.next(), None);
            for n in 0..3 {
                tx.send((round, n)).unwrap();
            }
            let seen: Vec<_> = iter.by_ref().collect();
            assert_eq!(seen, [(round, 0), (round, 1), (round, 2)]);
        }
        tx.send((9, 9)).unwrap();
        drop(tx);
        assert_eq!(iter.next(), Some((9, 9)));
        assert_eq!((iter.next(), iter.next()), (None, None));
    });
}

/// What nobody can receive any more goes with the last handle.
#[test]
fn messages_are_dropped_with_their_channel_and_once() {
    alone_everywhere(limit(10), || {
        for capacity in [Some(1), Some(2), Some(8), Some(100), None] {
            for taken in [0, 1, 40] {
                for rx_first in [true, false] {
                    let ledger = Ledger::new();
                    let (tx, rx) = channel(capacity);
                    for n in 0..capacity.unwrap_or(100) as u64 {
                        tx.try_send(ledger.value(n)).ok().unwrap();
                    }
                    let received: Vec<_> = rx.try_iter().take(taken).collect();
                    let count = received.len() as u64;
                    assert_eq!(ledger.dropped(), 0);
                    drop(received);
                    assert_eq!(ledger.dropped(), count);
                    if rx_first {
                        drop(rx);
                        if capacity.is_none() {
                            assert_eq!(ledger.dropped(), ledger.made());
                        }
                        let refused = tx.send(ledger.value(1000));
                        assert_eq!(refused.unwrap_err().0.number, 1000);
                        drop(tx);
                    } else {
                        drop(tx);
                        assert_eq!(ledger.dropped(), count);
                        drop(rx);
                    }
                    ledger.settled(&format!("{capacity:?}, {taken}, {rx_first}"));
                }
            }
        }
    });
}

#[test]
fn a_refused_value_is_the_one_that_was_sent() {
    alone_everywhere(limit(10), || {
        let ledger = Ledger::new();
        let (tx, rx) = chan::bounded(1);
        tx.send(ledger.value(1)).ok().unwrap();
        let back = tx.try_send(ledger.value(2)).unwrap_err().into_inner();
        assert_eq!(back.number, 2);
        let back = tx.send_timeout(back, SHORT).unwrap_err().into_inner();
        assert_eq!((back.number, ledger.made(), ledger.dropped()), (2, 2, 0));
        drop(rx);
        let back = tx.send(back).unwrap_err().into_inner();
        assert_eq!(back.number, 2);
        drop((tx, back));
        ledger.settled("");
    });
}

#[test]
fn messages_of_no_size_are_counted_too() {
    struct Nothing;
    thread_local! {
        static DROPS: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
    }
    impl Drop for Nothing {
        fn drop(&mut self) {
            DROPS.set(DROPS.get() + 1);
        }
    }
    alone_everywhere(limit(10), || {
        DROPS.set(0);
        for capacity in [Some(3), Some(64), None] {
            let (tx, rx) = channel(capacity);
            for _ in 0..capacity.unwrap_or(64) {
                tx.try_send(Nothing).ok().unwrap();
            }
            assert_eq!(tx.is_full(), capacity.is_some());
            let before = DROPS.get();
            assert!(rx.recv().is_ok() && rx.try_recv().is_ok());
            assert_eq!(DROPS.get(), before + 2);
            assert_eq!(rx.len(), capacity.unwrap_or(64) - 2);
            drop(rx);
            drop(tx);
            assert_eq!(
                DROPS.get() as usize,
                before as usize + capacity.unwrap_or(64)
            );
        }
        let (tx, rx) = chan::unbounded::<()>();
        (0..100_000).for_each(|_| tx.send(()).unwrap());
        assert_eq!(rx.try_iter().count(), 100_000);
    });
}

#[test]
fn big_messages_arrive_whole() {
    #[derive(Clone, Copy, PartialEq)]
    struct Big([u64; 512]);
    alone_everywhere(limit(10), || {
        for capacity in [Some(1), Some(5), None] {
            let (tx, rx) = channel(capacity);
            for n in 0..40 {
                let big = Big(std::array::from_fn(|place| n * place as u64));
                tx.send(big).unwrap();
                assert!(rx.recv() == Ok(big));
            }
        }
    });
}

/// A channel of `Rc` stays within its thread, and works there.
#[test]
fn messages_need_not_be_send() {
    alone_everywhere(limit(10), || {
        let shared = Rc::new(5);
        for capacity in [Some(2), None] {
            let (tx, rx) = channel(capacity);
            tx.send(shared.clone()).unwrap();
            tx.try_send(shared.clone()).unwrap();
            assert_eq!(Rc::strong_count(&shared), 3);
            assert!(Rc::ptr_eq(&rx.recv().unwrap(), &shared));
            chan::select! {
                recv(rx) -> it => assert_eq!(*it.unwrap(), 5),
                send(tx, shared.clone()) -> res => res.unwrap(),
            }
        }
        assert_eq!(Rc::strong_count(&shared), 1);
        let (tx, rx) = chan::bounded::<Rc<u8>>(0);
        assert!(rx.recv_timeout(SHORT).is_err());
        assert!(tx.send_timeout(Rc::new(1), SHORT).is_err());
    });
}

/// No bounds at all: what is neither `Send` nor `Sync` nor `'static`.
#[test]
fn messages_may_borrow() {
    let words = String::from("a b c d");
    let (tx, rx) = chan::unbounded::<&str>();
    words.split(' ').for_each(|word| tx.send(word).unwrap());
    drop(tx);
    assert_eq!(rx.into_iter().collect::<HashSet<_>>().len(), 4);
}

#[test]
fn a_channel_may_travel_through_a_channel() {
    alone_everywhere(limit(10), || {
        let (tx, rx) = chan::unbounded();
        let (inner_tx, inner_rx) = chan::bounded(1);
        tx.send((inner_tx, inner_rx)).unwrap();
        let (inner_tx, inner_rx): (Sender<u8>, Receiver<u8>) = rx.recv().unwrap();
        inner_tx.send(9).unwrap();
        assert_eq!(inner_rx.recv(), Ok(9));
        // One that waits in its own buffer goes with the last handle there.
        let ledger = Ledger::new();
        struct Own(
            #[allow(dead_code)] Sender<Own>,
            #[allow(dead_code)] places::Value,
        );
        let (tx, rx) = chan::unbounded();
        tx.send(Own(tx.clone(), ledger.value(1))).ok().unwrap();
        drop(tx);
        drop(rx);
        ledger.settled("");
    });
}
