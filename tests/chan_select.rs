//! `Select`: a list of operations, one of which is chosen, now, later or
//! within a time; who is chosen how often; selects that meet selects.

mod common;
#[path = "common/places.rs"]
mod places;

use common::{Random, limit, rounds, seed};
use places::{CAPACITIES, Ledger, Value, alone_everywhere, at_each_place, channel, dally};
use raddle::chan::{self, Receiver, RecvError, Select, SendError, Sender};
use raddle::chan::{ReadyTimeoutError, SelectTimeoutError, TryReadyError, TrySelectError};
use raddle::chan::{select, select_biased};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

const SHORT: Duration = Duration::from_millis(5);
const LONG: Duration = Duration::from_secs(1000);

fn past() -> Instant {
    let now = Instant::now();
    now.checked_sub(Duration::from_secs(1)).unwrap_or(now)
}

/// Whether `f` panics.
fn panics<T>(f: impl FnOnce() -> T) -> bool {
    catch_unwind(AssertUnwindSafe(f)).is_err()
}

#[test]
fn operations_have_the_indices_of_their_order() {
    alone_everywhere(limit(10), || {
        let (tx, rx) = chan::bounded::<u8>(1);
        let (tx2, rx2) = chan::unbounded::<String>();
        let mut select = Select::new();
        assert_eq!(
            [select.send(&tx), select.recv(&rx2), select.recv(&rx)],
            [0, 1, 2]
        );
        assert_eq!(select.send(&tx2), 3);
        for _ in 0..50 {
            let operation = select.select();
            match operation.index() {
                0 => operation.send(&tx, 7).unwrap(),
                1 => assert_eq!(operation.recv(&rx2).unwrap(), "it"),
                2 => assert_eq!(operation.recv(&rx), Ok(7)),
                3 => operation.send(&tx2, "it".into()).unwrap(),
                n => panic!("{n}"),
            }
        }
    });
}

#[test]
fn a_list_may_be_used_again_and_cut() {
    alone_everywhere(limit(10), || {
        let (tx1, rx1) = chan::bounded(8);
        let (tx2, rx2) = chan::bounded::<u8>(8);
        let mut select = Select::new();
        let first = select.recv(&rx1);
        let second = select.recv(&rx2);
        drop(tx2);
        let operation = select.select();
        assert_eq!(operation.index(), second);
        assert_eq!(operation.recv(&rx2), Err(RecvError));
        select.remove(second);
        tx1.send(4).unwrap();
        let operation = select.select();
        assert_eq!(operation.index(), first);
        assert_eq!(operation.recv(&rx1), Ok(4));
        assert_eq!(select.try_select().unwrap_err(), TrySelectError);
        // An index is not given again.
        assert_eq!(select.recv(&rx2), 2);
        let operation = select.try_select().unwrap();
        assert_eq!(operation.index(), 2);
        assert_eq!(operation.recv(&rx2), Err(RecvError));
        assert!(panics(|| select.clone().remove(second)));
        assert!(panics(|| select.clone().remove(17)));
        select.remove(first);
        select.remove(2);
        assert_eq!(select.try_ready(), Err(TryReadyError));
        assert!(panics(|| select.clone().remove(first)));
    });
}

#[test]
fn an_empty_list_is_never_ready() {
    alone_everywhere(limit(10), || {
        for mut select in [Select::new(), Select::new_biased(), Select::default()] {
            assert_eq!(select.try_select().unwrap_err(), TrySelectError);
            assert_eq!(select.try_ready(), Err(TryReadyError));
            let begin = Instant::now();
            assert_eq!(
                select.select_timeout(SHORT).unwrap_err(),
                SelectTimeoutError
            );
            assert_eq!(select.ready_timeout(SHORT), Err(ReadyTimeoutError));
            assert!(begin.elapsed() >= SHORT * 2);
            assert!(panics(|| select.select()));
            assert!(panics(|| select.ready()));
        }
    });
}

