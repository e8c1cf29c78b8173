//! A walk through what there is, in order, with a word about each.
//!
//! ```sh
//! cargo run --release --example tour
//! ```
//!
//! In colour on a terminal, unless `NO_COLOR` is set. Each stop of the walk
//! is a function below, in the same order.

#![allow(unsafe_code)] // for one promise: migrate mode

use indicatif::HumanCount;
use raddle::sync::WaitGroup;
use raddle::{Goroutine, go};
use std::cell::Cell;
use std::fmt;
use std::hint::black_box;
use std::io::{self, IsTerminal};
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

#[raddle::main]
fn main() {
    let begin = Instant::now();
    let page = Page::new();
    page.say("raddle: goroutines for Rust. A short tour, a few seconds long.");

    start(&page);
    borrow(&page);
    wait_for_many(&page);
    take_turns(&page);
    panic_alone(&page);
    sleep_together(&page);
    block(&page);
    keep_values(&page);
    have_it_special(&page);
    change_processors(&page);
    get_stuck(&page);

    page.title("That was it");
    page.say("Main returns now, and the process ends: goroutines still running are");
    page.say("not waited for. Next: examples/word_count.rs, examples/million.rs.");
    page.result(format_args!(
        "the tour took {:.1} s",
        begin.elapsed().as_secs_f64()
    ));
}

fn start(page: &Page) {
    page.title("1. Start a goroutine");
    page.say("go! runs a call beside you, as Go's statement does. Arguments are");
    page.say("evaluated now. The handle gives the result.");
    page.code("let sum = go!(add(40, 2));");
    page.code("sum.join().unwrap()");

    fn add(a: u32, b: u32) -> u32 {
        a + b
    }
    let sum = go!(add(40, 2));
    page.result(sum.join().expect("add does not panic"));

    page.say("A goroutine is cheap: starting one is a matter of nanoseconds.");
    const MANY: u32 = 200_000;
    let begin = Instant::now();
    for _ in 0..MANY / 1000 {
        let handles: Vec<_> = (0..1000).map(|n| go!(add(n, n))).collect();
        for handle in handles {
            black_box(handle.join().expect("add does not panic"));
        }
    }
    page.result(format_args!(
        "{} goroutines started and joined, {} each",
        HumanCount(MANY.into()),
        nanoseconds(begin.elapsed() / MANY),
    ));
}

fn borrow(page: &Page) {
    page.title("2. Borrow from the parent");
    page.say("The goroutines of a scope end before it does, so they may borrow.");
    page.code("raddle::scope(|s| for word in &words { s.go(|| ..word..); })");

    let words = ["warp", "weft", "shuttle", "heddle"];
    let mut lengths = [0; 4];
    raddle::scope(|s| {
        for (word, length) in words.iter().zip(&mut lengths) {
            s.go(move || *length = word.len());
        }
    });
    page.result(format_args!("{words:?} are {lengths:?} letters long"));
}

fn wait_for_many(page: &Page) {
    page.title("3. Wait for many");
    page.say("A WaitGroup counts those who are still at it.");
    page.code("group.go(|| ..);  group.wait();");

    let group = WaitGroup::new();
    for (name, sound) in [("dog", "woof"), ("cat", "meow"), ("fish", "blub")] {
        let line = page.result_line(format_args!("{name}: {sound}"));
        group.go(move || raddle::println!("{line}"));
    }
    group.wait();
    page.result("all three are done");
}

fn take_turns(page: &Page) {
    page.title("4. Park, and be woken");
    page.say("park waits for a token, unpark leaves one; a parked goroutine uses no");
    page.say("processor. What waits in raddle is made of this.");
    page.code("partner.unpark();  raddle::park();");

    const TURNS: u32 = 100_000;
    fn pong(partner: Goroutine) {
        for _ in 0..TURNS {
            raddle::park();
            partner.unpark();
        }
    }
    let took = go! {
        let partner = go!(pong(raddle::current()));
        let begin = Instant::now();
        for _ in 0..TURNS {
            partner.goroutine().unpark();
            raddle::park();
        }
        begin.elapsed()
    };
    let took = took.join().expect("nobody panics here");
    page.result(format_args!(
        "{} turns between two goroutines, {} each",
        HumanCount(u64::from(TURNS) * 2),
        nanoseconds(took / (TURNS * 2)),
    ));
}

