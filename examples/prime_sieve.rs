//! A chain of goroutines, one for each prime, sieves the numbers.
//!
//! ```sh
//! cargo run --release --example prime_sieve -- 30
//! ```
//!
//! In Go: a generator sends 2, 3, 4 .. into a channel. The first number to
//! come out is a prime, and a new goroutine behind it keeps back that prime's
//! multiples. A slow way to find primes, and a good load of small messages.
//! Go's chain is left behind when main has enough; this one takes itself
//! apart, each goroutine leaving when the next does not listen any more.

use clap::Parser;
use raddle::chan::{Receiver, Sender, bounded};
use raddle::go;

/// Prints the first primes.
#[derive(Parser)]
struct Args {
    /// How many
    #[arg(default_value_t = 20)]
    n: usize,
}

fn generate(numbers: Sender<u64>) {
    for n in 2.. {
        if numbers.send(n).is_err() {
            return;
        }
    }
}

fn keep_back_multiples(prime: u64, numbers: Receiver<u64>, rest: Sender<u64>) {
    for n in numbers.iter().filter(|n| n % prime != 0) {
        if rest.send(n).is_err() {
            return;
        }
    }
}

#[raddle::main]
fn main() {
    let (sender, mut numbers) = bounded(0);
    let first = go!(generate(sender));
    for _ in 0..Args::parse().n {
        let prime = numbers.recv().expect("there are always more");
        raddle::println!("{prime}");
        let (sender, rest) = bounded(0);
        go!(keep_back_multiples(prime, numbers, sender));
        numbers = rest;
    }
    drop(numbers);
    first.join().expect("it leaves when nobody listens");
}
