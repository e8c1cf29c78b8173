//! What a context ends: requests to a semaphore, the members of a group.

mod common;

use common::{limit, on_each_runtime, rounds};
use raddle::chan;
use raddle::context::{Context, ContextError};
use raddle::sync::errgroup::Group;
use raddle::sync::{Semaphore, WaitGroup};
use std::time::Duration;

#[test]
fn a_request_ends_with_its_context() {
    on_each_runtime(limit(20), |runtime, what| {
        for _ in 0..rounds(50) {
            let semaphore = Semaphore::new(2);
            let held = semaphore.acquire(2);
            let (context, cancel) = Context::background().with_cancel();
            let waits = runtime.spawn({
                let semaphore = semaphore.clone();
                move || semaphore.acquire_ctx(&context, 1).map(drop)
            });
            cancel.cancel();
            assert_eq!(waits.join().unwrap(), Err(ContextError::Canceled), "{what}");
            drop(held);
            drop(semaphore.try_acquire(2).expect("all are back"));
        }
    });
}

#[test]
fn a_request_that_is_granted_leaves_its_context() {
    on_each_runtime(limit(20), |runtime, what| {
        let semaphore = Semaphore::new(1);
        let (context, cancel) = Context::background().with_cancel();
        let count = rounds(50);
        let group = WaitGroup::new();
        for _ in 0..count {
            let (semaphore, context) = (semaphore.clone(), context.clone());
            let member = group.clone();
            group.add(1);
            drop(runtime.spawn(move || {
                drop(semaphore.acquire_ctx(&context, 1).expect("nobody cancels"));
                member.done();
            }));
        }
        group.wait();
        cancel.cancel();
        let late = semaphore.acquire_ctx(&context, 1).map(drop);
        assert_eq!(late, Err(ContextError::Canceled), "{what}");
        drop(semaphore.try_acquire(1).expect("it is free"));
    });
}

#[test]
fn a_permit_is_granted_or_refused_once() {
    on_each_runtime(limit(30), |runtime, what| {
        for _ in 0..rounds(200) {
            let semaphore = Semaphore::new(1);
            let held = semaphore.acquire(1);
            let (context, cancel) = Context::background().with_cancel();
            let waits = runtime.spawn({
                let semaphore = semaphore.clone();
                move || semaphore.acquire_ctx(&context, 1).is_ok()
            });
            let ends = runtime.spawn(move || cancel.cancel());
            drop(held);
            let _either = waits.join().unwrap();
            ends.join().unwrap();
            assert!(semaphore.try_acquire(1).is_some(), "{what}");
        }
    });
}

#[test]
fn the_first_failure_ends_the_others() {
    on_each_runtime(limit(20), |runtime, what| {
        runtime.run(|| {
            let (group, context) = Group::with_context(&Context::background());
            let (_tx, rx) = chan::bounded::<u8>(0);
            for _ in 0..4 {
                let (context, rx) = (context.clone(), rx.clone());
                group.go(move || match rx.recv_ctx(&context) {
                    Ok(_) => Ok(()),
                    Err(_) => Err("ended"),
                });
            }
            group.go(|| Err("first"));
            assert_eq!(group.wait(), Err("first"), "{what}");
            assert_eq!(context.err(), Some(ContextError::Canceled), "{what}");
        });
    });
}

#[test]
fn wait_ends_the_context_of_a_group_that_did_well() {
    on_each_runtime(limit(20), |runtime, what| {
        runtime.run(|| {
            let (parent, _cancel) = Context::background().with_timeout(Duration::from_secs(1000));
            let (group, context) = Group::<()>::with_context(&parent);
            group.go(|| Ok(()));
            assert_eq!(group.wait(), Ok(()), "{what}");
            assert_eq!(context.err(), Some(ContextError::Canceled), "{what}");
            assert_eq!(parent.err(), None, "{what}");
        });
    });
}
