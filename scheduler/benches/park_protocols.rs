//! How should a goroutine park: by commit, or by state word?
//!
//! *Commit*, Go's way: it takes a lock, stands in the queue, and leaves its
//! stack with the lock held; the system stack marks it parked and unlocks. No
//! wake can come too early.
//!
//! *State word*: it stands in the queue, unlocks, and leaves its stack; the
//! system stack marks it parked by a compare-exchange, which fails if a wake
//! came meanwhile, and then the goroutine goes on.
//!
//! Pairs of goroutines send a number to and fro through two mailboxes, all on
//! one machine, or one of each pair on either of two. `docs/decisions/park-protocol.md` says what came out.
//! `park_protocols count commit|word N` does N round trips on one machine and
//! nothing else, for counting instructions.

#![allow(unsafe_code, reason = "a scheduler in small, corosensei at its core")]

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};
use std::cell::{Cell, UnsafeCell};
use std::collections::VecDeque;
use std::hint::{black_box, spin_loop};
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize};
use std::thread;
use std::time::Instant;

const QUEUED: u8 = 0;
const RUNNING: u8 = 1;
const PARKED: u8 = 2;

#[derive(Clone, Copy, PartialEq)]
enum Protocol {
    Commit,
    Word,
}

/// What happened, over all machines.
#[derive(Default)]
struct Counts {
    /// Wakes found before the goroutine left its stack.
    early: AtomicU64,
    /// Wakes found on the system stack.
    late: AtomicU64,
    /// Locks found held.
    contended: AtomicU64,
}

/// A lock that may be taken on a goroutine's stack and given back on the
/// system stack.
#[derive(Default)]
struct Lock(AtomicBool);

impl Lock {
    fn lock(&self) {
        // ORDER: Acquire pairs with `unlock`.
        if !self.0.swap(true, Acquire) {
            return;
        }
        count(|counts| &counts.contended);
        // ORDER: as above.
        while self.0.load(Relaxed) || self.0.swap(true, Acquire) {
            spin_loop();
        }
    }

    fn unlock(&self) {
        // ORDER: Release pairs with `lock`.
        self.0.store(false, Release);
    }
}

/// Room for one number, and for one goroutine that waits for it. What lies
/// in the cells belongs to who holds the lock.
#[derive(Default)]
struct Mailbox {
    lock: Lock,
    number: Cell<Option<u64>>,
    waiter: Cell<Option<&'static Goroutine>>,
}

// SAFETY: the cells are used under the lock alone.
unsafe impl Sync for Mailbox {}

impl Mailbox {
    fn send(&self, protocol: Protocol, number: u64) {
        self.lock.lock();
        self.number.set(Some(number));
        let waiter = self.waiter.take();
        self.lock.unlock();
        if let Some(waiter) = waiter {
            waiter.unpark(protocol);
        }
    }

    fn receive(&self, protocol: Protocol) -> u64 {
        loop {
            self.lock.lock();
            if let Some(number) = self.number.take() {
                self.lock.unlock();
                return number;
            }
            let me = CURRENT.get().expect("on a goroutine");
            self.waiter.set(Some(me));
            match protocol {
                Protocol::Commit => me.leave(Left::ParksWith(&self.lock)),
                Protocol::Word => {
                    self.lock.unlock();
                    me.park();
                }
            }
        }
    }
}

/// Why a goroutine left its stack.
enum Left {
    Parks,
    /// The lock to give back once it is parked.
    ParksWith(*const Lock),
}

type Stack = Coroutine<(), Left, (), DefaultStack>;

struct Goroutine {
    state: AtomicU8,
    home: usize,
    /// Used by its machine only.
    coroutine: UnsafeCell<Stack>,
    /// Used by itself only.
    yielder: Cell<*const Yielder<(), Left>>,
}

// SAFETY: only `state` and `home` are used by others than its machine.
unsafe impl Sync for Goroutine {}
// SAFETY: it runs on one machine from beginning to end.
unsafe impl Send for Goroutine {}

