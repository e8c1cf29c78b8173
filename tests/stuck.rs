//! `RADDLE_DEBUG=stuck=..` and `schedtrace=..`: who keeps a machine from the
//! scheduler, and why, on standard error and in the `stuck` event.

mod common;

use common::{Mode, builder, burn, child, is_child, runtime, stderr};
use raddle::chan;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// The lines about stuck machines that begin so.
fn lines<'a>(text: &'a str, begin: &str) -> Vec<&'a str> {
    text.lines()
        .filter(|line| line.starts_with(begin))
        .collect()
}

/// Those of them that say this: on a machine with other work any goroutine may
/// be found stuck besides, for want of a CPU.
fn lines_with<'a>(text: &'a str, begin: &str, part: &str) -> Vec<&'a str> {
    let mut lines = lines(text, begin);
    lines.retain(|line| line.contains(part));
    lines
}

fn ends_well(output: &std::process::Output) -> String {
    let text = stderr(output);
    assert!(output.status.success(), "{:?}: {text}", output.status);
    text
}

#[inline(never)]
fn spin_in_the_program(duration: Duration) {
    burn(duration);
}

/// With nobody waiting, and on a machine that sleeps for want of work
/// otherwise: the monitor looks all the same.
#[test]
fn a_busy_goroutine_is_printed_once_with_its_stack_and_its_end() {
    if is_child() {
        for mode in common::MODES {
            let runtime = runtime(mode, 2);
            let hog = raddle::Builder::new().name(format!("hog {mode:?}"));
            runtime.run(|| {
                hog.spawn(|| spin_in_the_program(ms(800)))
                    .unwrap()
                    .join()
                    .unwrap()
            });
        }
        return;
    }
    let name = "a_busy_goroutine_is_printed_once_with_its_stack_and_its_end";
    let text = ends_well(&child(name, &[("RADDLE_DEBUG", "stuck=20ms")]));
    for hog in ["\"hog Pinned\"", "\"hog Migrate\""] {
        let begin = lines(&text, "raddle: stuck for ");
        let of_it: Vec<_> = begin.iter().filter(|line| line.contains(hog)).collect();
        assert_eq!(of_it.len(), 1, "{text}");
        let line = of_it[0];
        assert!(line.contains("[running]: spawned at "), "{line}");
        assert!(line.contains("tests/stuck.rs:"), "{line}");
        assert!(line.contains(": busy ("), "{line}");
        assert!(line.ends_with("0 of its home wait"), "{line}");
        let end = lines(&text, "raddle: stuck no more after ");
        let of_it: Vec<_> = end.iter().filter(|line| line.contains(hog)).collect();
        assert_eq!(of_it.len(), 1, "{text}");
        let took = of_it[0].split_whitespace().nth(5).unwrap();
        assert!(
            (400..20_000).contains(&took.parse::<u64>().unwrap()),
            "{text}"
        );
    }
    if cfg!(feature = "backtrace") {
        assert!(text.contains("spin_in_the_program\n"), "{text}");
    }
}

#[test]
fn a_goroutine_in_a_call_that_blocks_is_printed_with_the_call() {
    if is_child() {
        let runtime = runtime(Mode::Pinned, 1);
        runtime.run(|| {
            // At home on the one machine, and runnable behind the sleep.
            let (tell, begun) = chan::bounded(1);
            let fellow = raddle::spawn(move || {
                tell.send(()).unwrap();
                raddle::time::sleep(ms(1));
            });
            begun.recv().unwrap();
            thread::sleep(ms(2000));
            fellow.join().unwrap();
            // What is announced is nobody's fault.
            raddle::blocking(|| thread::sleep(ms(200)));
        });
        return;
    }
    let name = "a_goroutine_in_a_call_that_blocks_is_printed_with_the_call";
    let text = ends_well(&child(name, &[("RADDLE_DEBUG", "stuck=100ms")]));
    let begin = lines_with(&text, "raddle: stuck for ", "clock_nanosleep");
    assert_eq!(begin.len(), 1, "{text}");
    assert!(
        begin[0].contains("blocked in clock_nanosleep (0 % of a CPU), 1 of its home"),
        "{text}"
    );
    if cfg!(feature = "backtrace") {
        assert!(text.contains("        at tests/stuck.rs:"), "{text}");
    }
}

