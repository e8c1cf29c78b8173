//! singleflight: done once for all who ask at once, and again later.

mod common;
#[path = "common/places.rs"]
mod places;

use common::{MODES, ON_PURPOSE, is_on_purpose, limit, rounds, runtime, with_deadline};
use common::{child, is_child, stderr};
use places::{Member, at_each_place};
use raddle::chan::bounded;
use raddle::sync::singleflight::Group;
use std::panic::panic_any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

// ORDER: Relaxed everywhere here: counts.

#[test]
fn one_alone_is_not_shared_and_the_key_is_free_again() {
    at_each_place(limit(20), |place| {
        let group = Group::new();
        for n in 0..3 {
            assert_eq!(group.work("key", || n), (n, false), "{}", place.name);
        }
        // What is done here need not be Send, nor live for ever.
        let local = std::rc::Rc::new(5);
        assert_eq!(group.work("key", || *local), (5, false), "{}", place.name);
    });
}

/// The work ends once the others have asked: a `work_chan` joins at once, so
/// it shows that the work is shared whoever comes late.
#[test]
fn all_who_ask_at_once_share_one_run() {
    at_each_place(limit(60), |place| {
        for _ in 0..rounds(5) {
            let group = Group::<String, u64>::new();
            let runs = Arc::new(AtomicU64::new(0));
            let (running, began) = bounded(0);
            let (open, gate) = bounded::<()>(0);
            let first = {
                let (group, runs) = (group.clone(), runs.clone());
                place.spawn(move || {
                    group.work("key".into(), || {
                        running.send(()).unwrap();
                        let _closed = gate.recv();
                        runs.fetch_add(1, Relaxed) + 1
                    })
                })
            };
            began.recv().unwrap();
            let channels: Vec<_> = (0..3)
                .map(|_| group.work_chan("key".into(), || unreachable!("it is under way")))
                .collect();
            let others: Vec<_> = (0..4)
                .map(|_| {
                    let (group, runs) = (group.clone(), runs.clone());
                    place.spawn(move || group.work("key".into(), || runs.fetch_add(1, Relaxed) + 1))
                })
                .collect();
            assert_eq!(group.work("other".into(), || 0), (0, false));
            drop(open);
            assert_eq!(first.end(), (1, true), "{}", place.name);
            for channel in channels {
                assert_eq!(channel.recv(), Ok((1, true)), "{}", place.name);
                assert!(channel.recv().is_err(), "{}", place.name);
            }
            for (value, shared) in others.into_iter().map(Member::end) {
                assert!(value >= 1 && (value > 1 || shared), "{}", place.name);
            }
        }
    });
}

#[test]
fn a_work_chan_works_in_a_goroutine_of_its_own() {
    at_each_place(limit(20), |place| {
        let group = Group::new();
        let result = group.work_chan(1, || String::from("weft"));
        assert_eq!(result.recv(), Ok(("weft".into(), false)), "{}", place.name);
        drop(group.work_chan(1, || String::from("nobody looks")));
        let panics = group.work_chan(2, || panic_any(ON_PURPOSE));
        assert!(panics.recv().is_err(), "{}", place.name);
        let result = group.work_chan(2, || String::from("again"));
        assert_eq!(result.recv(), Ok(("again".into(), false)), "{}", place.name);
    });
}

#[test]
fn a_panic_reaches_every_caller() {
    at_each_place(limit(30), |place| {
        let group = Group::<u8, u8>::new();
        let (running, began) = bounded(0);
        let (open, gate) = bounded::<()>(0);
        let first = {
            let group = group.clone();
            place.spawn(move || {
                group.work(1, || {
                    running.send(()).unwrap();
                    let _closed = gate.recv();
                    panic_any(ON_PURPOSE)
                })
            })
        };
        began.recv().unwrap();
        let channel = group.work_chan(1, || unreachable!("it is under way"));
        let others: Vec<_> = (0..4)
            .map(|_| {
                let group = group.clone();
                // Late ones panic by themselves.
                place.spawn(move || group.work(1, || panic_any(ON_PURPOSE)))
            })
            .collect();
        drop(open);
        for member in others.into_iter().chain([first]) {
            let payload = member.join().expect_err("it panicked");
            assert!(is_on_purpose(payload.as_ref()), "{}", place.name);
        }
        assert!(channel.recv().is_err(), "{}", place.name);
        assert_eq!(group.work(1, || 2), (2, false), "{}", place.name);
    });
}

