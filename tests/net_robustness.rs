//! Servers whose clients are slow, rude, deaf or many: each ends alone, and
//! nothing is left of it.

mod common;
#[path = "common/limits.rs"]
mod limits;

use common::{MODES, child, comes_true, descriptors, is_child, limit, on_runtimes, stderr};
use limits::raise_limit_of_descriptors;
use raddle::chan::{bounded, unbounded};
use raddle::context::Context;
use raddle::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use raddle::runtime::{Runtime, num_goroutines};
use raddle::sync::{Semaphore, WaitGroup};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

// ORDER: Relaxed everywhere here: counts, read when their writers have ended.

/// Descriptors and memory are the process's: one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `body` in a goroutine of each runtime, with nobody beside it.
fn everywhere(seconds: u64, body: impl Fn(&Runtime, &str) + Send + Sync + Clone) {
    let _alone = alone();
    raise_limit_of_descriptors();
    on_runtimes(&[1, 2, 4], &MODES, limit(seconds), |runtime, what| {
        runtime.run(|| body(runtime, what));
    });
}

/// In kibibytes, without what is shared.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("procfs");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number
        .and_then(|number| number.parse().ok())
        .expect("a number")
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let address = listener.local_addr().expect("its address");
    (listener, address)
}

/// Waits as a goroutine: those it waits for may be at home here.
#[track_caller]
fn becomes_true(what: &str, is_so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < Duration::from_secs(20), "{what}");
        raddle::time::sleep(Duration::from_millis(1));
    }
}

/// A server with a goroutine for each connection, until it is dropped.
struct Server {
    address: SocketAddr,
    stop: TcpListener,
    members: WaitGroup,
    /// How many connections have been taken.
    accepted: Arc<AtomicUsize>,
    before: (usize, usize),
}

impl Server {
    fn new(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        // The poller is there, and whatever else the first socket needs.
        let (listener, address) = listener();
        let first = TcpStream::connect(address).unwrap();
        drop((listener.accept().unwrap(), first));
        let before = (num_goroutines(), descriptors());
        let stop = listener.try_clone().unwrap();
        let members = WaitGroup::new();
        let accepted = Arc::new(AtomicUsize::new(0));
        let serve = Arc::new(serve);
        let (group, count) = (members.clone(), accepted.clone());
        drop(members.go(move || {
            loop {
                match listener.accept() {
                    Ok((stream, _)) => {
                        count.fetch_add(1, Relaxed);
                        let serve = serve.clone();
                        drop(group.go(move || serve(stream)));
                    }
                    Err(error) if error.kind() == ErrorKind::TimedOut => break,
                    Err(error) => panic!("accept: {error}"),
                }
            }
        }));
        Self {
            address,
            stop,
            members,
            accepted,
            before,
        }
    }

    fn accepted(&self) -> usize {
        self.accepted.load(Relaxed)
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_deadline(Some(Instant::now() + Duration::from_secs(30)));
        stream
    }

    /// All connections have ended, and have left nothing behind.
    fn is_at_rest(&self, what: &str) {
        // The accept loop is one of them, and its listener.
        let (goroutines, fds) = self.before;
        becomes_true(&format!("{what}: goroutines are left"), || {
            num_goroutines() <= goroutines + 1
        });
        becomes_true(&format!("{what}: descriptors are left"), || {
            descriptors() <= fds + 1
        });
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.set_deadline(Some(Instant::now()));
        if !std::thread::panicking() {
            self.members.wait();
        }
    }
}

fn echo(stream: &TcpStream) -> io::Result<u64> {
    io::copy(&mut &*stream, &mut &*stream)
}

/// One who knows how to behave gets its answer.
fn is_served(server: &Server, what: &str) {
    let mut stream = server.connect();
    stream.write_all(b"please").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "please", "{what}");
}

/// Whether it gets it, where there may be no time left to ask in.
fn is_answered(server: &Server) -> bool {
    let mut stream = server.connect();
    let mut answer = String::new();
    let asked = stream.write_all(b"please");
    let asked = asked.and_then(|()| stream.shutdown(Shutdown::Write));
    asked.is_ok() && stream.read_to_string(&mut answer).is_ok() && answer == "please"
}

