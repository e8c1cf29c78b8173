//! Each example as a process: it ends in time, and prints what it should.
//! Those of the course are in `examples_course`.

#[path = "common/example.rs"]
mod example;

use example::{Example, LONG_DEADLINE};
use std::fs;
use std::path::{Path, PathBuf};

/// Of the tour.
const STOPS: usize = 31;

#[test]
fn hello() {
    for procs in [1, 4] {
        let ended = Example::new("hello").procs(procs).succeeds();
        assert_eq!(ended.stdout, "hello, goroutine\n");
    }
}

#[test]
fn dog_cat() {
    let mut expected = String::new();
    for turn in 1..=5 {
        expected += &format!("dog: woof {turn}\ncat: meow {turn}\n");
    }
    expected += "both are done\n";
    for procs in [1, 4] {
        let ended = Example::new("dog_cat").procs(procs).succeeds();
        assert_eq!(ended.stdout, expected);
    }
}

#[test]
fn wait_group() {
    for procs in [1, 4] {
        let ended = Example::new("wait_group").procs(procs).succeeds();
        let lines: Vec<_> = ended.stdout.lines().collect();
        for sound in ["dog: woof", "cat: meow", "fish: blub"] {
            let own: Vec<_> = lines.iter().filter(|line| line.contains(sound)).collect();
            let in_order: Vec<_> = (1..=3).map(|turn| format!("{sound} {turn}")).collect();
            assert_eq!(own, in_order.iter().collect::<Vec<_>>());
        }
        assert_eq!(lines.len(), 10);
        assert_eq!(lines.last(), Some(&"all three are done"));
    }
}

#[test]
fn lifetime() {
    let expected = "\
1. joined
   what the goroutine owned is dropped
   join gave 42
2. detached
   the handle is dropped
   the goroutine goes on
3. ended with its runtime
   what the goroutine owned is dropped
   join gave Err(Shutdown)
4. cut off with main
   main returns; the goroutine had an hour to go
";
    for procs in [1, 4] {
        let ended = Example::new("lifetime").procs(procs).succeeds();
        assert_eq!(ended.stdout, expected);
    }
}

#[test]
fn panic_recover() {
    let expected = "\
10 / 2 = 5
10 / 0: division of 10 by zero
10 / 5 = 2
caught inside: true
the group is done
the scope panicked: true
left by goexit: true
";
    for procs in [1, 4] {
        let ended = Example::new("panic_recover").procs(procs).succeeds();
        assert_eq!(ended.stdout, expected);
        let unjoined: Vec<_> = ended
            .stderr
            .lines()
            .filter(|line| line.ends_with("panicked, and nobody joins it"))
            .collect();
        assert_eq!(unjoined.len(), 2, "{}", ended.stderr);
        for line in unjoined {
            assert!(line.contains("spawned at examples"), "{line}");
        }
    }
}

#[test]
fn parallel_sum() {
    for procs in [1, 4] {
        let ended = Example::new("parallel_sum").procs(procs).succeeds();
        let sums: Vec<_> = ended
            .stdout
            .split_whitespace()
            .filter(|word| word.len() == 20 && word.bytes().all(|byte| byte.is_ascii_digit()))
            .collect();
        assert_eq!(sums.len(), 2, "{}", ended.stdout);
        assert_eq!(sums[0], sums[1]);
        assert!(ended.stdout.contains("\nequal; "), "{}", ended.stdout);
    }
}

#[test]
fn word_count() {
    let tree = Tree::grow();
    for mode in [
        &[][..],
        &["--migrate"],
        &["--blocking", "--open=8"],
        &["--migrate", "--blocking"],
        &["--open=1"],
    ] {
        let ended = Example::new("word_count")
            .arg(tree.0.to_str().expect("a path that cargo chose"))
            .arg("--check")
            .args(mode)
            .procs(4)
            .succeeds();
        for line in [
            "files      2,000",
            "words      109,000",
            " 99,000 go\n",
            " 4,000 goroutine\n",
            "check      equal",
        ] {
            assert!(ended.stdout.contains(line), "{mode:?}: {}", ended.stdout);
        }
        assert_eq!(ended.stderr, "counting 2,000 files\n");
    }
}

