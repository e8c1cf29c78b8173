//! Storms of everything, by seed: nothing is lost, nothing hangs.

mod common;

use common::{MODES, Mode, ON_PURPOSE, OnDrop, Random, burn, limit, on_each_runtime};
use common::{is_on_purpose, on_runtimes, rounds, runtime, seed, with_deadline};
use raddle::sync::WaitGroup;
use raddle::{Goroutine, Shutdown};
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

// ORDER: Relaxed for flags to stop by and counts read after joins; SeqCst
// where a test follows another goroutine step by step.

const LIMIT: Duration = Duration::from_secs(60);

/// A machine that its timer wakes in the moment when it is called for work
/// must not be counted as searching for as long as it is busy then: others
/// would not be called any more.
#[test]
fn a_call_that_meets_a_machine_woken_by_its_timer_is_not_lost() {
    let mut random = Random::new(seed());
    for round in 0..rounds(100) {
        let pause = random.micros(300..600);
        with_deadline(LIMIT, &format!("round {round}, pause {pause:?}"), || {
            let runtime = runtime(Mode::Migrate, 2);
            let stop = Arc::new(AtomicBool::new(false));
            let step = Arc::new(AtomicU64::new(0));
            let (stop2, step2) = (stop.clone(), step.clone());
            let hog = runtime.spawn(move || {
                let end = Instant::now() + pause;
                step2.store(1, SeqCst);
                raddle::time::sleep_until(end);
                step2.store(2, SeqCst);
                while !stop2.load(Relaxed) {
                    std::hint::spin_loop();
                }
            });
            while step.load(SeqCst) < 1 {
                std::hint::spin_loop();
            }
            burn(pause.saturating_sub(Duration::from_micros(20)));
            let mut members = Vec::new();
            while step.load(SeqCst) < 2 {
                members.push(runtime.spawn(|| ()));
            }
            // One processor is free, and must be used.
            members.extend((0..3).map(|_| runtime.spawn(|| ())));
            for member in members {
                member.join().unwrap();
            }
            stop.store(true, Relaxed);
            hog.join().unwrap();
        });
    }
}

/// Permits lent to bursts of blocked machines, withdrawn, given way, while
/// the number of processors changes all the while.
#[test]
fn everyone_goes_on_while_machines_block_and_processors_come_and_go() {
    let begin = seed();
    on_runtimes(&[2], &MODES, limit(60), move |runtime, _| {
        for round in 0..rounds(2) {
            let seed = begin + round;
            eprintln!("seed {seed}");
            let (turns, stop) = (
                Arc::new(AtomicU64::new(0)),
                Arc::new(AtomicBool::new(false)),
            );
            let members: Vec<_> = (0..60)
                .map(|n| {
                    let (turns, stop) = (turns.clone(), stop.clone());
                    runtime.spawn(move || {
                        let mut random = Random::new(seed + n);
                        while !stop.load(Relaxed) {
                            match random.below(0..4) {
                                0 => thread::sleep(random.micros(10..3000)),
                                1 => burn(random.micros(10..300)),
                                2 => raddle::time::sleep(random.micros(1..1000)),
                                _ => raddle::yield_now(),
                            }
                            if random.below(0..50) == 0 {
                                burn(Duration::from_millis(12));
                                raddle::yield_now();
                            }
                            turns.fetch_add(1, Relaxed);
                        }
                    })
                })
                .collect();
            let mut random = Random::new(seed);
            for _ in 0..50 {
                thread::sleep(Duration::from_millis(10));
                let procs = usize::try_from(random.below(1..9)).unwrap();
                let _was = runtime.run(move || raddle::runtime::set_max_procs(procs));
            }
            stop.store(true, Relaxed);
            for member in members {
                member.join().unwrap();
            }
        }
    });
}

