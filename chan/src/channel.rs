//! A channel: the buffer and the queues of those who wait, under one lock.

use crate::buffer::Buffer;
use crate::lock::{CALM, CAN_RECV, CAN_SEND, Key, WAITED, Word};
use crate::waiter::{Deal, Node, Queue, Wakes};
use std::cell::UnsafeCell;
#[cfg(feature = "futures")]
use std::collections::VecDeque;
use std::ptr::NonNull;

/// Which end of a channel somebody stands at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Send,
    Recv,
}

/// In tests and models what the word says of the state is compared with it.
pub(crate) const CHECKS: bool = cfg!(any(debug_assertions, raddle_model));

/// Somebody called `close`.
pub(crate) const BY_CALL: u8 = 1;
pub(crate) const NO_SENDERS: u8 = 2;
pub(crate) const NO_RECEIVERS: u8 = 4;

/// Rendezvous (capacity 0), bounded and unbounded channels alike.
///
/// Invariants, whenever the lock is free
/// 1. While a message is available nobody waits to receive, and while there
///    is room nobody waits to send; in a rendezvous only one side waits.
///    Waiters whose wait has ended otherwise do not count.
/// 2. A closed channel takes no more messages, and nobody waits at it.
/// 3. *Kept*: a selection that won a message of the buffer, or room in it,
///    completes later. Until then `kept_messages` of the buffer's messages
///    count as received, and `kept_room` places as taken. Messages leave the
///    buffer in order, whoever takes them; and while room is kept nobody
///    passes a message from hand to hand by it.
/// 4. Whoever ended a wait under the lock pays the unpark after it.
/// 5. *Returned*: a message that was handed to a future, which was dropped, is
///    put back before all others, beyond the capacity too. `returned` has the
///    stamps of such messages, which are the first of the buffer, in order.
// In this order what a rendezvous needs lies side by side.
#[repr(C)]
pub(crate) struct Channel<T> {
    word: Word,
    /// As the program asked; without a limit the greatest number.
    capacity: usize,
    state: UnsafeCell<State<T>>,
    is_unbounded: bool,
}

// SAFETY: the state is used under the lock; messages move between threads.
unsafe impl<T: Send> Send for Channel<T> {}
// SAFETY: as above; no two threads reach one message by reference.
unsafe impl<T: Send> Sync for Channel<T> {}

#[repr(C)]
struct State<T> {
    senders: Queue,
    receivers: Queue,
    buffer: Buffer<T>,
    /// Who asks when a send would not wait, and when a receive would not.
    send_watch: Queue,
    recv_watch: Queue,
    kept_messages: usize,
    kept_room: usize,
    #[cfg(feature = "futures")]
    returned: VecDeque<u32>,
    /// The stamp of the next message that is handed to a future.
    #[cfg(feature = "futures")]
    next_stamp: u32,
    closed: u8,
}

impl<T> State<T> {
    /// The oldest message.
    #[inline]
    fn pop(&mut self) -> Option<T> {
        let message = self.buffer.pop();
        // Behind the pop: the look at the buffer before it is not repeated.
        #[cfg(feature = "futures")]
        if !self.returned.is_empty() {
            self.pop_stamp();
        }
        message
    }

    #[cfg(feature = "futures")]
    #[cold]
    #[inline(never)]
    fn pop_stamp(&mut self) {
        self.returned.pop_front();
    }
}

/// The outcome of a try.
pub(crate) enum Step {
    /// The message was moved.
    Done,
    /// No more messages; it was not moved.
    Closed,
    /// It would have to wait.
    Wait,
    /// A selection waited and is won: it completes the move, so its node is
    /// owed a deal and the unpark, and the caller waits for it.
    Pair(NonNull<Node>),
}

impl<T> Channel<T> {
    /// With a capacity, or without a limit.
    pub(crate) fn new(limit: Option<usize>) -> Self {
        let capacity = limit.unwrap_or(usize::MAX);
        Self {
            word: Word::new(if capacity > 0 { CALM | CAN_SEND } else { CALM }),
            capacity,
            is_unbounded: limit.is_none(),
            state: UnsafeCell::new(State {
                buffer: Buffer::new(capacity),
                senders: Queue::new(),
                receivers: Queue::new(),
                send_watch: Queue::new(),
                recv_watch: Queue::new(),
                kept_messages: 0,
                kept_room: 0,
                #[cfg(feature = "futures")]
                returned: VecDeque::new(),
                #[cfg(feature = "futures")]
                next_stamp: 0,
                closed: 0,
            }),
        }
    }

