//! UDP: what std promises, and that only goroutines wait.

mod common;

use common::{everywhere, limit};
use raddle::net::{SocketAddr, UdpSocket};
use std::io::ErrorKind;
use std::net as std_net;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

const SHORT: Duration = Duration::from_millis(30);

fn socket() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let address = socket.local_addr().expect("its address");
    (socket, address)
}

#[test]
fn datagrams_go_to_and_fro() {
    everywhere(limit(20), || {
        let ((a, to_a), (b, to_b)) = (socket(), socket());
        let echo = raddle::spawn(move || {
            let mut buffer = [0; 64];
            for _ in 0..50 {
                let (size, from) = b.recv_from(&mut buffer).unwrap();
                assert_eq!(from, to_a);
                b.send_to(&buffer[..size], from).unwrap();
            }
        });
        let mut buffer = [0; 64];
        for round in 0..50_u8 {
            let text = vec![round; usize::from(round)];
            a.send_to(&text, to_b).unwrap();
            assert_eq!(a.recv_from(&mut buffer).unwrap(), (text.len(), to_b));
            assert_eq!(&buffer[..text.len()], text);
        }
        echo.join().unwrap();
    });
}

#[test]
fn connected_sockets_send_and_receive() {
    everywhere(limit(20), || {
        let ((a, to_a), (b, to_b)) = (socket(), socket());
        a.connect(to_b).unwrap();
        b.connect(("127.0.0.1", to_a.port())).unwrap();
        assert_eq!(a.peer_addr().unwrap(), to_b);
        let sender = raddle::spawn(move || b.send(b"well").unwrap());
        let mut buffer = [0; 2];
        assert_eq!(a.peek(&mut buffer).unwrap(), 2);
        assert_eq!(a.peek_from(&mut buffer).unwrap(), (2, to_b));
        let mut buffer = [0; 16];
        assert_eq!(a.recv(&mut buffer).unwrap(), 4);
        assert_eq!(sender.join().unwrap(), 4);
    });
}

/// Several lie there, and what is short is not the last of them.
#[test]
fn datagrams_of_no_bytes_and_many_at_once() {
    everywhere(limit(20), || {
        let ((a, to_a), (b, _)) = (socket(), socket());
        for size in [0, 3, 0, 1] {
            b.send_to(&[1; 8][..size], to_a).unwrap();
        }
        let mut buffer = [0; 8];
        for size in [0, 3, 0, 1] {
            assert_eq!(a.recv(&mut buffer).unwrap(), size);
        }
        let none: &[SocketAddr] = &[];
        let ours = a.send_to(b"", none).unwrap_err();
        let std = std_net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let std = std.send_to(b"", none).unwrap_err();
        assert_eq!(
            (ours.kind(), ours.to_string()),
            (std.kind(), std.to_string())
        );
    });
}

#[test]
fn timeouts_deadlines_and_nonblocking() {
    everywhere(limit(20), || {
        let (a, to_a) = socket();
        let mut buffer = [0; 8];
        assert_eq!(
            a.set_read_timeout(Some(Duration::ZERO)).unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
        a.set_read_timeout(Some(SHORT)).unwrap();
        let begin = Instant::now();
        assert_eq!(
            a.recv(&mut buffer).unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
        assert!(begin.elapsed() >= SHORT);
        a.set_read_timeout(None).unwrap();
        let clone = a.try_clone().unwrap();
        let reader = raddle::spawn(move || clone.recv_from(&mut [0; 8]).unwrap_err().kind());
        a.set_read_deadline(Some(Instant::now() + SHORT));
        assert_eq!(reader.join().unwrap(), ErrorKind::TimedOut);
        a.set_deadline(None);
        a.set_nonblocking(true).unwrap();
        assert_eq!(
            a.recv(&mut buffer).unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
        a.set_nonblocking(false).unwrap();
        a.send_to(b"self", to_a).unwrap();
        assert_eq!(a.recv_from(&mut buffer).unwrap(), (4, to_a));
    });
}

#[test]
fn sockets_come_from_std_and_go_back() {
    everywhere(limit(20), || {
        let std = std_net::UdpSocket::bind("127.0.0.1:0").unwrap();
        std.set_read_timeout(Some(SHORT)).unwrap();
        let shown = format!("{std:?}");
        let socket = UdpSocket::from(std);
        assert_eq!(format!("{socket:?}"), shown);
        assert_eq!(
            socket.recv(&mut [0; 8]).unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
        socket.set_broadcast(true).unwrap();
        let number = socket.as_raw_fd();
        let std = std_net::UdpSocket::from(socket);
        assert_eq!(std.as_raw_fd(), number);
        assert!(std.broadcast().unwrap());
        let begin = Instant::now();
        assert_eq!(
            std.recv(&mut [0; 8]).unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
        assert!(begin.elapsed() >= SHORT, "it blocks");
    });
}

#[test]
fn options_are_the_systems() {
    let (socket, _) = socket();
    socket.set_ttl(9).unwrap();
    assert_eq!(socket.ttl().unwrap(), 9);
    socket.set_multicast_ttl_v4(3).unwrap();
    assert_eq!(socket.multicast_ttl_v4().unwrap(), 3);
    socket.set_multicast_loop_v4(false).unwrap();
    assert!(!socket.multicast_loop_v4().unwrap());
    assert!(socket.take_error().unwrap().is_none());
}
