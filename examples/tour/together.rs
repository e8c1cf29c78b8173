//! What is made of goroutines and channels.

use crate::page::Page;
use indicatif::HumanCount;
use raddle::chan::{Chan, Receiver, Sender, bounded};
use raddle::go;
use raddle::sync::Mutex;
use raddle::time::sleep;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

pub fn count_locked(page: &Page) {
    page.say("What a mutex protects is inside it, so lock is the only way there. Who");
    page.say("waits for it parks.");
    page.code("*counts.lock().entry(word).or_default() += 1;");

    let counts = Mutex::new(BTreeMap::new());
    raddle::scope(|s| {
        for n in 0..1_000 {
            let word = if n % 4 == 0 { "weft" } else { "warp" };
            let counts = &counts;
            s.go(move || *counts.lock().entry(word).or_insert(0) += 1);
        }
    });
    page.result(format_args!("{:?}", counts.into_inner()));
}

pub fn count(page: &Page) {
    page.say("Atomics are std's. Fifty goroutines count to a thousand, together.");
    page.code("s.go(|| for _ in 0..1000 { count.fetch_add(1, Relaxed); });");

    let count = AtomicUsize::new(0);
    raddle::scope(|s| {
        for _ in 0..50 {
            // ORDER: Relaxed: the scope's end orders the rest.
            s.go(|| (0..1_000).for_each(|_| _ = count.fetch_add(1, Relaxed)));
        }
    });
    page.result(HumanCount(count.into_inner() as u64));
}

pub fn pool(page: &Page) {
    page.say("Each job goes to one worker, whoever is free. The results end when the");
    page.say("last worker has.");
    page.code("for job in jobs { results.send(work(job)).unwrap(); }");

    fn worker(jobs: Receiver<u32>, results: Sender<u32>) {
        for job in jobs {
            sleep(Duration::from_millis(100)); // hard work
            results.send(job * 2).expect("they are collected");
        }
    }
    let begin = Instant::now();
    let (jobs, to_do) = bounded(5);
    let (done, results) = bounded(5);
    for _ in 0..3 {
        go!(worker(to_do.clone(), done.clone()));
    }
    drop(done);
    for job in 1..=5 {
        jobs.send(job).expect("there are workers");
    }
    drop(jobs);
    let results: Vec<_> = results.iter().collect();
    page.result(format_args!(
        "{results:?}: five times 100 ms of work in {:.0?}",
        begin.elapsed()
    ));
}

pub fn semaphore(page: &Page) {
    page.say("A channel with ten slots lets ten in at a time. Chan is Go's channel,");
    page.say("both ends in one value.");
    page.code("slots.send(());  visit();  slots.recv();");

    let slots = Chan::new(10);
    let counts = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
    for _ in 0..40 {
        slots.send(());
        let (slots, counts) = (slots.clone(), counts.clone());
        go! {
            let (inside, most) = &*counts;
            // ORDER: Relaxed, all: nothing else is told by the counts.
            most.fetch_max(inside.fetch_add(1, Relaxed) + 1, Relaxed);
            sleep(Duration::from_millis(20));
            inside.fetch_sub(1, Relaxed);
            slots.recv();
        };
    }
    // Once ten of main's own fit, the others are out.
    (0..10).for_each(|_| slots.send(()));
    // ORDER: Relaxed: ordered by the slots.
    let most = counts.1.load(Relaxed);
    page.result(format_args!("40 have been in, at most {most} at a time"));
}

pub fn sieve(page: &Page) {
    page.say("Numbers go through a chain of goroutines, one for each prime, which");
    page.say("keeps back its multiples. What comes out is the next prime.");
    page.code("for n in numbers { if n % prime != 0 { rest.send(n)?; } }");

    const PRIMES: usize = 300;
    let begin = Instant::now();
    let (sender, mut numbers) = bounded(0);
    go!(move || (2_u64..).try_for_each(|n| sender.send(n)));
    let mut last = 0;
    for _ in 0..PRIMES {
        let prime = numbers.recv().expect("there are always more");
        let (sender, rest) = bounded(0);
        go!(move || {
            let mut others = numbers.iter().filter(|n| n % prime != 0);
            others.try_for_each(|n| sender.send(n))
        });
        (numbers, last) = (rest, prime);
    }
    page.result(format_args!(
        "prime number {PRIMES} is {last}, after {:.0?}",
        begin.elapsed()
    ));
}

pub fn skynet(page: &Page) {
    page.say("Each goroutine starts ten of itself and adds up what they send, down to");
    page.say("the leaves, which send their numbers.");
    page.code("go!(skynet(part.clone(), begin, leaves / 10));");

    fn skynet(sum: Sender<u64>, first: u64, leaves: u64) {
        if leaves == 1 {
            sum.send(first).expect("its parent listens");
            return;
        }
        let (part, parts) = bounded(10);
        for child in 0..10 {
            let begin = first + leaves / 10 * child;
            go!(skynet(part.clone(), begin, leaves / 10));
        }
        drop(part);
        sum.send(parts.iter().sum()).expect("its parent listens");
    }
    // Without optimization a million would take a while.
    let leaves = if cfg!(debug_assertions) {
        100_000
    } else {
        1_000_000
    };
    let begin = Instant::now();
    let (sender, sum) = bounded(1);
    go!(skynet(sender, 0, leaves));
    let sum = sum.recv().expect("the root sends it");
    page.result(format_args!(
        "{} leaves, the sum is {}, after {:.0?}",
        HumanCount(leaves),
        HumanCount(sum),
        begin.elapsed()
    ));
}