/// C's sleeps end early when a signal comes, and most callers do not look.
#[test]
#[allow(unsafe_code, reason = "a sleep of C's is to be tested")]
fn a_sleep_of_cs_is_not_cut_short() {
    unsafe extern "C" {
        safe fn usleep(micros: u32) -> i32;
    }
    if is_child() {
        runtime(Mode::Pinned, 1).run(|| {
            let begin = Instant::now();
            assert_eq!(usleep(600_000), 0);
            assert!(begin.elapsed() >= ms(600), "{:?}", begin.elapsed());
        });
        return;
    }
    let name = "a_sleep_of_cs_is_not_cut_short";
    let text = ends_well(&child(name, &[("RADDLE_DEBUG", "stuck=50ms")]));
    let begin = lines_with(&text, "raddle: stuck for ", "blocked in clock_nanosleep");
    assert_eq!(begin.len(), 1, "{text}");
}

/// A lock of std's held across a park, and a fellow of the same home that
/// wants it: neither goes on, for ever.
fn lock_up(hold: impl FnOnce() + Send + 'static, want: impl FnOnce() + Send + 'static) {
    let runtime = builder(Mode::Pinned, 1).build().unwrap();
    runtime.run(|| {
        let holder = raddle::Builder::new()
            .name("holder".into())
            .spawn(hold)
            .unwrap();
        let wanter = raddle::Builder::new()
            .name("wanter".into())
            .spawn(want)
            .unwrap();
        holder.join().unwrap();
        wanter.join().unwrap();
    });
}

/// A lock that a thread holds until the end is dropped.
fn locked_by_a_friend(show: mpsc::Sender<()>) -> (Arc<Mutex<u32>>, mpsc::Sender<()>) {
    let lock = Arc::new(Mutex::new(0));
    let (end, ends) = mpsc::channel();
    let theirs = lock.clone();
    thread::spawn(move || {
        let guard = theirs.lock().unwrap();
        show.send(()).unwrap();
        let _closed = ends.recv();
        drop(guard);
    });
    (lock, end)
}

#[test]
fn a_lock_of_stds_held_across_a_park_is_named_as_the_cause() {
    if is_child() {
        let lock = Arc::new(Mutex::new(0));
        let (locked, is_locked) = chan::bounded::<()>(1);
        let (_never, nothing) = chan::bounded::<()>(0);
        let (tell, told) = mpsc::channel();
        tracing::subscriber::set_global_default(Printer(tell)).unwrap();
        let wanted = lock.clone();
        // It ends by the process's end: nothing else ends this.
        thread::spawn(move || {
            lock_up(
                move || {
                    let guard = lock.lock().unwrap();
                    locked.send(()).unwrap();
                    let _never = nothing.recv();
                    drop(guard);
                },
                move || {
                    is_locked.recv().unwrap();
                    *wanted.lock().unwrap() += 1;
                },
            );
        });
        // To find the names of calls takes long, the first time. The event
        // comes after the lines.
        while !told.recv().expect("events").contains("wanter") {}
        std::process::exit(0);
    }
    let name = "a_lock_of_stds_held_across_a_park_is_named_as_the_cause";
    let text = ends_well(&child(name, &[("RADDLE_DEBUG", "stuck=20ms")]));
    let wanter = "\"wanter\" [running]: spawned at ";
    let begin = lines_with(&text, "raddle: stuck for ", wanter);
    assert_eq!(begin.len(), 1, "{text}");
    assert!(
        begin[0].contains("blocked in futex (0 % of a CPU), 0 of its home wait"),
        "{text}"
    );
    if cfg!(feature = "backtrace") {
        let cause = "    it waits in std::sync::Mutex::lock, which blocks its thread; 2 goroutines \
                     at home there are parked: if one of them holds the lock across its park, \
                     neither goes on";
        assert!(text.contains(cause), "{text}");
    } else {
        assert!(text.contains("    it waits in a futex (0x"), "{text}");
    }
    let holder = lines(&text, "      goroutine ");
    assert_eq!(holder.len(), 2, "{text}");
    let holder = holder
        .iter()
        .find(|line| line.contains("\"holder\""))
        .expect(&text);
    assert!(holder.contains("[chan receive"), "{text}");
    if cfg!(feature = "backtrace") {
        assert!(
            holder.ends_with("its stack holds the address of the lock, or of its Arc"),
            "{text}"
        );
    }
}

/// What blocks on a lock that a thread holds is told by what is known, and
/// goes on when the thread lets go.
#[test]
fn a_lock_that_a_thread_holds_is_no_fault_of_the_parked() {
    if is_child() {
        let (show, shown) = mpsc::channel();
        let (lock, end) = locked_by_a_friend(show);
        shown.recv().unwrap();
        thread::spawn(move || {
            thread::sleep(ms(400));
            drop(end);
        });
        runtime(Mode::Migrate, 2).run(move || *lock.lock().unwrap() += 1);
        return;
    }
    let name = "a_lock_that_a_thread_holds_is_no_fault_of_the_parked";
    let text = ends_well(&child(name, &[("RADDLE_DEBUG", "stuck=20ms")]));
    let begin = lines_with(&text, "raddle: stuck for ", "blocked in futex");
    assert_eq!(begin.len(), 1, "{text}");
    let end = lines(&text, "raddle: stuck no more after ");
    assert!(!end.is_empty(), "{text}");
    assert!(!text.contains("parked"), "{text}");
}

