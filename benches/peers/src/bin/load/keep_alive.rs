//! Connections that stay, with one request in flight on each.

use crate::measure::measure;
use crate::messages::Exchange;
use crate::server::{Server, Watch};
use mio::net::TcpStream;
use mio::{Interest, Poll, Token};
use raddle_peers::Outcome;
use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

const LONGEST_ANSWER: usize = 1024;

struct Connection<E> {
    stream: TcpStream,
    exchange: E,
    answer: [u8; LONGEST_ANSWER],
    filled: usize,
    asked_at: Instant,
}

/// Asks on all connections again as soon as they are answered.
pub fn drive<E: Exchange>(
    server: &Server,
    watch: Watch,
    connections: usize,
    exchange: fn() -> E,
) -> Outcome {
    let poll = Poll::new().expect("a poll");
    let mut connections: Vec<_> = (0..connections)
        .map(|token| Connection::open(server, &poll, Token(token), exchange()))
        .collect();
    connections.iter_mut().for_each(Connection::ask);

    measure(poll, watch, |_, token| {
        let connection = &mut connections[token.0];
        let latency = connection.read()?;
        connection.ask();
        Some(latency)
    })
}

impl<E: Exchange> Connection<E> {
    fn open(server: &Server, poll: &Poll, token: Token, exchange: E) -> Self {
        let stream = std::net::TcpStream::connect(server.address()).expect("the server listens");
        stream.set_nonblocking(true).expect("a socket");
        stream.set_nodelay(true).expect("a socket");
        let mut stream = TcpStream::from_std(stream);
        poll.registry()
            .register(&mut stream, token, Interest::READABLE)
            .expect("a new socket");
        Self {
            stream,
            exchange,
            answer: [0; LONGEST_ANSWER],
            filled: 0,
            asked_at: Instant::now(),
        }
    }

    fn ask(&mut self) {
        self.filled = 0;
        self.asked_at = Instant::now();
        let request = self.exchange.request();
        let written = self.stream.write(request).expect("the server reads");
        assert_eq!(written, request.len(), "nothing else is under way");
    }

    /// How long the answer took, if this was its end: nothing comes after it,
    /// and the next edge is that of the next answer.
    fn read(&mut self) -> Option<Duration> {
        loop {
            match self.stream.read(&mut self.answer[self.filled..]) {
                Ok(0) => panic!("the server has closed a connection"),
                Ok(read) => self.filled += read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                Err(error) => panic!("the server's connection: {error}"),
            }
            if self.exchange.is_complete(&self.answer[..self.filled]) {
                return Some(self.asked_at.elapsed());
            }
        }
    }
}
