//! All goroutines are asleep: the report, and what the runtimes make of it.
//! Each deadlock is a role of a child process.

mod bare;
mod common;

use common::{MODES, Mode, builder, child, is_child, main_migrating, stderr, stdout, threads};
use raddle::runtime::{OnDeadlock::*, Report};
use raddle::sync::WaitGroup;
use std::future::Future;
use std::os::unix::process::ExitStatusExt;
use std::pin::Pin;
use std::process::{Command, Output};
use std::sync::Mutex;
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

const FIRST: &str = "fatal error: all goroutines are asleep - deadlock!";

const ROLE: &str = "RADDLE_TEST_DEADLOCK";

/// In the child: which role it plays.
fn role() -> Option<String> {
    is_child().then(|| std::env::var(ROLE).unwrap_or_default())
}

fn play(name: &str, role: &str) -> (Output, String) {
    let output = child(name, &[(ROLE, role)]);
    let text = stderr(&output);
    (output, text)
}

/// The child ended as a deadlock does.
#[track_caller]
fn assert_reported(output: &Output, text: &str) {
    assert_eq!(text.lines().next(), Some(FIRST), "{text}");
    assert_eq!(output.status.code(), Some(2), "{text}");
}

/// Never returns, and holds nobody up.
fn for_ever() {
    let group = WaitGroup::new();
    group.add(1);
    group.wait();
}

fn some_goroutines() {
    let parker = raddle::Builder::new().name("the parker".into());
    let parker = parker.spawn(raddle::park).unwrap();
    let joiner = raddle::Builder::new().name("the joiner".into());
    let joiner = joiner.spawn(move || parker.join()).unwrap();
    drop(raddle::spawn(for_ever));
    let _never = joiner.join();
}

#[raddle::main]
fn main_that_deadlocks() {
    some_goroutines();
}

/// On a busy machine they have waited for a second or more.
fn without_times(text: String) -> String {
    (1..10).fold(text, |text, n| text.replace(&format!(", {n} s]"), "]"))
}

fn the_report_names_every_goroutine_its_reason_and_its_spawn_site() {
    const NAME: &str = "the_report_names_every_goroutine_its_reason_and_its_spawn_site";
    match role().as_deref() {
        None => {}
        Some("run") => raddle::run(some_goroutines),
        Some("main") => main_that_deadlocks(),
        Some("main, migrating") => main_migrating(some_goroutines),
        Some(mode) => {
            let mode = MODES.into_iter().find(|m| format!("{m:?}") == mode);
            builder(mode.unwrap(), 2)
                .build()
                .unwrap()
                .run(some_goroutines)
        }
    }
    for role in ["run", "main", "main, migrating", "Pinned", "Migrate"] {
        let (output, text) = play(NAME, role);
        assert_reported(&output, &text);
        let text = without_times(text);
        for line in [
            "main\" [join]",
            "\"the parker\" [park]",
            "\"the joiner\" [join]",
        ] {
            assert!(text.contains(line), "{role}: {line}: {text}");
        }
        assert!(text.contains("[sync.WaitGroup.Wait]"), "{role}: {text}");
        let sites = text.matches("spawned at tests/deadlock.rs:").count();
        assert!(sites >= 3, "{role}: {text}");
        assert_eq!(text.matches("goroutine ").count(), 4, "{role}: {text}");
        // Without their paths where they are inlined.
        for function in ["for_ever\n", "some_goroutines\n"] {
            assert!(text.contains(function), "{role}: {function}: {text}");
        }
    }
}

fn a_deadlock_is_found_soon() {
    const NAME: &str = "a_deadlock_is_found_soon";
    if is_child() {
        raddle::run(|| {
            // It has slept and been woken before.
            raddle::time::sleep(Duration::from_millis(50));
            raddle::blocking(|| thread::sleep(Duration::from_millis(50)));
            println!("asleep from here on");
            raddle::park();
        });
    }
    let begin = std::time::Instant::now();
    let (output, text) = play(NAME, "");
    assert_reported(&output, &text);
    assert!(stdout(&output).contains("asleep from here on"), "{text}");
    assert!(begin.elapsed() < Duration::from_secs(5), "{text}");
}

