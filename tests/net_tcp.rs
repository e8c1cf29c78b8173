//! TCP: what std promises, and that only goroutines wait.

mod common;

use common::{MODES, everywhere, limit, on_runtimes, runtime, with_deadline};
use raddle::chan::{bounded, unbounded};
use raddle::net::{Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::net as std_net;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

const SHORT: Duration = Duration::from_millis(30);

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let address = listener.local_addr().expect("its address");
    (listener, address)
}

/// Two ends of one connection.
fn pair() -> (TcpStream, TcpStream) {
    let (listener, address) = listener();
    let client = TcpStream::connect(address).expect("a connection");
    let (server, from) = listener.accept().expect("the connection");
    assert_eq!(from, client.local_addr().unwrap());
    (client, server)
}

fn kind<T>(result: io::Result<T>) -> ErrorKind {
    match result {
        Ok(_) => panic!("it did not fail"),
        Err(error) => error.kind(),
    }
}

/// A server whose goroutines send back what they get, until the listener's
/// deadline is set.
fn echo_server(listener: TcpListener) -> raddle::JoinHandle<()> {
    raddle::spawn(move || {
        raddle::scope(|scope| {
            for stream in listener.incoming() {
                match stream {
                    Ok(stream) => scope.go(move || {
                        io::copy(&mut &stream, &mut &stream).expect("an echo");
                    }),
                    Err(error) if error.kind() == ErrorKind::TimedOut => break,
                    Err(error) => panic!("{error}"),
                }
            }
        });
    })
}

#[test]
fn many_connections_have_their_echoes() {
    everywhere(limit(30), || {
        let (listener, address) = listener();
        let stop = listener.try_clone().unwrap();
        let server = echo_server(listener);
        raddle::scope(|scope| {
            for client in 0..50_u8 {
                scope.go(move || {
                    let mut stream = TcpStream::connect(address).unwrap();
                    stream.set_nodelay(true).unwrap();
                    let mut buffer = [0; 300];
                    for round in 0..20 {
                        let text = [client ^ round; 300];
                        stream.write_all(&text).unwrap();
                        stream.read_exact(&mut buffer).unwrap();
                        assert_eq!(buffer, text);
                    }
                });
            }
        });
        stop.set_deadline(Some(Instant::now()));
        server.join().unwrap();
    });
}

#[test]
fn much_goes_through_in_both_directions_at_once() {
    everywhere(limit(30), || {
        const MUCH: usize = 3_000_000;
        let (client, server) = pair();
        let ends = [Arc::new(client), Arc::new(server)];
        raddle::scope(|scope| {
            for end in &ends {
                scope.go(move || {
                    let block: Vec<u8> = (0..=250).collect();
                    let mut sent = 0;
                    while sent < MUCH {
                        let from = sent % block.len();
                        sent += (&**end).write(&block[from..]).unwrap();
                    }
                    end.shutdown(Shutdown::Write).unwrap();
                });
                scope.go(move || {
                    let mut all = Vec::new();
                    (&**end).read_to_end(&mut all).unwrap();
                    assert!(all.len() >= MUCH);
                    assert!(
                        all.iter()
                            .enumerate()
                            .all(|(at, byte)| at % 251 == usize::from(*byte))
                    );
                });
            }
        });
    });
}

#[test]
fn half_closed_streams_go_on_the_other_way() {
    everywhere(limit(20), || {
        let (mut client, mut server) = pair();
        let answer = raddle::spawn(move || {
            let mut text = String::new();
            server.read_to_string(&mut text).unwrap();
            server.write_all(text.to_uppercase().as_bytes()).unwrap();
        });
        client.write_all(b"half closed").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut text = String::new();
        client.read_to_string(&mut text).unwrap();
        assert_eq!(text, "HALF CLOSED");
        answer.join().unwrap();
        assert_eq!(
            client.read(&mut [0; 8]).unwrap(),
            0,
            "the end stays the end"
        );
    });
}

