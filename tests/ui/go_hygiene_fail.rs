//! The macro's own names cannot be seen.

use raddle::go;

fn main() {
    go!(u32::wrapping_add(1, argument_0));
    let n = 1_u32;
    go!(n.pow(receiver));
}
