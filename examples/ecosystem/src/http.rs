//! HTTP/1.1 in plain blocking style, over any stream: one request after the
//! other is read top to bottom, by httparse.
//!
//! It keeps connections alive, takes pipelined requests and bodies of a
//! known length, and holds clients to limits of size and time.

use raddle::context::{AfterFunc, Context};
use raddle::net::TcpStream;
use raddle::sync::Mutex;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The longest head, in bytes.
const HEAD: usize = 16 << 10;
/// The longest body.
const BODY: usize = 1 << 20;
/// The most headers.
const HEADERS: usize = 64;
/// A connection may be idle so long.
const IDLE: Duration = Duration::from_secs(60);
/// A request that has begun has to be there after so long, and an answer has
/// to be taken.
const REQUEST: Duration = Duration::from_secs(20);

/// One request, whole.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// `GET`, say.
    pub method: String,
    /// With the query.
    pub path: String,
    /// Names in small letters, in the order in which they came.
    pub headers: Vec<(String, String)>,
    /// Empty if there is none.
    pub body: Vec<u8>,
    keeps_alive: bool,
}

impl Request {
    /// The value of the first header of this name, in small letters.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let (_, value) = headers.find(|(known, _)| known == name)?;
        Some(value)
    }
}

/// What is answered.
#[derive(Debug)]
pub struct Response {
    /// `404 Not Found`, say.
    pub status: &'static str,
    /// The media type of the body.
    pub media_type: &'static str,
    /// May be empty.
    pub body: Vec<u8>,
}

impl Response {
    /// A line of text.
    pub fn text(status: &'static str, text: &str) -> Self {
        Self {
            status,
            media_type: "text/plain; charset=utf-8",
            body: format!("{text}\n").into_bytes(),
        }
    }
}

/// A connection from which requests are read.
///
/// When its context ends, a connection that waits for a request ends; one
/// that has begun is answered first, as the last.
pub struct Connection<S> {
    stream: S,
    /// The socket under `stream`: deadlines set here hold there.
    socket: TcpStream,
    /// Whether it waits for a request to begin.
    is_idle: Arc<Mutex<bool>>,
    context: Context,
    at_the_end: AfterFunc,
    /// Read already, and belongs to the next request.
    ahead: Vec<u8>,
}

impl<S> Drop for Connection<S> {
    fn drop(&mut self) {
        self.at_the_end.stop();
    }
}

/// Why there is no request.
enum Flaw {
    /// Of the client's, who is told so.
    Of(&'static str),
    Io(io::Error),
}

impl From<io::Error> for Flaw {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl<S: Read + Write> Connection<S> {
    /// Of `stream`, from which nothing has been read. `socket` is the one
    /// under it, also when there is TLS in between.
    ///
    /// # Errors
    /// When no descriptor is left.
    pub fn new(stream: S, socket: &TcpStream, context: &Context) -> io::Result<Self> {
        let is_idle = Arc::new(Mutex::new(false));
        let at_the_end = context.after_func({
            let (is_idle, socket) = (is_idle.clone(), socket.try_clone()?);
            move || {
                let is_idle = is_idle.lock();
                if *is_idle {
                    // Ends the read that waits.
                    socket.set_read_deadline(Some(Instant::now()));
                }
            }
        });
        Ok(Self {
            stream,
            socket: socket.try_clone()?,
            is_idle,
            context: context.clone(),
            at_the_end,
            ahead: Vec::new(),
        })
    }

    /// Answers requests until the client has no more.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn serve<F>(&mut self, mut handle: F) -> io::Result<()>
    where
        F: FnMut(&Request) -> Response,
    {
        while let Some(request) = self.next_request()? {
            let response = handle(&request);
            if !self.answer(&request, &response)? {
                break;
            }
        }
        Ok(())
    }

    /// The next request; none: there is no more, or what came was none, and
    /// the client has been told so.
    ///
    /// # Errors
    /// Those of the stream; `TimedOut` for a client that is too slow.
    pub fn next_request(&mut self) -> io::Result<Option<Request>> {
        if self.ahead.is_empty() && !self.wait_for_some()? {
            return Ok(None);
        }
        self.socket.set_deadline(Some(Instant::now() + REQUEST));
        match self.read_request() {
            Ok(request) => Ok(Some(request)),
            Err(Flaw::Io(error)) => Err(error),
            Err(Flaw::Of(status)) => {
                self.write(&Response::text(status, status), true, true)?;
                Ok(None)
            }
        }
    }

