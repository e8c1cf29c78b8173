//! Nobody starves: whoever can run does so within a bounded time, at P = 1.

mod common;

use common::{MODES, Mode, best, burn, comes_true, on_runtimes, runtime, with_deadline};
use raddle::sync::WaitGroup;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

// ORDER: Relaxed everywhere here: flags to stop by and counts to compare;
// joins order what is checked at the end.

const LIMIT: Duration = Duration::from_secs(20);
/// What a goroutine may have to wait, with room for a slow test machine.
const SOON: Duration = Duration::from_millis(500);

/// Ends endless goroutines.
#[derive(Clone, Default)]
struct Stop(Arc<AtomicBool>);

impl Stop {
    fn asked(&self) -> bool {
        self.0.load(Relaxed)
    }

    fn ask(&self) {
        self.0.store(true, Relaxed);
    }

    /// Asks when it is dropped: after a failed assertion too, so that the
    /// runtime can be dropped.
    fn at_the_end(&self) -> AtTheEnd {
        AtTheEnd(self.clone())
    }
}

struct AtTheEnd(Stop);

impl Drop for AtTheEnd {
    fn drop(&mut self) {
        self.0.ask();
    }
}

/// Waits on a plain thread until `count` has grown by `by`; how long it took.
fn grows(count: &AtomicU64, by: u64, what: &str) -> Duration {
    grows_from(count, count.load(Relaxed), by, what)
}

/// As `grows`, from `from` on.
fn grows_from(count: &AtomicU64, from: u64, by: u64, what: &str) -> Duration {
    let begin = Instant::now();
    while count.load(Relaxed) < from + by {
        assert!(
            begin.elapsed() < Duration::from_secs(5),
            "{what} starves: {} of {by} turns in 5 s",
            count.load(Relaxed) - from
        );
        thread::sleep(Duration::from_millis(1));
    }
    begin.elapsed()
}

#[test]
fn every_member_of_a_yield_ring_gets_its_turns() {
    on_runtimes(&[1], &MODES, LIMIT, |runtime, what| {
        // The last one to begin may be a few turns late. One whose thread loses
        // its CPU in the midst of a turn is left behind by all others.
        let mut gaps = Vec::new();
        let is_fair = (0..5).any(|_| {
            gaps.push(runtime.run(gap_in_a_yield_ring));
            gaps.last() <= Some(&200)
        });
        assert!(is_fair, "{what}: somebody was {gaps:?} turns behind");
    });
}

fn gap_in_a_yield_ring() -> u64 {
    const TURNS: u64 = 2_000;
    let counts: Arc<Vec<AtomicU64>> = Arc::new((0..10).map(|_| AtomicU64::new(0)).collect());
    let gap = Arc::new(AtomicU64::new(0));
    let group = WaitGroup::new();
    for me in 0..10 {
        let (counts, gap) = (counts.clone(), gap.clone());
        group.go(move || {
            for turn in 1..=TURNS {
                counts[me].store(turn, Relaxed);
                let least = counts.iter().map(|c| c.load(Relaxed)).min().unwrap();
                gap.fetch_max(turn - least, Relaxed);
                raddle::yield_now();
            }
        });
    }
    group.wait();
    gap.load(Relaxed)
}

/// A pair that wakes one another is always in the slot of the goroutine woken
/// last; a third must get its turns all the same.
#[test]
fn a_pair_that_wakes_one_another_does_not_starve_a_third() {
    on_runtimes(&[1], &MODES, LIMIT, |runtime, what| {
        let stop = Stop::default();
        let _stop = stop.at_the_end();
        let third = Arc::new(AtomicU64::new(0));
        let (stop2, third2) = (stop.clone(), third.clone());
        let all = runtime.spawn(move || {
            let stop = stop2.clone();
            let pong = raddle::spawn(move || {
                let mut turns = 0_u64;
                while !stop.asked() {
                    raddle::park();
                    turns += 1;
                    let ping = PING.lock().unwrap().clone();
                    if let Some(ping) = ping {
                        ping.unpark();
                    }
                }
                turns
            });
            let stop = stop2.clone();
            let pong_goroutine = pong.goroutine().clone();
            let ping = raddle::spawn(move || {
                *PING.lock().unwrap() = Some(raddle::current());
                while !stop.asked() {
                    pong_goroutine.unpark();
                    raddle::park();
                }
                pong_goroutine.unpark();
            });
            let stop = stop2;
            let third = raddle::spawn(move || {
                while !stop.asked() {
                    third2.fetch_add(1, Relaxed);
                    raddle::yield_now();
                }
            });
            for member in [ping, third] {
                member.join().unwrap();
            }
            pong.join().unwrap()
        });
        // Nothing to order it by: the pair must be in full swing.
        while third.load(Relaxed) == 0 {
            thread::yield_now();
        }
        let took = grows(&third, 20, what);
        stop.ask();
        let turns = all.join().unwrap();
        assert!(
            took < SOON,
            "{what}: 20 turns of the third took {took:?} ({turns} ping-pongs)"
        );
    });
}

