//! Connections that are opened, used once and closed, a number of them at a
//! time. The server closes first.

use crate::measure::measure;
use crate::server::{Server, Watch};
use mio::net::TcpStream;
use mio::{Interest, Poll, Token};
use raddle_peers::Outcome;
use raddle_peers::serve::MESSAGE;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

struct Connection {
    stream: TcpStream,
    opened_at: Instant,
    has_asked: bool,
    answer: [u8; MESSAGE],
    filled: usize,
}

/// Opens another connection as soon as one has ended.
pub fn drive(server: &Server, watch: Watch, connections: usize) -> Outcome {
    let address = server.address();
    let poll = Poll::new().expect("a poll");
    let mut connections: Vec<_> = (0..connections)
        .map(|token| Connection::open(address, &poll, Token(token)))
        .collect();

    // Of each socket one event at most comes at a time: none is of one that
    // was closed.
    measure(poll, watch, |poll, token| {
        let connection = &mut connections[token.0];
        let latency = connection.go_on()?;
        *connection = Connection::open(address, poll, token);
        Some(latency)
    })
}

impl Connection {
    fn open(address: SocketAddr, poll: &Poll, token: Token) -> Self {
        let opened_at = Instant::now();
        let mut stream = TcpStream::connect(address).expect("the server listens");
        poll.registry()
            .register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)
            .expect("a new socket");
        Self {
            stream,
            opened_at,
            has_asked: false,
            answer: [0; MESSAGE],
            filled: 0,
        }
    }

    /// How long it took from the first call to the connection's end, if this
    /// was it.
    fn go_on(&mut self) -> Option<Duration> {
        const ASKED: &[u8; MESSAGE] = &[b'.'; MESSAGE];
        if !self.has_asked {
            match self.stream.write(ASKED) {
                Ok(written) => assert_eq!(written, MESSAGE, "nothing else is under way"),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                Err(error) if error.kind() == ErrorKind::NotConnected => return None,
                Err(error) => panic!("cannot connect: {error}"),
            }
            self.has_asked = true;
            return None;
        }
        loop {
            let mut more = [0; 1];
            let room = match self.filled {
                MESSAGE => &mut more[..],
                filled => &mut self.answer[filled..],
            };
            match self.stream.read(room) {
                Ok(0) => {
                    assert_eq!(&self.answer, ASKED, "not what was sent");
                    return Some(self.opened_at.elapsed());
                }
                Ok(read) => self.filled += read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                Err(error) => panic!("the server's connection: {error}"),
            }
        }
    }
}
