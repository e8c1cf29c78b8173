//! std, or the model checker in its place; the sole origin of atomics, cells
//! and locks for every protocol of this crate.
//!
//! Under `--cfg raddle_model` the names below are loom's, and only the rooms
//! that hold a protocol are compiled. Rooms with process-wide statics use
//! [`fixed`], which is std in both cases: they stay outside the models.

#[cfg(not(raddle_model))]
#[allow(unused_imports, reason = "some names are used by models alone")]
mod origin {
    pub(crate) use std::sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, fence,
    };
}

#[cfg(raddle_model)]
#[allow(unused_imports, reason = "a model build compiles a part of the rooms")]
mod origin {
    pub(crate) use loom::sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, fence,
    };
}

#[allow(unused_imports, reason = "a model build compiles a part of the rooms")]
pub(crate) use origin::*;
#[allow(unused_imports, reason = "a model build compiles a part of the rooms")]
pub(crate) use std::sync::atomic::Ordering::{self, AcqRel, Acquire, Relaxed, Release, SeqCst};

/// std's own atomics, for statics.
#[allow(unused_imports, reason = "a model build compiles a part of the rooms")]
pub(crate) mod fixed {
    pub(crate) use std::sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, compiler_fence, fence,
    };
}

/// A lock for a few instructions. Nothing of ours panics while holding one,
/// so a poisoned lock is not told apart from a sound one.
#[derive(Debug, Default)]
pub struct Mutex<T>(MutexOrigin<T>);

#[cfg(not(raddle_model))]
type MutexOrigin<T> = std::sync::Mutex<T>;
#[cfg(raddle_model)]
type MutexOrigin<T> = loom::sync::Mutex<T>;
/// Held while it lives.
#[cfg(not(raddle_model))]
pub type MutexGuard<'a, T> = std::sync::MutexGuard<'a, T>;
/// Held while it lives.
#[cfg(raddle_model)]
pub type MutexGuard<'a, T> = loom::sync::MutexGuard<'a, T>;

impl<T> Mutex<T> {
    /// A free lock.
    #[cfg(not(raddle_model))]
    pub const fn new(value: T) -> Self {
        Self(MutexOrigin::new(value))
    }

    /// A free lock.
    #[cfg(raddle_model)]
    pub fn new(value: T) -> Self {
        Self(MutexOrigin::new(value))
    }

    /// Waits for the lock and takes it.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Runs `f` under the model checker, in every order of its threads.
#[cfg(all(test, raddle_model))]
pub(crate) use crate::model::model;
