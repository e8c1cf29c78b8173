//! `select!` as syntax: what may stand where, what is evaluated and when, and
//! what its arms may do.

mod common;
#[path = "common/places.rs"]
mod places;

use common::limit;
use places::{Ledger, alone_everywhere, channel};
use raddle::chan::{self, Receiver, RecvError, SendError, Sender, select, select_biased};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

const SHORT: Duration = Duration::from_millis(5);

fn ready<T>(it: T) -> Receiver<T> {
    let (tx, rx) = chan::bounded(1);
    tx.send(it).unwrap();
    rx
}

#[test]
fn one_arm_is_an_operation() {
    alone_everywhere(limit(10), || {
        for capacity in [Some(1), None] {
            let (tx, rx) = channel(capacity);
            select! { send(tx, 1) -> res => assert_eq!(res, Ok(())) }
            select! { recv(rx) -> it => assert_eq!(it, Ok(1)), }
            select_biased! { send(tx, 2) -> res => { assert_eq!(res, Ok(())) } }
            select_biased! { recv(rx) -> it => { assert_eq!(it, Ok(2)) }, }
            drop(tx);
            select! { recv(rx) -> it => assert_eq!(it, Err(RecvError)) }
        }
        let (tx, rx) = chan::bounded(0);
        drop(rx);
        select! { send(tx, "it") -> res => assert_eq!(res, Err(SendError("it"))) }
    });
}

#[test]
fn a_default_is_taken_when_nothing_is_ready() {
    alone_everywhere(limit(10), || {
        let (tx, rx) = chan::bounded(0);
        for round in 0..20 {
            let taken = match round % 6 {
                0 => select! { recv(rx) -> _ => false, default => true },
                1 => select! { send(tx, 0) -> _ => false, default() => true },
                2 => select! { recv(rx) -> _ => false, send(tx, 0) -> _ => false, default => true },
                3 => select_biased! { recv(rx) -> _ => false, default => true, },
                4 => select! { recv(rx) -> _ => false, default(Duration::ZERO) => true },
                _ => select_biased! { send(tx, 0) -> _ => false, default(SHORT) => { true } },
            };
            assert!(taken, "{round}");
        }
        select! { default => {} }
        select! { default() => {} }
        select_biased! { default => {} }
        let begin = Instant::now();
        select! { default(SHORT) => assert!(begin.elapsed() >= SHORT) }
    });
}

#[test]
fn a_default_is_not_taken_when_something_is_ready() {
    alone_everywhere(limit(10), || {
        let (tx, rx) = chan::bounded(1);
        for n in 0..50 {
            select! {
                default => panic!("there is room"),
                send(tx, n) -> res => res.unwrap(),
            }
            select! {
                recv(chan::never::<u8>()) -> _ => panic!("never"),
                default(Duration::ZERO) => panic!("there is one"),
                recv(rx) -> it => assert_eq!(it, Ok(n)),
            }
        }
        drop(tx);
        // Ready with its end.
        select! {
            recv(rx) -> it => assert_eq!(it, Err(RecvError)),
            default => panic!("it has ended"),
        }
        let (tx, rx) = chan::bounded::<u8>(0);
        drop(rx);
        select! {
            send(tx, 3) -> res => assert_eq!(res, Err(SendError(3))),
            default(SHORT) => panic!("it has ended"),
        }
    });
}

/// First, between, last; with commas and without, with blocks and without.
#[test]
fn a_default_may_stand_anywhere() {
    alone_everywhere(limit(10), || {
        let (tx, rx) = chan::bounded::<u8>(0);
        let mut count = 0;
        select! {
            default => count += 1,
            recv(rx) -> _ => {}
            send(tx, 1) -> _ => {}
        }
        select! {
            recv(rx) -> _ => {}
            default => { count += 1 }
            send(tx, 1) -> _ => {},
        }
        select! {
            recv(rx) -> _ => {},
            send(tx, 1) -> _ => {}
            default() => { count += 1; },
        }
        select_biased! {
            default(SHORT) => count += 1,
            recv(rx) -> _ => unreachable!(),
            send(tx, 1) -> _ => unreachable!()
        }
        select! {
            recv(rx) -> _ => unreachable!(), default(SHORT) => count += 1
        }
        assert_eq!(count, 5);
    });
}

#[test]
fn arms_have_values_and_patterns() {
    alone_everywhere(limit(10), || {
        let (tx, rx) = chan::unbounded::<Option<u8>>();
        tx.send(Some(4)).unwrap();
        let it = select! {
            recv(rx) -> it => it.unwrap().unwrap_or(9) + 1,
            default => 0,
        };
        assert_eq!(it, 5);
        tx.send(None).unwrap();
        assert!(select! { recv(rx) -> mut it => { it = Ok(None); it == Ok(None) } });
        let rx2 = ready((1, "two"));
        let text = select! {
            recv(rx2) -> it => match it { Ok((_, text)) => text, Err(_) => "end" },
            default => "",
        };
        assert_eq!(text, "two");
    });
}

