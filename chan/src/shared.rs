//! A channel owned by its ends, which are counted side by side.

use crate::channel::{Channel, NO_RECEIVERS, NO_SENDERS};
use crate::shim::{AcqRel, AtomicBool, AtomicUsize, Relaxed};
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

pub(crate) const SENDERS: bool = false;
pub(crate) const RECEIVERS: bool = true;

/// Invariants
/// 1. `senders` and `receivers` count the handles; a count that has come to 0
///    stays there, as only a handle makes another.
/// 2. Whose count comes to 0 disconnects its side, then swaps `is_half_gone`:
///    the second to do so frees all of it.
#[repr(C)]
struct Counted<T> {
    channel: Channel<T>,
    senders: AtomicUsize,
    receivers: AtomicUsize,
    is_half_gone: AtomicBool,
}

/// One handle of the side `SIDE`.
pub(crate) struct Shared<T, const SIDE: bool>(NonNull<Counted<T>>);

// SAFETY: a counted reference to a Channel, which is Sync for such T; the
// messages are dropped by whoever comes last.
unsafe impl<T: Send, const SIDE: bool> Send for Shared<T, SIDE> {}
// SAFETY: as above.
unsafe impl<T: Send, const SIDE: bool> Sync for Shared<T, SIDE> {}

/// The first handle of each side.
pub(crate) fn pair<T>(channel: Channel<T>) -> (Shared<T, SENDERS>, Shared<T, RECEIVERS>) {
    let counted = Box::new(Counted {
        channel,
        senders: AtomicUsize::new(1),
        receivers: AtomicUsize::new(1),
        is_half_gone: AtomicBool::new(false),
    });
    let counted = NonNull::from(Box::leak(counted));
    (Shared(counted), Shared(counted))
}

impl<T, const SIDE: bool> Shared<T, SIDE> {
    #[inline]
    fn counted(&self) -> &Counted<T> {
        // SAFETY: invariant 2: our side is not gone while we are here.
        unsafe { self.0.as_ref() }
    }

    #[inline]
    pub(crate) fn channel(&self) -> &Channel<T> {
        &self.counted().channel
    }

    fn count(&self) -> &AtomicUsize {
        match SIDE {
            SENDERS => &self.counted().senders,
            RECEIVERS => &self.counted().receivers,
        }
    }
}

impl<T> Shared<T, SENDERS> {
    /// Whether there are receivers but one.
    pub(crate) fn has_other_receivers(&self) -> bool {
        // ORDER: Relaxed: whoever has the one sees no new ones come but from
        // others there are.
        self.counted().receivers.load(Relaxed) > 1
    }

    /// Goes without disconnecting, if it is the last: receivers wait on.
    pub(crate) fn abandon(self) {
        let this = ManuallyDrop::new(self);
        // ORDER: AcqRel: as in `drop`.
        if this.count().fetch_sub(1, AcqRel) == 1 {
            drop(Free(this.0));
        }
    }
}

impl<T, const SIDE: bool> Clone for Shared<T, SIDE> {
    fn clone(&self) -> Self {
        // ORDER: Relaxed: ours keeps the count above 0.
        let count = self.count().fetch_add(1, Relaxed);
        if count > isize::MAX as usize {
            // As std's Arc: a program that forgets so many clones is wrong.
            std::process::abort();
        }
        Self(self.0)
    }
}

impl<T, const SIDE: bool> Drop for Shared<T, SIDE> {
    fn drop(&mut self) {
        // ORDER: AcqRel: what other handles did comes before the end.
        if self.count().fetch_sub(1, AcqRel) != 1 {
            return;
        }
        // Freed even if a message's destructor panics.
        let free = Free(self.0);
        let _is_new = self.channel().close(match SIDE {
            SENDERS => NO_SENDERS,
            RECEIVERS => NO_RECEIVERS,
        });
        drop(free);
    }
}

/// One side is gone.
struct Free<T>(NonNull<Counted<T>>);

impl<T> Drop for Free<T> {
    fn drop(&mut self) {
        // SAFETY: freed below by the second side alone, and we are one.
        let counted = unsafe { self.0.as_ref() };
        // ORDER: AcqRel: the first side's last use comes before the free.
        if counted.is_half_gone.swap(true, AcqRel) {
            // SAFETY: leaked by `pair`; nobody else has it any more.
            drop(unsafe { Box::from_raw(self.0.as_ptr()) });
        }
    }
}
