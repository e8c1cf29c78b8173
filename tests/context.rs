//! Contexts: what ends them, whom they take along, and what they leave.

mod common;
#[path = "common/places.rs"]
mod places;

use common::{MODES, Random, limit, on_runtimes, rounds, runtime, seed, with_deadline};
use places::{Ledger, alone_everywhere, at_each_place};
use raddle::chan::{self, RecvCtxError, RecvTimeoutError, SendCtxError, TryRecvError, select};
use raddle::context::{CancelFunc, Cause, Context, ContextError};
use raddle::go;
use raddle::net::{TcpListener, TcpStream};
use raddle::time::sleep;
use std::error::Error;
use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

const SHORT: Duration = Duration::from_millis(5);
const LONG: Duration = Duration::from_secs(3600);

fn cause(text: &'static str) -> Cause {
    let boxed: Box<dyn Error + Send + Sync> = text.into();
    boxed.into()
}

fn said(ctx: &Context) -> String {
    ctx.cause().unwrap().to_string()
}

#[test]
fn roots_never_end() {
    alone_everywhere(limit(10), || {
        for root in [Context::background(), Context::todo()] {
            assert_eq!(root.err(), None);
            assert!(root.cause().is_none() && root.deadline().is_none());
            assert_eq!(root.done().try_recv(), Err(TryRecvError::Empty));
            assert_eq!(
                root.done().recv_timeout(SHORT),
                Err(RecvTimeoutError::Timeout)
            );
            let after = root.after_func(|| panic!("it never ends"));
            assert!(after.stop() && !after.stop());
        }
    });
}

#[test]
fn errors_have_gos_words() {
    assert_eq!(ContextError::Canceled.to_string(), "context canceled");
    let late = ContextError::DeadlineExceeded;
    assert_eq!(late.to_string(), "context deadline exceeded");
    let _error: &dyn Error = &late;
}

#[test]
fn a_cancel_ends_the_context_once() {
    alone_everywhere(limit(10), || {
        let (ctx, cancel) = Context::background().with_cancel();
        assert_eq!(ctx.err(), None);
        assert_eq!(ctx.done().try_recv(), Err(TryRecvError::Empty));
        cancel.clone().cancel();
        cancel.cancel();
        assert_eq!(ctx.done().try_recv(), Err(TryRecvError::Disconnected));
        assert_eq!(ctx.err(), Some(ContextError::Canceled));
        assert_eq!(said(&ctx), "context canceled");
        select! { recv(ctx.done()) -> it => assert!(it.is_err()) }
    });
}

#[test]
fn a_dropped_function_cancels_nothing_a_guard_does() {
    let (ctx, cancel) = Context::background().with_cancel();
    let done = ctx.done().clone();
    drop(cancel.clone());
    assert_eq!(ctx.err(), None);
    drop(cancel.guard());
    assert_eq!(ctx.err(), Some(ContextError::Canceled));
    assert!(done.recv().is_err());
    let (ctx, cancel) = Context::background().with_cancel_cause();
    drop(cancel.clone());
    assert_eq!(ctx.err(), None);
    drop(cancel.guard());
    assert_eq!(said(&ctx), "context canceled");
    // Of one that nobody holds its end is not to be seen.
    let done = Context::background().with_cancel().0.done().clone();
    assert_eq!(done.try_recv(), Err(TryRecvError::Empty));
}

