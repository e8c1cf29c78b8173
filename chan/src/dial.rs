//! A clock that can be set anew: what timers and tickers are made of.

use crate::channel::Side;
#[cfg(all(feature = "futures", not(raddle_model)))]
use crate::futures::Timed;
use crate::lock::Key;
use crate::part::{BY_ITSELF, Enlisted, Goal, NEVER, Part, Seen, has_come};
#[cfg(all(feature = "futures", not(raddle_model)))]
use crate::polled::Polled;
use crate::shim::{
    Acquire, AtomicU64, Mutex, MutexGuard, Reason, Relaxed, Release, Wait, checkpoint, clock,
};
use crate::waiter::{Deal, Node, Queue, Room, Wakes};
use std::ptr;
#[cfg(all(feature = "futures", not(raddle_model)))]
use std::sync::Arc;
#[cfg(all(feature = "futures", not(raddle_model)))]
use std::task::{Poll, Waker};

/// Receivers set a timer of their own, as with a `Clock`. They stand in a
/// queue too, for whoever sets the dial to an earlier time.
///
/// Invariants
/// 1. `next` is when the next message is there; `NEVER`: stopped, or taken.
///    It is written under the lock. Who moves it on from a time that has
///    come has the message.
/// 2. `turns` is odd while `next` changes, and grows by two with each change.
/// 3. Who stands in the queue sleeps no longer than until the `next` it read
///    after it came to stand there; a change to an earlier one wakes it.
pub(crate) struct Dial {
    next: AtomicU64,
    turns: AtomicU64,
    inner: Mutex<Inner>,
}

struct Inner {
    /// None: one message and no more.
    period: Option<u64>,
    waiting: Queue,
}

// SAFETY: nodes are reached under the lock, and those taken out are paid for
// by who did it; see `Node`'s invariants.
unsafe impl Sync for Dial {}
// SAFETY: as above.
unsafe impl Send for Dial {}

