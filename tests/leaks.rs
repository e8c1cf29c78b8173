//! Goroutines that outlive what started them: how `#[raddle::test]` and
//! `verify_no_leaks` tell, and how a test that hangs is shown.

mod common;

use common::{OnDrop, child, is_child, limit, on_each_runtime, stderr, stdout};
use raddle::chan::{Never, Receiver, Sender, bounded};
use raddle::observe::verify_no_leaks;
use raddle::{Builder, go};
use std::panic::catch_unwind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

// ORDER: Relaxed everywhere here: counts and flags of one goroutine after
// another.

/// Waits until the other end is dropped.
fn wait_at(open: Receiver<Never>) {
    let _closed = open.recv();
}

fn leave_behind(name: &str, open: Receiver<Never>) {
    let named = Builder::new().name(name.into());
    drop(named.spawn(move || wait_at(open)).expect("a goroutine"));
}

/// Runs the ignored test `name` in a child process, where it must fail.
fn fails(name: &str) -> String {
    let output = child(name, &[]);
    let (out, err) = (stdout(&output), stderr(&output));
    assert_eq!(output.status.code(), Some(101), "{out}\n{err}");
    assert!(out.contains("0 passed; 1 failed"), "{out}\n{err}");
    err
}

#[raddle::test(procs = [2], deadline = "30s")]
#[ignore = "for a child process: it fails"]
fn a_child_leaves_goroutines_behind() {
    if is_child() {
        let (open, inbox) = bounded(0);
        leave_behind("left at the channel", inbox);
        Builder::new()
            .name("left asleep".into())
            .spawn(|| raddle::time::sleep(Duration::from_secs(1000)))
            .unwrap();
        std::mem::forget::<Sender<Never>>(open);
    }
}

#[test]
fn goroutines_left_behind_fail_a_test_and_are_named() {
    let err = fails("a_child_leaves_goroutines_behind");
    for part in [
        "leaks::a_child_leaves_goroutines_behind left goroutines behind (at 2 processors, pinned)",
        "2 goroutines are alive that should have ended:",
        "\"left at the channel\" [chan receive",
        "\"left asleep\" [sleep",
        "spawned at tests/leaks.rs:",
        "wait_at",
        "leaks = true",
    ] {
        assert!(err.contains(part), "{part}: {err}");
    }
    assert_eq!(err.matches("spawned at").count(), 2, "{err}");
}

#[raddle::test(procs = [1], unsafe(migrate))]
#[ignore = "for a child process: it fails"]
#[allow(unsafe_code, reason = "migrate mode has to be asked for so")]
fn a_child_leaves_one_behind_in_migrate_mode() {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    if is_child() && RUNS.fetch_add(1, Relaxed) == 1 {
        go!(raddle::park());
    }
}

#[test]
fn the_run_that_failed_is_named() {
    let err = fails("a_child_leaves_one_behind_in_migrate_mode");
    let part = "behind (at 1 processor, migrate mode): 1 goroutine is alive";
    assert!(err.contains(part), "{err}");

    let err = fails("a_child_panics_at_four_processors");
    let part = "a_child_panics_at_four_processors failed at 4 processors, pinned";
    assert!(err.contains(part), "{err}");
}

#[raddle::test(procs = [1, 4])]
#[ignore = "for a child process: it fails"]
fn a_child_panics_at_four_processors() {
    assert!(!is_child() || raddle::runtime::max_procs() == 1);
}

#[raddle::test(procs = [1, 2])]
#[ignore = "for a child process: it fails"]
fn a_child_fails_in_its_first_run() -> Result<(), String> {
    if is_child() && raddle::runtime::max_procs() == 1 {
        return Err("the word it fails with".into());
    }
    Ok(())
}

#[test]
fn an_error_is_not_lost_when_another_run_follows() {
    let err = fails("a_child_fails_in_its_first_run");
    assert!(err.contains("the word it fails with"), "{err}");
    let part = "a_child_fails_in_its_first_run returned a failure (at 1 processor, pinned)";
    assert!(err.contains(part), "{err}");
}

/// What it fails with belongs to its goroutine alone.
#[raddle::test]
#[ignore = "for a child process: it fails"]
fn a_child_fails_by_what_is_not_send() -> Result<(), Box<dyn std::error::Error>> {
    if is_child() {
        return Err("words in a box".into());
    }
    Ok(())
}

#[test]
fn an_error_that_is_not_send_fails_a_test_and_is_told() {
    let err = fails("a_child_fails_by_what_is_not_send");
    assert!(err.contains("words in a box"), "{err}");
}

#[raddle::test(procs = [1])]
#[ignore = "for a child process: it fails"]
fn a_child_returns_an_error_and_leaves_one_behind() -> Result<(), String> {
    if !is_child() {
        return Ok(());
    }
    go!(raddle::park());
    Err("both are told".into())
}

#[test]
fn an_error_beside_a_leak_is_told_too() {
    let err = fails("a_child_returns_an_error_and_leaves_one_behind");
    assert!(err.contains("both are told"), "{err}");
    assert!(err.contains("1 goroutine is alive"), "{err}");
}

#[raddle::test(procs = [1], deadline = "300ms")]
#[ignore = "for a child process: it hangs"]
fn a_child_hangs() {
    if is_child() {
        let (_open, inbox) = bounded::<Never>(0);
        let waits = Builder::new()
            .name("never told".into())
            .spawn(move || wait_at(inbox))
            .unwrap();
        waits.join().unwrap();
    }
}

