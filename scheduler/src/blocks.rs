//! Memory of goroutines: blocks of a few sizes, the hottest first.
//!
//! Each machine has a [`Pool`] of its own. Goroutines seldom end where they
//! were spawned, so blocks wander: by packs, through a reserve that all share.
//! What nobody has comes from the program's allocator, many at once:
//!
//! ```text
//!   spawn ◀─ take ─ Pool ◀─ pack ─┬─ reserve
//!   end   ── put ─▶   │           └─ chunk, from the allocator
//!                     └─── pack ──▶ reserve ─ sweep ─▶ whole chunks, back
//! ```
//!
//! Why not one by one: `docs/decisions/cold-stacks.md`, "The system's malloc".

use crate::shim::Mutex;
use std::alloc::{self, Layout};
use std::mem;
use std::ptr::{self, NonNull};

/// Blocks begin at multiples of it. From one to the next of a class are as
/// many of them as the class's number says.
const GRAIN: usize = 16;
/// Before each block: its chunk.
const MARK: usize = size_of::<*mut Chunk>();
/// Larger ones are the allocator's.
const LARGEST: usize = 512;
const CLASSES: usize = (LARGEST + MARK).div_ceil(GRAIN) + 1;
/// So many blocks wander together.
const PACK: usize = 64;
/// A chunk has as many as all before, from so many
const FEWEST: usize = 8;
/// to so many bytes.
const CHUNK: usize = 64 * 1024;

/// Blocks of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Class(usize);

impl Class {
    /// Whose blocks hold this; none: it is too large.
    pub(crate) const fn of(layout: Layout) -> Option<Self> {
        if layout.size() > LARGEST || layout.align() > GRAIN {
            return None;
        }
        let size = if layout.size() < size_of::<Free>() {
            size_of::<Free>()
        } else {
            layout.size()
        };
        Some(Self((size + MARK).div_ceil(GRAIN)))
    }

    fn stride(self) -> usize {
        self.0 * GRAIN
    }
}

/// The head of a chunk; its blocks come behind it.
///
/// Invariants
/// 1. `found` and `seen` are the sweep's, and 0 between two of them.
#[repr(C, align(16))]
struct Chunk {
    blocks: usize,
    class: Class,
    found: usize,
    seen: usize,
}

impl Chunk {
    /// The first block is so far in. Its mark comes before it.
    const HEAD: usize = (size_of::<Self>() + MARK).next_multiple_of(GRAIN);

    fn layout(class: Class, blocks: usize) -> Layout {
        let layout = Layout::from_size_align(Self::HEAD + blocks * class.stride(), GRAIN);
        layout.expect("a chunk is small")
    }

    fn new(class: Class, blocks: usize) -> NonNull<Self> {
        let layout = Self::layout(class, blocks);
        // SAFETY: it has a head, so it is not empty.
        let memory = unsafe { alloc::alloc(layout) };
        let Some(chunk) = NonNull::new(memory.cast::<Self>()) else {
            alloc::handle_alloc_error(layout)
        };
        let head = Self {
            blocks,
            class,
            found: 0,
            seen: 0,
        };
        // SAFETY: just allocated, and aligned.
        unsafe { chunk.write(head) };
        chunk
    }

    /// # Safety
    /// 1. All of its blocks are the caller's, and forgotten.
    unsafe fn free(chunk: NonNull<Self>) {
        // SAFETY: 1. nobody else reaches it.
        let Self { class, blocks, .. } = unsafe { chunk.read() };
        // SAFETY: 1. made by `new` with this layout.
        unsafe { alloc::dealloc(chunk.as_ptr().cast(), Self::layout(class, blocks)) };
    }
}

/// A block that nobody uses.
struct Free {
    next: *mut Free,
}

