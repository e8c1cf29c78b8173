//! An unsafe function needs an `unsafe` block: the macro lends none.

use raddle::go;

unsafe fn touch(_: u32) {}

fn main() {
    go!(touch(1));
}