    pub(crate) fn word(&self) -> &Word {
        &self.word
    }

    #[inline]
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Whether a send into it never waits.
    #[inline]
    pub(crate) fn is_unbounded(&self) -> bool {
        self.is_unbounded
    }

    #[inline]
    pub(crate) fn lock(&self) -> Guard<'_, T> {
        let key = self.word.lock();
        Guard { channel: self, key }
    }

    /// The capacity; none if there is no limit.
    pub(crate) fn limit(&self) -> Option<usize> {
        (!self.is_unbounded).then_some(self.capacity)
    }

    /// How many messages could be received now without a sender's doing.
    pub(crate) fn len(&self) -> usize {
        self.lock().available()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.lock().is_closed()
    }

    /// Closes it for this reason; wakes all who wait. The messages are thrown
    /// away with the last receiver. Whether the reason is new.
    pub(crate) fn close(&self, reason: u8) -> bool {
        let mut wakes = Wakes::none();
        let mut guard = self.lock();
        let state = guard.state_mut();
        let is_new = state.closed & reason == 0;
        state.closed |= reason;
        state.senders.claim_all(Deal::Closed, &mut wakes);
        state.receivers.claim_all(Deal::Closed, &mut wakes);
        let messages = (state.closed & NO_RECEIVERS != 0).then(|| {
            state.kept_messages = 0;
            #[cfg(feature = "futures")]
            state.returned.clear();
            std::mem::replace(&mut state.buffer, Buffer::new(0))
        });
        guard.tell_watchers(&mut wakes);
        drop(guard);
        wakes.wake();
        // Not under the lock: destructors of messages may use the channel.
        if let Some(messages) = messages {
            messages.discard();
        }
        is_new
    }
}

/// The lock of a channel, held.
pub(crate) struct Guard<'a, T> {
    channel: &'a Channel<T>,
    key: Key,
}

impl<T> Drop for Guard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.channel.word.unlock(&self.key, self.bits());
    }
}

impl<'a, T> Guard<'a, T> {
    /// For a lock that the caller holds, with its key.
    pub(crate) fn of_held(channel: &'a Channel<T>, key: Key) -> Self {
        Self { channel, key }
    }

    #[inline]
    fn state(&self) -> &State<T> {
        // SAFETY: the lock is held.
        unsafe { &*self.channel.state.get() }
    }

    #[inline]
    fn state_mut(&mut self) -> &mut State<T> {
        // SAFETY: the lock is held, and `self` borrowed for as long.
        unsafe { &mut *self.channel.state.get() }
    }

    /// See [`CALM`].
    #[inline]
    fn is_calm(&self) -> bool {
        let state = self.state();
        let is_calm = state.closed == 0
            && state.send_watch.is_empty()
            && state.recv_watch.is_empty()
            && state.kept_messages + state.kept_room == 0
            // What was promised to a selection that then drew back, or took
            // another one, lies in the buffer of a rendezvous as well.
            && (self.channel.capacity > 0 || state.buffer.len() == 0);
        #[cfg(feature = "futures")]
        let is_calm = is_calm && state.returned.is_empty();
        is_calm
    }

    /// What the word is to say of the state.
    #[inline]
    fn bits(&self) -> u64 {
        let mut bits = 0;
        if self.can_recv() {
            bits |= CAN_RECV;
        }
        if self.can_send() {
            bits |= CAN_SEND;
        }
        if self.is_calm() {
            bits |= CALM;
        }
        if self.is_waited() {
            bits |= WAITED;
        }
        bits
    }

    /// Unlocks where the bits are known without a look at all of the state.
    #[inline]
    fn unlock_as(self, bits: u64) {
        if CHECKS {
            assert_eq!(bits, self.bits(), "the word would lie");
        }
        self.channel.word.unlock(&self.key, bits);
        std::mem::forget(self);
    }

    /// See [`WAITED`].
    #[inline]
    fn is_waited(&self) -> bool {
        let state = self.state();
        !state.senders.is_empty() || !state.receivers.is_empty()
    }

    /// As the drop, after nothing but the buffer changed of a calm channel
    /// where nobody waits.
    #[inline]
    fn unlock_calm(self) {
        let len = self.state().buffer.len();
        let mut bits = CALM;
        if len > 0 {
            bits |= CAN_RECV;
        }
        if len < self.channel.capacity {
            bits |= CAN_SEND;
        }
        self.unlock_as(bits);
    }

