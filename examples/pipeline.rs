//! Stages joined by channels; the first error ends them all.
//!
//! ```sh
//! cargo run --example pipeline
//! ```
//!
//! In Go: a stage is a function that starts a goroutine and returns its
//! output channel; `errgroup.WithContext` cancels the context at the first
//! error, and every send and receive selects over `ctx.Done()`. Here
//! `send_ctx` and `recv_ctx` do that, and a stage that ends drops its sender,
//! which ends the next one's loop.

use raddle::chan::{Receiver, Sender, bounded};
use raddle::context::Context;
use raddle::sync::errgroup::Group;

type Stage = Result<(), String>;

/// Numbers from 1 on.
fn count(context: &Context, most: u64, out: Sender<u64>) -> Stage {
    for n in 1..=most {
        if out.send_ctx(context, n).is_err() {
            return Ok(()); // cancelled, or nobody listens
        }
    }
    Ok(())
}

/// Squares; 13 brings bad luck, if it is to.
fn square(context: &Context, is_unlucky: bool, numbers: Receiver<u64>, out: Sender<u64>) -> Stage {
    while let Ok(n) = numbers.recv_ctx(context) {
        if is_unlucky && n == 13 {
            return Err("13 is not squared here".into());
        }
        if out.send_ctx(context, n * n).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// One stage that counts, four that square what it counts (fan-out) into one
/// channel (fan-in), and the sum of it all.
fn sum_of_squares(is_unlucky: bool) -> Result<u64, String> {
    let (group, context) = Group::with_context(&Context::background());
    let (numbers, to_square) = bounded(0);
    let (squares, to_sum) = bounded(0);
    let counting = context.clone();
    group.go(move || count(&counting, 100, numbers));
    for _ in 0..4 {
        let (context, from, to) = (context.clone(), to_square.clone(), squares.clone());
        group.go(move || square(&context, is_unlucky, from, to));
    }
    // Theirs alone now: so each loop ends when the stage before it has.
    drop((to_square, squares));
    let mut sum = 0;
    while let Ok(square) = to_sum.recv_ctx(&context) {
        sum += square;
    }
    group.wait()?;
    Ok(sum)
}

#[raddle::main]
fn main() {
    raddle::println!("all went well: {:?}", sum_of_squares(false));
    raddle::println!("one did not: {:?}", sum_of_squares(true));
    // A group's wait is over once its functions are, a moment before their
    // goroutines: this gives them that moment.
    let is_clean = raddle::observe::verify_no_leaks().is_ok();
    raddle::println!("nobody is left: {is_clean}");
}
