//! What is not a case says what a case is.

use raddle::chan::{bounded, never};
use raddle::{select, select_biased};

fn main() {
    let (s, r) = bounded::<u8>(1);
    let (x, timeout) = (1, std::time::Duration::ZERO);

    // No case at all.
    select! { receive(r) -> _ => {} }
    select! { recv(r) -> _ => {}, else => {} }
    select! { recv(r) -> _ => {},, }
    select! { r.recv() -> _ => {} }
    select! { _ = r => {} }
    select_biased! { "recv" }

    // Arguments.
    select! { recv() -> _ => {} }
    select! { recv(r, s) -> _ => {} }
    select! { recv r -> _ => {} }
    select! { recv[r] -> _ => {} }
    select! { recv }
    select! { send(s) -> _ => {} }
    select! { send(s, 1, 2) -> _ => {} }
    select! { send }
    select! { default(timeout, 1) => {} }
    select! { default[timeout] => {} }

    // Patterns.
    select! { recv(r) => {} }
    select! { send(s, 1) => {}, default => {} }
    select_biased! { default => {} recv(r) => {} }
    select! { default -> _ => {} }
    select! { default(timeout) -> _ => {} }
    select! { recv(r) -> => {} }
    select! { recv(r) }
    select! { recv(r), send(s, 1) -> _ => {} }
    select! { recv(r) -> Ok(_) if true => {} }

    // Arrows.
    select! { recv(r) -> _ {} }
    select! { recv(r) -> message {} }
    select! { recv(r) -> message { drop(message); } default => {} }
    select! { send(s, x) -> sent { sent.unwrap() }, default => {} }
    select! { recv(r) -> message drop(message) }
    select! { recv(r) -> message = drop(message) }
    select! { recv(r) = message => {} }
    select! { default {} }
    select! { default }
    select! { default() {} }

    // Bodies.
    select! { recv(r) -> _ => }
    select! { default => }
    select! { recv(r) -> _ => , default => {} }

    // Commas.
    select! { recv(r) -> _ => drop(x) default => {} }
    select! { default => drop(x) send(s, 1) -> _ => {} }
    select! { recv(r) -> _ => drop(x); default => {} }
    select! { recv(r) -> _ => if x == 1 {} else {} default => {} }

    // Defaults.
    select! { default => {}, default => {} }
    select! { default => {} recv(r) -> _ => {} default(timeout) => {} }

    // One too many.
    let n = never::<u8>;
    select! {
        recv(n()) -> _ => {} recv(n()) -> _ => {} recv(n()) -> _ => {} recv(n()) -> _ => {}
        recv(n()) -> _ => {} recv(n()) -> _ => {} recv(n()) -> _ => {} recv(n()) -> _ => {}
        recv(n()) -> _ => {} recv(n()) -> _ => {} recv(n()) -> _ => {} recv(n()) -> _ => {}
        recv(n()) -> _ => {} recv(n()) -> _ => {} recv(n()) -> _ => {} recv(n()) -> _ => {}
        recv(n()) -> _ => {} recv(n()) -> _ => {} recv(n()) -> _ => {} recv(n()) -> _ => {}
        recv(n()) -> _ => {} recv(n()) -> _ => {} recv(n()) -> _ => {} recv(n()) -> _ => {}
        recv(n()) -> _ => {} recv(n()) -> _ => {} recv(n()) -> _ => {} recv(n()) -> _ => {}
        recv(n()) -> _ => {} recv(n()) -> _ => {} recv(n()) -> _ => {} recv(n()) -> _ => {}
        recv(n()) -> _ => {}
        default => {}
    }
}
