//! The protocols of this crate under the model checker: every order of a few
//! threads, on the code that programs run.

use crate::channel::{BY_CALL, Channel, Side};
use crate::dial::Dial;
use crate::part::Goal;
use crate::select::{Case, NodeSlot, Selection, Until, Won};
use crate::shim::clock;
use crate::waiting::{Progress, Waiting};
use raddle_scheduler::model::loom::thread::JoinHandle;
use raddle_scheduler::model::{Arc, model, spawn};

/// Runs `f` in a thread of its own, on what it shares with the others.
pub(crate) fn beside<S, R>(shared: &Arc<S>, f: impl FnOnce(&S) -> R + 'static) -> JoinHandle<R>
where
    S: 'static,
    R: 'static,
{
    let shared = shared.clone();
    spawn(move || f(&shared))
}

/// A deadline, which in a model may pass at any moment.
pub(crate) fn some_time() -> u64 {
    clock::now() + 1
}

pub(crate) fn send(channel: &Channel<u32>, message: u32) -> Result<(), u32> {
    let waiting = Waiting::to_send(channel, message);
    match waiting.run() {
        Progress::Done => Ok(()),
        _ => Err(waiting.into_message()),
    }
}

pub(crate) fn send_in_time(channel: &Channel<u32>, message: u32) -> Result<(), u32> {
    let waiting = Waiting::to_send(channel, message);
    match waiting.run_until(some_time()) {
        Progress::Done => Ok(()),
        _ => Err(waiting.into_message()),
    }
}

pub(crate) fn recv(channel: &Channel<u32>) -> Option<u32> {
    let waiting = Waiting::to_recv(channel);
    (waiting.run() == Progress::Done).then(|| waiting.into_message())
}

/// Is to end before it parks, as shutdown ends a wait: at any moment, since the
/// checker tries them all. None if it was not served before.
fn recv_unless_doomed(channel: &Channel<u32>) -> Option<u32> {
    let waiting = Waiting::to_recv(channel);
    let mut progress = waiting.begin();
    if progress == Progress::Parks {
        if waiting.leave() {
            return None;
        }
        progress = waiting.park();
    }
    (progress == Progress::Done).then(|| waiting.into_message())
}

pub(crate) fn recv_in_time(channel: &Channel<u32>) -> Option<u32> {
    let waiting = Waiting::to_recv(channel);
    (waiting.run_until(some_time()) == Progress::Done).then(|| waiting.into_message())
}

pub(crate) fn try_recv(channel: &Channel<u32>) -> Option<u32> {
    let waiting = Waiting::to_recv(channel);
    (waiting.try_now() == Progress::Done).then(|| waiting.into_message())
}

pub(crate) type Cases<'a> = [(&'a Channel<u32>, Side)];

