//! The scheduler's park and std's atomics, or the model checker's in their
//! place; the sole origin of both for this crate.

#[cfg(not(raddle_model))]
mod origin {
    pub(crate) use raddle_scheduler::{
        Bare, Mutex, MutexGuard, Parker, Reason, WOKEN, Wait, checkpoint, checkpoint_as, clock,
        poll_point, random, resume,
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
    pub(crate) use raddle_scheduler::model::{
        AtomicBool, AtomicU64, AtomicUsize, Bare, Mutex, MutexGuard, Parker, Reason, WOKEN, Wait,
        checkpoint, checkpoint_as, clock,
    };
    use std::cell::Cell;
    use std::mem::transmute;

    /// Blocks the threads of a model where others spin.
    #[derive(Default)]
    pub(crate) struct Turn {
        mutex: Box<Mutex<()>>,
        held: Cell<Option<MutexGuard<'static, ()>>>,
    }

    impl Turn {
        pub(crate) fn take(&self) {
            let guard = self.mutex.lock();
            // SAFETY: `held` is dropped or emptied before the box.
            let guard = unsafe { transmute::<MutexGuard<'_, ()>, MutexGuard<'static, ()>>(guard) };
            self.held.set(Some(guard));
        }

        pub(crate) fn give(&self) {
            drop(self.held.take());
        }
    }

    impl std::fmt::Debug for Turn {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("Turn")
        }
    }

    // SAFETY: `held` is used by who holds the mutex.
    unsafe impl Sync for Turn {}
    // SAFETY: as above.
    unsafe impl Send for Turn {}

    pub(crate) fn poll_point() {}

    pub(crate) use std::panic::resume_unwind as resume;

    /// Models try orders, not choices.
    pub(crate) fn random(_bound: usize) -> usize {
        0
    }
}

#[allow(unused_imports, reason = "a model build compiles a part of the rooms")]
pub(crate) use origin::*;
#[allow(unused_imports, reason = "a model build compiles a part of the rooms")]
pub(crate) use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
