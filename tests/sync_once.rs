//! Once, OnceLock, LazyLock, once_func, once_value: one run, seen by all.

mod common;
#[path = "common/places.rs"]
mod places;

use common::{MODES, ON_PURPOSE, is_on_purpose, limit, rounds, runtime, with_deadline};
use places::{Member, at_each_place};
use raddle::sync::{LazyLock, Once, OnceLock, once_func, once_value};
use std::fmt::Debug;
use std::ops::DerefMut;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

// ORDER: Relaxed everywhere here: what a Once orders is tested.

#[test]
fn it_runs_once_and_all_see_it() {
    at_each_place(limit(30), |place| {
        for _ in 0..rounds(10) {
            let shared = Arc::new((Once::new(), AtomicU64::new(0)));
            let members: Vec<_> = (0..8)
                .map(|n| {
                    let shared = shared.clone();
                    place.spawn(move || {
                        let (once, count) = &*shared;
                        if n == 0 {
                            once.wait();
                        } else {
                            once.call_once(|| {
                                raddle::yield_now();
                                count.store(count.load(Relaxed) + 1, Relaxed);
                            });
                        }
                        assert!(once.is_completed());
                        count.load(Relaxed)
                    })
                })
                .collect();
            for member in members {
                assert_eq!(member.end(), 1, "{}", place.name);
            }
        }
    });
}

#[test]
fn a_panic_poisons_and_force_mends() {
    at_each_place(limit(30), |place| {
        let what = &place.name;
        let once = Arc::new(Once::new());
        let panics = catch_unwind(AssertUnwindSafe(|| {
            once.call_once(|| panic_any(ON_PURPOSE))
        }));
        assert!(is_on_purpose(panics.unwrap_err().as_ref()), "{what}");
        assert!(!once.is_completed(), "{what}");
        let again = catch_unwind(AssertUnwindSafe(|| once.call_once(|| unreachable!())));
        assert!(again.is_err(), "{what}");
        assert!(catch_unwind(AssertUnwindSafe(|| once.wait())).is_err());
        let other = once.clone();
        let waits = place.spawn(move || other.wait_force());
        let mut was_poisoned = false;
        once.call_once_force(|state| was_poisoned = state.is_poisoned());
        assert!(was_poisoned && once.is_completed(), "{what}");
        waits.end();
        once.call_once(|| unreachable!());
        once.wait();
    });
}

/// Those who wait for a closure that panics: `call_once` panics, the next
/// `call_once_force` runs.
#[test]
fn who_waits_for_a_closure_that_panics() {
    at_each_place(limit(30), |place| {
        for _ in 0..rounds(5) {
            let once = Arc::new(Once::new());
            let come = Arc::new(AtomicU64::new(0));
            let (other, come2) = (once.clone(), come.clone());
            let panics = place.spawn(move || {
                other.call_once(|| {
                    while come2.fetch_add(0, Relaxed) < 4 {
                        raddle::yield_now();
                    }
                    panic_any(ON_PURPOSE);
                });
            });
            let members: Vec<_> = (0..4)
                .map(|n| {
                    let (once, come) = (once.clone(), come.clone());
                    place.spawn(move || {
                        come.fetch_add(1, Relaxed);
                        once.call_once_force(|_| ());
                        n
                    })
                })
                .collect();
            for member in members {
                member.end();
            }
            let _either = panics.join();
            assert!(once.is_completed(), "{}", place.name);
        }
    });
}

#[test]
fn a_once_lock_is_written_once() {
    at_each_place(limit(30), |place| {
        let what = &place.name;
        let lock = Arc::new(OnceLock::new());
        let other = lock.clone();
        let waits = place.spawn(move || *other.wait());
        assert!(
            catch_unwind(AssertUnwindSafe(
                || lock.get_or_init(|| panic_any(ON_PURPOSE))
            ))
            .is_err()
        );
        assert_eq!(lock.get(), None, "{what}");
        let members: Vec<_> = (1..=8_u64)
            .map(|n| {
                let lock = lock.clone();
                place.spawn(move || {
                    if n % 2 == 0 {
                        lock.set(n).map_or_else(|n| (n, *lock.wait()), |()| (n, n))
                    } else {
                        (n, *lock.get_or_init(|| n))
                    }
                })
            })
            .collect();
        let seen: Vec<_> = members.into_iter().map(Member::end).collect();
        let value = waits.end();
        assert!(seen.iter().all(|it| it.1 == value), "{what}: {seen:?}");
        assert_eq!(lock.set(9), Err(9), "{what}");
    });
}

#[test]
fn a_once_lock_has_stds_shape() {
    static PLACE: OnceLock<Vec<u32>> = OnceLock::new();
    with_deadline(limit(20), "", || {
        assert_eq!(format!("{PLACE:?}"), "OnceLock(<uninit>)");
        assert_eq!(PLACE.set(vec![1]), Ok(()));
        let mut copy = PLACE.clone();
        assert_eq!(copy, PLACE);
        copy.get_mut().unwrap().push(2);
        assert_ne!(copy, PLACE);
        assert_eq!(copy.take(), Some(vec![1, 2]));
        assert_eq!(copy.get(), None);
        assert_eq!(copy.get_or_init(Vec::new).len(), 0);
        assert_eq!(OnceLock::from(7).into_inner(), Some(7));
        assert_eq!(OnceLock::<u8>::default().into_inner(), None);
    });
}

