//! Sockets whose calls park the goroutine and nothing else: the twins of
//! `std::net`, item by item.
//!
//! ```
//! use raddle::net::{TcpListener, TcpStream};
//! use std::io::{Read, Write};
//!
//! raddle::run(|| {
//!     let listener = TcpListener::bind("127.0.0.1:0")?;
//!     let address = listener.local_addr()?;
//!     let server = raddle::spawn(move || {
//!         let (mut stream, _from) = listener.accept()?;
//!         stream.write_all(b"well met")
//!     });
//!     let mut text = String::new();
//!     TcpStream::connect(address)?.read_to_string(&mut text)?;
//!     assert_eq!(text, "well met");
//!     server.join().unwrap()
//! })?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! Beside what std has:
//!
//! - **Deadlines.** `set_deadline`, `set_read_deadline` and
//!   `set_write_deadline` end calls that wait already, with `TimedOut`.
//!   Timeouts are std's: they hold for each call, and end it with
//!   `WouldBlock`.
//! - **Many goroutines** may wait on one socket, through references or clones.
//! - **Plain OS threads** may use them too: the thread waits then.
//!
//! The system is told not to block on these sockets. `set_nonblocking(true)`
//! shows that to the program, as in std. A socket that is turned into std's
//! blocks again, unless clones of it are left here: then it does not. What is
//! turned into one of these waits, whatever it did before, until
//! `set_nonblocking(true)` is called here. `read` into an empty buffer returns
//! at once.

mod addr;
#[macro_use]
mod options;
mod tcp;
mod udp;
pub mod unix;
mod unix_datagram;

pub use addr::ToSocketAddrs;
pub use std::net::{
    AddrParseError, IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, SocketAddrV4, SocketAddrV6,
};
#[cfg(feature = "hyper")]
pub(crate) use tcp::came_short;
pub use tcp::{Incoming, IntoIncoming, TcpListener, TcpStream};
pub use udp::UdpSocket;
