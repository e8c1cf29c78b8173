//! The list of all goroutines: who is shown how, and that nobody minds.

mod common;

use common::{MODES, Mode, OnDrop, Random, comes_true, limit, on_each_runtime, rounds};
use common::{runtime, seed, with_deadline};
use raddle::observe::dump;
use raddle::sync::WaitGroup;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

// ORDER: Relaxed everywhere here: flags to stop by, and counts.

/// The part of a dump that speaks of the goroutine `name`.
#[track_caller]
fn part_of(text: &str, name: &str) -> String {
    let begin = format!("{name:?} [");
    let at = text
        .find(&begin)
        .unwrap_or_else(|| panic!("no {name}: {text}"));
    let from = text[..at].rfind("goroutine ").expect("the line's begin");
    let part = &text[from..];
    part.split("\n\n").next().unwrap().to_owned()
}

#[inline(never)]
fn a_function_that_parks() {
    raddle::park();
    black_box(());
}

#[inline(never)]
fn its_caller() {
    a_function_that_parks();
    black_box(());
}

fn named(
    runtime: &raddle::runtime::Runtime,
    name: &'static str,
    f: fn(),
) -> raddle::JoinHandle<()> {
    runtime.run(move || raddle::Builder::new().name(name.into()).spawn(f).unwrap())
}

#[test]
fn names_reasons_sites_and_stacks_are_shown() {
    for mode in MODES {
        with_deadline(limit(20), &format!("{mode:?}"), || {
            let runtime = runtime(mode, 2);
            let parks = named(&runtime, "it parks", its_caller);
            let sleeps = named(&runtime, "it sleeps", || {
                raddle::time::sleep(Duration::from_secs(1000));
                // No tail call, which leaves no frame.
                black_box(());
            });
            let waits = named(&runtime, "it waits", || {
                let group = WaitGroup::new();
                group.add(1);
                group.wait();
            });
            static STOP: AtomicBool = AtomicBool::new(false);
            STOP.store(false, Relaxed);
            let _stop = OnDrop(|| STOP.store(true, Relaxed));
            let blocks = named(&runtime, "it blocks", || {
                raddle::blocking(|| {
                    while !STOP.load(Relaxed) {
                        thread::sleep(Duration::from_millis(1));
                    }
                });
            });
            let deep = named(&runtime, "it is deep", || raddle::on_big_stack(its_caller));
            let runs = named(&runtime, "it runs", || {
                while !STOP.load(Relaxed) {
                    std::hint::spin_loop();
                }
            });
            let blocked = match mode {
                Mode::Pinned => "\"it blocks\" [blocking",
                Mode::Migrate => "\"it blocks\" [running",
            };
            // As soon as all of them are where they stay.
            let mut text = String::new();
            let is_there = || {
                text = dump().to_string();
                let reasons = [
                    "\"it parks\" [park]",
                    "\"it sleeps\" [sleep]",
                    "\"it waits\" [sync.WaitGroup.Wait]",
                    "\"it is deep\" [park]",
                    "\"it runs\" [running]",
                    blocked,
                ];
                reasons.iter().all(|reason| text.contains(reason))
            };
            assert!(comes_true(Duration::from_secs(5), is_there), "{text}");
            for name in ["it parks", "it is deep"] {
                let part = part_of(&text, name);
                assert!(part.contains("spawned at tests/dump.rs:"), "{part}");
                let lines: Vec<_> = part.lines().map(str::trim).collect();
                // With line tables alone names have no paths.
                let is = |line: &str, name: &str| line.rsplit("::").next() == Some(name);
                assert!(is(lines[2], "a_function_that_parks"), "{part}");
                let first = "at tests/dump.rs:";
                assert!(lines[3].starts_with(first), "{part}");
                let caller = lines.iter().position(|line| is(line, "its_caller"));
                assert!(caller.is_some_and(|at| at > 2), "{part}");
                assert!(!part.contains("raddle_scheduler"), "{part}");
                assert!(!part.contains("at scheduler/src"), "{part}");
            }
            let part = part_of(&text, "it sleeps");
            assert!(part.contains("runtime/src/time/"), "{part}");
            assert!(
                part.lines().last().unwrap().contains("at tests/dump.rs"),
                "{part}"
            );
            STOP.store(true, Relaxed);
            runs.join().unwrap();
            blocks.join().unwrap();
            drop((parks, sleeps, waits, deep));
        });
    }
}

