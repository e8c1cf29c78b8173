//! Who comes first is served first; who leaves costs nobody anything; and
//! "nothing is ready" is said only when it was so at one moment.

mod common;
#[path = "common/places.rs"]
mod places;

use common::{MODES, Mode, factor, limit, on_runtimes, rounds, runtime, with_deadline};
use places::{Place, at_each_place};
use raddle::chan::{self, Receiver, Select, Sender, select, select_biased};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

// ORDER: Relaxed for flags to stop by; SeqCst where one step must be seen
// before the next is made.

const LONG: Duration = Duration::from_secs(1000);
const CROWD: usize = 8;

/// Begins members one after the other, each of which has parked, as far as
/// one can tell, before the next begins.
fn in_order<T: Send + 'static>(
    member: impl Fn(usize) -> T + Send + Sync + 'static,
) -> Vec<raddle::JoinHandle<T>> {
    let begun = Arc::new(AtomicUsize::new(0));
    let member = Arc::new(member);
    (0..CROWD)
        .map(|n| {
            let (inner, member) = (begun.clone(), member.clone());
            let handle = raddle::spawn(move || {
                inner.fetch_add(1, SeqCst);
                member(n)
            });
            while begun.load(SeqCst) <= n {
                raddle::yield_now();
            }
            // One processor: it came back here because that one parked, or,
            // seldom, because its time was up. Then it gets some more.
            (0..4).for_each(|_| raddle::yield_now());
            handle
        })
        .collect()
}

/// The order was kept nearly always: now and then the system stops a thread
/// in the moment before it parks.
fn mostly_in_order(what: &str, mut round: impl FnMut() -> Vec<usize>) {
    let all = rounds(20) as usize;
    let (mut kept, mut last) = (0, Vec::new());
    for _ in 0..all {
        let order = round();
        if order.iter().copied().eq(0..CROWD) {
            kept += 1;
        } else {
            last = order;
        }
    }
    assert!(
        kept * 4 >= all * 3,
        "{what}: {kept} of {all} in order, the last {last:?}"
    );
}

type Take = fn(&Receiver<usize>) -> usize;

/// A select waits in the same queue as a plain receive.
const TAKES: [Take; 3] = [
    |rx| rx.recv().unwrap(),
    |rx| rx.recv_timeout(LONG).unwrap(),
    |rx| {
        select! {
            recv(chan::never::<usize>()) -> it => it,
            recv(rx) -> it => it,
        }
        .unwrap()
    },
];

#[test]
fn receivers_are_served_in_the_order_they_came() {
    on_runtimes(&[1], &MODES, limit(20), |runtime, what| {
        runtime.run(|| {
            for capacity in [Some(0), Some(1), Some(CROWD), None] {
                mostly_in_order(&format!("{what}, {capacity:?}"), || {
                    let (tx, rx) = places::channel(capacity);
                    let members = in_order(move |n| TAKES[n % 3](&rx));
                    (0..CROWD).for_each(|n| tx.send(n).unwrap());
                    members.into_iter().map(|it| it.join().unwrap()).collect()
                });
            }
        });
    });
}

fn senders_in_order(capacities: &[usize], offer: fn(&Sender<usize>, usize)) {
    on_runtimes(&[1], &MODES, limit(20), |runtime, what| {
        runtime.run(|| {
            for &capacity in capacities {
                mostly_in_order(&format!("{what}, {capacity}"), || {
                    let (tx, rx) = chan::bounded(capacity);
                    (0..capacity).for_each(|_| tx.send(99).unwrap());
                    let members = in_order(move |n| offer(&tx, n));
                    let seen = rx.iter().skip(capacity).take(CROWD).collect();
                    members.into_iter().for_each(|it| it.join().unwrap());
                    seen
                });
            }
        });
    });
}

#[test]
fn senders_are_served_in_the_order_they_came() {
    senders_in_order(&[0, 1, 3], |tx, n| match n % 2 {
        0 => tx.send(n).unwrap(),
        _ => tx.send_timeout(n, LONG).unwrap(),
    });
}

