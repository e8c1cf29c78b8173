//! WaitGroup: waits from goroutines and threads, generations, and a count
//! that is never negative.

mod common;

use common::{Mode, ON_PURPOSE, Random, runtime, seed};
use common::{is_on_purpose, limit, on_each_runtime, rounds, with_deadline};
use raddle::sync::WaitGroup;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

// ORDER: Relaxed everywhere here: what `done` and `wait` order is tested.

fn message(payload: &(dyn std::any::Any + Send)) -> String {
    payload
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).into()))
        .unwrap_or_default()
}

#[test]
fn a_negative_counter_panics_and_the_count_stays() {
    with_deadline(limit(20), "", || {
        let group = WaitGroup::new();
        for (delta, count) in [(-1, 0), (-3, 2), (isize::MIN, 1)] {
            group.add(count);
            let add = AssertUnwindSafe(|| group.add(delta));
            let text = message(catch_unwind(add).unwrap_err().as_ref());
            assert!(text.contains("negative WaitGroup counter"), "{text}");
            if count > 0 {
                assert!(!group.wait_timeout(Duration::from_millis(1)), "{delta}");
            }
            group.add(-count);
            assert!(group.wait_timeout(Duration::ZERO), "{delta}");
        }
        assert!(catch_unwind(AssertUnwindSafe(|| group.done())).is_err());
        group.wait();
    });
}

/// What cannot be counted is said to be too much, not too little.
#[test]
fn a_counter_that_runs_over_panics_and_says_so() {
    with_deadline(limit(20), "", || {
        let group = WaitGroup::new();
        group.add(2);
        for delta in [isize::MAX, isize::MAX / 2 - 1] {
            let add = AssertUnwindSafe(|| group.add(delta));
            let text = message(catch_unwind(add).unwrap_err().as_ref());
            let most = isize::MAX / 2;
            let words = format!("{delta} was added to 2, and it goes up to {most}");
            assert!(text.contains("WaitGroup counter overflow"), "{text}");
            assert!(text.contains(&words), "{text}");
        }
        group.add(isize::MAX / 2 - 2);
        group.add(-(isize::MAX / 2));
        group.wait();
    });
}

/// The last `done` and one too many, at once: one of them panics, and who
/// waits is woken all the same.
#[test]
fn one_done_too_many_wakes_those_who_wait_all_the_same() {
    on_each_runtime(limit(20), |runtime, what| {
        for round in 0..rounds(20) {
            let group = WaitGroup::new();
            group.add(2);
            let waiter = {
                let group = group.clone();
                runtime.spawn(move || group.wait())
            };
            let panics: u64 = (0..3)
                .map(|_| {
                    let group = group.clone();
                    runtime.spawn(move || {
                        u64::from(catch_unwind(AssertUnwindSafe(|| group.done())).is_err())
                    })
                })
                .collect::<Vec<_>>()
                .into_iter()
                .map(|member| member.join().unwrap())
                .sum();
            assert_eq!(panics, 1, "{what}, round {round}");
            waiter.join().unwrap();
            group.wait();
        }
    });
}

#[test]
fn an_add_that_overflows_panics_and_the_count_stays() {
    const MOST: isize = isize::MAX / 2;
    let group = WaitGroup::new();
    group.add(MOST);
    for more in [1, MOST, isize::MAX] {
        assert!(catch_unwind(AssertUnwindSafe(|| group.add(more))).is_err());
    }
    group.add(-MOST);
    group.wait();
}

#[test]
fn goroutines_and_threads_wait_for_the_same_members() {
    on_each_runtime(limit(20), |runtime, what| {
        for _ in 0..rounds(5) {
            let group = WaitGroup::new();
            let sum = Arc::new(AtomicU64::new(0));
            group.add(100);
            let see = |sum: &Arc<AtomicU64>, group: &WaitGroup| {
                let (sum, group) = (sum.clone(), group.clone());
                move || {
                    group.wait();
                    sum.load(Relaxed)
                }
            };
            let threads: Vec<_> = (0..3).map(|_| thread::spawn(see(&sum, &group))).collect();
            let waiters: Vec<_> = (0..20).map(|_| runtime.spawn(see(&sum, &group))).collect();
            for n in 1..=100 {
                let (sum, group) = (sum.clone(), group.clone());
                drop(runtime.spawn(move || {
                    sum.fetch_add(n, Relaxed);
                    group.done();
                }));
            }
            for waiter in waiters {
                assert_eq!(waiter.join().unwrap(), 5050, "{what}");
            }
            for thread in threads {
                assert_eq!(thread.join().unwrap(), 5050, "{what}");
            }
        }
    });
}

/// Whoever waited for an earlier zero must not be held by a later add.
#[test]
fn each_generation_wakes_its_own_waiters() {
    on_each_runtime(limit(20), |runtime, what| {
        runtime.run(|| {
            let group = WaitGroup::new();
            for generation in 0..rounds(50) {
                group.add(3);
                let waiters: Vec<_> = (0..4)
                    .map(|_| {
                        let group = group.clone();
                        raddle::spawn(move || group.wait_timeout(Duration::from_secs(1000)))
                    })
                    .collect();
                for _ in 0..3 {
                    let group = group.clone();
                    drop(raddle::spawn(move || {
                        raddle::yield_now();
                        group.done();
                    }));
                }
                group.wait();
                // The next one begins while some have not returned yet, and
                // ends after they have come late to it at most.
                group.add(1);
                raddle::yield_now();
                group.done();
                for waiter in waiters {
                    assert!(waiter.join().unwrap(), "{what}, {generation}");
                }
            }
        });
    });
}