/// Also by a goroutine with a small stack, of itself and a great many others.
#[test]
fn goroutines_with_small_stacks_can_be_dumped_and_dump() {
    for mode in MODES {
        with_deadline(limit(60), &format!("{mode:?}"), || {
            let runtime = runtime(mode, 2);
            let begun = WaitGroup::new();
            let members: Vec<_> = (0..2000)
                .map(|_| {
                    begun.add(1);
                    let begun = begun.clone();
                    let body = move || {
                        begun.done();
                        its_caller();
                    };
                    runtime.run(|| {
                        raddle::Builder::new()
                            .stack_size(32 << 10)
                            .spawn(body)
                            .unwrap()
                    })
                })
                .collect();
            begun.wait();
            let small = move || dump().to_string();
            let dumper = runtime.run(|| {
                raddle::Builder::new()
                    .stack_size(32 << 10)
                    .spawn(small)
                    .unwrap()
            });
            let text = dumper.join().unwrap();
            assert!(text.matches("goroutine ").count() >= 2000);
            for member in &members {
                member.goroutine().unpark();
            }
            for member in members {
                member.join().unwrap();
            }
        });
    }
}

#[test]
fn those_that_have_not_begun_are_counted() {
    with_deadline(limit(20), "pinned, P = 1", || {
        let runtime = runtime(Mode::Pinned, 1);
        let mut text = String::new();
        // They may begin meanwhile, on another machine, if a dump takes long.
        let is_shown = comes_true(limit(15), || {
            text = runtime.run(|| {
                let members: Vec<_> = (0..3).map(|_| raddle::spawn(|| ())).collect();
                let text = dump().to_string();
                for member in members {
                    member.join().unwrap();
                }
                text
            });
            // Those of other tests may be among them.
            let end = " goroutines more have not begun";
            let count = text.lines().last().and_then(|line| line.strip_suffix(end));
            matches!(count.map(str::parse::<u32>), Some(Ok(3..)))
        });
        assert!(is_shown, "{text}");
    });
}

/// Goroutines park and are unparked as fast as they can, begin and end, while
/// others take dumps: all wakes arrive.
#[test]
fn dumps_lose_no_wake() {
    on_each_runtime(limit(60), |runtime, what| {
        let stop = Arc::new(AtomicBool::new(false));
        let dumps = Arc::new(AtomicU64::new(0));
        let dumpers: Vec<_> = (0..2)
            .map(|_| {
                let (stop, dumps) = (stop.clone(), dumps.clone());
                thread::spawn(move || {
                    while !stop.load(Relaxed) {
                        let dump = dump();
                        dumps.fetch_add(1, Relaxed);
                        black_box(dump);
                    }
                })
            })
            .collect();
        let pairs: Vec<_> = (0..4_u64)
            .map(|pair| {
                runtime.spawn(move || {
                    let mut random = Random::new(seed() + pair);
                    let me = raddle::current();
                    for _ in 0..rounds(3_000) {
                        let waker = me.clone();
                        match random.below(0..8) {
                            0 => raddle::spawn(move || waker.unpark()).join().unwrap(),
                            1 => drop(raddle::spawn(move || waker.unpark())),
                            2 => {
                                let other = raddle::spawn(|| {
                                    raddle::park();
                                    raddle::yield_now();
                                });
                                raddle::yield_now();
                                other.goroutine().unpark();
                                other.join().unwrap();
                                continue;
                            }
                            3 => {
                                raddle::time::sleep(Duration::from_micros(1));
                                continue;
                            }
                            4 => {
                                raddle::park_timeout(Duration::from_micros(1));
                                continue;
                            }
                            _ => {
                                let other = raddle::spawn(move || {
                                    raddle::yield_now();
                                    waker.unpark();
                                });
                                raddle::park();
                                other.join().unwrap();
                                continue;
                            }
                        }
                        raddle::park();
                    }
                })
            })
            .collect();
        for pair in pairs {
            pair.join().unwrap();
        }
        let enough = || dumps.load(Relaxed) > 10;
        assert!(comes_true(Duration::from_secs(20), enough), "{what}");
        stop.store(true, Relaxed);
        for dumper in dumpers {
            dumper.join().unwrap();
        }
    });
}

/// Shutdown comes while stacks are captured: everybody is ended all the same.
#[test]
fn runtimes_end_while_dumps_are_taken() {
    let stop = Arc::new(AtomicBool::new(false));
    let stop2 = stop.clone();
    let dumper = thread::spawn(move || {
        while !stop2.load(Relaxed) {
            black_box(dump());
        }
    });
    on_each_runtime(limit(60), |_, what| {
        let (mode, procs) = match what.split_once(", P = ").unwrap() {
            ("Pinned", procs) => (Mode::Pinned, procs),
            (_, procs) => (Mode::Migrate, procs),
        };
        for _ in 0..rounds(20) {
            let runtime = runtime(mode, procs.parse().unwrap());
            for _ in 0..50 {
                drop(runtime.spawn(its_caller));
            }
            raddle::yield_now();
            drop(runtime);
        }
    });
    stop.store(true, Relaxed);
    dumper.join().unwrap();
}
