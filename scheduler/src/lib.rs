//! raddle's scheduler: who runs, where, when.
//!
//! Programs use the crate `raddle`; this one is what it stands on, and its
//! surface may change with any release.
//!
//! ```text
//! schedule spawn later handoff monitor → find_work → park netpoll → idle
//!   → machine → table processor run_queue injector timers switch
//!   → goroutine → state token switch → stack blocks → shim trace config fatal
//! ```
//!
//! | room | job |
//! |---|---|
//! | `state`, `token`, `join_word` | a goroutine's life as one atomic word; what `park` waits for; who waits for the end |
//! | `goroutine` | identity, home, closure, result, end |
//! | `locals` | a goroutine's own values |
//! | `stack`, `overflow` | slabs, guards, reuse; the report when one runs over |
//! | `blocks` | the memory goroutines lie in |
//! | `switch` | onto a stack and back |
//! | `run_queue`, `next_slot`, `home_queue`, `inbox`, `injector` | where runnable goroutines stand |
//! | `timers`, `clock` | deadlines |
//! | `processor`, `idle` | permits; who sleeps, whom to call |
//! | `table` | machines by number, and who may have something to take |
//! | `machine`, `schedule`, `find_work` | an OS thread, its loop, its search |
//! | `netpoll`, `descriptor`, `edges` | readiness of descriptors, and where one idle machine sleeps; waiting for one |
//! | `park`, `awaited` | waiting, for goroutines and threads; for futures |
//! | `later`, `starting` | goroutines that start at some time; whether one is about to |
//! | `handoff` | calls that block; pins; deep stacks |
//! | `monitor` | rescues what waits behind stuck machines |
//! | `roll` | every goroutine that has begun |
//! | `capture`, `interrupt` | the calls on a goroutine's stack, parked or running |
//! | `stuck_watch`, `stuck`, `schedtrace` | what `RADDLE_DEBUG` prints |
//! | `bell`, `threads` | threads that wait in raddle, and whether they sleep |
//! | `locks` | who waits for the program's locks, and whether in a ring |
//! | `deadlock`, `report` | all asleep: proof and report; lists of goroutines |
//! | `scheduler` | what machines share; start and end |
//! | `config`, `reason`, `trace`, `fatal`, `shim` | what all stand on |
//! | `model` | what models of other crates stand on, under `--cfg raddle_model` |

#![cfg_attr(
    raddle_model,
    allow(dead_code, reason = "a model build compiles a part of the rooms")
)]

// Rooms that hold a protocol compile under the model checker too.
mod bell;
#[allow(unsafe_code)]
mod edges;
mod idle;
#[allow(unsafe_code)]
mod inbox;
#[allow(unsafe_code)]
mod join_word;
#[cfg_attr(all(test, raddle_model), allow(unsafe_code))]
mod next_slot;
mod processor;
mod reason;
mod shim;
mod starting;
#[cfg_attr(all(test, raddle_model), allow(unsafe_code))]
mod state;
mod table;
mod token;

mod fatal;

/// What models of other crates' protocols stand on.
#[cfg(raddle_model)]
#[allow(unsafe_code)]
pub mod model;

macro_rules! rooms {
    ($($(#[$attribute:meta])* $visibility:vis mod $name:ident;)*) => {
        $(#[cfg(not(raddle_model))] $(#[$attribute])* $visibility mod $name;)*
    };
}

rooms! {
    #[allow(unsafe_code)]
    mod ahead;
    mod awaited;
    #[allow(unsafe_code)]
    mod blocks;
    #[allow(unsafe_code)]
    mod capture;
    pub mod clock;
    pub mod config;
    #[allow(unsafe_code)]
    mod deadlock;
    #[allow(unsafe_code)]
    mod descriptor;
    #[allow(unsafe_code)]
    mod find_work;
    #[allow(unsafe_code)]
    mod goroutine;
    #[allow(unsafe_code)]
    mod handoff;
    #[allow(unsafe_code)]
    mod home_queue;
    mod injector;
    #[allow(unsafe_code)]
    mod interrupt;
    #[allow(unsafe_code)]
    mod later;
    #[allow(unsafe_code)]
    mod locals;
    pub mod locks;
    #[allow(unsafe_code)]
    mod machine;
    #[allow(unsafe_code)]
    mod monitor;
    #[allow(unsafe_code)]
    mod netpoll;
    #[allow(unsafe_code)]
    mod overflow;
    mod pace;
    #[allow(unsafe_code)]
    mod park;
    mod report;
    #[allow(unsafe_code)]
    mod roll;
    mod run_queue;
    mod schedtrace;
    #[allow(unsafe_code)]
    mod schedule;
    #[allow(unsafe_code)]
    mod scheduler;
    #[allow(unsafe_code)]
    mod spawn;
    #[allow(unsafe_code)]
    mod stack;
    mod stuck;
    mod stuck_watch;
    #[allow(unsafe_code)]
    mod switch;
    #[allow(unsafe_code)]
    mod threads;
    #[allow(unsafe_code)]
    mod timers;
    mod trace;
}

#[cfg(not(raddle_model))]
mod surface {
    pub use crate::awaited::block_on;
    pub use crate::deadlock::{Expecting, dump, note_main_goexit, num_goroutines_of_all};
    pub use crate::descriptor::{Descriptor, Direction, Watch};
    pub use crate::goroutine::{
        Goexit, Goroutine, GoroutineId, Join, Payload, Shutdown, goexit, is_panic,
        report_caught_panic,
    };
    pub use crate::handoff::{PinGuard, blocking, on_stack_of, pin, with_callers_scheduler};
    pub use crate::later::Later;
    pub use crate::locals::with_local;
    pub use crate::machine::{random, resume};
    pub use crate::park::{Bare, Parker, TIMED_OUT, WOKEN, Wait, current, park, park_timeout};
    pub use crate::reason::Reason;
    pub use crate::report::{Dump, Report};
    pub use crate::schedule::{checkpoint, checkpoint_as, look_point, poll_point, yield_now};
    pub use crate::scheduler::{Runtime, Scheduler, with_current_scheduler};
    pub use crate::shim::{Mutex, MutexGuard};
    pub use crate::spawn::{Options, spawn, spawn_local, spawn_opt};
}
#[cfg(not(raddle_model))]
pub use surface::*;
