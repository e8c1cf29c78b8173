//! What does a stack cost that nobody has used before?
//!
//! Asks the system alone, by the ways `stack.rs` could go: how the first page
//! is made, how the guard is, how far stacks lie apart, how memory goes back,
//! and where in its page a stack should begin. Medians over `ROUNDS` fresh
//! mappings; `docs/decisions/cold-stacks.md` reads the table.

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("cold_stacks measures Linux only");
}

#[cfg(target_os = "linux")]
fn main() {
    linux::main();
}

#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
mod linux {
    use std::hint::black_box;
    use std::ptr;
    use std::time::Instant;

    const KIB: usize = 1024;
    const PAGE: usize = 4 * KIB;
    const ROUNDS: usize = 7;
    /// Stacks a mapping.
    const STACKS: usize = 16_384;
    const GUARD: usize = 64 * KIB;
    const SIZE: usize = 256 * KIB;

    const MADV_POPULATE_WRITE: libc::c_int = 23;
    const MADV_GUARD_INSTALL: libc::c_int = 102;
    const PIDFD_SELF: libc::c_int = -10_000;

    /// `STACKS` stacks side by side: a guard below, then `size` bytes.
    struct Slab {
        start: usize,
        guard: usize,
        size: usize,
        stacks: usize,
    }

    impl Slab {
        fn new(stacks: usize, guard: usize, size: usize) -> Self {
            let slab = Self {
                start: map(stacks * (guard + size)),
                guard,
                size,
                stacks,
            };
            advise(slab.start, slab.len(), libc::MADV_NOHUGEPAGE);
            slab
        }

        fn usual() -> Self {
            Self::new(STACKS, GUARD, SIZE)
        }

        fn len(&self) -> usize {
            self.stacks * (self.guard + self.size)
        }

        fn guard(&self, at: usize) -> usize {
            self.start + at * (self.guard + self.size)
        }

        fn top(&self, at: usize) -> usize {
            self.guard(at + 1)
        }

        fn guards(&self) -> Vec<(usize, usize)> {
            (0..self.stacks)
                .map(|at| (self.guard(at), self.guard))
                .collect()
        }

        fn top_pages(&self) -> Vec<(usize, usize)> {
            (0..self.stacks)
                .map(|at| (self.top(at) - PAGE, PAGE))
                .collect()
        }

        fn below_top(&self) -> Vec<(usize, usize)> {
            (0..self.stacks)
                .map(|at| (self.guard(at) + self.guard, self.size - PAGE))
                .collect()
        }

        fn whole(&self) -> Vec<(usize, usize)> {
            (0..self.stacks)
                .map(|at| (self.guard(at) + self.guard, self.size))
                .collect()
        }

        /// Touches the highest `pages` of each stack.
        fn touch(&self, pages: usize) {
            for at in 0..self.stacks {
                for page in 1..=pages {
                    write(self.top(at) - page * PAGE);
                }
            }
        }
    }

    impl Drop for Slab {
        fn drop(&mut self) {
            // SAFETY: mapped by `new`.
            unsafe { libc::munmap(self.start as *mut _, self.len()) };
        }
    }

    fn map(len: usize) -> usize {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping, where the system likes.
        let start = unsafe { libc::mmap(ptr::null_mut(), len, access, flags, -1, 0) };
        assert_ne!(start, libc::MAP_FAILED, "no address space");
        start as usize
    }

    fn write(addr: usize) {
        // SAFETY: inside a mapping of ours, in no guard.
        unsafe { ptr::write_volatile(addr as *mut u64, 1) };
    }

    fn advise(addr: usize, len: usize, advice: libc::c_int) {
        // SAFETY: a mapping of ours, whose content nobody needs.
        let done = unsafe { libc::madvise(addr as *mut _, len, advice) };
        assert_eq!(
            done,
            0,
            "madvise {advice}: {}",
            std::io::Error::last_os_error()
        );
    }

    fn advise_each(ranges: &[(usize, usize)], advice: libc::c_int) {
        for &(addr, len) in ranges {
            advise(addr, len, advice);
        }
    }

    /// One call for every `batch` ranges.
    fn advise_many(ranges: &[(usize, usize)], batch: usize, advice: libc::c_int) {
        let mut pieces = Vec::with_capacity(batch);
        for ranges in ranges.chunks(batch) {
            pieces.clear();
            pieces.extend(ranges.iter().map(|&(addr, len)| libc::iovec {
                iov_base: addr as *mut _,
                iov_len: len,
            }));
            let asked: usize = ranges.iter().map(|&(_, len)| len).sum();
            // SAFETY: mappings of ours, whose content nobody needs.
            let done = unsafe {
                libc::syscall(
                    libc::SYS_process_madvise,
                    PIDFD_SELF,
                    pieces.as_ptr(),
                    pieces.len(),
                    advice,
                    0,
                )
            };
            assert_eq!(
                done as usize,
                asked,
                "process_madvise {advice}: {}",
                std::io::Error::last_os_error()
            );
        }
    }

