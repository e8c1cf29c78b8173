//! An example as a process, with a deadline.

#![allow(dead_code, reason = "each test file uses a part")]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

const DEADLINE: Duration = Duration::from_secs(60);
/// For those that do much, on a machine that has other work.
pub const LONG_DEADLINE: Duration = Duration::from_secs(180);

/// An example about to be run.
pub struct Example {
    name: &'static str,
    command: Command,
    deadline: Duration,
}

/// What became of it.
pub struct Ended {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Example {
    pub fn new(name: &'static str) -> Self {
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

    pub fn arg(mut self, arg: &str) -> Self {
        self.command.arg(arg);
        self
    }

    pub fn args(mut self, args: &[&str]) -> Self {
        self.command.args(args);
        self
    }

    pub fn procs(mut self, procs: usize) -> Self {
        self.command.env("RADDLE_MAXPROCS", procs.to_string());
        self
    }

    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// With so many descriptors and no more.
    pub fn descriptors(mut self, most: usize) -> Self {
        let shell = Command::new("sh");
        let program = std::mem::replace(&mut self.command, shell);
        self.command
            .args(["-c", &format!("ulimit -n {most}; exec \"$@\""), "sh"])
            .arg(program.get_program())
            .args(program.get_args())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        for (name, value) in program.get_envs() {
            if let Some(value) = value {
                self.command.env(name, value);
            }
        }
        self
    }

    pub fn ends(mut self) -> Ended {
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

    pub fn succeeds(self) -> Ended {
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

/// An example that serves, until it is told to end.
pub struct Running {
    pub address: SocketAddr,
    name: &'static str,
    child: Child,
    stdout: Option<Text>,
    stderr: Option<Text>,
    deadline: Duration,
}

impl Example {
    /// Waits until it says where it listens, by its first line.
    pub fn starts(mut self) -> Running {
        let mut child = self.command.spawn().expect("it was built");
        let stderr = read(child.stderr.take());
        let mut stdout = BufReader::new(child.stdout.take().expect("it was asked for"));
        let (sender, first) = channel();
        let (rest_sender, rest) = channel();
        thread::spawn(move || {
            let mut line = String::new();
            let _closed = stdout.read_line(&mut line);
            let _nobody_waits = sender.send(line);
            let mut bytes = Vec::new();
            let _closed = stdout.read_to_end(&mut bytes);
            let _nobody_waits = rest_sender.send(String::from_utf8_lossy(&bytes).into_owned());
        });
        let first = first.recv_timeout(self.deadline).unwrap_or_default();
        let address = first
            .strip_prefix("listening at ")
            .and_then(|rest| rest.split([';', ',']).next())
            .and_then(|address| address.parse().ok());
        let Some(address) = address else {
            let what = end_of(&mut child);
            panic!("{} said {first:?}, not where it listens; {what}", self.name);
        };
        Running {
            address,
            name: self.name,
            child,
            stdout: Some(Text(rest)),
            stderr: Some(stderr),
            deadline: self.deadline,
        }
    }
}

impl Running {
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end.
    pub fn terminate(&self) {
        use rustix::process::{Pid, Signal, kill_process};
        let id = Pid::from_raw(self.child.id() as i32).expect("a process");
        kill_process(id, Signal::TERM).expect("it runs");
    }

    /// Its end, which it comes to by itself. The first line of its output is
    /// not in it.
    pub fn ends(mut self) -> Ended {
        let until = Instant::now() + self.deadline;
        let said = [self.stdout.take(), self.stderr.take()]
            .map(|text| text.expect("taken once").by(until));
        let [Some(stdout), Some(stderr)] = said else {
            let what = end_of(&mut self.child);
            panic!("{} did not end; {what}", self.name);
        };
        Ended {
            status: self.child.wait().expect("a child can be waited for"),
            stdout,
            stderr,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _gone_already = self.child.kill();
        let _status = self.child.wait();
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

/// Cargo puts examples into the directory of the profile, which has its lock,
/// and this test somewhere below it. A plain `cargo test` builds them; with
/// `--test examples` it does not, so they are built here if they are older
/// than the test.
fn program(name: &str) -> PathBuf {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    let directory = DIRECTORY.get_or_init(|| {
        let test = std::env::current_exe().expect("the test knows itself");
        let profile = test
            .ancestors()
            .find(|directory| directory.join(".cargo-lock").exists())
            .expect("a test is built into target/PROFILE");
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