/// They send a byte now and then, which would satisfy any timeout of single
/// reads. Wave after wave: goroutines, descriptors and memory come back.
#[test]
fn slow_loris_clients_hold_nothing_past_their_timeout() {
    const TIMEOUT: Duration = Duration::from_millis(100);
    const CLIENTS: usize = 200;
    const WAVES: usize = 10;
    const WAVES_MOST: usize = 40;
    const BUFFER: usize = 16 * 1024;
    everywhere(120, |_, what| {
        let longest = Arc::new(Mutex::new(Duration::ZERO));
        let longest2 = longest.clone();
        let server = Server::new(move |stream| {
            let begin = Instant::now();
            stream.set_read_deadline(Some(begin + TIMEOUT));
            let mut request = vec![7; BUFFER];
            let mut length = 0;
            while !request[..length].ends_with(b"please") {
                match (&stream).read(&mut request[length..]) {
                    Ok(read @ 1..) => length += read,
                    _ => {
                        let mut longest = longest2.lock().unwrap();
                        *longest = begin.elapsed().max(*longest);
                        return;
                    }
                }
            }
            let _gone = (&stream).write_all(&request[..length]);
        });
        // Were a fourth of them kept, with a buffer and a page of stack each,
        // that would be 5 MB in half of the waves. How much the allocator
        // keeps depends on how many threads the waves have met by then.
        let mut after_waves = Vec::new();
        let is_steady = |waves: &[u64]| {
            waves.len() >= WAVES
                && waves[waves.len() - 1].saturating_sub(waves[waves.len() - WAVES / 2 - 1]) < 5000
        };
        while !is_steady(&after_waves) {
            assert!(
                after_waves.len() < WAVES_MOST,
                "{what}: {after_waves:?} KiB"
            );
            raddle::scope(|scope| {
                for _ in 0..CLIENTS {
                    scope.go(|| {
                        let mut stream = server.connect();
                        // Until it notices that nobody listens.
                        while stream.write_all(b"x").is_ok() {
                            raddle::time::sleep(Duration::from_millis(20));
                        }
                    });
                }
                // Whom the machine keeps from asking in time asks again.
                scope.go(|| assert!((0..10).any(|_| is_answered(&server)), "{what}"));
            });
            server.is_at_rest(what);
            after_waves.push(memory());
        }
        let longest = *longest.lock().unwrap();
        // The machine may be busy with other things; not for ten seconds.
        assert!(longest < Duration::from_secs(10), "{what}: {longest:?}");
    });
}

/// Resets in every state, half-closes, closes with something unread, and
/// writes of nothing.
#[test]
fn rude_clients_end_alone() {
    everywhere(60, |_, what| {
        let broken = Arc::new(AtomicUsize::new(0));
        let broken2 = broken.clone();
        let server = Server::new(move |stream| {
            if echo(&stream).is_err() {
                broken2.fetch_add(1, Relaxed);
            }
        });
        let reset = |stream: TcpStream| stream.set_linger(Some(Duration::ZERO)).unwrap();
        let much = vec![7; 1 << 20];
        raddle::scope(|scope| {
            let (server, much) = (&server, &much[..]);
            for n in 0..160 {
                scope.go(move || {
                    let mut stream = server.connect();
                    match n % 8 {
                        // At once.
                        0 => reset(stream),
                        // With an echo on its way.
                        1 => {
                            stream.write_all(b"never mind").unwrap();
                            reset(stream);
                        }
                        // When the server waits for it to read.
                        2 => {
                            stream
                                .set_write_timeout(Some(Duration::from_millis(50)))
                                .unwrap();
                            while stream.write_all(much).is_ok() {}
                            reset(stream);
                        }
                        // Closed, with the echo unread.
                        3 => {
                            stream.write_all(b"never mind").unwrap();
                            stream.peek(&mut [0; 1]).unwrap();
                        }
                        // Nothing said at all.
                        4 => {
                            stream.shutdown(Shutdown::Write).unwrap();
                            assert_eq!(stream.read(&mut [0; 8]).unwrap(), 0, "{what}");
                        }
                        // Deaf from the beginning.
                        5 => {
                            stream.shutdown(Shutdown::Read).unwrap();
                            let _reset = stream.write_all(b"into the void");
                        }
                        // Nothing, between the words.
                        6 => {
                            for word in ["", "a ", "", "", "word", ""] {
                                stream.write_all(word.as_bytes()).unwrap();
                                assert_eq!(stream.write(b"").unwrap(), 0, "{what}");
                            }
                            assert_eq!(stream.read(&mut []).unwrap(), 0, "{what}");
                            stream.shutdown(Shutdown::Write).unwrap();
                            let mut text = String::new();
                            stream.read_to_string(&mut text).unwrap();
                            assert_eq!(text, "a word", "{what}");
                        }
                        _ => is_served(server, what),
                    }
                });
            }
        });
        server.is_at_rest(what);
        // Those of kind 2 for sure.
        assert!(broken.load(Relaxed) >= 20, "{what}");
        is_served(&server, what);
        assert!(server.accepted() > 160, "{what}");
    });
}

