//! `block_on`, and handles that are futures.

mod common;
#[path = "common/wakers.rs"]
mod wakers;

use common::{
    Mode, ON_PURPOSE, OnDrop, Random, everywhere, is_on_purpose, limit, on_runtimes, rounds,
    runtime, seed, with_deadline,
};
use raddle::{block_on, go, spawn};
use std::future::{Future, pending as never, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};
use wakers::{Calls, Event, Turn, poll_once, poll_with};

// ORDER: SeqCst: flags that are looked at after what set them.

#[test]
fn a_future_that_is_ready_is_not_waited_for() {
    everywhere(limit(30), || {
        assert_eq!(block_on(ready(7)), 7);
        assert_eq!(block_on(async { 6 * 7 }), 42);
        let text = String::from("borrowed");
        assert_eq!(block_on(async { text.len() }), 8);
    });
}

#[test]
fn a_future_is_woken_from_a_goroutine_and_from_a_thread() {
    everywhere(limit(60), || {
        for is_thread in [false, true] {
            let event = Event::default();
            let happens = event.clone();
            if is_thread {
                thread::spawn(move || happens.happen());
            } else {
                go!(move || happens.happen());
            }
            block_on(event);
        }
    });
}

/// Each waits for the other's event, again and again, early and late.
#[test]
fn no_wake_is_lost() {
    everywhere(limit(60), || {
        let count = rounds(2_000);
        let events: Arc<Vec<Event>> = Arc::new((0..count * 2).map(|_| Event::default()).collect());
        let theirs = events.clone();
        let partner = move || {
            for pair in theirs.chunks(2) {
                block_on(pair[0].clone());
                pair[1].happen();
            }
        };
        let partner = spawn(partner);
        for pair in events.chunks(2) {
            pair[0].happen();
            block_on(pair[1].clone());
        }
        partner.join().unwrap();
    });
}

/// Wakers of futures that are over are called all the time, while their
/// goroutine waits for other things: none of these waits ends early.
#[test]
fn a_late_wake_ends_no_other_wait() {
    everywhere(limit(60), || {
        let (kept, late) = mpsc::channel::<Waker>();
        let stop = Arc::new(AtomicBool::new(false));
        let stops = stop.clone();
        let caller = thread::spawn(move || {
            let mut wakers = Vec::new();
            while !stops.load(SeqCst) {
                wakers.extend(late.try_iter());
                wakers.iter().for_each(Waker::wake_by_ref);
                thread::yield_now();
            }
        });
        let me = raddle::current();
        let (sender, receiver) = raddle::chan::bounded(0);
        let sends = spawn(move || {
            for n in 0..rounds(300) {
                sender.send(n).unwrap();
                raddle::yield_now();
            }
        });
        for n in 0..rounds(300) {
            let event = Event::default();
            let happens = event.clone();
            let keeps = kept.clone();
            let waits = async move {
                poll_fn(|context| {
                    keeps.send(context.waker().clone()).unwrap();
                    Poll::Ready(())
                })
                .await;
                event.await;
            };
            let partner = go!(move || happens.happen());
            block_on(waits);
            partner.join().unwrap();
            // The token of `park` is another.
            let flag = Arc::new(AtomicBool::new(false));
            let (sets, unparks) = (flag.clone(), me.clone());
            let partner = go!(move || {
                sets.store(true, SeqCst);
                unparks.unpark();
            });
            raddle::park();
            assert!(flag.load(SeqCst), "a park returned without its token");
            partner.join().unwrap();
            assert_eq!(receiver.recv(), Ok(n));
        }
        sends.join().unwrap();
        stop.store(true, SeqCst);
        caller.join().unwrap();
    });
}

/// A waker that outlives its goroutine, and its runtime.
#[test]
fn a_waker_may_outlive_everything() {
    for mode in common::MODES {
        with_deadline(limit(30), "", || {
            let event = Event::default();
            let waits = event.clone();
            let runtime = runtime(mode, 2);
            let waiter = runtime.spawn(move || block_on(waits));
            while event.waker().is_none() {
                thread::yield_now();
            }
            let waker = event.happen().expect("it waited");
            waiter.join().unwrap();
            waker.wake_by_ref();
            drop(runtime);
            waker.wake_by_ref();
            waker.wake();
        });
    }
}

