//! Mutex: one holder at a time, deadlines, hand-over after a millisecond,
//! and waiters that are ended, in goroutines and threads.

mod common;

use common::{MODES, ON_PURPOSE, OnDrop, Random, comes_true, runtime, seed, waiting};
use common::{is_on_purpose, limit, on_each_runtime, on_runtimes, rounds, with_deadline};
use raddle::runtime::Runtime;
use raddle::sync::{MappedMutexGuard, Mutex, MutexGuard, WaitGroup};
use raddle::{JoinHandle, yield_now};
use std::panic::panic_any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

// ORDER: Relaxed everywhere here: flags to stop by, counts to look at while
// they grow, and what the lock itself has to order.

const SHORT: Duration = Duration::from_millis(2);
const LONG: Duration = Duration::from_secs(1000);

/// A few turns for everybody else.
fn others_run() {
    for _ in 0..10 {
        yield_now();
    }
}

/// Adds by a read and a write that others would tear apart.
fn add_one(sum: &AtomicU64, between: impl FnOnce()) {
    let was = sum.load(Relaxed);
    between();
    sum.store(was + 1, Relaxed);
}

#[test]
fn every_turn_counts() {
    on_each_runtime(limit(30), |runtime, what| {
        let turns = rounds(2000);
        let sum = Arc::new(Mutex::new(AtomicU64::new(0)));
        let body = |sum: &Arc<Mutex<AtomicU64>>| {
            let sum = sum.clone();
            move || {
                for _ in 0..turns {
                    add_one(&sum.lock(), || ());
                }
            }
        };
        let goroutines: Vec<_> = (0..8).map(|_| runtime.spawn(body(&sum))).collect();
        let threads: Vec<_> = (0..2).map(|_| thread::spawn(body(&sum))).collect();
        goroutines.into_iter().for_each(|it| it.join().unwrap());
        threads.into_iter().for_each(|it| it.join().unwrap());
        assert_eq!(sum.lock().load(Relaxed), 10 * turns, "{what}");
    });
}

/// The holder parks while it holds the lock; the others wait for it without
/// their threads.
#[test]
fn the_lock_is_held_across_a_park() {
    on_each_runtime(limit(30), |runtime, what| {
        let turns = rounds(50);
        let sum = Arc::new(Mutex::new(AtomicU64::new(0)));
        let members: Vec<_> = (0..50)
            .map(|n| {
                let sum = sum.clone();
                runtime.spawn(move || {
                    for turn in 0..turns {
                        let sum = sum.lock();
                        add_one(&sum, || {
                            if (n + turn) % 25 == 0 {
                                raddle::time::sleep(Duration::from_micros(50));
                            } else {
                                yield_now();
                            }
                        });
                    }
                })
            })
            .collect();
        members.into_iter().for_each(|it| it.join().unwrap());
        assert_eq!(sum.lock().load(Relaxed), 50 * turns, "{what}");
    });
}

#[test]
fn a_try_never_waits_and_a_deadline_is_kept() {
    on_each_runtime(limit(20), |runtime, what| {
        let body = || {
            let mutex = Arc::new(Mutex::new(0));
            let held = mutex.lock();
            assert!(mutex.is_locked() && mutex.try_lock().is_none(), "{what}");
            let begin = Instant::now();
            assert!(mutex.try_lock_for(SHORT).is_none(), "{what}");
            assert!(begin.elapsed() >= SHORT, "{what}");
            assert!(mutex.try_lock_for(Duration::ZERO).is_none(), "{what}");
            assert!(mutex.try_lock_until(begin).is_none(), "{what}");
            let soon = Instant::now() + SHORT;
            assert!(mutex.try_lock_until(soon).is_none(), "{what}");
            assert!(Instant::now() >= soon, "{what}");
            drop(held);
            for timeout in [Duration::ZERO, SHORT, Duration::MAX] {
                *mutex.try_lock_for(timeout).expect("free") += 1;
            }
            *mutex.try_lock_until(begin).expect("free") += 1;
            assert_eq!(*mutex.try_lock().expect("free"), 4, "{what}");
            assert!(!mutex.is_locked(), "{what}");
        };
        runtime.run(body);
        body();
    });
}

