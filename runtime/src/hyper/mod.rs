//! What hyper 1.x asks of a runtime: [`Executor`], [`Timer`] and, around a
//! stream, [`Io`]. With the feature `hyper`.
//!
//! hyper's futures are polled by goroutines: one for each connection, by
//! [`block_on`](crate::block_on), and one for each future that hyper spawns, by [`Executor`].
//! Such a goroutine parks while its future waits. A service may block
//! wherever it likes, on a channel, a lock or a socket: with HTTP/1 its own
//! connection waits, and nobody else; with HTTP/2 each request has a
//! goroutine.
//!
//! ```ignore
//! use hyper::server::conn::http1;
//! use raddle::block_on;
//! use raddle::hyper::{Io, Timer};
//! use raddle::{go, net::TcpListener};
//!
//! for stream in TcpListener::bind("127.0.0.1:8080")?.incoming() {
//!     let connection = http1::Builder::new()
//!         .timer(Timer)
//!         .serve_connection(Io::new(stream?), service);
//!     go!(move || block_on(connection));
//! }
//! ```
//!
//! The whole of it, compiled and tested: `examples/ecosystem/`.

mod executor;
mod io;
mod timer;

pub use executor::Executor;
pub use io::{Io, Stream};
pub use timer::{Sleep, Timer};
