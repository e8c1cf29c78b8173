//! errgroup: the first error, limits, panics of members.

mod common;
#[path = "common/places.rs"]
mod places;

use common::{MODES, ON_PURPOSE, is_on_purpose, limit, rounds, runtime, with_deadline};
use common::{child, is_child, stderr};
use places::{Member, at_each_place};
use raddle::sync::errgroup::Group;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

// ORDER: Relaxed everywhere here: what `wait` orders is tested.

#[test]
fn wait_gives_the_first_error_when_all_have_ended() {
    at_each_place(limit(30), |place| {
        let group = Group::<String>::new();
        assert_eq!(group.wait(), Ok(()), "{}", place.name);
        let count = Arc::new(AtomicUsize::new(0));
        let (open, gate) = raddle::chan::bounded::<()>(0);
        for n in 0..10 {
            let (count, gate) = (count.clone(), gate.clone());
            group.go(move || {
                let _closed = gate.recv();
                count.fetch_add(1, Relaxed);
                if n == 4 { Err("four".into()) } else { Ok(()) }
            });
        }
        let other = group.clone();
        let opens = place.spawn(move || drop((other, open)));
        assert_eq!(group.wait(), Err("four".into()), "{}", place.name);
        assert_eq!(count.load(Relaxed), 10, "{}", place.name);
        assert_eq!(group.wait(), Ok(()), "{}", place.name);
        opens.end();
    });
}

#[test]
fn errors_need_no_clone_and_the_first_wins() {
    at_each_place(limit(30), |place| {
        #[derive(Debug, PartialEq)]
        struct Plain(u32);
        let group = Group::new();
        group.set_limit(1);
        for n in 0..5 {
            group.go(move || Err(Plain(n)));
        }
        assert_eq!(group.wait(), Err(Plain(0)), "{}", place.name);
    });
}

#[test]
fn no_more_run_at_once_than_may() {
    at_each_place(limit(30), |place| {
        let group = Group::<()>::default();
        group.set_limit(3);
        let inside = Arc::new(AtomicUsize::new(0));
        let body = |inside: &Arc<AtomicUsize>| {
            let inside = inside.clone();
            move || {
                assert!(inside.fetch_add(1, Relaxed) < 3);
                raddle::yield_now();
                inside.fetch_sub(1, Relaxed);
                Ok(())
            }
        };
        let members: Vec<_> = (0..3)
            .map(|_| {
                let (group, inside) = (group.clone(), inside.clone());
                place.spawn(move || {
                    for _ in 0..rounds(20) {
                        group.go(body(&inside));
                        let _either = group.try_go(body(&inside));
                    }
                })
            })
            .collect();
        members.into_iter().for_each(Member::end);
        assert_eq!(group.wait(), Ok(()), "{}", place.name);
    });
}

#[test]
fn try_go_refuses_at_the_limit() {
    at_each_place(limit(30), |place| {
        let what = &place.name;
        let group = Group::<()>::new();
        group.set_limit(0);
        assert!(!group.try_go(|| Ok(())), "{what}");
        group.set_limit(1);
        let (open, gate) = raddle::chan::bounded::<()>(0);
        let began = group.try_go(move || {
            let _closed = gate.recv();
            Ok(())
        });
        assert!(began, "{what}");
        assert!(!group.try_go(|| Ok(())), "{what}");
        let set = catch_unwind(AssertUnwindSafe(|| group.set_limit(5)));
        assert!(set.is_err(), "{what}");
        drop(open);
        assert_eq!(group.wait(), Ok(()), "{what}");
        // Who has waited finds the limit free, and may set it.
        assert!(group.try_go(|| Err(())), "{what}");
        assert_eq!(group.wait(), Err(()), "{what}");
        group.set_limit(5);
    });
}

#[test]
fn a_members_panic_comes_out_of_wait() {
    at_each_place(limit(30), |place| {
        let group = Group::<()>::new();
        group.go(|| Err(()));
        group.go(|| panic_any(ON_PURPOSE));
        group.go(|| panic_any(ON_PURPOSE));
        let waits = catch_unwind(AssertUnwindSafe(|| group.wait()));
        let payload = waits.expect_err("a member panicked");
        assert!(is_on_purpose(payload.as_ref()), "{}", place.name);
        // The error is still there, and the group is of use.
        assert_eq!(group.wait(), Err(()), "{}", place.name);
        group.go(|| raddle::goexit());
        assert_eq!(group.wait(), Ok(()), "{}", place.name);
    });
}

/// Before `wait` goes on with it, and also for one that is not gone on with.
#[test]
fn a_members_panic_says_whose_it_is() {
    const NAME: &str = "a_members_panic_says_whose_it_is";
    if is_child() {
        raddle::run(|| {
            let group = Group::<()>::new();
            group.set_limit(1);
            group.go(|| panic!("first"));
            group.go(|| panic!("second"));
            let waits = catch_unwind(AssertUnwindSafe(|| group.wait()));
            eprintln!("wait: {:?}", waits.unwrap_err().downcast_ref::<&str>());
        });
        return;
    }
    with_deadline(limit(20), NAME, || {
        let text = stderr(&child(NAME, &[]));
        let lines: Vec<_> = text
            .lines()
            .filter(|line| line.starts_with("goroutine ") || line.starts_with("wait"))
            .collect();
        let [first, second, waits] = lines[..] else {
            panic!("{text}");
        };
        for line in [first, second] {
            assert!(
                line.contains(", spawned at tests/sync_errgroup.rs:"),
                "{text}"
            );
        }
        let goes_on = " panicked, and `wait` of its errgroup goes on with it";
        assert!(first.ends_with(goes_on), "{text}");
        assert!(
            second.contains(" panicked, and its errgroup has another's"),
            "{text}"
        );
        assert_eq!(waits, "wait: Some(\"first\")", "{text}");
    });
}

#[test]
fn shutdown_ends_a_group_that_waits_for_its_turn() {
    for mode in MODES {
        with_deadline(limit(20), &format!("{mode:?}"), || {
            for _ in 0..rounds(10) {
                let runtime = runtime(mode, 2);
                let group = Group::<()>::new();
                group.set_limit(1);
                let (running, began) = raddle::chan::bounded(0);
                let other = group.clone();
                drop(runtime.spawn(move || {
                    for _ in 0..2 {
                        let running = running.clone();
                        other.go(move || {
                            let _nobody_waits = running.send(());
                            raddle::time::sleep(std::time::Duration::from_secs(1000));
                            Ok(())
                        });
                    }
                }));
                began.recv().unwrap();
                drop(runtime);
                assert_eq!(group.wait(), Ok(()));
                group.set_limit(2);
            }
        });
    }
}
