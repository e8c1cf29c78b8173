//! A thousand connections at once to an echo server, and how long the echoes
//! take.
//!
//! ```sh
//! cargo run --release --example echo_server    # in another terminal
//! cargo run --release --example echo_client
//! cargo run --release --example echo_client -- --connections 100 --size 4096
//! ```
//!
//! In Go: a goroutine for each connection that waits at a channel; closing it
//! starts them all; `sync.WaitGroup` waits for them, and what they have
//! measured goes into a slice each. Here a goroutine returns its times, and
//! `join` gives them.

use clap::Parser;
use hdrhistogram::Histogram;
use raddle::chan::bounded;
use raddle::net::TcpStream;
use raddle::sync::Semaphore;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Drives an echo server by many connections, and says how long echoes take.
#[derive(Parser)]
struct Args {
    /// Where the server listens
    #[arg(default_value = "127.0.0.1:7007")]
    address: String,
    /// How many connections to hold at once
    #[arg(short, long, value_name = "N", default_value_t = 1000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    connections: u32,
    /// How many messages each sends, one after the other's echo
    #[arg(short, long, value_name = "N", default_value_t = 100)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    messages: u32,
    /// How many bytes a message has
    #[arg(short, long, value_name = "BYTES", default_value_t = 64)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    size: u32,
    /// How long to wait for a connection, and for an echo, in seconds
    #[arg(short, long, value_name = "SECONDS", default_value_t = 10)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
}

/// So many connections are made at a time: a listener's queue is short.
const AT_A_TIME: usize = 64;

/// Echoes that took longer count as this, in nanoseconds; at a precision of
/// three digits.
const LONGEST: u64 = 60_000_000_000;

#[raddle::main]
fn main() -> ExitCode {
    let args = Args::parse();
    raise_limit_of_descriptors();
    match drive(&args) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(failed) => {
            raddle::eprintln!("echo_client: connections that failed: {failed}");
            ExitCode::FAILURE
        }
        Err(error) => {
            raddle::eprintln!("echo_client: {}: {error}", args.address);
            ExitCode::FAILURE
        }
    }
}

/// How many connections failed on the way; an error if they cannot be made.
fn drive(args: &Args) -> io::Result<usize> {
    let begin = Instant::now();
    let streams = connect(args)?;
    let connected = begin.elapsed();
    raddle::println!("connections  {} in {connected:.2?}", streams.len());

    // Closed, it lets them all go at once.
    let (start, gate) = bounded::<()>(0);
    let (messages, size) = (args.messages, args.size as usize);
    let clients: Vec<_> = streams
        .into_iter()
        .map(|stream| {
            let gate = gate.clone();
            raddle::spawn(move || {
                let _opened = gate.recv();
                converse(&stream, messages, size)
            })
        })
        .collect();
    let begin = Instant::now();
    drop(start);
    let mut all = Histogram::<u64>::new_with_max(LONGEST, 3).expect("bounds that are allowed");
    let mut failures = Vec::new();
    for client in clients {
        match client.join().expect("a client does not panic") {
            Ok(times) => times
                .into_iter()
                .for_each(|nanos| all.saturating_record(nanos)),
            Err(error) => failures.push(error),
        }
    }
    report(&all, begin.elapsed());
    if let Some(error) = failures.first() {
        raddle::eprintln!("echo_client: {error}");
    }
    Ok(failures.len())
}

fn connect(args: &Args) -> io::Result<Vec<TcpStream>> {
    let timeout = Some(Duration::from_secs(args.timeout));
    let gate = Semaphore::new(AT_A_TIME);
    let connect_one = || {
        let _permit = gate.acquire(1);
        let stream = TcpStream::connect(&args.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(timeout)?;
        stream.set_write_timeout(timeout)?;
        Ok(stream)
    };
    raddle::scope(|scope| {
        let made: Vec<_> = (0..args.connections)
            .map(|_| scope.spawn(connect_one))
            .collect();
        made.into_iter()
            .map(|stream| stream.join().expect("connecting does not panic"))
            .collect()
    })
}

/// How long each echo took, in nanoseconds.
fn converse(mut stream: &TcpStream, messages: u32, size: usize) -> io::Result<Vec<u64>> {
    let mut times = Vec::with_capacity(messages as usize);
    let mut message = vec![0; size];
    let mut echo = vec![0; size];
    for turn in 0..messages {
        message.fill(turn as u8);
        let begin = Instant::now();
        stream.write_all(&message)?;
        stream.read_exact(&mut echo).map_err(named)?;
        times.push(begin.elapsed().as_nanos() as u64);
        if echo != message {
            return Err(io::Error::other("the echo is not what was sent"));
        }
    }
    Ok(times)
}

/// A read's timeout is `WouldBlock`, as in std: no words for a user.
fn named(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock => io::Error::new(io::ErrorKind::TimedOut, "no echo in time"),
        io::ErrorKind::UnexpectedEof => io::Error::new(error.kind(), "the server has hung up"),
        _ => error,
    }
}

fn report(all: &Histogram<u64>, elapsed: Duration) {
    let rate = all.len() as f64 / elapsed.as_secs_f64();
    raddle::println!(
        "echoes       {} in {elapsed:.2?}, {rate:.0} a second",
        all.len()
    );
    for (name, quantile) in [
        ("p50", 0.5),
        ("p90", 0.9),
        ("p99", 0.99),
        ("p99.9", 0.999),
        ("max", 1.0),
    ] {
        let time = Duration::from_nanos(all.value_at_quantile(quantile));
        raddle::println!("{name:12} {time:.1?}");
    }
}

/// As Go does at the start of each program: for as many connections as the
/// system allows.
fn raise_limit_of_descriptors() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let current = maximum;
    let _as_before = setrlimit(Resource::Nofile, Rlimit { current, maximum });
}
