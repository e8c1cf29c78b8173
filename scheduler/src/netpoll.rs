//! Readiness of descriptors, and where one idle machine sleeps: in mio's
//! poll, until a descriptor is ready, somebody calls, or a timer is due. The
//! only door to mio.
//!
//! Machines that are busy look here about every millisecond, and the monitor
//! does when none of them comes by. What it finds goes to the queue that all
//! share, so it leaves the look to a machine that is to come: there the line
//! is one, first come, first served.
//!
//! mio rounds timeouts up to milliseconds. On Linux the last of a wait is a
//! `ppoll` on mio's own descriptor, to the nanosecond, and mio is then asked
//! without waiting; elsewhere mio waits.

use crate::clock;
use crate::descriptor::{Event, Slot};
use crate::fatal::fatal;
use crate::scheduler::Scheduler;
use crate::shim::fixed::{AtomicBool, AtomicU64, fence};
use crate::shim::{Acquire, Relaxed, Release, SeqCst};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Registry, Token, Waker};
use std::io;
use std::os::fd::RawFd;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const CALL: Token = Token(usize::MAX);

/// Busy machines look so often, in nanoseconds.
const LOOK_EVERY: u64 = 500_000;

/// Who has had descriptors that were ready goes on serving so long, in
/// nanoseconds.
const SERVES_FOR: u64 = 10_000_000;

pub(crate) struct Netpoll {
    /// Whether somebody has the role of the sleeper here: it holds the lock,
    /// or gets it soon.
    taken: AtomicBool,
    poll: Mutex<(Poll, Events)>,
    caller: Caller,
    shared: Arc<Shared>,
    looked_at: AtomicU64,
    /// When descriptors were ready last.
    served_at: AtomicU64,
    /// Somebody has waited here since the last look, to the end.
    has_waited: AtomicBool,
}

/// Ends the wait of who has the role.
#[derive(Clone)]
pub(crate) struct Caller(Arc<Waker>);

impl Caller {
    pub(crate) fn call(&self) {
        if let Err(error) = self.0.wake() {
            fatal!("cannot wake who sleeps in the netpoller: {error}");
        }
    }
}

/// What registrations keep.
struct Shared {
    registry: Registry,
    /// Whether any descriptor has ever been registered.
    is_used: AtomicBool,
}

/// A descriptor's registration with one runtime's netpoller.
pub(crate) struct Registration {
    with: Arc<Shared>,
    fd: RawFd,
}

impl Registration {
    pub(crate) fn is_with(&self, scheduler: &Scheduler) -> bool {
        Arc::ptr_eq(&self.with, &scheduler.netpoll().shared)
    }

    /// Ends it if it is one of `fd`, which is open. Another number may be in
    /// use again, for another file.
    pub(crate) fn end(&self, fd: RawFd) {
        if self.fd == fd {
            let _gone = self.with.registry.deregister(&mut SourceFd(&fd));
        }
    }
}

