//! Futures by hand: wakers that count, an event, and polls one by one.

#![allow(dead_code, reason = "each test file uses a part")]

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

// ORDER: SeqCst: counts that are compared with what was done before.

/// How often a waker was called.
#[derive(Default)]
pub struct Calls(AtomicUsize);

impl Wake for Calls {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

impl Calls {
    pub fn new() -> (Arc<Self>, Waker) {
        let calls = Arc::new(Self::default());
        (calls.clone(), Waker::from(calls))
    }

    pub fn count(&self) -> usize {
        self.0.load(SeqCst)
    }
}

/// One poll, by a waker that nobody hears.
pub fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    poll_with(future, Waker::noop())
}

pub fn poll_with<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

/// Polled, and not ready.
pub fn pending<F: Future + Unpin>(mut future: F) -> F
where
    F::Output: std::fmt::Debug,
{
    let polled = poll_once(&mut future);
    assert!(polled.is_pending(), "{polled:?}");
    future
}

/// Something that happens once, perhaps before anybody waits.
#[derive(Clone, Default)]
pub struct Event(Arc<Mutex<(bool, Option<Waker>)>>);

impl Event {
    /// It happens; the waker of who waits, if anybody does, is called.
    pub fn happen(&self) -> Option<Waker> {
        let mut inner = self.0.lock().unwrap();
        inner.0 = true;
        let waker = inner.1.take();
        drop(inner);
        if let Some(waker) = &waker {
            waker.wake_by_ref();
        }
        waker
    }

    /// Who waits.
    pub fn waker(&self) -> Option<Waker> {
        self.0.lock().unwrap().1.clone()
    }
}

impl Future for Event {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.0.lock().unwrap();
        if inner.0 {
            return Poll::Ready(());
        }
        inner.1 = Some(context.waker().clone());
        Poll::Pending
    }
}

/// Gives way once.
#[derive(Default)]
pub struct Turn(bool);

impl Future for Turn {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}
