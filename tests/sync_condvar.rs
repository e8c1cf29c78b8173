//! Condvar: order, deadlines, no wake-up without a notification, and waiters
//! that are ended.

mod common;
#[path = "common/places.rs"]
mod places;

use common::{MODES, OnDrop, Random, limit, rounds, runtime, seed, with_deadline};
use places::{Member, Place, at_each_place};
use raddle::sync::{Condvar, Mutex, MutexGuard};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

// ORDER: Relaxed everywhere here: counts; the lock orders what matters.

const LONG: Duration = Duration::from_secs(1000);

#[derive(Default)]
struct Shared {
    line: Mutex<Line>,
    condvar: Condvar,
}

#[derive(Default)]
struct Line {
    come: u64,
    left: Vec<u64>,
}

/// `count` members that wait, in order; each notes its number when it leaves.
fn in_line(place: &Place, shared: &Arc<Shared>, count: u64) -> Vec<Member<()>> {
    (0..count)
        .map(|n| {
            let other = shared.clone();
            let member = place.spawn(move || {
                let mut line = other.line.lock();
                line.come += 1;
                other.condvar.wait(&mut line);
                line.left.push(n);
            });
            // Who has counted itself under the lock is in line when others
            // have the lock.
            while shared.line.lock().come <= n {
                raddle::yield_now();
            }
            member
        })
        .collect()
}

fn left(shared: &Shared, count: usize) -> Vec<u64> {
    loop {
        let line = shared.line.lock();
        if line.left.len() >= count {
            return line.left.clone();
        }
        drop(line);
        raddle::yield_now();
    }
}

#[test]
fn notify_one_wakes_who_came_first() {
    at_each_place(limit(30), |place| {
        let shared = Arc::new(Shared::default());
        assert!(!shared.condvar.notify_one(), "{}", place.name);
        let members = in_line(place, &shared, 10);
        for n in 1..=10 {
            assert!(shared.condvar.notify_one(), "{}", place.name);
            let expected: Vec<_> = (0..n).collect();
            assert_eq!(left(&shared, n as usize), expected, "{}", place.name);
        }
        assert!(!shared.condvar.notify_one(), "{}", place.name);
        members.into_iter().for_each(Member::end);
    });
}

#[test]
fn notify_all_wakes_those_who_wait_and_counts_them() {
    at_each_place(limit(30), |place| {
        let shared = Arc::new(Shared::default());
        assert_eq!(shared.condvar.notify_all(), 0, "{}", place.name);
        for _ in 0..rounds(5) {
            *shared.line.lock() = Line::default();
            let members = in_line(place, &shared, 8);
            assert!(shared.line.lock().left.is_empty(), "{}", place.name);
            assert_eq!(shared.condvar.notify_all(), 8, "{}", place.name);
            members.into_iter().for_each(Member::end);
            assert_eq!(shared.condvar.notify_all(), 0, "{}", place.name);
        }
    });
}

#[test]
fn a_deadline_is_kept_and_a_notification_comes_before_it() {
    at_each_place(limit(30), |place| {
        let shared = Arc::new(Shared::default());
        let short = Duration::from_millis(2);
        let mut line = shared.line.lock();
        let begin = Instant::now();
        assert!(shared.condvar.wait_for(&mut line, short).timed_out());
        let soon = Instant::now() + short;
        assert!(shared.condvar.wait_until(&mut line, soon).timed_out());
        assert!(Instant::now() >= soon && begin.elapsed() >= 2 * short);
        assert!(shared.condvar.wait_until(&mut line, begin).timed_out());
        let zero = Duration::ZERO;
        assert!(shared.condvar.wait_for(&mut line, zero).timed_out());
        let never = shared.condvar.wait_while_for(&mut line, |_| true, short);
        assert!(never.timed_out());
        let at_once = shared.condvar.wait_while_for(&mut line, |_| false, zero);
        assert!(!at_once.timed_out());
        for timeout in [LONG, Duration::MAX] {
            let other = shared.clone();
            let notifier = place.spawn(move || {
                // Only once the waiter is in line.
                drop(other.line.lock());
                other.condvar.notify_one()
            });
            assert!(!shared.condvar.wait_for(&mut line, timeout).timed_out());
            assert!(notifier.end(), "{}", place.name);
        }
        assert!(!shared.condvar.notify_one(), "nobody was left in line");
    });
}

/// A queue of four places between producers and consumers.
#[test]
fn what_is_put_is_taken() {
    at_each_place(limit(60), |place| {
        #[derive(Default)]
        struct Store {
            goods: Mutex<Vec<u64>>,
            came: Condvar,
            went: Condvar,
        }
        let store = Arc::new(Store::default());
        let each = rounds(200);
        let producers: Vec<_> = (0..3)
            .map(|n| {
                let store = store.clone();
                place.spawn(move || {
                    for i in 0..each {
                        let mut goods = store.goods.lock();
                        store.went.wait_while(&mut goods, |goods| goods.len() >= 4);
                        goods.push(n * each + i);
                        drop(goods);
                        store.came.notify_one();
                    }
                })
            })
            .collect();
        let consumers: Vec<_> = (0..3)
            .map(|_| {
                let store = store.clone();
                place.spawn(move || {
                    let mut sum = 0;
                    for _ in 0..each {
                        let mut goods = store.goods.lock();
                        store.came.wait_while(&mut goods, |goods| goods.is_empty());
                        sum += goods.pop().expect("looked for");
                        drop(goods);
                        store.went.notify_one();
                    }
                    sum
                })
            })
            .collect();
        producers.into_iter().for_each(Member::end);
        let sum: u64 = consumers.into_iter().map(Member::end).sum();
        let all = 3 * each;
        assert_eq!(sum, all * (all - 1) / 2, "{}", place.name);
    });
}

