//! Two selections that have chosen one another: where the message passes.

use crate::shim::{Mutex, MutexGuard, Reason, WOKEN, Wait};

/// Where one of the two is.
#[derive(Clone, Copy)]
enum Party {
    /// It has not completed its operation yet.
    Coming,
    /// It waits for the other.
    Waits(*const Wait),
    /// It drew back, or has all it wants.
    Gone,
}

/// Invariants
/// 1. A `Wait` named in `Waits` is alive: its owner takes the name away,
///    under the lock, before it leaves; who replaces the name settles the
///    wait under the lock and unparks it, once.
/// 2. A message lies here only between the sender's coming and the
///    receiver's taking it, or the sender's taking it back.
pub(crate) struct Meeting<T> {
    inner: Mutex<Inner<T>>,
}

struct Inner<T> {
    message: Option<T>,
    sender: Party,
    receiver: Party,
}

// SAFETY: waits are named under the lock (invariant 1); a message moves.
unsafe impl<T: Send> Send for Meeting<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Meeting<T> {}

impl Party {
    /// Ends its wait, if it waits; what is left is to unpark it.
    fn settle(&mut self) -> Option<*const Wait> {
        let Self::Waits(wait) = *self else {
            return None;
        };
        *self = Self::Gone;
        // SAFETY: invariant 1.
        unsafe { &*wait }.settle(WOKEN).then_some(wait)
    }
}

fn unpark(settled: Option<*const Wait>) {
    if let Some(wait) = settled {
        // SAFETY: 1. `settle` won it for us, and this is the one unpark.
        unsafe { Wait::unpark(wait) };
    }
}

impl<T> Meeting<T> {
    pub(crate) fn new() -> Self {
        Self {
            inner: Mutex::new(Inner {
                message: None,
                sender: Party::Coming,
                receiver: Party::Coming,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock()
    }

    /// Gives the message to the other, waiting for it. It comes back if the
    /// other drew back.
    pub(crate) fn send(&self, message: T) -> Result<(), T> {
        let wait = Wait::new();
        let mut inner = self.lock();
        match inner.receiver {
            Party::Gone => return Err(message),
            Party::Waits(_) => {
                inner.message = Some(message);
                inner.sender = Party::Gone;
                let settled = inner.receiver.settle();
                drop(inner);
                unpark(settled);
                return Ok(());
            }
            Party::Coming => {}
        }
        inner.message = Some(message);
        inner.sender = Party::Waits(&raw const wait);
        drop(inner);
        let leave = Leave(self, true);
        let _woken = wait.park(Reason::ChanSend, None);
        // Who settled the wait took the name away.
        std::mem::forget(leave);
        let back = self.lock().message.take();
        back.map_or(Ok(()), Err)
    }

    /// Takes the message from the other, waiting for it; none if the other
    /// drew back.
    pub(crate) fn recv(&self) -> Option<T> {
        let wait = Wait::new();
        let mut inner = self.lock();
        if let Some(message) = inner.message.take() {
            inner.receiver = Party::Gone;
            let settled = inner.sender.settle();
            drop(inner);
            unpark(settled);
            return Some(message);
        }
        if let Party::Gone = inner.sender {
            return None;
        }
        inner.receiver = Party::Waits(&raw const wait);
        drop(inner);
        let leave = Leave(self, false);
        let _woken = wait.park(Reason::ChanReceive, None);
        std::mem::forget(leave);
        self.lock().message.take()
    }

    /// One of the two drew back without completing.
    pub(crate) fn draw_back(&self, is_sender: bool) {
        let mut inner = self.lock();
        let settled = if is_sender {
            inner.sender = Party::Gone;
            inner.receiver.settle()
        } else {
            inner.receiver = Party::Gone;
            inner.sender.settle()
        };
        drop(inner);
        unpark(settled);
    }
}

/// Unwound by shutdown while it waited: takes the name of the waiter away,
/// and the message back, which other threads may not be allowed to drop. The
/// other goes on alone.
struct Leave<'a, T>(&'a Meeting<T>, bool);

impl<T> Drop for Leave<'_, T> {
    fn drop(&mut self) {
        let Self(meeting, is_sender) = *self;
        let message = is_sender.then(|| meeting.lock().message.take());
        meeting.draw_back(is_sender);
        drop(message);
    }
}