#[test]
fn a_tree_of_goroutines_grows_and_ends() {
    fn grow(depth: u32) -> u64 {
        if depth == 0 {
            return 1;
        }
        let children = [(); 3].map(|()| raddle::spawn(move || grow(depth - 1)));
        let leaves: u64 = children
            .into_iter()
            .map(|child| child.join().unwrap())
            .sum();
        leaves
    }
    on_each_runtime(limit(30), |runtime, what| {
        for _ in 0..rounds(1) {
            assert_eq!(runtime.run(|| grow(7)), 2187, "{what}");
        }
    });
}

#[test]
fn a_hundred_thousand_goroutines_spawned_flat_all_run() {
    on_runtimes(&[1, 4], &MODES, limit(60), |runtime, what| {
        for _ in 0..rounds(1) {
            let sum = Arc::new(AtomicU64::new(0));
            let inner = sum.clone();
            runtime.run(move || {
                let group = WaitGroup::new();
                for n in 1..=100_000 {
                    let sum = inner.clone();
                    drop(group.go(move || {
                        if n % 1000 == 0 {
                            raddle::yield_now();
                        }
                        sum.fetch_add(n, Relaxed);
                    }));
                }
                group.wait();
            });
            assert_eq!(sum.load(Relaxed), 5_000_050_000, "{what}");
        }
    });
}

#[test]
fn threads_spawn_while_goroutines_spawn_too() {
    on_each_runtime(limit(60), |runtime, what| {
        for _ in 0..rounds(1) {
            let count = Arc::new(AtomicU64::new(0));
            let spawners: Vec<_> = (0..4)
                .map(|_| {
                    let count = count.clone();
                    runtime.spawn(move || {
                        let children: Vec<_> = (0..1000)
                            .map(|_| {
                                let count = count.clone();
                                raddle::spawn(move || count.fetch_add(1, Relaxed))
                            })
                            .collect();
                        for child in children {
                            child.join().unwrap();
                        }
                    })
                })
                .collect();
            thread::scope(|scope| {
                for _ in 0..3 {
                    scope.spawn(|| {
                        let children: Vec<_> = (0..1000)
                            .map(|_| {
                                let count = count.clone();
                                runtime.spawn(move || count.fetch_add(1, Relaxed))
                            })
                            .collect();
                        for child in children {
                            child.join().unwrap();
                        }
                    });
                }
            });
            for spawner in spawners {
                spawner.join().unwrap();
            }
            assert_eq!(count.load(Relaxed), 7000, "{what}");
        }
    });
}

/// Adds to `count` and unparks `whom` so often, with pauses now and then.
fn adds(count: &AtomicU64, whom: &Goroutine, times: u64, seed: u64) {
    let mut random = Random::new(seed);
    for _ in 0..times {
        count.fetch_add(1, SeqCst);
        whom.unpark();
        match random.below(0..20) {
            0 => raddle::time::sleep(random.micros(0..50)),
            1 | 2 => raddle::yield_now(),
            _ => {}
        }
    }
}

/// Many wake one that waits for its count to be complete: if one unpark were
/// lost, it would wait for ever.
fn unparks_from_all_sides(timeout: bool) {
    let begin = seed();
    on_each_runtime(limit(30), move |runtime, what| {
        for round in 0..rounds(5) {
            let seed = begin + round;
            let count = Arc::new(AtomicU64::new(0));
            let inner = count.clone();
            let waits = move || {
                let mut random = Random::new(seed);
                while inner.load(SeqCst) < 1200 {
                    if timeout && random.below(0..2) == 0 {
                        raddle::park_timeout(random.micros(0..100));
                    } else {
                        raddle::park();
                    }
                }
            };
            let sleeper = runtime.spawn(waits);
            let whom = sleeper.goroutine().clone();
            let adders: Vec<_> = (0..4)
                .map(|n| {
                    let (count, whom) = (count.clone(), whom.clone());
                    runtime.spawn(move || adds(&count, &whom, 200, seed + 10 + n))
                })
                .collect();
            thread::scope(|scope| {
                for n in 0..2 {
                    let (count, whom) = (&count, &whom);
                    scope.spawn(move || adds(count, whom, 200, seed + 20 + n));
                }
            });
            for adder in adders {
                adder.join().unwrap();
            }
            let outcome = sleeper.join();
            assert!(outcome.is_ok(), "{what}, seed {seed}");
        }
    });
}

