//! Sockets of the local machine: what std promises, and that only goroutines
//! wait.

mod common;

use common::{everywhere, limit};
use raddle::chan::bounded;
use raddle::net::Shutdown;
use raddle::net::unix::{SocketAddr, UnixDatagram, UnixListener, UnixStream};
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::AsFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net as std_net;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

const SHORT: Duration = Duration::from_millis(30);

/// A path of its own, removed in the end.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        // ORDER: Relaxed: a number.
        let number = NEXT.fetch_add(1, Relaxed);
        let name = format!("raddle-unix-{}-{number}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _gone = std::fs::remove_file(&self.0);
    }
}

fn kind<T>(result: io::Result<T>) -> ErrorKind {
    match result {
        Ok(_) => panic!("it did not fail"),
        Err(error) => error.kind(),
    }
}

#[test]
fn many_connections_have_their_echoes() {
    everywhere(limit(30), || {
        let place = Place::new();
        let listener = UnixListener::bind(&place.0).unwrap();
        let stop = listener.try_clone().unwrap();
        let server = raddle::spawn(move || {
            raddle::scope(|scope| {
                while let Ok((stream, _)) = listener.accept() {
                    scope.go(move || {
                        io::copy(&mut &stream, &mut &stream).unwrap();
                    });
                }
            });
        });
        raddle::scope(|scope| {
            for client in 0..20_u8 {
                let place = &place;
                scope.go(move || {
                    let mut stream = UnixStream::connect(&place.0).unwrap();
                    let mut buffer = [0; 100];
                    for round in 0..20 {
                        stream.write_all(&[client ^ round; 100]).unwrap();
                        stream.read_exact(&mut buffer).unwrap();
                        assert_eq!(buffer, [client ^ round; 100]);
                    }
                });
            }
        });
        stop.set_deadline(Some(Instant::now()));
        server.join().unwrap();
    });
}

/// The system gives no word when a queue that was full has room.
#[test]
fn more_connect_than_the_queue_holds() {
    everywhere(limit(60), || {
        let address =
            SocketAddr::from_abstract_name(Place::new().0.as_os_str().as_encoded_bytes()).unwrap();
        let listener = std_net::UnixListener::bind_addr(&address).unwrap();
        rustix::net::listen(&listener, 2).unwrap();
        let listener = UnixListener::from(listener);
        raddle::scope(|scope| {
            for _ in 0..10 {
                let address = &address;
                scope.go(move || {
                    let mut stream = UnixStream::connect_addr(address).unwrap();
                    stream.read_exact(&mut [0; 1]).unwrap();
                });
            }
            raddle::time::sleep(Duration::from_millis(20));
            for stream in listener.incoming().take(10) {
                stream.unwrap().write_all(b"!").unwrap();
            }
        });
    });
}

#[test]
fn ends_half_closed_and_closed() {
    everywhere(limit(20), || {
        let (mut here, mut there) = UnixStream::pair().unwrap();
        let answer = raddle::spawn(move || {
            let mut text = String::new();
            there.read_to_string(&mut text).unwrap();
            there.write_all(text.to_uppercase().as_bytes()).unwrap();
        });
        here.write_all(b"half").unwrap();
        here.shutdown(Shutdown::Write).unwrap();
        let mut text = String::new();
        here.read_to_string(&mut text).unwrap();
        assert_eq!(text, "HALF");
        answer.join().unwrap();
        assert_eq!(kind(here.write(b"x")), ErrorKind::BrokenPipe);
        let (here, _there) = UnixStream::pair().unwrap();
        let clone = here.try_clone().unwrap();
        let reader = raddle::spawn(move || (&clone).read(&mut [0; 8]).unwrap());
        raddle::yield_now();
        here.shutdown(Shutdown::Both).unwrap();
        assert_eq!(reader.join().unwrap(), 0);
    });
}

