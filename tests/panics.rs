//! A panic ends its goroutine alone, whatever its payload, and whatever
//! destructors do meanwhile.

mod common;

use common::{MODES, Mode, ON_PURPOSE, OnDrop, Random, burn, on_each_runtime, on_runtimes};
use common::{child, is_child, is_on_purpose, limit, rounds, runtime, seed};
use common::{stderr, stdout, with_deadline};
use raddle::runtime::{PanicPolicy, Runtime};
use raddle::sync::WaitGroup;
use raddle::{Goexit, JoinHandle, Shutdown};
use std::cell::Cell;
use std::os::unix::process::ExitStatusExt;
use std::panic::{
    AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind, panic_any, resume_unwind,
};
use std::process::Output;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

// ORDER: SeqCst for counts read after a join, which alone is to order them;
// Relaxed for flags to stop by.

const LIMIT: Duration = Duration::from_secs(20);

/// A payload whose drop panics, so many times over.
struct Bomb(u32);

impl Drop for Bomb {
    fn drop(&mut self) {
        match self.0 {
            0 => panic!("the last bomb"),
            left => panic_any(Bomb(left - 1)),
        }
    }
}

/// A value whose drop panics with a payload whose drop panics.
struct BombLayer;

impl Drop for BombLayer {
    fn drop(&mut self) {
        if !thread::panicking() {
            panic_any(Bomb(0));
        }
    }
}

raddle::goroutine_local! {
    static LAYER: BombLayer = BombLayer;
}

#[test]
fn a_goroutine_local_may_panic_with_a_payload_whose_drop_panics() {
    on_runtimes(&[1, 2], &MODES, LIMIT, |runtime, _| {
        assert_eq!(runtime.spawn(|| LAYER.with(|_| 5)).join().unwrap(), 5);
        runtime.spawn(|| ()).join().unwrap();
    });
}

#[test]
fn a_detached_panic_may_have_a_payload_whose_drop_panics_with_another() {
    on_runtimes(&[1, 2], &MODES, LIMIT, |runtime, _| {
        for bombs in 0..3 {
            // Nobody but the goroutine itself is to drop its payload.
            let (group, detached) = (WaitGroup::new(), WaitGroup::new());
            detached.add(1);
            let detached2 = detached.clone();
            let inner = group.clone();
            runtime.run(move || {
                drop(inner.go(move || {
                    detached2.wait();
                    panic_any(Bomb(bombs))
                }));
            });
            detached.done();
            group.wait();
            // Behind it at P = 1.
            runtime.spawn(|| ()).join().unwrap();
        }
    });
}

#[test]
fn a_closure_dropped_by_shutdown_may_panic_with_a_payload_whose_drop_panics() {
    for mode in MODES {
        with_deadline(LIMIT, &format!("{mode:?}"), || {
            let runtime = runtime(mode, 1);
            let stop = Arc::new(AtomicBool::new(false));
            let (begun, stop2) = (WaitGroup::new(), stop.clone());
            begun.add(1);
            let begun2 = begun.clone();
            drop(runtime.spawn(move || {
                begun2.done();
                while !stop2.load(Relaxed) {
                    std::hint::spin_loop();
                }
            }));
            begun.wait();
            let layer = BombLayer;
            drop(runtime.spawn(move || drop(layer)));
            let stopper = thread::spawn(move || {
                // Drop must be under way; nothing shows when it is.
                thread::sleep(Duration::from_millis(10));
                stop.store(true, Relaxed);
            });
            drop(runtime);
            stopper.join().unwrap();
        });
    }
}

/// A Drop that waited in a panic gave its goroutine a home until the panic
/// was caught; that must not outlive it.
#[test]
fn spawn_local_works_under_pin_after_a_drop_that_waited_in_a_caught_panic() {
    with_deadline(LIMIT, "migrate", || {
        runtime(Mode::Migrate, 2).run(|| {
            struct Sleeps;
            impl Drop for Sleeps {
                fn drop(&mut self) {
                    raddle::time::sleep(Duration::from_micros(100));
                }
            }
            let caught = catch_unwind(|| {
                let _sleeps = Sleeps;
                panic!("on purpose");
            });
            assert!(caught.is_err());
            let _pin = raddle::pin();
            raddle::spawn_local(|| ()).join().unwrap();
        });
    });
}