#[test]
fn no_unpark_is_lost_whoever_sends_it() {
    unparks_from_all_sides(false);
}

#[test]
fn no_unpark_is_lost_beside_timeouts() {
    unparks_from_all_sides(true);
}

/// One token a turn, no count to look at: each unpark ends one park.
#[test]
fn every_unpark_of_a_strict_exchange_ends_one_park() {
    on_each_runtime(limit(30), |runtime, what| {
        let turns = rounds(500);
        // A thread and a goroutine, then two goroutines.
        for by_thread in [true, false] {
            let turn = Arc::new(AtomicU64::new(0));
            let turn2 = turn.clone();
            let (give, take) = std::sync::mpsc::channel::<Goroutine>();
            let pong = runtime.spawn(move || {
                let ping = take.recv().unwrap();
                for n in 0..turns {
                    while turn2.load(SeqCst) != 2 * n + 1 {
                        raddle::park();
                    }
                    turn2.store(2 * n + 2, SeqCst);
                    ping.unpark();
                }
            });
            let whom = pong.goroutine().clone();
            let ping = move || {
                give.send(raddle::current()).unwrap();
                for n in 0..turns {
                    turn.store(2 * n + 1, SeqCst);
                    whom.unpark();
                    while turn.load(SeqCst) != 2 * n + 2 {
                        raddle::park();
                    }
                }
            };
            if by_thread {
                ping();
            } else {
                runtime.run(ping);
            }
            pong.join().expect(what);
        }
    });
}

#[test]
fn unparks_before_a_park_merge_into_one() {
    on_each_runtime(limit(20), |runtime, what| {
        let body = || {
            let me = raddle::current();
            for _ in 0..20 {
                for _ in 0..3 {
                    me.unpark();
                }
                raddle::park();
                let begin = Instant::now();
                raddle::park_timeout(Duration::from_micros(500));
                assert!(begin.elapsed() >= Duration::from_micros(500));
            }
        };
        runtime.run(body);
        thread::spawn(body).join().expect(what);
    });
}

#[test]
fn short_sleeps_in_any_mix_end_and_not_early() {
    let begin = seed();
    on_each_runtime(limit(30), move |runtime, what| {
        let members: Vec<_> = (0..200)
            .map(|n| {
                runtime.spawn(move || {
                    let mut random = Random::new(begin + n);
                    for _ in 0..rounds(20) {
                        let wanted = random.micros(0..1000);
                        let from = Instant::now();
                        raddle::time::sleep(wanted);
                        assert!(from.elapsed() >= wanted);
                    }
                })
            })
            .collect();
        for member in members {
            member
                .join()
                .unwrap_or_else(|_| panic!("{what}, seed {begin}"));
        }
    });
}

#[test]
fn joins_in_long_chains_from_goroutines_and_threads_give_their_values() {
    on_each_runtime(limit(30), |runtime, what| {
        for _ in 0..rounds(2) {
            let mut last = runtime.spawn(|| 0_u64);
            for _ in 0..1000 {
                last = runtime.spawn(move || last.join().unwrap() + 1);
            }
            assert_eq!(last.join().unwrap(), 1000, "{what}");
            let handles: Vec<_> = (0..400_u64)
                .map(|n| {
                    runtime.spawn(move || {
                        if n % 3 == 0 {
                            raddle::yield_now();
                        }
                        n
                    })
                })
                .collect();
            let sum: u64 = thread::scope(|scope| {
                let mut joiners: Vec<Vec<_>> = (0..4).map(|_| Vec::new()).collect();
                for (n, handle) in handles.into_iter().enumerate() {
                    joiners[n % 4].push(handle);
                }
                let joiners: Vec<_> = joiners
                    .into_iter()
                    .map(|mine| {
                        scope.spawn(|| {
                            let values = mine.into_iter().map(|one| one.join().unwrap());
                            values.sum::<u64>()
                        })
                    })
                    .collect();
                joiners
                    .into_iter()
                    .map(|joiner| joiner.join().unwrap())
                    .sum()
            });
            assert_eq!(sum, 79_800, "{what}");
        }
    });
}

