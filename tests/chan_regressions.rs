//! Bugs of channels that have been mended: a test for each, named for what was
//! seen.

mod common;
#[path = "common/places.rs"]
mod places;

use common::{MODES, Mode, OnDrop, burn, limit, on_runtimes, rounds, runtime, with_deadline};
use places::{
    Place, alone_everywhere, at_each_place, channel, in_child, runnable, spin_until,
    until_a_receiver_waits,
};
use raddle::chan::{self, Receiver, Select, Sender, TryRecvError, select, unbounded};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

// ORDER: SeqCst for words that order two threads' steps.

const MS: fn(u64) -> Duration = Duration::from_millis;

/// Calls that never block do not give way either: another goroutine that is
/// runnable all the while never sees the lock held. `prepare` first; then
/// `body`, with the lock. Not counted are rounds so slow that the monitor may
/// have taken them for a polling loop. In pinned mode: in the other, another
/// machine may run it.
fn never_gives_way<T>(
    prepare: impl Fn() -> T + Send + Sync + Clone,
    body: impl Fn(&T) + Send + Sync + Clone,
) {
    with_deadline(limit(40), "pinned", || {
        let mut counted = 0;
        for _ in 0..20 {
            if counted == 3 {
                break;
            }
            let in_time = runtime(Mode::Pinned, 1).run(|| {
                let prepared = prepare();
                let seen_held = Arc::new(AtomicBool::new(false));
                let lock = Arc::new(Mutex::new(()));
                let begin = Instant::now();
                let (inner, seen) = (lock.clone(), seen_held.clone());
                let other = runnable(move || seen.store(inner.try_lock().is_err(), SeqCst));
                let held = lock.lock().unwrap();
                body(&prepared);
                drop(held);
                let in_time = begin.elapsed() < MS(90);
                assert!(!in_time || !seen_held.load(SeqCst), "it gave way");
                other.join().unwrap();
                in_time
            });
            counted += u64::from(in_time);
        }
        assert!(counted > 0, "too busy a computer");
    });
}

/// The slice is over, but who holds a lock of std's may call it.
#[test]
fn a_lock_may_be_held_across_try_select_and_try_ready() {
    never_gives_way(
        || chan::bounded::<u8>(1),
        |(_tx, rx)| {
            burn(MS(40));
            let mut list = Select::new();
            list.recv(rx);
            assert!(list.try_select().is_err());
            assert!(list.try_ready().is_err());
        },
    );
}

/// The partner was a `select!` of a message too large for its room.
#[test]
fn a_lock_may_be_held_across_a_try_send_to_a_select() {
    beside_a_select(|tx| tx.try_send([7; 64]).is_ok());
}

#[test]
fn a_lock_may_be_held_across_a_default_that_sends_to_a_select() {
    beside_a_select(|tx| {
        select! { send(tx, [7; 64]) -> res => res.is_ok(), default => false }
    });
}

fn beside_a_select(sends: fn(&Sender<[u8; 64]>) -> bool) {
    never_gives_way(
        || {
            let (tx, rx) = chan::bounded::<[u8; 64]>(0);
            let partner = thread::spawn(move || select! { recv(rx) -> it => it });
            until_a_receiver_waits(&tx);
            (tx, Mutex::new(Some(partner)))
        },
        |(tx, partner)| {
            assert!(sends(tx));
            let partner = partner.lock().unwrap().take().unwrap();
            assert_eq!(partner.join().unwrap(), Ok([7; 64]));
        },
    );
}

/// It kept all others of its thread from being given their turn.
#[test]
fn who_polls_beside_one_parked_in_its_panic_lets_others_run() {
    in_child(
        "who_polls_beside_one_parked_in_its_panic_lets_others_run",
        || {
            on_runtimes(&[1], &MODES, limit(20), |runtime, _| {
                runtime.run(|| {
                    let (go_tx, go) = chan::bounded::<u8>(0);
                    let parks = raddle::spawn(move || {
                        let _parks = OnDrop(|| _ = go.recv());
                        std::panic::panic_any(common::ON_PURPOSE);
                    });
                    until_a_receiver_waits(&go_tx);
                    for poll in POLLS {
                        let (tx, rx) = chan::bounded::<u8>(1);
                        let partner = runnable(move || tx.send(1).unwrap());
                        while !poll(&rx) {}
                        partner.join().unwrap();
                    }
                    go_tx.send(1).unwrap();
                    assert!(parks.join().is_err());
                });
            });
        },
    );
}

