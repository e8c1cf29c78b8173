//! `goroutine_local!`: a value for each goroutine, made at first use and
//! dropped at its end.

mod common;

use common::{MODES, Mode, ON_PURPOSE, on_runtimes};
use common::{limit, on_each_runtime, rounds, with_deadline};
use raddle::sync::WaitGroup;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use std::thread;

// ORDER: SeqCst for counts read after a join, which alone is to order them;
// Relaxed for numbers to tell values apart.

raddle::goroutine_local! {
    static NUMBER: Cell<u64> = Cell::new(7);
    /// With a comment, and `const`.
    pub static LIST: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
    static TEXT: String = String::from("first");
}

raddle::goroutine_local!(static LAST: Cell<bool> = const { Cell::new(false) });

raddle::goroutine_local! {}

/// Counts its drops.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn every_goroutine_has_a_value_of_its_own() {
    on_each_runtime(limit(20), |runtime, what| {
        for _ in 0..rounds(2) {
            let members: Vec<_> = (0..200_u64)
                .map(|n| {
                    runtime.spawn(move || {
                        let first = NUMBER.get();
                        NUMBER.set(n);
                        raddle::yield_now();
                        LIST.with_borrow_mut(|list| list.push(n));
                        raddle::time::sleep(std::time::Duration::from_micros(n));
                        LIST.with_borrow_mut(|list| list.push(NUMBER.get()));
                        (first, NUMBER.get(), LIST.take())
                    })
                })
                .collect();
            for (n, member) in (0..).zip(members) {
                assert_eq!(member.join().unwrap(), (7, n, vec![n, n]), "{what}");
            }
        }
    });
}

#[test]
fn cells_have_the_short_forms_of_std() {
    on_each_runtime(limit(20), |runtime, _| {
        let body = || {
            assert_eq!(NUMBER.replace(8), 7);
            assert_eq!(NUMBER.take(), 8);
            assert_eq!(NUMBER.get(), 0);
            NUMBER.set(9);
            assert_eq!(NUMBER.with(Cell::get), 9);
            assert_eq!(NUMBER.try_with(Cell::get), Ok(9));
            assert!(LIST.with_borrow(Vec::is_empty));
            LIST.set(vec![1]);
            LIST.with_borrow_mut(|list| list.push(2));
            assert_eq!(LIST.replace(vec![3]), [1, 2]);
            assert_eq!(LIST.take(), [3]);
            assert!(LIST.with_borrow(Vec::is_empty));
            assert_eq!(TEXT.with(String::len), 5);
            assert!(!LAST.replace(true));
            assert!(LAST.get());
            assert!(format!("{NUMBER:?}").starts_with("LocalKey"));
        };
        runtime.run(body);
        thread::spawn(body).join().unwrap();
    });
}

#[test]
fn values_are_dropped_before_join_returns() {
    raddle::goroutine_local! {
        static KEPT: RefCell<Option<Counted>> = const { RefCell::new(None) };
    }
    on_each_runtime(limit(20), |runtime, what| {
        for round in 0..rounds(20) {
            for way in 0..4 {
                let drops = Arc::new(AtomicUsize::new(0));
                let value = Counted(drops.clone());
                let member = runtime.spawn(move || {
                    KEPT.set(Some(value));
                    match way {
                        0 => {}
                        1 => panic_any(ON_PURPOSE),
                        2 => raddle::goexit(),
                        _ => raddle::on_big_stack(raddle::yield_now),
                    }
                });
                let _outcome = member.join();
                assert_eq!(drops.load(SeqCst), 1, "{what}, {round}, {way}");
            }
        }
    });
}

#[test]
fn values_are_dropped_before_a_wait_of_the_scope_ends() {
    raddle::goroutine_local! {
        static KEPT: RefCell<Option<Counted>> = const { RefCell::new(None) };
    }
    on_each_runtime(limit(20), |runtime, what| {
        let drops = Arc::new(AtomicUsize::new(0));
        let inner = drops.clone();
        runtime.run(move || {
            raddle::scope(|s| {
                for _ in 0..10 {
                    s.go(|| KEPT.set(Some(Counted(inner.clone()))));
                }
            });
            assert_eq!(inner.load(SeqCst), 10, "{what}");
        });
    });
}

#[test]
fn an_initial_value_may_use_others_and_wait() {
    raddle::goroutine_local! {
        static BASE: Cell<u64> = Cell::new({ raddle::yield_now(); 20 });
        static SUM: Cell<u64> = Cell::new({
            raddle::time::sleep(std::time::Duration::from_micros(100));
            BASE.get() + raddle::spawn(|| BASE.get() + 2).join().unwrap()
        });
    }
    on_each_runtime(limit(20), |runtime, what| {
        let sums: u64 = runtime.run(|| {
            let members: Vec<_> = (0..20).map(|_| raddle::spawn(|| SUM.get())).collect();
            members.into_iter().map(|m| m.join().unwrap()).sum()
        });
        assert_eq!(sums, 20 * 42, "{what}");
        assert_eq!(thread::spawn(|| SUM.get()).join().unwrap(), 42, "{what}");
    });
}

