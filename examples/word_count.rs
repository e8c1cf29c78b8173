//! Counts the words of all files below a directory: a goroutine for each
//! file, so many at a time as files may be open.
//!
//! ```sh
//! cargo run --release --example word_count              # Rust's own documentation
//! cargo run --release --example word_count -- DIR --check
//! ```
//!
//! Reading is std's. What lies in the page cache is best read in place. With
//! `--blocking` helper threads read, so that as many reads as there are open
//! files can be under way: worth a try on a slow disk.

#![allow(unsafe_code)] // for one promise: migrate mode

use clap::Parser;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use raddle::Goroutine;
use raddle::runtime::{Builder, max_procs};
use std::cmp::Reverse;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicUsize, Ordering::AcqRel, Ordering::Acquire, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use std::{env, fs};

/// Counts the words of all files below a directory, a goroutine for each file.
#[derive(Parser)]
struct Args {
    /// Where to count; if left out, Rust's documentation where it is installed, else here
    dir: Option<PathBuf>,
    /// Count one file after the other as well, and compare
    #[arg(long)]
    check: bool,
    /// Let goroutines move between threads, as in Go
    #[arg(long)]
    migrate: bool,
    /// Read by raddle::blocking, on helper threads
    #[arg(long)]
    blocking: bool,
    /// How many files may be open at the same time
    #[arg(long, value_name = "N", default_value_t = 64)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=512))]
    open: u16,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let builder = if args.migrate {
        // SAFETY: 1. a counting goroutine parks in `blocking` alone and the
        // main one in `Gate::enter` and at the scope's end; what they keep
        // meanwhile is `Send`, a `StdoutLock` or the like is not among it.
        // 2. what may touch a thread-local, reading and showing progress,
        // is behind `#[inline(never)]` in `count_file`, which never parks.
        unsafe { Builder::new().migrate() }
    } else {
        Builder::new()
    };
    let counted = builder
        .build()
        .and_then(|runtime| runtime.run(|| count_words(&args)));
    match counted {
        Ok(code) => code,
        Err(error) => {
            eprintln!("word_count: {error}");
            ExitCode::FAILURE
        }
    }
}

fn count_words(args: &Args) -> io::Result<ExitCode> {
    let dir = args.dir.clone().unwrap_or_else(default_dir);
    let begin = Instant::now();
    let files = list(&dir)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", dir.display())))?;
    let listed = begin.elapsed();

    let progress = progress_of(files.len());
    let begin = Instant::now();
    let total = count_together(&files, args, &progress);
    let counted = begin.elapsed();
    progress.finish_and_clear();

    println!("directory  {}", dir.display());
    println!(
        "mode       {}, {} processors, {} files open at most, read {}",
        if args.migrate { "migrate" } else { "pinned" },
        max_procs(),
        args.open,
        if args.blocking {
            "by helpers"
        } else {
            "in place"
        },
    );
    println!("files      {}", HumanCount(total.files));
    println!("bytes      {}", HumanCount(total.bytes));
    println!("words      {}", HumanCount(total.words));
    println!("different  {}", HumanCount(total.times.len() as u64));
    for (word, times) in total.top(8) {
        println!("           {:>12} {word}", HumanCount(times).to_string());
    }
    if total.failed > 0 {
        println!("unreadable {}", HumanCount(total.failed));
    }
    println!(
        "time       {:.2} s to count, {:.2} s to list; {}",
        counted.as_secs_f64(),
        listed.as_secs_f64(),
        per_second(total.bytes, counted.as_secs_f64()),
    );
    if !args.check {
        return Ok(ExitCode::SUCCESS);
    }

    let begin = Instant::now();
    let mut expected = Tally::default();
    for file in &files {
        expected.add_file(fs::read(file));
    }
    let seconds = begin.elapsed().as_secs_f64();
    let is_equal = total == expected;
    println!(
        "check      {}; one by one it takes {seconds:.2} s, {}",
        if is_equal { "equal" } else { "NOT EQUAL" },
        per_second(expected.bytes, seconds),
    );
    Ok(ExitCode::from(u8::from(!is_equal)))
}

fn per_second(bytes: u64, seconds: f64) -> String {
    format!("{:.0} MB/s", bytes as f64 / 1e6 / seconds.max(1e-9))
}

/// The documentation that comes with the toolchain: tens of thousands of
/// files that many have.
fn default_dir() -> PathBuf {
    Command::new("rustc")
        .args(["--print", "sysroot"])
        .output()
        .ok()
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .map(|sysroot| Path::new(sysroot.trim()).join("share/doc/rust/html"))
        .filter(|html| html.is_dir())
        .or_else(|| env::current_dir().ok())
        .unwrap_or_else(|| PathBuf::from("."))
}

