//! One send or receive that is polled: tried, waited for, taken back.

use crate::channel::{Channel, Side, Step};
use crate::lock::{CAN_RECV, CAN_SEND};
use crate::meeting::Meeting;
use crate::part::{meet_polled, meeting_of};
use crate::polled::Polled;
use crate::waiter::{Deal, Wakes};
use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::task::{Poll, Waker};

/// A receive. Its owner calls `leave` before it goes. One that is forgotten
/// stands in its queue for ever, and a message that it is given is lost.
pub(crate) struct Receiving<T> {
    polled: Option<Arc<Polled>>,
    /// Empty, but while it is queued: then who claims it may fill it.
    slot: Option<Slot<T>>,
    /// It stands in the queue, or has been claimed there.
    is_queued: bool,
    /// With a selection that sends.
    meeting: Option<Arc<Meeting<T>>>,
    /// Of its meeting.
    stamp: u32,
}

impl<T> Receiving<T> {
    pub(crate) const fn new() -> Self {
        Self {
            polled: None,
            slot: None,
            is_queued: false,
            meeting: None,
            stamp: 0,
        }
    }

    /// The message; none if the channel is closed and empty.
    pub(crate) fn poll(&mut self, channel: &Channel<T>, waker: &Waker) -> Poll<Option<T>> {
        let mut is_first = false;
        if self.is_queued {
            let Some((deal, stamp)) = self.deal(channel, waker) else {
                return Poll::Pending;
            };
            self.is_queued = false;
            self.stamp = stamp;
            match deal {
                // SAFETY: the deal says that one lies there; it is taken once.
                Deal::Done => return Poll::Ready(unsafe { self.take() }),
                Deal::Meeting(raw) => {
                    // SAFETY: 1. made at this channel; it is used up here.
                    self.meeting = Some(unsafe { meeting_of::<T>(raw) });
                }
                // Closed.
                _ => return Poll::Ready(None),
            }
        }
        loop {
            if let Some(meeting) = &self.meeting {
                let Poll::Ready(met) = meeting.poll_recv(waker) else {
                    return Poll::Pending;
                };
                self.meeting = None;
                if met.is_some() {
                    return Poll::Ready(met);
                }
                // It drew back: again, before all who wait.
                is_first = true;
            }
            if let Some(tried) = self.begin(channel, waker, is_first) {
                return tried;
            }
        }
    }

    /// # Safety
    /// 1. A message lies in the slot, and is not taken again.
    unsafe fn take(&self) -> Option<T> {
        let slot = self.slot.as_ref()?;
        // SAFETY: 1.
        Some(unsafe { slot.address().read() })
    }

    /// The deal, and its stamp.
    fn deal(&self, channel: &Channel<T>, waker: &Waker) -> Option<(Deal, u32)> {
        let polled = self.polled.as_ref()?;
        let deal = polled.deal(waker, || channel.lock())?;
        Some((deal, polled.node().stamp()))
    }

    /// Tries, and stands in the queue if it must wait. None: a selection that
    /// sends was won, and is to be met.
    fn begin(
        &mut self,
        channel: &Channel<T>,
        waker: &Waker,
        is_first: bool,
    ) -> Option<Poll<Option<T>>> {
        let mut ready = prepare(&mut self.polled, channel, CAN_RECV, waker);
        if ready.is_some() {
            self.slot.get_or_insert_with(Slot::new);
        }
        loop {
            let mut slot = MaybeUninit::<T>::uninit();
            let mut wakes = Wakes::none();
            let mut guard = channel.lock();
            // SAFETY: 1. there is room.
            match unsafe { guard.try_take(NonNull::from(&mut slot).cast(), &mut wakes) } {
                Step::Done => {
                    drop(guard);
                    // SAFETY: `Done` says that it is written.
                    let message = unsafe { slot.assume_init() };
                    wakes.wake();
                    return Some(Poll::Ready(Some(message)));
                }
                Step::Closed => return Some(Poll::Ready(None)),
                Step::Pair(sender) => {
                    self.meeting = Some(meet_polled(sender, &mut wakes));
                    self.stamp = guard.next_stamp();
                    drop(guard);
                    wakes.wake();
                    return None;
                }
                Step::Wait => {
                    let Some(polled) = ready.take() else {
                        drop(guard);
                        ready = Some(Polled::again(self.polled.take(), waker.clone()));
                        self.slot.get_or_insert_with(Slot::new);
                        continue;
                    };
                    let slot = self
                        .slot
                        .as_ref()
                        .map(|slot| slot.address().as_ptr().cast());
                    let slot = slot.unwrap_or(ptr::null_mut());
                    polled.enqueue(&mut guard, Side::Recv, is_first, slot, &mut wakes);
                    drop(guard);
                    wakes.wake();
                    self.is_queued = true;
                    self.polled = Some(polled);
                    return Some(Poll::Pending);
                }
            }
        }
    }