/// A rare run took 2.6 s, one call after the other.
#[test]
fn two_hundred_blocking_calls_do_not_run_one_after_the_other() {
    const CALL: Duration = Duration::from_millis(10);
    on_runtimes(&[1, 2, 4], &MODES, limit(60), |runtime, what| {
        for round in 0..rounds(3) {
            for announced in [true, false] {
                if !announced && what.starts_with("Pinned, P = 1") {
                    // The monitor finds out one by one what is stuck there.
                    continue;
                }
                let begin = Instant::now();
                let members: Vec<_> = (0..256)
                    .map(|_| {
                        runtime.spawn(move || {
                            if announced {
                                raddle::blocking(|| thread::sleep(CALL));
                            } else {
                                thread::sleep(CALL);
                            }
                        })
                    })
                    .collect();
                for member in members {
                    member.join().unwrap();
                }
                let took = begin.elapsed();
                assert!(
                    took < Duration::from_millis(1500),
                    "{what}, round {round}, announced {announced}: took {took:?}"
                );
            }
        }
    });
}

/// Some threads are stuck in a sleep, some in a loop; new goroutines go on.
/// How long `quick` of them took, beside so many loops and sleeps.
fn beside_stuck_machines(
    runtime: &raddle::runtime::Runtime,
    loops: usize,
    sleeps: usize,
    quick: u64,
) -> Duration {
    let stop = Arc::new(AtomicBool::new(false));
    let stopper = stop.clone();
    let _at_the_end = OnDrop(move || stopper.store(true, Relaxed));
    let begun = WaitGroup::new();
    let stuck: Vec<_> = (0..loops + sleeps)
        .map(|n| {
            begun.add(1);
            let (stop, begun) = (stop.clone(), begun.clone());
            runtime.spawn(move || {
                begun.done();
                while !stop.load(Relaxed) {
                    if n >= loops {
                        thread::sleep(Duration::from_millis(5));
                    }
                }
            })
        })
        .collect();
    begun.wait();
    let begin = Instant::now();
    let members: Vec<_> = (0..quick)
        .map(|n| {
            runtime.spawn(move || {
                raddle::time::sleep(Duration::from_micros(n % 50));
                n
            })
        })
        .collect();
    let sum: u64 = members.into_iter().map(|m| m.join().unwrap()).sum();
    assert_eq!(sum, quick * (quick - 1) / 2);
    let took = begin.elapsed();
    stop.store(true, Relaxed);
    for one in stuck {
        one.join().unwrap();
    }
    took
}

#[test]
fn others_go_on_while_machines_are_stuck() {
    on_each_runtime(limit(60), |runtime, what| {
        for _ in 0..rounds(1) {
            let took = beside_stuck_machines(runtime, 0, 6, 1000);
            assert!(took < Duration::from_secs(5), "{what}: took {took:?}");
            let took = beside_stuck_machines(runtime, 3, 3, 20);
            assert!(took < Duration::from_secs(10), "{what}: took {took:?}");
        }
    });
}

/// Go's would all have run after a slice of each loop.
#[test]
fn many_quick_goroutines_begin_soon_beside_endless_loops() {
    on_each_runtime(limit(120), |runtime, what| {
        let took = beside_stuck_machines(runtime, 8, 0, 500);
        eprintln!("{what}: took {took:?}");
        assert!(took < Duration::from_secs(3), "{what}: took {took:?}");
    });
}

