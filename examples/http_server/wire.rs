//! The bytes of one connection: what has come and is not read yet, what is
//! written and has not gone out yet, and by when it must.

use raddle::context::Context;
use raddle::net::{Shutdown, TcpStream};
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// So much is read at a time.
const CHUNK: usize = 4096;

/// Once the server is to end: a request may be under way, and who sends it
/// cannot know.
const LAST_WORD: Duration = Duration::from_millis(500);

/// After the last answer: so long, and for so many bytes, its client may go
/// on sending.
const LINGER: (Duration, usize) = (Duration::from_secs(1), 256 * 1024);

pub struct Wire {
    stream: Arc<TcpStream>,
    input: Vec<u8>,
    /// Of the input, what is read.
    read: usize,
    output: Vec<u8>,
    write_timeout: Duration,
}

impl Wire {
    pub fn new(stream: Arc<TcpStream>, write_timeout: Duration) -> Self {
        Self {
            stream,
            input: Vec::new(),
            read: 0,
            output: Vec::new(),
            write_timeout,
        }
    }

    pub fn unread(&self) -> &[u8] {
        &self.input[self.read..]
    }

    /// So many bytes more are read.
    pub fn consume(&mut self, count: usize) {
        self.read += count;
        debug_assert!(self.read <= self.input.len(), "consumed what has not come");
    }

    /// Some clients send them after a body.
    pub fn skip_empty_lines(&mut self) {
        while self.unread().starts_with(b"\r\n") {
            self.consume(2);
        }
    }

    /// Takes some more in, until `until` at most (`TimedOut`). `false`: the
    /// client has said all.
    ///
    /// Answers go out before, for the client may wait for them.
    pub fn fill(&mut self, until: Instant) -> io::Result<bool> {
        self.flush()?;
        loop {
            self.stream.set_read_deadline(Some(until));
            match self.take_in() {
                // Called back because the server is to end. Not now.
                Err(error) if is_timeout(&error) && Instant::now() < until => {}
                taken => return taken,
            }
        }
    }

    /// As `fill`, between requests: not for long any more if the context
    /// ends. `false` also if nothing came in time.
    pub fn wait(&mut self, context: &Context, until: Instant) -> io::Result<bool> {
        self.flush()?;
        // In this order: the deadline by which the end calls back either
        // comes after this one, or the context has ended before we look.
        self.stream.set_read_deadline(Some(until));
        let mut taken = match context.err() {
            None => self.take_in(),
            Some(_) => Err(io::ErrorKind::TimedOut.into()),
        };
        if taken.as_ref().is_err_and(is_timeout) && context.err().is_some() {
            taken = self.fill(until.min(Instant::now() + LAST_WORD));
        }
        match taken {
            Err(error) if is_timeout(&error) => Ok(false),
            taken => taken,
        }
    }

    fn take_in(&mut self) -> io::Result<bool> {
        self.input.drain(..self.read);
        self.read = 0;
        let len = self.input.len();
        if len == 0 {
            // What one large request needed is not kept for the next.
            self.input.shrink_to(CHUNK);
        }
        self.input.resize(len + CHUNK, 0);
        let taken = (&*self.stream).read(&mut self.input[len..]);
        self.input.truncate(len + *taken.as_ref().unwrap_or(&0));
        Ok(taken? > 0)
    }

    /// Goes out with `flush`, and before more is taken in.
    pub fn write(&mut self, bytes: &[u8]) {
        self.output.extend_from_slice(bytes);
    }

    pub fn flush(&mut self) -> io::Result<()> {
        if self.output.is_empty() {
            return Ok(());
        }
        // For all of it: who takes a byte now and then has no use for it.
        let until = Instant::now() + self.write_timeout;
        self.stream.set_write_deadline(Some(until));
        let written = (&*self.stream).write_all(&self.output);
        self.output.clear();
        self.output.shrink_to(CHUNK);
        // Too slow is as good as gone: nothing more can be said to it.
        written.map_err(|error| io::Error::new(io::ErrorKind::ConnectionAborted, error))
    }

    /// After the last answer. A socket that is closed while something is
    /// unread resets the connection, and the answer may be lost with it. So
    /// what still comes is read for a while.
    pub fn close(&mut self) -> io::Result<()> {
        self.flush()?;
        self.stream.shutdown(Shutdown::Write)?;
        let until = Instant::now() + LINGER.0;
        let mut taken = 0;
        while taken < LINGER.1 && self.fill(until)? {
            taken += self.unread().len();
            self.consume(self.unread().len());
        }
        Ok(())
    }
}

pub fn is_timeout(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::TimedOut
}
