//! Channels and handles of raddle's under tokio, futures and smol, and their
//! futures in goroutines.

#[path = "../../common/mod.rs"]
mod common;

use common::{MODES, Random, limit, on_runtimes, rounds, runtime, seed, with_deadline};
use futures::{FutureExt, SinkExt, StreamExt, select};
use raddle::chan::{self, Receiver, RecvError, Sender, TryRecvError, bounded, unbounded};
use raddle::{block_on, go, spawn};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{Builder, Handle, Runtime};

const A_BIT: Duration = Duration::from_millis(2);

fn tokio_runtime(threads: usize) -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(threads).enable_all();
    builder.build().expect("a runtime of tokio's")
}

/// A task somewhere: its result comes through the channel.
type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs `body` with a way to spawn tasks, for each executor.
fn on_each_executor(body: impl Fn(&(dyn Fn(Task) + Sync), &str) + Sync) {
    let tokio = tokio_runtime(2);
    body(&|task| drop(tokio.spawn(task)), "tokio");
    drop(tokio);
    body(&|task| smol::spawn(task).detach(), "smol");
    let pool = |task| drop(thread::spawn(move || futures::executor::block_on(task)));
    body(&pool, "futures");
}

fn task(future: impl Future<Output = ()> + Send + 'static) -> Task {
    Box::pin(future)
}

/// `body` in goroutines of each kind, for each executor.
fn everywhere(body: impl Fn(&(dyn Fn(Task) + Sync)) + Send + Sync) {
    on_each_executor(|spawn, executor| {
        on_runtimes(&[1, 2, 4], &MODES, limit(60), |runtime, what| {
            println!("{executor}, {what}");
            runtime.run(|| body(spawn));
        });
    });
}

#[test]
fn a_task_receives_from_goroutines() {
    everywhere(|spawn| {
        for capacity in [0, 1, 100] {
            let (sender, receiver) = bounded(capacity);
            let (told, tell) = bounded(1);
            spawn(task(async move {
                let mut sum = 0;
                while let Ok(n) = receiver.recv_async().await {
                    sum += n;
                }
                told.send_async(sum).await.unwrap();
            }));
            for part in 0..4 {
                let sender = sender.clone();
                go!(move || (0..100).for_each(|n| sender.send(part * 100 + n).unwrap()));
            }
            drop(sender);
            assert_eq!(tell.recv(), Ok((0..400).sum::<u64>()));
        }
    });
}

#[test]
fn a_goroutine_receives_from_tasks() {
    everywhere(|spawn| {
        for capacity in [0, 1, 100] {
            let (sender, receiver) = bounded(capacity);
            for part in 0..4 {
                let sender = sender.clone();
                spawn(task(async move {
                    for n in 0..100 {
                        sender.send_async(part * 100 + n).await.unwrap();
                    }
                }));
            }
            drop(sender);
            let mut last = [None; 4];
            for n in receiver.iter() {
                let before: Option<u64> = last[(n / 100) as usize].replace(n);
                assert!(before.is_none_or(|before| before < n), "in order");
            }
            assert_eq!(last, [Some(99), Some(199), Some(299), Some(399)]);
        }
    });
}

#[test]
fn a_task_awaits_a_goroutine() {
    everywhere(|spawn_task| {
        let (told, tell) = unbounded();
        for n in 0..10 {
            let handle = spawn(move || {
                raddle::yield_now();
                assert!(n != 7, "{}", common::ON_PURPOSE);
                n * n
            });
            let told = told.clone();
            spawn_task(task(async move {
                told.send(handle.await.unwrap_or(100)).unwrap();
            }));
        }
        drop(told);
        let mut squares: Vec<_> = tell.iter().collect();
        squares.sort_unstable();
        assert_eq!(squares, [0, 1, 4, 9, 16, 25, 36, 64, 81, 100]);
    });
}

#[test]
fn a_goroutine_awaits_what_comes_from_another_executor() {
    everywhere(|spawn| {
        let (told, tell) = tokio::sync::oneshot::channel();
        spawn(task(async move { told.send(1).unwrap() }));
        assert_eq!(block_on(tell).unwrap(), 1);
        let (mut told, mut tell) = futures::channel::mpsc::channel(0);
        spawn(task(async move { told.send(2).await.unwrap() }));
        assert_eq!(block_on(tell.next()), Some(2));
        let (told, tell) = smol::channel::bounded(1);
        spawn(task(async move { told.send(3).await.unwrap() }));
        assert_eq!(block_on(tell.recv()), Ok(3));
    });
}

