//! The end of a runtime: whoever waits is unwound, every destructor runs
//! once and before `drop` returns, and nothing is left in the process.

mod common;

use common::with_deadline;
use common::{MODES, Mode, burn, descriptors, factor, limit, on_runtimes, runtime, threads};
use raddle::Shutdown;
use raddle::sync::WaitGroup;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

// ORDER: SeqCst for counts that are read after the drop of a runtime: what is
// tested is that drop orders them, and nothing cheaper must help it. Relaxed
// for flags to stop by.

const LIMIT: Duration = Duration::from_secs(20);

/// Counts its drops.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// Runs its closure when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// This process's threads and descriptors are counted: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> std::sync::MutexGuard<'static, ()> {
    ALONE
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Every way to wait, each in a goroutine of its own that counts its drops.
fn park_in_every_way(runtime: &raddle::runtime::Runtime, drops: &Arc<AtomicUsize>) -> usize {
    let begun = WaitGroup::new();
    let mut made = 0;
    let mut add = |body: Box<dyn FnOnce() + Send>| {
        made += 1;
        begun.add(1);
        let (begun, value) = (begun.clone(), Counted(drops.clone()));
        drop(runtime.spawn(move || {
            let _value = value;
            begun.done();
            body();
        }));
    };
    add(Box::new(raddle::park));
    add(Box::new(|| raddle::park_timeout(Duration::from_secs(1000))));
    add(Box::new(|| raddle::time::sleep(Duration::from_secs(1000))));
    add(Box::new(|| {
        raddle::spawn(raddle::park).join().map_or((), |()| ())
    }));
    add(Box::new(|| {
        let group = WaitGroup::new();
        group.add(1);
        group.wait();
    }));
    add(Box::new(|| {
        let group = WaitGroup::new();
        group.add(1);
        let _ = group.wait_timeout(Duration::from_secs(1000));
    }));
    add(Box::new(|| {
        raddle::scope(|s| {
            s.go(raddle::park);
            s.go(|| raddle::time::sleep(Duration::from_secs(1000)));
        });
    }));
    add(Box::new(|| raddle::on_big_stack(raddle::park)));
    add(Box::new(|| {
        raddle::blocking(|| thread::sleep(Duration::from_millis(20)));
        raddle::park();
    }));
    add(Box::new(|| {
        let _pin = raddle::pin();
        let _local = raddle::spawn_local(raddle::park).join();
    }));
    add(Box::new(|| {
        let own = raddle::Builder::new().own_thread(true).spawn(raddle::park);
        let _own = own.unwrap().join();
    }));
    add(Box::new(|| {
        loop {
            raddle::yield_now();
        }
    }));
    begun.wait();
    made
}

#[test]
fn every_destructor_has_run_once_when_drop_returns() {
    let _alone = alone();
    on_runtimes(&[1, 2, 4, 8], &MODES, LIMIT, |_, what| {
        let mode = if what.starts_with("Pinned") {
            Mode::Pinned
        } else {
            Mode::Migrate
        };
        for procs in [1, 2, 4] {
            let drops = Arc::new(AtomicUsize::new(0));
            let runtime = runtime(mode, procs);
            let made = park_in_every_way(&runtime, &drops);
            drop(runtime);
            assert_eq!(drops.load(SeqCst), made, "{what}, {procs}");
            assert_eq!(Arc::strong_count(&drops), 1, "{what}, {procs}");
        }
    });
}

#[test]
fn goroutines_that_never_began_drop_their_closures_and_give_shutdown() {
    let _alone = alone();
    on_runtimes(&[1, 2], &MODES, LIMIT, |_, what| {
        let mode = if what.starts_with("Pinned") {
            Mode::Pinned
        } else {
            Mode::Migrate
        };
        let drops = Arc::new(AtomicUsize::new(0));
        let runtime = runtime(mode, 1);
        let go_on = Arc::new(AtomicBool::new(false));
        let begun = WaitGroup::new();
        begun.add(1);
        let (go_on2, begun2) = (go_on.clone(), begun.clone());
        // Keeps the only processor until the runtime goes down.
        let hog = runtime.spawn(move || {
            begun2.done();
            while !go_on2.load(Relaxed) {
                std::hint::spin_loop();
            }
        });
        begun.wait();
        let ran = Arc::new(AtomicUsize::new(0));
        let handles: Vec<_> = (0..100)
            .map(|_| {
                let (ran, value) = (ran.clone(), Counted(drops.clone()));
                runtime.spawn(move || {
                    let _value = value;
                    ran.fetch_add(1, SeqCst);
                    raddle::park();
                })
            })
            .collect();
        let stop = go_on.clone();
        let stopper = thread::spawn(move || {
            // Drop must be under way; nothing shows when it is.
            thread::sleep(Duration::from_millis(5));
            stop.store(true, Relaxed);
        });
        drop(runtime);
        assert_eq!(drops.load(SeqCst), 100, "{what}");
        for handle in handles {
            assert!(handle.is_finished());
            let payload = handle.join().unwrap_err();
            assert!(payload.is::<Shutdown>(), "{what}");
        }
        hog.join().unwrap();
        stopper.join().unwrap();
    });
}