    /// As the drop, after nothing but its queues changed of a calm rendezvous.
    #[inline]
    pub(crate) fn unlock_rendezvous(self) {
        let state = self.state();
        let mut bits = CALM;
        if !state.senders.is_empty() {
            bits |= CAN_RECV | WAITED;
        }
        if !state.receivers.is_empty() {
            bits |= CAN_SEND | WAITED;
        }
        self.unlock_as(bits);
    }

    /// Whether nothing needs a look but who waits. For a lock that has just
    /// been taken.
    #[inline]
    pub(crate) fn is_calm_rendezvous(&self) -> bool {
        let is_it = self.key.found(CALM, CALM) && self.channel.capacity == 0;
        if CHECKS && is_it {
            assert!(self.is_calm(), "the word lied");
        }
        is_it
    }

    /// Sends into a calm channel with room, where nobody waits. The guard
    /// comes back if it is not one, and nothing has happened.
    ///
    /// # Safety
    /// 1. A message lies at `from`; on `Ok` it has been moved away.
    /// 2. The lock has just been taken.
    #[inline]
    pub(crate) unsafe fn put_calmly(mut self, from: NonNull<T>) -> Result<(), Self> {
        if !self.key.found(CALM | WAITED | CAN_SEND, CALM | CAN_SEND) {
            return Err(self);
        }
        if CHECKS {
            let is_so = self.is_calm() && !self.is_waited() && self.has_room();
            assert!(is_so, "the word lied");
        }
        // SAFETY: 1.
        let message = unsafe { from.read() };
        self.state_mut().buffer.push(message);
        self.unlock_calm();
        Ok(())
    }