#[test]
fn each_way_to_select_finds_what_is_ready() {
    alone_everywhere(limit(10), || {
        let (tx, rx) = chan::bounded(1);
        let never = chan::never::<u8>();
        let mut select = Select::new();
        select.recv(&never);
        select.recv(&rx);
        for n in 0..28 {
            tx.send(n).unwrap();
            let operation = match n % 7 {
                0 => select.select(),
                1 => select.try_select().unwrap(),
                2 => select.select_timeout(Duration::ZERO).unwrap(),
                3 => select.select_timeout(Duration::MAX).unwrap(),
                4 => select.select_deadline(past()).unwrap(),
                5 => select.select_deadline(Instant::now() + LONG).unwrap(),
                _ => select.select_timeout(SHORT).unwrap(),
            };
            assert_eq!(operation.index(), 1);
            assert_eq!(operation.recv(&rx), Ok(n));
        }
        assert!(select.try_select().is_err());
        for timeout in [Duration::ZERO, SHORT] {
            let begin = Instant::now();
            assert_eq!(
                select.select_timeout(timeout).unwrap_err(),
                SelectTimeoutError
            );
            assert!(begin.elapsed() >= timeout);
        }
        let deadline = Instant::now() + SHORT;
        assert!(select.select_deadline(deadline).is_err());
        assert!(Instant::now() >= deadline);
        assert!(select.select_deadline(past()).is_err());
    });
}

#[test]
fn each_way_to_be_ready_tells_and_takes_nothing() {
    alone_everywhere(limit(10), || {
        let (tx, rx) = chan::bounded(1);
        let never = chan::never::<u8>();
        let mut select = Select::new();
        select.recv(&never);
        let receives = select.recv(&rx);
        assert_eq!(select.try_ready(), Err(TryReadyError));
        assert_eq!(select.ready_timeout(SHORT), Err(ReadyTimeoutError));
        assert_eq!(select.ready_timeout(Duration::ZERO), Err(ReadyTimeoutError));
        assert_eq!(select.ready_deadline(past()), Err(ReadyTimeoutError));
        tx.send(5).unwrap();
        for _ in 0..3 {
            assert_eq!(select.try_ready(), Ok(receives));
            assert_eq!(select.ready(), receives);
            assert_eq!(select.ready_timeout(Duration::ZERO), Ok(receives));
            assert_eq!(select.ready_timeout(Duration::MAX), Ok(receives));
            assert_eq!(select.ready_deadline(past()), Ok(receives));
            assert_eq!(select.ready_deadline(Instant::now() + LONG), Ok(receives));
        }
        assert_eq!(rx.try_recv(), Ok(5));
        assert_eq!(select.try_ready(), Err(TryReadyError));
        let mut sends = Select::new_biased();
        sends.send(&tx);
        assert_eq!(sends.try_ready(), Ok(0));
        assert!(rx.is_empty());
        // An end is ready, for both sides.
        drop(tx);
        assert_eq!(select.ready(), receives);
        let (tx, rx) = chan::bounded::<u8>(0);
        drop(rx);
        let mut sends = Select::new();
        sends.send(&tx);
        assert_eq!(sends.ready(), 0);
        assert_eq!(sends.select().send(&tx, 3), Err(SendError(3)));
    });
}

#[test]
fn the_first_of_those_ready_is_taken_with_bias() {
    alone_everywhere(limit(10), || {
        let channels: Vec<_> = (0..4).map(|_| chan::bounded::<usize>(1)).collect();
        let mut select = Select::new_biased();
        for (_, rx) in &channels {
            select.recv(rx);
        }
        for n in 0..64 {
            for (bit, (tx, _)) in channels.iter().enumerate() {
                if (n >> bit) & 1 == 1 {
                    let _full = tx.try_send(bit);
                }
            }
            let is_full = |n: &usize| !channels[*n].1.is_empty();
            let first = (0..4).find(is_full);
            assert_eq!(select.try_ready().ok(), first);
            let taken = select_biased! {
                recv(channels[0].1) -> it => it.ok(),
                recv(channels[1].1) -> it => it.ok(),
                recv(channels[2].1) -> it => it.ok(),
                recv(channels[3].1) -> it => it.ok(),
                default => None,
            };
            assert_eq!(taken, first);
            if let Some(next) = (0..4).find(is_full) {
                let operation = select.select();
                assert_eq!(operation.index(), next);
                assert_eq!(operation.recv(&channels[next].1), Ok(next));
            }
        }
    });
}

