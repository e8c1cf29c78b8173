//! Go's concurrency for Rust: goroutines on a work-stealing scheduler, and
//! code that blocks without blocking a thread. No `async`.
//!
//! ```
//! use raddle::{go, sync::WaitGroup};
//!
//! raddle::run(|| {
//!     let group = WaitGroup::new();
//!     for name in ["dog", "cat", "fish"] {
//!         group.go(move || raddle::println!("{name}"));
//!     }
//!     let sum = go!(u64::wrapping_add(40, 2));
//!     assert_eq!(sum.join().unwrap(), 42);
//!     group.wait();
//! });
//! ```
//!
//! | you want | you use | Go's |
//! |---|---|---|
//! | to start a goroutine | [`go!`], [`spawn`], [`Builder`] | `go f(x)` |
//! | its result | [`JoinHandle::join`] | a channel |
//! | goroutines that borrow | [`scope`] | |
//! | to wait for many | [`sync::WaitGroup`] | `sync.WaitGroup` |
//! | to sleep | [`time::sleep`] | `time.Sleep` |
//! | a call that blocks its thread | [`blocking`] | any system call |
//! | `main` as a goroutine | [`#[raddle::main]`](main) | `func main` |
//! | a test that cannot hang | [`#[raddle::test]`](macro@test) | `go test -timeout` |
//! | a runtime of one's own | [`runtime::Builder`] | |
//! | to see who waits for what | [`observe::dump`] | `runtime.Stack` |
//!
//! All of it works from plain OS threads too: the first use starts the
//! default runtime, tuned by `RADDLE_MAXPROCS` and its kin (see [`runtime`]).
//!
//! **Sound by default.** A goroutine that has begun stays on its OS thread
//! (it has a *home*), so code that keeps an `Rc` or a reference into a
//! thread-local across a wait is safe. `#[raddle::main(unsafe(migrate))]`
//! gives that up for Go's scheduling, where goroutines move.

// Rooms that hand closures with borrows to the scheduler.
#[allow(unsafe_code)]
mod go;
mod goroutine_local;
mod print;
#[allow(unsafe_code)]
mod start;
mod testing;

pub mod chan {
    //! Channels and select: crossbeam-channel's surface, name by name, with
    //! Go's `close`, cases that can be switched off, and [`Chan`].
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
}

pub mod observe;
pub mod runtime;
pub mod sync;
pub mod time;

pub use go::{
    Builder, JoinHandle, Scope, ScopedJoinHandle, on_big_stack, scope, spawn, spawn_local,
};
pub use goroutine_local::{AccessError, LocalKey};
pub use raddle_chan::{select, select_biased};
pub use raddle_macros::{go, main, test};
pub use raddle_scheduler::{
    Goexit, Goroutine, GoroutineId, PinGuard, Shutdown, blocking, current, goexit, park,
    park_timeout, pin, yield_now,
};
pub use start::run;

/// What the macros expand to.
#[doc(hidden)]
pub mod __private {
    pub use crate::start::{main, main_migrate};
    pub use crate::testing::{TestOptions, test, test_migrate};
    pub use std::{eprint, format, print};
}
