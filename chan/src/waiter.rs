//! A goroutine or thread that waits at a channel, and queues of them.

#[cfg(feature = "futures")]
use crate::polled;
use crate::shim::{Bare, Parker, WOKEN, Wait};
use std::cell::Cell;
use std::fmt;
use std::marker::PhantomPinned;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};

/// What the one who ended a wait has arranged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deal {
    /// Nothing yet.
    Open,
    /// The message has been moved.
    Done,
    /// The channel is closed; nothing was moved.
    Closed,
    /// The partner, a selection, drew back: again, at the front.
    Retry,
    /// To a selection that takes: the message lies in the node's room.
    Message,
    /// To a selection: a message in the buffer, or room there, is kept.
    Promise,
    /// To a selection: the partner is parked until it is completed. Its node.
    Peer(NonNull<Node>),
    /// To a selection: the partner is one too. An `Arc` of their meeting.
    Meeting(NonNull<()>),
    /// To a selection: the time came. Nanoseconds of `clock::now`.
    Time(u64),
    /// To a selection that asks which case is ready: this one was.
    Ready,
}

/// Room for the message of a selection that receives in the same breath as it
/// is chosen: so its sender need not wait for it. A large message lies in a
/// box.
#[derive(Clone, Copy)]
pub(crate) struct Room {
    /// Written and read as a message, by address alone.
    _bytes: [MaybeUninit<u64>; 4],
}

impl Room {
    #[inline]
    pub(crate) const fn new() -> Self {
        Self {
            _bytes: [MaybeUninit::uninit(); 4],
        }
    }

    const fn fits<T>() -> bool {
        size_of::<T>() <= size_of::<Self>() && align_of::<T>() <= align_of::<Self>()
    }

    /// # Safety
    /// 1. It is the caller's to write.
    #[inline]
    pub(crate) unsafe fn put<T>(room: *mut Self, message: T) {
        if Self::fits::<T>() {
            // SAFETY: 1. and it fits.
            unsafe { room.cast::<T>().write(message) };
        } else {
            // SAFETY: 1. and a pointer fits.
            unsafe { room.cast::<Box<T>>().write(Box::new(message)) };
        }
    }

    /// # Safety
    /// 1. A message of this type was put there, and is not taken again.
    #[inline]
    pub(crate) unsafe fn take<T>(mut self) -> T {
        let room = &raw mut self;
        if Self::fits::<T>() {
            // SAFETY: 1.
            unsafe { room.cast::<T>().read() }
        } else {
            // SAFETY: 1.
            *unsafe { room.cast::<Box<T>>().read() }
        }
    }
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Room")
    }
}

/// Beside the address of a `Polled`, which stands where a `Wait`'s would.
pub(crate) const POLLED: usize = 1;
/// Beside that of a `Bare` wait: see [`POLLED`].
const BARE: usize = 2;
const _: () = assert!(align_of::<Wait>() >= 4);

/// A waiter at one side of one channel, on the stack of who waits; or, polled,
/// on the heap (`polled.rs`).
///
/// Invariants
/// 1. While it is in a queue its owner does not leave: the owner takes it out
///    under the lock first. Who takes it out and settles its wait may use it
///    up to the unpark it owes. One that is polled, or of a bare wait, is
///    settled by being taken out: being in is not to be settled.
/// 2. `previous`, `next` and `is_in` are used under the lock of the channel;
///    `next` of a node taken out and settled by who did that.
/// 3. `deal` is written by who settled the wait, before the unpark, and read
///    by the owner after it.
/// 4. `slot`, of a plain waiter, is the place of its message: full in a
///    sender's node, empty in a receiver's, until who settled it moves it.
/// 5. Of a receive of a selection that takes it is its `Room`, which is filled
///    as a plain receiver's slot is, and `deal` says so.
#[derive(Debug)]
pub(crate) struct Node {
    wait: Cell<*const Wait>,
    slot: Cell<*mut ()>,
    pub(crate) deal: Cell<Deal>,
    previous: Cell<*const Node>,
    next: Cell<*const Node>,
    case: Cell<u32>,
    is_in: Cell<bool>,
    /// Its slot is the room of a selection.
    takes: Cell<bool>,
    /// Read by every use of others', written by the end.
    #[cfg(raddle_model)]
    life: raddle_scheduler::model::loom::cell::UnsafeCell<()>,
    _pinned: PhantomPinned,
}