/// The ring stands in the report of all, if it is looked for.
fn a_lock_cycle_is_shown_when_all_are_asleep() {
    const NAME: &str = "a_lock_cycle_is_shown_when_all_are_asleep";
    fn in_different_order() {
        use raddle::sync::{Barrier, Mutex};
        let both = [Mutex::new(()), Mutex::new(())];
        let barrier = Barrier::new(2);
        raddle::scope(|s| {
            for (first, second) in [(0, 1), (1, 0)] {
                let (both, barrier) = (&both, &barrier);
                s.go(move || {
                    let _one = both[first].lock();
                    barrier.wait();
                    let _other = both[second].lock();
                });
            }
        });
    }
    if is_child() {
        raddle::run(in_different_order);
    }
    for (variable, is_shown) in [("lockcheck=1", true), ("lockcheck=0", false)] {
        let output = child(NAME, &[(ROLE, ""), ("RADDLE_DEBUG", variable)]);
        let text = stderr(&output);
        assert_reported(&output, &text);
        assert_eq!(text.matches("[sync.Mutex.Lock").count(), 2, "{text}");
        let ring = text.starts_with(&format!("{FIRST}\n\nlock cycle of 2:\n"));
        assert_eq!(ring, is_shown, "{variable}: {text}");
        if is_shown {
            for part in ["holds Mutex", "waits to lock Mutex"] {
                assert_eq!(text.matches(part).count(), 2, "{part}: {text}");
            }
        }
    }
}

static REPORTS: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn keep(report: &Report) {
    REPORTS.lock().unwrap().push(report.to_string());
}

fn a_hook_gets_the_report_and_the_program_goes_on() {
    const NAME: &str = "a_hook_gets_the_report_and_the_program_goes_on";
    static SLEEPER: Mutex<Option<raddle::Goroutine>> = Mutex::new(None);
    fn wake(report: &Report) {
        keep(report);
        if let Some(sleeper) = SLEEPER.lock().unwrap().take() {
            sleeper.unpark();
        }
    }
    if !is_child() {
        let (output, text) = play(NAME, "");
        assert!(output.status.success(), "{text}{}", stdout(&output));
        return;
    }
    for mode in MODES {
        let runtime = builder(mode, 2).on_deadlock(Hook(wake)).build().unwrap();
        runtime.run(|| {
            for _ in 0..2 {
                *SLEEPER.lock().unwrap() = Some(raddle::current());
                raddle::park();
            }
        });
        let reports = std::mem::take(&mut *REPORTS.lock().unwrap());
        assert_eq!(reports.len(), 2, "{mode:?}: {reports:?}");
        for report in reports {
            assert_eq!(report.lines().next(), Some(FIRST));
            let report = without_times(report);
            assert!(report.contains("\"main\" [park]"), "{report}");
        }
    }
}

/// Ends this process after a while, from outside: a thread of its own would
/// be awake.
fn end_by_signal_after(seconds: u32) {
    let command = format!("sleep {seconds}; kill -TERM {}", std::process::id());
    let ender = Command::new("sh").args(["-c", &command]).spawn();
    drop(ender.expect("a shell"));
}

#[track_caller]
fn assert_ended_by_signal(output: &Output, text: &str) {
    const TERM: i32 = 15;
    assert_eq!(output.status.signal(), Some(TERM), "{text}");
}

/// A hook that wakes nobody is not called again, whatever threads do.
fn a_hook_is_called_once_a_deadlock() {
    const NAME: &str = "a_hook_is_called_once_a_deadlock";
    fn tell(report: &Report) {
        raddle::eprintln!("told: {}", report.to_string().lines().next().unwrap());
        drop(thread::spawn(|| {
            raddle::park_timeout(Duration::from_millis(100));
            raddle::park();
        }));
    }
    if is_child() {
        end_by_signal_after(2);
        let runtime = builder(Mode::Pinned, 1).on_deadlock(Hook(tell)).build();
        runtime.unwrap().run(raddle::park);
    }
    let (output, text) = play(NAME, "");
    assert_ended_by_signal(&output, &text);
    assert_eq!(text, format!("told: {FIRST}\n"));
}

