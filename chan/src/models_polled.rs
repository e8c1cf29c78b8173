//! Sends and receives that are polled, under the model checker, against all
//! that they may meet.

use crate::channel::{BY_CALL, Channel, Side};
use crate::models::{
    beside, complete, recv, recv_in_time, select, send, send_in_time, some_time, try_recv,
};
use crate::part::Goal;
use crate::polling::{Receiving, Sending};
use crate::select::Until;
use raddle_scheduler::model::loom::sync::{Condvar, Mutex};
use raddle_scheduler::model::{Arc, model};
use std::task::{Poll, Wake, Waker};

/// An executor's thread: sleeps between polls until it is called.
struct Executor {
    is_called: Mutex<bool>,
    call: Condvar,
}

impl Wake for Executor {
    fn wake(self: std::sync::Arc<Self>) {
        *self.is_called.lock().unwrap() = true;
        self.call.notify_one();
    }
}

fn executor() -> std::sync::Arc<Executor> {
    std::sync::Arc::new(Executor {
        is_called: Mutex::new(false),
        call: Condvar::new(),
    })
}

/// Polls to the end. Each poll has a waker of its own, and only the last one
/// wakes it.
fn run<R>(mut poll: impl FnMut(&Waker) -> Poll<R>) -> R {
    loop {
        let executor = executor();
        if let Poll::Ready(result) = poll(&Waker::from(executor.clone())) {
            return result;
        }
        let mut is_called = executor.is_called.lock().unwrap();
        while !*is_called {
            is_called = executor.call.wait(is_called).unwrap();
        }
    }
}

fn once<R>(mut poll: impl FnMut(&Waker) -> Poll<R>) -> Option<R> {
    match poll(&Waker::from(executor())) {
        Poll::Ready(result) => Some(result),
        Poll::Pending => None,
    }
}

fn recv_polled(channel: &Channel<u32>) -> Option<u32> {
    let mut receiving = Receiving::new();
    run(|waker| receiving.poll(channel, waker))
}

fn send_polled(channel: &Channel<u32>, message: u32) -> Result<(), u32> {
    let mut sending = Sending::new(message);
    run(|waker| sending.poll(channel, waker))
}

/// Polled so often, and dropped if that was not enough.
fn recv_dropped(channel: &Channel<u32>, polls: u32) -> Option<u32> {
    let mut receiving = Receiving::new();
    for _ in 0..polls {
        if let Some(received) = once(|waker| receiving.poll(channel, waker)) {
            return received;
        }
    }
    receiving.leave(channel);
    None
}

/// As `recv_dropped`. Whether it was sent; none: dropped, and not told.
fn send_dropped(channel: &Channel<u32>, message: u32) -> Option<bool> {
    let mut sending = Sending::new(message);
    if let Some(sent) = once(|waker| sending.poll(channel, waker)) {
        return Some(sent.is_ok());
    }
    // The message comes back, or somebody has it.
    let back = sending.leave(channel);
    assert!(back.is_none_or(|back| back == message));
    back.map(|_| false)
}

const MESSAGE: u32 = 7;

/// A receive that is polled once or twice, and dropped if it has nothing by
/// then: the message is its, or still there.
#[test]
fn a_dropped_receive_loses_nothing() {
    for (capacity, polls) in [(0, 1), (0, 2), (1, 1), (1, 2)] {
        model(move || {
            let channel = Arc::new(Channel::new(Some(capacity)));
            let sender = beside(&channel, |channel| send_in_time(channel, MESSAGE));
            let received = recv_dropped(&channel, polls);
            let sent = sender.join().unwrap();
            let left = try_recv(&channel);
            assert!(received.is_none() || left.is_none(), "received twice");
            assert_eq!(sent.is_ok(), received.or(left) == Some(MESSAGE));
        });
    }
}

/// What a receive was given that is dropped goes to who waits behind it.
#[test]
fn what_was_given_is_passed_on() {
    for capacity in [0, 1] {
        model(move || {
            let channel = Arc::new(Channel::new(Some(capacity)));
            let sender = beside(&channel, |channel| send(channel, MESSAGE));
            let second = beside(&channel, |channel| recv_polled(channel));
            if let Some(received) = recv_dropped(&channel, 1) {
                assert_eq!(received, MESSAGE);
                assert_eq!(send(&channel, MESSAGE), Ok(()));
            }
            assert_eq!(second.join().unwrap(), Some(MESSAGE));
            assert_eq!(sender.join().unwrap(), Ok(()));
        });
    }
}

/// Two messages of one sender, the first given to a receive that is
/// dropped: the next receiver has the first of what is left.
#[test]
fn what_comes_back_is_the_first() {
    model(|| {
        let channel = Arc::new(Channel::new(Some(2)));
        let sender = beside(&channel, |channel| {
            assert_eq!(send(channel, 1), Ok(()));
            assert_eq!(send(channel, 2), Ok(()));
        });
        let first = recv_dropped(&channel, 1);
        let second = recv(&channel);
        sender.join().unwrap();
        let third = try_recv(&channel);
        let got: Vec<u32> = [first, second, third].into_iter().flatten().collect();
        assert_eq!(got, [1, 2]);
    });
}

