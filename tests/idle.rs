//! Timers, idleness and the monitor: what is to happen without anybody's help.

mod common;

use common::{MODES, Mode, best, child, comes_true, is_child, limit, on_each_runtime, on_runtimes};
use common::{runtime, stderr, stdout, switches, threads, with_deadline};
use raddle::sync::WaitGroup;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

// ORDER: Relaxed everywhere here: flags to stop by, and counts to watch.

/// In migrate mode a stuck thread holds up nobody: not those either whose
/// timers lie on it, when all others are idle and the monitor may sleep.
#[test]
fn a_sleeper_whose_timer_lies_on_a_blocked_machine_wakes_in_time() {
    with_deadline(Duration::from_secs(20), "migrate, P = 1", || {
        let runtime = runtime(Mode::Migrate, 1);
        let sleeps = WaitGroup::new();
        sleeps.add(1);
        let begin = Instant::now();
        let sleeps2 = sleeps.clone();
        let sleeper = runtime.spawn(move || {
            sleeps2.done();
            raddle::time::sleep(Duration::from_millis(300));
            begin.elapsed()
        });
        sleeps.wait();
        let is_stuck = WaitGroup::new();
        is_stuck.add(1);
        let is_stuck2 = is_stuck.clone();
        let stuck = runtime.spawn(move || {
            is_stuck2.done();
            thread::sleep(Duration::from_secs(2));
        });
        is_stuck.wait();
        // Takes the processor away from the stuck machine, and is done.
        runtime.spawn(|| ()).join().unwrap();
        let slept = sleeper.join().unwrap();
        stuck.join().unwrap();
        assert!(
            slept < Duration::from_secs(1),
            "slept {slept:?}, not 300 ms"
        );
    });
}

/// In a child of its own: nothing else may run in the process.
#[test]
fn an_idle_process_makes_no_wake_ups() {
    const NAME: &str = "an_idle_process_makes_no_wake_ups";
    if !is_child() {
        let output = child(NAME, &[]);
        let text = stderr(&output);
        assert!(output.status.success(), "{text}{}", stdout(&output));
        return;
    }
    // All at once: none of them may wake up.
    let all = [
        (Mode::Pinned, 1),
        (Mode::Pinned, 4),
        (Mode::Migrate, 1),
        (Mode::Migrate, 4),
    ];
    let runtimes = all.map(|(mode, procs)| runtime(mode, procs));
    for runtime in &runtimes {
        let begun = WaitGroup::new();
        begun.add(1000);
        for n in 0..1000 {
            let begun = begun.clone();
            drop(runtime.spawn(move || {
                raddle::yield_now();
                if n % 100 == 0 {
                    thread::sleep(Duration::from_millis(1));
                }
                begun.done();
                raddle::park();
            }));
        }
        begun.wait();
    }
    // The last of them may still be on their way to sleep: one quiet time of
    // some is enough, for what wakes up without end does so in each.
    let mut before = switches();
    let is_quiet = comes_true(limit(20), || {
        thread::sleep(Duration::from_secs(2));
        let now = switches();
        std::mem::replace(&mut before, now) == before
    });
    assert!(is_quiet, "{before:?}, and then {:?}", switches());
}

/// Sorted; so many of a hundred.
fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort();
    times[(times.len() - 1) * percent / 100]
}

#[test]
fn a_sleep_of_a_tenth_of_a_millisecond_ends_within_a_millisecond() {
    on_each_runtime(limit(20), |runtime, what| {
        const SHORT: Duration = Duration::from_micros(100);
        let nap = || {
            let begin = Instant::now();
            raddle::time::sleep(SHORT);
            begin.elapsed().checked_sub(SHORT).expect("not early")
        };
        let attempt = || {
            let mut late: Vec<_> = runtime.run(|| (0..300).map(|_| nap()).collect());
            percentile(&mut late, 50)
        };
        let late = best(Duration::from_millis(1), attempt);
        assert!(late < Duration::from_millis(1), "{what}: late by {late:?}");
    });
}

/// Many timers, each on its own; the median.
#[test]
fn many_sleepers_wake_in_time() {
    on_each_runtime(limit(30), |runtime, what| {
        let sleep = |n: u64| {
            runtime.spawn(move || {
                let wanted = Duration::from_millis(20 + n % 50);
                let begin = Instant::now();
                raddle::time::sleep(wanted);
                begin.elapsed().checked_sub(wanted).expect("not early")
            })
        };
        let attempt = || {
            let members: Vec<_> = (0..500).map(sleep).collect();
            let mut late: Vec<_> = members.into_iter().map(|m| m.join().unwrap()).collect();
            percentile(&mut late, 50)
        };
        let late = best(Duration::from_millis(10), attempt);
        assert!(late < Duration::from_millis(10), "{what}: late by {late:?}");
    });
}