#[test]
fn a_deadline_ends_the_context() {
    alone_everywhere(limit(10), || {
        let begin = Instant::now();
        let (ctx, cancel) = Context::background().with_timeout(SHORT);
        let (child, _cancel) = ctx.with_cancel();
        assert!(ctx.deadline().unwrap() >= begin + SHORT);
        assert_eq!(child.deadline(), ctx.deadline());
        assert!(child.done().recv().is_err());
        assert!(begin.elapsed() >= SHORT);
        assert_eq!(ctx.err(), Some(ContextError::DeadlineExceeded));
        assert_eq!(child.err(), Some(ContextError::DeadlineExceeded));
        assert_eq!(said(&child), "context deadline exceeded");
        cancel.cancel();
        assert_eq!(ctx.err(), Some(ContextError::DeadlineExceeded));

        let (late, _cancel) = Context::background().with_deadline(begin);
        assert_eq!(late.err(), Some(ContextError::DeadlineExceeded));
        assert!(late.done().recv().is_err());
        let (far, cancel) = Context::background().with_timeout(Duration::MAX);
        assert_eq!((far.err(), far.deadline()), (None, None));
        cancel.cancel();
        assert_eq!(far.err(), Some(ContextError::Canceled));
    });
}

#[test]
fn the_earlier_deadline_counts() {
    let (parent, cancel) = Context::background().with_timeout(LONG);
    let (later, _cancel) = parent.with_timeout(LONG * 2);
    let (sooner, _cancel) = parent.with_timeout(LONG / 2);
    assert_eq!(later.deadline(), parent.deadline());
    assert!(sooner.deadline() < parent.deadline());
    cancel.cancel();
    for ctx in [later, sooner] {
        assert_eq!(ctx.err(), Some(ContextError::Canceled));
    }
}

#[test]
fn causes_come_down_the_tree() {
    alone_everywhere(limit(10), || {
        let (parent, cancel) = Context::background().with_cancel_cause();
        let (child, cancel_child) = parent.with_cancel_cause();
        let (grandchild, _cancel) = child.with_timeout(LONG);
        let (sibling, _cancel) = parent.with_cancel();
        cancel_child.cancel(cause("the child's"));
        cancel.cancel(cause("the parent's"));
        cancel.cancel(cause("too late"));
        assert_eq!(said(&parent), "the parent's");
        assert_eq!(said(&sibling), "the parent's");
        assert_eq!(said(&child), "the child's");
        assert_eq!(said(&grandchild), "the child's");
        assert_eq!(grandchild.err(), Some(ContextError::Canceled));
        let (late, _cancel) = sibling.with_timeout_cause(LONG, cause("no"));
        assert_eq!(said(&late), "the parent's");

        let (ctx, _cancel) = Context::background().with_timeout_cause(SHORT, cause("slow"));
        ctx.done().recv().unwrap_err();
        assert_eq!(ctx.err(), Some(ContextError::DeadlineExceeded));
        assert_eq!(said(&ctx), "slow");
        let root = Context::background();
        let (ctx, cancel) = root.with_deadline_cause(Instant::now() + LONG, cause("slow"));
        cancel.cancel();
        assert_eq!(said(&ctx), "context canceled");
    });
}

