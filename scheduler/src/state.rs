//! A goroutine's life, as one atomic word.
//!
//! ```text
//!               run                   park
//!   Queued ───────────▶ Running ───────────────▶ Parked / Firm
//!    ▲  ▲ ▲              │  │ │                    │   ▲    │
//!    │  │ └──── yield ───┘  │ └─ finish ▶ Done     │   │ capture, release
//!    │  └─ unpark (early) ──┘                      │   ▼    │
//!    ├──────────────────── unpark ─────────────────┤ Captured
//!    └── run ── Doomed ◀────── doom ───────────────┘ (Parked only)
//! ```
//!
//! A goroutine publishes itself to its wakers *before* it parks, and the word
//! absorbs a wake that comes too early: `unpark` writes `Queued` over
//! `Running`, and the park that follows finds it and does not happen.

use crate::fatal::fatal;
use crate::shim::{AcqRel, Acquire, AtomicU8, Relaxed, Release};

const QUEUED: u8 = 0;
const RUNNING: u8 = 1;
const PARKED: u8 = 2;
const FIRM: u8 = 3;
const CAPTURED: u8 = 4;
const CAPTURED_FIRM: u8 = 5;
const DOOMED: u8 = 6;
const DONE: u8 = 7;

/// Whether shutdown may end a park before its waker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// A doomed runtime wakes it.
    Loose,
    /// Somebody's borrow depends on it: only its waker ends it.
    Firm,
}

/// What brought a goroutine back to its processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// Its waker, its first run, or its turn after a yield.
    Due,
    /// Shutdown; the waker of the park it was in has not come yet.
    Doomed,
    /// Nobody: it is to look at its stack and leave again, as it came
    /// (`capture.rs`). No park returns this.
    Captured,
}

/// Invariants
/// 1. Only the machine that made it `Running` parks, yields or finishes it.
/// 2. `Parked`, `Firm` are written on the system stack, after the registers
///    are saved: whoever ends them may resume the goroutine.
/// 3. A wait has exactly one `unpark` (the one that settled it), and the
///    goroutine does not leave the wait before it. So at most one `unpark`
///    is on its way at any time, and a waker may touch the goroutine up to
///    the end of its swap.
/// 4. Who moves the word away from `Parked`, `Firm` owns the goroutine and
///    must queue it; for `Captured` that is the capturer at its release.
/// 5. `Doomed` is queued once, by the `doom` that made it. The wake that is
///    still owed turns it into `Queued` and queues nothing.
#[derive(Debug)]
pub(crate) struct State(AtomicU8);

impl State {
    /// A new goroutine, about to be queued.
    pub(crate) fn queued() -> Self {
        Self(AtomicU8::new(QUEUED))
    }

    /// Queued or Doomed → Running, by the machine that took it from a queue.
    pub(crate) fn run(&self) -> Woken {
        // ORDER: the queue it came through ordered everything before this,
        // but for the late `unpark` of a Doomed one: Acquire pairs with that.
        if self.0.load(Acquire) == QUEUED {
            // ORDER: Relaxed: nobody reads Running to learn anything.
            self.0.store(RUNNING, Relaxed);
            return Woken::Due;
        }
        // ORDER: Acquire on failure pairs with the swap of the late `unpark`.
        match self.0.compare_exchange(DOOMED, RUNNING, Relaxed, Acquire) {
            Ok(_) => Woken::Doomed,
            Err(QUEUED) => {
                // ORDER: as above; its one wake has been.
                self.0.store(RUNNING, Relaxed);
                Woken::Due
            }
            Err(other) => fatal!("a goroutine in state {other} was queued to run"),
        }
    }

    /// Takes a wake that came before the park. On `true` the wait is over
    /// and the goroutine need not leave its stack.
    #[must_use]
    pub(crate) fn take_early_wake(&self) -> bool {
        // ORDER: Acquire pairs with `unpark`: the waker's writes are ours.
        if self.0.load(Acquire) != QUEUED {
            return false;
        }
        // ORDER: Relaxed: the only wake has been, nobody else writes.
        self.0.store(RUNNING, Relaxed);
        true
    }

