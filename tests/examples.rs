//! Each example as a process: it ends in time, and prints what it should.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

const DEADLINE: Duration = Duration::from_secs(60);
/// For those that do much, on a machine that has other work.
const LONG_DEADLINE: Duration = Duration::from_secs(180);

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
        for n in 1..=11 {
            assert!(ended.stdout.contains(&format!("\n{n}. ")), "{n}");
        }
        for line in [
            "→ 42\n",
            "→ fish: blub\n",
            "→ the payload: Some(\"out of yarn\")\n",
            "→ join gave Err(Goexit): true\n",
            "→ 100,000 slept a second each",
            "→ main has 7, the other 1\n",
            "→ weaver, on its own thread, went 100,000 calls deep\n",
            "That was it\n",
        ] {
            assert!(ended.stdout.contains(line), "{line}: {}", ended.stdout);
        }
        assert!(!ended.stdout.contains('\x1b'), "colour in a pipe");
        assert_eq!(ended.stderr, "");
    }
}

/// An example about to be run.
struct Example {
    name: &'static str,
    command: Command,
    deadline: Duration,
}

/// What became of it.
struct Ended {
    status: ExitStatus,
    stdout: String,
    stderr: String,
}

impl Example {
    fn new(name: &'static str) -> Self {
        let mut command = Command::new(program(name));
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .env("RUST_BACKTRACE", "0");
        Self {
            name,
            command,
            deadline: DEADLINE,
        }
    }

    fn arg(mut self, arg: &str) -> Self {
        self.command.arg(arg);
        self
    }

    fn args(mut self, args: &[&str]) -> Self {
        self.command.args(args);
        self
    }

    fn procs(mut self, procs: usize) -> Self {
        self.command.env("RADDLE_MAXPROCS", procs.to_string());
        self
    }

    fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    fn ends(mut self) -> Ended {
        let mut child = self.command.spawn().expect("it was built");
        let stdout = read(child.stdout.take());
        let stderr = read(child.stderr.take());
        let until = Instant::now() + self.deadline;
        let (Some(stdout), Some(stderr)) = (stdout.by(until), stderr.by(until)) else {
            panic!(
                "{} with {:?} did not end within {:?}; {}",
                self.name,
                self.command.get_args().collect::<Vec<_>>(),
                self.deadline,
                end_of(&mut child),
            );
        };
        Ended {
            status: child.wait().expect("a child can be waited for"),
            stdout,
            stderr,
        }
    }

    fn succeeds(self) -> Ended {
        let name = self.name;
        let ended = self.ends();
        assert!(
            ended.status.success(),
            "{name}: {}\n{}\n{}",
            ended.status,
            ended.stdout,
            ended.stderr
        );
        ended
    }
}

/// Ends a child that hangs, having looked at what its threads do.
fn end_of(child: &mut Child) -> String {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id()));
    let threads = status
        .iter()
        .flat_map(|status| status.lines())
        .find(|line| line.starts_with("Threads:"))
        .unwrap_or("threads unknown")
        .to_owned();
    let _gone = child.kill();
    let _status = child.wait();
    threads
}

/// What a pipe says, once it is closed.
struct Text(Receiver<String>);

fn read(pipe: Option<impl Read + Send + 'static>) -> Text {
    let (sender, receiver) = channel();
    let mut pipe = pipe.expect("it was asked for");
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _closed = pipe.read_to_end(&mut bytes);
        let _nobody_waits = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    Text(receiver)
}

impl Text {
    fn by(&self, until: Instant) -> Option<String> {
        let left = until.saturating_duration_since(Instant::now());
        self.0.recv_timeout(left).ok()
    }
}

/// Cargo puts examples beside the directory that this test lies in. A plain
/// `cargo test` builds them; with `--test examples` it does not, so they are
/// built here if they are older than the test.
fn program(name: &str) -> PathBuf {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    let directory = DIRECTORY.get_or_init(|| {
        let test = std::env::current_exe().expect("the test knows itself");
        let profile = test
            .parent()
            .and_then(Path::parent)
            .expect("a test is built into target/PROFILE/deps");
        let examples = profile.join("examples");
        let built = modified(&examples.join(name));
        if built.is_none() || built < modified(&test) {
            build(profile);
        }
        examples
    });
    let program = directory.join(name);
    assert!(
        program.is_file(),
        "{} is not there: run `cargo build --examples` first",
        program.display()
    );
    program
}

fn modified(file: &Path) -> Option<SystemTime> {
    fs::metadata(file).ok()?.modified().ok()
}

fn build(profile: &Path) {
    let name = match profile.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["build", "--quiet", "--examples", "--profile", name])
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    if let Some(target) = profile.parent() {
        cargo.arg("--target-dir").arg(target);
    }
    let _status = cargo.status();
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