#[test]
fn without_the_variable_nothing_is_printed() {
    if is_child() {
        runtime(Mode::Pinned, 2).run(|| burn(ms(150)));
        return;
    }
    let text = ends_well(&child("without_the_variable_nothing_is_printed", &[]));
    assert!(!text.contains("raddle:"), "{text}");
}

/// Many at once are counted, not printed.
#[test]
fn a_storm_of_stuck_goroutines_is_cut_short() {
    if is_child() {
        let runtime = runtime(Mode::Migrate, 2);
        let hogs: Vec<_> = (0..300).map(|_| runtime.spawn(|| burn(ms(8)))).collect();
        hogs.into_iter().for_each(|hog| hog.join().unwrap());
        // A second later one is printed again, with how many were not.
        thread::sleep(ms(1100));
        runtime.run(|| burn(ms(30)));
        return;
    }
    let name = "a_storm_of_stuck_goroutines_is_cut_short";
    let text = ends_well(&child(name, &[("RADDLE_DEBUG", "stuck=1ms")]));
    let shown = lines(&text, "raddle: stuck for ").len();
    assert!((2..200).contains(&shown), "{shown}: {text}");
    assert!(text.contains(" more are not shown"), "{text}");
}

#[test]
fn a_line_about_the_scheduler_comes_each_period_also_while_all_is_idle() {
    if is_child() {
        let runtime = runtime(Mode::Migrate, 2);
        let (keep, kept) = chan::bounded::<()>(0);
        let parked: Vec<_> = (0..5)
            .map(|_| {
                let kept = kept.clone();
                runtime.spawn(move || kept.recv().is_err())
            })
            .collect();
        thread::sleep(ms(700));
        drop(keep);
        parked
            .into_iter()
            .for_each(|one| assert!(one.join().unwrap()));
        return;
    }
    let name = "a_line_about_the_scheduler_comes_each_period_also_while_all_is_idle";
    let text = ends_well(&child(name, &[("RADDLE_DEBUG", "schedtrace=100")]));
    let all = lines(&text, "raddle: sched ");
    assert!((3..100).contains(&all.len()), "{text}");
    for field in [
        "processors=2 ",
        "free=2 ",
        "goroutines=5 ",
        "shared=0 ",
        "queues=[",
    ] {
        assert!(all[2].contains(field), "{field}: {text}");
    }
}

/// Prints `stuck` events, each on a line, and tells of them.
struct Printer(mpsc::Sender<String>);

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        use std::fmt::Write;
        let _fits = write!(self.0, " {field}={value:?}");
    }
}

impl Subscriber for Printer {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "raddle::sched" && *metadata.level() <= tracing::Level::WARN
    }

    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields(String::new());
        event.record(&mut fields);
        eprintln!("event:{}", fields.0);
        let _nobody_waits = self.0.send(fields.0);
    }

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

#[test]
fn the_stuck_event_carries_the_cause() {
    if is_child() {
        tracing::subscriber::set_global_default(Printer(mpsc::channel().0)).unwrap();
        let (show, shown) = mpsc::channel();
        let (lock, end) = locked_by_a_friend(show);
        shown.recv().unwrap();
        thread::spawn(move || {
            thread::sleep(ms(600));
            drop(end);
        });
        runtime(Mode::Pinned, 1).run(move || {
            let (tell, begun) = chan::bounded(1);
            let fellow = raddle::spawn(move || {
                tell.send(()).unwrap();
                raddle::park();
            });
            begun.recv().unwrap();
            *lock.lock().unwrap() += 1;
            fellow.goroutine().unpark();
            fellow.join().unwrap();
        });
        return;
    }
    let text = ends_well(&child("the_stuck_event_carries_the_cause", &[]));
    let events = lines(&text, "event: event=\"stuck\"");
    assert!(!events.is_empty(), "{text}");
    for part in [
        " goroutine=\"goroutine ",
        " \\\"main\\\" [running]: spawned at ",
        " machine=0 ",
        " thread=",
        " stuck_us=",
        " blocked=true ",
        " call=\"futex\" ",
        " address=\"0x",
        " parked=1 ",
        " cause=\"a lock of std's held across a park, perhaps\"",
    ] {
        assert!(events[0].contains(part), "{part}: {text}");
    }
}
