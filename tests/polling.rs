//! Loops that ask locks, clocks and handles again and again: they let happen
//! what they ask for, also when it is to happen at home on the same thread.
//! Those at channels are in `chan_polling.rs`.

mod common;
#[path = "common/places.rs"]
mod places;

use common::{MODES, limit, on_runtimes};
use places::runnable;
use raddle::chan::{Never, bounded};
use raddle::runtime::num_goroutines;
use raddle::sync::errgroup::Group;
use raddle::sync::{LazyLock, Once, OnceLock};
use raddle::sync::{Mutex, ReentrantMutex, RwLock, RwLockUpgradableReadGuard, Semaphore};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

// ORDER: Relaxed everywhere here: flags that stand for nothing else.

/// What a partner may take: many times what the design promises, for there
/// are other processes.
const SOON: Duration = Duration::from_secs(15);

/// `make` gives what to ask again and again, and what makes the answer a yes,
/// which waits at home on the only thread.
fn comes_true<A, M>(name: &str, make: impl Fn() -> (A, M) + Send + Sync + Clone)
where
    A: FnMut() -> bool,
    M: FnOnce() + Send + 'static,
{
    on_runtimes(&[1], &MODES, limit(60), |runtime, what| {
        let begin = Instant::now();
        runtime.run(|| {
            let (mut ask, come_true) = make();
            let partner = runnable(come_true);
            while !ask() {
                assert!(begin.elapsed() < SOON, "{name}, {what}");
            }
            partner.join().unwrap();
        });
    });
}

#[test]
fn a_loop_of_sleeps_of_no_time_lets_others_run() {
    comes_true("sleep", || {
        let flag = Arc::new(AtomicBool::new(false));
        let set = flag.clone();
        let ask = move || {
            raddle::time::sleep(Duration::ZERO);
            flag.load(Relaxed)
        };
        (ask, move || set.store(true, Relaxed))
    });
}

/// What others hold, and give back when they run.
struct Locks {
    mutex: Mutex<()>,
    reentrant: ReentrantMutex<()>,
    rwlock: RwLock<()>,
    semaphore: Semaphore,
    group: Group<()>,
}

impl Locks {
    fn new() -> Arc<Self> {
        let group = Group::new();
        group.set_limit(1);
        Arc::new(Self {
            mutex: Mutex::new(()),
            reentrant: ReentrantMutex::new(()),
            rwlock: RwLock::new(()),
            semaphore: Semaphore::new(1),
            group,
        })
    }
}

fn holding<G>(_guard: G, wait: &dyn Fn()) {
    wait();
}

/// Each asks for what a goroutine has that sleeps no more, holds it, and
/// waits for its turn to give it back.
#[test]
fn a_loop_of_failing_tries_lets_the_holder_give_back() {
    type Try = fn(&Locks) -> bool;
    type Hold = fn(&Locks, &dyn Fn());
    const TRIES: [(&str, Try, Hold); 13] = [
        (
            "Mutex::try_lock",
            |all| all.mutex.try_lock().is_some(),
            |all, wait| holding(all.mutex.lock(), wait),
        ),
        (
            "Mutex::is_locked",
            |all| !all.mutex.is_locked(),
            |all, wait| holding(all.mutex.lock(), wait),
        ),
        (
            "Mutex, as Debug shows it",
            |all| !format!("{:?}", all.mutex).contains("locked"),
            |all, wait| holding(all.mutex.lock(), wait),
        ),
        (
            "ReentrantMutex::try_lock",
            |all| all.reentrant.try_lock().is_some(),
            |all, wait| holding(all.reentrant.lock(), wait),
        ),
        (
            "ReentrantMutex::is_locked",
            |all| !all.reentrant.is_locked(),
            |all, wait| holding(all.reentrant.lock(), wait),
        ),
        (
            "RwLock::try_read",
            |all| all.rwlock.try_read().is_some(),
            |all, wait| holding(all.rwlock.write(), wait),
        ),
        (
            "RwLock::try_read_recursive",
            |all| all.rwlock.try_read_recursive().is_some(),
            |all, wait| holding(all.rwlock.write(), wait),
        ),
        (
            "RwLock::try_write",
            |all| all.rwlock.try_write().is_some(),
            |all, wait| holding(all.rwlock.read(), wait),
        ),
        (
            "RwLock::try_upgradable_read",
            |all| all.rwlock.try_upgradable_read().is_some(),
            |all, wait| holding(all.rwlock.upgradable_read(), wait),
        ),
        (
            "RwLockUpgradableReadGuard::try_upgrade",
            |all| RwLockUpgradableReadGuard::try_upgrade(all.rwlock.upgradable_read()).is_ok(),
            |all, wait| holding(all.rwlock.read(), wait),
        ),
        (
            "RwLock::is_locked_exclusive",
            |all| !all.rwlock.is_locked_exclusive() && !all.rwlock.is_locked(),
            |all, wait| holding(all.rwlock.write(), wait),
        ),
        (
            "Semaphore::try_acquire",
            |all| all.semaphore.try_acquire(1).is_some(),
            |all, wait| holding(all.semaphore.acquire(1), wait),
        ),
        (
            "errgroup::Group::try_go",
            |all| all.group.try_go(|| Ok(())),
            |all, wait| {
                let (done, ended) = bounded::<Never>(0);
                let (begun, begins) = bounded(1);
                all.group.go(move || {
                    begun.send(()).unwrap();
                    let _disconnected = ended.recv();
                    Ok(())
                });
                begins.recv().unwrap();
                wait();
                drop(done);
            },
        ),
    ];
    for (name, ask, hold) in TRIES {
        on_runtimes(&[1], &MODES, limit(60), |runtime, what| {
            let begin = Instant::now();
            runtime.run(|| {
                let locks = Locks::new();
                let (go, gate) = bounded::<()>(1);
                let (held_tx, held) = bounded::<()>(1);
                let holds = locks.clone();
                let holder = raddle::spawn(move || {
                    hold(&holds, &|| {
                        held_tx.send(()).unwrap();
                        gate.recv().unwrap();
                    });
                });
                held.recv().unwrap();
                assert!(!ask(&locks), "{name}, {what}");
                raddle::yield_now();
                go.send(()).unwrap();
                while !ask(&locks) {
                    assert!(begin.elapsed() < SOON, "{name}, {what}");
                }
                holder.join().unwrap();
                locks.group.wait().unwrap();
            });
        });
    }
}

#[test]
fn a_loop_that_waits_for_a_once_lets_it_happen() {
    comes_true("Once::is_completed", || {
        let once = Arc::new(Once::new());
        let other = once.clone();
        (move || once.is_completed(), move || other.call_once(|| ()))
    });
    comes_true("OnceLock::get", || {
        let place = Arc::new(OnceLock::new());
        let other = place.clone();
        (move || place.get().is_some(), move || other.set(5).unwrap())
    });
    comes_true("LazyLock::get", || {
        let lazy: Arc<LazyLock<u8>> = Arc::default();
        let other = lazy.clone();
        (
            move || LazyLock::get(&lazy).is_some(),
            move || assert_eq!(**other, 0),
        )
    });
}

#[test]
fn a_loop_that_counts_goroutines_lets_them_end() {
    comes_true("num_goroutines", || {
        let before = num_goroutines();
        // The partner is one more.
        (move || num_goroutines() <= before, || ())
    });
}
