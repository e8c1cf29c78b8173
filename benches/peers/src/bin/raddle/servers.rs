//! Servers, which another program drives.

use crate::{Case, Own, on_raddle};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use raddle::block_on;
use raddle::chan::{Receiver, Sender, bounded};
use raddle::hyper::Io;
use raddle::net::{TcpListener, TcpStream};
use raddle::{park, spawn};
use raddle_peers::Workload;
use raddle_peers::serve::{BODY, BUFFER, MESSAGE, Requests, announce};
use std::convert::Infallible;
use std::io::{self, Read, Write};

pub const WORKLOADS: &[Workload<Own>] = &[
    Workload::server("serve_echo", 1, serve_echo),
    Workload::server("serve_echo_loaded", 1, serve_echo_loaded),
    Workload::server("serve_http_raw", 1, serve_http_raw),
    Workload::server("serve_http_real", 1, serve_http_real),
    Workload::server("serve_churn", 1, serve_churn),
    Workload::server("serve_idle", 10_000, serve_idle),
];

/// A goroutine for each connection.
fn serve(case: &Case, handler: fn(TcpStream) -> io::Result<()>) -> io::Result<Infallible> {
    let listener = TcpListener::bind(case.address())?;
    announce(listener.local_addr()?);
    loop {
        let (stream, _from) = listener.accept()?;
        // The client may be gone: its connection's end.
        spawn(move || drop(handler(stream)));
    }
}

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
    on_raddle(case, || serve(case, echo))
}

// 24: io_under_load

/// Two goroutines that never rest, for each processor.
fn play_for_ever(procs: usize) {
    fn play(from: Receiver<()>, to: Sender<()>) {
        for () in from {
            to.send(()).expect("the other plays");
        }
    }
    for _ in 0..procs {
        let (ping, pinged) = bounded(0);
        let (pong, ponged) = bounded(0);
        let serve = ping.clone();
        spawn(move || play(pinged, pong));
        spawn(move || play(ponged, ping));
        serve.send(()).expect("they play");
    }
}

fn serve_echo_loaded(case: &Case) -> io::Result<Infallible> {
    on_raddle(case, || {
        play_for_ever(case.procs);
        serve(case, echo)
    })
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
    on_raddle(case, || serve(case, answer))
}

// 20b: http_hello_real

async fn hello(_request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(Bytes::from_static(
        BODY.as_bytes(),
    ))))
}

fn answer_by_hyper(stream: TcpStream) -> io::Result<()> {
    let connection = http1::Builder::new().serve_connection(Io::new(stream), service_fn(hello));
    block_on(connection).map_err(io::Error::other)
}

fn serve_http_real(case: &Case) -> io::Result<Infallible> {
    on_raddle(case, || serve(case, answer_by_hyper))
}

// 21: conn_churn

fn echo_once(mut stream: TcpStream) -> io::Result<()> {
    let mut message = [0; MESSAGE];
    stream.read_exact(&mut message)?;
    stream.write_all(&message)
}

fn serve_churn(case: &Case) -> io::Result<Infallible> {
    on_raddle(case, || serve(case, echo_once))
}

// 22: idle

fn serve_idle(case: &Case) -> io::Result<Infallible> {
    on_raddle(case, || {
        for _ in 0..case.n {
            spawn(|| {
                loop {
                    park();
                }
            });
        }
        serve(case, echo)
    })
}
