//! Programs that sleep and will go on: no report, whatever they wait for.
//! Each is a role of a child process whose main thread is its own.

mod bare;
mod common;
#[path = "common/wakers.rs"]
mod wakers;

use common::{MODES, Mode, Random, builder, child, factor, is_child, seed, stderr, stdout};
use raddle::runtime::Runtime;
use raddle::sync::WaitGroup;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use wakers::{Event, poll_once};

const A_WHILE: Duration = Duration::from_millis(300);
const SEED: &str = "RADDLE_STRESS_SEED";

/// Runs `body` in a child for each mode, P = 1 and 2. It has to come to its
/// end, and nothing may be said.
fn goes_on(name: &str, body: fn(&Runtime)) {
    const MODE: &str = "RADDLE_TEST_MODE";
    if is_child() {
        let role = std::env::var(MODE).unwrap_or_default();
        for mode in MODES {
            for procs in [1, 2] {
                if role == format!("{mode:?} {procs}") {
                    let runtime = builder(mode, procs).build().unwrap();
                    body(&runtime);
                    println!("the end");
                }
            }
        }
        return;
    }
    let seed = seed().to_string();
    for mode in MODES {
        for procs in [1, 2] {
            let role = format!("{mode:?} {procs}");
            let output = child(name, &[(MODE, &role), (SEED, &seed)]);
            let text = stderr(&output);
            assert_eq!(text, "", "{role}, seed {seed}");
            assert!(output.status.success(), "{role}, seed {seed}");
            assert_eq!(stdout(&output), "the end\n", "{role}, seed {seed}");
        }
    }
}

fn a_sleep_is_pending() {
    goes_on("a_sleep_is_pending", |runtime| {
        let sleeper = runtime.spawn(|| raddle::time::sleep(A_WHILE));
        let waits = runtime.spawn(move || sleeper.join().is_ok());
        assert!(waits.join().unwrap());
    });
}

fn a_park_has_a_deadline() {
    goes_on("a_park_has_a_deadline", |runtime| {
        runtime.run(|| raddle::park_timeout(A_WHILE));
        // And one of the thread's own, with nobody else there.
        raddle::park_timeout(A_WHILE);
        let group = WaitGroup::new();
        group.add(1);
        assert!(!group.wait_timeout(A_WHILE));
    });
}

fn a_call_blocks() {
    goes_on("a_call_blocks", |runtime| {
        runtime.run(|| raddle::blocking(|| thread::sleep(A_WHILE)));
    });
}

fn a_goroutine_is_in_a_system_call() {
    goes_on("a_goroutine_is_in_a_system_call", |runtime| {
        let stuck = runtime.spawn(|| thread::sleep(A_WHILE));
        let waits = runtime.spawn(move || stuck.join().is_ok());
        assert!(waits.join().unwrap());
    });
}

fn a_thread_outside_will_unpark() {
    goes_on("a_thread_outside_will_unpark", |runtime| {
        for pause in [5, 30, 300] {
            let sleeper = runtime.spawn(raddle::park);
            let waker = sleeper.goroutine().clone();
            let outside = thread::spawn(move || {
                thread::sleep(Duration::from_millis(pause));
                waker.unpark();
            });
            sleeper.join().unwrap();
            outside.join().unwrap();
        }
    });
}

/// It waits in raddle itself before, until a thread that never did wakes it.
fn threads_wake_each_other() {
    goes_on("threads_wake_each_other", |runtime| {
        let sleeper = runtime.spawn(raddle::park);
        let waker = sleeper.goroutine().clone();
        let first = thread::spawn(move || {
            raddle::park();
            waker.unpark();
        });
        let (tell, told) = std::sync::mpsc::channel();
        let second = thread::spawn(move || {
            tell.send(raddle::current()).unwrap();
            raddle::park();
        });
        let second_as_raddle = told.recv().unwrap();
        let third = thread::spawn(move || {
            thread::sleep(A_WHILE);
            second_as_raddle.unpark();
        });
        second.join().unwrap();
        third.join().unwrap();
        drop(first);
        // The first has never been told by anybody: it is asleep, and this
        // thread is awake.
        thread::sleep(Duration::from_millis(50));
        sleeper.goroutine().unpark();
        sleeper.join().unwrap();
    });
}

fn another_runtime_works() {
    goes_on("another_runtime_works", |runtime| {
        let other = builder(Mode::Pinned, 1).build().unwrap();
        let works = other.spawn(|| common::burn(A_WHILE));
        let waits = runtime.spawn(move || works.join().is_ok());
        assert!(waits.join().unwrap());
        let sleeps = other.spawn(|| raddle::time::sleep(A_WHILE));
        let waits = runtime.spawn(move || sleeps.join().is_ok());
        assert!(waits.join().unwrap());
    });
}

fn a_machine_waits_for_a_lock_of_a_thread_outside() {
    const NAME: &str = "a_machine_waits_for_a_lock_of_a_thread_outside";
    goes_on(NAME, |runtime| {
        let lock = Arc::new(Mutex::new(()));
        let (tell, told) = std::sync::mpsc::channel();
        let lock2 = lock.clone();
        let owner = thread::spawn(move || {
            let _held = lock2.lock().unwrap();
            tell.send(()).unwrap();
            thread::sleep(A_WHILE);
        });
        told.recv().unwrap();
        runtime.run(|| drop(lock.lock().unwrap()));
        owner.join().unwrap();
    });
}

