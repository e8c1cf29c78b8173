//! The examples that talk over sockets, each as a process that is driven from
//! outside: in time, and with every byte in its place.

#[path = "common/example.rs"]
mod example;

use example::{Ended, Example, Running};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

/// Nothing here takes so long.
const DEADLINE: Duration = Duration::from_secs(60);

fn connect(server: &Running) -> TcpStream {
    with_deadline(TcpStream::connect(server.address).expect("it listens"))
}

fn with_deadline(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.set_write_timeout(Some(DEADLINE)).unwrap();
    stream
}

/// What comes before the end.
fn rest(mut stream: &TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).expect("an end, and in time");
    rest
}

fn ends_well(server: Running) -> Ended {
    let ended = server.ends();
    assert!(ended.status.success(), "{}{}", ended.stdout, ended.stderr);
    assert_eq!(ended.stderr, "");
    ended
}

/// Closes as a reset.
fn reset(stream: TcpStream) {
    rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
}

fn starts(name: &'static str, args: &[&str], procs: usize) -> Running {
    Example::new(name).args(args).procs(procs).starts()
}

/// A bad option or address, and words that say so.
fn refuses(name: &'static str, args: &[&str], words: &str) {
    let ended = Example::new(name).args(args).ends();
    assert!(!ended.status.success(), "{name} {args:?}");
    assert!(ended.stderr.contains(words), "{args:?}: {}", ended.stderr);
}

#[test]
fn echo_server() {
    for procs in [1, 4] {
        let server = starts("echo_server", &["127.0.0.1:0"], procs);
        let much: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
        let mut idle = connect(&server);
        for _ in 0..3 {
            let stream = connect(&server);
            thread::scope(|scope| {
                scope.spawn(|| {
                    (&stream).write_all(&much).unwrap();
                    stream.shutdown(Shutdown::Write).unwrap();
                });
                assert!(rest(&stream) == much);
            });
        }
        let mut rude = connect(&server);
        rude.write_all(b"never mind").unwrap();
        reset(rude);
        // Who comes last is accepted last.
        let last = connect(&server);
        last.shutdown(Shutdown::Write).unwrap();
        assert_eq!(rest(&last), b"");
        // One that waited meanwhile is served, before and after the order to
        // end, until it is cut off.
        idle.write_all(b"here").unwrap();
        idle.read_exact(&mut [0; 4]).unwrap();
        server.terminate();
        idle.write_all(b"still").unwrap();
        idle.read_exact(&mut [0; 5]).unwrap();
        assert_eq!(
            ends_well(server).stdout,
            "connections served: 6; some are cut off\n"
        );
    }
}

#[test]
fn echo_client_drives_a_thousand_connections() {
    for procs in [1, 4] {
        let server = starts("echo_server", &["127.0.0.1:0"], procs);
        let ended = Example::new("echo_client")
            .args(&[&server.address.to_string(), "--messages", "5"])
            .procs(procs)
            .succeeds();
        let lines: Vec<_> = ended.stdout.lines().collect();
        assert!(lines[0].starts_with("connections  1000 in "), "{lines:?}");
        assert!(lines[1].starts_with("echoes       5000 in "), "{lines:?}");
        for (line, name) in lines[2..].iter().zip(["p50", "p90", "p99", "p99.9", "max"]) {
            assert!(line.starts_with(&format!("{name:13}")), "{lines:?}");
            // No echo takes nanoseconds.
            assert!(line.ends_with('s') && !line.ends_with("ns"), "{lines:?}");
        }
        assert_eq!(lines.len(), 7, "{lines:?}");
        assert_eq!(ended.stderr, "");
        server.terminate();
        let said = ends_well(server).stdout;
        assert!(said.starts_with("connections served: 1000; "), "{said}");
    }
}

/// A server that hangs up after the first bytes, and one that is not there.
#[test]
fn echo_client_says_what_goes_wrong() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = thread::spawn(move || {
        for _ in 0..3 {
            let (mut stream, _) = listener.accept().unwrap();
            stream.read_exact(&mut [0; 64]).unwrap();
        }
    });
    let ended = Example::new("echo_client")
        .args(&[&address, "-c", "3"])
        .ends();
    server.join().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    for words in ["the server has hung up", "connections that failed: 3"] {
        assert!(ended.stderr.contains(words), "{}", ended.stderr);
    }
    refuses("echo_client", &[&address], "Connection refused");
}

#[test]
fn bad_options_are_named() {
    refuses("echo_client", &["--connections", "0"], "--connections <N>");
    refuses(
        "echo_server",
        &["127.0.0.1"],
        "cannot listen at 127.0.0.1: ",
    );
    refuses("proxy", &[], "<TARGET>");
    refuses("proxy", &["nowhere"], "proxy: nowhere: ");
    let listening = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listening.local_addr().unwrap().to_string();
    for (name, args) in [
        ("echo_server", &[&*taken][..]),
        ("proxy", &["127.0.0.1:1", "--listen", &taken]),
    ] {
        refuses(name, args, "Address already in use");
    }
    drop(listening);
    refuses("crawler", &["--at-once", "many"], "--at-once <N>");
}

/// A proxy for a target of the test's own.
struct Through {
    target: TcpListener,
    proxy: Running,
}

impl Through {
    fn new(procs: usize) -> Self {
        let target = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = target.local_addr().unwrap().to_string();
        let args = [&address, "--listen", "127.0.0.1:0", "--verbose"];
        let proxy = starts("proxy", &args, procs);
        Self { target, proxy }
    }

