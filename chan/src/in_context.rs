//! Operations that end with a context, whatever a context is: the crate above
//! has them.

use crate::ends::{Never, Receiver, Sender};
use crate::selected::calls::select;
use std::error::Error;
use std::fmt;

/// Why a context ended.
///
/// # Blocking
/// Never.
///
/// # Go
/// `context.Canceled`, `context.DeadlineExceeded`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContextError {
    /// Somebody cancelled it, or one it descends from.
    Canceled,
    /// Its deadline, or that of one it descends from, has passed.
    DeadlineExceeded,
}

impl fmt::Display for ContextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ContextError::Canceled => "context canceled",
            ContextError::DeadlineExceeded => "context deadline exceeded",
        })
    }
}

impl Error for ContextError {}

/// Something that may end, and takes operations with it.
pub trait Cancelled {
    /// Disconnected from its end on.
    fn done(&self) -> &Receiver<Never>;
    /// Why it ended; asked after `done` was disconnected.
    fn reason(&self) -> ContextError;
}

impl<C: Cancelled + ?Sized> Cancelled for &C {
    fn done(&self) -> &Receiver<Never> {
        (**self).done()
    }

    fn reason(&self) -> ContextError {
        (**self).reason()
    }
}

/// No message was received before the context ended.
///
/// # Blocking
/// Never, nor do its methods.
///
/// # Go
/// None: `ctx.Err()` after a `select`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecvCtxError {
    /// The context is done.
    Done(ContextError),
    /// The channel is empty and disconnected.
    Disconnected,
}

impl RecvCtxError {
    /// Whether the channel is empty and disconnected.
    pub fn is_disconnected(&self) -> bool {
        matches!(self, RecvCtxError::Disconnected)
    }

    /// Why the context ended, if that is the reason.
    pub fn context_error(&self) -> Option<ContextError> {
        match self {
            RecvCtxError::Done(error) => Some(*error),
            RecvCtxError::Disconnected => None,
        }
    }
}

impl fmt::Display for RecvCtxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecvCtxError::Done(error) => error.fmt(f),
            RecvCtxError::Disconnected => f.write_str("channel is empty and disconnected"),
        }
    }
}

impl Error for RecvCtxError {}

/// The message was not sent before the context ended.
///
/// # Blocking
/// Never, nor do its methods.
///
/// # Go
/// None: `ctx.Err()` after a `select`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SendCtxError<T> {
    /// The context is done.
    Done(T, ContextError),
    /// The channel is disconnected.
    Disconnected(T),
}

impl<T> SendCtxError<T> {
    /// The message, unsent.
    pub fn into_inner(self) -> T {
        match self {
            SendCtxError::Done(message, _) | SendCtxError::Disconnected(message) => message,
        }
    }

    /// Whether the channel is disconnected.
    pub fn is_disconnected(&self) -> bool {
        matches!(self, SendCtxError::Disconnected(_))
    }

    /// Why the context ended, if that is the reason.
    pub fn context_error(&self) -> Option<ContextError> {
        match self {
            SendCtxError::Done(_, error) => Some(*error),
            SendCtxError::Disconnected(_) => None,
        }
    }
}

impl<T> fmt::Debug for SendCtxError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SendCtxError::Done(_, error) => write!(f, "Done(.., {error:?})"),
            SendCtxError::Disconnected(_) => f.write_str("Disconnected(..)"),
        }
    }
}

impl<T> fmt::Display for SendCtxError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SendCtxError::Done(_, error) => error.fmt(f),
            SendCtxError::Disconnected(_) => f.write_str("sending on a disconnected channel"),
        }
    }
}

impl<T> Error for SendCtxError<T> {}

impl<T> Receiver<T> {
    /// As [`recv`](Receiver::recv), until `ctx` is done. A context that is
    /// done gives its error also when there is a message.
    ///
    /// # Blocking
    /// Parks until there is a message, or the context is done.
    ///
    /// # Errors
    /// The context is done; or the channel is closed or disconnected, and
    /// empty.
    ///
    /// # Go
    /// A `select` with `<-c` and `<-ctx.Done()`, which chooses at random when
    /// both are ready.
    pub fn recv_ctx<C: Cancelled>(&self, ctx: &C) -> Result<T, RecvCtxError> {
        let done = ctx.done();
        if done.part().is_none() {
            // A root.
            return self.recv().map_err(|_| RecvCtxError::Disconnected);
        }
        let cases = [done.__recv_case(), self.__recv_case()];
        let chosen = select(cases, true);
        if chosen.index() == 0 {
            let _over = chosen.recv(done);
            return Err(RecvCtxError::Done(ctx.reason()));
        }
        chosen.recv(self).map_err(|_| RecvCtxError::Disconnected)
    }
}

impl<T> Sender<T> {
    /// As [`send`](Sender::send), until `ctx` is done. A context that is done
    /// gives its error also when there is room.
    ///
    /// # Blocking
    /// Parks while the channel is full and the context is not done.
    ///
    /// # Errors
    /// The message: the context is done, or the channel is closed or
    /// disconnected.
    ///
    /// # Go
    /// A `select` with `c <- msg` and `<-ctx.Done()`, which chooses at random
    /// when both are ready.
    pub fn send_ctx<C: Cancelled>(&self, ctx: &C, msg: T) -> Result<(), SendCtxError<T>> {
        let done = ctx.done();
        if done.part().is_none() {
            // A root.
            let sent = self.send(msg);
            return sent.map_err(|error| SendCtxError::Disconnected(error.into_inner()));
        }
        let cases = [done.__recv_case(), self.__send_case()];
        let chosen = select(cases, true);
        if chosen.index() == 0 {
            let _over = chosen.recv(done);
            return Err(SendCtxError::Done(msg, ctx.reason()));
        }
        let sent = chosen.send(self, msg);
        sent.map_err(|error| SendCtxError::Disconnected(error.into_inner()))
    }
}
