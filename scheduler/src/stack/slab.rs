//! Slabs: reserved address space, cut into stacks of one class.
//!
//! ```text
//! start                                            start + slots * stride
//!   ├─ guard ─┬───── usable ─────┼─ guard ─┬───── usable ─────┼─ ...
//!             limit         base ◀ a few lines below the top
//! ```
//!
//! A slab lives as long as the process, so whoever finds it needs no lock.
//! What is written often, which goroutine runs on which stack, lies apart
//! from the stacks, side by side.

use super::memory::{self, NoGuard, Piece};
use crate::shim::fixed::AtomicPtr;
use crate::shim::{Acquire, Release};
use std::ptr;

/// Below every stack; C code without probes seldom steps over it.
pub(crate) const GUARD: usize = 64 * 1024;
/// The least a stack has; no less than a page anywhere.
const SMALLEST_BITS: u32 = if cfg!(target_arch = "x86_64") { 15 } else { 16 };
/// The most is 1 GiB.
pub(super) const CLASSES: usize = 31 - SMALLEST_BITS as usize;

/// Stacks begin at one of `COLORS` distances below their page's end, else the
/// frames of all parked goroutines would share few of a cache's sets. More
/// distances gain nothing, and what is left of the page must hold a parked
/// goroutine.
const COLORS: usize = 4;
const COLOR_STEP: usize = 512;
/// No distance reaches it, and no page is smaller.
const LEAST_PAGE: usize = 4096;

/// How large a slab may become: 64 GiB.
const LARGEST: usize = 1 << (usize::BITS / 2 + 4);
/// Stacks in the first slab of a class, fewer if they are large.
const FIRST: usize = 64;
const FIRST_BYTES: usize = 16 << 20;

/// A size of stacks, a power of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Class(u8);

impl Class {
    /// The smallest that has `size` bytes.
    #[inline]
    pub(super) fn of(size: usize) -> Option<Self> {
        let bits = size.max(1 << SMALLEST_BITS).checked_next_power_of_two()?;
        let class = bits.trailing_zeros() - SMALLEST_BITS;
        ((class as usize) < CLASSES).then_some(Self(class as u8))
    }

    #[inline]
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }

    pub(super) fn at_index(index: usize) -> Self {
        debug_assert!(index < CLASSES);
        Self(index as u8)
    }

    /// Usable bytes.
    #[inline]
    pub(super) fn size(self) -> usize {
        1 << (SMALLEST_BITS + u32::from(self.0))
    }

    /// From one stack to the next.
    fn stride(self) -> usize {
        GUARD + self.size()
    }
}

/// One stack, owned. It goes back by `Pool::put`; to leak it is safe.
#[derive(Debug)]
pub(crate) struct Stack {
    /// Its base, and its class in the four bits that are free there.
    base_and_class: usize,
    owner: &'static AtomicPtr<()>,
}

impl Stack {
    /// Where it starts: the highest address, aligned to 16 bytes.
    #[inline]
    pub(crate) fn base(&self) -> usize {
        self.base_and_class & !0xF
    }

    #[inline]
    pub(super) fn class(&self) -> Class {
        Class((self.base_and_class & 0xF) as u8)
    }

    /// What its class has, of which a few lines at the top go unused.
    #[inline]
    pub(crate) fn size(&self) -> usize {
        self.class().size()
    }

    /// The lowest address it may use.
    #[inline]
    pub(crate) fn limit(&self) -> usize {
        self.base().next_multiple_of(LEAST_PAGE) - self.size()
    }

    /// Who runs here; null when nobody does.
    #[inline]
    pub(crate) fn owner(&self) -> &AtomicPtr<()> {
        self.owner
    }

    pub(super) fn whole(&self) -> Piece {
        Piece {
            start: self.limit(),
            len: self.size(),
        }
    }

    pub(super) fn top_page(&self, page: usize) -> Piece {
        Piece {
            start: self.limit() + self.size() - page,
            len: page,
        }
    }

    pub(super) fn below_top_page(&self, page: usize) -> Piece {
        Piece {
            start: self.limit(),
            len: self.size() - page,
        }
    }
}

/// Owner words that share a cache line, as the stacks of one batch do.
#[repr(align(64))]
struct Line([AtomicPtr<()>; 8]);

pub(super) struct Slab {
    start: usize,
    class: Class,
    slots: usize,
    owners: Box<[Line]>,
    /// Made before this one.
    next: *const Slab,
}

