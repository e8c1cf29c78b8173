//! Servers, which another program drives.

use crate::{Case, Own, builder, run};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use raddle_peers::Workload;
use raddle_peers::serve::{BODY, BUFFER, MESSAGE, Requests, announce};
use std::convert::Infallible;
use std::future::{Future, pending};
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{Receiver, Sender, channel};

pub const WORKLOADS: &[Workload<Own>] = &[
    Workload::server("serve_echo", 1, serve_echo),
    Workload::server("serve_echo_loaded", 1, serve_echo_loaded),
    Workload::server("serve_http_raw", 1, serve_http_raw),
    Workload::server("serve_http_real", 1, serve_http_real),
    Workload::server("serve_churn", 1, serve_churn),
    Workload::server("serve_idle", 10_000, serve_idle),
];

/// A task for each connection, after `first`.
fn serve<F>(
    case: &Case,
    first: impl Future<Output = ()> + Send + 'static,
    handler: fn(TcpStream) -> F,
) -> io::Result<Infallible>
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let address = case.address();
    let mut builder = builder(case);
    builder.enable_io();
    run(builder, async move {
        first.await;
        let listener = TcpListener::bind(address).await?;
        announce(listener.local_addr()?);
        loop {
            let (stream, _from) = listener.accept().await?;
            // The client may be gone: its connection's end.
            tokio::spawn(async move { drop(handler(stream).await) });
        }
    })
}

// 19: tcp_echo

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; BUFFER];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            read => stream.write_all(&buffer[..read]).await?,
        }
    }
}

fn serve_echo(case: &Case) -> io::Result<Infallible> {
    serve(case, async {}, echo)
}

// 24: io_under_load

/// Two tasks that never rest, for each processor.
async fn play_for_ever(procs: usize) {
    async fn play(mut from: Receiver<()>, to: Sender<()>) {
        while let Some(()) = from.recv().await {
            to.send(()).await.expect("the other plays");
        }
    }
    for _ in 0..procs {
        let (ping, pinged) = channel(1);
        let (pong, ponged) = channel(1);
        ping.send(()).await.expect("they play");
        tokio::spawn(play(pinged, pong));
        tokio::spawn(play(ponged, ping));
    }
}

fn serve_echo_loaded(case: &Case) -> io::Result<Infallible> {
    serve(case, play_for_ever(case.procs), echo)
}

// 20: http_hello_raw

async fn answer(mut stream: TcpStream) -> io::Result<()> {
    let mut requests = Requests::new();
    loop {
        match stream.read(requests.room()).await? {
            0 => return Ok(()),
            read => stream.write_all(requests.came(read)).await?,
        }
    }
}

fn serve_http_raw(case: &Case) -> io::Result<Infallible> {
    serve(case, async {}, answer)
}

// 20b: http_hello_real

async fn hello(_request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(Bytes::from_static(
        BODY.as_bytes(),
    ))))
}

async fn answer_by_hyper(stream: TcpStream) -> io::Result<()> {
    let connection =
        http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(hello));
    connection.await.map_err(io::Error::other)
}

fn serve_http_real(case: &Case) -> io::Result<Infallible> {
    serve(case, async {}, answer_by_hyper)
}

// 21: conn_churn

async fn echo_once(mut stream: TcpStream) -> io::Result<()> {
    let mut message = [0; MESSAGE];
    stream.read_exact(&mut message).await?;
    stream.write_all(&message).await
}

fn serve_churn(case: &Case) -> io::Result<Infallible> {
    serve(case, async {}, echo_once)
}

// 22: idle

fn serve_idle(case: &Case) -> io::Result<Infallible> {
    let n = case.n;
    let park_many = async move {
        for _ in 0..n {
            tokio::spawn(pending::<()>());
        }
    };
    serve(case, park_many, echo)
}
