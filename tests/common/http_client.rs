//! A client that writes what it is told to, and reads answers one by one.

#![allow(dead_code, reason = "each test file uses a part")]

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// No answer takes so long.
const DEADLINE: Duration = Duration::from_secs(60);

pub struct Client {
    stream: TcpStream,
    unread: Vec<u8>,
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// As it came, to the empty line.
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    /// Of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut values = lines.filter(|(key, _)| *key == name);
        values.next().map(|(_, value)| value)
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    pub fn closes(&self) -> bool {
        self.header("connection") == Some("close")
    }
}

impl Client {
    pub fn connect(to: SocketAddr) -> Self {
        let stream = TcpStream::connect(to).expect("it listens");
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        let unread = Vec::new();
        Self { stream, unread }
    }

    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    pub fn send(&self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).expect("it takes what it is sent");
    }

    pub fn try_send(&self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        (&self.stream).write_all(bytes.as_ref())
    }

    /// Nothing more will be sent.
    pub fn ends(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// The next answer, to a request that may have been HEAD. Interim ones
    /// (100) are answers too.
    pub fn answer_to(&mut self, method: &str) -> Answer {
        let end = loop {
            let end = self.unread.windows(4).position(|four| four == b"\r\n\r\n");
            match end {
                Some(at) => break at + 4,
                None => assert!(self.more(), "the end, after {:?}", self.unread_text()),
            }
        };
        let head = String::from_utf8(self.unread.drain(..end).collect()).expect("text");
        let status = head
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest[..3].parse().ok())
            .expect("a status");
        let mut answer = Answer {
            status,
            head,
            body: Vec::new(),
        };
        if status != 100 && method != "HEAD" {
            let length = answer.header("content-length");
            let length: usize = length.expect("a length").parse().expect("a number");
            while self.unread.len() < length {
                assert!(self.more(), "the end, in the midst of a body");
            }
            answer.body = self.unread.drain(..length).collect();
        }
        answer
    }

    pub fn answer(&mut self) -> Answer {
        self.answer_to("GET")
    }

    /// Whether the server has closed, and said nothing more. A reset counts:
    /// it may meet what was sent too late.
    pub fn is_closed(&mut self) -> bool {
        self.unread.is_empty() && !self.more()
    }

    fn more(&mut self) -> bool {
        let mut bytes = [0; 4096];
        match self.stream.read(&mut bytes) {
            Ok(read) => {
                self.unread.extend_from_slice(&bytes[..read]);
                read > 0
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => false,
            Err(error) => panic!("{error}, after {:?}", self.unread_text()),
        }
    }

    fn unread_text(&self) -> String {
        String::from_utf8_lossy(&self.unread).into_owned()
    }
}

/// A request with no body.
pub fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n")
}

/// A request with the length of its body.
pub fn post(path: &str, body: &str) -> String {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nhost: test\r\ncontent-length: {length}\r\n\r\n{body}")
}

/// A request whose body comes in chunks; they are given as they are sent.
pub fn chunked(path: &str, chunks: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n{chunks}")
}