#[test]
fn a_test_that_hangs_shows_who_waits_for_what() {
    let err = fails("a_child_hangs");
    for part in [
        "leaks::a_child_hangs hangs after 300 ms (at 1 processor, pinned); 2 goroutines are alive",
        "\"main\" [join",
        "\"never told\" [chan receive",
        "spawned at tests/leaks.rs:",
        "did not end within 300 ms",
    ] {
        assert!(err.contains(part), "{part}: {err}");
    }
}

/// Left goroutines are allowed; they have ended, and run their destructors,
/// before the next run begins.
#[raddle::test(procs = [1, 2, 1], leaks = true)]
fn a_test_may_leave_goroutines_behind_if_it_says_so() {
    static LEFT: AtomicUsize = AtomicUsize::new(0);
    assert_eq!(LEFT.fetch_add(1, Relaxed), 0, "of the run before");
    let (tell, told) = bounded::<()>(0);
    go!(move || {
        let _end = OnDrop(|| assert_eq!(LEFT.fetch_sub(1, Relaxed), 1));
        tell.send(()).unwrap();
        raddle::park();
    });
    told.recv().unwrap();
}

#[raddle::test(procs = [1, 4], leaks = false)]
fn who_is_about_to_end_when_the_body_does_is_no_leak() {
    let (open, inbox) = bounded(0);
    for n in 0..10 {
        leave_behind(&format!("told to end {n}"), inbox.clone());
    }
    drop::<Sender<Never>>(open);
}

/// A timer that has not fired is nobody's goroutine.
#[raddle::test(procs = [1])]
fn a_timer_is_no_leak() {
    let timer = raddle::time::after_func(Duration::from_secs(1000), || ());
    std::mem::forget(timer);
}

/// At each number of processors, and in both modes, pinned first.
#[raddle::test(procs = [1, 4], unsafe(migrate))]
#[allow(unsafe_code, reason = "migrate mode has to be asked for so")]
fn a_body_runs_in_both_modes() {
    static RUNS: Mutex<Vec<(usize, bool)>> = Mutex::new(Vec::new());
    let migrates = catch_unwind(|| raddle::spawn_local(|| ()).join()).is_err();
    let mut runs = RUNS.lock().unwrap();
    runs.push((raddle::runtime::max_procs(), migrates));
    let all = [(1, false), (4, false), (1, true), (4, true)];
    assert_eq!(*runs, all[..runs.len()]);
    drop(runs);
}

#[test]
fn the_last_goroutine_has_no_leaks() {
    on_each_runtime(limit(20), |runtime, what| {
        runtime.run(|| {
            verify_no_leaks().unwrap_or_else(|report| panic!("{what}: {report}"));
            let handles: Vec<_> = (0..100).map(|_| go!(raddle::yield_now())).collect();
            // Half of them are only about to end.
            for handle in handles.into_iter().step_by(2) {
                handle.join().unwrap();
            }
            verify_no_leaks().unwrap_or_else(|report| panic!("{what}: {report}"));
        });
    });
}

#[test]
fn others_are_named_and_go_on() {
    on_each_runtime(limit(20), |runtime, what| {
        runtime.run(|| {
            let (ask, asked) = bounded::<u32>(0);
            let (answer, answered) = bounded(0);
            let serves = Builder::new()
                .name("it serves".into())
                .spawn(move || {
                    for n in asked {
                        answer.send(n + 1).unwrap();
                    }
                })
                .unwrap();
            let began = Instant::now();
            let report = verify_no_leaks().expect_err(what);
            assert!(began.elapsed() < Duration::from_secs(10), "{what}");
            assert_eq!(report.dump().len(), 1, "{what}: {report}");
            let text = report.to_string();
            for part in [
                "1 goroutine is alive that should have ended:\n\ngoroutine ",
                "\"it serves\" [chan receive",
                "spawned at tests/leaks.rs:",
            ] {
                assert!(text.contains(part), "{what}: {part}: {text}");
            }
            ask.send(1).unwrap();
            assert_eq!(answered.recv(), Ok(2), "{what}");
            drop(ask);
            serves.join().unwrap();
            verify_no_leaks().unwrap_or_else(|report| panic!("{what}: {report}"));
        });
    });
}

/// Asked from a thread the question is about the whole process; so it is
/// asked in one where nothing else runs.
#[test]
fn a_thread_asks_about_all_runtimes() {
    if !is_child() {
        let output = child("a_thread_asks_about_all_runtimes", &[]);
        assert!(output.status.success(), "{}", stderr(&output));
        return;
    }
    verify_no_leaks().unwrap();
    let runtime = common::runtime(common::Mode::Pinned, 1);
    let (open, inbox) = bounded(0);
    runtime.run(|| leave_behind("of a runtime", inbox.clone()));
    raddle::run(|| leave_behind("of the default runtime", inbox));
    let text = verify_no_leaks().unwrap_err().to_string();
    assert!(text.starts_with("2 goroutines are alive"), "{text}");
    assert!(text.contains("\"of a runtime\" [chan receive"), "{text}");
    assert!(text.contains("\"of the default runtime\" [chan"), "{text}");
    drop::<Sender<Never>>(open);
    verify_no_leaks().unwrap();
}
