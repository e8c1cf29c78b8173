//! Timers and tickers: stopped, set anew, fired, and all at once.

mod common;
#[path = "common/places.rs"]
mod places;

use common::{MODES, Random, limit, on_runtimes, rounds, runtime, seed, with_deadline};
use places::{Ledger, alone_everywhere, at_each_place};
use raddle::chan::{self, RecvTimeoutError, TryRecvError, select};
use raddle::time::{Ticker, Timer, after_func, sleep};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

const SHORT: Duration = Duration::from_millis(5);
const LONG: Duration = Duration::from_secs(3600);

#[test]
fn a_timer_fires_once_with_the_time_of_firing() {
    alone_everywhere(limit(10), || {
        let begin = Instant::now();
        let timer = Timer::new(SHORT);
        let moment = timer.chan().recv().unwrap();
        assert!(begin.elapsed() >= SHORT);
        assert!(moment >= begin + SHORT && moment <= Instant::now());
        assert_eq!(timer.chan().try_recv(), Err(TryRecvError::Empty));
        assert!(!timer.stop() && !timer.reset(SHORT));
        let moment = select! { recv(timer.chan()) -> moment => moment.unwrap() };
        assert!(moment >= begin + SHORT * 2);
        assert_eq!(
            timer.chan().recv_timeout(SHORT),
            Err(RecvTimeoutError::Timeout)
        );
    });
}

#[test]
fn a_timer_holds_nothing() {
    alone_everywhere(limit(10), || {
        let timer = Timer::new(Duration::ZERO);
        let ticker = Ticker::new(Duration::from_micros(1));
        sleep(SHORT);
        for rx in [timer.chan(), ticker.chan()] {
            assert_eq!((rx.len(), rx.capacity()), (0, Some(0)));
            assert!(rx.is_empty() && rx.is_full() && !rx.is_closed());
            assert!(rx.same_channel(&rx.clone()));
        }
        assert!(!timer.chan().same_channel(ticker.chan()));
        timer.chan().try_recv().unwrap();
        ticker.chan().try_recv().unwrap();
    });
}

/// Go 1.27: a timer that has fired and was not received was still to come.
#[test]
fn nothing_stale_after_stop_or_reset() {
    alone_everywhere(limit(10), || {
        let timer = Timer::new(Duration::ZERO);
        sleep(SHORT);
        assert!(timer.stop(), "fired, not received");
        assert!(!timer.stop());
        assert_eq!(timer.chan().try_recv(), Err(TryRecvError::Empty));
        assert!(!timer.reset(Duration::ZERO));
        sleep(SHORT);
        assert!(timer.reset(LONG), "fired, not received");
        assert_eq!(
            timer.chan().recv_timeout(SHORT),
            Err(RecvTimeoutError::Timeout)
        );
        assert!(timer.reset(Duration::MAX));
        assert!(timer.stop());

        let ticker = Ticker::new(Duration::from_micros(1));
        sleep(SHORT);
        ticker.stop();
        assert_eq!(ticker.chan().try_recv(), Err(TryRecvError::Empty));
        ticker.reset(LONG);
        assert_eq!(
            ticker.chan().recv_timeout(SHORT),
            Err(RecvTimeoutError::Timeout)
        );
        ticker.reset(SHORT);
        ticker.chan().recv().unwrap();
        ticker.chan().recv().unwrap();
    });
}

#[test]
fn an_interval_of_zero_panics() {
    alone_everywhere(limit(10), || {
        let text = |f: &dyn Fn()| {
            let payload = catch_unwind(AssertUnwindSafe(f)).unwrap_err();
            *payload.downcast::<&str>().unwrap()
        };
        assert_eq!(
            text(&|| drop(Ticker::new(Duration::ZERO))),
            "non-positive interval"
        );
        let ticker = Ticker::new(LONG);
        assert_eq!(
            text(&|| ticker.reset(Duration::ZERO)),
            "non-positive interval"
        );
        assert_eq!(ticker.chan().try_recv(), Err(TryRecvError::Empty));
    });
}

/// Who waits already sees the new time, whether it waits plainly, in a
/// selection, or for anything to be ready.
#[test]
fn a_reset_reaches_those_who_wait() {
    at_each_place(limit(20), |place| {
        for n in 0..rounds(20) {
            let timer = Arc::new(Timer::new(LONG));
            let (ready, waits) = chan::bounded(0);
            let (_open, other) = chan::bounded::<()>(0);
            let waiter = place.spawn({
                let timer = timer.clone();
                move || {
                    ready.send(()).unwrap();
                    let rx = timer.chan();
                    match n % 4 {
                        0 => rx.recv().is_ok(),
                        1 => rx.recv_timeout(LONG).is_ok(),
                        2 => select! {
                            recv(rx) -> it => it.is_ok(),
                            recv(other) -> _ => false,
                        },
                        _ => {
                            let mut all = chan::Select::new();
                            all.recv(&other);
                            all.recv(rx);
                            all.ready() == 1 && rx.try_recv().is_ok()
                        }
                    }
                }
            });
            waits.recv().unwrap();
            if n % 3 == 0 {
                sleep(Duration::from_micros(200));
            }
            match n % 2 {
                0 => assert!(timer.reset(Duration::from_micros(n % 5))),
                _ => {
                    assert!(timer.stop());
                    assert!(!timer.reset(Duration::ZERO));
                }
            }
            assert!(waiter.end(), "{n}, {}", place.name);
        }
    });
}

