//! Who answers what. Handlers are plain functions that may wait: a goroutine
//! waits, and no thread.

use crate::body::Body;
use crate::request::{Failure, Head};
use crate::response::Response;
use std::io::Read;
use std::time::Duration;

type Handler = fn(&Head, &mut Body) -> Result<Response, Failure>;

/// Handlers by path and method; GET answers HEAD too.
pub struct Router(Vec<(&'static str, &'static str, Handler)>);

pub fn router() -> Router {
    Router(vec![
        ("/", "GET", index),
        ("/echo", "POST", echo),
        ("/count", "POST", count),
        ("/sleep", "GET", sleep),
        ("/goroutines", "GET", goroutines),
        ("/panic", "GET", panic),
    ])
}

impl Router {
    pub fn answer(&self, head: &Head, body: &mut Body) -> Result<Response, Failure> {
        let here = self.0.iter().filter(|(path, ..)| *path == head.path);
        let method = match &*head.method {
            "HEAD" => "GET",
            method => method,
        };
        if let Some((.., handler)) = here.clone().find(|(_, of, _)| *of == method) {
            return handler(head, body);
        }
        let mut allowed: Vec<_> = here.map(|(_, of, _)| *of).collect();
        if allowed.is_empty() {
            return Ok(Response::refusal(404));
        }
        if allowed.contains(&"GET") {
            allowed.push("HEAD");
        }
        Ok(Response::refusal(405).with("allow", allowed.join(", ")))
    }
}

fn index(_head: &Head, _body: &mut Body) -> Result<Response, Failure> {
    Ok(Response::text(
        "GET  /             this\n\
         POST /echo         the body, back\n\
         POST /count        how many bytes and lines the body has\n\
         GET  /sleep?ms=N   an answer that takes its time, 60 s at most\n\
         GET  /goroutines   who is there, and what each waits for\n\
         GET  /panic        a handler that fails\n",
    ))
}

/// Holds the whole body, which has a limit.
fn echo(head: &Head, body: &mut Body) -> Result<Response, Failure> {
    let content_type = head.header("content-type");
    let content_type = content_type.unwrap_or("application/octet-stream");
    Ok(Response::new(200, content_type, body.read_all()?))
}

/// Holds a piece of the body at a time.
fn count(_head: &Head, body: &mut Body) -> Result<Response, Failure> {
    let (mut bytes, mut lines) = (0, 0);
    let mut piece = [0; 1024];
    loop {
        match body.read(&mut piece)? {
            0 => return Ok(Response::text(format!("{bytes} bytes, {lines} lines\n"))),
            read => {
                bytes += read;
                lines += piece[..read].iter().filter(|byte| **byte == b'\n').count();
            }
        }
    }
}

fn sleep(head: &Head, _body: &mut Body) -> Result<Response, Failure> {
    let ms = head.query("ms").unwrap_or("100").parse::<u64>();
    let ms = ms.map_err(|_| Failure::Refused(400))?.min(60_000);
    raddle::time::sleep(Duration::from_millis(ms));
    Ok(Response::text(format!("slept for {ms} ms\n")))
}

fn goroutines(_head: &Head, _body: &mut Body) -> Result<Response, Failure> {
    Ok(Response::text(raddle::observe::dump().to_string()))
}

fn panic(_head: &Head, _body: &mut Body) -> Result<Response, Failure> {
    panic!("asked for by GET /panic")
}