/// Chooses one of the cases and runs `then` on it.
pub(crate) fn select<R>(
    cases: &Cases<'_>,
    goal: Goal,
    until: Until,
    then: impl FnOnce(Won<'_>) -> R,
) -> Option<R> {
    let cases: Vec<Case<'_>> = cases
        .iter()
        .map(|(channel, side)| Case::new(*channel, *side))
        .collect();
    let nodes: Vec<NodeSlot> = cases.iter().map(|_| NodeSlot::new()).collect();
    let selection = Selection::new(&cases, &nodes, true, goal, until);
    let won = selection.run();
    drop(selection);
    won.map(then)
}

/// Completes a case: what was received, or nothing for a send that went.
pub(crate) fn complete(cases: &Cases<'_>, won: Won<'_>, message: u32) -> Result<Option<u32>, ()> {
    let (channel, side) = cases[won.index];
    match side {
        Side::Send => channel
            .finish_send(won.deal, message)
            .map(|()| None)
            .map_err(|_| ()),
        Side::Recv => channel.finish_recv(won.deal, won.room).map(Some).ok_or(()),
    }
}

/// Both sides may come late: the message is on one side afterwards.
#[test]
fn a_message_is_sent_or_kept() {
    for capacity in [0, 1] {
        model(move || {
            let channel = Arc::new(Channel::new(Some(capacity)));
            let sender = beside(&channel, |channel| send_in_time(channel, 7));
            let received = recv_in_time(&channel);
            let sent = sender.join().unwrap();
            let left = try_recv(&channel);
            assert_eq!(
                sent.is_ok(),
                received.or(left) == Some(7),
                "{sent:?} {received:?} {left:?}"
            );
        });
    }
}

/// Two receivers, one of them in a hurry, and two messages for them.
#[test]
fn nobody_sleeps_beside_a_message() {
    model(|| {
        let channel = Arc::new(Channel::new(Some(1)));
        let receiver = beside(&channel, |channel| recv(channel));
        let hurried = beside(&channel, |channel| recv_in_time(channel));
        assert_eq!(send(&channel, 1), Ok(()));
        assert_eq!(send(&channel, 2), Ok(()));
        let mut got = vec![receiver.join().unwrap(), hurried.join().unwrap()];
        got.push(try_recv(&channel));
        let mut got: Vec<u32> = got.into_iter().flatten().collect();
        got.sort_unstable();
        assert_eq!(got, [1, 2]);
    });
}

/// A receiver that shutdown ends, beside another and a sender in a hurry: the
/// message goes to one of them, or stays with the sender.
#[test]
fn a_doomed_wait_is_served_or_gone() {
    for capacity in [0, 1] {
        model(move || {
            let channel = Arc::new(Channel::new(Some(capacity)));
            let doomed = beside(&channel, recv_unless_doomed);
            let sender = beside(&channel, |channel| send_in_time(channel, 7));
            let received = recv_in_time(&channel);
            let (doomed, sent) = (doomed.join().unwrap(), sender.join().unwrap());
            let left = try_recv(&channel);
            let count = [received, doomed, left].into_iter().flatten().count();
            assert_eq!(count, usize::from(sent.is_ok()));
        });
    }
}

/// A close, a sender and a receiver: the message is on one side afterwards,
/// and all return.
#[test]
fn a_close_ends_every_wait() {
    for capacity in [0, 1] {
        model(move || {
            let channel = Arc::new(Channel::new(Some(capacity)));
            let sender = beside(&channel, |channel| send(channel, 7));
            let closer = beside(&channel, |channel| channel.close(BY_CALL));
            let received = recv(&channel);
            let sent = sender.join().unwrap();
            assert!(closer.join().unwrap(), "the only one to close");
            assert_eq!(sent.is_ok(), received == Some(7));
            assert_eq!(send(&channel, 8), Err(8));
        });
    }
}

/// Two selections, each ready to send on one channel and to receive on the
/// other: they meet at one of the two, and only there.
#[test]
fn two_selections_meet_once() {
    for goal in [Goal::Start, Goal::Take] {
        model(move || {
            let channels = Arc::new((Channel::new(Some(0)), Channel::new(Some(0))));
            let other = beside(&channels, move |channels| {
                let cases = [(&channels.0, Side::Send), (&channels.1, Side::Recv)];
                select(&cases, goal, Until::Ever, |won| complete(&cases, won, 1)).unwrap()
            });
            let cases = [(&channels.1, Side::Send), (&channels.0, Side::Recv)];
            let mine = select(&cases, goal, Until::Ever, |won| complete(&cases, won, 2)).unwrap();
            let theirs = other.join().unwrap();
            match (mine, theirs) {
                (Ok(None), Ok(Some(2))) | (Ok(Some(1)), Ok(None)) => {}
                other => panic!("{other:?}"),
            }
            assert!(!channels.0.lock().can_recv());
            assert!(!channels.1.lock().can_recv());
        });
    }
}

/// The same with a third, plain, that sends to one of them if it can.
#[test]
fn a_selection_is_chosen_once() {
    for goal in [Goal::Start, Goal::Take] {
        model(move || {
            let channels = Arc::new((Channel::new(Some(0)), Channel::new(Some(0))));
            let other = beside(&channels, move |channels| {
                let cases = [(&channels.0, Side::Recv), (&channels.1, Side::Recv)];
                select(&cases, goal, Until::Ever, |won| complete(&cases, won, 0)).unwrap()
            });
            let hurried = beside(&channels, |channels| send_in_time(&channels.1, 2));
            let cases = [(&channels.0, Side::Send)];
            let sent = select(&cases, goal, Until::Then(some_time()), |won| {
                complete(&cases, won, 1)
            });
            let hurried = hurried.join().unwrap();
            if sent.is_none() && hurried.is_err() {
                // Nobody came in time.
                assert_eq!(send(&channels.0, 3), Ok(()));
            }
            let got = other.join().unwrap().unwrap().unwrap();
            let count = usize::from(sent.is_some()) + usize::from(hurried.is_ok());
            assert!(count <= 1, "it took two messages");
            let expected = match (sent.is_some(), hurried.is_ok()) {
                (true, _) => 1,
                (_, true) => 2,
                _ => 3,
            };
            assert_eq!(got, expected);
        });
    }
}

/// A selection against a close of one channel and its own deadline.
#[test]
fn a_selection_against_close_and_time() {
    for (capacity, goal) in [
        (0, Goal::Start),
        (1, Goal::Start),
        (0, Goal::Take),
        (1, Goal::Take),
    ] {
        model(move || {
            let channels = Arc::new((Channel::new(Some(capacity)), Channel::new(Some(0))));
            let sender = beside(&channels, |channels| send(&channels.0, 7));
            let closer = beside(&channels, |channels| channels.0.close(BY_CALL));
            let cases = [(&channels.1, Side::Recv), (&channels.0, Side::Recv)];
            let got = select(&cases, goal, Until::Then(some_time()), |won| {
                assert_eq!(won.index, 1, "nobody sends to the first");
                complete(&cases, won, 0)
            });
            closer.join().unwrap();
            let sent = sender.join().unwrap();
            let left = recv(&channels.0);
            let received = got.and_then(Result::ok).flatten();
            assert_eq!(sent.is_ok(), received.or(left) == Some(7));
        });
    }
}

/// A selection wins a partner and draws back: the partner is served by who
/// comes next, or told that the channel is closed.
#[test]
fn a_partner_outlives_a_selection_that_draws_back() {
    for capacity in [0, 1] {
        model(move || {
            let channel = Arc::new(Channel::new(Some(capacity)));
            let sender = beside(&channel, |channel| send(channel, 7));
            let fickle = beside(&channel, |channel| {
                let cases = [(channel, Side::Recv)];
                select(&cases, Goal::Start, Until::Then(some_time()), |won| {
                    won.give_back()
                });
            });
            assert_eq!(recv(&channel), Some(7));
            assert_eq!(sender.join().unwrap(), Ok(()));
            fickle.join().unwrap();
        });
    }
}

/// Of two selections that have chosen one another one draws back: the other
/// goes on as if it had come alone.
#[test]
fn one_of_two_selections_draws_back() {
    model(|| {
        let channel = Arc::new(Channel::new(Some(0)));
        let sender = beside(&channel, |channel| {
            let cases = [(channel, Side::Send)];
            select(&cases, Goal::Start, Until::Ever, |won| {
                complete(&cases, won, 7)
            })
            .unwrap()
        });
        let cases = [(&*channel, Side::Recv)];
        select(&cases, Goal::Start, Until::Then(some_time()), |won| {
            won.give_back()
        });
        assert_eq!(recv(&channel), Some(7));
        assert_eq!(sender.join().unwrap(), Ok(None));
    });
}

/// A message is put into the second channel before it is taken from the
/// first, so at every moment one of the two has one.
#[test]
fn a_default_is_exact() {
    model(|| {
        let channels = Arc::new((Channel::new(Some(1)), Channel::new(Some(1))));
        assert_eq!(send(&channels.0, 1), Ok(()));
        let mover = beside(&channels, |channels| {
            assert_eq!(send(&channels.1, 2), Ok(()));
            try_recv(&channels.0)
        });
        for cases in [
            [(&channels.0, Side::Recv), (&channels.1, Side::Recv)],
            [(&channels.1, Side::Recv), (&channels.0, Side::Recv)],
        ] {
            let found = select(&cases, Goal::Start, Until::Now, |won| won.give_back());
            assert!(found.is_some(), "one was full all the time");
        }
        mover.join().unwrap();
    });
}

/// Somebody who only asks what is ready is told.
#[test]
fn a_watcher_is_told() {
    for capacity in [0, 1] {
        model(move || {
            let channel = Arc::new(Channel::new(Some(capacity)));
            let sender = beside(&channel, |channel| send(channel, 7));
            let cases = [Case::new(&*channel, Side::Recv)];
            let nodes = [NodeSlot::new()];
            let selection = Selection::new(&cases, &nodes, true, Goal::Know, Until::Ever);
            assert_eq!(selection.run().map(|won| won.index), Some(0));
            drop(selection);
            assert_eq!(try_recv(&channel), Some(7));
            assert_eq!(sender.join().unwrap(), Ok(()));
        });
    }
}

const STOPPED: u64 = u64::MAX;

/// Who waits at a dial that was stopped sees it set, and set again: of two
/// settings one is received, and the other is taken back or is left.
#[test]
fn a_setting_is_not_slept_over() {
    model(|| {
        let dial = Arc::new(Dial::new(STOPPED, None));
        let receiver = beside(&dial, |dial| dial.recv(STOPPED));
        assert!(!dial.set(clock::now(), None), "it was stopped");
        let taken_back = dial.set(clock::now(), None);
        assert_eq!(receiver.join().unwrap(), Some(clock::now()));
        assert_eq!(dial.take().is_none(), taken_back);
    });
}

/// Two who wait, and a stop: each message goes to one of them, or is taken
/// back.
#[test]
fn a_message_of_a_dial_goes_to_one() {
    model(|| {
        let dial = Arc::new(Dial::new(STOPPED, None));
        let receiver = beside(&dial, |dial| dial.recv(STOPPED).is_some());
        let hurried = beside(&dial, |dial| dial.take().is_some());
        dial.set(clock::now(), None);
        let taken_back = dial.stop();
        let hurried = hurried.join().unwrap();
        if taken_back || hurried {
            // Nothing is left for who waits.
            assert!(!(taken_back && hurried));
            dial.set(clock::now(), None);
        }
        assert!(receiver.join().unwrap());
        assert_eq!(dial.take(), None);
    });
}

/// A selection that waits at a dial and a channel, while both come true: it
/// takes one, and the other is left.
#[test]
fn a_selection_sees_a_setting() {
    for goal in [Goal::Start, Goal::Take, Goal::Know] {
        model(move || {
            let both = Arc::new((Dial::new(STOPPED, None), Channel::new(Some(1))));
            let sets = beside(&both, |both| both.0.set(clock::now(), None));
            let sends = beside(&both, |both| send(&both.1, 7));
            let cases = [
                Case::new(&both.1, Side::Recv),
                Case::new(&both.0, Side::Recv),
            ];
            let nodes = [NodeSlot::new(), NodeSlot::new()];
            let selection = Selection::new(&cases, &nodes, true, goal, Until::Ever);
            let won = selection.run().unwrap();
            drop(selection);
            let took_message = won.index == 0 && goal != Goal::Know;
            let took_time = won.index == 1 && goal != Goal::Know;
            if took_message {
                assert_eq!(both.1.finish_recv(won.deal, won.room), Some(7));
            }
            assert!(!sets.join().unwrap());
            assert_eq!(sends.join().unwrap(), Ok(()));
            assert_eq!(both.0.take().is_none(), took_time);
            assert_eq!(try_recv(&both.1).is_none(), took_message);
        });
    }
}