#[test]
fn values_are_found_by_type() {
    #[derive(Debug, PartialEq)]
    struct User(&'static str);
    let (root, cancel) = Context::background().with_cancel();
    let first = root.with_value(User("first")).with_value(7_u32);
    let second = first.with_value(User("second"));
    assert_eq!(*first.value::<User>().unwrap(), User("first"));
    assert_eq!(*second.value::<User>().unwrap(), User("second"));
    assert_eq!(*second.value::<u32>().unwrap(), 7);
    assert!(second.value::<u64>().is_none() && root.value::<User>().is_none());
    let (child, _cancel) = second.with_timeout(LONG);
    let free = child.without_cancel();
    cancel.cancel();
    assert_eq!(child.err(), Some(ContextError::Canceled));
    assert_eq!(*child.value::<User>().unwrap(), User("second"));
    assert_eq!((free.err(), free.deadline()), (None, None));
    assert_eq!(*free.value::<User>().unwrap(), User("second"));
    // Longer than a stack is deep.
    let mut long = Context::background();
    for n in 0..200_000_u64 {
        long = long.with_value(n);
    }
    assert_eq!(*long.value::<u64>().unwrap(), 199_999);
}

#[test]
fn functions_run_after_the_end() {
    at_each_place(limit(10), |place| {
        let (ctx, cancel) = Context::background().with_cancel();
        let (tx, rx) = chan::unbounded();
        let send = |n: u32| {
            let (tx, ctx) = (tx.clone(), ctx.clone());
            move || tx.send((n, ctx.err())).unwrap()
        };
        let first = ctx.after_func(send(1));
        drop(ctx.after_func(send(2)));
        let stopped = ctx.after_func(send(3));
        assert!(stopped.stop() && !stopped.stop());
        assert!(rx.try_recv().is_err());
        place.spawn(move || cancel.cancel()).end();
        let mut got: Vec<_> = rx.iter().take(2).collect();
        got.sort_unstable_by_key(|it| it.0);
        let canceled = Some(ContextError::Canceled);
        assert_eq!(got, [(1, canceled), (2, canceled)]);
        assert!(!first.stop());
        let fourth = ctx.after_func(send(4));
        assert_eq!(rx.recv(), Ok((4, canceled)));
        assert!(!fourth.stop(), "{}", place.name);
    });
}

/// Who waits for an end is told though nobody holds the context: by its
/// deadline, or by an end above it.
#[test]
fn an_end_comes_without_the_context() {
    alone_everywhere(limit(10), || {
        let (tx, rx) = chan::unbounded();
        let send = |n: u32| {
            let tx = tx.clone();
            move || tx.send(n).unwrap()
        };
        let (parent, cancel) = Context::background().with_cancel();
        let done = {
            let (ctx, _cancel) = parent.with_timeout(SHORT);
            let (child, _cancel) = ctx.with_cancel();
            let _after = child.after_func(send(1));
            let _after = ctx.after_func(send(2));
            child.done().clone()
        };
        assert!(done.recv().is_err());
        let mut both = [rx.recv().unwrap(), rx.recv().unwrap()];
        both.sort_unstable();
        assert_eq!((both, parent.err()), ([1, 2], None));

        let (done, after) = {
            let (ctx, _cancel) = parent.with_timeout(LONG);
            let (child, _cancel) = parent.with_cancel();
            let _after = ctx.after_func(send(3));
            (child.done().clone(), child.after_func(send(4)))
        };
        assert_eq!(done.try_recv(), Err(TryRecvError::Empty));
        assert!(after.stop());
        cancel.cancel();
        assert!(done.recv().is_err());
        assert_eq!(rx.recv(), Ok(3));
        drop(tx);
        assert!(rx.recv().is_err(), "nothing is left of the fourth");
    });
}

#[test]
fn many_see_one_cancel() {
    at_each_place(limit(20), |place| {
        let (ctx, cancel) = Context::background().with_cancel();
        let (ready, waits) = chan::unbounded();
        let waiters: Vec<_> = (0..50)
            .map(|n| {
                let (ctx, ready) = (ctx.clone(), ready.clone());
                place.spawn(move || {
                    let (child, _cancel) = ctx.with_timeout(LONG);
                    let (_open, other) = chan::bounded::<()>(0);
                    ready.send(()).unwrap();
                    match n % 3 {
                        0 => assert!(child.done().recv().is_err()),
                        1 => assert!(ctx.done().recv().is_err()),
                        _ => select! {
                            recv(child.done()) -> _ => {}
                            recv(other) -> _ => panic!("nobody sends"),
                        },
                    }
                    child.err()
                })
            })
            .collect();
        waits.iter().take(50).for_each(drop);
        cancel.cancel();
        for waiter in waiters {
            // A child may be told a moment after its parent.
            let err = waiter.end();
            assert!(err.is_none_or(|err| err == ContextError::Canceled));
        }
    });
}

/// Wide, and deeper than any stack.
#[test]
fn a_tree_of_a_hundred_thousand_is_linear() {
    const MANY: usize = 100_000;
    fn grow(deep: bool) -> (CancelFunc, Vec<Context>) {
        let (root, cancel) = Context::background().with_cancel();
        let mut all = vec![root];
        for n in 0..MANY {
            let parent = if deep { &all[n] } else { &all[n / 4] };
            all.push(parent.with_cancel().0);
        }
        (cancel, all)
    }
    on_runtimes(&[1, 2], &MODES, limit(30), |runtime, what| {
        runtime.run(|| {
            for deep in [false, true] {
                let (cancel, all) = grow(deep);
                assert_eq!(raddle::runtime::num_goroutines(), 1, "{what}");
                let last = all[MANY].done().clone();
                cancel.cancel();
                assert!(all.iter().all(|ctx| ctx.err().is_some()));
                assert!(last.recv().is_err());
                // Roots first, then leaves first, then all at the last leaf.
                drop(all);
                let (_cancel, mut all) = grow(deep);
                all.reverse();
                drop(all);
                let (_cancel, mut all) = grow(deep);
                let leaf = all.pop();
                drop(all);
                drop(leaf);
            }
        });
    });
}

/// Children that end or are dropped leave nothing with a parent that stays.
#[test]
fn parents_outlive_children() {
    alone_everywhere(limit(20), || {
        let ledger = Ledger::new();
        let (parent, cancel) = Context::background().with_cancel();
        for n in 0..20_000 {
            let (child, cancel) = match n % 3 {
                0 => parent.with_cancel(),
                1 => parent.with_timeout(LONG),
                _ => {
                    let value = ledger.value(n);
                    let after = parent.after_func(move || panic!("stopped {}", value.number));
                    assert!(after.stop());
                    continue;
                }
            };
            if n % 2 == 0 {
                cancel.cancel();
            }
            drop(child);
        }
        ledger.settled("functions");
        assert_eq!(parent.err(), None);
        cancel.cancel();
    });
}

/// An error that is counted: a context owns the cause of its deadline.
struct Counted(places::Value);

impl fmt::Debug for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cause {}", self.0.number)
    }
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl Error for Counted {}