/// All regular files below `dir`; links are not followed, and what cannot be
/// listed is left out.
fn list(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut unread = Vec::new();
    let mut entries = fs::read_dir(dir)?;
    loop {
        for entry in entries.flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => unread.push(entry.path()),
                Ok(kind) if kind.is_file() => files.push(entry.path()),
                _ => {}
            }
        }
        entries = loop {
            let Some(dir) = unread.pop() else {
                return Ok(files);
            };
            if let Ok(entries) = fs::read_dir(dir) {
                break entries;
            }
        };
    }
}

/// A bar on a terminal; else a line and silence.
fn progress_of(files: usize) -> ProgressBar {
    if !io::stderr().is_terminal() {
        eprintln!("counting {} files", HumanCount(files as u64));
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} files {per_sec}")
        .expect("the template is a constant");
    ProgressBar::new(files as u64).with_style(style)
}

fn count_together(files: &[PathBuf], args: &Args, progress: &ProgressBar) -> Tally {
    let gate = Gate::new(args.open.into());
    let shelf = Shelf::default();
    raddle::scope(|s| {
        for file in files {
            let pass = gate.enter();
            let shelf = &shelf;
            s.go(move || {
                if args.blocking {
                    raddle::blocking(|| count_file(file, shelf, progress));
                } else {
                    count_file(file, shelf, progress);
                }
                drop(pass);
            });
        }
    });
    shelf.sum()
}

#[inline(never)]
fn count_file(file: &Path, shelf: &Shelf, progress: &ProgressBar) {
    let text = fs::read(file);
    let mut tally = shelf.take();
    tally.add_file(text);
    shelf.put(tally);
    progress.inc(1);
}

/// Tallies that nobody adds to right now: as many as there were goroutines
/// counting at the same moment, so a few.
#[derive(Default)]
struct Shelf(Mutex<Vec<Tally>>);

impl Shelf {
    fn take(&self) -> Tally {
        self.lock().pop().unwrap_or_default()
    }

    fn put(&self, tally: Tally) {
        self.lock().push(tally);
    }

    /// A lock of std's, for a moment: nobody parks while holding it.
    fn lock(&self) -> MutexGuard<'_, Vec<Tally>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sum(&self) -> Tally {
        let mut sum = self.take();
        for tally in self.lock().drain(..) {
            sum.add(tally);
        }
        sum
    }
}

/// Lets so many goroutines in. The goroutine that made it stands at the
/// entrance, which makes it simple: there is one to wake.
struct Gate {
    inside: AtomicUsize,
    most: usize,
    keeper: Goroutine,
}

impl Gate {
    fn new(most: usize) -> Self {
        Self {
            inside: AtomicUsize::new(0),
            most,
            keeper: raddle::current(),
        }
    }

    /// Parks while all places are taken. A pass given back before the park
    /// leaves its token, so the wake is not lost.
    fn enter(&self) -> Pass<'_> {
        // ORDER: Acquire pairs with the drop of a pass.
        while self.inside.load(Acquire) == self.most {
            raddle::park();
        }
        // ORDER: Relaxed: the keeper alone adds.
        self.inside.fetch_add(1, Relaxed);
        Pass(self)
    }
}

/// A place inside, until it is dropped.
struct Pass<'a>(&'a Gate);

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        // ORDER: AcqRel: what was done inside comes before the next one's.
        if self.0.inside.fetch_sub(1, AcqRel) == self.0.most {
            self.0.keeper.unpark();
        }
    }
}

/// Not std's usual hasher, whose keys come from a thread-local.
type Words = HashMap<Box<[u8]>, u64, BuildHasherDefault<DefaultHasher>>;

#[derive(Default, PartialEq)]
struct Tally {
    files: u64,
    failed: u64,
    bytes: u64,
    words: u64,
    /// How often each word is there, in lower case.
    times: Words,
}

impl Tally {
    /// A word is a run of letters and digits, and of anything beyond ASCII.
    fn add_file(&mut self, text: io::Result<Vec<u8>>) {
        let Ok(mut text) = text else {
            self.failed += 1;
            return;
        };
        self.files += 1;
        self.bytes += text.len() as u64;
        text.make_ascii_lowercase();
        for word in text
            .split(|byte| byte.is_ascii() && !byte.is_ascii_alphanumeric())
            .filter(|word| !word.is_empty())
        {
            self.words += 1;
            match self.times.get_mut(word) {
                Some(times) => *times += 1,
                None => drop(self.times.insert(word.into(), 1)),
            }
        }
    }

    fn add(&mut self, other: Tally) {
        self.files += other.files;
        self.failed += other.failed;
        self.bytes += other.bytes;
        self.words += other.words;
        for (word, times) in other.times {
            *self.times.entry(word).or_default() += times;
        }
    }

    fn top(&self, n: usize) -> Vec<(String, u64)> {
        let mut all: Vec<_> = self.times.iter().collect();
        all.sort_unstable_by_key(|(word, times)| (Reverse(**times), *word));
        all.iter()
            .take(n)
            .map(|(word, times)| (String::from_utf8_lossy(word).into_owned(), **times))
            .collect()
    }
}
