//! The course in Go's concurrency, example by example: each ends in time, and
//! prints what it should.

#[path = "common/example.rs"]
mod example;

use example::{Ended, Example, LONG_DEADLINE};

/// Runs on one processor and on four, to the end.
fn on_one_and_four(name: &'static str, check: impl Fn(Ended)) {
    for procs in [1, 4] {
        check(Example::new(name).procs(procs).succeeds());
    }
}

fn prints(name: &'static str, expected: &str) {
    on_one_and_four(name, |ended| {
        assert_eq!(ended.stdout, expected);
        assert_eq!(ended.stderr, "");
    });
}

fn lines(ended: &Ended) -> Vec<&str> {
    ended.stdout.lines().collect()
}

#[test]
fn channels() {
    prints("channels", "1\n2\n3\n4\n5\nclosed: Err(RecvError)\n");
}

#[test]
fn futures_bridge() {
    let expected = "\
Mercury: Some(0)
Earth: Some(1)
Mars: Some(2)
Vulcan: None
moons in all: 3
requests: 4
";
    prints("futures_bridge", expected);
}

#[test]
fn happens_before() {
    prints(
        "happens_before",
        "x was 42 in 1000 of 1000 rounds\nreceived: 42\n",
    );
}

#[test]
fn ownership() {
    let expected = "\
1
4
9
16
25
the writers are done, so the loop is
enough after [1, 2, 3]
the writer left: nobody takes 4
";
    prints("ownership", expected);
}

/// Ended as a deadlock does: the report's first line, status 2, and where
/// main waits.
fn assert_asleep(name: &'static str, said: &str, reason: &str) {
    for procs in [1, 4] {
        let ended = Example::new(name).procs(procs).ends();
        assert_eq!(ended.stdout, said);
        assert_eq!(
            ended.stderr.lines().next(),
            Some("fatal error: all goroutines are asleep - deadlock!")
        );
        assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
        for words in [
            format!(" \"main\" [{reason}"),
            format!("spawned at examples/{name}.rs:"),
        ] {
            assert!(ended.stderr.contains(&words), "{words}: {}", ended.stderr);
        }
    }
}

#[test]
fn deadlock() {
    assert_asleep("deadlock", "sending\n", "chan send");
}

#[test]
fn forgotten_close() {
    let said = "the senders are gone, the loop is over: 12\n1\n2\n3\n";
    assert_asleep("forgotten_close", said, "chan receive");
}

#[test]
fn leak() {
    on_one_and_four("leak", |ended| {
        let (mended, leaky) = ended
            .stdout
            .split_once("leaky: the answer is there, and so are they\n")
            .expect("two parts");
        assert_eq!(
            mended,
            "mended: 1 answer taken, all have left\nwaiting to send: 0\n"
        );
        let waiting: Vec<_> = leaky
            .lines()
            .filter(|line| line.contains("[chan send"))
            .collect();
        assert_eq!(waiting.len(), 2, "{leaky}");
        for line in waiting {
            assert!(line.contains(" \"ask "), "{line}");
        }
        assert!(leaky.contains("\"main\" [running]"), "{leaky}");
        assert!(leaky.contains("spawned at examples/leak.rs:"), "{leaky}");
        assert_eq!(ended.stderr, "");
    });
}

#[test]
fn deadlock_fixed() {
    prints("deadlock_fixed", "hello\n");
}

#[test]
fn buffered() {
    let expected = "\
sent two, and nobody has received
sending on a full channel: \"again\" comes back
the third waits: true
hello
the third is sent: true
world
again
";
    prints("buffered", expected);
}

/// How many ticks there are is the machine's to say when it is busy: one that
/// is late is left out.
#[test]
fn select_tick_tock() {
    let ended = Example::new("select_tick_tock").procs(1).succeeds();
    let mut lines = lines(&ended);
    assert_eq!(lines.pop(), Some("that will do"));
    let of = |word: &str| lines.iter().filter(|line| line.ends_with(word)).count();
    assert!((1..=9).contains(&of(" s  tick")), "{lines:?}");
    assert!((1..=2).contains(&of(" s  tock")), "{lines:?}");
    assert_eq!(of(" s  tick") + of(" s  tock"), lines.len());
}