#[test]
fn patterns_take_results_apart() {
    alone_everywhere(limit(10), || {
        select! { recv(ready(1)) -> _ => {} }
        select! { recv(ready(1)) -> _it => {} }
        select! { recv(ready(Rc::new(2))) -> ref it => assert_eq!(it.as_ref().map(|it| **it), Ok(2)) }
        select! { recv(ready(3)) -> it @ (Ok(_) | Err(_)) => assert_eq!(it, Ok(3)) }
        let (tx, _rx) = chan::bounded(1);
        select! { send(tx, ()) -> (Ok(_) | Err(_)) => {} }
        select! { send(tx, ()) -> (Ok(()) | Err(SendError(()))) => panic!("full"), default => {} }
    });
}

#[test]
fn a_value_to_send_is_made_only_when_it_is_sent() {
    alone_everywhere(limit(10), || {
        let made = Cell::new(0);
        let make = || {
            made.set(made.get() + 1);
            made.get()
        };
        let (tx, rx) = chan::bounded(1);
        select! { send(tx, make()) -> res => res.unwrap() }
        assert_eq!(made.get(), 1);
        select! { send(tx, make()) -> _ => panic!("full"), default => {} }
        select! { send(tx, make()) -> _ => panic!("full"), default(SHORT) => {} }
        select_biased! { recv(rx) -> it => assert_eq!(it, Ok(1)), send(tx, make()) -> _ => {} }
        assert_eq!(made.get(), 1);
        for round in 2..50 {
            // One of two, and its own value alone.
            let (tx1, rx1) = chan::bounded(1);
            let (tx2, rx2) = chan::bounded(1);
            let first = select! {
                send(tx1, make()) -> res => { res.unwrap(); true }
                send(tx2, make()) -> res => { res.unwrap(); false }
            };
            assert_eq!(made.get(), round);
            let rx = if first { rx1 } else { rx2 };
            assert_eq!(rx.try_recv(), Ok(round));
        }
        // Made, and given back.
        drop(rx);
        select! { send(tx, make()) -> res => assert_eq!(res, Err(SendError(50))) }
    });
}

#[test]
fn handles_are_evaluated_once_each_and_the_timeout_too() {
    alone_everywhere(limit(10), || {
        let calls = RefCell::new(Vec::new());
        let (tx, rx) = chan::bounded(0);
        let seen = |what| calls.borrow_mut().push(what);
        for _ in 0..2 {
            calls.borrow_mut().clear();
            select! {
                recv({ seen("r"); &rx }) -> _ => panic!("nobody sends"),
                send({ seen("s"); &tx }, { seen("v"); 1_u8 }) -> _ => panic!("nobody receives"),
                default({ seen("t"); SHORT }) => {}
            }
            let mut calls = calls.borrow_mut();
            assert_eq!(calls[..2], ["r", "s"]);
            calls.sort_unstable();
            assert_eq!(*calls, ["r", "s", "t"]);
        }
        calls.borrow_mut().clear();
        select_biased! {
            recv({ seen("r"); chan::never::<u8>() }) -> _ => panic!("never"),
            recv({ seen("q"); ready(5) }) -> it => assert_eq!(it, Ok(5)),
            default({ seen("t"); SHORT }) => panic!("one is ready"),
        }
        assert!(calls.borrow().starts_with(&["r", "q"]));
        calls.borrow_mut().clear();
        select! { recv({ seen("r"); ready(5) }) -> it => assert_eq!(it, Ok(5)) }
        assert_eq!(*calls.borrow(), ["r"]);
    });
}