#[test]
fn timeouts_deadlines_and_nonblocking() {
    everywhere(limit(20), || {
        let (mut here, there) = UnixStream::pair().unwrap();
        assert_eq!(
            kind(here.set_read_timeout(Some(Duration::ZERO))),
            ErrorKind::InvalidInput
        );
        here.set_read_timeout(Some(SHORT)).unwrap();
        let begin = Instant::now();
        assert_eq!(kind(here.read(&mut [0; 8])), ErrorKind::WouldBlock);
        assert!(begin.elapsed() >= SHORT);
        here.set_read_timeout(None).unwrap();
        here.set_nonblocking(true).unwrap();
        assert_eq!(kind(here.read(&mut [0; 8])), ErrorKind::WouldBlock);
        here.set_nonblocking(false).unwrap();
        let clone = here.try_clone().unwrap();
        let reader = raddle::spawn(move || kind((&clone).read(&mut [0; 8])));
        here.set_read_deadline(Some(Instant::now() + SHORT));
        assert_eq!(reader.join().unwrap(), ErrorKind::TimedOut);
        // A peer that never reads.
        here.set_write_deadline(Some(Instant::now() + SHORT));
        let error = loop {
            if let Err(error) = here.write(&[1; 65536]) {
                break error.kind();
            }
        };
        assert_eq!(error, ErrorKind::TimedOut);
        drop(there);
        let place = Place::new();
        let listener = UnixListener::bind(&place.0).unwrap();
        listener.set_nonblocking(true).unwrap();
        assert_eq!(kind(listener.accept()), ErrorKind::WouldBlock);
        listener.set_nonblocking(false).unwrap();
        listener.set_deadline(Some(Instant::now() + SHORT));
        assert_eq!(kind(listener.accept()), ErrorKind::TimedOut);
    });
}

/// A read ends where a descriptor was passed along, and has not left nothing.
#[test]
fn descriptors_passed_along_hide_nothing() {
    everywhere(limit(20), || {
        let (mut here, there) = UnixStream::pair().unwrap();
        let passed = [there.as_fd()];
        for _ in 0..3 {
            let mut space = [std::mem::MaybeUninit::uninit(); 64];
            let mut control = rustix::net::SendAncillaryBuffer::new(&mut space);
            assert!(control.push(rustix::net::SendAncillaryMessage::ScmRights(&passed)));
            let parts = [IoSlice::new(b"ab")];
            rustix::net::sendmsg(
                &there,
                &parts,
                &mut control,
                rustix::net::SendFlags::empty(),
            )
            .unwrap();
        }
        let mut all = 0;
        while all < 6 {
            all += here.read(&mut [0; 64]).unwrap();
        }
    });
}

#[test]
fn vectors_nothing_and_much() {
    everywhere(limit(20), || {
        let (mut here, mut there) = UnixStream::pair().unwrap();
        assert_eq!(here.read(&mut []).unwrap(), 0);
        assert_eq!(here.write(&[]).unwrap(), 0);
        let parts = [IoSlice::new(b"one "), IoSlice::new(b"two")];
        assert_eq!(here.write_vectored(&parts).unwrap(), 7);
        let (mut a, mut b) = ([0; 3], [0; 9]);
        let mut parts = [IoSliceMut::new(&mut a), IoSliceMut::new(&mut b)];
        assert_eq!(there.read_vectored(&mut parts).unwrap(), 7);
        assert_eq!((&a, &b[..4]), (b"one", &b" two"[..]));
        let writer = raddle::spawn(move || here.write_all(&vec![7; 2_000_000]).unwrap());
        let mut all = Vec::new();
        there.read_to_end(&mut all).unwrap();
        assert_eq!(all, vec![7; 2_000_000]);
        writer.join().unwrap();
    });
}

#[test]
fn datagrams_go_to_and_fro() {
    everywhere(limit(20), || {
        let (to_a, to_b) = (Place::new(), Place::new());
        let a = UnixDatagram::bind(&to_a.0).unwrap();
        let b = UnixDatagram::bind(&to_b.0).unwrap();
        let back = to_a.0.clone();
        let echo = raddle::spawn(move || {
            let mut buffer = [0; 64];
            for _ in 0..50 {
                let (size, from) = b.recv_from(&mut buffer).unwrap();
                assert_eq!(from.as_pathname(), Some(&*back));
                b.send_to_addr(&buffer[..size], &from).unwrap();
            }
        });
        let mut buffer = [0; 64];
        for round in 0..50_u8 {
            let text = vec![round; usize::from(round)];
            a.send_to(&text, &to_b.0).unwrap();
            assert_eq!(a.recv(&mut buffer).unwrap(), text.len());
        }
        echo.join().unwrap();
        assert_eq!(
            kind(UnixDatagram::unbound().unwrap().send(b"x")),
            ErrorKind::NotConnected
        );
    });
}