/// The chunk of a block.
///
/// # Safety
/// 1. The block came from here, and was not given back to the allocator.
unsafe fn chunk_of(block: NonNull<Free>) -> NonNull<Chunk> {
    // SAFETY: 1. its mark comes before it.
    let mark = unsafe { block.cast::<NonNull<Chunk>>().sub(1) };
    // SAFETY: 1. written when it was first taken.
    unsafe { mark.read() }
}

/// Free blocks of one class, owned.
struct Pack {
    first: *mut Free,
    len: usize,
}

// SAFETY: memory that nobody else knows.
unsafe impl Send for Pack {}

impl Pack {
    const EMPTY: Self = Self {
        first: ptr::null_mut(),
        len: 0,
    };

    #[inline]
    fn pop(&mut self) -> Option<NonNull<Free>> {
        let first = NonNull::new(self.first)?;
        // SAFETY: it is ours, and free: `push` wrote it.
        self.first = unsafe { first.as_ref() }.next;
        self.len -= 1;
        Some(first)
    }

    /// # Safety
    /// 1. The block is of this class, and the caller's alone.
    #[inline]
    unsafe fn push(&mut self, block: NonNull<Free>) {
        let free = Free { next: self.first };
        // SAFETY: 1. it has room for this.
        unsafe { block.write(free) };
        self.first = block.as_ptr();
        self.len += 1;
    }

    fn is_full(&self) -> bool {
        self.len == PACK
    }
}

/// The blocks of a chunk that nobody has used yet.
struct Fresh {
    chunk: NonNull<Chunk>,
    left: usize,
}

// SAFETY: memory that nobody else knows but by the blocks taken from it.
unsafe impl Send for Fresh {}

impl Fresh {
    const NONE: Self = Self {
        chunk: NonNull::dangling(),
        left: 0,
    };

    #[inline]
    fn pop(&mut self, class: Class) -> Option<NonNull<Free>> {
        // From the last on.
        self.left = self.left.checked_sub(1)?;
        let at = Chunk::HEAD + self.left * class.stride();
        // SAFETY: it lies in the chunk.
        let block = unsafe { self.chunk.byte_add(at) };
        // SAFETY: so does what is before it, at the end of the one before.
        let mark = unsafe { block.cast::<NonNull<Chunk>>().sub(1) };
        // SAFETY: as above; aligned, as blocks are.
        unsafe { mark.write(self.chunk) };
        Some(block.cast())
    }
}

/// What one owner has of one class.
struct Shelf {
    hot: Pack,
    /// Full or empty: an owner at the border of two packs need not wander.
    spare: Pack,
    fresh: Fresh,
}

impl Shelf {
    const EMPTY: Self = Self {
        hot: Pack::EMPTY,
        spare: Pack::EMPTY,
        fresh: Fresh::NONE,
    };

    #[inline]
    fn take(&mut self, class: Class) -> Option<NonNull<Free>> {
        let block = self.hot.pop();
        block.or_else(|| self.take_colder(class))
    }

    fn take_colder(&mut self, class: Class) -> Option<NonNull<Free>> {
        mem::swap(&mut self.hot, &mut self.spare);
        self.hot.pop().or_else(|| self.fresh.pop(class))
    }

    /// A block of what the reserve has given to it, which is empty.
    fn restock(&mut self, class: Class, given: Result<Pack, usize>) -> NonNull<Free> {
        match given {
            Ok(pack) => self.hot = pack,
            Err(blocks) => {
                let chunk = Chunk::new(class, blocks);
                self.fresh = Fresh {
                    chunk,
                    left: blocks,
                };
            }
        }
        let block = self.take(class);
        block.expect("neither packs nor chunks are empty")
    }

    /// What there is too much of.
    ///
    /// # Safety
    /// 1. As [`Pack::push`].
    #[inline]
    unsafe fn put(&mut self, block: NonNull<Free>) -> Option<Pack> {
        let mut colder = Pack::EMPTY;
        if self.hot.is_full() {
            colder = mem::replace(&mut self.spare, mem::replace(&mut self.hot, Pack::EMPTY));
        }
        // SAFETY: 1.
        unsafe { self.hot.push(block) };
        (colder.len > 0).then_some(colder)
    }