/// As places, temporaries, fields, elements, references, boxes.
#[test]
fn handles_may_be_anything_that_derefs_to_one() {
    struct Pair {
        tx: Sender<u8>,
        rx: Receiver<u8>,
    }
    alone_everywhere(limit(10), || {
        let (tx, rx) = chan::unbounded();
        let mut pair = Pair { tx, rx };
        let (tx, rx) = (Arc::new(pair.tx.clone()), Box::new(pair.rx.clone()));
        let (txs, rxs) = ([pair.tx.clone()], vec![pair.rx.clone()]);
        let borrowed = &&pair.rx;
        for n in 0..8 {
            select! {
                send(pair.tx, n) -> res => res.unwrap(),
                send(chan::bounded::<u8>(0).0, 1) -> res => assert_eq!(res, Err(SendError(1))),
            }
            select! { send(tx, n) -> res => res.unwrap() }
            select! { send(&pair.tx, n) -> res => res.unwrap() }
            select! { send(*tx, n) -> res => res.unwrap() }
            select! { send(txs[0], n) -> res => res.unwrap(), }
            select! { send(&mut pair.tx, n) -> res => res.unwrap() }
            select! { send(pair.tx.clone(), n) -> res => res.unwrap() }
        }
        let mut sum = 0;
        while !rx.is_empty() {
            for way in 0..6 {
                sum += u32::from(match way {
                    0 => select! { recv(rx) -> it => it.unwrap(), default => 0 },
                    1 => select! { recv(*rx) -> it => it.unwrap(), default => 0 },
                    2 => select! { recv(borrowed) -> it => it.unwrap(), default => 0 },
                    3 => select! { recv(rxs[0]) -> it => it.unwrap(), default => 0 },
                    4 => {
                        select! { recv(rxs.last().unwrap()) -> it => it.unwrap(), default => 0 }
                    }
                    _ => select! { recv(&pair.rx) -> it => it.unwrap(), default => 0 },
                });
            }
        }
        assert!(sum > 0);
    });
}

/// Only one arm runs: each may move the same value out, and end the loop.
#[test]
fn arms_may_move_break_continue_and_return() {
    fn first(rx: &Receiver<u8>, other: &Receiver<u8>) -> Result<u8, RecvError> {
        let moved = String::from("once");
        let take = move || moved;
        loop {
            select! {
                recv(rx) -> it => {
                    if it? == 0 {
                        continue;
                    }
                    drop(take());
                    break;
                }
                recv(other) -> it => return { drop(take()); it },
                default(SHORT) => return { take(); Ok(99) },
            }
        }
        Ok(1)
    }
    alone_everywhere(limit(10), || {
        let (tx, rx) = chan::unbounded();
        let (other_tx, other) = chan::unbounded();
        assert_eq!(first(&rx, &other), Ok(99));
        (0..3).for_each(|n| tx.send(n).unwrap());
        assert_eq!(first(&rx, &other), Ok(1));
        assert_eq!(rx.try_iter().collect::<Vec<_>>(), [2]);
        other_tx.send(7).unwrap();
        assert_eq!(first(&rx, &other), Ok(7));
        drop(tx);
        assert_eq!(first(&rx, &other), Err(RecvError));
        let mut turn = 0;
        let found = 'outer: loop {
            turn += 1;
            loop {
                select! {
                    recv(ready(turn)) -> it => match it {
                        Ok(3) => break 'outer it,
                        _ => continue 'outer,
                    },
                    default => {}
                }
            }
        };
        assert_eq!(found, Ok(3));
    });
}

#[test]
fn a_value_may_be_moved_into_a_send_or_into_another_arm() {
    alone_everywhere(limit(10), || {
        let ledger = Ledger::new();
        for n in 0..30 {
            let (tx, rx) = chan::bounded(1);
            let value = ledger.value(n);
            if n % 2 == 0 {
                tx.send(ledger.value(100)).ok().unwrap();
            }
            select! {
                send(tx, value) -> res => res.ok().unwrap(),
                default => drop(value),
            }
            assert_eq!(rx.len(), 1);
        }
        ledger.settled("moved");
    });
}

#[test]
fn a_select_may_stand_in_an_arm_of_another_and_in_a_value() {
    alone_everywhere(limit(10), || {
        let (tx, rx) = chan::unbounded();
        let sum = select! {
            recv(ready(1)) -> one => {
                let two = select! {
                    recv(ready(2)) -> two => two.unwrap(),
                    default => 0,
                };
                one.unwrap() + two
            }
            default => 0,
        };
        assert_eq!(sum, 3);
        select! {
            send(tx, select! { recv(ready(4)) -> it => it.unwrap() }) -> res => res.unwrap(),
        }
        select! {
            recv(select! { recv(ready(&rx)) -> it => it.unwrap() }) -> it => assert_eq!(it, Ok(4)),
        }
        let length = select! { recv(ready("word")) -> it => it, default => Ok("") }.map(str::len);
        assert_eq!(length, Ok(4));
    });
}

