//! Channels and select: crossbeam-channel's surface, name by name, with Go's
//! `close`, cases that can be switched off, and [`Chan`].
//!
//! ```
//! use raddle::{chan::unbounded, go};
//!
//! let (sender, receiver) = unbounded();
//! for n in 1..=3 {
//!     let sender = sender.clone();
//!     go!(move || sender.send(n * n).unwrap());
//! }
//! drop(sender);
//! assert_eq!(receiver.iter().sum::<i32>(), 14);
//! ```

pub use raddle_chan::*;
