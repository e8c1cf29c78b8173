//! What safe code may rely on: a goroutine with a home stays on its thread.

mod common;

use common::{MODES, Mode, Random, burn, is_child, limit, on_each_runtime, on_runtimes, rounds};
use common::{child, runtime, seed, stderr, with_deadline};
use raddle::PinGuard;
use raddle::runtime::Runtime;
use raddle::sync::WaitGroup;
use std::cell::{Cell, RefCell};
use std::hint::black_box;
use std::ptr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread::{self, ThreadId};
use std::time::Duration;

// ORDER: Relaxed everywhere here: flags to stop by and counts read after
// joins.

/// Waits in some way.
fn wait_somehow(random: &mut Random) {
    match random.below(0..7) {
        0 => raddle::time::sleep(random.micros(1..200)),
        1 => raddle::park_timeout(random.micros(1..200)),
        2 => drop(raddle::spawn(raddle::yield_now).join()),
        3 => raddle::blocking(|| ()),
        4 => {
            let group = WaitGroup::new();
            drop(group.go(raddle::yield_now));
            group.wait();
        }
        5 => raddle::scope(|s| s.go(raddle::yield_now)),
        _ => raddle::yield_now(),
    }
}

/// The thread's own Rc, whose count is not atomic: were two threads to touch
/// it, the count would not be right in the end.
#[test]
fn an_rc_out_of_a_thread_local_may_be_kept_across_waits() {
    thread_local! {
        static SHARED: Rc<Cell<u64>> = Rc::new(Cell::new(0));
    }
    let begin = seed();
    for procs in [1, 4] {
        with_deadline(
            limit(30),
            &format!("pinned, P = {procs}, seed {begin}"),
            || {
                let runtime = runtime(Mode::Pinned, procs);
                let members = rounds(2000);
                let turns: u64 = (0..members)
                    .map(|n| {
                        runtime.spawn(move || {
                            let mut random = Random::new(begin + n);
                            let mine = SHARED.with(Rc::clone);
                            let here = thread::current().id();
                            for _ in 0..3 {
                                let more: Vec<_> = (0..4).map(|_| mine.clone()).collect();
                                wait_somehow(&mut random);
                                mine.set(mine.get() + 1);
                                assert!(SHARED.with(|shared| Rc::ptr_eq(shared, &mine)));
                                drop(more);
                            }
                            assert_eq!(thread::current().id(), here);
                            3
                        })
                    })
                    .collect::<Vec<_>>()
                    .into_iter()
                    .map(|member| member.join().unwrap())
                    .sum();
                let (counts, sum) = on_every_machine(&runtime, || {
                    SHARED.with(|shared| (Rc::strong_count(shared), shared.get()))
                })
                .into_iter()
                .fold((0, 0), |(most, sum), (count, turns)| {
                    (count.max(most), sum + turns)
                });
                assert_eq!(counts, 1, "somebody kept one");
                assert!(sum <= turns, "{sum} turns were noted, {turns} made");
            },
        );
    }
}

/// Runs `look` once on each machine that takes work now.
fn on_every_machine<T: Send + 'static>(
    runtime: &Runtime,
    look: impl Fn() -> T + Send + Copy + 'static,
) -> Vec<T> {
    let members: Vec<_> = (0..64)
        .map(|_| {
            runtime.spawn(move || {
                burn(Duration::from_micros(200));
                (thread::current().id(), look())
            })
        })
        .collect();
    let mut seen: Vec<(ThreadId, T)> = Vec::new();
    for member in members {
        let (id, value) = member.join().unwrap();
        if seen.iter().all(|(other, _)| *other != id) {
            seen.push((id, value));
        }
    }
    seen.into_iter().map(|(_, value)| value).collect()
}

