//! A dog and a cat speak in turn: each wakes the other and parks.
//!
//! ```sh
//! cargo run --example dog_cat
//! ```
//!
//! `unpark` leaves a token and `park` takes it, so it does not matter which
//! of the two comes first: no wake is lost. The output is the same each time.

use raddle::{Goroutine, go};

const TURNS: u32 = 5;

fn dog() {
    let cat = go!(cat(raddle::current()));
    for turn in 1..=TURNS {
        raddle::println!("dog: woof {turn}");
        cat.goroutine().unpark();
        raddle::park();
    }
    cat.join().expect("the cat does not panic");
}

fn cat(dog: Goroutine) {
    for turn in 1..=TURNS {
        raddle::park();
        raddle::println!("cat: meow {turn}");
        dog.unpark();
    }
}

#[raddle::main]
fn main() {
    go!(dog()).join().expect("the dog does not panic");
    raddle::println!("both are done");
}