impl Netpoll {
    pub(crate) fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let caller = Caller(Arc::new(Waker::new(poll.registry(), CALL)?));
        let registry = poll.registry().try_clone()?;
        Ok(Self {
            taken: AtomicBool::new(false),
            poll: Mutex::new((poll, Events::with_capacity(1024))),
            caller,
            shared: Arc::new(Shared {
                registry,
                is_used: AtomicBool::new(false),
            }),
            looked_at: AtomicU64::new(0),
            served_at: AtomicU64::new(0),
            has_waited: AtomicBool::new(false),
        })
    }

    /// From here on edges of `fd` are told to `slot`, those that have been
    /// as one.
    pub(crate) fn register(&self, fd: RawFd, slot: &'static Slot) -> io::Result<Registration> {
        let token = Token(std::ptr::from_ref(slot) as usize);
        // ORDER: AcqRel pairs with `fetch`.
        #[cfg(raddle_tsan)]
        ORDERED.fetch_add(1, crate::shim::AcqRel);
        let registry = &self.shared.registry;
        let mut source = SourceFd(&fd);
        match registry.register(&mut source, token, interest()) {
            // Left behind by another owner of this number, for this file.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                registry.reregister(&mut source, token, interest())?;
            }
            result => result?,
        }
        // ORDER: SeqCst, rare: the caller then looks whether the monitor
        // sleeps, which looks at this once it has said so.
        self.shared.is_used.store(true, SeqCst);
        fence(SeqCst);
        Ok(Registration {
            with: self.shared.clone(),
            fd,
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

    /// Whether any descriptor has ever been registered.
    pub(crate) fn is_used(&self) -> bool {
        // ORDER: SeqCst, rare: as in `register`.
        self.shared.is_used.load(SeqCst)
    }

    /// Whether descriptors have become ready lately; `now` as of the clock.
    pub(crate) fn serves(&self, now: u64) -> bool {
        // ORDER: Relaxed, both: hints.
        self.shared.is_used.load(Relaxed)
            && now.saturating_sub(self.served_at.load(Relaxed)) < SERVES_FOR
    }

    /// Ends the wait of who has the role.
    pub(crate) fn call(&self) {
        self.caller.call();
    }

    pub(crate) fn caller(&self) -> Caller {
        self.caller.clone()
    }

    /// A machine looks for readiness if nobody has for a while; `now` as of
    /// the clock.
    pub(crate) fn look(&self, now: u64) -> Ready {
        self.look_after(LOOK_EVERY, now)
    }

    /// As `look`, by the monitor, once a machine that comes by would have
    /// looked.
    pub(crate) fn look_for_machines(&self, now: u64) -> Ready {
        self.look_after(LOOK_EVERY * 3 / 2, now)
    }

    fn look_after(&self, gap: u64, now: u64) -> Ready {
        // ORDER: Relaxed, all: hints; at worst a look too many.
        if !self.shared.is_used.load(Relaxed)
            || now.saturating_sub(self.looked_at.load(Relaxed)) < gap
            || self.taken.load(Relaxed)
        {
            return Ready::none();
        }
        if self.has_waited.load(Relaxed) {
            // The end of a wait is a look: the first that its machine does
            // then is to come here.
            self.has_waited.store(false, Relaxed);
            self.looked_at.store(now, Relaxed);
            return Ready::none();
        }
        // No role for this: a machine that goes to sleep meanwhile would
        // find it taken, and sleep elsewhere.
        let Ok(mut inner) = self.poll.try_lock() else {
            return Ready::none();
        };
        // ORDER: Relaxed: as above.
        self.looked_at.store(now, Relaxed);
        let found = fetch(&mut inner, Some(Duration::ZERO));
        drop(inner);
        // ORDER: Acquire pairs with `try_take_role`.
        if found.was_called && self.taken.load(Acquire) {
            // It is for one who has taken the role since, and may not have
            // begun to wait.
            self.call();
        }
        if !found.ready.is_empty() {
            // ORDER: Relaxed: a hint.
            self.served_at.store(now, Relaxed);
        }
        found.ready
    }

    /// Waits until `deadline` at most (`u64::MAX`: for ever); by the holder
    /// of the role. May end early.
    pub(crate) fn wait(&self, deadline: u64) -> Ready {
        let ready = if deadline == u64::MAX {
            self.fetch(None).ready
        } else {
            self.wait_until(deadline)
        };
        // ORDER: Relaxed, both: hints.
        self.has_waited.store(true, Relaxed);
        if !ready.is_empty() {
            self.served_at.store(clock::now(), Relaxed);
        }
        ready
    }

    #[cfg(target_os = "linux")]
    fn wait_until(&self, deadline: u64) -> Ready {
        use std::os::fd::AsRawFd;
        /// mio's waits may end so much later than asked.
        const MARGIN: u64 = 2_000_000;
        let left = || deadline.saturating_sub(clock::now());
        if left() > 2 * MARGIN {
            // One system call where the other way takes two.
            let found = self.fetch(Some(Duration::from_nanos(left() - MARGIN)));
            if found.was_called || !found.ready.is_empty() {
                return found.ready;
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
            self.fetch(Some(Duration::ZERO)).ready
        } else {
            Ready::none()
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn wait_until(&self, deadline: u64) -> Ready {
        let left = deadline.saturating_sub(clock::now());
        self.fetch(Some(Duration::from_nanos(left))).ready
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (Poll, Events)> {
        self.poll
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn fetch(&self, timeout: Option<Duration>) -> Found {
        fetch(&mut self.lock(), timeout)
    }
}

/// What ended a wait; nothing: its time was over.
struct Found {
    ready: Ready,
    was_called: bool,
}

/// What the kernel orders by its own locks, for the thread sanitizer: it sees
/// two descriptors where the registry is a clone.
#[cfg(raddle_tsan)]
static ORDERED: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);

fn fetch((poll, events): &mut (Poll, Events), timeout: Option<Duration>) -> Found {
    match poll.poll(events, timeout) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
        Err(error) => fatal!("the netpoller cannot wait: {error}"),
    }
    // ORDER: Acquire pairs with `register`: what is told is registered.
    #[cfg(raddle_tsan)]
    ORDERED.load(Acquire);
    let ready: Vec<_> = events
        .iter()
        .filter(|event| event.token() != CALL)
        .map(|event| (event.token().0, event_of(event)))
        .collect();
    let was_called = events.iter().any(|event| event.token() == CALL);
    events.clear();
    Found {
        ready: Ready(ready),
        was_called,
    }
}

/// All that a waiter may have to be told of.
fn interest() -> Interest {
    let both = Interest::READABLE | Interest::WRITABLE;
    #[cfg(target_os = "linux")]
    let both = both | Interest::PRIORITY;
    both
}

fn event_of(event: &mio::event::Event) -> Event {
    Event {
        is_readable: event.is_readable(),
        is_writable: event.is_writable(),
        is_hung_up: event.is_read_closed() || event.is_write_closed() || event.is_error(),
        is_urgent: event.is_priority(),
    }
}

/// Descriptors that have become ready, to be told after the poll.
#[must_use = "their waiters sleep on"]
pub(crate) struct Ready(Vec<(usize, Event)>);

impl Ready {
    pub(crate) fn none() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Wakes those who wait for them.
    pub(crate) fn tell(self) {
        for (token, event) in self.0 {
            // SAFETY: a token made by `register`; slots are never freed.
            let slot = unsafe { &*(token as *const Slot) };
            slot.tell(event);
        }
    }
}
