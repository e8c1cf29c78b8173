//! Sends and receives as futures, for any executor.

use crate::alarm::Alarm;
use crate::ends::{Kind, Receiver, Sender};
use crate::error::{RecvError, SendError};
use crate::part::NEVER;
use crate::polled::Polled;
use crate::polling::{Receiving, Sending};
use crate::shim::clock;
use futures_core::future::FusedFuture;
use futures_core::stream::{FusedStream, Stream};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

impl<T> Receiver<T> {
    /// As [`recv`](Receiver::recv), as a future for any executor.
    ///
    /// It waits in one queue with goroutines and threads, and is served in
    /// its turn. Dropped before it is ready, it takes nothing with it: a
    /// message that it has been given meanwhile goes back before all others,
    /// to the next receiver. That holds in a rendezvous too: there a send to
    /// a future returns once the future has been given the message.
    /// Others may have been told by then that the channel is closed and empty.
    ///
    /// Forgotten (`mem::forget`) instead of dropped, it waits on, and the
    /// message that it is given is lost.
    ///
    /// # Blocking
    /// Never, and a poll does not yield either: its caller may be inside
    /// another executor. A goroutine that polls in a loop of its own, not by
    /// `block_on`, has to.
    ///
    /// # Errors
    /// The channel is closed or disconnected, and empty.
    ///
    /// # Panics
    /// When polled again after it was ready. On a channel that time fills,
    /// when the system refuses the one thread that such futures need.
    ///
    /// # Examples
    /// ```
    /// let (sender, receiver) = raddle_chan::bounded(1);
    /// let sends = std::thread::spawn(move || sender.send(7));
    /// // Under any executor.
    /// let receives = async move { receiver.recv_async().await };
    /// # assert_eq!(raddle_scheduler::block_on(receives), Ok(7));
    /// # sends.join().unwrap().unwrap();
    /// ```
    ///
    /// # Go
    /// None.
    pub fn recv_async(&self) -> RecvFuture<'_, T> {
        RecvFuture {
            receiver: self,
            awaiting: Awaiting::new(),
            is_over: false,
        }
    }

    /// As [`iter`](Receiver::iter), as a stream for any executor. It ends
    /// when the channel is closed or disconnected, and empty.
    ///
    /// What was said of [`recv_async`](Receiver::recv_async) holds for each
    /// message.
    ///
    /// # Blocking
    /// As [`recv_async`](Receiver::recv_async).
    ///
    /// # Go
    /// None.
    pub fn stream(&self) -> RecvStream<'_, T> {
        RecvStream {
            awaiting: Awaiting::new(),
            handle: Handle::Borrowed(self),
            is_over: false,
        }
    }

    /// As [`stream`](Receiver::stream), with the receiver in it.
    ///
    /// # Blocking
    /// As [`recv_async`](Receiver::recv_async).
    ///
    /// # Go
    /// None.
    pub fn into_stream(self) -> RecvStream<'static, T>
    where
        T: 'static,
    {
        RecvStream {
            awaiting: Awaiting::new(),
            handle: Handle::Owned(self),
            is_over: false,
        }
    }
}

impl<T> Sender<T> {
    /// As [`send`](Sender::send), as a future for any executor. Nothing is
    /// sent before its first poll.
    ///
    /// It waits in one queue with goroutines and threads, and is served in
    /// its turn. Dropped before it is ready, it drops the message, unless a
    /// receiver has taken that already. Forgotten (`mem::forget`) instead, it
    /// waits on, and the message may be received.
    ///
    /// # Blocking
    /// Never, as [`recv_async`](Receiver::recv_async).
    ///
    /// # Errors
    /// The message, if the channel is closed or disconnected, also while this
    /// waits.
    ///
    /// # Panics
    /// When polled again after it was ready.
    ///
    /// # Examples
    /// ```
    /// let (sender, receiver) = raddle_chan::bounded(0);
    /// let receives = std::thread::spawn(move || receiver.recv());
    /// // Under any executor.
    /// let sends = async move { sender.send_async("hello").await };
    /// # assert_eq!(raddle_scheduler::block_on(sends), Ok(()));
    /// # assert_eq!(receives.join().unwrap(), Ok("hello"));
    /// ```
    ///
    /// # Go
    /// None.
    pub fn send_async(&self, msg: T) -> SendFuture<'_, T> {
        SendFuture {
            sender: self,
            sending: Sending::new(msg),
            is_over: false,
        }
    }
}

/// One message to come; of [`Receiver::recv_async`].
///
/// # Blocking
/// Never: a poll that has to wait says so.
///
/// # Go
/// None: no function there is `async`.
#[must_use = "futures do nothing unless polled"]
pub struct RecvFuture<'a, T> {
    receiver: &'a Receiver<T>,
    awaiting: Awaiting<T>,
    is_over: bool,
}

/// Messages one after the other; of [`Receiver::stream`].
///
/// # Blocking
/// Never: a poll that has to wait says so.
///
/// # Go
/// None: no function there is `async`.
#[must_use = "streams do nothing unless polled"]
pub struct RecvStream<'a, T> {
    awaiting: Awaiting<T>,
    handle: Handle<'a, T>,
    is_over: bool,
}

