//! Goroutines that wait for each other's locks while others go on: found,
//! told, and never suspected without reason.

mod common;

use common::{MODES, Mode, Random, builder, child, is_child, limit, rounds, seed};
use common::{stderr, stdout, with_deadline};
use raddle::__private::rings_found;
use raddle::runtime::{OnDeadlock, Report, Runtime};
use raddle::sync::{
    Barrier, Condvar, Mutex, MutexGuard, ReentrantMutex, RwLock, RwLockUpgradableReadGuard,
    RwLockWriteGuard, WaitGroup,
};
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

const FIRST: &str = "fatal error: goroutines wait for each other - deadlock!";
const ROLE: &str = "RADDLE_TEST_LOCK_CYCLE";
/// In release builds it has to be asked for.
const ON: (&str, &str) = ("RADDLE_DEBUG", "lockcheck=1");

/// Says in which line the lock is taken, or waited for, and does so.
macro_rules! at {
    ($what:literal, $lock:expr) => {{
        println!("{} is line {};", $what, line!());
        $lock
    }};
}

fn start(name: &'static str, f: impl FnOnce() + Send + 'static) {
    let named = raddle::Builder::new().name(name.into());
    drop(named.spawn(f).expect("a goroutine"));
}

/// Something goes on beside those who lock up.
fn go_on() -> ! {
    loop {
        raddle::time::sleep(Duration::from_millis(20));
    }
}

type Pair = Arc<(Mutex<u32>, Mutex<u32>, Barrier)>;

fn takes_a_then_b(pair: &Pair) {
    let _a = at!("a taken", pair.0.lock());
    pair.2.wait();
    let _b = at!("b awaited", pair.1.lock());
}

fn takes_b_then_a(pair: &Pair) {
    let _b = at!("b taken", pair.1.lock());
    pair.2.wait();
    let _a = at!("a awaited", pair.0.lock());
}

fn pair() -> Pair {
    Arc::new((Mutex::new(0), Mutex::new(0), Barrier::new(2)))
}

fn two_in_different_order() {
    let (one, other) = (pair(), Arc::new(()));
    let (left, right) = (one.clone(), one);
    start("left", move || takes_a_then_b(&left));
    start("right", move || takes_b_then_a(&right));
    drop(other);
}

fn locks_twice() {
    start("the only one", || {
        let mutex = Mutex::new(0);
        let _one = at!("a taken", mutex.lock());
        let _two = at!("a awaited", mutex.lock());
    });
}

fn three_in_a_ring() {
    let all = Arc::new((
        [Mutex::new(0), Mutex::new(0), Mutex::new(0)],
        Barrier::new(3),
    ));
    for (n, name) in ["zero", "one", "two"].into_iter().enumerate() {
        let all = all.clone();
        start(name, move || {
            let (locks, barrier) = &*all;
            let _mine = at!("mine taken", locks[n].lock());
            barrier.wait();
            let _next = at!("next awaited", locks[(n + 1) % 3].lock());
        });
    }
}

/// Each reads what the other is to write.
fn two_who_read_and_write() {
    let all = Arc::new((RwLock::new(0), RwLock::new(0), Barrier::new(2)));
    for (name, swap) in [("left", false), ("right", true)] {
        let all = all.clone();
        start(name, move || {
            let (mine, other) = if swap {
                (&all.1, &all.0)
            } else {
                (&all.0, &all.1)
            };
            let _read = at!("read", mine.read());
            all.2.wait();
            let _write = at!("to write", other.write());
        });
    }
}

/// Who reads comes again, behind a writer who waits for it.
fn a_reader_behind_a_writer() {
    let lock = Arc::new(RwLock::new(0));
    let writer = lock.clone();
    start("the reader", move || {
        let _one = at!("read", lock.read());
        start("the writer", move || *at!("to write", writer.write()) += 1);
        while lock.try_read().is_some() {
            raddle::yield_now();
        }
        let _two = at!("to read", lock.read());
    });
}

fn upgrades_beside_its_own_read() {
    start("the only one", || {
        let lock = RwLock::new(0);
        let upgradable = at!("may write", lock.upgradable_read());
        let _read = at!("read", lock.read());
        let _write = at!("to write", RwLockUpgradableReadGuard::upgrade(upgradable));
    });
}

fn two_reentrant() {
    let all = Arc::new((ReentrantMutex::new(()), Mutex::new(()), Barrier::new(2)));
    let (left, right) = (all.clone(), all);
    start("left", move || {
        let _one = at!("a taken", left.0.lock());
        let _again = left.0.lock();
        left.2.wait();
        let _two = at!("b awaited", left.1.lock());
    });
    start("right", move || {
        let _one = at!("b taken", right.1.lock());
        right.2.wait();
        let _two = at!("a awaited", right.0.lock());
    });
}