fn panic_alone(page: &Page) {
    page.title("5. Panic, alone");
    page.say("A panic ends its goroutine. The others go on, and join gives what it");
    page.say("left behind.");
    page.code("go!(panic!(\"out of yarn\")).join().unwrap_err()");

    let quiet = Hush::new();
    let payload = go!(panic!("out of yarn")).join().expect_err("it panics");
    drop(quiet);
    page.result(format_args!(
        "the payload: {:?}",
        payload.downcast_ref::<&str>()
    ));

    page.say("goexit leaves a goroutine from any depth; destructors run.");
    let left = go!(|| -> () { raddle::goexit() }).join();
    let is_goexit = left.is_err_and(|payload| payload.is::<raddle::Goexit>());
    page.result(format_args!("join gave Err(Goexit): {is_goexit}"));
}

fn sleep_together(page: &Page) {
    page.title("6. Sleep, a hundred thousand at once");
    page.say("A sleeping goroutine is a timer and a page of memory.");
    page.code("raddle::time::sleep(Duration::from_secs(1));");

    const SLEEPERS: usize = 100_000;
    let group = WaitGroup::new();
    let begin = Instant::now();
    for _ in 0..SLEEPERS {
        drop(group.go(|| raddle::time::sleep(Duration::from_secs(1))));
    }
    let threads = threads();
    group.wait();
    page.result(format_args!(
        "{} slept a second each; all were back after {:.2} s",
        HumanCount(SLEEPERS as u64),
        begin.elapsed().as_secs_f64(),
    ));
    if let Some(threads) = threads {
        page.result(format_args!(
            "on {threads} threads, the runtime's own included"
        ));
    }
}

fn block(page: &Page) {
    page.title("7. Block, and hold up nobody");
    page.say("What blocks its thread (foreign code, a long computation) goes inside");
    page.say("blocking: the goroutine waits, its thread runs others.");
    page.code("raddle::blocking(|| std::thread::sleep(200 ms))");

    const CALLS: usize = 20;
    let nap = Duration::from_millis(200);
    let begin = Instant::now();
    raddle::scope(|s| {
        for _ in 0..CALLS {
            s.go(|| raddle::blocking(|| std::thread::sleep(nap)));
        }
    });
    page.result(format_args!(
        "{CALLS} naps of {nap:?}, all over after {:.0?}",
        begin.elapsed()
    ));
}

raddle::goroutine_local! {
    static THREADS_DRAWN: Cell<u32> = Cell::new(0);
}

fn keep_values(page: &Page) {
    page.title("8. Values of a goroutine's own");
    page.say("thread_local! means the thread, and many goroutines share one.");
    page.say("goroutine_local! is each goroutine's own.");
    page.code("goroutine_local! { static THREADS_DRAWN: Cell<u32> = Cell::new(0); }");

    THREADS_DRAWN.set(7);
    let other = go! {
        THREADS_DRAWN.set(THREADS_DRAWN.get() + 1);
        THREADS_DRAWN.get()
    };
    let other = other.join().expect("nobody panics here");
    page.result(format_args!(
        "main has {}, the other {other}",
        THREADS_DRAWN.get()
    ));
}

fn have_it_special(page: &Page) {
    page.title("9. One of a kind");
    page.say("A Builder gives a name, a stack size, an OS thread for one goroutine");
    page.say("alone. on_big_stack is for deep recursion.");
    page.code("Builder::new().name(..).own_thread(true).spawn(..)");

    fn depth(n: u32) -> u32 {
        if n == 0 {
            0
        } else {
            1 + black_box(depth(n - 1))
        }
    }
    let weaver = raddle::Builder::new()
        .name("weaver".into())
        .own_thread(true)
        .spawn(|| {
            let name = raddle::current().name().map(String::from);
            (name, raddle::on_big_stack(|| depth(100_000)))
        });
    match weaver.map(raddle::JoinHandle::join) {
        Ok(Ok((name, deep))) => page.result(format_args!(
            "{}, on its own thread, went {} calls deep",
            name.unwrap_or_default(),
            HumanCount(deep.into()),
        )),
        Ok(Err(_)) => page.result("it panicked"),
        Err(error) => page.result(format_args!("no thread for it: {error}")),
    }
}

fn change_processors(page: &Page) {
    page.title("10. Change the number of processors");
    page.say("As many goroutines run at the same time as there are processors:");
    page.say("RADDLE_MAXPROCS, or set_max_procs while the program runs.");
    page.code("raddle::runtime::set_max_procs(1);");

    let all = raddle::runtime::max_procs();
    let mut counts = vec![1, all];
    counts.dedup();
    for procs in counts {
        raddle::runtime::set_max_procs(procs);
        let begin = Instant::now();
        raddle::scope(|s| {
            for _ in 0..16 {
                s.go(|| compute(20_000_000));
            }
        });
        page.result(format_args!(
            "16 computations on {procs}: {:.0?}",
            begin.elapsed()
        ));
    }
    raddle::runtime::set_max_procs(all);
}