/// While others take messages too, and the timer fires just then: what is
/// received after a setting is of that setting.
#[test]
fn stop_reset_and_fire_race() {
    let begin = seed();
    at_each_place(limit(60), move |place| {
        let timer = Arc::new(Timer::new(Duration::ZERO));
        let (over, receives) = chan::bounded::<()>(0);
        let receivers: Vec<_> = (0..2)
            .map(|_| {
                let (timer, over) = (timer.clone(), receives.clone());
                place.spawn(move || {
                    loop {
                        select! {
                            recv(timer.chan()) -> it => assert!(it.unwrap() <= Instant::now()),
                            recv(over) -> _ => return,
                        }
                    }
                })
            })
            .collect();
        let mut random = Random::new(begin);
        for n in 0..rounds(3000) {
            let wait = random.micros(0..20);
            let now = Instant::now();
            if random.below(0..4) == 0 {
                timer.stop();
                assert!(timer.chan().try_recv().is_err(), "{}", place.name);
            } else {
                timer.reset(wait);
                if let Ok(moment) = timer.chan().try_recv() {
                    assert!(moment >= now + wait, "{}", place.name);
                }
            }
            if n % 16 == 0 {
                sleep(random.micros(0..40));
            }
        }
        drop(over);
        receivers.into_iter().for_each(|it| it.end());
    });
}

/// Of each setting that was not taken back one message came.
#[test]
fn each_setting_fires_or_is_taken_back() {
    let begin = seed();
    at_each_place(limit(60), move |place| {
        let timer = Arc::new(Timer::new(LONG));
        let (over, receives) = chan::bounded::<()>(0);
        let receiver = place.spawn({
            let timer = timer.clone();
            move || {
                let mut got = 0_u64;
                loop {
                    select! {
                        recv(timer.chan()) -> _ => got += 1,
                        recv(receives) -> _ => return got,
                    }
                }
            }
        });
        let mut random = Random::new(begin ^ 1);
        let (mut set, mut taken_back) = (1_u64, 0);
        for n in 0..rounds(3000) {
            if random.below(0..3) == 0 {
                taken_back += u64::from(timer.stop());
            } else {
                taken_back += u64::from(timer.reset(random.micros(0..15)));
                set += 1;
            }
            if n % 16 == 0 {
                sleep(random.micros(0..30));
            }
        }
        taken_back += u64::from(timer.stop());
        drop(over);
        assert_eq!(receiver.end() + taken_back, set, "{}", place.name);
    });
}

#[test]
fn ten_thousand_ticks_keep_step() {
    const PERIOD: Duration = Duration::from_micros(100);
    on_runtimes(&[2], &MODES, limit(20), |runtime, what| {
        runtime.run(|| {
            let ticker = Ticker::new(PERIOD);
            let first = ticker.chan().recv().unwrap();
            let mut last = first;
            while last < first + PERIOD * 10_000 {
                let moment = ticker.chan().recv().unwrap();
                let since = (moment - first).as_nanos();
                assert_eq!(since % PERIOD.as_nanos(), 0, "{what}");
                assert!(moment > last && moment <= Instant::now(), "{what}");
                last = moment;
            }
        });
    });
}

#[test]
fn a_ticker_drops_ticks_for_slow_receivers() {
    alone_everywhere(limit(10), || {
        let begin = Instant::now();
        let ticker = Ticker::new(SHORT);
        sleep(SHORT * 6);
        let woken = Instant::now();
        // The oldest is kept, the others are lost.
        let first = ticker.chan().try_recv().unwrap();
        assert!(first >= begin + SHORT && first < woken - SHORT * 3);
        let second = ticker.chan().recv().unwrap();
        assert!(second >= woken, "it was lost");
        assert_eq!((second - first).as_nanos() % SHORT.as_nanos(), 0);
    });
}

#[test]
fn after_func_calls_in_a_goroutine_of_its_own() {
    on_runtimes(&[1, 2, 4], &MODES, limit(10), |runtime, what| {
        runtime.run(|| {
            let (tx, rx) = chan::bounded(0);
            let begin = Instant::now();
            let before = raddle::runtime::num_goroutines();
            let timer = after_func(SHORT, move || {
                tx.send(raddle::current().id()).unwrap();
            });
            assert_eq!(raddle::runtime::num_goroutines(), before, "none before");
            assert_eq!(timer.chan().capacity(), Some(0));
            let first = rx.recv().unwrap();
            assert!(begin.elapsed() >= SHORT, "{what}");
            assert_ne!(first, raddle::current().id());
            assert!(!timer.stop() && !timer.reset(Duration::ZERO));
            assert_ne!(rx.recv().unwrap(), first, "{what}");
            assert!(!timer.reset(LONG));
            assert!(timer.reset(LONG) && timer.stop() && !timer.stop());
            assert_eq!(rx.recv_timeout(SHORT), Err(RecvTimeoutError::Timeout));
        });
    });
}