fn a_goroutine_and_a_thread() {
    let one = pair();
    let other = one.clone();
    start("left", move || takes_a_then_b(&one));
    let named = thread::Builder::new().name("right".into());
    drop(named.spawn(move || takes_b_then_a(&other)).unwrap());
}

/// A lock tried for is a lock held, and what a condition's wait took again.
fn locks_taken_in_other_ways() {
    let one = pair();
    let other = one.clone();
    start("left", move || {
        let _a = at!("a taken", one.0.try_lock().unwrap());
        one.2.wait();
        let _b = at!("b awaited", one.1.lock());
    });
    start("right", move || {
        let condition = Condvar::new();
        let mut b = at!("b taken", other.1.lock());
        let waited = condition.wait_for(&mut b, Duration::from_millis(1));
        assert!(waited.timed_out());
        MutexGuard::bump(&mut b);
        other.2.wait();
        let _a = at!("a awaited", other.0.lock());
    });
}

/// What each is called, its goroutines' names, and the steps of the report.
type Scenario = (
    &'static str,
    fn(),
    &'static [&'static str],
    &'static [&'static str],
);

const SCENARIOS: [Scenario; 9] = [
    (
        "two in different order",
        two_in_different_order,
        &["left", "right"],
        &[
            "cycle of 2:",
            "holds Mutex ",
            "waits to lock Mutex ",
            "[sync.Mutex.Lock",
            "takes_a_then_b",
            "takes_b_then_a",
        ],
    ),
    (
        "locks twice",
        locks_twice,
        &["the only one"],
        &[
            "cycle of one, who waits for itself:",
            "waits to lock Mutex ",
        ],
    ),
    (
        "three in a ring",
        three_in_a_ring,
        &["zero", "one", "two"],
        &["cycle of 3:"],
    ),
    (
        "two who read and write",
        two_who_read_and_write,
        &["left", "right"],
        &[
            "cycle of 2:",
            "reads RwLock ",
            "waits to write RwLock ",
            "[sync.RWMutex.Lock",
        ],
    ),
    (
        "a reader behind a writer",
        a_reader_behind_a_writer,
        &["the reader", "the writer"],
        &[
            "cycle of 2:",
            "reads RwLock ",
            "is the next to write RwLock ",
            "waits to read RwLock ",
            "[sync.RWMutex.RLock",
        ],
    ),
    (
        "upgrades beside its own read",
        upgrades_beside_its_own_read,
        &["the only one"],
        &["cycle of one", "reads RwLock ", "waits to write RwLock "],
    ),
    (
        "two, reentrant",
        two_reentrant,
        &["left", "right"],
        &["cycle of 2:", "ReentrantMutex "],
    ),
    (
        "a goroutine and a thread",
        a_goroutine_and_a_thread,
        &["left", "right"],
        &[
            "cycle of 2:",
            "    thread ",
            "thread \"right\" [sync.Mutex.Lock]",
        ],
    ),
    (
        "locks taken in other ways",
        locks_taken_in_other_ways,
        &["left", "right"],
        &["cycle of 2:"],
    ),
];

/// In the child: plays the role it was given.
fn play() {
    let role = std::env::var(ROLE).expect("a role");
    let mut parts = role.split('/');
    let (mode, procs) = (parts.next().unwrap(), parts.next().unwrap());
    let name = parts.next().unwrap();
    let mode = MODES.into_iter().find(|m| format!("{m:?}") == mode);
    let runtime = builder(mode.unwrap(), procs.parse().unwrap());
    let scenario = SCENARIOS.into_iter().find(|one| one.0 == name);
    let (_, begin, ..) = scenario.expect("a scenario");
    runtime.build().unwrap().run(|| {
        begin();
        go_on()
    });
}