/// An initial value that panics leaves none behind, and the next use tries
/// again, as std's does.
#[test]
fn an_initial_value_that_panics_is_tried_again() {
    raddle::goroutine_local! {
        static TRIED: Cell<u32> = const { Cell::new(0) };
        static THIRD: u32 = {
            TRIED.set(TRIED.get() + 1);
            if TRIED.get() < 3 {
                panic_any(ON_PURPOSE);
            }
            TRIED.get()
        };
    }
    on_runtimes(&[1, 2], &MODES, limit(20), |runtime, _| {
        runtime.run(|| {
            for _ in 0..2 {
                assert!(std::panic::catch_unwind(|| THIRD.with(|n| *n)).is_err());
            }
            assert_eq!(THIRD.with(|n| *n), 3);
            assert_eq!(THIRD.with(|n| *n), 3);
        });
    });
}

/// The initial value's expression may use the very key it is for, as long as
/// it ends.
#[test]
fn an_initial_value_may_meet_its_own_key() {
    raddle::goroutine_local! {
        static DEPTH: Cell<u32> = const { Cell::new(0) };
        static OWN: Cell<u32> = Cell::new({
            DEPTH.set(DEPTH.get() + 1);
            if DEPTH.get() < 3 { OWN.get() + 1 } else { 10 }
        });
    }
    on_runtimes(&[1, 2], &MODES, limit(20), |runtime, _| {
        // The innermost was there first.
        assert_eq!(runtime.run(|| OWN.get()), 10);
        assert_eq!(runtime.run(|| (OWN.get(), OWN.get())), (10, 10));
    });
}

/// Destructors may use values that are gone, wait, spawn, and set new ones.
#[test]
fn a_destructor_may_use_others_and_wait() {
    static NOTES: Mutex<Vec<&str>> = Mutex::new(Vec::new());
    struct Waits;
    impl Drop for Waits {
        fn drop(&mut self) {
            raddle::yield_now();
            raddle::time::sleep(std::time::Duration::from_micros(50));
            assert_eq!(raddle::spawn(|| NUMBER.get()).join().unwrap(), 7);
            // Its own goroutine's, made anew if it was there.
            NUMBER.set(NUMBER.get() + 1);
            AGAIN.with(|_| ());
            NOTES.lock().unwrap().push("waited");
        }
    }
    struct Again;
    impl Drop for Again {
        fn drop(&mut self) {
            NOTES.lock().unwrap().push("again");
        }
    }
    raddle::goroutine_local! {
        static WAITS: Waits = Waits;
        static AGAIN: Again = Again;
    }
    on_each_runtime(limit(20), |runtime, what| {
        NOTES.lock().unwrap().clear();
        runtime
            .spawn(|| {
                NUMBER.set(1);
                WAITS.with(|_| ());
            })
            .join()
            .unwrap();
        assert_eq!(*NOTES.lock().unwrap(), ["waited", "again"], "{what}");
    });
}

/// A destructor that makes its own value again each time must not keep the
/// goroutine for ever.
#[test]
fn a_value_whose_destructor_makes_it_again_does_not_hang() {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    struct Phoenix;
    impl Drop for Phoenix {
        fn drop(&mut self) {
            PHOENIX.with(|_| ());
        }
    }
    raddle::goroutine_local! {
        static PHOENIX: Phoenix = {
            MADE.fetch_add(1, Relaxed);
            Phoenix
        };
    }
    on_runtimes(&[1, 2], &MODES, limit(20), |runtime, _| {
        runtime.spawn(|| PHOENIX.with(|_| ())).join().unwrap();
        assert!(MADE.load(Relaxed) >= 1);
    });
}

#[test]
fn values_are_dropped_last_made_first() {
    static ORDER: Mutex<Vec<u32>> = Mutex::new(Vec::new());
    struct Noted(u32);
    impl Drop for Noted {
        fn drop(&mut self) {
            ORDER.lock().unwrap().push(self.0);
        }
    }
    raddle::goroutine_local! {
        static A: Noted = Noted(1);
        static B: Noted = Noted(2);
        static C: Noted = Noted(3);
    }
    on_runtimes(&[1, 2], &MODES, limit(20), |runtime, what| {
        ORDER.lock().unwrap().clear();
        runtime
            .spawn(|| {
                B.with(|_| ());
                A.with(|_| ());
                C.with(|_| ());
                B.with(|_| ());
            })
            .join()
            .unwrap();
        assert_eq!(*ORDER.lock().unwrap(), [3, 1, 2], "{what}");
    });
}

