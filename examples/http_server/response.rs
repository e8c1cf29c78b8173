//! Answers, as bytes.

use crate::request::Head;
use crate::wire::Wire;
use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

pub struct Response {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    /// To HEAD: the length is told, and the body left out.
    is_head: bool,
    /// To who would close otherwise.
    keeps_alive: bool,
    closes: bool,
}

impl Response {
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: vec![("content-type", content_type.to_owned())],
            body: body.into(),
            is_head: false,
            keeps_alive: false,
            closes: false,
        }
    }

    pub fn text(body: impl Into<String>) -> Self {
        Self::new(200, "text/plain; charset=utf-8", body.into())
    }

    /// A status that says it all.
    pub fn refusal(status: u16) -> Self {
        let text = format!("{status} {}\n", reason(status));
        Self::new(status, "text/plain; charset=utf-8", text)
    }

    /// With another header, which has no line break.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// In the form in which this request is answered.
    pub fn to(mut self, head: &Head) -> Self {
        self.is_head = head.method == "HEAD";
        self.keeps_alive = head.minor_version == 0;
        self
    }

    /// It is the last of its connection.
    pub fn closing(mut self) -> Self {
        self.closes = true;
        self
    }

    pub fn write(&self, wire: &mut Wire) {
        let mut head = format!(
            "HTTP/1.1 {} {}\r\ndate: {}\r\ncontent-length: {}\r\n",
            self.status,
            reason(self.status),
            date(SystemTime::now()),
            self.body.len(),
        );
        for (name, value) in &self.headers {
            let _never_fails = write!(head, "{name}: {value}\r\n");
        }
        head += match (self.closes, self.keeps_alive) {
            (true, _) => "connection: close\r\n\r\n",
            (false, true) => "connection: keep-alive\r\n\r\n",
            (false, false) => "\r\n",
        };
        wire.write(head.as_bytes());
        if !self.is_head {
            wire.write(&self.body);
        }
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        414 => "URI Too Long",
        417 => "Expectation Failed",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

/// As HTTP has it: `Thu, 01 Jan 1970 00:00:00 GMT`.
fn date(time: SystemTime) -> String {
    let seconds = time
        .duration_since(UNIX_EPOCH)
        .map_or(0, |past| past.as_secs());
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let weekday = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][(days % 7) as usize];
    let (year, month, day) = civil(days);
    let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!(
        "{weekday}, {day:02} {} {year} {hour:02}:{minute:02}:{second:02} GMT",
        months[month]
    )
}

/// Year, month from 0 and day of a day since 1970.
fn civil(mut days: u64) -> (u64, usize, u64) {
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while days >= lengths[month] {
        days -= lengths[month];
        month += 1;
    }
    (year, month, days + 1)
}
