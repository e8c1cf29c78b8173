//! Where do goroutines get their homes, and what does it cost?
//!
//! Pinned mode, two processors. Partners that wake each other want one home;
//! many that compute want all processors. `docs/decisions/homing.md` has what
//! this said under each policy that was tried: they differ by two constants
//! of `find_work.rs`.

use raddle::sync::WaitGroup;
use raddle::{current, park, runtime, spawn};
use std::collections::HashMap;
use std::hint::{black_box, spin_loop};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

const ROUNDS: usize = 9;

fn main() {
    // `cargo test` runs it too, and wants to know only that it works.
    let scale = if std::env::args().any(|argument| argument == "--bench") {
        1
    } else {
        100
    };
    println!("| workload | median | worst | homes |\n|---|--:|--:|---|");
    for pairs in [1, 8] {
        row(
            &format!("ping-pong, {pairs} pairs, ns a round trip"),
            || ping_pong(pairs, 100_000 / scale / pairs),
        );
    }
    row("ping-pong of two homes, ns a round trip", || {
        apart(100_000 / scale)
    });
    row("fork and join, fib(24), µs in all", || {
        let begin = Instant::now();
        black_box(fib(if scale == 1 { 24 } else { 10 }));
        (begin.elapsed().as_nanos() as f64 / 1e3, String::new())
    });
    row("1,000 of 20 turns of 50 µs, ms in all", || {
        long_lived(1000 / scale)
    });
}

/// Runs `round` on a fresh runtime each time, so that homes are given anew.
fn row(name: &str, round: impl Fn() -> (f64, String) + Send + Sync) {
    let mut figures = Vec::new();
    let mut homes = Vec::new();
    for _ in 0..ROUNDS {
        let built = runtime::Builder::new().max_procs(2).build();
        let fresh = built.expect("two processors are always to be had");
        let (figure, home) = fresh.run(&round);
        figures.push(figure);
        homes.push(home);
    }
    figures.sort_by(f64::total_cmp);
    homes.sort();
    let (median, worst) = (figures[ROUNDS / 2], figures[ROUNDS - 1]);
    println!(
        "| {name} | {median:.0} | {worst:.0} | {} |",
        homes[ROUNDS / 2]
    );
}

fn ping_pong(pairs: usize, trips: usize) -> (f64, String) {
    let together = Arc::new(Mutex::new(0));
    let begin = Instant::now();
    let servers: Vec<_> = (0..pairs)
        .map(|_| {
            let together = together.clone();
            spawn(move || {
                let me = current();
                let server = thread::current().id();
                let client = spawn(move || {
                    for _ in 0..trips {
                        park();
                        me.unpark();
                    }
                    thread::current().id()
                });
                let other = client.goroutine().clone();
                for _ in 0..trips {
                    other.unpark();
                    park();
                }
                let is_same = client.join().expect("no panic") == server;
                *together.lock().unwrap_or_else(PoisonError::into_inner) += u32::from(is_same);
            })
        })
        .collect();
    for server in servers {
        server.join().expect("no panic");
    }
    let ns = begin.elapsed().as_nanos() as f64 / (trips * pairs) as f64;
    let together = *together.lock().unwrap_or_else(PoisonError::into_inner);
    (ns, format!("{together} of {pairs} pairs have one"))
}

/// The spawner is busy until its partner has begun elsewhere.
fn apart(trips: usize) -> (f64, String) {
    let has_begun = Arc::new(AtomicBool::new(false));
    let me = current();
    let client = spawn({
        let has_begun = has_begun.clone();
        move || {
            // ORDER: Relaxed: a flag, nothing else.
            has_begun.store(true, Relaxed);
            for _ in 0..trips {
                park();
                me.unpark();
            }
            thread::current().id()
        }
    });
    // ORDER: as above.
    while !has_begun.load(Relaxed) {
        spin_loop();
    }
    let begin = Instant::now();
    for _ in 0..trips {
        client.goroutine().unpark();
        park();
    }
    let ns = begin.elapsed().as_nanos() as f64 / trips as f64;
    let is_apart = client.join().expect("no panic") != thread::current().id();
    (ns, format!("two: {is_apart}"))
}

fn fib(n: u32) -> u64 {
    if n < 6 {
        return if n < 2 {
            u64::from(n)
        } else {
            fib(n - 1) + fib(n - 2)
        };
    }
    let left = spawn(move || fib(n - 1));
    let right = fib(n - 2);
    left.join().expect("no panic") + right
}

/// Each computes, sleeps, and computes again: homes decide how evenly the
/// processors are used for as long as they live.
fn long_lived(count: usize) -> (f64, String) {
    let homes: Arc<Mutex<HashMap<ThreadId, usize>>> = Arc::default();
    let group = WaitGroup::new();
    let begin = Instant::now();
    for _ in 0..count {
        let homes = homes.clone();
        group.go(move || {
            *homes
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(thread::current().id())
                .or_default() += 1;
            for _ in 0..20 {
                compute(Duration::from_micros(50));
                raddle::time::sleep(Duration::from_micros(200));
            }
        });
    }
    group.wait();
    let ms = begin.elapsed().as_nanos() as f64 / 1e6;
    let homes = homes.lock().unwrap_or_else(PoisonError::into_inner);
    let mut counts: Vec<_> = homes.values().copied().collect();
    counts.sort_unstable();
    (ms, format!("{counts:?}"))
}

fn compute(time: Duration) {
    let begin = Instant::now();
    let mut x = 1_u64;
    while begin.elapsed() < time {
        for _ in 0..100 {
            x = black_box(x.wrapping_mul(6_364_136_223_846_793_005).rotate_left(7));
        }
    }
}
