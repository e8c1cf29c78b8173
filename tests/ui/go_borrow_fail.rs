//! A goroutine may outlive its spawner, and so cannot borrow from it.

use raddle::go;

fn length(text: &str) -> usize {
    text.len()
}

fn main() {
    let text = String::from("abc");
    go!(length(&text));
}
