//! What the environment and builders say: bad values are errors that name
//! themselves, good ones take effect; and a stack that is used up says whose.

mod common;

use common::{Mode, builder, child, is_child, limit, stderr, stdout, with_deadline};
use raddle::runtime::{Builder, PanicPolicy};
use std::hint::black_box;
use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt;
use std::panic::catch_unwind;

const BAD: [(&str, &[&str]); 5] = [
    (
        "RADDLE_MAXPROCS",
        &[
            "0",
            "-3",
            "2.5",
            "many",
            "",
            "1025",
            " 4",
            "+4",
            "0x4",
            "99999999999999999999",
        ],
    ),
    (
        "RADDLE_STACK_SIZE",
        &[
            "",
            "0",
            "1k",
            "31k",
            "33000",
            "2g",
            "64kb",
            "-64k",
            "1025m",
            "big",
            "99999999999999999m",
        ],
    ),
    ("RADDLE_PANIC", &["", "yes", "Abort", "unwind"]),
    (
        "RADDLE_DEBUG",
        &[
            "",
            "stuck",
            "stuck=",
            "stuck=abc",
            "stuck=0ms",
            "lockcheck=2",
            "colour=1",
            "schedtrace=-1",
            "schedtrace=1,schedtrace=2",
            "lockcheck=1,",
        ],
    ),
    ("RADDLE_TRACE", &[""]),
];

mod by_main {
    #[raddle::main]
    pub fn main() {
        println!("the body runs");
    }
}

#[test]
fn a_bad_variable_ends_the_process_before_the_body_and_names_itself() {
    const NAME: &str = "a_bad_variable_ends_the_process_before_the_body_and_names_itself";
    match std::env::var("RADDLE_TEST_ENTRY").as_deref() {
        Ok("run") => raddle::run(|| println!("the body runs")),
        Ok("spawn") => {
            let _outcome = raddle::spawn(|| println!("the body runs")).join();
        }
        Ok("main") => by_main::main(),
        Ok("main, migrating") => common::main_migrating(|| println!("the body runs")),
        Ok(entry) => panic!("no such entry: {entry}"),
        Err(_) => {
            for (name, values) in BAD {
                for (n, value) in values.iter().enumerate() {
                    // All entries for the first value, then one after another.
                    let entries = ["run", "main", "spawn", "main, migrating"];
                    for entry in entries.iter().skip(n % 4).take(if n == 0 { 4 } else { 1 }) {
                        refuses(NAME, entry, name, value);
                    }
                }
            }
        }
    }
}

fn refuses(test: &str, entry: &str, name: &str, value: &str) {
    let output = child(test, &[("RADDLE_TEST_ENTRY", entry), (name, value)]);
    let (out, text) = (stdout(&output), stderr(&output));
    let what = format!(
        "{entry}, {name}={value:?}: {:?}, {out}, {text}",
        output.status
    );
    assert!(output.status.code().is_some_and(|code| code != 0), "{what}");
    assert!(!out.contains("the body runs"), "{what}");
    assert!(text.contains(&format!("{name}={value:?}")), "{what}");
    assert!(text.contains("expected"), "{what}");
}

/// The process is not lost: who catches the panic is told again.
#[test]
fn every_use_of_a_runtime_that_cannot_start_says_why() {
    const NAME: &str = "every_use_of_a_runtime_that_cannot_start_says_why";
    if is_child() {
        for _ in 0..2 {
            let uses: [fn(); 5] = [
                || raddle::run(|| ()),
                || drop(raddle::spawn(|| ())),
                || drop(raddle::Builder::new().spawn(|| ())),
                || drop(raddle::sync::WaitGroup::new().go(|| ())),
                || assert!(raddle::runtime::max_procs() > 0),
            ];
            for (n, used) in uses.into_iter().enumerate() {
                let payload = catch_unwind(used).unwrap_err();
                let text = payload.downcast_ref::<String>().expect("a text");
                assert!(text.contains("RADDLE_PANIC=\"no\""), "{n}: {text}");
            }
            // These need none.
            raddle::yield_now();
            raddle::time::sleep(std::time::Duration::from_millis(1));
            assert_eq!(raddle::runtime::num_goroutines(), 0);
            let error = Builder::new().max_procs(2).build().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().contains("RADDLE_PANIC=\"no\""), "{error}");
        }
        return;
    }
    let output = child(NAME, &[("RADDLE_PANIC", "no")]);
    assert!(output.status.success(), "{}", stderr(&output));
}