static PING: std::sync::Mutex<Option<raddle::Goroutine>> = std::sync::Mutex::new(None);

#[test]
fn endless_spawners_do_not_starve_old_goroutines() {
    on_runtimes(&[1], &MODES, LIMIT, |runtime, what| {
        let stop = Stop::default();
        let _stop = stop.at_the_end();
        let old = Arc::new(AtomicU64::new(0));
        let (stop2, old2) = (stop.clone(), old.clone());
        let yielder = runtime.spawn(move || {
            while !stop2.asked() {
                old2.fetch_add(1, Relaxed);
                raddle::yield_now();
            }
        });
        grows(&old, 1, what);
        // Each spawns the next before it ends: there is always a new one.
        fn chain(stop: Stop) {
            if !stop.asked() {
                let next = stop.clone();
                drop(raddle::spawn(move || chain(next)));
                burn(Duration::from_micros(20));
            }
        }
        for _ in 0..4 {
            let stop = stop.clone();
            drop(runtime.spawn(move || chain(stop)));
        }
        let took = grows(&old, 20, what);
        stop.ask();
        yielder.join().unwrap();
        assert!(took < SOON, "{what}: 20 turns of the old one took {took:?}");
    });
}

/// The shared queue is looked at first now and then; when turns are long
/// that is every turn, and what threads spawn must not crowd out the rest.
#[test]
fn threads_that_spawn_without_end_do_not_starve_old_goroutines() {
    on_runtimes(&[1], &MODES, LIMIT, |runtime, what| {
        let stop = Stop::default();
        let _stop = stop.at_the_end();
        let old = Arc::new(AtomicU64::new(0));
        let (stop2, old2) = (stop.clone(), old.clone());
        let yielder = runtime.spawn(move || {
            while !stop2.asked() {
                old2.fetch_add(1, Relaxed);
                raddle::yield_now();
            }
        });
        grows(&old, 1, what);
        let waiting = Arc::new(AtomicU64::new(0));
        thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.asked() {
                    // Always some in the queue, never more than a few.
                    if waiting.load(Relaxed) < 20 {
                        waiting.fetch_add(1, Relaxed);
                        let waiting = waiting.clone();
                        drop(runtime.spawn(move || {
                            burn(Duration::from_micros(300));
                            waiting.fetch_sub(1, Relaxed);
                        }));
                    } else {
                        thread::sleep(Duration::from_micros(50));
                    }
                }
            });
            let begin = Instant::now();
            let from = old.load(Relaxed);
            while begin.elapsed() < Duration::from_secs(2) && old.load(Relaxed) < from + 100 {
                thread::sleep(Duration::from_millis(1));
            }
            let turns = old.load(Relaxed) - from;
            let took = begin.elapsed();
            stop.ask();
            yielder.join().unwrap();
            assert!(
                turns >= 100,
                "{what}: the old one had {turns} turns in {took:?}"
            );
        });
    });
}