type Poll = fn(&Receiver<u8>) -> bool;
const POLLS: [Poll; 3] = [
    |rx| rx.try_recv().is_ok(),
    |rx| select! { recv(rx) -> it => it.is_ok(), default => false },
    |rx| !rx.is_empty(),
];

type Wait = fn(&Receiver<Instant>, Duration) -> bool;

/// Each says whether its time was up.
const TIMEOUTS: [Wait; 5] = [
    |rx, time| select! { recv(rx) -> _ => false, default(time) => true },
    |rx, time| rx.recv_timeout(time).is_err(),
    |rx, time| rx.recv_deadline(Instant::now() + time).is_err(),
    |rx, time| {
        let mut list = Select::new();
        list.recv(rx);
        list.select_timeout(time).map(|it| it.recv(rx)).is_err()
    },
    |rx, time| {
        let mut list = Select::new();
        list.recv(rx);
        // It takes nothing: who was told may find nothing there.
        list.ready_timeout(time).is_err()
    },
];

/// Another took the message of an `after` or `tick` that a selection had
/// looked forward to: it was taken for the end of the timeout.
#[test]
fn a_timeout_is_no_shorter_when_another_takes_the_clocks_message() {
    on_runtimes(&[1], &MODES, limit(30), |runtime, what| {
        for ticks in [false, true] {
            for wait in TIMEOUTS {
                runtime.run(|| {
                    let time = if ticks { MS(38) } else { MS(80) };
                    let begin = Instant::now();
                    let clock = if ticks {
                        chan::tick(MS(20))
                    } else {
                        chan::after(MS(20))
                    };
                    let inner = clock.clone();
                    let waits = runnable(move || {
                        let begin = Instant::now();
                        if wait(&inner, time) {
                            let took = begin.elapsed();
                            assert!(took >= time, "{took:?}, not {time:?}");
                        }
                    });
                    raddle::yield_now();
                    // It is parked; this one keeps it from running.
                    while begin.elapsed() < MS(25) {}
                    let _it = clock.try_recv();
                    assert!(waits.join().is_ok(), "{what}, ticks: {ticks}");
                });
            }
        }
    });
    // The same by chance, beside a thread that polls.
    with_deadline(limit(30), "threads", || {
        for round in 0..rounds(20) {
            let clock = chan::after(MS(3));
            let (other, stop) = (clock.clone(), AtomicBool::new(false));
            thread::scope(|scope| {
                scope.spawn(|| spin_until(|| other.try_recv().is_ok() || stop.load(SeqCst)));
                let begin = Instant::now();
                let is_late = TIMEOUTS[round as usize % 5](&clock, MS(30));
                let took = begin.elapsed();
                stop.store(true, SeqCst);
                assert!(!is_late || took >= MS(30), "{took:?}");
            });
        }
    });
}

/// A selection that has begun to send, or was forgotten, hides nobody else's
/// message.
#[test]
fn messages_are_received_beside_a_selection_that_has_not_sent_yet() {
    alone_everywhere(limit(10), || {
        for capacity in [Some(4), None] {
            let (tx, rx) = channel(capacity);
            let mut list = Select::new();
            list.send(&tx);
            let operation = list.select();
            tx.send(2).unwrap();
            assert_eq!((rx.len(), rx.try_recv()), (1, Ok(2)));
            tx.send(3).unwrap();
            assert_eq!(rx.recv_timeout(Duration::from_secs(5)), Ok(3));
            tx.send(4).unwrap();
            select! { recv(rx) -> it => assert_eq!(it, Ok(4)), default => panic!("4 is there") }
            operation.send(&tx, 1).unwrap();
            assert_eq!(rx.try_iter().collect::<Vec<_>>(), [1]);
            std::mem::forget(list.select());
            tx.send(5).unwrap();
            assert_eq!(rx.recv_timeout(Duration::from_secs(5)), Ok(5));
        }
    });
}

