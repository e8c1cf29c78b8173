//! What a receiver does.

use crate::channel::{Channel, Side};
use crate::clocks::wait_until;
use crate::ends::{Kind, Receiver};
use crate::error::{RecvError, RecvTimeoutError, TryRecvError};
use crate::iter::{Iter, TryIter};
use crate::lock::CAN_RECV;
use crate::part::{NEVER, Part};
use crate::select::Case;
use crate::shim::{Reason, clock, poll_point};
use crate::waiter::{Deal, Room};
use crate::waiting::{Progress, Waiting};
use std::sync::Arc;
use std::time::{Duration, Instant};

impl<T> Receiver<T> {
    /// Receives a message.
    ///
    /// # Blocking
    /// Parks until there is one.
    ///
    /// # Errors
    /// The channel is closed or disconnected, and empty.
    ///
    /// # Go
    /// `msg, ok := <-c`.
    #[inline(always)]
    pub fn recv(&self) -> Result<T, RecvError> {
        let Kind::Channel(shared) = &self.kind else {
            return self.recv_otherwise();
        };
        let waiting = Waiting::to_recv(shared.channel());
        match waiting.run() {
            Progress::Done => Ok(waiting.into_message()),
            _ => Err(RecvError),
        }
    }

    #[cold]
    #[inline(never)]
    fn recv_otherwise(&self) -> Result<T, RecvError> {
        self.recv_until(NEVER).map_err(|_late| RecvError)
    }

