//! std and the scheduler, or the model checker in their place; the sole
//! origin of atomics, cells, locks and parks for every protocol of this
//! crate.
//!
//! Under `--cfg raddle_model` the names below are the checker's and only the
//! rooms that hold a protocol are compiled, as in the scheduler.

#[cfg(not(raddle_model))]
mod origin {
    pub(crate) use raddle_scheduler::{
        Mutex, MutexGuard, Reason, WOKEN, Wait, checkpoint, clock, look_point,
    };
    pub(crate) use std::cell::Cell;
    pub(crate) use std::sync::atomic::{AtomicIsize, AtomicU16, AtomicU32};
}

#[cfg(raddle_model)]
mod origin {
    pub(crate) use raddle_scheduler::model::loom::cell::Cell;
    #[cfg(test)]
    pub(crate) use raddle_scheduler::model::model;
    pub(crate) use raddle_scheduler::model::{
        AtomicIsize, AtomicU32, Mutex, MutexGuard, Reason, WOKEN, Wait, checkpoint, clock,
    };

    pub(crate) fn look_point() {}
}

pub(crate) use origin::*;

/// The answer to a look, which may be one of many in a loop: a no gives way
/// there.
#[inline]
pub(crate) fn or_look(answer: bool) -> bool {
    if !answer {
        look_point();
    }
    answer
}

pub(crate) use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
