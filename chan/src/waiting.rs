//! One plain send or receive: tried, waited for, taken back.

use crate::channel::{Channel, Guard, Side, Step};
use crate::shim::{Parker, Reason, WOKEN, Wait, checkpoint_as, poll_point};
use crate::waiter::{Deal, Node, Wakes};
use std::cell::{Cell, UnsafeCell};
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ptr::NonNull;

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    Done,
    Closed,
    /// It stands in the queue: park, then `resume`.
    Parks,
    /// It was not to wait, or not longer.
    Late,
}

/// A message on its way between the caller and a channel, on the caller's
/// stack.
///
/// Invariants
/// 1. Once it stands in a queue it does not move, and its `Drop` takes it out.
/// 2. `is_full` says whether `slot` holds a message that is ours to drop. For
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
    /// Not inlined, as `resume`: so the code around the park is short where
    /// it is inlined.
    #[inline(never)]
    pub(crate) fn begin(&self) -> Progress {
        let me = if SENDS && self.channel.is_unbounded() {
            // It never waits, so its caller may hold a lock.
            poll_point();
            None
        } else {
            checkpoint_as()
        };
        match self.move_calmly(self.channel.lock()) {
            Ok(()) => self.moved(),
            Err(guard) => self.begin_further(guard, me),
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

    /// The node and the wait, made now. Both are reached by raw pointers into
    /// their cells, from here and from the queues alike.
    #[inline]
    fn prepare(&self, me: Option<Parker>) -> &Node {
        // SAFETY: 1. none, or as `checkpoint_as` said in this very call.
        let new = unsafe { Wait::of(me) };
        let wait = self.wait.get().cast::<Wait>();
        // SAFETY: not in use: it stands in no queue.
        unsafe { wait.write(new) };
        let node = self.node.get().cast::<Node>();
        // SAFETY: as above.
        unsafe { node.write(Node::new()) };
        // SAFETY: written just now.
        let node = unsafe { &*node };
        node.prepare(wait, self.slot().as_ptr().cast());
        node
    }

    #[inline]
    fn enqueue(&self, guard: &mut Guard<'_, T>, wakes: &mut Wakes, me: Option<Parker>) {
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
        guard.tell_watchers(wakes);
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

    /// Parks; `resume` with what it returns.
    #[inline(always)]
    pub(crate) fn park(&self) -> u32 {
        // SAFETY: 1. it lies on the stack of who made it in `prepare`, and is
        // not shared.
        unsafe { self.wait().park_own(self.reason()) }
    }

    /// As `park`, until `deadline` at most.
    pub(crate) fn park_until(&self, deadline: u64) -> u32 {
        self.wait().park(self.reason(), Some(deadline))
    }

    /// After the park.
    #[inline(never)]
    pub(crate) fn resume(&self, outcome: u32) -> Progress {
        if outcome == WOKEN {
            let deal = self.node().deal.get();
            self.is_queued.set(false);
            match deal {
                Deal::Done => self.moved(),
                Deal::Closed => Progress::Closed,
                _ => {
                    self.go_first();
                    self.begin()
                }
            }
        } else {
            self.leave();
            Progress::Late
        }
    }

    /// All of it, until `deadline` at most.
    pub(crate) fn run_until(&self, deadline: u64) -> Progress {
        let mut progress = self.begin();
        while progress == Progress::Parks {
            progress = self.resume(self.park_until(deadline));
        }
        progress
    }

    /// All of it, inlined where it parks: `docs/decisions/returns.md`.
    #[inline(always)]
    pub(crate) fn run(&self) -> Progress {
        let mut progress = self.begin();
        while progress == Progress::Parks {
            progress = self.resume(self.park());
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

    /// Out of the queue, if it is still there.
    fn leave(&self) {
        let node = self.node();
        let mut guard = self.channel.lock();
        if node.is_in() {
            guard.queue(Self::SIDE).remove(node);
        }
        drop(guard);
        self.is_queued.set(false);
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
