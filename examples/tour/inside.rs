//! How it works, and what one can turn.

use crate::page::Page;
use indicatif::HumanCount;
use raddle::chan::bounded;
use raddle::sync::WaitGroup;
use raddle::{Goroutine, go};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

pub fn take_turns(page: &Page) {
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

pub fn sleep_together(page: &Page) {
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

pub fn block(page: &Page) {
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

pub fn keep_values(page: &Page) {
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

pub fn have_it_special(page: &Page) {
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

pub fn change_processors(page: &Page) {
    page.say("As many goroutines run at the same time as there are processors:");
    page.say("RADDLE_MAXPROCS, or set_max_procs while the program runs.");
    page.code("raddle::runtime::set_max_procs(1);");

    // Without optimization a round takes longer.
    let rounds = if cfg!(debug_assertions) {
        2_000_000
    } else {
        20_000_000
    };
    let all = raddle::runtime::max_procs();
    let mut counts = vec![1, all];
    counts.dedup();
    for procs in counts {
        raddle::runtime::set_max_procs(procs);
        let begin = Instant::now();
        raddle::scope(|s| {
            for _ in 0..16 {
                s.go(|| compute(rounds));
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

pub fn get_stuck(page: &Page) {
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

pub fn watch(page: &Page) {
    page.say("The scheduler tells what it does as `tracing` events, to any subscriber");
    page.say("(docs/events.md). This one counts them while four goroutines hand a");
    page.say("number round; examples/profile.rs shows where each ran, and waited.");
    page.code("tracing_subscriber::registry().with(counts).init();");

    let counts = Counts::default();
    let subscriber = tracing_subscriber::registry().with(counts.clone());
    if subscriber.try_init().is_err() {
        page.result("there is another subscriber");
        return;
    }
    let (first, mut last) = bounded(0);
    for _ in 0..4 {
        let (sender, receiver) = bounded(0);
        go!(move || last.iter().try_for_each(|n: u32| sender.send(n + 1)));
        last = receiver;
    }
    for round in 0..10 {
        first.send(round).expect("it is handed on");
        last.recv().expect("it comes back");
    }
    let counts = counts.0.lock().unwrap_or_else(PoisonError::into_inner);
    let lines: Vec<_> = counts
        .iter()
        .map(|(event, times)| format!("{times:3} {event}"))
        .collect();
    page.result(format_args!("events:\n{}", lines.join("\n")));
}

/// How often each event came.
#[derive(Clone, Default)]
struct Counts(Arc<Mutex<BTreeMap<String, u32>>>);

impl<S: tracing::Subscriber> Layer<S> for Counts {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "raddle::sched" {
            let mut said = Said::default();
            event.record(&mut said);
            let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            *counts.entry(said.0).or_default() += 1;
        }
    }
}

/// The name of an event, and the reason if it has one.
#[derive(Default)]
struct Said(String);

impl Visit for Said {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "event" => self.0.insert_str(0, value),
            "reason" => self.0 += &format!(" [{value}]"),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
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