#[test]
fn a_reset_by_the_peer_reaches_who_waits() {
    everywhere(limit(20), || {
        let (client, server) = pair();
        let reader = raddle::spawn(move || kind((&client).read(&mut [0; 8])));
        server.set_linger(Some(Duration::ZERO)).unwrap();
        assert_eq!(server.linger().unwrap(), Some(Duration::ZERO));
        drop(server);
        assert_eq!(reader.join().unwrap(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_refused_connection_says_so() {
    everywhere(limit(20), || {
        let (listener, address) = listener();
        drop(listener);
        assert_eq!(
            kind(TcpStream::connect(address)),
            ErrorKind::ConnectionRefused
        );
        let nobody = TcpStream::connect_timeout(&address, Duration::from_secs(5));
        assert_eq!(kind(nobody), ErrorKind::ConnectionRefused);
    });
}

/// A listener whose queue is full does not answer.
#[test]
fn a_connection_that_nobody_answers_times_out() {
    everywhere(limit(20), || {
        let (listener, address) = listener();
        // As it is, its queue is long.
        rustix::net::listen(&listener, 8).unwrap();
        let mut waiting = Vec::new();
        let last = loop {
            match TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
                Ok(stream) => waiting.push(stream),
                Err(error) => break error,
            }
            if waiting.len() > 5_000 {
                // The queue has no end here.
                return;
            }
        };
        assert_eq!(last.kind(), ErrorKind::TimedOut);
        drop(listener);
    });
}

#[test]
fn a_peer_that_never_reads_is_met_by_a_write_deadline() {
    everywhere(limit(20), || {
        let (mut client, server) = pair();
        let block = vec![7; 1 << 20];
        let begin = Instant::now();
        client.set_write_deadline(Some(begin + SHORT));
        assert_eq!(fill(&mut client, &block), ErrorKind::TimedOut);
        assert!(begin.elapsed() >= SHORT);
        // Over is over, until the deadline is another.
        assert_eq!(kind(client.write(b"x")), ErrorKind::TimedOut);
        client.set_write_deadline(None);
        client.set_write_timeout(Some(SHORT)).unwrap();
        assert_eq!(fill(&mut client, &block), ErrorKind::WouldBlock);
        drop(server);
    });
}

/// Writes until it fails.
fn fill(stream: &mut TcpStream, block: &[u8]) -> ErrorKind {
    loop {
        if let Err(error) = stream.write(block) {
            return error.kind();
        }
    }
}

#[test]
fn deadlines_act_on_calls_that_wait() {
    everywhere(limit(20), || {
        let (client, server) = pair();
        let client = Arc::new(client);
        let (tell, told) = bounded(0);
        let reader = raddle::spawn({
            let client = client.clone();
            move || {
                tell.send(()).unwrap();
                (
                    kind((&*client).read(&mut [0; 8])),
                    kind(client.peek(&mut [0; 8])),
                )
            }
        });
        told.recv().unwrap();
        raddle::time::sleep(Duration::from_millis(5));
        client.set_read_deadline(Some(Instant::now() + SHORT));
        // One that comes later pushes it out, one that comes sooner pulls it in.
        client.set_read_deadline(Some(Instant::now() + Duration::from_secs(3600)));
        client.set_read_deadline(Some(Instant::now() + SHORT));
        assert_eq!(
            reader.join().unwrap(),
            (ErrorKind::TimedOut, ErrorKind::TimedOut)
        );
        client.set_deadline(None);
        (&server).write_all(b"late").unwrap();
        let mut buffer = [0; 4];
        (&*client).read_exact(&mut buffer).unwrap();
        assert_eq!(&buffer, b"late");
    });
}

#[test]
fn a_deadline_holds_for_clones_and_listeners() {
    everywhere(limit(20), || {
        let (client, _server) = pair();
        let clone = client.try_clone().unwrap();
        let reader = raddle::spawn(move || kind((&clone).read(&mut [0; 8])));
        client.set_read_deadline(Some(Instant::now() + SHORT));
        assert_eq!(reader.join().unwrap(), ErrorKind::TimedOut);
        let (listener, _) = listener();
        let clone = listener.try_clone().unwrap();
        let acceptor = raddle::spawn(move || kind(clone.accept()));
        listener.set_deadline(Some(Instant::now() + SHORT));
        assert_eq!(acceptor.join().unwrap(), ErrorKind::TimedOut);
    });
}

#[test]
fn timeouts_are_as_in_std() {
    everywhere(limit(20), || {
        let (client, _server) = pair();
        let clone = client.try_clone().unwrap();
        assert_eq!(
            kind(client.set_read_timeout(Some(Duration::ZERO))),
            ErrorKind::InvalidInput
        );
        assert_eq!(
            kind(client.set_write_timeout(Some(Duration::ZERO))),
            ErrorKind::InvalidInput
        );
        let nobody = TcpStream::connect_timeout(&client.peer_addr().unwrap(), Duration::ZERO);
        assert_eq!(kind(nobody), ErrorKind::InvalidInput);
        client.set_read_timeout(Some(SHORT)).unwrap();
        assert_eq!(
            clone.read_timeout().unwrap(),
            client.read_timeout().unwrap()
        );
        assert!(client.read_timeout().unwrap().is_some());
        for stream in [&client, &clone] {
            let begin = Instant::now();
            let error = { stream }.read(&mut [0; 8]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
            assert_eq!(error.raw_os_error(), std_timeout().raw_os_error());
            assert!(begin.elapsed() >= SHORT);
        }
        client.set_read_timeout(None).unwrap();
        assert_eq!(clone.read_timeout().unwrap(), None);
    });
}

/// What std gives for a read that times out.
fn std_timeout() -> io::Error {
    let listener = std_net::TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = std_net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_millis(1)))
        .unwrap();
    (&stream).read(&mut [0; 8]).unwrap_err()
}

#[test]
fn set_nonblocking_is_shown() {
    everywhere(limit(20), || {
        let (listener, address) = listener();
        listener.set_nonblocking(true).unwrap();
        assert_eq!(kind(listener.accept()), ErrorKind::WouldBlock);
        listener.set_nonblocking(false).unwrap();
        let client = TcpStream::connect(address).unwrap();
        let (server, _) = listener.accept().unwrap();
        let clone = client.try_clone().unwrap();
        client.set_nonblocking(true).unwrap();
        assert_eq!(kind((&clone).read(&mut [0; 8])), ErrorKind::WouldBlock);
        clone.set_nonblocking(false).unwrap();
        let writer = raddle::spawn(move || (&server).write_all(b"x").unwrap());
        assert_eq!((&client).read(&mut [0; 8]).unwrap(), 1);
        writer.join().unwrap();
    });
}

/// The one who is asked for is at home on the same machine.
#[test]
fn a_loop_that_asks_again_and_again_lets_others_run() {
    on_runtimes(&[1, 2], &MODES, limit(20), |runtime, _| {
        runtime.run(|| {
            let (mut client, mut server) = pair();
            client.set_nonblocking(true).unwrap();
            let (tell, told) = bounded(1);
            let writer = raddle::spawn(move || {
                tell.send(()).unwrap();
                raddle::time::sleep(Duration::from_millis(1));
                server.write_all(b"x").unwrap();
            });
            told.recv().unwrap();
            while client.read(&mut [0; 8]).is_err() {}
            writer.join().unwrap();
        });
    });
}

#[test]
fn shutdown_wakes_who_waits_on_a_clone() {
    everywhere(limit(20), || {
        let (client, _server) = pair();
        let (tell, told) = unbounded();
        let readers: Vec<_> = (0..3)
            .map(|_| {
                let (clone, tell) = (client.try_clone().unwrap(), tell.clone());
                raddle::spawn(move || {
                    tell.send(()).unwrap();
                    (&clone).read(&mut [0; 8]).unwrap()
                })
            })
            .collect();
        for _ in 0..3 {
            told.recv().unwrap();
        }
        raddle::time::sleep(Duration::from_millis(5));
        client.shutdown(Shutdown::Both).unwrap();
        for reader in readers {
            assert_eq!(reader.join().unwrap(), 0);
        }
        assert_eq!(kind((&client).write(b"x")), ErrorKind::BrokenPipe);
    });
}

/// The clone that was registered is closed; the others are told on.
#[test]
fn a_clone_outlives_the_one_that_waited_first() {
    everywhere(limit(20), || {
        let (client, server) = pair();
        client
            .set_read_timeout(Some(Duration::from_millis(1)))
            .unwrap();
        assert_eq!(kind((&client).read(&mut [0; 8])), ErrorKind::WouldBlock);
        client.set_read_timeout(None).unwrap();
        let clone = client.try_clone().unwrap();
        let number = client.as_raw_fd();
        drop(client);
        // Takes the number, and is registered under it.
        let (other, other_server) = pair();
        assert!(number == other.as_raw_fd() || number == other_server.as_raw_fd() || number > 0);
        other
            .set_read_timeout(Some(Duration::from_millis(1)))
            .unwrap();
        assert_eq!(kind((&other).read(&mut [0; 8])), ErrorKind::WouldBlock);
        other.set_read_timeout(None).unwrap();
        let readers = [clone, other].map(|stream| {
            raddle::spawn(move || {
                let read = (&stream).read(&mut [0; 8]).unwrap();
                // Given up while the other waits or not.
                let _std = std_net::TcpStream::from(stream);
                read
            })
        });
        for server in [&server, &other_server] {
            { server }.write_all(b"xy").unwrap();
        }
        for reader in readers {
            assert_eq!(reader.join().unwrap(), 2);
        }
    });
}

#[test]
fn numbers_of_descriptors_are_used_again() {
    everywhere(limit(30), || {
        let (listener, address) = listener();
        for round in 0..200_u8 {
            let client = TcpStream::connect(address).unwrap();
            let (mut server, _) = listener.accept().unwrap();
            let reader = raddle::spawn(move || {
                let mut buffer = [0; 1];
                (&client).read_exact(&mut buffer).unwrap();
                buffer[0]
            });
            raddle::yield_now();
            server.write_all(&[round]).unwrap();
            assert_eq!(reader.join().unwrap(), round);
        }
    });
}

#[test]
fn many_accept_from_one_listener() {
    everywhere(limit(30), || {
        let (listener, address) = listener();
        let listener = Arc::new(listener);
        let acceptors: Vec<_> = (0..16)
            .map(|_| {
                let listener = listener.clone();
                raddle::spawn(move || {
                    let mut accepted = 0;
                    while let Ok((stream, _)) = listener.accept() {
                        (&stream).write_all(b"!").unwrap();
                        accepted += 1;
                    }
                    accepted
                })
            })
            .collect();
        for _ in 0..100 {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.read_exact(&mut [0; 1]).unwrap();
        }
        listener.set_deadline(Some(Instant::now()));
        let all: u32 = acceptors.into_iter().map(|one| one.join().unwrap()).sum();
        assert_eq!(all, 100);
    });
}

#[test]
fn many_read_from_one_stream() {
    everywhere(limit(30), || {
        let (client, mut server) = pair();
        let client = Arc::new(client);
        let readers: Vec<_> = (0..16)
            .map(|_| {
                let client = client.clone();
                raddle::spawn(move || {
                    let mut sum = 0;
                    let mut buffer = [0; 7];
                    loop {
                        match (&*client).read(&mut buffer).unwrap() {
                            0 => return sum,
                            some => {
                                sum += buffer[..some].iter().map(|b| u64::from(*b)).sum::<u64>()
                            }
                        }
                    }
                })
            })
            .collect();
        let mut sent = 0;
        for round in 0..400_u64 {
            let byte = (round % 200) as u8 + 1;
            server.write_all(&[byte; 5]).unwrap();
            sent += 5 * u64::from(byte);
            if round % 16 == 0 {
                raddle::yield_now();
            }
        }
        drop(server);
        let read: u64 = readers.into_iter().map(|one| one.join().unwrap()).sum();
        assert_eq!(read, sent);
    });
}

#[test]
fn many_short_connections_to_one_loop() {
    everywhere(limit(60), || {
        let (listener, address) = listener();
        let stop = listener.try_clone().unwrap();
        let server = echo_server(listener);
        raddle::scope(|scope| {
            for _ in 0..8 {
                scope.go(|| {
                    for _ in 0..40 {
                        let mut stream = TcpStream::connect(address).unwrap();
                        stream.write_all(b"short").unwrap();
                        stream.shutdown(Shutdown::Write).unwrap();
                        let mut text = String::new();
                        stream.read_to_string(&mut text).unwrap();
                        assert_eq!(text, "short");
                    }
                });
            }
        });
        stop.set_deadline(Some(Instant::now()));
        server.join().unwrap();
    });
}

#[test]
fn nothing_is_read_and_written() {
    everywhere(limit(20), || {
        let (mut client, mut server) = pair();
        assert_eq!(client.read(&mut []).unwrap(), 0);
        assert_eq!(client.peek(&mut []).unwrap(), 0);
        assert_eq!(client.read_vectored(&mut []).unwrap(), 0);
        assert_eq!(client.write(&[]).unwrap(), 0);
        assert_eq!(client.write_vectored(&[]).unwrap(), 0);
        server.write_all(b"some").unwrap();
        let mut buffer = [0; 4];
        client.read_exact(&mut buffer).unwrap();
        assert_eq!(&buffer, b"some");
        assert_eq!(client.read(&mut []).unwrap(), 0);
    });
}

#[test]
fn vectors_are_read_and_written_at_once() {
    everywhere(limit(20), || {
        let (mut client, mut server) = pair();
        let parts = [
            IoSlice::new(b"one "),
            IoSlice::new(b""),
            IoSlice::new(b"two"),
        ];
        assert_eq!(client.write_vectored(&parts).unwrap(), 7);
        let (mut a, mut b) = ([0; 3], [0; 9]);
        let mut parts = [IoSliceMut::new(&mut a), IoSliceMut::new(&mut b)];
        assert_eq!(server.read_vectored(&mut parts).unwrap(), 7);
        assert_eq!((&a, &b[..4]), (b"one", &b" two"[..]));
    });
}

#[test]
fn peek_leaves_what_it_sees() {
    everywhere(limit(20), || {
        let (mut client, server) = pair();
        let writer = raddle::spawn(move || (&server).write_all(b"seen").unwrap());
        let mut buffer = [0; 2];
        assert_eq!(client.peek(&mut buffer).unwrap(), 2);
        assert_eq!(client.peek(&mut buffer).unwrap(), 2);
        assert_eq!(&buffer, b"se");
        let mut text = String::new();
        client.read_to_string(&mut text).unwrap();
        assert_eq!(text, "seen");
        writer.join().unwrap();
    });
}

/// The read before urgent data comes short, and has not left nothing.
#[test]
fn urgent_data_hides_nothing() {
    everywhere(limit(20), || {
        let (mut client, server) = pair();
        client
            .set_read_timeout(Some(Duration::from_millis(1)))
            .unwrap();
        assert_eq!(kind(client.read(&mut [0; 8])), ErrorKind::WouldBlock);
        client.set_read_timeout(None).unwrap();
        (&server).write_all(b"before").unwrap();
        rustix::net::send(&server, b"!", rustix::net::SendFlags::OOB).unwrap();
        (&server).write_all(b"after").unwrap();
        let mut all = Vec::new();
        let mut buffer = [0; 64];
        while all != b"beforeafter" {
            let read = client.read(&mut buffer).unwrap();
            all.extend_from_slice(&buffer[..read]);
        }
    });
}

#[test]
fn a_handler_that_panics_ends_its_connection_alone() {
    everywhere(limit(20), || {
        let (listener, address) = listener();
        let server = raddle::spawn(move || {
            for _ in 0..6 {
                let (stream, _) = listener.accept().unwrap();
                drop(raddle::spawn(move || {
                    let mut order = [0; 1];
                    (&stream).read_exact(&mut order).unwrap();
                    if order == *b"p" {
                        std::panic::panic_any(common::ON_PURPOSE);
                    }
                    (&stream).write_all(b"fine").unwrap();
                }));
            }
        });
        for order in [b"p", b"x", b"p", b"x", b"p", b"x"] {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(order).unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            assert_eq!(text, if order == b"p" { "" } else { "fine" });
        }
        server.join().unwrap();
    });
}

/// Those who wait for sockets are unwound, and their sockets closed.
#[test]
fn a_runtime_ends_with_connections_waiting() {
    on_runtimes(&[1, 2, 4], &MODES, limit(20), |given, what| {
        let _ = given;
        let (listener, address) = listener();
        let mode = if what.starts_with("Pinned") {
            MODES[0]
        } else {
            MODES[1]
        };
        let own = runtime(mode, 2);
        let (tell, told) = unbounded();
        let mut clients: Vec<TcpStream> = (0..20)
            .map(|_| {
                let client = TcpStream::connect(address).unwrap();
                let (server, _) = listener.accept().unwrap();
                let tell = tell.clone();
                drop(own.spawn(move || {
                    tell.send(()).unwrap();
                    let _never = (&server).read(&mut [0; 8]);
                }));
                client
            })
            .collect();
        for _ in 0..20 {
            told.recv().unwrap();
        }
        drop(own);
        for client in &mut clients {
            assert_eq!(client.read(&mut [0; 8]).unwrap(), 0, "closed");
        }
    });
}

#[test]
fn two_runtimes_and_a_thread_use_one_socket() {
    with_deadline(limit(20), "two runtimes", || {
        let (client, server) = pair();
        let client = Arc::new(client);
        let runtimes = MODES.map(|mode| runtime(mode, 1));
        let (tell, told) = unbounded();
        let read_one = |client: Arc<TcpStream>, tell: raddle::chan::Sender<u8>| {
            move || {
                let mut byte = [0; 1];
                for _ in 0..20 {
                    (&*client).read_exact(&mut byte).unwrap();
                    tell.send(byte[0]).unwrap();
                }
            }
        };
        let readers: Vec<_> = runtimes
            .iter()
            .map(|runtime| runtime.spawn(read_one(client.clone(), tell.clone())))
            .collect();
        let thread = thread::spawn(read_one(client.clone(), tell.clone()));
        let mut seen = [false; 60];
        for byte in 0..60 {
            (&server).write_all(&[byte]).unwrap();
            seen[usize::from(told.recv().unwrap())] = true;
        }
        assert_eq!(seen, [true; 60]);
        for reader in readers {
            reader.join().unwrap();
        }
        thread.join().unwrap();
        drop(runtimes);
        // The thread's registration is left, and serves.
        let client = Arc::into_inner(client).unwrap();
        let waits = thread::spawn(move || (&client).read(&mut [0; 8]).unwrap());
        (&server).write_all(b"abc").unwrap();
        assert_eq!(waits.join().unwrap(), 3);
    });
}

#[test]
fn ipv6_and_names() {
    everywhere(limit(20), || {
        let listener = match TcpListener::bind("[::1]:0") {
            Ok(listener) => listener,
            Err(error) if error.kind() == ErrorKind::AddrNotAvailable => return,
            Err(error) => panic!("{error}"),
        };
        let address = listener.local_addr().unwrap();
        assert!(address.is_ipv6());
        let client = TcpStream::connect(address).unwrap();
        assert_eq!(listener.accept().unwrap().1, client.local_addr().unwrap());
    });
    everywhere(limit(20), || {
        let (listener, address) = listener();
        let client = TcpStream::connect(("localhost", address.port())).unwrap();
        let _server = listener.accept().unwrap();
        assert_eq!(client.peer_addr().unwrap().port(), address.port());
        let name = format!("localhost:{}", address.port());
        let found: Vec<SocketAddr> = name.to_socket_addrs().unwrap().collect();
        assert!(found.contains(&address), "{found:?}");
        let std_found = std_net::ToSocketAddrs::to_socket_addrs(&name).unwrap();
        assert_eq!(found, std_found.collect::<Vec<_>>());
    });
}

/// The first that answers is taken; none, and text that is none, are errors
/// as in std.
#[test]
fn addresses_are_tried_in_turn() {
    everywhere(limit(20), || {
        let (dead, nobody) = listener();
        drop(dead);
        let (listener, address) = listener();
        let client = TcpStream::connect(&[nobody, address][..]).unwrap();
        assert_eq!(client.peer_addr().unwrap(), address);
        drop(listener);
        let none: &[SocketAddr] = &[];
        for bad in ["nonsense", "localhost:99999", ":::"] {
            let ours = TcpStream::connect(bad).unwrap_err();
            let std = std_net::TcpStream::connect(bad).unwrap_err();
            assert_eq!(
                (ours.kind(), ours.to_string()),
                (std.kind(), std.to_string())
            );
        }
        let ours = TcpStream::connect(none).unwrap_err();
        let std = std_net::TcpStream::connect(none).unwrap_err();
        assert_eq!(
            (ours.kind(), ours.to_string()),
            (std.kind(), std.to_string())
        );
    });
}

#[test]
fn sockets_come_from_std_and_go_back() {
    everywhere(limit(20), || {
        let std_listener = std_net::TcpListener::bind("127.0.0.1:0").unwrap();
        let listener = TcpListener::from(std_listener);
        let address = listener.local_addr().unwrap();
        let client = std_net::TcpStream::connect(address).unwrap();
        client.set_read_timeout(Some(SHORT)).unwrap();
        let client = TcpStream::from(client);
        assert_eq!(
            kind((&client).read(&mut [0; 1])),
            ErrorKind::WouldBlock,
            "its timeout"
        );
        let (server, _) = listener.accept().unwrap();
        // Debug is std's.
        let shown = format!("{client:?} {listener:?}");
        let fd = client.as_raw_fd();
        assert_eq!(client.as_fd().as_raw_fd(), fd);
        let std_client = std_net::TcpStream::from(client);
        let std_listener = std_net::TcpListener::from(listener);
        assert_eq!(shown, format!("{std_client:?} {std_listener:?}"));
        // It blocks again.
        std_client.set_read_timeout(None).unwrap();
        let writer = thread::spawn(move || {
            (&server).write_all(b"ab").unwrap();
            server
        });
        assert!((&std_client).read(&mut [0; 1]).unwrap() > 0);
        let server = writer.join().unwrap();
        // By number and by owner.
        let owned: OwnedFd = TcpStream::from(std_client).into();
        let client = TcpStream::from(owned);
        let number = client.into_raw_fd();
        let client = from_number(number);
        (&server).write_all(b"c").unwrap();
        let mut buffer = [0; 2];
        (&client).read_exact(&mut buffer).unwrap();
        assert_eq!(&buffer, b"bc");
    });
}

#[allow(unsafe_code, reason = "what is to be tested")]
fn from_number(number: i32) -> TcpStream {
    // SAFETY: the caller gave it up.
    unsafe { TcpStream::from_raw_fd(number) }
}

#[test]
fn options_are_the_systems() {
    with_deadline(limit(10), "", || {
        let (client, _server) = pair();
        client.set_nodelay(true).unwrap();
        assert!(client.nodelay().unwrap());
        client.set_ttl(42).unwrap();
        assert_eq!(client.ttl().unwrap(), 42);
        assert!(client.take_error().unwrap().is_none());
        assert_eq!(client.linger().unwrap(), None);
        let (listener, _) = listener();
        listener.set_ttl(43).unwrap();
        assert_eq!(listener.ttl().unwrap(), 43);
        assert!(listener.take_error().unwrap().is_none());
    });
}

#[test]
fn handles_may_go_anywhere() {
    fn check<T: Send + Sync + Unpin + UnwindSafe + RefUnwindSafe>() {}
    check::<TcpStream>();
    check::<TcpListener>();
    check::<raddle::net::Incoming<'static>>();
    check::<raddle::net::UdpSocket>();
}

/// While goroutines run without end, sockets are looked at all the same.
#[test]
fn sockets_are_served_beside_busy_goroutines() {
    on_runtimes(&[1, 2], &MODES, limit(30), |runtime, what| {
        let (listener, address) = listener();
        let (stop, stopped) = bounded::<()>(0);
        let (ping, pong) = (bounded::<()>(1), bounded::<()>(1));
        let yields = runtime.spawn({
            let stopped = stopped.clone();
            move || {
                while stopped.try_recv() == Err(raddle::chan::TryRecvError::Empty) {
                    raddle::yield_now();
                }
            }
        });
        let partner = runtime.spawn({
            let (take, give) = (ping.1.clone(), pong.0.clone());
            move || {
                while take.recv().is_ok() {
                    let _gone = give.send(());
                }
            }
        });
        let plays = runtime.spawn(move || {
            let (give, take) = (ping.0, pong.1);
            while stopped.try_recv() == Err(raddle::chan::TryRecvError::Empty) {
                give.send(()).unwrap();
                take.recv().unwrap();
            }
        });
        let server = runtime.spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut byte = [0; 1];
            while stream.read(&mut byte).unwrap() == 1 {
                stream.write_all(&byte).unwrap();
            }
        });
        let mut client = std_net::TcpStream::connect(address).unwrap();
        let mut times: Vec<Duration> = (0..50)
            .map(|_| {
                let begin = Instant::now();
                client.write_all(b"?").unwrap();
                client.read_exact(&mut [0; 1]).unwrap();
                begin.elapsed()
            })
            .collect();
        drop(client);
        server.join().unwrap();
        drop(stop);
        yields.join().unwrap();
        plays.join().unwrap();
        partner.join().unwrap();
        times.sort();
        assert!(
            times[25] < Duration::from_millis(20),
            "{what}: {:?}",
            times[25]
        );
    });
}
