//! What a sender does.

use crate::channel::{BY_CALL, Channel, Side};
use crate::clocks::wait_until;
use crate::ends::Sender;
use crate::error::{SendError, SendTimeoutError, TrySendError};
use crate::lock::CAN_SEND;
use crate::part::{NEVER, Part};
use crate::select::Case;
use crate::shared::Shared;
use crate::shim::{Reason, clock, poll_point};
use crate::waiting::{Progress, Waiting};
use std::time::{Duration, Instant};

impl<T> Sender<T> {
    /// Where it sends to; none if that is nowhere.
    #[inline]
    pub(crate) fn channel(&self) -> Option<&Channel<T>> {
        self.channel.as_ref().map(Shared::channel)
    }

    /// Sends `msg`.
    ///
    /// # Blocking
    /// Parks while the channel is full; in a rendezvous until the message is
    /// received.
    ///
    /// # Errors
    /// The message, if the channel is closed or disconnected, also while this
    /// waits.
    ///
    /// # Go
    /// `c <- msg`, which panics on a closed channel.
    #[inline(always)]
    pub fn send(&self, msg: T) -> Result<(), SendError<T>> {
        let Some(channel) = self.channel() else {
            return nobody_takes(msg);
        };
        let waiting = Waiting::to_send(channel, msg);
        match waiting.run() {
            Progress::Done => Ok(()),
            _ => Err(SendError(waiting.into_message())),
        }
    }

    /// Sends `msg`, if that needs no wait.
    ///
    /// # Blocking
    /// Never, but for a moment when a selection has just been won that has
    /// not completed yet. A call that fails may yield when it is made in a
    /// loop that keeps others of its thread waiting for 100 ms.
    ///
    /// # Errors
    /// The message: the channel is full (in a rendezvous: nobody receives),
    /// closed or disconnected.
    ///
    /// # Go
    /// A `select` with `default`.
    pub fn try_send(&self, msg: T) -> Result<(), TrySendError<T>> {
        let Some(channel) = self.channel() else {
            poll_point();
            return Err(TrySendError::Full(msg));
        };
        if channel.word().look().is_some_and(|look| !look.can(CAN_SEND)) {
            poll_point();
            return Err(TrySendError::Full(msg));
        }
        let waiting = Waiting::to_send(channel, msg);
        match waiting.try_now() {
            Progress::Done => {
                if channel.is_unbounded() {
                    poll_point();
                }
                Ok(())
            }
            Progress::Closed => Err(TrySendError::Disconnected(waiting.into_message())),
            _ => {
                poll_point();
                Err(TrySendError::Full(waiting.into_message()))
            }
        }
    }

    /// As [`send`](Sender::send), for `timeout` at most.
    ///
    /// # Blocking
    /// Parks. If a selection has won the message when the time is up, it
    /// waits for that to complete.
    ///
    /// # Errors
    /// The message: too late, closed or disconnected.
    pub fn send_timeout(&self, msg: T, timeout: Duration) -> Result<(), SendTimeoutError<T>> {
        self.send_until(msg, clock::after(timeout))
    }

    /// As [`send_timeout`](Sender::send_timeout), until `deadline`.
    ///
    /// # Blocking
    /// Parks.
    ///
    /// # Errors
    /// The message: too late, closed or disconnected.
    pub fn send_deadline(&self, msg: T, deadline: Instant) -> Result<(), SendTimeoutError<T>> {
        self.send_until(msg, clock::at(deadline))
    }

    fn send_until(&self, msg: T, deadline: u64) -> Result<(), SendTimeoutError<T>> {
        let Some(channel) = self.channel() else {
            wait_until(deadline, Reason::ChanSendNil);
            return Err(SendTimeoutError::Timeout(msg));
        };
        let waiting = Waiting::to_send(channel, msg);
        match waiting.run_until(deadline) {
            Progress::Done => Ok(()),
            Progress::Closed => Err(SendTimeoutError::Disconnected(waiting.into_message())),
            _ => Err(SendTimeoutError::Timeout(waiting.into_message())),
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
        self.channel()
            .is_none_or(|channel| channel.len() >= channel.capacity())
    }

    /// How many messages it holds.
    ///
    /// # Blocking
    /// Never; it may yield when it is called in a loop that keeps others of
    /// its thread waiting for 100 ms.
    #[must_use]
    pub fn len(&self) -> usize {
        poll_point();
        self.channel().map_or(0, Channel::len)
    }

    /// How many it can hold; none if there is no limit.
    #[must_use]
    pub fn capacity(&self) -> Option<usize> {
        self.channel().map_or(Some(0), Channel::limit)
    }

    /// Whether both send into one channel.
    #[must_use]
    pub fn same_channel(&self, other: &Sender<T>) -> bool {
        match (self.channel(), other.channel()) {
            (Some(mine), Some(theirs)) => std::ptr::eq(mine, theirs),
            (None, None) => true,
            _ => false,
        }
    }

    /// Closes the channel: sends fail from here on, also those that wait;
    /// receivers take what is left, then get errors. Whether it was this call
    /// that closed it.
    ///
    /// # Blocking
    /// Never.
    ///
    /// # Go
    /// `close(c)`, which panics the second time.
    pub fn close(&self) -> bool {
        self.channel().is_some_and(|channel| channel.close(BY_CALL))
    }

    /// Whether sends must fail: closed, or no receiver is left.
    ///
    /// # Blocking
    /// Never, but as [`len`](Self::len).
    #[must_use]
    pub fn is_closed(&self) -> bool {
        poll_point();
        self.channel().is_some_and(Channel::is_closed)
    }

    #[inline]
    pub(crate) fn part(&self) -> Option<&dyn Part> {
        self.channel().map(|channel| channel as &dyn Part)
    }

    pub(crate) fn as_case(&self) -> Case<'_> {
        self.part()
            .map_or(Case::disabled(), |part| Case::new(part, Side::Send))
    }

    /// Whether there are receivers but one.
    #[doc(hidden)]
    pub fn __has_other_receivers(&self) -> bool {
        self.channel.as_ref().is_some_and(Shared::has_other_receivers)
    }

    /// Goes without a word: if it is the last, receivers wait for ever and
    /// are not told that nothing will come.
    #[doc(hidden)]
    pub fn __abandon(self) {
        if let Some(channel) = self.channel {
            channel.abandon();
        }
    }
}

#[cold]
#[inline(never)]
fn nobody_takes<T>(msg: T) -> Result<(), SendError<T>> {
    wait_until(NEVER, Reason::ChanSendNil);
    Err(SendError(msg))
}
