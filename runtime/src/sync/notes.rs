//! What is noted of locks that are taken and given back, once there is a
//! reason to: until then it is one look at one word.

use super::held::{self, Lent, Mode, Site, Tag};
use super::lost::{self, Key};
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

static REASONS: AtomicU8 = AtomicU8::new(0);

/// A `lock` has unwound: `lost.rs`.
pub(crate) const LOST: u8 = 1;
/// A runtime looks for goroutines that wait for each other: `held.rs`.
pub(crate) const CYCLES: u8 = 2;

/// There is this reason from now on.
pub(crate) fn begin_for(reason: u8) {
    // ORDER: Relaxed: notes are the caller's own. One that is missing is
    // taken for another's.
    REASONS.fetch_or(reason, Relaxed);
}

#[inline]
pub(crate) fn are_for(reason: u8) -> bool {
    // ORDER: Relaxed: as above.
    REASONS.load(Relaxed) & reason != 0
}

#[inline]
fn are_wanted() -> bool {
    // ORDER: Relaxed: as above.
    REASONS.load(Relaxed) != 0
}

/// A lock, and how the caller takes it or holds it.
#[derive(Clone, Copy)]
pub(crate) struct Noted<'a> {
    key: Key,
    tag: &'a Tag,
    mode: Mode,
}

impl<'a> Noted<'a> {
    #[inline]
    pub(crate) fn new<L>(lock: &'a L, tag: &'a Tag, mode: Mode) -> Self {
        Self {
            key: Key::of(lock),
            tag,
            mode,
        }
    }

    /// The caller takes it from here on, until `taken`, or unwinds without it.
    #[inline]
    pub(crate) fn taking(self) -> Taking {
        Taking(self.key)
    }

    /// The caller has taken it.
    #[inline]
    pub(crate) fn taken(self, taking: Taking, site: Site) {
        std::mem::forget(taking);
        let _taken = self.if_taken(true, site);
    }

    /// The caller has tried to take it.
    #[inline]
    pub(crate) fn if_taken(self, taken: bool, site: Site) -> bool {
        if taken && are_wanted() {
            took(self.key, self.tag, self.mode, site);
        }
        taken
    }

    /// Before it is given back: whether the caller's guard has it, and is to.
    #[inline]
    pub(crate) fn may_give_back(self) -> bool {
        !are_wanted() || gives_back(self.key, self.tag, self.mode)
    }

    /// The caller holds it, in another way from now on.
    #[inline]
    pub(crate) fn becomes(self, mode: Mode) {
        if are_for(CYCLES) {
            held::became(self.tag, self.mode, mode);
        }
    }

    /// The caller gives it up, and has it again before this is dropped.
    #[inline]
    pub(crate) fn lend(self) -> Lent<'a> {
        Lent::begin(self.tag, self.mode)
    }
}

// Each takes words, and not a `Noted`, which would have to lie in memory on
// the way of everybody.

#[cold]
#[inline(never)]
fn took(key: Key, tag: &Tag, mode: Mode, site: Site) {
    lost::note_taken(key);
    if are_for(CYCLES) {
        held::took(tag, mode, site);
    }
}

#[cold]
#[inline(never)]
fn gives_back(key: Key, tag: &Tag, mode: Mode) -> bool {
    if lost::is_lost(key) {
        return false;
    }
    if are_for(CYCLES) {
        held::gave_back(tag, mode);
    }
    true
}

/// See [`Noted::taking`].
pub(crate) struct Taking(Key);

impl Drop for Taking {
    #[cold]
    fn drop(&mut self) {
        begin_for(LOST);
        lost::note_unwound(self.0);
    }
}
