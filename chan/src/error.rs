//! Errors that give the value back.
//!
//! A channel is *disconnected* for senders when it was closed or its last
//! receiver is gone, and for receivers when it was closed or its last sender
//! is gone and nothing is left in it.

use std::error::Error;
use std::fmt;

/// The message could not be sent: the channel is disconnected.
///
/// # Blocking
/// Never, nor do its methods.
///
/// # Examples
/// ```
/// use raddle_chan::{SendError, bounded};
///
/// let (sender, receiver) = bounded(1);
/// drop(receiver);
/// assert_eq!(sender.send("parcel"), Err(SendError("parcel")));
/// assert_eq!(sender.send("parcel").unwrap_err().into_inner(), "parcel");
/// ```
///
/// # Go
/// A send on a closed channel panics there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SendError<T>(pub T);

impl<T> SendError<T> {
    /// The message, unsent.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SendError(..)")
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NO_RECEIVER)
    }
}

impl<T> Error for SendError<T> {}

/// The message was not sent at once.
///
/// # Blocking
/// Never, nor do its methods.
///
/// # Examples
/// ```
/// use raddle_chan::{TrySendError, bounded};
///
/// let (sender, receiver) = bounded(1);
/// assert_eq!(sender.try_send(1), Ok(()));
/// assert_eq!(sender.try_send(2), Err(TrySendError::Full(2)));
/// drop(receiver);
/// assert!(sender.try_send(3).unwrap_err().is_disconnected());
/// ```
///
/// # Go
/// The `default` of a `select` with a send, and the panic of a send on a closed
/// channel.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TrySendError<T> {
    /// No room in the buffer or, if there is none, no receiver waiting.
    Full(T),
    /// The channel is disconnected.
    Disconnected(T),
}

impl<T> TrySendError<T> {
    /// The message, unsent.
    pub fn into_inner(self) -> T {
        match self {
            TrySendError::Full(message) | TrySendError::Disconnected(message) => message,
        }
    }

    /// Whether a later attempt might succeed.
    pub fn is_full(&self) -> bool {
        matches!(self, TrySendError::Full(_))
    }

    /// Whether the channel is disconnected.
    pub fn is_disconnected(&self) -> bool {
        matches!(self, TrySendError::Disconnected(_))
    }
}

impl<T> fmt::Debug for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TrySendError::Full(_) => "Full(..)",
            TrySendError::Disconnected(_) => "Disconnected(..)",
        })
    }
}

impl<T> fmt::Display for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TrySendError::Full(_) => "sending on a full channel",
            TrySendError::Disconnected(_) => NO_RECEIVER,
        })
    }
}

impl<T> Error for TrySendError<T> {}

impl<T> From<SendError<T>> for TrySendError<T> {
    fn from(SendError(message): SendError<T>) -> TrySendError<T> {
        TrySendError::Disconnected(message)
    }
}

/// The message was not sent in time.
///
/// # Blocking
/// Never, nor do its methods.
///
/// # Go
/// A `select` whose `time.After` came before the send.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SendTimeoutError<T> {
    /// The time is over, and nobody took the message.
    Timeout(T),
    /// The channel is disconnected.
    Disconnected(T),
}

impl<T> SendTimeoutError<T> {
    /// The message, unsent.
    pub fn into_inner(self) -> T {
        match self {
            SendTimeoutError::Timeout(message) | SendTimeoutError::Disconnected(message) => message,
        }
    }

    /// Whether the time was over.
    pub fn is_timeout(&self) -> bool {
        matches!(self, SendTimeoutError::Timeout(_))
    }

    /// Whether the channel is disconnected.
    pub fn is_disconnected(&self) -> bool {
        matches!(self, SendTimeoutError::Disconnected(_))
    }
}

impl<T> fmt::Debug for SendTimeoutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SendTimeoutError(..)")
    }
}

impl<T> fmt::Display for SendTimeoutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SendTimeoutError::Timeout(_) => "timed out waiting on send operation",
            SendTimeoutError::Disconnected(_) => NO_RECEIVER,
        })
    }
}

impl<T> Error for SendTimeoutError<T> {}

impl<T> From<SendError<T>> for SendTimeoutError<T> {
    fn from(SendError(message): SendError<T>) -> SendTimeoutError<T> {
        SendTimeoutError::Disconnected(message)
    }
}

