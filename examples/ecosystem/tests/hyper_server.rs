//! hyper's server on goroutines, driven by plain TCP and by hyper's client.

mod common;

use common::{Server, ask, receive, send, with_deadline};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http2;
use hyper::{Request, StatusCode};
use raddle::block_on;
use raddle::hyper::{Executor, Io};
use std::io::{BufRead, BufReader, Read, Write};

fn start(arguments: &[&str]) -> Server {
    Server::start(env!("CARGO_BIN_EXE_hyper_server"), arguments)
}

#[test]
fn a_connection_is_kept_alive() {
    with_deadline(|| {
        let server = start(&[]);
        let mut stream = server.connect();
        for _ in 0..100 {
            let answer = ask(&mut stream, "GET", "/", "");
            assert_eq!((answer.status, &*answer.body), (200, "hello, world\n"));
        }
        let long = "a long text ".repeat(20_000);
        assert_eq!(ask(&mut stream, "POST", "/echo", &long).body, long);
    });
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    with_deadline(|| {
        let server = start(&[]);
        let mut stream = server.connect();
        let mut requests = Vec::new();
        for number in 0..200 {
            send(&mut requests, "POST", "/echo", &number.to_string());
        }
        stream.write_all(&requests).expect("it reads");
        for number in 0..200 {
            assert_eq!(receive(&mut stream).body, number.to_string());
        }
    });
}

#[test]
fn a_chunked_body_is_read() {
    with_deadline(|| {
        let server = start(&[]);
        let mut stream = server.connect();
        stream
            .write_all(b"POST /echo HTTP/1.1\r\nhost: here\r\ntransfer-encoding: chunked\r\n\r\n")
            .expect("it reads");
        for part in ["5\r\nhello\r\n", "7\r\n, world\r\n", "0\r\n\r\n"] {
            stream.write_all(part.as_bytes()).expect("it reads");
        }
        assert_eq!(receive(&mut stream).body, "hello, world");
    });
}

/// A service that blocks keeps its own connection waiting, and no other.
#[test]
fn a_service_may_block() {
    with_deadline(|| {
        let server = start(&[]);
        let mut slow: Vec<_> = (0..8).map(|_| server.connect()).collect();
        for stream in &mut slow {
            send(stream, "GET", "/slow?ms=300", "");
        }
        let mut quick = server.connect();
        for _ in 0..20 {
            assert_eq!(ask(&mut quick, "GET", "/", "").status, 200);
        }
        for mut stream in slow {
            assert_eq!(receive(&mut stream).body, "that took a while\n");
        }
    });
}

/// A client that does not finish its head, or does not begin with one, loses
/// its connection; one that keeps asking does not.
#[test]
fn a_slow_head_ends_the_connection() {
    with_deadline(|| {
        let server = start(&["--header-timeout", "3000"]);
        let mut slow = server.connect();
        slow.write_all(b"GET / HTTP/1.1\r\nhost: ")
            .expect("it reads");
        let mut lively = server.connect();
        let mut is_over = [0];
        slow.set_nonblocking(true).expect("it is a socket");
        let mut asked = 0;
        while slow.read(&mut is_over).is_err() {
            assert_eq!(ask(&mut lively, "GET", "/", "").status, 200);
            asked += 1;
        }
        assert!(asked > 0);
        assert_eq!(ask(&mut lively, "GET", "/", "").status, 200);
    });
}

#[test]
fn an_upgrade_gives_the_stream_back() {
    with_deadline(|| {
        let server = start(&[]);
        let mut stream = server.connect();
        // The first line comes with the request.
        stream
            .write_all(b"GET /shout HTTP/1.1\r\nhost: here\r\nupgrade: shout\r\nconnection: upgrade\r\n\r\nearly\n")
            .expect("it reads");
        assert_eq!(receive(&mut stream).status, 101);
        let mut lines = BufReader::new(stream.try_clone().expect("it is a socket")).lines();
        assert_eq!(lines.next().expect("a line").expect("no error"), "EARLY");
        for word in ["raddle", "loom"] {
            writeln!(stream, "{word}").expect("it reads");
            let line = lines.next().expect("a line").expect("no error");
            assert_eq!(line, word.to_uppercase());
        }
    });
}

/// What has begun is answered, what is idle is closed, and the server ends.
#[test]
fn it_ends_gracefully() {
    with_deadline(|| {
        for (flag, signal) in [("--grace=20", "TERM"), ("--grace=30", "INT")] {
            let mut server = start(&[flag]);
            let mut idle = server.connect();
            assert_eq!(ask(&mut idle, "GET", "/", "").status, 200);
            let mut begun = server.connect();
            // The head alone: it is taken once the interim answer is here.
            begun
                .write_all(b"POST /echo HTTP/1.1\r\nhost: here\r\ncontent-length: 4\r\nexpect: 100-continue\r\n\r\n")
                .expect("it reads");
            assert_eq!(receive(&mut begun).status, 100);
            server.signal(signal);
            assert_eq!(idle.read(&mut [0]).expect("no reset"), 0);
            begun.write_all(b"done").expect("it reads");
            let answer = receive(&mut begun);
            assert_eq!((answer.status, &*answer.body), (200, "done"));
            assert_eq!(begun.read(&mut [0]).expect("no reset"), 0);
            assert!(server.wait().success());
        }
    });
}

/// HTTP/2, with raddle at both ends: requests of one connection run side by
/// side, in goroutines, and may block.
#[test]
fn http2_requests_run_side_by_side() {
    with_deadline(|| {
        let mut server = start(&["--http2"]);
        raddle::run(|| {
            let stream = raddle::net::TcpStream::connect(&*server.address).expect("it listens");
            let io = Io::new(stream);
            let (sender, connection) =
                block_on(http2::handshake(Executor, io)).expect("it speaks HTTP/2");
            raddle::spawn(move || block_on(connection));
            let asked: Vec<_> = (0..30)
                .map(|number| {
                    let mut sender = sender.clone();
                    raddle::spawn(move || {
                        let path = if number % 3 == 0 {
                            "/slow?ms=100"
                        } else {
                            "/echo"
                        };
                        let body = number.to_string().repeat(1000);
                        let request = Request::post(format!("http://here{path}"))
                            .body(Full::new(Bytes::from(body.clone())))
                            .expect("it is a request");
                        block_on(async move {
                            let answer = sender.send_request(request).await.expect("an answer");
                            assert_eq!(answer.status(), StatusCode::OK);
                            let got = answer.into_body().collect().await.expect("a body");
                            if path == "/echo" {
                                assert_eq!(got.to_bytes(), body);
                            }
                        });
                    })
                })
                .collect();
            for one in asked {
                one.join().expect("it is answered");
            }
        });
        server.signal("TERM");
        assert!(server.wait().success());
    });
}
