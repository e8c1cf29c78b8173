//! A channel as a selection sees it: without its messages' type.

use crate::channel::{Channel, Guard, Side, Step};
use crate::lock::{CAN_RECV, CAN_SEND, Key, Word};
use crate::meeting::Meeting;
use crate::shim::{Wait, clock};
use crate::waiter::{Deal, Node, Room, Wakes};
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ptr::NonNull;
use std::sync::Arc;

/// The end of time, in nanoseconds of `clock::now`.
pub(crate) const NEVER: u64 = u64::MAX;

/// What one look at a case showed.
#[derive(Clone, Copy)]
pub(crate) struct Seen {
    /// It may be ready; when not, it was not at that moment.
    pub(crate) may_be_ready: bool,
    /// Grows with each change of the channel; none while it was changing.
    pub(crate) stamp: Option<u64>,
}

/// What became of a try to stand in a channel's queue.
pub(crate) enum Enlisted {
    In,
    /// The case is ready, and the selection has settled itself for it.
    Won(Deal),
    /// The selection has settled itself in vain: what looked ready was not.
    Again,
    /// Another case has won already.
    Lost,
}

/// What a selection settles its own wait with.
pub(crate) const BY_ITSELF: u32 = u32::MAX;

/// What the selection wants of its cases.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Goal {
    /// One of them started.
    Start,
    /// As `Start`, but a receive may be completed at once, into the room: it
    /// is taken from there before anything else is done.
    Take,
    /// To know one that is ready.
    Know,
}

/// One side's view of a channel. `start` and its kin are called by a
/// selection that nobody else can choose: one that stands in no queue, or has
/// settled its own wait.
pub(crate) trait Part {
    fn seen(&self, side: Side) -> Seen;
    /// Wins the case, if it is ready.
    fn start(&self, side: Side, goal: Goal, room: &mut Room) -> Option<Deal>;
    /// Stands in the queue unless the case is ready.
    ///
    /// # Safety
    /// 1. The node does not move, and `withdraw` comes before it goes.
    unsafe fn enlist(
        &self,
        side: Side,
        goal: Goal,
        node: &Node,
        own: &Wait,
        room: &mut Room,
    ) -> Enlisted;
    fn withdraw(&self, side: Side, goal: Goal, node: &Node);
    /// A case that was won is not completed.
    fn give_back(&self, side: Side, deal: Deal, room: Room);
    /// When it is ready by itself; the end of time if never.
    fn due(&self) -> u64 {
        NEVER
    }
    /// Its lock; none if it needs none.
    fn word(&self) -> Option<&Word> {
        None
    }
    /// As `start`, under the lock.
    ///
    /// # Safety
    /// 1. The caller holds the lock of `word`, if there is one.
    unsafe fn start_held(
        &self,
        side: Side,
        goal: Goal,
        room: &mut Room,
        wakes: &mut Wakes,
    ) -> Option<Deal>;
    /// As `enlist` of a case that is not ready, under the lock.
    ///
    /// # Safety
    /// 1. As `start_held`. 2. As `enlist`.
    unsafe fn enlist_held(&self, side: Side, goal: Goal, node: &Node, wakes: &mut Wakes);
    /// Gives back the lock.
    ///
    /// # Safety
    /// 1. The caller holds the lock, and `key` is its key.
    unsafe fn unlock(&self, key: Key);
}

fn bit(side: Side) -> u64 {
    match side {
        Side::Send => CAN_SEND,
        Side::Recv => CAN_RECV,
    }
}

