//! The end of a runtime whose goroutines wait at channels: each is unwound,
//! each destructor and each value is done with once, before `drop` returns.

mod common;
#[path = "common/places.rs"]
mod places;

use common::{
    MODES, Mode, OnDrop, Random, burn, comes_true, limit, rounds, runtime, seed, with_deadline,
};
use places::{Ledger, Value, channel, in_child, runnable, spin_until, until_a_receiver_waits};
use raddle::chan::{self, Chan, Receiver, Select, Sender, TryRecvError, select};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

// ORDER: SeqCst for counts that are read after the drop of a runtime: what is
// tested is that drop orders them.

const LONG: Duration = Duration::from_secs(1000);

type Ends = (Sender<places::Value>, Receiver<places::Value>);
type Wait = fn(&Ends, &Ledger);

/// Ways to wait, at a channel that is full and at one that is empty.
const SENDS: [(&str, Wait); 4] = [
    ("send", |(tx, _), ledger| _ = tx.send(ledger.value(1))),
    ("send_timeout", |(tx, _), ledger| {
        _ = tx.send_timeout(ledger.value(2), LONG);
    }),
    ("select to send", |(tx, _), ledger| {
        let value = ledger.value(3);
        select! {
            send(tx, value) -> res => drop(res),
            recv(chan::never::<u8>()) -> _ => {}
        }
    }),
    ("select in a list", |(tx, _), ledger| {
        let value = ledger.value(4);
        let mut list = Select::new();
        list.send(tx);
        list.send(tx);
        drop(list.select().send(tx, value));
    }),
];

const RECVS: [(&str, Wait); 6] = [
    ("recv", |(_, rx), _| drop(rx.recv())),
    ("recv_timeout", |(_, rx), _| drop(rx.recv_timeout(LONG))),
    ("iter", |(_, rx), _| rx.iter().for_each(drop)),
    ("select", |(_, rx), _| {
        select! {
            recv(rx) -> it => drop(it),
            recv(chan::after(LONG)) -> _ => {}
        }
    }),
    ("select, default", |(_, rx), _| {
        select! {
            recv(rx) -> it => drop(it),
            default(LONG) => {}
        }
    }),
    ("ready", |(_, rx), _| {
        let mut list = Select::new();
        list.recv(rx);
        list.ready();
    }),
];

#[test]
fn who_waits_at_a_channel_is_unwound_and_its_values_are_dropped() {
    for mode in MODES {
        for procs in [1, 2, 4] {
            with_deadline(limit(30), &format!("{mode:?}, P = {procs}"), || {
                for capacity in [Some(0), Some(2), None] {
                    let ledger = Ledger::new();
                    let after = Arc::new(AtomicUsize::new(0));
                    let runtime = runtime(mode, procs);
                    let (begun_tx, begun) = chan::unbounded();
                    let mut count = 0;
                    let mut add = |ends: Ends, wait: Wait| {
                        let own = ledger.value(100 + count);
                        count += 1;
                        let (after, begun_tx) = (after.clone(), begun_tx.clone());
                        let ledger = ledger.clone();
                        drop(runtime.spawn(move || {
                            let _own = own;
                            begun_tx.send(()).unwrap();
                            wait(&ends, &ledger);
                            after.fetch_add(1, SeqCst);
                        }));
                    };
                    let empty: Ends = channel(capacity);
                    let full: Ends = channel(capacity);
                    while full.0.len() < 2 && full.0.try_send(ledger.value(9)).is_ok() {}
                    for (_, wait) in RECVS {
                        add(empty.clone(), wait);
                    }
                    if capacity.is_some() {
                        for (_, wait) in SENDS {
                            add(full.clone(), wait);
                        }
                    }
                    for _ in 0..count {
                        begun.recv().unwrap();
                    }
                    drop(runtime);
                    assert_eq!(after.load(SeqCst), 0, "some came back");
                    // Nobody waits there any more: the channels are as before.
                    assert_eq!(empty.1.try_recv().err(), Some(TryRecvError::Empty));
                    let held = full.1.try_iter().count();
                    assert_eq!(held, capacity.map_or(2, |it| it.min(2)));
                    if capacity.is_some() {
                        assert!(empty.0.is_full() || empty.0.try_send(ledger.value(5)).is_ok());
                    }
                    drop((empty, full));
                    ledger.settled("");
                }
            });
        }
    }
}