/// The place that it has won is not given to one who came later: at capacity
/// 1 they are received in the order in which they came.
#[test]
fn nobody_overtakes_a_selection_that_has_won_the_one_place() {
    at_each_place(limit(20), |place| {
        for completes in [true, false] {
            one_place(place, completes);
        }
    });
}

fn one_place(place: &Place, completes: bool) {
    let (tx, rx) = chan::bounded(1);
    let mut list = Select::new();
    list.send(&tx);
    let operation = list.select();
    let inner = tx.clone();
    let second = place.spawn(move || inner.send(2));
    raddle::time::sleep(MS(1));
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    let inner = rx.clone();
    let receiver = place.spawn(move || inner.recv());
    raddle::time::sleep(MS(1));
    let expected = if completes {
        operation.send(&tx, 1).unwrap();
        [1, 2].to_vec()
    } else {
        assert!(catch_unwind(AssertUnwindSafe(|| drop(operation))).is_err());
        [2].to_vec()
    };
    let mut seen = vec![receiver.end().unwrap()];
    second.end().unwrap();
    seen.extend(rx.try_iter());
    assert_eq!(seen, expected, "{}", place.name);
}

/// Nor is it given, past those who wait, to one who came last, when somebody
/// waits to receive.
#[test]
fn who_comes_last_does_not_pass_by_a_selection_that_has_won_the_one_place() {
    at_each_place(limit(20), |place| {
        let (tx, rx) = chan::bounded(1);
        let mut list = Select::new();
        list.send(&tx);
        let operation = list.select();
        let inner = rx.clone();
        let receiver = place.spawn(move || inner.recv());
        // Time to park there.
        raddle::time::sleep(MS(2));
        assert!(tx.try_send(2).is_err(), "{}", place.name);
        operation.send(&tx, 1).unwrap();
        assert_eq!(receiver.end(), Ok(1), "{}", place.name);
    });
}

/// It said that a receive was ready, for a sender waits, though nobody may
/// receive from it before the one place is filled: a loop that turned.
#[test]
fn nothing_is_ready_while_a_selection_has_won_the_one_place() {
    at_each_place(limit(20), |place| {
        let (tx, rx) = chan::bounded(1);
        let mut sends = Select::new();
        sends.send(&tx);
        let operation = sends.select();
        let inner = tx.clone();
        let second = place.spawn(move || inner.send(2));
        // Time to park there.
        raddle::time::sleep(MS(2));
        let mut list = Select::new();
        list.recv(&rx);
        assert!(list.try_ready().is_err(), "{}", place.name);
        assert!(list.ready_timeout(MS(5)).is_err(), "{}", place.name);
        assert!(list.select_timeout(MS(5)).is_err(), "{}", place.name);
        operation.send(&tx, 1).unwrap();
        assert_eq!([rx.recv(), rx.recv()], [Ok(1), Ok(2)]);
        second.end().unwrap();
    });
}

/// The message had its place found by going through all that were there.
#[test]
fn a_select_that_sends_takes_no_longer_when_many_messages_are_queued() {
    with_deadline(limit(60), "a thread", || {
        let time = |queued: u64| {
            let (tx, _rx) = unbounded();
            (0..queued).for_each(|n| tx.send(n).unwrap());
            let begin = Instant::now();
            for n in 0..1000 {
                select! { send(tx, n) -> res => res.unwrap() }
            }
            begin.elapsed()
        };
        // The shortest of some: others use this computer too.
        let best = |queued| (0..5).map(|_| time(queued)).min().unwrap();
        let (few, many) = (best(10), best(100_000));
        assert!(many < few * 10 + MS(5), "{few:?} and {many:?}");
    });
}