    /// It is not polled any more. A message that it was given is the first
    /// again, for the next receiver.
    pub(crate) fn leave(&mut self, channel: &Channel<T>) {
        let mut message = None;
        if std::mem::take(&mut self.is_queued)
            && let Some(polled) = &self.polled
        {
            let left = polled.leave(&mut channel.lock(), Side::Recv);
            self.stamp = polled.node().stamp();
            match left {
                // SAFETY: 1. as the deal says.
                Err(Deal::Done) => message = unsafe { self.take() },
                Err(Deal::Meeting(raw)) => {
                    // SAFETY: 1. made at this channel; it is used up here.
                    self.meeting = Some(unsafe { meeting_of::<T>(raw) });
                }
                _ => {}
            }
        }
        if let Some(meeting) = self.meeting.take() {
            message = meeting.leave_polled();
        }
        if let Some(message) = message {
            let mut wakes = Wakes::none();
            channel.lock().put_back(message, self.stamp, &mut wakes);
            wakes.wake();
        }
    }
}

/// A node for a wait that is to be expected.
fn prepare<T>(
    polled: &mut Option<Arc<Polled>>,
    channel: &Channel<T>,
    ready: u64,
    waker: &Waker,
) -> Option<Arc<Polled>> {
    let look = channel.word().look();
    look.is_some_and(|look| !look.can(ready))
        .then(|| Polled::again(polled.take(), waker.clone()))
}

/// A send, with its message. As with `Receiving`: one that is forgotten
/// stands in its queue, and its message may be received.
pub(crate) struct Sending<T> {
    polled: Option<Arc<Polled>>,
    is_queued: bool,
    message: Place<T>,
}

/// Where a message lies on its way.
enum Place<T> {
    Here(T),
    /// Ours to read again if nobody claimed it, or the channel closed.
    Away(Slot<T>),
    Gone,
}

/// A place on the heap that others may know: used under the channel's lock,
/// and not moved with its owner.
struct Slot<T>(NonNull<UnsafeCell<MaybeUninit<T>>>);

// SAFETY: it owns a T, as a box does.
unsafe impl<T: Send> Send for Slot<T> {}
// SAFETY: nothing of T is reached by reference.
unsafe impl<T: Send> Sync for Slot<T> {}

impl<T> Slot<T> {
    fn new() -> Self {
        let slot = Box::new(UnsafeCell::new(MaybeUninit::uninit()));
        Self(NonNull::from(Box::leak(slot)))
    }

    fn address(&self) -> NonNull<T> {
        self.0.cast()
    }
}