/// The default runtime cannot start, so the spawn in the scope panics; the
/// scope must not wait for a goroutine that never was.
#[test]
fn a_scope_whose_runtime_cannot_start_panics_and_does_not_hang() {
    if is_child() {
        let result = catch_unwind(|| {
            raddle::scope(|s| s.go(|| ()));
        });
        assert!(result.is_err());
        return;
    }
    let output = child(
        "a_scope_whose_runtime_cannot_start_panics_and_does_not_hang",
        &[("RADDLE_MAXPROCS", "0")],
    );
    assert!(output.status.success(), "{}", stderr(&output));
}

/// Uses about so many KiB of its stack.
#[inline(never)]
fn use_stack(kib: usize) -> u8 {
    let page = black_box([1_u8; 1024]);
    if kib <= 1 {
        return page[0];
    }
    black_box(use_stack(kib - 1)).max(page[black_box(kib % 1024)])
}

#[test]
fn good_variables_take_effect_and_builders_win() {
    const NAME: &str = "good_variables_take_effect_and_builders_win";
    if is_child() {
        assert_eq!(raddle::run(raddle::runtime::max_procs), 3);
        assert_eq!(raddle::runtime::max_procs(), 3);
        // A debug build's frames are several times as large.
        raddle::spawn(|| use_stack(400)).join().unwrap();
        raddle::spawn(|| raddle::spawn(|| use_stack(400)).join().unwrap())
            .join()
            .unwrap();
        let env = Builder::new().build().unwrap();
        assert_eq!(env.run(raddle::runtime::max_procs), 3);
        let own = Builder::new()
            .max_procs(2)
            .stack_size(8 << 20)
            .panic_policy(PanicPolicy::Isolate)
            .build()
            .unwrap();
        assert_eq!(own.run(raddle::runtime::max_procs), 2);
        assert!(own.spawn(|| panic!("stays here")).join().is_err());
        own.spawn(|| use_stack(2000)).join().unwrap();
        println!("to the end");
        return;
    }
    let output = child(
        NAME,
        &[
            ("RADDLE_MAXPROCS", "3"),
            ("RADDLE_STACK_SIZE", "2m"),
            ("RADDLE_PANIC", "abort"),
            ("RADDLE_DEBUG", "stuck=20ms,lockcheck=0"),
        ],
    );
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stdout(&output).contains("to the end"));
}

#[test]
fn main_has_at_least_eight_mib_of_stack() {
    with_deadline(limit(20), "", || {
        assert_eq!(raddle::run(|| use_stack(2000)), 1);
        let own = raddle::Builder::new().stack_size(4 << 20);
        assert_eq!(own.spawn(|| use_stack(1000)).unwrap().join().unwrap(), 1);
        let small = raddle::Builder::new().stack_size(32 << 10);
        small.spawn(raddle::yield_now).unwrap().join().unwrap();
    });
}

#[test]
fn builders_refuse_what_is_out_of_limits() {
    let refused = |builder: Builder, name: &str| {
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert!(error.to_string().contains(name), "{error}");
    };
    for procs in [0, 1025, usize::MAX] {
        refused(
            Builder::new().max_procs(procs),
            &format!("max_procs({procs})"),
        );
    }
    refused(Builder::new().stack_size(0), "stack_size(0)");
    for bytes in [1, 31 << 10, (32 << 10) + 1, (1 << 30) + 1024, usize::MAX] {
        refused(
            Builder::new().stack_size(bytes),
            &format!("stack_size({bytes})"),
        );
        let error = raddle::Builder::new()
            .stack_size(bytes)
            .spawn(|| ())
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{bytes}: {error}");
    }
    refused(Builder::new().max_threads(0), "max_threads(0)");
    for (procs, bytes) in [(1, 32 << 10), (1024, 1 << 30)] {
        let runtime = Builder::new().max_procs(procs).stack_size(bytes).build();
        assert_eq!(runtime.unwrap().run(|| 5), 5);
    }
    assert!(catch_unwind(|| raddle::runtime::set_max_procs(0)).is_err());
    assert!(catch_unwind(|| raddle::runtime::set_max_procs(1025)).is_err());
}