#[test]
fn a_shared_panic_says_whose_it_is() {
    const NAME: &str = "a_shared_panic_says_whose_it_is";
    if is_child() {
        raddle::run(|| {
            let group = Group::<u8, u8>::new();
            let other = group.clone();
            let (running, began) = bounded(0);
            let (open, gate) = bounded::<()>(0);
            let works = raddle::Builder::new().name("the worker".into());
            let works = works.spawn(move || {
                other.work(1, || {
                    running.send(()).unwrap();
                    let _closed = gate.recv();
                    panic!("on purpose")
                })
            });
            began.recv().unwrap();
            let shares = group.work_chan(1, || unreachable!("it is under way"));
            drop(open);
            let payload = works.unwrap().join().unwrap_err();
            eprintln!("{:?}", payload.downcast_ref::<&str>());
            assert!(shares.recv().is_err());
        });
        return;
    }
    with_deadline(limit(20), NAME, || {
        let text = stderr(&child(NAME, &[]));
        let is_of_worker = |line: &&str| line.contains(" \"the worker\", spawned at tests/");
        let line = text.lines().find(is_of_worker).expect(&text);
        let goes_on = " panicked, and those who share its work go on with it";
        assert!(line.ends_with(goes_on), "{text}");
        assert!(text.contains("Some(\"on purpose\")"), "{text}");
    });
}

#[test]
fn a_forgotten_key_is_begun_anew() {
    at_each_place(limit(20), |place| {
        let group = Group::<u8, u8>::new();
        let (running, began) = bounded(0);
        let (open, gate) = bounded::<()>(0);
        let first = group.work_chan(1, move || {
            running.send(()).unwrap();
            let _closed = gate.recv();
            1
        });
        began.recv().unwrap();
        group.forget(&1);
        group.forget(&2);
        let (open2, gate2) = bounded::<()>(0);
        let second = group.work_chan(1, move || {
            let _closed = gate2.recv();
            2
        });
        drop(open);
        assert_eq!(first.recv(), Ok((1, false)), "{}", place.name);
        // The end of the first leaves the second's key alone.
        let third = group.work_chan(1, || 3);
        drop(open2);
        assert_eq!(second.recv(), Ok((2, true)), "{}", place.name);
        assert_eq!(third.recv(), Ok((2, true)), "{}", place.name);
    });
}

/// Who works is ended, by goexit or with its runtime: another does it.
#[test]
fn who_waits_for_one_that_is_ended_does_it() {
    for mode in MODES {
        with_deadline(limit(20), &format!("{mode:?}"), || {
            for round in 0..rounds(10) {
                let runtime = runtime(mode, 2);
                let group = Group::<u8, u64>::new();
                let (running, began) = bounded(0);
                let (open, gate) = bounded::<()>(0);
                let other = group.clone();
                let first = runtime.spawn(move || {
                    other.work(1, || {
                        running.send(()).unwrap();
                        let _closed = gate.recv();
                        raddle::goexit()
                    })
                });
                began.recv().unwrap();
                let other = group.clone();
                let thread = std::thread::spawn(move || other.work(1, || 7));
                if round % 2 == 0 {
                    drop(open);
                }
                drop(runtime);
                assert!(first.join().is_err());
                assert_eq!(thread.join().unwrap().0, 7);
            }
        });
    }
}
