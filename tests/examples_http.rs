//! The example `http_server`, driven as a process: by a client that sends
//! what it likes and as slowly as it likes, and by curl where it is there.

#[path = "common/example.rs"]
mod example;
#[path = "common/http_client.rs"]
mod http_client;

use example::{Ended, Example, Running};
use http_client::{Client, chunked, get, post};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

fn starts(procs: usize, options: &[&str]) -> Running {
    Example::new("http_server")
        .args(&["127.0.0.1:0"])
        .args(options)
        .procs(procs)
        .starts()
}

/// Told to end, it does, and leaves nobody behind.
fn ends_well(server: Running) -> Ended {
    server.terminate();
    let ended = server.ends();
    assert!(ended.status.success(), "{}{}", ended.stdout, ended.stderr);
    assert_eq!(ended.stdout, "all connections have ended\n");
    ended
}

/// On one processor and on four.
fn serves(options: &[&str], check: impl Fn(&Running)) {
    for procs in [1, 4] {
        let server = starts(procs, options);
        check(&server);
        assert_eq!(ends_well(server).stderr, "");
    }
}

/// A request over a connection of its own: its status. The connection is
/// closed after a bad one.
fn status_of(server: &Running, request: &str) -> u16 {
    let mut client = Client::connect(server.address);
    client.send(request);
    let answer = client.answer();
    let is_bad = !matches!(answer.status, 200 | 404 | 405);
    assert_eq!(answer.closes(), is_bad, "{request:?}: {answer:?}");
    if is_bad {
        assert!(client.is_closed(), "{request:?}");
    }
    answer.status
}