/// A selection that has begun to receive has made room.
#[test]
fn who_watches_for_room_is_told_when_a_selection_takes_the_message() {
    at_each_place(limit(20), |place| {
        for _ in 0..rounds(5) {
            let (tx, rx) = chan::bounded(1);
            tx.send(1).unwrap();
            let inner = tx.clone();
            let watcher = place.spawn(move || {
                let mut list = Select::new();
                list.send(&inner);
                list.ready()
            });
            // Time to park there.
            raddle::time::sleep(MS(1));
            let mut list = Select::new();
            list.recv(&rx);
            let operation = list.select();
            assert_eq!(watcher.end(), 0);
            tx.try_send(2).unwrap();
            assert_eq!(operation.recv(&rx), Ok(1), "{}", place.name);
            assert_eq!(rx.try_recv(), Ok(2));
        }
    });
}

/// Of 65 and more, the one after the last that was ready was preferred.
#[test]
fn a_list_of_more_than_64_takes_those_ready_alike() {
    const TURNS: usize = 4000;
    alone_everywhere(limit(30), || {
        for count in [64, 65, 200] {
            let all: Vec<_> = (0..count).map(|_| unbounded::<u8>()).collect();
            let ready = [0, 1, count / 2, count - 1];
            ready.iter().for_each(|&n| all[n].0.send(1).unwrap());
            let mut hits = vec![0; count];
            let mut list = Select::new();
            all.iter().for_each(|(_, rx)| _ = list.recv(rx));
            for _ in 0..TURNS {
                let operation = list.select();
                let n = operation.index();
                hits[n] += 1;
                assert_eq!(operation.recv(&all[n].1), Ok(1));
                all[n].0.send(1).unwrap();
            }
            for n in ready {
                let share = hits[n] * 4 * 100 / TURNS;
                assert!((75..=125).contains(&share), "{count}: {n} {share} %");
            }
        }
    });
}

/// Who sees `done` disconnected finds the goroutine ended.
#[test]
fn the_end_is_seen_when_done_is_disconnected() {
    on_runtimes(&[1, 2], &MODES, limit(30), |runtime, what| {
        let mut missed = 0;
        for _ in 0..rounds(2000) {
            let (go_tx, go) = unbounded();
            let handle = runtime.spawn(move || go.recv());
            let done = handle.done().clone();
            go_tx.send(()).unwrap();
            // Beside it, on a plain thread.
            spin_until(|| done.try_recv() == Err(TryRecvError::Disconnected));
            missed += u64::from(!handle.is_finished());
            assert_eq!(handle.join().unwrap(), Ok(()));
        }
        assert_eq!(missed, 0, "{what}");
    });
}

/// Each sends on its own channel, then looks at the other's: one of the two at
/// least finds a message. x86-64 cannot show it otherwise.
#[test]
fn two_who_send_and_then_look_do_not_both_find_nothing() {
    with_deadline(limit(60), "threads", || {
        type Ends = (Sender<u8>, Receiver<u8>);
        let turns = rounds(20_000) as usize;
        let pairs: Vec<[Ends; 2]> = (0..turns).map(|_| [unbounded(), unbounded()]).collect();
        let at = [AtomicUsize::new(0), AtomicUsize::new(0)];
        let looks = |own: usize| -> Vec<bool> {
            let turn = |(n, pair): (usize, &[Ends; 2])| {
                at[own].store(n + 1, SeqCst);
                spin_until(|| at[1 - own].load(SeqCst) > n);
                pair[own].0.send(1).unwrap();
                pair[1 - own].1.try_recv().is_ok()
            };
            pairs.iter().enumerate().map(turn).collect()
        };
        let (one, other) = thread::scope(|scope| {
            let one = scope.spawn(|| looks(0));
            (looks(1), one.join().unwrap())
        });
        let missed = one.iter().zip(&other).filter(|it| !it.0 && !it.1).count();
        assert_eq!(missed, 0, "of {turns}");
    });
}