#[test]
fn a_goroutine_has_one_thread_for_life_where_goroutines_are_pinned() {
    let begin = seed();
    on_runtimes(
        &[1, 2, 4, 8],
        &[Mode::Pinned],
        limit(30),
        move |runtime, what| {
            let members: Vec<_> = (0..rounds(300))
                .map(|n| {
                    runtime.spawn(move || {
                        let mut random = Random::new(begin + n);
                        let home = thread::current().id();
                        for _ in 0..10 {
                            wait_somehow(&mut random);
                            if random.below(0..10) == 0 {
                                burn(random.micros(10..200));
                            }
                            assert_eq!(thread::current().id(), home);
                        }
                    })
                })
                .collect();
            for member in members {
                member
                    .join()
                    .unwrap_or_else(|_| panic!("{what}, seed {begin}"));
            }
        },
    );
}

/// The id of the thread, by a function that is not inlined: where goroutines
/// migrate a body must not touch a thread-local twice.
#[inline(never)]
fn thread_id() -> ThreadId {
    thread::current().id()
}

#[test]
fn a_pin_keeps_its_goroutine_on_its_thread() {
    let begin = seed();
    on_each_runtime(limit(30), move |runtime, what| {
        let members: Vec<_> = (0..rounds(100))
            .map(|n| {
                runtime.spawn(move || {
                    let mut random = Random::new(begin + n);
                    for _ in 0..3 {
                        wait_somehow(&mut random);
                        let pin = raddle::pin();
                        let home = thread_id();
                        for depth in 0..3 {
                            let inner = (depth > 0).then(raddle::pin);
                            wait_somehow(&mut random);
                            assert_eq!(thread_id(), home);
                            drop(inner);
                            wait_somehow(&mut random);
                            assert_eq!(thread_id(), home);
                        }
                        drop(pin);
                    }
                })
            })
            .collect();
        for member in members {
            member
                .join()
                .unwrap_or_else(|_| panic!("{what}, seed {begin}"));
        }
    });
}

