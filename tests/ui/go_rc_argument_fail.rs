//! So must an argument evaluated by the caller.

use std::rc::Rc;

use raddle::go;

fn show(_: Rc<u32>) {}

fn main() {
    go!(show(Rc::new(1)));
}