/// Some give up, in the middle of the queue too; all others get it.
#[test]
fn who_gives_up_takes_nobodys_turn() {
    on_each_runtime(limit(30), |runtime, what| {
        for round in 0..rounds(20) {
            let mutex = Arc::new(Mutex::new(0));
            let held = mutex.lock();
            let waiters: Vec<_> = (0..12)
                .map(|n| {
                    let mutex = mutex.clone();
                    let timeout = if n % 3 == 0 {
                        Duration::from_micros(300)
                    } else {
                        LONG
                    };
                    runtime.spawn(move || {
                        let guard = mutex.try_lock_for(timeout);
                        guard.map(|mut guard| *guard += 1).is_some()
                    })
                })
                .collect();
            if round % 2 == 0 {
                assert!(waiters[0].ends_within(limit(5)), "{what}");
            }
            drop(held);
            let served: Vec<_> = waiters.into_iter().map(|it| it.join().unwrap()).collect();
            for (n, served) in served.iter().enumerate() {
                assert!(*served || n % 3 == 0, "{what}, round {round}, waiter {n}");
            }
            let count = served.iter().filter(|served| **served).count();
            assert_eq!(*mutex.lock(), count, "{what}, round {round}");
        }
    });
}

/// Waits on a plain thread for a goroutine's end.
trait EndsWithin {
    fn ends_within(&self, limit: Duration) -> bool;
}

impl<T> EndsWithin for JoinHandle<T> {
    fn ends_within(&self, limit: Duration) -> bool {
        comes_true(limit, || self.is_finished())
    }
}

/// Two who take the lock again as soon as they have given it up, and let
/// others run only while they hold it, so that who was woken for it never
/// finds it free, but where a hog's slice ends before it locks. A hundred
/// turns take that long only without hand-over.
#[test]
fn hand_over_ends_the_wait_behind_two_hogs() {
    on_runtimes(&[1], &MODES, limit(20), |runtime, what| {
        starve(runtime, what, 100, |mutex| {
            let _held = mutex.lock();
            for _ in 0..3 {
                yield_now();
            }
        });
    });
}

/// As above, by hogs who never let others run: their slices end.
#[test]
fn slices_end_for_who_locks_and_unlocks() {
    on_runtimes(&[1], &MODES, limit(20), |runtime, what| {
        starve(runtime, what, 20, |mutex| drop(mutex.lock()));
    });
}

fn starve(runtime: &Runtime, what: &str, wanted: u64, hog: fn(&Mutex<()>)) {
    let mutex = Arc::new(Mutex::new(()));
    let stop = Arc::new(AtomicBool::new(false));
    let turns = Arc::new(AtomicU64::new(0));
    // After a failed assertion too, so that the runtime can be dropped.
    let _stop = OnDrop(|| stop.store(true, Relaxed));
    for _ in 0..2 {
        let (mutex, stop) = (mutex.clone(), stop.clone());
        drop(runtime.spawn(move || {
            while !stop.load(Relaxed) {
                hog(&mutex);
            }
        }));
    }
    let (mutex, turns2) = (mutex.clone(), turns.clone());
    let third = runtime.spawn(move || {
        for _ in 0..wanted {
            let _held = mutex.lock();
            turns2.fetch_add(1, Relaxed);
        }
    });
    assert!(
        third.ends_within(Duration::from_secs(10)),
        "{what}: {} turns of {wanted}",
        turns.load(Relaxed)
    );
}

/// Hogs as threads, and a goroutine that waits; and the other way round.
#[test]
fn threads_and_goroutines_do_not_starve_each_other() {
    on_runtimes(&[1, 2], &MODES, limit(30), |runtime, what| {
        for hogs_are_threads in [true, false] {
            let mutex = Arc::new(Mutex::new(()));
            let stop = Arc::new(AtomicBool::new(false));
            let _stop = OnDrop(|| stop.store(true, Relaxed));
            let hogs = WaitGroup::new();
            let hog = || {
                hogs.add(1);
                let (mutex, stop, hogs) = (mutex.clone(), stop.clone(), hogs.clone());
                move || {
                    while !stop.load(Relaxed) {
                        drop(mutex.lock());
                    }
                    hogs.done();
                }
            };
            let turns = Arc::new(AtomicU64::new(0));
            let third = {
                let (mutex, turns) = (mutex.clone(), turns.clone());
                move || {
                    for _ in 0..20 {
                        let _held = mutex.lock();
                        turns.fetch_add(1, Relaxed);
                    }
                }
            };
            if hogs_are_threads {
                drop(thread::spawn(hog()));
                drop(thread::spawn(hog()));
                drop(runtime.spawn(third));
            } else {
                drop(runtime.spawn(hog()));
                drop(runtime.spawn(hog()));
                drop(thread::spawn(third));
            }
            let served = comes_true(Duration::from_secs(10), || turns.load(Relaxed) == 20);
            assert!(served, "{what}: {} turns of 20", turns.load(Relaxed));
            stop.store(true, Relaxed);
            hogs.wait();
        }
    });
}