/// No message will come any more: the channel is empty and disconnected.
///
/// # Blocking
/// Never, nor do its methods.
///
/// # Examples
/// ```
/// use raddle_chan::{RecvError, bounded};
///
/// let (sender, receiver) = bounded(1);
/// sender.send("last").unwrap();
/// drop(sender);
/// assert_eq!(receiver.recv(), Ok("last"));
/// assert_eq!(receiver.recv(), Err(RecvError));
/// ```
///
/// # Go
/// The second value, `ok`, of a receive is false.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecvError;

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NO_SENDER)
    }
}

impl Error for RecvError {}

/// No message was there at once.
///
/// # Blocking
/// Never, nor do its methods.
///
/// # Go
/// The `default` of a `select` with a receive; `ok` of `it, ok := <-c`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryRecvError {
    /// The channel is empty: a message may come later.
    Empty,
    /// The channel is empty and disconnected.
    Disconnected,
}

impl TryRecvError {
    /// Whether a message may come later.
    pub fn is_empty(&self) -> bool {
        matches!(self, TryRecvError::Empty)
    }

    /// Whether the channel is empty and disconnected.
    pub fn is_disconnected(&self) -> bool {
        matches!(self, TryRecvError::Disconnected)
    }
}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TryRecvError::Empty => "receiving on an empty channel",
            TryRecvError::Disconnected => NO_SENDER,
        })
    }
}

impl Error for TryRecvError {}

impl From<RecvError> for TryRecvError {
    fn from(RecvError: RecvError) -> TryRecvError {
        TryRecvError::Disconnected
    }
}

/// No message came in time.
///
/// # Blocking
/// Never, nor do its methods.
///
/// # Go
/// A `select` whose `time.After` came before the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecvTimeoutError {
    /// The time is over, and the channel is empty.
    Timeout,
    /// The channel is empty and disconnected.
    Disconnected,
}

impl RecvTimeoutError {
    /// Whether the time was over.
    pub fn is_timeout(&self) -> bool {
        matches!(self, RecvTimeoutError::Timeout)
    }

    /// Whether the channel is empty and disconnected.
    pub fn is_disconnected(&self) -> bool {
        matches!(self, RecvTimeoutError::Disconnected)
    }
}

impl fmt::Display for RecvTimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RecvTimeoutError::Timeout => "timed out waiting on receive operation",
            RecvTimeoutError::Disconnected => "channel is empty and disconnected",
        })
    }
}

impl Error for RecvTimeoutError {}

impl From<RecvError> for RecvTimeoutError {
    fn from(RecvError: RecvError) -> RecvTimeoutError {
        RecvTimeoutError::Disconnected
    }
}

/// `Select::try_select` found no operation ready.
///
/// # Blocking
/// Never.
///
/// # Go
/// The `default` of a `select`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrySelectError;

/// `Select::select_timeout` found no operation ready in time.
///
/// # Blocking
/// Never.
///
/// # Go
/// The `time.After` of a `select`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SelectTimeoutError;

/// `Select::try_ready` found no operation ready.
///
/// # Blocking
/// Never.
///
/// # Go
/// None: `select` receives at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TryReadyError;

/// `Select::ready_timeout` found no operation ready in time.
///
/// # Blocking
/// Never.
///
/// # Go
/// None: `select` receives at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadyTimeoutError;

impl fmt::Display for TrySelectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NONE_READY)
    }
}

impl fmt::Display for SelectTimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NONE_READY_IN_TIME)
    }
}

impl fmt::Display for TryReadyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NONE_READY)
    }
}

impl fmt::Display for ReadyTimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NONE_READY_IN_TIME)
    }
}

impl Error for TrySelectError {}
impl Error for SelectTimeoutError {}
impl Error for TryReadyError {}
impl Error for ReadyTimeoutError {}

// Texts that programs and their tests know: crossbeam-channel's.
const NO_RECEIVER: &str = "sending on a disconnected channel";
const NO_SENDER: &str = "receiving on an empty and disconnected channel";
const NONE_READY: &str = "all operations in select would block";
const NONE_READY_IN_TIME: &str = "timed out waiting on select";

#[cfg(test)]
mod tests {
    use super::*;