/// They fill what the system holds for them; the write waits for its
/// deadline, and not one of the others is held up.
#[test]
fn peers_that_never_read_are_met_by_a_write_deadline() {
    const PATIENCE: Duration = Duration::from_millis(300);
    everywhere(60, |_, what| {
        let (tell, told) = unbounded();
        let server = Server::new(move |stream| {
            let mut order = [0; 1];
            if (&stream).read_exact(&mut order).is_err() {
                return;
            }
            if order != *b"!" {
                (&stream).write_all(&order).unwrap();
                echo(&stream).unwrap();
                return;
            }
            let block = vec![7; 1 << 18];
            let begin = Instant::now();
            stream.set_write_deadline(Some(begin + PATIENCE));
            let error = loop {
                if let Err(error) = (&stream).write_all(&block) {
                    break error.kind();
                }
            };
            tell.send((error, begin.elapsed())).unwrap();
        });
        let deaf: Vec<_> = (0..30)
            .map(|_| {
                let mut stream = server.connect();
                stream.write_all(b"!").unwrap();
                stream
            })
            .collect();
        // Others go on, while those are waited for and after.
        let (mut ended, mut served) = (0, 0);
        while ended < deaf.len() {
            is_served(&server, what);
            served += 1;
            for (error, waited) in told.try_iter() {
                assert_eq!(error, ErrorKind::TimedOut, "{what}");
                assert!(waited >= PATIENCE, "{what}: {waited:?}");
                assert!(waited < Duration::from_secs(20), "{what}: {waited:?}");
                ended += 1;
            }
        }
        assert!(served > 1, "{what}");
        drop(deaf);
        server.is_at_rest(what);
    });
}

/// One loop takes them all, and each has its answer. They come by the clock,
/// whether those before them are done or not.
#[test]
fn one_accept_loop_takes_five_thousand_short_connections_a_second() {
    const A_MILLISECOND: u32 = 5;
    const MILLISECONDS: u32 = 1000;
    everywhere(120, |_, what| {
        let server = Server::new(|stream| {
            let mut byte = [0; 1];
            (&stream).read_exact(&mut byte).unwrap();
            (&stream).write_all(&byte).unwrap();
        });
        // A machine that cannot keep up is not to run out of descriptors.
        let in_flight = Semaphore::new(2000);
        let begin = Instant::now();
        raddle::scope(|scope| {
            for tick in 0..MILLISECONDS {
                raddle::time::sleep_until(begin + Duration::from_millis(1) * tick);
                for n in 0..A_MILLISECOND {
                    let permit = in_flight.acquire(1);
                    let server = &server;
                    scope.go(move || {
                        let byte = [(tick + n) as u8];
                        let mut stream = server.connect();
                        stream.write_all(&byte).unwrap();
                        let mut answer = Vec::new();
                        stream.read_to_end(&mut answer).unwrap();
                        assert_eq!(answer, byte);
                        drop(permit);
                    });
                }
            }
        });
        let all = A_MILLISECOND * MILLISECONDS;
        let rate = f64::from(all) / begin.elapsed().as_secs_f64();
        println!("{what}: {rate:.0} connections a second, of 5000 asked for");
        assert_eq!(server.accepted(), all as usize, "{what}");
        server.is_at_rest(what);
    });
}