#[test]
fn an_unlock_goes_on_at_once() {
    on_runtimes(&[1], &MODES, limit(20), |runtime, what| {
        for fair in [false, true] {
            runtime.run(|| {
                let mutex = Arc::new(Mutex::new(0));
                let held = mutex.lock();
                let waiter = {
                    let mutex = mutex.clone();
                    waiting("sync.Mutex.Lock", move || *mutex.lock() += 1)
                };
                if fair {
                    MutexGuard::unlock_fair(held);
                    // It is the waiter's already.
                    assert!(mutex.try_lock().is_none(), "{what}");
                } else {
                    drop(held);
                    assert_eq!(*mutex.try_lock().expect("free"), 0, "{what}");
                }
                waiter.join().unwrap();
                assert_eq!(*mutex.lock(), 1, "{what}");
            });
        }
    });
}

/// By fair unlocks the lock goes round in the order of coming.
#[test]
fn a_fair_unlock_serves_in_order() {
    on_runtimes(&[1], &MODES, limit(20), |runtime, what| {
        runtime.run(|| {
            let order = Arc::new(Mutex::new(Vec::new()));
            let held = order.lock();
            let members: Vec<_> = (0..20)
                .map(|n| {
                    let order = order.clone();
                    waiting("sync.Mutex.Lock", move || {
                        let mut order = order.lock();
                        order.push(n);
                        MutexGuard::unlock_fair(order);
                    })
                })
                .collect();
            MutexGuard::unlock_fair(held);
            members.into_iter().for_each(|it| it.join().unwrap());
            assert_eq!(*order.lock(), (0..20).collect::<Vec<_>>(), "{what}");
        });
    });
}

#[test]
fn a_panic_while_holding_unlocks_and_poisons_nothing() {
    on_each_runtime(limit(20), |runtime, what| {
        let mutex = Arc::new(Mutex::new(0));
        for round in 0..rounds(20) {
            let members: Vec<_> = (0..4)
                .map(|n| {
                    let mutex = mutex.clone();
                    runtime.spawn(move || {
                        let mut guard = mutex.lock();
                        yield_now();
                        *guard += 1;
                        if n % 2 == 0 {
                            panic_any(ON_PURPOSE);
                        }
                    })
                })
                .collect();
            for (n, member) in members.into_iter().enumerate() {
                match member.join() {
                    Ok(()) => assert_eq!(n % 2, 1, "{what}"),
                    Err(payload) => assert!(is_on_purpose(payload.as_ref()), "{what}"),
                }
            }
            assert_eq!(*mutex.lock(), 4 * (round + 1), "{what}");
        }
    });
}

/// A destructor that runs in a panic waits for the lock as any other code.
#[test]
fn a_destructor_locks_in_the_middle_of_a_panic() {
    on_runtimes(&[1, 2], &MODES, limit(20), |runtime, what| {
        for _ in 0..rounds(20) {
            let mutex = Arc::new(Mutex::new(0));
            let holder = {
                let mutex = mutex.clone();
                runtime.spawn(move || {
                    let mut guard = mutex.lock();
                    others_run();
                    *guard += 1;
                })
            };
            let panics = {
                let mutex = mutex.clone();
                runtime.spawn(move || {
                    let _locks = OnDrop(|| *mutex.lock() += 1);
                    panic_any(ON_PURPOSE);
                })
            };
            assert!(panics.join().is_err(), "{what}");
            holder.join().unwrap();
            assert_eq!(*mutex.lock(), 2, "{what}");
        }
    });
}

