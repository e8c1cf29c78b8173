//! Memory that will be needed soon: asked for together, before it is used.
//!
//! What has not been used for long comes from far away, and for each stack
//! the address must be looked up first. One after another that is half a
//! microsecond each; asked for beforehand, they come side by side.

/// Asks for the cache line at `address`. Any number will do: it is a hint.
#[inline]
pub(crate) fn fetch(address: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: reads nothing, and faults nowhere.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address as *const i8) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

/// No line is shorter.
const LINE: usize = 64;
/// No page is smaller.
const PAGE: usize = 4096;

/// Asks for the lines from `below` bytes before `address` to `above` bytes
/// after it, as far as they lie in its page.
#[inline]
pub(crate) fn fetch_around(address: usize, below: usize, above: usize) {
    let page = address & !(PAGE - 1);
    let first = address.saturating_sub(below).max(page) & !(LINE - 1);
    let last = (address + above).min(page + PAGE - 1);
    (first..=last).step_by(LINE).for_each(fetch);
}

/// Whom a goroutine woke last, and where: as a rule it will be the same one in
/// its next turn. So when it is woken itself, what that takes is asked for, a
/// turn before it is used.
///
/// Addresses of what may be gone long ago: names for prefetches, nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Partner {
    pub(crate) header: usize,
    /// A place in the frames it waited in.
    pub(crate) near: usize,
    pub(crate) channel: usize,
}

/// What a goroutine used so few turns ago is still near.
pub(crate) const NEAR_TURNS: u32 = 32;

/// From a node on the stack of who waits at a channel its frames reach so far
/// down, with what they call when they go on; and so far up; in bytes.
const BELOW: usize = 128;
const ABOVE: usize = 64;

impl Partner {
    pub(crate) const NONE: Self = Self {
        header: 0,
        near: 0,
        channel: 0,
    };

    /// In the order in which they are used.
    #[inline]
    pub(crate) fn foresee(self) {
        if self == Self::NONE {
            return;
        }
        fetch(self.channel);
        fetch(self.channel.wrapping_add(LINE / 2));
        fetch(self.near);
        fetch(self.header);
        fetch(self.header.wrapping_add(LINE));
        fetch(self.near.wrapping_add(ABOVE));
        fetch(self.near.wrapping_sub(BELOW / 2));
        fetch(self.near.wrapping_sub(BELOW));
    }
}