#[test]
fn word_count_names_what_it_cannot_list() {
    let ended = Example::new("word_count").arg("no such directory").ends();
    assert_eq!(ended.status.code(), Some(1));
    assert!(
        ended.stderr.contains("no such directory"),
        "{}",
        ended.stderr
    );
    assert_eq!(ended.stdout, "");
}

#[test]
fn million_of_twenty_thousand() {
    for procs in [1, 4] {
        let ended = Example::new("million").arg("20000").procs(procs).succeeds();
        let lines: Vec<_> = ended.stdout.lines().collect();
        assert_eq!(lines.first(), Some(&"goroutines parked: 20,000"));
        assert_eq!(lines.last(), Some(&"finished: 20,000"));
        let bytes: u64 = lines
            .iter()
            .find_map(|line| line.strip_prefix("bytes per goroutine: "))
            .and_then(|bytes| bytes.parse().ok())
            .expect("a line with a number");
        if cfg!(target_os = "linux") {
            // A page, and what is small beside it; without optimization
            // frames are larger.
            let most = if cfg!(debug_assertions) {
                10_000
            } else {
                5_500
            };
            assert!((4_000..most).contains(&bytes), "{bytes}");
        }
        assert_eq!(ended.stderr, "");
    }
}

#[test]
fn tour() {
    for procs in [1, 4] {
        let ended = Example::new("tour")
            .procs(procs)
            .deadline(LONG_DEADLINE)
            .succeeds();
        for n in 1..=STOPS {
            assert!(ended.stdout.contains(&format!("\n{n}. ")), "{n}");
        }
        for line in [
            "→ 42\n",
            "→ fish: blub\n",
            "→ [0, 1, 2]\n",
            "→ waited: 20 of 20\n",
            "→ error[E0499]: cannot borrow `count` as mutable more than once at a time\n",
            "→ the payload: Some(\"out of yarn\")\n",
            "→ join gave Err(Goexit): true\n",
            "→ [1, 2, 3, 4, 5], then Err(RecvError)\n",
            "→ [1, 2, 3]; nobody took 4\n",
            "→ sending on a full channel: \"again\"\n",
            "→ [\"hello\", \"world\"]\n",
            "→ fatal error: all goroutines are asleep - deadlock!\n",
            " \"main\" [chan send",
            "→ exit status: 2\n",
            "→ the receiver is dropped, and 2 have left\n",
            "→ nothing yet; Ok(\"a letter\"); Err(RecvError)\n",
            "→ cancelled at 6\n",
            "→ no more jobs, 6 in all\n",
            ", 66 in all\n",
            "→ {\"warp\": 750, \"weft\": 250}\n",
            "→ 50,000\n",
            ": five times 100 ms of work in ",
            "→ 40 have been in, at most ",
            "→ prime number 300 is 1987, after ",
            "→ 100,000 slept a second each",
            "→ main has 7, the other 1\n",
            "→ weaver, on its own thread, went 100,000 calls deep\n",
            " 4 spawn\n",
            " park [chan receive]\n",
            "That was it\n",
        ] {
            assert!(ended.stdout.contains(line), "{line}: {}", ended.stdout);
        }
        let left_behind = ended.stdout.lines().filter(|line| line.contains(" \"ask "));
        assert_eq!(left_behind.count(), 2, "{}", ended.stdout);
        let sums = [
            "100,000 leaves, the sum is 4,999,950,000,",
            "1,000,000 leaves, the sum is 499,999,500,000,",
        ];
        assert!(sums.iter().any(|sum| ended.stdout.contains(sum)));
        assert!(!ended.stdout.contains('\x1b'), "colour in a pipe");
        assert_eq!(ended.stderr, "");
    }
}

/// 2,000 small files in 20 directories, for as long as it is held.
struct Tree(PathBuf);

impl Tree {
    fn grow() -> Self {
        let name = format!("word_count-{}", std::process::id());
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        for outer in 0..20 {
            let mut directory = root.join(format!("{outer}"));
            if outer % 2 == 1 {
                directory.push("deeper");
            }
            fs::create_dir_all(&directory).expect("cargo's own directory is writable");
            for inner in 0..100 {
                let text = format!(
                    "<b>Goroutine</b> n{outer}x{inner}: {}goroutine.\n",
                    "Go, ".repeat(inner)
                );
                fs::write(directory.join(format!("{inner}.txt")), text).expect("as above");
            }
        }
        Self(root)
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _leftover = fs::remove_dir_all(&self.0);
    }
}
