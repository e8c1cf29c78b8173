//! Wakes futures that wait for a time: one thread for all of them, asleep
//! until the first is due.
//!
//! They may be polled on any thread of any executor, where there is no
//! machine with timers to be had.

use crate::polled::wake_quietly;
use crate::shim::clock;
use raddle_scheduler::{Goroutine, Mutex, current, park, park_timeout};
use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::channel;
use std::task::Waker;
use std::thread;
use std::time::Duration;

/// When, and which of those at that time.
type Key = (u64, u64);

/// Invariants
/// 1. The keeper sleeps until the first of these at most: who sets an earlier
///    one unparks it.
static ALARMS: Mutex<BTreeMap<Key, Waker>> = Mutex::new(BTreeMap::new());
static NEXT: AtomicU64 = AtomicU64::new(0);

/// A waker that is woken at some time, unless this is dropped before.
pub(crate) struct Alarm(Key);

impl Alarm {
    /// At `time`, in nanoseconds of `clock::now`; also one that is past.
    pub(crate) fn new(time: u64, waker: Waker) -> Self {
        // First: without it nothing is to be left in the list.
        let keeper = keeper();
        // ORDER: Relaxed: a number of its own is all that is asked for.
        let key = (time, NEXT.fetch_add(1, Relaxed));
        let mut alarms = ALARMS.lock();
        alarms.insert(key, waker);
        let is_first = alarms.first_key_value().is_some_and(|(first, _)| *first == key);
        drop(alarms);
        if is_first {
            keeper.unpark();
        }
        Self(key)
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        let mut alarms = ALARMS.lock();
        // Dropped after the lock: its code is not ours.
        let waker = alarms.remove(&self.0);
        let is_last = waker.is_some() && alarms.is_empty();
        drop(alarms);
        if is_last {
            // Asleep until some time it would count as awake.
            keeper().unpark();
        }
    }
}

fn keeper() -> &'static Goroutine {
    static KEEPER: OnceLock<Goroutine> = OnceLock::new();
    KEEPER.get_or_init(|| {
        let (tell, told) = channel();
        let name = "raddle alarms".to_owned();
        let spawned = thread::Builder::new().name(name).spawn(move || {
            let _asks = tell.send(current());
            keep();
        });
        spawned.expect("a thread for the alarms of futures");
        told.recv().expect("it says who it is")
    })
}

fn keep() -> ! {
    loop {
        let mut due = Vec::new();
        let mut alarms = ALARMS.lock();
        let now = clock::now();
        while let Some(first) = alarms.first_entry()
            && first.key().0 <= now
        {
            due.push(first.remove());
        }
        let next = alarms.first_key_value().map(|(key, _)| key.0);
        drop(alarms);
        if due.is_empty() {
            // In raddle, where it counts as asleep.
            match next {
                None => park(),
                Some(next) => park_timeout(Duration::from_nanos(next - now)),
            }
        }
        due.into_iter().for_each(|waker| wake_quietly(Some(waker)));
    }
}