/// Whoever waits at the same channels and is not of that runtime goes on as
/// if the others had never come.
#[test]
fn partners_of_another_runtime_and_threads_are_not_disturbed() {
    for mode in MODES {
        with_deadline(limit(30), &format!("{mode:?}"), || {
            let other = runtime(mode, 2);
            for _ in 0..rounds(3) {
                let ledger = Ledger::new();
                let (tx, rx) = chan::bounded(0);
                let begin = |runtime: &raddle::runtime::Runtime| {
                    let rx = rx.clone();
                    runtime.spawn(move || rx.recv().ok().map(|it: places::Value| it.number))
                };
                let dying = runtime(mode, 2);
                let mut lost = Vec::new();
                let mut kept = Vec::new();
                let threads: Vec<_> = (0..4)
                    .map(|_| {
                        lost.push(begin(&dying));
                        kept.push(begin(&other));
                        let rx = rx.clone();
                        thread::spawn(move || rx.recv().ok().map(|it| it.number))
                    })
                    .collect();
                places::until_a_receiver_waits(&tx);
                drop(dying);
                (0..8).for_each(|n| assert!(tx.send(ledger.value(n)).is_ok()));
                let mut seen: Vec<_> = kept.into_iter().map(|it| it.join().unwrap()).collect();
                seen.extend(threads.into_iter().map(|it| it.join().unwrap()));
                seen.sort_unstable();
                assert!(seen.into_iter().eq((0..8).map(Some)));
                assert!(lost.into_iter().all(|it| it.join().is_err()));
                ledger.settled("");
            }
        });
    }
}

/// The runtime ends in the midst of traffic; values are with somebody, or
/// dropped, and none twice.
#[test]
fn a_runtime_may_end_in_the_midst_of_traffic() {
    let begin = seed();
    for mode in MODES {
        for procs in [1, 2, 4] {
            with_deadline(
                limit(60),
                &format!("{mode:?}, P = {procs}, {begin}"),
                || {
                    for round in 0..rounds(8) {
                        let mut random = Random::new(begin + round);
                        let ledger = Ledger::new();
                        let runtime = runtime(mode, procs);
                        let capacity = places::CAPACITIES[random.below(0..5) as usize];
                        let ((tx, rx), (tx2, rx2)) = (channel(capacity), channel(Some(1)));
                        for n in 0..6_u64 {
                            let (tx, rx, tx2, rx2) =
                                (tx.clone(), rx.clone(), tx2.clone(), rx2.clone());
                            let ledger = ledger.clone();
                            drop(runtime.spawn(move || {
                                for turn in 0.. {
                                    let value = ledger.value(turn * 6 + n);
                                    match n % 3 {
                                        0 => drop(tx.send(value)),
                                        1 => drop(rx.recv()),
                                        _ => select! {
                                            send(tx2, value) -> res => drop(res),
                                            recv(rx) -> it => drop(it),
                                            recv(rx2) -> it => drop(it),
                                        },
                                    }
                                    raddle::yield_now();
                                }
                            }));
                        }
                        // Threads that must come to no harm.
                        let thread = {
                            let (tx, ledger) = (tx.clone(), ledger.clone());
                            thread::spawn(move || {
                                for n in 0..20 {
                                    let wait = Duration::from_micros(50);
                                    drop(tx.send_timeout(ledger.value(n), wait));
                                }
                            })
                        };
                        thread::sleep(random.micros(0..2000));
                        drop(runtime);
                        thread.join().unwrap();
                        drop((tx, rx, tx2, rx2));
                        ledger.settled(&format!("round {round}"));
                    }
                },
            );
        }
    }
}

/// A destructor that runs because of the shutdown may use channels that need
/// nobody, and must not wait for ever at one that does.
#[test]
fn destructors_may_use_channels_while_their_runtime_ends() {
    for mode in MODES {
        with_deadline(limit(30), &format!("{mode:?}"), || {
            let runtime = runtime(mode, 2);
            let (tx, rx) = chan::unbounded();
            let (begun_tx, begun) = chan::unbounded();
            let all = 20;
            for n in 0..all {
                let (tx, begun_tx) = (tx.clone(), begun_tx.clone());
                drop(runtime.spawn(move || {
                    let own = Chan::<u64>::new(1);
                    let _sends = OnDrop(|| {
                        own.send(n);
                        assert_eq!(own.recv(), Some(n));
                        select! { send(tx, n) -> res => res.unwrap() }
                        tx.send(n).unwrap();
                    });
                    begun_tx.send(()).unwrap();
                    chan::never::<u8>().recv().unwrap();
                }));
            }
            (0..all).for_each(|_| begun.recv().unwrap());
            drop(runtime);
            assert_eq!(rx.len() as u64, 2 * all);
            drop(tx);
            assert_eq!(rx.iter().sum::<u64>(), all * (all - 1));
        });
    }
}

