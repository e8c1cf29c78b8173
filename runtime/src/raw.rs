//! From and into descriptors and std's types. The room for the unsafe that
//! `FromRawFd` asks for.

use crate::fs::File;
use crate::io::{PipeReader, PipeWriter};
use crate::net::unix::{UnixDatagram, UnixListener, UnixStream};
use crate::net::{TcpListener, TcpStream, UdpSocket};
use std::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};

macro_rules! conversions {
    ($($socket:ident = $std:ty;)*) => {$(
        /// Waits from here on, whatever it did before.
        ///
        /// # Blocking
        /// Never.
        ///
        /// # Panics
        /// When it is not an open descriptor.
        impl From<$std> for $socket {
            fn from(socket: $std) -> Self {
                match Self::of_std(socket) {
                    Ok(socket) => socket,
                    Err(error) => panic!("not an open descriptor: {error}"),
                }
            }
        }

        /// Blocks from here on, unless `set_nonblocking(true)` was called or
        /// clones of it are left.
        impl From<$socket> for $std {
            fn from(socket: $socket) -> Self {
                socket.source.into_inner()
            }
        }

        impl From<OwnedFd> for $socket {
            fn from(fd: OwnedFd) -> Self {
                <$std>::from(fd).into()
            }
        }

        impl From<$socket> for OwnedFd {
            fn from(socket: $socket) -> Self {
                <$std>::from(socket).into()
            }
        }

        impl AsFd for $socket {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.source.inner().as_fd()
            }
        }

        impl AsRawFd for $socket {
            fn as_raw_fd(&self) -> RawFd {
                self.source.inner().as_raw_fd()
            }
        }

        impl FromRawFd for $socket {
            unsafe fn from_raw_fd(fd: RawFd) -> Self {
                // SAFETY: the caller's promise: it is open, and ours.
                unsafe { <$std>::from_raw_fd(fd) }.into()
            }
        }

        impl IntoRawFd for $socket {
            fn into_raw_fd(self) -> RawFd {
                <$std>::from(self).into_raw_fd()
            }
        }

        /// As std's.
        impl fmt::Debug for $socket {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.source.fmt(f)
            }
        }
    )*};
}

conversions! {
    File = std::fs::File;
    PipeReader = std::io::PipeReader;
    PipeWriter = std::io::PipeWriter;
    TcpListener = std::net::TcpListener;
    TcpStream = std::net::TcpStream;
    UdpSocket = std::net::UdpSocket;
    UnixDatagram = std::os::unix::net::UnixDatagram;
    UnixListener = std::os::unix::net::UnixListener;
    UnixStream = std::os::unix::net::UnixStream;
}