#[test]
fn handlers_that_panic_take_down_their_connections_alone() {
    if !is_child() {
        // What is said of hundreds of panics is shown if it fails.
        let output = child("handlers_that_panic_take_down_their_connections_alone", &[]);
        assert!(output.status.success(), "{}", stderr(&output));
        return;
    }
    everywhere(60, |_, what| {
        let server = Server::new(|stream| {
            let mut order = [0; 1];
            (&stream).read_exact(&mut order).unwrap();
            if order == *b"!" {
                std::panic::panic_any(common::ON_PURPOSE);
            }
            (&stream).write_all(&order).unwrap();
            echo(&stream).unwrap();
        });
        // All are connected, and then each gives its order.
        let streams: Vec<_> = (0..100).map(|_| server.connect()).collect();
        for (n, mut stream) in streams.iter().enumerate() {
            stream
                .write_all(if n % 2 == 0 { b"!" } else { b"o" })
                .unwrap();
        }
        for (n, mut stream) in streams.iter().enumerate() {
            let mut answer = [0; 1];
            match n % 2 {
                0 => assert_eq!(stream.read(&mut answer).unwrap(), 0, "{what}"),
                _ => {
                    stream.read_exact(&mut answer).unwrap();
                    stream.write_all(b"n").unwrap();
                    stream.read_exact(&mut answer).unwrap();
                    assert_eq!(&answer, b"n", "{what}");
                }
            }
        }
        drop(streams);
        server.is_at_rest(what);
        is_served(&server, what);
    });
}

/// The server has half of each when its end begins; those that wait for a
/// next request are called back, those in the midst of one are not.
#[test]
fn shutdown_with_a_thousand_connections_in_flight_loses_no_request() {
    const CONNECTIONS: usize = 1000;
    const IDLE: usize = 100;
    everywhere(60, |_, what| {
        let (context, cancel) = Context::background().with_cancel();
        let (tell, told) = unbounded();
        let ends = context.clone();
        let server = Server::new(move |stream| {
            let stream = Arc::new(stream);
            let called = stream.clone();
            let guard = ends.after_func(move || called.set_read_deadline(Some(Instant::now())));
            let mut first = [0; 1];
            tell.send(()).unwrap();
            while ends.err().is_none() && (&*stream).read_exact(&mut first).is_ok() {
                tell.send(()).unwrap();
                let mut rest = [0; 7];
                // Called back in the midst of a request: it goes on.
                while let Err(error) = (&*stream).read_exact(&mut rest) {
                    assert_eq!(error.kind(), ErrorKind::TimedOut);
                    stream.set_read_deadline(None);
                }
                (&*stream).write_all(&rest).unwrap();
            }
            guard.stop();
        });
        let mut clients: Vec<_> = (0..CONNECTIONS + IDLE).map(|_| server.connect()).collect();
        for _ in &clients {
            told.recv().unwrap();
        }
        let idle = clients.split_off(CONNECTIONS);
        for client in &mut clients {
            client.write_all(b"1").unwrap();
        }
        for _ in &clients {
            told.recv().unwrap();
        }
        cancel.cancel();
        server.stop.set_deadline(Some(Instant::now()));
        for mut client in idle {
            assert_eq!(client.read(&mut [0; 1]).unwrap(), 0, "{what}: idle");
        }
        for (n, client) in clients.iter_mut().enumerate() {
            client.write_all(format!("{n:07}").as_bytes()).unwrap();
        }
        for (n, client) in clients.iter_mut().enumerate() {
            let mut answer = String::new();
            client.read_to_string(&mut answer).unwrap();
            assert_eq!(answer, format!("{n:07}"), "{what}");
        }
        // It comes to its end by itself.
        server.members.wait();
        drop(clients);
        server.is_at_rest(what);
    });
}

fn is_writable(stream: &TcpStream) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut descriptor = [PollFd::new(stream, PollFlags::OUT)];
    poll(&mut descriptor, Some(&Timespec::default())).expect("it is open") > 0
}

/// The other end of a connection waits on clones, to read and to write.
#[test]
fn the_last_drop_and_a_shutdown_wake_who_waits_on_clones() {
    everywhere(30, |_, what| {
        for is_drop in [true, false] {
            let (listener, address) = listener();
            let near = TcpStream::connect(address).unwrap();
            let (far, _) = listener.accept().unwrap();
            let (tell, told) = unbounded();
            let readers: Vec<_> = (0..3)
                .map(|_| {
                    let (mut clone, tell) = (far.try_clone().unwrap(), tell.clone());
                    raddle::spawn(move || {
                        tell.send(()).unwrap();
                        clone.read(&mut [0; 8])
                    })
                })
                .collect();
            let writers: Vec<_> = (0..3)
                .map(|_| {
                    let (mut clone, tell) = (far.try_clone().unwrap(), tell.clone());
                    raddle::spawn(move || {
                        tell.send(()).unwrap();
                        let block = vec![7; 1 << 20];
                        loop {
                            if let Err(error) = clone.write(&block) {
                                return error.kind();
                            }
                        }
                    })
                })
                .collect();
            for _ in 0..6 {
                told.recv().unwrap();
            }
            becomes_true("the writers do not fill it", || !is_writable(&far));
            assert!(readers.iter().all(|one| !one.is_finished()), "{what}");
            if is_drop {
                // A clone that stays keeps the connection: nobody is woken.
                let clone = near.try_clone().unwrap();
                drop(near);
                raddle::yield_now();
                assert!(readers.iter().all(|one| !one.is_finished()), "{what}");
                drop(clone);
            } else {
                far.shutdown(Shutdown::Both).unwrap();
            }
            for reader in readers {
                match reader.join().unwrap() {
                    Ok(read) => assert_eq!(read, 0, "{what}"),
                    // The system resets what is closed with bytes unread.
                    Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{what}"),
                }
            }
            for writer in writers {
                let kind = writer.join().unwrap();
                let ends = [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset];
                assert!(ends.contains(&kind), "{what}: {kind:?}");
            }
        }
    });
}

