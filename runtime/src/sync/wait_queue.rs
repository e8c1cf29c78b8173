//! Goroutines and threads that wait for one thing, first come, first woken.
//!
//! An intrusive list: each waiter's node lies on its own stack. The list is
//! used under its owner's lock alone; wakes are paid for after it.

use crate::shim::{Cell, Mutex, MutexGuard, Reason, WOKEN, Wait};
use std::marker::PhantomPinned;
use std::pin::Pin;
use std::ptr::{self, NonNull};

/// Nodes in order of their coming: a ring, of which the first is known.
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
}

// SAFETY: nodes are reached under the owner's lock; see the invariants.
unsafe impl Send for WaitQueue {}

#[derive(Debug)]
struct Node {
    wait: Wait,
    request: usize,
    ticket: u64,
    previous: Cell<*const Node>,
    next: Cell<*const Node>,
    is_in: Cell<bool>,
    _pinned: PhantomPinned,
}

/// Where a waiter stands in line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Last,
    /// It has waited here before.
    First,
}

/// How one stands in line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) place: Place,
    /// What is asked for, where that differs from one to the next.
    pub(crate) request: usize,
    /// By which one may be found, where that is done.
    pub(crate) ticket: u64,
    pub(crate) reason: Reason,
    pub(crate) until: Until,
}

impl Entry {
    /// At the end of the line, where all ask for the same.
    pub(crate) fn last(reason: Reason, until: impl Into<Until>) -> Self {
        Self {
            place: Place::Last,
            request: 1,
            ticket: 0,
            reason,
            until: until.into(),
        }
    }
}

/// What ends a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// A waker, or shutdown, which unwinds.
    Woken,
    /// As above, or the deadline.
    Deadline(u64),
    /// A waker alone.
    Firmly,
}

impl From<Option<u64>> for Until {
    fn from(deadline: Option<u64>) -> Self {
        deadline.map_or(Self::Woken, Self::Deadline)
    }
}

/// What the owner's lock guards: a queue, perhaps beside a state.
pub(crate) trait Waiters {
    fn queue(&mut self) -> &mut WaitQueue;

    /// One who stood in line gave up and is out. Those behind may be due.
    fn gave_up(&mut self) -> Woken {
        Woken::default()
    }
}

impl Waiters for WaitQueue {
    fn queue(&mut self) -> &mut WaitQueue {
        self
    }
}

impl WaitQueue {
    pub(crate) const fn new() -> Self {
        Self { first: ptr::null() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_null()
    }

    fn push(&mut self, node: Pin<&Node>, place: Place) {
        let node = node.get_ref();
        let this = ptr::from_ref(node);
        node.is_in.set(true);
        // SAFETY: invariant 1.
        let Some(first) = (unsafe { self.first.as_ref() }) else {
            node.previous.set(this);
            node.next.set(this);
            self.first = this;
            return;
        };
        let last = first.previous.get();
        node.previous.set(last);
        node.next.set(first);
        first.previous.set(this);
        // SAFETY: invariant 1.
        unsafe { &*last }.next.set(this);
        if place == Place::First {
            self.first = this;
        }
    }

    fn remove(&mut self, node: &Node) {
        node.is_in.set(false);
        let this = ptr::from_ref(node);
        let (previous, next) = (node.previous.get(), node.next.get());
        if next == this {
            self.first = ptr::null();
            return;
        }
        // SAFETY: invariant 1.
        unsafe { &*previous }.next.set(next);
        // SAFETY: invariant 1.
        unsafe { &*next }.previous.set(previous);
        if self.first == this {
            self.first = next;
        }
    }

    /// What the first in line asks for. Its wait may have ended otherwise;
    /// then it will be gone, or take itself out and say so.
    pub(crate) fn first_request(&self) -> Option<usize> {
        // SAFETY: invariant 1.
        unsafe { self.first.as_ref() }.map(|node| node.request)
    }

    /// Takes the first in line out, and ends its wait with [`WOKEN`] if it has
    /// not ended otherwise. Whether it has.
    pub(crate) fn wake_front(&mut self, woken: &mut Woken) -> bool {
        // SAFETY: invariant 1.
        let Some(node) = (unsafe { self.first.as_ref() }) else {
            return false;
        };
        self.remove(node);
        let is_woken = node.wait.settle(WOKEN);
        if is_woken {
            woken.push(node);
        }
        is_woken
    }

    /// Takes out whoever came first of those whose wait has not ended
    /// otherwise, and ends it with `outcome`, [`WOKEN`] or above.
    #[must_use = "it is owed its wake"]
    pub(crate) fn take_first(&mut self, outcome: u32) -> Woken {
        let mut woken = Woken::default();
        // SAFETY: invariant 1.
        while let Some(node) = unsafe { self.first.as_ref() } {
            self.remove(node);
            if node.wait.settle(outcome) {
                woken.push(node);
                break;
            }
        }
        woken
    }

    /// As `take_first`, for the one with this ticket, if it is there. It
    /// takes longer the longer the line is.
    #[must_use = "it is owed its wake"]
    pub(crate) fn take(&mut self, ticket: u64, outcome: u32) -> Woken {
        let mut woken = Woken::default();
        let mut at = self.first;
        // SAFETY: invariant 1.
        while let Some(node) = unsafe { at.as_ref() } {
            let next = node.next.get();
            if node.ticket == ticket {
                self.remove(node);
                if node.wait.settle(outcome) {
                    woken.push(node);
                }
                break;
            }
            at = if next == self.first {
                ptr::null()
            } else {
                next
            };
        }
        woken
    }

    /// As `take_first`, for all of them.
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
    count: u32,
}

impl Woken {
    pub(crate) fn is_nobody(&self) -> bool {
        self.first.is_none()
    }

    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    fn push(&mut self, node: &Node) {
        self.count += 1;
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
            // SAFETY: 1. who took it out settled it, and this is the only
            // wake.
            unsafe { Wait::unpark(&raw const node.wait) };
        }
    }
}

