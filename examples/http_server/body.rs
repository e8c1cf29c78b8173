//! What follows the head of a request, by length or in chunks. It is read as
//! the handler reads it, and never held here.

use crate::request::{Failure, Framing, Head};
use crate::settings::Settings;
use crate::wire::Wire;
use std::io::{self, Read};
use std::time::{Duration, Instant};

/// A line with the size of a chunk is no longer than this.
const SIZE_LINE: usize = 256;

/// So much of a body that nobody wants is skipped, to keep the connection.
const SKIPPED: u64 = 256 * 1024;

/// Reads to its end, or to an error that is a `Failure` in disguise.
pub struct Body<'a> {
    wire: &'a mut Wire,
    state: State,
    /// How much more the body may have.
    most: u64,
    /// How large what follows the last chunk may be.
    max_trailers: usize,
    timeout: Duration,
    /// Since the first time that it had to be waited for.
    until: Option<Instant>,
    expects_continue: bool,
}

/// What comes next on the wire.
enum State {
    /// So much of the body, and that is all.
    Rest(u64),
    /// The line with a chunk's size.
    Size,
    /// So much of a chunk.
    Chunk(u64),
    /// The end of a chunk's line.
    ChunkEnd,
    /// Headers after the last chunk.
    Trailers,
}

impl<'a> Body<'a> {
    pub fn new(wire: &'a mut Wire, head: &Head, settings: &Settings) -> Self {
        Self {
            wire,
            state: match head.framing {
                Framing::Length(length) => State::Rest(length),
                Framing::Chunked => State::Size,
            },
            most: settings.max_body as u64,
            max_trailers: settings.max_head,
            timeout: settings.body_timeout,
            until: None,
            expects_continue: head.expects_continue,
        }
    }

    pub fn wire(&mut self) -> &mut Wire {
        self.wire
    }

    /// All of it, which is no more than the limit.
    pub fn read_all(&mut self) -> Result<Vec<u8>, Failure> {
        let mut all = Vec::new();
        self.read_to_end(&mut all)?;
        Ok(all)
    }

    fn is_over(&self) -> bool {
        matches!(self.state, State::Rest(0))
    }

    /// Whether the rest is worth reading for the request behind it. Who was
    /// not told to send its body may send it, or not.
    pub fn may_be_skipped(&self) -> bool {
        match self.state {
            State::Rest(0) => true,
            _ if self.expects_continue => false,
            State::Rest(length) => length <= SKIPPED,
            _ => true,
        }
    }

    /// Reads what the handler has left.
    pub fn skip(&mut self) -> Result<(), Failure> {
        self.most = self.most.min(SKIPPED);
        let mut buffer = [0; 1024];
        while self.read(&mut buffer)? > 0 {}
        Ok(())
    }

    /// More from the wire: the body is not over.
    fn fill(&mut self) -> Result<(), Failure> {
        let timeout = self.timeout;
        let until = *self.until.get_or_insert_with(|| Instant::now() + timeout);
        if self.wire.fill(until).map_err(Failure::of_wire)? {
            Ok(())
        } else {
            Err(Failure::Gone(io::ErrorKind::UnexpectedEof.into()))
        }
    }

    /// On to the next bytes of the body: how many there are before the state
    /// changes, zero at its end.
    fn advance(&mut self) -> Result<u64, Failure> {
        loop {
            match self.state {
                State::Rest(left) => return Ok(left),
                State::Chunk(left) if left > 0 => return Ok(left),
                State::Chunk(_) => self.state = State::ChunkEnd,
                State::Size => match httparse::parse_chunk_size(self.wire.unread()) {
                    Ok(httparse::Status::Complete((length, size))) if length <= SIZE_LINE => {
                        self.wire.consume(length);
                        if size > self.most {
                            return Err(Failure::Refused(413));
                        }
                        self.state = if size > 0 {
                            State::Chunk(size)
                        } else {
                            State::Trailers
                        };
                    }
                    Ok(httparse::Status::Partial) if self.wire.unread().len() < SIZE_LINE => {
                        self.fill()?;
                    }
                    _ => return Err(Failure::Refused(400)),
                },
                State::ChunkEnd => {
                    while self.wire.unread().len() < 2 {
                        self.fill()?;
                    }
                    if !self.wire.unread().starts_with(b"\r\n") {
                        return Err(Failure::Refused(400));
                    }
                    self.wire.consume(2);
                    self.state = State::Size;
                }
                State::Trailers => {
                    self.skip_trailers()?;
                    self.state = State::Rest(0);
                }
            }
        }
    }

    /// To the empty line.
    fn skip_trailers(&mut self) -> Result<(), Failure> {
        let mut left = self.max_trailers;
        loop {
            let unread = self.wire.unread();
            let line = unread
                .iter()
                .position(|byte| *byte == b'\n')
                .map(|at| at + 1);
            if line.unwrap_or(unread.len()) > left {
                return Err(Failure::Refused(431));
            }
            let Some(line) = line else {
                self.fill()?;
                continue;
            };
            let is_last = matches!(&unread[..line], b"\r\n" | b"\n");
            self.wire.consume(line);
            left -= line;
            if is_last {
                return Ok(());
            }
        }
    }
}

impl Read for Body<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() || self.is_over() {
            return Ok(0);
        }
        if matches!(self.state, State::Rest(left) if left > self.most) {
            // Before a client that waits to be told begins to send it.
            return Err(Failure::Refused(413).into());
        }
        if self.expects_continue {
            self.expects_continue = false;
            if self.wire.unread().is_empty() {
                // It goes out before the body is waited for.
                self.wire.write(b"HTTP/1.1 100 Continue\r\n\r\n");
            }
        }
        let left = self.advance()?;
        if left == 0 {
            return Ok(0);
        }
        if self.wire.unread().is_empty() {
            self.fill()?;
        }
        let unread = self.wire.unread();
        let most = buffer
            .len()
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        let count = unread.len().min(most);
        buffer[..count].copy_from_slice(&unread[..count]);
        self.wire.consume(count);
        self.most -= count as u64;
        self.state = match self.state {
            State::Chunk(left) => State::Chunk(left - count as u64),
            _ => State::Rest(left - count as u64),
        };
        Ok(count)
    }
}