/// Goroutines that never rest keep a machine's own queue full; the slot for
/// the one woken last must be looked at all the same.
#[test]
fn a_goroutine_in_the_next_slot_runs_beside_pinned_ones_that_never_rest() {
    on_runtimes(&[1], &[Mode::Migrate], LIMIT, |runtime, what| {
        let stop = Stop::default();
        let _stop = stop.at_the_end();
        let woken = Arc::new(AtomicU64::new(0));
        let (stop2, woken2) = (stop.clone(), woken.clone());
        let all = runtime.spawn(move || {
            let stop = stop2.clone();
            let sleeper = raddle::spawn(move || {
                while !stop.asked() {
                    raddle::park();
                    woken2.fetch_add(1, Relaxed);
                }
            });
            let members: Vec<_> = (0..2)
                .map(|_| {
                    let (stop, sleeper) = (stop2.clone(), sleeper.goroutine().clone());
                    raddle::spawn(move || {
                        let _pin = raddle::pin();
                        while !stop.asked() {
                            sleeper.unpark();
                            raddle::yield_now();
                        }
                        sleeper.unpark();
                    })
                })
                .collect();
            for member in members {
                member.join().unwrap();
            }
            sleeper.join().unwrap();
        });
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(2) && woken.load(Relaxed) < 20 {
            thread::sleep(Duration::from_millis(1));
        }
        let (turns, took) = (woken.load(Relaxed), begin.elapsed());
        stop.ask();
        all.join().unwrap();
        assert!(turns >= 20, "{what}: woken {turns} times in {took:?}");
    });
}

/// Pinned, one whose timer is due at each turn went first in 64 turns out of
/// 65, however long they were.
#[test]
fn an_unpark_from_a_thread_reaches_a_busy_processor() {
    on_runtimes(&[1], &MODES, LIMIT, |runtime, what| {
        let stop = Stop::default();
        let _stop = stop.at_the_end();
        let woken = Arc::new(AtomicU64::new(0));
        let (stop2, woken2) = (stop.clone(), woken.clone());
        let sleeper = runtime.spawn(move || {
            while !stop2.asked() {
                raddle::park();
                woken2.fetch_add(1, Relaxed);
            }
        });
        let turns = Arc::new(AtomicU64::new(0));
        let (stop2, turns2) = (stop.clone(), turns.clone());
        let busy = runtime.spawn(move || {
            while !stop2.asked() {
                burn(Duration::from_millis(2));
                turns2.fetch_add(1, Relaxed);
                raddle::time::sleep(Duration::from_micros(1));
            }
        });
        let (mut worst, mut beside) = (Duration::ZERO, 0);
        for _ in 0..100 {
            let (from, begin) = (woken.load(Relaxed), Instant::now());
            let first = turns.load(Relaxed);
            sleeper.goroutine().unpark();
            while woken.load(Relaxed) == from {
                assert!(
                    begin.elapsed() < Duration::from_secs(5),
                    "{what}: never woken"
                );
                thread::sleep(Duration::from_micros(100));
            }
            worst = worst.max(begin.elapsed());
            beside += turns.load(Relaxed) - first;
        }
        stop.ask();
        sleeper.goroutine().unpark();
        sleeper.join().unwrap();
        busy.join().unwrap();
        assert!(worst < SOON, "{what}: one wake took {worst:?}");
        assert!(
            beside <= 1600,
            "{what}: 100 wakes waited for {beside} turns"
        );
    });
}

/// Two machines with goroutines at home, one processor: both must come to
/// run, however short the turns of the one that has it.
#[test]
fn machines_share_one_processor_when_their_goroutines_yield_without_end() {
    with_deadline(LIMIT, "pinned, P = 2 then 1", || {
        let runtime = runtime(Mode::Pinned, 2);
        let stop = Stop::default();
        let _stop = stop.at_the_end();
        let counts: Arc<[AtomicU64; 2]> = Arc::default();
        // A goroutine that holds its machine until the other has begun
        // elsewhere: so they have two homes.
        let begun: Arc<[AtomicBool; 2]> = Arc::default();
        let members: Vec<_> = (0..2)
            .map(|me| {
                let (stop, counts, begun) = (stop.clone(), counts.clone(), begun.clone());
                runtime.spawn(move || {
                    begun[me].store(true, Relaxed);
                    while !begun[1 - me].load(Relaxed) {
                        std::hint::spin_loop();
                    }
                    let id = thread::current().id();
                    // Two on this machine, so that turns are real.
                    let stop2 = stop.clone();
                    let _pin = raddle::pin();
                    let partner = raddle::spawn_local(move || {
                        while !stop2.asked() {
                            raddle::yield_now();
                        }
                    });
                    while !stop.asked() {
                        counts[me].fetch_add(1, Relaxed);
                        raddle::yield_now();
                    }
                    partner.join().unwrap();
                    id
                })
            })
            .collect();
        grows(&counts[0], 1, "the first");
        grows(&counts[1], 1, "the second");
        let was = runtime.run(|| raddle::runtime::set_max_procs(1));
        assert_eq!(was, 2);
        for _ in 0..5 {
            grows(&counts[0], 1, "the first");
            grows(&counts[1], 1, "the second");
        }
        stop.ask();
        let ids: Vec<_> = members.into_iter().map(|m| m.join().unwrap()).collect();
        assert_ne!(ids[0], ids[1], "the test did not make two homes");
    });
}

