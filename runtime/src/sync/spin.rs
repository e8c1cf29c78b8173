//! A look or two at a lock before its waiter parks.

/// Rounds, of 1, 2, 4, .. pauses each.
///
/// On two processors, 8 goroutines: with 0 and 2 rounds a lock around one
/// addition costs 5.7 and 6.3 ns a turn, with 5 rounds 15. But where 1 us is
/// spent with the lock and 1 us without, 0 rounds let one machine do all (2.0
/// us a turn), 2 rounds now and then (1.1 to 1.8); 5 rounds never (1.1).
#[cfg(not(raddle_model))]
const ROUNDS: u32 = 5;

/// How long one call has watched a lock that others hold.
#[derive(Debug)]
pub(crate) struct Spin {
    round: u32,
}

impl Spin {
    pub(crate) fn new() -> Self {
        Self { round: 0 }
    }

    /// Waits a moment, up to half a microsecond in all. `false`: it is time
    /// to park, or the holder cannot be running now.
    #[inline]
    pub(crate) fn once(&mut self) -> bool {
        self.once_for(|| 1)
    }

    /// As `once`, for so many holders: not all run, if they are more than can
    /// run beside the caller.
    #[cfg(not(raddle_model))]
    pub(crate) fn once_for(&mut self, holders: impl FnOnce() -> u32) -> bool {
        if self.round == ROUNDS || !can_run(holders()) {
            return false;
        }
        for _ in 0..1_u32 << self.round {
            std::hint::spin_loop();
        }
        self.round += 1;
        true
    }

    /// In a model others have run as long as they were to.
    #[cfg(raddle_model)]
    pub(crate) fn once_for(&mut self, _holders: impl FnOnce() -> u32) -> bool {
        let _none = self.round;
        false
    }
}

/// Holders that do not run, however many may.
pub(crate) const WAITING: u32 = u32::MAX;

/// Whether so many can run beside the caller: goroutines of its runtime, or
/// threads.
#[cfg(not(raddle_model))]
pub(crate) fn can_run(holders: u32) -> bool {
    use crate::runtime::num_cpus;
    use raddle_scheduler::with_current_scheduler;
    use std::sync::OnceLock;

    static CPUS: OnceLock<usize> = OnceLock::new();

    let holders = holders as usize;
    *CPUS.get_or_init(num_cpus) > holders
        && with_current_scheduler(|current| current.is_none_or(|it| it.max_procs() > holders))
}
