//! Sockets of the local machine: the twins of `std::os::unix::net`.
//!
//! ```
//! use raddle::net::unix::UnixStream;
//! use std::io::{Read, Write};
//!
//! raddle::run(|| {
//!     let (mut here, mut there) = UnixStream::pair()?;
//!     let writer = raddle::spawn(move || there.write_all(b"near"));
//!     let mut text = String::new();
//!     here.read_to_string(&mut text)?;
//!     assert_eq!(text, "near");
//!     writer.join().unwrap()
//! })?;
//! # Ok::<(), std::io::Error>(())
//! ```

pub use super::unix_datagram::UnixDatagram;
pub use std::os::unix::net::SocketAddr;

use crate::source::Source;
use raddle_scheduler::Direction;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, connect, socket_with};
use std::io::{self, IoSlice, IoSliceMut};
use std::iter::FusedIterator;
use std::net::Shutdown;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net;
use std::path::Path;

/// A connection on this machine: `std::os::unix::net::UnixStream`, whose
/// calls park.
///
/// # Blocking
/// Connecting, reading and writing park the goroutine; on a plain OS thread
/// they block the thread.
///
/// # Errors
/// As std's. A call that a timeout ends gives `WouldBlock`, one that a
/// deadline ends `TimedOut`.
///
/// # Go
/// `net.UnixConn`.
pub struct UnixStream {
    pub(crate) source: Source<net::UnixStream>,
}

impl UnixStream {
    pub(crate) fn of_std(stream: net::UnixStream) -> io::Result<Self> {
        // Its timeouts are kept by the system, which heeds them no more.
        let timeouts = (stream.read_timeout()?, stream.write_timeout()?);
        let source = Source::adopt(stream)?;
        source.set_timeout(Direction::Read, timeouts.0);
        source.set_timeout(Direction::Write, timeouts.1);
        Ok(Self { source })
    }

    /// Connects to the listener at `path`.
    ///
    /// # Blocking
    /// Parks while the listener's queue is full.
    ///
    /// # Errors
    /// Nobody listens there; the path is too long.
    ///
    /// # Go
    /// `net.Dial("unix", path)`.
    pub fn connect<P: AsRef<Path>>(path: P) -> io::Result<Self> {
        Self::connect_addr(&SocketAddr::from_pathname(path)?)
    }

    /// Connects to the listener at `socket_addr`.
    ///
    /// # Blocking
    /// As `connect`.
    ///
    /// # Errors
    /// As `connect`.
    pub fn connect_addr(socket_addr: &SocketAddr) -> io::Result<Self> {
        let socket = socket_with(
            AddressFamily::UNIX,
            SocketType::STREAM,
            super::tcp::FLAGS,
            None,
        )?;
        match connect(&socket, &raw_addr(socket_addr)?) {
            Ok(()) => Ok(Self {
                source: Source::new(socket.into()),
            }),
            // Its queue is full, and the system does not tell when it is not.
            Err(Errno::AGAIN) => {
                let stream = crate::blocking(|| net::UnixStream::connect_addr(socket_addr))?;
                Self::of_std(stream)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Two ends of one connection.
    ///
    /// # Blocking
    /// Never.
    ///
    /// # Errors
    /// No descriptors are left.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = net::UnixStream::pair()?;
        Ok((Self::of_std(one)?, Self::of_std(other)?))
    }

    system_options! {
        /// The address of this end.
        fn local_addr(&self) -> SocketAddr;
        /// The address of the other end.
        fn peer_addr(&self) -> SocketAddr;
        /// Ends reading, writing or both, for all clones. Calls that wait
        /// return.
        fn shutdown(&self, how: Shutdown) -> ();
        /// Takes the error that the system keeps for this socket.
        fn take_error(&self) -> Option<io::Error>;
    }
    nonblocking_option!();
    timeout_options!();
    deadline_options!();
    clone_of!("connection");

    fn read_some(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.source.read(buffer)
    }

    fn read_some_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.source.read_vectored(buffers)
    }

    fn write_some(&self, buffer: &[u8]) -> io::Result<usize> {
        self.source.write(buffer)
    }

    fn write_some_vectored(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        self.source.write_vectored(buffers)
    }
}

stream_traits!(UnixStream);

fn raw_addr(address: &SocketAddr) -> io::Result<SocketAddrUnix> {
    if let Some(path) = address.as_pathname() {
        return Ok(SocketAddrUnix::new(path)?);
    }
    match address.as_abstract_name() {
        Some(name) => Ok(SocketAddrUnix::new_abstract_name(name)?),
        // Nobody has no name.
        None => Err(Errno::INVAL.into()),
    }
}

/// A local socket that listens: `std::os::unix::net::UnixListener`, whose
/// calls park.
///
/// # Blocking
/// `accept` and `incoming` park the goroutine; on a plain OS thread they
/// block the thread.
///
/// # Errors
/// As std's.
///
/// # Examples
/// ```
/// use raddle::net::unix::{UnixListener, UnixStream};
///
/// let path = std::env::temp_dir().join(format!("raddle-doc-{}", std::process::id()));
/// let listener = UnixListener::bind(&path)?;
/// let client = raddle::spawn({
///     let path = path.clone();
///     move || UnixStream::connect(path)
/// });
/// let (_stream, _from) = listener.accept()?;
/// client.join().unwrap()?;
/// std::fs::remove_file(path)?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Go
/// `net.UnixListener`, which removes the path when it is closed; this does
/// not.
pub struct UnixListener {
    pub(crate) source: Source<net::UnixListener>,
}

impl UnixListener {
    pub(crate) fn of_std(listener: net::UnixListener) -> io::Result<Self> {
        let source = Source::adopt(listener)?;
        Ok(Self { source })
    }