    /// Waits for the begin of a request; `false`: there is none.
    fn wait_for_some(&mut self) -> io::Result<bool> {
        {
            let mut is_idle = self.is_idle.lock();
            if self.context.err().is_some() {
                return Ok(false);
            }
            self.socket.set_read_deadline(Some(Instant::now() + IDLE));
            *is_idle = true;
        }
        let read = self.read_more();
        *self.is_idle.lock() = false;
        match read {
            Ok(read) => Ok(read > 0),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Reads a request, of which some is there.
    fn read_request(&mut self) -> Result<Request, Flaw> {
        let (mut request, head) = loop {
            if let Some(found) = parse(&self.ahead)? {
                break found;
            }
            if self.ahead.len() > HEAD {
                return Err(Flaw::Of("431 Request Header Fields Too Large"));
            }
            self.read_on()?;
        };
        self.ahead.drain(..head);
        if request.header("transfer-encoding").is_some() {
            return Err(Flaw::Of("411 Length Required"));
        }
        let headers = request.headers.iter();
        let mut lengths = headers.filter(|(name, _)| name == "content-length");
        let length = match (
            lengths.next().map(|(_, value)| value.parse()),
            lengths.next(),
        ) {
            (None, _) => 0,
            (Some(Ok(length)), None) if length <= BODY => length,
            (Some(Ok(_)), None) => return Err(Flaw::Of("413 Content Too Large")),
            _ => return Err(Flaw::Of("400 Bad Request")),
        };
        if length > self.ahead.len() && request.header("expect").is_some() {
            self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            self.stream.flush()?;
        }
        while self.ahead.len() < length {
            self.read_on()?;
        }
        request.body = self.ahead.drain(..length).collect();
        Ok(request)
    }

    /// Reads some more of a request.
    fn read_on(&mut self) -> io::Result<()> {
        match self.read_more()? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    fn read_more(&mut self) -> io::Result<usize> {
        let mut bytes = [0; 4096];
        let read = self.stream.read(&mut bytes)?;
        self.ahead.extend_from_slice(&bytes[..read]);
        Ok(read)
    }

    /// Answers `request`. Whether there may be more of them.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn answer(&mut self, request: &Request, response: &Response) -> io::Result<bool> {
        let is_last = !request.keeps_alive || self.context.err().is_some();
        self.write(response, request.method != "HEAD", is_last)?;
        Ok(!is_last)
    }

    fn write(&mut self, response: &Response, with_body: bool, is_last: bool) -> io::Result<()> {
        let Response {
            status,
            media_type,
            body,
        } = response;
        let mut bytes = Vec::with_capacity(256 + body.len());
        write!(
            bytes,
            "HTTP/1.1 {status}\r\ncontent-type: {media_type}\r\ncontent-length: {}\r\n",
            body.len()
        )?;
        if is_last {
            bytes.extend_from_slice(b"connection: close\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        if with_body {
            bytes.extend_from_slice(body);
        }
        self.socket
            .set_write_deadline(Some(Instant::now() + REQUEST));
        self.stream.write_all(&bytes)?;
        self.stream.flush()
    }

    /// What was read ahead, for another protocol after an upgrade. No
    /// deadline is left.
    pub fn into_ahead(mut self) -> Vec<u8> {
        self.socket.set_deadline(None);
        std::mem::take(&mut self.ahead)
    }
}

/// A request without its body, and the length of its head; none: it is not
/// complete.
fn parse(bytes: &[u8]) -> Result<Option<(Request, usize)>, Flaw> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    let head = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => {
            return Err(Flaw::Of("431 Request Header Fields Too Large"));
        }
        Err(_) => return Err(Flaw::Of("400 Bad Request")),
    };
    let mut request = Request {
        method: parsed.method.unwrap_or_default().to_owned(),
        path: parsed.path.unwrap_or_default().to_owned(),
        ..Request::default()
    };
    for header in parsed.headers {
        let Ok(value) = str::from_utf8(header.value) else {
            return Err(Flaw::Of("400 Bad Request"));
        };
        let name = header.name.to_ascii_lowercase();
        request.headers.push((name, value.to_owned()));
    }
    let asks = |what: &str| {
        let connection = request.header("connection").unwrap_or_default();
        let mut tokens = connection.split(',');
        tokens.any(|token| token.trim().eq_ignore_ascii_case(what))
    };
    request.keeps_alive = match parsed.version {
        Some(1) => !asks("close"),
        _ => asks("keep-alive"),
    };
    Ok(Some((request, head)))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_head_is_parsed_once_it_is_whole() {
        let bytes = b"GET /notes HTTP/1.1\r\nHost: here\r\n\r\nmore";
        for end in 0..bytes.len() - 4 {
            assert!(matches!(parse(&bytes[..end]), Ok(None)), "{end}");
        }
        let Ok(Some((request, head))) = parse(bytes) else {
            panic!("it is whole");
        };
        assert_eq!(head, bytes.len() - 4);
        assert_eq!((&*request.method, &*request.path), ("GET", "/notes"));
        assert_eq!(request.header("host"), Some("here"));
        assert!(request.keeps_alive);
    }

    #[test]
    fn what_is_no_request_is_refused() {
        assert!(parse(b"no request at all\r\n\r\n").is_err());
        assert!(parse(b"GET / HTTP/1.1\r\na: \xff\r\n\r\n").is_err());
    }
}
