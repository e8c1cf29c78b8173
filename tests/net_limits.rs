//! Sockets where descriptors are scarce, and sockets that are idle. Each in a
//! child process of its own.

mod common;

use common::{Mode, child, comes_true, is_child, runtime, stderr, stdout, switches};
use raddle::chan::{bounded, unbounded};
use raddle::net::{TcpListener, TcpStream};
use std::io::{ErrorKind, Read, Write};
use std::time::Duration;

fn in_child(name: &str) -> bool {
    if is_child() {
        return true;
    }
    let output = child(name, &[]);
    let text = stderr(&output);
    assert!(output.status.success(), "{text}{}", stdout(&output));
    false
}

fn limit_descriptors(most: u64) {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let limit = Rlimit {
        current: Some(most),
        maximum: Some(most),
    };
    setrlimit(Resource::Nofile, limit).unwrap();
}

/// An accept loop meets the error, goes on, and takes the connections that
/// have waited as soon as there are descriptors again.
#[test]
fn an_accept_loop_survives_the_want_of_descriptors() {
    if !in_child("an_accept_loop_survives_the_want_of_descriptors") {
        return;
    }
    // Plain threads wait by the default runtime, which needs some itself.
    raddle::run(|| ());
    limit_descriptors(100);
    for mode in [Mode::Pinned, Mode::Migrate] {
        for procs in [1, 2] {
            let runtime = runtime(mode, procs);
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let stop = listener.try_clone().unwrap();
            let mut clients = Vec::new();
            while let Ok(client) = TcpStream::connect(address) {
                clients.push(client);
            }
            assert!(clients.len() > 20);
            let (tell, told) = bounded(1);
            let server = runtime.spawn(move || {
                loop {
                    match listener.accept() {
                        Ok((mut stream, _)) => drop(raddle::spawn(move || {
                            let mut byte = [0; 1];
                            while stream.read(&mut byte).unwrap_or(0) == 1 {
                                let _gone = stream.write_all(&byte);
                            }
                        })),
                        Err(error) if error.raw_os_error() == Some(24) => {
                            let _told = tell.try_send(());
                        }
                        Err(error) => return error.kind(),
                    }
                }
            });
            told.recv().unwrap();
            // The last of them has no other end yet. Others go; it is served.
            let mut last = clients.pop().unwrap();
            last.write_all(b"!").unwrap();
            clients.clear();
            last.read_exact(&mut [0; 1]).unwrap();
            drop(last);
            stop.set_deadline(Some(std::time::Instant::now()));
            assert_eq!(server.join().unwrap(), ErrorKind::TimedOut);
        }
    }
}

/// A plain thread whose call would wait, when there is nothing left for the
/// runtime it would wait by.
#[test]
fn a_call_says_that_the_default_runtime_cannot_start() {
    if !in_child("a_call_says_that_the_default_runtime_cannot_start") {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    limit_descriptors(64);
    let taken: Vec<_> = std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect();
    let error = listener.accept().unwrap_err();
    assert_eq!(error.raw_os_error(), Some(24), "{error}");
    drop(taken);
    let address = listener.local_addr().unwrap();
    let client = std::thread::spawn(move || TcpStream::connect(address));
    listener.accept().unwrap();
    client.join().unwrap().unwrap();
}

#[test]
fn idle_connections_cost_no_switches() {
    if !in_child("idle_connections_cost_no_switches") {
        return;
    }
    let most = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let many = most.maximum.map_or(1000, |most| (most / 4).min(1000)) as usize;
    limit_descriptors(most.maximum.unwrap_or(4096).min(4096));
    let runtimes =
        [(Mode::Pinned, 2), (Mode::Migrate, 2)].map(|(mode, procs)| runtime(mode, procs));
    let mut clients = Vec::new();
    for runtime in &runtimes {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, told) = unbounded();
        drop(runtime.spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, tell) = (stream.unwrap(), tell.clone());
                drop(raddle::spawn(move || {
                    tell.send(()).unwrap();
                    while stream.read(&mut [0; 8]).unwrap_or(0) > 0 {
                        tell.send(()).unwrap();
                    }
                }));
            }
        }));
        for _ in 0..many / 2 {
            clients.push(std::net::TcpStream::connect(address).unwrap());
            told.recv().unwrap();
        }
        // Each has read once.
        for client in clients.iter_mut().rev().take(many / 2) {
            client.write_all(b"hello").unwrap();
            told.recv().unwrap();
        }
    }
    // One quiet time is enough: what wakes up without end does so in each.
    let quiet = comes_true(Duration::from_secs(30), || {
        let before = switches();
        std::thread::sleep(Duration::from_secs(2));
        before == switches()
    });
    assert!(quiet, "{:?}", switches());
}