/// As many are notified as were told so, whatever their deadlines do.
#[test]
fn deadlines_swallow_no_notification() {
    let begin = seed();
    at_each_place(limit(60), move |place| {
        for round in 0..rounds(10) {
            let shared = Arc::new(Shared::default());
            let seed = begin + round;
            let waiters: Vec<_> = (0..10)
                .map(|n| {
                    let shared = shared.clone();
                    place.spawn(move || {
                        let mut random = Random::new(seed + n);
                        let mut line = shared.line.lock();
                        line.come += 1;
                        let timeout = random.micros(0..300);
                        let result = shared.condvar.wait_for(&mut line, timeout);
                        line.come -= 1;
                        u64::from(!result.timed_out())
                    })
                })
                .collect();
            let mut random = Random::new(seed);
            let mut told = 0;
            for _ in 0..6 {
                raddle::time::sleep(random.micros(0..100));
                told += u64::from(shared.condvar.notify_one());
            }
            told += shared.condvar.notify_all() as u64;
            let notified: u64 = waiters.into_iter().map(Member::end).sum();
            assert_eq!(notified, told, "{}, seed {seed}", place.name);
            assert!(!shared.condvar.notify_one(), "{}", place.name);
        }
    });
}

/// A runtime ends while goroutines wait: each is unwound with the lock held,
/// as its guard says.
#[test]
fn shutdown_ends_those_who_wait_with_the_lock_held() {
    for mode in MODES {
        for procs in [1, 2] {
            let what = format!("{mode:?}, P = {procs}");
            with_deadline(limit(30), &what, || {
                for _ in 0..rounds(10) {
                    let runtime = runtime(mode, procs);
                    let shared = Arc::new(Shared::default());
                    let unwound = Arc::new(AtomicU64::new(0));
                    for _ in 0..10 {
                        let (shared, unwound) = (shared.clone(), unwound.clone());
                        drop(runtime.spawn(move || {
                            let mut line = shared.line.lock();
                            line.come += 1;
                            let _ended = OnDrop(|| {
                                assert!(shared.line.is_locked());
                                unwound.fetch_add(1, Relaxed);
                            });
                            shared.condvar.wait(&mut line);
                            unreachable!("nobody notified");
                        }));
                    }
                    while shared.line.lock().come < 10 {
                        raddle::yield_now();
                    }
                    drop(runtime);
                    assert_eq!(unwound.load(Relaxed), 10, "{what}");
                    assert!(!shared.line.is_locked(), "{what}");
                    assert!(!shared.condvar.notify_one(), "{what}");
                }
            });
        }
    }
}

/// Shutdown meets waiters that were notified and now wait for the lock, which
/// this thread has for a while.
#[test]
fn shutdown_meets_those_who_take_the_lock_again() {
    for mode in MODES {
        for procs in [1, 2] {
            let what = format!("{mode:?}, P = {procs}");
            with_deadline(limit(30), &what, || {
                for _ in 0..rounds(10) {
                    let runtime = runtime(mode, procs);
                    let shared = Arc::new(Shared::default());
                    for _ in 0..4 {
                        let shared = shared.clone();
                        drop(runtime.spawn(move || {
                            let mut line = shared.line.lock();
                            line.come += 1;
                            shared.condvar.wait(&mut line);
                            line.left.push(1);
                            raddle::time::sleep(LONG);
                        }));
                    }
                    while shared.line.lock().come < 4 {
                        raddle::yield_now();
                    }
                    let line = shared.line.lock();
                    assert_eq!(shared.condvar.notify_all(), 4, "{what}");
                    let ends = std::thread::spawn(move || drop(runtime));
                    drop(line);
                    ends.join().expect("no goroutine is left");
                    assert!(!shared.line.is_locked(), "{what}");
                }
            });
        }
    }
}

#[test]
fn it_is_a_static_and_works_for_parts() {
    static CONDVAR: Condvar = Condvar::new();
    static PAIR: Mutex<(u32, u32)> = Mutex::new((0, 0));
    with_deadline(limit(20), "", || {
        let notifier = raddle::spawn(|| {
            while PAIR.lock().0 == 0 {
                raddle::yield_now();
            }
            PAIR.lock().1 = 1;
            CONDVAR.notify_all()
        });
        let mut pair = PAIR.lock();
        pair.0 = 1;
        CONDVAR.wait_while(&mut pair, |pair| pair.1 == 0);
        MutexGuard::unlock_fair(pair);
        notifier.join().unwrap();
        assert_eq!(format!("{CONDVAR:?}"), "Condvar { .. }");
    });
}

/// A wait with another lock than the others' would hold none of them back: it
/// panics, and both locks and those who wait are as before.
#[test]
fn a_wait_with_a_second_mutex_panics() {
    at_each_place(limit(20), |place| {
        let shared = Arc::new(Shared::default());
        let other = Mutex::new(());
        let waiter = in_line(place, &shared, 1);
        let mut guard = other.lock();
        let wait = AssertUnwindSafe(|| shared.condvar.wait_for(&mut guard, LONG));
        let payload = catch_unwind(wait).expect_err(&place.name);
        let text = payload.downcast_ref::<&str>().copied().unwrap_or_default();
        assert!(text.contains("with another"), "{text}");
        assert!(other.is_locked() && !shared.line.is_locked());
        assert!(shared.condvar.notify_one());
        waiter.into_iter().for_each(Member::end);
        // Nobody waits: it is free for another.
        let late = shared
            .condvar
            .wait_for(&mut guard, Duration::from_micros(10));
        assert!(late.timed_out());
        drop(guard);
        let mut line = shared.line.lock();
        let late = shared
            .condvar
            .wait_for(&mut line, Duration::from_micros(10));
        assert!(late.timed_out());
    });
}
