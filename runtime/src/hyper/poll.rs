//! A goroutine that polls a future to its end.

use raddle_scheduler::{Mutex, Reason, WOKEN, Wait, checkpoint};
use std::pin::pin;
use std::ptr;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

/// Polls `future` until it is ready, and gives what it yields.
///
/// # Blocking
/// Parks the goroutine while the future waits; on a plain OS thread, blocks
/// the thread.
///
/// # Panics
/// As the future does.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let bell = Arc::new(Bell(Mutex::new(State::Silent)));
    let waker = Waker::from(bell.clone());
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        bell.wait();
    }
}

/// Rung by the waker.
struct Bell(Mutex<State>);

/// Invariants
/// 1. A wait that is shown here is alive: its owner takes it away, under the
///    lock, before it leaves; who takes it away settles it under the lock
///    and owes the unpark.
enum State {
    Silent,
    Rung,
    Awaited(*const Wait),
}

// SAFETY: an address, used under the lock (invariant 1).
unsafe impl Send for State {}

impl Bell {
    fn wait(&self) {
        checkpoint();
        let wait = Wait::new();
        let mut state = self.0.lock();
        if matches!(*state, State::Rung) {
            *state = State::Silent;
            drop(state);
            // Woken while it was polled, perhaps by itself to let others run.
            crate::yield_now();
            return;
        }
        *state = State::Awaited(ptr::from_ref(&wait));
        drop(state);
        let _leave = Leave(self);
        let _woken = wait.park(Reason::Park, None);
    }
}

/// Takes the wait away, however it ends; a ring before that was its own.
struct Leave<'a>(&'a Bell);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        let mut state = self.0.0.lock();
        if matches!(*state, State::Awaited(_)) {
            *state = State::Silent;
        }
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut state = self.0.lock();
        let State::Awaited(wait) = *state else {
            *state = State::Rung;
            return;
        };
        *state = State::Silent;
        // SAFETY: invariant 1.
        let is_ours = unsafe { &*wait }.settle(WOKEN);
        drop(state);
        if is_ours {
            // SAFETY: 1. settled just now.
            unsafe { Wait::unpark(wait) };
        }
    }
}