// SAFETY: nothing in it is written once others can see it, but atomics.
unsafe impl Sync for Slab {}
// SAFETY: as above; slabs are never freed.
unsafe impl Send for Slab {}

/// The youngest; the others hang on it.
static SLABS: AtomicPtr<Slab> = AtomicPtr::new(ptr::null_mut());

/// All slabs. A signal handler may ask.
pub(super) fn all() -> impl Iterator<Item = &'static Slab> {
    // ORDER: Acquire pairs with the Release in `Slab::new`.
    let first = SLABS.load(Acquire).cast_const();
    // SAFETY: null, or a slab, which lives for ever.
    let first = unsafe { first.as_ref() };
    std::iter::successors(first, |slab| {
        // SAFETY: as above.
        unsafe { slab.next.as_ref() }
    })
}

impl Slab {
    /// Reserves as many stacks again as the class has, or what can be had.
    /// `Err` is the system's number. Callers take turns.
    pub(super) fn new(class: Class, so_far: usize) -> Result<&'static Self, i32> {
        let first = (FIRST_BYTES / class.size()).clamp(1, FIRST);
        let most = (LARGEST / class.stride()).max(1);
        let mut slots = so_far.max(first).min(most);
        let start = loop {
            match memory::reserve(slots * class.stride()) {
                Ok(start) => break start,
                Err(error) if slots == 1 => return Err(error),
                Err(_) => slots /= 2,
            }
        };
        let owners = Box::new_zeroed_slice(slots.div_ceil(8));
        // SAFETY: a null AtomicPtr is all zeroes.
        let owners: Box<[Line]> = unsafe { owners.assume_init() };
        // ORDER: Acquire: the chain of older ones; Release below passes it on.
        let next = SLABS.load(Acquire);
        let slab = Box::leak(Box::new(Self {
            start,
            class,
            slots,
            owners,
            next,
        }));
        // ORDER: Release pairs with the Acquire in `all`. No exchange, for
        // callers take turns.
        SLABS.store(slab, Release);
        Ok(slab)
    }

    pub(super) fn slots(&self) -> usize {
        self.slots
    }

    fn owner(&self, slot: usize) -> &AtomicPtr<()> {
        &self.owners[slot / 8].0[slot % 8]
    }

    /// The owners of all its slots.
    pub(super) fn owners(&self) -> impl Iterator<Item = *mut ()> {
        // ORDER: Acquire pairs with the Release of who set it.
        (0..self.slots).map(|slot| self.owner(slot).load(Acquire))
    }

    /// Turns reserved slots into stacks; says why if not all could be.
    ///
    /// # Safety
    /// 1. Each slot is passed once, until it comes back as not done.
    pub(super) unsafe fn make(
        &'static self,
        slots: std::ops::Range<usize>,
        stacks: &mut Vec<Stack>,
    ) -> Option<NoGuard> {
        let bottom = |slot| self.start + slot * self.class.stride();
        let guards = slots.clone().map(|slot| Piece {
            start: bottom(slot),
            len: GUARD,
        });
        let guards: Vec<Piece> = guards.collect();
        // SAFETY: 1. they are stacks of nobody yet.
        let (done, why) = unsafe { memory::guard(&guards) };
        // The last first: they are taken from the end.
        stacks.extend(slots.take(done).rev().map(|slot| {
            let base = bottom(slot + 1) - slot % COLORS * COLOR_STEP;
            Stack {
                base_and_class: base | self.class.index(),
                owner: self.owner(slot),
            }
        }));
        why
    }
}

/// Where in the stacks an address lies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Located {
    /// In the guard: the stack ran over.
    pub(crate) in_guard: bool,
    /// Usable bytes of the stack.
    pub(crate) size: usize,
    /// Null when no goroutine has it.
    pub(crate) owner: *mut (),
}

/// Finds the stack or guard that `addr` lies in. A signal handler may ask.
pub(crate) fn locate(addr: usize) -> Option<Located> {
    all().find_map(|slab| {
        let at = addr.checked_sub(slab.start)?;
        let slot = at / slab.class.stride();
        (slot < slab.slots).then(|| Located {
            in_guard: at % slab.class.stride() < GUARD,
            size: slab.class.size(),
            // ORDER: Acquire pairs with the Release of who set it.
            owner: slab.owner(slot).load(Acquire),
        })
    })
}

/// The owner of every stack that has one.
pub(crate) fn for_each_owner(f: impl FnMut(*mut ())) {
    let owners = all().flat_map(Slab::owners);
    owners.filter(|owner| !owner.is_null()).for_each(f);
}
