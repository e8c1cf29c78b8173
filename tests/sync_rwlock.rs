//! RwLock: many readers or one writer, who goes before whom, changes of role,
//! deadlines, and waiters that are ended.

mod common;
#[path = "common/places.rs"]
mod places;
#[path = "common/turns.rs"]
mod turns;

use common::{MODES, Mode, ON_PURPOSE, OnDrop, Random, comes_true, is_on_purpose, on_runtimes};
use common::{limit, rounds, runtime, seed, waiting, with_deadline};
use places::{Member, at_each_place};
use raddle::sync::{RwLock, RwLockReadGuard, RwLockUpgradableReadGuard, RwLockWriteGuard};
use raddle::{JoinHandle, yield_now};
use std::panic::panic_any;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use turns::Turns;

// ORDER: Relaxed everywhere here: counts; what the lock has to order is
// tested with values of its own.

const SHORT: Duration = Duration::from_millis(2);
const LONG: Duration = Duration::from_secs(1000);

/// While somebody reads: until a writer waits.
fn until_a_writer_waits<T>(lock: &RwLock<T>) {
    while lock.try_read().is_some() {
        yield_now();
    }
}

/// A value with who is at it: -1 for a writer, else readers.
#[derive(Default)]
struct Watched {
    users: AtomicI64,
    value: u64,
}

impl Watched {
    fn read(&self, between: impl FnOnce()) -> u64 {
        assert!(self.users.fetch_add(1, Relaxed) >= 0, "a writer is in");
        between();
        self.users.fetch_sub(1, Relaxed);
        self.value
    }

    fn write(&mut self, between: impl FnOnce()) {
        assert_eq!(self.users.swap(-1, Relaxed), 0, "somebody is in");
        between();
        self.value += 1;
        self.users.store(0, Relaxed);
    }
}

#[test]
fn readers_read_at_once_and_a_writer_is_alone() {
    at_each_place(limit(60), |place| {
        let lock = Arc::new(RwLock::new(Watched::default()));
        let turns = rounds(100);
        let members: Vec<_> = (0..8)
            .map(|n| {
                let lock = lock.clone();
                place.spawn(move || {
                    let mut seen = 0;
                    for turn in 0..turns {
                        let between = || {
                            if (n + turn) % 5 == 0 {
                                yield_now();
                            }
                        };
                        if (n + turn) % 4 == 0 {
                            lock.write().write(between);
                        } else {
                            let value = lock.read().read(between);
                            assert!(value >= seen, "it went back");
                            seen = value;
                        }
                    }
                })
            })
            .collect();
        members.into_iter().for_each(Member::end);
        assert_eq!(lock.read().value, 2 * turns, "{}", place.name);
        assert!(!lock.is_locked(), "{}", place.name);
    });
}

/// All are in at the same time: each waits for the others in there.
#[test]
fn readers_wait_for_each_other_inside() {
    at_each_place(limit(30), |place| {
        let lock = Arc::new(RwLock::new(AtomicU64::new(0)));
        let members: Vec<_> = (0..6)
            .map(|_| {
                let lock = lock.clone();
                place.spawn(move || {
                    let inside = lock.read();
                    inside.fetch_add(1, Relaxed);
                    while inside.load(Relaxed) < 6 {
                        yield_now();
                    }
                })
            })
            .collect();
        members.into_iter().for_each(Member::end);
    });
}

/// With a reader in, a writer waits; then a new reader waits, and sees what
/// the writer wrote.
#[test]
fn a_reader_behind_a_waiting_writer_waits() {
    at_each_place(limit(30), |place| {
        for _ in 0..rounds(5) {
            let lock = Arc::new(RwLock::new(0));
            let first = lock.read();
            let (other, third) = (lock.clone(), lock.clone());
            let writer = place.spawn(move || *other.write() += 1);
            until_a_writer_waits(&lock);
            assert!(lock.try_read().is_none(), "{}", place.name);
            assert!(lock.try_read_for(SHORT).is_none(), "{}", place.name);
            assert!(lock.try_write().is_none(), "{}", place.name);
            assert_eq!(lock.try_read_recursive().map(|it| *it), Some(0));
            assert_eq!(*lock.read_recursive(), 0, "{}", place.name);
            let reader = place.spawn(move || *third.read());
            assert_eq!(*first, 0, "{}", place.name);
            drop(first);
            assert_eq!(reader.end(), 1, "{}", place.name);
            writer.end();
        }
    });
}

