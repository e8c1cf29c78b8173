//! Those who have been let in and have not run since.
//!
//! Where a lock is kept for a moment only, all who use it may come to stand in
//! line: whoever runs finds it given to others, who do not run, and lines up
//! behind them. Each turn is a park and a wake then, and nothing ends it. So
//! who finds such holders lets them run before it lines up: they are in and
//! out again, do the same, and the line is gone.

#[cfg(not(raddle_model))]
pub(crate) use counted::{Coming, Luck, let_them_run, others};
#[cfg(raddle_model)]
pub(crate) use unseen::{Coming, Luck, let_them_run, others};

#[cfg(not(raddle_model))]
mod counted {
    use crate::shim::{AtomicU16, Relaxed};
    use raddle_scheduler::{Scheduler, with_current_scheduler, yield_now};

    /// How many they are: a hint, for those who would wait. It is small, and
    /// wrong where they are more than it can count.
    #[derive(Debug)]
    pub(crate) struct Coming(AtomicU16);

    impl Coming {
        pub(crate) const fn new() -> Self {
            Self(AtomicU16::new(0))
        }

        /// Before they are woken.
        pub(crate) fn let_in(&self, more: u32) {
            // ORDER: Relaxed, here and below: nothing is done for this number
            // but to look once more.
            self.0.fetch_add(more as u16, Relaxed);
        }

        /// One of them runs.
        pub(crate) fn has_come(&self) {
            // ORDER: Relaxed: as above.
            self.0.fetch_sub(1, Relaxed);
        }

        /// Whether nobody else is in, of so many who are; or nobody who need
        /// be in for long: `others` may be running now.
        pub(crate) fn are_all_of(&self, holders: u32, others: usize) -> bool {
            // ORDER: Relaxed: as above.
            let coming = self.0.load(Relaxed);
            coming > 0 && usize::from(coming) + others >= holders as usize
        }
    }

    /// How many can run beside the caller.
    pub(crate) fn others() -> usize {
        with_current_scheduler(|it| it.map_or(1, Scheduler::max_procs)) - 1
    }

    /// Whether to let others run has been of use of late. If not, nobody does
    /// for `PAUSE` times.
    #[derive(Debug)]
    pub(crate) struct Luck(AtomicU16);

    /// So often in a row it may have been in vain.
    const VAIN_MOST: u16 = 8;
    /// So often nobody tries then.
    const PAUSE: u16 = 1000;

    impl Luck {
        pub(crate) const fn new() -> Self {
            Self(AtomicU16::new(0))
        }

        /// Whether it is worth a try.
        pub(crate) fn is_with_us(&self) -> bool {
            // ORDER: Relaxed, all of these: a hint, and who counts at the same
            // moment may count as one.
            let vain = self.0.load(Relaxed);
            if vain < VAIN_MOST {
                return true;
            }
            self.0.store((vain + 1) % (VAIN_MOST + PAUSE), Relaxed);
            false
        }

        /// It was tried, and was of use or not.
        pub(crate) fn was(&self, good: bool) -> bool {
            // ORDER: Relaxed: as above.
            let vain = self.0.load(Relaxed);
            if good && vain > 0 {
                self.0.store(0, Relaxed);
            } else if !good && vain < VAIN_MOST {
                self.0.store(vain + 1, Relaxed);
            }
            good
        }
    }

    /// Those who wait for a turn on the caller's machine get it, once. The
    /// caller stands in no line, so nobody waits for it. It may unwind, as any
    /// call that parks.
    pub(crate) fn let_them_run() {
        if with_current_scheduler(|current| current.is_some()) {
            yield_now();
        }
    }
}

/// In a model others have run as long as they were to.
#[cfg(raddle_model)]
mod unseen {
    #[derive(Debug)]
    pub(crate) struct Coming;

    impl Coming {
        pub(crate) const fn new() -> Self {
            Self
        }

        pub(crate) fn let_in(&self, _more: u32) {}

        pub(crate) fn has_come(&self) {}

        pub(crate) fn are_all_of(&self, _holders: u32, _others: usize) -> bool {
            true
        }
    }

    #[derive(Debug)]
    pub(crate) struct Luck;

    impl Luck {
        pub(crate) const fn new() -> Self {
            Self
        }

        pub(crate) fn is_with_us(&self) -> bool {
            true
        }

        pub(crate) fn was(&self, good: bool) -> bool {
            good
        }
    }

    pub(crate) fn others() -> usize {
        0
    }

    pub(crate) fn let_them_run() {}
}