/// A send that is polled once, and dropped: the message is received, or
/// comes back, and not both.
#[test]
fn a_dropped_send_is_sent_or_not() {
    for capacity in [0, 1] {
        model(move || {
            let channel = Arc::new(Channel::new(Some(capacity)));
            let receiver = beside(&channel, |channel| recv_in_time(channel));
            let sent = send_dropped(&channel, MESSAGE);
            let received = receiver.join().unwrap().or(try_recv(&channel));
            assert_eq!(received.is_some(), sent != Some(false), "{sent:?}");
        });
    }
}

/// Both sides are polled, each against a plain other as well.
#[test]
fn futures_meet() {
    for capacity in [0, 1] {
        model(move || {
            let channel = Arc::new(Channel::new(Some(capacity)));
            let sender = beside(&channel, |channel| send_polled(channel, 1));
            let receiver = beside(&channel, |channel| recv_polled(channel));
            let sent = send_in_time(&channel, 2).is_ok();
            let mut got = Vec::new();
            if sent {
                got.extend(recv(&channel));
            }
            got.extend(receiver.join().unwrap());
            sender.join().unwrap().unwrap();
            got.sort_unstable();
            assert_eq!(got, if sent { vec![1, 2] } else { vec![1] });
        });
    }
}

/// A close ends what waits.
#[test]
fn a_close_ends_futures() {
    for capacity in [0, 1] {
        model(move || {
            let channel = Arc::new(Channel::new(Some(capacity)));
            let sender = beside(&channel, |channel| send_polled(channel, MESSAGE));
            let closer = beside(&channel, |channel| channel.close(BY_CALL));
            let received = recv_polled(&channel);
            let sent = sender.join().unwrap();
            assert!(closer.join().unwrap());
            assert_eq!(sent.is_ok(), received == Some(MESSAGE));
        });
    }
}

/// A selection that sends and completes or draws back, against a receive
/// that stays, or is dropped; then a close, which ends the rest.
#[test]
fn a_selection_sends_to_a_future() {
    for (completes, polls) in [(true, 1), (true, 2), (false, 1), (false, 2)] {
        model(move || {
            let channel = Arc::new(Channel::new(Some(0)));
            let selects = beside(&channel, move |channel| {
                let cases = [(channel, Side::Send)];
                let sent = select(&cases, Goal::Start, Until::Then(some_time()), |won| {
                    if completes {
                        return complete(&cases, won, MESSAGE).is_ok();
                    }
                    won.give_back();
                    false
                });
                sent == Some(true)
            });
            let mut received = recv_dropped(&channel, polls);
            if received.is_none() {
                // One that was won and dropped leaves the send to others.
                received = recv_in_time(&channel);
            }
            channel.close(BY_CALL);
            let sent = selects.join().unwrap();
            assert_eq!(received.or(try_recv(&channel)).is_some(), sent);
        });
    }
}

/// A receive that stays is served after a selection that drew back.
#[test]
fn a_future_outlives_a_selection_that_draws_back() {
    model(|| {
        let channel = Arc::new(Channel::new(Some(0)));
        let fickle = beside(&channel, |channel| {
            let cases = [(channel, Side::Send)];
            select(&cases, Goal::Start, Until::Then(some_time()), |won| {
                won.give_back()
            });
        });
        let sender = beside(&channel, |channel| send(channel, MESSAGE));
        assert_eq!(recv_polled(&channel), Some(MESSAGE));
        assert_eq!(sender.join().unwrap(), Ok(()));
        fickle.join().unwrap();
    });
}

/// A selection has left a message at a rendezvous, and a sender comes: both are
/// received, in that order.
#[test]
fn what_a_selection_leaves_is_received_first() {
    model(|| {
        let channel = Arc::new(Channel::new(Some(0)));
        let mut sending = Sending::new(MESSAGE);
        assert!(once(|waker| sending.poll(&channel, waker)).is_none());
        let cases = [(&*channel, Side::Recv)];
        let until = Until::Then(some_time());
        let left = select(&cases, Goal::Start, until, |won| won.give_back());
        assert!(left.is_some(), "a send waits there");
        assert_eq!(sending.leave(&channel), None);
        let later = beside(&channel, |channel| send(channel, MESSAGE + 1));
        let received = [recv(&channel), recv(&channel)];
        assert_eq!(received, [Some(MESSAGE), Some(MESSAGE + 1)]);
        later.join().unwrap().unwrap();
        assert_eq!(try_recv(&channel), None);
    });
}

/// A selection that receives and completes or draws back, against a send
/// that stays, or is dropped.
#[test]
fn a_selection_receives_from_a_future() {
    for (goal, completes) in [
        (Goal::Start, true),
        (Goal::Start, false),
        (Goal::Take, true),
    ] {
        model(move || {
            let channel = Arc::new(Channel::new(Some(0)));
            let selects = beside(&channel, move |channel| {
                let cases = [(channel, Side::Recv)];
                let got = select(&cases, goal, Until::Then(some_time()), |won| {
                    if completes {
                        return complete(&cases, won, 0).unwrap();
                    }
                    won.give_back();
                    None
                });
                got.flatten()
            });
            let sent = send_dropped(&channel, MESSAGE);
            let received = selects.join().unwrap().or(try_recv(&channel));
            assert_eq!(received.is_some(), sent != Some(false), "{sent:?}");
        });
    }
}
