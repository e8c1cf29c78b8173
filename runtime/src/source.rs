//! A descriptor whose calls park: what sockets, pipes and processes share.

use crate::start::try_default_scheduler;
use raddle_scheduler::{Descriptor, Direction, clock};
use rustix::io::{Errno, ioctl_fionbio};
use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// One descriptor of an open file. It never blocks; its calls wait for the
/// file to be ready.
///
/// Invariants
/// 1. `inner` is closed before `family` may go: fields are dropped in order.
pub(crate) struct Source<T> {
    inner: T,
    family: Arc<Family>,
}

/// What the descriptors of one open file have in common: clones wait at one
/// place, and options set on one hold for all, as in the system.
struct Family {
    descriptor: Descriptor,
    /// Of each call, nanoseconds; `NONE` for ever.
    read_timeout: AtomicU64,
    write_timeout: AtomicU64,
    /// Calls do not wait: the user has asked for that.
    shows_would_block: AtomicBool,
}

const NONE: u64 = u64::MAX;

impl Family {
    fn timeout(&self, direction: Direction) -> &AtomicU64 {
        match direction {
            Direction::Read => &self.read_timeout,
            Direction::Write => &self.write_timeout,
        }
    }
}

impl<T: AsFd> Source<T> {
    /// Of `inner`, which does not block and which nobody else waits for.
    pub(crate) fn new(inner: T) -> Self {
        Self {
            inner,
            family: Arc::new(Family {
                descriptor: Descriptor::new(),
                read_timeout: AtomicU64::new(NONE),
                write_timeout: AtomicU64::new(NONE),
                shows_would_block: AtomicBool::new(false),
            }),
        }
    }

    /// Of `inner`, which may block as yet.
    pub(crate) fn adopt(inner: T) -> io::Result<Self> {
        ioctl_fionbio(&inner, true)?;
        Ok(Self::new(inner))
    }

    /// Another descriptor of the same open file.
    pub(crate) fn try_clone(&self, clone: impl FnOnce(&T) -> io::Result<T>) -> io::Result<Self> {
        Ok(Self {
            inner: clone(&self.inner)?,
            family: self.family.clone(),
        })
    }

    pub(crate) fn inner(&self) -> &T {
        &self.inner
    }

    /// Gives the descriptor up, as the user has set it: it blocks again,
    /// unless clones of it are here still.
    pub(crate) fn into_inner(self) -> T {
        let Self { inner, mut family } = self;
        if let Some(family) = Arc::get_mut(&mut family) {
            family.descriptor.deregister(inner.as_fd().as_raw_fd());
            if !*family.shows_would_block.get_mut() {
                // It fails for what is no open file: then nothing blocks.
                let _closed = ioctl_fionbio(&inner, false);
            }
        }
        inner
    }

    pub(crate) fn set_nonblocking(&self, shows_would_block: bool) {
        // ORDER: Relaxed: calls that run meanwhile see either.
        self.family
            .shows_would_block
            .store(shows_would_block, Relaxed);
    }

    /// Calls in `direction` take so long at most.
    pub(crate) fn set_timeout(&self, direction: Direction, timeout: Option<Duration>) {
        let nanos = timeout.map_or(NONE, |timeout| {
            u64::try_from(timeout.as_nanos()).unwrap_or(NONE)
        });
        // ORDER: Relaxed: as `set_nonblocking`.
        self.family.timeout(direction).store(nanos, Relaxed);
    }

    /// Calls in `direction` end at `deadline`, those too that wait already.
    pub(crate) fn set_deadline(&self, direction: Direction, deadline: Option<Instant>) {
        let deadline = deadline.map(clock::at);
        self.family.descriptor.set_deadline(direction, deadline);
    }

    /// Runs `operation` until it would not block. Beside its result it tells
    /// whether it has left nothing, for sure.
    ///
    /// A timeout is `WouldBlock`, as in std; a deadline is `TimedOut`.
    pub(crate) fn run<R>(
        &self,
        direction: Direction,
        mut operation: impl FnMut(&T) -> io::Result<(R, bool)>,
    ) -> io::Result<R> {
        if self.shows_would_block() {
            return after_poll(operation(&self.inner).map(|(result, _)| result));
        }
        match self.end_of_call(direction) {
            None => self.run_until(direction, None, operation),
            end => {
                let result = self.run_until(direction, end, operation);
                result.map_err(|error| self.as_timeout(direction, error))
            }
        }
    }

    /// As `run`, where the system does not always tell that it would not
    /// block any more: it is asked, in pauses that grow.
    pub(crate) fn run_unheard<R>(
        &self,
        direction: Direction,
        mut operation: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        const LEAST: u64 = 50_000;
        const MOST: u64 = 5_000_000;
        if self.shows_would_block() {
            return after_poll(operation(&self.inner));
        }
        let end = self.end_of_call(direction).unwrap_or(NONE);
        let mut pause = LEAST;
        loop {
            let next = clock::now() + pause;
            let result = self.run_until(direction, Some(next.min(end)), |inner| {
                Ok((operation(inner)?, false))
            });
            match result {
                Err(error) if self.is_timeout(direction, &error) && next < end => {
                    pause = (pause * 2).min(MOST);
                }
                result => return result.map_err(|error| self.as_timeout(direction, error)),
            }
        }
    }

