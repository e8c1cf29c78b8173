//! Receivers that time fills: `after`, `at`, `tick`, and `never`, which
//! nothing fills.

mod common;
#[path = "common/places.rs"]
mod places;

use common::{Random, limit, rounds, seed};
use places::{Place, alone_everywhere, at_each_place};
use raddle::chan::{self, Receiver, RecvTimeoutError, TryRecvError, select};
use std::time::{Duration, Instant};

const SHORT: Duration = Duration::from_millis(10);
const LONG: Duration = Duration::from_secs(1000);

fn past() -> Instant {
    let now = Instant::now();
    now.checked_sub(Duration::from_secs(1)).unwrap_or(now)
}

#[test]
fn after_delivers_its_moment_once() {
    alone_everywhere(limit(10), || {
        let begin = Instant::now();
        let rx = chan::after(SHORT);
        let end = Instant::now();
        let moment = rx.recv().unwrap();
        assert!(begin.elapsed() >= SHORT);
        // The moment when it was due, whenever somebody looks.
        assert!(moment >= begin + SHORT && moment <= end + SHORT);
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(rx.recv_timeout(SHORT), Err(RecvTimeoutError::Timeout));
        assert_eq!(rx.try_iter().next(), None);
    });
}

#[test]
fn at_delivers_the_very_moment() {
    alone_everywhere(limit(10), || {
        let when = Instant::now() + SHORT;
        let rx = chan::at(when);
        assert_eq!(rx.recv(), Ok(when));
        assert!(Instant::now() >= when);
        assert_eq!(rx.recv_timeout(SHORT), Err(RecvTimeoutError::Timeout));
        // What is past is there at once.
        let when = past();
        let rx = chan::at(when);
        assert!(!rx.is_empty());
        assert_eq!(rx.try_recv(), Ok(when));
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
        let rx = chan::at(when);
        assert_eq!(rx.recv_timeout(Duration::ZERO), Ok(when));
        let rx = chan::after(Duration::ZERO);
        assert!(rx.try_recv().unwrap() <= Instant::now());
    });
}

#[test]
fn they_hold_one_message() {
    fn empty<T>(rx: &Receiver<T>) {
        assert!(rx.is_empty() && !rx.is_full());
        assert_eq!((rx.len(), rx.capacity()), (0, Some(1)));
    }
    fn full<T>(rx: &Receiver<T>) {
        assert!(!rx.is_empty() && rx.is_full());
        assert_eq!((rx.len(), rx.capacity()), (1, Some(1)));
    }
    alone_everywhere(limit(10), || {
        empty(&chan::after(LONG));
        empty(&chan::at(Instant::now() + LONG));
        empty(&chan::tick(LONG));
        let fired = [chan::after(SHORT), chan::at(past()), chan::tick(SHORT)];
        raddle::time::sleep(SHORT + Duration::from_millis(1));
        fired.iter().for_each(full);
        for rx in &fired[..2] {
            rx.recv().unwrap();
            empty(rx);
        }
    });
}

#[test]
fn never_is_full_and_empty_and_silent() {
    const CONSTANT: Receiver<String> = chan::never();
    static STATIC: Receiver<u8> = chan::never();
    alone_everywhere(limit(10), || {
        let rx = CONSTANT;
        assert!(rx.is_empty() && rx.is_full());
        assert_eq!((rx.len(), rx.capacity()), (0, Some(0)));
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
        for timeout in [Duration::ZERO, SHORT] {
            assert_eq!(rx.recv_timeout(timeout), Err(RecvTimeoutError::Timeout));
        }
        assert_eq!(rx.recv_deadline(past()), Err(RecvTimeoutError::Timeout));
        assert_eq!(rx.try_iter().next(), None);
        assert_eq!(STATIC.clone().try_recv(), Err(TryRecvError::Empty));
        select! {
            recv(rx) -> _ => panic!("never"),
            recv(STATIC) -> _ => panic!("never"),
            default(SHORT) => {}
        }
    });
}

#[test]
fn timeouts_beyond_all_time_are_for_ever() {
    alone_everywhere(limit(10), || {
        for rx in [chan::after(Duration::MAX), chan::tick(Duration::MAX)] {
            assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
            assert_eq!(rx.recv_timeout(SHORT), Err(RecvTimeoutError::Timeout));
        }
    });
}

#[test]
fn handles_of_one_timer_know_each_other() {
    let (after, tick) = (chan::after(LONG), chan::tick(LONG));
    assert!(after.same_channel(&after.clone()));
    assert!(tick.same_channel(&tick.clone()));
    assert!(!after.same_channel(&tick) && !tick.same_channel(&after));
    assert!(!after.same_channel(&chan::after(LONG)));
    assert!(!tick.same_channel(&chan::tick(LONG)));
    assert!(!chan::never::<Instant>().same_channel(&after));
    assert!(!chan::unbounded().1.same_channel(&after));
}

