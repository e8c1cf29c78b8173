//! A pattern must fit every result.

use raddle::chan::bounded;
use raddle::select;

fn main() {
    let (s, r) = bounded::<u8>(1);
    select! {
        recv(r) -> Ok(message) => drop(message),
        send(s, 1) -> Err(_) => {}
    }
}