/// Readers who waited before a second writer, and those who came after it, go
/// in when the first leaves.
#[test]
fn readers_go_in_between_two_writers() {
    on_runtimes(&[1, 2, 4], &MODES, limit(20), |runtime, what| {
        runtime.run(|| {
            let lock = Arc::new(RwLock::new(0));
            let mut first = lock.write();
            let reader = |lock: &Arc<RwLock<u32>>| {
                let lock = lock.clone();
                waiting("sync.RWMutex.RLock", move || *lock.read())
            };
            let before = [reader(&lock), reader(&lock)];
            let second = {
                let lock = lock.clone();
                waiting("sync.RWMutex.Lock", move || *lock.write() += 10)
            };
            let after = reader(&lock);
            *first += 1;
            drop(first);
            for reader in before {
                assert_eq!(reader.join().unwrap(), 1, "{what}");
            }
            assert_eq!(after.join().unwrap(), 1, "{what}");
            second.join().unwrap();
            assert_eq!(*lock.read(), 11, "{what}");
        });
    });
}

fn read_often(who: u64, lock: &RwLock<()>, turns: &Turns) {
    for _ in 0..100 {
        let _inside = lock.read();
        turns.note(who);
    }
}

/// Beside eight who `read_often`: few find it in another's hands.
fn write_often(lock: &RwLock<()>, turns: &Turns, readers: Vec<JoinHandle<()>>, what: &str) {
    for _ in 0..100 {
        let _inside = lock.write();
        turns.note(8);
    }
    readers.into_iter().for_each(|it| it.join().unwrap());
    let changes = turns.changes();
    assert!(changes < 200, "{changes} switches for 900, {what}");
}

/// All have come to stand in line once. On one processor that passes: it does
/// not cost a switch for each operation from then on. Pinned, they may be at
/// home on several machines.
#[test]
fn a_line_does_not_last() {
    on_runtimes(&[1], &[Mode::Migrate], limit(20), |runtime, what| {
        runtime.run(|| {
            let lock = Arc::new(RwLock::new(()));
            let turns = Arc::new(Turns::default());
            let first = lock.write();
            let readers: Vec<_> = (0..8)
                .map(|who| {
                    let (lock, turns) = (lock.clone(), turns.clone());
                    waiting("sync.RWMutex.RLock", move || read_often(who, &lock, &turns))
                })
                .collect();
            drop(first);
            write_often(&lock, &turns, readers, what);
        });
    });
}

/// Two lines that the writer lets in by turns: while one yields, the other is
/// let in. They do not last either.
#[test]
fn two_lines_do_not_last() {
    on_runtimes(&[1], &[Mode::Migrate], limit(20), |runtime, what| {
        runtime.run(|| {
            let lock = Arc::new(RwLock::new(()));
            let turns = Arc::new(Turns::default());
            let first = lock.write();
            let mut readers: Vec<_> = (0..4)
                .map(|who| {
                    let (lock, turns) = (lock.clone(), turns.clone());
                    waiting("sync.RWMutex.RLock", move || {
                        let inside = lock.read();
                        // The others come, and find the writer that waits.
                        yield_now();
                        drop(inside);
                        read_often(who, &lock, &turns);
                    })
                })
                .collect();
            readers.extend((4..8).map(|who| {
                let (lock, turns) = (lock.clone(), turns.clone());
                raddle::spawn(move || read_often(who, &lock, &turns))
            }));
            drop(first);
            write_often(&lock, &turns, readers, what);
        });
    });
}