/// As many threads as allowed are stuck: others wait, and nothing breaks.
#[test]
fn a_runtime_keeps_to_its_number_of_threads() {
    for mode in common::MODES {
        with_deadline(limit(20), &format!("{mode:?}"), || {
            let runtime = builder(mode, 2).max_threads(2).build().unwrap();
            let members: Vec<_> = (0..20)
                .map(|n| {
                    runtime.spawn(move || {
                        std::thread::sleep(std::time::Duration::from_millis(3));
                        raddle::yield_now();
                        n
                    })
                })
                .collect();
            let sum: i32 = members.into_iter().map(|m| m.join().unwrap()).sum();
            assert_eq!(sum, 190);
            // It has no thread left for this.
            let own = raddle::Builder::new().own_thread(true);
            let outcome = runtime.run(|| own.spawn(|| ()).map(raddle::JoinHandle::join));
            if let Err(error) = outcome {
                assert!(error.to_string().contains("max_threads"), "{error}");
            }
            assert_eq!(runtime.run(|| 5), 5);
        });
    }
}

/// Runs for ever, with a frame for each call.
#[inline(never)]
fn dive(n: usize) -> usize {
    let page = black_box([n; 64]);
    if n == usize::MAX {
        return 0;
    }
    dive(n + 1) + page[n % 64]
}

#[test]
fn a_stack_overflow_on_a_big_stack_names_its_goroutine() {
    overflows(
        "a_stack_overflow_on_a_big_stack_names_its_goroutine",
        &["big stack"],
    );
}

#[test]
fn a_stack_overflow_names_its_goroutine_and_aborts() {
    overflows(
        "a_stack_overflow_names_its_goroutine_and_aborts",
        &["plain", "after waits", "own thread", "small"],
    );
}

fn overflows(name: &str, ways: &[&str]) {
    if let Ok(way) = std::env::var("RADDLE_TEST_WAY") {
        let named = || raddle::Builder::new().name("diver".into());
        let mode = if way.contains("migrate") {
            Mode::Migrate
        } else {
            Mode::Pinned
        };
        let runtime = builder(mode, 2).build().unwrap();
        runtime.run(|| {
            let dive = || assert!(black_box(dive(0)) > 0);
            let diver = match way.split(',').next().unwrap() {
                "plain" => named().spawn(dive),
                "after waits" => named().spawn(move || {
                    raddle::yield_now();
                    raddle::time::sleep(std::time::Duration::from_millis(1));
                    dive();
                }),
                "big stack" => named().spawn(move || raddle::on_big_stack(dive)),
                "own thread" => named().own_thread(true).spawn(dive),
                "small" => named().stack_size(32 << 10).spawn(dive),
                _ => panic!("no such way"),
            };
            let _outcome = diver.unwrap().join();
        });
        println!("too far");
        return;
    }
    for way in ways {
        for mode in ["pinned", "migrate"] {
            let way = format!("{way},{mode}");
            let output = child(name, &[("RADDLE_TEST_WAY", &way)]);
            let text = stderr(&output);
            assert_eq!(output.status.signal(), Some(6), "{way}: {text}");
            assert!(text.contains("overflow"), "{way}: {text}");
            assert!(text.contains("diver"), "{way}: {text}");
            assert!(text.contains("tests/environment.rs"), "{way}: {text}");
            assert!(!stdout(&output).contains("too far"));
        }
    }
}