/// The message lay where two selections met, and was dropped by the partner
/// when shutdown unwound the sender. Not in migrate mode, where a goroutine is
/// at home nowhere.
#[test]
fn a_message_that_is_not_send_is_dropped_at_home_when_shutdown_ends_its_sender() {
    static DROPPED: AtomicU8 = AtomicU8::new(0);
    struct AtHome(Rc<()>, thread::ThreadId);
    impl Drop for AtHome {
        fn drop(&mut self) {
            let is_at_home = thread::current().id() == self.1 && Rc::strong_count(&self.0) > 0;
            DROPPED.fetch_add(if is_at_home { 1 } else { 100 }, SeqCst);
        }
    }
    let begun = Arc::new(AtomicBool::new(false));
    let may_end = Arc::new(AtomicBool::new(false));
    with_deadline(limit(30), "pinned", || {
        let runtime = runtime(Mode::Pinned, 1);
        let (inner_begun, inner_end) = (begun.clone(), may_end.clone());
        drop(runtime.spawn(move || {
            let (tx, rx) = chan::bounded::<AtHome>(0);
            let rc = Rc::new(());
            let mut list = Select::new();
            list.recv(&rx);
            raddle::scope(|scope| {
                scope.spawn(move || {
                    raddle::blocking(move || {
                        let operation = list.select();
                        inner_begun.store(true, SeqCst);
                        spin_until(|| inner_end.load(SeqCst));
                        let dropped = catch_unwind(AssertUnwindSafe(|| drop(operation)));
                        assert!(dropped.is_err());
                    });
                });
                let message = AtHome(rc.clone(), thread::current().id());
                select! { send(tx, message) -> _ => {} }
            });
        }));
        spin_until(|| begun.load(SeqCst));
        thread::scope(|scope| {
            scope.spawn(|| {
                // At home it comes first.
                comes_true(Duration::from_secs(5), || DROPPED.load(SeqCst) != 0);
                may_end.store(true, SeqCst);
            });
            drop(runtime);
        });
        assert_eq!(DROPPED.load(SeqCst), 1, "100: on another thread");
    });
}

/// A slice that was over ended the sender, by shutdown, between its being
/// chosen and its send: its partner was never told.
#[test]
fn a_selection_goes_on_when_shutdown_ends_the_one_it_met() {
    in_child(
        "a_selection_goes_on_when_shutdown_ends_the_one_it_met",
        || {
            for mode in MODES {
                for sends in [true, false] {
                    with_deadline(limit(20), &format!("{mode:?}, {sends}"), || {
                        met_and_shut_down(mode, sends);
                    });
                }
            }
        },
    );
}

fn met_and_shut_down(mode: Mode, sends: bool) {
    let ledger = Ledger::new();
    let (tx, rx) = chan::bounded::<Value>(0);
    let runtime = runtime(mode, 1);
    let is_chosen = Arc::new(AtomicBool::new(false));
    let (inner, ends, value) = (is_chosen.clone(), (tx.clone(), rx.clone()), ledger.value(7));
    let own = if sends {
        (None, Some(rx))
    } else {
        (Some(tx), None)
    };
    let partner_value = ledger.value(8);
    let partner = thread::spawn(move || match own {
        (Some(tx), _) => select! { send(tx, partner_value) -> res => drop(res) },
        (_, Some(rx)) => select! { recv(rx) -> it => drop(it) },
        _ => unreachable!(),
    });
    drop(runtime.spawn(move || {
        let (tx, rx) = ends;
        let mut list = Select::new();
        if sends {
            list.send(&tx);
        } else {
            list.recv(&rx);
        }
        let operation = list.select();
        inner.store(true, SeqCst);
        // Past its slice; the runtime ends meanwhile.
        burn(Duration::from_millis(200));
        if sends {
            let _end = operation.send(&tx, value);
        } else {
            let _end = operation.recv(&rx);
        }
    }));
    spin_until(|| is_chosen.load(SeqCst));
    drop(runtime);
    partner.join().unwrap();
    ledger.settled(&format!("{mode:?}"));
}