/// Readers that come without end do not keep a writer out, nor writers a
/// reader.
#[test]
fn neither_side_starves() {
    at_each_place(limit(60), |place| {
        for hogs_write in [false, true] {
            let lock = Arc::new(RwLock::new(false));
            let hogs: Vec<_> = (0..4)
                .map(|_| {
                    let lock = lock.clone();
                    place.spawn(move || {
                        loop {
                            let is_over = if hogs_write {
                                let it = lock.write();
                                yield_now();
                                *it
                            } else {
                                let it = lock.read();
                                yield_now();
                                *it
                            };
                            if is_over {
                                return;
                            }
                        }
                    })
                })
                .collect();
            for _ in 0..20 {
                if hogs_write {
                    assert!(!*lock.read());
                } else {
                    assert!(!*lock.write());
                }
            }
            *lock.write() = true;
            hogs.into_iter().for_each(Member::end);
        }
    });
}

#[test]
fn a_try_never_waits_and_a_deadline_is_kept() {
    at_each_place(limit(30), |place| {
        let what = &place.name;
        let lock = RwLock::new(0);
        let past = Instant::now();
        {
            let _reader = lock.read();
            assert!(lock.is_locked() && !lock.is_locked_exclusive(), "{what}");
            assert!(lock.try_read().is_some(), "{what}");
            assert!(lock.try_write().is_none(), "{what}");
            let begin = Instant::now();
            assert!(lock.try_write_for(SHORT).is_none(), "{what}");
            assert!(begin.elapsed() >= SHORT, "{what}");
            assert!(lock.try_write_until(past).is_none(), "{what}");
            // Who gave up keeps nobody out.
            assert!(lock.try_read().is_some(), "{what}");
        }
        {
            let _writer = lock.write();
            assert!(lock.is_locked_exclusive(), "{what}");
            assert!(lock.try_read().is_none(), "{what}");
            assert!(lock.try_read_recursive().is_none(), "{what}");
            assert!(lock.try_upgradable_read().is_none(), "{what}");
            let soon = Instant::now() + SHORT;
            assert!(lock.try_read_until(soon).is_none(), "{what}");
            assert!(Instant::now() >= soon, "{what}");
            assert!(lock.try_read_recursive_for(SHORT).is_none(), "{what}");
            assert!(lock.try_write_for(Duration::ZERO).is_none(), "{what}");
            assert!(lock.try_upgradable_read_for(SHORT).is_none(), "{what}");
        }
        for timeout in [Duration::ZERO, SHORT, Duration::MAX] {
            *lock.try_write_for(timeout).expect("free") += 1;
            assert!(lock.try_read_for(timeout).is_some(), "{what}");
            assert!(lock.try_upgradable_read_for(timeout).is_some(), "{what}");
        }
        assert!(!lock.is_locked(), "{what}");
        assert_eq!(lock.into_inner(), 3, "{what}");
    });
}

/// A writer whose time is over lets the readers in that wait behind it.
#[test]
fn a_writer_that_gives_up_lets_readers_in() {
    at_each_place(limit(30), |place| {
        for _ in 0..rounds(5) {
            let lock = Arc::new(RwLock::new(0));
            let first = lock.read();
            let (other, third) = (lock.clone(), lock.clone());
            let writer = place.spawn(move || other.try_write_for(3 * SHORT).is_some());
            let reader = place.spawn(move || *third.read());
            assert!(!writer.end(), "{}", place.name);
            assert_eq!(reader.end(), 0, "{}", place.name);
            drop(first);
            assert!(lock.try_write().is_some(), "{}", place.name);
        }
    });
}

