//! std and the scheduler, or the model checker in their place; the sole
//! origin of atomics, cells, locks and parks for every protocol of this
//! crate.
//!
//! Under `--cfg raddle_model` the names below are the checker's and only the
//! rooms that hold a protocol are compiled, as in the scheduler.

#[cfg(not(raddle_model))]
mod origin {
    pub(crate) use raddle_scheduler::{Reason, WOKEN, Wait, checkpoint, clock};
    pub(crate) use std::cell::Cell;
    pub(crate) use std::sync::MutexGuard;
    pub(crate) use std::sync::atomic::{AtomicIsize, AtomicU32};

    /// A lock for a few instructions. Nothing of ours panics while holding
    /// one, so a poisoned lock is not told apart from a sound one.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(std::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(std::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
        }
    }
}

#[cfg(raddle_model)]
mod origin {
    pub(crate) use raddle_scheduler::model::loom::cell::Cell;
    #[cfg(test)]
    pub(crate) use raddle_scheduler::model::model;
    pub(crate) use raddle_scheduler::model::{
        AtomicIsize, AtomicU32, Mutex, MutexGuard, Reason, WOKEN, Wait, checkpoint, clock,
    };
}

pub(crate) use origin::*;
pub(crate) use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
