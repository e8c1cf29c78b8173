//! Somebody always hears of sockets, whoever else is stuck, gone or not there
//! yet.

mod common;

use common::{MODES, Mode, child, is_child, limit, runtime, stderr, stdout, with_deadline};
use raddle::chan::bounded;
use raddle::net::{TcpListener, TcpStream};
use std::hint::spin_loop;
use std::io::{ErrorKind, Read, Write};
use std::net as std_net;
use std::thread;
use std::time::{Duration, Instant};

/// A raddle end, and a plain one.
fn pair() -> (TcpStream, std_net::TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let plain = std_net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (listener.accept().unwrap().0, plain)
}

/// Sends back one byte, once.
fn echo(runtime: &raddle::runtime::Runtime) -> std_net::TcpStream {
    let (mut stream, plain) = pair();
    let (tell, told) = bounded(0);
    drop(runtime.spawn(move || {
        tell.send(()).unwrap();
        let mut byte = [0; 1];
        stream.read_exact(&mut byte).unwrap();
        stream.write_all(&byte).unwrap();
    }));
    told.recv().unwrap();
    plain
}

fn time_of(mut stream: std_net::TcpStream) -> Duration {
    let begin = Instant::now();
    stream.write_all(b"?").unwrap();
    stream.read_exact(&mut [0; 1]).unwrap();
    begin.elapsed()
}

/// It sleeps in the poll, wakes with a goroutine that blocks it, and loses
/// its processor; all others are idle, on their words.
#[test]
fn sockets_are_served_while_the_machine_that_polled_is_stuck() {
    for procs in [1, 2] {
        with_deadline(limit(20), &format!("P = {procs}"), || {
            let runtime = runtime(Mode::Migrate, procs);
            let (mut stuck, mut plain) = pair();
            let (tell, told) = bounded(1);
            let blocks = runtime.spawn(move || {
                stuck.read_exact(&mut [0; 1]).unwrap();
                tell.send(()).unwrap();
                thread::sleep(Duration::from_secs(2));
            });
            let echoes = [(); 3].map(|()| echo(&runtime));
            plain.write_all(b"!").unwrap();
            told.recv().unwrap();
            // Takes the processor away from the stuck machine, and is done. By
            // the end of the sleep all others are idle.
            runtime.spawn(|| ()).join().unwrap();
            thread::sleep(Duration::from_millis(50));
            for stream in echoes {
                let took = time_of(stream);
                assert!(took < Duration::from_millis(500), "{took:?}");
            }
            blocks.join().unwrap();
        });
    }
}

/// Busy machines look for sockets, and the monitor does. Whoever has found one
/// ready, it is served in its turn, and not after others again and again.
#[test]
fn no_socket_is_overtaken_for_long() {
    const CONNECTIONS: usize = 500;
    for mode in MODES {
        for procs in [1, 2] {
            with_deadline(limit(60), &format!("{mode:?}, P = {procs}"), || {
                let mut worst = Vec::new();
                // All others, those that were ahead of it, and some disorder.
                let is_kept = (0..3).any(|_| {
                    worst.push(overtaken(mode, procs, CONNECTIONS));
                    worst.last() <= Some(&(5 * CONNECTIONS))
                });
                assert!(is_kept, "by {worst:?} answers");
            });
        }
    }
}

/// How many answers came from a question to its own, but for the ten worst
/// cases: where the system takes the CPU away somebody is in the midst of a
/// turn. Pinned, it holds up all who are at home there, and each counts the
/// answers of its own home alone.
fn overtaken(mode: Mode, procs: usize, connections: usize) -> usize {
    const WORST: usize = 10;
    let runtime = runtime(mode, procs);
    let mut streams: Vec<_> = (0..connections)
        .map(|_| {
            let (mut stream, plain) = pair();
            drop(runtime.spawn(move || answer(&mut stream, mode)));
            plain.set_nonblocking(true).unwrap();
            (plain, None)
        })
        .collect();
    for (stream, _) in &mut streams {
        stream.write_all(b"?").unwrap();
    }
    let (mut answers, mut all) = ([0_usize; 256], Vec::new());
    while all.len() < 40 * connections {
        for (stream, asked_at) in &mut streams {
            let mut home = [0; 1];
            match stream.read(&mut home) {
                Ok(read) => assert_eq!(read, 1, "an end"),
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                Err(error) => panic!("{error}"),
            }
            let home = usize::from(home[0]);
            answers[home] += 1;
            let at = asked_at.replace((home, answers[home]));
            all.extend(at.map(|(_, at)| answers[home] - at));
            stream.write_all(b"?").unwrap();
        }
    }
    // Those that wait still.
    let last = streams.iter().map(|(_, asked_at)| match *asked_at {
        Some((home, at)) => answers[home] - at,
        None => usize::MAX,
    });
    all.extend(last);
    all.sort_unstable();
    all[all.len() - WORST]
}

/// Each byte, with the number of its home, after so much work that there is
/// always somebody in line.
fn answer(stream: &mut TcpStream, mode: Mode) {
    let mut byte = [0; 1];
    while stream.read_exact(&mut byte).is_ok() {
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_micros(10) {
            spin_loop();
        }
        if stream.write_all(&[home(mode)]).is_err() {
            return;
        }
    }
}

/// The number of the thread that the caller is at home on; 0 where it may
/// migrate.
fn home(mode: Mode) -> u8 {
    if mode == Mode::Migrate {
        return 0;
    }
    let thread = thread::current();
    let number = thread.name().and_then(|name| name.rsplit('-').next());
    number.map_or(0, |number| number.parse().expect("a number"))
}

#[test]
fn sockets_are_served_after_a_machine_of_ones_own_is_gone() {
    for mode in MODES {
        with_deadline(limit(20), &format!("{mode:?}"), || {
            let runtime = runtime(mode, 1);
            let echoes = [(); 20].map(|()| echo(&runtime));
            let (mut own, mut plain) = pair();
            let own = runtime.run(|| {
                raddle::Builder::new()
                    .own_thread(true)
                    .spawn(move || own.read_exact(&mut [0; 1]).unwrap())
                    .unwrap()
            });
            plain.write_all(b"!").unwrap();
            own.join().unwrap();
            for stream in echoes {
                let took = time_of(stream);
                assert!(took < Duration::from_millis(500), "{took:?}");
            }
        });
    }
}

/// A thread waits for a socket, and no goroutine has been spawned yet.
#[test]
fn a_thread_alone_is_told_of_its_socket() {
    const NAME: &str = "a_thread_alone_is_told_of_its_socket";
    if !is_child() {
        let output = child(NAME, &[]);
        assert!(
            output.status.success(),
            "{}{}",
            stderr(&output),
            stdout(&output)
        );
        return;
    }
    with_deadline(limit(20), "", || {
        let (mut stream, mut plain) = pair();
        let writer = thread::spawn(move || {
            for _ in 0..3 {
                // Long enough for the monitor to sleep in between.
                thread::sleep(Duration::from_millis(60));
                plain.write_all(b"!").unwrap();
            }
        });
        for _ in 0..3 {
            stream.read_exact(&mut [0; 1]).unwrap();
        }
        writer.join().unwrap();
    });
}
