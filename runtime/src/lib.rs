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
//! | a lock | [`sync::Mutex`] | `sync.Mutex` |
//! | to sleep | [`time::sleep`] | `time.Sleep` |
//! | a timer, a ticker | [`time::Timer`], [`time::Ticker`] | `time.NewTimer`, `time.NewTicker` |
//! | to cancel, to set a deadline | [`context::Context`] | `context.Context` |
//! | sockets, pipes | [`net`], [`io`] | `net`, `os.Pipe` |
//! | files, processes, signals | [`fs`], [`process`], [`signal`] | `os`, `os/exec`, `os/signal` |
//! | hyper | `raddle::hyper`, with the feature `hyper` | |
//! | a call that blocks its thread | [`blocking`] | any system call |
//! | `main` as a goroutine | [`#[raddle::main]`](main) | `func main` |
//! | a test that cannot hang or leak | [`#[raddle::test]`](macro@test) | `go test -timeout` |
//! | a runtime of one's own | [`runtime::Builder`] | |
//! | to wait for a future | [`block_on`] | |
//! | a future of a handle, a send, a receive | [`JoinHandle`], [`send_async`], [`recv_async`] | |
//! | to see who waits for what | [`observe::dump`] | `runtime.Stack` |
//! | to see who was left behind | [`observe::verify_no_leaks`] | |
//!
//! [`send_async`]: chan::Sender::send_async
//! [`recv_async`]: chan::Receiver::recv_async
//!
//! All of it works from plain OS threads too: the first use starts the
//! default runtime, tuned by `RADDLE_MAXPROCS` and its kin (see [`runtime`]).
//!
//! **Sound by default.** A goroutine that has begun stays on its OS thread
//! (it has a *home*), so code that keeps an `Rc` or a reference into a
//! thread-local across a wait is safe. `#[raddle::main(unsafe(migrate))]`
//! gives that up for Go's scheduling, where goroutines move.

#![cfg_attr(
    raddle_model,
    allow(dead_code, reason = "a model build compiles a part of the rooms")
)]

// Rooms that hold a protocol compile under the model checker too.
mod roster;
mod shim;
pub mod sync;

macro_rules! rooms {
    ($($(#[$attribute:meta])* $visibility:vis mod $name:ident;)*) => {
        $(#[cfg(not(raddle_model))] $(#[$attribute])* $visibility mod $name;)*
    };
}

rooms! {
    pub mod chan;
    pub mod context;
    pub mod fs;
    // Hands closures with borrows to the scheduler.
    #[allow(unsafe_code)]
    mod go;
    mod goroutine_local;
    // Reads into memory that nobody has written yet.
    #[allow(unsafe_code)]
    #[cfg(feature = "hyper")]
    pub mod hyper;
    pub mod io;
    pub mod net;
    pub mod observe;
    mod print;
    pub mod process;
    // Descriptors by number are unsafe to take.
    #[allow(unsafe_code)]
    mod raw;
    pub mod runtime;
    pub mod signal;
    mod source;
    // As `go`.
    #[allow(unsafe_code)]
    mod start;
    mod testing;
    pub mod time;
}

#[cfg(not(raddle_model))]
mod surface {
    pub use crate::go::{
        Builder, JoinHandle, Scope, ScopedJoinHandle, on_big_stack, scope, spawn, spawn_local,
    };
    pub use crate::goroutine_local::{AccessError, LocalKey};
    pub use crate::start::run;
    pub use raddle_chan::{select, select_biased};
    pub use raddle_macros::{go, main, test};
    #[cfg(feature = "futures")]
    pub use raddle_scheduler::block_on;
    pub use raddle_scheduler::{
        Goexit, Goroutine, GoroutineId, PinGuard, Shutdown, blocking, current, goexit, park,
        park_timeout, pin, yield_now,
    };
}
#[cfg(not(raddle_model))]
pub use surface::*;

// The programs of the guide, compiled and run by `cargo test --doc`.
#[cfg(doctest)]
mod guide;

/// What the macros expand to.
#[cfg(not(raddle_model))]
#[doc(hidden)]
pub mod __private {
    pub use crate::start::{main, main_migrate};
    pub use crate::testing::{TestOptions, test, test_migrate};
    pub use raddle_scheduler::locks::rings_found;
    pub use std::process::ExitCode;
    pub use std::{eprint, format, print};
}