    /// Both ends of a connection through it.
    fn pair(&self) -> (TcpStream, TcpStream) {
        let client = connect(&self.proxy);
        let (server, _) = self.target.accept().unwrap();
        (client, with_deadline(server))
    }
}

fn on_one_and_four(check: impl Fn(&Through)) {
    for procs in [1, 4] {
        let through = Through::new(procs);
        check(&through);
        through.proxy.terminate();
        let ended = ends_well(through.proxy);
        let last = ended.stdout.lines().last();
        assert_eq!(last, Some("all connections have ended"));
    }
}

#[test]
fn proxy_passes_on_much_in_both_directions_at_once() {
    on_one_and_four(|through| {
        let pairs: Vec<_> = (0..5).map(|_| through.pair()).collect();
        thread::scope(|scope| {
            for (n, (client, server)) in pairs.iter().enumerate() {
                for (me, end) in [client, server].into_iter().enumerate() {
                    let of = move |me: usize| -> Vec<u8> {
                        let step = 2 * n + me + 1;
                        (0..2_000_000).map(|at| (at * step % 251) as u8).collect()
                    };
                    scope.spawn(move || {
                        { end }.write_all(&of(me)).unwrap();
                        end.shutdown(Shutdown::Write).unwrap();
                    });
                    scope.spawn(move || assert!(rest(end) == of(1 - me)));
                }
            }
        });
    });
}

/// Who has said all may still listen, on either side.
#[test]
fn proxy_passes_on_the_end_of_one_direction_alone() {
    on_one_and_four(|through| {
        for client_is_first in [true, false] {
            let (client, server) = through.pair();
            let (mut first, mut last) = match client_is_first {
                true => (client, server),
                false => (server, client),
            };
            first.write_all(b"all I have to say").unwrap();
            first.shutdown(Shutdown::Write).unwrap();
            assert_eq!(rest(&last), b"all I have to say");
            for word in ["I ", "have ", "much ", "more"] {
                last.write_all(word.as_bytes()).unwrap();
                let mut heard = vec![0; word.len()];
                first.read_exact(&mut heard).unwrap();
                assert_eq!(heard, word.as_bytes());
            }
            last.shutdown(Shutdown::Write).unwrap();
            assert_eq!(rest(&first), b"");
        }

        let (client, mut server) = through.pair();
        server.write_all(b"welcome").unwrap();
        server.shutdown(Shutdown::Write).unwrap();
        assert_eq!(rest(&client), b"welcome");
        (&client).write_all(b"thank you").unwrap();
        drop(client);
        assert_eq!(rest(&server), b"thank you");
    });
}

/// Half an answer must not pass for a whole one.
#[test]
fn proxy_passes_on_a_reset_as_a_reset() {
    on_one_and_four(|through| {
        for is_client in [true, false] {
            let (client, server) = through.pair();
            let (mut breaks, mut stays) = match is_client {
                true => (client, server),
                false => (server, client),
            };
            breaks.write_all(b"half an ans").unwrap();
            stays.read_exact(&mut [0; 11]).unwrap();
            reset(breaks);
            let error = stays.read(&mut [0; 1]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        }
    });
}

/// What nobody takes at one end is not taken at the other: the proxy holds a
/// buffer and no more.
#[test]
fn proxy_holds_back_who_sends_to_one_that_does_not_read() {
    on_one_and_four(|through| {
        let (mut client, server) = through.pair();
        client
            .set_write_timeout(Some(Duration::from_millis(500)))
            .unwrap();
        let block = vec![7; 1 << 20];
        let mut sent = 0;
        let error: io::Error = loop {
            match client.write(&block) {
                Ok(written) => sent += written,
                Err(error) => break error,
            }
            assert!(sent < 100 << 20, "{sent} bytes are somewhere");
        };
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(rest(&server).len(), sent);
    });
}

#[test]
fn proxy_refuses_for_a_target_that_is_gone() {
    let Through { target, proxy } = Through::new(2);
    drop(target);
    let error = connect(&proxy).read(&mut [0; 1]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    proxy.terminate();
    let ended = proxy.ends();
    assert!(ended.status.success());
    assert!(
        ended.stderr.contains("Connection refused"),
        "{}",
        ended.stderr
    );
}

#[test]
fn crawler() {
    for procs in [1, 4] {
        for (pages, at_once) in [(1, 1), (300, 1), (300, 20)] {
            let (pages_arg, at_once_arg) = (pages.to_string(), at_once.to_string());
            let args = ["-p", &*pages_arg, "-a", &*at_once_arg, "-t", "1"];
            let ended = Example::new("crawler").args(&args).procs(procs).succeeds();
            let tens = (pages + 9) / 10;
            // Each but the first is linked to once from its parent, and each
            // links to one somewhere.
            let links = pages - 1 + pages + tens;
            for line in [
                format!("\npages      {pages}\n"),
                format!("\nlinks      {links}, broken {tens}\n"),
            ] {
                assert!(ended.stdout.contains(&line), "{line}: {}", ended.stdout);
            }
            let most = ended.stdout.split("at once    ").nth(1);
            let most = most.and_then(|rest| rest.split(' ').next()?.parse().ok());
            assert!(most.is_some_and(|most: u64| (1..=at_once).contains(&most)));
            assert_eq!(ended.stderr, "");
        }
    }
}