/// What a plain thread has belongs to it, and goes with it.
#[test]
fn a_thread_has_values_of_its_own() {
    raddle::goroutine_local! {
        static KEPT: RefCell<Option<Counted>> = const { RefCell::new(None) };
    }
    with_deadline(limit(20), "", || {
        let drops = Arc::new(AtomicUsize::new(0));
        let value = Counted(drops.clone());
        thread::spawn(move || {
            assert_eq!(NUMBER.replace(1), 7);
            KEPT.set(Some(value));
            assert_eq!(raddle::run(|| NUMBER.get()), 7);
            assert_eq!(raddle::spawn(|| NUMBER.get()).join().unwrap(), 7);
            assert_eq!(NUMBER.get(), 1);
        })
        .join()
        .unwrap();
        assert_eq!(drops.load(SeqCst), 1);
    });
}

/// A helper thread makes the calls of many: what one leaves is gone before the
/// caller goes on, also if it panics.
#[test]
fn values_of_a_blocking_call_are_not_left_to_the_next() {
    raddle::goroutine_local! {
        static KEPT: RefCell<Option<Counted>> = const { RefCell::new(None) };
    }
    on_runtimes(&[1, 2], &[Mode::Pinned], limit(20), |runtime, what| {
        runtime.run(|| {
            NUMBER.set(3);
            for n in 1..10 {
                let drops = Arc::new(AtomicUsize::new(0));
                let value = Counted(drops.clone());
                let call = || {
                    raddle::blocking(|| {
                        assert!(KEPT.replace(Some(value)).is_none());
                        if n % 3 == 0 {
                            panic_any(ON_PURPOSE);
                        }
                        NUMBER.replace(n)
                    })
                };
                let seen = catch_unwind(AssertUnwindSafe(call)).unwrap_or(7);
                assert_eq!(seen, 7, "{what}");
                assert_eq!(drops.load(SeqCst), 1, "{what}");
            }
            assert_eq!(NUMBER.get(), 3, "{what}");
        });
    });
}

#[test]
fn what_a_blocking_call_spawns_is_of_its_callers_runtime() {
    on_each_runtime(limit(20), |runtime, what| {
        runtime.run(|| {
            let procs = raddle::runtime::max_procs();
            let here = raddle::runtime::num_goroutines();
            raddle::blocking(|| {
                assert_eq!(raddle::runtime::max_procs(), procs, "{what}");
                assert_eq!(raddle::runtime::num_goroutines(), here, "{what}");
                let (end, ended) = raddle::chan::bounded::<()>(0);
                let spawned = raddle::spawn(move || ended.recv().is_err());
                assert_eq!(raddle::runtime::num_goroutines(), here + 1, "{what}");
                drop(end);
                assert!(spawned.join().unwrap(), "{what}");
            });
        });
    });
}

/// In destructors of a thread's values std forbids some things; what is gone
/// must say so and not crash.
#[test]
fn a_key_may_be_tried_in_destructors_of_a_thread() {
    static SEEN: Mutex<Vec<bool>> = Mutex::new(Vec::new());
    struct Tries;
    impl Drop for Tries {
        fn drop(&mut self) {
            let seen = NUMBER.try_with(|_| ()).is_ok();
            SEEN.lock().unwrap().push(seen);
        }
    }
    thread_local! {
        static EARLY: Tries = const { Tries };
    }
    raddle::goroutine_local! {
        static INNER: Tries = Tries;
    }
    with_deadline(limit(20), "", || {
        thread::spawn(|| {
            EARLY.with(|_| ());
            NUMBER.set(1);
            INNER.with(|_| ());
        })
        .join()
        .unwrap();
        assert_eq!(SEEN.lock().unwrap().len(), 2);
    });
}

/// A goroutine's values stay with it on a big stack, in scopes, under pins.
#[test]
fn a_big_stack_is_the_same_goroutine() {
    on_each_runtime(limit(20), |runtime, what| {
        runtime.run(|| {
            NUMBER.set(3);
            let seen = raddle::on_big_stack(|| {
                raddle::yield_now();
                NUMBER.replace(4)
            });
            assert_eq!((seen, NUMBER.get()), (3, 4), "{what}");
            let group = WaitGroup::new();
            drop(group.go(|| assert_eq!(NUMBER.get(), 7)));
            group.wait();
            let _pin = raddle::pin();
            let local = raddle::spawn_local(|| NUMBER.get()).join().unwrap();
            assert_eq!(local, 7, "{what}");
        });
    });
}
