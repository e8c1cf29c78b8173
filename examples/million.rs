//! A million goroutines, parked at the same time.
//!
//! ```sh
//! cargo run --release --example million             # needs 6 GB of memory
//! cargo run --release --example million -- 100000
//! ```
//!
//! Prints what a parked goroutine costs: its share of the resident memory
//! (the top page of its stack, its heap block, its handle) and of the page
//! tables, which the kernel counts apart.

use clap::Parser;
use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};
use raddle::JoinHandle;
use raddle::sync::WaitGroup;
use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Parks many goroutines at the same time and prints what they cost.
#[derive(Parser)]
struct Args {
    /// How many
    #[arg(default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=MOST))]
    goroutines: u64,
}

/// More than any machine has room for.
const MOST: u64 = 1_000_000_000;
/// Spawned together, before main waits for them to park.
const BATCH: usize = 10_000;
/// What one needs, page tables included, rounded up.
const NEED: u64 = 6_000;

#[raddle::main]
fn main() -> ExitCode {
    let count = Args::parse().goroutines;
    let available = of_proc("/proc/meminfo", "MemAvailable:");
    if available.is_some_and(|available| available < count * NEED) {
        eprintln!(
            "million: {} goroutines need some {}, and {} are free; try fewer",
            HumanCount(count),
            HumanBytes(count * NEED),
            HumanBytes(available.unwrap_or_default()),
        );
        return ExitCode::FAILURE;
    }

    let before = Memory::now();
    let Some((handles, spawn)) = spawn_and_park(count) else {
        return ExitCode::FAILURE;
    };
    let after = Memory::now();

    let begin = Instant::now();
    for handle in &handles {
        handle.goroutine().unpark();
    }
    let wake = begin.elapsed();
    let mut finished = 0;
    for handle in handles {
        finished += u64::from(handle.join().is_ok());
    }
    let finish = begin.elapsed();

    println!("goroutines parked: {}", HumanCount(count));
    println!(
        "bytes per goroutine: {}",
        after.resident.saturating_sub(before.resident) / count
    );
    println!(
        "bytes of page tables per goroutine: {}",
        after.page_tables.saturating_sub(before.page_tables) / count
    );
    println!(
        "in all: {} resident, {} of page tables",
        HumanBytes(after.resident),
        HumanBytes(after.page_tables)
    );
    print_time("to spawn and park", spawn, count);
    print_time("to wake", wake, count);
    print_time("to wake and finish", finish, count);
    println!("finished: {}", HumanCount(finished));
    ExitCode::from(u8::from(finished != count))
}

fn print_time(what: &str, time: Duration, count: u64) {
    let each = time.as_nanos() / u128::from(count);
    println!("{what}: {:.3} s, {each} ns each", time.as_secs_f64());
}

/// `None`: the system has not so many stacks.
fn spawn_and_park(count: u64) -> Option<(Vec<JoinHandle<()>>, Duration)> {
    let progress = progress_of(count);
    let mut handles = Vec::new();
    let begin = Instant::now();
    while handles.len() as u64 != count {
        let batch = BATCH.min((count - handles.len() as u64) as usize);
        let parked = WaitGroup::new();
        parked.add(batch as isize);
        let first = handles.len();
        handles.extend((0..batch).map(|_| {
            let here = Here(parked.clone());
            raddle::spawn(move || {
                drop(here);
                raddle::park();
            })
        }));
        parked.wait();
        if handles[first..].iter().any(JoinHandle::is_finished) {
            progress.abandon();
            eprintln!("million: no more than {first} could be had at the same time");
            return None;
        }
        progress.inc(batch as u64);
    }
    let spawn = begin.elapsed();
    progress.finish_and_clear();
    Some((handles, spawn))
}

/// Counted until dropped: also by a goroutine that never gets to run.
struct Here(WaitGroup);

impl Drop for Here {
    fn drop(&mut self) {
        self.0.done();
    }
}

/// A bar on a terminal, else nothing.
fn progress_of(count: u64) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {human_pos} parked {per_sec}")
        .expect("the template is a constant");
    ProgressBar::new(count).with_style(style)
}

/// What the process uses, in bytes; zeros where the system does not say.
struct Memory {
    resident: u64,
    page_tables: u64,
}

impl Memory {
    fn now() -> Self {
        let of = |field| of_proc("/proc/self/status", field).unwrap_or_default();
        Self {
            resident: of("VmRSS:"),
            page_tables: of("VmPTE:"),
        }
    }
}

/// A field that is given in kB, in bytes.
fn of_proc(file: &str, field: &str) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    let kb: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kb * 1024)
}