#[test]
fn a_lazy_lock_is_made_at_first_use() {
    static STATIC: LazyLock<String> = LazyLock::new(|| "twill".into());
    at_each_place(limit(30), |place| {
        assert_eq!(STATIC.len(), 5);
        let count = Arc::new(AtomicU64::new(0));
        let lazy = {
            let count = count.clone();
            Arc::new(LazyLock::new(move || {
                raddle::yield_now();
                count.fetch_add(1, Relaxed) + 7
            }))
        };
        assert!(format!("{lazy:?}").contains("uninit"));
        let members: Vec<_> = (0..8)
            .map(|_| {
                let lazy = lazy.clone();
                place.spawn(move || **lazy)
            })
            .collect();
        for member in members {
            assert_eq!(member.end(), 7, "{}", place.name);
        }
        assert_eq!(count.load(Relaxed), 1, "{}", place.name);
        assert_eq!(format!("{lazy:?}"), "LazyLock(7)");
        let broken = LazyLock::<u32, _>::new(|| panic_any(ON_PURPOSE));
        for _ in 0..3 {
            assert!(catch_unwind(AssertUnwindSafe(|| *broken)).is_err());
        }
    });
}

/// Item by item, compared by the compiler.
#[test]
fn a_lazy_lock_has_stds_shape() {
    use std::sync::LazyLock as Std;
    macro_rules! alike {
        ($($item:ident: $form:ty = $std:ty;)*) => {$(
            let _ours: $form = LazyLock::$item;
            let _stds: $std = Std::$item;
        )*};
    }
    type Make = fn() -> u8;
    alike! {
        new: fn(Make) -> LazyLock<u8> = fn(Make) -> Std<u8>;
        force: fn(&LazyLock<u8>) -> &u8 = fn(&Std<u8>) -> &u8;
        force_mut: fn(&mut LazyLock<u8>) -> &mut u8 = fn(&mut Std<u8>) -> &mut u8;
        get: fn(&LazyLock<u8>) -> Option<&u8> = fn(&Std<u8>) -> Option<&u8>;
        get_mut: fn(&mut LazyLock<u8>) -> Option<&mut u8> = fn(&mut Std<u8>) -> Option<&mut u8>;
    }
    fn derefs<T: DerefMut<Target = u8> + Default + Debug>(_: &T) {}
    derefs(&LazyLock::<u8>::default());
    derefs(&Std::<u8>::default());
}

#[test]
fn a_lazy_lock_that_is_ones_own_is_changed_in_place() {
    let mut lazy = LazyLock::new(|| 5);
    assert_eq!(LazyLock::get(&lazy), None);
    assert_eq!(LazyLock::get_mut(&mut lazy), None);
    *lazy += 1;
    assert_eq!(LazyLock::get(&lazy), Some(&6));
    *LazyLock::get_mut(&mut lazy).unwrap() += 1;
    *LazyLock::force_mut(&mut lazy) += 1;
    assert_eq!(*lazy, 8);
    let mut broken: LazyLock<u8> = LazyLock::new(|| panic_any(ON_PURPOSE));
    for _ in 0..2 {
        assert!(catch_unwind(AssertUnwindSafe(|| *broken = 5)).is_err());
        assert_eq!(LazyLock::get(&broken), None);
    }
}

#[test]
fn a_once_func_runs_once_and_a_once_value_is_the_same() {
    at_each_place(limit(30), |place| {
        let count = Arc::new(AtomicU64::new(0));
        let counts = {
            let count = count.clone();
            move || {
                raddle::yield_now();
                count.fetch_add(1, Relaxed).to_string()
            }
        };
        let value = once_value(counts.clone());
        let func = once_func(move || drop(counts()));
        let members: Vec<_> = (0..8)
            .map(|_| {
                let (func, value) = (func.clone(), value.clone());
                place.spawn(move || {
                    func();
                    value()
                })
            })
            .collect();
        let values: Vec<_> = members.into_iter().map(Member::end).collect();
        assert!(values.iter().all(|it| *it == values[0]), "{values:?}");
        assert_eq!(count.load(Relaxed), 2, "{}", place.name);
    });
}

/// Each call panics; the payload is the same text.
#[test]
fn a_once_func_panics_again_and_again() {
    with_deadline(limit(20), "", || {
        let func = once_func(|| panic_any(ON_PURPOSE));
        let value = once_value(|| -> u32 { panic_any(ON_PURPOSE) });
        let other = once_func(|| panic_any(7_u8));
        for round in 0..3 {
            let payload = catch_unwind(AssertUnwindSafe(&func)).unwrap_err();
            assert!(is_on_purpose(payload.as_ref()), "{round}");
            let payload = catch_unwind(AssertUnwindSafe(&value)).unwrap_err();
            assert!(is_on_purpose(payload.as_ref()), "{round}");
            let payload = catch_unwind(AssertUnwindSafe(&other)).unwrap_err();
            assert_eq!(payload.is::<u8>(), round == 0, "{round}");
        }
    });
}

/// A runtime ends while one runs the closure and others wait for it: all are
/// unwound, and a thread that waits mends it.
#[test]
fn shutdown_ends_who_runs_and_who_waits() {
    for mode in MODES {
        with_deadline(limit(20), &format!("{mode:?}"), || {
            for _ in 0..rounds(10) {
                let runtime = runtime(mode, 2);
                let lock = Arc::new(OnceLock::new());
                let (running, began) = raddle::chan::bounded(0);
                for _ in 0..4 {
                    let (lock, running) = (lock.clone(), running.clone());
                    drop(runtime.spawn(move || {
                        lock.get_or_init(|| {
                            let _nobody_waits = running.send(());
                            raddle::time::sleep(std::time::Duration::from_secs(1000));
                            1
                        });
                    }));
                }
                began.recv().unwrap();
                drop(began);
                let other = lock.clone();
                let thread = std::thread::spawn(move || *other.get_or_init(|| 2));
                drop(runtime);
                assert_eq!(thread.join().unwrap(), 2);
            }
        });
    }
}
