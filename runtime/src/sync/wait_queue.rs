//! Goroutines and threads that wait for one thing, first come, first woken.
//!
//! An intrusive list: each waiter's node lies on its own stack. The list is
//! used under its owner's lock alone; wakes are paid for after it.

use crate::shim::{Cell, Mutex, MutexGuard, Reason, WOKEN, Wait};
use std::marker::PhantomPinned;
use std::pin::Pin;
use std::ptr::{self, NonNull};

/// Nodes in order of their coming.
///
/// Invariants
/// 1. A node is in the list from `wait` until somebody takes it out under
///    the lock: a waker, or its own waiter on its way out. A waiter does not
///    leave before its node is out, and if a waker settled it, not before
///    that waker's unpark; so every node that is seen is alive.
/// 2. Cells of a node are used under the lock, except `next` of nodes that a
///    waker has taken out and settled, which are that waker's.
#[derive(Debug)]
pub(crate) struct WaitQueue {
    first: *const Node,
    last: *const Node,
}

// SAFETY: nodes are reached under the owner's lock; see the invariants.
unsafe impl Send for WaitQueue {}

#[derive(Debug)]
struct Node {
    wait: Wait,
    previous: Cell<*const Node>,
    next: Cell<*const Node>,
    is_in: Cell<bool>,
    _pinned: PhantomPinned,
}

impl WaitQueue {
    pub(crate) const fn new() -> Self {
        Self {
            first: ptr::null(),
            last: ptr::null(),
        }
    }

    fn push(&mut self, node: Pin<&Node>) {
        let this = ptr::from_ref(node.get_ref());
        node.previous.set(self.last);
        node.next.set(ptr::null());
        node.is_in.set(true);
        // SAFETY: invariant 1.
        match unsafe { self.last.as_ref() } {
            Some(last) => last.next.set(this),
            None => self.first = this,
        }
        self.last = this;
    }

    fn remove(&mut self, node: &Node) {
        node.is_in.set(false);
        let (previous, next) = (node.previous.get(), node.next.get());
        // SAFETY: invariant 1.
        match unsafe { previous.as_ref() } {
            Some(previous) => previous.next.set(next),
            None => self.first = next,
        }
        // SAFETY: invariant 1.
        match unsafe { next.as_ref() } {
            Some(next) => next.previous.set(previous),
            None => self.last = previous,
        }
    }

    /// Takes everybody out whose wait has not ended otherwise.
    #[must_use = "they are owed their wakes"]
    pub(crate) fn take_all(&mut self) -> Woken {
        let mut woken = Woken::default();
        // SAFETY: invariant 1.
        while let Some(node) = unsafe { self.first.as_ref() } {
            self.remove(node);
            if node.wait.settle(WOKEN) {
                woken.push(node);
            }
        }
        woken
    }
}

/// Waiters taken out and settled; `wake` them after the lock.
#[derive(Debug, Default)]
pub(crate) struct Woken {
    first: Option<NonNull<Node>>,
    last: Option<NonNull<Node>>,
}

impl Woken {
    fn push(&mut self, node: &Node) {
        node.next.set(ptr::null());
        let this = NonNull::from(node);
        match self.last.replace(this) {
            // SAFETY: settled and not woken, so alive (invariant 1).
            Some(last) => unsafe { last.as_ref() }.next.set(this.as_ptr()),
            None => self.first = Some(this),
        }
    }

    /// Wakes them in order.
    pub(crate) fn wake(mut self) {
        while let Some(node) = self.first {
            // SAFETY: settled and not woken, so alive (invariant 1).
            let node = unsafe { node.as_ref() };
            // Read first: once woken it may be gone.
            self.first = NonNull::new(node.next.get().cast_mut());
            // SAFETY: 1. `take_all` settled it, and this is the only wake.
            unsafe { node.wait.unpark() };
        }
    }
}

/// Waits in the queue of `owner`, whose lock is `guard`, until a waker comes
/// or `deadline`. Whether a waker came.
pub(crate) fn wait<T>(
    owner: &Mutex<T>,
    mut guard: MutexGuard<'_, T>,
    queue: impl Fn(&mut T) -> &mut WaitQueue,
    reason: Reason,
    deadline: Option<u64>,
) -> bool {
    /// Takes the node out however the park ends, by shutdown too.
    struct Leave<'a, T, Q: Fn(&mut T) -> &mut WaitQueue>(&'a Mutex<T>, Q, &'a Node);

    impl<T, Q: Fn(&mut T) -> &mut WaitQueue> Drop for Leave<'_, T, Q> {
        fn drop(&mut self) {
            let mut guard = self.0.lock();
            if self.2.is_in.get() {
                (self.1)(&mut guard).remove(self.2);
            }
        }
    }

    let node = Node {
        wait: Wait::new(),
        previous: Cell::new(ptr::null()),
        next: Cell::new(ptr::null()),
        is_in: Cell::new(false),
        _pinned: PhantomPinned,
    };
    // SAFETY: a local that is not moved from here on.
    let pinned = unsafe { Pin::new_unchecked(&node) };
    queue(&mut guard).push(pinned);
    let leave = Leave(owner, queue, &node);
    drop(guard);
    let outcome = node.wait.park(reason, deadline);
    if outcome == WOKEN {
        // Its waker took it out.
        std::mem::forget(leave);
    }
    outcome == WOKEN
}
