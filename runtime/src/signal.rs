//! Signals of the operating system, as messages.
//!
//! ```no_run
//! use raddle::select;
//! use raddle::signal::{SIGINT, SIGTERM, notify};
//!
//! let ends = notify(&[SIGINT, SIGTERM]);
//! let work = raddle::spawn(|| raddle::time::sleep(std::time::Duration::from_secs(60)));
//! select! {
//!     recv(ends) -> signal => raddle::println!("ended by {}", signal.unwrap()),
//!     recv(work.done()) -> _ => raddle::println!("done"),
//! }
//! ```

use crate::shim::{Mutex, MutexGuard};
use raddle_chan::{Receiver, Sender, TrySendError, bounded};
use signal_hook::consts::FORBIDDEN;
use signal_hook::iterator::{Handle, Signals};
use signal_hook::low_level::emulate_default_handler;
use std::thread;

pub use signal_hook::consts::{
    SIGALRM, SIGCHLD, SIGCONT, SIGHUP, SIGINT, SIGIO, SIGPIPE, SIGPROF, SIGQUIT, SIGTERM, SIGTSTP,
    SIGTTIN, SIGTTOU, SIGURG, SIGUSR1, SIGUSR2, SIGVTALRM, SIGWINCH,
};

/// So many wait to be received; more are lost, as the system loses them.
const ROOM: usize = 64;

/// The highest number of a signal.
const LAST: i32 = 64;

static HUB: Mutex<Option<Hub>> = Mutex::new(None);

/// One thread hears of all signals, and passes them on.
struct Hub {
    handle: Handle,
    takers: Vec<Taker>,
}

struct Taker {
    signals: Vec<i32>,
    sender: Sender<i32>,
}

fn hub() -> MutexGuard<'static, Option<Hub>> {
    HUB.lock()
}

/// From here on `signals` do nothing by themselves, but come out of the
/// channel, each as often as the system delivers it; 64 may wait there. Every
/// channel that was asked for gets each signal. When all channels for a
/// signal are dropped, it does again what it did: most end the process.
///
/// From the first call on no deadlock is reported: a signal may always come.
///
/// # Blocking
/// Never. The first call starts a thread.
///
/// # Panics
/// When a signal cannot be caught (`SIGKILL`), must not be (`SIGSEGV`), or is
/// none; and when the system refuses a thread or a descriptor.
///
/// # Examples
/// ```
/// use raddle::signal::{SIGUSR1, notify};
///
/// let receiver = notify(&[SIGUSR1]);
/// std::process::Command::new("kill")
///     .args(["-USR1", &std::process::id().to_string()])
///     .status()?;
/// assert_eq!(receiver.recv(), Ok(SIGUSR1));
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Go
/// `signal.Notify`, with a channel that it makes. No signals mean none.
#[must_use = "signals that nobody receives are lost"]
pub fn notify(signals: &[i32]) -> Receiver<i32> {
    for signal in signals {
        assert!(
            (1..=LAST).contains(signal) && !FORBIDDEN.contains(signal),
            "signal {signal} cannot be caught"
        );
    }
    let (sender, receiver) = bounded(ROOM);
    let mut hub = hub();
    let hub = hub.get_or_insert_with(start);
    // Before the handler is there, or the first would find nobody.
    hub.takers.push(Taker {
        signals: signals.to_vec(),
        sender,
    });
    for signal in signals {
        if let Err(error) = hub.handle.add_signal(*signal) {
            hub.takers.pop();
            panic!("signal {signal} cannot be caught: {error}");
        }
    }
    receiver
}

fn start() -> Hub {
    let none: [i32; 0] = [];
    let mut signals = match Signals::new(none) {
        Ok(signals) => signals,
        Err(error) => panic!("signals cannot be caught: {error}"),
    };
    let handle = signals.handle();
    let thread = thread::Builder::new()
        .name("raddle-signals".into())
        .spawn(move || {
            for signal in signals.forever() {
                pass_on(signal);
            }
        });
    if let Err(error) = thread {
        panic!("signals cannot be caught: {error}");
    }
    Hub {
        handle,
        takers: Vec::new(),
    }
}

fn pass_on(signal: i32) {
    let mut hub = hub();
    let Some(hub) = &mut *hub else { return };
    let mut is_taken = false;
    hub.takers.retain(|taker| {
        if !taker.signals.contains(&signal) {
            return true;
        }
        let stays = !matches!(
            taker.sender.try_send(signal),
            Err(TrySendError::Disconnected(_))
        );
        is_taken |= stays;
        stays
    });
    if !is_taken {
        // It fails for what is no signal, which none of these is.
        let _done = emulate_default_handler(signal);
    }
}