    /// Receives a message, if there is one.
    ///
    /// # Blocking
    /// Never, but for a moment when a selection has just been won that has
    /// not completed yet. A call that fails may yield when it is made in a
    /// loop that keeps others of its thread waiting for 100 ms.
    ///
    /// # Errors
    /// The channel is empty; or closed or disconnected, and empty.
    ///
    /// # Go
    /// A `select` with `default`.
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        let tried = match &self.kind {
            Kind::Channel(shared) => try_take(shared.channel()),
            Kind::Clock(clock, convert) => clock
                .take()
                .map(|due| convert(clock.message(due)))
                .ok_or(TryRecvError::Empty),
            Kind::Dial(dial, convert) => dial
                .take()
                .map(|due| convert(clock::instant(due)))
                .ok_or(TryRecvError::Empty),
            Kind::Never => Err(TryRecvError::Empty),
        };
        if let Err(TryRecvError::Empty) = tried {
            poll_point();
        }
        tried
    }

    /// As [`recv`](Receiver::recv), for `timeout` at most.
    ///
    /// # Blocking
    /// Parks. If a selection that sends has been won when the time is up, it
    /// waits for that to complete.
    ///
    /// # Errors
    /// Too late; or closed or disconnected, and empty.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.recv_until(clock::after(timeout))
    }

    /// As [`recv_timeout`](Receiver::recv_timeout), until `deadline`.
    ///
    /// # Blocking
    /// Parks.
    ///
    /// # Errors
    /// Too late; or closed or disconnected, and empty.
    pub fn recv_deadline(&self, deadline: Instant) -> Result<T, RecvTimeoutError> {
        self.recv_until(clock::at(deadline))
    }

    fn recv_until(&self, deadline: u64) -> Result<T, RecvTimeoutError> {
        match &self.kind {
            Kind::Channel(shared) => {
                let waiting = Waiting::to_recv(shared.channel());
                match waiting.run_until(deadline) {
                    Progress::Done => Ok(waiting.into_message()),
                    Progress::Closed => Err(RecvTimeoutError::Disconnected),
                    _ => Err(RecvTimeoutError::Timeout),
                }
            }
            Kind::Clock(clock, convert) => clock
                .recv(deadline)
                .map(*convert)
                .ok_or(RecvTimeoutError::Timeout),
            Kind::Dial(dial, convert) => dial
                .recv(deadline)
                .map(|due| convert(clock::instant(due)))
                .ok_or(RecvTimeoutError::Timeout),
            Kind::Never => {
                wait_until(deadline, Reason::ChanReceiveNil);
                Err(RecvTimeoutError::Timeout)
            }
        }
    }

    /// Whether it holds no message.
    ///
    /// # Blocking
    /// Never, but as [`len`](Self::len).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it holds as many as it can; in a rendezvous always.
    ///
    /// # Blocking
    /// Never, but as [`len`](Self::len).
    #[must_use]
    pub fn is_full(&self) -> bool {
        poll_point();
        match &self.kind {
            Kind::Channel(shared) => shared.channel().len() >= shared.channel().capacity(),
            Kind::Clock(clock, _) => clock.is_due(),
            Kind::Dial(..) | Kind::Never => true,
        }
    }

    /// How many messages it holds.
    ///
    /// # Blocking
    /// Never; it may yield when it is called in a loop that keeps others of
    /// its thread waiting for 100 ms.
    #[must_use]
    pub fn len(&self) -> usize {
        poll_point();
        match &self.kind {
            Kind::Channel(shared) => shared.channel().len(),
            Kind::Clock(clock, _) => usize::from(clock.is_due()),
            Kind::Dial(..) | Kind::Never => 0,
        }
    }

    /// How many it can hold; none if there is no limit.
    #[must_use]
    pub fn capacity(&self) -> Option<usize> {
        match &self.kind {
            Kind::Channel(shared) => shared.channel().limit(),
            Kind::Clock(..) => Some(1),
            Kind::Dial(..) | Kind::Never => Some(0),
        }
    }

    /// Takes messages until the channel is closed or disconnected, and empty.
    ///
    /// # Blocking
    /// `next` parks, as [`recv`](Receiver::recv).
    ///
    /// # Go
    /// `for msg := range c`.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { receiver: self }
    }

    /// Takes the messages that are there.
    ///
    /// # Blocking
    /// As [`try_recv`](Receiver::try_recv).
    pub fn try_iter(&self) -> TryIter<'_, T> {
        TryIter { receiver: self }
    }

    /// Whether both receive from one channel.
    #[must_use]
    pub fn same_channel(&self, other: &Receiver<T>) -> bool {
        match (&self.kind, &other.kind) {
            (Kind::Channel(mine), Kind::Channel(theirs)) => {
                std::ptr::eq(mine.channel(), theirs.channel())
            }
            (Kind::Clock(mine, _), Kind::Clock(theirs, _)) => Arc::ptr_eq(mine, theirs),
            (Kind::Dial(mine, _), Kind::Dial(theirs, _)) => Arc::ptr_eq(mine, theirs),
            (Kind::Never, Kind::Never) => true,
            _ => false,
        }
    }

    /// Whether nothing more will be sent: closed, or no sender is left. What
    /// was sent before is still there.
    ///
    /// # Blocking
    /// Never, but as [`len`](Self::len).
    #[must_use]
    pub fn is_closed(&self) -> bool {
        poll_point();
        match &self.kind {
            Kind::Channel(shared) => shared.channel().is_closed(),
            _ => false,
        }
    }

    #[inline]
    pub(crate) fn part(&self) -> Option<&dyn Part> {
        match &self.kind {
            Kind::Channel(shared) => Some(shared.channel()),
            Kind::Clock(clock, _) => Some(&**clock),
            Kind::Dial(dial, _) => Some(&**dial),
            Kind::Never => None,
        }
    }

    pub(crate) fn as_case(&self) -> Case<'_> {
        self.part()
            .map_or(Case::disabled(), |part| Case::new(part, Side::Recv))
    }

    /// Completes a receive that a selection has won.
    #[inline]
    pub(crate) fn finish(&self, deal: Deal, room: Room) -> Option<T> {
        match (&self.kind, deal) {
            (Kind::Channel(shared), _) => shared.channel().finish_recv(deal, room),
            (Kind::Clock(clock, convert), Deal::Time(due)) => Some(convert(clock.message(due))),
            (Kind::Dial(_, convert), Deal::Time(due)) => Some(convert(clock::instant(due))),
            _ => None,
        }
    }
}

#[inline]
fn try_take<T>(channel: &Channel<T>) -> Result<T, TryRecvError> {
    if channel.word().look().is_some_and(|look| !look.can(CAN_RECV)) {
        return Err(TryRecvError::Empty);
    }
    let waiting = Waiting::to_recv(channel);
    match waiting.try_now() {
        Progress::Done => Ok(waiting.into_message()),
        Progress::Closed => Err(TryRecvError::Disconnected),
        _ => Err(TryRecvError::Empty),
    }
}
