//! The head of a request: its line and its headers.

use crate::wire::{Wire, is_timeout};
use std::error::Error;
use std::fmt;
use std::io;
use std::time::Instant;

/// More headers than this are too many.
const HEADERS: usize = 100;

pub struct Head {
    pub method: String,
    /// Without the query.
    pub path: String,
    query: String,
    /// HTTP/1.0 or 1.1.
    pub minor_version: u8,
    headers: Headers,
    pub framing: Framing,
    /// Whether the client is ready for another request after this.
    pub keeps_alive: bool,
    /// It sends its body when it is told to.
    pub expects_continue: bool,
}

/// Names in lower case, and values.
type Headers = Vec<(String, Vec<u8>)>;

/// How the end of a body is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Framing {
    Length(u64),
    Chunked,
}

/// Why a request gets no proper answer.
#[derive(Debug)]
pub enum Failure {
    /// It gets this status, and the connection is closed.
    Refused(u16),
    /// There is nobody to answer.
    Gone(io::Error),
}

impl Failure {
    /// Of a request that is on its way.
    pub fn of_wire(error: io::Error) -> Self {
        if is_timeout(&error) {
            Self::Refused(408)
        } else {
            Self::Gone(error)
        }
    }
}

/// So that handlers may say `?`: what `Body` reports by `Read` is this in
/// disguise, and any other error is the handler's own.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        error.downcast().unwrap_or_else(|error| {
            raddle::eprintln!("http_server: {error}");
            Self::Refused(500)
        })
    }
}

impl From<Failure> for io::Error {
    fn from(failure: Failure) -> Self {
        Self::other(failure)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(status) => write!(f, "refused with {status}"),
            Self::Gone(error) => write!(f, "the client is gone: {error}"),
        }
    }
}

impl Error for Failure {}

impl Head {
    /// Takes a head of `most` bytes at most off the wire.
    pub fn read(wire: &mut Wire, most: usize, until: Instant) -> Result<Self, Failure> {
        // Parsed at first sight, for what is wrong from the beginning, and
        // then when the end is there: not again for every byte.
        let mut looked_at = 0;
        let mut is_first = true;
        loop {
            let unread = wire.unread();
            if is_first || has_end(&unread[looked_at..]) {
                if let Some((head, length)) = Self::parse(unread)? {
                    if length > most {
                        return Err(Failure::Refused(431));
                    }
                    wire.consume(length);
                    return Ok(head);
                }
                is_first = false;
            }
            if unread.len() >= most {
                let is_line = !unread.contains(&b'\n');
                return Err(Failure::Refused(if is_line { 414 } else { 431 }));
            }
            // An end may lie across.
            looked_at = unread.len().saturating_sub(3);
            if !wire.fill(until).map_err(Failure::of_wire)? {
                return Err(Failure::Gone(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    /// A head and its length; `None` if the end is missing.
    fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, Failure> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        let length = match request.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(error) => {
                return Err(Failure::Refused(match error {
                    httparse::Error::TooManyHeaders => 431,
                    httparse::Error::Version => 505,
                    _ => 400,
                }));
            }
        };
        let headers = request.headers.iter();
        let headers: Headers = headers
            .map(|header| (header.name.to_ascii_lowercase(), header.value.to_vec()))
            .collect();
        let (Some(method), Some(target), Some(minor_version)) =
            (request.method, request.path, request.version)
        else {
            return Err(Failure::Refused(400));
        };
        let (path, query) = split(target).ok_or(Failure::Refused(400))?;
        let hosts = values(&headers, "host").count();
        if hosts > 1 || (hosts == 0 && minor_version >= 1) {
            return Err(Failure::Refused(400));
        }
        let head = Self {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            minor_version,
            framing: framing(&headers, minor_version)?,
            keeps_alive: match minor_version {
                0 => says(&headers, "connection", "keep-alive"),
                _ => !says(&headers, "connection", "close"),
            },
            expects_continue: expects_continue(&headers, minor_version)?,
            headers,
        };
        Ok(Some((head, length)))
    }

    /// The first of that name, in lower case.
    pub fn header(&self, name: &'static str) -> Option<&str> {
        let value = values(&self.headers, name).next()?;
        std::str::from_utf8(value).ok()
    }

    /// `name=value` of the query, as it is written there.
    pub fn query(&self, name: &str) -> Option<&str> {
        let pairs = self
            .query
            .split('&')
            .filter_map(|pair| pair.split_once('='));
        let mut values = pairs.filter(|(key, _)| *key == name);
        values.next().map(|(_, value)| value)
    }
}

/// Whether a head ends in here.
fn has_end(bytes: &[u8]) -> bool {
    bytes.windows(2).any(|two| two == b"\n\n") || bytes.windows(3).any(|three| three == b"\n\r\n")
}

/// Path and query of `/path?query` or `http://host/path?query`.
fn split(target: &str) -> Option<(&str, &str)> {
    let target = match target.strip_prefix("http://") {
        Some(rest) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => target,
    };
    let parts = target.split_once('?').unwrap_or((target, ""));
    parts.0.starts_with('/').then_some(parts)
}

fn values<'a>(headers: &'a Headers, name: &'static str) -> impl Iterator<Item = &'a [u8]> {
    let named = headers.iter().filter(move |(key, _)| key == name);
    named.map(|(_, value)| &value[..])
}

/// Whether a list of words has this one.
fn says(headers: &Headers, name: &'static str, word: &str) -> bool {
    values(headers, name)
        .flat_map(|value| value.split(|byte| *byte == b','))
        .any(|item| item.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
}

/// Where two could disagree about the end of a body, one of them may be led
/// to take its rest for another request: refused.
fn framing(headers: &Headers, minor_version: u8) -> Result<Framing, Failure> {
    let mut length = None;
    for value in values(headers, "content-length") {
        let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
        let text = std::str::from_utf8(value).unwrap_or_default();
        let number = text.parse::<u64>().ok().filter(|_| is_number);
        let number = number.ok_or(Failure::Refused(400))?;
        if length.is_some_and(|length| length != number) {
            return Err(Failure::Refused(400));
        }
        length = Some(number);
    }
    let mut encodings = values(headers, "transfer-encoding");
    match (encodings.next(), encodings.next()) {
        (None, _) => Ok(Framing::Length(length.unwrap_or(0))),
        (Some(_), _) if length.is_some() || minor_version == 0 => Err(Failure::Refused(400)),
        (Some(one), None) if one.eq_ignore_ascii_case(b"chunked") => Ok(Framing::Chunked),
        _ => Err(Failure::Refused(501)),
    }
}

fn expects_continue(headers: &Headers, minor_version: u8) -> Result<bool, Failure> {
    match values(headers, "expect").next() {
        Some(_) if minor_version == 0 => Ok(false),
        Some(value) if value.eq_ignore_ascii_case(b"100-continue") => Ok(true),
        Some(_) => Err(Failure::Refused(417)),
        None => Ok(false),
    }
}
