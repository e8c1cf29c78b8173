//! Goroutines' stacks: made by batches, used hottest first, given back.
//!
//! A stack that nobody has used costs hundreds of times what a hot one does,
//! so reuse comes first. Each machine has a [`Pool`] of its own. What it has
//! too much of goes to a reserve that all share, in batches, and what it lacks
//! comes from there, or fresh from a slab:
//!
//! ```text
//!   goroutine ◀─ take ─ Pool ◀─ refill ─┬─ hot    of other machines
//!             ── put ─▶   │             ├─ cold   guarded, memory given back
//!                         │             └─ slabs  reserved, nothing else
//!                         ├─ too many ─▶ hot
//!                         └─ trim ─────▶ cold
//! ```
//!
//! What was measured, and why it is so: `docs/decisions/cold-stacks.md`.

mod memory;
mod slab;

pub(crate) use memory::page_size;
pub(crate) use slab::{GUARD, Located, Stack, for_each_owner, locate};

use crate::shim::Mutex;
#[cfg(test)]
use crate::shim::Relaxed;
use memory::NoGuard;
use slab::{CLASSES, Class, Slab};
use std::{fmt, mem};

impl Class {
    /// How many a pool keeps before it shares; the memory of all machines'
    /// pools stays small against what their goroutines had at once.
    fn most_kept(self) -> usize {
        ((64 << 20) / self.size()).clamp(2, 256)
    }

    /// How many stay hot through a trim.
    fn kept_hot(self) -> usize {
        (self.most_kept() / 4).min(16)
    }

    /// How many come at once, at most. Larger batches gain no more.
    fn largest_batch(self) -> usize {
        ((16 << 20) / self.size()).clamp(1, 64)
    }
}

/// What machines share, for each class.
static RESERVE: Mutex<[Reserve; CLASSES]> = Mutex::new([const { Reserve::new() }; CLASSES]);

struct Reserve {
    /// Ready to use; the hottest last.
    hot: Vec<Stack>,
    /// So many at the front of `hot` nobody has asked for since a trim.
    unused: usize,
    /// Guarded, without memory.
    cold: Vec<Stack>,
    /// Never made into stacks, the next to use last.
    raw: Vec<Raw>,
    /// Slots of all slabs.
    reserved: usize,
}

/// Slots of a slab.
struct Raw {
    slab: &'static Slab,
    slots: std::ops::Range<usize>,
}

impl Reserve {
    const fn new() -> Self {
        Self {
            hot: Vec::new(),
            unused: 0,
            cold: Vec::new(),
            raw: Vec::new(),
            reserved: 0,
        }
    }

    /// Up to `count` slots, from a new slab if there are no others.
    fn claim(&mut self, class: Class, count: usize) -> Result<Raw, i32> {
        if self.raw.is_empty() {
            let slab = Slab::new(class, self.reserved)?;
            self.reserved += slab.slots();
            let slots = 0..slab.slots();
            self.raw.push(Raw { slab, slots });
        }
        let raw = self.raw.last_mut().expect("not empty");
        let middle = raw.slots.end.min(raw.slots.start + count);
        let claimed = Raw {
            slab: raw.slab,
            slots: raw.slots.start..middle,
        };
        raw.slots.start = middle;
        if raw.slots.is_empty() {
            self.raw.pop();
        }
        Ok(claimed)
    }
}

/// The last `count` of `from`, in their order.
fn last(from: &mut Vec<Stack>, count: usize) -> impl Iterator<Item = Stack> {
    from.drain(from.len().saturating_sub(count)..)
}

/// A machine's own stacks.
pub(crate) struct Pool {
    classes: [Own; CLASSES],
}

struct Own {
    /// The hottest last.
    stacks: Vec<Stack>,
    /// How many came cold since the last trim: demand, so the next batch.
    came_cold: usize,
    /// There may be something to trim.
    used: bool,
    /// With more than this it shares.
    most_kept: usize,
}

impl Pool {
    pub(crate) fn new() -> Self {
        Self {
            classes: std::array::from_fn(|index| Own {
                stacks: Vec::new(),
                came_cold: 0,
                used: false,
                most_kept: Class::at_index(index).most_kept(),
            }),
        }
    }

    /// A stack of at least `size` bytes, but for a few lines.
    ///
    /// # Errors
    /// More than 1 GiB, or the system has no more to give.
    #[inline]
    pub(crate) fn take(&mut self, size: usize) -> Result<Stack, StackError> {
        let Some(class) = Class::of(size) else {
            return Err(StackError::new(size, Why::TooBig));
        };
        match self.classes[class.index()].stacks.pop() {
            Some(stack) => Ok(stack),
            None => self.refill(class),
        }
    }

