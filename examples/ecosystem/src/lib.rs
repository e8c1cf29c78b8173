//! What the programs of this package share: a server that ends when it is
//! told to, and plain HTTP/1.1 over any stream.

pub mod http;
pub mod server;

// The pieces of the page are compiled here.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/ecosystem.md")]
mod page {}
