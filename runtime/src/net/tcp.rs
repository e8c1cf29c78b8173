//! TCP: listeners and streams.

use super::addr::{ToSocketAddrs, first_of};
use crate::source::Source;
use raddle_scheduler::{Direction, clock};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::net::{acceptfrom_with, connect, listen, socket_with, sockopt};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::iter::FusedIterator;
use std::net::{self, Shutdown, SocketAddr};
use std::time::Duration;

/// A TCP connection: `std::net::TcpStream`, whose calls park.
///
/// It may be read and written by many goroutines at once, through references
/// (`&TcpStream` reads and writes too) or clones.
///
/// # Blocking
/// Connecting, reading, writing and peeking park the goroutine; on a plain OS
/// thread they block the thread.
///
/// # Errors
/// As std's. A call that a timeout ends gives `WouldBlock`, one that a
/// deadline ends `TimedOut`.
///
/// # Examples
/// ```
/// use raddle::net::{TcpListener, TcpStream};
/// use std::io::{ErrorKind, Read};
/// use std::time::{Duration, Instant};
///
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let mut stream = TcpStream::connect(listener.local_addr()?)?;
/// stream.set_read_deadline(Some(Instant::now() + Duration::from_millis(5)));
/// let nothing = stream.read(&mut [0; 16]).unwrap_err();
/// assert_eq!(nothing.kind(), ErrorKind::TimedOut);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Go
/// `net.TCPConn`.
pub struct TcpStream {
    pub(crate) source: Source<net::TcpStream>,
}

/// How every socket is made.
pub(super) const FLAGS: SocketFlags = SocketFlags::CLOEXEC.union(SocketFlags::NONBLOCK);

impl TcpStream {
    pub(crate) fn of_std(stream: net::TcpStream) -> io::Result<Self> {
        // Its timeouts are kept by the system, which heeds them no more.
        let timeouts = (stream.read_timeout()?, stream.write_timeout()?);
        let source = Source::adopt(stream)?;
        source.set_timeout(Direction::Read, timeouts.0);
        source.set_timeout(Direction::Write, timeouts.1);
        Ok(Self { source })
    }

    /// Connects to the first of the addresses that answers.
    ///
    /// # Blocking
    /// Parks until the connection stands or fails, and while a name is looked
    /// up.
    ///
    /// # Errors
    /// That of the last address tried; `InvalidInput` when there is none.
    ///
    /// # Go
    /// `net.Dial("tcp", address)`.
    pub fn connect<A: ToSocketAddrs>(addr: A) -> io::Result<Self> {
        first_of(addr, |address| Self::connect_until(&address, None))
    }

