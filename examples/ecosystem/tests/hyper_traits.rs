//! `raddle::hyper` by itself: streams, timers and the executor, as hyper's
//! traits have them.

mod common;

use common::with_deadline;
use hyper::rt::{Executor as _, Read, ReadBuf, Timer as _, Write};
use raddle::block_on;
use raddle::chan::{Sender, bounded, unbounded};
use raddle::hyper::{Executor, Io, Stream, Timer};
use raddle::net::unix::UnixStream;
use raddle::net::{Shutdown, TcpListener, TcpStream};
use raddle::runtime::Builder;
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker, ready};
use std::time::{Duration, Instant};

/// In a goroutine, pinned and migrating, with one processor and with two.
#[allow(unsafe_code)]
fn everywhere(f: fn()) {
    with_deadline(|| {
        for procs in [1, 2] {
            Builder::new()
                .max_procs(procs)
                .build()
                .expect("threads")
                .run(f);
            // SAFETY: the tests keep nothing of a thread's across a park.
            let migrating = unsafe { Builder::new().max_procs(procs).migrate() };
            migrating.build().expect("threads").run(f);
        }
    });
}

fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let near = TcpStream::connect(listener.local_addr().expect("an address")).expect("it listens");
    (near, listener.accept().expect("it connects").0)
}

fn read<S: Stream>(io: &mut Io<S>, bytes: &mut [u8]) -> io::Result<usize> {
    block_on(poll_fn(|context| poll_read(io, context, bytes)))
}

fn poll_read<S: Stream>(
    io: &mut Io<S>,
    context: &mut Context<'_>,
    bytes: &mut [u8],
) -> Poll<io::Result<usize>> {
    let mut buffer = ReadBuf::new(bytes);
    ready!(Pin::new(io).poll_read(context, buffer.unfilled()))?;
    Poll::Ready(Ok(buffer.filled().len()))
}