/// Every processor runs an endless loop; the monitor gets a ticker its turns.
/// Pinned, the ticker is at home where it began, and must not have begun
/// behind a loop.
#[test]
fn a_ticker_keeps_ticking_while_every_processor_runs_an_endless_loop() {
    on_runtimes(&[1, 2, 4], &MODES, limit(60), |runtime, what| {
        let stop = Arc::new(AtomicBool::new(false));
        let ticks = Arc::new(AtomicU64::new(0));
        let (stop2, ticks2) = (stop.clone(), ticks.clone());
        let ticker = runtime.spawn(move || {
            // Its machine is not a loop's: only this one wants it.
            while !stop2.load(Relaxed) {
                ticks2.fetch_add(1, Relaxed);
                raddle::time::sleep(Duration::from_millis(1));
            }
        });
        assert!(comes_true(limit(10), || ticks.load(Relaxed) > 0), "{what}");
        let procs = runtime.run(raddle::runtime::max_procs);
        let home = Arc::new(AtomicU64::new(0));
        let begun = WaitGroup::new();
        let loops: Vec<_> = (0..procs)
            .map(|_| {
                begun.add(1);
                let (stop, begun, home) = (stop.clone(), begun.clone(), home.clone());
                runtime.spawn(move || {
                    begun.done();
                    let mut turns = 0_u64;
                    while !stop.load(Relaxed) {
                        turns = turns.wrapping_add(1);
                    }
                    home.fetch_add(turns, Relaxed);
                })
            })
            .collect();
        begun.wait();
        let from = ticks.load(Relaxed);
        // Pinned, a loop may have begun where the ticker has its home.
        let is_free = what.starts_with("Migrate");
        let ticked = comes_true(Duration::from_secs(if is_free { 20 } else { 1 }), || {
            ticks.load(Relaxed) >= from + 20
        });
        // New ones begin all the same.
        let new: Vec<_> = (0..10).map(|n| runtime.spawn(move || n)).collect();
        let sum: i32 = new.into_iter().map(|one| one.join().unwrap()).sum();
        stop.store(true, Relaxed);
        for one in loops {
            one.join().unwrap();
        }
        ticker.join().unwrap();
        assert_eq!(sum, 45, "{what}");
        assert!(ticked || !is_free, "{what}: the ticker stood still");
    });
}

/// Pinned, those at home on the stuck machine wait, and all others go on.
#[test]
fn goroutines_at_home_elsewhere_go_on_beside_a_stuck_machine() {
    on_runtimes(&[1, 2], &[Mode::Pinned], limit(60), |runtime, what| {
        let stop = Arc::new(AtomicBool::new(false));
        let counts: Arc<Vec<AtomicU64>> = Arc::new((0..20).map(|_| AtomicU64::new(0)).collect());
        let homes: Vec<_> = (0..counts.len())
            .map(|me| {
                let (stop, counts) = (stop.clone(), counts.clone());
                runtime.spawn(move || {
                    // So that they get more homes than one.
                    thread::sleep(Duration::from_millis(2));
                    let home = thread::current().id();
                    while !stop.load(Relaxed) {
                        counts[me].fetch_add(1, Relaxed);
                        raddle::time::sleep(Duration::from_millis(1));
                    }
                    home
                })
            })
            .collect();
        let all_began = || counts.iter().all(|count| count.load(Relaxed) > 0);
        assert!(comes_true(limit(20), all_began), "{what}");
        let stop2 = stop.clone();
        let stuck = runtime.spawn(move || {
            while !stop2.load(Relaxed) {
                thread::sleep(Duration::from_millis(100));
            }
            thread::current().id()
        });
        thread::sleep(Duration::from_millis(300));
        let before: Vec<_> = counts.iter().map(|count| count.load(Relaxed)).collect();
        thread::sleep(Duration::from_secs(1));
        let after: Vec<_> = counts.iter().map(|count| count.load(Relaxed)).collect();
        stop.store(true, Relaxed);
        let stuck = stuck.join().unwrap();
        for (me, home) in homes.into_iter().enumerate() {
            let at_stuck = home.join().unwrap() == stuck;
            assert!(
                at_stuck || after[me] >= before[me] + 5,
                "{what}: {me} went from {} to {}",
                before[me],
                after[me]
            );
        }
    });
}

/// Machines are kept; a burst of blocking calls must not leave more and more
/// of them.
#[test]
fn the_number_of_threads_does_not_grow_from_burst_to_burst() {
    const NAME: &str = "the_number_of_threads_does_not_grow_from_burst_to_burst";
    if !is_child() {
        let output = child(NAME, &[]);
        let text = stderr(&output);
        assert!(output.status.success(), "{text}{}", stdout(&output));
        return;
    }
    let before = threads();
    for mode in MODES {
        let after_bursts = || {
            let runtime = runtime(mode, 2);
            let burst = || {
                let members: Vec<_> = (0..50)
                    .map(|_| runtime.spawn(|| thread::sleep(Duration::from_millis(5))))
                    .collect();
                for member in members {
                    member.join().unwrap();
                }
                threads() - before
            };
            let most = (0..20).map(|_| burst()).max().expect("twenty");
            drop(runtime);
            let gone = comes_true(Duration::from_secs(5), || threads() <= before);
            assert!(gone, "{mode:?}: {before} threads became {}", threads());
            most
        };
        // As many as calls at once, and a burst of permits lent ahead; more
        // where the system stops whole CPUs.
        let mut most = Vec::new();
        let is_kept = (0..3).any(|_| {
            most.push(after_bursts());
            most.last() <= Some(&180)
        });
        assert!(is_kept, "{mode:?}: {most:?}");
    }
}
