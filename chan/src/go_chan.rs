//! Go's `chan T`: both ends in one value.

use crate::ends::{Receiver, Sender, bounded};
use crate::error::{TryRecvError, TrySendError};
use std::fmt;

/// Both ends of one channel, as Go's `chan T`. It is open while any clone is
/// there and nobody has closed it.
///
/// # Blocking
/// Its methods say; what says nothing never blocks.
///
/// # Examples
/// ```
/// use raddle_chan::Chan;
///
/// let c = Chan::new(2);
/// c.send("hello");
/// c.send("world");
/// c.close();
/// assert_eq!(c.iter().collect::<Vec<_>>(), ["hello", "world"]);
/// assert_eq!(c.recv(), None);
/// ```
///
/// # Go
/// `chan T`.
pub struct Chan<T> {
    sender: Sender<T>,
    receiver: Receiver<T>,
}

impl<T> Chan<T> {
    /// A channel that holds `cap` messages; a rendezvous with 0.
    ///
    /// # Go
    /// `make(chan T, cap)`.
    #[must_use]
    pub fn new(cap: usize) -> Self {
        let (sender, receiver) = bounded(cap);
        Self { sender, receiver }
    }

    /// Sends `msg`.
    ///
    /// # Blocking
    /// Parks while the channel is full.
    ///
    /// # Panics
    /// `send on closed channel`.
    ///
    /// # Go
    /// `c <- msg`.
    #[inline(always)]
    #[track_caller]
    pub fn send(&self, msg: T) {
        if self.sender.send(msg).is_err() {
            is_closed();
        }
    }

    /// Receives a message; none if the channel is closed and empty.
    ///
    /// # Blocking
    /// Parks until there is one.
    ///
    /// # Go
    /// `msg, ok := <-c`.
    #[inline(always)]
    pub fn recv(&self) -> Option<T> {
        self.receiver.recv().ok()
    }

    /// Sends `msg`, if that needs no wait.
    ///
    /// # Errors
    /// As [`Sender::try_send`].
    pub fn try_send(&self, msg: T) -> Result<(), TrySendError<T>> {
        self.sender.try_send(msg)
    }

    /// Receives a message, if there is one.
    ///
    /// # Errors
    /// As [`Receiver::try_recv`].
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.receiver.try_recv()
    }

    /// Closes it.
    ///
    /// # Blocking
    /// Never.
    ///
    /// # Panics
    /// `close of closed channel`.
    ///
    /// # Go
    /// `close(c)`.
    #[track_caller]
    pub fn close(&self) {
        assert!(self.sender.close(), "close of closed channel");
    }

    /// How many messages it holds.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "Go has len and cap")]
    pub fn len(&self) -> usize {
        self.receiver.len()
    }

    /// How many it can hold.
    #[must_use]
    pub fn cap(&self) -> usize {
        self.receiver.capacity().unwrap_or(usize::MAX)
    }

    /// Takes messages until it is closed and empty.
    ///
    /// # Blocking
    /// `next` parks.
    ///
    /// # Go
    /// `for msg := range c`.
    pub fn iter(&self) -> impl Iterator<Item = T> + '_ {
        self.receiver.iter()
    }

    /// The sending end, for `select!`.
    #[must_use]
    pub fn sender(&self) -> &Sender<T> {
        &self.sender
    }

    /// The receiving end, for `select!`.
    #[must_use]
    pub fn receiver(&self) -> &Receiver<T> {
        &self.receiver
    }
}

#[cold]
#[track_caller]
fn is_closed() -> ! {
    panic!("send on closed channel")
}

impl<T> Clone for Chan<T> {
    fn clone(&self) -> Self {
        Self {
            sender: self.sender.clone(),
            receiver: self.receiver.clone(),
        }
    }
}

impl<T> fmt::Debug for Chan<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Chan { .. }")
    }
}
