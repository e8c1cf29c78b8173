//! A plain main. The goroutine started is not waited for.
#![deny(warnings)]
#![forbid(unsafe_code)]

use raddle::go;

#[raddle::main]
fn main() {
    go!(String::from("detached"));
    assert_eq!(go!(u32::wrapping_add(1, 2)).join().unwrap(), 3);
}
