//! What may lacks: channels with a bound, made of its queues and its
//! semaphore.

use may::sync::{Semphore, mpmc, mpsc, spsc};
use std::sync::Arc;

/// A channel's end, and the semaphore of its free slots.
#[derive(Clone)]
pub struct Bounded<End> {
    end: End,
    free: Arc<Semphore>,
}

/// May's channels: alike, but of no common trait.
macro_rules! bounded {
    ($module:ident) => {
        /// Of this capacity.
        pub fn $module<T: Send>(
            capacity: usize,
        ) -> (Bounded<$module::Sender<T>>, Bounded<$module::Receiver<T>>) {
            let (sender, receiver) = $module::channel();
            let free = Arc::new(Semphore::new(capacity));
            let sender = Bounded {
                end: sender,
                free: free.clone(),
            };
            let receiver = Bounded {
                end: receiver,
                free,
            };
            (sender, receiver)
        }

        impl<T: Send> Bounded<$module::Sender<T>> {
            /// Waits for a free slot.
            pub fn send(&self, message: T) {
                self.free.wait();
                let sent = self.end.send(message);
                assert!(sent.is_ok(), "a receiver listens");
            }
        }

        impl<T: Send> Bounded<$module::Receiver<T>> {
            /// None: it is over.
            pub fn recv(&self) -> Option<T> {
                let message = self.end.recv().ok()?;
                self.free.post();
                Some(message)
            }
        }
    };
}

bounded!(spsc);
bounded!(mpsc);
bounded!(mpmc);

/// The sending end of a channel without a buffer.
pub struct Giver<T> {
    messages: spsc::Sender<T>,
    taken: Arc<Semphore>,
}

/// The receiving end of a channel without a buffer.
pub struct Taker<T> {
    messages: spsc::Receiver<T>,
    taken: Arc<Semphore>,
}

/// A channel without a buffer: who sends waits until it was received.
pub fn rendezvous<T: Send>() -> (Giver<T>, Taker<T>) {
    let (sender, receiver) = spsc::channel();
    let taken = Arc::new(Semphore::new(0));
    let giver = Giver {
        messages: sender,
        taken: taken.clone(),
    };
    let taker = Taker {
        messages: receiver,
        taken,
    };
    (giver, taker)
}

impl<T: Send> Giver<T> {
    /// Waits until it was received.
    pub fn send(&self, message: T) {
        let sent = self.messages.send(message);
        assert!(sent.is_ok(), "a receiver listens");
        self.taken.wait();
    }
}

impl<T: Send> Taker<T> {
    /// None: it is over.
    pub fn recv(&self) -> Option<T> {
        let message = self.peek()?;
        self.take();
        Some(message)
    }

    /// The message, whose sender goes on waiting until [`Taker::take`].
    pub fn peek(&self) -> Option<T> {
        self.messages.recv().ok()
    }

    /// Says that the message was received.
    pub fn take(&self) {
        self.taken.post();
    }
}
