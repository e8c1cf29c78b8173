//! The scheduler's park and std's atomics, or the model checker's in their
//! place; the sole origin of both for this crate.

#[cfg(not(raddle_model))]
mod origin {
    pub(crate) use raddle_scheduler::{
        Reason, WOKEN, Wait, checkpoint, clock, poll_point, random,
    };
    pub(crate) use std::hint::spin_loop;
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
    pub(crate) use std::thread::yield_now as yield_thread;

    pub(crate) fn sleep_thread() {
        std::thread::sleep(std::time::Duration::from_micros(50));
    }
}

#[cfg(raddle_model)]
mod origin {
    pub(crate) use raddle_scheduler::model::loom::hint::spin_loop;
    pub(crate) use raddle_scheduler::model::loom::sync::atomic::{
        AtomicBool, AtomicU64, AtomicUsize,
    };
    pub(crate) use raddle_scheduler::model::loom::thread::yield_now as yield_thread;
    pub(crate) use raddle_scheduler::model::{
        Reason, WOKEN, Wait, checkpoint, clock, poll_point, random,
    };

    pub(crate) fn sleep_thread() {
        yield_thread();
    }
}

pub(crate) use origin::*;
pub(crate) use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