/// Many that come and go under one parent, of which a few are there at a
/// time, and one that is waited for without being held.
#[test]
fn children_that_go_are_gone_while_their_parent_stays() {
    alone_everywhere(limit(20), || {
        let ledger = Ledger::new();
        let counted = |n| Box::new(Counted(ledger.value(n))) as Box<dyn Error + Send + Sync>;
        let (parent, cancel) = Context::background().with_cancel();
        let mut few = std::collections::VecDeque::new();
        for n in 0..10_000 {
            let (child, cancel) = parent.with_timeout_cause(LONG, counted(n));
            let (grandchild, _cancel) = child.with_cancel();
            match n % 4 {
                0 => cancel.cancel(),
                1 => drop(grandchild.done().recv_timeout(Duration::ZERO)),
                2 => drop(child),
                _ => {}
            }
            few.push_back(grandchild);
            if few.len() > 100 {
                few.pop_front();
            }
        }
        // Of each that was held by a grandchild alone, or ended, nothing else
        // is left but those few.
        assert!(ledger.made() - ledger.dropped() <= few.len() as u64);
        drop(few);
        ledger.settled("causes");

        let done = parent.with_timeout_cause(LONG, counted(1)).0.done().clone();
        assert_eq!(done.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(parent.err(), None);
        cancel.cancel();
        assert!(done.recv().is_err());
        ledger.settled("the last cause");
    });
}

/// As Go's programs do it: the end of a context sets a deadline in the past,
/// which ends a read, a write or an accept that waits already.
#[test]
fn a_context_ends_calls_of_a_socket() {
    on_runtimes(&[1, 2], &MODES, limit(30), |runtime, what| {
        runtime.run(|| {
            let listener = Arc::new(TcpListener::bind("127.0.0.1:0").unwrap());
            let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (stream, (silent, _)) = (Arc::new(stream), listener.accept().unwrap());
            // More than the system takes.
            let full = Arc::new(vec![0; 64 << 20]);
            for n in 0..rounds(20) {
                let (ctx, cancel) = match n % 2 {
                    0 => Context::background().with_cancel(),
                    _ => Context::background().with_timeout(Duration::from_micros(n * 20)),
                };
                stream.set_deadline(ctx.deadline());
                listener.set_deadline(ctx.deadline());
                let (ended, closed) = (stream.clone(), listener.clone());
                let _after = ctx.after_func(move || {
                    ended.set_deadline(Some(Instant::now()));
                    closed.set_deadline(Some(Instant::now()));
                });
                let reads = raddle::spawn({
                    let stream = stream.clone();
                    move || (&*stream).read(&mut [0; 64]).unwrap_err().kind()
                });
                let writes = raddle::spawn({
                    let stream = stream.clone();
                    let full = full.clone();
                    move || (&*stream).write_all(&full).unwrap_err().kind()
                });
                let accepts = raddle::spawn({
                    let listener = listener.clone();
                    move || listener.accept().unwrap_err().kind()
                });
                if n % 4 == 0 {
                    sleep(Duration::from_micros(n * 10));
                }
                if n % 2 == 0 {
                    cancel.cancel();
                }
                for call in [reads, writes, accepts] {
                    assert_eq!(call.join().unwrap(), ErrorKind::TimedOut, "{what}");
                }
                ctx.done().recv().unwrap_err();
            }
            drop(silent);
        });
    });
}

#[test]
fn a_receive_ends_with_its_context() {
    at_each_place(limit(20), |place| {
        for n in 0..rounds(20) {
            let (tx, rx) = chan::bounded(1);
            let (ctx, cancel) = Context::background().with_cancel();
            tx.send(1).unwrap();
            assert_eq!(rx.recv_ctx(&ctx), Ok(1));
            cancel.cancel();
            assert!(rx.recv_ctx(&&ctx).is_err());
            tx.send(2).unwrap();
            let error = rx.recv_ctx(&ctx).unwrap_err();
            assert_eq!(error, RecvCtxError::Done(ContextError::Canceled));
            assert_eq!(error.to_string(), "context canceled");
            assert_eq!(rx.recv_ctx(&Context::background()), Ok(2));

            let (ctx, cancel) = Context::background().with_timeout(LONG);
            let waiter = place.spawn({
                let rx = rx.clone();
                move || rx.recv_ctx(&ctx)
            });
            if n % 2 == 0 {
                sleep(Duration::from_micros(100));
            }
            cancel.cancel();
            let error = waiter.end().unwrap_err();
            assert_eq!(error.context_error(), Some(ContextError::Canceled));
            drop(tx);
            let (ctx, _cancel) = Context::background().with_cancel();
            assert!(rx.recv_ctx(&ctx).unwrap_err().is_disconnected());
            let (_tx, rx) = chan::bounded::<u8>(0);
            let (ctx, _cancel) = Context::background().with_timeout(Duration::from_micros(50));
            let late = RecvCtxError::Done(ContextError::DeadlineExceeded);
            assert_eq!(rx.recv_ctx(&ctx), Err(late), "{}", place.name);
        }
    });
}

#[test]
fn a_send_ends_with_its_context_and_gives_back() {
    at_each_place(limit(20), |place| {
        let ledger = Ledger::new();
        for n in 0..rounds(20) {
            let (tx, rx) = chan::bounded(usize::from(n % 2 == 0));
            let (ctx, cancel) = Context::background().with_cancel();
            let sender = place.spawn({
                let (ledger, ctx) = (ledger.clone(), ctx.clone());
                move || {
                    let sent = (0..).find_map(|n| tx.send_ctx(&ctx, ledger.value(n)).err());
                    (tx, sent.unwrap())
                }
            });
            let taken = rx.recv().unwrap().number + 1;
            if n % 3 == 0 {
                sleep(Duration::from_micros(100));
            }
            cancel.cancel();
            let (tx, error) = sender.end();
            assert_eq!(error.context_error(), Some(ContextError::Canceled));
            let left = rx.try_iter().count() as u64;
            assert_eq!(error.into_inner().number, taken + left, "{}", place.name);
            drop(rx);
            let (ctx, _cancel) = Context::background().with_timeout(LONG);
            let error = tx.send_ctx(&ctx, ledger.value(9)).unwrap_err();
            assert!(matches!(error, SendCtxError::Disconnected(value) if value.number == 9));
        }
        ledger.settled(&place.name);
    });
}

/// Children are made and dropped, and functions wait, while all ends: each
/// child ends, and each function is called or stopped, once.
#[test]
fn a_cancel_races_with_children() {
    let begin = seed();
    at_each_place(limit(60), move |place| {
        for n in 0..rounds(40) {
            let (root, cancel) = Context::background().with_cancel();
            let (tx, rx) = chan::unbounded();
            let makers: Vec<_> = (0..3)
                .map(|m| {
                    let (root, tx) = (root.clone(), tx.clone());
                    let mut random = Random::new(begin + n * 3 + m);
                    place.spawn(move || {
                        let (mut kept, mut called) = (Vec::new(), 0);
                        for _ in 0..50 {
                            let parent = kept.last().unwrap_or(&root).clone();
                            match random.below(0..5) {
                                0 => drop(parent.with_timeout(random.micros(0..300))),
                                1 => parent.with_cancel().1.cancel(),
                                2 => {
                                    let tx = tx.clone();
                                    let after = parent.after_func(move || tx.send(()).unwrap());
                                    let stops = random.below(0..2) == 0 && after.stop();
                                    called += usize::from(!stops);
                                }
                                _ => kept.push(parent.with_cancel().0),
                            }
                        }
                        (kept, called)
                    })
                })
                .collect();
            drop(tx);
            let canceller = place.spawn(move || cancel.cancel());
            let made: Vec<_> = makers.into_iter().map(|it| it.end()).collect();
            canceller.end();
            for (kept, _) in &made {
                for ctx in kept {
                    assert!(ctx.done().recv().is_err());
                    assert_eq!(ctx.err(), Some(ContextError::Canceled));
                }
            }
            let called: usize = made.iter().map(|it| it.1).sum();
            assert_eq!(rx.iter().count(), called, "{}", place.name);
        }
    });
}

/// A deadline, a cancel and a drop at the same moment.
#[test]
fn deadlines_race_with_cancels() {
    let begin = seed();
    at_each_place(limit(60), move |place| {
        let mut random = Random::new(begin);
        for _ in 0..rounds(500) {
            let (ctx, cancel) = Context::background().with_timeout(random.micros(0..60));
            let (child, _cancel) = ctx.with_cancel();
            sleep(random.micros(0..60));
            match random.below(0..3) {
                0 => cancel.cancel(),
                1 => drop(ctx),
                _ => assert!(ctx.done().recv().is_err()),
            }
            if random.below(0..2) == 0 {
                assert!(child.done().recv().is_err(), "{}", place.name);
                assert!(child.err().is_some());
            }
        }
    });
}

/// A loop that asks gives way to who cancels, also at home on one thread.
#[test]
fn a_loop_that_asks_is_told() {
    on_runtimes(&[1], &MODES, limit(20), |runtime, _| {
        runtime.run(|| {
            let (ctx, cancel) = Context::background().with_cancel();
            let canceller = go!(move || cancel.cancel());
            while ctx.err().is_none() {}
            canceller.join().unwrap();
            let (ctx, _cancel) = Context::background().with_timeout(SHORT);
            while ctx.err().is_none() {}
        });
    });
}

#[test]
fn a_runtime_ends_with_contexts_open() {
    for mode in MODES {
        with_deadline(limit(20), &format!("{mode:?}"), || {
            let runtime = runtime(mode, 2);
            let (ctx, cancel) = runtime.run(|| Context::background().with_timeout(LONG));
            let value = Arc::new(());
            let held = value.clone();
            let after = runtime.run(|| ctx.after_func(move || drop(held)));
            drop(runtime);
            cancel.cancel();
            assert_eq!(ctx.err(), Some(ContextError::Canceled));
            // There is no goroutine any more for it to run in.
            assert!(after.stop());
            assert_eq!(Arc::strong_count(&value), 1);
        });
    }
}

/// Whoever waits for a deadline of a runtime that is gone is told, on a plain
/// thread and at another runtime.
#[test]
fn a_deadline_outlives_its_runtime() {
    for mode in MODES {
        with_deadline(limit(20), &format!("{mode:?}"), || {
            let first = runtime(mode, 1);
            let make = || {
                let (ctx, _) = Context::background().with_timeout_cause(SHORT, cause("too late"));
                let (child, _) = ctx.with_cancel();
                let (kept, _) = Context::background().with_timeout(LONG);
                (ctx, child, kept)
            };
            let (ctx, child, kept) = first.run(make);
            drop(first);
            assert_eq!(ctx.done().recv(), Err(chan::RecvError));
            assert_eq!(ctx.err(), Some(ContextError::DeadlineExceeded));
            assert_eq!(said(&ctx), "too late");
            runtime(mode, 1).run(|| assert_eq!(child.done().recv(), Err(chan::RecvError)));
            assert_eq!(child.err(), Some(ContextError::DeadlineExceeded));
            assert_eq!(kept.err(), None);
        });
    }
}

/// The deadline comes while the runtime ends: the goroutine that was to end
/// the context may have been queued, and dropped unrun.
#[test]
fn a_deadline_is_not_lost_while_its_runtime_ends() {
    for mode in MODES {
        with_deadline(limit(30), &format!("{mode:?}"), || {
            for n in 0..rounds(100) {
                let first = runtime(mode, 1);
                let (ctx, cancel) = first.run(|| {
                    let wait = Duration::from_micros(n % 50 * 10);
                    Context::background().with_timeout(wait)
                });
                drop(first);
                assert_eq!(ctx.done().recv(), Err(chan::RecvError));
                assert_eq!(ctx.err(), Some(ContextError::DeadlineExceeded));
                drop(cancel);
            }
        });
    }
}

/// The runtime's end waits for the call, which waits for a timer: one of that
/// runtime's, it never came.
#[test]
fn a_deadline_comes_to_a_blocking_call_of_a_runtime_that_ends() {
    for mode in MODES {
        with_deadline(limit(20), &format!("{mode:?}"), move || {
            let runtime = runtime(mode, 2);
            let (began, begins) = chan::bounded(1);
            let call = runtime.spawn(move || {
                raddle::blocking(move || {
                    began.send(()).unwrap();
                    // The end begins meanwhile, or it does not.
                    std::thread::sleep(Duration::from_millis(50));
                    let (context, _cancel) =
                        Context::background().with_timeout(Duration::from_millis(100));
                    context.done().recv().unwrap_err();
                    context.err()
                })
            });
            begins.recv().unwrap();
            drop(runtime);
            // Doomed when it comes back, as likely as not.
            if let Ok(error) = call.join() {
                assert_eq!(error, Some(ContextError::DeadlineExceeded));
            }
        });
    }
}

/// A deadline that has moved is taken back with its context.
#[test]
fn a_context_that_outlives_its_runtime_can_be_cancelled() {
    for mode in MODES {
        with_deadline(limit(20), &format!("{mode:?}"), || {
            let first = runtime(mode, 1);
            let (ctx, cancel) = first.run(|| Context::background().with_timeout(LONG));
            drop(first);
            cancel.cancel();
            assert_eq!(ctx.done().recv(), Err(chan::RecvError));
            assert_eq!(ctx.err(), Some(ContextError::Canceled));
        });
    }
}
