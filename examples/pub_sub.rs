//! One topic, many who listen: each gets every message.
//!
//! ```sh
//! cargo run --example pub_sub
//! ```
//!
//! In Go: a map of subscribers' channels behind a mutex. A channel gives each
//! message to one receiver, so a topic keeps a channel for each subscriber. A
//! subscriber that is slow must not hold up the rest: its channel has room for
//! some messages, and those that find it full are counted as missed.

use raddle::chan::{Receiver, Sender, bounded};
use raddle::sync::{RwLock, WaitGroup};

#[derive(Default)]
struct Topic {
    subscribers: RwLock<Vec<Sender<String>>>,
}

impl Topic {
    fn subscribe(&self, room: usize) -> Receiver<String> {
        let (sender, receiver) = bounded(room);
        self.subscribers.write().push(sender);
        receiver
    }

    /// To all; how many missed it.
    fn publish(&self, message: &str) -> usize {
        let subscribers = self.subscribers.read();
        let missed = |subscriber: &&Sender<String>| {
            // Full, or gone: a subscriber leaves by dropping its end.
            subscriber.try_send(message.to_owned()).is_err()
        };
        subscribers.iter().filter(missed).count()
    }

    /// No more messages: the subscribers' loops end.
    fn close(&self) {
        self.subscribers.write().clear();
    }
}

#[raddle::main]
fn main() {
    let topic = Topic::default();
    let group = WaitGroup::new();
    for name in ["dog", "cat", "fish"] {
        let inbox = topic.subscribe(8);
        group.go(move || {
            let heard: Vec<String> = inbox.iter().collect();
            raddle::println!("{name} heard {}", heard.join(", "));
        });
    }
    let sleeper = topic.subscribe(1);
    let mut missed = 0;
    for message in ["breakfast", "walk", "dinner"] {
        missed += topic.publish(message);
    }
    topic.close();
    group.wait();
    raddle::println!("the sleeper has {:?} and missed {missed}", sleeper.recv());
}
