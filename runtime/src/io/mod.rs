//! Pipes and the standard streams, whose calls park the goroutine and
//! nothing else: the twins of what `std::io` has of them.

mod pipe;
mod standard;

pub use pipe::{PipeReader, PipeWriter, pipe};
pub use standard::{Stderr, Stdin, Stdout, stderr, stdin, stdout};
