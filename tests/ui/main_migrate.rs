//! Migrate mode, on the user's word.
#![deny(warnings)]

use raddle::go;

#[raddle::main(unsafe(migrate))]
fn main() {
    assert_eq!(go!(u32::wrapping_add(1, 2)).join().unwrap(), 3);
}
