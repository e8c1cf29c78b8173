//! Waiting for one another, from goroutines and plain OS threads alike.

mod barrier;
mod coming;
#[cfg_attr(not(raddle_model), allow(unsafe_code))]
mod condvar;
mod held;
mod once;
mod raw_mutex;
mod raw_rwlock;
mod runs;
mod semaphore;
mod spin;
mod wait_group;
#[allow(unsafe_code)]
mod wait_queue;

macro_rules! rooms {
    ($($(#[$attribute:meta])* $visibility:vis mod $name:ident;)*) => {
        $(#[cfg(not(raddle_model))] $(#[$attribute])* $visibility mod $name;)*
    };
}

rooms! {
    pub mod errgroup;
    mod lost;
    // Locks of lock_api.
    #[allow(unsafe_code)]
    mod mutex;
    mod notes;
    mod once_func;
    mod once_lock;
    mod pool;
    #[allow(unsafe_code)]
    mod reentrant_mutex;
    #[allow(unsafe_code)]
    mod rwlock;
    mod shared_panic;
    pub mod singleflight;
}

#[cfg(not(raddle_model))]
mod surface {
    pub use super::mutex::{MappedMutexGuard, Mutex, MutexGuard};
    pub use super::once_func::{once_func, once_value};
    pub use super::once_lock::{LazyLock, OnceLock};
    pub use super::pool::Pool;
    pub use super::reentrant_mutex::{
        GoroutineIdentity, RawReentrantMutex, ReentrantMutex, ReentrantMutexGuard,
    };
    pub use super::rwlock::{
        MappedRwLockReadGuard, MappedRwLockWriteGuard, RwLock, RwLockReadGuard,
        RwLockUpgradableReadGuard, RwLockWriteGuard,
    };
}
pub use barrier::{Barrier, BarrierWaitResult};
pub use condvar::{Condvar, WaitTimeoutResult};
pub use once::{Once, OnceState};
pub use raw_mutex::RawMutex;
pub use raw_rwlock::RawRwLock;
pub use semaphore::{Permit, Semaphore};
#[cfg(not(raddle_model))]
pub use surface::*;
pub use wait_group::WaitGroup;

/// A runtime starts that looks for goroutines that wait for each other.
#[cfg(not(raddle_model))]
pub(crate) fn look_for_lock_cycles() {
    notes::begin_for(notes::CYCLES);
}