/// A descriptor is closed with an edge in the poller that nobody has taken
/// yet, and its number goes to another: that one's reads wait for its own.
#[test]
fn no_stale_wake_up_after_the_number_of_a_descriptor_is_used_again() {
    everywhere(60, |_, what| {
        let (listener, address) = listener();
        let mut reused = 0;
        for round in 0..200_u8 {
            let old = TcpStream::connect(address).unwrap();
            let (mut old_far, _) = listener.accept().unwrap();
            // It is registered from here on.
            let waits = raddle::spawn(move || {
                let mut byte = [0; 1];
                (&old).read_exact(&mut byte).unwrap();
                old
            });
            raddle::yield_now();
            old_far.write_all(b"r").unwrap();
            let old = waits.join().unwrap();
            let number = old.as_raw_fd();
            old_far.write_all(b"stale").unwrap();
            drop(old);
            let new = TcpStream::connect(address).unwrap();
            if new.as_raw_fd() == number {
                reused += 1;
            }
            let (mut new_far, _) = listener.accept().unwrap();
            if round % 20 == 0 {
                // Nothing comes, and nothing is said to have come.
                let until = Instant::now() + Duration::from_millis(5);
                new.set_read_deadline(Some(until));
                let error = (&new).read(&mut [0; 8]).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::TimedOut, "{what}");
                assert!(Instant::now() >= until, "{what}");
                new.set_read_deadline(None);
            }
            let (begun_tx, begun) = bounded(1);
            let reader = raddle::spawn(move || {
                begun_tx.send(()).unwrap();
                let mut buffer = [0; 8];
                let read = (&new).read(&mut buffer).unwrap();
                (read, buffer[0])
            });
            begun.recv().unwrap();
            drop(old_far);
            raddle::yield_now();
            assert!(!reader.is_finished(), "{what}");
            new_far.write_all(&[round]).unwrap();
            assert_eq!(reader.join().unwrap(), (1, round), "{what}");
        }
        assert!(reused > 0, "{what}: no number was used again");
    });
}

/// The plain way out: a server whose runtime is dropped with clients of every
/// kind connected, and its sockets are closed.
#[test]
fn a_runtime_ends_under_all_of_them() {
    let _alone = alone();
    for mode in MODES {
        for procs in [1, 2, 4] {
            common::with_deadline(limit(30), &format!("{mode:?}, P = {procs}"), || {
                let before = descriptors();
                let runtime = common::runtime(mode, procs);
                let (listener, address) = listener();
                drop(runtime.spawn(move || {
                    for stream in listener.incoming().flatten() {
                        drop(raddle::spawn(move || drop(echo(&stream))));
                    }
                }));
                let mut clients: Vec<_> = (0..60)
                    .map(|_| std::net::TcpStream::connect(address).unwrap())
                    .collect();
                for (n, client) in clients.iter_mut().enumerate() {
                    match n % 3 {
                        0 => client.write_all(b"and").unwrap(),
                        1 => client.shutdown(Shutdown::Write).unwrap(),
                        _ => {}
                    }
                }
                let (mut last, mut buffer) = (clients.pop().unwrap(), [0; 3]);
                last.write_all(b"now").unwrap();
                last.read_exact(&mut buffer).unwrap();
                drop(runtime);
                for mut client in clients {
                    let _echo_or_reset = client.read_to_end(&mut Vec::new());
                }
                drop(last);
                let are_gone = comes_true(Duration::from_secs(5), || descriptors() <= before);
                assert!(are_gone, "{before} descriptors became {}", descriptors());
            });
        }
    }
}