#[test]
fn handles_held_outside_give_shutdown() {
    let _alone = alone();
    on_runtimes(&[1, 4], &MODES, LIMIT, |_, what| {
        let mode = if what.starts_with("Pinned") {
            Mode::Pinned
        } else {
            Mode::Migrate
        };
        let runtime = runtime(mode, 2);
        let begun = WaitGroup::new();
        let handles: Vec<_> = (0..20)
            .map(|n| {
                begun.add(1);
                let begun = begun.clone();
                runtime.spawn(move || {
                    begun.done();
                    if n % 2 == 0 {
                        raddle::park();
                    } else {
                        raddle::time::sleep(Duration::from_secs(1000));
                    }
                })
            })
            .collect();
        begun.wait();
        thread::scope(|scope| {
            let joiners: Vec<_> = handles
                .into_iter()
                .map(|handle| scope.spawn(|| handle.join().unwrap_err().is::<Shutdown>()))
                .collect();
            drop(runtime);
            for joiner in joiners {
                assert!(joiner.join().unwrap(), "{what}");
            }
        });
    });
}

/// The result of a detached goroutine is dropped by the goroutine itself; its
/// destructor may wait, and the runtime must wait for it.
#[test]
fn a_detached_result_whose_drop_waits_is_dropped_before_the_runtime_is() {
    let _alone = alone();
    on_runtimes(&[1, 2], &MODES, LIMIT, |_, what| {
        let mode = if what.starts_with("Pinned") {
            Mode::Pinned
        } else {
            Mode::Migrate
        };
        for way in 0..2 {
            let drops = Arc::new(AtomicUsize::new(0));
            let runtime = runtime(mode, 1);
            let (in_drop, count) = (WaitGroup::new(), Counted(drops.clone()));
            in_drop.add(1);
            let in_drop2 = in_drop.clone();
            let gate = WaitGroup::new();
            gate.add(1);
            let gate2 = gate.clone();
            // Nobody but the goroutine itself is to drop its result.
            let detached = WaitGroup::new();
            detached.add(1);
            let detached2 = detached.clone();
            drop(runtime.spawn(move || {
                detached2.wait();
                let mut count = Some(count);
                OnDrop(move || {
                    in_drop2.done();
                    let keep = count.take();
                    match way {
                        0 => raddle::time::sleep(Duration::from_millis(50)),
                        _ => gate2.wait(),
                    }
                    drop(keep);
                })
            }));
            detached.done();
            in_drop.wait();
            let opener = thread::spawn(move || {
                thread::sleep(Duration::from_millis(50));
                gate.done();
            });
            drop(runtime);
            assert_eq!(drops.load(SeqCst), 1, "{what}, way {way}");
            opener.join().unwrap();
        }
    });
}

/// While one goroutine waits in a Drop in the middle of a panic, its thread
/// counts as panicking. Shutdown must end the others there all the same: the
/// one that unwinds may wait for them.
#[test]
fn a_drop_that_joins_a_parked_goroutine_in_a_panic_does_not_hold_up_shutdown() {
    let _alone = alone();
    on_runtimes(&[1, 2], &MODES, LIMIT, |_, what| {
        let mode = if what.starts_with("Pinned") {
            Mode::Pinned
        } else {
            Mode::Migrate
        };
        let drops = Arc::new(AtomicUsize::new(0));
        let runtime = runtime(mode, 1);
        let (value, begun) = (Counted(drops.clone()), WaitGroup::new());
        begun.add(1);
        let begun2 = begun.clone();
        let parent = runtime.spawn(move || {
            let child_runs = WaitGroup::new();
            child_runs.add(1);
            let child_runs2 = child_runs.clone();
            let mut child = Some(raddle::spawn(move || {
                let _value = value;
                child_runs2.done();
                raddle::park();
            }));
            child_runs.wait();
            let _joins = OnDrop(move || {
                begun2.done();
                let _ended = child.take().map(raddle::JoinHandle::join);
            });
            panic!("on purpose");
        });
        begun.wait();
        drop(runtime);
        assert_eq!(drops.load(SeqCst), 1, "{what}");
        let payload = parent.join().unwrap_err();
        assert_eq!(payload.downcast_ref(), Some(&"on purpose"), "{what}");
    });
}

