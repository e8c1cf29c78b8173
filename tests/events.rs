//! What a `tracing` subscriber is told: docs/events.md, checked.

mod common;

use common::{child, is_child, stderr, with_deadline};
use raddle::runtime::Builder;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

type Fields = BTreeMap<&'static str, String>;
type Events = Arc<Mutex<Vec<(Level, Fields)>>>;

/// Keeps the events of `raddle::sched`, or panics at one of them.
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
        metadata.target() == "raddle::sched"
    }

    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::new();
        event.record(&mut Reader(&mut fields));
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
                .spawn(|| raddle::time::sleep(Duration::from_millis(1)))
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
