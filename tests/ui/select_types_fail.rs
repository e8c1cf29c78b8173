//! Handles, values, results and bodies of the wrong type.

use raddle::chan::{Sender, bounded};
use raddle::select;

fn number(sender: &Sender<u8>) -> u8 {
    select! {
        send(sender, 1) -> _ => "one",
        default => 2,
    }
}

fn main() {
    let (s, r) = bounded::<u8>(1);
    select! { recv(5) -> _ => {} }
    select! { recv(s) -> _ => {} }
    select! { send(r, 1) -> _ => {} }
    select! { recv(Some(&s)) -> _ => {} }
    select! { recv(r.recv()) -> _ => {} }
    select! { send(s, "one") -> _ => {} }
    select! { send(Some(&s), "one") -> _ => {} }
    select! { recv(r) -> message => { let _: u8 = message; } }
    select! { recv(r) -> _ => {}, default(5) => {} }
    let _ = number(&s);
}
