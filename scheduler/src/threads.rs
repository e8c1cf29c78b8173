//! The threads of the process, as far as raddle knows them, and whether each
//! sleeps: one half of the proof that all goroutines are asleep
//! (`deadlock.rs`).
//!
//! Known are raddle's own threads other than machines, and every thread of
//! the program's that has waited in raddle before. All others are foreign,
//! and awake: whatever they are at, they may wake a goroutine afterwards.

use crate::bell::Bell;
use crate::reason::Reason;
use crate::report::ThreadDump;
use crate::shim::fixed::AtomicU8;
use crate::shim::{Mutex, Relaxed};
use std::ptr;
use std::sync::Arc;
use std::thread::{self, Thread};

/// What the kernel calls a thread.
pub(crate) type ThreadId = libc::pid_t;

/// A thread that says when it sleeps.
#[derive(Debug)]
pub(crate) struct Known {
    id: ThreadId,
    pub(crate) thread: Thread,
    /// One for its waits, one for the token of `park`: it sleeps for one of
    /// them at a time.
    pub(crate) wait: Bell,
    pub(crate) token: Bell,
    /// What it waits for, if it is the program's.
    reason: AtomicU8,
}

static KNOWN: Mutex<Vec<Arc<Known>>> = Mutex::new(Vec::new());

impl Known {
    /// The calling thread is known from here on, until `forget`.
    pub(crate) fn introduce() -> Arc<Self> {
        let known = Arc::new(Self {
            id: current_id(),
            thread: thread::current(),
            wait: Bell::new(),
            token: Bell::new(),
            reason: AtomicU8::new(Reason::None as u8),
        });
        KNOWN.lock().push(known.clone());
        known
    }

    /// It is about to end, and its number may be another's soon.
    pub(crate) fn forget(&self) {
        let mut all = KNOWN.lock();
        if let Some(at) = all.iter().position(|known| ptr::eq(&**known, self)) {
            all.swap_remove(at);
        }
    }

    /// For threads of raddle's own: it sleeps, and whatever it may find when
    /// it wakes is looked for elsewhere.
    pub(crate) fn lie_down(&self) {
        let is_lying = self.wait.lie_down();
        debug_assert!(is_lying, "nobody rings for a thread of raddle's own");
    }

    /// It is up again.
    pub(crate) fn get_up(&self) {
        self.wait.ring();
        let was_rung = self.wait.take();
        debug_assert!(was_rung, "rung just now");
    }

    /// What it waits for from now on; for reports.
    pub(crate) fn set_reason(&self, reason: Reason) {
        // ORDER: Relaxed: shown, not acted on.
        self.reason.store(reason as u8, Relaxed);
    }

    fn night(&self) -> Option<u64> {
        let of_wait = self.wait.night().map(|night| u64::from(night) * 2);
        of_wait.or_else(|| self.token.night().map(|night| u64::from(night) * 2 + 1))
    }
}

/// Who of those known sleeps: number, and which night of its.
pub(crate) fn asleep() -> Vec<(ThreadId, u64)> {
    let all = KNOWN.lock();
    all.iter()
        .filter_map(|known| Some((known.id, known.night()?)))
        .collect()
}

/// The program's own threads that sleep.
pub(crate) fn dump() -> Vec<ThreadDump> {
    let all = KNOWN.lock();
    let waiting = all.iter().filter(|known| known.night().is_some());
    let dumps = waiting.map(|known| ThreadDump {
        name: known.thread.name().map(str::to_owned),
        // ORDER: Relaxed: shown, not acted on.
        reason: Reason::from_number(known.reason.load(Relaxed)),
    });
    // raddle's own give none.
    dumps.filter(|dump| dump.reason != Reason::None).collect()
}

#[cfg(target_os = "linux")]
fn current_id() -> ThreadId {
    // SAFETY: no arguments.
    unsafe { libc::gettid() }
}

#[cfg(not(target_os = "linux"))]
fn current_id() -> ThreadId {
    0
}

/// How the threads of the process compare with those that sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Others {
    /// There are no others.
    None,
    /// This one is awake.
    Awake(ThreadId),
    /// The system does not say, or the list was cut short by an end.
    Unknown,
}

/// Whether the process has a thread that is not among `asleep`, all of which
/// are alive.
///
/// The kernel counts a process's threads in the number of links of its task
/// directory, at one moment. As many as sleep, all alive, are all. The list
/// says who else there is; alone it would not do, for it may miss some while
/// others end.
#[cfg(target_os = "linux")]
pub(crate) fn others(mut is_asleep: impl FnMut(ThreadId) -> bool, asleep: usize) -> Others {
    use std::os::unix::fs::MetadataExt;
    const TASKS: &str = "/proc/self/task";
    let Ok(list) = std::fs::read_dir(TASKS) else {
        return Others::Unknown;
    };
    let mut listed = 0;
    for entry in list {
        let id = entry
            .ok()
            .and_then(|entry| entry.file_name().to_str()?.parse().ok());
        match id {
            Some(id) if is_asleep(id) => listed += 1,
            Some(id) => return Others::Awake(id),
            None => return Others::Unknown,
        }
    }
    let links = std::fs::metadata(TASKS).map_or(0, |tasks| tasks.nlink());
    // Two for the directory itself.
    if listed == asleep && usize::try_from(links) == Ok(asleep + 2) {
        Others::None
    } else {
        Others::Unknown
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn others(_is_asleep: impl FnMut(ThreadId) -> bool, _asleep: usize) -> Others {
    Others::Unknown
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::{Others, current_id, others};
    use std::sync::mpsc::channel;

    /// The test harness has threads of its own, so this one is never alone.
    #[test]
    fn a_thread_outside_raddle_is_awake() {
        let (tell, told) = channel();
        let (stay, stays) = channel::<()>();
        let other = std::thread::spawn(move || {
            tell.send(current_id()).unwrap();
            let _closed = stays.recv();
        });
        let other_id = told.recv().unwrap();
        let mut seen = Vec::new();
        let found = others(
            |id| {
                seen.push(id);
                id != other_id
            },
            1,
        );
        assert_eq!(found, Others::Awake(other_id));
        drop(stay);
        other.join().unwrap();
    }

    #[test]
    fn a_count_that_does_not_agree_proves_nothing() {
        assert_eq!(others(|_| true, 100_000), Others::Unknown);
    }
}