/// Selects stand in the same queue, and are not overtaken by those who came
/// after them. So at capacity 0 and 1: with more room, plain senders may
/// complete before a selection that was given room earlier but has not sent.
#[test]
fn selects_that_send_keep_their_place_among_senders() {
    senders_in_order(&[0, 1], |tx, n| match n % 3 {
        0 => tx.send(n).unwrap(),
        _ => select! {
            send(tx, n) -> res => res.unwrap(),
            recv(chan::never::<u8>()) -> _ => {}
        },
    });
}

/// Who is paired with one who waits does not let a third step in: a value
/// sent while receivers wait goes to the first of them, and not to who comes
/// and asks.
#[test]
fn who_comes_later_does_not_overtake_those_who_wait() {
    on_runtimes(&[1], &MODES, limit(20), |runtime, what| {
        runtime.run(|| {
            for capacity in [Some(0), Some(1), None] {
                let mut overtaken = 0;
                for _ in 0..20 {
                    let (tx, rx) = places::channel(capacity);
                    let rx2 = rx.clone();
                    let members = in_order(move |n| TAKES[n % 3](&rx));
                    for n in 0..CROWD {
                        tx.send(n).unwrap();
                        if let Ok(it) = rx2.try_recv() {
                            overtaken += 1;
                            tx.send(it).unwrap();
                        }
                    }
                    members.into_iter().for_each(|it| _ = it.join().unwrap());
                }
                // A member that had not parked was not overtaken.
                assert!(overtaken <= 8, "{what}, {capacity:?}: {overtaken}");
            }
        });
    });
}

/// As many waiters at one channel leave it as came.
fn all_leave(count: usize, way: &str) -> Duration {
    let (tx, rx) = chan::bounded::<u8>(0);
    let (go_tx, go) = chan::bounded::<u8>(1);
    let begin = Instant::now();
    let mut list = Select::new();
    (0..count).for_each(|_| _ = list.recv(&rx));
    let last = list.recv(&go);
    match way {
        "timeout" => assert!(list.select_timeout(Duration::from_millis(1)).is_err()),
        "ready" => assert!(list.ready_timeout(Duration::from_millis(1)).is_err()),
        _ => {
            let sender = raddle::spawn(move || {
                raddle::time::sleep(Duration::from_millis(1));
                go_tx.send(1).unwrap();
            });
            let operation = list.select();
            assert_eq!(operation.index(), last);
            assert_eq!(operation.recv(&go), Ok(1));
            sender.join().unwrap();
        }
    }
    drop(tx);
    begin.elapsed()
}

/// Ten times as many take ten times as long, and not a hundred times: 100,000
/// waiters at one channel leave in a time that grows with their number.
#[test]
fn a_hundred_thousand_arms_leave_one_channel_in_linear_time() {
    for mode in MODES {
        with_deadline(limit(60), &format!("{mode:?}"), || {
            let runtime = runtime(mode, 2);
            for way in ["timeout", "ready", "select"] {
                // The shortest of some: others use this computer too.
                let best = |count, of: u32| {
                    let times = (0..of).map(|_| runtime.run(|| all_leave(count, way)));
                    times.min().unwrap()
                };
                let mut times = Vec::new();
                let is_linear = (0..5).any(|_| {
                    let (few, many) = (best(10_000, 5), best(100_000, 2));
                    times.push((few, many));
                    many < few * 30 + Duration::from_millis(300)
                });
                assert!(is_linear, "{way}: {times:?}");
            }
        });
    }
}

