//! Goroutines of a scope borrow parts of one slice and sum them up.
//!
//! ```sh
//! cargo run --release --example parallel_sum
//! ```
//!
//! The scope ends after its goroutines have, so they may borrow from the
//! stack of their parent: no `Arc`, no copy.

use std::time::Instant;

const NUMBERS: u64 = 8_000_000;
/// Enough to keep every processor busy to the end.
const PARTS_PER_PROCESSOR: usize = 4;

/// What is to be summed up: a hash of each number, so that there is some work.
fn hash(n: u64) -> u64 {
    let mut hash = n;
    for _ in 0..8 {
        hash = (hash ^ (hash >> 29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    hash
}

fn sum(numbers: &[u64]) -> u64 {
    numbers.iter().fold(0, |sum, n| sum.wrapping_add(hash(*n)))
}

fn parallel_sum(numbers: &[u64], parts: usize) -> u64 {
    let length = numbers.len().div_ceil(parts).max(1);
    raddle::scope(|s| {
        let handles: Vec<_> = numbers
            .chunks(length)
            .map(|part| s.spawn(move || sum(part)))
            .collect();
        handles
            .into_iter()
            .map(|handle| handle.join().expect("sum does not panic"))
            .fold(0, u64::wrapping_add)
    })
}

#[raddle::main]
fn main() {
    let numbers: Vec<u64> = (0..NUMBERS).collect();
    let processors = raddle::runtime::max_procs();
    let parts = processors * PARTS_PER_PROCESSOR;

    let begin = Instant::now();
    let one_by_one = sum(&numbers);
    let sequential = begin.elapsed();

    let begin = Instant::now();
    let together = parallel_sum(&numbers, parts);
    let parallel = begin.elapsed();

    raddle::println!("sequential   {one_by_one:020}  {sequential:9.1?}");
    raddle::println!("{parts:>3} parts    {together:020}  {parallel:9.1?}");
    assert_eq!(one_by_one, together);
    raddle::println!(
        "equal; {:.2} times as fast on {processors} processors",
        sequential.as_secs_f64() / parallel.as_secs_f64()
    );
}