/// Every line that the child said it was about to lock in stands in the
/// report.
#[track_caller]
fn assert_told(output: &Output, what: &str, names: &[&str], parts: &[&str]) {
    let (out, err) = (stdout(output), stderr(output));
    assert_eq!(output.status.code(), Some(2), "{what}: {out}\n{err}");
    assert!(
        err.starts_with(&format!("{FIRST}\n\nlock cycle of ")),
        "{what}: {err}"
    );
    for part in parts {
        assert!(err.contains(part), "{what}: {part}: {err}");
    }
    for name in names {
        assert!(
            err.matches(&format!(" {name:?}")).count() >= 2,
            "{what}: {name}: {err}"
        );
    }
    assert!(
        err.contains("spawned at tests/lock_cycles.rs:"),
        "{what}: {err}"
    );
    let mut lines = 0;
    for said in out
        .split(';')
        .filter_map(|said| said.rsplit_once(" is line "))
    {
        let site = format!(" tests/lock_cycles.rs:{}:", said.1);
        let is_of_other_lock = said.0.ends_with("may write");
        assert!(
            is_of_other_lock || err.contains(&site),
            "{what}: {said:?}: {err}"
        );
        lines += 1;
    }
    assert!(lines >= 2, "{what}: {out}");
}

#[test]
fn cycles_are_found_while_others_go_on() {
    const NAME: &str = "cycles_are_found_while_others_go_on";
    if is_child() {
        return play();
    }
    for (name, _, names, parts) in SCENARIOS {
        // All of them at one and two processors, the first at all.
        let all_procs: &[usize] = if name == SCENARIOS[0].0 {
            &[1, 2, 4]
        } else {
            &[1, 2]
        };
        thread::scope(|scope| {
            for mode in MODES {
                for procs in all_procs {
                    scope.spawn(move || {
                        let role = format!("{mode:?}/{procs}/{name}");
                        let output = child(NAME, &[(ROLE, &role), ON]);
                        assert_told(&output, &role, names, parts);
                    });
                }
            }
        });
    }
}

#[raddle::test(procs = [2], deadline = "3s")]
#[ignore = "for a child process: it hangs"]
fn a_child_locks_up() {
    if is_child() {
        two_in_different_order();
        raddle::park();
    }
}

/// The test fails, and with it not all others of its process.
#[test]
fn a_test_that_locks_up_is_told_why() {
    let output = child("a_child_locks_up", &[ON]);
    let err = stderr(&output);
    assert_eq!(output.status.code(), Some(101), "{err}");
    assert!(err.contains(FIRST), "{err}");
    assert!(err.contains("did not end within 3000 ms"), "{err}");
}

#[test]
fn lockcheck_0_turns_it_off() {
    const NAME: &str = "lockcheck_0_turns_it_off";
    if is_child() {
        raddle::run(|| {
            two_in_different_order();
            // Longer than a cycle stands unreported.
            raddle::time::sleep(Duration::from_millis(1500));
            println!("nobody knew");
        });
        assert_eq!(rings_found(), 0);
        return;
    }
    let output = child(NAME, &[("RADDLE_DEBUG", "lockcheck=0")]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stdout(&output).contains("nobody knew"));
}

/// A builder's word is above the environment's, and for its runtime alone.
#[test]
fn a_builder_turns_it_on_and_off() {
    const NAME: &str = "a_builder_turns_it_on_and_off";
    if !is_child() {
        let output = child(NAME, &[("RADDLE_DEBUG", "lockcheck=0")]);
        assert!(output.status.success(), "{}", stderr(&output));
        return;
    }
    let runtime = |is_on| {
        let builder = builder(Mode::Pinned, 1).on_deadlock(OnDeadlock::Ignore);
        builder.lock_check(is_on).build().expect("a runtime")
    };
    let (on, off) = (runtime(true), runtime(false));
    off.run(two_in_different_order);
    off.run(locks_twice);
    on.run(locks_twice);
    assert!(common::comes_true(Duration::from_secs(10), || rings_found() > 0));
    assert_eq!(rings_found(), 1);
}

static REPORTS: std::sync::Mutex<Vec<String>> = std::sync::Mutex::new(Vec::new());

fn keep(report: &Report) {
    assert!(!report.all_are_asleep());
    REPORTS.lock().unwrap().push(report.to_string());
}

fn checked(mode: Mode, procs: usize) -> Runtime {
    let builder = builder(mode, procs).lock_check(true);
    builder
        .on_deadlock(OnDeadlock::Hook(keep))
        .build()
        .expect("a runtime")
}

/// The hook is called once; the program goes on; the runtime can end.
#[test]
fn a_hook_gets_the_report() {
    const NAME: &str = "a_hook_gets_the_report";
    if !is_child() {
        let output = child(NAME, &[]);
        assert!(output.status.success(), "{}", stderr(&output));
        return;
    }
    for mode in MODES {
        let runtime = checked(mode, 2);
        runtime.run(|| {
            two_in_different_order();
            while REPORTS.lock().unwrap().is_empty() {
                raddle::time::sleep(Duration::from_millis(10));
            }
            raddle::time::sleep(Duration::from_millis(700));
        });
        drop(runtime);
        let reports = std::mem::take(&mut *REPORTS.lock().unwrap());
        assert_eq!(reports.len(), 1, "{mode:?}: {reports:?}");
        assert!(reports[0].starts_with(FIRST), "{mode:?}: {reports:?}");
    }
}

