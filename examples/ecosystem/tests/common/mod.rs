//! Programs of this package as children, and plain clients.

#![allow(dead_code, reason = "each test file uses a part")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, ExitStatus, Stdio, abort};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// No test takes so long.
const DEADLINE: Duration = Duration::from_secs(120);

/// Runs `f`, and ends the process when it hangs.
pub fn with_deadline<T>(f: impl FnOnce() -> T) -> T {
    let (done, is_done) = channel::<()>();
    let name = thread::current().name().unwrap_or("a test").to_owned();
    thread::spawn(move || {
        if is_done.recv_timeout(DEADLINE) == Err(RecvTimeoutError::Timeout) {
            eprintln!("{name} hangs");
            abort();
        }
    });
    let result = f();
    drop(done);
    result
}

/// A server, until it is dropped.
pub struct Server {
    child: Child,
    /// `127.0.0.1:PORT`.
    pub address: String,
}

impl Server {
    /// Starts `program`, and waits until it says where it listens.
    pub fn start(program: &str, arguments: &[&str]) -> Self {
        let mut child = Command::new(program)
            .args(arguments)
            .env("RADDLE_MAXPROCS", "2")
            .stdout(Stdio::piped())
            .spawn()
            .expect("it is built");
        let stdout = child.stdout.take().expect("it is piped");
        let mut line = String::new();
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("it says something");
        let (_, address) = line
            .trim()
            .split_once("://")
            .expect("it says where it listens");
        Self {
            child,
            address: address.to_owned(),
        }
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).expect("it listens");
        stream.set_nodelay(true).expect("it is a socket");
        stream
    }

    /// Tells it to end.
    pub fn signal(&self, signal: &str) {
        let told = Command::new("kill")
            .args([&format!("-{signal}"), &self.child.id().to_string()])
            .status();
        assert!(told.expect("there is a kill").success());
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("it is a child")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// What a server has answered.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

/// Sends one request with a body of a known length.
pub fn send(stream: &mut impl Write, method: &str, path: &str, body: &str) {
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: here\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).expect("it reads");
    stream.flush().expect("it reads");
}

/// Reads one answer, byte by byte, and nothing of the next.
pub fn receive(stream: &mut impl Read) -> Answer {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("an answer comes");
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).expect("it is text").to_lowercase();
    let header = |name: &str| {
        let mut lines = head.lines();
        lines.find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim()))
    };
    let length = header("content-length").map_or(0, |length| length.parse().expect("a number"));
    let mut body = vec![0; length];
    stream.read_exact(&mut body).expect("the body comes");
    Answer {
        status: head[9..12].parse().expect("a status"),
        body: String::from_utf8(body).expect("it is text"),
        head,
    }
}

/// One request, and its answer.
pub fn ask(stream: &mut (impl Read + Write), method: &str, path: &str, body: &str) -> Answer {
    send(stream, method, path, body);
    receive(stream)
}