#[test]
fn after_func_works_from_threads() {
    with_deadline(limit(10), "threads", || {
        let (tx, rx) = chan::unbounded();
        for n in 0..50_u32 {
            let tx = tx.clone();
            let _goes_on = after_func(Duration::from_micros(u64::from(50 - n)), move || {
                tx.send(n).unwrap();
            });
        }
        let mut got: Vec<_> = rx.iter().take(50).collect();
        got.sort_unstable();
        assert!(got.into_iter().eq(0..50));
        // An idle machine sleeps for a later one.
        let late = after_func(LONG, || panic!("stopped"));
        thread::sleep(SHORT);
        let early = tx.clone();
        let _early = after_func(SHORT, move || early.send(99).unwrap());
        assert_eq!(rx.recv(), Ok(99));
        assert!(late.stop());
    });
}

/// All pending at once, set anew, stopped: none fires, and what is left is
/// what was there before.
#[test]
fn a_million_timers_come_and_go() {
    const MANY: u64 = 1_000_000;
    /// A function costs a place in a heap; a channel nobody waits at does not.
    const FUNCTIONS: u64 = MANY / 4;
    on_runtimes(&[2], &MODES, limit(60), |runtime, what| {
        runtime.run(|| {
            let ledger = Ledger::new();
            let set = |n: u64| {
                let wait = LONG + Duration::from_nanos(n * 7919 % MANY);
                if n < FUNCTIONS {
                    let value = ledger.value(n);
                    after_func(wait, move || panic!("{} fired", value.number))
                } else {
                    Timer::new(wait)
                }
            };
            let timers: Vec<_> = (0..MANY).map(set).collect();
            assert_eq!(raddle::runtime::num_goroutines(), 1, "{what}");
            assert!(timers.iter().step_by(3).all(|it| it.reset(LONG * 2)));
            // They hold up nobody.
            let begin = Instant::now();
            Timer::new(SHORT).chan().recv().unwrap();
            assert!(begin.elapsed() >= SHORT);
            assert!(timers.iter().all(Timer::stop), "{what}");
            assert!(!timers.iter().any(Timer::stop), "{what}");
            drop(timers);
            ledger.settled("functions");
        });
    });
}

/// Each setting of a function is a call, or was taken back.
#[test]
fn functions_are_called_or_taken_back() {
    let begin = seed();
    at_each_place(limit(60), move |place| {
        let calls = Arc::new(AtomicUsize::new(0));
        let (tx, rx) = chan::unbounded();
        let timer = after_func(LONG, {
            let calls = calls.clone();
            move || {
                // ORDER: SeqCst: a test's count.
                calls.fetch_add(1, SeqCst);
                let _over = tx.send(());
            }
        });
        let mut random = Random::new(begin);
        let (mut set, mut taken_back) = (1, 0);
        for n in 0..rounds(2000) {
            if random.below(0..3) == 0 {
                taken_back += usize::from(timer.stop());
            } else {
                taken_back += usize::from(timer.reset(random.micros(0..15)));
                set += 1;
            }
            if n % 16 == 0 {
                sleep(random.micros(0..30));
            }
        }
        taken_back += usize::from(timer.stop());
        for _ in 0..set - taken_back {
            rx.recv().unwrap();
        }
        assert_eq!(calls.load(SeqCst) + taken_back, set, "{}", place.name);
        assert!(rx.try_recv().is_err());
    });
}

/// What is still to come does not keep a runtime, and nothing of it leaks.
#[test]
fn a_runtime_ends_with_timers_to_come() {
    for mode in MODES {
        with_deadline(limit(20), &format!("{mode:?}"), || {
            for n in 0..rounds(30) {
                let ledger = Ledger::new();
                let runtime = runtime(mode, 2);
                let timers: Vec<_> = runtime.run(|| {
                    let set = |wait| {
                        let value = ledger.value(1);
                        after_func(wait, move || {
                            assert!(value.number == 1);
                        })
                    };
                    let soon = (0..20).map(|n| set(Duration::from_micros(n * 20)));
                    soon.chain([set(LONG), set(LONG)]).collect()
                });
                if n % 2 == 0 {
                    thread::sleep(Duration::from_micros(n * 10));
                }
                drop(runtime);
                // They outlive it, and do nothing any more.
                assert!(!timers[21].stop() && !timers[21].reset(Duration::ZERO));
                drop(timers);
                ledger.settled("timers");
            }
        });
    }
}
