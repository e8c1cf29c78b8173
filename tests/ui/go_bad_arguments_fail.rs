//! Arguments that cannot be read are not put off until the goroutine runs.

use raddle::go;

fn add(a: u32, b: u32) -> u32 {
    a + b
}

fn main() {
    go!(add(1 2));
}
