//! Starting goroutines, and waiting for them.

use crate::page::{Hush, Page};
use indicatif::HumanCount;
use raddle::go;
use raddle::sync::WaitGroup;
use raddle::time::sleep;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

pub fn start(page: &Page) {
    page.say("go! runs a call beside you, as Go's statement does. Arguments are");
    page.say("evaluated now. The handle gives the result.");
    page.code("let sum = go!(add(40, 2));");
    page.code("sum.join().unwrap()");

    fn add(a: u32, b: u32) -> u32 {
        a + b
    }
    let sum = go!(add(40, 2));
    page.result(sum.join().expect("add does not panic"));

    page.say("A goroutine is cheap: starting one is a matter of nanoseconds.");
    const MANY: u32 = 200_000;
    let begin = Instant::now();
    for _ in 0..MANY / 1000 {
        let handles: Vec<_> = (0..1000).map(|n| go!(add(n, n))).collect();
        for handle in handles {
            black_box(handle.join().expect("add does not panic"));
        }
    }
    page.result(format_args!(
        "{} goroutines started and joined, {} each",
        HumanCount(MANY.into()),
        format_args!("{} ns", (begin.elapsed() / MANY).as_nanos()),
    ));
}

pub fn borrow(page: &Page) {
    page.say("The goroutines of a scope end before it does, so they may borrow.");
    page.code("raddle::scope(|s| for word in &words { s.go(|| ..word..); })");

    let words = ["warp", "weft", "shuttle", "heddle"];
    let mut lengths = [0; 4];
    raddle::scope(|s| {
        for (word, length) in words.iter().zip(&mut lengths) {
            s.go(move || *length = word.len());
        }
    });
    page.result(format_args!("{words:?} are {lengths:?} letters long"));
}

pub fn wait_for_many(page: &Page) {
    page.say("A WaitGroup counts those who are still at it.");
    page.code("group.go(|| ..);  group.wait();");

    let group = WaitGroup::new();
    for (name, sound) in [("dog", "woof"), ("cat", "meow"), ("fish", "blub")] {
        let line = page.result_line(format_args!("{name}: {sound}"));
        group.go(move || raddle::println!("{line}"));
    }
    group.wait();
    page.result("all three are done");
}

pub fn capture(page: &Page) {
    page.say("Each round of a loop has a variable of its own. In Go before 1.22 all");
    page.say("rounds had one, and three goroutines would print the last value.");
    page.code("for n in 0..3 { go!(move || n); }");

    let handles: Vec<_> = (0..3).map(|n| go!(move || n)).collect();
    let seen: Vec<_> = handles
        .into_iter()
        .map(|handle| handle.join().expect("nobody panics here"))
        .collect();
    page.result(format_args!("{seen:?}"));
}

pub fn hope(page: &Page) {
    page.say("To sleep until the others should be done is to guess. Whatever waits");
    page.say("(join, a group, a scope, a channel) waits for the thing itself.");
    page.code("sleep(30 ms);  // or:  group.wait();");

    const GOROUTINES: u32 = 20;
    let done = Arc::new(AtomicU32::new(0));
    let group = WaitGroup::new();
    for n in 1..=GOROUTINES {
        let done = done.clone();
        group.go(move || {
            sleep(Duration::from_millis(3) * n);
            // ORDER: Relaxed: told by the group's end.
            done.fetch_add(1, Relaxed);
        });
    }
    sleep(Duration::from_millis(30));
    // ORDER: Relaxed: a guess in every way.
    let guess = done.load(Relaxed);
    group.wait();
    // ORDER: Relaxed: after all that the group counted.
    let sure = done.load(Relaxed);
    page.result(format_args!("slept: {guess} of {GOROUTINES} were done"));
    page.result(format_args!("waited: {sure} of {GOROUTINES}"));
}

pub fn race(page: &Page) {
    page.say("Two goroutines that add to one variable: in Go that compiles, and");
    page.say("`go run -race` may find it. Here rustc does.");
    page.code("s.go(|| count += 1);");
    page.code("s.go(|| count += 1);");

    let said = include_str!("../../tests/ui/race_fail.stderr");
    page.result(said.lines().next().unwrap_or_default());
}

pub fn panic_alone(page: &Page) {
    page.say("A panic ends its goroutine. The others go on, and join gives what it");
    page.say("left behind.");
    page.code("go!(panic!(\"out of yarn\")).join().unwrap_err()");

    let quiet = Hush::new();
    let payload = go!(panic!("out of yarn")).join().expect_err("it panics");
    drop(quiet);
    page.result(format_args!(
        "the payload: {:?}",
        payload.downcast_ref::<&str>()
    ));

    page.say("goexit leaves a goroutine from any depth; destructors run.");
    let left = go!(|| -> () { raddle::goexit() }).join();
    let is_goexit = left.is_err_and(|payload| payload.is::<raddle::Goexit>());
    page.result(format_args!("join gave Err(Goexit): {is_goexit}"));
}