    fn protect_each(ranges: &[(usize, usize)]) {
        for &(addr, len) in ranges {
            // SAFETY: a mapping of ours that nobody uses.
            let done = unsafe { libc::mprotect(addr as *mut _, len, libc::PROT_NONE) };
            assert_eq!(done, 0, "mprotect: {}", std::io::Error::last_os_error());
        }
    }

    /// A line of /proc/self/status, in bytes.
    fn status(name: &str) -> usize {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with(name));
        let kib = line.and_then(|line| line.split_whitespace().nth(1));
        kib.and_then(|kib| kib.parse::<usize>().ok()).unwrap_or(0) * KIB
    }

    /// Ways to answer one question, measured in turn, so that what else the
    /// machine does meets them alike.
    struct Table<'a> {
        title: &'a str,
        ways: Vec<(String, Box<dyn FnMut() -> f64 + 'a>)>,
    }

    impl<'a> Table<'a> {
        fn new(title: &'a str) -> Self {
            Self {
                title,
                ways: Vec::new(),
            }
        }

        /// Times `run`, which does something to `per` stacks, on what `set_up`
        /// makes each round.
        fn add<S>(
            &mut self,
            name: impl Into<String>,
            per: usize,
            set_up: impl Fn() -> S + 'a,
            run: impl Fn(&S) + 'a,
        ) {
            let once = move || {
                let subject = set_up();
                let start = Instant::now();
                run(&subject);
                start.elapsed().as_nanos() as f64 / per as f64
            };
            self.ways.push((name.into(), Box::new(once)));
        }

        /// Nanoseconds a stack: the median, the spread, and apart from them
        /// the first round, which may meet memory that is new to the machine.
        fn measure(mut self) {
            let mut rounds = vec![Vec::new(); self.ways.len()];
            for _ in 0..=ROUNDS {
                for ((_, once), rounds) in self.ways.iter_mut().zip(&mut rounds) {
                    rounds.push(once());
                }
            }
            println!(
                "\n{:<58}{:>9}{:>8} .. {:<8}{:>9}",
                self.title, "median", "least", "most", "first"
            );
            for ((name, _), mut rounds) in self.ways.into_iter().zip(rounds) {
                let first = rounds.remove(0);
                rounds.sort_by(f64::total_cmp);
                let [least, median, most] = [0, ROUNDS / 2, ROUNDS - 1].map(|at| rounds[at]);
                println!("{name:<58}{median:>9.0}{least:>8.0} .. {most:<8.0}{first:>9.0}");
            }
        }
    }

    /// All questions, or those that the arguments name.
    pub(super) fn main() {
        let questions: [(&str, fn()); 9] = [
            ("first-page", first_page),
            ("guards", guards),
            ("both", both),
            ("two-threads", two_threads),
            ("spacing", spacing),
            ("give-back", give_back),
            ("huge-pages", huge_pages),
            ("tops", tops),
            ("sleepers", sleepers),
        ];
        let asked: Vec<String> = std::env::args()
            .skip(1)
            .filter(|argument| !argument.starts_with("--"))
            .collect();
        for (name, question) in questions {
            if asked.is_empty() || asked.iter().any(|asked| asked == name) {
                question();
            }
        }
    }

    fn first_page() {
        let mut table = Table::new("first page, ns a stack");
        let guarded = || {
            let slab = Slab::usual();
            advise_many(&slab.guards(), 64, MADV_GUARD_INSTALL);
            slab
        };
        table.add("fault, nothing there", STACKS, Slab::usual, move |slab| {
            slab.touch(1)
        });
        table.add("fault, guard there", STACKS, guarded, move |slab| {
            slab.touch(1)
        });
        table.add(
            "MADV_POPULATE_WRITE, nothing there",
            STACKS,
            Slab::usual,
            move |slab| {
                advise_each(&slab.top_pages(), MADV_POPULATE_WRITE);
            },
        );
        table.add(
            "MADV_POPULATE_WRITE, guard there",
            STACKS,
            guarded,
            move |slab| {
                advise_each(&slab.top_pages(), MADV_POPULATE_WRITE);
            },
        );
        for batch in [8, 16, 32, 64, 256] {
            table.add(
                format!("process_madvise populate by {batch}, guard there"),
                STACKS,
                guarded,
                move |slab| advise_many(&slab.top_pages(), batch, MADV_POPULATE_WRITE),
            );
        }
        table.measure();
    }

    fn guards() {
        let mut table = Table::new("guard, ns a stack");
        for guard in [4, 16, 64] {
            table.add(
                format!("MADV_GUARD_INSTALL {guard} KiB"),
                STACKS,
                move || Slab::new(STACKS, guard * KIB, SIZE + GUARD - guard * KIB),
                move |slab| advise_each(&slab.guards(), MADV_GUARD_INSTALL),
            );
        }
        for batch in [8, 64] {
            table.add(
                format!("process_madvise guards of 64 KiB by {batch}"),
                STACKS,
                Slab::usual,
                move |slab| advise_many(&slab.guards(), batch, MADV_GUARD_INSTALL),
            );
        }
        for guard in [4, 64] {
            table.add(
                format!("mprotect {guard} KiB"),
                STACKS,
                move || Slab::new(STACKS, guard * KIB, SIZE + GUARD - guard * KIB),
                move |slab| protect_each(&slab.guards()),
            );
        }
        table.add(
            "one mmap and one mprotect a stack",
            STACKS,
            || (),
            |()| {
                let mut all = Vec::with_capacity(STACKS);
                for _ in 0..STACKS {
                    let start = map(GUARD + SIZE);
                    protect_each(&[(start, GUARD)]);
                    all.push(start);
                }
                for start in all {
                    // SAFETY: mapped above.
                    unsafe { libc::munmap(start as *mut _, GUARD + SIZE) };
                }
            },
        );
        table.measure();
    }

    fn both() {
        let mut table = Table::new("guard of 64 KiB and first page, ns a stack");
        table.add(
            "madvise, then a fault, stack by stack",
            STACKS,
            Slab::usual,
            move |slab| {
                for at in 0..slab.stacks {
                    advise(slab.guard(at), GUARD, MADV_GUARD_INSTALL);
                    write(slab.top(at) - PAGE);
                }
            },
        );
        table.add(
            "two madvise, stack by stack",
            STACKS,
            Slab::usual,
            move |slab| {
                for at in 0..slab.stacks {
                    advise(slab.guard(at), GUARD, MADV_GUARD_INSTALL);
                    advise(slab.top(at) - PAGE, PAGE, MADV_POPULATE_WRITE);
                }
            },
        );
        for batch in [8, 16, 32, 64, 128] {
            table.add(
                format!("process_madvise twice by {batch}"),
                STACKS,
                Slab::usual,
                move |slab| {
                    let guards = slab.guards();
                    let tops = slab.top_pages();
                    for (guards, tops) in guards.chunks(batch).zip(tops.chunks(batch)) {
                        advise_many(guards, batch, MADV_GUARD_INSTALL);
                        advise_many(tops, batch, MADV_POPULATE_WRITE);
                    }
                },
            );
            table.add(
                format!("process_madvise guards by {batch}, faults"),
                STACKS,
                Slab::usual,
                move |slab| {
                    let guards = slab.guards();
                    for (of, guards) in guards.chunks(batch).enumerate() {
                        advise_many(guards, batch, MADV_GUARD_INSTALL);
                        for at in of * batch..of * batch + guards.len() {
                            write(slab.top(at) - PAGE);
                        }
                    }
                },
            );
        }
        table.measure();
    }

    fn two_threads() {
        let mut table = Table::new("both by 64, on one mapping, ns a stack of each thread");
        for threads in [1, 2] {
            table.add(
                format!("{threads} threads"),
                STACKS / threads,
                Slab::usual,
                move |slab| {
                    let guards = slab.guards();
                    let tops = slab.top_pages();
                    std::thread::scope(|scope| {
                        for of in 0..threads {
                            let (guards, tops) = (&guards, &tops);
                            scope.spawn(move || {
                                // Batches in turn, as machines carve them.
                                let batches = guards.chunks(64).zip(tops.chunks(64));
                                for (guards, tops) in batches.skip(of).step_by(threads) {
                                    advise_many(guards, 64, MADV_GUARD_INSTALL);
                                    advise_many(tops, 64, MADV_POPULATE_WRITE);
                                }
                            });
                        }
                    });
                },
            );
        }
        table.measure();
    }

    fn spacing() {
        println!(
            "\nspacing (usable + guard)                 ns a stack   resident B   page tables B"
        );
        for (size, guard) in [
            (32, 4),
            (32, 64),
            (64, 64),
            (192, 64),
            (256, 64),
            (1024, 64),
        ] {
            let mut times = Vec::new();
            let mut resident = 0;
            let mut tables = 0;
            for _ in 0..ROUNDS {
                let slab = Slab::new(STACKS, guard * KIB, size * KIB);
                let before = (status("VmRSS"), status("VmPTE"));
                let start = Instant::now();
                advise_many(&slab.guards(), 64, MADV_GUARD_INSTALL);
                advise_many(&slab.top_pages(), 64, MADV_POPULATE_WRITE);
                times.push(start.elapsed().as_nanos() as usize / STACKS);
                resident = (status("VmRSS") - before.0) / STACKS;
                tables = (status("VmPTE") - before.1) / STACKS;
            }
            times.sort_unstable();
            println!(
                "{size:>5} + {guard:<3} KiB {:>34} {resident:>12} {tables:>15}",
                times[ROUNDS / 2]
            );
        }
    }

    fn give_back() {
        let mut table = Table::new("give-back, ns a stack");
        for pages in [1, 16] {
            let used = move || {
                let slab = Slab::usual();
                advise_many(&slab.guards(), 64, MADV_GUARD_INSTALL);
                slab.touch(pages);
                slab
            };
            let of = format!("({pages} pages used)");
            table.add(
                format!("MADV_DONTNEED all {of}"),
                STACKS,
                used,
                move |slab| {
                    advise_each(&slab.whole(), libc::MADV_DONTNEED);
                },
            );
            table.add(
                format!("MADV_DONTNEED below the top page {of}"),
                STACKS,
                used,
                move |slab| {
                    advise_each(&slab.below_top(), libc::MADV_DONTNEED);
                },
            );
            table.add(
                format!("process_madvise DONTNEED all by 64 {of}"),
                STACKS,
                used,
                move |slab| {
                    advise_many(&slab.whole(), 64, libc::MADV_DONTNEED);
                },
            );
            table.add(
                format!("process_madvise DONTNEED below top by 64 {of}"),
                STACKS,
                used,
                move |slab| {
                    advise_many(&slab.below_top(), 64, libc::MADV_DONTNEED);
                },
            );
            table.add(format!("MADV_FREE all {of}"), STACKS, used, move |slab| {
                advise_each(&slab.whole(), libc::MADV_FREE);
            });
        }
        let freed = |advice| {
            move || {
                let slab = Slab::usual();
                advise_many(&slab.guards(), 64, MADV_GUARD_INSTALL);
                slab.touch(1);
                advise_many(&slab.whole(), 64, advice);
                slab
            }
        };
        table.add(
            "first page again after DONTNEED, by fault",
            STACKS,
            freed(libc::MADV_DONTNEED),
            move |slab| {
                slab.touch(1);
            },
        );
        table.add(
            "first page again after DONTNEED, populate by 64",
            STACKS,
            freed(libc::MADV_DONTNEED),
            move |slab| {
                advise_many(&slab.top_pages(), 64, MADV_POPULATE_WRITE);
            },
        );
        table.add(
            "first page again after FREE, by touch",
            STACKS,
            freed(libc::MADV_FREE),
            move |slab| {
                slab.touch(1);
            },
        );
        table.measure();
    }

    fn huge_pages() {
        println!(
            "\none page touched in each of {STACKS} stacks: resident bytes a stack, huge bytes in all"
        );
        for (name, advice) in [
            ("as the system likes", None),
            ("MADV_NOHUGEPAGE", Some(libc::MADV_NOHUGEPAGE)),
            ("MADV_HUGEPAGE", Some(libc::MADV_HUGEPAGE)),
        ] {
            // A tenth of them: a huge page each may be a lot of memory.
            let stacks = STACKS / 10;
            let len = stacks * (GUARD + SIZE);
            let start = map(len);
            if let Some(advice) = advice {
                advise(start, len, advice);
            }
            let before = status("VmRSS");
            for at in 1..=stacks {
                write(start + at * (GUARD + SIZE) - PAGE);
            }
            let resident = (status("VmRSS") - before) / stacks;
            let rollup = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap_or_default();
            let huge = rollup
                .lines()
                .find(|line| line.starts_with("AnonHugePages"));
            println!("{name:<40}{resident:>12}   {}", huge.unwrap_or("?"));
            // SAFETY: mapped above.
            unsafe { libc::munmap(start as *mut _, len) };
        }
    }

    /// A parked goroutine's frames: this much below where it began.
    const FRAMES: usize = 512;

    fn tops() {
        let mut table = Table::new("8 lines of each parked top, ns a stack");
        for stacks in [1_000, 10_000, 100_000] {
            for (name, colors, step) in [
                ("all begin at the page's end", 1, 0),
                ("4 offsets of 512 bytes", 4, 512),
                ("8 offsets of 256 bytes", 8, 256),
                ("16 offsets of 128 bytes", 16, 128),
                ("48 offsets of 64 bytes", 48, 64),
            ] {
                let slab = Slab::new(stacks, GUARD, SIZE);
                advise_many(&slab.guards(), 64, MADV_GUARD_INSTALL);
                slab.touch(1);
                let order = shuffled(stacks);
                let frames: Vec<usize> = order
                    .iter()
                    .map(|&at| slab.top(at) - at % colors * step - FRAMES)
                    .collect();
                let passes = (1_000_000 / stacks).max(4);
                table.add(
                    format!("{stacks} stacks, {name}"),
                    stacks * passes,
                    || (),
                    move |()| {
                        black_box(&slab); // Kept for as long as this.
                        for _ in 0..passes {
                            for &frame in &frames {
                                for line in 0..FRAMES / 64 {
                                    let at = (frame + line * 64) as *mut u64;
                                    // SAFETY: inside the top page.
                                    let seen = unsafe { ptr::read_volatile(at) };
                                    // SAFETY: as above.
                                    unsafe { ptr::write_volatile(at, black_box(seen + 1)) };
                                }
                            }
                        }
                    },
                );
            }
        }
        table.measure();
    }

    const SLEEPERS: usize = 100_000;
    /// There from a warm-up of a tenth of the size.
    const WARM: usize = 9_984;
    const BATCH: usize = 64;

    /// The floor of `sleep_many`: of each sleeper nothing but its stack, one
    /// word of it written.
    fn sleepers() {
        println!("\n100,000 that sleep 1 to 100 ms, each on a stack, ms");
        println!(
            "{:<30}{:>12}{:>12}{:>12}",
            "", "all begun", "all ended", "new stacks"
        );
        let faults = |_: &[(usize, usize)]| {};
        let populates = |tops: &[(usize, usize)]| advise_many(tops, BATCH, MADV_POPULATE_WRITE);
        let guards = |guards: &[(usize, usize)]| advise_many(guards, BATCH, MADV_GUARD_INSTALL);
        for _ in 0..ROUNDS {
            sleep_on_stacks("guards and pages by 64", guards, populates);
            sleep_on_stacks("guards by 64, faults", guards, faults);
            sleep_on_stacks("no guards, pages by 64", faults, populates);
        }
    }

    /// Stacks of those who have ended are used first.
    fn sleep_on_stacks(
        name: &str,
        guard: impl Fn(&[(usize, usize)]),
        populate: impl Fn(&[(usize, usize)]),
    ) {
        let slab = Slab::new(SLEEPERS.next_multiple_of(BATCH) + BATCH, GUARD, SIZE);
        let (guards, tops) = (slab.guards(), slab.top_pages());
        let mut made = 0;
        let mut make = |free: &mut Vec<usize>| {
            let batch = made..made + BATCH;
            guard(&guards[batch.clone()]);
            populate(&tops[batch.clone()]);
            free.extend(batch.clone().map(|at| slab.top(at) - 64));
            made = batch.end;
        };
        let mut free = Vec::with_capacity(SLEEPERS);
        while free.len() < WARM {
            make(&mut free);
        }
        free.iter().for_each(|&stack| write(stack));
        let mut new = 0;
        // Who ends in which millisecond.
        let mut ends: Vec<Vec<usize>> = vec![Vec::new(); 10_000];
        let mut random = 42_u64;
        let (mut at, mut last) = (0, 0);
        let start = Instant::now();
        for n in 0..SLEEPERS {
            if n % 32 == 0 {
                let now = start.elapsed().as_millis() as usize;
                ends[at..now]
                    .iter_mut()
                    .for_each(|ended| free.append(ended));
                at = now;
            }
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let end = at + 1 + ((random >> 33) % 100) as usize;
            last = last.max(end);
            if free.is_empty() {
                make(&mut free);
                new += BATCH;
            }
            let Some(stack) = free.pop() else {
                unreachable!("just made")
            };
            write(stack);
            ends[end].push(stack);
        }
        let begun = start.elapsed().as_millis();
        println!("{name:<30}{begun:>12}{last:>12}{new:>12}");
    }

    /// 0..len in an order that no prefetcher guesses.
    fn shuffled(len: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..len).collect();
        let mut random = 0x9E37_79B9_7F4A_7C15_u64;
        for at in (1..len).rev() {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            order.swap(at, (random % (at as u64 + 1)) as usize);
        }
        order
    }
}
