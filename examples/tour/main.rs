//! A walk through what there is, in order, with a word about each.
//!
//! ```sh
//! cargo run --release --example tour
//! cargo run --release --example tour -- --fast
//! ```
//!
//! In colour on a terminal, unless `NO_COLOR` is set, and with a moment to
//! read between the stops, unless `--fast`; plain and at once elsewhere. Each
//! stop is a function of the module that its part is named for, and most of
//! them are a program of their own in `examples/`.

#![allow(unsafe_code)] // for one promise: migrate mode

mod channels;
mod choices;
mod goroutines;
mod inside;
mod page;
mod together;

use clap::Parser;
use page::Page;
use std::time::Instant;

/// A walk through raddle, less than a minute long.
#[derive(Parser)]
struct Args {
    /// Do not pause between the stops
    #[arg(long)]
    fast: bool,
    /// Be the program that one stop shows
    #[arg(long, hide = true)]
    deadlock: bool,
}

type Stop = (&'static str, fn(&Page));

const PARTS: [(&str, &[Stop]); 5] = [
    (
        "Goroutines",
        &[
            ("Start a goroutine", goroutines::start),
            ("Borrow from the parent", goroutines::borrow),
            ("Wait for many", goroutines::wait_for_many),
            ("A loop's variable", goroutines::capture),
            ("Sleep, and hope", goroutines::hope),
            ("A data race does not compile", goroutines::race),
            ("Panic, alone", goroutines::panic_alone),
        ],
    ),
    (
        "Channels",
        &[
            ("Send and receive", channels::count),
            ("Close says: what came before is done", channels::publish),
            ("Who owns which end", channels::own),
            ("Buffers", channels::buffer),
            ("All asleep", channels::deadlock),
            ("Left behind", channels::leak),
        ],
    ),
    (
        "Choices",
        &[
            ("Whichever comes first", choices::tick_tock),
            ("Or none, and go on", choices::look),
            ("Cancel", choices::cancel),
            ("Switch a case off", choices::switch_off),
        ],
    ),
    (
        "Together",
        &[
            ("Count behind a lock", together::count_locked),
            ("Count without one", together::count),
            ("Three workers, five jobs", together::pool),
            ("Ten at a time", together::semaphore),
            ("A chain: the prime sieve", together::sieve),
            ("A tree: skynet", together::skynet),
        ],
    ),
    (
        "Inside",
        &[
            ("Park, and be woken", inside::take_turns),
            ("Sleep, a hundred thousand at once", inside::sleep_together),
            ("Block, and hold up nobody", inside::block),
            ("Values of a goroutine's own", inside::keep_values),
            ("One of a kind", inside::have_it_special),
            ("Change the number of processors", inside::change_processors),
            ("Get stuck, and harm nobody", inside::get_stuck),
            ("Watch the scheduler", inside::watch),
        ],
    ),
];

#[raddle::main]
fn main() {
    let args = Args::parse();
    if args.deadlock {
        channels::deadlock_for_real();
    }
    let begin = Instant::now();
    let page = Page::new(args.fast);
    page.say("raddle: Go's concurrency for Rust. A tour, less than a minute long:");
    page.say("what one writes, and after the arrow what came of it just now.");

    let mut number = 0;
    for (part, stops) in PARTS {
        page.part(part);
        for (title, stop) in stops {
            number += 1;
            page.title(&format!("{number}. {title}"));
            stop(&page);
        }
    }

    page.title("That was it");
    page.say("Main returns now, and the process ends: goroutines still running are");
    page.say("not waited for. Next: examples/word_count.rs, examples/million.rs.");
    page.result(format_args!(
        "the tour took {:.1} s",
        begin.elapsed().as_secs_f64()
    ));
}