    /// Receives from a calm channel with a message in it, where nobody waits.
    /// The guard comes back if it is not one, and nothing has happened.
    ///
    /// # Safety
    /// 1. There is room for a message at `to`; on `Ok` one lies there.
    /// 2. The lock has just been taken.
    #[inline]
    pub(crate) unsafe fn take_calmly(mut self, to: NonNull<T>) -> Result<(), Self> {
        if self.key.found(CALM | WAITED | CAN_RECV, CALM | CAN_RECV)
            && let Some(message) = self.state_mut().buffer.pop()
        {
            // SAFETY: 1.
            unsafe { to.write(message) };
            if CHECKS {
                assert!(self.is_calm() && !self.is_waited(), "the word lied");
            }
            self.unlock_calm();
            return Ok(());
        }
        Err(self)
    }

    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.state().closed != 0
    }

    #[inline]
    pub(crate) fn available(&self) -> usize {
        let state = self.state();
        state.buffer.len() - state.kept_messages
    }

    #[inline]
    pub(crate) fn has_room(&self) -> bool {
        let state = self.state();
        state.buffer.len() - state.kept_messages + state.kept_room < self.channel.capacity
    }

    #[inline]
    pub(crate) fn can_recv(&self) -> bool {
        let state = self.state();
        self.available() > 0
            || (!state.senders.is_empty() && state.kept_room == 0)
            || self.is_closed()
    }

    #[inline]
    pub(crate) fn can_send(&self) -> bool {
        let state = self.state();
        self.has_room() || (!state.receivers.is_empty() && state.kept_room == 0) || self.is_closed()
    }

    /// Those who wait at `side`.
    pub(crate) fn queue(&mut self, side: Side) -> &mut Queue {
        match side {
            Side::Send => &mut self.state_mut().senders,
            Side::Recv => &mut self.state_mut().receivers,
        }
    }

    /// Those who watch for `side` to be ready.
    pub(crate) fn watch(&mut self, side: Side) -> &mut Queue {
        match side {
            Side::Send => &mut self.state_mut().send_watch,
            Side::Recv => &mut self.state_mut().recv_watch,
        }
    }

    /// Those whom somebody at `side` could meet.
    pub(crate) fn partners(&mut self, side: Side) -> &mut Queue {
        self.queue(match side {
            Side::Send => Side::Recv,
            Side::Recv => Side::Send,
        })
    }

    /// Sends the message at `from`, if that needs no wait.
    ///
    /// # Safety
    /// 1. A message lies at `from`; on `Done` it has been moved away.
    #[inline]
    pub(crate) unsafe fn try_put(&mut self, from: NonNull<T>, wakes: &mut Wakes) -> Step {
        if self.is_closed() {
            return Step::Closed;
        }
        if let Some(node) = self.claim_receiver() {
            // SAFETY: claimed and not unparked yet.
            let receiver = unsafe { node.as_ref() };
            if receiver.takes_now() {
                self.stamp(receiver);
                // SAFETY: 1.
                let message = self.in_turn(unsafe { from.read() });
                // SAFETY: 1. claimed just now, at a channel of T, and it takes.
                let deal = unsafe { receiver.give(message) };
                wakes.push(receiver, deal);
                return Step::Done;
            }
            if self.channel.capacity == 0 {
                return Step::Pair(node);
            }
            // SAFETY: 1.
            let message = unsafe { from.read() };
            self.promise(receiver, message, wakes);
            return Step::Done;
        }
        if self.has_room() {
            // SAFETY: 1.
            let message = unsafe { from.read() };
            self.state_mut().buffer.push(message);
            if !self.state().receivers.is_empty() {
                self.match_up(wakes);
            }
            self.tell_watchers(wakes);
            return Step::Done;
        }
        Step::Wait
    }

    /// Receives into `to`, if that needs no wait.
    ///
    /// # Safety
    /// 1. There is room for a message at `to`; on `Done` one lies there.
    #[inline]
    pub(crate) unsafe fn try_take(&mut self, to: NonNull<T>, wakes: &mut Wakes) -> Step {
        if self.available() > 0
            && let Some(message) = self.state_mut().pop()
        {
            // SAFETY: 1.
            unsafe { to.write(message) };
            if !self.state().senders.is_empty() {
                self.match_up(wakes);
            }
            self.tell_watchers(wakes);
            return Step::Done;
        }
        if let Some(node) = self.claim_sender() {
            // SAFETY: claimed and not unparked yet.
            let sender = unsafe { node.as_ref() };
            let Some(from) = sender.slot::<T>() else {
                return Step::Pair(node);
            };
            // SAFETY: the sender's slot is full and waits.
            let message = self.in_turn(unsafe { from.read() });
            // SAFETY: 1.
            unsafe { to.write(message) };
            wakes.push(sender, Deal::Done);
            return Step::Done;
        }
        if self.is_closed() {
            return Step::Closed;
        }
        Step::Wait
    }

    /// Keeps this message, too, for a selection.
    pub(crate) fn keep_new(&mut self, message: T) {
        let state = self.state_mut();
        state.buffer.push(message);
        state.kept_messages += 1;
    }

    /// Keeps this message for a receiver that has been claimed and takes it
    /// later, in a rendezvous too.
    pub(crate) fn promise(&mut self, receiver: &Node, message: T, wakes: &mut Wakes) {
        self.keep_new(message);
        wakes.push(receiver, Deal::Promise);
    }

    /// Of a receiver that is polled, has been claimed, and is given a message
    /// next: in what order messages were handed to its like. One that had
    /// come back, which is the first then, keeps its place in that order.
    #[inline]
    pub(crate) fn stamp(&mut self, receiver: &Node) {
        #[cfg(feature = "futures")]
        if receiver.is_polled() {
            let returned = self.state().returned.front().copied();
            receiver.set_stamp(returned.unwrap_or_else(|| self.next_stamp()));
        }
        #[cfg(not(feature = "futures"))]
        let _ = receiver;
    }

    /// As `stamp`, of one that is given its message by a meeting.
    pub(crate) fn stamp_meeting(&mut self, receiver: &Node) {
        #[cfg(feature = "futures")]
        if receiver.is_polled() {
            receiver.set_stamp(self.next_stamp());
        }
        #[cfg(not(feature = "futures"))]
        let _ = receiver;
    }

    #[cfg(feature = "futures")]
    #[cold]
    pub(crate) fn next_stamp(&mut self) -> u32 {
        let state = self.state_mut();
        state.next_stamp = state.next_stamp.wrapping_add(1);
        state.next_stamp
    }

    /// A message that was handed over, and not taken, is the first again; of
    /// several the one that was handed over first.
    #[cfg(feature = "futures")]
    pub(crate) fn put_back(&mut self, message: T, stamp: u32, wakes: &mut Wakes) {
        let state = self.state_mut();
        let is_before = |other: &u32| other.wrapping_sub(stamp).cast_signed() < 0;
        let place = state.returned.partition_point(is_before);
        state.returned.insert(place, stamp);
        state.buffer.insert(place, message);
        self.settle_all(wakes);
    }

    #[inline]
    pub(crate) fn is_room_kept(&self) -> bool {
        self.state().kept_room > 0
    }

    /// The first who waits to send, for somebody who would receive from it
    /// directly; not past a selection that has won room and not sent yet.
    #[inline]
    pub(crate) fn claim_sender(&mut self) -> Option<NonNull<Node>> {
        if self.is_room_kept() {
            return None;
        }
        self.state_mut().senders.claim()
    }

    /// The first who waits to receive, for somebody who would send to it
    /// directly: as [`claim_sender`](Self::claim_sender).
    #[inline]
    pub(crate) fn claim_receiver(&mut self) -> Option<NonNull<Node>> {
        if self.is_room_kept() {
            return None;
        }
        self.state_mut().receivers.claim()
    }

    /// The message that is received instead of this one: if others are kept
    /// in the buffer, which are older, the first of them, so that nobody sees
    /// one sender's messages out of order.
    #[inline]
    fn in_turn(&mut self, message: T) -> T {
        if self.state().kept_messages == 0 {
            return message;
        }
        let state = self.state_mut();
        state.buffer.push(message);
        state.pop().expect("one was pushed just now")
    }

    /// Gives messages to those who wait for one, and room to those who wait
    /// for that, until invariant 1 holds.
    pub(crate) fn match_up(&mut self, wakes: &mut Wakes) {
        loop {
            if self.available() > 0
                && let Some(node) = self.state_mut().receivers.claim()
            {
                // SAFETY: claimed and not unparked yet.
                let receiver = unsafe { node.as_ref() };
                if !receiver.takes_now() {
                    self.state_mut().kept_messages += 1;
                    wakes.push(receiver, Deal::Promise);
                    continue;
                }
                self.stamp(receiver);
                let message = self.state_mut().pop();
                let message = message.expect("one is available");
                // SAFETY: 1. claimed just now, at a channel of T, and it takes.
                let deal = unsafe { receiver.give(message) };
                wakes.push(receiver, deal);
            } else if self.has_room()
                && !self.is_closed()
                && let Some(node) = self.state_mut().senders.claim()
            {
                // SAFETY: claimed and not unparked yet.
                let sender = unsafe { node.as_ref() };
                let Some(from) = sender.slot::<T>() else {
                    self.state_mut().kept_room += 1;
                    wakes.push(sender, Deal::Promise);
                    continue;
                };
                // SAFETY: the sender's slot is full and waits.
                let message = unsafe { from.read() };
                self.state_mut().buffer.push(message);
                wakes.push(sender, Deal::Done);
            } else {
                return;
            }
        }
    }

    /// Something may be ready that somebody watches for.
    #[inline]
    pub(crate) fn tell_watchers(&mut self, wakes: &mut Wakes) {
        let state = self.state();
        if !state.recv_watch.is_empty() || !state.send_watch.is_empty() {
            self.tell_them(wakes);
        }
    }

    #[cold]
    fn tell_them(&mut self, wakes: &mut Wakes) {
        if self.can_recv() {
            self.state_mut().recv_watch.claim_all(Deal::Ready, wakes);
        }
        if self.can_send() {
            self.state_mut().send_watch.claim_all(Deal::Ready, wakes);
        }
    }

    /// Keeps a message, or room for one, for a selection; if there is any.
    pub(crate) fn keep(&mut self, side: Side) -> bool {
        match side {
            Side::Send if self.has_room() => self.state_mut().kept_room += 1,
            Side::Recv if self.available() > 0 => self.state_mut().kept_messages += 1,
            _ => return false,
        }
        true
    }

    /// A selection that won in the buffer has its message.
    pub(crate) fn take_kept(&mut self, wakes: &mut Wakes) -> Option<T> {
        let state = self.state_mut();
        state.kept_messages -= 1;
        let message = state.pop();
        self.settle_all(wakes);
        message
    }

    /// A selection sends into the room it won. The message comes back if the
    /// channel was closed meanwhile.
    pub(crate) fn put_kept(&mut self, message: T, wakes: &mut Wakes) -> Result<(), T> {
        self.state_mut().kept_room -= 1;
        if self.is_closed() {
            return Err(message);
        }
        self.state_mut().buffer.push(message);
        self.settle_all(wakes);
        Ok(())
    }

    /// A selection that won in the buffer draws back.
    pub(crate) fn give_back_kept(&mut self, side: Side, wakes: &mut Wakes) {
        let state = self.state_mut();
        match side {
            Side::Send => state.kept_room -= 1,
            Side::Recv => state.kept_messages -= 1,
        }
        self.settle_all(wakes);
    }

    /// After a change of what is kept: those who wait, and those who watch.
    pub(crate) fn settle_all(&mut self, wakes: &mut Wakes) {
        self.match_up(wakes);
        self.tell_watchers(wakes);
    }
}