#[test]
fn select_default() {
    let expected = "\
no letter
left \"dear comb\"
\"dear loom\" does not fit
a letter: Ok(\"dear comb\")
a letter: Err(RecvError)
the answer is 42
";
    on_one_and_four("select_default", |ended| {
        assert_eq!(ended.stdout, expected);
    });
}

#[test]
fn cancel() {
    let expected = "\
cancelled: context canceled
cancelled: context canceled
busy: 6
idle: 0
one job more: Err(SendError(..))
no more jobs
last: 60
";
    // The first may say that it has joined before the other says that it is
    // cancelled.
    on_one_and_four("cancel", |ended| {
        let sorted = |mut lines: Vec<_>| {
            lines.sort_unstable();
            lines
        };
        let (said, expected) = (lines(&ended), expected.lines().collect());
        assert_eq!(said.last(), Some(&"last: 60"));
        assert_eq!(sorted(said), sorted(expected));
        assert_eq!(ended.stderr, "");
    });
}

#[test]
fn timeouts() {
    let expected = "\
Ok(\"a page for gopher\")
no map: context deadline exceeded
the request: None
clean up
child: context canceled
grandchild: context canceled
aside: goes on
a step now: Err(Canceled)
";
    prints("timeouts", expected);
}

#[test]
fn rate_limiter() {
    let expected = "\
request 1: in time
request 2: in time
request 3: in time
request 4: in time
request 5: in time
request 6: in time
the limiter has left
";
    prints("rate_limiter", expected);
}

#[test]
fn safe_counter() {
    prints("safe_counter", "warp: 750\nweft: 250\n");
}

#[test]
fn atomic_counter() {
    prints("atomic_counter", "count: 50000\n");
}

#[test]
fn worker_pool() {
    on_one_and_four("worker_pool", |ended| {
        let mut results = lines(&ended);
        results.sort_unstable_by_key(|line| (line.len(), *line));
        let expected = [2, 4, 6, 8, 10].map(|n| format!("result: {n}"));
        assert_eq!(results, expected);
    });
}

#[test]
fn semaphore() {
    on_one_and_four("semaphore", |ended| {
        let lines = lines(&ended);
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[0], "all 40 have been in and out");
        let most = lines[1]
            .strip_prefix("at most ")
            .and_then(|rest| rest.strip_suffix(" at a time"))
            .and_then(|most| most.parse().ok());
        assert!(most.is_some_and(|most| (1..=10).contains(&most)));
        assert_eq!(lines[2], "slots in use: 0 of 10");
    });
}

#[test]
fn loop_capture() {
    let expected = "\
captured: [0, 1, 2]
as argument: [0, 1, 2]
shared, on purpose: [2, 2, 2]
";
    prints("loop_capture", expected);
}

/// What the guesses see is chance; what was waited for is there.
#[test]
fn sleep_is_not_sync() {
    on_one_and_four("sleep_is_not_sync", |ended| {
        let lines = lines(&ended);
        assert_eq!(lines.len(), 3);
        for (line, guess) in lines.iter().zip([10, 50]) {
            let done = line
                .strip_prefix(&format!("slept {guess} ms: "))
                .and_then(|rest| rest.strip_suffix(" of 20 were done"))
                .and_then(|done| done.parse().ok());
            assert!(done.is_some_and(|done| (0..=20).contains(&done)), "{line}");
        }
        assert_eq!(lines[2], "waited: 20 of 20 were done");
    });
}

#[test]
fn nil_channel() {
    on_one_and_four("nil_channel", |ended| {
        let lines = lines(&ended);
        assert_eq!(lines.first(), Some(&"a nil channel is never ready"));
        assert_eq!(lines.last(), Some(&"both have ended"));
        let of = |from: &str| -> Vec<_> {
            let values = lines.iter().filter_map(|line| line.strip_prefix(from));
            values.collect()
        };
        assert_eq!(of("from a: "), ["1", "2", "3"]);
        assert_eq!(of("from b: "), ["\"warp\"", "\"weft\""]);
        assert_eq!(lines.len(), 7);
    });
}

