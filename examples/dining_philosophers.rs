//! Five philosophers, five forks, and two needed to eat.
//!
//! ```sh
//! cargo run --example dining_philosophers               # by order
//! cargo run --example dining_philosophers -- left-first; echo "status $?"
//! ```
//!
//! In Go: a mutex for each fork. If everybody takes the fork on the left and
//! then waits for the one on the right, nobody eats: all goroutines are
//! asleep, and the report names each philosopher, `[sync.Mutex.Lock]`, and
//! the line where it waits. In a debug build it also shows the ring: who
//! holds which fork since which line, and who waits for it. The cure is an
//! order: everybody takes the fork with the lower number first, so somebody
//! always has both.

use raddle::sync::{Barrier, Mutex};
use std::sync::Arc;

const NAMES: [&str; 5] = ["Hypatia", "Laozi", "Aspasia", "Averroes", "Diotima"];
const MEALS: usize = 3;

type Forks = Arc<Vec<Mutex<u32>>>;

fn eat(forks: &Forks, first: usize, second: usize, all_have_one: Option<&Barrier>) {
    let mut one = forks[first].lock();
    if let Some(all_have_one) = all_have_one {
        // So that it goes wrong each time, and not once in a thousand.
        all_have_one.wait();
    }
    let mut other = forks[second].lock();
    *one += 1;
    *other += 1;
}

#[raddle::main]
fn main() {
    let is_left_first = std::env::args().any(|argument| argument == "left-first");
    let forks: Forks = Arc::new((0..NAMES.len()).map(|_| Mutex::new(0)).collect());
    let all_have_one = Arc::new(Barrier::new(NAMES.len()));
    let dine = |seat: usize| {
        let (forks, all_have_one) = (forks.clone(), all_have_one.clone());
        let (left, right) = (seat, (seat + 1) % NAMES.len());
        let philosopher = raddle::Builder::new().name(NAMES[seat].into());
        let dines = move || {
            for _ in 0..MEALS {
                if is_left_first {
                    eat(&forks, left, right, Some(&all_have_one));
                } else {
                    eat(&forks, left.min(right), left.max(right), None);
                }
            }
        };
        philosopher.spawn(dines).expect("a goroutine")
    };
    let philosophers: Vec<_> = (0..NAMES.len()).map(dine).collect();
    for (name, philosopher) in NAMES.iter().zip(philosophers) {
        philosopher.join().expect("nobody chokes");
        raddle::println!("{name} has eaten");
    }
    let uses: u32 = forks.iter().map(|fork| *fork.lock()).sum();
    raddle::println!("forks were used {uses} times");
}
