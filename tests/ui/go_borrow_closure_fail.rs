//! A closure without `move` is spawned as written.

use raddle::go;

fn main() {
    let text = String::from("abc");
    go!(|| println!("{text}"));
}