#[test]
fn runtimes_are_built_used_and_dropped_in_a_loop_several_at_once() {
    let begin = seed();
    with_deadline(limit(60), &format!("seed {begin}"), || {
        thread::scope(|scope| {
            for n in 0..4 {
                scope.spawn(move || {
                    let mut random = Random::new(begin + n);
                    for _ in 0..rounds(10) {
                        let mode = MODES[usize::try_from(random.below(0..2)).unwrap()];
                        let procs = usize::try_from(random.below(1..5)).unwrap();
                        let runtime = runtime(mode, procs);
                        let kept: Vec<_> = (0..random.below(0..40))
                            .map(|n| {
                                runtime.spawn(move || match n % 4 {
                                    0 => raddle::park(),
                                    1 => raddle::time::sleep(Duration::from_secs(1000)),
                                    2 => raddle::yield_now(),
                                    _ => {}
                                })
                            })
                            .collect();
                        assert_eq!(runtime.run(|| raddle::spawn(|| 5).join().unwrap()), 5);
                        if random.below(0..2) == 0 {
                            raddle::time::sleep(random.micros(0..500));
                        }
                        drop(runtime);
                        for (n, one) in kept.into_iter().enumerate() {
                            assert!(one.is_finished());
                            assert!(n % 4 > 1 || one.join().is_err());
                        }
                    }
                });
            }
        });
    });
}

/// A join that gives `Shutdown` ends who joins as well.
fn joined<T>(outcome: thread::Result<T>) -> T {
    match outcome {
        Ok(value) => value,
        Err(payload) if payload.is::<Shutdown>() => panic_any(ON_PURPOSE),
        Err(payload) if is_on_purpose(payload.as_ref()) => panic_any(ON_PURPOSE),
        Err(_) => panic!("a member failed"),
    }
}

/// What the members of a random mix share.
struct Mix {
    begin: u64,
    /// Begun and ended, whatever their end.
    begun: AtomicU64,
    ended: AtomicU64,
    /// Somebody to wake for nothing.
    known: Mutex<Vec<Goroutine>>,
    changes_procs: bool,
}

impl Mix {
    fn spawn(self: &Arc<Self>, seed: u64, depth: u32) -> raddle::JoinHandle<u64> {
        let mix = self.clone();
        raddle::spawn(move || mix.member(seed, depth))
    }

    /// One member: does a few things at random, and gives back how many
    /// goroutines there were below it, itself included.
    fn member(self: &Arc<Self>, seed: u64, depth: u32) -> u64 {
        self.begun.fetch_add(1, Relaxed);
        let mix = self.clone();
        let _ended = OnDrop(move || {
            mix.ended.fetch_add(1, Relaxed);
        });
        let mut random = Random::new(seed);
        let mut members = 1;
        for step in 0..random.below(1..6) {
            let seed = seed.wrapping_mul(31).wrapping_add(step);
            let child = depth > 0;
            match random.below(0..18) {
                0 | 1 => raddle::yield_now(),
                2 => raddle::time::sleep(random.micros(0..500)),
                3 => burn(random.micros(0..100)),
                4 => raddle::park_timeout(random.micros(0..200)),
                5 => {
                    let mut known = self.known.lock().unwrap();
                    known.push(raddle::current());
                    let whom =
                        known[usize::try_from(random.next() % known.len() as u64).unwrap()].clone();
                    if known.len() > 50 {
                        known.clear();
                    }
                    drop(known);
                    whom.unpark();
                }
                6 if random.below(0..8) == 0 => thread::sleep(random.micros(10..1000)),
                7 => raddle::blocking(|| thread::sleep(random.micros(0..200))),
                8 if child => {
                    let _pin = raddle::pin();
                    let mix = self.clone();
                    let local = raddle::spawn_local(move || mix.member(seed, depth - 1));
                    members += joined(local.join());
                }
                9 if child && random.below(0..8) == 0 => {
                    let (mix, own) = (self.clone(), raddle::Builder::new().own_thread(true));
                    let own = own.spawn(move || mix.member(seed, depth - 1)).unwrap();
                    members += joined(own.join());
                }
                10 if child => {
                    let (one, other) = raddle::scope(|s| {
                        let one = s.spawn(|| self.member(seed, depth - 1));
                        let other = s.spawn(|| self.member(seed + 1, depth - 1));
                        (joined(one.join()), joined(other.join()))
                    });
                    members += one + other;
                }
                11 if child => {
                    let (mix, group) = (self.clone(), WaitGroup::new());
                    let member = group.go(move || mix.member(seed, depth - 1));
                    group.wait();
                    members += joined(member.join());
                }
                12 if child => {
                    let below = raddle::on_big_stack(|| self.spawn(seed, depth - 1).join());
                    members += joined(below);
                }
                13 => {
                    let outcome = raddle::spawn(move || {
                        let _waits = OnDrop(|| raddle::time::sleep(Duration::from_micros(20)));
                        match seed % 3 {
                            0 => panic_any(ON_PURPOSE),
                            1 => raddle::goexit(),
                            _ => {}
                        }
                    });
                    let is_err = outcome.join().is_err();
                    assert!(is_err || seed % 3 == 2);
                    if is_err && seed % 3 == 2 {
                        joined(Err(Box::new(Shutdown)))
                    }
                }
                14 => {
                    let way = random.micros(0..50);
                    let caught = catch_unwind(AssertUnwindSafe(|| {
                        let _waits = OnDrop(|| raddle::time::sleep(way));
                        panic_any(ON_PURPOSE);
                    }));
                    assert!(caught.is_err());
                }
                15 if self.changes_procs => {
                    let procs = usize::try_from(random.below(1..9)).unwrap();
                    let _was = raddle::runtime::set_max_procs(procs);
                }
                _ if child => {
                    let children: Vec<_> = (0..random.below(1..4))
                        .map(|n| self.spawn(seed.wrapping_add(n << 32), depth - 1))
                        .collect();
                    for child in children {
                        members += joined(child.join());
                    }
                }
                _ => {}
            }
        }
        members
    }
}

