//! Goroutines that await a client of tokio's, and tasks that receive from
//! goroutines.
//!
//! ```sh
//! cargo run --example futures_bridge
//! ```
//!
//! In Go there is nothing to bridge: no function is `async`.

use raddle::chan::{Receiver, bounded};
use raddle::{block_on, go};
use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::time::Duration;
use tokio::runtime::{Builder, Handle};
use tokio::sync::{mpsc, oneshot};

/// A client in the style of tokio-postgres: its methods are futures of what
/// its connection answers.
#[derive(Clone)]
struct Client {
    requests: mpsc::Sender<(&'static str, oneshot::Sender<Option<u32>>)>,
}

/// The client, and the connection: a future that does the work, and has to be
/// polled all the time. Asks which runtime it is in.
async fn connect() -> (Client, impl Future<Output = u32>) {
    tokio::time::sleep(Duration::from_millis(1)).await;
    let (requests, mut asked) = mpsc::channel::<(&str, oneshot::Sender<_>)>(8);
    let connection = async move {
        let planets = HashMap::from([("Mercury", 0), ("Earth", 1), ("Mars", 2)]);
        let mut count = 0;
        while let Some((name, answer)) = asked.recv().await {
            tokio::time::sleep(Duration::from_millis(1)).await;
            let _nobody_waits = answer.send(planets.get(name).copied());
            count += 1;
        }
        count
    };
    (Client { requests }, connection)
}

impl Client {
    async fn moons(&self, planet: &'static str) -> Option<u32> {
        let (answer, answered) = oneshot::channel();
        self.requests.send((planet, answer)).await.ok()?;
        answered.await.ok()?
    }
}

/// `future`, inside the runtime in each poll. Never is the guard held while a
/// goroutine waits.
async fn inside<F: Future>(handle: Handle, future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|context| {
        let _inside = handle.enter();
        future.as_mut().poll(context)
    })
    .await
}

/// A task of tokio's: adds up what goroutines send.
async fn add_up(numbers: Receiver<u32>) -> u32 {
    let mut sum = 0;
    while let Ok(number) = numbers.recv_async().await {
        sum += number;
    }
    sum
}

#[raddle::main]
fn main() {
    // On threads of its own.
    let tokio = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()
        .expect("a runtime");

    let (client, connection) = block_on(inside(tokio.handle().clone(), connect()));
    let connection = tokio.spawn(connection);

    let (numbers, receiver) = bounded(0);
    let sum = tokio.spawn(add_up(receiver));
    let askers: Vec<_> = ["Mercury", "Earth", "Mars", "Vulcan"]
        .map(|planet| {
            let (client, numbers) = (client.clone(), numbers.clone());
            go!(move || {
                let moons = block_on(client.moons(planet));
                if let Some(moons) = moons {
                    numbers.send(moons).expect("the task receives");
                }
                format!("{planet}: {moons:?}")
            })
        })
        .into();
    drop((client, numbers));

    // Handles of goroutines are futures, for tokio too.
    let lines = tokio.spawn(async move {
        let mut lines = Vec::new();
        for asker in askers {
            lines.push(asker.await.expect("it does not panic"));
        }
        lines
    });
    for line in block_on(lines).expect("nor does the task") {
        raddle::println!("{line}");
    }
    let sum = block_on(sum).expect("the task ends with its senders");
    raddle::println!("moons in all: {sum}");
    let count = block_on(connection).expect("the connection ends with its clients");
    raddle::println!("requests: {count}");
}