/// 10,000 rounds of four arms that are all ready: each is taken often.
#[test]
fn those_always_ready_are_taken_alike() {
    const ROUNDS: usize = 10_000;
    fn alike(what: &str, counts: [usize; 4]) {
        assert_eq!(counts.iter().sum::<usize>(), ROUNDS, "{what}");
        let sane = 1_800..3_200;
        assert!(
            counts.iter().all(|it| sane.contains(it)),
            "{what}: {counts:?}"
        );
    }
    alone_everywhere(limit(20), || {
        for capacity in [Some(ROUNDS), None] {
            let (full_tx, full) = channel(capacity);
            let (gone_tx, gone) = channel::<u8>(capacity);
            let (tx, rx) = channel(capacity);
            (0..ROUNDS).for_each(|n| full_tx.send(n).unwrap());
            drop(gone_tx);
            let due = chan::tick(Duration::ZERO);
            let mut counts = [0; 4];
            for n in 0..ROUNDS {
                select! {
                    recv(full) -> it => { it.unwrap(); counts[0] += 1 }
                    recv(gone) -> it => { it.unwrap_err(); counts[1] += 1 }
                    send(tx, n) -> res => { res.unwrap(); counts[2] += 1 }
                    recv(due) -> it => { it.unwrap(); counts[3] += 1 }
                }
            }
            alike("select!", counts);
            let mut select = Select::new();
            select.recv(&gone);
            select.recv(&due);
            select.recv(&gone);
            select.recv(&rx);
            let mut counts = [0; 4];
            for _ in 0..ROUNDS {
                counts[select.ready()] += 1;
            }
            alike("ready", counts);
            let mut counts = [0; 4];
            for _ in 0..ROUNDS {
                counts[select.try_ready().unwrap()] += 1;
            }
            alike("try_ready", counts);
            drop(full);
        }
    });
}

/// An arm that waited is found again by those who come: over many rounds no
/// channel is forgotten.
#[test]
fn partners_of_a_waiting_select_are_served_alike() {
    at_each_place(limit(20), |place| {
        let turns = rounds(50);
        let (txs, rxs): (Vec<Sender<u64>>, Vec<Receiver<u64>>) =
            (0..3).map(|_| chan::bounded(0)).unzip();
        let senders: Vec<_> = txs
            .into_iter()
            .map(|tx| place.spawn(move || (0..turns).for_each(|n| tx.send(n).unwrap())))
            .collect();
        let (mut next, mut ended) = ([0; 3], [false; 3]);
        while !ended.iter().all(|&it| it) {
            let mut select = Select::new();
            let mut which = Vec::new();
            for n in (0..3).filter(|&n| !ended[n]) {
                select.recv(&rxs[n]);
                which.push(n);
            }
            let operation = select.select();
            let n = which[operation.index()];
            match operation.recv(&rxs[n]) {
                Ok(it) => {
                    assert_eq!(it, next[n], "{}", place.name);
                    next[n] += 1;
                }
                Err(RecvError) => ended[n] = true,
            }
        }
        assert_eq!(next, [turns; 3], "{}", place.name);
        senders.into_iter().for_each(|it| it.end());
    });
}