/// Nothing that is named outside is hidden, nor seen, by the macro.
#[test]
fn names_inside_and_outside_do_not_meet() {
    alone_everywhere(limit(10), || {
        let (sel, oper, index, res, it) = (1, 2, 3, 4, 5);
        let (_sel, _oper, _r, _s, _res, _handle) = (1, 2, 3, 4, 5, 6);
        #[allow(non_snake_case, unused_variables)]
        let (Ok2, Err2) = (0, 0);
        let (tx, rx) = chan::bounded::<i32>(1);
        select! {
            send(tx, sel + oper + index + res + it + _sel + _oper + _r + _s + _res + _handle)
                -> sent => sent.unwrap(),
            recv(rx) -> _ => {}
        }
        select! {
            recv(rx) -> got => assert_eq!(got.unwrap() + sel + _oper, 39),
            send(tx, 0) -> _ => panic!("full"),
        }
    });
}

#[test]
fn it_works_where_no_name_of_the_prelude_is_what_it_was() {
    #[allow(dead_code)]
    mod odd {
        pub struct Option;
        pub struct Result;
        pub fn drop() {}

        pub fn works(rx: &raddle::chan::Receiver<u8>, tx: &raddle::chan::Sender<u8>) -> u8 {
            let mut sum = 0;
            raddle::chan::select! {
                recv(rx) -> it => sum += it.unwrap_or(0),
                default => {}
            }
            raddle::chan::select! {
                send(tx, 5) -> it => sum += it.is_ok() as u8,
                recv(raddle::chan::never::<u8>()) -> _ => {}
                default(std::time::Duration::ZERO) => {}
            }
            raddle::select! { recv(rx) -> it => sum += it.unwrap_or(0) }
            sum
        }
    }
    let (tx, rx) = chan::bounded(1);
    tx.send(1).unwrap();
    assert_eq!(odd::works(&rx, &tx), 7);
}

#[test]
fn many_arms_are_as_good_as_few() {
    alone_everywhere(limit(10), || {
        let channels: Vec<_> = (0..16).map(|_| chan::bounded::<usize>(1)).collect();
        let r = |n: usize| &channels[n].1;
        for (wanted, (tx, _)) in channels.iter().enumerate() {
            tx.send(wanted).unwrap();
            let it = select! {
                recv(r(0)) -> it => it, recv(r(1)) -> it => it, recv(r(2)) -> it => it,
                recv(r(3)) -> it => it, recv(r(4)) -> it => it, recv(r(5)) -> it => it,
                recv(r(6)) -> it => it, recv(r(7)) -> it => it, recv(r(8)) -> it => it,
                recv(r(9)) -> it => it, recv(r(10)) -> it => it, recv(r(11)) -> it => it,
                recv(r(12)) -> it => it, recv(r(13)) -> it => it, recv(r(14)) -> it => it,
                recv(r(15)) -> it => it,
            };
            assert_eq!(it, Ok(wanted));
        }
    });
}

/// As in Go, one channel may stand in any number of arms.
#[test]
fn one_channel_may_stand_in_many_arms() {
    alone_everywhere(limit(10), || {
        for capacity in [Some(1), None] {
            let (tx, rx) = channel(capacity);
            let mut counts = [0; 4];
            for n in 0..400 {
                select! {
                    send(tx, n) -> res => { res.unwrap(); counts[0] += 1 }
                    send(tx, n) -> res => { res.unwrap(); counts[1] += 1 }
                }
                select! {
                    recv(rx) -> it => { assert_eq!(it, Ok(n)); counts[2] += 1 }
                    recv(rx) -> it => { assert_eq!(it, Ok(n)); counts[3] += 1 }
                }
            }
            assert!(counts.iter().all(|&count| count > 100), "{counts:?}");
        }
        // Both directions: room first, then a message, and so on.
        let (tx, rx) = chan::bounded(1);
        for n in 0..100 {
            let sent = select! {
                send(tx, n) -> res => res.is_ok(),
                recv(rx) -> it => it != Ok(n - 1),
            };
            assert_eq!(sent, n % 2 == 0);
        }
        // A rendezvous does not meet itself.
        let (tx, rx) = chan::bounded(0);
        for timeout in [Duration::ZERO, SHORT] {
            select! {
                send(tx, 0) -> _ => panic!("with itself"),
                recv(rx) -> _ => panic!("with itself"),
                default(timeout) => {}
            }
        }
    });
}

/// It borrows its handles no longer than it takes.
#[test]
fn handles_may_be_dropped_or_lent_in_the_arms() {
    alone_everywhere(limit(10), || {
        let (tx, rx) = chan::bounded(1);
        tx.send(1).unwrap();
        let mut kept = Some(rx.clone());
        select! {
            recv(kept.as_ref().unwrap()) -> it => {
                assert_eq!(it, Ok(1));
                kept = None;
            }
            default => {}
        }
        assert!(kept.is_none());
        select! {
            recv(rx) -> it => assert_eq!(it, Ok(0)),
            send(tx, 2) -> res => { res.unwrap(); drop(tx); drop(rx); }
        }
    });
}