    /// Running → Parked or Firm, on the system stack. On `false` its wake
    /// came first: it is Running still and must be resumed.
    #[must_use]
    pub(crate) fn park(&self, hold: Hold) -> bool {
        let to = match hold {
            Hold::Loose => PARKED,
            Hold::Firm => FIRM,
        };
        // ORDER: Release publishes the saved registers to who ends the park;
        // Acquire on failure pairs with the early `unpark`.
        match self.0.compare_exchange(RUNNING, to, Release, Acquire) {
            Ok(_) => true,
            Err(QUEUED) => {
                // ORDER: as in `take_early_wake`.
                self.0.store(RUNNING, Relaxed);
                false
            }
            Err(other) => fatal!("a goroutine in state {other} parked"),
        }
    }

    /// Running → Queued, on the system stack, before it is queued again.
    /// No wake may be on its way (invariant 3).
    pub(crate) fn yield_now(&self) {
        // ORDER: the queue it goes into publishes what was saved.
        self.0.store(QUEUED, Relaxed);
    }

    /// The one wake of a wait. On `true` the caller owns the goroutine and
    /// must queue it; else the goroutine, or its capturer, sees to it.
    #[must_use]
    pub(crate) fn unpark(&self) -> bool {
        // ORDER: Acquire pairs with `park` (the saved registers), Release
        // shows the waker's writes to the woken.
        match self.0.swap(QUEUED, AcqRel) {
            PARKED | FIRM => true,
            RUNNING | CAPTURED | CAPTURED_FIRM | DOOMED => false,
            other => fatal!("a goroutine in state {other} was woken"),
        }
    }

    /// Parked → Doomed, for a shutdown. On `true` the caller owns the
    /// goroutine and must queue it.
    #[must_use]
    pub(crate) fn doom(&self) -> bool {
        // ORDER: Acquire pairs with `park`.
        self.0
            .compare_exchange(PARKED, DOOMED, Acquire, Relaxed)
            .is_ok()
    }

    /// Parked, Firm → Captured. The goroutine is the caller's until
    /// `release`: nobody else resumes it, ends it or takes its stack. Its
    /// waker, if it comes, leaves it to the caller; shutdown, which would
    /// not, passes by and comes again; another capture finds it taken.
    #[must_use]
    #[cfg_attr(
        not(any(test, feature = "backtrace")),
        expect(dead_code, reason = "no stacks are read")
    )]
    pub(crate) fn capture(&self) -> bool {
        // ORDER: Acquire pairs with `park`: the capturer reads the stack.
        // Two attempts: a goroutine in the other parked state, or none.
        self.0
            .compare_exchange(PARKED, CAPTURED, Acquire, Relaxed)
            .or_else(|_| {
                // ORDER: as above.
                self.0
                    .compare_exchange(FIRM, CAPTURED_FIRM, Acquire, Relaxed)
            })
            .is_ok()
    }

    /// Ends a capture. On `true` a wake came meanwhile: the caller owns the
    /// goroutine and must queue it.
    #[must_use]
    #[cfg_attr(
        not(any(test, feature = "backtrace")),
        expect(dead_code, reason = "no stacks are read")
    )]
    pub(crate) fn release(&self) -> bool {
        // ORDER: Release: the capturer's use of the stack comes before the
        // next run, or capture. Acquire on failure pairs with the `unpark` we answer for.
        self.0
            .compare_exchange(CAPTURED, PARKED, Release, Acquire)
            .or_else(|_| {
                // ORDER: as above.
                self.0
                    .compare_exchange(CAPTURED_FIRM, FIRM, Release, Acquire)
            })
            .is_err()
    }

    /// Running → Done, after its stack is given up; or Queued → Done for one
    /// that never ran.
    pub(crate) fn finish(&self) {
        // ORDER: Release: who sees Done may rely on all it did.
        self.0.store(DONE, Release);
    }

    /// Whether it runs right now; may be stale when read.
    pub(crate) fn is_running(&self) -> bool {
        // ORDER: Relaxed: shown, not acted on.
        self.0.load(Relaxed) == RUNNING
    }

    /// Whether it has ended.
    pub(crate) fn is_done(&self) -> bool {
        // ORDER: Relaxed: not for long is it anything else.
        self.0.load(Relaxed) == DONE
    }

    /// Whether somebody captures it right now.
    #[cfg(feature = "backtrace")]
    pub(crate) fn is_captured(&self) -> bool {
        // ORDER: Relaxed: asked again.
        matches!(self.0.load(Relaxed), CAPTURED | CAPTURED_FIRM)
    }

    /// Whether it is parked right now; may be stale when read.
    pub(crate) fn is_parked(&self) -> bool {
        // ORDER: Relaxed: shown, not acted on.
        matches!(
            self.0.load(Relaxed),
            PARKED | FIRM | CAPTURED | CAPTURED_FIRM
        )
    }
}

