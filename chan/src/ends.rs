//! The two ends of a channel.

use crate::channel::{BY_CALL, Channel, Side};
use crate::clocks::{Clock, wait_until};
use crate::dial::Dial;
use crate::error::{
    RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError,
};
use crate::lock::{CAN_RECV, CAN_SEND};
use crate::part::Part;
use crate::select::Case;
use crate::shared::{RECEIVERS, SENDERS, Shared};
use crate::shim::{Reason, clock, poll_point};
use crate::waiter::{Deal, Room};
use crate::waiting::{Progress, Waiting};
use std::fmt;
use std::iter::FusedIterator;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The end of time, for waits.
const NEVER: u64 = u64::MAX;

/// Sends messages into a channel. Clones send into the same one.
///
/// The last sender to go disconnects the channel: receivers take what is
/// left, then get errors.
///
/// # Examples
/// ```
/// let (sender, receiver) = raddle_chan::unbounded();
/// let second = sender.clone();
/// sender.send(1).unwrap();
/// second.send(2).unwrap();
/// drop((sender, second));
/// assert_eq!(receiver.iter().collect::<Vec<_>>(), [1, 2]);
/// ```
///
/// # Go
/// `chan<- T`.
pub struct Sender<T> {
    /// None: one that never sends.
    channel: Option<Shared<T, SENDERS>>,
}

/// Receives messages from a channel. Clones receive from the same one, each
/// message goes to one of them.
///
/// The last receiver to go disconnects the channel: what is left is dropped,
/// and senders get errors.
///
/// # Examples
/// ```
/// let (sender, receiver) = raddle_chan::bounded(1);
/// sender.send("hello").unwrap();
/// assert_eq!(receiver.recv(), Ok("hello"));
/// ```
///
/// # Go
/// `<-chan T`.
pub struct Receiver<T> {
    kind: Kind<T>,
}

enum Kind<T> {
    Channel(Shared<T, RECEIVERS>),
    /// `after`, `at`, `tick`; `T` is `Instant`, as the function proves.
    Clock(Arc<Clock>, fn(Instant) -> T),
    /// Of a `Timer`; as above.
    Dial(Arc<Dial>, fn(Instant) -> T),
    Never,
}

/// A channel that holds `capacity` messages. With 0 it is a rendezvous: a
/// send returns once its message has been received.
///
/// Memory is taken as messages need it, so a great capacity costs nothing.
///
/// # Blocking
/// Never.
///
/// # Examples
/// ```
/// let (sender, receiver) = raddle_chan::bounded(1);
/// sender.send(1).unwrap();
/// assert!(sender.try_send(2).is_err());
/// assert_eq!(receiver.recv(), Ok(1));
/// ```
///
/// # Go
/// `make(chan T, capacity)`.
#[must_use]
pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    open(Some(capacity))
}

/// A channel that holds any number of messages: a send never waits.
///
/// # Blocking
/// Never.
///
/// # Examples
/// ```
/// let (sender, receiver) = raddle_chan::unbounded();
/// (0..1000).for_each(|n| sender.send(n).unwrap());
/// drop(sender);
/// assert_eq!(receiver.into_iter().sum::<u32>(), 499_500);
/// ```
///
/// # Go
/// None: a goroutine with a slice.
#[must_use]
pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    open(None)
}

fn open<T>(limit: Option<usize>) -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = crate::shared::pair(Channel::new(limit));
    let sender = Sender {
        channel: Some(sender),
    };
    let kind = Kind::Channel(receiver);
    (sender, Receiver { kind })
}

/// A channel with one message, the time, that comes after `duration`.
///
/// Needs no goroutine and no memory beyond the receiver's. A duration too
/// long for an `Instant` never ends.
///
/// # Blocking
/// Never; receiving from it does.
///
/// # Examples
/// ```
/// use std::time::Duration;
///
/// let (_sender, receiver) = raddle_chan::bounded::<()>(0);
/// let in_time = raddle_chan::select! {
///     recv(receiver) -> _ => true,
///     recv(raddle_chan::after(Duration::from_millis(1))) -> _ => false,
/// };
/// assert!(!in_time);
/// ```
///
/// # Go
/// `time.After`.
#[must_use]
pub fn after(duration: Duration) -> Receiver<Instant> {
    Instant::now().checked_add(duration).map_or(never(), at)
}

/// As [`after`], at the moment `when`.
///
/// # Blocking
/// Never; receiving from it does.
///
/// # Go
/// `time.After(time.Until(when))`.
#[must_use]
pub fn at(when: Instant) -> Receiver<Instant> {
    of_clock(Clock::new(when, None))
}

/// A channel with a message, the time, every `duration`. It holds one: a
/// receiver that is late misses some.
///
/// # Blocking
/// Never; receiving from it does.
///
/// # Examples
/// ```
/// use std::time::{Duration, Instant};
///
/// let begin = Instant::now();
/// let ticks = raddle_chan::tick(Duration::from_millis(2));
/// for _ in 0..3 {
///     ticks.recv().unwrap();
/// }
/// assert!(begin.elapsed() >= Duration::from_millis(6));
/// ```
///
/// # Go
/// `time.Tick`.
#[must_use]
pub fn tick(duration: Duration) -> Receiver<Instant> {
    match Instant::now().checked_add(duration) {
        Some(first) => of_clock(Clock::new(first, Some(duration))),
        None => never(),
    }
}