/// Writes `total` bytes and reads as many, both in one future: it must never
/// wait for one way alone, for both ends write before they read.
fn exchange<S: Stream>(mut io: Io<S>, total: usize) {
    let (mut written, mut got) = (0, 0);
    let mut bytes = vec![0; 10_000];
    block_on(poll_fn(|context| {
        while written < total {
            let some = [7; 7_000];
            let some = &some[..some.len().min(total - written)];
            match Pin::new(&mut io).poll_write(context, some) {
                Poll::Ready(more) => written += more.expect("it reads"),
                Poll::Pending => break,
            }
        }
        while got < total {
            got += ready!(poll_read(&mut io, context, &mut bytes)).expect("it writes");
        }
        if written < total {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    }));
    assert_eq!((written, got), (total, total));
}

#[test]
fn both_ways_at_once() {
    const TOTAL: usize = 4_000_000;
    everywhere(|| {
        for _ in 0..3 {
            let (near, far) = tcp_pair();
            let other = raddle::spawn(move || exchange(Io::new(near), TOTAL));
            exchange(Io::new(far), TOTAL);
            other.join().expect("as many bytes");
        }
        let (near, far) = UnixStream::pair().expect("descriptors");
        let other = raddle::spawn(move || exchange(Io::new(near), TOTAL));
        exchange(Io::new(far), TOTAL);
        other.join().expect("as many bytes");
    });
}

/// One byte to and fro, so that each read waits: no edge is lost.
#[test]
fn many_pairs_play() {
    const ROUNDS: u32 = 500;
    fn play<S: Stream>(mut io: Io<S>, serves: bool) {
        let mut byte = [1];
        for round in 0..ROUNDS {
            if round > 0 || !serves {
                assert_eq!(read(&mut io, &mut byte).expect("it plays"), 1);
            }
            let sent = block_on(poll_fn(|context| {
                Pin::new(&mut io).poll_write(context, &byte)
            }));
            assert_eq!(sent.expect("it plays"), 1);
        }
        if serves {
            assert_eq!(read(&mut io, &mut byte).expect("it plays"), 1);
        }
    }
    everywhere(|| {
        raddle::scope(|scope| {
            for _ in 0..20 {
                let (near, far) = tcp_pair();
                scope.go(move || play(Io::new(near), true));
                scope.go(move || play(Io::new(far), false));
            }
        });
    });
}

/// Two futures and a call wait for one socket: each byte finds one of them.
#[test]
fn clones_wait_side_by_side() {
    everywhere(|| {
        let (near, far) = tcp_pair();
        let (sender, got) = unbounded();
        for _ in 0..2 {
            let (sender, far) = (sender.clone(), far.try_clone().expect("a descriptor"));
            raddle::spawn(move || {
                let mut io = Io::new(far);
                let mut byte = [0];
                while read(&mut io, &mut byte).expect("it writes") > 0 {
                    sender.send(byte[0]).expect("it is received");
                }
            });
        }
        raddle::spawn(move || {
            let mut byte = [0];
            while io::Read::read(&mut &far, &mut byte).expect("it writes") > 0 {
                sender.send(byte[0]).expect("it is received");
            }
        });
        for number in 0..200 {
            io::Write::write_all(&mut &near, &[number]).expect("it reads");
            assert_eq!(got.recv(), Ok(number));
        }
        near.shutdown(Shutdown::Write).expect("it is connected");
        assert!(got.recv().is_err(), "all have seen the end");
    });
}

#[test]
fn a_deadline_ends_a_future_that_waits() {
    everywhere(|| {
        let (_near, far) = tcp_pair();
        let clone = far.try_clone().expect("a descriptor");
        let mut io = Io::new(far);
        // Set before, and it comes by itself.
        clone.set_read_deadline(Some(Instant::now() + Duration::from_millis(5)));
        let late = read(&mut io, &mut [0]).expect_err("nothing comes");
        assert_eq!(late.kind(), ErrorKind::TimedOut);
        // Set while it waits.
        clone.set_read_deadline(None);
        let (sender, begun) = bounded(1);
        let waiting = raddle::spawn(move || {
            let mut sender = Some(sender);
            let mut byte = [0];
            block_on(poll_fn(|context| {
                let polled = poll_read(&mut io, context, &mut byte);
                if let Some(sender) = sender.take() {
                    sender.send(()).expect("it is received");
                }
                polled
            }))
        });
        begun.recv().expect("it waits");
        clone.set_read_deadline(Some(Instant::now()));
        let late = waiting
            .join()
            .expect("no panic")
            .expect_err("nothing comes");
        assert_eq!(late.kind(), ErrorKind::TimedOut);
    });
}

#[test]
fn shutdown_ends_a_future_that_waits() {
    everywhere(|| {
        let (_near, far) = tcp_pair();
        let clone = far.try_clone().expect("a descriptor");
        let waiting = raddle::spawn(move || read(&mut Io::new(far), &mut [0]));
        clone.shutdown(Shutdown::Read).expect("it is connected");
        assert_eq!(waiting.join().expect("no panic").expect("the end"), 0);
    });
}

/// Counts its calls, and how often it is dropped.
struct Counted(AtomicUsize);

impl Wake for Counted {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

/// A future that is polled with ever new wakers, and one that is dropped,
/// leave none behind.
#[test]
fn no_waker_is_kept() {
    everywhere(|| {
        let (_near, far) = tcp_pair();
        let mut io = Io::new(far);
        let wakers: Vec<_> = (0..100)
            .map(|_| Arc::new(Counted(AtomicUsize::new(0))))
            .collect();
        for counted in &wakers {
            let waker = Waker::from(counted.clone());
            let polled = poll_read(&mut io, &mut Context::from_waker(&waker), &mut [0]);
            assert!(polled.is_pending());
        }
        let kept: usize = wakers
            .iter()
            .map(|waker| Arc::strong_count(waker) - 1)
            .sum();
        assert_eq!(kept, 1, "the last");
        drop(io);
        let kept: usize = wakers
            .iter()
            .map(|waker| Arc::strong_count(waker) - 1)
            .sum();
        assert_eq!(kept, 0);
    });
}

#[test]
fn a_stream_goes_on_after_its_adapter() {
    everywhere(|| {
        let (near, far) = tcp_pair();
        let mut io = Io::new(far);
        let waker = Waker::noop();
        assert!(poll_read(&mut io, &mut Context::from_waker(waker), &mut [0]).is_pending());
        let mut far = io.into_inner();
        io::Write::write_all(&mut &near, b"on").expect("it reads");
        let mut bytes = [0; 2];
        io::Read::read_exact(&mut far, &mut bytes).expect("it writes");
        assert_eq!(&bytes, b"on");
    });
}

#[test]
fn a_sleep_is_put_off_and_made_earlier() {
    everywhere(|| {
        let begin = Instant::now();
        let mut sleep = Timer.sleep(Duration::from_millis(5));
        let mut polls = 0;
        block_on(poll_fn(|context| {
            polls += 1;
            if polls == 1 {
                // Ready, on a machine that is busy elsewhere.
                let _either = sleep.as_mut().poll(context);
                Timer.reset(&mut sleep, begin + Duration::from_millis(30));
            }
            sleep.as_mut().poll(context)
        }));
        assert!(begin.elapsed() >= Duration::from_millis(30));
        assert!(polls <= 3, "a timer that is put off wakes nobody: {polls}");

        let begin = Instant::now();
        let mut sleep = Timer.sleep(Duration::from_secs(3600));
        let mut is_first = true;
        block_on(poll_fn(|context| {
            if std::mem::take(&mut is_first) {
                assert!(sleep.as_mut().poll(context).is_pending());
                Timer.reset(&mut sleep, begin + Duration::from_millis(1));
            }
            sleep.as_mut().poll(context)
        }));
        assert!(begin.elapsed() >= Duration::from_millis(1));
        // Past already.
        block_on(Timer.sleep_until(begin));
    });
}

/// Sleeps that end, and some that are dropped before: all in any order.
#[test]
fn many_sleeps() {
    everywhere(|| {
        raddle::scope(|scope| {
            for number in 0..200_u64 {
                scope.go(move || {
                    let begin = Instant::now();
                    let wait = Duration::from_micros(number * 37 % 5000);
                    let mut long = Timer.sleep(Duration::from_secs(60) + wait);
                    let mut short = pin!(Timer.sleep(wait));
                    block_on(poll_fn(|context| {
                        assert!(long.as_mut().poll(context).is_pending());
                        short.as_mut().poll(context)
                    }));
                    assert!(begin.elapsed() >= wait);
                });
            }
        });
    });
}

#[test]
fn the_executor_runs_futures_side_by_side() {
    everywhere(|| {
        let (sender, receiver) = bounded(0);
        let (back, done) = bounded(0);
        // Each blocks, until the other runs.
        Executor.execute(async move { sender.send(7).expect("it is received") });
        Executor.execute(async move {
            back.send(receiver.recv().expect("it is sent"))
                .expect("it is received");
        });
        assert_eq!(done.recv(), Ok(7));
    });
}

/// Shutdown drops what futures hold, whatever they wait for.
#[test]
fn shutdown_ends_futures_that_wait() {
    struct Dropped(Sender<&'static str>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            let _told = self.0.send("dropped");
        }
    }
    with_deadline(|| {
        let (sender, told) = unbounded();
        let runtime = Builder::new().build().expect("threads");
        let (near, far) = tcp_pair();
        let (waits, begun) = bounded(2);
        for sleeps in [false, true] {
            let held = Dropped(sender.clone());
            let (waits, far) = (waits.clone(), far.try_clone().expect("a descriptor"));
            runtime.spawn(move || {
                let _held = held;
                let mut io = Io::new(far);
                let mut sleep = Timer.sleep(Duration::from_secs(3600));
                let mut byte = [0];
                block_on(poll_fn(|context| {
                    let polled = match sleeps {
                        true => sleep.as_mut().poll(context),
                        false => poll_read(&mut io, context, &mut byte).map(drop),
                    };
                    let _begun = waits.try_send(());
                    polled
                }));
            });
        }
        begun.recv().expect("it waits");
        begun.recv().expect("it waits");
        drop(sender);
        drop(runtime);
        assert_eq!(told.iter().count(), 2);
        drop((near, far));
    });
}

/// A panic of a future is its own affair.
#[test]
fn a_future_that_panics_ends_alone() {
    everywhere(|| {
        let (sender, receiver) = bounded::<()>(1);
        Executor.execute(async move {
            let _sender = sender;
            // No message: the report would be in the way.
            std::panic::resume_unwind(Box::new("as it should"));
        });
        assert!(receiver.recv().is_err(), "it is dropped");
        let (sender, receiver) = bounded(1);
        Executor.execute(async move { sender.send(7).expect("it is received") });
        assert_eq!(receiver.recv(), Ok(7));
    });
}

/// A future that yields to itself lets others run, at home on one thread.
#[test]
fn a_future_that_yields_lets_others_run() {
    everywhere(|| {
        let (sender, receiver) = bounded(1);
        raddle::spawn(move || sender.send(()).expect("it is received"));
        block_on(poll_fn(|context| match receiver.try_recv() {
            Ok(()) => Poll::Ready(()),
            Err(_) => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
        }));
    });
}

/// The timer is of the runtime that polls, not of the one that polled first.
#[test]
fn a_sleep_goes_on_when_the_runtime_that_began_it_has_ended() {
    with_deadline(|| {
        let first = Builder::new().max_procs(1).build().expect("threads");
        let mut sleep = Timer.sleep(Duration::from_millis(50));
        let sleep = first.run(move || {
            let mut context = Context::from_waker(Waker::noop());
            assert!(sleep.as_mut().poll(&mut context).is_pending());
            sleep
        });
        drop(first);
        let second = Builder::new().max_procs(1).build().expect("threads");
        second.run(move || block_on(sleep));
    });
}