#[cfg(all(test, not(raddle_model)))]
mod tests {
    use super::{Hold, State, Woken};

    #[test]
    fn a_wake_before_the_park_is_kept() {
        let state = State::queued();
        assert_eq!(state.run(), Woken::Due);
        assert!(!state.unpark(), "running: nobody to queue");
        assert!(!state.park(Hold::Loose), "the wake ends the park at once");
        assert!(state.park(Hold::Loose), "and is used up");
    }

    #[test]
    fn a_wake_during_capture_is_the_capturers_to_queue() {
        let state = State::queued();
        let _ = state.run();
        assert!(state.park(Hold::Firm));
        assert!(state.capture());
        assert!(!state.unpark());
        assert!(state.release());
        assert_eq!(state.run(), Woken::Due);
    }

    #[test]
    fn shutdown_does_not_end_a_firm_park() {
        let state = State::queued();
        let _ = state.run();
        assert!(state.park(Hold::Firm));
        assert!(!state.doom());
        assert!(state.unpark());
    }

    #[test]
    fn the_wake_owed_to_a_doomed_goroutine_is_not_lost() {
        let state = State::queued();
        let _ = state.run();
        assert!(state.park(Hold::Loose));
        assert!(state.doom());
        assert!(!state.unpark(), "queued by the doom already");
        assert_eq!(state.run(), Woken::Due);

        assert!(state.park(Hold::Loose));
        assert!(state.doom());
        assert_eq!(state.run(), Woken::Doomed);
        assert!(!state.unpark());
        assert!(state.take_early_wake());
    }
}

#[cfg(all(test, raddle_model))]
mod models {
    use super::{Hold, State, Woken};
    use crate::shim::{AtomicUsize, Relaxed, model};
    use loom::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::thread::spawn;

    /// A word, the registers it guards, and how often it was queued.
    struct Parkable {
        state: State,
        saved: UnsafeCell<u32>,
        /// What its waker tells it.
        told: UnsafeCell<u32>,
        queued: AtomicUsize,
    }

    impl Parkable {
        /// A thread that wakes it once.
        fn woken_beside(g: &Arc<Self>) -> loom::thread::JoinHandle<()> {
            let g = g.clone();
            spawn(move || {
                // SAFETY: the model checker is what proves it.
                g.told.with_mut(|told| unsafe { *told = 5 });
                if g.state.unpark() {
                    g.queue();
                }
            })
        }

        /// After its wake.
        fn hears(&self) {
            // SAFETY: as above.
            self.told.with(|told| assert_eq!(unsafe { *told }, 5));
        }

        fn running() -> Arc<Self> {
            let state = State::queued();
            assert_eq!(state.run(), Woken::Due);
            Arc::new(Self {
                state,
                saved: UnsafeCell::new(0),
                told: UnsafeCell::new(0),
                queued: AtomicUsize::new(0),
            })
        }

        fn queue(&self) {
            // Whoever owns the goroutine may use its saved registers.
            self.saved.with(|saved| {
                // SAFETY: the model checker is what proves it.
                assert_eq!(unsafe { *saved }, 7);
            });
            self.queued.fetch_add(1, Relaxed);
        }

        /// The capturer resumes the goroutine, which leaves again at once: it
        /// writes where it saved its registers.
        fn capture(&self) {
            if !self.state.capture() {
                return;
            }
            self.saved.with_mut(|saved| {
                // SAFETY: the model checker is what proves it.
                assert_eq!(unsafe { *saved }, 7);
                // SAFETY: as above.
                unsafe { *saved = 7 };
            });
            if self.state.release() {
                self.queue();
            }
        }