impl Goroutine {
    /// One that is never freed, as whoever wakes it may look at it late.
    fn new(home: usize, body: impl FnOnce() + 'static) -> &'static Self {
        let coroutine = Coroutine::with_stack(
            DefaultStack::new(64 * 1024).expect("a stack"),
            move |yielder: &Yielder<(), Left>, ()| {
                let me = CURRENT.get().expect("on a goroutine");
                me.yielder.set(yielder);
                body();
            },
        );
        Box::leak(Box::new(Self {
            state: AtomicU8::new(QUEUED),
            home,
            coroutine: UnsafeCell::new(coroutine),
            yielder: Cell::new(ptr::null()),
        }))
    }

    fn leave(&self, left: Left) {
        // SAFETY: set when its body began, and alive as long as that runs.
        let yielder = unsafe { &*self.yielder.get() };
        yielder.suspend(left);
    }

    /// The state word's park: the caller has shown itself to its waker.
    fn park(&self) {
        // ORDER: Acquire pairs with `unpark`.
        if self.state.load(Acquire) == QUEUED {
            // ORDER: Relaxed: its one wake has been.
            self.state.store(RUNNING, Relaxed);
            count(|counts| &counts.early);
            return;
        }
        self.leave(Left::Parks);
    }

    fn unpark(&'static self, protocol: Protocol) {
        let is_ours = match protocol {
            // ORDER: Acquire pairs with the store of PARKED, Release shows
            // the waker's writes.
            Protocol::Commit => {
                let was = self.state.compare_exchange(PARKED, QUEUED, AcqRel, Relaxed);
                assert_eq!(was, Ok(PARKED), "woken before it was parked");
                true
            }
            // ORDER: as above, with the exchange to PARKED.
            Protocol::Word => self.state.swap(QUEUED, AcqRel) == PARKED,
        };
        if is_ours {
            ready(self);
        }
    }
}

/// What other machines made ready.
#[derive(Default)]
struct Inbox {
    has_some: AtomicBool,
    goroutines: Mutex<Vec<&'static Goroutine>>,
}

/// The machines of a run.
struct Machines {
    inboxes: [Inbox; 2],
    running: AtomicUsize,
    counts: Counts,
}

thread_local! {
    static CURRENT: Cell<Option<&'static Goroutine>> = const { Cell::new(None) };
    static MACHINES: Cell<Option<&'static Machines>> = const { Cell::new(None) };
    static ME: Cell<usize> = const { Cell::new(0) };
    static QUEUE: UnsafeCell<VecDeque<&'static Goroutine>> =
        const { UnsafeCell::new(VecDeque::new()) };
}

fn count(which: impl FnOnce(&'static Counts) -> &'static AtomicU64) {
    let machines = MACHINES.get().expect("on a machine");
    // ORDER: Relaxed: read after the threads are joined.
    which(&machines.counts).fetch_add(1, Relaxed);
}

fn queue<R>(f: impl FnOnce(&mut VecDeque<&'static Goroutine>) -> R) -> R {
    QUEUE.with(|queue| {
        // SAFETY: no `f` in this program comes back here.
        f(unsafe { &mut *queue.get() })
    })
}

fn ready(g: &'static Goroutine) {
    if g.home == ME.get() {
        return queue(|queue| queue.push_back(g));
    }
    let inbox = &MACHINES.get().expect("on a machine").inboxes[g.home];
    inbox.goroutines.lock().expect("not poisoned").push(g);
    // ORDER: Release pairs with `next`, though the lock would do.
    inbox.has_some.store(true, Release);
}

fn next(machines: &Machines) -> Option<&'static Goroutine> {
    loop {
        if let Some(g) = queue(VecDeque::pop_front) {
            return Some(g);
        }
        let inbox = &machines.inboxes[ME.get()];
        // ORDER: the load only saves the swap; Acquire pairs with `ready`.
        if inbox.has_some.load(Relaxed) && inbox.has_some.swap(false, Acquire) {
            let mut goroutines = inbox.goroutines.lock().expect("not poisoned");
            queue(|queue| queue.extend(goroutines.drain(..)));
            continue;
        }
        // ORDER: Relaxed: a number.
        if machines.running.load(Relaxed) == 0 {
            return None;
        }
        spin_loop();
    }
}

/// The loop of a machine, on the system stack.
fn run_machine(me: usize, machines: &'static Machines, first: Vec<&'static Goroutine>) {
    ME.set(me);
    MACHINES.set(Some(machines));
    queue(|queue| queue.extend(first));
    while let Some(g) = next(machines) {
        CURRENT.set(Some(g));
        // ORDER: Relaxed: it came from a queue, and no wake is owed.
        g.state.store(RUNNING, Relaxed);
        run(g, machines);
        CURRENT.set(None);
    }
}

/// Runs `g` until it is parked or has ended.
fn run(g: &'static Goroutine, machines: &'static Machines) {
    loop {
        // SAFETY: it came from this machine's queue, so it stands still.
        let coroutine = unsafe { &mut *g.coroutine.get() };
        match coroutine.resume(()) {
            CoroutineResult::Yield(Left::ParksWith(lock)) => {
                // ORDER: Release publishes the saved registers to `unpark`.
                g.state.store(PARKED, Release);
                // SAFETY: mailboxes are never freed; `g` may run elsewhere
                // from here on and is touched no more.
                unsafe { &*lock }.unlock();
                break;
            }
            CoroutineResult::Yield(Left::Parks) => {
                // ORDER: Release as above; Acquire pairs with the early
                // `unpark`.
                let parked = g.state.compare_exchange(RUNNING, PARKED, Release, Acquire);
                if parked.is_ok() {
                    break;
                }
                count(|counts| &counts.late);
                // ORDER: Relaxed: its one wake has been.
                g.state.store(RUNNING, Relaxed);
            }
            CoroutineResult::Return(()) => {
                // ORDER: Relaxed: a number.
                machines.running.fetch_sub(1, Relaxed);
                break;
            }
        }
    }
}

/// `trips` there and back for each pair, on one machine or two.
fn ping_pong(
    protocol: Protocol,
    threads: usize,
    pairs: usize,
    trips: u64,
) -> (f64, &'static Counts) {
    let machines: &'static Machines = Box::leak(Box::new(Machines {
        inboxes: Default::default(),
        running: AtomicUsize::new(2 * pairs),
        counts: Counts::default(),
    }));
    let (mut pings, mut pongs) = (Vec::new(), Vec::new());
    for _ in 0..pairs {
        let mailboxes: &'static [Mailbox; 2] = Box::leak(Box::default());
        let [there, back] = mailboxes;
        pings.push(Goroutine::new(0, move || {
            for trip in 0..trips {
                there.send(protocol, trip);
                assert_eq!(back.receive(protocol), trip);
            }
        }));
        pongs.push(Goroutine::new(threads - 1, move || {
            for _ in 0..trips {
                back.send(protocol, black_box(there.receive(protocol)));
            }
        }));
    }
    let start = Instant::now();
    if threads == 1 {
        run_machine(0, machines, [pings, pongs].concat());
    } else {
        thread::scope(|scope| {
            scope.spawn(|| run_machine(1, machines, pongs));
            run_machine(0, machines, pings);
        });
    }
    let ns = start.elapsed().as_nanos() as f64 / (trips * pairs as u64) as f64;
    (ns, &machines.counts)
}