#[test]
fn a_panic_ends_its_goroutine_alone_and_its_payload_reaches_join() {
    on_each_runtime(limit(20), |runtime, what| {
        for _ in 0..rounds(2) {
            let members: Vec<_> = (0..100_usize)
                .map(|n| {
                    runtime.spawn(move || {
                        raddle::yield_now();
                        match n % 4 {
                            0 => panic_any(ON_PURPOSE),
                            1 => resume_unwind(Box::new(n)),
                            2 => raddle::goexit(),
                            _ => n,
                        }
                    })
                })
                .collect();
            for (n, member) in members.into_iter().enumerate() {
                match (n % 4, member.join()) {
                    (0, Err(payload)) => assert!(is_on_purpose(payload.as_ref()), "{what}"),
                    (1, Err(payload)) => assert_eq!(payload.downcast_ref(), Some(&n), "{what}"),
                    (2, Err(payload)) => assert_eq!(payload.downcast_ref(), Some(&Goexit)),
                    (3, Ok(value)) => assert_eq!(value, n, "{what}"),
                    (_, outcome) => panic!("{what}: {n} gave {outcome:?}"),
                }
            }
        }
        assert_machines_are_sane(runtime, what);
    });
}

/// On as many machines as there are: nobody counts as panicking, and std's
/// locks are not poisoned by who did not panic.
fn assert_machines_are_sane(runtime: &Runtime, what: &str) {
    let lock = Arc::new(Mutex::new(0));
    let members: Vec<_> = (0..32)
        .map(|_| {
            let lock = lock.clone();
            runtime.spawn(move || {
                let before = thread::panicking();
                burn(Duration::from_micros(100));
                *lock.lock().unwrap() += 1;
                raddle::yield_now();
                before || thread::panicking()
            })
        })
        .collect();
    for member in members {
        assert!(
            !member.join().unwrap(),
            "{what}: a machine counts as panicking"
        );
    }
    assert!(!lock.is_poisoned(), "{what}");
    assert_eq!(*lock.lock().unwrap(), 32, "{what}");
}

/// A way to wait.
type Way = fn();

const WAYS: [(&str, Way); 12] = [
    ("sleep", || raddle::time::sleep(Duration::from_micros(100))),
    ("yield", raddle::yield_now),
    ("park_timeout", || {
        raddle::park_timeout(Duration::from_micros(100))
    }),
    ("park", || {
        let me = raddle::current();
        drop(raddle::spawn(move || me.unpark()));
        raddle::park();
    }),
    ("join", || {
        assert_eq!(raddle::spawn(|| 5).join().unwrap_or(5), 5);
    }),
    ("join of one that panics", || {
        drop(raddle::spawn(|| panic_any(ON_PURPOSE)).join());
    }),
    ("wait", || {
        let group = WaitGroup::new();
        for _ in 0..3 {
            drop(group.go(raddle::yield_now));
        }
        group.wait();
    }),
    ("scope", || {
        raddle::scope(|s| {
            s.go(raddle::yield_now);
            s.go(raddle::yield_now);
        });
    }),
    ("blocking", || {
        raddle::blocking(|| thread::sleep(Duration::from_micros(100)));
    }),
    ("on_big_stack", || raddle::on_big_stack(raddle::yield_now)),
    ("pin", || {
        let _pin = raddle::pin();
        raddle::yield_now();
        drop(raddle::spawn_local(raddle::yield_now).join());
    }),
    ("a panic caught inside", || {
        let caught = catch_unwind(|| {
            let _waits = OnDrop(raddle::yield_now);
            panic_any(ON_PURPOSE);
        });
        assert!(caught.is_err());
        raddle::yield_now();
    }),
];

