//! Semaphore: no more than there are, in the order of asking.

mod common;
#[path = "common/places.rs"]
mod places;
#[path = "common/turns.rs"]
mod turns;

use common::{MODES, Mode, ON_PURPOSE, OnDrop, Random, comes_true, limit, rounds, runtime, seed};
use common::{on_runtimes, waiting, with_deadline};
use places::{Member, at_each_place};
use raddle::sync::{Mutex, Permit, Semaphore};
use std::panic::panic_any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use turns::Turns;

// ORDER: Relaxed everywhere here: counts to look at while they change.

/// While a permit is free: until a request waits, so that it is not given.
fn until_somebody_waits(semaphore: &Semaphore) {
    while semaphore.try_acquire(1).is_some() {
        raddle::yield_now();
    }
}

/// `f` in a goroutine that now waits for permits.
fn in_line(f: impl FnOnce() + Send + 'static) -> raddle::JoinHandle<()> {
    waiting("semacquire", f)
}

#[test]
fn permits_are_taken_and_come_back() {
    at_each_place(limit(20), |place| {
        let what = &place.name;
        let semaphore = Semaphore::new(3);
        let two = semaphore.acquire(2);
        assert!(semaphore.try_acquire(2).is_none(), "{what}");
        let one = semaphore.try_acquire(1).expect("free");
        assert!(semaphore.try_acquire(1).is_none(), "{what}");
        let none = semaphore.try_acquire(0);
        assert!(none.is_some(), "{what}");
        drop(two);
        // It goes where its permit goes.
        place.spawn(move || drop(one)).end();
        assert!(semaphore.clone().try_acquire(3).is_some(), "{what}");
        assert!(semaphore.try_acquire(4).is_none(), "{what}");
        let permit = semaphore.acquire(3);
        drop(semaphore);
        drop(permit);
    });
}

#[test]
fn no_more_are_inside_than_there_are_permits() {
    at_each_place(limit(60), |place| {
        let begin = seed();
        let semaphore = Semaphore::new(5);
        let inside = Arc::new(AtomicUsize::new(0));
        let members: Vec<_> = (0..12)
            .map(|n| {
                let (semaphore, inside) = (semaphore.clone(), inside.clone());
                place.spawn(move || {
                    let mut random = Random::new(begin + n);
                    for _ in 0..rounds(100) {
                        let count = random.below(0..6) as usize;
                        let permit = match random.below(0..4) {
                            0 => semaphore.try_acquire(count),
                            _ => Some(semaphore.acquire(count)),
                        };
                        let Some(permit) = permit else { continue };
                        let all = inside.fetch_add(count, Relaxed) + count;
                        assert!(all <= 5, "{all} inside, seed {begin}");
                        if random.below(0..3) == 0 {
                            raddle::yield_now();
                        }
                        inside.fetch_sub(count, Relaxed);
                        drop(permit);
                    }
                })
            })
            .collect();
        members.into_iter().for_each(Member::end);
        assert!(semaphore.try_acquire(5).is_some(), "{}", place.name);
    });
}

/// One of two is free, and a request for two waits: neither a try nor a
/// request for one goes before it.
#[test]
fn small_requests_do_not_overtake_a_large_one() {
    at_each_place(limit(30), |place| {
        for _ in 0..rounds(5) {
            let semaphore = Semaphore::new(2);
            let order = Arc::new(Mutex::new(Vec::new()));
            let first = semaphore.acquire(1);
            let waits = |count: usize| {
                let (semaphore, order) = (semaphore.clone(), order.clone());
                place.spawn(move || {
                    let _permit = semaphore.acquire(count);
                    order.lock().push(count);
                })
            };
            let large = waits(2);
            until_somebody_waits(&semaphore);
            let small = waits(1);
            for _ in 0..10 {
                assert!(semaphore.try_acquire(1).is_none(), "{}", place.name);
                raddle::yield_now();
            }
            drop(first);
            large.end();
            small.end();
            assert_eq!(*order.lock(), [2, 1], "{}", place.name);
        }
    });
}