/// A hook that panics has done nothing about it: the report comes, as if none
/// had been set. One that did its part before is called for each deadlock.
fn a_hook_that_panics_does_not_leave_the_program_hanging() {
    const NAME: &str = "a_hook_that_panics_does_not_leave_the_program_hanging";
    static SLEEPER: Mutex<Option<raddle::Goroutine>> = Mutex::new(None);
    fn fail(_report: &Report) {
        let sleeper = SLEEPER.lock().unwrap().take();
        match sleeper {
            Some(sleeper) => sleeper.unpark(),
            None => panic!("the hook is lost"),
        }
    }
    if let Some(role) = role() {
        let mode = MODES.into_iter().find(|mode| format!("{mode:?}") == role);
        let runtime = builder(mode.unwrap(), 1).on_deadlock(Hook(fail)).build();
        runtime.unwrap().run(|| {
            for _ in 0..2 {
                *SLEEPER.lock().unwrap() = Some(raddle::current());
                raddle::park();
            }
            println!("asleep for good");
            raddle::park();
        });
        return;
    }
    for mode in MODES {
        let (output, text) = play(NAME, &format!("{mode:?}"));
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains("the hook is lost"), "{text}");
        let reports = text.matches(FIRST).count();
        assert_eq!(reports, 1, "{text}");
        assert!(stdout(&output).contains("asleep for good"), "{text}");
    }
}

/// Nor when machines that have been idle for long give their threads up.
fn a_hook_is_not_called_again_when_idle_threads_end() {
    const NAME: &str = "a_hook_is_not_called_again_when_idle_threads_end";
    fn tell(report: &Report) {
        raddle::eprintln!("told: {}", report.to_string().lines().next().unwrap());
    }
    if is_child() {
        end_by_signal_after(15);
        let hooked = builder(Mode::Migrate, 1).on_deadlock(Hook(tell)).build();
        let runtime = hooked.unwrap();
        let nap = || thread::sleep(Duration::from_millis(100));
        let blocked: Vec<_> = (0..8).map(|_| runtime.spawn(nap)).collect();
        blocked.into_iter().for_each(|one| one.join().unwrap());
        assert!(threads() > 4);
        runtime.run(raddle::park);
    }
    let (output, text) = play(NAME, "");
    assert_ended_by_signal(&output, &text);
    assert_eq!(text, format!("told: {FIRST}\n"));
}

fn who_ignores_deadlocks_sleeps_on() {
    const NAME: &str = "who_ignores_deadlocks_sleeps_on";
    if is_child() {
        end_by_signal_after(1);
        let runtime = builder(Mode::Pinned, 2).on_deadlock(Ignore).build();
        runtime.unwrap().run(raddle::park);
    }
    let (output, text) = play(NAME, "");
    assert_ended_by_signal(&output, &text);
    assert_eq!(text, "");
}

/// A time limit is one, however far, for each wait that takes one.
fn who_waits_for_a_time_beyond_all_time_is_not_asleep_for_ever() {
    use raddle::chan::{bounded, select};
    use raddle::sync::{Condvar, Mutex, RwLock};
    const NAME: &str = "who_waits_for_a_time_beyond_all_time_is_not_asleep_for_ever";
    const MAX: Duration = Duration::MAX;
    const WAITS: [(&str, fn()); 9] = [
        ("sleep", || raddle::time::sleep(MAX)),
        ("park", || raddle::park_timeout(MAX)),
        ("recv", || {
            let (_sender, receiver) = bounded::<()>(0);
            let _late = receiver.recv_timeout(MAX);
        }),
        ("send", || {
            let (sender, _receiver) = bounded(0);
            let _late = sender.send_timeout((), MAX);
        }),
        ("select", || {
            let (_sender, receiver) = bounded::<()>(0);
            select! {
                recv(receiver) -> _ => {}
                default(MAX) => {}
            }
        }),
        ("timer", || {
            let _never = raddle::time::Timer::new(MAX).chan().recv();
        }),
        ("condvar", || {
            let lock = Mutex::new(());
            let mut guard = lock.lock();
            let _late = Condvar::new().wait_for(&mut guard, MAX);
        }),
        ("mutex", || {
            let lock = Mutex::new(());
            let _held = lock.lock();
            drop(lock.try_lock_for(MAX));
        }),
        ("rwlock", || {
            let lock = RwLock::new(());
            let _held = lock.read();
            drop(lock.try_write_for(MAX));
        }),
    ];
    if let Some(role) = role() {
        end_by_signal_after(1);
        let (_, wait) = WAITS.into_iter().find(|(name, _)| *name == role).unwrap();
        return raddle::run(wait);
    }
    thread::scope(|s| {
        for (name, _) in WAITS {
            s.spawn(move || {
                let (output, text) = play(NAME, name);
                assert_ended_by_signal(&output, &text);
                assert_eq!(text, "", "{name}");
            });
        }
    });
}