/// Rings that are none, or end by themselves, on runtimes of each kind. Run
/// in a child process, for rings are counted by the process.
fn never_a_ring(name: &str, body: impl Fn(&Runtime, &str)) {
    if !is_child() {
        let output = child(name, &[]);
        assert!(
            output.status.success(),
            "{}{}",
            stdout(&output),
            stderr(&output)
        );
        return;
    }
    for mode in MODES {
        for procs in [1, 2, 4] {
            body(&checked(mode, procs), &format!("{mode:?}, P = {procs}"));
            let reports = REPORTS.lock().unwrap();
            assert!(reports.is_empty(), "{mode:?}, P = {procs}: {reports:?}");
        }
    }
}

/// Locks as they are used: in order, or tried, or for a time, or by force.
#[derive(Default)]
struct Crowd {
    mutexes: [Mutex<u64>; 4],
    words: [RwLock<u64>; 3],
    reentrant: ReentrantMutex<()>,
    condition: Condvar,
    told: Mutex<u64>,
}

impl Crowd {
    fn turn(&self, random: &mut Random) {
        let pick = |random: &mut Random, n: u64| random.below(0..n) as usize;
        match random.below(0..12) {
            // In order: mutexes by number, then words by number.
            0..3 => {
                let first = pick(random, 3);
                let second = first + 1 + pick(random, (3 - first) as u64);
                let mut one = self.mutexes[first].lock();
                let mut other = self.mutexes[second].lock();
                *one += 1;
                *other += 1;
            }
            3 => {
                let _one = self.reentrant.lock();
                let mut other = self.mutexes[pick(random, 4)].lock();
                let _again = self.reentrant.lock();
                *other += 1;
            }
            4 => {
                let _one = self.mutexes[pick(random, 4)].lock();
                let _word = self.words[pick(random, 3)].read();
                raddle::yield_now();
            }
            5 => {
                let _low = self.words[0].read();
                let mut high = self.words[1 + pick(random, 2)].write();
                *high += 1;
                let _high = RwLockWriteGuard::downgrade(high);
                raddle::yield_now();
            }
            6 => {
                let word = self.words[pick(random, 3)].upgradable_read();
                let mut word = RwLockUpgradableReadGuard::upgrade(word);
                *word += 1;
                drop(RwLockWriteGuard::downgrade_to_upgradable(word));
            }
            // Against the order, with a way out.
            7 => {
                let _one = self.mutexes[3].lock();
                let _other = self.mutexes[pick(random, 3)].try_lock();
            }
            8 => {
                let _one = self.mutexes[3].lock();
                let _other = self.mutexes[0].try_lock_for(random.micros(1..200));
            }
            9 => {
                let _one = self.words[2].write();
                let _other = self.words[0].try_write_for(random.micros(1..200));
            }
            // Holding the lock of a condition, giving it up, taking it again.
            10 => {
                let mut told = self.told.lock();
                *told += 1;
                self.condition.notify_all();
                let _late = self.condition.wait_for(&mut told, random.micros(1..200));
                MutexGuard::bump(&mut told);
                MutexGuard::unlocked(&mut told, raddle::yield_now);
            }
            _ => {
                let _one = self.words[1].read();
                let _again = self.words[1].read_recursive();
                raddle::yield_now();
            }
        }
    }
}

#[test]
fn a_crowd_that_keeps_an_order_is_never_suspected() {
    const NAME: &str = "a_crowd_that_keeps_an_order_is_never_suspected";
    never_a_ring(NAME, |runtime, what| {
        let seed = seed();
        with_deadline(limit(60), &format!("{what}, seed {seed}"), || {
            let crowd = Arc::new(Crowd::default());
            let go = |n: u64| {
                let crowd = crowd.clone();
                move || {
                    let mut random = Random::new(seed ^ (n * 7919));
                    for _ in 0..rounds(300) {
                        crowd.turn(&mut random);
                    }
                }
            };
            let thread = thread::spawn(go(100));
            runtime.run(|| {
                let group = WaitGroup::new();
                for n in 0..16 {
                    group.go(go(n));
                }
                group.wait();
            });
            thread.join().unwrap();
            assert_eq!(rings_found(), 0, "{what}, seed {seed}");
        });
    });
}

