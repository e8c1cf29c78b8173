//! Servers, which another program drives.

use crate::{Case, DEFAULT_POOL, on_may, spawn};
use may::coroutine::park;
use may::net::{TcpListener, TcpStream};
use may::sync::spsc;
use raddle_peers::serve::{BUFFER, MESSAGE, Requests, announce};
use raddle_peers::{NoOptions, Workload};
use std::convert::Infallible;
use std::io::{self, Read, Write};

pub const WORKLOADS: &[Workload<NoOptions>] = &[
    Workload::server("serve_echo", 1, serve_echo),
    Workload::server("serve_echo_loaded", 1, serve_echo_loaded),
    Workload::server("serve_http_raw", 1, serve_http_raw),
    Workload::server("serve_churn", 1, serve_churn),
    Workload::server("serve_idle", 10_000, serve_idle),
];

/// Words of a stack: its default of 4096 is too few for what it does in a
/// socket's calls.
const STACK: usize = 0x2000;

/// A coroutine for each connection, after `first`.
fn serve(
    case: &Case,
    first: impl FnOnce() + Send + 'static,
    handler: fn(TcpStream) -> io::Result<()>,
) -> io::Result<Infallible> {
    may::config().set_stack_size(STACK);
    let address = case.address();
    on_may(case, DEFAULT_POOL, move || {
        first();
        let listener = TcpListener::bind(address)?;
        announce(listener.local_addr()?);
        loop {
            let (stream, _from) = listener.accept()?;
            // The client may be gone: its connection's end.
            spawn(move || drop(handler(stream)));
        }
    })
}

fn nothing() {}

// 19: tcp_echo

fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; BUFFER];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            read => stream.write_all(&buffer[..read])?,
        }
    }
}

fn serve_echo(case: &Case) -> io::Result<Infallible> {
    serve(case, nothing, echo)
}

// 24: io_under_load

/// Two coroutines that never rest, for each worker.
fn play_for_ever(procs: usize) {
    fn play(from: spsc::Receiver<()>, to: spsc::Sender<()>) {
        while let Ok(()) = from.recv() {
            to.send(()).expect("the other plays");
        }
    }
    for _ in 0..procs {
        let (ping, pinged) = spsc::channel();
        let (pong, ponged) = spsc::channel();
        ping.send(()).expect("they play");
        spawn(move || play(pinged, pong));
        spawn(move || play(ponged, ping));
    }
}

fn serve_echo_loaded(case: &Case) -> io::Result<Infallible> {
    let procs = case.procs;
    serve(case, move || play_for_ever(procs), echo)
}

// 20: http_hello_raw

fn answer(mut stream: TcpStream) -> io::Result<()> {
    let mut requests = Requests::new();
    loop {
        match stream.read(requests.room())? {
            0 => return Ok(()),
            read => stream.write_all(requests.came(read))?,
        }
    }
}

fn serve_http_raw(case: &Case) -> io::Result<Infallible> {
    serve(case, nothing, answer)
}

// 21: conn_churn

fn echo_once(mut stream: TcpStream) -> io::Result<()> {
    let mut message = [0; MESSAGE];
    stream.read_exact(&mut message)?;
    stream.write_all(&message)
}

fn serve_churn(case: &Case) -> io::Result<Infallible> {
    serve(case, nothing, echo_once)
}

// 22: idle

fn serve_idle(case: &Case) -> io::Result<Infallible> {
    let n = case.n;
    let park_many = move || {
        for _ in 0..n {
            spawn(|| {
                loop {
                    park();
                }
            });
        }
    };
    serve(case, park_many, echo)
}
