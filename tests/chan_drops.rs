//! Channels in destructors: messages whose drop panics, channels used while a
//! panic unwinds, and channels used when a thread or a goroutine ends.

mod common;
#[path = "common/places.rs"]
mod places;

use common::{MODES, ON_PURPOSE, OnDrop, is_on_purpose, limit, runtime, with_deadline};
use places::{Ledger, Value, alone_everywhere, at_each_place, channel};
use raddle::chan::{self, Receiver, RecvTimeoutError, Sender, TryRecvError, select};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

const CAPACITIES: [Option<usize>; 3] = [Some(5), Some(40), None];

/// A message that panics when it is dropped, if it is told to.
struct Grumpy {
    panics: bool,
    #[allow(dead_code, reason = "counts")]
    value: Value,
}

impl Grumpy {
    fn new(ledger: &Ledger, number: u64, panics: bool) -> Self {
        let value = ledger.value(number);
        Self { panics, value }
    }
}

impl Drop for Grumpy {
    fn drop(&mut self) {
        if self.panics && !thread::panicking() {
            panic_any(ON_PURPOSE);
        }
    }
}

fn panics_on_purpose<T>(f: impl FnOnce() -> T) {
    let payload = catch_unwind(AssertUnwindSafe(f)).err().expect("a panic");
    assert!(is_on_purpose(payload.as_ref()));
}

/// Five messages, one of which is grumpy.
fn filled(
    ledger: &Ledger,
    capacity: Option<usize>,
    which: u64,
) -> (Sender<Grumpy>, Receiver<Grumpy>) {
    let (tx, rx) = channel(capacity);
    for n in 0..5 {
        let message = Grumpy::new(ledger, n, n == which);
        assert!(tx.send(message).is_ok());
    }
    (tx, rx)
}

#[test]
fn a_message_that_panics_takes_no_other_along() {
    alone_everywhere(limit(10), || {
        for capacity in CAPACITIES {
            for which in 0..5 {
                for rx_first in [true, false] {
                    for closed in [true, false] {
                        let ledger = Ledger::new();
                        let (tx, rx) = filled(&ledger, capacity, which);
                        if closed {
                            tx.close();
                        }
                        panics_on_purpose(|| {
                            if rx_first {
                                drop(rx);
                                drop(tx);
                            } else {
                                drop(tx);
                                drop(rx);
                            }
                        });
                        ledger.settled(&format!("{capacity:?}, {which}, {rx_first}"));
                    }
                }
            }
        }
    });
}

/// The second panic met the unwinding of the first, and the process ended.
#[test]
fn messages_that_all_panic_end_nobody_else() {
    type Count = Arc<AtomicUsize>;

    struct Bomb(Count);

    impl Drop for Bomb {
        fn drop(&mut self) {
            self.0.fetch_add(1, Relaxed);
            panic_any(ON_PURPOSE);
        }
    }

    alone_everywhere(limit(10), || {
        for capacity in CAPACITIES {
            let dropped = Count::default();
            let (tx, rx) = channel(capacity);
            for _ in 0..5 {
                assert!(tx.send(Bomb(dropped.clone())).is_ok());
            }
            panics_on_purpose(|| drop(rx));
            // ORDER: Relaxed: of this thread.
            assert_eq!(dropped.load(Relaxed), 5, "{capacity:?}");
            // Nobody takes it, so it comes back.
            let back = tx.send(Bomb(dropped.clone()));
            assert!(back.is_err());
            panics_on_purpose(|| drop(back));
        }
    });
}

/// The last receiver goes by a panic; the channel has ended all the same, and
/// senders who wait for room get their values back.
#[test]
fn a_message_that_panics_does_not_keep_the_channel_from_ending() {
    at_each_place(limit(20), |place| {
        for which in [0, 2, 4, 9] {
            let ledger = Ledger::new();
            let (tx, rx) = filled(&ledger, Some(5), which);
            let members: Vec<_> = (10..13)
                .map(|n| {
                    let (tx, message) = (tx.clone(), Grumpy::new(&ledger, n, false));
                    place.spawn(move || {
                        let back = tx.send(message).err();
                        back.map(|it| it.0.value.number)
                    })
                })
                .collect();
            raddle::time::sleep(Duration::from_micros(200));
            let _panicked = catch_unwind(AssertUnwindSafe(|| drop(rx)));
            for (n, member) in (10..).zip(members) {
                assert_eq!(member.end(), Some(n), "{}", place.name);
            }
            assert!(tx.send(Grumpy::new(&ledger, 20, false)).is_err());
            // What is left, if anything, goes with the sender.
            let _panicked = catch_unwind(AssertUnwindSafe(|| drop(tx)));
            ledger.settled(&place.name);
        }
    });
}

#[test]
fn a_message_that_panics_in_its_receivers_hands_leaves_the_channel_whole() {
    alone_everywhere(limit(10), || {
        for capacity in CAPACITIES {
            for way in 0..4 {
                let ledger = Ledger::new();
                let (tx, rx) = filled(&ledger, capacity, 2);
                panics_on_purpose(|| match way {
                    0 => rx.try_iter().for_each(drop),
                    1 => rx.iter().for_each(drop),
                    2 => loop {
                        drop(rx.recv());
                    },
                    _ => loop {
                        select! { recv(rx) -> it => drop(it), default => break }
                    },
                });
                assert_eq!(rx.len(), 2);
                assert!(tx.send(Grumpy::new(&ledger, 7, false)).is_ok());
                let left: Vec<_> = rx.try_iter().map(|it| it.value.number).collect();
                assert_eq!(left, [3, 4, 7]);
                drop((tx, rx));
                ledger.settled("");
            }
        }
    });
}