#[test]
fn answers_over_one_connection() {
    serves(&[], |server| {
        let mut client = Client::connect(server.address);
        for _ in 0..3 {
            client.send(get("/"));
            let index = client.answer();
            assert_eq!(index.status, 200);
            assert!(index.text().contains("POST /echo"));
            assert!(
                index
                    .header("date")
                    .is_some_and(|date| date.ends_with(" GMT"))
            );

            client.send("HEAD / HTTP/1.1\r\nhost: test\r\n\r\n");
            let head = client.answer_to("HEAD");
            assert_eq!(
                head.header("content-length"),
                index.header("content-length")
            );

            client.send(post("/echo", "to and fro"));
            assert_eq!(client.answer().text(), "to and fro");

            client.send(get("/nowhere"));
            assert_eq!(client.answer().status, 404);

            // The body that nobody reads does not become a request.
            client.send(post("/sleep", "GET / HTTP/1.1\r\n\r\n"));
            let answer = client.answer();
            assert_eq!(answer.status, 405);
            assert_eq!(answer.header("allow"), Some("GET, HEAD"));

            client.send(get("/sleep?ms=2"));
            assert_eq!(client.answer().text(), "slept for 2 ms\n");
        }
        client.send("GET http://test/echo HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
        let last = client.answer();
        assert_eq!((last.status, last.header("allow")), (405, Some("POST")));
        assert!(last.closes() && client.is_closed());
    });
}

#[test]
fn older_clients_close_unless_they_say_otherwise() {
    serves(&[], |server| {
        let mut client = Client::connect(server.address);
        client.send("GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n");
        assert_eq!(client.answer().header("connection"), Some("keep-alive"));
        client.send("GET / HTTP/1.0\r\n\r\n");
        assert!(client.answer().closes() && client.is_closed());
    });
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    serves(&[], |server| {
        let mut client = Client::connect(server.address);
        let mut requests = String::new();
        for n in 0..500 {
            requests += &match n % 4 {
                0 => post("/echo", &format!("number {n}")),
                1 => chunked("/echo", &format!("1\r\n{}\r\n0\r\n\r\n", n % 10)),
                2 => "HEAD /echo HTTP/1.1\r\nhost: test\r\n\r\n".to_owned(),
                _ => get(&format!("/sleep?ms={}", n % 3)),
            };
        }
        client.send(&requests);
        // All is said; the answers come all the same.
        client.ends();
        for n in 0..500 {
            match n % 4 {
                0 => assert_eq!(client.answer().text(), format!("number {n}")),
                1 => assert_eq!(client.answer().text(), (n % 10).to_string()),
                2 => assert_eq!(client.answer_to("HEAD").status, 405),
                _ => assert_eq!(client.answer().text(), format!("slept for {} ms\n", n % 3)),
            }
        }
        assert!(client.is_closed());
    });
}

#[test]
fn chunks_may_be_cut_anywhere() {
    serves(&[], |server| {
        let request = chunked(
            "/echo",
            "4;name=value\r\nWiki\r\n5 ;x\r\npedia\r\nE\r\n in\r\n\r\nchunks.\r\n000\r\nx-sum: 1\r\n\r\n",
        );
        let whole = "Wikipedia in\r\n\r\nchunks.";
        for piece in [1, 2, 3, 7, request.len()] {
            let mut client = Client::connect(server.address);
            for piece in request.as_bytes().chunks(piece) {
                client.send(piece);
            }
            assert_eq!(client.answer().text(), whole);
            // It goes on behind the last of it.
            client.send(get("/nowhere"));
            assert_eq!(client.answer().status, 404);
        }
        for chunks in [
            "x\r\n",
            "-1\r\n",
            "3\r\nabcd\r\n0\r\n\r\n",
            "3\r\nabc\n0\r\n\r\n",
            &format!("3;{}\r\nabc\r\n", "x".repeat(300)),
            "ffffffffffffffffff\r\n",
        ] {
            assert_eq!(
                status_of(server, &chunked("/echo", chunks)),
                400,
                "{chunks:?}"
            );
        }
        assert_eq!(
            status_of(server, &chunked("/echo", "ffffffffffff\r\n")),
            413
        );
        let endless = format!("0\r\n{}\r\n", "x: y\r\n".repeat(3000));
        assert_eq!(status_of(server, &chunked("/echo", &endless)), 431);
    });
}

#[test]
fn bad_requests_are_refused_and_their_connection_closed() {
    let bad = [
        (400, "\x16\x03\x01\x02\x00\x01\x00"),
        (400, "GET\r\n\r\n"),
        (400, "GET / HTTP/1.1 and more\r\nhost: a\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nhost : a\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nhost: a\r\nno colon\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nhost: a\r\n folded\r\n\r\n"),
        (400, "GET nowhere HTTP/1.1\r\nhost: a\r\n\r\n"),
        (400, "GET /sleep?ms=soon HTTP/1.1\r\nhost: a\r\n\r\n"),
        (
            400,
            "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: x\r\n\r\n",
        ),
        (
            400,
            "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: +1\r\n\r\nx",
        ),
        (
            400,
            "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 1, 1\r\n\r\nx",
        ),
        (
            400,
            "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx",
        ),
        (
            400,
            "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            400,
            "POST /echo HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            501,
            "POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            417,
            "POST /echo HTTP/1.1\r\nhost: a\r\nexpect: more\r\n\r\n",
        ),
        (505, "GET / HTTP/2.0\r\nhost: a\r\n\r\n"),
    ];
    serves(&[], |server| {
        for (status, request) in bad {
            assert_eq!(status_of(server, request), status, "{request:?}");
        }
        // Whoever has said half a request and ended is no case for an answer.
        let mut client = Client::connect(server.address);
        client.send("GET / HTTP/1.1\r\nho");
        client.ends();
        assert!(client.is_closed());
    });
}

#[test]
fn heads_and_bodies_have_limits() {
    serves(&["--max-head", "2k", "--max-body", "10k"], |server| {
        let with = |header: &str| format!("GET / HTTP/1.1\r\nhost: a\r\n{header}\r\n");
        let padded = |length: usize| with(&format!("x: {}\r\n", "y".repeat(length)));
        let frame = padded(0).len();
        assert_eq!(status_of(server, &padded(2048 - frame)), 200);
        assert_eq!(status_of(server, &padded(2049 - frame)), 431);
        assert_eq!(status_of(server, &padded(1_000_000)), 431);
        assert_eq!(status_of(server, &with(&"x: y\r\n".repeat(101))), 431);
        assert_eq!(
            status_of(server, &get(&format!("/{}", "x".repeat(5000)))),
            414
        );

        let body = "b".repeat(10 * 1024);
        let large = format!("{body}b");
        for path in ["/echo", "/count"] {
            assert_eq!(status_of(server, &post(path, &body)), 200);
            assert_eq!(status_of(server, &post(path, &large)), 413);
            let chunks = |body: &str| format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
            assert_eq!(status_of(server, &chunked(path, &chunks(&body))), 200);
            assert_eq!(status_of(server, &chunked(path, &chunks(&large))), 413);
            let small = "1\r\nb\r\n".repeat(10 * 1024);
            assert_eq!(
                status_of(server, &chunked(path, &format!("{small}0\r\n\r\n"))),
                200
            );
            assert_eq!(
                status_of(server, &chunked(path, &format!("{small}1\r\n"))),
                413
            );
        }
        // Who goes on sending gets the answer all the same, and not a reset.
        assert_eq!(status_of(server, &post("/echo", &"b".repeat(200_000))), 413);
    });
}

#[test]
fn a_client_that_asks_first_is_told_to_continue() {
    let expecting = |length: usize| {
        format!(
            "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\nexpect: 100-Continue\r\n\r\n"
        )
    };
    serves(&["--max-body", "1k"], |server| {
        let mut client = Client::connect(server.address);
        for _ in 0..2 {
            client.send(expecting(5));
            assert_eq!(client.answer().status, 100);
            client.send("asked");
            assert_eq!(client.answer().text(), "asked");
        }
        // Unasked, in one go: no need to tell.
        client.send(format!("{}hasty", expecting(5)));
        assert_eq!(client.answer().text(), "hasty");

        // Too large: it is not sent at all.
        client.send(expecting(1025));
        let answer = client.answer();
        assert_eq!(answer.status, 413);
        assert!(answer.closes() && client.is_closed());

        // Nobody wants it: whether it comes is not to be known.
        let mut client = Client::connect(server.address);
        client.send(expecting(5).replace("/echo", "/nowhere"));
        let answer = client.answer();
        assert_eq!(answer.status, 404);
        assert!(answer.closes() && client.is_closed());
    });
}

/// How many goroutines there are, main and this request's included.
fn goroutines(server: &Running) -> usize {
    let mut client = Client::connect(server.address);
    client.send(get("/goroutines"));
    let answer = client.answer();
    let lines = answer.text().lines();
    lines.filter(|line| line.starts_with("goroutine ")).count()
}

/// Until those that have been told to end have done so.
fn only_few_are_left(server: &Running) {
    let begin = Instant::now();
    // Main, who waits for the signal, and this request's own.
    while goroutines(server) > 3 {
        assert!(
            begin.elapsed() < Duration::from_secs(20),
            "goroutines are left behind"
        );
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn slow_clients_are_not_waited_for() {
    let options = ["--head-timeout", "2s", "--body-timeout", "2s"];
    serves(
        &[&options[..], &["--idle-timeout", "2s"]].concat(),
        |server| {
            const CLIENTS: usize = 50;
            let (begin, address) = (Instant::now(), server.address);
            let dripping = |request: String| {
                let mut client = Client::connect(address);
                for byte in request.bytes() {
                    // It may have been closed meanwhile.
                    if client.try_send([byte]).is_err() || begin.elapsed() > Duration::from_secs(15)
                    {
                        break;
                    }
                    thread::sleep(Duration::from_millis(20));
                }
                let answer = client.answer();
                assert_eq!(answer.status, 408);
                assert!(answer.closes());
            };
            thread::scope(|scope| {
                for n in 0..CLIENTS {
                    // The whole would take twenty seconds and more.
                    let long = "x".repeat(1000);
                    scope.spawn(move || match n % 4 {
                        0 => dripping(get(&format!("/{long}"))),
                        1 => dripping(post("/echo", &long)),
                        2 => dripping(chunked("/count", &"1\r\nx\r\n".repeat(200))),
                        // Nothing at all, then nothing more.
                        _ => {
                            let mut client = Client::connect(address);
                            if n % 8 == 3 {
                                client.send(get("/"));
                                assert_eq!(client.answer().status, 200);
                            }
                            assert!(client.is_closed());
                        }
                    });
                }
            });
            assert!(begin.elapsed() < Duration::from_secs(15));
            only_few_are_left(server);
        },
    );
}

/// It asks for more than fits on the way, and takes nothing of it.
#[test]
fn a_client_that_never_reads_is_not_waited_for() {
    serves(&["--write-timeout", "300ms"], |server| {
        let client = Client::connect(server.address);
        let body = "b".repeat(1 << 20);
        client
            .stream()
            .set_write_timeout(Some(Duration::from_millis(1000)))
            .unwrap();
        let mut sent = 0;
        while client.try_send(post("/echo", &body)).is_ok() {
            sent += 1;
            assert!(sent < 100, "somebody takes it all");
        }
        only_few_are_left(server);
    });
}

#[test]
fn a_handler_that_panics_ends_its_connection_alone() {
    for procs in [1, 4] {
        let server = starts(procs, &[]);
        let mut other = Client::connect(server.address);
        other.send(get("/sleep?ms=300"));
        for _ in 0..20 {
            assert_eq!(status_of(&server, &get("/panic")), 500);
        }
        assert_eq!(other.answer().status, 200);
        other.send(get("/"));
        assert_eq!(other.answer().status, 200);
        let ended = ends_well(server);
        let told = ended.stderr.matches("asked for by GET /panic").count();
        assert_eq!(told, 20, "{}", ended.stderr);
    }
}

/// It has been told to end, and has heard.
fn until_nobody_listens(server: &Running) {
    let begin = Instant::now();
    while TcpStream::connect(server.address).is_ok() {
        assert!(begin.elapsed() < Duration::from_secs(60), "it listens on");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The server has them all in its hands when it is told to end: it waits for
/// the rest of each, and answers.
#[test]
fn the_end_loses_none_of_a_thousand_requests_in_flight() {
    const REQUESTS: usize = 1000;
    for procs in [1, 2, 4] {
        let patient = [
            "--head-timeout",
            "2m",
            "--body-timeout",
            "2m",
            "--grace",
            "1m",
        ];
        let server = starts(procs, &patient);
        let mut clients: Vec<_> = (0..REQUESTS)
            .map(|_| Client::connect(server.address))
            .collect();
        for client in &clients {
            client.send(
                "POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\
                 expect: 100-continue\r\n\r\n",
            );
        }
        for client in &mut clients {
            assert_eq!(client.answer().status, 100);
        }
        server.terminate();
        until_nobody_listens(&server);
        for (n, client) in clients.iter().enumerate() {
            let text = format!("number {n}");
            client.send(format!("{:x}\r\n{text}\r\n0\r\n\r\n", text.len()));
        }
        for (n, client) in clients.iter_mut().enumerate() {
            let answer = client.answer();
            assert_eq!(
                (answer.status, answer.text()),
                (200, &*format!("number {n}"))
            );
            assert!(answer.closes() && client.is_closed());
        }
        let ended = server.ends();
        assert!(ended.status.success(), "{}", ended.stdout);
        assert_eq!(ended.stdout, "all connections have ended\n");
    }
}

/// Those in the system's queue are connected as far as they know.
#[test]
fn the_end_loses_none_that_wait_to_be_accepted() {
    for procs in [1, 4] {
        let server = starts(procs, &["--connections", "1"]);
        let mut first = Client::connect(server.address);
        first.send(
            "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n",
        );
        assert_eq!(first.answer().status, 100);
        let mut second = Client::connect(server.address);
        second.send(post("/echo", "second"));
        server.terminate();
        until_nobody_listens(&server);
        first.send("ab");
        assert_eq!(first.answer().text(), "ab");
        // It has its place now, and the other's turn has come.
        drop(first);
        assert_eq!(second.answer().text(), "second");
        let ended = server.ends();
        assert!(ended.status.success(), "{}", ended.stdout);
    }
}

#[test]
fn the_end_does_not_wait_for_idle_connections() {
    for procs in [1, 4] {
        let server = starts(procs, &["--grace", "30s"]);
        let mut idle = Client::connect(server.address);
        idle.send(get("/"));
        assert_eq!(idle.answer().status, 200);
        let mut silent = Client::connect(server.address);
        let begin = Instant::now();
        server.terminate();
        assert!(idle.is_closed() && silent.is_closed());
        let ended = server.ends();
        assert!(ended.status.success(), "{}", ended.stdout);
        assert!(begin.elapsed() < Duration::from_secs(8));
    }
}

#[test]
fn the_end_has_an_end() {
    let server = starts(2, &["--grace", "100ms"]);
    let mut slow = Client::connect(server.address);
    slow.send(format!(
        "{}{}",
        post("/echo", "begun"),
        get("/sleep?ms=60000")
    ));
    assert_eq!(slow.answer().text(), "begun");
    server.terminate();
    assert!(slow.is_closed());
    let ended = server.ends();
    assert_eq!(ended.status.code(), Some(1));
    assert_eq!(ended.stdout, "connections cut off: 1\n");
}

#[test]
fn those_above_the_number_of_connections_wait_their_turn() {
    serves(&["--connections", "3"], |server| {
        let mut all: Vec<_> = (0..10).map(|_| Client::connect(server.address)).collect();
        for client in &all {
            client.send(get("/"));
        }
        while !all.is_empty() {
            let mut first = all.remove(0);
            assert_eq!(first.answer().status, 200);
        }
    });
}

/// It has some thirty descriptors, and goes on when clients leave.
#[test]
fn the_want_of_descriptors_passes() {
    for procs in [1, 4] {
        let server = Example::new("http_server")
            .args(&["127.0.0.1:0"])
            .procs(procs)
            .descriptors(30)
            .starts();
        let mut clients: Vec<_> = (0..60).map(|_| Client::connect(server.address)).collect();
        for client in &clients {
            client.send(get("/"));
        }
        assert_eq!(clients[0].answer().status, 200);
        let mut last = clients.pop().unwrap();
        clients.clear();
        assert_eq!(last.answer().status, 200);
        drop(last);
        let ended = ends_well(server);
        assert!(
            ended.stderr.contains("accept: Too many open files"),
            "{}",
            ended.stderr
        );
    }
}

#[test]
fn bad_options_are_named() {
    for (args, words) in [
        (&["127.0.0.1"][..], "cannot listen at 127.0.0.1: "),
        (&["--grace", "soon"], "a time is such as 200ms, 10s or 2m"),
        (&["--grace", "0s"], "a time is such as 200ms, 10s or 2m"),
        (&["--max-body", "0"], "--max-body <SIZE>"),
        (&["--max-head", "16g"], "a size is such as 8000, 16k or 1m"),
        (&["--connections", "0"], "--connections <N>"),
    ] {
        let ended = Example::new("http_server").args(args).ends();
        assert!(!ended.status.success(), "{args:?}");
        assert!(ended.stderr.contains(words), "{args:?}: {}", ended.stderr);
    }
}

/// What curl says to a request, with its status as last line.
fn curl(server: &Running, args: &[&str], path: &str, body: &[u8]) -> Option<String> {
    let mut curl = Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "20"])
        .args(["--write-out", "\n%{http_code}"])
        .args(args)
        .arg(format!("http://{}{path}", server.address))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    curl.stdin
        .take()
        .expect("asked for")
        .write_all(body)
        .expect("it reads");
    let mut said = String::new();
    let mut stdout = curl.stdout.take().expect("asked for");
    stdout.read_to_string(&mut said).expect("text");
    assert!(curl.wait().expect("a status").success(), "{args:?}");
    Some(said)
}

#[test]
fn curl_is_content() {
    if Command::new("curl").arg("--version").output().is_err() {
        println!("curl is not there");
        return;
    }
    serves(&["--max-body", "3m"], |server| {
        let says = |args: &[&str], path: &str, body: &[u8]| {
            curl(server, args, path, body).expect("it is there")
        };
        assert!(says(&[], "/", b"").ends_with("fails\n\n200"));
        assert!(says(&["--head"], "/", b"").starts_with("HTTP/1.1 200 OK\r\n"));
        assert!(says(&["--http1.0"], "/", b"").ends_with("\n200"));
        let from_stdin = ["--data-binary", "@-"];
        assert_eq!(says(&from_stdin, "/echo", b"by curl"), "by curl\n200");
        let chunked = [
            "--header",
            "transfer-encoding: chunked",
            "--data-binary",
            "@-",
        ];
        assert_eq!(says(&chunked, "/echo", b"in chunks"), "in chunks\n200");
        // Above a megabyte curl asks first.
        let large = vec![b'\n'; 2_500_000];
        let counted = "2500000 bytes, 2500000 lines\n\n200";
        assert_eq!(says(&from_stdin, "/count", &large), counted);
        assert_eq!(
            says(&["--upload-file", "-", "-X", "POST"], "/count", &large),
            counted
        );
        let too_large = vec![b'\n'; 3_500_000];
        assert!(says(&from_stdin, "/count", &too_large).ends_with("\n413"));
    });
}
