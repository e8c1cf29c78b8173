//! Two selections that have chosen one another, or one that sends and a
//! receive that is polled: where the message passes.

#[cfg(feature = "futures")]
use crate::polled::wake_quietly;
use crate::shim::{Mutex, MutexGuard, Reason, WOKEN, Wait};
#[cfg(feature = "futures")]
use std::task::{Poll, Waker};

/// Where one of the two is.
enum Party {
    /// It has not completed its operation yet.
    Coming,
    /// It waits for the other.
    Waits(*const Wait),
    /// It is polled, so the other does not wait for it; and was polled, if
    /// there is a waker.
    #[cfg(feature = "futures")]
    Polled(Option<Waker>),
    /// It drew back, or has all it wants.
    Gone,
}

/// Whom its partner woke.
#[must_use]
enum Settled {
    Nobody,
    Waiter(*const Wait),
    #[cfg(feature = "futures")]
    Future(Waker),
}

/// Invariants
/// 1. A `Wait` named in `Waits` is alive: its owner takes the name away,
///    under the lock, before it leaves; who replaces the name settles the
///    wait under the lock and unparks it, once.
/// 2. A message lies here only between the sender's coming and the
///    receiver's taking it, or the sender's taking it back. A sender whose
///    receiver is polled does not take it back.
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
    fn settle(&mut self) -> Settled {
        match self {
            Self::Waits(wait) => {
                let wait = *wait;
                *self = Self::Gone;
                // SAFETY: invariant 1.
                if unsafe { &*wait }.settle(WOKEN) {
                    Settled::Waiter(wait)
                } else {
                    Settled::Nobody
                }
            }
            #[cfg(feature = "futures")]
            Self::Polled(waker) => waker.take().map_or(Settled::Nobody, Settled::Future),
            Self::Coming | Self::Gone => Settled::Nobody,
        }
    }
}

/// Not under the lock.
fn unpark(settled: Settled) {
    match settled {
        Settled::Nobody => {}
        // SAFETY: 1. `settle` won it for us, and this is the one unpark.
        Settled::Waiter(wait) => unsafe { Wait::unpark(wait) },
        #[cfg(feature = "futures")]
        Settled::Future(waker) => wake_quietly(Some(waker)),
    }
}

impl<T> Meeting<T> {
    pub(crate) fn new(is_receiver_polled: bool) -> Self {
        Self {
            inner: Mutex::new(Inner {
                message: None,
                sender: Party::Coming,
                receiver: match is_receiver_polled {
                    #[cfg(feature = "futures")]
                    true => Party::Polled(None),
                    _ => Party::Coming,
                },
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
            Party::Coming => {}
            // It waits, or need not be waited for.
            _ => {
                inner.message = Some(message);
                inner.sender = Party::Gone;
                let settled = inner.receiver.settle();
                drop(inner);
                unpark(settled);
                return Ok(());
            }
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

    /// As `recv`, for a receive that is polled.
    #[cfg(feature = "futures")]
    pub(crate) fn poll_recv(&self, waker: &Waker) -> Poll<Option<T>> {
        // Not under the lock, as the drop of the old.
        let new = waker.clone();
        let mut inner = self.lock();
        if let Some(message) = inner.message.take() {
            return Poll::Ready(Some(message));
        }
        if let Party::Gone = inner.sender {
            return Poll::Ready(None);
        }
        let old = std::mem::replace(&mut inner.receiver, Party::Polled(Some(new)));
        drop(inner);
        drop(old);
        Poll::Pending
    }

    /// As `draw_back`, of a receive that is polled: the message comes back if
    /// the other has given it already.
    #[cfg(feature = "futures")]
    pub(crate) fn leave_polled(&self) -> Option<T> {
        let mut inner = self.lock();
        let message = inner.message.take();
        let old = std::mem::replace(&mut inner.receiver, Party::Gone);
        let settled = inner.sender.settle();
        drop(inner);
        // A waker is not dropped under the lock.
        drop(old);
        unpark(settled);
        message
    }

    /// One of the two drew back without completing.
    pub(crate) fn draw_back(&self, is_sender: bool) {
        // A waker is not dropped under the lock.
        let _old;
        let mut inner = self.lock();
        let settled = if is_sender {
            _old = std::mem::replace(&mut inner.sender, Party::Gone);
            inner.receiver.settle()
        } else {
            _old = std::mem::replace(&mut inner.receiver, Party::Gone);
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