    /// All of it, by packs.
    fn empty(&mut self, class: Class) -> impl Iterator<Item = Pack> + use<> {
        let mut shelf = mem::replace(self, Self::EMPTY);
        let mut packs = vec![shelf.hot, shelf.spare];
        while shelf.fresh.left > 0 {
            let mut pack = Pack::EMPTY;
            while !pack.is_full()
                && let Some(block) = shelf.fresh.pop(class)
            {
                // SAFETY: 1. taken just now.
                unsafe { pack.push(block) };
            }
            packs.push(pack);
        }
        packs.into_iter().filter(|pack| pack.len > 0)
    }
}

/// What all share of a class.
struct Reserve {
    /// The hottest last.
    packs: Vec<Pack>,
    /// So many of the first nobody has asked for since a sweep.
    unused: usize,
    /// There are packs that no sweep has seen.
    has_more: bool,
    /// Blocks of all chunks.
    made: usize,
    /// Of threads that are no machines.
    outside: Shelf,
}

static RESERVE: Mutex<[Reserve; CLASSES]> = Mutex::new(
    [const {
        Reserve {
            packs: Vec::new(),
            unused: 0,
            has_more: false,
            made: 0,
            outside: Shelf::EMPTY,
        }
    }; CLASSES],
);

/// One sweeps at a time.
static SWEEP: Mutex<()> = Mutex::new(());

impl Reserve {
    fn put(&mut self, pack: Pack) {
        self.packs.push(pack);
        self.has_more = true;
    }

    /// A pack, or how many blocks the next chunk is to have.
    fn take(&mut self, class: Class) -> Result<Pack, usize> {
        match self.packs.pop() {
            Some(pack) => {
                self.unused = self.unused.min(self.packs.len());
                Ok(pack)
            }
            None => {
                let most = (CHUNK - Chunk::HEAD) / class.stride();
                let blocks = self.made.clamp(FEWEST, most);
                self.made += blocks;
                Err(blocks)
            }
        }
    }
}

/// A machine's own blocks.
pub(crate) struct Pool([Shelf; CLASSES]);

impl Pool {
    pub(crate) const fn new() -> Self {
        Self([const { Shelf::EMPTY }; CLASSES])
    }

    /// A block of the class, the caller's until it is put here or anywhere.
    #[inline]
    pub(crate) fn take(&mut self, class: Class) -> NonNull<u8> {
        let shelf = &mut self.0[class.0];
        let block = shelf.take(class).unwrap_or_else(|| refill(shelf, class));
        block.cast()
    }

    /// # Safety
    /// 1. The block was taken as one of this class, and nobody uses it.
    #[inline]
    pub(crate) unsafe fn put(&mut self, class: Class, block: NonNull<u8>) {
        // SAFETY: 1.
        let colder = unsafe { self.0[class.0].put(block.cast()) };
        if let Some(pack) = colder {
            share(class, pack);
        }
    }