#[test]
fn a_drop_may_wait_in_any_way_during_a_panic_and_goexit() {
    on_each_runtime(limit(30), |runtime, what| {
        for round in 0..rounds(2) {
            let drops = Arc::new(AtomicUsize::new(0));
            let mut members = Vec::new();
            for (name, way) in WAYS {
                for end in 0..3 {
                    let drops = drops.clone();
                    let member = runtime.spawn(move || {
                        let _waits = OnDrop(move || {
                            way();
                            way();
                            drops.fetch_add(1, SeqCst);
                        });
                        match end {
                            0 => panic_any(ON_PURPOSE),
                            1 => raddle::goexit(),
                            _ => resume_unwind(Box::new(ON_PURPOSE)),
                        }
                    });
                    members.push((name, end, member));
                }
            }
            let all = members.len();
            for (name, end, member) in members {
                let payload: Box<_> = match member.join() {
                    Err(payload) => payload,
                    Ok(()) => panic!("{what}, {name}: no panic"),
                };
                let right = if end == 1 {
                    payload.is::<Goexit>()
                } else {
                    is_on_purpose(payload.as_ref())
                };
                assert!(right, "{what}, {name}, {end}");
            }
            assert_eq!(drops.load(SeqCst), all, "{what}, round {round}");
        }
        assert_machines_are_sane(runtime, what);
    });
}

/// The count of panics belongs to the thread; goroutines that move between
/// threads while they unwind would mix the counts up.
#[test]
fn waits_in_drops_in_panics_by_the_thousand_leave_every_thread_sane() {
    let begin = seed();
    on_runtimes(&[1, 2, 4], &MODES, limit(30), move |runtime, what| {
        let members: Vec<_> = (0..10)
            .map(|n| {
                runtime.spawn(move || {
                    let mut random = Random::new(begin + n);
                    for _ in 0..rounds(100) {
                        let way = random.below(0..4);
                        let (one, other) = (random.micros(0..50), random.micros(0..50));
                        let caught = catch_unwind(AssertUnwindSafe(|| {
                            let _waits = OnDrop(|| match way {
                                0 => raddle::time::sleep(one),
                                1 => raddle::yield_now(),
                                2 => raddle::park_timeout(one),
                                _ => drop(raddle::spawn(move || raddle::time::sleep(one)).join()),
                            });
                            raddle::time::sleep(other);
                            if way.is_multiple_of(2) {
                                panic_any(ON_PURPOSE);
                            }
                            resume_unwind(Box::new(ON_PURPOSE));
                        }));
                        let payload = caught.unwrap_err();
                        assert!(is_on_purpose(payload.as_ref()));
                    }
                })
            })
            .collect();
        for member in members {
            member
                .join()
                .unwrap_or_else(|_| panic!("{what}, seed {begin}"));
        }
        assert_machines_are_sane(runtime, &format!("{what}, seed {begin}"));
    });
}

/// One goroutine waits in a Drop in its panic. Another on the same thread
/// goes on with a panic that it was given, which passes no hook, and waits in
/// a Drop as well: shutdown must not raise a second panic there.
#[test]
fn a_resumed_panic_beside_one_parked_in_its_panic_survives_shutdown() {
    if !is_child() {
        let output = child(
            "a_resumed_panic_beside_one_parked_in_its_panic_survives_shutdown",
            &[],
        );
        assert!(output.status.success(), "{}", stderr(&output));
        return;
    }
    on_runtimes(&[1], &MODES, limit(20), |_, what| {
        let mode = if what.starts_with("Pinned") {
            Mode::Pinned
        } else {
            Mode::Migrate
        };
        for resumed in [[false, false], [false, true], [true, false], [true, true]] {
            let runtime = runtime(mode, 1);
            let drops = Arc::new(AtomicUsize::new(0));
            for resumed in resumed {
                let in_drop = WaitGroup::new();
                in_drop.add(1);
                let (drops, in_drop2) = (drops.clone(), in_drop.clone());
                drop(runtime.spawn(move || {
                    let _waits = OnDrop(move || {
                        in_drop2.done();
                        raddle::time::sleep(Duration::from_millis(50));
                        drops.fetch_add(1, SeqCst);
                    });
                    if resumed {
                        resume_unwind(Box::new(ON_PURPOSE));
                    }
                    panic_any(ON_PURPOSE);
                }));
                in_drop.wait();
            }
            drop(runtime);
            assert_eq!(drops.load(SeqCst), 2, "{what}, {resumed:?}");
        }
    });
}

