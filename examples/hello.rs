//! One goroutine says hello, and main waits for it.
//!
//! ```sh
//! cargo run --example hello
//! ```

use raddle::go;

fn greet(name: &str) {
    raddle::println!("hello, {name}");
}

#[raddle::main]
fn main() {
    let greeting = go!(greet("goroutine"));
    greeting.join().expect("greet does not panic");
}
