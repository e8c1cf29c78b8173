//! Waiting for one another, from goroutines and plain OS threads alike.

mod raw_mutex;
mod spin;
mod wait_group;
#[allow(unsafe_code)]
mod wait_queue;

#[cfg(not(raddle_model))]
#[allow(unsafe_code)]
mod mutex;

#[cfg(not(raddle_model))]
pub use mutex::{MappedMutexGuard, Mutex, MutexGuard};
pub use raw_mutex::RawMutex;
pub use wait_group::WaitGroup;