#[test]
fn roles_change_without_a_gap() {
    at_each_place(limit(30), |place| {
        let what = &place.name;
        let lock = Arc::new(RwLock::new(0));
        let mut writer = lock.write();
        *writer += 1;
        let reader = RwLockWriteGuard::downgrade(writer);
        assert!(lock.try_read().is_some() && lock.try_write().is_none());
        drop(reader);

        let upgradable = lock.upgradable_read();
        assert!(lock.try_upgradable_read().is_none(), "{what}");
        assert!(lock.try_write().is_none(), "{what}");
        let reader = lock.read();
        let Err(upgradable) = RwLockUpgradableReadGuard::try_upgrade(upgradable) else {
            panic!("{what}: a reader is in");
        };
        let Err(upgradable) = RwLockUpgradableReadGuard::try_upgrade_for(upgradable, SHORT) else {
            panic!("{what}: a reader is in");
        };
        assert!(lock.try_read().is_some(), "{what}");
        drop(reader);
        let mut writer = RwLockUpgradableReadGuard::upgrade(upgradable);
        assert!(lock.try_read().is_none(), "{what}");
        *writer += 1;
        let upgradable = RwLockWriteGuard::downgrade_to_upgradable(writer);
        assert!(lock.try_read().is_some() && lock.try_write().is_none());
        let reader = RwLockUpgradableReadGuard::downgrade(upgradable);
        assert!(lock.try_upgradable_read().is_some(), "{what}");
        assert_eq!(*reader, 2, "{what}");
        let part = RwLockReadGuard::map(reader, |value| value);
        drop(part);

        // Many look, and write what they have looked at: none is lost.
        let members: Vec<_> = (0..6)
            .map(|_| {
                let lock = lock.clone();
                place.spawn(move || {
                    for _ in 0..rounds(20) {
                        let looks = lock.upgradable_read();
                        let value = *looks;
                        yield_now();
                        *RwLockUpgradableReadGuard::upgrade(looks) = value + 1;
                        let _reader = lock.read();
                    }
                })
            })
            .collect();
        members.into_iter().for_each(Member::end);
        assert_eq!(*lock.read(), 2 + 6 * rounds(20), "{what}");
    });
}

#[test]
fn a_panic_inside_unlocks_and_poisons_nothing() {
    at_each_place(limit(20), |place| {
        let lock = Arc::new(RwLock::new(0));
        for reads in [true, false] {
            let other = lock.clone();
            let panics = place.spawn(move || {
                let _held = (reads.then(|| other.read()), (!reads).then(|| other.write()));
                panic_any(ON_PURPOSE);
            });
            let payload = panics.join().unwrap_err();
            assert!(is_on_purpose(payload.as_ref()), "{}", place.name);
            assert!(!lock.is_locked(), "{}", place.name);
        }
    });
}

/// A runtime ends while readers and writers wait for a lock that this thread
/// holds, for reading and for writing.
#[test]
fn shutdown_ends_those_who_wait() {
    for mode in MODES {
        for procs in [1, 2] {
            let what = format!("{mode:?}, P = {procs}");
            with_deadline(limit(30), &what, || {
                for round in 0..rounds(10) {
                    let lock = Arc::new(RwLock::new(0));
                    let runtime = runtime(mode, procs);
                    let held = (
                        (round % 2 == 0).then(|| lock.read()),
                        (round % 2 == 1).then(|| lock.write()),
                    );
                    let (come, ended) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
                    for n in 0..12 {
                        let (lock, come, ended) = (lock.clone(), come.clone(), ended.clone());
                        drop(runtime.spawn(move || {
                            let _ended = OnDrop(|| {
                                ended.fetch_add(1, Relaxed);
                            });
                            come.fetch_add(1, Relaxed);
                            match n % 4 {
                                0 => *lock.write() += 1,
                                1 => drop(lock.read()),
                                2 => {
                                    let looks = lock.upgradable_read();
                                    *RwLockUpgradableReadGuard::upgrade(looks) += 1;
                                }
                                _ => *lock.try_write_for(LONG).expect("long") += 1,
                            }
                        }));
                    }
                    assert!(comes_true(limit(5), || come.load(Relaxed) == 12), "{what}");
                    drop(runtime);
                    assert_eq!(ended.load(Relaxed), 12, "{what}");
                    drop(held);
                    assert!(!lock.is_locked(), "{what}");
                    assert_eq!(*lock.try_write().expect("free"), 0, "{what}");
                }
            });
        }
    }
}

