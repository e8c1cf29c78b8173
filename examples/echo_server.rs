//! Sends back what it is sent, with a goroutine for each connection.
//!
//! ```sh
//! cargo run --release --example echo_server
//! cargo run --release --example echo_client    # in another terminal
//! ```
//!
//! In Go: `for { conn, err := ln.Accept(); go io.Copy(conn, conn) }`. To end
//! that loop, Go closes the listener under it and tells the error from
//! others by `net.ErrClosed`. Here the listener is given a deadline, which
//! acts on the `accept` that waits already.

use clap::Parser;
use raddle::go;
use raddle::net::{TcpListener, TcpStream};
use raddle::signal::{SIGINT, SIGTERM, notify};
use raddle::sync::WaitGroup;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Sends back what it is sent, until Ctrl-C.
#[derive(Parser)]
struct Args {
    /// Where to listen; port 0 is any that is free
    #[arg(default_value = "127.0.0.1:7007")]
    address: String,
}

/// So long may connections go on once the end is asked for.
const GRACE: Duration = Duration::from_secs(1);

/// Before the next `accept`, when one has failed: no descriptor is left, as
/// a rule.
const PAUSE: Duration = Duration::from_millis(10);

#[raddle::main]
fn main() -> ExitCode {
    match serve(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            raddle::eprintln!("echo_server: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(args: &Args) -> io::Result<()> {
    raise_limit_of_descriptors();
    let listener = TcpListener::bind(&args.address).map_err(|error| {
        let text = format!("cannot listen at {}: {error}", args.address);
        io::Error::new(error.kind(), text)
    })?;
    stop_on_signal(listener.try_clone()?);
    raddle::println!("listening at {}; Ctrl-C ends it", listener.local_addr()?);

    let connections = WaitGroup::new();
    let mut served = 0_u64;
    loop {
        match listener.accept() {
            Ok((stream, _from)) => {
                served += 1;
                drop(connections.go(move || echo(&stream)));
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => break,
            Err(error) => {
                raddle::eprintln!("echo_server: accept: {error}");
                raddle::time::sleep(PAUSE);
            }
        }
    }
    drop(listener);
    let how = match connections.wait_timeout(GRACE) {
        true => "all are closed",
        false => "some are cut off",
    };
    raddle::println!("connections served: {served}; {how}");
    Ok(())
}

/// A peer that resets its connection ends this one, and is no news.
fn echo(stream: &TcpStream) {
    let _reset = io::copy(&mut &*stream, &mut &*stream);
}

/// The first signal ends the accept loop. The second, which nobody listens
/// to any more, ends the process as ever.
fn stop_on_signal(listener: TcpListener) {
    let signals = notify(&[SIGINT, SIGTERM]);
    go!(move || {
        let _which = signals.recv();
        listener.set_deadline(Some(Instant::now()));
    });
}

/// As Go does at the start of each program: for as many connections as the
/// system allows.
fn raise_limit_of_descriptors() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let current = maximum;
    let _as_before = setrlimit(Resource::Nofile, Rlimit { current, maximum });
}
