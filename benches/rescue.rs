//! How long do others wait behind a machine that is stuck, and what does a
//! park in the middle of a panic cost?
//!
//! One processor, so that whoever waits waits for a rescue.
//! `docs/decisions/rescue.md` reads the table.

#![allow(unsafe_code)] // for one promise: migrate mode

use raddle::runtime::{Builder, Runtime};
use raddle::{Goroutine, blocking, current, park, spawn, yield_now};
use std::hint::black_box;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

fn main() {
    // `cargo test` runs it too, and wants to know only that it works.
    let rounds = if std::env::args().any(|argument| argument == "--bench") {
        101
    } else {
        2
    };
    panic::set_hook(Box::new(|_| {}));
    println!("| | median | p90 | worst |\n|---|--:|--:|--:|");
    for (mode, migrate) in [("pinned", false), ("migrate", true)] {
        let runtime = one_processor(migrate);
        let row = |name: &str, unit: f64, mut figures: Vec<f64>| {
            figures.sort_by(f64::total_cmp);
            let at = |share: usize| figures[(figures.len() - 1) * share / 100] / unit;
            println!(
                "| {mode}: {name} | {:.1} | {:.1} | {:.1} |",
                at(50),
                at(90),
                at(100)
            );
        };
        let waits = |stick: fn()| runtime.run(|| (0..rounds).map(|_| wait_behind(stick)).collect());
        row(
            "from a sleep of its thread until the next runs, µs",
            1e3,
            waits(|| thread::sleep(Duration::from_millis(3))),
        );
        row(
            "from `blocking` until the next runs, µs",
            1e3,
            waits(|| blocking(|| thread::sleep(Duration::from_millis(3)))),
        );
        row(
            "from the start of a loop until the next runs, µs",
            1e3,
            waits(|| spin(Duration::from_millis(25))),
        );
        let each = |times: u32, f: fn()| -> Vec<f64> {
            runtime.run(|| (0..rounds.min(21)).map(|_| nanoseconds(times, f)).collect())
        };
        row(
            "`blocking` that does nothing, ns",
            1.0,
            each(200, || blocking(|| ())),
        );
        row("a panic caught, ns", 1.0, each(200, || panics(false)));
        row(
            "the same, with a yield in a Drop, ns",
            1.0,
            each(200, || panics(true)),
        );
        row(
            "a park and unpark, ns",
            1.0,
            with_partner(&runtime, rounds.min(21), false),
        );
        row(
            "a park and unpark in a Drop in a panic, ns",
            1.0,
            with_partner(&runtime, rounds.min(21), true),
        );
    }
}

fn one_processor(migrate: bool) -> Runtime {
    let builder = Builder::new().max_procs(1);
    let builder = if migrate {
        // SAFETY: 1. and 2. nothing here keeps a value that is not Send, or
        // uses a thread-local, across a call that parks.
        unsafe { builder.migrate() }
    } else {
        builder
    };
    builder.build().expect("one processor is always to be had")
}

/// Nanoseconds from when a goroutine begins to `stick` until the next, which
/// is queued behind it, runs.
fn wait_behind(stick: fn()) -> f64 {
    let (send, receive) = mpsc::channel();
    let next = spawn(move || send.send(Instant::now()));
    let begin = Instant::now();
    stick();
    next.join().expect("no panic").expect("somebody receives");
    let began = receive.recv().expect("just sent");
    began.saturating_duration_since(begin).as_nanos() as f64
}

fn spin(time: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < time {
        black_box(());
    }
}

fn nanoseconds(times: u32, f: impl Fn()) -> f64 {
    let begin = Instant::now();
    for _ in 0..times {
        f();
    }
    begin.elapsed().as_nanos() as f64 / f64::from(times)
}

struct InDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for InDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

fn panics(yields: bool) {
    let caught = catch_unwind(|| {
        let _guard = InDrop(|| {
            if yields {
                yield_now();
            }
        });
        panic!();
    });
    assert!(caught.is_err());
}

/// Round trips with a partner, by park and unpark; `in_panic`: from within a
/// Drop, while a panic is under way.
fn with_partner(runtime: &Runtime, rounds: usize, in_panic: bool) -> Vec<f64> {
    const TRIPS: u32 = 1000;
    fn trips(partner: &Goroutine) -> f64 {
        nanoseconds(TRIPS, || {
            partner.unpark();
            park();
        })
    }
    let round = || {
        let me = current();
        let partner = spawn(move || {
            for _ in 0..TRIPS {
                park();
                me.unpark();
            }
        });
        let other = partner.goroutine().clone();
        let mut ns = 0.0;
        if in_panic {
            let caught = catch_unwind(AssertUnwindSafe(|| {
                let _guard = InDrop(|| ns = trips(&other));
                panic!();
            }));
            assert!(caught.is_err());
        } else {
            ns = trips(&other);
        }
        partner.join().expect("no panic");
        ns
    };
    runtime.run(|| (0..rounds).map(|_| round()).collect())
}