#[test]
fn a_poll_may_wait_for_another_future() {
    everywhere(limit(30), || {
        let event = Event::default();
        let happens = event.clone();
        let mut is_first = true;
        let nested = poll_fn(move |context| {
            if std::mem::take(&mut is_first) {
                let happens = happens.clone();
                go!(move || happens.happen());
                block_on(event.clone());
                // The outer wake, while nobody waits for it.
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(5)
        });
        assert_eq!(block_on(nested), 5);
    });
}

/// It never parks, and yet others run: on one processor too.
#[test]
fn a_future_that_wakes_itself_gives_way() {
    on_runtimes(&[1], &common::MODES, limit(30), |runtime, _| {
        runtime.run(|| {
            let flag = Arc::new(AtomicBool::new(false));
            let sets = flag.clone();
            let mut turns = 0;
            go!(move || sets.store(true, SeqCst));
            block_on(async {
                while !flag.load(SeqCst) {
                    turns += 1;
                    Turn::default().await;
                }
            });
            assert!(turns < 100, "{turns} turns before the other had one");
        });
    });
}

/// What an executor sets for the time of a poll is seen by nobody else: a
/// poll of ours does not give way, also where polls that fail do so because
/// others wait long.
#[test]
fn a_poll_of_ours_gives_way_to_nobody() {
    struct Inside<'a>(&'a AtomicBool);
    impl Drop for Inside<'_> {
        fn drop(&mut self) {
            assert!(self.0.swap(false, SeqCst));
        }
    }
    with_deadline(limit(30), "", || {
        let runtime = runtime(Mode::Pinned, 1);
        let (inside, begin) = (Arc::new(AtomicBool::new(false)), Instant::now());
        let goes_on = move || begin.elapsed() < Duration::from_millis(400);
        let polls = [(); 2].map(|()| {
            let inside = inside.clone();
            runtime.spawn(move || {
                let (sender, receiver) = raddle::chan::bounded(1);
                while goes_on() {
                    sender.send(()).unwrap();
                    let mut receive = receiver.recv_async();
                    block_on(poll_fn(|context| {
                        assert!(!inside.swap(true, SeqCst), "two at once");
                        let _inside = Inside(&inside);
                        Pin::new(&mut receive).poll(context)
                    }))
                    .unwrap();
                    raddle::yield_now();
                }
            })
        });
        let never = raddle::chan::never::<()>();
        let tries = runtime.spawn(move || {
            while goes_on() {
                assert!(never.try_recv().is_err());
            }
        });
        polls.into_iter().for_each(|polls| polls.join().unwrap());
        tries.join().unwrap();
    });
}

#[test]
fn shutdown_drops_the_future_of_who_waits() {
    on_runtimes(&[1, 2], &common::MODES, limit(30), |_, what| {
        let mode = if what.starts_with("Pinned") {
            Mode::Pinned
        } else {
            Mode::Migrate
        };
        let runtime = runtime(mode, 1);
        let (event, dropped) = (Event::default(), Arc::new(AtomicUsize::new(0)));
        let (waits, counts) = (event.clone(), dropped.clone());
        let waiter = runtime.spawn(move || {
            let counts = OnDrop(move || {
                counts.fetch_add(1, SeqCst);
            });
            block_on(async move {
                let _counts = counts;
                waits.await;
                never::<()>().await;
            });
        });
        while event.waker().is_none() {
            thread::yield_now();
        }
        let waker = event.waker().unwrap();
        drop(runtime);
        assert_eq!(dropped.load(SeqCst), 1);
        assert!(waiter.join().unwrap_err().is::<raddle::Shutdown>());
        waker.wake();
    });
}

/// Wakes race with the end of the runtime.
#[test]
fn shutdown_races_with_wakes() {
    let mut random = Random::new(seed());
    for round in 0..rounds(30) {
        let mode = common::MODES[(round % 2) as usize];
        with_deadline(limit(30), "", || {
            let runtime = runtime(mode, 1 + (round % 3) as usize);
            let events: Vec<Event> = (0..8).map(|_| Event::default()).collect();
            let waiters: Vec<_> = events
                .iter()
                .map(|event| {
                    let event = event.clone();
                    runtime.spawn(move || {
                        block_on(event);
                        never_ends();
                    })
                })
                .collect();
            let pause = random.micros(0..300);
            let waker = thread::spawn(move || {
                thread::sleep(pause);
                events.iter().for_each(|event| drop(event.happen()));
            });
            thread::sleep(random.micros(0..300));
            drop(runtime);
            waker.join().unwrap();
            for waiter in waiters {
                assert!(waiter.join().unwrap_err().is::<raddle::Shutdown>());
            }
        });
    }
}

fn never_ends() {
    block_on(never::<()>());
}

#[test]
fn a_panic_of_a_poll_is_the_callers() {
    everywhere(limit(30), || {
        let dropped = Arc::new(AtomicBool::new(false));
        let counts = dropped.clone();
        let panics = catch_unwind(AssertUnwindSafe(|| {
            block_on(async move {
                let _counts = OnDrop(move || counts.store(true, SeqCst));
                Turn::default().await;
                std::panic::panic_any(ON_PURPOSE)
            })
        }));
        let payload = panics.expect_err("it panics");
        assert!(is_on_purpose(payload.as_ref()));
        assert!(dropped.load(SeqCst));
        assert_eq!(block_on(ready(1)), 1);
    });
}

