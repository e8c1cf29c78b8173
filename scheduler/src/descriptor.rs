//! Waiting for a descriptor to be ready, in either direction.

use crate::deadlock::Expecting;
use crate::edges::{Edges, NEVER};
use crate::netpoll::Registration;
use crate::schedule::checkpoint;
use crate::scheduler::{Scheduler, with_current_scheduler};
use crate::shim::fixed::{AtomicBool, AtomicU64};
use crate::shim::{Acquire, Mutex, Relaxed, Release};
use crate::trace::{self, Io};
use std::fmt;
use std::io;
use std::os::fd::RawFd;
use std::sync::OnceLock;
use std::task::{Poll, Waker};

/// Which way the bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Reading, accepting.
    Read,
    /// Writing, connecting.
    Write,
}

/// Where the waiters of one descriptor stand. Slots are never freed, only
/// used again: an event that comes late finds one, and at worst wakes
/// somebody who then tries in vain.
pub(crate) struct Slot {
    read: Edges,
    write: Edges,
    /// A read that comes short need not have left nothing: there is an end
    /// behind it, or a mark.
    may_be_cut: AtomicBool,
}

impl Slot {
    fn new() -> Self {
        Self {
            read: Edges::new(),
            write: Edges::new(),
            may_be_cut: AtomicBool::new(false),
        }
    }

    fn edges(&self, direction: Direction) -> &Edges {
        match direction {
            Direction::Read => &self.read,
            Direction::Write => &self.write,
        }
    }

    /// The system says that something is ready.
    pub(crate) fn tell(&self, event: Event) {
        if event.is_hung_up || event.is_urgent {
            // ORDER: Release: before the edge that tells of it.
            self.may_be_cut.store(true, Release);
        }
        if event.is_readable || event.is_hung_up || event.is_urgent {
            self.read.tell();
        }
        if event.is_writable || event.is_hung_up {
            self.write.tell();
        }
    }
}

/// What the system says of a descriptor.
#[derive(Clone, Copy)]
pub(crate) struct Event {
    pub(crate) is_readable: bool,
    pub(crate) is_writable: bool,
    /// Closed from one side at least, or failed.
    pub(crate) is_hung_up: bool,
    /// Urgent data: what comes before it is read by itself.
    pub(crate) is_urgent: bool,
}

static FREE: Mutex<Vec<&'static Slot>> = Mutex::new(Vec::new());

/// The right to wait for one open file. It does not own the descriptor, which
/// is to be closed before this is dropped.
pub struct Descriptor {
    slot: &'static Slot,
    /// Where it is registered: in the runtime that waited first, as a rule
    /// the only one.
    first: OnceLock<Registration>,
    more: Mutex<Vec<Registration>>,
}

impl Default for Descriptor {
    fn default() -> Self {
        Self::new()
    }
}

impl Descriptor {
    /// For an open file that does not block and is not registered anywhere.
    #[must_use]
    pub fn new() -> Self {
        let slot = FREE.lock().pop();
        let slot = slot.unwrap_or_else(|| Box::leak(Box::new(Slot::new())));
        slot.read.reset();
        slot.write.reset();
        // ORDER: Relaxed: nobody else has it; an event that comes late sets
        // it in vain, which costs a try now and then.
        slot.may_be_cut.store(false, Relaxed);
        Self {
            slot,
            first: OnceLock::new(),
            more: Mutex::new(Vec::new()),
        }
    }

    /// Calls in this direction fail after `deadline`, also those that wait
    /// already; nanoseconds of `clock::now`, none for never.
    pub fn set_deadline(&self, direction: Direction, deadline: Option<u64>) {
        let edges = self.slot.edges(direction);
        edges.set_deadline(deadline.unwrap_or(NEVER));
    }

    /// Whether the deadline of this direction is past.
    #[must_use]
    pub fn is_late(&self, direction: Direction) -> bool {
        self.slot.edges(direction).is_late()
    }

    /// Runs `operation` until it does not say `WouldBlock`, waiting in
    /// between, until `deadline` at most. Beside its result it tells whether
    /// it has left nothing: then the next call waits before it tries. To be
    /// told of readiness, `fd` is registered with the caller's runtime, or
    /// with that of `default`.
    ///
    /// # Blocking
    /// Parks.
    ///
    /// # Errors
    /// Those of `operation`, but for `Interrupted`; `TimedOut` when it is too
    /// late; what the system says against registering `fd`, or why there is
    /// no `default`.
    pub fn run<R>(
        &self,
        default: fn() -> io::Result<&'static Scheduler>,
        fd: RawFd,
        direction: Direction,
        deadline: Option<u64>,
        mut operation: impl FnMut() -> io::Result<(R, bool)>,
    ) -> io::Result<R> {
        checkpoint();
        let edges = self.slot.edges(direction);
        loop {
            if edges.is_late() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let seen = edges.count();
            if let Some(result) = self.attempt(edges, seen, &mut operation) {
                return result;
            }
            self.wait(default, fd, direction, seen, deadline.unwrap_or(NEVER))?;
        }
    }

