//! Where the tests of channels run: on goroutines, on plain threads, and with
//! some of the partners on each.

#![allow(dead_code, reason = "each test file uses a part")]

use crate::common::{MODES, Random, child, is_child, on_runtimes, stderr, with_deadline};
use raddle::chan::{self, Receiver, Select, Sender};
use raddle::runtime::Runtime;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

/// What a test's members run on.
pub struct Place<'a> {
    runtime: Option<&'a Runtime>,
    mixed: bool,
    next: AtomicUsize,
    /// For messages: what it is.
    pub name: String,
}

/// Something `Place::spawn` began.
pub enum Member<T> {
    Thread(thread::JoinHandle<T>),
    Goroutine(raddle::JoinHandle<T>),
}

impl<T: Send> Member<T> {
    /// Its result, or its panic's payload.
    pub fn join(self) -> thread::Result<T> {
        match self {
            // Others at home on the caller's machine go on meanwhile.
            Member::Thread(handle) => raddle::blocking(|| handle.join()),
            Member::Goroutine(handle) => handle.join(),
        }
    }

    /// Its result; its panic goes on here.
    pub fn end(self) -> T {
        self.join().unwrap_or_else(|payload| resume_unwind(payload))
    }
}

impl Place<'_> {
    /// Runs `f` beside the caller: as a goroutine, a thread, or by turns.
    pub fn spawn<F, T>(&self, f: F) -> Member<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        // ORDER: Relaxed; a count.
        let turn = self.next.fetch_add(1, Relaxed);
        match self.runtime {
            Some(runtime) if !self.mixed || turn.is_multiple_of(2) => {
                Member::Goroutine(runtime.spawn(f))
            }
            _ => Member::Thread(thread::spawn(f)),
        }
    }
}

/// Runs `body` on a plain thread whose partners are threads, then as a
/// goroutine of P = 1, 2, 4 in both modes, with partners of its own kind and
/// with partners of both kinds.
pub fn at_each_place(limit: Duration, body: impl Fn(&Place) + Send + Sync + Clone) {
    with_deadline(limit, "threads", || {
        body(&Place {
            runtime: None,
            mixed: false,
            next: AtomicUsize::new(0),
            name: "threads".into(),
        });
    });
    on_runtimes(&[1, 2, 4], &MODES, limit, |runtime, what| {
        for mixed in [false, true] {
            let place = Place {
                runtime: Some(runtime),
                mixed,
                next: AtomicUsize::new(0),
                name: format!("{what}{}", if mixed { " and threads" } else { "" }),
            };
            runtime.run(|| body(&place));
        }
    });
}

/// Runs a `body` without partners on a plain thread, and as a goroutine in
/// both modes.
pub fn alone_everywhere(limit: Duration, body: impl Fn() + Send + Sync + Clone) {
    with_deadline(limit, "a thread", &body);
    on_runtimes(&[1], &MODES, limit, |runtime, _| runtime.run(&body));
}

/// Capacities that differ in kind; `None` is unbounded.
pub const CAPACITIES: [Option<usize>; 5] = [Some(0), Some(1), Some(2), Some(8), None];

pub fn channel<T>(capacity: Option<usize>) -> (Sender<T>, Receiver<T>) {
    match capacity {
        Some(capacity) => chan::bounded(capacity),
        None => chan::unbounded(),
    }
}

/// Gives way for a moment: long enough now and then for a partner to park.
pub fn dally(random: &mut Random) {
    match random.below(0..8) {
        0 => {}
        1 => raddle::time::sleep(random.micros(0..200)),
        n => (0..n).for_each(|_| raddle::yield_now()),
    }
}

/// Gives way until a receiver is parked at this rendezvous.
pub fn until_a_receiver_waits<T>(tx: &Sender<T>) {
    let mut select = Select::new();
    select.send(tx);
    while select.try_ready().is_err() {
        raddle::yield_now();
    }
}

/// Gives way until a sender is parked at this rendezvous.
pub fn until_a_sender_waits<T>(rx: &Receiver<T>) {
    let mut select = Select::new();
    select.recv(rx);
    while select.try_ready().is_err() {
        raddle::yield_now();
    }
}

/// For a bug that was a hang: in a process of its own, so that the others of
/// this file are still run.
pub fn in_child(name: &str, body: impl FnOnce()) {
    if is_child() {
        body();
        return;
    }
    let output = child(name, &[]);
    assert!(output.status.success(), "{}", stderr(&output));
}

pub fn spin_until(is_so: impl Fn() -> bool) {
    while !is_so() {
        std::hint::spin_loop();
    }
}

/// A goroutine that has begun, so is at home here, and is runnable: it runs
/// `f` as soon as the caller gives way.
pub fn runnable(f: impl FnOnce() + Send + 'static) -> raddle::JoinHandle<()> {
    let (begun_tx, begun) = chan::bounded::<()>(0);
    let (go_tx, go) = chan::unbounded::<()>();
    let handle = raddle::spawn(move || {
        begun_tx.send(()).unwrap();
        go.recv().unwrap();
        f();
    });
    begun.recv().unwrap();
    raddle::yield_now();
    go_tx.send(()).unwrap();
    handle
}

/// Counts the values made and dropped, and their squares, so that one dropped
/// twice does not make up for one that leaked.
#[derive(Clone, Default)]
pub struct Ledger(Arc<Accounts>);

#[derive(Default)]
struct Accounts {
    made: AtomicU64,
    dropped: AtomicU64,
    squares_made: AtomicU64,
    squares_dropped: AtomicU64,
}

// ORDER: SeqCst in the ledger: it is read where a channel, or the end of a
// runtime, should have ordered it, and must not err itself.
impl Ledger {
    pub fn new() -> Self {
        Self::default()
    }

    /// A value that this ledger counts.
    pub fn value(&self, number: u64) -> Value {
        self.0.made.fetch_add(1, SeqCst);
        let square = number.wrapping_mul(number);
        self.0.squares_made.fetch_add(square, SeqCst);
        Value {
            number,
            ledger: self.clone(),
        }
    }

    pub fn made(&self) -> u64 {
        self.0.made.load(SeqCst)
    }

    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(SeqCst)
    }

    /// Each value was dropped, and once.
    #[track_caller]
    pub fn settled(&self, what: &str) {
        assert_eq!(self.dropped(), self.made(), "dropped, made: {what}");
        let squares = self.0.squares_dropped.load(SeqCst);
        assert_eq!(squares, self.0.squares_made.load(SeqCst), "{what}");
    }
}

/// A message that is counted when it is made and when it is dropped.
pub struct Value {
    pub number: u64,
    ledger: Ledger,
}

impl Drop for Value {
    fn drop(&mut self) {
        let square = self.number.wrapping_mul(self.number);
        self.ledger.0.squares_dropped.fetch_add(square, SeqCst);
        self.ledger.0.dropped.fetch_add(1, SeqCst);
    }
}