/// The same with goroutines, who come and go one by one.
#[test]
fn thousands_of_goroutines_leave_one_channel_in_linear_time() {
    fn crowd(count: usize, way: usize) -> Duration {
        let (tx, rx) = chan::bounded::<u8>(0);
        let (stop_tx, stop) = chan::bounded::<u8>(0);
        let waiting = Arc::new(AtomicUsize::new(0));
        let members: Vec<_> = (0..count)
            .map(|n| {
                let (rx, stop, waiting) = (rx.clone(), stop.clone(), waiting.clone());
                raddle::spawn(move || {
                    waiting.fetch_add(1, SeqCst);
                    match (way + n) % 2 {
                        0 => select! {
                            recv(rx) -> it => it.is_err(),
                            recv(stop) -> it => it.is_err(),
                        },
                        _ => {
                            let own = chan::after(Duration::from_millis(300));
                            select! {
                                recv(rx) -> it => it.is_err(),
                                recv(own) -> it => it.is_ok(),
                            }
                        }
                    }
                })
            })
            .collect();
        while waiting.load(SeqCst) < count {
            raddle::yield_now();
        }
        let begin = Instant::now();
        drop(stop_tx);
        assert!(members.into_iter().all(|it| it.join().unwrap()));
        let took = begin.elapsed();
        drop(tx);
        took.saturating_sub(Duration::from_millis(300))
    }
    on_runtimes(&[2], &MODES, limit(60), |runtime, what| {
        for way in 0..2 {
            let few = runtime.run(|| crowd(2_000, way));
            let many = runtime.run(|| crowd(20_000, way));
            let linear = few * 40 + Duration::from_millis(1500);
            assert!(many < linear, "{what}: {few:?} and {many:?}");
        }
    });
}

/// Channels of one place each: two that a holder fills and empties so that at
/// every moment one of them is full, and between them quiet ones, so that a
/// look at all takes long enough for the two to change.
struct Places {
    txs: Vec<Sender<u8>>,
    rxs: Vec<Receiver<u8>>,
}

const MANY: usize = 40;
const LAST: usize = MANY - 1;

impl Places {
    fn new() -> Self {
        let (txs, rxs) = (0..MANY).map(|_| chan::bounded(1)).unzip();
        Self { txs, rxs }
    }

    /// Puts back where it was what a look had to take.
    fn back(&self, n: usize, it: Result<u8, chan::RecvError>) -> bool {
        self.txs[n].send(it.unwrap()).unwrap();
        false
    }
}

/// How often a look says that nothing is there, while `holder` sees to it
/// that something is.
fn says_nothing(
    place: &Place,
    holder: fn(&Places, turn: u64),
    prepare: fn(&Places),
    looks: fn(&Places) -> bool,
) -> u64 {
    let places = Arc::new(Places::new());
    prepare(&places);
    let stop = Arc::new(AtomicBool::new(false));
    let holds = {
        let (places, stop) = (places.clone(), stop.clone());
        place.spawn(move || {
            for turn in 0.. {
                if stop.load(Relaxed) {
                    break;
                }
                holder(&places, turn);
                if turn % 64 == 0 {
                    raddle::yield_now();
                }
            }
        })
    };
    let (mut count, begin) = (0, Instant::now());
    let time = Duration::from_millis(60) * factor() as u32;
    while begin.elapsed() < time {
        count += (0..20).map(|_| u64::from(looks(&places))).sum::<u64>();
        raddle::yield_now();
    }
    stop.store(true, Relaxed);
    holds.end();
    count
}

/// Fills one of the two before it empties the other. What was taken for a
/// look comes back.
fn one_is_full(places: &Places, turn: u64) {
    let (empty, full) = if turn.is_multiple_of(2) {
        (LAST, 0)
    } else {
        (0, LAST)
    };
    places.txs[empty].send(0).unwrap();
    places.rxs[full].recv().unwrap();
}

fn never_empty(place: &Place, looks: fn(&Places) -> bool) {
    let prepare = |places: &Places| places.txs[0].send(0).unwrap();
    let count = says_nothing(place, one_is_full, prepare, looks);
    assert_eq!(count, 0, "{}", place.name);
}