/// Each waits for the other's, or one of them ignores it: all are shown, and
/// the status is of the one that has some to say.
fn goroutines_of_two_runtimes_are_asleep() {
    const NAME: &str = "goroutines_of_two_runtimes_are_asleep";
    if let Some(role) = role() {
        let other = match &*role {
            "ignored" => Ignore,
            status => Exit(status.parse().unwrap()),
        };
        let first = builder(Mode::Pinned, 2)
            .on_deadlock(Exit(2))
            .build()
            .unwrap();
        let second = builder(Mode::Migrate, 1)
            .on_deadlock(other)
            .build()
            .unwrap();
        let group = WaitGroup::new();
        group.add(2);
        let (group2, group3) = (group.clone(), group);
        // One is done, after a while; the other never.
        let done = second.spawn(move || {
            raddle::time::sleep(Duration::from_millis(30));
            group2.done();
            raddle::park();
        });
        let waits = first.spawn(move || group3.wait());
        let _never = (done.join(), waits.join());
    }
    for role in ["ignored", "2", "5"] {
        let (output, text) = play(NAME, role);
        assert_eq!(text.lines().next(), Some(FIRST), "{text}");
        assert_eq!(output.status.code(), Some(2), "{role}: {text}");
        let text = without_times(text);
        assert!(text.contains("[park]"), "{text}");
        assert!(text.contains("[sync.WaitGroup.Wait]"), "{text}");
        assert!(text.contains("[join]"), "the thread: {text}");
    }
}

/// A runtime without goroutines has no say.
fn a_runtime_without_goroutines_does_not_decide() {
    const NAME: &str = "a_runtime_without_goroutines_does_not_decide";
    if is_child() {
        let first = builder(Mode::Pinned, 2)
            .on_deadlock(Exit(9))
            .build()
            .unwrap();
        first.run(|| ());
        let second = builder(Mode::Migrate, 1).on_deadlock(Exit(4)).build();
        second.unwrap().run(raddle::park);
    }
    let (output, text) = play(NAME, "");
    assert_eq!(text.lines().next(), Some(FIRST), "{text}");
    assert_eq!(output.status.code(), Some(4), "{text}");
}

mod goexit {
    #[raddle::main]
    pub fn main() {
        drop(raddle::spawn(|| {
            raddle::time::sleep(std::time::Duration::from_millis(20));
            println!("went on");
            if std::env::var(super::ROLE).as_deref() == Ok("one sleeps") {
                raddle::park();
            }
        }));
        raddle::goexit();
    }
}

fn goexit_in_main_ends_in_a_deadlock() {
    const NAME: &str = "goexit_in_main_ends_in_a_deadlock";
    if is_child() {
        goexit::main();
    }
    for role in ["all end", "one sleeps"] {
        let (output, text) = play(NAME, role);
        assert_reported(&output, &text);
        assert_eq!(text.lines().nth(1), Some("main called goexit"), "{text}");
        assert!(stdout(&output).contains("went on"), "{role}");
        let text = without_times(text);
        assert_eq!(text.contains("[park]"), role == "one sleeps", "{text}");
    }
}