#[test]
fn a_scope_panics_for_members_that_nobody_joined_after_all_have_ended() {
    on_each_runtime(limit(20), |runtime, what| {
        for joins in [true, false] {
            let ended = AtomicUsize::new(0);
            let ended = &ended;
            let outcome = runtime.run(move || {
                catch_unwind(AssertUnwindSafe(|| {
                    raddle::scope(|s| {
                        let member = s.spawn(|| panic_any(ON_PURPOSE));
                        s.go(|| {
                            raddle::time::sleep(Duration::from_millis(2));
                            ended.fetch_add(1, SeqCst);
                        });
                        if joins {
                            let result: thread::Result<()> = member.join();
                            assert!(is_on_purpose(result.unwrap_err().as_ref()));
                        }
                        7
                    })
                }))
            });
            assert_eq!(ended.load(SeqCst), 1, "{what}");
            match outcome {
                Ok(value) => assert!(joins && value == 7, "{what}"),
                Err(payload) => {
                    assert!(!joins, "{what}");
                    let text = payload.downcast_ref::<&str>();
                    assert_eq!(text, Some(&"a scoped goroutine panicked"));
                }
            }
        }
        // The owner's own panic is worth more, and waits as well.
        let ended = AtomicUsize::new(0);
        let ended = &ended;
        let outcome = runtime.run(move || {
            catch_unwind(AssertUnwindSafe(|| {
                raddle::scope(|s| {
                    s.go(|| {
                        raddle::time::sleep(Duration::from_millis(2));
                        ended.fetch_add(1, SeqCst);
                    });
                    s.go(|| panic!("a member, on purpose"));
                    panic_any(ON_PURPOSE);
                });
            }))
        });
        assert!(is_on_purpose(outcome.unwrap_err().as_ref()), "{what}");
        assert_eq!(ended.load(SeqCst), 1, "{what}");
    });
}

/// Members that end by `goexit` did not panic.
#[test]
fn a_scope_does_not_panic_for_goexit() {
    on_each_runtime(limit(20), |runtime, _| {
        runtime.run(|| {
            raddle::scope(|s| {
                s.go(|| raddle::goexit());
                let joined: thread::Result<()> = s.spawn(|| raddle::goexit()).join();
                assert!(joined.unwrap_err().is::<Goexit>());
            });
        });
    });
}

#[test]
fn a_scope_called_by_a_plain_thread_panics_alike() {
    with_deadline(limit(20), "", || {
        let outcome = catch_unwind(|| raddle::scope(|s| s.go(|| panic_any(ON_PURPOSE))));
        assert!(outcome.is_err());
        assert_eq!(raddle::scope(|s| s.spawn(|| 5).join().unwrap()), 5);
    });
}

/// Its value's destructor waits, and panics.
struct PanicsInDrop;

impl Drop for PanicsInDrop {
    fn drop(&mut self) {
        raddle::yield_now();
        panic_any(ON_PURPOSE);
    }
}

raddle::goroutine_local! {
    static FIRST: PanicsInDrop = PanicsInDrop;
    static SECOND: PanicsInDrop = PanicsInDrop;
}

fn goroutine_locals_panic(use_them: fn()) {
    on_each_runtime(limit(20), move |runtime, what| {
        for panics in [false, true] {
            let member = runtime.spawn(move || {
                use_them();
                assert!(!panics, "its own");
                5
            });
            match member.join() {
                Ok(value) => assert!(!panics && value == 5, "{what}"),
                Err(payload) => {
                    assert!(panics && !is_on_purpose(payload.as_ref()), "{what}");
                }
            }
        }
        assert_machines_are_sane(runtime, what);
    });
}