/// A refused message that panics when its error is dropped.
#[test]
fn an_error_may_panic_with_its_message() {
    alone_everywhere(limit(10), || {
        let ledger = Ledger::new();
        let (tx, rx) = chan::bounded(1);
        assert!(tx.send(Grumpy::new(&ledger, 1, false)).is_ok());
        panics_on_purpose(|| drop(tx.try_send(Grumpy::new(&ledger, 2, true))));
        let short = Duration::from_millis(1);
        panics_on_purpose(|| drop(tx.send_timeout(Grumpy::new(&ledger, 3, true), short)));
        assert_eq!(rx.try_iter().count(), 1);
        tx.close();
        panics_on_purpose(|| drop(tx.send(Grumpy::new(&ledger, 4, true))));
        panics_on_purpose(|| {
            select! { send(tx, Grumpy::new(&ledger, 5, true)) -> res => drop(res) }
        });
        drop((tx, rx));
        ledger.settled("");
    });
}

/// Sends, receives and selects, parked ones too, in a destructor that runs
/// because of a panic.
#[test]
fn channels_work_while_a_panic_unwinds() {
    at_each_place(limit(20), |place| {
        let (ask, asked) = chan::bounded::<u64>(0);
        let (answer, answered) = chan::bounded::<u64>(0);
        let server = place.spawn(move || {
            for n in asked {
                raddle::yield_now();
                answer.send(n * 2).unwrap();
            }
        });
        let member = place.spawn(move || {
            let mut sum = 0;
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                let _asks = OnDrop(|| {
                    ask.send(3).unwrap();
                    sum += answered.recv().unwrap();
                    select! {
                        send(ask, 4) -> res => res.unwrap(),
                        recv(answered) -> _ => unreachable!(),
                    }
                    sum += answered.recv_timeout(Duration::from_secs(1000)).unwrap();
                });
                panic_any(ON_PURPOSE);
            }));
            assert!(outcome.is_err());
            sum
        });
        assert_eq!(member.end(), 14, "{}", place.name);
        server.end();
    });
}

/// What a thread leaves in its thread-locals: it does everything channels can
/// do when it is dropped.
struct Last {
    ask: Sender<u64>,
    answered: Receiver<u64>,
}

impl Drop for Last {
    fn drop(&mut self) {
        let short = Duration::from_millis(1);
        self.ask.send(1).unwrap();
        assert_eq!(self.answered.recv(), Ok(2));
        self.ask.send_timeout(2, Duration::from_secs(1000)).unwrap();
        select! {
            recv(self.answered) -> it => assert_eq!(it, Ok(4)),
            recv(chan::never::<u8>()) -> _ => unreachable!(),
        }
        assert_eq!(self.answered.try_recv(), Err(TryRecvError::Empty));
        let outcome = self.answered.recv_timeout(short);
        assert_eq!(outcome, Err(RecvTimeoutError::Timeout));
        select! {
            recv(self.answered) -> _ => unreachable!(),
            default(short) => {}
        }
        chan::after(short).recv().unwrap();
        let (tx, rx) = chan::bounded(1);
        tx.send(5).unwrap();
        assert!(rx.into_iter().take(1).eq([5]));
        select! { send(self.ask, 9) -> res => res.unwrap() }
    }
}

/// What waits for a `Last`; whether it came to its end.
fn answers(asked: &Receiver<u64>, answer: &Sender<u64>) -> bool {
    for n in asked {
        if n == 9 {
            return true;
        }
        answer.send(n * 2).unwrap();
    }
    false
}

thread_local! {
    static LAST: RefCell<Option<Last>> = const { RefCell::new(None) };
}

#[inline(never)]
fn leave_behind(last: Last) {
    LAST.with_borrow_mut(|it| *it = Some(last));
}

#[test]
fn channels_work_in_the_destructors_of_thread_locals() {
    with_deadline(limit(20), "threads", || {
        for used_before in [false, true] {
            let ((ask, asked), (answer, answered)) = (chan::bounded(0), chan::bounded(0));
            let thread = thread::spawn(move || {
                let wait = Duration::from_millis(1);
                // Whatever channels keep for a thread is made before, or after.
                if used_before {
                    assert!(answered.recv_timeout(wait).is_err());
                }
                leave_behind(Last { ask, answered });
                assert!(chan::never::<u8>().recv_timeout(wait).is_err());
            });
            assert!(answers(&asked, &answer));
            thread.join().unwrap();
        }
    });
}

/// A machine's thread-locals go with its runtime.
#[test]
fn channels_work_in_the_destructors_of_a_machines_thread_locals() {
    for mode in MODES {
        with_deadline(limit(20), &format!("{mode:?}"), || {
            let runtime = runtime(mode, 2);
            let ((ask, asked), (answer, answered)) = (chan::bounded(0), chan::bounded(0));
            runtime
                .spawn(move || leave_behind(Last { ask, answered }))
                .join()
                .unwrap();
            let partner = thread::spawn(move || answers(&asked, &answer));
            drop(runtime);
            assert!(partner.join().unwrap());
        });
    }
}

raddle::goroutine_local! {
    static OWN: RefCell<Option<Last>> = RefCell::new(None);
}

#[test]
fn channels_work_in_the_destructors_of_goroutine_locals() {
    at_each_place(limit(20), |place| {
        let ((ask, asked), (answer, answered)) = (chan::bounded(0), chan::bounded(0));
        let member = raddle::spawn(move || {
            OWN.with(|it| *it.borrow_mut() = Some(Last { ask, answered }));
        });
        assert!(answers(&asked, &answer), "{}", place.name);
        member.join().unwrap();
    });
}
