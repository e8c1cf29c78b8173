//! Channels that time fills: `after`, `at`, `tick`.

use crate::channel::Side;
#[cfg(feature = "futures")]
use crate::futures::Timed;
use crate::lock::Key;
use crate::part::{BY_ITSELF, Enlisted, Goal, NEVER, Part, Seen, has_come};
use crate::shim::{AcqRel, Acquire, AtomicU64, Reason, Wait, checkpoint, clock};
use crate::waiter::{Deal, Node, Room, Wakes};
#[cfg(feature = "futures")]
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

/// There are no queues: who waits sets a timer of its own.
///
/// Invariants
/// 1. `next` is when the next message is there, in nanoseconds of
///    `clock::now`; it only grows. Who moves it on has the message.
pub(crate) struct Clock {
    next: AtomicU64,
    /// None: one message and no more.
    period: Option<u64>,
    first: Instant,
    first_ns: u64,
}

impl Clock {
    pub(crate) fn new(first: Instant, period: Option<Duration>) -> Self {
        let first_ns = clock::at(first);
        Self {
            next: AtomicU64::new(first_ns),
            period: period.map(|period| u64::try_from(period.as_nanos()).unwrap_or(NEVER)),
            first,
            first_ns,
        }
    }

    /// When a message is there next.
    fn next(&self) -> u64 {
        // ORDER: Acquire pairs with `take`.
        self.next.load(Acquire)
    }

    pub(crate) fn is_due(&self) -> bool {
        has_come(self.next())
    }

    /// Takes the message that is there.
    pub(crate) fn take(&self) -> Option<u64> {
        loop {
            let due = self.next();
            let now = clock::now();
            if due == NEVER || due > now {
                return None;
            }
            let next = match self.period.map(|period| (period, due.saturating_add(period))) {
                None => NEVER,
                Some((_, in_step)) if in_step > now => in_step,
                // Too late: a slow receiver does not get them in a burst.
                Some((period, _)) => now.saturating_add(period),
            };
            // ORDER: AcqRel: one taker after the other.
            let taken = self.next.compare_exchange(due, next, AcqRel, Acquire);
            if taken.is_ok() {
                return Some(due);
            }
        }
    }

    /// The message that `take` took.
    pub(crate) fn message(&self, due: u64) -> Instant {
        self.first + Duration::from_nanos(due - self.first_ns)
    }

    /// As `recv`, for a future.
    #[cfg(feature = "futures")]
    pub(crate) fn poll(&self, timed: &mut Timed, waker: &Waker) -> Poll<Instant> {
        if let Some(due) = self.take() {
            return Poll::Ready(self.message(due));
        }
        timed.wake_at(self.next(), waker);
        Poll::Pending
    }

    /// Waits for a message, until `deadline` at most.
    pub(crate) fn recv(&self, deadline: u64) -> Option<Instant> {
        loop {
            checkpoint();
            if let Some(due) = self.take() {
                return Some(self.message(due));
            }
            if deadline != NEVER && deadline <= clock::now() {
                return None;
            }
            wait_until(self.next().min(deadline), Reason::ChanReceive);
        }
    }
}

/// Parks until `deadline`; for ever if that is the end of time.
pub(crate) fn wait_until(deadline: u64, reason: Reason) {
    let wait = Wait::new();
    let deadline = (deadline != NEVER).then_some(deadline);
    let _late = wait.park(reason, deadline);
}

impl Part for Clock {
    fn seen(&self, _side: Side) -> Seen {
        let next = self.next();
        Seen {
            may_be_ready: has_come(next),
            stamp: Some(next),
        }
    }

    fn start(&self, _side: Side, goal: Goal, _room: &mut Room) -> Option<Deal> {
        match goal {
            Goal::Know => self.is_due().then_some(Deal::Ready),
            _ => self.take().map(Deal::Time),
        }
    }

    unsafe fn enlist(
        &self,
        side: Side,
        goal: Goal,
        _node: &Node,
        own: &Wait,
        room: &mut Room,
    ) -> Enlisted {
        if !self.is_due() {
            return Enlisted::In;
        }
        if !own.settle(BY_ITSELF) {
            return Enlisted::Lost;
        }
        self.start(side, goal, room).map_or(Enlisted::Again, Enlisted::Won)
    }

    fn withdraw(&self, _side: Side, _goal: Goal, _node: &Node) {}

    fn give_back(&self, _side: Side, _deal: Deal, _room: Room) {}

    fn due(&self) -> u64 {
        self.next()
    }

    unsafe fn start_held(
        &self,
        side: Side,
        goal: Goal,
        room: &mut Room,
        _wakes: &mut Wakes,
    ) -> Option<Deal> {
        self.start(side, goal, room)
    }

    unsafe fn enlist_held(&self, _side: Side, _goal: Goal, _node: &Node, _wakes: &mut Wakes) {}

    unsafe fn unlock(&self, _key: Key) {}
}