/// Threads of the program's that wait in raddle are part of it, and so is one
/// that ends without having touched raddle at all.
fn threads_parked_in_raddle_are_asleep_with_the_goroutines() {
    const NAME: &str = "threads_parked_in_raddle_are_asleep_with_the_goroutines";
    if let Some(role) = role() {
        let named = |name: &str, body: fn()| {
            let thread = thread::Builder::new().name(name.into());
            drop(thread.spawn(body).unwrap());
        };
        match &*role {
            "before" => named("another", raddle::park),
            "after" => named("another", || {
                thread::sleep(Duration::from_millis(200));
                for_ever();
            }),
            "ends" => named("another", || thread::sleep(Duration::from_millis(200))),
            "leaves" => named("another", || {
                raddle::park_timeout(Duration::from_millis(200));
                thread::sleep(Duration::from_millis(50));
            }),
            "helper" => drop(raddle::spawn(|| {
                raddle::blocking(|| {
                    thread::sleep(Duration::from_millis(100));
                    for_ever();
                });
            })),
            _ => unreachable!(),
        }
        raddle::run(for_ever);
    }
    for role in ["before", "after", "ends", "leaves", "helper"] {
        let (output, text) = play(NAME, role);
        assert_reported(&output, &text);
        let stays = matches!(role, "before" | "after");
        assert_eq!(
            text.contains("thread \"another\" ["),
            stays,
            "{role}: {text}"
        );
    }
}

/// A machine that lost its processor in a system call comes back to a process
/// that sleeps: the last machine to go idle has no processor to give up.
fn the_last_to_sleep_is_a_machine_without_a_processor() {
    const NAME: &str = "the_last_to_sleep_is_a_machine_without_a_processor";
    if is_child() {
        let runtime = builder(Mode::Migrate, 1).build().unwrap();
        runtime.run(|| {
            let stuck = raddle::spawn(|| {
                thread::sleep(Duration::from_millis(300));
                raddle::park();
            });
            for _ in 0..20 {
                raddle::time::sleep(Duration::from_millis(2));
                raddle::spawn(|| ()).join().unwrap();
            }
            let _never = stuck.join();
        });
    }
    let (output, text) = play(NAME, "");
    assert_reported(&output, &text);
}

/// Its waker is gone. The thread that wakes futures at their times is asleep.
fn a_future_that_nobody_wakes_is_a_deadlock() {
    const NAME: &str = "a_future_that_nobody_wakes_is_a_deadlock";
    if role().is_some() {
        raddle::run(|| {
            let after = raddle::chan::after(Duration::from_millis(1));
            raddle::block_on(after.recv_async()).unwrap();
            raddle::block_on(std::future::pending::<()>());
        });
    }
    let (output, text) = play(NAME, "run");
    assert_reported(&output, &text);
    let text = without_times(text);
    assert!(text.contains("[park]"), "{text}");
}

/// A time that is not awaited any more keeps nobody awake.
fn a_deadlock_beside_a_time_that_was_given_up() {
    const NAME: &str = "a_deadlock_beside_a_time_that_was_given_up";
    if role().is_some() {
        raddle::run(|| {
            let after = raddle::chan::after(Duration::from_secs(1000));
            let mut receive = after.recv_async();
            let mut context = Context::from_waker(Waker::noop());
            assert!(Pin::new(&mut receive).poll(&mut context).is_pending());
            // Meanwhile the thread of such times has gone to sleep.
            let other = raddle::chan::after(Duration::from_millis(20));
            raddle::block_on(other.recv_async()).unwrap();
            raddle::time::sleep(Duration::from_millis(20));
            drop(receive);
            raddle::park();
        });
    }
    let (output, text) = play(NAME, "run");
    assert_reported(&output, &text);
}

bare::tests![
    the_report_names_every_goroutine_its_reason_and_its_spawn_site,
    a_deadlock_is_found_soon,
    a_lock_cycle_is_shown_when_all_are_asleep,
    a_hook_gets_the_report_and_the_program_goes_on,
    a_hook_is_called_once_a_deadlock,
    a_hook_that_panics_does_not_leave_the_program_hanging,
    a_hook_is_not_called_again_when_idle_threads_end,
    who_ignores_deadlocks_sleeps_on,
    who_waits_for_a_time_beyond_all_time_is_not_asleep_for_ever,
    goroutines_of_two_runtimes_are_asleep,
    a_runtime_without_goroutines_does_not_decide,
    goexit_in_main_ends_in_a_deadlock,
    threads_parked_in_raddle_are_asleep_with_the_goroutines,
    the_last_to_sleep_is_a_machine_without_a_processor,
    a_future_that_nobody_wakes_is_a_deadlock,
    a_deadlock_beside_a_time_that_was_given_up,
];