/// A machine that was stuck has lost its processor. Those at home there wait
/// in line, and whoever has it now must give way although its turns are
/// short.
#[test]
fn a_goroutine_runs_on_after_its_machine_was_stuck_beside_endless_yielders() {
    with_deadline(LIMIT, "pinned, P = 1", || {
        let runtime = runtime(Mode::Pinned, 1);
        let stop = Stop::default();
        let _stop = stop.at_the_end();
        let (turns, back) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (stop2, back2) = (stop.clone(), back.clone());
        let stuck_one = runtime.spawn(move || {
            thread::sleep(Duration::from_millis(200));
            while !stop2.asked() {
                raddle::yield_now();
                back2.fetch_add(1, Relaxed);
            }
        });
        // They wait behind it, and get a machine of their own.
        let yielders: Vec<_> = (0..2)
            .map(|_| {
                let (stop, turns) = (stop.clone(), turns.clone());
                runtime.spawn(move || {
                    while !stop.asked() {
                        turns.fetch_add(1, Relaxed);
                        raddle::yield_now();
                    }
                })
            })
            .collect();
        grows(&turns, 1, "the yielders");
        let took = grows(&back, 20, "the one whose machine was stuck");
        stop.ask();
        stuck_one.join().unwrap();
        for yielder in yielders {
            yielder.join().unwrap();
        }
        // Sleep, then 20 turns, each after a slice of the others.
        assert!(took < Duration::from_secs(2), "20 turns took {took:?}");
    });
}

/// While hogs run without a processor new goroutines are held back; when the
/// hogs have ended they must begin, even if the others never rest.
#[test]
fn goroutines_held_back_by_hogs_begin_although_others_never_rest() {
    on_runtimes(&[1], &MODES, LIMIT, |runtime, what| {
        let stop = Stop::default();
        let _stop = stop.at_the_end();
        let turns = Arc::new(AtomicU64::new(0));
        for _ in 0..3 {
            drop(runtime.spawn(|| burn(Duration::from_millis(60))));
        }
        let yielders: Vec<_> = (0..2)
            .map(|_| {
                let (stop, turns) = (stop.clone(), turns.clone());
                runtime.spawn(move || {
                    while !stop.asked() {
                        turns.fetch_add(1, Relaxed);
                        raddle::yield_now();
                    }
                })
            })
            .collect();
        for _ in 0..3 {
            drop(runtime.spawn(|| burn(Duration::from_millis(60))));
        }
        let ended = Arc::new(AtomicU64::new(0));
        let quick: Vec<_> = (0..20)
            .map(|_| {
                let ended = ended.clone();
                runtime.spawn(move || {
                    ended.fetch_add(1, Relaxed);
                })
            })
            .collect();
        let begin = Instant::now();
        while ended.load(Relaxed) < 20 {
            assert!(
                begin.elapsed() < Duration::from_secs(8),
                "{what}: {} of 20 quick ones ended in 8 s",
                ended.load(Relaxed)
            );
            thread::sleep(Duration::from_millis(1));
        }
        stop.ask();
        for one in quick.into_iter().chain(yielders) {
            one.join().unwrap();
        }
    });
}

/// Forty are spawned by one that then blocks its thread. Those that begin
/// never rest, so whoever has a processor never searches for the others.
#[test]
fn goroutines_in_the_queue_of_a_machine_that_blocks_all_begin() {
    on_runtimes(&[1, 2], &MODES, LIMIT, |runtime, what| {
        let (stop, begun) = (Stop::default(), Arc::new(AtomicU64::new(0)));
        let _stops = stop.at_the_end();
        let (watch, count) = (stop.clone(), begun.clone());
        let spawner = runtime.spawn(move || {
            for _ in 0..40 {
                let (watch, count) = (watch.clone(), count.clone());
                drop(raddle::spawn(move || {
                    count.fetch_add(1, Relaxed);
                    while !watch.asked() {
                        raddle::yield_now();
                    }
                }));
            }
            while !watch.asked() {
                thread::sleep(Duration::from_millis(5));
            }
        });
        // Some may have begun by now.
        grows_from(
            &begun,
            0,
            40,
            &format!("{what}: the queue of a blocked machine"),
        );
        stop.ask();
        spawner.join().expect("no panic");
    });
}