/// In both orders, for it may be one of them that is looked at in turn.
#[test]
fn a_list_says_nothing_is_there_only_when_it_was_so_at_one_moment() {
    fn list<'a>(places: &'a Places, mut list: Select<'a>) -> Select<'a> {
        places.rxs.iter().for_each(|rx| _ = list.recv(rx));
        list
    }
    at_each_place(limit(30), |place| {
        never_empty(place, |places| {
            let mut list = list(places, Select::new_biased());
            match list.try_select() {
                Ok(it) => {
                    let index = it.index();
                    places.back(index, it.recv(&places.rxs[index]))
                }
                Err(_) => true,
            }
        });
        never_empty(place, |places| {
            let mut list = list(places, Select::new());
            match list.select_timeout(Duration::ZERO) {
                Ok(it) => {
                    let index = it.index();
                    places.back(index, it.recv(&places.rxs[index]))
                }
                Err(_) => true,
            }
        });
        // These take nothing, so the holder is never held up.
        never_empty(place, |places| {
            list(places, Select::new()).try_ready().is_err()
        });
        never_empty(place, |places| {
            list(places, Select::new_biased()).try_ready().is_err()
        });
    });
}

#[test]
fn a_default_is_taken_only_when_all_were_empty_at_one_moment() {
    at_each_place(limit(30), |place| {
        never_empty(place, |places| {
            let rxs = &places.rxs;
            select! {
                recv(rxs[0]) -> it => places.back(0, it),
                recv(rxs[1]) -> _ => unreachable!(),
                recv(rxs[2]) -> _ => unreachable!(),
                recv(rxs[3]) -> _ => unreachable!(),
                recv(rxs[4]) -> _ => unreachable!(),
                recv(rxs[5]) -> _ => unreachable!(),
                recv(rxs[6]) -> _ => unreachable!(),
                recv(rxs[7]) -> _ => unreachable!(),
                recv(rxs[8]) -> _ => unreachable!(),
                recv(rxs[LAST]) -> it => places.back(LAST, it),
                default => true,
            }
        });
        never_empty(place, |places| {
            let rxs = &places.rxs;
            select_biased! {
                recv(rxs[LAST]) -> it => places.back(LAST, it),
                recv(rxs[0]) -> it => places.back(0, it),
                default => true,
            }
        });
    });
}

/// The same from the other side: at every moment one of them has room.
#[test]
fn no_room_is_said_only_when_all_were_full_at_one_moment() {
    fn one_has_room(places: &Places, turn: u64) {
        let (full, room) = if turn.is_multiple_of(2) {
            (LAST, 0)
        } else {
            (0, LAST)
        };
        places.rxs[full].recv().unwrap();
        places.txs[room].send(0).unwrap();
    }
    at_each_place(limit(30), |place| {
        let prepare = |places: &Places| {
            places.txs[1..].iter().for_each(|tx| tx.send(0).unwrap());
        };
        let count = says_nothing(place, one_has_room, prepare, |places| {
            let mut list = Select::new_biased();
            places.txs.iter().for_each(|tx| _ = list.send(tx));
            list.try_ready().is_err()
        });
        assert_eq!(count, 0, "{}", place.name);
    });
}

/// Two plain threads beside machines: the same, with nobody who gives way.
#[test]
fn a_default_is_right_beside_threads_too() {
    with_deadline(limit(30), "threads", || {
        let _machines = runtime(Mode::Migrate, 2);
        let (tx, rx) = chan::bounded::<u8>(0);
        let (full_tx, full) = chan::bounded(1);
        full_tx.send(1).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        // Somebody who makes a noise at a third channel.
        let noise = {
            let (tx, stop) = (tx.clone(), stop.clone());
            thread::spawn(move || {
                while !stop.load(Relaxed) {
                    let _nobody = tx.send_timeout(1, Duration::from_micros(5));
                }
            })
        };
        for _ in 0..rounds(20_000) {
            select! {
                recv(rx) -> it => assert_eq!(it, Ok(1)),
                recv(full) -> it => full_tx.send(it.unwrap()).unwrap(),
                default => panic!("one is full"),
            }
        }
        stop.store(true, Relaxed);
        noise.join().unwrap();
    });
}
