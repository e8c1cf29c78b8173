//! What a case of `select!` may have for a handle.
//!
//! The macro does not know types. It calls `__receiver` or `__sender` on what
//! the user wrote, and method lookup follows `Deref`, as for a call of the
//! user's own: through `&`, `Box`, `Arc` and guards to the methods of
//! [`Receiver`] and [`Sender`], or to those of an `Option`, if that comes
//! first. What is found is looked up once and then stands for the handle.

use std::ops::Deref;

use crate::error::{RecvError, SendError};
use crate::select::Case;
use crate::selected::SelectedOperation;
use crate::{Receiver, Sender};

impl<T> Receiver<T> {
    #[doc(hidden)]
    #[inline]
    pub fn __receiver(&self) -> &Receiver<T> {
        self
    }
}

impl<T> Sender<T> {
    #[doc(hidden)]
    #[inline]
    pub fn __sender(&self) -> &Sender<T> {
        self
    }
}

/// `__receiver` for `Option`s.
pub trait OptionReceiver {
    type Message;
    fn __receiver(&self) -> Option<&Receiver<Self::Message>>;
}

/// `__sender` for `Option`s.
pub trait OptionSender {
    type Message;
    fn __sender(&self) -> Option<&Sender<Self::Message>>;
}

impl<H: HasReceiver> OptionReceiver for Option<H> {
    type Message = H::Message;

    #[inline]
    fn __receiver(&self) -> Option<&Receiver<H::Message>> {
        self.as_ref().map(H::receiver)
    }
}

impl<H: HasSender> OptionSender for Option<H> {
    type Message = H::Message;

    #[inline]
    fn __sender(&self) -> Option<&Sender<H::Message>> {
        self.as_ref().map(H::sender)
    }
}

/// What an `Option` in place of a receiver may hold.
#[diagnostic::on_unimplemented(
    message = "an `Option` of `{Self}` is no receiver",
    label = "not a `Receiver`, nor does it dereference to one"
)]
pub trait HasReceiver {
    type Message;
    fn receiver(&self) -> &Receiver<Self::Message>;
}

/// What an `Option` in place of a sender may hold.
#[diagnostic::on_unimplemented(
    message = "an `Option` of `{Self}` is no sender",
    label = "not a `Sender`, nor does it dereference to one"
)]
pub trait HasSender {
    type Message;
    fn sender(&self) -> &Sender<Self::Message>;
}

impl<T> HasReceiver for Receiver<T> {
    type Message = T;

    #[inline]
    fn receiver(&self) -> &Receiver<T> {
        self
    }
}

impl<T> HasSender for Sender<T> {
    type Message = T;

    #[inline]
    fn sender(&self) -> &Sender<T> {
        self
    }
}

impl<H: Deref<Target: HasReceiver>> HasReceiver for H {
    type Message = <H::Target as HasReceiver>::Message;

    #[inline]
    fn receiver(&self) -> &Receiver<Self::Message> {
        (**self).receiver()
    }
}

impl<H: Deref<Target: HasSender>> HasSender for H {
    type Message = <H::Target as HasSender>::Message;

    #[inline]
    fn sender(&self) -> &Sender<Self::Message> {
        (**self).sender()
    }
}

/// A receive that waits to be chosen: what `__receiver` gave.
pub trait RecvCase<'a>: Copy {
    type Message;
    fn case(self) -> Case<'a>;
    fn finish(self, operation: SelectedOperation<'a>) -> Result<Self::Message, RecvError>;
}

/// A send that waits to be chosen: what `__sender` gave.
pub trait SendCase<'a>: Copy {
    type Message;
    fn case(self) -> Case<'a>;
    fn finish(
        self,
        operation: SelectedOperation<'a>,
        message: Self::Message,
    ) -> Result<(), SendError<Self::Message>>;
}

impl<'a, T> RecvCase<'a> for &'a Receiver<T> {
    type Message = T;

    #[inline]
    fn case(self) -> Case<'a> {
        self.__recv_case()
    }

    #[inline]
    fn finish(self, operation: SelectedOperation<'a>) -> Result<T, RecvError> {
        self.__finish_recv(operation)
    }
}

impl<'a, T> RecvCase<'a> for Option<&'a Receiver<T>> {
    type Message = T;

    #[inline]
    fn case(self) -> Case<'a> {
        self.map_or(Case::disabled(), Receiver::__recv_case)
    }

    #[inline]
    fn finish(self, operation: SelectedOperation<'a>) -> Result<T, RecvError> {
        self.expect(DISABLED).__finish_recv(operation)
    }
}

impl<'a, T> SendCase<'a> for &'a Sender<T> {
    type Message = T;

    #[inline]
    fn case(self) -> Case<'a> {
        self.__send_case()
    }

    #[inline]
    fn finish(self, operation: SelectedOperation<'a>, message: T) -> Result<(), SendError<T>> {
        self.__finish_send(operation, message)
    }
}

impl<'a, T> SendCase<'a> for Option<&'a Sender<T>> {
    type Message = T;

    #[inline]
    fn case(self) -> Case<'a> {
        self.map_or(Case::disabled(), Sender::__send_case)
    }

    #[inline]
    fn finish(self, operation: SelectedOperation<'a>, message: T) -> Result<(), SendError<T>> {
        self.expect(DISABLED).__finish_send(operation, message)
    }
}

const DISABLED: &str = "a disabled case was chosen";
