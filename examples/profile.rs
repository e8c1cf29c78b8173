//! Where goroutines ran, for how long they were parked, and why.
//!
//! ```sh
//! cargo run --example profile
//! ```
//!
//! In Go: `runtime/trace`, and a browser to look at it. raddle tells what its
//! scheduler does as `tracing` events (docs/events.md), so a profiler is a
//! subscriber, and the heart of one is a dozen lines: [`Profile::note`].

use raddle::chan::{Receiver, Sender, bounded};
use raddle::{Builder, JoinHandle};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// Of one goroutine.
#[derive(Default)]
struct Life {
    name: String,
    machines: BTreeMap<u64, u32>,
    parked: BTreeMap<String, Duration>,
    park: Option<(String, Instant)>,
}

#[derive(Clone, Default)]
struct Profile(Arc<Mutex<BTreeMap<u64, Life>>>);

impl Profile {
    /// `run` says where, `park` says why, `unpark` ends it.
    fn note(&self, event: Fields, now: Instant) {
        let mut lives = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let life = lives.entry(event.goroutine).or_default();
        match event.event.as_str() {
            "spawn" => life.name = event.name,
            "run" => *life.machines.entry(event.machine).or_default() += 1,
            "park" => life.park = Some((event.reason, now)),
            "unpark" => {
                if let Some((reason, since)) = life.park.take() {
                    *life.parked.entry(reason).or_default() += now - since;
                }
            }
            _ => {}
        }
    }
}

impl<S: Subscriber> Layer<S> for Profile {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "raddle::sched" {
            let mut fields = Fields::default();
            event.record(&mut fields);
            self.note(fields, Instant::now());
        }
    }
}

/// What an event says.
#[derive(Default)]
struct Fields {
    event: String,
    goroutine: u64,
    machine: u64,
    name: String,
    reason: String,
}

impl Visit for Fields {
    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "goroutine" => self.goroutine = value,
            "machine" => self.machine = value,
            _ => {}
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "event" => self.event = value.to_owned(),
            "name" => self.name = value.to_owned(),
            "reason" => self.reason = value.to_owned(),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

// The program that is looked at: a spinner, slow, and two weavers.

fn spin(yarn: Sender<u32>) {
    for length in 1..=20 {
        raddle::time::sleep(Duration::from_millis(5));
        yarn.send(length).expect("there are weavers");
    }
}

fn weave(yarn: Receiver<u32>) -> u32 {
    yarn.iter().sum()
}

#[track_caller]
fn named<T: Send + 'static>(name: &str, f: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    let builder = Builder::new().name(name.into());
    builder.spawn(f).expect("it needs no thread of its own")
}

#[raddle::main]
fn main() {
    let profile = Profile::default();
    tracing_subscriber::registry().with(profile.clone()).init();

    let (sender, yarn) = bounded(0);
    let weavers = ["left weaver", "right weaver"].map(|name| {
        let yarn = yarn.clone();
        named(name, move || weave(yarn))
    });
    named("spinner", move || spin(sender));
    for weaver in weavers {
        weaver.join().expect("it does not panic");
    }

    let lives = profile.0.lock().unwrap_or_else(PoisonError::into_inner);
    for (goroutine, life) in lives.iter().filter(|(_, life)| !life.name.is_empty()) {
        raddle::println!("goroutine {goroutine} {:?}", life.name);
        for (machine, times) in &life.machines {
            raddle::println!("    ran on machine {machine}, {times} times");
        }
        for (reason, time) in &life.parked {
            raddle::println!("    parked for {time:.0?} in {reason}");
        }
    }
}
