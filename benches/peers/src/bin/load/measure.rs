//! The loop of every client: a warm-up, then latencies until the time is up.

use crate::Latencies;
use crate::server::Watch;
use mio::{Events, Poll, Token};
use raddle_peers::Outcome;
use std::time::{Duration, Instant};

/// Before it is measured.
const WARM_UP: Duration = Duration::from_millis(500);

/// A run hangs if nothing comes for so long.
const PATIENCE: Duration = Duration::from_secs(10);

/// Calls `go_on` for each event; it says how long something took that has
/// ended.
pub fn measure(
    mut poll: Poll,
    mut watch: Watch,
    mut go_on: impl FnMut(&Poll, Token) -> Option<Duration>,
) -> Outcome {
    let mut latencies = Latencies::new();
    let mut events = Events::with_capacity(1024);
    let mut until = Instant::now() + WARM_UP;
    let mut is_measured = false;
    loop {
        poll.poll(&mut events, Some(PATIENCE)).expect("it waits");
        assert!(!events.is_empty(), "the server does not answer");
        let now = Instant::now();
        if now >= until {
            if is_measured {
                return latencies.report(watch);
            }
            is_measured = true;
            latencies.clear();
            until = now + watch.begin();
        }
        for event in &events {
            if let Some(latency) = go_on(&poll, event.token()) {
                latencies.add(latency);
            }
        }
    }
}