impl<T> Guard<'_, T> {
    /// Whether a selection whose wait is `own` would not wait at `side`.
    fn is_ready_for(&mut self, side: Side, own: Option<&Wait>) -> bool {
        let buffered = match side {
            Side::Send => self.has_room(),
            Side::Recv => self.available() > 0,
        };
        let by_hand = !self.is_room_kept() && self.partners(side).has_partner(own);
        buffered || self.is_closed() || by_hand
    }

    /// Stands in the queue of a case that is not ready.
    ///
    /// # Safety
    /// 1. The node does not move, and is taken out before it goes.
    unsafe fn enlist(&mut self, side: Side, goal: Goal, node: &Node, wakes: &mut Wakes) {
        match goal {
            // SAFETY: 1.
            Goal::Know => unsafe { self.watch(side).push(node) },
            _ => {
                // SAFETY: 1.
                unsafe { self.queue(side).push(node) };
                self.tell_watchers(wakes);
            }
        }
    }

    /// Wins the case, if it is ready.
    fn win(&mut self, side: Side, goal: Goal, room: &mut Room, wakes: &mut Wakes) -> Option<Deal> {
        if goal == Goal::Know {
            return self.is_ready_for(side, None).then_some(Deal::Ready);
        }
        if goal == Goal::Take && side == Side::Recv {
            let mut slot = MaybeUninit::<T>::uninit();
            // SAFETY: 1. there is room.
            return match unsafe { self.try_take(NonNull::from(&mut slot).cast(), wakes) } {
                Step::Done => {
                    // SAFETY: `Done` says that it is written.
                    let message = unsafe { slot.assume_init() };
                    // SAFETY: 1. it is ours.
                    unsafe { Room::put(room, message) };
                    Some(Deal::Message)
                }
                Step::Closed => Some(Deal::Closed),
                Step::Pair(partner) => Some(meet::<T>(partner, wakes)),
                Step::Wait => None,
            };
        }
        if side == Side::Send && self.is_closed() {
            return Some(Deal::Closed);
        }
        if self.keep(side) {
            self.settle_all(wakes);
            return Some(Deal::Promise);
        }
        let partner = match side {
            Side::Send => self.claim_receiver(),
            Side::Recv => self.claim_sender(),
        };
        if let Some(node) = partner {
            // SAFETY: claimed and not unparked yet.
            let partner = unsafe { node.as_ref() };
            let place = match side {
                Side::Send => None,
                Side::Recv => partner.slot::<T>(),
            };
            if let Some(from) = place
                && partner.is_polled()
            {
                // A future may go before the selection is completed: its
                // message is kept as if it had been in the buffer.
                // SAFETY: a sender's slot is full, and its node claimed.
                let message = unsafe { from.read() };
                self.keep_new(message);
                wakes.push(partner, Deal::Done);
                return Some(Deal::Promise);
            }
            let is_parked = !partner.is_polled();
            if place.is_some() || side == Side::Send && is_parked && partner.takes_now() {
                // It stays parked until the selection is completed.
                return Some(Deal::Peer(node));
            }
            self.stamp_meeting(partner);
            return Some(meet::<T>(node, wakes));
        }
        self.is_closed().then_some(Deal::Closed)
    }
}

/// A meeting with a selection, or a receive that is polled, that has been
/// claimed.
fn meet<T>(partner: NonNull<Node>, wakes: &mut Wakes) -> Deal {
    // SAFETY: claimed and not unparked yet.
    let partner = unsafe { partner.as_ref() };
    let meeting = Arc::new(Meeting::<T>::new(partner.is_polled()));
    let ours = into_deal(meeting.clone());
    wakes.push(partner, into_deal(meeting));
    ours
}

/// A meeting of a receive that is polled with a selection that sends, which
/// has been claimed.
#[cfg(feature = "futures")]
pub(crate) fn meet_polled<T>(sender: NonNull<Node>, wakes: &mut Wakes) -> Arc<Meeting<T>> {
    let meeting = Arc::new(Meeting::<T>::new(true));
    // SAFETY: claimed and not unparked yet.
    wakes.push(unsafe { sender.as_ref() }, into_deal(meeting.clone()));
    meeting
}

fn into_deal<T>(meeting: Arc<Meeting<T>>) -> Deal {
    let raw = Arc::into_raw(meeting).cast_mut().cast::<()>();
    NonNull::new(raw).map_or(Deal::Retry, Deal::Meeting)
}

/// The meeting of a deal.
///
/// # Safety
/// 1. The deal was made at a channel of `T`, and is used up by this.
pub(crate) unsafe fn meeting_of<T>(raw: NonNull<()>) -> Arc<Meeting<T>> {
    // SAFETY: 1. `into_deal` made it so.
    unsafe { Arc::from_raw(raw.as_ptr().cast::<Meeting<T>>()) }
}