/// What is said of a lock whose guard was forgotten is not believed for long.
#[test]
#[allow(unsafe_code, reason = "that is what force_unlock is")]
fn forgotten_guards_and_force_are_not_mistaken() {
    const NAME: &str = "forgotten_guards_and_force_are_not_mistaken";
    never_a_ring(NAME, |runtime, what| {
        with_deadline(limit(60), what, || {
            for _ in 0..rounds(20) {
                let before = rings_found();
                // Unlocked by another; then again, by who locked it first.
                let mutex = Arc::new(Mutex::new(0));
                runtime.run(|| {
                    std::mem::forget(mutex.lock());
                    let other = mutex.clone();
                    let unlocks = raddle::spawn(move || {
                        // SAFETY: its guard is forgotten.
                        unsafe { other.force_unlock() };
                        let held = other.lock();
                        raddle::yield_now();
                        drop(held);
                    });
                    raddle::yield_now();
                    if mutex.try_lock().is_none() {
                        raddle::yield_now();
                    }
                    unlocks.join().unwrap();
                    *mutex.lock() += 1;
                });
                // Dropped while locked: what comes to its place is another.
                runtime.run(|| {
                    for _ in 0..10 {
                        let place = Box::new(Mutex::new(0));
                        std::mem::forget(place.lock());
                        drop(place);
                        let next = Arc::new(Mutex::new(0));
                        let holder = next.clone();
                        let (tell, told) = raddle::chan::bounded::<()>(0);
                        let holds = raddle::spawn(move || {
                            let _held = holder.lock();
                            tell.send(()).unwrap();
                            raddle::yield_now();
                        });
                        told.recv().unwrap();
                        *next.lock() += 1;
                        holds.join().unwrap();
                    }
                });
                // Readers by force.
                let word = Arc::new(RwLock::new(0));
                runtime.run(|| {
                    std::mem::forget(word.read());
                    let other = word.clone();
                    raddle::spawn(move || {
                        // SAFETY: its guard is forgotten.
                        unsafe { other.force_unlock_read() };
                    })
                    .join()
                    .unwrap();
                    *word.write() += 1;
                });
                assert_eq!(rings_found(), before, "{what}");
            }
        });
    });
}

/// A ring of one, until another unlocks by force: found, and not reported.
#[test]
#[allow(unsafe_code, reason = "that is what force_unlock is")]
fn a_ring_that_is_broken_by_force_is_not_reported() {
    const NAME: &str = "a_ring_that_is_broken_by_force_is_not_reported";
    never_a_ring(NAME, |runtime, what| {
        with_deadline(limit(60), what, || {
            let before = rings_found();
            let mutex = Arc::new(Mutex::new(0));
            let other = mutex.clone();
            let locks_twice = runtime.spawn(move || {
                std::mem::forget(mutex.lock());
                *mutex.lock() += 1;
            });
            runtime.run(|| {
                while rings_found() == before {
                    raddle::time::sleep(Duration::from_millis(1));
                }
                // SAFETY: its guard is forgotten.
                unsafe { other.force_unlock() };
            });
            locks_twice.join().unwrap();
            assert_eq!(*other.lock(), 1, "{what}");
        });
    });
}

/// A guard may go to a goroutine of the same thread, by safe code.
#[test]
fn a_guard_that_a_local_goroutine_has_is_not_missed() {
    const NAME: &str = "a_guard_that_a_local_goroutine_has_is_not_missed";
    static MUTEX: Mutex<u32> = Mutex::new(0);
    never_a_ring(NAME, |runtime, what| {
        with_deadline(limit(60), what, || {
            runtime.run(|| {
                let _pin = raddle::pin();
                let guard = MUTEX.lock();
                let has_it = raddle::spawn_local(move || {
                    // Longer than a cycle stands unreported.
                    raddle::time::sleep(Duration::from_millis(1200));
                    drop(guard);
                });
                *MUTEX.lock() += 1;
                has_it.join().unwrap();
            });
        });
    });
}

/// The runtime ends those who wait for each other, in or out of a ring.
#[test]
fn a_runtime_with_a_ring_can_end() {
    const NAME: &str = "a_runtime_with_a_ring_can_end";
    static GONE: AtomicUsize = AtomicUsize::new(0);
    never_a_ring(NAME, |runtime, what| {
        with_deadline(limit(60), what, || {
            let before = rings_found();
            runtime.run(two_in_different_order);
            assert!(
                common::comes_true(limit(10), || rings_found() > before),
                "{what}"
            );
            // ORDER: a lone count.
            GONE.fetch_add(1, Relaxed);
        });
    });
}
