//! Where one idle machine sleeps: in mio's poll, until a descriptor is ready,
//! somebody calls, or a timer is due. The only door to mio.
//!
//! mio rounds timeouts up to milliseconds. On Linux the wait itself is a
//! `ppoll` on mio's own descriptor, to the nanosecond, and mio is then asked
//! without waiting; elsewhere mio waits.

use crate::clock;
use crate::fatal::fatal;
use crate::shim::fixed::AtomicBool;
use crate::shim::{Acquire, Relaxed, Release};
use mio::{Events, Poll, Token, Waker};
use std::io;
use std::sync::Mutex;
use std::time::Duration;

const CALL: Token = Token(usize::MAX);

pub(crate) struct Netpoll {
    /// Whether a machine has the role: the lock is then its own.
    taken: AtomicBool,
    poll: Mutex<(Poll, Events)>,
    waker: Waker,
}

impl Netpoll {
    pub(crate) fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), CALL)?;
        Ok(Self {
            taken: AtomicBool::new(false),
            poll: Mutex::new((poll, Events::with_capacity(128))),
            waker,
        })
    }

    /// Takes the role of the one who waits here.
    #[must_use]
    pub(crate) fn try_take_role(&self) -> bool {
        // ORDER: Acquire pairs with `leave_role`.
        !self.taken.load(Relaxed) && !self.taken.swap(true, Acquire)
    }

    pub(crate) fn leave_role(&self) {
        // ORDER: Release pairs with `try_take_role`.
        self.taken.store(false, Release);
    }

    /// Ends the wait of who has the role.
    pub(crate) fn call(&self) {
        if let Err(error) = self.waker.wake() {
            fatal!("cannot wake the machine in the netpoller: {error}");
        }
    }

    /// Waits until `deadline` at most (`u64::MAX`: for ever); by the holder of the role. May end
    /// early.
    pub(crate) fn wait(&self, deadline: u64) {
        let mut inner = self
            .poll
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let (poll, events) = &mut *inner;
        let left = (deadline != u64::MAX).then(|| deadline.saturating_sub(clock::now()));
        let Some(then) = wait_precisely(poll, left) else {
            return;
        };
        match poll.poll(events, then) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => fatal!("the netpoller cannot wait: {error}"),
        }
        events.clear();
    }
}

/// Waits on the poll's descriptor; what is left for mio's own wait, or none
/// if there is nothing to fetch.
#[cfg(target_os = "linux")]
fn wait_precisely(poll: &Poll, left: Option<u64>) -> Option<Option<Duration>> {
    use std::os::fd::AsRawFd;
    let Some(left) = left else {
        return Some(None);
    };
    let mut descriptor = libc::pollfd {
        fd: poll.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    let timeout = libc::timespec {
        tv_sec: i64::try_from(left / 1_000_000_000).unwrap_or(i64::MAX),
        tv_nsec: i64::try_from(left % 1_000_000_000).unwrap_or(0),
    };
    // SAFETY: both point to locals; one descriptor, no signal mask.
    let ready = unsafe { libc::ppoll(&raw mut descriptor, 1, &raw const timeout, std::ptr::null()) };
    (ready > 0).then_some(Some(Duration::ZERO))
}

#[cfg(not(target_os = "linux"))]
fn wait_precisely(_poll: &Poll, left: Option<u64>) -> Option<Option<Duration>> {
    Some(left.map(Duration::from_nanos))
}