#[test]
fn a_drop_that_waits_during_shutdown_is_let_wait() {
    let _alone = alone();
    on_runtimes(&[1, 4], &MODES, LIMIT, |_, what| {
        let mode = if what.starts_with("Pinned") {
            Mode::Pinned
        } else {
            Mode::Migrate
        };
        let drops = Arc::new(AtomicUsize::new(0));
        let runtime = runtime(mode, 2);
        let begun = WaitGroup::new();
        let mut parents = 0;
        for way in 0..5 {
            for _ in 0..5 {
                parents += 1;
                begun.add(1);
                let (begun, value) = (begun.clone(), Counted(drops.clone()));
                drop(runtime.spawn(move || {
                    let _value = value;
                    let _waits = OnDrop(move || match way {
                        0 => raddle::time::sleep(Duration::from_millis(1)),
                        1 => raddle::yield_now(),
                        2 => {
                            let me = raddle::current();
                            let _waker = raddle::spawn(|| {});
                            me.unpark();
                            raddle::park();
                        }
                        3 => {
                            // Its members are ended too, begun or not.
                            let group = WaitGroup::new();
                            drop(group.go(raddle::park));
                            group.wait();
                        }
                        _ => drop(raddle::spawn(|| ()).join()),
                    });
                    begun.done();
                    raddle::park();
                }));
            }
        }
        begun.wait();
        drop(runtime);
        assert_eq!(drops.load(SeqCst), parents, "{what}");
    });
}

#[test]
fn shutdown_timeout_counts_what_it_leaves_behind() {
    let _alone = alone();
    for mode in MODES {
        with_deadline(LIMIT, &format!("{mode:?}"), || {
            let runtime = runtime(mode, 2);
            let stop = Arc::new(AtomicBool::new(false));
            let drops = Arc::new(AtomicUsize::new(0));
            let begun = WaitGroup::new();
            for _ in 0..2 {
                begun.add(1);
                let (stop, begun) = (stop.clone(), begun.clone());
                drop(runtime.spawn(move || {
                    begun.done();
                    while !stop.load(Relaxed) {
                        std::hint::spin_loop();
                    }
                }));
            }
            begun.wait();
            let value = Counted(drops.clone());
            // Two hogs have the processors; the monitor gets this one a third
            // thread, and in time.
            begun.add(1);
            let begun2 = begun.clone();
            drop(runtime.spawn(move || {
                let _value = value;
                begun2.done();
                raddle::park();
            }));
            begun.wait();
            // The third thread shares two CPUs with the hogs, and with others.
            let left = runtime.shutdown_timeout(Duration::from_millis(1500));
            stop.store(true, Relaxed);
            assert_eq!(left, 2);
            assert_eq!(drops.load(SeqCst), 1);
        });
    }
}

#[test]
fn shutdown_timeout_of_an_idle_runtime_returns_at_once() {
    let _alone = alone();
    for mode in MODES {
        let runtime = runtime(mode, 2);
        runtime.run(|| ());
        let begin = Instant::now();
        assert_eq!(runtime.shutdown_timeout(Duration::from_secs(1000)), 0);
        assert!(begin.elapsed() < Duration::from_secs(10));
    }
}