/// Of everything something, by seed.
fn random_mix(changes_procs: bool) {
    let begin = seed();
    on_each_runtime(limit(60), move |runtime, what| {
        for round in 0..rounds(2) {
            let seed = begin + 1000 * round;
            let what = format!("{what}, RADDLE_STRESS_SEED={seed}");
            with_deadline(Duration::from_secs(60), &what, || {
                let mix = Arc::new(Mix {
                    begin: seed,
                    begun: AtomicU64::new(0),
                    ended: AtomicU64::new(0),
                    known: Mutex::new(Vec::new()),
                    changes_procs,
                });
                let members: Vec<_> = (0..30)
                    .map(|n| {
                        let mix = mix.clone();
                        runtime.spawn(move || mix.member(mix.begin + n, 4))
                    })
                    .collect();
                let sum: u64 = members.into_iter().map(|m| m.join().unwrap()).sum();
                assert_eq!(mix.begun.load(Relaxed), sum);
                assert_eq!(mix.ended.load(Relaxed), sum);
            });
        }
    });
}

#[test]
fn a_random_mix_of_everything_ends() {
    random_mix(false);
}

#[test]
fn a_random_mix_ends_while_the_number_of_processors_changes() {
    random_mix(true);
}

/// A mix is under way when its runtime is dropped: all of it ends.
#[test]
fn a_random_mix_ends_when_its_runtime_is_dropped() {
    let begin = seed();
    for round in 0..rounds(10) {
        for mode in MODES {
            for procs in [1, 2, 4] {
                let seed = begin + 1000 * round;
                let what = format!("{mode:?}, P = {procs}, RADDLE_STRESS_SEED={seed}");
                with_deadline(Duration::from_secs(60), &what, || {
                    let runtime = runtime(mode, procs);
                    let mix = Arc::new(Mix {
                        begin: seed,
                        begun: AtomicU64::new(0),
                        ended: AtomicU64::new(0),
                        known: Mutex::new(Vec::new()),
                        changes_procs: false,
                    });
                    for n in 0..30 {
                        let mix = mix.clone();
                        // Its join of a child may give shutdown: a panic.
                        drop(runtime.spawn(move || {
                            let run = AssertUnwindSafe(|| mix.member(mix.begin + n, 4));
                            let _outcome = catch_unwind(run);
                        }));
                    }
                    thread::sleep(Random::new(seed).micros(0..3000));
                    drop(runtime);
                    assert_eq!(mix.begun.load(Relaxed), mix.ended.load(Relaxed));
                });
            }
        }
    }
}