    /// Listens at `path`, which it makes.
    ///
    /// # Blocking
    /// Never for long: the path is made on the spot.
    ///
    /// # Errors
    /// There is something at `path`; it is too long.
    ///
    /// # Go
    /// `net.Listen("unix", path)`.
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<Self> {
        net::UnixListener::bind(path).and_then(Self::of_std)
    }

    /// Listens at `socket_addr`.
    ///
    /// # Blocking
    /// As `bind`.
    ///
    /// # Errors
    /// As `bind`.
    pub fn bind_addr(socket_addr: &SocketAddr) -> io::Result<Self> {
        net::UnixListener::bind_addr(socket_addr).and_then(Self::of_std)
    }

    /// Takes the next connection, and tells where it comes from.
    ///
    /// # Blocking
    /// Parks until there is one.
    ///
    /// # Errors
    /// Those of the system: it pays to go on after one.
    pub fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        let accepted = self
            .source
            .run_whole(Direction::Read, net::UnixListener::accept);
        match accepted {
            Ok((stream, from)) => {
                let source = Source::adopt(stream)?;
                Ok((UnixStream { source }, from))
            }
            Err(error) => Err(super::tcp::after_a_turn(error)),
        }
    }

    /// Takes one connection after the other, without end.
    ///
    /// # Blocking
    /// `next` parks, as `accept`.
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming { listener: self }
    }

    system_options! {
        /// The address at which it listens.
        fn local_addr(&self) -> SocketAddr;
        /// Takes the error that the system keeps for this socket.
        fn take_error(&self) -> Option<io::Error>;
    }
    nonblocking_option!();
    accept_deadline!();
    clone_of!("listener");
}

/// The connections of a [`UnixListener`].
///
/// # Blocking
/// `next` parks.
///
/// # Go
/// None: a loop of `Accept`.
#[derive(Debug)]
pub struct Incoming<'a> {
    listener: &'a UnixListener,
}

impl Iterator for Incoming<'_> {
    type Item = io::Result<UnixStream>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.listener.accept().map(|(stream, _from)| stream))
    }
}

impl FusedIterator for Incoming<'_> {}

impl<'a> IntoIterator for &'a UnixListener {
    type Item = io::Result<UnixStream>;
    type IntoIter = Incoming<'a>;

    fn into_iter(self) -> Incoming<'a> {
        self.incoming()
    }
}