#[test]
fn a_panic_in_a_goroutine_locals_destructor_does_not_reach_join() {
    goroutine_locals_panic(|| FIRST.with(|_| ()));
}

#[test]
fn panics_in_the_destructors_of_two_goroutine_locals_do_not_meet() {
    goroutine_locals_panic(|| {
        FIRST.with(|_| ());
        SECOND.with(|_| ());
    });
}

#[test]
fn run_gives_its_panic_on_and_stays_usable() {
    on_each_runtime(limit(20), |runtime, what| {
        for _ in 0..rounds(3) {
            let outcome = catch_unwind(AssertUnwindSafe(|| runtime.run(|| panic_any(ON_PURPOSE))));
            assert!(is_on_purpose(outcome.unwrap_err().as_ref()), "{what}");
            let outcome = catch_unwind(AssertUnwindSafe(|| runtime.run(|| raddle::goexit())));
            assert!(outcome.is_err(), "{what}");
            assert_eq!(runtime.run(|| 5), 5, "{what}");
        }
    });
    with_deadline(limit(20), "the default runtime", || {
        let outcome = catch_unwind(|| raddle::run(|| panic_any(ON_PURPOSE)));
        assert!(is_on_purpose(outcome.unwrap_err().as_ref()));
        assert_eq!(raddle::run(|| raddle::run(|| 5)), 5);
    });
}

#[test]
fn blocking_and_a_big_stack_give_their_panics_on() {
    on_each_runtime(limit(20), |runtime, what| {
        runtime.run(|| {
            for _ in 0..3 {
                let outcome = catch_unwind(|| raddle::blocking(|| panic_any(ON_PURPOSE)));
                assert!(is_on_purpose(outcome.unwrap_err().as_ref()), "{what}");
                let outcome = catch_unwind(|| {
                    raddle::on_big_stack(|| {
                        let _waits = OnDrop(raddle::yield_now);
                        panic_any(ON_PURPOSE)
                    });
                });
                assert!(is_on_purpose(outcome.unwrap_err().as_ref()), "{what}");
                assert_eq!(raddle::blocking(|| 5), 5, "{what}");
            }
        });
        assert_machines_are_sane(runtime, what);
    });
}

#[test]
fn goexit_runs_destructors_and_join_tells() {
    on_each_runtime(limit(20), |runtime, what| {
        let drops = Arc::new(AtomicUsize::new(0));
        let inner = drops.clone();
        let member: raddle::JoinHandle<()> = runtime.spawn(move || {
            let _one = OnDrop(|| {
                inner.fetch_add(1, SeqCst);
            });
            raddle::on_big_stack(|| {
                let _two = OnDrop(|| {
                    raddle::yield_now();
                    inner.fetch_add(1, SeqCst);
                });
                raddle::goexit()
            })
        });
        let payload = member.join().unwrap_err();
        assert!(
            payload.is::<Goexit>() && !payload.is::<Shutdown>(),
            "{what}"
        );
        assert_eq!(drops.load(SeqCst), 2, "{what}");
    });
    with_deadline(limit(20), "a plain thread", || {
        let outcome = catch_unwind(|| raddle::goexit());
        assert!(!outcome.unwrap_err().is::<Goexit>());
    });
}

fn role(name: &str, variables: &[(&str, &str)]) -> (Output, String) {
    let output = child(name, variables);
    let text = stderr(&output);
    (output, text)
}

const SIGABRT: i32 = 6;

