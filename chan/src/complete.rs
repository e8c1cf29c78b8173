//! The end of an operation that a selection has won.

use crate::channel::Channel;
use crate::part::meeting_of;
use crate::waiter::{Deal, Node, Room, Wakes};
use crate::waiting::{Progress, Waiting};

impl<T> Channel<T> {
    /// Completes a send; the message comes back if the channel is closed.
    pub(crate) fn finish_send(&self, deal: Deal, message: T) -> Result<(), T> {
        match deal {
            Deal::Promise => {
                let mut wakes = Wakes::none();
                let put = self.lock().put_kept(message, &mut wakes);
                wakes.wake();
                put
            }
            Deal::Peer(node) => {
                // SAFETY: it is parked until its deal is made and paid.
                let peer = unsafe { node.as_ref() };
                // SAFETY: 1. a receiver that was won because it takes now.
                peer.deal.set(unsafe { peer.give(message) });
                // SAFETY: 1. claimed for this selection, and paid here alone.
                unsafe { Node::unpark(node) };
                Ok(())
            }
            Deal::Meeting(raw) => {
                // SAFETY: 1. made at this channel; it is used up here.
                let meeting = unsafe { meeting_of::<T>(raw) };
                meeting
                    .send(message)
                    .or_else(|message| self.send_first(message))
            }
            _ => Err(message),
        }
    }

    /// Completes a receive; none if the channel is closed and empty.
    pub(crate) fn finish_recv(&self, deal: Deal, room: Room) -> Option<T> {
        match deal {
            // SAFETY: 1. the deal says that one lies there; it is taken once.
            Deal::Message => Some(unsafe { room.take::<T>() }),
            Deal::Promise => {
                let mut wakes = Wakes::none();
                let message = self.lock().take_kept(&mut wakes);
                wakes.wake();
                message
            }
            Deal::Peer(node) => {
                // SAFETY: it is parked until its deal is made and paid.
                let peer = unsafe { node.as_ref() };
                let from = peer.slot::<T>()?;
                // SAFETY: a plain sender's full slot, which waits for us.
                let message = unsafe { from.read() };
                peer.deal.set(Deal::Done);
                // SAFETY: 1. claimed for this selection, and paid here alone.
                unsafe { Node::unpark(node) };
                Some(message)
            }
            Deal::Meeting(raw) => {
                // SAFETY: 1. made at this channel; it is used up here.
                let meeting = unsafe { meeting_of::<T>(raw) };
                meeting.recv().or_else(|| self.recv_first())
            }
            _ => None,
        }
    }

    /// The partner drew back: the message goes before all others.
    #[cold]
    fn send_first(&self, message: T) -> Result<(), T> {
        let waiting = Waiting::to_send(self, message);
        waiting.go_first();
        match waiting.run() {
            Progress::Done => Ok(()),
            _ => Err(waiting.into_message()),
        }
    }

    #[cold]
    fn recv_first(&self) -> Option<T> {
        let waiting = Waiting::to_recv(self);
        waiting.go_first();
        match waiting.run() {
            Progress::Done => Some(waiting.into_message()),
            _ => None,
        }
    }
}
