//! Ten thousand connections that say nothing: the process that holds them
//! sleeps. It is a child; this one is their other end, for no process may
//! have so many descriptors twice.

mod common;
#[path = "common/limits.rs"]
mod limits;

use common::{MODES, Mode, comes_true, is_child, limit, runtime};
use common::{switches, with_deadline};
use limits::raise_limit_of_descriptors;
use raddle::chan::unbounded;
use raddle::net::TcpListener;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const NAME: &str = "ten_thousand_idle_connections_cost_no_wake_ups";
const CONNECTIONS: u64 = 10_000;
/// Descriptors for all else.
const SPARE: u64 = 200;

/// What the child is to be.
const KIND: &str = "RADDLE_TEST_KIND";

#[test]
fn ten_thousand_idle_connections_cost_no_wake_ups() {
    if is_child() {
        let kind = std::env::var(KIND).expect("its parent says it");
        let (mode, procs) = kind.split_once(' ').expect("two words");
        let mode = MODES.into_iter().find(|one| format!("{one:?}") == mode);
        serve(mode.expect("a mode"), procs.parse().expect("a number"));
        return;
    }
    let many = raise_limit_of_descriptors().saturating_sub(SPARE);
    let many = many.min(CONNECTIONS) as usize;
    if many < CONNECTIONS as usize {
        println!("the system allows for {many} connections, not for {CONNECTIONS}");
    }
    for mode in MODES {
        for procs in [1, 2, 4] {
            let what = format!("{mode:?} {procs}");
            with_deadline(limit(90), &what, || hold(many, &what));
        }
    }
}

/// A child that ends with its parent's interest in it.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _gone_already = self.0.kill();
        let _status = self.0.wait();
    }
}

/// The other end: connects, has each connection echo a byte, and lets the
/// server be.
fn hold(many: usize, kind: &str) {
    let mut server = Command::new(std::env::current_exe().expect("this test"));
    server
        .args(["--exact", NAME, "--nocapture", "--test-threads=1"])
        .env("RADDLE_TEST_ROLE", NAME)
        .env(KIND, kind)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut server = Server(server.spawn().expect("a child process"));
    let mut orders = server.0.stdin.take().expect("asked for");
    let lines = BufReader::new(server.0.stdout.take().expect("asked for")).lines();
    let mut lines = lines.map(|line| line.expect("text"));
    let mut said = |word: &str| {
        let line = lines.find(|line| line.contains(word));
        let line = line.unwrap_or_else(|| panic!("{kind}: it ended without {word:?}"));
        line.rsplit(' ').next().expect("a last word").to_owned()
    };

    let address = said("listening at");
    // One after the other, or the listener's queue would run over.
    let mut streams: Vec<_> = (0..many)
        .map(|_| {
            let mut stream = TcpStream::connect(&address).expect("a connection");
            stream
                .set_read_timeout(Some(Duration::from_secs(20)))
                .unwrap();
            stream.write_all(b"?").unwrap();
            stream.read_exact(&mut [0; 1]).unwrap();
            stream
        })
        .collect();
    writeln!(orders, "{many}").unwrap();
    assert_eq!(said("goroutines beside main:"), (many + 1).to_string());
    assert_eq!(said("switches in a second:"), "0", "{kind}");
    // They have not been forgotten.
    for stream in streams.iter_mut().step_by(97) {
        stream.write_all(b"!").unwrap();
        stream.read_exact(&mut [0; 1]).unwrap();
    }
}

/// The child: echoes, and counts how often its threads are woken when there
/// is nothing to do.
fn serve(mode: Mode, procs: usize) {
    raise_limit_of_descriptors();
    let runtime = runtime(mode, procs);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("\nlistening at {}", listener.local_addr().unwrap());
    let (tell, told) = unbounded();
    drop(runtime.spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, tell) = (stream.unwrap(), tell.clone());
            drop(raddle::spawn(move || {
                let mut byte = [0; 1];
                while stream.read_exact(&mut byte).is_ok() {
                    stream.write_all(&byte).unwrap();
                    tell.send(()).unwrap();
                }
            }));
        }
    }));
    let mut many = String::new();
    std::io::stdin().read_line(&mut many).unwrap();
    for _ in 0..many.trim().parse().unwrap() {
        told.recv().unwrap();
    }
    let goroutines = runtime.run(raddle::runtime::num_goroutines);
    println!("goroutines beside main: {}", goroutines - 1);
    // The last of them may still be on its way to its park, and machines on
    // their way to sleep.
    let mut before = switches();
    let is_quiet = comes_true(Duration::from_secs(30), || {
        std::thread::sleep(Duration::from_secs(1));
        let now = switches();
        let was = std::mem::replace(&mut before, now);
        was == before
    });
    let last = if is_quiet {
        "0".to_owned()
    } else {
        format!("{:?}", switches())
    };
    println!("switches in a second: {last}");
    // The parent ends it.
    let _end = std::io::stdin().read_line(&mut many);
}
