//! One plain send or receive: tried, waited for, taken back.

use crate::channel::{CHECKS, Channel, Guard, Side, Step};
use crate::shim::{Bare, Parker, Reason, WOKEN, Wait, checkpoint_as, poll_point};
use crate::waiter::{Deal, Node, Wakes};
use std::cell::{Cell, UnsafeCell};
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ptr::{self, NonNull};

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    Done,
    Closed,
    /// It stands in the queue: park.
    Parks,
    /// It was not to wait, or not longer.
    Late,
}

/// A message on its way between the caller and a channel, on the caller's
/// stack.
///
/// Invariants
/// 1. Once it stands in a queue it does not move, and its `Drop` takes it out.
/// 2. Its wait is a bare one if a goroutine waits and no timer may end it: then
///    `wait` is not used while it stands in a queue.
/// 3. `is_full` says whether `slot` holds a message that is ours to drop. For
///    as long as it is in a queue, who claims it decides over the slot.
pub(crate) struct Waiting<'a, T, const SENDS: bool> {
    channel: &'a Channel<T>,
    is_full: Cell<bool>,
    is_queued: Cell<bool>,
    /// A partner drew back: next time to the front of the queue.
    is_first: Cell<bool>,
    node: UnsafeCell<MaybeUninit<Node>>,
    wait: UnsafeCell<MaybeUninit<Wait>>,
    slot: UnsafeCell<MaybeUninit<T>>,
}

impl<'a, T> Waiting<'a, T, true> {
    #[inline(always)]
    pub(crate) fn to_send(channel: &'a Channel<T>, message: T) -> Self {
        Self {
            channel,
            is_full: Cell::new(true),
            is_queued: Cell::new(false),
            is_first: Cell::new(false),
            node: UnsafeCell::new(MaybeUninit::uninit()),
            wait: UnsafeCell::new(MaybeUninit::uninit()),
            slot: UnsafeCell::new(MaybeUninit::new(message)),
        }
    }
}

impl<'a, T> Waiting<'a, T, false> {
    #[inline(always)]
    pub(crate) fn to_recv(channel: &'a Channel<T>) -> Self {
        Self {
            channel,
            is_full: Cell::new(false),
            is_queued: Cell::new(false),
            is_first: Cell::new(false),
            node: UnsafeCell::new(MaybeUninit::uninit()),
            wait: UnsafeCell::new(MaybeUninit::uninit()),
            slot: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }
}

impl<'a, T, const SENDS: bool> Waiting<'a, T, SENDS> {
    const SIDE: Side = if SENDS { Side::Send } else { Side::Recv };

    /// From now on before all others in the queue.
    pub(crate) fn go_first(&self) {
        self.is_first.set(true);
    }

    fn slot(&self) -> NonNull<T> {
        // SAFETY: the address of a field is not null.
        unsafe { NonNull::new_unchecked(self.slot.get().cast::<T>()) }
    }

    /// The message: sent in vain, or received.
    #[inline(always)]
    pub(crate) fn into_message(self) -> T {
        debug_assert!(self.is_full.get(), "no message to take");
        let this = ManuallyDrop::new(self);
        // SAFETY: it is full, and not used again.
        unsafe { this.slot().read() }
    }

    fn step(&self, guard: &mut Guard<'_, T>, wakes: &mut Wakes) -> Step {
        match Self::SIDE {
            // SAFETY: 1. a sender's slot is full until `Done`.
            Side::Send => unsafe { guard.try_put(self.slot(), wakes) },
            // SAFETY: 1. a receiver's slot is empty until `Done`.
            Side::Recv => unsafe { guard.try_take(self.slot(), wakes) },
        }
    }

    #[inline]
    fn moved(&self) -> Progress {
        self.is_full.set(!SENDS);
        Progress::Done
    }

