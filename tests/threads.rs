//! OS threads: no more than `max_threads`, used again, and ended when nobody
//! needs them; what is at home on one keeps it.

mod common;

use common::{
    MODES, Mode, builder, child, comes_true, is_child, limit, stderr, threads, with_deadline,
};
use raddle::chan;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

const MOST: usize = 16;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Runs `body`; the most threads that the process had meanwhile, beyond those
/// it had before.
fn most_threads(body: impl FnOnce()) -> usize {
    let before = threads();
    let is_over = Arc::new(AtomicBool::new(false));
    let most = Arc::new(AtomicUsize::new(0));
    let watcher = thread::spawn({
        let (is_over, most) = (is_over.clone(), most.clone());
        move || {
            while !is_over.load(SeqCst) {
                most.fetch_max(threads(), SeqCst);
                thread::sleep(Duration::from_micros(300));
            }
        }
    });
    body();
    is_over.store(true, SeqCst);
    watcher.join().unwrap();
    most.load(SeqCst).saturating_sub(before + 1)
}

fn block_256_times(runtime: &raddle::runtime::Runtime, say_so: impl Fn(usize) -> bool) {
    let calls: Vec<_> = (0..256)
        .map(|n| {
            let says_so = say_so(n);
            runtime.spawn(move || match says_so {
                true => raddle::blocking(|| thread::sleep(ms(3))),
                false => thread::sleep(ms(3)),
            })
        })
        .collect();
    calls.into_iter().for_each(|call| call.join().unwrap());
}

fn in_a_child(name: &str) {
    let output = child(name, &[]);
    assert!(output.status.success(), "{}", stderr(&output));
}

/// At the cap calls wait for one another; afterwards as many threads stay as
/// there are processors, and all are used again.
#[test]
fn machines_keep_to_the_cap_end_when_idle_and_start_again() {
    if !is_child() {
        return in_a_child("machines_keep_to_the_cap_end_when_idle_and_start_again");
    }
    with_deadline(limit(50), "in migrate mode", || {
        let before = threads();
        let runtime = builder(Mode::Migrate, 2).max_threads(MOST).build().unwrap();
        for round in 0..2 {
            // Of which one is the monitor.
            let most = most_threads(|| block_256_times(&runtime, |n| n % 2 == 0));
            assert!((4..=MOST + 1).contains(&most), "{most} in round {round}");
            let left = || threads() <= before + 1 + 2;
            assert!(
                comes_true(Duration::from_secs(20), left),
                "{} are left",
                threads()
            );
        }
        drop(runtime);
        assert!(comes_true(Duration::from_secs(5), || threads() == before));
    });
}

#[test]
fn a_home_keeps_its_thread_and_helpers_keep_to_the_cap() {
    if !is_child() {
        return in_a_child("a_home_keeps_its_thread_and_helpers_keep_to_the_cap");
    }
    with_deadline(limit(50), "in pinned mode", || {
        let before = threads();
        let runtime = builder(Mode::Pinned, 2).max_threads(MOST).build().unwrap();
        let (open, gate) = chan::bounded::<()>(0);
        let (tell, told) = chan::unbounded();
        let residents: Vec<_> = (0..8)
            .map(|_| {
                let (gate, tell) = (gate.clone(), tell.clone());
                runtime.spawn(move || {
                    let home = thread::current().id();
                    // The others begin elsewhere meanwhile.
                    thread::sleep(ms(30));
                    tell.send(home).unwrap();
                    let _closed = gate.recv();
                    assert_eq!(thread::current().id(), home);
                })
            })
            .collect();
        let homes: HashSet<_> = residents.iter().map(|_| told.recv().unwrap()).collect();
        assert!(homes.len() > 2, "all live together");
        let most = most_threads(|| block_256_times(&runtime, |_| true));
        assert!(most <= 2 * MOST + 1, "{most}");
        // The monitor, the homes, and who sleeps where descriptors wake it.
        let left = || threads() <= before + 1 + homes.len() + 1;
        assert!(
            comes_true(Duration::from_secs(20), left),
            "{} are left",
            threads()
        );
        assert!(
            threads() >= before + 1 + homes.len(),
            "a home has lost its thread"
        );
        drop(open);
        residents.into_iter().for_each(|one| one.join().unwrap());
        let left = || threads() <= before + 1 + 3;
        assert!(
            comes_true(Duration::from_secs(20), left),
            "{} are left",
            threads()
        );
        assert_eq!(runtime.run(|| 5), 5);
    });
}

