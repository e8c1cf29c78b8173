//! What the programs share that are measured side by side: all but the
//! workloads.
//!
//! | module | job |
//! |---|---|
//! | `program` | the command line, the choice of a workload, the JSON line |
//! | `measure` | a timed region, what came of it, percentiles |
//! | `process` | CPU time, memory, threads and CPUs of this process and of others |
//! | `serve` | what servers say, and the messages they serve |
//! | `ticker` | a task that should wake every millisecond, and how late it was |
//! | `work` | what tasks compute |
//!
//! A program is a table of [`Workload`]s, each a function from a [`Case`] to
//! an [`Outcome`].

pub mod measure;
#[allow(unsafe_code, reason = "calls into libc")]
pub mod process;
pub mod program;
pub mod serve;
pub mod ticker;
pub mod work;

pub use measure::{Outcome, Region};
pub use program::{Case, NoOptions, Workload};

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
