//! A tree of goroutines: ten children each, a million leaves, one sum.
//!
//! ```sh
//! cargo run --release --example skynet
//! cargo run --release --example skynet -- 10000
//! ```
//!
//! In Go: a function that starts ten goroutines of itself, each with a tenth
//! of the numbers, and adds up what they send back on a channel. A leaf sends
//! its own number. It is a test of how fast goroutines are made, scheduled
//! and forgotten: 1,111,111 of them by default.

use clap::Parser;
use raddle::chan::{Sender, bounded};
use raddle::go;
use std::time::Instant;

/// Adds up the numbers below LEAVES, with a goroutine for each.
#[derive(Parser)]
struct Args {
    /// How many leaves the tree has
    #[arg(default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=MOST))]
    leaves: u64,
}

const CHILDREN: u64 = 10;
/// More take more memory than there is; and the sum has to fit.
const MOST: u64 = 1_000_000_000;

/// Sends the sum of `leaves` numbers from `first` on.
fn skynet(sum: Sender<u64>, first: u64, leaves: u64) {
    if leaves == 1 {
        sum.send(first).expect("its parent listens");
        return;
    }
    let children = CHILDREN.min(leaves);
    let (part, parts) = bounded(CHILDREN as usize);
    let begin_of = |child| first + leaves * child / children;
    for child in 0..children {
        let begin = begin_of(child);
        go!(skynet(part.clone(), begin, begin_of(child + 1) - begin));
    }
    drop(part);
    sum.send(parts.iter().sum()).expect("its parent listens");
}

#[raddle::main]
fn main() {
    let leaves = Args::parse().leaves;
    let begin = Instant::now();
    let (sender, sum) = bounded(1);
    go!(skynet(sender, 0, leaves));
    let sum = sum.recv().expect("the root sends it");
    raddle::println!("{sum}");
    raddle::println!("{:.0?}", begin.elapsed());
}
