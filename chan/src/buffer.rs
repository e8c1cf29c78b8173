//! Messages on their way, first in, first out.

use crate::shim::resume;
use std::collections::VecDeque;
use std::mem::needs_drop;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Up to this many messages lie in one ring; it grows, so a channel pays for
/// what it holds.
const RING_MOST: usize = 256;
/// More lie in blocks of so many: nothing is copied as the queue grows, which
/// it does under the channel's lock.
const BLOCK: usize = 128;

pub(crate) enum Buffer<T> {
    Ring(VecDeque<T>),
    Blocks(Blocks<T>),
}

impl<T> Buffer<T> {
    /// For a channel of `capacity`; allocates nothing.
    pub(crate) fn new(capacity: usize) -> Self {
        if capacity <= RING_MOST {
            Self::Ring(VecDeque::new())
        } else {
            Self::Blocks(Blocks {
                full: VecDeque::new(),
                first: VecDeque::new(),
                last: VecDeque::new(),
                spare: VecDeque::new(),
            })
        }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Ring(ring) => ring.len(),
            Self::Blocks(blocks) => blocks.len(),
        }
    }

    #[inline]
    pub(crate) fn push(&mut self, message: T) {
        match self {
            Self::Ring(ring) => ring.push_back(message),
            Self::Blocks(blocks) => blocks.push(message),
        }
    }

    /// Behind the first `place`, all of which came in so.
    #[cfg(any(test, feature = "futures"))]
    pub(crate) fn insert(&mut self, place: usize, message: T) {
        match self {
            Self::Ring(ring) => ring.insert(place, message),
            // A block may hold more than others; this one holds the first.
            Self::Blocks(blocks) => blocks.first.insert(place, message),
        }
    }

    #[inline]
    pub(crate) fn pop(&mut self) -> Option<T> {
        match self {
            Self::Ring(ring) => ring.pop_front(),
            Self::Blocks(blocks) => blocks.pop(),
        }
    }

    /// Drops all messages, in order. One whose destructor panics takes no
    /// other along; the first panic goes on when all are gone, others are
    /// over (std's queue would abort the process at the second).
    pub(crate) fn discard(mut self) {
        if !needs_drop::<T>() {
            return;
        }
        let mut panic = None;
        while let Some(message) = self.pop() {
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(message))) {
                match panic {
                    None => panic = Some(payload),
                    // A payload may have a destructor that panics.
                    Some(_) => std::mem::forget(payload),
                }
            }
        }
        if let Some(payload) = panic {
            resume(payload);
        }
    }
}

/// Blocks of messages: `first` is taken from, `last` is put into, the full
/// ones between are in order.
///
/// Invariants
/// 1. Each block in `full` holds `BLOCK` messages.
/// 2. If `first` is empty so are the others.
pub(crate) struct Blocks<T> {
    first: VecDeque<T>,
    full: VecDeque<VecDeque<T>>,
    last: VecDeque<T>,
    /// Empty, kept for the next.
    spare: VecDeque<T>,
}

impl<T> Blocks<T> {
    fn len(&self) -> usize {
        self.first.len() + self.full.len() * BLOCK + self.last.len()
    }

    fn push(&mut self, message: T) {
        if self.last.is_empty() && self.full.is_empty() && self.first.len() < BLOCK {
            self.first.push_back(message);
            return;
        }
        if self.last.len() == BLOCK {
            let empty = std::mem::take(&mut self.spare);
            self.full
                .push_back(std::mem::replace(&mut self.last, empty));
        }
        if self.last.capacity() < BLOCK {
            self.last.reserve_exact(BLOCK);
        }
        self.last.push_back(message);
    }

    fn pop(&mut self) -> Option<T> {
        let message = self.first.pop_front()?;
        if self.first.is_empty() {
            let next = match self.full.pop_front() {
                Some(block) => block,
                None => std::mem::take(&mut self.last),
            };
            self.spare = std::mem::replace(&mut self.first, next);
            if self.full.is_empty() && self.last.capacity() == 0 {
                self.last = std::mem::take(&mut self.spare);
            }
        }
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::{BLOCK, Buffer};
    use std::collections::VecDeque;

    /// Random pushes, also to the front, and pops of both kinds against std's
    /// queue.
    #[test]
    fn keeps_order_and_count() {
        for capacity in [1, 256, 257, usize::MAX] {
            let mut buffer = Buffer::new(capacity);
            let mut model = VecDeque::new();
            let mut x = 88_172_645_463_325_252_u64;
            for n in 0..60_000_u64 {
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                // Waves: some thousand up, some thousand down.
                let up = (n / (BLOCK as u64 * 20)).is_multiple_of(2);
                if x % 16 < if up { 11 } else { 5 } {
                    buffer.push(n);
                    model.push_back(n);
                } else if x.is_multiple_of(7) {
                    buffer.insert(0, n);
                    model.push_front(n);
                } else {
                    assert_eq!(buffer.pop(), model.pop_front());
                }
                assert_eq!(buffer.len(), model.len());
            }
            while let Some(n) = model.pop_front() {
                assert_eq!(buffer.pop(), Some(n));
            }
            assert_eq!(buffer.pop(), None);
        }
    }
}