/// Timers due at every turn must not keep the machine from what comes from
/// outside.
#[test]
fn a_spawn_from_outside_runs_beside_sleepers_that_fill_the_processor() {
    on_runtimes(&[1], &MODES, LIMIT, |runtime, what| {
        let (stop, ran) = (Stop::default(), Arc::new(AtomicU64::new(0)));
        let _stops = stop.at_the_end();
        for _ in 0..100 {
            let stop = stop.clone();
            drop(runtime.spawn(move || {
                while !stop.asked() {
                    burn(Duration::from_micros(5));
                    raddle::time::sleep(Duration::from_micros(50));
                }
            }));
        }
        thread::sleep(Duration::from_millis(100));
        let count = ran.clone();
        let outside = runtime.spawn(move || count.fetch_add(1, Relaxed));
        let has_run = comes_true(Duration::from_secs(5), || ran.load(Relaxed) == 1);
        assert!(has_run, "{what}: a spawn from outside starves");
        stop.ask();
        outside.join().expect("no panic");
    });
}

/// In migrate mode, goroutines without a home beside pinned ones that never
/// rest.
#[test]
fn a_goroutine_that_has_begun_goes_on_beside_pinned_ones_that_never_rest() {
    on_runtimes(&[1], &[Mode::Migrate], LIMIT, |runtime, what| {
        let (stop, turns) = (Stop::default(), Arc::new(AtomicU64::new(0)));
        let _stops = stop.at_the_end();
        for pins in [false, true, true] {
            let (stop, turns) = (stop.clone(), turns.clone());
            drop(runtime.spawn(move || {
                let _pin = pins.then(raddle::pin);
                while !stop.asked() {
                    if !pins {
                        turns.fetch_add(1, Relaxed);
                    }
                    raddle::yield_now();
                }
            }));
        }
        grows(&turns, 1000, &format!("{what}: the one that is not pinned"));
    });
}

/// Light turns need few looks at the clock. When long ones come, that must
/// not stay so.
#[test]
fn a_timer_is_on_time_when_long_turns_follow_light_ones() {
    const WAIT: Duration = Duration::from_millis(1);
    let attempt = || {
        (0..20).for_each(|_| raddle::time::sleep(WAIT));
        let burner = |_| {
            raddle::spawn(|| {
                for _ in 0..2 {
                    burn(Duration::from_micros(500));
                    raddle::yield_now();
                }
            })
        };
        let burners: Vec<_> = (0..60).map(burner).collect();
        let begin = Instant::now();
        raddle::time::sleep(WAIT);
        let took = begin.elapsed();
        burners.into_iter().for_each(|it| it.join().unwrap());
        took
    };
    on_runtimes(&[1], &MODES, LIMIT, |runtime, what| {
        let took = best(Duration::from_millis(15), || runtime.run(attempt));
        assert!(took < Duration::from_millis(15), "{what}: {took:?}");
    });
}

/// A machine whose turns have been short is left alone by thieves. Once one
/// of its goroutines goes on and on, those behind it go elsewhere.
#[test]
fn a_line_behind_a_long_turn_is_taken_although_turns_were_short() {
    with_deadline(LIMIT, "migrate, P = 2", || {
        let runtime = runtime(Mode::Migrate, 2);
        let attempt = || {
            let begin = Instant::now();
            let partners: Vec<_> = (0..4)
                .map(|_| {
                    raddle::spawn(move || {
                        while begin.elapsed() < Duration::from_millis(20) {
                            raddle::yield_now();
                        }
                        raddle::park();
                        Instant::now()
                    })
                })
                .collect();
            while begin.elapsed() < Duration::from_millis(30) {
                raddle::yield_now();
            }
            let begin = Instant::now();
            partners.iter().for_each(|it| it.goroutine().unpark());
            burn(Duration::from_millis(60));
            let ran = partners.into_iter().map(|it| it.join().unwrap());
            ran.max().unwrap() - begin
        };
        let took = best(Duration::from_millis(20), || runtime.run(attempt));
        assert!(took < Duration::from_millis(20), "{took:?}");
    });
}