/// A runtime ends while its goroutines wait for a lock that this thread
/// holds: they are unwound, and the lock is as good as before.
#[test]
fn shutdown_ends_those_who_wait() {
    for mode in MODES {
        for procs in [1, 2] {
            let what = format!("{mode:?}, P = {procs}");
            with_deadline(limit(20), &what, || {
                let mutex = Arc::new(Mutex::new(0));
                let ended = Arc::new(AtomicU64::new(0));
                for _ in 0..rounds(10) {
                    let runtime = runtime(mode, procs);
                    let held = mutex.lock();
                    ended.store(0, Relaxed);
                    let come = Arc::new(AtomicU64::new(0));
                    for n in 0..10 {
                        let (mutex, ended, come) = (mutex.clone(), ended.clone(), come.clone());
                        drop(runtime.spawn(move || {
                            let _ended = OnDrop(|| {
                                ended.fetch_add(1, Relaxed);
                            });
                            come.fetch_add(1, Relaxed);
                            let got = match n % 2 {
                                0 => Some(mutex.lock()),
                                _ => mutex.try_lock_for(LONG),
                            };
                            *got.expect("it was held for ever") += 1;
                        }));
                    }
                    assert!(comes_true(limit(5), || come.load(Relaxed) == 10), "{what}");
                    drop(runtime);
                    assert_eq!(ended.load(Relaxed), 10, "{what}");
                    assert_eq!(*held, 0, "{what}");
                    drop(held);
                    assert!(!mutex.is_locked(), "{what}");
                    assert_eq!(*mutex.lock(), 0, "{what}");
                }
            });
        }
    }
}

/// The holder is unwound as well, and with it goes its guard.
#[test]
fn shutdown_ends_who_holds_and_who_waits() {
    for mode in MODES {
        for procs in [1, 2] {
            let what = format!("{mode:?}, P = {procs}");
            with_deadline(limit(20), &what, || {
                for _ in 0..rounds(10) {
                    let runtime = runtime(mode, procs);
                    let mutex = Arc::new(Mutex::new(0));
                    runtime.run(|| {
                        let begun = WaitGroup::new();
                        begun.add(10);
                        for _ in 0..10 {
                            let (mutex, begun) = (mutex.clone(), begun.clone());
                            drop(raddle::spawn(move || {
                                let _later = OnDrop(|| *mutex.lock() += 1);
                                begun.done();
                                let _held = mutex.lock();
                                raddle::time::sleep(LONG);
                            }));
                        }
                        begun.wait();
                        others_run();
                    });
                    drop(runtime);
                    // By each one's destructor.
                    assert_eq!(*mutex.lock(), 10, "{what}");
                }
            });
        }
    }
}

/// A guard that is bumped while its runtime ends unlocked what it had not got.
#[test]
fn shutdown_meets_a_bump() {
    for mode in MODES {
        for procs in [1, 2] {
            let what = format!("{mode:?}, P = {procs}");
            with_deadline(limit(20), &what, || {
                for _ in 0..rounds(20) {
                    let runtime = runtime(mode, procs);
                    let mutex = Arc::new(Mutex::new(AtomicU64::new(0)));
                    let turns = Arc::new(AtomicU64::new(0));
                    for _ in 0..4 {
                        let (mutex, turns) = (mutex.clone(), turns.clone());
                        drop(runtime.spawn(move || {
                            let mut held = mutex.lock();
                            loop {
                                let holders = held.fetch_add(1, Relaxed);
                                let leaves = OnDrop(|| {
                                    held.fetch_sub(1, Relaxed);
                                });
                                assert_eq!(holders, 0);
                                turns.fetch_add(1, Relaxed);
                                drop(leaves);
                                MutexGuard::bump(&mut held);
                                // A loop that never parks has no end by shutdown.
                                yield_now();
                            }
                        }));
                    }
                    assert!(comes_true(limit(5), || turns.load(Relaxed) > 100), "{what}");
                    drop(runtime);
                    assert!(!mutex.is_locked(), "{what}");
                    assert_eq!(mutex.lock().load(Relaxed), 0, "{what}");
                }
            });
        }
    }
}

/// Locked in one goroutine, unlocked in another, as Go allows.
#[test]
#[allow(unsafe_code, reason = "that is what force_unlock is")]
fn another_may_unlock_by_force() {
    on_each_runtime(limit(20), |runtime, what| {
        let mutex = Arc::new(Mutex::new(0));
        for round in 0..rounds(50) {
            let locks = {
                let mutex = mutex.clone();
                runtime.spawn(move || {
                    *mutex.lock() += 1;
                    std::mem::forget(mutex.lock());
                })
            };
            let unlocks = {
                let mutex = mutex.clone();
                runtime.spawn(move || {
                    locks.join().unwrap();
                    // SAFETY: locked by the other, whose guard is forgotten.
                    unsafe { mutex.force_unlock() };
                })
            };
            let waits = {
                let mutex = mutex.clone();
                runtime.spawn(move || *mutex.lock() += 1)
            };
            unlocks.join().unwrap();
            waits.join().unwrap();
            assert_eq!(*mutex.lock(), 2 * (round + 1), "{what}");
        }
    });
}