enum Handle<'a, T> {
    Borrowed(&'a Receiver<T>),
    Owned(Receiver<T>),
}

/// A send to come; of [`Sender::send_async`].
///
/// # Blocking
/// Never: a poll that has to wait says so.
///
/// # Go
/// None: no function there is `async`.
#[must_use = "futures do nothing unless polled"]
pub struct SendFuture<'a, T> {
    sender: &'a Sender<T>,
    sending: Sending<T>,
    is_over: bool,
}

// What others know of them is on the heap.
impl<T> Unpin for RecvFuture<'_, T> {}
impl<T> Unpin for RecvStream<'_, T> {}
impl<T> Unpin for SendFuture<'_, T> {}

impl<T> Future for RecvFuture<'_, T> {
    type Output = Result<T, RecvError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        assert!(!this.is_over, "a receive was polled after it was ready");
        let message = ready!(this.awaiting.poll(this.receiver, context.waker()));
        this.is_over = true;
        Poll::Ready(message.ok_or(RecvError))
    }
}

impl<T> FusedFuture for RecvFuture<'_, T> {
    fn is_terminated(&self) -> bool {
        self.is_over
    }
}

impl<T> Drop for RecvFuture<'_, T> {
    fn drop(&mut self) {
        self.awaiting.leave(self.receiver);
    }
}

impl<T> RecvStream<'_, T> {
    fn receiver(&self) -> &Receiver<T> {
        match &self.handle {
            Handle::Borrowed(receiver) => receiver,
            Handle::Owned(receiver) => receiver,
        }
    }
}

impl<T> Stream for RecvStream<'_, T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let this = self.get_mut();
        if this.is_over {
            return Poll::Ready(None);
        }
        let receiver = match &this.handle {
            Handle::Borrowed(receiver) => receiver,
            Handle::Owned(receiver) => receiver,
        };
        let message = ready!(this.awaiting.poll(receiver, context.waker()));
        this.is_over = message.is_none();
        Poll::Ready(message)
    }
}

impl<T> FusedStream for RecvStream<'_, T> {
    fn is_terminated(&self) -> bool {
        self.is_over
    }
}

impl<T> Drop for RecvStream<'_, T> {
    fn drop(&mut self) {
        let mut awaiting = std::mem::replace(&mut self.awaiting, Awaiting::new());
        awaiting.leave(self.receiver());
    }
}

impl<T> Future for SendFuture<'_, T> {
    type Output = Result<(), SendError<T>>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let Some(channel) = this.sender.channel() else {
            return Poll::Pending;
        };
        let sent = ready!(this.sending.poll(channel, context.waker()));
        this.is_over = true;
        Poll::Ready(sent.map_err(SendError))
    }
}

impl<T> FusedFuture for SendFuture<'_, T> {
    fn is_terminated(&self) -> bool {
        self.is_over
    }
}

impl<T> Drop for SendFuture<'_, T> {
    fn drop(&mut self) {
        if let Some(channel) = self.sender.channel() {
            drop(self.sending.leave(channel));
        }
    }
}

impl<T> fmt::Debug for RecvFuture<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("RecvFuture { .. }")
    }
}

impl<T> fmt::Debug for RecvStream<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("RecvStream { .. }")
    }
}

impl<T> fmt::Debug for SendFuture<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("SendFuture { .. }")
    }
}

/// A receive from whatever a receiver receives from.
struct Awaiting<T> {
    receiving: Receiving<T>,
    timed: Option<Box<Timed>>,
}

/// At a channel that time fills.
#[derive(Default)]
pub(crate) struct Timed {
    /// In a dial's queue, or taken out there by a setting.
    pub(crate) queued: Option<Arc<Polled>>,
    alarm: Option<Alarm>,
}

impl Timed {
    /// Is woken at `next`, if not before.
    pub(crate) fn wake_at(&mut self, next: u64, waker: &Waker) {
        self.alarm = (next != NEVER).then(|| Alarm::new(next, waker.clone()));
    }
}

impl<T> Awaiting<T> {
    const fn new() -> Self {
        Self {
            receiving: Receiving::new(),
            timed: None,
        }
    }

    fn poll(&mut self, receiver: &Receiver<T>, waker: &Waker) -> Poll<Option<T>> {
        match &receiver.kind {
            Kind::Channel(shared) => self.receiving.poll(shared.channel(), waker),
            Kind::Clock(clock, convert) => {
                let timed = self.timed.get_or_insert_default();
                clock.poll(timed, waker).map(|instant| Some(convert(instant)))
            }
            Kind::Dial(dial, convert) => {
                let timed = self.timed.get_or_insert_default();
                let due = ready!(dial.poll(timed, waker));
                Poll::Ready(Some(convert(clock::instant(due))))
            }
            Kind::Never => Poll::Pending,
        }
    }

    fn leave(&mut self, receiver: &Receiver<T>) {
        match &receiver.kind {
            Kind::Channel(shared) => self.receiving.leave(shared.channel()),
            Kind::Dial(dial, _) => {
                if let Some(timed) = &mut self.timed {
                    dial.leave_polled(timed);
                }
            }
            Kind::Clock(..) | Kind::Never => {}
        }
    }
}