impl Node {
    #[inline]
    pub(crate) fn new() -> Self {
        Self {
            wait: Cell::new(ptr::null()),
            slot: Cell::new(ptr::null_mut()),
            deal: Cell::new(Deal::Open),
            previous: Cell::new(ptr::null()),
            next: Cell::new(ptr::null()),
            case: Cell::new(0),
            is_in: Cell::new(false),
            takes: Cell::new(false),
            #[cfg(raddle_model)]
            life: raddle_scheduler::model::loom::cell::UnsafeCell::new(()),
            _pinned: PhantomPinned,
        }
    }

    /// For a plain waiter, whose message lies, or will lie, at `slot`.
    #[inline]
    pub(crate) fn prepare(&self, wait: *const Wait, slot: *mut ()) {
        self.wait.set(wait);
        self.slot.set(slot);
        self.deal.set(Deal::Open);
    }

    /// As `prepare`, for a bare wait.
    #[inline]
    pub(crate) fn prepare_bare(&self, bare: Bare, slot: *mut ()) {
        let tagged = bare.to_address().wrapping_byte_add(BARE);
        self.prepare(tagged.cast(), slot);
    }

    /// Its wait, if that is a bare one.
    #[inline]
    pub(crate) fn bare(&self) -> Option<Bare> {
        bare(self.wait.get())
    }

    /// For case number `case` of a selection; with a room if it takes.
    pub(crate) fn prepare_case(&self, wait: *const Wait, case: u32, room: Option<*mut Room>) {
        self.wait.set(wait);
        self.case.set(case);
        self.takes.set(room.is_some());
        self.slot
            .set(room.map_or(ptr::null_mut(), <*mut Room>::cast));
        self.deal.set(Deal::Open);
    }

    /// Whether a future waits, and no goroutine or thread.
    #[inline]
    pub(crate) fn is_polled(&self) -> bool {
        is_polled(self.wait.get())
    }

    /// The place of a plain waiter's message; none in a selection.
    #[inline]
    pub(crate) fn slot<T>(&self) -> Option<NonNull<T>> {
        if self.takes.get() {
            return None;
        }
        NonNull::new(self.slot.get().cast())
    }

    /// Whether this receiver, once claimed, has its message with `give`: not
    /// so a selection that completes its receive later.
    #[inline]
    pub(crate) fn takes_now(&self) -> bool {
        !self.slot.get().is_null()
    }

    /// Gives a receiver its message; the deal to tell it.
    ///
    /// # Safety
    /// 1. The node of a receiver at a channel of `T`, claimed and not given
    ///    anything yet, of which `takes_now` holds.
    #[inline]
    pub(crate) unsafe fn give<T>(&self, message: T) -> Deal {
        self.is_used();
        let slot = self.slot.get();
        if self.takes.get() {
            // SAFETY: 1. 1. and its room is empty and waits.
            unsafe { Room::put(slot.cast(), message) };
            return Deal::Message;
        }
        // SAFETY: 1. its slot is empty and waits.
        unsafe { slot.cast::<T>().write(message) };
        Deal::Done
    }

    /// It has been claimed and will be woken at once.
    #[inline]
    pub(crate) fn foresee(&self, me: Option<Parker>, channel: *const ()) {
        if let Some(bare) = self.bare() {
            bare.foresee(me, ptr::from_ref(self).cast(), channel);
        }
    }

    pub(crate) fn is_in(&self) -> bool {
        self.is_in.get()
    }

    /// Ends its wait, by who took it out; `false`: it has ended otherwise.
    ///
    /// # Safety
    /// 1. Under the lock in which it was in the queue.
    #[inline]
    unsafe fn settle(&self) -> bool {
        self.is_used();
        let wait = self.wait.get();
        // SAFETY: 1. its owner is still there, and its wait with it.
        is_settled_by_leaving(wait) || unsafe { &*wait }.settle(self.outcome())
    }