fn of_clock(clock: Clock) -> Receiver<Instant> {
    Receiver {
        kind: Kind::Clock(Arc::new(clock), |instant| instant),
    }
}

/// A channel that never gives a message: for a case that is switched off.
///
/// # Blocking
/// Never; receiving from it blocks for ever.
///
/// # Go
/// A nil channel.
#[must_use]
pub const fn never<T>() -> Receiver<T> {
    Receiver { kind: Kind::Never }
}

/// A channel that never takes a message: for a case that is switched off.
///
/// # Blocking
/// Never; sending into it blocks for ever.
///
/// # Go
/// A nil channel.
#[must_use]
pub const fn never_sender<T>() -> Sender<T> {
    Sender { channel: None }
}

/// A channel that time fills, at moments that can be changed: what timers and
/// tickers of the crate above are. Nothing is kept in it for a receiver.
pub struct Timer {
    dial: Arc<Dial>,
    receiver: Receiver<Instant>,
}

/// The last moment: a timer set to it is set.
const LAST: u64 = NEVER - 1;

impl Timer {
    /// A message at `next`, in nanoseconds of the scheduler's clock, and one
    /// each `period`, not 0, from then on.
    #[must_use]
    pub fn new(next: u64, period: Option<u64>) -> Self {
        let dial = Arc::new(Dial::new(next.min(LAST), period));
        let kind = Kind::Dial(dial.clone(), |instant| instant);
        Self {
            dial,
            receiver: Receiver { kind },
        }
    }

    /// As made anew. Whether a message was there, or was to come.
    pub fn set(&self, next: u64, period: Option<u64>) -> bool {
        self.dial.set(next.min(LAST), period)
    }

    /// No message comes, also none that is there. Whether there was, or would
    /// have been, one more.
    pub fn stop(&self) -> bool {
        self.dial.stop()
    }

    /// Where the messages come out.
    #[must_use]
    pub fn receiver(&self) -> &Receiver<Instant> {
        &self.receiver
    }
}

/// Has no values: messages of channels that only ever disconnect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Never {}

impl<T> Sender<T> {
    #[inline]
    fn channel(&self) -> Option<&Channel<T>> {
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

    pub(crate) fn open_channel(&self) -> Option<&Channel<T>> {
        self.channel()
    }
}

#[cold]
#[inline(never)]
fn nobody_takes<T>(msg: T) -> Result<(), SendError<T>> {
    wait_until(NEVER, Reason::ChanSendNil);
    Err(SendError(msg))
}

#[cold]
#[inline(never)]
fn nobody_gives() {
    wait_until(NEVER, Reason::ChanReceiveNil);
}

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
            Kind::Never if deadline == NEVER => {
                nobody_gives();
                Err(RecvTimeoutError::Timeout)
            }
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

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self {
            channel: self.channel.clone(),
        }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        let kind = match &self.kind {
            Kind::Channel(shared) => Kind::Channel(shared.clone()),
            Kind::Clock(clock, convert) => Kind::Clock(clock.clone(), *convert),
            Kind::Dial(dial, convert) => Kind::Dial(dial.clone(), *convert),
            Kind::Never => Kind::Never,
        };
        Self { kind }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Sender { .. }")
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Receiver { .. }")
    }
}

impl<T> UnwindSafe for Sender<T> {}
impl<T> RefUnwindSafe for Sender<T> {}
impl<T> UnwindSafe for Receiver<T> {}
impl<T> RefUnwindSafe for Receiver<T> {}

/// Of [`Receiver::iter`].
pub struct Iter<'a, T> {
    receiver: &'a Receiver<T>,
}

/// Of [`Receiver::try_iter`].
pub struct TryIter<'a, T> {
    receiver: &'a Receiver<T>,
}

/// Of `Receiver::into_iter`.
pub struct IntoIter<T> {
    receiver: Receiver<T>,
}

impl<T> Iterator for Iter<'_, T> {
    type Item = T;

    #[inline(always)]
    fn next(&mut self) -> Option<T> {
        self.receiver.recv().ok()
    }
}

impl<T> FusedIterator for Iter<'_, T> {}

impl<T> Iterator for TryIter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.receiver.try_recv().ok()
    }
}

impl<T> Iterator for IntoIter<T> {
    type Item = T;

    #[inline(always)]
    fn next(&mut self) -> Option<T> {
        self.receiver.recv().ok()
    }
}

impl<T> FusedIterator for IntoIter<T> {}

impl<'a, T> IntoIterator for &'a Receiver<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T> IntoIterator for Receiver<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        IntoIter { receiver: self }
    }
}

impl<T> fmt::Debug for Iter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Iter { .. }")
    }
}

impl<T> fmt::Debug for TryIter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("TryIter { .. }")
    }
}

impl<T> fmt::Debug for IntoIter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("IntoIter { .. }")
    }
}