/// The scope waits for those who have begun; these have not, and say so.
#[test]
fn what_a_destructor_spawns_during_shutdown_gives_shutdown_also_in_a_scope() {
    static SEEN: AtomicUsize = AtomicUsize::new(0);
    struct Spawns;
    impl Drop for Spawns {
        fn drop(&mut self) {
            let is_ended = |error: Box<dyn std::any::Any + Send>| error.is::<Shutdown>();
            let alone = raddle::spawn(|| ()).join();
            let scoped = raddle::scope(|s| s.spawn(|| ()).join());
            raddle::scope(|s| s.go(|| unreachable!("the runtime ends")));
            if alone.is_err_and(is_ended) && scoped.is_err_and(is_ended) {
                SEEN.fetch_add(1, SeqCst);
            }
        }
    }
    let _alone = alone();
    for mode in MODES {
        with_deadline(LIMIT, &format!("{mode:?}"), || {
            let before = SEEN.load(SeqCst);
            let runtime = runtime(mode, 1);
            let (parks, parked) = raddle::chan::bounded::<()>(0);
            runtime.spawn(move || {
                let _spawns = Spawns;
                drop(parks);
                raddle::park();
            });
            assert!(parked.recv().is_err());
            drop(runtime);
            assert_eq!(SEEN.load(SeqCst), before + 1, "{mode:?}");
        });
    }
}

#[test]
fn dropping_a_runtime_in_its_own_goroutine_panics() {
    let _alone = alone();
    for mode in MODES {
        with_deadline(LIMIT, &format!("{mode:?}"), || {
            let own = runtime(mode, 2);
            let (give, take) = std::sync::mpsc::channel();
            let handle = own.spawn(move || {
                let runtime: raddle::runtime::Runtime = take.recv().unwrap();
                catch_unwind(AssertUnwindSafe(|| drop(runtime))).is_err()
            });
            give.send(own).unwrap();
            assert!(handle.join().unwrap());
        });
    }
}

#[test]
fn a_runtime_may_be_dropped_in_a_goroutine_of_another() {
    let _alone = alone();
    on_runtimes(&[1, 2, 4], &MODES, LIMIT, |outer, what| {
        let drops = Arc::new(AtomicUsize::new(0));
        let inner_drops = drops.clone();
        let mode = if what.starts_with("Pinned") {
            Mode::Pinned
        } else {
            Mode::Migrate
        };
        let members: Vec<_> = (0..4)
            .map(|_| {
                let drops = inner_drops.clone();
                outer.spawn(move || {
                    let inner = runtime(mode, 2);
                    let made = park_in_every_way(&inner, &drops);
                    drop(inner);
                    made
                })
            })
            .collect();
        let made: usize = members.into_iter().map(|m| m.join().unwrap()).sum();
        assert_eq!(drops.load(SeqCst), made, "{what}");
    });
}

