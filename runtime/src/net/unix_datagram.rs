//! Datagrams on the local machine.

use super::unix::SocketAddr;
use crate::source::Source;
use raddle_scheduler::Direction;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io;
use std::net::Shutdown;
use std::os::unix::net;
use std::path::Path;

/// A local socket for datagrams: `std::os::unix::net::UnixDatagram`, whose
/// calls park.
///
/// # Blocking
/// Sending and receiving park the goroutine; on a plain OS thread they block
/// the thread.
///
/// # Errors
/// As std's. A call that a timeout ends gives `WouldBlock`, one that a
/// deadline ends `TimedOut`.
///
/// # Examples
/// ```
/// use raddle::net::unix::UnixDatagram;
///
/// let (here, there) = UnixDatagram::pair()?;
/// there.send(b"hello")?;
/// let mut buffer = [0; 16];
/// assert_eq!(here.recv(&mut buffer)?, 5);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Go
/// `net.UnixConn` of the network `unixgram`.
pub struct UnixDatagram {
    pub(crate) source: Source<net::UnixDatagram>,
}

impl UnixDatagram {
    pub(crate) fn of_std(socket: net::UnixDatagram) -> io::Result<Self> {
        // Its timeouts are kept by the system, which heeds them no more.
        let timeouts = (socket.read_timeout()?, socket.write_timeout()?);
        let source = Source::adopt(socket)?;
        source.set_timeout(Direction::Read, timeouts.0);
        source.set_timeout(Direction::Write, timeouts.1);
        Ok(Self { source })
    }

    /// A socket at `path`, which it makes.
    ///
    /// # Blocking
    /// Never for long: the path is made on the spot.
    ///
    /// # Errors
    /// There is something at `path`; it is too long.
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<Self> {
        net::UnixDatagram::bind(path).and_then(Self::of_std)
    }

    /// A socket at `socket_addr`.
    ///
    /// # Blocking
    /// As `bind`.
    ///
    /// # Errors
    /// As `bind`.
    pub fn bind_addr(socket_addr: &SocketAddr) -> io::Result<Self> {
        net::UnixDatagram::bind_addr(socket_addr).and_then(Self::of_std)
    }

    /// A socket without an address.
    ///
    /// # Blocking
    /// Never.
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn unbound() -> io::Result<Self> {
        net::UnixDatagram::unbound().and_then(Self::of_std)
    }

    /// Two sockets that are connected to each other.
    ///
    /// # Blocking
    /// Never.
    ///
    /// # Errors
    /// No descriptors are left.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = net::UnixDatagram::pair()?;
        Ok((Self::of_std(one)?, Self::of_std(other)?))
    }

    /// From here on `send` goes to `path`.
    ///
    /// # Blocking
    /// Never.
    ///
    /// # Errors
    /// Nobody is there.
    pub fn connect<P: AsRef<Path>>(&self, path: P) -> io::Result<()> {
        self.source.inner().connect(path)
    }

    /// From here on `send` goes to `socket_addr`.
    ///
    /// # Blocking
    /// Never.
    ///
    /// # Errors
    /// Nobody is there.
    pub fn connect_addr(&self, socket_addr: &SocketAddr) -> io::Result<()> {
        self.source.inner().connect_addr(socket_addr)
    }

    /// Receives a datagram, and tells whose it is. What does not fit is lost.
    ///
    /// # Blocking
    /// Parks until there is one.
    ///
    /// # Errors
    /// Those of the system.
    pub fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.source.run_whole(Direction::Read, |socket| {
            or_end(socket, socket.recv_from(buf), || {
                Ok((0, SocketAddr::from_pathname("")?))
            })
        })
    }

    /// Receives a datagram. What does not fit is lost.
    ///
    /// # Blocking
    /// Parks until there is one.
    ///
    /// # Errors
    /// Those of the system.
    pub fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.source.run_whole(Direction::Read, |socket| {
            or_end(socket, socket.recv(buf), || Ok(0))
        })
    }

    /// Sends a datagram to `path`.
    ///
    /// # Blocking
    /// Parks while the receiver's queue is full.
    ///
    /// # Errors
    /// Nobody is there.
    pub fn send_to<P: AsRef<Path>>(&self, buf: &[u8], path: P) -> io::Result<usize> {
        let path = path.as_ref();
        self.source
            .run_unheard(Direction::Write, |socket| socket.send_to(buf, path))
    }

    /// Sends a datagram to `socket_addr`.
    ///
    /// # Blocking
    /// As `send_to`.
    ///
    /// # Errors
    /// As `send_to`.
    pub fn send_to_addr(&self, buf: &[u8], socket_addr: &SocketAddr) -> io::Result<usize> {
        self.source
            .run_unheard(Direction::Write, |socket| {
                socket.send_to_addr(buf, socket_addr)
            })
    }

    /// Sends a datagram to where it is connected to.
    ///
    /// # Blocking
    /// As `send_to`.
    ///
    /// # Errors
    /// As `send_to`; `NotConnected`.
    pub fn send(&self, buf: &[u8]) -> io::Result<usize> {
        self.source
            .run_whole(Direction::Write, |socket| socket.send(buf))
    }

    system_options! {
        /// Its own address.
        fn local_addr(&self) -> SocketAddr;
        /// The address that it is connected to.
        fn peer_addr(&self) -> SocketAddr;
        /// Ends receiving, sending or both, for all clones. Calls that wait
        /// return.
        fn shutdown(&self, how: Shutdown) -> ();
        /// Takes the error that the system keeps for this socket.
        fn take_error(&self) -> Option<io::Error>;
    }
    nonblocking_option!();
    timeout_options!();
    deadline_options!();
    clone_of!("socket");
}

/// After a shutdown a call that waits ends with nothing. One that must not
/// wait is told `WouldBlock` all the same, and has to ask.
fn or_end<R>(
    socket: &net::UnixDatagram,
    received: io::Result<R>,
    end: impl FnOnce() -> io::Result<R>,
) -> io::Result<R> {
    match received {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            let mut asked = [PollFd::new(socket, PollFlags::RDHUP)];
            poll(&mut asked, Some(&Timespec::default()))?;
            if asked[0].revents().contains(PollFlags::RDHUP) {
                end()
            } else {
                Err(error)
            }
        }
        received => received,
    }
}