#[test]
fn a_member_may_add_others_while_somebody_waits() {
    fn grow(group: &WaitGroup, count: &Arc<AtomicU64>, depth: u32) {
        count.fetch_add(1, Relaxed);
        if depth > 0 {
            for _ in 0..2 {
                let (inner, count) = (group.clone(), count.clone());
                drop(group.go(move || grow(&inner, &count, depth - 1)));
            }
        }
    }
    on_each_runtime(limit(20), |runtime, what| {
        let (group, count) = (WaitGroup::new(), Arc::new(AtomicU64::new(0)));
        let (group2, count2) = (group.clone(), count.clone());
        runtime.run(move || {
            let (inner, count) = (group2.clone(), count2);
            drop(group2.go(move || grow(&inner, &count, 9)));
            group2.wait();
        });
        group.wait();
        assert_eq!(count.load(Relaxed), 1023, "{what}");
    });
}

#[test]
fn a_wait_with_a_timeout_says_whether_the_group_was_done() {
    on_each_runtime(limit(20), |runtime, what| {
        let body = || {
            let group = WaitGroup::new();
            assert!(group.wait_timeout(Duration::ZERO));
            group.add(1);
            assert!(!group.wait_timeout(Duration::ZERO));
            let begin = Instant::now();
            assert!(!group.wait_timeout(Duration::from_millis(5)));
            assert!(begin.elapsed() >= Duration::from_millis(5));
            let member = group.clone();
            drop(raddle::spawn(move || member.done()));
            assert!(group.wait_timeout(Duration::from_secs(1000)));
            assert!(group.wait_timeout(Duration::MAX));
        };
        runtime.run(body);
        thread::spawn(body).join().expect(what);
    });
}

/// Deadlines, wakes and new waiters in every order: no wake is lost, no
/// waiter stays in the queue.
#[test]
fn timeouts_race_with_the_last_done() {
    let begin = seed();
    on_each_runtime(limit(20), move |runtime, what| {
        for round in 0..rounds(20) {
            let seed = begin + round;
            let group = WaitGroup::new();
            group.add(1);
            let waiters: Vec<_> = (0..20)
                .map(|n| {
                    let group = group.clone();
                    runtime.spawn(move || {
                        let mut random = Random::new(seed + n);
                        while !group.wait_timeout(random.micros(0..300)) {}
                    })
                })
                .collect();
            let mut random = Random::new(seed);
            runtime.run(|| raddle::time::sleep(random.micros(50..500)));
            group.done();
            for waiter in waiters {
                waiter
                    .join()
                    .unwrap_or_else(|_| panic!("{what}, seed {seed}"));
            }
        }
    });
}

#[test]
fn a_member_that_panics_or_exits_counts_as_done() {
    on_each_runtime(limit(20), |runtime, what| {
        let group = WaitGroup::new();
        let inner = group.clone();
        let (panicked, left) = runtime.run(move || {
            let panicked = inner.go(|| panic_any(ON_PURPOSE));
            let left = inner.go(|| raddle::goexit());
            inner.wait();
            (panicked, left)
        });
        group.wait();
        let panicked: Result<(), _> = panicked.join();
        assert!(is_on_purpose(panicked.unwrap_err().as_ref()), "{what}");
        let left: Result<(), _> = left.join();
        assert!(left.unwrap_err().is::<raddle::Goexit>(), "{what}");
    });
}

#[test]
fn go_gives_a_handle_to_the_result() {
    on_each_runtime(limit(20), |runtime, what| {
        let sum: u64 = runtime.run(|| {
            let group = WaitGroup::default();
            let members: Vec<_> = (0..50_u64).map(|n| group.go(move || n * n)).collect();
            group.wait();
            members.into_iter().map(|m| m.join().unwrap()).sum()
        });
        assert_eq!(sum, 40_425, "{what}");
    });
}

/// Outside any runtime it is the default one that runs members.
#[test]
fn a_plain_thread_may_go_and_wait() {
    with_deadline(limit(20), "", || {
        let group = WaitGroup::new();
        let me = thread::current().id();
        let member = group.go(move || thread::current().id() != me);
        group.wait();
        assert!(member.join().unwrap());
    });
}

/// The memory of a waiter that left by its deadline is used again at once: a
/// waker that still knew it would be seen here, or by the sanitizers.
#[test]
fn a_waiter_that_timed_out_is_out_of_the_queue() {
    with_deadline(limit(20), "pinned, P = 1", || {
        runtime(Mode::Pinned, 1).run(|| {
            let group = WaitGroup::new();
            group.add(1);
            for _ in 0..rounds(200) {
                assert!(!group.wait_timeout(Duration::from_micros(1)));
            }
            group.done();
            group.wait();
        });
    });
}