impl<T> Channel<T> {
    /// The channel while the caller holds its lock; not unlocked by this.
    ///
    /// # Safety
    /// 1. The caller holds the lock, and no other guard of it is in use.
    unsafe fn held(&self) -> ManuallyDrop<Guard<'_, T>> {
        ManuallyDrop::new(Guard::of_held(self, Key::none()))
    }
}

impl<T> Part for Channel<T> {
    #[inline]
    fn seen(&self, side: Side) -> Seen {
        match Channel::word(self).look() {
            Some(look) => Seen {
                may_be_ready: look.can(bit(side)),
                stamp: Some(look.count()),
            },
            None => Seen {
                may_be_ready: true,
                stamp: None,
            },
        }
    }

    fn start(&self, side: Side, goal: Goal, room: &mut Room) -> Option<Deal> {
        let mut wakes = Wakes::none();
        let mut guard = self.lock();
        let deal = guard.win(side, goal, room, &mut wakes);
        drop(guard);
        wakes.wake();
        deal
    }

    unsafe fn enlist(
        &self,
        side: Side,
        goal: Goal,
        node: &Node,
        own: &Wait,
        room: &mut Room,
    ) -> Enlisted {
        let mut wakes = Wakes::none();
        let mut guard = self.lock();
        let enlisted = if !guard.is_ready_for(side, Some(own)) {
            // SAFETY: 1. the caller's promise.
            unsafe { guard.enlist(side, goal, node, &mut wakes) };
            Enlisted::In
        } else if !own.settle(BY_ITSELF) {
            Enlisted::Lost
        } else {
            let deal = guard.win(side, goal, room, &mut wakes);
            deal.map_or(Enlisted::Again, Enlisted::Won)
        };
        drop(guard);
        wakes.wake();
        enlisted
    }

    fn withdraw(&self, side: Side, goal: Goal, node: &Node) {
        let mut guard = self.lock();
        if node.is_in() {
            match goal {
                Goal::Know => guard.watch(side).remove(node),
                _ => guard.queue(side).remove(node),
            }
        }
    }

    fn give_back(&self, side: Side, deal: Deal, room: Room) {
        match deal {
            Deal::Promise => {
                let mut wakes = Wakes::none();
                self.lock().give_back_kept(side, &mut wakes);
                wakes.wake();
            }
            Deal::Peer(node) => {
                // SAFETY: it is parked until its deal is made and paid.
                let peer = unsafe { node.as_ref() };
                peer.deal.set(Deal::Retry);
                // SAFETY: 1. claimed for this selection, and paid here alone.
                unsafe { Node::unpark(node) };
            }
            Deal::Meeting(raw) => {
                // SAFETY: 1. made at this channel; it is used up here.
                let meeting = unsafe { meeting_of::<T>(raw) };
                meeting.draw_back(side == Side::Send);
            }
            // SAFETY: 1. the deal says that one lies there; it is taken once.
            Deal::Message => drop(unsafe { room.take::<T>() }),
            _ => {}
        }
    }

    fn word(&self) -> Option<&Word> {
        Some(Channel::word(self))
    }

    unsafe fn start_held(
        &self,
        side: Side,
        goal: Goal,
        room: &mut Room,
        wakes: &mut Wakes,
    ) -> Option<Deal> {
        // SAFETY: 1. the caller's promise.
        let mut guard = unsafe { self.held() };
        guard.win(side, goal, room, wakes)
    }

    unsafe fn enlist_held(&self, side: Side, goal: Goal, node: &Node, wakes: &mut Wakes) {
        // SAFETY: 1. the caller's promise.
        let mut guard = unsafe { self.held() };
        // SAFETY: 1. the caller's 2.
        unsafe { guard.enlist(side, goal, node, wakes) };
    }

    unsafe fn unlock(&self, key: Key) {
        drop(Guard::of_held(self, key));
    }
}

/// Whether the clock says that `due` has come.
pub(crate) fn has_come(due: u64) -> bool {
    due != NEVER && due <= clock::now()
}
