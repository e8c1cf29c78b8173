//! Several clocks, and a loop that waits for whichever comes first.
//!
//! ```sh
//! cargo run --example select_tick_tock
//! ```
//!
//! In Go: `time.Tick` every half second, another every two seconds, and a
//! `select` in a loop. This one has a third clock that ends it. At 2 and at 4
//! seconds tick and tock are due at the same time: chance decides, as in Go.

use raddle::chan::{after, tick};
use raddle::select;
use std::time::{Duration, Instant};

#[raddle::main]
fn main() {
    let begin = Instant::now();
    let ticks = tick(Duration::from_millis(500));
    let tocks = tick(Duration::from_secs(2));
    let end = after(Duration::from_millis(4_250));
    loop {
        let word = select! {
            recv(ticks) -> _ => "tick",
            recv(tocks) -> _ => "tock",
            recv(end) -> _ => break,
        };
        raddle::println!("{:.1} s  {word}", begin.elapsed().as_secs_f64());
    }
    raddle::println!("that will do");
}