/// Arms of one channel: those who came to one that waited took the first arm,
/// always.
#[test]
fn arms_of_one_channel_are_alike_to_those_who_wait() {
    const ROUNDS: usize = 600;
    at_each_place(limit(30), |place| {
        for capacity in [0, 1] {
            let (tx, rx) = chan::bounded(capacity);
            let partner = place.spawn(move || rx.iter().count());
            let mut counts = [0; 3];
            for n in 0..ROUNDS {
                select! {
                    send(tx, n) -> res => { res.unwrap(); counts[0] += 1 }
                    send(tx, n) -> res => { res.unwrap(); counts[1] += 1 }
                    send(tx, n) -> res => { res.unwrap(); counts[2] += 1 }
                }
            }
            drop(tx);
            assert_eq!(partner.end(), ROUNDS);
            let what = format!("{}, {capacity}", place.name);
            assert!(
                counts.iter().all(|&it| it > ROUNDS / 5),
                "{what}: {counts:?}"
            );

            let (tx, rx) = chan::bounded(capacity);
            let partner = place.spawn(move || (0..ROUNDS).for_each(|n| tx.send(n).unwrap()));
            let mut select = Select::new();
            (0..3).for_each(|_| _ = select.recv(&rx));
            let mut counts = [0; 3];
            for n in 0..ROUNDS {
                let operation = select.select();
                counts[operation.index()] += 1;
                assert_eq!(operation.recv(&rx), Ok(n), "{what}");
            }
            partner.end();
            assert!(
                counts.iter().all(|&it| it > ROUNDS / 5),
                "{what}: {counts:?}"
            );
        }
        // With bias it stays the first.
        let (tx, rx) = chan::bounded(0);
        let partner = place.spawn(move || (0..ROUNDS).for_each(|n| tx.send(n).unwrap()));
        for _ in 0..ROUNDS {
            select_biased! {
                recv(rx) -> it => _ = it.unwrap(),
                recv(rx) -> _ => panic!("{}: the second arm", place.name),
            }
        }
        partner.end();
    });
}

/// A select that sends meets one that receives, over two channels at once.
#[test]
fn selects_meet_selects() {
    at_each_place(limit(30), |place| {
        for capacity in CAPACITIES {
            let ((tx1, rx1), (tx2, rx2)) = (channel(capacity), channel(capacity));
            let turns = rounds(100);
            let sender = place.spawn(move || {
                let mut split = [0_u64; 2];
                for n in 0..turns {
                    select! {
                        send(tx1, n) -> res => { res.unwrap(); split[0] += 1 }
                        send(tx2, n) -> res => { res.unwrap(); split[1] += 1 }
                    }
                }
                // Both stay open until all is received.
                (split, tx1, tx2)
            });
            let (mut seen, mut split) = (Vec::new(), [0; 2]);
            for _ in 0..turns {
                select! {
                    recv(rx1) -> it => { seen.push(it.unwrap()); split[0] += 1 }
                    recv(rx2) -> it => { seen.push(it.unwrap()); split[1] += 1 }
                }
            }
            let (sent, tx1, tx2) = sender.end();
            assert_eq!(sent, split, "{capacity:?}, {}", place.name);
            drop((tx1, tx2));
            seen.sort_unstable();
            assert!(
                seen.into_iter().eq(0..turns),
                "{capacity:?}, {}",
                place.name
            );
            assert!(rx1.recv().is_err() && rx2.recv().is_err());
        }
    });
}

