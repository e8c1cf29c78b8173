//! What servers say, and the messages they serve.

use std::io::{self, Read};
use std::net::SocketAddr;
use std::process;
use std::thread;

/// How long a message of `serve_echo` and `serve_churn` is.
pub const MESSAGE: usize = 64;

/// How much a server reads at once.
pub const BUFFER: usize = 1024;

/// Tells who started this process that it listens at `address`; from here on
/// it ends once its standard input does.
pub fn announce(address: SocketAddr) {
    thread::spawn(|| {
        let mut byte = [0];
        while io::stdin().read(&mut byte).is_ok_and(|read| read > 0) {}
        process::exit(0);
    });
    println!("LISTEN {}", address.port());
}

/// What HTTP servers answer with.
pub const BODY: &str = "Hello, World!";

/// The whole of an answer, where no library writes it.
const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, World!";

/// The end of a request without body.
const END: &[u8] = b"\r\n\r\n";

/// One connection's requests, as they come in, and the answers to all that
/// are complete.
pub struct Requests {
    buffer: [u8; BUFFER],
    filled: usize,
    answers: Vec<u8>,
}

impl Default for Requests {
    fn default() -> Self {
        Self::new()
    }
}

impl Requests {
    /// None yet.
    pub fn new() -> Self {
        Self {
            buffer: [0; BUFFER],
            filled: 0,
            answers: Vec::new(),
        }
    }

    /// Where to read to.
    pub fn room(&mut self) -> &mut [u8] {
        assert!(self.filled < BUFFER, "requests here are short");
        &mut self.buffer[self.filled..]
    }

    /// So many bytes were read: what to write, if a request is complete.
    pub fn came(&mut self, bytes: usize) -> &[u8] {
        self.filled += bytes;
        self.answers.clear();
        let mut done = 0;
        while let Some(end) = end_of_request(&self.buffer[done..self.filled]) {
            done += end;
            self.answers.extend_from_slice(ANSWER);
        }
        self.buffer.copy_within(done..self.filled, 0);
        self.filled -= done;
        &self.answers
    }
}

fn end_of_request(bytes: &[u8]) -> Option<usize> {
    let at = bytes.windows(END.len()).position(|four| four == END)?;
    Some(at + END.len())
}
