//! What a goroutine takes must be `Send`.

use std::rc::Rc;

use raddle::go;

fn main() {
    let count = Rc::new(1);
    go! { println!("{count}"); };
}
