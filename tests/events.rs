//! What a `tracing` subscriber is told: docs/events.md, checked.

mod common;

use common::{child, is_child, stderr, with_deadline};
use raddle::runtime::Builder;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

type Fields = BTreeMap<&'static str, String>;
type Events = Arc<Mutex<Vec<(Level, Fields)>>>;

/// Keeps the events of raddle, or panics at one of them.
struct Listener {
    events: Events,
    panics_at: &'static str,
}

struct Reader<'a>(&'a mut Fields);

impl Visit for Reader<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("raddle::")
    }

    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::new();
        event.record(&mut Reader(&mut fields));
        fields.insert("target", event.metadata().target().to_owned());
        assert_ne!(fields["event"], self.panics_at, "as the test wants");
        self.events
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((*event.metadata().level(), fields));
    }

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

/// One listener a process: subscribers are global here, as machines are
/// threads of their own.
fn listen(panics_at: &'static str) -> Events {
    static EVENTS: OnceLock<Events> = OnceLock::new();
    let events = EVENTS.get_or_init(|| {
        let events = Arc::new(Mutex::new(Vec::new()));
        let listener = Listener {
            events: events.clone(),
            panics_at,
        };
        tracing::subscriber::set_global_default(listener).expect("the first one");
        events
    });
    events.clone()
}

#[test]
fn a_life_is_told_from_spawn_to_finish() {
    with_deadline(Duration::from_secs(20), "one processor", || {
        let events = listen("");
        let runtime = Builder::new().max_procs(1).build().unwrap();
        let id = runtime.run(|| {
            let goroutine = raddle::Builder::new()
                .name("told".into())
                // Long enough not to be over before the park.
                .spawn(|| raddle::time::sleep(Duration::from_millis(20)))
                .unwrap();
            let id = goroutine.goroutine().id().to_string();
            goroutine.join().unwrap();
            id
        });
        drop(runtime);
        let events = events.lock().unwrap_or_else(PoisonError::into_inner);
        let of_it: Vec<_> = events
            .iter()
            .filter(|(_, fields)| fields.get("goroutine") == Some(&id))
            .filter(|(_, fields)| fields["target"] == "raddle::sched")
            .collect();
        let names: Vec<_> = of_it.iter().map(|(_, fields)| &*fields["event"]).collect();
        assert_eq!(names, ["spawn", "run", "park", "unpark", "run", "finish"]);
        assert!(of_it.iter().all(|(level, _)| *level == Level::TRACE));
        let spawn = &of_it[0].1;
        assert_eq!(spawn["name"], "told");
        assert!(spawn["file"].ends_with("events.rs"), "{spawn:?}");
        assert!(spawn.contains_key("line"));
        assert_eq!(of_it[1].1["machine"], "0");
        assert_eq!(of_it[2].1["reason"], "sleep");
    });
}

/// Each wait is told by the part that it belongs to, before the park.
#[test]
fn each_part_tells_of_its_own() {
    with_deadline(Duration::from_secs(20), "one processor", || {
        let events = listen("");
        let runtime = Builder::new().max_procs(1).build().unwrap();
        let (id, fd) = runtime.run(|| {
            let (sender, receiver) = raddle::chan::bounded(0);
            let lock = Arc::new(raddle::sync::Mutex::new(()));
            let (mut far, near) = raddle::net::unix::UnixStream::pair().unwrap();
            let fd = near.as_raw_fd().to_string();
            let held = lock.lock();
            let theirs = lock.clone();
            let teller = raddle::spawn(move || {
                let mut near = near;
                receiver.recv().unwrap();
                drop(theirs.lock());
                near.read_exact(&mut [0; 1]).unwrap();
                // Long enough not to be over before the wait.
                near.set_read_deadline(Some(Instant::now() + Duration::from_millis(100)));
                near.read_exact(&mut [0; 1]).unwrap_err();
                raddle::time::sleep(Duration::from_millis(20));
            });
            let id = teller.goroutine().id().to_string();
            let until_it_waits = |reason: &str| {
                let is_it = |(_, fields): &(Level, Fields)| {
                    fields.get("goroutine") == Some(&id)
                        && fields.get("reason").is_some_and(|its| its == reason)
                        && fields["event"] == "park"
                };
                let told = || events.lock().unwrap_or_else(PoisonError::into_inner);
                while !told().iter().any(is_it) {
                    raddle::time::sleep(Duration::from_millis(1));
                }
            };
            until_it_waits("chan receive");
            sender.send(()).unwrap();
            until_it_waits("sync.Mutex.Lock");
            drop(held);
            until_it_waits("IO wait");
            far.write_all(b"1").unwrap();
            teller.join().unwrap();
            (id, fd)
        });
        drop(runtime);
        let events = events.lock().unwrap_or_else(PoisonError::into_inner);
        let told: Vec<_> = (events.iter())
            .filter(|(_, fields)| fields.get("goroutine") == Some(&id))
            .filter(|(_, fields)| fields["target"] != "raddle::sched")
            .map(|(level, fields)| {
                assert_eq!(*level, Level::TRACE);
                let field = |name| fields.get(name).map_or("", |text| &**text);
                if fields["target"] == "raddle::net" {
                    assert_eq!((field("fd"), field("direction")), (&*fd, "read"));
                }
                (&*fields["target"], &*fields["event"], field("reason"))
            })
            .collect();
        assert_eq!(
            told,
            [
                ("raddle::chan", "wait", "chan receive"),
                ("raddle::sync", "wait", "sync.Mutex.Lock"),
                ("raddle::net", "wait", ""),
                ("raddle::net", "ready", ""),
                ("raddle::net", "wait", ""),
                ("raddle::net", "late", ""),
                ("raddle::time", "wait", "sleep"),
            ]
        );
        let fired = |(_, fields): &&(Level, Fields)| {
            fields["target"] == "raddle::time" && fields["event"] == "fire"
        };
        let fire = &events.iter().find(fired).expect("timers were due").1;
        assert!(
            fire.contains_key("machine") && fire.contains_key("timers"),
            "{fire:?}"
        );
    });
}

/// Nothing may unwind out of the middle of a wait: others may be about to
/// touch it.
#[test]
fn a_subscriber_that_panics_ends_the_process() {
    const NAME: &str = "a_subscriber_that_panics_ends_the_process";
    if is_child() {
        let _events = listen("park");
        raddle::run(|| raddle::time::sleep(Duration::from_millis(1)));
        return;
    }
    let output = child(NAME, &[]);
    let text = stderr(&output);
    assert!(!output.status.success(), "{text}");
    assert!(text.contains("subscriber panicked"), "{text}");
}