/// Helpers at the cap wait for one another too, however deep the queue.
#[test]
fn calls_of_blocking_beyond_the_cap_wait_their_turn() {
    for mode in MODES {
        with_deadline(limit(20), &format!("{mode:?}"), || {
            let runtime = builder(mode, 2).max_threads(3).build().unwrap();
            let at_once = Arc::new(AtomicUsize::new(0));
            let most = Arc::new(AtomicUsize::new(0));
            let calls: Vec<_> = (0..100)
                .map(|n| {
                    let (at_once, most) = (at_once.clone(), most.clone());
                    runtime.spawn(move || {
                        raddle::blocking(|| {
                            most.fetch_max(at_once.fetch_add(1, SeqCst) + 1, SeqCst);
                            thread::sleep(ms(1));
                            at_once.fetch_sub(1, SeqCst);
                            n
                        })
                    })
                })
                .collect();
            let sum: usize = calls.into_iter().map(|call| call.join().unwrap()).sum();
            assert_eq!(sum, 4950);
            assert!((1..=3).contains(&most.load(SeqCst)), "{most:?}");
        });
    }
}

/// A timer that a thread set is on a machine that must not go.
#[test]
fn a_timer_set_by_a_thread_fires_after_the_machines_have_gone() {
    if !is_child() {
        let name = "a_timer_set_by_a_thread_fires_after_the_machines_have_gone";
        let output = child(name, &[("RADDLE_MAXPROCS", "1")]);
        assert!(output.status.success(), "{}", stderr(&output));
        return;
    }
    with_deadline(limit(50), "the default runtime", || {
        let before = threads();
        let calls: Vec<_> = (0..64)
            .map(|_| raddle::spawn(|| thread::sleep(ms(3))))
            .collect();
        calls.into_iter().for_each(|call| call.join().unwrap());
        assert!(threads() > before + 4);
        let (fired, fires) = chan::bounded(1);
        let _timer = raddle::time::after_func(Duration::from_secs(14), move || {
            fired.send(threads()).unwrap();
        });
        // The monitor, the processor's, and the one that keeps the timer.
        assert!(fires.recv().unwrap() <= before + 4);
    });
}

/// The CPU time of this process's threads of a name.
fn cpu_of(name: &str) -> Duration {
    let mut ticks = 0;
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let stat = std::fs::read_to_string(task.unwrap().path().join("stat")).unwrap_or_default();
        if stat.contains(&format!("({name})")) {
            let fields: Vec<_> = stat
                .rsplit(')')
                .next()
                .unwrap()
                .split_whitespace()
                .collect();
            ticks += fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        }
    }
    ms(ticks * 10)
}

/// Work waits that nobody can be found for: the monitor does not look for
/// somebody without end.
#[test]
fn at_the_cap_the_monitor_is_patient() {
    if !is_child() {
        return in_a_child("at_the_cap_the_monitor_is_patient");
    }
    for say_so in [false, true] {
        with_deadline(limit(20), "in migrate mode", || {
            let before = cpu_of("raddle-monitor");
            let runtime = builder(Mode::Migrate, 2).max_threads(4).build().unwrap();
            let calls: Vec<_> = (0..8)
                .map(|_| {
                    runtime.spawn(move || match say_so {
                        true => raddle::blocking(|| thread::sleep(ms(500))),
                        false => thread::sleep(ms(500)),
                    })
                })
                .collect();
            calls.into_iter().for_each(|call| call.join().unwrap());
            let used = cpu_of("raddle-monitor") - before;
            assert!(used < ms(130), "{used:?}");
        });
    }
}

/// Asks a goroutine, and waits for its answer, when its thread ends.
struct Farewell(chan::Sender<chan::Sender<u32>>, chan::Sender<u32>);

impl Drop for Farewell {
    fn drop(&mut self) {
        let (answer, answered) = chan::bounded(0);
        // Those whose thread ends with the runtime find nobody.
        if self.0.send(answer).is_ok()
            && let Ok(answer) = answered.recv()
        {
            let _ended = self.1.send(answer);
        }
    }
}

/// The destructors of an idle thread's locals run while the runtime goes on.
#[test]
fn a_thread_that_ends_may_wait_for_a_goroutine() {
    thread_local! {
        static LOCAL: std::cell::OnceCell<Farewell> = const { std::cell::OnceCell::new() };
    }
    if !is_child() {
        return in_a_child("a_thread_that_ends_may_wait_for_a_goroutine");
    }
    with_deadline(limit(50), "in migrate mode", || {
        let runtime = builder(Mode::Migrate, 1).build().unwrap();
        let (ask, asked) = chan::bounded::<chan::Sender<u32>>(0);
        let (tell, told) = chan::unbounded();
        let all_have_begun = Arc::new(std::sync::Barrier::new(8));
        let calls: Vec<_> = (0..8)
            .map(|_| {
                let (ask, tell) = (ask.clone(), tell.clone());
                let all_have_begun = all_have_begun.clone();
                runtime.spawn(move || {
                    // Each on a thread of its own, of which few stay.
                    all_have_begun.wait();
                    LOCAL.with(|local| drop(local.set(Farewell(ask, tell))));
                })
            })
            .collect();
        calls.into_iter().for_each(|call| call.join().unwrap());
        drop((ask, tell));
        let clerk = runtime.spawn(move || {
            for (n, answer) in asked.iter().enumerate() {
                answer.send(u32::try_from(n).unwrap()).unwrap();
            }
        });
        assert!(told.recv().is_ok_and(|n| n < 8));
        drop(clerk);
    });
}
