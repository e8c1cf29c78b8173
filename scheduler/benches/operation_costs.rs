//! What do the operations cost that a scheduler's hot paths are made of?
//!
//! Prints a table in Markdown: nanoseconds an operation, the median of nine
//! rounds and the best one. `docs/decisions/operation-costs.md` keeps what it
//! said and what follows. x86-64 Linux; on two free cores, or the rows about
//! a second thread mean little.

#![allow(
    unsafe_code,
    reason = "clocks, system calls and stack pointers are what is measured"
)]

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
fn main() {
    println!("this program measures x86-64 Linux");
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn main() {
    // `cargo test` runs it too, and wants to know only that it works.
    measured::main(std::env::args().any(|argument| argument == "--bench"));
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod measured {
    use corosensei::stack::{Stack, StackPointer};
    use crossbeam_deque::{Injector, Steal, Worker};
    use std::alloc::{Layout, alloc, dealloc};
    use std::cell::Cell;
    use std::collections::VecDeque;
    use std::hint::{black_box, spin_loop};
    use std::sync::Mutex;
    use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
    use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, fence};
    use std::thread;
    use std::time::{Duration, Instant};
    use tracing::Level;
    use tracing::level_filters::LevelFilter;

    const ROUNDS: usize = 9;

    /// Prints rows; how often each operation is done.
    struct Table {
        times: u64,
    }

    impl Table {
        fn row(&self, name: &str, mut ns: Vec<f64>) {
            ns.sort_by(f64::total_cmp);
            println!("| {name} | {:.1} | {:.1} |", ns[ns.len() / 2], ns[0]);
        }

        /// `share`: of `times`, for what is slow.
        fn each(&self, name: &str, share: f64, mut operation: impl FnMut()) {
            let times = ((self.times as f64 * share) as u64).max(1);
            let mut round = || {
                let start = Instant::now();
                for _ in 0..times {
                    operation();
                }
                start.elapsed().as_nanos() as f64 / times as f64
            };
            round();
            self.row(name, (0..ROUNDS).map(|_| round()).collect());
        }
    }

    pub(super) fn main(is_bench: bool) {
        let table = Table {
            times: if is_bench { 4_000_000 } else { 400 },
        };
        println!("| operation | ns, median | best |\n|---|---|---|");
        table.each("the empty loop, part of every row", 1.0, || {
            black_box(0);
        });
        who_am_i(&table);
        events(&table);
        clocks(&table);
        atomics(&table);
        barriers(&table);
        locks(&table);
        queues(&table);
        memory(&table);
        between_cores(&table);
        wakes(&table, if is_bench { 3000 } else { 10 });
    }

    thread_local! {
        static CURRENT: Cell<usize> = const { Cell::new(1) };
        static LAZY: Cell<usize> = Cell::new(std::process::id() as usize);
        static BUDGET: Cell<u32> = const { Cell::new(0) };
    }

    #[inline(never)]
    fn current_by_call() -> usize {
        CURRENT.get()
    }

    const STACK: usize = 256 * 1024;

    #[inline(always)]
    fn stack_pointer() -> usize {
        let pointer: usize;
        // SAFETY: reads a register.
        unsafe {
            std::arch::asm!("mov {}, rsp", out(reg) pointer, options(nomem, nostack, pure));
        }
        pointer
    }

    /// A stack that begins where its size says, so that its own words are
    /// found from any address on it.
    struct Aligned(*mut u8);

    impl Aligned {
        fn layout() -> Layout {
            Layout::from_size_align(STACK, STACK).expect("a power of two")
        }

        fn new() -> Self {
            // SAFETY: the size is not 0.
            let start = unsafe { alloc(Self::layout()) };
            assert!(!start.is_null());
            // SAFETY: its first word is inside.
            unsafe { start.cast::<usize>().write(1) };
            Self(start)
        }
    }

    impl Drop for Aligned {
        fn drop(&mut self) {
            // SAFETY: from `alloc`, by the same layout.
            unsafe { dealloc(self.0, Self::layout()) };
        }
    }

    // SAFETY: the block is owned, aligned, and nobody else uses it. It has no
    // guard: what runs on it is this program's, and shallow.
    unsafe impl Stack for Aligned {
        fn base(&self) -> StackPointer {
            StackPointer::new(self.0 as usize + STACK).expect("not null")
        }

        fn limit(&self) -> StackPointer {
            StackPointer::new(self.0 as usize + 64).expect("not null")
        }
    }

    fn who_am_i(table: &Table) {
        table.each(
            "current: call of an accessor never inlined, const thread-local",
            1.0,
            || {
                black_box(current_by_call());
            },
        );
        table.each("current: const thread-local, inlined", 1.0, || {
            black_box(CURRENT.get());
        });
        table.each(
            "current: thread-local with an initializer, inlined",
            1.0,
            || {
                black_box(LAZY.get());
            },
        );
        corosensei::on_stack(Aligned::new(), || {
            table.each("current: stack pointer masked, one load", 1.0, || {
                let own = (stack_pointer() & !(STACK - 1)) as *const usize;
                // SAFETY: the lowest word of this stack, written at its making.
                black_box(unsafe { own.read() });
            });
        });
        table.each("budget: thread-local count down and branch", 1.0, || {
            let left = BUDGET.get();
            if left == 0 {
                BUDGET.set(black_box(1_000_000));
            } else {
                BUDGET.set(left - 1);
            }
        });
        let budget = Cell::new(0_u32);
        table.each("budget: the same through a pointer at hand", 1.0, || {
            let budget = black_box(&budget);
            budget.set(budget.get().checked_sub(1).unwrap_or(1_000_000));
        });
    }

    fn events(table: &Table) {
        table.each(
            "event, no subscriber: LevelFilter::current() and branch",
            1.0,
            || {
                if LevelFilter::current() >= Level::TRACE {
                    black_box(1);
                }
            },
        );
        table.each("event, no subscriber: tracing::enabled!", 1.0, || {
            if tracing::enabled!(target: "raddle::sched", Level::TRACE) {
                black_box(1);
            }
        });
        let mut id = 0_u64;
        table.each("event, no subscriber: tracing::event! with two fields", 1.0, || {
            id += 1;
            tracing::event!(target: "raddle::sched", Level::TRACE, id = black_box(id), reason = "x");
        });
    }

    fn gettime(clock: libc::clockid_t) -> i64 {
        let mut time = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: `time` may be written.
        let failed = unsafe { libc::clock_gettime(clock, &raw mut time) };
        assert_eq!(failed, 0);
        time.tv_nsec
    }

    fn clocks(table: &Table) {
        table.each("clock: Instant::now", 0.2, || {
            black_box(Instant::now());
        });
        table.each("clock: CLOCK_MONOTONIC_COARSE", 0.2, || {
            black_box(gettime(libc::CLOCK_MONOTONIC_COARSE));
        });
        table.each("clock: CLOCK_THREAD_CPUTIME_ID", 0.05, || {
            black_box(gettime(libc::CLOCK_THREAD_CPUTIME_ID));
        });
        table.each("clock: rdtsc", 0.2, || {
            // SAFETY: every x86-64 processor has it.
            black_box(unsafe { std::arch::x86_64::_rdtsc() });
        });
    }

    fn atomics(table: &Table) {
        let word = AtomicU64::new(0);
        let flag = AtomicBool::new(false);
        // ORDER: nobody else reads any of these; the orderings are measured.
        table.each("atomic: load Acquire", 1.0, || {
            black_box(word.load(Acquire));
        });
        table.each("atomic: store Release", 1.0, || {
            word.store(black_box(1), Release)
        });
        table.each("atomic: store SeqCst", 1.0, || {
            word.store(black_box(1), SeqCst)
        });
        table.each("atomic: swap AcqRel", 1.0, || {
            black_box(word.swap(black_box(1), AcqRel));
        });
        table.each("atomic: compare_exchange that succeeds", 1.0, || {
            let _same = black_box(word.compare_exchange(1, black_box(1), AcqRel, Acquire));
        });
        table.each("atomic: compare_exchange that fails", 1.0, || {
            let _other = black_box(word.compare_exchange(2, black_box(1), AcqRel, Acquire));
        });
        table.each("atomic: fetch_add Relaxed", 1.0, || {
            black_box(word.fetch_add(1, Relaxed));
        });
        table.each(
            "atomic: bool test, then swap if set (it is not)",
            1.0,
            || {
                if flag.load(Relaxed) {
                    black_box(flag.swap(false, AcqRel));
                }
            },
        );
        table.each(
            "atomic: store Relaxed, fence(SeqCst), load of another word",
            1.0,
            || {
                word.store(black_box(1), Relaxed);
                fence(SeqCst);
                black_box(flag.load(Relaxed));
            },
        );
    }

    fn membarrier(command: libc::c_int) -> bool {
        // SAFETY: takes numbers only.
        unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
    }

    /// Runs `f` while another thread is on its processor all the time.
    fn with_busy_thread(f: impl FnOnce()) {
        let stop = AtomicBool::new(false);
        let started = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                // ORDER: Relaxed: the flags carry nothing.
                started.store(true, Relaxed);
                while !stop.load(Relaxed) {
                    spin_loop();
                }
            });
            // ORDER: as above.
            while !started.load(Relaxed) {
                spin_loop();
            }
            f();
            // ORDER: as above.
            stop.store(true, Relaxed);
        });
    }

    fn barriers(table: &Table) {
        if !membarrier(libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) {
            return println!("| membarrier is not to be had here | | |");
        }
        let barrier = || assert!(membarrier(libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED));
        thread::scope(|scope| {
            let (sender, receiver) = std::sync::mpsc::channel::<()>();
            scope.spawn(move || receiver.recv().expect_err("nothing is sent"));
            thread::sleep(Duration::from_millis(20));
            table.each(
                "membarrier, private expedited: the other thread asleep",
                0.05,
                barrier,
            );
            drop(sender);
        });
        with_busy_thread(|| {
            table.each(
                "membarrier, private expedited: the other thread busy",
                0.005,
                barrier,
            );
        });
    }

    fn locks(table: &Table) {
        let mutex = Mutex::new(0_u64);
        table.each("lock and unlock: std Mutex", 1.0, || {
            *mutex.lock().expect("not poisoned") += 1;
        });
        let held = AtomicBool::new(false);
        table.each("lock and unlock: a word, swap and store", 1.0, || {
            // ORDER: Acquire pairs with the store below.
            while held.swap(true, Acquire) {
                spin_loop();
            }
            // ORDER: Release pairs with the swap above.
            held.store(black_box(false), Release);
        });
    }

    fn queues(table: &Table) {
        let mut own = VecDeque::from([1_usize, 2]);
        table.each("queue: VecDeque push and pop", 1.0, || {
            own.push_back(black_box(3));
            black_box(own.pop_front());
        });
        let fifo = Worker::new_fifo();
        fifo.push(1_usize);
        table.each("queue: crossbeam Worker FIFO push and pop", 1.0, || {
            fifo.push(black_box(3));
            black_box(fifo.pop());
        });
        let lifo = Worker::new_lifo();
        lifo.push(1_usize);
        table.each("queue: crossbeam Worker LIFO push and pop", 1.0, || {
            lifo.push(black_box(3));
            black_box(lifo.pop());
        });
        let stealer = fifo.stealer();
        table.each(
            "queue: crossbeam FIFO push, and steal by the same thread",
            0.5,
            || {
                fifo.push(black_box(3));
                assert!(matches!(stealer.steal(), Steal::Success(_)));
            },
        );
        let shared = Injector::new();
        table.each("queue: crossbeam Injector push and steal", 0.5, || {
            shared.push(black_box(3_usize));
            assert!(matches!(shared.steal(), Steal::Success(_)));
        });
        let locked = Mutex::new(VecDeque::from([1_usize]));
        table.each("queue: VecDeque in a std Mutex, push and pop", 1.0, || {
            locked.lock().expect("not poisoned").push_back(black_box(3));
            black_box(locked.lock().expect("not poisoned").pop_front());
        });
    }

    fn memory(table: &Table) {
        table.each("memory: Box of 200 bytes, made and dropped", 1.0, || {
            black_box(Box::new(black_box([0_u8; 200])));
        });
        const MANY: usize = 1000;
        let mut boxes = Vec::with_capacity(MANY);
        let mut round = || {
            let rounds = (table.times as usize / MANY).max(1);
            let start = Instant::now();
            for _ in 0..rounds {
                for _ in 0..MANY {
                    boxes.push(black_box(Box::new([0_u8; 200])));
                }
                boxes.clear();
            }
            start.elapsed().as_nanos() as f64 / (rounds * MANY) as f64
        };
        table.row(
            "memory: Box of 200 bytes, a thousand made, then dropped",
            (0..ROUNDS).map(|_| round()).collect(),
        );
    }

    fn futex_wake(word: &AtomicU32) {
        // SAFETY: an address that is never read and two numbers.
        let woken = unsafe {
            libc::syscall(
                libc::SYS_futex,
                word.as_ptr(),
                libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG,
                1,
            )
        };
        assert_eq!(woken, 0);
    }

    fn between_cores(table: &Table) {
        let word = AtomicU64::new(0);
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                // ORDER: Relaxed: the flag carries nothing.
                while !done.load(Relaxed) {
                    // ORDER: AcqRel: what a hand-over between cores uses.
                    let _even = word.compare_exchange(1, 0, AcqRel, Relaxed);
                }
            });
            table.each(
                "between cores: a word sent there and back, both spinning",
                0.05,
                || {
                    // ORDER: as the other side.
                    word.store(1, Release);
                    while word.load(Acquire) != 0 {
                        spin_loop();
                    }
                },
            );
            // ORDER: as above.
            done.store(true, Relaxed);
        });
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                // ORDER: Relaxed: contention alone is wanted.
                while !done.load(Relaxed) {
                    word.fetch_add(1, Relaxed);
                }
            });
            table.each(
                "between cores: fetch_add while the other core does the same",
                0.2,
                || {
                    // ORDER: as above.
                    black_box(word.fetch_add(1, Relaxed));
                },
            );
            // ORDER: as above.
            done.store(true, Relaxed);
        });
    }

    fn wakes(table: &Table, times: usize) {
        table.each("system call that does nothing (getppid)", 0.1, || {
            // SAFETY: takes nothing.
            black_box(unsafe { libc::getppid() });
        });
        let word = AtomicU32::new(0);
        table.each("futex wake, nobody waits", 0.1, || futex_wake(&word));
        let myself = thread::current();
        table.each("std unpark and park of oneself", 0.5, || {
            myself.unpark();
            thread::park();
        });

        let start = Instant::now();
        // When it was called, and when it ran; 0: not yet.
        let (called, ran) = (AtomicU64::new(0), AtomicU64::new(0));
        let now = || start.elapsed().as_nanos() as u64;
        let (mut latency, mut cost) = (Vec::new(), Vec::new());
        thread::scope(|scope| {
            let sleeper = scope.spawn(|| {
                for _ in 0..times {
                    // ORDER: Acquire pairs with the Release of the caller.
                    while called.swap(0, Acquire) == 0 {
                        thread::park();
                    }
                    // ORDER: Release pairs with the Acquire below.
                    ran.store(now(), Release);
                }
            });
            for _ in 0..times {
                let until = now() + 100_000;
                while now() < until {
                    spin_loop();
                }
                let before = now();
                // ORDER: pair with the sleeper's.
                called.store(before, Release);
                sleeper.thread().unpark();
                cost.push((now() - before) as f64);
                loop {
                    // ORDER: Acquire pairs with the sleeper's Release.
                    match ran.swap(0, Acquire) {
                        0 => spin_loop(),
                        then => break latency.push(then.saturating_sub(before) as f64),
                    }
                }
            }
        });
        table.row(
            "thread wake: unpark of a thread asleep for 100 us, to its caller",
            cost,
        );
        table.row("thread wake: until the thread runs", latency);
    }
}
