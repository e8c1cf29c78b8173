//! Waiting for a descriptor to be ready, in either direction.
//!
//! The operation is tried first; only when it would block does its caller
//! wait, for the next *edge*: a moment at which the system says that the
//! descriptor has become ready. Edges are counted before anybody is woken, and
//! a waiter stands in the list only while the count is still the one that it
//! read before it tried. So no edge falls between a try and its wait.

use crate::deadlock::Expecting;
use crate::netpoll::Registration;
use crate::park::{WOKEN, Wait};
use crate::reason::Reason;
use crate::schedule::checkpoint;
use crate::scheduler::Scheduler;
use crate::shim::fixed::{AtomicBool, AtomicU64};
use crate::shim::{Acquire, Mutex, MutexGuard, Relaxed, Release};
use std::fmt;
use std::io;
use std::os::fd::RawFd;
use std::sync::OnceLock;

/// Which way the bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Reading, accepting.
    Read,
    /// Writing, connecting.
    Write,
}

/// The end of time.
const NEVER: u64 = u64::MAX;

/// Where the waiters of one descriptor stand. Slots are never freed, only
/// used again: an event that comes late finds one, and at worst wakes
/// somebody who then tries in vain.
pub(crate) struct Slot {
    read: Half,
    write: Half,
    /// The other end is gone, so what is read short is not drained for good.
    is_hung_up: AtomicBool,
}

/// Invariants
/// 1. `edges` grows before the waiters are woken for it.
/// 2. A wait in `waiters` is alive: its owner takes it out, under the lock,
///    before it leaves; who takes it out settles it under the lock and owes
///    the unpark.
struct Half {
    edges: AtomicU64,
    /// There was nothing more at this count of edges.
    drained_at: AtomicU64,
    /// For calls, nanoseconds of `clock::now`.
    deadline: AtomicU64,
    waiters: Mutex<Vec<Waiting>>,
}

struct Waiting(*const Wait);

// SAFETY: an address, used under the lock (invariant 2).
unsafe impl Send for Waiting {}

/// Look again: the deadline has changed.
const CHANGED: u32 = WOKEN + 1;

impl Half {
    fn new() -> Self {
        Self {
            edges: AtomicU64::new(0),
            drained_at: AtomicU64::new(NEVER),
            deadline: AtomicU64::new(NEVER),
            waiters: Mutex::new(Vec::new()),
        }
    }

    /// Wakes all who wait; how many there were.
    fn wake_all(&self, outcome: u32) -> usize {
        let mut woken = 0;
        loop {
            let mut waiters = self.waiters.lock();
            if waiters.is_empty() {
                return woken;
            }
            let Waiting(wait) = waiters.remove(0);
            // SAFETY: invariant 2.
            let wait = unsafe { &*wait };
            let is_ours = wait.settle(outcome);
            drop(waiters);
            if is_ours {
                // SAFETY: 1. settled just now.
                unsafe { Wait::unpark(wait) };
                woken += 1;
            }
        }
    }

    fn edge(&self) {
        // ORDER: Release pairs with `edges` read by who tries.
        self.edges.fetch_add(1, Release);
        let _woken = self.wake_all(WOKEN);
    }

    fn edges(&self) -> u64 {
        // ORDER: Acquire pairs with `edge`.
        self.edges.load(Acquire)
    }

    /// Waits for an edge after the `seen`-th. `false`: too late.
    fn wait(&self, seen: u64, deadline: u64) -> bool {
        loop {
            // ORDER: Acquire pairs with `set_deadline`, which then wakes.
            let until = deadline.min(self.deadline.load(Acquire));
            let wait = Wait::new();
            let mut waiters = self.waiters.lock();
            if self.edges() != seen {
                return true;
            }
            // ORDER: Acquire: as above; under the lock, so that a change after
            // this look finds us in the list.
            if deadline.min(self.deadline.load(Acquire)) != until {
                continue;
            }
            waiters.push(Waiting(&raw const wait));
            drop(waiters);
            let leave = Leave(self, &wait);
            let expecting = Expecting::begin();
            let outcome = wait.park(Reason::IoWait, (until != NEVER).then_some(until));
            drop((leave, expecting));
            match outcome {
                WOKEN => return true,
                CHANGED => {}
                _ => return false,
            }
        }
    }
}

/// Takes a wait out of the list, however it ends.
struct Leave<'a>(&'a Half, &'a Wait);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        let mut waiters: MutexGuard<'_, Vec<Waiting>> = self.0.waiters.lock();
        waiters.retain(|Waiting(wait)| !std::ptr::eq(*wait, self.1));
    }
}

impl Slot {
    fn new() -> Self {
        Self {
            read: Half::new(),
            write: Half::new(),
            is_hung_up: AtomicBool::new(false),
        }
    }

    fn half(&self, direction: Direction) -> &Half {
        match direction {
            Direction::Read => &self.read,
            Direction::Write => &self.write,
        }
    }

    /// The system says that something is ready.
    pub(crate) fn edge(&self, is_readable: bool, is_writable: bool, is_hung_up: bool) {
        if is_hung_up {
            // ORDER: Release: before the edge that tells of it.
            self.is_hung_up.store(true, Release);
        }
        if is_readable || is_hung_up {
            self.read.edge();
        }
        if is_writable || is_hung_up {
            self.write.edge();
        }
    }
}