impl<T> Drop for Slot<T> {
    fn drop(&mut self) {
        // SAFETY: leaked by `new`; nobody else knows it any more. A message
        // in it is not dropped.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

impl<T> Sending<T> {
    pub(crate) fn new(message: T) -> Self {
        Self {
            polled: None,
            is_queued: false,
            message: Place::Here(message),
        }
    }

    /// Whether it was sent; the message, if the channel is closed. Not
    /// polled again then.
    pub(crate) fn poll(&mut self, channel: &Channel<T>, waker: &Waker) -> Poll<Result<(), T>> {
        if self.is_queued {
            let polled = self.polled.as_ref();
            let Some(deal) = polled.and_then(|polled| polled.deal(waker, || channel.lock())) else {
                return Poll::Pending;
            };
            self.is_queued = false;
            return Poll::Ready(self.settled(deal));
        }
        let mut ready = prepare(&mut self.polled, channel, CAN_SEND, waker).map(with_slot);
        loop {
            let Place::Here(message) = std::mem::replace(&mut self.message, Place::Gone) else {
                panic!("a send was polled after it was ready");
            };
            let mut message = MaybeUninit::new(message);
            let from = NonNull::from(&mut message).cast::<T>();
            let mut wakes = Wakes::none();
            let mut guard = channel.lock();
            // SAFETY: 1. it lies there, and `message` does not drop it.
            let step = unsafe { guard.try_put(from, &mut wakes) };
            match step {
                Step::Done => {
                    drop(guard);
                    wakes.wake();
                    return Poll::Ready(Ok(()));
                }
                Step::Pair(receiver) => {
                    // A selection: nobody waits for it here.
                    // SAFETY: claimed and not unparked yet.
                    let receiver = unsafe { receiver.as_ref() };
                    // SAFETY: it was not moved.
                    let message = unsafe { message.assume_init() };
                    guard.promise(receiver, message, &mut wakes);
                    drop(guard);
                    wakes.wake();
                    return Poll::Ready(Ok(()));
                }
                Step::Closed => {
                    drop(guard);
                    // SAFETY: it was not moved.
                    return Poll::Ready(Err(unsafe { message.assume_init() }));
                }
                Step::Wait => {
                    // SAFETY: it was not moved.
                    let message = unsafe { message.assume_init() };
                    let Some((polled, slot)) = ready.take() else {
                        drop(guard);
                        self.message = Place::Here(message);
                        let polled = Polled::again(self.polled.take(), waker.clone());
                        ready = Some(with_slot(polled));
                        continue;
                    };
                    // SAFETY: a new slot, which nobody else knows yet.
                    unsafe { slot.address().write(message) };
                    let address = slot.address().as_ptr().cast();
                    polled.enqueue(&mut guard, Side::Send, false, address, &mut wakes);
                    drop(guard);
                    self.message = Place::Away(slot);
                    self.polled = Some(polled);
                    self.is_queued = true;
                    wakes.wake();
                    return Poll::Pending;
                }
            }
        }
    }

    /// After a claim.
    fn settled(&mut self, deal: Deal) -> Result<(), T> {
        match std::mem::replace(&mut self.message, Place::Gone) {
            // SAFETY: the channel was closed, so nobody took it.
            Place::Away(slot) if deal == Deal::Closed => Err(unsafe { slot.address().read() }),
            _ => Ok(()),
        }
    }

    /// It is not polled any more. The message, if nobody took it.
    pub(crate) fn leave(&mut self, channel: &Channel<T>) -> Option<T> {
        if std::mem::take(&mut self.is_queued)
            && let Some(polled) = &self.polled
        {
            let mut guard = channel.lock();
            let left = polled.leave(&mut guard, Side::Send);
            drop(guard);
            return match (left, std::mem::replace(&mut self.message, Place::Gone)) {
                (Err(deal), Place::Away(slot)) if deal != Deal::Closed => {
                    drop(slot);
                    None
                }
                // SAFETY: taken out of the queue, or closed: it is there.
                (_, Place::Away(slot)) => Some(unsafe { slot.address().read() }),
                _ => None,
            };
        }
        match std::mem::replace(&mut self.message, Place::Gone) {
            Place::Here(message) => Some(message),
            _ => None,
        }
    }
}

fn with_slot<T>(polled: Arc<Polled>) -> (Arc<Polled>, Slot<T>) {
    (polled, Slot::new())
}