    /// Nobody runs on `stack` any more.
    #[inline]
    pub(crate) fn put(&mut self, stack: Stack) {
        let class = stack.class();
        let own = &mut self.classes[class.index()];
        own.stacks.push(stack);
        own.used = true;
        if own.stacks.len() > own.most_kept {
            own.share(class);
        }
    }

    #[cold]
    #[inline(never)]
    fn refill(&mut self, class: Class) -> Result<Stack, StackError> {
        let own = &mut self.classes[class.index()];
        own.used = true;
        // One for a machine that runs one goroutine into a call that blocks.
        let batch = own.came_cold.clamp(1, class.largest_batch());
        let mut reserve = RESERVE.lock();
        let shared = &mut reserve[class.index()];
        own.stacks.extend(last(&mut shared.hot, batch));
        shared.unused = shared.unused.min(shared.hot.len());
        if let Some(stack) = own.stacks.pop() {
            return Ok(stack);
        }
        own.stacks.extend(last(&mut shared.cold, batch));
        let why = if own.stacks.is_empty() {
            let claimed = shared.claim(class, batch);
            drop(reserve);
            let claimed =
                claimed.map_err(|error| StackError::new(class.size(), Why::NotReserved(error)))?;
            make(class, claimed, &mut own.stacks)
        } else {
            drop(reserve);
            None
        };
        own.came_cold += own.stacks.len();
        let page = page_size();
        let tops: Vec<_> = own
            .stacks
            .iter()
            .map(|stack| stack.top_page(page))
            .collect();
        // SAFETY: 1. just got, and not yet given to anybody.
        unsafe { memory::populate(&tops) };
        match (own.stacks.pop(), why) {
            (Some(stack), _) => Ok(stack),
            (None, Some(why)) => Err(StackError::new(class.size(), Why::NotGuarded(why))),
            (None, None) => unreachable!("a claim is never empty"),
        }
    }

    /// Whether there may be something to trim.
    pub(crate) fn is_used(&self) -> bool {
        self.classes.iter().any(|own| own.used)
    }

    /// Gives memory back: all that the coldest have, and of the others what
    /// deep calls left below their first page. Says how many bytes at least.
    /// Cheap when nothing was put since the last time.
    ///
    /// For a machine that has nothing to do, and now and then for one that
    /// always has.
    pub(crate) fn trim(&mut self) -> usize {
        let page = page_size();
        let mut given_back = 0;
        for (index, own) in self.classes.iter_mut().enumerate() {
            if !mem::take(&mut own.used) {
                continue;
            }
            own.came_cold = 0;
            let class = Class::at_index(index);
            let few = own.stacks.len().saturating_sub(class.kept_hot());
            let coldest: Vec<Stack> = own.stacks.drain(..few).collect();
            given_back += chill(class, coldest);
            let kept = own.stacks.iter().map(|stack| stack.below_top_page(page));
            let kept: Vec<_> = kept.collect();
            // SAFETY: 1. nobody runs on what lies in the pool.
            unsafe { memory::give_back(&kept) };
        }
        given_back
    }

