//! hyper's HTTP server on goroutines: HTTP/1 with keep-alive and upgrades,
//! HTTP/2 with `--http2`.
//!
//! ```sh
//! cargo run --bin hyper_server -- --listen 127.0.0.1:8080
//! ```
//!
//! `/` says hello. `/echo` gives the body back. `/slow?ms=N` answers after a
//! plain `raddle::time::sleep`: a service may block, its goroutine parks.
//! `/shout` upgrades the connection to a protocol that gives each line back
//! in capitals, written in plain blocking style.

use clap::Parser;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONNECTION, UPGRADE};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use raddle::block_on;
use raddle::context::Context;
use raddle::hyper::{Executor, Io, Timer};
use raddle::net::TcpStream;
use raddle_ecosystem::server::{self, Options, serve};
use std::error::Error;
use std::future::poll_fn;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::pin::{Pin, pin};
use std::process::ExitCode;
use std::time::Duration;

/// The longest body that is taken.
const MOST: usize = 1 << 20;

/// hyper's HTTP server on goroutines
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    server: Options,
    /// Speak HTTP/2, without TLS, instead of HTTP/1
    #[arg(long)]
    http2: bool,
    /// How long a client may take to send the head of a request, and to begin
    /// with one
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 30_000)]
    header_timeout: u64,
}

type Answer = Response<Full<Bytes>>;

#[raddle::main]
fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let served = serve(&arguments.server, "http", {
        let header_timeout = Duration::from_millis(arguments.header_timeout);
        move |stream, context| {
            stream.set_nodelay(true)?;
            if arguments.http2 {
                serve_http2(stream, context)
            } else {
                serve_http1(stream, context, header_timeout)
            }
        }
    });
    server::status(served)
}

fn serve_http1(stream: TcpStream, context: &Context, header_timeout: Duration) -> io::Result<()> {
    let connection = http1::Builder::new()
        .timer(Timer)
        .header_read_timeout(header_timeout)
        .serve_connection(Io::new(stream), service_fn(answer))
        .with_upgrades();
    run(connection, context, |connection| {
        connection.graceful_shutdown();
    })
}

fn serve_http2(stream: TcpStream, context: &Context) -> io::Result<()> {
    let connection = http2::Builder::new(Executor)
        .timer(Timer)
        .keep_alive_interval(Duration::from_secs(20))
        .serve_connection(Io::new(stream), service_fn(answer));
    run(connection, context, |connection| {
        connection.graceful_shutdown();
    })
}

/// Polls `connection` to its end; once `context` has ended it is told to
/// `finish`, and takes no more requests.
fn run<C, F>(connection: C, context: &Context, finish: F) -> io::Result<()>
where
    C: Future<Output = hyper::Result<()>>,
    F: FnOnce(Pin<&mut C>),
{
    let mut connection = pin!(connection);
    let mut finish = Some(finish);
    let mut called = None;
    let ended = block_on(poll_fn(|polling| {
        // The waker is the same at every poll: it is `block_on`'s.
        called.get_or_insert_with(|| {
            let waker = polling.waker().clone();
            context.after_func(move || waker.wake())
        });
        if context.err().is_some()
            && let Some(finish) = finish.take()
        {
            finish(connection.as_mut());
        }
        connection.as_mut().poll(polling)
    }));
    if let Some(called) = called {
        called.stop();
    }
    match ended {
        Err(error) if !is_of_the_client(&error) => Err(io::Error::other(error)),
        _ => Ok(()),
    }
}

/// Clients go and come as they like: no error of ours.
fn is_of_the_client(error: &hyper::Error) -> bool {
    let mut source = error.source();
    while let Some(error) = source {
        if error.is::<io::Error>() {
            return true;
        }
        source = error.source();
    }
    error.is_parse() || error.is_timeout() || error.is_incomplete_message()
}

async fn answer(request: Request<Incoming>) -> hyper::Result<Answer> {
    match request.uri().path() {
        "/" => Ok(text(StatusCode::OK, "hello, world\n")),
        "/echo" => match Limited::new(request.into_body(), MOST).collect().await {
            Ok(body) => Ok(Response::new(Full::new(body.to_bytes()))),
            Err(_) => Ok(text(StatusCode::PAYLOAD_TOO_LARGE, "too long\n")),
        },
        "/slow" => {
            let wait = request
                .uri()
                .query()
                .and_then(|query| query.strip_prefix("ms="));
            match wait.and_then(|wait| wait.parse().ok()) {
                Some(wait) => {
                    raddle::time::sleep(Duration::from_millis(wait));
                    Ok(text(StatusCode::OK, "that took a while\n"))
                }
                None => Ok(text(StatusCode::BAD_REQUEST, "/slow?ms=N\n")),
            }
        }
        "/shout" => Ok(upgrade(request)),
        _ => Ok(text(StatusCode::NOT_FOUND, "no such page\n")),
    }
}

fn text(status: StatusCode, text: &'static str) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *answer.status_mut() = status;
    answer
}

/// Agrees to the upgrade, and goes on with the stream once hyper has given it
/// back.
fn upgrade(mut request: Request<Incoming>) -> Answer {
    if request
        .headers()
        .get(UPGRADE)
        .is_none_or(|to| to != "shout")
    {
        return text(StatusCode::UPGRADE_REQUIRED, "upgrade to shout\n");
    }
    let upgraded = hyper::upgrade::on(&mut request);
    raddle::spawn(move || {
        let Ok(upgraded) = block_on(upgraded) else {
            return;
        };
        if let Ok(parts) = upgraded.downcast::<Io<TcpStream>>() {
            // What the client sent along, and then the rest.
            let (stream, begin) = (parts.io.into_inner(), parts.read_buf);
            let _ended = shout(BufReader::new(begin.chain(&stream)), &stream);
        }
    });
    Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(UPGRADE, "shout")
        .header(CONNECTION, "upgrade")
        .body(Full::default())
        .expect("each part is valid")
}

fn shout(lines: impl BufRead, mut back: &TcpStream) -> io::Result<()> {
    for line in lines.lines() {
        writeln!(back, "{}", line?.to_uppercase())?;
    }
    Ok(())
}
