//! A TCP proxy: what comes in at one side goes out at the other.
//!
//! ```sh
//! cargo run --release --example proxy -- 127.0.0.1:7007
//! cargo run --release --example proxy -- example.org:80 --listen 127.0.0.1:8080
//! ```
//!
//! In Go: two goroutines with `io.Copy` for each connection, and `CloseWrite`
//! when a copy ends. That is the part most often left out: a side that has
//! said all it has to say (`shutdown`) may still want to listen, so the end of
//! one direction is passed on as the end of that direction alone. What breaks
//! off is passed on as well: as a reset, so that nobody takes half an answer
//! for a whole one. For that, a deadline calls back the copy that still waits.

use clap::Parser;
use raddle::go;
use raddle::net::{Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use raddle::signal::{SIGINT, SIGTERM, notify};
use raddle::sync::WaitGroup;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Passes TCP connections on to another address, until Ctrl-C.
#[derive(Parser)]
struct Args {
    /// Where connections go to
    target: String,
    /// Where to listen; port 0 is any that is free
    #[arg(short, long, value_name = "ADDRESS", default_value = "127.0.0.1:7008")]
    listen: String,
    /// How long to wait for the target to answer, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    connect_timeout: u64,
    /// How long connections may go on once the end is asked for, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    grace: u64,
    /// Say for each connection what went through
    #[arg(short, long)]
    verbose: bool,
}

/// Of what is on its way in one direction.
const BUFFER: usize = 16 * 1024;

/// Before the next `accept`, when one has failed: no descriptor is left, as
/// a rule.
const PAUSE: Duration = Duration::from_millis(10);

#[raddle::main]
fn main() -> ExitCode {
    match serve(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            raddle::eprintln!("proxy: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(args: Args) -> io::Result<()> {
    raise_limit_of_descriptors();
    let about =
        |what: &str, error: io::Error| io::Error::new(error.kind(), format!("{what}: {error}"));
    // Once now, for who has mistyped it; again for each connection, for a
    // name may move.
    let target = args.target.to_socket_addrs();
    target.map_err(|error| about(&args.target, error))?;
    let listener = TcpListener::bind(&args.listen)
        .map_err(|error| about(&format!("cannot listen at {}", args.listen), error))?;
    stop_on_signal(listener.try_clone()?);
    raddle::println!(
        "listening at {}, for {}; Ctrl-C ends it",
        listener.local_addr()?,
        args.target
    );

    let connections = WaitGroup::new();
    let args = Arc::new(args);
    loop {
        match listener.accept() {
            Ok((client, from)) => {
                let args = args.clone();
                drop(connections.go(move || pass_on(&client, from, &args)));
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => break,
            Err(error) => {
                raddle::eprintln!("proxy: accept: {error}");
                raddle::time::sleep(PAUSE);
            }
        }
    }
    drop(listener);
    let how = match connections.wait_timeout(Duration::from_secs(args.grace)) {
        true => "all connections have ended",
        false => "some connections are cut off",
    };
    raddle::println!("{how}");
    Ok(())
}

/// One connection, from its beginning to its end.
fn pass_on(client: &TcpStream, from: SocketAddr, args: &Args) {
    let server = match connect(args) {
        Ok(server) => server,
        Err(error) => {
            raddle::eprintln!("proxy: {}: {error}", args.target);
            abort(client);
            return;
        }
    };
    // Small messages are not held back here: who sends has decided that.
    let _as_it_is = client.set_nodelay(true);
    let _as_it_is = server.set_nodelay(true);
    let server = &server;
    let (up, down) = raddle::scope(|scope| {
        let up = scope.spawn(|| copy(client, server));
        let down = copy(server, client);
        (up.join().expect("copying does not panic"), down)
    });
    if args.verbose {
        let (up, down) = (told(up), told(down));
        raddle::println!("{from}: {up} there, {down} back");
    }
}

fn connect(args: &Args) -> io::Result<TcpStream> {
    let timeout = Duration::from_secs(args.connect_timeout);
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in args.target.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, timeout) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// One direction, to its end. The end is passed on, and so is a break.
fn copy(from: &TcpStream, to: &TcpStream) -> io::Result<u64> {
    let copied = copy_all(from, to);
    if copied.is_err() {
        abort(from);
        abort(to);
    }
    copied
}

fn copy_all(mut from: &TcpStream, mut to: &TcpStream) -> io::Result<u64> {
    let mut buffer = vec![0; BUFFER];
    let mut copied = 0;
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            // All is said in this direction; the other goes on.
            to.shutdown(Shutdown::Write)?;
            return Ok(copied);
        }
        to.write_all(&buffer[..read])?;
        copied += read as u64;
    }
}

/// Ends the calls that wait on `stream`, and makes a reset of its end.
fn abort(stream: &TcpStream) {
    let _gone_already = stream.set_linger(Some(Duration::ZERO));
    stream.set_deadline(Some(Instant::now()));
}

fn told(copied: io::Result<u64>) -> String {
    match copied {
        Ok(bytes) => format!("{bytes} bytes"),
        Err(error) => format!("broken off ({error})"),
    }
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