/// Everybody sends or receives, whatever comes first, on the same channels:
/// nobody meets himself, and what was sent was received.
#[test]
fn a_crowd_of_selects_in_both_directions_pairs_up() {
    let begin = seed();
    at_each_place(limit(30), move |place| {
        for capacity in [0, 1] {
            let ledger = Ledger::new();
            let (tx1, rx1) = chan::bounded::<Value>(capacity);
            let (tx2, rx2) = chan::bounded::<Value>(capacity);
            let members: Vec<_> = (0..6_u64)
                .map(|member| {
                    let (tx1, rx1, tx2, rx2) = (tx1.clone(), rx1.clone(), tx2.clone(), rx2.clone());
                    let ledger = ledger.clone();
                    place.spawn(move || {
                        let mut random = Random::new(begin + member);
                        let mut balance = 0;
                        for turn in 0..rounds(60) {
                            let value = ledger.value(member * 1_000_000 + turn + 1);
                            let number = value.number as i64;
                            select! {
                                send(tx1, value) -> res => { res.ok().unwrap(); balance += number }
                                recv(rx1) -> it => balance -= it.ok().unwrap().number as i64,
                                recv(rx2) -> it => balance -= it.ok().unwrap().number as i64,
                                send(tx2, value) -> res => { res.ok().unwrap(); balance += number }
                                // All may want the same at the end.
                                default(random.micros(50..2000)) => {}
                            }
                        }
                        balance
                    })
                })
                .collect();
            let balance: i64 = members.into_iter().map(|it| it.end()).sum();
            let left = rx1.try_iter().chain(rx2.try_iter());
            let left: i64 = left.map(|it| it.number as i64).sum();
            assert_eq!(balance, left, "{capacity}, seed {begin}, {}", place.name);
            ledger.settled(&place.name);
        }
    });
}

/// A loop over data and its end, as programs have it.
#[test]
fn a_done_channel_ends_all_who_select_over_it() {
    let begin = seed();
    at_each_place(limit(20), move |place| {
        let mut random = Random::new(begin);
        for _ in 0..rounds(5) {
            let (tx, rx) = chan::bounded(2);
            let (done_tx, done) = chan::bounded::<()>(0);
            let members: Vec<_> = (0..8)
                .map(|n| {
                    let (tx, rx, done) = (tx.clone(), rx.clone(), done.clone());
                    place.spawn(move || {
                        let mut turns = 0_u64;
                        loop {
                            if n % 2 == 0 {
                                select! {
                                    send(tx, turns) -> res => res.unwrap(),
                                    recv(done) -> it => break it.is_err(),
                                }
                            } else {
                                select! {
                                    recv(rx) -> it => assert!(it.is_ok()),
                                    recv(done) -> it => break it.is_err(),
                                    default(LONG) => break false,
                                }
                            }
                            turns += 1;
                        }
                    })
                })
                .collect();
            dally(&mut random);
            drop(done_tx);
            for member in members {
                assert!(member.end(), "{}", place.name);
            }
        }
    });
}

/// `ready` wakes when something happens, and somebody else may be first.
#[test]
fn those_who_wait_to_be_ready_share_the_messages() {
    at_each_place(limit(20), |place| {
        for capacity in CAPACITIES {
            let ((tx1, rx1), (tx2, rx2)) = (channel(capacity), channel(capacity));
            let members: Vec<_> = (0..3)
                .map(|n| {
                    let rxs = [rx1.clone(), rx2.clone()];
                    place.spawn(move || {
                        let (mut sum, mut ended) = (0_u64, 0);
                        while ended < 2 {
                            let mut select = Select::new();
                            rxs.iter().for_each(|rx| _ = select.recv(rx));
                            let index = match n {
                                0 => select.ready(),
                                1 => select.ready_timeout(LONG).unwrap(),
                                _ => select.ready_deadline(Instant::now() + LONG).unwrap(),
                            };
                            match rxs[index].try_recv() {
                                Ok(it) => sum += it,
                                Err(it) if it.is_empty() => raddle::yield_now(),
                                // The other may have messages still.
                                Err(_) => {
                                    sum += rxs[1 - index].iter().sum::<u64>();
                                    ended = 2;
                                }
                            }
                        }
                        sum
                    })
                })
                .collect();
            let turns = rounds(100);
            for n in 1..=turns {
                let tx = if n % 2 == 0 { &tx1 } else { &tx2 };
                tx.send(n).unwrap();
            }
            drop((tx1, tx2));
            let sum: u64 = members.into_iter().map(|it| it.end()).sum();
            assert_eq!(sum, turns * (turns + 1) / 2, "{capacity:?}, {}", place.name);
        }
    });
}
