//! Signals, in child processes: a process has but one of each.

mod common;

use common::{MODES, child, is_child, limit, runtime, stderr, stdout, with_deadline};
use raddle::chan::RecvTimeoutError;
use raddle::select;
use raddle::signal::{SIGINT, SIGTERM, SIGUSR1, SIGUSR2, notify};
use std::os::unix::process::ExitStatusExt;
use std::panic::catch_unwind;
use std::process::Output;
use std::time::Duration;

fn send(signal: i32) {
    let me = rustix::process::getpid();
    let signal = rustix::process::Signal::from_named_raw(signal).unwrap();
    rustix::process::kill_process(me, signal).unwrap();
}

fn run_in_child(name: &str) -> Option<Output> {
    if is_child() {
        return None;
    }
    Some(child(name, &[]))
}

fn succeeds(output: &Output) {
    assert!(
        output.status.success(),
        "{}{}",
        stderr(output),
        stdout(output)
    );
}

#[test]
fn signals_come_to_all_who_asked() {
    if let Some(output) = run_in_child("signals_come_to_all_who_asked") {
        return succeeds(&output);
    }
    for mode in MODES {
        for procs in [1, 2] {
            with_deadline(limit(20), &format!("{mode:?}, P = {procs}"), || {
                let runtime = runtime(mode, procs);
                let one = notify(&[SIGUSR1]);
                let both = notify(&[SIGUSR1, SIGUSR2]);
                let waits = runtime.spawn({
                    let one = one.clone();
                    move || one.recv()
                });
                send(SIGUSR1);
                assert_eq!(waits.join().unwrap(), Ok(SIGUSR1));
                assert_eq!(both.recv(), Ok(SIGUSR1));
                send(SIGUSR2);
                let chosen = runtime.run(move || {
                    select! {
                        recv(one) -> signal => (1, signal),
                        recv(both) -> signal => (2, signal),
                    }
                });
                assert_eq!(chosen, (2, Ok(SIGUSR2)));
            });
        }
    }
    // And to a plain thread.
    let receiver = notify(&[SIGUSR1]);
    let nothing = receiver.recv_timeout(Duration::from_millis(20));
    assert_eq!(nothing, Err(RecvTimeoutError::Timeout));
    send(SIGUSR1);
    assert_eq!(receiver.recv(), Ok(SIGUSR1));
}

/// More than there is room for are lost, and nobody waits for room.
#[test]
fn a_receiver_that_sleeps_holds_up_nobody() {
    if let Some(output) = run_in_child("a_receiver_that_sleeps_holds_up_nobody") {
        return succeeds(&output);
    }
    with_deadline(limit(20), "", || {
        let sleeps = notify(&[SIGUSR1]);
        let wakes = notify(&[SIGUSR1]);
        for _ in 0..200 {
            send(SIGUSR1);
            assert_eq!(wakes.recv(), Ok(SIGUSR1));
        }
        assert!(sleeps.len() <= 64 && sleeps.len() > 1);
    });
}

#[test]
fn a_signal_that_nobody_wants_any_more_does_what_it_did() {
    if let Some(output) = run_in_child("a_signal_that_nobody_wants_any_more_does_what_it_did") {
        assert_eq!(output.status.signal(), Some(SIGTERM), "{}", stderr(&output));
        return;
    }
    with_deadline(limit(20), "", || {
        let receiver = notify(&[SIGTERM]);
        send(SIGTERM);
        assert_eq!(receiver.recv(), Ok(SIGTERM));
        drop(receiver);
        send(SIGTERM);
        std::thread::sleep(Duration::from_secs(30));
    });
}

#[test]
fn what_cannot_be_caught_is_the_callers_mistake() {
    if let Some(output) = run_in_child("what_cannot_be_caught_is_the_callers_mistake") {
        return succeeds(&output);
    }
    const SIGKILL: i32 = 9;
    for bad in [SIGKILL, 11, 0, 1000] {
        assert!(catch_unwind(|| drop(notify(&[bad]))).is_err(), "{bad}");
    }
    // All is well afterwards.
    let receiver = notify(&[SIGINT]);
    send(SIGINT);
    assert_eq!(receiver.recv(), Ok(SIGINT));
    let none = notify(&[]);
    let nothing = none.recv_timeout(Duration::from_millis(10));
    assert_eq!(nothing, Err(RecvTimeoutError::Timeout));
}