/// Waits in the queue of `owner`, whose lock is `guard`, until a waker comes
/// or `until` says. What the waker chose as the outcome, [`WOKEN`] or above;
/// `None` at the deadline.
pub(crate) fn wait<Q: Waiters>(
    owner: &Mutex<Q>,
    guard: MutexGuard<'_, Q>,
    entry: Entry,
) -> Option<u32> {
    wait_after(owner, guard, entry, || ())
}

/// As `wait`; `then` runs once the waiter stands in line and the lock is
/// given up. It must not park: the wake may come already.
pub(crate) fn wait_after<Q: Waiters>(
    owner: &Mutex<Q>,
    mut guard: MutexGuard<'_, Q>,
    entry: Entry,
    then: impl FnOnce(),
) -> Option<u32> {
    /// Takes the node out however the park ends, by shutdown too.
    struct Leave<'a, Q: Waiters>(&'a Mutex<Q>, &'a Node);

    impl<Q: Waiters> Drop for Leave<'_, Q> {
        fn drop(&mut self) {
            let mut owner = self.0.lock();
            if self.1.is_in.get() {
                owner.queue().remove(self.1);
                let woken = owner.gave_up();
                drop(owner);
                woken.wake();
            }
        }
    }

    let node = Node {
        wait: Wait::new(),
        request: entry.request,
        ticket: entry.ticket,
        previous: Cell::new(ptr::null()),
        next: Cell::new(ptr::null()),
        is_in: Cell::new(false),
        _pinned: PhantomPinned,
    };
    // SAFETY: a local that is not moved from here on.
    let pinned = unsafe { Pin::new_unchecked(&node) };
    guard.queue().push(pinned, entry.place);
    let leave = Leave(owner, &node);
    drop(guard);
    then();
    let outcome = match entry.until {
        Until::Woken => node.wait.park(entry.reason, None),
        Until::Deadline(deadline) => node.wait.park(entry.reason, Some(deadline)),
        Until::Firmly => node.wait.park_firmly(entry.reason),
    };
    if outcome < WOKEN {
        return None;
    }
    // Its waker took it out.
    std::mem::forget(leave);
    Some(outcome)
}

/// Takes a lock again whose guard lives on, by `take`. If shutdown unwinds
/// that, takes it firmly, and then lets it unwind.
pub(crate) fn take_again(take: impl Fn(Until)) {
    struct Firmly<F: Fn(Until)>(F);

    impl<F: Fn(Until)> Drop for Firmly<F> {
        fn drop(&mut self) {
            (self.0)(Until::Firmly);
        }
    }

    let firmly = Firmly(take);
    (firmly.0)(Until::Woken);
    std::mem::forget(firmly);
}