/// Whoever sends more than the receiver's queue holds waits, by name and
/// connected, until it is read or its time is over.
#[test]
fn datagrams_wait_for_room() {
    everywhere(limit(30), || {
        let place = Place::new();
        let receiver = UnixDatagram::bind(&place.0).unwrap();
        let path = place.0.clone();
        let (tell, told) = bounded(2);
        let full = UnixDatagram::unbound().unwrap();
        full.set_write_timeout(Some(SHORT)).unwrap();
        let sent = (0..100_000)
            .take_while(|_| match full.send_to(b"full", &path) {
                Ok(size) => size == 4,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock);
                    false
                }
            })
            .count();
        full.set_write_deadline(Some(Instant::now() + SHORT));
        assert_eq!(kind(full.send_to(b"late", &path)), ErrorKind::TimedOut);
        let senders = [true, false].map(|connected| {
            let (path, tell) = (path.clone(), tell.clone());
            raddle::spawn(move || {
                let socket = UnixDatagram::unbound().unwrap();
                if connected {
                    socket.connect(&path).unwrap();
                }
                tell.send(()).unwrap();
                for _ in 0..30 {
                    if connected {
                        socket.send(b"more").unwrap();
                    } else {
                        socket.send_to(b"more", &path).unwrap();
                    }
                }
            })
        });
        told.recv().unwrap();
        told.recv().unwrap();
        let mut buffer = [0; 8];
        for _ in 0..sent + 60 {
            assert_eq!(receiver.recv(&mut buffer).unwrap(), 4);
        }
        for sender in senders {
            sender.join().unwrap();
        }
    });
}

#[test]
fn datagram_pairs_and_their_ends() {
    everywhere(limit(20), || {
        let (here, there) = UnixDatagram::pair().unwrap();
        there.send(b"").unwrap();
        there.send(b"xyz").unwrap();
        let mut buffer = [0; 2];
        assert_eq!(here.recv(&mut buffer).unwrap(), 0);
        assert_eq!(here.recv(&mut buffer).unwrap(), 2);
        let reader = raddle::spawn({
            let clone = here.try_clone().unwrap();
            move || clone.recv(&mut [0; 8]).unwrap()
        });
        raddle::yield_now();
        here.shutdown(Shutdown::Both).unwrap();
        assert_eq!(reader.join().unwrap(), 0);
        let writer = raddle::spawn(move || {
            let (one, other) = UnixDatagram::pair().unwrap();
            let sender = raddle::spawn(move || {
                for _ in 0..2000 {
                    one.send(&[1; 1000]).unwrap();
                }
            });
            for _ in 0..2000 {
                assert_eq!(other.recv(&mut [0; 1024]).unwrap(), 1000);
            }
            sender.join().unwrap();
        });
        writer.join().unwrap();
    });
}

#[test]
fn sockets_come_from_std_and_go_back() {
    everywhere(limit(20), || {
        let (std, mut other) = std_net::UnixStream::pair().unwrap();
        let shown = format!("{std:?}");
        let stream = UnixStream::from(std);
        assert_eq!(format!("{stream:?}"), shown);
        let mut std = std_net::UnixStream::from(stream);
        std.set_read_timeout(Some(SHORT)).unwrap();
        let begin = Instant::now();
        assert_eq!(kind(std.read(&mut [0; 1])), ErrorKind::WouldBlock);
        assert!(begin.elapsed() >= SHORT, "it blocks");
        other.write_all(b"x").unwrap();
        assert_eq!(UnixStream::from(std).read(&mut [0; 8]).unwrap(), 1);
    });
}