    /// Connects to `addr`, in `timeout` at most.
    ///
    /// # Blocking
    /// As `connect`.
    ///
    /// # Errors
    /// `TimedOut`; `InvalidInput` for a timeout of zero.
    ///
    /// # Go
    /// `net.DialTimeout`.
    pub fn connect_timeout(addr: &SocketAddr, timeout: Duration) -> io::Result<Self> {
        if timeout.is_zero() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "cannot set a 0 duration timeout",
            ));
        }
        Self::connect_until(addr, Some(clock::after(timeout))).map_err(|error| {
            if error.kind() == io::ErrorKind::TimedOut && error.raw_os_error().is_none() {
                io::Error::new(io::ErrorKind::TimedOut, "connection timed out")
            } else {
                error
            }
        })
    }

    fn connect_until(address: &SocketAddr, deadline: Option<u64>) -> io::Result<Self> {
        let family = match address {
            SocketAddr::V4(_) => AddressFamily::INET,
            SocketAddr::V6(_) => AddressFamily::INET6,
        };
        let socket = socket_with(family, SocketType::STREAM, FLAGS, None)?;
        let begun = connect(&socket, address);
        let source = Source::new(net::TcpStream::from(socket));
        match begun {
            Ok(()) => {}
            Err(Errno::INPROGRESS | Errno::INTR) => {
                source.run_until(Direction::Write, deadline, is_connected)?;
            }
            Err(error) => return Err(error.into()),
        }
        Ok(Self { source })
    }

    system_options! {
        /// The address of the other end.
        fn peer_addr(&self) -> SocketAddr;
        /// The address of this end.
        fn local_addr(&self) -> SocketAddr;
        /// Ends reading, writing or both, for all clones. Calls that wait
        /// return.
        fn shutdown(&self, how: Shutdown) -> ();
        /// Whether small packets are sent without delay.
        fn set_nodelay(&self, nodelay: bool) -> ();
        /// What `set_nodelay` has set.
        fn nodelay(&self) -> bool;
        /// How many hops a packet may make.
        fn set_ttl(&self, ttl: u32) -> ();
        /// What `set_ttl` has set.
        fn ttl(&self) -> u32;
        /// Takes the error that the system keeps for this socket.
        fn take_error(&self) -> Option<io::Error>;
    }
    nonblocking_option!();
    timeout_options!();
    deadline_options!();
    clone_of!("connection");

    /// How long the system goes on sending what is left when the last handle
    /// is dropped, whole seconds; zero resets the connection; `None`: as long
    /// as it takes, and the drop does not wait for it.
    ///
    /// # Blocking
    /// Never. But with a time above zero the drop blocks its thread so long
    /// at most.
    ///
    /// # Errors
    /// Those of the system.
    ///
    /// # Go
    /// `SetLinger`.
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        Ok(sockopt::set_socket_linger(self.source.inner(), linger)?)
    }

    /// What `set_linger` has set.
    ///
    /// # Blocking
    /// Never.
    ///
    /// # Errors
    /// Those of the system.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        Ok(sockopt::socket_linger(self.source.inner())?)
    }

    /// Whether what is received is acknowledged at once; the system may
    /// change that again. std has it in `std::os::linux::net::TcpStreamExt`.
    ///
    /// # Blocking
    /// Never.
    ///
    /// # Errors
    /// Those of the system.
    pub fn set_quickack(&self, quickack: bool) -> io::Result<()> {
        Ok(sockopt::set_tcp_quickack(self.source.inner(), quickack)?)
    }

    /// Whether what is received is acknowledged at once.
    ///
    /// # Blocking
    /// Never.
    ///
    /// # Errors
    /// Those of the system.
    pub fn quickack(&self) -> io::Result<bool> {
        Ok(sockopt::tcp_quickack(self.source.inner())?)
    }

    /// Reads what is there, and leaves it there.
    ///
    /// # Blocking
    /// As a read.
    ///
    /// # Errors
    /// As a read.
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        self.source
            .run_whole(Direction::Read, |stream| stream.peek(buf))
    }

    fn read_some(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = buffer.len();
        if room == 0 {
            return Ok(0);
        }
        self.source.run(Direction::Read, |mut stream| {
            let read = stream.read(buffer)?;
            Ok((read, came_short(read, room)))
        })
    }

    fn read_some_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.source.read_vectored(buffers)
    }

    fn write_some(&self, buffer: &[u8]) -> io::Result<usize> {
        self.source.run(Direction::Write, |mut stream| {
            let written = stream.write(buffer)?;
            Ok((written, came_short(written, buffer.len())))
        })
    }

    fn write_some_vectored(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        self.source.write_vectored(buffers)
    }
}

stream_traits!(TcpStream);

/// Whether a call has left nothing: the end, and what is beyond a system
/// call's own limit, are no such signs.
pub(crate) fn came_short(done: usize, asked: usize) -> bool {
    const LIMIT: usize = 1 << 30;
    0 < done && done < asked.min(LIMIT)
}

fn is_connected(stream: &net::TcpStream) -> io::Result<((), bool)> {
    if let Some(error) = stream.take_error()? {
        return Err(error);
    }
    match stream.peer_addr() {
        Ok(_) => Ok(((), false)),
        Err(error) if error.kind() == io::ErrorKind::NotConnected => {
            Err(io::ErrorKind::WouldBlock.into())
        }
        Err(error) => Err(error),
    }
}

