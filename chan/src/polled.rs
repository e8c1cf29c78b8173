//! A waiter that is polled: a node on the heap, and the waker of its future.

use crate::channel::{Guard, Side};
use crate::shim::Wait;
use crate::waiter::{Deal, Node, POLLED, Wakes};
use std::cell::UnsafeCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Waker;

/// Its future may be dropped, or forgotten, whenever it likes, and waits for
/// nobody. So the queue it stands in has a count of it.
///
/// Invariants
/// 1. The count of the queue goes to who claims the node, and ends with the
///    unpark that one owes; or the owner takes the node out, and the count
///    back.
/// 2. `waker` is the owner's while the node stands in a queue, under the
///    lock; the claimer's from the claim to the unpark; and the owner's again
///    when it has the only count.
/// 3. The owner learns of a claim under the lock, where `deal` is written:
///    perhaps before the unpark.
pub(crate) struct Polled {
    node: Node,
    waker: UnsafeCell<Option<Waker>>,
}

// Its address has room for the marks of `waiter.rs`.
const _: () = assert!(align_of::<Polled>() >= 4);

// SAFETY: the node is used under the lock of its channel, the waker as in
// invariant 2.
unsafe impl Send for Polled {}
// SAFETY: as above.
unsafe impl Sync for Polled {}

impl Polled {
    pub(crate) fn new(waker: Waker) -> Arc<Self> {
        Arc::new(Self {
            node: Node::new(),
            waker: UnsafeCell::new(Some(waker)),
        })
    }

    /// For a wait after the last: one that nobody else has a count of.
    pub(crate) fn again(old: Option<Arc<Self>>, waker: Waker) -> Arc<Self> {
        match old {
            Some(mut old) => match Arc::get_mut(&mut old) {
                Some(only) => {
                    *only.waker.get_mut() = Some(waker);
                    old
                }
                None => Self::new(waker),
            },
            None => Self::new(waker),
        }
    }

    /// Stands in the queue; its message lies at `slot`, if it sends.
    pub(crate) fn enqueue<T>(
        self: &Arc<Self>,
        guard: &mut Guard<'_, T>,
        side: Side,
        is_first: bool,
        slot: *mut (),
        wakes: &mut Wakes,
    ) {
        self.prepare(slot);
        let queue = guard.queue(side);
        if is_first {
            // SAFETY: 1. on the heap, by the count that `prepare` made.
            unsafe { queue.push_front(&self.node) };
        } else {
            // SAFETY: 1. as above.
            unsafe { queue.push(&self.node) };
        }
        guard.tell_watchers(wakes);
    }

    /// Makes the queue's count. The node is in no queue yet.
    pub(crate) fn prepare(self: &Arc<Self>, slot: *mut ()) {
        let counted = Arc::into_raw(self.clone());
        let tagged = counted.wrapping_byte_add(POLLED).cast::<Wait>();
        self.node.prepare(tagged, slot);
    }

    pub(crate) fn node(&self) -> &Node {
        &self.node
    }

    /// Takes the node out, if it is in; under the lock. The queue's count is
    /// to be dropped after it. None: it has been claimed, with this deal.
    pub(crate) fn leave<T>(
        self: &Arc<Self>,
        guard: &mut Guard<'_, T>,
        side: Side,
    ) -> Result<Arc<Self>, Deal> {
        if !self.node.is_in() {
            return Err(self.node.deal.get());
        }
        guard.queue(side).remove(&self.node);
        // SAFETY: 1. taken out just now.
        Ok(unsafe { self.take_count() })
    }

    /// # Safety
    /// 1. The node has been taken out of its queue by the caller, which is
    ///    its owner, under the lock.
    pub(crate) unsafe fn take_count(self: &Arc<Self>) -> Arc<Self> {
        // SAFETY: 1. the count that `prepare` made.
        unsafe { Arc::from_raw(Arc::as_ptr(self)) }
    }

    /// The deal, if it has been claimed. If not, `waker` is woken from here
    /// on; `lock` takes the lock.
    pub(crate) fn deal<L>(&self, waker: &Waker, lock: impl Fn() -> L) -> Option<Deal> {
        let mut new = None;
        // Wakers are made and dropped without the lock: their code is not
        // ours, and may use the channel.
        loop {
            let guard = lock();
            if !self.node.is_in() {
                return Some(self.node.deal.get());
            }
            // SAFETY: invariant 2: it is in, and the lock is held.
            let mine = unsafe { &mut *self.waker.get() };
            if mine.as_ref().is_some_and(|mine| mine.will_wake(waker)) {
                return None;
            }
            if new.is_some() {
                std::mem::swap(mine, &mut new);
                drop(guard);
                return None;
            }
            drop(guard);
            new = Some(waker.clone());
        }
    }
}

/// The unpark that a claim owes, with the claim's count.
///
/// # Safety
/// 1. `wait` is of a `Polled`'s node, which the caller claimed; called once.
#[cold]
pub(crate) unsafe fn wake(wait: *const Wait) {
    let polled = wait.wrapping_byte_sub(POLLED).cast::<Polled>();
    // SAFETY: 1. the count that `prepare` made.
    let polled = unsafe { Arc::from_raw(polled) };
    // SAFETY: invariant 2: between the claim and this it is ours.
    let waker = unsafe { &mut *polled.waker.get() }.take();
    // First, so that the owner may find itself the only one.
    drop(polled);
    wake_quietly(waker);
}

/// Wakes a future. A panic of its executor, which the hook has shown, is not
/// for the goroutine that sent a message; others must be woken after it.
pub(crate) fn wake_quietly(waker: Option<Waker>) {
    let Some(waker) = waker else { return };
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| waker.wake())) {
        std::mem::forget(payload);
    }
}