    /// Runs `operation` unless it is known that nothing is there, again if a
    /// signal cut it short. None: an edge after the `seen`-th is waited for.
    #[inline(always)]
    fn attempt<R>(
        &self,
        edges: &Edges,
        seen: u64,
        operation: &mut impl FnMut() -> io::Result<(R, bool)>,
    ) -> Option<io::Result<R>> {
        if edges.is_drained(seen) {
            return None;
        }
        loop {
            match operation() {
                Ok((result, is_drained)) => {
                    // ORDER: Acquire pairs with `Slot::tell`.
                    if is_drained && !self.slot.may_be_cut.load(Acquire) {
                        edges.drained(seen);
                    }
                    return Some(Ok(result));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// As `run`, for a future: where that would park, this returns, and
    /// `waker` is called at the next edge and when the deadline changes.
    /// Nobody calls it when the deadline is past.
    ///
    /// # Errors
    /// As `run`; `TimedOut` if the descriptor's deadline is past.
    pub fn poll<R>(
        &self,
        default: fn() -> io::Result<&'static Scheduler>,
        fd: RawFd,
        direction: Direction,
        watch: &mut Watch,
        waker: &Waker,
        mut operation: impl FnMut() -> io::Result<(R, bool)>,
    ) -> Poll<io::Result<R>> {
        let edges = self.slot.edges(direction);
        let result = loop {
            let until = edges.deadline();
            if edges.is_late() {
                break Err(io::ErrorKind::TimedOut.into());
            }
            let seen = edges.count();
            if let Some(result) = self.attempt(edges, seen, &mut operation) {
                break result;
            }
            if let Err(error) = self.be_registered(default, fd) {
                break Err(error);
            }
            let expecting = watch.expecting(direction);
            if expecting.is_none() {
                *expecting = Some(Expecting::begin());
            }
            if edges.watch(seen, until, watch.key, waker) {
                return Poll::Pending;
            }
        };
        *watch.expecting(direction) = None;
        Poll::Ready(result)
    }

    /// The deadline of this direction.
    #[must_use]
    pub fn deadline(&self, direction: Direction) -> Option<u64> {
        let deadline = self.slot.edges(direction).deadline();
        (deadline != NEVER).then_some(deadline)
    }

    /// The future whose watch this is waits no more.
    pub fn forget(&self, watch: &mut Watch) {
        self.slot.read.forget(watch.key);
        self.slot.write.forget(watch.key);
        watch.reads = None;
        watch.writes = None;
    }

    fn be_registered(&self, default: fn() -> io::Result<&'static Scheduler>, fd: RawFd) -> io::Result<()> {
        with_current_scheduler(|current| {
            let scheduler = match current {
                Some(scheduler) => scheduler,
                None => default()?,
            };
            match self.first.get() {
                Some(first) if first.is_with(scheduler) => Ok(()),
                _ => self.register(scheduler, fd),
            }
        })
    }

    fn wait(
        &self,
        default: fn() -> io::Result<&'static Scheduler>,
        fd: RawFd,
        direction: Direction,
        seen: u64,
        deadline: u64,
    ) -> io::Result<()> {
        self.be_registered(default, fd)?;
        let _expecting = Expecting::begin();
        trace::io(Io::Wait, fd, direction);
        if self.slot.edges(direction).wait(seen, deadline) {
            trace::io(Io::Ready, fd, direction);
            Ok(())
        } else {
            trace::io(Io::Late, fd, direction);
            Err(io::ErrorKind::TimedOut.into())
        }
    }

    #[cold]
    fn register(&self, scheduler: &Scheduler, fd: RawFd) -> io::Result<()> {
        let mut more = self.more.lock();
        let mut known = self.first.get().into_iter().chain(more.iter());
        if known.any(|one| one.is_with(scheduler)) {
            return Ok(());
        }
        let registration = scheduler.netpoll().register(fd, self.slot)?;
        // It may sleep elsewhere than in the poll, since that was of no use.
        scheduler.monitor.call_if_asleep();
        if let Err(registration) = self.first.set(registration) {
            more.push(registration);
        }
        Ok(())
    }

    /// Ends all registrations of `fd`, before it is given to others. Those by
    /// another descriptor of the same open file stay, and end with the file.
    pub fn deregister(&mut self, fd: RawFd) {
        if let Some(first) = self.first.take() {
            first.end(fd);
        }
        for registration in self.more.lock().drain(..) {
            registration.end(fd);
        }
    }
}

/// The place of one future among those who wait for a descriptor: one for
/// each direction. [`Descriptor::forget`] gives it up.
#[derive(Debug)]
#[must_use = "it is what a future waits with"]
pub struct Watch {
    key: u64,
    reads: Option<Expecting>,
    writes: Option<Expecting>,
}

impl Watch {
    /// A place of its own, where nobody waits as yet.
    #[expect(clippy::new_without_default, reason = "no two are the same")]
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self {
            // ORDER: Relaxed: a number.
            key: NEXT.fetch_add(1, Relaxed),
            reads: None,
            writes: None,
        }
    }

    fn expecting(&mut self, direction: Direction) -> &mut Option<Expecting> {
        match direction {
            Direction::Read => &mut self.reads,
            Direction::Write => &mut self.writes,
        }
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        FREE.lock().push(self.slot);
    }
}

impl fmt::Debug for Descriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Descriptor").finish_non_exhaustive()
    }
}