/// Else the test above would say nothing.
#[test]
fn an_unpinned_goroutine_moves_where_goroutines_migrate() {
    with_deadline(limit(60), "migrate, P = 4", || {
        let runtime = runtime(Mode::Migrate, 4);
        let moves = Arc::new(AtomicUsize::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let members: Vec<_> = (0..16)
            .map(|_| {
                let (moves, stop) = (moves.clone(), stop.clone());
                runtime.spawn(move || {
                    let mut at = thread_id();
                    while !stop.load(Relaxed) {
                        burn(Duration::from_micros(50));
                        raddle::time::sleep(Duration::from_micros(50));
                        let now = thread_id();
                        if now != at {
                            moves.fetch_add(1, Relaxed);
                            at = now;
                        }
                    }
                })
            })
            .collect();
        let moved = common::comes_true(limit(30), || moves.load(Relaxed) >= 5);
        stop.store(true, Relaxed);
        for member in members {
            member.join().unwrap();
        }
        assert!(moved, "nobody moved");
    });
}

#[test]
fn what_spawn_local_runs_stays_on_the_thread_of_who_called() {
    let begin = seed();
    on_each_runtime(limit(30), move |runtime, what| {
        let members: Vec<_> = (0..rounds(50))
            .map(|n| {
                runtime.spawn(move || {
                    let mut random = Random::new(begin + n);
                    wait_somehow(&mut random);
                    let pin = raddle::pin();
                    let home = thread_id();
                    let shared = Rc::new(Cell::new(0_u64));
                    let children: Vec<_> = (0..5)
                        .map(|n| {
                            let (shared, mut random) = (shared.clone(), random.clone());
                            raddle::spawn_local(move || {
                                for _ in 0..n + 1 {
                                    assert_eq!(thread_id(), home);
                                    wait_somehow(&mut random);
                                    assert_eq!(thread_id(), home);
                                    shared.set(shared.get() + 1);
                                }
                                // It is at home for life, so may call it too.
                                let inner = shared.clone();
                                raddle::spawn_local(move || inner).join().unwrap()
                            })
                        })
                        .collect();
                    // Free for a moment, in which nothing waits.
                    drop(pin);
                    let _pin = raddle::pin();
                    for child in children {
                        assert!(Rc::ptr_eq(&child.join().unwrap(), &shared));
                    }
                    assert_eq!(shared.get(), 15);
                    assert_eq!(Rc::strong_count(&shared), 1);
                })
            })
            .collect();
        for member in members {
            member
                .join()
                .unwrap_or_else(|_| panic!("{what}, seed {begin}"));
        }
    });
}

/// A pin of its own, made and dropped, must not take its home away.
#[test]
fn a_local_child_that_drops_a_pin_of_its_own_stays_at_home() {
    on_each_runtime(limit(20), |runtime, what| {
        for _ in 0..rounds(20) {
            runtime.run(|| {
                let _pin = raddle::pin();
                let home = thread_id();
                let child = raddle::spawn_local(move || {
                    for _ in 0..20 {
                        drop(raddle::pin());
                        raddle::time::sleep(Duration::from_micros(20));
                        assert_eq!(thread_id(), home);
                        // And it may still spawn where it is.
                        raddle::spawn_local(|| ()).join().unwrap();
                    }
                });
                // Something for others to steal meanwhile.
                for _ in 0..10 {
                    drop(raddle::spawn(|| burn(Duration::from_micros(50))));
                }
                child.join().expect(what);
            });
        }
    });
}

/// `!Send` keeps a guard on its thread, not in its goroutine.
#[test]
fn a_pin_guard_left_in_a_thread_local_may_be_dropped_by_another() {
    thread_local! {
        static LEFT: RefCell<Vec<PinGuard>> = const { RefCell::new(Vec::new()) };
    }
    /// Out of the thread-local before it is dropped.
    #[inline(never)]
    fn take_left() -> Vec<PinGuard> {
        LEFT.take()
    }
    #[inline(never)]
    fn leave(guard: PinGuard) {
        LEFT.with_borrow_mut(|left| left.push(guard));
    }
    on_each_runtime(limit(20), |runtime, what| {
        for round in 0..rounds(20) {
            let members: Vec<_> = (0..40)
                .map(|n| {
                    runtime.spawn(move || {
                        if n % 2 == 0 {
                            leave(raddle::pin());
                        } else {
                            // Of goroutines that have ended, or are beside.
                            drop(take_left());
                        }
                        raddle::yield_now();
                        // Its own count is not in disorder.
                        let _pin = raddle::pin();
                        let home = thread_id();
                        drop(take_left());
                        raddle::time::sleep(Duration::from_micros(50));
                        assert_eq!(thread_id(), home);
                    })
                })
                .collect();
            for member in members {
                member.join().unwrap_or_else(|_| panic!("{what}, {round}"));
            }
        }
    });
}

/// A goroutine that has a thread of its own shares it with local children.
#[test]
fn a_thread_of_ones_own_is_shared_with_local_children_only() {
    on_each_runtime(limit(30), |runtime, what| {
        for _ in 0..rounds(3) {
            runtime.run(|| {
                let stop = Arc::new(AtomicBool::new(false));
                let owners: Vec<_> = (0..3)
                    .map(|_| {
                        let stop = stop.clone();
                        let owner = raddle::Builder::new().own_thread(true).spawn(move || {
                            let home = thread_id();
                            let _pin = raddle::pin();
                            let child = raddle::spawn_local(move || {
                                raddle::yield_now();
                                thread_id() == home
                            });
                            assert!(child.join().unwrap());
                            while !stop.load(Relaxed) {
                                raddle::time::sleep(Duration::from_micros(50));
                                assert_eq!(thread_id(), home);
                            }
                            home
                        });
                        owner.unwrap()
                    })
                    .collect();
                let others: Vec<_> = (0..200)
                    .map(|_| {
                        raddle::spawn(|| {
                            raddle::yield_now();
                            thread_id()
                        })
                    })
                    .collect();
                let others: Vec<_> = others.into_iter().map(|o| o.join().unwrap()).collect();
                stop.store(true, Relaxed);
                let mut homes: Vec<_> = owners.into_iter().map(|o| o.join().unwrap()).collect();
                assert!(homes.iter().all(|home| !others.contains(home)), "{what}");
                homes.dedup();
                assert_eq!(homes.len(), 3, "{what}");
            });
        }
    });
}

/// A goroutine ended before it began is never run, pinned or not; one that is
/// local drops its closure on its own thread.
#[test]
fn a_local_closure_is_dropped_on_its_thread_when_the_runtime_ends() {
    struct Here(
        ThreadId,
        Arc<AtomicUsize>,
        #[expect(dead_code, reason = "makes it !Send")] Rc<()>,
    );
    impl Drop for Here {
        fn drop(&mut self) {
            if thread::current().id() == self.0 {
                self.1.fetch_add(1, Relaxed);
            }
        }
    }
    for mode in MODES {
        for procs in [1, 2, 4] {
            with_deadline(limit(20), &format!("{mode:?}, P = {procs}"), || {
                let runtime = runtime(mode, procs);
                let drops = Arc::new(AtomicUsize::new(0));
                let begun = WaitGroup::new();
                for _ in 0..10 {
                    begun.add(1);
                    let (drops, begun) = (drops.clone(), begun.clone());
                    drop(runtime.spawn(move || {
                        let _pin = raddle::pin();
                        for n in 0..5 {
                            let here = Here(thread_id(), drops.clone(), Rc::new(()));
                            drop(raddle::spawn_local(move || {
                                let _here = here;
                                if n % 2 == 0 {
                                    raddle::park();
                                }
                            }));
                        }
                        begun.done();
                        raddle::park();
                    }));
                }
                begun.wait();
                drop(runtime);
                assert_eq!(drops.load(Relaxed), 50, "{mode:?}, P = {procs}");
            });
        }
    }
}

/// Why the contract of migrate mode names it: the compiler may work a
/// thread-local's address out once a function. Only what is documented is
/// asserted: behind `#[inline(never)]` it is right; what an inlined access
/// does is shown, in a child, for it may be anything.
#[test]
fn a_thread_local_is_right_behind_a_function_that_is_not_inlined() {
    const NAME: &str = "a_thread_local_is_right_behind_a_function_that_is_not_inlined";
    thread_local! {
        static ID: Cell<Option<ThreadId>> = const { Cell::new(None) };
    }
    #[inline(never)]
    fn id_by_local() -> Option<ThreadId> {
        if ID.get().is_none() {
            ID.set(Some(thread::current().id()));
        }
        ID.get()
    }
    /// Where the variable of this thread is.
    #[inline(never)]
    fn address() -> usize {
        ID.with(ptr::from_ref) as usize
    }
    /// Whether it woke on another thread, and whether the body's own second
    /// look went to the first one's variable then.
    fn visit() -> (bool, bool) {
        let (before, looked) = (address(), ID.with(ptr::from_ref) as usize);
        raddle::park_timeout(Duration::from_millis(1));
        let looks = ID.with(ptr::from_ref) as usize;
        black_box(looked);
        let after = address();
        (before != after, looks != after)
    }
    let turns = rounds(300);
    if is_child() {
        with_deadline(limit(50), "migrate, P = 4", || {
            let runtime = runtime(Mode::Migrate, 4);
            let members: Vec<_> = (0..16)
                .map(|_| runtime.spawn(move || (0..turns).map(|_| visit()).collect::<Vec<_>>()))
                .collect();
            let visits: Vec<_> = members
                .into_iter()
                .flat_map(|m| m.join().unwrap())
                .collect();
            let moved = visits.iter().filter(|(moved, _)| *moved).count();
            let wrong = visits.iter().filter(|(_, wrong)| *wrong).count();
            println!("{moved} woke on another thread, {wrong} looked at the wrong one's");
            assert!(moved > 0, "nobody woke elsewhere: nothing is shown");
        });
        return;
    }
    with_deadline(limit(50), "migrate, P = 4", || {
        let runtime = runtime(Mode::Migrate, 4);
        let members: Vec<_> = (0..8)
            .map(|_| {
                runtime.spawn(move || {
                    for _ in 0..turns {
                        assert_eq!(id_by_local(), Some(thread_id()));
                        burn(Duration::from_micros(20));
                        raddle::time::sleep(Duration::from_micros(20));
                        assert_eq!(id_by_local(), Some(thread_id()));
                    }
                })
            })
            .collect();
        for member in members {
            member.join().unwrap();
        }
    });
    if cfg!(debug_assertions) {
        return;
    }
    let output = child(NAME, &[]);
    println!("inlined: {}", common::stdout(&output).trim());
    assert!(output.status.success(), "{}", stderr(&output));
}
