//! How often another than before had a lock.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

// ORDER: Relaxed everywhere here: counts.

/// Who had it last, and how often that changed.
#[derive(Default)]
pub struct Turns {
    last: AtomicU64,
    changes: AtomicU64,
}

impl Turns {
    /// `who` has it now.
    pub fn note(&self, who: u64) {
        if self.last.swap(who, Relaxed) != who {
            self.changes.fetch_add(1, Relaxed);
        }
    }

    pub fn changes(&self) -> u64 {
        self.changes.load(Relaxed)
    }
}