static FREE: Mutex<Vec<&'static Slot>> = Mutex::new(Vec::new());

/// The right to wait for one descriptor. It does not own the descriptor, and
/// is to be dropped before that is closed.
pub struct Descriptor {
    slot: &'static Slot,
    /// Where it is registered: in the runtime that waited first, as a rule
    /// the only one.
    first: OnceLock<Registration>,
    more: Mutex<Vec<Registration>>,
    is_shared: AtomicBool,
}

impl Default for Descriptor {
    fn default() -> Self {
        Self::new()
    }
}

impl Descriptor {
    /// For a descriptor that does not block and is not registered anywhere.
    #[must_use]
    pub fn new() -> Self {
        let slot = FREE.lock().pop();
        let slot = slot.unwrap_or_else(|| Box::leak(Box::new(Slot::new())));
        // ORDER: Relaxed, all: nobody else has it; events that come late
        // count edges, which does no harm.
        for half in [&slot.read, &slot.write] {
            half.drained_at.store(NEVER, Relaxed);
            half.deadline.store(NEVER, Relaxed);
        }
        // ORDER: Relaxed: as above.
        slot.is_hung_up.store(false, Relaxed);
        Self {
            slot,
            first: OnceLock::new(),
            more: Mutex::new(Vec::new()),
            is_shared: AtomicBool::new(false),
        }
    }

    /// Another descriptor names the same open file, so closing this one does
    /// not end the registration.
    pub fn set_shared(&self) {
        // ORDER: Relaxed: read by the drop, which comes after all.
        self.is_shared.store(true, Relaxed);
    }

    /// Calls in this direction fail after `deadline`, also those that wait
    /// already; nanoseconds of `clock::now`, none for never.
    pub fn set_deadline(&self, direction: Direction, deadline: Option<u64>) {
        let half = self.slot.half(direction);
        // ORDER: Release pairs with `wait`.
        half.deadline
            .store(deadline.unwrap_or(NEVER), Release);
        let _woken = half.wake_all(CHANGED);
    }

    /// The deadline of calls in this direction.
    #[must_use]
    pub fn deadline(&self, direction: Direction) -> Option<u64> {
        // ORDER: Acquire pairs with `set_deadline`.
        let deadline = self.slot.half(direction).deadline.load(Acquire);
        (deadline != NEVER).then_some(deadline)
    }

    /// Runs `operation` until it does not say `WouldBlock`, waiting in
    /// between, until `deadline` at most. It is told nothing and tells, beside
    /// its result, whether it has left nothing: then the next call waits
    /// before it tries.
    ///
    /// # Blocking
    /// Parks.
    ///
    /// # Errors
    /// Those of `operation`; `TimedOut` when it is too late; what the system
    /// says against registering `fd`.
    pub fn run<R>(
        &self,
        scheduler: &Scheduler,
        fd: RawFd,
        direction: Direction,
        deadline: Option<u64>,
        mut operation: impl FnMut() -> io::Result<(R, bool)>,
    ) -> io::Result<R> {
        checkpoint();
        let half = self.slot.half(direction);
        loop {
            let seen = half.edges();
            // ORDER: Relaxed: written by a caller of this direction; a stale
            // value costs a try.
            if half.drained_at.load(Relaxed) != seen {
                match operation() {
                    Ok((result, is_drained)) => {
                        // ORDER: Acquire pairs with `Slot::edge`.
                        if is_drained && !self.slot.is_hung_up.load(Acquire) {
                            // ORDER: Relaxed: as above.
                            half.drained_at.store(seen, Relaxed);
                        }
                        return Ok(result);
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => return Err(error),
                }
            }
            self.register(scheduler, fd)?;
            if !half.wait(seen, deadline.unwrap_or(NEVER)) {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
    }

    /// Waits for the next time that it becomes ready, or until `deadline`;
    /// `tried` says that it was not just before.
    ///
    /// # Blocking
    /// Parks.
    ///
    /// # Errors
    /// What the system says against registering `fd`.
    fn register(&self, scheduler: &Scheduler, fd: RawFd) -> io::Result<()> {
        if let Some(first) = self.first.get()
            && first.is_with(scheduler)
        {
            return Ok(());
        }
        self.register_slowly(scheduler, fd)
    }

    #[cold]
    fn register_slowly(&self, scheduler: &Scheduler, fd: RawFd) -> io::Result<()> {
        let mut more = self.more.lock();
        let known = self.first.get().into_iter().chain(more.iter());
        if known.into_iter().any(|one| one.is_with(scheduler)) {
            return Ok(());
        }
        let registration = scheduler.netpoll().register(fd, self.slot)?;
        if let Err(registration) = self.first.set(registration) {
            more.push(registration);
        }
        Ok(())
    }

    /// Ends all registrations; before the descriptor is given to others.
    pub fn deregister(&mut self, fd: RawFd) {
        if let Some(first) = self.first.take() {
            first.end(fd);
        }
        for registration in self.more.lock().drain(..) {
            registration.end(fd);
        }
    }

    /// Before the descriptor is closed.
    pub fn close(&mut self, fd: RawFd) {
        // ORDER: Relaxed: `set_shared` came before.
        if self.is_shared.load(Relaxed) || !self.more.lock().is_empty() {
            self.deregister(fd);
        }
        // Else the system ends the registration as it closes the file.
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
