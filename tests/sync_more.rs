//! Barrier, ReentrantMutex, Pool; and what may be sent.

mod common;
#[path = "common/places.rs"]
mod places;

use common::{MODES, Random, limit, rounds, runtime, seed, with_deadline};
use places::{Ledger, Member, Value, at_each_place};
use raddle::sync::errgroup;
use raddle::sync::singleflight;
use raddle::sync::{
    Barrier, Condvar, LazyLock, MappedMutexGuard, MappedRwLockReadGuard, MappedRwLockWriteGuard,
    Mutex, MutexGuard, Once, OnceLock, Permit, Pool, ReentrantMutex, ReentrantMutexGuard, RwLock,
    RwLockReadGuard, RwLockUpgradableReadGuard, RwLockWriteGuard, Semaphore, WaitGroup,
};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

// ORDER: Relaxed everywhere here: what a barrier orders is tested, and counts.

#[test]
fn nobody_passes_a_barrier_before_all_have_come() {
    at_each_place(limit(30), |place| {
        let barrier = Arc::new(Barrier::new(6));
        let come = Arc::new(AtomicU64::new(0));
        let turns = rounds(20);
        let members: Vec<_> = (0..6)
            .map(|_| {
                let (barrier, come) = (barrier.clone(), come.clone());
                place.spawn(move || {
                    let mut leads = 0;
                    for turn in 1..=turns {
                        come.fetch_add(1, Relaxed);
                        leads += u64::from(barrier.wait().is_leader());
                        assert!(come.load(Relaxed) >= 6 * turn);
                        barrier.wait();
                    }
                    leads
                })
            })
            .collect();
        let leads: u64 = members.into_iter().map(Member::end).sum();
        assert_eq!(leads, turns, "{}", place.name);
        for size in [0, 1] {
            assert!(Barrier::new(size).wait().is_leader(), "{}", place.name);
        }
    });
}

/// Those whose runtime ends have not come: the others still wait for two.
#[test]
fn who_is_ended_at_a_barrier_has_not_come() {
    for mode in MODES {
        with_deadline(limit(20), &format!("{mode:?}"), || {
            for _ in 0..rounds(10) {
                let runtime = runtime(mode, 1);
                let barrier = Arc::new(Barrier::new(2));
                let other = barrier.clone();
                drop(runtime.spawn(move || {
                    other.wait();
                    unreachable!("nobody else came");
                }));
                runtime.run(raddle::yield_now);
                drop(runtime);
                let other = barrier.clone();
                let thread = std::thread::spawn(move || other.wait().is_leader());
                let leads = barrier.wait().is_leader();
                assert_ne!(thread.join().unwrap(), leads);
            }
        });
    }
}

#[test]
fn its_holder_may_lock_it_again_and_nobody_else() {
    at_each_place(limit(30), |place| {
        let what = &place.name;
        let mutex = Arc::new(ReentrantMutex::new(Cell::new(0)));
        let outer = mutex.lock();
        let inner = mutex.try_lock().expect("it is ours");
        assert!(mutex.is_owned_by_current_thread(), "{what}");
        let other = mutex.clone();
        let tries = place.spawn(move || {
            assert!(!other.is_owned_by_current_thread());
            other.try_lock().is_some() || other.try_lock_for(Duration::from_millis(1)).is_some()
        });
        assert!(!tries.end(), "{what}");
        drop(outer);
        let other = mutex.clone();
        assert!(!place.spawn(move || other.try_lock().is_some()).end());
        let mut inner = inner;
        ReentrantMutexGuard::bump(&mut inner);
        drop(inner);
        let other = mutex.clone();
        assert!(place.spawn(move || other.try_lock().is_some()).end());
        assert!(!mutex.is_locked(), "{what}");
    });
}