    /// Whether its wait has not ended and is not `own`.
    ///
    /// # Safety
    /// 1. It is in a queue, whose lock is held.
    unsafe fn is_free(&self, own: *const Wait) -> bool {
        let wait = self.wait.get();
        // SAFETY: 1. its owner is still there, and its wait with it.
        is_settled_by_leaving(wait) || !ptr::eq(wait, own) && !unsafe { &*wait }.is_settled()
    }

    /// Pays what a won settlement owes; the node may be gone afterwards.
    ///
    /// # Safety
    /// 1. The caller settled it, and calls this once.
    #[inline]
    pub(crate) unsafe fn unpark(this: NonNull<Self>) {
        // SAFETY: 1. settled and not unparked yet, up to the next line. No
        // reference to it is held longer.
        let wait = unsafe { (*this.as_ptr()).wait.get() };
        #[cfg(raddle_model)]
        // SAFETY: 1. as above.
        unsafe { this.as_ref() }.is_used();
        if let Some(bare) = bare(wait) {
            // SAFETY: 1. to claim it was to take it out.
            return unsafe { bare.unpark() };
        }
        #[cfg(feature = "futures")]
        if is_polled(wait) {
            // SAFETY: 1. the claim's count goes with it.
            return unsafe { polled::wake(wait) };
        }
        // SAFETY: 1.
        unsafe { Wait::unpark(wait) };
    }

    /// Of one that is polled, which is no case: see `Guard::stamp`.
    #[cfg(feature = "futures")]
    pub(crate) fn set_stamp(&self, stamp: u32) {
        self.case.set(stamp);
    }

    #[cfg(feature = "futures")]
    pub(crate) fn stamp(&self) -> u32 {
        self.case.get()
    }

    /// Somebody else uses it: a model fails if its owner may have left.
    #[inline]
    fn is_used(&self) {
        #[cfg(raddle_model)]
        self.life.with(|_| ());
    }

    /// Nobody uses it any more but its owner.
    #[inline]
    pub(crate) fn ends(&self) {
        #[cfg(raddle_model)]
        self.life.with_mut(|_| ());
    }

    /// What its wait ends with when this node's case comes true.
    fn outcome(&self) -> u32 {
        WOKEN + self.case.get()
    }
}

#[inline]
fn is_polled(wait: *const Wait) -> bool {
    cfg!(feature = "futures") && wait.addr() & POLLED != 0
}

#[inline]
fn bare(wait: *const Wait) -> Option<Bare> {
    if wait.addr() & BARE == 0 {
        return None;
    }
    let address = wait.wrapping_byte_sub(BARE).cast_mut().cast();
    // SAFETY: 1. `prepare_bare` put it there.
    Some(unsafe { Bare::from_address(address) })
}

#[inline]
fn is_settled_by_leaving(wait: *const Wait) -> bool {
    wait.addr() & (POLLED | BARE) != 0
}

/// Nodes in order of their coming; used under the channel's lock alone.
#[derive(Debug)]
pub(crate) struct Queue {
    first: *const Node,
    last: *const Node,
}

// SAFETY: nodes are reached under the lock; see `Node`'s invariants.
unsafe impl Send for Queue {}

