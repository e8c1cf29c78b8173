//! A process that runs.

use crate::blocking;
use crate::io::{PipeReader, PipeWriter};
use crate::source::Source;
use raddle_scheduler::Direction;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::process::{self, ExitStatus, Output, Stdio};

/// A process that was started: `std::process::Child`, whose calls park.
/// Dropping it lets the process run on, and after its end linger until this
/// one ends, as in std.
///
/// # Blocking
/// `wait` and `wait_with_output` park the goroutine; on a plain OS thread
/// they block the thread.
///
/// # Errors
/// As std's.
///
/// # Examples
/// ```
/// use raddle::process::{Command, Stdio};
/// use std::io::Write;
///
/// let mut child = Command::new("cat")
///     .stdin(Stdio::piped())
///     .stdout(Stdio::piped())
///     .spawn()?;
/// child.stdin.take().unwrap().write_all(b"meow")?;
/// assert_eq!(child.wait_with_output()?.stdout, b"meow");
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Go
/// `exec.Cmd` after `Start`.
#[derive(Debug)]
pub struct Child {
    /// What it reads, if that is a pipe from here.
    pub stdin: Option<ChildStdin>,
    /// What it writes, if that is a pipe to here.
    pub stdout: Option<ChildStdout>,
    /// The errors it writes, if that is a pipe to here.
    pub stderr: Option<ChildStderr>,
    inner: process::Child,
}

impl Child {
    pub(super) fn of_std(mut inner: process::Child) -> io::Result<Self> {
        let reader = |fd: OwnedFd| PipeReader::of_std(fd.into());
        let stdin = inner.stdin.take().map(OwnedFd::from);
        let stdin = stdin.map(|fd| PipeWriter::of_std(fd.into()));
        let stdout = inner.stdout.take().map(OwnedFd::from).map(reader);
        let stderr = inner.stderr.take().map(OwnedFd::from).map(reader);
        Ok(Self {
            stdin: stdin.transpose()?.map(ChildStdin),
            stdout: stdout.transpose()?.map(ChildStdout),
            stderr: stderr.transpose()?.map(ChildStderr),
            inner,
        })
    }

    /// The system's number for it.
    ///
    /// # Blocking
    /// Never.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.inner.id()
    }

    /// Ends it, if it has not ended.
    ///
    /// # Blocking
    /// Never.
    ///
    /// # Errors
    /// Those of the system.
    pub fn kill(&mut self) -> io::Result<()> {
        self.inner.kill()
    }

    /// How it has ended, if it has.
    ///
    /// # Blocking
    /// Never.
    ///
    /// # Errors
    /// Those of the system.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        let ended = self.inner.try_wait()?;
        if ended.is_none() {
            // It may be asked again and again, and wait for others here.
            raddle_scheduler::poll_point();
        }
        Ok(ended)
    }

    /// Waits for its end. What it reads is closed first, if it is here.
    ///
    /// # Blocking
    /// Parks until it has ended.
    ///
    /// # Errors
    /// Those of the system.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        drop(self.stdin.take());
        if let Some(status) = self.inner.try_wait()? {
            return Ok(status);
        }
        let inner = &mut self.inner;
        match handle_to(inner.id()) {
            Some(handle) => handle.run_whole(Direction::Read, |_| {
                inner
                    .try_wait()?
                    .ok_or_else(|| io::ErrorKind::WouldBlock.into())
            }),
            None => blocking(|| inner.wait()),
        }
    }

    /// Reads all that it writes, and waits for its end.
    ///
    /// # Blocking
    /// Parks until it has ended and nobody else writes there.
    ///
    /// # Errors
    /// Those of the system.
    pub fn wait_with_output(mut self) -> io::Result<Output> {
        drop(self.stdin.take());
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        match (self.stdout.take(), self.stderr.take()) {
            (None, None) => {}
            (Some(mut out), None) => drop(out.read_to_end(&mut stdout)?),
            (None, Some(mut err)) => drop(err.read_to_end(&mut stderr)?),
            // Both at once, or it might wait for us to read the other.
            (Some(mut out), Some(mut err)) => {
                let errors = &mut stderr;
                let read = crate::scope(|scope| {
                    let reads_errors = scope.spawn(move || err.read_to_end(errors));
                    let read = out.read_to_end(&mut stdout);
                    match reads_errors.join() {
                        Ok(read_errors) => read.and(read_errors),
                        Err(panic) => std::panic::resume_unwind(panic),
                    }
                });
                read?;
            }
        }
        let status = self.wait()?;
        Ok(Output {
            status,
            stdout,
            stderr,
        })
    }
}

/// A descriptor that becomes ready when the process ends, where the system
/// has such. The process is a child that was not waited for, so its number
/// is its own.
fn handle_to(id: u32) -> Option<Source<OwnedFd>> {
    let id = Pid::from_raw(i32::try_from(id).ok()?)?;
    let handle = pidfd_open(id, PidfdFlags::NONBLOCK).ok()?;
    Some(Source::new(handle))
}

macro_rules! reader {
    ($(#[$doc:meta])+ $name:ident, $go:literal) => {
        $(#[$doc])+
        ///
        /// # Blocking
        /// Reading parks the goroutine; on a plain OS thread it blocks the
        /// thread.
        ///
        /// # Go
        #[doc = $go]
        #[derive(Debug)]
        pub struct $name(PipeReader);

        impl Read for $name {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.0.read(buffer)
            }

            fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
                self.0.read_vectored(buffers)
            }
        }

        conversions!($name, PipeReader);
    };
}

macro_rules! conversions {
    ($name:ident, $pipe:ty) => {
        /// For another process, for which it blocks.
        impl From<$name> for Stdio {
            fn from(end: $name) -> Self {
                end.0.into()
            }
        }

        impl From<$name> for $pipe {
            fn from(end: $name) -> Self {
                end.0
            }
        }

        impl From<$name> for OwnedFd {
            fn from(end: $name) -> Self {
                end.0.into()
            }
        }

        impl From<OwnedFd> for $name {
            fn from(fd: OwnedFd) -> Self {
                Self(fd.into())
            }
        }

        impl IntoRawFd for $name {
            fn into_raw_fd(self) -> RawFd {
                self.0.into_raw_fd()
            }
        }

        impl AsFd for $name {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.0.as_fd()
            }
        }

        impl AsRawFd for $name {
            fn as_raw_fd(&self) -> RawFd {
                self.0.as_raw_fd()
            }
        }
    };
}

reader!(
    /// What a process writes.
    ChildStdout,
    "What `exec.Cmd.StdoutPipe` returns."
);
reader!(
    /// The errors a process writes.
    ChildStderr,
    "What `exec.Cmd.StderrPipe` returns."
);

/// What a process reads.
///
/// # Blocking
/// Writing parks the goroutine; on a plain OS thread it blocks the thread.
///
/// # Go
/// What `exec.Cmd.StdinPipe` returns.
#[derive(Debug)]
pub struct ChildStdin(PipeWriter);

impl Write for &ChildStdin {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        (&self.0).write(buffer)
    }

    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        (&self.0).write_vectored(buffers)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Write for ChildStdin {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0.write(buffer)
    }

    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.write_vectored(buffers)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

conversions!(ChildStdin, PipeWriter);