/// A runtime ends while its own and all other threads wait for that.
fn a_runtime_shuts_down() {
    goes_on("a_runtime_shuts_down", |runtime| {
        for _ in 0..20 {
            let other = builder(Mode::Pinned, 2).build().unwrap();
            drop(other.spawn(raddle::park));
            other.run(|| raddle::time::sleep(Duration::from_millis(12)));
            runtime.run(move || drop(other));
        }
    });
}

/// Everybody is asleep for some microseconds, again and again, and longer
/// than the monitor lingers at times. A thread outside wakes them, or one of
/// them wakes all, by turns.
fn all_sleep_and_wake_again_and_again() {
    goes_on("all_sleep_and_wake_again_and_again", |runtime| {
        let mut random = Random::new(seed());
        let rounds = 400 * factor();
        let members: Vec<_> = (0..4)
            .map(|_| {
                runtime.spawn(move || {
                    for _ in 0..rounds {
                        raddle::park();
                    }
                })
            })
            .collect();
        let wakers: Vec<_> = members.iter().map(|m| m.goroutine().clone()).collect();
        let me = raddle::current();
        let is_over = Arc::new(AtomicBool::new(false));
        let is_over2 = is_over.clone();
        let waker = thread::spawn(move || {
            // Tokens merge: on until all have had theirs.
            for round in 0.. {
                // ORDER: Relaxed: a flag to stop by.
                if is_over2.load(Relaxed) {
                    return;
                }
                let pause = match round % 100 {
                    0 => 9_000..16_000,
                    n if n % 10 == 1 => 20..2_000,
                    _ => 1..60,
                };
                thread::sleep(random.micros(pause));
                for waker in &wakers {
                    waker.unpark();
                }
                me.unpark();
            }
        });
        for _ in 0..rounds {
            raddle::park();
        }
        for member in members {
            member.join().unwrap();
        }
        // ORDER: as above.
        is_over.store(true, Relaxed);
        waker.join().unwrap();
    });
}

/// No thread outside: goroutines of two runtimes and the main thread hand one
/// token round, and each sleeps until it has it. Now and then the one that
/// has it sleeps, or blocks, about as long as a monitor lingers.
fn a_token_goes_round_between_runtimes_and_threads() {
    const NAME: &str = "a_token_goes_round_between_runtimes_and_threads";
    goes_on(NAME, |runtime| {
        let other = builder(Mode::Migrate, 1).build().unwrap();
        let rounds = 300 * factor();
        let names: Arc<Mutex<Vec<raddle::Goroutine>>> = Arc::default();
        let begun = WaitGroup::new();
        begun.add(4);
        let member = |place: usize| {
            let (names, begun) = (names.clone(), begun.clone());
            move || {
                begun.done();
                let mut random = Random::new(seed() + place as u64);
                for _ in 0..rounds {
                    raddle::park();
                    match random.below(0..60) {
                        0 => raddle::time::sleep(random.micros(9_000..12_000)),
                        1 => raddle::blocking(|| thread::sleep(random.micros(9_000..12_000))),
                        2 => thread::sleep(random.micros(9_000..12_000)),
                        _ => {}
                    }
                    let next = names.lock().unwrap()[(place + 1) % 4].clone();
                    next.unpark();
                }
            }
        };
        let (tell, told) = std::sync::mpsc::channel();
        let third = member(2);
        let thread = thread::spawn(move || {
            tell.send(raddle::current()).unwrap();
            third();
        });
        let (first, second) = (runtime.spawn(member(0)), other.spawn(member(1)));
        let fourth = runtime.spawn(member(3));
        *names.lock().unwrap() = vec![
            first.goroutine().clone(),
            second.goroutine().clone(),
            told.recv().unwrap(),
            fourth.goroutine().clone(),
        ];
        begun.wait();
        first.goroutine().unpark();
        for member in [first, second, fourth] {
            member.join().unwrap();
        }
        thread.join().unwrap();
    });
}

/// A future whose waker a thread outside has, which sleeps as an executor's
/// does: in a wait of its own, that raddle knows nothing of.
fn an_executor_outside_will_wake() {
    goes_on("an_executor_outside_will_wake", |runtime| {
        let event = Event::default();
        let happens = event.clone();
        let executor = thread::spawn(move || {
            thread::park_timeout(A_WHILE);
            happens.happen();
            // And one that awaits a channel of ours, in that wait.
            let (sender, receiver) = raddle::chan::bounded(0);
            let mut receive = receiver.recv_async();
            assert!(poll_once(&mut receive).is_pending());
            raddle::go!(move || sender.send(1));
            thread::park_timeout(A_WHILE);
            assert!(poll_once(&mut receive).is_ready());
        });
        runtime.run(|| raddle::block_on(event));
        executor.join().unwrap();
    });
}

/// Who awaits a time of ours does so on another's thread, or in a goroutine.
fn a_time_is_awaited() {
    goes_on("a_time_is_awaited", |runtime| {
        let after = raddle::chan::after(A_WHILE);
        let waits = runtime.spawn(move || raddle::block_on(after.recv_async()).is_ok());
        assert!(waits.join().unwrap());
    });
}

bare::tests![
    a_sleep_is_pending,
    a_park_has_a_deadline,
    a_call_blocks,
    a_goroutine_is_in_a_system_call,
    a_thread_outside_will_unpark,
    threads_wake_each_other,
    another_runtime_works,
    a_machine_waits_for_a_lock_of_a_thread_outside,
    a_runtime_shuts_down,
    all_sleep_and_wake_again_and_again,
    a_token_goes_round_between_runtimes_and_threads,
    an_executor_outside_will_wake,
    a_time_is_awaited,
];
