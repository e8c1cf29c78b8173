//! raddle's channels: goroutines exchanging values.
//!
//! Programs use the crate `raddle`, which exports all of this as
//! `raddle::chan`. The surface is crossbeam-channel's, name by name, with
//! Go's `close`, cases that can be switched off, and [`Chan`]. Everything
//! works from goroutines and plain OS threads alike.
//!
//! ```
//! use raddle_chan::{bounded, select};
//!
//! let (sender, receiver) = bounded(1);
//! sender.send(7).unwrap();
//! let got = select! {
//!     recv(receiver) -> message => message,
//!     default => panic!("there was one"),
//! };
//! assert_eq!(got, Ok(7));
//! ```
//!
//! ```text
//! go_chan selected in_context futures → sender receiver iter → ends → clocks dial shared select → complete
//!   → polling → part meeting → waiting → polled → channel → lock buffer waiter → shim
//! ```
//!
//! | room | job |
//! |---|---|
//! | `ends` | `Sender`, `Receiver`, and how they are made |
//! | `sender`, `receiver`, `iter` | what they do |
//! | `go_chan` | both ends in one value |
//! | `selected` | `Select`, `SelectedOperation` |
//! | `select_macro`, `select_handle` | `select!`: syntax; what may stand for a handle |
//! | `in_context` | operations that end with a context |
//! | `futures` | operations that are futures; the feature `futures`, as the next three |
//! | `polling` | one send or receive that is polled |
//! | `polled` | its waiter |
//! | `alarm` | wakes those that wait for a time |
//! | `clocks`, `dial` | channels that time fills; one that can be set anew |
//! | `select` | many cases, one winner |
//! | `part` | a channel as a selection sees it |
//! | `complete`, `meeting` | the end of an operation that was won; two selections that have chosen one another |
//! | `waiting` | one plain send or receive |
//! | `channel` | the buffer and the queues, under one lock |
//! | `shared` | handles, counted |
//! | `lock`, `buffer`, `waiter` | what a channel is made of |
//! | `shim` | std and the scheduler, or the model checker |

#![cfg_attr(
    raddle_model,
    allow(dead_code, reason = "a model build compiles a part of the rooms")
)]

// Rooms that hold a protocol compile under the model checker too.
mod buffer;
#[allow(unsafe_code)]
mod channel;
#[allow(unsafe_code)]
mod complete;
#[allow(unsafe_code)]
mod dial;
mod lock;
#[allow(unsafe_code)]
mod meeting;
#[allow(unsafe_code)]
mod part;
#[cfg(feature = "futures")]
#[allow(unsafe_code)]
mod polled;
#[cfg(feature = "futures")]
#[allow(unsafe_code)]
mod polling;
#[allow(unsafe_code)]
mod select;
#[allow(unsafe_code)]
mod shared;
#[cfg_attr(raddle_model, allow(unsafe_code))]
mod shim;
#[allow(unsafe_code)]
mod waiter;
#[allow(unsafe_code)]
mod waiting;

#[cfg(all(test, raddle_model))]
mod models;
#[cfg(all(test, raddle_model, feature = "futures"))]
mod models_polled;

macro_rules! rooms {
    ($($(#[$attribute:meta])* mod $name:ident;)*) => {
        $(#[cfg(not(raddle_model))] $(#[$attribute])* mod $name;)*
    };
}

rooms! {
    #[cfg(feature = "futures")]
    mod alarm;
    #[allow(unsafe_code)]
    mod clocks;
    mod ends;
    mod error;
    #[cfg(feature = "futures")]
    mod futures;
    mod go_chan;
    mod in_context;
    mod iter;
    mod receiver;
    #[allow(missing_docs, reason = "what the macros call")]
    mod select_handle;
    mod select_macro;
    #[allow(unsafe_code)]
    mod selected;
    mod sender;
}

#[cfg(not(raddle_model))]
mod surface {
    pub use crate::ends::{
        Never, Receiver, Sender, after, at, bounded, never, never_sender, tick, unbounded,
    };
    pub use crate::error::{
        ReadyTimeoutError, RecvError, RecvTimeoutError, SelectTimeoutError, SendError,
        SendTimeoutError, TryReadyError, TryRecvError, TrySelectError, TrySendError,
    };
    #[cfg(feature = "futures")]
    pub use crate::futures::{RecvFuture, RecvStream, SendFuture};
    pub use crate::go_chan::Chan;
    pub use crate::in_context::{RecvCtxError, SendCtxError};
    pub use crate::iter::{IntoIter, Iter, TryIter};
    pub use crate::selected::{Select, SelectedOperation};
}
#[cfg(not(raddle_model))]
pub use surface::*;

/// What the macros expand to, and what the crate above builds on.
#[cfg(not(raddle_model))]
#[doc(hidden)]
pub mod __private {
    pub use crate::ends::Timer;
    pub use crate::in_context::{Cancelled, ContextError};
    pub use crate::select::Case;
    pub use crate::select_handle::{OptionReceiver, OptionSender, RecvCase, SendCase};
    pub use crate::selected::SelectedOperation;
    pub use crate::selected::calls::{block_for_ever, select, select_timeout, try_select};
}