#[test]
fn the_policy_abort_aborts_at_the_first_panic() {
    const NAME: &str = "the_policy_abort_aborts_at_the_first_panic";
    if is_child() {
        if std::env::var_os("RADDLE_PANIC").is_none() {
            let builder = raddle::runtime::Builder::new().panic_policy(PanicPolicy::Abort);
            let runtime = builder.build().unwrap();
            // These are no panics.
            assert!(runtime.spawn(|| raddle::goexit()).join().is_err());
            println!("alive");
            let _outcome: thread::Result<()> = runtime.spawn(|| panic!("in the child")).join();
        } else {
            let caught = raddle::run(|| catch_unwind(|| panic!("caught")).is_err());
            assert!(caught);
            println!("alive");
            let _outcome: thread::Result<()> = raddle::spawn(|| panic!("in the child")).join();
        }
        println!("too far");
        return;
    }
    for variables in [&[][..], &[("RADDLE_PANIC", "abort")]] {
        let (output, text) = role(NAME, variables);
        assert_eq!(output.status.signal(), Some(SIGABRT), "{text}");
        assert!(text.contains("in the child"), "{text}");
        assert!(text.contains("tests/panics.rs"), "{text}");
        let out = stdout(&output);
        assert!(out.contains("alive") && !out.contains("too far"), "{out}");
    }
}

#[test]
fn a_detached_panic_is_reported_with_id_name_and_spawn_site() {
    const NAME: &str = "a_detached_panic_is_reported_with_id_name_and_spawn_site";
    if is_child() {
        // Its drop waits for the end, and so for the line.
        let own = runtime(Mode::Pinned, 2);
        own.run(|| {
            let (group, detached) = (WaitGroup::new(), WaitGroup::new());
            group.add(1);
            detached.add(1);
            let (group2, detached2) = (group.clone(), detached.clone());
            let goroutine = raddle::Builder::new()
                .name("swimmer".into())
                .spawn(move || {
                    detached2.wait();
                    let _done = OnDrop(move || group2.done());
                    panic_any(ON_PURPOSE);
                })
                .unwrap();
            println!("id={}.", goroutine.goroutine().id());
            drop(goroutine);
            detached.done();
            group.wait();
            // Who joins has the panic, and no line is printed.
            let joined = raddle::Builder::new()
                .name("joined".into())
                .spawn(|| panic_any(ON_PURPOSE));
            let _outcome: thread::Result<()> = joined.unwrap().join();
        });
        return;
    }
    let (output, text) = role(NAME, &[]);
    assert!(output.status.success(), "{text}");
    let out = stdout(&output);
    let id = out.split("id=").nth(1).unwrap().split('.').next().unwrap();
    let line = text.lines().find(|line| line.contains("nobody joins"));
    let line = line.unwrap_or_else(|| panic!("no line in {text}"));
    assert!(line.contains(&format!("goroutine {id} ")), "{line}");
    assert!(line.contains("\"swimmer\""), "{line}");
    assert!(line.contains("tests/panics.rs"), "{line}");
    assert!(!text.contains("\"joined\""), "{text}");
}

/// A handle that is dropped after the end had a panic that nobody has seen.
#[test]
fn a_panic_is_reported_too_when_its_handle_is_dropped_later() {
    const NAME: &str = "a_panic_is_reported_too_when_its_handle_is_dropped_later";
    if is_child() {
        raddle::run(|| {
            let goroutine = raddle::Builder::new().name("late".into());
            let handle = goroutine.spawn(|| panic_any(ON_PURPOSE)).unwrap();
            while !handle.is_finished() {
                raddle::yield_now();
            }
            let _: &raddle::JoinHandle<()> = &handle;
            drop(handle);
        });
        return;
    }
    let (output, text) = role(NAME, &[]);
    assert!(output.status.success(), "{text}");
    let line = text.lines().find(|line| line.contains("nobody joins"));
    assert!(line.is_some_and(|line| line.contains("\"late\"")), "{text}");
}

