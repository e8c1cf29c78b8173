//! UDP.

use super::addr::{ToSocketAddrs, first_of};
use crate::source::Source;
use raddle_scheduler::Direction;
use std::io;
use std::net::{self, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A UDP socket: `std::net::UdpSocket`, whose calls park.
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
/// use raddle::net::UdpSocket;
///
/// let (a, b) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
/// a.send_to(b"hello", b.local_addr()?)?;
/// let mut buffer = [0; 16];
/// assert_eq!(b.recv_from(&mut buffer)?, (5, a.local_addr()?));
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Go
/// `net.UDPConn`.
pub struct UdpSocket {
    pub(crate) source: Source<net::UdpSocket>,
}

impl UdpSocket {
    pub(crate) fn of_std(socket: net::UdpSocket) -> io::Result<Self> {
        // Its timeouts are kept by the system, which heeds them no more.
        let timeouts = (socket.read_timeout()?, socket.write_timeout()?);
        let source = Source::adopt(socket)?;
        source.set_timeout(Direction::Read, timeouts.0);
        source.set_timeout(Direction::Write, timeouts.1);
        Ok(Self { source })
    }

    /// A socket at the first of the addresses that is free. Port 0 is any.
    ///
    /// # Blocking
    /// Parks while a name is looked up.
    ///
    /// # Errors
    /// That of the last address tried; `InvalidInput` when there is none.
    ///
    /// # Go
    /// `net.ListenUDP`.
    pub fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<Self> {
        first_of(addr, net::UdpSocket::bind).and_then(Self::of_std)
    }

    /// From here on `send` goes to `addr`, and nobody else is received from.
    ///
    /// # Blocking
    /// Parks while a name is looked up.
    ///
    /// # Errors
    /// As `bind`.
    pub fn connect<A: ToSocketAddrs>(&self, addr: A) -> io::Result<()> {
        first_of(addr, |address| self.source.inner().connect(address))
    }

    /// Receives a datagram, and tells whose it is. What does not fit is lost.
    ///
    /// # Blocking
    /// Parks until there is one.
    ///
    /// # Errors
    /// Those of the system.
    pub fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.source
            .run_whole(Direction::Read, |socket| socket.recv_from(buf))
    }

    /// As `recv_from`, and leaves it there.
    ///
    /// # Blocking
    /// As `recv_from`.
    ///
    /// # Errors
    /// As `recv_from`.
    pub fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.source
            .run_whole(Direction::Read, |socket| socket.peek_from(buf))
    }

    /// Sends a datagram to the first address of `addr`.
    ///
    /// # Blocking
    /// Parks until there is room for it, and while a name is looked up.
    ///
    /// # Errors
    /// Those of the system; `InvalidInput` when there is no address.
    pub fn send_to<A: ToSocketAddrs>(&self, buf: &[u8], addr: A) -> io::Result<usize> {
        let Some(address) = addr.to_socket_addrs()?.next() else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "no addresses to send data to",
            ));
        };
        self.source
            .run_whole(Direction::Write, |socket| socket.send_to(buf, address))
    }

    /// As `recv_from`, from the address that it is connected to.
    ///
    /// # Blocking
    /// As `recv_from`.
    ///
    /// # Errors
    /// As `recv_from`.
    pub fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.source
            .run_whole(Direction::Read, |socket| socket.recv(buf))
    }

    /// As `recv`, and leaves it there.
    ///
    /// # Blocking
    /// As `recv_from`.
    ///
    /// # Errors
    /// As `recv_from`.
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.source
            .run_whole(Direction::Read, |socket| socket.peek(buf))
    }

    /// Sends a datagram to the address that it is connected to.
    ///
    /// # Blocking
    /// Parks until there is room for it.
    ///
    /// # Errors
    /// Those of the system.
    pub fn send(&self, buf: &[u8]) -> io::Result<usize> {
        self.source
            .run_whole(Direction::Write, |socket| socket.send(buf))
    }

    system_options! {
        /// The address that it is connected to.
        fn peer_addr(&self) -> SocketAddr;
        /// Its own address.
        fn local_addr(&self) -> SocketAddr;
        /// Whether it may send to all of a network.
        fn set_broadcast(&self, broadcast: bool) -> ();
        /// What `set_broadcast` has set.
        fn broadcast(&self) -> bool;
        /// Whether it hears its own multicasts (IPv4).
        fn set_multicast_loop_v4(&self, multicast_loop_v4: bool) -> ();
        /// What `set_multicast_loop_v4` has set.
        fn multicast_loop_v4(&self) -> bool;
        /// How many hops a multicast may make (IPv4).
        fn set_multicast_ttl_v4(&self, multicast_ttl_v4: u32) -> ();
        /// What `set_multicast_ttl_v4` has set.
        fn multicast_ttl_v4(&self) -> u32;
        /// Whether it hears its own multicasts (IPv6).
        fn set_multicast_loop_v6(&self, multicast_loop_v6: bool) -> ();
        /// What `set_multicast_loop_v6` has set.
        fn multicast_loop_v6(&self) -> bool;
        /// How many hops a packet may make.
        fn set_ttl(&self, ttl: u32) -> ();
        /// What `set_ttl` has set.
        fn ttl(&self) -> u32;
        /// Joins a group of receivers (IPv4).
        fn join_multicast_v4(&self, multiaddr: &Ipv4Addr, interface: &Ipv4Addr) -> ();
        /// Joins a group of receivers (IPv6).
        fn join_multicast_v6(&self, multiaddr: &Ipv6Addr, interface: u32) -> ();
        /// Leaves a group of receivers (IPv4).
        fn leave_multicast_v4(&self, multiaddr: &Ipv4Addr, interface: &Ipv4Addr) -> ();
        /// Leaves a group of receivers (IPv6).
        fn leave_multicast_v6(&self, multiaddr: &Ipv6Addr, interface: u32) -> ();
        /// Takes the error that the system keeps for this socket.
        fn take_error(&self) -> Option<io::Error>;
    }
    nonblocking_option!();
    timeout_options!();
    deadline_options!();
    clone_of!("socket");
}