impl Queue {
    pub(crate) const fn new() -> Self {
        Self {
            first: ptr::null(),
            last: ptr::null(),
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_null()
    }

    /// # Safety
    /// 1. The node does not move, and its owner takes it out before it goes.
    #[inline]
    pub(crate) unsafe fn push(&mut self, node: &Node) {
        node.previous.set(self.last);
        node.next.set(ptr::null());
        node.is_in.set(true);
        // SAFETY: invariant 1 of `Node`.
        match unsafe { self.last.as_ref() } {
            Some(last) => last.next.set(node),
            None => self.first = node,
        }
        self.last = node;
    }

    /// As `push`, before all others.
    ///
    /// # Safety
    /// 1. As `push`.
    pub(crate) unsafe fn push_front(&mut self, node: &Node) {
        node.previous.set(ptr::null());
        node.next.set(self.first);
        node.is_in.set(true);
        // SAFETY: invariant 1 of `Node`.
        match unsafe { self.first.as_ref() } {
            Some(first) => first.previous.set(node),
            None => self.last = node,
        }
        self.first = node;
    }

    /// Takes `node`, which is in, out.
    #[inline]
    pub(crate) fn remove(&mut self, node: &Node) {
        node.is_in.set(false);
        let (previous, next) = (node.previous.get(), node.next.get());
        // SAFETY: invariant 1 of `Node`.
        match unsafe { previous.as_ref() } {
            Some(previous) => previous.next.set(next),
            None => self.first = next,
        }
        // SAFETY: invariant 1 of `Node`.
        match unsafe { next.as_ref() } {
            Some(next) => next.previous.set(previous),
            None => self.last = previous,
        }
    }

    /// As `remove`, of the first.
    #[inline]
    fn remove_first(&mut self, node: &Node) {
        node.is_in.set(false);
        let next = node.next.get();
        self.first = next;
        // SAFETY: invariant 1 of `Node`.
        match unsafe { next.as_ref() } {
            Some(next) => next.previous.set(ptr::null()),
            None => self.last = ptr::null(),
        }
    }

    /// Takes the first out whose wait has not ended otherwise, and settles
    /// it: the caller owes it a deal and the unpark.
    #[inline]
    pub(crate) fn claim(&mut self) -> Option<NonNull<Node>> {
        loop {
            // SAFETY: invariant 1 of `Node`.
            let node = unsafe { self.first.as_ref() }?;
            self.remove_first(node);
            // SAFETY: 1. it was in the queue, and the lock is held.
            if unsafe { node.settle() } {
                return Some(NonNull::from(node));
            }
        }
    }

    /// Whether somebody is in it whose wait has not ended and is not `own`.
    pub(crate) fn has_partner(&self, own: Option<&Wait>) -> bool {
        let own = own.map_or(ptr::null(), ptr::from_ref);
        let mut at = self.first;
        // SAFETY: invariant 1 of `Node`.
        while let Some(node) = unsafe { at.as_ref() } {
            // SAFETY: 1. it is in the queue.
            if unsafe { node.is_free(own) } {
                return true;
            }
            at = node.next.get();
        }
        false
    }

    /// Claims all, each with this deal.
    pub(crate) fn claim_all(&mut self, deal: Deal, wakes: &mut Wakes) {
        while let Some(node) = self.claim() {
            // SAFETY: claimed and not unparked yet.
            wakes.push(unsafe { node.as_ref() }, deal);
        }
    }
}

/// Waiters that have been settled, to be unparked after the lock.
#[derive(Debug)]
#[must_use = "they are owed their unparks"]
pub(crate) struct Wakes {
    first: *const Node,
    last: *const Node,
}

impl Wakes {
    #[inline]
    pub(crate) const fn none() -> Self {
        Self {
            first: ptr::null(),
            last: ptr::null(),
        }
    }

    /// A claimed node and what was arranged for it.
    #[inline]
    pub(crate) fn push(&mut self, node: &Node, deal: Deal) {
        node.deal.set(deal);
        node.next.set(ptr::null());
        // SAFETY: claimed and not unparked yet.
        match unsafe { self.last.as_ref() } {
            Some(last) => last.next.set(node),
            None => self.first = node,
        }
        self.last = node;
    }

    /// Unparks them in order; not under a lock.
    #[inline]
    pub(crate) fn wake(self) {
        let mut at = NonNull::new(self.first.cast_mut());
        while let Some(node) = at {
            // SAFETY: claimed and not unparked yet. Read first: once unparked
            // it may be gone.
            at = NonNull::new(unsafe { node.as_ref() }.next.get().cast_mut());
            // SAFETY: 1. claimed by who pushed it; each is unparked once.
            unsafe { Node::unpark(node) };
        }
    }
}
