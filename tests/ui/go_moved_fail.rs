//! Receiver, arguments and what a body uses are moved.

use raddle::go;

fn main() {
    let (a, b, c) = (String::new(), String::new(), String::new());
    go!(a.len());
    a.len();
    go!(drop(b));
    b.len();
    go! { println!("{c}"); };
    c.len();
}