    /// Moves the message, if the channel is calm; else the guard comes back.
    #[inline(always)]
    fn move_calmly(&self, guard: Guard<'a, T>) -> Result<(), Guard<'a, T>> {
        match Self::SIDE {
            // SAFETY: 1. a sender's slot is full until it is moved. 2. by the
            // callers.
            Side::Send => unsafe { guard.put_calmly(self.slot()) },
            // SAFETY: 1. a receiver's slot is empty. 2. by the callers.
            Side::Recv => unsafe { guard.take_calmly(self.slot()) },
        }
    }

    /// Tries once; may wait for a selection that has been won but not
    /// completed.
    #[inline]
    pub(crate) fn try_now(&self) -> Progress {
        match self.move_calmly(self.channel.lock()) {
            Ok(()) => self.moved(),
            Err(guard) => self.try_further(guard),
        }
    }

    #[inline(never)]
    fn try_further(&self, guard: Guard<'a, T>) -> Progress {
        self.advance(guard, |_, _| Progress::Late)
    }

    /// Tries, and if it must wait, stands in the queue when this returns.
    ///
    /// Not inlined: so the code around the park is short where it is inlined.
    #[inline(never)]
    pub(crate) fn begin(&self) -> Progress {
        // First of all: a rendezvous needs fewer registers than a buffer, and
        // so less to save and restore.
        if self.channel.capacity() == 0 {
            return self.begin_rendezvous();
        }
        let me = self.arrive();
        match self.move_calmly(self.channel.lock()) {
            Ok(()) => self.moved(),
            Err(guard) => self.begin_further(guard, me),
        }
    }

    #[inline(never)]
    fn begin_rendezvous(&self) -> Progress {
        let me = self.arrive();
        let guard = self.channel.lock();
        if guard.is_calm_rendezvous() {
            self.meet(guard, me)
        } else {
            self.begin_further(guard, me)
        }
    }

    /// As `begin`, for a wait that is not bare: a timer may end it.
    fn begin_timed(&self) -> Progress {
        let _me = self.arrive();
        match self.move_calmly(self.channel.lock()) {
            Ok(()) => self.moved(),
            Err(guard) => self.begin_further(guard, None),
        }
    }

    /// Before all else: who calls, if it is a goroutine that may wait.
    #[inline(always)]
    fn arrive(&self) -> Option<Parker> {
        if SENDS && self.channel.is_unbounded() {
            // It never waits, so its caller may hold a lock.
            poll_point();
            None
        } else {
            checkpoint_as()
        }
    }

    /// Not inlined: it would make everybody save registers who comes by.
    #[inline(never)]
    fn begin_further(&self, guard: Guard<'a, T>, me: Option<Parker>) -> Progress {
        self.advance(guard, |guard, wakes| {
            self.enqueue(guard, wakes, me);
            Progress::Parks
        })
    }

    /// As `begin_further`, of a calm rendezvous.
    #[inline(always)]
    fn meet(&self, mut guard: Guard<'a, T>, me: Option<Parker>) -> Progress {
        let Some(partner) = guard.partners(Self::SIDE).claim() else {
            self.stand_in_line(&mut guard, me);
            guard.unlock_rendezvous();
            return Progress::Parks;
        };
        // SAFETY: claimed and not unparked yet.
        let node = unsafe { partner.as_ref() };
        let deal = if SENDS {
            node.foresee(me, ptr::from_ref(self.channel).cast());
            if !node.takes_now() {
                return self.meet_selection(guard, partner, me);
            }
            guard.stamp(node);
            // SAFETY: a sender's slot is full, and `moved` says that it is not
            // any more.
            let message = unsafe { self.slot().read() };
            // SAFETY: 1. claimed just now, at a channel of T, and it takes.
            unsafe { node.give(message) }
        } else {
            let Some(from) = node.slot::<T>() else {
                return self.meet_selection(guard, partner, me);
            };
            // SAFETY: the sender's slot is full and waits.
            let message = unsafe { from.read() };
            // SAFETY: a receiver's slot is empty.
            unsafe { self.slot().write(message) };
            Deal::Done
        };
        node.deal.set(deal);
        guard.unlock_rendezvous();
        // SAFETY: 1. claimed above, and unparked here alone.
        unsafe { Node::unpark(partner) };
        self.moved()
    }

    #[cold]
    #[inline(never)]
    fn meet_selection(
        &self,
        guard: Guard<'a, T>,
        partner: NonNull<Node>,
        me: Option<Parker>,
    ) -> Progress {
        self.pair(guard, partner, Wakes::none())
            .unwrap_or_else(|| self.begin_further(self.channel.lock(), me))
    }

    /// Tries; where it would have to wait, `otherwise` says what to do, under
    /// the lock.
    #[inline(always)]
    fn advance(
        &self,
        mut guard: Guard<'a, T>,
        otherwise: impl Fn(&mut Guard<'_, T>, &mut Wakes) -> Progress,
    ) -> Progress {
        loop {
            let mut wakes = Wakes::none();
            match self.step(&mut guard, &mut wakes) {
                Step::Done => {
                    drop(guard);
                    wakes.wake();
                    return self.moved();
                }
                Step::Wait => {
                    let progress = otherwise(&mut guard, &mut wakes);
                    drop(guard);
                    wakes.wake();
                    return progress;
                }
                Step::Closed => return Progress::Closed,
                Step::Pair(partner) => {
                    if let Some(progress) = self.pair(guard, partner, wakes) {
                        return progress;
                    }
                    guard = self.channel.lock();
                }
            }
        }
    }

    /// The node and the wait, made now: a bare one of `me`. Both are reached by
    /// raw pointers into their cells, from here and from the queues alike.
    #[inline]
    fn prepare(&self, me: Option<Parker>) -> &Node {
        let node = self.node.get().cast::<Node>();
        // SAFETY: not in use: it stands in no queue.
        unsafe { node.write(Node::new()) };
        // SAFETY: written just now.
        let node = unsafe { &*node };
        let slot = self.slot().as_ptr().cast();
        match me.and_then(Bare::of) {
            Some(bare) => node.prepare_bare(bare, slot),
            None => node.prepare(self.prepare_wait(), slot),
        }
        node
    }

    #[cold]
    #[inline(never)]
    fn prepare_wait(&self) -> *const Wait {
        let wait = self.wait.get().cast::<Wait>();
        // SAFETY: not in use: it stands in no queue.
        unsafe { wait.write(Wait::new()) };
        wait
    }

    #[inline]
    fn enqueue(&self, guard: &mut Guard<'_, T>, wakes: &mut Wakes, me: Option<Parker>) {
        self.stand_in_line(guard, me);
        guard.tell_watchers(wakes);
    }

    #[inline]
    fn stand_in_line(&self, guard: &mut Guard<'_, T>, me: Option<Parker>) {
        let node = self.prepare(me);
        self.is_queued.set(true);
        let queue = guard.queue(Self::SIDE);
        if self.is_first.get() {
            // SAFETY: 1. invariant 1.
            unsafe { queue.push_front(node) };
        } else {
            // SAFETY: 1. invariant 1.
            unsafe { queue.push(node) };
        }
    }

    fn node(&self) -> &Node {
        debug_assert!(self.is_queued.get(), "no node");
        // SAFETY: written by `prepare`, which came first.
        unsafe { &*self.node.get().cast::<Node>() }
    }

    fn wait(&self) -> &Wait {
        debug_assert!(self.is_queued.get(), "no wait");
        // SAFETY: written by `prepare`, which came first.
        unsafe { &*self.wait.get().cast::<Wait>() }
    }

    fn reason(&self) -> Reason {
        match Self::SIDE {
            Side::Send => Reason::ChanSend,
            Side::Recv => Reason::ChanReceive,
        }
    }

    /// Parks until somebody has claimed it, and goes on.
    #[inline(always)]
    pub(crate) fn park(&self) -> Progress {
        let Some(bare) = self.node().bare() else {
            return self.park_until(None);
        };
        // SAFETY: 1. it lies on the stack of who made it in `prepare`, and
        // stands in the queue of its side. 2. that is what `leave` does.
        unsafe { bare.park(self.reason(), &|| self.leave()) };
        if matches!(self.node().deal.get(), Deal::Done) {
            self.node().ends();
            self.is_queued.set(false);
            return self.moved();
        }
        self.go_on()
    }

    /// As `park`, by a thread, or until `deadline` at most.
    #[inline(never)]
    fn park_until(&self, deadline: Option<u64>) -> Progress {
        if self.wait().park(self.reason(), deadline) == WOKEN {
            return self.go_on();
        }
        self.leave();
        self.is_queued.set(false);
        Progress::Late
    }

    /// Somebody has claimed it.
    #[inline(never)]
    fn go_on(&self) -> Progress {
        let (deal, is_bare) = (self.node().deal.get(), self.node().bare().is_some());
        self.node().ends();
        if CHECKS {
            assert!(!self.node().is_in(), "woken while it stands in line");
        }
        self.is_queued.set(false);
        match deal {
            Deal::Done => self.moved(),
            Deal::Closed => Progress::Closed,
            Deal::Retry => {
                self.go_first();
                // Waits as before.
                if is_bare {
                    self.begin()
                } else {
                    self.begin_timed()
                }
            }
            other => unreachable!("a wake without a claim: {other:?}"),
        }
    }

    /// All of it, until `deadline` at most.
    pub(crate) fn run_until(&self, deadline: u64) -> Progress {
        let mut progress = self.begin_timed();
        while progress == Progress::Parks {
            progress = self.park_until(Some(deadline));
        }
        progress
    }

    /// All of it, inlined where it parks: `docs/decisions/returns.md`.
    #[inline(always)]
    pub(crate) fn run(&self) -> Progress {
        let mut progress = self.begin();
        while progress == Progress::Parks {
            progress = self.park();
        }
        progress
    }

    /// Waits for the selection that owns `partner` to complete the move, or
    /// to draw back: then none. Whatever comes, as the selection knows where
    /// our message lies.
    #[cold]
    #[inline(never)]
    fn pair(
        &self,
        guard: Guard<'_, T>,
        partner: NonNull<Node>,
        mut wakes: Wakes,
    ) -> Option<Progress> {
        let node = self.prepare(None);
        // SAFETY: written by `prepare`.
        let wait = unsafe { &*self.wait.get().cast::<Wait>() };
        // For the selection, which owes the unpark from here on.
        let is_first = wait.settle(WOKEN);
        debug_assert!(is_first, "nobody else has it");
        // SAFETY: claimed and not unparked yet.
        wakes.push(unsafe { partner.as_ref() }, Deal::Peer(NonNull::from(node)));
        drop(guard);
        wakes.wake();
        let _woken = wait.park_firmly(self.reason());
        match node.deal.get() {
            Deal::Done => Some(self.moved()),
            _ => {
                self.go_first();
                None
            }
        }
    }

    /// Out of the queue. `false`: somebody has taken it out already.
    pub(crate) fn leave(&self) -> bool {
        let node = self.node();
        let mut guard = self.channel.lock();
        let is_in = node.is_in();
        if is_in {
            guard.queue(Self::SIDE).remove(node);
            self.is_queued.set(false);
        }
        if is_in || node.bare().is_none() {
            node.ends();
        }
        is_in
    }
}

impl<T, const SENDS: bool> Drop for Waiting<'_, T, SENDS> {
    #[inline(always)]
    fn drop(&mut self) {
        if self.is_queued.get() {
            self.leave();
        }
        if self.is_full.get() {
            // SAFETY: it is full, and not used again.
            unsafe { self.slot().drop_in_place() };
        }
    }
}