/// Guards that are bumped while their runtime ends unlock what they have.
#[test]
fn shutdown_meets_bumps() {
    for mode in MODES {
        for procs in [1, 2] {
            let what = format!("{mode:?}, P = {procs}");
            with_deadline(limit(20), &what, || {
                for _ in 0..rounds(10) {
                    let runtime = runtime(mode, procs);
                    let lock = Arc::new(RwLock::new(Watched::default()));
                    let turns = Arc::new(AtomicU64::new(0));
                    for n in 0..6 {
                        let (lock, turns) = (lock.clone(), turns.clone());
                        drop(runtime.spawn(move || {
                            if n % 2 == 0 {
                                let mut it = lock.write();
                                loop {
                                    it.write(|| ());
                                    turns.fetch_add(1, Relaxed);
                                    RwLockWriteGuard::bump(&mut it);
                                    yield_now();
                                }
                            }
                            let mut it = lock.read();
                            loop {
                                it.read(|| ());
                                RwLockReadGuard::bump(&mut it);
                                yield_now();
                            }
                        }));
                    }
                    assert!(comes_true(limit(5), || turns.load(Relaxed) > 100), "{what}");
                    drop(runtime);
                    assert!(!lock.is_locked(), "{what}");
                    lock.try_write().expect("free").write(|| ());
                }
            });
        }
    }
}

#[test]
fn it_is_a_static_and_shows_itself() {
    static LOCK: RwLock<(u32, u32)> = RwLock::new((1, 2));
    with_deadline(limit(20), "", || {
        let writer = LOCK.write();
        assert_eq!(format!("{LOCK:?}"), "RwLock { data: <locked> }");
        let mut part = RwLockWriteGuard::map(writer, |it| &mut it.1);
        *part += 1;
        drop(part);
        assert_eq!(format!("{LOCK:?}"), "RwLock { data: (1, 3) }");
    });
}

/// Everything at once, by seed.
#[test]
fn many_use_it_in_every_way() {
    let begin = seed();
    at_each_place(limit(90), move |place| {
        let lock = Arc::new(RwLock::new(Watched::default()));
        let members: Vec<_> = (0..8)
            .map(|n| {
                let lock = lock.clone();
                place.spawn(move || {
                    let mut random = Random::new(begin + n);
                    let mut writes = 0;
                    for _ in 0..rounds(100) {
                        let pause = random.below(0..6);
                        let between = || match pause {
                            0 => yield_now(),
                            1 => raddle::time::sleep(Duration::from_micros(20)),
                            _ => {}
                        };
                        let timeout = random.micros(0..100);
                        match random.below(0..9) {
                            0..3 => drop(lock.read().read(between)),
                            3 => {
                                if let Some(it) = lock.try_read_for(timeout) {
                                    it.read(between);
                                    let again = lock.read_recursive();
                                    again.read(|| ());
                                }
                            }
                            4 => {
                                if let Some(mut it) = lock.try_write_for(timeout) {
                                    it.write(between);
                                    writes += 1;
                                }
                            }
                            5 => {
                                let mut it = lock.write();
                                it.write(between);
                                RwLockWriteGuard::bump(&mut it);
                                yield_now();
                                it.write(|| ());
                                RwLockWriteGuard::unlock_fair(it);
                                writes += 2;
                            }
                            6 => {
                                let mut it = lock.write();
                                it.write(|| ());
                                writes += 1;
                                let it = RwLockWriteGuard::downgrade(it);
                                it.read(between);
                            }
                            7 => {
                                let it = lock.upgradable_read();
                                it.read(between);
                                let up = RwLockUpgradableReadGuard::try_upgrade_for(it, timeout);
                                if let Ok(mut it) = up {
                                    it.write(|| ());
                                    writes += 1;
                                }
                            }
                            _ => {
                                if let Some(mut it) = lock.try_write() {
                                    it.write(between);
                                    writes += 1;
                                }
                            }
                        }
                    }
                    writes
                })
            })
            .collect();
        let writes: u64 = members.into_iter().map(Member::end).sum();
        let what = format!("{}, seed {begin}", place.name);
        assert_eq!(lock.read().value, writes, "{what}");
        assert!(!lock.is_locked(), "{what}");
    });
}