/// Each is both: goroutines and tasks pass a number round.
#[test]
fn a_ring_of_goroutines_and_tasks() {
    everywhere(|spawn| {
        let laps = rounds(50);
        let (first, mut receiver) = bounded::<u64>(0);
        for n in 0..6 {
            let (sender, next) = bounded(0);
            let receives = std::mem::replace(&mut receiver, next);
            if n % 2 == 0 {
                go!(move || pass_on(&receives, &sender));
            } else {
                spawn(task(async move { pass_on_async(receives, sender).await }));
            }
        }
        for lap in 0..laps {
            first.send(lap * 100).unwrap();
            assert_eq!(receiver.recv(), Ok(lap * 100 + 6));
        }
        drop(first);
        assert_eq!(receiver.recv(), Err(RecvError));
    });
}

fn pass_on(from: &Receiver<u64>, to: &Sender<u64>) {
    from.iter().for_each(|n| to.send(n + 1).unwrap());
}

async fn pass_on_async(from: Receiver<u64>, to: Sender<u64>) {
    let mut from = from.into_stream();
    while let Some(n) = from.next().await {
        to.send_async(n + 1).await.unwrap();
    }
}

/// `future`, inside the runtime in each poll.
async fn inside<F: Future>(handle: Handle, future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|context| {
        let _inside = handle.enter();
        future.as_mut().poll(context)
    })
    .await
}

/// A client in the style of tokio-postgres, over a real socket: what it
/// connects by asks for its runtime, its connection is a task of tokio's, and
/// its calls are awaited by goroutines.
struct Client(tokio::sync::mpsc::UnboundedSender<(u8, tokio::sync::oneshot::Sender<u8>)>);

impl Client {
    async fn connect(address: std::net::SocketAddr) -> (Self, impl Future<Output = ()>) {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let (ask, mut asked) =
            tokio::sync::mpsc::unbounded_channel::<(u8, tokio::sync::oneshot::Sender<u8>)>();
        let connection = async move {
            while let Some((request, answer)) = asked.recv().await {
                stream.write_all(&[request]).await.unwrap();
                let _gone = answer.send(stream.read_u8().await.unwrap());
            }
        };
        (Self(ask), connection)
    }

    async fn next(&self, n: u8) -> u8 {
        let (answer, answered) = tokio::sync::oneshot::channel();
        self.0.send((n, answer)).unwrap();
        answered.await.unwrap()
    }
}

#[test]
fn goroutines_await_a_client_whose_runtime_is_elsewhere() {
    let tokio = tokio_runtime(1);
    let listener = tokio.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"));
    let listener = listener.unwrap();
    let address = listener.local_addr().unwrap();
    tokio.spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                while let Ok(n) = stream.read_u8().await {
                    stream.write_all(&[n + 1]).await.unwrap();
                }
            });
        }
    });
    on_runtimes(&[1, 2, 4], &MODES, limit(60), |runtime, _| {
        let handle = tokio.handle().clone();
        runtime.run(|| {
            let connect = inside(handle.clone(), Client::connect(address));
            let (client, connection) = block_on(connect);
            let connection = handle.spawn(connection);
            raddle::scope(|scope| {
                for n in 0..8 {
                    let client = &client;
                    scope.go(move || {
                        (0..20).for_each(|_| assert_eq!(block_on(client.next(n)), n + 1));
                    });
                }
            });
            drop(client);
            block_on(connection).unwrap();
        });
    });
}

/// The pattern for futures that ask only as they are made; and that the guard
/// is gone for everybody else on the thread.
#[test]
fn a_runtime_is_entered_for_a_moment() {
    let tokio = tokio_runtime(1);
    on_runtimes(&[1, 2], &MODES, limit(60), |runtime, _| {
        runtime.run(|| {
            let others: Vec<_> = (0..4)
                .map(|_| {
                    let handle = tokio.handle().clone();
                    go!(move || {
                        let nap = {
                            let _inside = handle.enter();
                            tokio::time::sleep(A_BIT)
                        };
                        block_on(nap);
                        assert!(Handle::try_current().is_err(), "nobody is inside");
                        block_on(inside(handle, async {
                            tokio::time::sleep(A_BIT).await;
                            assert_eq!(tokio::spawn(async { 5 }).await.unwrap(), 5);
                        }));
                        assert!(Handle::try_current().is_err(), "nobody is inside");
                    })
                })
                .collect();
            others.into_iter().for_each(|other| other.join().unwrap());
        });
    });
}