/// A TCP socket that listens: `std::net::TcpListener`, whose calls park.
///
/// # Blocking
/// `accept` and `incoming` park the goroutine; on a plain OS thread they
/// block the thread. Many goroutines may accept from one listener.
///
/// # Errors
/// As std's. When no descriptor is left `accept` says so, at once and as
/// often as it is called; the connection waits.
///
/// # Examples
/// ```no_run
/// use raddle::{go, net::TcpListener};
/// use std::io;
///
/// #[raddle::main]
/// fn main() -> io::Result<()> {
///     for stream in TcpListener::bind("127.0.0.1:7000")?.incoming() {
///         let stream = stream?;
///         go!(move || io::copy(&mut &stream, &mut &stream));
///     }
///     Ok(())
/// }
/// ```
///
/// # Go
/// `net.TCPListener`.
pub struct TcpListener {
    pub(crate) source: Source<net::TcpListener>,
}

/// What the system cuts down to what it allows. Who finds the queue full tries
/// again after a second: 128 places are 25 ms of 5,000 connections a second.
const QUEUE: i32 = 4096;

impl TcpListener {
    pub(crate) fn of_std(listener: net::TcpListener) -> io::Result<Self> {
        let source = Source::adopt(listener)?;
        Ok(Self { source })
    }

    /// Listens at the first of the addresses that is free. Port 0 is any.
    /// Connections wait to be accepted in a queue as long as the system allows,
    /// as in Go; std's has 128 places.
    ///
    /// # Blocking
    /// Parks while a name is looked up.
    ///
    /// # Errors
    /// That of the last address tried; `InvalidInput` when there is none.
    ///
    /// # Go
    /// `net.Listen("tcp", address)`.
    pub fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<Self> {
        let listener = first_of(addr, net::TcpListener::bind)?;
        listen(&listener, QUEUE)?;
        Self::of_std(listener)
    }

    /// Takes the next connection, and tells where it comes from.
    ///
    /// # Blocking
    /// Parks until there is one.
    ///
    /// # Errors
    /// Those of the system, also of a connection that ended before it was
    /// taken: it pays to go on after an error.
    pub fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let accepted = self.source.run_whole(Direction::Read, |listener| {
            Ok(acceptfrom_with(listener, FLAGS)?)
        });
        let (socket, from) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => return Err(after_a_turn(error)),
        };
        let stream = net::TcpStream::from(socket);
        let from = match from.map(SocketAddr::try_from) {
            Some(Ok(from)) => from,
            _ => stream.peer_addr()?,
        };
        let source = Source::new(stream);
        Ok((TcpStream { source }, from))
    }

    /// Takes one connection after the other, without end.
    ///
    /// # Blocking
    /// `next` parks, as `accept`.
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming { listener: self }
    }

    /// As `incoming`, and keeps the listener.
    ///
    /// # Blocking
    /// `next` parks, as `accept`.
    pub fn into_incoming(self) -> IntoIncoming {
        IntoIncoming { listener: self }
    }

    system_options! {
        /// The address at which it listens.
        fn local_addr(&self) -> SocketAddr;
        /// How many hops a packet of its connections may make.
        fn set_ttl(&self, ttl: u32) -> ();
        /// What `set_ttl` has set.
        fn ttl(&self) -> u32;
        /// Takes the error that the system keeps for this socket.
        fn take_error(&self) -> Option<io::Error>;
    }
    nonblocking_option!();
    accept_deadline!();
    clone_of!("listener");
}

/// The connections of a listener that belongs to them.
///
/// # Blocking
/// `next` parks.
///
/// # Go
/// None: a loop around `Accept`.
#[derive(Debug)]
pub struct IntoIncoming {
    listener: TcpListener,
}

impl Iterator for IntoIncoming {
    type Item = io::Result<TcpStream>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.listener.accept().map(|(stream, _from)| stream))
    }
}

impl FusedIterator for IntoIncoming {}

/// A loop that goes on after an error (no descriptor is left) lets those run
/// who might end it.
pub(super) fn after_a_turn(error: io::Error) -> io::Error {
    if error.kind() != io::ErrorKind::WouldBlock {
        crate::yield_now();
    }
    error
}

/// The connections of a [`TcpListener`].
///
/// # Blocking
/// `next` parks.
///
/// # Go
/// None: a loop of `Accept`.
#[derive(Debug)]
pub struct Incoming<'a> {
    listener: &'a TcpListener,
}

impl Iterator for Incoming<'_> {
    type Item = io::Result<TcpStream>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.listener.accept().map(|(stream, _from)| stream))
    }
}

impl FusedIterator for Incoming<'_> {}