#[test]
fn requests_are_served_in_the_order_they_came() {
    on_runtimes(&[1, 2, 4], &MODES, limit(20), |runtime, what| {
        runtime.run(|| {
            let semaphore = Semaphore::new(3);
            let all = semaphore.acquire(3);
            let order = Arc::new(Mutex::new(Vec::new()));
            let members: Vec<_> = (0..20)
                .map(|n| {
                    let (semaphore, order) = (semaphore.clone(), order.clone());
                    in_line(move || {
                        // Two of three: one at a time.
                        let permit = semaphore.acquire(2 + n % 2);
                        order.lock().push(n);
                        raddle::yield_now();
                        drop(permit);
                    })
                })
                .collect();
            drop(all);
            members.into_iter().for_each(|it| it.join().unwrap());
            assert_eq!(*order.lock(), (0..20).collect::<Vec<_>>(), "{what}");
        });
    });
}

/// All have come to stand in line once. On one processor that passes: it does
/// not cost a switch for each request from then on. Pinned, they may be at
/// home on several machines.
#[test]
fn a_line_does_not_last() {
    on_runtimes(&[1], &[Mode::Migrate], limit(20), |runtime, what| {
        runtime.run(|| {
            let semaphore = Semaphore::new(2);
            let turns = Arc::new(Turns::default());
            let all = semaphore.acquire(2);
            let takers: Vec<_> = (0..8)
                .map(|who| {
                    let (semaphore, turns) = (semaphore.clone(), turns.clone());
                    in_line(move || {
                        for _ in 0..1000 {
                            let _permit = semaphore.acquire(1);
                            turns.note(who);
                        }
                    })
                })
                .collect();
            drop(all);
            takers.into_iter().for_each(|it| it.join().unwrap());
            let changes = turns.changes();
            assert!(changes < 2000, "{changes} switches for 8000, {what}");
        });
    });
}

/// It holds up nobody, and ends with its runtime.
#[test]
fn a_request_above_the_total_waits_alone() {
    for mode in MODES {
        with_deadline(limit(20), &format!("{mode:?}"), || {
            let runtime = runtime(mode, 2);
            let semaphore = Semaphore::new(2);
            let (come, ended) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
            let (other, come2, ended2) = (semaphore.clone(), come.clone(), ended.clone());
            drop(runtime.spawn(move || {
                let _ended = OnDrop(|| {
                    ended2.fetch_add(1, Relaxed);
                });
                come2.fetch_add(1, Relaxed);
                let _never: Permit = other.acquire(3);
                unreachable!("there are two");
            }));
            assert!(comes_true(limit(5), || come.load(Relaxed) == 1));
            for _ in 0..10 {
                drop(semaphore.acquire(2));
                assert!(semaphore.try_acquire(1).is_some());
            }
            drop(runtime);
            assert_eq!(ended.load(Relaxed), 1);
        });
    }
}

/// Those who wait are unwound; a large request that goes lets small ones of
/// another place on.
#[test]
fn shutdown_ends_those_who_wait_and_lets_others_on() {
    for mode in MODES {
        for procs in [1, 2] {
            let what = format!("{mode:?}, P = {procs}");
            with_deadline(limit(20), &what, || {
                for _ in 0..rounds(10) {
                    let runtime = runtime(mode, procs);
                    let semaphore = Semaphore::new(2);
                    let held = semaphore.acquire(1);
                    let other = semaphore.clone();
                    drop(runtime.spawn(move || drop(other.acquire(2))));
                    until_somebody_waits(&semaphore);
                    let other = semaphore.clone();
                    let behind = std::thread::spawn(move || drop(other.acquire(1)));
                    drop(runtime);
                    behind.join().expect("one is free");
                    drop(held);
                    assert!(semaphore.try_acquire(2).is_some(), "{what}");
                }
            });
        }
    }
}

#[test]
fn a_panic_gives_permits_back() {
    at_each_place(limit(20), |place| {
        let semaphore = Semaphore::new(1);
        let other = semaphore.clone();
        let panics = place.spawn(move || {
            let _permit = other.acquire(1);
            panic_any(ON_PURPOSE);
        });
        assert!(panics.join().is_err(), "{}", place.name);
        let text = format!("{semaphore:?}");
        assert_eq!(text, "Semaphore { free: 1, total: 1 }", "{}", place.name);
    });
}