impl Dial {
    /// A message at `next`, and another each `period` after it.
    pub(crate) fn new(next: u64, period: Option<u64>) -> Self {
        Self {
            next: AtomicU64::new(next),
            turns: AtomicU64::new(0),
            inner: Mutex::new(Inner {
                period,
                waiting: Queue::new(),
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock()
    }

    fn next(&self) -> u64 {
        // ORDER: Acquire pairs with `turn`.
        self.next.load(Acquire)
    }

    /// Writes `next`; under the lock.
    fn turn(&self, next: u64) {
        // ORDER: Relaxed: written under the lock alone.
        let turns = self.turns.load(Relaxed);
        // ORDER: Relaxed: who reads what is written below sees this.
        self.turns.store(turns + 1, Relaxed);
        // ORDER: Release pairs with `next`.
        self.next.store(next, Release);
        // ORDER: Release pairs with `seen`.
        self.turns.store(turns + 2, Release);
    }

    /// The next message comes at `next`, with this period from there on; one
    /// that is there and was not received is gone. Whether there was, or
    /// would have been, one more.
    pub(crate) fn set(&self, next: u64, period: Option<u64>) -> bool {
        let mut wakes = Wakes::none();
        let mut inner = self.lock();
        inner.period = period;
        let was = self.next();
        self.turn(next);
        if next < was {
            inner.waiting.claim_all(Deal::Retry, &mut wakes);
        }
        drop(inner);
        wakes.wake();
        was != NEVER
    }

    /// No message comes, also none that is there. Whether there was, or would
    /// have been, one more.
    pub(crate) fn stop(&self) -> bool {
        // Those who wait wake once more in vain, when it would have come.
        self.set(NEVER, None)
    }

    /// Takes the message that is there; under the lock.
    fn take_held(&self, inner: &Inner) -> Option<u64> {
        let due = self.next();
        let now = clock::now();
        if due == NEVER || due > now {
            return None;
        }
        // In step, however late this is.
        let next = inner.period.map_or(NEVER, |period| {
            let missed = (now - due) / period;
            due.saturating_add(period.saturating_mul(missed + 1))
        });
        self.turn(next);
        Some(due)
    }

    /// Takes the message that is there: the time at which it came.
    pub(crate) fn take(&self) -> Option<u64> {
        if !has_come(self.next()) {
            return None;
        }
        self.take_held(&self.lock())
    }

    /// Waits for a message, until `deadline` at most.
    pub(crate) fn recv(&self, deadline: u64) -> Option<u64> {
        loop {
            checkpoint();
            let wait = Wait::new();
            let node = Node::new();
            node.prepare(&raw const wait, ptr::null_mut());
            let mut inner = self.lock();
            if let Some(due) = self.take_held(&inner) {
                return Some(due);
            }
            if deadline != NEVER && deadline <= clock::now() {
                return None;
            }
            // SAFETY: 1. it stays here, and `Leave` takes it out.
            unsafe { inner.waiting.push(&node) };
            drop(inner);
            let _leave = Leave(self, &node);
            let until = self.next().min(deadline);
            // By time, by a setting, or in vain: looked at above.
            let _outcome = wait.park(Reason::ChanReceive, (until != NEVER).then_some(until));
        }
    }

    /// As `recv`, for a future.
    #[cfg(all(feature = "futures", not(raddle_model)))]
    pub(crate) fn poll(&self, timed: &mut Timed, waker: &Waker) -> Poll<u64> {
        loop {
            let old = self.leave_polled(timed);
            // Not under the lock, as all of others' code.
            let polled = Polled::again(old, waker.clone());
            let mut inner = self.lock();
            if let Some(due) = self.take_held(&inner) {
                return Poll::Ready(due);
            }
            polled.prepare(ptr::null_mut());
            // SAFETY: 1. on the heap, by the count that `prepare` made.
            unsafe { inner.waiting.push(polled.node()) };
            drop(inner);
            timed.queued = Some(polled);
            let next = self.next();
            if !has_come(next) {
                timed.wake_at(next, waker);
                return Poll::Pending;
            }
        }
    }

    /// A future waits no more; what it waited with.
    #[cfg(all(feature = "futures", not(raddle_model)))]
    pub(crate) fn leave_polled(&self, timed: &mut Timed) -> Option<Arc<Polled>> {
        let polled = timed.queued.take()?;
        let mut inner = self.lock();
        if polled.node().is_in() {
            inner.waiting.remove(polled.node());
            drop(inner);
            // SAFETY: 1. taken out just now.
            drop(unsafe { polled.take_count() });
        }
        Some(polled)
    }

    fn leave(&self, node: &Node) {
        let mut inner = self.lock();
        if node.is_in() {
            inner.waiting.remove(node);
        }
    }
}

/// Takes the node out however the park ends, by shutdown too.
struct Leave<'a>(&'a Dial, &'a Node);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.leave(self.1);
    }
}

impl Part for Dial {
    fn seen(&self, _side: Side) -> Seen {
        // ORDER: Acquire pairs with `turn`: a `next` of a later turn shows
        // that turn to the second look.
        let turns = self.turns.load(Acquire);
        Seen {
            may_be_ready: has_come(self.next()),
            stamp: turns.is_multiple_of(2).then_some(turns),
        }
    }

    fn start(&self, _side: Side, goal: Goal, _room: &mut Room) -> Option<Deal> {
        match goal {
            Goal::Know => has_come(self.next()).then_some(Deal::Ready),
            _ => self.take().map(Deal::Time),
        }
    }

    unsafe fn enlist(
        &self,
        _side: Side,
        goal: Goal,
        node: &Node,
        own: &Wait,
        _room: &mut Room,
    ) -> Enlisted {
        let mut inner = self.lock();
        if !has_come(self.next()) {
            // SAFETY: 1. the caller's promise.
            unsafe { inner.waiting.push(node) };
            return Enlisted::In;
        }
        if !own.settle(BY_ITSELF) {
            return Enlisted::Lost;
        }
        let deal = match goal {
            Goal::Know => Some(Deal::Ready),
            _ => self.take_held(&inner).map(Deal::Time),
        };
        deal.map_or(Enlisted::Again, Enlisted::Won)
    }

    fn withdraw(&self, _side: Side, _goal: Goal, node: &Node) {
        self.leave(node);
    }

    fn give_back(&self, _side: Side, _deal: Deal, _room: Room) {}

    fn due(&self) -> u64 {
        self.next()
    }

    /// Its lock is none that a selection holds: it is taken after all of
    /// those, and no other is taken under it.
    unsafe fn start_held(
        &self,
        side: Side,
        goal: Goal,
        room: &mut Room,
        _wakes: &mut Wakes,
    ) -> Option<Deal> {
        self.start(side, goal, room)
    }

    unsafe fn enlist_held(&self, _side: Side, _goal: Goal, node: &Node, _wakes: &mut Wakes) {
        // What has come since `start_held` ends the park at once.
        // SAFETY: 1. the caller's 2.
        unsafe { self.lock().waiting.push(node) };
    }

    unsafe fn unlock(&self, _key: Key) {}
}