#[test]
fn it_is_a_static_and_shows_itself() {
    static MUTEX: Mutex<(u32, &str)> = Mutex::new((7, "seven"));
    with_deadline(limit(20), "", || {
        let guard = MUTEX.lock();
        assert_eq!(format!("{MUTEX:?}"), "Mutex { data: <locked> }");
        let mut number = MutexGuard::map(guard, |value| &mut value.0);
        *number += 1;
        assert!(MUTEX.is_locked());
        MappedMutexGuard::unlock_fair(number);
        assert_eq!(format!("{MUTEX:?}"), r#"Mutex { data: (8, "seven") }"#);
        let mut own = Mutex::<Vec<u32>>::default();
        own.get_mut().push(1);
        assert_eq!(own.into_inner(), [1]);
    });
}

/// Everything at once, by seed.
#[test]
fn many_use_it_in_every_way() {
    on_each_runtime(limit(60), |runtime, what| {
        let seed = seed();
        let what = format!("{what}, seed {seed}");
        let sum = Arc::new(Mutex::new(AtomicU64::new(0)));
        let body = |n: u64| {
            let sum = sum.clone();
            move || {
                let mut random = Random::new(seed + n);
                let mut turns = 0;
                for _ in 0..rounds(300) {
                    let way = random.below(0..10);
                    let guard = match random.below(0..4) {
                        0 => sum.try_lock(),
                        1 => sum.try_lock_for(random.micros(0..100)),
                        _ => Some(sum.lock()),
                    };
                    let Some(mut guard) = guard else { continue };
                    turns += 1;
                    add_one(&guard, || match way {
                        0..3 => yield_now(),
                        3 => raddle::time::sleep(random.micros(0..100)),
                        _ => (),
                    });
                    match random.below(0..4) {
                        0 => MutexGuard::unlock_fair(guard),
                        1 => MutexGuard::bump(&mut guard),
                        _ => drop(guard),
                    }
                }
                turns
            }
        };
        let goroutines: Vec<_> = (0..10).map(|n| runtime.spawn(body(n))).collect();
        let threads: Vec<_> = (10..12).map(|n| thread::spawn(body(n))).collect();
        let mut turns: u64 = 0;
        turns += goroutines
            .into_iter()
            .map(|it| it.join().unwrap())
            .sum::<u64>();
        turns += threads
            .into_iter()
            .map(|it| it.join().unwrap())
            .sum::<u64>();
        assert_eq!(sum.lock().load(Relaxed), turns, "{what}");
        assert!(!sum.is_locked(), "{what}");
    });
}

/// A guard that is unlocked for a while takes the lock again by `lock`. Ended
/// there by shutdown it unlocked what another held.
#[test]
fn shutdown_meets_a_guard_that_is_unlocked() {
    for mode in MODES {
        for procs in [1, 2] {
            let what = format!("{mode:?}, P = {procs}");
            with_deadline(limit(20), &what, || {
                let runtime = runtime(mode, procs);
                let mutex = Arc::new(Mutex::new(()));
                let at = Arc::new(AtomicU64::new(0));
                let (inner, step) = (mutex.clone(), at.clone());
                drop(runtime.spawn(move || {
                    let mut held = inner.lock();
                    MutexGuard::unlocked(&mut held, || {
                        step.store(1, Relaxed);
                        while step.load(Relaxed) != 2 {
                            yield_now();
                        }
                        step.store(3, Relaxed);
                    });
                }));
                assert!(comes_true(limit(5), || at.load(Relaxed) == 1), "{what}");
                let held = mutex.lock();
                at.store(2, Relaxed);
                assert!(comes_true(limit(5), || at.load(Relaxed) == 3), "{what}");
                drop(runtime);
                assert!(mutex.is_locked(), "{what}: it is this thread's");
                drop(held);
                assert!(!mutex.is_locked(), "{what}");
                drop(mutex.lock());
            });
        }
    }
}
