//! Addresses, and names that are looked up.

use std::io;
use std::iter;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::option;
use std::slice;
use std::vec;

/// What can be turned into addresses: `std::net::ToSocketAddrs`, but a name
/// is looked up without holding up other goroutines.
///
/// # Blocking
/// Looking a name up goes through [`blocking`](crate::blocking). Addresses,
/// also those written as text, never block.
///
/// # Errors
/// A name that cannot be found; text that is no name with a port.
///
/// # Examples
/// ```
/// use raddle::net::ToSocketAddrs;
///
/// let address = "[::1]:80".to_socket_addrs()?.next().unwrap();
/// assert!(address.is_ipv6());
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Go
/// What `net.Dial` does with its address.
pub trait ToSocketAddrs {
    /// Addresses, best first.
    type Iter: Iterator<Item = SocketAddr>;

    /// All addresses that this stands for.
    ///
    /// # Blocking
    /// Parks while a name is looked up.
    ///
    /// # Errors
    /// It stands for none.
    fn to_socket_addrs(&self) -> io::Result<Self::Iter>;
}

macro_rules! literals {
    ($($literal:ty),*) => {$(
        impl ToSocketAddrs for $literal {
            type Iter = option::IntoIter<SocketAddr>;

            fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
                Ok(Some(SocketAddr::from(*self)).into_iter())
            }
        }
    )*};
}

literals!(
    SocketAddr,
    SocketAddrV4,
    SocketAddrV6,
    (IpAddr, u16),
    (Ipv4Addr, u16),
    (Ipv6Addr, u16)
);

impl ToSocketAddrs for (&str, u16) {
    type Iter = vec::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        let (host, port) = *self;
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, port)].into_iter());
        }
        crate::blocking(|| std::net::ToSocketAddrs::to_socket_addrs(&(host, port)))
    }
}

impl ToSocketAddrs for (String, u16) {
    type Iter = vec::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        ToSocketAddrs::to_socket_addrs(&(self.0.as_str(), self.1))
    }
}

impl ToSocketAddrs for str {
    type Iter = vec::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        if let Ok(address) = self.parse() {
            return Ok(vec![address].into_iter());
        }
        crate::blocking(|| std::net::ToSocketAddrs::to_socket_addrs(self))
    }
}

impl ToSocketAddrs for String {
    type Iter = vec::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        ToSocketAddrs::to_socket_addrs(self.as_str())
    }
}

impl<'a> ToSocketAddrs for &'a [SocketAddr] {
    type Iter = iter::Cloned<slice::Iter<'a, SocketAddr>>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        Ok(self.iter().cloned())
    }
}

impl<T: ToSocketAddrs + ?Sized> ToSocketAddrs for &T {
    type Iter = T::Iter;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        (**self).to_socket_addrs()
    }
}

/// What `attempt` makes of the first address with which it succeeds; else its
/// last error.
pub(super) fn first_of<R>(
    addresses: impl ToSocketAddrs,
    attempt: impl Fn(SocketAddr) -> io::Result<R>,
) -> io::Result<R> {
    let mut last = None;
    for address in addresses.to_socket_addrs()? {
        match attempt(address) {
            Ok(result) => return Ok(result),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            "could not resolve to any addresses",
        )
    }))
}