/// A hook runs as the OS thread: what waits in it blocks its machine only.
#[test]
fn a_panic_hook_that_waits_blocks_its_machine_only() {
    const NAME: &str = "a_panic_hook_that_waits_blocks_its_machine_only";
    if is_child() {
        // ORDER: SeqCst: read after joins.
        static CALLS: AtomicUsize = AtomicUsize::new(0);
        let hook: Box<dyn Fn(&std::panic::PanicHookInfo<'_>) + Send + Sync> = Box::new(|_| {
            raddle::time::sleep(Duration::from_millis(1));
            raddle::yield_now();
            raddle::park_timeout(Duration::from_micros(100));
            // Runs elsewhere, or on a machine started for it.
            assert_eq!(raddle::spawn(|| 5).join().unwrap(), 5);
            CALLS.fetch_add(1, SeqCst);
        });
        std::panic::set_hook(hook);
        for mode in MODES {
            for procs in [2, 4] {
                with_deadline(limit(20), &format!("{mode:?}, P = {procs}"), || {
                    let runtime = runtime(mode, procs);
                    CALLS.store(0, SeqCst);
                    let members: Vec<_> = (0..10)
                        .map(|n| {
                            runtime.spawn(move || {
                                raddle::yield_now();
                                assert!(n % 2 == 0, "for the hook");
                                n
                            })
                        })
                        .collect();
                    let ok = members.into_iter().filter_map(|m| m.join().ok()).count();
                    assert_eq!((ok, CALLS.load(SeqCst)), (5, 5));
                    assert_machines_are_sane(&runtime, "after the hook");
                });
            }
        }
        println!("to the end");
        return;
    }
    let (output, text) = role(NAME, &[]);
    let out = stdout(&output);
    assert!(
        output.status.success() && out.contains("to the end"),
        "{text}"
    );
}

/// At P = 1 the hook's thread has the only processor; the monitor passes it on.
#[test]
fn a_panic_hook_that_joins_at_one_processor_does_not_hang() {
    const NAME: &str = "a_panic_hook_that_joins_at_one_processor_does_not_hang";
    if is_child() {
        let hook: Box<dyn Fn(&std::panic::PanicHookInfo<'_>) + Send + Sync> = Box::new(|_| {
            assert_eq!(raddle::spawn(|| 5).join().unwrap(), 5);
        });
        std::panic::set_hook(hook);
        on_runtimes(&[1], &MODES, limit(20), |runtime, _| {
            let begin = Instant::now();
            let member: raddle::JoinHandle<()> = runtime.spawn(|| panic_any(5));
            assert_eq!(member.join().unwrap_err().downcast_ref(), Some(&5));
            assert!(begin.elapsed() < Duration::from_secs(5));
        });
        println!("to the end");
        return;
    }
    let (output, text) = role(NAME, &[]);
    let out = stdout(&output);
    assert!(
        output.status.success() && out.contains("to the end"),
        "{text}"
    );
}

/// `#[raddle::main]` ends its process, so each is a role of a child.
mod mains {
    use std::process::ExitCode;
    use std::time::Duration;

    pub fn play(role: &str) {
        match role {
            "code" => code::main(),
            "error" => error::main(),
            "ok" => ok::main(),
            "panic" => panics::main(),
            "panic, migrating" => crate::common::main_migrating(|| {
                let _waits = crate::OnDrop(raddle::yield_now);
                panic!("out of main");
            }),
            "goexit" => goexit::main(),
            "goexit, migrating" => crate::common::main_migrating(|| {
                drop(raddle::spawn(last));
                raddle::goexit();
            }),
            "panic of another" => other::main(),
            _ => panic!("no such role: {role}"),
        };
    }

    mod code {
        use super::ExitCode;

        #[raddle::main]
        pub fn main() -> ExitCode {
            raddle::yield_now();
            ExitCode::from(7)
        }
    }

    mod error {
        #[raddle::main]
        pub fn main() -> Result<(), String> {
            raddle::yield_now();
            Err("no such luck".into())
        }
    }

    mod ok {
        #[raddle::main]
        pub fn main() {
            // Nobody waits for it, and nobody unwinds it.
            drop(raddle::spawn(raddle::park));
            assert_eq!(raddle::current().name(), Some("main"));
            assert_eq!(raddle::current().id().get(), 1);
        }
    }

    mod panics {
        #[raddle::main]
        pub fn main() {
            let _waits = crate::OnDrop(raddle::yield_now);
            panic!("out of main");
        }
    }

    mod goexit {
        #[raddle::main]
        pub fn main() {
            drop(raddle::spawn(super::last));
            raddle::goexit();
        }
    }

    mod other {
        #[raddle::main]
        pub fn main() {
            let outcome: std::thread::Result<()> = raddle::spawn(|| panic!("another")).join();
            assert!(outcome.is_err());
        }
    }