/// The parts of a park and an unpark that differ, without the switch: what
/// the marking costs by itself.
fn marking(protocol: Protocol, times: u64) -> f64 {
    let state = AtomicU8::new(QUEUED);
    let start = Instant::now();
    for _ in 0..times {
        let state = black_box(&state);
        // ORDER: as in `run` and `unpark`; nobody else looks.
        state.store(RUNNING, Relaxed);
        match protocol {
            Protocol::Commit => {
                state.store(PARKED, Release);
                let _parked = black_box(state.compare_exchange(PARKED, QUEUED, AcqRel, Relaxed));
            }
            Protocol::Word => {
                black_box(state.load(Acquire) == QUEUED);
                let _parked = black_box(state.compare_exchange(RUNNING, PARKED, Release, Acquire));
                black_box(state.swap(QUEUED, AcqRel));
            }
        }
    }
    start.elapsed().as_nanos() as f64 / times as f64
}

fn report(trips: u64) {
    println!(
        "| machines | pairs | protocol | ns a round trip, median | best | early wakes a \
         thousand trips | of them after the switch | locks found held a thousand trips |\n\
         |---|---|---|---|---|---|---|---|"
    );
    for (threads, pairs) in [(1, 1), (1, 16), (2, 1), (2, 16)] {
        let trips = trips / pairs as u64;
        // ORDER: Relaxed: the threads are joined.
        let per_thousand =
            |count: &AtomicU64| count.load(Relaxed) as f64 * 1000.0 / (trips * pairs as u64) as f64;
        let mut rounds = [Vec::new(), Vec::new()];
        let mut last = [None, None];
        // In turn, so that a slow moment of the computer meets both.
        for _ in 0..9 {
            for (at, protocol) in [Protocol::Commit, Protocol::Word].into_iter().enumerate() {
                let (ns, counts) = ping_pong(protocol, threads, pairs, trips);
                rounds[at].push(ns);
                last[at] = Some(counts);
            }
        }
        for ((mut ns, counts), name) in rounds.into_iter().zip(last).zip(["commit", "word"]) {
            ns.sort_by(f64::total_cmp);
            let counts = counts.expect("a round was run");
            println!(
                "| {threads} | {pairs} | {name} | {:.1} | {:.1} | {:.2} | {:.2} | {:.2} |",
                ns[ns.len() / 2],
                ns[0],
                per_thousand(&counts.early) + per_thousand(&counts.late),
                per_thousand(&counts.late),
                per_thousand(&counts.contended),
            );
        }
    }
    println!("\n| marking alone, a park and an unpark | ns, median of 9 |\n|---|---|");
    for (protocol, name) in [(Protocol::Commit, "commit"), (Protocol::Word, "word")] {
        let mut ns: Vec<f64> = (0..9).map(|_| marking(protocol, trips * 4)).collect();
        ns.sort_by(f64::total_cmp);
        println!("| {name} | {:.1} |", ns[4]);
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.get(1).is_some_and(|argument| argument == "count") {
        let protocol = match arguments[2].as_str() {
            "commit" => Protocol::Commit,
            _ => Protocol::Word,
        };
        let trips = arguments[3].parse().expect("a number of round trips");
        ping_pong(protocol, 1, 1, trips);
        return;
    }
    // `cargo test` runs it too, and wants to know only that it works.
    let is_bench = arguments.iter().any(|argument| argument == "--bench");
    report(if is_bench { 300_000 } else { 300 });
}