    /// Others may have its blocks.
    pub(crate) fn drain(&mut self) {
        let mut reserve = RESERVE.lock();
        for (at, (shelf, shared)) in self.0.iter_mut().zip(reserve.iter_mut()).enumerate() {
            shelf.empty(Class(at)).for_each(|pack| shared.put(pack));
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.drain();
    }
}

#[cold]
#[inline(never)]
fn share(class: Class, pack: Pack) {
    RESERVE.lock()[class.0].put(pack);
}

#[cold]
#[inline(never)]
fn refill(shelf: &mut Shelf, class: Class) -> NonNull<Free> {
    let given = RESERVE.lock()[class.0].take(class);
    shelf.restock(class, given)
}

/// As [`Pool::take`], on a thread that is no machine.
#[cold]
pub(crate) fn take_outside(class: Class) -> NonNull<u8> {
    let mut reserve = RESERVE.lock();
    let shared = &mut reserve[class.0];
    let block = shared.outside.take(class).unwrap_or_else(|| {
        let given = shared.take(class);
        shared.outside.restock(class, given)
    });
    block.cast()
}

/// As [`Pool::put`], on a thread that is no machine.
///
/// # Safety
/// 1. As there.
#[cold]
pub(crate) unsafe fn put_outside(class: Class, block: NonNull<u8>) {
    let mut reserve = RESERVE.lock();
    let shared = &mut reserve[class.0];
    // SAFETY: 1.
    let colder = unsafe { shared.outside.put(block.cast()) };
    if let Some(pack) = colder {
        shared.put(pack);
    }
}

/// Gives back what is free as whole chunks; says how many bytes. For an idle
/// process, whose machines have drained their own: it walks through all there
/// is.
pub(crate) fn sweep() -> usize {
    for (at, shared) in RESERVE.lock().iter_mut().enumerate() {
        let of_threads = shared.outside.empty(Class(at));
        of_threads.for_each(|pack| shared.put(pack));
    }
    sweep_first(|shared| shared.packs.len())
}

/// The same, but only of what nobody has asked for since the last time.
/// For the monitor of a busy process, now and then.
pub(crate) fn sweep_unused() -> usize {
    sweep_first(|shared| shared.unused)
}

fn sweep_first(how_many: impl Fn(&Reserve) -> usize) -> usize {
    let one_at_a_time = SWEEP.lock();
    let mut freed = 0;
    for at in 0..CLASSES {
        let class = Class(at);
        let mut reserve = RESERVE.lock();
        let shared = &mut reserve[at];
        let first = if shared.has_more { how_many(shared) } else { 0 };
        let packs: Vec<Pack> = shared.packs.drain(..first).collect();
        shared.unused = shared.packs.len();
        if first > 0 {
            shared.has_more = !shared.packs.is_empty();
        }
        drop(reserve);
        if packs.is_empty() {
            continue;
        }
        let (kept, blocks) = sort_out(packs);
        freed += blocks * class.stride();
        let mut reserve = RESERVE.lock();
        let shared = &mut reserve[at];
        shared.made -= blocks;
        shared.unused += kept.len();
        drop(shared.packs.splice(..0, kept));
    }
    drop(one_at_a_time);
    freed
}

/// Frees the chunks of which all blocks are in `packs`; what is left, and how
/// many blocks are gone. Callers take turns.
fn sort_out(packs: Vec<Pack>) -> (Vec<Pack>, usize) {
    for pack in &packs {
        let mut next = pack.first;
        while let Some(block) = NonNull::new(next) {
            // SAFETY: 1. it is in a pack.
            let mut chunk = unsafe { chunk_of(block) };
            // SAFETY: alive, as a block of it is; callers take turns.
            unsafe { chunk.as_mut() }.found += 1;
            // SAFETY: ours, and free.
            next = unsafe { block.as_ref() }.next;
        }
    }
    let (mut kept, mut gone) = (Vec::new(), 0);
    let mut left = Pack::EMPTY;
    for mut pack in packs {
        while let Some(block) = pack.pop() {
            // SAFETY: 1. it is in a pack.
            let mut chunk = unsafe { chunk_of(block) };
            // SAFETY: alive until the last of its blocks is seen here.
            let head = unsafe { chunk.as_mut() };
            head.seen += 1;
            let was_last = head.seen == head.found;
            if head.found < head.blocks {
                if was_last {
                    (head.found, head.seen) = (0, 0);
                }
                // SAFETY: 1. out of a pack of this class.
                unsafe { left.push(block) };
                if left.is_full() {
                    kept.push(mem::replace(&mut left, Pack::EMPTY));
                }
            } else if was_last {
                gone += head.blocks;
                // SAFETY: 1. all of them were in our packs.
                unsafe { Chunk::free(chunk) };
            }
        }
    }
    if left.len > 0 {
        kept.push(left);
    }
    (kept, gone)
}

#[cfg(test)]
mod tests;