/// That its first part does not compile is checked by `trybuild`, against the
/// very files that it prints.
#[test]
fn race() {
    on_one_and_four("race", |ended| {
        for line in [
            "s.go(|| count += 1);\n",
            "error[E0499]: cannot borrow `count` as mutable more than once at a time\n",
            "  each its own count, and join: 2000\n",
            "  an atomic count: 2000\n",
            "  one owner, told by messages: 2000\n",
            "sells more than there is:\n  1 ticket, 2 sold\n",
            "in one step:\n  1 ticket, 1 sold\n",
        ] {
            assert!(ended.stdout.contains(line), "{line}: {}", ended.stdout);
        }
        assert_eq!(ended.stderr, "");
    });
}

#[test]
fn prime_sieve() {
    for procs in [1, 4] {
        for (n, last) in [("1", 2), ("10", 29), ("100", 541)] {
            let ended = Example::new("prime_sieve").arg(n).procs(procs).succeeds();
            let primes: Vec<u64> = lines(&ended)
                .iter()
                .map(|line| line.parse().expect("a number a line"))
                .collect();
            let expected = (2..=last).filter(|n| (2..*n).all(|divisor| n % divisor != 0));
            assert_eq!(primes, expected.collect::<Vec<_>>());
        }
    }
}

/// The default, a million, is for release builds.
#[test]
fn skynet() {
    if !cfg!(debug_assertions) {
        let ended = Example::new("skynet").deadline(LONG_DEADLINE).succeeds();
        assert_eq!(lines(&ended)[0], "499999500000");
    }
    for procs in [1, 4] {
        for (leaves, sum) in [("1", "0"), ("7", "21"), ("10000", "49995000")] {
            let ended = Example::new("skynet").arg(leaves).procs(procs).succeeds();
            let lines = lines(&ended);
            assert_eq!(lines[0], sum);
            assert!(lines[1].ends_with('s'), "{lines:?}");
        }
    }
}

#[test]
fn profile() {
    on_one_and_four("profile", |ended| {
        let mut lives = ended.stdout.split("goroutine ").skip(1);
        for (name, reason) in [
            ("\"left weaver\"\n", "in chan receive\n"),
            ("\"right weaver\"\n", "in chan receive\n"),
            ("\"spinner\"\n", "in sleep\n"),
        ] {
            let life = lives.next().expect("three have names");
            assert!(life.contains(name), "{life}");
            assert!(life.contains("    ran on machine "), "{life}");
            assert!(life.contains(reason), "{life}");
        }
        assert_eq!(ended.stderr, "");
    });
}

#[test]
fn safe_map() {
    let expected = "\
ten readers found all 100
inserted by 1 of ten
entries: 101
";
    prints("safe_map", expected);
}

#[test]
fn request_coalescing() {
    let expected = "\
clients: 100
fetched: 1
shared by: 100
fetched: 2
";
    prints("request_coalescing", expected);
}

#[test]
fn pipeline() {
    let expected = "\
all went well: Ok(338350)
one did not: Err(\"13 is not squared here\")
nobody is left: true
";
    prints("pipeline", expected);
}

#[test]
fn pub_sub() {
    on_one_and_four("pub_sub", |ended| {
        let mut lines = lines(&ended);
        assert_eq!(
            lines.pop(),
            Some("the sleeper has Ok(\"breakfast\") and missed 2")
        );
        lines.sort_unstable();
        let all =
            ["cat", "dog", "fish"].map(|name| format!("{name} heard breakfast, walk, dinner"));
        assert_eq!(lines, all);
    });
}

#[test]
fn dining_philosophers() {
    let names = ["Hypatia", "Laozi", "Aspasia", "Averroes", "Diotima"];
    let mut expected: String = names.map(|name| format!("{name} has eaten\n")).concat();
    expected += "forks were used 30 times\n";
    prints("dining_philosophers", &expected);

    for procs in [1, 4] {
        let example = Example::new("dining_philosophers").arg("left-first");
        let ended = example.procs(procs).ends();
        assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
        for name in names {
            let waits = format!("\"{name}\" [sync.Mutex.Lock");
            assert!(ended.stderr.contains(&waits), "{waits}: {}", ended.stderr);
        }
        // Looked for in debug builds.
        for part in ["lock cycle of 5:", "holds Mutex ", "waits to lock Mutex "] {
            let is_there = ended.stderr.contains(part);
            assert_eq!(is_there, cfg!(debug_assertions), "{part}: {}", ended.stderr);
        }
    }
}