    fn shows_would_block(&self) -> bool {
        // ORDER: Relaxed: as `set_nonblocking`.
        self.family.shows_would_block.load(Relaxed)
    }

    /// When a call that begins now ends by its timeout.
    fn end_of_call(&self, direction: Direction) -> Option<u64> {
        // ORDER: Relaxed: as `set_nonblocking`.
        let timeout = self.family.timeout(direction).load(Relaxed);
        (timeout != NONE).then(|| clock::now().saturating_add(timeout))
    }

    /// Whether it is no error of the system's, nor the deadline's end.
    fn is_timeout(&self, direction: Direction, error: &io::Error) -> bool {
        error.kind() == io::ErrorKind::TimedOut
            && error.raw_os_error().is_none()
            && !self.family.descriptor.is_late(direction)
    }

    fn as_timeout(&self, direction: Direction, error: io::Error) -> io::Error {
        if self.is_timeout(direction, &error) {
            Errno::AGAIN.into()
        } else {
            error
        }
    }

    /// As `run`, until `deadline` at most, whatever the user has set.
    pub(crate) fn run_until<R>(
        &self,
        direction: Direction,
        deadline: Option<u64>,
        mut operation: impl FnMut(&T) -> io::Result<(R, bool)>,
    ) -> io::Result<R> {
        let fd = self.inner.as_fd().as_raw_fd();
        self.family
            .descriptor
            .run(try_default_scheduler, fd, direction, deadline, || {
                operation(&self.inner)
            })
    }

    /// As `run`, for operations after which there may always be more:
    /// datagrams, connections.
    pub(crate) fn run_whole<R>(
        &self,
        direction: Direction,
        mut operation: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        self.run(direction, |inner| Ok((operation(inner)?, false)))
    }
}

/// Futures, which are polled again when the file is ready.
#[cfg(feature = "hyper")]
mod polled {
    use super::{Family, Source};
    use crate::start::try_default_scheduler;
    use crate::time::Alarm;
    use raddle_scheduler::{Direction, Watch};
    use std::io;
    use std::os::fd::{AsFd, AsRawFd};
    use std::sync::Arc;
    use std::task::{Poll, Waker};

    /// What one future waits with at a source.
    pub(crate) struct Watcher {
        watch: Watch,
        /// For the deadlines of the source, which call nobody.
        read_alarm: Alarm,
        write_alarm: Alarm,
        family: Arc<Family>,
    }

    impl<T: AsFd> Source<T> {
        pub(crate) fn watcher(&self) -> Watcher {
            Watcher {
                watch: Watch::new(),
                read_alarm: Alarm::new(),
                write_alarm: Alarm::new(),
                family: self.family.clone(),
            }
        }

        /// As `run`; where that would park, `waker` is called later. Timeouts
        /// are for calls: there is none here. Deadlines hold.
        pub(crate) fn poll<R>(
            &self,
            watcher: &mut Watcher,
            direction: Direction,
            waker: &Waker,
            mut operation: impl FnMut(&T) -> io::Result<(R, bool)>,
        ) -> Poll<io::Result<R>> {
            debug_assert!(Arc::ptr_eq(&self.family, &watcher.family), "another's");
            let descriptor = &self.family.descriptor;
            let fd = self.inner.as_fd().as_raw_fd();
            let watch = &mut watcher.watch;
            loop {
                let polled = descriptor.poll(try_default_scheduler, fd, direction, watch, waker, || {
                    operation(&self.inner)
                });
                let alarm = match direction {
                    Direction::Read => &mut watcher.read_alarm,
                    Direction::Write => &mut watcher.write_alarm,
                };
                // A change after the poll has called the waker already.
                let is_late = polled.is_pending()
                    && descriptor
                        .deadline(direction)
                        .is_some_and(|deadline| alarm.is_past(deadline, waker));
                if !is_late {
                    return polled;
                }
            }
        }
    }

    impl Drop for Watcher {
        fn drop(&mut self) {
            self.family.descriptor.forget(&mut self.watch);
        }
    }
}

#[cfg(feature = "hyper")]
pub(crate) use polled::Watcher;

impl<T: AsFd> Source<T>
where
    for<'a> &'a T: Read,
{
    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        self.run_whole(Direction::Read, |mut inner| inner.read(buffer))
    }

    pub(crate) fn read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        if buffers.iter().all(|buffer| buffer.is_empty()) {
            return Ok(0);
        }
        self.run_whole(Direction::Read, |mut inner| inner.read_vectored(buffers))
    }
}

impl<T: AsFd> Source<T>
where
    for<'a> &'a T: Write,
{
    pub(crate) fn write(&self, buffer: &[u8]) -> io::Result<usize> {
        self.run_whole(Direction::Write, |mut inner| inner.write(buffer))
    }

    pub(crate) fn write_vectored(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        self.run_whole(Direction::Write, |mut inner| inner.write_vectored(buffers))
    }
}

/// A program may ask again and again: those at home here may have to run
/// before there is anything.
fn after_poll<R>(result: io::Result<R>) -> io::Result<R> {
    if result
        .as_ref()
        .is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    {
        raddle_scheduler::poll_point();
    }
    result
}

/// As what it is made of.
impl<T: fmt::Debug> fmt::Debug for Source<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