/// Shutdown ended the caller of a `default` or `try_select` that had won: it
/// yields there when others have waited long. Whoever waited for it was never
/// told.
#[test]
fn a_partner_goes_on_when_shutdown_ends_who_tried() {
    in_child("a_partner_goes_on_when_shutdown_ends_who_tried", || {
        for mode in MODES {
            for (way, sends) in TRIES {
                with_deadline(limit(20), &format!("{mode:?}, {way}"), || {
                    let ledger = Ledger::new();
                    let (tx, rx) = chan::bounded(0);
                    let partner = thread::spawn(move || drop(rx.recv()));
                    until_a_receiver_waits(&tx);
                    let value = ledger.value(7);
                    ended_as_it_tries(mode, move || sends(&tx, value));
                    partner.join().unwrap();
                    ledger.settled(&format!("{mode:?}, {way}"));
                });
            }
        }
    });
}

/// What it is called, and how it sends.
type Try = (&'static str, fn(&Sender<Value>, Value));

const TRIES: [Try; 3] = [
    ("try_send", |tx, value| drop(tx.try_send(value))),
    ("default", |tx, value| {
        select! { send(tx, value) -> res => drop(res), default => {} }
    }),
    ("try_select", |tx, value| {
        let mut list = Select::new();
        list.send(tx);
        if let Ok(it) = list.try_select() {
            drop(it.send(tx, value));
        }
    }),
];

/// Nor is a message lost that had been won so.
#[test]
fn a_message_is_not_lost_when_shutdown_ends_who_tried() {
    type Receives = (&'static str, fn(&Receiver<Value>));
    const RECEIVES: [Receives; 3] = [
        ("try_recv", |rx| drop(rx.try_recv())),
        ("default", |rx| {
            select! { recv(rx) -> it => drop(it), default => {} }
        }),
        ("try_select", |rx| {
            let mut list = Select::new();
            list.recv(rx);
            if let Ok(it) = list.try_select() {
                drop(it.recv(rx));
            }
        }),
    ];
    for mode in MODES {
        for (way, receives) in RECEIVES {
            let what = format!("{mode:?}, {way}");
            with_deadline(limit(20), &what, || {
                let ledger = Ledger::new();
                let (tx, rx) = chan::bounded(1);
                assert!(tx.send(ledger.value(7)).is_ok());
                let inner = rx.clone();
                ended_as_it_tries(mode, move || receives(&inner));
                // Received, or there.
                assert_eq!(ledger.dropped() + rx.len() as u64, 1, "{what}");
                drop((tx, rx));
                ledger.settled(&what);
            });
        }
    }
}

/// Runs `tries` in a goroutine that has held up another at home so long that
/// the monitor takes it for a polling loop, while its runtime ends.
fn ended_as_it_tries(mode: Mode, tries: impl FnOnce() + Send + 'static) {
    let runtime = runtime(mode, 1);
    let begun = Arc::new(AtomicBool::new(false));
    let inner = begun.clone();
    drop(runtime.spawn(move || {
        let _other = runnable(|| {});
        inner.store(true, SeqCst);
        burn(Duration::from_millis(300));
        tries();
    }));
    spin_until(|| begun.load(SeqCst));
    drop(runtime);
}

/// They are hardly ever found parked: who parks is woken by the next at once,
/// and so in turn.
#[test]
fn selections_that_keep_one_another_going_end() {
    with_deadline(limit(30), "", || {
        for _ in 0..20 {
            let runtimes = [(); 2].map(|()| runtime(Mode::Pinned, 1));
            let (tx, rx) = chan::bounded::<u8>(0);
            for n in 0..12 {
                let (tx, rx) = (tx.clone(), rx.clone());
                drop(runtimes[n % 2].spawn(move || {
                    loop {
                        select! {
                            recv(rx) -> got => drop(got.unwrap()),
                            send(tx, 3) -> sent => sent.unwrap(),
                        }
                    }
                }));
            }
            drop(runtimes);
        }
    });
}