/// Destructors that wait for a future: in a panic, after `goexit`, and of a
/// thread's own values.
#[test]
fn destructors_wait_for_futures() {
    fn waits() -> OnDrop<impl FnMut()> {
        OnDrop(|| {
            let event = Event::default();
            let happens = event.clone();
            thread::spawn(move || happens.happen());
            block_on(event);
        })
    }
    everywhere(limit(60), || {
        let panics = spawn(|| {
            let _waits = waits();
            std::panic::panic_any(ON_PURPOSE)
        });
        assert!(is_on_purpose(panics.join().unwrap_err().as_ref()));
        let exits = spawn(|| {
            let _waits = waits();
            raddle::goexit()
        });
        assert!(exits.join().unwrap_err().is::<raddle::Goexit>());
        let thread = thread::spawn(|| {
            thread_local! {
                static LAST: std::cell::RefCell<Option<Box<dyn std::any::Any>>> =
                    const { std::cell::RefCell::new(None) };
            }
            LAST.set(Some(Box::new(waits())));
            block_on(Turn::default());
        });
        thread.join().unwrap();
    });
}

#[test]
fn who_waits_for_a_future_is_parked() {
    with_deadline(limit(30), "", || {
        let event = Event::default();
        let waits = event.clone();
        let builder = raddle::Builder::new().name("waits for a future".into());
        let waiter = builder.spawn(move || block_on(waits)).unwrap();
        while !raddle::observe::dump()
            .to_string()
            .contains("\"waits for a future\" [park")
        {
            thread::yield_now();
        }
        event.happen();
        waiter.join().unwrap();
    });
}

#[test]
fn a_handle_is_a_future_of_the_result() {
    everywhere(limit(30), || {
        assert_eq!(block_on(spawn(|| 7)).unwrap(), 7);
        let panics = spawn(|| -> u8 { std::panic::panic_any(ON_PURPOSE) });
        assert!(is_on_purpose(block_on(panics).unwrap_err().as_ref()));
        let exits = spawn(|| -> u8 { raddle::goexit() });
        assert!(block_on(exits).unwrap_err().is::<raddle::Goexit>());
        let slow = spawn(|| {
            raddle::time::sleep(Duration::from_millis(2));
            "slow"
        });
        assert_eq!(block_on(async { slow.await.unwrap().len() }), 4);
    });
}

/// A goroutine that ends when it is told to.
fn until_told<T: Send + 'static>(result: T) -> (raddle::JoinHandle<T>, Event) {
    let event = Event::default();
    let waits = event.clone();
    let handle = spawn(move || {
        block_on(waits);
        result
    });
    (handle, event)
}

#[test]
fn the_last_waker_is_woken_and_no_other() {
    everywhere(limit(30), || {
        let (mut handle, tell) = until_told(3);
        let wakers: Vec<_> = (0..3).map(|_| Calls::new()).collect();
        for (_, waker) in &wakers {
            assert!(poll_with(&mut handle, waker).is_pending());
            assert!(poll_with(&mut handle, waker).is_pending());
        }
        tell.happen();
        while wakers[2].0.count() == 0 {
            raddle::yield_now();
        }
        let counts: Vec<_> = wakers.iter().map(|(calls, _)| calls.count()).collect();
        assert_eq!(counts, [0, 0, 1]);
        assert!(matches!(poll_once(&mut handle), Poll::Ready(Ok(3))));
        // What was registered is dropped.
        for (calls, waker) in wakers {
            drop(waker);
            // Who called it has it for a moment after that.
            while Arc::strong_count(&calls) > 1 {
                raddle::yield_now();
            }
        }
    });
}

#[test]
fn a_handle_dropped_unfinished_detaches() {
    everywhere(limit(30), || {
        let (ended, ends) = mpsc::channel();
        let (mut handle, tell) = until_told(OnDrop(move || ended.send(()).unwrap()));
        let (calls, waker) = Calls::new();
        assert!(poll_with(&mut handle, &waker).is_pending());
        drop(handle);
        drop(waker);
        assert_eq!(Arc::strong_count(&calls), 1);
        assert!(ends.try_recv().is_err(), "it goes on");
        tell.happen();
        while ends.try_recv().is_err() {
            raddle::yield_now();
        }
        assert_eq!(calls.count(), 0);
    });
}

