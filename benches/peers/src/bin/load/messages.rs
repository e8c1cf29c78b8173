//! What a connection asks, and when the answer is complete.

use raddle_peers::serve::{BODY, MESSAGE};

/// The requests of one connection, one after the other.
pub trait Exchange {
    /// The next request.
    fn request(&mut self) -> &[u8];

    /// Whether `answer` is complete. Panics if it is wrong.
    fn is_complete(&self, answer: &[u8]) -> bool;
}

/// Messages that come back, each other than the last.
pub struct Echo {
    message: [u8; MESSAGE],
    number: u64,
}

impl Echo {
    pub fn new() -> Self {
        Self {
            message: [b'.'; MESSAGE],
            number: 0,
        }
    }
}

impl Exchange for Echo {
    fn request(&mut self) -> &[u8] {
        self.number += 1;
        self.message[..8].copy_from_slice(&self.number.to_be_bytes());
        &self.message
    }

    fn is_complete(&self, answer: &[u8]) -> bool {
        assert!(self.message.starts_with(answer), "not what was sent");
        answer.len() == MESSAGE
    }
}

/// The same page again and again.
pub struct Http;

impl Http {
    pub fn new() -> Self {
        Self
    }
}

impl Exchange for Http {
    fn request(&mut self) -> &[u8] {
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    }

    fn is_complete(&self, answer: &[u8]) -> bool {
        const OK: &[u8] = b"HTTP/1.1 200 OK\r\n";
        // Nothing else may end so: the last header is an ASCII line.
        let is_complete = answer.ends_with(BODY.as_bytes());
        assert!(!is_complete || answer.starts_with(OK), "not the page");
        is_complete
    }
}