fn compute(rounds: u64) {
    let mut state = 1_u64;
    for _ in 0..rounds {
        state = black_box(
            state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1),
        );
    }
}

fn get_stuck(page: &Page) {
    page.title("11. Get stuck, and harm nobody");
    page.say("A goroutine that loops and never waits cannot be interrupted. In the");
    page.say("default mode it holds up those whose home is its thread, so put it");
    page.say("inside blocking. Meanwhile a clock ticks every millisecond:");
    page.code("go!(|| raddle::blocking(|| loop { .. }));");
    let gap = longest_gap(|loops| raddle::blocking(|| loops.run()));
    page.result(format_args!("the longest wait for a tick was {gap:.1?}"));

    page.say("In migrate mode goroutines move between threads, as in Go: even on");
    page.say("one processor, a thread that is stuck is stuck alone.");
    page.code("unsafe { runtime::Builder::new().migrate() }");
    let builder = raddle::runtime::Builder::new().max_procs(1);
    // SAFETY: 1. `longest_gap` keeps numbers and handles across its sleeps.
    // 2. it touches no thread-local.
    let runtime = unsafe { builder.migrate() }.build();
    match runtime {
        Ok(runtime) => {
            let gap = runtime.run(|| longest_gap(Loops::run));
            page.result(format_args!("the longest wait for a tick was {gap:.1?}"));
        }
        Err(error) => page.result(format_args!("no runtime for it: {error}")),
    }
}

/// Goes round until it is told to stop, without ever coming by the scheduler.
#[derive(Clone, Default)]
struct Loops(Arc<AtomicBool>);

impl Loops {
    fn run(&self) {
        // ORDER: Relaxed: nothing else is told by it.
        while !self.0.load(Relaxed) {
            std::hint::spin_loop();
        }
    }

    fn stop(&self) {
        // ORDER: Relaxed: as above.
        self.0.store(true, Relaxed);
    }
}

/// The longest of 200 waits for a millisecond to pass, beside a goroutine
/// that loops.
fn longest_gap(run: impl FnOnce(&Loops) + Send + 'static) -> Duration {
    let loops = Loops::default();
    let stuck = loops.clone();
    let stuck = raddle::spawn(move || run(&stuck));
    let mut longest = Duration::ZERO;
    for _ in 0..200 {
        let begin = Instant::now();
        raddle::time::sleep(Duration::from_millis(1));
        longest = longest.max(begin.elapsed());
    }
    loops.stop();
    stuck.join().expect("it does not panic");
    longest
}

fn nanoseconds(time: Duration) -> String {
    format!("{} ns", time.as_nanos())
}

/// How many OS threads the process has, where the system says so.
fn threads() -> Option<usize> {
    Some(std::fs::read_dir("/proc/self/task").ok()?.count())
}

/// While it lives, panics are not printed: the tour speaks of them itself.
struct Hush;

impl Hush {
    fn new() -> Self {
        panic::set_hook(Box::new(|_| {}));
        Self
    }
}

impl Drop for Hush {
    fn drop(&mut self) {
        drop(panic::take_hook());
    }
}

/// How the tour looks.
struct Page {
    colour: bool,
}

const BOLD: &str = "1;36";
const DIM: &str = "33";
const GREEN: &str = "32";

impl Page {
    fn new() -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self {
            colour: wanted && io::stdout().is_terminal(),
        }
    }

    fn paint(&self, colour: &str, text: impl fmt::Display) -> String {
        if self.colour {
            format!("\x1b[{colour}m{text}\x1b[0m")
        } else {
            text.to_string()
        }
    }

    fn title(&self, text: &str) {
        raddle::println!("\n{}", self.paint(BOLD, text));
    }

    fn say(&self, text: &str) {
        raddle::println!("{text}");
    }

    fn code(&self, text: &str) {
        raddle::println!("    {}", self.paint(DIM, text));
    }

    fn result_line(&self, text: impl fmt::Display) -> String {
        format!("    {}", self.paint(GREEN, format_args!("→ {text}")))
    }

    fn result(&self, text: impl fmt::Display) {
        raddle::println!("{}", self.result_line(text));
    }
}
