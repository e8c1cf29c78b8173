//! The standard streams. Other processes may share them, so they are left as
//! they are, and calls that wait are made where waiting holds up nobody.

use crate::blocking;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::{AsRawFd, RawFd};

/// The standard input; std's, with its buffer.
///
/// # Blocking
/// Never.
///
/// # Go
/// `os.Stdin`.
#[must_use]
pub fn stdin() -> Stdin {
    Stdin(())
}

/// The standard output; std's, with its buffer.
///
/// # Blocking
/// Never.
///
/// # Go
/// `os.Stdout`, which has no buffer.
#[must_use]
pub fn stdout() -> Stdout {
    Stdout(())
}

/// The standard error; std's.
///
/// # Blocking
/// Never.
///
/// # Go
/// `os.Stderr`.
#[must_use]
pub fn stderr() -> Stderr {
    Stderr(())
}

/// The standard input: `std::io::Stdin`, whose calls park.
///
/// Each call goes through [`blocking`](crate::blocking), so read much at a
/// time: lines, or all.
///
/// # Blocking
/// Reading parks the goroutine; on a plain OS thread it blocks the thread. It
/// cannot be called off: a goroutine that reads when its runtime ends is
/// left behind.
///
/// # Examples
/// ```no_run
/// for line in raddle::io::stdin().lines() {
///     raddle::println!("{}", line?.to_uppercase());
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Go
/// `bufio.NewReader(os.Stdin)`.
#[derive(Debug)]
pub struct Stdin(());

impl Stdin {
    /// Whether somebody types there.
    ///
    /// # Blocking
    /// Never.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        io::stdin().is_terminal()
    }

    /// Appends the next line to `buf`, with its end; 0: there is none.
    ///
    /// # Blocking
    /// As a read.
    ///
    /// # Errors
    /// Those of the system; text that is not UTF-8.
    pub fn read_line(&self, buf: &mut String) -> io::Result<usize> {
        blocking(|| io::stdin().read_line(buf))
    }

    /// One line after the other, without their ends.
    ///
    /// # Blocking
    /// `next` parks.
    pub fn lines(self) -> impl Iterator<Item = io::Result<String>> {
        std::iter::from_fn(move || {
            let mut line = String::new();
            match self.read_line(&mut line) {
                Ok(0) => None,
                Ok(_) => {
                    if line.ends_with('\n') {
                        line.pop();
                        if line.ends_with('\r') {
                            line.pop();
                        }
                    }
                    Some(Ok(line))
                }
                Err(error) => Some(Err(error)),
            }
        })
    }
}

impl Read for &Stdin {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        blocking(|| io::stdin().read(buffer))
    }

    fn read_to_end(&mut self, all: &mut Vec<u8>) -> io::Result<usize> {
        blocking(|| io::stdin().read_to_end(all))
    }

    fn read_to_string(&mut self, all: &mut String) -> io::Result<usize> {
        blocking(|| io::stdin().read_to_string(all))
    }
}

impl Read for Stdin {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buffer)
    }

    fn read_to_end(&mut self, all: &mut Vec<u8>) -> io::Result<usize> {
        (&*self).read_to_end(all)
    }

    fn read_to_string(&mut self, all: &mut String) -> io::Result<usize> {
        (&*self).read_to_string(all)
    }
}

impl AsRawFd for Stdin {
    fn as_raw_fd(&self) -> RawFd {
        io::stdin().as_raw_fd()
    }
}

macro_rules! output {
    ($(#[$doc:meta])+ $name:ident, $std:path) => {
        $(#[$doc])+
        ///
        /// Each call goes through [`blocking`](crate::blocking), so write
        /// much at a time: a `std::io::BufWriter` around it pays.
        ///
        /// # Blocking
        /// Writing parks the goroutine; on a plain OS thread it blocks the
        /// thread.
        ///
        /// # Go
        #[doc = concat!("`os.", stringify!($name), "`.")]
        #[derive(Debug)]
        pub struct $name(());

        impl Write for &$name {
            fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
                blocking(|| $std().write(buffer))
            }

            fn write_all(&mut self, buffer: &[u8]) -> io::Result<()> {
                blocking(|| $std().write_all(buffer))
            }

            fn flush(&mut self) -> io::Result<()> {
                blocking(|| $std().flush())
            }
        }

        impl Write for $name {
            fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
                (&*self).write(buffer)
            }

            fn write_all(&mut self, buffer: &[u8]) -> io::Result<()> {
                (&*self).write_all(buffer)
            }

            fn flush(&mut self) -> io::Result<()> {
                (&*self).flush()
            }
        }

        impl $name {
            /// Whether somebody looks at it.
            ///
            /// # Blocking
            /// Never.
            #[must_use]
            pub fn is_terminal(&self) -> bool {
                $std().is_terminal()
            }
        }

        impl AsRawFd for $name {
            fn as_raw_fd(&self) -> RawFd {
                $std().as_raw_fd()
            }
        }
    };
}

output!(
    /// The standard output: `std::io::Stdout`, whose calls park.
    Stdout,
    io::stdout
);
output!(
    /// The standard error: `std::io::Stderr`, whose calls park.
    Stderr,
    io::stderr
);