        fn save(&self) {
            self.saved.with_mut(|saved| {
                // SAFETY: the model checker is what proves it.
                unsafe { *saved = 7 }
            });
        }
    }

    /// An unpark races with the park, perhaps too early: the goroutine goes
    /// on exactly once, either by itself or by its waker.
    #[test]
    fn an_early_unpark_is_not_lost() {
        model(|| {
            let g = Parkable::running();
            let waker = Parkable::woken_beside(&g);
            g.save();
            let goes_on = g.state.take_early_wake() || !g.state.park(Hold::Loose);
            waker.join().unwrap();
            assert_eq!(usize::from(goes_on) + g.queued.load(Relaxed), 1);
        });
    }

    /// The waker and a deadline race for the wait (by a word of the wait);
    /// the winner alone unparks.
    #[test]
    fn of_waker_and_deadline_one_unparks() {
        model(|| {
            let g = Parkable::running();
            let settled = Arc::new(AtomicUsize::new(0));
            let rivals = [1, 2].map(|me| {
                let (g, settled) = (g.clone(), settled.clone());
                spawn(move || {
                    if settled.compare_exchange(0, me, Relaxed, Relaxed).is_ok() && g.state.unpark()
                    {
                        g.queue();
                    }
                })
            });
            g.save();
            let goes_on = !g.state.park(Hold::Loose);
            for rival in rivals {
                rival.join().unwrap();
            }
            assert_eq!(usize::from(goes_on) + g.queued.load(Relaxed), 1);
        });
    }

    /// A capture and a wake race: the stack is never read while it may run,
    /// and the wake is not lost.
    #[test]
    fn a_capture_remembers_wakes() {
        model(|| {
            let g = Parkable::running();
            let capturer = spawn({
                let g = g.clone();
                move || {
                    g.capture();
                }
            });
            let waker = Parkable::woken_beside(&g);
            g.save();
            let goes_on = !g.state.park(Hold::Loose);
            capturer.join().unwrap();
            waker.join().unwrap();
            assert_eq!(usize::from(goes_on) + g.queued.load(Relaxed), 1);
        });
    }

    /// Two captures, one after the other or one in vain, and a wake.
    #[test]
    fn captures_keep_apart() {
        model(|| {
            let g = Parkable::running();
            g.save();
            assert!(g.state.park(Hold::Firm));
            let capturer = spawn({
                let g = g.clone();
                move || g.capture()
            });
            let waker = Parkable::woken_beside(&g);
            g.capture();
            capturer.join().unwrap();
            waker.join().unwrap();
            assert_eq!(g.queued.load(Relaxed), 1);
        });
    }

    /// Shutdown passes a captured goroutine by, and ends it when it comes
    /// again; a wake that comes as well is not lost.
    #[test]
    fn shutdown_comes_again_after_a_capture() {
        model(|| {
            let g = Parkable::running();
            g.save();
            assert!(g.state.park(Hold::Loose));
            let capturer = spawn({
                let g = g.clone();
                move || g.capture()
            });
            let waker = Parkable::woken_beside(&g);
            let mut dooms = usize::from(g.state.doom());
            capturer.join().unwrap();
            if dooms == 0 {
                dooms = usize::from(g.state.doom());
            }
            if dooms == 1 {
                g.queue();
            }
            waker.join().unwrap();
            assert_eq!(g.queued.load(Relaxed), 1);
        });
    }

    /// Shutdown and the waker both come: queued once, and after the run the
    /// owed wake is found whichever came first.
    #[test]
    fn doom_and_wake_queue_once() {
        model(|| {
            let g = Parkable::running();
            g.save();
            assert!(g.state.park(Hold::Loose));
            let waker = Parkable::woken_beside(&g);
            if g.state.doom() {
                g.queue();
                if g.state.run() == Woken::Doomed {
                    waker.join().unwrap();
                    assert!(g.state.take_early_wake());
                } else {
                    g.hears();
                    waker.join().unwrap();
                }
            } else {
                waker.join().unwrap();
            }
            assert_eq!(g.queued.load(Relaxed), 1);
        });
    }
}