#[test]
fn receives_stand_in_a_select_of_futures() {
    with_deadline(limit(60), "", || {
        let (left_tx, left) = unbounded();
        let (right_tx, right) = bounded(0);
        let sends = go!(move || {
            for n in 0..100 {
                left_tx.send(n).unwrap();
                right_tx.send(n + 1000).unwrap();
            }
        });
        let (mut lefts, mut rights) = (Vec::new(), Vec::new());
        futures::executor::block_on(async {
            loop {
                // The one that is not taken is dropped.
                select! {
                    n = left.recv_async() => match n {
                        Ok(n) => lefts.push(n),
                        Err(_) => break,
                    },
                    n = right.recv_async() => rights.extend(n),
                }
            }
        });
        rights.extend(right.iter());
        sends.join().unwrap();
        assert_eq!(lefts, (0..100).collect::<Vec<_>>());
        assert_eq!(rights, (1000..1100).collect::<Vec<_>>());
    });
}

#[test]
fn streams_have_all_that_streams_have() {
    with_deadline(limit(60), "", || {
        let (sender, receiver) = unbounded();
        go!(move || (0..100).for_each(|n| sender.send(n).unwrap()));
        let even = receiver
            .stream()
            .filter(|n| futures::future::ready(n % 2 == 0));
        let sum = even.take(10).fold(0, |sum, n| async move { sum + n });
        assert_eq!(futures::executor::block_on(sum), 90);
        // What was not taken is still there.
        assert_eq!(receiver.recv(), Ok(19));
        let rest = receiver.into_stream().map(|n: u32| n).collect::<Vec<_>>();
        assert_eq!(smol::block_on(rest), (20..100).collect::<Vec<_>>());
    });
}

/// `tokio::select!`, in a loop, with a time limit that comes all the time.
#[test]
fn nothing_is_lost_between_limits_of_time() {
    let tokio = tokio_runtime(2);
    on_runtimes(&[1, 2], &MODES, limit(120), |runtime, _| {
        let (sender, receiver) = bounded(1);
        let seed = seed();
        let task = tokio.spawn(async move {
            let mut got = Vec::new();
            let mut late = 0;
            loop {
                tokio::select! {
                    received = receiver.recv_async() => match received {
                        Ok(n) => got.push(n),
                        Err(_) => return (got, late),
                    },
                    () = tokio::time::sleep(Duration::from_micros(10)) => late += 1,
                }
            }
        });
        runtime.run(|| {
            let mut random = Random::new(seed);
            for n in 0..rounds(100) {
                raddle::time::sleep(random.micros(0..2_000));
                sender.send(n).unwrap();
            }
            drop(sender);
            let (got, late) = block_on(task).unwrap();
            assert_eq!(got, (0..rounds(100)).collect::<Vec<_>>(), "seed {seed}");
            assert!(late > 0);
        });
    });
}

/// Times are awaited on threads that have no machine.
#[test]
fn tasks_await_times() {
    on_each_executor(|spawn, _| {
        let (told, tell) = mpsc::channel();
        spawn(task(async move {
            chan::after(A_BIT).recv_async().await.unwrap();
            let timer = raddle::time::Timer::new(A_BIT);
            timer.chan().recv_async().await.unwrap();
            let ticks = chan::tick(A_BIT);
            let ticks = ticks.stream().take(3).collect::<Vec<_>>().await;
            told.send(ticks.len()).unwrap();
        }));
        assert_eq!(tell.recv_timeout(limit(60)), Ok(3));
    });
}

/// A runtime ends while tasks elsewhere await what it would have done.
#[test]
fn shutdown_tells_tasks_that_await() {
    let tokio = tokio_runtime(1);
    for mode in MODES {
        let result = with_deadline(limit(60), "", || {
            let runtime = runtime(mode, 1);
            let (sender, receiver) = bounded::<()>(0);
            let handle = runtime.spawn(move || {
                let _sender = sender;
                raddle::park();
            });
            let task = tokio.spawn(async move {
                let received = receiver.recv_async().await;
                (received, handle.await.is_err())
            });
            runtime.run(raddle::yield_now);
            drop(runtime);
            tokio.block_on(task).unwrap()
        });
        assert_eq!(result, (Err(RecvError), true));
    }
}

/// An executor on one thread: who sends and who receives are both its own.
#[test]
fn both_ends_may_be_on_one_thread() {
    with_deadline(limit(60), "", || {
        let (sender, receiver) = bounded(0);
        let local = std::rc::Rc::new(7);
        let sends = async { sender.send_async(local.clone()).await.unwrap() };
        let receives = async { receiver.recv_async().await.unwrap() };
        let (_, got) = futures::executor::block_on(async { futures::join!(receives, sends) });
        let () = got;
        assert_eq!(std::rc::Rc::strong_count(&local), 1);
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        // And try, which must not wait for a task behind it.
        let mut receive = receiver.recv_async().fuse();
        futures::executor::block_on(async {
            assert!(futures::poll!(&mut receive).is_pending());
            sender.try_send(local.clone()).unwrap();
            assert!(futures::poll!(&mut receive).is_ready());
        });
    });
}
