//! Pinned, a goroutine's home is where it begins: partners that are begun
//! one for the other share one, and those that do not hand over quickly.

use raddle::{current, park, runtime, spawn};
use std::hint::spin_loop;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

mod common;
use common::{switches, with_deadline};

const DEADLINE: Duration = Duration::from_secs(60);

/// Each wants both processors.
static ALONE: Mutex<()> = Mutex::new(());

fn on_two<T: Send>(body: impl FnOnce() -> T + Send) -> T {
    let two = runtime::Builder::new().max_procs(2).build();
    two.expect("two processors are always to be had").run(body)
}

/// For how long the calling thread has waited for a CPU, in all.
fn waited() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = stat.split(' ').nth(1).and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.unwrap_or(0))
}

/// Whether a goroutine and the partner it then waits for have two homes; or
/// none of this, if another process took its CPU meanwhile: a thread of ours
/// has it for microseconds.
fn begins_elsewhere() -> Option<bool> {
    const TAKEN: Duration = Duration::from_micros(500);
    let me = current();
    let before = waited();
    let partner = spawn(move || {
        for _ in 0..2_000 {
            park();
            me.unpark();
        }
        thread::current().id()
    });
    partner.goroutine().unpark();
    park();
    let is_taken = waited() - before > TAKEN;
    for _ in 1..2_000 {
        partner.goroutine().unpark();
        park();
    }
    let elsewhere = partner.join().expect("it does not panic") != thread::current().id();
    (!is_taken).then_some(elsewhere)
}

/// The thread that a spawn woke took the CPU of its spawner, and then the
/// partner, for "it had waited".
#[test]
fn a_partner_begins_at_its_spawners_home() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    with_deadline(DEADLINE, "pinned, P = 2", || {
        let mut counts = Vec::new();
        for _ in 0..5 {
            // The first of a runtime are called for at once, later ones seldom.
            let pairs = || (0..5).filter_map(|_| begins_elsewhere()).collect();
            let pairs: Vec<bool> = (0..20)
                .flat_map(|_| -> Vec<bool> { on_two(pairs) })
                .collect();
            // Where many are disturbed some are in ways that are not seen.
            if pairs.len() < 95 {
                continue;
            }
            counts.push(pairs.iter().filter(|&&elsewhere| elsewhere).count());
            if counts.last() == Some(&0) || counts.len() == 3 {
                break;
            }
        }
        // Where that is so in most of them it is no wonder.
        let is_kept = counts.len() < 3 || counts.last() == Some(&0);
        assert!(is_kept, "of 100 pairs {counts:?} had two homes");
    });
}

/// How often other threads than the caller's slept, or were put aside, in so
/// many trips there and back between two homes.
fn sleeps(trips: usize) -> u64 {
    on_two(|| {
        let has_begun = AtomicBool::new(false);
        let me = current();
        raddle::scope(|scope| {
            let partner = scope.spawn(|| {
                // ORDER: Relaxed: a flag, nothing else.
                has_begun.store(true, Relaxed);
                for _ in 0..trips {
                    park();
                    me.unpark();
                }
            });
            // ORDER: as above.
            while !has_begun.load(Relaxed) {
                spin_loop();
            }
            let so_far = || switches().iter().map(|(_thread, count)| count).sum::<u64>();
            let before = so_far();
            for _ in 0..trips {
                partner.goroutine().unpark();
                park();
            }
            so_far() - before
        })
    })
}

/// One of two machines searched for work, so the other went to sleep after
/// each turn, and had to be woken for the next one.
#[test]
fn partners_of_two_homes_hand_over_without_a_sleep() {
    const TRIPS: usize = 10_000;
    let processors = thread::available_parallelism().map_or(1, usize::from);
    if processors < 2 {
        // Each turn is a switch of threads there.
        return;
    }
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    with_deadline(DEADLINE, "pinned, P = 2", || {
        let few = TRIPS as u64 / 25;
        let mut counts = Vec::new();
        // A test machine has other work.
        let is_awake = (0..30).any(|_| {
            counts.push(sleeps(TRIPS));
            counts.last().is_some_and(|&count| count < few)
        });
        counts.sort_unstable();
        if counts[counts.len() / 2] > TRIPS as u64 / 2 {
            // A switch a trip: the two have one CPU, and others the rest.
            return;
        }
        assert!(is_awake, "threads slept {counts:?} times in {TRIPS} trips");
    });
}
