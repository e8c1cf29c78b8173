//! The two ends of a channel, and how they are made.

use crate::channel::Channel;
use crate::clocks::Clock;
use crate::dial::Dial;
use crate::part::NEVER;
use crate::shared::{RECEIVERS, SENDERS, Shared};
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Sends messages into a channel. Clones send into the same one.
///
/// The last sender to go disconnects the channel: receivers take what is
/// left, then get errors.
///
/// # Blocking
/// Its methods say; what says nothing never blocks.
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
    pub(crate) channel: Option<Shared<T, SENDERS>>,
}

/// Receives messages from a channel. Clones receive from the same one, each
/// message goes to one of them.
///
/// The last receiver to go disconnects the channel: what is left is dropped,
/// and senders get errors.
///
/// # Blocking
/// Its methods say; what says nothing never blocks.
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
    pub(crate) kind: Kind<T>,
}

pub(crate) enum Kind<T> {
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
    /// Of a dial. A second count of it would be a tenth of what a timer costs.
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
        let kind = Kind::Dial(dial, |instant| instant);
        Self {
            receiver: Receiver { kind },
        }
    }

    #[inline]
    fn dial(&self) -> &Dial {
        match &self.receiver.kind {
            Kind::Dial(dial, _) => dial,
            _ => unreachable!("a timer without a dial"),
        }
    }

    /// As made anew. Whether a message was there, or was to come.
    pub fn set(&self, next: u64, period: Option<u64>) -> bool {
        self.dial().set(next.min(LAST), period)
    }

    /// No message comes, also none that is there. Whether there was, or would
    /// have been, one more.
    pub fn stop(&self) -> bool {
        self.dial().stop()
    }

    /// Where the messages come out.
    #[must_use]
    pub fn receiver(&self) -> &Receiver<Instant> {
        &self.receiver
    }
}

/// Has no values: messages of channels that only ever disconnect.
///
/// # Blocking
/// Never.
///
/// # Go
/// `chan struct{}`, which is closed and never sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Never {}

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
