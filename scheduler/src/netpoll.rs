//! Readiness of descriptors, and where one idle machine sleeps: in mio's
//! poll, until a descriptor is ready, somebody calls, or a timer is due. The
//! only door to mio.
//!
//! Machines that are busy look here about every millisecond, and the monitor
//! does when none of them comes by.
//!
//! mio rounds timeouts up to milliseconds. On Linux the last of a wait is a
//! `ppoll` on mio's own descriptor, to the nanosecond, and mio is then asked
//! without waiting; elsewhere mio waits.

use crate::clock;
use crate::descriptor::Slot;
use crate::fatal::fatal;
use crate::scheduler::Scheduler;
use crate::shim::fixed::{AtomicBool, AtomicU64};
use crate::shim::{Acquire, Relaxed, Release};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Registry, Token, Waker};
use std::io;
use std::os::fd::RawFd;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const CALL: Token = Token(usize::MAX);

/// Busy machines look so often, in nanoseconds.
const LOOK_EVERY: u64 = 500_000;

pub(crate) struct Netpoll {
    /// Whether a machine has the role: the lock is then its own.
    taken: AtomicBool,
    poll: Mutex<(Poll, Events)>,
    waker: Waker,
    shared: Arc<Shared>,
    looked_at: AtomicU64,
}

/// What registrations keep.
struct Shared {
    registry: Registry,
    /// Whether any descriptor has ever been registered.
    is_used: AtomicBool,
}

/// A descriptor's registration with one runtime's netpoller.
pub(crate) struct Registration(Arc<Shared>);

impl Registration {
    pub(crate) fn is_with(&self, scheduler: &Scheduler) -> bool {
        Arc::ptr_eq(&self.0, &scheduler.netpoll().shared)
    }

    pub(crate) fn end(&self, fd: RawFd) {
        // It fails if the descriptor is gone: then so is the registration.
        let _gone = self.0.registry.deregister(&mut SourceFd(&fd));
    }
}

impl Netpoll {
    pub(crate) fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), CALL)?;
        let registry = poll.registry().try_clone()?;
        Ok(Self {
            taken: AtomicBool::new(false),
            poll: Mutex::new((poll, Events::with_capacity(256))),
            waker,
            shared: Arc::new(Shared {
                registry,
                is_used: AtomicBool::new(false),
            }),
            looked_at: AtomicU64::new(0),
        })
    }

    /// From here on edges of `fd` are told to `slot`, those that have been
    /// as one.
    pub(crate) fn register(&self, fd: RawFd, slot: &'static Slot) -> io::Result<Registration> {
        let token = Token(std::ptr::from_ref(slot) as usize);
        let both = Interest::READABLE | Interest::WRITABLE;
        let registry = &self.shared.registry;
        registry.register(&mut SourceFd(&fd), token, both)?;
        // ORDER: Relaxed: a hint for who looks.
        self.shared.is_used.store(true, Relaxed);
        Ok(Registration(self.shared.clone()))
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

    /// Looks for readiness if nobody has for a while; `now` as of the clock.
    pub(crate) fn look(&self, now: u64) {
        // ORDER: Relaxed, both: hints; at worst a look too many.
        if !self.shared.is_used.load(Relaxed)
            || now.saturating_sub(self.looked_at.load(Relaxed)) < LOOK_EVERY
            || !self.try_take_role()
        {
            return;
        }
        // ORDER: Relaxed: as above.
        self.looked_at.store(now, Relaxed);
        let (ready, _) = self.fetch(Some(Duration::ZERO));
        self.leave_role();
        ready.tell();
    }

    /// Waits until `deadline` at most (`u64::MAX`: for ever); by the holder
    /// of the role. May end early.
    pub(crate) fn wait(&self, deadline: u64) -> Ready {
        if deadline == u64::MAX {
            return self.fetch(None).0;
        }
        self.wait_until(deadline)
    }

    #[cfg(target_os = "linux")]
    fn wait_until(&self, deadline: u64) -> Ready {
        use std::os::fd::AsRawFd;
        /// mio's waits may end so much later than asked.
        const MARGIN: u64 = 2_000_000;
        let left = || deadline.saturating_sub(clock::now());
        if left() > 2 * MARGIN {
            // One system call where the other way takes two.
            let (ready, any) = self.fetch(Some(Duration::from_nanos(left() - MARGIN)));
            if any {
                return ready;
            }
        }
        let left = left();
        let mut descriptor = libc::pollfd {
            fd: self.lock().0.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        let timeout = libc::timespec {
            tv_sec: i64::try_from(left / 1_000_000_000).unwrap_or(i64::MAX),
            tv_nsec: i64::try_from(left % 1_000_000_000).unwrap_or(0),
        };
        // SAFETY: both point to locals; one descriptor, no signal mask.
        let ready =
            unsafe { libc::ppoll(&raw mut descriptor, 1, &raw const timeout, std::ptr::null()) };
        if ready > 0 {
            self.fetch(Some(Duration::ZERO)).0
        } else {
            Ready(Vec::new())
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn wait_until(&self, deadline: u64) -> Ready {
        let left = deadline.saturating_sub(clock::now());
        self.fetch(Some(Duration::from_nanos(left))).0
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (Poll, Events)> {
        self.poll
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// What is ready, and whether anything ended the wait before its time.
    fn fetch(&self, timeout: Option<Duration>) -> (Ready, bool) {
        let mut inner = self.lock();
        let (poll, events) = &mut *inner;
        match poll.poll(events, timeout) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => fatal!("the netpoller cannot wait: {error}"),
        }
        let any = !events.is_empty();
        let ready = events
            .iter()
            .filter(|event| event.token() != CALL)
            .map(|event| Edge {
                slot: event.token().0,
                is_readable: event.is_readable(),
                is_writable: event.is_writable(),
                is_hung_up: event.is_read_closed() || event.is_write_closed() || event.is_error(),
            })
            .collect();
        events.clear();
        (Ready(ready), any)
    }
}

/// Descriptors that have become ready, to be told after the poll.
#[must_use = "their waiters sleep on"]
pub(crate) struct Ready(Vec<Edge>);

struct Edge {
    slot: usize,
    is_readable: bool,
    is_writable: bool,
    is_hung_up: bool,
}

impl Ready {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Wakes those who wait for them.
    pub(crate) fn tell(self) {
        for edge in self.0 {
            // SAFETY: a token made by `register`; slots are never freed.
            let slot = unsafe { &*(edge.slot as *const Slot) };
            slot.edge(edge.is_readable, edge.is_writable, edge.is_hung_up);
        }
    }
}