#[test]
fn threads_and_descriptors_go_with_their_runtime() {
    let _alone = alone();
    with_deadline(Duration::from_secs(60), "", || {
        // The helpers of `blocking` stay a while: not used here.
        let round = |mode| {
            let runtime = runtime(mode, 4);
            let begun = WaitGroup::new();
            for n in 0..20 {
                begun.add(1);
                let begun = begun.clone();
                drop(runtime.spawn(move || {
                    begun.done();
                    if n % 4 == 0 {
                        thread::sleep(Duration::from_millis(2));
                    }
                    raddle::park();
                }));
            }
            begun.wait();
            let own = raddle::runtime::Builder::new();
            drop(own);
            drop(runtime);
        };
        for mode in MODES {
            round(mode);
        }
        let before = (threads(), descriptors());
        for _ in 0..10 {
            for mode in MODES {
                round(mode);
            }
        }
        // A thread that was joined leaves the list a moment later.
        let begin = Instant::now();
        while (threads(), descriptors()) != before && begin.elapsed() < Duration::from_secs(2) {
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!((threads(), descriptors()), before);
    });
}

/// Goroutines of a scope borrow from their owner: it must not be unwound
/// before they have ended, shutdown or not.
#[test]
fn what_a_scope_borrows_is_there_until_its_goroutines_have_ended() {
    let _alone = alone();
    on_runtimes(&[1, 2, 4], &MODES, limit(20), |_, what| {
        let mode = if what.starts_with("Pinned") {
            Mode::Pinned
        } else {
            Mode::Migrate
        };
        for round in 0..5 * factor() {
            let runtime = runtime(mode, 2);
            let bad = Arc::new(AtomicUsize::new(0));
            let begun = WaitGroup::new();
            for n in 0..8 {
                begun.add(4);
                let (bad, begun) = (bad.clone(), begun.clone());
                drop(runtime.spawn(move || {
                    // Broken when it is dropped, if somebody looks later.
                    struct Data(AtomicUsize);
                    impl Drop for Data {
                        fn drop(&mut self) {
                            self.0.store(0xdead, SeqCst);
                        }
                    }
                    let data = Data(AtomicUsize::new(7));
                    let data = &data;
                    let bad = &bad;
                    let check = move || {
                        if data.0.load(SeqCst) != 7 {
                            bad.fetch_add(1, SeqCst);
                        }
                    };
                    raddle::scope(|s| {
                        for member in 0..4 {
                            let begun = begun.clone();
                            s.go(move || {
                                let _checks = OnDrop(check);
                                let _slowly = OnDrop(|| {
                                    raddle::time::sleep(Duration::from_micros(200));
                                });
                                begun.done();
                                match (member + n) % 3 {
                                    0 => raddle::park(),
                                    1 => raddle::time::sleep(Duration::from_secs(1000)),
                                    _ => loop {
                                        check();
                                        raddle::yield_now();
                                    },
                                }
                            });
                        }
                    });
                }));
            }
            begun.wait();
            drop(runtime);
            assert_eq!(bad.load(SeqCst), 0, "{what}, round {round}");
        }
    });
}

/// `run` borrows from the thread that waits, and a dropped runtime takes the
/// goroutines it left along.
#[test]
fn goroutines_left_by_run_are_unwound_by_drop() {
    let _alone = alone();
    on_runtimes(&[1, 2, 8], &MODES, LIMIT, |_, what| {
        let mode = if what.starts_with("Pinned") {
            Mode::Pinned
        } else {
            Mode::Migrate
        };
        let drops = Arc::new(AtomicUsize::new(0));
        let runtime = runtime(mode, 2);
        runtime.run(|| {
            for _ in 0..1000 {
                let value = Counted(drops.clone());
                drop(raddle::spawn(move || {
                    let _value = value;
                    raddle::park();
                }));
            }
        });
        drop(runtime);
        assert_eq!(drops.load(SeqCst), 1000, "{what}");
    });
}

/// A destructor's thread-locals are those of the thread the goroutine ran on.
#[test]
fn pinned_goroutines_are_unwound_at_home() {
    let _alone = alone();
    with_deadline(LIMIT, "pinned, P = 4", || {
        thread_local! {
            static HERE: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
        }
        let runtime = runtime(Mode::Pinned, 4);
        let wrong = Arc::new(AtomicUsize::new(0));
        let begun = WaitGroup::new();
        for n in 0..200 {
            begun.add(1);
            let (begun, wrong) = (begun.clone(), wrong.clone());
            drop(runtime.spawn(move || {
                burn(Duration::from_micros(100));
                let home = thread::current().id();
                HERE.with_borrow_mut(|here| here.push(n));
                let _checks = OnDrop(|| {
                    let is_here = HERE.with_borrow(|here| here.contains(&n));
                    if thread::current().id() != home || !is_here {
                        wrong.fetch_add(1, SeqCst);
                    }
                });
                begun.done();
                raddle::park();
            }));
        }
        begun.wait();
        drop(runtime);
        assert_eq!(wrong.load(SeqCst), 0);
    });
}

/// A goroutine whose slice is over calls `run`, which lends its stack to
/// another runtime's goroutine, while its own runtime goes down: it must wait
/// for that before it unwinds.
#[test]
fn a_borrow_lent_to_another_runtime_is_kept_through_a_shutdown() {
    struct Lent(Arc<AtomicBool>);
    impl Drop for Lent {
        fn drop(&mut self) {
            self.0.store(true, SeqCst);
        }
    }
    for mode in MODES {
        for overstays in [0, 15, 40] {
            let what = format!("{mode:?}, {overstays} ms");
            with_deadline(limit(20), &what, || {
                let dying = runtime(mode, 1);
                let gone = Arc::new(AtomicBool::new(false));
                let inside = Arc::new(AtomicBool::new(false));
                let missed = Arc::new(AtomicUsize::new(0));
                let lent = Lent(gone.clone());
                let (is_inside, missing) = (inside.clone(), missed.clone());
                drop(dying.spawn(move || {
                    let lent = lent;
                    is_inside.store(true, SeqCst);
                    burn(Duration::from_millis(overstays));
                    raddle::run(|| {
                        for _ in 0..20 {
                            raddle::time::sleep(Duration::from_millis(2));
                            missing.fetch_add(usize::from(lent.0.load(SeqCst)), SeqCst);
                        }
                    });
                }));
                while !inside.load(SeqCst) {
                    thread::yield_now();
                }
                drop(dying);
                assert!(gone.load(SeqCst));
                thread::sleep(Duration::from_millis(60));
                assert_eq!(missed.load(SeqCst), 0, "{what}");
            });
        }
    }
}
