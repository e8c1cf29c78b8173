//! Pipes.

use crate::source::Source;
use raddle_scheduler::Direction;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::process::Stdio;
use std::time::Instant;

/// A pipe: what is written into one end is read from the other.
///
/// # Blocking
/// Never; reading and writing park.
///
/// # Errors
/// No descriptors are left.
///
/// # Examples
/// ```
/// use std::io::{Read, Write};
///
/// let (mut reader, mut writer) = raddle::io::pipe()?;
/// let writing = raddle::spawn(move || writer.write_all(b"through"));
/// let mut text = String::new();
/// reader.read_to_string(&mut text)?;
/// assert_eq!(text, "through");
/// writing.join().unwrap()?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Go
/// `os.Pipe`.
pub fn pipe() -> io::Result<(PipeReader, PipeWriter)> {
    let (reader, writer) = io::pipe()?;
    Ok((PipeReader::of_std(reader)?, PipeWriter::of_std(writer)?))
}

macro_rules! end {
    ($end:ident, $direction:ident, $what:literal) => {
        impl $end {
            pub(crate) fn of_std(end: io::$end) -> io::Result<Self> {
                let source = Source::adopt(end)?;
                Ok(Self { source })
            }

            #[doc = concat!("Each ", $what, " ends at `deadline`, with `TimedOut`, also one that")]
            /// waits already, and on all clones. `None`: never.
            ///
            /// # Blocking
            /// Never.
            ///
            /// # Go
            /// `SetDeadline` of `os.File`.
            pub fn set_deadline(&self, deadline: Option<Instant>) {
                self.source.set_deadline(Direction::$direction, deadline);
            }

            /// Another handle to the same end.
            ///
            /// # Blocking
            /// Never.
            ///
            /// # Errors
            /// No descriptor is left.
            pub fn try_clone(&self) -> io::Result<Self> {
                let source = self.source.try_clone(|inner| inner.try_clone())?;
                Ok(Self { source })
            }
        }

        /// For a child process, for which it blocks.
        impl From<$end> for Stdio {
            fn from(end: $end) -> Self {
                io::$end::from(end).into()
            }
        }
    };
}

/// The end of a [`pipe`] that is read from: `std::io::PipeReader`, whose
/// calls park.
///
/// # Blocking
/// Reading parks the goroutine; on a plain OS thread it blocks the thread.
///
/// # Go
/// `os.File`.
pub struct PipeReader {
    pub(crate) source: Source<io::PipeReader>,
}

end!(PipeReader, Read, "read");

/// The end of a [`pipe`] that is written to: `std::io::PipeWriter`, whose
/// calls park.
///
/// # Blocking
/// Writing parks the goroutine; on a plain OS thread it blocks the thread.
///
/// # Go
/// `os.File`.
pub struct PipeWriter {
    pub(crate) source: Source<io::PipeWriter>,
}

end!(PipeWriter, Write, "write");

impl Read for &PipeReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.source.read(buffer)
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.source.read_vectored(buffers)
    }
}

impl Read for PipeReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.source.read(buffer)
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.source.read_vectored(buffers)
    }
}

impl Write for &PipeWriter {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.source.write(buffer)
    }

    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        self.source.write_vectored(buffers)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Write for PipeWriter {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.source.write(buffer)
    }

    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        self.source.write_vectored(buffers)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