    /// Neither `Debug` nor `Clone`, `Send` or `'static`.
    struct Opaque<'a>(#[expect(dead_code)] &'a std::cell::Cell<u8>);

    #[test]
    fn the_value_comes_back() {
        assert_eq!(SendError("a").into_inner(), "a");
        assert_eq!(TrySendError::Full("a").into_inner(), "a");
        assert_eq!(TrySendError::Disconnected("a").into_inner(), "a");
        assert_eq!(SendTimeoutError::Timeout("a").into_inner(), "a");
        assert_eq!(SendTimeoutError::Disconnected("a").into_inner(), "a");
    }

    #[test]
    fn one_question_is_true_of_each() {
        let (full, gone) = (TrySendError::Full(()), TrySendError::Disconnected(()));
        assert_eq!((full.is_full(), full.is_disconnected()), (true, false));
        assert_eq!((gone.is_full(), gone.is_disconnected()), (false, true));

        let late = SendTimeoutError::Timeout(());
        let gone = SendTimeoutError::Disconnected(());
        assert_eq!((late.is_timeout(), late.is_disconnected()), (true, false));
        assert_eq!((gone.is_timeout(), gone.is_disconnected()), (false, true));

        let (empty, gone) = (TryRecvError::Empty, TryRecvError::Disconnected);
        assert_eq!((empty.is_empty(), empty.is_disconnected()), (true, false));
        assert_eq!((gone.is_empty(), gone.is_disconnected()), (false, true));

        let late = RecvTimeoutError::Timeout;
        let gone = RecvTimeoutError::Disconnected;
        assert_eq!((late.is_timeout(), late.is_disconnected()), (true, false));
        assert_eq!((gone.is_timeout(), gone.is_disconnected()), (false, true));
    }

    #[test]
    fn what_never_ends_well_is_disconnected() {
        assert_eq!(
            TrySendError::from(SendError(1)),
            TrySendError::Disconnected(1)
        );
        assert_eq!(
            SendTimeoutError::from(SendError(1)),
            SendTimeoutError::Disconnected(1)
        );
        assert_eq!(TryRecvError::from(RecvError), TryRecvError::Disconnected);
        assert_eq!(
            RecvTimeoutError::from(RecvError),
            RecvTimeoutError::Disconnected
        );
    }

    /// `unwrap` must work whatever the message is.
    #[test]
    fn debug_does_not_look_at_the_message() {
        let cell = std::cell::Cell::new(1);
        let opaque = || Opaque(&cell);
        for (text, wanted) in [
            (format!("{:?}", SendError(opaque())), "SendError(..)"),
            (format!("{:?}", TrySendError::Full(opaque())), "Full(..)"),
            (
                format!("{:?}", TrySendError::Disconnected(opaque())),
                "Disconnected(..)",
            ),
            (
                format!("{:?}", SendTimeoutError::Timeout(opaque())),
                "SendTimeoutError(..)",
            ),
            (
                format!("{:?}", SendTimeoutError::Disconnected(opaque())),
                "SendTimeoutError(..)",
            ),
        ] {
            assert_eq!(text, wanted);
        }
    }

    #[test]
    fn messages_are_lower_case_phrases() {
        let errors: [Box<dyn Error + Send + Sync>; 14] = [
            Box::new(SendError(1)),
            Box::new(TrySendError::Full(1)),
            Box::new(TrySendError::Disconnected(1)),
            Box::new(SendTimeoutError::Timeout(1)),
            Box::new(SendTimeoutError::Disconnected(1)),
            Box::new(RecvError),
            Box::new(TryRecvError::Empty),
            Box::new(TryRecvError::Disconnected),
            Box::new(RecvTimeoutError::Timeout),
            Box::new(RecvTimeoutError::Disconnected),
            Box::new(TrySelectError),
            Box::new(SelectTimeoutError),
            Box::new(TryReadyError),
            Box::new(ReadyTimeoutError),
        ];
        for error in errors {
            let text = error.to_string();
            assert!(text.starts_with(char::is_lowercase), "{text}");
            assert!(!text.ends_with('.'), "{text}");
            assert!(error.source().is_none(), "{text}");
        }
    }

    /// Whatever the message is, the error is an error.
    #[test]
    fn nothing_is_asked_of_the_message() {
        fn is_error<E: Error>(_: &E) {}
        let cell = std::cell::Cell::new(1);
        is_error(&SendError(Opaque(&cell)));
        is_error(&TrySendError::Full(Opaque(&cell)));
        is_error(&SendTimeoutError::Timeout(Opaque(&cell)));
    }
}
