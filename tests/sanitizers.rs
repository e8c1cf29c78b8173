//! The sanitizers see what goroutines do: what they find in other tests would
//! mean nothing otherwise. For `.ci/sanitizers`; without one nothing is here.

#![cfg(any(raddle_asan, raddle_tsan))]
#![allow(unsafe_code, reason = "a fault is what it takes")]

mod common;

use common::{MODES, child, is_child, limit, runtime, stderr, with_deadline};

/// The child's test of this name fails by what the sanitizer says.
fn is_seen(name: &str, what: &str) {
    let output = child(name, &[]);
    let said = stderr(&output);
    assert!(!output.status.success(), "{said}");
    assert!(said.contains(what), "{said}");
}

#[cfg(raddle_tsan)]
#[test]
fn a_race_of_a_goroutine_and_a_thread_is_seen() {
    use std::cell::UnsafeCell;
    use std::thread;

    struct Shared(UnsafeCell<u32>);

    // SAFETY: none: this is the fault to be seen.
    unsafe impl Sync for Shared {}

    static SHARED: Shared = Shared(UnsafeCell::new(0));

    fn write() {
        // SAFETY: none, as above.
        unsafe { *SHARED.0.get() += 1 };
    }

    if !is_child() {
        return is_seen("a_race_of_a_goroutine_and_a_thread_is_seen", "data race");
    }
    for mode in MODES {
        with_deadline(limit(20), "a race", move || {
            let runtime = runtime(mode, 2);
            let goroutine = runtime.spawn(|| {
                raddle::yield_now();
                write();
            });
            let thread = thread::spawn(write);
            goroutine.join().unwrap();
            thread.join().unwrap();
        });
    }
}

#[cfg(raddle_asan)]
#[test]
fn a_use_after_free_on_another_goroutine_is_seen() {
    use std::hint::black_box;

    if !is_child() {
        return is_seen(
            "a_use_after_free_on_another_goroutine_is_seen",
            "heap-use-after-free",
        );
    }
    for mode in MODES {
        with_deadline(limit(20), "a use after free", move || {
            let (give, given) = raddle::chan::bounded(0);
            let runtime = runtime(mode, 2);
            let owner = runtime.spawn(move || {
                let owned = Box::new(7_u64);
                give.send(&raw const *owned as usize).unwrap();
            });
            let address = given.recv().unwrap();
            owner.join().unwrap();
            // SAFETY: none: this is the fault to be seen.
            black_box(unsafe { (address as *const u64).read_volatile() });
        });
    }
}

/// Nor is what is right called wrong: memory, stacks and thread-locals change
/// hands at each switch, panic and wait.
#[test]
fn goroutines_that_hand_over_are_no_fault() {
    for mode in MODES {
        with_deadline(limit(50), "handing over", move || {
            let runtime = runtime(mode, 2);
            for _ in 0..20 {
                let (give, given) = raddle::chan::bounded::<Vec<u8>>(0);
                let (back, returned) = raddle::chan::bounded(1);
                let other = runtime.spawn(move || {
                    for mut bytes in &given {
                        bytes.push(1);
                        back.send(bytes).unwrap();
                    }
                    std::panic::panic_any("the end of a stack");
                });
                let mut bytes = Vec::new();
                for _ in 0..50 {
                    give.send(bytes).unwrap();
                    raddle::yield_now();
                    bytes = returned.recv().unwrap();
                }
                drop(give);
                assert_eq!(bytes.len(), 50);
                assert!(other.join().is_err());
            }
        });
    }
}