    fn last() {
        raddle::time::sleep(Duration::from_millis(20));
        println!("the last one ended");
    }
}

#[test]
fn main_ends_the_process_with_the_right_status() {
    const NAME: &str = "main_ends_the_process_with_the_right_status";
    if let Ok(role) = std::env::var("RADDLE_TEST_MAIN") {
        mains::play(&role);
        unreachable!("main has returned");
    }
    let play = |main| {
        let (output, text) = role(NAME, &[("RADDLE_TEST_MAIN", main)]);
        (output.status.code(), stdout(&output), text)
    };
    let (code, _, text) = play("code");
    assert_eq!(code, Some(7), "{text}");
    let (code, _, text) = play("error");
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("no such luck"), "{text}");
    for main in ["ok", "panic of another"] {
        let (code, _, text) = play(main);
        assert_eq!(code, Some(0), "{main}: {text}");
    }
    for main in ["panic", "panic, migrating"] {
        let (code, _, text) = play(main);
        assert_eq!(code, Some(101), "{main}: {text}");
        assert!(text.contains("out of main"), "{text}");
    }
    for main in ["goexit", "goexit, migrating"] {
        let (code, out, text) = play(main);
        assert_eq!(code, Some(2), "{main}: {text}");
        assert!(out.contains("the last one ended"), "{main}: {out}");
        let first = text.lines().next();
        let line = "fatal error: all goroutines are asleep - deadlock!";
        assert_eq!(first, Some(line), "{main}: {text}");
    }
}

/// As std's threads, tokio's runtimes and crossbeam's channels: a panic leaves
/// nothing of ours half done, so nobody needs `AssertUnwindSafe`.
#[test]
fn a_panic_may_be_caught_beside_handles_and_runtimes() {
    fn is_safe<T: UnwindSafe + RefUnwindSafe>() {}
    fn is_moved_safely<T: UnwindSafe>() {}
    is_safe::<Runtime>();
    is_safe::<raddle::runtime::Builder>();
    is_safe::<raddle::Goroutine>();
    is_safe::<raddle::Builder>();
    is_safe::<JoinHandle<Cell<u8>>>();
    is_safe::<raddle::ScopedJoinHandle<'static, Cell<u8>>>();
    is_safe::<raddle::chan::Sender<Cell<u8>>>();
    is_safe::<raddle::chan::Receiver<Cell<u8>>>();
    is_safe::<raddle::chan::Chan<Cell<u8>>>();
    is_safe::<raddle::context::Context>();
    is_safe::<raddle::context::CancelFunc>();
    is_safe::<raddle::time::Timer>();
    is_safe::<raddle::time::Ticker>();
    is_safe::<WaitGroup>();
    is_safe::<raddle::sync::Once>();
    is_safe::<raddle::sync::OnceLock<u8>>();
    is_safe::<raddle::sync::LazyLock<u8>>();
    is_safe::<raddle::sync::Condvar>();
    is_safe::<raddle::sync::Barrier>();
    is_safe::<raddle::sync::Semaphore>();
    is_safe::<raddle::sync::Permit>();
    is_safe::<raddle::sync::Pool<Cell<u8>>>();
    is_safe::<raddle::sync::errgroup::Group<Cell<u8>>>();
    is_safe::<raddle::sync::singleflight::Group<u8, Cell<u8>>>();
    // As parking_lot's: the value may be reached through them.
    is_moved_safely::<raddle::sync::Mutex<Cell<u8>>>();
    is_moved_safely::<raddle::sync::RwLock<Cell<u8>>>();

    let runtime = runtime(Mode::Pinned, 1);
    let caught = catch_unwind(|| runtime.run(|| panic_any(ON_PURPOSE)));
    assert!(is_on_purpose(&*caught.unwrap_err()));
    let handle = runtime.spawn(|| Cell::new(5));
    let caught = catch_unwind(move || handle.join().unwrap().get());
    assert_eq!(caught.unwrap(), 5);
}
