//! A web server, HTTP/1.1, with a goroutine for each connection.
//!
//! ```sh
//! cargo run --release --example http_server
//! curl http://127.0.0.1:8080/
//! ```
//!
//! In Go: `http.Server` and its `Shutdown`. This is what is inside: reading,
//! parsing and writing from top to bottom, as if each connection had a thread
//! of its own. Take it as a beginning, and change `routes.rs`.
//!
//! | file | its job |
//! |---|---|
//! | `settings` | limits and timeouts, from the command line |
//! | `server` | the accept loop, how many connections, the end |
//! | `connection` | one connection: requests in, answers out, in order |
//! | `wire` | bytes of one connection, and by when they must have come |
//! | `request` | the head of a request, parsed by `httparse` |
//! | `body` | what follows it, by length or in chunks |
//! | `response` | answers as bytes |
//! | `routes` | who answers what |
//!
//! Nobody makes it wait or grow for ever: heads and bodies have limits (431,
//! 413) and must be there in time (408), answers must be taken in time, and
//! there are so many connections and no more. A handler that panics ends its
//! connection, with 500. At a signal it takes no more connections, lets those
//! that have begun a request finish it, and ends.

mod body;
mod connection;
mod request;
mod response;
mod routes;
mod server;
mod settings;
mod wire;

use clap::Parser;
use raddle::context::Context;
use raddle::go;
use raddle::net::TcpListener;
use raddle::signal::{SIGINT, SIGTERM, notify};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use server::Server;
use settings::Settings;
use std::io;
use std::process::ExitCode;

/// A web server, until Ctrl-C or SIGTERM.
///
/// Times are such as 200ms, 10s or 2m, sizes such as 8000, 16k or 1m.
#[derive(Parser)]
struct Args {
    /// Where to listen; port 0 is any that is free
    #[arg(default_value = "127.0.0.1:8080")]
    address: String,
    #[command(flatten)]
    settings: Settings,
}

#[raddle::main]
fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(code) => code,
        Err(error) => {
            raddle::eprintln!("http_server: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> io::Result<ExitCode> {
    raise_limit_of_descriptors();
    let listener = TcpListener::bind(&args.address).map_err(|error| {
        let text = format!("cannot listen at {}: {error}", args.address);
        io::Error::new(error.kind(), text)
    })?;
    let address = listener.local_addr()?;
    let context = until_a_signal();
    raddle::println!("listening at {address}, try curl http://{address}/; Ctrl-C ends it");
    let left = Server::new(args.settings, routes::router()).serve(listener, &context);
    if left == 0 {
        raddle::println!("all connections have ended");
        return Ok(ExitCode::SUCCESS);
    }
    raddle::println!("connections cut off: {left}");
    Ok(ExitCode::FAILURE)
}

/// The first signal ends the context. The second, which nobody listens to any
/// more, ends the process as ever.
fn until_a_signal() -> Context {
    let (context, cancel) = Context::background().with_cancel();
    let signals = notify(&[SIGINT, SIGTERM]);
    go!(move || {
        let _which = signals.recv();
        cancel.cancel();
    });
    context
}

/// As Go does at the start of each program: for as many connections as the
/// system allows.
fn raise_limit_of_descriptors() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let current = maximum;
    let _as_before = setrlimit(Resource::Nofile, Rlimit { current, maximum });
}
