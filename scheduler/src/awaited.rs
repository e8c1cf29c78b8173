//! Waiting for a future: its waker may be called by anybody, at any time and
//! as often as they like.

use crate::park::{self, Parker};
use crate::reason::Reason;
use crate::schedule;
use crate::token::Token;
use std::future::IntoFuture;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

/// Who waits for a future; behind its waker.
///
/// It may outlive who waits: a call that comes when nobody waits is kept for
/// the next wait, or for none. It has a token of its own, so a late call ends
/// no wait but those for it.
///
/// Invariants
/// 1. `caller` is used by who ended a wait (`token.rs`, 2), whose goroutine
///    or thread does not leave that wait before its unpark.
#[derive(Debug)]
struct Awaited {
    token: Token,
    caller: Parker,
}

impl Wake for Awaited {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.token.leave() {
            self.caller.unpark();
        }
    }
}

/// Waits for a future, polling it on the caller's own stack.
///
/// The future may wait for anything: its executor, if it has one, runs on
/// threads of its own. A poll may itself call `block_on`, and anything else
/// that parks.
///
/// # Blocking
/// Parks until the future's waker is called; on a plain OS thread it blocks
/// the thread. A future that wakes itself gives others their turn, as
/// [`yield_now`](crate::yield_now). When the runtime shuts down the future is
/// dropped as the goroutine unwinds.
///
/// # Panics
/// As the future's `poll` does.
///
/// # Examples
/// ```
/// let answer = raddle_scheduler::block_on(async { 6 * 7 });
/// assert_eq!(answer, 42);
/// ```
///
/// # Go
/// None: no function there is `async`.
#[inline]
pub fn block_on<F: IntoFuture>(future: F) -> F::Output {
    let mut future = pin!(future.into_future());
    // Here, and not in polls: those may be inside another executor's context,
    // which is nobody else's.
    let me = schedule::checkpoint_as();
    let awaited = Arc::new(Awaited {
        token: Token::new(),
        caller: me.unwrap_or_else(Parker::current),
    });
    let waker = Waker::from(awaited.clone());
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        park::wait_for_call(&awaited.token, awaited.caller, Reason::Park);
    }
}