    /// The machine ends: others may have its stacks.
    pub(crate) fn drain(&mut self) {
        let mut reserve = RESERVE.lock();
        for (shared, own) in reserve.iter_mut().zip(&mut self.classes) {
            shared.hot.append(&mut own.stacks);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.drain();
    }
}

impl Own {
    /// The colder half goes to the others.
    #[cold]
    #[inline(never)]
    fn share(&mut self, class: Class) {
        let half = self.stacks.len() / 2;
        let mut reserve = RESERVE.lock();
        reserve[class.index()].hot.extend(self.stacks.drain(..half));
    }
}

/// Makes what was claimed into stacks; what cannot be made goes back.
fn make(class: Class, claimed: Raw, stacks: &mut Vec<Stack>) -> Option<NoGuard> {
    let Raw { slab, slots } = claimed;
    let had = stacks.len();
    // SAFETY: 1. `claim` gives a slot out once, unless it comes back below.
    let why = unsafe { slab.make(slots.clone(), stacks) };
    let slots = slots.start + (stacks.len() - had)..slots.end;
    if !slots.is_empty() {
        RESERVE.lock()[class.index()].raw.push(Raw { slab, slots });
    }
    why
}

/// Gives the memory of `stacks` back; says how many bytes at least.
fn chill(class: Class, mut stacks: Vec<Stack>) -> usize {
    let memory: Vec<_> = stacks.iter().map(Stack::whole).collect();
    // SAFETY: 1. the callers took them out of where they lay unused.
    let done = unsafe { memory::give_back(&memory) };
    let mut reserve = RESERVE.lock();
    let shared = &mut reserve[class.index()];
    if done {
        shared.cold.append(&mut stacks);
        memory.len() * page_size()
    } else {
        shared.hot.append(&mut stacks);
        0
    }
}

/// Gives back what the shared reserve's stacks hold; says how many bytes at
/// least. For a process that falls idle.
pub(crate) fn trim_shared() -> usize {
    trim_reserve(|shared| shared.hot.len())
}

/// The same, but only of those that nobody has asked for since the last call.
/// For the monitor of a busy process, now and then.
pub(crate) fn trim_unused() -> usize {
    trim_reserve(|shared| shared.unused)
}

fn trim_reserve(how_many: impl Fn(&Reserve) -> usize) -> usize {
    let mut given_back = 0;
    for index in 0..CLASSES {
        let mut reserve = RESERVE.lock();
        let shared = &mut reserve[index];
        let coldest: Vec<Stack> = shared.hot.drain(..how_many(shared)).collect();
        shared.unused = shared.hot.len();
        drop(reserve);
        if !coldest.is_empty() {
            given_back += chill(Class::at_index(index), coldest);
        }
    }
    given_back
}

/// How many stacks there are, and how they stand.
#[cfg(test)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stats {
    /// There is address space for so many.
    pub(crate) reserved: usize,
    /// A goroutine has it.
    pub(crate) in_use: usize,
    /// Ready in a pool or in the shared reserve, or lent for a deep call.
    pub(crate) hot: usize,
    /// Guarded, its memory given back.
    pub(crate) given_back: usize,
    /// Guards that are marks in the page tables.
    pub(crate) guards_by_marker: usize,
    /// Guards that are mappings of their own.
    pub(crate) guards_by_mprotect: usize,
}

/// Counts; a moment's picture, while others go on.
#[cfg(test)]
pub(crate) fn stats() -> Stats {
    let mut stats = Stats {
        // ORDER: Relaxed: statistics.
        guards_by_marker: memory::BY_MARKER.load(Relaxed),
        // ORDER: Relaxed: statistics.
        guards_by_mprotect: memory::BY_MPROTECT.load(Relaxed),
        ..Stats::default()
    };
    for shared in RESERVE.lock().iter() {
        stats.reserved += shared.reserved;
        stats.given_back += shared.cold.len();
    }
    for_each_owner(|_| stats.in_use += 1);
    let made = stats.guards_by_marker + stats.guards_by_mprotect;
    stats.hot = made.saturating_sub(stats.in_use + stats.given_back);
    stats
}

/// Why there is no stack.
///
/// In a box, so that a stack or this are two words.
#[derive(Debug)]
pub(crate) struct StackError(Box<Failure>);

#[derive(Debug)]
struct Failure {
    size: usize,
    why: Why,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    TooBig,
    NotReserved(i32),
    NotGuarded(NoGuard),
}

impl StackError {
    fn new(size: usize, why: Why) -> Self {
        Self(Box::new(Failure { size, why }))
    }
}

impl fmt::Display for StackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let system = |error| std::io::Error::from_raw_os_error(error);
        write!(f, "no stack of {} KiB: ", self.0.size / 1024)?;
        match self.0.why {
            Why::TooBig => write!(f, "the largest has 1 GiB"),
            Why::NotReserved(libc::EAGAIN) => write!(
                f,
                "the process locks its memory (mlockall) and is at its limit RLIMIT_MEMLOCK; \
                 raise it (ulimit -l)"
            ),
            Why::NotReserved(error) => write!(
                f,
                "its address space cannot be reserved ({}); raise RLIMIT_AS (ulimit -v), set \
                 vm.overcommit_memory to 0 or 1, or make stacks smaller (RADDLE_STACK_SIZE)",
                system(error)
            ),
            Why::NotGuarded(NoGuard::TooManyMappings | NoGuard::Refused(libc::ENOMEM)) => write!(
                f,
                "its guard needs mappings, and the process is near the limit vm.max_map_count; \
                 raise it (sysctl), have fewer goroutines at a time, or use Linux 6.13 and \
                 memory that is not locked, where guards need none"
            ),
            Why::NotGuarded(NoGuard::Refused(error)) => {
                write!(f, "its guard was refused ({})", system(error))
            }
        }
    }
}

impl std::error::Error for StackError {}

#[cfg(test)]
pub(crate) mod tests;