/// Held across parks, in whatever thread they end.
#[test]
fn a_reentrant_mutex_counts_every_turn() {
    at_each_place(limit(60), |place| {
        let mutex = Arc::new(ReentrantMutex::new(Cell::new(0)));
        let turns = rounds(50);
        let members: Vec<_> = (0..8)
            .map(|_| {
                let mutex = mutex.clone();
                place.spawn(move || {
                    for _ in 0..turns {
                        let outer = mutex.lock();
                        let was = outer.get();
                        raddle::yield_now();
                        let inner = mutex.lock();
                        inner.set(was + 1);
                        drop(outer);
                        raddle::yield_now();
                        assert_eq!(inner.get(), was + 1);
                    }
                })
            })
            .collect();
        members.into_iter().for_each(Member::end);
        assert_eq!(mutex.lock().get(), 8 * turns, "{}", place.name);
    });
}

/// What is got is the getter's alone, and each value is dropped once.
#[test]
fn a_pool_gives_each_value_to_one() {
    at_each_place(limit(60), |place| {
        let begin = seed();
        let ledger = Ledger::new();
        let made = Arc::new(AtomicU64::new(0));
        let pool = {
            let (ledger, made) = (ledger.clone(), made.clone());
            Arc::new(Pool::<(Value, AtomicU64)>::new(move || {
                let number = made.fetch_add(1, Relaxed);
                (ledger.value(number), AtomicU64::new(0))
            }))
        };
        let members: Vec<_> = (0..8)
            .map(|n| {
                let pool = pool.clone();
                place.spawn(move || {
                    let mut random = Random::new(begin + n);
                    for _ in 0..rounds(100) {
                        let value = pool.get();
                        assert_eq!(value.1.fetch_add(1, Relaxed), 0, "seed {begin}");
                        if random.below(0..3) == 0 {
                            raddle::yield_now();
                        }
                        value.1.fetch_sub(1, Relaxed);
                        pool.put(value);
                    }
                })
            })
            .collect();
        members.into_iter().for_each(Member::end);
        drop(pool);
        ledger.settled(&place.name);
    });
}

#[test]
fn a_pool_gives_back_what_one_put_and_keeps_no_more_than_it_may() {
    with_deadline(limit(20), "", || {
        let pool = Pool::new(|| 0);
        assert_eq!(pool.get(), 0);
        pool.put(7);
        assert_eq!((pool.get(), pool.get()), (7, 0));
        let ledger = Ledger::new();
        let pool = Pool::new(|| unreachable!("not asked for"));
        for n in 0..10_000 {
            pool.put(ledger.value(n));
        }
        assert!(ledger.dropped() > 0);
        drop(pool);
        ledger.settled("a full pool");
    });
}

/// Of no type that is `Send`: there it could be either of two.
trait IsNotSend<Either> {
    fn it_is_not() {}
}

impl<T> IsNotSend<()> for T {}

impl<T: Send> IsNotSend<u8> for T {}

#[test]
fn guards_stay_with_their_goroutine_and_the_rest_may_go() {
    fn may_go<T: Send + Sync>() {}

    <MutexGuard<'_, u8> as IsNotSend<_>>::it_is_not();
    <MappedMutexGuard<'_, u8> as IsNotSend<_>>::it_is_not();
    <RwLockReadGuard<'_, u8> as IsNotSend<_>>::it_is_not();
    <RwLockWriteGuard<'_, u8> as IsNotSend<_>>::it_is_not();
    <RwLockUpgradableReadGuard<'_, u8> as IsNotSend<_>>::it_is_not();
    <MappedRwLockReadGuard<'_, u8> as IsNotSend<_>>::it_is_not();
    <MappedRwLockWriteGuard<'_, u8> as IsNotSend<_>>::it_is_not();
    <ReentrantMutexGuard<'_, u8> as IsNotSend<_>>::it_is_not();
    may_go::<(Mutex<u8>, RwLock<u8>, ReentrantMutex<Cell<u8>>, Condvar)>();
    may_go::<(Once, OnceLock<u8>, LazyLock<u8>, Barrier, WaitGroup)>();
    may_go::<(Semaphore, Permit, Pool<Cell<u8>>)>();
    may_go::<(errgroup::Group<Cell<u8>>, singleflight::Group<u8, Cell<u8>>)>();
}