#[test]
fn a_tick_comes_again_and_again_and_not_early() {
    alone_everywhere(limit(10), || {
        let begin = Instant::now();
        let rx = chan::tick(SHORT);
        let mut last = begin;
        for n in 1..=5 {
            let moment = match n % 4 {
                0 => rx.recv().unwrap(),
                1 => rx.recv_timeout(LONG).unwrap(),
                2 => rx.iter().next().unwrap(),
                _ => select! { recv(rx) -> it => it.unwrap() },
            };
            let now = Instant::now();
            assert!(now >= begin + SHORT * n, "{n}");
            assert!(moment > last && moment <= now, "{n}");
            assert!(moment >= begin + SHORT * n, "{n}");
            last = moment;
        }
    });
}

/// Ticks are not saved up: one waits, the others are lost.
#[test]
fn ticks_are_dropped_for_slow_receivers() {
    const PERIOD: Duration = Duration::from_millis(5);
    alone_everywhere(limit(10), || {
        let begin = Instant::now();
        let rx = chan::tick(PERIOD);
        raddle::time::sleep(PERIOD * 10);
        assert_eq!(rx.len(), 1);
        let woken = Instant::now();
        // The one that waited is as old as it is.
        let first = rx.try_recv().unwrap();
        assert!(first >= begin + PERIOD && first < woken - PERIOD * 5);
        let mut seen = 1;
        while woken.elapsed() < PERIOD * 4 {
            seen += u128::from(rx.try_recv().is_ok());
            raddle::yield_now();
        }
        let most = woken.elapsed().as_nanos() / PERIOD.as_nanos() + 1;
        assert!(seen <= most, "{seen} and not {most}");
    });
}

#[test]
fn a_tick_of_no_time_is_always_there() {
    alone_everywhere(limit(10), || {
        let rx = chan::tick(Duration::ZERO);
        for _ in 0..20 {
            rx.try_recv().unwrap();
            rx.recv().unwrap();
            select! {
                recv(rx) -> it => it.unwrap(),
                default => panic!("always"),
            };
        }
    });
}

#[test]
fn the_moment_goes_to_one_of_those_who_wait() {
    at_each_place(limit(20), |place| {
        for _ in 0..rounds(5) {
            let rx = chan::after(Duration::from_millis(1));
            let members: Vec<_> = (0..4)
                .map(|n| {
                    let rx = rx.clone();
                    place.spawn(move || match n % 3 {
                        0 => rx.recv_timeout(SHORT).is_ok(),
                        1 => select! {
                            recv(rx) -> it => it.is_ok(),
                            default(SHORT) => false,
                        },
                        _ => {
                            raddle::time::sleep(Duration::from_millis(2));
                            rx.try_recv().is_ok()
                        }
                    })
                })
                .collect();
            let winners = members.into_iter().map(|it| u64::from(it.end()));
            // None: all of them may have been too late to wait at all.
            let winners: u64 = winners.sum();
            let left = u64::from(rx.recv_timeout(SHORT).is_ok());
            assert_eq!(winners + left, 1, "{}", place.name);
        }
    });
}

/// So many ticks as there were periods, over all who receive them.
#[test]
fn many_receivers_share_the_ticks() {
    const PERIOD: Duration = Duration::from_millis(2);
    at_each_place(limit(20), |place| {
        let begin = Instant::now();
        let rx = chan::tick(PERIOD);
        let members: Vec<_> = (0..3)
            .map(|_| {
                let rx = rx.clone();
                place.spawn(move || (0..5).map(|_| rx.recv().unwrap()).collect::<Vec<_>>())
            })
            .collect();
        let mut all: Vec<_> = members.into_iter().flat_map(|it| it.end()).collect();
        assert!(begin.elapsed() >= PERIOD * 15, "{}", place.name);
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count, "{}", place.name);
    });
}

#[test]
fn a_receiver_of_time_may_be_dropped_while_it_is_due() {
    let begin = seed();
    at_each_place(limit(20), move |place| {
        let mut random = Random::new(begin);
        for _ in 0..rounds(50) {
            let (wait, linger) = (random.micros(0..300), random.micros(0..300));
            let rx = chan::after(wait);
            let tick = chan::tick(wait);
            let member = place.spawn(move || {
                let _waits = (rx.recv_timeout(linger), tick.recv_timeout(linger));
            });
            member.end();
        }
    });
}

/// A loop that ends after a while, as every program has one.
#[test]
fn a_select_loop_ends_by_its_after() {
    fn run(place: &Place) {
        let (tx, rx) = chan::bounded(1);
        let feeder = place.spawn(move || {
            let mut sent = 0_u64;
            while tx.send(sent).is_ok() {
                sent += 1;
            }
            sent
        });
        let (end, tick) = (chan::after(SHORT * 2), chan::tick(SHORT / 10));
        let (mut sum, mut ticks) = (0, 0_u64);
        loop {
            select! {
                recv(rx) -> it => {
                    assert_eq!(it, Ok(sum));
                    sum += 1;
                }
                recv(tick) -> _ => ticks += 1,
                recv(end) -> _ => break,
            }
        }
        drop(rx);
        let sent = feeder.end();
        assert!(sent - sum <= 1, "{sent} and {sum}");
        assert!(sum > 0 && ticks > 0, "{sum} and {ticks}");
    }
    at_each_place(limit(20), run);
}