#[test]
fn a_handle_that_was_polled_may_be_joined_and_watched() {
    everywhere(limit(30), || {
        // Joined.
        let (mut handle, tell) = until_told(1);
        let (calls, waker) = Calls::new();
        assert!(poll_with(&mut handle, &waker).is_pending());
        tell.happen();
        assert_eq!(handle.join().unwrap(), 1);
        assert!(calls.count() <= 1);
        // Watched after a poll, and joined.
        let (mut handle, tell) = until_told(2);
        assert!(poll_with(&mut handle, &waker).is_pending());
        let done = handle.done().clone();
        assert_eq!(done.try_recv(), Err(raddle::chan::TryRecvError::Empty));
        assert!(poll_with(&mut handle, &waker).is_pending());
        tell.happen();
        assert!(done.recv().is_err());
        assert_eq!(handle.join().unwrap(), 2);
        // Watched before.
        let (mut handle, tell) = until_told(3);
        let done = handle.done().clone();
        let before = calls.count();
        assert!(poll_with(&mut handle, &waker).is_pending());
        tell.happen();
        assert!(done.recv().is_err());
        while calls.count() == before {
            raddle::yield_now();
        }
        assert!(handle.is_finished());
        assert_eq!(block_on(handle).unwrap(), 3);
    });
}

#[test]
fn a_handle_gives_its_result_once() {
    with_deadline(limit(30), "", || {
        let mut handle = spawn(|| 1);
        assert_eq!(block_on(&mut handle).unwrap(), 1);
        let again = catch_unwind(AssertUnwindSafe(|| poll_once(&mut handle).is_ready()));
        assert!(again.is_err());
        assert!(catch_unwind(AssertUnwindSafe(|| handle.join())).is_err());
    });
}

/// Polls, drops, joins and the end race.
#[test]
fn the_end_races_with_what_is_done_to_a_handle() {
    everywhere(limit(60), || {
        let mut random = Random::new(seed());
        let dropped = Arc::new(AtomicUsize::new(0));
        let count = rounds(2_000) as usize;
        for _ in 0..count {
            let counts = dropped.clone();
            let turns = random.below(0..4);
            let mut handle = spawn(move || {
                (0..turns).for_each(|_| raddle::yield_now());
                OnDrop(move || {
                    counts.fetch_add(1, SeqCst);
                })
            });
            let (_, waker) = Calls::new();
            for _ in 0..random.below(0..3) {
                if poll_with(&mut handle, &waker).is_ready() {
                    break;
                }
                raddle::yield_now();
            }
            match random.below(0..4) {
                0 => drop(handle),
                1 if !handle.is_finished() => drop(handle.join()),
                2 if !handle.is_finished() => drop(block_on(handle)),
                _ => {
                    let done = handle.done().clone();
                    drop(handle);
                    assert!(done.recv().is_err());
                }
            }
        }
        while dropped.load(SeqCst) < count {
            raddle::yield_now();
        }
        assert_eq!(dropped.load(SeqCst), count);
    });
}

#[test]
fn a_handle_of_a_goroutine_that_never_began_is_ready() {
    with_deadline(limit(30), "", || {
        let runtime = runtime(Mode::Pinned, 1);
        let handle = runtime.run(|| spawn(raddle::park));
        let (calls, waker) = Calls::new();
        let mut handle = handle;
        assert!(poll_with(&mut handle, &waker).is_pending());
        drop(runtime);
        assert_eq!(calls.count(), 1);
        let Poll::Ready(Err(payload)) = poll_once(&mut handle) else {
            panic!("its runtime is gone")
        };
        assert!(payload.is::<raddle::Shutdown>());
    });
}

/// A waker whose code is not ours, and panics.
#[test]
fn a_waker_that_panics_harms_nobody() {
    struct Panics;
    impl std::task::Wake for Panics {
        fn wake(self: Arc<Self>) {
            std::panic::panic_any(ON_PURPOSE)
        }
    }
    everywhere(limit(30), || {
        let (mut handle, tell) = until_told(8);
        assert!(poll_with(&mut handle, &Waker::from(Arc::new(Panics))).is_pending());
        tell.happen();
        assert_eq!(handle.join().unwrap(), 8);

        let (sender, receiver) = raddle::chan::bounded::<u8>(1);
        let mut first = receiver.recv_async();
        assert!(poll_with(&mut first, &Waker::from(Arc::new(Panics))).is_pending());
        let (calls, waker) = Calls::new();
        let mut second = receiver.recv_async();
        assert!(poll_with(&mut second, &waker).is_pending());
        drop(sender);
        assert_eq!(calls.count(), 1);
    });
}

/// Futures are what their parts allow.
#[test]
fn futures_are_send_as_their_messages() {
    fn is_send<T: Send>(_: &T) {}
    fn is_future<T: Future + Unpin>(_: &T) {}
    let (sender, receiver) = raddle::chan::unbounded::<u8>();
    is_send(&receiver.recv_async());
    is_send(&receiver.stream());
    is_send(&sender.send_async(1));
    is_future(&receiver.recv_async());
    is_future(&sender.send_async(1));
    let handle = spawn(|| 1);
    is_send(&handle);
    is_future(&handle);
}
