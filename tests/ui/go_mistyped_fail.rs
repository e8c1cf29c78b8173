//! Mistakes are shown where the user made them.

use raddle::go;

struct Number(u32);

impl Number {
    fn times(&self, by: u32) -> u32 {
        self.0 * by
    }
}

fn double(a: u32) -> u32 {
    a * 2
}

fn main() {
    let (a, b) = (Number(1), Number(2));
    go!(double("one"));
    go!(double(1, 2));
    go!(duble(1));
    go!(a.times("two"));
    go!(b.tiems(2));
}
