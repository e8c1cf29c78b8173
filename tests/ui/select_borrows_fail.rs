//! The value of a send may not change its handle, and what was moved is gone.

use raddle::chan::{Receiver, Sender, bounded};
use raddle::select;

struct Counter {
    out: Sender<u8>,
    count: u8,
}

impl Counter {
    fn next(&mut self) -> u8 {
        self.count += 1;
        self.count
    }

    fn step(&mut self) {
        select! { send(self.out, self.next()) -> _ => {} }
    }
}

fn swapped(mut sender: Sender<u8>) {
    select! {
        send(sender, { sender = bounded(1).0; 1 }) -> _ => {}
    }
}

fn moved(sender: &Sender<String>, receiver: &Receiver<String>) -> String {
    let text = String::from("text");
    select! {
        send(sender, text) -> _ => {}
        recv(receiver) -> _ => {}
    }
    text
}

fn main() {
    let (out, _in) = bounded(1);
    Counter {
        out: out.clone(),
        count: 0,
    }
    .step();
    swapped(out);
    let (s, r) = bounded(1);
    moved(&s, &r);
}
